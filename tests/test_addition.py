import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrid.data.addition import (
    MAX_DIGITS,
    TRAIN_MINIBATCHES,
    VALIDATION_SAMPLE,
    AdditionBatches,
    AdditionScore,
    accuracy,
    held_out,
    solved_examples,
    vocabulary,
)
from minigrid.errors import UserError

VOCABULARY = vocabulary()


def lines_of(x, y):
    """Return the problems as text, without the newline and without columns that do not count."""
    counted = (y >= 0).any(axis=0)
    return [VOCABULARY.decode(column) for column in x[:, counted].T]


def operands_of(lines):
    return np.array([line.replace("=", "+").split("+")[:2] for line in lines], np.int64).T


def validation_lines(digits, batch=64):
    batches = AdditionBatches(digits, batch, part="val")
    return [line for index in range(len(batches)) for line in lines_of(*batches.minibatch(0, index))]


def perfect_logits(y):
    return np.eye(len(VOCABULARY), dtype=np.float32)[np.maximum(y, 0)]


problems = {
    "digits": st.integers(1, MAX_DIGITS),
    "batch": st.integers(1, 6),
    "seed": st.integers(-(2**70), 2**70),
    "epoch": st.integers(0, 2**32),
    "index": st.integers(0, TRAIN_MINIBATCHES - 1),
}


@given(**problems)
def test_every_line_is_a_correct_padded_addition(digits, batch, seed, epoch, index):
    x, y = AdditionBatches(digits, batch, seed=seed).minibatch(epoch, index)
    for line in lines_of(x, y):
        a, rest = line.split("+")
        b, total = rest.split("=")
        assert (len(a), len(b), len(total)) == (digits, digits, digits + 1)
        assert int(a) + int(b) == int(total)


@given(**problems)
def test_layout_of_a_minibatch(digits, batch, seed, epoch, index):
    batches = AdditionBatches(digits, batch, seed=seed)
    x, y = batches.minibatch(epoch, index)
    assert x.shape == y.shape == (3 * digits + 3, batch) == (batches.steps, batches.batch)
    assert x.dtype == y.dtype == np.int32
    assert x.flags.c_contiguous
    assert y.flags.c_contiguous
    first = 2 * digits + 1
    assert (y[:first] == -1).all()
    assert (y[first:-1] == x[first + 1 :]).all()
    assert VOCABULARY.decode(y[-1]) == "\n" * batch


@given(**problems)
def test_a_minibatch_does_not_depend_on_earlier_calls(digits, batch, seed, epoch, index):
    batches = AdditionBatches(digits, batch, seed=seed)
    batches.minibatch(epoch + 1, 0)
    later = batches.minibatch(epoch, index)
    np.testing.assert_array_equal(later, AdditionBatches(digits, batch, seed=seed).minibatch(epoch, index))


@given(**problems)
def test_training_never_sees_held_out_pairs(digits, batch, seed, epoch, index):
    x, y = AdditionBatches(digits, 100 * batch, seed=seed).minibatch(epoch, index)
    assert not held_out(*operands_of(lines_of(x, y))).any()


def test_minibatches_of_different_places_and_seeds_differ():
    places = [(1, 0, 0), (2, 0, 0), (1, 1, 0), (1, 0, 1), (1, 1, 1), (1, 2, 0), (1, 0, 2)]
    drawn = [AdditionBatches(6, 4, seed=seed).minibatch(epoch, index)[0] for seed, epoch, index in places]
    lines = [VOCABULARY.decode(column) for x in drawn for column in x.T]
    assert len(set(lines)) == 4 * len(places)


@pytest.mark.parametrize("digits", [1, 2])
def test_every_pair_is_in_exactly_one_part(digits):
    train = AdditionBatches(digits, 1000)
    trained = {line for index in range(150) for line in lines_of(*train.minibatch(0, index))}
    validated = validation_lines(digits)
    assert len(validated) == len(set(validated))
    assert trained.isdisjoint(validated)
    assert len(trained) + len(validated) == 10 ** (2 * digits)


@pytest.mark.parametrize("digits", range(1, MAX_DIGITS + 1))
def test_about_five_percent_are_held_out(digits):
    if digits <= 2:
        pairs = np.divmod(np.arange(10 ** (2 * digits)), 10**digits)
    else:
        pairs = np.random.default_rng(digits).integers(10**digits, size=(2, 100_000))
    assert 0.04 <= held_out(*pairs).mean() <= 0.06


@pytest.mark.parametrize("digits", [3, 4, 9, MAX_DIGITS])
def test_long_operands_are_validated_on_a_sample_of_held_out_pairs(digits):
    lines = validation_lines(digits)
    assert len(lines) == len(set(lines)) == VALIDATION_SAMPLE
    a, b = operands_of(lines)
    assert held_out(a, b).all()
    # Spread over the whole range, not its lower end: 2000 uniform draws have a mean near the middle.
    assert a.mean() == pytest.approx(10**digits / 2, rel=0.05)


