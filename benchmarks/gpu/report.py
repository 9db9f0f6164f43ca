"""Turn what ``benchmarks/gpu.sh`` has written into tables.

``python -m benchmarks.gpu.report DIR ...`` reads the JSON lines in one folder or several, prints Markdown, and with
``--write`` puts it into ``benchmarks/gpu.md`` too. Each folder has a section of its own: times of two calls are not
compared, because they may come from different GPUs.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.floor import operations
from benchmarks.gpu.sides import Case
from experiments.report import fill, table

PAGE = Path(__file__).parent.parent / "gpu.md"
PEERS = ("steps", "eager", "graph", "compiled", "cells")
KERNELS = 8  # of a profile

Line = dict[str, Any]
Figures = dict[tuple[str, str, str], Line]
"""By side, precision and case."""


def lines_of(folder: Path) -> Iterator[Line]:
    """Read a folder's JSON lines; one that was cut off is left out."""
    path = folder / "cases.jsonl"
    for text in path.read_text().splitlines() if path.exists() else ():
        try:
            yield json.loads(text)
        except ValueError:
            continue


def ms(seconds: float) -> str:
    """Milliseconds."""
    return f"{1e3 * seconds:.2f}"


def floor(line: Line, rates: Line) -> float:
    """Seconds that a training step takes at least.

    The larger of two times: its products at the rate of one large product, and all of its arrays written and read once
    at the rate of a copy.
    """
    case = Case.parse(line["case"])
    sizes = case._asdict()
    products = operations(sizes.pop("model"), **sizes) / rates["operations_per_second"]
    return max(products, 2 * line["bytes"] / rates["bytes_per_second"])


def training_steps(figures: Figures) -> str:
    """Table of minigrid's training step beside its peers'; nothing where none was measured."""
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
    """Table of the largest errors."""
    rows = [
        [precision, case, f"{line['relative_error']:.1e}", line["worst"]]
        for (side, precision, case), line in figures.items()
        if side == "gradients"
    ]
    return "" if not rows else table(["precision", "model", "largest relative error of a gradient", "where"], rows)


def profiles(figures: Figures) -> str:
    """Tables of where a training step's time goes."""
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
    """Say how the training runs went."""
    return "\n".join(
        f"Training, {line['step']} steps: loss {line['losses'][0][1]} to {line['losses'][-1][1]} nats, validation "
        f"{line['validation'][-1][1] if line['validation'] else 'none'}, "
        f"{line['characters_per_second']:,.0f} characters per second; the checkpoint's loss on CuPy "
        f"{line['loss_on_cupy']:.6f}, on NumPy {line.get('loss_on_numpy', float('nan')):.6f}."
        for line in lines
    )


def part_went_well(part: str) -> bool:
    """Whether a line of parts.txt tells of no failure; the training is stopped as by Ctrl-C."""
    return ": exit code 0 " in part or part.startswith("training: exit code 130 ")


def failures(folder: Path, lines: list[Line]) -> str:
    """List what has no figures, and the parts that failed."""
    found = [
        f"- {line['side']}, {line['precision']}, {line['case']}: {line['error']}" for line in lines if "error" in line
    ]
    path = folder / "parts.txt"
    parts = path.read_text().splitlines() if path.exists() else []
    found += [f"- {part}" for part in parts if not part_went_well(part)]
    return "\n".join(["Not measured, or failed:", "", *found]) if found else ""


def section(folder: Path) -> str:
    """Return what one call of ``gpu.sh`` has measured."""
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
    """Print the report, and write it into the page if that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, help="what --out named")
    parser.add_argument("--write", action="store_true", help=f"put the tables into {PAGE.name} too")
    args = parser.parse_args()
    text = "\n\n".join(map(section, args.folders))
    print(text)
    if args.write:
        fill(PAGE, "figures", text)


if __name__ == "__main__":
    main()
