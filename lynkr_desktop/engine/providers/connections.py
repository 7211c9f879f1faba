"""The connections to providers: a pool that tells whether a connection was open before it was asked for, and
that goes no further than the profile allows."""

from __future__ import annotations

import socket
from contextvars import ContextVar
from typing import TYPE_CHECKING

import aiohttp

from lynkr_desktop.engine.security.egress import Egress, LocalOnly

if TYPE_CHECKING:
    from aiohappyeyeballs import AddrInfoType
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.client_reqrep import ClientRequest
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

_reused: ContextVar[bool] = ContextVar("reused", default=False)


def last_was_reused() -> bool:
    """Whether the connection that this task got last had carried a request before."""
    return _reused.get()


class Connector(aiohttp.TCPConnector):
    """aiohttp's pool. Its tracing could tell the same, at ten times the cost for each request.

    Args:
        egress: says whether connections to other machines are allowed now.
    """

    def __init__(self, egress: Egress) -> None:
        super().__init__(limit=0, keepalive_timeout=30, ttl_dns_cache=300, socket_factory=self._socket)
        self._egress = egress

    async def connect(
        self,
        req: ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - theirs
    ) -> Connection:
        """As aiohttp's own, with what `last_was_reused` tells."""
        if self._egress.is_shut:
            self._check(req)
        _reused.set(True)
        return await super().connect(req, traces, timeout)

    async def _create_connection(
        self,
        req: ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - theirs
    ) -> ResponseHandler:
        """Called by `connect` where the pool has none."""
        _reused.set(False)
        return await super()._create_connection(req, traces, timeout)

    def _check(self, request: ClientRequest) -> None:
        """Before any name is looked up; a proxy on this machine would carry the request off it."""
        try:
            if request.proxy is not None:
                raise LocalOnly(f"What lies behind the proxy {request.proxy.host}")
            self._egress.check_host(request.url.host)
        except LocalOnly as error:
            raise aiohttp.ClientConnectorError(request.connection_key, error) from error

    def _socket(self, info: AddrInfoType) -> socket.socket:
        """The last check: a name of this machine may have been made to mean another."""
        family, kind, protocol, _, address = info
        self._egress.check_address(address)
        return socket.socket(family, kind, protocol)


def http_session(egress: Egress, *, trust_env: bool) -> aiohttp.ClientSession:
    """A session for requests to providers; `trust_env` has proxies of the environment apply."""
    return aiohttp.ClientSession(
        connector=Connector(egress), trust_env=trust_env, cookie_jar=aiohttp.DummyCookieJar()
    )
