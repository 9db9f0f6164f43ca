# %% [markdown]
# # 5. How a gradient comes down through 24 layers
#
# [Notebook 2](02_backpropagation_through_time.ipynb) followed a gradient back through *time*. Here it goes down through
# *depth*: from the loss at one step, through all layers of that very step, to the character's embedding. What does not
# arrive there cannot teach the lower layers anything. We measure it in stacks and grids of 2 to 24 layers, work out why
# it fades, and then see what training makes of it.
#
# Afterwards you can
# - predict by which factor a layer shrinks the gradient at initialisation, in a stack and in a grid,
# - say what the forget gates along depth, and the bias they begin with, have to do with it,
# - say what dropout does to the way down, and what it leaves alone,
# - say what training changes, and why "the gradient vanishes" is a sentence about the start.

# %%
# %matplotlib inline
import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from minigrid import CharModel, load, trace
from minigrid.gradient_flow import norms_by_layer
from minigrid.toywiki import generate
from minigrid.trace import kept_to_end
from minigrid.vocabulary import Vocabulary

SEED = 5
COLOURS = plt.rcParams["axes.prop_cycle"].by_key()["color"]
BLUE, ORANGE, GREEN = COLOURS[:3]

# %% [markdown]
# ## What is measured
#
# `norms_by_layer` lets a model read a text and takes the loss of its last prediction. It then goes down through the
# layers and notes how large the gradient is of **what each layer hands upward at that step**: the hidden state $h$, and
# in a grid also the memory cell along depth $c^{depth}$. No other step lies between. (What the lower layers did at
# *earlier* steps matters as well, but its gradient comes by way of time, as in notebook 2.)
#
# We use 64 pieces of toywiki, 20 characters each, and take the mean norm over them.

# %%
DEPTHS = (2, 4, 8, 16, 24)
H, STEPS, BATCH = 32, 20, 64
text = generate(BATCH * (STEPS + 1), SEED)[0]
vocabulary = Vocabulary.from_text(text, tokens="chars")
ids = vocabulary.encode(text).reshape(BATCH, STEPS + 1).T
x, target = ids[:-1], ids[-1]


def fresh(kind, layers, hidden=H, bias=1.0, **options):
    """Return an untrained model; the forget gates along depth of a grid begin at this bias."""
    model = CharModel(
        kind, vocab_size=len(vocabulary), hidden=hidden, layers=layers, dtype="float64", seed=SEED,
        **options,
    )  # fmt: skip
    for name, array in model.params.items():
        if name.startswith("depth.") and name.endswith("bias"):
            array[hidden : 2 * hidden] += bias - 1
    return model


def flow(model, masks=None):
    """Mean norms of the gradient by layer, from the bottom up: "h", and of a grid "c"."""
    norms = norms_by_layer(model, x, target, masks=masks)
    return {name.split(".")[1]: norm.mean(axis=1) for name, norm in norms.items()}


stacks = {layers: flow(fresh("lstm", layers))["h"] for layers in DEPTHS}
grids = {layers: flow(fresh("grid", layers)) for layers in DEPTHS}

fig, axes = plt.subplots(1, 2, figsize=(11, 4.2), sharey=True)
shades = plt.get_cmap("viridis")(np.linspace(0.85, 0, len(DEPTHS)))
for layers, shade in reversed(list(zip(DEPTHS, shades, strict=True))):  # the shortest on top
    below = np.arange(layers)[::-1]  # layers below the top
    axes[0].semilogy(
        below, stacks[layers], "o-", color=shade, markersize=4, label=f"{layers} layers"
    )
    axes[1].semilogy(below, grids[layers]["h"], "o-", color=shade, markersize=4)
axes[0].set(title="stacked LSTM", xlabel="layers below the top", ylabel="norm of the gradient of h")
axes[1].set(title="grid", xlabel="layers below the top")
axes[0].legend()
plt.show()

