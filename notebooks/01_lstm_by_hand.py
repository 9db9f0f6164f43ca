# %% [markdown]
# # 1. One LSTM step, by hand
#
# An LSTM reads a sequence one step at a time. Here we take **one** step of the smallest LSTM there is: one hidden unit,
# one number as input. We compute it forward with plain Python numbers, then backward with the chain rule, one line at a
# time, and check every line. Then minigrid does the same with matrices, and we check that too.
#
# Afterwards you can
# - derive the gradient of an LSTM step on paper,
# - check any gradient by finite differences, and know what a wrong one looks like,
# - say what each gate does to the value that passes forward *and* to the gradient that passes back.
#
# You need NumPy and the chain rule. Words are explained in the [glossary](README.md#words).

# %%
# %matplotlib inline
import math

import matplotlib.pyplot as plt
import numpy as np

from minigrid import CharModel
from minigrid.analysis.gradcheck import central_difference, check_entries, enlarge, model_problem

SEED = 1
rng = np.random.default_rng(SEED)

# %% [markdown]
# ## Forward
#
# The step reads three numbers: the input $x$, the **hidden state** $h_{prev}$ of the step before, and the **memory
# cell** $c_{prev}$ of the step before. From $x$ and $h_{prev}$ it makes four **pre-activations**, each with weights of
# its own:
#
# $$a_k = w_k\,x + u_k\,h_{prev} + b_k \qquad k \in \{i, f, o, g\}$$
#
# Three of them become **gates**, numbers between 0 (closed) and 1 (open); the fourth becomes the **candidate** $g$,
# which is what might be written to the memory cell:
#
# $$i = \sigma(a_i) \quad f = \sigma(a_f) \quad o = \sigma(a_o) \quad g = \tanh(a_g)
# \qquad \text{where } \sigma(a) = \frac{1}{1 + e^{-a}}$$
#
# The **forget gate** $f$ says how much of the old memory cell stays, the **input gate** $i$ how much of the candidate
# is written, the **output gate** $o$ how much of the result is shown:
#
# $$c = f\,c_{prev} + i\,g \qquad\qquad s = \tanh(c) \qquad\qquad h = o\,s$$
#
# $h$ and $c$ go to the next step. We choose small numbers for the fifteen things that the step depends on.

# %%
inputs = {
    "x": 0.5, "h_prev": -0.4, "c_prev": 0.8,
    "w_i": 0.6, "w_f": 0.3, "w_o": -0.5, "w_g": 0.9,
    "u_i": -0.2, "u_f": 0.5, "u_o": 0.4, "u_g": -0.7,
    "b_i": 0.1, "b_f": 1.0, "b_o": 0.0, "b_g": 0.2,
}  # fmt: skip


def sigmoid(a):
    return 1 / (1 + math.exp(-a))


def forward(p):
    """Compute one step from the fifteen inputs; return i, f, o, g, c, s, h."""
    a_i, a_f, a_o, a_g = (
        p[f"w_{k}"] * p["x"] + p[f"u_{k}"] * p["h_prev"] + p[f"b_{k}"] for k in "ifog"
    )
    i, f, o, g = sigmoid(a_i), sigmoid(a_f), sigmoid(a_o), math.tanh(a_g)
    c = f * p["c_prev"] + i * g
    s = math.tanh(c)
    h = o * s
    return i, f, o, g, c, s, h


i, f, o, g, c, s, h = forward(inputs)
for name, value in zip("ifogcsh", (i, f, o, g, c, s, h), strict=True):
    print(f"{name} = {value:.4f}")

# %% [markdown]
# On paper, for the first gate: $a_i = 0.6 \cdot 0.5 + (-0.2)(-0.4) + 0.1 = 0.48$ and $i = \sigma(0.48) = 0.6177$. The
# forget gate is 0.7211, so 72 % of the old memory cell stays: $c = 0.7211 \cdot 0.8 + 0.6177 \cdot 0.7306 = 1.0282$.

