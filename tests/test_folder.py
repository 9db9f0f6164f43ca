import contextlib
import dataclasses
import errno
import json
import os
import re
import threading
from pathlib import Path

import pytest
from run_fixtures import contents, text_config, write_text

from minigrid import UserError
from minigrid.errors import Notice
from minigrid.runs.config import Config
from minigrid.runs.folder import (
    append_metrics,
    claim,
    discard,
    fresh_folder,
    held,
    list_runs,
    make_folder,
    metrics_until,
    read_metrics,
    refuse_used,
    sync_metrics,
    write_config,
    write_metrics,
)
from minigrid.runs.start import start_run
from minigrid.version import __version__

RECORDS = [{"split": "train", "step": 10, "loss": 2.5}, {"split": "val", "step": 10, "loss": 2, "sample": "é\n😀"}]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_a_missing_or_empty_folder_is_free(here, name):
    (here / "empty").mkdir()
    refuse_used(here / name)


def test_a_folder_with_an_unfinished_save_is_free(here):
    (here / "run").mkdir()
    (here / "run" / ".last.npz.123.part").write_bytes(b"half")
    refuse_used(here / "run")


@pytest.fixture
def untrained(here):
    """The folder of a run that was killed before its first step."""
    run = start_run(text_config(write_text(here)), here / "run")
    run.save("last.npz")
    run.write_config()
    write_metrics(run.folder, [])
    (run.folder / ".last.npz.0123456789abcdef.part").write_bytes(b"half")
    return run


def test_a_run_that_never_began_is_started_again(untrained):
    claim(untrained.folder)
    assert contents(untrained.folder) == {}


@pytest.mark.parametrize("name", ["best.npz", "notes", "loss.png"])
def test_other_files_are_not_lost_with_it(untrained, name):
    (untrained.folder / name).write_text("mine")
    before = contents(untrained.folder)
    with pytest.raises(UserError, match="is not empty"):
        claim(untrained.folder)
    assert contents(untrained.folder) == before


def test_a_run_that_was_killed_after_it_validated_inherited_parameters_is_started_again(untrained):
    untrained.save("best.npz")
    (untrained.folder / "loss.png").write_bytes(b"drawn")
    claim(untrained.folder)
    assert contents(untrained.folder) == {}


@pytest.mark.parametrize("remove", [claim, discard])
@pytest.mark.parametrize("removed", range(6))
def test_a_removal_that_is_killed_half_way_can_be_repeated(untrained, monkeypatch, remove, removed):
    unlink, left = os.unlink, iter([False] * removed + [True])

    def killed(*given, **more):
        if next(left):
            raise SystemExit
        unlink(*given, **more)

    untrained.save("best.npz")
    (untrained.folder / "loss.png").write_bytes(b"drawn")
    with monkeypatch.context() as patch, contextlib.suppress(SystemExit):
        patch.setattr(os, "unlink", killed)
        remove(untrained.folder)
    claim(untrained.folder)
    assert contents(untrained.folder) == {}


def test_a_best_checkpoint_of_a_run_that_has_begun_is_kept(untrained):
    untrained.step.number = 1
    untrained.save("best.npz")
    with pytest.raises(UserError, match="is not empty"):
        claim(untrained.folder)
    assert (untrained.folder / "best.npz").exists()


def test_a_run_that_has_begun_is_not_started_again(untrained):
    untrained.step.number = 1
    untrained.save("last.npz")
    with pytest.raises(UserError, match="is not empty"):
        claim(untrained.folder)
    assert (untrained.folder / "last.npz").exists()


def test_discarding_keeps_the_files_of_others(untrained):
    (untrained.folder / "notes").write_text("mine")
    discard(untrained.folder)
    (untrained.folder / ".last.npz.0123456789abcdef.part").unlink()
    assert contents(untrained.folder) == {"notes": b"mine"}


@pytest.mark.parametrize(
    "line",
    [
        '{"split": "val", "step": 1, "loss": {"a": 1}}',
        '{"split": "val", "step": 1, "loss": "much"}',
        '{"split": "val", "step": 1, "loss": NaN}',
        '{"split": "val", "step": 1, "loss": Infinity}',
        '{"split": "val", "step": 1, "loss": 1' + "0" * 400 + "}",
        '{"split": "val", "step": 1' + "0" * 400 + ', "loss": 1}',
        '{"split": "val", "step": true, "loss": 1}',
        '{"split": "val", "step": -1, "loss": 1}',
        '{"split": "val", "step": 1, "loss": 9' + "9" * 5000 + "}",
        "[" * 100_000,
        '{"a":' * 100_000,
        "3",
    ],
    ids=range(12),
)
def test_a_record_made_to_do_harm(here, line):
    (here / "metrics.jsonl").write_text(line + "\n")
    with pytest.raises(UserError, match="is damaged") as problem:
        read_metrics(here)
    assert len(str(problem.value)) < 400
    with pytest.warns(Notice, match="is incomplete or damaged"):
        assert metrics_until(here, 1, 10) == []


