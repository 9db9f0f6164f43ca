"""Commands that are given altered files, and command lines that make no sense."""

import argparse
import gzip
import os
import random
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from fuzzing.checkpoints import ALTERATIONS, WEIGHTS, Altered, alter
from fuzzing.origins import STEPS, TEXT_FILE, Origin, lay_out
from fuzzing.values import CONTROLS, NUMBERS, RAW, STRINGS, edited, wild
from minigrid.cli.commands import COMMANDS
from minigrid.cli.parser import Parser

LAST = "run/last.npz"


class Command(NamedTuple):
    """A command in its folder, and what it may do."""

    what: str  # a row of the summary
    arguments: list[str]
    origin: Origin
    may_run_on: bool = False
    may_fail: bool = False
    ends_as_usual: bool = False  # a resumed run that succeeds must end with the parameters of the one that was stopped


# -- altered checkpoints

RESUME = ["train", "--resume", "--run", "run"]
USUAL_RESUME = [*RESUME, f"--max-steps={STEPS + 2}"]
READERS: dict[str, Callable[[random.Random, str], list[str]]] = {
    "sample": lambda r, path: ["sample", path, "--length=30", *r.choice([[], ["--argmax"], ["--temperature=1e-9"]])],
    "eval": lambda r, path: ["eval", path, *r.choice([[], ["--part=train"], ["--part=test"]])],
    "eval --data": lambda r, path: ["eval", path, "--data=text.txt", *r.choice([[], ["--oov=skip"]])],
    "inspect": lambda r, path: ["inspect", path, "--out=page.html", *r.choice([[], ["--text=a b"], ["--text=12+3="]])],
    "list": lambda r, path: ["list"],
    "init-from": lambda r, path: [
        *["train", "--init-from", path, "--run=new", "--max-steps=2"],
        *r.choice([[], ["--data=text.txt", "--batch=3", "--steps=5"], ["--task=addition", "--digits=1"]]),
    ],
}


def _kind(r: random.Random) -> str:
    return r.choice([kind for kind in ALTERATIONS for _ in range(WEIGHTS.get(kind, 1))])


def _altered(r: random.Random, origin: Origin, folder: Path, kind: str) -> Altered:
    """Put an altered checkpoint where the run has its last one, or a file that is called like it."""
    lay_out(origin, folder)
    path = folder / LAST
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    altered = alter(kind, origin, r)
    altered.write(path)
    return altered


def _read_altered(name: str) -> Callable[[random.Random, list[Origin], Path], Command]:
    def prepare(r: random.Random, origins: list[Origin], folder: Path) -> Command:
        origin, kind = r.choice(origins), _kind(r)
        _altered(r, origin, folder, kind)
        arguments = READERS[name](r, r.choice([LAST, "run"]))
        if name == "list":
            (folder / "runs").mkdir()
            (folder / "run").rename(folder / "runs" / r.choice(["run", f"run{CONTROLS}", "r" * 200]))
        slow = kind == "plausible description" and name in ("eval", "init-from")  # large sizes, another corpus
        return Command(f"{name}: {kind}", arguments, origin, may_run_on=slow)

    return prepare


def _resume_altered(r: random.Random, origins: list[Origin], folder: Path) -> Command:
    origin, kind = r.choice([origin for origin in origins if origin.is_run]), _kind(r)
    altered = _altered(r, origin, folder, kind)
    options = r.choice([[], [], ["--data=text.txt"], ["--epochs=60"]])
    arguments = [*USUAL_RESUME, *options]
    return Command(f"resume: {kind}", arguments, origin, ends_as_usual=not altered.may_differ)


# -- metrics

RECORD = {"split": "train", "step": 10, "epoch": 0.5, "loss": 3.0, "grad_norm": 1.0, "lr": 0.002}


