"""The description stored in checkpoints."""

import copy
import dataclasses
import json

import pytest

from minigrid import CharModel, UserError
from minigrid.data.vocabulary import Vocabulary
from minigrid.runs.checkpoint import model_arrays, read_checkpoint, write_checkpoint
from minigrid.runs.checkpoint_format import FORMAT, FORMAT_1, Meta, Progress, RunMeta, from_json, migrate, to_json
from minigrid.runs.config import Config
from minigrid.version import __version__

VOCABULARY = Vocabulary.from_text("añ\n🙂 z")
MODEL = CharModel(vocab_size=len(VOCABULARY), hidden=4, layers=2, seed=3)
PROGRESS = Progress(number=7, lr=0.002, losses=(1.5, 2.0), best=None, inherits=False, records=3)
RUN = RunMeta(config=dataclasses.asdict(Config(hidden=4)), sha256="0a1b", progress=PROGRESS)
META = Meta(model=MODEL.options, vocabulary=VOCABULARY, run=RUN)

OLD = {
    "format": FORMAT_1,
    "model": dataclasses.asdict(MODEL.options),
    "vocabulary": VOCABULARY.to_json(),
    "config": dataclasses.asdict(Config(hidden=4)),
    "sha256": "0a1b",
    "step": {"number": 7, "lr": 0.002},
    "losses": [1.5, 2.0],
    "best": None,
    "metrics": [{"split": "train", "step": 5, "loss": 2.0}],
    "inherits": False,
}


def stored(meta):
    """What a file says, read back from its JSON."""
    return json.loads(json.dumps(to_json(meta)))


def changed(values, path, value):
    """Set one value inside nested tables; ... removes it."""
    values = copy.deepcopy(values)
    *above, name = path.split(".")
    place = values
    for key in above:
        place = place[key]
    if value is ...:
        del place[name]
    else:
        place[name] = value
    return values


def refused(values):
    with pytest.raises(UserError) as problem:
        from_json(values, "runs/mine/last.npz")
    message = str(problem.value)
    assert "\n" not in message
    assert "runs/mine/last.npz" in message
    return message


@pytest.mark.parametrize(
    "meta",
    [
        META,
        Meta(model=MODEL.options, vocabulary=VOCABULARY),
        dataclasses.replace(META, run=dataclasses.replace(RUN, sha256=None, progress=None), made={"minutes": 4.0}),
    ],
)
def test_there_and_back(meta):
    read = from_json(stored(meta), "file")
    assert read == dataclasses.replace(meta, version=__version__)
    assert read.run is None or Config(**read.run.config) == Config(hidden=4)


def test_a_file_says_who_wrote_it():
    assert stored(META)["format"] == FORMAT == 2
    assert stored(dataclasses.replace(META, version="0.0.1"))["version"] == __version__


def test_a_model_alone(tmp_path):
    meta = Meta(model=MODEL.options, vocabulary=VOCABULARY)
    write_checkpoint(tmp_path / "model.npz", model_arrays(MODEL), meta)
    checkpoint = read_checkpoint(tmp_path / "model.npz")
    assert checkpoint.meta.run is None
    assert checkpoint.model().params.flat.tobytes() == MODEL.params.flat.tobytes()
    with pytest.raises(UserError, match=r"model\.npz holds a model only and does not say what it was trained on"):
        checkpoint.run()


def test_a_model_and_a_vocabulary_of_different_sizes():
    with pytest.raises(UserError, match="the model is made for 6 symbols, but the vocabulary has 1"):
        Meta(model=MODEL.options, vocabulary=Vocabulary("chars", (10,)))


# -- fields that are wrong


