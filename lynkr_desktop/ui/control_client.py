"""Asks the engine over its control API, and listens to its events. No Qt here."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlencode

import aiohttp
import msgspec

from lynkr_desktop.protocol.code import FileMetrics, IndexRequest, IndexStatus
from lynkr_desktop.protocol.control import (
    ControlError,
    EngineStatus,
    PauseRequest,
    ProfilePatch,
    RequestRow,
    ShutdownReply,
    ShutdownRequest,
    TierPatch,
)
from lynkr_desktop.protocol.events import EngineEvent
from lynkr_desktop.protocol.life import Health
from lynkr_desktop.protocol.routing import (
    DecisionList,
    DecisionRow,
    ExplainRequest,
    Mark,
    MarkRequest,
    RouteExplanation,
)
from lynkr_desktop.protocol.sessions import SessionAct, SessionPause, SessionRow
from lynkr_desktop.protocol.tiers import Tier

log = logging.getLogger(__name__)

T = TypeVar("T")

_ANSWER_TIMEOUT = aiohttp.ClientTimeout(total=10)
_STREAM_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=5)
_MAX_EVENT = 8 * 1024 * 1024


class ControlFailure(Exception):
    """The engine refused, or could not be reached.

    Attributes:
        code: the engine's stable code, or "unreachable".
        message: a sentence for people.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class _Requests(msgspec.Struct):
    requests: list[RequestRow]


class CodeFiles(msgspec.Struct, frozen=True):
    """A `CodeGraphReport` without its edges, which nothing here shows and which take most of its time."""

    status: IndexStatus
    files: tuple[FileMetrics, ...] = ()


