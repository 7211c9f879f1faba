"""The control API of provider keys: set, test, remove, and what it says to those who ask wrongly."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import keyring
import pytest
from keyring import errors

from lynkr_desktop.engine.security import ring
from tests.support.engine import Running, config_for, engine_in_process
from tests.support.fakes.keyed import KeyedFake
from tests.support.keyring import MemoryRing

KEY = "sk-recognise-4f9a1c7e2b8d6035"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryRing]:
    monkeypatch.setattr(ring, "_resting", None)
    before = keyring.get_keyring()
    installed = MemoryRing()
    keyring.set_keyring(installed)
    yield installed
    keyring.set_keyring(before)


@pytest.fixture
async def upstream() -> AsyncIterator[KeyedFake]:
    async with KeyedFake(KEY) as fake:
        yield fake


@pytest.fixture
async def lynkr(tmp_path: Path, upstream: KeyedFake, memory: MemoryRing) -> AsyncIterator[Running]:
    config = config_for(f"{upstream.url}/v1")
    config["providers"]["router"] = {
        "kind": "openrouter",
        "base_url": f"{upstream.url}/v1",
        "key_env": "R_KEY",
    }
    config["providers"]["dead"] = {"kind": "openai_compatible", "base_url": "http://127.0.0.1:9/v1"}
    async with engine_in_process(tmp_path / "home", config, {"R_KEY": KEY}) as running:
        yield running


async def call(lynkr: Running, method: str, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
    async with lynkr.http.request(method, f"{lynkr.url}/v1/admin/keys{path}", json=body) as response:
        text = await response.text()
        assert KEY not in text
        return response.status, await response.json()


async def test_the_list_says_where_each_key_is_and_which_provider_is_used(
    lynkr: Running, memory: MemoryRing
) -> None:
    memory.entries[("lynkr", "azure")] = "azure-key-0123456789"
    status, listed = await call(lynkr, "GET", "")
    assert status == 200
    keys = {info["provider"]: info for info in listed["keys"]}
    assert keys["fake"] == {
        "provider": "fake",
        "kind": "openai_compatible",
        "used": True,
        "source": "none",
        "variable": "FAKE_API_KEY",
    }
    assert (keys["router"]["source"], keys["router"]["variable"]) == ("environment", "R_KEY")
    assert (keys["azure"]["source"], keys["azure"]["used"]) == ("keyring", False)
    assert not {"ollama", "embedded"} & set(keys)
    assert listed["keyring"] == {"name": "MemoryRing", "problem": ""}


async def test_a_key_counts_from_the_next_request_on_and_until_it_is_removed(lynkr: Running) -> None:
    assert (await lynkr.ask())[0].status == 401
    status, info = await call(lynkr, "PUT", "/fake", {"key": KEY})
    assert (status, info["source"]) == (200, "keyring")
    assert (await lynkr.ask())[0].status == 200
    status, info = await call(lynkr, "DELETE", "/fake")
    assert (status, info["source"]) == (200, "none")
    assert (await lynkr.ask())[0].status == 401
    status, error = await call(lynkr, "DELETE", "/fake")
    assert (status, error["error"]) == (404, "The OS keyring has no key of fake.")


async def test_a_test_says_what_the_provider_says(lynkr: Running, upstream: KeyedFake) -> None:
    async def result(provider: str) -> str:
        status, check = await call(lynkr, "POST", f"/{provider}/test")
        assert status == 200
        assert check["message"]
        found: str = check["result"]
        return found

    assert await result("fake") == "none"
    await call(lynkr, "PUT", "/fake", {"key": KEY})
    assert await result("fake") == "valid"
    await call(lynkr, "PUT", "/fake", {"key": "sk-wrong-key-0123456789"})
    assert await result("fake") == "refused"
    assert await result("router") == "valid", "by the path that OpenRouter has for it"
    assert await result("dead") == "unreachable"
    assert await result("openai") == "none"


async def test_what_cannot_be_a_key_is_refused(lynkr: Running, memory: MemoryRing) -> None:
    for body, wanted in (
        ({"key": ""}, 400),
        ({"key": "  \n "}, 400),
        ({"key": "two words"}, 400),
        ({"key": "line\nbreak"}, 400),
        ({"key": "schlüssel"}, 400),
        ({"key": "x" * 2000}, 400),
        ({"key": "x" * 1024**2}, 413),
        ({"key": 7}, 400),
        ({"key": None}, 400),
        ({}, 400),
        ([], 400),
        ({"key": "good-0123456789", "more": 1}, 400),
    ):
        status, error = await call(lynkr, "PUT", "/fake", body)
        assert (status, bool(error["error"])) == (wanted, True), body
        assert len(error["error"]) < 300
    assert not memory.entries


async def test_unknown_providers_are_told_what_there_is(lynkr: Running, memory: MemoryRing) -> None:
    for name in ("nonsense", "ollama", "embedded", "..%2F..", "%00", "x" * 500):
        for method, path, body in (("PUT", "", {"key": KEY}), ("DELETE", "", None), ("POST", "/test", None)):
            status, error = await call(lynkr, method, f"/{name}{path}", body)
            assert status == 404
            assert "openrouter" in error["error"]
    assert not memory.entries


async def test_a_keyring_that_cannot_take_a_key_is_explained(lynkr: Running, memory: MemoryRing) -> None:
    memory.error = errors.KeyringLocked("no")
    status, error = await call(lynkr, "PUT", "/fake", {"key": KEY})
    assert (status, error["code"]) == (503, "locked")
    assert "Unlock it" in error["error"]
    status, listed = await call(lynkr, "GET", "")
    assert status == 200
    assert "locked" in listed["keyring"]["problem"]


async def test_a_silent_keyring_holds_up_nothing_else(
    lynkr: Running, memory: MemoryRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ring, "WRITE_TIMEOUT", 2.0)
    memory.hang = threading.Event()
    asked = memory.asked
    put = asyncio.create_task(call(lynkr, "PUT", "/fake", {"key": KEY}))
    async with asyncio.timeout(10):
        while memory.asked == asked:
            await asyncio.sleep(0.01)
    assert (await lynkr.admin("GET", "health"))["status"] == "ok"
    assert not put.done()
    status, error = await put
    assert (status, error["code"]) == (503, "timeout")
    memory.hang.set()


async def test_keys_set_at_the_same_time_end_as_one_of_them(lynkr: Running, memory: MemoryRing) -> None:
    keys = [f"sk-number-{number}-0123456789" for number in range(8)]
    answers = await asyncio.gather(*(call(lynkr, "PUT", "/fake", {"key": key}) for key in keys))
    assert {status for status, _ in answers} == {200}
    assert memory.entries[("lynkr", "fake")] in keys


async def test_keys_need_the_token(lynkr: Running, memory: MemoryRing) -> None:
    headers = {"authorization": "Bearer wrong-token"}
    for method, path in (("GET", ""), ("PUT", "/fake"), ("DELETE", "/fake"), ("POST", "/fake/test")):
        url = f"{lynkr.url}/v1/admin/keys{path}"
        async with lynkr.http.request(method, url, headers=headers, json={"key": KEY}) as response:
            assert response.status == 401
    assert not memory.entries


@pytest.mark.skipif(os.name != "posix", reason="Windows has no pseudo-terminals to test with")
def test_the_prompt_does_not_show_the_key(tmp_path: Path) -> None:
    """On a terminal; the keyring is none, so that the command must also say that nothing was stored."""
    import pty

    pid, terminal = pty.fork()
    if pid == 0:
        environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "HOME": str(tmp_path),
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        }
        command = [sys.executable, "-m", "lynkr_desktop", "keys", "set", "openai", "--home", str(tmp_path)]
        os.execve(command[0], command, environ)
    shown = b""
    while b"not shown" not in shown:
        shown += os.read(terminal, 1024)
    os.write(terminal, KEY.encode() + b"\n")
    try:
        while piece := os.read(terminal, 1024):
            shown += piece
    except OSError:
        pass  # Linux' way to say that the other end has closed
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    text = shown.decode()
    assert os.waitstatus_to_exitcode(status) == 1
    assert "There is no OS keyring" in re.sub(r"\s+", " ", text)
    assert "OPENAI_API_KEY" in text or "environment variable" in text
    assert KEY not in text
