"""Starting a run with the parameters of another one."""

import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_checks import assert_same_end, params_of, stopped
from run_fixtures import (
    TEXT,
    addition_config,
    call,
    done,
    metrics_of,
    refused,
    same_bits,
    text_config,
    trained,
    write_text,
)

from minigrid import CharModel, UserError, load
from minigrid.backend import to_host
from minigrid.data.batches import split_text
from minigrid.data.corpora.encoding import encode_text
from minigrid.data.vocabulary import Vocabulary
from minigrid.errors import Notice
from minigrid.runs import checkpoint
from minigrid.runs.checkpoint_format import Meta
from minigrid.runs.config import Config
from minigrid.runs.evaluation import evaluate
from minigrid.runs.init_from import inherited, joint_vocabulary, tell_of_new_symbols
from minigrid.runs.loop import train
from minigrid.runs.start import resume_run, start_run

pytestmark = pytest.mark.usefixtures("empty_folder", "no_pictures")


def test_init_from_starts_with_the_same_parameters(tmp_path, data):
    old = trained(tmp_path / "old", text_config(data, max_steps=50, lr=0.05))
    run = start_run(text_config(data, seed=7, lr=0.1), tmp_path / "new", init_from=str(tmp_path / "old" / "last.npz"))
    assert run.model.params.flat.tobytes() == old.model.params.flat.tobytes()
    assert not np.isclose(run.model.params["depth.bias"][8:16], 1, atol=0.09).all()  # trained, not set to 1 anew
    assert run.step.number == 0
    assert all((array == 0).all() for name, array in run.step.state_dict().items() if name.startswith("optimizer/"))


def test_inherited_parameters_are_measured_first_and_kept_if_nothing_is_better(tmp_path, data):
    old = trained(tmp_path / "old", text_config(data, max_steps=300, eval_every=50))
    run = start_run(text_config(data, max_steps=9, lr=1.0), tmp_path / "run", init_from=str(tmp_path / "old"))
    train(run)
    first, *others = (record for record in run.state.metrics if record["split"] == "val")
    assert (first["step"], first["loss"]) == (0, pytest.approx(old.state.best, rel=1e-6))
    assert all(record["loss"] > first["loss"] for record in others)
    assert same_bits(params_of(tmp_path / "run" / "best.npz"), params_of(tmp_path / "old" / "best.npz"))


@pytest.mark.filterwarnings("error")
def test_init_from_holds_out_what_was_held_out(tmp_path, data):
    held_out = {"split": "stripes", "val_fraction": 0.2, "test_fraction": 0.1, "batch": 7}
    trained(tmp_path / "old", text_config(data, **held_out, max_steps=2))
    old = checkpoint.read_checkpoint(tmp_path / "old")
    again = start_run(Config(**inherited(old, {}), backend="numpy"), tmp_path / "again", str(tmp_path / "old"))
    for part in ("train", "val"):
        assert_same_targets(getattr(again.task, part), getattr(resume_run(tmp_path / "old").task, part))
    assert not held_out.keys() & inherited(old, {"data": "another.txt"}).keys()


@pytest.mark.parametrize("other", [{"steps": 4}, {"batch": 3}, {"val_fraction": 0.3}, {"split": "tail"}])
def test_init_from_warns_if_another_part_is_held_out(tmp_path, data, other):
    held_out = {"split": "stripes", "val_fraction": 0.2}
    trained(tmp_path / "old", text_config(data, **held_out, max_steps=2))
    words = "was trained on the same text, split by `split` stripes, `val_fraction` 0.2, `test_fraction` 0.0, `batch` 4"
    with pytest.warns(Notice, match=words):
        start_run(text_config(data, **held_out | other), tmp_path / "new", str(tmp_path / "old"))


def assert_same_targets(one, other):
    assert len(one) == len(other)
    for index in range(len(one)):
        assert np.array_equal(one.minibatch(0, index)[1], other.minibatch(0, index)[1])


