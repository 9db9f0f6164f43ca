# %% [markdown]
# # 3. The grid: an LSTM along time and an LSTM along depth
#
# [Notebook 2](02_backpropagation_through_time.ipynb) showed why a memory cell helps along *time*: a gradient goes back
# through it with one factor per step, the forget gate, and no matrix. A network with many layers has a second
# direction, *depth*. A stacked LSTM has no memory cell there. The 2D Grid LSTM ([Kalchbrenner, Danihelka, Graves
# 2015](https://arxiv.org/abs/1507.01526)) has one in both.
#
# Afterwards you can
# - draw one block of a grid and write down its equations,
# - build a grid out of LSTM steps, in two orders, and say which parts have to wait for which,
# - say what **priority** and **tying** change, and count parameters,
# - say what the depth memory cell does for the gradient.

# %%
# %matplotlib inline
import timeit

import matplotlib.pyplot as plt
import numpy as np

from minigrid import CharModel
from minigrid.plots import grid_block

SEED = 3
rng = np.random.default_rng(SEED)

# %% [markdown]
# ## What a stacked LSTM hands upward
#
# In a stacked LSTM, layer $l$ reads the hidden state of the layer below as its input, $x^{(l)}_t = h^{(l-1)}_t$, and
# that is all it ever sees of it. Something in the memory cell of a low layer has to pass, on its way into the memory
# cell one layer up, through
#
# $$c^{(l-1)} \;\to\; \tanh \;\to\; \text{output gate} \;\to\; \text{matrix } W_x \;\to\; \tanh
# \;\to\; \text{input gate} \;\to\; c^{(l)}$$
#
# and the gradient on its way down through all their slopes. Layer after layer these factors multiply, as along time in
# a plain recurrent network, and with the same result. Let a gradient arrive at the scores of the last step, and look at
# what is left of it at the last character's embedding, under 1 to 16 layers at initialisation.

# %%
HIDDEN, STEPS, BATCH = 64, 10, 4
DEPTHS = (1, 2, 4, 8, 16)


def gradient_at_the_bottom(model):
    """Norm of the gradient at the embedding of the last step's characters, mean over the sequences."""
    # all characters are different: each has a row of the embedding to itself
    x = np.arange(STEPS * BATCH).reshape(STEPS, BATCH)
    logits, _, cache = model.forward(x, model.initial_state(BATCH))
    dlogits = np.zeros_like(logits)
    dlogits[-1] = np.random.default_rng(SEED).standard_normal(dlogits[-1].shape)
    grads, _ = model.backward(cache, dlogits)
    return np.linalg.norm(grads["embedding.weight"][x[-1]], axis=-1).mean()


def fresh(kind, layers, **options):
    return CharModel(
        kind,
        vocab_size=STEPS * BATCH,
        hidden=HIDDEN,
        layers=layers,
        dtype="float64",
        seed=SEED,
        **options,
    )


stacked = [gradient_at_the_bottom(fresh("lstm", layers)) for layers in DEPTHS]
for layers, norm in zip(DEPTHS, stacked, strict=True):
    print(f"stacked LSTM, {layers:2d} layers: {norm:.0e}")
assert stacked[2] < stacked[0] / 100
assert stacked[-1] < 1e-12

# %% [markdown]
# ## One block
#
# The grid gives depth its own LSTM, with a hidden state *and a memory cell* that travel from layer to layer. Block
# $(l, t)$, layer $l$ at time $t$, has an LSTM along time and an LSTM along depth; both do the update of notebook 1.
# Between them there are four states: along time $h^{time}, c^{time}$, which go to the next character, and along depth
# $h^{depth}, c^{depth}$, which go to the next layer. (Blue: hidden states; orange: memory cells.)

# %%
grid_block()

