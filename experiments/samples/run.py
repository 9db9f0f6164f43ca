"""Let every finished model of experiments/depth_wiki write, and measure what it has written.

``python -m experiments.samples.run``; takes a minute or two per model. Models that have written are not asked again.
"""

import json
from itertools import chain
from pathlib import Path
from typing import Any

from experiments.depth_wiki.run import EXPERIMENT as DEPTH
from experiments.report import fill, report_only, spread, table
from experiments.samples.measures import measures, words
from minigrid import CharModel, load
from minigrid.data.corpora import load_corpus
from minigrid.data.vocabulary import Vocabulary
from minigrid.files import written_whole
from minigrid.runs.checkpoint import BEST
from minigrid.runs.sampling import Sampler, generate

HERE = Path(__file__).parent
TEMPERATURES, SEEDS = (0.5, 0.8, 1.0), (1, 2, 3)
LENGTH = 2000  # bytes
SHOWN = 500  # characters of a text on the page
HELD_OUT = 0.05  # share of the text, at its end

Sample = dict[str, Any]
"""``temperature``, ``seed``, ``text``, and what :func:`experiments.samples.measures.measures` gives."""


def split_text() -> tuple[str, str]:
    """Return what the models were trained on, and what was held out."""
    corpus = load_corpus("wiki-excerpt")
    cut = len(corpus.ids) - round(len(corpus.ids) * HELD_OUT)
    return corpus.vocabulary.decode(corpus.ids[:cut]), corpus.vocabulary.decode(corpus.ids[cut:])


def pieces(text: str, count: int) -> list[str]:
    """Cut `count` pieces of `LENGTH` characters out of a text, evenly spaced, each beginning after a blank line."""
    stride = (len(text) - 2 * LENGTH) // (count - 1)
    starts = [text.index("\n\n", k * stride) + 2 for k in range(count)]
    return [text[start : start + LENGTH] for start in starts]


def samples_of(model: CharModel, vocabulary: Vocabulary, known: set[str]) -> list[Sample]:
    """Let a model write at every temperature from every seed, as after a line break, and measure it."""
    result = []
    for temperature in TEMPERATURES:
        for seed in SEEDS:
            text = "".join(generate(model, vocabulary, LENGTH, sampler=Sampler(temperature=temperature), seed=seed))
            result.append({"temperature": temperature, "seed": seed, **measures(text, known), "text": text})
    return result


def kept(name: str) -> Path:
    """The file of a model's samples."""
    return HERE / f"{name}.json"


def keep(name: str, samples: list[Sample]) -> None:
    """Write a model's samples down."""
    with written_whole(kept(name)) as temporary:
        temporary.write_text(json.dumps(samples, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{name}: {len(samples)} samples in {kept(name)}")


def write_missing() -> None:
    """Write and measure what is missing: the held-out text, and the models whose training has left a checkpoint."""
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
    """Tabulate the measures, in per cent, over all trainings of a model, and show how the first of each begins."""
    files = {name: kept(name) for name in DEPTH.all_runs if kept(name).exists()}
    written: dict[str, list[list[Sample]]] = {}
    for name, file in files.items():
        written.setdefault(name.rsplit("-", 1)[0], []).append(json.loads(file.read_text(encoding="utf-8")))
    rows = [
        [kind, str(len(runs)), str(temperature), *columns([s for s in chain(*runs) if s["temperature"] == temperature])]
        for kind, runs in written.items()
        for temperature in TEMPERATURES
    ]
    held_out = json.loads(kept("held-out").read_text(encoding="utf-8"))
    rows.append(["held-out text", "", "", *columns(held_out)])
    fill(HERE / "README.md", "results", table(HEADER, rows))
    shown = {kind: next(s for s in runs[0] if s["temperature"] == 0.8) for kind, runs in written.items()}
    texts = [f"`{kind}`:\n\n~~~~text\n{sample['text'][:SHOWN]}\n~~~~" for kind, sample in shown.items()]
    fill(HERE / "README.md", "texts", "\n\n".join(texts))


def columns(samples: list[Sample]) -> list[str]:
    """Write the measures of some samples, the shares in per cent."""
    known, closed, repeated = ([100 * sample[share] for sample in samples] for share in ("known", "closed", "repeated"))
    elements = sum(sample["elements"] for sample in samples) / len(samples)
    return [spread(known, ".1f"), spread(closed, ".1f"), f"{elements:.0f}", spread(repeated, ".1f")]


if __name__ == "__main__":
    if not report_only(__doc__):
        write_missing()
    report()