# %%
assert round(sigmoid(0.48), 4) == round(i, 4) == 0.6177
assert round(c, 4) == 1.0282
assert round(h, 4) == 0.3084

# %% [markdown]
# ## Backward
#
# Somewhere later stands a loss $J$, one number that we want to make small. It depends on this step through $h$ and $c$
# only. Assume we know how: $J$ changes by $dh$ for each unit that $h$ changes, and by $dc_{next}$ for each unit that
# $c$ changes **by way of the next step**. Throughout, `d<name>` is the derivative of $J$ with respect to `<name>`; only
# $dc_{next}$ is not yet the whole derivative with respect to $c$, but the share of it that the next step hands back.
#
# $$dh = \frac{\partial J}{\partial h} = 1 \qquad\qquad dc_{next} = 0.5$$
#
# The simplest loss with exactly these derivatives is $J = 1 \cdot h + 0.5 \cdot c$, and that is what we shall
# differentiate.
#
# The chain rule asks for two things per line of the forward pass: the **local derivative** of the line's result with
# respect to each number that it reads, and the gradient that has already arrived at the result. We multiply them, going
# through the lines **from the last to the first**. Where a number is read by several lines, the products are *added*.

# %%
dh, dc_next = 1.0, 0.5


def loss(p):
    *_, c, _, h = forward(p)
    return dh * h + dc_next * c


def same(a, b):
    return math.isclose(a, b, rel_tol=1e-8)


# %% [markdown]
# ### The last line: $h = o\,s$
#
# $$\frac{\partial h}{\partial o} = s \qquad \frac{\partial h}{\partial s} = o
# \qquad\Rightarrow\qquad do = dh\,s \qquad ds = dh\,o$$
#
# We need not trust such a derivation. A derivative is a slope, and the slope of a function can be measured: move the
# number a little to either side and see how much the result changes. `central_difference` of minigrid measures the
# slope of a function at 0, so we write the line as a function of a small change $e$.

# %%
do = dh * s
ds = dh * o

assert same(central_difference(lambda e: (o + e) * s), s)
assert same(central_difference(lambda e: o * (s + e)), o)
print(f"do = {do:.4f}   ds = {ds:.4f}")

# %% [markdown]
# ### $s = \tanh(c)$, and the memory cell's two readers
#
# $$\frac{\partial s}{\partial c} = 1 - \tanh^2(c) = 1 - s^2$$
#
# $c$ is read twice: by this line and by the next step. So two gradients meet here and are added. This sum is the
# heart of the backward pass; forgetting one of the two is the classical mistake.
#
# $$dc = dc_{next} + ds\,(1 - s^2)$$

# %%
dc = dc_next + ds * (1 - s**2)

assert same(central_difference(lambda e: math.tanh(c + e)), 1 - s**2)
print(f"dc = {dc_next} + {ds * (1 - s**2):.4f} = {dc:.4f}")

# %% [markdown]
# ### $c = f\,c_{prev} + i\,g$
#
# A sum of two products. Each factor's local derivative is the other factor:
#
# $$df = dc\,c_{prev} \qquad dc_{prev} = dc\,f \qquad di = dc\,g \qquad dg = dc\,i$$
#
# Look at $dc_{prev} = dc\,f$. The gradient goes back to the previous memory cell multiplied by *one number between 0
# and 1*: no weight matrix, no slope of a squashing function. That is the whole point of an LSTM.

# %%
c_prev = inputs["c_prev"]
df = dc * c_prev
dc_prev = dc * f
di = dc * g
dg = dc * i

assert same(central_difference(lambda e: (f + e) * c_prev + i * g), c_prev)
assert same(central_difference(lambda e: f * (c_prev + e) + i * g), f)
assert same(central_difference(lambda e: f * c_prev + (i + e) * g), g)
assert same(central_difference(lambda e: f * c_prev + i * (g + e)), i)
print(f"df = {df:.4f}   dc_prev = {dc_prev:.4f}   di = {di:.4f}   dg = {dg:.4f}")

