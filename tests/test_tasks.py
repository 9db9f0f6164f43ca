import dataclasses
import re
import warnings

import numpy as np
import pytest
from corpora_fixtures import own_data_folder, without_pip
from hypothesis import given
from hypothesis import strategies as st
from run_fixtures import SMALL, TEXT, addition_config, call, contents, refused, text_config, trained, write_text

from minigrid import UserError
from minigrid.data import addition
from minigrid.data.addition import AdditionBatches
from minigrid.data.batches import TextBatches
from minigrid.data.corpora.encoding import encode_text, id_type
from minigrid.data.vocabulary import Vocabulary
from minigrid.errors import Notice
from minigrid.runs.checkpoint import model_arrays, read_checkpoint, write_checkpoint
from minigrid.runs.checkpoint_format import Meta
from minigrid.runs.config import Config
from minigrid.runs.tasks import (
    config_of,
    make_task,
    require_same_text,
    resolve,
    task_of,
    text_batches,
    translate,
    unit_of,
    warn_of_oddities,
)

pytestmark = pytest.mark.usefixtures("empty_folder")

KINDS = st.sampled_from(["chars", "bytes"])


@pytest.fixture(scope="module")
def old_run(tmp_path_factory):
    """A run on TEXT, cut off after three minibatches."""
    folder = tmp_path_factory.mktemp("old")
    return trained(folder / "run", text_config(write_text(folder), max_steps=3, test_fraction=0.1))


def read_back(batches, vocabulary):
    """The characters of the first stream of some minibatches."""
    return vocabulary.decode(np.concatenate([batches.minibatch(0, k)[0][:, 0] for k in range(len(batches))]))


def test_a_text_is_cut_into_its_parts(data):
    config, corpus = resolve(text_config(data, batch=1, val_fraction=0.2, test_fraction=0.1))
    task = make_task(config, corpus)
    train, val, test = (read_back(part, task.vocabulary) for part in (task.train, task.val, task.test))
    assert TEXT.startswith(train)
    assert TEXT[int(0.7 * len(TEXT)) :].startswith(val)
    assert TEXT[int(0.9 * len(TEXT)) :].startswith(test)
    assert all(isinstance(part, TextBatches) for part in (task.train, task.val, task.test))
    assert (task.unit, len(task.vocabulary), task.sha256) == ("character", len(set(TEXT)), corpus.sha256)


def test_nothing_held_out(data):
    task = make_task(*resolve(text_config(data, val_fraction=0)))
    assert task.val is None
    assert task.test is None


def test_addition_needs_no_text():
    config, corpus = resolve(addition_config())
    task = make_task(config, corpus)
    assert corpus is None
    assert task.sha256 is None
    assert isinstance(task.train, AdditionBatches)
    assert (task.val.batch, task.val.digits, task.test, task.unit) == (4, 1, None, "character")


def test_the_seed_chooses_the_problems():
    one, other = (make_task(addition_config(seed=seed), None) for seed in (1, 2))
    assert (one.train.minibatch(0, 0)[0] != other.train.minibatch(0, 0)[0]).any()
    assert (one.val.minibatch(0, 0)[0] == other.val.minibatch(0, 0)[0]).all()


def test_what_was_loaded_is_named(data):
    config, _ = resolve(text_config("text.txt"))
    assert (config.data, config.tokens, config.corpus) == (str(data), "chars", None)
    config, corpus = resolve(text_config("text.txt", tokens="bytes"))
    assert make_task(config, corpus).unit == "byte"
    config, _ = resolve(Config(corpus="pydoc"))
    assert (config.corpus, config.tokens, config.data) == ("pydoc", "chars", None)


def test_a_replaced_default_corpus_is_named(tmp_path, monkeypatch):
    own_data_folder(tmp_path, monkeypatch)
    without_pip(monkeypatch)
    with pytest.warns(Notice, match="pydoc instead of shakespeare"):
        config, corpus = resolve(Config())
    assert config.corpus == corpus.name == "pydoc"


