import contextlib
import io
import json
import os
import pickle
import zipfile

import numpy as np
import pytest
from run_fixtures import SMALL, arrays_of, contents, half_of, no_space, same_bits

from minigrid import CharModel, UserError, load
from minigrid.data.vocabulary import Vocabulary
from minigrid.runs.checkpoint import (
    find_checkpoint,
    model_arrays,
    read_checkpoint,
    read_description,
    write_checkpoint,
)
from minigrid.runs.checkpoint_format import FORMAT, Meta, to_json
from minigrid.version import __version__

VOCABULARY = Vocabulary.from_text("añ\n🙂 z")
MODEL = CharModel(vocab_size=len(VOCABULARY), hidden=4, layers=2, seed=3)
META = Meta(model=MODEL.options, vocabulary=VOCABULARY)


def written(path, model=MODEL, changes=()):
    """Write a checkpoint of a model, with other arrays in the place of its own; None leaves one out."""
    arrays = model_arrays(model) | dict(changes)
    meta = Meta(model=model.options, vocabulary=VOCABULARY)
    write_checkpoint(path, {name: array for name, array in arrays.items() if array is not None}, meta)
    return path


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def path(tmp_path):
    return written(tmp_path / "last.npz")


def unreadable(path):
    """Return the one sentence with which a file is refused."""
    with pytest.raises(UserError) as problem:
        load(path)
    message = str(problem.value)
    assert str(path) in message
    assert "\n" not in message
    return message


# -- there and back


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_save_and_load(tmp_path, dtype):
    model = CharModel("lstm", vocab_size=len(VOCABULARY), hidden=3, lstm_output="paper", embedding=2, dtype=dtype)
    path = written(tmp_path / "last.npz", model)
    loaded, vocabulary = load(path)
    assert loaded.options == model.options
    assert loaded.params.flat.tobytes() == model.params.flat.tobytes()
    assert vocabulary == VOCABULARY
    checkpoint = read_checkpoint(path)
    assert checkpoint.path == path
    assert checkpoint.arrays.keys() == {f"params/{name}" for name in model.params}
    assert checkpoint.meta == Meta(model=model.options, vocabulary=VOCABULARY, version=__version__)


def test_numpy_alone_can_read_it(path):
    with np.load(path, allow_pickle=False) as file:
        assert same_bits({n: file[f"params/{n}"] for n in MODEL.params}, dict(MODEL.params))
        assert json.loads(file["meta"].tobytes())["format"] == FORMAT


def test_nothing_in_it_is_pickled(path, monkeypatch):
    with zipfile.ZipFile(path) as archive:
        kinds = {
            np.lib.format.read_array(archive.open(name), allow_pickle=False).dtype.kind for name in archive.namelist()
        }
    assert kinds == {"f", "u"}


def test_a_checkpoint_cannot_run_code(tmp_path):
    class Attack:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "attacked"),)

    attacks = {"bare": pickle.dumps(Attack()), "array": io.BytesIO(), "meta": io.BytesIO(), "params": io.BytesIO()}
    np.save(attacks["array"], np.array([Attack()]), allow_pickle=True)
    np.savez(attacks["meta"], meta=np.array([Attack()]))
    np.savez(
        attacks["params"],
        meta=np.frombuffer(json.dumps(to_json(META)).encode(), np.uint8),
        x=np.array([Attack()]),
    )
    for name, attack in attacks.items():
        (tmp_path / name).write_bytes(attack if isinstance(attack, bytes) else attack.getvalue())
        unreadable(tmp_path / name)
    assert not (tmp_path / "attacked").exists()


@pytest.mark.parametrize(
    ("there", "found"),
    [(["best.npz", "last.npz"], "best.npz"), (["last.npz"], "last.npz"), (["best.npz"], "best.npz")],
)
def test_a_folder_means_its_best_checkpoint(tmp_path, there, found):
    for name in there:
        written(tmp_path / name)
    assert find_checkpoint(tmp_path) == read_checkpoint(tmp_path).path == tmp_path / found
    assert find_checkpoint(tmp_path / there[0]) == tmp_path / there[0]
    load(str(tmp_path))


def test_the_last_one_can_be_preferred(tmp_path):
    for name in ("best.npz", "last.npz"):
        written(tmp_path / name)
    assert find_checkpoint(tmp_path, "last.npz") == tmp_path / "last.npz"


# -- files that are not checkpoints