print("lowest / top, stack: ", {n: f"{h[0] / h[-1]:.0e}" for n, h in stacks.items()})
print("lowest / top, grid:  ", {n: f"{g['h'][0] / g['h'][-1]:.0e}" for n, g in grids.items()})
for layers in DEPTHS:  # only the number of layers below the top counts
    assert np.allclose(stacks[layers], stacks[24][-layers:], rtol=0.5)
    assert np.allclose(grids[layers]["h"], grids[24]["h"][-layers:], rtol=0.5)
assert stacks[24][0] / stacks[24][-1] < 1e-24
assert grids[24]["h"][0] / grids[24]["h"][-1] > 1e-5

# %% [markdown]
# All depths lie on one line: what counts is how many layers there are *below the top*. And the lines are straight, on a
# logarithmic scale: every layer takes the same *factor*. But the factors are quite different. In the grid the first
# step down costs as much as in the stack; then it gets nearly flat.
#
# ## The factor of a stack
#
# Untrained weights are small, so all pre-activations are near 0: $i \approx o \approx \frac12$, $g \approx c \approx
# 0$, and all tanh have slope 1. Of the ways from $dh^{(l)}$ down to $dh^{(l-1)}$ those through the gates $i, f, o$ are
# closed, for they multiply with $g$, $c_{prev}$ or $\tanh c$, which are all near 0. What is left is the candidate:
#
# $$dh^{(l)} \;\xrightarrow{\;\cdot\,o\,\approx\,1/2\;}\; dc \;\xrightarrow{\;\cdot\,i\,\approx\,1/2\;}\; da_g
# \;\xrightarrow{\;W_g^\top\;}\; dh^{(l-1)}$$
#
# $W_g$ is an $H \times H$ matrix of random numbers, uniform in $\pm w$ with $w = 0.08$. Their variance is $w^2/3$, and
# such a matrix stretches a vector by $w\sqrt{H/3}$ on average. Together
#
# $$\text{factor of a stack} \approx \tfrac14\, w \sqrt{H/3}$$

# %%
print("  H   predicted   measured")
for hidden in (16, 32, 64, 128):
    h = flow(fresh("lstm", 8, hidden))["h"]
    predicted, measured = 0.25 * 0.08 * np.sqrt(hidden / 3), (h[0] / h[-1]) ** (1 / 7)
    print(f"{hidden:3d} {predicted:10.4f} {measured:10.4f}")
    assert np.isclose(measured, predicted, rtol=0.15)

# %% [markdown]
# ## The factor of a grid: the linear path
#
# Along depth a grid has the memory cell, $c^{(l)} = f^{(l)} \odot c^{(l-1)} + i^{(l)} \odot g^{(l)}$, so
#
# $$dc^{(l-1)} = \underbrace{dc^{(l)} \odot f^{(l)}}_{\text{the linear path}} + \text{(what comes through } h^{(l-1)})$$
#
# minigrid starts the forget-gate biases at 1, and $\sigma(1) = 0.73$. That is about the grid's factor, whatever $H$ is:
# after the first step down, where the gradient has to get from $h$ into $c$, it is the memory cell that carries it.
# ($h$ then gets a constant small share of it at each layer: $c$ is written with weights of the size of those above.)

# %%
below = np.arange(1, 24)  # layers below the top
dc, dh = grids[24]["c"][::-1][1:], grids[24]["h"][::-1][1:]
fig, ax = plt.subplots(figsize=(7.5, 4.2))
ax.semilogy(below, dc, "o-", color=BLUE, markersize=4, label="grid, $c$")
ax.semilogy(below, dh, "s-", color=GREEN, markersize=4, label="grid, $h$")
ax.semilogy(below, stacks[24][::-1][1:], "^-", color=ORANGE, markersize=4, label="stack, $h$")
ax.semilogy(below, dc[0] * 0.731 ** (below - 1), "k:", label=r"$\sigma(1)^{\,n}$")
ax.set(xlabel="layers below the top", ylabel="norm of the gradient", ylim=(1e-9, 2))
ax.set_title("24 layers, untrained: which state carries the gradient")
ax.legend()
plt.show()

for d in (dc, dh):
    factors = d[1:] / d[:-1]
    print(f"factors {factors.min():.2f} to {factors.max():.2f}")
    assert 0.72 < factors.min() < factors.max() < 0.81

