"""The control API's calls for options: how they stand, and changes that are saved into the file."""

from __future__ import annotations

import asyncio

from aiohttp import web

from lynkr_desktop.engine.config.loader import ConfigError
from lynkr_desktop.engine.config.options import (
    Conflict,
    UnknownOption,
    list_options,
    patch_file,
    revision,
    templates,
)
from lynkr_desktop.engine.endpoints.control import Call, decoded, noting, reply
from lynkr_desktop.engine.engine import Engine
from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.protocol.options import OptionList, OptionPatch


class OptionCalls:
    """The handlers, one per call."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._saving = asyncio.Lock()

    def calls(self) -> list[Call]:
        """Every call."""
        path = "/v1/admin/options"
        return [
            Call("GET", path, self.listing, answer=OptionList),
            Call("PATCH", path, self.patch, body=OptionPatch, answer=OptionList, changes="options changed"),
        ]

    async def listing(self, request: web.Request) -> web.StreamResponse:
        """Every option with its schema, value and origin; secret values are left out."""
        return reply(await self._list())

    async def patch(self, request: web.Request) -> web.StreamResponse:
        """Changes options: all are checked together, saved with the file's comments kept, and loaded."""
        wanted = await decoded(request, OptionPatch)
        noting(request, ", ".join(sorted(wanted.values)))
        async with self._saving:
            path = self._engine.paths.config
            try:
                await asyncio.to_thread(patch_file, path, wanted.values, wanted.revision)
            except UnknownOption as error:
                raise WireError(str(error), status=404, kind="not_found") from error
            except Conflict as error:
                raise WireError(str(error), status=409, kind="conflict") from error
            except ConfigError as error:
                raise WireError(str(error), status=422, kind="invalid_request") from error
            except OSError as error:
                reason = error.strerror or type(error).__name__
                raise WireError(
                    f"{path} cannot be written ({reason}).", status=503, kind="unavailable"
                ) from error
            await self._engine.reload()
        return reply(await self._list())

    async def _list(self) -> OptionList:
        path, snapshot = self._engine.paths.config, self._engine.snapshot
        error = snapshot.status.error
        try:
            state = await asyncio.to_thread(revision, path)
        except ConfigError as problem:
            state, error = "", str(problem)
        return OptionList(
            path=str(path),
            revision=state,
            error=error,
            options=list_options(snapshot.config, self._engine.overrides),
            templates=templates(),
        )
