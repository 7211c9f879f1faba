"""Sums by quarters of an hour, kept beside the records, so that reports over months take milliseconds.

They are brought up to date in the transaction that writes records, by SQLite alone, so they hold every record
that the file holds. All time zones in use lie whole quarters from UTC: a slot never crosses a local midnight.

How long requests took is kept as text with a character per request: there are 255, each for a span of times
that is 2 ** (1 / 12) as wide as the one before, from 1 ms to 39 minutes. To join such texts is to add
histograms, and the middle of a span is within 3 % of each time in it.
"""

from __future__ import annotations

import math
import sqlite3
from collections import Counter

SLOT = 900
"""Seconds."""

STEPS_PER_DOUBLING = 12

_MEASURES = {
    "requests": "1",
    "errors": "(error <> '' OR status >= 400) AND status <> 499",
    "input_tokens": "input_tokens",
    "cached_tokens": "cached_tokens",
    "output_tokens": "output_tokens",
    "saved_tokens": "saved_tokens",
    "cost": "cost",
    "unpriced": "cost IS NULL AND input_tokens + output_tokens > 0",
    "warnings": "warning <> ''",
}
"""What is summed up, by the names in `UsageTotals`; `today.py` says the same of one row."""

_MARK = "(SELECT mark FROM latency_steps WHERE low <= {} ORDER BY low DESC LIMIT 1)"
_MARKS = {"latency": _MARK.format("latency_ms"), "first_token": _MARK.format("ttft_ms")}

SUMS = tuple(_MEASURES)
MARKS = tuple(_MARKS)
TOTALS = ", ".join(f"TOTAL({name})" for name in SUMS)
"""Of a table or a subquery with the columns `SUMS`. TOTAL, since SUM fails where whole numbers overflow."""

DIMENSIONS = {
    "usage_models": ("tier", "provider", "model"),
    "usage_clients": ("client",),
    "usage_sessions": ("session",),
    "usage_keys": ("key",),
}
"""The tables with what each tells apart beside the time. One for all would have nearly as many rows as there
are requests."""


def of_requests(dimensions: tuple[str, ...], columns: tuple[str, ...]) -> str:
    """A SELECT list over `requests` that says of one row what `columns` say of a slot."""
    named = {"tier": "COALESCE(tier, '')"}
    measures = {**_MEASURES, **_MARKS}
    return ", ".join(
        [
            *(f"{named.get(name, name)} AS {name}" for name in dimensions),
            *(f"{measures[name]} AS {name}" for name in columns),
        ]
    )


def _upsert(table: str, dimensions: tuple[str, ...]) -> str:
    keys = ", ".join(("slot", *dimensions))
    joined = ", ".join(f"COALESCE(group_concat({name}, ''), '')" for name in MARKS)
    changes = [f"{name} = {name} + excluded.{name}" for name in SUMS]
    changes += [f"{name} = {name} || excluded.{name}" for name in MARKS]
    return f"""
        INSERT INTO {table} ({keys}, {", ".join((*SUMS, *MARKS))})
        SELECT {keys}, {TOTALS}, {joined} FROM (
            SELECT CAST(at / {SLOT} AS INTEGER) * {SLOT} AS slot, {of_requests(dimensions, (*SUMS, *MARKS))}
            FROM requests WHERE seq > ?
        )
        WHERE true GROUP BY {keys}
        ON CONFLICT ({keys}) DO UPDATE SET {", ".join(changes)}
    """


_UPSERTS = tuple(_upsert(table, dimensions) for table, dimensions in DIMENSIONS.items())
_STEPS = tuple(math.exp2(number / STEPS_PER_DOUBLING) for number in range(1, 255))


def newest(connection: sqlite3.Connection) -> int:
    """The number of the record that was written last, 0 where there is none."""
    return connection.execute("SELECT MAX(seq) FROM requests").fetchone()[0] or 0


def roll_up(connection: sqlite3.Connection, after: int) -> None:
    """Adds the records with numbers above `after`, within the transaction that is open.

    Raises:
        sqlite3.Error: the file cannot be written.
    """
    for statement in _UPSERTS:
        connection.execute(statement, (after,))


def complete(connection: sqlite3.Connection) -> None:
    """Fills the tables of a file that has records and no sums, as one of an older version.

    Raises:
        sqlite3.Error: the file cannot be written.
    """
    if connection.execute("SELECT 1 FROM latency_steps LIMIT 1").fetchone() and not _unsummed(connection):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        steps = [(-math.inf, chr(1)), *((low, chr(code)) for code, low in enumerate(_STEPS, start=2))]
        connection.executemany("INSERT OR REPLACE INTO latency_steps (low, mark) VALUES (?, ?)", steps)
        if _unsummed(connection):
            roll_up(connection, 0)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def forget(connection: sqlite3.Connection, before: float) -> None:
    """Deletes the slots that begin before a time.

    Raises:
        sqlite3.Error: the file cannot be written.
    """
    for table in DIMENSIONS:
        connection.execute(f"DELETE FROM {table} WHERE slot < ?", (before,))


def slot_of(at: float) -> int:
    """When the slot begins that a time lies in, in Unix seconds."""
    return math.floor(at / SLOT) * SLOT


def counted(marks: str) -> Counter[str]:
    """How often each mark stands in a text of them."""
    found: Counter[str] = Counter()
    piece = 1 << 16  # Each is counted without a pause, and other threads wait that long.
    for start in range(0, len(marks), piece):
        found.update(marks[start : start + piece])
    return found


def milliseconds(mark: str) -> float:
    """The middle of the times that a mark stands for."""
    return math.exp2((ord(mark) - 0.5) / STEPS_PER_DOUBLING)


def _unsummed(connection: sqlite3.Connection) -> bool:
    sums = connection.execute("SELECT 1 FROM usage_models LIMIT 1").fetchone()
    return sums is None and connection.execute("SELECT 1 FROM requests LIMIT 1").fetchone() is not None
