import dataclasses
import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import sys
import warnings

import matplotlib.font_manager  # makes the font cache, so that the programs started here find one
import numpy as np
import pytest
from corpora_fixtures import source
from run_fixtures import (
    PROJECT,
    TEXT,
    arrays_of,
    call,
    contents,
    done,
    half_of,
    meta_of,
    no_space,
    outcome,
    python,
    refused,
    same_bits,
    write_text,
)

from minigrid import load
from minigrid.cli.commands import COMMANDS
from minigrid.cli.flags import flag, with_flags
from minigrid.data.corpora.sources import Download
from minigrid.errors import Notice
from minigrid.nn import cells
from minigrid.nn.options import value_type
from minigrid.runs import checkpoint, start
from minigrid.runs.checkpoint import read_checkpoint
from minigrid.runs.config import Config

SMALL = ["--hidden=8", "--batch=4", "--steps=6", "--backend=numpy"]
TRAIN = ["train", "--data=text.txt", *SMALL]
SHORT = ["--max-steps=3"]


def train_with(*options):
    """The usual training command, with other options in the place of its own."""
    names = {option.partition("=")[0] for option in options}
    return [argument for argument in TRAIN if argument.partition("=")[0] not in names] + [*options]


@pytest.fixture(autouse=True)
def here(small_runs):
    return small_runs


@pytest.fixture
def no_cupy(monkeypatch):
    """A machine without CuPy."""
    real = importlib.util.find_spec
    monkeypatch.setattr(
        "minigrid.backend.device.importlib.util.find_spec",
        lambda name, *package: None if name == "cupy" else real(name, *package),
    )


# -- mistakes


BAD_SETTINGS = {
    "--hidden=0": "minigrid: --hidden must be from 1 to 1,000,000, not 0.\n",
    "--hidden=-1": "--hidden must be from 1 to 1,000,000, not -1",
    "--hidden=1000000000000": "--hidden must be from 1 to 1,000,000, not 1000000000000",
    "--hidden=many": "--hidden must be a whole number, not 'many' (see minigrid train --help)",
    "--layers=0": "--layers must be from 1 to 1,000, not 0",
    "--batch=0": "--batch must be from 1 to 1,000,000, not 0",
    "--steps=0": "--steps must be from 1 to 1,000,000, not 0",
    "--dropout=1": "--dropout must be at least 0 and less than 1, not 1.0",
    "--dropout=-0.1": "--dropout must be at least 0 and less than 1, not -0.1",
    "--dropout=nan": "--dropout must be a finite number, not nan",
    "--lr=0": "--lr must be greater than 0, not 0.0",
    "--lr=nan": "--lr must be a finite number, not nan",
    "--lr=inf": "--lr must be a finite number, not inf",
    "--lr-decay=0": "--lr-decay must be greater than 0 and at most 1, not 0.0",
    "--lr-decay=1e200": "--lr-decay must be greater than 0 and at most 1, not 1e+200",
    "--batch=10000000000000000000": "--batch must be from 1 to 1,000,000, not 10000000000000000000",
    "--clip-norm=1e39": "--clip-norm must be a positive number, at most 3.4e+38, not 1e+39",
    "--lr=1e39": "lr must be a positive number, at most 3.4e+38, not 1e+39",
    "--digits=3": "--digits does not apply to --task text: leave it out",
    "--alpha=1": "--alpha must be at least 0 and less than 1, not 1.0",
    "--alpha=-1": "--alpha must be at least 0 and less than 1, not -1.0",
    "--clip=-1": "--clip must be at least 0, not -1.0",
    "--clip-norm=nan": "--clip-norm must be a finite number, not nan",
    "--epochs=0": "--epochs must be at least 1",
    "--max-steps=0": "--max-steps must be at least 1",
    "--eval-every=0": "--eval-every must be at least 1",
    "--seed=-1": "--seed must be at least 0, not -1",
    "--seed=99999999999999999999": "--seed must be at most 18,446,744,073,709,551,615, not",
    "--val-fraction=1.5": "--val-fraction must be at least 0 and less than 1, not 1.5",
    "--val-fraction=-0.1": "--val-fraction must be at least 0 and less than 1, not -0.1",
    "--val-fraction=nan": "--val-fraction must be a finite number, not nan",
    "--test-fraction=0.96": "leave no training text",
    "--embedding=10000000000": "--embedding must be from 0 to 1,000,000, not 10000000000",
    "--tokens=": "--tokens is empty: give a value, or leave it out",
    "--embedding=-1": "--embedding must be from 0 to 1,000,000, not -1",
    "--embedding=3": "--embedding must equal --hidden (8) in a grid model, not 3: leave it out",
    "--model=gird": "--model must be grid, lstm, gru or rnn, not 'gird' (did you mean grid?)",
    "--tie=all": "--tie must be depth, layers or none, not 'all'",
    "--priority=time": "--priority must be depth or none, not 'time'",
    "--lstm-output=papper": "--lstm-output must be standard or paper, not 'papper' (did you mean paper?)",
    "--backend=gpu": "--backend must be auto, numpy or cupy, not 'gpu'",
    "--optimizer=sgd": "--optimizer must be rmsprop or adam, not 'sgd'",
    "--split=random": "--split must be tail or stripes, not 'random'",
    "--task=sums": "--task must be text or addition, not 'sums'",
    "--tokens=words": "--tokens must be chars or bytes, not 'words'",
    "--corpus=pydoc": "--corpus pydoc and --data text.txt name two texts: give only one of them",
    "--task=addition": "--data does not apply to --task addition",
    "--config=missing.toml": "cannot read the config file missing.toml: No such file",
    "--init-from=missing": "no such run or checkpoint: missing",
    "--init-from=.": "contains no checkpoint",
    "--init-from=text.txt": "text.txt is not a minigrid checkpoint",
    "--run=chars": "the folder chars is not empty: --resume the run in it, or choose a new folder for the --run",
    "--run=text.txt": "text.txt is a file",
    "--run=text.txt/run": "cannot write text.txt/run: Not a directory",
    "--bogus": "unrecognized arguments: --bogus (see minigrid train --help)",
    "--hiden=8": "unrecognized arguments: --hiden=8 (did you mean --hidden?) (see minigrid train --help)",
}  # fmt: skip


