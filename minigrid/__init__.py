"""minigrid: the 2D Grid LSTM as a character model, every forward and backward pass by hand."""

import importlib.util
from typing import TYPE_CHECKING, Any

from minigrid.version import __version__

if TYPE_CHECKING:
    from minigrid.analysis.trace import trace, trace_text
    from minigrid.data.vocabulary import Vocabulary
    from minigrid.errors import UserError
    from minigrid.nn.model import CharModel
    from minigrid.runs.checkpoint import load
    from minigrid.runs.save import save
    from minigrid.training.step import TrainStep

__all__ = ["CharModel", "TrainStep", "UserError", "Vocabulary", "__version__", "load", "save", "trace", "trace_text"]

_MODULES = {
    "CharModel": "nn.model",
    "TrainStep": "training.step",
    "UserError": "errors",
    "Vocabulary": "data.vocabulary",
    "load": "runs.checkpoint",
    "save": "runs.save",
    "trace": "analysis.trace",
    "trace_text": "analysis.trace",
}
"""Where the public names are; they are imported on first use.

Importing NumPy takes a while. Commands do it where they can handle a Ctrl-C, and ``--version`` does without it.
"""


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(f"minigrid.{_MODULES[name]}"), name)
    if not name.startswith("_") and importlib.util.find_spec(f"minigrid.{name}"):
        return importlib.import_module(f"minigrid.{name}")  # `minigrid.plots` after a plain `import minigrid`
    raise AttributeError(f"module 'minigrid' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
