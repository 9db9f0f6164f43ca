# %% [markdown]
# # 7. Carrying a digit: what the gates do while a grid adds
#
# In the other notebooks a model reads text, and we rarely know what it *has* to remember. Here we do. The model reads
# `27+45=` and goes on with `072`. To write the tens digit it must know whether the ones have a **carry**, one bit,
# which stands nowhere in the text. We ask where in a trained grid this bit is, in four ways, and learn about the ways
# of asking as much as about the grid.
#
# Afterwards you can
# - say what tying the layers saved and cost here,
# - name two reasons why "a linear probe finds it" does not mean "the model computes it",
# - transplant a state from one problem to another and read off where a piece of information is kept.

# %%
# %matplotlib inline
import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from minigrid import CharModel, load, trace
from minigrid.addition import held_out, vocabulary

SEED = 7
rng = np.random.default_rng(SEED)
COLOURS = plt.rcParams["axes.prop_cycle"].by_key()["color"]

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
    assert name == "tied-2" or whole[new].mean() > 0.99
assert new.sum() == 503

# %% [markdown]
# They *add*: what they were never shown they get as right as the rest. How they got there (the dots are validations,
# after every 1000 minibatches of 100 problems):

# %%
fig, ax = plt.subplots(figsize=(7.5, 4))
reached = {}
for name in NAMES:
    file = Path("../experiments/pretrained") / f"addition-{name}.jsonl"
    records = [json.loads(line) for line in file.read_text().splitlines()]
    val = [r for r in records if r["split"] == "val"]
    tied, seed = name.split("-")
    colour, style = COLOURS[tied == "untied"], "o-" if seed == "1" else "s--"
    problems, digits = [r["step"] / 10 for r in val], [100 * r["digits"] for r in val]
    ax.plot(problems, digits, style, color=colour, label=f"{tied}, seed {seed}")
    reached[name] = next((r["step"] / 10 for r in val if r["digits"] >= 0.99), np.inf)
ax.set(xlabel="problems trained on (thousands)", ylabel="held-out digits right (%)", ylim=(40, 103))
ax.legend(loc="lower right")
plt.show()

print("99 % of the digits after (thousand problems):", reached)
assert max(reached["untied-1"], reached["untied-2"]) <= min(reached["tied-1"], reached["tied-2"])

# %% [markdown]
# The untied grids are there sooner, with three times as many parameters and the same amount of computation. The tied
# ones have to do with one pair of LSTMs for all layers: one of them learns it completely all the same, the other gets
# 98 % of the digits. Two seeds each are an observation, not a law; `experiments/addition` looks at more depths.
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
    name: np.concatenate([lean(traces[name][gate]) for gate in GATES])
    for name in ("tied-1", "untied-1")
}
fig, axes = plt.subplots(1, 2, figsize=(11, 6), sharey=True)
top = max(values.max() for values in leaning.values())
for ax, (name, values) in zip(axes, leaning.items(), strict=True):
    image = ax.imshow(values, vmin=0, vmax=top, aspect="auto", cmap="viridis")
    ax.set_xticks(range(9), [f"{what}" for what in READING], rotation=60, ha="right")
    ax.set(title=name, xlabel="character read")
    for edge in range(3, 18, 3):
        ax.axhline(edge - 0.5, color="white", linewidth=1.5)
    ax.grid(False)
axes[0].set_yticks(range(18), [f"{gate}  layer {n + 1}" for gate in GATES for n in range(3)])
fig.colorbar(image, ax=axes, label="difference between carry and none")
plt.show()

lowest_depth_f = 3 * GATES.index("depth.f")
assert leaning["untied-1"][lowest_depth_f].max() < 0.05 < leaning["tied-1"][lowest_depth_f].max()
for values in leaning.values():
    assert values[:, 0].max() < 0.02  # the first tens digit says nothing about the ones
    assert values[:, 4].mean() > 5 * values[:, 0].mean()

