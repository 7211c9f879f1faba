"""The control API's calls for the audit log: what it holds, and whether it is whole."""

from __future__ import annotations

import asyncio
import re
import time

from aiohttp import web

from lynkr_desktop.engine.endpoints.control import Call, number, reply
from lynkr_desktop.engine.engine import Engine
from lynkr_desktop.engine.security.audit import AuditFailure
from lynkr_desktop.engine.security.caller import ADMIN
from lynkr_desktop.engine.telemetry.spans import between
from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.protocol.audit import AuditCheck, AuditList

_AUDIT = "/v1/admin/audit"
_LISTED, _MOST_LISTED = 100, 10_000
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)


class AuditCalls:
    """The handlers, one per call."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def calls(self) -> list[Call]:
        """Every call."""
        return [
            Call(
                "GET",
                _AUDIT,
                self.listing,
                answer=AuditList,
                query={
                    "limit": f"how many, 1 to {_MOST_LISTED}; {_LISTED} if left out",
                    "since": "a local day or time, how long ago (12h, 90d), or Unix seconds",
                },
                roles=ADMIN,
            ),
            Call(
                "GET",
                f"{_AUDIT}/verify",
                self.verify,
                answer=AuditCheck,
                query={"head": "the hash of an entry, kept elsewhere, that must be in the chain"},
                roles=ADMIN,
            ),
        ]

    async def listing(self, request: web.Request) -> web.StreamResponse:
        """Who did what to this Lynkr, the newest first."""
        limit = number(request, "limit", _LISTED, 1, _MOST_LISTED)
        audit = self._engine.audit
        await audit.flush()
        try:
            since = between(request.query.get("since", ""), "", time.time()).since
            entries = await asyncio.to_thread(audit.files.entries, since, limit)
        except ValueError as error:
            raise WireError(f"{error}.", status=400, kind="invalid_request", param="since") from error
        except AuditFailure as error:
            raise WireError(str(error), status=503, kind="unavailable") from error
        return reply(AuditList(entries=tuple(entries), waiting=audit.waiting))

    async def verify(self, request: web.Request) -> web.StreamResponse:
        """Whether the audit log is as it was written, and which entries are not."""
        head = request.query.get("head", "")
        if head and not _HASH.fullmatch(head):
            message = "head must be a SHA-256 in 64 lower-case hexadecimal digits."
            raise WireError(message, status=400, kind="invalid_request", param="head")
        await self._engine.audit.flush()
        try:
            return reply(await asyncio.to_thread(self._engine.audit.files.check, head))
        except AuditFailure as error:
            raise WireError(str(error), status=503, kind="unavailable") from error
