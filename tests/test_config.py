import dataclasses
import math
import os

import pytest
from run_fixtures import PROJECT

from minigrid import CharModel, TrainStep, UserError
from minigrid.nn.options import value_type
from minigrid.runs.config import Config, ConfigFileError, read_config_file, refuse_idle

FIELDS = {field.name: field for field in dataclasses.fields(Config)}
SIZES = ("hidden", "layers", "batch", "steps", "epochs", "digits", "max_steps", "eval_every")


def test_the_defaults_are_the_torch_programs():
    config = Config()
    assert (config.model, config.hidden, config.layers, config.dropout) == ("grid", 128, 2, 0.0)
    assert (config.batch, config.steps, config.epochs, config.seed) == (50, 50, 50, 123)
    assert (config.optimizer, config.lr, config.alpha, config.clip) == ("rmsprop", 2e-3, 0.95, 5.0)
    assert (config.lr_decay, config.lr_decay_after) == (0.97, 10)
    assert (config.split, config.val_fraction, config.test_fraction) == ("tail", 0.05, 0.0)


def test_a_config_is_frozen_and_its_options_are_those_of_the_model_and_the_step():
    config = Config(hidden=4, clip=0, clip_norm=2)
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.hidden = 5
    model = CharModel(vocab_size=3, **config.model_options())
    assert (model.hidden, model.options.seed) == (4, 123)
    step = TrainStep(model, **config.step_options())
    assert (step.clip, step.clip_norm, step.lr) == (None, 2.0, 2e-3)


@pytest.mark.parametrize("name", FIELDS)
def test_every_setting_has_a_help_text_and_a_checked_type(name):
    field = FIELDS[name]
    assert field.metadata["help"]
    wrong, words = {
        int: ("x", "a whole number, not 'x'"),
        float: ("x", "a number, not 'x'"),
        bool: (1, "true or false, not 1"),
        str: (1, "a string, not 1"),
    }[value_type(field)]
    with pytest.raises(UserError, match=f"^`{name}` must be {words}$"):
        Config(**{name: wrong})


@pytest.mark.parametrize("name", [name for name, field in FIELDS.items() if field.metadata["choices"]])
def test_an_unknown_choice_lists_the_known_ones(name):
    *others, last = FIELDS[name].metadata["choices"]
    with pytest.raises(UserError, match=f"^`{name}` must be {', '.join(others)} or {last}, not 'xyz'$"):
        Config(**{name: "xyz"})
    with pytest.raises(UserError, match=rf", not '{last}s' \(did you mean {last}\?\)$"):
        Config(**{name: last + "s"})


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name in SIZES for value in (0, -1)]
    + [(name, value) for name in ("lr", "lr_decay") for value in (0, -1.0, math.nan, math.inf)]
    + [(name, value) for name in ("clip", "clip_norm") for value in (-1, math.nan, math.inf)]
    + [("lr_decay_after", -1), ("seed", -1), ("seed", 2**64), ("hidden", 10**9), ("layers", 10**9)],
)
def test_values_out_of_range(name, value):
    with pytest.raises(UserError, match=f"^`{name}` must ") as problem:
        Config(**{name: value})
    assert "\n" not in str(problem.value)


@pytest.mark.parametrize(("given", "kept"), [(1, 1.0), (0.5, 0.5)])
def test_a_whole_number_is_accepted_as_a_rate(given, kept):
    assert repr(Config(lr=given).lr) == repr(kept)


@pytest.mark.parametrize("settings", [{"hidden": 1.0}, {"hidden": True}, {"lr": True}, {"hidden": None}])
def test_values_that_only_look_like_numbers(settings):
    with pytest.raises(UserError, match=r"must be a (whole )?number"):
        Config(**settings)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"corpus": "pydoc", "data": "my.txt"}, "`corpus` pydoc and `data` my.txt name two texts: give only one"),
        ({"task": "addition", "data": "my.txt"}, "`data` does not apply to `task` addition"),
        ({"task": "addition", "corpus": "pydoc"}, "`corpus` does not apply to `task` addition"),
        ({"task": "addition", "tokens": "bytes"}, "`tokens` does not apply to `task` addition"),
    ],
)
def test_settings_that_exclude_each_other(settings, words):
    with pytest.raises(UserError, match=f"^{words}"):
        Config(**settings)


# -- files


def in_file(tmp_path, content):
    path = tmp_path / "settings.toml"
    path.write_bytes(content.encode("latin-1"))
    return str(path)


