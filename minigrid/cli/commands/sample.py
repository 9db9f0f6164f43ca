"""``minigrid sample``: write text with a trained model."""

import argparse
import sys

from minigrid.backend import choose_device
from minigrid.cli.options import TRAINED, add_backend, add_oov
from minigrid.cli.parser import Parser
from minigrid.errors import UserError

HELP = "write text with a trained model"


def add_options(parser: Parser) -> None:
    """Add the options of the command."""
    parser.add_argument("run", metavar="RUN", help=TRAINED)
    parser.add_argument(
        "--length",
        type=int,
        default=1000,
        metavar="N",
        help="number of characters to write, or of bytes if the model reads bytes (default: 1000)",
    )
    parser.add_argument(
        "--temperature",
        type=float,
        default=1.0,
        metavar="X",
        help="softmax temperature; below 1, likely characters become more likely, above 1 less (default: 1)",
    )
    parser.add_argument(
        "--top-k", type=int, metavar="K", help="choose among the K most likely characters only (default: among all)"
    )
    parser.add_argument("--argmax", action="store_true", help="always choose the most likely character")
    parser.add_argument(
        "--prime",
        default="",
        metavar="TEXT",
        help="text to continue (default: none; the model starts as if after a line break)",
    )
    add_oov(parser, "--prime")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="seed of the random choices, at least 0 (default: 0)"
    )
    add_backend(parser)


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    from minigrid.data.vocabulary import show
    from minigrid.runs.checkpoint import load
    from minigrid.runs.sampling import Sampler, generate

    choose_device(options.backend, options.device)
    sampler = Sampler(temperature=options.temperature, top_k=options.top_k, argmax=options.argmax)
    model, vocabulary = load(options.run, options.backend)
    unknown = vocabulary.unknown(options.prime)
    names = ", ".join(map(show, unknown))
    if unknown and options.oov == "error":
        raise UserError(
            f"the model does not know these characters of --prime: {names}; remove them, or skip them with --oov skip"
        )
    if unknown:
        print(f"note: skipped in --prime: {names}", file=sys.stderr)
    prime = "".join(character for character in options.prime if character not in unknown)
    text = generate(model, vocabulary, options.length, prime=prime, sampler=sampler, seed=options.seed)
    print(prime, end="")
    for piece in text:
        print(piece, end="", flush=True)
    print()
    return 0
