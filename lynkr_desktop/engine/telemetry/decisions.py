"""The log of routing decisions: what is kept of each, how it is stored, and what is asked of it.

It stands in the file of the records and is written by their thread. A decision is entered when its request
ends, and amended when later requests or a person tell what became of it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, NamedTuple, Protocol, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import astuple

from lynkr_desktop.engine.routing.outcomes import Outcomes, Seen, verdict
from lynkr_desktop.engine.routing.replay import Task
from lynkr_desktop.engine.telemetry.database import DECISION_COLUMNS, FROM_RECORD, storable
from lynkr_desktop.protocol.routing import (
    CandidateRow,
    ContributionGroup,
    ContributionRow,
    DecisionRow,
    Outcome,
    Verdict,
)
from lynkr_desktop.protocol.tiers import Tier

_LONGEST_TEXT = 1_000
_MOST_ITEMS = 64
_LONGEST_LIST = 16_000
"""What is kept of a list, beyond which its texts are cut: no request may make the file grow without bound."""

_PLACES = f"({', '.join('?' * len(DECISION_COLUMNS))})"
_INSERT = f"INSERT INTO decisions ({', '.join(DECISION_COLUMNS)}) VALUES {_PLACES}"
_MANY = 50
_INSERT_MANY = _INSERT + f", {_PLACES}" * (_MANY - 1)
"""Many rows in one statement: SQLite then works without the interpreter's lock, which requests need."""

_SET_OUTCOME = "UPDATE decisions SET outcome = ?, verdict = ? WHERE id = ?"
_SET_MARK = "UPDATE decisions SET mark = ? WHERE id = ?"
_JUDGED = "CASE d.mark WHEN '' THEN d.verdict ELSE d.mark END"

_ROW = (
    f"SELECT {', '.join(f'd.{name}' for name in DECISION_COLUMNS)}, "
    f"{', '.join(f'r.{name}' for name in FROM_RECORD)} "
    "FROM decisions d LEFT JOIN requests r ON r.id = d.id"
)

T = TypeVar("T")


class Amendment(Struct, frozen=True, kw_only=True):
    """What became of an earlier decision: what happened after it, or what a person says of it."""

    id: str
    outcome: Outcome | None = None
    mark: Verdict | None = None


Entry = DecisionRow | Amendment


class Keeper(Protocol):
    """Takes what is to be written; see `store.Records`."""

    def keep(self, entry: Entry) -> None:
        """Takes an entry, without waiting."""


class DecisionLog:
    """Enters decisions, and concludes from each request what became of the ones before it.

    Args:
        keeper: what writes them.
    """

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._outcomes = Outcomes()

    def add(self, row: DecisionRow, seen: Seen | None) -> None:
        """Takes the decision of a request that has ended.

        Args:
            row: as it was decided; `task`, `outcome`, `verdict` and `mark` are left empty.
            seen: what the request tells of earlier ones; None for side requests, which tell nothing.
        """
        if seen is not None:
            task, outcomes = self._outcomes.see(seen)
            for id_, outcome in outcomes:
                self._keeper.keep(Amendment(id=id_, outcome=outcome))
            row = msgspec.structs.replace(row, task=task)
        self._keeper.keep(row)


# ---------------------------------------------------------------- writing


def write(connection: sqlite3.Connection, entries: Iterable[Entry]) -> None:
    """Writes entries within the transaction that is open: decisions, then what amends them, in its order.

    Raises:
        sqlite3.Error: an entry cannot be stored, or the file cannot be written.
    """
    rows: list[DecisionRow] = []
    outcomes: dict[str, Outcome] = {}
    marks: dict[str, Verdict] = {}
    for entry in entries:
        if isinstance(entry, DecisionRow):
            rows.append(entry)
        else:
            id_ = _storable(entry.id)
            if entry.outcome is not None:
                outcomes[id_] = entry.outcome
            if entry.mark is not None:
                marks[id_] = entry.mark
    _insert(connection, [_values(row) for row in rows])
    connection.executemany(
        _SET_OUTCOME, [(_storable(outcome), verdict(outcome), id_) for id_, outcome in outcomes.items()]
    )
    connection.executemany(_SET_MARK, [(mark, id_) for id_, mark in marks.items()])


def _insert(connection: sqlite3.Connection, rows: list[tuple[Any, ...]]) -> None:
    whole = len(rows) - len(rows) % _MANY
    for start in range(0, whole, _MANY):
        connection.execute(_INSERT_MANY, tuple(chain.from_iterable(rows[start : start + _MANY])))
    connection.executemany(_INSERT, rows[whole:])


def _values(row: DecisionRow) -> tuple[Any, ...]:
    return tuple(map(_storable, astuple(row)[: len(DECISION_COLUMNS)]))


def _storable(value: Any) -> Any:
    """What SQLite can hold: bounded valid text, finite numbers; lists and structures as JSON."""
    if isinstance(value, tuple):
        rows = [astuple(item) if isinstance(item, Struct) else item for item in value[:_MOST_ITEMS]]
        try:
            stored = msgspec.json.encode(rows)
        except UnicodeEncodeError:  # a lone surrogate
            stored = b""
        if not 0 < len(stored) <= _LONGEST_LIST:
            stored = msgspec.json.encode([_bounded(row) for row in rows])
        return stored.decode()
    if isinstance(value, Struct):
        return msgspec.json.encode(value).decode()
    return _bounded(value)