# %% [markdown]
# $$a^{time} = h^{time}_{l,t-1} W^{time}_{time} + h^{depth}_{l-1,t} W^{time}_{depth} + bias^{time}
# \qquad (h^{time}_{l,t},\, c^{time}_{l,t}) = \mathrm{lstm}(a^{time},\, c^{time}_{l,t-1})$$
#
# $$a^{depth} = h^{time}_{l,t} W^{depth}_{time} + h^{depth}_{l-1,t} W^{depth}_{depth} + bias^{depth}
# \qquad (h^{depth}_{l,t},\, c^{depth}_{l,t}) = \mathrm{lstm}(a^{depth},\, c^{depth}_{l-1,t})$$
#
# A matrix's upper index names the LSTM that it belongs to, the lower one the direction of what it multiplies. At the
# bottom the character's embedding enters along depth: $h^{depth}_{0,t} = embedding(x_t)$, $c^{depth}_{0,t} = 0$. At the
# top the decoder reads $h^{depth}_{L,t}$. Along time everything starts at zero and is carried from minibatch to
# minibatch, as you know it. (In the names of arrays layers count from 0: `time.0.W_depth` belongs to the lowest
# block's LSTM along time and multiplies what comes along depth.)
#
# Read the two lines side by side: **they are the same LSTM, turned by 90 degrees.** Along time, the state is
# $(h^{time}, c^{time})$ and what is read is $h^{depth}$. Along depth, the state is $(h^{depth}, c^{depth})$ and what is
# read is $h^{time}$. So we can build a grid out of nothing but the LSTM step of notebook 1. For that step we use
# minigrid's stacked LSTM with one layer and one time step; what it reads are rows that we put into its embedding.

# %%
L, T, B, V, H = 3, 5, 2, 7, 4
grid = CharModel("grid", vocab_size=V, hidden=H, layers=L, tie="none", dtype="float64", seed=SEED)
x = rng.integers(0, V, (T, B))
# we begin somewhere in a text, not at zero
start = {name: rng.standard_normal((B, H)) for name in grid.state_names()}
logits, end, cache = grid.forward(x, start)


def lstm_step(read, h, c, W_read, W_state, bias):
    """One LSTM step of minigrid: reads `read`, moves the state (h, c) on; all are (rows, H)."""
    step = CharModel("lstm", vocab_size=len(read), hidden=h.shape[1], layers=1, dtype="float64")
    step.params["embedding.weight"][...] = read
    step.params["lstm.0.W_x"][...] = W_read
    step.params["lstm.0.W_h"][...] = W_state
    step.params["lstm.0.bias"][...] = bias
    _, state, _ = step.forward(np.arange(len(read))[None], {"lstm.0.h": h, "lstm.0.c": c})
    return state["lstm.0.h"], state["lstm.0.c"]


def along_time(layer, h_time, c_time, h_depth):
    W_time, W_depth, bias = (
        grid.params[f"time.{layer}.{name}"] for name in ("W_time", "W_depth", "bias")
    )
    return lstm_step(h_depth, h_time, c_time, W_depth, W_time, bias)


def along_depth(layer, h_depth, c_depth, h_time):
    W_time, W_depth, bias = (
        grid.params[f"depth.{layer}.{name}"] for name in ("W_time", "W_depth", "bias")
    )
    return lstm_step(h_time, h_depth, c_depth, W_time, W_depth, bias)


def decode(h_depth):
    return h_depth @ grid.params["decoder.weight"] + grid.params["decoder.bias"]


# %% [markdown]
# Block by block, character after character, each through all layers:

# %%
h_time = [start[f"time.{layer}.h"] for layer in range(L)]
c_time = [start[f"time.{layer}.c"] for layer in range(L)]
block_by_block = []
for t in range(T):
    h_depth, c_depth = grid.params["embedding.weight"][x[t]], np.zeros((B, H))
    for layer in range(L):
        h_time[layer], c_time[layer] = along_time(layer, h_time[layer], c_time[layer], h_depth)
        h_depth, c_depth = along_depth(layer, h_depth, c_depth, h_time[layer])
    block_by_block.append(decode(h_depth))

assert np.allclose(block_by_block, logits, rtol=1e-12)
assert all(np.allclose(h_time[layer], end[f"time.{layer}.h"], rtol=1e-12) for layer in range(L))
assert all(np.allclose(c_time[layer], end[f"time.{layer}.c"], rtol=1e-12) for layer in range(L))