def test_cut_off_at_any_length(path):
    whole = path.read_bytes()
    for length in [*range(0, 64), *range(64, len(whole), 97), len(whole) - 1]:
        path.write_bytes(whole[:length])
        unreadable(path)
    assert "cut off or damaged" in unreadable(path)


def test_a_changed_byte_is_found_or_harmless(path):
    whole = path.read_bytes()
    generator = np.random.default_rng(0)
    # the first member's headers, anywhere, and the directory at the end, where most of the damage can be done
    for low, high, count in ((0, 300, 200), (0, len(whole), 200), (len(whole) - 1200, len(whole), 400)):
        for _ in range(count):
            damaged = bytearray(whole)
            damaged[generator.integers(low, high)] ^= generator.integers(1, 256)
            path.write_bytes(damaged)
            try:
                model, vocabulary = load(path)
            except UserError:
                continue
            assert model.params.flat.tobytes() == MODEL.params.flat.tobytes()
            assert vocabulary == VOCABULARY


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"some text\n",
        np.random.default_rng(1).bytes(5000),
        b"\x80\x04" + np.random.default_rng(2).bytes(50),
        npy(np.zeros(3)),
        npz(weights=np.zeros(3)),
        npz(meta=np.zeros(3)),
        npz(meta=np.array("[]")),
        npz(meta=np.array('{"format": "another"}')),
        npz(meta=np.array('{"format": null}')),
        npz(meta=np.array("{}")),
    ],
    ids=["empty", "text", "random", "pickle", "npy", "npz", "number", "list", "format", "null", "none"],
)
def test_files_of_another_kind(path, content):
    path.write_bytes(content)
    message = unreadable(path)
    assert "not a minigrid checkpoint: give a .npz file that minigrid wrote" in message or "damaged" in message


@pytest.mark.parametrize("meta", [b"{", b"", b"[" * 100_000, b"\xff", b'{"format": 1' + b"0" * 5000 + b"}"])
def test_damaged_json(path, meta):
    path.write_bytes(npz(meta=np.frombuffer(meta, np.uint8)))
    assert "cut off or damaged" in unreadable(path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"params/decoder.bias": None}, r"cannot be used, because decoder.bias is missing: use a copy"),
        ({"params/decoder.bias": np.zeros(7, np.float32)}, r"decoder.bias is float32 of shape \(7,\)"),
        ({"params/decoder.bias": np.zeros((1, 6), np.float32)}, r"decoder.bias is float32 of shape \(1, 6\)"),
        ({"params/decoder.bias": np.array(["a"] * 6)}, "decoder.bias is str32"),
        ({"params/decoder.bias": np.zeros(6, [("x", "f4")])}, "decoder.bias is void32"),
        ({"params/decoder.bias": np.zeros(6, np.int32)}, "decoder.bias is int32"),
        ({"params/decoder.bias": np.zeros(6, np.float64)}, "decoder.bias is float64 .* model's is float32"),
        ({"params/decoder.bias": np.zeros(6, np.longdouble)}, "decoder.bias is "),
        ({"params/decoder.bias": np.full(6, np.nan, np.float32)}, "decoder.bias has values that are not finite"),
        ({"params/decoder.bias": np.full(6, np.inf, np.float16)}, "decoder.bias has values that are not finite"),
        ({"params/time.2.bias": np.zeros(16)}, "it has time.2.bias, which the model lacks"),
        ({"more": np.zeros(16)}, "it has more, which the model lacks"),
        ({"params/\x1b[2J\n": np.zeros(16)}, r"it has \\x1b\[2J\\n, which the model lacks"),
        ({"params/" + "a" * 60_000: np.zeros(16)}, r"it has a{60}\.\.\., which the model lacks"),
    ],
)
def test_parts_that_are_missing_or_do_not_fit(tmp_path, changes, words):
    path = written(tmp_path / "last.npz", changes=changes)
    with pytest.raises(UserError, match=words) as problem:
        load(path)
    assert str(path) in str(problem.value)


@pytest.mark.parametrize("model", [{"hidden": 5}, {"layers": 3}, {"layers": 1}, {"model": "gru", "hidden": 4}])
def test_another_model_does_not_take_the_parameters(path, model):
    other = CharModel(**{"hidden": 4, "layers": 2, "vocab_size": len(VOCABULARY), **model})
    with pytest.raises(UserError, match=r"does not fit the model: .*; use the settings it was trained with"):
        read_checkpoint(path).copy_params_into(other)


