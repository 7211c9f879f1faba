"""A controller on qasync's loop that has adopted a process whose control API is the fake one."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
import psutil
import qasync
from PySide6.QtWidgets import QApplication

from lynkr_desktop.paths import Paths
from lynkr_desktop.protocol.control import EngineRuntime, EngineStatus
from lynkr_desktop.tasks import Tasks
from lynkr_desktop.ui.controller import Controller
from lynkr_desktop.ui.engine_model import EngineModel
from tests.support.control_server import TOKEN, ControlServer, control_server

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
