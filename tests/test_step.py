import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from helpers import MODELS, Options, assert_close, assert_equal, make_model, minibatch, snapshot

from minigrid import CharModel, TrainStep, UserError
from minigrid.training.optim import OPTIMIZERS

T, B = 3, 2
every_model = pytest.mark.parametrize("model", MODELS)
every_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS)


def batches(model: CharModel, count: int, steps: int = T, batch: int = B) -> list[tuple[np.ndarray, np.ndarray]]:
    return [minibatch(model, steps, batch, seed)[:2] for seed in range(count)]


def pair(**options) -> tuple[CharModel, CharModel]:
    """Two models that are the same."""
    return make_model(**options), make_model(**options)


# -- what one step does


@every_model
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_state_is_carried_on(model, dtype):
    """Loss and gradient of the second minibatch begin where the first ended, and stay right when it has been done."""
    made, twin = pair(model=model, dtype=dtype)
    step = TrainStep(made, lr=1e-3)
    state = twin.initial_state(B)
    for x, y in batches(made, 4):
        twin.params.flat[...] = made.params.flat
        expected_loss, expected, next_state = twin.loss_and_grads(x, y, state)
        assert_equal(step.state(B), state)
        loss, grads, after = step.gradients(x, y)
        assert loss == expected_loss
        assert_equal(dict(grads), dict(expected))
        assert_equal(after, next_state)
        assert step(x, y) == expected_loss
        state = next_state
    assert all(s.any() for s in step.state(B).values())


def rmsprop(p, m, g, lr, alpha):
    m = alpha * m + (1 - alpha) * g * g
    return p - lr * g / (np.sqrt(m) + 1e-8), m


@every_model
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("clip", "clip_norm"), [(5.0, None), (0.05, None), (None, 0.5), (0.05, 0.5), (None, None)])
def test_a_step_by_hand(model, dtype, clip, clip_norm):
    """T x the gradient of the mean loss; its norm; clipped by norm, then by element; RMSprop on what is left."""
    made, twin = pair(model=model, dtype=dtype)
    step = TrainStep(made, lr=0.01, alpha=0.9, clip=clip, clip_norm=clip_norm)
    p, m, state = twin.params.flat.astype("float64"), 0.0, twin.initial_state(B)
    for x, y in batches(made, 3):
        twin.params.flat[...] = p
        _, grads, state = twin.loss_and_grads(x, y, state)
        g = T * grads.flat.astype("float64")
        norm = np.sqrt((g**2).sum())
        if clip_norm is not None and norm > clip_norm:
            g *= clip_norm / norm
        if clip is not None:
            g = np.clip(g, -clip, clip)
        p, m = rmsprop(p, m, g, 0.01, 0.9)
        step(x, y)
        assert_close(step.norm, norm, 1e-5 if dtype == "float32" else 1e-12)
        assert_close(made.params.flat, p, 1e-5 if dtype == "float32" else 1e-12)
        p = made.params.flat.astype("float64")
        assert clip is None or (clip == 0.05) == (T * np.abs(grads.flat).max() > clip)  # the small one bites


def test_the_defaults_are_the_torch_programs():
    made, twin = pair()
    x, y = batches(made, 1)[0]
    TrainStep(made)(x, y)
    g = np.clip(T * twin.loss_and_grads(x, y, twin.initial_state(B))[1].flat, -5, 5)
    assert_close(made.params.flat, rmsprop(twin.params.flat, 0.0, g, 2e-3, 0.95)[0], 1e-12)


def test_adam_by_hand():
    made, twin = pair()
    step = TrainStep(made, optimizer="adam", lr=0.01)
    m = v = 0.0
    p, state = twin.params.flat.copy(), twin.initial_state(B)
    for number, (x, y) in enumerate(batches(made, 3), start=1):
        twin.params.flat[...] = p
        _, grads, state = twin.loss_and_grads(x, y, state)
        g = np.clip(T * grads.flat, -5, 5)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        p = p - 0.01 * (m / (1 - 0.9**number)) / (np.sqrt(v / (1 - 0.999**number)) + 1e-8)
        step(x, y)
        assert_close(made.params.flat, p, 1e-12)


