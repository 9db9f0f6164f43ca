"""Finite differences on everything that can be configured, and proof that they would notice a mistake.

The second half breaks the backward passes on purpose, one mistake at a time: a gradient check that passes on any of
these is of no use.
"""

import copy
import inspect
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import pytest
from helpers import CONFIGURATIONS, Options, label, make_model

from minigrid import TrainStep
from minigrid.analysis.gradcheck import Report, check_directions, check_entries, model_problem, train_step_problem
from minigrid.nn import ops
from minigrid.nn.cells import GRU, LSTM, RNN, Grid, gru, rnn

NOTICED = 1e-6
"""A mistake has to raise the error at least this far; a right gradient stays below 1e-8."""


# -- right gradients pass

SAMPLE: list[Options] = [
    {"model": "grid", "tie": "depth", "dropout": 0.4},
    {"model": "grid", "tie": "layers", "priority": "none", "lstm_output": "paper"},
    {"model": "grid", "tie": "none", "lstm_output": "paper", "dropout": 0.4},
    {"model": "lstm", "embedding": 0, "dropout": 0.4},
    {"model": "lstm", "lstm_output": "paper", "embedding": 3},
    {"model": "gru", "dropout": 0.4},
    {"model": "gru", "embedding": 0},
    {"model": "rnn", "embedding": 3, "dropout": 0.4},
]
"""A few configurations that between them have everything."""


@pytest.mark.parametrize("options", CONFIGURATIONS, ids=label)
def test_every_configuration(options):
    """Along random directions through all entries of an array at once, which costs little."""
    report = check_directions(*model_problem(make_model(**options)), directions=4)
    assert report.passed(1e-8), report.worst


@pytest.mark.parametrize("options", SAMPLE, ids=label)
def test_entry_by_entry(options):
    model = make_model(**options)
    report = check_entries(*model_problem(model))
    assert report.passed(1e-8), report.worst
    assert report.checked == model.params.flat.size + sum(s.size for s in model.initial_state(2).values())


@pytest.mark.parametrize("sizes", [{"layers": 1}, {"layers": 3}, {"steps": 1}, {"batch": 1}, {"hidden": 1}], ids=str)
@pytest.mark.parametrize("options", SAMPLE, ids=label)
def test_other_sizes(options, sizes):
    shape = {name: sizes[name] for name in ("steps", "batch") if name in sizes}
    model = make_model(**options, **{name: size for name, size in sizes.items() if name not in shape})
    report = check_directions(*model_problem(model, **shape), directions=2)
    assert report.passed(1e-8), report.worst


@pytest.mark.parametrize("options", CONFIGURATIONS, ids=label)
def test_what_a_training_step_uses(options):
    """The mean loss of the second minibatch, which begins in a carried state, with the arrays of the first re-used."""
    report = check_directions(*train_step_problem(TrainStep(make_model(**options), clip=None)), directions=2)
    assert report.passed(1e-8), report.worst


@pytest.mark.parametrize("options", SAMPLE, ids=label)
def test_what_a_training_step_uses_entry_by_entry(options):
    report = check_entries(*train_step_problem(TrainStep(make_model(**options), clip=None)), per_array=6)
    assert report.passed(1e-8), report.worst


# -- wrong gradients are caught: the tools

Patch = pytest.MonkeyPatch


def wrap(patch: Patch, name: str, broken: Callable[[Callable], Callable]) -> None:
    """Replace a function, found by name in whichever modules of the package hold it, by ``broken(healthy)``."""
    holders = [m for key, m in sys.modules.items() if key.startswith("minigrid") and hasattr(m, name)]
    assert holders, f"no module of minigrid holds {name} any more"
    for module in holders:
        patch.setattr(module, name, broken(getattr(module, name)))


def by_name(healthy: Callable) -> Callable[..., dict[str, Any]]:
    """Return a function that sorts arguments as `healthy` would, into a dict by parameter name."""
    signature = inspect.signature(healthy)

    def bind(*args, **kwargs):
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return bound.arguments

    return bind


