"""``minigrid sample``: write text with a trained model."""

import argparse
import contextlib
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from minigrid.cli.options import TRAINED, add_backend, add_oov, choose
from minigrid.cli.parser import Parser
from minigrid.cli.terminal import one_line
from minigrid.cli.text_output import Output, file_output, is_terminal, standard_output
from minigrid.errors import Notice, UserError
from minigrid.progress import progress_bar

if TYPE_CHECKING:
    import numpy as np
    from tqdm import tqdm

    from minigrid.data.vocabulary import Vocabulary
    from minigrid.runs.given_text import Text

HELP = "write text with a trained model"


def add_options(parser: Parser) -> None:
    """Add the options of the command."""
    parser.add_argument("run", metavar="RUN", help=TRAINED)
    _add_length(parser)
    _add_choice(parser)
    _add_prime(parser)
    parser.add_argument(
        "--out",
        metavar="FILE",
        type=Path,
        help="write to this file, in UTF-8, once everything is ready; a model of bytes writes its bytes as they "
        "are (default: standard output)",
    )
    add_backend(parser)


def _add_length(parser: Parser) -> None:
    parser.add_argument(
        "--length",
        type=int,
        default=1000,
        metavar="N",
        help="number of characters to write, or of bytes if the model reads bytes (default: 1000)",
    )
    parser.add_argument(
        "--stop",
        metavar="TEXT",
        help="stop after the model has written this text, at `length` at the latest (default: stop at `length` only)",
    )
    parser.add_argument(
        "--num-samples",
        type=int,
        default=1,
        metavar="N",
        help="number of samples; each of several stands under a line such as '--- sample 2 of 3, seed 1 ---' "
        "(default: 1)",
    )


def _add_choice(parser: Parser) -> None:
    parser.add_argument(
        "--temperature",
        type=float,
        metavar="X",
        help="softmax temperature; below 1, likely characters become more likely, above 1 less (default: 1)",
    )
    parser.add_argument(
        "--top-k", type=int, metavar="K", help="choose among the K most likely characters only (default: among all)"
    )
    parser.add_argument("--argmax", action="store_true", help="always choose the most likely character")
    parser.add_argument(
        "--seed",
        type=int,
        metavar="N",
        help="seed of the random choices, at least 0; each further sample adds 1 (default: 0)",
    )


def _add_prime(parser: Parser) -> None:
    parser.add_argument(
        "--prime",
        metavar="TEXT",
        help="text to continue (default: none; the model starts as if after a line break)",
    )
    parser.add_argument(
        "--prime-file",
        metavar="FILE",
        type=Path,
        help="continue the text in this file instead, of at most 10 MB, its last line break included; UTF-8, or "
        "anything if the model reads bytes",
    )
    add_oov(parser, "the prime")


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    from minigrid.runs.checkpoint import read_checkpoint
    from minigrid.runs.given_text import text_of
    from minigrid.runs.sampling import Sampler, generate_ids
    from minigrid.runs.tasks import unit_of

    _check(options)
    choose(options)
    temperature = 1.0 if options.temperature is None else options.temperature
    sampler = Sampler(temperature=temperature, top_k=options.top_k, argmax=options.argmax)
    checkpoint = read_checkpoint(options.run)
    model, vocabulary = checkpoint.model(options.backend), checkpoint.vocabulary()
    prime, stop = _prime(options, vocabulary), _stop(options, vocabulary)
    _refuse_equal_samples(options, vocabulary, prime)
    with _opened(options, unit_of(vocabulary), checkpoint.files()) as (output, bar):
        for k in range(options.num_samples):
            seed = (options.seed or 0) + k
            ids = generate_ids(model, vocabulary, options.length, prime=prime, stop=stop, sampler=sampler, seed=seed)
            if options.num_samples > 1:
                output.write(f"--- sample {k + 1} of {options.num_samples}, seed {seed} ---\n")
            output.write(text_of(prime, vocabulary))
            _write(output, (text_of([id], vocabulary) for id in ids), bar)
            if vocabulary.tokens == "chars" or options.num_samples > 1 or (options.out is None and is_terminal()):
                output.end()  # a single sample of bytes stays as it is
    if options.out is not None:
        print(f"wrote {one_line(str(options.out))}")
    return 0


def _check(options: argparse.Namespace) -> None:
    """Refuse options that contradict each other or have no effect."""
    if options.prime is not None and options.prime_file is not None:
        raise UserError("`prime` and `prime_file` name two texts to continue: give only one of them")
    if options.oov == "skip" and options.prime is None and options.prime_file is None:
        raise UserError(
            "`skip_unknown` applies only to a prime: give one with `prime` or `prime_file`, or leave it out"
        )
    for name in ("temperature", "top_k"):
        if options.argmax and getattr(options, name) is not None:
            raise UserError(
                f"`{name}` has no effect with `argmax`, which always chooses the most likely character: leave out one "
                "of them"
            )
    if options.num_samples < 1:
        raise UserError(f"`num_samples` must be at least 1, not {options.num_samples}")


def _refuse_equal_samples(options: argparse.Namespace, vocabulary: "Vocabulary", prime: "np.ndarray") -> None:
    """Refuse several samples where nothing is left to chance."""
    from minigrid.runs.sampling import starts_at_random

    chance = not (options.argmax or options.top_k == 1) or (not len(prime) and starts_at_random(vocabulary))
    if options.num_samples > 1 and not chance:
        why = "`argmax`" if options.argmax else "`top_k` 1"
        raise UserError(f"`num_samples` with {why} would write the same text every time: leave out one of them")


def _prime(options: argparse.Namespace, vocabulary: "Vocabulary") -> "np.ndarray":
    from minigrid.cli.text_argument import argument_ids
    from minigrid.runs.given_text import ids_of, read_text

    skip = options.oov == "skip"
    if options.prime_file is None:
        return argument_ids(options.prime or "", "prime", vocabulary, skip)
    text = read_text(options.prime_file, "prime_file", vocabulary.tokens)
    return ids_of(text, vocabulary, "prime_file", skip)


def _stop(options: argparse.Namespace, vocabulary: "Vocabulary") -> "np.ndarray | None":
    from minigrid.cli.text_argument import argument_ids

    if options.stop is None:
        return None
    return argument_ids(options.stop, "stop", vocabulary, advice="it would never stop there, so give another text")


@contextlib.contextmanager
def _opened(options: argparse.Namespace, unit: str, inputs: Sequence[Path]) -> "Iterator[tuple[Output, tqdm | None]]":
    """Open the output, and a progress bar if it is a file."""
    if options.out is None:
        yield standard_output(), None
        return
    total = options.length * options.num_samples
    try:
        with (
            file_output(options.out, [*inputs, *filter(None, [options.prime_file])]) as output,
            progress_bar(total=total, desc="writing", unit=unit, leave=False) as bar,
        ):
            yield output, bar
    except KeyboardInterrupt:
        warnings.warn(f"interrupted, so nothing was written to {one_line(str(options.out))}", Notice, stacklevel=2)
        raise


def _write(output: Output, pieces: "Iterable[Text]", bar: "tqdm | None") -> None:
    """Write a sample as it is made; after Ctrl-C, end its last line."""
    try:
        for piece in pieces:
            output.write(piece)
            if bar is not None:
                bar.update()
    except KeyboardInterrupt:
        output.end()
        raise
