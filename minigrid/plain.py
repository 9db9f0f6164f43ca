"""The 2D Grid LSTM in one file, with nothing but NumPy: ``python -m minigrid.plain FILE`` trains one on a text.

A character model after Kalchbrenner, Danihelka and Graves (2015), arXiv:1507.01526. Block (l, t) of layer l and time t
holds two LSTMs: "time.l", layer l's own, along time, and "depth", which all layers share, along depth. Each passes on a
hidden state h and a memory cell c. A weight is named after its LSTM and after what it multiplies, h_time or h_depth:

    a_time  = h_time[l, t-1] @ time.l.W_time + h_depth[l-1, t] @ time.l.W_depth + time.l.bias
    h_time[l, t],  c_time[l, t]  = lstm(a_time, c_time[l, t-1])
    a_depth = h_time[l, t] @ depth.W_time + h_depth[l-1, t] @ depth.W_depth + depth.bias
    h_depth[l, t], c_depth[l, t] = lstm(a_depth, c_depth[l-1, t])

Below layer 0, h_depth is the embedding of character t and c_depth is 0; the top h_depth predicts character t + 1.
T time steps, B sequences, H units, L layers, V characters. dh is the gradient of the loss with respect to h, and so on:
y = x @ W + b gives dW = x.T @ dy, db = dy.sum(axis=0), dx = dy @ W.T. What is used twice gets the sum from both uses.
"""

import argparse
import time
from pathlib import Path

import numpy as np


def sigmoid(a):
    return (1 + np.tanh(a / 2)) / 2  # 1 / (1 + exp(-a)) without overflow; the derivative is sigmoid * (1 - sigmoid)


def lstm_forward(a, c_prev):
    """Take one step, along time or depth, from c_prev (B, H) and a (B, 4H) = [input | forget | output | candidate]."""
    a_i, a_f, a_o, a_g = np.split(a, 4, axis=1)
    i, f, o, g = sigmoid(a_i), sigmoid(a_f), sigmoid(a_o), np.tanh(a_g)
    c = f * c_prev + i * g
    s = np.tanh(c)
    h = o * s
    return h, c, (i, f, o, g, c_prev, s)


def lstm_backward(dh, dc, cache):
    """From dh and dc, (B, H) each, compute da (B, 4H) and dc_prev (B, H). dc comes in without the path through h."""
    i, f, o, g, c_prev, s = cache
    do = dh * s
    dc = dc + dh * o * (1 - s**2)  # now complete: c goes to the next block, and through s = tanh(c) into h
    di = dc * g
    df = dc * c_prev
    dg = dc * i
    dc_prev = dc * f
    da_i = di * i * (1 - i)
    da_f = df * f * (1 - f)
    da_o = do * o * (1 - o)
    da_g = dg * (1 - g**2)
    return np.concatenate([da_i, da_f, da_o, da_g], axis=1), dc_prev


def block_forward(p, layer, time_prev, below):
    """Compute block (layer, t) from the states that enter it, pairs (h, c) of (B, H). p: all parameters, by name."""
    (h_time_prev, c_time_prev), (h_below, c_below) = time_prev, below
    own = f"time.{layer}"  # the layer's own LSTM, along time
    a_time = h_time_prev @ p[f"{own}.W_time"] + h_below @ p[f"{own}.W_depth"] + p[f"{own}.bias"]
    h_time, c_time, time_cache = lstm_forward(a_time, c_time_prev)
    a_depth = h_time @ p["depth.W_time"] + h_below @ p["depth.W_depth"] + p["depth.bias"]  # reads the new h_time
    h_depth, c_depth, depth_cache = lstm_forward(a_depth, c_below)
    return (h_time, c_time), (h_depth, c_depth), (h_time_prev, h_below, h_time, time_cache, depth_cache)


