"""Sessions that do not run: paused by the loop guard or by a person, or ended by one.

A request of such a session is refused in its client's own protocol, with what happened and how to go on. The
status is 400: it is the only one that Claude Code, Codex, LiteLLM and the SDKs all show as it is and none of
them tries again (Codex repeats a 402, 403 and 409 five times, Claude Code a 409 ten times and asks for a
login at a 403).
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Protocol

from msgspec.structs import replace

from lynkr_desktop.engine.config.sessions import LoopGuardOptions
from lynkr_desktop.engine.resilience import session_file
from lynkr_desktop.engine.resilience.actions import is_compacted, marks
from lynkr_desktop.engine.resilience.compacted import Compacted
from lynkr_desktop.engine.resilience.loop_guard import Alarm, look
from lynkr_desktop.engine.resilience.session_file import Kept
from lynkr_desktop.engine.routing.calls import command_of
from lynkr_desktop.engine.routing.clean import clean_text
from lynkr_desktop.engine.routing.decision import Decision
from lynkr_desktop.engine.security.caller import Caller
from lynkr_desktop.engine.security.redaction import redact
from lynkr_desktop.engine.wire.canonical import Request, Text, ToolUse
from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.protocol.sessions import SessionAct, SessionPause

log = logging.getLogger(__name__)

_PLAIN = re.compile(r"[A-Za-z0-9][\w.:@-]{0,79}", re.ASCII)
"""Ids that stand as they are in a command line, in a URL and in a file."""

_MARKS = 32
"""Actions at the end of a conversation by which it is known again."""

_OPENING = 8
"""Messages among which the model's first one is looked for, and blocks of it that are looked at."""

_THREADS = 16
_TEXT = 2_000
_SHORT = 120


class Asked(Protocol):
    """What is needed of a request on its way."""

    request: Request | None
    decision: Decision | None
    caller: Caller
    conversation: str

    @property
    def session(self) -> str:
        """The client's own name for the conversation, empty where it gives none."""

    @property
    def client(self) -> str:
        """Which program asks."""

    @property
    def title(self) -> str:
        """What a person asked last, in one line."""


