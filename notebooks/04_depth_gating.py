# %% [markdown]
# # 4. Depth gating: a story, put to the test
#
# The README of [grid-lstm](https://github.com/coreylynch/grid-lstm), the Torch program that minigrid descends from,
# explains with a story why a memory cell along depth should help. In our words:
#
# 1. While a model reads wiki source, **a memory cell in a low layer** can know that we are inside a URL.
# 2. In a **stacked LSTM** it is hard to tell a higher layer: the value has to pass a tanh, an output gate, a matrix,
#    another tanh and an input gate, at every layer.
# 3. In a **grid** the low layer writes it to the memory along **depth**, whose open forget gates carry it upward
#    unharmed, and a higher layer reads it there.
# 4. And the gates are *controlled*: what is carried, and how far, **depends on what is read**.
#
# [Notebook 3](03_the_grid.ipynb) showed the linear path that this needs, at initialisation. Does a *trained* grid use
# it so? We take the story sentence by sentence, and at the end we say what it gets right and what not.
#
# Afterwards you can
# - ask a hidden state what it knows, with a **linear probe**, and not be fooled by the answer,
# - follow what is written to the depth memory layer by layer,
# - **clamp** a gate of a trained model and read off what it was good for,
# - say what this evidence shows, and what it does not.
#
# What takes more than seconds was measured by a script, `experiments/depth_gating/run.py`, on three seeds of each
# model; here we load its numbers, and do a part of each measurement again, live, on a shorter text. At the end we look
# at the same numbers on real text.

# %%
# %matplotlib inline
import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from minigrid import CharModel, TrainStep, load, plots, trace, trace_text
from minigrid.analysis.interventions import clamp_gate
from minigrid.analysis.probes import (
    balanced_accuracy,
    context_says,
    fit_context,
    fit_probe,
    fit_units,
)
from minigrid.analysis.trace import kept_to_end
from minigrid.data.toywiki import generate
from minigrid.nn.ops import cross_entropy_forward

SEED = 4
EXAMPLE = 3  # the seed of the models that we look into here; the metrics are of all three
METRICS = Path("../experiments/depth_gating/results")


def read(name):
    return json.loads((METRICS / f"{name}.json").read_text())


def measured(corpus):
    """The metrics of the three grids and the three stacked LSTMs."""
    return {
        kind: [read(f"{corpus}-{kind}-{seed}") for seed in (1, 2, 3)] for kind in ("grid", "lstm")
    }


def spread(values):
    """Mean, lowest and highest of three seeds."""
    return f"{np.mean(values):5.1f} ({min(values):.1f} to {max(values):.1f})"


def loss_table(models):
    """Print the loss in nats, mean of the seeds (lowest to highest)."""
    for kind, side in [(kind, side) for kind in models for side in ("inside", "outside")]:
        losses = [model["loss"][side] for model in models[kind]]
        name = f"{kind}, {side} URLs:"
        print(f"{name:45s}{np.mean(losses):.3f} ({min(losses):.3f} to {max(losses):.3f})")


# %% [markdown]
# ## A text with the truth about it
#
# `toywiki` writes wiki-like text in a made-up language, and tells of every character what it is part of. So what a
# memory cell knows can be measured. Here is a piece, coloured by whether we are inside a URL:

# %%
text, truth = generate(20_000, seed=7)
start = text.index("http", 2000) - 150
piece = slice(start, start + 400)
plots.coloured_text(truth["in_url"][piece].astype(float), text[piece], "inside a URL", signed=False)

# %% [markdown]
# To predict what comes next, one has to know it. After the end of a word, ` ` is likely outside of a URL and `/` or
# `.` inside. And the letters do not tell: the words of a URL are words of the language.
#
# The models are small: a grid of 4 layers of 64 units, which share the weights of their LSTM along depth
# (`tie="depth"`), and a stacked LSTM of 4 layers of 71 units, which has nearly as many parameters. They have read
# another million characters of toywiki (seed 0).

# %%
grid, vocabulary = load(f"pretrained:toywiki-grid-{EXAMPLE}")
lstm, _ = load(f"pretrained:toywiki-lstm-{EXAMPLE}")
print(f"{grid.params.flat.size:,} and {lstm.params.flat.size:,} parameters\n")
assert grid.options.tie == "depth"
assert 0.98 < lstm.params.flat.size / grid.params.flat.size < 1

toywiki = measured("toywiki")
loss_table(toywiki)

for side in ("inside", "outside"):
    worst_grid = max(model["loss"][side] for model in toywiki["grid"])
    best_lstm = min(model["loss"][side] for model in toywiki["lstm"])
    assert worst_grid < best_lstm

# %% [markdown]
# "Inside" means that the character just *read* is part of a URL. The grids predict better than the stacked LSTMs, and
# the more so inside URLs. So far so good for the story. But is it for the reason that it gives?
#
# ## Asking a state what it knows
#
# Let a model read, and take one of its states, $c^{time}_1$ say: 64 numbers at each character. Is it written there that
# we are inside a URL? A **linear probe** is the simplest reader: a weighted sum of the units and a threshold. To find
# good weights we do what the model's decoder does, for two classes: $p = \sigma(w \cdot c + b)$ is the probability of
# "inside", and the cross-entropy is made small (*logistic regression*). Its gradient you can derive by now:
# $dw = \sum (p - truth)\, c$. There is one minimum, and a few of Newton's steps (the gradient divided by the curvature)
# find it. (Where $w$ separates the two without a mistake it would grow for ever; a weak pull towards 0 stops it.)
# `minigrid/analysis/probes.py` is short.
#
# The probe is **fitted on one text and judged on another**. So we need two texts, and the states that a model has while
# it reads them. `trace` runs a model and keeps every state and every gate, each as an array (L, T, B, H).

# %%
STREAMS, STEPS, WARM_UP = 20, 800, 100  # the first steps of each stream only fill the state


def side_by_side(symbols):
    """Cut a text into streams: (STEPS, STREAMS)."""
    return symbols[: STREAMS * STEPS].reshape(STREAMS, STEPS).T


def judged(array):
    """Leave out the first steps, and put all streams into one axis: (T, B) to (N,)."""
    return array[WARM_UP:].ravel()


def read_text(seed):
    """Characters, the ones after them, and whether they are inside a URL; (T, B) each."""
    text, truth = generate(STREAMS * STEPS + 1, seed)
    ids = vocabulary.encode(text)
    return side_by_side(ids), side_by_side(ids[1:]), side_by_side(truth["in_url"])


def states(model, x):
    """Name -> (L, N, H): states of a model at each judged character."""
    seen = trace(model, x)
    names = [name for name in seen if name.endswith((".c", ".h"))]
    return {name: seen[name][:, WARM_UP:].reshape(model.layers, -1, model.hidden) for name in names}


x_fit, _, url_fit = read_text(seed=101)
x, y, url = read_text(seed=102)
fit_states, judge_states = states(grid, x_fit), states(grid, x)
probe = fit_probe(fit_states["time.c"][0], judged(url_fit))
said = probe.says(judge_states["time.c"][0])
print(f"{100 * (said == judged(url)).mean():.1f} % of the answers are right")

# %% [markdown]
# It looks good. Before we believe it: there are three ways to be fooled.
#
# **The fact is rare.** One character in thirteen is inside a URL, so whoever always says "no" is right most of the
# time. We therefore take the mean of two shares: how many of the characters inside are recognised, and how many of
# those outside. This **balanced accuracy** is 50 % for any constant answer.

