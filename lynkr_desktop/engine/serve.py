"""Runs one engine in this process: the port, the signals, and the file that tells others of it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Awaitable, Callable

import msgspec
import psutil
from aiohttp import web

import lynkr_desktop
from lynkr_desktop.engine.connections import Connections, make_room
from lynkr_desktop.engine.engine import Engine
from lynkr_desktop.engine.port import listen
from lynkr_desktop.engine.server import build_app
from lynkr_desktop.paths import Paths
from lynkr_desktop.protocol.control import EngineRuntime
from lynkr_desktop.running import find_engine

log = logging.getLogger(__name__)


class AlreadyRunning(Exception):
    """Another engine serves this home."""

    def __init__(self, runtime: EngineRuntime) -> None:
        super().__init__(f"Lynkr already runs on port {runtime.port} (process {runtime.pid}).")
        self.runtime = runtime


async def serve(engine: Engine, on_ready: Callable[[Engine], Awaitable[None]]) -> None:
    """Serves until a signal or the control API ends it.

    Raises:
        PortBusy: nothing was started.
        AlreadyRunning: nothing was started.
        ConfigError: the configuration file is wrong.
    """
    other = find_engine(engine.paths)
    if other is not None and other.pid != os.getpid():
        raise AlreadyRunning(other)
    await engine.start()
    runner: web.AppRunner | None = None
    connections: Connections | None = None
    try:
        listener = listen(engine.port or 0)
        engine.port = listener.getsockname()[1]
        runner = web.AppRunner(
            build_app(engine),
            handler_cancellation=True,
            shutdown_timeout=0.5,
            handle_signals=False,
        )
        await runner.setup()
        assert runner.server is not None
        connections = Connections(runner.server, make_room())
        await connections.listen(listener, backlog=1024)
        _write_runtime(engine)
        _on_signals(engine)
        log.info("Lynkr %s serves on port %d", lynkr_desktop.__version__, engine.port)
        ready = asyncio.create_task(_ready(on_ready, engine), name="ready")
        await engine.wait_for_stop()
        await engine.stop()
        ready.cancel()
    finally:
        if connections is not None:
            connections.close()
        if runner is not None:
            await runner.cleanup()
            _remove_runtime(engine.paths)
        await engine.close()
        log.info("Lynkr has stopped")


async def _ready(on_ready: Callable[[Engine], Awaitable[None]], engine: Engine) -> None:
    await on_ready(engine)


def _on_signals(engine: Engine) -> None:
    """The first SIGINT or SIGTERM drains, the second ends at once."""
    loop = asyncio.get_running_loop()
    asked = 0

    def stop() -> None:
        nonlocal asked
        asked += 1
        engine.request_stop(force=asked > 1)

    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stop)
        except NotImplementedError:
            # Windows' loops have no signal handlers of their own.
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop))


# ---------------------------------------------------------------- the runtime file


def _write_runtime(engine: Engine) -> None:
    runtime = EngineRuntime(
        pid=os.getpid(),
        pid_started=psutil.Process().create_time(),
        port=engine.port or 0,
        version=lynkr_desktop.__version__,
    )
    temporary = engine.paths.runtime.with_suffix(".tmp")
    temporary.write_bytes(msgspec.json.encode(runtime))
    os.replace(temporary, engine.paths.runtime)


def _remove_runtime(paths: Paths) -> None:
    """Removes the file if it is ours."""
    with contextlib.suppress(OSError, msgspec.DecodeError):
        runtime = msgspec.json.decode(paths.runtime.read_bytes(), type=EngineRuntime)
        if runtime.pid == os.getpid():
            paths.runtime.unlink()
