# %% [markdown]
# # 5. How a gradient comes down through 24 layers
#
# [Notebook 2](02_backpropagation_through_time.ipynb) followed a gradient back through *time*. Here it goes down through
# *depth*: from the loss at one step, through all layers of that very step, to the character's embedding. What does not
# arrive there cannot teach the lower layers anything.
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
from minigrid.analysis.gradient_flow import norms_by_layer
from minigrid.analysis.trace import kept_to_end
from minigrid.data.toywiki import generate
from minigrid.data.vocabulary import Vocabulary

SEED = 5
COLOURS = plt.rcParams["axes.prop_cycle"].by_key()["color"]
BLUE, ORANGE, GREEN, PINK = COLOURS[:4]

# %% [markdown]
# ## What is measured
#
# `norms_by_layer` lets a model read a text and takes the loss of its last prediction. It then goes down through the
# layers and notes how large the gradient is of **what each layer hands upward at that step**: the hidden state $h$, and
# in a grid also the memory cell along depth $c^{depth}$. (What the lower layers did at *earlier* steps matters as well,
# but its gradient comes by way of time, as in notebook 2.)
#
# We use 64 pieces of toywiki, 20 characters each, and take the mean norm over them. The grids are minigrid's default,
# `tie="depth"`: each layer has its own LSTM along time, and all share one along depth. (That will matter.)

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

fig, axes = plt.subplots(1, 2, figsize=(11, 4.4))
shades = plt.get_cmap("viridis")(np.linspace(0.85, 0, len(DEPTHS)))
for layers, shade in reversed(list(zip(DEPTHS, shades, strict=True))):  # the shortest on top
    below = np.arange(layers)[::-1]  # layers below the top
    axes[0].semilogy(
        below, stacks[layers], "o-", color=shade, markersize=4, label=f"{layers} layers"
    )
axes[0].set(title="stacks", xlabel="layers below the top", ylabel="norm of the gradient")

below = np.arange(24)
dh, dc = grids[24]["h"][::-1], grids[24]["c"][::-1]  # from the top down; c of the top: not used
falling = dc[1] * 0.731 ** (below[1:] - 1)
axes[1].semilogy(below[1:], dc[1:], "o-", color=BLUE, markersize=4, label="grid, $c$")
axes[1].semilogy(below, dh, "s-", color=GREEN, markersize=4, label="grid, $h$")
axes[1].semilogy(below, stacks[24][::-1], "^-", color=ORANGE, markersize=4, label="stack, $h$")
axes[1].semilogy(below[1:], falling, "k:", label=r"falls by $\sigma(1) = 0.73$ per layer")
axes[1].set(title="24 layers", xlabel="layers below the top", ylim=(1e-9, 2))
for ax in axes:
    ax.legend()
plt.show()

print("lowest / top, stack: ", {n: f"{h[0] / h[-1]:.0e}" for n, h in stacks.items()})
print("lowest / top, grid:  ", {n: f"{g['h'][0] / g['h'][-1]:.0e}" for n, g in grids.items()})
for layers in DEPTHS:  # only the number of layers below the top counts
    assert np.allclose(stacks[layers], stacks[24][-layers:], rtol=0.5)
    assert np.allclose(grids[layers]["h"], grids[24]["h"][-layers:], rtol=0.5)
assert np.isclose(dh[1] / dh[0], stacks[24][-2] / stacks[24][-1], rtol=0.2)  # the first step down
assert stacks[24][0] / stacks[24][-1] < 1e-24
assert grids[24]["h"][0] / grids[24]["h"][-1] > 1e-5

# %% [markdown]
# All depths lie on one line (grids, too): what counts is the number of layers *below the top*. And the line is straight
# on a logarithmic scale: every layer takes the same *factor*. In the grid the first step down costs as much as in the
# stack; then the factor is quite another one.
#
# ## The factor of a stack
#
# Untrained weights are small, so all pre-activations are near 0: $i \approx o \approx \frac12$, $g \approx c \approx
# 0$, and all tanh have slope 1. Of the ways from $dh^{(l)}$ down to $dh^{(l-1)}$ those through the gates $i, f, o$ are
# closed, for they multiply with $g$, $c_{prev}$ or $\tanh c$, which are all near 0. The candidate is left:
#
# $$dh^{(l)} \;\xrightarrow{\;\cdot\,o\,\approx\,1/2\;}\; dc \;\xrightarrow{\;\cdot\,i\,\approx\,1/2\;}\; da_g
# \;\xrightarrow{\;W_g^\top\;}\; dh^{(l-1)}$$
#
# $W_g$, the candidate's $H$ columns of $W_x$, is an $H \times H$ matrix of random numbers, uniform in $\pm w$ with $w =
# 0.08$. Their variance is $w^2/3$, and such a matrix stretches a vector by $w\sqrt{H/3}$ on average. Together
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
# ($h$ gets what goes from the $dc$ above through $i \approx \frac12$ and the candidate's matrix, always the factor
# $\frac12 w\sqrt{H/3} = 0.13$. So the green line runs parallel to the blue one.)