# %% [markdown]
# ## The order of computation
#
# That was one way through the grid. What really has to wait for what?
#
# - The LSTM **along time** at $(l, t)$ needs its own state from $(l, t-1)$. It is a recurrence: it must go step by
#   step.
# - The LSTM **along depth** at $(l, t)$ needs its state from $(l-1, t)$, and $h^{time}_{l,t}$. Nothing of it comes from
#   another time. **Within a layer it has no recurrence.**
#
# So we may finish a whole layer before going up: first its LSTM along time, step by step, then its LSTM along depth for
# all $T$ steps at once. "At once" is meant literally: $T$ steps of $B$ sequences are simply $T B$ rows of one product.

# %%
h_depth, c_depth = grid.params["embedding.weight"][x], np.zeros((T, B, H))  # (T, B, H), all steps
for layer in range(L):
    h, c = start[f"time.{layer}.h"], start[f"time.{layer}.c"]
    h_time = np.empty((T, B, H))
    for t in range(T):
        h, c = along_time(layer, h, c, h_depth[t])
        h_time[t] = h
    as_rows = (s.reshape(T * B, H) for s in (h_depth, c_depth, h_time))
    rows_h, rows_c = along_depth(layer, *as_rows)  # one call
    h_depth, c_depth = rows_h.reshape(T, B, H), rows_c.reshape(T, B, H)

assert np.allclose(decode(h_depth), logits, rtol=1e-12)

# %% [markdown]
# How many **rounds** of computing come one after the other, if a round is one call? Block by block $2LT$; layer by
# layer $L(T + 1)$, about half of that. And if a round could compute any number of things at the same time, each as soon
# as what it needs is there? Then the longest chain of things that wait for each other counts: along time through the
# lowest layer, then upward, $T + 2L - 1$ rounds.


# %%
def earliest(L, T, priority="depth"):
    """Round in which each LSTM can be computed at the earliest: (layer, along time or depth, step), from 1."""
    rounds = np.zeros((L, 2, T), int)
    for layer in range(L):
        for t in range(T):
            own_before = rounds[layer, 0, t - 1] if t else 0
            below = rounds[layer - 1, 1, t] if layer else 0
            rounds[layer, 0, t] = 1 + max(own_before, below)
            read = rounds[layer, 0, t] if priority == "depth" else own_before
            rounds[layer, 1, t] = 1 + max(read, below)
    return rounds


L, T = 3, 6
layer, step = np.arange(L)[:, None], np.arange(T)[None]
orders = {
    "Block by block": np.stack([2 * (step * L + layer) + 1, 2 * (step * L + layer) + 2], axis=1),
    "Layer by layer": np.stack(
        [layer * (T + 1) + step + 1, (layer + 1) * (T + 1) + 0 * step], axis=1
    ),
    "As early as possible": earliest(L, T),
}
fig, axes = plt.subplots(1, 3, figsize=(11.5, 4.2), sharey=True)
for ax, (name, rounds) in zip(axes, orders.items(), strict=True):
    table = rounds.reshape(2 * L, T)
    ax.imshow(table, cmap="Blues", vmin=0, vmax=50, origin="lower", aspect="auto")
    for row in range(2 * L):
        for column in range(T):
            ax.text(column, row, table[row, column], ha="center", va="center")
    for edge in range(1, L):
        ax.axhline(2 * edge - 0.5, color="black", linewidth=1.5)
    ax.set(title=f"{name}: {table.max()} rounds", xlabel="step t", xticks=range(T))
    ax.grid(False)
axes[0].set_yticks(
    range(2 * L), [f"layer {n + 1}, {way}" for n in range(L) for way in ("time", "depth")]
)
fig.suptitle("In which round each LSTM of the grid is computed, 3 layers and 6 steps")
plt.show()

assert orders["Block by block"].max() == 2 * L * T == 36
assert orders["Layer by layer"].max() == L * (T + 1) == 21
assert orders["As early as possible"].max() == T + 2 * L - 1 == 11
for rounds in orders.values():  # every order respects what has to wait for what
    assert (rounds[:, 0, 1:] > rounds[:, 0, :-1]).all()  # along time: after the step before
    assert (rounds[:, 1] > rounds[:, 0]).all()  # along depth: after the block's own LSTM along time
    assert (rounds[1:, 0] > rounds[:-1, 1]).all()  # and both after the layer below

