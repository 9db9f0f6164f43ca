import base64
import importlib.util
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("jupytext", reason="the notebooks need the extra jupyter")
nbformat = pytest.importorskip("nbformat", reason="the notebooks need the extra jupyter")

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"


def load_build():
    """Import notebooks/build.py, which belongs to no package."""
    spec = importlib.util.spec_from_file_location("build", NOTEBOOKS / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


build = load_build()

TEXT = """# %% [markdown]
# One and one.

# %%
two = 1 + 1
two
"""


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "01_sum.py"
    path.write_text(TEXT)
    return path


@pytest.mark.parametrize("path", build.texts(), ids=lambda path: path.stem)
def test_a_committed_notebook_is_in_step_executed_and_small(path):
    assert build.in_step(path)
    notebook = path.with_suffix(".ipynb")
    code = [cell for cell in nbformat.read(notebook, as_version=4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not [output for cell in code for output in cell.outputs if output.output_type == "error"]
    assert notebook.stat().st_size < 400_000


def test_a_notebook_without_text_is_not_left_behind():
    assert {path.with_suffix(".ipynb") for path in build.texts()} == set(NOTEBOOKS.glob("*.ipynb"))


@pytest.mark.long
def test_build_writes_the_same_bytes_each_time(text):
    notebook = text.with_suffix(".ipynb")
    assert build.build(text) is None
    first = notebook.read_bytes()
    assert build.build(text) is None
    assert notebook.read_bytes() == first
    assert nbformat.read(notebook, as_version=4).cells[1].outputs[0].data["text/plain"] == "2"
    nbformat.validate(nbformat.read(notebook, as_version=nbformat.NO_CONVERT))


@pytest.mark.long
def test_pictures_are_kept_small_and_look_the_same(text):
    text.write_text(
        "# %%\n# %matplotlib inline\nimport matplotlib.pyplot as plt\n_ = plt.plot([0, 1, 4], 'o-', color='#0072B2')\n"
    )
    build.build(text)
    output = nbformat.read(text.with_suffix(".ipynb"), as_version=4).cells[0].outputs[-1]
    picture = Image.open(io.BytesIO(base64.b64decode(output.data["image/png"])))
    assert picture.mode == "P"
    colours = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    for colour in ((0, 0x72, 0xB2), (255, 255, 255)):
        assert abs(colours.astype(int) - colour).sum(axis=1).min() < 8


@pytest.mark.long
def test_check_writes_nothing(text):
    build.build(text)
    before = text.with_suffix(".ipynb").read_bytes()
    assert build.check(text) is None
    assert text.with_suffix(".ipynb").read_bytes() == before


def test_check_finds_a_missing_and_a_stale_notebook(text):
    assert "out of step" in build.check(text)
    build.build(text)
    text.write_text(TEXT.replace("1 + 1", "1 + 2"))
    assert "01_sum.ipynb is out of step with 01_sum.py" in build.check(text)


def test_a_failing_cell_is_shown_and_nothing_written(text):
    text.write_text(TEXT + "\n# %%\nassert two == 3\n")
    assert "assert two == 3" in build.build(text)
    assert not text.with_suffix(".ipynb").exists()


def test_texts_are_chosen_by_prefix_in_order(tmp_path):
    for name in ("10_c.py", "02_b.py", "01_a.py", "build.py"):
        (tmp_path / name).touch()
    assert [path.stem for path in build.texts(folder=tmp_path)] == ["01_a", "02_b", "10_c"]
    assert [path.stem for path in build.texts(["02", "10_c"], tmp_path)] == ["02_b", "10_c"]
