# %% [markdown]
# # 2. From a step to a sequence: backpropagation through time
#
# [Notebook 1](01_lstm_by_hand.ipynb) took one step of an LSTM, forward and backward. A text is a sequence of such
# steps. Here we chain them: first forward, then backward, then cut the chain into pieces (**truncation**) and look at
# what that costs; and we watch how much of a gradient is left after it has passed through many steps.
#
# Afterwards you can
# - say what "backpropagation through time" adds to one step (little: a sum and a hand-over),
# - say what is carried over the border of a minibatch and what is not, and what can't be learnt for that reason,
# - read gradient norms by lag: vanishing, exploding, and what forget gates change,
# - say why clipping thresholds depend on T, and what clipping protects.

# %%
# %matplotlib inline
import matplotlib.pyplot as plt
import numpy as np

from minigrid import CharModel, TrainStep, plots, trace
from minigrid.analysis.gradcheck import central_difference
from minigrid.nn.ops import cross_entropy_backward, cross_entropy_forward
from minigrid.training.optim import clip_elements, clip_norm, global_norm, make_optimizer

SEED = 2
rng = np.random.default_rng(SEED)

# %% [markdown]
# ## Forward: the same step, again and again
#
# At time $t$ the step reads the character $x_t$ and the state that the step before has left. The **same weights** serve
# at every time:
#
# $$a_t = x_t W_x + h_{t-1} W_h + bias \qquad\qquad (h_t, c_t) = \mathrm{lstm}(a_t, c_{t-1})$$
#
# $h_t$ also goes up, to the **decoder**, which makes one score (**logit**) for each of the $V$ characters:
# $logits_t = h_t W_{dec} + bias_{dec}$.
#
# In minigrid characters are ids in an array of shape $(T, B)$: $T$ time steps, $B$ sequences side by side. Reading $T$
# steps at once must be the same as reading one step at a time and handing the state on.

# %%
T, B, V, H = 6, 2, 5, 4
model = CharModel(model="lstm", vocab_size=V, hidden=H, layers=1, dtype="float64", seed=SEED)
x = rng.integers(0, V, (T, B))
y = rng.integers(0, V, (T, B))  # the characters to predict
start = model.initial_state(batch=B)  # zeros

logits, end, cache = model.forward(x, start)

state, caches = start, []
for t in range(T):
    logits_t, state, cache_t = model.forward(x[t : t + 1], state)
    caches.append(cache_t)
    assert np.allclose(logits_t[0], logits[t], rtol=1e-12)
assert all(np.allclose(state[name], end[name], rtol=1e-12) for name in end)

# %% [markdown]
# ## The loss, and where the gradient starts
#
# Softmax turns a step's scores into probabilities, and the loss is minus the logarithm of the probability of the right
# character, averaged over all $T B$ predictions. Its gradient is the simplest one in this whole subject:
#
# $$p_v = \frac{e^{logits_v}}{\sum_w e^{logits_w}} \qquad loss = -\frac{1}{TB} \sum_{t,b} \log p_{y}
# \qquad\Rightarrow\qquad dlogits_v = \frac{p_v - [v = y]}{TB}$$
#
# To see it: $-\log p_y = \log \sum_w e^{logits_w} - logits_y$. The first term's derivative with respect to $logits_v$
# is $p_v$, the second's is 1 for $v = y$ and 0 otherwise. And by measurement, for one score:

# %%
loss, loss_cache = cross_entropy_forward(logits, y)
dlogits = cross_entropy_backward(loss_cache)

p = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
right = np.eye(V)[y]  # 1 at the right character, (T, B, V)
assert np.allclose(dlogits, (p - right) / (T * B), rtol=1e-10)

nudge = np.zeros_like(logits)
nudge[3, 1, 2] = 1
measured = central_difference(lambda e: float(cross_entropy_forward(logits + e * nudge, y)[0]))
assert np.isclose(dlogits[3, 1, 2], measured, rtol=1e-8)

# %% [markdown]
# ## Backward: two gradients meet at every step
#
# $h_t$ is read by the decoder **and** by the next step, so its gradient is a sum of two; $c_t$ is read by the next step
# (and by its own $h_t$, as in notebook 1). The weights are read at every step, so theirs is a sum over all steps:
#
# $$dh_t = \underbrace{dlogits_t\,W_{dec}^\top}_{\text{from this step's loss}} +
# \underbrace{da_{t+1} W_h^\top}_{\text{from the next step}}$$
#
# $$dc_t = \underbrace{dh_t\,o_t\,(1 - s_t^2)}_{\text{from } h_t} +
# \underbrace{dc_{t+1}\,f_{t+1}}_{\text{from the next step}} \qquad\qquad dW_h = \sum_t h_{t-1}^\top\,da_t$$
#
# So the backward pass starts at the last step, where nothing arrives from a next one, and each step hands a gradient to
# the step *before* it. That is all that "through time" means. We can spell it out with nothing but one-step backward
# passes, the ones you derived:

