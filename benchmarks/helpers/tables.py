"""The results of :mod:`benchmarks.cpu` as Markdown: all of them for its page, and a selection for the README."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docs.markdown import table

PAGE = Path(__file__).parent.parent / "cpu.md"
RESULTS = PAGE.with_suffix(".json")

Results = dict[str, Any]
Case = dict[str, Any]

TORCH7 = {  # old figures of the Torch7 program, from another machine
    ("lstm", 2, 128): "106 ms",
    ("grid", 2, 128): "212 ms, 316 MB",
    ("lstm", 3, 256): "353 ms",
    ("grid", 3, 256): "648 ms, 842 MB",
}
BEST_PEERS = ("torch", "expert")

EVERYTHING = ["job", "size", "minigrid", "peer", "times as fast", "share of the floor", "peak memory, MB", "Torch7"]
TRAINING = ["training step", "minigrid", "PyTorch", "times as fast", "share of the floor", "peak memory, MB", "Torch7"]
SAMPLING = ["sampling, one stream", "minigrid", "PyTorch", "times as fast"]


TITLE = """# Speed on a CPU

Written by `python -m benchmarks.cpu`. The peers are PyTorch's: `torch` is `nn.LSTM`; `expert` is a grid with `nn.LSTM`
along time and the LSTM along depth for all steps at once; `cells` is a grid block by block, as in the equations. The
floor is what the matrix products alone take in NumPy's BLAS."""


def read_results() -> Results:
    """Read the committed results."""
    return json.loads(RESULTS.read_text(encoding="utf-8"))


def page(results: Results) -> str:
    """Return the page with all results."""
    rows = [
        [
            f"{case['job']} {case['model']}",
            size(case),
            amount(case, "minigrid"),
            f"{peer} {amount(case, peer)}",
            *compared(case, peer),
        ]
        for case, peer in cases_and_peers(results)
    ]
    return "\n\n".join([TITLE, machine(results), table(EVERYTHING, rows), *growth(results)]) + "\n"


def readme(results: Results) -> str:
    """Return the tables of the README: training and sampling next to the best peers."""
    pairs = [(case, peer) for case, peer in cases_and_peers(results) if peer in BEST_PEERS]
    training = [
        [f"{case['model']} {size(case)}", amount(case, "minigrid"), amount(case, peer), *compared(case, peer)]
        for case, peer in pairs
        if case["job"] == "train"
    ]
    sampling = [
        [f"{case['model']} {size(case)}", amount(case, "minigrid"), amount(case, peer), ratio(case, peer)]
        for case, peer in pairs
        if case["job"] == "sample"
    ]
    return "\n\n".join([machine(results), table(TRAINING, training), table(SAMPLING, sampling)])


def compared(case: Case, peer: str) -> list[str]:
    """Return the last columns of the page's and the README's tables."""
    return [ratio(case, peer), floor_share(case), memory(case, peer), history(case)]


def machine(results: Results) -> str:
    """Return a paragraph on the machine, the settings and the times that are not in a table."""
    m, loaded = results["machine"], results["loading"]
    return (
        f"{m['cpu']}, {m['cores']} cores, Python {m['python']}, NumPy {m['numpy']}, PyTorch {m['torch']}; float32, "
        f"batch and sequence of 50, 65 characters; medians of {results['turns']} turns, lowest to highest in brackets. "
        f"`from minigrid import CharModel`: {results['start_up_seconds']:.2f} s. 100 MB of text: "
        + ", ".join(f"{name} {r['seconds']:.3f} s and {r['peak_bytes'] / 1e6:.0f} MB" for name, r in loaded.items())
        + ". The Torch7 column is history, from another machine."
    )


def growth(results: Results) -> Iterator[str]:
    """Yield the table of time and memory by size, if they were measured."""
    if not results["growth"]:
        return
    rows = []
    for case in results["growth"]:
        name = next(iter(case))
        rows.append([f"{name} = {case[name]}", f"{case['seconds'] * 1e3:.0f}", f"{case['peak_bytes'] / 1e6:.0f}"])
    yield table(["grid 2x128 but for", "ms per training step", "peak memory, MB"], rows)


def cases_and_peers(results: Results) -> Iterator[tuple[Case, str]]:
    """Yield every case with each of its peers."""
    for case in results["cases"]:
        for peer in case["sides"]:
            if peer not in ("minigrid", "floor"):
                yield case, peer


def size(case: Case) -> str:
    """Return layers x units."""
    return f"{case['L']}x{case['H']}"


def amount(case: Case, side: str) -> str:
    """Return the milliseconds of a step, or the characters per second of a sample of 500."""
    seconds = case["seconds"][side]
    return f"{500 / seconds:,.0f} characters/s" if case["job"] == "sample" else f"{seconds * 1e3:.1f} ms"


def ratio(case: Case, peer: str) -> str:
    """Return how many times as fast as the peer minigrid is, with the spread over the turns."""
    r = case["times_as_fast"][peer]
    return f"{r['median']:.2f} ({r['low']:.2f} to {r['high']:.2f})"


def floor_share(case: Case) -> str:
    """Return the share of the time that the matrix products alone take."""
    ratios = case["times_as_fast"]
    return f"{ratios['floor']['median']:.0%}" if "floor" in ratios else ""


def memory(case: Case, peer: str) -> str:
    """Return the peak memory of both sides, in MB."""
    peak = case["peak_bytes"]
    return f"{peak['minigrid'] / 1e6:.0f}, {peer} {peak[peer] / 1e6:.0f}"


def history(case: Case) -> str:
    """Return the time, and sometimes the memory, of the Torch7 program."""
    return TORCH7.get((case["model"], case["L"], case["H"]), "") if case["job"] == "train" else ""