# %% [markdown]
# The line is a little less steep than the dotted one. How much of $dc$ is the linear path *alone*, with all that goes
# through $h$ left out? We compute it from a trace: at the top $dc = dh \odot o \odot (1 - \tanh^2 c)$ as in notebook 1,
# and then nothing but forget gates.


# %%
def linear_path_alone(model):
    """Mean norm of the gradient that comes down through the forget gates only, for c of layers 1 to L - 1."""
    seen = trace(model, x)
    p = np.exp(seen.logits[-1])
    p /= p.sum(axis=1, keepdims=True)
    dh = (p - np.eye(len(vocabulary))[target]) @ model.params["decoder.weight"].T
    top = {name: seen[f"depth.{name}"][-1, -1] for name in "oc"}
    dc = dh * top["o"] * (1 - np.tanh(top["c"]) ** 2)
    norms = []
    for f in seen["depth.f"][:0:-1, -1]:  # from the top layer down to the second
        dc = dc * f
        norms.append(np.linalg.norm(dc, axis=1).mean())
    return np.array(norms[::-1])


alone = {}
for tie in ("none", "depth"):
    model = fresh("grid", 24, tie=tie)
    c = flow(model)["c"][:-1]
    alone[tie] = linear_path_alone(model) / c
    lowest = (c[0] / c[5]) ** (1 / 5)
    print(
        f'tie="{tie}": the linear path alone makes {alone[tie][0]:.0%} of the norm in layer 1, '
        f"{alone[tie][12]:.0%} in layer 13; factor in the lowest layers {lowest:.3f}"
    )
assert alone["none"][0] > 0.8
assert alone["depth"][0] < 0.5 < 0.6 < alone["depth"][12]

# %% [markdown]
# If the layers share nothing, the linear path is nearly all there is. What comes through $h$ takes the way of the
# stack, with its factor $m = \frac14 w \sqrt{H/3} = 0.065$, in a new random direction at every layer, and adds to $f$
# as the sides of a right angle do: $\sqrt{0.731^2 + 0.065^2} = 0.734$.
#
# If the layers share their LSTM along depth (the default), it is *the same* matrix $M$ at every layer. Then the
# gradient is multiplied by $(f + M)$ again and again, and like every vector under powers of a matrix it turns to the
# largest eigenvalue. $M$'s are as large as $m$, so the factor goes up to $0.731 + 0.065 = 0.796$ on the way down, and
# after 23 layers that is more than half. The forget gate still does most of the work at each layer; what it leaves room
# for adds up.

# %%
f, m = 1 / (1 + np.exp(-1)), 0.25 * 0.08 * np.sqrt(H / 3)
assert round(np.hypot(f, m), 3) == 0.734
assert round(f + m, 3) == 0.796

M = (
    0.25 * fresh("grid", 24).params["depth.W_depth"][:, 3 * H :]
)  # the candidate's columns of [i | f | o | g]
largest = (f + np.linalg.eigvals(M)).real.max()
c = grids[24]["c"]
print(
    f"largest eigenvalue {largest:.3f}, measured factor in the lowest layers {(c[0] / c[5]) ** (1 / 5):.3f}"
)
assert np.isclose((c[0] / c[5]) ** (1 / 5), largest, rtol=0.03)

# %% [markdown]
# ## The bias that the forget gates begin with
#
# A forget gate of 0.73 is a good start along time, where it is learnt at every one of thousands of steps. Along 24
# layers it leaves $0.73^{23} = 0.0007$. The same product is the share of what the lowest layer *writes* to the memory
# cell that arrives at the top (`kept_to_end`), so it is a limit in both directions.

