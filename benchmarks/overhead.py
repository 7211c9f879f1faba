"""What the engine costs: beside a bare aiohttp pass-through, in one run, over the same upstream.

    make bench            or    python benchmarks/overhead.py --rounds 5 --json out.json

Everything is a process of its own on loopback: a minimal upstream, the floor (aiohttp server and client with
nothing between them, once on asyncio's loop and once on uvloop), and `lynkr serve` with everything on: token,
Host and Origin checks, routing by score, records in SQLite, metrics. The rounds alternate between them, so
that a machine whose speed drifts treats all alike. Compare ratios, not figures of different runs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import psutil

HERE = Path(__file__).resolve().parent
TOKEN = "lk_benchmark_token"
QUESTION = {"role": "user", "content": "What does the function in utils.py return when the list is empty?"}


def request_bytes(port: int, *, model: str, stream: bool = False) -> bytes:
    """One whole HTTP request, as an OpenAI client sends it."""
    body = json.dumps({"model": model, "messages": [QUESTION], "stream": stream}).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {TOKEN}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


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
        """Wakes the waiter when a response with a Content-Length is whole."""
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._buffer[:end]).lower()
        length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        if len(self._buffer) >= end + 4 + length and self._waiter is not None:
            whole = bytes(self._buffer)
            self._buffer.clear()
            self._waiter.set_result(whole)

    async def ask(self) -> bytes:
        """One request, one response."""
        assert self._transport is not None
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.write(self._request)
        response = await self._waiter
        if not response.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"unexpected answer: {response[:300]!r}")
        return response

    def close(self) -> None:
        """Ends the connection."""
        assert self._transport is not None
        self._transport.close()


async def connect(port: int, request: bytes) -> Client:
    """A client on a fresh connection."""
    loop = asyncio.get_running_loop()
    _, client = await loop.create_connection(lambda: Client(request), "127.0.0.1", port)
    return client


async def latencies(port: int, model: str, count: int) -> list[float]:
    """Milliseconds of `count` requests, one after the other."""
    client = await connect(port, request_bytes(port, model=model))
    for _ in range(50):
        await client.ask()
    times = []
    for _ in range(count):
        began = time.perf_counter()
        await client.ask()
        times.append((time.perf_counter() - began) * 1e3)
    client.close()
    return times


async def throughput(port: int, model: str, clients: int, seconds: float) -> float:
    """Requests a second with `clients` connections at once."""
    connections = [await connect(port, request_bytes(port, model=model)) for _ in range(clients)]
    for connection in connections:
        await connection.ask()
    began = time.perf_counter()
    end = began + seconds
    done = 0

    async def work(client: Client) -> None:
        nonlocal done
        while time.perf_counter() < end:
            await client.ask()
            done += 1

    await asyncio.gather(*(work(client) for client in connections))
    elapsed = time.perf_counter() - began
    for connection in connections:
        connection.close()
    return done / elapsed


async def first_token(port: int, model: str) -> float:
    """Milliseconds from the request to the first content of a stream."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began = time.perf_counter()
    writer.write(request_bytes(port, model=model, stream=True))
    seen = b""
    while b'"content":"word' not in seen:
        chunk = await reader.read(65536)
        if not chunk:
            raise RuntimeError(f"the stream ended without content: {seen[:300]!r}")
        seen += chunk
    elapsed = (time.perf_counter() - began) * 1e3
    while b"[DONE]" not in seen and (chunk := await reader.read(65536)):
        seen += chunk
    writer.close()
    return elapsed


# ---------------------------------------------------------------- processes


@dataclass
class Subject:
    """A server under measurement."""

    name: str
    port: int
    process: psutil.Popen
    model: str = "m"
    ready_s: float = 0.0
    p50: list[float] = field(default_factory=list)
    rate_1: list[float] = field(default_factory=list)
    rate_16: list[float] = field(default_factory=list)
    ttft: list[float] = field(default_factory=list)
    rss_mb: float = 0.0


def start(name: str, command: list[str], port_of: Callable[[str], int], **environ: str) -> Subject:
    """Starts a server that prints its port on its first line."""
    began = time.perf_counter()
    process = psutil.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **environ})
    line = process.stdout.readline()
    port = port_of(line)
    ready = time.perf_counter() - began
    return Subject(name, port, process, ready_s=ready)