def test_a_newer_format_asks_for_an_update():
    assert refused(stored(META) | {"format": 3, "version": "9.1.0", "news": []}) == (
        "runs/mine/last.npz is a checkpoint of format 3, written by minigrid 9.1.0, but this is minigrid "
        f"{__version__}, which reads formats up to 2: update minigrid"
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": 3, "version": "\x1b[2J\n"}, r"of format 3, written by minigrid \x1b[2J\n, but this is"),
        ({"format": 3, "version": "1" * 10**6}, f"written by minigrid {'1' * 60}..., but this is"),
        ({"format": 3, "version": ["9"]}, "written by a newer version, but this is"),
        ({"format": 10**300}, f"is a checkpoint of format 1{'0' * 59}..., written by"),
        ({"made": 1, "version": "1" * 10**6}, f"the file, written by minigrid {'1' * 60}..., is damaged"),
        ({"x" * 10**5: 1}, f"'{'x' * 60}...' is unknown"),
        ({"\x1b[2J\n": 1}, r"'\x1b[2J\n' is unknown"),
    ],
)
def test_what_a_file_says_is_shown_on_one_line_in_a_readable_length(changes, words):
    message = refused(stored(META) | changes)
    assert words in message
    assert len(message) < 500


def paths(values, above=""):
    for name, value in values.items():
        yield f"{above}{name}"
        if isinstance(value, dict) and name in ("run", "progress", "vocabulary"):
            yield from paths(value, f"{above}{name}.")


@pytest.mark.parametrize("path", [path for path in paths(stored(META)) if path != "format"])
def test_every_field_is_checked(path):
    name = path.rpartition(".")[2]
    assert f"'{name}' is missing" in refused(changed(stored(META), path, ...))
    assert name in refused(changed(stored(META), path, [{"odd": 1}]))


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("format", 0, "'format' must be "),
        ("format", True, "'format' must be a whole number, not True"),
        ("version", 3, "'version' must be "),
        ("speed", 1, "'speed' is unknown"),
        ("run.progress.speed", 1, "in 'run.progress', 'speed' is unknown"),
        ("run.progress.number", -1, "in 'run.progress', 'number' must be at least 0, not -1"),
        ("run.progress.number", 1.5, "'number' must be a whole number, not 1.5"),
        ("run.progress.lr", float("nan"), "'lr' must be a finite number, not nan"),
        (
            "run.progress.losses",
            [1.0, None],
            "in 'run.progress.losses', it must be a list of finite numbers, not [1.0, None]",
        ),
        (
            "run.progress.losses",
            [float("inf")],
            "in 'run.progress.losses', it must be a list of finite numbers, not [inf]",
        ),
        (
            "run.progress.losses",
            [1e39],
            "in 'run.progress.losses', it must be a list of finite numbers, not [1e+39]",
        ),
        ("run.progress.losses", [10**400], "it must be a list of finite numbers, not [1000"),
        ("run.progress.best", 1e39, "'best' must be at most 3.4028"),
        ("run.progress.best", "good", "'best' must be a number, not 'good'"),
        ("run.progress.inherits", 1, "'inherits' must be true or false, not 1"),
        ("run.progress.records", -3, "'records' must be at least 0, not -3"),
        ("run.progress.metrics", [3], "in 'run.progress.metrics', 3 is not a record"),
        ("run.progress.metrics", [{"split": "val"}], "in 'run.progress.metrics', {'split': 'val'} is not a record"),
        (
            "run.progress.metrics",
            [{"split": "val", "step": 1, "loss": []}],
            "in 'run.progress.metrics', the loss [] is not a finite number",
        ),
        ("run.config", [], "in 'run.config', it must be a table of names and values, not []"),
        ("run.sha256", 3, "'sha256' must be "),
        ("run", 3, "in 'run', it must be a table of names and values, not 3"),
        ("made", 3, "in 'made', it must be a table of names and values, not 3"),
        ("model", [], "in 'model', it must be a table of names and values, not []"),
        ("model", {"model": "grid"}, "in 'model', 'vocab_size' is missing"),
        ("model.peephole", True, "in 'model', 'peephole' is unknown"),
        ("model.hidden", 0, "in 'model', 'hidden' must be "),
        ("vocabulary", {}, "in 'vocabulary', 'symbols' is missing"),
        ("vocabulary", 3, "in 'vocabulary', it must be a table of names and values, not 3"),
        ("vocabulary.symbols", [1.5], "in 'vocabulary', 'symbols' must be whole numbers, not [1.5]"),
        ("vocabulary.symbols", [3, 2], "in 'vocabulary', "),
        ("vocabulary.tokens", "words", "in 'vocabulary', "),
        ("vocabulary.symbols", [10], "the model is made for 6 symbols, but the vocabulary has 1"),
    ],
)
def test_a_field_that_is_wrong_is_one_sentence(path, value, words):
    message = refused(changed(stored(META), path, value))
    assert words in message
    assert "runs/mine/last.npz is not valid: " in message
    if path != "version":
        assert f"the file, written by minigrid {__version__}, is damaged or does not suit this version" in message


def test_an_option_that_a_file_lacks_has_its_default():
    assert from_json(changed(stored(META), "model.dropout", ...), "file").model.dropout == 0.0


# -- format 1


def test_format_1_becomes_the_present_one():
    meta = from_json(OLD, "file")
    progress = dataclasses.replace(PROGRESS, records=1, metrics=tuple(OLD["metrics"]))
    assert meta == dataclasses.replace(META, run=dataclasses.replace(RUN, progress=progress))
    assert from_json(stored(meta), "file") == dataclasses.replace(meta, version=__version__)


def test_format_1_with_parameters_only():
    made = {name: OLD[name] for name in ("format", "model", "vocabulary", "config", "sha256")} | {
        "made": {"minutes": 4}
    }
    meta = from_json(made, "file")
    assert meta.made == {"minutes": 4}
    assert meta.run == dataclasses.replace(RUN, progress=None)
    assert from_json({name: OLD[name] for name in ("format", "model", "vocabulary")}, "file").run is None


def test_format_1_from_before_runs_could_inherit():
    assert from_json(changed(OLD, "inherits", ...), "file").run.progress.inherits is False


@pytest.mark.parametrize("name", ["model", "vocabulary", "sha256", "losses", "best", "metrics"])
def test_format_1_with_a_field_missing(name):
    assert f"'{name}' is missing; the file, written by an older version, is damaged" in refused(changed(OLD, name, ...))
    assert name in refused(changed(OLD, name, {"odd": 1}))


@pytest.mark.parametrize("step", [3, {}, {"number": 3}])
def test_format_1_with_a_step_that_is_wrong(step):
    assert " is missing" in refused(OLD | {"step": step})


def test_the_present_format_needs_no_migration():
    assert migrate(stored(META)) == stored(META)
