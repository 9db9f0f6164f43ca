"""The addition task: fresh problems for training, a fixed held-out set for validation, and the score.

A problem is the line ``12+34=046`` with its newline: both operands zero-padded to n digits, the sum to n + 1 digits,
most significant digit first. The model reads the line character by character; only its predictions of the answer
count.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np

from minigrid.data.vocabulary import Vocabulary
from minigrid.errors import UserError

MAX_DIGITS = 18
"""The longest operands. With 19 digits, sums of up to 2 * 10**19 would exceed int64, which ends at 9.2 * 10**18."""

TRAIN_MINIBATCHES = 1000
"""Minibatches in one epoch of training."""

VALIDATION_SAMPLE = 2000
"""Number of validation problems for n > 2, where there are too many held-out pairs to use them all."""

_NOT_COUNTED = -1
_VOCABULARY = Vocabulary.from_text("\n+=0123456789", tokens="chars")
_DIGIT_IDS = _VOCABULARY.encode("0123456789")
_PLUS, _EQUALS, _NEWLINE = _VOCABULARY.encode("+=\n")
_STREAM = int.from_bytes(b"addition", "big")  # other generators with the same seed draw other numbers


class AdditionScore(NamedTuple):
    """Counts of right answers; the scores of several minibatches can be added field by field."""

    digits_right: int
    digits_counted: int
    answers_right: int
    answers_counted: int

    @property
    def digit_share(self) -> float:
        """The fraction of digits that are right, from 0 to 1; 0 if none was counted."""
        return self.digits_right / max(self.digits_counted, 1)

    @property
    def answer_share(self) -> float:
        """The fraction of answers with every digit right, from 0 to 1; 0 if none was counted."""
        return self.answers_right / max(self.answers_counted, 1)


def vocabulary() -> Vocabulary:
    r"""Return the vocabulary of the task, the 13 symbols ``\n + 0 ... 9 =``."""
    return _VOCABULARY


def held_out(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return which pairs of operands are held out for validation and never trained on, about 5 % of all pairs.

    The choice depends on the two numbers only. It does not depend on the seed or on the number of digits, nor on the
    order of the operands: a model trained on 34+12 would find 12+34 too easy.

    A pair is held out if its hash is in the lowest twentieth of the range. The hash is computed modulo 2**64.
    Multiply the smaller and the larger operand by an odd constant each and add the products. Then, twice, xor the
    upper half onto the lower half and multiply by a third odd constant; this spreads every bit of the operands to the
    upper bits. The first two constants are arbitrary. The third is the first one found that also holds out 5 % of
    the 100 pairs of one digit; with so few pairs, chance alone could miss that by far.

    Parameters
    ----------
    a, b : numpy.ndarray of int64
        Operands of the same shape, at least 0.

    Returns
    -------
    numpy.ndarray of bool
        True for a held-out pair; the shape of `a` and `b`.
    """
    low = np.minimum(a, b).astype(np.uint64)
    high = np.maximum(a, b).astype(np.uint64)
    mixed = low * np.uint64(0xB0538E0D0A71698B) + high * np.uint64(0x904B401E9F37A175)
    for _ in range(2):
        mixed = (mixed ^ (mixed >> np.uint64(32))) * np.uint64(0x3F98E2774CBD87AD)
    return mixed < np.uint64(2**64 // 20)


class AdditionBatches:
    """Minibatches of complete addition problems, so the state starts from zero at every minibatch.

    Parameters
    ----------
    digits : int
        Number of digits n of the operands, from 1 to `MAX_DIGITS`.
    batch : int
        Number of problems B in a minibatch, at least 1.
    seed : int
        Seed of the training problems. The validation problems are the same for every seed.
    part : {"train", "val"}
        "train": every minibatch contains fresh problems, none of them held out. "val": held-out pairs, each exactly
        once; for n <= 2 all of them, for larger n a fixed sample of `VALIDATION_SAMPLE` pairs.

    Attributes
    ----------
    digits, batch : int
        As given.
    steps : int
        Number of time steps in a minibatch, T = 3n + 3.
    carries_state : bool
        False: no minibatch continues another.

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
                f"`digits` must be between 1 and {MAX_DIGITS}, not {digits}: longer sums do not fit a 64-bit integer."
            )
        if batch < 1:
            raise UserError(f"`batch` must be at least 1, not {batch}: a minibatch needs a problem.")
        if part not in ("train", "val"):
            raise ValueError(f"part must be 'train' or 'val', not {part!r}")
        self.digits = digits
        self.batch = batch
        self.steps = 3 * digits + 3
        self._seed = seed
        self._pairs = _validation_pairs(digits) if part == "val" else None

    def __len__(self) -> int:
        """Return the number of minibatches in an epoch."""
        return TRAIN_MINIBATCHES if self._pairs is None else -(-len(self._pairs[0]) // self.batch)

    def minibatch(self, epoch: int, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return one minibatch; the same arguments give the same minibatch, in any order of calls.

        Parameters
        ----------
        epoch : int
            Number of the epoch, from 0. A validation minibatch is the same in every epoch.
        index : int
            Number of the minibatch in its epoch, from 0 to `len(self) - 1`.

        Returns
        -------
        x : numpy.ndarray of int32, shape (T, B)
            The lines without their newlines, one problem per column.
        y : numpy.ndarray of int32, shape (T, B)
            The targets: each line from its second character on, with -1 (not counted) before the first digit of the
            answer. The newline after the answer counts. The last validation minibatch is padded with columns of 0+0
            in which every target is -1.

        Raises
        ------
        IndexError
            If `index` is outside the epoch.
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
        """Draw B pairs that are not held out; each (epoch, index) has 2**128 counter values of its own."""
        generator = _generator(self._seed, counter=(0, 0, index, epoch))
        a, b = _draw(generator, self.batch, self.digits)
        while (reject := held_out(a, b)).any():
            a[reject], b[reject] = _draw(generator, int(reject.sum()), self.digits)
        return a, b


def accuracy(logits: np.ndarray, y: np.ndarray) -> AdditionScore:
    """Count the digits and the whole answers that the model's most likely characters get right.

    Every prediction sees the right characters before it (teacher forcing). This makes single digits easier, but not
    whole answers: as long as all digits so far are right, greedy generation feeds back these same characters. So an
    answer is right here if and only if greedy generation gets it right.

    Parameters
    ----------
    logits : numpy.ndarray, shape (T, B, V)
        Logits, on the host.
    y : numpy.ndarray of int, shape (T, B)
        Targets of :meth:`AdditionBatches.minibatch`. The newline is not a digit and does not count, nor do columns
        in which every target is -1.

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
    """Let a model solve the first held-out problems.

    Parameters
    ----------
    write : callable
        ``write(length, prime="12+34=", argmax=True)`` returns the next `length` characters that the model writes.
    digits : int
        Number of digits n of the operands that the model was trained on.
    count : int
        Number of problems. For n = 1 there are only 5.

    Returns
    -------
    str
        One line per problem, ``12+34=046 right`` or ``12+34=047 wrong (046)``, without a newline at the end. An
        answer that the model ends too early is shown as it is.
    """
    lines = []
    for a, b in zip(*(operands[:count].tolist() for operands in _validation_pairs(digits)), strict=True):
        question = f"{a:0{digits}d}+{b:0{digits}d}="
        expected = f"{a + b:0{digits + 1}d}"
        answer = write(digits + 1, prime=question, argmax=True).split("\n")[0]
        lines.append(f"{question}{answer} right" if answer == expected else f"{question}{answer} wrong ({expected})")
    return "\n".join(lines)


def _encode(a: np.ndarray, b: np.ndarray, digits: int) -> tuple[np.ndarray, np.ndarray]:
    """Convert operands of shape (B,) to x and y of shape (T, B)."""
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
    """Split numbers (B,) into their last `count` decimal digits (count, B), most significant first."""
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
    # One pair in twenty is held out: 30 candidates for each pair needed are half again as many as necessary.
    pairs = np.stack(_draw(generator, 30 * VALIDATION_SAMPLE, digits), axis=1)  # (candidates, 2)
    pairs = pairs[held_out(pairs[:, 0], pairs[:, 1])]
    _, first = np.unique(pairs, axis=0, return_index=True)
    # Keep the order of drawing: in sorted order, the sample would consist of the smallest operands.
    a, b = pairs[np.sort(first)[:VALIDATION_SAMPLE]].T
    return a, b