@pytest.mark.parametrize("option", BAD_SETTINGS)
def test_a_bad_setting_is_one_sentence_and_loses_nothing(capsys, here, option):
    before = contents(here)
    assert BAD_SETTINGS[option] in refused(capsys, *train_with(option))
    assert contents(here) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("train --batch=4 --model=lstm --tie=none --data=text.txt", "--tie does not apply to --model lstm, only to"),
        ("train --batch=4 --model=gru --lstm-output=paper --data=text.txt", "--model gru, only to grid and lstm"),
        ("train --batch=4 --model=rnn --priority=none --data=text.txt", "--priority does not apply to --model rnn"),
        ("train --task=addition --digits=0", "--digits must be at least 1"),
        ("train --task=addition --digits=19", "between 1 and 18"),
        ("train --task=addition --steps=7", "--steps does not apply to --task addition: leave it out"),
        ("train --data=missing.txt", "there is no file missing.txt"),
        ("train --data=.", "contains no input.txt"),
        ("train --data=chars/last.npz", "is a file of NumPy arrays, such as a checkpoint: name a text file"),
        ("train --corpus=shakspeare", "or toywiki, not 'shakspeare' (did you mean shakespeare?)"),
        ("train --resume", "--resume needs --run DIR, the folder of the run to continue"),
        ("train --resume --run=missing", "missing is not the folder of a run (there is none under runs/)"),
        ("train --resume --run=.", "the folder . contains no checkpoint"),
        ("train --resume --run=text.txt", "text.txt is not the folder of a run"),
        ("train --resume --run=chars/last.npz", "to train a checkpoint further, start a new run with --init-from"),
        ("train --resume --run=chars --init-from=chars", "give only one of them"),
        ("train --resume --run=chars --hidden=9", "--hidden cannot change to 9 when a run is resumed (the run has 8)"),
        ("train --resume --run=chars --backend=cuda", "--backend must be auto, numpy or cupy, not 'cuda'"),
        ("train --resume --run=chars --epochs=0", "--epochs must be at least 1"),
        ("inspect missing", "no such run or checkpoint: missing"),
        ("inspect chars --text=", "there is no text to trace"),
        ("inspect chars --text=QØ%", "3 characters outside the vocabulary of"),
        ("inspect chars --text=QØ%", "'Q' (U+0051), 'Ø' (U+00D8), '%' (U+0025)"),
        ("inspect chars --out=gates.png", "end it with .html"),
        ("inspect chars --out=missing/gates.html", "cannot write missing/gates.html: there is no folder missing."),
        ("inspect chars --backend=gpu", "--backend must be auto, numpy or cupy, not 'gpu'"),
        ("plot missing", "missing is no folder with metrics.jsonl"),
        ("plot text.txt", "text.txt is no folder with metrics.jsonl"),
        ("plot chars --out=curve.doc", "cannot write curve.doc: Format 'doc' is not supported"),
        ("plot chars --out=curve", "--out curve does not say which format to write: end it with .png"),
        ("inspect chars --out=gates.PNG", "end it with .html"),
        ("gradcheck --tolerance=nan", "--tolerance must be greater than 0, not nan"),
        ("gradcheck --hidden=1000000000", "--hidden must be from 1 to 1,000,000, not 1000000000"),
        ("plot chars --out=missing/curve.png", "cannot write missing/curve.png: there is no folder missing."),
        ("plot", "the following arguments are required: RUN"),
        ("gradcheck --hidden=0", "--hidden must be from 1 to 1,000,000, not 0"),
        ("gradcheck --steps=0", "--steps must be from 1 to 1,000,000, not 0"),
        ("gradcheck --batch=-1", "--batch must be from 1 to 1,000,000, not -1"),
        ("gradcheck --directions=0", "--directions must be from 1 to 1,000,000, not 0"),
        ("gradcheck --vocabulary=0", "--vocabulary must be from 1 to 1,000,000, not 0"),
        ("gradcheck --seed=-1", "--seed must be at least 0, not -1"),
        ("gradcheck --model=gird", "--model must be grid, lstm, gru or rnn, not 'gird' (did you mean grid?)"),
        ("", "a command is missing: give one, such as train or sample (see minigrid --help)"),
        ("trian", "there is no command 'trian' (did you mean train?); the commands are train, sample"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence_and_loses_nothing(capsys, here, arguments, words):
    before = contents(here)
    assert words in refused(capsys, *arguments.split())
    assert contents(here) == before


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"a", "give a longer text"),
        (b"l'\xe9t\xe9 1999, " * 99, "is not UTF-8 at byte 2 (line 1): it looks like Latin-1 or cp1252, so convert it"),
        (b"l'\xe9t\xe9 1999, " * 99, ", or train a model of bytes on it (--tokens bytes)."),
        (("abc" * 500).encode("utf-16"), "is not UTF-8 at byte 0 (line 1): it looks like UTF-16, so convert it"),
        (b"abc" * 500 + b"\xff", "is not UTF-8 at byte 1500"),
    ],
)  # fmt: skip
def test_texts_that_cannot_be_used(capsys, here, content, words):
    (here / "text.txt").write_bytes(content)
    assert words in refused(capsys, *TRAIN)
    if b"\xff" in content:
        done(capsys, *TRAIN, *SHORT, "--tokens=bytes", "--run=new")