def change_arguments(change: Callable[[dict[str, Any]], None]) -> Callable[[Callable], Callable]:
    """Break a function by changing what it is given."""

    def broken(healthy):
        def function(*args, **kwargs):
            arguments = by_name(healthy)(*args, **kwargs)
            change(arguments)
            return healthy(**arguments)

        return function

    return broken


def change_results(change: Callable[[dict[str, Any], Any], Any]) -> Callable[[Callable], Callable]:
    """Break a function by changing what it wrote or returned."""

    def broken(healthy):
        def function(*args, **kwargs):
            arguments = by_name(healthy)(*args, **kwargs)
            kept = {name: a.copy() if isinstance(a, np.ndarray) else a for name, a in arguments.items()}
            result = healthy(**arguments)
            changed = change(kept | {f"new_{name}": a for name, a in arguments.items()}, result)
            return result if changed is None else changed

        return function

    return broken


@dataclass
class Mutant:
    """One mistake: how to make it, and a model in which it matters."""

    mistake: str
    make: Callable[[Patch], None]
    options: Options = field(default_factory=lambda: {"model": "grid"})


def in_function(name: str, broken: Callable[[Callable], Callable]) -> Callable[[Patch], None]:
    return lambda patch: wrap(patch, name, broken)


def in_backward_of(cell: type, broken: Callable[[Callable], Callable]) -> Callable[[Patch], None]:
    return lambda patch: patch.setattr(cell, "backward", broken(cell.backward))


def in_line(cell: type, module: Any, right: str, wrong: str) -> Callable[[Patch], None]:
    """Make a mistake in the middle of a method, by rewriting one expression of its source."""

    def make(patch):
        source = textwrap.dedent(inspect.getsource(cell.backward))
        assert source.count(right) == 1, (
            f"{cell.__name__}.backward no longer holds {right!r} once: point this mutant at what has taken its place"
        )
        namespace = dict(vars(module))
        exec(compile(source.replace(right, wrong), f"broken {module.__file__}", "exec"), namespace)
        patch.setattr(cell, "backward", namespace["backward"])

    return make


# -- the mistakes


def slopes_and_gates(a):
    """The slopes that were written, in the order i, f, o, g and ∂h/∂c; and the gates."""
    return a["new_out"], a["update"].gates


def slope_without_the_gate(a, _):
    slopes, gates = slopes_and_gates(a)
    slopes[:3] /= gates[:3]  # 1 - s


def slope_without_the_complement(a, _):
    slopes, gates = slopes_and_gates(a)
    slopes[:3] /= 1 - gates[:3]  # s


def candidate_slope_without_the_square(a, _):
    slopes, (*_, g) = slopes_and_gates(a)
    slopes[3] *= (1 - g) / (1 - g * g)


def new_cell_for_the_old(a):
    a["update"] = a["update"]._replace(c_prev=a["update"].c)


def no_gradient_from_the_output(a, _):
    slopes, _ = slopes_and_gates(a)
    slopes[4] = 0


def slope_at_the_wrong_place(a, _):
    slopes, _ = slopes_and_gates(a)
    slopes[4] *= (1 - a["update"].c ** 2) / (1 - a["update"].s ** 2)  # tanh' = 1 - tanh(c)^2, not 1 - c^2


def cell_for_its_tanh(a, _):
    slopes, _ = slopes_and_gates(a)
    slopes[2] *= a["update"].c / a["update"].s


def paper_slope_forgotten(a, _):
    slopes, _ = slopes_and_gates(a)
    slopes[2] /= 1 - a["update"].s ** 2


def paper_output_gate_forgotten(a, _):
    slopes, (_, _, o, _) = slopes_and_gates(a)
    slopes[4] /= o


def swap_gates(a, _):
    da = a["new_da"]
    da[[2, 3]] = da[[3, 2]]  # PyTorch's order, i f g o


