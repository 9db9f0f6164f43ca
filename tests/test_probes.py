import warnings

import numpy as np
import pytest

from minigrid import UserError
from minigrid.analysis import probes
from minigrid.analysis.gradcheck import central_difference
from minigrid.analysis.probes import balanced_accuracy, context_says, fit_context, fit_probe, fit_units


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def states_with_a_rare_fact(rng, count=4000, share=0.1):
    """Units 1 and 3 show the fact together, unit 2 alone but roughly; the rest are noise. Scales differ."""
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


def penalised_loss(states, truth, weights, bias):
    """The loss that a probe minimises, from its definition: mean log-losses of both classes, and an L2 penalty."""
    logits = states.astype(np.float64) @ weights + bias
    log_losses = np.logaddexp(0, np.where(truth, -logits, logits))
    standardised = weights * states.std(axis=0)
    return (log_losses[truth].mean() + log_losses[~truth].mean()) / 2 + probes.RIDGE / 2 * (standardised**2).sum()


def test_the_penalised_loss_has_its_minimum_at_the_probe(rng):
    """The loss is convex, so a point where all its slopes are 0 is the minimum."""
    states, truth = states_with_a_rare_fact(rng)
    probe = fit_probe(states, truth)
    scale, mean = states.std(axis=0), states.mean(axis=0)

    def slopes(weights, bias):
        """Slopes along each standardised weight, and along the bias of the standardised units."""
        moves = [(move / scale, -(mean / scale) @ move) for move in np.eye(len(scale))] + [(np.zeros_like(scale), 1)]
        return [
            central_difference(lambda e, w=w, b=b: penalised_loss(states, truth, weights + e * w, bias + e * b))
            for w, b in moves
        ]

    assert np.abs(slopes(probe.weights, probe.bias)).max() < 1e-7
    assert np.abs(slopes(0 * probe.weights, probe.bias)).min() > 1e-7  # the slopes are not always 0
    assert np.abs(slopes(1.01 * probe.weights, probe.bias)).max() > 1e-5


def test_a_probe_that_has_not_converged_says_so(rng, monkeypatch):
    states, truth = states_with_a_rare_fact(rng)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit_probe(states, truth)
    monkeypatch.setattr(probes, "ROUNDS", 2)
    with pytest.warns(RuntimeWarning, match="not converged after 2 rounds of Newton's method") as caught:
        fit_probe(states, truth)
    assert caught[0].filename == __file__


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
    assert probes[2].weights[2] == -1  # yes is below the threshold
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
def test_a_fact_that_is_always_true_is_refused(fit):
    with pytest.raises(UserError, match="nothing to tell apart"):
        fit(np.zeros((3, 2)), np.ones(3, bool))


def test_a_context_gives_the_likelier_answer():
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