@pytest.mark.parametrize(
    "other", [{"hidden": 9}, {"layers": 1}, {"layers": 3}, {"tie": "none"}, {"model": "lstm"}, {"model": "gru"}]
)
def test_init_from_refuses_another_model(tmp_path, data, other):
    trained(tmp_path / "old", text_config(data, max_steps=3))
    with pytest.raises(UserError, match="does not fit the model: "):
        start_run(text_config(data, **other), tmp_path / "new", init_from=str(tmp_path / "old"))
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("name", "value", "its"),
    [("model", "lstm", "grid"), ("hidden", 9, 8), ("layers", 3, 2), ("tie", "layers", "none"), ("embedding", 4, 8)],
)
def test_sizes_that_contradict_the_model_are_refused(tmp_path, data, name, value, its):
    old = checkpoint.read_checkpoint(trained(tmp_path / "old", text_config(data, tie="none", max_steps=2)).folder)
    words = f"^`{name}` {value} contradicts `init_from`, whose model has `{name}` {its}: leave it out$"
    with pytest.raises(UserError, match=words):
        inherited(old, {name: value})
    assert inherited(old, {name: its})["tie"] == "none"
    assert inherited(old, {"priority": "none"})["hidden"] == 8


def test_the_embedding_is_taken_over_if_it_has_a_size_of_its_own(tmp_path, data):
    for embedding in (None, 0, 3):
        run = trained(tmp_path / f"old{embedding}", text_config(data, model="lstm", embedding=embedding, max_steps=2))
        assert inherited(checkpoint.read_checkpoint(run.folder), {})["embedding"] == embedding


def test_a_run_begins_with_a_model_that_no_run_wrote(tmp_path, data, capsys):
    model = CharModel("lstm", vocab_size=len(set(TEXT)), hidden=5, layers=1, lstm_output="paper", seed=9)
    meta = Meta(model=model.options, vocabulary=Vocabulary.from_text(TEXT))
    file = tmp_path / "model.npz"
    checkpoint.write_checkpoint(file, checkpoint.model_arrays(model), meta)
    sizes = ["--batch=4", "--steps=6", "--max-steps=1", "--run=r"]
    out = done(capsys, "train", "--init-from", file, "--data", data, *sizes)
    assert f"settings from {file}: --model lstm --hidden 5 --layers 1 --lstm-output paper" in out
    taken = resume_run(tmp_path / "r").model.options
    assert (taken.hidden, taken.lstm_output, taken.embedding) == (5, "paper", 5)
    assert "holds a model only and does not say what it was trained on: name a text with --data" in refused(
        capsys, "eval", file
    )
    assert "bits per character" in done(capsys, "eval", file, "--data", data)
    assert len(done(capsys, "sample", file, "--length=10")) == 11


# -- another text

OLD, NEW = TEXT, TEXT.replace("é", "ê").replace("Z", "(").replace("the", "THE")
MODELS = {
    "tied": {},
    "tied-layers": {"tie": "layers"},
    "untied": {"tie": "none", "priority": "none"},
    "lstm": {"model": "lstm", "lstm_output": "paper"},
    "lstm-one-hot": {"model": "lstm", "embedding": 0},
    "lstm-3": {"model": "lstm", "embedding": 3},
    "gru": {"model": "gru"},
    "gru-one-hot": {"model": "gru", "embedding": 0},
    "rnn-one-hot": {"model": "rnn", "embedding": 0},
    "one-layer": {"model": "rnn", "embedding": 0, "layers": 1},
    "bytes": {"tokens": "bytes"},
    "float64": {"dtype": "float64"},
    "cupy": {"backend": "cupy"},
    "cupy-one-hot": {"backend": "cupy", "model": "lstm", "embedding": 0},
}
QUIET = pytest.mark.filterwarnings("ignore::minigrid.errors.Notice")


def saved_model(file, text=OLD, tokens="chars", backend=None, **options):
    """A model that has strayed far from where it began, as by training, without a run."""
    vocabulary = Vocabulary.from_text(text, tokens)
    model = CharModel(**{"vocab_size": len(vocabulary), "hidden": 8, "layers": 2, "seed": 9} | options)
    model.params.flat[...] = np.random.default_rng(5).normal(0, 0.6, model.params.flat.shape)
    checkpoint.write_checkpoint(file, checkpoint.model_arrays(model), Meta(model=model.options, vocabulary=vocabulary))
    return model, vocabulary


def fine_tuned(folder, start, text, name="new", **settings):
    """A run on a text that begins with a checkpoint."""
    data = write_text(folder, text, f"{name}.txt")
    given = {"data": str(data), "batch": 4, "steps": 6, "backend": "numpy"} | settings
    return start_run(Config(**inherited(checkpoint.read_checkpoint(start), given) | given), folder / name, str(start))


