"""Writes what benchmarks.cpu measured as Markdown: everything for its page, and less for the README."""

from collections.abc import Iterator
from typing import Any

from experiments.report import table

Results = dict[str, Any]
Case = dict[str, Any]

TORCH7 = {  # milliseconds, and MB where known: figures of the Torch7 program from long ago, not measured here
    ("lstm", 2, 128): "106 ms",
    ("grid", 2, 128): "212 ms, 316 MB",
    ("lstm", 3, 256): "353 ms",
    ("grid", 3, 256): "648 ms, 842 MB",
}
BEST_PEERS = ("torch", "expert")

PAGE = ["job", "size", "minigrid", "peer", "times as fast", "share of the floor", "peak memory, MB", "Torch7"]
TRAINING = ["training step", "minigrid", "PyTorch", "times as fast", "share of the floor", "peak memory, MB", "Torch7"]
SAMPLING = ["sampling, one stream", "minigrid", "PyTorch", "times as fast"]


TITLE = """# Speed on a CPU

Written by `python -m benchmarks.cpu`. The peers are PyTorch's: `torch` is `nn.LSTM`; `expert` is a grid with `nn.LSTM`
along time and the LSTM along depth for all steps at once; `cells` is a grid block by block, as the equations stand. The
floor is what the matrix products alone take in NumPy's BLAS."""


def page(results: Results) -> str:
    """Return all results."""
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
    return "\n\n".join([TITLE, machine(results), table(PAGE, rows), *growth(results)]) + "\n"


def readme(results: Results) -> str:
    """Return what the README shows: training and sampling beside the best peer."""
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
    """Return the columns that both tables end with."""
    return [ratio(case, peer), floor_share(case), memory(case, peer), history(case)]


def machine(results: Results) -> str:
    """Say what was measured, how and on what."""
    m, loaded = results["machine"], results["loading"]
    return (
        f"{m['cpu']}, {m['cores']} cores, Python {m['python']}, NumPy {m['numpy']}, PyTorch {m['torch']}; float32, "
        f"batch and sequence of 50, 65 characters; medians of {results['turns']} turns, lowest to highest in brackets. "
        f"`import minigrid`: {results['start_up_seconds']:.2f} s. 100 MB of text: "
        + ", ".join(f"{name} {r['seconds']:.3f} s and {r['peak_bytes'] / 1e6:.0f} MB" for name, r in loaded.items())
        + ". The Torch7 column is history, from another machine."
    )


def growth(results: Results) -> Iterator[str]:
    """Yield the table of how time and memory grow with each size, where that was measured."""
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
    """Layers x units."""
    return f"{case['L']}x{case['H']}"


def amount(case: Case, side: str) -> str:
    """Milliseconds, or characters per second for a sample of 500."""
    seconds = case["seconds"][side]
    return f"{500 / seconds:,.0f} characters/s" if case["job"] == "sample" else f"{seconds * 1e3:.1f} ms"


def ratio(case: Case, peer: str) -> str:
    """Times as fast as the peer, with the spread over the turns."""
    r = case["times_as_fast"][peer]
    return f"{r['median']:.2f} ({r['low']:.2f} to {r['high']:.2f})"


def floor_share(case: Case) -> str:
    """Share of the time that the products alone take."""
    ratios = case["times_as_fast"]
    return f"{ratios['floor']['median']:.0%}" if "floor" in ratios else ""


def memory(case: Case, peer: str) -> str:
    """Peak memory of both sides."""
    peak = case["peak_bytes"]
    return f"{peak['minigrid'] / 1e6:.0f}, {peer} {peak[peer] / 1e6:.0f}"


def history(case: Case) -> str:
    """What the Torch7 program took."""
    return TORCH7.get((case["model"], case["L"], case["H"]), "") if case["job"] == "train" else ""