class GuardedSessions:
    """Decides for each request whether its session may go on. Lives on the engine's loop.

    Args:
        path: the file that keeps it; None keeps it in memory alone.
        on_change: told of each session that was paused, resumed or ended, as it is now.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        path: Path | None = None,
        on_change: Callable[[SessionPause], None] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.options = LoopGuardOptions()
        self._path = path
        self._on_change = on_change
        self._clock = clock
        self._kept: dict[str, Kept] = {}
        self._shown: tuple[SessionPause, ...] = ()
        self._refused: dict[str, str] = {}
        """The first ask of what was refused last, by name; few, since what is kept is few."""
        self._compacted = Compacted()
        self._lock = asyncio.Lock()
        self._saving: asyncio.Task[None] | None = None
        self._unsaved = False

    def load(self) -> None:
        """Reads the file."""
        if self._path is not None:
            self._take(session_file.read(self._path))

    async def close(self) -> None:
        """Waits until the file holds everything."""
        if self._saving is not None:
            await self._saving

    def first_ask(self, name: str) -> str:
        """The first ask of a session that was refused since the start, empty where none was."""
        return self._refused.get(name, "")

    def state_of(self, name: str) -> SessionPause | None:
        """What is kept of a session; None where nothing is."""
        kept = self._kept.get(name)
        return kept.shown(name) if kept is not None else None

    @property
    def stopped(self) -> tuple[SessionPause, ...]:
        """The sessions that do not run, the latest first."""
        return self._shown

    # ------------------------------------------------------------ requests

    def check(self, asked: Asked) -> None:
        """Raises `WireError` 400 where the session of a request is paused or ended, or is paused now."""
        request = asked.request
        if request is None:
            return
        first = _first(request, asked.decision)
        name = name_of(asked.session, "" if asked.session else _beginning(first, request))
        if not name:
            return
        asked.conversation = name
        if key := asked.caller.name:
            # Who has another key must neither stop nor see this session by naming it.
            name = of_key(name, key)
        kept = self._kept.get(name) if self._kept else None
        if kept is not None and kept.state != "running":
            self._refused[name] = first
            raise _refusal(name, kept)
        options = self.options
        if not options.enabled or (asked.decision is not None and _is_side(asked.decision)):
            return
        known = frozenset() if kept is None else self._known(name, kept, first, request)
        before = self._compacted.before(name, first, request.messages, known)
        alarm = look(request.messages, options, known, before)
        if alarm is not None:
            self._refused[name] = first
            raise _refusal(name, self._pause(name, alarm, asked))

    def _known(self, name: str, kept: Kept, first: str, request: Request) -> frozenset[str]:
        """The actions of a thread that a person knows of: all that were there when it went on."""
        thread = _digest(first)
        if (known := kept.known.get(thread)) is None:
            known = marks(request.messages, _MARKS)
            self._compacted.forget(name)
            threads = OrderedDict(kept.known)
            threads[thread] = known
            while len(threads) > _THREADS:
                threads.popitem(last=False)
            self._kept[name] = replace(kept, known=dict(threads))
            self._save_soon()
        return frozenset(known)

    def _pause(self, name: str, alarm: Alarm, asked: Asked) -> Kept:
        kept = Kept(
            state="paused",
            cause=alarm.cause,
            detail=alarm.text,
            action=redact(alarm.action),
            since=self._clock(),
            client=asked.client,
            title=asked.title,
        )
        self._take({**self._kept, name: kept})
        # The next request would be refused for the same reason even if this were lost.
        self._save_soon()
        log.warning("session %s of %s is paused: %s", name, kept.client, kept.detail)
        self._tell(name, kept)
        return kept

    # ------------------------------------------------------------ people

    async def act(self, name: str, act: SessionAct, *, client: str = "", title: str = "") -> SessionPause:
        """Does what a person wants with a session, and gives what it is then. It is on the disk by then.

        Args:
            name: of the session.
            act: pause, resume (the guard counts anew from there), reset (the same; what else is remembered
                of it is the caller's to clear), end, or remove (nothing is kept of it).
            client: which program asks, where the session was not paused before.
            title: what was asked last, likewise.

        Raises:
            WireError: 409 where an ended session is paused, resumed or reset; 503 where it cannot be saved.
        """
        async with self._lock:
            before = self._kept.get(name, Kept(client=client[:_SHORT], title=title[:_SHORT]))
            if before.state == "ended" and act in ("pause", "resume", "reset"):
                raise WireError(
                    f"The session was ended. Let it run again with `lynkr sessions remove {name}`.",
                    status=409,
                    kind="conflict",
                )
            after = self._after(before, act)
            changed = {**self._kept, name: after}
            if act == "remove":
                del changed[name]
            changed = session_file.bounded(changed)
            await self._save(changed)
            # What the guard did meanwhile must not be undone.
            self._take({**self._kept, name: after} if act != "remove" else _without(self._kept, name))
        log.info("a person chose %s for session %s", act, name)
        if after is not before:
            self._tell(name, after)
        return after.shown(name)

    def _after(self, before: Kept, act: SessionAct) -> Kept:
        match act:
            case "pause" if before.state == "paused":
                return before
            case "pause":
                return replace(
                    before,
                    state="paused",
                    cause="person",
                    detail="a person paused it",
                    action="",
                    since=self._clock(),
                )
            case "end":
                return replace(
                    before,
                    state="ended",
                    cause="person",
                    detail="a person ended it",
                    action="",
                    since=self._clock(),
                )
            case "resume" | "reset" | "remove":
                return Kept(client=before.client, title=before.title, since=self._clock())

    # ------------------------------------------------------------ what is kept

    def _take(self, kept: dict[str, Kept]) -> None:
        self._kept = session_file.bounded(kept)
        self._refused = {name: first for name, first in self._refused.items() if name in self._kept}
        stopped = [entry for entry in self._kept.items() if entry[1].state != "running"]
        stopped.sort(key=lambda entry: entry[1].since, reverse=True)
        self._shown = tuple(kept.shown(name) for name, kept in stopped)

    def _tell(self, name: str, kept: Kept) -> None:
        if self._on_change is not None:
            self._on_change(kept.shown(name))

    async def _save(self, kept: dict[str, Kept]) -> None:
        if self._path is None:
            return
        try:
            await asyncio.to_thread(session_file.write, self._path, kept)
        except OSError as error:
            raise WireError(
                f"{self._path} cannot be written, so nothing was changed: {error.strerror or error}.",
                status=503,
                kind="unavailable",
            ) from error

    def let_go(self) -> None:
        """Another engine keeps the file from now on; to write what is known here would undo what it wrote."""
        self._path = None

    def _save_soon(self) -> None:
        self._unsaved = True
        if self._path is not None and (self._saving is None or self._saving.done()):
            self._saving = asyncio.get_running_loop().create_task(self._save_all())

    async def _save_all(self) -> None:
        while self._unsaved:
            async with self._lock:
                self._unsaved = False
                try:
                    await self._save(self._kept)
                except WireError as error:
                    log.warning("%s", error.message)


def name_of(session: str, beginning: str = "") -> str:
    """The name by which people call a session: its own where that is plain, else a digest.

    Args:
        session: as the client names it, empty where it does not.
        beginning: of the conversation, which names it then; empty for a request that stands alone.
    """
    if session:
        return session if _PLAIN.fullmatch(session) else f"s_{_digest(session)}"
    return f"c_{_digest(beginning)}" if beginning else ""


def of_key(name: str, key: str) -> str:
    """The name of a session whose requests come with an access key."""
    return f"{name}~{key}" if key else name


def _digest(text: str) -> str:
    return blake2b(text.encode("utf-8", "replace"), digest_size=8).hexdigest()


def _first(request: Request, decision: Decision | None) -> str:
    """The first ask of a conversation; where it was compacted the summary, since all go on with one ask."""
    if is_compacted(request.messages):
        return request.messages[0].text[:_TEXT]
    if decision is not None and decision.grounds is not None:
        return decision.grounds.ask.first
    texts = (clean_text(message) for message in request.messages if message.role == "user")
    return next(filter(None, texts), "")[:_TEXT]


def _beginning(first: str, request: Request) -> str:
    """The first ask and what the model did then, empty where it did nothing yet.

    The same ask may be made many times, as benchmarks do; the ids of the first calls tell those runs apart.
    """
    for message in request.messages[:_OPENING]:
        if message.role == "assistant":
            did = [first]
            for block in message.content[:_OPENING]:
                if isinstance(block, ToolUse):
                    did += (block.id, block.name, command_of(block))
                elif isinstance(block, Text):
                    did.append(block.text[:_TEXT])
            return "\0".join(did)
    return ""


def _is_side(decision: Decision) -> bool:
    return decision.grounds is not None and decision.grounds.side is not None


def _without(kept: dict[str, Kept], name: str) -> dict[str, Kept]:
    return {other: each for other, each in kept.items() if other != name}


def _refusal(name: str, kept: Kept) -> WireError:
    if kept.state == "ended":
        text = (
            "A person ended this session in Lynkr. Start a new one, or let this one run again with "
            f"`lynkr sessions remove {name}`."
        )
        return WireError(text, status=400, kind="session_ended")
    last = f" The last one: {kept.action}." if kept.action else ""
    text = (
        f"Lynkr paused this session: {kept.detail}.{last} Look at what it does, then resume it with "
        f"`lynkr sessions resume {name}` or in the tray menu."
    )
    return WireError(text, status=400, kind="session_paused")