@every_optimizer
@every_model
def test_it_learns(model, optimizer):
    step = TrainStep(make_model(model=model, hidden=8), optimizer=optimizer, lr=0.01)
    x = np.array([[0, 1], [1, 2], [2, 3]])
    y = (x + 1) % 4
    losses = [float(step(x, y)) for _ in range(100)]
    assert losses[-1] < 0.1 < 1 < losses[0]


@every_optimizer
def test_the_learning_rate_may_be_set_between_steps(optimizer):
    made, twin = pair()
    step, other = TrainStep(made, optimizer, lr=1e-3), TrainStep(twin, optimizer, lr=1e-3)
    (x, y), second = batches(made, 2)
    step(x, y)
    other(x, y)
    before = made.params.flat.copy()
    other.lr = 1e-4
    step(*second)
    other(*second)
    assert_close(twin.params.flat - before, (made.params.flat - before) / 10, 1e-9)


@every_model
def test_masks_are_those_of_the_steps_number(model):
    made, twin = pair(model=model, dropout=0.5)
    step = TrainStep(made)
    state = twin.initial_state(B)
    for number, (x, y) in enumerate(batches(made, 3)):
        twin.params.flat[...] = made.params.flat
        expected, _, state = twin.loss_and_grads(x, y, state, twin.draw_masks(T, B, number))
        assert step.number == number
        assert step(x, y) == expected


def test_a_step_returns_a_loss_without_dimensions_of_the_models_type():
    for dtype in ("float32", "float64"):
        model = make_model(dtype=dtype)
        step = TrainStep(model)
        loss = step(*batches(model, 1)[0])
        assert np.shape(loss) == np.shape(step.norm) == np.shape(step.finite) == ()
        assert loss.dtype == step.norm.dtype == dtype


def test_minibatches_of_other_lengths():
    """T may change from step to step, B only where the state is reset."""
    model, twin = pair()
    step = TrainStep(model, clip=None)
    state = twin.initial_state(B)
    for steps in (3, 5, 1, 3):
        x, y = batches(model, 1, steps)[0]
        twin.params.flat[...] = model.params.flat
        loss, grads, state = twin.loss_and_grads(x, y, state)
        assert step(x, y) == loss
        assert_close(step.norm, steps * np.linalg.norm(grads.flat), 1e-12)
    for batch in (B - 1, B + 1):
        with pytest.raises(UserError, match="state"):
            step(*batches(model, 1, batch=batch)[0])
    step.reset()
    step(*batches(model, 1, batch=B + 1)[0])


@every_model
def test_reset_begins_from_zeros(model):
    made, twin = pair(model=model)
    step = TrainStep(made)
    for x, y in batches(made, 2):
        step(x, y)
    step.reset()
    assert not any(s.any() for s in step.state(B).values())
    twin.params.flat[...] = made.params.flat
    x, y = batches(made, 1)[0]
    assert step(x, y) == twin.loss(x, y, twin.initial_state(B))[0]
    assert step.number == 3


# -- nothing that was returned changes later, nothing else disturbs


@every_model
@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_results_stay_as_they_were(model, dropout):
    made = make_model(model=model, dropout=dropout)
    step = TrainStep(made, clip_norm=1.0)
    results = []
    for x, y in batches(made, 4):
        loss = step(x, y)
        results.append([loss, step.norm, step.finite, step.state(B), step.state_dict()])
        before = snapshot(results)
    step.reset()
    for x, y in batches(made, 3):
        step(x, y)
        made.loss(x, y, made.initial_state(B))
        assert_equal(snapshot(results), before)


@every_model
def test_what_was_given_is_not_changed(model):
    made = make_model(model=model)
    step = TrainStep(made)
    given = batches(made, 3)
    before = snapshot(given)
    for x, y in given:
        step(x, y)
    assert_equal(snapshot(given), before)


