"""Zip archives that can lie: about names, sizes, checksums, compression and order."""

import io
import random
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cache

STORED, DEFLATED = 0, 8
SIZES = ("stored", "size")
WILD = (0, 1, 12, 2**16 - 1, 2**31, 2**32 - 2, 2**32 - 1)


@dataclass
class Member:
    """One file in an archive; `local` and `central` replace fields of its two headers."""

    name: bytes
    content: bytes
    method: int = STORED
    local: dict[str, int] = field(default_factory=dict)
    central: dict[str, int] = field(default_factory=dict)
    local_name: bytes | None = None
    extra: bytes = b""
    data: bytes | None = None  # what stands there instead of the content as `method` compresses it


def members_of(archive: bytes) -> list[Member]:
    with zipfile.ZipFile(io.BytesIO(archive)) as file:
        return [Member(info.filename.encode(), file.read(info)) for info in file.infolist()]


def pack(
    members: Iterable[Member], comment: bytes = b"", before: bytes = b"", end: dict[str, int] | None = None
) -> bytes:
    """Write an archive; `before` comes before its first byte, `end` replaces fields of its last record."""
    out, directory, count = bytearray(before), bytearray(), 0
    for member in members:
        data = member.data if member.data is not None else _compressed(member)
        true = {
            "version": 20,
            "flags": 0,
            "method": member.method,
            "time": 0,
            "date": 33,
            "checksum": zlib.crc32(member.content),
            "stored": len(data),
            "size": len(member.content),
            "name": len(member.name),
            "extra": len(member.extra),
        }
        offset = len(out)
        name = member.name if member.local_name is None else member.local_name
        local = (true | {"name": len(name)} | member.local).values()
        out += struct.pack("<I5H3I2H", 0x04034B50, *local) + name + member.extra + data
        rest = {"comment": 0, "disk": 0, "internal": 0, "external": 0, "offset": offset}
        central = (true | rest | member.central).values()
        directory += struct.pack("<I6H3I5H2I", 0x02014B50, 20, *central) + member.name + member.extra
        count += 1
    last = {"disk": 0, "first": 0, "here": count & 0xFFFF, "count": count & 0xFFFF}
    last |= {"size": len(directory), "offset": len(out), "comment": len(comment)}
    return bytes(out + directory + struct.pack("<I4H2IH", 0x06054B50, *(last | (end or {})).values()) + comment)


def _compressed(member: Member) -> bytes:
    if member.method != DEFLATED:
        return member.content
    deflater = zlib.compressobj(wbits=-15)
    return deflater.compress(member.content) + deflater.flush()


# -- alterations, each of the members of a right archive


def _duplicate(r: random.Random, members: list[Member]) -> bytes:
    twin = replace(r.choice(members))
    twin.content = r.choice([twin.content, bytes(len(twin.content)), b""])
    twin.name = r.choice([twin.name, twin.name.removesuffix(b".npy")])
    members.insert(r.randrange(len(members) + 1), twin)
    return pack(members)


def _rename(r: random.Random, members: list[Member]) -> bytes:
    member = r.choice(members)
    names = [b"", b"x.npy", b"/" + member.name, b"../" + member.name, member.name.upper(), member.name + b"\0tail"]
    names += [b"\xff\xfe.npy", b"params/" + b"a" * 60_000 + b".npy", b"params/\x1b[2J\n\x07.npy", b"x/\xe2\x80\xae.npy"]
    member.name = r.choice([*names, r.choice(members).name, b"params/.npy", member.name + b".npy"])
    member.central["flags"] = member.local["flags"] = r.choice([0, 0x800])
    return pack(members)


def _remove(r: random.Random, members: list[Member]) -> bytes:
    for _ in range(r.choice([1, 1, 2, len(members)])):
        members.pop(r.randrange(len(members)))
    return pack(members)


def _reorder(r: random.Random, members: list[Member]) -> bytes:
    r.shuffle(members)
    return pack(members)


def _swap_names(r: random.Random, members: list[Member]) -> bytes:
    one, two = r.sample(members, 2)
    one.local_name, two.local_name = two.name, one.name
    return pack(members)


def _lie(r: random.Random, members: list[Member]) -> bytes:
    """Write a wrong number into a header, or several of them."""
    for _ in range(r.choice([1, 1, 1, 2, 4])):
        member = r.choice(members)
        fields = r.choice([("local",), ("central",), ("local", "central")])
        name = r.choice(["checksum", *SIZES, *SIZES, "flags", "method", "version", "name", "extra", "offset", "disk"])
        short = name in ("flags", "method", "version", "name", "extra", "disk")
        value = r.choice([*WILD, len(member.content) + r.choice([-1, 1]), r.getrandbits(32)])
        value = r.getrandbits(r.choice([4, 16])) if name in ("flags", "method") else value
        for place in fields:
            if name in ("offset", "disk") and place == "local":
                continue
            getattr(member, place)[name] = value & (0xFFFF if short else 0xFFFFFFFF)
    return pack(members)


def _lie_at_the_end(r: random.Random, members: list[Member]) -> bytes:
    name = r.choice(["disk", "first", "here", "count", "size", "offset", "comment"])
    value = r.choice([*WILD, r.getrandbits(16)]) & (0xFFFFFFFF if name in ("size", "offset") else 0xFFFF)
    return pack(members, end={name: value})


