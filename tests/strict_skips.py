"""Fail a session in which a test is skipped, or expected to fail, for a reason that allowed_skips.txt does not list.

This plugin is active where the environment variable MINIGRID_STRICT_SKIPS is set, as in the gate: there a test that is
left out because something could not be installed must not go unnoticed.
"""

import os
import re
from pathlib import Path
from typing import Any

import pytest

ALLOWED = Path(__file__).parent / "allowed_skips.txt"

_forbidden = pytest.StashKey[list[str]]()


def _allowed() -> list[re.Pattern]:
    """Return the regular expressions in the list, without its comments."""
    lines = ALLOWED.read_text(encoding="utf-8").splitlines()
    return [re.compile(line) for line in lines if line.strip() and not line.startswith("#")]


def _left_out(reporter: Any) -> dict[str, str]:
    """Return the tests, or whole files, that were skipped or failed as expected, each with the reason."""
    skipped, failed = (reporter.stats.get(name, []) for name in ("skipped", "xfailed"))
    reasons = {report.nodeid: report.longrepr[2].removeprefix("Skipped: ") for report in skipped}
    return reasons | {report.nodeid: report.wasxfail.removeprefix("reason: ") for report in failed}


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Compare what was left out with the list; in xdist's workers there is no report yet."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or not os.environ.get("MINIGRID_STRICT_SKIPS"):
        return
    patterns = _allowed()
    session.config.stash[_forbidden] = found = [
        f"{test}: {reason or 'no reason given'}"
        for test, reason in _left_out(reporter).items()
        if not any(pattern.fullmatch(reason) for pattern in patterns)
    ]
    if found and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say which tests should have run."""
    if found := config.stash.get(_forbidden, []):
        terminalreporter.section("left out, but not in tests/allowed_skips.txt", red=True)
        terminalreporter.line("\n".join(found))