# %%
always_no = np.zeros_like(said)
print(f"always no:     {100 * (always_no == judged(url)).mean():.1f} % right")
print(f"balanced:      {100 * balanced_accuracy(judged(url), always_no):.1f} %")
print(f"the probe's:   {100 * balanced_accuracy(judged(url), said):.1f} %")
assert 1 / 14 < judged(url).mean() < 1 / 12
assert balanced_accuracy(judged(url), always_no) == 0.5
assert balanced_accuracy(judged(url), said) > 0.9

# %% [markdown]
# **The letters give it away.** `://` is always inside and `. The` never. One needs no memory to say so. How far does
# one get with the last few characters alone? We learn by heart, for every string of so many characters, which answer is
# the likelier one after it. And we ask once more only in those places where the letters hardly help: **deep in a
# word**, after five letters in a row. The words of a URL are words of the language. Whoever knows there, remembers.


# %%
IS_LETTER = np.array([chr(symbol).isalpha() for symbol in vocabulary.symbols])


def letters_in_a_row(x):
    """How many letters in a row end with each character, (T, B)."""
    counts, count = [], 0
    for row in IS_LETTER[x]:
        count = (count + 1) * row  # starts again after anything that is no letter
        counts.append(count)
    return np.array(counts)


deep_fit, deep = (judged(letters_in_a_row(text) >= 5) for text in (x_fit, x))
known, asked = judged(url_fit)[deep_fit], judged(url)[deep]
print("             anywhere   deep in a word")
for length in (1, 2, 3, 4, 5):
    table = fit_context(x_fit, url_fit, length)
    by_heart = context_says(table, x, length)[WARM_UP - length + 1 :].ravel()
    anywhere = balanced_accuracy(judged(url), by_heart)
    there = balanced_accuracy(asked, by_heart[deep])
    print(f"the last {length}: {100 * anywhere:8.1f} % {100 * there:12.1f} %")

told = read("toywiki")
LETTERS = 100 * max(told["deep"]["letters"].values())
print(f"\nwith a longer text to learn from, the best of them deep in a word: {LETTERS:.1f} %")
assert max(told["facts"]["in_url"]["letters"].values()) > 0.8
assert LETTERS < 70

# %% [markdown]
# **Any recurrent network remembers something.** Here is the same probe on a grid that was *never trained*:

# %%
fresh = CharModel.from_options(grid.options)
fresh_fit, fresh_judge = states(fresh, x_fit), states(fresh, x)
for layer in range(4):
    here, there = fresh_fit["time.c"][layer][deep_fit], fresh_judge["time.c"][layer][deep]
    answers = fit_probe(here, known).says(there)
    print(
        f"untrained, layer {layer + 1}: {100 * balanced_accuracy(asked, answers):.1f} %,"
        f" standard deviation of the units {there.std(axis=0).mean():.4f}"
    )
    assert balanced_accuracy(asked, answers) > 0.8

# %% [markdown]
# That is no knowledge that the model could use. Random weights leave an imprint of all that was read, and a probe whose
# weights may be nearly as large as they like finds it, however faint. But look at the last number: the units vary by a
# hundredth, or a thousandth. A layer above, whose gates add them up with weights of ordinary size, would hardly notice.
# What counts is what is written in *large letters*. So we add noise to every unit, with a standard deviation of 0.1,
# when fitting and when judging. (A hidden state lies between -1 and 1, a memory cell may be larger and suffers less. So
# compare h with h, and c with c.)

# %%
BLUR = 0.1
noise = np.random.default_rng(SEED)


def blurred(states):
    return states + BLUR * noise.standard_normal(states.shape, np.float32)


def accuracy(fit_to, judge_by):
    """Balanced accuracy of a probe, deep in a word, with noise; both are states (N, H)."""
    probe = fit_probe(blurred(fit_to[deep_fit]), known)
    return balanced_accuracy(asked, probe.says(blurred(judge_by[deep])))


for layer in range(4):
    trained = accuracy(fit_states["time.c"][layer], judge_states["time.c"][layer])
    untrained = accuracy(fresh_fit["time.c"][layer], fresh_judge["time.c"][layer])
    print(f"layer {layer + 1}: trained {100 * trained:.1f} %, untrained {100 * untrained:.1f} %")
    assert trained > 0.9 and untrained < 0.7

# %% [markdown]
# Now the numbers mean something. From here on all probes are fitted and judged deep in a word, with this noise; gates
# and shares too are of characters deep in a word, if nothing else is said. Losses are over all characters.
#
# ## Sentence 1: a cell in a low layer knows
#
# First the best *single* unit: for each unit the best threshold, and of all units the one that does best on the text to
# fit on. Here is that unit of the grid's lowest layer, in $c^{time}_1$, over the piece of text from above:


# %%
def underline(axes, text, inside):
    """Underline the characters inside, in a picture of plots.coloured_text."""
    row = column = 0
    for char, is_inside in zip(text, inside, strict=True):
        if is_inside:
            axes.plot([column, column + 1], [row + 0.95, row + 0.95], "k", linewidth=2)
        row, column = (row + 1, 0) if char == "\n" or column == 79 else (row, column + 1)


cells_fit, cells = (those["time.c"][0] for those in (fit_states, judge_states))
probes, accuracies = fit_units(blurred(cells_fit[deep_fit]), known)
unit = int(accuracies.argmax())
told_right = balanced_accuracy(asked, probes[unit].says(blurred(cells[deep])))
print(f"unit {unit}, judged on the other text: {100 * told_right:.1f} %")
assert cells[deep, unit][asked].mean() > 0 > cells[deep, unit][~asked].mean()

seen = trace_text(grid, vocabulary, text[start - 400 : piece.stop])["time.c"][0, 400:, 0, unit]
label = f"grid: c along time, layer 1, unit {unit}, cut off at -1.5 and 1.5; underlined: URL"
figure = plots.coloured_text(seen.clip(-1.5, 1.5), text[piece], label)
underline(figure.axes[0], text[piece], truth["in_url"][piece])
figure

# %% [markdown]
# There it is, the cell of the story: below zero in ordinary text, above zero from `:` on, and falling back near the
# URL's end, or just after it. Nobody asked for it; it was found by learning to predict the next character. Over all
# seeds, and all layers:

# %%
first = text.index("://", start) - start
assert (seen[first : first + 20] > 0).all() and (seen[: first - 4] < 0).all()


def layer_table(what, values_by_state):
    """Print accuracies (seed, layer) by state and layer, mean of the seeds (lowest to highest)."""
    print(f"{what:26s}" + "".join(f"layer {layer:<18d}" for layer in range(1, 5)))
    for state, values in values_by_state.items():
        print(f"{state:22s}" + "  ".join(f"{spread(column):22s}" for column in values.T))


def best_units(models):
    """State -> (seed, layer), balanced accuracy of the best single unit in percent."""
    return {
        state: 100 * np.array([model["best_units"][state]["accuracy"] for model in models[kind]])
        for kind, state in (("grid", "time.c"), ("grid", "depth.c"), ("lstm", "lstm.c"))
    }


toywiki_best = best_units(toywiki)
layer_table("best single unit, %", toywiki_best)

assert toywiki_best["time.c"][:, 0].min() > 90
assert toywiki_best["lstm.c"].min() > 95
assert (abs(toywiki_best["depth.c"] - 78.5) < 7.5).all()

# %% [markdown]
# **Sentence 1 is right**: the lowest layer of each of the six models has a cell that knows. But such cells are *in
# every layer*, not only low down, and in the stacked LSTM they are the clearest. Along depth (`depth.c`) single units
# tell only 72 to 85 %.
#
# ## Sentence 2: a stacked LSTM can hardly tell its higher layers
#
# Now all units together. What one layer tells the next is `lstm.h` in the stacked LSTM; in the grid `depth.h` and
# `depth.c`. What a layer keeps for itself from character to character is `lstm.c`, and `time.c`.