def cell_gradient_for_the_output_gate(a, _):
    dc_total = a["new_dc_prev"] / a["f"]
    a["new_da"][2] = a["slopes"][2] * dc_total


def no_forget_gate(a, _):
    a["new_dc_prev"][...] /= a["f"]


def no_gradient_from_the_next_cell(a):
    a["dc"] = np.zeros_like(a["dc"])


def with_weight(cache, name, change):
    """Replace one weight in a cache by what `change` makes of it."""
    weights = cache.weights
    return cache._replace(weights=weights._replace(**{name: change(getattr(weights, name))}))


def nothing_through_time(a):
    a["cache"] = with_weight(a["cache"], "W_h", np.zeros_like)


def recurrent_weights_not_transposed(a):
    H = a["cache"].weights.W_h.shape[0]
    a["cache"] = with_weight(a["cache"], "W_h", lambda W: W.reshape(H, 4, H).transpose(2, 1, 0).reshape(H, 4 * H))


def states_one_step_late(a):
    a["cache"] = a["cache"]._replace(h=np.roll(a["cache"].h, -1, axis=0))


def final_state_for_the_initial_one(a):
    h, c = a["cache"].h.copy(), a["cache"].c.copy()
    h[0], c[0] = h[-1], c[-1]
    a["cache"] = a["cache"]._replace(h=h, c=c)


def without_state(name):
    def change(a):
        a["dstate"] = a["dstate"] | {name: np.zeros_like(a["dstate"][name])}

    return change


def without_initial_state(name):
    def change(_, result):
        dsource, dc_depth, dstate = result
        return dsource, dc_depth, dstate | {name: np.zeros_like(dstate[name])}

    return change


def without_weight(kind, name):
    def change(a):
        part = with_weight(getattr(a["cache"], kind), name, np.zeros_like)
        a["cache"] = a["cache"]._replace(**{kind: part})

    return change


def overwrite(*names):
    def change(a):
        for name in names:
            a["grads"][name][...] = 0

    return change


def overwrite_linear(a):
    a["dW"][...] = 0
    a["dbias"][...] = 0


def other_priority(a):
    cell = a["self"]
    a["self"] = copy.copy(cell)
    a["self"].steps_read = slice(None, -1) if cell.steps_read == slice(1, None) else slice(1, None)


def no_memory_from_above(a):
    a["dc_above"] = None


def bias_over_the_wrong_axis(a, _):
    outputs = a["dbias"].size
    a["new_dbias"][...] = a["dbias"] + a["dout"].reshape(outputs, -1).sum(axis=1)


def bias_of_the_first_in_the_batch(a, _):
    a["new_dbias"][...] = a["dbias"] + ops.rows(a["dout"])[:1].sum(axis=0)


def mask_forgotten(a):
    a["mask"] = None


def mask_twice(a):
    if a["mask"] is not None:
        a["mask"] = a["mask"] ** 2


def mask_one_step_late(a):
    if a["mask"] is not None:
        a["mask"] = np.roll(a["mask"], 1, axis=0)


def last_of_equal_characters(a, table):
    table[a["ids"]] = a["dout"]


def gates_replaced(change):
    def broken(a):
        gates = a["cache"].gates.copy()
        change(gates)
        a["cache"] = a["cache"]._replace(gates=gates)

    return broken


