import contextlib
import os
import sys
from pathlib import Path

import pytest

from minigrid.cli.parser import Parser, parse


@pytest.fixture
def parser():
    parser = Parser(prog="tool", description="Do it like `dry_run`, not like `wet_run`.")
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("-n", "--dry-run", action="store_true", help="see also `lr_decay`")
    parser.add_argument("--lr-decay", group="training", type=float, help="used with `clip`")
    parser.add_argument("--clip", group="training", type=float)
    parser.set_defaults(parser=parser)
    return parser


def refused(capsys, parser, *arguments):
    with pytest.raises(SystemExit) as end:
        parse(parser, arguments)
    out, err = capsys.readouterr()
    assert (end.value.code, out) == (2, "")
    return err


def test_the_parser_knows_its_options(parser):
    assert parser.flags == {
        "help": "--help",
        "dry_run": "--dry-run",
        "lr_decay": "--lr-decay",
        "clip": "--clip",
    }


def test_arguments_are_read(parser):
    options = parse(parser, ["x", "--clip=2", "-n"])
    assert (options.file, options.clip, options.lr_decay, options.dry_run) == ("x", 2.0, None, True)


def test_help_shows_parameters_as_options_under_their_headings(parser):
    text = parser.format_help()
    assert "Do it like --dry-run, not like `wet_run`." in text
    assert "see also --lr-decay" in text
    heading, training = text.split("\ntraining:\n")
    assert "--dry-run" in heading
    assert "used with --clip" in training
    assert "\n  --clip" in training


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: FILE"),
        (["x", "--clip=much"], "--clip must be a number, not 'much'"),
        (["x", "--dri-run"], "unrecognized arguments: --dri-run (did you mean --dry-run?)"),
        (["x", "--lrdecay=1"], "unrecognized arguments: --lrdecay=1 (did you mean --lr-decay?)"),
        (["x", "--xy", "z"], "unrecognized arguments: --xy z"),
        (["x", "y"], "unrecognized arguments: y"),
    ],
)
def test_a_mistake_is_one_sentence(capsys, parser, arguments, message):
    assert refused(capsys, parser, *arguments) == f"tool: {message} (see tool --help)\n"


@pytest.fixture
def twice():
    parser = Parser(prog="tool")
    parser.add_argument("--lr", type=float, default=1.0)
    parser.add_argument("--name", choices=("a", "b"), group="more")
    parser.add_argument("--fast", action="switch", default=False)
    parser.add_argument("--once", action="store_true")
    parser.set_defaults(parser=parser)
    return parser


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--lr=1", "--lr", "2"], "--lr is given twice, as 1.0 and as 2.0: give it once"),
        (["--name=a", "--name=b"], "--name is given twice, as a and as b: give it once"),
        (["--fast", "--no-fast"], "--fast and --no-fast contradict each other: give one of them"),
    ],
)
def test_a_second_value_does_not_silently_replace_the_first(capsys, twice, arguments, message):
    assert refused(capsys, twice, *arguments) == f"tool: {message} (see tool --help)\n"


def test_the_same_value_twice_is_no_mistake(twice):
    arguments = ["--lr=nan", "--name=a", "--name", "a", "--fast", "--fast", "--once", "--once"]
    for _ in range(2):  # what was given in one call does not count in the next
        options = parse(twice, arguments)
        assert (options.name, options.fast, options.once) == ("a", True, True)
        assert vars(options).keys() == {"parser", "lr", "name", "fast", "once"}
    assert not parse(twice, ["--no-fast"]).fast


def test_a_second_text_gets_advice(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "b.txt").write_text("")
    parser = Parser(prog="tool")
    parser.add_argument("--data")
    parser.set_defaults(parser=parser)
    advice = "; to use several files as one text, join them first: `cat A.txt B.txt > all.txt`"
    assert advice in refused(capsys, parser, "--data", "a.txt", "b.txt")
    assert advice not in refused(capsys, parser, "--data", "a.txt", "nothing")