# %% [markdown]
# ### The gates' own functions
#
# $$\sigma'(a) = \frac{e^{-a}}{(1 + e^{-a})^2} = \sigma(a)\,(1 - \sigma(a)) \qquad\qquad \tanh'(a) = 1 - \tanh^2(a)$$
#
# Both slopes can be written with the function's *value*, which the forward pass has computed already. That is why a
# backward pass keeps the gates and not the pre-activations.
#
# $$da_i = di\;i(1-i) \qquad da_f = df\;f(1-f) \qquad da_o = do\;o(1-o) \qquad da_g = dg\,(1-g^2)$$

# %%
da = {
    "i": di * i * (1 - i),
    "f": df * f * (1 - f),
    "o": do * o * (1 - o),
    "g": dg * (1 - g**2),
}

a_i = 0.48  # as computed on paper
assert same(central_difference(lambda e: sigmoid(a_i + e)), i * (1 - i))
for k in "ifog":
    print(f"da_{k} = {da[k]:.4f}")

# %% [markdown]
# ### The first line: $a_k = w_k\,x + u_k\,h_{prev} + b_k$
#
# Each weight is read by one of the four lines. But $x$ and $h_{prev}$ are read by **all four**, so their gradients are
# sums:
#
# $$dw_k = da_k\,x \qquad du_k = da_k\,h_{prev} \qquad db_k = da_k \qquad\qquad
# dx = \sum_k da_k\,w_k \qquad dh_{prev} = \sum_k da_k\,u_k$$

# %%
grads = {"c_prev": dc_prev}
grads |= {f"w_{k}": da[k] * inputs["x"] for k in "ifog"}
grads |= {f"u_{k}": da[k] * inputs["h_prev"] for k in "ifog"}
grads |= {f"b_{k}": da[k] for k in "ifog"}
grads["x"] = sum(da[k] * inputs[f"w_{k}"] for k in "ifog")
grads["h_prev"] = sum(da[k] * inputs[f"u_{k}"] for k in "ifog")

# %% [markdown]
# That is all: fifteen gradients, one for each input. Now the whole of it at once. For each input, move it a little,
# compute the loss again from the start, and compare the measured slope with the gradient by hand.

# %%
print("input     by hand   by differences")
for name, value in inputs.items():
    numeric = central_difference(lambda e, name=name, value=value: loss(inputs | {name: value + e}))
    print(f"{name:6s}  {grads[name]:+.6f}        {numeric:+.6f}")
    assert same(grads[name], numeric)

# %% [markdown]
# The step in one picture (weights and pre-activations left out): in blue the value that went forward, in orange the
# gradient that came back. Follow the arrows against their direction and you walk the backward pass: what arrives at $c$
# comes from $s$, and 0.5 from the next step, which is not drawn.

# %%
BLUE, ORANGE = plt.rcParams["axes.prop_cycle"].by_key()["color"][:2]
nodes = {  # name: (column, row, value, gradient)
    "x": (0, 3.4, inputs["x"], grads["x"]),
    "h_{prev}": (0, 1.4, inputs["h_prev"], grads["h_prev"]),
    "c_{prev}": (1.4, 4.9, inputs["c_prev"], dc_prev),
    "f": (1.4, 3.9, f, df),
    "i": (1.4, 2.9, i, di),
    "g": (1.4, 1.9, g, dg),
    "o": (1.4, 0.9, o, do),
    "c": (2.7, 3.4, c, dc),
    "s": (3.8, 3.4, s, ds),
    "h": (4.9, 2.4, h, dh),
}
edges = [(read, gate) for read in ("x", "h_{prev}") for gate in "figo"]
edges += [("c_{prev}", "c"), ("f", "c"), ("i", "c"), ("g", "c"), ("c", "s"), ("s", "h"), ("o", "h")]
half_width, half_height = 0.42, 0.36