# %%
LOOKS = {  # state -> its name, and its colour in all figures
    "time.c": ("c along time", "#0072B2"),
    "time.h": ("h along time", "#56B4E9"),
    "depth.c": ("c along depth", "#009E73"),
    "depth.h": ("h along depth", "#CC79A7"),
    "lstm.c": ("c", "#E69F00"),
    "lstm.h": ("h", "#D55E00"),
}
TITLES = {"grid": "grid", "lstm": "stacked LSTM"}
LAYERS = np.arange(1, 5)


def by_state(models, which):
    """State -> (seed, layer), balanced accuracy of all units in percent."""
    return {
        state: 100 * np.array([model[which][state] for model in models])
        for state in models[0][which]
    }


def probe_figure(models, letters, title):
    """Accuracy of all units by layer, a line for each state's mean, a dot for each seed."""
    fig, axes = plt.subplots(1, 2, figsize=(10, 4.4), sharey=True)
    for ax, kind in zip(axes, TITLES, strict=True):
        for place, (state, values) in enumerate(by_state(models[kind], "deep").items()):
            (name, colour), style = LOOKS[state], "--" if state.endswith(".c") else "-"
            ax.plot(LAYERS, values.mean(axis=0), style, color=colour, label=name)
            for seed in values:  # the states' dots beside each other
                ax.plot(LAYERS + 0.05 * (place - 1), seed, ".", color=colour, markersize=6)
        for values in by_state(models[kind], "untrained").values():
            (line,) = ax.plot(LAYERS, values.mean(axis=0), ":", color="gray")
        line.set_label("untrained, all states")
        ax.axhline(letters, color="black", linewidth=1, label="last 1 to 5 characters, by heart")
        ax.set(xlabel="layer", xticks=LAYERS, title=TITLES[kind], ylim=(45, 102))
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, fontsize=9)
    axes[0].set_ylabel("balanced accuracy (%)")
    fig.suptitle(title)
    plt.show()


probe_figure(toywiki, LETTERS, "toywiki: deep in a word, is it part of a URL?")

# %%
deep_grid, deep_lstm = (by_state(toywiki[kind], "deep") for kind in TITLES)
layer_table("all units, %", deep_grid | deep_lstm)

assert deep_lstm["lstm.h"].min() > 99  # every layer of the stacked LSTM offers it to the next
assert deep_grid["time.c"].min() > 95
assert deep_grid["depth.c"].min() > LETTERS + 20
for state in ("depth.c", "depth.h"):
    assert (deep_grid[state].mean(axis=0) < deep_lstm["lstm.h"].mean(axis=0)).all()
for kind in TITLES:
    assert max(values.max() for values in by_state(toywiki[kind], "untrained").values()) < 60

# live, on less text
for layer in (0, 3):
    live = 100 * accuracy(fit_states["depth.c"][layer], judge_states["depth.c"][layer])
    print(f"live: c along depth of layer {layer + 1}: {live:.1f} %")
    assert abs(live - deep_grid["depth.c"][EXAMPLE - 1, layer]) < 7
live = 100 * accuracy(states(lstm, x_fit)["lstm.h"][3], states(lstm, x)["lstm.h"][3])
print(f"live: stacked LSTM, h of layer 4: {live:.1f} %")
assert live > 98

# %% [markdown]
# **Sentence 2 is wrong here.** Output gate, tanh and matrix do not hinder the stacked LSTM: its hidden state says "URL"
# with hardly a mistake, up to the top. What a chain of squashing functions does to a *gradient at initialisation*
# (notebook 3) need not be what it does to a *value after training*: every layer's hidden state holds the bit, and
# offers it to the next. (Whether that one uses it, or finds out by itself, a probe cannot say.) And yet the stacked
# LSTM predicts worse inside URLs than the grid. So that is not where it falls short.
#
# ## Sentence 3: written low, carried along depth, read high
#
# In the grid, the memory along depth does hold it: far more than the letters say, at every layer. But less than the
# stacked LSTM's states, and less than the grid's own memory along time. First, is the way open at all? Here are the
# forget gates along depth while a URL is read; bright is open:

# %%
shown = slice(start + 130, start + 210)
before_it = trace_text(grid, vocabulary, text[: shown.start])
seen = trace_text(grid, vocabulary, text[shown], before_it.state)
plots.gate_heatmap(seen["depth.f"][:, :, 0], text[shown], "forget gate along depth")

# %% [markdown]
# (Layer 1 has nothing to forget: no memory comes from below, and its colours mean nothing.) In layers 2 and 3 nearly
# all gates stand open, all the time: what was written below travels on. In layer 4 many close, for some characters and
# some units more than for others; we come back to it with sentence 4.
#
# So the way is open. Why, then, does this memory hold *less*? Let us look at when: along the horizontal axis, how many
# letters in a row have just been read. (For each count all is fitted anew.)

# %%
ROWS = list(told["by_letters"])


def by_letters(models, state):
    """Accuracy of layer 4 in percent by the number of letters in a row: (seed, count)."""
    rows = [[model["by_letters"][count][state][-1] for count in ROWS] for model in models]
    return 100 * np.array(rows)


def letters_figure(by_heart, models, title):
    """Accuracy of layer 4 by the number of letters in a row: mean and span of the seeds."""
    _, ax = plt.subplots(figsize=(8.5, 4.4))
    best = [100 * max(by_heart["by_letters"][count].values()) for count in ROWS]
    ax.plot(ROWS, best, "k", linewidth=1, label="last 1 to 5 characters, by heart")
    for kind, state, width, style in (
        ("lstm", "lstm.h", 5, "-"),
        ("grid", "time.c", 2, "--"),
        ("grid", "depth.c", 2, "--"),
        ("grid", "depth.h", 2, "-"),
    ):
        name, colour = LOOKS[state]
        values, label = by_letters(models[kind], state), f"{TITLES[kind]}, {name}"
        ax.plot(ROWS, values.mean(axis=0), style, color=colour, linewidth=width, label=label)
        ax.fill_between(ROWS, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.15)
    ax.set(xlabel="letters in a row (7: or more)", ylabel="balanced accuracy (%)")
    ax.set(ylim=(50, 102), title=title)
    ax.legend(loc="lower left", fontsize=9)
    plt.show()


letters_figure(
    told, toywiki, "toywiki, layer 4: are we inside a URL? (band: lowest to highest seed)"
)

along = by_letters(toywiki["grid"], "depth.c")
assert along.mean(axis=0)[3:5].max() < along.mean(axis=0)[[0, -1]].min() - 5
everywhere = [100 * model["facts"]["in_url"]["depth.c"][-1] for model in toywiki["grid"]]
by_heart = 100 * told["facts"]["in_url"]["letters"]["3"]
print(f"over all characters, c along depth of layer 4: {spread(everywhere)} %")
print(f"over all characters, the last 3 by heart:      {by_heart:5.1f} %")
assert np.mean(everywhere) < by_heart + 3

word = letters_in_a_row(x)
ends = [100 * (~IS_LETTER[y[word == count]]).mean() for count in range(1, 8)]
print(
    "\nafter 1 to 7 letters in a row the word ends: "
    + ", ".join(f"{share:.0f} %" for share in ends)
)
assert max(ends[0], ends[1]) < 10 and max(ends[3:5]) < 20 and min(ends[5:]) > 40