# -- the task of a checkpoint


def test_the_task_of_a_checkpoint(old_run):
    checkpoint = read_checkpoint(old_run.folder)
    task = task_of(checkpoint)
    assert config_of(checkpoint) == old_run.config
    for part, whole in zip((task.train, task.val, task.test), old_run.task, strict=False):
        assert (part.minibatch(0, 0)[0] == whole.minibatch(0, 0)[0]).all()


def test_another_text_is_read_whole_in_the_models_ids(old_run, tmp_path):
    verse = "The 3 cats of Zürich 🙂\n".replace("T", "t")
    batches = text_batches(read_checkpoint(old_run.folder), str(write_text(tmp_path, verse)))
    vocabulary = old_run.task.vocabulary
    assert batches.steps == SMALL["steps"]
    targets = np.concatenate([batches.minibatch(0, k)[1].T.ravel() for k in range(len(batches))])
    assert set(vocabulary.decode(targets)) <= set(verse)
    assert vocabulary.decode(batches.minibatch(0, 0)[0][:, 0]) == verse[: SMALL["steps"]]


def test_a_model_alone_reads_a_text_but_has_no_task(old_run, tmp_path):
    meta = Meta(model=old_run.model.options, vocabulary=old_run.task.vocabulary)
    write_checkpoint(tmp_path / "model.npz", model_arrays(old_run.model), meta)
    checkpoint = read_checkpoint(tmp_path / "model.npz")
    assert text_batches(checkpoint, str(write_text(tmp_path, TEXT))).steps == Config().steps
    words = r"model\.npz holds a model only and does not say what it was trained on: name a text with `data`"
    for need in (task_of, config_of):
        with pytest.raises(UserError, match=words):
            need(checkpoint)


def test_another_text_with_unknown_characters(old_run, tmp_path):
    other = write_text(tmp_path, TEXT + "ß%")
    words = r"characters that the model does not know: '%' \(U\+0025\), 'ß' \(U\+00DF\); remove them, skip them \(`oov`"
    with pytest.raises(UserError, match=words) as problem:
        text_batches(read_checkpoint(old_run.folder), str(other))
    assert str(other) in str(problem.value)
    words = f"left out of {other}: 2 of {len(TEXT) + 2:,} characters, which the model does not know: '%' (U+0025), 'ß'"
    with pytest.warns(Notice, match=f"^{re.escape(words)} "):
        skipping = text_batches(read_checkpoint(old_run.folder), str(other), skip_unknown=True)
    same = text_batches(read_checkpoint(old_run.folder), str(write_text(tmp_path, TEXT, "known.txt")))
    np.testing.assert_array_equal(skipping.minibatch(0, 0), same.minibatch(0, 0))


def test_an_addition_model_reads_no_text(tmp_path, data):
    run = trained(tmp_path / "run", addition_config(max_steps=1))
    with pytest.raises(UserError, match="was trained on addition and cannot be measured on a text: leave out `data`"):
        text_batches(read_checkpoint(run.folder), str(data))
    assert len(task_of(read_checkpoint(run.folder)).val) == len(run.task.val)


def test_a_text_that_has_changed_or_gone(tmp_path, data):
    run = trained(tmp_path / "run", text_config(data, max_steps=1))
    before = contents(run.folder)
    data.write_text(TEXT + " ß")
    with pytest.raises(UserError, match="the text has changed"):
        task_of(read_checkpoint(run.folder))
    data.unlink()
    with pytest.raises(UserError, match=f"is no longer at {data}: if it has moved, name its new place with `data`"):
        task_of(read_checkpoint(run.folder))
    assert contents(run.folder) == before


def test_settings_of_another_version(old_run):
    checkpoint = read_checkpoint(old_run.folder)
    checkpoint.meta.run.config["epoch"] = 3
    words = r"best\.npz has a setting that this version of minigrid does not know, 'epoch' \(did you mean epochs\?\)"
    with pytest.raises(UserError, match=words):
        config_of(checkpoint)
    checkpoint.model()  # needs no settings


