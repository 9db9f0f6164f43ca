"""A text cut into minibatches: B streams, read in parallel, T characters at a time."""

import math
from typing import NamedTuple

import numpy as np

from minigrid.errors import UserError, shown

SPLITS = ("tail", "stripes")
LONG = 5000
"""Minimum length of a stream of :func:`whole_text`, in characters; a shorter text is one stream."""


class TextBatches:
    """The minibatches of one part of a text.

    Stream b begins at character `b * stride` and is read T characters at a time. Minibatch i + 1 continues where
    minibatch i stopped, so the state can be carried from one to the next.

    Parameters
    ----------
    ids : numpy.ndarray
        1-D array of character ids, which may be memory-mapped.
    batch, steps : int
        Number of streams B, and number of time steps T in a minibatch.
    stride : int
        Distance between the starts of neighbouring streams, in characters.
    first, count : int
        The part of every stream to read: minibatches `first` to `first + count - 1`.
    wrap : bool
        Whether the last character of the last stream is followed by the first character of the text. Otherwise it is
        followed by character `batch * stride`, and targets beyond the end of `ids` are not counted.

    Attributes
    ----------
    batch, steps : int
        As given.
    carries_state : bool
        True: a minibatch continues where the one before it stopped.
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
        self._ids = np.asarray(ids)  # a view of a memory map, not a copy
        self._first = first
        self._count = count
        self._wrap_at = batch * stride if wrap else None
        self._overhangs = not wrap and batch * stride >= len(ids)
        self._offsets = np.arange(steps + 1)[:, None] + stride * np.arange(batch)  # (T + 1, B)

    def __len__(self) -> int:
        """Return the number of minibatches in an epoch."""
        return self._count

    def minibatch(self, epoch: int, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return one minibatch; you may request them in any order.

        Parameters
        ----------
        epoch : int
            Not used: every epoch reads the same text in the same order.
        index : int
            Number of the minibatch in its epoch, from 0 to `len(self) - 1`.

        Returns
        -------
        x, y : numpy.ndarray
            Input ids and target ids, int32, shape (T, B), contiguous. The target is the character that follows the
            input, or -1 if it is not counted.

        Raises
        ------
        IndexError
            If `index` is outside the epoch.
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
    """The parts of a text; `val` or `test` is None if its fraction is 0."""

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
        Number of streams B, and number of time steps T in a minibatch.
    split : {"tail", "stripes"}
        "tail" holds out the end of the text: training, validation and test part follow in this order. Each part is
        then cut into B streams of whole minibatches, and the characters that do not fill a minibatch are dropped. A
        held-out part that is too short for this is read in fewer streams, or in a single stream with fewer steps.

        "stripes" cuts the whole text into B streams first and holds out the last minibatches of every stream, as
        grid-lstm and char-rnn do. The target of the very last character is the first one.
    val_fraction, test_fraction : float
        Fractions of the text to hold out, in [0, 1).

    Returns
    -------
    Splits

    Raises
    ------
    UserError
        If the fractions leave nothing to train on, or the text is too short for B, T or a held-out part.
    """
    check_split(batch, steps, split, val_fraction, test_fraction)
    cut = _tail if split == "tail" else _stripes
    return cut(ids, batch, steps, val_fraction, test_fraction)


def check_split(batch: int, steps: int, split: str, val_fraction: float, test_fraction: float) -> None:
    """Raise a UserError if no text at all could be split with these arguments of :func:`split_text`."""
    if split not in SPLITS:
        raise UserError(f"`split` must be {' or '.join(SPLITS)}, not {shown(split)}.")
    if batch < 1 or steps < 1:
        raise UserError(f"`batch` {batch} and `steps` {steps} leave a minibatch empty: both must be at least 1.")
    if not (0 <= val_fraction < 1 and 0 <= test_fraction < 1 and val_fraction + test_fraction < 1):
        raise UserError(
            f"`val_fraction` {val_fraction:g} and `test_fraction` {test_fraction:g} leave no training text: "
            "each must be at least 0, and their sum less than 1."
        )


