"""Stop a process at every file operation, one after the other: ``python kill_operations.py [SCENARIO ...]``.

What is on the disk changes by the operations that are counted here only, so what a kill right after one of them leaves
is what a kill right before the next one leaves. A write is cut in half, too. Every process is a fork of this one, which
has imported everything.
"""

import argparse
import builtins
import contextlib
import io
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from run_checks import differences, has_begun
from run_fixtures import addition_config, contents, text_config, trained, write_text

import minigrid.page.build
import minigrid.plots
from minigrid.cli.main import main
from minigrid.data.corpora import cache, load_file
from minigrid.errors import Notice, UserError
from minigrid.files import is_unfinished
from minigrid.runs import loop
from minigrid.runs.run import InterruptedRunError
from minigrid.runs.start import resume_run, start_run
from minigrid.training.step import TrainStep

KILLED, INTERRUPTED, FAILED = 9, 130, 1
HOW = ("kill", "half", "Ctrl-C", "Ctrl-C twice")

# -- the process that is stopped


class Operations:
    """Counts the file operations of this process, and stops it at number `at`, counted from 1."""

    def __init__(self, how: str, at: int) -> None:
        self.names: list[str] = []
        self._how, self._at = how, at

    def _before(self, name: str, half: Callable[[], object] | None = None) -> None:
        self.names.append(name)
        if len(self.names) != self._at:
            return
        if self._how == "half" and half is not None:
            half()
        if self._how in ("kill", "half"):
            os._exit(KILLED)
        for _ in range(2 if self._how == "Ctrl-C twice" else 1):
            signal.raise_signal(signal.SIGINT)

    def watch(self) -> None:
        """Replace every function that changes files; `fsync` does nothing, because only a power cut would show it."""
        os.fsync = lambda opened: None
        for name in ("replace", "rename", "unlink", "remove", "mkdir", "rmdir", "link", "symlink"):
            setattr(os, name, self._watched(name, getattr(os, name)))
        os.open = self._watched_creation(os.open)
        builtins.open = io.open = self._watched_writing(builtins.open)

    def _watched(self, name: str, function: Callable) -> Callable:
        def watched(path: Any, *more: Any, **options: Any) -> Any:
            self._before(f"{name} {Path(path).name}")
            return function(path, *more, **options)

        return watched

    def _watched_creation(self, function: Callable) -> Callable:
        def watched(path: Any, flags: int, *more: Any, **options: Any) -> int:
            if flags & os.O_CREAT:
                self._before(f"create {Path(path).name}")
            return function(path, flags, *more, **options)

        return watched

    def _watched_writing(self, function: Callable) -> Callable:
        before = self._before

        class Raw(io.FileIO):
            def write(self, data: Any) -> int:
                whole, write = memoryview(data).cast("B"), super().write
                before("write", lambda: write(whole[: len(whole) // 2]))
                return write(whole)

        def watched(file: Any, mode: str = "r", buffering: int = -1, *text: Any, **options: Any) -> Any:
            if not set(mode) & set("wax"):
                return function(file, mode, buffering, *text, **options)
            before(f"open {Path(file).name}")
            raw = Raw(file, mode.replace("b", ""))
            buffer = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
            return buffer if "b" in mode else io.TextIOWrapper(buffer, *text, **options)

        return watched


class Ended(NamedTuple):
    """How a process ended: its exit code, the names of its file operations, and its traceback if it failed."""

    code: int
    operations: list[str]
    error: str


def fork(do: Callable[[], int | None], how: str = "", at: int = 0) -> Ended:
    """Do something in a process of its own, which is stopped at its operation number `at`."""
    receiver, sender = os.pipe()
    child = os.fork()
    if child == 0:
        news = json.dumps(_end_of(do, Operations(how, at)))
        with open(sender, "w", encoding="ascii") as pipe:
            pipe.write(news)
        os._exit(0)
    os.close(sender)
    with open(receiver, encoding="ascii") as pipe:
        news = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return Ended(*json.loads(news)) if news else Ended(status, [], "")


def _end_of(do: Callable[[], int | None], operations: Operations) -> tuple[int, list[str], str]:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a script's & ignores it
    warnings.simplefilter("error", Notice)
    opened = builtins.open, io.open
    try:
        operations.watch()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as err:
            code = do() or 0
        return code, operations.names, err.getvalue()
    except (KeyboardInterrupt, InterruptedRunError):
        return INTERRUPTED, operations.names, ""
    except BaseException:
        return FAILED, operations.names, traceback.format_exc()
    finally:
        builtins.open, io.open = opened


# -- what is done, and how it must end


class Scenario(NamedTuple):
    """What a process does in a folder, first and again after it was stopped, and what is wrong with the result."""

    go_on: Callable[[Path], int | None]
    faults: Callable[[Path, Path], list[str]]  # of the first folder; in the second one no process was stopped
    prepare: Callable[[Path], object] = Path.mkdir
    faults_between: Callable[[Path, Path], list[str]] = lambda here, whole: []  # after a stop


def training(config: Any, *, patient: bool = True, **start: Any) -> Scenario:
    """Train. A run that was stopped before its first step is resumed, or, with more patience, started again."""

    def go_on(here: Path) -> None:
        folder = here / "run"
        resume = has_begun(folder) or (not patient and (folder / "last.npz").exists())
        loop.train(resume_run(folder) if resume else start_run(config, folder, **start))

    return Scenario(go_on, lambda here, whole: differences(here / "run", whole / "run"))


def training_with_few_saves(config: Any) -> Scenario:
    """Train, saving at validations only; a kill leaves a best checkpoint and one from before the first step."""
    train = training(config)

    def go_on(here: Path) -> None:
        loop.SAVE_EVERY = 60.0
        train.go_on(here)

    return train._replace(go_on=go_on)


def training_again(config: Any, **start: Any) -> Scenario:
    """Start a run once more that was stopped before its first step."""

    def stop(*given: Any) -> None:
        raise SystemExit

    def begin(folder: Path) -> None:
        TrainStep.__call__ = stop
        with contextlib.suppress(SystemExit):
            loop.train(start_run(config, folder, **start))

    def prepare(here: Path) -> None:
        here.mkdir()
        fork(lambda: begin(here / "run"))
        assert (here / "run" / "last.npz").exists()

    return training(config, **start)._replace(prepare=prepare)


def training_further(config: Any, run: Path) -> Scenario:
    """Resume a finished run to train it for longer."""

    def go_on(here: Path) -> None:
        loop.train(resume_run(here / "run", {"max_steps": config.max_steps + 3}))

    return Scenario(
        go_on,
        lambda here, whole: differences(here / "run", whole / "run"),
        lambda here: shutil.copytree(run, here / "run"),
    )


def training_in_a_new_folder(config: Any) -> Scenario:
    """Start a run that names its folder itself, each time another one."""

    def go_on(here: Path) -> None:
        os.chdir(here)
        loop.train(start_run(config))

    def faults(here: Path, whole: Path) -> list[str]:
        (right,) = (whole / "runs").iterdir()
        return differences(max((here / "runs").iterdir()), right, but=["loss.png"])  # which shows the folder's name

    return Scenario(go_on, faults)


def training_in_too_little_memory(config: Any, **start: Any) -> Scenario:
    """Fail in the first step, which leaves nothing."""

    def go_on(here: Path) -> None:
        def fail(*given: Any) -> None:
            raise MemoryError

        TrainStep.__call__ = fail
        with contextlib.suppress(UserError):
            loop.train(start_run(config, here / "run", **start))

    return Scenario(go_on, lambda here, whole: [f"{file} is left" for file in here.rglob("*")])


def loading(text: Path) -> Scenario:
    """Load a text so large that its ids are cached."""
    right = load_file(text).ids

    def go_on(here: Path) -> int:
        os.environ["MINIGRID_DATA"] = str(here)
        cache.CACHED_ABOVE = 10
        warnings.filterwarnings("ignore", "an encoded copy of .* is kept", Notice)
        return 0 if np.array_equal(load_file(text).ids, right) else FAILED

    return Scenario(go_on, same_files)


def writing(*command: object, files: dict[str, bytes]) -> Scenario:
    """Replace files of the user by a command; at any time they are the old ones or the new ones."""

    def prepare(here: Path) -> None:
        here.mkdir()
        for name, content in files.items():
            (here / name).write_bytes(content)

    def go_on(here: Path) -> int:
        os.chdir(here)
        return main(list(map(str, command)))

    def faults_between(here: Path, whole: Path) -> list[str]:
        return [
            f"{name} is neither old nor new"
            for name, old in files.items()
            if (here / name).read_bytes() not in (old, (whole / name).read_bytes())
        ]

    return Scenario(go_on, same_files, prepare, faults_between)


def same_files(here: Path, whole: Path) -> list[str]:
    """Compare all files of two folders."""
    found, right = contents(here), contents(whole)
    return [f"{name} differs or is left" for name in sorted(found.keys() | right) if found.get(name) != right.get(name)]


def scenarios(folder: Path) -> dict[str, Callable[[], Scenario]]:
    """Name all scenarios; `folder` is for files that they read."""
    text = folder / "text.txt"

    def config(**settings: Any) -> Any:
        return text_config(text, **{"hidden": 4, "layers": 1, "max_steps": 2, "eval_every": 2} | settings)

    def run(**settings: Any) -> Path:
        return trained(folder / "run", config(**settings)).folder

    return {
        "train": lambda: training(config(max_steps=3)),
        "train, impatiently": lambda: training(config(dropout=0.1, optimizer="adam"), patient=False),
        "train, saving at validations": lambda: training_with_few_saves(config()),
        "train without validation": lambda: training(config(val_fraction=0.0)),
        "train on addition": lambda: training(addition_config(hidden=4, layers=1, max_steps=2)),
        "train from another run": lambda: training(config(), init_from=str(run(max_steps=1))),
        "train from another run, impatiently": lambda: training(config(), patient=False, init_from=str(run())),
        "train again": lambda: training_again(config()),
        "train again from another run": lambda: training_again(config(), init_from=str(run(max_steps=1))),
        "train further": lambda: training_further(config(), run()),
        "train in a new folder": lambda: training_in_a_new_folder(config()),
        "train in too little memory": lambda: training_in_too_little_memory(config()),
        "load a large text": lambda: loading(text),
        "plot": lambda: writing("plot", run(), "--out", "a.svg", files={"a.svg": b"old"}),
        "inspect": lambda: writing(
            "inspect", run(), "--text=over", "--out=a.html", files={"a.html": b"old", "a.png": b"old"}
        ),
        "sample": lambda: writing("sample", run(), "--length=9", "--out=a.txt", files={"a.txt": b"old"}),
    }


# -- every operation, one after the other


class Tally(NamedTuple):
    """What came of one scenario, stopped in one way."""

    operations: int  # of the process that was not stopped
    stops: int
    left: int  # unfinished files that the stopped processes left for the moment
    faults: list[str]


def stop_everywhere(scenario: Scenario, folder: Path, how: str, every: int = 1) -> Tally:
    """Stop a process at every operation, and its successor at its operation of the same number, and then go on."""
    whole, here = folder / "whole" / "here", folder / "stopped" / "here"
    whole.parent.mkdir()
    scenario.prepare(whole)
    ended = fork(lambda: scenario.go_on(whole))
    assert ended.code == 0, ended.error
    names, stops, left, faults = ended.operations, 0, 0, []
    assert len(names) >= 5, names
    for at in _different(names, how)[::every]:
        here.parent.mkdir()
        scenario.prepare(here)
        found = []
        for _ in range(2):
            ended = fork(lambda: scenario.go_on(here), how, at)
            stops += ended.code in (KILLED, INTERRUPTED)
            unfinished = [file.name for file in here.rglob("*") if is_unfinished(file)]
            left += len(unfinished)
            found += [f"{unfinished} are left"] if unfinished and ended.code == INTERRUPTED else []
            found += [f"failed:\n{ended.error}"] * (ended.code not in (0, KILLED, INTERRUPTED))
            found += scenario.faults_between(here, whole)
        ended = fork(lambda: scenario.go_on(here))
        found += [f"failed:\n{ended.error}"] if ended.code else scenario.faults(here, whole)
        faults += [f"{how} at operation {at}, {names[at - 1]}: {fault}" for fault in found]
        shutil.rmtree(here.parent)
    shutil.rmtree(whole.parent)
    return Tally(len(names), stops, left, faults)


def _different(names: list[str], how: str) -> list[int]:
    """Number the operations; of a series of writes, the first and the last one stand for all."""
    series = [name == "write" and names[k - 1 : k + 2] == ["write"] * 3 for k, name in enumerate(names)]
    return [k + 1 for k, name in enumerate(names) if not series[k] and (how != "half" or name == "write")]


class Picture(list):
    """Takes the place of a figure, which takes long to draw: a list of the numbers to be drawn."""

    def savefig(self, file: Path, **options: Any) -> None:
        """Write the numbers."""
        file.write_text(repr(self), encoding="ascii")


def hurry() -> None:
    """Save after every step, and spend little time on pictures and samples."""
    loop.SAVE_EVERY, loop.LOG_EVERY, loop.SAMPLE_LENGTH = 0.0, 1, 5
    minigrid.plots.loss_curves = lambda curves: Picture([[r["step"], r["loss"]] for r in next(iter(curves.values()))])
    minigrid.page.build.picture = lambda vocabulary, ids, trace: Picture(ids.tolist())


def stop_all(names: Sequence[str], ways: Sequence[str], every: int) -> bool:
    """Stop each of these scenarios in each way; print a table, and return whether all is well."""
    faults = []
    print(f"{'scenario':40}{'how':14}{'operations':>10}{'stops':>8}{'left':>6}{'faults':>8}{'seconds':>9}")
    for name in names:
        for how in ways:
            with tempfile.TemporaryDirectory() as folder:
                start = time.monotonic()
                trained(Path(folder) / "warm", text_config(write_text(Path(folder)), max_steps=1))
                tally = stop_everywhere(scenarios(Path(folder))[name](), Path(folder), how, every)
            seconds = time.monotonic() - start
            numbers = f"{tally.operations:10}{tally.stops:8}{tally.left:6}{len(tally.faults):8}{seconds:9.1f}"
            print(f"{name:40}{how:14}{numbers}", flush=True)
            faults += [f"{name}: {fault}" for fault in tally.faults]
    print(*faults, sep="\n")
    return not faults


if __name__ == "__main__":
    names = list(scenarios(Path()))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", choices=[[], *names], help=", ".join(names))
    parser.add_argument("--every", type=int, default=1, metavar="N", help="stop at every N-th operation only")
    parser.add_argument("--how", choices=HOW, help="stop in this way only")
    options = parser.parse_args()
    hurry()
    sys.exit(not stop_all(options.scenarios or names, [options.how] if options.how else HOW, options.every))
