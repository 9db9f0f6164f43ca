"""Read the arrays of an ``.npz`` file one at a time, and never more of it than the reader expects.

``numpy.load`` would allocate whatever a file announces, even if the file is a few bytes of compressed zeros.
"""

import contextlib
import warnings
import zipfile
from collections.abc import Iterator
from typing import IO, BinaryIO, NamedTuple

import numpy as np

MOST_BYTES = 32_000_000
"""Upper bound of an array whose size is not known in advance."""

PIECE = 1 << 20  # bytes read at a time


class DamagedError(Exception):
    """The file is cut off, altered, or no archive of arrays."""


class MisfitError(Exception):
    """An array is missing, or is not the one that the reader expects; the message says how."""


class _Header(NamedTuple):
    """What an array in the file says about itself."""

    shape: tuple[int, ...]
    dtype: np.dtype

    def __str__(self) -> str:
        shape = str(self.shape)
        return f"{self.dtype.name} of shape {shape if len(shape) <= 60 else '(...)'}"


class Archive:
    """An open ``.npz`` file.

    Parameters
    ----------
    stream : binary file
        The file, which must be seekable. It stays open.

    Attributes
    ----------
    names : tuple of str
        Names of the arrays.

    Raises
    ------
    DamagedError
        The file is not a complete zip archive.
    """

    def __init__(self, stream: BinaryIO):
        with _damage():
            self._zip = zipfile.ZipFile(stream)
        members = self._zip.infolist()
        self._members = {member.filename.removesuffix(".npy"): member for member in members}
        if len(self._members) < len(members):
            raise DamagedError("two arrays have the same name")
        self.names = tuple(self._members)

    def text(self, name: str) -> bytes:
        """Read an array of bytes, at most `MOST_BYTES` of them.

        Raises
        ------
        DamagedError, MisfitError
        """
        with self._opened(name) as (stream, header):
            if header.dtype != np.uint8 or len(header.shape) != 1 or header.shape[0] > MOST_BYTES:
                raise MisfitError(f"{name} is {header}, but must be at most {MOST_BYTES:,} bytes")
            return _read(stream, header).tobytes()

    def numbers(self, name: str, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """Read an array of finite numbers.

        Parameters
        ----------
        name : str
            Name of the array.
        shape : tuple of int
            The shape that it must have; nothing is allocated for another one.
        dtype : numpy.dtype
            Floating-point type to return. The file may have a smaller one.

        Raises
        ------
        DamagedError, MisfitError
        """
        with self._opened(name) as (stream, header):
            dtypes_fit = header.dtype.kind == "f" and np.can_cast(header.dtype, dtype)
            if header.shape != shape or not dtypes_fit:
                raise MisfitError(f"{_short(name)} is {header}, but the model's is {dtype} of shape {shape}")
            array = _read(stream, header).astype(dtype, copy=False)
        if not np.isfinite(array).all():
            raise MisfitError(f"{_short(name)} has values that are not finite numbers")
        return array

    @contextlib.contextmanager
    def _opened(self, name: str) -> Iterator[tuple[IO[bytes], _Header]]:
        member = self._members.get(name)
        if member is None:
            raise MisfitError(f"{_short(name)} is missing")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise DamagedError("it is compressed in a way that minigrid does not read")
        with _damage(), self._zip.open(member) as stream:
            yield stream, _read_header(stream)


def _short(name: str) -> str:
    return name.removeprefix("params/")


def _read_header(stream: IO[bytes]) -> _Header:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # NumPy repairs headers of Python 2, which no checkpoint has
            if np.lib.format.read_magic(stream) != (1, 0):
                raise DamagedError("an array is stored in an unusual format")
            shape, in_columns, dtype = np.lib.format.read_array_header_1_0(stream)
    except (MemoryError, RecursionError) as error:  # the parser's, for a header that is nested too deeply
        raise DamagedError("the header of an array is nested") from error
    if in_columns and len(shape) > 1:
        raise DamagedError("an array is stored column by column")
    return _Header(shape, dtype)


def _read(stream: IO[bytes], header: _Header) -> np.ndarray:
    """Read the numbers that follow a header, up to the end of the member, where its checksum is compared."""
    array = np.empty(header.shape, header.dtype)
    left = memoryview(array.reshape(-1).view(np.uint8))  # type: ignore[arg-type]
    while left:
        count = stream.readinto(left[:PIECE])  # type: ignore[attr-defined]
        if not count:
            raise DamagedError("an array is cut off")
        left = left[count:]
    if stream.read(1):
        raise DamagedError("an array is longer than its header says")
    return array


@contextlib.contextmanager
def _damage() -> Iterator[None]:
    """Turn the dozen kinds of exception that zipfile and NumPy raise for damaged files into one."""
    try:
        yield
    except (DamagedError, MisfitError, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.strerror:  # the disk, not the file
            raise
        raise DamagedError(str(error)) from error