@pytest.mark.parametrize("split", ["tail", "stripes"])
@pytest.mark.parametrize("length", [60, 300, 1900, 2500])
def test_the_sizes_suggested_for_a_short_text_fit(capsys, here, split, length):
    write_text(here, (TEXT * 2)[:length])
    arguments = ["train", "--data=text.txt", "--hidden=8", "--backend=numpy", f"--split={split}", *SHORT]
    message = refused(capsys, *arguments)
    suggestion = re.search(r"(--batch \d+) and (--steps \d+) would fit\.", message)
    assert "fewer than the " in message
    done(capsys, *arguments, *suggestion[1].split(), *suggestion[2].split())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("hiden = 3", "broken.toml: there is no setting `hiden` (did you mean hidden?): correct or remove it"),
        ('hidden = "3"', "broken.toml: `hidden` must be a whole number, not '3'"),
        ("lr = true", "broken.toml: `lr` must be a number, not True"),
        ("val-fraction = 2", "broken.toml: `val_fraction` must be at least 0 and less than 1, not 2.0"),
        ("[model]\nhidden = 8", "broken.toml: remove the section header [model]: settings stand at the top"),
        ("hidden = ", "broken.toml is not valid TOML: "),
        ("data = 3", "broken.toml: `data` must be a string, not 3"),
        ('model = "gird"', "broken.toml: `model` must be grid, lstm, gru or rnn, not 'gird' (did you mean grid?)"),
    ],
)
def test_mistakes_in_a_config_file_name_its_keys(capsys, here, content, words):
    (here / "broken.toml").write_text(content)
    assert words in refused(capsys, "train", "--config=broken.toml")
    assert not (here / "runs").exists()