# %% [markdown]
# A reading that fits, if roughly: a memory along *time* has to hold a fact as long as it may be needed. A memory along
# *depth* starts from zero at every character, and has only to carry **what the prediction of the next character
# needs**. After `/` or `.` it is full of "URL", and the letters say so too. In the middle of a word it is needed less:
# what comes next is mostly a letter, inside as well as outside. After six letters and more, words are likely to end:
# shall it be a space or a slash? And there it is again. (Roughly, for after three letters every third word ends too,
# `the` or `www`.) The stacked LSTM has one state for both duties, and so holds it always.
#
# Over *all* characters, note, the memory along depth tells hardly more than the last three of them do (exercise 1).
#
# Is it the *low* layer that writes it, and do *open gates* carry it? The memory along depth is a sum, exactly: what
# each layer has written times the forget gates above it, unit by unit.
#
# $$c^{depth}_L = \sum_l p_l, \qquad p_l = i_l \, g_l \prod_{k > l} f_k$$
#
# `kept_to_end` gives the products. So we can say which share of the memory at the top was written in which layer: the
# mean of $|p_l|$. And since a probe $w$ is linear, the *difference it sees* between the means inside and outside is a
# sum over the layers as well:
#
# $$w \cdot (\bar c_{in} - \bar c_{out}) = \sum_l w \cdot (\bar p_{l, in} - \bar p_{l, out})$$

# %%
grid_seen = trace(grid, x)
i, f, g = (grid_seen[f"depth.{gate}"] for gate in "ifg")
parts = i * g * kept_to_end(f)  # (L, T, B, H): written in each layer, as much as arrives at the top
assert np.allclose(parts.sum(axis=0), grid_seen["depth.c"][-1], atol=1e-4)

along_depth = [model["along_depth"] for model in toywiki["grid"]]
forget = {
    side: np.array([model["forget"][side] for model in along_depth])
    for side in ("inside", "outside")
}
written = {
    "memory inside URLs": np.array([model["share"]["inside"] for model in along_depth]),
    "memory outside": np.array([model["share"]["outside"] for model in along_depth]),
    "the probe's difference": np.array([model["signal"][-1] for model in along_depth]),
}
fig, axes = plt.subplots(1, 2, figsize=(10.5, 4), width_ratios=(2, 3))
for side, fill, style in (("inside", None, "-"), ("outside", "white", "--")):
    look = {"color": LOOKS["depth.c"][1], "markerfacecolor": fill}
    axes[0].plot(
        LAYERS[1:], forget[side][:, 1:].mean(axis=0), "o" + style, label=f"{side} URLs", **look
    )
    for seed in forget[side]:
        axes[0].plot(LAYERS[1:], seed[1:], "o", markersize=3, **look)
axes[0].set(xlabel="layer", xticks=LAYERS[1:], ylabel="mean over units", ylim=(0, 1))
axes[0].set_title("Forget gates along depth, deep in a word")
axes[0].legend(loc="lower right")
bottom, shades = np.zeros(3), plt.cm.Greens((0.1, 0.25, 0.4, 0.55))
for layer in range(4):
    parts_of = [100 * values[:, layer] for values in written.values()]
    heights = np.array([part.mean() for part in parts_of])
    axes[1].bar(range(3), heights, bottom=bottom, width=0.96, color=shades[layer])
    for place, part in enumerate(parts_of):
        label = f"layer {layer + 1}: {part.mean():.0f} % ({part.min():.0f} to {part.max():.0f})"
        at = bottom[place] + heights[place] / 2
        axes[1].text(place, at, label, ha="center", va="center", fontsize=9)
    bottom += heights
axes[1].set_xticks(range(3), written)
axes[1].set(ylabel="share (%)", title="Which layer wrote what is at the top")
axes[1].grid(False)
plt.show()

for side in forget:
    arrives = [  # layer 1's mean |p| over its mean |i g|; the top layer's are the same
        model["share"][side][0]
        / model["share"][side][3]
        * model["written"][side][3]
        / model["written"][side][0]
        for model in along_depth
    ]
    shares = ", ".join(f"{100 * share:.0f} %" for share in arrives)
    print(f"of what layer 1 writes {side} URLs, there arrives at the top, by seed: {shares}")
    assert min(arrives) > 0.7 and max(arrives) < 0.85
    assert forget[side][:, 1:].min() > 0.7
assert written["the probe's difference"].min() > 0.15
assert written["the probe's difference"].max() < 0.35

# %% [markdown]
# The gates are open: of what layer 1 writes, about three quarters arrive at the top, through three forget gates. (More
# than the product of their means: what is large meets gates that are wider open.) This is the linear path of notebook
# 3, and what is known about URLs does travel on it. But "*the* low layer writes, *a* high layer reads" is not the
# picture: each layer adds about a quarter of what the memory at the top says about URLs.
#
# But is the linear path *needed* for it? We close it, and for that we need a tool.
#
# ## Clamping a gate
#
# To **clamp** a gate is to hold it at a value of our choice while all else goes on as it was trained. For a gate that
# is easy: set its weights to 0, and its bias to a number whose sigmoid is that value; $\pm 1000$ gives exactly 1 and 0.
# Our grid's layers share these weights, so `clamp_gate` first makes an untied copy (as in notebook 3), and then changes
# one layer of it. The code counts layers from 0: `layer=2` is layer 3. The trace tells whether it worked. (And a check
# for free: in layer 1 there is nothing to forget yet, so clamping *its* forget gate must change nothing at all.)

# %%
for value in (0, 1):
    clamped = clamp_gate(grid, "depth.f", layer=2, value=value)
    f = trace(clamped, x[:50])["depth.f"]
    assert (f[2] == value).all()
    assert not np.isin(f[[0, 1, 3]], (0, 1)).all()
    lowest = clamp_gate(grid, "depth.f", layer=0, value=value)
    assert np.array_equal(trace(lowest, x[:50]).logits, trace(grid, x[:50]).logits)
with np.printoptions(precision=2, suppress=True):
    print(clamped.params["depth.2.bias"].reshape(4, -1)[:, :3])  # rows i, f, o, g; three units

without = grid
for layer in range(4):
    without = clamp_gate(without, "depth.f", layer, 0)
assert np.array_equal(
    trace(without, x[:50])["depth.c"],
    trace(without, x[:50])["depth.i"] * trace(without, x[:50])["depth.g"],
)

# %% [markdown]
# With all forget gates along depth closed, the last assertion says, $c^{depth}_l = i_l g_l$: every layer sees only what
# it has written itself, and the linear path is cut. What do the layers know now? The probes are fitted anew.

# %%
closed = {
    state: 100 * np.array([model["depth_closed"][state] for model in toywiki["grid"]])
    for state in ("time.c", "depth.c")
}
for state, values in closed.items():
    print(f"{state:8s} as trained: " + "   ".join(spread(c) for c in deep_grid[state].T))
    print(f"{'':8s} path cut:   " + "   ".join(spread(c) for c in values.T))

live = 100 * accuracy(states(without, x_fit)["time.c"][3], states(without, x)["time.c"][3])
print(f"\nlive: path cut, c along time of layer 4: {live:.1f} %")
assert live > 90
assert closed["time.c"].min() > 95
assert (closed["depth.c"][:, 3] < deep_grid["depth.c"][:, 3]).all()
assert closed["depth.c"].min() > LETTERS + 10

# %% [markdown]
# The higher layers' cells along time still know, nearly as well as before. What they need to know it comes up by the
# *other* way, through the output gate, tanh and matrix of $h^{depth}$, as in a stacked LSTM (or they find out for
# themselves). The memory along depth of the higher layers loses some of it, by no means all. So **sentence 3 is half
# right**: the path exists, it is open, and knowledge about URLs travels on it. But it is not *needed* for that, and no
# single layer writes it.
#
# ## What is the path good for?
#
# Cutting the path costs, though. We clamp forget gates and look at the loss, inside URLs and outside. Were the memory
# along depth there to carry "URL" upward, the loss would have to rise inside above all.


