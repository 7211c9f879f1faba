"""The controller on qasync's loop against the control API's real wire format: the one thin mixed test."""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
import psutil
import pytest
import qasync
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from lynkr_desktop.paths import Paths
from lynkr_desktop.protocol.control import ControlError, EngineRuntime, EngineStatus
from lynkr_desktop.protocol.events import RequestFinished, StatusEvent
from lynkr_desktop.protocol.tiers import Tier
from lynkr_desktop.tasks import Tasks
from lynkr_desktop.ui.controller import Controller
from lynkr_desktop.ui.engine_model import EngineModel, Phase
from lynkr_desktop.ui.window.main_window import MainWindow
from tests.support.control_server import TOKEN, ControlServer, control_server
from tools import demo

Scenario = Callable[[Controller, ControlServer], Coroutine[Any, Any, None]]


def run(
    app: QApplication, model: EngineModel, paths: Paths, status: EngineStatus, scenario: Scenario
) -> None:
    """Runs a scenario with a controller that has adopted a process whose control API is the fake one."""

    async def main() -> None:
        tasks = Tasks()
        async with control_server(status) as server:
            process = psutil.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
            paths.home.mkdir(parents=True, exist_ok=True)
            paths.token.write_text(TOKEN)
            runtime = EngineRuntime(
                pid=process.pid, pid_started=process.create_time(), port=server.port, version="0"
            )
            paths.runtime.write_bytes(msgspec.json.encode(runtime))
            controller = Controller(paths, model, tasks, lambda port: [sys.executable, "-c", ""])
            try:
                assert await controller.adopt_running()
                await until(lambda: model.serving and server.listeners == 1)
                await scenario(controller, server)
            finally:
                await tasks.close()
                process.kill()
                process.wait()

    loop = qasync.QEventLoop(app)
    asyncio.set_event_loop(loop)
    try:
        with loop:
            loop.run_until_complete(asyncio.wait_for(main(), 30))
    finally:
        asyncio.set_event_loop(None)


async def until(probe: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not probe():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


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
