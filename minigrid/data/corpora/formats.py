"""Recognise a file that is no text in UTF-8 by its bytes, and say how to make one of it."""

import codecs
import itertools
import re
import shlex
from collections import Counter
from pathlib import Path

from minigrid.errors import UserError
from minigrid.files import open_plain

HEAD = 1 << 16
"""Bytes at the beginning of a file that tell its format."""

_AS_BYTES = "or train a model of bytes on it (`tokens` bytes)"
_UNPACK = "unpack it first"
_SAVE = "save its text as a plain text file first"

# By the first bytes, for an ending may lie. {file} and {text} are names; < and > work whatever their endings are.
_FORMATS = tuple(
    (re.compile(magic, re.DOTALL), what, advice)
    for magic, what, advice in (
        (rb"\x1f[\x8b\x9d]", "gzip-compressed", f"{_UNPACK} (`gunzip < {{file}} > {{text}}`)"),
        (rb"BZh[1-9](1AY&SY|\x17rE8P\x90)", "bzip2-compressed", f"{_UNPACK} (`bunzip2 < {{file}} > {{text}}`)"),
        (rb"\xfd7zXZ\x00", "xz-compressed", f"{_UNPACK} (`xz -d < {{file}} > {{text}}`)"),
        (rb"\x28\xb5\x2f\xfd", "zstd-compressed", f"{_UNPACK} (`zstd -d < {{file}} > {{text}}`)"),
        (rb"\x04\x22\x4d\x18", "lz4-compressed", f"{_UNPACK} (`lz4 -d < {{file}} > {{text}}`)"),
        (rb"7z\xbc\xaf\x27\x1c", "a 7z archive", f"{_UNPACK} (`7z x {{file}}`)"),
        (rb"Rar!\x1a\x07", "a rar archive", f"{_UNPACK} (`unrar x {{file}}`)"),
        (rb".{257}ustar(\x00|  \x00)", "a tar archive", f"{_UNPACK} (`tar -xf {{file}}`)"),
        (rb"(\xef\xbb\xbf)?\s*%PDF-", "a PDF", "save its text first (`pdftotext {file} {text}`)"),
        (rb"PK\x03\x04.{26}mimetypeapplication/epub", "an e-book (EPUB)", _SAVE),
        (rb"PK\x03\x04.{26}mimetypeapplication/vnd\.oasis", "an office document", _SAVE),
        (rb"PK\x03\x04.{26}(\[Content_Types\]|_rels/|docProps/|word/)", "an office document", _SAVE),
        (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an office document", _SAVE),
        (
            rb"PK\x03\x04.{26}[\w./-]+\.npy|\x93NUMPY",
            "a file of NumPy arrays, such as a checkpoint",
            "name a text file",
        ),
        (rb"PK(\x03\x04|\x05\x06)", "a zip archive", f"{_UNPACK} (`unzip {{file}}`)"),
    )
)


def read_head(path: Path, offset: int = 0) -> bytes:
    """Read the first `HEAD` bytes of a file, or of what follows a place in it."""
    with open_plain(path) as stream:
        stream.seek(offset)
        return stream.read(HEAD)


def other_format(path: Path, head: bytes) -> tuple[str, str] | None:
    """Return the format of a file that holds no text, and what to do about it; None if it may hold one.

    Parameters
    ----------
    path : Path
        The file; only its name is read.
    head : bytes
        Its first `HEAD` bytes.
    """
    for magic, what, advice in _FORMATS:
        if magic.match(head):
            packed = path.suffix.lower() in (".gz", ".z", ".bz2", ".xz", ".zst", ".lz4")
            text = path.with_suffix("") if packed else path.with_name(f"{path.name}.txt")
            return what, advice.format(file=quoted(path), text=quoted(unused(text)))
    return None


def wide_encoding(head: bytes) -> str | None:
    """Return "utf-16", "utf-32" or one of them with "le" or "be", as iconv names them; None for other encodings.

    Without a byte-order mark, UTF-16 is recognised by its high bytes, at the odd places (little endian) or at the even
    ones: those of letters have one value per script, and those of spaces and line ends are zero.

    Parameters
    ----------
    head : bytes
        The first `HEAD` bytes of a file.
    """
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if 0 not in head or not any(head):
        return None
    for encoding in ("utf-32le", "utf-32be"):
        if _decoded(head[: len(head) // 4 * 4], encoding):
            return encoding
    for encoding, high, low in (("utf-16be", head[::2], head[1::2]), ("utf-16le", head[1::2], head[::2])):
        zeros = high.count(0)
        if zeros >= max(2, 0.02 * len(high)) and low.count(0) * 20 <= zeros:
            counts = Counter(high.replace(b"\0", b"").replace(b"\x20", b""))  # 0x20: dashes and curly quotes
            others = sum(counts.values()) - max(counts.values(), default=0)
            if others < 0.1 * len(high):
                return encoding
    return None


def not_utf8(path: Path, offset: int, *, after_utf8: bool) -> UserError:
    """Return the error for a text that is not UTF-8, with advice that fits its bytes.

    Parameters
    ----------
    path : Path
        The text.
    offset : int
        Place of the first byte that is not UTF-8.
    after_utf8 : bool
        Whether the text has UTF-8 characters beyond ASCII before this byte.
    """
    head, rest = read_head(path), read_head(path, offset)
    where = f"{path} is not UTF-8 at byte {offset} (line {_line_of(path, offset)})"
    if encoding := wide_encoding(head) or _wide_by_trying(head):
        return UserError(f"{where}: it looks like {encoding[:6].upper()}, so {convert(path, encoding)}, {_AS_BYTES}.")
    if 0 in head or 0 in rest:
        return UserError(f"{where} and has zero bytes, so it is hardly a text: name a text file, {_AS_BYTES}.")
    damaged = rest.decode("utf-8", "replace").count("\ufffd")
    whole = sum(char > "\x7f" for char in rest.decode("utf-8", "ignore"))
    if whole > damaged or (after_utf8 and damaged < 4):
        command = f"iconv -c -f utf-8 -t utf-8 {quoted(path)} > {quoted(unused(_converted(path)))}"
        return UserError(f"{where}, though it is elsewhere: leave out its damaged bytes (`{command}`), {_AS_BYTES}.")
    if after_utf8:
        return UserError(
            f"{where}, though it is before that: it seems to join texts in several encodings, so convert each of them "
            f"to UTF-8 before you join them, {_AS_BYTES}."
        )
    visible = (head + rest).translate(None, b" \t\r\n")
    if _decoded(rest, "cp1252") and sum(byte > 0x7F for byte in visible) < 0.3 * len(visible):
        return UserError(f"{where}: it looks like Latin-1 or cp1252, so {convert(path, 'cp1252')}, {_AS_BYTES}.")
    return UserError(
        f"{where}: {convert(path, 'ENCODING')}, {_AS_BYTES}; ENCODING may be cp1251 or koi8-r for Russian, gb18030 for "
        "Chinese, shift_jis for Japanese or euc-kr for Korean."
    )


def refuse_other_formats(path: Path) -> None:
    """Make sure that a file may be a text in UTF-8, as far as its first bytes tell.

    Raises
    ------
    UserError
        It is compressed, an archive or a document, or it is UTF-16 or UTF-32.
    """
    head = read_head(path)
    if found := other_format(path, head):
        raise UserError(f"{path} is {found[0]}: {found[1]}.")
    if encoding := wide_encoding(head):
        raise not_utf8(path, head.index(0) if encoding[6:] else 0, after_utf8=False)


def convert(path: Path, encoding: str) -> str:
    """Return the advice to convert a text from an encoding to UTF-8."""
    target = quoted(unused(_converted(path)))
    return f"convert it first (`iconv -f {encoding} -t utf-8 {quoted(path)} > {target}`)"


def quoted(path: Path) -> str:
    """Return a path as a shell reads it."""
    return shlex.quote(f"./{path}" if str(path).startswith("-") else str(path))


def unused(path: Path) -> Path:
    """Return a path that no file has, similar to this one: the command that is advised must overwrite nothing."""
    numbered = (path.with_name(f"{path.stem}-{number}{path.suffix}") for number in itertools.count(2))
    return next(name for name in itertools.chain([path], numbered) if not name.exists())


def _converted(path: Path) -> Path:
    return path.with_name(f"{path.name}.utf8")


def _wide_by_trying(head: bytes) -> str | None:
    """Return the kind of UTF-16 as which a head that is not UTF-8 has line ends, but no U+0000; None if neither has."""
    for encoding in ("utf-16le", "utf-16be"):
        text = _decoded(head[: len(head) // 2 * 2], encoding)
        if "\n" in text and "\0" not in text:
            return encoding
    return None


def _decoded(data: bytes, encoding: str) -> str:
    """Decode data; return "" if it is not in this encoding."""
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return ""


def _line_of(path: Path, offset: int) -> int:
    line = 1
    with open_plain(path) as stream:
        while piece := stream.read(min(offset, HEAD)):
            line += piece.count(b"\n")
            offset -= len(piece)
    return line
