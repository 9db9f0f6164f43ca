"""The naive twin: the models' equations for one gate of one unit of one batch element at a time, in Python numbers.

Nothing is shared with the package, no array is used, nothing is fast. Vectors are lists, matrices lists of rows.
"""

from math import exp, tanh

Vector = list[float]
Matrix = list[Vector]


def sigmoid(a: float) -> float:
    return 1 / (1 + exp(-a))


def dot(v: Vector, W: Matrix, column: int) -> float:
    total = 0.0
    for k in range(len(v)):
        total += v[k] * W[k][column]
    return total


class NaiveModel:
    """A model made of the same numbers as a CharModel.

    Parameters
    ----------
    options : dict
        Of the CharModel.
    params : mapping
        Its parameters, as nested lists.
    """

    def __init__(self, options: dict, params: dict[str, list]):
        self.options = options
        self.params = params
        self.H = options["hidden"]

    def weight(self, layer: int, kind: str, name: str) -> list:
        """A layer's own weight, or the one that all layers share."""
        shared = f"{kind}.{name}"
        return self.params[shared] if shared in self.params else self.params[f"{kind}.{layer}.{name}"]

    def run(self, x: list, state: dict[str, list], masks: dict[str, list]) -> tuple[list, dict[str, list]]:
        """Read x (T, B); return the logits (T, B, V) and the states after every step, name -> (T, B, H)."""
        T, B = len(x), len(x[0])
        logits = [[None] * B for _ in range(T)]
        states = {name: [[None] * B for _ in range(T)] for name in state}
        for b in range(B):
            now = {name: rows[b] for name, rows in state.items()}
            for t in range(T):
                kept = {name: mask[t][b] for name, mask in masks.items()}
                logits[t][b], now = self.step(x[t][b], now, kept)
                for name in now:
                    states[name][t][b] = now[name]
        return logits, states

    def step(self, character: int, state: dict[str, Vector], masks: dict[str, Vector]) -> tuple[Vector, dict]:
        """One batch element's character: scores of the next one, and the new state."""
        layer_of = {"grid": self.grid, "lstm": self.lstm, "gru": self.gru, "rnn": self.rnn}[self.options["model"]]
        below = self.embedding(character)
        self.c_depth = [0.0] * self.H
        after = {}
        for layer in range(self.options["layers"]):
            if f"layer.{layer}" in masks:
                below = [below[j] * masks[f"layer.{layer}"][j] for j in range(self.H)]
            below = layer_of(layer, below, state, after)
        if "top" in masks:
            below = [below[j] * masks["top"][j] for j in range(self.H)]
        W, bias = self.params["decoder.weight"], self.params["decoder.bias"]
        return [dot(below, W, v) + bias[v] for v in range(self.options["vocab_size"])], after

    def embedding(self, character: int) -> Vector:
        if "embedding.weight" in self.params:
            return self.params["embedding.weight"][character]
        one_hot = [0.0] * self.options["vocab_size"]
        one_hot[character] = 1.0
        return one_hot

    def lstm_update(self, a: Vector, c_prev: Vector) -> tuple[Vector, Vector]:
        """h and c from the pre-activations, packed i f o g."""
        H = self.H
        h, c = [0.0] * H, [0.0] * H
        for j in range(H):
            i, f, o, g = sigmoid(a[j]), sigmoid(a[H + j]), sigmoid(a[2 * H + j]), tanh(a[3 * H + j])
            c[j] = f * c_prev[j] + i * g
            h[j] = tanh(o * c[j]) if self.options["lstm_output"] == "paper" else o * tanh(c[j])
        return h, c

    def grid(self, layer: int, h_below: Vector, state: dict, after: dict) -> Vector:
        h_old, c_old = state[f"time.{layer}.h"], state[f"time.{layer}.c"]

        def pre_activations(kind: str, h_time: Vector) -> Vector:
            W_time, W_depth, bias = (self.weight(layer, kind, name) for name in ("W_time", "W_depth", "bias"))
            return [dot(h_time, W_time, k) + dot(h_below, W_depth, k) + bias[k] for k in range(4 * self.H)]

        h_time, c_time = self.lstm_update(pre_activations("time", h_old), c_old)
        read_by_depth = h_time if self.options["priority"] == "depth" else h_old
        h_depth, self.c_depth = self.lstm_update(pre_activations("depth", read_by_depth), self.c_depth)
        after[f"time.{layer}.h"], after[f"time.{layer}.c"] = h_time, c_time
        return h_depth

    def lstm(self, layer: int, below: Vector, state: dict, after: dict) -> Vector:
        W_x, W_h, bias = (self.weight(layer, "lstm", name) for name in ("W_x", "W_h", "bias"))
        h, c = state[f"lstm.{layer}.h"], state[f"lstm.{layer}.c"]
        a = [dot(below, W_x, k) + dot(h, W_h, k) + bias[k] for k in range(4 * self.H)]
        after[f"lstm.{layer}.h"], after[f"lstm.{layer}.c"] = self.lstm_update(a, c)
        return after[f"lstm.{layer}.h"]

    def gru(self, layer: int, below: Vector, state: dict, after: dict) -> Vector:
        H = self.H
        W, U, bias = (self.weight(layer, "gru", name) for name in ("W_x", "W_h", "bias"))
        h = state[f"gru.{layer}.h"]
        z, r, n = [0.0] * H, [0.0] * H, [0.0] * H
        for j in range(H):
            z[j] = sigmoid(dot(below, W, j) + dot(h, U, j) + bias[j])
            r[j] = sigmoid(dot(below, W, H + j) + dot(h, U, H + j) + bias[H + j])
        reset = [r[j] * h[j] for j in range(H)]
        for j in range(H):
            n[j] = tanh(dot(below, W, 2 * H + j) + dot(reset, U, 2 * H + j) + bias[2 * H + j])
        after[f"gru.{layer}.h"] = [z[j] * n[j] + (1 - z[j]) * h[j] for j in range(H)]
        return after[f"gru.{layer}.h"]

    def rnn(self, layer: int, below: Vector, state: dict, after: dict) -> Vector:
        W, U, bias = (self.weight(layer, "rnn", name) for name in ("W_x", "W_h", "bias"))
        h = state[f"rnn.{layer}.h"]
        after[f"rnn.{layer}.h"] = [tanh(dot(below, W, j) + dot(h, U, j) + bias[j]) for j in range(self.H)]
        return after[f"rnn.{layer}.h"]
