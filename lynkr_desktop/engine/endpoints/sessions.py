"""The control API's calls for sessions of agents: list, show, pause, resume, start over, end."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web
from msgspec.structs import replace

from lynkr_desktop.engine.endpoints.control import CALLER, Call, Handler, number, reply
from lynkr_desktop.engine.endpoints.privacy import shown
from lynkr_desktop.engine.engine import Engine
from lynkr_desktop.engine.resilience.guarded_sessions import name_of, of_key
from lynkr_desktop.engine.security.caller import EVERYONE
from lynkr_desktop.engine.telemetry.session_rows import sessions
from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.protocol.sessions import SessionAct, SessionPage, SessionPause, SessionRow

_SESSIONS = "/v1/admin/sessions"
_MOST = 500


class SessionCalls:
    """The handlers, one per call."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def calls(self) -> list[Call]:
        """Every call."""
        limit = {"limit": f"how many of those that run, 1 to {_MOST}; 50 if left out"}
        return [
            Call("GET", _SESSIONS, self.listing, answer=SessionPage, query=limit, roles=EVERYONE),
            Call("GET", f"{_SESSIONS}/{{id}}", self.one, answer=SessionRow, roles=EVERYONE),
            self._call("POST", "/pause", self.pause, "session paused"),
            self._call("POST", "/resume", self.resume, "session resumed"),
            self._call("POST", "/reset", self.reset, "session started over"),
            self._call("POST", "/end", self.end, "session ended"),
            self._call("DELETE", "", self.remove, "session removed"),
        ]

    def _call(self, method: str, rest: str, handler: Handler, changes: str) -> Call:
        return Call(method, f"{_SESSIONS}/{{id}}{rest}", handler, answer=SessionRow, changes=changes)

    async def listing(self, request: web.Request) -> web.StreamResponse:
        """The sessions of late: those that do not run first, then those that were heard of last."""
        rows = await self._rows(number(request, "limit", 50, 1, _MOST), request[CALLER].only)
        return reply(shown(request, SessionPage(tuple(rows))))

    async def one(self, request: web.Request) -> web.StreamResponse:
        """One session."""
        return reply(shown(request, await self._find(request)))

    async def pause(self, request: web.Request) -> web.StreamResponse:
        """Refuses a session's requests until it is resumed."""
        return await self._act(request, "pause")

    async def resume(self, request: web.Request) -> web.StreamResponse:
        """Lets a session go on. The loop guard counts anew from here."""
        return await self._act(request, "resume")

    async def reset(self, request: web.Request) -> web.StreamResponse:
        """Lets a session go on as a new one: the tier that it was kept at is forgotten too."""
        return await self._act(request, "reset")

    async def end(self, request: web.Request) -> web.StreamResponse:
        """Refuses a session's requests until it is removed."""
        return await self._act(request, "end")

    async def remove(self, request: web.Request) -> web.StreamResponse:
        """Forgets what was done to a session, so that it runs as any other. Its records stay."""
        return await self._act(request, "remove")

    async def _act(self, request: web.Request, act: SessionAct) -> web.StreamResponse:
        row = await self._find(request)
        after = await self._engine.act_on_session(row.id, act, client=row.client, title=row.title)
        return reply(_with(row, after))

    async def _find(self, request: web.Request) -> SessionRow:
        wanted = request.match_info["id"]
        for row in await self._rows(_MOST, request[CALLER].only):
            if row.id == wanted:
                return row
        message = "There is no session with this id of late. `lynkr sessions` lists them."
        raise WireError(message, status=404, kind="not_found")

    async def _rows(self, limit: int, key: str | None) -> Sequence[SessionRow]:
        """Those that run, `limit` at most, behind all others; of one access key, where `key` names one."""
        guarded = self._engine.sessions
        found: dict[str, SessionRow] = {}
        for row in await self._engine.records.read(lambda connection: sessions(connection, limit, key)):
            name = of_key(name_of(row.id), row.key)
            found[name] = _with(replace(row, id=name), guarded.state_of(name))
        stopped: list[SessionRow] = []
        for pause in guarded.stopped:
            if key is not None and pause.id not in found:
                continue
            row = found.pop(pause.id, SessionRow(id=pause.id, last_at=pause.since))
            stopped.append(_with(row, pause))
        return (*stopped, *found.values())


def _with(row: SessionRow, pause: SessionPause | None) -> SessionRow:
    """A row with the state that a session has."""
    if pause is None:
        return row
    runs = pause.state == "running"
    return replace(
        row,
        client=row.client or pause.client,
        title=row.title or pause.title,
        state=pause.state,
        cause=pause.cause,
        detail=pause.detail,
        action=pause.action,
        since=None if runs else pause.since,
    )
