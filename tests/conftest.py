"""Rules of every run: nothing outside temporary folders is written; in CI a skip needs a reason."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# A test may be skipped in CI only for one of these reasons, each a fact about the machine.
ALLOWED_SKIPS: tuple[str, ...] = (
    "needs Python 3.12 or newer; there is none here",
    # To prove that nothing leaves the machine, there must be a way out of it.
    "this machine has no address but loopback",
)


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Gives every test a home of its own, so that no test sees or touches a person's files."""
    home = tmp_path_factory.mktemp("home")
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(home))
    for name in (
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
        "XDG_CACHE_HOME",
        "XDG_STATE_HOME",
        "LYNKR_HOME",
        "LYNKR_CONFIG",
        "LYNKR_TOKEN",
        "OLLAMA_HOST",
        "OPENAI_API_KEY",
        "OPENROUTER_API_KEY",
        "ANTHROPIC_API_KEY",
    ):
        monkeypatch.delenv(name, raising=False)
    return home


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Names the skips that CI does not accept."""
    for report in _unlisted_skips(terminalreporter):
        terminalreporter.write_line(f"not accepted in CI: {report.nodeid} was skipped", red=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fails a CI run in which a test was skipped for a reason that is not listed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if isinstance(reporter, pytest.TerminalReporter) and _unlisted_skips(reporter):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _unlisted_skips(reporter: pytest.TerminalReporter) -> list[pytest.TestReport]:
    if not os.environ.get("CI"):
        return []
    skipped: list[pytest.TestReport] = reporter.stats.get("skipped", [])
    return [
        report for report in skipped if not any(reason in str(report.longrepr) for reason in ALLOWED_SKIPS)
    ]
