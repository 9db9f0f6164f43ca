"""Commands that several processes run together: ``mpiexec -n N python train.py``.

A launcher tells each process its number in environment variables. Only if they say that there are several is mpi4py
imported, and with it MPI.
"""

import argparse
import contextlib
import io
import os
import platform
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TextIO

from minigrid.cli.flags import with_flags
from minigrid.cli.terminal import one_line, shortened
from minigrid.errors import UserError

if TYPE_CHECKING:
    from minigrid.backend.ranks import Ranks

VARIABLES = (
    ("PMI_RANK", "PMI_SIZE"),  # MPICH, Intel MPI, Microsoft MPI; srun --mpi=pmi2
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),  # Open MPI
    ("MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE"),  # MVAPICH
    ("JSM_NAMESPACE_RANK", "JSM_NAMESPACE_SIZE"),  # IBM's jsrun
    # Slurm, but only inside srun: a job has SLURM_NTASKS and SLURM_PROCID too, before anything is launched in it
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
)
"""Where launchers put the number of a process, and that of all of them."""

LAUNCHERS = ("mpiexec", "mpirun", "orterun", "prterun")


class Launch(NamedTuple):
    """What a launcher says: the number of this process, from 0, and how many there are."""

    number: int = 0
    size: int = 1


def launch() -> Launch:
    """Return what the launcher says, or one process if there is none."""
    for number, size in VARIABLES:
        with contextlib.suppress(KeyError, ValueError):
            if (found := Launch(int(os.environ[number]), int(os.environ[size]))).size > 1:
                return found
    return Launch()


@contextlib.contextmanager
def launched_ranks(options: argparse.Namespace) -> Iterator["Ranks"]:
    """Join the other processes of the launch, if there are any, for the duration of a command.

    If an error occurs on this rank alone, it is printed and all of them end: they would wait for this one.

    Parameters
    ----------
    options : argparse.Namespace
        Options of the command, which must be the same in all processes, but for the number of a GPU.
    """
    from minigrid.backend.blas import share_cores
    from minigrid.backend.ranks import ALONE, connect, is_agreed

    global _joined
    here, flags = launch(), options.parser.flags
    if here.size == 1:
        yield ALONE
        return
    with _signals_kill():
        ranks = connect(here.size)
    _joined = True
    if here.number > 0:
        sys.stderr = _nowhere()
    try:
        share_cores(ranks)
        given = {name: value for name, value in vars(options).items() if name not in ("command", "parser", "device")}
        ranks.require_same({"the command": options.parser.prog} | {f"`{name}`": value for name, value in given.items()})
        yield ranks
    except BaseException as error:
        if not is_agreed(error):
            if ranks.number > 0:
                time.sleep(TIME_TO_SPEAK)
            tell(error, f"on {platform.node()} (process {ranks.number})", flags)
            time.sleep(TIME_TO_READ)
            ranks.comm.Abort(_exit_code(error))
            os._exit(_exit_code(error))  # MPI may take a moment to end this process
        raise


def tell(error: BaseException, who: str, flags: Mapping[str, str]) -> None:
    """Print an error of this rank: a sentence for a mistake of the user, otherwise with the traceback."""
    if isinstance(error, SystemExit | KeyboardInterrupt):
        return
    if isinstance(error, UserError):
        text = f"{who}: {shortened(one_line(with_flags(str(error), flags)))}"
    elif isinstance(error, MemoryError):
        text = f"{who}: not enough memory"
    elif isinstance(error, OSError):  # a disk that fails, for example
        text = f"{who}: cannot use {error.filename or 'a file'}: {error.strerror or error}"
    else:
        text = f"{who}:\n{traceback.format_exc()}".rstrip()
    with contextlib.suppress(OSError):
        print(text, file=sys.__stderr__, flush=True)


def _exit_code(error: BaseException) -> int:
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 1
    if isinstance(error, KeyboardInterrupt):
        return 130
    return 2 if isinstance(error, UserError | MemoryError | OSError) else 1


