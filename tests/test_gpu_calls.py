"""How many calls a training step makes on a GPU; each costs the host time."""

import gpu_calls
import pytest
import strict_cupy


@pytest.fixture
def many_multiprocessors(monkeypatch, fake_cupy):
    attributes = strict_cupy.Device.attributes | {"MultiProcessorCount": gpu_calls.MULTIPROCESSORS}
    monkeypatch.setattr(strict_cupy.Device, "attributes", attributes)
    return fake_cupy


@pytest.mark.parametrize(("model", "layer", "besides"), [("lstm", 21, 25), ("grid", 35, 32)])
@pytest.mark.usefixtures("many_multiprocessors")
def test_calls_of_a_training_step(model, layer, besides):
    """If this number falls, change it here and in benchmarks/gpu.md; it must not rise."""
    found = gpu_calls.count_calls(model)
    assert (found.layer.total(), found.besides.total()) == (layer, besides), found
    assert found.layer["recurrence_forward"] == found.layer["recurrence_backward"] == 1


def test_what_counts_as_a_call(fake_cupy):
    x, ids = fake_cupy.zeros((4, 6), "float32"), fake_cupy.zeros(3, "int64")
    costs = {
        "a view": (lambda: x[1:].T.swapaxes(0, 1).reshape(3, 2, 3)[0], 0),
        "a reshape that must copy": (lambda: x.T.reshape(24), 1),
        "an allocation": (lambda: fake_cupy.empty_like(x), 0),
        "nothing to convert": (lambda: x.astype("float32", copy=False), 0),
        "a conversion": (lambda: x.astype("float64"), 1),
        "one array as an index": (lambda: x[ids], 1),
        "two arrays as an index": (lambda: x[ids, ids], 4),
        "an operator": (lambda: x + 1, 1),
        "a product": (lambda: x @ x.T, 1),
        "a product with a copy": (lambda: x[:, :3] @ x[:3, :3], 3),
        "a dot product": (lambda: fake_cupy.dot(x[0], x[0]), 2),
        "a number read": (lambda: float(x[0, 0]), 1),
    }
    for what, (job, calls) in costs.items():
        fake_cupy.calls.clear()
        job()
        assert len(fake_cupy.calls) == calls, what

    fake_cupy.calls.clear()
    x[0] += 1
    x[...] = 0
    x[1] = x[2]
    assert fake_cupy.calls == ["__iadd__", "fill", "copy"]