def test_a_config_file_is_toml_with_either_spelling(tmp_path):
    path = in_file(tmp_path, 'hidden = 7\nval-fraction = 0.1\nlr_decay = 1\nmodel = "lstm"  # a comment\n')
    assert read_config_file(path) == {"hidden": 7, "val_fraction": 0.1, "lr_decay": 1, "model": "lstm"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("hiden = 7", r"settings.toml: there is no setting `hiden` \(did you mean hidden\?\): correct or remove it$"),
        ("[model]\nhidden = 7", r"settings.toml: remove the section header \[model\]: settings stand at the top"),
        ('hidden = "7"', "settings.toml: `hidden` must be a whole number, not '7'$"),
        ("val-fraction = 1", "settings.toml: `val_fraction` must be at least 0 and less than 1, not 1.0$"),
        ("lr = 1" + 400 * "0", "settings.toml: `lr` must be a finite number, not inf$"),
        ("hidden = = 7", r"not valid TOML: .* line 1"),
        ("hidden = 7\nhidden = 8", "not valid TOML: .*"),
        ("# caf\xe9", "is not UTF-8 at byte 5: save it as UTF-8"),
    ],
)
def test_config_files_that_cannot_be_used(tmp_path, content, words):
    with pytest.raises(ConfigFileError, match=words) as problem:
        read_config_file(in_file(tmp_path, content))
    assert "settings.toml" in str(problem.value)
    assert "\n" not in str(problem.value)


@pytest.mark.parametrize(("name", "reason"), [("missing.toml", "No such file"), ("", "Is a directory")])
def test_config_files_that_cannot_be_read(tmp_path, name, reason):
    with pytest.raises(ConfigFileError, match=f"cannot read the config file .*{reason}"):
        read_config_file(str(tmp_path / name))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"model": "lstm", "tie": "layers"}, "^`tie` does not apply to `model` lstm, only to grid: leave it out"),
        ({"dropout": 1}, "^`dropout` must be at least 0 and less than 1, not 1.0$"),
        ({"embedding": 3}, r"^`embedding` must equal `hidden` \(128\) in a grid model, not 3: leave it out"),
        ({"alpha": 1}, "^`alpha` must be at least 0 and less than 1, not 1.0$"),
        ({"val_fraction": 1}, "^`val_fraction` must be at least 0 and less than 1, not 1.0$"),
        ({"val_fraction": 0.5, "test_fraction": 0.5}, "leave no training text"),
    ],
)
def test_what_the_model_or_the_split_would_refuse_is_refused_at_once(wrong, words):
    with pytest.raises(UserError, match=words):
        Config(**wrong)


@pytest.mark.parametrize(
    ("task", "useful", "idle"), [("addition", "hidden", "val_fraction"), ("text", "steps", "digits")]
)
def test_settings_of_another_task_are_refused_if_they_are_given(task, useful, idle):
    config = Config(task=task)
    refuse_idle(config, [useful])
    with pytest.raises(UserError, match=f"^`{idle}` does not apply to `task` {task}: leave it out$"):
        refuse_idle(config, [useful, idle])


@pytest.mark.parametrize("path", sorted((PROJECT / "configs").glob("*.toml")), ids=lambda path: path.name)
def test_the_ready_configs_are_valid(path):
    Config(**read_config_file(str(path)))


def test_a_byte_order_mark_is_no_mistake(tmp_path):
    path = tmp_path / "windows.toml"
    path.write_bytes(b"\xef\xbb\xbfhidden = 7\r\n")
    assert read_config_file(str(path)) == {"hidden": 7}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("val-fraction = 0.1\nval_fraction = 0.2", "`val_fraction` is given twice, written with - and with _"),
        ("lr = 1" + "0" * 400, "`lr` must be a finite number, not inf"),
        ("epochs = 9" + "9" * 310, "`epochs` must be at most 1,000,000,000,000, not 99999"),
        ("hidden = 0x" + "f" * 10_000, "`hidden` must be from 1 to 1,000,000, not a huge int"),
        ("model = 0x" + "f" * 10_000, "`model` must be a string, not a huge int"),
        ("model = '\u202e" + "x" * 500 + "'", "`model` must be grid, lstm, gru or rnn, not "),
        ("device = -1", "`device` must be from 0 to"),
        ("a" * 10_000 + " = 1", f"there is no setting `{'a' * 60}...`"),
        ('"a\\u001b\\n" = 1', r"there is no setting `a\x1b\n`"),
        ("[" + "a" * 10_000 + "]", f"remove the section header [{'a' * 60}...]"),
        ("#" * 1_000_001, "larger than 1 MB"),
    ],
)
def test_config_files_made_to_do_harm(tmp_path, content, words):
    path = tmp_path / "bad.toml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigFileError) as problem:
        read_config_file(str(path))
    assert words in str(problem.value)
    assert len(str(problem.value)) < 300


def test_a_pipe_is_no_config_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(ConfigFileError, match="it is a pipe or a device, not a plain file"):
            read_config_file(str(path))
