"""Altered checkpoints."""

import gzip
import io
import json
import os
import pickle
import random
import socket
import sys
import tarfile
import warnings
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fuzzing.archives import DEFLATED, EDITS, RARE_EDITS, Member, members_of, pack
from fuzzing.origins import Origin, npy
from fuzzing.values import CONTROLS, chosen, edited
from minigrid.nn.options import CHOICES

Params = dict[str, np.ndarray]


class Altered(NamedTuple):
    """An altered checkpoint: its bytes, or a function that puts something else at a path."""

    content: bytes | Callable[[Path], None]
    params: Params  # what the model must have if the file is accepted
    may_differ: bool = False  # whether a run that is resumed from it may end with other parameters

    def write(self, path: Path) -> None:
        if callable(self.content):
            self.content(path)
        else:
            path.write_bytes(self.content)


Alteration = Callable[[random.Random, Origin], Altered]


def _of_bytes(alter: Callable[[random.Random, bytearray], bytes]) -> Alteration:
    return lambda r, origin: Altered(alter(r, bytearray(origin.content)), origin.params)


def _of_members(alter: Callable[[random.Random, list[Member]], bytes]) -> Alteration:
    return lambda r, origin: Altered(alter(r, members_of(origin.content)), origin.params)


# -- damage


def _flip_bits(r: random.Random, content: bytearray) -> bytes:
    low = r.choice([0, 0, len(content) - 1500])  # the directory at the end, where most of the damage can be done
    for _ in range(r.choice([1, 1, 2, 5, 50])):
        content[r.randrange(max(low, 0), len(content))] ^= 1 << r.randrange(8)
    return bytes(content)


def _change_bytes(r: random.Random, content: bytearray) -> bytes:
    start, length = r.randrange(len(content)), r.choice([1, 2, 4, 8, 100])
    part = r.choice([bytes(length), b"\xff" * length, r.randbytes(length), bytes(content[:length])])
    content[start : start + length] = part
    return bytes(content)


def _truncate(r: random.Random, content: bytearray) -> bytes:
    return bytes(r.choice([content[: r.randrange(len(content))], content[r.randrange(len(content)) :], content[:-1]]))


def _insert_or_remove(r: random.Random, content: bytearray) -> bytes:
    start, length = r.randrange(len(content)), r.choice([1, 2, 60, 4096])
    if r.random() < 0.5:
        del content[start : start + length]
    else:
        content[start:start] = r.choice([bytes(length), r.randbytes(length), content[:length]])
    return bytes(content)


# -- members


def _with_member(origin: Origin, name: str, content: bytes, method: int = 0) -> bytes:
    members = members_of(origin.content)
    for member in members:
        if member.name == f"{name}.npy".encode():
            member.content, member.method = content, method
    return pack(members)


def _names(origin: Origin) -> list[str]:
    return [member.name.decode().removesuffix(".npy") for member in members_of(origin.content)]


def _header(descr: str, order: str, shape: str, version: int = 1, padding: int = 0) -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}".encode() + b" " * padding + b"\n"
    most, size = (2**16 - 1, 2) if version == 1 else (2**32 - 1, 4)
    return b"\x93NUMPY" + bytes([version, 0]) + min(len(text), most).to_bytes(size, "little") + text


DESCRS = ["'<f4'", "'>f4'", "'=f4'", "'f4'", "'|f4'", "'<f8'", "'<f2'", "'<i4'", "'|u1'", "'|b1'", "'|O'", "'<c8'"]
DESCRS += ["'<U4'"]
DESCRS += ["'|V4'", "'|V2000000000'", "'<M8[s]'", "[('a', '<f4')]", "('<f4', (2,))", "'<f4,<f4'", "'<f0'", "'no'"]
DESCRS += ["4", "[]"]
DESCRS += ["{'a': 1}", "None", "'<f16'", "[('a', '<f4', (1000000000,))]", "'" + "f" * 1000 + "'", "'<f4\\x1b[2J'"]
SHAPES = ["()", "(0,)", "(1,)", "(-1,)", "(1000000000000,)", "(2, 3", "3", "None", "(True,)", "(1.0,)", "(2**62, 4)"]
SHAPES += ["'a'"]
SHAPES += ["(4611686018427387904, 4)", "(" * 5000, "[" * 150 + "]" * 150, "-" * 4000 + "1", repr((1,) * 2000)]
SHAPES += ["(10" + "0" * 400 + ",)"]
SHAPES += ["(0, 1000000000000)", "(2L, 3L)", "()()", "__import__('os')", "'" + "a" * 60_000 + "'"]


