"""What tests do with training runs: stop them on purpose, and compare how they end."""

import contextlib
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from run_fixtures import arrays_of, meta_of, metrics_of, same_bits

from minigrid import TrainStep
from minigrid.runs.loop import train
from minigrid.runs.run import InterruptedRunError, Run


def before_each_step(monkeypatch: pytest.MonkeyPatch, do: Callable[[TrainStep], object]) -> None:
    """Call ``do(step)`` before every training step."""
    original = TrainStep.__call__

    def watched(step, x, y):
        do(step)
        return original(step, x, y)

    monkeypatch.setattr(TrainStep, "__call__", watched)


@contextlib.contextmanager
def stopping(number: int, *signals: int) -> Iterator[None]:
    """Send a run signals during its step `number`, by default one Ctrl-C."""

    def stop(step):
        if step.number + 1 == number:
            for sent in signals or [signal.SIGINT]:
                signal.raise_signal(sent)

    with pytest.MonkeyPatch.context() as patch:
        before_each_step(patch, stop)
        yield


def stopped(run: Run, number: int) -> None:
    """Train a run and stop it during its step `number`."""
    with stopping(number), pytest.raises(InterruptedRunError):
        train(run)


def progress_of(file: Path) -> dict[str, Any]:
    """What a checkpoint says about the progress of its run."""
    return meta_of(file)["run"]["progress"]


def step_of(file: Path) -> int:
    """Step at which a checkpoint was written."""
    return progress_of(file)["number"]


def end(folder: Path) -> tuple[dict[str, np.ndarray], list[dict[str, Any]], dict[str, Any]]:
    """Arrays, metrics and progress at the end of a run, apart from what depends on the clock."""
    return arrays_of(folder / "last.npz"), metrics_of(folder), progress_of(folder / "last.npz")


def has_begun(folder: Path) -> bool:
    """Whether a run has done a step that it can continue from; until then it can also be started again."""
    return any(step_of(file) > 0 for file in folder.glob("[!.]*.npz"))


def params_of(file: Path) -> dict[str, np.ndarray]:
    """Parameters in a checkpoint."""
    return {name: array for name, array in arrays_of(file).items() if name.startswith("params/")}


def assert_same_end(one: Path, other: Path) -> None:
    """Compare two runs to the last bit."""
    (arrays, *rest), (other_arrays, *other_rest) = end(one), end(other)
    assert same_bits(arrays, other_arrays)
    assert {name.split("/")[0] for name in arrays} == {"params", "optimizer", "state"}
    assert rest == other_rest


def differences(one: Path, other: Path, but: Sequence[str] = ()) -> list[str]:
    """What differs between the folders of two runs that have ended, to the last bit; some files may."""
    files, right = ({file.name for file in folder.iterdir()} for folder in (one, other))
    found = [f"{name} is missing" for name in sorted(right - files)] + [f"{name} is left" for name in files - right]
    for name in sorted(files & right - set(but)):
        if name.endswith(".npz"):
            same = same_bits(arrays_of(one / name), arrays_of(other / name)) and meta_of(one / name) == meta_of(
                other / name
            )
        elif name == "metrics.jsonl":
            same = metrics_of(one) == metrics_of(other)
        else:
            same = (one / name).read_bytes() == (other / name).read_bytes()
        found += [] if same else [f"{name} differs"]
    return found
