"""What the Torch7 programs computed, minigrid computes too; see data/vectors/README.md."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from helpers import Arrays, assert_close

from minigrid import CharModel, TrainStep
from minigrid.training.optim import clip_elements, make_optimizer

FOLDER = Path(__file__).parent / "data" / "vectors"
NAMES = sorted(path.stem for path in FOLDER.glob("*.npz"))
TRAINED = [name for name in NAMES if not name.endswith("_drop")]
TOLERANCE = 1e-10


class Vectors(NamedTuple):
    """One file: its arrays, and the model that they belong to."""

    arrays: Arrays
    model: CharModel

    def __getitem__(self, key: str) -> np.ndarray:
        return self.arrays[key]

    def group(self, prefix: str) -> Arrays:
        """All arrays whose key begins with `prefix`, by the rest of the key."""
        return {key.removeprefix(prefix): array for key, array in self.arrays.items() if key.startswith(prefix)}


def load(name: str) -> Vectors:
    with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as file:
        arrays = {key: file[key] for key in file.files}
    meta = json.loads(str(arrays.pop("meta")))
    wanted = ("model", "vocab_size", "hidden", "layers", "tie", "dropout", "embedding")
    model = CharModel(**{option: meta[option] for option in wanted}, dtype="float64")
    vectors = Vectors(arrays, model)
    assert set(model.params) == set(vectors.group("param/"))
    for key, value in vectors.group("param/").items():
        model.params[key][...] = value
    return vectors


@pytest.fixture(params=NAMES)
def vectors(request) -> Vectors:
    return load(request.param)


@pytest.fixture(params=TRAINED)
def trained(request) -> Vectors:
    return load(request.param)


def test_all_files_are_there():
    kinds = ("grid_tied", "grid_untied", "lstm", "gru", "rnn")
    assert len(NAMES) == 13
    assert {kind for kind in kinds if any(name.startswith(kind) for name in NAMES)} == set(kinds)


def test_forward(vectors):
    logits, state, _ = vectors.model.forward(vectors["x"], vectors.group("state0/"), vectors.group("mask/"))
    log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    assert_close(log_p, vectors["logp"], TOLERANCE)
    assert_close(state, vectors.group("state1/"), TOLERANCE)


def test_the_state_after_every_step(vectors):
    state, every = vectors.group("state0/"), {name: [] for name in vectors.group("states/")}
    for t in range(len(vectors["x"])):
        masks = {name: mask[t : t + 1] for name, mask in vectors.group("mask/").items()}
        _, state, _ = vectors.model.forward(vectors["x"][t : t + 1], state, masks)
        for name, s in state.items():
            every[name].append(s)
    assert_close({name: np.stack(steps) for name, steps in every.items()}, vectors.group("states/"), TOLERANCE)


def test_loss_and_every_gradient(vectors):
    loss, grads, state = vectors.model.loss_and_grads(
        vectors["x"], vectors["y"], vectors.group("state0/"), vectors.group("mask/")
    )
    assert_close(loss, vectors["loss"], TOLERANCE)
    assert_close(grads, vectors.group("grad/"), TOLERANCE)
    assert_close(state, vectors.group("state1/"), TOLERANCE)


def test_gradient_of_the_initial_state(trained):
    _, _, cache = trained.model.forward(trained["x"], trained.group("state0/"))
    dlogits = np.exp(trained["logp"])
    T, B, _ = dlogits.shape
    dlogits[np.arange(T)[:, None], np.arange(B), trained["y"]] -= 1
    _, dstate0 = trained.model.backward(cache, dlogits / (T * B))
    assert_close(dstate0, trained.group("grad_state0/"), TOLERANCE)


@pytest.mark.parametrize("clip", ["5", "0.01"])
def test_three_steps_of_the_optimiser(trained, clip):
    tensors = {key.split("/")[0] for key in trained.group(f"rmsprop/clip{clip}/")}
    assert "decoder.weight" in tensors
    for tensor in tensors:
        steps = trained.group(f"rmsprop/clip{clip}/{tensor}/")
        p = steps["p0"].ravel().copy()
        optimizer = make_optimizer("rmsprop", p, alpha=0.95)
        for number in (1, 2, 3):
            g = steps[f"g{number}"].ravel().copy()
            clip_elements(g, float(clip))  # the figures are clipped already: this must leave them as they are
            assert np.array_equal(g, steps[f"g{number}"].ravel())
            optimizer.update(p, g, 2e-3, number)
            assert_close(p, steps[f"p{number}"].ravel(), TOLERANCE)


def ours(tensor: str, model: CharModel) -> tuple[str, bool]:
    """Map a tensor of the Torch programs to our name and whether it is one of the two biases that we keep as one."""
    if tensor.startswith("decoder."):
        return tensor, False
    layer, *kind, product, what = tensor.split(".")  # L1.time.i2h.weight, or L1.i2h.weight where there is one kind
    number = int(layer.removeprefix("L")) - 1
    kind = kind[0] if kind else model.options.model
    if what == "bias":
        name = "bias"
    elif model.options.model == "grid":
        name = {"i2h": "W_time", "h2h": "W_depth"}[product]
    else:
        name = {"i2h": "W_x", "h2h": "W_h"}[product]
    shared = f"{kind}.{name}"
    return (shared if shared in model.params else f"{kind}.{number}.{name}"), what == "bias"


@pytest.mark.parametrize("clip", ["5", "0.01"])
def test_three_training_steps_of_the_whole_model(trained, clip):
    """The program's minibatch three times, the state carried on: T x the gradient, clipped, then RMSprop.

    A bias of ours is the sum of two of the program's, each of which moves as far as ours: so ours is moved once more.
    """
    model, x, y = trained.model, trained["x"], trained["y"]
    step = TrainStep(model, lr=2e-3, alpha=0.95, clip=float(clip))
    step.load_state_dict(step.state_dict() | {f"state/{name}": s for name, s in trained.group("state0/").items()})
    tensors = {key.split("/")[0] for key in trained.group(f"rmsprop/clip{clip}/")}
    for number in (1, 2, 3):
        before = {name: p.copy() for name, p in model.params.items()}
        _, grads, _ = step.gradients(x, y)
        clipped = {name: np.clip(len(x) * g, -float(clip), float(clip)) for name, g in grads.items()}
        step(x, y)
        for tensor in tensors:
            name, is_half = ours(tensor, model)
            theirs = trained.group(f"rmsprop/clip{clip}/{tensor}/")
            assert_close(clipped[name].T, theirs[f"g{number}"], TOLERANCE, f"{name}, step {number}, gradient")
            moved, since = model.params[name].T - before[name].T, theirs[f"p{number - 1}"]
            assert_close(since + moved, theirs[f"p{number}"], TOLERANCE, f"{name}, step {number}, by how much")
            if not is_half:
                assert_close(model.params[name].T, theirs[f"p{number}"], TOLERANCE, f"{name}, step {number}, value")
        for name, p in model.params.items():
            if name.endswith(".bias") and not name.startswith("decoder."):
                p += p - before[name]


def test_curves_of_whole_runs_are_there():
    curves = json.loads((FOLDER / "curves.json").read_text())
    assert curves["grid_lstm_s123"]["train_loss_every_10"]["1"] == pytest.approx(4.1835, abs=1e-4)
