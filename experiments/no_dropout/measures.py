"""How much of the signal and of the gradient reaches each layer."""

import numpy as np

from minigrid import CharModel


def measure(model: CharModel, x: np.ndarray, y: np.ndarray) -> dict[str, list[float]]:
    """Measure the signal and the gradient in each layer on one minibatch, from a state of zeros.

    Parameters
    ----------
    model : CharModel
        A stacked LSTM or a grid.
    x, y : (T, B) int arrays
        Symbols read, and the ones after them.

    Returns
    -------
    dict
        ``variation``: how much the output of each layer depends on the input, from the embedding (layer 0) to the top:
        standard deviation over the streams of the minibatch, mean over steps and units. 0 means that the output is
        the same for every input.
        ``gradient``: norm of the gradient of the recurrent weights of each layer, from the bottom up, for the mean
        loss in nats.
    """
    _, grads, _ = model.loss_and_grads(x, y, model.initial_state(x.shape[1]))
    recurrent = "lstm.{}.W_h" if model.options.model == "lstm" else "time.{}.W_time"
    outputs = [model.params["embedding.weight"][x], *(lower_layers(model, k + 1, x) for k in range(model.layers))]
    return {
        "variation": [float(out.std(axis=1).mean()) for out in outputs],
        "gradient": [float(np.linalg.norm(grads[recurrent.format(layer)])) for layer in range(model.layers)],
    }


def lower_layers(model: CharModel, layers: int, x: np.ndarray) -> np.ndarray:
    """Return the output of the lowest `layers` layers of a model, (T, B, H)."""
    lower = CharModel.from_options(model.options, layers=layers)
    for name, array in lower.params.items():
        array[...] = model.params[name]
    _, _, cache = lower.forward(x, lower.initial_state(x.shape[1]))
    return cache.top
