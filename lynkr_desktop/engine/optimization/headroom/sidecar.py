"""The Headroom proxy as a process of ours: started when it is first needed, started anew when it ends, ended
with the engine and after a long silence.

It runs offline, without a file of a person's, without their keys, and cannot reach any provider: all that it
is for is `/v1/compress`.
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

from lynkr_desktop.engine.optimization.block_cache import BlockCache
from lynkr_desktop.engine.optimization.headroom.client import Client, Result, Unanswered

log = logging.getLogger(__name__)

_KEEPER = Path(__file__).with_name("keeper.py")
_START_LIMIT = 120.0
_STOP_LIMIT = 6.0
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 300.0
"""Seconds before it is started anew; each time twice as long until it has lived for `_STEADY`."""

_STEADY = 60.0
_IDLE = 1_800.0
_FAILURES, _BREAK = 3, 30.0
"""Failures in a row after which it is not asked for so many seconds."""

_PASSED = frozenset(
    ("PATH", "LANG", "LC_ALL", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "WINDIR", "COMSPEC", "PATHEXT")
)
_NOWHERE = "http://127.0.0.1:9"
_UPSTREAMS = ("ANTHROPIC", "OPENAI", "GEMINI", "CLOUDCODE", "VERTEX", "BEDROCK")
_OPTIONS = ("--stateless", "--no-cache", "--no-rate-limit", "--no-telemetry", "--no-subscription-tracking")


class Sidecar:
    """A Headroom proxy. Safe to use from several threads.

    Attributes:
        decisions: what became of results: the compressed text, or nothing where the result was left as it is.
            What was sent to a model once stays so, or the provider's prompt cache would be lost.

    Args:
        command: the program `headroom`: its name or path.
        folder: for the files that it writes in spite of all.
    """

    def __init__(self, command: str, folder: Path) -> None:
        self.decisions: BlockCache[str] = BlockCache(16 << 20)
        self._command = command
        self._folder = folder
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._keeping: threading.Thread | None = None
        self._port: int | None = None
        self._state = "is not started"
        self._used = 0.0
        self._failures = 0
        self._closed_until = 0.0

    @property
    def state(self) -> str:
        """How it is, as the end of a sentence that begins with its name."""
        if self._port is not None and time.monotonic() < self._closed_until:
            return "failed several times in a row and is not asked for a while"
        return self._state

    @property
    def ready(self) -> bool:
        """Whether it can be asked now."""
        return self._port is not None and time.monotonic() >= self._closed_until

    def start(self) -> None:
        """Sees to it that it runs, or soon will; returns at once."""
        self._used = time.monotonic()
        with self._lock:
            if self._keeping is not None and self._keeping.is_alive():
                return
            program = shutil.which(self._command)
            if program is None:
                self._state = f"is not installed: there is no program {self._command}"
                return
            self._stopping.clear()
            self._state = "is starting"
            self._keeping = threading.Thread(target=self._keep, args=(program,), name="headroom", daemon=True)
            self._keeping.start()

    def close(self) -> None:
        """Ends it, and waits for its end."""
        with self._lock:
            self._stopping.set()
            if self._keeping is not None:
                self._keeping.join()
            self._keeping = None
            self._state = "is not started"

    @contextlib.contextmanager
    def asked(self, seconds: float) -> Iterator[Callable[[Result], str]]:
        """What compresses results, for so many seconds together.

        What it raises when a result could not be compressed is `Unanswered`.
        """
        port, deadline = self._port, time.monotonic() + seconds
        with Client(port or 0, deadline) as client:

            def compress(result: Result) -> str:
                left = deadline - time.monotonic()
                if port is None or not self.ready:
                    raise Unanswered(self.state)
                if left <= 0:
                    raise Unanswered("the time for this request is used up")
                try:
                    text = client.compress(result)
                except Unanswered as error:
                    # With the little time that other results left it is not to blame.
                    if left > seconds / 2:
                        self._failed(str(error))
                    raise
                self._failures = 0
                return text

            yield compress

    def _failed(self, why: str) -> None:
        self._failures += 1
        if self._failures >= _FAILURES:
            self._failures = 0
            self._closed_until = time.monotonic() + _BREAK
            log.warning("Headroom is not asked for %.0f s: %s", _BREAK, why)

    # ------------------------------------------------------------ the process, in a thread of its own

    def _keep(self, program: str) -> None:
        pause = _FIRST_PAUSE
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                why = self._run(program)
            except OSError as error:
                why = f"could not be started: {error.strerror or error}"
            finally:
                self._port = None
            if not why:
                self._state = "is not started"
                return
            if time.monotonic() - began > _STEADY:
                pause = _FIRST_PAUSE
            self._state = f"{why}; it is started again soon"
            log.warning("Headroom %s. It is started again in %.0f s.", why, pause)
            self._stopping.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _run(self, program: str) -> str:
        """Runs it until it ends or is needed no more; says why it ended, or nothing where we ended it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        port = _free_port()
        command = [sys.executable, "-I", str(_KEEPER), program, "proxy", "--port", str(port), *_OPTIONS]
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self._folder,
            env=_environment(self._folder),
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        tail: deque[str] = deque(maxlen=20)
        reading = threading.Thread(target=_read, args=(process, tail), name="headroom log", daemon=True)
        reading.start()
        try:
            if not self._await(process, port):
                if self._stopping.is_set():
                    return ""
                if process.poll() is None:
                    return f"did not start within {_START_LIMIT:.0f} s"
                reading.join(1)
                return f"ended with code {process.returncode} while it started: {' '.join(tail)[-300:]}"
            self._state = "is running"
            self._port = port
            log.info("Headroom answers on port %d", port)
            while process.poll() is None:
                if time.monotonic() - self._used > _IDLE or self._stopping.wait(0.5):
                    return ""
            return f"ended with code {process.returncode}"
        finally:
            self._state = "is not started"  # not what it was, while it is being ended
            self._port = None
            _end(process)

    def _await(self, process: subprocess.Popen[bytes], port: int) -> bool:
        """Waits until it answers, and has loaded what it needs to compress."""
        limit = time.monotonic() + _START_LIMIT
        while process.poll() is None and time.monotonic() < limit and not self._stopping.is_set():
            with Client(port, time.monotonic() + 2) as client:
                if client.alive():
                    break
            self._stopping.wait(0.2)
        else:
            return False
        with Client(port, limit) as client, contextlib.suppress(Unanswered):
            for text in _samples():
                client.compress(Result("Go on.", "run", "{}", text))
        return process.poll() is None


