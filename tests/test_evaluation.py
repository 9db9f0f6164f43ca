import math
import threading
import time

import numpy as np
import pytest
from run_fixtures import TEXT
from thread_ranks import on_ranks

from minigrid import CharModel
from minigrid.data.addition import AdditionBatches, vocabulary
from minigrid.data.batches import TextBatches, whole_text
from minigrid.data.vocabulary import Vocabulary
from minigrid.errors import NotFiniteError
from minigrid.runs.evaluation import bits, evaluate, perplexity, surprisals
from minigrid.training import shards

LETTERS = Vocabulary.from_text(TEXT)
IDS = LETTERS.encode(TEXT)


def negative_log_likelihoods(model, x, y, state):
    """-log p of every target (T, B) in float64, and the state after."""
    logits, state, _ = model.forward(x, state)
    logits = logits.astype(np.float64)
    log_sum = np.log(np.exp(logits).sum(axis=-1))
    return log_sum - np.take_along_axis(logits, np.maximum(y, 0)[..., None], -1)[..., 0], state


def text_model(**options):
    return CharModel(vocab_size=len(LETTERS), hidden=6, dtype="float64", seed=2, **options)


@pytest.mark.parametrize("model", ["grid", "lstm", "gru", "rnn"])
def test_the_loss_of_a_text_is_the_mean_over_its_characters(model):
    model, batches = text_model(model=model), TextBatches(IDS[:200], 3, 11, stride=66, first=0, count=6)
    state, losses = model.initial_state(3), []
    for index in range(len(batches)):
        loss, state = negative_log_likelihoods(model, *batches.minibatch(0, index), state)
        losses.append(loss)
    result = evaluate(model, batches)
    assert result.targets == np.size(losses) == len(batches) * 33
    assert result.loss == pytest.approx(np.mean(losses), rel=1e-12)
    assert result.score is None


def test_one_long_stream_and_many_short_steps_agree():
    model = text_model()
    whole, pieces = (evaluate(model, whole_text(IDS[:121], 1, steps)) for steps in (120, 8))
    assert whole.targets == pieces.targets == 120
    assert whole.loss == pytest.approx(pieces.loss, rel=1e-12)


def test_an_evaluation_has_no_dropout_and_changes_nothing():
    model = text_model(dropout=0.5)
    before, batches = model.params.flat.copy(), whole_text(IDS, 4, 10)
    first = evaluate(model, batches)
    assert evaluate(model, batches) == first
    assert evaluate(text_model(), batches) == first
    assert (model.params.flat == before).all()
    assert model.draws == 0


def test_addition_counts_only_the_answers():
    model = CharModel(vocab_size=13, hidden=6, dtype="float64", seed=1)
    batches = AdditionBatches(1, 3, part="val")  # 5 problems: the second minibatch has a column that counts nothing
    total, counted = 0.0, 0
    for index in range(len(batches)):
        x, y = batches.minibatch(0, index)
        losses, _ = negative_log_likelihoods(model, x, y, model.initial_state(3))
        total += losses[y >= 0].sum()
        counted += (y >= 0).sum()
    result = evaluate(model, batches)
    assert result.targets == counted == 5 * 3  # two digits and the newline
    assert result.loss == pytest.approx(total / counted, rel=1e-12)
    assert (result.score.digits_counted, result.score.answers_counted) == (10, 5)


class KnowsItAll:
    """Acts as a model that predicts every character of an answer, except the last digit in some columns."""

    xp = np

    def __init__(self, batches, wrong=()):
        self.answers = {x.tobytes(): y for x, y in (batches.minibatch(0, k) for k in range(len(batches)))}
        self.wrong = wrong

    def workspace(self, reuse):
        return None

    def initial_state(self, batch):
        return {}

    def predict(self, x, state, *, workspace):
        y = self.answers[x.tobytes()].copy()
        for column in self.wrong:
            y[-2, column] = vocabulary().encode("+")[0]
        return 100.0 * np.eye(13)[y], state


@pytest.mark.parametrize(("wrong", "digits", "answers"), [((), 10, 5), ((0,), 8, 3), ((1, 2), 7, 2)])
def test_the_score_of_addition(wrong, digits, answers):
    batches = AdditionBatches(1, 3, part="val")
    result = evaluate(KnowsItAll(batches, wrong), batches)
    assert result.score == (digits, 10, answers, 5)
    assert (result.score.digit_share, result.score.answer_share) == (digits / 10, answers / 5)


@pytest.mark.parametrize("count", [1, 2, 256])
def test_bits(count):
    assert bits(math.log(count)) == pytest.approx(math.log2(count))


@pytest.mark.parametrize(("nats", "expected"), [(0.0, 1), (math.log(205), 205), (1e6, math.inf)])
def test_perplexity(nats, expected):
    assert perplexity(nats) == pytest.approx(expected)


# -- one stream


@pytest.mark.parametrize("length", [2, 256, 257, 258, 700])
def test_surprisals_are_those_of_one_long_stream(length):
    model, ids = text_model(), IDS[:length]
    expected, _ = negative_log_likelihoods(model, ids[:-1, None], ids[1:, None], model.initial_state(1))
    pieces = list(surprisals(model, ids.astype(np.uint8)))
    assert np.concatenate(pieces) == pytest.approx(expected[:, 0], rel=1e-12)
    assert max(map(len, pieces)) <= 256