def test_settings_that_a_file_lacks_have_their_defaults(old_run):
    checkpoint = read_checkpoint(old_run.folder)
    for name in ("tf32", "device", "alpha"):
        del checkpoint.meta.run.config[name]
    assert config_of(checkpoint) == old_run.config


def test_settings_that_are_not_valid(old_run):
    checkpoint = read_checkpoint(old_run.folder)
    checkpoint.meta.run.config["batch"] = 0
    with pytest.raises(UserError, match=r"the settings in the checkpoint .*npz are not valid: 'batch' must be from 1"):
        config_of(checkpoint)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tokens": "bytes"}, "'tokens' is bytes, but the vocabulary consists of chars"),
        ({"task": "addition", "data": None, "tokens": None}, "'task' is addition, but the vocabulary is another one"),
        ({"hidden": 9}, "'hidden' is 9, but the model's is 8"),
        ({"tie": "none"}, "'tie' is none, but the model's is depth"),
        ({"model": "rnn"}, "'model' is rnn, but the model's is grid"),
    ],
)
def test_settings_that_do_not_belong_to_the_model(old_run, changes, words):
    checkpoint = read_checkpoint(old_run.folder)
    checkpoint.meta.run.config.update(changes)
    with pytest.raises(UserError, match=rf"the settings in the checkpoint .*npz are not valid: {words}$"):
        config_of(checkpoint)


def test_a_long_name_of_a_setting_is_cut_off(old_run):
    checkpoint = read_checkpoint(old_run.folder)
    checkpoint.meta.run.config["x" * 10**6] = 1
    with pytest.raises(UserError, match=r"does not know, 'x{60}\.\.\.': use the version"):
        config_of(checkpoint)


def test_translation():
    ours, theirs = encode_text("ours", "abcdé", "chars", "here"), encode_text("theirs", "dabé", "chars", "there")
    ids = translate(theirs, ours.vocabulary)
    assert ours.vocabulary.decode(ids) == "dabé"
    with pytest.raises(UserError, match=r"^there has characters that the model does not know: 'e'"):
        translate(encode_text("theirs", "ae", "chars", "there"), ours.vocabulary)
    with pytest.warns(Notice, match="left out of there: 2 of 4 characters, which the model does not know: 'e'"):
        left = translate(encode_text("theirs", "aebe", "chars", "there"), ours.vocabulary, skip_unknown=True)
    assert ours.vocabulary.decode(left) == "ab"
    assert translate(ours, ours.vocabulary) is ours.ids


@given(st.text(st.characters(codec="utf-8"), min_size=1), st.text(st.characters(codec="utf-8")), KINDS)
def test_a_text_keeps_its_symbols_in_any_vocabulary(text, more, tokens):
    corpus, vocabulary = encode_text("text", text, tokens, "here"), Vocabulary.from_text(text + more, tokens)
    ids = translate(corpus, vocabulary, skip_unknown=True)
    assert vocabulary.decode(ids) == text
    assert ids.dtype == id_type(vocabulary)


@given(st.text("abcdé"), st.text("abcd€", min_size=1), KINDS)
def test_skipping_leaves_the_rest_in_order(text, known, tokens):
    corpus, vocabulary = encode_text("text", text, tokens, "here"), Vocabulary.from_text(known, tokens)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Notice)
        ids = translate(corpus, vocabulary, skip_unknown=True)
    kept = [value for value in np.array(corpus.vocabulary.symbols, int)[corpus.ids] if value in vocabulary.symbols]
    assert [vocabulary.symbols[k] for k in ids] == kept


def test_all_256_bytes_fit_a_byte():
    vocabulary = Vocabulary("bytes", tuple(range(256)))
    assert translate(encode_text("text", "é", "bytes", "here"), vocabulary).tolist() == [0xC3, 0xA9]
    assert translate(encode_text("text", "é", "bytes", "here"), vocabulary).dtype == np.uint8