def test_settings_of_a_config_file_that_exclude_each_other_are_named_as_options(capsys, here):
    (here / "broken.toml").write_text("hidden = 8\nembedding = 3\n")
    message = refused(capsys, "train", "--config=broken.toml", "--data=text.txt")
    assert "--embedding must equal --hidden (8) in a grid model, not 3" in message


def test_a_corpus_that_cannot_be_downloaded(capsys, here, tmp_path, monkeypatch):
    url = "http://127.0.0.1:1/text8.zip"
    source(monkeypatch, "text8", Download("text8.zip", "0" * 64, url))
    message = refused(capsys, "train", "--corpus=text8")
    assert f"text8 cannot be downloaded from {url}" in message
    assert f"put the file into {tmp_path / 'data'} as text8.zip yourself" in message


def test_a_corpus_with_the_wrong_hash(capsys, here, tmp_path, monkeypatch):
    source(monkeypatch, "text8", Download("text8.zip", "0" * 64, "http://127.0.0.1:1/text8.zip"))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "text8.zip").write_bytes(b"something else")
    message = refused(capsys, "train", "--corpus=text8")
    assert f"not {'0' * 64}: replace it with the right file" in message
    assert contents(tmp_path / "data") == {"text8.zip": b"something else"}


@pytest.mark.parametrize(
    "command", [["train", "--data=text.txt"], ["sample", "chars"], ["eval", "chars"], ["gradcheck"]]
)
def test_cupy_is_not_installed(capsys, no_cupy, command):
    assert "--backend cupy needs CuPy, which is not installed" in refused(capsys, *command, "--backend=cupy")


def test_a_missing_backend_is_reported_before_a_text_is_fetched(capsys, no_cupy, monkeypatch):
    source(monkeypatch, "text8", Download("text8.zip", "0" * 64, "http://127.0.0.1:1/text8.zip"))
    assert "needs CuPy" in refused(capsys, "train", "--corpus=text8", "--backend=cupy")


def test_cupy_without_a_gpu(capsys, fake_cupy, monkeypatch):
    monkeypatch.setattr(fake_cupy.cuda.runtime, "getDeviceCount", lambda: 0)
    assert "this machine has none" in refused(capsys, *train_with("--backend=cupy"))

    def no_driver():
        raise fake_cupy.cuda.runtime.CUDARuntimeError("cudaErrorNoDevice")

    monkeypatch.setattr(fake_cupy.cuda.runtime, "getDeviceCount", no_driver)
    assert "finds none that it can use" in refused(capsys, *train_with("--backend=cupy"))
    done(capsys, "train", "--data=text.txt", *SMALL[:3], *SHORT, "--backend=auto", "--run=new")