fig, ax = plt.subplots(figsize=(9, 5))
ax.axis("off")
ax.set(xlim=(-0.5, 5.4), ylim=(0.4, 5.4))
for start, stop in edges:
    (x0, y0), (x1, y1) = nodes[start][:2], nodes[stop][:2]
    arrow = {"arrowstyle": "-|>", "color": "#999999", "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", (x1 - half_width, y1), (x0 + half_width, y0), arrowprops=arrow)
for name, (column, row, value, gradient) in nodes.items():
    corner = column - half_width, row - half_height
    size = 2 * half_width, 2 * half_height
    ax.add_patch(plt.Rectangle(corner, *size, facecolor="white", edgecolor="#999999"))
    middle = {"ha": "center", "va": "center"}
    ax.text(column, row + 0.16, f"${name}$ = {value:.3f}", color=BLUE, **middle)
    ax.text(column, row - 0.16, f"$d{name}$ = {gradient:.3f}", color=ORANGE, **middle)
ax.set_title("One step: values forward in blue, gradients back in orange")
plt.show()

# %% [markdown]
# ## The same with minigrid
#
# A real LSTM has $H$ units, its input $x$ is $N$ numbers, and it reads $B$ sequences side by side. The formulas stay as
# they are (gates multiply element by element); numbers become arrays, and the four lines of pre-activations become one
# product, with the four weights packed side by side as $[i|f|o|g]$:
#
# $$a = x\,W_x + h_{prev}\,W_h + bias \qquad\quad x: (B, N) \quad W_x: (N, 4H) \quad W_h: (H, 4H) \quad a: (B, 4H)$$
#
# In minigrid the smallest thing with a public interface is a `CharModel`, a whole character model: it looks each
# character up in a table (the **embedding**), runs the layers, and a **decoder** makes scores of the next character. We
# build one with a single LSTM layer of a single unit, put our numbers in it, let it read one character whose row of the
# embedding is our $x$, and hand it our $dh$ and $dc_{next}$ as the gradient that arrives at its final state.

# %%
model = CharModel(model="lstm", vocab_size=2, hidden=1, layers=1, dtype="float64", seed=SEED)
model.params["embedding.weight"][0] = inputs["x"]
model.params["lstm.0.W_x"][0] = [inputs[f"w_{k}"] for k in "ifog"]
model.params["lstm.0.W_h"][0] = [inputs[f"u_{k}"] for k in "ifog"]
model.params["lstm.0.bias"][:] = [inputs[f"b_{k}"] for k in "ifog"]

# states are (B, H), characters (T, B); here all of these are 1
before = {"lstm.0.h": np.array([[inputs["h_prev"]]]), "lstm.0.c": np.array([[c_prev]])}
logits, after, cache = model.forward(np.array([[0]]), before)  # reads the character 0
no_gradient = np.zeros_like(logits)  # our loss does not look at the scores
arriving = {"lstm.0.h": np.array([[dh]]), "lstm.0.c": np.array([[dc_next]])}
model_grads, leaving = model.backward(cache, no_gradient, arriving)

assert np.isclose(after["lstm.0.h"], h) and np.isclose(after["lstm.0.c"], c)
assert np.isclose(leaving["lstm.0.h"], grads["h_prev"]) and np.isclose(leaving["lstm.0.c"], dc_prev)
for array, letter in {"lstm.0.W_x": "w", "lstm.0.W_h": "u", "lstm.0.bias": "b"}.items():
    by_hand = [grads[f"{letter}_{k}"] for k in "ifog"]
    assert np.allclose(model_grads[array].ravel(), by_hand, rtol=1e-12)
assert np.allclose(model_grads["embedding.weight"], [[grads["x"]], [0]], rtol=1e-12)
print("minigrid agrees: forward, and all fifteen gradients")

