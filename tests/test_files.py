import os
import time
from pathlib import Path

import pytest
from run_fixtures import contents, no_space, python

from minigrid import UserError, files
from minigrid.files import (
    lock,
    open_plain,
    read_plain,
    remove_unfinished,
    stamp,
    sync_folder,
    temporary_folder,
    written,
    written_whole,
)


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


def test_a_pipe_or_a_device_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(OSError, match="a pipe or a device, not a plain file"):
            open_plain(path)
    for path, reason in ((tmp_path, "Is a directory"), (tmp_path / "none", "No such file")):
        with pytest.raises(OSError, match=reason):
            open_plain(path)


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"12345")
    assert read_plain(file, most=5) == b"12345"
    with pytest.raises(OSError, match="larger than 0 MB"):
        read_plain(file, most=4)


@pytest.mark.parametrize("path", ["pipe", "folder"])
def test_only_a_plain_file_is_replaced(tmp_path, path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match=r"pipe or a device|Is a directory"), written_whole(tmp_path / path):
        raise AssertionError("nothing may be written")
    assert sorted(os.listdir(tmp_path)) == ["folder", "pipe"]


def test_a_symbolic_link_stays_one(tmp_path):
    (tmp_path / "link").symlink_to("file")
    with written_whole(tmp_path / "link") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "new"


def test_two_writers_have_temporary_files_of_their_own(tmp_path):
    with written_whole(tmp_path / "file") as one, written_whole(tmp_path / "file") as other:
        assert one != other
        one.write_text("1")
        other.write_text("2")
    assert contents(tmp_path) == {"file": b"1"}  # the outer one finishes last


def test_what_a_living_process_is_writing_stays(tmp_path):
    with written_whole(tmp_path / "file") as file, temporary_folder(tmp_path) as folder:
        remove_unfinished(tmp_path)
        assert file.exists()
        assert folder.exists()
        file.write_text("whole")
    assert contents(tmp_path) == {"file": b"whole"}


def test_what_a_killed_process_has_left_goes(tmp_path):
    left = (
        "import os, sys; from pathlib import Path; from minigrid.files import temporary_folder, written_whole\n"
        "with written_whole(Path('file')) as file, temporary_folder(Path()) as folder:\n"
        "    file.write_text('half'); (folder / 'part').write_text(''); os._exit(9)"
    )
    assert python("-c", left, cwd=tmp_path).wait() == 9
    assert len(os.listdir(tmp_path)) == 2
    remove_unfinished(tmp_path)
    assert os.listdir(tmp_path) == []


def test_a_system_without_locks_writes_files_too(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "fcntl", None)
    with written_whole(tmp_path / "file") as file, temporary_folder(tmp_path) as folder:
        file.write_text("whole")
        (folder / "part").touch()
        assert lock(os.open(tmp_path, os.O_RDONLY)) is None
    assert contents(tmp_path) == {"file": b"whole"}


def test_a_writer_removes_what_was_left_of_its_own_file(tmp_path):
    others = [".page.html.notes.part", ".other.html.0123456789abcdef.part", ".page-html.0123456789abcdef.part"]
    for name in [*others, ".page.html.0123456789abcdef.part", ".page.html.77.part"]:
        (tmp_path / name).write_text("half")
    with written_whole(tmp_path / "page.html") as file:
        file.write_text("new")
    assert sorted(contents(tmp_path)) == sorted([*others, "page.html"])


def test_a_folder_whose_files_cannot_be_listed_can_be_written_to(tmp_path, monkeypatch):
    def refuse(folder):
        raise PermissionError

    monkeypatch.setattr(Path, "iterdir", refuse)
    with written_whole(tmp_path / "file") as file:
        file.write_text("new")
    assert (tmp_path / "file").read_text() == "new"


@pytest.mark.parametrize(("name", "value"), [("lock", lambda opened: None), ("fcntl", None)])
def test_without_locks_only_old_files_count_as_left(tmp_path, monkeypatch, name, value):
    monkeypatch.setattr(f"minigrid.files.{name}", value)
    new, old = tmp_path / ".new.0123456789abcdef.part", tmp_path / ".old.0123456789abcdef.part"
    for file, age in ((new, 0), (old, 2 * 24 * 60 * 60)):
        file.write_bytes(b"")
        os.utime(file, (time.time() - age,) * 2)
    remove_unfinished(tmp_path)
    assert list(contents(tmp_path)) == [new.name]
