"""The addition task: fresh problems for training, a fixed held-out set for validation, and the score.

A problem is the line ``12+34=046`` and its newline: both operands zero-padded to n digits, the sum to n + 1,
most significant digit first. The model reads the line character by character and is asked for nothing before
the answer.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np

from minigrid.data.vocabulary import Vocabulary
from minigrid.errors import UserError

MAX_DIGITS = 18
"""The longest operands: 19 digits would need numbers of up to 2 * 10**19, and int64 ends at 9.2 * 10**18."""

TRAIN_MINIBATCHES = 1000
"""Minibatches in one epoch of training."""

VALIDATION_SAMPLE = 2000
"""Validation problems where the held-out pairs are too many to take them all (n > 2)."""

_NOT_COUNTED = -1
_VOCABULARY = Vocabulary.from_text("\n+=0123456789", tokens="chars")
_DIGIT_IDS = _VOCABULARY.encode("0123456789")
_PLUS, _EQUALS, _NEWLINE = _VOCABULARY.encode("+=\n")
_STREAM = int.from_bytes(b"addition", "big")  # keeps these random numbers apart from others of the same seed


class AdditionScore(NamedTuple):
    """Counts, so that the scores of several minibatches add up field by field."""

    digits_right: int
    digits_counted: int
    answers_right: int
    answers_counted: int

    @property
    def digit_share(self) -> float:
        """The share of the digits that are right, from 0 to 1; 0 where none was counted."""
        return self.digits_right / max(self.digits_counted, 1)

    @property
    def answer_share(self) -> float:
        """The share of the answers that are right in every digit, from 0 to 1; 0 where none was counted."""
        return self.answers_right / max(self.answers_counted, 1)


def vocabulary() -> Vocabulary:
    r"""Return the vocabulary of the task: the 13 symbols ``\n + 0 ... 9 =``."""
    return _VOCABULARY


def held_out(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Say which pairs of operands belong to the validation and are never trained on: about 5 % of them.

    The choice depends on the two numbers alone: not on the seed, not on the number of digits, and not on the
    order of the two, since a model that was trained on 34+12 has nearly been told 12+34.

    The hash, modulo 2**64: the smaller and the larger operand, each times an odd constant of its own, are
    added; then, twice, the upper half is xored onto the lower and the whole multiplied by a third odd
    constant, which carries every bit of the operands into the upper bits. The pairs whose hash lies in the
    lowest twentieth of its range are held out. The constants are arbitrary, but for this: the third is the
    first one found that holds out 5 % of the 100 pairs of one digit too, where chance alone would scatter.

    Parameters
    ----------
    a, b : numpy.ndarray of int64
        Operands, of the same shape, not negative.

    Returns
    -------
    numpy.ndarray of bool
        Of the same shape.
    """
    low = np.minimum(a, b).astype(np.uint64)
    high = np.maximum(a, b).astype(np.uint64)
    mixed = low * np.uint64(0xB0538E0D0A71698B) + high * np.uint64(0x904B401E9F37A175)
    for _ in range(2):
        mixed = (mixed ^ (mixed >> np.uint64(32))) * np.uint64(0x3F98E2774CBD87AD)
    return mixed < np.uint64(2**64 // 20)


class AdditionBatches:
    """Minibatches of addition problems, each of them whole: the state starts from zero at every minibatch.

    Parameters
    ----------
    digits : int
        Length n of the operands, 1 to `MAX_DIGITS`.
    batch : int
        Problems per minibatch (B), at least 1.
    seed : int
        Which training problems are drawn. The validation is the same for every seed.
    part : {"train", "val"}
        "train": every minibatch holds fresh problems, none of them held out. "val": the held-out pairs, each
        exactly once: all of them for n <= 2, a fixed sample of `VALIDATION_SAMPLE` for larger n.

    Attributes
    ----------
    digits, batch : int
        As given.
    steps : int
        Time steps of a minibatch, T = 3n + 3.
    carries_state : bool
        False: no minibatch goes on where another ended.

    Raises
    ------
    UserError
        If `digits` or `batch` is out of range.
    ValueError
        If `part` is neither "train" nor "val".
    """

    carries_state = False

    def __init__(self, digits: int, batch: int, *, seed: int = 0, part: Literal["train", "val"] = "train") -> None:
        if not 1 <= digits <= MAX_DIGITS:
            raise UserError(
                f"Addition of {digits}-digit numbers is not possible: set digits (--digits) between 1 and "
                f"{MAX_DIGITS}, so that every sum fits a 64-bit integer."
            )
        if batch < 1:
            raise UserError(f"A minibatch of {batch} addition problems is empty: set batch (--batch) to at least 1.")
        if part not in ("train", "val"):
            raise ValueError(f"part must be 'train' or 'val', not {part!r}")
        self.digits = digits
        self.batch = batch
        self.steps = 3 * digits + 3
        self._seed = seed
        self._pairs = _validation_pairs(digits) if part == "val" else None

    def __len__(self) -> int:
        """Count the minibatches of one epoch."""
        return TRAIN_MINIBATCHES if self._pairs is None else -(-len(self._pairs[0]) // self.batch)

    def minibatch(self, epoch: int, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return one minibatch, the same for the same arguments, in whatever order they are asked for.

        Parameters
        ----------
        epoch : int
            Counted from 0. A validation minibatch is the same in every epoch.
        index : int
            Which minibatch of the epoch, 0 to len(self) - 1.

        Returns
        -------
        x : numpy.ndarray of int32, shape (T, B)
            The lines without their newlines, one problem per column.
        y : numpy.ndarray of int32, shape (T, B)
            The lines from their second characters on; -1 (not counted) before the answer's first digit. The
            newline that ends the answer is counted. The last validation minibatch is filled up with columns
            of 0+0 in which every target is -1.

        Raises
        ------
        IndexError
            If there is no minibatch `index` in an epoch.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"minibatch {index} of an epoch of {len(self)}")
        if self._pairs is None:
            return _encode(*self._fresh_pairs(epoch, index), self.digits)
        chosen = slice(index * self.batch, (index + 1) * self.batch)
        a, b = (operands[chosen] for operands in self._pairs)
        padding = self.batch - len(a)
        x, y = _encode(np.pad(a, (0, padding)), np.pad(b, (0, padding)), self.digits)
        y[:, len(a) :] = _NOT_COUNTED
        return x, y

    def _fresh_pairs(self, epoch: int, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw B pairs that are not held out; each (epoch, index) has 2**128 counter values to itself."""
        generator = _generator(self._seed, counter=(0, 0, index, epoch))
        a, b = _draw(generator, self.batch, self.digits)
        while (reject := held_out(a, b)).any():
            a[reject], b[reject] = _draw(generator, int(reject.sum()), self.digits)
        return a, b


def accuracy(logits: np.ndarray, y: np.ndarray) -> AdditionScore:
    """Count the digits and the whole answers that the most likely characters get right.

    Every prediction is made with the right characters before it (teacher forcing). For a whole answer that is
    no advantage: as long as all digits so far are right, a greedy generation has fed back the same
    characters, so an answer is right here exactly if it is right when it is generated greedily. For the
    single digits it is one.

    Parameters
    ----------
    logits : numpy.ndarray, shape (T, B, V)
        On the host.
    y : numpy.ndarray of int, shape (T, B)
        Targets of `AdditionBatches.minibatch`. The newline is not a digit and not counted; neither are
        columns without a counted target.

    Returns
    -------
    AdditionScore
    """
    is_digit = np.isin(y, _DIGIT_IDS)
    right = logits.argmax(axis=-1) == y
    is_answer = is_digit.any(axis=0)
    answer_right = is_answer & (right | ~is_digit).all(axis=0)
    return AdditionScore(
        digits_right=int((right & is_digit).sum()),
        digits_counted=int(is_digit.sum()),
        answers_right=int(answer_right.sum()),
        answers_counted=int(is_answer.sum()),
    )


def solved_examples(write: Callable[..., str], digits: int, count: int = 3) -> str:
    """Ask a model for the answers to the first held-out problems.

    Parameters
    ----------
    write : callable
        ``write(length, prime="12+34=", argmax=True)`` returns the `length` characters with which the model goes on.
    digits : int
        Length n of the operands, as the model was trained on.
    count : int
        How many problems; there are but 5 of one digit.

    Returns
    -------
    str
        A line per problem, without a newline at the very end: ``12+34=046 right``, or ``12+34=047 wrong (046)``. An
        answer that the model itself ends too early is shown as far as it goes.
    """
    lines = []
    for a, b in zip(*(operands[:count].tolist() for operands in _validation_pairs(digits)), strict=True):
        question = f"{a:0{digits}d}+{b:0{digits}d}="
        expected = f"{a + b:0{digits + 1}d}"
        answer = write(digits + 1, prime=question, argmax=True).split("\n")[0]
        lines.append(f"{question}{answer} right" if answer == expected else f"{question}{answer} wrong ({expected})")
    return "\n".join(lines)


def _encode(a: np.ndarray, b: np.ndarray, digits: int) -> tuple[np.ndarray, np.ndarray]:
    """Turn operands of shape (B,) into x and y of shape (T, B)."""
    line = np.empty((3 * digits + 4, len(a)), np.int32)  # (T + 1, B)
    line[:digits] = _DIGIT_IDS[_digits(a, digits)]
    line[digits] = _PLUS
    line[digits + 1 : 2 * digits + 1] = _DIGIT_IDS[_digits(b, digits)]
    line[2 * digits + 1] = _EQUALS
    line[2 * digits + 2 : -1] = _DIGIT_IDS[_digits(a + b, digits + 1)]
    line[-1] = _NEWLINE
    x, y = line[:-1], line[1:].copy()
    y[: 2 * digits + 1] = _NOT_COUNTED
    return x, y


def _digits(numbers: np.ndarray, count: int) -> np.ndarray:
    """Take numbers (B,) apart into their last `count` decimal digits, most significant first: (count, B)."""
    powers = 10 ** np.arange(count - 1, -1, -1, dtype=np.int64)
    return numbers // powers[:, None] % 10


def _generator(seed: int, counter: tuple[int, int, int, int]) -> np.random.Generator:
    key = np.array([seed % 2**64, _STREAM], np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=np.array(counter, np.uint64)))


def _draw(generator: np.random.Generator, count: int, digits: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw `count` pairs uniformly from all pairs of `digits`-digit operands."""
    a, b = generator.integers(10**digits, size=(2, count))
    return a, b


def _validation_pairs(digits: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the operands of the validation problems, without repetition."""
    if digits <= 2:
        a, b = np.divmod(np.arange(10 ** (2 * digits), dtype=np.int64), 10**digits)
        chosen = held_out(a, b)
        return a[chosen], b[chosen]
    generator = _generator(seed=0, counter=(0, 0, 0, 0))
    # One in twenty is held out, so this finds half as many again as are needed.
    pairs = np.stack(_draw(generator, 30 * VALIDATION_SAMPLE, digits), axis=1)  # (candidates, 2)
    pairs = pairs[held_out(pairs[:, 0], pairs[:, 1])]
    _, first = np.unique(pairs, axis=0, return_index=True)
    # In the order drawn: in sorted order, the sample would be the smallest operands only.
    a, b = pairs[np.sort(first)[:VALIDATION_SAMPLE]].T
    return a, b