def swap_roles_of_z(gates):
    z = gates[..., : gates.shape[-1] // 3]
    z[...] = 1 - z


def state_not_reset(a):
    a["cache"] = a["cache"]._replace(reset=a["cache"].h[:-1])


def rnn_weights_not_transposed(a):
    a["cache"] = with_weight(a["cache"], "W_h", np.transpose)


GRID, STACK, PAPER = {"model": "grid"}, {"model": "lstm"}, {"model": "grid", "lstm_output": "paper"}
DROPOUT = {"model": "grid", "dropout": 0.4}
GRU_MODEL, RNN_MODEL = {"model": "gru"}, {"model": "rnn"}

MUTANTS = [
    # the LSTM update
    Mutant("sigmoid' is 1 - s", in_function("lstm_slopes", change_results(slope_without_the_gate))),
    Mutant("sigmoid' is s", in_function("lstm_slopes", change_results(slope_without_the_complement)), STACK),
    Mutant("the slope of g is 1 - g", in_function("lstm_slopes", change_results(candidate_slope_without_the_square))),
    Mutant("df with c for c_prev", in_function("lstm_slopes", change_arguments(new_cell_for_the_old))),
    Mutant("dc through h dropped", in_function("lstm_slopes", change_results(no_gradient_from_the_output))),
    Mutant("tanh' at c for tanh(c)", in_function("lstm_slopes", change_results(slope_at_the_wrong_place))),
    Mutant("do with c for tanh(c)", in_function("lstm_slopes", change_results(cell_for_its_tanh)), STACK),
    Mutant("paper: do without tanh'", in_function("lstm_slopes", change_results(paper_slope_forgotten)), PAPER),
    Mutant("paper: dc without o", in_function("lstm_slopes", change_results(paper_output_gate_forgotten)), PAPER),
    Mutant("o and g in the wrong order", in_function("lstm_backward", change_results(swap_gates))),
    Mutant("do from dc for dh", in_function("lstm_backward", change_results(cell_gradient_for_the_output_gate))),
    Mutant("dc_prev without f", in_function("lstm_backward", change_results(no_forget_gate)), STACK),
    Mutant(
        "dc of the next update dropped", in_function("lstm_backward", change_arguments(no_gradient_from_the_next_cell))
    ),
    # through time
    Mutant("lstm: no recurrent term", in_function("sequence_backward", change_arguments(nothing_through_time)), STACK),
    Mutant("grid: no recurrent term", in_function("sequence_backward", change_arguments(nothing_through_time))),
    Mutant(
        "W_h not transposed",
        in_function("sequence_backward", change_arguments(recurrent_weights_not_transposed)),
        STACK,
    ),
    Mutant(
        "dW_h with h[t] for h[t-1]", in_function("sequence_backward", change_arguments(states_one_step_late)), STACK
    ),
    Mutant(
        "the carried state overwritten before the backward pass",
        in_function("sequence_backward", change_arguments(final_state_for_the_initial_one)),
    ),
    Mutant("gradient of the final h dropped", in_backward_of(Grid, change_arguments(without_state("h")))),
    Mutant("gradient of the final c dropped", in_backward_of(LSTM, change_arguments(without_state("c"))), STACK),
    Mutant("gradient of h0 dropped", in_backward_of(Grid, change_results(without_initial_state("h")))),
    Mutant("gradient of c0 dropped", in_backward_of(LSTM, change_results(without_initial_state("c"))), STACK),
    # the grid
    Mutant(
        "depth's gradient of h_time dropped", in_backward_of(Grid, change_arguments(without_weight("depth", "W_time")))
    ),
    Mutant(
        "depth's gradient of h_below dropped",
        in_backward_of(Grid, change_arguments(without_weight("depth", "W_depth"))),
    ),
    Mutant("time's gradient of h_below dropped", in_backward_of(Grid, change_arguments(without_weight("time", "W_x")))),
    Mutant("depth's gradient one step early", in_backward_of(Grid, change_arguments(other_priority))),
    Mutant(
        "depth's gradient one step late",
        in_backward_of(Grid, change_arguments(other_priority)),
        {"model": "grid", "priority": "none"},
    ),
    Mutant("gradient of c_depth dropped between layers", in_backward_of(Grid, change_arguments(no_memory_from_above))),
    # = for +=
    Mutant(
        "tied: gradient of depth.W_depth overwritten",
        in_function("linear_backward", change_arguments(overwrite_linear)),
    ),
    Mutant(
        "tied: gradient of depth.W_time overwritten", in_backward_of(Grid, change_arguments(overwrite("depth.W_time")))
    ),
    Mutant(
        "tied: gradient of time.bias overwritten",
        in_backward_of(Grid, change_arguments(overwrite("time.bias"))),
        {"model": "grid", "tie": "layers"},
    ),
    Mutant(
        "a repeated character's row overwritten",
        in_function("embedding_backward", change_results(last_of_equal_characters)),
    ),
    Mutant(
        "a repeated character's row of W_x overwritten",
        in_function("embedding_backward", change_results(last_of_equal_characters)),
        {"model": "rnn", "embedding": 0},
    ),
    # around the cells
    Mutant("bias summed over the wrong axis", in_function("linear_backward", change_results(bias_over_the_wrong_axis))),
    Mutant(
        "bias not summed", in_function("linear_backward", change_results(bias_of_the_first_in_the_batch)), RNN_MODEL
    ),
    Mutant("dropout's mask forgotten", in_function("dropout_backward", change_arguments(mask_forgotten)), DROPOUT),
    Mutant("dropout's mask applied twice", in_function("dropout_backward", change_arguments(mask_twice)), DROPOUT),
    Mutant(
        "dropout's mask one step late", in_function("dropout_backward", change_arguments(mask_one_step_late)), DROPOUT
    ),
    # the other cells
    Mutant(
        "gru: z and 1 - z exchanged", in_backward_of(GRU, change_arguments(gates_replaced(swap_roles_of_z))), GRU_MODEL
    ),
    Mutant("gru: dU_n from h for r * h", in_backward_of(GRU, change_arguments(state_not_reset)), GRU_MODEL),
    Mutant("gru: dh_prev without r", in_line(GRU, gru, "dreset * r", "dreset"), GRU_MODEL),
    Mutant("gru: h_prev not kept", in_line(GRU, gru, "dh * (1 - z)", "0 * dh"), GRU_MODEL),
    Mutant("gru: gradient of h0 dropped", in_backward_of(GRU, change_results(without_initial_state("h"))), GRU_MODEL),
    Mutant("rnn: tanh' is 1 - h", in_line(RNN, rnn, "(1 - h[t + 1] * h[t + 1])", "(1 - h[t + 1])"), RNN_MODEL),
    Mutant(
        "rnn: tanh' at the step before", in_line(RNN, rnn, "(1 - h[t + 1] * h[t + 1])", "(1 - h[t] * h[t])"), RNN_MODEL
    ),
    Mutant("rnn: W_h not transposed", in_backward_of(RNN, change_arguments(rnn_weights_not_transposed)), RNN_MODEL),
]


def check_both_ways(options: Options, make: Callable[[Patch], None] = lambda patch: None) -> list[Report]:
    """Check a model whose backward pass was broken, entry by entry and along directions."""
    with pytest.MonkeyPatch.context() as patch:
        make(patch)
        problem = model_problem(make_model(**options))
    return [check_entries(*problem, per_array=6), check_directions(*problem, directions=2)]


@cache
def is_sound(options: tuple) -> bool:
    return all(report.passed(1e-8) for report in check_both_ways(dict(options)))


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.mistake)
def test_a_broken_backward_pass_is_caught(mutant):
    assert is_sound(tuple(mutant.options.items()))
    for report in check_both_ways(mutant.options, mutant.make):
        assert report.error > NOTICED, "it goes unnoticed"
        assert not report.passed()


def test_why_the_weights_must_be_tied():
    """Overwriting is no mistake where every layer has its own weights: only a tied model notices it."""
    overwriting = [mutant for mutant in MUTANTS if mutant.mistake.startswith("tied: gradient of depth")]
    assert len(overwriting) == 2
    for mutant in overwriting:
        assert all(report.passed(1e-8) for report in check_both_ways({"model": "grid", "tie": "none"}, mutant.make))