def test_smaller_numbers_are_converted(tmp_path):
    half = {f"params/{name}": np.asarray(a, np.float16) for name, a in MODEL.params.items()}
    model, _ = load(written(tmp_path / "last.npz", changes=half))
    assert model.params.flat.dtype == np.float32
    assert (model.params.flat == np.asarray(MODEL.params.flat, np.float16)).all()


@pytest.mark.parametrize(("bad", "other"), [("best.npz", "last.npz"), ("last.npz", "best.npz")])
def test_the_other_checkpoint_of_a_run_is_suggested(tmp_path, bad, other):
    for name in (bad, other):
        written(tmp_path / name)
    (tmp_path / bad).write_bytes(b"PK\x03\x04")
    assert f"{bad} is cut off or damaged: delete it to use {other} in the same folder" in unreadable(tmp_path / bad)


def test_running_out_of_memory_is_not_called_damage(path, monkeypatch):
    def no_memory(*args, **options):
        raise MemoryError

    monkeypatch.setattr(np, "empty", no_memory)
    with pytest.raises(MemoryError):
        read_checkpoint(path)


def test_the_description_alone(path):
    meta, found = read_description(path.parent)
    assert (meta, found) == (read_checkpoint(path).meta, path)


def test_places_without_a_checkpoint(tmp_path):
    for name in ("missing", "x" * 300, "a\0b"):
        assert "no such run or checkpoint" in unreadable(tmp_path / name)
    assert "contains no checkpoint (best.npz or last.npz)" in unreadable(tmp_path)


def test_a_file_without_read_permission(path, monkeypatch):
    def forbidden(*args, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", forbidden)
    with pytest.raises(UserError, match=r"cannot read .*last\.npz: Permission denied"):
        read_checkpoint(path)


# -- a save that fails


def savez_fails(patch):
    patch.setattr(np, "savez", half_of(np.savez, no_space))


def fsync_fails(patch):
    patch.setattr(os, "fsync", no_space)


def replace_fails(patch):
    patch.setattr(os, "replace", no_space)


@pytest.mark.parametrize("failure", [savez_fails, fsync_fails, replace_fails])
def test_a_failed_save_leaves_what_was_there(path, monkeypatch, failure):
    before = contents(path.parent)
    other = CharModel(vocab_size=len(VOCABULARY), hidden=9)
    with monkeypatch.context() as patch:
        failure(patch)
        with pytest.raises(UserError) as problem:
            written(path, other)
    assert str(problem.value) == (
        f"cannot save {path} (No space left on device); "
        "the checkpoint saved before is intact: free some space, then continue with `resume`"
    )
    assert contents(path.parent) == before
    assert load(path)[0].hidden == 4


def test_a_first_save_that_fails_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(UserError, match="nothing has been saved: free some space, and try again"):
        written(tmp_path / "last.npz")
    assert contents(tmp_path) == {}


def test_ctrl_c_while_saving_leaves_what_was_there(path, monkeypatch):
    def interrupted():
        raise KeyboardInterrupt

    before = contents(path.parent)
    monkeypatch.setattr(np, "savez", half_of(np.savez, interrupted))
    with pytest.raises(KeyboardInterrupt):
        written(path)
    assert contents(path.parent) == before


@contextlib.contextmanager
def no_file_above(size):
    """Let the system cut short what this process writes, as a full disk does, for any user and on any file system."""
    resource = pytest.importorskip("resource", reason="Windows limits no files")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_write_that_is_really_cut_short(tmp_path):
    path = written(tmp_path / "last.npz")
    before = contents(tmp_path)
    with no_file_above(256 << 10), pytest.raises(UserError, match="File too large"):
        written(path, CharModel(vocab_size=len(VOCABULARY), hidden=200))
    assert contents(tmp_path) == before
    load(path)


def test_every_model_and_option_comes_back(tmp_path):
    for options in ({"tie": "layers", "priority": "none"}, {"tie": "none"}, {"model": "rnn", "embedding": 0}):
        model = CharModel(vocab_size=len(VOCABULARY), hidden=SMALL["hidden"], **options)
        loaded, _ = load(written(tmp_path / "last.npz", model))
        assert loaded.options == model.options
        assert same_bits(
            {f"params/{name}": array for name, array in loaded.params.items()},
            arrays_of(tmp_path / "last.npz"),
        )
