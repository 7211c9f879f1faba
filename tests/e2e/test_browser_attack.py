"""A page of a stranger in a real browser on this machine: it may try what it likes, and gets nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from tests.support.attacker import honest_client
from tests.support.engine import TOKEN, config_for
from tests.support.openai_server import OpenAIServer, openai_server
from tests.support.proxy import Proxy, running_proxy

BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
EVIL = "evil.example"

PAGE = (Path(__file__).parents[1] / "fixtures" / "stranger.html").read_text("utf-8")
"""Tries what a page can try; TARGET and TOKEN are filled in."""


@pytest.fixture
async def upstream() -> AsyncIterator[OpenAIServer]:
    async with openai_server() as server:
        yield server


@pytest.fixture
async def lynkr(tmp_path: Path, upstream: OpenAIServer) -> AsyncIterator[Proxy]:
    running = running_proxy(tmp_path / "home", yaml.safe_dump(config_for(upstream.url)))
    proxy = await asyncio.to_thread(running.__enter__)
    try:
        yield proxy
    finally:
        await asyncio.to_thread(running.__exit__, None, None, None)


class Site:
    """The attacker's server: the first request gets the page, and what it found comes back as a report.

    Args:
        lynkr: the port that the page attacks.
        rebound: whether the site's own name comes to mean this machine once the page is loaded: then all but
            page and report of what the browser sends to the site goes to Lynkr as it is.
    """

    def __init__(self, lynkr: int, rebound: bool) -> None:
        self.port = 0
        self.report: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()
        self._lynkr, self._rebound = lynkr, rebound

    def page(self) -> bytes:
        target = f"http://{EVIL}:{self.port}" if self._rebound else f"http://127.0.0.1:{self._lynkr}"
        page = PAGE.replace("TARGET", json.dumps(target), 1).replace("TOKEN", json.dumps(TOKEN), 1)
        return page.encode()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            target = head.split(b" ", 2)[1]
            if target == b"/":
                self._answer(writer, b"text/html", self.page())
            elif target == b"/report":
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                report: dict[str, str] = json.loads(await reader.readexactly(length))
                self._answer(writer, b"text/plain", b"")
                if not self.report.done():
                    self.report.set_result(report)
            elif self._rebound:
                await self._pass_on(head, reader, writer)
            else:
                self._answer(writer, b"text/plain", b"")
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def _answer(self, writer: asyncio.StreamWriter, kind: bytes, body: bytes) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
            % (kind, len(body))
            + body
        )

    async def _pass_on(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Every byte as the browser wrote it, but that each connection carries one request."""
        back, there = await asyncio.open_connection("127.0.0.1", self._lynkr)
        there.write(head.replace(b"Connection: keep-alive", b"Connection: close"))

        async def up() -> None:
            while piece := await reader.read(65536):
                there.write(piece)

        sending = asyncio.create_task(up())
        try:
            while piece := await back.read(65536):
                writer.write(piece)
        finally:
            sending.cancel()
            there.close()


@asynccontextmanager
async def site(lynkr: Proxy, *, rebound: bool) -> AsyncIterator[Site]:
    made = Site(lynkr.port, rebound)
    server = await asyncio.start_server(made.take, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()


async def visit(url: str, folder: Path, report: asyncio.Future[dict[str, str]]) -> dict[str, str]:
    """Opens a page in a browser of its own, as it comes but that the page's name leads to this machine."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"not installed: {BROWSERS[0]}")
    process = await asyncio.create_subprocess_exec(
        found,
        "--headless",
        # The tests may run as root, and in containers.
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--no-proxy-server",
        f"--user-data-dir={folder}",
        f"--host-resolver-rules=MAP {EVIL} 127.0.0.1",
        # What a browser itself does to keep pages from this machine is off: Lynkr must not need it.
        "--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests,"
        "PrivateNetworkAccessForNavigations,PrivateNetworkAccessSendPreflights,HttpsUpgrades",
        "--remote-debugging-port=0",
        url,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(60):
            return await report
    finally:
        # With the processes that it started.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


@pytest.mark.parametrize("rebound", [False, True], ids=["cross-origin", "rebound"])
async def test_a_page_in_a_browser_gets_nothing(
    lynkr: Proxy, upstream: OpenAIServer, tmp_path: Path, rebound: bool
) -> None:
    """It reads no answer, starts no request to a model and changes nothing, though it knows the token."""
    before = await asyncio.to_thread(lynkr.get, "/v1/admin/options")
    async with site(lynkr, rebound=rebound) as evil, honest_client(lynkr):
        found = await visit(f"http://{EVIL}:{evil.port}/", tmp_path / "profile", evil.report)
    assert len(found) > 120
    for name, what in found.items():
        if rebound:
            # To the browser it is the page's own site, so it may read the refusal; nothing else comes.
            blank = what == "frame: " or what.startswith(
                ("opaque", "failed", "sent ", "nothing came", "loaded")
            )
            assert blank or "is not served here" in what, (name, what)
        else:
            assert what.startswith(("failed", "opaque", "sent ", "nothing came", "frame: ")), (name, what)
            assert what.removeprefix("frame: ") == what or len(what) < 10, (name, what)
        for secret in ("anthropic_url", "qwen", '"data"', "lynkr_requests", "uptime", TOKEN):
            assert secret not in what, (name, what)
    assert not [body for body in upstream.requests if body["messages"][-1]["content"] == "stolen"]
    status: dict[str, Any] = await asyncio.to_thread(lynkr.get, "/v1/admin/status")
    assert status["state"] == "running"
    assert status["config"]["error"] == ""
    assert await asyncio.to_thread(lynkr.get, "/v1/admin/options") == before


async def test_the_browser_of_the_test_can_reach_lynkr(lynkr: Proxy, tmp_path: Path) -> None:
    """A page of this machine that knows the token is answered: what the others get is Lynkr's refusal."""
    report: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()
    asks = json.dumps(f"{lynkr.url}/v1/models"), json.dumps({"headers": {"authorization": f"Bearer {TOKEN}"}})
    page = (
        f"<script>fetch({', '.join(asks)}).then(r => r.text()).catch(e => 'failed: ' + e)"
        ".then(text => fetch('/report', {method: 'POST', body: JSON.stringify({text})}))</script>"
    )

    async def home(_request: web.Request) -> web.Response:
        return web.Response(text=page, content_type="text/html")

    async def take(request: web.Request) -> web.Response:
        report.set_result(await request.json())
        return web.Response()

    app = web.Application()
    app.router.add_get("/", home)
    app.router.add_post("/report", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://localhost:{runner.addresses[0][1]}/"
        found = await visit(url, tmp_path / "profile", report)
    finally:
        await runner.cleanup()
    assert "auto-route" in found["text"], found
