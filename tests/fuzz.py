"""Try altered inputs on minigrid, as long as you like.

Usage, from the project's folder::

    python tests/fuzz.py --minutes 10                      # altered checkpoints, read by minigrid.load
    python tests/fuzz.py --cases 2000 --commands           # altered files and odd arguments, given to the commands

At the end comes a table of what was altered and how minigrid answered. The exit code is 1 if it ever answered wrongly.
Every such input lies in the folder --out, with a command that repeats it. If Python itself breaks down, the input is in
`now` there.
"""

import argparse
import collections
import contextlib
import random
import shlex
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

TESTS = Path(__file__).resolve().parent
sys.path[:0] = [str(TESTS.parent), str(TESTS)]

from fuzzing import checkpoints, commands, oracle  # noqa: E402
from fuzzing.isolation import isolated  # noqa: E402
from fuzzing.origins import Origin, origins  # noqa: E402

from minigrid.cli.terminal import one_line  # noqa: E402
from minigrid.runs import loop  # noqa: E402

WRONG = "WRONG"
NOW = "now"


class Result(NamedTuple):
    """One case."""

    number: int
    kind: str
    answer: str
    seconds: float  # of computing, to answer
    memory: int  # bytes


class Cases:
    """Makes the cases, runs them one by one in the folder `now`, and keeps what was answered wrongly."""

    def __init__(self, made: list[Origin], out: Path, options: argparse.Namespace):
        self.made, self.out, self.options = made, out, options
        self.folder = out / NOW
        self.results: list[Result] = []
        if options.commands:
            shares = commands.SHARES | ({"text": 4} if options.texts else {})
        else:
            shares = dict.fromkeys(checkpoints.ALTERATIONS, 10) | dict.fromkeys(checkpoints.SLOW_ALTERATIONS, 1)
            shares = {kind: share * checkpoints.WEIGHTS.get(kind, 1) for kind, share in shares.items()}
        self.kinds = [kind for kind, share in shares.items() for _ in range(share)]
        self._usual_ends: dict[str, Path] = {}

    def run(self, number: int) -> Result:
        """Run one case; the same seed and number make the same case."""
        r = random.Random(f"{self.options.seed} {number}")
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        kind = r.choice(self.kinds)
        try:
            result = self._command(r, number, kind) if self.options.commands else self._load(r, number, kind)
        except oracle.FaultError as error:
            result = Result(number, kind, WRONG, 0.0, 0)
            self._keep(number, kind, str(error))
        self.results.append(result)
        return result

    def _load(self, r: random.Random, number: int, kind: str) -> Result:
        origin = r.choice(self.made)
        path = self.folder / "altered.npz"
        altered = checkpoints.alter(kind, origin, r)
        altered.write(path)
        self._note_how(f'python -c "import minigrid; minigrid.load({str(path.name)!r})"', kind, origin)
        answer, seconds, memory = _measured(lambda: oracle.judge_load(path, altered.params, origin))
        return Result(number, kind, answer, seconds, memory)

    def _command(self, r: random.Random, number: int, kind: str) -> Result:
        place = self.folder / "here"
        place.mkdir()
        command = commands.prepare(kind, self.made, r, place)
        line = f"cd input && python -m minigrid {shlex.join(command.arguments)}"
        self._note_how(line, command.what, command.origin)
        shutil.copytree(place, self.folder / "input", symlinks=True, ignore=_neither_file_nor_folder)
        run_it = oracle.in_process
        if r.random() < self.options.processes and not any("\0" in argument for argument in command.arguments):
            run_it = oracle.in_child

        def judged() -> str:
            answer, _ = oracle.judge_command(
                lambda: run_it(command.arguments, place),
                place,
                may_run_on=command.may_run_on,
                may_fail=command.may_fail,
            )
            if answer == oracle.DONE and command.what.startswith("resume"):
                oracle.judge_end(place / "run", self._usual_end(command.origin) if command.ends_as_usual else None)
            return answer

        answer, seconds, memory = _measured(judged)
        return Result(number, command.what, answer, seconds, memory)

    def _usual_end(self, origin: Origin) -> Path:
        """Resume a run that was not altered; return its folder."""
        if origin.name not in self._usual_ends:
            place = self.out / "usual" / origin.name.replace(" ", "-")
            place.mkdir(parents=True)
            commands.lay_out(origin, place)
            oracle.in_process(commands.USUAL_RESUME, place)
            self._usual_ends[origin.name] = place / "run"
        return self._usual_ends[origin.name]

    def _note_how(self, line: str, kind: str, origin: Origin) -> None:
        text = f"# {kind}, from the checkpoint called {origin.name}\n{line}\n"
        (self.folder / "repeat.txt").write_text(text, encoding="utf-8", errors="backslashreplace")

    def _keep(self, number: int, kind: str, problem: str) -> None:
        kept = self.out / f"{number}"
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(self.folder, kept, symlinks=True, ignore=_neither_file_nor_folder)
        again = ["python", "tests/fuzz.py", f"--seed={self.options.seed}", f"--first={number}", "--cases=1"]
        again += ["--commands", f"--processes={self.options.processes}"] if self.options.commands else []
        again += ["--texts"] if self.options.texts else []
        with (kept / "repeat.txt").open("a", encoding="utf-8") as file:
            file.write(f"# {one_line(problem)}\n# or, made again: {shlex.join(again)}\n")
        _say(f"WRONG, case {number} ({kind}): {one_line(problem)[:300]}\n  kept in {kept}")


