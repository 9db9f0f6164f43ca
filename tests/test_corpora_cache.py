import contextlib
import itertools
import json
import os
import re
import subprocess
import sys
import time
import warnings
import zlib

import numpy as np
import pytest
from corpora_fixtures import own_data_folder, sha256
from run_fixtures import CHILD

from minigrid.data.corpora import cache, load, load_file
from minigrid.data.corpora.cache import CACHED_ABOVE
from minigrid.data.corpora.encoding import survey_file
from minigrid.errors import Notice

TEXT = "Über den Fluß und in die Wälder.\n" * 40
OTHER = "".join(sorted(TEXT))  # of the same length and vocabulary

quietly = pytest.mark.filterwarnings("ignore::minigrid.errors.Notice")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "CACHED_ABOVE", 10)
    return own_data_folder(tmp_path, monkeypatch)


def written(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def copies(folder):
    return sorted(file.name for file in (folder / "encoded").iterdir())


def notes_of(path, tokens=None):
    """Load a text; return the corpus and the notes."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        corpus = load_file(path, tokens)
    return corpus, [str(warning.message) for warning in caught]


# -- what is kept


def test_a_large_file_is_mapped_and_read_once(tmp_path, folder, monkeypatch):
    path = written(tmp_path / "war.and.peace.txt", TEXT)
    first, notes = notes_of(path)
    kept = folder / "encoded"
    assert notes == [
        f"an encoded copy of {path} is kept in {kept} for the next time; you can delete it whenever you like"
    ]
    assert isinstance(first.ids, np.memmap)
    assert first.vocabulary.decode(np.load(next(kept.glob("*.npy")))) == TEXT
    assert {file.suffix for file in kept.iterdir()} == {".npy", ".json"}
    monkeypatch.setattr(load, "survey_file", None)  # reading it again would fail
    second, notes = notes_of(path)
    assert notes == []
    np.testing.assert_array_equal(first.ids, second.ids)
    assert first[2:] == second[2:]
    with pytest.raises(ValueError, match="read-only"):
        second.ids[0] = 1
    with pytest.raises(TypeError):
        load_file(path, "bytes")


@quietly
@pytest.mark.parametrize("symbols", [300, 70_000])
def test_wider_ids(tmp_path, symbols, monkeypatch):
    monkeypatch.setattr(cache, "_PIECE", 1024)
    text = "".join(map(chr, range(0x10000, 0x10000 + symbols)))
    path = written(tmp_path / "text.txt", text)
    for _ in range(2):
        corpus, _ = notes_of(path)
        assert isinstance(corpus.ids, np.memmap)
        assert corpus.vocabulary.decode(corpus.ids) == text


@quietly
def test_nine_megabytes_are_a_large_file(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "CACHED_ABOVE", CACHED_ABOVE)
    (tmp_path / "large.txt").write_bytes(b"a long text\n" * 750_000)
    assert isinstance(load_file(tmp_path / "large.txt", "bytes").ids, np.memmap)


@quietly
@pytest.mark.parametrize("times", ["other", "the same"])
def test_a_changed_file_is_read_again(tmp_path, times):
    path = written(tmp_path / "text.txt", TEXT)
    load_file(path)
    before = path.stat()
    time.sleep(0.02)  # the clock of a file system is coarse
    path.write_text(OTHER, encoding="utf-8")
    if times == "the same":
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert load_file(path).sha256 == sha256(OTHER.encode())


@quietly
def test_the_newest_copy_of_each_text_is_kept(tmp_path, folder):
    (tmp_path / "sub").mkdir()
    mine, namesake = written(tmp_path / "text.txt", TEXT), written(tmp_path / "sub" / "text.txt", TEXT)
    for path, tokens in itertools.product((mine, namesake), ("chars", "bytes")):
        load_file(path, tokens)
    before = copies(folder)
    assert len(before) == 8
    old = load_file(mine).ids
    for hour in (1, 2, 3):
        os.utime(mine, (hour * 3600, hour * 3600))
        load_file(mine)
    after = copies(folder)
    assert len(after) == 8
    assert len(set(before) & set(after)) == 6
    assert len(old) == len(TEXT)
    assert old.max() == len(set(TEXT)) - 1  # what is mapped stays readable


@quietly
def test_copies_of_an_earlier_format_are_removed(tmp_path, folder):
    (folder / "encoded").mkdir(parents=True)
    old = [f"text-chars-{'0' * 16}.npy", f"text-chars-{'0' * 16}.json"]
    others = [f"text-bytes-{'0' * 16}.npy", f"text2-chars-{'0' * 16}.npy", "text-chars-mine.npy"]
    for name in (*old, *others):
        (folder / "encoded" / name).touch()
    load_file(written(tmp_path / "text.txt", TEXT))
    assert set(others) < set(copies(folder))
    assert len(copies(folder)) == len(others) + 2


@quietly
def test_what_killed_processes_left_is_removed(tmp_path, folder):
    (folder / "encoded").mkdir(parents=True)
    (folder / "encoded" / f".text.npy.{'0' * 16}.part").touch()
    load_file(written(tmp_path / "text.txt", TEXT))
    assert len(copies(folder)) == 2


def test_a_small_file_leaves_nothing_behind(tmp_path, folder):
    path = written(tmp_path / "text.txt", "short")
    assert notes_of(path)[1] == []
    assert not folder.exists()


def test_without_a_place_for_the_cache_a_file_still_loads(tmp_path, folder):
    folder.write_text("a file where the folder should be")
    path = written(tmp_path / "text.txt", TEXT)
    corpus, (note,) = notes_of(path)
    assert corpus.vocabulary.decode(corpus.ids) == TEXT
    assert note.startswith(f"no encoded copy of {path} is kept in {folder / 'encoded'} (Not a directory): ")


def test_a_full_disk_leaves_no_half_cache(tmp_path, folder, monkeypatch):
    def full(*args):
        raise OSError("No space left on device")

    monkeypatch.setattr(cache, "_write_array", full)
    corpus, (note,) = notes_of(written(tmp_path / "text.txt", TEXT))
    assert corpus.vocabulary.decode(corpus.ids) == TEXT
    assert "(No space left on device): it is encoded again each time" in note
    assert copies(folder) == []


@quietly
@pytest.mark.parametrize("stem", ["a" * 250, "é" * 120, "a\udce9", "[x]*?"])
def test_any_name_of_a_text_will_do(tmp_path, folder, stem):
    path = written(tmp_path / f"{stem}.txt", TEXT)
    assert isinstance(load_file(path).ids, np.memmap)
    os.utime(path, (1, 1))
    assert isinstance(load_file(path).ids, np.memmap)
    assert len(copies(folder)) == 2


@quietly
def test_the_cache_is_in_the_folder_that_minigrid_data_names(tmp_path, folder, monkeypatch):
    monkeypatch.setenv("MINIGRID_DATA", str(tmp_path / "mine"))
    assert isinstance(load_file(written(tmp_path / "text.txt", TEXT)).ids, np.memmap)
    assert len(list((tmp_path / "mine" / "encoded").iterdir())) == 2
    assert not folder.exists()


# -- attacks: each takes the two files of TEXT and of OTHER


def flip(which, place):
    def attack(mine, other):
        data = bytearray(mine[which].read_bytes())
        data[int(place * (len(data) - 1))] ^= 1
        mine[which].write_bytes(data)

    return attack


def cut(which, end):
    def attack(mine, other):
        data = mine[which].read_bytes()
        mine[which].write_bytes(data[: int(end * len(data)) if isinstance(end, float) else end])

    return attack


def longer(which):
    return lambda mine, other: mine[which].write_bytes(mine[which].read_bytes() + b"\1")


def swap(*which):
    def attack(mine, other):
        for suffix in which:
            one, two = mine[suffix].read_bytes(), other[suffix].read_bytes()
            mine[suffix].write_bytes(two)
            other[suffix].write_bytes(one)

    return attack


def edit(change, forged=False):
    """Change the values of the JSON; a forger makes the checksum right again."""

    def attack(mine, other):
        about = json.loads(mine["json"].read_text())
        about = change(about) or about
        if forged:
            rest = {name: value for name, value in about.items() if name != "crc32"}
            array = mine["npy"].read_bytes()
            ids = array[128:]
            about["crc32"] = zlib.crc32(ids, zlib.crc32(cache._dumped(rest)))
        mine["json"].write_bytes(cache._dumped(about))

    return attack


def put(field, value):
    return edit(lambda about: about.update({field: value}))


def put_symbols(change, forged=False):
    return edit(lambda about: about["vocabulary"].update(symbols=change(about["vocabulary"]["symbols"])), forged)


def write(which, data):
    return lambda mine, other: mine[which].write_bytes(data)


def replace_by(make, which):
    def attack(mine, other):
        mine[which].unlink()
        make(mine[which])

    return attack


def sparse(mine, other):
    with open(mine["json"], "r+b") as file:
        file.truncate(10 << 30)


def exchange_ids(mine, other):
    """Exchange two ids within the vocabulary: neither sum nor length changes."""
    data = bytearray(mine["npy"].read_bytes())
    data[200], data[201] = data[201], data[200]
    mine["npy"].write_bytes(data)


def dtype_of_the_same_size(mine, other):
    array = np.load(mine["npy"])
    np.save(mine["npy"], array.view(np.int8))


ATTACKS = {
    **{f"flip npy {place:.0%}": flip("npy", place) for place in np.linspace(0, 1, 12)},
    **{f"flip json {place:.0%}": flip("json", place) for place in np.linspace(0, 1, 24)},
    **{f"cut npy {end}": cut("npy", end) for end in (0, 5, 0.5, -1)},
    **{f"cut json {end}": cut("json", end) for end in (0, 5, 0.5, -1)},
    "longer npy": longer("npy"),
    "longer json": longer("json"),
    "swap npy": swap("npy"),
    "swap json": swap("json"),
    "swap both": swap("npy", "json"),
    "exchange two ids": exchange_ids,
    "another dtype": dtype_of_the_same_size,
    "length + 1": edit(lambda about: about.update(length=about["length"] + 1)),
    "length of 10^4000": edit(lambda about: about.update(length=10**4000)),
    "length of 10^5000": write("json", b'{"length":1' + b"0" * 5000 + b"}"),
    "length 0": put("length", 0),
    "length -1": put("length", -1),
    "length true": put("length", True),
    "length is a float": edit(lambda about: about.update(length=float(about["length"]))),
    "length is infinite": put("length", float("inf")),
    "length is nested": put("length", [[]]),
    "another sha256": put("sha256", "0" * 64),
    "sha256 is short": put("sha256", "0" * 63),
    "sha256 is a number": put("sha256", 0),
    "sha256 is in capitals": edit(lambda about: about.update(sha256=about["sha256"].upper() + "A"), forged=True),
    "another format": put("format", 1),
    "another name": put("name", "text"),
    "another crc32": edit(lambda about: about.update(crc32=about["crc32"] ^ 1)),
    "crc32 is null": put("crc32", None),
    "no crc32": edit(lambda about: about.pop("crc32") and None),
    "format 1": edit(lambda about: {name: about[name] for name in ("length", "sha256", "vocabulary")}),
    "another field": put("more", 1),
    "a list": edit(lambda about: [about]),
    "a number": write("json", b"1"),
    "NaN": write("json", b"NaN"),
    "vocabulary is a list": put("vocabulary", []),
    "other tokens": edit(
        lambda about: about["vocabulary"].update(tokens="bytes", symbols=list(range(99))), forged=True
    ),
    "one symbol is another": put_symbols(lambda symbols: [*symbols[:-1], symbols[-1] + 1]),
    "a symbol less": put_symbols(lambda symbols: symbols[:-1], forged=True),
    "no symbols": put_symbols(lambda symbols: [], forged=True),
    "symbols out of order": put_symbols(lambda symbols: symbols[::-1], forged=True),
    "a symbol is a float": put_symbols(lambda symbols: [float(symbols[0]), *symbols[1:]], forged=True),
    "a symbol is true": put_symbols(lambda symbols: [True, *symbols[1:]], forged=True),
    "a symbol is infinite": put_symbols(lambda symbols: [*symbols[:-1], 10**400], forged=True),
    "a symbol is a surrogate": put_symbols(lambda symbols: [*symbols[:-1], 0xDC00], forged=True),
    "nested lists": write("json", b"[" * 10**5),
    "nested objects": write("json", b'{"length":' * 10**5),
    "not ASCII": write("json", b"\xff\xfe{}"),
    "10 GB of json": sparse,
    "json is a pipe": replace_by(os.mkfifo, "json"),
    "npy is a pipe": replace_by(os.mkfifo, "npy"),
    "json is a folder": replace_by(os.mkdir, "json"),
    "npy is a folder": replace_by(os.mkdir, "npy"),
    "json is a device": replace_by(lambda name: name.symlink_to("/dev/zero"), "json"),
    "npy is a device": replace_by(lambda name: name.symlink_to("/dev/zero"), "npy"),
}
HOPELESS = ("pipe", "folder", "device")  # nothing can be written there


def files_of(path):
    entry = cache.entry_of(path, "chars", None)
    return {"npy": entry.ids, "json": entry.about}


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_noticed(tmp_path, attack):
    path, other = written(tmp_path / "text.txt", TEXT), written(tmp_path / "other.txt", OTHER)
    notes_of(path)
    notes_of(other)
    ATTACKS[attack](files_of(path), files_of(other))
    corpus, notes = notes_of(path)
    assert corpus.vocabulary.decode(corpus.ids) == TEXT
    assert corpus.sha256 == sha256(TEXT.encode())
    assert re.match(
        rf"the encoded copy {files_of(path)['npy']} cannot be used \(.+\): encoding {path} again$", notes[0]
    )
    assert "kept in" in notes[1]
    assert "\n" not in "".join(notes)
    if not attack.endswith(HOPELESS):
        corpus, notes = notes_of(path)
        assert notes == []
        assert isinstance(corpus.ids, np.memmap)
        assert corpus.vocabulary.decode(corpus.ids) == TEXT


@pytest.mark.parametrize("which", ["npy", "json"])
def test_a_file_that_is_gone_is_no_damage(tmp_path, which):
    path = written(tmp_path / "text.txt", TEXT)
    notes_of(path)
    files_of(path)[which].unlink()
    corpus, notes = notes_of(path)
    assert len(notes) == 1
    assert "is kept in" in notes[0]
    assert corpus.vocabulary.decode(corpus.ids) == TEXT


WRITER = """
import sys
import warnings
from pathlib import Path
from minigrid.data.corpora import cache
from minigrid.data.corpora.encoding import read_ids, survey_file
from minigrid.errors import Notice

warnings.simplefilter("ignore", Notice)
entry = cache.entry_of(Path(sys.argv[1]), "chars", None)
found = 0
for number in range(150):
    path = Path(sys.argv[2 + number % 2])
    survey = survey_file(path, "chars", packed=False)
    try:
        cache.write(entry, survey, read_ids(path, survey, packed=False))
    except FileNotFoundError:
        pass
    corpus = cache.read(entry, "text", path)
    if corpus is not None:
        import hashlib
        text = corpus.vocabulary.decode(corpus.ids)
        assert hashlib.sha256(text.encode()).hexdigest() == corpus.sha256
        found += 1
print(found)
"""


def test_two_writers_of_one_entry(tmp_path, folder):
    """They write different texts of the same length and symbols, so that a mixture of both would go unnoticed."""
    paths = [written(tmp_path / "text.txt", TEXT), written(tmp_path / "other.txt", OTHER)]
    command = [sys.executable, "-c", WRITER, paths[0]]
    environment = os.environ | CHILD | {"MINIGRID_DATA": str(folder)}
    writers = [
        subprocess.Popen([*command, *order], env=environment, stdout=subprocess.PIPE) for order in (paths, paths[::-1])
    ]
    for writer in writers:
        output, _ = writer.communicate()
        assert writer.returncode == 0
        assert int(output) > 0
    assert len(copies(folder)) == 2
    assert survey_file(paths[0], "chars", packed=False).length == len(TEXT)


@quietly
def test_a_copy_that_vanishes_while_it_is_read_is_no_crash(tmp_path, monkeypatch):
    path = written(tmp_path / "text.txt", TEXT)
    write = cache.write

    def write_and_lose(entry, *arguments):
        write(entry, *arguments)
        with contextlib.suppress(OSError):
            entry.ids.unlink()

    monkeypatch.setattr(cache, "write", write_and_lose)
    corpus = load_file(path)
    assert corpus.vocabulary.decode(corpus.ids) == TEXT
    assert not isinstance(corpus.ids, np.memmap)


def test_notices_are_notices(tmp_path):
    with pytest.warns(Notice):
        load_file(written(tmp_path / "text.txt", TEXT))