# %% [markdown]
# minigrid goes layer by layer. Whatever does not wait for $h^{time}_{l,t-1}$ may then leave the loop over time: the
# product of the time LSTM with what comes from below, all of the depth LSTM, and in the backward pass all weight
# gradients, which are one product over $T B$ rows each. (It *may*: small arrays stay in a CPU's cache, so that now and
# then a loop is the faster way. `docs/LOG.md` has what was measured.)
#
# ### What it buys
#
# The numbers are the same and so is the number of multiplications. But one large product reads the weight matrix once,
# where $T$ small ones read it $T$ times; with a single sequence this is plain to see. Here is the
# product of one LSTM, $(T \cdot B, H) \times (H, 4H)$ for $T = 50$ and $H = 128$, at once and step by step. (Figures of
# the machine on which this notebook was last executed; yours has its own, and a busy one any. The left end is the
# point; the right end changed from one execution to the next.)

# %%
T, H = 50, 128
W = rng.standard_normal((H, 4 * H)).astype("float32")
batches = (1, 2, 4, 8, 16, 32)


def milliseconds(*functions, rounds=7, calls=3):
    """Shortest time of one call for each function; they take turns, so that a busy machine is unfair to none."""
    times = [[timeit.timeit(f, number=calls) / calls for f in functions] for _ in range(rounds)]
    return 1e3 * np.min(times, axis=0)


times = []
for B in batches:
    h = rng.standard_normal((T, B, H)).astype("float32")
    assert np.allclose(h.reshape(-1, H) @ W, np.concatenate([h_t @ W for h_t in h]), atol=1e-3)
    times.append(milliseconds(lambda h=h: h.reshape(-1, H) @ W, lambda h=h: [h_t @ W for h_t in h]))
at_once, by_step = np.array(times).T

fig, ax = plt.subplots(figsize=(7, 4))
ax.plot(
    batches, 1e3 * by_step / T / batches, "s-", color="C1", label="50 products, one for each step"
)
ax.plot(
    batches, 1e3 * at_once / T / batches, "o-", color="C0", label="one product for all 50 steps"
)
ax.set_xscale("log", base=2)
ax.set(
    xlabel="batch B",
    ylabel="microseconds per character",
    title="One LSTM's product",
    ylim=(0, None),
)
ax.set_xticks(batches, batches)
ax.legend()
plt.show()

print(f"a single sequence, step by step: {by_step[0] / at_once[0]:.1f} times as long as at once")

# %% [markdown]
# And a whole grid, forward and backward: all 50 steps handed over at once, or one step at a time, state and gradient
# handed on by us (this also pays minigrid's bookkeeping at every call, so it overstates the effect of the order).

# %%
model = CharModel("grid", vocab_size=65, hidden=128, layers=2, seed=SEED)


def all_at_once(x, start, dlogits):
    _, _, cache = model.forward(x, start)
    return model.backward(cache, dlogits)[0].flat


def step_by_step(x, start, dlogits):
    state, arriving, caches, total = start, None, [], 0
    for t in range(len(x)):
        _, state, cache = model.forward(x[t : t + 1], state)
        caches.append(cache)
    for t in reversed(range(len(x))):
        grads, arriving = model.backward(caches[t], dlogits[t : t + 1], arriving)
        total = total + grads.flat
    return total


print(" B    at once   step by step   ratio")
for B in (1, 8, 32):
    arguments = (
        rng.integers(0, 65, (T, B)),
        model.initial_state(B),
        rng.standard_normal((T, B, 65)).astype("float32"),
    )
    assert np.allclose(all_at_once(*arguments), step_by_step(*arguments), rtol=1e-3, atol=1e-3)
    fast, slow = milliseconds(
        lambda a=arguments: all_at_once(*a), lambda a=arguments: step_by_step(*a), rounds=4, calls=1
    )
    print(f"{B:2d} {fast:7.1f} ms {slow:11.1f} ms {slow / fast:8.1f}")