# %%
for name, d in {"c": dc[1:], "h": dh[1:]}.items():
    factors = d[1:] / d[:-1]
    print(f"{name}: factors {factors.min():.2f} to {factors.max():.2f}")
    assert 0.72 < factors.min() < factors.max() < 0.81
share = dh[2:] / dc[1:-1]
print(f"h of a layer / c of the layer above: {share.min():.2f} to {share.max():.2f}")
assert np.allclose(share, 0.5 * 0.08 * np.sqrt(H / 3), rtol=0.2)

# %% [markdown]
# The blue line is a little less steep than the dotted one. How much of $dc$ is the linear path *alone*? We compute it
# from a trace: at the top $dc = dh \odot o \odot (1 - \tanh^2 c)$ as in notebook 1, and then nothing but forget gates.


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
    for f in reversed(seen["depth.f"][1:, -1]):  # from the top layer down to the second
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
        f'tie="{tie}": the linear path alone has {alone[tie][0]:.0%} of the norm in layer 1, '
        f"{alone[tie][12]:.0%} in layer 13; factor in the lowest layers {lowest:.3f}"
    )
assert alone["none"][0] > 0.8
assert alone["depth"][0] < 0.5 < 0.6 < alone["depth"][12]

# %% [markdown]
# What comes through $h$ takes a step like the stack's, $M = \frac14 W_g^\top$, with the factor $m = \frac14 w
# \sqrt{H/3} = 0.065$. If the layers share nothing, each has another $M$, and what it adds is at a right angle to the
# rest, nearly: $\sqrt{0.731^2 + 0.065^2} = 0.734$. The linear path is nearly all there is.
#
# If the layers share their LSTM along depth, it is *the same* $M$ in all of them. Then the gradient is multiplied by
# $(f + M)$ again and again, and like every vector under powers of a matrix it turns to the eigenvector of the largest
# eigenvalue. That of a random matrix is about as large as its mean stretch, $m$: its eigenvalues fill a disc around 0
# evenly, whose radius is $m$ (the circular law). So the factor goes up to $0.731 + 0.065 = 0.796$ on the way down, and
# 23 layers below the top more than half of the norm has come through $M$ at least once.

# %%
f, m = 1 / (1 + np.exp(-1)), 0.25 * 0.08 * np.sqrt(H / 3)
assert round(np.hypot(f, m), 3) == 0.734
assert round(f + m, 3) == 0.796

W_g = fresh("grid", 24).params["depth.W_depth"][:, 3 * H :]  # the columns are [i | f | o | g]
M = 0.25 * W_g.T
largest = (f + np.linalg.eigvals(M)).real.max()
c = grids[24]["c"]
print(
    f"largest eigenvalue {largest:.3f}, measured factor in the lowest layers {(c[0] / c[5]) ** (1 / 5):.3f}"
)
assert np.isclose((c[0] / c[5]) ** (1 / 5), largest, rtol=0.03)

# %% [markdown]
# ## The bias that the forget gates begin with
#
# Along 24 layers a forget gate of 0.73 leaves $0.73^{23} = 0.0007$ on the linear path. The same product is the share of
# what the lowest layer *writes* to the memory cell that arrives at the top (`kept_to_end`), so it counts in both
# directions.