def block_backward(p, d, layer, dtime, ddepth, cache):
    """From the pairs (dh, dc) of the two states that leave block (l, t), compute those of the two that enter it."""
    (dh_time, dc_time), (dh_depth, dc_depth) = dtime, ddepth
    h_time_prev, h_below, h_time, time_cache, depth_cache = cache
    own = f"time.{layer}"
    # h_depth, c_depth = lstm(a_depth, c_below); dh_depth is complete: only (l + 1, t) or the decoder reads h_depth
    da_depth, dc_below = lstm_backward(dh_depth, dc_depth, depth_cache)
    # a_depth = h_time @ depth.W_time + h_below @ depth.W_depth + depth.bias; += here and below, as blocks share weights
    d["depth.W_time"] += h_time.T @ da_depth
    d["depth.W_depth"] += h_below.T @ da_depth
    d["depth.bias"] += da_depth.sum(axis=0)
    dh_time = dh_time + da_depth @ p["depth.W_time"].T  # now complete: h_time goes to (l, t + 1) and into a_depth
    dh_below = da_depth @ p["depth.W_depth"].T  # the first of two parts
    # h_time, c_time = lstm(a_time, c_time_prev)
    da_time, dc_time_prev = lstm_backward(dh_time, dc_time, time_cache)
    # a_time = h_time_prev @ time.l.W_time + h_below @ time.l.W_depth + time.l.bias
    d[f"{own}.W_time"] += h_time_prev.T @ da_time
    d[f"{own}.W_depth"] += h_below.T @ da_time
    d[f"{own}.bias"] += da_time.sum(axis=0)
    dh_time_prev = da_time @ p[f"{own}.W_time"].T
    dh_below = dh_below + da_time @ p[f"{own}.W_depth"].T  # now complete: h_below goes into a_depth and a_time
    return (dh_time_prev, dc_time_prev), (dh_below, dc_below)


def forward(p, x, state):
    """Read x (T, B) after the state at t = -1, [(h_time, c_time), ...] by layer. Return logits, new state, cache."""
    state, tops, caches = list(state), [], []
    for ids in x:
        h_depth = p["embedding.weight"][ids]
        depth = h_depth, np.zeros_like(h_depth)
        for layer in range(len(state)):  # each block replaces the state of t - 1 and what came from layer - 1
            state[layer], depth, block_cache = block_forward(p, layer, state[layer], depth)
            caches.append(block_cache)  # at t * L + layer
        tops.append(depth[0])
    top = np.stack(tops)  # (T, B, H)
    return top @ p["decoder.weight"] + p["decoder.bias"], state, (x, top, caches)


def cross_entropy(logits, y):
    """Return the mean of -log softmax(logits)[y] over the targets y (T, B) in nats, and dlogits (T, B, V)."""
    logits = logits - logits.max(axis=-1, keepdims=True)
    log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    one_hot = np.eye(logits.shape[-1], dtype=logits.dtype)[y]
    return -(log_p * one_hot).sum() / y.size, (np.exp(log_p) - one_hot) / y.size


def backward(p, dlogits, cache):
    """Go back through the grid, block (l, t) after those it feeds, (l, t + 1) and (l + 1, t). Return d, by name."""
    x, top, caches = cache
    layers = len(caches) // len(x)
    d = {name: np.zeros_like(weight) for name, weight in p.items()}
    # logits = top @ decoder.weight + decoder.bias
    d["decoder.weight"] = np.tensordot(top, dlogits, axes=((0, 1), (0, 1)))  # summed over T and B: (H, V)
    d["decoder.bias"] = dlogits.sum(axis=(0, 1))
    dtop = dlogits @ p["decoder.weight"].T  # (T, B, H)
    dstate = [(np.zeros_like(top[0]),) * 2] * layers  # (dh, dc) from t + 1, by layer: 0 at the end, where we truncate
    for t in reversed(range(len(x))):
        ddepth = dtop[t], np.zeros_like(dtop[t])  # nothing reads the memory cell of the top layer
        for layer in reversed(range(layers)):  # each block replaces what came from t + 1 and from layer + 1
            dstate[layer], ddepth = block_backward(p, d, layer, dstate[layer], ddepth, caches[t * layers + layer])
        np.add.at(d["embedding.weight"], x[t], ddepth[0])  # dh of the embedding; += would drop repeated characters
    return d