# %% [markdown]
# ## Priority
#
# The LSTM along depth reads $h^{time}_{l,t}$, which this very block has just computed. The paper calls depth the
# *priority dimension*; in minigrid that is `priority="depth"`, the default. With `priority="none"` both LSTMs read the
# old $h^{time}_{l,t-1}$. What changes? Then what the LSTM along time makes of a character reaches the prediction only
# one step later. With a single step there is no "later", so its weights get no gradient at all:

# %%
for priority in ("depth", "none"):
    model = CharModel(
        "grid", vocab_size=7, hidden=4, layers=3, tie="none", priority=priority, dtype="float64"
    )
    logits, _, cache = model.forward(np.array([[2]]), model.initial_state(1))  # one step
    grads, _ = model.backward(cache, np.ones_like(logits))
    largest = {
        kind: max(abs(g).max() for name, g in grads.items() if name.startswith(kind))
        for kind in ("time", "depth")
    }
    print(
        f"priority {priority:6s} largest gradient along time {largest['time']:.0e}, along depth {largest['depth']:.0e}"
    )
    assert largest["depth"] > 0
    assert (largest["time"] > 0) == (priority == "depth")

# %% [markdown]
# In return the two LSTMs of a block need not wait for each other: the longest chain gets shorter by one round per
# layer.

# %%
assert earliest(3, 6, priority="depth").max() == 6 + 2 * 3 - 1
assert earliest(3, 6, priority="none").max() == 6 + 3 - 1

# %% [markdown]
# ## Tying: one set of weights for many layers
#
# Along time, all steps share one set of weights. Why not along depth? The LSTM along depth goes through the layers as
# the one along time goes through the text. `tie` says who shares:
#
# | `tie` | LSTM along depth | LSTM along time | LSTMs in all |
# |---|---|---|---|
# | `none` | one for each layer | one for each layer | $2L$ |
# | `depth` (default) | one for all layers | one for each layer | $L + 1$ |
# | `layers` | one for all layers | one for all layers | $2$ |
#
# Each LSTM has two matrices $(H, 4H)$ and one bias: $8H^2 + 4H$ numbers. Embedding and decoder have $2VH + V$. A
# stacked LSTM with an embedding of $H$ has $L$ LSTMs of the same size.


# %%
def count(lstms, H, V):
    """Parameters of a model with so many LSTMs."""
    return lstms * (8 * H**2 + 4 * H) + 2 * V * H + V


V, H = 65, 32
for L in (1, 2, 5):
    for tie, lstms in {"none": 2 * L, "depth": L + 1, "layers": 2}.items():
        assert CharModel(
            "grid", vocab_size=V, hidden=H, layers=L, tie=tie
        ).params.flat.size == count(lstms, H, V)
    assert CharModel("lstm", vocab_size=V, hidden=H, layers=L).params.flat.size == count(L, H, V)

# the experiment of the Torch program grid-lstm, from its README: 1000 units, 6 layers; enwik8 has 205 bytes
assert count(2 * 6, 1000, 205) == 96_458_205
assert count(6 + 1, 1000, 205) == 56_438_205
assert count(2, 1000, 205) == 16_418_205

layers = np.arange(1, 13)
fig, ax = plt.subplots(figsize=(7, 4))
for label, lstms, style in (
    ("grid, tie none", 2 * layers, "o-"),
    ("grid, tie depth", layers + 1, "s-"),
    ("stacked LSTM", layers, "k--"),
    ("grid, tie layers", 0 * layers + 2, "^-"),
):
    ax.plot(layers, count(lstms, 128, 65) / 1e6, style, markersize=4, label=label)
ax.set(xlabel="layers L", ylabel="parameters (millions)", title="H = 128, V = 65", ylim=(0, None))
ax.legend()
plt.show()

# %% [markdown]
# A shared matrix is **one array that is used $L$ times**. You know what the chain rule says about something that is
# used more than once: its gradient is the *sum* over its uses. To see it, give an untied model the same values in every
# layer. It computes the same; and the tied model's gradient is the sum of the untied ones'.

# %%
L, T, B = 3, 5, 2
tied = CharModel("grid", vocab_size=V, hidden=H, layers=L, tie="layers", dtype="float64", seed=SEED)
untied = CharModel("grid", vocab_size=V, hidden=H, layers=L, tie="none", dtype="float64", seed=SEED)
print(", ".join(tied.params))
for name, array in untied.params.items():
    kind, *_, weight = name.split(".")
    array[...] = tied.params[f"{kind}.{weight}"]  # time.2.W_depth takes time.W_depth, and so on

