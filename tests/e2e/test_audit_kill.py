"""kill -9 in the middle of administrative work: what was acknowledged counts and is in the audit log."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import aiohttp
import pytest

from lynkr_desktop.engine.security.audit import AuditLog
from tests.support.engine import TOKEN, config_for, write_config
from tests.support.serving import start_serving

KILLS = 4


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX's")
async def test_what_was_acknowledged_counts_after_a_kill(tmp_path: Path) -> None:
    home = tmp_path / "home"
    config = config_for("http://127.0.0.1:9/v1")
    config["proxy"]["port"] = 0
    paths = write_config(home, config)
    added: dict[str, str] = {}
    leaving: set[str] = set()
    removed: set[str] = set()
    for number in range(KILLS):
        serving = await start_serving(paths)
        url = f"{serving.url}/v1/admin"
        enough = asyncio.Event()

        async def work(
            worker: int, number: int = number, url: str = url, enough: asyncio.Event = enough
        ) -> None:
            headers = {"authorization": f"Bearer {TOKEN}"}
            async with aiohttp.ClientSession(headers=headers) as http:
                for step in range(1000):
                    name = f"k{number}-{worker}-{step}"
                    try:
                        async with http.post(f"{url}/access", json={"name": name}) as response:
                            assert response.status == 201
                            added[name] = (await response.json())["key"]
                        if step % 3 == 0:
                            leaving.add(name)
                            async with http.delete(f"{url}/access/{name}") as response:
                                assert response.status == 200
                                removed.add(name)
                    except (aiohttp.ClientError, ConnectionError):
                        return
                    if step == 3 + number:
                        enough.set()

        workers = [asyncio.create_task(work(worker)) for worker in range(3)]
        async with asyncio.timeout(60):
            await enough.wait()
        os.kill(serving.runtime.pid, signal.SIGKILL)
        await serving.ended()
        await asyncio.gather(*workers)

        log = AuditLog(home)
        check = log.check()
        assert check.intact, check.faults
        noted = [(entry.what, entry.detail) for entry in log.entries()]
        for name in added:
            assert ("access key added", f"{name}, user") in noted
        for name in removed:
            assert ("access key removed", f"name {name}") in noted
    serving = await start_serving(paths)
    _, listed = await serving.call("GET", "access")
    there = {info["name"] for info in listed["keys"]}
    assert listed["problem"] == ""
    assert set(added) - leaving <= there
    assert not removed & there
    async with aiohttp.ClientSession() as http:
        for name, key in list(added.items())[:20]:
            headers = {"authorization": f"Bearer {key}"}
            async with http.get(f"{serving.url}/v1/admin/access/self", headers=headers) as response:
                assert response.status == (200 if name in there else 401)
    await serving.call("POST", "shutdown", {"force": True})
    await serving.ended()
    assert AuditLog(home).check().intact
