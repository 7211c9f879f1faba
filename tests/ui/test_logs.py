"""The Logs page shows, filters, copies and follows a real file, however large."""

from __future__ import annotations

import gc
import time
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QComboBox, QLineEdit, QListView, QPushButton
from pytestqt.qtbot import QtBot

from lynkr_desktop.ui.engine_model import EngineModel, Phase
from lynkr_desktop.ui.logs.lines import MOST_LINES, LogLines
from lynkr_desktop.ui.logs.page import LogsPage
from lynkr_desktop.ui.logs.tail import LogLine
from lynkr_desktop.ui.widgets.switch import Switch
from tests.support.recorder import Recorder

RECORD = "2026-03-02 14:00:00,000 {level:<7} engine: {text}\n"


def record(level: str, text: str) -> str:
    return RECORD.format(level=level, text=text)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "engine.log"


@pytest.fixture
def page(qtbot: QtBot, model: EngineModel, actions: Recorder, log: Path) -> LogsPage:
    log.parent.mkdir()
    result = LogsPage(model, actions, log)
    result.resize(700, 400)
    qtbot.addWidget(result)
    return result


def view_of(page: LogsPage) -> QListView:
    return next(view for view in page.findChildren(QListView) if view.accessibleName() == "Engine log")


def rows_end_with(page: LogsPage, words: str) -> bool:
    found = view_of(page).model()
    return str(found.index(found.rowCount() - 1, 0).data()).endswith(words)


def rows(page: LogsPage) -> list[str]:
    view = view_of(page)
    found = view.model()
    return [str(found.index(row, 0).data()) for row in range(found.rowCount())]


def test_the_list_is_bounded() -> None:
    lines = LogLines()
    for number in range(MOST_LINES // 1000 + 5):
        lines.append([LogLine(f"{number}", 1)] * 1000)
    assert lines.rowCount() <= MOST_LINES


def test_filter_by_level_and_text(page: LogsPage, log: Path, qtbot: QtBot) -> None:
    log.write_text(
        record("DEBUG", "detail") + record("INFO", "Ready") + record("ERROR", "ollama is gone") + "    more\n"
    )
    page.show()
    qtbot.waitUntil(lambda: len(rows(page)) == 3)  # Info and above at first
    level = page.findChildren(QComboBox)[0]
    level.setCurrentIndex(0)
    assert len(rows(page)) == 4
    level.setCurrentIndex(3)
    assert [row[-4:] for row in rows(page)] == ["gone", "more"]
    level.setCurrentIndex(0)
    page.findChildren(QLineEdit)[0].setText("READY")
    assert [row[-5:] for row in rows(page)] == ["Ready"]


def test_copy_takes_what_is_chosen_or_everything_shown(page: LogsPage, log: Path, qtbot: QtBot) -> None:
    log.write_text("".join(record("INFO", f"line {number}") for number in range(5)))
    page.show()
    qtbot.waitUntil(lambda: len(rows(page)) == 5)
    copy = next(button for button in page.findChildren(QPushButton) if button.text() == "Copy")
    QTest.mouseClick(copy, Qt.MouseButton.LeftButton)
    assert len(QGuiApplication.clipboard().text().splitlines()) == 5
    view = view_of(page)
    view.setCurrentIndex(view.model().index(2, 0))
    QTest.mouseClick(copy, Qt.MouseButton.LeftButton)
    assert QGuiApplication.clipboard().text().endswith("line 2")
    assert "\n" not in QGuiApplication.clipboard().text()


def test_it_follows_and_lets_go(page: LogsPage, log: Path, qtbot: QtBot) -> None:
    log.write_text("".join(record("INFO", f"line {number}") for number in range(200)))
    page.show()
    bar = view_of(page).verticalScrollBar()
    qtbot.waitUntil(lambda: bar.maximum() > 0 and bar.value() == bar.maximum())
    follow = page.findChildren(Switch)[0]
    follow.setChecked(False)
    bar.setValue(0)
    with log.open("a") as file:
        file.write(record("INFO", "newest"))
    qtbot.waitUntil(lambda: len(rows(page)) == 201)
    assert bar.value() == 0
    follow.setChecked(True)
    qtbot.waitUntil(lambda: bar.value() == bar.maximum())


def test_an_empty_log_offers_to_start_the_engine(
    page: LogsPage, model: EngineModel, actions: Recorder, qtbot: QtBot
) -> None:
    page.show()
    start = next(button for button in page.findChildren(QPushButton) if button.text() == "Start the engine")
    assert start.isVisible()
    QTest.mouseClick(start, Qt.MouseButton.LeftButton)
    assert actions.calls == [("start",)]
    model.set_phase(Phase.STARTING)
    assert not start.isVisible()


def test_five_megabytes_never_hold_up_the_window(page: LogsPage, log: Path, qtbot: QtBot) -> None:
    line = record("INFO", "r_81c2 200 in 1,840 ms, first token after 212 ms, 3,120 in, 164 out")
    log.write_text(line * (5 * 1024 * 1024 // len(line)))
    with log.open("a") as file:
        file.write(record("INFO", "the last line"))
    gc.collect()
    gc.freeze()  # what pytest holds is not the window's to collect
    page.show()
    longest, deadline = 0.0, time.monotonic() + 20
    while not rows_end_with(page, "the last line"):
        assert time.monotonic() < deadline
        since = time.thread_time()
        QApplication.processEvents()
        longest = max(longest, time.thread_time() - since)
    gc.unfreeze()
    # Processor time of one turn of the loop: a busy machine does not count against it.
    assert longest < 0.05, f"{longest * 1000:.0f} ms"
