"""Runs one engine in this process: the port, the signals, and the file that tells others of it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence

import msgspec
import psutil
from aiohttp import web

import lynkr_desktop
from lynkr_desktop.engine.config.loader import ConfigError, load_config
from lynkr_desktop.engine.connections import Connections, make_room
from lynkr_desktop.engine.engine import Engine
from lynkr_desktop.engine.handover import FORCE, STOP, Inheritance, Report, SuccessorFailed, start_successor
from lynkr_desktop.engine.port import listen
from lynkr_desktop.engine.server import build_app
from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.paths import Paths
from lynkr_desktop.protocol.control import EngineRuntime
from lynkr_desktop.protocol.life import RestartReply
from lynkr_desktop.running import find_engine

log = logging.getLogger(__name__)

_QUIET_S = 2.0
"""After a handover, connections that were idle for so long are closed; others get `Connection: close` with
their next answer."""


class AlreadyRunning(Exception):
    """Another engine serves this home."""

    def __init__(self, runtime: EngineRuntime) -> None:
        super().__init__(f"Lynkr already runs on port {runtime.port} (process {runtime.pid}).")
        self.runtime = runtime


async def serve(
    engine: Engine,
    on_ready: Callable[[Engine], Awaitable[None]],
    *,
    command: Sequence[str] | None = None,
    before: Inheritance | None = None,
    waited_for: bool = False,
) -> socket.socket | None:
    """Serves until a signal or the control API ends it, or another engine has taken over.

    Args:
        engine: to be served; not started yet.
        on_ready: called once it serves.
        command: the command line of a successor; without it, this engine cannot be restarted from within.
        before: what the engine that ran before has left to this one.
        waited_for: whether somebody takes the end of this process for the end of the engine.

    Returns:
        The lease of an engine that has taken over and whose end must be waited for, None otherwise.

    Raises:
        PortBusy: nothing was started.
        AlreadyRunning: nothing was started.
        ConfigError: the configuration file is wrong.
    """
    other = find_engine(engine.paths)
    if other is not None and other.pid != os.getpid() and before is None:
        raise AlreadyRunning(other)
    return await _Process(engine, command, before, waited_for).run(on_ready)


class _Process:
    """The life of one engine in this process."""

    def __init__(
        self, engine: Engine, command: Sequence[str] | None, before: Inheritance | None, waited_for: bool
    ) -> None:
        self._engine = engine
        self._command = command
        self._before = before
        self._waited_for = waited_for
        self._lease = before.lease if before is not None else None
        """This engine's end of the lease: who holds the other one waits for the engine."""
        self._kept: socket.socket | None = None
        """The other end, where it is this process that will wait for its successor."""
        self._listener: socket.socket
        self._connections: Connections
        self._restarting = False
        self._then: Sequence[str] | None = None

    async def run(self, on_ready: Callable[[Engine], Awaitable[None]]) -> socket.socket | None:
        """See `serve`."""
        engine = self._engine
        runner: web.AppRunner | None = None
        connections: Connections | None = None
        code = 1
        await engine.start()
        try:
            listener = self._listener = self._listen()
            engine.port = listener.getsockname()[1]
            runner = web.AppRunner(
                build_app(engine),
                handler_cancellation=True,
                shutdown_timeout=0.5,
                handle_signals=False,
            )
            await runner.setup()
            assert runner.server is not None
            connections = self._connections = Connections(runner.server, make_room())
            await connections.listen(listener, backlog=1024)
            write_runtime(engine)
            self._on_signals()
            if self._lease is not None:
                asyncio.get_running_loop().add_reader(self._lease, self._hear)
            if self._command is not None:
                engine.restarter = self._restart
            log.info("Lynkr %s serves on port %d", lynkr_desktop.__version__, engine.port)
            ready = asyncio.create_task(_ready(on_ready, engine), name="ready")
            if self._before is not None:
                asyncio.get_running_loop().add_reader(self._before.before, self._alone, self._before.before)
                self._before.say(Report(pid=os.getpid(), port=engine.port))
            await engine.wait_for_stop()
            await engine.stop(connections.let_go(_QUIET_S) if engine.gate.handing_over else None)
            ready.cancel()
            code = 0
        finally:
            if connections is not None:
                connections.close()
            if runner is not None:
                await runner.cleanup()
                _remove_runtime(engine.paths)
            await engine.close()
            log.info("Lynkr has stopped")
            self._end_lease(code)
        if self._then is not None:
            _start_detached(self._then)
        return self._kept

    def _listen(self) -> socket.socket:
        """The socket that was left to this engine, unless the configuration has another port by now."""
        wanted = self._engine.port or 0
        if self._before is None:
            return listen(wanted)
        left = self._before.listener
        if wanted in (0, left.getsockname()[1]):
            return left
        made = listen(wanted)
        left.close()
        return made

    # ------------------------------------------------------------ being ended

    def _on_signals(self) -> None:
        """The first SIGINT or SIGTERM drains, the second ends at once."""
        loop = asyncio.get_running_loop()
        asked = 0

        def stop() -> None:
            nonlocal asked
            asked += 1
            self._engine.request_stop(force=asked > 1)
            if self._kept is not None:
                with contextlib.suppress(OSError):  # it has just ended
                    self._kept.send(STOP if asked == 1 else FORCE)

        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                loop.add_signal_handler(number, stop)
            except NotImplementedError:
                # Windows' loops have no signal handlers of their own.
                signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop))

    def _hear(self) -> None:
        """What comes through the lease. It is told apart from signals, since a group of processes may get one
        each: the waiter's must not count as the second."""
        assert self._lease is not None
        try:
            said = self._lease.recv(64)
        except OSError:
            said = b""
        if not said:
            asyncio.get_running_loop().remove_reader(self._lease)
            log.info("whoever waited for this engine has gone: it ends")
        self._engine.request_stop(force=FORCE in said)

    def _alone(self, before: int) -> None:
        """The engine before has ended, and has written all that it had."""
        asyncio.get_running_loop().remove_reader(before)
        os.close(before)
        self._engine.alone()

    def _end_lease(self, code: int) -> None:
        if self._lease is None:
            return
        if not self._engine.gate.handing_over:
            with contextlib.suppress(OSError):  # nobody waits any more
                self._lease.send(bytes([code]))
        self._lease.close()

    # ------------------------------------------------------------ restarting

    async def _restart(self) -> RestartReply:
        """Has a successor take over. Raises `WireError` 409 or 503: nothing has changed."""
        engine, command = self._engine, self._command
        assert command is not None
        if self._restarting or engine.stopping:
            raise WireError("Lynkr is being restarted or stopped already.", status=409, kind="conflict")
        self._restarting = True
        try:
            if os.name == "posix":
                report = await self._succeeded(command)
            else:
                # Sockets cannot be left to a process that does not run yet: it starts when this one ends.
                load_config(engine.paths.config)
                self._then = command
                report = Report(port=engine.port or 0)
        except (SuccessorFailed, ConfigError) as error:
            self._restarting = False
            raise WireError(
                f"Lynkr was not restarted and goes on as it is. {error}", status=503, kind="unavailable"
            ) from error
        except BaseException:
            self._restarting = False
            raise
        log.info("process %d takes over; requests in flight are finished here", report.pid)
        told = engine.request_stop() if self._then is not None else engine.hand_over()
        self._connections.close()
        return RestartReply(
            pid=report.pid, port=report.port, active=told.active, drain_timeout_s=told.drain_timeout_s
        )

    async def _succeeded(self, command: Sequence[str]) -> Report:
        lease, kept = self._lease, None
        if self._waited_for and lease is None:
            kept, lease = socket.socketpair()
        try:
            report = await start_successor(
                command, os.environ, self._listener, lease, quiet=not self._waited_for
            )
        except BaseException:
            if kept is not None and lease is not None:
                kept.close()
                lease.close()
            with contextlib.suppress(OSError):
                # The successor may have come so far as to enter itself.
                write_runtime(self._engine)
            raise
        if self._lease is not None:
            asyncio.get_running_loop().remove_reader(self._lease)
        if kept is not None and lease is not None:
            lease.close()
            self._kept = kept
        return report


