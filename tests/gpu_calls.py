"""Count what a training step hands to a GPU: kernel launches, copies, fills and calls of cuBLAS.

``python tests/gpu_calls.py`` needs no GPU. It counts on the stand-in for cupy (strict_cupy.py says what is
counted), which here has the 132 multiprocessors of an H100, so that the recurrence of a layer is one launch each
way. Every call costs the host time; in small models the GPU waits for it. Layers of gru and rnn go step by step, so
the calls of a layer grow with the steps.
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
    """Calls of one training step: those that each layer above the first adds, and all others."""

    layer: Counter[str]
    besides: Counter[str]


def calls_of_step(model: str, layers: int) -> Counter[str]:
    """Count the calls of one training step, by name; x and y lie on the device already."""
    from minigrid import CharModel, TrainStep

    cupy = sys.modules["cupy"]
    step = TrainStep(CharModel(model, layers=layers, backend="cupy", **SIZES))
    x, y = (
        cupy.asarray(a) for a in np.random.default_rng(0).integers(0, SIZES["vocab_size"], (2, STEPS, BATCH), "int32")
    )
    step(x, y)  # what is done once, at the first step, is not counted
    cupy.calls.clear()
    step(x, y)
    return Counter(cupy.calls)


def count_calls(model: str) -> Calls:
    """Count the calls of a training step of ``model``, for one layer and besides."""
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
