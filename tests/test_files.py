import os

import pytest
from run_fixtures import contents, no_space

from minigrid import UserError
from minigrid.files import remove_unfinished, stamp, sync_folder, written, written_whole


def test_a_file_is_written_completely_or_not_at_all(tmp_path):
    file = tmp_path / "file"
    file.write_text("old")
    with pytest.raises(UnicodeEncodeError), written_whole(file) as temporary:
        temporary.write_text("\ud800", encoding="utf-8")
    assert contents(tmp_path) == {"file": b"old"}
    with written_whole(file) as temporary:
        temporary.write_text("new")
        assert file.read_text() == "old"
    assert contents(tmp_path) == {"file": b"new"}


def test_a_failure_is_reported_in_one_sentence(tmp_path):
    with pytest.raises(UserError, match=r"^cannot write .*file: No space left on device$"), written(tmp_path / "file"):
        no_space()


def test_only_the_temporary_files_of_killed_processes_are_removed(tmp_path):
    keep = [".last.npz", "last.npz", ".notes.part", "best.npz.1.part"]
    for name in [*keep, ".last.npz.123.part", ".best.npz.7.part", ".loss.png.8.part"]:
        (tmp_path / name).write_bytes(b"")
    remove_unfinished(tmp_path)
    assert sorted(contents(tmp_path)) == sorted(keep)


def test_a_stamp_distinguishes_versions_of_a_file(tmp_path):
    file = tmp_path / "file"
    assert stamp(file) is None
    file.write_text("one")
    first = stamp(file)
    assert stamp(file) == first
    with written_whole(file) as temporary:
        temporary.write_text("two")
    assert stamp(file) not in (None, first)


def test_a_folder_is_forced_to_the_disk_if_the_system_can(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda opened: synced.append(os.fstat(opened).st_ino))
    sync_folder(tmp_path)
    assert synced == [tmp_path.stat().st_ino]
    sync_folder(tmp_path / "missing")
