"""The log of decisions: what is entered comes back, is amended, ages with the records, survives damage."""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr_desktop.engine.routing.outcomes import Seen
from lynkr_desktop.engine.routing.replay import Task
from lynkr_desktop.engine.telemetry import store
from lynkr_desktop.engine.telemetry.database import _MIGRATIONS, RecordsError
from lynkr_desktop.engine.telemetry.decisions import Amendment, DecisionLog, get
from lynkr_desktop.engine.telemetry.store import Records
from lynkr_desktop.engine.wire.canonical import Message, Text, ToolResult
from lynkr_desktop.protocol.control import RequestRow
from lynkr_desktop.protocol.routing import CandidateRow, ContributionRow, DecisionRow, Outcome
from lynkr_desktop.protocol.tiers import Tier

DAY = 86400.0


def decision(number: int = 0, **changes: Any) -> DecisionRow:
    values: dict[str, Any] = {
        "id": f"req-{number}",
        "at": time.time(),
        "task": f"req-{number}",
        "client": "Claude Code",
        "session": "s1",
        "workspace": "/home/me/shop",
        "title": "fix the login",
        "files": ("src/login.py",),
        "score": 0.4,
        "contributions": (
            ContributionRow(name="repair", value=1, points=0.14, reason="asks to find a fault"),
            ContributionRow(
                name="blast", value=212, points=0.2, reason="212 files depend on it", group="code"
            ),
        ),
        "scored_tier": Tier.MEDIUM,
        "tier": Tier.MEDIUM,
        "reason": "score 0.40",
        "profile": "balanced",
        "candidates": (
            CandidateRow(provider="ollama", model="qwen:7b", tier=Tier.MEDIUM, skipped="not installed"),
            CandidateRow(provider="openai", model="gpt", tier=Tier.MEDIUM),
        ),
    }
    return DecisionRow(**{**values, **changes})


def record(number: int = 0, **changes: Any) -> RequestRow:
    values: dict[str, Any] = {
        "id": f"req-{number}",
        "at": time.time(),
        "client": "Claude Code",
        "protocol": "anthropic_messages",
        "tier": Tier.MEDIUM,
        "provider": "openai",
        "model": "gpt",
        "cost": 0.02,
        "status": 200,
    }
    return RequestRow(**{**values, **changes})


def keep(records: Records, kept: DecisionRow, **changes: Any) -> None:
    """Enters a decision with the record of its request, which holds what both tell."""
    shared = ("id", "at", "client", "session", "title", "score")
    values = {"tier": kept.tier} | {name: getattr(kept, name) for name in shared} | changes
    records.record(record(**values), kept)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lynkr.db"


@pytest.fixture
async def records(path: Path) -> AsyncIterator[Records]:
    records = Records(path, 90 * DAY)
    await records.start()
    yield records
    records.close()


async def test_a_decision_comes_back_whole_with_what_its_record_tells(records: Records) -> None:
    kept = decision(1, propensity=0.2, arm="up", side=True)
    keep(records, kept)
    assert await records.decision("req-1") == msgspec.structs.replace(
        kept, provider="openai", model="gpt", cost=0.02, status=200
    )
    assert await records.decision("req-2") is None


async def test_the_newest_come_first_and_page_by_page(records: Records) -> None:
    now = time.time()
    for number in range(5):
        keep(records, decision(number, at=now + number))
    first = await records.decisions(2)
    assert [row.id for row in first] == ["req-4", "req-3"]
    assert [row.id for row in await records.decisions(9, before="req-3")] == ["req-2", "req-1", "req-0"]
    assert await records.decisions(9, before="unknown") == []


async def test_misrouted_ones_are_found_and_a_mark_counts_before_what_happened(records: Records) -> None:
    for number in range(4):
        keep(records, decision(number, at=time.time() + number))
    records.amend(Amendment(id="req-1", outcome=Outcome(retried=1)))
    records.amend(Amendment(id="req-2", outcome=Outcome(tests="failed", tests_failed=2)))

    async def misrouted() -> list[str]:
        return [row.id for row in await records.decisions(10, misrouted=True)]

    assert await misrouted() == ["req-2", "req-1"]
    marked = await records.mark("req-2", "good")
    assert marked is not None
    assert (marked.verdict, marked.mark, marked.outcome.tests_failed) == ("under", "good", 2)
    assert await misrouted() == ["req-1"]
    await records.mark("req-0", "over")
    assert await misrouted() == ["req-1", "req-0"]
    await records.mark("req-0", "")
    assert await misrouted() == ["req-1"]
    assert await records.mark("nobody", "over") is None