# %% [markdown]
# Everything differs. From the *first* ones digit on, gates lean one way (a 9 makes a carry likely), and once the second
# one is read, gates of all kinds, in all layers, along time and along depth, are different if there is a carry. That is
# no answer yet. With a carry the digits read are larger, and any gate that heeds digits will differ.
#
# (One row stays dark: `depth.f` of layer 1 in the untied grid. The memory cell along depth begins at zero, so the
# lowest forget gate has nothing to forget and its weights never get a gradient. In the tied grid it shares its weights
# with the layers above.)
#
# ## Second question: can a probe read it off?
#
# A **linear probe** is a linear map from a layer's state to one number, fitted to say "carry" or "none" on half of the
# problems and tested on the other half. We fit it by least squares, to $h^{depth}$, which is all that the decoder and
# the layers above ever see of $h$.

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
accuracy = {}
print("            last ones digit read         tens digit to be written")
print("layer          1      2      3             1      2      3")
for name, seen in {**traces, "untrained": read(untrained)}.items():
    found = np.array([[probe(seen["depth.h"][n, t]) for n in range(3)] for t in (KNOWN, NEEDED)])
    accuracy[name] = found
    print(f"{name:10s}", "       ".join("".join(f"{share:7.0%}" for share in row) for row in found))

pair = np.concatenate([np.eye(10)[a[chosen] % 10], np.eye(10)[b[chosen] % 10]], axis=1)
guess = max(carry.mean(), 1 - carry.mean())
print(
    f"\nprobe on the two ones digits alone: {probe(pair):.0%}; always the same answer: {guess:.0%}"
)

assert accuracy["untied-1"].min() > 0.9
assert probe(pair) > 0.97
assert accuracy["untrained"][0].min() > guess + 0.1
assert accuracy["tied-2"].max() < accuracy["untrained"].max() + 0.1

# %% [markdown]
# In three of the models a probe finds the carry nearly always, in every layer. Before you believe it, look at the two
# lines below.
#
# - It finds it just as well in **nothing but the digits** (10 numbers for each of the two, a 1 at the digit). A carry
#   *is* a threshold of a linear map of these. A state that still knows which digits were read gives the probe all it
#   needs, and the adding is done by the probe.
# - Even in an **untrained** grid it is well above guessing, for the same reason.
#
# And in `tied-2`, which gets 99 % of the digits right, it finds hardly more than in the untrained grid. So a probe that
# succeeds does not say that the model has computed the carry, and one that fails does not say that it has not: what is
# kept need not be kept linearly.
#
# ## Third question: a step or a ramp?
#
# A unit that says "carry" has one value for all problems whose ones add up to 9 or less, and another from 10 on. So we
# plot a unit over the **sum of the ones**, 0 to 18. For each model we take, of all gates and states when the last ones
# digit is read or the tens digit is to be written, the one that correlates best with the carry.

# %%
sums = np.arange(19)


def profile(values):
    """Mean over the problems of each sum of the ones: (problems, units) -> (19, units)."""
    return np.stack([values[ones_sum == k].mean(axis=0) for k in sums])


def correlations(values):
    """Correlation of every unit, (problems, units), with the carry; 0 where a unit does not move."""
    centred, bit = values - values.mean(axis=0), carry - carry.mean()
    scale = np.linalg.norm(centred, axis=0) * np.linalg.norm(bit)
    return np.divide(bit @ centred, scale, out=np.zeros(values.shape[1]), where=scale > 1e-3)


def jump(means):
    """How much of its whole range a profile moves between 9 and 10."""
    return abs(means[10] - means[9]) / np.ptp(means, axis=0)


best = {}
for name, seen in traces.items():
    best[name] = max(
        (abs(r), kind, layer, step, unit)
        for kind in GATES + STATES
        for layer in range(3)
        for step in (KNOWN, NEEDED)
        for unit, r in enumerate(correlations(seen[kind][layer, step].astype("float64")))
    )

fig, axes = plt.subplots(1, 4, figsize=(11.5, 3.6))
jumps = {}
for ax, (name, (r, kind, layer, step, unit)) in zip(axes, best.items(), strict=True):
    values = traces[name][kind][layer, step][:, [unit]]
    means = profile(values)[:, 0]
    spread = np.array([values[ones_sum == k].std() for k in sums])
    jumps[name] = jump(means)
    ax.axvspan(9.5, 18.5, color="0.93", zorder=0)
    ax.errorbar(sums, means, yerr=spread, fmt="o-", markersize=4, linewidth=1, elinewidth=0.8)
    ax.set(xlabel="sum of the ones", xticks=(0, 5, 10, 15))
    what = "read" if step == KNOWN else "written"
    ax.set_title(
        f"{name}: {kind}, layer {layer + 1},\nunit {unit}, r = {r:.2f}, jump {jumps[name]:.2f}",
        fontsize=10,
    )