# %%
biases = {0: GREEN, 1: BLUE, 3: COLOURS[3]}
fig, axes = plt.subplots(1, 2, figsize=(11, 4.2), sharey=True)
print(
    "forget bias   f      kept over 23 layers   lowest / top gradient (c of layer 1, h of layer 24)"
)
for bias, colour in biases.items():
    model = fresh("grid", 24, bias=bias)
    kept = kept_to_end(trace(model, x)["depth.f"]).mean(axis=(1, 2, 3))
    norms = flow(model)
    f = 1 / (1 + np.exp(-bias))
    axes[0].semilogy(range(1, 25), kept, "o-", color=colour, markersize=4, label=f"bias {bias}")
    axes[1].semilogy(
        range(1, 24), norms["c"][:-1] / norms["h"][-1], "o-", color=colour, markersize=4
    )
    print(f"{bias:6d} {f:12.3f} {kept[0]:15.1e} {norms['c'][0] / norms['h'][-1]:18.1e}")
    assert f**23 < 1.1 * kept[0] < 3 * f**23
axes[0].set(
    title="what arrives at the top of a write in this layer", xlabel="layer", ylabel="share"
)
axes[1].set(title="what arrives in this layer of the gradient", xlabel="layer")
axes[0].legend()
plt.show()

# %% [markdown]
# With a bias of 3 a third arrives. Note how alike both sides are: forward and backward, the linear path is the same
# product of gates.
#
# ## Dropout
#
# minigrid's dropout masks $h$ where it enters the next layer, and never $c$. A mask has the value 0 with probability
# $p$ and $\frac{1}{1-p}$ otherwise, so its mean is 1, but its mean *square* is $\frac{1}{1-p}$: the *norm* of a
# gradient that goes through it grows by $\sqrt{1/(1-p)}$ on average. That is a factor for each layer of a stack, and
# one at the decoder; the linear path of a grid never meets a mask.

# %%
P, DRAWS, L = 0.25, 20, 16
growth = {}
for kind, state in {"lstm": "lstm.h", "grid": "depth.c"}.items():
    model = fresh(kind, L, dropout=P)
    masks = [model.draw_masks(1, BATCH, draw) for draw in range(DRAWS)]
    without = norms_by_layer(model, x, target)[state]
    with_masks = np.array([norms_by_layer(model, x, target, masks=m)[state] for m in masks])
    mean_square = (with_masks**2).mean(axis=(0, 2)) / (without**2).mean(axis=1).clip(1e-300)
    growth[kind] = np.sqrt(mean_square)[:-1]

fig, ax = plt.subplots(figsize=(7.5, 4))
below = np.arange(1, L)[::-1]
ax.plot(below, growth["lstm"], "^-", color=ORANGE, label="stack, $h$")
ax.plot(below, growth["grid"], "o-", color=BLUE, label="grid, $c$")
ax.plot(below, (1 / (1 - P)) ** ((below + 1) / 2), "k:", label=r"$\sqrt{1/(1-p)}$ per layer")
ax.set(
    xlabel="layers below the top",
    ylabel="norm with / without masks (RMS)",
    ylim=(0, None),
)
ax.set_title(f"What dropout of {P} does to the gradient, {L} layers, untrained")
ax.legend()
plt.show()

assert np.allclose(growth["lstm"], (1 / (1 - P)) ** ((below + 1) / 2), rtol=0.15)
assert np.allclose(growth["grid"], (1 / (1 - P)) ** 0.5, rtol=0.05)

# %% [markdown]
# So dropout makes the gradients of a stack a little *larger*, by 1.15 per layer. Against a factor of 0.065 that is no
# help.

# %% [markdown]
# ## After training
#
# Does it matter? `experiments/gradient_flow` trains all of these for 400 minibatches of toywiki, with and without
# dropout, two seeds each, and measures before and after. (It takes a quarter of an hour; we load what it measured.)
# Whoever only knows how often each character occurs has a loss of 3.25 nats, the dotted line.

# %%
measures = json.loads(Path("../experiments/gradient_flow/measures.json").read_text())
UNIGRAM = measures.pop("unigram")
KINDS = {
    ("lstm", 0): ("stack", ORANGE, "^-"),
    ("lstm", 0.25): ("stack, dropout", ORANGE, "^:"),
    ("grid", 0): ("grid", BLUE, "o-"),
    ("grid", 0.25): ("grid, dropout", BLUE, "o:"),
    ("grid-open", 0): ("grid, depth forget bias 3", COLOURS[3], "s-"),
}
SEEDS = (1, 2)


