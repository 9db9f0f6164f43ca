"""Train grids whose forget gates along depth are closed from the start, and measure them.

Run ``python -m experiments.depth_gating.without``; after a stop, run it again to continue. It takes about 40 minutes on
one core.
"""

from pathlib import Path

from experiments import starts
from experiments.depth_gating.measures import ask, losses, probe_states, traced
from experiments.depth_gating.run import HERE, deep_in_word, kept, report, states_of, write
from experiments.depth_gating.texts import readings
from experiments.pretrained.run import HIDDEN, SEEDS, TRAINING
from experiments.runner import ROOT, Experiment, main
from minigrid import CharModel
from minigrid.analysis.interventions import FAR
from minigrid.runs.checkpoint import read_checkpoint
from minigrid.runs.find import BEST

STARTS = Path("runs/depth_gating/starts")
SETTINGS = {"corpus": "toywiki", "model": "grid", "hidden": HIDDEN["grid"], "layers": 4}


def write_start(name: str) -> None:
    """Write the checkpoint that a run starts from: the start of toywiki-grid-SEED, but with closed gates.

    The bias of these gates is so low that they are exactly 0. So are their slopes, and training never opens them.
    """

    def close_gates(fresh: CharModel) -> None:
        fresh.params["depth.bias"][fresh.hidden : 2 * fresh.hidden] = -FAR

    settings = EXPERIMENT.runs[name]
    starts.write_start(ROOT / settings["init_from"], SETTINGS | {"seed": settings["seed"]}, close_gates)


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
    """Measure the finished runs that were not measured yet, then fill in the page."""
    for name in EXPERIMENT.metrics():
        if not kept(name).exists():
            checkpoint = read_checkpoint(EXPERIMENT.run_folder(name) / BEST)
            model, texts = checkpoint.model(), readings("toywiki", checkpoint.vocabulary())
            if traced(model, texts["judge"], ("depth.f",))["depth.f"].any():
                raise SystemExit(f"{name}: training has opened a forget gate along depth")
            deep = probe_states(*states_of(model, **texts), ask(**texts, letters=deep_in_word))
            write(name, {"loss": losses(model, texts["judge"]), "deep": deep})
    report()


if __name__ == "__main__":
    main(EXPERIMENT, __doc__, measure_finished)
