"""Reports of usage and exports: the same figures as from the records one by one, and files that are whole."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import math
import random
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lynkr_desktop.cli.main import main
from lynkr_desktop.engine.telemetry import rollup, usage
from lynkr_desktop.engine.telemetry.check import SinceStart
from lynkr_desktop.engine.telemetry.database import open_for_reading, open_for_writing
from lynkr_desktop.engine.telemetry.decisions import Amendment
from lynkr_desktop.engine.telemetry.export import CSV_COLUMNS, PAGE_ROWS, Export, ExportFormat, safe_cell
from lynkr_desktop.engine.telemetry.queries import counts_as_error, counts_as_unpriced
from lynkr_desktop.engine.telemetry.spans import Span, between, moment, named
from lynkr_desktop.engine.telemetry.store import Entry, Records, write_entries
from lynkr_desktop.protocol.control import RequestRow, UsageTotals
from lynkr_desktop.protocol.routing import ContributionRow, DecisionRow, Outcome
from lynkr_desktop.protocol.tiers import Tier
from lynkr_desktop.protocol.usage import ExportedRequest, UsageReport

NOW = datetime(2026, 11, 23, 15, 7, 30).timestamp()
DAY = 86400.0


def made(number: int, chance: random.Random, at: float | None = None) -> RequestRow:
    """A request as it could have been."""
    status = chance.choice((200, 200, 200, 200, 429, 499, 502, 0))
    provider = chance.choice(("ollama", "openai", ""))
    return RequestRow(
        id=f"req-{number}",
        at=NOW - chance.random() * 3 * DAY if at is None else at,
        client=chance.choice(("Claude Code", "Codex")),
        protocol="openai_chat",
        session=f"s-{chance.randrange(30)}",
        title=f"ask {number}",
        tier=chance.choice((None, *Tier)),
        provider=provider,
        model=chance.choice(("a", "b/c")) if provider else "",
        input_tokens=chance.randrange(5000),
        cached_tokens=chance.randrange(100),
        output_tokens=chance.randrange(500),
        saved_tokens=chance.randrange(50),
        cost=chance.choice((None, 0.0, 0.125, 2.5)),
        latency_ms=chance.lognormvariate(6, 2),
        ttft_ms=chance.choice((None, chance.lognormvariate(5, 1))),
        status=status,
        error="it failed" if status >= 400 else "",
        warning=chance.choice(("", "", "cut")),
        key=chance.choice(("", "ann", "bob")),
    )


def write(path: Path, rows: list[RequestRow], batch: int = 97) -> None:
    """Writes rows as the engine does, some at a time."""
    with closing(open_for_writing(path)) as connection:
        for start in range(0, len(rows), batch):
            connection.execute("BEGIN IMMEDIATE")
            before = rollup.newest(connection)
            write_entries(connection, [Entry(row, None) for row in rows[start : start + batch]])
            rollup.roll_up(connection, before)
            connection.execute("COMMIT")


@pytest.fixture(scope="module")
def rows() -> list[RequestRow]:
    chance = random.Random(7)
    return [made(number, chance) for number in range(4000)]


@pytest.fixture(scope="module")
def connection(
    rows: list[RequestRow], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[sqlite3.Connection]:
    path = tmp_path_factory.mktemp("usage") / "lynkr.db"
    write(path, rows)
    with closing(open_for_reading(path)) as connection:
        yield connection


def key_of(row: RequestRow, by: usage.UsageGroup) -> str:
    when = datetime.fromtimestamp(row.at)
    keys = {
        "tier": row.tier or "",
        "provider": row.provider,
        "model": f"{row.provider}/{row.model}" if row.provider else row.model,
        "client": row.client,
        "session": row.session,
        "key": row.key,
        "day": f"{when:%Y-%m-%d}",
        "hour": f"{when:%Y-%m-%d %H:00}",
    }
    return str(keys[by])


def totals(rows: list[RequestRow]) -> UsageTotals:
    return UsageTotals(
        requests=len(rows),
        errors=sum(map(counts_as_error, rows)),
        input_tokens=sum(row.input_tokens for row in rows),
        cached_tokens=sum(row.cached_tokens for row in rows),
        output_tokens=sum(row.output_tokens for row in rows),
        saved_tokens=sum(row.saved_tokens for row in rows),
        cost=sum(row.cost or 0.0 for row in rows),
        unpriced=sum(map(counts_as_unpriced, rows)),
        warnings=sum(bool(row.warning) for row in rows),
    )


def percentile(values: list[float], percent: int) -> float:
    """By the definition of the nearest rank."""
    return sorted(values)[math.ceil(len(values) * percent / 100) - 1]


SPANS = [
    named("all", NOW),
    named("24h", NOW),
    named("today", NOW),
    Span(NOW - 2 * DAY + 17.25, NOW - DAY - 3.5),
    Span(NOW - 5000.5, NOW - 4999.0),
    Span(NOW - 40_000.0, NOW - 39_000.0),
    Span(rollup.slot_of(NOW - DAY), rollup.slot_of(NOW)),
]


@pytest.mark.parametrize("by", usage.GROUPS)
@pytest.mark.parametrize("span", SPANS)
@pytest.mark.parametrize("exact", [True, False])
def test_a_report_says_what_the_records_say(
    connection: sqlite3.Connection,
    rows: list[RequestRow],
    by: usage.UsageGroup,
    span: Span,
    exact: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not exact:
        monkeypatch.setattr(usage, "MOST_EXACT", -1)
    found = usage.report(connection, span, by, NOW)
    within = [row for row in rows if span.since <= row.at < span.until]
    groups: dict[str, list[RequestRow]] = {}
    for row in within:
        groups.setdefault(key_of(row, by), []).append(row)
    assert found.totals == totals(within)
    assert {row.key: row.totals for row in found.rows} == {key: totals(of) for key, of in groups.items()}
    assert found.left_out == 0
    assert found.exact == exact
    assert sum(found.tiers.values()) == sum(row.tier is not None for row in within)
    if by in ("day", "hour"):
        assert [row.key for row in found.rows] == sorted(groups)
    within_3_percent = 1e-9 if exact else 0.03
    for row in found.rows:
        took = [one.latency_ms for one in groups[row.key]]
        began = [one.ttft_ms for one in groups[row.key] if one.ttft_ms is not None]
        for values, told in ((took, row.latency), (began, row.first_token)):
            assert (told is None) == (not values)
            if told is not None:
                assert told.count == len(values)
                for percent in (50, 95, 99):
                    # All below a millisecond count as one.
                    real = max(1.0, percentile(values, percent)) if not exact else percentile(values, percent)
                    assert getattr(told, f"p{percent}") == pytest.approx(real, rel=within_3_percent)


@pytest.mark.parametrize("by", usage.GROUPS)
@pytest.mark.parametrize("span", SPANS)
def test_a_report_of_one_access_key_says_what_its_records_say(
    connection: sqlite3.Connection, rows: list[RequestRow], by: usage.UsageGroup, span: Span
) -> None:
    found = usage.report(connection, span, by, NOW, "ann")
    within = [row for row in rows if span.since <= row.at < span.until and row.key == "ann"]
    groups: dict[str, list[RequestRow]] = {}
    for row in within:
        groups.setdefault(key_of(row, by), []).append(row)
    assert found.totals == totals(within)
    assert {row.key: row.totals for row in found.rows} == {key: totals(of) for key, of in groups.items()}
    assert found.exact
    assert sum(found.tiers.values()) == sum(row.tier is not None for row in within)
    today = [
        row for row in within if datetime.fromtimestamp(row.at).date() == datetime.fromtimestamp(NOW).date()
    ]
    if span.until >= NOW and span.since < NOW - DAY:
        assert sum(hour.requests for hour in found.hours) == len(today)
    if within:
        assert found.latency is not None
        assert found.latency.p50 == percentile([row.latency_ms for row in within], 50)
    for name in ("nobody", ""):
        assert usage.report(connection, span, by, NOW, name).totals == UsageTotals()


@pytest.fixture
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", request.param)
        time.tzset()
        yield request.param
    time.tzset()


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the zone of a process cannot be changed here")
@pytest.mark.parametrize("zone", ["Asia/Kathmandu", "America/St_Johns", "Pacific/Apia"], indirect=True)
def test_days_and_hours_are_those_of_the_zone(zone: str, tmp_path: Path) -> None:
    chance = random.Random(5)
    now = datetime(2026, 11, 3, 12).timestamp()  # St. John's left summer time on the 1st
    rows = [made(number, chance, now - chance.random() * 4 * DAY) for number in range(2000)]
    write(tmp_path / "lynkr.db", rows)
    with closing(open_for_reading(tmp_path / "lynkr.db")) as connection:
        for by in ("day", "hour"):
            report = usage.report(connection, named("all", now), by, now)
            counts = Counter(key_of(row, by) for row in rows)
            assert {row.key: row.totals.requests for row in report.rows} == counts
        today = usage.report(connection, named("today", now), "tier", now)
        midnight = datetime(2026, 11, 3).timestamp()
        assert today.totals.requests == sum(row.at >= midnight for row in rows)
        hours = Counter(datetime.fromtimestamp(row.at).hour for row in rows if row.at >= midnight)
        assert [hour.requests for hour in today.hours] == [hours[hour] for hour in range(24)]


def test_groups_beyond_the_most_are_counted(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = usage.report(connection, named("all", NOW), "session", NOW)
    hours = usage.report(connection, named("all", NOW), "hour", NOW)
    monkeypatch.setattr(usage, "MOST_ROWS", 5)
    monkeypatch.setattr(usage, "MOST_TIMES", 3)
    for most in (usage.MOST_EXACT, -1):
        monkeypatch.setattr(usage, "MOST_EXACT", most)
        some = usage.report(connection, named("all", NOW), "session", NOW)
        assert [row.key for row in some.rows] == [row.key for row in whole.rows[:5]]
        assert (some.left_out, some.totals) == (len(whole.rows) - 5, whole.totals)
        assert some.latency is not None
        assert some.latency.count == 4000
        last = usage.report(connection, named("all", NOW), "hour", NOW)
        assert [row.key for row in last.rows] == [row.key for row in hours.rows[-3:]]


def test_a_file_without_sums_is_filled_when_it_is_opened(tmp_path: Path, rows: list[RequestRow]) -> None:
    path = tmp_path / "lynkr.db"
    write(path, rows[:500])
    with closing(open_for_writing(path)) as connection:
        for table in rollup.DIMENSIONS:
            connection.execute(f"DELETE FROM {table}")
    with closing(open_for_writing(path)) as connection:
        assert usage.report(connection, named("all", NOW), "model", NOW).totals == totals(rows[:500])


async def test_what_is_deleted_leaves_the_sums_too(tmp_path: Path) -> None:
    chance = random.Random(1)
    old = [made(number, chance, time.time() - 10 * DAY) for number in range(3000)]
    new = [made(9000 + number, chance, time.time()) for number in range(10)]
    write(tmp_path / "lynkr.db", [*old, *new])
    records = Records(tmp_path / "lynkr.db", 5 * DAY)
    await records.start()
    records.record(made(1, chance, time.time()))
    await records.flush()
    records.close()
    with closing(open_for_reading(tmp_path / "lynkr.db")) as connection:
        assert connection.execute("SELECT COUNT(*) FROM requests").fetchone() == (11,)
        for by in usage.GROUPS:
            report = usage.report(connection, named("all"), by, time.time())
            assert sum(row.totals.requests for row in report.rows) == 11


def test_deleted_requests_still_count_for_the_check(tmp_path: Path) -> None:
    chance = random.Random(2)
    path = tmp_path / "lynkr.db"
    write(path, [made(number, chance) for number in range(50)])
    since = SinceStart()
    with closing(open_for_writing(path)) as connection:
        since.opened(rollup.newest(connection))
    later = [made(100 + number, chance, NOW - 10 + number) for number in range(30)]
    write(path, later)
    with closing(open_for_writing(path)) as connection:
        since.written(rollup.newest(connection))
        whole = since.sums(connection, "req-129")
        assert sum(figures.requests for figures in whole.values()) == 30
        assert sum(figures.requests for figures in since.sums(connection, "req-109").values()) == 10
        assert since.delete(connection, NOW - 5, 20) == 20
        assert since.delete(connection, NOW - 5, 1000) == 35
        assert since.sums(connection, "req-129") == whole
        assert since.delete(connection, NOW + 1e6, 1000) == 25
    write(path, [made(200, chance, NOW)])  # its number was another's
    with closing(open_for_reading(path)) as connection:
        assert sum(figures.requests for figures in since.sums(connection, "req-200").values()) == 31


def test_what_another_engine_writes_meanwhile_is_not_in_the_check(tmp_path: Path) -> None:
    """The engine before writes its last requests while its successor already serves."""
    chance = random.Random(3)
    path = tmp_path / "lynkr.db"
    since = SinceStart()
    with closing(open_for_writing(path)) as connection:
        since.opened(rollup.newest(connection))
        for number, own in enumerate((False, True, False, True, True, False)):
            if own:
                since.others(connection, rollup.newest(connection))
            write(path, [made(number, chance, NOW + number)])
            if own:
                since.written(rollup.newest(connection))
        found = since.sums(connection, "req-4")
        assert sum(figures.requests for figures in found.values()) == 3
        # Deleted ones count on, of others or not.
        assert since.delete(connection, NOW + 3.5, 100) == 4
        assert sum(figures.requests for figures in since.sums(connection, "req-4").values()) == 3


# ---------------------------------------------------------------- times


def test_times_as_people_write_them() -> None:
    assert moment("2026-11-23", NOW) == datetime(2026, 11, 23).timestamp()
    assert moment("2026-11-23", NOW, whole_day=True) == datetime(2026, 11, 24).timestamp()
    assert moment("2026-11-23T14:30", NOW) == datetime(2026, 11, 23, 14, 30).timestamp()
    assert moment("2026-11-23T14:30:00+00:00", NOW) == 1_795_444_200.0
    assert moment("90m", NOW) == NOW - 5400
    assert moment("1795444200.5", NOW) == 1_795_444_200.5
    assert moment("86400.000000", NOW) == 86400
    assert moment("99999d", NOW) == 0.0
    assert between("", "", NOW).since == 0.0
    assert between("2d", "1d", NOW) == Span(NOW - 2 * DAY, NOW - DAY)


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-13-01", "12", "9" * 400, "1d2", "-5", "2026-11-23T25:00", "\ud800", "nan"]
)
def test_other_words_are_no_times(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time"):
        moment(text, NOW)


def test_a_range_must_not_end_before_it_begins() -> None:
    with pytest.raises(ValueError, match="ends before it begins"):
        between("1d", "2d", NOW)


# ---------------------------------------------------------------- exports


HOSTILE = '=HYPERLINK("http://evil","x"),\n"quoted"'


async def fill(path: Path, count: int) -> None:
    records = Records(path, 1e7)
    await records.start()
    for number in range(count):
        row = RequestRow(
            id=f"req-{number}",
            at=time.time() - count + number,
            client="@SUM(A1)",
            protocol="p",
            title=HOSTILE if number == 0 else f"größer {number}",
            tier=Tier.MEDIUM,
            cost=None,
            status=200,
            provider="ollama",
            model="-1+1",
        )
        decision = DecisionRow(
            id=row.id,
            at=row.at,
            task=row.id,
            title=row.title,
            workspace="/w",
            files=("a.py", "b.py"),
            tier=Tier.MEDIUM,
            contributions=(ContributionRow("length", 0.5, 0.25, "a long ask"),),
        )
        records.record(row, decision if number % 2 == 0 else None)
    records.amend(
        Amendment(id="req-0", outcome=Outcome(results=3, tests="failed", tests_failed=2), mark="under")
    )
    await records.flush()
    records.close()


def exported(path: Path, format_: ExportFormat, *, titles: bool = True) -> str:
    export = Export(named("all"), format_, titles=titles)
    whole = b""
    while True:
        with closing(open_for_reading(path)) as connection:  # each piece by another connection
            piece = export.piece(connection)
        if piece is None:
            return whole.decode()
        whole += piece


@pytest.mark.parametrize("count", [0, 1, PAGE_ROWS, PAGE_ROWS + 1])
async def test_every_row_is_exported_once_in_each_format(tmp_path: Path, count: int) -> None:
    path = tmp_path / "lynkr.db"
    await fill(path, count)
    ids = [f"req-{number}" for number in range(count)]
    whole = msgspec.json.decode(exported(path, "json"), type=list[ExportedRequest])
    lines = [msgspec.json.decode(line, type=ExportedRequest) for line in exported(path, "jsonl").splitlines()]
    table = list(csv.DictReader(io.StringIO(exported(path, "csv"), newline="")))
    assert [row.id for row in whole] == [row.id for row in lines] == [row["id"] for row in table] == ids
    assert whole == lines
    if count:
        decision = whole[0].decision
        assert decision is not None
        assert (decision.mark, decision.outcome.tests_failed, decision.files) == (
            "under",
            2,
            ("a.py", "b.py"),
        )
        assert whole[0].title == HOSTILE
        assert len(table[0]) == len(CSV_COLUMNS)
        assert (table[0]["decision_mark"], table[0]["outcome_results"]) == ("under", "3")
        assert json.loads(table[0]["contributions"])[0]["name"] == "length"
        assert (table[0]["cost"], table[0]["stream"]) == ("", "false")
        assert datetime.fromisoformat(table[0]["time"]).timestamp() == pytest.approx(whole[0].at, abs=0.01)
    if count > 1:
        assert whole[1].decision is None
        assert table[1]["decision_task"] == table[1]["outcome_results"] == table[1]["files"] == ""
        assert table[1]["title"] == "größer 1"


async def test_no_cell_is_a_formula(tmp_path: Path) -> None:
    await fill(tmp_path / "lynkr.db", 3)
    for row in csv.DictReader(io.StringIO(exported(tmp_path / "lynkr.db", "csv"), newline="")):
        for cell in row.values():
            assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert safe_cell("\t=1") == "'\t=1"
    assert safe_cell("plain - text") == "plain - text"


@pytest.mark.parametrize("format_", ["csv", "json", "jsonl"])
async def test_without_titles_nothing_of_them_is_there(tmp_path: Path, format_: ExportFormat) -> None:
    await fill(tmp_path / "lynkr.db", 5)
    assert "größer" in exported(tmp_path / "lynkr.db", format_)
    bare = exported(tmp_path / "lynkr.db", format_, titles=False)
    assert "größer" not in bare
    assert "HYPERLINK" not in bare
    assert "req-4" in bare


async def test_a_damaged_row_does_not_end_an_export(tmp_path: Path) -> None:
    path = tmp_path / "lynkr.db"
    await fill(path, 3)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE requests SET tier = 'none such', detail = x'ff' WHERE id = 'req-0'")
        connection.execute("UPDATE requests SET outcome = '{', input_tokens = 'many' WHERE id = 'req-2'")
    rows = [json.loads(line) for line in exported(path, "jsonl").splitlines()]
    assert [row["id"] for row in rows] == ["req-0", "req-1", "req-2"]
    assert "cannot be read" in rows[0]["error"]


def test_a_file_is_written_whole_and_over_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home, target = tmp_path / "home", tmp_path / "out.csv"
    asyncio.run(fill(home / "lynkr.db", 3))
    export = ["usage", "--home", str(home), "export", "--output", str(target)]
    assert main(export) == 0
    assert len(target.read_text("utf-8").splitlines()) == 5  # one title holds a line break
    before = target.read_bytes()
    assert main([*export, "--format", "json"]) == 1
    assert "is there already" in capsys.readouterr().err
    assert target.read_bytes() == before
    assert main([*export, "--format", "json", "--force", "--since", "1h", "--no-titles"]) == 0
    assert [row["title"] for row in json.loads(target.read_text("utf-8"))] == ["", "", ""]
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["out.csv"]
    assert main([*export[:-1], str(tmp_path / "no" / "such" / "out")]) == 1
    assert "cannot be written: No such file or directory." in capsys.readouterr().err
    (home / "lynkr.db").write_bytes(b"junk" * 4000)
    assert main([*export, "--force"]) == 1
    assert [row["title"] for row in json.loads(target.read_text("utf-8"))] == ["", "", ""]
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["out.csv"]


def test_ranges_that_make_no_sense_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, part in (
        (["--since", "soon"], "--since: 'soon' is not a time"),
        (["--since", "1d", "--until", "2d"], "ends before it begins"),
        (["--range", "7d", "--since", "1d"], "--range goes without"),
        (["--since", "soon", "export"], "--since: 'soon' is not a time"),
    ):
        assert main(["usage", "--home", str(tmp_path), *arguments]) == 1
        assert part in capsys.readouterr().err


async def test_an_empty_range_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    await fill(tmp_path / "lynkr.db", 3)
    home = ["usage", "--home", str(tmp_path)]
    assert main([*home, "--since", "2020-01-01", "--until", "2020-01-31"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("No requests from 2020-01-01 00:00 to 2020-02-01 00:00.")
    assert main([*home, "--since", "2020-01-01", "--by", "hour", "--json"]) == 0
    report: Any = msgspec.json.decode(capsys.readouterr().out, type=UsageReport)
    assert report.totals.requests == 3
    assert report.range == ""