def _start_detached(command: Sequence[str]) -> None:
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
    subprocess.Popen(list(command), stdin=subprocess.DEVNULL, creationflags=flags)


async def _ready(on_ready: Callable[[Engine], Awaitable[None]], engine: Engine) -> None:
    await on_ready(engine)


# ---------------------------------------------------------------- the runtime file


def write_runtime(engine: Engine) -> None:
    runtime = EngineRuntime(
        pid=os.getpid(),
        pid_started=psutil.Process().create_time(),
        port=engine.port or 0,
        version=lynkr_desktop.__version__,
    )
    if engine.paths.runtime.is_dir():
        # It would keep the engine from being found, and nothing of ours is in it.
        engine.paths.runtime.rename(engine.paths.runtime.with_name(f"engine.json.{time.time_ns()}"))
    temporary = engine.paths.runtime.with_suffix(".tmp")
    temporary.write_bytes(msgspec.json.encode(runtime))
    os.replace(temporary, engine.paths.runtime)


def _remove_runtime(paths: Paths) -> None:
    """Removes the file if it is ours."""
    with contextlib.suppress(OSError, msgspec.DecodeError):
        runtime = msgspec.json.decode(paths.runtime.read_bytes(), type=EngineRuntime)
        if runtime.pid == os.getpid():
            paths.runtime.unlink()