# %% [markdown]
# The lines that you have just derived stand in `minigrid/nn/gates.py`, forward and backward next to each other; open it
# and look. One thing is new there, with matrices. The gradient of a weight is the product of what it multiplied and
# what arrived, *summed over the sequences of the batch*, since one weight serves them all. A matrix product does just
# that:
#
# $$dW_x = x^\top da \qquad dW_h = h_{prev}^\top\,da \qquad dbias = \sum_{batch} da
# \qquad dx = da\,W_x^\top \qquad dh_{prev} = da\,W_h^\top$$
#
# (Shapes help you remember: $(N, B) \times (B, 4H)$ is the only product of these two that has the shape of $W_x$.) The
# claim "summed over the batch" is easy to test: two sequences at once must give the sum of what each gives alone.

# %%
model = CharModel(model="lstm", vocab_size=5, hidden=4, layers=1, dtype="float64", seed=SEED)
x = np.array([[3, 1]])  # T = 1 step, B = 2 sequences
dlogits = rng.standard_normal((1, 2, 5))


def gradient(x, dlogits):
    _, _, cache = model.forward(x, model.initial_state(batch=x.shape[1]))
    grads, _ = model.backward(cache, dlogits)
    return grads.flat  # all parameters' gradients, one after the other


first, second = (gradient(x[:, b : b + 1], dlogits[:, b : b + 1]) for b in range(2))
assert np.allclose(gradient(x, dlogits), first + second, rtol=1e-12)

# %% [markdown]
# ## Checking a gradient by finite differences
#
# Why does `central_difference` not simply compute $(J(e) - J(-e)) / 2e$ with a tiny $e$? Because two errors pull in
# opposite directions. The quotient is exact only in the limit of small $e$: its error is proportional to $e^2$. But a
# computer keeps some 16 digits, and when $e$ is tiny the two values agree in most of them; the difference loses what
# they share: this error is proportional to $1/e$. minigrid uses values at $\pm e$ and $\pm 2e$, so that the first error
# is proportional to $e^4$ and a hundred times larger $e$ will do. Measured on our step:

# %%
steps = np.logspace(-10, 0, 41)


def loss_at(e):
    return loss(inputs | {"w_f": inputs["w_f"] + e})


def relative_error(slope):
    return max(abs(slope / grads["w_f"] - 1), 1e-16)  # a logarithmic axis has no room for 0


two_values = [relative_error((loss_at(e) - loss_at(-e)) / (2 * e)) for e in steps]
four_values = [relative_error(central_difference(loss_at, e)) for e in steps]

fig, ax = plt.subplots(figsize=(7, 4))
ax.loglog(steps, two_values, "o-", markersize=4, label="two values, (J(e) - J(-e)) / 2e")
ax.loglog(
    steps, four_values, "s-", markersize=4, label="four values, as in minigrid.analysis.gradcheck"
)
ax.axvline(1e-3, color="black", linestyle=":", label="step that minigrid takes")
ax.set(
    xlabel="step e",
    ylabel="relative error of the slope",
    title="Too small a step loses digits, too large a step sees the curvature",
)
ax.legend()
plt.show()

assert min(four_values) < min(two_values)
assert abs(central_difference(loss_at) / grads["w_f"] - 1) < 1e-10

# %% [markdown]
# A right gradient agrees to ten digits and more. What does a *wrong* one look like? Here are three mistakes that are
# easily made. `check_entries` of minigrid moves every entry of every array, as we did above, and reports the largest
# difference between the two gradients, relative to the sum of their sizes: 1 is the worst that it can say.

# %%
mistakes = {
    "none": {},
    "b_f: the gradient from the next step is forgotten": {
        "b_f": ds * (1 - s**2) * c_prev * f * (1 - f)
    },
    "b_o: the slope of tanh for a sigmoid": {"b_o": do * (1 - o**2)},
    "h_prev: = instead of +=, so that only the last gate counts": {
        "h_prev": da["g"] * inputs["u_g"]
    },
}
arrays = {name: np.array(value) for name, value in inputs.items()}
for mistake, wrong in mistakes.items():
    derived = {name: np.array(d) for name, d in (grads | wrong).items()}
    report = check_entries(lambda: loss(arrays), arrays, derived)
    print(f"error {report.error:.0e}   {mistake}")
    assert report.passed() == (mistake == "none")

