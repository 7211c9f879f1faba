"""Who reads code and explains routes for a command: the running engine, else this process."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol, TypeVar

from lynkr_desktop.cli.client import ControlClient, ControlFailure, connect
from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.paths import Paths
from lynkr_desktop.protocol.code import CodeGraphReport, IndexStatus
from lynkr_desktop.protocol.routing import ExplainRequest, RouteExplanation
from lynkr_desktop.running import find_engine

T = TypeVar("T")
Show = Callable[[IndexStatus], None]

_TIMEOUT = 60.0
_POLL_S = 0.1
_SHORT_WAIT_S = 3.0
"""Most workspaces are indexed in this time, so that it is waited for in any case."""


class CodeAccess(Protocol):
    """What is known of code. Every method raises `ControlFailure`.

    `wait` waits for the index however long that takes, else only for a moment; `show` is told how it goes.
    """

    def report(self, folder: Path, *, wait: bool, show: Show) -> CodeGraphReport:
        """The graph of a workspace."""

    def explain(self, asked: ExplainRequest, *, wait: bool, show: Show) -> RouteExplanation:
        """What would be decided for a prompt."""


def code_access(paths: Paths) -> CodeAccess:
    """Through the engine of this home when it runs, since it has the index already; else in this process."""
    runtime = find_engine(paths)
    if runtime is not None:
        return EngineCode(connect(paths, runtime, timeout=_TIMEOUT))
    return OfflineCode(paths)


class EngineCode:
    """As the running engine has it."""

    def __init__(self, client: ControlClient) -> None:
        self._client = client

    def report(self, folder: Path, *, wait: bool, show: Show) -> CodeGraphReport:
        """The graph of a workspace."""
        until = _until(wait)
        while True:
            report = self._client.get("/v1/admin/code/graph", CodeGraphReport, workspace=str(folder))
            if not report.status.unfinished or time.monotonic() > until:
                return report
            show(report.status)
            time.sleep(_POLL_S)

    def explain(self, asked: ExplainRequest, *, wait: bool, show: Show) -> RouteExplanation:
        """What would be decided for a prompt."""
        until = _until(wait)
        while True:
            found = self._client.send("POST", "/v1/admin/routes/explain", RouteExplanation, asked)
            if not _unread(found) or time.monotonic() > until:
                return found
            assert found.index is not None
            show(found.index)
            time.sleep(_POLL_S)


class OfflineCode:
    """As this process finds it while no engine runs. It always waits: nobody would go on with the index."""

    def __init__(self, paths: Paths) -> None:
        from lynkr_desktop.engine.config.loader import ConfigError, load_config

        self._paths = paths
        try:
            self._loaded = load_config(paths.config)
        except ConfigError as error:
            raise ControlFailure(str(error)) from error

    def report(self, folder: Path, *, wait: bool, show: Show) -> CodeGraphReport:
        """The graph of a workspace."""
        from lynkr_desktop.engine.code import OFF, index_of
        from lynkr_desktop.engine.offline import open_workspaces

        async def read() -> CodeGraphReport:
            async with open_workspaces(self._loaded, self._paths) as workspaces:
                if workspaces is None:
                    raise ControlFailure(OFF)
                index = index_of(workspaces, folder)
                while index.status.unfinished:
                    show(index.status)
                    await asyncio.sleep(_POLL_S)
                return await asyncio.to_thread(index.report)

        return _run(read())

    def explain(self, asked: ExplainRequest, *, wait: bool, show: Show) -> RouteExplanation:
        """What would be decided for a prompt."""
        from lynkr_desktop.engine.explain import explain
        from lynkr_desktop.engine.offline import open_offline

        async def read() -> RouteExplanation:
            async with open_offline(self._loaded, self._paths, os.environ) as offline:
                while True:
                    found = await explain(asked, offline.snapshot, offline.workspaces, offline.egress)
                    if not _unread(found):
                        return found
                    assert found.index is not None
                    show(found.index)
                    await asyncio.sleep(_POLL_S)

        return _run(read())


def _run(reading: Awaitable[T]) -> T:
    async def run() -> T:
        return await reading

    try:
        return asyncio.run(run())
    except WireError as error:
        raise ControlFailure(error.message) from error


def _until(wait: bool) -> float:
    return float("inf") if wait else time.monotonic() + _SHORT_WAIT_S


def _unread(found: RouteExplanation) -> bool:
    """Whether another look would know more of the workspace."""
    index = found.index
    return index is not None and (index.unfinished or (not found.complete and index.state != "failed"))
