import numpy as np
import pytest

from minigrid import UserError
from minigrid.analysis.probes import balanced_accuracy, context_says, fit_context, fit_probe, fit_units


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def states_with_a_rare_fact(rng, count=4000, share=0.1):
    """Units 1 and 3 show it together, unit 2 by itself but roughly, the rest are noise; scales differ."""
    truth = rng.random(count) < share
    states = rng.standard_normal((count, 5))
    states[:, 1] += 3 * states[:, 3] + 3 * truth
    states[:, 2] -= 2 * truth
    return (states * (1, 5, 0.01, 1, 1) + (0, 0, 4, 0, 0)).astype(np.float32), truth


def test_balanced_accuracy_is_a_half_for_a_constant_answer(rng):
    truth = rng.random(1000) < 0.03
    assert balanced_accuracy(truth, np.zeros(1000, bool)) == balanced_accuracy(truth, np.ones(1000, bool)) == 0.5
    assert balanced_accuracy(truth, truth) == 1
    assert balanced_accuracy(np.array([True, True, False, False]), np.array([True, False, False, False])) == 0.75


def test_a_probe_solves_the_regression(rng):
    """At the minimum the weighted residuals are orthogonal to every unit, but for the small ridge."""
    states, truth = states_with_a_rare_fact(rng)
    probe = fit_probe(states, truth)
    p = 1 / (1 + np.exp(-(states @ probe.weights + probe.bias)))
    residuals = (p - truth) * np.where(truth, 0.5 / truth.mean(), 0.5 / (1 - truth.mean()))
    standardised = (states - states.mean(axis=0)) / states.std(axis=0)
    assert abs(residuals.mean()) < 1e-6
    assert abs(standardised.T @ residuals / len(states)).max() < 1e-3


def test_a_probe_uses_units_together(rng):
    states, truth = states_with_a_rare_fact(rng)
    judged, asked = states_with_a_rare_fact(rng)
    accuracy = balanced_accuracy(asked, fit_probe(states, truth).says(judged))
    _, alone = fit_units(states, truth)
    assert accuracy > 0.93 > alone.max() + 0.05


def test_the_best_unit_is_found_with_its_side(rng):
    states, truth = states_with_a_rare_fact(rng)
    probes, accuracies = fit_units(states, truth)
    assert accuracies.argmax() == 2
    assert probes[2].weights[2] == -1  # low means yes
    for probe, accuracy in zip(probes, accuracies, strict=True):
        assert balanced_accuracy(truth, probe.says(states)) == pytest.approx(accuracy, abs=2e-3)


def test_a_unit_is_judged_as_by_trying_every_threshold(rng):
    states, truth = rng.standard_normal((40, 3)), rng.random(40) < 0.3
    _, accuracies = fit_units(states, truth)
    for unit, accuracy in zip(states.T, accuracies, strict=True):
        tried = [balanced_accuracy(truth, unit > threshold) for threshold in unit]
        assert accuracy == pytest.approx(max(max(tried), 1 - min(tried)))


def test_perfectly_separable_states_are_no_trouble(rng):
    truth = np.arange(100) % 2 == 0
    states = np.where(truth, 1.0, -1.0)[:, None] + 0.1 * rng.standard_normal((100, 2))
    assert balanced_accuracy(truth, fit_probe(states, truth).says(states)) == 1


@pytest.mark.parametrize("fit", [fit_probe, fit_units])
def test_a_fact_that_is_always_so_is_refused(fit):
    with pytest.raises(UserError, match="nothing to tell apart"):
        fit(np.zeros((3, 2)), np.ones(3, bool))


def test_a_context_knows_what_the_last_characters_tell():
    ids = np.array([[0, 1], [1, 0], [2, 2], [2, 2]])  # two texts: 0 1 2 2 and 1 0 2 2
    truth = np.array([[0, 0], [0, 0], [1, 0], [1, 1]], bool)
    said = context_says(fit_context(ids, truth, 2), ids, 2)
    assert said.tolist() == truth[1:].tolist()
    unseen = np.array([[3], [3]])
    assert context_says(fit_context(ids, truth, 1), unseen, 1).tolist() == [[False], [False]]


@pytest.mark.parametrize("values", [[0.0], [-1.0, 1.0], [0.0, 0.5, 1.0]])
def test_no_threshold_lies_between_equal_values(rng, values):
    truth = np.arange(300) < 100
    states = rng.choice(values, (300, 2))
    probes, accuracies = fit_units(states, truth)
    for probe, accuracy in zip(probes, accuracies, strict=True):
        assert balanced_accuracy(truth, probe.says(states)) == pytest.approx(accuracy)
