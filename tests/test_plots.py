import math
import warnings

import pytest

from minigrid.plots import COLOURS, grid_block, loss_curves


def record(split, step, loss):
    return {"split": split, "step": step, "loss": loss}


RUNS = {
    "one": [record("train", 10, 3.0), record("train", 20, 2.5), record("val", 20, 2.75), record("val", 40, 2.7)],
    "two": [record("train", 10, 3.5)],
}


def test_every_run_has_its_curves_and_its_colour():
    lines = loss_curves(RUNS).axes[0].lines
    drawn = {line.get_label(): (line.get_xydata().tolist(), line.get_color()) for line in lines}
    assert drawn == {
        "one, training": ([[10, 3.0], [20, 2.5]], COLOURS[0]),
        "one, validation (best 2.700)": ([[20, 2.75], [40, 2.7]], COLOURS[0]),
        "two, training": ([[10, 3.5]], COLOURS[1]),
    }


def test_the_axes_say_what_they_measure():
    figure = loss_curves(RUNS)
    axes = figure.axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("minibatches", "loss (nats per symbol)")
    right = axes.child_axes[0]
    figure.draw_without_rendering()
    assert right.get_ylabel() == "bits per symbol"
    assert right.get_ylim() == pytest.approx([nats / math.log(2) for nats in axes.get_ylim()])
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [line.get_label() for line in axes.lines]


@pytest.mark.parametrize("runs", [{}, {"empty": []}, {f"run {k}": RUNS["one"] for k in range(9)}])
def test_few_and_many_runs(runs, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loss_curves(runs).savefig(tmp_path / "loss.png")
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_the_block_names_the_states_along_both_ways(tmp_path):
    figure = grid_block()
    figure.savefig(tmp_path / "block.svg")
    labels = " ".join(text.get_text() for text in figure.axes[0].texts)
    assert all(f"^{{{way}}}" in labels for way in ("time", "depth"))