def test_a_pipe_is_no_file_of_metrics(here):
    os.mkfifo(here / "metrics.jsonl")
    with pytest.raises(UserError, match="it is a pipe or a device"):
        read_metrics(here)
    with pytest.raises(UserError, match="it is a pipe or a device"):
        write_metrics(here, [])


def test_a_foreign_config_file_is_not_overwritten(here):
    (here / "config.json").write_text("mine")
    with pytest.raises(UserError, match="is not empty"):
        refuse_used(here)


def test_a_used_folder_is_refused(here):
    (here / "folder").mkdir()
    (here / "folder" / "notes").write_text("mine")
    with pytest.raises(UserError, match="is not empty: `resume` the run in it, or choose a new folder for the `run`"):
        refuse_used(here / "folder")
    with pytest.raises(UserError, match="is a file: choose a new folder for the `run`"):
        refuse_used(here / "folder" / "notes")


@pytest.mark.parametrize(
    ("config", "name"),
    [
        (Config(corpus="pydoc"), "pydoc-grid-2x128"),
        (Config(task="addition", model="lstm", layers=3, hidden=7), "addition-lstm-3x7"),
        (text_config("/somewhere/war.and.peace.txt"), "war.and.peace-grid-2x8"),
    ],
)
def test_a_new_folder_is_named_after_its_contents(here, config, name):
    assert [str(fresh_folder(config)) for _ in range(3)] == [os.path.join("runs", name + k) for k in ("", "-2", "-3")]


@pytest.mark.parametrize("left", ["", ".last.npz.0123456789abcdef.part"])
def test_a_folder_in_which_a_run_was_killed_before_it_saved_is_taken_a_day_later(here, left):
    folder = fresh_folder(Config(corpus="pydoc"))
    (folder / left).touch()
    assert fresh_folder(Config(corpus="pydoc")) != folder
    os.utime(folder, (1, 1))
    assert fresh_folder(Config(corpus="pydoc")) == folder
    assert contents(folder) == {}


def test_an_old_folder_with_files_is_not_taken(here):
    folder = fresh_folder(Config(corpus="pydoc"))
    (folder / "notes").write_text("mine")
    os.utime(folder, (1, 1))
    assert fresh_folder(Config(corpus="pydoc")) != folder
    assert contents(folder) == {"notes": b"mine"}


def test_runs_that_start_at_the_same_time_get_different_folders(here):
    found, barrier = [], threading.Barrier(8)

    def begin():
        barrier.wait()
        found.append(fresh_folder(Config(corpus="pydoc")))

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 8


def test_a_folder_is_locked_and_unlocked(here):
    pytest.importorskip("fcntl")
    with held(here):
        with pytest.raises(UserError, match="another process is training in"), held(here):
            pass
        assert contents(here) == {}
    with held(here):
        pass


