"""The control API's call for lanes: what is on the way to each endpoint, what waits, and why."""

from __future__ import annotations

from aiohttp import web

from lynkr_desktop.engine.endpoints.control import Call, reply
from lynkr_desktop.engine.engine import Engine
from lynkr_desktop.protocol.lanes import LaneList


class LaneCalls:
    """The handlers, one per call."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def calls(self) -> list[Call]:
        """Every call."""
        return [Call("GET", "/v1/admin/lanes", self.lanes, answer=LaneList)]

    async def lanes(self, request: web.Request) -> web.StreamResponse:
        """The way to every endpoint: requests in flight and waiting, and until when it is limited."""
        return reply(LaneList(self._engine.lanes.statuses()))
