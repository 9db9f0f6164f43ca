import dataclasses
import math

import pytest
from run_fixtures import PROJECT

from minigrid import CharModel, TrainStep, UserError
from minigrid.nn.options import value_type
from minigrid.runs.config import Config, read_config_file, refuse_idle

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
    wrong = 1 if value_type(field) is str else "x"
    with pytest.raises(UserError, match=f"^`{name}` must be (a |true)"):
        Config(**{name: wrong})


@pytest.mark.parametrize("name", [name for name, field in FIELDS.items() if field.metadata["choices"]])
def test_every_choice_is_named_where_it_is_unknown(name):
    choices = FIELDS[name].metadata["choices"]
    with pytest.raises(UserError, match=f"^unknown {name} 'xyz': choose one of {', '.join(choices)}$"):
        Config(**{name: "xyz"})
    with pytest.raises(UserError, match=rf"did you mean {choices[-1]}\?"):
        Config(**{name: choices[-1] + "s"})


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name in SIZES for value in (0, -1)]
    + [(name, value) for name in ("lr", "lr_decay") for value in (0, -1.0, math.nan, math.inf)]
    + [(name, value) for name in ("clip", "clip_norm") for value in (-1, math.nan, math.inf)]
    + [("lr_decay_after", -1), ("seed", -1), ("seed", 2**64), ("hidden", 10**9), ("layers", 10**9)],
)
def test_what_is_out_of_range(name, value):
    with pytest.raises(UserError, match=f"^`{name}` must ") as problem:
        Config(**{name: value})
    assert "\n" not in str(problem.value)


@pytest.mark.parametrize(("given", "kept"), [(1, 1.0), (0.5, 0.5)])
def test_a_whole_number_will_do_for_a_rate(given, kept):
    assert repr(Config(lr=given).lr) == repr(kept)


@pytest.mark.parametrize("settings", [{"hidden": 1.0}, {"hidden": True}, {"lr": True}, {"hidden": None}])
def test_what_only_looks_like_a_number(settings):
    with pytest.raises(UserError, match=r"must be a (whole )?number"):
        Config(**settings)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"corpus": "pydoc", "data": "my.txt"}, "--corpus pydoc and --data my.txt are two texts"),
        ({"task": "addition", "data": "my.txt"}, "--data makes no sense with --task addition"),
        ({"task": "addition", "corpus": "pydoc"}, "--corpus makes no sense with --task addition"),
        ({"task": "addition", "tokens": "bytes"}, "--tokens makes no sense with --task addition"),
    ],
)
def test_settings_that_exclude_each_other(settings, words):
    with pytest.raises(UserError, match=words):
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
        ("hiden = 7", r"no setting is called 'hiden' \(did you mean hidden\?\)"),
        ("[model]\nhidden = 7", r"has a section \[model\]: write its settings at the top"),
        ('hidden = "7"', "hidden must be a whole number, not '7'"),
        ("hidden = = 7", r"not valid TOML: .* line 1"),
        ("hidden = 7\nhidden = 8", "not valid TOML: .*"),
        ("# caf\xe9", "not valid TOML"),
    ],
)
def test_config_files_that_cannot_be_used(tmp_path, content, words):
    with pytest.raises(UserError, match=words) as problem:
        read_config_file(in_file(tmp_path, content))
    assert "settings.toml" in str(problem.value)
    assert "\n" not in str(problem.value)


@pytest.mark.parametrize(("name", "reason"), [("missing.toml", "No such file"), ("", "Is a directory")])
def test_config_files_that_are_none(tmp_path, name, reason):
    with pytest.raises(UserError, match=f"cannot read the config file .*{reason}"):
        read_config_file(str(tmp_path / name))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"model": "lstm", "tie": "layers"}, "tie 'layers' makes no sense for the model lstm"),
        ({"dropout": 1}, "dropout 1.0 is not a rate"),
        ({"embedding": 3}, "embedding 3 does not fit the grid"),
        ({"alpha": 1}, "alpha 1.0 is not a decay rate"),
        ({"val_fraction": 1}, "leave no training text"),
    ],
)
def test_what_model_optimiser_or_split_would_refuse_is_refused_at_once(wrong, words):
    with pytest.raises(UserError, match=words):
        Config(**wrong)


def test_settings_of_another_task_are_refused_where_they_are_given():
    for config, names, idle in (
        (Config(task="addition"), ["hidden", "val_fraction"], "--val-fraction makes no sense with --task addition"),
        (Config(), ["digits", "steps"], "--digits makes no sense with --task text"),
    ):
        refuse_idle(config, names[:1] if config.task == "addition" else names[1:])
        with pytest.raises(UserError, match=idle):
            refuse_idle(config, names)


@pytest.mark.parametrize("path", sorted((PROJECT / "configs").glob("*.toml")), ids=lambda path: path.name)
def test_the_ready_configs_are_valid(path):
    Config(**read_config_file(str(path)))
