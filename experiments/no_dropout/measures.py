"""What reaches which layer."""

import numpy as np

from minigrid import CharModel


def measure(model: CharModel, x: np.ndarray, y: np.ndarray) -> dict[str, list[float]]:
    """Measure what reaches which layer on one minibatch, from a state of zeros.

    Returns
    -------
    dict
        ``variation``: how much what each layer hands upwards depends on what was read: standard deviation over the
        streams of the minibatch, mean over steps and units, from the embedding (layer 0) to the top. 0 would be the
        same output whatever was read.
        ``gradient``: norm of the gradient (of the mean loss, nats) of the weights between steps of each layer, from the
        bottom up.
    """
    _, grads, _ = model.loss_and_grads(x, y, model.initial_state(x.shape[1]))
    recurrent = "lstm.{}.W_h" if model.options.model == "lstm" else "time.{}.W_time"
    outputs = [model.params["embedding.weight"][x], *(lower_layers(model, k + 1, x) for k in range(model.layers))]
    return {
        "variation": [float(out.std(axis=1).mean()) for out in outputs],
        "gradient": [float(np.linalg.norm(grads[recurrent.format(layer)])) for layer in range(model.layers)],
    }


def lower_layers(model: CharModel, layers: int, x: np.ndarray) -> np.ndarray:
    """Return what the lowest `layers` layers of a model hand upwards, (T, B, H)."""
    lower = CharModel.from_options(model.options, layers=layers)
    for name, array in lower.params.items():
        array[...] = model.params[name]
    _, _, cache = lower.forward(x, lower.initial_state(x.shape[1]))
    return cache.top
