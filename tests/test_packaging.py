"""The sdist and the wheel hold every file, and the wheel works on its own."""

import os
import re
import runpy
import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest
from run_fixtures import PROJECT

from minigrid import __version__

SETUP = runpy.run_path(str(PROJECT / "setup.py"))
README = (PROJECT / "README.md").read_text(encoding="utf-8")
ADDRESS = "https://example.org/somebody/minigrid"

PACKAGE = PROJECT / "minigrid"
GIT = ("git", "-c", "safe.directory=*")  # the checkout may belong to another user
FILES = {
    path.relative_to(PROJECT).as_posix()
    for path in PACKAGE.rglob("*")
    if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
}
NOT_PACKED = re.compile(r"\.git")  # .gitignore, .github/...
GENERATED = re.compile(r"PKG-INFO|setup\.cfg|minigrid_lstm\.egg-info/")


# -- metadata


def targets(readme):
    """Return the targets of all links and pictures outside fenced code."""
    return re.findall(r"\]\(([^)\s]+)\)", re.sub(r"^```.*?^```$", "", readme, flags=re.MULTILINE | re.DOTALL))


def test_the_readme_keeps_to_links_that_can_be_rewritten():
    assert any(not target.startswith("https:") for target in targets(README))
    assert not re.search(r"<img|<a |^\[[^\]]+\]:", README, re.MULTILINE)


def test_an_index_shows_the_readme_with_complete_addresses():
    shown = targets(SETUP["index_readme"](README, ADDRESS, "1.2"))
    assert len(shown) == len(targets(README))
    for target in shown:
        assert target.startswith(("https://", "#"))
        if target.startswith(ADDRESS):
            kind, version, file = target.removeprefix(f"{ADDRESS}/").split("/", 2)
            assert (kind, version) == ("raw" if file.endswith(".png") else "blob", "v1.2")
            assert (PROJECT / file).exists(), f"README.md links to {file}, which does not exist"


def test_without_an_address_only_complete_links_are_left():
    readme = "![a picture](docs/a.png)[two\nwords](LICENSE) [there](https://a.b) [top](#top)\n```\na[0](x)\n```\n"
    without = "two\nwords [there](https://a.b) [top](#top)\n```\na[0](x)\n```\n"
    assert SETUP["index_readme"](readme, "", "1.2") == without
    assert all(target.startswith(("https://", "#")) for target in targets(SETUP["index_readme"](README, "", "1.2")))


def test_the_links_beside_the_readme():
    assert SETUP["urls"]("", "1.2") == {}
    assert SETUP["urls"](ADDRESS, "1.2")["Changelog"] == f"{ADDRESS}/blob/v1.2/CHANGELOG.md"


def test_one_version_everywhere():
    assert SETUP["version_of"]((PACKAGE / "version.py").read_text(encoding="utf-8")) == __version__
    assert f"\nversion: {__version__}\n" in (PROJECT / "CITATION.cff").read_text(encoding="utf-8")
    newest = re.search(r"^## \[?(\d+\.\d+\.\d+)", (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest[1] == __version__


# -- files


def test_every_folder_with_modules_is_a_package():
    for path in PACKAGE.rglob("*.py"):
        assert (path.parent / "__init__.py").exists(), path


def run(*command, **how):
    return subprocess.run(list(map(str, command)), capture_output=True, encoding="utf-8", check=False, **how)


def needs_a_checkout():
    if shutil.which("git") is None or not (PROJECT / ".git").exists():
        pytest.skip("this is no git checkout")


def test_git_ignores_no_source_file():
    needs_a_checkout()
    checked = run(*GIT, "check-ignore", "--no-index", "--stdin", input="\n".join(FILES), cwd=PROJECT)
    assert checked.stdout == ""
    assert checked.returncode == 1, checked.stderr  # 1: nothing is ignored; 128: git could not tell


@pytest.fixture(scope="module")
def tracked():
    """Return the files of the checkout, those included that will be committed next."""
    needs_a_checkout()
    listed = run(*GIT, "ls-files", "-co", "--exclude-standard", "-z", cwd=PROJECT)
    assert listed.returncode == 0, listed.stderr
    return {name for name in listed.stdout.split("\0") if (PROJECT / name).is_file()}


@pytest.fixture(scope="module")
def built(tracked, tmp_path_factory):
    """Build the sdist, and the wheel from it, in a copy without git: a build leaves files behind."""
    folder = tmp_path_factory.mktemp("built")
    for name in tracked:
        (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / name, folder / "source" / name)
    build = run(sys.executable, "-m", "build", "--outdir", folder, folder / "source")
    if "No matching distribution found for setuptools" in build.stdout + build.stderr:
        pytest.skip("setuptools cannot be fetched")
    assert build.returncode == 0, build.stdout + build.stderr
    return folder


@pytest.mark.long
@pytest.mark.network
def test_the_sdist_is_the_checkout_and_the_wheel_the_package(built, tracked):
    with tarfile.open(next(built.glob("*.tar.gz"))) as sdist:
        packed = {member.name.split("/", 1)[1] for member in sdist if member.isfile()}
    assert {name for name in packed if not GENERATED.match(name)} == {
        name for name in tracked if not NOT_PACKED.match(name)
    }
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        packed = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert packed == FILES
    assert {"minigrid/py.typed", "minigrid/backend/cuda/gates.cu", "minigrid/page/page.js"} <= packed


COMMANDS = (
    "train --corpus toywiki --hidden 8 --layers 1 --max-steps 20 --run run",
    "sample run --length 20",
    "sample pretrained:shakespeare-grid-1 --length 20 --prime ROMEO:",
    "eval pretrained:addition-tied-1",
    "inspect pretrained:toywiki-grid-1 --text [http://www.vusral.net] --out gates.html",
    "plot run --out curves.png",
    "gradcheck --hidden 3 --layers 2",
)


@pytest.mark.long
@pytest.mark.network
def test_the_wheel_works_on_its_own(built, tmp_path):
    """Elsewhere, in a fresh environment, and with a home folder that cannot be written to."""
    elsewhere, place = tmp_path / "elsewhere", tmp_path / "environment"
    elsewhere.mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MINIGRID"))}
    assert run(sys.executable, "-m", "venv", place, env=environment).returncode == 0
    programs = place / ("Scripts" if os.name == "nt" else "bin")
    wheel = next(built.glob("*.whl"))
    install = run(programs / "python", "-m", "pip", "install", "--quiet", wheel, cwd=elsewhere, env=environment)
    assert install.returncode == 0, install.stderr

    (tmp_path / "file").write_text("", encoding="utf-8")
    environment["HOME"] = str(tmp_path / "file" / "home")
    for command in COMMANDS:
        done = run(programs / "minigrid", *command.split(), cwd=elsewhere, env=environment)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        assert not re.search(r"Traceback|Warning", done.stderr), f"{command}: {done.stderr}"
    left = {path.relative_to(elsewhere).as_posix() for path in elsewhere.rglob("*") if path.is_file()}
    assert left >= {"gates.html", "gates.png", "curves.png", "run/best.npz", "run/last.npz", "run/loss.png"}
