# %% [markdown]
# # 7. Carrying a digit: what the gates do while a grid adds
#
# In the other notebooks a model reads text, and we rarely know what it *has* to remember. Here we do. The model reads
# `27+45=` and goes on with `072`. To write the tens digit it must know whether the ones have a **carry**, one bit,
# which stands nowhere in the text. We ask in four ways where in a trained grid it is, and learn about the ways of
# asking, too.
#
# Afterwards you can
# - say what tying the layers saved and cost here,
# - name two reasons why "a linear probe finds it" does not mean "the model computes it", and one why a probe misses,
# - transplant a state from one problem to another, with a control, and read off where a piece of information is kept.

# %%
# %matplotlib inline
import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from minigrid import CharModel, load, trace
from minigrid.data.addition import held_out, vocabulary

SEED = 7
rng = np.random.default_rng(SEED)
COLOURS = plt.rcParams["axes.prop_cycle"].by_key()["color"]
NO_CARRY, CARRY = COLOURS[2], COLOURS[3]

# %% [markdown]
# ## The task, and four small models
#
# A problem is a line such as `27+45=072`: both numbers with two digits, the sum with three, the most significant first.
# Only the three digits of the answer and the line's end count in the loss. There are 10,000 problems; 503 of them
# (chosen by a hash, `34+12` together with `12+34`) were never trained on.
#
# The models are grids of 3 layers of 48 units that come with minigrid. In two of them every layer has weights of its
# own (`tie="none"`, **untied**), in two all layers share one set (`tie="layers"`, **tied**, see [notebook
# 3](03_the_grid.ipynb)).

# %%
a, b = np.divmod(np.arange(10_000), 100)
lines = [f"{p:02d}+{q:02d}={p + q:03d}\n" for p, q in zip(a, b, strict=True)]
line_ids = np.stack([vocabulary().encode(line) for line in lines], axis=1)
x, y = line_ids[:-1], line_ids[1:]  # what is read and what should come next, (9, 10000)
READING = ["tens", "ones", "+", "tens", "ones", "=", "hundreds", "tens", "ones"]
ANSWER = slice(5, 8)  # the steps that write the answer's digits

NAMES = ["tied-1", "tied-2", "untied-1", "untied-2"]
models = {name: load(f"pretrained:addition-{name}")[0] for name in NAMES}
new = held_out(a, b)


def predict(model, problems=slice(None)):
    """Likeliest next characters, the right ones before them given, (T, problems)."""
    start = model.initial_state(len(a[problems]))
    return model.predict(x[:, problems], start)[0].argmax(axis=-1)


print("          parameters   digits right   held out   answers right   held out")
for name, model in models.items():
    right = (predict(model) == y)[ANSWER]
    whole = right.all(axis=0)
    print(
        f"{name:9s} {model.params.flat.size:10,} {right.mean():14.2%} {right[:, new].mean():10.2%}"
        f" {whole.mean():15.2%} {whole[new].mean():10.2%}"
    )
    assert right[:, new].mean() > 0.97
    assert name == "tied-2" or whole[new].mean() > whole.mean() - 0.005
assert new.sum() == 503

# %% [markdown]
# They *add*: three of the four get what they were never shown as right as the rest. How they got there (the dots are
# validations, after every 1000 minibatches of 100 problems):

# %%
fig, ax = plt.subplots(figsize=(7.5, 4))
reached = {}
for name in NAMES:
    file = Path("../experiments/pretrained/metrics") / f"addition-{name}.jsonl"
    records = [json.loads(line) for line in file.read_text().splitlines()]
    val = [r for r in records if r["split"] == "val"]
    tied, seed = name.split("-")
    colour, style = COLOURS[tied == "untied"], "o-" if seed == "1" else "s--"
    problems, digits = [r["step"] / 10 for r in val], [100 * r["digits"] for r in val]
    ax.plot(problems, digits, style, color=colour, label=f"{tied}, seed {seed}")
    reached[name] = next((r["step"] / 10 for r in val if r["digits"] >= 0.99), np.inf)
ax.set(
    xlabel="problems trained on (thousands; each is drawn many times)",
    ylabel="held-out digits right (%)",
    ylim=(40, 103),
)
ax.legend(loc="lower right")
plt.show()

