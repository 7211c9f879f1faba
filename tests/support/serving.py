"""The real `lynkr serve`, in a process of its own: started, asked, signalled, killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from lynkr_desktop.paths import Paths
from lynkr_desktop.protocol.control import EngineRuntime
from lynkr_desktop.running import find_engine
from tests.support.engine import ROOT, TOKEN, write_config

STARTS_WITHIN = 60.0


@dataclass
class Serving:
    """An engine of a home, whichever process it is now.

    Attributes:
        process: the one that was started.
        output: the file that holds what it and its successors wrote.
    """

    paths: Paths
    process: asyncio.subprocess.Process
    output: Path
    others: set[int] = field(default_factory=set)

    @property
    def runtime(self) -> EngineRuntime:
        """Which process serves now."""
        found = find_engine(self.paths)
        assert found is not None, self.said()
        self.others.add(found.pid)
        return found

    @property
    def url(self) -> str:
        """Where it serves."""
        return f"http://127.0.0.1:{self.runtime.port}"

    def said(self) -> str:
        """What was written to its output so far."""
        return self.output.read_text(errors="replace")

    async def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """A call of the control API over a connection of its own: status and decoded body."""
        async with (
            aiohttp.ClientSession(headers={"authorization": f"Bearer {TOKEN}"}) as http,
            http.request(method, f"{self.url}/v1/admin/{path}", json=body) as response,
        ):
            return response.status, await response.json()

    async def ended(self, within: float = 20.0) -> int:
        """Waits for the end of the process that was started; its exit code."""
        async with asyncio.timeout(within):
            return await self.process.wait()


async def gone(pid: int, within: float = 20.0) -> None:
    """Waits until a process that is no child has ended."""
    async with asyncio.timeout(within):
        while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            await asyncio.sleep(0.02)


async def start_serving(
    paths: Paths,
    *arguments: str,
    environ: Mapping[str, str] | None = None,
    wait: bool = True,
    output: Path | None = None,
) -> Serving:
    """Starts `lynkr serve` on a free port and waits until it serves."""
    output = output or paths.home.parent / f"serve-{time.monotonic_ns()}.txt"
    with output.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "lynkr_desktop", "serve", "--home", str(paths.home)),
            *(arguments or ("--port", "0")),
            cwd=output.parent,
            env={**os.environ, "PYTHONPATH": str(ROOT), **(environ or {})},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    serving = Serving(paths, process, output)
    if wait:
        async with asyncio.timeout(STARTS_WITHIN):
            while (found := find_engine(paths)) is None or found.pid != process.pid:
                assert process.returncode is None, serving.said()
                await asyncio.sleep(0.005)
        serving.others.add(found.pid)
    return serving


async def end(serving: Serving) -> None:
    """Ends whatever of it still runs, the engine that serves now included."""
    if (found := find_engine(serving.paths)) is not None:
        serving.others.add(found.pid)
    for pid in {serving.process.pid, *serving.others}:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    await serving.process.wait()
    for pid in serving.others:
        await gone(pid)


@asynccontextmanager
async def serving_engine(
    home: Path,
    config: Mapping[str, Any],
    *arguments: str,
    environ: Mapping[str, str] | None = None,
) -> AsyncIterator[Serving]:
    """`lynkr serve` with this configuration for as long as the block lasts."""
    serving = await start_serving(write_config(home, config), *arguments, environ=environ)
    try:
        yield serving
    finally:
        await end(serving)


def ask_body(text: str, **more: Any) -> bytes:
    """A request for OpenAI's chat path."""
    return json.dumps(
        {"model": "auto-route", "messages": [{"role": "user", "content": text}], **more}
    ).encode()