def test_a_message_is_one_line_of_a_readable_length(capsys, parser):
    message = refused(capsys, parser, "--clip=1", "a", "\x1b[2J\n" + "b" * 5000)
    assert "\\x1b[2J\\n" in message
    assert message.count("\n") == 1
    assert len(message) < 600


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-name", "a"], "unrecognized arguments: -name a (did you mean --name?)"),
        (["-hidden", "8"], "options begin with two hyphens, except for -h"),
        (["--fast=yes"], "--fast takes no value: leave out 'yes'"),
        (["--lr"], "--lr needs a value"),
        (["--lr=1e-400"], "--lr must be 0 or at least 5e-324, not '1e-400'"),
        (["--name=c"], "--name must be a or b, not 'c'"),
        (["--nam=a"], "unrecognized arguments: --nam=a (did you mean --name?)"),
        (["--lr=9" + "9" * 5000 + "x"], f"--lr must be a number, not '{'9' * 59}..."),
    ],
)
def test_what_argparse_says_is_said_in_words(capsys, twice, arguments, message):
    assert refused(capsys, twice, *arguments) == f"tool: {message} (see tool --help)\n"


@pytest.mark.parametrize("metavar", ["FILE", "DIR", "RUN", "PATH"])
def test_an_empty_name_is_no_name(capsys, metavar):
    parser = Parser(prog="tool")
    parser.add_argument("--from", metavar=metavar)
    parser.add_argument("--out", metavar=metavar, type=Path)
    parser.add_argument("file", metavar=metavar)
    for option in ("--from", "--out"):
        words = f"tool: {option} is empty: give a value, or leave it out (see tool --help)\n"
        assert refused(capsys, parser, "x", f"{option}=") == words
    assert f"{metavar} is empty" in refused(capsys, parser, "")


def test_the_commands_are_named_if_one_is_wrong_or_missing(capsys):
    program = Parser(prog="tool")
    commands = program.add_subparsers(metavar="command")
    for name in ("one", "two", "three"):
        command = commands.add_parser(name)
        command.set_defaults(parser=command)
    words = "there is no command 'twoo' (did you mean two?); the commands are one, two and three (see tool --help)"
    assert refused(capsys, program, "twoo") == f"tool: {words}\n"
    assert "a command is missing" in refused(capsys, program)
    assert "unrecognized arguments: --helq (did you mean --help?)" in refused(capsys, program, "--helq")


def test_a_folder_that_stands_alone_may_be_a_run(capsys, tmp_path):
    parser = Parser(prog="tool")
    for name in ("--resume", "--run", "--data"):
        parser.add_argument(name)
    parser.set_defaults(parser=parser)
    assert "; to continue a run, write --run DIR --resume (see" in refused(capsys, parser, str(tmp_path))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_help_text_that_cannot_be_written_is_an_error(monkeypatch):
    with open("/dev/full", "w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stdout", full)
        for option in ("--help", "--version"):
            parser = Parser(prog="tool")
            parser.add_argument("--version", action="version", version="1")
            with pytest.raises(OSError, match="No space left"):
                parse(parser, [option])
        monkeypatch.undo()
        with contextlib.suppress(OSError):
            full.close()


def test_a_command_corrects_its_own_options(capsys):
    program = Parser(prog="tool")
    commands = program.add_subparsers()
    for name in ("one", "two"):
        command = commands.add_parser(name)
        command.add_argument(f"--{name}")
        command.set_defaults(parser=command)
    assert parse(program, ["two", "--two=2"]).parser.flags == {"help": "--help", "two": "--two"}
    assert refused(capsys, program, "two", "--twoo=2") == (
        "tool two: unrecognized arguments: --twoo=2 (did you mean --two?) (see tool two --help)\n"
    )
    assert "did you mean" not in refused(capsys, program, "two", "--one=2")
