"""The control API's call that tells how a prompt would be routed, and why."""

from __future__ import annotations

from aiohttp import web

from lynkr_desktop.engine.endpoints.control import Call, decoded, reply
from lynkr_desktop.engine.engine import Engine
from lynkr_desktop.engine.explain import MAX_PROMPT, explain
from lynkr_desktop.protocol.routing import ExplainRequest, RouteExplanation

_MAX_BODY = 6 * MAX_PROMPT + 64 * 1024
"""Bytes: many clients escape what is not ASCII, which takes six for a character."""

_HEADERS = ("x-lynkr-tier", "x-lynkr-profile")


class ExplainCalls:
    """The handlers, one per call."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def calls(self) -> list[Call]:
        """Every call."""
        path = "/v1/admin/routes/explain"
        return [Call("POST", path, self.explain, body=ExplainRequest, answer=RouteExplanation, changes=None)]

    async def explain(self, request: web.Request) -> web.StreamResponse:
        """What would be decided for a prompt, and why. Nothing is sent to a model, and nothing recorded."""
        asked = await decoded(request, ExplainRequest, _MAX_BODY)
        engine = self._engine
        headers = {name: request.headers[name] for name in _HEADERS if name in request.headers}
        return reply(await explain(asked, engine.snapshot, engine.workspaces, engine.egress, headers))
