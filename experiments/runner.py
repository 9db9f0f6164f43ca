"""Train the missing runs of an experiment. You can stop it at any time and call it again.

The metrics of a finished run are thinned and kept in ``metrics/NAME.jsonl`` in the experiment's folder; such a run is
never trained again. An unfinished run lives in ``runs/EXPERIMENT/NAME`` and is resumed from there, no matter how it was
stopped. The log next to that folder, ``NAME.log``, doubles as a lock: a training process holds it as long as it lives.
A second runner, or one that is started after a ``kill -9`` of the first, waits for the trainings that are still running
and does not start them twice. (The lock needs Unix; the experiments do not run on Windows.)
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

from experiments.store import read_records, thinned, write_records
from minigrid.backend import backend_module, describe_device
from minigrid.cli.flags import flag
from minigrid.runs.checkpoint import read_checkpoint
from minigrid.runs.find import BEST, LAST
from minigrid.runs.folder import CONFIG, Record, read_metrics

ROOT = Path(__file__).parent.parent
RUNS = ROOT / "runs"
POLL = 0.5  # seconds

Settings = Mapping[str, Any]
"""Options of train.py, named as in :class:`minigrid.runs.config.Config`; ``config`` names a file of settings."""


@dataclass(frozen=True)
class Experiment:
    """The training runs of one experiment.

    Attributes
    ----------
    folder : Path
        Folder of the experiment; its name is the experiment's name.
    runs : mapping
        Name -> settings, the most important runs first.
    on_request : mapping
        Runs that are trained only if they are named on the command line.
    threads : int or None
        BLAS threads of a training run. None: NumPy's default, or one if several runs are trained side by side.
    prepare : callable or None
        Creates the files that a run starts from. It is called with the run's name before the run starts, but not when
        the run is resumed.
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
        """Return the file that keeps a finished run's metrics."""
        return self.folder / "metrics" / f"{name}.jsonl"

    def run_folder(self, name: str) -> Path:
        """Return the folder in which a run is trained and its checkpoints stay."""
        return RUNS / self.folder.name / name

    def metrics(self) -> dict[str, list[Record]]:
        """Return the kept metrics of the finished runs, in the order of `all_runs`."""
        files = {name: self.kept(name) for name in self.all_runs}
        return {name: read_records(file) for name, file in files.items() if file.exists()}

    def train(self, names: Sequence[str] = (), jobs: int = 1) -> bool:
        """Finish the named runs, or all of `runs`, `jobs` at a time; return whether all of them succeeded."""
        waiting = list(names or self.runs)
        threads = 1 if jobs > 1 else self.threads
        running: dict[str, subprocess.Popen] = {}
        failed = []
        try:
            while True:
                waiting = [name for name in waiting if not self.kept(name).exists()]
                if not waiting and not running:
                    break
                for name in waiting[:]:
                    if len(running) < jobs and (process := self._start(name, threads)):
                        running[name] = process
                        waiting.remove(name)
                time.sleep(POLL)
                for name in [name for name, process in running.items() if process.poll() is not None]:
                    if running.pop(name).returncode:
                        failed.append(name)
                        print(f"{name} failed; see {self._log(name)}", file=sys.stderr)
                    else:
                        self._keep(name, threads)
        except BaseException:  # Ctrl-C, or a run that could not be prepared
            for process in running.values():
                process.terminate()  # it saves a checkpoint, and the next call resumes it
            for process in running.values():
                process.wait()
            raise
        return not failed

    def _log(self, name: str) -> Path:
        return self.run_folder(name).parent / f"{name}.log"

    def _start(self, name: str, threads: int | None) -> subprocess.Popen | None:
        """Start or resume a run; return None if another process is training it."""
        run = self.run_folder(name)
        run.parent.mkdir(parents=True, exist_ok=True)
        with open(self._log(name), "a", encoding="utf-8") as log:
            try:
                fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return None
            resumed = (run / LAST).exists()
            if not resumed:
                shutil.rmtree(run, ignore_errors=True)  # it was stopped before its first checkpoint
                if self.prepare:
                    self.prepare(name)
            options = ["--resume"] if resumed else flags(self.all_runs[name])
            print(f"{name}: {'resumed' if resumed else 'started'}; log in {self._log(name)}")
            # in a session of its own, so that it gets the signal of Ctrl-C only once, from this process
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
        """Keep the thinned metrics of a finished run, followed by a record on how it was made."""
        run = self.run_folder(name)
        made = _made(run, self.all_runs[name], threads)
        write_records(self.kept(name), [*thinned(read_metrics(run)), made])
        print(f"{name}: done, {made['minutes']} minutes; metrics in {self.kept(name)}")


def flags(settings: Settings) -> list[str]:
    """Return settings as command-line options of train.py."""
    return [text for name, value in settings.items() for text in (flag(name), str(value))]


def _threads(threads: int | None) -> dict[str, str]:
    return {} if threads is None else {name: str(threads) for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")}


def _made(run: Path, settings: Settings, threads: int | None) -> Record:
    """Return a record of the command, the machine and the time of a finished run.

    ``minutes`` is the time of all training steps at the median of the measured rates. Pauses, stops and validations do
    not count.
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
    lines = information.read_text(encoding="utf-8").splitlines() if information.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


def main(experiment: Experiment, description: str, report: Callable[[], None]) -> None:
    """Train the runs named on the command line, then report; exit with code 1 if a run failed, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    named = f"; only on request: {', '.join(experiment.on_request)}" if experiment.on_request else ""
    parser.add_argument("names", metavar="RUN", nargs="*", help=f"default: {', '.join(experiment.runs)}{named}")
    parser.add_argument(
        "--jobs", type=int, default=1, help="runs to train side by side, one BLAS thread each (default: 1)"
    )
    parser.add_argument("--report", action="store_true", help="train nothing; only report on the finished runs")
    options = parser.parse_args()
    if unknown := set(options.names) - set(experiment.all_runs):
        parser.error(f"there is no run {sorted(unknown)[0]}: choose from {', '.join(experiment.all_runs)}")
    if not 1 <= options.jobs <= os.cpu_count():
        parser.error(f"--jobs must be from 1 to {os.cpu_count()}, the number of cores, not {options.jobs}")
    try:
        good = options.report or experiment.train(options.names, options.jobs)
    except KeyboardInterrupt:
        sys.exit(130)
    report()
    sys.exit(0 if good else 1)