# %%
def loss_inside_and_outside(model):
    """Mean loss in nats of the judged predictions."""
    logits, _ = model.predict(x, model.initial_state(STREAMS))
    return [
        float(cross_entropy_forward(logits[WARM_UP:], np.where(here, y, -1)[WARM_UP:])[0])
        for here in (url, ~url)
    ]


def all_rises(models, gate, layers, which, value):
    """By how much the loss rises inside and outside, mean over draws of units: (seed, 2)."""
    result = []
    for model in models:
        entries = [
            entry
            for entry in model["clamped"]
            if entry["gate"] == gate
            and entry["layers"] == layers
            and entry["which"] == which
            and entry["value"] == value
        ]
        sides = ("inside", "outside")
        after = [np.mean([entry[side] for entry in entries]) for side in sides]
        result.append([loss - model["loss"][side] for loss, side in zip(after, sides, strict=True)])
    return np.array(result)


EVERY = [0, 1, 2, 3]


def intervention_table(models):
    """Print the rise of the loss, mean of the seeds, when gates along depth are clamped."""
    print("forget gates along depth of three grids; the rise of the loss in nats\n")
    print(f"{'':25s}{'inside URLs':26s}outside")
    for layers in ([1], [2], [3], EVERY):
        where = "all layers" if layers == EVERY else f"layer {layers[0] + 1}"
        for value in ("closed", "open", "mean"):
            rise = all_rises(models, "depth.f", layers, "all", value)
            cells = "   ".join(
                f"{c.mean():6.3f} ({c.min():6.3f} to {c.max():6.3f})" for c in rise.T
            )
            print(f"{where:11s} {'at its mean' if value == 'mean' else value:12s} {cells}")


intervention_table(toywiki["grid"])

cut = all_rises(toywiki["grid"], "depth.f", EVERY, "all", "closed")
before = np.array(
    [[model["loss"][side] for side in ("inside", "outside")] for model in toywiki["grid"]]
)
times = 1 + cut.mean(axis=0) / before.mean(axis=0)
print(
    "\npath cut: the loss inside is {:.1f} times what it was, outside {:.1f} times".format(*times)
)
more = cut[:, 0] / cut[:, 1]
print("rise inside over rise outside, by seed:", ", ".join(f"{ratio:.2f}" for ratio in more))
assert more.min() > 1.3 and more.max() < 1.65

live = np.subtract(loss_inside_and_outside(without), loss_inside_and_outside(grid))
print("live, on less text: it rises by {:.2f} inside and {:.2f} outside".format(*live))
assert np.allclose(live, cut[EXAMPLE - 1], rtol=0.25)

# %% [markdown]
# Cutting the path makes the loss inside URLs five times as large: these grids lean on it heavily. But they do so
# *everywhere*; outside it is still three and a half times as large. Inside the loss rises more, by a factor of 1.3 to
# 1.6. Had URLs been the main load of this path we should expect more; soon we shall see factors of 3 to 10.
#
# Besides, closing gates takes the layers above to where they have never been in training, so part of the damage is mere
# surprise. A fairer comparison: grids that are *trained* without the path, their forget gates along depth closed from
# the start (`experiments/depth_gating/without.py`).

# %%
trained_without = [read(f"toywiki-without-{seed}") for seed in (1, 2, 3)]
losses_of = {
    "usual grid": toywiki["grid"],
    "grid trained without the path": trained_without,
    "lstm": toywiki["lstm"],
}
loss_table(losses_of)
costs = np.array(
    [[model["loss"][side] for side in ("inside", "outside")] for model in trained_without]
)
costs = (costs - before).mean(axis=0)
print("without the path {:.2f} nats worse inside, {:.2f} outside".format(*costs))
cells_know = 100 * np.array([model["deep"]["time.c"] for model in trained_without])
print(f"c along time, all units: {cells_know.min():.1f} % or more in each layer")
assert costs[0] < costs[1] and cells_know.min() > 97

# %% [markdown]
# They too predict much worse, even than the stacked LSTM; but not inside URLs above all, rather less there. And their
# cells along time know about URLs as well as ever, in each layer. So the path is good for much, but not needed for
# this.
#
# A sharper cut: of the memory along depth we cut off only 8 units of 64, those that tell best, each by itself, that we
# are inside a URL; and for comparison 8 units at random (mean of three draws). Then the same with forget gates *along
# time*, in both models. Those we hold open: the cells can no longer be cleared.

# %%
FEW = {
    ("grid", "depth.f", "closed"): ("grid, f along depth closed", "depth.c"),
    ("grid", "time.f", "open"): ("grid, f along time open", "time.c"),
    ("lstm", "lstm.f", "open"): ("stacked LSTM, f open", "lstm.c"),
}


def bars_figure(models, title):
    """Rise of the loss by layer when 8 units are clamped, inside and outside; a dot for each seed."""
    fig, axes = plt.subplots(1, 3, figsize=(11, 4))
    for ax, ((kind, gate, value), (name, state)) in zip(axes, FEW.items(), strict=True):
        lowest = 1 if gate == "depth.f" else 0  # layer 1 has nothing to forget along depth
        for layer in range(lowest, 4):
            bars = {"named": LOOKS[state][1], "random": "gray"}
            for place, (which, colour) in enumerate(bars.items()):
                rise = all_rises(models[kind], gate, [layer], which, value)
                for side, alpha in enumerate((1, 0.4)):
                    at = layer + 1 + 0.2 * (2 * place + side - 1.5)
                    ax.bar(at, rise[:, side].mean(), 0.18, color=colour, alpha=alpha)
                    ax.plot([at] * len(rise), rise[:, side], "k.", markersize=3)
        if lowest:
            ax.text(1, 0, "nothing\nto forget", ha="center", va="bottom", fontsize=9)
        ax.axhline(0, color="black", linewidth=0.8)
        ax.set(title=name, xlabel="layer", xticks=LAYERS, xlim=(0.4, 4.6))
        ax.grid(axis="x", visible=False)
    axes[0].set_ylabel("rise of the loss (nats)")
    key = "coloured: the 8 that tell best; gray: 8 at random; dark: inside URLs, pale: outside"
    fig.suptitle(f"{title} (mind the scales)\n{key}", fontsize=11)
    plt.show()


bars_figure(toywiki, "toywiki: 8 forget gates of a layer clamped")


def ratios(models, kind, gate, value, which):
    """Rise inside over rise outside, both means of three seeds, by layer (nan: nothing to clamp)."""
    result = [np.nan] if gate == "depth.f" else []
    for layer in range(len(result), 4):
        inside, outside = all_rises(models[kind], gate, [layer], which, value).mean(axis=0)
        result.append(inside / outside)
    return np.array(result)


def ratio_table(models):
    """Print these ratios for all that bars_figure shows."""
    print(f"{'rise inside / outside':48s}layers 1 to 4")
    for what, (name, _) in FEW.items():
        for which, units in (("named", "8 that tell best"), ("random", "8 at random")):
            row = "".join(f"{ratio:6.1f}" for ratio in ratios(models, *what, which))
            print(f"{name:28s}{units:18s}{row.replace('nan', '  -')}")


ratio_table(toywiki)
for layer in (1, 2, 3):
    named, random = (
        all_rises(toywiki["grid"], "depth.f", [layer], which, "closed").mean(axis=0)
        for which in ("named", "random")
    )
    assert (named < 1.2 * random).all()
for layer in (1, 2):
    assert all_rises(toywiki["grid"], "time.f", [layer], "named", "open").mean() < 0.05

