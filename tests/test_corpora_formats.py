import bz2
import gzip
import io
import lzma
import shutil
import subprocess
import tarfile
import warnings
import zipfile

import numpy as np
import pytest
from corpora_fixtures import error, own_data_folder

from minigrid.data.corpora import describe_oddities, load_file, reading
from minigrid.data.corpora.formats import wide_encoding

GERMAN = "Die Straße führt über den Fluß. Der Rest dieser Zeile enthält nichts Besonderes.\n" * 20
RUSSIAN = "Привет, мир! Как дела?\n" * 50
CHINESE = "这是一个中文文本。\n" * 50
BYTES = "or train a model of bytes on it (`tokens` bytes)"

pytestmark = pytest.mark.usefixtures("empty_folder")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    return own_data_folder(tmp_path, monkeypatch)


def zipped(name, text="text"):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(name, text)
    return packed.getvalue()


def tarred():
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("text.txt"))
    return packed.getvalue()


def arrays():
    packed = io.BytesIO()
    np.savez(packed, a=np.arange(3))
    return packed.getvalue()


OTHER_FORMATS = {
    "gzip": ("a.txt.gz", gzip.compress(b"abc"), "gzip-compressed: unpack it first (`gunzip < a.txt.gz > a.txt`)"),
    "gzip, hidden": ("a.txt", gzip.compress(b"abc"), "gzip-compressed: unpack it first (`gunzip < a.txt > a.txt.txt`)"),
    "bzip2": ("a b.bz2", bz2.compress(b"abc"), "bzip2-compressed: unpack it first (`bunzip2 < 'a b.bz2' > 'a b'`)"),
    "xz": ("a.xz", lzma.compress(b"abc"), "xz-compressed: unpack it first (`xz -d < a.xz > a`)"),
    "zstd": ("a.zst", b"\x28\xb5\x2f\xfd\x04", "zstd-compressed: unpack it first (`zstd -d < a.zst > a`)"),
    "zip": ("a.zip", zipped("a.txt"), "a zip archive: unpack it first (`unzip a.zip`)"),
    "7z": ("-a.7z", b"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it first (`7z x ./-a.7z`)"),
    "rar": ("a.rar", b"Rar!\x1a\x07\x01", "a rar archive: unpack it first (`unrar x a.rar`)"),
    "tar": ("a.tar", tarred(), "a tar archive: unpack it first (`tar -xf a.tar`)"),
    "pdf": ("a.pdf", b"%PDF-1.7\n", "a PDF: save its text first (`pdftotext a.pdf a.pdf.txt`)"),
    "docx": ("a.docx", zipped("[Content_Types].xml"), "an office document: save its text as a plain text file first"),
    "odt": (
        "a.odt",
        zipped("mimetype", "application/vnd.oasis.opendocument.text"),
        "an office document: save its text as a plain text file first",
    ),
    "doc": ("a.doc", bytes.fromhex("d0cf11e0a1b11ae1"), "an office document: save its text as a plain text file first"),
    "epub": ("a.epub", zipped("mimetype", "application/epub+zip"), "an e-book (EPUB): save its text"),
    "npz": ("a.npz", arrays(), "a file of NumPy arrays, such as a checkpoint: name a text file"),
}


@pytest.mark.parametrize(("name", "data", "said"), OTHER_FORMATS.values(), ids=OTHER_FORMATS)
def test_other_formats_are_recognised_by_their_bytes(tmp_path, name, data, said):
    (tmp_path / name).write_bytes(data)
    assert f"{name} is {said}" in error(load_file, name)
    (note,) = describe_oddities(load_file(name, "bytes"))
    assert f"{name} is {said.split(':')[0]}, which the model will learn byte by byte: " in note


@pytest.mark.parametrize("text", ["PK are my initials", "%PDF", "BZh9", "ustar" * 99, "7z", "Rar!", "GIF89a"])
def test_texts_are_no_other_format(tmp_path, text):
    (tmp_path / "a.zip").write_text(text)
    assert len(load_file("a.zip").ids) == len(text)