# %%
biases = {0: GREEN, 1: BLUE, 3: PINK}
fig, axes = plt.subplots(1, 2, figsize=(11, 4), sharex=True, sharey=True)
print("forget bias     f      write kept   gradient arrived   by the linear path alone")
for bias, colour in biases.items():
    model = fresh("grid", 24, bias=bias)
    kept = kept_to_end(trace(model, x)["depth.f"]).mean(axis=(1, 2, 3))
    norms = flow(model)
    arrived, linear = norms["c"][:-1] / norms["h"][-1], linear_path_alone(model) / norms["h"][-1]
    f = 1 / (1 + np.exp(-bias))
    axes[0].semilogy(range(1, 25), kept, "o-", color=colour, markersize=4, label=f"bias {bias}")
    axes[1].semilogy(range(1, 24), arrived, "o-", color=colour, markersize=4)
    print(f"{bias:6d} {f:12.3f} {kept[0]:13.1e} {arrived[0]:13.1e} {linear[0]:18.1e}")
    assert f**23 < 1.1 * kept[0] < 3 * f**23
    assert 0.3 < linear[0] / f**23 < 0.8  # the output gate at the top: about a half
assert 0.25 < kept[0] < 0.4 and 0.25 < arrived[0] < 0.4 and linear[0] < 0.5 * arrived[0]
axes[0].set(
    title="what arrives at the top of a write in this layer", xlabel="layer", ylabel="share"
)
axes[1].set(title="what arrives in this layer of the gradient", xlabel="layer")
axes[0].legend()
plt.show()

# %% [markdown]
# With a bias of 3 a third arrives, up and down. That it is a third *both* ways is chance. The linear path is the same
# product of gates, but on the way down a factor of about $\frac12$ comes first, the top's output gate, and what comes
# through $h$ is added: the linear path alone would bring 0.15 of the 0.32.
#
# ## Dropout
#
# minigrid's dropout masks $h$ where it enters the next layer or the decoder, and never $c$. A mask has the value 0 with
# probability $p$ and $\frac{1}{1-p}$ otherwise, so its mean is 1, but its mean *square* is $\frac{1}{1-p}$: the *norm*
# of a gradient that goes through it grows by $\sqrt{1/(1-p)}$ on average. That is a factor for each layer of a stack,
# and one at the decoder; the linear path of a grid never meets a mask.

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

masks_above = np.arange(2, L + 1)[::-1]  # of the stack's layers 1 to L - 1, the decoder's included
predicted = (1 / (1 - P)) ** (masks_above / 2)
print("norm with masks / without, root mean square over draws; layers 1, 8 and 15 of 16")
print("stack, h  ", *(f"{growth['lstm'][n]:6.2f}" for n in (0, 7, 14)))
print("predicted ", *(f"{predicted[n]:6.2f}" for n in (0, 7, 14)))
print("grid, c   ", *(f"{growth['grid'][n]:6.2f}" for n in (0, 7, 14)))
assert np.allclose(growth["lstm"], predicted, rtol=0.15)
assert np.allclose(growth["grid"], (1 / (1 - P)) ** 0.5, rtol=0.05)

# %% [markdown]
# So dropout makes the gradients of a stack *larger*, by 1.15 per layer. Against a factor of 0.065 that is no help.
#
# ## After training
#
# `experiments/gradient_flow` trained all of these for 400 minibatches of toywiki, two seeds each, and measured before
# and after; we load its measures. The loss is that of training, with masks on where there is dropout. Whoever only
# knows how often each character occurs has 3.25 nats, the dotted line.

# %%
measures = json.loads(Path("../experiments/gradient_flow/results/measures.json").read_text())
UNIGRAM = measures.pop("unigram")
KINDS = {
    ("lstm", 0): ("stack", ORANGE, "^-"),
    ("lstm", 0.25): ("stack, dropout", ORANGE, "^--"),
    ("grid", 0): ("grid", BLUE, "o-"),
    ("grid", 0.25): ("grid, dropout", BLUE, "o--"),
    ("grid-open", 0): ("grid, bias 3 along depth", PINK, "s-"),
}
SEEDS = (1, 2)


def measured(kind, dropout, layers):
    """Measures of both seeds."""
    return [measures[f"{kind}-{layers}-{dropout}-{seed}"] for seed in SEEDS]


def final_loss(run):
    """Mean training loss of the last 50 minibatches, nats."""
    return np.mean(run["losses"][-5:])  # each the mean of 10


def lowest_to_top(run, when):
    """Norm of the gradient of h of layer 1 over that of the top layer."""
    return run[when]["h"][0] / run[when]["h"][-1]


def draw_losses(ax):
    for (kind, dropout), (label, colour, style) in KINDS.items():
        losses = [[final_loss(run) for run in measured(kind, dropout, n)] for n in DEPTHS]
        ax.plot(DEPTHS, np.mean(losses, axis=1), style, color=colour, markersize=5, label=label)
        ax.vlines(DEPTHS, *np.transpose(losses), color=colour, linewidth=1)
    ax.axhline(UNIGRAM, color="black", linestyle=":", label="frequencies only")
    ax.set(title="loss after 400 minibatches", ylabel="nats per character")