cell = states(clamp_gate(grid, "time.f", 0, 1, units=[unit]), x)["time.c"][0, :, unit]
print(f"\nlive: c along time of unit {unit}, layer 1, mean inside and outside URLs")
for name, values in {"as trained": cells[:, unit], "f held open": cell}.items():
    print(f"{name}: {values[judged(url)].mean():.1f} and {values[~judged(url)].mean():.1f}")
assert cell[judged(url)].mean() < cells[:, unit].min()
closed_in, closed_out = all_rises(toywiki["grid"], "time.f", [0], "named", "closed").mean(axis=0)
print(f"f held closed, 8 units: rise of {closed_in:.2f} nats inside, {closed_out:.2f} outside")

# %% [markdown]
# Left: in the memory along depth, the units that know most about URLs are hardly missed more than others, or less, and
# inside only slightly more than outside. Middle and right: along time, a few cells that can no longer be cleared cost 3
# to 10 times as much inside as outside, in every layer of the stacked LSTM and in the lowest and the top one of the
# grid; with cells at random it is once to twice as much. (In layer 1 of the grid random cells cost more, but outside
# too.)
#
# Why does it hurt *inside* to hold such a gate *open*? Ordinary text pushes the cell down a little at every character.
# If nothing is forgotten any more it sinks so low that no URL can lift it: it says "outside" for ever. (Held closed it
# stays near 0, where it is inside URLs; then, in layer 1 of the grid, the loss rises outside above all.)
#
# This is what it looks like when an intervention hits a place where a fact is *kept*. The method can see such a place,
# but not every one: in layers 2 and 3 of the grid, whose cells along time know too, it sees nothing. That it sees none
# along depth is therefore weak evidence.
#
# ## Sentence 4: the gates are controlled
#
# Last: does it matter that the forget gates along depth *depend on what is read*, or would any constant do as well? In
# the rows "at its mean" of the table above, each gate is clamped at its own mean. The path stays as open as it was, on
# average, but nobody steers it.

# %%
top = all_rises(toywiki["grid"], "depth.f", [3], "all", "mean")
print("layer 4, gates at their means, rise inside and outside by seed:")
print("; ".join(f"{inside:.2f} and {outside:.2f}" for inside, outside in top))
print("more inside than outside:", ", ".join(f"{a / b:.1f} times" for a, b in top))
assert (top[:, 0] > 1.3 * top[:, 1]).all()
assert 0.3 < top[:, 0].mean() / before[:, 0].mean() < 0.4
held_open = all_rises(toywiki["grid"], "depth.f", [3], "all", "open")
assert (held_open > top).all()
for layer, most in ((1, 0.01), (2, 0.05)):
    lower = all_rises(toywiki["grid"], "depth.f", [layer], "all", "mean").mean(axis=0)
    assert lower[0] < lower[1] < most
assert (forget["inside"][:, 3] < forget["outside"][:, 3]).all()

print("\nthe unit of layer 4 whose forget gate differs most, mean deep in a word:")
for seed, model in enumerate(along_depth, start=1):
    unit, inside, outside = model["moved"][3]
    print(f"grid {seed}, unit {unit}: {inside:.2f} inside URLs, {outside:.2f} outside")
    assert inside < 0.5 and outside > 0.85

# %% [markdown]
# **Sentence 4 is right, at the top.** In layers 2 and 3 a constant nearly does. In layer 4 it raises the loss inside
# URLs by a third, and in each grid more than outside. (Rarity alone, a mean that is nearly the mean outside, would do
# so in each layer; in layers 2 and 3 it costs less inside. But with *all* layers at their means URLs suffer hardly more
# than the rest, see the table.) But it is not what the story says: inside URLs the gates of layer 4 do not open to let
# something through, they **close**, a little on average. To hold them open costs even more than the mean. And in each
# grid there is a unit (the most extreme of 64) whose gate, deep in a word, is more than half closed inside URLs and
# open outside. Here is that of our grid, over a URL (between the dashed lines) and what surrounds it:


# %%
unit = along_depth[EXAMPLE - 1]["moved"][3][0]
end = text.index(" ", text.index("http", 2000))
word = slice(end - 48, end + 22)
before_it = trace_text(grid, vocabulary, text[end - 400 : word.start])
url_seen = trace_text(grid, vocabulary, text[word], before_it.state)
figure = plots.depth_paths(url_seen, text[word], unit)
for axes in figure.axes[:3]:
    for border in np.flatnonzero(np.diff(truth["in_url"][word].astype(int))):
        axes.axvline(border + 0.5, color="black", linestyle="--")
figure

# %% [markdown]
# In the middle panel row 4 is 1 by definition, and row 3 *is* the forget gate of layer 4. It closes again and again,
# from the name of the site to the end of the link's label, which is no part of the URL, and mostly where **a word
# ends**. So what does it tell apart? We look at word ends in all three grids: how far this gate is open, and by how
# much the loss rises when all gates of layer 4 are held at their means.

# %%
IDS = {symbol: vocabulary.encode(symbol)[0] for symbol in "/.?"}
read_now, coming, in_url = judged(x), judged(y), judged(url)
_, more = generate(STREAMS * STEPS + 1, seed=102)  # the truth about the text that we judge by
in_label = judged(side_by_side(more["in_external"])) & ~in_url
in_brackets = judged(side_by_side(more["link_depth"])) > 0
word_end = IS_LETTER[read_now] & ~IS_LETTER[coming]
PLACES = {
    "in a URL": word_end & in_url,
    "in its label": word_end & in_label,
    "in [[ ]] or {{ }}": word_end & in_brackets & ~in_url & ~in_label,
    "elsewhere": word_end & ~in_url & ~in_label & ~in_brackets,
}
url_goes_on = word_end & in_url & np.isin(coming, list(IDS.values()))


def probabilities(model):
    """Of the next character, at each judged one: (N, V)."""
    logits = model.predict(x, model.initial_state(STREAMS))[0][WARM_UP:].astype(float)
    p = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return (p / p.sum(axis=-1, keepdims=True)).reshape(in_url.size, -1)


print(" " * 20 + "".join(f"{place:>18s}" for place in PLACES))
print(f"{'word ends':20s}" + "".join(f"{at.sum():18d}" for at in PLACES.values()))
gates, rises, moves = [], [], []
for seed, model in enumerate(along_depth, start=1):
    unit = model["moved"][3][0]
    one, _ = load(f"pretrained:toywiki-grid-{seed}")
    gate = trace(one, x)["depth.f"][3, WARM_UP:, :, unit].ravel()
    means = trace(one, x_fit)["depth.f"][3].mean(axis=(0, 1))
    steered = probabilities(one)
    constant = probabilities(clamp_gate(one, "depth.f", 3, means))
    right = np.arange(coming.size), coming
    rise = np.log(steered[right] / constant[right])
    gates.append([gate[at].mean() for at in PLACES.values()])
    rises.append([rise[at].mean() for at in PLACES.values()])
    moves.append((constant - steered)[url_goes_on].mean(axis=0))
    print(f"grid {seed}, f of unit {unit:<3d}" + "".join(f"{value:18.2f}" for value in gates[-1]))
    print(f"{'        rise, nats':20s}" + "".join(f"{value:18.2f}" for value in rises[-1]))
    inside = rise[word_end & in_url].sum() / rise[in_url].sum()
    print(f"        of the rise inside URLs, {100 * inside:.0f} % is at word ends")
    assert inside > 0.6

print(f"\nword ends inside URLs with `/`, `.` or `?` to come ({url_goes_on.sum()}):")
print("by how much more probable other characters become with constant gates")
for seed, move in enumerate(moves, start=1):
    most = np.argsort(move)
    changes = [
        f"{chr(vocabulary.symbols[k])!r} {move[k]:+.2f}" for k in (*most[-4:][::-1], *most[:2])
    ]
    print(f"grid {seed}: " + ", ".join(changes))