@pytest.mark.parametrize("command", [["sample"], ["eval"], ["train", "--resume", "--run"]])
def test_checkpoints_that_are_cut_off_or_do_not_fit(capsys, here, command):
    best, last = (here / "chars" / name for name in ("best.npz", "last.npz"))
    best.unlink()
    whole = last.read_bytes()
    last.write_bytes(whole[: len(whole) // 2])
    before = contents(here)
    assert "last.npz is cut off or damaged" in refused(capsys, *command, "chars")
    last.write_bytes(whole)
    found = read_checkpoint(last)
    arrays = arrays_of(last) | {"params/decoder.bias": np.zeros(3, np.float32)}
    checkpoint.write_checkpoint(last, arrays, found.meta)
    message = refused(capsys, *command, "chars")
    assert "cannot be used, because decoder.bias is float32 of shape (3,)" in message
    assert contents(here).keys() == before.keys()


def test_carried_state_and_optimiser_that_do_not_fit(capsys, here):
    last = here / "chars" / "last.npz"
    arrays, meta = arrays_of(last), read_checkpoint(last).meta
    for name in ("optimizer/mean_square", "state/time.0.h"):
        changed = dict(arrays)
        for wrong, words in (
            (None, f"{name} is missing"),
            (arrays[name].astype(np.int32), f"{name} is int32 of shape"),
            (arrays[name].astype(np.float64), f"{name} is float64 of shape"),
            (arrays[name][1:], "but the model's is float32 of shape"),
            (np.full_like(arrays[name], np.nan), f"{name} has values that are not finite numbers"),
        ):
            del changed[name]
            if wrong is not None:
                changed[name] = wrong
            checkpoint.write_checkpoint(last, changed, meta)
            changed[name] = arrays[name]
            assert words in refused(capsys, "train", "--resume", "--run=chars", "--max-steps=40")


def test_a_full_disk(capsys, here, monkeypatch):
    monkeypatch.setattr(np, "savez", half_of(np.savez, no_space))
    before = contents(here / "chars")
    outcome = call(capsys, "train", "--resume", "--run=chars", "--max-steps=60")
    assert outcome.code == 2
    assert outcome.err == (
        "minigrid: cannot save chars/best.npz (No space left on device); the checkpoint saved before is intact: "
        "free some space, then continue with --resume.\n"
    )
    after = contents(here / "chars")
    assert {name: after[name] for name in ("best.npz", "last.npz")} == {n: before[n] for n in ("best.npz", "last.npz")}
    assert after.keys() == before.keys()


def test_too_little_memory(capsys, here, monkeypatch):
    def too_large(*args, **options):
        raise MemoryError

    monkeypatch.setattr(start, "CharModel", too_large)
    assert "not enough memory: try a smaller --hidden, --layers, --batch or --steps." in refused(capsys, *TRAIN)
    monkeypatch.setattr("minigrid.runs.checkpoint.read_checkpoint", too_large)
    assert refused(capsys, "sample", "chars") == "minigrid: not enough memory.\n"


def test_the_other_package_of_this_name_is_recognised(capsys, monkeypatch):
    real = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "2.3.1" if name == "minigrid" else real(name))
    message = refused(capsys, *TRAIN)
    assert "another project's package with the same import name, minigrid 2.3.1" in message
    assert "pip uninstall minigrid" in message


def test_ctrl_c_before_there_is_anything_to_save(capsys, monkeypatch):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(start, "start_run", interrupted)
    assert call(capsys, *TRAIN) == (130, "", "")


@pytest.mark.filterwarnings("error")
def test_a_diverging_run(capsys, here):
    outcome = call(capsys, *TRAIN, "--lr=1e38", "--run=new")
    assert outcome.code == 1
    assert outcome.err.startswith("training stopped: the loss or gradient is not a finite number at step 10; ")
    assert "start a new run with --init-from new and a smaller --lr (it was 1e+38) or --clip-norm 5" in outcome.err
    assert outcome.err.count("\n") == 1  # no warnings from NumPy
    load("new")


# -- help


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(capsys, command):
    text = done(capsys, command, "--help")
    assert f"usage: minigrid {command} " in text
    assert "default: " in text
    assert command in done(capsys, "--help")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_spells_options_as_they_are_typed(capsys, command):
    text = done(capsys, command, "--help")
    assert "`" not in text
    assert not re.findall(r"\b[a-z]+_[a-z]+", text)


def test_every_setting_is_an_option_with_its_default(capsys):
    flags = {field.name: flag(field.name) for field in dataclasses.fields(Config)}
    options = [" ".join(part.split()) for part in re.split(r"\n  (?=-)", done(capsys, "train", "--help"))]
    for field in dataclasses.fields(Config):
        described = next(
            option for option in options if option.startswith((f"{flag(field.name)} ", f"{flag(field.name)},"))
        )
        assert with_flags(field.metadata["help"], flags) in described
        default = "off" if field.default is False else field.default
        assert ("default" if field.default is None else f"(default: {default})") in described
        assert all(choice in described for choice in field.metadata["choices"] or ())


@pytest.mark.parametrize("field", dataclasses.fields(Config), ids=lambda field: field.name)
def test_every_setting_reaches_the_run(monkeypatch, capsys, field):
    started = []
    monkeypatch.setattr(start, "start_run", lambda config, *rest: started.append(config) or sys.exit(0))
    choices, kind = field.metadata["choices"], value_type(field)
    value = choices[-1] if choices else {int: 3, float: 0.25, str: "my.txt", bool: True}[kind]
    needed = {"digits": ["--task=addition"], "embedding": ["--model=lstm"]}.get(field.name, [])
    call(capsys, "train", *needed, flag(field.name) if kind is bool else f"{flag(field.name)}={value}")
    assert value != field.default
    assert getattr(started[0], field.name) == value


def test_gradcheck_shows_its_own_defaults(capsys):
    text = done(capsys, "gradcheck", "--help")
    assert "(default: 4)" in text
    assert "128" not in text


# -- commands that succeed


def test_the_command_line_overrides_the_config_file(capsys, here):
    (here / "settings.toml").write_text("hidden = 5\nlayers = 3\nmax-steps = 2\nbackend = 'numpy'\ncorpus = 'pydoc'\n")
    done(capsys, "train", "--config=settings.toml", "--data=text.txt", "--hidden=7", "--batch=4", "--run=new")
    config = json.loads((here / "new" / "config.json").read_text())
    assert (config["hidden"], config["layers"], config["max_steps"], config["steps"]) == (7, 3, 2, 50)
    assert (config["data"], config["corpus"]) == (str(here / "text.txt"), None)


def test_train_sample_and_evaluate_your_own_text(capsys, here):
    out = done(capsys, *TRAIN, "--max-steps=30")
    assert "everything is in runs/text-grid-2x8\n" in out
    assert "python -m minigrid sample runs/text-grid-2x8" in out
    prime = "café 😀 "
    text = done(capsys, "sample", "runs/text-grid-2x8", f"--prime={prime}", "--length=50", "--temperature=0.8")
    assert text.startswith(prime)
    assert len(text) == len(prime) + 50 + 1
    assert set(text) <= set(TEXT)
    line = done(capsys, "eval", "runs/text-grid-2x8")
    assert re.fullmatch(
        r"val: loss \d\.\d{4} nats, \d\.\d{4} bits per character, perplexity \d+\.\d+, over 96 characters\n", line
    )
    summary = f"done: 30 steps (limit set by --max-steps); best validation loss {line[10:16]} nats"
    assert out.strip().splitlines()[-2].startswith(summary)


def test_the_same_command_with_resume_continues_the_run(capsys, here):
    arguments = [*TRAIN, "--dropout=0.1", "--tie=depth"]
    done(capsys, *arguments, "--max-steps=20", "--run=new")
    done(capsys, *arguments, "--max-steps=40", "--run=new", "--resume")
    done(capsys, *arguments, "--max-steps=40", "--run=whole")
    assert meta_of(here / "new" / "last.npz")["run"]["progress"]["number"] == 40
    assert same_bits(arrays_of(here / "new" / "last.npz"), arrays_of(here / "whole" / "last.npz"))


def test_init_from_starts_a_new_run(capsys, here):
    before = contents(here / "chars")
    done(capsys, *TRAIN, "--init-from=chars", "--lr=1e-30", "--max-steps=1", "--run=new")
    assert contents(here / "chars") == before
    old, new = load("chars")[0], load("new")[0]
    assert (old.params.flat == new.params.flat).all()


def test_init_from_keeps_sizes_and_text(capsys, here):
    done(capsys, "train", "--init-from=chars", "--run=again", "--max-steps=2", "--lr=1e-4", "--batch=4")
    before, after = (json.loads((here / run / "config.json").read_text()) for run in ("chars", "again"))
    for name in ("model", "hidden", "layers", "tie", "data", "tokens"):
        assert after[name] == before[name]
    assert after["lr"] == 1e-4


@pytest.mark.parametrize("run", ["chars", "bytes", "addition"])
def test_inspect_writes_a_page_and_a_picture(capsys, here, run):
    assert done(capsys, "inspect", run) == "wrote gates.html and gates.png\n"
    assert f'"name":"{run}"' in (here / "gates.html").read_text(encoding="utf-8")
    assert (here / "gates.png").read_bytes().startswith(b"\x89PNG")
    page = (here / "gates.html").read_bytes()
    done(capsys, "inspect", run)
    assert (here / "gates.html").read_bytes() == page  # the model's own text is the same every time


def test_inspect_reads_your_text(capsys, here):
    done(capsys, "inspect", "bytes/last.npz", "--text", "né", "--out", "one.html")
    page = (here / "one.html").read_text(encoding="utf-8")
    assert '"name":"last.npz"' in page
    assert len(json.loads(re.search(r'"text":(\[.*?\])', page)[1])) == 3
    assert (here / "one.png").exists()


def test_a_run_that_has_recorded_nothing_is_not_drawn(capsys, here):
    (here / "chars" / "metrics.jsonl").write_text("")
    assert "the run chars has recorded nothing yet: leave it out" in refused(capsys, "plot", "chars", "addition")
    assert not (here / "curves.png").exists()


def test_plot_draws_several_runs(capsys, here):
    (here / "elsewhere").mkdir()
    shutil.copytree("chars", "elsewhere/chars")
    names = ["chars", "bytes", "elsewhere/chars"]
    assert done(capsys, "plot", *names) == "wrote curves.png\n"
    assert (here / "curves.png").read_bytes().startswith(b"\x89PNG")
    done(capsys, "plot", *names, "--out=curves.svg")
    svg = (here / "curves.svg").read_text()
    assert all(f"<!-- {name}, training -->" in svg for name in names)


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--model=lstm", "--train-step", "--dropout=0.3"],
        ["--model=gru", "--embedding=0", "--directions=2"],
        ["--tie=layers", "--priority=none", "--lstm-output=paper", "--layers=3", "--hidden=2"],
    ],
)
def test_gradcheck_passes(capsys, options):
    out = done(capsys, "gradcheck", *options)
    assert "worst:" in out
    assert out.strip().splitlines()[-1].startswith("passed: ")


