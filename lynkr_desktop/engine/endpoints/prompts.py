"""The control API's call for what was done to the prompt of a request."""

from __future__ import annotations

import asyncio

from aiohttp import web

from lynkr_desktop.engine.endpoints.control import Call, reply
from lynkr_desktop.engine.engine import Engine
from lynkr_desktop.engine.prompt_text import changes_of
from lynkr_desktop.engine.security.caller import ADMIN
from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.protocol.optimization import PromptView


class PromptCalls:
    """The handlers, one per call."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def calls(self) -> list[Call]:
        """Every call."""
        return [Call("GET", "/v1/admin/requests/{id}/prompt", self.prompt, answer=PromptView, roles=ADMIN)]

    async def prompt(self, request: web.Request) -> web.StreamResponse:
        """What the stages did to a prompt, and every place that went to the model otherwise than it came.

        Where telemetry.prompts stores prompts, the whole of it too.
        """
        id_ = request.match_info["id"]
        records = self._engine.records
        decision = await records.decision(id_)
        if decision is None and await records.get(id_) is None:
            raise WireError("There is no request with this id.", status=404, kind="not_found")
        receipts = decision.receipts if decision is not None else ()
        prompts = self._engine.recorder.prompts
        stored, kept = await prompts.stored.get(id_), prompts.get(id_)
        if stored is not None:
            return reply(stored.view(id_, receipts))
        if kept is None:
            return reply(PromptView(id=id_, receipts=receipts))
        changes = await asyncio.to_thread(changes_of, kept.before, kept.after)
        return reply(PromptView(id=id_, receipts=receipts, changes=changes, kept=True, asked=kept.asked))
