"""An engine's control API without the engine: real wire format, and the faults a test asks for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec
from aiohttp import web

from lynkr_desktop.protocol.code import CodeGraphReport, IndexRequest, IndexStatus
from lynkr_desktop.protocol.control import (
    ControlError,
    EngineStatus,
    ProfilePatch,
    RequestRow,
    ShutdownReply,
    TierPatch,
)
from lynkr_desktop.protocol.events import EngineEvent, StatusEvent
from lynkr_desktop.protocol.life import Health
from lynkr_desktop.protocol.routing import (
    DecisionList,
    DecisionRow,
    ExplainRequest,
    MarkRequest,
    RouteExplanation,
)
from lynkr_desktop.protocol.sessions import SessionRow, SessionState
from lynkr_desktop.protocol.tiers import Tier

TOKEN = "lk_control_server_token"


@dataclass
class ControlServer:
    """Set `status` and `rows` for what it says, `refusals` for what it refuses, by the path's end.

    `decisions` are the newest first, `graphs` the code by workspace (`ready` those already encoded),
    `explanation` answers every question.
    """

    status: EngineStatus
    rows: list[RequestRow] = field(default_factory=list)
    decisions: list[DecisionRow] = field(default_factory=list)
    graphs: dict[str, CodeGraphReport] = field(default_factory=dict)
    ready: dict[str, bytes] = field(default_factory=dict)
    explanation: RouteExplanation | None = None
    asked: list[ExplainRequest] = field(default_factory=list)
    refusals: dict[str, ControlError] = field(default_factory=dict)
    calls: list[tuple[str, str, bytes]] = field(default_factory=list)
    seen_last_ids: list[str] = field(default_factory=list)
    port: int = 0
    hang_up: asyncio.Event = field(default_factory=asyncio.Event)
    """Ends the open event streams when set."""
    _streams: set[asyncio.Queue[bytes]] = field(default_factory=set)
    _id: int = 0

    @property
    def listeners(self) -> int:
        """How many event streams are open."""
        return len(self._streams)

    def emit(self, event: EngineEvent) -> None:
        """Sends an event to every open stream."""
        self._id += 1
        self.send(frame(self._id, event))

    def send(self, raw: bytes) -> None:
        """Sends bytes as they are to every open stream."""
        for stream in self._streams:
            stream.put_nowait(raw)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Any call but the event stream."""
        path = request.path.removeprefix("/v1/admin/")
        body = await request.read()
        self.calls.append((request.method, path, body))
        if path != "health" and request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return answer(ControlError(error="The token is wrong.", code="unauthorized"), 401)
        for end, refusal in self.refusals.items():
            if path.endswith(end):
                return answer(refusal, 409)
        match path.split("/"):
            case ["health"]:
                return answer(Health(version="0", uptime_s=1.0))
            case ["status"]:
                return answer(self.status)
            case ["events"]:
                return await self._stream(request)
            case ["requests"]:
                return answer({"requests": self.rows})
            case ["tiers", tier]:
                self._switch(Tier(tier), msgspec.json.decode(body, type=TierPatch).enabled)
                return answer(self.status)
            case ["profile"]:
                self._put_into_force(msgspec.json.decode(body, type=ProfilePatch).name)
                return answer(self.status)
            case ["routes"]:
                return answer(DecisionList(decisions=tuple(self._listed(request))))
            case ["routes", "explain"]:
                self.asked.append(msgspec.json.decode(body, type=ExplainRequest))
                return answer(self.explanation)
            case ["routes", decision_id, "mark"]:
                return answer(self._marked(decision_id, msgspec.json.decode(body, type=MarkRequest)))
            case ["code", "graph"]:
                return self._graph(request.query["workspace"])
            case ["code", "index"]:
                root = msgspec.json.decode(body, type=IndexRequest).workspace
                indexing = IndexStatus(root=root, state="indexing")
                self.graphs[root] = CodeGraphReport(status=indexing)
                return answer(indexing, 202)
            case ["sessions", session, act]:
                return answer(self._acted(session, act))
            case ["shutdown"]:
                return answer(ShutdownReply(active=self.status.active, drain_timeout_s=5.0), 202)
        return answer(self.status)

    def _put_into_force(self, name: str) -> None:
        profiles = tuple(
            msgspec.structs.replace(profile, active=profile.name == name) for profile in self.status.profiles
        )
        self.status = msgspec.structs.replace(self.status, profiles=profiles)
        self.emit(StatusEvent(self.status))

    def _acted(self, session: str, act: str) -> SessionRow:
        found = next(known for known in self.status.sessions_paused if known.id == session)
        state: SessionState = "ended" if act == "end" else "running"
        others = [known for known in self.status.sessions_paused if known is not found]
        left = [*others, msgspec.structs.replace(found, state=state)] if act == "end" else others
        self.status = msgspec.structs.replace(self.status, sessions_paused=tuple(left))
        return SessionRow(id=session, client=found.client, title=found.title, state=state)

    def _listed(self, request: web.Request) -> list[DecisionRow]:
        rows = self.decisions
        if before := request.query.get("before"):
            rows = rows[next(at for at, row in enumerate(rows) if row.id == before) + 1 :]
        if request.query.get("misrouted") == "true":
            rows = [row for row in rows if (row.mark or row.verdict) in ("under", "over")]
        return rows[: int(request.query.get("limit", "50"))]

    def _marked(self, decision_id: str, wanted: MarkRequest) -> DecisionRow:
        at = next(at for at, row in enumerate(self.decisions) if row.id == decision_id)
        mark = "" if wanted.mark == "none" else wanted.mark
        self.decisions[at] = msgspec.structs.replace(self.decisions[at], mark=mark)
        return self.decisions[at]

    def _graph(self, workspace: str) -> web.Response:
        if workspace in self.ready:
            return web.Response(body=self.ready[workspace], content_type="application/json")
        graph = self.graphs.get(workspace)
        if graph is None:
            return answer(ControlError(error=f"There is no folder {workspace}.", code="invalid_request"), 400)
        return answer(graph)

    def _switch(self, tier: Tier, enabled: bool) -> None:
        tiers = tuple(
            msgspec.structs.replace(row, enabled=enabled) if row.tier is tier else row
            for row in self.status.tiers
        )
        self.status = msgspec.structs.replace(self.status, tiers=tiers)
        self.emit(StatusEvent(self.status))

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        self.seen_last_ids.append(request.headers.get("Last-Event-ID", ""))
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await response.write(frame(self._id, StatusEvent(self.status)))
        stream: asyncio.Queue[bytes] = asyncio.Queue()
        self._streams.add(stream)
        ended = asyncio.ensure_future(self.hang_up.wait())
        item: asyncio.Future[bytes] | None = None
        try:
            while not ended.done():
                item = asyncio.ensure_future(stream.get())
                await asyncio.wait({item, ended}, return_when=asyncio.FIRST_COMPLETED)
                if item.done():
                    await response.write(item.result())
        except ConnectionError:
            pass
        finally:
            ended.cancel()
            if item is not None:
                item.cancel()
            self._streams.discard(stream)
        return response


def frame(number: int, event: EngineEvent) -> bytes:
    """An event as it goes over the wire."""
    tag = str(event.__struct_config__.tag)
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (number, tag.encode(), msgspec.json.encode(event))


def answer(body: object, status: int = 200) -> web.Response:
    """A JSON answer."""
    return web.Response(body=msgspec.json.encode(body), status=status, content_type="application/json")


@asynccontextmanager
async def control_server(status: EngineStatus) -> AsyncIterator[ControlServer]:
    """Serves on a free port."""
    server = ControlServer(status)
    app = web.Application()
    app.router.add_route("*", "/v1/admin/{rest:.*}", server.handle)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.port = runner.addresses[0][1]
    try:
        yield server
    finally:
        server.hang_up.set()
        await runner.cleanup()
