"""The 2D Grid LSTM in one file: forward, backward, training and sampling, with nothing but NumPy.

A character model after Kalchbrenner, Danihelka and Graves (2015), arXiv:1507.01526. Block (l, t) of layer l and time t
has two LSTMs, one along time and one along depth. Each passes on a hidden state h and a memory cell c:

    a_time  = h_time[l, t-1] @ time[l].W_time + h_depth[l-1, t] @ time[l].W_depth + time[l].bias
    h_time[l, t],  c_time[l, t]  = lstm(a_time, c_time[l, t-1])
    a_depth = h_time[l, t] @ depth.W_time + h_depth[l-1, t] @ depth.W_depth + depth.bias
    h_depth[l, t], c_depth[l, t] = lstm(a_depth, c_depth[l-1, t])

At the bottom, h_depth is the embedding of character t and c_depth is 0. At the top, h_depth predicts character t + 1.
All layers share the LSTM along depth. Sizes: T time steps, B sequences side by side, H units, L layers, V characters.

    python -m minigrid.plain input.txt

`minigrid/nn` computes the same, arranged to be fast; the tests hold the two together.
"""

import argparse
import time
from pathlib import Path

import numpy as np

# ---------------------------------------------------------------- one LSTM update, used along time and along depth


def sigmoid(a):
    return (1 + np.tanh(a / 2)) / 2  # never overflows


def lstm_forward(a, c_prev):
    """Update an LSTM. a (B, 4H): pre-activations of the gates, packed [i | f | o | g]; c_prev (B, H): memory cell."""
    a_i, a_f, a_o, a_g = np.split(a, 4, axis=1)
    i, f, o, g = sigmoid(a_i), sigmoid(a_f), sigmoid(a_o), np.tanh(a_g)
    c = f * c_prev + i * g
    s = np.tanh(c)
    h = o * s
    return h, c, (i, f, o, g, c_prev, s)


def lstm_backward(dh, dc, cache):
    """Given the gradients that arrive at h and c, (B, H) each, return those of a (B, 4H) and c_prev (B, H)."""
    i, f, o, g, c_prev, s = cache
    do = dh * s
    dc = dc + dh * o * (1 - s**2)  # c is read by h, and by whatever comes next
    df = dc * c_prev
    di = dc * g
    dg = dc * i
    dc_prev = dc * f
    da_i = di * i * (1 - i)
    da_f = df * f * (1 - f)
    da_o = do * o * (1 - o)
    da_g = dg * (1 - g**2)
    return np.concatenate([da_i, da_f, da_o, da_g], axis=1), dc_prev


# ---------------------------------------------------------------- one block of the grid


def block_forward(p, layer, h_time_prev, c_time_prev, h_below, c_below):
    """Compute block (layer, t) from the states that enter it, (B, H) each; p holds the parameters by name."""
    time = f"time.{layer}"
    a_time = h_time_prev @ p[f"{time}.W_time"] + h_below @ p[f"{time}.W_depth"] + p[f"{time}.bias"]
    h_time, c_time, time_cache = lstm_forward(a_time, c_time_prev)
    a_depth = h_time @ p["depth.W_time"] + h_below @ p["depth.W_depth"] + p["depth.bias"]  # reads the new h_time
    h_depth, c_depth, depth_cache = lstm_forward(a_depth, c_below)
    return h_time, c_time, h_depth, c_depth, (h_time_prev, h_below, h_time, time_cache, depth_cache)


