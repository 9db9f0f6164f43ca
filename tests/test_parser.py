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
        (["x", "--clip=much"], "argument --clip: invalid float value: 'much'"),
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
