"""On a GPU (``pytest -m gpu``): results as with NumPy, checkpoints that move, identical bits every time."""

import os

import numpy as np
import pytest
from helpers import CONFIGURATIONS, MODELS, assert_close, assert_equal, label, make_model, minibatch
from test_recurrence import both_ways, problem

from minigrid import CharModel, TrainStep, UserError, load
from minigrid.backend import backend_module, choose_device, to_host
from minigrid.backend.cuda.recurrence import UNITS, recurrence
from minigrid.data.vocabulary import Vocabulary
from minigrid.runs.checkpoint import model_arrays, write_checkpoint
from minigrid.runs.checkpoint_format import Meta

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module", autouse=True)
def cupy():
    try:
        choose_device("cupy")  # matrix products in full float32, whatever $CUPY_TF32 says
    except UserError as error:
        if os.environ.get("MINIGRID_REQUIRE_GPU"):
            pytest.fail(str(error))
        pytest.skip(str(error))
    return backend_module("cupy")


@pytest.fixture(autouse=True)
def _unharmed(cupy):
    """Exit if the GPU has failed, since every later test in this process would fail too; xdist starts another."""
    yield
    try:
        cupy.cuda.Device().synchronize()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        if "PYTEST_XDIST_WORKER" in os.environ:
            os._exit(1)
        pytest.exit(f"the GPU has failed, so every later test in this process would fail too: {error}", returncode=1)


def on_host(arrays):
    return {name: to_host(a) for name, a in arrays.items()}


def trained(model: CharModel, steps: int, **options) -> list[float]:
    """Train on a periodic text; return the losses."""
    step = TrainStep(model, **options)
    ids = np.arange(50 * 21).reshape(50, 21).T % 17 % model.vocab_size
    losses = [step(ids[:-1], ids[1:]) for _ in range(steps)]
    assert bool(step.finite)
    return [float(loss) for loss in losses]


@pytest.mark.parametrize("options", CONFIGURATIONS, ids=label)
def test_loss_and_gradients_in_float64(cupy, options):
    host, device = make_model(**options), make_model(**options, backend="cupy")
    case = minibatch(host)
    state, masks = (None if arrays is None else {n: cupy.asarray(a) for n, a in arrays.items()} for arrays in case[2:4])
    loss, grads, last = host.loss_and_grads(case.x, case.y, case.state, case.masks)
    loss_d, grads_d, last_d = device.loss_and_grads(case.x, case.y, state, masks)
    assert float(loss_d) == pytest.approx(float(loss), rel=1e-12)
    assert_close(on_host(grads_d), grads, 1e-10)
    assert_close(on_host(last_d), last, 1e-12)


@pytest.mark.parametrize("size", [(3, UNITS), (50, 128), (50, 512), (50, 1000), (200, 512)], ids=str)
@pytest.mark.parametrize(
    ("dtype", "tf32", "tolerance"), [("float64", 0, 1e-12), ("float32", 0, 3e-6), ("float32", 1, 3e-3)]
)
def test_the_recurrence_on_the_chip(cupy, monkeypatch, size, dtype, tf32, tolerance):
    monkeypatch.setenv("CUPY_TF32", str(tf32))
    on_chip = recurrence(cupy.zeros(size, dtype))
    if on_chip is None:
        pytest.skip(f"states {size} in {dtype} do not fit on this GPU")
    given = problem(20, *size, "float64")
    if (dtype, tf32, size[1]) == ("float32", 0, 1000):
        tolerance = 1e-5  # sums of 1000 numbers: NumPy's own float32 reaches 2.4e-6
    rounded = {name: array.astype(dtype) for name, array in given.items()}
    assert_close(both_ways(cupy, rounded, "standard", on_chip), both_ways(np, given, "standard"), tolerance)


@pytest.mark.parametrize("model", MODELS)
def test_gradients_in_float32(model):
    sizes = {"vocab_size": 65, "hidden": 128, "layers": 2}
    x, y = np.random.default_rng(0).integers(0, 65, (2, 50, 50))
    host, device = CharModel(model, dtype="float64", **sizes), CharModel(model, backend="cupy", **sizes)
    _, grads, _ = host.loss_and_grads(x, y, host.initial_state(50))
    _, grads_d, _ = device.loss_and_grads(x, y, device.initial_state(50))
    assert_close(on_host(grads_d), grads, 3e-6)


@pytest.mark.parametrize("model", MODELS)
def test_200_training_steps(model):
    options = {"vocab_size": 17, "hidden": 32, "dropout": 0.1, "dtype": "float64"}
    losses, losses_d = (trained(CharModel(model, backend=b, **options), 200) for b in ("numpy", "cupy"))
    assert losses_d == pytest.approx(losses, rel=1e-6)
    assert losses_d[-1] < losses_d[0] / 2


@pytest.mark.parametrize("optimizer", ["rmsprop", "adam"])
@pytest.mark.parametrize("model", MODELS)
def test_the_same_gpu_gives_the_same_bits(model, optimizer):
    """This holds for one GPU with one version of CuPy on one stream; another GPU may add in another order."""
    models = [CharModel(model, vocab_size=17, hidden=64, dropout=0.1, backend="cupy") for _ in range(2)]
    for each in models:
        trained(each, 20, optimizer=optimizer)
    assert_equal(*(on_host(each.params) for each in models))


@pytest.mark.parametrize("model", MODELS)
def test_checkpoints_go_to_the_gpu_and_back_bit_by_bit(tmp_path, model):
    first = CharModel(model, vocab_size=5, hidden=4)
    meta = Meta(model=first.options, vocabulary=Vocabulary("chars", tuple(range(5))))
    write_checkpoint(tmp_path / "host.npz", model_arrays(first), meta)
    there, _ = load(tmp_path / "host.npz", "cupy")
    write_checkpoint(tmp_path / "device.npz", model_arrays(there), meta)
    back, _ = load(tmp_path / "device.npz")
    assert_equal(on_host(there.params), first.params)
    assert_equal(back.params, first.params)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_gpu_draws_the_masks_that_the_host_draws(dtype):
    options = {"vocab_size": 5, "hidden": 33, "layers": 3, "dropout": 0.3, "dtype": dtype, "seed": 2**64 - 1}
    host, device = (CharModel(**options, backend=b).draw_masks(7, 5, 3) for b in ("numpy", "cupy"))
    assert_equal(on_host(device), host)