axes[0].set_ylabel("value (mean, standard deviation)")
fig.suptitle("The unit that correlates best with the carry (shaded: there is one)")
plt.show()

ramp = correlations(ones_sum[:, None].astype("float64"))[0]
print(
    f"a plain ramp, the sum itself, correlates {ramp:.2f} with the carry and has a jump of {1 / 18:.2f}"
)
assert ramp > 0.75
assert best["untied-1"][0] > 0.9
assert jumps["untied-1"] > 0.6
assert jumps["tied-1"] < 0.4
assert best["tied-1"][0] > 0.8
assert best["tied-2"][0] < 0.7

# %% [markdown]
# The correlations are high, and still the four are different things.
#
# - `untied-1` has a unit that **says carry**: flat, a step between 9 and 10, flat again.
# - The best units of `tied-1` and `untied-2` rise over several sums: they follow the *size* of the sum, and correlate
#   with the carry as even the bare sum would (0.82).
# - In `tied-2` no single number says it: the information must lie in many units at once.
#
# So "the carry unit" exists in one of four models. What do its gates do while the carry waits, from the last ones digit
# on until the tens digit is written?

# %%
_, kind, layer, _, unit = best["untied-1"]
assert kind == "time.h"
seen = {name: traces["untied-1"][f"time.{name}"][layer, :, :, unit] for name in "ifoch"}
titles = {
    "i": "input gate",
    "f": "forget gate",
    "o": "output gate",
    "c": "memory cell",
    "h": "hidden state",
}

fig, axes = plt.subplots(1, 5, figsize=(12, 3.8), sharex=True)
for ax, (name, values) in zip(axes, seen.items(), strict=True):
    for there, colour, label in ((~carry, COLOURS[0], "no carry"), (carry, COLOURS[1], "carry")):
        mean, spread = values[:, there].mean(axis=1), values[:, there].std(axis=1)
        ax.plot(mean, "o-", markersize=4, color=colour, label=label)
        ax.fill_between(
            range(9), mean - spread, mean + spread, color=colour, alpha=0.2, linewidth=0
        )
    ax.set_title(titles[name])
    ax.set_xticks(range(9), READING, rotation=90)
for ax in axes[:3]:
    ax.set_ylim(-0.03, 1.03)
axes[0].legend()
fig.suptitle(f"untied-1, along time, layer {layer + 1}, unit {unit} (mean, standard deviation)")
plt.show()


def mean(name, there):
    """Mean at each step over the problems with or without a carry."""
    return seen[name][:, there].mean(axis=1)


WAIT = slice(KNOWN + 1, NEEDED + 1)  # "=" and the hundreds digit are read
assert mean("f", carry)[KNOWN] < 0.2 < 0.5 < mean("f", ~carry)[KNOWN]
assert min(mean("f", carry)[WAIT].min(), mean("f", ~carry)[WAIT].min()) > 0.9
assert max(mean("o", carry)[KNOWN + 1], mean("o", ~carry)[KNOWN + 1]) < 0.5
assert min(mean("o", carry)[NEEDED], mean("o", ~carry)[NEEDED]) > 0.95
assert (mean("c", ~carry) - mean("c", carry))[KNOWN : NEEDED + 1].min() > 2

# %% [markdown]
# This one does what the textbook says that an LSTM can do:
#
# - **Write.** When the last ones digit is read, the forget gate closes if there is a carry (0.1) and stays half open if
#   there is none: the two cases are pulled apart in the memory cell.
# - **Keep.** While `=` and the hundreds digit are read, the forget gate is open (above 0.9) in both cases, and the
#   difference in the cell stays.
# - **Show when it is needed.** While `=` is read, the output gate is half closed; at the step that writes the tens
#   digit it is open (above 0.95).
# - **Forget.** When the tens digit has been written and is read, the forget gate begins to close again.
#
# It is also *one* unit of 144 in *one* of four models, found by looking for the best. Does the model rely on it? And
# where is the carry in the models that have no such unit?
#
# ## Fourth question: what if we put another carry there?
#
# All so far were correlations. Now we **intervene**. Take two problems with the same tens and with sums of the ones
# that differ by exactly ten, such as
#
# | | | ones | carry | answer |
# |---|---|---|---|---|
# | recipient | `21+42=` | 1 + 2 = 3 | no | `063` |
# | donor | `27+46=` | 7 + 6 = 13 | yes | `073` |
#
# The right answers have the same ones digit and differ by the carry alone. Let the model read both up to the last ones
# digit. Then replace the state along time of *one layer* in the recipient by the donor's, and let it go on by itself:
# reading `=` and then its own digits. If the carry is kept in this layer, the recipient's tens digit becomes the
# donor's. All that can reach later steps is in the states along time, so replacing those of all layers must give the
# donor's answer.

