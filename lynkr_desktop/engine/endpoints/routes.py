"""The control API's calls for the log of decisions: list, show, mark, and what it says of thresholds."""

from __future__ import annotations

import asyncio
import time

from aiohttp import web

from lynkr_desktop.engine.config.units import parse_duration
from lynkr_desktop.engine.endpoints.control import Call, decoded, number, reply
from lynkr_desktop.engine.endpoints.privacy import shown
from lynkr_desktop.engine.engine import Engine
from lynkr_desktop.engine.routing.calibration import WEIGHT, calibrate, limits_of, parse_weight
from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.protocol.routing import CalibrationReport, DecisionList, DecisionRow, MarkRequest

_ROUTES = "/v1/admin/routes"
_SINCE = "30d"


class RouteCalls:
    """The handlers, one per call."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def calls(self) -> list[Call]:
        """Every call; `calibration` comes before the ids, which would take its place."""
        return [
            Call(
                "GET",
                _ROUTES,
                self.listing,
                answer=DecisionList,
                query={
                    "limit": "how many, 1 to 1000; 50 if left out",
                    "before": "only those older than this id",
                    "misrouted": "true: only those that took too weak or too strong a tier",
                },
            ),
            Call(
                "GET",
                f"{_ROUTES}/calibration",
                self.calibration,
                answer=CalibrationReport,
                query={
                    "since": f"how far back, such as 12h or 90d; {_SINCE} if left out",
                    "weight": f"how many times worse too weak a tier is than too strong a one; {WEIGHT:g} if "
                    "left out",
                },
            ),
            Call("GET", f"{_ROUTES}/{{id}}", self.one, answer=DecisionRow),
            Call(
                "POST",
                f"{_ROUTES}/{{id}}/mark",
                self.mark,
                body=MarkRequest,
                answer=DecisionRow,
                changes="decision marked",
            ),
        ]

    async def listing(self, request: web.Request) -> web.StreamResponse:
        """The recorded decisions, the newest first, with what became of them."""
        misrouted = request.query.get("misrouted", "").lower() in ("1", "true")
        rows = await self._engine.records.decisions(
            number(request, "limit", 50, 1, 1000), request.query.get("before"), misrouted=misrouted
        )
        return reply(DecisionList(decisions=shown(request, tuple(rows))))

    async def one(self, request: web.Request) -> web.StreamResponse:
        """One recorded decision."""
        return reply(shown(request, _there(await self._engine.records.decision(request.match_info["id"]))))

    async def mark(self, request: web.Request) -> web.StreamResponse:
        """Notes what a person says of a decision: good, under, over, or none to take it back."""
        wanted = await decoded(request, MarkRequest)
        mark = "" if wanted.mark == "none" else wanted.mark
        return reply(_there(await self._engine.records.mark(request.match_info["id"], mark)))

    async def calibration(self, request: web.Request) -> web.StreamResponse:
        """What the log says of the thresholds, and which would be better. It changes nothing."""
        until = time.time()
        since = until - _duration(request.query.get("since", _SINCE))
        weight = _weight(request.query.get("weight", f"{WEIGHT:g}"))
        tasks, skipped = await self._engine.records.replay(since)
        limits = limits_of(self._engine.snapshot.config.routing)
        report = await asyncio.to_thread(
            calibrate, tasks, limits, since=since, until=until, weight=weight, skipped=skipped
        )
        return reply(report)


def _there(row: DecisionRow | None) -> DecisionRow:
    if row is None:
        raise WireError("There is no decision with this id.", status=404, kind="not_found")
    return row


def _duration(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise WireError(f"since: {error}.", status=400, kind="invalid_request", param="since") from error


def _weight(text: str) -> float:
    try:
        return parse_weight(text)
    except ValueError as error:
        raise WireError(f"weight: {error}.", status=400, kind="invalid_request", param="weight") from error
