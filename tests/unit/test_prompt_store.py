"""Stored prompts: bounded in age and size, without secrets, gone when they are to be gone."""

from __future__ import annotations

import random
import stat
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lynkr_desktop.engine.telemetry.prompt_store import PromptStore, read_prompts
from lynkr_desktop.engine.wire.canonical import Message, Request, Text

MB = 1024**2


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def prompt(*texts: str) -> Request:
    return Request("m", tuple(Message("user", (Text(text),)) for text in texts))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(tmp_path: Path, clock: Clock) -> AsyncIterator[PromptStore]:
    made = PromptStore(tmp_path / "prompts.db", clock=clock)
    yield made
    await made.close()


def put(store: PromptStore, id_: str, at: float, request: Request, sent: Request | None = None) -> None:
    store.put(id_, at, request, sent or request, 100, ())


async def test_off_by_default_nothing_is_stored(store: PromptStore) -> None:
    put(store, "a", 0.0, prompt("hi"))
    assert await store.get("a") is None
    assert not store.path.exists()


async def test_a_prompt_comes_back_turn_by_turn_with_what_was_changed(
    store: PromptStore, clock: Clock
) -> None:
    store.take(3600.0, MB)
    put(store, "a", clock(), prompt("one", "two"), prompt("one", "2"))
    found = await store.get("a")
    assert found is not None
    assert [(turn.role, turn.text) for turn in found.turns] == [("user", "one"), ("user", "two")]
    (change,) = found.changes
    assert (change.before, change.after) == ("two", "2")


async def test_secrets_are_taken_out(store: PromptStore, clock: Clock) -> None:
    store.take(3600.0, MB)
    secret = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789"
    put(store, "a", clock(), prompt(f"my key is {secret}"))
    found = await store.get("a")
    assert found is not None
    assert "my key is" in found.turns[0].text
    assert secret not in found.turns[0].text


@pytest.mark.skipif(sys.platform == "win32", reason="modes of POSIX")
async def test_others_cannot_read_the_file(store: PromptStore, clock: Clock) -> None:
    store.take(3600.0, MB)
    put(store, "a", clock(), prompt("hi"))
    await store.get("a")
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600


async def test_old_ones_are_deleted(store: PromptStore, clock: Clock) -> None:
    store.take(3600.0, MB)
    put(store, "old", clock(), prompt("old"))
    clock.now += 3000
    put(store, "new", clock(), prompt("new"))
    clock.now += 1000
    put(store, "newest", clock(), prompt("newest"))
    assert set(await store.read(["old", "new", "newest"])) == {"new", "newest"}


async def test_the_oldest_go_first_where_there_are_too_many(store: PromptStore, clock: Clock) -> None:
    store.take(3600.0, 200_000)
    draw = random.Random(1)
    for number in range(60):
        clock.now += 1
        text = "".join(draw.choices("abcdefghijklmnopqrstuvwxyz ", k=10_000))
        put(store, str(number), clock(), prompt(text))
    found = await store.read(map(str, range(60)))
    kept = sorted(map(int, found))
    assert kept == list(range(60 - len(kept), 60))
    assert 10 < len(kept) < 40
    assert store.path.stat().st_size < 300_000


async def test_switched_off_the_file_is_gone(store: PromptStore, clock: Clock) -> None:
    store.take(3600.0, MB)
    put(store, "a", clock(), prompt("hi"))
    await store.get("a")
    store.take(None, MB)
    assert await store.get("a") is None
    assert not list(store.path.parent.iterdir())


async def test_what_is_forgotten_is_not_in_the_file(store: PromptStore, clock: Clock) -> None:
    store.take(3600.0, MB)
    put(store, "a", clock(), prompt("hi"))
    store.clear()
    assert await store.get("a") is None
    put(store, "b", clock(), prompt("hi again"))
    assert set(await store.read(["a", "b"])) == {"b"}


async def test_a_damaged_file_is_replaced(store: PromptStore, clock: Clock) -> None:
    store.path.write_bytes(b"this is no database, and never was one" * 100)
    store.take(3600.0, MB)
    put(store, "a", clock(), prompt("hi"))
    put(store, "b", clock(), prompt("hi"))
    assert set(await store.read(["a", "b"])) >= {"b"}


async def test_more_than_can_wait_is_let_go(store: PromptStore, clock: Clock) -> None:
    store.take(3600.0, 64 * MB)
    for number in range(1000):
        put(store, str(number), clock(), prompt("hi"))
    assert store.lost > 500
    assert len(await store.read(map(str, range(1000)))) == 1000 - store.lost


def test_without_a_file_there_are_none(tmp_path: Path) -> None:
    assert read_prompts(tmp_path / "none.db", ["a"]) == {}
