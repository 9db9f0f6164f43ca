import contextlib
import threading
import time

import numpy as np
import pytest
from helpers import CONFIGURATIONS, assert_close, assert_equal, label, make_model

from minigrid import TrainStep
from minigrid.runs.evaluation import evaluate
from minigrid.training import shards
from minigrid.training.shards import Shards, in_parallel


@pytest.fixture(params=[2, 3])
def cores(request, monkeypatch):
    """Let batches be cut as on a machine of so many cores."""
    monkeypatch.setattr(shards, "threads", lambda: request.param)
    return request.param


def train(options, batch, steps=4):
    model = make_model(**options, hidden=5)
    step = TrainStep(model, clip=0.5)
    draw = np.random.default_rng(0).integers
    losses = []
    for _ in range(steps):
        x, y = draw(0, model.vocab_size, (2, 6, batch))
        y[-1, : batch // 3] = -1  # not counted: more in one part than in the other
        losses.append(step(x, y))
    return {"losses": np.array(losses), "params": model.params.flat, "norm": step.norm} | step.state(batch)


@pytest.mark.parametrize("options", CONFIGURATIONS, ids=label)
def test_training_in_parts_is_training_as_a_whole(options, cores, monkeypatch):
    in_parts = train(options, batch=16 * cores + 1)
    monkeypatch.setattr(shards, "threads", lambda: 1)
    assert_close(in_parts, train(options, batch=16 * cores + 1), 1e-12)


@pytest.mark.parametrize("model", ["grid", "lstm", "gru", "rnn"])
def test_the_same_parts_give_the_same_bits(model, cores):
    assert_equal(*(train({"model": model, "dropout": 0.3}, batch=16 * cores) for _ in range(2)))


@pytest.mark.parametrize("model", ["grid", "lstm"])
def test_a_resumed_step_goes_on_to_the_same_bits(model, cores):
    def minibatches(numbers):
        return (np.random.default_rng(n).integers(0, 5, (2, 6, 16 * cores)) for n in numbers)

    whole, first, second = (TrainStep(make_model(model=model, dropout=0.3)) for _ in range(3))
    for x, y in minibatches(range(4)):
        whole(x, y)
    for x, y in minibatches(range(2)):
        first(x, y)
    second.model.params.flat[...] = first.model.params.flat
    second.load_state_dict(first.state_dict())
    for x, y in minibatches(range(2, 4)):
        second(x, y)
    assert_equal({"params": second.model.params.flat}, {"params": whole.model.params.flat})


def test_a_long_vector_is_updated_in_ranges_as_it_is_in_one(cores, monkeypatch):
    def train_wide():
        step = TrainStep(make_model(hidden=200), clip_norm=1.0)
        step(*np.random.default_rng(0).integers(0, 5, (2, 2, 3)))
        assert len(step.shards.ranges(step.model.params.flat.size)) == shards.threads()
        return {"params": step.model.params.flat, "norm": step.norm}

    in_ranges = train_wide()
    monkeypatch.setattr(shards, "threads", lambda: 1)
    assert_close(in_ranges, train_wide(), 1e-12)


def test_a_short_vector_is_updated_in_one_piece(cores):
    assert Shards(make_model()).ranges(1000) == [slice(0, 1000)]


def test_parts_have_one_blas_thread_each(monkeypatch):
    inside = []

    @contextlib.contextmanager
    def one_thread():
        inside.append(True)
        yield
        inside.pop()

    monkeypatch.setattr(shards, "one_thread", one_thread)
    assert in_parallel(lambda k: (k, bool(inside)), [(0,), (1,)]) == [(0, True), (1, True)]
    assert in_parallel(lambda k: (k, bool(inside)), [(0,)]) == [(0, False)]


class TwoMinibatches:
    """As many columns as are asked for, read twice."""

    def __init__(self, batch, carries_state):
        self.batch, self.carries_state = batch, carries_state

    def __len__(self):
        return 2

    def minibatch(self, epoch, index):
        return np.random.default_rng(index).integers(0, 5, (2, 6, self.batch))


@pytest.mark.parametrize("carries_state", [True, False])
def test_an_evaluation_in_parts_is_one_as_a_whole(cores, carries_state, monkeypatch):
    model, batches = make_model(), TwoMinibatches(16 * cores, carries_state)
    in_parts = evaluate(model, batches)
    monkeypatch.setattr(shards, "threads", lambda: 1)
    whole = evaluate(model, batches)
    assert in_parts.loss == pytest.approx(whole.loss, rel=1e-12)
    assert in_parts[1:] == whole[1:]


@pytest.mark.parametrize(
    ("threads", "batch", "widths"),
    [
        (1, 50, [50]),
        (2, 50, [25, 25]),
        (2, 51, [25, 26]),
        (2, 31, [31]),
        (2, 1, [1]),
        (4, 50, [16, 17, 17]),
        (4, 64, [16] * 4),
        (8, 50, [50]),  # three parts would leave five cores idle, which BLAS can use
    ],
)
def test_how_batches_are_cut(threads, batch, widths, monkeypatch):
    monkeypatch.setattr(shards, "threads", lambda: threads)
    columns = Shards(make_model()).columns(batch)
    assert [part.stop - part.start for part in columns] == widths
    assert np.array_equal(np.concatenate([np.arange(batch)[part] for part in columns]), np.arange(batch))


def test_parts_run_at_the_same_time_and_answer_in_order():
    both = threading.Barrier(2, timeout=10)

    def meet(k):
        both.wait()
        time.sleep(0.01 * (1 - k))
        return k

    assert in_parallel(meet, [(0,), (1,)]) == [0, 1]


def test_blas_has_one_thread_inside_and_its_own_number_again_after():
    before = shards.threads()
    assert in_parallel(lambda _: shards.threads(), [(0,), (1,)]) == [1, 1]
    assert shards.threads() == before


@pytest.mark.parametrize("part", [0, 1])
def test_what_a_part_raises_reaches_the_caller_and_blas_gets_its_threads_back(part):
    before, finished = shards.threads(), []

    def fail(k):
        if k == part:
            raise ZeroDivisionError
        time.sleep(0.05)
        finished.append(k)

    with pytest.raises(ZeroDivisionError):
        in_parallel(fail, [(0,), (1,)])
    assert finished == [1 - part], "the other part was left running"
    assert shards.threads() == before


def test_numpy_is_as_strict_in_every_part_as_it_was_outside():
    with np.errstate(divide="raise"):
        for part in (0, 1):
            with pytest.raises(FloatingPointError):
                in_parallel(lambda k, part=part: np.ones(1) / (k != part), [(0,), (1,)])
