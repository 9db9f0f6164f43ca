"""The results of the scaling benchmarks as a page and a picture."""

import json

import pytest

from benchmarks.scaling.cells import ms
from benchmarks.scaling.page import PAGE, page, read_results
from benchmarks.scaling.picture import efficiency
from benchmarks.scaling.predicted import formula


@pytest.fixture
def results():
    """Return results of round numbers, as they come back from JSON."""
    sides = {"one": 0.1, "threads": 0.08, "ranks": 0.05, "torch": 0.06, "ddp": 0.1}
    row = {
        "size": "grid:2x128",
        "seconds": sides,
        "times_as_fast": {s: (t / 0.05 - 0.1, t / 0.05, t / 0.05 + 0.1) for s, t in sides.items() if s != "ranks"},
        "peak_bytes": {"threads": 104e6, "ranks": 96e6},
        "exchanges": {"gradient": 0.001, "numbers": 0.0005, "parameters": 0.001},
        "more_ranks": {},
    }
    work = {"parameters": 411457, "update": 2e-9, "add": 1e-10, "times": {"1": 0.006, "50": 0.1}}
    link = {"latency": 5e-5, "bandwidth": 5e8, "gap": 3e-5}
    checked = {
        "size": "lstm:2x128",
        "ranks": 2,
        "gather": "alltoallv",
        "sleeps": False,
        "rate": 1e9,
        "delay": 1e-4,
        "predicted": {"compute": 0.02, "gradient": 0.01},
        "measured": 0.04,
        "error": -0.25,
        "bytes_per_step": 1.01e6,
        "expected_bytes": 1e6,
        "cpu_per_step": 0.001,
    }
    versions = ("cpu", "cores", "python", "numpy", "mpi4py", "mpich", "torch")
    return json.loads(
        json.dumps(
            {
                "machine": dict.fromkeys(versions, "1"),
                "training": {"turns": 10, "rows": [row]},
                "evaluation": {"turns": 10, "rows": [row | {"size": "lstm:2x128"}]},
                "model": {"work": {"grid:2x128": work}, "simulated": link, "direct": link},
                "links": {"link": link, "rows": [checked, checked | {"error": -0.3, "sleeps": True}]},
            }
        )
    )


def test_the_page_shows_the_committed_results():
    assert PAGE.read_text(encoding="utf-8") == page(read_results())


def test_training_and_evaluation(results):
    shown = page(results)
    assert "| grid 2x128 | 100 | 80.0 | 50.0 | 60.0 | 100 |" in shown
    assert "| grid 2x128 | 100% (95% to 105%) | 2.5 ms, 5% | 1.60 (1.50 to 1.70) | 1.20 (1.10 to 1.30) | 2.00 " in shown
    assert "| grid 2x128 | 104 | 96 |" in shown
    assert "| lstm 2x128 | 80.0 | 50.0 | 60.0 | 1.60 (1.50 to 1.70) | 1.20 (1.10 to 1.30) |" in shown


def test_more_ranks_where_there_are_more_cores(results):
    assert "4 ranks" not in page(results)
    results["training"]["rows"][0]["more_ranks"] = {"4": 0.03125}
    assert "| grid 2x128 | 31.2, 80% |" in page(results)


def test_the_page_has_the_formula_of_the_documentation(results):
    assert formula().splitlines()[0].startswith("compute     gradients(ceil(B / N))")
    assert formula().endswith("V (N-1)/N / bandwidth")
    assert formula() in page(results)


def test_a_prediction_that_is_off_is_not_met(results):
    shown = page(results)
    assert "| lstm 2x128 | 2 | done | Alltoallv | 1000 | 0.1 | 30.0 | 40.0 | -25% | yes |" in shown
    assert "| lstm 2x128 | 2 | slept | Alltoallv | 1000 | 0.1 | 30.0 | 40.0 | -30% | no |" in shown
    assert "1 of 2 predictions are within 25% of the measured time" in shown.replace("\n", " ")


def test_a_row_that_could_not_be_measured_is_not_met(results):
    row = results["links"]["rows"][0]
    failed = {name: row[name] for name in ("size", "ranks", "gather", "sleeps", "rate", "delay", "predicted")}
    results["links"]["rows"] = [row, failed | {"not_run": "no network"}]
    shown = page(results)
    assert "| Alltoallv | 1000 | 0.1 | 30.0 | not run |  | no |" in shown
    found = "1 of 2 predictions are within 25% of the measured time. 1 could not be measured."
    assert found in shown.replace("\n", " ")


def test_links_that_were_not_run(results):
    results["links"] = {"not_run": "simulated links need root"}
    assert "Not run: simulated links need root." in page(results)
    assert "within 25%" not in page(results)


def test_a_part_that_is_missing_has_no_section(results):
    del results["evaluation"]
    assert "## Evaluation" not in page(results)


def test_milliseconds():
    assert [ms(t) for t in (0.00512, 0.0999, 0.09996, 0.4, 12.3)] == ["5.1", "99.9", "100", "400", "12,300"]


def test_the_picture_has_a_line_for_each_speed(results):
    figure = efficiency(results)
    strong, weak = figure.axes
    assert [line.get_label() for line in strong.lines] == [f"grid 2x128, {n} Gbit/s" for n in (1, 10, 100)]
    assert len(weak.lines) == 3
    assert all(0 < y <= 1.5 for axes in figure.axes for line in axes.lines for y in line.get_ydata())