def rows(params, name, ids):
    """The parts of a parameter that belong to some symbols; all of it, if no symbol has a part of its own."""
    if name == "decoder.weight":
        return params[name][:, ids]
    per_symbol = name in ("embedding.weight", "decoder.bias") or (name.endswith(".0.W_x") and len(params[name]) > 8)
    return params[name][ids] if per_symbol else params[name]


@QUIET
@pytest.mark.parametrize("options", MODELS.values(), ids=MODELS)
def test_old_characters_keep_their_parameters_and_new_ones_get_fresh_ones(tmp_path, fake_cupy, options):
    old, vocabulary = saved_model(tmp_path / "old.npz", **options)
    settings = {"backend": options.get("backend", "numpy")}
    one, other = (
        fine_tuned(tmp_path, tmp_path / "old.npz", NEW, name, seed=seed, **settings)
        for name, seed in (("one", 1), ("other", 2))
    )
    known, joint = set(vocabulary.symbols), one.task.vocabulary
    assert joint.symbols == tuple(sorted(known | set(Vocabulary.from_text(NEW, joint.tokens).symbols)))
    kept, new = ([k for k, symbol in enumerate(joint.symbols) if (symbol in known) == old] for old in (True, False))
    assert new
    fresh = CharModel.from_options(one.model.options, backend="numpy").params
    params, others = (
        {name: to_host(array) for name, array in model.params.items()} for model in (one.model, other.model)
    )
    for name, array in old.params.items():
        assert (rows(params, name, kept) == array.astype("float32")).all()
    for name in ("decoder.weight", "decoder.bias"):
        assert (rows(params, name, new) == rows(fresh, name, new)).all()
        assert (np.abs(rows(params, name, new)) <= 0.08).all()
        assert (rows(params, name, new) != rows(others, name, new)).all()
    read = next(name for name in params if name not in ("decoder.weight", "decoder.bias"))  # by the first layer
    assert (rows(params, read, new) == rows(fresh, read, new)).all()
    assert (rows(params, read, new) != rows(others, read, new)).all()


@QUIET
@pytest.mark.parametrize("options", [o for o in MODELS.values() if not {"backend", "dtype"} & o.keys()], ids=str)
def test_the_logits_of_old_characters_stay_the_same(tmp_path, options):
    old, vocabulary = saved_model(tmp_path / "old.npz", **options)
    run = fine_tuned(tmp_path, tmp_path / "old.npz", NEW)
    places = np.searchsorted(run.task.vocabulary.symbols, vocabulary.symbols)
    x = np.random.default_rng(0).integers(len(vocabulary), size=(7, 3))
    before, _, cache = old.forward(x, old.initial_state(3))
    after, _, new_cache = run.model.forward(places[x], run.model.initial_state(3))
    assert new_cache.top.tobytes() == cache.top.tobytes()
    # the product's rounding may depend on the number of its columns
    np.testing.assert_allclose(after[..., places], before, rtol=1e-5, atol=1e-5)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("tokens", ["chars", "bytes"])
def test_a_model_that_knows_every_character_keeps_its_vocabulary(tmp_path, tokens):
    old, vocabulary = saved_model(tmp_path / "old.npz", tokens=tokens)
    text = TEXT.replace("é", "").replace("Z", "")
    run = fine_tuned(tmp_path, tmp_path / "old.npz", text, batch=1)
    assert run.task.vocabulary == vocabulary
    assert run.model.params.flat.tobytes() == old.params.flat.tobytes()
    streams = [run.task.train.minibatch(0, k)[0][:, 0] for k in range(9)]
    assert np.concatenate(streams).tolist() == vocabulary.encode(text)[: 9 * 6].tolist()


@QUIET
def test_the_pretrained_loss_on_the_new_text_comes_first(tmp_path, data):
    trained(tmp_path / "old", text_config(data, max_steps=100))
    text = TEXT[::-1]
    run = fine_tuned(tmp_path, tmp_path / "old", text, max_steps=1)
    train(run)
    first = run.state.metrics[0]
    model, vocabulary = load(tmp_path / "old")
    batches = split_text(vocabulary.encode(text), 4, 6).val
    assert (first["step"], first["split"]) == (0, "val")
    assert first["loss"] == pytest.approx(evaluate(model, batches).loss, rel=1e-6)