# %% [markdown]
# The two are far apart: a right gradient has an error far below minigrid's tolerance of $10^{-8}$, each of these
# mistakes shows in the first digit. For a whole model minigrid makes the problem up itself: random characters, a random
# initial state, a random weighting of all scores and of the final state as the loss. Then it compares the gradient of
# every single parameter and of every number of the initial state.

# %%
model = CharModel(model="lstm", vocab_size=5, hidden=4, layers=1, dtype="float64", seed=SEED)
enlarge(model, SEED)  # larger weights: gates out of their nearly linear middle
problem = model_problem(model, steps=1, batch=2, seed=SEED)
report = check_entries(problem.loss, problem.arrays, problem.grads)
print(f"{report.checked} numbers compared, largest error {report.error:.0e}; the worst entry:")
print(report.worst[0])
assert report.passed()

# %% [markdown]
# ## What each gate does to the gradient
#
# Look at the local derivatives once more, now as factors through which a gradient has to pass:
#
# | way of the gradient | factor |
# |---|---|
# | from $c$ back to $c_{prev}$ | $f$ |
# | from $c$ back to the candidate $g$, that is, to what is written | $i$ |
# | from $h$ back to $c$ | $o\,(1 - s^2)$ |
# | from $c$ back to the forget gate's own pre-activation $a_f$ | $c_{prev}\;f(1 - f)$ |
# | from $c$ back to the input gate's own pre-activation $a_i$ | $g\;i(1 - i)$ |
# | from $h$ back to the output gate's own pre-activation $a_o$ | $s\;o(1 - o)$ |
#
# Every gate has two roles. As a **valve** it lets the gradient through in the same measure as the value: what is not
# kept, written or shown is not corrected either. As a **learner** it hears about its own setting only through the slope
# $\sigma(1-\sigma)$, largest when it is half open, and times what it multiplies: a forget gate learns nothing while the
# memory cell is empty.
#
# We turn each gate from closed to open by its bias and leave the rest of the step as it was. Lines: from the table.
# Dots: the slope of `forward` itself, measured by finite differences. Two of the inputs stand behind one more factor:
# $b_g$ behind the slope of $\tanh$, and $c_{prev}$, seen from $h$, behind $f$.

# %%
turned = np.linspace(-6, 6, 121)  # pre-activation of the gate that we turn
opened = 1 / (1 + np.exp(-turned))  # the gate
slope = opened * (1 - opened)


def measured(gate, result, moved):
    """Slope of `result`, "c" or "h", with respect to the input `moved`, at every tenth setting of a gate."""
    slopes = []
    for a in turned[::10]:
        # weights 0, so that the gate's bias alone is its pre-activation
        p = inputs | {f"w_{gate}": 0, f"u_{gate}": 0, f"b_{gate}": a}
        slopes.append(
            central_difference(
                lambda e, p=p: forward(p | {moved: p[moved] + e})["ifogcsh".index(result)]
            )
        )
    return slopes