# %%
arriving = {name: np.zeros((B, H)) for name in end}  # nothing comes from beyond the end
total = 0
for t in reversed(range(T)):
    # what leaves step t arrives at step t - 1
    grads_t, arriving = model.backward(caches[t], dlogits[t : t + 1], arriving)
    total = total + grads_t.flat

grads, dstart = model.backward(cache, dlogits)  # minigrid's backward pass over the whole sequence
assert np.allclose(total, grads.flat, rtol=1e-10, atol=1e-15)
assert all(np.allclose(arriving[name], dstart[name], rtol=1e-10) for name in dstart)

_, same, _ = model.loss_and_grads(x, y, start)  # and forward, loss and backward in one call
assert np.allclose(same.flat, grads.flat, rtol=1e-12)

# %% [markdown]
# ## Cutting the sequence: truncated backpropagation through time
#
# A text has millions of characters; the caches of all its steps fit into no memory, and we do not want to wait for the
# end of the text before the first update. So the text is cut into minibatches of $T$ steps:
#
# - the **state is carried**: a minibatch begins in the state in which the one before has ended;
# - the **gradient is cut**: nothing arrives from the next minibatch (it has not been read yet).
#
# Forward, cutting changes nothing. Backward, we get the exact gradient again *if* we hand the gradient over the border,
# and a different one if we don't:

# %%
half = T // 2
first_logits, middle, first_cache = model.forward(x[:half], start)
second_logits, _, second_cache = model.forward(x[half:], middle)
assert np.allclose(np.concatenate([first_logits, second_logits]), logits, rtol=1e-12)

second_grads, over_the_border = model.backward(second_cache, dlogits[half:])
first_grads, _ = model.backward(first_cache, dlogits[:half], over_the_border)
assert np.allclose(first_grads.flat + second_grads.flat, grads.flat, rtol=1e-10, atol=1e-15)

truncated_grads, _ = model.backward(first_cache, dlogits[:half])  # the gradient is cut
truncated = truncated_grads.flat + second_grads.flat
off = np.linalg.norm(truncated - grads.flat) / np.linalg.norm(grads.flat)
print(f"truncated against exact: {off:.1%} off")
assert not np.allclose(truncated, grads.flat, rtol=1e-3)

# %% [markdown]
# What exactly is lost? Take the loss at step $t$ alone and ask how much it depends on the input at step $t'$. We read
# the answer off the embedding: if every step reads a **different character**, then the gradient of a character's row in
# the embedding is the gradient of the input at the one step that read it. (We shall use this trick throughout.)

# %%
BLUE, ORANGE = plt.rcParams["axes.prop_cycle"].by_key()["color"][:2]


def input_gradients(model, dlogits):
    """Gradient of the input at each step, (T, B, H), for characters that are all different."""
    steps, batch, _ = dlogits.shape
    x = np.arange(steps * batch).reshape(steps, batch)
    _, _, cache = model.forward(x, model.initial_state(batch))
    grads, _ = model.backward(cache, dlogits)
    return grads["embedding.weight"][x]


T, cut = 12, 4
model = CharModel(model="lstm", vocab_size=T, hidden=32, layers=1, dtype="float64", seed=SEED)
influence = np.zeros((T, T))
for t in range(T):
    only_t = np.zeros((T, 1, T))
    only_t[t] = rng.standard_normal(T)  # any gradient of the scores at step t will do
    influence[t] = np.linalg.norm(input_gradients(model, only_t), axis=(1, 2))

fig, ax = plt.subplots(figsize=(6.4, 5.2))
with np.errstate(divide="ignore"):
    image = ax.imshow(np.ma.masked_equal(influence, 0), norm="log", cmap="viridis")
for edge in range(0, T, cut):
    ax.add_patch(
        plt.Rectangle((edge - 0.5, edge - 0.5), cut, cut, fill=False, edgecolor=ORANGE, linewidth=3)
    )
ax.set(
    xlabel="step t' that read the input",
    ylabel="step t whose loss is asked",
    xticks=range(T),
    yticks=range(T),
)
ax.set_title(
    "How much the loss at t depends on the input at t'\n(truncation to T = 4 keeps what is framed)"
)
ax.grid(False)
fig.colorbar(image, label="norm of the gradient")
plt.show()

