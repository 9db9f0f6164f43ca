"""Joining the other processes of a launch, with an mpi4py that is made up."""

import sys
import warnings
from types import ModuleType, SimpleNamespace

import pytest

from minigrid import UserError
from minigrid.backend.ranks import connect

LIBRARY = "MPICH Version:      5.0.2\nMPICH Release date: unknown\n\0"


def install(monkeypatch, size=3, **info):
    """Install an mpi4py whose MPI library sees `size` processes; return it."""
    comm = SimpleNamespace(rank=1, size=size, Get_info=lambda: info)
    mpi4py = ModuleType("mpi4py")
    mpi4py.rc = SimpleNamespace(thread_level="multiple")
    mpi4py.MPI = SimpleNamespace(COMM_WORLD=comm, Get_library_version=lambda: LIBRARY)
    monkeypatch.setitem(sys.modules, "mpi4py", mpi4py)
    return mpi4py


def test_joining(monkeypatch):
    monkeypatch.delenv("MPICH_GPU_SUPPORT_ENABLED", raising=False)
    mpi4py = install(monkeypatch)
    ranks = connect(3)
    assert (ranks.number, ranks.count, ranks.is_first) == (1, 3, False)
    assert ranks.comm is mpi4py.MPI.COMM_WORLD
    assert not ranks.gpu_aware
    assert mpi4py.rc.thread_level == "funneled"


@pytest.mark.parametrize(
    ("kinds", "variable", "is_aware"),
    [
        (None, None, False),
        ("mpi,system", None, False),
        ("mpi,system,cuda", None, True),
        ("cuda:device", None, True),
        (None, "1", True),
        (None, "0", False),
        ("mpi,system", "1", True),
    ],
)
def test_mpi_says_whether_it_takes_arrays_on_a_gpu(monkeypatch, kinds, variable, is_aware):
    monkeypatch.delenv("MPICH_GPU_SUPPORT_ENABLED", raising=False)
    if variable is not None:
        monkeypatch.setenv("MPICH_GPU_SUPPORT_ENABLED", variable)
    install(monkeypatch, **({} if kinds is None else {"mpi_memory_alloc_kinds": kinds}))
    assert connect(3).gpu_aware is is_aware


def test_joining_without_mpi4py(monkeypatch):
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(UserError) as caught:
        connect(4)
    message = str(caught.value)
    assert message.startswith("the launcher has started 4 processes to train together, which needs mpi4py (")
    assert "pip install mpi4py mpich" in message


def test_joining_without_an_mpi_library(monkeypatch):
    mpi4py = install(monkeypatch)
    del mpi4py.MPI

    def load(name):
        raise RuntimeError("cannot load MPI library\nlibmpi.so.12: cannot open shared object file")

    mpi4py.__getattr__ = load
    with pytest.raises(UserError) as caught:
        connect(4)
    message = str(caught.value)
    assert "mpi4py finds no MPI library (cannot load MPI library): run `pip install mpich`" in message
    assert "\n" not in message


@pytest.mark.parametrize("seen", [1, 2, 5])
def test_joining_with_the_library_of_another_launcher(monkeypatch, seen):
    install(monkeypatch, size=seen)
    with pytest.raises(UserError) as caught:
        connect(4)
    assert (
        f"started 4 processes to train together, but mpi4py's MPI library (MPICH Version:      5.0.2) sees {seen}"
        in str(caught.value)
    )


def test_joining_however_many_there_are(monkeypatch):
    install(monkeypatch, size=5)
    assert connect().count == 5
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(UserError, match=r"^the launcher has started several processes to train together, which needs "):
        connect()


@pytest.mark.filterwarnings("error")
def test_one_message_says_that_the_library_is_not_the_launchers(monkeypatch):
    """mpi4py warns of it too, when it is imported."""
    mpi4py = install(monkeypatch, size=1)
    library = vars(mpi4py).pop("MPI")

    def load(name):
        warnings.warn("suspicious MPI execution environment", RuntimeWarning, stacklevel=2)
        return library

    mpi4py.__getattr__ = load
    with pytest.raises(UserError, match="sees 1: use the `mpiexec` of that library"):
        connect(4)
