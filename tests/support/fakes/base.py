"""What every fake provider is: a server on a free port that plays scripts in one wire format.

A fake is a `ScriptedServer` with a `Wire`, which renders the steps of a script. Faults of transport (delays,
cuts, compression, odd splits, wrong types) are the same for all and live here. In a test:

    async with AnthropicFake() as fake:
        fake.replies.append(text("Hello", " there"))
        ...  # talk to fake.url
        assert fake.asked[0].json["model"] == "claude-opus-4"
"""

from __future__ import annotations

import abc
import asyncio
import contextlib
import json
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from tests.support.script import Call, Die, End, ErrorLine, Hold, Raw, Reply, Say, Stall, Think, text

Json = dict[str, Any]
PROMPT_TOKENS = 11
OUTPUT_TOKENS = 5


@dataclass(slots=True)
class Asked:
    """One request that the fake got."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    target: str = ""
    """Path and query as they came over the wire, with nothing unescaped."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    over: float = 0.0
    """When it ended, by `time.monotonic`; 0 before."""
    outcome: str = ""
    """`done`, `error`, `cut`, or `gone` where the client went away first."""

    @property
    def json(self) -> Json:
        """The decoded body."""
        value: Json = json.loads(self.body)
        return value


class Wire(abc.ABC):
    """Renders one answer; made afresh for each request.

    Args:
        asked: the request, with the model, whether to stream, and what else the format depends on.
    """

    stream_type = "text/event-stream"
    whole_type = "application/json"

    def __init__(self, asked: Asked) -> None:
        self.asked = asked

    @property
    @abc.abstractmethod
    def streams(self) -> bool:
        """Whether the client asked for a stream."""

    @abc.abstractmethod
    def start(self) -> bytes:
        """What a stream begins with."""

    @abc.abstractmethod
    def say(self, piece: str) -> bytes:
        """A piece of text."""

    @abc.abstractmethod
    def think(self, piece: str) -> bytes:
        """A piece of reasoning."""

    @abc.abstractmethod
    def call(self, name: str, arguments: Json) -> Iterator[bytes]:
        """A tool call, in as many events as the format sends."""

    @abc.abstractmethod
    def end(self, reason: str, *, counts: bool) -> bytes:
        """What a good stream ends with; `reason` is `stop` or `length`, tool calls are known here."""

    @abc.abstractmethod
    def error_event(self, message: str) -> bytes:
        """An error within HTTP 200: in a stream, or as the whole body where nothing was streamed."""

    @abc.abstractmethod
    def whole(self, reply: Reply) -> bytes:
        """The answer in one piece."""

    @abc.abstractmethod
    def failure(self, status: int, message: str) -> bytes:
        """The body of an HTTP error."""


