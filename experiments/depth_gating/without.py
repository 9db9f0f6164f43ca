"""Train grids whose forget gates along depth are closed from the start, and measure what they know and predict.

``python -m experiments.depth_gating.without``; call it again after a stop. Takes about 40 minutes on one core.
"""

import dataclasses
from pathlib import Path

from experiments.depth_gating.measures import ask, losses, probe_states, traced
from experiments.depth_gating.run import HERE, deep_in_word, report, states_of, write
from experiments.depth_gating.texts import readings
from experiments.pretrained.run import HIDDEN, SEEDS, TRAINING
from experiments.runner import ROOT, Experiment, main
from minigrid import CharModel
from minigrid.analysis.interventions import FAR
from minigrid.runs.checkpoint import BEST, model_arrays, read_checkpoint, write_checkpoint
from minigrid.runs.config import Config
from minigrid.runs.meta import Meta, RunMeta
from minigrid.runs.tasks import resolve

STARTS = Path("runs/depth_gating/starts")
SETTINGS = {"corpus": "toywiki", "model": "grid", "hidden": HIDDEN["grid"], "layers": 4}


def write_start(name: str) -> None:
    """Write the checkpoint that a run begins with: that of toywiki-grid-SEED but for the closed gates.

    Their bias is so low that they are exactly 0, and so are their slopes: training never opens them.
    """
    config, corpus = resolve(Config(**SETTINGS, seed=EXPERIMENT.runs[name]["seed"]))
    fresh = CharModel(vocab_size=len(corpus.vocabulary), **config.model_options())
    fresh.params["depth.bias"][fresh.hidden : 2 * fresh.hidden] = -FAR
    run = RunMeta(config=dataclasses.asdict(config), sha256=corpus.sha256)
    meta = Meta(model=fresh.options, vocabulary=corpus.vocabulary, run=run)
    start = ROOT / EXPERIMENT.runs[name]["init_from"]
    start.parent.mkdir(parents=True, exist_ok=True)
    write_checkpoint(start, model_arrays(fresh), meta)


EXPERIMENT = Experiment(
    HERE,
    {
        f"toywiki-without-{seed}": SETTINGS
        | TRAINING["toywiki"]
        | {"seed": seed, "init_from": STARTS / f"toywiki-without-{seed}.npz"}
        for seed in SEEDS["toywiki"]
    },
    threads=1,
    prepare=write_start,
)


def measure_finished() -> None:
    """Measure the runs that are finished and not measured yet, then fill in the page."""
    for name in EXPERIMENT.metrics():
        if not (HERE / f"{name}.json").exists():
            checkpoint = read_checkpoint(EXPERIMENT.run_folder(name) / BEST)
            model, texts = checkpoint.model(), readings("toywiki", checkpoint.vocabulary())
            if traced(model, texts["judge"], ("depth.f",))["depth.f"].any():
                raise SystemExit(f"{name}: a forget gate along depth has opened in training")
            deep = probe_states(*states_of(model, **texts), ask(**texts, letters=deep_in_word))
            write(name, {"loss": losses(model, texts["judge"]), "deep": deep})
    report()


if __name__ == "__main__":
    main(EXPERIMENT, __doc__, measure_finished)