def block_backward(p, d, layer, dh_time, dc_time, dh_depth, dc_depth, cache):
    """Given the gradients of the states that leave the block, return those of the states that entered it.

    The gradients of the weights are added to d: the LSTM along depth is used in every block of the grid.
    """
    h_time_prev, h_below, h_time, time_cache, depth_cache = cache
    time = f"time.{layer}"

    # h_depth, c_depth = lstm(a_depth, c_below)
    da_depth, dc_below = lstm_backward(dh_depth, dc_depth, depth_cache)
    # a_depth = h_time @ depth.W_time + h_below @ depth.W_depth + depth.bias
    d["depth.W_time"] += h_time.T @ da_depth
    d["depth.W_depth"] += h_below.T @ da_depth
    d["depth.bias"] += da_depth.sum(axis=0)
    dh_time = dh_time + da_depth @ p["depth.W_time"].T  # h_time is read by time t + 1 and by the LSTM along depth
    dh_below = da_depth @ p["depth.W_depth"].T

    # h_time, c_time = lstm(a_time, c_time_prev)
    da_time, dc_time_prev = lstm_backward(dh_time, dc_time, time_cache)
    # a_time = h_time_prev @ time.W_time + h_below @ time.W_depth + time.bias
    d[f"{time}.W_time"] += h_time_prev.T @ da_time
    d[f"{time}.W_depth"] += h_below.T @ da_time
    d[f"{time}.bias"] += da_time.sum(axis=0)
    dh_time_prev = da_time @ p[f"{time}.W_time"].T
    dh_below = dh_below + da_time @ p[f"{time}.W_depth"].T  # h_below is read by both LSTMs
    return dh_time_prev, dc_time_prev, dh_below, dc_below


# ---------------------------------------------------------------- the whole grid: embedding, T x L blocks, decoder


def forward(p, x, state):
    """Read x (T, B) from a state, [(h_time, c_time), ...] by layer. Return logits (T, B, V), the new state, a cache."""
    state, tops, caches = list(state), [], []
    for characters in x:
        h_depth = p["embedding.weight"][characters]
        c_depth = np.zeros_like(h_depth)
        for layer, (h_time, c_time) in enumerate(state):
            h_time, c_time, h_depth, c_depth, cache = block_forward(p, layer, h_time, c_time, h_depth, c_depth)
            state[layer] = h_time, c_time
            caches.append(cache)
        tops.append(h_depth)
    top = np.stack(tops)  # (T, B, H)
    return top @ p["decoder.weight"] + p["decoder.bias"], state, (x, top, caches)


def cross_entropy(logits, y):
    """Return the mean of -log softmax(logits)[y] in nats, and its gradient with respect to the logits."""
    logits = logits - logits.max(axis=-1, keepdims=True)
    log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    one_hot = np.eye(logits.shape[-1], dtype=logits.dtype)[y]
    return -(log_p * one_hot).sum() / y.size, (np.exp(log_p) - one_hot) / y.size


def backward(p, dlogits, cache):
    """Go back through the grid, from the last block to the first. Return the gradients of all parameters, by name."""
    x, top, caches = cache
    layers = len(caches) // len(x)
    d = {name: np.zeros_like(weight) for name, weight in p.items()}
    # logits = top @ decoder.weight + decoder.bias
    d["decoder.weight"] += np.einsum("tbh,tbv->hv", top, dlogits, optimize=True)
    d["decoder.bias"] += dlogits.sum(axis=(0, 1))
    dtop = dlogits @ p["decoder.weight"].T
    zeros = np.zeros_like(top[0])
    dstate = [(zeros, zeros)] * layers  # nothing arrives from beyond the last step: truncated backpropagation
    for t in reversed(range(len(x))):
        dh_depth, dc_depth = dtop[t], zeros  # nothing reads the top layer's c_depth
        for layer in reversed(range(layers)):
            dh_time, dc_time, dh_depth, dc_depth = block_backward(
                p, d, layer, *dstate[layer], dh_depth, dc_depth, caches[t * layers + layer]
            )
            dstate[layer] = dh_time, dc_time
        np.add.at(d["embedding.weight"], x[t], dh_depth)  # a character that occurs twice collects both gradients
    return d


# ---------------------------------------------------------------- training and sampling