def _bounded(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_bounded(item) for item in value]
    return storable(value, _LONGEST_TEXT)


# ---------------------------------------------------------------- reading


def recent(
    connection: sqlite3.Connection, limit: int, before: str | None = None, *, misrouted: bool = False
) -> list[DecisionRow]:
    """The newest decisions first.

    Args:
        connection: to the records.
        limit: how many at most.
        before: only those older than the one with this id.
        misrouted: only those that took too weak or too strong a tier, by what happened or what a person says.
    """
    conditions, arguments = ["1"], []
    if before is not None:
        conditions.append(
            "(d.at, d.seq) < (SELECT at, seq FROM decisions WHERE id = ? ORDER BY seq DESC LIMIT 1)"
        )
        arguments.append(before)
    if misrouted:
        conditions.append(f"{_JUDGED} IN ('under', 'over')")
    rows = connection.execute(
        f"{_ROW} WHERE {' AND '.join(conditions)} ORDER BY d.at DESC, d.seq DESC LIMIT ?", (*arguments, limit)
    )
    return [_row(row) for row in rows]


def get(connection: sqlite3.Connection, request_id: str) -> DecisionRow | None:
    """The decision of the request with that id."""
    row = connection.execute(f"{_ROW} WHERE d.id = ? ORDER BY d.seq DESC LIMIT 1", (request_id,)).fetchone()
    return None if row is None else _row(row)


class Replay(NamedTuple):
    """What `calibration.calibrate` reads, and how many rows of the log make no sense."""

    tasks: list[Task]
    skipped: int


def replay(connection: sqlite3.Connection, since: float) -> Replay:
    """The tasks since a time whose tier the score chose, or the experiment drew.

    Left out are tiers that a client asked for, that stickiness or a switched-off tier changed, and requests
    that another tier answered or none.
    """
    costs: dict[str, float | None] = dict(
        connection.execute(
            "SELECT d.task, CASE WHEN COUNT(*) = COUNT(r.cost) THEN SUM(r.cost) END FROM decisions d "
            "JOIN requests r ON r.id = d.id WHERE d.at >= ? AND d.task <> '' GROUP BY d.task",
            (since,),
        )
    )
    rows = connection.execute(
        f"SELECT d.id, d.session, d.score, d.tier, d.propensity, {_JUDGED} FROM decisions d "
        "LEFT JOIN requests r ON r.id = d.id WHERE d.at >= ? AND d.task = d.id AND NOT d.side "
        "AND d.score IS NOT NULL AND (d.tier = d.scored_tier OR d.arm IN ('up', 'down')) "
        "AND COALESCE(r.tier, d.tier) = d.tier AND (COALESCE(r.status, 200) < 400 OR r.status = 499) "
        "ORDER BY d.at, d.seq",
        (since,),
    )
    tasks: list[Task] = []
    skipped = 0
    for id_, session, score, tier, propensity, judged in rows:
        known = _TIERS.get(tier)
        if known is None or not isinstance(score, float) or not isinstance(propensity, float):
            skipped += 1
            continue
        failed = {"under": True, "good": False, "over": False}.get(judged)
        tasks.append(Task(score, known, propensity, failed, judged == "over", session or id_, costs.get(id_)))
    return Replay(tasks, skipped)


_TIERS = {tier.value: tier for tier in Tier}
_Contributions = tuple[tuple[str, float | None, float | None, str, ContributionGroup], ...]
_Candidates = tuple[tuple[str, str, Tier | None, str], ...]


def _row(values: Sequence[Any]) -> DecisionRow:
    """A row as it was decided. What cannot be read of it, since the file was damaged, is left out."""
    data = dict(zip((*DECISION_COLUMNS, *FROM_RECORD), values, strict=True))
    data["files"] = _read(data["files"], tuple[str, ...], ())
    data["contributions"] = tuple(
        ContributionRow(name=name, value=value or 0.0, points=points or 0.0, reason=reason, group=group)
        for name, value, points, reason, group in _read(data["contributions"], _Contributions, ())
    )
    data["candidates"] = tuple(
        CandidateRow(provider=provider, model=model, tier=tier, skipped=skipped)
        for provider, model, tier, skipped in _read(data["candidates"], _Candidates, ())
    )
    data["outcome"] = _read(data["outcome"], Outcome, Outcome())
    for name in ("tier", "scored_tier"):
        data[name] = _TIERS.get(data[name])
    usual = {name: value for name, value in data.items() if value is not None}
    try:
        return msgspec.convert(usual, DecisionRow, strict=False)
    except msgspec.ValidationError:
        return DecisionRow(id=str(data["id"]), at=_number(data["at"]), title="(this row cannot be read)")


def _read(stored: Any, kind: type[T], default: T) -> T:
    try:
        return msgspec.json.decode(stored, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, TypeError):
        return default


def _number(value: Any) -> float:
    return value if isinstance(value, float) else 0.0