x, y = rng.integers(0, V, (2, T, B))
loss_tied, grads_tied, _ = tied.loss_and_grads(x, y, tied.initial_state(B))
loss_untied, grads_untied, _ = untied.loss_and_grads(x, y, untied.initial_state(B))
assert np.isclose(loss_tied, loss_untied, rtol=1e-12)
for weight in ("W_time", "W_depth", "bias"):
    for kind in ("time", "depth"):
        over_the_uses = sum(grads_untied[f"{kind}.{layer}.{weight}"] for layer in range(L))
        assert np.allclose(grads_tied[f"{kind}.{weight}"], over_the_uses, rtol=1e-9, atol=1e-15)

# %% [markdown]
# ## What the depth memory cell does for the gradient
#
# Along depth the grid has what the LSTM has along time, a direct way with one gate per layer:
#
# $$c^{depth}_{l,t} = f^{depth}_{l,t} \odot c^{depth}_{l-1,t} + i^{depth}_{l,t} \odot g^{depth}_{l,t}
# \qquad\Rightarrow\qquad dc^{depth}_{l-1,t} = dc^{depth}_{l,t} \odot f^{depth}_{l,t} + \dots$$
#
# Something that a low layer writes to the depth memory cell can be read by a high layer with no tanh and no matrix in
# between, as long as the forget gates on the way are open. Here is the measurement of the first section again. To see
# that it is *this* way which matters, and not the larger number of weights, we also close the depth forget gates (bias
# -50), and open them wide (bias 3).

# %%
curves = {"stacked LSTM": stacked}
for name, bias in {"closed": -50, "as initialised": 1, "wide open": 3}.items():
    norms = []
    for layers in DEPTHS:
        model = fresh("grid", layers, tie="none")
        for layer in range(layers):
            forget_bias = model.params[f"depth.{layer}.bias"][HIDDEN : 2 * HIDDEN]
            forget_bias += bias - 1  # they start at 1
        norms.append(gradient_at_the_bottom(model))
    curves[f"grid, depth forget gates {name}"] = norms

fig, ax = plt.subplots(figsize=(8, 4.4))
for (name, norms), style in zip(curves.items(), ("k--", "^-", "o-", "s-"), strict=True):
    ax.semilogy(DEPTHS, norms, style, label=name)
ax.set(xlabel="layers", ylabel="gradient norm at the embedding", xticks=DEPTHS, ylim=(1e-18, 10))
ax.set_title("How much of the gradient arrives under L layers, at initialisation")
ax.legend(loc="lower left")
plt.show()

closed, initial, wide = list(curves.values())[1:]
assert initial[-1] > 1e-4  # still there under 16 layers
assert wide[-1] > 10 * initial[-1]
# without the direct way no better than stacked
assert np.allclose(np.log10(closed), np.log10(stacked), atol=1.5)

# %% [markdown]
# With the depth forget gates closed the grid is no better than the stacked LSTM, although it has twice as many LSTMs.
# With them open, the gradient is there under 16 layers. That is initialisation; what *trained* gates do, and what they
# carry upward, is the subject of the [next notebook](04_depth_gating.ipynb).
#
# ## Exercises
#
# 1. **Count.** A grid with 4 layers of 64 units (`tie="depth"`) reads a text of 97 characters. How many parameters does
#    it have? How many units must a stacked LSTM of 4 layers have to come closest to it?
# 2. **Carry a number.** Build, by hand, a grid of 3 layers with one unit that writes $\tanh$ of the character's
#    embedding to the depth memory cell in layer 1, and hands it up to the top unchanged. Which gates must be open,
#    which closed?
# 3. **Dropout** multiplies numbers, in training, by a mask of which a random part is 0, so that a network does not rely
#    on any single one. A grid's acts on $h^{depth}$ where it enters layers 2 to L and the decoder, never on
#    $c^{depth}$; a stacked LSTM's on the $h$ that goes up. Set the whole mask of layer 2 to 0. Can the loss still
#    depend on the embedding, at the same step? In a grid? In a stacked LSTM?
# 4. **Priority and time.** With `priority="none"` and *two* steps, which layers' LSTMs along time have a gradient?
# 5. **Twice the layers.** A grid of $L$ layers with $T = 50$. By how much does the number of rounds grow if $L$ goes
#    from 2 to 4, block by block, layer by layer, and as early as possible?
#
# ## Solutions
#
# **1.** 5 LSTMs of $8 \cdot 64^2 + 4 \cdot 64$ numbers, and $2 \cdot 97 \cdot 64 + 97$. With four LSTMs, 71 units come
# closest.

