"""Which sessions may go on: what is kept of them, for how many, and for which of their threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec import Struct

from benchmarks.loops.cases import claude, conversation
from lynkr_desktop.engine.config.sessions import LoopGuardOptions
from lynkr_desktop.engine.resilience import session_file
from lynkr_desktop.engine.resilience.guarded_sessions import GuardedSessions, name_of
from lynkr_desktop.engine.resilience.session_file import Kept, bounded
from lynkr_desktop.engine.routing.decision import Decision
from lynkr_desktop.engine.security.caller import OWNER, Caller
from lynkr_desktop.engine.wire.canonical import Request, Tool
from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.protocol.sessions import SessionPause

TOOLS = (Tool("Bash"),)
FAILED = [claude(f"make t{number}", 2, f"no rule {number}") for number in range(60)]


class Asking(Struct):
    """What the guard reads of an exchange."""

    request: Request | None
    session: str = "s1"
    client: str = "Claude Code"
    title: str = "Make the tests pass"
    conversation: str = ""
    decision: Decision | None = None
    caller: Caller = OWNER


def asking(failed: int, ask: str = "Make the tests pass", session: str = "s1") -> Asking:
    messages = tuple(conversation(FAILED[:failed], ask))
    return Asking(Request(model="auto-route", messages=messages, tools=TOOLS), session)


def refused(sessions: GuardedSessions, asked: Asking) -> bool:
    try:
        sessions.check(asked)
    except WireError:
        return True
    return False


async def test_threads_of_a_session_are_acknowledged_one_by_one() -> None:
    """Agents that work for another one share its session; who resumes it knows of the failures of all."""
    sessions = GuardedSessions()
    assert refused(sessions, asking(15))
    assert refused(sessions, asking(3, "A helper's task")), "the whole session is paused"
    await sessions.act("s1", "resume")
    assert not refused(sessions, asking(15))
    assert not refused(sessions, asking(14, "A helper's task"))
    assert not refused(sessions, asking(28, "A helper's task"))
    assert refused(sessions, asking(29, "A helper's task"))


async def test_a_guard_that_is_off_pauses_nothing_and_frees_nothing() -> None:
    sessions = GuardedSessions()
    assert refused(sessions, asking(15))
    sessions.options = LoopGuardOptions(enabled=False)
    assert refused(sessions, asking(15))
    assert not refused(sessions, asking(40, session="s2"))


async def test_each_change_is_told_once() -> None:
    told: list[SessionPause] = []
    sessions = GuardedSessions(on_change=told.append)
    for _ in range(3):
        refused(sessions, asking(15))
    await sessions.act("s1", "pause")
    await sessions.act("s1", "end")
    await sessions.act("s1", "remove")
    assert [(each.state, each.cause) for each in told] == [
        ("paused", "failed_actions"),
        ("ended", "person"),
        ("running", ""),
    ]
    assert sessions.state_of("s1") is None


async def test_secrets_in_commands_do_not_reach_messages() -> None:
    sessions = GuardedSessions()
    key = "sk-ant-REDACTED" + "A1b2C3d4" * 8
    steps = [*FAILED[:14], claude(f"curl -H 'x-api-key: {key}' http://x", 7, "refused")]
    asked = Asking(Request(model="m", messages=tuple(conversation(steps)), tools=TOOLS))
    with pytest.raises(WireError) as caught:
        sessions.check(asked)
    assert caught.value.status == 400
    assert key not in caught.value.message
    assert key not in sessions.stopped[0].action


async def test_a_person_and_the_guard_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the guard does while a person's choice is being saved is not lost, on disk or in memory."""
    path = tmp_path / "sessions.json"
    sessions = GuardedSessions(path)
    write = session_file.write
    began, go_on = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(to: Path, kept: dict[str, Kept]) -> None:
        loop.call_soon_threadsafe(began.set)
        asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result(10)
        write(to, kept)

    monkeypatch.setattr(session_file, "write", slow)
    choosing = asyncio.create_task(sessions.act("other", "end"))
    await began.wait()
    assert refused(sessions, asking(15))
    go_on.set()
    await choosing
    await sessions.close()
    for kept in (sessions, read_again(path)):
        assert {each.id: each.state for each in kept.stopped} == {"s1": "paused", "other": "ended"}


def read_again(path: Path) -> GuardedSessions:
    found = GuardedSessions(path)
    found.load()
    return found


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\xff\xfe"),
        lambda path: path.write_bytes(b"[" * 100_000),
        lambda path: path.write_bytes(b'{"sessions": {"a": {"state": "flying"}}}'),
        lambda path: path.mkdir(),
    ],
)
async def test_a_damaged_file_counts_as_empty(tmp_path: Path, spoil: Callable[[Path], object]) -> None:
    path = tmp_path / "sessions.json"
    spoil(path)
    assert read_again(path).stopped == ()