# %%
by_tens_and_sum = {}
for n in range(len(a)):
    by_tens_and_sum.setdefault((a[n] // 10, b[n] // 10, a[n] % 10 + b[n] % 10), []).append(n)
recipients, donors = [], []
while len(recipients) < 600:
    low = (
        *rng.integers(0, 10, 2),
        rng.integers(0, 9),
    )  # both tens, and a sum of the ones without a carry
    recipients.append(rng.choice(by_tens_and_sum[low]))
    donors.append(rng.choice(by_tens_and_sum[*low[:2], low[2] + 10]))
recipients, donors = np.array(recipients), np.array(donors)
assert (b[donors] + a[donors] - a[recipients] - b[recipients] == 10).all()


def state_after(model, problems):
    """State when the last ones digit has been read."""
    return model.predict(x[: KNOWN + 1, problems], model.initial_state(len(problems)))[1]


def write(model, state):
    """Three digits that the model writes by itself from this state on, (3, problems)."""
    written = [x[KNOWN + 1 : KNOWN + 2, recipients]]  # it goes on with "="
    for _ in range(3):
        logits, state = model.predict(written[-1], state)
        written.append(logits.argmax(axis=-1))
    return np.concatenate(written[1:])


def follows_donor(model, layers, names="hc"):
    """Share of the tens digits that are the donor's, and that stay the recipient's, when `names` of `layers` are."""
    own, foreign = state_after(model, recipients), state_after(model, donors)
    for layer in layers:
        for name in names:
            own[f"time.{layer}.{name}"] = foreign[f"time.{layer}.{name}"]
    digit = write(model, own)[1]
    return (digit == y[NEEDED, donors]).mean(), (digit == y[NEEDED, recipients]).mean()


CHOICES = {
    "1": [0],
    "2": [1],
    "3": [2],
    "1, 2": [0, 1],
    "1, 3": [0, 2],
    "2, 3": [1, 2],
    "all": [0, 1, 2],
}
moved = {
    name: {c: follows_donor(m, layers) for c, layers in CHOICES.items()}
    for name, m in models.items()
}

fig, axes = plt.subplots(1, 4, figsize=(11.5, 3.6), sharey=True)
for ax, (name, shares) in zip(axes, moved.items(), strict=True):
    donor, own = 100 * np.array(list(shares.values())).T
    ax.bar(list(CHOICES), donor, color=COLOURS[1], label="donor's")
    ax.bar(list(CHOICES), own, bottom=donor, color=COLOURS[0], label="its own")
    ax.bar(list(CHOICES), 100 - donor - own, bottom=donor + own, color="0.8", label="neither")
    ax.set(title=name, xlabel="layers transplanted")
    ax.tick_params(axis="x", labelsize=9)
    ax.grid(False)
axes[0].set_ylabel("tens digit that is written (%)")
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
fig.suptitle("A carry is transplanted into problems without one")
plt.show()

for name, shares in moved.items():
    by_state = {n: follows_donor(models[name], [0, 1, 2], n)[0] for n in "hc"}
    print(
        f"{name:9s} donor's tens digit: layers 1 and 2 {shares['1, 2'][0]:4.0%}, layer 3 {shares['3'][0]:4.0%};"
        f" of all layers only h {by_state['h']:4.0%}, only c {by_state['c']:4.0%}"
    )
    assert shares["all"][0] > 0.99
    assert by_state["c"] > by_state["h"] + 0.1
    if name.startswith("tied"):
        assert shares["1, 2"][0] > 0.95
        assert shares["3"][0] < 0.03
        assert shares["3"][1] > 0.95
    else:
        assert max(shares[pair][0] for pair in ("1, 2", "1, 3", "2, 3")) < 0.82
        assert shares["3"][0] > 0.2

# %% [markdown]
# Now all four models give an answer, and both seeds of a kind agree.
#
# - **Tied**: the carry is kept in layers 1 and 2. With these two from the donor the tens digit follows it nearly
#   always; with layer 3 from the donor it hardly ever does, although in `tied-1` a probe found the carry there (87 %).
#   A probe finds what *can be read*, a transplant what *is used*.
# - **Untied**: it is spread over all three layers; any two of them leave a fifth of the tens digits or more.
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
    return (write(model, state)[1] == y[NEEDED, donors]).mean()


alone = with_unit_of(donors, recipients)
all_but = with_unit_of(recipients, donors)
print(
    f"only unit {unit} of layer {layer + 1} from the donor: {alone:.0%} of the tens digits are the donor's"
)
print(f"everything but this unit from the donor: {all_but:.0%}")
assert alone < 0.1
assert all_but > 0.9

# %% [markdown]
# The textbook unit moves next to nothing, and the model does without it. It *says* carry, but it does not *decide*:
# other units know as well, and together they outvote it. A single unit that one can read is a nice picture, and no
# more.
#
# ## What we have seen, and what not
#
# - All gates of all layers lean with the carry; a correlation shows that they heed the digits, no more.
# - A linear probe finds the carry in states that merely know the digits, and misses it in a model that adds.
# - One of four models has a unit whose gates write, keep, show and forget the carry as in a textbook; the model does
#   not depend on it.
# - Transplants say where it is kept: in the lower two layers of tied grids, in all layers of untied ones.
#
# This holds for two seeds of each kind, one size and two digits. Whether tied grids *generally* keep such things low,
# and why, is not answered here: in a tied grid the top layer has the same weights as the others, and cannot have the
# job of remembering without their having it, too.
#
# ## Exercises
#
# 1. **How often?** Which share of all pairs of digits has a carry, exactly? And of the problems, which share has a
#    carry out of the ones *and* one out of the tens?
# 2. **The other way round.** If the answer were written with its least significant digit first (`27+45=270`), what
#    would the model have to remember between two digits of the answer? And before the first?
# 3. **The best of many.** The best of a few thousand gates and units had a correlation of 0.5 with the carry even in
#    `tied-2`. What does the best unit of an *untrained* grid reach?
# 4. **A transplant that must succeed.** Why must the whole state from the donor give the donor's answer, although the
#    recipient's digits were read?
# 5. **Ones.** In the transplants of all layers the *ones* digit tells nothing. Why, and how would you choose the donors
#    to learn where the ones are kept?
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
# digit depends on both. With more digits that gets much harder, and schoolchildren write from the right for that
# reason.
#
# **3.** Not that little: among many numbers that depend on the digits there is always one that rises with their sum.

# %%
seen = read(untrained)
reached = max(
    abs(correlations(seen[kind][layer, step].astype("float64"))).max()
    for kind in GATES + STATES
    for layer in range(3)
    for step in (KNOWN, NEEDED)
)
print(f"best of an untrained grid {reached:.2f}, of tied-2 {best['tied-2'][0]:.2f}")
assert reached > 0.4

# %% [markdown]
# **4.** What a grid writes next depends on the states along time and the character read, nothing else; the states along
# depth begin anew with each character. The recipient's digits have left no trace but in the state that we replaced.
# From there on both read the same: `=` and then what they write themselves.

# %%
model = models["tied-1"]
assert (write(model, state_after(model, donors)) == y[ANSWER, donors]).all()

# %% [markdown]
# **5.** Recipient and donor were chosen to have the *same* ones digit in the answer. For the ones one takes pairs with
# the same carry and other ones digits, and looks at the last digit written:

# %%
shift = rng.integers(0, len(a), (2, 20_000))
ones, tens_pairs = a % 10 + b % 10, (a // 10, b // 10)
alike = (ones[shift[0]] != ones[shift[1]]) & ((ones >= 10)[shift[0]] == (ones >= 10)[shift[1]])
for digit in tens_pairs:
    alike &= digit[shift[0]] == digit[shift[1]]
recipients, donors = shift[:, alike]
for name, model in models.items():
    own, foreign = state_after(model, recipients), state_after(model, donors)
    shares = []
    for layer in range(3):
        mixed = own | {f"time.{layer}.{n}": foreign[f"time.{layer}.{n}"] for n in "hc"}
        shares.append((write(model, mixed)[2] == y[7, donors]).mean())
    print(
        f"{name:9s} ones digit is the donor's, by layer: "
        + ", ".join(f"{share:.0%}" for share in shares)
    )
    assert (write(model, foreign)[2] == y[7, donors]).mean() > 0.95
    assert np.argmax(shares) == (0 if name.startswith("tied") else 1)

# %% [markdown]
# Most of the ones is in one layer: the lowest of the tied grids, the second of the untied ones.
