"""How minigrid must answer: with a model that is right, or with one kind sentence, in little time and memory."""

import contextlib
import dataclasses
import io
import os
import re
import resource
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fuzzing.checkpoints import Params
from fuzzing.origins import Origin
from minigrid import UserError, load
from minigrid.cli.main import main
from minigrid.runs.checkpoint import read_checkpoint

LONGEST = 1000  # characters of a message
SLOWEST = 5.0  # seconds of computing
WAITS = 60.0  # seconds, after which it waits for something that never comes
MOST_MEMORY = 1_000_000_000  # bytes
CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")

SUMMARY = re.compile(r".*: loss [\d.]+ nats, ")  # of eval --per-character, whose table is on stdout

REFUSED, UNCHANGED, OTHER = "refused", "unchanged", "other model"
DONE, DIVERGED, RUNNING = "done", "failed in order", "still running"


class FaultError(Exception):
    """Minigrid has answered in a way that it must not."""


class OutOfTime(BaseException):
    """The time is over. Nothing may catch it, so it is no Exception."""


# -- time and memory


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise OutOfTime after so many seconds of computing, or after a long wait. Only the main thread can."""
    handlers = {number: signal.signal(number, _too_late) for number in (signal.SIGPROF, signal.SIGALRM)}
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, WAITS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _too_late(number: int, frame: object) -> None:
    raise OutOfTime("it waits for ever" if number == signal.SIGALRM else "it takes too long")


def limit_memory(bytes_more: int = MOST_MEMORY) -> None:
    """Let this process allocate so many bytes more than it has now; what needs more gets a MemoryError. Linux only."""
    if not Path("/proc/self/statm").exists():
        return
    used = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0]) * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + bytes_more, hard))


def reset_peak() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")


def peak_memory() -> int:
    """Return the most memory that this process has used since the last reset, in bytes; 0 where only Linux knows."""
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text(encoding="utf-8") if status.exists() else "")
    return int(found[1]) * 1024 if found else 0


# -- loading


def judge_load(path: Path, params: Params, origin: Origin) -> str:
    """Load an altered checkpoint; return what came of it.

    Parameters
    ----------
    path : Path
        The file.
    params : dict
        The parameters that the model must have, unless the file is refused.
    origin : Origin
        The right checkpoint.

    Raises
    ------
    FaultError
        The answer is not as it must be.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with limited(SLOWEST):
                model, vocabulary = load(path)
    except UserError as error:
        _judge_message(str(error))
        return REFUSED
    except OutOfTime as error:
        raise FaultError(str(error)) from error
    except Exception as error:
        raise FaultError(f"{type(error).__name__}: {str(error)[:300]}") from error
    _require(len(vocabulary) == model.vocab_size, "the vocabulary does not fit the model")
    _require(bool(np.isfinite(model.params.flat).all()), "the model has numbers that are not finite")
    _require(set(model.params) == set(params), "the model has other parameters")
    for name, array in model.params.items():
        expected = params[name].astype(model.dtype)
        same = (array.shape, array.tobytes()) == (expected.shape, np.ascontiguousarray(expected).tobytes())
        _require(same, f"{name} has other numbers than the file")
    options = dataclasses.asdict(model.options)
    as_before = params is origin.params and options == options | origin.description["model"]
    return UNCHANGED if as_before and list(vocabulary.symbols) == origin.description["vocabulary"]["symbols"] else OTHER


def _require(right: bool, problem: str) -> None:
    if not right:
        raise FaultError(problem)


def _judge_message(message: str) -> None:
    _require(bool(message), "the message is empty")
    _require(len(message) <= LONGEST, f"the message has {len(message):,} characters: {message[:200]!r}")
    _require(len(message.splitlines()) == 1, f"the message has several lines: {message[:500]!r}")


# -- commands


class Outcome(NamedTuple):
    code: int | None
    out: str
    err: str


