"""``minigrid sample``: write text with a trained model."""

import argparse
import sys

from minigrid.backend import choose_device
from minigrid.cli.commands.options import TRAINED, add_backend, add_oov
from minigrid.errors import UserError

HELP = "write text with a trained model"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Say which options the command has."""
    parser.add_argument("run", metavar="RUN", help=TRAINED)
    parser.add_argument("--length", type=int, default=1000, help="characters (or bytes) to write (default: 1000)")
    parser.add_argument("--temperature", type=float, default=1.0, help="below 1: safer, above 1: wilder (default: 1)")
    parser.add_argument("--top-k", type=int, help="choose among the K likeliest only (default: among all)")
    parser.add_argument("--argmax", action="store_true", help="always take the likeliest")
    parser.add_argument("--prime", default="", help="text to go on from (default: none, as after a line break)")
    add_oov(parser, "--prime")
    parser.add_argument("--seed", type=int, default=0, help="of the choices, 0 or above (default: 0)")
    add_backend(parser)


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    from minigrid.data.vocabulary import show
    from minigrid.runs.checkpoint import load
    from minigrid.runs.sampling import Sampler, generate

    choose_device(options.backend, options.device)
    model, vocabulary = load(options.run, options.backend)
    unknown = vocabulary.unknown(options.prime)
    if unknown and options.oov == "error":
        raise UserError(
            f"the model does not know these characters of --prime: {', '.join(map(show, unknown))}; leave them out, or "
            "let --oov skip do it"
        )
    if unknown:
        print(f"note: left out of --prime: {', '.join(map(show, unknown))}", file=sys.stderr)
    prime = "".join(c for c in options.prime if c not in unknown)
    sampler = Sampler(options.temperature, options.top_k, options.argmax)
    text = generate(model, vocabulary, options.length, prime=prime, sampler=sampler, seed=options.seed)
    print(prime, end="")
    for piece in text:
        print(piece, end="", flush=True)
    print()
    return 0
