"""Trains the runs of an experiment that are missing; may be stopped at any time, and called again.

A run that is finished leaves its metrics beside the experiment's page, ``NAME.jsonl``, and is never trained again. What
is under way lives in ``runs/EXPERIMENT/NAME`` and is resumed from there, whatever stopped it. Its log beside that
folder, ``NAME.log``, is also its lock: the training holds it as long as it lives, so that a second runner, or one that
is called again after a ``kill -9`` of the first, waits for trainings that are still under way instead of starting them
twice. (The lock is Unix's; the experiments do not run on Windows.)
"""

import argparse
import fcntl
import json
import os
import platform
import shlex
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minigrid.backend import backend_module, describe_device
from minigrid.cli.flags import flag
from minigrid.files import written_whole
from minigrid.runs.checkpoint import BEST, LAST, read_checkpoint
from minigrid.runs.folder import CONFIG, Record, read_metrics

ROOT = Path(__file__).parent.parent
RUNS = ROOT / "runs"
POLL = 0.5  # seconds

Settings = Mapping[str, Any]
"""Options of train.py, by their names in :class:`minigrid.runs.config.Config`; ``config`` names a file of them."""


@dataclass(frozen=True)
class Experiment:
    """The trainings of one experiment.

    Attributes
    ----------
    folder : Path
        Where its metrics are kept; its name is the experiment's.
    runs : mapping
        Name -> settings, the most wanted first.
    on_request : mapping
        More of them, which are trained only where they are named.
    threads : int or None
        BLAS threads of a training; None: as many as NumPy takes, or one where several trainings go side by side.
    prepare : callable or None
        Makes what a run begins with; called with its name before it begins, not when it is resumed.
    """

    folder: Path
    runs: Mapping[str, Settings]
    on_request: Mapping[str, Settings] = field(default_factory=dict)
    threads: int | None = None
    prepare: Callable[[str], None] | None = None

    @property
    def all_runs(self) -> dict[str, Settings]:
        """Every run, `on_request` last."""
        return {**self.runs, **self.on_request}

    def kept(self, name: str) -> Path:
        """The file of a finished run's metrics."""
        return self.folder / f"{name}.jsonl"

    def run_folder(self, name: str) -> Path:
        """Where a run lives while it is trained, and its checkpoints afterwards."""
        return RUNS / self.folder.name / name

    def metrics(self) -> dict[str, list[Record]]:
        """Return the metrics of the finished runs, in the order of `all_runs`."""
        files = {name: self.kept(name) for name in self.all_runs}
        return {
            name: [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
            for name, file in files.items()
            if file.exists()
        }

    def train(self, names: Sequence[str] = (), jobs: int = 1) -> bool:
        """Bring runs to their ends, all or those named, `jobs` side by side; say whether all of them got there."""
        waiting = [name for name in names or self.runs if not self.kept(name).exists()]
        threads = 1 if jobs > 1 else self.threads
        going: dict[str, subprocess.Popen] = {}
        failed = []
        try:
            while waiting or going:
                waiting = [name for name in waiting if not self.kept(name).exists()]
                for name in waiting[:]:
                    if len(going) < jobs and (process := self._start(name, threads)):
                        going[name] = process
                        waiting.remove(name)
                time.sleep(POLL)
                for name in [name for name, process in going.items() if process.poll() is not None]:
                    if going.pop(name).returncode:
                        failed.append(name)
                        print(f"{name} failed; see {self._log(name)}", file=sys.stderr)
                    else:
                        self._keep(name, threads)
        except BaseException:  # Ctrl-C, or a run that could not be prepared
            for process in going.values():
                process.terminate()  # it saves, and the next call resumes it
            for process in going.values():
                process.wait()
            raise
        return not failed

    def _log(self, name: str) -> Path:
        return self.run_folder(name).parent / f"{name}.log"

    def _start(self, name: str, threads: int | None) -> subprocess.Popen | None:
        """Start or resume a run; None where another process is at it."""
        run = self.run_folder(name)
        run.parent.mkdir(parents=True, exist_ok=True)
        with open(self._log(name), "a") as log:
            try:
                fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return None
            if (run / LAST).exists():
                options = ["--resume"]
            else:
                shutil.rmtree(run, ignore_errors=True)  # it was stopped before it had saved anything
                if self.prepare:
                    self.prepare(name)
                options = flags(self.all_runs[name])
            print(f"{name}: {'goes on' if options == ['--resume'] else 'begins'}; log in {self._log(name)}")
            # in a session of its own, so that Ctrl-C reaches it once only, through this process
            return subprocess.Popen(
                [sys.executable, ROOT / "train.py", "--run", run, *options],
                cwd=ROOT,
                env=os.environ | _threads(threads),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _keep(self, name: str, threads: int | None) -> None:
        """Put a finished run's metrics beside the experiment's page, with a last record on how it was made."""
        run = self.run_folder(name)
        records = [*read_metrics(run), _made(run, self.all_runs[name], threads)]
        with written_whole(self.kept(name)) as temporary:
            temporary.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
        print(f"{name}: done, {records[-1]['minutes']} minutes; metrics in {self.kept(name)}")


def flags(settings: Settings) -> list[str]:
    """Write settings as options of train.py."""
    return [text for name, value in settings.items() for text in (flag(name), str(value))]


def _threads(threads: int | None) -> dict[str, str]:
    return {} if threads is None else {name: str(threads) for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")}


def _made(run: Path, settings: Settings, threads: int | None) -> Record:
    """Return a record of what trained a run, and how long it took.

    ``minutes`` are those of the training steps at the median of the measured rates, so that neither pauses nor stops
    count; validations do not count either.
    """
    config = json.loads((run / CONFIG).read_text(encoding="utf-8"))
    train = [record for record in read_metrics(run) if record["split"] == "train"]
    steps = 3 * config["digits"] + 3 if config["task"] == "addition" else config["steps"]
    per_second = statistics.median(record["per_second"] for record in train if "per_second" in record)
    arrays = read_checkpoint(run / BEST).arrays
    return {
        "split": "run",
        "command": shlex.join(["python", "train.py", *flags(settings)]),
        "parameters": sum(array.size for name, array in arrays.items() if name.startswith("params/")),
        "minutes": round(train[-1]["step"] * config["batch"] * steps / per_second / 60, 1),
        "machine": f"{describe_device(backend_module(config['backend']))}, {_processor()}, {os.cpu_count()} cores",
        "blas_threads": threads or os.environ.get("OPENBLAS_NUM_THREADS"),
    }


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


def main(experiment: Experiment, description: str, report: Callable[[], None]) -> None:
    """Train what the command line asks for, then report; leave with code 1 where a run failed, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(description=description)
    named = f"; only where named: {', '.join(experiment.on_request)}" if experiment.on_request else ""
    parser.add_argument("names", metavar="RUN", nargs="*", help=f"default: {', '.join(experiment.runs)}{named}")
    parser.add_argument("--jobs", type=int, default=1, help="trainings side by side, one BLAS thread each (default: 1)")
    parser.add_argument("--report", action="store_true", help="train nothing, only report on what is finished")
    options = parser.parse_args()
    if unknown := set(options.names) - set(experiment.all_runs):
        parser.error(f"no run is called {sorted(unknown)[0]}: choose among {', '.join(experiment.all_runs)}")
    if not 1 <= options.jobs <= os.cpu_count():
        parser.error(f"--jobs must be from 1 to {os.cpu_count()}, the number of cores, not {options.jobs}")
    try:
        good = options.report or experiment.train(options.names, options.jobs)
    except KeyboardInterrupt:
        sys.exit(130)
    report()
    sys.exit(0 if good else 1)
