"""The engine as a process: starting it so that it outlives the UI, finding one that runs, ending it.

A started engine leads its own session and has its output in files and in a pipe that it writes to once,
so neither a crash of the UI nor Ctrl+C in a terminal takes running streams down with it.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

import msgspec
import psutil

from lynkr_desktop.paths import Paths
from lynkr_desktop.running import find_engine
from lynkr_desktop.ui.control_client import ControlClient, ControlFailure

SUPERVISED = "--supervised"
_READY_TIMEOUT_S = 60.0
_POLL_S = 0.2
_STDERR_TAIL = 4000


class StartFailure(Exception):
    """The engine could not start.

    Attributes:
        code: port_in_use, config, already_running or internal.
        details: the last lines that the process wrote to its standard error.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        port: int | None = None,
        holder: str = "",
        suggested_port: int | None = None,
        details: str = "",
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.port = port
        self.holder = holder
        self.suggested_port = suggested_port
        self.details = details


class _Line(msgspec.Struct):
    """The one line that a supervised engine prints."""

    event: str
    port: int | None = None
    pid: int | None = None
    code: str = "internal"
    message: str = ""
    holder: str | None = None
    suggested_port: int | None = None


class EngineHandle(Protocol):
    """A running engine process.

    `supervised` tells an engine that a tray started from one that a person runs in a terminal.
    """

    port: int
    pid: int
    supervised: bool

    async def wait(self) -> int | None:
        """Waits for its end; the exit code where it is known, negative for a signal."""

    def terminate(self) -> None:
        """Asks the process to end."""

    def kill(self) -> None:
        """Ends the process now."""


@dataclass
class AdoptedEngine:
    """An engine that was running before this UI."""

    port: int
    pid: int
    supervised: bool
    _process: psutil.Process

    async def wait(self) -> int | None:
        """Watches the process; a child of somebody else has no exit code for us."""
        while self._alive():  # noqa: ASYNC110 - no portable event tells the end of a foreign process
            await asyncio.sleep(_POLL_S)
        return None

    def terminate(self) -> None:
        """Asks the process to end."""
        self._end(self._process.terminate)

    def kill(self) -> None:
        """Ends the process now."""
        self._end(self._process.kill)

    def _alive(self) -> bool:
        try:
            # is_running compares the start time too: a reused pid is not our engine.
            return self._process.is_running() and self._process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def _end(self, how: Callable[[], None]) -> None:
        try:
            how()
        except psutil.NoSuchProcess:
            pass


class ChildEngine:
    """An engine that this UI started."""

    supervised = True

    def __init__(self, process: subprocess.Popen[bytes], exited: asyncio.Future[int], port: int) -> None:
        self.port = port
        self.pid = process.pid
        self._process = process
        self._exited = exited

    async def wait(self) -> int | None:
        """Waits for its end; the exit code, negative for a signal."""
        return await asyncio.shield(self._exited)

    def terminate(self) -> None:
        """Asks the process to end."""
        self._process.terminate()

    def kill(self) -> None:
        """Ends the process now."""
        self._process.kill()


def engine_command(home: str | None, config: str | None, port: int | None) -> list[str]:
    """The command line of a supervised engine."""
    command = [sys.executable, "-m", "lynkr_desktop", "serve", SUPERVISED]
    for option, value in (("--home", home), ("--config", config), ("--port", port)):
        if value is not None:
            command += [option, str(value)]
    return command


async def adopt(paths: Paths) -> AdoptedEngine | None:
    """The engine that serves this home, if one does: same process as on file, and it answers."""
    runtime = find_engine(paths)
    if runtime is None:
        return None
    try:
        process = psutil.Process(runtime.pid)
        supervised = SUPERVISED in process.cmdline()
    except psutil.Error:
        return None
    try:
        async with ControlClient(runtime.port, "") as client:
            await client.health()
    except ControlFailure:
        return None
    return AdoptedEngine(port=runtime.port, pid=runtime.pid, supervised=supervised, _process=process)


async def launch(command: Sequence[str], logs: Path) -> ChildEngine:
    """Starts an engine and waits until it says that it serves.

    Raises:
        StartFailure: it said why not, ended, or stayed silent for a minute.
    """
    loop = asyncio.get_running_loop()
    errors = logs / "engine-stderr.log"
    try:
        # In this thread, a few milliseconds: a cancellation cannot come between and orphan the child.
        process = _spawn(command, errors)
    except OSError as error:
        raise StartFailure("internal", f"The engine cannot be started: {error}") from error
    said: asyncio.Future[bytes] = loop.create_future()
    exited: asyncio.Future[int] = loop.create_future()
    threading.Thread(target=_watch, args=(process, loop, said, exited), daemon=True).start()
    try:
        line = await asyncio.wait_for(said, _READY_TIMEOUT_S)
        ready = _understood(line, errors)
    except TimeoutError:
        process.kill()
        raise StartFailure(
            "internal", "The engine did not get ready within a minute.", details=_tail(errors)
        ) from None
    except asyncio.CancelledError:
        process.terminate()
        raise
    return ChildEngine(process, exited, ready)


def _spawn(command: Sequence[str], errors: Path) -> subprocess.Popen[bytes]:
    errors.parent.mkdir(parents=True, exist_ok=True)
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
    with errors.open("wb") as stderr:
        return subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            start_new_session=os.name == "posix",
            creationflags=flags,
        )


def _watch(
    process: subprocess.Popen[bytes],
    loop: asyncio.AbstractEventLoop,
    said: asyncio.Future[bytes],
    exited: asyncio.Future[int],
) -> None:
    """Runs in a thread of its own for as long as the child lives: qasync knows no portable child watcher."""

    def settle(future: asyncio.Future[bytes] | asyncio.Future[int], value: bytes | int) -> None:
        if not future.done():
            future.set_result(value)  # type: ignore[arg-type]

    def post(future: asyncio.Future[bytes] | asyncio.Future[int], value: bytes | int) -> None:
        try:
            loop.call_soon_threadsafe(settle, future, value)
        except RuntimeError:
            pass  # the UI has ended; nobody waits any more

    stdout: IO[bytes] | None = process.stdout
    if stdout is not None:
        post(said, stdout.readline(64 * 1024))
    code = process.wait()
    if stdout is not None:
        stdout.close()
    post(exited, code)


def _understood(line: bytes, errors: Path) -> int:
    try:
        said = msgspec.json.decode(line, type=_Line)
    except msgspec.DecodeError:
        raise StartFailure(
            "internal", "The engine ended before it was ready.", details=_tail(errors)
        ) from None
    if said.event == "ready" and said.port is not None:
        return said.port
    raise StartFailure(
        said.code,
        said.message or "The engine did not say why it could not start.",
        port=said.port,
        holder=said.holder or "",
        suggested_port=said.suggested_port,
        details=_tail(errors),
    )


def _tail(path: Path) -> str:
    try:
        return path.read_bytes()[-_STDERR_TAIL:].decode("utf-8", "replace").strip()
    except OSError:
        return ""
