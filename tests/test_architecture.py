"""No import runs upward, and compute code names no array library."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
PACKAGE = PROJECT / "minigrid"

ROOMS = (
    ("errors", "files", "progress", "version"),
    ("backend",),
    ("nn",),
    ("training",),
    ("data",),
    ("analysis",),
    ("plots",),
    ("page",),
    ("runs",),
    ("cli",),
    ("__init__", "__main__"),
)
"""From bottom to top. A room may import itself and the rooms before it."""

BASE = set(ROOMS[0])
ONLY = {"data": BASE | {"data"}, "plain": set()}
"""Rooms that import less than their place would allow."""

FLOOR = {room: number for number, floor in enumerate(ROOMS) for room in floor}
FILES = sorted(PACKAGE.rglob("*.py"))
NO_ARRAY_LIBRARY = [
    *sorted((PACKAGE / "nn" / "cells").glob("*.py")),
    PACKAGE / "nn" / "gates.py",
    PACKAGE / "nn" / "ops.py",
    PACKAGE / "training" / "optim.py",
]


def module_of(path: Path) -> str:
    """Full name of the module in a file: ``minigrid.nn.gates``; a package's for its ``__init__.py``."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 2 else parts)


def room_of(module: str) -> str:
    """Room of a module: ``nn`` for ``minigrid.nn.gates``."""
    return module.split(".")[1]


def imported_names(path: Path) -> Iterator[tuple[str, int]]:
    """Every name that a file imports, in full (``minigrid.nn.ops.rows``), and its line; imports in functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = path.relative_to(PACKAGE.parent).parts[: -node.level] if node.level else ()
            base = ".".join([*above, *filter(None, [node.module])])
            yield from ((f"{base}.{alias.name}", node.lineno) for alias in node.names)


def imported_modules(path: Path) -> Iterator[tuple[str, int]]:
    """The modules of minigrid that a file imports, in full, with the line."""
    for name, line in imported_names(path):
        parts = name.split(".")
        if parts[0] != "minigrid":
            continue
        # `from minigrid.nn import ops` is a module; `from minigrid.nn.ops import rows` names something in one
        for length in range(len(parts), 0, -1):
            there = PACKAGE.parent.joinpath(*parts[:length])
            if there.is_dir() or there.with_suffix(".py").exists():
                yield (".".join(parts[:length]) if length > 1 else "minigrid.__init__"), line
                break


def shown(path: Path) -> str:
    return str(path.relative_to(PACKAGE.parent))


@pytest.mark.parametrize("path", FILES, ids=shown)
def test_no_import_runs_upward(path):
    room = room_of(module_of(path))
    for imported, line in imported_modules(path):
        other = room_of(imported)
        if room in ONLY:
            assert other in ONLY[room], f"{shown(path)}:{line} imports {imported}, which {room} must do without"
            continue
        assert room in FLOOR, f"{shown(path)} has no place in ROOMS yet: say there what it may import"
        assert other in FLOOR or other in ONLY, f"{shown(path)}:{line} imports {imported}, which has no place in ROOMS"
        assert FLOOR[other] <= FLOOR[room], f"{shown(path)}:{line} imports {imported}, which stands above {room}"


def test_no_modules_import_each_other_in_a_circle():
    graph = {module_of(path): {name for name, _ in imported_modules(path)} - {module_of(path)} for path in FILES}
    # `from minigrid.nn.cells.cell import Cell`, written in that package's own __init__, is no circle
    for module, imports in graph.items():
        imports -= {package for package in graph if module.startswith(f"{package}.")}
    TopologicalSorter(graph).prepare()  # raises a CycleError that shows the circle


@pytest.mark.parametrize("path", NO_ARRAY_LIBRARY, ids=shown)
def test_the_compute_core_takes_its_library_from_its_arrays(path):
    libraries = {"numpy", "cupy", "torch", "scipy"}
    for name, line in imported_names(path):
        assert name.split(".")[0] not in libraries, f"{shown(path)}:{line} imports {name}: use array_module(x) instead"


def test_nothing_differentiates_automatically():
    wanted = {name.split(".")[0] for path in FILES for name, _ in imported_names(path)}
    assert not wanted & {"torch", "jax", "tensorflow", "autograd", "tinygrad", "chainer"}


def test_the_tools_see_every_kind_of_import(tmp_path, monkeypatch):
    """An import upward, hidden in a function or written relatively, is found."""
    package = tmp_path / "minigrid"
    (package / "nn" / "cells").mkdir(parents=True)
    (package / "runs").mkdir()
    for name in ("__init__", "nn/__init__", "nn/ops", "nn/model", "nn/cells/__init__", "nn/cells/cell", "runs/loop"):
        (package / f"{name}.py").write_text("")
    odd = package / "nn" / "cells" / "odd.py"
    odd.write_text(
        "import numpy.linalg\nfrom minigrid import CharModel\nfrom ..model import x\n"
        "def f():\n    from minigrid.nn.ops import rows\n    from . import cell\n    from minigrid.runs import loop\n"
    )
    monkeypatch.setattr("test_architecture.PACKAGE", package)
    assert module_of(odd) == "minigrid.nn.cells.odd"
    assert list(imported_modules(odd)) == [
        ("minigrid.__init__", 2),
        ("minigrid.nn.model", 3),
        ("minigrid.nn.ops", 5),
        ("minigrid.nn.cells.cell", 6),
        ("minigrid.runs.loop", 7),
    ]
    assert ("numpy.linalg", 1) in list(imported_names(odd))


LONG_FILES = {"nn/model.py": "half of it is the signatures and docstrings of CharModel, which the contract fixes"}
MANY_PARAMETERS = {"option": "keyword-only bounds of a field, declared one at a time"}


def test_no_file_has_more_than_300_lines():
    lengths = {path.relative_to(PACKAGE).as_posix(): len(path.read_text().splitlines()) for path in FILES}
    assert {name for name, length in lengths.items() if length > 300} == LONG_FILES.keys()


def test_the_functions_of_nn_take_at_most_six_parameters():
    for path in (PACKAGE / "nn").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name not in MANY_PARAMETERS | {"__init__": ""}:
                arguments = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
                names = [argument.arg for argument in arguments if argument.arg not in ("self", "cls")]
                assert len(names) <= 6, f"{shown(path)}: {node.name} takes {len(names)}: {', '.join(names)}"
