"""Servers that the benchmarks measure against. Each prints its port on the first line.

upstream: the least that can answer an OpenAI Chat request (asyncio.Protocol, no HTTP library).
ticking RATE COUNT LOG: the same, whose streams carry COUNT tokens, RATE a second, each with the time of its
    writing; who hangs up before the end is noted in LOG with the time.
bare PORT, bare-uvloop PORT: an aiohttp server that hands each body to the upstream by an aiohttp client.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from typing import ClassVar, cast

import aiohttp
from aiohttp import web

REPLY = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "It returns an empty list, because nothing matched.",
                },
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 20, "completion_tokens": 11, "total_tokens": 31},
    }
).encode()
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
    len(REPLY),
    REPLY,
)
STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
WORDS, WORD_EVERY_S = 20, 0.01


def sse_chunk(delta: dict[str, str], finish: str | None = None) -> bytes:
    """One HTTP chunk with one stream event."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [choice],
    }
    event = b"data: " + json.dumps(body, separators=(",", ":")).encode() + b"\n\n"
    return b"%x\r\n%s\r\n" % (len(event), event)


class Upstream(asyncio.Protocol):
    """Answers every request alike; a streamed one word by word."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answers each whole request."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._buffer[:end]).lower()
            length = (
                int(head.split(b"content-length:")[1].split(b"\r\n")[0]) if b"content-length:" in head else 0
            )
            if len(self._buffer) < end + 4 + length:
                return
            body = bytes(self._buffer[end + 4 : end + 4 + length])
            del self._buffer[: end + 4 + length]
            if b'"stream":true' in body.replace(b" ", b""):
                self._task = asyncio.get_running_loop().create_task(self._stream())
            else:
                self._transport.write(WHOLE)

    async def _stream(self) -> None:
        self._transport.write(STREAM_HEAD + sse_chunk({"role": "assistant", "content": ""}))
        for number in range(WORDS):
            self._transport.write(sse_chunk({"content": f"word{number} "}))
            await asyncio.sleep(WORD_EVERY_S)
        self._transport.write(sse_chunk({}, "stop") + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")


class Ticking(Upstream):
    """One timer writes the next token of every open stream: thousands of timers would measure themselves."""

    rate, count, log = 100, 1000, ""
    open_streams: ClassVar[dict[Ticking, int]] = {}

    async def _stream(self) -> None:
        self._transport.write(STREAM_HEAD + sse_chunk({"role": "assistant", "content": ""}))
        self.open_streams[self] = self.count

    def connection_lost(self, error: Exception | None) -> None:
        """Notes who hung up."""
        if self.open_streams.pop(self, None):
            with open(self.log, "a") as log:
                log.write(f"{time.monotonic()}\n")

    @classmethod
    async def tick(cls) -> None:
        """Writes for ever, in slices so that not all streams speak in the same instant."""
        slices, turn = 10, 0
        begin = time.monotonic()
        while True:
            turn += 1
            await asyncio.sleep(max(0.0, begin + turn / (cls.rate * slices) - time.monotonic()))
            for number, stream in enumerate(list(cls.open_streams)):
                if number % slices == turn % slices:
                    stream.token()

    def token(self) -> None:
        """The next token, or the end."""
        left = self.open_streams[self]
        if left:
            self.open_streams[self] = left - 1
            self._transport.write(sse_chunk({"content": f"@{time.monotonic():.5f} "}))
        else:
            del self.open_streams[self]
            self._transport.write(sse_chunk({}, "stop") + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")


async def upstream(protocol: type[Upstream] = Upstream) -> None:
    """Serves for ever."""
    loop = asyncio.get_running_loop()
    ticking = loop.create_task(Ticking.tick()) if protocol is Ticking else None
    server = await loop.create_server(protocol, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
    if ticking is not None:
        ticking.cancel()


async def bare(target: str) -> None:
    """The floor: nothing but aiohttp on both sides."""
    url = f"http://127.0.0.1:{target}/v1/chat/completions"
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))

    async def handle(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        headers = {"content-type": "application/json"}
        async with session.post(url, data=body, headers=headers) as answer:
            if answer.content_type != "text/event-stream":
                return web.Response(body=await answer.read(), content_type="application/json")
            response = web.StreamResponse(headers={"content-type": "text/event-stream"})
            await response.prepare(request)
            with contextlib.suppress(ConnectionError):
                async for chunk in answer.content.iter_any():
                    await response.write(chunk)
                await response.write_eof()
            return response

    app = web.Application()
    app.router.add_post("/v1/chat/completions", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """Runs the server that argv names."""
    kind, *rest = sys.argv[1:]
    if kind == "bare":
        asyncio.run(bare(rest[0]))
        return
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        match kind:
            case "upstream":
                runner.run(upstream())
            case "ticking":
                Ticking.rate, Ticking.count, Ticking.log = int(rest[0]), int(rest[1]), rest[2]
                runner.run(upstream(Ticking))
            case _:
                runner.run(bare(rest[0]))


if __name__ == "__main__":
    main()
