import pytest
from run_fixtures import HERE, outcome, python

CONFTEST = "import pathlib, strict_skips; strict_skips.ALLOWED = pathlib.Path('list.txt').absolute()"

TESTS = """
import pytest

def test_runs():
    pass

@pytest.mark.skip(reason="skipped for no good reason")
def test_skipped():
    pass

@pytest.mark.xfail(reason="fails as expected")
def test_fails():
    assert False

@pytest.mark.xfail
def test_without_reason():
    assert False
"""

FILE = 'import pytest\n\npytest.importorskip("missing_module", reason="a whole file")\n'

ALL = "# why\nskipped for no .* reason\n\nfails as expected\n# why\na whole file\n(?!.)"


SOME, OTHERS = "skipped\nfails as expected", ["skipped for no good reason", "no reason given", "a whole file"]


@pytest.mark.parametrize(
    ("strict", "listed", "left_out", "workers"),
    [("", "", None, 0), ("1", ALL, None, 0), ("1", SOME, OTHERS, 0), ("1", SOME, OTHERS, 2)],
)
def test_only_listed_reasons_are_allowed(tmp_path, strict, listed, left_out, workers):
    for name, text in {"conftest.py": CONFTEST, "test_a.py": TESTS, "test_b.py": FILE, "list.txt": listed}.items():
        (tmp_path / name).write_text(text)
    command = ["-m", "pytest", "-p", "strict_skips", "-p", "xdist", "-n", workers, "--basetemp=base", "."]
    variables = {"PYTHONPATH": str(HERE), "MINIGRID_STRICT_SKIPS": strict, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    found = outcome(python(*command, cwd=tmp_path, **variables))
    assert "1 passed, 2 skipped, 2 xfailed" in found.out, found
    if left_out is None:
        assert (found.code, "left out" in found.out) == (0, False), found.out
    else:
        assert found.code == 1
        _, report = found.out.split("left out, but not in tests/allowed_skips.txt")
        assert [reason for reason in left_out if f": {reason}\n" not in report] == []
        assert "fails as expected" not in report
