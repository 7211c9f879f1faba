"""The control API under /v1/admin: what the tray and the `lynkr` command use, and nothing else."""

from __future__ import annotations

import asyncio

from aiohttp import web

from lynkr_desktop.engine.endpoints.access import AccessCalls
from lynkr_desktop.engine.endpoints.audit import AuditCalls
from lynkr_desktop.engine.endpoints.breakers import BreakerCalls
from lynkr_desktop.engine.endpoints.budgets import BudgetCalls
from lynkr_desktop.engine.endpoints.cache import CacheCalls
from lynkr_desktop.engine.endpoints.code import CodeCalls
from lynkr_desktop.engine.endpoints.control import (
    CALLER,
    AddRoute,
    Call,
    Handler,
    decoded,
    detail_of,
    noting,
    number,
    reply,
)
from lynkr_desktop.engine.endpoints.explain import ExplainCalls
from lynkr_desktop.engine.endpoints.keys import Keys
from lynkr_desktop.engine.endpoints.lanes import LaneCalls
from lynkr_desktop.engine.endpoints.life import LifeCalls
from lynkr_desktop.engine.endpoints.memory import MemoryCalls
from lynkr_desktop.engine.endpoints.models import ModelCalls
from lynkr_desktop.engine.endpoints.openapi import document
from lynkr_desktop.engine.endpoints.options import OptionCalls
from lynkr_desktop.engine.endpoints.privacy import shown, shown_to
from lynkr_desktop.engine.endpoints.prompts import PromptCalls
from lynkr_desktop.engine.endpoints.routes import RouteCalls
from lynkr_desktop.engine.endpoints.sessions import SessionCalls
from lynkr_desktop.engine.endpoints.usage import UsageCalls
from lynkr_desktop.engine.engine import Engine
from lynkr_desktop.engine.security.caller import EVERYONE
from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.engine.wire.fields import encode_json
from lynkr_desktop.protocol.control import (
    ConfigStatus,
    EngineStatus,
    PauseRequest,
    ProfilePatch,
    RequestList,
    RequestRow,
    ShutdownReply,
    ShutdownRequest,
    TierPatch,
)
from lynkr_desktop.protocol.events import EngineEvent, StatusEvent
from lynkr_desktop.protocol.tiers import Tier

HEARTBEAT_S = 15.0


