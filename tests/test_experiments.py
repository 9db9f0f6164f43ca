"""What experiments make of their metrics."""

import dataclasses
import json
import shutil

import pytest
from run_fixtures import PROJECT

from experiments.depth_wiki import run as depth_wiki
from experiments.gradient_flow import run as gradient_flow
from experiments.report import fill, spread, table


@pytest.fixture
def page(tmp_path):
    """Return a function that copies an experiment's page to a folder of the test's own and gives that to it."""

    def copy(experiment, monkeypatch):
        name = experiment.__name__.split(".")[1]
        shutil.copy(PROJECT / "experiments" / name / "README.md", tmp_path)
        monkeypatch.setattr(experiment, "EXPERIMENT", dataclasses.replace(experiment.EXPERIMENT, folder=tmp_path))
        return tmp_path

    return copy


def write_run(folder, name, losses, **made):
    records = [{"split": "val", "step": k, "epoch": k, "loss": loss} for k, loss in enumerate(losses, 1)]
    records.append({"split": "run", "parameters": 1000, "minutes": 30.0, "machine": "CPU", "command": "python"} | made)
    (folder / f"{name}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))


def test_depth_wiki_compares_the_deep_grid_with_the_better_stack(page, monkeypatch):
    folder = page(depth_wiki, monkeypatch)
    for name, best in {"grid-6x128-1": 0.9, "grid-6x128-2": 1.2, "lstm-3x128-1": 1.0, "lstm-6x128-1": 1.5}.items():
        write_run(folder, name, [2.0, best, best + 0.1])
    depth_wiki.report()
    text = (folder / "README.md").read_text()
    assert "| grid-6x128 | 1,000 | 2 | 3 | 1.0500 (0.9000 to 1.2000) | 1.515 (1.298 to 1.731) | 30 |" in text
    assert "that of the better stack, `lstm-3x128`, by -10.00 %" in text
    assert "At 256 units" not in text
    assert "Compute: 2.0 hours" in text
    assert (folder / "val_curves.png").exists()


def test_depth_wiki_says_nothing_of_a_comparison_that_lacks_a_run(page, monkeypatch):
    folder = page(depth_wiki, monkeypatch)
    write_run(folder, "grid-6x128-1", [1.0])
    depth_wiki.report()
    assert "better stack" not in (folder / "README.md").read_text()


def test_a_page_keeps_what_stands_around_the_place(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- here -->\nold\n<!-- /here -->\nafter\n")
    for _ in range(2):
        fill(page, "here", "new \\1")
    assert page.read_text() == "before\n<!-- here -->\n\nnew \\1\n\n<!-- /here -->\nafter\n"
    with pytest.raises(ValueError, match="no single <!-- there -->"):
        fill(page, "there", "new")


def test_tables_and_spreads():
    assert table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"
    assert spread([1.0, 2.0], ".1f") == "1.5 (1.0 to 2.0)"
    assert spread([1.0], ".1f") == "1.0"


def test_gradient_flow_measures_before_and_after(monkeypatch):
    monkeypatch.setattr(gradient_flow, "MINIBATCHES", 20)
    text = gradient_flow.read_text()
    assert 3 < gradient_flow.unigram_entropy(text) < 3.5
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