def test_a_file_system_without_locks_is_fine(here, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(pytest.importorskip("fcntl"), "flock", refuse)
    with held(here), held(here):
        pass


def test_a_missing_folder_cannot_be_locked(here):
    pytest.importorskip("fcntl")
    with pytest.raises(UserError, match="cannot write gone: No such file"), held(Path("gone")):
        pass


def test_a_folder_that_cannot_be_made(here):
    (here / "runs").write_text("a file")
    with pytest.raises(UserError, match="cannot write runs: File exists"):
        fresh_folder(Config(corpus="pydoc"))
    with pytest.raises(UserError, match="Not a directory"):
        make_folder(here / "runs" / "run")


def test_a_link_to_an_unmounted_disk(here):
    (here / "runs").symlink_to(here / "unmounted" / "runs")
    with pytest.raises(UserError, match="cannot write runs: File exists"):
        fresh_folder(Config(corpus="pydoc"))


def test_the_settings_can_be_read(here):
    config = text_config("text.txt", lr=0.5)
    make_folder(here / "a" / "run")
    write_config(here / "a" / "run", dataclasses.asdict(config))
    written = json.loads((here / "a" / "run" / "config.json").read_text())
    assert written.pop("version") == __version__
    assert Config(**written) == config


def test_the_newest_runs_are_listed_first(here):
    assert list_runs() == "there is none under runs/"
    for k, name in enumerate("abcdefg"):
        (here / "runs" / name).mkdir(parents=True)
        (here / "runs" / name / "last.npz").touch()
        os.utime(here / "runs" / name / "last.npz", (k, k))
    (here / "runs" / "unfinished").mkdir()
    assert list_runs() == "under runs/: g, f, e, d, c"


def test_metrics_there_and_back(here):
    for record in RECORDS:
        append_metrics(here, record)
    assert read_metrics(here) == RECORDS
    assert len((here / "metrics.jsonl").read_text().splitlines()) == 2
    write_metrics(here, RECORDS[1:])
    assert read_metrics(here) == RECORDS[1:]


@pytest.mark.parametrize(
    "line", ["3", "[]", '{"split": "train"}', '{"split": "tr', '{"split": "val", "step": "1", "loss": 2}']
)
def test_a_line_that_is_not_a_record(here, line):
    (here / "metrics.jsonl").write_text(line + "\n")
    with pytest.raises(UserError, match=r"metrics\.jsonl is damaged .*: resume the run to repair the file"):
        read_metrics(here)


def test_metrics_that_cannot_be_read_or_written(here):
    with pytest.raises(UserError, match=r"contains no metrics\.jsonl: give the folder of a run"):
        read_metrics(here)
    write_metrics(here, RECORDS)
    with open("metrics.jsonl", "a", encoding="utf-8") as file:
        file.write('{"split": "tr')  # its process was killed
    before = contents(here)
    with pytest.raises(UserError, match=r"metrics\.jsonl is damaged .*: resume the run"):
        read_metrics(here)
    with pytest.raises(UserError, match="give the folder of a run"):
        read_metrics(here / "metrics.jsonl")
    assert contents(here) == before
    with pytest.raises(UserError, match=r"cannot write .*metrics\.jsonl: "):
        write_metrics(here / "missing", RECORDS)


def test_metrics_that_are_there_but_cannot_be_opened(here):
    (here / "metrics.jsonl").mkdir()
    with pytest.raises(UserError, match=r"^cannot read .*metrics\.jsonl: Is a directory; give the folder of a run$"):
        read_metrics(here)


# -- the records that belong to a checkpoint

MANY = [{"split": "train", "step": step, "loss": 2.0} for step in (10, 20, 30)]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("rest", ["", "\n", '{"split": "tr', "\0\0\0", '{"split": "train", "step": 40, "loss": 2}\n'])
def test_what_comes_after_a_checkpoint_is_left_out(here, rest):
    write_metrics(here, MANY)
    with open("metrics.jsonl", "a", encoding="utf-8") as file:
        file.write(rest)
    assert metrics_until(here, 3, 30) == MANY
    assert metrics_until(here, 2, 25) == MANY[:2]
    assert metrics_until(here, 0, 0) == []


@pytest.mark.parametrize(
    ("lines", "kept", "lost"),
    [
        ([0, 1], [0, 1], 1),
        ([], [], 3),
        ([0, "\0\0", 2], [0, 2], 1),
        ([0, 1, b"\xff"], [0, 1], 1),
        ([0, 1, '{"split": "tr'], [0, 1], 1),
    ],
)
def test_what_is_readable_is_kept_and_the_rest_is_one_warning(here, lines, kept, lost):
    texts = [json.dumps(MANY[line]) if isinstance(line, int) else line for line in lines]
    (here / "metrics.jsonl").write_bytes(b"\n".join(t if isinstance(t, bytes) else t.encode() for t in texts))
    words = f"metrics.jsonl is incomplete or damaged: the run continues without {lost} of its 3 records up to step 30"
    with pytest.warns(Notice, match=re.escape(words)) as warned:
        assert metrics_until(here, 3, 30) == [MANY[k] for k in kept]
    assert len(warned) == 1


def test_missing_metrics_are_one_warning(here):
    with pytest.warns(Notice, match=r"metrics\.jsonl is not readable \(No such file or directory\): the run") as warned:
        assert metrics_until(here, 3, 30) == []
    assert len(warned) == 1
    (here / "metrics.jsonl").mkdir()
    with pytest.warns(Notice, match="not readable"):
        assert metrics_until(here, 3, 30) == []


def test_records_of_later_steps_are_left_out_after_a_loss(here):
    write_metrics(here, MANY[1:])  # an earlier resumption has lost the first one
    assert metrics_until(here, 2, 20) == MANY[1:2]


@pytest.mark.parametrize("write", [lambda here: write_config(here, {}), lambda here: write_metrics(here, MANY)])
def test_files_reach_the_disk_before_their_names_do(here, monkeypatch, write):
    done, fsync, replace = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda opened: (done.append("fsync"), fsync(opened)))
    monkeypatch.setattr(os, "replace", lambda *names: (done.append("replace"), replace(*names)))
    write(here)
    assert done[:2] == ["fsync", "replace"]


def test_metrics_are_forced_to_the_disk(here, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda opened: synced.append(os.fstat(opened).st_size))
    append_metrics(here, MANY[0])
    assert synced == []
    sync_metrics(here)
    assert synced == [(here / "metrics.jsonl").stat().st_size]
    assert read_metrics(here) == MANY[:1]
