"""The control API's calls for what is remembered: look, change, take along, forget."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, get_args

from aiohttp import web
from msgspec import UNSET

from lynkr_desktop.engine.cache.store import StoreError
from lynkr_desktop.engine.endpoints.control import Call, decoded, noting, number, reply
from lynkr_desktop.engine.engine import Engine
from lynkr_desktop.engine.memory import desk
from lynkr_desktop.engine.memory.store import Store
from lynkr_desktop.engine.security.caller import ADMIN
from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.protocol.memory import (
    ForgetRequest,
    Forgotten,
    Imported,
    MemoryExport,
    MemoryKind,
    MemoryList,
    MemoryPatch,
    MemoryRow,
    MemoryStatus,
)

T = TypeVar("T")

_MEMORY = "/v1/admin/memory"
_MAX_IMPORT = 64 * 1024**2
_KINDS: tuple[MemoryKind, ...] = get_args(MemoryKind)
_PROJECT = "only those of this folder, or of `client:NAME` where a client names none"


class MemoryCalls:
    """The handlers, one per call."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def calls(self) -> list[Call]:
        """Every call; the ids come last, since they would take the place of the others."""
        return [
            Call(
                "GET",
                _MEMORY,
                self.listing,
                answer=MemoryList,
                query={
                    "query": "words to search for; the best matches come first",
                    "project": _PROJECT,
                    "kind": ", ".join(_KINDS),
                    "limit": "how many, 1 to 1000; 50 if left out",
                    "before": "only those older than this id; not with query",
                    "superseded": "true: also those whose place another one took; not with query",
                },
                roles=ADMIN,
            ),
            Call("GET", f"{_MEMORY}/status", self.status, answer=MemoryStatus),
            Call(
                "GET",
                f"{_MEMORY}/export",
                self.export,
                answer=MemoryExport,
                query={"project": _PROJECT},
                roles=ADMIN,
                changes="memories exported",
            ),
            Call(
                "POST",
                f"{_MEMORY}/import",
                self.take_in,
                body=MemoryExport,
                answer=Imported,
                changes="memories imported",
            ),
            Call(
                "POST",
                f"{_MEMORY}/forget",
                self.forget,
                body=ForgetRequest,
                answer=Forgotten,
                changes="memories forgotten",
            ),
            Call("GET", f"{_MEMORY}/{{id}}", self.one, answer=MemoryRow, roles=ADMIN),
            Call(
                "PATCH",
                f"{_MEMORY}/{{id}}",
                self.change,
                body=MemoryPatch,
                answer=MemoryRow,
                changes="memory changed",
            ),
            Call("DELETE", f"{_MEMORY}/{{id}}", self.delete, answer=Forgotten, changes="memory forgotten"),
        ]

    async def listing(self, request: web.Request) -> web.StreamResponse:
        """What is remembered, the newest first; with `query` what matches it."""
        text, project = request.query.get("query", ""), request.query.get("project", "")
        kind, limit = _kind(request), number(request, "limit", 50, 1, 1000)
        if text:
            found = await self._ask(
                lambda store: desk.search(store, text, project=project, kind=kind, limit=limit)
            )
        else:
            before = request.query.get("before", "")
            superseded = request.query.get("superseded", "").lower() in ("1", "true")
            found = await self._ask(
                lambda store: desk.listing(
                    store, project=project, kind=kind, limit=limit, before=before, superseded=superseded
                )
            )
        return reply(MemoryList(memories=tuple(found)))

    async def status(self, request: web.Request) -> web.StreamResponse:
        """Whether memory is on, where it is kept, and how much of which projects."""
        return reply(await self._engine.memories.status())

    async def one(self, request: web.Request) -> web.StreamResponse:
        """One memory."""
        memory_id = request.match_info["id"]
        return reply(await self._ask(lambda store: desk.get(store, memory_id)))

    async def change(self, request: web.Request) -> web.StreamResponse:
        """Changes a memory's text or kind, or pins it. Its former text is gone from the file."""
        memory_id = request.match_info["id"]
        patch = await decoded(request, MemoryPatch)
        if patch.text is not UNSET:
            changed, _ = await self._forgetting(
                lambda store: desk.change(store, memory_id, patch), lambda _: [memory_id]
            )
            return reply(changed)
        changed = await self._ask(lambda store: desk.change(store, memory_id, patch))
        self._engine.passages.leave_out(self._engine.memories.name, [memory_id])
        return reply(changed)

    async def delete(self, request: web.Request) -> web.StreamResponse:
        """Forgets a memory, with those that it took the place of. No byte of them stays in the file."""
        memory_id = request.match_info["id"]
        gone, replies = await self._forgetting(lambda store: desk.delete(store, memory_id), lambda ids: ids)
        return reply(Forgotten(forgotten=len(gone), replies=replies, copies=await self._copies()))

    async def forget(self, request: web.Request) -> web.StreamResponse:
        """Forgets all of a project, or everything. No byte of it stays in the file."""
        wanted = await decoded(request, ForgetRequest)
        if wanted.everything == bool(wanted.project):
            message = "Say either a project or that everything is to be forgotten."
            raise WireError(message, status=400, kind="invalid_request", param="project")
        noting(request, "everything" if wanted.everything else f"project {wanted.project}")
        gone, replies = await self._forgetting(lambda store: desk.forget(store, wanted.project))
        return reply(Forgotten(forgotten=gone, replies=replies, copies=await self._copies()))

    async def export(self, request: web.Request) -> web.StreamResponse:
        """Everything that is remembered, also what holds no longer."""
        project = request.query.get("project", "")
        rows = await self._ask(lambda store: desk.export(store, project))
        return reply(MemoryExport(memories=tuple(rows)))

    async def take_in(self, request: web.Request) -> web.StreamResponse:
        """Adds what an export holds."""
        export = await decoded(request, MemoryExport, _MAX_IMPORT)
        return reply(await self._ask(lambda store: desk.take_in(store, export.memories)))

    async def _forgetting(
        self, work: Callable[[Store], T], gone: Callable[[T], list[str]] | None = None
    ) -> tuple[T, int]:
        """Does what takes memories away, and takes them out of all else that may hold their words.

        Turns in which they stand are sent without them from now on; prompts that are kept to be shown go, and
        stored replies, any of which may repeat them.

        Args:
            work: to be done.
            gone: the ids that are gone, by what the work returns; None for all.

        Returns:
            What the work returns, and how many replies are deleted.
        """
        engine = self._engine
        try:
            done = await self._ask(work)
        except WireError as error:
            if error.status == 503:  # they are gone, and only some of their bytes may be left
                engine.passages.leave_out(engine.memories.name)
                engine.recorder.prompts.clear()
                await self._replies()
            raise
        engine.passages.leave_out(engine.memories.name, None if gone is None else gone(done))
        engine.recorder.prompts.clear()
        return done, await self._replies()

    async def _replies(self) -> int:
        try:
            return (await self._engine.cache.clear()).replies
        except StoreError as error:
            message = f"It is forgotten, but stored replies may repeat it. {error}"
            raise WireError(message, status=503, kind="unavailable") from error

    async def _copies(self) -> tuple[str, ...]:
        return await self._ask(lambda store: desk.copies(store.path))

    async def _ask(self, work: Callable[[Store], T]) -> T:
        try:
            return await self._engine.memories.ask(work)
        except desk.NoSuchMemory as error:
            raise WireError(str(error), status=404, kind="not_found") from error
        except desk.InvalidMemory as error:
            raise WireError(str(error), status=400, kind="invalid_request") from error
        except desk.MemoryFault as error:
            raise WireError(str(error), status=503, kind="unavailable") from error


def _kind(request: web.Request) -> MemoryKind | None:
    kind = request.query.get("kind", "")
    if kind and kind not in _KINDS:
        message = f"kind must be one of {', '.join(_KINDS)}."
        raise WireError(message, status=400, kind="invalid_request", param="kind")
    return kind or None
