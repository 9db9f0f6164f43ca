"""Measure how training scales over processes, predict how it would on a cluster, and write a page.

``python -m benchmarks.scaling`` takes about 17 minutes on an otherwise idle machine with two cores, and ``--quick``
two. It needs PyTorch and MPI (``pip install torch mpi4py mpich``), and for the check on simulated links root on Linux;
elsewhere the page says that they were not run.
"""

import argparse
import importlib.metadata
import json
import os
from collections.abc import Callable
from typing import Any

from benchmarks.cpu import machine
from benchmarks.scaling import links, measure, sides
from benchmarks.scaling.page import PAGE, RESULTS, page, read_results
from benchmarks.scaling.picture import efficiency
from benchmarks.scaling.predicted import PICTURE
from benchmarks.scaling.predictions import STRONG
from benchmarks.scaling.sizes import BATCH, Size
from benchmarks.scaling.timing import warn_if_busy
from benchmarks.scaling.work import measured_work

PREDICTED = (Size("lstm", 2, 128), Size("grid", 2, 128), Size("grid", 3, 512))
COLUMNS = (1, 4, 16, 25, BATCH, STRONG)


def model_figures(quick: bool) -> dict[str, Any]:
    """Measure what the predictions are made of."""
    sizes, columns, budget = (PREDICTED[:1], (1, BATCH), 0.3) if quick else (PREDICTED, COLUMNS, 1.0)
    work = {str(size): vars(measured_work(size, columns, budget)) for size in sizes}
    direct = links.as_link(sides.messages())
    simulated = direct if links.obstacle() else links.measured_link()
    return {"work": work, "simulated": vars(simulated), "direct": vars(direct)}


def versions() -> dict[str, Any]:
    """Return the machine and the versions.

    Raises
    ------
    SystemExit
        Something is not installed, or the machine has one core only.
    """
    found = machine()
    try:
        found |= {name: importlib.metadata.version(name) for name in ("mpi4py", "mpich")}
    except importlib.metadata.PackageNotFoundError as error:
        raise SystemExit(f"{error.name} is not installed: pip install mpi4py mpich") from None
    if not sides.MPIEXEC.exists():
        raise SystemExit(f"MPICH's launcher is missing at {sides.MPIEXEC}: pip install --force-reinstall mpich")
    if (os.cpu_count() or 1) < 2:
        raise SystemExit("this benchmark needs a machine with two cores or more")
    return found


def main() -> None:
    """Measure, write ``scaling.json``, ``scaling.md`` and ``scaling.png``, and print the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="measure less, in two turns, and write no files")
    parser.add_argument("--only", choices=("training", "evaluation", "model", "links"), help="measure one part again")
    parser.add_argument("--turns", type=int, default=10, help="measurements of each side (default: %(default)s)")
    args = parser.parse_args()
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "training": lambda: measure.training(args.quick, args.turns),
        "evaluation": lambda: measure.evaluation(args.quick, args.turns),
        "model": lambda: model_figures(args.quick),
        "links": lambda: links.measure(args.quick),
    }
    results: dict[str, Any] = {"machine": versions()}
    warn_if_busy()
    if args.only and not args.quick:
        known = read_results()
        if known["machine"] != results["machine"]:
            raise SystemExit("benchmarks/scaling.json is from another machine: measure everything, without --only")
        results = known
    for name in [args.only] if args.only else parts:
        results[name] = parts[name]()
        text = json.dumps(results, indent=1) + "\n"
        if not args.quick:  # after each part: if a later one fails, --only goes on from here
            RESULTS.write_text(text, encoding="utf-8")
    results = json.loads(text)  # the page is that of the file
    if not args.quick:
        PAGE.write_text(page(results), encoding="utf-8")
        efficiency(results).savefig(PAGE.parent / PICTURE, dpi=110)
    print(page(results))


if __name__ == "__main__":
    main()