def test_held_out_hash_as_its_description_says():
    def twin(a, b):
        mixed = (min(a, b) * 0xB0538E0D0A71698B + max(a, b) * 0x904B401E9F37A175) % 2**64
        for _ in range(2):
            mixed = (mixed ^ (mixed // 2**32)) * 0x3F98E2774CBD87AD % 2**64
        return mixed < 2**64 // 20

    a, b = np.random.default_rng(0).integers(10**MAX_DIGITS, size=(2, 1000))
    expected = [twin(*pair) for pair in zip(a.tolist(), b.tolist(), strict=True)]
    assert held_out(a, b).tolist() == expected
    assert held_out(b, a).tolist() == expected
    assert any(expected)


def test_validation_is_the_same_for_every_seed_and_epoch():
    one, two = (AdditionBatches(3, 50, seed=seed, part="val") for seed in (1, 2))
    np.testing.assert_array_equal(one.minibatch(0, 7), two.minibatch(5, 7))


def test_last_validation_minibatch_is_filled_with_columns_that_do_not_count():
    batches = AdditionBatches(2, 100, part="val")
    counted = [(batches.minibatch(0, index)[1] >= 0).any(axis=0) for index in range(len(batches))]
    assert len(batches) == 6
    assert all(columns.all() for columns in counted[:-1])
    assert counted[-1].tolist() == [True] * 3 + [False] * 97


def test_length_of_an_epoch_and_fresh_state():
    assert len(AdditionBatches(3, 7)) == 1000
    assert len(AdditionBatches(3, 1000, part="val")) == 2
    assert AdditionBatches.carries_state is False


@pytest.mark.parametrize("part", ["train", "val"])
@pytest.mark.parametrize("beyond", [-1, 1000])
def test_no_minibatch_beyond_the_epoch(part, beyond):
    with pytest.raises(IndexError, match=str(beyond)):
        AdditionBatches(1, 1, part=part).minibatch(0, beyond)


@pytest.mark.parametrize("digits", [0, -3, 19])
def test_impossible_numbers_of_digits(digits):
    with pytest.raises(UserError, match=rf"^`digits` must be between 1 and 18, not {digits}: "):
        AdditionBatches(digits, 1)


def test_empty_batch():
    with pytest.raises(UserError, match=r"^`batch` must be at least 1, not 0"):
        AdditionBatches(1, 0)


def test_unknown_part():
    with pytest.raises(ValueError, match="'test'"):
        AdditionBatches(1, 1, part="test")


def test_vocabulary_is_the_thirteen_symbols():
    assert VOCABULARY.decode(np.arange(len(VOCABULARY))) == "\n+0123456789="


def test_perfect_answers_score_full_marks():
    _, y = AdditionBatches(3, 5).minibatch(0, 0)
    assert accuracy(perfect_logits(y), y) == AdditionScore(20, 20, 5, 5)


def test_one_wrong_digit_spoils_one_answer_and_a_wrong_newline_none():
    _, y = AdditionBatches(3, 5).minibatch(0, 0)
    logits = perfect_logits(y)
    logits[-1] = np.roll(logits[-1], 1, axis=-1)
    logits[8, 2] = np.roll(logits[8, 2], 1)
    assert accuracy(logits, y) == AdditionScore(19, 20, 4, 5)


def test_padding_is_not_scored():
    batches = AdditionBatches(1, 8, part="val")
    _, y = batches.minibatch(0, 0)
    assert accuracy(perfect_logits(y), y) == AdditionScore(10, 10, 5, 5)


def test_shares_of_a_score():
    score = AdditionScore(15, 20, 1, 5)
    assert (score.digit_share, score.answer_share) == (0.75, 0.2)
    assert (AdditionScore(0, 0, 0, 0).digit_share, AdditionScore(0, 0, 0, 0).answer_share) == (0, 0)


def test_solved_examples_say_what_is_right():
    lines = validation_lines(2)[:3]
    answers = dict(line.split("=") for line in lines)
    questions = list(answers)
    wrong = f"{int(answers[questions[1]]) + 1:03d}"

    def write(length, *, prime, argmax):
        assert argmax
        question = prime.removesuffix("=")
        return {questions[0]: answers[question], questions[1]: wrong, questions[2]: "0\n1"}[question][:length]

    assert solved_examples(write, 2).split("\n") == [
        f"{lines[0]} right",
        f"{questions[1]}={wrong} wrong ({answers[questions[1]]})",
        f"{questions[2]}=0 wrong ({answers[questions[2]]})",
    ]


@pytest.mark.parametrize(("digits", "count", "lines"), [(1, 7, 5), (3, 4, 4), (MAX_DIGITS, 1, 1)])
def test_solved_examples_of_a_perfect_adder(digits, count, lines):
    def write(length, *, prime, argmax):
        return f"{sum(map(int, prime.removesuffix('=').split('+'))):0{length}d}"

    solved = solved_examples(write, digits, count).splitlines()
    assert solved == [f"{line} right" for line in validation_lines(digits)[:lines]]


def test_an_answer_right_under_teacher_forcing_is_right_when_generated():
    """A model that fails at some prefixes is right just as often in both."""
    digits = 2

    def guess(prefix):
        a, b = (int(number) for number in prefix.split("=")[0].split("+"))
        right = f"{a + b:0{digits + 1}d}\n"[len(prefix.split("=")[1])]
        stumbles = sum(map(ord, prefix)) % 5 == 0 and right != "\n"
        return str((int(right) + 1) % 10) if stumbles else right

    def generate(question):
        while not question.endswith("\n"):
            question += guess(question)
        return question

    x, y = AdditionBatches(digits, 200).minibatch(0, 0)
    logits = np.zeros((*y.shape, len(VOCABULARY)))
    right = 0
    for column, line in enumerate(lines_of(x, y)):
        for t in range(2 * digits + 1, 3 * digits + 3):
            logits[t, column, VOCABULARY.encode(guess(line[: t + 1]))] = 1
        right += generate(line.split("=")[0] + "=") == line + "\n"
    assert 0 < right < 200
    assert accuracy(logits, y).answers_right == right
