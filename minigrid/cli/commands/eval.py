"""``minigrid eval``: measure a trained model's loss on a part of its run's text, or on another text."""

import argparse

from minigrid.backend import choose_device
from minigrid.cli.options import TRAINED, add_backend, add_oov
from minigrid.cli.parser import Parser
from minigrid.errors import UserError
from minigrid.progress import progress_bar

HELP = "measure a trained model's loss on a part of its run's text, or on another text"


def add_options(parser: Parser) -> None:
    """Add the options of the command."""
    parser.add_argument("run", metavar="RUN", help=TRAINED)
    parser.add_argument(
        "--part", choices=("train", "val", "test"), default="val", help="part of the run's text (default: val)"
    )
    parser.add_argument(
        "--data", metavar="PATH", help="read all of another text instead: a file, or a folder that holds an input.txt"
    )
    add_oov(parser, "--data")
    add_backend(parser)


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    from minigrid.runs.checkpoint import read_checkpoint
    from minigrid.runs.evaluation import bits, evaluate
    from minigrid.runs.tasks import task_of, text_batches, unit_of

    if options.oov == "skip" and not options.data:
        raise UserError("--oov skip applies only to another text: give one with --data, or leave it out")
    choose_device(options.backend, options.device)
    checkpoint = read_checkpoint(options.run)
    if options.data:
        batches = text_batches(checkpoint, options.data, skip_unknown=options.oov == "skip")
    else:
        batches = getattr(task_of(checkpoint), options.part)
    if batches is None:
        raise UserError(f"the run {options.run} has no {options.part} split: choose another --part")
    with progress_bar(total=len(batches), desc="reading", unit="minibatch", leave=False) as bar:
        result = evaluate(checkpoint.model(options.backend), batches, progress=lambda done: bar.update(done - bar.n))
    what, unit = options.data or options.part, unit_of(checkpoint.vocabulary())
    line = f"{what}: loss {result.loss:.4f} nats, {bits(result.loss):.4f} bits per {unit}"
    line += f", over {result.targets:,} {unit}s"
    if result.score is not None:
        line += f"; digits right {result.score.digit_share:.2%}, answers right {result.score.answer_share:.2%}"
    print(line)
    return 0
