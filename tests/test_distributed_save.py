"""What several ranks save is what one process would save, and any number of ranks goes on from it."""

import pytest
from helpers import arrays_in, assert_close
from rank_training import go_on, make, minibatches
from thread_ranks import on_ranks

from minigrid import UserError
from minigrid.backend.ranks import ALONE
from minigrid.training.optim import OPTIMIZERS

every_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS)


@every_optimizer
@pytest.mark.parametrize("steps", [0, 3])
def test_the_first_rank_saves_what_one_process_would(optimizer, steps):
    def save(ranks):
        step = make(ranks, {"dropout": 0.4}, {"optimizer": optimizer})
        for minibatch in minibatches(step.model, range(steps)):
            step(*minibatch)
        return step.state_dict()

    first, *others = on_ranks(3, save)
    expected = save(ALONE)
    assert list(first) == list(expected)
    assert_close(arrays_in(first), arrays_in(expected), 1e-12)
    for name, array in arrays_in(expected).items():
        assert first[name.strip("/")].dtype == array.dtype
    assert (first["number"], first["lr"]) == (steps, expected["lr"])
    assert others == [{}, {}]


@every_optimizer
@pytest.mark.parametrize(("before", "after"), [(3, 1), (3, 2), (3, 5), (1, 3)])
@pytest.mark.parametrize("model", ["grid", "gru"])
def test_any_number_of_ranks_goes_on_from_what_others_saved(model, before, after, optimizer):
    options, settings = {"model": model, "dropout": 0.4}, {"optimizer": optimizer, "lr": 0.01}

    def begin(ranks):
        step = make(ranks, options, settings)
        go_on(step, range(5))
        return step.model.params.flat, step.state_dict()

    def continue_from(ranks):
        step = make(ranks, options, settings)
        step.model.params.flat[...] = params
        step.load_state_dict(saved)
        return go_on(step, range(5, 10))

    params, saved = on_ranks(before, begin)[0]
    never_stopped = make(ALONE, options, settings)
    go_on(never_stopped, range(5))
    expected = go_on(never_stopped, range(5, 10))
    for found in on_ranks(after, continue_from):
        assert_close(found, expected, 1e-12)


@pytest.mark.parametrize(
    ("options", "optimizer"), [({}, "adam"), ({"hidden": 5}, "rmsprop"), ({"hidden": 3}, "rmsprop")], ids=str
)
def test_every_rank_refuses_what_was_saved_elsewhere(options, optimizer):
    saved = make(ALONE, options, {"optimizer": optimizer}).state_dict()

    def load(ranks):
        with pytest.raises(UserError, match="does not fit"):
            make(ranks, {}).load_state_dict(saved)

    on_ranks(3, load)
