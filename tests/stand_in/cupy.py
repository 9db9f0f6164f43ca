"""Makes ``import cupy`` give the stand-in of strict_cupy.py in a process that has this folder in its PYTHONPATH."""

import sys
from pathlib import Path

sys.path.insert(1, str(Path(__file__).parent.parent))

import strict_cupy

sys.modules["cupy"] = strict_cupy.make()
