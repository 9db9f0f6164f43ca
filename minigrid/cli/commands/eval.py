"""``minigrid eval``: measure how well a trained model predicts a part of its run's text, or another text."""

import argparse
import math
import sys
from typing import TYPE_CHECKING

from minigrid.cli.options import TRAINED, add_backend, add_oov, choose
from minigrid.cli.parser import Parser
from minigrid.cli.terminal import one_line
from minigrid.errors import NotFiniteError, UserError
from minigrid.progress import progress_bar

if TYPE_CHECKING:
    import numpy as np

    from minigrid.backend.ranks import Ranks
    from minigrid.data.vocabulary import Vocabulary
    from minigrid.nn.model import CharModel
    from minigrid.runs.checkpoint import Checkpoint
    from minigrid.runs.evaluation import Evaluation
    from minigrid.runs.tasks import Batches

HELP = "measure how well a trained model predicts a part of its run's text, or another text"


def add_options(parser: Parser) -> None:
    """Add the options of the command."""
    parser.add_argument("run", metavar="RUN", help=TRAINED)
    parser.add_argument("--part", choices=("train", "val", "test"), help="part of the run's text (default: val)")
    parser.add_argument(
        "--data", metavar="PATH", help="read all of another text instead: a file, or a folder that holds an input.txt"
    )
    parser.add_argument(
        "--text",
        metavar="TEXT",
        help="read this text instead, in one piece; its first character is read, but not predicted or counted",
    )
    parser.add_argument(
        "--per-character",
        action="store_true",
        help="read `text` or `data` in one piece and print a table with tabs between its columns: the position (the "
        "first character has position 1 and no line), the character (as a code such as U+000A or 0xC3 if it would not "
        "show), its probability from 0 to 1, and -ln of that in nats, whose mean is the loss; the summary goes to "
        "standard error",
    )
    add_oov(parser, "the text")
    add_backend(parser)
    parser.flags["init_from"] = "--init-from"  # of another command, in a message on a text that has changed


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    from minigrid.cli.launch import launched_ranks, refuse_launch
    from minigrid.runs.checkpoint import read_checkpoint

    _check(options)
    if options.per_character or options.text is not None:
        refuse_launch("reading a text in one piece")
        choose(options)
        _measure_in_one_piece(options, read_checkpoint(options.run))
        return 0
    with launched_ranks(options) as ranks:
        choose(options, ranks)
        _measure(options, ranks)
    return 0


def _check(options: argparse.Namespace) -> None:
    """Refuse options that contradict each other or have no effect."""
    chosen = [name for name in ("part", "data", "text") if getattr(options, name) is not None]
    if len(chosen) > 1:
        raise UserError(f"`{chosen[0]}` and `{chosen[1]}` name two texts to read: give only one of them")
    if options.oov == "skip" and chosen in ([], ["part"]):
        raise UserError("`skip_unknown` applies only to another text: give one with `data` or `text`, or leave it out")
    if options.per_character and chosen in ([], ["part"]):
        raise UserError(
            "`per_character` needs a text to read in one piece, but a part of a run's text is read in many streams: "
            "name a text with `data` or `text`"
        )


def _measure(options: argparse.Namespace, ranks: "Ranks") -> None:
    """Read a text in many streams, and print the result."""
    from minigrid.runs.evaluation import evaluate

    model, batches, vocabulary = ranks.first_then_others(_model_and_text, options)
    if ranks.count > 1:
        ranks.require_same(_digests(model, batches))
    with progress_bar(total=len(batches), desc="reading", unit="minibatch", leave=False) as bar:
        result = evaluate(model, batches, progress=lambda done: bar.update(done - bar.n), ranks=ranks)
    ranks.each(_require_finite, result)
    print(_summary(options.data or options.part or "val", result, vocabulary))


def _model_and_text(options: argparse.Namespace) -> "tuple[CharModel, Batches, Vocabulary]":
    from minigrid.runs.checkpoint import read_checkpoint
    from minigrid.runs.tasks import task_of, text_batches

    checkpoint, part = read_checkpoint(options.run), options.part or "val"
    if options.data is not None:
        batches = text_batches(checkpoint, options.data, skip_unknown=options.oov == "skip")
    else:
        batches = getattr(task_of(checkpoint), part)
    if batches is None:
        raise UserError(f"the run {options.run} held nothing out as {part}: choose another `part`")
    return checkpoint.model(options.backend), batches, checkpoint.vocabulary()


def _digests(model: "CharModel", batches: "Batches") -> dict[str, object]:
    """Return what must be the same in all processes that share an evaluation."""
    from zlib import crc32

    from minigrid.backend import to_host

    text = 0
    for index in range(len(batches)):
        text = crc32(batches.minibatch(0, index)[0].data, text)
    return {"the text": (len(batches), text), "the checkpoint": crc32(to_host(model.params.flat).data)}


def _require_finite(result: "Evaluation") -> None:
    if not math.isfinite(result.loss):
        raise NotFiniteError


def _measure_in_one_piece(options: argparse.Namespace, checkpoint: "Checkpoint") -> None:
    """Read a text in one piece, and print the result, with a table if the user wants one."""
    from minigrid.cli.text_argument import argument_ids
    from minigrid.runs.evaluation import Evaluation
    from minigrid.runs.tasks import text_ids

    vocabulary, skip = checkpoint.vocabulary(), options.oov == "skip"
    if options.text is not None:
        name, ids = "text", argument_ids(options.text, "text", vocabulary, skip)
    else:
        name, ids = options.data, text_ids(checkpoint, options.data, skip)
    if len(ids) < 2:
        raise UserError(
            f"{options.data or '`text`'} has fewer than 2 characters that the model knows, and the first one is not "
            "predicted: give a longer text"
        )
    nats = _read(checkpoint.model(options.backend), ids, vocabulary, options.per_character)
    result = Evaluation(nats / (len(ids) - 1), len(ids) - 1, None)
    print(_summary(name, result, vocabulary), file=sys.stderr if options.per_character else sys.stdout)


def _read(model: "CharModel", ids: "np.ndarray", vocabulary: "Vocabulary", per_character: bool) -> float:
    """Return the sum of -ln p over all ids but the first; print the table while reading if `per_character`."""
    from minigrid.cli import character_table
    from minigrid.runs.evaluation import surprisals
    from minigrid.runs.tasks import unit_of

    if per_character:
        print(character_table.header(unit_of(vocabulary)), end="")
    total, position = 0.0, 1  # the first character has position 1 and is not predicted
    for nats in surprisals(model, ids):
        if per_character:
            predicted = ids[position : position + len(nats)]
            print(character_table.rows(predicted, nats, position + 1, vocabulary), end="")
        total += float(nats.sum())
        position += len(nats)
    return total


def _summary(name: str, result: "Evaluation", vocabulary: "Vocabulary") -> str:
    from minigrid.runs.evaluation import bits, perplexity
    from minigrid.runs.tasks import unit_of

    unit = unit_of(vocabulary)
    line = (
        f"{one_line(name)}: loss {result.loss:.4f} nats, {bits(result.loss):.4f} bits per {unit}, "
        f"perplexity {perplexity(result.loss):.5g}, over {result.targets:,} {unit}{'s' * (result.targets != 1)}"
    )
    if result.score is not None:
        line += f"; digits right {result.score.digit_share:.2%}, answers right {result.score.answer_share:.2%}"
    return line