@every_model
def test_a_minibatchs_buffers_may_be_filled_again(model):
    """A loader that always hands out the same two arrays trains like one that hands out new ones."""
    made, twin = pair(model=model)
    step, other = TrainStep(made), TrainStep(twin)
    x_buffer, y_buffer = np.empty((2, T, B), int)
    for x, y in batches(made, 4):
        x_buffer[...], y_buffer[...] = x, y
        assert step(x_buffer, y_buffer) == other(x, y)
        x_buffer[...] = y_buffer[...] = 0
    assert np.array_equal(made.params.flat, twin.params.flat)


@every_model
@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_an_evaluation_in_between_changes_nothing(model, dropout):
    made, twin = pair(model=model, dropout=dropout)
    step, undisturbed = TrainStep(made), TrainStep(twin)
    for x, y in batches(made, 4):
        assert step(x, y) == undisturbed(x, y)
        other = minibatch(made, steps=5, batch=4, seed=99)
        made.loss(other.x, other.y, other.state)
        made.predict(other.x, made.initial_state(4))
        logits, _, cache = made.forward(other.x, other.state)
        made.backward(cache, logits)
        made.loss_and_grads(x, y, made.initial_state(B))
        step.gradients(x, y)
        assert_equal(step.state(B), undisturbed.state(B))
    assert np.array_equal(made.params.flat, twin.params.flat)


def test_gradients_changes_neither_parameters_nor_state():
    model = make_model(dropout=0.4)
    step = TrainStep(model)
    first, second = batches(model, 2)
    step(*first)
    before = snapshot([model.params.flat, step.state(B), step.state_dict()])
    losses = {float(step.gradients(*second)[0]) for _ in range(3)}
    assert_equal(snapshot([model.params.flat, step.state(B), step.state_dict()]), before)
    assert losses == {float(step(*second))}


# -- saving and going on

SAVED: list[Options] = [
    {"model": "grid", "dropout": 0.4},
    {"model": "grid", "tie": "layers", "dtype": "float32", "dropout": 0.4},
    {"model": "lstm", "dropout": 0.4, "dtype": "float32"},
    {"model": "gru", "embedding": 0},
    {"model": "rnn"},
]


@every_optimizer
@pytest.mark.parametrize("options", SAVED, ids=str)
def test_a_run_goes_on_bit_by_bit(options, optimizer):
    made = make_model(**options)
    step = TrainStep(made, optimizer, lr=1e-2)
    given = batches(made, 6)
    for x, y in given[:3]:
        step(x, y)
    step.lr = 5e-3
    saved, params = step.state_dict(), made.params.flat.copy()
    expected = [float(step(x, y)) for x, y in given[3:]]

    resumed = make_model(**options)
    resumed.params.flat[...] = params
    other = TrainStep(resumed, optimizer, lr=1.0)
    other.load_state_dict(saved)
    assert (other.number, other.lr) == (3, 5e-3)
    assert [float(other(x, y)) for x, y in given[3:]] == expected
    assert np.array_equal(resumed.params.flat, made.params.flat)
    assert_equal(snapshot(other.state_dict()), snapshot(step.state_dict()))


def test_loading_takes_a_step_back_too():
    model = make_model()
    step = TrainStep(model)
    given = batches(model, 3)
    step(*given[0])
    saved, params = step.state_dict(), model.params.flat.copy()
    expected = [float(step(*minibatch)) for minibatch in given[1:]]
    step.load_state_dict(saved)
    model.params.flat[...] = params
    assert [float(step(*minibatch)) for minibatch in given[1:]] == expected


def test_what_is_saved_is_host_arrays_and_plain_numbers():
    model = make_model()
    step = TrainStep(model)
    step(*batches(model, 1)[0])
    saved = step.state_dict()
    states = {f"state/{name}" for name in model.state_names()}
    assert set(saved) == {"optimizer/mean_square", "number", "lr"} | states
    assert all(type(saved[name]) is np.ndarray for name in ("optimizer/mean_square", *states))
    assert (type(saved["number"]), type(saved["lr"])) == (int, float)


