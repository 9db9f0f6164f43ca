"""minigrid/plain.py against the fast model, against finite differences, and as the program that it is."""

import ast
import subprocess
import sys

import numpy as np
import pytest
from helpers import assert_close, minibatch
from run_fixtures import PROJECT, TEXT, outcome, python

from minigrid import CharModel, TrainStep, plain
from minigrid.analysis.gradcheck import check_entries, enlarge

FILE = PROJECT / "minigrid" / "plain.py"
V, H = 7, 5


def model_like_plain(layers: int, dtype: str = "float64", vocab_size: int = V, hidden: int = H) -> CharModel:
    model = CharModel(
        "grid", vocab_size=vocab_size, hidden=hidden, layers=layers, tie="depth", priority="depth", dtype=dtype
    )
    enlarge(model, seed=1)
    return model


def parameters_of(model: CharModel) -> dict[str, np.ndarray]:
    return {name: array.copy() for name, array in model.params.items()}


def pairs(state: dict[str, np.ndarray], layers: int) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(state[f"time.{layer}.h"], state[f"time.{layer}.c"]) for layer in range(layers)]


def named(state: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, np.ndarray]:
    return {f"time.{layer}.{name}": s for layer, pair in enumerate(state) for name, s in zip("hc", pair, strict=True)}


@pytest.mark.parametrize("layers", [1, 2, 4])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-13), ("float32", 1e-5)])
def test_it_is_the_oracle_of_the_fast_model(layers, dtype, tolerance):
    model = model_like_plain(layers, dtype)
    case = minibatch(model, steps=6, batch=3)
    y = np.where(case.y < 0, 0, case.y)
    p = parameters_of(model)
    logits, state, cache = plain.forward(p, case.x, pairs(case.state, layers))
    loss, dlogits = plain.cross_entropy(logits, y)
    grads = plain.backward(p, dlogits, cache)

    expected_logits, expected_state, _ = model.forward(case.x, case.state)
    expected_loss, expected_grads, _ = model.loss_and_grads(case.x, y, case.state)
    assert logits.dtype == grads["depth.W_time"].dtype == dtype
    assert_close(logits, expected_logits, tolerance)
    assert_close(named(state), expected_state, tolerance)
    assert_close(loss, expected_loss, tolerance)
    assert_close(grads, dict(expected_grads), tolerance)


def test_finite_differences():
    model = model_like_plain(layers=2)
    case, p = minibatch(model), parameters_of(model)
    y, state = np.where(case.y < 0, 0, case.y), pairs(case.state, 2)

    def loss() -> float:
        return plain.cross_entropy(plain.forward(p, case.x, state)[0], y)[0]

    logits, _, cache = plain.forward(p, case.x, state)
    report = check_entries(loss, p, plain.backward(p, plain.cross_entropy(logits, y)[1], cache))
    assert report.passed(1e-8), report.worst


def test_training_steps_are_those_of_the_fast_model():
    layers, B, T = 2, 3, 4
    model = model_like_plain(layers)
    step, p = TrainStep(model), parameters_of(model)
    mean_square = {name: np.zeros_like(weight) for name, weight in p.items()}
    ids = np.random.default_rng(0).integers(0, V, B * T * 5 + 1)
    x = ids[:-1].reshape(B, 5 * T).T
    for k, (y, logits, cache) in enumerate(plain.read_text(p, ids, B, T, layers)):
        loss, dlogits = plain.cross_entropy(logits, y)
        assert_close(loss, step(x[k * T : (k + 1) * T], y), 1e-12)
        plain.rmsprop(p, plain.backward(p, T * dlogits, cache), mean_square)
        assert_close(p, dict(model.params), 1e-10)


def test_the_parameters_begin_as_those_of_the_fast_model_do():
    p = plain.make_parameters(V, H, L=3)
    expected = CharModel(vocab_size=V, hidden=H, layers=3).params
    assert {name: weight.shape for name, weight in p.items()} == expected.shapes
    for name, weight in p.items():
        weight = weight.copy()
        if name.endswith(".bias") and name != "decoder.bias":
            weight[H : 2 * H] -= 1
        assert np.abs(weight).max() <= 0.0800001
        assert weight.dtype == np.float32


def test_a_sample_follows_the_predictions():
    p = plain.make_parameters(V=3, H=H, L=1, dtype=np.float64)
    p["decoder.weight"][...] = 0
    p["decoder.bias"][...] = np.log([0.2, 0.5, 0.3])
    written = plain.sample(p, 1, first=0, length=2000)
    assert len(written) == 2000
    shares = np.bincount(written, minlength=3) / 2000
    assert np.abs(shares - [0.2, 0.5, 0.3]).max() < 0.04
    assert plain.sample(p, 1, first=0, length=20, seed=1) != written[:20]


def test_it_is_short_and_needs_numpy_alone():
    source = FILE.read_text()
    assert len(source.splitlines()) <= 200
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {alias.name.split(".")[0] for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module.split(".")[0] for node in nodes if isinstance(node, ast.ImportFrom)}
    assert names - sys.stdlib_module_names == {"numpy"}


def test_the_program_trains_and_writes(tmp_path):
    (tmp_path / "text.txt").write_text(TEXT * 2, encoding="utf-8")
    done = outcome(python("-m", "minigrid.plain", "text.txt", "--epochs", "2", cwd=tmp_path))
    assert done.code == 0, done.err
    losses = [float(line.split()[2]) for line in done.out.splitlines() if line.endswith("held out")]
    assert len(losses) == 2
    assert losses[1] < losses[0] < np.log(len(set(TEXT)))
    assert len(done.out) > 600  # 300 characters after each epoch


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "cannot read text.txt"), (b"\xff\xfe", "cannot read text.txt"), (b"short", "has 5 characters")],
)
def test_a_text_that_cannot_be_used_is_one_sentence(tmp_path, content, words):
    if content is not None:
        (tmp_path / "text.txt").write_bytes(content)
    done = outcome(python(FILE, "text.txt", cwd=tmp_path))
    assert done.code == 2
    assert words in done.err
    assert "Traceback" not in done.err


def test_it_runs_as_a_file_in_any_folder(tmp_path):
    done = subprocess.run([sys.executable, "-I", FILE, "--help"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
