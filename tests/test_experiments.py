"""What the experiments report from their metrics."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from run_fixtures import PROJECT, write_text

from experiments.addition import run as addition
from experiments.depth_wiki import run as depth_wiki
from experiments.entropy import unigram_entropy
from experiments.gradient_flow import run as gradient_flow
from experiments.no_dropout import figures, measures
from experiments.no_dropout import run as no_dropout
from experiments.report import spread
from experiments.samples.measures import closings, known_share, repeated_share
from experiments.samples.run import pieces
from minigrid import CharModel


@pytest.fixture
def page(tmp_path):
    """Return a function that makes an experiment use a folder of the test with a copy of its page."""

    def copy(experiment, monkeypatch):
        name = experiment.__name__.split(".")[1]
        shutil.copy(PROJECT / "experiments" / name / "README.md", tmp_path)
        monkeypatch.setattr(experiment, "EXPERIMENT", dataclasses.replace(experiment.EXPERIMENT, folder=tmp_path))
        return tmp_path

    return copy


def write_metrics(folder, name, records):
    (folder / "metrics").mkdir(exist_ok=True)
    (folder / "metrics" / f"{name}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))


def write_run(folder, name, losses, **made):
    records = [{"split": "val", "step": k, "epoch": k, "loss": loss} for k, loss in enumerate(losses, 1)]
    records.append({"split": "run", "parameters": 1000, "minutes": 30.0, "machine": "CPU", "command": "python"} | made)
    write_metrics(folder, name, records)


def test_depth_wiki_compares_the_deep_grid_with_the_better_stack(page, monkeypatch):
    folder = page(depth_wiki, monkeypatch)
    best_of = {"grid-6x128-1": 0.9, "grid-6x128-2": 1.2, "grid-3x128-1": 1.3, "lstm-3x128-1": 1.0, "lstm-6x128-1": 1.5}
    best_of |= {"grid-3x168-1": 0.8, "lstm-3x193-1": 1.0, "lstm-6x138-1": 1.1}
    for name, best in best_of.items():
        write_run(folder, name, [2.0, best, best + 0.1])
    depth_wiki.report()
    text = (folder / "README.md").read_text()
    assert "| grid-6x128 | 1,000 | 2 | 3 | 1.0500 (0.9000 to 1.2000) | 1.515 (1.298 to 1.731) | 30 |" in text
    assert "that of the better stack, `lstm-3x128`, by -10.00 %, one seed." in text
    assert "At equal size, the best validation loss of the better grid, `grid-3x168`" in text
    assert "`lstm-3x193`, by -20.00 %, one seed. (grid-lstm's README" in text
    assert "At 256 units" not in text
    assert "Compute: 4.0 hours" in text
    assert "(val_curves.png)" in text
    assert (folder / "val_curves.png").exists()


def test_depth_wiki_says_nothing_of_a_comparison_that_lacks_a_run(page, monkeypatch):
    folder = page(depth_wiki, monkeypatch)
    write_run(folder, "grid-6x128-1", [1.0])
    depth_wiki.report()
    assert "better stack" not in (folder / "README.md").read_text()


def test_spreads():
    assert spread([1.0, 2.0], ".1f") == "1.5 (1.0 to 2.0)"
    assert spread([1.0], ".1f") == "1.0"


# -- no_dropout


def test_a_start_has_the_scale_and_the_forget_bias_that_it_is_named_for(tmp_path, monkeypatch):
    from minigrid.runs.checkpoint import read_checkpoint

    names = ("lstm-base-1", "lstm-scale-0.16-1", "lstm-forget-3-1")
    monkeypatch.setattr(no_dropout, "start_file", lambda name: tmp_path / f"{name}.npz")
    monkeypatch.setattr(no_dropout, "TEXT", {"data": str(write_text(tmp_path))})
    monkeypatch.setenv("MINIGRID_DATA", str(tmp_path))
    for name in names:
        no_dropout.write_start(name)
    base, wide, keeping = (read_checkpoint(tmp_path / f"{name}.npz").arrays for name in names)
    np.testing.assert_allclose(wide["params/lstm.3.W_x"], 2 * base["params/lstm.3.W_x"], rtol=1e-6)
    difference = (keeping["params/lstm.5.bias"] - base["params/lstm.5.bias"]).reshape(4, 64)  # [i | f | o | g]
    np.testing.assert_allclose(difference, np.array([0, 2, 0, 0])[:, None] * np.ones(64), atol=1e-6)


def test_names_are_taken_apart():
    assert figures.split_name("grid-lr-0.002-1") == ("grid", "lr-0.002", 1)


def test_layers_of_1000_units_come_last_and_take_fewer_steps():
    *usual, lstm, grid = no_dropout.EXPERIMENT.runs.values()
    assert (lstm["hidden"], lstm["max_steps"], grid["hidden"], grid["max_steps"]) == (1000, 800, 1000, 200)
    assert len(usual) == 2 * 2 * 11
    assert {settings["max_steps"] for settings in usual} == {1500}


@pytest.mark.parametrize("model", ["lstm", "grid"])
def test_what_reaches_which_layer(model):
    net = CharModel(model, vocab_size=5, hidden=4, layers=3)
    x, y = np.random.default_rng(0).integers(0, 5, (2, 6, 8))
    measured = measures.measure(net, x, y)
    top = net.forward(x, net.initial_state(8))[2].top
    assert measured["variation"][-1] == pytest.approx(top.std(axis=1).mean())
    assert (len(measured["variation"]), len(measured["gradient"])) == (4, 3)
    net.params["embedding.weight"][...] = 0  # now the output does not depend on the input
    measured = measures.measure(net, x, y)
    np.testing.assert_allclose(measured["variation"], 0, atol=1e-7)
    assert min(measured["gradient"]) > 0


def test_unigram_entropy():
    assert unigram_entropy(np.array([[0, 1], [1, 0]])) == pytest.approx(np.log(2))
    assert unigram_entropy(np.array([3, 3, 3])) == 0


def test_when_a_run_leaves_the_flat_line():
    assert no_dropout.leaves_flat_line(np.full(20, 3.5), unigram=3.6) is None
    assert no_dropout.leaves_flat_line(np.r_[np.full(10, 3.5), np.full(10, 3.0)], unigram=3.6) == 130


def test_no_dropout_reports_what_is_there(page, monkeypatch):
    folder = page(no_dropout, monkeypatch)
    monkeypatch.setattr(no_dropout, "HERE", folder)
    measured = {when: {"variation": [1.0] * 7, "gradient": [1.0] * 6} for when in ("before", "after")}
    reached = {"lstm-base-1": 3.6, "lstm-base-2": 3.5, "grid-base-1": 2.0, "grid-lr-0.002-1": 1.9}
    starts = [f"{model}-{width}" for model in no_dropout.MODELS for width in no_dropout.WIDTHS]
    start = {"variation": [1.0] * 6 + [0.5], "gradient": [0.5] * 5 + [2.0]}
    found = {"unigram": 3.6, "widths": dict.fromkeys(starts, start), "runs": dict.fromkeys(reached, measured)}
    found["losses"] = {name: [loss] * 20 for name, loss in reached.items()}
    monkeypatch.setattr(no_dropout, "measure_missing", lambda: found)
    for name in reached:
        write_metrics(folder, name, [{"split": "run", "minutes": 30.0, "machine": "CPU"}])
    no_dropout.report()
    text = (folder / "README.md").read_text()
    assert "| base | lstm | 2 | 1500 | 3.550 (3.500 to 3.600) | never, never | 1.0e+00 | 1.0e+00 | 1.0e+00 |" in text
    assert "| base | grid | 1 | 1500 | 2.000 | 50 | 1.0e+00 |" in text
    assert "| 1000 | grid | 1.0e+00 | 5.0e-01 | 2.5e-01 |" in text
    assert "has a loss of 3.600 nats" in text
    assert "Compute: 2.0 hours of training steps, summed over the runs, on CPU." in text
    assert (folder / "losses.png").exists()
    assert (folder / "signal.png").exists()


def test_no_dropout_keeps_every_loss_of_a_run(page, tmp_path, monkeypatch):
    """The committed metrics are too thin for the curves."""
    page(no_dropout, monkeypatch)
    for name in ("MEASURES", "LOSSES"):
        monkeypatch.setattr(no_dropout, name, tmp_path / "results" / f"{name}.json")
    run = tmp_path / "run"
    run.mkdir()
    records = [{"split": "train", "step": 10 * k, "loss": k + 1 / 3} for k in range(1, 16)]
    (run / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    assert no_dropout.read_measures() == {"unigram": None, "widths": {}, "runs": {}, "losses": {}}
    measures = {"unigram": 3.5, "widths": {}, "runs": {}, "losses": {"run": no_dropout.training_losses(run)}}
    no_dropout.write_measures(measures)
    assert no_dropout.read_measures() == measures
    assert measures["losses"]["run"] == [float(f"{k}.33333"[:7]) for k in range(1, 16)]


# -- addition


def test_addition_reports_what_is_there(page, monkeypatch):
    folder = page(addition, monkeypatch)
    for name, digits in {"lstm-2": (0.2, 0.3), "grid-layers-2": (0.992, 1.0), "long-2": (0.9, 0.991)}.items():
        records = [
            {"split": "val", "step": 250 * k, "epoch": k / 4, "loss": 1, "digits": share, "answers": share / 2}
            for k, share in enumerate(digits, 1)
        ]
        records.append({"split": "run", "parameters": 1000, "minutes": 3.0, "machine": "CPU"})
        write_metrics(folder, name, records)
    addition.report()
    text = (folder / "README.md").read_text()
    assert "| lstm | 2 | 1,000 | 50,000 | 30.00% | 15.00% | never | 3 |" in text
    assert "| grid-layers | 2 | 1,000 | 50,000 | 100.00% | 50.00% | 25,000 | 3 |" in text
    assert "| 2 | 50,000 | 99.10% | 49.55% | 50,000 |" in text
    assert (folder / "digits.png").exists()


# -- samples


@pytest.mark.parametrize(
    ("text", "closed", "wrong"),
    [
        ("no markup, 1 < 2", 0, 0),
        ("[[a]] {{b|[[c]]}} <ref>d</ref> &lt;i&gt;e&lt;/i&gt; <br/>", 5, 0),
        ('<text xml:space="preserve">[[still open', 0, 0),
        ("</text> ends what began before", 0, 0),
        ("{{b|[[c}}", 1, 1),
        ("]] }}", 0, 2),
        ("[[a\n\nb]]", 0, 2),
        ("<b><i></b></i>", 1, 1),
        ("[[a}}", 0, 1),
    ],
)
def test_links_templates_and_tags_are_counted(text, closed, wrong):
    assert closings(text) == (closed, wrong)


def test_words_are_known_or_not():
    assert known_share("The cat, the dgo & 12 a", {"the", "cat"}) == 3 / 4
    assert known_share("12", set()) == 0


def test_repetition():
    assert repeated_share("one two three four five") == 0
    assert repeated_share("one two three four " * 3) == pytest.approx(5 / 9)
    assert repeated_share("too short") == 0


def test_pieces_begin_after_a_blank_line():
    text = "".join(f"\n\n{k:04d} " + "x" * 500 for k in range(100))
    found = pieces(text, 5)
    assert [len(piece) for piece in found] == [2000] * 5
    assert all(piece[:4].isdigit() for piece in found)
    assert len({piece[:4] for piece in found}) == 5


def test_gradient_flow_measures_before_and_after(monkeypatch):
    monkeypatch.setattr(gradient_flow, "MINIBATCHES", 20)
    text = gradient_flow.read_text()
    assert 3 < unigram_entropy(text.train[1:]) < 3.5
    start, opened = (gradient_flow.train_and_measure(text, kind, 3, 0.25, 1) for kind in ("grid", "grid-open"))
    assert {name: len(values) for name, values in start["after"].items()} == {"h": 3, "c": 3, "kept": 3}
    assert start["before"]["kept"] == pytest.approx([0.73**2, 0.73, 1], rel=0.02)
    assert opened["before"]["kept"] == pytest.approx([0.953**2, 0.953, 1], rel=0.02)
    assert len(start["losses"]) == 2
    assert set(gradient_flow.train_and_measure(text, "lstm", 2, 0, 1)["after"]) == {"h"}


def test_gradient_flow_has_measured_every_run_and_its_page_says_so(tmp_path, monkeypatch):
    measures = json.loads(gradient_flow.MEASURES.read_text())
    assert set(measures) == {"unigram", *gradient_flow.RUNS}
    shutil.copy(gradient_flow.HERE / "README.md", tmp_path)
    monkeypatch.setattr(gradient_flow, "HERE", tmp_path)
    gradient_flow.report(measures)
    assert (tmp_path / "README.md").read_text() == (PROJECT / "experiments/gradient_flow/README.md").read_text()