# %%
grid_size = CharModel("grid", vocab_size=97, hidden=64, layers=4).params.flat.size
assert grid_size == count(5, 64, 97) == 177_633
closest = min(range(1, 200), key=lambda H: abs(count(4, H, 97) - grid_size))
assert closest == 71

# %% [markdown]
# **2.** Along depth: in layer 1 the input gate open and $g = \tanh(w \cdot embedding)$; above, the input gates closed
# and the forget gates open. (The output gates may be anything; the top's must be open for the decoder to see it.) With
# biases of $\pm 30$, gates are closed and open to all digits that count.

# %%
model = CharModel("grid", vocab_size=3, hidden=1, layers=3, tie="none", dtype="float64")
model.params.flat[...] = 0
model.params["embedding.weight"][:, 0] = [-0.5, 0.1, 0.7]
model.params["depth.0.W_depth"][0] = [0, 0, 0, 1]  # packed [i | f | o | g]: g = tanh(embedding)
model.params["depth.0.bias"][:] = [30, -30, 0, 0]
model.params["depth.1.bias"][:] = [-30, 30, 0, 0]
model.params["depth.2.bias"][:] = [-30, 30, 30, 0]
model.params["decoder.weight"][:] = 1
logits, _, _ = model.forward(np.array([[0], [1], [2]]), model.initial_state(1))
written = np.tanh([-0.5, 0.1, 0.7])
assert np.allclose(logits[:, 0, 0], np.tanh(written), rtol=1e-10)  # h shows tanh(c)

# %% [markdown]
# **3.** In the grid yes: through $c^{depth}$, which dropout leaves alone. In the stacked LSTM no: $h$ is all that goes
# up.

# %%
for kind, depends in {"grid": True, "lstm": False}.items():
    model = CharModel(
        kind, vocab_size=5, hidden=8, layers=2, dropout=0.5, dtype="float64", seed=SEED
    )
    logits, _, cache = model.forward(
        np.array([[1]]), model.initial_state(1), masks={"layer.1": np.zeros((1, 1, 8))}
    )
    grads, _ = model.backward(cache, np.ones_like(logits))
    assert bool(abs(grads["embedding.weight"]).max() > 0) == depends

# %% [markdown]
# **4.** All of them, but only through what they did at the first step: what any layer's LSTM along time made of the
# first character is read, one step later, by the LSTM along depth of the same layer. What they did at the last step is
# read by nobody, so a gradient that arrives at the *first* step's scores only moves nothing along time:

# %%
model = CharModel(
    "grid",
    vocab_size=7,
    hidden=4,
    layers=3,
    tie="none",
    priority="none",
    dtype="float64",
    seed=SEED,
)
logits, _, cache = model.forward(np.array([[2], [5]]), model.initial_state(1))
for step, moves in ((1, True), (0, False)):
    dlogits = np.zeros_like(logits)
    dlogits[step] = 1
    grads, _ = model.backward(cache, dlogits)
    assert all(bool(abs(grads[f"time.{layer}.W_depth"]).max() > 0) == moves for layer in range(3))

# %% [markdown]
# **5.** Block by block there are $2LT$ rounds: 400 in place of 200. Layer by layer $L(T+1)$: 204 in place of 102. As
# early as possible $T+2L-1$: 57 in place of 53. Depth is nearly free for a machine that can do everything at the same
# time.

# %%
assert [2 * L * 50 for L in (2, 4)] == [200, 400]
assert [L * 51 for L in (2, 4)] == [102, 204]
assert [earliest(L, 50).max() for L in (2, 4)] == [53, 57]
