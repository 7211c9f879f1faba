"""A change of the configuration file is noticed once, however the file was saved."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import watchdog.observers

from lynkr_desktop.engine.watch.config_file import ConfigFileWatcher


class Changes:
    """Counts the calls and lets a test wait for them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.seen: list[str | None] = []
        self.error: Exception | None = None
        self._called = asyncio.Condition()

    async def __call__(self) -> None:
        async with self._called:
            self.seen.append(self.path.read_text() if self.path.is_file() else None)
            self._called.notify_all()
        if self.error:
            raise self.error

    async def wait(self, count: int) -> None:
        async with asyncio.timeout(10), self._called:
            await self._called.wait_for(lambda: len(self.seen) >= count)


@pytest.fixture
async def changes(tmp_path: Path) -> AsyncIterator[Changes]:
    path = tmp_path / "lynkr-routing.yaml"
    path.write_text("one")
    changes = Changes(path)
    watcher = ConfigFileWatcher(path, changes, debounce=0.05, poll_interval=60)
    watcher.start()
    assert not watcher.polling
    yield changes
    await watcher.stop()


async def test_plain_and_atomic_saves_deletion_and_return(changes: Changes) -> None:
    changes.path.write_text("two")
    await changes.wait(1)
    temporary = changes.path.with_suffix(".tmp")
    temporary.write_text("three")
    os.replace(temporary, changes.path)
    await changes.wait(2)
    changes.path.unlink()
    await changes.wait(3)
    changes.path.write_text("four")
    await changes.wait(4)
    assert changes.seen == ["two", "three", None, "four"]


async def test_saves_in_quick_succession_are_one_change(changes: Changes) -> None:
    for number in range(20):
        changes.path.write_text(f"half {number}")
    changes.path.write_text("whole")
    await changes.wait(1)
    changes.path.write_text("next")
    await changes.wait(2)
    assert changes.seen == ["whole", "next"]


async def test_the_same_content_and_other_files_are_no_change(changes: Changes) -> None:
    changes.path.write_text("one")
    changes.path.touch()
    changes.path.with_name("lynkr.db").write_text("other")
    changes.path.chmod(0o600)
    changes.path.write_text("two")
    await changes.wait(1)
    assert changes.seen == ["two"]


async def test_a_callback_that_fails_does_not_end_the_watch(changes: Changes) -> None:
    changes.error = ValueError("bad file")
    changes.path.write_text("two")
    await changes.wait(1)
    changes.path.write_text("three")
    await changes.wait(2)


async def test_a_file_that_never_rests_is_read_all_the_same(changes: Changes) -> None:
    stop = time.monotonic() + 8
    while not changes.seen and time.monotonic() < stop:
        changes.path.write_text(f"{time.monotonic()}")
        await asyncio.sleep(0.01)
    assert changes.seen


@pytest.mark.parametrize("case", ["no folder", "no watches left", "behind a link"])
async def test_polling_where_events_cannot_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    path = tmp_path / "folder" / "lynkr-routing.yaml"
    real = path
    if case != "no folder":
        path.parent.mkdir()
    if case == "no watches left":

        def exhausted(self: object) -> None:
            raise OSError(28, "inotify watch limit reached")

        monkeypatch.setattr(watchdog.observers.Observer, "start", exhausted)
    if case == "behind a link":
        real = tmp_path / "elsewhere" / "real.yaml"
        real.parent.mkdir()
        path.symlink_to(real)
    changes = Changes(path)
    watcher = ConfigFileWatcher(path, changes, debounce=0.02, poll_interval=0.05)
    watcher.start()
    assert watcher.polling == (case != "behind a link")
    try:
        real.parent.mkdir(exist_ok=True)
        real.write_text("one")
        await changes.wait(1)
        real.write_text("two, and longer")
        await changes.wait(2)
        assert changes.seen == ["one", "two, and longer"]
    finally:
        await watcher.stop()


async def test_stopping_leaves_no_thread_and_no_task(tmp_path: Path) -> None:
    path = tmp_path / "lynkr-routing.yaml"
    await asyncio.to_thread(time.monotonic)  # the loop's own pool has its thread now
    threads, tasks = set(threading.enumerate()), asyncio.all_tasks()
    for _ in range(5):
        watcher = ConfigFileWatcher(path, Changes(path))
        watcher.start()
        path.write_text(str(time.monotonic()))
        await watcher.stop()
        await watcher.stop()
    left = {thread for thread in threading.enumerate() if not thread.name.startswith("asyncio_")} - threads
    assert left == set()
    assert asyncio.all_tasks() == tasks