def draw_gradients(ax):
    for kind in ("lstm", "grid"):
        label, colour, style = KINDS[kind, 0]
        for when, line in (("before", ":"), ("after", "-")):
            share = [
                np.mean([lowest_to_top(run, when) for run in measured(kind, 0, n)]) for n in DEPTHS
            ]
            ax.semilogy(DEPTHS, share, style[0] + line, color=colour, label=f"{label}, {when}")
    ax.set(title="gradient of the lowest layer / of the top one", ylim=(1e-30, 1e2))


fig, axes = plt.subplots(1, 2, figsize=(11.5, 4.6))
draw_losses(axes[0])
draw_gradients(axes[1])
for ax in axes:
    ax.set(xlabel="layers", xticks=DEPTHS)
    ax.legend(fontsize=9)
plt.show()

# %%
for layers in DEPTHS:
    for dropout in (0, 0.25):
        for run in measured("lstm", dropout, layers):
            assert (final_loss(run) > UNIGRAM - 0.05) == (layers >= 8)
            assert (lowest_to_top(run, "after") < 1e-4) == (layers >= 8)
            assert layers >= 8 or 0.1 < lowest_to_top(run, "after") < 10
        for run in measured("grid", dropout, layers):
            assert final_loss(run) < UNIGRAM - 0.2
            assert 0.1 < lowest_to_top(run, "after") < 10

reached = {}  # the loss of both seeds, at all depths
for (kind, dropout), (label, _, _) in KINDS.items():
    if kind != "lstm":
        runs = [measured(kind, dropout, layers) for layers in DEPTHS]
        reached[label] = np.array([[final_loss(run) for run in both] for both in runs])
        print(f"{label:25s}", "  ".join(f"{one:.2f}, {two:.2f}" for one, two in reached[label]))
usual, dropped, opened = reached.values()
assert (np.diff(usual.mean(axis=1)) > 0).all()  # grows with every step of depth
assert (dropped.mean(axis=1) > usual.mean(axis=1)).all()
assert opened[3].max() < usual[3].min() - 0.1 and opened[4].mean() > usual[4].mean()

# %% [markdown]
# - **Stacks** of 8 layers and more end on the dotted line. Their lowest layers get less than a ten-thousandth of the
#   top's gradient, and the top has nothing to work with: what comes *up* to it hardly depends on the text (next cell).
# - **Grids** of all depths leave the line, with dropout, too. (It costs here. What it is good for, less overfitting,
#   cannot show in so short a training.)
# - Deeper is *not better*: the loss of the grids that begin as usual grows with every step of depth. The grid makes
#   depth possible, not free.
# - A **bias of 3** helps clearly at 16 layers and not at 24. Open is not the same as good: there, as we shall see, the
#   gradient of the lowest $c$ ends at 2 to 8 times the top's.
#
# How much does $h$ of an untrained stack differ from text to text?

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
fig, axes = plt.subplots(1, 2, figsize=(11, 4.2), sharex=True)
for kind, label, colour in (("grid", "begun at bias 1", BLUE), ("grid-open", "at bias 3", PINK)):
    for when, style in (("before", "o:"), ("after", "o-")):
        runs = [run[when] for run in measured(kind, 0, L)]
        c = np.mean([np.array(run["c"][:-1]) / run["h"][-1] for run in runs], axis=0)
        kept = np.mean([run["kept"] for run in runs], axis=0)
        look = {"color": colour, "markersize": 4, "label": f"{label}, {when}"}
        axes[0].semilogy(range(1, L), c, style, **look)
        axes[1].semilogy(range(1, L + 1), kept, style, **look)
axes[0].set(title="gradient of $c$, over that of the top's $h$", xlabel="layer")
axes[1].set(title="share of a write that is kept to the top", xlabel="layer")
axes[0].legend(fontsize=9)
fig.suptitle(f"Grids of {L} layers before and after training")
plt.show()