def test_a_fresh_step_saves_no_state_and_loading_that_is_a_reset():
    model = make_model()
    step = TrainStep(model)
    saved = step.state_dict()
    assert not any(name.startswith("state/") for name in saved)
    step(*batches(model, 1)[0])
    step.load_state_dict(saved)
    assert step.number == 0
    assert not any(s.any() for s in step.state(B).values())


def spoil(saved: dict) -> None:
    """Overwrite every array of a state_dict."""
    for array in saved.values():
        if isinstance(array, np.ndarray):
            array[...] = np.nan


def test_what_happens_to_saved_arrays_afterwards_does_not_reach_the_step():
    model, twin = pair()
    step, other = TrainStep(model), TrainStep(twin)
    first, second, third = batches(model, 3)
    step(*first)
    other(*first)
    spoil(step.state_dict())
    assert step(*second) == other(*second)
    assert np.array_equal(model.params.flat, twin.params.flat)

    loaded = step.state_dict()
    step.load_state_dict(loaded)
    spoil(loaded)
    assert step(*third) == other(*third)
    assert np.array_equal(model.params.flat, twin.params.flat)


def test_training_on_does_not_reach_what_was_loaded():
    model = make_model()
    step = TrainStep(model)
    first, second = batches(model, 2)
    step(*first)
    loaded = step.state_dict()
    before = snapshot(loaded)
    step.load_state_dict(loaded)
    step(*second)
    assert_equal(snapshot(loaded), before)


@pytest.mark.parametrize(
    ("options", "optimizer"),
    [({}, "adam"), ({"hidden": 5}, "rmsprop"), ({"layers": 3}, "rmsprop"), ({"tie": "none"}, "rmsprop")],
)
def test_what_was_saved_elsewhere_is_refused_and_nothing_is_taken_over(options, optimizer):
    model = make_model()
    saved = TrainStep(model).state_dict() | {"number": 7}
    step = TrainStep(make_model(**options), optimizer)
    before = snapshot(step.state_dict())
    with pytest.raises(UserError, match="does not fit"):
        step.load_state_dict(saved)
    assert step.number == 0
    assert_equal(snapshot(step.state_dict()), before)


@pytest.mark.parametrize("wrong", [{"state/time.0.h": np.zeros((B, 9))}, {"state/lstm.0.h": np.zeros((B, 4))}], ids=str)
def test_a_saved_state_of_another_model_is_refused(wrong):
    model = make_model()
    step = TrainStep(model)
    x, y = batches(model, 1)[0]
    step(x, y)
    saved = step.state_dict() | wrong

    def load_and_go_on():
        step.load_state_dict(saved)
        step(x, y)

    with pytest.raises(UserError):
        load_and_go_on()


# -- finite


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["decoder.bias", "embedding.weight", "time.0.W_time"])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_what_is_not_finite_is_noted_for_good(dtype, bad, name):
    model = make_model(dtype=dtype)
    step = TrainStep(model)
    for x, y in batches(model, 3):
        step(x, y)
        assert step.finite
    good = model.params.flat.copy()
    model.params[name][...] = bad
    if bad == np.inf and name != "decoder.bias":
        model.params[name][0] *= -1  # infinities of both signs, so that they do not only shut a gate
    step(*batches(model, 1)[0])
    assert not step.finite
    model.params.flat[...] = good
    step.reset()
    step(*batches(model, 1)[0])
    assert not step.finite


