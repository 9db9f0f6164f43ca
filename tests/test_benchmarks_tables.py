"""The results of the benchmarks on a CPU as Markdown."""

import pytest

from benchmarks.helpers.tables import PAGE, page, read_results, readme


@pytest.fixture
def results():
    return read_results()


def test_the_page_shows_the_committed_results(results):
    assert PAGE.read_text() == page(results)


def test_a_row_has_both_sides_and_the_spread(results):
    case = {"job": "train", "model": "grid", "L": 2, "H": 128, "sides": ["minigrid", "floor", "expert"]} | {
        "seconds": {"minigrid": 0.05, "floor": 0.03, "expert": 0.06},
        "times_as_fast": {
            "floor": {"median": 0.6, "low": 0.5, "high": 0.7},
            "expert": {"median": 1.2, "low": 1.1, "high": 1.25},
        },
        "peak_bytes": {"minigrid": 104e6, "floor": 1, "expert": 438e6},
    }
    sampled = case | {"job": "sample", "sides": ["minigrid", "expert"]}
    shown = readme(results | {"cases": [case, sampled]})
    row = "| grid 2x128 | 50.0 ms | 60.0 ms | 1.20 (1.10 to 1.25) | 60% | 104, expert 438 | 212 ms, 316 MB |"
    assert row in shown
    assert "| grid 2x128 | 10,000 characters/s | 8,333 characters/s | 1.20 (1.10 to 1.25) |" in shown


def test_without_growth_there_is_no_table_of_it(results):
    assert "but for" in page(results)
    assert "but for" not in page(results | {"growth": []})
