# %% [markdown]
# # 6. Train on your own text, read the curves, sample, resume
#
# This notebook is about use: from a text file to a trained model that writes, in the shell and from Python.
#
# Afterwards you can
# - train on a text of your own, stop, and go on as if you had never stopped,
# - read a pair of loss curves: too small a model, too little text, or simply not done yet,
# - say what temperature and top-k do to the probabilities, and choose them,
# - let a training run on a GPU, and find out whether it pays.

# %%
# %matplotlib inline
import json
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from minigrid import CharModel, TrainStep, UserError, load, plots
from minigrid.backend import backend_module, describe_device
from minigrid.data.batches import split_text
from minigrid.data.toywiki import generate as write_toywiki
from minigrid.data.vocabulary import Vocabulary
from minigrid.runs.evaluation import bits, evaluate
from minigrid.runs.sampling import Sampler, generate

SEED = 6

# %% [markdown]
# ## The text
#
# Put the path of a text of your own here: any UTF-8 file, 100,000 characters at least. If you leave it empty, we take
# *toywiki*: wiki-like markup in a made-up language, which minigrid can write by itself. Everything below is written
# into a temporary folder that goes away with this notebook; only what is asserted about the losses belongs to toywiki.

# %%
MY_TEXT = ""  # for example "/home/me/books/all.txt"

folder = tempfile.TemporaryDirectory()
HERE = Path(folder.name)
text = Path(MY_TEXT).expanduser().read_text("utf-8") if MY_TEXT else write_toywiki(200_000, SEED)[0]
(HERE / "mine.txt").write_text(text, "utf-8")
print(f"{len(text):,} characters, {len(set(text))} different ones\n")
print(text[:400])

# %% [markdown]
# What can be known before any training? Who guesses among $V$ characters at random needs $\ln V$ nats per character.
# Who knows how often each one occurs, and nothing else, needs the entropy of these frequencies. A model that does not
# get below *that* has learnt nothing about order.

# %%
vocabulary = Vocabulary.from_text(text, tokens="chars")
ids = vocabulary.encode(text)
V = len(vocabulary)

shares = np.bincount(ids) / len(ids)
unigram = -(shares * np.log(shares)).sum()
print(
    f"guessing {np.log(V):.2f} nats, knowing the frequencies {unigram:.2f} nats ({bits(unigram):.2f} bits)"
)
assert unigram < np.log(V)

# %% [markdown]
# ## The shell commands
#
# In a shell it is `python -m minigrid train ...` (in the repository's root `python train.py ...`, too); a small
# function runs it and shows what it prints, without the progress bar. `--lr 5e-3` is higher than the default, 2e-3, for
# a short run; `--backend numpy` stays on the CPU even if there is a GPU.


# %%
def command(line):
    """Return what to start for a line of shell: this Python in place of `python`."""
    return [sys.executable, *line.split()[1:]]


def shell(line, code=0):
    """Run a command in the temporary folder, show what it prints and check its exit code."""
    print(f"$ {line}")
    done = subprocess.run(command(line), cwd=HERE, capture_output=True, text=True)
    print(
        done.stdout.strip() + "\n" if done.returncode == 0 else done.stderr.strip().splitlines()[-1]
    )
    assert done.returncode == code, done.stderr
    return done.stdout


TRAIN = (
    "python -m minigrid train --data mine.txt --hidden 48 --batch 20 --steps 40 --lr 5e-3"
    " --backend numpy"
)
_ = shell(f"{TRAIN} --max-steps 200 --eval-every 100 --run straight")

# %% [markdown]
# The folder of the run now holds its settings, its measurements, a picture of its curves, and two **checkpoints**: the
# last state and the best one so far, by validation loss. Every line of the measurements is one record:

# %%
print(sorted(path.name for path in (HERE / "straight").iterdir()))
records = [json.loads(line) for line in (HERE / "straight" / "metrics.jsonl").open()]
print(records[0])

first, last = (r["loss"] for r in (records[0], [r for r in records if r["split"] == "val"][-1]))
assert MY_TEXT or last < unigram < first  # it has learnt something about order

