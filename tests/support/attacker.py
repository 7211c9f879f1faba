"""Someone on this machine who writes to the port what they like, and an honest client beside them."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import psutil

from tests.support.proxy import Proxy

_STATUS = re.compile(rb"^HTTP/1\.[01] (\d{3}) ", re.MULTILINE)


async def raw(port: int, data: bytes, *, within: float = 15.0) -> bytes:
    """Sends bytes on a connection of their own; what came back until it was closed, or within the time."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    seen = bytearray()
    try:
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(within):
                writer.write(data)
                await writer.drain()
                while piece := await reader.read(65536):
                    seen += piece
    finally:
        writer.close()
    return bytes(seen)


def statuses(answer: bytes) -> list[int]:
    """The status of each answer on a connection, in order."""
    return [int(status) for status in _STATUS.findall(answer)]


def head(
    method: str, target: str, host: str, headers: Iterable[tuple[str, str]] = (), *, close: bool = True
) -> bytes:
    """The head of a request as it stands on the wire; nothing in it is checked."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in headers)]
    if close:
        lines.append("Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "surrogateescape")


@dataclass
class Honest:
    """A client that asks again and again while others attack."""

    asked: int = 0
    slowest: float = 0.0
    wrong: list[str] = field(default_factory=list)

    async def ask(self, http: aiohttp.ClientSession, url: str) -> None:
        """One request, whose answer must be right."""
        body: dict[str, Any] = {"model": "auto-route", "messages": [{"role": "user", "content": "hi"}]}
        began = time.perf_counter()
        try:
            async with http.post(url, json=body, timeout=aiohttp.ClientTimeout(total=30)) as response:
                answer = await response.json()
                if response.status != 200 or answer["choices"][0]["message"]["content"] != "Hello there":
                    self.wrong.append(f"{response.status}: {str(answer)[:300]}")
        except (aiohttp.ClientError, TimeoutError) as error:
            self.wrong.append(repr(error))
        self.asked += 1
        self.slowest = max(self.slowest, time.perf_counter() - began)


@asynccontextmanager
async def honest_client(proxy: Proxy) -> AsyncIterator[Honest]:
    """Asks all the while, every time on a new connection; at the end each answer was right, and came soon."""
    honest = Honest()
    over = asyncio.Event()

    async def run() -> None:
        async with aiohttp.ClientSession(
            headers={"authorization": f"Bearer {proxy.token}", "x-lynkr-no-cache": "1"},
            connector=aiohttp.TCPConnector(force_close=True),
        ) as http:
            while not over.is_set():
                await honest.ask(http, f"{proxy.url}/v1/chat/completions")
                await asyncio.sleep(0.02)

    running = asyncio.create_task(run())
    try:
        yield honest
    finally:
        over.set()
        await running
    assert honest.asked > 0
    assert not honest.wrong, f"{len(honest.wrong)} of {honest.asked}: {honest.wrong[:3]}"
    # It takes milliseconds when nobody attacks; the limit leaves room for a machine that does other things.
    assert honest.slowest < 5, honest


@dataclass(frozen=True, slots=True)
class Held:
    """What a process holds."""

    files: int
    memory: int
    threads: int


def held(proxy: Proxy) -> Held:
    """What the proxy's process holds now."""
    process = psutil.Process(proxy.get("/v1/admin/status")["pid"])
    return Held(process.num_fds(), process.memory_info().rss, process.num_threads())


async def comes_back(proxy: Proxy, before: Held, *, megabytes: int = 48, within: float = 30.0) -> Held:
    """Waits until the process holds about what it held before; fails where it does not."""
    until = time.monotonic() + within
    while True:
        now = await asyncio.to_thread(held, proxy)
        if now.files <= before.files + 8 and now.memory <= before.memory + megabytes * 1024**2:
            return now
        assert time.monotonic() < until, f"before {before}, now {now}"
        await asyncio.sleep(0.2)
