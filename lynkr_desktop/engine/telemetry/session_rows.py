"""The sessions of the records: what each asked, spent and is about. Functions of an open connection."""

from __future__ import annotations

import sqlite3

from lynkr_desktop.protocol.sessions import SessionRow

_NEWEST = 20_000
"""Requests that are looked at: a person looks for the sessions of today."""

_SUMS = """
    SELECT session, key, client, title, COUNT(*), SUM(status != 200), SUM(input_tokens), SUM(output_tokens),
        COALESCE(SUM(cost), 0), SUM(cost IS NULL AND (input_tokens OR output_tokens)), MIN(at), MAX(at)
    FROM (SELECT * FROM requests {} ORDER BY at DESC LIMIT ?)
    WHERE session != '' GROUP BY session, key ORDER BY MAX(at) DESC LIMIT ?
"""
_ASKED = """
    SELECT title, CASE WHEN json_valid(detail) THEN json_extract(detail, '$[0]') END
    FROM requests WHERE at >= ? AND at <= ? AND session = ? AND key = ? AND side = 0 ORDER BY at DESC LIMIT 1
"""


def sessions(connection: sqlite3.Connection, limit: int, key: str | None = None) -> list[SessionRow]:
    """The sessions that were heard of last, the newest first.

    Args:
        connection: to the records.
        limit: how many at most.
        key: only those of requests that came with the access key of this name.

    Raises:
        sqlite3.Error: the records cannot be read.
    """
    own = () if key is None else (key,)
    sums = _SUMS.format("WHERE key <> '' AND key = ?" if own else "")
    found = connection.execute(sums, (*own, _NEWEST, limit)).fetchall()
    return [_row(connection, entry) for entry in found]


def _row(
    connection: sqlite3.Connection,
    entry: tuple[str, str, str, str, int, int, int, int, float, int, float, float],
) -> SessionRow:
    session, key, client, title, requests, errors, given, answered, cost, unpriced, first, last = entry
    # What a harness asks for itself, such as a title, says nothing of what the session is about.
    asked = connection.execute(_ASKED, (first, last, session, key)).fetchone()
    return SessionRow(
        id=session,
        client=client,
        title=(asked[0] if asked is not None else "") or title,
        project=(asked[1] if asked is not None else "") or "",
        key=key,
        requests=requests,
        errors=errors,
        input_tokens=given,
        output_tokens=answered,
        cost=cost,
        unpriced=unpriced,
        first_at=first,
        last_at=last,
    )