def in_process(arguments: Sequence[str], folder: Path, seconds: float = SLOWEST) -> Outcome:
    """Give a command to the command line of this process, in a folder."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", errors=e, newline="") for e in ("strict", "backslashreplace"))
    try:
        with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = _main(arguments, seconds)
    except OutOfTime as error:
        if str(error).startswith("it waits"):
            raise FaultError(str(error)) from error
        return Outcome(None, "", "")
    except Exception as error:
        raise FaultError(f"{type(error).__name__}: {str(error)[:300]}") from error
    texts = []
    for stream in (out, err):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode("utf-8", "surrogateescape"))
    return Outcome(code, *texts)


def _main(arguments: Sequence[str], seconds: float) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        with limited(seconds):
            try:
                return main(list(arguments))
            except SystemExit as leaving:
                return leaving.code if isinstance(leaving.code, int) else 1


def in_child(arguments: Sequence[str], folder: Path) -> Outcome:
    """Start a command in a process of its own, in a folder."""
    process = subprocess.Popen(
        [sys.executable, "-m", "minigrid", *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=_limit_child,
    )
    try:
        out, err = process.communicate(timeout=WAITS)
    except subprocess.TimeoutExpired as error:
        process.kill()
        process.communicate()
        raise FaultError("it waits for ever") from error
    code = None if process.returncode in (-signal.SIGXCPU, -signal.SIGKILL) else process.returncode
    return Outcome(code, out.decode("utf-8", "surrogateescape"), err.decode("utf-8", "surrogateescape"))


def _limit_child() -> None:
    seconds = int(SLOWEST) + 10  # Python and Matplotlib take some to start
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (4 * MOST_MEMORY, 4 * MOST_MEMORY))


def judge_command(
    run: Callable[[], Outcome], folder: Path, *, may_run_on: bool = False, may_fail: bool = False
) -> tuple[str, Outcome]:
    """Run a command in a folder; return what came of it.

    Parameters
    ----------
    run : callable
        Runs the command.
    folder : Path
        All that the command may read and write; a command that is refused may change nothing in it.
    may_run_on : bool
        Whether the command may take longer than a case may.
    may_fail : bool
        Whether exit code 1 is right even without a sentence on a run that has diverged, as for ``gradcheck``.

    Raises
    ------
    FaultError
        The answer is not as it must be.
    """
    before = snapshot(folder)
    outcome = run()
    code, _, err = outcome
    if code is None:
        _require(may_run_on, "it takes too long")
        return RUNNING, outcome
    _require("Traceback" not in err, f"a traceback: {err[-500:]}")
    _require(not CONTROLS.search(err), f"control characters on stderr: {err[:500]!r}")
    lines = [line for line in err.split("\n") if line and not line.startswith("note: ")]
    if code == 0:
        lines = [line for line in lines if not SUMMARY.match(line)]
        _require(not lines, f"lines on stderr: {lines[:3]!r}")
        return DONE, outcome
    if code == 1:
        right = may_fail or (len(lines) == 1 and lines[0].startswith("training stopped: "))
        _require(right, f"exit code 1: {err[:500]!r}")
        return DIVERGED, outcome
    _require(code == 2, f"exit code {code}: {err[:500]!r}")
    _require(len(lines) == 1 and lines[0].startswith("minigrid"), f"not one sentence on stderr: {err[:600]!r}")
    _judge_message(lines[0])
    _require(snapshot(folder) == before, f"a refused command has changed the folder: {lines[0]}")
    return REFUSED, outcome


def snapshot(folder: Path) -> dict[str, object]:
    """Return everything in a folder: contents of files, targets of links, modes of the rest."""
    found: dict[str, object] = {}
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = os.readlink(path)
        else:
            found[name] = path.read_bytes() if path.is_file() else path.stat().st_mode
    return found


def judge_end(folder: Path, expected: Path | None = None) -> None:
    """Make sure that the checkpoint of a run can be read, and has the same parameters as another run's, if given."""
    try:
        arrays = read_checkpoint(folder).arrays
    except UserError as error:
        raise FaultError(f"the run has ended with a checkpoint that cannot be read: {error}") from error
    if expected is not None:
        for name, array in read_checkpoint(expected).arrays.items():
            same = array.tobytes() == arrays[name].tobytes()
            _require(same, "the resumed run has other parameters than the run that was not altered")
