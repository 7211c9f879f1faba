"""The parts of the response cache: what is kept, under which key, and how the file behaves."""

from __future__ import annotations

import os
import sqlite3
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr_desktop.engine.cache import workspace
from lynkr_desktop.engine.cache.bodies import Bodies, Body
from lynkr_desktop.engine.cache.key import Asked, directive_of, fields_digest, request_key, unfit
from lynkr_desktop.engine.cache.recording import LARGEST, Recording, State, text_of, unfolded
from lynkr_desktop.engine.cache.store import ReplyStore, StoreError
from lynkr_desktop.engine.cache.stored import Facts, Stored
from lynkr_desktop.engine.cache.workspace import Disk, head_of, mentioned
from lynkr_desktop.engine.routing.decision import Decision, Target
from lynkr_desktop.engine.routing.profile import Profile
from lynkr_desktop.engine.wire.canonical import (
    BlockStarted,
    BlockStopped,
    Event,
    Failed,
    Image,
    Message,
    RedactedThinking,
    Reply,
    Request,
    Started,
    Stopped,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    Tool,
    ToolInputDelta,
    ToolUse,
    Usage,
)
from lynkr_desktop.engine.wire.errors import InvalidRequest
from lynkr_desktop.protocol.tiers import Tier
from tests.support.workspace import git, write

MB = 1024**2
DAY = 86400.0


def reply_events(text: str) -> list[Event]:
    """A short reply with one of each kind of event."""
    return [
        Started("m1", "model", Usage(input_tokens=5)),
        BlockStarted(0, Thinking("")),
        ThinkingDelta(0, "hm", "sig"),
        BlockStopped(0),
        BlockStarted(1, RedactedThinking("sealed")),
        BlockStopped(1),
        BlockStarted(2, Text("")),
        TextDelta(2, text),
        BlockStopped(2),
        BlockStarted(3, ToolUse("call_1", "run", {})),
        ToolInputDelta(3, '{"b": 1, '),
        ToolInputDelta(3, '"a": [null, "ü"]}'),
        BlockStopped(3),
        Stopped("tool_use", Usage(input_tokens=5, output_tokens=7, cost=0.25)),
    ]


def stored(key: bytes, text: str = "said", **more: Any) -> Stored:
    """A reply as it is put into the store."""
    facts = Facts("fake", "m", Tier.SIMPLE, "m-told", Usage(input_tokens=5, cost=0.25), "what was asked")
    fields: dict[str, Any] = {"created": time.time(), "root": "", "head": "", "files": ()}
    return Stored(key=key, facts=facts, events=reply_events(text), **{**fields, **more})


def put(store: ReplyStore, reply: Stored, limit: int = 64 * MB) -> bool:
    """Stores a reply for a day."""
    return store.put(reply, limit=limit, ttl=DAY)


def bulk(size: int) -> str:
    """Text that does not compress."""
    return os.urandom(size).decode("latin-1")


def on_disk(store: ReplyStore) -> bytes:
    """All bytes of the store's files."""
    return b"".join(path.read_bytes() for path in store.file.parent.iterdir())


# ---------------------------------------------------------------- the file


def test_a_reply_comes_back_as_it_was_also_in_another_process(tmp_path: Path) -> None:
    store = ReplyStore(tmp_path / "r.sqlite")
    reply = stored(b"k", "ä\0\u2028 text", root="/w", head="h", files=("a.py", "ü/b.py"))
    assert put(store, reply)
    assert store.get(b"k", DAY) == reply
    store.close()
    again = ReplyStore(tmp_path / "r.sqlite")
    assert again.get(b"k", DAY) == reply
    assert again.get(b"other", DAY) is None
    [listed] = again.listing(10)
    assert (listed.key, listed.hits, listed.root, listed.head) == (b"k", 2, "/w", "h")


def test_nothing_is_made_on_the_disk_until_something_is_stored(tmp_path: Path) -> None:
    store = ReplyStore(tmp_path / "deep" / "r.sqlite")
    assert store.get(b"k", DAY) is None
    assert (store.listing(5), store.clear(), store.forget("/w", {"a"}, None)) == ([], (0, 0), 0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    store = ReplyStore(tmp_path / "deep" / "r.sqlite")
    old = os.umask(0)
    try:
        put(store, stored(b"k"))
    finally:
        os.umask(old)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in store.file.parent.iterdir()}
    assert set(modes.values()) == {0o600}, modes
    assert stat.S_IMODE(store.file.parent.stat().st_mode) == 0o700