# %% [markdown]
# `loss` is in nats per character, the mean over the minibatches since the last record; `grad_norm` is the size of the
# gradient before clipping ([notebook 2](02_backpropagation_through_time.ipynb)); `per_second` counts characters.
#
# ## Stopping, and going on
#
# Now the same training again, but we press Ctrl-C on the way (in a program: the signal `SIGINT`). The run saves itself
# and says how to go on; its exit code is 130.

# %%
line = f"{TRAIN} --max-steps 200 --eval-every 100 --run stopped"
run = subprocess.Popen(command(line), cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
metrics = HERE / "stopped" / "metrics.jsonl"
while run.poll() is None and not (metrics.exists() and metrics.read_text().count("\n") >= 4):
    time.sleep(0.02)
run.send_signal(signal.SIGINT)
said = run.communicate()[0].decode()
print(said.strip().splitlines()[-1])
assert run.returncode == 130

_ = shell("python -m minigrid train --run stopped --resume")

# %% [markdown]
# A resumed run should end where one that was never stopped ends, **bit by bit**. Saving the parameters is not enough.
# The optimiser's running means belong to the state of a training, the carried state of the model, the place in the
# text, and how many random numbers have been drawn:

# %%
straight, stopped = (np.load(HERE / name / "last.npz") for name in ("straight", "stopped"))
arrays = [name for name in straight.files if "/" in name]
print("\n".join(f"{name:28s} {straight[name].shape}" for name in arrays))
assert {name.split("/")[0] for name in arrays} == {"params", "optimizer", "state"}
assert set(straight.files) == set(stopped.files)
for name in arrays:
    assert (straight[name] == stopped[name]).all()

# %% [markdown]
# Only how long a run lasts (`--max-steps`, `--epochs`), where it computes (`--backend`, `--device`, and `--tf32` on a
# GPU) and where its text lies (`--data`) may change on the way. So "train for a bit longer" is a resume, too. Other
# changes are refused, since the result would be that of neither run:

# %%
_ = shell("python -m minigrid train --run stopped --resume --max-steps 250")
_ = shell("python -m minigrid train --run stopped --resume --hidden 64", code=2)

# %% [markdown]
# `eval` measures a model on its held-out text, `plot` draws the curves of several runs into one picture, `sample`
# writes:

# %%
said = shell("python -m minigrid eval straight")
assert f"{last:.4f}" in said
_ = shell("python -m minigrid plot straight stopped --out curves.png")
assert (HERE / "curves.png").exists()
_ = shell("python -m minigrid sample straight --length 200 --temperature 0.7 --seed 1")

# %% [markdown]
# That is not much of a text: the model has seen 160,000 characters, not yet one pass. **For good** you would type
# `python -m minigrid train --data /home/me/books/all.txt --run runs/mine` in a shell: 2 layers of 128 units, 50 epochs;
# the second line says how long it takes. Watch `runs/mine/loss.png`, and press Ctrl-C when the validation loss turns.
# `python -m minigrid sample runs/mine` writes with the *best* checkpoint. A short text wants smaller `--batch` and
# `--steps`.
#
# ## The same from Python
#
# A training is a loop over minibatches. `split_text` holds the end of the text out and cuts the rest into `batch`
# streams; `TrainStep` does forward, backward, clipping and update and carries the state from call to call.


# %%
def train(hidden, text_length, minibatches=300, held_out=0.1, every=20):
    """Train a grid of two layers on the text's first characters; return the model and its measurements."""
    parts = split_text(ids[:text_length], batch=20, steps=40, val_fraction=held_out)
    model = CharModel("grid", vocab_size=V, hidden=hidden, layers=2, seed=SEED)
    step, losses, records = TrainStep(model, lr=5e-3), [], []
    for k in range(1, minibatches + 1):
        epoch, index = divmod(k - 1, len(parts.train))
        if index == 0:
            step.reset()  # the text begins again
        losses.append(float(step(*parts.train.minibatch(epoch, index))))
        if k % every == 0:
            records.append({"split": "train", "step": k, "loss": np.mean(losses[-every:])})
            records.append({"split": "val", "step": k, "loss": evaluate(model, parts.val).loss})
    return model, records


curves = {
    "2 units, whole text": train(2, len(ids)),
    "64 units, 4000 characters": train(64, 4000, held_out=0.3),
    "64 units, whole text": train(64, len(ids)),
}
plots.loss_curves({name: records for name, (_, records) in curves.items()})


# %% [markdown]
# ## Reading the curves
#
# What matters is how far the **training** loss (thin) goes down, and how far the **validation** loss (dots) stays above
# it.
#
# | what you see | what it means | what helps |
# |---|---|---|
# | both high, side by side, hardly falling | **underfitting**: it can do little better | more units, another rate |
# | training falls, validation turns and rises | **overfitting**: it learns by heart | more text, dropout |
# | both still falling, side by side | not done | more minibatches |
#
# A training loss *above* the validation loss is no mistake: it is the mean over the last 20 minibatches, while the
# model got better all the time.


# %%
def losses(name, split):
    return [r["loss"] for r in curves[name][1] if r["split"] == split]


for name in curves:
    best = np.argmin(losses(name, "val"))
    print(
        f"{name:26s} training {losses(name, 'train')[-1]:.2f}, validation {losses(name, 'val')[-1]:.2f} nats, "
        f"best {losses(name, 'val')[best]:.2f} after {20 * (best + 1)} minibatches"
    )

small, little, both = curves
if not MY_TEXT:
    gap = {name: losses(name, "val")[-1] - losses(name, "train")[-1] for name in curves}
    assert (
        losses(small, "train")[-1] > losses(both, "train")[-1] + 0.8
    )  # higher than with 64 units,
    assert abs(gap[small]) < 0.1  # but side by side
    assert gap[little] > 0.8  # overfitting:
    assert losses(little, "val")[-1] > min(losses(little, "val")) + 0.05  # it has turned
    assert abs(gap[both]) < 0.1
    assert losses(both, "val")[-1] < losses(both, "val")[-4] - 0.02  # still falling

# %% [markdown]
# Falling slowly and unable to fall look alike for a while; only a longer run tells. Our 2 units, five times as long:

# %%
_, records = train(2, len(ids), minibatches=1500, every=300)
longer = [r["loss"] for r in records if r["split"] == "val"]
print(", ".join(f"{loss:.2f}" for loss in longer), "nats after 300, 600 ... 1500 minibatches")
if not MY_TEXT:
    assert longer[3] - longer[4] < 0.1  # hardly falling
    assert longer[4] > losses(both, "val")[-1] + 1  # far above what 64 units reach in a fifth

# %% [markdown]
# ## Sampling
#
# A trained model gives a score $z_v$ for every character. Sampling draws the next one from
#
# $$p_v = \frac{e^{z_v / \tau}}{\sum_w e^{z_w / \tau}}$$
#
# and feeds it back as the next character read. The **temperature** $\tau$ sharpens ($\tau < 1$) or flattens
# ($\tau > 1$) the distribution; **top-k** allows only the $k$ likeliest characters. We take a model that was trained
# for some minutes and comes with minigrid, or yours: its folder, and a beginning that suits your text. What does it
# expect next?

# %%
RUN, prime = "pretrained:toywiki-grid-1", "The vo"  # or "/home/me/runs/mine", "Once upon"
IS_TOYWIKI = RUN == "pretrained:toywiki-grid-1"

model, its_vocabulary = load(RUN)
logits, _ = model.predict(its_vocabulary.encode(prime)[:, None], model.initial_state(1))
scores = np.sort(logits[-1, 0].astype("float64"))[::-1]
NAMES = {" ": "␣", "\n": "↵"}
letters = [its_vocabulary.decode([n]) for n in np.argsort(-logits[-1, 0])]
letters = [NAMES.get(letter, letter) for letter in letters]

TEMPERATURES = (0.3, 0.7, 1.0, 1.5)
SHOWN = 12
fig, axes = plt.subplots(1, len(TEMPERATURES), figsize=(11, 3.2), sharey=True)
entropy = {}
for ax, tau in zip(axes, TEMPERATURES, strict=True):
    p = np.exp((scores - scores[0]) / tau)
    p /= p.sum()
    entropy[tau] = -(p * np.log(p)).sum()
    ax.bar(range(SHOWN), p[:SHOWN])
    ax.set_xticks(range(SHOWN), letters[:SHOWN], family="monospace", fontsize=9)
    ax.set(title=f"temperature {tau}\nentropy {entropy[tau]:.2f} nats", xlabel="next character")
axes[0].set_ylabel("probability")
fig.suptitle(f"What the model expects after {prime!r}: the {SHOWN} likeliest of {len(scores)}")
plt.show()

assert list(entropy.values()) == sorted(entropy.values())

# %%
LENGTH = 1200


def sample(**how):
    return "".join(
        generate(model, its_vocabulary, LENGTH, prime=prime, sampler=Sampler(**how), seed=SEED)
    )


texts = {f"temperature {tau}": sample(temperature=tau) for tau in TEMPERATURES}
texts["temperature 1.5, top-k 3"] = sample(temperature=1.5, top_k=3)
texts["argmax"] = sample(argmax=True)
for name, written in texts.items():
    print(f"--- {name}\n{prime}{written[:320]}\n")

# %% [markdown]
# Admiring is not measuring. toywiki's words are made up, but from a fixed stock. So we can count which share of the
# written words *exist* (appear in a long text), and which share are different, for variety. The last row is real text,
# in pieces of the same length.


# %%
def words(written):
    return re.findall(r"[^\W\d_]{4,}", written.lower())  # letters of any alphabet


def measure(written):
    """Share of the words that exist, and that are different."""
    found = words(written)
    number = max(len(found), 1)  # who has learnt little may write none
    return sum(word in known for word in found) / number, len(set(found)) / number


known = set(words(write_toywiki(400_000, seed=99)[0] if IS_TOYWIKI else text[:-20_000]))
real = write_toywiki(20_000, SEED + 1)[0] if IS_TOYWIKI else text[-20_000:]
pieces = [real[k : k + LENGTH] for k in range(0, len(real) - LENGTH, LENGTH)]
measured = {name: measure(written) for name, written in texts.items()}
measured["real text"] = np.mean([measure(piece) for piece in pieces], axis=0)

print("                           words that exist   different words")
for name, (exist, different) in measured.items():
    print(f"{name:26s} {exist:12.0%} {different:19.0%}")

if IS_TOYWIKI:
    exist = {name: shares[0] for name, shares in measured.items()}
    different = {name: shares[1] for name, shares in measured.items()}
    assert exist["real text"] > 0.98
    assert exist["temperature 0.3"] > 0.9
    assert exist["temperature 0.3"] > exist["temperature 1.0"] > exist["temperature 1.5"] + 0.2
    assert exist["temperature 1.5, top-k 3"] > exist["temperature 1.5"] + 0.2
    assert abs(different["temperature 0.3"] - different["real text"]) < 0.1
    assert different["temperature 1.0"] > different["real text"] + 0.2
    assert different["argmax"] < 0.1
    invented = [word for word in words(texts["temperature 1.0"]) if word not in known]
    assert len(set(invented)) > 0.9 * len(invented)  # nearly always a new one

# %% [markdown]
# - Low temperatures write what is safe; taking the likeliest character every time (**argmax**, the limit $\tau \to 0$)
#   ends in a loop.
# - Much variety is no merit: an invented word is nearly always a new one. Real text has the variety of temperature 0.3.
# - High temperatures take unlikely characters often, and after the first wrong letter the model reads a text of a kind
#   that it has never seen.
# - Top-k cuts off that long tail, so that a high temperature stays among the plausible ones.
# - Temperature 1 writes the model's own distribution, errors included. It is the setting for judging a model; 0.5 to
#   0.8 makes texts that are nicer to read.
#
# ## CPU and GPU
#
# There is one code for both: every function asks its arrays which module they belong to. `train` takes a GPU by itself
# if CuPy is installed (`pip install -e ".[cuda12]"` or `".[cuda13]"`): its first line says `on CPU` or names the GPU,
# and `--backend cupy` insists on one. `sample`, `eval` and `inspect` stay on the CPU unless told. Checkpoints load on
# either. Whether a GPU pays depends on the sizes: train 20 steps with `--backend numpy` and 20 with `--backend cupy`,
# and compare the seconds per minibatch.
#
# From Python you name the backend. The next cell takes three steps on each, the GPU only where there is one:

# %%
x, y = split_text(ids, batch=20, steps=40).train.minibatch(0, 0)


def three_losses(backend):
    model = CharModel("grid", vocab_size=V, hidden=64, layers=2, seed=SEED, backend=backend)
    step = TrainStep(model)
    return [float(step(x, y)) for _ in range(3)]


print("CPU:", np.round(three_losses("numpy"), 4))
try:
    gpu = backend_module("cupy")
except UserError as reason:
    print(f"No GPU was used here: {reason}.")
else:
    print("GPU:", np.round(three_losses("cupy"), 4), describe_device(gpu))
    # not bit by bit: a GPU adds in another order
    assert np.allclose(three_losses("cupy"), three_losses("numpy"), rtol=1e-3)

# %% [markdown]
# ## Exercises
#
# 1. **Before the first update.** What loss should an untrained model have, nearly, on any text? Check it on ours.
# 2. **How much text is an epoch?** A text of 1,000,000 characters, 5 % of it held out, `--batch 50 --steps 50`, split
#    as above. How many minibatches has an epoch? After how many does the carried state start from zero again?
# 3. **Argmax as a limit.** Show on the scores above that $p_1 \to 1$ for $\tau \to 0$, and that $p_v \to 1/V$ for $\tau
#    \to \infty$.
# 4. **Top-1.** What does `top_k=1` do at temperature 5?
# 5. **Starting from someone else's parameters.** `--init-from RUN` begins a *new* run with the parameters of another
#    (of its best checkpoint). What does it not take over that `--resume` does, and when would you want that? (See
#    `train --help`.)
#
# ## Solutions
#
# **1.** Its weights are small, so all scores are near 0 and all characters nearly equally likely: $\ln V$.

# %%
untrained = CharModel("grid", vocab_size=V, hidden=64, layers=2, seed=SEED)
loss, _ = untrained.loss(x, y, untrained.initial_state(20))
assert abs(float(loss) - np.log(V)) < 0.02

# %% [markdown]
# **2.** 950,000 characters give $\lfloor 949{,}999 / 2500 \rfloor = 379$ minibatches (the very last character can only
# be predicted, not read). The state starts from zero at the beginning of each epoch, so after 379.

# %%
million = np.zeros(1_000_000, int)
assert len(split_text(million, batch=50, steps=50, val_fraction=0.05).train) == 379


# %% [markdown]
# **3.** $p_v / p_1 = e^{(z_v - z_1) / \tau}$ with $z_v < z_1$: to 0 for $\tau \to 0$, to 1 for $\tau \to \infty$.


# %%
def probabilities(tau):
    p = np.exp((scores - scores[0]) / tau)
    return p / p.sum()


assert probabilities(1e-3)[0] > 0.999
assert np.allclose(probabilities(1e6), 1 / len(scores), rtol=1e-3)

# %% [markdown]
# **4.** Only the likeliest is allowed, so its probability is 1 at any temperature: the same as argmax.

# %%
assert sample(temperature=5.0, top_k=1) == texts["argmax"]

# %% [markdown]
# **5.** The optimiser's running means, the carried state, the step (and with it the rate, which sinks after the tenth
# epoch) and the place in the text. You want it when something else than the length is to change: a lower rate, dropout,
# another text with the very same set of characters. The sizes must agree, too. What was taken over is measured first,
# at step 0, so that `best.npz` is never worse than it:

# %%
_ = shell(f"{TRAIN.replace('5e-3', '1e-3')} --max-steps 20 --init-from straight --run slower")
taken_over, begun, *_ = map(json.loads, (HERE / "slower" / "metrics.jsonl").open())
assert (taken_over["step"], taken_over["split"]) == (0, "val")
assert begun["step"] == 10  # it counts from the beginning,
assert MY_TEXT or begun["loss"] < unigram  # with what the other has learnt
folder.cleanup()
