"""The controller on qasync's loop against the control API's real wire format: the one thin mixed test."""

from __future__ import annotations

import asyncio
import itertools
import time

import msgspec
import psutil
import pytest
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from lynkr_desktop.paths import Paths
from lynkr_desktop.protocol.control import ControlError, EngineRuntime, EngineStatus
from lynkr_desktop.protocol.events import RequestFinished, StatusEvent
from lynkr_desktop.protocol.tiers import Tier
from lynkr_desktop.ui.controller import Controller
from lynkr_desktop.ui.engine_model import EngineModel, Phase
from lynkr_desktop.ui.session_words import paused
from lynkr_desktop.ui.window.main_window import MainWindow
from tests.support.control_server import TOKEN, ControlServer
from tests.support.scenario import run, until
from tools import demo


def test_a_switch_is_taken_or_taken_back(
    dressed: QApplication, model: EngineModel, paths: Paths, status: EngineStatus
) -> None:
    notices: list[str] = []
    model.notice.connect(notices.append)

    def on(tier: Tier) -> bool:
        return next(row.enabled for row in model.tiers if row.tier is tier)

    async def scenario(controller: Controller, server: ControlServer) -> None:
        controller.set_tier(Tier.SIMPLE, False)
        assert not on(Tier.SIMPLE), "at once"
        await until(lambda: not server.status.tiers[0].enabled)
        server.refusals["tiers/medium"] = ControlError(error="One tier must stay on.", code="last_tier")
        controller.set_tier(Tier.MEDIUM, False)
        assert not on(Tier.MEDIUM)
        await until(lambda: on(Tier.MEDIUM))
        assert notices == ["Medium stays on: One tier must stay on."]
        assert not on(Tier.SIMPLE)

    run(dressed, model, paths, status, scenario)


def test_a_profile_is_put_into_force_or_refused_with_the_reason(
    dressed: QApplication, model: EngineModel, paths: Paths, status: EngineStatus
) -> None:
    notices: list[str] = []
    model.notice.connect(notices.append)

    async def scenario(controller: Controller, server: ControlServer) -> None:
        controller.set_profile("secure")
        await until(lambda: model.status is not None and model.status.profile.name == "secure")
        server.refusals["profile"] = ControlError(error="There is no profile 'x'.", code="not_found")
        controller.set_profile("x")
        await until(lambda: notices == ["There is no profile 'x'."])

    run(dressed, model, paths, status, scenario)


def test_a_paused_session_is_resumed_or_ended_or_refused_with_the_reason(
    dressed: QApplication, model: EngineModel, paths: Paths, status: EngineStatus
) -> None:
    notices: list[str] = []
    model.notice.connect(notices.append)
    one, two, three = (msgspec.structs.replace(demo.paused_session(), id=f"s{number}") for number in range(3))

    def waiting() -> list[str]:
        return [session.id for session in paused(model)]

    async def scenario(controller: Controller, server: ControlServer) -> None:
        server.status = msgspec.structs.replace(server.status, sessions_paused=(one, two, three))
        server.emit(StatusEvent(server.status))
        await until(lambda: waiting() == ["s0", "s1", "s2"])
        controller.act_on_session("s0", "resume")
        await until(lambda: waiting() == ["s1", "s2"])
        controller.act_on_session("s1", "end")
        await until(lambda: waiting() == ["s2"])
        assert "lynkr sessions remove s1" in notices[-1]
        server.refusals["s2/reset"] = ControlError(error="It cannot be saved.", code="unavailable")
        controller.act_on_session("s2", "reset")
        await until(lambda: notices[-1] == "It cannot be saved.")
        assert waiting() == ["s2"]

    run(dressed, model, paths, status, scenario)


def test_a_broken_stream_is_picked_up_where_it_ended(
    dressed: QApplication, model: EngineModel, paths: Paths, status: EngineStatus
) -> None:
    async def scenario(controller: Controller, server: ControlServer) -> None:
        server.emit(RequestFinished(demo.requests()[0]))
        await until(lambda: len(model.requests) == 1)
        server.hang_up.set()
        await until(lambda: server.listeners == 0)
        server.hang_up.clear()
        await until(lambda: server.listeners == 1)
        assert server.seen_last_ids == ["", "1"]
        assert model.phase is Phase.RUNNING

    run(dressed, model, paths, status, scenario)


def test_a_changed_token_is_a_problem_that_says_so_and_then_heals(
    dressed: QApplication, model: EngineModel, paths: Paths, status: EngineStatus
) -> None:
    async def scenario(controller: Controller, server: ControlServer) -> None:
        paths.token.write_text("another")
        server.hang_up.set()
        await until(lambda: model.phase is Phase.PROBLEM)
        assert model.problem is not None
        assert "token" in model.problem.text
        paths.token.write_text(TOKEN)
        server.hang_up.clear()
        await until(lambda: model.phase is Phase.RUNNING)

    run(dressed, model, paths, status, scenario)


def test_stop_ends_the_process_even_if_it_does_not_listen(
    dressed: QApplication,
    model: EngineModel,
    paths: Paths,
    status: EngineStatus,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lynkr_desktop.ui.controller._FORCED_S", 0.2)

    async def scenario(controller: Controller, server: ControlServer) -> None:
        controller.stop()
        await until(lambda: ("POST", "shutdown", b'{"force":false}') in server.calls)
        assert model.phase is Phase.STOPPING
        controller.stop()
        await until(lambda: model.phase is Phase.STOPPED)
        assert ("POST", "shutdown", b'{"force":true}') in server.calls
        runtime = msgspec.json.decode(paths.runtime.read_bytes(), type=EngineRuntime)
        assert psutil.Process(runtime.pid).status() == psutil.STATUS_ZOMBIE, "ended; this test is its parent"

    run(dressed, model, paths, status, scenario)


def test_quit_leaves_an_engine_alone_that_a_person_started_in_a_terminal(
    dressed: QApplication, model: EngineModel, paths: Paths, status: EngineStatus
) -> None:
    finished: list[bool] = []

    async def scenario(controller: Controller, server: ControlServer) -> None:
        controller.finished.connect(lambda: finished.append(True))
        controller.quit()
        await until(lambda: bool(finished))
        assert not [call for call in server.calls if call[1] == "shutdown"]

    run(dressed, model, paths, status, scenario)


def test_a_thousand_events_a_second_never_hold_up_the_window(
    dressed: QApplication, model: EngineModel, paths: Paths, status: EngineStatus, window: MainWindow
) -> None:
    gaps: list[float] = []

    async def scenario(controller: Controller, server: ControlServer) -> None:
        turns = [time.thread_time()]
        timer = QTimer()
        timer.setInterval(0)
        timer.timeout.connect(lambda: turns.append(time.thread_time()))
        timer.start()
        row = demo.requests()[0]
        since = time.monotonic()
        for number in range(2000):
            server.emit(RequestFinished(msgspec.structs.replace(row, id=f"n{number}", at=since + number)))
            if number % 250 == 0:
                server.emit(StatusEvent(status))
            if number % 10 == 9:
                await asyncio.sleep(max(0, since + number / 1000 - time.monotonic()))
        await until(lambda: bool(model.requests) and model.requests[0].id == "n1999")
        timer.stop()
        gaps.extend(later - earlier for earlier, later in itertools.pairwise(turns))

    run(dressed, model, paths, status, scenario)
    # The fake engine runs on this loop too, so these turns hold its work as well as the window's.
    worst = max(gaps)
    assert worst < 0.05, f"{worst * 1000:.0f} ms of processor time in one turn"