def test_gradcheck_finds_a_planted_error(capsys, monkeypatch):
    backward = cells.CELLS["rnn"].backward

    def wrong(self, *arguments):
        dsource, dmemory, dstate = backward(self, *arguments)
        return dsource, dmemory, {name: 1.001 * d for name, d in dstate.items()}

    monkeypatch.setattr(cells.CELLS["rnn"], "backward", wrong)
    outcome = call(capsys, "gradcheck", "--model=rnn")
    assert outcome.code == 1
    *_, verdict = outcome.out.strip().splitlines()
    assert verdict.startswith("FAILED: ")
    assert "state0/rnn.0.h[" in outcome.out.split("worst:")[1]


# -- notes


def test_a_notice_is_one_plain_line(capsys, monkeypatch):
    def run(options):
        for _ in range(2):  # the same place may have something to say twice
            warnings.warn("`top_k` has no effect here, `vocabulary` has 2 symbols", Notice, stacklevel=1)
        return 0

    monkeypatch.setattr(COMMANDS["sample"], "run", run)
    before = warnings.showwarning, warnings.filters[:]
    assert call(capsys, "sample", "chars").err == "note: --top-k has no effect here, `vocabulary` has 2 symbols\n" * 2
    assert (warnings.showwarning, warnings.filters) == before


