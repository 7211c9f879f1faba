"""Sessions that the loop guard paused: in the window, in the tray's menu, and beside the icon."""

from __future__ import annotations

from types import SimpleNamespace

import msgspec
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QMenu, QPushButton

from lynkr_desktop.protocol.control import EngineStatus
from lynkr_desktop.protocol.events import SessionChanged
from lynkr_desktop.protocol.sessions import SessionPause
from lynkr_desktop.ui.application import Desktop
from lynkr_desktop.ui.engine_model import EngineModel
from lynkr_desktop.ui.tray.menu import TrayMenu
from lynkr_desktop.ui.window.main_window import MainWindow
from lynkr_desktop.ui.window.session_banners import SessionBanner
from tests.support.recorder import Recorder
from tools import demo

OTHER = SessionPause(
    id="c_1", client="unknown", cause="person", detail="a person paused it", title="Tidy R&D"
)


def put(model: EngineModel, *sessions: SessionPause) -> None:
    assert model.status is not None
    model.set_status(msgspec.structs.replace(model.status, sessions_paused=sessions))
    model.changed.emit()


def banners(window: MainWindow) -> list[SessionBanner]:
    return [banner for banner in window.findChildren(SessionBanner) if banner.isVisible()]


def button(banner: SessionBanner, text: str) -> QPushButton:
    return next(found for found in banner.findChildren(QPushButton) if found.text() == text)


def entries(menu: QMenu) -> list[QAction]:
    return [action for action in menu.actions() if action.isVisible() and not action.isSeparator()]


def test_a_banner_says_who_and_why_and_its_buttons_act(
    window: MainWindow, running: EngineModel, actions: Recorder
) -> None:
    assert not banners(window)
    session = demo.paused_session()
    put(running, session)
    (banner,) = banners(window)
    said = banner.accessibleName()
    assert said.startswith("Claude Code is paused: Make the payment tests pass again.")
    assert "15 actions failed in a row. Last: Bash npm test -- payments" in said
    for text, act in (("Resume", "resume"), ("Start over", "reset"), ("End", "end")):
        pressed = button(banner, text)
        assert pressed.toolTip()
        assert pressed.accessibleName() == f"{text}: Claude Code"
        pressed.setFocus()
        QTest.keyClick(pressed, Qt.Key.Key_Space)
        assert actions.calls[-1] == ("act_on_session", session.id, act)
    put(running)
    assert not banners(window)


def test_many_sessions_take_three_banners_and_a_line(window: MainWindow, running: EngineModel) -> None:
    ids = [msgspec.structs.replace(demo.paused_session(), id=f"s{number}") for number in range(5)]
    put(running, *ids)
    assert len(banners(window)) == 3
    ended = [msgspec.structs.replace(session, state="ended") for session in ids]
    put(running, *ended)
    assert not banners(window), "what a person ended waits for nobody"


def test_the_menu_has_one_entry_for_them(model: EngineModel, status: EngineStatus, actions: Recorder) -> None:
    menu = TrayMenu(model, actions)
    model.set_status(status)
    model.changed.emit()
    before = len(entries(menu.menu))
    put(model, demo.paused_session())
    entry = entries(menu.menu)[1]
    assert entry.text() == "Claude Code is paused: 15 actions failed in a row"
    sub = entry.menu()
    assert isinstance(sub, QMenu)
    assert [action.text().replace("&", "") for action in entries(sub)] == ["Resume", "Start over", "End"]
    entries(sub)[1].trigger()
    assert actions.calls == [("act_on_session", demo.paused_session().id, "reset")]
    put(model, demo.paused_session(), OTHER)
    assert entries(menu.menu)[1].text() == "2 sessions are paused"
    assert len(entries(menu.menu)) == before + 1
    inside = entries(sub)
    assert [action.text() for action in inside if not action.isEnabled()] == [
        "Claude Code: Make the payment tests pass again",
        "An agent: Tidy R&&D",
    ]
    inside[-1].trigger()
    assert actions.calls[-1] == ("act_on_session", "c_1", "end")
    put(model)
    assert len(entries(menu.menu)) == before


@pytest.mark.usefixtures("window")
def test_only_what_the_guard_paused_is_told_beside_the_icon(running: EngineModel) -> None:
    told: list[SessionPause] = []
    running.session_paused.connect(told.append)
    running.apply(SessionChanged(OTHER))
    assert running.status is not None
    assert running.status.sessions_paused == (OTHER,)
    running.apply(SessionChanged(demo.paused_session()))
    assert [session.client for session in told] == ["Claude Code"]
    running.apply(SessionChanged(msgspec.structs.replace(OTHER, state="running")))
    assert [session.client for session in running.status.sessions_paused] == ["Claude Code"]


@pytest.mark.parametrize(("active", "said"), [(False, 1), (True, 0), (None, 1)])
def test_the_tray_says_it_unless_a_person_sees_the_window(active: bool | None, said: int) -> None:
    shown: list[tuple[str, str]] = []
    desktop = SimpleNamespace(
        _window=None if active is None else SimpleNamespace(isActiveWindow=lambda: active),
        _tray=SimpleNamespace(say=lambda title, text: shown.append((title, text))),
    )
    Desktop._session_paused(desktop, demo.paused_session())  # type: ignore[arg-type]
    told = ("Claude Code is paused", "15 actions failed in a row. Last: Bash npm test -- payments")
    assert shown == [told] * said
