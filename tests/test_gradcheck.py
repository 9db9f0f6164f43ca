"""The check itself: does it find errors, say where they are, and change nothing?"""

import numpy as np
import pytest
from helpers import MODELS, assert_equal, make_model, snapshot
from hypothesis import given
from hypothesis import strategies as st

from minigrid import TrainStep, UserError
from minigrid.analysis.gradcheck import check_directions, check_entries, enlarge, model_problem, train_step_problem

CHECKS = [check_entries, check_directions]


class Quadratic:
    """``f = sum w * a^2 + sum cos(b)``, whose gradient is known."""

    def __init__(self):
        generator = np.random.default_rng(0)
        self.w = generator.standard_normal((3, 4))
        self.arrays = {"a": generator.standard_normal((3, 4)), "b": generator.standard_normal(5)}
        self.calls = 0

    def loss(self) -> float:
        self.calls += 1
        return (self.w * self.arrays["a"] ** 2).sum() + np.cos(self.arrays["b"]).sum()

    def grads(self) -> dict[str, np.ndarray]:
        return {"a": 2 * self.w * self.arrays["a"], "b": -np.sin(self.arrays["b"])}


@pytest.fixture
def f() -> Quadratic:
    return Quadratic()


@pytest.mark.parametrize("check", CHECKS)
def test_a_correct_gradient_passes(f, check):
    report = check(f.loss, f.arrays, f.grads())
    assert report.error < 1e-9
    assert report.passed()
    assert set(report.errors) == {"a", "b"}


@given(st.integers(0, 11), st.sampled_from([-1.0, 1e-3, 5.0]))
def test_one_wrong_entry_is_named(place, error):
    f = Quadratic()
    index = tuple(int(k) for k in np.unravel_index(place, (3, 4)))
    grads = f.grads()
    grads["a"][index] += error
    report = check_entries(f.loss, f.arrays, grads)
    assert not report.passed()
    worst = report.worst[0]
    assert (worst.name, worst.position) == ("a", index)
    assert worst.difference == pytest.approx(abs(error), rel=1e-6)
    assert worst.analytic == grads["a"][index]
    assert worst.numeric == pytest.approx(f.grads()["a"][index], abs=1e-8)
    assert str(worst).startswith(f"a[{index[0]}, {index[1]}]: ")
    assert report.error == report.errors["a"] > 1e-6 > report.errors["b"]


def test_the_error_is_relative_to_the_largest_entry_of_the_array(f):
    grads = f.grads()
    scale = 2 * np.abs(grads["b"]).max()
    grads["b"][np.argmin(np.abs(grads["b"]))] += 1e-3
    assert check_entries(f.loss, f.arrays, grads).error == pytest.approx(1e-3 / scale, rel=1e-5)


def test_the_worst_come_first(f):
    grads = f.grads()
    for k, error in enumerate([1e-3, 1e-1, 1e-2]):
        grads["b"][k] += error
    report = check_entries(f.loss, f.arrays, grads)
    assert [entry.position for entry in report.worst[:3]] == [(1,), (2,), (0,)]


def test_a_direction_reveals_one_wrong_entry(f):
    grads = f.grads()
    grads["a"][2, 1] += 1e-3
    report = check_directions(f.loss, f.arrays, grads)
    assert not report.passed()
    assert report.worst[0].name == "a"
    assert report.errors["b"] < 1e-9


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", ["a", "b"])
@pytest.mark.parametrize("place", [0, -1])
def test_nan_never_passes(f, check, name, place):
    grads = f.grads()
    grads[name].flat[place] = np.nan
    report = check(f.loss, f.arrays, grads)
    assert not report.passed()
    assert not report.passed(np.inf)
    assert report.worst[0].name == name


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("place", [0, -1])
def test_nan_does_not_pass_among_zeros(check, place):
    grads = {"a": np.zeros(3)}
    grads["a"][place] = np.nan
    assert not check(lambda: 1.0, {"a": np.ones(3)}, grads).passed()


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("infinite", [np.inf, -np.inf])
def test_an_infinite_gradient_never_passes(f, check, infinite):
    grads = f.grads()
    grads["a"][1, 1] = infinite
    assert not check(f.loss, f.arrays, grads).passed()


@pytest.mark.parametrize("check", CHECKS)
def test_a_loss_of_nan_never_passes(f, check):
    assert not check(lambda: np.nan, f.arrays, f.grads()).passed()


@pytest.mark.parametrize("check", CHECKS)
def test_the_gradient_of_a_constant_is_zero(check):
    assert check(lambda: 1.0, {"a": np.ones(3)}, {"a": np.zeros(3)}).passed()


@pytest.mark.parametrize("check", CHECKS)
def test_the_arrays_are_put_back_bit_by_bit(f, check):
    f.arrays["a"][0] = [1e-30, 1e30, -0.0, 1 / 3]  # adding and subtracting a step would not restore these
    before = snapshot(f.arrays)
    check(f.loss, f.arrays, f.grads())
    assert_equal(snapshot(f.arrays), before)


@pytest.mark.parametrize("check", CHECKS)
def test_the_arrays_are_put_back_when_the_check_is_stopped(f, check):
    before = snapshot(f.arrays)

    def stopped():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check(stopped, f.arrays, f.grads())
    assert_equal(snapshot(f.arrays), before)


def test_every_entry_is_checked_by_default(f):
    assert check_entries(f.loss, f.arrays, f.grads()).checked == 17


@pytest.mark.parametrize(("per_array", "checked"), [(1, 2), (4, 8), (5, 10), (8, 13), (100, 17)])
def test_some_entries_of_each_array(f, per_array, checked):
    report = check_entries(f.loss, f.arrays, f.grads(), per_array=per_array)
    assert report.checked == checked
    assert set(report.errors) == {"a", "b"}
    assert len({(entry.name, entry.position) for entry in report.worst}) == len(report.worst)