def test_other_warnings_look_as_usual(capsys, monkeypatch):
    monkeypatch.setattr(COMMANDS["sample"], "run", lambda options: warnings.warn("odd", RuntimeWarning, stacklevel=1))
    with pytest.warns(RuntimeWarning, match="odd"):
        assert call(capsys, "sample", "chars").err == ""


# -- as programs


def test_the_programs_run(here):
    arguments = [*TRAIN[1:], "--max-steps=20", "--run=new"]
    # If HOME is not writable, Matplotlib says so on stderr, unless it is given a folder.
    folder = matplotlib.get_cachedir()
    train = outcome(python(PROJECT / "train.py", *arguments, cwd=here, MPLCONFIGDIR=folder))
    assert (train.code, train.err) == (0, "")
    picture = (here / "new" / "loss.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    processes = {
        "sample.py": python(PROJECT / "sample.py", "new", "--length=20", "--prime=é 😀", cwd=here),
        "eval": python("-m", "minigrid", "eval", "new", cwd=here),
        "mistake": python(PROJECT / "sample.py", "new", "--length=x", cwd=here),
        "help": python(PROJECT / "train.py", "--help", cwd=here),
    }
    outcomes = {name: outcome(process) for name, process in processes.items()}
    assert [found.code for found in outcomes.values()] == [0, 0, 2, 0]
    assert outcomes["sample.py"].out.startswith("é 😀")
    assert "bits per character" in outcomes["eval"].out
    assert outcomes["mistake"].err == ("sample.py: --length must be a whole number, not 'x' (see sample.py --help)\n")
    assert outcomes["help"].out.startswith("usage: train.py [-h] [--version] [--run DIR]")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
