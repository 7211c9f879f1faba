"""What the records say was spent of a budget. Functions of an open connection."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from lynkr_desktop.protocol.budgets import BudgetScope

_SUMS = """
    SELECT TOTAL((input_tokens + output_tokens) * (cost IS NULL OR cost > 0)),
        TOTAL((input_tokens + output_tokens) * (cost = 0)),
        TOTAL(cost),
        TOTAL(cost IS NULL AND input_tokens + output_tokens > 0),
        TOTAL(input_tokens * (cost IS NULL)),
        TOTAL(output_tokens * (cost IS NULL))
    FROM requests WHERE at >= ? AND at < ?
"""
_WHOSE: dict[BudgetScope, str] = {
    "day": "",
    "key": " AND key = ?",
    "session": " AND CASE key WHEN '' THEN session ELSE session || '~' || key END = ?",
    "project": " AND CASE WHEN json_valid(detail) THEN json_extract(detail, '$[0]') END IN "
    "(SELECT value FROM json_each(?))",
}
_FOLDERS = """
    SELECT DISTINCT CASE WHEN json_valid(detail) THEN json_extract(detail, '$[0]') END
    FROM requests WHERE at >= ? AND at < ?
"""
_KEYS = """
    SELECT key, TOTAL(input_tokens) + TOTAL(output_tokens), TOTAL(cost)
    FROM usage_keys WHERE slot >= ? AND key <> '' GROUP BY key
"""
"""Slots never cross a local midnight."""


class Sums(NamedTuple):
    """What requests used.

    Attributes:
        tokens: of prompts and answers that cost something, or whose price is not known.
        free_tokens: of those that cost nothing: of free models, and of stored replies.
        dollars: as far as prices are known.
        unpriced: requests whose price is not known.
        unpriced_input: tokens of their prompts.
        unpriced_output: tokens of their answers.
    """

    tokens: float = 0
    free_tokens: float = 0
    dollars: float = 0.0
    unpriced: float = 0
    unpriced_input: float = 0
    unpriced_output: float = 0

    def plus(self, other: Sums) -> Sums:
        """The sums of both."""
        tokens, free, dollars, unpriced, input_tokens, output_tokens = self
        return Sums(
            tokens + other[0],
            free + other[1],
            dollars + other[2],
            unpriced + other[3],
            input_tokens + other[4],
            output_tokens + other[5],
        )

    def minus(self, other: Sums) -> Sums:
        """What is left without the other; never below nothing."""
        return Sums(*(max(0, mine - theirs) for mine, theirs in zip(self, other, strict=True)))


def of_request(input_tokens: int, output_tokens: int, cost: float | None) -> Sums:
    """The sums of one record, as `spent` says them of many."""
    tokens = input_tokens + output_tokens
    if cost is None:
        return Sums(tokens, 0, 0.0, tokens > 0, input_tokens, output_tokens)
    return Sums(tokens, 0, cost) if cost > 0 else Sums(0, tokens, cost)


def spent(
    connection: sqlite3.Connection,
    scope: BudgetScope,
    name: str,
    since: float,
    until: float,
) -> Sums:
    """What the requests of a budget used in a range of time.

    Args:
        connection: to the records.
        scope: of the budget.
        name: of the session (as `guarded_sessions.of_key` has it), project or key; for a project a list of
            folders as JSON.
        since: the first instant that counts, in Unix seconds.
        until: the first that counts no more.

    Raises:
        sqlite3.Error: the records cannot be read.
    """
    arguments = (since, until) if scope == "day" else (since, until, name)
    return Sums(*connection.execute(_SUMS + _WHOSE[scope], arguments).fetchone())


def folders(connection: sqlite3.Connection, since: float, until: float) -> list[str]:
    """The folders that requests of a range of time were about. Raises `sqlite3.Error`."""
    return [folder for (folder,) in connection.execute(_FOLDERS, (since, until)) if folder]


def of_keys(connection: sqlite3.Connection, since: float) -> dict[str, tuple[int, float]]:
    """Tokens and known dollars of each access key since a local midnight. Raises `sqlite3.Error`."""
    return {key: (int(tokens), dollars) for key, tokens, dollars in connection.execute(_KEYS, (since,))}
