"""The tray's side of a restart: it follows the engine into its next process and starts no other."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from lynkr_desktop.running import find_engine
from lynkr_desktop.tasks import Tasks
from lynkr_desktop.ui.control_client import ControlClient
from lynkr_desktop.ui.engine_process import EngineHandle, StartFailure, engine_command
from lynkr_desktop.ui.supervisor import Supervisor
from tests.support.command import run_lynkr
from tests.support.engine import ROOT, TOKEN, config_for, write_config
from tests.support.serving import gone

pytestmark = pytest.mark.skipif(os.name != "posix", reason="there, an engine is restarted after its end")


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("told", [True, False], ids=["told by its status", "seen at its end"])
async def test_the_supervisor_follows_a_restarted_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: bool
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    paths = write_config(tmp_path / "home", config_for("http://127.0.0.1:9/v1"))
    ups: list[int] = []
    downs: list[int | None] = []
    failures: list[StartFailure] = []
    tasks = Tasks()

    def up(handle: EngineHandle) -> None:
        ups.append(handle.pid)

    def down(code: int | None, _delay: float) -> bool:
        downs.append(code)
        return False

    supervisor = Supervisor(
        paths,
        lambda _port: engine_command(str(paths.home), None, 0),
        tasks,
        on_starting=lambda: None,
        on_up=up,
        on_down=down,
        on_failed=lambda failure, _: failures.append(failure),
    )
    supervisor.start()
    try:
        for turn in (1, 2, 3):
            await until(lambda turn=turn: len(ups) == turn)
            found = find_engine(paths)
            assert found is not None
            assert found.pid == ups[-1]
            if turn == 3:
                break
            assert (await run_lynkr(paths.home, tmp_path, "restart")).code == 0
            if told:
                async with ControlClient(found.port, TOKEN) as client:
                    supervisor.answered((await client.status()).pid)
            # The one before was a child of nobody who waits for it: it ends for good.
            await gone(found.pid)
        assert len(set(ups)) == 3
        assert (downs, failures) == ([], [])
        handle = await supervisor.release()
        assert handle is not None
        assert handle.supervised
        handle.terminate()
        await handle.wait()
        assert not psutil.pid_exists(ups[-1]) or psutil.Process(ups[-1]).status() == psutil.STATUS_ZOMBIE
    finally:
        await tasks.close()
        if (left := find_engine(paths)) is not None:
            psutil.Process(left.pid).kill()
