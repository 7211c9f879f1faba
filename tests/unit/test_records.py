"""The records: nothing that was recorded is lost, whatever happens to the process, the file or the disk."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr_desktop.engine.telemetry import store
from lynkr_desktop.engine.telemetry.database import (
    _MIGRATIONS,
    RecordsError,
    database_path,
    open_for_reading,
)
from lynkr_desktop.engine.telemetry.spans import RANGES, named, since_of
from lynkr_desktop.engine.telemetry.store import Records
from lynkr_desktop.engine.telemetry.usage import GROUPS, report
from lynkr_desktop.protocol.control import RequestRow
from lynkr_desktop.protocol.tiers import Tier

DAY = 86400.0


def row(number: int = 0, **changes: Any) -> RequestRow:
    values: dict[str, Any] = {
        "id": f"req-{number}",
        "at": time.time(),
        "client": "claude-code",
        "protocol": "anthropic_messages",
        "session": "s1",
        "title": "fix the tests",
        "tier": Tier.SIMPLE,
        "score": 0.25,
        "provider": "ollama",
        "model": "qwen2.5-coder:7b",
        "input_tokens": 100,
        "cached_tokens": 40,
        "output_tokens": 10,
        "cost": 0.0,
        "latency_ms": 12.5,
        "ttft_ms": 3.0,
        "status": 200,
    }
    return RequestRow(**{**values, **changes})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "lynkr.db"


@pytest.fixture
async def records(path: Path) -> AsyncIterator[Records]:
    records = Records(path, 90 * DAY)
    await records.start()
    yield records
    records.close()


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


def rows_in(path: Path) -> int:
    with sqlite3.connect(path) as connection:
        return int(connection.execute("SELECT COUNT(*) FROM requests").fetchone()[0])


async def test_what_is_recorded_is_read_back_whole(records: Records, path: Path) -> None:
    first = row(1, error="upstream broke", status=502, stream=True, cost=None, ttft_ms=None, reason="why")
    second = row(2, tier=None, score=None, estimated=True, at=first.at + 1)
    records.record(first)
    records.record(second)
    assert await records.recent(10) == [second, first]
    assert await records.get("req-1") == first
    assert await records.get("none") is None
    if os.name == "posix":
        for file in path.parent.iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_pages_of_recent_requests_follow_each_other(records: Records) -> None:
    now = time.time()
    for number in range(25):
        records.record(row(number, at=now + number // 3))  # some at the same instant
    seen: list[str] = []
    before = None
    while page := await records.recent(4, before):
        seen += [request.id for request in page]
        before = page[-1].id
    assert seen == [f"req-{number}" for number in reversed(range(25))]


async def test_sums_by_group(records: Records) -> None:
    records.record(row(1, provider="openai", model="gpt-4o", cost=0.5, tier=Tier.COMPLEX))
    records.record(row(2, provider="groq", model="x", cost=None, tier=None))
    records.record(row(3))
    records.record(row(4, status=400, error="no", cost=None, input_tokens=0, output_tokens=0))
    records.record(row(5, status=499, error="client gone"))
    report = await records.usage("today", "tier")
    assert report.totals.requests == 5
    assert report.totals.errors == 1
    assert report.totals.unpriced == 1
    assert report.totals.cost == 0.5
    assert report.totals.input_tokens == 400
    assert [(group.key, group.totals.requests) for group in report.rows] == [
        ("complex", 1),
        ("simple", 3),
        ("", 1),
    ]
    assert sum(hour.requests for hour in report.hours) == 5
    by_model = await records.usage("24h", "model")
    assert {group.key for group in by_model.rows} == {"openai/gpt-4o", "groq/x", "ollama/qwen2.5-coder:7b"}
    for range_ in RANGES:
        for by in GROUPS:
            assert (await records.usage(range_, by)).totals == report.totals
    assert records.today().totals == report.totals
    assert records.today().tiers == {Tier.COMPLEX: 1, Tier.SIMPLE: 3}
    assert records.today().hours == report.hours


async def test_ranges_are_whole_local_days(path: Path) -> None:
    noon = datetime.now().replace(hour=12, minute=0, second=0, microsecond=0)
    records = Records(path, 90 * DAY, clock=noon.timestamp)
    await records.start()
    for days in range(40):
        records.record(row(days, at=(noon - timedelta(days=days, hours=11)).timestamp()))
    counts = {range_: (await records.usage(range_, "day")).totals.requests for range_ in RANGES}
    assert counts == {"today": 1, "24h": 1, "7d": 7, "30d": 30, "all": 40}
    days = [group.key for group in (await records.usage("7d", "day")).rows]
    assert days == [(noon - timedelta(days=6 - day)).date().isoformat() for day in range(7)]
    records.close()


async def test_today_begins_anew_at_midnight_and_survives_a_restart(path: Path) -> None:
    now = [datetime.now().replace(hour=23, minute=59, second=50, microsecond=0).timestamp()]
    records = Records(path, 90 * DAY, clock=lambda: now[0])
    await records.start()
    records.record(row(1, at=now[0], cost=0.25))
    records.close()
    records = Records(path, 90 * DAY, clock=lambda: now[0])
    records.record(row(2, at=now[0], cost=0.25))  # before the file is even open
    await records.start()
    today = records.today()
    assert (today.totals.requests, today.totals.cost, today.tiers) == (2, 0.5, {Tier.SIMPLE: 2})
    assert today.hours[23].requests == 2
    now[0] += 20
    records.record(row(3, at=now[0] - 15))  # began yesterday
    assert records.today().totals.requests == 0
    records.record(row(4, at=now[0]))
    assert records.today().totals.requests == 1
    assert records.today().hours[0].requests == 1
    assert (await records.usage("today", "tier")).totals.requests == 1
    records.close()


async def test_old_records_are_deleted(path: Path) -> None:
    first = Records(path, 90 * DAY)
    await first.start()
    for number in range(5000):
        first.record(row(number, at=time.time() - 10 * DAY))
    first.record(row(9999))
    first.close()
    second = Records(path, 5 * DAY)
    await second.start()
    second.record(row(10000))
    await second.flush()
    await until(lambda: rows_in(path) == 2)
    second.close()


# ---------------------------------------------------------------- speed


async def test_recording_takes_microseconds_and_loses_nothing(records: Records, path: Path) -> None:
    ready = [row(number) for number in range(10_000)]
    best = float("inf")
    for start in range(0, len(ready), 1000):
        began = time.perf_counter()
        for request in ready[start : start + 1000]:
            records.record(request)
        best = min(best, (time.perf_counter() - began) / 1000)
        await asyncio.sleep(0)
    print(f"record(): {best * 1e6:.2f} us")
    assert best < 20e-6
    await records.flush()
    assert rows_in(path) == 10_000
    assert (records.waiting, records.lost) == (0, 0)


async def test_threads_may_record_at_once(records: Records, path: Path) -> None:
    def work(part: int) -> None:
        for number in range(500):
            records.record(row(part * 1000 + number))

    threads = [threading.Thread(target=work, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    await asyncio.gather(*(asyncio.to_thread(thread.join) for thread in threads))
    await records.flush()
    assert rows_in(path) == 2000
    assert records.today().totals.requests == 2000


async def test_two_engines_and_a_reader_share_a_file(records: Records, path: Path) -> None:
    other = Records(path, 90 * DAY)
    await other.start()
    for number in range(300):
        (records if number % 2 else other).record(row(number))
    await asyncio.gather(records.flush(), other.flush())
    with open_for_reading(path) as connection:
        assert report(connection, named("today"), "tier", time.time()).totals.requests == 300
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            connection.execute("DELETE FROM requests")
    connection.close()
    other.close()


# ---------------------------------------------------------------- what may happen


def test_kill_9_loses_at_most_the_last_batch(tmp_path: Path) -> None:
    path = tmp_path / "lynkr.db"
    program = textwrap.dedent(
        """
        import asyncio, sys, time
        from pathlib import Path
        from lynkr_desktop.engine.telemetry.store import Records
        from lynkr_desktop.protocol.control import RequestRow

        async def main():
            records = Records(Path(sys.argv[1]), 1e6)
            await records.start()
            number = 0
            while True:
                at = time.time()
                records.record(RequestRow(id=str(number), at=at, client="c", protocol="p"))
                print(number, at, flush=True)
                number += 1
                await asyncio.sleep(0.001)

        asyncio.run(main())
        """
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True, env={**os.environ}
    )
    assert child.stdout is not None
    began = time.monotonic()
    for line in child.stdout:
        if int(line.split()[0]) >= 1500 or time.monotonic() - began > 30:
            break
    os.kill(child.pid, signal.SIGKILL if os.name == "posix" else signal.SIGTERM)
    said = [line.split() for line in (line, *child.stdout) if line.count(" ") == 1 and line.endswith("\n")]
    child.wait()
    last = float(said[-1][1])
    with open_for_reading(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        kept = [int(found[0]) for found in connection.execute("SELECT id FROM requests ORDER BY seq")]
        newest = connection.execute("SELECT MAX(at) FROM requests").fetchone()[0]
    connection.close()
    assert kept == list(range(len(kept)))
    assert last - newest < 2.0  # one window of 0.5 s, with room for a busy machine


def damage(path: Path, kind: str) -> None:
    if kind == "text":
        path.write_text("this is no database " * 1000)
    elif kind == "zeros":
        path.write_bytes(b"\x01" * 8192)
    elif kind == "middle":
        size = path.stat().st_size
        with path.open("r+b") as file:
            file.seek(4096)
            file.write(os.urandom(size - 4096))
    elif kind == "newer":
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA user_version = 99")
        connection.close()
    else:
        with sqlite3.connect(path) as connection:
            connection.execute("DROP TABLE requests")
            connection.execute("PRAGMA user_version = 0")
            connection.execute("CREATE TABLE other (x)")
        connection.close()


async def test_records_of_an_older_version_are_kept(path: Path) -> None:
    path.parent.mkdir(parents=True)
    old = row(1)
    names = [name for name in RequestRow.__struct_fields__ if name not in ("warning", "saved_tokens", "key")]
    with sqlite3.connect(path) as connection:
        connection.executescript(_MIGRATIONS[0])
        connection.execute("PRAGMA user_version = 1")
        places = ", ".join("?" * len(names))
        values = [getattr(old, name) for name in names]
        connection.execute(f"INSERT INTO requests ({', '.join(names)}) VALUES ({places})", values)
    connection.close()
    records = Records(path, 30 * DAY)
    await records.start()
    records.record(row(2, warning="Ollama cut the prompt"))
    await records.flush()
    assert await records.recent(10) == [await records.get("req-2"), old]
    assert (await records.usage("today", "tier")).totals.warnings == 1
    assert records.today().totals.warnings == 1
    records.close()


def overwrite(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    with path.open("r+b") as file:
        file.write(os.urandom(path.stat().st_size))


@pytest.mark.parametrize("kind", ["text", "zeros", "middle", "other table", "newer"])
async def test_a_file_that_cannot_be_used_is_kept_aside(
    path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    first = Records(path, 90 * DAY)
    await first.start()
    for number in range(2000):
        first.record(row(number))
    first.close()
    damage(path, kind)
    second = Records(path, 90 * DAY)
    await second.start()
    second.record(row(7777))
    assert [request.id for request in await second.recent(10)] == ["req-7777"]
    second.close()
    aside = [
        file.name for file in path.parent.iterdir() if ".corrupt-" in file.name or ".newer-" in file.name
    ]
    if kind != "other table":
        assert aside
        assert any(
            record.levelname == "ERROR" and aside[0] in record.getMessage() for record in caplog.records
        )


async def test_damage_while_running_is_healed(records: Records, path: Path) -> None:
    for number in range(3000):
        records.record(row(number))
    await records.flush()
    overwrite(path)
    for number in range(3000):
        records.record(row(10_000 + number))
    await until(lambda: records.waiting == 0)
    assert records.lost == 0
    assert any(".corrupt-" in file.name for file in path.parent.iterdir())
    assert len(await records.recent(10)) == 10


async def test_a_locked_file_delays_but_loses_nothing(
    records: Records, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_RETRY_SECONDS", (0.05,))
    records.record(row(0))
    await records.flush()
    lock = sqlite3.connect(path, isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    began = time.perf_counter()
    for number in range(1, 1001):
        records.record(row(number))
    assert time.perf_counter() - began < 1
    await records.flush()
    assert records.waiting == 1000
    lock.execute("COMMIT")
    lock.close()
    await until(lambda: records.waiting == 0)
    assert rows_in(path) == 1001
    assert records.lost == 0


async def test_a_full_disk_keeps_rows_up_to_a_bound_and_counts_the_rest(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(store, "_RETRY_SECONDS", (0.05,))
    monkeypatch.setattr(store, "MAX_WAITING", 3000)
    real = store.open_for_writing
    full = True

    def small(where: Path) -> sqlite3.Connection:
        connection = real(where)
        if full:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count = {pages + 2}")  # SQLite then answers SQLITE_FULL
        return connection

    monkeypatch.setattr(store, "open_for_writing", small)
    records = Records(path, 90 * DAY)
    await records.start()
    for number in range(4000):
        records.record(row(number, title="x" * 500))
    await records.flush()
    assert records.waiting + records.lost == 4000
    assert records.lost >= 1000
    assert records.today().totals.requests == 4000
    assert sum("cannot be written" in record.getMessage() for record in caplog.records) == 1
    full = False
    await until(lambda: records.waiting == 0)
    assert rows_in(path) == 4000 - records.lost
    records.close()


async def test_a_folder_that_cannot_be_made_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_RETRY_SECONDS", (0.05,))
    blocked = tmp_path / "home"
    blocked.write_text("a file where the folder should be")
    records = Records(blocked / "lynkr.db", 90 * DAY)
    await records.start()
    records.record(row(1))
    await records.flush()
    assert records.today().totals.requests == 1
    with pytest.raises(RecordsError):
        await records.recent(5)
    blocked.unlink()
    await until(lambda: records.waiting == 0)
    assert [request.id for request in await records.recent(5)] == ["req-1"]
    assert records.today().totals.requests == 1
    records.close()


async def test_odd_values_are_stored_and_never_hold_up_others(records: Records, path: Path) -> None:
    records.record(row(1, title="\ud800 lone \x00 null", error="x" * 100_000))
    records.record(row(2, input_tokens=10**30, latency_ms=float("nan"), score=float("inf")))
    records.record(row(3, client=None))
    records.record(row(4, client={"not": "text"}))
    records.record(row(5))
    await records.flush()
    assert records.waiting == 0
    assert records.lost == 2
    kept = await records.recent(10)
    assert [request.id for request in kept] == ["req-5", "req-2", "req-1"]
    assert len(kept[2].error) == 4096


async def test_nothing_is_left_behind_and_closing_twice_is_fine(path: Path) -> None:
    before = set(threading.enumerate())
    records = Records(path, DAY)
    await records.start()
    records.record(row(1))
    records.close()
    records.close()
    await records.flush()
    assert rows_in(path) == 1
    assert {thread for thread in threading.enumerate() if thread.name == "lynkr-records"} - before == set()


async def test_reading_without_records_says_so(tmp_path: Path) -> None:
    with pytest.raises(RecordsError, match="no records yet"):
        open_for_reading(tmp_path / "none.db")
    (tmp_path / "junk.db").write_text("junk" * 1000)
    with pytest.raises(RecordsError, match="cannot be read"):
        open_for_reading(tmp_path / "junk.db")


def test_where_the_file_is(tmp_path: Path) -> None:
    assert database_path("sqlite://./lynkr.db", tmp_path) == tmp_path / "lynkr.db"
    assert database_path("sqlite://data/l.db", tmp_path) == tmp_path / "data" / "l.db"
    assert database_path("sqlite:///var/l.db", tmp_path) == Path("/var/l.db")
    assert database_path("sqlite://~/l.db", tmp_path) == Path.home() / "l.db"


@given(st.datetimes(datetime(2000, 1, 1), datetime(2037, 12, 31)).map(datetime.timestamp))
def test_ranges_begin_before_now_and_nest(now: float) -> None:
    begins = [since_of(range_, now) for range_ in ("all", "30d", "7d", "today")]
    assert begins == sorted(begins)
    assert 0 <= now - begins[-1] <= 25 * 3600
