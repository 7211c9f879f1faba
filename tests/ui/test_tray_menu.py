"""The tray's menu and icons, without a tray."""

from __future__ import annotations

import msgspec
import pytest
from PySide6.QtGui import QAction, QGuiApplication
from PySide6.QtWidgets import QMenu

from lynkr_desktop.protocol.control import EngineStatus, ProfileStatus
from lynkr_desktop.protocol.tiers import Tier
from lynkr_desktop.ui.engine_model import EngineModel, Phase, Problem
from lynkr_desktop.ui.theme.theme import theme
from lynkr_desktop.ui.theme.tokens import DARK, LIGHT, Size
from lynkr_desktop.ui.tray.icon import tray_icon
from lynkr_desktop.ui.tray.menu import TrayMenu
from tests.support.recorder import Recorder
from tools import demo


@pytest.fixture
def menu(model: EngineModel, actions: Recorder) -> TrayMenu:
    return TrayMenu(model, actions)


def start(model: EngineModel, status: EngineStatus) -> None:
    model.set_token(demo.TOKEN)
    model.set_status(status)
    model.changed.emit()


def in_force(status: EngineStatus, name: str) -> EngineStatus:
    profiles = tuple(
        msgspec.structs.replace(profile, active=profile.name == name) for profile in status.profiles
    )
    return msgspec.structs.replace(status, profiles=profiles)


def entries(menu: QMenu) -> list[QAction]:
    return [action for action in menu.actions() if action.isVisible() and not action.isSeparator()]


def words(menu: QMenu) -> list[str]:
    return [action.text().replace("&", "") for action in entries(menu)]


def entry(menu: QMenu, text: str) -> QAction:
    found = [action for action in entries(menu) if action.text().replace("&", "").startswith(text)]
    assert found, f"{text!r} is not among {words(menu)}"
    return found[0]


def test_running(menu: TrayMenu, model: EngineModel, status: EngineStatus) -> None:
    start(model, status)
    assert words(menu.menu) == [
        "Running on port 8081",
        "Stop",
        "Pause for",
        "Simple, 58 %",
        "Medium, 27 %",
        "Complex, 11 %",
        "Reasoning, 4 %",
        "Profile: default",
        "Spent today: $1.84",
        "Copy endpoint",
        "Logs",
        "Quit",
    ]
    assert len(words(menu.menu)) <= 16
    assert all(entry(menu.menu, tier).isChecked() for tier in ("Simple", "Medium", "Complex", "Reasoning"))


def chosen(menu: QMenu) -> list[str]:
    return [action.text() for action in entries(menu) if action.isChecked()]


def test_profiles_are_one_of_many_and_say_what_stays_here(
    menu: TrayMenu, model: EngineModel, status: EngineStatus, actions: Recorder
) -> None:
    start(model, status)
    profiles = entry(menu.menu, "Profile: default").menu()
    assert words(profiles) == ["default", "secure: nothing leaves this machine", "cheap"]
    assert chosen(profiles) == ["default"]
    entry(profiles, "secure").trigger()
    assert actions.calls == [("set_profile", "secure")]
    assert chosen(profiles) == ["default"], "the engine has not said so"
    start(model, in_force(status, "secure"))
    assert chosen(profiles) == ["secure: nothing leaves this machine"]
    assert words(menu.menu)[0] == "Running on port 8081, secure"
    assert entry(menu.menu, "Profile: secure").isEnabled()
    plain = menu.menu.defaultAction().icon().pixmap(Size.ICON_SMALL).toImage()
    start(model, status)
    assert words(menu.menu)[0] == "Running on port 8081"
    assert menu.menu.defaultAction().icon().pixmap(Size.ICON_SMALL).toImage() != plain, "a shape of its own"


def test_profiles_with_odd_names(menu: TrayMenu, model: EngineModel, status: EngineStatus) -> None:
    odd = ProfileStatus(name="R&D", active=True, local_only=False)
    start(model, msgspec.structs.replace(status, profiles=(odd,)))
    assert entry(menu.menu, "Profile: RD")
    assert [action.text() for action in entries(entry(menu.menu, "Profile").menu())] == ["R&&D"]
    start(model, msgspec.structs.replace(status, profiles=()))
    assert not entry(menu.menu, "Profile").isEnabled()


def test_indexing_is_a_line_only_while_it_runs(
    menu: TrayMenu, model: EngineModel, status: EngineStatus
) -> None:
    asked: list[bool] = []
    menu.routing_requested.connect(lambda: asked.append(True))
    start(model, status)
    before = len(entries(menu.menu))
    start(model, msgspec.structs.replace(status, workspaces=(demo.index("indexing"), demo.index())))
    entry(menu.menu, "Indexing shop: 312 of 1,020 files").trigger()
    assert asked == [True]
    assert len(entries(menu.menu)) == before + 1
    two = (
        demo.index("indexing"),
        msgspec.structs.replace(demo.index("indexing"), root="/b", total=0, done=0),
    )
    start(model, msgspec.structs.replace(status, workspaces=two))
    assert entry(menu.menu, "Indexing 2 workspaces: 312 of 1,020 files")
    start(model, msgspec.structs.replace(status, workspaces=two[1:]))
    assert entry(menu.menu, "Indexing b: looking for files")
    start(model, status)
    assert not [text for text in words(menu.menu) if text.startswith("Indexing")]


