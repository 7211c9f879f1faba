"""The connections to providers: a pool that tells whether a connection was open before it was asked for."""

from __future__ import annotations

import weakref
from contextvars import ContextVar
from typing import TYPE_CHECKING

import aiohttp

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.client_reqrep import ClientRequest
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

_reused: ContextVar[bool] = ContextVar("reused", default=False)


def last_was_reused() -> bool:
    """Whether the connection that this task got last had carried a request before."""
    return _reused.get()


class Connector(aiohttp.TCPConnector):
    """aiohttp's pool. Its tracing could tell the same, at ten times the cost for each request."""

    def __init__(self) -> None:
        super().__init__(limit=0, keepalive_timeout=30, ttl_dns_cache=300)
        self._known: weakref.WeakSet[ResponseHandler] = weakref.WeakSet()

    async def connect(
        self,
        req: ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - theirs
    ) -> Connection:
        """As aiohttp's own, with what `last_was_reused` tells."""
        connection = await super().connect(req, traces, timeout)
        protocol = connection.protocol
        known = protocol is not None and protocol in self._known
        _reused.set(known)
        if protocol is not None and not known:
            self._known.add(protocol)
        return connection
