"""What a provider's answer says of a key."""

from __future__ import annotations

import aiohttp
import pytest
from aiohttp import web

from lynkr_desktop.engine.providers.key_check import check_by_get

KEY = "sk-recognise-4f9a1c7e2b8d6035"


@pytest.mark.parametrize(
    ("status", "body", "result"),
    [
        (200, "{}", "valid"),
        (401, KEY, "refused"),
        (403, KEY, "unknown"),
        (403, f'{{"__type":"UnrecognizedClientException","message":"{KEY}"}}', "refused"),
        (403, '{"message":"Authentication failed: Please make sure your API Key is valid."}', "refused"),
        (400, '{"error":{"status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}}', "refused"),
        (400, "no", "unknown"),
        (404, KEY, "unknown"),
        (429, KEY, "unknown"),
        (302, KEY, "unknown"),
        (500, KEY, "unreachable"),
        (503, KEY, "unreachable"),
    ],
)
async def test_each_answer(status: int, body: str, result: str) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=status, text=body, headers={"location": "http://127.0.0.1:9/"})

    app = web.Application()
    app.router.add_get("/models", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/models"
    headers = {"authorization": f"Bearer {KEY}"}
    try:
        async with aiohttp.ClientSession() as session:
            check = await check_by_get(session, url, headers, name="p", has_key=True)
    finally:
        await runner.cleanup()
    assert check.result == result
    assert check.message
    assert KEY not in check.message


async def test_nobody_there() -> None:
    async with aiohttp.ClientSession() as session:
        check = await check_by_get(session, "http://127.0.0.1:9/models", {}, name="p", has_key=True)
        assert (check.result, "127.0.0.1:9" in check.message) == ("unreachable", True)
        bad = {"authorization": "Bearer a\r\nb"}
        check = await check_by_get(session, "http://127.0.0.1:9/models", bad, name="p", has_key=True)
        assert check.result == "unreachable"
