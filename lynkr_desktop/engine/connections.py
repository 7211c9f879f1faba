"""Connections to the port: how many there may be, and which are closed so that those in use have room.

Whoever reaches the port can open connections and let them wait, send a head byte by byte, or leave an answer
unread. None of it costs more than a place, and places go to those who showed a good token first.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from lynkr_desktop.engine.wire.fields import encode_json
from lynkr_desktop.protocol.control import ControlError

log = logging.getLogger(__name__)

MOST = 4096
"""Connections at once, where the system allows as many open files."""

_KEPT_FILES = 256
"""Open files that are not connections of clients: the database, logs, watched folders."""
_WISHED_FILES = 16_384
_SWEEP_S = 1.0
_LETTING_GO_EVERY_S = 0.1


@dataclass(frozen=True, slots=True)
class Patience:
    """For how many seconds a connection may do what."""

    head: float = 30.0
    """Send the head of a request, from its first byte on."""
    silence: float = 60.0
    """Stay idle without ever having shown a good token."""
    unread: float = 300.0
    """Take nothing of an answer that is waiting for it."""
    crowd: float = 60.0
    """Stay idle at all while most places are taken."""


class Connection(web.RequestHandler):
    """One connection of a client."""

    __slots__ = ("_connections", "begun", "busy", "heard", "known", "partial", "unread", "unread_since")

    def __init__(self, connections: Connections, server: web.Server, **options: Any) -> None:
        super().__init__(server, **options)
        self._connections = connections
        self.known = False
        """Whether a request of it had a good token."""
        self.busy = False
        """Whether a request of it is being answered."""
        self.partial = False
        """Whether a head has come in part."""
        self.heard = self.begun = connections.now
        """When something came last, and when the first byte of that head came; to the second."""
        self.unread = 0
        """Bytes that waited to be taken when it was last looked at, and since when there were as many."""
        self.unread_since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Takes a place."""
        super().connection_made(transport)
        self._connections.opened(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Leaves its place."""
        self._connections.closed(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Notes that something came."""
        self.heard = self._connections.now
        if not (self.busy or self.partial):
            self.partial = True
            self.begun = self.heard
        super().data_received(data)

    def request_began(self) -> None:
        """The head of a request has come."""
        self.busy = True
        self.partial = False

    def request_ended(self) -> None:
        """It is answered."""
        self.busy = False

    def welcome(self) -> None:
        """A request of it had a good token."""
        if not self.known:
            self.known = True
            self._connections.trusted(self)

    def end(self) -> None:
        """Closes it at once, whatever it waits for."""
        transport = self.transport
        self.force_close()
        if transport is not None:
            transport.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to bytes that are no request. They may come by the thousand, so the log has no more."""
        if status != 400:
            return super().handle_error(request, status, exc, message)
        log.debug("what came is no request: %s", type(exc).__name__)
        body = ControlError(error="What was sent is no proper HTTP request.", code="invalid_request")
        response = web.Response(status=400, body=encode_json(body), content_type="application/json")
        response.force_close()
        return response


class Connections:
    """All connections of the port.

    Args:
        server: answers their requests.
        most: how many there may be; the one that is needed least makes room for another.
        patience: for how long each may hold its place.
    """

    def __init__(self, server: web.Server, most: int = MOST, patience: Patience | None = None) -> None:
        self._server = server
        self._most = most
        self._patience = patience or Patience()
        self._loop = asyncio.get_running_loop()
        self.now = self._loop.time()
        """Seconds, as of the last sweep: it is read with every piece that comes."""
        # In the order of their coming.
        self._strangers: dict[Connection, None] = {}
        self._known: dict[Connection, None] = {}
        self._listening: asyncio.Server | None = None
        self._sweeping: asyncio.TimerHandle | None = None

    @property
    def count(self) -> int:
        """Connections that are open."""
        return len(self._strangers) + len(self._known)

    async def listen(self, listener: Any, backlog: int) -> None:
        """Takes connections of a bound socket until `close`."""
        self._listening = await self._loop.create_server(self._made, sock=listener, backlog=backlog)
        self._sweep()

    def close(self) -> None:
        """Takes no more connections; those that are open stay."""
        if self._listening is not None:
            self._listening.close()
        if self._sweeping is not None:
            self._sweeping.cancel()

    async def let_go(self, quiet: float) -> None:
        """Returns once every connection has ended; those in use do so by themselves, idle ones are closed.

        Args:
            quiet: seconds of silence after which a connection is idle. Whoever asks often meets the end of a
                connection with an answer then, never with a question on its way.
        """
        while self.count:
            now = self.now = self._loop.time()
            for connection in [*self._strangers, *self._known]:
                transport = connection.transport
                if not connection.busy and now - connection.heard > quiet and transport is not None:
                    transport.close()
            await asyncio.sleep(_LETTING_GO_EVERY_S)

    def _made(self) -> Connection:
        return Connection(
            self,
            self._server,
            loop=self._loop,
            access_log=None,
            # Bodies are only taken apart once their sender is known: see `read_body`.
            auto_decompress=False,
            lingering_time=2.0,
        )

    # ------------------------------------------------------------ told by connections

    def opened(self, connection: Connection) -> None:
        """One more."""
        self._strangers[connection] = None
        if self.count > self._most:
            first = next(iter(self._strangers))
            self.closed(first)
            first.end()

    def closed(self, connection: Connection) -> None:
        """One less."""
        self._strangers.pop(connection, None)
        self._known.pop(connection, None)

    def trusted(self, connection: Connection) -> None:
        """This one keeps its place before those that are strangers."""
        if connection in self._strangers:
            del self._strangers[connection]
            self._known[connection] = None

    # ------------------------------------------------------------ the sweep

    def _sweep(self) -> None:
        self.now = self._loop.time()
        self._sweeping = self._loop.call_later(_SWEEP_S, self._sweep)
        crowded = self.count > self._most * 3 // 4
        for group in (self._strangers, self._known):
            for connection in [one for one in group if self._outstayed(one, crowded)]:
                self.closed(connection)
                connection.end()

    def _outstayed(self, connection: Connection, crowded: bool) -> bool:
        patience, now, transport = self._patience, self.now, connection.transport
        waiting = transport.get_write_buffer_size() if transport is not None else 0
        if waiting != connection.unread:
            connection.unread, connection.unread_since = waiting, now
        elif waiting and now - connection.unread_since > patience.unread:
            return True
        if connection.busy:
            return False
        if connection.partial and now - connection.begun > patience.head:
            return True
        quiet = now - connection.heard
        return quiet > patience.silence if not connection.known else crowded and quiet > patience.crowd


def make_room() -> int:
    """Lets this process open as many files as it may, and tells how many connections that leaves room for."""
    try:
        import resource
    except ImportError:
        # Windows sets no such limit.
        return MOST
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wished = _WISHED_FILES if hard == resource.RLIM_INFINITY else min(_WISHED_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wished:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wished, hard))
            soft = wished
        except (OSError, ValueError) as error:
            log.warning("the limit of %d open files could not be raised: %s", soft, error)
    if soft == resource.RLIM_INFINITY:
        return MOST
    # A request that is being answered takes two: its client's connection and the one to the provider.
    return max(16, min(MOST, (soft - _KEPT_FILES) // 2))
