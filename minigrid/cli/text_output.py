"""Where the text of a model goes: a terminal, a redirected output, or a file."""

import codecs
import contextlib
import io
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Protocol, TextIO

from minigrid.cli.outputs import output
from minigrid.cli.terminal import printable
from minigrid.data.vocabulary import show
from minigrid.errors import Notice

ESCAPED = "minigrid.escaped"
"""Name of the error handler that :func:`escapes_noted` registers."""
_NAMED = 4  # characters that the note lists


class Output(Protocol):
    """Takes text (str) or bytes of a text, piece by piece."""

    def write(self, piece: str | bytes) -> None:
        """Write a piece at once."""
        ...

    def end(self) -> None:
        """End the last line of a text, unless it has ended."""
        ...


class TextOutput:
    """Writes to a stream of text; bytes are decoded as UTF-8, and bytes that are not UTF-8 become U+FFFD.

    Parameters
    ----------
    stream : TextIO
        Where to write.
    shown : callable, optional
        Changes each piece, to escape control characters for example.
    """

    def __init__(self, stream: TextIO, shown: Callable[[str], str] = str):
        self._stream = stream
        self._last = "\n"
        self._shown = shown
        self._utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def write(self, piece: str | bytes) -> None:
        """Write a piece; bytes that may begin a character wait for the next piece."""
        self._put(self._shown(piece if isinstance(piece, str) else self._utf8.decode(piece)))

    def end(self) -> None:
        """End the last line of a text, unless it has ended."""
        self._put(self._utf8.decode(b"", final=True))
        if self._last != "\n":
            self._put("\n")

    def _put(self, text: str) -> None:
        self._last = text[-1:] or self._last
        self._stream.write(text)
        self._stream.flush()


class RawOutput:
    """Writes text in the encoding of a stream, and bytes as they are."""

    def __init__(self, stream: io.TextIOWrapper):
        self._stream = stream
        self._last: str | bytes = "\n"

    def write(self, piece: str | bytes) -> None:
        """Write a piece."""
        self._last = piece[-1:] or self._last
        if isinstance(piece, str):
            self._stream.write(piece)
        else:
            self._stream.flush()
            self._stream.buffer.write(piece)
        self._stream.flush()

    def end(self) -> None:
        """End the last line of a text, unless it has ended."""
        if self._last not in ("\n", b"\n"):
            self.write("\n")


def is_terminal() -> bool:
    """Return whether stdout is a terminal."""
    return sys.stdout is not None and sys.stdout.isatty()


def standard_output() -> Output:
    """Return stdout: control characters are escaped on a terminal; elsewhere, everything is written as it is."""
    stream = sys.stdout
    if stream is None:  # it was closed when Python started
        return TextOutput(io.StringIO())
    if is_terminal():
        return TextOutput(stream, printable)
    return RawOutput(stream) if isinstance(stream, io.TextIOWrapper) else TextOutput(stream)


@contextlib.contextmanager
def file_output(path: Path, inputs: Iterable[Path] = ()) -> Iterator[Output]:
    """Write to a file that the user named, in UTF-8; see :func:`minigrid.cli.outputs.output`."""
    with (
        output(path, inputs=inputs) as temporary,
        open(temporary, "w", encoding="utf-8", newline="") as stream,
    ):
        yield RawOutput(stream)


@contextlib.contextmanager
def escapes_noted() -> Iterator[None]:
    r"""Escape characters that the encoding of stdout lacks, as in ``\xe9``, and give one :class:`Notice` at the end."""
    stream = sys.stdout
    if not isinstance(stream, io.TextIOWrapper) or stream.errors == ESCAPED:  # a caller's own, none, or one in our care
        yield
        return
    lost: dict[str, None] = {}

    def escape(error: UnicodeError) -> tuple[str | bytes, int]:
        if isinstance(error, UnicodeEncodeError):
            lost.update(dict.fromkeys(error.object[error.start : error.end]))
        return codecs.backslashreplace_errors(error)

    codecs.register_error(ESCAPED, escape)
    usual = stream.errors
    stream.reconfigure(errors=ESCAPED)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # the disk may be full, or the reader gone
            stream.reconfigure(errors=usual)
        if lost:
            warnings.warn(_note(stream.encoding, list(lost)), Notice, stacklevel=2)


def _note(encoding: str, lost: list[str]) -> str:
    names, more = ", ".join(map(show, lost[:_NAMED])), len(lost) - _NAMED
    return (
        f"characters that {encoding}, the encoding of the output, lacks were written as escapes such as "
        f"{lost[0].encode('ascii', 'backslashreplace').decode('ascii')}: {names}"
        f"{f' and {more} more' if more > 0 else ''}; to write them as they are, set PYTHONIOENCODING=utf-8"
    )
