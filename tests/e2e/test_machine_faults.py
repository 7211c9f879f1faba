"""What machines do to programs: full disks, folders that go away, clocks that jump, files that are damaged.

Each time: requests are answered, the trouble is told once and not with each request, and all is well again
once its cause is gone.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest
from aiohttp import web

from lynkr_desktop.paths import Paths
from tests.support.engine import TOKEN, config_for, engine_in_process, write_config
from tests.support.openai_server import OpenAIServer, openai_server
from tests.support.serving import Serving, ask_body, end, serving_engine, start_serving

pytestmark = pytest.mark.skipif(os.name != "posix", reason="these faults are made by means of POSIX")
linux = pytest.mark.skipif(sys.platform != "linux", reason="made by means of Linux")

CHAT = "/v1/chat/completions"
HEADERS = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
MOST_LINES = 25
"""Of warnings and errors, however many requests came meanwhile."""


@pytest.fixture
async def upstream() -> AsyncIterator[OpenAIServer]:
    async with openai_server() as server:
        yield server


async def ask(serving: Serving, count: int, *, url: str = "") -> None:
    """Asks `count` times, some streamed; every answer must be right."""
    url = url or serving.url
    async with aiohttp.ClientSession(headers=HEADERS) as http:

        async def one(number: int) -> None:
            stream = number % 5 == 0
            async with http.post(url + CHAT, data=ask_body(f"fault {number}", stream=stream)) as response:
                text = await response.text()
                assert response.status == 200, text
                assert not stream or text.rstrip().endswith("[DONE]"), text

        for start in range(0, count, 10):
            await asyncio.gather(*(one(number) for number in range(start, min(count, start + 10))))


async def told(serving: Serving, what: str, url: str = "") -> Any:
    """A call of the control API by GET that must succeed."""
    async with (
        aiohttp.ClientSession(headers=HEADERS) as http,
        http.get(f"{url or serving.url}/v1/admin/{what}") as response,
    ):
        return await response.json()


async def store_says(serving: Serving, what: str, url: str = "") -> None:
    """Waits until the readiness names the state of the records so; requests go on meanwhile."""
    async with asyncio.timeout(40):
        while what not in (found := await told(serving, "ready", url))["store"]:
            assert found["ready"], found
            await asyncio.sleep(0.05)


def complaints(paths: Paths, output: str = "") -> list[str]:
    """The warnings and errors in the log, and what was written to the terminal."""
    lines = paths.engine_log.read_text().splitlines() if paths.engine_log.is_file() else []
    return [line for line in lines + output.splitlines() if " WARNING " in line or " ERROR " in line]


def recorded(path: Path) -> int:
    """How many requests are in the records, which must be whole."""
    with closing(sqlite3.connect(path)) as records:
        assert records.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        (count,) = records.execute("SELECT COUNT(*) FROM requests").fetchone()
        return int(count)


# ---------------------------------------------------------------- the disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of three megabytes; only root can make one."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "lynkr-test", str(place)]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=False)


def remount(place: Path, options: str) -> None:
    """Makes a file system one to read alone, or to write to again."""
    subprocess.run(["mount", "-o", f"remount,{options}", str(place)], check="force" not in options)


def fill(folder: Path) -> Path:
    """Fills a disk to its last byte."""
    path = folder / "filler"
    with path.open("wb", buffering=0) as file:
        for size in (64 * 1024, 4096, 1):
            try:
                while file.write(b"x" * size) == size:
                    pass
            except OSError:
                continue
    return path


async def test_a_full_disk_stops_records_and_not_requests(small_disk: Path, upstream: OpenAIServer) -> None:
    config = config_for(upstream.url, memory={"enabled": True})
    async with serving_engine(small_disk / "home", config) as serving:
        await ask(serving, 20)
        await store_says(serving, "ok")
        filler = fill(small_disk)
        await ask(serving, 200)
        await store_says(serving, "cannot be written")
        await ask(serving, 200)
        status, deep = await serving.call("GET", "health?deep=true")
        assert status == 503
        assert {one["name"] for one in deep["checks"] if not one["ok"]} >= {"records", "disk"}
        status, refused = await serving.call("PATCH", "tiers/reasoning", {"enabled": False})
        assert status >= 500, "what cannot be kept is not acknowledged"
        assert "disk" in refused["error"] or "space" in refused["error"], refused
        told_lines = complaints(serving.paths, serving.said())
        assert len(told_lines) <= MOST_LINES, told_lines
        filler.unlink()
        await store_says(serving, "ok")
        assert (await serving.call("PATCH", "tiers/reasoning", {"enabled": False}))[0] == 200
        await ask(serving, 20)
        await told(serving, "requests")
        assert recorded(serving.paths.home / "lynkr.db") == 440, "what waited in memory was written"


@linux
async def test_files_that_may_not_grow_stop_records_and_not_requests(
    tmp_path: Path, upstream: OpenAIServer
) -> None:
    """As a quota does; needs no root."""
    async with serving_engine(tmp_path / "home", config_for(upstream.url)) as serving:
        await ask(serving, 20)
        await store_says(serving, "ok")
        process = psutil.Process(serving.runtime.pid)
        process.rlimit(psutil.RLIMIT_FSIZE, (0, psutil.RLIM_INFINITY))
        await ask(serving, 200)
        await store_says(serving, "cannot be written")
        await ask(serving, 100)
        process.rlimit(psutil.RLIMIT_FSIZE, (psutil.RLIM_INFINITY, psutil.RLIM_INFINITY))
        await store_says(serving, "ok")
        await told(serving, "requests")
        assert recorded(serving.paths.home / "lynkr.db") == 320
        assert len(complaints(serving.paths, serving.said())) <= MOST_LINES


async def test_a_home_that_cannot_be_written_is_told_at_the_start(
    small_disk: Path, upstream: OpenAIServer
) -> None:
    """A read-only file system, since root may write to any folder. With a token in it, the engine serves."""
    paths = write_config(small_disk / "home", config_for(upstream.url))
    remount(small_disk, "ro")
    output = small_disk.parent
    serving = await start_serving(
        Paths(paths.home, paths.config, paths.logs, paths.models, paths.cache),
        wait=False,
        output=output / "first.txt",
    )
    assert await serving.ended() == 6
    assert "cannot use its folder" in serving.said()
    assert "Traceback" not in serving.said()
    remount(small_disk, "rw")
    serving = await start_serving(paths, output=output / "second.txt")
    try:
        url = serving.url
        await ask(serving, 10)
        # As a disk does whose errors the system has seen; files that are open for writing do not hold it up.
        remount(small_disk, "ro,force")
        await ask(serving, 100, url=url)
        remount(small_disk, "rw")
        await ask(serving, 10, url=url)
        await store_says(serving, "ok", url)
    finally:
        await end(serving)


async def test_a_home_that_is_deleted_is_made_again(tmp_path: Path, upstream: OpenAIServer) -> None:
    async with serving_engine(tmp_path / "home", config_for(upstream.url)) as serving:
        url = serving.url
        await ask(serving, 10)
        await store_says(serving, "ok", url)
        shutil.rmtree(serving.paths.home)
        await ask(serving, 100, url=url)
        async with asyncio.timeout(30):
            while len((await told(serving, "requests?limit=1000", url)).get("requests", ())) < 100:
                await asyncio.sleep(0.05)
        await ask(serving, 10, url=url)
        assert "Traceback" not in serving.said()
        # A person who deletes the home has no other way to end it.
        serving.process.terminate()
        assert await serving.ended() == 0


# ---------------------------------------------------------------- damaged files

STORES = ("lynkr.db", "state.json", "token", "engine.json", "cache")


def damage(path: Path, how: str) -> None:
    """Does to a file, or to every file of a folder, what disks and people do to files."""
    if how == "gone":
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        return
    if path.is_dir():
        for below in [below for below in path.rglob("*") if below.is_file()]:
            damage(below, how)
        return
    if not path.exists():
        path.touch()
    if how == "folder":
        path.unlink()
        path.mkdir()
        (path / "something").touch()
        return
    content = path.read_bytes()
    if how == "flipped":
        content = bytes(byte ^ 0x5A if number % 7 == 0 else byte for number, byte in enumerate(content))
    else:
        content = {"truncated": content[: len(content) // 2], "empty": b""}[how]
    with path.open("r+b") as file:
        file.write(content)
        file.truncate()


def wear(home: Path, store: str, how: str, *, at_rest: bool) -> None:
    """Damages one of the stores, with the journals that belong to it."""
    damage(home / store, how)
    for suffix in ("-wal", "-shm") if at_rest else ():
        # What a running engine has mapped into its memory is not cut off by disks.
        if (side := home / f"{store}{suffix}").exists():
            damage(side, "gone" if how == "folder" else how)


@pytest.mark.parametrize("how", ["flipped", "truncated", "empty", "folder", "gone"])
async def test_files_that_are_damaged_at_the_start(tmp_path: Path, upstream: OpenAIServer, how: str) -> None:
    """All at once: what cannot be read is kept aside or made anew, and the engine serves."""
    config = config_for(upstream.url, memory={"enabled": True})
    async with serving_engine(tmp_path / "home", config) as serving:
        await ask(serving, 30)
        assert (await serving.call("PATCH", "tiers/reasoning", {"enabled": False}))[0] == 200
        await told(serving, "requests")
        paths = serving.paths
        serving.process.kill()
        await serving.process.wait()
    for store in STORES:
        if store == "token" and how == "folder":
            continue  # told at the start: see below
        wear(paths.home, store, how, at_rest=True)
    serving = await start_serving(paths)
    try:
        await ask(serving, 30)
        if how == "folder":
            await store_says(serving, "cannot be written")
            assert (await serving.call("PATCH", "tiers/reasoning", {"enabled": True}))[0] == 503
            for store in ("lynkr.db", "state.json"):
                shutil.rmtree(paths.home / store)
        await store_says(serving, "ok")
        assert len((await told(serving, "requests?limit=100"))["requests"]) >= 30
        assert (await serving.call("PATCH", "tiers/reasoning", {"enabled": True}))[0] == 200
        assert "Traceback" not in serving.said() + paths.engine_log.read_text()
        assert len(complaints(paths)) <= MOST_LINES, complaints(paths)
    finally:
        await end(serving)


async def test_a_folder_in_the_place_of_the_token_is_told(tmp_path: Path, upstream: OpenAIServer) -> None:
    paths = write_config(tmp_path / "home", config_for(upstream.url))
    paths.token.mkdir()
    serving = await start_serving(paths, wait=False)
    assert await serving.ended() == 6
    assert "is a folder" in serving.said()
    assert "Remove it" in serving.said()


@pytest.mark.parametrize("how", ["flipped", "truncated", "empty", "folder", "gone"])
async def test_files_that_are_damaged_while_it_runs(tmp_path: Path, upstream: OpenAIServer, how: str) -> None:
    config = config_for(upstream.url, memory={"enabled": True})
    async with serving_engine(tmp_path / "home", config) as serving:
        url = serving.url
        await ask(serving, 30)
        await told(serving, "requests")
        for store in ("lynkr.db", "state.json", "cache"):
            wear(serving.paths.home, store, how, at_rest=False)
        await ask(serving, 150, url=url)
        if how == "folder":
            for store in ("lynkr.db", "state.json"):
                shutil.rmtree(serving.paths.home / store, ignore_errors=True)
        async with asyncio.timeout(30):
            # Damage that only reading finds is found by reading.
            while "requests" not in (found := await told(serving, "requests?limit=500", url)):
                await asyncio.sleep(0.05)
        await ask(serving, 10, url=url)
        await store_says(serving, "ok", url)
        assert len((await told(serving, "requests?limit=500", url))["requests"]) >= 10, found
        assert "Traceback" not in serving.said() + serving.paths.engine_log.read_text()
        assert len(complaints(serving.paths)) <= MOST_LINES, complaints(serving.paths)


# ---------------------------------------------------------------- the clock

_CLOCK = """
import os, time
_real, _file = time.time, os.environ["TEST_CLOCK"]
def _jumped():
    try:
        with open(_file) as file:
            return _real() + float(file.read() or 0)
    except (OSError, ValueError):
        return _real()