class ControlClient:
    """A client of one engine. Use it as an async context manager.

    Every method raises ControlFailure when the engine refuses or cannot be reached.
    """

    def __init__(self, port: int, token: str) -> None:
        self._base = f"http://127.0.0.1:{port}/v1/admin"
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._session: aiohttp.ClientSession | None = None
        self._events: msgspec.json.Decoder[EngineEvent] = msgspec.json.Decoder(EngineEvent)

    async def __aenter__(self) -> Self:
        # A proxy from the environment must never see a loopback request: trust_env stays off.
        self._session = aiohttp.ClientSession(headers=self._headers, timeout=_ANSWER_TIMEOUT)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def health(self) -> Health:
        """Whether an engine answers there at all; needs no token."""
        return await self._ask("GET", "/health", Health)

    async def status(self) -> EngineStatus:
        """Everything that the Overview shows."""
        return await self._ask("GET", "/status", EngineStatus)

    async def requests(self, limit: int) -> list[RequestRow]:
        """The latest recorded requests, newest first."""
        return (await self._ask("GET", f"/requests?limit={limit}", _Requests)).requests

    async def set_tier(self, tier: Tier, enabled: bool) -> None:
        """Switches a tier on or off, at once."""
        await self._send("PATCH", f"/tiers/{tier.value}", TierPatch(enabled=enabled))

    async def set_profile(self, name: str) -> None:
        """Puts another routing profile into force."""
        await self._send("PATCH", "/profile", ProfilePatch(name=name))

    async def decisions(self, limit: int, before: str = "", *, misrouted: bool = False) -> list[DecisionRow]:
        """Recorded routing decisions, newest first; `before` is the id that they are older than."""
        query = {"limit": str(limit)}
        if before:
            query["before"] = before
        if misrouted:
            query["misrouted"] = "true"
        return list((await self._ask("GET", f"/routes?{urlencode(query)}", DecisionList)).decisions)

    async def mark(self, decision_id: str, mark: Mark) -> DecisionRow:
        """Says how a decision was; the decision with its mark."""
        path = f"/routes/{quote(decision_id, safe='')}/mark"
        return await self._ask("POST", path, DecisionRow, MarkRequest(mark=mark))

    async def explain(self, request: ExplainRequest) -> RouteExplanation:
        """What would be decided for a request now; nothing is sent to a model."""
        return await self._ask("POST", "/routes/explain", RouteExplanation, request)

    async def code(self, workspace: str) -> CodeFiles:
        """The files of a workspace with their metrics; the first call begins to index it."""
        return await self._ask("GET", f"/code/graph?{urlencode({'workspace': workspace})}", CodeFiles)

    async def index(self, workspace: str) -> IndexStatus:
        """Has all files of a workspace looked at again."""
        return await self._ask("POST", "/code/index", IndexStatus, IndexRequest(workspace=workspace))

    async def pause(self, seconds: float | None) -> None:
        """Pauses routing for some seconds, or until `resume`."""
        await self._send("POST", "/pause", PauseRequest(seconds=seconds))

    async def resume(self) -> None:
        """Ends a pause."""
        await self._send("POST", "/resume")

    async def reload(self) -> None:
        """Reads the configuration file again."""
        await self._send("POST", "/reload")

    async def act_on_session(self, session: str, act: SessionAct) -> SessionPause:
        """Pauses, resumes, resets or ends a session of an agent; what it is then."""
        path = f"/sessions/{quote(session, safe='')}/{act}"
        row = await self._ask("POST", path, SessionRow)
        return SessionPause(
            id=row.id,
            client=row.client,
            title=row.title,
            state=row.state,
            cause=row.cause,
            detail=row.detail,
            action=row.action,
            since=row.since or 0.0,
        )

    async def pull_model(self, model_id: str) -> None:
        """Starts or resumes a download."""
        await self._send("POST", f"/models/{quote(model_id, safe='')}/pull")

    async def cancel_pull(self, model_id: str) -> None:
        """Stops a download; what has arrived is kept."""
        await self._send("DELETE", f"/models/{quote(model_id, safe='')}/pull")

    async def remove_model(self, model_id: str) -> None:
        """Deletes a downloaded model from the disk."""
        await self._send("DELETE", f"/models/{quote(model_id, safe='')}")

    async def shutdown(self, *, force: bool) -> ShutdownReply:
        """Ends the engine after the requests in flight, or at once with `force`."""
        return msgspec.json.decode(
            await self._send("POST", "/shutdown", ShutdownRequest(force=force)), type=ShutdownReply
        )

    async def events(self, last_id: str = "") -> AsyncIterator[tuple[str, EngineEvent]]:
        """Yields (id, event) until the engine ends the stream. Unknown events are left out.

        Args:
            last_id: the last id that was seen; the engine replays from there what it still has.
        """
        headers = {"Accept": "text/event-stream"}
        if last_id:
            headers["Last-Event-ID"] = last_id
        try:
            async with self._open().get(
                f"{self._base}/events", headers=headers, timeout=_STREAM_TIMEOUT
            ) as reply:
                if reply.status != 200:
                    raise _refusal(reply.status, await reply.read())
                buffer = b""
                async for chunk in reply.content.iter_any():
                    buffer = (buffer + chunk).replace(b"\r\n", b"\n")
                    if len(buffer) > _MAX_EVENT:
                        raise ControlFailure("invalid", "The engine sent an event that is too long.")
                    *frames, buffer = buffer.split(b"\n\n")
                    for frame in frames:
                        parsed = self._parse(frame)
                        if parsed is not None:
                            yield parsed
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ControlFailure("unreachable", str(error) or type(error).__name__) from error

    def _parse(self, frame: bytes) -> tuple[str, EngineEvent] | None:
        event_id, data = "", []
        for line in frame.split(b"\n"):
            field, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if field == b"id":
                event_id = value.decode("utf-8", "replace")
            elif field == b"data":
                data.append(value)
        if not data:
            return None
        try:
            return event_id, self._events.decode(b"\n".join(data))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            # A newer engine may say more than this UI understands.
            log.debug("left out an event: %s", error)
            return None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("ControlClient is used outside its context")
        if self._session.closed:
            # Whoever took the client before the engine was connected to anew.
            raise ControlFailure("unreachable", "The engine does not answer.")
        return self._session

    async def _ask(self, method: str, path: str, kind: type[T], body: msgspec.Struct | None = None) -> T:
        answer = await self._send(method, path, body)
        try:
            return msgspec.json.decode(answer, type=kind)
        except msgspec.DecodeError as error:
            raise ControlFailure("invalid", f"The engine's answer was not understood: {error}") from error

    async def _send(self, method: str, path: str, body: msgspec.Struct | None = None) -> bytes:
        options: dict[str, Any] = {}
        if body is not None:
            options = {"data": msgspec.json.encode(body), "headers": {"Content-Type": "application/json"}}
        try:
            async with self._open().request(method, self._base + path, **options) as reply:
                payload = await reply.read()
                if reply.status >= 400:
                    raise _refusal(reply.status, payload)
                return payload
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ControlFailure("unreachable", "The engine does not answer.") from error


def _refusal(status: int, payload: bytes) -> ControlFailure:
    try:
        body = msgspec.json.decode(payload, type=ControlError)
    except msgspec.DecodeError:
        return ControlFailure("invalid", f"The engine answered with status {status}.")
    return ControlFailure(body.code, body.error)


def read_token(path: Path, environ_token: str = "") -> str:
    """The token in force: the file that the engine writes, else the one from the environment, else none."""
    try:
        return path.read_text(encoding="utf-8").strip() or environ_token
    except (OSError, UnicodeDecodeError):
        return environ_token
