"""Memory in the engine: what to put into a request, and what to keep of it. It never fails a request."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from msgspec.structs import replace

from lynkr_desktop.engine.config.schema import MemoryOptions
from lynkr_desktop.engine.memory import desk
from lynkr_desktop.engine.memory.extract import said_by_model, said_by_person
from lynkr_desktop.engine.memory.injection import (
    NAME,
    Weights,
    choose,
    context_of,
)
from lynkr_desktop.engine.memory.phrases import OBJECTS
from lynkr_desktop.engine.memory.store import Store
from lynkr_desktop.engine.optimization import tokens
from lynkr_desktop.engine.passages.asks import Asked, Origin, Spoken
from lynkr_desktop.engine.passages.source import EMPTY, Ask, Passage, Source, marked
from lynkr_desktop.engine.routing.ask import follow_up
from lynkr_desktop.engine.telemetry.database import database_path
from lynkr_desktop.engine.wire.canonical import Request
from lynkr_desktop.protocol.memory import MemoryStatus

log = logging.getLogger(__name__)

T = TypeVar("T")

RECALL_SECONDS = 0.1
"""A request waits no longer for its memories."""

_FIRST_SECONDS = 2.0
"""The same while the engine has just started."""

_CONVERSATIONS = 4_096
_RESUMED = "continue"
_FEW_WORDS = 3
_TRIM_EVERY = 200
_OBJECTION = 600
_WAITING = 1_000
_UNUSABLE = (sqlite3.Error, OSError)


class Memories(Source):
    """What is remembered, for one engine. All its files are touched in threads of its own.

    Args:
        home: the home folder.
        clock: the time in Unix seconds.
    """

    name = NAME

    def __init__(self, home: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._home = home
        self._clock = clock
        self._options = MemoryOptions()
        self._writer = ThreadPoolExecutor(1, "lynkr-memory")
        self._reader = ThreadPoolExecutor(1, "lynkr-recall")
        self._write_store: Store
        self._read_store: Store
        self._kept: OrderedDict[bytes, None] = OrderedDict()
        self._first: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._told = ""
        self._waiting = 0
        self._added = 0
        self._closed = False
        self._ready: Future[int] | None = None
        self._point_at(database_path(self._options.storage, home))

    @property
    def path(self) -> Path:
        """The file."""
        return self._write_store.path

    @property
    def enabled(self) -> bool:
        """Whether anything is kept and put into requests."""
        return self._options.enabled

    @property
    def budget(self) -> int:
        """Tokens that the memories of one ask may take."""
        off = self._options.injection == "off" or self._closed
        return 0 if off else self._options.budget

    def take(self, options: MemoryOptions) -> None:
        """Goes by these options from now on."""
        path = database_path(options.storage, self._home)
        if path != self.path:
            self._writer.submit(self._write_store.close)
            self._reader.submit(self._read_store.close)
            self._point_at(path)
        self._options = options
        if options.enabled and options.injection != "off":
            # Loads the table of tokens, which takes a moment, before the first request needs it.
            self._ready = self._reader.submit(tokens.count, marked(NAME, ["the text of a passage"]))

    def _point_at(self, path: Path) -> None:
        self._write_store = Store(path, clock=self._clock)
        self._read_store = Store(path, clock=self._clock)

    async def close(self) -> None:
        """Keeps what waits, and closes the file."""
        self._closed = True
        self._writer.submit(self._write_store.close)
        self._reader.submit(self._read_store.close)
        await asyncio.to_thread(self._writer.shutdown)
        await asyncio.to_thread(self._reader.shutdown)

    # ------------------------------------------------------------ requests

    async def choose(self, ask: Ask) -> Passage:
        """The memories for an ask. Never raises; takes `RECALL_SECONDS` at most once the engine is warm."""
        options, store, place = self._options, self._read_store, ask.place
        weights = Weights(
            half_life=options.half_life,
            surprise="surprise" in options.scoring,
            recency="recency" in options.scoring,
            relevance="relevance" in options.scoring,
        )

        def find() -> Passage:
            found = store.find(place.scope, ask.turn.text, local_only=place.local_only)
            if not found.candidates:
                return EMPTY
            context = "\n".join((*ask.said, context_of(ask.request)))
            return choose(
                found, context, weights, budget=options.budget, now=self._clock(), count=tokens.count
            )

        loop = asyncio.get_running_loop()
        try:
            warm = self._ready is None or self._ready.done()
            async with asyncio.timeout(RECALL_SECONDS if warm else _FIRST_SECONDS):
                return await loop.run_in_executor(self._reader, find)
        except TimeoutError:
            log.warning("the memories were not found in time; request %s goes without", place.request)
        except _UNUSABLE as error:
            self._trouble(error)
        except Exception:  # whatever is wrong with what is stored, the request goes on
            log.exception("the memories for request %s could not be chosen", place.request)
        return EMPTY

    def observe(self, request: Request, asked: Asked) -> None:
        """Keeps what a request brings that is worth remembering. Never waits and never raises.

        Looked at once for each ask: the person's words, and what the model said before, which the person has
        read by now and did not reject.
        """
        if not self._options.enabled or self._closed or self._waiting >= _WAITING:
            return
        place, spoken, keys = asked.place, asked.turns, asked.names
        if not spoken or spoken[-1].position != len(request.messages) - 1:
            return
        if keys[-1] in self._kept or not self._is_person(place, spoken[0], keys[0]):
            return
        _note(self._kept, keys[-1], None)
        text = spoken[-1].text
        answer = _answer_before(request, spoken[-1].position)
        origin = replace(place, at=self._clock())
        self._waiting += 1
        loop = asyncio.get_running_loop()
        loop.run_in_executor(self._writer, self._keep, text, answer, origin).add_done_callback(self._done)

    def _done(self, _: object) -> None:
        self._waiting -= 1

    def _is_person(self, place: Origin, first: Spoken, key: bytes) -> bool:
        """Whether a conversation is held with a person.

        Agents send others off within the same session; what those are told was written by a model, which may
        have read it anywhere. The first conversation of a session is the person's, and its compacted sequel.
        """
        if not place.session or first.text == _RESUMED or len(first.text.split()) < _FEW_WORDS:
            return True
        name = (place.scope, place.session)
        if name not in self._first:
            _note(self._first, name, key)
        return self._first[name] == key

    def _keep(self, text: str, answer: str, origin: Origin) -> None:
        try:
            statements = said_by_person(text)
            if answer and not OBJECTS.search(text[:_OBJECTION]) and follow_up(text) != "failed":
                statements += said_by_model(answer)
            for statement in statements:
                if self._write_store.add(statement, origin, floor=self._options.floor) is not None:
                    self._added += 1
                    if self._added % _TRIM_EVERY == 0:
                        desk.trim(self._write_store, self._options.limit)
            self._told = ""
        except _UNUSABLE as error:
            self._trouble(error)
        except Exception:  # what cannot be understood is not remembered
            log.exception("request %s could not be looked through for what to remember", origin.request)

    def _trouble(self, error: Exception) -> None:
        """Says once that the file cannot be used."""
        told = str(error) or type(error).__name__
        if told != self._told:
            self._told = told
            log.error("the memories in %s cannot be used (%s); requests go on without them", self.path, told)

    # ------------------------------------------------------------ people

    async def ask(self, work: Callable[[Store], T]) -> T:
        """Does something with the store, after all that was kept so far.

        Raises:
            MemoryFault: it cannot be done, or the file cannot be used.
        """
        store = self._write_store

        def run() -> T:
            try:
                return work(store)
            except _UNUSABLE as error:
                raise desk.MemoryFault(f"The memories in {store.path} cannot be used: {error}.") from error

        return await asyncio.get_running_loop().run_in_executor(self._writer, run)

    async def status(self) -> MemoryStatus:
        """Where the memories are, how many there are, and of which projects."""
        enabled, file = self._options.enabled, str(self.path)
        try:
            projects = await self.ask(desk.projects)
        except desk.MemoryFault as error:
            return MemoryStatus(enabled=enabled, file=file, error=str(error))
        total = sum(project.memories for project in projects)
        return MemoryStatus(enabled=enabled, file=file, memories=total, projects=tuple(projects))


K = TypeVar("K")
V = TypeVar("V")


def _note(table: OrderedDict[K, V], key: K, value: V) -> None:
    table[key] = value
    if len(table) > _CONVERSATIONS:
        table.popitem(last=False)


def _answer_before(request: Request, position: int) -> str:
    """The words of the model's newest turn before a position."""
    for message in reversed(request.messages[:position]):
        if message.role == "assistant":
            return message.text
    return ""
