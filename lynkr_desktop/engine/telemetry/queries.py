"""What is asked of the records. Functions of an open connection; they run in any thread."""

from __future__ import annotations

import sqlite3
import time
from datetime import date, datetime, timedelta
from typing import Any, Literal, get_args

import msgspec

from lynkr_desktop.engine.telemetry.database import COLUMNS
from lynkr_desktop.protocol.control import RequestRow, UsageReport, UsageRow, UsageTotals

UsageRange = Literal["today", "24h", "7d", "30d", "all"]
UsageGroup = Literal["tier", "provider", "model", "client", "session", "day"]
RANGES: tuple[UsageRange, ...] = get_args(UsageRange)
GROUPS: tuple[UsageGroup, ...] = get_args(UsageGroup)

_SUMS = """
    COUNT(*),
    TOTAL((error <> '' OR status >= 400) AND status <> 499),
    TOTAL(input_tokens), TOTAL(cached_tokens), TOTAL(output_tokens),
    TOTAL(cost),
    TOTAL(cost IS NULL AND input_tokens + output_tokens > 0),
    TOTAL(warning <> '')
"""
"""In the order of `UsageTotals`; `counts_as_error` and `counts_as_unpriced` say the same of one row."""

_KEYS: dict[UsageGroup, str] = {
    "tier": "COALESCE(tier, '')",
    "provider": "provider",
    "model": "CASE provider WHEN '' THEN model ELSE provider || '/' || model END",
    "client": "client",
    "session": "session",
    "day": "date(at, 'unixepoch', 'localtime')",
}

_MOST_ROWS = 1000
"""Groups in a report; sessions can be many."""


def counts_as_error(row: RequestRow) -> bool:
    """A failure; a client that went away (499) is none."""
    return bool(row.error or row.status >= 400) and row.status != 499


def counts_as_unpriced(row: RequestRow) -> bool:
    """Tokens were used and their price is unknown."""
    return row.cost is None and row.input_tokens + row.output_tokens > 0


def since_of(range_: UsageRange, now: float) -> float:
    """When a range begins, in Unix seconds. `7d` and `30d` are whole local days that end with today."""
    if range_ == "all":
        return 0.0
    if range_ == "24h":
        return now - 86400
    days = {"today": 0, "7d": 6, "30d": 29}[range_]
    return start_of_day(date.fromtimestamp(now) - timedelta(days=days))


def start_of_day(day: date) -> float:
    """Local midnight in Unix seconds."""
    return datetime(day.year, day.month, day.day).timestamp()


def usage(
    connection: sqlite3.Connection, range_: UsageRange, by: UsageGroup, now: float | None = None
) -> UsageReport:
    """Sums over a range, whole and by group: days in their order, other groups by cost and requests."""
    until = time.time() if now is None else now
    since = since_of(range_, until)
    where = "WHERE at >= ? AND at <= ?"
    order = "1" if by == "day" else "7 DESC, 2 DESC, 1"
    rows = connection.execute(
        f"SELECT {_KEYS[by]}, {_SUMS} FROM requests {where} GROUP BY 1 ORDER BY {order} LIMIT ?",
        (since, until, _MOST_ROWS),
    ).fetchall()
    totals = connection.execute(f"SELECT {_SUMS} FROM requests {where}", (since, until)).fetchone()
    return UsageReport(
        range=range_,
        by=by,
        since=since,
        until=until,
        totals=_totals(totals),
        rows=tuple(UsageRow(key=str(row[0]), totals=_totals(row[1:])) for row in rows),
        hours=hours_of_day(connection, date.fromtimestamp(until)),
    )


def hours_of_day(connection: sqlite3.Connection, day: date) -> tuple[UsageTotals, ...]:
    """The 24 clock hours of a local day."""
    found = _grouped(connection, "CAST(strftime('%H', at, 'unixepoch', 'localtime') AS INTEGER)", day)
    return tuple(found.get(hour, UsageTotals()) for hour in range(24))


def tiers_of_day(connection: sqlite3.Connection, day: date) -> dict[str, int]:
    """Requests by tier on a local day."""
    return {tier: totals.requests for tier, totals in _grouped(connection, "tier", day).items() if tier}


def recent(connection: sqlite3.Connection, limit: int, before: str | None = None) -> list[RequestRow]:
    """The newest requests first; with `before`, those older than the one with that id."""
    where, arguments = "", []
    if before is not None:
        where = "WHERE (at, seq) < (SELECT at, seq FROM requests WHERE id = ? ORDER BY seq DESC LIMIT 1)"
        arguments.append(before)
    rows = connection.execute(
        f"SELECT {', '.join(COLUMNS)} FROM requests {where} ORDER BY at DESC, seq DESC LIMIT ?",
        (*arguments, limit),
    )
    return [_row(row) for row in rows]


def get(connection: sqlite3.Connection, request_id: str) -> RequestRow | None:
    """The request with that id."""
    row = connection.execute(
        f"SELECT {', '.join(COLUMNS)} FROM requests WHERE id = ? ORDER BY seq DESC LIMIT 1", (request_id,)
    ).fetchone()
    return None if row is None else _row(row)


def _grouped(connection: sqlite3.Connection, key: str, day: date) -> dict[Any, UsageTotals]:
    rows = connection.execute(
        f"SELECT {key}, {_SUMS} FROM requests WHERE at >= ? AND at < ? GROUP BY 1",
        (start_of_day(day), start_of_day(day + timedelta(days=1))),
    )
    return {row[0]: _totals(row[1:]) for row in rows}


def _totals(sums: tuple[float, ...]) -> UsageTotals:
    requests, errors, input_tokens, cached_tokens, output_tokens, cost, unpriced, warnings = sums
    return UsageTotals(
        requests=int(requests),
        errors=int(errors),
        input_tokens=int(input_tokens),
        cached_tokens=int(cached_tokens),
        output_tokens=int(output_tokens),
        cost=cost,
        unpriced=int(unpriced),
        warnings=int(warnings),
    )


def _row(values: tuple[Any, ...]) -> RequestRow:
    return msgspec.convert(dict(zip(COLUMNS, values, strict=True)), RequestRow, strict=False)