assert (np.triu(influence, 1) == 0).all()  # no loss depends on later inputs
for t in range(T):
    assert (np.diff(influence[t, : t + 1]) > 0).all()  # the farther back, the less

# %% [markdown]
# The upper triangle is empty: nothing depends on the future. Along each row the gradient fades with the **lag** $t -
# t'$. (Compare colours within a row only: each row started from another random gradient.) Truncation keeps the framed
# blocks; everything below and to the left of them is taken to be 0. Not because it is 0, but because it is not
# computed. Note that a step in the middle of a block looks back less far than its last step.
#
# The longer the minibatches, the less is missing. How much is it? We compare the truncated with the exact gradient, on
# a text of 64 random characters.

# %%
T, V = 64, 20
x, y = rng.integers(0, V, (2, T, 8))
lengths = [1, 2, 4, 8, 16, 32, 64]


def truncated_gradient(model, length):
    """Gradient of the loss over all of x, cut every `length` steps, the state carried."""
    state, total = model.initial_state(x.shape[1]), 0
    for at in range(0, len(x), length):
        _, grads, state = model.loss_and_grads(x[at : at + length], y[at : at + length], state)
        share = length / len(x)  # each piece's loss is a mean over its own steps
        total = total + share * grads.flat
    return total


fig, ax = plt.subplots(figsize=(7, 4))
for bias, marker in ((1, "o-"), (3, "s-")):
    model = CharModel(model="lstm", vocab_size=V, hidden=32, layers=1, dtype="float64", seed=SEED)
    model.params["lstm.0.bias"][32:64] += bias - 1  # forget gates; minigrid starts them at 1
    exact = truncated_gradient(model, T)
    off = [
        np.linalg.norm(truncated_gradient(model, n) - exact) / np.linalg.norm(exact)
        for n in lengths
    ]
    ax.plot(lengths, off, marker, label=f"forget gates start at bias {bias}")
    assert off[-1] == 0  # nothing is cut
    assert off[0] > off[3] > off[5]
ax.set_xscale("log", base=2)
ax.set_xticks(lengths, lengths)
ax.set(xlabel="steps T between two cuts", ylabel="|truncated - exact| / |exact|", ylim=(0, None))
ax.set_title("What truncation leaves out of the gradient")
ax.legend()
plt.show()
assert off[5] > 0.3  # the last line drawn: bias 3, cut every 32 steps

# %% [markdown]
# The better a network remembers, the more truncation takes away: with forget gates near 1 a third of the gradient is
# missing even when we cut only every 32 steps.
#
# ## What truncation can't learn, and what the carried state saves
#
# A small error in the gradient may not matter. But here is a text where all that matters lies beyond the cut. It
# consists of groups of eight characters: one of four keys, five dots, a question mark, and the key again:
#
# ```
# a.....?ac.....?ca.....?ab.....?b
# ```
#
# Only one prediction in each group is scored: after `?` the model must say the key, which it saw **six steps** earlier.
# We train the same small LSTM twice, with minibatches of $T = 8$ steps (one group) and of $T = 4$ (half a group, so
# that a cut always lies between key and question). Both carry their state. With $T = 4$ only every second minibatch
# has a question in it, so read that curve as one of half as many updates. Who guesses has a loss of $\ln 4 = 1.386$
# nats.

# %%
KEYS, GROUP, B = 4, 8, 32
DOT, QUESTION, NOT_SCORED = 4, 5, -1


def keys_and_questions(groups, seed):
    """Return characters and targets, (8 * groups, B) each."""
    keys = np.random.default_rng(seed).integers(0, KEYS, (groups, B))
    x = np.full((groups * GROUP, B), DOT)
    x[0::GROUP], x[6::GROUP], x[7::GROUP] = keys, QUESTION, keys
    y = np.full_like(x, NOT_SCORED)
    y[6::GROUP] = keys
    return x, y


def mean_loss(model, T, carry=True):
    """Loss on a fresh text, read in pieces of T steps, with the state carried over or set to zero at each cut."""
    x, y = keys_and_questions(20, seed=99)
    state, losses = model.initial_state(B), []
    for at in range(0, len(x), T):
        y_piece = y[at : at + T]
        loss, state = model.loss(
            x[at : at + T], y_piece, state if carry else model.initial_state(B)
        )
        if (y_piece != NOT_SCORED).any():
            losses.append(float(loss))
    return np.mean(losses)