async def test_a_mark_that_cannot_be_written_is_not_claimed(
    records: Records, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_RETRY_SECONDS", (60.0,))
    keep(records, decision(1))
    await records.flush()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(RecordsError, match="cannot be written now"):
        await records.mark("req-1", "over")
    other.execute("ROLLBACK")
    other.close()
    assert await records.mark("req-1", "over")


async def test_later_requests_amend_the_decision_at_the_beginning_of_the_task(records: Records) -> None:
    log = DecisionLog(records)
    ask = Message("user", (Text("Please fix the login"),))
    seen = Seen(id="req-1", conversation="c", ask="Please fix the login", messages=(ask,), tier=Tier.MEDIUM)

    def add(number: int, seen: Seen | None) -> None:
        task = log.conclude(seen) if seen is not None else ""
        keep(records, decision(number, task=task, side=seen is None))

    add(1, seen)
    result = Message("user", (ToolResult("t", (Text("=== 1 failed, 2 passed in 0.1s ==="),)),))
    add(2, msgspec.structs.replace(seen, id="req-2", messages=(ask, result), continuation=True))
    add(3, None)
    rows = {row.id: row for row in await records.decisions(9)}
    assert [rows[f"req-{number}"].task for number in (1, 2, 3)] == ["req-1", "req-1", ""]
    assert rows["req-1"].outcome == Outcome(results=1, tests="failed", tests_passed=2, tests_failed=1)
    assert rows["req-1"].verdict == "under"
    assert rows["req-2"].outcome == Outcome()


async def test_the_replay_has_each_task_once_with_the_cost_of_all_its_requests(records: Records) -> None:
    def add(
        number: int, cost: float | None = 0.02, request: dict[str, Any] | None = None, **changes: Any
    ) -> None:
        keep(records, decision(number, **changes), cost=cost, **(request or {}))

    add(1, cost=0.5, session="")
    add(2, cost=0.25, task="req-1")
    add(3, cost=None, arm="up", tier=Tier.COMPLEX, propensity=0.2, request={"tier": Tier.COMPLEX})
    records.amend(Amendment(id="req-3", outcome=Outcome(tests="failed")))
    add(4, side=True)
    add(5, score=None)
    add(6, tier=Tier.COMPLEX)
    add(7, request={"tier": Tier.REASONING})
    add(8, request={"status": 502})
    add(9, at=time.time() - 40 * DAY)
    keep(records, decision(10, task="", session="é"))
    keep(records, decision(11, score=0.1), cost=None)
    await records.mark("req-11", "over")
    tasks, skipped = await records.replay(time.time() - 30 * DAY)
    assert skipped == 0
    assert tasks == [
        Task(0.4, Tier.MEDIUM, 1.0, None, False, "req-1", 0.75),
        Task(0.4, Tier.COMPLEX, 0.2, True, False, "s1", None),
        Task(0.1, Tier.MEDIUM, 1.0, False, True, "s1", None),
    ]


async def test_hostile_and_huge_values_are_kept_within_bounds(records: Records) -> None:
    bad = decision(
        1,
        title="\ud800" * 5000,
        files=tuple(f"{'é' * 5000}{number}\udcff" for number in range(1000)),
        score=math.nan,
        propensity=math.inf,
        contributions=(ContributionRow(name="x\ud800", value=math.nan, points=-math.inf, reason="r" * 10**6),)
        * 500,
    )
    keep(records, bad)
    keep(
        records, decision(2, contributions=(ContributionRow(name="n", value=math.nan, points=1, reason=""),))
    )
    found = await records.decision("req-1")
    assert found is not None
    assert len(found.files) == len(found.contributions) == 64
    assert (found.score, found.propensity) == (0.0, 0.0)
    assert found.contributions[0].value == found.contributions[0].points == 0.0
    assert len(msgspec.json.encode(found)) < 400_000
    other = await records.decision("req-2")
    assert other is not None
    assert other.contributions[0].value == 0.0


@given(
    st.sampled_from([None, 3, 4, 5, "outcome"]),
    st.text()
    | st.binary()
    | st.sampled_from(["[[1]]", "{}", "null", "[", '[["a",1,1,"b","soul"]]', '{"results":"x"}']),
)
def test_damaged_lists_cost_only_themselves(place: int | str | None, stored: Any) -> None:
    """`place`: of the list within the detail; None damages all of the detail, a name another column."""
    with sqlite3.connect(":memory:", isolation_level=None) as connection:
        for script in _MIGRATIONS:
            connection.executescript(script)
        entry = store.Entry(record(1, title="fix the login", score=0.4), decision(1))
        store.write_entries(connection, [entry])
        damaged = stored.encode("utf-8", "replace") if isinstance(stored, str) else stored
        column = place if isinstance(place, str) else "detail"
        if isinstance(place, int):
            (detail,) = connection.execute("SELECT detail FROM requests").fetchone()
            parts = msgspec.json.decode(detail, type=list[msgspec.Raw])
            kept = [bytes(part) for part in parts]
            kept[place] = damaged
            damaged = b"[" + b",".join(kept) + b"]"
        connection.execute(f"UPDATE requests SET {column} = ?", (damaged,))
        found = get(connection, "req-1")
    connection.close()
    assert found is not None
    assert (found.title, found.score, found.tier) == ("fix the login", 0.4, Tier.MEDIUM)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("at", "soon"),
        ("score", "high"),
        ("propensity", "x"),
        ("arm", "left"),
        ("mark", "odd"),
        ("chosen_tier", "best"),
        ("side", "?"),
    ],
)
async def test_damaged_rows_stop_neither_the_list_nor_the_replay(
    records: Records, path: Path, column: str, value: str
) -> None:
    keep(records, decision(1))
    keep(records, decision(2))
    await records.flush()
    with sqlite3.connect(path) as connection:
        connection.execute(f"UPDATE requests SET {column} = ? WHERE id = 'req-1'", (value,))
    connection.close()
    assert {row.id for row in await records.decisions(9)} == {"req-1", "req-2"}
    tasks, skipped = await records.replay(0.0)
    assert len(tasks) + skipped <= 2
    assert any(task.key == "s1" for task in tasks)