def make_parameters(V, H, L, seed=0, dtype=np.float32):
    """Draw the parameters uniformly from [-0.08, 0.08); add 1 to the biases of the forget gates."""
    draw = np.random.default_rng(seed).uniform
    shapes = {"embedding.weight": (V, H), "decoder.weight": (H, V), "decoder.bias": (V,)}
    for lstm in ["depth", *(f"time.{layer}" for layer in range(L))]:
        shapes |= {f"{lstm}.W_time": (H, 4 * H), f"{lstm}.W_depth": (H, 4 * H), f"{lstm}.bias": (4 * H,)}
    p = {name: draw(-0.08, 0.08, shape).astype(dtype) for name, shape in shapes.items()}
    for name in p:
        if name.endswith(".bias") and name != "decoder.bias":
            p[name][H : 2 * H] += 1
    return p


def zero_state(p, B, L):
    zeros = np.zeros((B, len(p["decoder.weight"])), p["decoder.weight"].dtype)
    return [(zeros, zeros)] * L


def rmsprop(p, d, mean_square, scale, lr=2e-3, alpha=0.95, clip=5.0):
    """Clip scale times the gradients element by element, then update the parameters p in place."""
    for name in p:
        g = np.clip(scale * d[name], -clip, clip)
        mean_square[name] = alpha * mean_square[name] + (1 - alpha) * g**2
        p[name] -= lr * g / (np.sqrt(mean_square[name]) + 1e-8)


def minibatches(ids, B, T):
    """Cut a text into B streams that are read side by side, T characters at a time: yield x and y, (T, B) each."""
    length = (len(ids) - 1) // (B * T) * T
    x, y = (ids[k : k + B * length].reshape(B, length).T for k in (0, 1))  # y: the character after each x
    for t in range(0, length, T):
        yield x[t : t + T], y[t : t + T]


def sample(p, L, first, length, seed=0):
    """Write `length` characters after the character `first`: each is drawn from the model's own prediction."""
    draw, state, ids = np.random.default_rng(seed).random, zero_state(p, 1, L), [first]
    for _ in range(length):
        logits, state, _ = forward(p, np.array([ids[-1:]]), state)
        cumulative = np.exp(logits[0, 0] - logits.max(), dtype=np.float64).cumsum()
        ids.append(int(np.searchsorted(cumulative, draw() * cumulative[-1], side="right")))
    return ids[1:]


def evaluate(p, ids, B, T, L):
    """Return the mean loss over a text in nats per character."""
    state, losses = zero_state(p, B, L), []
    for x, y in minibatches(ids, B, T):
        logits, state, _ = forward(p, x, state)
        losses.append(cross_entropy(logits, y)[0])
    return np.mean(losses)


def main():
    parser = argparse.ArgumentParser(prog="python -m minigrid.plain", description="Train a grid on a text, then write.")
    parser.add_argument("file", type=Path, help="a text in UTF-8")
    parser.add_argument("--epochs", type=int, default=3)
    options = parser.parse_args()
    text = options.file.read_text(encoding="utf-8")
    B, T, H, L = 50, 50, 128, 2
    characters = sorted(set(text))
    number = {c: k for k, c in enumerate(characters)}
    ids = np.array([number[c] for c in text])
    train, val = np.split(ids, [int(0.95 * len(ids))])
    p = make_parameters(len(characters), H, L)
    mean_square = {name: np.zeros_like(weight) for name, weight in p.items()}
    began = time.time()
    for epoch in range(options.epochs):
        state = zero_state(p, B, L)
        for k, (x, y) in enumerate(minibatches(train, B, T)):
            logits, state, cache = forward(p, x, state)
            loss, dlogits = cross_entropy(logits, y)
            rmsprop(p, backward(p, dlogits, cache), mean_square, scale=T)
            if k % 50 == 0:
                print(epoch, k, loss, time.time() - began, flush=True)
        print("val", evaluate(p, val, B, T, L), time.time() - began, flush=True)
    print("".join(characters[k] for k in sample(p, L, number["\n"], 500)))


if __name__ == "__main__":
    main()
