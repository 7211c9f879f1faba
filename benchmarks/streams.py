"""Many streams at once: how late tokens come, what memory does, how soon a hang-up reaches the upstream.

    python benchmarks/streams.py --streams 200 --seconds 15

The upstream is a process that writes the time into each token; the client, another process, subtracts it on
arrival (Linux' and macOS' monotonic clock is one for all processes). The same is measured without any proxy
and through a bare aiohttp pass-through: what those are late by is the machine's own doing. Then streams are
hung up on in mid-sentence, one by one, and the upstream says when it saw each go.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import re
import socket
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from harness import Shape
from subjects import SERVERS, Server, start, start_lynkr, stopped_at_the_end

STAMP = re.compile(rb"@(\d+\.\d+) ")
HANG_UPS = 30


@dataclass
class Lateness:
    """Milliseconds from the upstream's write to the client's read, of every token."""

    late: list[float] = field(default_factory=list)
    complete: int = 0
    rss_mb: list[float] = field(default_factory=list)


class Reader(asyncio.Protocol):
    """Reads one stream to its end and notes how old each token is."""

    def __init__(self, request: bytes, seen: Lateness, done: asyncio.Future[None]) -> None:
        self._request = request
        self._seen = seen
        self._done = done
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asks."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Takes the stamps out of what came."""
        now = time.monotonic()
        data = self._rest + data
        end = 0
        for found in STAMP.finditer(data):
            self._seen.late.append((now - float(found[1])) * 1e3)
            end = found.end()
        self._rest = data[end:][-200:]
        if self._rest.endswith(b"0\r\n\r\n"):
            self._seen.complete += 1
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        """The stream is over, well or not."""
        if not self._done.done():
            self._done.set_result(None)


async def stream_all(server: Server, shape: Shape, streams: int) -> Lateness:
    """Runs `streams` at once to their ends; samples the server's memory each second."""
    loop = asyncio.get_running_loop()
    seen = Lateness()
    request = shape.request(server.port, stream=True)
    waits = []
    for number in range(streams):
        done: asyncio.Future[None] = loop.create_future()
        await loop.create_connection(lambda done=done: Reader(request, seen, done), "127.0.0.1", server.port)
        waits.append(done)
        if number % 20 == 19:
            # A little apart, as people start them.
            await asyncio.sleep(0.01)
    everything = asyncio.gather(*waits)
    while not everything.done():
        await asyncio.wait({everything}, timeout=1)
        seen.rss_mb.append(server.rss_mb)
    return seen


def hang_ups(server: Server, shape: Shape, log: Path) -> list[float]:
    """Milliseconds from a client's hang-up to the upstream's notice of it."""
    request = shape.request(server.port, stream=True)
    delays = []
    for _ in range(HANG_UPS):
        with socket.create_connection(("127.0.0.1", server.port), 5) as client:
            client.sendall(request)
            seen = b""
            while len(STAMP.findall(seen)) < 3:
                seen += client.recv(65536)
            before = log.stat().st_size
            gone = time.monotonic()
        while log.stat().st_size == before:
            if time.monotonic() - gone > 5:
                raise RuntimeError("the upstream never saw the client go")
            time.sleep(0.001)
        delays.append((float(log.read_text().split()[-1]) - gone) * 1e3)
    return delays


def main() -> int:
    """Runs it and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--per-second", type=int, default=100, help="tokens a second of each stream")
    parser.add_argument("--seconds", type=int, default=15)
    parser.add_argument("--json", type=Path, help="write the figures here too")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lynkr-bench-") as name, stopped_at_the_end() as servers:
        log = Path(name) / "hang-ups"
        log.touch()
        pace = (str(args.per_second), str(args.per_second * args.seconds), str(log))
        upstream = start([sys.executable, SERVERS, "ticking", *pace])
        servers.append(upstream)
        bare = start([sys.executable, SERVERS, "bare-uvloop", str(upstream.port)])
        servers.append(bare)
        lynkr = start_lynkr(upstream.port, Path(name) / "home")
        servers.append(lynkr)
        subjects = [
            ("direct", upstream, Shape()),
            ("bare aiohttp, uvloop", bare, Shape()),
            ("lynkr", lynkr, Shape(model="auto-route")),
            ("lynkr, translated", lynkr, Shape("/v1/messages", "auto-route")),
        ]
        print(
            f"Python {platform.python_version()}, {os.cpu_count()} cores: {args.streams} streams of "
            f"{args.per_second} tokens/s for {args.seconds} s; lateness in ms"
        )
        figures = {}
        for label, server, shape in subjects:
            seen = asyncio.run(stream_all(server, shape, args.streams))
            gone = hang_ups(server, shape, log)
            late = sorted(seen.late)
            figures[label] = {
                "tokens": len(late),
                "complete": seen.complete,
                "late_p50": round(late[len(late) // 2], 2),
                "late_p99": round(late[int(len(late) * 0.99)], 2),
                "late_p999": round(late[int(len(late) * 0.999)], 2),
                "late_max": round(late[-1], 2),
                "rss_mb": [round(min(seen.rss_mb), 1), round(max(seen.rss_mb), 1), round(seen.rss_mb[-1], 1)],
                "hang_up_p50": round(statistics.median(gone), 2),
                "hang_up_max": round(max(gone), 2),
            }
            print(f"{label:22} {json.dumps(figures[label])}")
        if args.json:
            args.json.write_text(json.dumps(figures, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
