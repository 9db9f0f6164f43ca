import io
import tracemalloc
import warnings
import zipfile

import numpy as np
import pytest

from minigrid.runs.archive import MOST_BYTES, Archive, DamagedError, MisfitError

NUMBERS = np.arange(6, dtype=np.float32).reshape(2, 3)


def archive(**members):
    """An archive of arrays, or of bytes as they are."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in members.items():
            zipped.writestr(f"{name}.npy", content if isinstance(content, bytes) else npy(content))
    return Archive(file)


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def header(descr="<f4", shape="(2, 3)", order="False", after=b"", version=1):
    """An array whose header says anything."""
    text = f"{{'descr': {descr!r}, 'fortran_order': {order}, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY" + bytes([version, 0]) + len(text).to_bytes(2, "little") + text + after


def read(content, shape=(2, 3)):
    return archive(x=content).numbers("x", shape, np.dtype(np.float32))


def test_arrays_are_read():
    opened = archive(x=NUMBERS, half=NUMBERS.astype(np.float16), text=np.frombuffer(b"abc", np.uint8))
    assert opened.names == ("x", "half", "text")
    for name in ("x", "half"):
        found = opened.numbers(name, (2, 3), np.dtype(np.float32))
        assert found.dtype == np.float32
        assert (found == NUMBERS).all()
    assert opened.text("text") == b"abc"
    assert read(np.float32(3), shape=()) == 3
    assert read(np.zeros((0, 3), np.float32), shape=(0, 3)).shape == (0, 3)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (NUMBERS.reshape(3, 2), "x is float32 of shape (3, 2), but the model's is float32 of shape (2, 3)"),
        (NUMBERS.astype(np.float64), "x is float64 of shape"),
        (NUMBERS.astype(np.longdouble), "x is "),
        (NUMBERS.astype(np.complex64), "x is complex64 of shape"),
        (NUMBERS > 3, "x is bool of shape"),
        (NUMBERS.astype("U1"), "x is str32 of shape"),
        (NUMBERS.astype("M8[s]"), "x is datetime64[s] of shape"),
        (np.where(NUMBERS > 4, np.nan, NUMBERS), "x has values that are not finite numbers"),
        (header(shape="(1000000000000,)"), "x is float32 of shape (1000000000000,)"),
        (header(shape="(1,) * 3"), None),
        (header(shape=repr((1,) * 2000)), "x is float32 of shape (...)"),
        (header(descr="|O"), "x is object of shape"),
        (header(descr="|V2000000000"), "x is void"),
    ],
)
def test_an_array_that_is_not_the_one_expected(content, words):
    with pytest.raises(DamagedError if words is None else MisfitError) as problem:
        read(content)
    if words is not None:
        assert words in str(problem.value)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"some text",
        npy(NUMBERS)[:-1],
        npy(NUMBERS) + b"0",
        npy(np.asfortranarray(NUMBERS)),
        header(after=b"0" * 24, version=9),
        header(shape="(2, 3", after=b"0" * 24),
        header(shape="(2L, 3L)", after=b"0" * 24),  # as Python 2 wrote it
        header(shape="(" * 5000 + ")" * 5000),
        header(shape="[" * 150 + "]" * 150),
        header(shape="-" * 4000 + "1"),
        header(shape="'" + "a" * 60_000 + "'"),
        header(shape="(-2, -3)"),
        header(descr="<f0"),
        header(descr="no such type"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_a_damaged_array(content):
    with pytest.raises((DamagedError, MisfitError)):
        read(content)


def test_what_is_missing_or_there_twice():
    with pytest.raises(MisfitError, match=r"^x is missing$"):
        archive().numbers("x", (1,), np.dtype(np.float32))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as zipped, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for value in (1, 2):
            zipped.writestr("x.npy", npy(np.full((2, 3), value, np.float32)))
    with pytest.raises(DamagedError, match="same name"):
        Archive(file)


def test_bytes_that_are_not_bytes():
    for wrong in (NUMBERS, np.zeros((2, 2), np.uint8), np.array("text")):
        with pytest.raises(MisfitError, match="text is "):
            archive(text=wrong).text("text")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions_are_not_unpacked(method):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as zipped:
        zipped.writestr("x.npy", npy(NUMBERS))
    with pytest.raises(DamagedError, match="compressed in a way"):
        Archive(file).numbers("x", (2, 3), np.dtype(np.float32))


def test_no_file_makes_the_reader_allocate_more_than_it_expects():
    zeros = npy(np.zeros(100_000_000, np.uint8))
    bomb = archive(x=zeros, text=header("|u1", f"({MOST_BYTES + 1},)"), behind=npy(NUMBERS) + bytes(100_000_000))
    del zeros
    tracemalloc.start()
    for name in ("x", "behind"):
        with pytest.raises((DamagedError, MisfitError)):
            bomb.numbers(name, (2, 3), np.dtype(np.float32))
    with pytest.raises(MisfitError):
        bomb.text("text")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10_000_000