def _edit_header(r: random.Random, origin: Origin) -> Altered:
    name = r.choice(_names(origin))
    old = next(m.content for m in members_of(origin.content) if m.name == f"{name}.npy".encode())
    array = np.load(io.BytesIO(old))
    descr, shape = f"'{array.dtype.str}'", repr(array.shape)
    if r.random() < 0.7:
        descr = r.choice(DESCRS)
    if r.random() < 0.7:
        shape = r.choice([*SHAPES, repr(array.shape[::-1]), repr((1, *array.shape)), repr((array.size,))])
    version, padding = r.choice([1, 1, 1, 2, 3, 4, 0]), r.choice([0, 0, 1, 9000])
    header = _header(descr, r.choice(["False", "False", "True", "0", "None"]), shape, version, padding)
    content = header + array.tobytes()
    return Altered(_with_member(origin, name, content), _reread(origin, name, content))


def _reread(origin: Origin, name: str, content: bytes) -> Params:
    """Return the parameters with one array as NumPy reads it, where it can."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            array = np.load(io.BytesIO(content), allow_pickle=False)
    except Exception:
        return origin.params
    name = name.removeprefix("params/")
    return origin.params | {name: array} if name in origin.params else origin.params


def _huge_header(r: random.Random, origin: Origin) -> Altered:
    name = r.choice(_names(origin))
    header = _header("'<f4'", "False", "(1,)", r.choice([1, 2, 3]), r.choice([60_000, 30_000]))
    if header[6] > 1 and r.random() < 0.5:
        header = header[:8] + (2**32 - 1).to_bytes(4, "little") + header[12:]
    return Altered(_with_member(origin, name, header), origin.params)


def _not_npy(r: random.Random, origin: Origin) -> Altered:
    contents = [b"", b"x", b"\x93NUMPY", b"\x93NUMPY\x01\0", b"\x93NUMPY\x01\0\xff\xff", b"some text"]
    contents += [pickle.dumps([1])]
    contents += [pack([]), b"\x93NUMPY\x01\0\0\0", r.randbytes(100), npy(np.zeros(3))[:-1], npy(np.zeros(3)) + b"x"]
    return Altered(_with_member(origin, r.choice(_names(origin)), r.choice(contents)), origin.params)


class _Attack:
    def __reduce__(self) -> tuple:
        return os.mkdir, ("attacked",)


def _change_arrays(r: random.Random, origin: Origin) -> Altered:
    """Store another kind of array, with a right checksum."""
    name = r.choice(_names(origin))
    array = np.load(io.BytesIO(next(m.content for m in members_of(origin.content) if m.name == f"{name}.npy".encode())))
    flat = array.reshape(-1)
    dtypes = ["<f2", ">f4", "<f8", ">f8", "<i4", "|u1", "|b1", "<c8", "U3", "g", ">f2", "O", "M8[s]"]
    choices = [
        lambda: array.astype(r.choice(dtypes)),
        lambda: array.astype(r.choice(dtypes)),
        lambda: np.asfortranarray(array),
        lambda: array.T,
        lambda: array[None],
        lambda: flat[:1],
        lambda: flat[:-1],
        lambda: np.concatenate([flat, flat]),
        lambda: flat[0],
        lambda: flat,
        lambda: array.view([("a", array.dtype)]),
        lambda: np.array([_Attack()], object),
        lambda: np.zeros((0, *array.shape[1:]), array.dtype),
        lambda: np.zeros((1,) * 32, array.dtype),
    ]
    content = npy(r.choice(choices)())
    return Altered(_with_member(origin, name, content), _reread(origin, name, content))


EXTREMES = [0.0, -0.0, 1e-45, 3.4e38, -3.4e38, 1e30, 1e19, 1e4, float("nan"), float("inf"), -float("inf"), 65504.0]


def _change_numbers(r: random.Random, origin: Origin) -> Altered:
    """Write other numbers, with a right checksum: the model must have them, unless they are not finite."""
    members = members_of(origin.content)
    params = dict(origin.params)
    finite_only = r.random() < 0.6
    for member in r.sample(members, r.choice([1, 1, 2, len(members)])):
        array = np.load(io.BytesIO(member.content))
        if array.dtype.kind != "f":
            continue
        values = [x for x in EXTREMES if np.isfinite(x) or not finite_only]
        if r.random() < 0.5:
            array[...] = r.choice(values)
        else:
            array.reshape(-1)[r.randrange(array.size)] = r.choice(values)
        if r.random() < 0.3:
            with np.errstate(over="ignore"):
                array *= r.choice([-1, 1e-3, 1e3])
        member.content = npy(array)
        if member.name.startswith(b"params/"):
            params[member.name.decode().removeprefix("params/").removesuffix(".npy")] = array
    return Altered(pack(members), params, may_differ=True)


def _bomb(r: random.Random, origin: Origin) -> Altered:
    """Let a small file announce, or unpack to, hundreds of megabytes."""
    members = members_of(origin.content)
    zeros = _zeros()
    kind = r.choice(["more", "in place", "giant shape", "behind", "size"])
    target = r.choice(members)
    if kind == "more":
        name = r.choice([b"params/x.npy", b"optimizer/x.npy", b"x", b"state/x.npy"])
        members.append(Member(name, b"", DEFLATED, data=zeros))
    elif kind == "behind":
        target.method, target.data = DEFLATED, zeros
    elif kind == "in place":
        target.content, target.method = _header("'|u1'", "False", "(30000000,)") + bytes(30_000_000), DEFLATED
    elif kind == "giant shape":
        target.content, target.method = _header("'<f4'", "False", "(25000000000,)") + bytes(1000), DEFLATED
    else:
        target.method = DEFLATED
        target.central["size"] = target.local["size"] = 2**32 - 2
    return Altered(pack(members), origin.params)


def _zeros() -> bytes:
    """200 MB of zeros, deflated."""
    if not _ZEROS:
        deflater = zlib.compressobj(9, wbits=-15)
        _ZEROS.append(b"".join(deflater.compress(bytes(1_000_000)) for _ in range(200)) + deflater.flush())
    return _ZEROS[0]


_ZEROS: list[bytes] = []


# -- the description


FAVOURITES = [
    *(("run", "config", name) for name in ("steps", "batch", "digits", "data", "lr", "task", "seed", "tokens")),
    *(("run", "config", name) for name in ("split", "val_fraction", "clip", "epochs", "eval_every", "backend")),
    *(("run", "progress", name) for name in ("number", "lr", "losses", "best", "inherits", "records", "metrics")),
    *(("model", name) for name in ("hidden", "layers", "vocab_size", "dropout", "seed", "embedding", "dtype")),
    *((name,) for name in ("format", "version", "made", "run", "model", "vocabulary")),
    *((name,) for name in ("config", "step", "losses", "best", "metrics", "sha256")),
    ("run", "sha256"),
    ("metrics", 0),
    ("vocabulary", "tokens"),
    ("vocabulary", "symbols"),
    ("vocabulary", "symbols", 0),
]


def _with_description(origin: Origin, text: str, method: int = 0) -> Altered:
    content = npy(np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8))
    return Altered(_with_member(origin, "meta", content, method), origin.params, may_differ=True)


def _edit_description(r: random.Random, origin: Origin) -> Altered:
    return _with_description(origin, edited(r, origin.description, FAVOURITES))


def _whole(*values: Any) -> Callable[[random.Random], Any]:
    return lambda r: r.choice(values)


FRACTIONS = _whole(0, 0.0, 0.01, 0.3, 0.5, 0.999, 1e-300)
SETTINGS: dict[str, Callable[[random.Random], Any]] = {
    "task": _whole("text", "addition"),
    "corpus": _whole(None, "pydoc", "enwik8", "shakespeare"),
    "data": _whole(None, "text.txt", "folder", "pipe", "/dev/zero", "/dev/stdin", "a\0b", CONTROLS, "run", "\ud800"),
    "tokens": _whole(None, "chars", "bytes"),
    "split": _whole("tail", "stripes"),
    "val_fraction": FRACTIONS,
    "test_fraction": FRACTIONS,
    "digits": _whole(1, 2, 3, 18, 19, 10**6, 10**18),
    "batch": _whole(1, 2, 3, 4, 50, 1000, 10**6),
    "steps": _whole(1, 2, 5, 6, 50, 2000, 10**6),
    "epochs": _whole(1, 2, 10**12),
    "max_steps": _whole(None, 1, 13, 14, 10**12),
    "eval_every": _whole(None, 1, 2, 13, 10**12),
    "optimizer": _whole("adam", "rmsprop"),
    "lr": _whole(1e-45, 5e-324, 1e-300, 1, 100.0, 1e20, 3.4e38, 3.5e38, 1e300),
    "alpha": _whole(0, 0.5, 1 - 2**-53, 1e-300),
    "lr_decay": _whole(1, 5e-324, 0.5, 1e-10),
    "lr_decay_after": _whole(0, 1, 10**12),
    "clip": _whole(0, 1e-300, 1e-45, 3.4e38, 1e39, 1e300),
    "clip_norm": _whole(0, 1e-300, 1e-45, 3.4e38, 1e39, 1e300),
    "seed": _whole(0, 2**64 - 1, 2**63),
    "backend": _whole("cupy", "auto", "numpy"),
    "device": _whole(0, 1, 10**6),
    "tf32": _whole(True, False),
}
MODEL: dict[str, Callable[[random.Random], Any]] = {
    **{name: _whole(None, *values) for name, values in CHOICES.items()},
    "hidden": _whole(1, 3, 4, 5, 6000, 10**6),
    "layers": _whole(1, 2, 3, 1000),
    "dropout": _whole(0, 0.0, 0.5, 0.999999, 1 - 2**-53, 1e-300),
    "embedding": _whole(None, 0, 3, 4, 10**6),
    "vocab_size": _whole(1, 13, 10**6),
    "seed": _whole(0, 2**64 - 1),
}
LOSSES = _whole([], [0], [1e308] * 3, [1e308, -1e308], [3.5e38], [-1.0], [5e-324], [1] * 100_000, [1e300])
PROGRESS: dict[str, Callable[[random.Random], Any]] = {
    "number": _whole(0, 1, 12, 14, 15, 10**6, 2**53),
    "lr": _whole(0, 5e-324, 1e-45, 3.5e38, 1e300),
    "losses": LOSSES,
    "best": _whole(None, 0, -1.0, 1e308, -1e308, 5e-324),
    "inherits": _whole(True, False),
    "records": _whole(0, 1, 3, 10**6, 2**53),
    "metrics": _whole(None, [], [{"split": "val", "step": 1, "loss": 1}], [{"split": 1, "step": 1, "loss": []}], [{}]),
}
PLAUSIBLE: dict[tuple, Callable[[random.Random], Any]] = {
    **{("run", "config", name): values for name, values in (SETTINGS | MODEL).items()},
    **{("config", name): values for name, values in (SETTINGS | MODEL).items()},
    **{("model", name): values for name, values in MODEL.items()},
    **{("run", "progress", name): values for name, values in PROGRESS.items()},
    **{(name,): values for name, values in PROGRESS.items()},
    **{("step", name): PROGRESS[name] for name in ("number", "lr")},
    ("run", "sha256"): _whole(None, "", "0" * 64, CONTROLS, "x" * 10**6),
    ("sha256",): _whole(None, "", "0" * 64, CONTROLS, "x" * 10**6),
    ("version",): _whole(None, "9.9.9", CONTROLS, "1" * 10**6),
    ("format",): _whole(1, 2, 3, 10**300, "minigrid checkpoint 1"),
    ("made",): _whole(None, {}, {CONTROLS: CONTROLS}, {"minutes": 1e300}),
    ("run",): _whole(None, {}, {"config": {}, "sha256": None, "progress": None}),
    ("run", "progress"): _whole(None, {}),
    ("run", "config"): _whole({}, {"hidden": 4}, {CONTROLS: 1}, {"a" * 10**6: 1}),
    ("vocabulary", "tokens"): _whole("chars", "bytes"),
}


def _choose_description(r: random.Random, origin: Origin) -> Altered:
    return _with_description(origin, chosen(r, origin.description, PLAUSIBLE, FAVOURITES))


def _edit_vocabulary(r: random.Random, origin: Origin) -> Altered:
    """Exchange the symbols, as many as there were, often for odd ones."""
    count = len(origin.description["vocabulary"]["symbols"])
    pool = r.choice([range(32), range(0xD7F0, 0xD810), range(0x10FFF0, 0x110010), range(256), range(0x2028, 0x2068)])
    symbols = sorted(r.sample(pool, min(count, len(pool))))
    symbols += range(0x400, 0x400 + count - len(symbols))
    symbols = sorted(set(symbols))
    description = origin.description | {"vocabulary": {"tokens": r.choice(["chars", "bytes"]), "symbols": symbols}}
    if r.random() < 0.2:
        odd = [[], [10], symbols[::-1], [symbol + 0.0 for symbol in symbols], [None] * count]
        description["vocabulary"]["symbols"] = r.choice(odd)
    return _with_description(origin, json.dumps(description))


def _not_a_description(r: random.Random, origin: Origin) -> Altered:
    texts = [b"", b"{", b"[]", b"null", b"{}", b"1", b'"text"', b"[" * 100_000, b"\xff\xfe", b"\xef\xbb\xbf{}"]
    texts += [b'{"a":' * 30_000]
    texts += [b'{"format": 2}', b'{"format": true}', b'{"format": "minigrid checkpoint 1"}']
    texts += [b'{"format": 1' + b"0" * 5000 + b"}"]
    texts += [b'{"format": 3, "version": "' + b"1" * 10**6 + b'"}', b'{"format": 3, "version": "\\u001b[2J\\n"}']
    texts += [b"\0" * 100]
    texts += [b'{"format": 2.0}', b'{"format": -1}', b'{"format": 1e400}', '{"format": 2}'.encode("utf-16")]
    texts += [b"[[],{}]" * 1000]
    return Altered(_with_member(origin, "meta", npy(np.frombuffer(r.choice(texts), np.uint8))), origin.params)


def _long_description(r: random.Random, origin: Origin) -> Altered:
    """Fill a description with megabytes; they unpack from a small file."""
    size = r.choice([1_000_000, 5_000_000])
    filling = r.choice(['"' + "a" * size + '"', "[" + "[]," * (size // 3) + "[]]", "[" + "0.1," * (size // 4) + "1]"])
    name = r.choice(["version", "made", "run", "losses"])
    return _with_description(origin, f'{{"{name}": {filling}, "format": 2}}', DEFLATED)


# -- other things at the path


def _other_kinds(r: random.Random, origin: Origin) -> Altered:
    tarred = io.BytesIO()
    with tarfile.open(fileobj=tarred, mode="w") as archive:
        archive.add(__file__)
    contents = [b"", b"\n", b"text", b"PK", b"PK\x03\x04", b"PK\x05\x06" + bytes(18), gzip.compress(origin.content)]
    contents += [Path(sys.executable).read_bytes()[:100_000], pickle.dumps({"a": 1}), npy(np.zeros(9)), npy(_Attack())]
    contents += [tarred.getvalue(), b"\x89PNG\r\n\x1a\n" + bytes(100), b"\x1f\x8b", bytes(10_000), origin.content * 2]
    contents += [b'{"format": 2}', r.randbytes(r.choice([4, 22, 5000])), b"\x93NUMPY", b"<html>", b"%PDF-1.7"]
    return Altered(r.choice(contents), origin.params)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        before = os.getcwd()
        os.chdir(path.parent)  # the name of a socket must be short
        try:
            listener.bind(path.name)
        finally:
            os.chdir(before)


def _looped(path: Path) -> None:
    path.symlink_to(path.name)


LINKS = ["/dev/zero", "/dev/null", "/dev/full", "/dev/stdin", "/proc/self/mem", "/proc/self/maps", "missing", "."]


def _link(path: Path, to: str) -> None:
    path.symlink_to(to)


def _in_folder(origin: Origin) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.mkdir()
        (path / "last.npz").write_bytes(origin.content)
        os.mkfifo(path / "best.npz")

    return make


def _elsewhere(origin: Origin) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        (path.parent / "the file itself").write_bytes(origin.content)
        path.symlink_to("the file itself")

    return make


def _other_things(r: random.Random, origin: Origin) -> Altered:
    """Put a pipe, a device, a folder, a link or a socket there."""
    things: list[Callable[[Path], None]] = [os.mkfifo, Path.mkdir, _socket, _looped]
    things += [_in_folder(origin), _elsewhere(origin), *(partial(_link, to=to) for to in LINKS)]
    return Altered(r.choice(things), origin.params)


ALTERATIONS: dict[str, Alteration] = {
    "bits flipped": _of_bytes(_flip_bits),
    "bytes changed": _of_bytes(_change_bytes),
    "cut off": _of_bytes(_truncate),
    "bytes inserted or removed": _of_bytes(_insert_or_remove),
    **{name: _of_members(edit) for name, edit in EDITS.items()},
    "header of an array": _edit_header,
    "huge header": _huge_header,
    "not .npy": _not_npy,
    "other arrays": _change_arrays,
    "other numbers": _change_numbers,
    "wild description": _edit_description,
    "plausible description": _choose_description,
    "other vocabulary": _edit_vocabulary,
    "no description": _not_a_description,
    "other kind of file": _other_kinds,
    "no file": _other_things,
}
SLOW_ALTERATIONS: dict[str, Alteration] = {
    **{name: _of_members(edit) for name, edit in RARE_EDITS.items()},
    "bomb": _bomb,
    "long description": _long_description,
}
"""These take about a second each."""
WEIGHTS = {"wild description": 6, "plausible description": 6, "bits flipped": 3, "wrong number in a header": 3}
"""How often a kind is tried; the others once."""


def alter(kind: str, origin: Origin, r: random.Random) -> Altered:
    return (ALTERATIONS | SLOW_ALTERATIONS)[kind](r, origin)