def start_lynkr(upstream: int, home: Path) -> Subject:
    """`lynkr serve` with one provider in every tier; ready when its health check answers."""
    tier = "{{providers: [fake/m], max_complexity: {limit}}}"
    tiers = {"simple": 0.35, "medium": 0.65, "complex": 0.85, "reasoning": 1.0}
    lines = [
        "proxy: {auth: {token: " + TOKEN + "}}",
        f"providers: {{fake: {{kind: openai_compatible, base_url: http://127.0.0.1:{upstream}/v1}}}}",
        "routing:",
        "  tiers:",
        *(f"    {name}: {tier.format(limit=limit)}" for name, limit in tiers.items()),
    ]
    home.mkdir(parents=True, exist_ok=True)
    (home / "lynkr-routing.yaml").write_text("\n".join(lines) + "\n")
    began = time.perf_counter()
    command = [
        sys.executable,
        "-m",
        "lynkr_desktop",
        "serve",
        "--supervised",
        "--port",
        "0",
        "--home",
        str(home),
    ]
    subject = start("lynkr", command, lambda line: int(json.loads(line)["port"]))
    with urllib.request.urlopen(f"http://127.0.0.1:{subject.port}/v1/admin/health", timeout=5) as response:
        response.read()
    subject.ready_s = time.perf_counter() - began
    subject.model = "auto-route"
    return subject


async def measure(subjects: list[Subject], rounds: int, count: int, seconds: float) -> None:
    """Takes every figure of every subject, round by round."""
    for _ in range(rounds):
        for subject in subjects:
            subject.p50.append(statistics.median(await latencies(subject.port, subject.model, count)))
            subject.rate_1.append(await throughput(subject.port, subject.model, 1, seconds))
            subject.rate_16.append(await throughput(subject.port, subject.model, 16, seconds))
            times = [await first_token(subject.port, subject.model) for _ in range(15)]
            subject.ttft.append(statistics.median(times))
    for subject in subjects:
        subject.rss_mb = subject.process.memory_info().rss / 1024**2


def main() -> int:
    """Runs the comparison and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=1000, help="requests per latency sample")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of a throughput sample")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    args = parser.parse_args()
    servers = str(HERE / "servers.py")
    subjects: list[Subject] = []
    with tempfile.TemporaryDirectory(prefix="lynkr-bench-") as folder:
        try:
            upstream = start("direct", [sys.executable, servers, "upstream"], int)
            subjects.append(upstream)
            to = str(upstream.port)
            subjects.append(start("bare, asyncio", [sys.executable, servers, "bare", to], int))
            subjects.append(start("bare, uvloop", [sys.executable, servers, "bare-uvloop", to], int))
            subjects.append(start_lynkr(upstream.port, Path(folder) / "home"))
            asyncio.run(measure(subjects, args.rounds, args.count, args.seconds))
        finally:
            for subject in subjects:
                subject.process.terminate()
            for subject in subjects:
                subject.process.wait(10)
    report(subjects, args)
    return 0


def report(subjects: list[Subject], args: argparse.Namespace) -> None:
    """Prints medians over the rounds, with their range, and the ratios that count."""

    def mid(values: list[float], digits: int = 2) -> str:
        return (
            f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f}-{max(values):,.{digits}f})"
        )

    print(
        f"Python {platform.python_version()}, {os.cpu_count()} cores, {args.rounds} rounds; median (min-max)"
    )
    columns = ("", "p50 ms, 1 client", "req/s, 1", "req/s, 16", "first token ms", "ready s", "RSS MB")
    rows = [columns]
    for one in subjects:
        cells = (one.name, mid(one.p50, 3), mid(one.rate_1, 0), mid(one.rate_16, 0), mid(one.ttft))
        rows.append((*cells, f"{one.ready_s:.2f}", f"{one.rss_mb:.0f}"))
    widths = [max(len(row[column]) for row in rows) for column in range(len(columns))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    direct, *floors, ours = subjects
    for floor in floors:
        share = statistics.median(a / b for a, b in zip(ours.rate_16, floor.rate_16, strict=True))
        added = statistics.median(a - b for a, b in zip(ours.p50, floor.p50, strict=True))
        print(f"lynkr against {floor.name}: {share:.0%} of its req/s at 16 clients, {added:+.3f} ms at p50")
    added = statistics.median(a - b for a, b in zip(ours.p50, direct.p50, strict=True))
    later = statistics.median(a - b for a, b in zip(ours.ttft, direct.ttft, strict=True))
    print(f"lynkr against direct: {added:+.3f} ms at p50, first token {later:+.2f} ms")
    if args.json:
        figures = {one.name: {k: v for k, v in vars(one).items() if k != "process"} for one in subjects}
        args.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    raise SystemExit(main())
