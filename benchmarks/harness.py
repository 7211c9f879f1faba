"""What the benchmarks measure with: a client of raw bytes, and samples of latency, rate and first token."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import Literal, cast

TOKEN = "lk_benchmark_token"
QUESTION = {"role": "user", "content": "What does the function in utils.py return when the list is empty?"}
Path = Literal["/v1/chat/completions", "/v1/messages"]


@dataclass(frozen=True, slots=True)
class Shape:
    """What is sent to a server: the path says in which protocol."""

    path: Path = "/v1/chat/completions"
    model: str = "m"
    headers: tuple[tuple[str, str], ...] = ()

    def request(self, port: int, *, stream: bool = False) -> bytes:
        """One whole HTTP request."""
        fields = {"model": self.model, "max_tokens": 256, "messages": [QUESTION], "stream": stream}
        body = json.dumps(fields).encode()
        lines = [
            f"POST {self.path} HTTP/1.1",
            f"Host: 127.0.0.1:{port}",
            f"Authorization: Bearer {TOKEN}",
            "Content-Type: application/json",
            *(f"{name}: {value}" for name, value in self.headers),
            f"Content-Length: {len(body)}",
        ]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Client(asyncio.Protocol):
    """One keep-alive connection that sends the same request again and again."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._buffer = bytearray()
        self._waiter: asyncio.Future[bytes] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Wakes the waiter when a response is whole."""
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._buffer[:end]).lower()
        if b"content-length:" in head:
            length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
            whole = len(self._buffer) >= end + 4 + length
        else:
            whole = self._buffer.endswith(b"0\r\n\r\n")
        if whole and self._waiter is not None:
            response = bytes(self._buffer)
            self._buffer.clear()
            self._waiter.set_result(response)

    def connection_lost(self, error: Exception | None) -> None:
        """Fails whoever waits."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error or ConnectionResetError("the server closed the connection"))

    async def ask(self, other: bytes = b"") -> bytes:
        """One request, one response; `other` is sent in the place of the usual one."""
        assert self._transport is not None
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.write(other or self._request)
        response = await self._waiter
        if not response.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"unexpected answer: {response[:300]!r}")
        return response

    def close(self) -> None:
        """Ends the connection."""
        assert self._transport is not None
        self._transport.close()


@dataclass
class Samples:
    """The figures of one server, one per round."""

    p50: list[float] = field(default_factory=list)
    rate_1: list[float] = field(default_factory=list)
    rate_16: list[float] = field(default_factory=list)
    p99_16: list[float] = field(default_factory=list)
    ttft: list[float] = field(default_factory=list)


async def connect(port: int, request: bytes) -> Client:
    """A client on a fresh connection."""
    loop = asyncio.get_running_loop()
    _, client = await loop.create_connection(lambda: Client(request), "127.0.0.1", port)
    return client


async def latencies(port: int, shape: Shape, count: int) -> list[float]:
    """Milliseconds of `count` requests, one after the other."""
    client = await connect(port, shape.request(port))
    for _ in range(min(50, count)):
        await client.ask()
    times = []
    for _ in range(count):
        began = time.perf_counter()
        await client.ask()
        times.append((time.perf_counter() - began) * 1e3)
    client.close()
    return times


async def throughput(port: int, shape: Shape, clients: int, seconds: float) -> tuple[float, float]:
    """Requests a second with `clients` connections at once, and the 99th percentile of their milliseconds."""
    connections = [await connect(port, shape.request(port)) for _ in range(clients)]
    for connection in connections:
        await connection.ask()
    began = time.perf_counter()
    end = began + seconds
    times: list[float] = []

    async def work(client: Client) -> None:
        now = time.perf_counter()
        while now < end:
            await client.ask()
            before, now = now, time.perf_counter()
            times.append(now - before)

    await asyncio.gather(*(work(client) for client in connections))
    elapsed = time.perf_counter() - began
    for connection in connections:
        connection.close()
    return len(times) / elapsed, sorted(times)[int(len(times) * 0.99)] * 1e3


async def load(port: int, shape: Shape, clients: int, count: int) -> None:
    """`count` requests over `clients` connections."""
    connections = [await connect(port, shape.request(port)) for _ in range(clients)]

    async def work(client: Client) -> None:
        for _ in range(count // clients):
            await client.ask()

    await asyncio.gather(*(work(client) for client in connections))
    for connection in connections:
        connection.close()


async def first_token(port: int, shape: Shape) -> float:
    """Milliseconds from the request to the first content of a stream."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began = time.perf_counter()
    writer.write(shape.request(port, stream=True))
    seen = b""
    while b"word0" not in seen:
        chunk = await reader.read(65536)
        if not chunk:
            raise RuntimeError(f"the stream ended without content: {seen[:300]!r}")
        seen += chunk
    elapsed = (time.perf_counter() - began) * 1e3
    while not seen.endswith(b"0\r\n\r\n") and (chunk := await reader.read(65536)):
        seen += chunk
    writer.close()
    return elapsed