gates, rises = np.array(gates), np.array(rises)
assert (gates[:, 0] < 0.4).all() and (gates[:, 3] > 0.9).all()
assert (rises[:, 0] > 2 * rises[:, 3]).all()

# %% [markdown]
# Inside URLs two thirds or more of the rise are at word ends. There this gate is mostly closed, in all three grids, and
# a constant costs at least twice as much as at word ends elsewhere. But URLs are not alone: in grid 3 the gate closes
# even more in the label, and in grid 2 the word ends in brackets suffer more than those in URLs. So these gates do not
# say "URL"; they say what the end of a word means *here*.
#
# Where does the probability of `/`, `.` and `?` go? In grid 1 to the space, in grid 3 to `s`, `|` and `}`: to what may
# follow a word *outside* a URL. In grid 2 it goes mostly to `.`, in place of `/`. A reading that fits grids 1 and 3
# (not tested): the layers below bring up that a word may be over, and what then follows in ordinary text. The top layer
# knows from its cell along time where we are, and *forgets* what does not hold here. That is gating along depth, it is
# controlled, and it matters. As far as we see it runs the other way round than in the story: not low layers telling a
# high one about URLs through open gates, but a high layer that knows about URLs closing gates on low ones.

# %% [markdown]
# ## On real text
#
# Is all this peculiar to our toy language? `wiki-excerpt` is real: 206 pages of the English Wikipedia with their
# markup, read byte by byte. The models are of the same kinds and sizes. They have read the first 95 %; of the rest, one
# half is to fit on and the other to judge by. Here nobody tells us the truth: what counts as a URL is what a pattern
# finds, from `http://` or `https://` up to a space, a bracket, a quote, a `|` or an `&` (other than `&amp;`).

# %%
wiki, wiki_told = measured("wiki-excerpt"), read("wiki-excerpt")
WIKI_LETTERS = 100 * max(wiki_told["deep"]["letters"].values())
loss_table(wiki)
print()
wiki_best = best_units(wiki)
wiki_deep = by_state(wiki["grid"], "deep") | by_state(wiki["lstm"], "deep")
layer_table("best single unit, %", wiki_best)
print()
layer_table("all units, %", wiki_deep)
print(
    f"{'c along depth by grid:':26s}" + "; ".join(str(row.round(1)) for row in wiki_deep["depth.c"])
)
probe_figure(wiki, WIKI_LETTERS, "wiki-excerpt: deep in a word, is it part of a URL?")

assert wiki_best["time.c"][:, 0].min() > 90 and wiki_deep["lstm.h"][:, 3].min() > 99
assert (wiki_deep["lstm.h"][:, 0] < wiki_deep["lstm.h"][:, 1:].min(axis=1)).all()
assert wiki_deep["depth.c"][[0, 2], :3].max() < WIKI_LETTERS + 14
assert min(wiki_deep["depth.c"][1].min(), wiki_deep["depth.c"][:, 3].min()) > 96
for side, gain in (("inside", 0.05), ("outside", 0.04)):
    means = [np.mean([model["loss"][side] for model in wiki[kind]]) for kind in TITLES]
    assert abs(1 - means[0] / means[1] - gain) < 0.005
assert max(wiki["grid"], key=lambda model: model["loss"]["inside"]) is wiki["grid"][1]

# %% [markdown]
# As on toywiki, each grid has a cell along time in its lowest layer that knows (90 to 98 % by itself), the top layer of
# each stacked LSTM says it with hardly a mistake, and yet the grids predict better. (But hardly more so inside URLs: by
# 5 % against 4 %.) The rest is different. In the stacked LSTMs the lowest layer tells least; the higher ones find out
# more. And the grids differ. In grid 2 the memory along depth tells it from layer 1 on (and yet it predicts worst
# inside URLs). In grids 1 and 3 the low layers know, but keep it along time; what they hand up along depth tells not
# much more than the letters, and only layer 4 tells nearly all. Where seeds differ so much, look at the dots, not at
# the means.

# %%
letters_figure(
    wiki_told, wiki, "wiki-excerpt, layer 4: are we inside a URL? (band: lowest to highest)"
)
assert by_letters(wiki["grid"], "depth.c").min() > 96

# %% [markdown]
# No dip here: the top of the memory along depth always tells. Perhaps real text always needs it (not tested), or the
# reading above, "only what the next prediction needs", is one for toywiki alone.

# %%
intervention_table(wiki["grid"])
bars_figure(wiki, "wiki-excerpt: 8 forget gates of a layer clamped")

print(
    "by grid and layer: f inside and outside, deep in a word; rise at its mean inside and outside"
)
steering = []
for seed, model in enumerate(wiki["grid"], start=1):
    f_in, f_out = (np.array(model["along_depth"]["forget"][side]) for side in ("inside", "outside"))
    closes = 1 + (f_in - f_out)[1:].argmin()
    assert closes == {1: 3, 2: 1, 3: 3}[seed]
    for layer in (1, 2, 3):
        inside, outside = all_rises([model], "depth.f", [layer], "all", "mean")[0]
        gate, rise = f"{f_in[layer]:.2f} and {f_out[layer]:.2f}", f"{inside:.3f} and {outside:.3f}"
        print(f"grid {seed}, layer {layer + 1}: {gate}; {rise}")
        assert inside > 2.5 * outside if layer == closes else inside < outside
        if layer == closes:
            steering.append(inside / model["loss"]["inside"])
            assert all_rises([model], "depth.f", [layer], "all", "open")[0, 0] > inside
print(
    "in the layer that closes, at its mean, the loss inside rises by",
    ", ".join(f"{100 * part:.0f} %" for part in steering),
)
print("\npath cut: rise inside over rise outside, by grid:", end=" ")
wiki_cut = all_rises(wiki["grid"], "depth.f", EVERY, "all", "closed")
print(", ".join(f"{inside / outside:.1f}" for inside, outside in wiki_cut))
still = [100 * model["depth_closed"]["time.c"][3] for model in wiki["grid"]]
print("c along time of layer 4 then tells", ", ".join(f"{value:.1f} %" for value in still), "\n")

ratio_table(wiki)

# %% [markdown]
# As on toywiki, cutting the path costs much everywhere, inside URLs only 1.1 to 1.3 times as much as outside; and the
# cells along time of layer 4 know most of it even then. The 8 units along depth that tell best are missed more than
# others in layers 3 and 4, but inside hardly more than outside, or less. Along time it is inside that suffers when such
# cells cannot be cleared, 3 to 11 times as much as outside (random cells once to twice as much, but nearly 5 times in
# the grid's layer 4).
#
# And the gates are controlled. In each grid there is *one* layer whose gates close inside URLs, on average, and whose
# steering matters there: at their means it costs more than 2.5 times as much inside as outside, in the other layers
# less inside than outside; held open it costs even more. In grids 1 and 3 it is layer 4, as on toywiki; in grid 2 it is
# layer 2.