# -- ending before the processes have joined


TIME_TO_READ = 0.3  # seconds in which a launcher reads what a process has printed, before it ends them all
TIME_TO_SPEAK = 1.5  # seconds that the others leave to the first process, which may have the same error

_joined = False


def is_awaited() -> bool:
    """Return whether other processes of the launch wait for this one to join them."""
    return launch().size > 1 and not _joined


def die(number: int) -> None:
    """End this process by a signal. A launcher then ends the others, which it does not do if one just exits."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        with contextlib.suppress(OSError):
            stream.flush()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def end_all(code: int) -> None:
    """End all processes of the launch with an exit code, after what this one has to say.

    Open MPI and Slurm do so when one exits with a code that is not 0. MPICH has to be asked (PMI's ``abort``).
    """
    if launch().number > 0:
        time.sleep(TIME_TO_SPEAK)
        held_back = sys.stderr.getvalue() if isinstance(sys.stderr, io.StringIO) else ""
        with contextlib.suppress(OSError):
            print(f"on {platform.node()}: {held_back.strip()}", file=sys.__stderr__, flush=True)
    time.sleep(TIME_TO_READ)
    if "PMI_FD" in os.environ:
        with contextlib.suppress(ValueError, OSError):
            os.write(int(os.environ["PMI_FD"]), f"cmd=abort exitcode={code}\n".encode())
            time.sleep(TIME_TO_SPEAK)
        die(signal.SIGTERM)


@contextlib.contextmanager
def _signals_kill() -> Iterator[None]:
    """Let signals kill this process at once: while it joins the others, Python could not handle them."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    heeded = {number: handler for number, handler in before.items() if handler is not signal.SIG_IGN}
    for number in heeded:
        signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        for number, handler in heeded.items():
            signal.signal(number, handler)


def refuse_launch(what: str) -> None:
    """Refuse what several processes cannot share, but would all do.

    Raises
    ------
    UserError
        A launcher has started several.
    """
    if (size := launch().size) > 1:
        raise UserError(
            f"{what} takes one process, and {size} have been started: leave out `mpiexec`, or what else has started "
            "them"
        )


# -- what the processes print


def share_terminal() -> None:
    """Let only the first process of a launch print, and let it see the launcher's terminal.

    A launcher passes on what its processes print. They write to pipes, so the first one would take a terminal for a log
    file, and show no progress bar.
    """
    here = launch()
    if here.size == 1:
        return
    if here.number > 0:
        sys.stdout = _nowhere()
        sys.stderr = io.StringIO()  # until this process has joined the others, see end_all
        return
    if sys.stdout is None or sys.stderr.isatty() or (terminal := _launchers_terminal()) is None:
        return
    with contextlib.suppress(OSError), open(terminal, encoding="utf-8") as opened:
        size = os.get_terminal_size(opened.fileno())
        os.environ |= {"COLUMNS": str(size.columns), "LINES": str(size.lines)}
    # one pipe for both, so that the lines and the bar arrive in order
    sys.stdout.flush()
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for stream in (sys.stdout, sys.stderr):
        stream.isatty = lambda: True  # type: ignore[method-assign]


def _nowhere() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")  # until the process ends


def _launchers_terminal() -> str | None:
    """Return the terminal to which the launcher prints what it gets; None if it prints elsewhere or is not found."""
    process = os.getppid()
    for _ in range(5):
        try:  # Linux only
            status = Path(f"/proc/{process}/stat").read_text(encoding="utf-8")
            name, parent = status[status.index("(") + 1 : status.rindex(")")], status[status.rindex(")") :].split()[2]
            if name.startswith(LAUNCHERS):
                streams = {os.readlink(f"/proc/{process}/fd/{number}") for number in (1, 2)}
                return streams.pop() if len(streams) == 1 and next(iter(streams)).startswith("/dev/pts/") else None
        except (OSError, ValueError):
            return None
        process = int(parent)
    return None
