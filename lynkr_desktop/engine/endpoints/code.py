"""The control API's calls for the code of workspaces: how far each is indexed, and its graph."""

from __future__ import annotations

import asyncio
from pathlib import Path

from aiohttp import web

from lynkr_desktop.engine.analysis.index import WorkspaceIndex
from lynkr_desktop.engine.code import OFF, index_of
from lynkr_desktop.engine.endpoints.control import Call, decoded, reply
from lynkr_desktop.engine.engine import Engine
from lynkr_desktop.engine.security.caller import ADMIN
from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.engine.wire.fields import encode_json
from lynkr_desktop.protocol.code import CodeGraphReport, IndexRequest, IndexStatus, WorkspaceList

_CODE = "/v1/admin/code"


class CodeCalls:
    """The handlers, one per call."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def calls(self) -> list[Call]:
        """Every call."""
        workspace = "an absolute folder; the configured one if left out"
        return [
            Call("GET", _CODE, self.listing, answer=WorkspaceList),
            Call(
                "GET",
                f"{_CODE}/graph",
                self.graph,
                answer=CodeGraphReport,
                query={"workspace": workspace},
                roles=ADMIN,
            ),
            Call(
                "POST",
                f"{_CODE}/index",
                self.index,
                body=IndexRequest,
                answer=IndexStatus,
                status=202,
                changes="workspace indexed",
            ),
        ]

    async def listing(self, request: web.Request) -> web.StreamResponse:
        """Every workspace that was seen, the latest first, and how far its index is."""
        workspaces = self._engine.workspaces
        return reply(WorkspaceList(workspaces=workspaces.statuses() if workspaces is not None else ()))

    async def graph(self, request: web.Request) -> web.StreamResponse:
        """The files of a workspace with their metrics, and what depends on what; none while it is indexed.

        Indexing begins at first sight; `status` says how far it is.
        """
        index = self._index(request.query.get("workspace", ""))
        body = await asyncio.to_thread(lambda: encode_json(index.report()))
        return web.Response(body=body, content_type="application/json")

    async def index(self, request: web.Request) -> web.StreamResponse:
        """Begins to index a workspace; one that is known has all its files looked at again."""
        index = self._index((await decoded(request, IndexRequest)).workspace)
        if not index.status.unfinished:
            index.refresh()
        return reply(index.status, 202)

    def _index(self, workspace: str) -> WorkspaceIndex:
        folder = workspace or self._engine.snapshot.config.routing.workspace
        if not folder:
            message = "workspace is missing: give the absolute path of a folder of code."
            raise WireError(message, status=400, kind="invalid_request", param="workspace")
        if self._engine.workspaces is None:
            raise WireError(OFF, status=409, kind="conflict")
        return index_of(self._engine.workspaces, Path(folder).expanduser() if not workspace else Path(folder))