# %% [markdown]
# ## What the story gets right, and what not
#
# 1. *A memory cell in a low layer knows that we are inside a URL.* **Right** for the grids: deep in a word, one cell
#    along time of layer 1 tells it with a balanced accuracy of 96 to 99 % on toywiki, 90 to 98 % on real text. But so
#    do cells of other layers, and in the stacked LSTMs on real text the higher layers know it better.
# 2. *A stacked LSTM can hardly tell its higher layers.* **Wrong**: the hidden state of the top layer tells it with
#    hardly a mistake. After training, squashing functions are no obstacle to a bit.
# 3. *In the grid it is written low to the memory along depth, carried up through open forget gates, read high.* **Half
#    right** on toywiki: the path is open, and knowledge about URLs travels on it. But each layer adds its part, spread
#    over many units, and the higher layers know nearly as well when the path is cut, or was never there. On real text
#    one grid of three hands it up from layer 1; in the two others a probe finds little of it below the top.
# 4. *The forget gates control what is carried.* **Right, but as far as we see, the other way round.** In one layer, the
#    top one in five of six grids, the gates *close* inside URLs, and not only there. If nobody steers them, the loss
#    inside rises by a third on toywiki, by 5 to 17 % on real text.
#
# And what does *not* follow?
#
# - That a probe finds something does not mean that the model uses it, and that it finds nothing does not mean that
#   nothing is there: it reads sums of units, and there may be other codes.
# - A clamped model is not one that was trained so: inside URLs it costs 2.4 nats to cut the path afterwards, 0.3 if it
#   was never there. What the path does *in training* is another question: notebook 3 has seen it let the gradient
#   through, and [notebook 5](05_gradient_flow.ipynb) goes on from there.
# - These are models of 4 layers of one size, trained with one setting, three seeds. Toywiki is artificial, and in real
#   text a pattern stood for the truth. With few layers there is little that a linear path could save. The story was
#   told about networks of 1000 units and up to 6 layers, which had read a hundred times as much.

# %% [markdown]
# ## Exercises
#
# 1. **Asked everywhere.** Judge the memory along depth of layer 4 over *all* characters, with the noise. Compare with
#    the last three characters by heart, from the same two texts. By how much is it ahead, and by how much deep in a
#    word?
# 2. **Accuracy and balanced accuracy.** 8 % of the characters are inside a URL. A probe recognises 60 % of them, and is
#    right about 99 % of the others. What is its accuracy, what its balanced accuracy? And those of a probe with 90 %
#    and 90 %?
# 3. **On paper.** A memory along depth of three layers: $i g = 0.5, -0.2, 0.4$ from layer 1 to 3, $f_2 = 0.9$, $f_3 =
#    0.5$. What is at the top, and which share of it, in absolute values, was written in layer 1? What does the top hold
#    if $f_3$ is clamped closed? If $f_2$ is?
# 4. **Close the input gates instead.** Clamp all *input* gates along depth of layer 1 closed. What can layer 2 still
#    know about the character? Compare the loss with that under closed forget gates of layer 2.
# 5. **A gate that stays.** Clamp the forget gates along depth of layer 3 closed (weights 0, bias -1000), then train for
#    some steps. Do they open again? Use notebook 1 to say why.
#
# ## Solutions
#
# **1.** Over all characters it is ahead by 7 points; deep in a word by more than 40. The characters around `://`, where
# the letters say it, and those in the middle of words, where nobody needs it, cover up what is remembered where it
# matters. (With a longer text to learn by heart from, the lead over all characters was 2 points, see sentence 3.)

# %%
noisy_fit, noisy = (blurred(those["depth.c"][3]) for those in (fit_states, judge_states))
everywhere = balanced_accuracy(judged(url), fit_probe(noisy_fit, judged(url_fit)).says(noisy))
by_heart = context_says(fit_context(x_fit, url_fit, 3), x, 3)[WARM_UP - 2 :].ravel()
letters = balanced_accuracy(judged(url), by_heart)
print(f"everywhere:     c along depth {100 * everywhere:.1f} %, by heart {100 * letters:.1f} %")
there = accuracy(fit_states["depth.c"][3], judge_states["depth.c"][3])
letters_there = balanced_accuracy(asked, by_heart[deep])
print(f"deep in a word: c along depth {100 * there:.1f} %, by heart {100 * letters_there:.1f} %")
assert 0.05 < everywhere - letters < 0.09
assert there - letters_there > 0.4

# %% [markdown]
# **2.** $0.08 \cdot 0.6 + 0.92 \cdot 0.99 = 0.959$ and $(0.6 + 0.99) / 2 = 0.795$; for the second 0.9 and 0.9. By
# accuracy the first is better, by balanced accuracy the second. (And always "no" has 0.92 and 0.5.)

# %%
inside = np.arange(1000) < 80
first = np.where(inside, np.arange(1000) < 48, np.arange(1000) >= 1000 - 9)
second = np.where(inside, np.arange(1000) < 72, np.arange(1000) >= 1000 - 92)
assert np.isclose((first == inside).mean(), 0.959, atol=1e-3)
assert np.isclose(balanced_accuracy(inside, first), 0.795, atol=1e-3)
assert np.isclose((second == inside).mean(), 0.9) and np.isclose(
    balanced_accuracy(inside, second), 0.9
)

# %% [markdown]
# **3.** $0.5 \cdot 0.9 \cdot 0.5 - 0.2 \cdot 0.5 + 0.4 = 0.525$. In absolute values 0.225, 0.1 and 0.4, so 31 % is from
# layer 1. With $f_3$ closed only the top layer's own 0.4 is left; with $f_2$ closed what layers 2 and 3 have written,
# $-0.1 + 0.4 = 0.3$.

# %%
f, written = np.array([0.7, 0.9, 0.5]), np.array([0.5, -0.2, 0.4])
assert np.isclose((written * kept_to_end(f)).sum(), 0.525)
at_top = abs(written * kept_to_end(f))
assert np.isclose(at_top[0] / at_top.sum(), 0.31, atol=0.01)
assert np.isclose((written * kept_to_end(np.array([0.7, 0.9, 0]))).sum(), 0.4)
assert np.isclose((written * kept_to_end(np.array([0.7, 0, 0.5]))).sum(), 0.3)

# %% [markdown]
# **4.** Nothing at all. With $i = 0$ the memory along depth of layer 1 is 0, so $h^{depth}_1 = o \tanh(0) = 0$ too, and
# that is all that goes up: whatever was read, layer 2 sees zeros. A closed *forget* gate of layer 2 cuts only $c$; $h$
# still comes up. (How can the loss be so high, when $\ln 59 = 4.1$ nats are enough for 59 equally probable characters?
# The blind model is *sure* of a wrong answer: in training it has never seen only zeros.)

# %%
blind = clamp_gate(grid, "depth.i", 0, 0)
assert (trace(blind, x[:50])["depth.h"][0] == 0).all()
# all streams get the same prediction, but for rounding
assert np.ptp(trace(blind, x[:50]).logits, axis=1).max() < 1e-4
for name, model in {
    "as trained": grid,
    "forget gates of layer 2 closed": clamp_gate(grid, "depth.f", 1, 0),
    "input gates of layer 1 closed": blind,
}.items():
    inside, outside = loss_inside_and_outside(model)
    print(f"{name:31s} {inside:.2f} nats inside, {outside:.2f} outside")
assert len(vocabulary) == 59
assert outside > loss_inside_and_outside(clamp_gate(grid, "depth.f", 1, 0))[1] + 1

# %% [markdown]
# **5.** They stay closed. $da_f = df\, f (1 - f)$ is exactly 0 where $f$ is, and with it the gradient of all weights
# that lead there. All else learns. (So it is easy to *train* a grid without its linear path, as we have seen above.)

# %%
student = clamp_gate(grid, "depth.f", 2, 0)
step = TrainStep(student, lr=1e-3)
losses = [float(step(x[t : t + 50], y[t : t + 50])) for t in range(0, 800, 50)]
f = trace(student, x[:50])["depth.f"]
print(f"largest forget gate of layer 3 after {len(losses)} steps: {f[2].max()}")
print(f"loss in the first and the last step: {losses[0]:.2f} and {losses[-1]:.2f} nats")
assert (f[2] == 0).all() and (f[[0, 1, 3]] > 0).all()
assert np.mean(losses[-4:]) < np.mean(losses[:4])