def _alter_metrics(r: random.Random, path: Path) -> None:
    lines = path.read_bytes().splitlines() if path.exists() else [b'{"split": "val", "step": 1, "loss": 3}']
    kind = r.choice(["edit", "edit", "edit", "raw", "bytes", "lines", "thing", "missing"])
    if kind == "edit":
        lines[r.randrange(len(lines))] = edited(r, RECORD).encode("utf-8", "surrogatepass")
    elif kind == "raw":
        lines.append(r.choice(list(RAW.values())).encode("utf-8", "surrogatepass"))
    elif kind == "lines":
        r.shuffle(lines)
        lines += r.choice([[b""], [b"{}"], [b"\xff"], [b"[]"], lines, lines * 3000, [b"null"], [lines[0][:20]]])
    path.unlink(missing_ok=True)
    if kind == "thing":
        path.symlink_to(r.choice(["/dev/zero", "/dev/full", ".", path.name, "missing", "../pipe", "/proc/self/mem"]))
    elif kind != "missing":
        content = bytearray(b"\n".join(lines) + r.choice([b"\n", b"\r\n", b""]))
        if kind == "bytes":
            for _ in range(r.choice([1, 5])):
                content[r.randrange(len(content))] = r.getrandbits(8)
        path.write_bytes(content)


def _plot(r: random.Random, origins: list[Origin], folder: Path) -> Command:
    origin = r.choice([origin for origin in origins if origin.is_run])
    lay_out(origin, folder)
    _alter_metrics(r, folder / "run" / "metrics.jsonl")
    odd = r.choice(["run", "run", f"run {CONTROLS}", "run $x^2$", "r\udcff", "_run", "run" * 60])
    (folder / "run").rename(folder / odd)
    out = f"--out=curves{r.choice(['.png', '.svg', '.pdf', '.PNG', '.txt', '', '.npz'])}"
    return Command("plot: metrics", ["plot", *r.choice([[odd], [odd, odd], ["folder", odd]]), out], origin)


def _resume_metrics(r: random.Random, origins: list[Origin], folder: Path) -> Command:
    origin = r.choice([origin for origin in origins if origin.is_run])
    lay_out(origin, folder)
    _alter_metrics(r, folder / "run" / "metrics.jsonl")
    return Command("resume: metrics", USUAL_RESUME, origin, ends_as_usual=True)


# -- config files

SETTINGS: dict[str, Any] = {
    "data": "text.txt",
    "hidden": 4,
    "layers": 1,
    "batch": 3,
    "steps": 5,
    "lr": 0.01,
    "model": "lstm",
    "seed": 3,
    "tf32": False,
    "dropout": 0.1,
}
RAW_TOML = ["1" + "0" * 5000, "1e999", "nan", "-inf", "0x10", "0o7", "1_000", "1979-05-27", "07:32:00", "'''a\nb'''"]
RAW_TOML += ["[1, 'a']"]
RAW_TOML += ["{ a = 1 }", "[" * 1000, "[" * 50_000, '"\\u0000"', '"\\ud800"', '"\\u001b[2J"', "true", "", "= 1"]
RAW_TOML += ['"unclosed', "0.1e1"]
LINES = ["[model]", "[[a]]", "hidden = 5", "a.b = 1", "hiden = 1", '"odd \\u001b[2J" = 1']
LINES += ["val-fraction = 0.1\nval_fraction = 0.1"]
LINES += ["# comment", "\ufeff", "\x00", "\r", "'' = 1", "a" * 10_000 + " = 1", "max-steps = 1"]
LINES += ["epochs = " + "9" * 300, "=", "x"]


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return '"' + "".join(c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in value) + '"'
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml(str(k))} = {_toml(v)}" for k, v in value.items()) + "}"
    return "nothing"


def _config(r: random.Random, origins: list[Origin], folder: Path) -> Command:
    lay_out(origins[0], folder)
    from minigrid.runs.config import Config

    names = [*SETTINGS, *Config.__dataclass_fields__]
    lines = [f"{name} = {_toml(value)}" for name, value in SETTINGS.items()]
    for _ in range(r.choice([1, 1, 2, 4])):
        name = r.choice(names).replace("_", r.choice("_-"))
        value = _toml(wild(r)) if r.random() < 0.7 else r.choice(RAW_TOML)
        lines = [line for line in lines if not line.startswith(f"{name} ")] if r.random() < 0.8 else lines
        lines.insert(r.randrange(len(lines) + 1), r.choice([f"{name} = {value}", f"{name} = {value}", r.choice(LINES)]))
    content = bytearray(r.choice(["\n", "\n", "\n", "\r\n", "\r"]).join(lines).encode("utf-8", "surrogatepass"))
    if r.random() < 0.2:
        content[r.randrange(len(content))] ^= 1 << r.randrange(8)
    path = folder / "settings.toml"
    path.write_bytes(content)
    if r.random() < 0.1:
        path.unlink()
        path.symlink_to(r.choice(["pipe", "/dev/zero", "folder", "missing", path.name, "run/last.npz", "/dev/full"]))
    arguments = ["train", "--config=settings.toml", "--run=new", "--max-steps=2", *r.choice([[], ["--layers=1"]])]
    return Command("config file", arguments, origins[0], may_run_on=True)