def test_loading_forgets_what_was_not_finite():
    model = make_model()
    step = TrainStep(model)
    saved, good = step.state_dict(), model.params.flat.copy()
    model.params["decoder.bias"][0] = np.nan
    step(*batches(model, 1)[0])
    assert not step.finite
    model.params.flat[...] = good
    step.load_state_dict(saved)
    step(*batches(model, 1)[0])
    assert step.finite


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_gradient_that_is_not_finite_is_noted_even_if_the_loss_is(monkeypatch, bad):
    model = make_model()
    step = TrainStep(model)
    sound = model.loss_and_grads

    def unsound(*args, **kwargs):
        loss, grads, state = sound(*args, **kwargs)
        grads["time.1.bias"][3] = bad
        return loss, grads, state

    monkeypatch.setattr(model, "loss_and_grads", unsound)
    assert np.isfinite(step(*batches(model, 1)[0]))
    assert not step.finite


def test_a_huge_gradient_that_is_finite_is_clipped_and_no_alarm():
    model = make_model()
    model.params["decoder.weight"][...] *= 1e6
    step = TrainStep(model, clip=5.0)
    step(*batches(model, 1)[0])
    assert step.norm > 1e3
    assert step.finite
    assert np.isfinite(model.params.flat).all()


# -- mistakes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": 0}, "lr"),
        ({"lr": -1e-3}, "lr"),
        ({"lr": float("nan")}, "lr"),
        ({"lr": float("inf")}, "lr"),
        ({"clip": 0}, "clip"),
        ({"clip": -5.0}, "clip"),
        ({"clip_norm": 0.0}, "clip_norm"),
        ({"clip_norm": float("inf")}, "clip_norm"),
        ({"alpha": 1.0}, "alpha"),
        ({"alpha": -0.5}, "alpha"),
        ({"optimizer": "sgd"}, "`optimizer` must be rmsprop or adam, not 'sgd'"),
        ({"lr": None}, "lr"),
    ],
    ids=str,
)
def test_settings_that_cannot_be(options, message):
    with pytest.raises(UserError, match=message):
        TrainStep(make_model(), **options)


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (np.array([0, 1]), np.array([1, 2])),
        (np.array([[0, 5]]), np.array([[1, 2]])),
        (np.array([[0, 1]]), np.array([[1], [2]])),
        (np.zeros((0, 2), int), np.zeros((0, 2), int)),
    ],
    ids=["one-dimensional", "out of range", "unlike", "empty"],
)
def test_minibatches_that_cannot_be(x, y):
    step = TrainStep(make_model(dropout=0.4))
    with pytest.raises(UserError):
        step(x, y)
    assert step.number == 0


# -- memory


@every_model
@pytest.mark.parametrize(
    ("dropout", "threads", "hidden", "steps"),
    [(0.0, 1, 48, 40), (0.4, 1, 48, 40), (0.0, 2, 48, 40), (0.0, 2, 256, 2)],  # the last: mostly parameters
)
def test_memory_is_about_what_is_said(model, dropout, threads, hidden, steps, monkeypatch):
    monkeypatch.setattr("minigrid.training.shards.threads", lambda: threads)
    sizes = {"vocab_size": 40, "hidden": hidden, "layers": 3}
    x, y = np.zeros((2, steps, 16 * threads), int)
    TrainStep(CharModel(model, **sizes, dropout=dropout))(x, y)  # what NumPy sets up once is not counted
    tracemalloc.start()
    made = CharModel(model, **sizes, dropout=dropout)
    drawn, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    step = TrainStep(made)
    for _ in range(3 * threads**2):  # until two threads need most at the same moment
        step(x, y)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert drawn >= made.params.flat.nbytes
    assert step.memory(*x.shape) == pytest.approx(peak, rel=0.2)


@every_model
def test_a_step_allocates_no_more_as_it_goes_on(model):
    made = make_model(model=model, hidden=32)
    step = TrainStep(made)
    x, y = np.zeros((2, 20, 4), int)
    step(x, y)
    tracemalloc.start()
    step(x, y)
    traced = []
    for _ in range(5):
        traced.append(tracemalloc.get_traced_memory()[0])
        for _ in range(10):
            step(x, y)
    tracemalloc.stop()
    # the least, because threads of the test runner allocate now and then
    assert min(after - before for before, after in pairwise(traced)) < 10_000