curves = [  # gate, result, input that is moved, formula, label
    ("f", "c", "c_prev", opened, r"valve: $\partial c / \partial c_{prev} = f$"),
    ("i", "c", "b_g", opened * (1 - g**2), r"valve: $\partial c / \partial a_g = i\,(1-g^2)$"),
    (
        "o",
        "h",
        "c_prev",
        opened * (1 - s**2) * f,
        r"valve: $\partial h / \partial c_{prev} = o\,(1-s^2)\,f$",
    ),
    (
        "f",
        "c",
        "b_f",
        inputs["c_prev"] * slope,
        r"learner: $\partial c / \partial a_f = c_{prev}\,f(1-f)$",
    ),
    ("i", "c", "b_i", g * slope, r"learner: $\partial c / \partial a_i = g\,i(1-i)$"),
    ("o", "h", "b_o", s * slope, r"learner: $\partial h / \partial a_o = s\,o(1-o)$"),
]
titles = {"f": "Forget gate", "i": "Input gate", "o": "Output gate"}
fig, axes = plt.subplots(1, 3, figsize=(11, 4), sharey=True)
for gate, result, moved, formula, label in curves:
    ax = axes["fio".index(gate)]
    colour = BLUE if label.startswith("valve") else ORANGE
    dots = measured(gate, result, moved)
    assert np.allclose(dots, formula[::10], rtol=1e-7)
    ax.plot(turned, formula, color=colour, label=label)
    ax.plot(turned[::10], dots, "o", color=colour, markersize=4)
    ax.set(title=titles[gate], xlabel=f"pre-activation $a_{gate}$: closed ... open", ylim=(0, 1.3))
    ax.legend(loc="upper left", fontsize=9)
axes[0].set_ylabel("factor on the gradient")
plt.show()

# %% [markdown]
# Blue rises with the gate: an open gate is an open way back. Orange has its hill in the middle: far to either side the
# gate is **saturated** and hears almost nothing, whatever the loss would like it to do. Hence one decision that every
# LSTM has to make before it has learnt anything: where should the forget gate start? With a bias of 0 it starts half
# open, and what a memory cell holds, and the gradient on its way back, are halved at every step. minigrid, like the two
# Torch programs that it descends from (grid-lstm and char-rnn), adds 1 to the forget gates' biases.

# %%
model = CharModel(model="lstm", vocab_size=65, hidden=128, layers=1, seed=SEED)
bias_i, bias_f, bias_o, bias_g = model.params["lstm.0.bias"].reshape(4, 128)
assert abs(bias_f.mean() - 1) < 0.02 and abs(bias_i.mean()) < 0.02

for start in (0.0, 1.0, 3.0):
    print(
        f"forget bias {start:.0f}: f = {sigmoid(start):.3f}, after 20 steps {sigmoid(start) ** 20:.6f} is left"
    )
assert sigmoid(1.0) ** 20 > 1000 * sigmoid(0.0) ** 20

# %% [markdown]
# Twenty steps: that is the next notebook, [from a step to a sequence](02_backpropagation_through_time.ipynb).
#
# ## Exercises
#
# Try each on paper first; the solutions below check themselves.
#
# 1. **A perfect copy.** Set the gates so that $c = c_{prev}$ exactly and $h$ is 0. What is $dc_{prev}$, for any
#    $dc_{next}$? What do the four pre-activations receive?
# 2. **The first step.** At the start of a text $h_{prev}$ and $c_{prev}$ are 0. Which gradients of the twelve weights
#    and biases are 0 at that step, whatever the loss is?
# 3. **The form in the paper.** The Grid LSTM paper prints $h = \tanh(o\,c)$ in place of $h = o \tanh(c)$. Derive $do$
#    and the gradient that $c$ receives from $h$.
# 4. **Coupled gates.** Some LSTMs save a gate: $c = (1 - i)\,c_{prev} + i\,g$. Derive $di$. When does the input gate
#    learn nothing although it is half open?
# 5. **How wrong is it?** Someone computes $dx = da\,W_x$ instead of $da\,W_x^\top$. For which sizes does the program
#    not even run, and when is the result right by accident?
#
# ## Solutions
#
# **1.** $i = 0$, $f = 1$, $o = 0$. Then $dc_{prev} = dc_{next}$: nothing is lost (and nothing comes from $h$, because
# $o = 0$). The three gates are saturated, and the candidate's way is shut by $i = 0$, so all four pre-activations
# receive 0: a perfect copy cannot learn to be anything else. With biases of $\pm 40$ the gates are 0 and 1
# to all digits that count.

