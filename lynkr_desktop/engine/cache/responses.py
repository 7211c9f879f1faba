"""The response cache as the flow of requests uses it: looked up first, filled last, never in the way."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from lynkr_desktop.engine.analysis.index import WorkspaceIndex
from lynkr_desktop.engine.cache.bodies import Bodies, Body
from lynkr_desktop.engine.cache.key import Asked, directive_of, fields_digest, request_key, unfit
from lynkr_desktop.engine.cache.recording import Recording, State, text_of
from lynkr_desktop.engine.cache.shelf import Shelf
from lynkr_desktop.engine.cache.store import ReplyStore, store_file
from lynkr_desktop.engine.cache.stored import Facts, Stored
from lynkr_desktop.engine.cache.workspace import Disk, head_of, mentioned, state_of
from lynkr_desktop.engine.config.schema import CacheOptions
from lynkr_desktop.engine.exchange import Exchange
from lynkr_desktop.engine.optimization.optimizer import CACHE
from lynkr_desktop.engine.routing.workspace import Workspace, workspace_of
from lynkr_desktop.engine.security.redaction import redact
from lynkr_desktop.engine.snapshot import Snapshot
from lynkr_desktop.engine.wire.calls import in_call_order
from lynkr_desktop.engine.wire.canonical import Reply, Request, Usage
from lynkr_desktop.engine.wire.codec import ClientCodec
from lynkr_desktop.protocol.cache import CacheCleared, CachedReply, CacheStatus

log = logging.getLogger(__name__)

T = TypeVar("T")

_LOOK_SECONDS = 0.25
_REST = 30.0
"""Seconds: a look-up may take so long, and after one that took longer the cache is left out for a while."""

_MOST_WAITING = 64 * 1024**2
"""Characters of replies that wait to be written; beyond it further ones are not stored."""


class ResponseCache:
    """Gives stored replies to requests that are the same, about a workspace that is the same.

    For the event loop, apart from `files_changed`. Whatever fails in it, the models are asked.

    Args:
        folder: of what can be made anew; the file is made when the first reply is stored.
        clock: Unix seconds.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._options = CacheOptions()
        self._clock = clock
        self._store = ReplyStore(store_file(folder), clock)
        self._shelf = Shelf(self._store)
        self._disk = Disk()
        self._bodies = Bodies()
        # Requests never wait for a write.
        self._readers = ThreadPoolExecutor(2, "cache look-up")
        self._writer = ThreadPoolExecutor(1, "cache writer")
        self._waiting: dict[bytes, Stored] = {}
        self._early: dict[bytes, int] = {}
        """Uses of replies that wait to be written."""
        self._waiting_size = 0
        self._lock = threading.Lock()
        self._age = 0
        self._rests_until = 0.0
        self._closed = False
        self.hits = 0
        self.misses = 0
        self.saved = 0.0

    @property
    def count(self) -> int:
        """Stored replies."""
        return self._store.count

    @property
    def size(self) -> int:
        """Their bytes."""
        return self._store.size

    def take(self, options: CacheOptions) -> None:
        """Goes by these options from here on."""
        changed, self._options = options != self._options, options
        if changed:
            self._write(lambda: self._store.trim(limit=options.max_size, ttl=options.ttl))

    # ------------------------------------------------------------ requests

    def decoded(self, codec: ClientCodec, data: bytes) -> Request:
        """The request that a body says, with results in the order of their calls.

        At once where the same body was looked up lately.

        Raises:
            InvalidRequest: the body is none of this protocol.
        """
        known = self._bodies.get(codec.name, data)
        return in_call_order(codec.decode_request(data)) if known is None else known.request

    async def find(self, exchange: Exchange, snapshot: Snapshot) -> Stored | None:
        """The stored reply to a request, None where a model must be asked.

        Says in `exchange.cache` what it did, and leaves in `exchange.recording` what is to be filled with the
        reply where that may be stored.

        Raises:
            InvalidRequest: the client's header for the cache is none that there is.
        """
        request, decision = exchange.request, exchange.decision
        assert request is not None
        assert decision is not None
        directive = directive_of(exchange.headers)
        if CACHE not in exchange.stages or directive == "bypass" or self._closed:
            return None
        if time.monotonic() < self._rests_until:
            return None
        if why := unfit(request, len(exchange.body), self._options.max_temperature):
            log.debug("%s is not looked up: %s", exchange.id, why)
            return None
        folder = _folder_of(exchange, snapshot)
        index: WorkspaceIndex | None = None
        if folder:
            # What cannot be looked at may have changed.
            path, indices = Workspace(folder, "request").path, snapshot.router.workspaces
            index = indices.at(path) if indices is not None and path is not None else None
            if index is None or index.status.state != "ready":
                return None
        dialect = exchange.codec.name
        upstreams = _upstreams(snapshot, {target.provider for target in decision.targets})
        known = self._bodies.get(dialect, exchange.body)

        def look() -> tuple[Body, State, bytes, Stored | None] | None:
            body = _read(request, exchange.body, known, about_code=index is not None)
            state = State() if index is None else state_of(body.names or (), index, folder, self._disk)
            if state is None:
                return None
            asked = Asked(
                fields=body.digest,
                dialect=dialect,
                decision=decision,
                upstreams=upstreams,
                stages=exchange.stages,
                headers=exchange.headers,
                query=exchange.query,
                credential=exchange.credential,
            )
            key = request_key(asked, state.digest)
            return body, state, key, None if directive == "refresh" else self._get(key)

        age = self._age
        looking = asyncio.get_running_loop().run_in_executor(self._readers, look)
        try:
            await asyncio.wait({looking}, timeout=_LOOK_SECONDS)
        finally:
            late = looking.cancel()  # not where it is through, even if the loop was held up for so long
        if late:
            self._rests_until = time.monotonic() + _REST
            log.warning("looking a request up took too long; the response cache is left out for %d s", _REST)
            return None
        try:
            looked = looking.result()
        except Exception:  # whatever a strange request or workspace brings about: a model is asked
            log.exception("%s could not be looked up", exchange.id)
            return None
        if looked is None:
            return None
        body, state, key, found = looked
        if body is not known and directive != "no-store":
            self._bodies.put(dialect, body)
        if found is not None:
            exchange.cache = "hit"
            self.hits += 1
            self.saved += found.facts.usage.cost or 0.0
            return found
        exchange.cache = "miss"
        self.misses += 1
        if directive != "no-store":
            exchange.recording = Recording(key, state, age)
        return None

    def keep(self, exchange: Exchange) -> None:
        """Stores the reply that went out to a request, if it is one to give again."""
        recording, exchange.recording = exchange.recording, None
        request, target = exchange.request, exchange.target
        if recording is None or request is None or target is None or self._closed:
            return
        if exchange.status != 200 or exchange.warning or not recording.good(request):
            return
        stored = Stored(
            key=recording.key,
            created=self._clock(),
            root=recording.state.root,
            head=recording.state.head,
            files=recording.state.files,
            facts=Facts(
                target.provider,
                target.model,
                target.tier,
                exchange.told_model,
                exchange.usage or Usage(),
                exchange.title,
            ),
            events=recording.events,
        )
        size = recording.size
        with self._lock:
            if recording.age != self._age or self._waiting_size + size > _MOST_WAITING:
                return
            # There for look-ups at once: an agent may ask the same within the time that a write takes.
            self._waiting[stored.key] = stored
            self._waiting_size += size
        self._write(lambda: self._put(stored, size, recording.age))

    def _get(self, key: bytes) -> Stored | None:
        with self._lock:
            waiting = self._waiting.get(key)
            if waiting is not None:
                self._early[key] = self._early.get(key, 0) + 1
        found = waiting or self._store.get(key, self._options.ttl)
        return found if found is not None and isinstance(Reply.of(found.events), Reply) else None

    def _put(self, stored: Stored, size: int, age: int) -> None:
        """Writes a reply. One that holds a secret is not kept: the file is less guarded than the keyring."""
        options = self._options
        try:
            said = text_of(stored.events)
            if age == self._age and redact(said) == said:
                self._store.put(stored, limit=options.max_size, ttl=options.ttl)
        finally:
            with self._lock:
                self._waiting_size -= size
                early = 0
                if self._waiting.get(stored.key) is stored:
                    del self._waiting[stored.key]
                    early = self._early.pop(stored.key, 0)
            # Noted before the row was there, they would be written to none.
            for _ in range(early):
                self._store.note_use(stored.key)

    # ------------------------------------------------------------ changes

    def files_changed(self, root: Path, paths: Callable[[], Collection[str]]) -> None:
        """Deletes what hangs on files that changed, or on another commit than is checked out.

        From any thread. Nobody asks for their keys any more in any case: this makes room.
        """
        if self._store.count or self._waiting:
            self._write(lambda: self._forget(str(root), paths()))

    def _forget(self, root: str, paths: Collection[str]) -> None:
        gone = self._store.forget(root, paths, head_of(root))
        if gone:
            log.debug("%d stored replies about %s are deleted, since files changed", gone, root)

    async def clear(self) -> CacheCleared:
        """Deletes every reply, also those that are on their way."""
        with self._lock:
            self._age += 1
            self._waiting.clear()
        self._bodies.clear()
        return await self._written(self._shelf.clear)

    async def remove(self, key: str) -> CacheCleared | None:
        """Deletes one reply by its key as it is listed; None where there is none."""
        return await self._written(lambda: self._shelf.remove(key))

    async def listing(self, limit: int) -> tuple[CachedReply, ...]:
        """The stored replies, the latest used first."""
        return await self._written(lambda: self._shelf.listing(limit))

    async def status(self, *, active: bool) -> CacheStatus:
        """What is stored, and what it did since the start."""
        return await self._written(
            lambda: self._shelf.status(
                self._options, active=active, hits=self.hits, misses=self.misses, saved=self.saved
            )
        )

    async def close(self) -> None:
        """Writes what waits, and closes the file."""
        self._closed = True
        await asyncio.to_thread(self._end)

    def _end(self) -> None:
        self._readers.shutdown(wait=False, cancel_futures=True)  # a folder of a dead server never answers
        self._writer.shutdown()
        self._store.close()

    async def _written(self, work: Callable[[], T]) -> T:
        """Does work after all that waits to be written."""
        return await asyncio.get_running_loop().run_in_executor(self._writer, work)

    def _write(self, work: Callable[[], None]) -> None:
        """Has something done by the writing thread. From any thread."""

        def guarded() -> None:
            try:
                work()
            except Exception:  # a reply that is not stored is no fault that anyone need hear of
                log.exception("a reply could not be stored")

        try:
            self._writer.submit(guarded)
        except RuntimeError:
            log.debug("the response cache is closed")


def _folder_of(exchange: Exchange, snapshot: Snapshot) -> str:
    """The workspace of a request, which the decision knows where it went by the score."""
    request, decision = exchange.request, exchange.decision
    assert request is not None
    assert decision is not None
    if decision.score is not None and decision.grounds is not None:
        return decision.grounds.workspace
    configured = snapshot.config.routing.workspace
    found = workspace_of(request, exchange.headers, Path(configured).expanduser() if configured else None)
    return found.folder if found is not None else ""


def _read(request: Request, data: bytes, known: Body | None, *, about_code: bool) -> Body:
    """What a look-up needs of a body; the same object where all of it is known."""
    if known is not None and (known.names is not None or not about_code):
        return known
    digest = fields_digest(data) if known is None else known.digest
    return Body(data, request, digest, mentioned(request) if about_code else None)


def _upstreams(snapshot: Snapshot, names: Collection[str]) -> tuple[str, ...]:
    return tuple(
        f"{name} {provider.kind} {provider.base_url}"
        for name in sorted(names)
        if (provider := snapshot.providers.get(name)) is not None
    )