@pytest.mark.parametrize("count", [0, -1, 1.5])
def test_a_check_of_nothing_is_refused(f, count):
    with pytest.raises(UserError, match="`per_array` must be"):
        check_entries(f.loss, f.arrays, f.grads(), per_array=count)
    with pytest.raises(UserError, match="`directions` must be"):
        check_directions(f.loss, f.arrays, f.grads(), directions=count)


def test_the_seed_decides_which_entries(f):
    def first(seed):
        grads = {name: g + 1 for name, g in f.grads().items()}
        return [entry[:2] for entry in check_entries(f.loss, f.arrays, grads, per_array=2, seed=seed).worst]

    assert first(0) == first(0)
    assert any(first(0) != first(seed) for seed in range(1, 5))


def test_directions_cost_the_same_however_large_the_arrays(f):
    report = check_directions(f.loss, f.arrays, f.grads(), directions=3)
    assert report.checked == 6
    calls = f.calls
    f.arrays = {name: np.ones(1000) for name in f.arrays}
    f.w = np.ones(1000)
    check_directions(f.loss, f.arrays, f.grads(), directions=3)
    assert f.calls == 2 * calls


def test_progress_sees_every_place(f):
    seen = []

    def progress(places):
        for place in places:
            seen.append(place)
            yield place

    report = check_entries(f.loss, f.arrays, f.grads(), progress=progress)
    assert len(seen) == report.checked == 17
    assert report.passed()


# -- problems made from models


@pytest.mark.parametrize("model", MODELS)
def test_a_models_problem_has_everything_it_depends_on(model):
    problem = model_problem(made := make_model(model=model))
    names = {*made.params, *(f"state0/{name}" for name in made.state_names())}
    assert set(problem.arrays) == set(problem.grads) == names
    assert all(np.abs(g).max() > 1e-3 for g in problem.grads.values())
    assert all(np.abs(problem.arrays[name]).max() > 0.1 for name in names)


@pytest.mark.parametrize("model", MODELS)
def test_the_check_leaves_a_model_as_it_was(model):
    made = make_model(model=model, dropout=0.4)
    before = made.params.flat.copy()
    check_entries(*model_problem(made), per_array=2)
    check_directions(*model_problem(made), directions=1)
    assert np.array_equal(made.params.flat, before)
    assert made.draws == 0


def test_one_wrong_entry_of_a_model_is_named():
    problem = model_problem(make_model())
    problem.grads["time.1.W_depth"][2, 9] += 1e-3
    worst = check_entries(*problem).worst[0]
    assert (worst.name, worst.position) == ("time.1.W_depth", (2, 9))


def test_a_training_steps_problem_starts_from_a_carried_state():
    step = TrainStep(make_model())
    problem = train_step_problem(step)
    assert step.number == 1
    assert all(s.any() for s in step.state(2).values())
    assert set(problem.arrays) == set(problem.grads) == set(step.model.params)
    assert not any(np.shares_memory(a, b) for a, b in zip(problem.grads.values(), problem.arrays.values(), strict=True))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("of_a_training_step", [False, True])
def test_directions_work_for_wide_models_and_many_steps(model, of_a_training_step):
    made = make_model(model=model, hidden=96, layers=3, vocab_size=65)
    enlarge(made)
    problem = train_step_problem(TrainStep(made), steps=12) if of_a_training_step else model_problem(made, steps=12)
    report = check_directions(*problem, directions=1)
    assert report.passed(), report.worst
    next(iter(problem.grads.values()))[...] *= 1 + 1e-6
    assert not check_directions(*problem, directions=1).passed()


def test_a_training_steps_problem_always_has_a_target():
    one = train_step_problem(TrainStep(make_model(dtype="float64")), steps=1, batch=1)
    assert any(np.abs(grad).max() > 0 for grad in one.grads.values())
    with pytest.raises(UserError, match="`vocab_size` must be at least 2"):
        train_step_problem(TrainStep(make_model(dtype="float64", vocab_size=1)))


def test_wide_matrices_are_not_enlarged_as_much():
    """Sums over 200 rows have the same spread as sums over eight."""
    model = make_model(hidden=200)
    enlarge(model)
    assert np.abs(model.params["depth.W_time"]).max() == pytest.approx(0.1, rel=0.01)
    assert np.abs(model.params["depth.bias"]).max() == pytest.approx(0.5, rel=0.01)
    x = np.random.default_rng(0).uniform(-1, 1, (10, 200))
    assert (x @ model.params["depth.W_time"]).std() == pytest.approx((8 / 3 * 0.25 / 3) ** 0.5, rel=0.2)


def test_enlarge_redraws_everything():
    model = make_model()
    enlarge(model, seed=3, scale=0.5)
    once = model.params.flat.copy()
    assert 0.45 < np.abs(once).max() <= 0.5
    assert once.std() == pytest.approx(0.5 / np.sqrt(3), rel=0.1)
    enlarge(model, seed=4)
    assert not np.array_equal(model.params.flat, once)
    enlarge(model, seed=3, scale=0.5)
    assert np.array_equal(model.params.flat, once)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize(("factor", "passes"), [(1, True), (1.001, False)])
def test_a_large_scalar_hides_no_mistake_and_makes_none(check, factor, passes):
    arrays = {"a": np.array([0.3, 0.7])}
    report = check(lambda: 1e6 + (arrays["a"] ** 2).sum(), arrays, {"a": factor * 2 * arrays["a"]})
    assert report.passed() == passes