def _overlap(r: random.Random, members: list[Member]) -> bytes:
    """Let several members read the same bytes."""
    whole = pack(members)
    starts = [place for place in range(len(whole)) if whole.startswith(b"PK\x03\x04", place)]
    for member in members:
        if r.random() < 0.5:
            member.central["offset"] = r.choice([r.choice(starts), r.randrange(len(whole))])
    return pack(members)


def _compress(r: random.Random, members: list[Member]) -> bytes:
    if r.random() < 0.5:
        for member in members:
            member.method = r.choice([STORED, DEFLATED])
        return pack(members)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", r.choice([zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])) as archive:
        for member in members:
            archive.writestr(member.name.decode(), member.content)
    return file.getvalue()


def _break_deflated(r: random.Random, members: list[Member]) -> bytes:
    for member in members:
        member.method = DEFLATED
        if r.random() < 0.3:
            data = bytearray(_compressed(member))
            for _ in range(r.choice([1, 3])):
                data[r.randrange(len(data))] ^= 1 << r.randrange(8)
            member.data = bytes(data[: r.choice([len(data), len(data) // 2])])
    return pack(members)


def _zip64(r: random.Random, members: list[Member]) -> bytes:
    member = r.choice(members)
    numbers = [r.choice([*WILD, len(member.content), 2**63, 2**64 - 1]) for _ in range(r.choice([0, 1, 2, 3]))]
    body = struct.pack(f"<{len(numbers)}Q", *numbers)[: r.choice([None, None, 4])]
    member.extra = struct.pack("<2H", 1, r.choice([len(body), 0, 2**16 - 1])) + body
    for place in r.choice([("central",), ("central", "local")]):
        getattr(member, place).update(dict.fromkeys(SIZES, 2**32 - 1))
    if r.random() < 0.3:
        member.central["offset"] = 2**32 - 1
    return pack(members)


def _zip64_end(r: random.Random, members: list[Member]) -> bytes:
    whole = pack(members, end={"count": 2**16 - 1, "offset": 2**32 - 1})
    place = whole.rindex(b"PK\x05\x06")
    wild = [r.choice([*WILD, len(members), place, 2**63]) for _ in range(4)]
    record = struct.pack("<IQ2H2I4Q", 0x06064B50, 44, 45, 45, 0, 0, *wild)
    locator = struct.pack("<IIQI", 0x07064B50, 0, r.choice([place, 0, 2**63]), r.choice([1, 0, 2]))
    return whole[:place] + record + locator + whole[place:]


def _surround(r: random.Random, members: list[Member]) -> bytes:
    """Put bytes before and after the archive, or a comment into it."""
    comment = r.choice([b"", b"note", b"PK\x05\x06" + bytes(18), b"\0" * 65_535])
    before = r.choice([b"", b"#!/bin/sh\n", b"PK\x03\x04", bytes(1000)])
    after = r.choice([b"", b"\n", b"PK\x05\x06", bytes(70_000), pack([])])
    return pack(members, comment=comment, before=before if r.random() < 0.5 else b"") + after


def _more_members(r: random.Random, members: list[Member]) -> bytes:
    names = [b"optimizer/", b"state/", b"params/", b"optimizer/more.npy", b"state/", b"folder/", b"__MACOSX/._x"]
    for k in range(r.choice([1, 2, 30])):
        content = r.choice([b"", b"text", members[0].content, members[-1].content])
        members.insert(r.randrange(len(members) + 1), Member(r.choice(names) + b"%d" % k, content))
    return pack(members)


def _nested(r: random.Random, members: list[Member]) -> bytes:
    inner = pack(members)
    return pack([Member(r.choice([b"last.npz", b"meta.npy", b"run/last.npz"]), inner)])


@cache
def _crowd(prefix: bytes) -> bytes:
    return pack(Member(b"%s%d.npy" % (prefix, k), b"") for k in range(100_000))


def _very_many_members(r: random.Random, members: list[Member]) -> bytes:
    return _crowd(r.choice([b"optimizer/", b"params/"]))


def _folders(r: random.Random, members: list[Member]) -> bytes:
    for member in members:
        if r.random() < 0.3:
            member.central["external"] = r.choice([0x10, 0xA1FF0000, 0x41ED0010])  # a folder, a symbolic link
    return pack(members)


EDITS: dict[str, Callable[[random.Random, list[Member]], bytes]] = {
    "two members of one name": _duplicate,
    "member renamed": _rename,
    "members removed": _remove,
    "members reordered": _reorder,
    "local names swapped": _swap_names,
    "wrong number in a header": _lie,
    "wrong number at the end": _lie_at_the_end,
    "members overlap": _overlap,
    "compressed": _compress,
    "deflated and damaged": _break_deflated,
    "zip64 fields": _zip64,
    "zip64 end": _zip64_end,
    "bytes around it": _surround,
    "more members": _more_members,
    "nested archive": _nested,
    "folders and links inside": _folders,
}
RARE_EDITS = {"100,000 members": _very_many_members}
"""These take long."""
