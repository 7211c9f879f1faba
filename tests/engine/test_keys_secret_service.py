"""Keys in a real Secret Service: set by a command, used by a running engine, and found nowhere else."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest
import yaml

from tests.support.engine import LIMITS, ONE_TRY
from tests.support.fakes.keyed import KeyedFake
from tests.support.proxy import ROOT, Proxy, running_proxy
from tests.support.script import ErrorLine, Reply, Say
from tests.support.secret_service import NEEDED, SecretService, secret_service

KEY = "sk-recognise-4f9a1c7e2b8d6035"
SECOND = "sk-another-0b1c2d3e4f5a6978"

pytestmark = pytest.mark.skipif(
    any(shutil.which(name) is None for name in NEEDED), reason=f"{' or '.join(NEEDED)} is not installed"
)


@pytest.fixture
def session(tmp_path: Path) -> Iterator[SecretService]:
    with secret_service(tmp_path / "session") as running:
        yield running


@pytest.fixture
async def upstream() -> AsyncIterator[KeyedFake]:
    async with KeyedFake(KEY) as fake:
        yield fake


def configure(home: Path, upstream: KeyedFake) -> str:
    tiers = {tier: {"providers": ["fake/m"], "max_complexity": limit} for tier, limit in LIMITS.items()}
    provider = {"kind": "openai_compatible", "base_url": f"{upstream.url}/v1"}
    text: str = yaml.safe_dump(
        {
            **ONE_TRY,
            "logging": {"level": "debug"},
            "providers": {"fake": provider},
            "routing": {"tiers": tiers},
        }
    )
    home.mkdir(parents=True, exist_ok=True)
    (home / "lynkr-routing.yaml").write_text(text)
    return text


async def lynkr(session: SecretService, home: Path, *arguments: str, given: str = "") -> tuple[int, str]:
    """Runs a command in the session; exit code and all that it wrote."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "lynkr_desktop", *arguments, "--home", str(home)),
        cwd=ROOT,
        env=session.env,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert KEY not in " ".join(psutil.Process(process.pid).cmdline())
    async with asyncio.timeout(60):
        out, _ = await process.communicate(given.encode())
    return process.returncode or 0, out.decode()


async def ask(proxy: Proxy, path: str = "/v1/chat/completions", **fields: Any) -> tuple[int, str]:
    body = {"model": "auto-route", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 9, **fields}
    headers = {"authorization": f"Bearer {proxy.token}"}
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.post(proxy.url + path, json=body) as response,
    ):
        return response.status, str(response.headers) + await response.text()