# -- the task of a model with another vocabulary


def test_a_task_has_the_vocabulary_of_its_model(data):
    config, corpus = resolve(text_config(data, batch=1))
    vocabulary = Vocabulary.from_text(TEXT + "ABC")
    task = make_task(config, corpus, vocabulary)
    assert task.vocabulary is vocabulary
    assert TEXT.startswith(read_back(task.train, vocabulary))
    with pytest.raises(UserError, match="has characters that the model does not know"):
        make_task(config, corpus, Vocabulary.from_text("ABC"))


def test_a_text_in_its_own_vocabulary_is_not_copied(data):
    config, corpus = resolve(text_config(data))
    task = make_task(config, corpus, Vocabulary(*dataclasses.astuple(corpus.vocabulary)))
    before = task.train.minibatch(0, 0)[0][0, 0]
    corpus.ids[0] = before + 1
    assert task.train.minibatch(0, 0)[0][0, 0] == before + 1


def test_addition_has_a_vocabulary_of_its_own():
    config = addition_config()
    assert make_task(config, None, addition.vocabulary()).vocabulary == addition.vocabulary()
    words = "`task` addition has 13 chars of its own, and the model knows others: use a model that was trained on this"
    with pytest.raises(UserError, match=words):
        make_task(config, None, Vocabulary.from_text("0123456789+=\n-"))


def test_odd_characters_are_noted():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_oddities(encode_text("text", "ab\n", "chars", "here"))
        warn_of_oddities(None)
        assert caught == []
        warn_of_oddities(encode_text("text", "ab\r\n\0", "chars", "here"))
    words = ["here has the line ends of Windows (\\r\\n), which", "here has 1 x U+0000 (a zero byte), which"]
    assert [str(warning.message).split(" the model")[0] for warning in caught] == words
    assert {warning.category for warning in caught} == {Notice}


def test_the_name_of_a_symbol():
    assert (unit_of(Vocabulary("chars", (97,))), unit_of(Vocabulary("bytes", (97,)))) == ("character", "byte")


def test_the_same_text_is_accepted(data):
    corpus = resolve(text_config(data))[1]
    require_same_text(corpus, corpus.sha256, "run")
    require_same_text(None, None, "run")
    with pytest.raises(UserError, match=r"since run was trained \(its SHA-256 is "):
        require_same_text(corpus, None, "run")


def test_one_symbol_is_enough_for_a_text(tmp_path):
    task = make_task(*resolve(text_config(write_text(tmp_path, "a" * 100))))
    assert task.vocabulary == Vocabulary.from_text("a")


# -- notes on the command line


def test_a_note_on_odd_characters_is_one_line(tmp_path, capsys):
    data = write_text(tmp_path, TEXT.replace("\n", "\r\n"))
    sizes = ["--hidden=4", "--batch=4", "--steps=6", "--max-steps=1", "--backend=numpy", "--run=run"]
    outcome = call(capsys, "train", "--data", data, *sizes)
    assert outcome.code == 0
    assert outcome.err == (
        f"note: {data} has the line ends of Windows (\\r\\n), which the model will learn like any other character: "
        f"mend the text with `tr -d '\\r' < {data} > {data.with_suffix('.mended.txt')}`\n"
    )
    assert call(capsys, "train", "--resume", "--run=run", "--max-steps=2").err == ""


def test_a_note_on_what_is_left_out_is_one_line(old_run, tmp_path, capsys):
    data = write_text(tmp_path, TEXT + "%")
    outcome = call(capsys, "eval", old_run.folder, "--data", data, "--oov=skip")
    count = len(TEXT) + 1
    words = f"left out of {data}: 1 of {count:,} characters, which the model does not know: '%' (U+0025)"
    assert (outcome.code, outcome.err) == (0, f"note: {words}\n")
    assert "skip them (--oov skip)" in refused(capsys, "eval", old_run.folder, "--data", data)
