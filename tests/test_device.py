"""The whole package on the stand-in for cupy: same results as with NumPy, no hidden waits for the device."""

import numpy as np
import pytest
from helpers import CONFIGURATIONS, MODELS, assert_close, assert_equal, label, make_model, minibatch
from run_fixtures import arrays_of

from minigrid import CharModel, TrainStep, load
from minigrid.analysis.gradient_flow import norms_by_lag
from minigrid.analysis.trace import trace
from minigrid.backend import to_host
from minigrid.backend.cuda.recurrence import UNITS
from minigrid.cli.main import main
from minigrid.data.batches import TextBatches
from minigrid.data.vocabulary import Vocabulary
from minigrid.runs.checkpoint import model_arrays, read_checkpoint, write_checkpoint
from minigrid.runs.checkpoint_format import Meta
from minigrid.runs.evaluation import evaluate
from minigrid.runs.sampling import generate

TOLERANCE = 1e-12

pytestmark = pytest.mark.usefixtures("fake_cupy")


def both(**options) -> tuple[CharModel, CharModel]:
    """Make the same model on the host and on the device."""
    return make_model(**options), make_model(**options, backend="cupy")


def on_device(cupy, arrays):
    return None if arrays is None else {name: cupy.asarray(a) for name, a in arrays.items()}


def on_host(arrays):
    return {name: to_host(a) for name, a in arrays.items()}


@pytest.mark.parametrize("options", CONFIGURATIONS, ids=label)
def test_forward_and_backward(fake_cupy, options):
    host, device = both(**options)
    case = minibatch(host)
    logits, state, cache = host.forward(case.x, case.state, case.masks)
    grads, dstate0 = host.backward(cache, case.dlogits, case.dstate)
    on = fake_cupy.asarray
    logits_d, state_d, cache_d = device.forward(
        case.x, on_device(fake_cupy, case.state), on_device(fake_cupy, case.masks)
    )
    grads_d, dstate0_d = device.backward(cache_d, on(case.dlogits), on_device(fake_cupy, case.dstate))
    assert_close(to_host(logits_d), logits, TOLERANCE)
    for actual, expected in ((state_d, state), (grads_d, grads), (dstate0_d, dstate0)):
        assert_close(on_host(actual), expected, TOLERANCE)


@pytest.mark.parametrize(
    "optimizer",
    [{"optimizer": "rmsprop"}, pytest.param({"optimizer": "adam", "clip_norm": 0.1}, marks=pytest.mark.long)],
    ids=label,
)
@pytest.mark.parametrize("hidden", [pytest.param(4, marks=pytest.mark.long), UNITS])  # with UNITS, on the chip
@pytest.mark.parametrize("model", MODELS)
def test_training_is_the_same_and_never_waits(fake_cupy, model, optimizer, hidden):
    host, device = both(model=model, dropout=0.4, hidden=hidden)
    steps = [TrainStep(m, clip=0.5, lr=0.1, **optimizer) for m in (host, device)]
    x, y, *_ = minibatch(host, steps=4, batch=3)
    losses = []
    fake_cupy.waits.clear()
    for _ in range(5):
        losses.append([step(x, y) for step in steps])
    assert fake_cupy.waits == []
    assert_close([float(theirs) for _, theirs in losses], [float(ours) for ours, _ in losses], TOLERANCE)
    assert_close(on_host(device.params), host.params, 1e-9)  # the optimiser divides small numbers by small numbers
    assert_close(to_host(steps[1].norm), steps[0].norm, TOLERANCE)
    assert bool(steps[1].finite)


def test_a_gradient_that_is_not_finite_is_noticed(fake_cupy):
    step = TrainStep(make_model(backend="cupy"))
    x = np.zeros((2, 2), int)
    step.model.params["decoder.bias"][0] = np.inf
    with np.errstate(invalid="ignore"):
        step(x, x)
    assert not bool(step.finite)


@pytest.mark.parametrize("model", MODELS)
def test_evaluation(fake_cupy, model):
    host, device = both(model=model)
    ids = np.random.default_rng(0).integers(0, host.vocab_size, 61)
    batches = TextBatches(ids, 3, 4, stride=20, first=0, count=5)
    fake_cupy.waits.clear()
    found = evaluate(device, batches)
    assert fake_cupy.waits == ["__float__"] * len(batches)
    assert found.loss == pytest.approx(evaluate(host, batches).loss, rel=TOLERANCE)


