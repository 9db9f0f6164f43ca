"""Training on several ranks, compared with training in one process. The ranks are threads, see thread_ranks.py."""

import tracemalloc
from functools import partial
from itertools import cycle

import numpy as np
import pytest
from helpers import CELL_OPTIONS, MODELS, Options, arrays_in, assert_close, assert_equal, make_model
from rank_training import B, go_on, make, minibatches, train
from thread_ranks import MuteComm, ThreadComm, on_ranks

from minigrid import CharModel, TrainStep
from minigrid.analysis.gradcheck import check_directions, train_step_problem
from minigrid.backend.ranks import ALONE, Ranks, Requests
from minigrid.training import shards
from minigrid.training.distributed import DistributedStep
from minigrid.training.optim import OPTIMIZERS

COUNTS = (2, 3, 5)

every_model = pytest.mark.parametrize("model", MODELS)
every_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS)
every_count = pytest.mark.parametrize("count", COUNTS)


def compare(count: int, options: Options, settings: Options | None = None, tolerance: float = 1e-10, **how: int):
    """Train on `count` ranks and in one process, and compare what each rank has with that."""
    expected = train(ALONE, options, settings, **how)
    for found in on_ranks(count, partial(train, options=options, settings=settings, **how)):
        assert_close(found, expected, tolerance)
    return expected


# -- one run


@pytest.mark.parametrize(("options", "count"), list(zip(CELL_OPTIONS, cycle(COUNTS))), ids=str)
def test_ranks_train_as_one_process(options, count):
    compare(count, options | {"dropout": 0.4}, {"clip": 0.5})


@every_optimizer
@pytest.mark.parametrize("clipping", [{"clip": 0.05}, {"clip": None, "clip_norm": 0.1}, {"clip": None}], ids=str)
@every_count
def test_clipping_and_update(count, clipping, optimizer):
    done = compare(count, {"model": "gru"}, clipping | {"optimizer": optimizer, "lr": 0.01}, steps=15)
    assert done["norms"].min() > 0.1  # so it is clipped


