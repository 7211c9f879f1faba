"""No file under the home holds a secret, however requests went: every byte of every file is looked at."""

from __future__ import annotations

import asyncio
import base64
import urllib.parse
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import keyring
import pytest
from aiohttp import web

from lynkr_desktop.engine.security import ring as os_ring
from tests.support.engine import Running, config_for, engine_in_process
from tests.support.keyring import MemoryRing
from tests.support.openai_server import OpenAIServer, begin, chunk, openai_server

# Neither has a shape by which one could tell that it is a key.
KEY = "zq0Vn9Xw4TgR7bLmC2yHd5Kj"
OWN = "Wm3uPq8ZtYb6Nc1XvE0aGs5R"
WRONG = "Jd7rFk2QhLx9Vz4Bn6Tc8Wp1"


@pytest.fixture
def ring(monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryRing]:
    monkeypatch.setattr(os_ring, "_resting", None)
    before, installed = keyring.get_keyring(), MemoryRing()
    keyring.set_keyring(installed)
    yield installed
    keyring.set_keyring(before)


@pytest.fixture
async def upstream() -> AsyncIterator[OpenAIServer]:
    async with openai_server() as server:
        yield server


async def echo(request: web.Request, body: dict[str, object]) -> web.StreamResponse:
    """Repeats the credential that came, in every way that upstreams have of failing."""
    told = f"Incorrect key provided: {request.headers['authorization']}"
    match str(body["messages"][0]["content"]):  # type: ignore[index]
        case "stream":
            response = await begin(request)
            await response.write(chunk({"content": "a"}))
            await response.write(b'data: {"error": {"message": "%b"}}\n\n' % told.encode())
            return response
        case "html":
            return web.Response(status=502, text=f"<pre>{told}</pre>", content_type="text/html")
        case "header":
            return web.json_response({}, status=429, headers={"x-ratelimit-note": told, "retry-after": "0"})
        case "broken":
            response = await begin(request, "application/json")
            await response.write(b'{"choices": [{"message": {"content": "%b' % told.encode())
            assert request.transport is not None
            request.transport.abort()
            return response
        case "garbage":
            return web.Response(body=told.encode() + b"\xff\x00", content_type="application/json")
    return web.json_response({"error": {"message": told, "code": told, "param": told}}, status=401)


def forms(secret: str) -> set[bytes]:
    """How a secret may stand in a file."""
    plain = secret.encode()
    return {
        plain,
        secret.encode("utf-16-le"),
        plain.hex().encode(),
        urllib.parse.quote(secret).encode(),
        # What is the same wherever in a longer text it began.
        *(base64.b64encode(b" " * shift + plain)[4:-4] for shift in range(3)),
    }


def found_in(home: Path, secrets: dict[str, str], *, but: frozenset[str] = frozenset()) -> list[str]:
    """Where a secret stands in a file, write-ahead logs included."""
    places = []
    for path in home.rglob("*"):
        if path.is_file() and path.name not in but:
            data = path.read_bytes()
            places += [
                f"{name} in {path.relative_to(home)}"
                for name, secret in secrets.items()
                if any(form in data for form in forms(secret))
            ]
    return places


async def ask(lynkr: Running, text: str, path: str, stream: bool, headers: dict[str, str]) -> None:
    body = {
        "model": "fake/m",
        "max_tokens": 9,
        "stream": stream,
        "messages": [{"role": "user", "content": text}],
    }
    async with lynkr.http.post(lynkr.url + path, json=body, headers=headers) as response:
        answer = await response.text()
        told = answer + str(dict(response.headers))
        assert KEY not in told, (text, path, stream, told)


async def test_no_file_holds_a_key(tmp_path: Path, ring: MemoryRing, upstream: OpenAIServer) -> None:
    """Keys are set and tested, upstreams repeat them, clients bring their own; the log tells all it can."""
    config = config_for(
        upstream.url,
        logging={"level": "debug"},
        telemetry={"circuit_breaker": {"min_calls": 100_000}},
        resilience={"retry": {"base": "1ms", "most": "1ms"}},
    )
    del config["proxy"]["auth"]
    home = tmp_path / "home"
    upstream.script = echo
    async with engine_in_process(home, config) as lynkr:
        await lynkr.admin("PUT", "keys/fake", {"key": KEY})
        await lynkr.admin("POST", "keys/fake/test")
        for path in ("/v1/chat/completions", "/v1/messages"):
            for text in ("stream", "html", "header", "broken", "garbage", "plain"):
                for stream in (False, True):
                    await ask(lynkr, text, path, stream, {})
                    await ask(
                        lynkr,
                        text,
                        path,
                        stream,
                        {"x-lynkr-token": lynkr.engine.token, "authorization": f"Bearer {OWN}"},
                    )
        for header in ("authorization", "x-api-key", "x-lynkr-token"):
            wrong = {"authorization": "", header: f"Bearer {WRONG}" if header == "authorization" else WRONG}
            async with lynkr.http.get(f"{lynkr.url}/v1/models", headers=wrong) as response:
                assert response.status == 401
        await lynkr.refused("PUT", "keys/fake", {"key": KEY + "\x01"})
        await lynkr.refused("POST", "pause", {"seconds": WRONG})
        await lynkr.engine.records.flush()
        secrets = {"the key": KEY, "the client's own key": OWN, "a wrong token": WRONG}
        token = {"the token": lynkr.engine.token}
        assert found_in(home, secrets) == []
        # The token's own file, which only its owner can read, is where other programs find it.
        assert found_in(home, token, but=frozenset({"token"})) == []
        assert (home / "token").stat().st_mode & 0o077 == 0
        assert [sent for sent in upstream.headers if KEY in sent["authorization"]]
    assert found_in(home, {**secrets, **token}, but=frozenset({"token"})) == []
    assert await asyncio.to_thread((home / "logs" / "engine.log").stat)
    assert KEY in ring.entries.values()
    # What was looked for would have been found.
    (home / "control").write_bytes(base64.b64encode(b"Bearer " + KEY.encode()))
    assert found_in(home, secrets) == ["the key in control"]
