"""The control API's calls for circuit breakers: how they stand, and how to ask a model again at once."""

from __future__ import annotations

from aiohttp import web

from lynkr_desktop.engine.endpoints.control import Call, reply
from lynkr_desktop.engine.engine import Engine
from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.protocol.breakers import BreakerList


class BreakerCalls:
    """The handlers, one per call."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def calls(self) -> list[Call]:
        """Every call."""
        return [
            Call("GET", "/v1/admin/breakers", self.breakers, answer=BreakerList),
            Call(
                "POST",
                "/v1/admin/breakers/reset",
                self.reset_all,
                answer=BreakerList,
                changes="breakers closed",
            ),
            Call(
                "POST",
                "/v1/admin/breakers/{model}/reset",
                self.reset,
                answer=BreakerList,
                changes="breaker closed",
            ),
        ]

    async def breakers(self, request: web.Request) -> web.StreamResponse:
        """The circuit breakers of all that was asked lately, by name."""
        return reply(BreakerList(breakers=self._engine.breakers.statuses()))

    async def reset_all(self, request: web.Request) -> web.StreamResponse:
        """Closes every breaker that is open, and tells which these were."""
        return reply(BreakerList(breakers=self._engine.breakers.reset()))

    async def reset(self, request: web.Request) -> web.StreamResponse:
        """Closes one breaker, by its name `provider/model`; tells it if it was open, and else none."""
        name = request.match_info["model"]
        try:
            return reply(BreakerList(breakers=self._engine.breakers.reset(name)))
        except KeyError:
            raise WireError(
                f"There is no breaker {name[:100]!r}: nothing of that name was asked lately. "
                "`lynkr breakers` shows the names.",
                status=404,
                kind="not_found",
            ) from None
