"""The control API's calls for usage: reports, the records as a file, whether records and metrics agree."""

from __future__ import annotations

import logging
import time
from typing import Any, cast, get_args

from aiohttp import web

from lynkr_desktop.engine.endpoints.control import CALLER, Call, reply
from lynkr_desktop.engine.engine import Engine
from lynkr_desktop.engine.security.caller import ADMIN, EVERYONE
from lynkr_desktop.engine.telemetry import check, export
from lynkr_desktop.engine.telemetry.database import RecordsError
from lynkr_desktop.engine.telemetry.export import ExportFormat
from lynkr_desktop.engine.telemetry.spans import Span, UsageRange, between, named
from lynkr_desktop.engine.telemetry.usage import UsageGroup
from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.protocol.usage import UsageCheck, UsageReport

log = logging.getLogger(__name__)

_USAGE = "/v1/admin/usage"
_ENDS = {
    "since": "a local day or time, how long ago (12h, 90d), or Unix seconds; the first record if left out",
    "until": "the same, a day alone until its end; until now if left out",
}


class UsageCalls:
    """The handlers, one per call."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def calls(self) -> list[Call]:
        """Every call."""
        return [
            Call(
                "GET",
                _USAGE,
                self.usage,
                answer=UsageReport,
                query={
                    "range": f"{', '.join(get_args(UsageRange))}; today if left out, or the ends below",
                    "by": ", ".join(get_args(UsageGroup)),
                    **_ENDS,
                },
                roles=EVERYONE,
            ),
            Call(
                "GET",
                f"{_USAGE}/export",
                self.export,
                content="application/octet-stream",
                query={
                    "format": f"{', '.join(get_args(ExportFormat))}; csv if left out",
                    **_ENDS,
                    "titles": "false: without the beginnings of what people asked, as viewers get it",
                    "prompts": "true: with the prompts that telemetry.prompts stores; for admins alone",
                },
            ),
            Call("GET", f"{_USAGE}/check", self.check, answer=UsageCheck),
        ]

    async def usage(self, request: web.Request) -> web.StreamResponse:
        """GET /v1/admin/usage: sums of requests, tokens, costs, and percentiles, over a range, in groups."""
        by = cast("UsageGroup", _choice(request, "by", "tier", UsageGroup))
        return reply(await self._engine.records.usage(_span(request), by, request[CALLER].only))

    async def export(self, request: web.Request) -> web.StreamResponse:
        """GET /v1/admin/usage/export: the records of a range with decisions and outcomes, oldest first."""
        format_ = cast("ExportFormat", _choice(request, "format", "csv", ExportFormat))
        titles = request.query.get("titles", "true").lower() not in ("0", "false")
        titles = titles and request[CALLER].role == "admin"
        prompts = None
        if request.query.get("prompts", "false").lower() in ("1", "true"):
            request[CALLER].must_be(ADMIN)
            await self._engine.recorder.prompts.stored.read(())
            prompts = self._engine.recorder.prompts.stored.path
        made = export.Export(_ends(request), format_, titles=titles, prompts=prompts)
        records = self._engine.records
        # The first piece is there before the head goes out, so that what cannot be read has a status.
        piece = await records.read(made.piece)
        media = export.MEDIA_TYPES[format_]
        name = f'attachment; filename="lynkr-usage.{format_}"'
        response = web.StreamResponse(headers={"content-type": media, "content-disposition": name})
        try:
            await response.prepare(request)
            while piece is not None:
                await response.write(piece)
                piece = await records.read(made.piece)
            await response.write_eof()
        except ConnectionError:
            pass  # The client has enough.
        except RecordsError as error:
            log.warning("an export was broken off: %s", error)
            if request.transport is not None:
                request.transport.abort()  # What came must not look whole.
        return response

    async def check(self, request: web.Request) -> web.StreamResponse:
        """GET /v1/admin/usage/check: whether records and metrics agree on every request since the start."""
        records, metrics = self._engine.records, self._engine.metrics
        # Nothing is awaited between these: they are of the same instant.
        upto = records.last_id
        counted = {check.Series(*key): value for key, value in metrics.values(check.NAMES).items()}
        known = metrics.models
        since = records.since_start
        found = await records.read(lambda connection: since.sums(connection, upto)) if upto else {}
        sums, differences = check.compared(check.series_of(found, known), counted)
        return reply(
            UsageCheck(
                agree=not differences,
                since=self._engine.started,
                sums=sums,
                differences=differences[: check.MOST_DIFFERENCES],
                lost=records.lost,
                waiting=records.waiting,
                replaced=since.replaced,
            )
        )


def _span(request: web.Request) -> Span:
    if "since" not in request.query and "until" not in request.query:
        return named(cast("UsageRange", _choice(request, "range", "today", UsageRange)))
    if "range" in request.query:
        message = "range goes without since and until: one of both says what is meant."
        raise WireError(message, status=400, kind="invalid_request", param="range")
    return _ends(request)


def _ends(request: web.Request) -> Span:
    try:
        return between(request.query.get("since", ""), request.query.get("until", ""), time.time())
    except ValueError as error:
        message = str(error)
        param = message.split(":", 1)[0] if message.startswith(("since:", "until:")) else "since"
        raise WireError(f"{message}.", status=400, kind="invalid_request", param=param) from error


def _choice(request: web.Request, name: str, default: str, choices: Any) -> str:
    value = request.query.get(name, default)
    if value not in get_args(choices):
        message = f"{name} must be one of {', '.join(get_args(choices))}."
        raise WireError(message, status=400, kind="invalid_request", param=name)
    return value