print("99 % of the digits after (thousand problems):", reached)
assert max(reached["untied-1"], reached["untied-2"]) <= min(reached["tied-1"], reached["tied-2"])

# %% [markdown]
# The untied grids are there sooner, with three times as many parameters and the same amount of computation. The tied
# ones have to do with one pair of LSTMs for all layers: one of them learns it completely all the same, the other gets
# 98 % of the held-out digits (99 % of all). Two seeds each are an observation, not a law.
#
# ## What has to be carried
#
# After `=`, everything has been read. Then
#
# - the hundreds digit is the carry *out of the tens*,
# - the tens digit is $(a_{tens} + b_{tens} + carry) \bmod 10$, where $carry$ is the one out of the ones,
# - the ones digit is $(a_{ones} + b_{ones}) \bmod 10$.
#
# The carry out of the ones, from now on **the carry**, can be known from step 4 on, when the last ones digit is read.
# It is needed at step 5 (for the hundreds) and, most of all, at step 6, where the hundreds digit is read and the tens
# digit written. We let the models read 2000 of the problems and keep what their gates and states did.

# %%
KNOWN, NEEDED = 4, 6
chosen = rng.permutation(len(a))[:2000]
ones_sum = (a % 10 + b % 10)[chosen]
carry = ones_sum >= 10
tens = (a // 10 + b // 10)[chosen]
assert ((tens + carry) % 10 == (a + b)[chosen] // 10 % 10).all()
print(f"{carry.mean():.0%} of the problems have a carry")

GATES = ["time.i", "time.f", "time.o", "depth.i", "depth.f", "depth.o"]
STATES = ["time.h", "time.c", "depth.h", "depth.c"]


def read(model):
    """Trace the chosen problems: name -> (layer, step, problem, unit)."""
    seen = trace(model, x[:, chosen])
    return {name: seen[name] for name in GATES + STATES}


traces = {name: read(model) for name, model in models.items()}

# %% [markdown]
# ## First question: which gates differ?
#
# For each gate of each unit, at each step: its mean over the problems with a carry, minus its mean over those without.
# One number per layer and step, the root mean square over the 48 units:


# %%
def lean(gate):
    """Root mean square over units of (mean with carry - mean without), (L, T)."""
    return np.sqrt(
        ((gate[:, :, carry].mean(axis=2) - gate[:, :, ~carry].mean(axis=2)) ** 2).mean(axis=2)
    )


leaning = {
    name: np.concatenate([lean(seen[gate]) for gate in GATES]) for name, seen in traces.items()
}
fig, ax = plt.subplots(figsize=(7.5, 5.4))
image = ax.imshow(leaning["untied-1"], vmin=0, aspect="auto")
for edge in range(3, 18, 3):
    ax.axhline(edge - 0.5, color="white", linewidth=1.5)
ax.set_xticks(range(9), READING, rotation=60, ha="right")
ax.set_yticks(range(18), [f"{gate}  layer {n + 1}" for gate in GATES for n in range(3)])
ax.set(title="untied-1", xlabel="character read")
ax.grid(False)
fig.colorbar(image, label="difference between carry and none")
plt.show()

lowest_depth_f = 3 * GATES.index("depth.f")
assert leaning["untied-1"][lowest_depth_f].max() < 0.05 < leaning["tied-1"][lowest_depth_f].max()
for name, values in leaning.items():
    assert values[:, 0].max() < 0.02  # the first tens digit says nothing about the ones
    others = np.delete(values[:, KNOWN], lowest_depth_f)
    print(f"{name:9s} least of the other rows at the last ones digit: {others.min():.2f}")
    assert others.min() > 0.04

# %% [markdown]
# Nearly everything differs, here and in the other three. From the *first* ones digit on, gates lean one way (a 9 makes
# a carry likely), and once the second one is read, gates of all kinds, in all layers, are different if there is a
# carry. That is no answer yet. With a carry the digits read are larger, and any gate that heeds digits will differ.
#
# (One row stays dark: `depth.f` of layer 1. The memory cell along depth begins at zero, so the lowest forget gate has
# nothing to forget and its weights never get a gradient. In a tied grid it shares its weights with the layers above.)
#
# ## Second question: can a probe read it off?
#
# A **linear probe** is a linear map from a layer's state to one number, fitted to say "carry" or "none" on half of the
# problems and tested on the other half. We fit it by least squares: to $h^{depth}$, which a layer shows to the next one
# and to the decoder, and to $c^{time}$, which it keeps for the next step.

# %%
fitted, tested = slice(0, 1000), slice(1000, 2000)


def probe(state):
    """Share of the tested problems whose carry a linear probe reads off the state, (problems, units)."""
    design = np.c_[state, np.ones(len(state))].astype("float64")
    target = np.where(carry, 1.0, -1.0)
    gram = design[fitted].T @ design[fitted] + 1e-3 * np.eye(design.shape[1])
    weights = np.linalg.solve(gram, design[fitted].T @ target[fitted])
    return ((design[tested] @ weights > 0) == carry[tested]).mean()


untrained = CharModel("grid", vocab_size=13, hidden=48, layers=3, tie="none", seed=SEED)
probed = {**traces, "untrained": read(untrained)}
accuracy = {}
for state in ("depth.h", "time.c"):
    print(f"{state:9s}   last ones digit read         tens digit to be written")
    print("layer          1      2      3             1      2      3")
    for name, seen in probed.items():
        found = np.array([[probe(seen[state][n, t]) for n in range(3)] for t in (KNOWN, NEEDED)])
        accuracy[name, state] = found
        rows = ("".join(f"{share:7.0%}" for share in row) for row in found)
        print(f"{name:10s}", "       ".join(rows))

pair = np.concatenate([np.eye(10)[a[chosen] % 10], np.eye(10)[b[chosen] % 10]], axis=1)
guess = max(carry.mean(), 1 - carry.mean())
print(f"\nthe two ones digits alone: {probe(pair):.0%}; always the same answer: {guess:.0%}")

print("\ntime.c with noise, last ones digit read")
for name, seen in probed.items():
    state = seen["time.c"][:, KNOWN]
    noisy = [probe(units) for units in state + 0.1 * rng.standard_normal(state.shape)]
    print(f"{name:10s}", "".join(f"{share:7.0%}" for share in noisy))
    lost = (accuracy[name, "time.c"][0] - noisy).max()
    assert max(noisy) < guess + 0.05 if name == "untrained" else lost < 0.06

for name in ("tied-1", "untied-1", "untied-2"):
    assert min(accuracy[name, "depth.h"].min(), accuracy[name, "time.c"].min()) > 0.85
assert probe(pair) > 0.97
assert accuracy["untrained", "depth.h"][0].min() > guess + 0.1
assert accuracy["tied-2", "depth.h"].max() < 0.85 < 0.9 < accuracy["tied-2", "time.c"][0, 0]

# %% [markdown]
# In three of the models a probe finds the carry nearly always, in every layer. Before you believe it:
#
# - It finds it just as well in **nothing but the digits** (10 numbers for each of the two, a 1 at the digit). A carry
#   *is* a threshold of a linear map of these. (98 and not 100 %: least squares does not find the best one.) A state
#   that still knows which digits were read gives the probe all it needs, and the adding is done by the probe.
# - Even in an **untrained** grid it is well above guessing, for the same reason. (That is without the noise of
#   [notebook 4](04_depth_gating.ipynb). With it the untrained grid falls to a guess, and the trained ones lose little.)
#
# In `tied-2`, which adds, it finds little in $h^{depth}$: 80 % at most. But in $c^{time}$ of layer 1 it is right in 93
# of 100 cases. A probe that fails may have been put to the **wrong state**.
#
# ## Third question: a step or a ramp?
#
# A unit that says "carry" has one value for all problems whose ones add up to 9 or less, and another from 10 on. So we
# plot a unit over the **sum of the ones**, 0 to 18. For each model we take, of all gates and states when the last ones
# digit is read or the tens digit is to be written, the one that correlates best with the carry.

# %%
sums = np.arange(19)


def correlations(values):
    """Correlation of every unit, (problems, units), with the carry; 0 where a unit does not move."""
    centred, bit = values - values.mean(axis=0), carry - carry.mean()
    scale = np.linalg.norm(centred, axis=0) * np.linalg.norm(bit)
    return np.divide(bit @ centred, scale, out=np.zeros(values.shape[1]), where=scale > 1e-3)


def best_unit(seen):
    """Largest correlation with the carry, and where it is: (r, kind, layer, step, unit)."""
    found = []
    for kind in GATES + STATES:
        for layer in range(3):
            for step in (KNOWN, NEEDED):
                r = abs(correlations(seen[kind][layer, step].astype("float64")))
                found.append((r.max(), kind, layer, step, int(r.argmax())))
    return max(found)


best = {name: best_unit(seen) for name, seen in traces.items()}

fig, axes = plt.subplots(1, 4, figsize=(11.5, 3.6))
profiles = {}  # mean over the problems of each sum, its range scaled to 1


def change(name, low, high):
    """Share of its range by which a profile changes between two sums."""
    return abs(profiles[name][high] - profiles[name][low])


for ax, (name, (r, kind, layer, step, unit)) in zip(axes, best.items(), strict=True):
    values = [traces[name][kind][layer, step, ones_sum == k, unit] for k in sums]
    means, spread = ([f(v) for v in values] for f in (np.mean, np.std))
    profiles[name] = means / np.ptp(means)
    ax.axvspan(9.5, 18.5, color="0.93", zorder=0)
    ax.errorbar(sums, means, yerr=spread, fmt="o-", markersize=4, linewidth=1, elinewidth=0.8)
    ax.set(xlabel="sum of the ones", xticks=(0, 5, 10, 15))
    what = "read" if step == KNOWN else "written"
    ax.set_title(
        f"{name}: {kind}, layer {layer + 1},\nunit {unit}, r = {r:.2f}, jump {change(name, 9, 10):.2f}",
        fontsize=10,
    )
axes[0].set_ylabel("value (mean, standard deviation)")
fig.suptitle(
    "The unit that correlates best with the carry (shaded: there is one)\n"
    "r: correlation; jump: share of its whole range between the sums 9 and 10",
    fontsize=11,
)
plt.show()

ramp = correlations(ones_sum[:, None].astype("float64"))[0]
print(
    f"a plain ramp, the sum itself, correlates {ramp:.2f} with the carry and has a jump of {1 / 18:.2f}"
)
assert ramp > 0.75
assert best["untied-1"][0] > 0.9 and change("untied-1", 9, 10) > 0.6
for name in ("tied-1", "untied-2"):
    assert best[name][0] > 0.8 and change(name, 9, 10) < 0.4 and change(name, 7, 11) > 0.7
assert best["tied-2"][0] < 0.7

# %% [markdown]
# The correlations are high, but even the bare sum has one of 0.82, and the four are different things.
#
# - `untied-1` has a unit that **says carry**: a cliff between 9 and 10.
# - The best units of `tied-1` and `untied-2` change over about five sums, 7 to 11: a soft step.
# - In `tied-2` no single number says it. It may lie in many units at once, as the probe of $c^{time}$ suggests.
#
# So among the units that correlate best, "the carry unit" is one of four. What do its gates do while the carry waits,
# from the last ones digit on until the tens digit is written (shaded)?

# %%
_, kind, layer, _, unit = best["untied-1"]
assert kind == "time.h"
seen = {name: traces["untied-1"][f"time.{name}"][layer, :, :, unit] for name in "foch"}
titles = {"f": "forget gate", "o": "output gate", "c": "memory cell", "h": "hidden state"}

fig, axes = plt.subplots(1, 4, figsize=(11.5, 3.8), sharex=True)
for ax, (name, values) in zip(axes, seen.items(), strict=True):
    ax.axvspan(KNOWN - 0.5, NEEDED + 0.5, color="0.93", zorder=0)
    for there, colour, label in ((~carry, NO_CARRY, "no carry"), (carry, CARRY, "carry")):
        mean, spread = values[:, there].mean(axis=1), values[:, there].std(axis=1)
        ax.plot(mean, "o-", markersize=4, color=colour, label=label)
        ax.fill_between(
            range(9), mean - spread, mean + spread, color=colour, alpha=0.2, linewidth=0
        )
    ax.set_title(titles[name])
    ax.set_xticks(range(9), READING, rotation=90)
for ax in axes[:2]:
    ax.set_ylim(-0.03, 1.03)
axes[2].legend(loc="upper left")
fig.suptitle(f"untied-1, along time, layer {layer + 1}, unit {unit} (mean, standard deviation)")
plt.show()


def mean(name, there):
    """Mean at each step over the problems with or without a carry."""
    return seen[name][:, there].mean(axis=1)


WAIT = slice(KNOWN + 1, NEEDED + 1)  # "=" and the hundreds digit are read
for name in "foc":
    for there, label in ((~carry, "no carry"), (carry, "carry")):
        values = "".join(f"{value:6.2f}" for value in mean(name, there)[KNOWN:])
        print(f"{titles[name]}, {label:8s} from the last ones digit on: {values}")
assert mean("f", carry)[KNOWN] < 0.2 < 0.5 < mean("f", ~carry)[KNOWN]
assert min(mean("f", carry)[WAIT].min(), mean("f", ~carry)[WAIT].min()) > 0.9
assert max(mean("o", carry)[KNOWN + 1], mean("o", ~carry)[KNOWN + 1]) < 0.4
assert min(mean("o", carry)[NEEDED], mean("o", ~carry)[NEEDED]) > 0.95
assert (mean("c", ~carry) - mean("c", carry))[KNOWN : NEEDED + 1].min() > 2
assert max(mean("f", carry)[8], mean("f", ~carry)[8]) < 0.4

# %% [markdown]
# This one does what the textbook says that an LSTM can do:
#
# - **Write.** When the last ones digit is read, the forget gate closes if there is a carry (0.12) and stays half open
#   if there is none: the two cases are pulled apart in the memory cell.
# - **Keep.** While `=` and the hundreds digit are read, the forget gate is open (above 0.9) in both cases, and the
#   difference in the cell stays.
# - **Show when it is needed.** While `=` is read, the output gate is mostly closed (0.26 and 0.36); at the step that
#   writes the tens digit it is open (above 0.95).
# - **Forget**, a step late: the gate closes in both cases when the ones digit of the answer is read (0.36 and 0.06).
#
# It is also *one* unit of 144 in *one* of four models, found by looking for the best. Does the model rely on it?
#
# ## Fourth question: what if we put another carry there?
#
# Now we **intervene**. Take two problems with the same tens and with sums of the ones that differ by exactly ten, such
# as
#
# | | | ones | carry | answer |
# |---|---|---|---|---|
# | recipient | `21+42=` | 1 + 2 = 3 | no | `063` |
# | donor | `27+46=` | 7 + 6 = 13 | yes | `073` |
#
# Their right answers differ by the carry alone. Let the model read both up to the last ones digit. Then replace the
# state along time of *one layer* in the recipient by the donor's, and let it go on by itself: reading `=` and then its
# own digits. If the carry is kept in this layer, the recipient's tens digit becomes the donor's. All that can reach
# later steps is in the states along time, so replacing those of all layers must give the donor's answer.
#
# But such a donor differs in its *digits*, too. So there is a **control**: donors with the same tens, another sum of
# the ones and the *same* carry. If it is the carry that we move, these leave the tens digit right.


# %%
def pairs(fit, count=600):
    """Recipients and donors, (2, count): problems with the same tens whose sums of the ones fit."""
    rng = np.random.default_rng(SEED)
    tens = 10 * rng.integers(0, 10, (2, 1, 60_000))
    ones = rng.integers(0, 10, (2, 2, 60_000))
    first, second = (tens + ones)[:, :, fit(*ones.sum(axis=0))][:, :, :count]
    return 100 * first + second  # the number of a problem in `a` and `b`


other_carry = pairs(lambda recipient, donor: donor == recipient + 10)
same_carry = pairs(lambda recipient, donor: (donor != recipient) & ((donor > 9) == (recipient > 9)))
recipients, donors = other_carry
assert len(recipients) == len(same_carry[0]) == 600
assert ((a + b)[donors] - (a + b)[recipients] == 10).all()


def state_after(model, problems):
    """State when the last ones digit has been read."""
    return model.predict(x[: KNOWN + 1, problems], model.initial_state(len(problems)))[1]


def write(model, state):
    """Three digits that the model writes by itself from this state on, (3, problems)."""
    written = [np.full((1, len(state["time.0.h"])), x[KNOWN + 1, 0])]  # it goes on with "="
    for _ in range(3):
        logits, state = model.predict(written[-1], state)
        written.append(logits.argmax(axis=-1))
    return np.concatenate(written[1:])


def transplant(model, pairs, layers, names="hc"):
    """Digits (3, pairs) that the recipients write when `names` of `layers` are the donors'."""
    own, foreign = (state_after(model, problems) for problems in pairs)
    for layer in layers:
        for name in names:
            own[f"time.{layer}.{name}"] = foreign[f"time.{layer}.{name}"]
    return write(model, own)


def tens_like(written, problems):
    """Share of the tens digits written that are right for these problems, (..., pairs) -> (...)."""
    return (written[1] == y[NEEDED, problems]).mean(axis=-1)


CHOICES = {
    "1": [0],
    "2": [1],
    "3": [2],
    "1, 2": [0, 1],
    "1, 3": [0, 2],
    "2, 3": [1, 2],
    "all": [0, 1, 2],
}


def shares_by_choice(pairs):
    """By model and choice: shares of the tens digits that are right for the recipient, for the donor."""
    return {
        name: {c: tens_like(transplant(m, pairs, layers), pairs) for c, layers in CHOICES.items()}
        for name, m in models.items()
    }


moved, control = shares_by_choice(other_carry), shares_by_choice(same_carry)

fig, axes = plt.subplots(1, 4, figsize=(11.5, 3.6), sharey=True)
for ax, (name, shares) in zip(axes, moved.items(), strict=True):
    own, donor = 100 * np.array(list(shares.values())).T
    ax.bar(list(CHOICES), donor, color=CARRY, label="donor's")
    ax.bar(list(CHOICES), own, bottom=donor, color=NO_CARRY, label="its own")
    ax.bar(list(CHOICES), 100 - donor - own, bottom=donor + own, color="0.8", label="neither")
    ax.set(title=name, xlabel="layers transplanted")
    ax.tick_params(axis="x", labelsize=9)
    ax.grid(False)
axes[0].set_ylabel("tens digit that is written (%)")
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
fig.suptitle("A carry is transplanted into problems without one")
plt.show()

print("tens digit, %    layers", "".join(f"{c:>6s}" for c in CHOICES), "  only h only c")
for name, model in models.items():
    donor = {c: share for c, (_, share) in moved[name].items()}
    right = {c: share for c, (share, _) in control[name].items()}
    for state in "hc":
        written = transplant(model, other_carry, [0, 1, 2], state)
        donor[f"only {state}"] = tens_like(written, donors)
    print(f"{name:9s}donor's       ", "".join(f"{100 * share:6.0f}" for share in donor.values()))
    print(f"{name:9s}control, right", "".join(f"{100 * share:6.0f}" for share in right.values()))
    assert min(right.values()) > 0.88
    assert donor["all"] > 0.99 and donor["only c"] > donor["only h"] + 0.1
    if name.startswith("tied"):
        assert donor["1, 2"] > 0.95 and donor["3"] < 0.03
    else:
        assert max(donor["1, 2"], donor["1, 3"], donor["2, 3"]) < 0.9 and donor["3"] > 0.2

# %% [markdown]
# Now all four models give an answer, and the seeds of a kind agree roughly. The control leaves 90 to 100 % of the tens
# digits right: what moves them is the carry.
#
# - **Tied**: the carry is kept in layers 1 and 2. With these two from the donor the tens digit follows it nearly
#   always; with layer 3 hardly ever, although in `tied-1` a probe found the carry there (92 % in its $c^{time}$). A
#   probe finds what *can be read*, a transplant what *is used*. (The seeds differ in how layers 1 and 2 share it.)
# - **Untied**: it is spread over all three layers; any two of them leave a tenth of the tens digits or more.
# - More of it is in the memory cells than in the hidden states, in all four: `c` alone moves more tens digits than `h`
#   alone. But neither will do by itself: a state made of two halves that contradict each other is none that the model
#   has ever seen. (That also goes for single layers: a share of 40 % does not say "40 % of the carry is here".)
#
# And the unit that says carry? We transplant it alone, hidden state and memory cell; and then everything *but* it.

# %%
_, _, layer, _, unit = best["untied-1"]
model = models["untied-1"]


def with_unit_of(problems, others):
    """Share of tens digits that are the donor's: this unit as after `problems`, all else as after `others`."""
    ours, state = state_after(model, problems), state_after(model, others)
    for name in (f"time.{layer}.h", f"time.{layer}.c"):
        state[name][:, unit] = ours[name][:, unit]
    return tens_like(write(model, state), donors)


alone = with_unit_of(donors, recipients)
all_but = with_unit_of(recipients, donors)
print(
    f"only unit {unit} of layer {layer + 1} from the donor: {alone:.0%} of the tens digits are the donor's"
)
print(f"everything but this unit from the donor: {all_but:.0%}")
assert alone < 0.1
assert all_but > 0.9

# %% [markdown]
# The textbook unit moves next to nothing, and the model does not need its value. It *says* carry, but it does not
# *decide*: other units know as well, and together they outvote it. A unit that one can read is a nice picture; here it
# is no more.
#
# ## What we have seen, and what not
#
# - Nearly all gates lean with the carry; a correlation shows that they heed the digits, no more.
# - A linear probe finds the carry in states that merely know the digits, and misses it in the wrong state.
# - One of four models has a unit whose gates write, keep, show and forget the carry as in a textbook; the model does
#   not depend on it.
# - Transplants, with a control, say where it is kept: in the lower two layers of tied grids, in all layers of untied
#   ones.
#
# This holds for two seeds of each kind, one size and two digits. Whether tied grids *generally* keep such things low,
# and why, is not answered here.
#
# ## Exercises
#
# 1. **How often?** Which share of all pairs of digits has a carry, exactly? And of the problems, which share has a
#    carry out of the ones *and* one out of the tens?
# 2. **The other way round.** If the answer were written with its least significant digit first (`27+45=270`), what
#    would the model have to remember between two digits of the answer? And before the first?
# 3. **The best of many.** The best of a few thousand gates and units had a correlation of 0.5 with the carry even in
#    `tied-2`. What does the best unit of an *untrained* grid reach?
# 4. **A transplant that must succeed.** Why must the whole state from the donor give the answer that the donor would
#    have written, although the recipient's digits were read?
# 5. **Ones.** In the transplants of a carry the *ones* digit that is written tells nothing. Why? Which donors show
#    where the ones are kept?
#
# ## Solutions
#
# **1.** The sum of two digits is 10 or more in $1 + 2 + \dots + 9 = 45$ of 100 cases. With a carry from the ones, the
# tens add up to 9 or more in 55 of 100: $0.45 \cdot 0.55 = 24.75\,\%$.

# %%
has_carry = a % 10 + b % 10 >= 10
assert np.isclose(has_carry.mean(), 0.45)
assert np.isclose((has_carry & (a + b >= 100)).mean(), 0.45 * 0.55)

# %% [markdown]
# **2.** One bit, the carry, and of course all digits that are still to be added. Before the first digit: nothing but
# the digits. In the order used here the model must know *all* carries before it writes anything, since the hundreds
# digit depends on both. With more digits that gets much harder: schoolchildren write from the right.
#
# **3.** Not that little: among many numbers that depend on the digits there is always one that rises with their sum.

# %%
reached = best_unit(probed["untrained"])[0]
print(f"best of an untrained grid {reached:.2f}, of tied-2 {best['tied-2'][0]:.2f}")
assert reached > 0.4

# %% [markdown]
# **4.** What a grid writes next depends on the states along time and the character read, nothing else; the states along
# depth begin anew with each character. The recipient's digits have left no trace but in the state that we replaced.
# From there on both read the same: `=` and then what they write themselves.

# %%
for model in models.values():
    whole = transplant(model, other_carry, [0, 1, 2])
    assert (whole == write(model, state_after(model, donors))).all()

# %% [markdown]
# **5.** Recipient and donor were chosen to have the *same* ones digit in the answer. The donors of the control have
# another one and the same carry; look at the last digit written:

# %%
for name, model in models.items():
    shares = [
        (transplant(model, same_carry, [layer])[2] == y[7, same_carry[1]]).mean()
        for layer in range(3)
    ]
    print(f"{name:9s} donor's ones digit, by layer: " + ", ".join(f"{n:.0%}" for n in shares))
    assert np.argmax(shares) == (0 if name.startswith("tied") else 1)

# %% [markdown]
# The largest share is in the lowest layer of the tied grids, in the second of the untied ones.