def whole_text(ids: np.ndarray, batch: int, steps: int) -> TextBatches:
    """Cut a text, none of it held out, into at most B streams.

    Every character but the first is a target exactly once; the padding of the last minibatches is not counted. The
    streams have at least `LONG` characters if the text is long enough, because each starts without any context.

    Parameters
    ----------
    ids : numpy.ndarray
        1-D array of character ids.
    batch, steps : int
        The largest number of streams B, and the largest number of time steps T in a minibatch.

    Raises
    ------
    UserError
        If the text has fewer than 2 characters.
    """
    targets = len(ids) - 1
    if targets < 1:
        raise UserError("the text has fewer than 2 characters that the model knows: give a longer one, or another one")
    batch, steps = max(1, min(batch, targets // LONG)), min(steps, targets)
    count = math.ceil(targets / (batch * steps))
    return TextBatches(ids, batch, steps, stride=count * steps, first=0, count=count)


def _tail(ids: np.ndarray, batch: int, steps: int, val_fraction: float, test_fraction: float) -> Splits:
    val_size, test_size = round(len(ids) * val_fraction), round(len(ids) * test_fraction)
    val_start = len(ids) - val_size - test_size
    test_start = len(ids) - test_size
    train = ids[:val_start]
    val = _held_out("validation", "val_fraction", ids[val_start:test_start], batch, steps) if val_fraction else None
    test = _held_out("test", "test_fraction", ids[test_start:], batch, steps) if test_fraction else None
    needed = batch * steps + 1
    if len(train) < needed:
        raise _too_short(f"the training part has {len(train)} characters", len(train), needed, batch, steps)
    return Splits(_streams(train, batch, steps), val, test)


def _streams(part: np.ndarray, batch: int, steps: int) -> TextBatches:
    count = (len(part) - 1) // (batch * steps)  # the last target needs a character of its own
    return TextBatches(part, batch, steps, stride=count * steps, first=0, count=count)


def _held_out(name: str, fraction: str, part: np.ndarray, batch: int, steps: int) -> TextBatches:
    if len(part) < 2:
        raise UserError(
            f"the {name} part needs at least 2 characters and has {len(part)}: "
            f"give a longer text or a larger `{fraction}`, or set `{fraction}` to 0 for no {name} part."
        )
    targets = len(part) - 1
    steps = min(steps, targets)
    return _streams(part, min(batch, targets // steps), steps)


def _stripes(ids: np.ndarray, batch: int, steps: int, val_fraction: float, test_fraction: float) -> Splits:
    # As floats, 1 - 0.05 - 0.1 is not 0.85; the Torch programs multiply by the fraction as it is written.
    train_fraction = round(1 - val_fraction - test_fraction, 12)
    total = len(ids) // (batch * steps)
    train = math.floor(total * train_fraction)
    if train < 1:
        per_stream = math.ceil(1 / train_fraction)  # the smallest number that leaves one for training
        has = f"the text has {len(ids)} characters"
        raise _too_short(has, len(ids) // per_stream + 1, per_stream * batch * steps, batch, steps)
    val = math.floor(total * val_fraction) if test_fraction else total - train
    if val_fraction and not val:
        raise UserError(
            f"`val_fraction` {val_fraction:g} of {total} minibatches is less than one: "
            "give a larger fraction, a longer text, or a smaller `batch` or `steps`."
        )

    def part(first: int, count: int) -> TextBatches:
        return TextBatches(ids, batch, steps, stride=total * steps, first=first, count=count, wrap=True)

    return Splits(
        part(0, train),
        part(train, val) if val_fraction else None,
        part(train + val, total - train - val) if test_fraction else None,
    )


def _too_short(has: str, available: int, needed: int, batch: int, steps: int) -> UserError:
    """Return the error for too short a text; it suggests sizes that fit `available` characters."""
    message = f"{has}, fewer than the {needed} that `batch` {batch} and `steps` {steps} need; "
    targets = available - 1
    if targets < 1:
        return UserError(message + "give a longer text.")
    # A quarter of the streams that would just fit, so that there are several minibatches to carry the state through.
    fits = (max(1, targets // steps // 4), steps) if targets >= steps else (1, targets)
    return UserError(message + f"`batch` {fits[0]} and `steps` {fits[1]} would fit.")