@QUIET
@pytest.mark.parametrize("options", [{}, {"tokens": "bytes"}, {"model": "gru", "embedding": 0}], ids=str)
def test_a_fine_tuned_run_is_resumed_bit_by_bit(tmp_path, options):
    saved_model(tmp_path / "old.npz", **options)
    settings = {"max_steps": 40, "eval_every": 15, "dropout": 0.2}
    stopped(fine_tuned(tmp_path, tmp_path / "old.npz", NEW, **settings), 23)
    train(resume_run(tmp_path / "new"))
    train(fine_tuned(tmp_path, tmp_path / "old.npz", NEW, "whole", **settings))
    assert_same_end(tmp_path / "new", tmp_path / "whole")


@QUIET
def test_a_fine_tuned_run_is_measured_and_sampled(tmp_path, capsys):
    saved_model(tmp_path / "old.npz", TEXT + "QXY")
    data = write_text(tmp_path, NEW)
    sizes = ["--batch=4", "--steps=6", "--max-steps=30", "--eval-every=10", "--val-fraction=0.2", "--run=new"]
    done(capsys, "train", "--init-from=old.npz", "--data", data, *sizes)
    best = min(record["loss"] for record in metrics_of(tmp_path / "new") if record["split"] == "val")
    assert f"val: loss {best:.4f} nats" in done(capsys, "eval", "new")
    vocabulary = load("new")[1]
    assert vocabulary == Vocabulary.from_text(TEXT + "QXY" + NEW)
    assert len(done(capsys, "sample", "new", "--prime=Q(ê", "--length=50")) == 54
    assert "over 40 characters" in done(capsys, "eval", "new", "--data", write_text(tmp_path, "TEX(" * 10 + "Q", "q"))


@QUIET
def test_a_chain_of_texts_keeps_every_character(tmp_path):
    texts = [TEXT, TEXT.replace("é", "ê"), TEXT.replace("Z", "A"), TEXT]
    train(fine_tuned(tmp_path, saved(tmp_path), texts[1], "1", max_steps=5))
    train(fine_tuned(tmp_path, tmp_path / "1", texts[2], "2", max_steps=5))
    run = fine_tuned(tmp_path, tmp_path / "2", texts[3], "3")
    model, vocabulary = load(tmp_path / "2")
    assert run.task.vocabulary == vocabulary == Vocabulary.from_text("".join(texts))
    assert run.model.params.flat.tobytes() == model.params.flat.tobytes()


def saved(folder):
    saved_model(folder / "old.npz")
    return folder / "old.npz"


@given(st.text(st.characters(codec="utf-8"), min_size=1), st.text(st.characters(codec="utf-8"), min_size=1))
def test_the_joint_vocabulary_is_the_union(known, text):
    corpus, vocabulary = encode_text("text", text, "chars", "here"), Vocabulary.from_text(known)
    meta = Meta(model=CharModel("rnn", vocab_size=len(vocabulary), hidden=1).options, vocabulary=vocabulary)
    joint = joint_vocabulary(checkpoint.Checkpoint({}, meta, Path("old.npz")), corpus)
    assert joint == Vocabulary.from_text(known + text)


# -- what is said and refused


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (TEXT * 2, None),
        (TEXT + "ß", "1 of the 32 characters of here is new to the model and starts with random parameters: 'ß'"),
        ("abc" * 999 + TEXT + "ß+", "2 of the 33 characters of here are new to the model and start with random param"),
        (TEXT + "123456789", "8 of the 39 .* with only 2,089 characters of text, it may not learn them all$"),
        ("+-" * 999, "2 of the 2 .*; these are most of them, so what it has learnt may help little; with only 1,998"),
        ("+-*/%&$§ïü" * 9999, "and start with random parameters: .*; these are most of them, .* may help little$"),
    ],
)
def test_it_says_which_characters_are_new(text, words):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        tell_of_new_symbols(Vocabulary.from_text(TEXT), encode_text("text", text, "chars", "here"))
        tell_of_new_symbols(Vocabulary.from_text(TEXT), None)
    assert [bool(re.search(words, str(warning.message))) for warning in caught] == ([True] if words else [])
    assert all(warning.category is Notice for warning in caught)


