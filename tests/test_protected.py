import pytest

from minigrid import UserError
from minigrid.runs.protected import refuse_overwriting


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("best.npz", "last.npz", "config.json", "metrics.jsonl"):
        (folder / name).write_text(name)
    (tmp_path / "elsewhere.npz").write_text("")
    return folder


@pytest.mark.parametrize("out", ["new.npz", "new.NPZ", "run/best.npz", "run/../run/last.npz"])
def test_no_checkpoint_is_overwritten(run, out):
    with pytest.raises(UserError, match=r"`out` .* names a checkpoint"):
        refuse_overwriting(run.parent / out, run / "best.npz")


@pytest.mark.parametrize("name", ["config.json", "metrics.jsonl", "loss.png", "Metrics.jsonl"])
def test_no_file_of_a_run_is_overwritten(run, name):
    with pytest.raises(UserError, match=r"`out` .* is a file of the run in"):
        refuse_overwriting(run / name, run.parent / "elsewhere.npz")


def test_the_model_is_recognised_under_any_name(run):
    model, link = run.parent / "model", run.parent / "a.txt"
    model.write_text("")
    link.symlink_to(model)
    for out in (model, link):
        with pytest.raises(UserError, match="names a checkpoint"):
            refuse_overwriting(out, model)


@pytest.mark.parametrize("out", ["run/sample.txt", "config.json", "old.txt"])
def test_other_files_are_free(run, out):
    (run.parent / "old.txt").write_text("")
    refuse_overwriting(run.parent / out, run / "best.npz")
