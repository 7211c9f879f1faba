"""The control API's calls for the response cache: what is stored, and how to be rid of it."""

from __future__ import annotations

from aiohttp import web

from lynkr_desktop.engine.cache.store import StoreError
from lynkr_desktop.engine.endpoints.control import Call, number, reply
from lynkr_desktop.engine.engine import Engine
from lynkr_desktop.engine.optimization.optimizer import CACHE
from lynkr_desktop.engine.security.caller import ADMIN
from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.protocol.cache import CacheCleared, CachedReplies, CacheStatus

_LISTED, _MOST_LISTED = 50, 1000


class CacheCalls:
    """The handlers, one per call."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def calls(self) -> list[Call]:
        """Every call."""
        return [
            Call("GET", "/v1/admin/cache", self.status, answer=CacheStatus),
            Call("DELETE", "/v1/admin/cache", self.clear, answer=CacheCleared, changes="cache cleared"),
            Call(
                "GET",
                "/v1/admin/cache/replies",
                self.replies,
                answer=CachedReplies,
                query={"limit": f"how many, 1 to {_MOST_LISTED}; {_LISTED} if left out"},
                roles=ADMIN,
            ),
            Call(
                "DELETE",
                "/v1/admin/cache/replies/{key}",
                self.remove,
                answer=CacheCleared,
                changes="cached reply deleted",
            ),
        ]

    async def status(self, request: web.Request) -> web.StreamResponse:
        """The response cache: whether it is in use, what it holds, what it did since the start."""
        snapshot = self._engine.snapshot
        active = CACHE in snapshot.stages_of(snapshot.router.profile, {})
        return reply(await self._engine.cache.status(active=active))

    async def clear(self, request: web.Request) -> web.StreamResponse:
        """Deletes every stored reply, so that none of their bytes is left."""
        try:
            return reply(await self._engine.cache.clear())
        except StoreError as error:
            raise WireError(str(error), status=500, kind="internal") from error

    async def replies(self, request: web.Request) -> web.StreamResponse:
        """The stored replies without what they say, the latest used first."""
        limit = number(request, "limit", _LISTED, 1, _MOST_LISTED)
        return reply(CachedReplies(replies=await self._engine.cache.listing(limit)))

    async def remove(self, request: web.Request) -> web.StreamResponse:
        """Deletes one stored reply, by its key as it is listed."""
        gone = await self._engine.cache.remove(request.match_info["key"])
        if gone is None:
            message = "There is no stored reply with this key. `lynkr cache list` shows the keys."
            raise WireError(message, status=404, kind="not_found")
        return reply(gone)
