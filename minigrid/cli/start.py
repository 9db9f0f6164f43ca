"""Start the command line in a process of its own."""

import contextlib
import logging
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

from minigrid.cli.launch import die, end_all, is_awaited, share_terminal

INTERRUPTED, FAILED = 130, 1  # exit codes


def run(program: str = "minigrid", command: str | None = None) -> int:
    """Run the command that the arguments of this process name; return its exit code.

    See :func:`minigrid.cli.main.main`, which this function imports where a Ctrl-C is handled already.
    """
    if sys.stderr is None:  # it was closed; print(file=None) would write messages to stdout
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  # until the process ends
    signal.signal(signal.SIGTERM, _terminate)
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it tells you of a home that it cannot write to
    # Pictures go to files. A notebook's kernel passes on its own backend, which may not be installed here.
    os.environ["MPLBACKEND"] = "agg"
    try:
        code = _run(program, command)
    except SystemExit as leaving:  # the parser, which has printed why
        if not leaving.code or not is_awaited():
            raise
        code = FAILED if isinstance(leaving.code, str) else leaving.code
    if code and is_awaited():
        if code == INTERRUPTED:
            die(signal.SIGINT)
        end_all(code)
    return code


def _run(program: str, command: str | None) -> int:
    try:
        with _ctrl_c_exits():
            share_terminal()
            from minigrid.cli.main import main

        return main(program=program, command=command)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception:
        if not is_awaited():
            raise
        traceback.print_exc()
        return FAILED


@contextlib.contextmanager
def _ctrl_c_exits() -> Iterator[None]:
    """Let a Ctrl-C end the process at once: during an import, C code can turn KeyboardInterrupt into ImportError."""
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:  # ignored, behind a script's & for example
        yield
        return
    signal.signal(signal.SIGINT, _interrupted)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _interrupted(number: int, frame: FrameType | None) -> None:
    if is_awaited():
        die(number)
    os._exit(INTERRUPTED)


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    """End the program as a request to terminate does, but remove temporary files on the way."""
    if is_awaited():
        die(number)
    sys.exit(128 + number)
