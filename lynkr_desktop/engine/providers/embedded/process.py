"""Starts and ends the worker process."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import logging
import os
import secrets
import subprocess
import sys
from collections import deque
from pathlib import Path

import psutil

import lynkr_desktop
from lynkr_desktop.engine.providers.embedded.errors import ModelError

log = logging.getLogger(__name__)

MISSING = 'The built-in model needs llama.cpp. Install the extra: pip install "lynkr-desktop[embedded]"'
_MODULE = "lynkr_desktop.engine.providers.embedded.worker"
_LOAD_LIMIT = 300.0
_STOP_LIMIT = 5.0


def llama_installed() -> bool:
    """Whether xllamacpp is there; it is never imported into this process."""
    return importlib.util.find_spec("xllamacpp") is not None


class Worker:
    """A running worker: one model, loaded. Make it by `start`."""

    def __init__(self, process: asyncio.subprocess.Process, key: str) -> None:
        self._process = process
        self._tail: deque[str] = deque(maxlen=40)
        self._logging = asyncio.create_task(self._forward_log(), name=f"log of worker {process.pid}")
        self.key = key
        """Requests must carry it, so that nobody else on this machine can use the port."""
        self.base_url = ""

    @classmethod
    async def start(cls, model: Path, *, name: str, context: int, threads: int) -> Worker:
        """Loads a model into a new process and waits until it serves.

        Args:
            model: the GGUF file.
            name: what answers call it.
            context: window in tokens.
            threads: processor threads; 0 takes one per physical core that we may use.

        Raises:
            ModelError: the model cannot be loaded.
        """
        command = [sys.executable, "-P", "-m", _MODULE, "--model", str(model)]
        command += ["--name", name, "--context", str(context), "--threads", str(threads or _cores())]
        package_root = str(Path(lynkr_desktop.__file__).parents[1])
        search_path = os.pathsep.join(filter(None, (package_root, os.environ.get("PYTHONPATH"))))
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=1024 * 1024,
            env={**os.environ, "PYTHONPATH": search_path},
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        worker = cls(process, secrets.token_urlsafe(24))
        try:
            await worker._handshake(model)
        except BaseException:
            await worker.stop()
            raise
        return worker

    @property
    def pid(self) -> int:
        """Of the child."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs, as far as the loop has noticed."""
        return self._process.returncode is None

    async def ended(self, within: float | None = None) -> bool:
        """Waits for its end; False when it still runs after `within` seconds."""
        try:
            async with asyncio.timeout(within):
                await self._process.wait()
        except TimeoutError:
            return False
        return True

    async def stop(self) -> None:
        """Ends it: by closing its standard input, and by force when that does not help."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        if not await self.ended(_STOP_LIMIT):
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        await self._logging

    def last_errors(self) -> str:
        """The last complaint of llama.cpp, for people; empty when it had none."""
        complaints = [line for line in self._tail if " E " in line or line.startswith("E ")]
        return (
            complaints[0].split(" E ", 1)[-1].removeprefix("E ").split(": ", 1)[-1][:300]
            if complaints
            else ""
        )

    async def _handshake(self, model: Path) -> None:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps({"key": self.key}).encode() + b"\n")
        line = b""
        try:
            async with asyncio.timeout(_LOAD_LIMIT):
                await stdin.drain()
                line = await stdout.readline()
        except TimeoutError:
            raise ModelError(f"{model.name} was not loaded within {_LOAD_LIMIT:.0f} s.", status=504) from None
        except ConnectionError:  # it ended before it read
            line = b""
        if not line:
            await self._process.wait()
            await self._logging
            why = self.last_errors() or f"llama.cpp ended with code {self._process.returncode}"
            raise ModelError(
                f"{model.name} could not be loaded: {why}. If the file is damaged, remove it and pull it "
                "again; if memory ran short, close other programs or choose a smaller model.",
                status=502,
            )
        self.base_url = json.loads(line)["address"] + "/v1"

    async def _forward_log(self) -> None:
        stream = self._process.stderr
        assert stream is not None
        while True:
            try:
                line = await stream.readline()
            except ValueError:  # longer than the limit; the reader has dropped it
                continue
            if not line:
                return
            text = line.decode(errors="replace").rstrip()
            self._tail.append(text)
            log.debug("llama.cpp: %s", text)


def _cores() -> int:
    """Physical cores, but no more than this process may run on."""
    physical = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else physical
    return max(1, min(physical, allowed))