@every_model
def test_float32(model):
    compare(3, {"model": model, "dtype": "float32", "dropout": 0.4}, tolerance=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbers_have_no_dimensions_and_the_models_type(dtype):
    def look_at(ranks):
        step = make(ranks, {"dtype": dtype})
        loss = step(*next(minibatches(step.model, [0])))
        assert np.shape(loss) == np.shape(step.norm) == np.shape(step.finite) == ()
        assert loss.dtype == step.norm.dtype == dtype

    on_ranks(2, look_at)


@every_model
@every_count
def test_the_same_ranks_give_the_same_bits(model, count):
    again = [on_ranks(count, partial(train, options={"model": model, "dropout": 0.3}, steps=5)) for _ in range(2)]
    for found in (*again[0], *again[1]):
        assert_equal(found, again[0][0])


@pytest.mark.long
@every_model
@pytest.mark.parametrize(
    ("options", "settings"),
    [({}, {}), ({"dropout": 0.4}, {}), ({}, {"optimizer": "adam"}), ({}, {"clip_norm": 0.5})],
    ids=["plain", "dropout", "adam", "clip_norm"],
)
@pytest.mark.parametrize("count", [1, *COUNTS])
def test_long_training(model, options, settings, count):
    compare(count, options | {"model": model}, settings, steps=200)


@every_count
def test_lengths_rates_and_states_that_change(count):
    def train(ranks):
        step = make(ranks, {})
        losses = []
        for k, (x, y) in enumerate(minibatches(step.model, range(8))):
            if k in (3, 6):
                step.reset()
            step.lr = 0.01 / (k + 1)
            losses.append(step(x[: 4 - k % 3], y[: 4 - k % 3]))
        return {"losses": np.array(losses), "params": step.model.params.flat}

    for found in on_ranks(count, train):
        assert_close(found, train(ALONE), 1e-12)


@pytest.mark.parametrize("batch", [64, 67])
def test_several_threads_in_each_rank(batch, monkeypatch):
    monkeypatch.setattr(shards, "threads", lambda: 2)
    assert len(shards.Shards(make_model()).columns(batch // 2)) == 2
    compare(2, {"dropout": 0.4}, {"clip": 0.5}, steps=4, batch=batch)


def test_a_long_slice_is_updated_in_ranges(monkeypatch):
    monkeypatch.setattr(shards, "threads", lambda: 2)

    def ranges(ranks):
        step = make(ranks, {"hidden": 200}, {"clip_norm": 0.1})
        return len(step.shards.ranges(step._params.size)), go_on(step, range(2))

    (count, found), _ = on_ranks(2, ranges)
    assert count == 2
    assert_close(found, ranges(ALONE)[1], 1e-10)


TINY = {"model": "rnn", "hidden": 1, "layers": 1, "vocab_size": 2, "embedding": 0}


@pytest.mark.parametrize(
    ("count", "lengths"), [(3, [2, 3, 3]), (5, [1, 2, 1, 2, 2]), (11, [0, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1])]
)
@pytest.mark.parametrize("backend", ["numpy", "cupy"])
def test_slices_of_unlike_lengths_and_of_none(fake_cupy, count, lengths, backend):
    def train_and_save(ranks):
        step = make(ranks, TINY | {"backend": backend}, {"clip_norm": 0.1})
        done = go_on(step, range(5), batch=11)
        return step._params.size, done, step.state_dict()

    sizes, done, saved = zip(*on_ranks(count, train_and_save), strict=True)
    assert list(sizes) == lengths
    _, expected, expected_saved = train_and_save(ALONE)
    for found in done:
        assert_close(found, expected, 1e-10)
    assert_close(arrays_in(saved[0]), arrays_in(expected_saved), 1e-10)


# -- the gradient


@every_model
@every_count
def test_gradients_are_those_of_one_process(model, count):
    def gradients(ranks):
        step = make(ranks, {"model": model, "dropout": 0.4})
        go_on(step, range(2))
        x, y = next(minibatches(step.model, [2]))
        loss, grads, state = step.gradients(x, y)
        found = {"loss": loss} | {name: g.copy() for name, g in grads.items()}
        assert step(x, y) == loss  # nothing has changed in between
        return found, ranks.columns(B), state

    expected, _, state = gradients(ALONE)
    for found, columns, own_state in on_ranks(count, gradients):
        assert_close(found, expected, 1e-12)
        assert_close(own_state, {name: s[columns] for name, s in state.items()}, 1e-12)


def check_gradient(ranks, model):
    step = make(ranks, {"model": model, "hidden": 3, "dropout": 0.4})
    return check_directions(*train_step_problem(step, batch=5), directions=2)


@every_model
@every_count
def test_gradients_pass_the_check_by_finite_differences(model, count):
    for report in on_ranks(count, partial(check_gradient, model=model)):
        assert report.passed(), report.worst


def forget_the_last(comm, sent, received):
    exchange(comm, sent, received)
    if received[0].ndim == 2:  # the slices of the gradient, one row for each rank
        received[0][-1] = 0


def keep_to_oneself(comm, sent, received):
    if received[0].ndim == 2:
        exchange(comm, sent, received)


exchange = ThreadComm.Alltoallv


@pytest.mark.parametrize("broken", [forget_the_last, keep_to_oneself])
def test_a_broken_exchange_fails_the_check(broken, monkeypatch):
    monkeypatch.setattr(ThreadComm, "Alltoallv", broken)
    assert not any(report.passed() for report in on_ranks(3, partial(check_gradient, model="gru")))


# -- what the ranks tell each other


@every_count
def test_all_ranks_hear_in_a_step_what_one_asks_for(count):
    asked = {2: Requests(stop=True), 3: Requests(save=True), 5: Requests(stop=True, save=True)}

    def heard(ranks):
        step = make(ranks, {})
        ranks.requests = lambda: asked.get(step.number, Requests()) if ranks.number == 1 else Requests()
        return [(step(*minibatch), ranks.requested())[1] for minibatch in minibatches(step.model, range(6))]

    for found in on_ranks(count, heard):
        assert found == [asked.get(number, Requests()) for number in range(1, 7)]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("spoiled", ["loss", "gradient"])
@every_count
def test_what_is_not_finite_on_one_rank_is_noted_on_all_in_the_same_step(count, spoiled, bad):
    def finite(ranks):
        step = make(ranks, {})
        sound = step.model.loss_and_grads

        def unsound(*arguments, **options):
            loss, grads, state = sound(*arguments, **options)
            if spoiled == "loss":
                return loss * bad, grads, state
            grads["decoder.bias"][-1] = bad
            return loss, grads, state

        noted = []
        for k, minibatch in enumerate(minibatches(step.model, range(5))):
            is_bad = ranks.number == 1 and k == 2
            step.model.loss_and_grads = unsound if is_bad else sound
            before = step.model.params.flat.copy()
            step(*minibatch)
            noted.append(bool(step.finite))
            step.model.params.flat[...] = before
        return noted

    for found in on_ranks(count, finite):
        assert found == [True, True, False, False, False]


# -- memory


@every_model
@pytest.mark.parametrize(
    ("count", "optimizer", "hidden", "steps"),
    [(2, "rmsprop", 48, 40), (5, "rmsprop", 48, 40), (3, "adam", 256, 2)],  # the last: mostly parameters
)
def test_memory_is_about_what_is_said(model, count, optimizer, hidden, steps, monkeypatch):
    monkeypatch.setattr(shards, "threads", lambda: 1)
    options = {"model": model, "vocab_size": 40, "hidden": hidden, "layers": 3, "dtype": "float32"}
    x, y = np.zeros((2, steps, 8 * count), int)
    DistributedStep(CharModel(**options), Ranks(MuteComm(count)))(x, y)  # what NumPy sets up once is not counted
    tracemalloc.start()
    made = CharModel(**options)
    tracemalloc.reset_peak()
    step = DistributedStep(made, Ranks(MuteComm(count)), optimizer=optimizer)
    for _ in range(3):
        step(x, y)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert step.memory(*x.shape) == pytest.approx(peak, rel=0.2)
    assert step.memory(*x.shape) < TrainStep(made, optimizer=optimizer).memory(*x.shape)
