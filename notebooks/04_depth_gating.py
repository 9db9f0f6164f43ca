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
# model; here we load its figures and do a part of each measurement again, live.

# %%
# %matplotlib inline
import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from minigrid import CharModel, load, plots, trace, trace_text
from minigrid.interventions import clamp_gate
from minigrid.ops import cross_entropy_forward
from minigrid.probes import balanced_accuracy, context_says, fit_context, fit_probe, fit_units
from minigrid.toywiki import generate
from minigrid.trace import kept_to_end

SEED = 4
METRICS = Path("../experiments/depth_gating")


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


# %% [markdown]
# ## A text with the truth about it
#
# `toywiki` writes wiki-like text in a made-up language, and tells of every character what it is part of. So what a
# memory cell knows can be measured. Here is a piece, coloured by whether we are inside a URL:

# %%
text, truth = generate(20_000, seed=7)
start = text.index("http") - 150
piece = slice(start, start + 400)
plots.coloured_text(truth["in_url"][piece].astype(float), text[piece], "inside a URL", signed=False)

# %% [markdown]
# To predict what comes next, one has to know it. After the end of a word, ` ` is likely outside of a URL and `/` or
# `.` inside. And the letters do not tell: the words of a URL are words of the language.
#
# The models are small: a grid of 4 layers of 64 units, and a stacked LSTM of 4 layers of 71 units, which has as many
# parameters. They have read another million characters of toywiki (seed 0).

# %%
grid, vocabulary = load("pretrained:toywiki-grid-1")
lstm, _ = load("pretrained:toywiki-lstm-1")
print(f"{grid.params.flat.size:,} and {lstm.params.flat.size:,} parameters")
assert abs(grid.params.flat.size / lstm.params.flat.size - 1) < 0.02

toywiki = measured("toywiki")
print("\nloss in nats, mean of three seeds (lowest to highest)")
for kind, models in toywiki.items():
    for side in ("inside", "outside"):
        losses = [model["loss"][side] for model in models]
        print(f"{kind} {side:7s} URLs: {np.mean(losses):.3f} ({min(losses):.3f} to {max(losses):.3f})")

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
# $dw = \sum (p - truth)\, c$. The problem is convex, and a few of Newton's steps solve it; `minigrid/probes.py` is
# short.
#
# The probe is **fitted on one text and judged on another**. So we need two texts, and the states that a model has while
# it reads them.

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
# **The fact is rare.** One character in twelve is inside a URL, so whoever always says "no" is right most of the time.
# We therefore take the mean of two shares: how many of the characters inside are recognised, and how many of those
# outside. This **balanced accuracy** is 50 % for any constant answer.

# %%
always_no = np.zeros_like(said)
print(f"always no:     {100 * (always_no == judged(url)).mean():.1f} % right")
print(f"balanced:      {100 * balanced_accuracy(judged(url), always_no):.1f} %")
print(f"the probe's:   {100 * balanced_accuracy(judged(url), said):.1f} %")
assert (always_no == judged(url)).mean() > 0.9
assert balanced_accuracy(judged(url), always_no) == 0.5
assert balanced_accuracy(judged(url), said) > 0.9

# %% [markdown]
# **The letters give it away.** `://` is always inside and `. The` never. One needs no memory to say so. How far does
# one get with the last few characters alone? We learn by heart, for every string of so many characters, which answer is
# the likelier one after it. And we ask once more only in those places where the letters hardly help: **deep in a
# word**, after five letters in a row. The words of a URL are words of the language. Whoever knows there, remembers.


# %%
def letters_in_a_row(x):
    """How many letters in a row end with each character, (T, B)."""
    is_letter = np.array([chr(symbol).isalpha() for symbol in vocabulary.symbols])[x]
    counts, count = [], 0
    for row in is_letter:
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
# From here on we ask deep in a word.
#
# **Any recurrent network remembers something.** Here is the same probe on a grid that was *never trained*:

# %%
fresh = CharModel(**grid.options)
fresh_fit, fresh_judge = states(fresh, x_fit), states(fresh, x)
for layer in range(4):
    here, there = fresh_fit["time.c"][layer][deep_fit], fresh_judge["time.c"][layer][deep]
    answers = fit_probe(here, known).says(there)
    print(
        f"untrained, c along time of layer {layer + 1}: {100 * balanced_accuracy(asked, answers):.1f} %,"
        f" standard deviation of the units {there.std(axis=0).mean():.4f}"
    )
    assert balanced_accuracy(asked, answers) > 0.8

