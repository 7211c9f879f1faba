"""How long reports of usage over many records take, beside sorting the durations themselves.

    python benchmarks/usage.py [--requests 1000000]

Thirty days of requests by six models, three clients, and sessions of some forty requests. The times are those
of the processor, so that other work on the machine counts little; a report reads nothing but the file, which
is in the memory by then.
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TypeVar

from lynkr_desktop.engine.telemetry import rollup, usage
from lynkr_desktop.engine.telemetry.database import open_for_reading, open_for_writing
from lynkr_desktop.engine.telemetry.export import PAGE_ROWS, Export
from lynkr_desktop.engine.telemetry.spans import Span, named
from lynkr_desktop.engine.telemetry.store import BATCH_ROWS, Entry, write_entries
from lynkr_desktop.protocol.control import RequestRow
from lynkr_desktop.protocol.routing import ContributionRow, DecisionRow
from lynkr_desktop.protocol.tiers import Tier

T = TypeVar("T")

DAYS = 30
MODELS = (
    (Tier.SIMPLE, "ollama", "qwen2.5-coder:7b", 40),
    (Tier.MEDIUM, "ollama", "qwen2.5-coder:32b", 20),
    (Tier.MEDIUM, "openrouter", "deepseek/deepseek-chat", 10),
    (Tier.COMPLEX, "anthropic", "claude-sonnet-4", 20),
    (Tier.COMPLEX, "openai", "gpt-5", 5),
    (Tier.REASONING, "anthropic", "claude-opus-4", 5),
)
CLIENTS = ("Claude Code", "Codex", "OpenHands")
SORTED = """
    SELECT MAX(CASE WHEN place = (total * 50 + 99) / 100 THEN latency_ms END),
        MAX(CASE WHEN place = (total * 95 + 99) / 100 THEN latency_ms END),
        MAX(CASE WHEN place = (total * 99 + 99) / 100 THEN latency_ms END)
    FROM (
        SELECT latency_ms, ROW_NUMBER() OVER (ORDER BY latency_ms) AS place, COUNT(*) OVER () AS total
        FROM requests WHERE at >= ? AND at < ?
    )
"""


def main() -> None:
    """Fills a file and prints the table."""
    parser = argparse.ArgumentParser(description="Reports of usage over many records.")
    parser.add_argument("--requests", type=int, default=1_000_000)
    count = parser.parse_args().requests
    now = time.time()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lynkr.db"
        rows, sums = fill(path, count, now)
        print(f"{count:,} records, {path.stat().st_size / 1e6:,.0f} MB")
        print(f"written in {rows * 1e6:.1f} us each, their sums in {sums * 1e6:.1f} us each")
        with closing(open_for_reading(path)) as connection:
            for table in rollup.DIMENSIONS:
                cells = connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]
                print(f"  {table}: {cells:,} rows")
            report(connection, now)


def fill(path: Path, count: int, now: float) -> tuple[float, float]:
    """Writes the records as the engine does; seconds for each, and for the sums of each."""
    made = entries(count, now)
    spent = [0.0, 0.0]
    with closing(open_for_writing(path)) as connection:
        while batch := list(islice(made, BATCH_ROWS)):
            connection.execute("BEGIN IMMEDIATE")
            before = rollup.newest(connection)
            began = time.thread_time()
            write_entries(connection, batch)
            written = time.thread_time()
            rollup.roll_up(connection, before)
            spent[1] += time.thread_time() - written
            spent[0] += written - began
            connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return spent[0] / count, spent[1] / count


def entries(count: int, now: float) -> Iterator[Entry]:
    """Requests as agents send them, spread over the days."""
    rng = random.Random(7)
    weights = [weight for *_, weight in MODELS]
    parts = tuple(ContributionRow(f"part {number}", 0.2, 0.1, "a long ask") for number in range(6))
    for number in range(count):
        tier, provider, model, _ = rng.choices(MODELS, weights)[0]
        client = rng.randrange(len(CLIENTS))
        took = rng.lognormvariate(7.5, 1.2)
        row = RequestRow(
            id=f"req_{number:024x}",
            at=now - DAYS * 86400 + (number + rng.random()) * DAYS * 86400 / count,
            client=CLIENTS[client],
            protocol="anthropic_messages",
            session=f"5f8e{number // 120 * 3 + client:028x}",
            title="fix the flaky test in the parser of dates",
            tier=tier,
            score=0.42,
            provider=provider,
            model=model,
            input_tokens=rng.randrange(100, 40_000),
            output_tokens=rng.randrange(2_000),
            cost=None if provider == "openrouter" else 0.01,
            latency_ms=took,
            ttft_ms=took / 5,
            status=200 if rng.random() < 0.97 else 502,
        )
        yield Entry(row, DecisionRow(id=row.id, at=row.at, task=row.id, tier=tier, contributions=parts))


def report(connection: sqlite3.Connection, now: float) -> None:
    """Times reports, a page of an export, and the sorting of the durations."""
    print(f"\n{'report of 30 days by':24}{'ms':>8}")
    for by in usage.GROUPS:
        found, seconds = best(lambda by=by: usage.report(connection, named("all", now), by, now))
        print(f"{by:24}{seconds * 1e3:8.0f}")
    assert found.latency is not None
    told = (found.latency.p50, found.latency.p95, found.latency.p99)
    real, seconds = best(lambda: connection.execute(SORTED, (0.0, now)).fetchone(), times=1)
    print(f"{'sorting the durations':24}{seconds * 1e3:8.0f}")
    errors = ", ".join(f"{(one / other - 1) * 100:+.1f} %" for one, other in zip(told, real, strict=True))
    print(f"P50, P95, P99 are off by {errors}")
    span = Span(0.0, now)
    _, seconds = best(lambda: Export(span, "jsonl", titles=True).piece(connection))
    print(f"a row of an export: {seconds / PAGE_ROWS * 1e6:.0f} us")


def best(work: Callable[[], T], times: int = 4) -> tuple[T, float]:
    """What the work finds, and the seconds of the processor in its best run."""
    least = float("inf")
    for _ in range(times):
        began = time.thread_time()
        found = work()
        least = min(least, time.thread_time() - began)
    return found, least


if __name__ == "__main__":
    main()