@pytest.mark.parametrize("command", ["sample chars", "eval chars"])
def test_output_that_cannot_be_written(here, command):
    onto = "import os, sys; os.dup2(os.open('/dev/full', os.O_WRONLY), 1); "
    code = onto + "from minigrid.cli.main import main; sys.exit(main())"
    found = outcome(python("-c", code, *command.split(), cwd=here))
    assert (found.code, found.err) == (2, "minigrid: cannot write the output: No space left on device.\n")


def test_a_file_name_that_is_too_long(capsys, here):
    assert f"no such run or checkpoint: {'x' * 300}; give the folder" in refused(capsys, "sample", "x" * 300)
    assert f"cannot use {'x' * 300}: File name too long" in refused(capsys, *TRAIN, "--run", "x" * 300)
    assert len(refused(capsys, "sample", "x" * 10_000)) < 1000


def overflowing(source, target):
    """Write a checkpoint whose weights are finite, but too large to compute with."""
    saved = read_checkpoint(source)
    for array in saved.arrays.values():
        array[...] = 3e38
    checkpoint.write_checkpoint(target, saved.arrays, saved.meta)


@pytest.mark.parametrize(
    "command",
    [
        "sample large.npz",
        "sample large.npz --argmax",
        "eval large.npz",
        "eval large.npz --text=ab",
        "inspect large.npz",
        "inspect large.npz --text=ab",
    ],
)
def test_weights_that_are_too_large_to_compute_with(capsys, here, command):
    overflowing(here / "chars", here / "large.npz")
    before = contents(here)
    assert "the model computes numbers that are not finite, because its weights are too large" in refused(
        capsys, *command.split()
    )
    assert contents(here) == before


def test_importing_is_quiet_and_light(tmp_path):
    modules = ["matplotlib", "cupy", "tqdm", "minigrid.cli.main", "minigrid.runs.loop", "minigrid.runs.start"]
    code = f"import sys, minigrid; assert not [m for m in {modules} if m in sys.modules]"
    assert outcome(python("-c", code, cwd=tmp_path)) == (0, "", "")


def test_the_commands_wait_for_matplotlib_until_they_draw(here):
    code = "import sys; from minigrid.cli.main import main; main(); assert 'matplotlib' not in sys.modules"
    assert outcome(python("-c", code, "sample", "chars", "--length=1", cwd=here)).code == 0