def make_parameters(V, H, L, seed=0, dtype=np.float32):
    """Draw the parameters uniformly from [-0.08, 0.08), and add 1 to the biases of the forget gates."""
    draw = np.random.default_rng(seed).uniform
    shapes = {"embedding.weight": (V, H), "decoder.weight": (H, V), "decoder.bias": (V,)}
    lstms = ["depth", *(f"time.{layer}" for layer in range(L))]
    for name in lstms:
        shapes |= {f"{name}.W_time": (H, 4 * H), f"{name}.W_depth": (H, 4 * H), f"{name}.bias": (4 * H,)}
    p = {name: draw(-0.08, 0.08, shape).astype(dtype) for name, shape in shapes.items()}
    for name in lstms:
        p[f"{name}.bias"][H : 2 * H] += 1
    return p


def rmsprop(p, d, mean_square, lr=2e-3, alpha=0.95, clip=5.0):
    """Clip the gradients d element by element, then update the parameters p in place."""
    for name in p:
        dp = np.clip(d[name], -clip, clip)
        mean_square[name] = alpha * mean_square[name] + (1 - alpha) * dp**2
        p[name] -= lr * dp / (np.sqrt(mean_square[name]) + 1e-8)


def read_text(p, ids, B, T, L):
    """Read a text in B streams, T characters at a time. Yield y, logits and cache; the state carries over."""
    state = [(np.zeros((B, p["decoder.weight"].shape[0]), p["decoder.weight"].dtype),) * 2] * L
    length = (len(ids) - 1) // (B * T) * T  # of each stream
    x, y = ids[: B * length].reshape(B, length).T, ids[1 : B * length + 1].reshape(B, length).T
    for t in range(0, length, T):
        logits, state, cache = forward(p, x[t : t + T], state)
        yield y[t : t + T], logits, cache


def sample(p, L, first, length, seed=0):
    """Write `length` characters after the character `first`, each drawn from the model's own prediction."""
    random, ids = np.random.default_rng(seed).random, [first]
    state = [(np.zeros((1, p["decoder.weight"].shape[0]), p["decoder.weight"].dtype),) * 2] * L
    for _ in range(length):
        logits, state, _ = forward(p, np.array([ids[-1:]]), state)
        cumulative = np.exp(logits[0, 0] - logits.max(), dtype=np.float64).cumsum()
        ids.append(int(np.searchsorted(cumulative, random() * cumulative[-1], side="right")))
    return ids[1:]


def main():
    parser = argparse.ArgumentParser("python -m minigrid.plain", description="Train a Grid LSTM on a text, then write.")
    parser.add_argument("file", type=Path, help="a text in UTF-8, 1 MB or so; the last 5 %% are held out")
    parser.add_argument("--epochs", type=int, default=2, help="passes over the text (default: 2)")
    options = parser.parse_args()
    try:
        text = options.file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        parser.error(f"cannot read {options.file}: {error}")
    characters, ids = np.unique(list(text), return_inverse=True)
    train, held_out = np.split(ids, [int(0.95 * len(text))])
    B, T, H, L = min(32, (len(held_out) - 1) // 50), 50, 128, 2
    if B < 1:
        parser.error(f"{options.file} has {len(text)} characters: give a text of at least 1,001")
    p = make_parameters(len(characters), H, L)
    mean_square = {name: np.zeros_like(weight) for name, weight in p.items()}
    began = time.perf_counter()
    for epoch in range(1, options.epochs + 1):
        for k, (y, logits, cache) in enumerate(read_text(p, train, B, T, L), start=1):
            loss, dlogits = cross_entropy(logits, y)
            rmsprop(p, backward(p, T * dlogits, cache), mean_square)  # of the loss summed over T, averaged over B
            if k % 50 == 0:
                print(f"epoch {epoch}, minibatch {k}: {loss:.3f} nats, {time.perf_counter() - began:.0f} s", flush=True)
        losses = [cross_entropy(logits, y)[0] for y, logits, _ in read_text(p, held_out, B, T, L)]
        print(f"epoch {epoch}: {np.mean(losses):.4f} nats per character on the text held out")
        print("".join(characters[sample(p, L, first=train[0], length=300)]), "\n", flush=True)


if __name__ == "__main__":
    main()
