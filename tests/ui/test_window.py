"""What a person sees and does in the window."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from PySide6.QtCore import QModelIndex, QPoint, QSettings, Qt
from PySide6.QtGui import QAccessible, QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QApplication,
    QComboBox,
    QLabel,
    QLineEdit,
    QMessageBox,
    QPlainTextEdit,
    QProgressBar,
    QWidget,
)
from pytestqt.qtbot import QtBot

from lynkr_desktop.paths import Paths
from lynkr_desktop.protocol.breakers import BreakerStatus
from lynkr_desktop.protocol.budgets import BudgetStatus
from lynkr_desktop.protocol.control import EngineStatus, UsageTotals
from lynkr_desktop.protocol.events import ModelPull
from lynkr_desktop.protocol.tiers import TIERS, Tier
from lynkr_desktop.ui.engine_model import EngineModel, Phase, Remedy
from lynkr_desktop.ui.engine_process import StartFailure
from lynkr_desktop.ui.problems import crashed, failed_to_start, not_answering
from lynkr_desktop.ui.routing.code_tree import code_tree
from lynkr_desktop.ui.routing.decisions_card import DecisionsCard
from lynkr_desktop.ui.routing.legend import Legend
from lynkr_desktop.ui.theme.theme import theme
from lynkr_desktop.ui.theme.tokens import DARK, LIGHT, Size
from lynkr_desktop.ui.widgets.day_chart import DayChart
from lynkr_desktop.ui.widgets.icons import IconButton
from lynkr_desktop.ui.widgets.score_bar import ScoreBar
from lynkr_desktop.ui.widgets.switch import Switch
from lynkr_desktop.ui.window.main_window import MainWindow, Page
from lynkr_desktop.ui.window.navigation import EngineFoot, Navigation
from lynkr_desktop.ui.window.state_strip import StateStrip
from tests.support.recorder import Recorder
from tools import demo


def visible(window: QWidget, kind: type[QWidget]) -> Iterator[QWidget]:
    return (widget for widget in window.findChildren(kind) if widget.isVisible())


def texts(window: QWidget) -> str:
    found = [label.text() for label in visible(window, QLabel)]  # type: ignore[attr-defined]
    return "\n".join(found)


def press(window: QWidget, name: str) -> None:
    buttons = [
        button
        for button in visible(window, QAbstractButton)
        if name in (button.text(), button.accessibleName())  # type: ignore[attr-defined]
    ]
    assert buttons, f"no button {name!r}"
    QTest.mouseClick(buttons[0], Qt.MouseButton.LeftButton)


def switch(window: QWidget, tier: str) -> Switch:
    return next(found for found in window.findChildren(Switch) if found.accessibleName() == f"{tier} tier")


def test_a_stopped_engine_is_one_click_away(window: MainWindow, actions: Recorder) -> None:
    assert "The engine is stopped" in texts(window)
    press(window, "Start the engine")
    assert actions.calls == [("start",)]


def test_the_overview_says_what_runs(window: MainWindow, running: EngineModel) -> None:
    seen = texts(window)
    for words in ("Running", "Port 8081", "http://127.0.0.1:8081/v1", "lk_••••••••3f9c", "$1.84", "2.61 M"):
        assert words in seen
    for words in ("612", "qwen2.5-coder:7b", "then deepseek-chat", "Loaded", "1 of 2 up", "58 %"):
        assert words in seen
    assert "Spend by hour" in seen
    assert demo.TOKEN not in seen


def test_tokens_stand_in_while_nothing_costs(
    window: MainWindow, running: EngineModel, status: EngineStatus
) -> None:
    hours = tuple(UsageTotals(input_tokens=10 * hour) for hour in range(24))
    running.set_status(msgspec.structs.replace(status, hours=hours, totals=UsageTotals(unpriced=2)))
    running.changed.emit()
    assert "Tokens by hour" in texts(window)
    assert "$0.00" in texts(window)


def test_what_is_out_of_the_ordinary_has_a_line(
    window: MainWindow, running: EngineModel, status: EngineStatus
) -> None:
    (strip,) = window.findChildren(StateStrip)
    assert not strip.isVisible()
    secure = tuple(
        msgspec.structs.replace(profile, active=profile.name == "secure") for profile in status.profiles
    )
    running.set_status(msgspec.structs.replace(status, profiles=secure, workspaces=(demo.index("indexing"),)))
    running.changed.emit()
    seen = texts(strip)
    for words in ("Profile secure", "Nothing leaves this machine.", "Indexing shop: 312 of 1,020 files"):
        assert words in seen
    (foot,) = window.findChildren(EngineFoot)
    assert foot.accessibleName() == "Running secure"
    (bar,) = strip.findChildren(QProgressBar)
    assert bar.value() == 306
    running.set_status(status)
    running.changed.emit()
    assert not strip.isVisible()


def show_routing(window: MainWindow, model: EngineModel) -> None:
    code = demo.code()
    model.routing.set_newest(demo.decisions())
    model.routing.set_code(code.status, code_tree(code.files))
    window.show_page("routing")
    (card,) = window.findChildren(DecisionsCard)
    card.table.setCurrentIndex(card.table.model().index(1, 0))


def test_copying_gives_the_whole_value(window: MainWindow, running: EngineModel) -> None:
    for name, value in (
        ("Copy the OpenAI URL", "http://127.0.0.1:8081/v1"),
        ("Copy the Anthropic URL", "http://127.0.0.1:8081"),
        ("Copy the token", demo.TOKEN),
    ):
        press(window, name)
        assert QGuiApplication.clipboard().text() == value
    assert any(button.accessibleName() == "Copied" for button in window.findChildren(QAbstractButton))


def test_a_switch_asks_at_once_by_mouse_and_by_keyboard(
    window: MainWindow, running: EngineModel, actions: Recorder
) -> None:
    simple = switch(window, "Simple")
    assert simple.isChecked()
    QTest.mouseClick(simple, Qt.MouseButton.LeftButton, pos=QPoint(2, 2))
    simple.setFocus()
    QTest.keyClick(simple, Qt.Key.Key_Space)
    assert actions.calls == [("set_tier", Tier.SIMPLE, False), ("set_tier", Tier.SIMPLE, True)]


def test_a_refused_switch_goes_back_and_says_why(window: MainWindow, running: EngineModel) -> None:
    running.tier_pending(Tier.SIMPLE, False)
    assert not switch(window, "Simple").isChecked()
    assert "Off" in texts(window)
    running.tier_settled(Tier.SIMPLE, None)
    running.notice.emit("Simple stays on: one tier must stay on.")
    assert switch(window, "Simple").isChecked()
    assert "one tier must stay on" in texts(window)
    press(window, "Dismiss")
    assert "one tier must stay on" not in texts(window)


def test_a_taken_port_is_named_and_another_offered(
    window: MainWindow, model: EngineModel, actions: Recorder
) -> None:
    failure = StartFailure(
        "port_in_use", "x", port=8081, holder="nginx (process 12)", suggested_port=8082, details="errno 98"
    )
    model.set_phase(Phase.PROBLEM, failed_to_start(failure, None))
    assert "Port 8081 is taken" in texts(window)
    assert "nginx (process 12)" in texts(window)
    press(window, "Use port 8082 instead")
    assert actions.calls == [("remedy", Remedy("port", 8082))]
    press(window, "Copy details")
    assert "errno 98" in QGuiApplication.clipboard().text()


def test_a_crash_and_a_silent_engine_say_what_comes_next(
    window: MainWindow, running: EngineModel, actions: Recorder
) -> None:
    running.set_phase(Phase.PROBLEM, not_answering(77, 8081))
    press(window, "Restart it")
    assert not running.startable, "what hangs can be stopped"
    running.forget_engine()
    running.set_phase(Phase.PROBLEM, crashed(-9, 4.0))
    seen = texts(window)
    assert "stopped unexpectedly (signal 9)" in seen
    assert "The next try is in 4 s." in seen
    assert "$1.84" in seen, "what was recorded stays"
    press(window, "Start the engine")
    assert actions.calls == [("remedy", Remedy("restart")), ("start",)]


def test_a_refused_configuration_and_a_pause_are_told(
    window: MainWindow, running: EngineModel, status: EngineStatus, actions: Recorder
) -> None:
    config = msgspec.structs.replace(status.config, error="line 4: simpel is not an option")
    running.set_status(msgspec.structs.replace(status, state="paused", config=config))
    running.changed.emit()
    assert "line 4: simpel is not an option" in texts(window)
    assert "Paused until you resume" in texts(window)
    press(window, "Resume")
    press(window, "Read again")
    assert actions.calls == [("resume",), ("reload_config",)]
    running.set_status(status)
    running.changed.emit()
    assert "simpel" not in texts(window)


def test_models_that_are_not_asked_are_named_with_the_reason(
    window: MainWindow, running: EngineModel, status: EngineStatus
) -> None:
    breaker = BreakerStatus(
        name="openai/gpt-4o", state="open", next_probe=status.started, reason="17 of 20 requests failed."
    )
    running.set_status(msgspec.structs.replace(status, breakers=(breaker,)))
    running.changed.emit()
    assert "openai/gpt-4o is not asked for now" in texts(window)
    assert "17 of 20 requests failed." in texts(window)
    running.set_status(status)
    running.changed.emit()
    assert "openai/gpt-4o is not asked for now" not in texts(window)


def test_budgets_that_are_used_up_are_shown_and_those_that_are_not_are_not(
    window: MainWindow, running: EngineModel, status: EngineStatus
) -> None:
    day = BudgetStatus(scope="day", dollars=5.02, dollars_limit=5.0, share=1.004, renews=status.started)
    session = BudgetStatus(scope="session", name="s1", tokens=1200, tokens_limit=1000, share=1.2)
    low = BudgetStatus(scope="project", name="/a", tokens=90, tokens_limit=100, share=0.9)
    running.set_status(msgspec.structs.replace(status, budgets=(session, day, low)))
    running.changed.emit()
    shown = texts(window)
    assert "2 budgets are used up" in shown
    assert "Today: $5.02 of $5.00, until" in shown
    assert "Session s1: 1,200 of 1,000 tokens; it does not renew by itself." in shown
    assert "Project /a" not in shown
    running.set_status(msgspec.structs.replace(status, budgets=(low,)))
    running.changed.emit()
    assert "used up" not in texts(window)


def test_without_any_model_the_download_is_offered(
    window: MainWindow, running: EngineModel, status: EngineStatus, actions: Recorder
) -> None:
    tiers = tuple(
        msgspec.structs.replace(
            tier,
            candidates=tuple(
                msgspec.structs.replace(row, state="unavailable", reason="no key") for row in tier.candidates
            ),
        )
        for tier in status.tiers
    )
    absent = msgspec.structs.replace(status.models[0], state="absent")
    running.set_status(msgspec.structs.replace(status, tiers=tiers, models=(absent, status.models[1])))
    running.changed.emit()
    assert "No model can answer yet" in texts(window)
    press(window, "Download")
    assert actions.calls == [("pull_model", absent.id)]


def test_a_download_shows_how_far_it_is(
    window: MainWindow, running: EngineModel, status: EngineStatus, actions: Recorder
) -> None:
    assert "148 MB of 241 MB, 11 MB/s, 8 s left" in texts(window)
    (bar,) = [bar for bar in visible(window, QProgressBar) if bar.accessibleName() == "Download"]
    assert 610 <= bar.value() <= 618  # type: ignore[attr-defined]
    press(window, f"Stop {status.models[1].title}")
    failed = msgspec.structs.replace(status.models[1], state="failed", error="The disk is full.")
    running.apply(ModelPull(failed))
    running.changed.emit()
    assert "The disk is full." in texts(window)
    press(window, f"Resume {failed.title}")
    assert actions.calls == [("cancel_pull", failed.id), ("pull_model", failed.id)]


@pytest.mark.parametrize("answer", ["Keep", "Remove"])
def test_removing_a_model_asks_first(
    qtbot: QtBot,
    window: MainWindow,
    running: EngineModel,
    status: EngineStatus,
    actions: Recorder,
    answer: str,
) -> None:
    press(window, f"Remove {status.models[0].title}")
    (box,) = window.findChildren(QMessageBox)
    assert "1.1 GB" in box.informativeText()
    chosen = next(button for button in box.buttons() if button.text().replace("&", "") == answer)
    QTest.mouseClick(chosen, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not box.isVisible())
    assert actions.calls == ([("remove_model", status.models[0].id)] if answer == "Remove" else [])


def test_the_last_requests_can_be_read_by_eye_and_by_screen_reader(
    window: MainWindow, running: EngineModel
) -> None:
    view = next(
        view for view in window.findChildren(QAbstractItemView) if "happened" in view.accessibleName()
    )
    rows = view.model()
    assert rows.rowCount(QModelIndex()) == 10
    failed = next(rows.index(row, 0) for row in range(10) if "429" in str(rows.index(row, 0).data()))
    assert str(failed.data(Qt.ItemDataRole.AccessibleTextRole)).startswith("failed, OpenAI answered 429")
    tip = str(rows.index(0, 0).data(Qt.ItemDataRole.ToolTipRole))
    assert "7,836 tokens in, 412 out" in tip


def test_hostile_titles_stay_text(window: MainWindow, running: EngineModel) -> None:
    row = msgspec.structs.replace(
        demo.requests()[0], title="<b>bold</b>\n\nnext \u202e line " + "x" * 100_000, model="<img src=x>" * 50
    )
    running.set_requests([row])
    running.changed.emit()
    assert not window.grab().isNull()


@pytest.mark.parametrize("page", ["overview", "routing", "logs"])
def test_nothing_is_wider_than_its_place_at_the_smallest_size(
    qtbot: QtBot, window: MainWindow, running: EngineModel, page: Page
) -> None:
    show_routing(window, running)
    window.show_page(page)
    navigation = window.findChildren(Navigation)[0]
    window.resize(*Size.WINDOW_MIN)
    qtbot.waitUntil(lambda: navigation.width() == Size.NAV_COLLAPSED)
    assert (window.width(), window.height()) == Size.WINDOW_MIN

    def too_wide() -> list[str]:
        """What sticks out of its parent, once Qt has laid everything out."""
        return [
            f"{type(widget).__name__} {widget.accessibleName()}"
            for widget in window.findChildren(QWidget)
            if (parent := widget.parentWidget()) is not None
            and widget.isVisible()
            and not widget.isWindow()
            and 0 < parent.width() < widget.geometry().right()
        ]

    qtbot.waitUntil(lambda: too_wide() == [])
    window.resize(*Size.WINDOW)
    qtbot.waitUntil(lambda: navigation.width() == Size.NAV)


def test_everything_that_can_be_used_has_a_name(
    qtbot: QtBot, window: MainWindow, running: EngineModel
) -> None:
    kinds = (
        QAbstractButton,
        QLineEdit,
        QPlainTextEdit,
        QComboBox,
        QAbstractItemView,
        QProgressBar,
        DayChart,
        ScoreBar,
        Legend,
    )
    navigation = window.findChildren(Navigation)[0]
    show_routing(window, running)
    checked = 0
    for page in ("overview", "routing", "logs"):
        window.show_page(page)  # type: ignore[arg-type]
        for size in (Size.WINDOW, Size.WINDOW_MIN):
            window.resize(*size)
            wanted = Size.NAV if size == Size.WINDOW else Size.NAV_COLLAPSED
            qtbot.waitUntil(lambda wanted=wanted: navigation.width() == wanted)
            for kind in kinds:
                for widget in visible(window, kind):
                    if widget.window() is not window:
                        continue
                    name = widget.accessibleName() or (
                        widget.text() if isinstance(widget, QAbstractButton) else ""
                    )
                    assert name, f"{type(widget).__name__} on {page} has no name"
                    checked += 1
    assert checked > 60


def test_painted_widgets_are_what_they_are_to_a_screen_reader(
    window: MainWindow, running: EngineModel
) -> None:
    simple = QAccessible.queryAccessibleInterface(switch(window, "Simple"))
    assert simple.role() == QAccessible.Role.CheckBox
    assert simple.text(QAccessible.Text.Name) == "Simple tier"
    assert simple.state().checked
    bar = next(bar for bar in visible(window, QProgressBar) if "Simple" in bar.accessibleName())
    share = QAccessible.queryAccessibleInterface(bar)
    assert share.role() == QAccessible.Role.ProgressBar
    assert share.valueInterface().currentValue() == 580


def test_tab_reaches_every_control_of_the_page(
    qtbot: QtBot, window: MainWindow, running: EngineModel
) -> None:
    window.activateWindow()
    wanted = {switch(window, tier.value.capitalize()) for tier in TIERS}
    wanted |= {button for button in visible(window, QAbstractButton) if "Copy the" in button.accessibleName()}
    wanted |= set(visible(window, DayChart))
    reached: set[QWidget] = set()
    for _ in range(60):
        QTest.keyClick(QApplication.focusWidget() or window, Qt.Key.Key_Tab)
        focus = QApplication.focusWidget()
        if focus is not None:
            reached.add(focus)
    assert wanted <= reached


def test_tab_reaches_every_control_of_the_routing_page(
    qtbot: QtBot, window: MainWindow, running: EngineModel
) -> None:
    show_routing(window, running)
    window.activateWindow()
    kinds = (QLineEdit, QPlainTextEdit, QComboBox, QAbstractItemView, Switch, IconButton)
    wanted = {
        widget
        for kind in kinds
        for widget in visible(window, kind)
        if widget.focusPolicy() & Qt.FocusPolicy.TabFocus and widget.isEnabled()
    }
    assert len(wanted) >= 14
    reached: set[QWidget] = set()
    for _ in range(80):
        QTest.keyClick(QApplication.focusWidget() or window, Qt.Key.Key_Tab)
        focus = QApplication.focusWidget()
        if focus is not None:
            reached.add(focus)
    assert {f"{type(widget).__name__} {widget.accessibleName()}" for widget in wanted - reached} == set()


def test_the_chart_is_read_by_arrow_keys(window: MainWindow, running: EngineModel) -> None:
    (chart,) = window.findChildren(DayChart)
    chart.setFocus()
    QTest.keyClick(chart, Qt.Key.Key_Home)
    assert chart.accessibleDescription() == "00:00 to 00:59, <$0.01"
    for _ in range(9):
        QTest.keyClick(chart, Qt.Key.Key_Right)
    assert chart.accessibleDescription() == "09:00 to 09:59, $0.23"
    QTest.keyClick(chart, Qt.Key.Key_End)
    assert chart.accessibleDescription() == "23:00 to 23:59, $0.00"


def test_a_change_of_theme_repaints_everything(window: MainWindow, running: EngineModel) -> None:
    def ground() -> str:
        return window.grab().toImage().pixelColor(window.width() - 3, window.height() - 3).name().upper()

    assert ground() == LIGHT.window
    theme.force(DARK)
    assert ground() == DARK.window
    theme.force(LIGHT)
    assert ground() == LIGHT.window


def test_the_foot_starts_stops_and_stops_for_good(
    window: MainWindow, running: EngineModel, status: EngineStatus, actions: Recorder
) -> None:
    press(window, "Stop the engine")
    running.set_phase(Phase.STOPPING)
    running.set_status(msgspec.structs.replace(status, state="draining", active=2))
    running.changed.emit()
    assert "Finishing 2 requests" in texts(window)
    press(window, "Stop now")
    assert actions.calls == [("stop",), ("stop",)]


def test_the_window_remembers_itself_and_only_asks_to_close(
    qtbot: QtBot, window: MainWindow, model: EngineModel, actions: Recorder, paths: Paths, tmp_path: Path
) -> None:
    window.resize(760, 500)  # fits the 800 x 800 of the platform without a screen
    with qtbot.waitSignal(window.close_requested):
        window.close()
    assert window.isVisible()
    again = MainWindow(
        model, actions, paths, QSettings(str(tmp_path / "desktop.ini"), QSettings.Format.IniFormat)
    )
    qtbot.addWidget(again)
    assert (again.width(), again.height()) == (760, 500)
