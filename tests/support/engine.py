"""The engine for tests: in this process on a free port, or as the real `lynkr serve` in one of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from lynkr_desktop.engine.engine import Engine
from lynkr_desktop.engine.serve import serve
from lynkr_desktop.paths import Paths, resolve_paths

ROOT = Path(__file__).resolve().parent.parent.parent
TOKEN = "lk_test_token_for_tests"
ONE_TRY = {"resilience": {"retry": {"attempts": 1}}}
"""For tests that look at a single fault: asked again, an upstream that has no other one left answers well."""
LIMITS = {"simple": 0.35, "medium": 0.65, "complex": 0.85, "reasoning": 1.0}


def config_for(url: str, **more: Any) -> dict[str, Any]:
    """A configuration in which `fake/<tier>` answers each tier."""
    return {
        "proxy": {"auth": {"token": TOKEN}, "drain_timeout": "5s"},
        "providers": {"fake": {"kind": "openai_compatible", "base_url": url, "models": ["m"]}},
        "routing": {
            "tiers": {
                tier: {"providers": [f"fake/{tier}"], "max_complexity": limit}
                for tier, limit in LIMITS.items()
            }
        },
        **more,
    }


def write_config(home: Path, config: Mapping[str, Any]) -> Paths:
    """Writes the file where the engine of this home looks for it."""
    home.mkdir(parents=True, exist_ok=True)
    paths = resolve_paths(home)
    paths.config.write_text(yaml.safe_dump(dict(config)))
    return paths


async def read_until(response: aiohttp.ClientResponse, mark: bytes) -> bytes:
    """What has come of a body once `mark` is in it; fails where the body ends without it."""
    seen = b""
    while mark not in seen:
        piece = await response.content.readany()
        assert piece, f"the body ended without {mark!r}: {seen[-500:]!r}"
        seen += piece
    return seen


@dataclass
class Running:
    """An engine in this process, with an HTTP session that carries its token."""

    engine: Engine
    http: aiohttp.ClientSession
    url: str

    async def ask(
        self,
        text: str = "hi",
        *,
        model: str = "auto-route",
        path: str = "/v1/chat/completions",
        **fields: Any,
    ) -> tuple[aiohttp.ClientResponse, Any]:
        """One request that is not streamed; the response and its decoded body."""
        body = {"model": model, "messages": [{"role": "user", "content": text}], **fields}
        if path == "/v1/messages":
            body.setdefault("max_tokens", 100)
        async with self.http.post(self.url + path, json=body) as response:
            return response, await response.json()

    async def admin(self, method: str, path: str, body: Any = None) -> Any:
        """A call of the control API that must succeed."""
        async with self.http.request(method, f"{self.url}/v1/admin/{path}", json=body) as response:
            assert response.status < 300, await response.text()
            return await response.json()

    async def refused(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, str]:
        """Status and message of a call of the control API that must fail in its shape."""
        url = f"{self.url}/v1/admin/{path}"
        async with self.http.request(method, url, params=query, json=body, headers=headers) as response:
            answer = await response.json()
            assert response.status >= 400, answer
            assert set(answer) == {"error", "code"}, answer
            return response.status, answer["error"]

    async def idle(self) -> None:
        """Waits until no request is in flight."""
        async with asyncio.timeout(10):
            while (await self.engine.status()).active:
                await asyncio.sleep(0.01)

    async def rows(self) -> list[dict[str, Any]]:
        """The records, the newest first."""
        await self.engine.records.flush()
        rows: list[dict[str, Any]] = (await self.admin("GET", "requests"))["requests"]
        return rows


@asynccontextmanager
async def engine_in_process(
    home: Path, config: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None
) -> AsyncIterator[Running]:
    """Serves on a free port until the block ends; then everything must close within ten seconds."""
    paths = write_config(home, config) if config is not None else resolve_paths(home)
    engine = Engine(paths, environ={} if environ is None else environ, port=0)
    ready = asyncio.Event()

    async def on_ready(_engine: Engine) -> None:
        ready.set()

    serving = asyncio.create_task(serve(engine, on_ready))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        waiting.cancel()
        serving.result()
    url = f"http://127.0.0.1:{engine.port}"
    try:
        async with aiohttp.ClientSession(headers={"authorization": f"Bearer {engine.token}"}) as http:
            yield Running(engine, http, url)
    finally:
        engine.request_stop(force=True)
        async with asyncio.timeout(10):
            await serving