# %% [markdown]
# That cannot be knowledge. Random weights leave an imprint of all that was read, and a probe whose weights may be as
# large as they like finds it, however faint. But look at the last number: the units vary by a hundredth, or a
# thousandth. No layer above, whose gates add these units up with weights of ordinary size, could make anything of it.
# What counts is what is written in *large letters*. So we add noise to every unit, with a standard deviation of 0.1
# (hidden states lie between -1 and 1), when fitting and when judging:

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
# Now the numbers mean something. All that follows is asked deep in a word, with this noise.
#
# ## Sentence 1: a cell in a low layer knows
#
# First the best *single* unit: for each unit the best threshold, and of all units the one that does best on the fitting
# text. Here is that unit of the grid's lowest layer, $c^{time}_1$, over the piece of text from above:

# %%
_, accuracies = fit_units(
    fit_states["time.c"][0] + BLUR * noise.standard_normal(fit_states["time.c"][0].shape), known
)
unit = int(accuracies.argmax())
print(f"unit {unit}: {100 * accuracies[unit]:.1f} %")
seen = trace_text(grid, vocabulary, text[start - 400 : start + 400])
plots.coloured_text(
    seen["time.c"][0, 400:, 0, unit], text[piece], f"grid: c along time, layer 1, unit {unit}"
)

# %% [markdown]
# So the cell of the story exists. TODO. In all seeds, and in the stacked LSTM:

# %%
print("best single unit, balanced accuracy in %, mean of three seeds (lowest to highest)")
for state, kind in {"time.c": "grid", "lstm.c": "lstm"}.items():
    for layer in range(4):
        best = [100 * model["probes"]["in_url"][state]["unit"][layer] for model in toywiki[kind]]
        print(f"{state} layer {layer + 1}: {spread(best)}")

# %% [markdown]
# ## Who knows, in which layer
#
# And now with all units, every state of every layer. In a grid, what one layer tells the next is `depth.h` and
# `depth.c`; in a stacked LSTM it is `lstm.h`. What a layer keeps for itself is `time.c`, or `lstm.c`.

# %%
NAMES = {
    "time.c": "c along time",
    "time.h": "h along time",
    "depth.c": "c along depth",
    "depth.h": "h along depth",
    "lstm.c": "c",
    "lstm.h": "h",
}
LAYERS = np.arange(1, 5)


def probe_figure(models, context, title):
    """Balanced accuracy of all units, by state and layer; one small marker per seed."""
    fig, axes = plt.subplots(1, 2, figsize=(10.5, 4.4), sharey=True)
    for ax, kind in zip(axes, ("grid", "lstm"), strict=True):
        for place, (state, colour) in enumerate(
            zip(models[kind][0]["untrained"], plots.COLOURS, strict=False)
        ):
            for which, style in (("probes", "o-"), ("untrained", "x:")):
                values = [
                    model["untrained"][state]["all"]
                    if which == "untrained"
                    else model["probes"]["in_url"][state]["all"]
                    for model in models[kind]
                ]
                label = NAMES[state] if which == "probes" else None
                ax.plot(LAYERS, 100 * np.mean(values, axis=0), style, color=colour, label=label)
                if which == "probes":
                    ax.plot(LAYERS, 100 * np.transpose(values), ".", color=colour, markersize=4)
        ax.axhline(100 * context, color="black", linestyle="--", linewidth=1)
        ax.text(4.15, 100 * context, "letters", va="bottom", ha="right", fontsize=9)
        ax.set(xlabel="layer", xticks=LAYERS, title={"grid": "grid", "lstm": "stacked LSTM"}[kind])
        ax.legend(loc="lower left", fontsize=9)
    axes[0].set_ylabel("balanced accuracy (%)")
    fig.suptitle(title)
    plt.show()


probe_figure(toywiki, CONTEXT, "Are we inside a URL? (dotted: before training)")

# %%
print("all units, balanced accuracy in %, mean of three seeds (lowest to highest)\n")
print("                   " + "".join(f"layer {layer:<18d}" for layer in LAYERS))
table = {}
for kind in ("grid", "lstm"):
    for state in toywiki[kind][0]["untrained"]:
        table[state] = 100 * np.array(
            [model["probes"]["in_url"][state]["all"] for model in toywiki[kind]]
        )  # (seed, layer)
        print(f"{kind} {NAMES[state]:14s}" + "  ".join(spread(column) for column in table[state].T))