def measured(kind, dropout, layers):
    """Measures of both seeds."""
    return [measures[f"{kind}-{layers}-{dropout}-{seed}"] for seed in SEEDS]


def final_loss(run):
    """Mean training loss of the last 50 minibatches, nats."""
    return np.mean(run["losses"][-5:])


def lowest_to_top(run, when):
    """Norm of the gradient of h of layer 1 over that of the top layer."""
    return run[when]["h"][0] / run[when]["h"][-1]


fig, axes = plt.subplots(1, 2, figsize=(11.5, 4.6))
for (kind, dropout), (label, colour, style) in KINDS.items():
    runs = {layers: measured(kind, dropout, layers) for layers in DEPTHS}
    losses = np.array([[final_loss(run) for run in runs[layers]] for layers in DEPTHS])
    axes[0].plot(DEPTHS, losses.mean(axis=1), style, color=colour, markersize=5, label=label)
    axes[0].vlines(DEPTHS, *losses.T, color=colour, linewidth=1)
    if not dropout and kind != "grid-open":
        for when, marker in (("before", ":"), ("after", "-")):
            share = [np.mean([lowest_to_top(run, when) for run in runs[n]]) for n in DEPTHS]
            axes[1].semilogy(
                DEPTHS, share, style[0] + marker, color=colour, label=f"{label}, {when}"
            )
axes[0].axhline(UNIGRAM, color="black", linestyle=":", label="frequencies only")
axes[0].set(
    title="loss after 400 minibatches", ylabel="nats per character", xlabel="layers", xticks=DEPTHS
)
axes[1].set(title="gradient of the lowest layer / of the top one", xlabel="layers", xticks=DEPTHS)
axes[1].set_ylim(1e-30, 1e2)
axes[0].legend(fontsize=9)
axes[1].legend(fontsize=9)
plt.show()

by_depth = [np.mean([final_loss(run) for run in measured("grid", 0, n)]) for n in DEPTHS]
assert by_depth == sorted(by_depth)
for layers in DEPTHS:
    for dropout in (0, 0.25):
        for run in measured("lstm", dropout, layers):
            assert (final_loss(run) > UNIGRAM - 0.05) == (layers >= 8)
            assert (lowest_to_top(run, "after") > 0.1) == (layers < 8)
        for run in measured("grid", dropout, layers):
            assert final_loss(run) < UNIGRAM - 0.2
            assert 0.1 < lowest_to_top(run, "after") < 10
    assert np.mean([final_loss(run) for run in measured("grid", 0, layers)]) < np.mean(
        [final_loss(run) for run in measured("grid", 0.25, layers)]
    )

# %% [markdown]
# - **Stacks** of 8 layers and more end on the dotted line. Their lowest layers get a gradient of less than a
#   ten-thousandth of the top's, and the top has nothing to work with: what comes *up* to it through untrained layers
#   hardly depends on the text (below).
# - **Grids** of all depths leave the line, with dropout, too. (In so short a training dropout only costs; what it is
#   good for, less overfitting, cannot show here.)
# - Deeper is *not better* here: after 400 minibatches the loss of the grids that begin as usual grows with every step
#   of depth. The grid makes depth possible, not free.
#
# How much does $h$ of a layer of an untrained stack differ from text to text?

# %%
h = trace(fresh("lstm", 8), x)["lstm.h"][:, -1]  # (layer, text, unit), at the last step
spread = h.std(axis=1).mean(axis=1)
print("standard deviation over the texts, layers 1 to 8:", ", ".join(f"{s:.0e}" for s in spread))
assert spread[-1] < 1e-4 * spread[0]

# %% [markdown]
# And in everything that has learnt, the 4-layer stacks included, the lowest layer's gradient is about as large as the
# top's. Training has opened the way. How? Look at the grids of 16 layers, layer by layer:

# %%
L = 16
fig, axes = plt.subplots(1, 2, figsize=(11, 4.2))
for kind, label, colour in (
    ("grid", "begun at bias 1", BLUE),
    ("grid-open", "begun at bias 3", COLOURS[3]),
):
    for when, style in (("before", ":"), ("after", "-")):
        runs = measured(kind, 0, L)
        c = np.mean([np.array(run[when]["c"][:-1]) / run[when]["h"][-1] for run in runs], axis=0)
        kept = np.mean([run[when]["kept"] for run in runs], axis=0)
        axes[0].semilogy(
            range(1, L), c, style, color=colour, marker="o", markersize=4, label=f"{label}, {when}"
        )
        axes[1].semilogy(range(1, L + 1), kept, style, color=colour, marker="o", markersize=4)
axes[0].set(title="gradient of $c$, over that of the top's $h$", xlabel="layer")
axes[1].set(title="share of a write that is kept to the top", xlabel="layer")
axes[0].legend(fontsize=9)
fig.suptitle(f"Grids of {L} layers before and after training")
plt.show()

print("share of the lowest write that is kept, and gradient of the lowest c, after training:")
for kind in ("grid", "grid-open"):
    for layers in DEPTHS:
        kept, c = (
            [value(run["after"]) for run in measured(kind, 0, layers)]
            for value in (lambda m: m["kept"][0], lambda m: m["c"][0] / m["h"][-1])
        )
        print(
            f"{kind:10s} {layers:2d} layers   kept {np.round(kept, 3)}   gradient {np.round(c, 2)}"
        )
for layers in (8, 16, 24):
    for run in measured("grid", 0, layers):
        assert run["after"]["kept"][0] > 3 * run["before"]["kept"][0]
        if (
            layers >= 16
        ):  # the linear path multiplies the top's gradient by o, the slope of tanh, and what is kept
            assert run["after"]["c"][0] / run["after"]["h"][-1] > 3 * run["after"]["kept"][0]

# %% [markdown]
# Two things have happened. The **forget gates have opened**: more of a low layer's write arrives at the top than before
# (on the right). But in deep grids that is not enough to explain the gradient on the left: it is larger than the linear
# path alone could make it. The **weights have grown**, and with them the ways through $h$, that were closed before. So
# the linear path is what *starts* the training; what does the work later is both.
#
# ### Two models that were trained for longer
#
# The 4-layer models that come with minigrid have read toywiki for 12 epochs. Of the gradient of their loss:

# %%
longer = {}
for name in ("toywiki-grid-1", "toywiki-grid-2", "toywiki-lstm-1", "toywiki-lstm-2"):
    model, its_vocabulary = load(f"pretrained:{name}")
    its_ids = its_vocabulary.encode(text).reshape(BATCH, STEPS + 1).T
    norms = norms_by_layer(model, its_ids[:-1], its_ids[-1])
    longer[name] = {key.split(".")[1]: norm.mean(axis=1) for key, norm in norms.items()}

fig, ax = plt.subplots(figsize=(7.5, 4.2))
for name, norms in longer.items():
    style = "o-" if name.endswith("1") else "s--"
    if "grid" in name:
        ax.semilogy(range(1, 4), norms["c"][:-1], style, color=BLUE, label=f"{name}, $c$")
        ax.semilogy(range(1, 5), norms["h"], style, color=GREEN, label=f"{name}, $h$")
    else:
        ax.semilogy(range(1, 5), norms["h"], style, color=ORANGE, label=f"{name}, $h$")
ax.set(xlabel="layer", ylabel="norm of the gradient (nats)", xticks=range(1, 5))
ax.set_title("After 12 epochs of toywiki")
ax.legend(fontsize=9, ncols=2)
plt.show()

for name, norms in longer.items():
    print(f"{name}: h of layer 1 / of layer 4 = {norms['h'][0] / norms['h'][-1]:.2f}")
    assert 0.1 < norms["h"][0] / norms["h"][-1] < 10