@pytest.mark.parametrize("model", MODELS)
def test_sampling(model):
    vocabulary = Vocabulary("chars", tuple(map(ord, "\nabcd")))
    host, device = ("".join(generate(m, vocabulary, 40, prime="ab")) for m in both(model=model))
    assert host == device


@pytest.mark.parametrize("model", MODELS)
def test_trace_and_gradient_flow(model):
    host, device = both(model=model)
    x = minibatch(host).x
    ours, theirs = trace(host, x), trace(device, x)
    assert_close(dict(theirs), dict(ours), TOLERANCE)
    assert_close(theirs.logits, ours.logits, TOLERANCE)
    target = np.array([1, 2])
    assert_close(norms_by_lag(device, x, target), norms_by_lag(host, x, target), TOLERANCE)


@pytest.mark.parametrize("model", MODELS)
def test_checkpoints_go_to_the_device_and_back_bit_by_bit(tmp_path, model):
    first = CharModel(model, vocab_size=5, hidden=4)
    step = TrainStep(first)
    x, y, *_ = minibatch(first)
    step(x, y)
    numbers = {"number": step.number, "lr": step.lr}

    def save(model: CharModel, step: TrainStep, name: str):
        write_checkpoint(
            tmp_path / name,
            model_arrays(model) | {k: v for k, v in step.state_dict().items() if k not in numbers},
            Meta(model=model.options, vocabulary=Vocabulary("chars", tuple(range(5)))),
        )

    def reload(name: str, backend: str) -> tuple[CharModel, TrainStep]:
        model, _ = load(tmp_path / name, backend)
        saved = read_checkpoint(tmp_path / name)
        step = TrainStep(model)
        step.load_state_dict(saved.training_arrays("rmsprop", x.shape[1]) | numbers)
        return model, step

    save(first, step, "host.npz")
    save(*reload("host.npz", "cupy"), "device.npz")
    save(*reload("device.npz", "numpy"), "back.npz")
    arrays = [arrays_of(tmp_path / name) for name in ("host.npz", "device.npz", "back.npz")]
    assert_equal(arrays[1], arrays[0])
    assert_equal(arrays[2], arrays[0])


@pytest.mark.long
def test_the_commands(tmp_path, monkeypatch, capsys):
    """A model trained on the device gives the same output as one trained on the host."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text("to be or not to be, " * 40)
    written = {}
    for backend in ("cupy", "numpy"):
        on = f"--backend={backend}"
        train = [
            "train",
            "--data=text.txt",
            "--device=0",
            "--hidden=4",
            "--batch=2",
            "--steps=5",
            "--epochs=1",
            f"--run={backend}",
        ]
        assert main([*train, on, "--max-steps=6", "--dropout=0.2"]) == 0
        assert main(["train", f"--run={backend}", "--resume", "--max-steps=12"]) == 0
        capsys.readouterr()
        assert main(["sample", backend, on, "--length=30"]) == 0
        assert main(["eval", backend, on]) == 0
        assert main(["inspect", backend, on, "--text=to be", f"--out={backend}.html"]) == 0
        written[backend] = capsys.readouterr().out.replace(backend, "")
        assert main(["gradcheck", on, "--hidden=2", "--layers=1"]) == 0
        assert main(["gradcheck", on, "--hidden=2", "--layers=1", "--train-step", "--directions=2"]) == 0
    assert written["cupy"] == written["numpy"]


def test_a_run_that_does_not_fit_into_memory(tmp_path, monkeypatch, capsys):
    class OutOfMemoryError(MemoryError):
        pass

    def fail(*args, **kwargs):
        raise OutOfMemoryError

    monkeypatch.setattr(CharModel, "loss_and_grads", fail)
    (tmp_path / "text.txt").write_text("to be or not to be, " * 40)
    options = ["--hidden=200", "--batch=2", "--steps=5", "--backend=cupy", f"--run={tmp_path / 'run'}"]
    assert main(["train", f"--data={tmp_path / 'text.txt'}", *options]) == 2
    assert "a training step needs about 0.014 GB, of which 0.014 GB for parameters" in capsys.readouterr().err