@pytest.mark.parametrize(
    ("data", "where", "said"),
    [
        (
            GERMAN.encode("cp1252"),
            "byte 8 (line 1)",
            "Latin-1 or cp1252, so convert it first (`iconv -f cp1252 -t utf-8",
        ),
        (b"abc\n" * 30_000 + b"caf\xe9", "byte 120003 (line 30001)", "iconv -f cp1252"),
        (RUSSIAN.encode("koi8-r"), "byte 0 (line 1)", "iconv -f ENCODING"),
        (CHINESE.encode("gb18030"), "byte 0 (line 1)", "gb18030 for Chinese"),
        (
            GERMAN.encode("utf-16"),
            "byte 0 (line 1)",
            "looks like UTF-16, so convert it first (`iconv -f utf-16 -t utf-8",
        ),
        (GERMAN.encode("utf-16-le"), "byte 1 (line 1)", "`iconv -f utf-16le -t utf-8"),
        (GERMAN.encode("utf-16-be"), "byte 0 (line 1)", "`iconv -f utf-16be -t utf-8"),
        (RUSSIAN.encode("utf-16-le"), "byte 13 (line 1)", "`iconv -f utf-16le -t utf-8"),
        (CHINESE.encode("utf-16-le"), "(line 1)", "`iconv -f utf-16le -t utf-8"),
        (CHINESE.encode("utf-16-be"), "(line 1)", "`iconv -f utf-16be -t utf-8"),
        ("hi\n".encode("utf-16-le"), "byte 1 (line 1)", "`iconv -f utf-16le -t utf-8"),
        (
            GERMAN.encode("utf-32"),
            "byte 0 (line 1)",
            "looks like UTF-32, so convert it first (`iconv -f utf-32 -t utf-8",
        ),
        (GERMAN.encode("utf-32-be"), "byte 0 (line 1)", "`iconv -f utf-32be -t utf-8"),
        (GERMAN.encode()[:-3] + b"\xff.\n", "byte 1717 (line 20)", "leave out its damaged bytes (`iconv -c -f utf-8"),
        (b"\xff" + GERMAN.encode(), "byte 0 (line 1)", "leave out its damaged bytes (`iconv -c -f utf-8"),
        (GERMAN.encode() + GERMAN.encode("cp1252"), "(line 21)", "it seems to join texts in several encodings"),
        (bytes(range(256)) * 9, "byte 128 (line 2)", "has zero bytes, so it is hardly a text: name a text file"),
    ],
)
@pytest.mark.parametrize("piece", [1, 100, reading.PIECE])
def test_what_is_not_utf8_is_located_and_can_be_converted(tmp_path, monkeypatch, data, where, said, piece):
    monkeypatch.setattr(reading, "PIECE", piece)
    (tmp_path / "my text").write_bytes(data)
    message = error(load_file, "my text")
    assert message.startswith("my text is not UTF-8 at byte ")
    assert where in message
    assert said in message
    assert BYTES in message
    assert len(load_file("my text", "bytes").ids) == len(data)


@pytest.mark.skipif(not shutil.which("iconv"), reason="no iconv")
@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"])
def test_the_advice_to_convert_works(tmp_path, encoding):
    (tmp_path / "my text").write_bytes(GERMAN.encode(encoding))
    (tmp_path / "my text.utf8").write_text("mine")
    command = error(load_file, "my text").split("`")[1]
    subprocess.run(command, shell=True, check=True)
    corpus = load_file("my text-2.utf8")
    assert corpus.vocabulary.decode(corpus.ids) == GERMAN
    assert (tmp_path / "my text.utf8").read_text() == "mine"


def test_wide_texts_in_bytes_are_noted(tmp_path):
    (tmp_path / "wide").write_bytes(GERMAN.encode("utf-16-le"))
    (note,) = describe_oddities(load_file("wide", "bytes"))
    assert (
        "wide looks like UTF-16, which the model will learn byte by byte: convert it first (`iconv -f utf-16le" in note
    )


@pytest.mark.parametrize(
    "data", [b"", b"abc", b"\0" * 100, b"ab\0cde" * 99, GERMAN.encode() + b"\0" + b"a\0" * 30, b"a\0"]
)
def test_a_few_zeros_are_no_utf16(tmp_path, data):
    assert wide_encoding(data) is None
    if data:
        (tmp_path / "zeros").write_bytes(data)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert len(load_file("zeros").ids) == len(data.decode())