def learn(T, updates=500):
    """Train on the task; return the model and its loss at every 20th update."""
    model = CharModel(model="lstm", vocab_size=6, hidden=32, layers=1, seed=SEED)
    step = TrainStep(model, lr=5e-3)  # carries the state from call to call
    x, y = keys_and_questions(updates * T // GROUP, seed=SEED)
    curve = []
    for k in range(updates):
        step(x[k * T : (k + 1) * T], y[k * T : (k + 1) * T])
        if k % 20 == 0:
            curve.append(mean_loss(model, GROUP))
    return model, curve


fig, ax = plt.subplots(figsize=(7, 4))
trained = {}
for T in (8, 4):
    trained[T], curve = learn(T)
    ax.plot(20 * np.arange(len(curve)), curve, label=f"trained with T = {T}")
ax.axhline(np.log(4), color="black", linestyle=":", label="guessing, ln 4")
ax.set(
    xlabel="updates",
    ylabel="loss (nats per question)",
    title="The key lies six steps before the question",
    ylim=(0, 2),
)
ax.legend(loc="center right")
plt.show()

guessing = np.log(KEYS)
assert mean_loss(trained[8], GROUP) < 0.05
assert mean_loss(trained[4], GROUP) > 0.95 * guessing

# %% [markdown]
# With $T = 4$ the gradient of the answer goes back from step 6 of the group to step 4 and ends there, at the cut. The
# key was read at step 0: no gradient ever tells the input gate, at that time, that the key will be asked for.
#
# The forward pass, however, knows no cuts. Once the LSTM *has* learnt to keep the key, it can be read in pieces of any
# length, even one step at a time (sampling a text does just that), as long as the state is carried:

# %%
for T, carry in ((8, True), (4, True), (1, True), (4, False)):
    how = "carried" if carry else "set to zero"
    print(
        f"read {T} steps at a time, state {how:12s} loss {mean_loss(trained[8], T, carry):.3f} nats"
    )
assert np.isclose(mean_loss(trained[8], 4), mean_loss(trained[8], 8), rtol=1e-2, atol=1e-4)
assert np.isclose(mean_loss(trained[8], 1), mean_loss(trained[8], 8), rtol=1e-2, atol=1e-4)
assert mean_loss(trained[8], 4, carry=False) > 0.9 * guessing

# %% [markdown]
# Set to zero at the cut, the state has lost the key. The loss is far *above* that of guessing: the LSTM has learnt to
# be sure of its answer, and now it is mostly sure of a wrong one.
#
# A carried state must be a *copy*, by the way. In the Torch programs that minigrid descends from, the next forward pass
# writes into the very array that the backward pass still needs as initial state, and all gradients but the first
# minibatch's are off ([README](../README.md#what-differs-from-the-torch-programs-and-why)). `CharModel` never changes
# what it was given:

# %%
_, state, _ = trained[8].forward(np.zeros((3, B), int), trained[8].initial_state(B))
kept = {name: s.copy() for name, s in state.items()}
trained[8].forward(np.ones((3, B), int), state)
assert all((state[name] == kept[name]).all() for name in state)

# %% [markdown]
# ## How a gradient fades: norms by lag
#
# In a plain recurrent network, $h_t = \tanh(x_t W_x + h_{t-1} W_h + bias)$, a gradient that goes back one step is
# multiplied by a slope and a matrix, and so after $n$ steps by $n$ of each ($\odot$ multiplies element by element):
#
# $$dh_{t-1} = \big(dh_t \odot (1 - h_t^2)\big)\,W_h^\top$$
#
# If that shrinks it, it shrinks it $n$ times: it **vanishes** like $r^n$, where $r$ is about the largest absolute
# eigenvalue of $W_h$ (the *spectral radius*) as long as the slopes are near 1. An LSTM has, besides such a way through
# $h$, the direct way along the memory cell, where the factor is just $f$:
#
# $$dc_{t-1} = dc_t \odot f_t \;+\; \text{(what comes through } h_{t-1})$$
#
# We let a gradient arrive at the last step only and look at the norm of the input's gradient 1, 2, ... 49 steps
# earlier, at initialisation. The dotted lines are $f^{\,n-1}$ for lag $n$, with $f = \sigma(\text{forget bias})$, the
# direct way alone, from lag 1 on.

# %%
STEPS, BATCH, H = 60, 8, 64


def fresh(kind):
    """Return an untrained model that has a character of its own for every step of every sequence."""
    return CharModel(
        model=kind, vocab_size=STEPS * BATCH, hidden=H, layers=1, dtype="float64", seed=SEED
    )


def norm_by_lag(model):
    """Norm of the input's gradient by lag, mean over the sequences, when a gradient arrives at the last step."""
    dlogits = np.zeros((STEPS, BATCH, model.vocab_size))
    dlogits[-1] = np.random.default_rng(SEED).standard_normal((BATCH, model.vocab_size))
    return np.linalg.norm(input_gradients(model, dlogits), axis=-1).mean(axis=1)[::-1]


plain = {}
for factor in (1, 3, 5, 8):
    model = fresh("rnn")
    model.params["rnn.0.W_h"][...] *= factor
    radius = np.abs(np.linalg.eigvals(model.params["rnn.0.W_h"])).max()
    plain[radius] = norm_by_lag(model)

forget = {}
for bias in (0, 1, 3):
    model = fresh("lstm")
    model.params["lstm.0.bias"][H : 2 * H] += bias - 1
    forget[bias] = norm_by_lag(model)

lags = np.arange(1, 50)
fig, axes = plt.subplots(1, 2, figsize=(11, 4.4), sharey=True)
for radius, norms in plain.items():
    axes[0].semilogy(lags, norms[lags] / norms[1], label=f"spectral radius {radius:.1f}")
for bias, norms in forget.items():
    (line,) = axes[1].semilogy(lags, norms[lags] / norms[1], label=f"forget bias {bias}")
    axes[1].semilogy(lags, (1 / (1 + np.exp(-bias))) ** (lags - 1), ":", color=line.get_color())
axes[0].set(
    title="Plain recurrent network", ylabel="gradient norm, relative to lag 1", ylim=(1e-12, 1e8)
)
axes[1].set(title="LSTM (dotted: the forget gates alone)")
for ax in axes:
    ax.set_xlabel("lag (steps back)")
    ax.legend()
plt.show()

small, *_, large = plain.values()
assert small[20] / small[1] < 1e-6  # vanishes
assert large[40] / large[1] > 1e3  # explodes
for bias, norms in forget.items():
    f = 1 / (1 + np.exp(-bias))
    assert norms[20] / norms[1] > 0.9 * f**19  # at least the direct way
assert forget[3][40] > forget[1][40] > forget[0][40] > small[40]
assert 0.05 < forget[1][11] / forget[1][1] < 0.2
assert forget[3][49] / forget[3][1] > 0.5

# %% [markdown]
# Left: as minigrid initialises it, less than a millionth of the plain network's gradient is left after twenty steps.
# With larger recurrent weights the same network's gradient **explodes**, though far slower than $r^n$: its hidden
# states are larger too, and the slopes $1 - h^2$ smaller. It passes unchanged only if the spectral radius is near 1,
# and nothing holds it there while training moves the weights.
#
# Right: the LSTM's gradient fades at a pace that its forget gates set. At bias 1, a tenth is left after ten steps; at
# bias 3 it does not fade within fifty. (The solid lines lie above the dotted ones: the rest comes through $h$.) And $f$
# is *computed from what is read*: an LSTM can learn to keep its gates open where it matters, as ours did to keep the
# key. Let us see how the gradient of an answer finds back to it through the five dots, before and after training. One
# step at a time, the gradient of the state is in our hands.

# %%
x, _ = keys_and_questions(1, seed=5)


def forget_gates(model):
    """Forget gates at each step of the group, (8, B, H), computed from what the step reads."""
    W_x, W_h, bias = (model.params[f"lstm.0.{name}"][..., 32:64] for name in ("W_x", "W_h", "bias"))
    state, gates = model.initial_state(B), []
    for x_t in x:
        a = model.params["embedding.weight"][x_t] @ W_x + state["lstm.0.h"] @ W_h + bias
        gates.append(1 / (1 + np.exp(-a)))
        _, state, _ = model.forward(x_t[None], state)
    return np.array(gates)


def way_back(model):
    """Norm of the memory cell's gradient 1, 2, ... 6 steps before the question: the whole of it, and the direct way."""
    state, caches, f = model.initial_state(B), [], forget_gates(model)
    for t in range(7):
        logits, state, cache = model.forward(x[t : t + 1], state)
        caches.append(cache)
    arriving = np.eye(6, dtype=logits.dtype)[x[:1]]  # a higher score for the key, please
    _, dstate = model.backward(caches[6], arriving)
    direct = dstate["lstm.0.c"]
    norms = [[np.linalg.norm(direct)] * 2]
    for t in (5, 4, 3, 2, 1):  # the dots
        _, dstate = model.backward(caches[t], np.zeros_like(logits), dstate)
        direct = direct * f[t]
        norms.append([np.linalg.norm(dstate["lstm.0.c"]), np.linalg.norm(direct)])
    return np.array(norms).T / norms[0][0]


untrained = CharModel(model="lstm", vocab_size=6, hidden=32, layers=1, seed=SEED)
fig, ax = plt.subplots(figsize=(7, 3.8))
for name, model in {"before training": untrained, "after training": trained[8]}.items():
    whole, direct = way_back(model)
    (line,) = ax.plot(range(1, 7), whole, "o-", label=name)
    ax.plot(range(1, 7), direct, ":", color=line.get_color())
    f = forget_gates(model)
    print(
        f"{name}: mean f at the key {f[0].mean():.2f}, "
        f"the dots {f[1:6].mean():.2f}, the question {f[6].mean():.2f}"
    )
ax.set(
    xlabel="steps back from the question (6: the memory cell as the key has left it)",
    ylabel="norm relative to 1 step back",
    ylim=(0, None),
)
ax.set_title("From a question back to its key (dotted: the forget gates alone)")
ax.legend()
plt.show()

whole, direct = way_back(trained[8])
assert whole[-1] > direct[-1] > 0.4
assert 0.15 < way_back(untrained)[1][-1] < 0.25
assert way_back(untrained)[0][-1] < 0.35
assert f[0].mean() < 0.6 and f[1:6].mean() > 0.8  # after training

# %% [markdown]
# The trained gates are half closed where a new key makes the old one worthless, and wider open from then on: along the
# direct way alone about half of the gradient arrives, or more (that differs from machine to machine), where it was a
# fifth before. What comes back through $h$ leads through weights: it can add to the direct way or cancel some of it.
#
# The gates' way can be drawn for the forward pass, too: what is written into a memory cell at one character is
# multiplied by every forget gate that it passes. Here is a group and the next one, and of the cells the one that keeps
# most of the key up to the question and least of it after the next key. Each row begins where something is written and
# says what is left of it at every later character.

# %%
x, _ = keys_and_questions(2, seed=5)
seen = trace(trained[8], x)
f, written = seen["lstm.f"][0], abs(seen["lstm.i"] * seen["lstm.g"])[0, 0]
at_question, after_next_key = f[1 : 6 + 1].prod(axis=0), f[1 : GROUP + 1].prod(axis=0)
unit = int((written * (at_question - after_next_key)).mean(axis=0).argmax())
left = [kept[:, unit].mean() for kept in (at_question, after_next_key)]
print(f"unit {unit}: {left[0]:.0%} left at the question, {left[1]:.0%} after the next key")
assert left[0] > 2 * left[1]
plots.time_paths(seen, ["abcd.?"[symbol] for symbol in x[:, 0]], layer=0, unit=unit)

# %% [markdown]
# Along the first row the colour stays while the dots are read, up to the question. Then the key has served its purpose,
# and when the next one comes hardly anything of it is left. Such a **forget-gate path** is what the gates decide, and
# nothing else: no weight, no tanh. The [next notebooks](03_the_grid.ipynb) look for it in the other direction, from
# layer to layer.
#
# ## The scale of the gradient: T x grads
#
# The `grads` of minigrid are those of the **mean** loss over $T B$ predictions. The Torch programs it descends from sum
# over the $T$ steps and average over the batch; their thresholds and rates, which minigrid keeps, are meant for that
# gradient, which is $T$ times as large. So `TrainStep` multiplies: clipping, optimiser and the norm that a run shows
# see **T x grads**.

# %%
T, B, V = 50, 4, 20
model = CharModel(model="lstm", vocab_size=V, hidden=32, layers=1, dtype="float64", seed=SEED)
x, y = rng.integers(0, V, (2, T, B))
_, grads, _ = model.loss_and_grads(x, y, model.initial_state(B))

summed = 0
for t in range(T):
    only_t = np.full_like(y, NOT_SCORED)
    only_t[t] = y[t]  # the mean over the B predictions of step t
    summed = summed + model.loss_and_grads(x, only_t, model.initial_state(B))[1].flat
assert np.allclose(summed, T * grads.flat, rtol=1e-8, atol=1e-14)

step = TrainStep(model)
step(x, y)
assert np.isclose(step.norm, T * global_norm(grads.flat))

# %% [markdown]
# Does the factor matter? **RMSprop**, the rule by which minigrid turns a gradient into an update (formula below),
# divides the gradient by its own recent size, so a factor that is always the same cancels. Clipping compares with a
# fixed number, so there it does matter: a larger gradient has more elements above it.

# %%
g = T * grads.flat
updates = []
for factor in (1, T):
    p = np.zeros(100)
    optimizer = make_optimizer("rmsprop", p, alpha=0.95)
    for number in range(1, 20):
        gradient = np.random.default_rng(number).standard_normal(100)
        optimizer.update(p, factor * gradient, 0.002, number)
    updates.append(p)
# the same, but for the 1e-8 that RMSprop adds to the root so as not to divide by zero
assert np.allclose(updates[0], updates[1], rtol=1e-5, atol=1e-6)

limit = 0.1
clipped = [(abs(factor * g) > limit).sum() for factor in (1, 2)]
print(f"{clipped[0]} elements are above {limit}; with twice the gradient {clipped[1]}")
assert clipped[1] > 1.3 * clipped[0]

# %% [markdown]
# ## Clipping
#
# A gradient that explodes once in a thousand minibatches is enough to ruin a run, so it is limited before the update.
# There are two ways, both in minigrid:
#
# - **by element** (`clip`, default 5, as in the Torch programs): every number is brought into $[-5, 5]$. The direction
#   of the whole changes.
# - **by norm** (`clip_norm`): if $|g| > limit$ then $g \leftarrow g \cdot limit / |g|$. The direction stays.
#
# Let us take the exploding network's gradient.

# %%
model = fresh("rnn")
model.params["rnn.0.W_h"][...] *= 8
x, y = rng.integers(0, model.vocab_size, (2, STEPS, BATCH))
_, grads, _ = model.loss_and_grads(x, y, model.initial_state(BATCH))
g = STEPS * grads.flat

by_element, by_norm = g.copy(), g.copy()
clip_elements(by_element, 5.0)
clip_norm(by_norm, 5.0, global_norm(g))


def cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


print(
    f"norm {global_norm(g):.1e}, by element {global_norm(by_element):.1e}, by norm {global_norm(by_norm):.1e}"
)
print(
    f"cosine with the gradient: by element {cosine(by_element, g):.2f}, by norm {cosine(by_norm, g):.2f}"
)
assert np.isclose(global_norm(by_norm), 5)
assert np.isclose(cosine(by_norm, g), 1)
assert abs(by_element).max() <= 5
assert cosine(by_element, g) < 0.9

# %% [markdown]
# What does clipping protect? Not only this update. RMSprop keeps a running mean $m$ of the *squared* gradient and
# divides by its root:
#
# $$m \leftarrow \alpha\,m + (1 - \alpha)\,g^2 \qquad\qquad p \leftarrow p - lr\,\frac{g}{\sqrt{m}}$$
#
# One spike of $10^4$ times the usual size enters $m$ as $(1 - \alpha)\,10^8$, and it takes hundreds of updates before
# $m$ has forgotten it, at a factor of $\alpha = 0.95$ each. Meanwhile the parameters hardly move. We feed minigrid's
# RMSprop ordinary gradients and one spike (the first updates are large because $m$ starts at 0):

# %%
ALPHA, SPIKE_AT, SPIKE = 0.95, 50, 1e4


def moves(clip):
    """Mean size of the update, in units of the learning rate, over 500 updates with one spike."""
    gradients = np.random.default_rng(SEED).standard_normal((500, 200))
    gradients[SPIKE_AT] *= SPIKE
    p, sizes = np.zeros(200), []
    optimizer = make_optimizer("rmsprop", p, alpha=ALPHA)
    for number, g in enumerate(gradients, start=1):
        before = p.copy()
        if clip:
            clip_elements(g, 5.0)
        optimizer.update(p, g, 1.0, number)
        sizes.append(abs(p - before).mean())
    return np.array(sizes)


fig, ax = plt.subplots(figsize=(8, 4))
for clip in (False, True):
    sizes = moves(clip)
    ax.semilogy(sizes, linewidth=1, label="clipped at 5" if clip else "not clipped")
    frozen = (sizes[SPIKE_AT + 1 :] < 0.5).sum()
    assert (frozen < 30) if clip else (frozen > 200)
    print(
        f"{'clipped' if clip else 'not clipped'}: {frozen} of the updates after the spike are less than half the rate"
    )
ax.set(
    xlabel="update",
    ylabel="mean |update| / learning rate",
    title=f"One gradient of {SPIKE:.0e} times the usual size",
)
ax.legend()
plt.show()

# %% [markdown]
# Clipping does nothing against *vanishing*: what has become 0 cannot be scaled up again. Against that helps a way back
# that is not narrow, such as the memory cell's along time. The next notebook builds a second one, along depth:
# [the grid](03_the_grid.ipynb).
#
# ## Exercises
#
# 1. **The direct way alone.** Set $W_h$ of an LSTM to 0, so that nothing passes through $h_{t-1}$. Let a gradient
#    arrive at the final memory cell only. What arrives, exactly, at the initial one after $T$ steps?
# 2. **How long is its memory?** After how many steps is less than 1 % of the gradient left on the direct way if $f =
#    0.73$? Which forget bias leaves 1 % after 100 steps?
# 3. **Counting pairs.** A text of $N$ steps is cut into pieces of $T$ steps, and $N$ is a multiple of $T$. Which
#    fraction of the pairs (loss at $t$, input at $t' \le t$) does truncation keep? What is it for $N = 12, T = 4$, the
#    figure above?
# 4. **A mistake.** Someone writes `arriving = dstart` but forgets that `dlogits` of each piece are those of a mean over
#    the piece's own steps, and adds up the gradients of $k$ pieces. How large is the result compared to the gradient of
#    the mean over everything?
# 5. **Shorter pieces.** You halve $T$ to save memory and keep `clip=5`. Does clipping get stricter or laxer?
#
# ## Solutions
#
# **1.** $dc_{t-1} = dc_t \odot f_t$ at each step, so $dc_0 = dc_T \odot f_1 \odot f_2 \cdots f_T$. Without $W_h$ the
# forget gates depend on the characters alone: $f_t = \sigma(x_t W_x + bias)$, in the second quarter of the columns
# $[i|f|o|g]$.

# %%
T, B, V, H = 10, 3, 5, 4
model = CharModel(model="lstm", vocab_size=V, hidden=H, layers=1, dtype="float64", seed=SEED)
model.params["lstm.0.W_h"][...] = 0
x = rng.integers(0, V, (T, B))
logits, _, cache = model.forward(x, model.initial_state(B))
dc = rng.standard_normal((B, H))
_, dstart = model.backward(cache, np.zeros_like(logits), {"lstm.0.c": dc})

embedded = model.params["embedding.weight"][x]  # (T, B, H)
a = embedded @ model.params["lstm.0.W_x"] + model.params["lstm.0.bias"]  # (T, B, 4H)
f = 1 / (1 + np.exp(-a[..., H : 2 * H]))
assert np.allclose(dstart["lstm.0.c"], dc * f.prod(axis=0), rtol=1e-10)

# %% [markdown]
# **2.** $f^n = 0.01$ gives $n = \ln 0.01 / \ln 0.73 = 14.6$, so after 15 steps. The other way round $f = 0.01^{1/100} =
# 0.955$, and the bias is $\ln \frac{f}{1-f} = 3.05$.

# %%
assert 0.73**15 < 0.01 < 0.73**14
f = 0.01 ** (1 / 100)
assert round(f, 3) == 0.955
assert round(np.log(f / (1 - f)), 2) == 3.05

# %% [markdown]
# **3.** Of $N(N+1)/2$ pairs it keeps $T(T+1)/2$ in each of $N/T$ pieces: $\frac{T+1}{N+1}$. In the figure 5/13, that is
# 30 of 78.

# %%
kept = [(t, u) for t in range(12) for u in range(t + 1) if t // 4 == u // 4]
possible = [(t, u) for t in range(12) for u in range(t + 1)]
assert (len(kept), len(possible)) == (30, 78)
assert len(kept) / len(possible) == 5 / 13

# %% [markdown]
# **4.** Each piece's mean is over $T/k$ steps in place of $T$, so its gradients are $k$ times too large, and so is the
# sum. (This is why `truncated_gradient` above has the factor `share`.) Here with $k = 2$:

# %%
T = 8
x, y = rng.integers(0, V, (2, T, B))
logits, _, cache = model.forward(x, model.initial_state(B))
loss, loss_cache = cross_entropy_forward(logits, y)
exact, _ = model.backward(cache, cross_entropy_backward(loss_cache))

first, middle, first_cache = model.forward(x[:4], model.initial_state(B))
second, _, second_cache = model.forward(x[4:], middle)
d_first, d_second = (
    cross_entropy_backward(cross_entropy_forward(*piece)[1])
    for piece in ((first, y[:4]), (second, y[4:]))
)
second_grads, border = model.backward(second_cache, d_second)
first_grads, _ = model.backward(first_cache, d_first, border)
assert np.allclose(first_grads.flat + second_grads.flat, 2 * exact.flat, rtol=1e-10, atol=1e-15)

# %% [markdown]
# **5.** Laxer. What is compared with 5 is the gradient of the loss *summed* over the $T$ steps. With half as many terms
# it is smaller: about half as large where all steps pull in the same direction, about $1/\sqrt{2}$ where they are
# independent. At the start of training, when every step pulls the decoder's bias towards the frequent characters, it is
# the former:

# %%
model = CharModel(model="lstm", vocab_size=V, hidden=H, layers=1, dtype="float64", seed=SEED)
frequent = np.full((50, B), 2)
largest = []
for T in (50, 25):
    _, grads, _ = model.loss_and_grads(
        rng.integers(0, V, (T, B)), frequent[:T], model.initial_state(B)
    )
    largest.append(abs(T * grads.flat).max())
assert 0.4 < largest[1] / largest[0] < 0.6