# -- command lines

RIGHT: dict[str, list[list[str]]] = {
    "train": [
        ["--data=text.txt", "--hidden=4", "--batch=3", "--steps=5", "--max-steps=2", "--run=new", "--backend=numpy"],
        ["--resume", "--run=run", f"--max-steps={STEPS + 1}"],
        ["--init-from=run", "--run=new", "--max-steps=2"],
    ],
    "sample": [["run", "--length=20"]],
    "eval": [["run"], ["run", "--data=text.txt"]],
    "inspect": [["run", "--text=a b", "--out=page.html"]],
    "plot": [["run", "--out=curves.png"]],
    "gradcheck": [["--hidden=2", "--vocabulary=3", "--steps=2", "--batch=1"]],
}
"""Arguments that each command accepts; a command that is not here begins with none."""

PATHS = ["run", LAST, "text.txt", "folder", "pipe", "missing", "", ".", "new", "a\udcffb", f"odd{CONTROLS}", "x" * 300]
PATHS += ["pretrained:shakespeare-grid-1", "pretrained:", "pretrained:x\n", "settings.toml", "run/config.json"]
PATHS += ["page.html"]
PATHS += ["new/deep/er", "text.txt/x", "-", "loop", "~", "$HOME", "*", "pic.png", "pic.svg", "pic.jpg", "pic.npz"]
PATHS += ["pipe.png"]
INPUTS = ["/dev/zero", "/dev/stdin", "/proc/self/mem"]
ORDINARY = ["1", "2", "3", "5", "0.5", "1e-3", "1_0", "0x1", "١", "+2"]
TEXTS = ["a b", "été", "", "\udcff", CONTROLS, "12+3=", "\\n", "a" * 3000, "🙂", "`x`"]
TOKENS = ["--", "-", "--help", "-h", "--version", "---", "--=", "-x", "-1", "@run", "\udcff", CONTROLS, "x" * 10_000]
TOKENS += ["train"]


def _actions(command: str) -> list[argparse.Action]:
    parser = Parser(prog="minigrid")
    COMMANDS[command].add_options(parser)
    return [action for action in parser._actions if action.dest != "help"]


def _value(r: random.Random, action: argparse.Action) -> str:
    """Draw a value for an option, right or wrong."""
    if action.choices and r.random() < 0.6:
        return r.choice(list(action.choices))
    if "|" in str(action.metavar) and r.random() < 0.6:
        return r.choice(str(action.metavar).split("|"))
    if action.type in (int, float) and r.random() < 0.8:
        return str(r.choice(NUMBERS)) if r.random() < 0.5 else r.choice(ORDINARY)
    if action.metavar in ("TEXT",) and r.random() < 0.7:
        return r.choice(TEXTS)
    if action.dest in ("data", "config", "init_from", "prime_file") and r.random() < 0.15:
        return r.choice(INPUTS)
    if r.random() < 0.7:
        return r.choice(PATHS)
    return "".join(r.choice(string.printable) for _ in range(r.randrange(12))) or r.choice(STRINGS[:20])


def _option(r: random.Random, action: argparse.Action) -> list[str]:
    if not action.option_strings:
        return [_value(r, action)]
    name = r.choice(action.option_strings)
    name = r.choice([name] * 8 + [name[:-1], name.upper(), name + "s", name.replace("-", "_"), name[1:]])
    if action.nargs == 0:
        return [r.choice([name, name, name, f"{name}=1"])]
    return r.choice([[f"{name}={_value(r, action)}"], [name, _value(r, action)], [name, _value(r, action)], [name]])