# %%
print("after training, both seeds: share of the lowest write kept; gradient of the lowest c")
for kind in ("grid", "grid-open"):
    for layers in DEPTHS:
        runs = measured(kind, 0, layers)
        kept_before, kept = np.array(
            [[run[w]["kept"][0] for run in runs] for w in ("before", "after")]
        )
        c = np.array([run["after"]["c"][0] / run["after"]["h"][-1] for run in runs])
        print(f"{kind:10s} {layers:2d} layers   kept {kept.round(2)}   gradient {c.round(2)}")
        if kind == "grid" and layers >= 8:
            assert (kept > 3 * kept_before).all()
        if kind == "grid" and layers >= 16:
            assert (c > 3 * kept).all()
assert 2 < c.min() < c.max() < 8

# %% [markdown]
# The **forget gates have opened**: more of a low layer's write arrives at the top than before (on the right). In deep
# grids that is not enough. The linear path multiplies the top's gradient by $o$, a slope and what is kept, all below 1;
# at 16 layers the last is 0.13 and 0.10, on average. But the gradient that arrives is 1.15 and 0.87. So most of it now
# comes **through $h$**, by ways that small weights had closed. The weights have grown. (The experiment did not keep
# them; those of the models below show it.) The linear path *starts* the training; what does the work later is both.
#
# ### Models that were trained for longer
#
# The 4-layer models that come with minigrid have read toywiki for 12 epochs. The gradient of their loss, layer by
# layer, and the standard deviation of their weights, which began at $0.08 / \sqrt3 = 0.046$:

# %%
print("                 layer    1      2      3      4   weights")
for name in ("toywiki-grid-1", "toywiki-grid-2", "toywiki-lstm-1", "toywiki-lstm-2"):
    model, its_vocabulary = load(f"pretrained:{name}")
    its_ids = its_vocabulary.encode(text).reshape(BATCH, STEPS + 1).T
    norms = norms_by_layer(model, its_ids[:-1], its_ids[-1])
    weights = [array.std() for key, array in model.params.items() if "W_" in key]
    for key, norm in norms.items():
        by_layer = norm.mean(axis=1)[: 3 if key == "depth.c" else 4]
        row = "".join(f"{value:7.2f}" for value in by_layer)
        print(f"{name}, {key[-1]:3s} {row:28s}   {min(weights):.2f} to {max(weights):.2f}")
        assert 0.1 < by_layer[0] / by_layer[-1] < 10
    assert min(weights) > 3 * 0.08 / np.sqrt(3)

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
#    4 layers. Which gradients of $h$ and of $c$ are 0?
# 4. **Tied.** Does it change the factor of a grid if the layers share everything (`tie="layers"`), compared with the
#    default? Of a *stack*, if its layers shared their weights?
# 5. **Closed gates.** What is the grid's factor if the forget biases along depth are $-50$? Predict, then measure.
#
# ## Solutions
#
# **1.** $\frac14 \cdot 0.08 \sqrt{H/3} = 1$ gives $H = 7500$. For $H = 32$: $w = 4 / \sqrt{32/3} = 1.22$. But then the
# pre-activations are not near 0 any more, gates saturate, and the estimate fails: the factor is 0.6, not 1.

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
# **3.** In the stack those of $h$ of layers 1 and 2, all that lies below the mask. In the grid only $h$ of layer 2 gets
# none, since all that reads it reads it through the mask. But its $c$ does, and by way of layer 2's gates so does $h$
# of layer 1. Of $c$ only the top's is 0, with which nobody goes on.

# %%
for kind, reached in {
    "lstm": [False, False, True, True],
    "grid": [True, False, True, True],
}.items():
    model = fresh(kind, 4, dropout=0.5)
    norms = flow(model, {"layer.2": np.zeros((1, BATCH, H))})  # layers count from 0 in names
    assert [bool(norm > 0) for norm in norms["h"]] == reached
assert [bool(norm > 0) for norm in norms["c"]] == [True, True, True, False]

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
print(f"tied stack: {(h[0] / h[-1]) ** (1 / 23):.3f}, m = {m:.3f}")
assert np.isclose((h[0] / h[-1]) ** (1 / 23), m, rtol=0.15)

# %% [markdown]
# **5.** Then nothing comes by the linear path, and the grid is a stack: $\frac14 w \sqrt{H/3} = 0.065$ for each LSTM
# that is on the way. (There is a second way, by the LSTM along time. It leads through two LSTMs and adds next to
# nothing.)

# %%
h = flow(fresh("grid", 8, bias=-50))["h"]
factor = (h[0] / h[-1]) ** (1 / 7)
print(f"factor {factor:.4f}")
assert np.isclose(factor, 0.065, rtol=0.15)
