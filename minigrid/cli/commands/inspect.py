"""``minigrid inspect``: show what every gate does while the model reads a text, as a page and as a picture."""

import argparse
from pathlib import Path

from minigrid.cli.options import TRAINED, add_backend, choose
from minigrid.cli.outputs import output
from minigrid.cli.parser import Parser
from minigrid.cli.terminal import one_line
from minigrid.errors import UserError

HELP = "show what every gate does while the model reads a text, as a page and as a picture"

OWN_TEXT = 300  # characters that the model writes if no text is given
PICTURED = 90  # characters that fit into the picture and can still be read


def add_options(parser: Parser) -> None:
    """Add the options of the command."""
    parser.add_argument("run", metavar="RUN", help=TRAINED)
    parser.add_argument(
        "--text", metavar="TEXT", help=f"text to read (default: {OWN_TEXT} characters written by the model)"
    )
    parser.add_argument(
        "--out",
        metavar="FILE",
        type=Path,
        default=Path("gates.html"),
        help="HTML page to write; the picture goes next to it, with the ending .png (default: gates.html)",
    )
    add_backend(parser)


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    from minigrid.analysis.trace import trace_text
    from minigrid.page.build import page, picture
    from minigrid.runs.checkpoint import read_checkpoint
    from minigrid.runs.sampling import Sampler, generate

    choose(options)
    if options.out.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"--out {options.out} names the page: end it with .html; the picture is saved next to it")
    checkpoint = read_checkpoint(options.run)
    model, vocabulary = checkpoint.model(options.backend), checkpoint.vocabulary()
    text = options.text
    if text is None:
        text = "".join(generate(model, vocabulary, OWN_TEXT, sampler=Sampler(temperature=0.7))).replace("\ufffd", "")
    trace = trace_text(model, vocabulary, text)
    ids = vocabulary.encode(text)
    name = checkpoint.path.resolve().parent.name if Path(options.run).is_dir() else checkpoint.path.name
    html = page(model, vocabulary, ids, trace, name)
    image = options.out.with_suffix(".png")
    figure = picture(vocabulary, ids[:PICTURED], trace)
    with (
        output(options.out, inputs=checkpoint.files()) as page_file,
        output(image, inputs=checkpoint.files()) as image_file,
    ):
        page_file.write_text(html, encoding="utf-8")
        figure.savefig(image_file, format="png", dpi=120)
    print(one_line(f"wrote {options.out} and {image}"))
    return 0