def test_those_that_were_not_used_for_longest_go_first(tmp_path: Path) -> None:
    now = 1000.0
    store = ReplyStore(tmp_path / "r.sqlite", lambda: now)
    for number in range(6):
        now += 1
        assert put(store, stored(b"%d" % number, bulk(100_000), created=now), limit=MB)
    now += 1
    assert store.get(b"0", DAY) is not None
    for number in range(6, 12):
        now += 1
        put(store, stored(b"%d" % number, bulk(100_000), created=now), limit=MB)
    kept = {listed.key for listed in store.listing(100)}
    assert b"0" in kept, "it was used"
    assert b"1" not in kept
    assert b"11" in kept


def test_the_file_stays_within_its_bound(tmp_path: Path) -> None:
    store = ReplyStore(tmp_path / "r.sqlite")
    limit = 4 * MB
    for number in range(300):
        put(store, stored(b"%d" % number, bulk(1000 + (number * 7919) % 200_000)), limit=limit)
        assert store.size <= limit
    store.close()
    assert store.file.stat().st_size <= limit * 1.1
    store.trim(limit=MB, ttl=DAY)
    store.close()
    assert store.file.stat().st_size <= MB * 1.1
    assert ReplyStore(store.file).listing(1), "some are left"


def test_many_small_ones_stay_within_the_bound(tmp_path: Path) -> None:
    store = ReplyStore(tmp_path / "r.sqlite")
    for number in range(600):
        put(store, stored(b"%d" % number), limit=MB)
    store.close()
    assert store.file.stat().st_size <= MB * 1.1


