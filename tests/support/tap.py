"""A bare proxy before the proxy: hands everything on as it is and keeps the headers of the answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

_OWN = frozenset({"host", "content-length", "transfer-encoding", "connection", "content-encoding"})


@dataclass
class Tap:
    """Clients use `url` in place of the origin behind it.

    Attributes:
        requests: the headers of the requests, in the order in which their answers began.
        answers: the headers of the answers.
    """

    url: str = ""
    requests: list[dict[str, str]] = field(default_factory=list)
    answers: list[dict[str, str]] = field(default_factory=list)


@asynccontextmanager
async def tap(origin: str) -> AsyncIterator[Tap]:
    """A tap before an origin such as http://127.0.0.1:8081."""
    found = Tap()

    async def hand_on(request: web.Request) -> web.StreamResponse:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _OWN}
        async with session.request(
            request.method, origin + request.raw_path, headers=headers, data=await request.read()
        ) as upstream:
            found.requests.append({name.lower(): value for name, value in request.headers.items()})
            found.answers.append({name.lower(): value for name, value in upstream.headers.items()})
            kept = {name: value for name, value in upstream.headers.items() if name.lower() not in _OWN}
            response = web.StreamResponse(status=upstream.status, headers=kept)
            await response.prepare(request)
            async for piece in upstream.content.iter_any():
                await response.write(piece)
            await response.write_eof()
            return response

    app = web.Application(client_max_size=64 * 1024**2)
    app.router.add_route("*", "/{path:.*}", hand_on)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with aiohttp.ClientSession() as session:
        try:
            yield found
        finally:
            await runner.cleanup()