def _samples() -> tuple[str, ...]:
    """A text of each kind that Headroom has a compressor for: each is loaded when it is first needed."""
    numbers = range(120)
    return (
        json.dumps([{"id": number, "name": f"step {number}", "done": number % 7 > 0} for number in numbers]),
        "\n".join(f"2026-01-01 10:00:00 INFO step {number} done" for number in numbers),
        "\n".join(f"src/part{number % 9}.py:{number}:    value = step_{number}()" for number in numbers),
        "diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -1,120 +1,120 @@\n"
        + "\n".join(f"-step_{number}()\n+step_{number}(1)" for number in numbers),
        "\n\n".join(f"def step_{number}(value):\n    return value + {number}" for number in numbers),
        "\n".join(
            f"The step with the number {number} is done, and the next one begins." for number in numbers
        ),
    )


def _environment(folder: Path) -> dict[str, str]:
    """What the process knows of its surroundings: no key, no file, no provider of a person's."""
    passed = {name: value for name, value in os.environ.items() if name.upper() in _PASSED}
    return {
        **passed,
        "HOME": str(folder),
        "USERPROFILE": str(folder),
        "HEADROOM_WORKSPACE_DIR": str(folder),
        "HEADROOM_OFFLINE": "1",
        "HF_HUB_OFFLINE": "1",
        "HEADROOM_TELEMETRY": "off",
        "HEADROOM_UPDATE_CHECK": "off",
        **{f"{name}_TARGET_API_URL": _NOWHERE for name in _UPSTREAMS},
        # Offline it still tries to download a table of tokens.
        **{f"{scheme}_PROXY": _NOWHERE for scheme in ("HTTP", "HTTPS", "ALL")},
        "NO_PROXY": "127.0.0.1,localhost",
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _read(process: subprocess.Popen[bytes], tail: deque[str]) -> None:
    """Takes what it prints, so that it never waits for a reader."""
    assert process.stdout is not None
    for line in process.stdout:
        text = line[:1000].decode(errors="replace").rstrip()
        tail.append(text)
        log.debug("headroom: %s", text)


def _end(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    with contextlib.suppress(OSError):
        process.stdin.close()
    try:
        process.wait(_STOP_LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@functools.cache
def shared_sidecar(command: str, cache: Path) -> Sidecar:
    """The sidecar of a program: one for the whole process, whatever configurations come and go.

    Args:
        command: the program.
        cache: folder of what can be made anew.
    """
    return Sidecar(command, cache / "headroom")
