import numpy as np
import pytest
from helpers import CELL_OPTIONS, assert_close, label, make_model, minibatch

from minigrid import UserError
from minigrid.gradient_flow import norms_by_lag


def last_losses(model, x, target, state):
    """The loss of each text at the last step, (B,)."""
    logits, _ = model.predict(x, state)
    scores = logits[-1] - logits[-1].max(axis=1, keepdims=True)
    return np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(len(target)), target]


def norms_by_differences(model, x, target, state, step=1e-5):
    """The norm of each text's gradient with respect to every state before the first step: name -> (B,)."""
    norms = {}
    for name, values in state.items():
        squares = np.zeros(len(target))
        for unit in range(values.shape[1]):
            up, down = (state | {name: values + sign * step * np.eye(values.shape[1])[unit]} for sign in (1, -1))
            slope = (last_losses(model, x, target, up) - last_losses(model, x, target, down)) / (2 * step)
            squares += slope**2
        norms[name] = np.sqrt(squares)
    return norms


@pytest.mark.parametrize("options", CELL_OPTIONS, ids=label)
def test_the_norms_are_those_of_finite_differences(options):
    model = make_model(**options, layers=3)
    batch = minibatch(model, steps=4)
    x, target, state = batch.x, batch.y[0], batch.state
    norms = norms_by_lag(model, x, target, state)
    kind = model.cell.kind
    assert {name: norm.shape for name, norm in norms.items()} == {
        f"{kind}.{name}": (3, 4, 2) for name in model.cell.states
    }
    for lag in range(4, 0, -1):  # the state before the last `lag` characters
        expected = norms_by_differences(model, x[-lag:], target, state)
        for name, norm in norms.items():
            for layer in range(3):
                state_name = f"{kind}.{layer}.{name.removeprefix(f'{kind}.')}"
                assert_close(norm[layer, lag - 1], expected[state_name], 1e-7, f"{state_name}, lag {lag}")
        _, state = model.predict(x[4 - lag : 5 - lag], state)


def test_texts_do_not_mix_and_start_from_zeros():
    model = make_model(model="grid")
    batch = minibatch(model, steps=4, batch=3)
    both = norms_by_lag(model, batch.x, batch.y[0])
    alone = norms_by_lag(model, batch.x[:, 1:2], batch.y[0, 1:2], model.initial_state(1))
    assert_close({name: norm[:, :, 1:2] for name, norm in both.items()}, alone, 1e-12)


def test_one_target_for_each_text():
    model = make_model(model="rnn")
    batch = minibatch(model)
    with pytest.raises(UserError, match="1 targets for 2 texts"):
        norms_by_lag(model, batch.x, batch.y[0, :1])
