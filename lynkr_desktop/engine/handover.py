"""One engine after another on the same port, so that no client is ever refused.

The engine that runs starts its successor and lets it inherit the listening socket. Both take connections from
the same queue of the system for a moment; once the successor says that it serves, the one before stops taking
any and finishes what it has. Where the successor cannot start, nothing has changed, and its reason is known.

Four descriptors are inherited, named in one variable of the environment:

- the listening socket;
- a pipe that is closed when the engine before has ended, whatever of;
- a pipe, on which the successor says how its start went, one line of JSON;
- the lease, where somebody waits for this process to end: a terminal, systemd, a container. The process that
  they know then stays, as small as it can be made (`waiter.py`), until the lease is closed, which the system
  does whatever becomes of the engine that holds it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

log = logging.getLogger(__name__)

VARIABLE = "LYNKR_HANDOVER"
STOP, FORCE = b"s", b"f"
"""What the waiter passes on through the lease: the first signal, and any after it."""

READY_S = 60.0
_END_S = 5.0


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a successor says of its start. `error` is empty once it serves."""

    pid: int = 0
    port: int = 0
    error: str = ""


class SuccessorFailed(Exception):
    """The successor could not start. The message says why; the engine that runs goes on."""


@dataclass
class Inheritance:
    """What the engine before has left to this one."""

    listener: socket.socket
    before: int
    report: int
    lease: socket.socket | None

    def say(self, report: Report) -> None:
        """Tells the engine before how the start went; only the first word counts."""
        descriptor, self.report = self.report, -1
        if descriptor < 0:
            return
        with contextlib.suppress(OSError):  # it may have ended meanwhile
            os.write(descriptor, msgspec.json.encode(report) + b"\n")
        os.close(descriptor)


def inherited(environ: MutableMapping[str, str]) -> Inheritance | None:
    """What was inherited, None where this engine follows no other. The variable is removed.

    Descriptors that are not what they should be count as none: the variable may be left over.
    """
    numbers = environ.pop(VARIABLE, "").split(",")
    if len(numbers) != 4 or not all(number.isdecimal() for number in numbers[:3]):
        return None
    try:
        listener, before, report = map(int, numbers[:3])
        lease = int(numbers[3]) if numbers[3] else None
        pipes = all(stat.S_ISFIFO(os.fstat(descriptor).st_mode) for descriptor in (before, report))
        if not pipes or not stat.S_ISSOCK(os.fstat(listener).st_mode):
            return None
        for descriptor in (listener, before, report, lease):
            if descriptor is not None:
                # A model's server that this engine starts has nothing to do with them.
                os.set_inheritable(descriptor, False)
        return Inheritance(
            listener=_socket(listener),
            before=before,
            report=report,
            lease=None if lease is None else _socket(lease),
        )
    except (OSError, ValueError):
        return None


def _socket(descriptor: int) -> socket.socket:
    made = socket.socket(fileno=descriptor)
    made.setblocking(False)
    return made


def own_command() -> list[str]:
    """The command line that started this process, for a successor of it."""
    return [sys.executable, *sys.orig_argv[1:]]


async def start_successor(
    command: Sequence[str],
    environ: Mapping[str, str],
    listener: socket.socket,
    lease: socket.socket | None,
    *,
    quiet: bool,
) -> Report:
    """Starts an engine that takes over the port, and returns when it serves.

    Args:
        command: its command line.
        environ: its environment.
        listener: the socket that it is to listen on too.
        lease: its end of the lease, if any.
        quiet: whether its standard output has no reader.

    Raises:
        SuccessorFailed: it does not serve; it has ended.
    """
    reading, writing = os.pipe()
    # The other end of this one stays open for as long as this process is the engine.
    watched, held = os.pipe()
    try:
        try:
            process = await asyncio.to_thread(
                _spawn, command, environ, listener, (watched, writing), lease, quiet
            )
        except OSError as error:
            os.close(reading)
            raise SuccessorFailed(f"The new engine could not be started: {error}.") from error
        finally:
            os.close(writing)
            os.close(watched)
        return await _heard(process, reading)
    except BaseException:
        os.close(held)
        raise


async def _heard(process: subprocess.Popen[bytes], reading: int) -> Report:
    """What a successor says of its start; one that fails is ended. Raises `SuccessorFailed`."""
    try:
        line = await asyncio.wait_for(_line(reading), READY_S)
        report = msgspec.json.decode(line, type=Report)
        if not report.error:
            return report
        why = report.error
    except TimeoutError:
        why = f"The new engine did not get ready within {READY_S:.0f} seconds."
    except msgspec.DecodeError:
        why = "The new engine ended before it was ready. Its log says why."
    except BaseException:
        await _end(process)
        raise
    await _end(process)
    raise SuccessorFailed(why)


def _spawn(
    command: Sequence[str],
    environ: Mapping[str, str],
    listener: socket.socket,
    pipes: tuple[int, int],
    lease: socket.socket | None,
    quiet: bool,
) -> subprocess.Popen[bytes]:
    passed = [listener.fileno(), *pipes] + ([] if lease is None else [lease.fileno()])
    named = ",".join(map(str, passed)) + ("," if lease is None else "")
    return subprocess.Popen(
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL if quiet else None,
        env={**environ, VARIABLE: named},
        pass_fds=passed,
        # Ctrl-C reaches the process that the terminal knows, which passes it on, once.
        start_new_session=True,
    )


async def _line(descriptor: int) -> bytes:
    """The first line that comes from a pipe, or what came before its end; closes it."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb", buffering=0)
    )
    try:
        return await reader.readline()
    finally:
        transport.close()


async def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends a successor that is of no use, and waits for it."""
    if process.poll() is None:
        process.terminate()
    try:
        await asyncio.to_thread(process.wait, _END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        await asyncio.to_thread(process.wait)


# ---------------------------------------------------------------- the process that is waited for


def become_waiter(lease: socket.socket) -> int:
    """Stays until the engine that holds the other end of the lease has ended; returns its exit code.

    Where it can, this process becomes a small one first: an engine that has ended holds its memory.
    """
    from lynkr_desktop.engine import waiter

    # Until it can pass them on, signals wait; a mask outlives the change of program, handlers do not.
    waiter.hold_signals()
    os.set_inheritable(lease.fileno(), True)
    lease.setblocking(True)
    script = Path(waiter.__file__)
    if not getattr(sys, "frozen", False) and script.is_file():
        with contextlib.suppress(OSError):
            os.execv(sys.executable, [sys.executable, "-I", "-S", str(script), str(lease.fileno())])
    return waiter.wait(lease.fileno())
