"""What is asked of the records one by one. Functions of an open connection; they run in any thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

import msgspec

from lynkr_desktop.engine.telemetry.database import COLUMNS
from lynkr_desktop.protocol.control import RequestRow


def counts_as_error(row: RequestRow) -> bool:
    """A failure; a client that went away (499) is none."""
    return bool(row.error or row.status >= 400) and row.status != 499


def counts_as_unpriced(row: RequestRow) -> bool:
    """Tokens were used and their price is unknown."""
    return row.cost is None and row.input_tokens + row.output_tokens > 0


def recent(
    connection: sqlite3.Connection, limit: int, before: str | None = None, key: str | None = None
) -> list[RequestRow]:
    """The newest requests first.

    Args:
        connection: to the records.
        limit: how many at most.
        before: only those older than the one with this id.
        key: only those that came with the access key of this name.
    """
    conditions, arguments = [], []
    if before is not None:
        conditions.append("(at, seq) < (SELECT at, seq FROM requests WHERE id = ? ORDER BY seq DESC LIMIT 1)")
        arguments.append(before)
    if key is not None:
        conditions.append("key <> '' AND key = ?")  # as the index has it
        arguments.append(key)
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    rows = connection.execute(
        f"SELECT {', '.join(COLUMNS)} FROM requests {where} ORDER BY at DESC, seq DESC LIMIT ?",
        (*arguments, limit),
    )
    return [row_of(row) for row in rows]


def get(connection: sqlite3.Connection, request_id: str) -> RequestRow | None:
    """The request with that id."""
    row = connection.execute(
        f"SELECT {', '.join(COLUMNS)} FROM requests WHERE id = ? ORDER BY seq DESC LIMIT 1", (request_id,)
    ).fetchone()
    return None if row is None else row_of(row)


def row_of(values: Sequence[Any]) -> RequestRow:
    """A record from its columns, as `COLUMNS` names them. Raises `msgspec.ValidationError`."""
    return msgspec.convert(dict(zip(COLUMNS, values, strict=True)), RequestRow, strict=False)
