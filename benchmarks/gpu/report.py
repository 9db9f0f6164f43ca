"""Turn the results of ``benchmarks/gpu.sh`` into tables.

``python -m benchmarks.gpu.report DIR ...`` reads the JSON lines in these folders and prints Markdown. With ``--write``
it also fills in ``benchmarks/gpu.md``. Each folder has a section of its own: times of different calls are not compared,
because they may come from different GPUs.
"""

import argparse
from pathlib import Path

from benchmarks.gpu.helpers.lines import Line, lines_of
from benchmarks.gpu.helpers.sides import Case
from benchmarks.helpers.floor import operations
from docs.markdown import fill, table

PAGE = Path(__file__).parent.parent / "gpu.md"
PEERS = ("steps", "eager", "graph", "compiled", "cells")
KERNELS = 8  # per profile

Figures = dict[tuple[str, str, str], Line]
"""Side, precision and case -> line."""


def ms(seconds: float) -> str:
    """Format a time in milliseconds."""
    return f"{1e3 * seconds:.2f}"


def floor(line: Line, rates: Line) -> float:
    """Return a lower bound of the time of a training step, in seconds.

    It is the larger of two times: for the step's products at the rate of one large product, and for reading and writing
    all its arrays once at the rate of a copy.
    """
    case = Case.parse(line["case"])
    sizes = case._asdict()
    products = operations(sizes.pop("model"), **sizes) / rates["operations_per_second"]
    return max(products, 2 * line["bytes"] / rates["bytes_per_second"])


def training_steps(figures: Figures) -> str:
    """Return a table of the training steps of minigrid and its peers; empty if none was measured."""
    rates = {precision: line for (side, precision, _), line in figures.items() if side == "floor"}
    rows = []
    for (side, precision, case), own in figures.items():
        if side != "minigrid":
            continue
        row = [precision, case, f"{ms(own['seconds'])} ({ms(own['low'])} to {ms(own['high'])})"]
        for peer in PEERS:
            theirs = figures.get((peer, precision, case))
            row.append(f"{ms(theirs['seconds'])} ({theirs['seconds'] / own['seconds']:.2f})" if theirs else "")
        row.append(f"{floor(own, rates[precision]) / own['seconds']:.0%}" if precision in rates else "")
        rows.append(row)
    return "" if not rows else table(["precision", "training step", "minigrid, ms", *PEERS, "share of the floor"], rows)


def errors_of_gradients(figures: Figures) -> str:
    """Return a table of the largest errors of gradients; empty if none was measured."""
    rows = [
        [precision, case, f"{line['relative_error']:.1e}", line["worst"]]
        for (side, precision, case), line in figures.items()
        if side == "gradients"
    ]
    return "" if not rows else table(["precision", "model", "largest relative error of a gradient", "where"], rows)


def profiles(figures: Figures) -> str:
    """Return tables of the profiles; empty if there is none."""
    rows, kernels = [], []
    for (side, precision, case), line in figures.items():
        if side != "profile":
            continue
        rows.append(
            [precision, case, *(ms(line[name]) for name in ("seconds", "host", "busy")), f"{line['calls']:.0f}"]
        )
        kernels += [
            [case, f"`{kernel['name']}`", f"{kernel['calls']:.0f}", ms(kernel["seconds"])]
            for kernel in line["kernels"][:KERNELS]
        ]
    whole = table(["precision", "training step", "ms", "host busy, ms", "device busy, ms", "calls on the device"], rows)
    return "" if not rows else whole + "\n\n" + table(["training step", "kernel", "calls", "ms"], kernels)


def trainings(lines: list[Line]) -> str:
    """Return a sentence on each training run."""
    return "\n".join(
        f"Training, {line['step']} steps: loss {line['losses'][0][1]} to {line['losses'][-1][1]} nats, validation "
        f"{line['validation'][-1][1] if line['validation'] else 'none'}, "
        f"{line['characters_per_second']:,.0f} characters per second; the checkpoint's loss on CuPy "
        f"{line['loss_on_cupy']:.6f}, on NumPy {line.get('loss_on_numpy', float('nan')):.6f}."
        for line in lines
    )


def part_went_well(part: str) -> bool:
    """Return whether a line of parts.txt reports success; the training run is stopped as by Ctrl-C."""
    return ": exit code 0 " in part or part.startswith("training: exit code 130 ")


def failures(folder: Path, lines: list[Line]) -> str:
    """Return a list of the cases that have no figures and of the parts that failed."""
    found = [
        f"- {line['side']}, {line['precision']}, {line['case']}: {line['error']}" for line in lines if "error" in line
    ]
    path = folder / "parts.txt"
    parts = path.read_text().splitlines() if path.exists() else []
    found += [f"- {part}" for part in parts if not part_went_well(part)]
    return "\n".join(["Not measured, or failed:", "", *found]) if found else ""


def section(folder: Path) -> str:
    """Return the results of one call of ``gpu.sh``."""
    lines = list(lines_of(folder))
    figures = {
        (line["side"], line["precision"], line["case"]): line
        for line in lines
        if "precision" in line and "error" not in line
    }
    versions = {name: version for line in lines for name, version in line.get("versions", {}).items()}
    training = {line["case"]: line for line in lines if line.get("side") == "training"}
    parts = [
        ", ".join(f"{name} {version}" for name, version in versions.items()),
        training_steps(figures),
        errors_of_gradients(figures),
        profiles(figures),
        trainings(list(training.values())),
        failures(folder, lines),
    ]
    return "\n\n".join([f"### {folder.resolve().name}", *(list(filter(None, parts)) or ["No figures."])])


def main() -> None:
    """Print the report, and with ``--write`` fill it into the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, help="folders with results, as given to --out")
    parser.add_argument("--write", action="store_true", help=f"fill the tables into {PAGE.name} too")
    args = parser.parse_args()
    text = "\n\n".join(map(section, args.folders))
    print(text)
    if args.write:
        fill(PAGE, "figures", text)


if __name__ == "__main__":
    main()
