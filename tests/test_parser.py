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