# %% [markdown]
# A stack of four layers that has got through its start has no vanishing gradient, either. Whether a gradient "vanishes"
# is a question about weights, and the weights change. What a grid has for certain is a start from which training can
# find the way.
#
# ## Exercises
#
# 1. **Wide stacks.** At which $H$ would the factor of a stack be 1, with weights uniform in $\pm 0.08$? And which $w$
#    makes it 1 for $H = 32$? Try the latter with 8 layers.
# 2. **A bias for 24 layers.** With which forget bias does half of a write in layer 1 arrive at layer 24?
# 3. **The mask that drops everything.** Let the mask at the input of layer 3 be all zeros, in a stack and in a grid of
#    4 layers. Which gradients are 0?
# 4. **Tied.** Does it change the factor of a grid if the layers share everything (`tie="layers"`)? Of a *stack*, if its
#    layers shared their weights?
# 5. **Closed gates.** What is the grid's factor if the forget biases along depth are $-50$? Predict, then measure.
#
# ## Solutions
#
# **1.** $\frac14 \cdot 0.08 \sqrt{H/3} = 1$ gives $H = 7500$. For $H = 32$: $w = 4 / \sqrt{32/3} = 1.22$. But then the
# pre-activations are not near 0 any more, gates saturate, and the estimate fails:
# much more of the gradient gets through than before, but by a factor of 0.6 per layer, not 1.

# %%
assert round(3 * (4 / 0.08) ** 2) == 7500
model = fresh("lstm", 8)
for name, array in model.params.items():
    if "W_" in name:
        array *= 1.22 / 0.08
h = flow(model)["h"]
factor = (h[0] / h[-1]) ** (1 / 7)
print(f"factor {factor:.2f}")
assert 0.5 < factor < 0.75

# %% [markdown]
# **2.** $f^{23} = \frac12$ gives $f = 0.970$ and $\ln\frac{f}{1-f} = 3.49$.

# %%
f = 0.5 ** (1 / 23)
bias = np.log(f / (1 - f))
assert round(bias, 2) == 3.49
kept = kept_to_end(trace(fresh("grid", 24, bias=bias), x)["depth.f"])[0].mean()
assert abs(kept - 0.5) < 0.05

# %% [markdown]
# **3.** In the stack those of $h$ of layers 1 and 2, all that lies below the mask. In the grid $h$ of layer 2 gets none
# either, since all that reads it reads it through the mask; but its $c$ does, and by way of layer 2's gates so does
# layer 1.

# %%
for kind, reached in {
    "lstm": [False, False, True, True],
    "grid": [True, False, True, True],
}.items():
    model = fresh(kind, 4, dropout=0.5)
    norms = flow(model, {"layer.2": np.zeros((1, BATCH, H))})  # layers count from 0 in names
    assert [bool(norm > 0) for norm in norms["h"]] == reached
assert norms["c"][1] > 0

# %% [markdown]
# **4.** Of the grid hardly: what counts is that the LSTM along depth is the same in all layers, and it is with
# `tie="depth"`, too. Of the stack hardly either: its factor is a matrix alone, without an $f$, and the powers of a
# random matrix shrink a vector like its largest eigenvalue, $m$, which is also the factor of many different ones.

# %%
for tie in ("depth", "layers"):
    c = flow(fresh("grid", 24, tie=tie))["c"]
    print(f'tie="{tie}": {(c[0] / c[5]) ** (1 / 5):.3f}')
    assert 0.76 < (c[0] / c[5]) ** (1 / 5) < 0.82
stack = fresh("lstm", 24)
for layer in range(1, 24):
    for name in ("W_x", "W_h", "bias"):
        stack.params[f"lstm.{layer}.{name}"][...] = stack.params[f"lstm.0.{name}"]
h = flow(stack)["h"]
assert np.isclose((h[0] / h[-1]) ** (1 / 23), m, rtol=0.15)

# %% [markdown]
# **5.** Then nothing comes by the linear path, and the grid is a stack: $\frac14 w \sqrt{H/3} = 0.065$ for each LSTM
# that is on the way. But there are *two* ways from a layer to the one below, through its LSTM along depth directly and
# through its LSTM along time. The second has two LSTMs one after the other, so it adds next to nothing.

# %%
h = flow(fresh("grid", 8, bias=-50))["h"]
factor = (h[0] / h[-1]) ** (1 / 7)
print(f"factor {factor:.4f}")
assert np.isclose(factor, 0.065, rtol=0.15)