def test_new_characters_are_one_line(tmp_path, capsys):
    saved_model(tmp_path / "old.npz")
    data = write_text(tmp_path, TEXT + "ß")
    outcome = call(capsys, "train", "--init-from=old.npz", "--data", data, "--batch=4", "--steps=6", "--max-steps=1")
    assert (outcome.code, outcome.err) == (
        0,
        f"note: 1 of the 32 characters of {data} is new to the model and starts with random parameters: 'ß' (U+00DF)\n",
    )


def test_bytes_that_are_new_are_called_bytes(tmp_path):
    saved_model(tmp_path / "old.npz", tokens="bytes")
    with pytest.warns(Notice, match=r"1 of the \d+ bytes of .* is new to the model .*: 0xBE$"):
        run = fine_tuned(tmp_path, tmp_path / "old.npz", TEXT + "þ")
    assert run.config.tokens == "bytes"


@pytest.mark.parametrize(("tokens", "other"), [("bytes", "chars"), ("chars", "bytes")])
def test_characters_and_bytes_do_not_mix(tmp_path, data, capsys, tokens, other):
    saved_model(tmp_path / "old.npz", tokens=tokens)
    units = {"chars": "characters", "bytes": "bytes"}
    words = f"the model of --init-from reads {units[tokens]}, not {units[other]}: leave out --tokens"
    assert words in refused(
        capsys, "train", "--init-from=old.npz", "--data", data, f"--tokens={other}", "--batch=4", "--run=new"
    )
    assert not (tmp_path / "new").exists()


def test_another_text_is_read_in_the_tokens_of_the_model(tmp_path, data):
    for tokens in ("chars", "bytes"):
        saved_model(tmp_path / "old.npz", tokens=tokens)
        old = checkpoint.read_checkpoint(tmp_path / "old.npz")
        assert inherited(old, {"corpus": "wiki-excerpt"})["tokens"] == tokens
        assert "tokens" not in inherited(old, {"task": "addition"})
    run = trained(tmp_path / "sums", addition_config(max_steps=1))
    old = checkpoint.read_checkpoint(run.folder)
    assert inherited(old, {"data": "text.txt"})["tokens"] == "chars"
    assert inherited(old, {"digits": 2})["tokens"] is None


def test_addition_goes_on_with_more_digits_and_with_a_text(tmp_path):
    old = trained(tmp_path / "old", addition_config(max_steps=3))
    run = start_run(addition_config(digits=2), tmp_path / "two", str(old.folder))
    assert run.model.params.flat.tobytes() == old.model.params.flat.tobytes()
    with pytest.warns(Notice, match="29 of the 31 characters"):
        run = fine_tuned(tmp_path, old.folder, TEXT, max_steps=2)
    assert len(run.task.vocabulary) == 13 + 29
    train(run)


def test_addition_has_no_room_for_other_characters(tmp_path, capsys):
    saved_model(tmp_path / "old.npz")
    words = (
        "--task addition has 13 chars of its own, and the model knows others: use a model that was trained on this task"
    )
    assert words in refused(capsys, "train", "--init-from=old.npz", "--task=addition", "--run=new")
    assert not (tmp_path / "new").exists()


def test_another_model_is_refused_without_a_note(tmp_path, data, capsys):
    saved_model(tmp_path / "old.npz", TEXT.replace("é", "e"))
    arguments = ["--init-from=old.npz", "--data", data, "--hidden=9", "--batch=4", "--run=new"]
    assert "--hidden 9 contradicts --init-from, whose model has --hidden 8" in refused(capsys, "train", *arguments)


def test_the_note_on_another_split_is_one_line(tmp_path, data, capsys):
    trained(tmp_path / "old", text_config(data, max_steps=2))
    arguments = ["--init-from=old", "--data", data, "--batch=4", "--steps=6", "--val-fraction=0.2", "--max-steps=1"]
    outcome = call(capsys, "train", *arguments, "--backend=numpy", "--run=new")
    assert outcome.code == 0
    assert outcome.err == (
        f"note: {tmp_path / 'old' / 'best.npz'} was trained on the same text, split by --split tail, --val-fraction "
        "0.05, --test-fraction 0.0: use the same settings, or the validation text will contain text that the model was "
        "trained on\n"
    ).replace(f"{tmp_path}/", "")