def test_what_is_kept_is_bounded_and_what_a_person_ended_goes_last() -> None:
    kept = {
        f"{state}{number}": Kept(state=state, since=float(number))
        for state in ("ended", "paused", "running")
        for number in range(session_file.MOST // 2)
    }
    left = bounded(kept)
    assert len(left) == session_file.MOST
    assert {each.state for each in left.values()} == {"ended", "paused"}


async def test_a_conversation_without_a_name_is_named_by_its_beginning() -> None:
    sessions = GuardedSessions()
    first, other = asking(1, "One thing", session=""), asking(1, "Another", session="")
    for asked in (first, other):
        sessions.check(asked)
    assert first.conversation != other.conversation
    again = asking(15, "One thing", session="")
    assert refused(sessions, again)
    assert again.conversation == first.conversation == sessions.stopped[0].id
    # The same ask once more is another run: its calls have other ids.
    steps = tuple(conversation([claude("ls", 0), *FAILED[:15]], "One thing"))
    anew = Asking(Request(model="m", messages=steps[:3], tools=TOOLS), session="")
    assert not refused(sessions, anew)
    assert anew.conversation != again.conversation
    lone = asking(0, "One thing", session="")
    sessions.check(lone)
    assert lone.conversation == "", "nothing was done yet"


@pytest.mark.parametrize("session", ["", "a/b", "a\nb", "$(x)", "-rf", "ü", "x" * 81, "\ud800"])
def test_names_are_plain(session: str) -> None:
    name = name_of(session, "ask")
    assert name.isascii()
    assert name.replace("_", "").isalnum()
    assert name_of("3f0d2c1e-58b7-4f6a-9d3e-7a1b2c4d5e6f", "") == "3f0d2c1e-58b7-4f6a-9d3e-7a1b2c4d5e6f"


async def test_who_has_another_key_stops_nobody_by_naming_their_session() -> None:
    sessions = GuardedSessions()
    for caller in (Caller(name="eve", role="user"), Caller(name="eve2", role="user")):
        asked = asking(15)
        asked.caller = caller
        assert refused(sessions, asked)
    assert {each.id for each in sessions.stopped} == {"s1~eve", "s1~eve2"}
    assert not refused(sessions, asking(14))
    disguised = asking(14, session="s1~eve")
    assert not refused(sessions, disguised)
    await sessions.act("s1~eve", "resume")
    assert [each.id for each in sessions.stopped] == ["s1~eve2"]


# ---------------------------------------------------------------- compaction

SUMMARY = "This session is being continued from a previous conversation that ran out of context.\nSummary: …"


def going_on(turns: int, ask: str = "Make the tests pass", offset: int = 0, person: str = "") -> Asking:
    """A request after so many turns that all did something else."""
    steps = [claude(f"cat f{offset + number}.py", 0, f"{offset + number}") for number in range(turns)]
    if person:
        steps[-1] = steps[-1]._replace(person=person)
    return Asking(Request(model="m", messages=tuple(conversation(steps, ask)), tools=TOOLS))


async def test_turns_before_a_compaction_count_too() -> None:
    sessions = GuardedSessions()
    for turns in range(1, 121):
        assert not refused(sessions, going_on(turns))
    for turns in range(1, 60):
        assert not refused(sessions, going_on(turns, SUMMARY, 120))
    # Once more: 120 + 59 turns by now.
    for turns in range(1, 21):
        assert not refused(sessions, going_on(turns, SUMMARY, 179))
    assert refused(sessions, going_on(21, SUMMARY, 179))
    assert sessions.stopped[0].detail == "the model took 200 turns since a person last spoke"
    await sessions.act("s1", "resume")
    assert not refused(sessions, going_on(22, SUMMARY, 179))
    assert not refused(sessions, going_on(150, SUMMARY, 179))


async def test_a_person_who_speaks_after_a_compaction_begins_anew() -> None:
    sessions = GuardedSessions()
    for turns in range(1, 151):
        sessions.check(going_on(turns))
    sessions.check(going_on(10, SUMMARY, 150, person="Now the other module"))
    steps = [claude(f"cat g{number}.py", 0, f"{number}") for number in range(195)]
    steps[9] = steps[9]._replace(person="Now the other module")
    asked = Asking(Request(model="m", messages=tuple(conversation(steps, SUMMARY)), tools=TOOLS))
    assert not refused(sessions, asked)


async def test_helpers_of_a_session_do_not_count_for_it() -> None:
    sessions = GuardedSessions()
    for turns in range(1, 101):
        sessions.check(going_on(turns))
        sessions.check(going_on(turns // 2 + 1, "A helper's task", 1_000))
    assert not refused(sessions, going_on(99, SUMMARY, 100))
    assert refused(sessions, going_on(100, SUMMARY, 100))


async def test_compacted_conversations_without_a_name_are_told_apart() -> None:
    sessions = GuardedSessions()
    one, other = going_on(2, f"{SUMMARY} The login"), going_on(2, f"{SUMMARY} The shop")
    for asked in (one, other):
        asked.session = ""
        sessions.check(asked)
    assert one.conversation != other.conversation
