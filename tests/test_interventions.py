import numpy as np
import pytest
from helpers import CELL_OPTIONS, make_model, minibatch

from minigrid import TrainStep, UserError, trace
from minigrid.analysis.interventions import clamp_gate, untied

GATES = [("grid", "depth.f"), ("grid", "time.f"), ("grid", "time.o"), ("lstm", "lstm.f"), ("lstm", "lstm.i")]


@pytest.mark.parametrize("options", CELL_OPTIONS, ids=str)
def test_an_untied_copy_computes_the_same_function(options):
    model = make_model(**options)
    batch = minibatch(model)
    copy = untied(model)
    assert copy.options.tie in (None, "none")
    for one, other in zip(copy.forward(batch.x, batch.state)[:1], model.forward(batch.x, batch.state)[:1], strict=True):
        assert np.array_equal(one, other)
    assert not np.shares_memory(copy.params.flat, model.params.flat)


def test_an_untied_copy_of_one_hot_characters():
    model = make_model(model="lstm", embedding=0)
    assert np.array_equal(untied(model).params.flat, model.params.flat)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("value", [0, 1])
@pytest.mark.parametrize(("kind", "gate"), GATES)
def test_a_clamped_gate_has_exactly_its_value_and_other_gates_stay_free(kind, gate, value, dtype):
    model = make_model(model=kind, layers=3, dtype=dtype)
    batch = minibatch(model)
    before = model.params.flat.copy()
    seen = trace(clamp_gate(model, gate, 1, value, units=[0, 2]), batch.x)[gate]
    assert (seen[1][..., [0, 2]] == value).all()
    assert ((seen[1][..., [1]] > 0) & (seen[1][..., [1]] < 1)).all()
    assert ((seen[[0, 2]] > 0) & (seen[[0, 2]] < 1)).all()
    assert np.array_equal(model.params.flat, before)


def test_a_gate_can_be_clamped_to_any_value_between_0_and_1():
    model = make_model(model="grid", tie="layers", layers=2, dtype="float64")
    batch = minibatch(model)
    values = np.linspace(0.1, 0.9, model.hidden)
    seen = trace(clamp_gate(model, "depth.f", 1, values), batch.x)["depth.f"]
    assert np.allclose(seen[1], values, rtol=1e-12)


def test_the_lowest_forget_gate_along_depth_has_nothing_to_forget():
    model = make_model(model="grid", layers=2)
    batch = minibatch(model)
    logits = [clamp_gate(model, "depth.f", 0, value).forward(batch.x, batch.state)[0] for value in (0, 1)]
    assert np.array_equal(*logits)


def test_a_closed_gate_stays_closed_in_training():
    model = clamp_gate(make_model(model="grid", layers=2), "depth.f", 1, 0)
    batch = minibatch(model)
    step = TrainStep(model)
    for _ in range(3):
        step(batch.x, batch.y)
    assert (trace(model, batch.x)["depth.f"][1] == 0).all()


@pytest.mark.parametrize("gate", ["depth.f", "lstm.g", "lstm", "f"])
def test_an_unknown_gate_is_refused(gate):
    with pytest.raises(UserError, match=r"`gate` must be one of lstm\.i, lstm\.f, lstm\.o for") as error:
        clamp_gate(make_model(model="lstm"), gate, 0, 1)
    assert repr(gate) in str(error.value)


@pytest.mark.parametrize(("kind", "gate"), [("gru", "gru.z"), ("gru", "gru.i"), ("gru", "gru.o"), ("rnn", "rnn.i")])
def test_a_model_without_lstms_is_refused(kind, gate):
    with pytest.raises(UserError, match=f"kind '{kind}' has no gates that can be clamped: use 'grid' or 'lstm'"):
        clamp_gate(make_model(model=kind), gate, 0, 1)


@pytest.mark.parametrize("value", [1.5, -0.1, np.nan, np.array([0.5, 2.0])])
def test_a_value_outside_0_to_1_is_refused(value):
    with pytest.raises(UserError, match=r"`value` must be from 0 \(closed\) to 1 \(open\)"):
        clamp_gate(make_model(), "depth.f", 0, value)


@pytest.mark.parametrize("layer", [-1, 2])
def test_a_missing_layer_is_refused(layer):
    with pytest.raises(UserError, match=f"`layer` must be from 0 to 1, counted from 0, not {layer}"):
        clamp_gate(make_model(layers=2), "depth.f", layer, 0.5)