def test_one_that_would_push_out_too_many_others_is_not_stored(tmp_path: Path) -> None:
    store = ReplyStore(tmp_path / "r.sqlite")
    assert put(store, stored(b"small"), limit=MB)
    assert not put(store, stored(b"huge", bulk(MB // 2)), limit=MB)
    assert store.get(b"small", DAY) is not None


def test_an_old_one_is_not_given_and_goes(tmp_path: Path) -> None:
    now = 1000.0
    store = ReplyStore(tmp_path / "r.sqlite", lambda: now)
    store.put(stored(b"k", created=now), limit=MB, ttl=60)
    now += 59
    assert store.get(b"k", 60) is not None
    now += 2
    assert store.get(b"k", 60) is None
    assert store.count == 0


def test_what_is_deleted_leaves_no_bytes(tmp_path: Path) -> None:
    store = ReplyStore(tmp_path / "r.sqlite")
    for number in range(20):
        put(store, stored(b"k%d" % number, root=f"/folder-{number}-secretive"))
    assert b"folder-7-secretive" in on_disk(store)
    assert store.remove(b"k7")
    assert not store.remove(b"k7")
    assert b"folder-7-secretive" not in on_disk(store)
    assert store.clear()[0] == 19
    assert b"secretive" not in on_disk(store)
    assert b"what was asked" not in on_disk(store)
    assert put(store, stored(b"again"))


@pytest.mark.parametrize("damage", ["not a database", "cut", "middle", "version"])
def test_a_damaged_file_is_made_anew(tmp_path: Path, damage: str) -> None:
    store = ReplyStore(tmp_path / "r.sqlite")
    for number in range(50):
        put(store, stored(b"%d" % number, bulk(20_000)))
    store.close()
    content = store.file.read_bytes()
    if damage == "not a database":
        store.file.write_bytes(b"\x00rubbish" * 1000)
    elif damage == "cut":
        store.file.write_bytes(content[: len(content) // 3])
    elif damage == "middle":
        store.file.write_bytes(content[:4096] + os.urandom(len(content) - 4096))
    else:
        with sqlite3.connect(store.file) as connection:
            connection.execute("PRAGMA user_version = 99")
    again = ReplyStore(store.file)
    for number in range(50):
        found = again.get(b"%d" % number, DAY)
        assert found is None or found.events[-1] == reply_events("")[-1]
    put(again, stored(b"new"))
    put(again, stored(b"new"))  # the first may be what finds the damage
    assert again.get(b"new", DAY) is not None


def test_a_damaged_reply_is_dropped_and_the_others_stay(tmp_path: Path) -> None:
    store = ReplyStore(tmp_path / "r.sqlite")
    put(store, stored(b"good"))
    put(store, stored(b"bad"))
    put(store, stored(b"bomb"))
    store.close()
    import zlib

    with sqlite3.connect(store.file) as connection:
        connection.execute("UPDATE replies SET events = ? WHERE key = ?", (b"x\x9crubbish", b"bad"))
        bomb = zlib.compress(b"\0" * 200 * MB, 9)
        connection.execute("UPDATE replies SET events = ? WHERE key = ?", (bomb, b"bomb"))
    connection.close()
    assert store.get(b"bad", DAY) is None
    assert store.get(b"bomb", DAY) is None
    assert store.get(b"good", DAY) is not None
    assert store.count == 1


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on files there")
def test_a_full_disk_loses_nothing_and_fails_nothing(tmp_path: Path) -> None:
    import resource
    import signal

    store = ReplyStore(tmp_path / "r.sqlite")
    put(store, stored(b"old", "older"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
        assert not put(store, stored(b"new", bulk(2 * MB)))
        assert "not stored" in store.problem
        assert store.get(b"new", DAY) is None
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    again = ReplyStore(store.file)
    assert again.get(b"old", DAY) is not None
    assert put(again, stored(b"new"))


@pytest.mark.skipif(sys.platform == "win32", reason="folders have no such modes there")
def test_what_cannot_be_deleted_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ReplyStore(tmp_path / "r.sqlite")
    store.file.mkdir()
    with pytest.raises(StoreError, match="delete it"):
        store.clear()


def test_what_hangs_on_a_file_or_a_commit_goes_with_it(tmp_path: Path) -> None:
    store = ReplyStore(tmp_path / "r.sqlite")
    put(store, stored(b"a", root="/w", head="1", files=("a.py",)))
    put(store, stored(b"b", root="/w", head="1", files=("b.py", "c.py")))
    put(store, stored(b"elsewhere", root="/x", head="1", files=("a.py",)))
    put(store, stored(b"nowhere"))
    assert store.forget("/w", {"a.py", "z.py"}, "1") == 1
    assert {one.key for one in store.listing(9)} == {b"b", b"elsewhere", b"nowhere"}
    assert store.forget("/w", (), "2") == 1
    assert {one.key for one in store.listing(9)} == {b"elsewhere", b"nowhere"}


# ---------------------------------------------------------------- recordings


CONTENT = st.lists(
    st.one_of(
        st.builds(Text, st.text()),
        st.builds(Thinking, st.text(), st.text()),
        st.builds(RedactedThinking, st.text()),
        st.builds(
            ToolUse,
            st.text(min_size=1),
            st.text(min_size=1),
            st.dictionaries(
                st.text(), st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(), max_size=4
            ),
        ),
    ),
    max_size=6,
).map(tuple)


@given(CONTENT, st.sampled_from(["end_turn", "tool_use", "stop_sequence"]))
def test_a_whole_reply_is_the_same_after_storing(content: tuple[Any, ...], stop: Any) -> None:
    reply = Reply("id", "model", content, stop, Usage(1, 2, 3, 4, 5, cost=0.5), "END")
    events = unfolded(reply)
    packed = msgspec.msgpack.decode(msgspec.msgpack.encode(events), type=list[Event])
    assert packed == events
    assert Reply.of(packed) == reply


def _good(events: list[Event], **request: Any) -> bool:
    recording = Recording(b"k", State(), 0)
    recording.add(events)
    return recording.good(Request("m", (), **request))


def _ended(reason: Any, *blocks: Any) -> list[Event]:
    return unfolded(Reply("i", "m", blocks or (Text("x"),), reason, Usage()))


def test_only_what_ended_well_is_kept() -> None:
    tools = (Tool("run"),)
    assert _good(_ended("end_turn"))
    assert _good(_ended("stop_sequence"))
    assert _good(_ended("tool_use", ToolUse("1", "run", {"a": 1})), tools=tools)
    assert _good(_ended("max_tokens"), max_tokens=5), "the client asked for so much"
    assert not _good(_ended("max_tokens")), "the model ran out"
    assert not _good(_ended("refusal"))
    assert not _good(_ended("tool_use", ToolUse("1", "other", {})), tools=tools)
    assert not _good(_ended("tool_use", ToolUse("1", "run", {"raw": '{"a": '})), tools=tools)
    assert not _good(_ended("end_turn", Thinking("only thought")))
    assert not _good(_ended("end_turn")[:-1])
    assert not _good([*_ended("end_turn")[:-1], Failed("broke")])
    assert not _good([])


def test_a_reply_without_end_is_forgotten_while_it_comes() -> None:
    recording = Recording(b"k", State(), 0)
    recording.add([Started(), BlockStarted(0, Text(""))])
    for _ in range(20):
        recording.add([TextDelta(0, "x" * (LARGEST // 10))])
    assert recording.events == []
    recording.add([BlockStopped(0), Stopped("end_turn", Usage())])
    assert not recording.good(Request("m", ()))


def test_all_that_a_reply_says_is_looked_at() -> None:
    said = text_of(reply_events("the words"))
    for part in ("hm", "the words", '{"b": 1, "a": [null, "ü"]}'):
        assert part in said


# ---------------------------------------------------------------- bodies


def long_body(text: str, size: int = 20_000) -> Body:
    """A body of so many bytes that begins with a text."""
    return Body(text.encode().ljust(size), Request("m", ()), b"", ())


def test_a_body_is_known_only_where_all_of_it_is_the_same() -> None:
    bodies, one = Bodies(), long_body("one")
    bodies.put("openai_chat", one)
    assert bodies.get("openai_chat", bytes(bytearray(one.data))) is one
    assert bodies.get("anthropic_messages", one.data) is None
    assert bodies.get("openai_chat", long_body("two").data) is None
    bodies.clear()
    assert bodies.get("openai_chat", one.data) is None


def test_those_that_were_not_seen_for_longest_are_forgotten() -> None:
    bodies = Bodies(most=50_000)
    one, two, three = (
        long_body(text, 20_000 + number) for number, text in enumerate(("one", "two", "three"))
    )
    for body_ in (one, two):
        bodies.put("openai_chat", body_)
    assert bodies.get("openai_chat", one.data) is one
    bodies.put("openai_chat", three)
    assert bodies.get("openai_chat", two.data) is None
    assert bodies.get("openai_chat", one.data) is one
    # In the place of one that looks alike, and what is too long or too short is not kept.
    for number in range(10):
        bodies.put("openai_chat", long_body(f"alike {number}"))
    bodies.put("openai_chat", long_body("huge", 60_000))
    bodies.put("openai_chat", long_body("short", 100))
    assert bodies.get("openai_chat", one.data) is None
    assert bodies.get("openai_chat", long_body("huge", 60_000).data) is None
    assert bodies.get("openai_chat", long_body("short", 100).data) is None
    assert bodies.get("openai_chat", long_body("alike 9").data) is not None


# ---------------------------------------------------------------- keys


def profile(name: str = "default", *, local: bool = False) -> Profile:
    """A profile."""
    return Profile(name, local, frozenset(), "always", "order")


def asked(**more: Any) -> Asked:
    """A request as it is hashed."""
    fields: dict[str, Any] = {
        "body": b'{"model":"auto-route","messages":[{"role":"user","content":"hi"}],"temperature":0}',
        "dialect": "openai_chat",
        "decision": Decision(Tier.SIMPLE, ((Target("p", "m", Tier.SIMPLE),),), "", profile()),
        "upstreams": ("p openai http://x",),
        "stages": ("sha256_lru_cache",),
        "headers": {},
        "query": "",
        "credential": None,
    }
    sent = {**fields, **more}
    return Asked(fields=fields_digest(sent.pop("body")), **sent)


def body(**fields: Any) -> bytes:
    """A body of OpenAI Chat with some fields more."""
    return msgspec.json.encode({"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields})


def test_how_an_answer_is_carried_and_who_asks_is_no_part_of_the_key() -> None:
    plain = request_key(asked(body=body()), b"")
    for more in (
        {"stream": True, "stream_options": {"include_usage": True}},
        {"user": "someone"},
        {"metadata": {"session": "1"}},
    ):
        assert request_key(asked(body=body(**more)), b"") == plain
    headers = {"User-Agent": "x", "Authorization": "Bearer 1", "x-lynkr-session": "s"}
    assert request_key(asked(body=body(), headers=headers), b"") == plain


def test_everything_that_an_answer_depends_on_is_part_of_the_key() -> None:
    other = Decision(Tier.SIMPLE, ((Target("p", "other", Tier.SIMPLE),),), "", profile())
    tier = Decision(Tier.COMPLEX, ((Target("p", "m", Tier.SIMPLE),),), "", profile())
    secure = Decision(Tier.SIMPLE, ((Target("p", "m", Tier.SIMPLE),),), "", profile("secure", local=True))
    fields: list[dict[str, Any]] = [
        {"messages": [{"role": "user", "content": "hi "}]},
        {"messages": [{"role": "user", "content": "hi"}, {"role": "user", "content": ""}]},
        {"messages": [{"role": "system", "content": "be"}, {"role": "user", "content": "hi"}]},
        {"messages": [{"role": "user", "content": "hi", "name": "a"}]},
        {"model": "tier:simple"},
        {"temperature": 0},
        {"temperature": 0.0},
        {"top_p": 1},
        {"seed": 1},
        {"stop": ["a", "b"]},
        {"stop": ["ab"]},
        {"max_tokens": 5},
        {"max_completion_tokens": 5},
        {"response_format": {"type": "json_object"}},
        {"reasoning_effort": "low"},
        {"tools": [{"type": "function", "function": {"name": "a"}}]},
        {"tools": [{"type": "function", "function": {"name": "b"}}]},
        {"tool_choice": "none"},
        {"system": "be"},
        {"unheard_of": None},
    ]
    keys = [request_key(asked(body=body(**more)), b"") for more in ({}, *fields)]
    keys += [
        request_key(asked(body=body(), **more), b"")
        for more in (
            {"dialect": "anthropic_messages"},
            {"decision": other},
            {"decision": tier},
            {"decision": secure},
            {"upstreams": ("p openai http://y",)},
            {"stages": ("sha256_lru_cache", "distill_compression")},
            {"headers": {"Anthropic-Beta": "context-1m"}},
            {"headers": {"anthropic-beta": "other"}},
            {"query": "beta=true"},
            {"credential": ("x-api-key", "one")},
            {"credential": ("x-api-key", "two")},
        )
    ]
    keys += [request_key(asked(body=body()), state) for state in (b"one", b"two")]
    assert len(set(keys)) == len(keys)


@given(st.dictionaries(st.text(max_size=4), st.text(max_size=6), max_size=4), st.data())
def test_two_bodies_have_one_key_only_when_they_ask_the_same(one: dict[str, str], data: Any) -> None:
    other = data.draw(st.dictionaries(st.text(max_size=4), st.text(max_size=6), max_size=4) | st.just(one))
    same = request_key(asked(body=msgspec.json.encode(one)), b"") == request_key(
        asked(body=msgspec.json.encode(other)), b""
    )
    matter = [{k: v for k, v in each.items() if k not in ("user", "stream")} for each in (one, other)]
    assert same == (matter[0] == matter[1])


def test_a_header_that_says_nothing_known_is_refused() -> None:
    assert directive_of({}) == ""
    assert directive_of({"x-lynkr-cache": " Refresh "}) == "refresh"
    for wrong in ("yes", "hit", "no store"):
        with pytest.raises(InvalidRequest, match="refresh, no-store or bypass"):
            directive_of({"x-lynkr-cache": wrong})


def test_requests_that_want_something_new_each_time_are_left_alone() -> None:
    def message(*blocks: Any, **more: Any) -> Request:
        return Request("m", (Message("user", blocks),), **more)

    picture = Image("image/png", data="x" * 1000)
    assert unfit(message(Text("a")), 100, 0.3) == ""
    assert unfit(message(Text("a"), temperature=0.3), 100, 0.3) == ""
    assert unfit(message(Text("a"), picture), 100, 0.3) == ""
    assert "temperature" in unfit(message(Text("a"), temperature=0.31), 100, 0.3)
    assert "large" in unfit(message(Text("a")), 9 * MB, 0.3)
    assert "large" in unfit(message(Image("image/png", data="x" * 2 * MB)), 100, 0.3)
    assert "URL" in unfit(message(Image(url="https://example.com/a.png")), 100, 0.3)
    assert "logprobs" in unfit(message(Text("a"), inexpressible=("logprobs",)), 100, 0.3)


# ---------------------------------------------------------------- workspaces


def settled(path: Path, ago: float = 60.0) -> None:
    """Makes a file look as if it was written a while ago; its ctime cannot be set."""
    os.utime(path, (time.time() - ago,) * 2)


def test_a_file_is_known_by_what_it_holds(tmp_path: Path) -> None:
    disk, path = Disk(), tmp_path / "a.txt"
    absent = disk.digest(str(path))
    path.write_text("one")
    one = disk.digest(str(path))
    path.write_text("two")
    two = disk.digest(str(path))
    path.write_text("one")
    assert disk.digest(str(path)) == one
    path.unlink()
    assert disk.digest(str(path)) == absent
    path.mkdir()
    assert len({absent, one, two, disk.digest(str(path))}) == 4


def test_a_change_within_a_tick_of_the_clock_is_seen(tmp_path: Path) -> None:
    """A second write of the same length that leaves time and size of a file as they were."""
    disk, path = Disk(), tmp_path / "a.txt"
    path.write_text("one")
    os.utime(path, ns=(10**18, 10**18))
    one = disk.digest(str(path))
    path.write_text("two")
    os.utime(path, ns=(10**18, 10**18))
    assert disk.digest(str(path)) != one


def test_an_unchanged_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one")
    monkeypatch.setattr(workspace, "_SETTLED_NS", -1)
    reads: list[str] = []
    original: Callable[..., Any] = workspace.read
    monkeypatch.setattr(workspace, "read", lambda *all_: reads.append(all_[0]) or original(*all_))
    disk = Disk()
    assert disk.digest(str(path)) == disk.digest(str(path))
    assert len(reads) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
def test_links_pipes_and_huge_files_do_no_harm(tmp_path: Path) -> None:
    disk = Disk()
    target, link, pipe, huge = (tmp_path / name for name in ("target", "link", "pipe", "huge"))
    target.write_text("one")
    link.symlink_to(target)
    os.mkfifo(pipe)
    with huge.open("wb") as file:
        file.truncate(10**11)
    first = [disk.digest(str(path)) for path in (link, pipe, huge)]
    assert [disk.digest(str(path)) for path in (link, pipe, huge)] == first
    target.write_text("another")
    assert disk.digest(str(link)) != first[0]
    assert disk.digest(str(tmp_path / ("x" * 5000))) == b"absent"
    assert disk.digest("a\0b") == b"absent"


def test_head_is_told_whatever_moves_it(tmp_path: Path) -> None:
    assert head_of(str(tmp_path)) == ""
    repo = write(tmp_path / "repo", {"a.py": "1"})
    git(repo, "init")
    seen = {head_of(str(repo))}

    def moved() -> None:
        head = head_of(str(repo))
        assert head not in seen
        assert head_of(str(repo / "sub" / "folder")) == head
        seen.add(head)

    git(repo, "add", ".")
    git(repo, "commit", "-m", "one")
    moved()
    first = git(repo, "rev-parse", "HEAD").strip()
    git(repo, "commit", "--allow-empty", "-m", "two")
    moved()
    git(repo, "checkout", "-b", "other")
    moved()
    before = head_of(str(repo))
    git(repo, "pack-refs", "--all")
    assert head_of(str(repo)) == before, "it is the same commit"
    git(repo, "commit", "--allow-empty", "-m", "three")
    moved()
    git(repo, "checkout", "--detach", first)
    moved()
    git(repo, "worktree", "add", str(tmp_path / "tree"), "main")
    tree = head_of(str(tmp_path / "tree"))
    assert tree
    git(tmp_path / "tree", "commit", "--allow-empty", "-m", "four")
    assert head_of(str(tmp_path / "tree")) != tree


def test_files_are_found_in_words_and_calls_of_all_turns() -> None:
    request = Request(
        "m",
        (
            Message("user", (Text("Look at docs/guide.md and ./Makefile, then config.yaml."),)),
            Message("assistant", (ToolUse("1", "Read", {"file_path": "/w/src/early.py"}),)),
            Message("assistant", (ToolUse("2", "Bash", {"command": "cat lib/other.rs | head"}),)),
            Message("user", (Text("Now explain `UserService` in @src/user.ts"),)),
        ),
    )
    found = set(mentioned(request))
    assert {
        "docs/guide.md",
        "./Makefile",
        "config.yaml",
        "/w/src/early.py",
        "lib/other.rs",
        "UserService",
        "src/user.ts",
    } <= found


def test_a_hostile_text_costs_little_and_names_are_bounded() -> None:
    text = "a/" * 500_000 + "." * 500_000 + " ".join(f"f{n}.py" for n in range(100_000))
    began = time.thread_time()
    found = mentioned(Request("m", tuple(Message("user", (Text(text),)) for _ in range(50))))
    assert len(found) <= workspace.MOST_NAMES
    assert time.thread_time() - began < 5.0
