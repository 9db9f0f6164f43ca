"""Sample text from every finished model of experiments/depth_wiki, and measure it.

Run ``python -m experiments.samples.run``. It takes a minute or two per model, and skips models that have samples.
"""

from itertools import chain
from pathlib import Path
from typing import Any

from docs.markdown import fill, table
from experiments.depth_wiki.run import EXPERIMENT as DEPTH
from experiments.report import report_only, spread
from experiments.samples.measures import measures, words
from experiments.store import read_results, write_results
from minigrid import CharModel, load
from minigrid.data.corpora import load_corpus
from minigrid.data.vocabulary import Vocabulary
from minigrid.runs.find import BEST
from minigrid.runs.sampling import Sampler, generate

HERE = Path(__file__).parent
TEMPERATURES, SEEDS = (0.5, 0.8, 1.0), (1, 2, 3)
LENGTH = 2000  # bytes
SHOWN = 500  # characters of a sample on the page
HELD_OUT = 0.05  # share of the text, at its end

Sample = dict[str, Any]
"""``temperature``, ``seed``, ``text``, and the values of :func:`experiments.samples.measures.measures`."""


def split_text() -> tuple[str, str]:
    """Return the text that the models were trained on, and the held-out text."""
    corpus = load_corpus("wiki-excerpt")
    cut = len(corpus.ids) - round(len(corpus.ids) * HELD_OUT)
    return corpus.vocabulary.decode(corpus.ids[:cut]), corpus.vocabulary.decode(corpus.ids[cut:])


def pieces(text: str, count: int) -> list[str]:
    """Return `count` evenly spaced pieces of a text, of `LENGTH` characters each, that start after a blank line."""
    stride = (len(text) - 2 * LENGTH) // (count - 1)
    starts = [text.index("\n\n", k * stride) + 2 for k in range(count)]
    return [text[start : start + LENGTH] for start in starts]


def samples_of(model: CharModel, vocabulary: Vocabulary, known: set[str]) -> list[Sample]:
    """Sample from a model at every temperature with every seed, and measure the samples."""
    result = []
    for temperature in TEMPERATURES:
        for seed in SEEDS:
            text = "".join(generate(model, vocabulary, LENGTH, sampler=Sampler(temperature=temperature), seed=seed))
            result.append({"temperature": temperature, "seed": seed, **measures(text, known), "text": text})
    return result


def kept(name: str) -> Path:
    """Return the file of a model's samples."""
    return HERE / "results" / f"{name}.json"


def keep(name: str, samples: list[Sample]) -> None:
    """Write a model's samples to their file."""
    write_results(kept(name), samples)
    print(f"{name}: {len(samples)} samples in {kept(name)}")


def write_missing() -> None:
    """Measure what is missing: pieces of the held-out text, and samples of the models that have a checkpoint."""
    finished = DEPTH.metrics()
    runs = [name for name in finished if not kept(name).exists() and (DEPTH.run_folder(name) / BEST).exists()]
    if runs or not kept("held-out").exists():
        train, held_out = split_text()
        known = set(words(train))
        keep("held-out", [measures(text, known) for text in pieces(held_out, len(SEEDS) * len(TEMPERATURES))])
        for name in runs:
            keep(name, samples_of(*load(DEPTH.run_folder(name)), known))


HEADER = [
    "model",
    "trainings",
    "temperature",
    "words seen in training",
    "closed in order",
    "of elements",
    "repeated runs of 4 words",
]


def report() -> None:
    """Fill in the page: the measures of all samples of a model, in per cent, and the start of one sample."""
    files = {name: kept(name) for name in DEPTH.all_runs if kept(name).exists()}
    written: dict[str, list[list[Sample]]] = {}
    for name, file in files.items():
        written.setdefault(name.rsplit("-", 1)[0], []).append(read_results(file))
    rows = [
        [kind, str(len(runs)), str(temperature), *columns([s for s in chain(*runs) if s["temperature"] == temperature])]
        for kind, runs in written.items()
        for temperature in TEMPERATURES
    ]
    held_out = read_results(kept("held-out"))
    rows.append(["held-out text", "", "", *columns(held_out)])
    fill(HERE / "README.md", "results", table(HEADER, rows))
    shown = {kind: next(s for s in runs[0] if s["temperature"] == 0.8) for kind, runs in written.items()}
    texts = [f"`{kind}`:\n\n~~~~text\n{sample['text'][:SHOWN]}\n~~~~" for kind, sample in shown.items()]
    fill(HERE / "README.md", "texts", "\n\n".join(texts))


def columns(samples: list[Sample]) -> list[str]:
    """Return the cells of a row for some samples, the shares in per cent."""
    known, closed, repeated = ([100 * sample[share] for sample in samples] for share in ("known", "closed", "repeated"))
    elements = sum(sample["elements"] for sample in samples) / len(samples)
    return [spread(known, ".1f"), spread(closed, ".1f"), f"{elements:.0f}", spread(repeated, ".1f")]


if __name__ == "__main__":
    if not report_only(__doc__):
        write_missing()
    report()