async def test_a_key_set_by_a_command_is_used_by_an_engine_and_gone_when_removed(
    session: SecretService, upstream: KeyedFake, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    config = configure(home, upstream)
    assert (await lynkr(session, home, "keys", "test", "fake"))[0] == 5
    assert (await lynkr(session, home, "keys", "set", "fake", "--stdin", given=f"{KEY}\n"))[0] == 0
    assert (await lynkr(session, home, "keys", "test", "fake"))[0] == 0
    code, out = await lynkr(session, home, "keys", "list", "--json")
    fake = next(info for info in json.loads(out)["keys"] if info["provider"] == "fake")
    assert (code, fake["source"], fake["used"]) == (0, "keyring", True)
    assert KEY[:8] not in out
    assert KEY[-4:] not in out
    with running_proxy(home, config, session.env) as proxy:
        assert (await ask(proxy))[0] == 200
        upstream.key = SECOND
        assert (await ask(proxy))[0] == 401
        assert (await lynkr(session, home, "keys", "test", "fake"))[0] == 3
        assert (await lynkr(session, home, "keys", "set", "fake", "--stdin", given=SECOND))[0] == 0
        assert (await ask(proxy))[0] == 200
        assert (await lynkr(session, home, "keys", "remove", "fake"))[0] == 1, "nobody was there to be asked"
        assert (await lynkr(session, home, "keys", "remove", "fake", "--yes"))[0] == 0
        assert (await ask(proxy))[0] == 401
        assert upstream.asked[-1].headers.get("authorization") is None
        code, out = await lynkr(session, home, "keys", "remove", "fake", "--yes")
        assert (code, "has no key of fake" in out) == (1, True)


async def test_a_locked_or_silent_keyring_hangs_nothing(
    session: SecretService, upstream: KeyedFake, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    config = configure(home, upstream)
    assert (await lynkr(session, home, "keys", "set", "fake", "--stdin", given="sk-only-in-the-keyring"))[
        0
    ] == 0
    session.stop()
    session.start(unlocked=False)
    code, out = await lynkr(session, home, "keys", "set", "fake", "--stdin", given=KEY)
    assert code == 1
    assert "locked" in out
    assert "environment variable" in out
    code, out = await lynkr(session, home, "keys", "list")
    assert code == 0
    assert "locked" in out
    session.env["FAKE_API_KEY"] = KEY
    with running_proxy(home, config, session.env) as proxy:
        began = time.monotonic()
        assert (await ask(proxy))[0] == 200
        assert time.monotonic() - began < 10
    session.pause()
    try:
        with running_proxy(home, config, session.env) as proxy:
            began = time.monotonic()
            assert (await ask(proxy))[0] == 200
            code, out = await lynkr(session, home, "keys", "list")
            assert code == 0
            assert "did not answer" in out
            assert time.monotonic() - began < 20
    finally:
        session.resume()


async def test_a_key_is_found_nowhere_but_in_the_keyring(
    session: SecretService, upstream: KeyedFake, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    config = configure(home, upstream)
    said = [(await lynkr(session, home, "keys", "set", "fake", "--stdin", given=KEY))[1]]
    with running_proxy(home, config, session.env) as proxy:
        headers = {"authorization": f"Bearer {proxy.token}"}
        async with (
            aiohttp.ClientSession(headers=headers) as http,
            http.get(f"{proxy.url}/v1/admin/events") as events,
        ):
            async with http.put(f"{proxy.url}/v1/admin/keys/openai", json={"key": SECOND}) as response:
                said.append(await response.text())
                assert response.status == 200
            for body in (f'{{"key": "{SECOND}\\n x"}}', f'{{"kei": "{SECOND}"}}', f'{{"key": "{SECOND}'):
                async with http.put(f"{proxy.url}/v1/admin/keys/openai", data=body) as response:
                    said.append(await response.text())
                    assert response.status == 400
            upstream.key = "sk-revoked-elsewhere"
            for path in ("/v1/chat/completions", "/v1/messages"):
                for stream in (False, True):
                    status, text = await ask(proxy, path, stream=stream)
                    assert status == 401, text
                    said.append(text)
            upstream.key = KEY
            echo = ErrorLine(f"the key {KEY} has no credit, {KEY[:20]}... is blocked")
            upstream.replies.append(Reply((Say("so far"), echo)))
            said.append((await ask(proxy, stream=True))[1])
            assert "so far" in said[-1]
            assert "has no credit" in said[-1]
            told = Reply((echo,))
            for path in ("/v1/chat/completions", "/v1/messages"):
                for stream in (False, True):
                    upstream.replies.append(told)
                    status, text = await ask(proxy, path, stream=stream)
                    assert status >= 400, text
                    said.append(text)
            said.append((await ask(proxy, messages=[{"role": "user", "content": f"is {KEY} good"}]))[1])
            said += [(await lynkr(session, home, "keys", *rest))[1] for rest in (["list"], ["test", "--all"])]
            said += [json.dumps(proxy.get(path)) for path in ("/v1/admin/status", "/v1/admin/keys")]
            said.append(json.dumps(proxy.records(9)))
            said.append((await events.content.read(1 << 20)).decode())
            for process in psutil.process_iter(["cmdline"]):
                assert KEY not in " ".join(process.info["cmdline"] or [])
    with sqlite3.connect(home / "lynkr.db") as database:
        said += [str(row) for row in database.execute("SELECT * FROM requests")]
    for file in home.rglob("*"):
        if file.is_file():
            said.append(file.read_bytes().decode("utf-8", "replace"))
    assert len(said) > 30
    for text in said:
        for key in (KEY, SECOND):
            assert key not in text
            assert key[:14] not in text
            assert key[-12:] not in text