class Admin:
    """The handlers, one per call."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add_routes(self, add: AddRoute) -> None:
        """Adds every path, also those that the configuration gives to some of the calls."""
        config = self._engine.snapshot.config
        given = {
            "/v1/admin/health": config.proxy.health_check,
            "/v1/admin/reload": config.telemetry.reload.removeprefix("POST ").strip(),
            "/metrics": config.telemetry.metrics,
        }
        for call in self.calls():
            handler = call.handler if call.open else self._guarded(call)
            # Names of models may hold slashes.
            own = call.path.replace("{model}", "{model:.+}")
            for path in dict.fromkeys((own, given.get(own, own))):
                add(call.method, path, handler)

    def calls(self) -> list[Call]:
        """Every call. Only the plain health check is open without a token."""
        return [
            *LifeCalls(self._engine).calls(),
            Call("GET", "/v1/admin/status", self.status, answer=EngineStatus),
            Call("GET", "/v1/admin/events", self.events, answer=EngineEvent, content="text/event-stream"),
            Call(
                "POST",
                "/v1/admin/reload",
                self.reload,
                answer=ConfigStatus,
                changes="configuration reloaded",
            ),
            Call(
                "PATCH",
                "/v1/admin/tiers/{tier}",
                self.patch_tier,
                body=TierPatch,
                answer=EngineStatus,
                changes="tier switched",
            ),
            Call(
                "PATCH",
                "/v1/admin/profile",
                self.patch_profile,
                body=ProfilePatch,
                answer=EngineStatus,
                changes="profile switched",
            ),
            Call(
                "POST",
                "/v1/admin/pause",
                self.pause,
                body=PauseRequest,
                answer=EngineStatus,
                changes="paused",
            ),
            Call("POST", "/v1/admin/resume", self.resume, answer=EngineStatus, changes="resumed"),
            Call(
                "POST",
                "/v1/admin/shutdown",
                self.shutdown,
                body=ShutdownRequest,
                answer=ShutdownReply,
                status=202,
                changes="shutdown",
            ),
            Call(
                "GET",
                "/v1/admin/requests",
                self.requests,
                answer=RequestList,
                query={
                    "limit": "how many, 1 to 1000; 50 if left out",
                    "before": "only those older than this id",
                },
                roles=EVERYONE,
            ),
            Call("GET", "/v1/admin/requests/{id}", self.request, answer=RequestRow, roles=EVERYONE),
            *UsageCalls(self._engine).calls(),
            *ModelCalls(self._engine).calls(),
            *LaneCalls(self._engine).calls(),
            *Keys(self._engine).calls(),
            *OptionCalls(self._engine).calls(),
            *RouteCalls(self._engine).calls(),
            *ExplainCalls(self._engine).calls(),
            *CodeCalls(self._engine).calls(),
            *MemoryCalls(self._engine).calls(),
            *PromptCalls(self._engine).calls(),
            *CacheCalls(self._engine).calls(),
            *BreakerCalls(self._engine).calls(),
            *BudgetCalls(self._engine).calls(),
            *SessionCalls(self._engine).calls(),
            *AccessCalls(self._engine).calls(),
            *AuditCalls(self._engine).calls(),
            Call("GET", "/v1/admin/openapi.json", self.openapi),
            Call("GET", "/metrics", self.metrics, content="text/plain"),
        ]

    def _guarded(self, call: Call) -> Handler:
        """The handler of a call, for those who may call, with a note in the audit log of what changes things.

        The note is on the disk before the call is answered. Where it cannot be, the call is answered all the
        same: to free a full disk may take one.
        """
        handler, roles, what = call.handler, call.allowed, call.audited

        async def handle(request: web.Request) -> web.StreamResponse:
            guard = self._engine.snapshot.guard
            caller = request[CALLER] = guard.check(request)
            guard.permit(caller, roles)
            if self._engine.gate.handing_over and request.method != "GET":
                # It would be forgotten with this engine; asked again, it goes to the other.
                raise WireError(
                    "Another engine has taken over. Ask again.",
                    status=503,
                    kind="unavailable",
                    retry_after=1,
                )
            if not what:
                return await handler(request)
            outcome = "the client went away"
            try:
                response = await handler(request)
                outcome = "" if response.status < 400 else f"status {response.status}"
            except WireError as error:
                outcome = f"refused, {error.status}: {error.message}"
                raise
            except Exception:
                outcome = "failed inside"
                raise
            finally:
                detail = "; ".join(filter(None, (detail_of(request), outcome)))
                kept = await self._engine.audit.noted(caller.known_as, what, detail)
            if not kept and not response.prepared:
                response.headers["x-lynkr-warning"] = "The audit log cannot be written now."
            return response

        return handle

    async def status(self, request: web.Request) -> web.StreamResponse:
        """GET /v1/admin/status: the engine, its tiers, providers, models, and today's figures."""
        return reply(shown(request, await self._engine.status()))

    async def events(self, request: web.Request) -> web.StreamResponse:
        """GET /v1/admin/events: server-sent events, resumed by Last-Event-ID."""
        hub = self._engine.hub
        response = web.StreamResponse(headers={"cache-control": "no-cache"})
        response.content_type = "text/event-stream"
        await response.prepare(request)
        last = request.headers.get("Last-Event-ID", "")
        after = int(last) if last.isdecimal() and hub.holds(int(last)) else hub.last_id
        caller = request[CALLER]
        status = StatusEvent(await self._engine.status())
        await response.write(_sse(after, shown_to(caller, status)))
        batches = hub.follow(after)
        pending = asyncio.ensure_future(anext(batches))
        try:
            while True:
                done, _ = await asyncio.wait({pending}, timeout=HEARTBEAT_S)
                if self._engine.snapshot.guard.knows(request) is None:
                    return response  # the key was removed or has expired
                if not done:
                    await response.write(b": still here\n\n")
                    continue
                await response.write(
                    b"".join(_sse(number, shown_to(caller, event)) for number, event in pending.result())
                )
                pending = asyncio.ensure_future(anext(batches))
        except (ConnectionError, StopAsyncIteration):
            return response
        finally:
            pending.cancel()

    async def reload(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/admin/reload: reads the file again; 422 with what is wrong, and the old one stays."""
        status = await self._engine.reload()
        return reply(status, 422 if status.error else 200)

    async def patch_tier(self, request: web.Request) -> web.StreamResponse:
        """PATCH /v1/admin/tiers/{tier}: switches a tier on or off, at once and for good."""
        name = request.match_info["tier"].lower()
        patch = await decoded(request, TierPatch)
        noting(request, f"{name[:40]} {'on' if patch.enabled else 'off'}")
        try:
            tier = Tier(name)
        except ValueError as error:
            raise WireError(f"There is no tier {name[:40]!r}.", status=404, kind="not_found") from error
        await self._engine.switch_tier(tier, patch.enabled)
        return reply(await self._engine.status())

    async def patch_profile(self, request: web.Request) -> web.StreamResponse:
        """PATCH /v1/admin/profile: puts another routing profile into force."""
        name = (await decoded(request, ProfilePatch)).name
        noting(request, name[:40])
        await self._engine.switch_profile(name)
        return reply(await self._engine.status())

    async def pause(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/admin/pause: refuses requests for a time, or until they are resumed."""
        wanted = await decoded(request, PauseRequest)
        if wanted.seconds is not None and not 0 < wanted.seconds <= 366 * 86400:
            raise WireError("seconds must be above 0 and at most a year.", status=400, kind="invalid_request")
        noting(request, "" if wanted.seconds is None else f"for {wanted.seconds:g} s")
        await self._engine.gate.pause(wanted.seconds)
        return reply(await self._engine.status())

    async def resume(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/admin/resume: takes requests again."""
        await self._engine.gate.resume()
        return reply(await self._engine.status())

    async def shutdown(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/admin/shutdown: answers at once; the engine ends when the requests in flight have."""
        wanted = await decoded(request, ShutdownRequest)
        noting(request, "forced" if wanted.force else "")
        return reply(self._engine.request_stop(force=wanted.force), 202)

    async def requests(self, request: web.Request) -> web.StreamResponse:
        """GET /v1/admin/requests: the recorded requests, the newest first."""
        limit = number(request, "limit", 50, 1, 1000)
        caller = request[CALLER]
        rows = await self._engine.records.recent(limit, request.query.get("before"), key=caller.only)
        return reply(RequestList(requests=shown(request, tuple(rows))))

    async def request(self, request: web.Request) -> web.StreamResponse:
        """GET /v1/admin/requests/{id}: one recorded request."""
        caller = request[CALLER]
        row = await self._engine.records.get(request.match_info["id"])
        if row is None or caller.only not in (None, row.key):
            raise WireError("There is no request with this id.", status=404, kind="not_found")
        return reply(shown(request, row))

    async def openapi(self, request: web.Request) -> web.StreamResponse:
        """GET /v1/admin/openapi.json: this API as an OpenAPI document."""
        return reply(document(self.calls()))

    async def metrics(self, request: web.Request) -> web.StreamResponse:
        """GET /metrics: the figures that Prometheus reads."""
        body, content_type = self._engine.metrics.render()
        return web.Response(body=body, headers={"content-type": content_type})


def _sse(number: int, event: EngineEvent) -> bytes:
    name = event.__struct_config__.tag
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (number, str(name).encode(), encode_json(event))
