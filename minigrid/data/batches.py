"""A text cut into minibatches: B streams read side by side, T characters at a time."""

import math
from typing import NamedTuple

import numpy as np

from minigrid.errors import UserError

SPLITS = ("tail", "stripes")
LONG = 5000
"""Characters that a stream of :func:`whole_text` has at least, where there are as many."""


class TextBatches:
    """The minibatches of one part of a text.

    Stream b begins at character `b * stride` and is read T characters at a time, so that minibatch i + 1 goes
    on where minibatch i stopped and the state can be carried from one to the next.

    Parameters
    ----------
    ids : numpy.ndarray
        1-D array of character ids (may be memory-mapped).
    batch, steps : int
        B streams, T characters each per minibatch.
    stride : int
        Characters from the start of one stream to the start of the next.
    first, count : int
        The part of every stream that is read: minibatches first to first + count - 1.
    wrap : bool
        Whether the first character of the text succeeds the last character of the last stream. Otherwise
        that successor is at `batch * stride`, and what lies beyond the end of `ids` is not counted.
    """

    carries_state = True

    def __init__(
        self,
        ids: np.ndarray,
        batch: int,
        steps: int,
        *,
        stride: int,
        first: int,
        count: int,
        wrap: bool = False,
    ) -> None:
        self.batch = batch
        self.steps = steps
        self._ids = np.asarray(ids)  # of a memory map this is a view, not a copy
        self._first = first
        self._count = count
        self._wrap_at = batch * stride if wrap else None
        self._overhangs = not wrap and batch * stride >= len(ids)
        self._offsets = np.arange(steps + 1)[:, None] + stride * np.arange(batch)  # (T + 1, B)

    def __len__(self) -> int:
        """Minibatches per epoch."""
        return self._count

    def minibatch(self, epoch: int, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return one minibatch; any one can be asked for at any time.

        Parameters
        ----------
        epoch : int
            Every epoch reads the same text in the same order, so this changes nothing here.
        index : int
            From 0 to `len(self) - 1`.

        Returns
        -------
        x, y : numpy.ndarray
            int32, shape (T, B), contiguous: characters in, and the character after each of them; -1 for one that is
            not counted.

        Raises
        ------
        IndexError
            Where `index` is outside the epoch.
        """
        if not 0 <= index < self._count:
            raise IndexError(f"minibatch {index} of {self._count}")
        places = self._offsets + (self._first + index) * self.steps
        if self._wrap_at is not None:
            places %= self._wrap_at
        if not self._overhangs:
            window = self._ids[places].astype(np.int32)  # (T + 1, B)
            return window[:-1], window[1:].copy()  # a copy: writing into y must not change x
        window = self._ids[np.minimum(places, len(self._ids) - 1)].astype(np.int32)
        return window[:-1], np.where(places[1:] < len(self._ids), window[1:], np.int32(-1))


class Splits(NamedTuple):
    """The parts of a text; val or test is None where its fraction is 0."""

    train: TextBatches
    val: TextBatches | None
    test: TextBatches | None


def split_text(
    ids: np.ndarray,
    batch: int,
    steps: int,
    split: str = "tail",
    val_fraction: float = 0.05,
    test_fraction: float = 0.0,
) -> Splits:
    """Split a text into training, validation and test minibatches.

    Parameters
    ----------
    ids : numpy.ndarray
        1-D array of character ids.
    batch, steps : int
        B and T.
    split : {"tail", "stripes"}
        "tail" holds out the end of the text (train, val, test in that order), then cuts each part into B
        streams of whole minibatches and drops what does not fill one. Too short a held-out part is read in
        fewer streams, at worst in one stream of fewer steps. "stripes" cuts the whole text into B streams
        first and holds out the last minibatches of every stream, as grid-lstm and char-rnn do it; the very
        last target is the first character.
    val_fraction, test_fraction : float
        Held-out shares of the text, in [0, 1).

    Raises
    ------
    UserError
        Where the fractions leave nothing to train on, or the text is too short for B, T or a held-out part.
    """
    check_split(batch, steps, split, val_fraction, test_fraction)
    cut = _tail if split == "tail" else _stripes
    return cut(ids, batch, steps, val_fraction, test_fraction)


def check_split(batch: int, steps: int, split: str, val_fraction: float, test_fraction: float) -> None:
    """Raise a UserError where :func:`split_text` could not cut any text like this."""
    if split not in SPLITS:
        raise UserError(f"the split is {' or '.join(SPLITS)}, not {split!r}: choose one of the two.")
    if batch < 1 or steps < 1:
        raise UserError(f"--batch {batch} --steps {steps} holds no characters: both must be at least 1.")
    if not (0 <= val_fraction < 1 and 0 <= test_fraction < 1 and val_fraction + test_fraction < 1):
        raise UserError(
            f"--val-fraction {val_fraction:g} and --test-fraction {test_fraction:g} leave no training text: "
            "each must be at least 0, and their sum below 1."
        )


def whole_text(ids: np.ndarray, batch: int, steps: int) -> TextBatches:
    """Cut all of a text into at most B streams, which are long: a stream begins without knowing what was before it.

    Every character but the first is predicted once. What fills the last minibatches up is not counted.

    Raises
    ------
    UserError
        Where it has a single character, with none to predict.
    """
    targets = len(ids) - 1
    if targets < 1:
        raise UserError("fewer than 2 characters that the model knows leave none to predict: give another text")
    batch, steps = max(1, min(batch, targets // LONG)), min(steps, targets)
    count = math.ceil(targets / (batch * steps))
    return TextBatches(ids, batch, steps, stride=count * steps, first=0, count=count)


def _tail(ids: np.ndarray, batch: int, steps: int, val_fraction: float, test_fraction: float) -> Splits:
    val_size, test_size = round(len(ids) * val_fraction), round(len(ids) * test_fraction)
    val_start = len(ids) - val_size - test_size
    test_start = len(ids) - test_size
    train = ids[:val_start]
    val = _held_out("validation", "--val-fraction", ids[val_start:test_start], batch, steps) if val_fraction else None
    test = _held_out("test", "--test-fraction", ids[test_start:], batch, steps) if test_fraction else None
    needed = batch * steps + 1
    if len(train) < needed:
        raise _too_short(f"the training part has {len(train)} characters", len(train), needed, batch, steps)
    return Splits(_streams(train, batch, steps), val, test)


def _streams(part: np.ndarray, batch: int, steps: int) -> TextBatches:
    count = (len(part) - 1) // (batch * steps)  # the last target needs a character of its own
    return TextBatches(part, batch, steps, stride=count * steps, first=0, count=count)


def _held_out(name: str, flag: str, part: np.ndarray, batch: int, steps: int) -> TextBatches:
    if len(part) < 2:
        raise UserError(
            f"the {name} part has fewer than the 2 characters it needs ({len(part)}): "
            f"give a longer text, a larger {flag}, or {flag} 0 for none."
        )
    targets = len(part) - 1
    steps = min(steps, targets)
    return _streams(part, min(batch, targets // steps), steps)


def _stripes(ids: np.ndarray, batch: int, steps: int, val_fraction: float, test_fraction: float) -> Splits:
    # 1 - 0.05 - 0.1 is not the float 0.85; the program multiplies by the share as written.
    train_fraction = round(1 - val_fraction - test_fraction, 12)
    total = len(ids) // (batch * steps)
    train = math.floor(total * train_fraction)
    if train < 1:
        per_stream = math.ceil(1 / train_fraction)  # the fewest minibatches of which one is for training
        has = f"the text has {len(ids)} characters"
        raise _too_short(has, len(ids) // per_stream + 1, per_stream * batch * steps, batch, steps)
    val = math.floor(total * val_fraction) if test_fraction else total - train
    if val_fraction and not val:
        raise UserError(
            f"--val-fraction {val_fraction:g} of {total} minibatches is less than one: "
            "give a larger fraction, a longer text, or smaller --batch or --steps."
        )

    def part(first: int, count: int) -> TextBatches:
        return TextBatches(ids, batch, steps, stride=total * steps, first=first, count=count, wrap=True)

    return Splits(
        part(0, train),
        part(train, val) if val_fraction else None,
        part(train + val, total - train - val) if test_fraction else None,
    )


def _too_short(has: str, available: int, needed: int, batch: int, steps: int) -> UserError:
    """Compose the error that suggests sizes which fit into `available` characters."""
    message = f"{has}, fewer than the {needed} that --batch {batch} --steps {steps} need; "
    targets = available - 1
    if targets < 1:
        return UserError(message + "give a longer text.")
    # A quarter of the streams that just fit leaves some minibatches to carry the state through.
    fits = (max(1, targets // steps // 4), steps) if targets >= steps else (1, targets)
    return UserError(message + f"--batch {fits[0]} --steps {fits[1]} would fit.")