# %%
copy = inputs | {"b_i": -40.0, "b_f": 40.0, "b_o": -40.0}
*_, copied, _, shown = forward(copy)
assert math.isclose(copied, c_prev) and abs(shown) < 1e-15
for name in inputs:
    measured_slope = central_difference(lambda e, name=name: loss(copy | {name: copy[name] + e}))
    assert math.isclose(measured_slope, dc_next if name == "c_prev" else 0, abs_tol=1e-12)

# %% [markdown]
# **2.** $du_k = da_k\,h_{prev} = 0$ for all four $k$; and $df = dc\,c_{prev} = 0$, hence $w_f$ and $b_f$ receive
# nothing either: the forget gate has nothing to forget yet.

# %%
first = inputs | {"h_prev": 0.0, "c_prev": 0.0}
unmoved = {
    name
    for name in inputs
    if abs(central_difference(lambda e, n=name: loss(first | {n: first[n] + e}))) < 1e-12
}
assert unmoved == {"u_i", "u_f", "u_o", "u_g", "w_f", "b_f"}

# %% [markdown]
# **3.** With $p = o\,c$ and $h = \tanh(p)$: $dp = dh\,(1 - h^2)$, then $do = dp\,c$ and $c$ receives $dp\,o$. Note that
# the output gate now stands *inside* the tanh. minigrid has this form too, `lstm_output="paper"`; we ask it for the
# gradient of $b_o$, which is $do\;o(1-o)$, and of $c_{prev}$, which is $(dc_{next} + dp\,o)\,f$.

# %%
paper = CharModel(
    model="lstm", vocab_size=2, hidden=1, layers=1, lstm_output="paper", dtype="float64", seed=SEED
)
paper.params["embedding.weight"][0] = inputs["x"]
paper.params["lstm.0.W_x"][0] = [inputs[f"w_{k}"] for k in "ifog"]
paper.params["lstm.0.W_h"][0] = [inputs[f"u_{k}"] for k in "ifog"]
paper.params["lstm.0.bias"][:] = [inputs[f"b_{k}"] for k in "ifog"]
logits, after, cache = paper.forward(np.array([[0]]), before)
paper_grads, leaving = paper.backward(cache, np.zeros_like(logits), arriving)

dp = dh * (1 - math.tanh(o * c) ** 2)
assert np.isclose(after["lstm.0.h"], math.tanh(o * c))
assert np.isclose(paper_grads["lstm.0.bias"][2], dp * c * o * (1 - o))
assert np.isclose(leaving["lstm.0.c"], (dc_next + dp * o) * f)

# %% [markdown]
# **4.** $i$ is read twice, so $di = dc\,g - dc\,c_{prev} = dc\,(g - c_{prev})$. It learns nothing where $g = c_{prev}$:
# it makes no difference then which of the two is taken.

# %%
for candidate in (g, c_prev):
    coupled = central_difference(lambda e, g=candidate: (1 - i - e) * c_prev + (i + e) * g)
    assert math.isclose(coupled, candidate - c_prev, abs_tol=1e-12)

# %% [markdown]
# **5.** $da$ is $(B, 4H)$ and $W_x$ is $(N, 4H)$: the product exists only where $4H = N$, and would then have the right
# shape $(B, N)$. It is right by accident only where $da\,W_x = da\,W_x^\top$, for instance for a symmetric $W_x$.
# Shapes catch many mistakes, not all; finite differences catch this one.

# %%
H, N, B = 2, 8, 3
W_x, da_rows = rng.standard_normal((N, 4 * H)), rng.standard_normal((B, 4 * H))
assert (da_rows @ W_x).shape == (da_rows @ W_x.T).shape == (B, N)
assert not np.allclose(da_rows @ W_x, da_rows @ W_x.T)
symmetric = W_x + W_x.T
assert np.allclose(da_rows @ symmetric, da_rows @ symmetric.T)
