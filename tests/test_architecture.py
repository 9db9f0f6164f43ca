"""No import runs upward, and compute code names no array library."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "minigrid"

ROOMS = [
    ["errors"],
    ["backend", "files", "progress"],
    ["blas", "kernels", "recurrence", "params"],
    ["ops", "gates"],
    ["cells"],
    ["options"],
    ["model"],
    ["optim", "shards"],
    ["train_step", "gradcheck", "gradient_flow"],
    ["vocabulary", "corpora", "batches", "addition", "toywiki"],
    ["config", "checkpoint"],
    ["tasks", "runs"],
    ["init_from", "stop_signal", "stopwatch"],
    ["evaluation", "sampling", "trace", "probes", "interventions"],
    ["plots", "html"],
    ["training"],
    ["commands"],
    ["cli"],
    ["__init__", "__main__"],
]
"""From the bottom to the top. A module may import from its own room and from those before it; a package inside minigrid
counts as one module."""

FLOOR = {module: number for number, room in enumerate(ROOMS) for module in room}
FILES = sorted(PACKAGE.rglob("*.py"))
NO_ARRAY_LIBRARY = [
    *sorted((PACKAGE / "cells").glob("*.py")),
    *(PACKAGE / f"{m}.py" for m in ("gates", "ops", "optim")),
]


def module_of(path: Path) -> str:
    """The module's name below minigrid: ``cells`` for everything in minigrid/cells/."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported_names(path: Path) -> Iterator[tuple[str, int]]:
    """Every name that a file imports, in full (``minigrid.ops.rows``), with its line; imports inside functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = path.relative_to(PACKAGE.parent).parts[: -node.level] if node.level else ()
            base = ".".join([*above, *filter(None, [node.module])])
            yield from ((f"{base}.{alias.name}", node.lineno) for alias in node.names)


def imported_modules(path: Path) -> Iterator[tuple[str, int]]:
    """The modules of minigrid that a file imports, with the line."""
    for name, line in imported_names(path):
        package, *rest = name.split(".")
        if package == "minigrid":
            # `from minigrid import ops` is ops; `from minigrid import CharModel` is minigrid/__init__.py
            there = rest and ((PACKAGE / rest[0]).is_dir() or (PACKAGE / f"{rest[0]}.py").exists())
            yield (rest[0] if there else "__init__"), line


def shown(path: Path) -> str:
    return str(path.relative_to(PACKAGE.parent))


@pytest.mark.parametrize("path", FILES, ids=shown)
def test_no_import_runs_upward(path):
    module = module_of(path)
    assert module in FLOOR, f"{shown(path)} has no place in ROOMS yet: say there which modules it may import"
    for imported, line in imported_modules(path):
        assert imported in FLOOR, f"{shown(path)}:{line} imports {imported}, which has no place in ROOMS yet"
        assert FLOOR[imported] <= FLOOR[module], f"{shown(path)}:{line} imports {imported}, which stands above {module}"


def test_no_two_modules_of_a_room_import_each_other():
    graph: dict[str, set[str]] = {}
    for path in FILES:
        others = {imported for imported, _ in imported_modules(path)} - {module_of(path)}
        graph.setdefault(module_of(path), set()).update(others)
    TopologicalSorter(graph).prepare()  # raises a CycleError that shows the cycle


@pytest.mark.parametrize("path", NO_ARRAY_LIBRARY, ids=shown)
def test_the_compute_core_takes_its_library_from_its_arrays(path):
    libraries = {"numpy", "cupy", "torch", "scipy"}
    for name, line in imported_names(path):
        assert name.split(".")[0] not in libraries, f"{shown(path)}:{line} imports {name}: use array_module(x) instead"


def test_nothing_differentiates_automatically():
    wanted = {name.split(".")[0] for path in FILES for name, _ in imported_names(path)}
    assert not wanted & {"torch", "jax", "tensorflow", "autograd", "tinygrad", "chainer"}


def test_the_tools_see_what_they_are_to_see(tmp_path, monkeypatch):
    """An import upward, hidden in a function or written relatively, is found."""
    package = tmp_path / "minigrid"
    (package / "cells").mkdir(parents=True)
    for name in ("__init__", "ops", "model", "cells/__init__"):
        (package / f"{name}.py").write_text("")
    (package / "cells" / "odd.py").write_text(
        "import numpy.linalg\nfrom minigrid import CharModel\nfrom ..model import x\n"
        "def f():\n    from minigrid.ops import rows\n    from . import other\n"
    )
    monkeypatch.setattr("test_architecture.PACKAGE", package)
    odd = package / "cells" / "odd.py"
    assert module_of(odd) == "cells"
    assert list(imported_modules(odd)) == [("__init__", 2), ("model", 3), ("ops", 5), ("cells", 6)]
    assert ("numpy.linalg", 1) in list(imported_names(odd))
