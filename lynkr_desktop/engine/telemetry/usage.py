"""Reports of usage: sums and percentiles over a range, by group. Functions of an open connection.

Whole quarters of an hour come from the sums beside the records, the rest at both ends from the records, so a
report is right to the second and reads little. Percentiles of few requests are of their own durations; those
of many come from the histograms of `rollup`, since to sort a million durations takes a second or more.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any, Literal, NamedTuple, get_args

from lynkr_desktop.engine.telemetry import rollup
from lynkr_desktop.engine.telemetry.spans import Span, start_of_day
from lynkr_desktop.protocol.control import UsageTotals
from lynkr_desktop.protocol.usage import Percentiles, UsageReport, UsageRow

UsageGroup = Literal["tier", "provider", "model", "client", "session", "key", "day", "hour"]
GROUPS: tuple[UsageGroup, ...] = get_args(UsageGroup)

MOST_EXACT = 20_000
"""Requests whose durations are read one by one."""

MOST_TIMES = 2500
"""Days or hours in a report, the latest ones: the hours of a quarter of a year fit."""

MOST_ROWS = 1000
"""Other groups in a report, those that cost most; sessions can be many."""

_HOUR_OF_DAY = "CAST(strftime('%H', at, 'unixepoch', 'localtime') AS INTEGER)"
_KEYS: dict[UsageGroup, str] = {
    "tier": "tier",
    "provider": "provider",
    "model": "CASE provider WHEN '' THEN model ELSE provider || '/' || model END",
    "client": "client",
    "session": "session",
    "key": "key",
    "day": "COALESCE(date(at, 'unixepoch', 'localtime'), '')",
    "hour": "COALESCE(strftime('%Y-%m-%d %H:00', at, 'unixepoch', 'localtime'), '')",
}
_PERCENTS = (50, 95, 99)
_OWN = "key <> '' AND key = ? AND at >= ? AND at < ?"
"""The requests of one access key, as the index over them has it."""

Sums = tuple[float, ...]
"""In the order of `rollup.SUMS`."""

_COST, _REQUESTS = (rollup.SUMS.index(name) + 2 for name in ("cost", "requests"))
"""Their places in rows that begin with a key, as ORDER BY counts them."""

Durations = tuple[Percentiles | None, Percentiles | None]
"""Latency and time to the first token."""

_NONE: Durations = (None, None)


class Day(NamedTuple):
    """A local day: the sums of its 24 clock hours, and requests by tier."""

    hours: tuple[UsageTotals, ...]
    tiers: dict[str, int]


class _Groups(NamedTuple):
    """The sums of the groups that are shown, in order, and how many groups there are."""

    sums: dict[str, Sums]
    number: int


class _Bounds(NamedTuple):
    """Where the slots of a span begin and end, and the rest before and after them.

    `key` is the name of the access key whose requests alone are meant; those are counted one by one.
    """

    since: float
    first: float
    last: float
    until: float
    key: str | None = None


def report(
    connection: sqlite3.Connection, span: Span, by: UsageGroup, now: float, key: str | None = None
) -> UsageReport:
    """Sums and percentiles over a range, whole and by group.

    Args:
        connection: to the records.
        span: the range.
        by: what the rows are grouped by.
        now: in Unix seconds.
        key: only requests that came with the access key of this name.

    Raises:
        sqlite3.Error: the records cannot be read.
    """
    bounds = _bounds(span, now, key)
    with _one_state(connection):
        tiers = _sums(connection, bounds, "tier")
        groups = tiers if by == "tier" else _sums(connection, bounds, by)
        whole = _added(tiers.sums.values())
        exact = whole[0] <= MOST_EXACT or key is not None
        durations = (_exact if exact else _approximate)(connection, bounds, by, groups)
        hours = _hours(connection, date.fromtimestamp(min(span.until, now)), now, key).hours
    latency, first_token = durations.whole
    return UsageReport(
        range=span.name,
        by=by,
        since=span.since,
        until=min(span.until, now) if span.name else span.until,
        totals=_totals(whole),
        latency=latency,
        first_token=first_token,
        exact=exact,
        tiers={tier: int(found[0]) for tier, found in sorted(tiers.sums.items()) if tier},
        rows=tuple(_row(key, sums, durations.of.get(key, _NONE)) for key, sums in groups.sums.items()),
        left_out=groups.number - len(groups.sums),
        hours=hours,
    )


def day(connection: sqlite3.Connection, which: date, now: float) -> Day:
    """A local day.

    Raises:
        sqlite3.Error: the records cannot be read.
    """
    with _one_state(connection):
        return _hours(connection, which, now)


# ---------------------------------------------------------------- sums


def _bounds(span: Span, now: float, key: str | None = None) -> _Bounds:
    since, until = span.since, span.until
    if until >= now:
        # What is recorded has begun by now, so that the slot of this moment can be taken whole.
        until = max(until, rollup.slot_of(now) + rollup.SLOT)
    if key is not None:
        return _Bounds(since, until, until, until, key)
    first = -rollup.slot_of(-since)
    last = rollup.slot_of(until)
    return _Bounds(since, first, last, until) if first < last else _Bounds(since, until, until, until)


def _table(by: UsageGroup) -> str:
    tables: dict[UsageGroup, str] = {
        "client": "usage_clients",
        "session": "usage_sessions",
        "key": "usage_keys",
    }
    return tables.get(by, "usage_models")


def _within(bounds: _Bounds, table: str, columns: tuple[str, ...]) -> tuple[str, tuple[float | str, ...]]:
    """A subquery that has `at`, the dimensions of a table and `columns` for all of a span."""
    dimensions = rollup.DIMENSIONS[table]
    named = ", ".join((*dimensions, *columns))
    if bounds.key is not None:
        own = f"SELECT at, {rollup.of_requests(dimensions, columns)} FROM requests WHERE {_OWN}"
        return f"({own})", (bounds.key, bounds.since, bounds.until)
    rest = f"SELECT at, {rollup.of_requests(dimensions, columns)} FROM requests WHERE at >= ? AND at < ?"
    query = f"(SELECT slot AS at, {named} FROM {table} WHERE slot >= ? AND slot < ? UNION ALL {rest}"
    if bounds.last == bounds.until:
        return f"{query})", (bounds.first, bounds.last, bounds.since, bounds.first)
    return (
        f"{query} UNION ALL {rest})",
        (bounds.first, bounds.last, bounds.since, bounds.first, bounds.last, bounds.until),
    )


def _sums(connection: sqlite3.Connection, bounds: _Bounds, by: UsageGroup) -> _Groups:
    source, arguments = _within(bounds, _table(by), rollup.SUMS)
    if by in ("day", "hour"):
        order, most = "1 DESC", MOST_TIMES
    else:
        order, most = f"{_COST} DESC, {_REQUESTS} DESC, 1", MOST_ROWS
    rows = connection.execute(
        f"SELECT {_KEYS[by]}, {rollup.TOTALS}, COUNT(*) OVER () FROM {source} "
        f"GROUP BY 1 ORDER BY {order} LIMIT ?",
        (*arguments, most),
    ).fetchall()
    if by in ("day", "hour"):
        rows.reverse()
    return _Groups({row[0]: row[1:-1] for row in rows}, rows[0][-1] if rows else 0)


def _hours(connection: sqlite3.Connection, which: date, now: float, key: str | None = None) -> Day:
    span = Span(start_of_day(which), start_of_day(which + timedelta(days=1)))
    source, arguments = _within(_bounds(span, now, key), "usage_models", rollup.SUMS)
    rows = connection.execute(
        f"SELECT {_HOUR_OF_DAY}, tier, {rollup.TOTALS} FROM {source} GROUP BY 1, 2", arguments
    )
    hours: defaultdict[int, list[Sums]] = defaultdict(list)
    tiers: Counter[str] = Counter()
    for hour, tier, *sums in rows:
        hours[hour].append(tuple(sums))
        if tier:
            tiers[tier] += int(sums[0])
    return Day(tuple(_totals(_added(hours[hour])) for hour in range(24)), dict(tiers))


def _added(sums: Iterable[Sums]) -> Sums:
    return tuple(map(sum, zip(*sums, strict=True))) or (0.0,) * len(rollup.SUMS)


def _totals(sums: Sums) -> UsageTotals:
    figures: dict[str, Any] = {
        name: value if name == "cost" else int(value) for name, value in zip(rollup.SUMS, sums, strict=True)
    }
    return UsageTotals(**figures)


def _row(key: str, sums: Sums, durations: Durations) -> UsageRow:
    latency, first_token = durations
    return UsageRow(key=str(key), totals=_totals(sums), latency=latency, first_token=first_token)


# ---------------------------------------------------------------- durations


class _Durations(NamedTuple):
    """Those of all requests, and of each group that is shown."""

    whole: Durations
    of: dict[str, Durations]


def _exact(connection: sqlite3.Connection, bounds: _Bounds, by: UsageGroup, groups: _Groups) -> _Durations:
    """By reading the durations one by one."""
    named = rollup.of_requests(rollup.DIMENSIONS[_table(by)], ())
    where = "at >= ? AND at < ?"
    arguments: tuple[str | float, ...] = (bounds.since, bounds.until)
    if bounds.key is not None:
        where, arguments = _OWN, (bounds.key, *arguments)
    rows = connection.execute(
        f"SELECT {_KEYS[by]}, latency_ms, ttft_ms FROM "
        f"(SELECT at, {named}, latency_ms, ttft_ms FROM requests WHERE {where})",
        arguments,
    ).fetchall()
    of: defaultdict[str, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    for key, latency, first_token in rows:
        latencies, first_tokens = of[key]
        latencies.append(latency)
        if first_token is not None:
            first_tokens.append(first_token)
    whole = [row[1] for row in rows], [row[2] for row in rows if row[2] is not None]
    return _Durations(
        (_of_values(whole[0]), _of_values(whole[1])),
        {key: (_of_values(of[key][0]), _of_values(of[key][1])) for key in groups.sums},
    )


def _approximate(
    connection: sqlite3.Connection, bounds: _Bounds, by: UsageGroup, groups: _Groups
) -> _Durations:
    """By the counts of the steps in which durations lie."""
    if groups.number == len(groups.sums):
        counts = _counts(connection, bounds, _KEYS[by], _table(by))
        parts = list(counts.values())
    else:
        counts = _counts(connection, bounds, _KEYS[by], _table(by), list(groups.sums))
        parts = list(_counts(connection, bounds, "''", "usage_models").values())
    whole: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
    for latency, first_token in parts:
        whole[0].update(latency)
        whole[1].update(first_token)
    return _Durations(
        (_of_counts(whole[0]), _of_counts(whole[1])),
        {key: (_of_counts(found[0]), _of_counts(found[1])) for key, found in counts.items()},
    )


def _counts(
    connection: sqlite3.Connection, bounds: _Bounds, key: str, table: str, only: list[str] | None = None
) -> dict[str, tuple[Counter[str], Counter[str]]]:
    """How many durations lie in which step, by group."""
    source, arguments = _within(bounds, table, rollup.MARKS)
    joined = ", ".join(f"COALESCE(group_concat({name}, ''), '')" for name in rollup.MARKS)
    where = ""
    if only is not None:
        where = f"WHERE {key} IN (SELECT value FROM json_each(?))"
        arguments = (*arguments, json.dumps(only))
    rows = connection.execute(f"SELECT {key}, {joined} FROM {source} {where} GROUP BY 1", arguments)
    return {key: (rollup.counted(latency), rollup.counted(first)) for key, latency, first in rows}


def _of_values(values: list[float]) -> Percentiles | None:
    if not values:
        return None
    values.sort()
    return _percentiles(len(values), [values[_rank(len(values), percent) - 1] for percent in _PERCENTS])


def _of_counts(counts: Counter[str]) -> Percentiles | None:
    total = counts.total()
    if not total:
        return None
    ranks = [_rank(total, percent) for percent in _PERCENTS]
    found: list[float] = []
    seen = 0
    for mark in sorted(counts):
        seen += counts[mark]
        while len(found) < len(ranks) and seen >= ranks[len(found)]:
            found.append(rollup.milliseconds(mark))
    return _percentiles(total, found)


def _percentiles(count: int, found: Sequence[float]) -> Percentiles:
    p50, p95, p99 = found
    return Percentiles(count=count, p50=p50, p95=p95, p99=p99)


def _rank(count: int, percent: int) -> int:
    """The nearest rank, from 1: no fewer than `percent` of 100 values stand at it or before."""
    return -(-count * percent // 100)


@contextmanager
def _one_state(connection: sqlite3.Connection) -> Iterator[None]:
    """Lets several queries read the file as it is now, whatever is written between them."""
    if connection.in_transaction:
        yield
        return
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("COMMIT")
