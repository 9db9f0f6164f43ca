"""The wheel holds every module and data file, and git ignores none of them."""

import shutil
import subprocess
import sys
import zipfile

import pytest
from run_fixtures import PROJECT

PACKAGE = PROJECT / "minigrid"
FILES = {
    str(path.relative_to(PROJECT))
    for path in PACKAGE.rglob("*")
    if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
}


def test_every_folder_with_modules_is_a_package():
    for path in PACKAGE.rglob("*.py"):
        assert (path.parent / "__init__.py").exists(), path


@pytest.mark.long
@pytest.mark.network
def test_the_wheel_is_complete(tmp_path):
    source = tmp_path / "source"  # a copy: a build leaves files behind
    shutil.copytree(PACKAGE, source / "minigrid", ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(PROJECT / file, source)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path, source]
    if subprocess.run(command, check=False).returncode:
        pytest.skip("pip cannot build a wheel here: setuptools cannot be fetched")
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        packed = {file for file in wheel.namelist() if file.startswith("minigrid/")}
    assert packed == FILES
    assert {"minigrid/py.typed", "minigrid/backend/cuda/gates.cu", "minigrid/page/page.js"} <= packed


def test_git_ignores_no_source_file():
    if shutil.which("git") is None or not (PROJECT / ".git").exists():
        pytest.skip("this is no git checkout")
    checked = subprocess.run(
        ["git", "check-ignore", "--no-index", "--stdin"],
        input="\n".join(FILES),
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.stdout == ""
    assert checked.returncode == 1, checked.stderr  # 1: nothing is ignored; 128: git could not tell