time.time = _jumped
"""


@pytest.mark.parametrize("jump", [86400 * 400, -86400 * 400], ids=["ahead", "back"])
async def test_a_clock_that_jumps(tmp_path: Path, upstream: OpenAIServer, jump: int) -> None:
    """By more than a year, in the middle of it, and back again: answers and records go on."""
    hook = tmp_path / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(_CLOCK)
    clock = tmp_path / "clock"
    clock.write_text("0")
    paths = write_config(tmp_path / "home", config_for(upstream.url, memory={"enabled": True}))
    environ = {"PYTHONPATH": f"{hook}{os.pathsep}{os.getcwd()}", "TEST_CLOCK": str(clock)}
    serving = await start_serving(paths, environ=environ)
    try:
        await ask(serving, 20)
        clock.write_text(str(jump))
        await ask(serving, 50)
        health = (await serving.call("GET", "health"))[1]
        assert 0 <= health["uptime_s"] < 120, health
        assert (await serving.call("GET", "status"))[0] == 200
        assert (await serving.call("GET", "usage"))[0] == 200
        clock.write_text("0")
        await ask(serving, 20)
        rows = (await told(serving, "requests?limit=500"))["requests"]
        # What is older than the retention by the clock of the moment may have been deleted.
        assert len(rows) >= 20
        assert all(row["latency_ms"] >= 0 for row in rows)
        assert all(row["latency_ms"] < 60_000 for row in rows)
        assert "Traceback" not in serving.said() + paths.engine_log.read_text()
    finally:
        await end(serving)


# ---------------------------------------------------------------- providers, keys, descriptors


async def test_a_name_that_is_not_found_is_told_and_another_model_answers(
    tmp_path: Path, upstream: OpenAIServer
) -> None:
    config = config_for(upstream.url)
    lost = {"kind": "openai_compatible", "base_url": "http://no-such-host.invalid/v1", "models": ["m"]}
    config["providers"]["lost"] = lost
    config["routing"]["tiers"]["simple"]["providers"] = ["lost/m", "fake/simple"]
    async with engine_in_process(tmp_path / "home", config) as lynkr:
        response, _ = await lynkr.ask()
        assert response.status == 200
        response, body = await lynkr.ask(model="lost/m")
        assert response.status == 503
        assert "lost cannot be reached at http://no-such-host.invalid" in body["error"]["message"]


@pytest.mark.parametrize("path", [CHAT, "/v1/messages", "/v1/responses", "/api/chat"])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_key_that_has_expired_is_named_to_every_client(
    tmp_path: Path, upstream: OpenAIServer, path: str, stream: bool
) -> None:
    async def refuse(_request: web.Request, _body: dict[str, Any]) -> web.StreamResponse:
        error = {"message": "Your key has expired.", "type": "invalid_request_error"}
        return web.json_response({"error": error}, status=401)

    upstream.script = refuse
    async with engine_in_process(tmp_path / "home", config_for(upstream.url)) as lynkr:
        body: dict[str, Any] = {"model": "fake/m", "stream": stream, "max_tokens": 9}
        body |= (
            {"input": "x"} if path == "/v1/responses" else {"messages": [{"role": "user", "content": "x"}]}
        )
        async with lynkr.http.post(lynkr.url + path, json=body) as response:
            text = await response.text()
        assert response.status == 401
        assert "Your key has expired" in text
        assert "key of fake" in text
        assert "lynkr keys set fake" in text


@linux
async def test_an_engine_without_descriptors_recovers(tmp_path: Path, upstream: OpenAIServer) -> None:
    async with serving_engine(tmp_path / "home", config_for(upstream.url)) as serving:
        url = serving.url
        await ask(serving, 10)
        process = psutil.Process(serving.runtime.pid)
        usual = process.rlimit(psutil.RLIMIT_NOFILE)
        process.rlimit(psutil.RLIMIT_NOFILE, (process.num_fds() + 12, usual[1]))
        port = serving.runtime.port
        idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(60)]
        try:
            # Without a descriptor no new connection is taken, and it is not the log that suffers for it.
            await asyncio.sleep(2)
            busy = process.cpu_times()
            await asyncio.sleep(2)
            spent = process.cpu_times()
            assert spent.user + spent.system - busy.user - busy.system < 1.5
        finally:
            for _, writer in idle:
                writer.close()
        async with asyncio.timeout(30):
            # Those who come while there is none left are sent away; that ends as soon as some are free.
            while True:
                with suppress(aiohttp.ClientError, OSError):
                    await ask(serving, 10, url=url)
                    break
        process.rlimit(psutil.RLIMIT_NOFILE, usual)
        await ask(serving, 50, url=url)
        await store_says(serving, "ok", url)
        assert len(complaints(serving.paths)) <= MOST_LINES, complaints(serving.paths)[:30]