def _command_line(r: random.Random, origins: list[Origin], folder: Path) -> Command:
    origin = r.choice([origin for origin in origins if origin.is_run])
    lay_out(origin, folder)
    (folder / "loop").symlink_to("loop")
    os.mkfifo(folder / "pipe.png")
    command = r.choice(list(COMMANDS))
    arguments = list(r.choice(RIGHT.get(command, [[]])))
    actions = _actions(command)
    for _ in range(r.choice([1, 1, 2, 3, 6])):
        place = r.randrange(len(arguments) + 1)
        what = r.choice(["option", "option", "option", "option", "replace", "drop", "twice", "token", "shuffle"])
        if what == "option":
            arguments[place:place] = _option(r, r.choice(actions))
        elif what == "token":
            arguments.insert(place, r.choice(TOKENS))
        elif what == "shuffle":
            r.shuffle(arguments)
        elif arguments and what == "twice":
            arguments.insert(place, r.choice(arguments))
        elif arguments and what == "drop":
            arguments.pop(r.randrange(len(arguments)))
        elif arguments:
            k = r.randrange(len(arguments))
            name, equals, _ = arguments[k].partition("=")
            matching = [action for action in actions if name in action.option_strings]
            if equals and matching:
                arguments[k] = f"{name}={_value(r, matching[0])}"
    if r.random() < 0.03:
        command = r.choice([*TOKENS, "", "trian", "Train", "sample.py"])
    arguments = [argument.replace("\0", "") for argument in arguments]  # no argument can contain one
    what = f"line: {command if command in COMMANDS else 'another word'}"
    return Command(what, [command, *arguments], origin, may_run_on=True, may_fail=command == "gradcheck")


# -- texts


def _text(r: random.Random, origins: list[Origin], folder: Path) -> Command:
    origin = r.choice([origin for origin in origins if origin.is_run])
    lay_out(origin, folder)
    path = folder / TEXT_FILE
    right = path.read_bytes() if path.exists() else b"12+3=\n" * 300
    odd = [b"", b"\n", b"a", b"ab", right.replace(b"\n", r.choice([b"\r", b"\r\n"])), b"\xef\xbb\xbf" + right]
    odd += [right.decode().encode(encoding) for encoding in ("utf-16", "utf-16-le", "utf-32", "utf-8-sig")]
    odd += [right.decode().encode("latin-1", "replace"), gzip.compress(right), right[: r.randrange(len(right))]]
    odd += [b"\0" * 3000, right.replace(b" ", b"\0"), right + b"\xed\xa0\x80", right + b"\xf4\x90\x80\x80"]
    odd += [right.replace(b"a", CONTROLS.encode()), b"%PDF-1.7" + right, b"PK\x03\x04" + right, r.randbytes(3000)]
    path.unlink(missing_ok=True)
    if r.random() < 0.15:
        path.symlink_to(r.choice(["pipe", "/dev/zero", "folder", "missing", TEXT_FILE, LAST, "run", "/proc/self/mem"]))
    else:
        path.write_bytes(r.choice(odd))
    tokens = r.choice([[], ["--tokens=bytes"], ["--tokens=chars"]])
    small = ["--hidden=4", "--batch=3", "--steps=5", "--max-steps=2", "--run=new"]
    lines = [
        ["train", f"--data={TEXT_FILE}", *small, *tokens],
        ["train", "--init-from=run", f"--data={TEXT_FILE}", "--max-steps=2", "--run=new"],
        ["eval", "run", f"--data={TEXT_FILE}", *r.choice([[], ["--oov=skip"], ["--per-character"]])],
        ["eval", "run"],
        ["sample", "run", f"--prime-file={TEXT_FILE}", "--length=5"],
        USUAL_RESUME,
    ]
    arguments = r.choice(lines)
    return Command(f"text: {arguments[0]}", arguments, origin)


PREPARE: dict[str, Callable[[random.Random, list[Origin], Path], Command]] = {
    **{name: _read_altered(name) for name in READERS},
    "resume": _resume_altered,
    "plot": _plot,
    "resume with metrics": _resume_metrics,
    "config file": _config,
    "command line": _command_line,
    "text": _text,
}
"""Kinds of commands: each prepares an empty folder."""
SHARES = dict.fromkeys(PREPARE, 1) | {"resume": 4, "command line": 5, "config file": 3, "sample": 2, "init-from": 2}
SHARES["text"] = 0
"""How often each kind is tried. Texts are tried on demand only, because the cache of texts has tests of its own."""


def prepare(kind: str, origins: list[Origin], r: random.Random, folder: Path) -> Command:
    return PREPARE[kind](r, origins, folder)
