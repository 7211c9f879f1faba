"""What was decided for requests: what is kept of it, how it is stored, and what is asked of it.

It stands in the rows of the requests' records. What became of a decision is noted there later, when other
requests or a person tell it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import astuple

from lynkr_desktop.engine.routing.outcomes import Outcomes, Seen, verdict
from lynkr_desktop.engine.routing.replay import Task
from lynkr_desktop.engine.telemetry.database import storable
from lynkr_desktop.protocol.optimization import Receipt
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
_LONGEST_DETAIL = 32_000
"""What is kept in whole, beyond which its texts are cut: no request may make the file grow without bound."""

_OUTCOME, _VERDICT, _MARK = 7, 8, 9
"""Their places in the columns of a decision."""

_SET_OUTCOME = "UPDATE requests SET outcome = ?, verdict = ? WHERE id = ? AND task IS NOT NULL"
_SET_MARK = "UPDATE requests SET mark = ? WHERE id = ? AND task IS NOT NULL"
_JUDGED = "CASE mark WHEN '' THEN verdict ELSE mark END"

_FROM_RECORD = ("id", "at", "client", "session", "title", "score", "provider", "model", "cost", "status")
_STORED = ("task", "scored_tier", "chosen_tier", "propensity", "arm", "side", "outcome", "verdict", "mark")
READ = (*_FROM_RECORD, *_STORED, "detail")
"""The columns of `requests` that `row_of` takes."""

T = TypeVar("T")


class Amendment(Struct, frozen=True, kw_only=True):
    """What became of an earlier decision: what happened after it, or what a person says of it."""

    id: str
    outcome: Outcome | None = None
    mark: Verdict | None = None


class Keeper(Protocol):
    """Takes what is to be written; see `store.Records`."""

    def amend(self, amendment: Amendment) -> None:
        """Takes what became of a decision, without waiting."""


class DecisionLog:
    """Concludes from each request what became of the decisions before it.

    Args:
        keeper: what writes them.
    """

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._outcomes = Outcomes()

    def conclude(self, seen: Seen) -> str:
        """Notes what a request tells of earlier ones.

        Returns:
            The id of the request that began the task which this one belongs to; empty where that is unknown.
        """
        task, outcomes = self._outcomes.see(seen)
        for id_, outcome in outcomes:
            self._keeper.amend(Amendment(id=id_, outcome=outcome))
        return task


# ---------------------------------------------------------------- writing


def columns(decision: DecisionRow) -> list[Any]:
    """What is stored of a decision, as `DECISION_COLUMNS` names it; the rest stands in the record."""
    scored, tier = decision.scored_tier, decision.tier
    return [
        decision.task,
        str(scored) if scored is not None else None,
        str(tier) if tier is not None else None,
        decision.propensity,
        decision.arm,
        int(decision.side),
        _detail(decision),
        _outcome(decision.outcome),
        decision.verdict,
        decision.mark,
    ]


def amended(stored: Sequence[Any], amendment: Amendment) -> list[Any]:
    """The columns of a decision with what became of it; unchanged where no decision was stored."""
    changed = list(stored)
    if changed[0] is not None:
        if amendment.outcome is not None:
            changed[_OUTCOME], changed[_VERDICT] = _outcome(amendment.outcome), verdict(amendment.outcome)
        if amendment.mark is not None:
            changed[_MARK] = amendment.mark
    return changed


def amend(connection: sqlite3.Connection, amendments: Iterable[Amendment]) -> None:
    """Notes within the transaction that is open what became of decisions that are stored.

    Raises:
        sqlite3.Error: one cannot be stored, or the file cannot be written.
    """
    outcomes: dict[str, Outcome] = {}
    marks: dict[str, Verdict] = {}
    for amendment in amendments:
        id_ = _text(amendment.id)
        if amendment.outcome is not None:
            outcomes[id_] = amendment.outcome
        if amendment.mark is not None:
            marks[id_] = amendment.mark
    connection.executemany(
        _SET_OUTCOME, [(_outcome(outcome), verdict(outcome), id_) for id_, outcome in outcomes.items()]
    )
    connection.executemany(_SET_MARK, [(mark, id_) for id_, mark in marks.items()])


def _detail(decision: DecisionRow) -> str:
    """What is only shown, as one JSON array."""
    parts = (
        decision.workspace,
        decision.profile,
        decision.reason,
        decision.files[:_MOST_ITEMS],
        [astuple(item) for item in decision.contributions[:_MOST_ITEMS]],
        [astuple(item) for item in decision.candidates[:_MOST_ITEMS]],
        [astuple(item) for item in decision.receipts],
    )
    try:
        stored = msgspec.json.encode(parts)
    except UnicodeEncodeError:  # a lone surrogate
        stored = b""
    if not 0 < len(stored) <= _LONGEST_DETAIL:
        stored = msgspec.json.encode(_bounded(parts))
    return stored.decode()


_NOTHING = Outcome()
_NOTHING_STORED = msgspec.json.encode(_NOTHING).decode()


def _outcome(outcome: Outcome) -> str:
    return _NOTHING_STORED if outcome is _NOTHING else msgspec.json.encode(outcome).decode()


def _text(text: str) -> str:
    """Bounded valid text, as SQLite can hold it."""
    return str(storable(text, _LONGEST_TEXT))


def _bounded(value: Any) -> Any:
    if isinstance(value, tuple | list):
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
    conditions, arguments = ["task IS NOT NULL"], []
    if before is not None:
        conditions.append("(at, seq) < (SELECT at, seq FROM requests WHERE id = ? ORDER BY seq DESC LIMIT 1)")
        arguments.append(before)
    if misrouted:
        conditions.append(f"{_JUDGED} IN ('under', 'over')")
    rows = connection.execute(
        f"SELECT {', '.join(READ)} FROM requests WHERE {' AND '.join(conditions)} "
        "ORDER BY at DESC, seq DESC LIMIT ?",
        (*arguments, limit),
    )
    return [row_of(row) for row in rows]


def get(connection: sqlite3.Connection, request_id: str) -> DecisionRow | None:
    """The decision of the request with that id."""
    row = connection.execute(
        f"SELECT {', '.join(READ)} FROM requests WHERE id = ? AND task IS NOT NULL ORDER BY seq DESC LIMIT 1",
        (request_id,),
    ).fetchone()
    return None if row is None else row_of(row)


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
            "SELECT task, CASE WHEN COUNT(*) = COUNT(cost) THEN SUM(cost) END FROM requests "
            "WHERE at >= ? AND task <> '' GROUP BY task",
            (since,),
        )
    )
    rows = connection.execute(
        f"SELECT id, session, score, chosen_tier, propensity, {_JUDGED} FROM requests "
        "WHERE at >= ? AND task = id AND NOT side AND score IS NOT NULL "
        "AND (chosen_tier = scored_tier OR arm IN ('up', 'down')) "
        "AND COALESCE(tier, chosen_tier) = chosen_tier AND (status < 400 OR status = 499) "
        "ORDER BY at, seq",
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
_Contribution = tuple[str, float | None, float | None, str, ContributionGroup]
_Candidate = tuple[str, str, Tier | None, str]
_Receipt = tuple[str, int, int, float | None, tuple[str, ...], bool]


class _Detail(Struct, array_like=True):
    """What `_detail` stored. One part that cannot be read does not take the others with it."""

    workspace: str = ""
    profile: str = ""
    reason: str = ""
    files: Raw = Raw(b"[]")
    contributions: Raw = Raw(b"[]")
    candidates: Raw = Raw(b"[]")
    receipts: Raw = Raw(b"[]")


def row_of(values: Sequence[Any]) -> DecisionRow:
    """A row as it was decided. What cannot be read of it, since the file was damaged, is left out."""
    data = dict(zip(READ, values, strict=True))
    detail = _read(data.pop("detail"), _Detail, _Detail())
    data["workspace"], data["profile"], data["reason"] = detail.workspace, detail.profile, detail.reason
    data["files"] = _read(detail.files, tuple[str, ...], ())
    data["contributions"] = tuple(
        ContributionRow(name=name, value=value or 0.0, points=points or 0.0, reason=reason, group=group)
        for name, value, points, reason, group in _read(detail.contributions, tuple[_Contribution, ...], ())
    )
    data["candidates"] = tuple(
        CandidateRow(provider=provider, model=model, tier=tier, skipped=skipped)
        for provider, model, tier, skipped in _read(detail.candidates, tuple[_Candidate, ...], ())
    )
    data["receipts"] = tuple(
        Receipt(stage=stage, before=before, after=after, ms=ms or 0.0, did=did, skipped=skipped)
        for stage, before, after, ms, did, skipped in _read(detail.receipts, tuple[_Receipt, ...], ())
    )
    data["outcome"] = _read(data["outcome"], Outcome, Outcome())
    data["tier"] = _TIERS.get(data.pop("chosen_tier"))
    data["scored_tier"] = _TIERS.get(data["scored_tier"])
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
