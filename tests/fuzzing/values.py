"""Wild values, and edits of tables of plain values: the description in a checkpoint, a record, a config file."""

import copy
import json
import random
from collections.abc import Callable, Sequence
from typing import Any

CONTROLS = "\x1b[2J\x1b]0;title\x07\r\nforged: line\u202e\x9b"
NUMBERS = [0, 1, 2, 3, 7, 50, -1, -(2**63), 2**31, 2**32, 2**53, 2**53 + 1, 2**63, 2**64 - 1, 2**64, 10**6, 10**7]
NUMBERS += [10**12, 10**18, 10**19, 10**400, 0.0, -0.0, 0.5, 1.0, 1.5, 1e-45, 5e-324, 1e-300, 3e38, 3.5e38, 1e300]
NUMBERS += [1.7e308, float("nan"), float("inf"), -float("inf"), 0.999999999999, 1e-7, -1e-7]
STRINGS = ["", " ", "x", "1", "none", "None", "auto", "numpy", "cupy", "adam", "text", "addition", "stripes", "chars"]
STRINGS += ["bytes", "grid", "rnn", "float64", "float16", CONTROLS, "\ud800", "a\0b", "ab" * 400_000, "é🙂", "`hidden`"]
STRINGS += ["0.9.9", "..", ".", "/", "~", "/dev/zero", "/dev/stdin", "pipe", "folder", "text.txt", "missing", "-"]
STRINGS += ["toywiki"]
STRINGS += ["a" * 300, "{x}", "%s", "a\nb", "pretrained:x", "enwik8", "pydoc"]
OTHERS = [None, True, False, [], {}, [[]], {"a": 1}, [None], [True], [1], [1.5], ["x"], [0] * 1000, [1e308] * 20]
OTHERS += [[float("nan")], [[1, 2], [3]], {CONTROLS: 1}, {"": {}}, {"x" * 100_000: 1}, [10**400], [{"odd": 1}]]

NAMES = ["odd", "hiden", CONTROLS, "", "x" * 100_000, "\ud800", "format", "step", "config"]

RAW = {
    "endless digits": "1" + "0" * 5000,
    "endless exponent": "1e99999",
    "endless zeros": "0." + "0" * 5000 + "1",
    "deep list": "[" * 100_000,
    "deep table": '{"a":' * 50_000,
    "closed deep list": "[" * 900 + "]" * 900,
    "not a number": "NaN",
    "infinity": "-Infinity",
    "bad escape": '"\\ud800\\x"',
    "lone surrogate": '"\\udcff"',
    "nothing": "",
    "two values": "1 2",
    "duplicate keys": '{"a": 1, "a": 2}',
    "byte": '"\x00"',
}
"""JSON that Python would not write, or not so."""

PLACEHOLDER = "<here>"


def wild(r: random.Random) -> Any:
    return copy.deepcopy(r.choice(r.choice([NUMBERS, STRINGS, OTHERS])))


def paths(values: Any, above: tuple = ()) -> list[tuple]:
    """Where the values inside nested tables and lists are; only the first of long lists."""
    found = [above] if above else []
    if isinstance(values, dict):
        return found + [path for name, value in values.items() for path in paths(value, (*above, name))]
    if isinstance(values, list):
        return found + [path for k, value in enumerate(values[:3]) for path in paths(value, (*above, k))]
    return found


def _at(values: Any, path: tuple) -> Any:
    for key in path:
        values = values[key]
    return values


def _neighbour(r: random.Random, value: Any) -> Any:
    """Return a value that is nearly the same."""
    if isinstance(value, bool):
        return r.choice([not value, int(value)])
    if isinstance(value, int | float):
        near = [value + 1, value - 1, -value, value * 2, str(value), [value], value * 1_000_000_000]
        return r.choice([*near, float(value)] if abs(value) < 1e300 else near)
    if isinstance(value, str):
        return r.choice([value.upper(), value[:-1], value + "x", value + "\n", f" {value}", value + CONTROLS, [value]])
    if isinstance(value, list):
        return r.choice([value[:-1], value[::-1], value + value, [*value, None], value[1:], {"0": value}, [*value, 1]])
    if isinstance(value, dict):
        return r.choice([list(value), list(value.items()), value | {"odd": 1}, json.dumps(value)[:80]])
    return r.choice([0, False, "", {}])


def edited(r: random.Random, values: dict, favourites: Sequence[tuple] = (), times: int | None = None) -> str:
    """Return a table as JSON, edited in one place or a few; `favourites` are paths that are edited more often."""
    values = copy.deepcopy(values)
    raw = None
    for _ in range(times or r.choice([1, 1, 1, 2, 3])):
        found = paths(values)
        liked = [path for path in favourites if path in found]
        path = r.choice(liked if liked and r.random() < 0.4 else found)
        table, key = _at(values, path[:-1]), path[-1]
        action = r.choice(["wild", "wild", "wild", "neighbour", "neighbour", "remove", "add", "copy", "rename", "raw"])
        if action == "wild":
            table[key] = wild(r)
        elif action == "neighbour":
            table[key] = _neighbour(r, table[key])
        elif action == "remove":
            del table[key]
        elif action == "copy":
            others = [other for other in found if other[: len(path)] != path]
            table[key] = copy.deepcopy(_at(values, r.choice(others or [path])))
        elif action == "add" and isinstance(table, dict):
            table[r.choice(NAMES)] = wild(r)
        elif action == "rename" and isinstance(table, dict):
            table[r.choice([str(key).upper(), f"{key} ", f"{key}\n"])] = table.pop(key)
        elif action == "raw":
            table[key], raw = PLACEHOLDER, r.choice(list(RAW.values()))
        if not values:
            break
    text = json.dumps(values)
    return text if raw is None else text.replace(f'"{PLACEHOLDER}"', raw)


def chosen(
    r: random.Random,
    values: dict,
    choices: dict[tuple, Callable[[random.Random], Any]],
    favourites: Sequence[tuple] = (),
) -> str:
    """Return a table as JSON with a few values replaced by others that their place allows."""
    values = copy.deepcopy(values)
    there = [path for path in paths(values) if path in choices]
    there = [path for path in there if path in favourites] if r.random() < 0.5 else there
    picked = r.sample(there, min(len(there), r.choice([1, 1, 2, 3])))
    for path in sorted(picked, key=len, reverse=True):  # a table is replaced after the values in it
        _at(values, path[:-1])[path[-1]] = choices[path](r)
    return json.dumps(values)
