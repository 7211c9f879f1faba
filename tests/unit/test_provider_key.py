"""A provider's key: looked up once off the event loop, and anew when it was changed."""

import asyncio
import threading

import pytest

from lynkr_desktop.engine.providers import key as module
from lynkr_desktop.engine.providers.key import ProviderKey


async def test_it_is_looked_up_once_and_off_the_event_loop() -> None:
    threads: list[str] = []

    def find() -> str:
        threads.append(threading.current_thread().name)
        return "sk-1"

    key = ProviderKey(find)
    key.start()
    assert await asyncio.gather(key.get(), key.get()) == ["sk-1", "sk-1"]
    assert await key.get() == "sk-1"
    assert len(threads) == 1
    assert threads[0] != threading.main_thread().name


async def test_a_changed_key_takes_effect_once_the_old_one_is_forgotten() -> None:
    stored = ["sk-old"]
    key = ProviderKey(lambda: stored[0])
    assert await key.get() == "sk-old"
    stored[0] = "sk-new"
    assert await key.get() == "sk-old"
    key.forget()
    assert await key.get() == "sk-new"


async def test_a_lookup_that_was_under_way_when_the_key_changed_does_not_count() -> None:
    stored, go = ["sk-old"], threading.Event()

    def find() -> str:
        found = stored[0]
        if found == "sk-old":
            go.wait(5)
        return found

    key = ProviderKey(find)
    waiting = asyncio.create_task(key.get())
    await asyncio.sleep(0)
    stored[0] = "sk-new"
    key.forget()
    assert await waiting == "sk-new"
    go.set()
    assert await key.get() == "sk-new"


async def test_a_lookup_that_hangs_holds_nobody_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOKUP_TIMEOUT", 0.01)
    go = threading.Event()
    key = ProviderKey(lambda: "sk-late" if go.wait(5) else None)
    assert await key.get() is None
    go.set()
    monkeypatch.setattr(module, "LOOKUP_TIMEOUT", 5)
    assert await key.get() == "sk-late"


async def test_a_key_that_was_not_there_is_looked_for_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    stored: list[str | None] = [None]
    key = ProviderKey(lambda: stored[0])
    assert await key.get() is None
    stored[0] = "sk-1"
    monkeypatch.setattr(module, "ABSENT_FOR", 0.0)
    async with asyncio.timeout(5):
        while await key.get() is None:
            await asyncio.sleep(0.001)


async def test_it_does_not_show_itself() -> None:
    key = ProviderKey(lambda: "sk-secret")
    await key.get()
    assert "sk-secret" not in repr(key)