async def test_decisions_age_with_the_records(path: Path) -> None:
    records = Records(path, 30 * DAY)
    await records.start()
    for number in range(3000):
        keep(records, decision(number, at=time.time() - 31 * DAY))
    keep(records, decision(9999))
    await records.flush()
    records.close()
    again = Records(path, 30 * DAY)
    await again.start()
    again.record(record(1))
    await again.flush()
    rows = await again.decisions(5000)
    again.close()
    assert [row.id for row in rows] == ["req-9999"]


async def test_a_file_without_decisions_is_brought_up_to_date(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        for number in range(2):
            connection.executescript(_MIGRATIONS[number])
        connection.execute("PRAGMA user_version = 2")
    connection.close()
    records = Records(path, 30 * DAY)
    await records.start()
    assert await records.decisions(5) == []
    assert await records.replay(0.0) == ([], 0)
    keep(records, decision(1))
    assert [row.id for row in await records.decisions(5)] == ["req-1"]
    records.close()


async def test_decisions_of_a_table_of_their_own_go_into_the_rows_of_their_requests(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        for number in range(3):
            connection.executescript(_MIGRATIONS[number])
        connection.execute("PRAGMA user_version = 3")
        for number in range(1, 4):
            connection.execute(
                "INSERT INTO requests (id, at, client, protocol, session, title, tier, score, reason, "
                "provider, model, requested_model, stream, input_tokens, cached_tokens, output_tokens, "
                "estimated, cost, latency_ms, status, error) VALUES (?, ?, 'c', 'p', 's1', 'fix the login', "
                "'medium', 0.4, 'r', 'openai', 'gpt', 'auto-route', 0, 1, 0, 1, 0, 0.02, 5, 200, '')",
                (f"req-{number}", 100.0 + number),
            )
        for number, files in ((1, '["src/login.py"]'), (2, "[broken")):
            connection.execute(
                "INSERT INTO decisions (id, at, task, client, session, workspace, title, files, score, "
                "contributions, scored_tier, tier, reason, propensity, arm, profile, side, candidates, "
                "outcome, verdict, mark) VALUES (?, ?, ?, 'c', 's1', '/home/me/shop', 'fix the login', ?, "
                """0.4, '[["repair",1.0,0.14,"asks to find a fault","ask"]]', 'medium', 'complex', """
                """'score 0.40', 0.2, 'up', 'balanced', 0, '[["openai","gpt","medium",""]]', """
                """'{"retried":1}', 'under', 'good')""",
                (f"req-{number}", 100.0 + number, f"req-{number}", files),
            )
    connection.close()
    records = Records(path, 10_000 * 365 * DAY)
    await records.start()
    try:
        rows = await records.decisions(9)
        assert [row.id for row in rows] == ["req-2", "req-1"]
        assert rows[1] == DecisionRow(
            id="req-1",
            at=101.0,
            task="req-1",
            client="c",
            session="s1",
            workspace="/home/me/shop",
            title="fix the login",
            files=("src/login.py",),
            score=0.4,
            contributions=(ContributionRow("repair", 1.0, 0.14, "asks to find a fault"),),
            scored_tier=Tier.MEDIUM,
            tier=Tier.COMPLEX,
            reason="score 0.40",
            propensity=0.2,
            arm="up",
            profile="balanced",
            candidates=(CandidateRow(provider="openai", model="gpt", tier=Tier.MEDIUM),),
            outcome=Outcome(retried=1),
            verdict="under",
            mark="good",
            provider="openai",
            model="gpt",
            cost=0.02,
            status=200,
        )
        assert rows[0].files == ()
        assert (await records.get("req-3")) is not None
    finally:
        records.close()
