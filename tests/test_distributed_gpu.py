"""Ranks that compute on GPUs, see strict_cupy.py, with an MPI library that takes their arrays and without."""

from functools import partial

import pytest
from helpers import MODELS, arrays_in, assert_close
from rank_training import B, go_on, make, minibatches, train
from thread_ranks import on_ranks

from minigrid.backend import to_host
from minigrid.backend.ranks import ALONE


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("gpu_aware", [False, True], ids=["through the host", "directly"])
def test_gpus_train_as_cpus(fake_cupy, model, gpu_aware):
    options, settings = {"model": model, "dropout": 0.4}, {"optimizer": "adam", "clip_norm": 0.1}
    expected, _ = on_ranks(2, partial(train, options=options, settings=settings, steps=4))
    of_device = partial(train, options=options | {"backend": "cupy"}, settings=settings, steps=4)
    for found in on_ranks(2, of_device, gpu_aware):
        assert_close(found, expected, 1e-9)  # the optimiser divides small numbers by small numbers
    # MPI must not read what kernels have yet to write: it gets two vectors a step from each rank
    assert fake_cupy.waits.count("synchronize stream") == (2 * 2 * 4 if gpu_aware else 0)


@pytest.mark.usefixtures("fake_cupy")
@pytest.mark.parametrize("gpu_aware", [False, True], ids=["through the host", "directly"])
def test_gpus_save_and_load_as_cpus(gpu_aware):
    def save(ranks, backend):
        step = make(ranks, {"dropout": 0.4, "backend": backend})
        go_on(step, range(3))
        return to_host(step.model.params.flat), step.state_dict()

    def gradients(ranks, backend):
        step = make(ranks, {"dropout": 0.4, "backend": backend})
        step.model.params.flat[...] = step.model.xp.asarray(params)
        step.load_state_dict(saved)
        loss, grads, _ = step.gradients(*next(minibatches(step.model, [3])))
        assert step.memory(4, B) > step.model.params.flat.nbytes
        return {"loss": float(loss)} | {name: to_host(g) for name, g in grads.items()}

    params, saved = on_ranks(2, partial(save, backend="cupy"), gpu_aware)[0]
    assert_close(arrays_in(saved), arrays_in(save(ALONE, "numpy")[1]), 1e-9)
    expected = gradients(ALONE, "numpy")
    for found in on_ranks(2, partial(gradients, backend="cupy"), gpu_aware):
        assert_close(found, expected, 1e-10)