def _neither_file_nor_folder(folder: str, names: list[str]) -> list[str]:
    """Name the pipes and sockets, which cannot be copied."""
    paths = {name: Path(folder, name) for name in names}
    return [name for name, path in paths.items() if not (path.is_symlink() or path.is_file() or path.is_dir())]


def _measured(function: Callable[[], str]) -> tuple[str, float, int]:
    """Return what a function returns, the seconds it computes, and the memory that it takes in addition."""
    oracle.reset_peak()
    before, start = oracle.peak_memory(), time.process_time()
    answer = function()
    return answer, time.process_time() - start, oracle.peak_memory() - before


def _say(text: str) -> None:
    print(text, flush=True)


def _table(results: list[Result]) -> str:
    """Sum the results up: a row for each kind of alteration, a column for each answer."""
    counts = collections.Counter((result.kind, result.answer) for result in results)
    answers = sorted({answer for _, answer in counts})
    rows = [["altered", "cases", *answers]]
    for kind in sorted({kind for kind, _ in counts}):
        numbers = [counts[kind, answer] for answer in answers]
        rows.append([kind, str(sum(numbers)), *(str(number or "") for number in numbers)])
    totals = [sum(counts[key] for key in counts if key[1] == answer) for answer in answers]
    rows.append(["all", str(len(results)), *map(str, totals)])
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]
    slowest, largest = max(results, key=lambda x: x.seconds), max(results, key=lambda x: x.memory)
    return "\n".join(
        [
            *lines,
            f"slowest: {slowest.seconds:.2f} s of computing, case {slowest.number} ({slowest.kind})",
            f"most memory: {largest.memory / 1e6:.0f} MB in addition, case {largest.number} ({largest.kind})",
        ]
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, metavar="N", help="stop after so many minutes (default: 1)")
    length.add_argument("--cases", type=int, metavar="N", help="stop after so many cases instead")
    parser.add_argument("--seed", type=int, metavar="S", help="seed of the cases (default: another one each time)")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="number of the first case (default: 0)")
    parser.add_argument(
        "--commands",
        action="store_true",
        help="give the inputs to sample, eval, inspect, train --init-from, train --resume, plot and train --config, "
        "and odd arguments to every command (default: load checkpoints only)",
    )
    parser.add_argument("--texts", action="store_true", help="with --commands: odd texts to train on and to read, too")
    parser.add_argument(
        "--processes",
        type=float,
        default=0.05,
        metavar="X",
        help="with --commands: share of the commands that start a process of their own, from 0 to 1 (default: 0.05)",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("fuzz"), metavar="DIR", help="folder for wrong answers (default: fuzz)"
    )
    options = parser.parse_args()
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(10**6)
    if options.cases is None:
        options.minutes = 1.0 if options.minutes is None else options.minutes
    return options


def _numbers(options: argparse.Namespace) -> Iterator[int]:
    """Count the cases up to the end that the options set."""
    end = None if options.minutes is None else time.monotonic() + 60 * options.minutes
    number = options.first
    while time.monotonic() < end if end is not None else number < options.first + options.cases:
        yield number
        number += 1


def main() -> int:
    """Run the script; return its exit code."""
    options = _options()
    out = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    _say(f"seed {options.seed}; wrong answers go to {out}")
    with tempfile.TemporaryDirectory() as place, isolated(Path(place)), contextlib.chdir(place):
        (Path(place) / "made").mkdir()
        cases = Cases(origins(Path(place) / "made"), out, options)
        loop._draw = lambda run, report: None  # it takes most of the time; commands in processes of their own draw
        warnings.simplefilter("ignore")
        oracle.limit_memory()
        told = time.monotonic()
        with contextlib.suppress(KeyboardInterrupt):
            for number in _numbers(options):
                cases.run(number)
                if time.monotonic() - told > 20:
                    told = time.monotonic()
                    wrong = sum(result.answer == WRONG for result in cases.results)
                    _say(f"{len(cases.results):,} cases, {wrong} answered wrongly")
    shutil.rmtree(out / NOW, ignore_errors=True)
    shutil.rmtree(out / "usual", ignore_errors=True)
    if not cases.results:
        return 0
    _say(_table(cases.results))
    return 1 if any(result.answer == WRONG for result in cases.results) else 0


if __name__ == "__main__":
    sys.exit(main())
