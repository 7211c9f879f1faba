"""What the engine costs beside a bare aiohttp pass-through and its peers, in one run, over one upstream.

    make bench            or    python benchmarks/overhead.py --rounds 5 --peers --json out.json

Everything is a process of its own on loopback: a minimal upstream of OpenAI Chat, the floor (aiohttp
server and client with nothing between them, once on asyncio's loop and once on uvloop), and `lynkr serve`
as it comes: token, Host and Origin checks, routing by score, breakers, records in SQLite, metrics. It is
asked twice, in the upstream's own protocol and as Anthropic Messages, which it translates. A second one runs
with what is off by default too: the pipeline but for the response cache, memory, budgets, limits. The
rounds alternate between the servers, so that a machine whose speed drifts treats all alike. Compare ratios
of one run only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from harness import Shape, first_token, latencies, load, throughput
from peers import start_peers
from subjects import SERVERS, Subject, start, start_lynkr, stopped_at_the_end


async def measure(subjects: list[Subject], rounds: int, count: int, seconds: float) -> None:
    """Takes every figure of every subject, round by round."""
    for number in range(rounds):
        for subject in subjects:
            try:
                await _measure(subject, max(30, round(count * subject.share)), seconds)
            except (RuntimeError, ConnectionError) as error:
                print(f"{subject.name} failed: {error}", file=sys.stderr)
        print(f"round {number + 1} of {rounds} done", file=sys.stderr)


async def _measure(subject: Subject, count: int, seconds: float) -> None:
    port, shape, samples = subject.server.port, subject.shape, subject.samples
    samples.p50.append(statistics.median(await latencies(port, shape, count)))
    samples.rate_1.append((await throughput(port, shape, 1, seconds))[0])
    rate, p99 = await throughput(port, shape, 16, seconds)
    samples.rate_16.append(rate)
    samples.p99_16.append(p99)
    samples.ttft.append(statistics.median([await first_token(port, shape) for _ in range(9)]))


def main() -> int:
    """Runs the comparison and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=1000, help="requests per latency sample")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of a throughput sample")
    parser.add_argument("--load", type=int, default=0, help="requests after which memory is read again")
    parser.add_argument("--peers", action="store_true", help="install and measure other proxies too")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lynkr-bench-") as name, stopped_at_the_end() as servers:
        folder = Path(name)
        upstream = start([sys.executable, SERVERS, "upstream"])
        servers.append(upstream)
        to = str(upstream.port)
        plain = start([sys.executable, SERVERS, "bare", to])
        servers.append(plain)
        fast = start([sys.executable, SERVERS, "bare-uvloop", to])
        servers.append(fast)
        lynkr = start_lynkr(upstream.port, folder / "home")
        servers.append(lynkr)
        full = start_lynkr(upstream.port, folder / "full", everything=True)
        servers.append(full)
        subjects = [
            Subject("direct", upstream, Shape()),
            Subject("bare aiohttp, asyncio", plain, Shape()),
            Subject("bare aiohttp, uvloop", fast, Shape()),
            Subject("lynkr", lynkr, Shape(model="auto-route")),
            Subject("lynkr, translated", lynkr, Shape("/v1/messages", "auto-route")),
            Subject("lynkr, everything on", full, Shape(model="auto-route")),
        ]
        if args.peers:
            subjects += start_peers(upstream.port, folder, servers)
        asyncio.run(measure(subjects, args.rounds, args.count, args.seconds))
        report(subjects, args)
        if args.load:
            asyncio.run(load(full.port, Shape(model="auto-route"), 16, args.load))
            print(f"lynkr, everything on: {full.rss_mb:.0f} MB after {args.load:,} requests more")
    return 0


def report(subjects: list[Subject], args: argparse.Namespace) -> None:
    """Prints medians over the rounds, with their range, and the ratios that count."""

    def mid(values: list[float], digits: int = 2) -> str:
        if not values:
            return "-"
        return (
            f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f}-{max(values):,.{digits}f})"
        )

    print(
        f"Python {platform.python_version()}, {os.cpu_count()} cores, {args.rounds} rounds; median (min-max)"
    )
    rows = [
        ("", "p50 ms, 1 client", "req/s, 1", "req/s, 16", "p99 ms, 16", "first token ms", "ready s", "RSS MB")
    ]
    for one in subjects:
        samples = one.samples
        cells = (
            *(mid(samples.p50, 3), mid(samples.rate_1, 0), mid(samples.rate_16, 0)),
            *(mid(samples.p99_16), mid(samples.ttft)),
        )
        rows.append((one.name, *cells, f"{one.server.ready_s:.2f}", f"{one.server.rss_mb:.0f}"))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    direct, plain, fast, *lynkrs = subjects[:6]
    for ours in lynkrs:
        for floor in (plain, fast):
            share = _median(ours.samples.rate_16, floor.samples.rate_16, lambda a, b: a / b)
            added = _median(ours.samples.p50, floor.samples.p50, lambda a, b: a - b)
            tail = _median(ours.samples.p99_16, floor.samples.p99_16, lambda a, b: a / b)
            print(
                f"{ours.name} against {floor.name}: {share:.0%} of its req/s at 16 clients, p99 {tail:.1f} "
                f"times as long, {added:+.3f} ms"
            )
        added = _median(ours.samples.p50, direct.samples.p50, lambda a, b: a - b)
        later = _median(ours.samples.ttft, direct.samples.ttft, lambda a, b: a - b)
        print(f"{ours.name} against direct: {added:+.3f} ms at p50, first token {later:+.2f} ms")
    if args.json:
        figures = {
            one.name: {**vars(one.samples), "ready_s": one.server.ready_s, "rss_mb": one.server.rss_mb}
            for one in subjects
        }
        args.json.write_text(json.dumps(figures, indent=1))


def _median(ours: list[float], theirs: list[float], compare: Callable[[float, float], float]) -> float:
    return statistics.median(map(compare, ours, theirs))


if __name__ == "__main__":
    raise SystemExit(main())
