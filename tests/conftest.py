"""Fixtures and settings of all tests."""

import sys
from types import ModuleType

import pytest
import strict_cupy
from hypothesis import settings

settings.register_profile("minigrid", deadline=None)  # a shared machine may stall; slowness is no failure
settings.load_profile("minigrid")


@pytest.fixture
def fake_cupy(monkeypatch) -> ModuleType:
    """A module that passes for an imported cupy with one GPU, see :mod:`strict_cupy`."""
    cupy = strict_cupy.make()
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    return cupy