class ScriptedServer(abc.ABC):
    """The server; `replies` are used up in order, then `brain` answers where there is one, else `default`."""

    def __init__(self, *replies: Reply) -> None:
        self.replies: deque[Reply] = deque(replies)
        self.brain: Callable[[Asked], Reply] | None = None
        self.default = text("Hello", " there")
        self.asked: list[Asked] = []
        self.arrived = asyncio.Event()
        """Set with each request; clear it to wait for the next."""
        self.port = 0
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None

    @property
    def url(self) -> str:
        """The origin."""
        return f"http://127.0.0.1:{self.port}"

    @abc.abstractmethod
    def routes(self) -> list[web.RouteDef]:
        """Every path; those that answer scripts use `self.handle`."""

    @abc.abstractmethod
    def wire(self, asked: Asked) -> Wire:
        """The format of the answer to this request."""

    def check(self, asked: Asked) -> tuple[int, str] | None:
        """What the real server would refuse: status and message, None for a good request."""
        return None

    def forget(self) -> None:
        """As if it had just started."""
        self.replies.clear()
        self.brain = None
        self.asked.clear()
        self.arrived.clear()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Plays the next reply."""
        asked = Asked(
            request.method,
            request.path,
            dict(request.query),
            {name.lower(): value for name, value in request.headers.items()},
            await request.read(),
            request.raw_path,
        )
        self.asked.append(asked)
        self.arrived.set()
        try:
            refused = self.check(asked)
            wire = self.wire(asked)
            if refused is not None:
                asked.outcome = "error"
                status, message = refused
                return web.Response(
                    status=status, body=wire.failure(status, message), content_type=wire.whole_type
                )
            reply = self._reply(asked)
            return await _Play(request, asked, wire, reply).run()
        except (asyncio.CancelledError, ConnectionError):
            asked.outcome = asked.outcome or "gone"
            raise
        finally:
            asked.over = time.monotonic()
            asked.ended.set()

    def _reply(self, asked: Asked) -> Reply:
        if self.replies:
            return self.replies.popleft()
        return self.brain(asked) if self.brain is not None else self.default

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=256 * 1024**2)
        app.add_routes(self.routes())
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        await self.listen()
        return self

    async def listen(self) -> None:
        """Takes connections: at its port of before, where it had one."""
        assert self._runner is not None
        self._site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await self._site.start()
        self.port = self._runner.addresses[0][1]

    async def vanish(self) -> None:
        """Refuses new connections and cuts those that are open, as a host that is switched off."""
        assert self._runner is not None
        assert self._site is not None
        await self._site.stop()
        for connection in list(self._runner.server.connections if self._runner.server else ()):
            if connection.transport is not None:
                connection.transport.abort()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()


class _Cut(Exception):
    """The script cuts the connection here."""


class _Play:
    """One answer on its way out."""

    def __init__(self, request: web.Request, asked: Asked, wire: Wire, reply: Reply) -> None:
        self._request = request
        self._asked = asked
        self._wire = wire
        self._reply = reply
        self._response: web.StreamResponse | None = None
        self._deflate = zlib.compressobj(wbits=31) if reply.gzip else None
        self._streams = wire.streams if reply.streams is None else reply.streams

    async def run(self) -> web.StreamResponse:
        reply, wire, asked = self._reply, self._wire, self._asked
        await asyncio.sleep(reply.first_byte)
        if reply.status != 200 or reply.body is not None:
            asked.outcome = "error"
            kind = wire.stream_type if reply.status == 200 and self._streams else wire.whole_type
            body = wire.failure(reply.status, reply.error) if reply.body is None else reply.body
            return await self._all(body, kind, reply.status)
        try:
            if self._streams:
                await self._stream()
            else:
                return await self._whole()
        except _Cut:
            asked.outcome = "cut"
            if self._request.transport is not None:
                self._request.transport.abort()
            return self._response or web.Response()
        assert self._response is not None
        await self._flush()
        asked.outcome = "done"
        return self._response

    async def _stream(self) -> None:
        wire, reply = self._wire, self._reply
        begun = False
        for step in reply.steps:
            match step:
                case Die():
                    raise _Cut
                case End():
                    await self._begin(wire.stream_type)
                    return
                case Raw():
                    await self._write(step.data)
                    continue
                case ErrorLine():
                    await self._write(wire.error_event(step.message))
                    return
                case Hold():
                    await step.until.wait()
                    continue
                case Stall():
                    await self._begin(wire.stream_type)
                    await asyncio.Event().wait()
            if not begun:
                begun = True
                await self._write(wire.start())
            match step:
                case Say():
                    await asyncio.sleep(step.delay)
                    await self._write(wire.say(step.text))
                case Think():
                    await self._write(wire.think(step.text))
                case Call():
                    for piece in wire.call(step.name, step.arguments):
                        await self._write(piece)
        if not begun:
            await self._write(wire.start())
        await self._write(wire.end(reply.done_reason, counts=reply.counts))

    async def _whole(self) -> web.StreamResponse:
        """Raw bytes, an early end or a cut stand for the whole body, as far as it came."""
        wire, reply = self._wire, self._reply
        body = b""
        for step in reply.steps:
            match step:
                case Hold():
                    await step.until.wait()
                case Say():
                    await asyncio.sleep(step.delay)
                case Stall():
                    await self._begin(wire.whole_type)
                    await asyncio.Event().wait()
                case Raw():
                    body += step.data
                case ErrorLine():
                    return await self._all(wire.error_event(step.message), wire.whole_type, 200)
                case Die():
                    if step is reply.steps[0]:
                        raise _Cut
                    await self._begin(wire.whole_type)
                    await self._write(wire.whole(reply)[:40])
                    raise _Cut
                case End():
                    return await self._all(wire.whole(reply)[:40], wire.whole_type, 200)
        self._asked.outcome = "done"
        return await self._all(body or wire.whole(reply), wire.whole_type, 200)

    async def _all(self, body: bytes, content_type: str, status: int) -> web.StreamResponse:
        await self._begin(content_type, status)
        await self._write(body)
        await self._flush()
        assert self._response is not None
        return self._response

    async def _begin(self, content_type: str, status: int = 200) -> None:
        if self._response is not None:
            return
        headers = {"content-type": self._reply.content_type or content_type, **self._reply.headers}
        if self._deflate is not None:
            headers["content-encoding"] = "gzip"
        self._response = web.StreamResponse(status=status, headers=headers)
        await self._response.prepare(self._request)

    async def _write(self, data: bytes) -> None:
        await self._begin(self._wire.stream_type)
        assert self._response is not None
        if self._reply.rewrite is not None:
            data = self._reply.rewrite(data)
        if self._deflate is not None:
            data = self._deflate.compress(data) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        size = self._reply.split or len(data) or 1
        for start in range(0, len(data), size):
            await self._response.write(data[start : start + size])
            if self._reply.split:
                # So that the pieces do not meet again in one packet's read.
                await asyncio.sleep(0)

    async def _flush(self) -> None:
        assert self._response is not None
        if self._deflate is not None:
            with contextlib.suppress(zlib.error):
                await self._response.write(self._deflate.flush())
        await self._response.write_eof()


def texts(reply: Reply) -> str:
    """All the text that a reply says."""
    return "".join(step.text for step in reply.steps if isinstance(step, Say))


def thoughts(reply: Reply) -> str:
    """All the reasoning of a reply."""
    return "".join(step.text for step in reply.steps if isinstance(step, Think))


def calls(reply: Reply) -> list[Call]:
    """The tool calls of a reply."""
    return [step for step in reply.steps if isinstance(step, Call)]


def pieces(arguments: Json, size: int = 7) -> Iterator[str]:
    """The JSON of a call's arguments, cut as a stream cuts it."""
    whole = json.dumps(arguments)
    for start in range(0, len(whole), size):
        yield whole[start : start + size]