def test_the_menu_stays_short(menu: TrayMenu, model: EngineModel, status: EngineStatus) -> None:
    busy = msgspec.structs.replace(status, workspaces=(demo.index("indexing"),), state="paused")
    start(model, busy)
    assert len(entries(menu.menu)) <= 16


def test_stopped(menu: TrayMenu, actions: Recorder) -> None:
    assert words(menu.menu)[:3] == ["Stopped", "Start", "Pause for"]
    assert not entry(menu.menu, "Pause for").isEnabled()
    assert not entry(menu.menu, "Simple").isEnabled()
    assert not entry(menu.menu, "Copy endpoint").isEnabled()
    entry(menu.menu, "Start").trigger()
    assert actions.calls == [("start",)]


def test_what_the_entries_do(
    menu: TrayMenu, model: EngineModel, status: EngineStatus, actions: Recorder
) -> None:
    start(model, status)
    entry(menu.menu, "Stop").trigger()
    pause = entry(menu.menu, "Pause for").menu()
    for action in entries(pause):
        action.trigger()
    entry(menu.menu, "Complex").trigger()
    entry(menu.menu, "Quit").trigger()
    assert actions.calls == [
        ("stop",),
        ("pause", 900.0),
        ("pause", 3600.0),
        ("pause", None),
        ("set_tier", Tier.COMPLEX, False),
        ("quit",),
    ]


def test_a_check_mark_is_the_models_to_set(menu: TrayMenu, model: EngineModel, status: EngineStatus) -> None:
    start(model, status)
    entry(menu.menu, "Simple").trigger()  # the recorder does nothing about it
    assert entry(menu.menu, "Simple").isChecked()
    model.tier_pending(Tier.SIMPLE, False)
    assert not entry(menu.menu, "Simple").isChecked()
    model.tier_settled(Tier.SIMPLE, None)
    assert entry(menu.menu, "Simple").isChecked()


def test_paused_draining_and_problem(menu: TrayMenu, model: EngineModel, status: EngineStatus) -> None:
    start(model, msgspec.structs.replace(status, state="paused"))
    assert words(menu.menu)[:3] == ["Paused", "Stop", "Resume"]
    start(model, msgspec.structs.replace(status, state="draining", active=1))
    assert words(menu.menu)[:2] == ["Finishing 1 request", "Stop now"]
    assert words(menu.menu)[-1] == "Quit now"
    model.forget_engine()
    model.set_phase(Phase.PROBLEM, Problem(title="Port 8081 is taken", text=""))
    assert words(menu.menu)[:2] == ["Port 8081 is taken", "Start"]


def test_copy_endpoint(menu: TrayMenu, model: EngineModel, status: EngineStatus) -> None:
    start(model, status)
    copied = []
    for action in entries(entry(menu.menu, "Copy endpoint").menu()):
        action.trigger()
        copied.append(QGuiApplication.clipboard().text())
    assert copied == ["http://127.0.0.1:8081/v1", "http://127.0.0.1:8081", demo.TOKEN]


def test_pages_are_asked_for(menu: TrayMenu, model: EngineModel, status: EngineStatus) -> None:
    start(model, status)
    asked: list[str] = []
    menu.overview_requested.connect(lambda: asked.append("overview"))
    menu.logs_requested.connect(lambda: asked.append("logs"))
    for text in ("Running", "Spent today", "Logs"):
        entry(menu.menu, text).trigger()
    assert asked == ["overview", "overview", "logs"]


def test_the_menu_is_drawn_with_check_marks_beside_the_marks(
    menu: TrayMenu, model: EngineModel, status: EngineStatus
) -> None:
    start(model, status)
    menu.menu.resize(menu.menu.sizeHint())
    on = menu.menu.grab().toImage()
    model.tier_pending(Tier.SIMPLE, False)
    off = menu.menu.grab().toImage()
    row = menu.menu.actionGeometry(entry(menu.menu, "Simple"))
    check = [Size.MENU_CHECK + x for x in range(Size.ICON_SMALL)]
    assert any(on.pixel(x, y) != off.pixel(x, y) for x in check for y in range(row.top(), row.bottom()))
    mark = [Size.MENU_ICON + x for x in range(Size.ICON_SMALL)]
    assert all(on.pixel(x, y) == off.pixel(x, y) for x in mark for y in range(row.top(), row.bottom()))


def test_each_state_has_its_own_shape_in_both_themes(model: EngineModel) -> None:
    shown = (Phase.STOPPED, Phase.STARTING, Phase.RUNNING, Phase.PAUSED, Phase.PROBLEM)
    for colors in (LIGHT, DARK):
        theme.force(colors)
        shapes = set()
        for phase in shown:
            image = tray_icon(phase).pixmap(Size.TRAY).toImage()
            # Shape alone: which pixels are inked, whatever their colour.
            inked = bytes(
                image.pixelColor(x, y).alpha() > 127
                for y in range(image.height())
                for x in range(image.width())
            )
            assert any(inked)
            shapes.add(inked)
        assert len(shapes) == len(shown)
