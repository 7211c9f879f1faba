"""Whether the engine lives and can answer, and its restart."""

from __future__ import annotations

from aiohttp import web

from lynkr_desktop.engine.endpoints.control import Call, reply
from lynkr_desktop.engine.engine import Engine
from lynkr_desktop.engine.health import deep_health, readiness
from lynkr_desktop.engine.security.caller import EVERYONE, READERS
from lynkr_desktop.protocol.life import DeepHealth, Health, Readiness, RestartReply


class LifeCalls:
    """The handlers, one per call."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def calls(self) -> list[Call]:
        """Every call."""
        return [
            Call(
                "GET",
                "/v1/admin/health",
                self.health,
                answer=Health,
                open=True,
                query={"deep": "`true` for what /v1/admin/health/deep answers, which needs the token"},
            ),
            Call("GET", "/v1/admin/health/deep", self.deep, answer=DeepHealth),
            Call("GET", "/v1/admin/ready", self.ready, answer=Readiness, roles=EVERYONE),
            Call("POST", "/v1/admin/restart", self.restart, answer=RestartReply, changes="restart"),
        ]

    async def health(self, request: web.Request) -> web.StreamResponse:
        """GET /v1/admin/health: that it lives."""
        guard = self._engine.snapshot.guard
        if request.query.get("deep", "").lower() in ("1", "true"):
            guard.permit(guard.check(request), READERS)
            return await self.deep(request)
        guard.check_source(request)
        return reply(self._engine.health())

    async def deep(self, request: web.Request) -> web.StreamResponse:
        """GET /v1/admin/health/deep: tries records, providers, index and disk; 503 unless all is well."""
        found = await deep_health(self._engine)
        return reply(found, 200 if found.ok else 503)

    async def ready(self, request: web.Request) -> web.StreamResponse:
        """GET /v1/admin/ready: whether requests are taken and a model can answer; 503 with the reasons."""
        found = await readiness(self._engine)
        return reply(found, 200 if found.ready else 503)

    async def restart(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/admin/restart: another engine takes over the port; 503 and the reason if it cannot."""
        return reply(await self._engine.restart())
