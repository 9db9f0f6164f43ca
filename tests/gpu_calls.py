"""Count what a training step sends to a GPU: kernel launches, copies, fills and calls to cuBLAS.

``python tests/gpu_calls.py`` needs no GPU. It counts on the stand-in for cupy (strict_cupy.py says what counts as a
call). Here the stand-in has the 132 multiprocessors of an H100, so the recurrence of an LSTM layer is one launch in
each direction. Each call costs the host time, and in small models the GPU waits for the host. Layers of gru and rnn
loop over the steps on the host, so their calls grow with the number of steps.
"""

import sys
from collections import Counter
from typing import NamedTuple

import numpy as np
import strict_cupy

MULTIPROCESSORS = 132
SIZES = {"vocab_size": 7, "hidden": 32}
STEPS, BATCH = 3, 2
MODELS = ("lstm", "grid", "gru", "rnn")


class Calls(NamedTuple):
    """Calls per training step: those that each further layer adds, and all others."""

    layer: Counter[str]
    besides: Counter[str]


def calls_of_step(model: str, layers: int) -> Counter[str]:
    """Count the calls of one training step by name, with x and y already on the device."""
    from minigrid import CharModel, TrainStep

    cupy = sys.modules["cupy"]
    step = TrainStep(CharModel(model, layers=layers, backend="cupy", **SIZES))
    x, y = (
        cupy.asarray(a) for a in np.random.default_rng(0).integers(0, SIZES["vocab_size"], (2, STEPS, BATCH), "int32")
    )
    step(x, y)  # the first step also does one-time work, which does not count
    cupy.calls.clear()
    step(x, y)
    return Counter(cupy.calls)


def count_calls(model: str) -> Calls:
    """Count the calls of a training step: those of one layer, and all others."""
    two, three = (calls_of_step(model, layers) for layers in (2, 3))
    layer = three - two
    besides = Counter({name: count - 2 * layer[name] for name, count in two.items() if count != 2 * layer[name]})
    return Calls(layer, besides)


def main() -> None:
    """Print a table."""
    sys.modules["cupy"] = strict_cupy.make()
    strict_cupy.Device.attributes["MultiProcessorCount"] = MULTIPROCESSORS
    print("calls per training step\n\n| model | per layer | besides |\n|---|---|---|")
    for model in MODELS:
        layer, besides = count_calls(model)
        print(f"| {model} | {layer.total()} | {besides.total()} |")


if __name__ == "__main__":
    main()