def test_surprisals_of_large_logits_are_finite():
    model = text_model()
    model.params.flat[...] *= 1e6
    assert np.isfinite(np.concatenate(list(surprisals(model, IDS[:50])))).all()


@pytest.mark.filterwarnings("ignore:overflow")
def test_surprisals_that_are_not_finite():
    model = text_model()
    model.params.flat[...] = 1e308
    with pytest.raises(NotFiniteError):
        list(surprisals(model, IDS[:50]))


def test_a_model_of_one_symbol_is_never_surprised():
    model, ids = CharModel(vocab_size=1, hidden=4), np.zeros(9, np.int32)
    assert (np.concatenate(list(surprisals(model, ids))) == 0).all()
    assert evaluate(model, whole_text(ids, 2, 3)).loss == 0


# -- progress


def test_progress_counts_the_minibatches():
    done = []
    batches = whole_text(IDS, 4, 10)
    evaluate(text_model(), batches, progress=done.append)
    assert done == list(range(len(batches) + 1))


class StopError(Exception):
    pass


@pytest.fixture
def two_threads(monkeypatch):
    monkeypatch.setattr(shards, "threads", lambda: 2)


def minibatches_in_two_parts():
    return TextBatches(IDS, 32, 1, stride=60, first=0, count=60)


@pytest.mark.usefixtures("two_threads")
def test_progress_is_made_in_the_calling_thread_only():
    threads = []
    batches = minibatches_in_two_parts()
    evaluate(text_model(), batches, progress=lambda done: threads.append(threading.current_thread()))
    assert threads == [threading.current_thread()] * (len(batches) + 1)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("at", [0, 1, 3])
def test_an_exception_in_progress_ends_every_part(at):
    model, batches = text_model(), minibatches_in_two_parts()
    read, predict = [], model.predict

    def counted(*arguments, **options):
        read.append(threading.current_thread())
        if read[-1] is not threading.main_thread():
            time.sleep(0.005)  # a quarter of a second or more for all of its minibatches
        return predict(*arguments, **options)

    model.predict = counted

    def stop(done):
        if done == at:
            raise StopError

    with pytest.raises(StopError):
        evaluate(model, batches, progress=stop)
    assert read.count(threading.current_thread()) == at
    assert len(read) < at + len(batches)
    model.predict = predict
    assert evaluate(model, batches) == evaluate(text_model(), batches)


def test_a_bug_in_progress_is_not_hidden_by_the_last_minibatch():
    batches = whole_text(IDS, 4, 10)

    def fail(done):
        if done == len(batches):
            raise StopError

    with pytest.raises(StopError):
        evaluate(text_model(), batches, progress=fail)


# -- on several ranks


@pytest.mark.parametrize("count", [2, 3, 5])  # 5 are more than there are columns
@pytest.mark.parametrize("model", ["grid", "lstm", "gru", "rnn"])
def test_ranks_measure_a_text_as_one_process(model, count):
    batches = TextBatches(IDS[:200], 3, 11, stride=66, first=0, count=6)
    expected = evaluate(text_model(model=model), batches)
    for found in on_ranks(count, lambda ranks: evaluate(text_model(model=model), batches, ranks=ranks)):
        assert found.loss == pytest.approx(expected.loss, rel=1e-12)
        assert (found.targets, found.score) == (expected.targets, None)


@pytest.mark.parametrize(("digits", "batch"), [(1, 3), (2, 7)])
@pytest.mark.parametrize("count", [2, 3, 5])
def test_ranks_measure_addition_as_one_process(count, digits, batch):
    batches = AdditionBatches(digits, batch, part="val")
    model = CharModel(vocab_size=13, hidden=6, dtype="float64", seed=1)
    model.params["decoder.bias"][vocabulary().encode("0")] += 1  # so that it gets some digits right
    expected = evaluate(model, batches)
    assert 0 < expected.score.digits_right < expected.score.digits_counted
    for found in on_ranks(count, lambda ranks: evaluate(model, batches, ranks=ranks)):
        assert found.loss == pytest.approx(expected.loss, rel=1e-12)
        assert (found.targets, found.score) == (expected.targets, expected.score)


@pytest.mark.usefixtures("two_threads")
def test_ranks_of_two_threads_measure_as_one_process():
    batches = TextBatches(IDS, 64, 1, stride=30, first=0, count=30)
    expected = evaluate(text_model(), batches)
    for found in on_ranks(2, lambda ranks: evaluate(text_model(), batches, ranks=ranks)):
        assert found.loss == pytest.approx(expected.loss, rel=1e-12)
        assert found.targets == expected.targets


@pytest.mark.parametrize("at", [0, 1, 3])
@pytest.mark.parametrize("count", [2, 5])
def test_progress_ends_an_evaluation_on_all_ranks(at, count):
    batches = TextBatches(IDS[:200], 3, 11, stride=66, first=0, count=6)

    def stopped(ranks):
        seen = []

        def progress(done):
            seen.append(done)
            if ranks.any(ranks.number == 1 and done == at):
                raise StopError

        with pytest.raises(StopError):
            evaluate(text_model(), batches, progress=progress, ranks=ranks)
        return seen

    assert on_ranks(count, stopped) == [list(range(at + 1))] * count
