"""One tray per home, also when two start at once or the first one was killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from pytestqt.qtbot import QtBot

from lynkr_desktop.ui.instance import SingleInstance

ROOT = Path(__file__).resolve().parent.parent.parent
ACQUIRE = """
import sys
from pathlib import Path
from PySide6.QtCore import QCoreApplication
from lynkr_desktop.ui.instance import SingleInstance
app = QCoreApplication([])
instance = SingleInstance(Path(sys.argv[1]))
print("first" if instance.acquire() else "shown" if instance.show_first() else "silent", flush=True)
"""


def start(home: Path, then: str = "") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", ACQUIRE + then, str(home)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_second_start_reaches_the_first(qtbot: QtBot, tmp_path: Path) -> None:
    first = SingleInstance(tmp_path)
    assert first.acquire()
    with qtbot.waitSignal(first.show_requested, timeout=10_000):
        second = start(tmp_path)
    assert said(second) == "shown"
    assert second.wait(10) == 0
    first.release()


def test_other_homes_do_not_meet(qtbot: QtBot, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    first, other = SingleInstance(tmp_path), SingleInstance(tmp_path / "b")
    assert first.acquire()
    assert other.acquire()
    first.release()
    other.release()


def test_what_a_killed_one_left_behind_is_no_obstacle(qtbot: QtBot, tmp_path: Path) -> None:
    killed = start(tmp_path, "app.exec()")
    assert said(killed) == "first"
    killed.kill()
    killed.wait()
    second = SingleInstance(tmp_path)
    assert second.acquire()
    with qtbot.waitSignal(second.show_requested, timeout=10_000):
        third = start(tmp_path)
    assert said(third) == "shown"
    third.wait(10)
    second.release()


def test_of_two_at_once_one_is_first(tmp_path: Path) -> None:
    both = [start(tmp_path, "app.exec()") for _ in range(2)]
    try:
        # Only the first runs a loop that answers, so the other's fate is told by its exit.
        answers = sorted(said(process) for process in both)
    finally:
        for process in both:
            process.kill()
            process.wait()
    assert answers == ["first", "shown"]
