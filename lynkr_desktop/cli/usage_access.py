"""Who does the work of `lynkr usage`: the running engine, else this process on the records that it left."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Protocol

from lynkr_desktop.cli.client import ControlClient, ControlFailure, connect
from lynkr_desktop.engine.config.loader import ConfigError, load_config
from lynkr_desktop.engine.telemetry import usage
from lynkr_desktop.engine.telemetry.database import RecordsError, database_path, open_for_reading
from lynkr_desktop.engine.telemetry.export import Export, ExportFormat
from lynkr_desktop.engine.telemetry.prompt_store import prompts_path
from lynkr_desktop.engine.telemetry.spans import Span
from lynkr_desktop.engine.telemetry.usage import UsageGroup
from lynkr_desktop.paths import Paths
from lynkr_desktop.protocol.usage import UsageReport
from lynkr_desktop.running import find_engine

_USAGE = "/v1/admin/usage"
_TIMEOUT = 60.0
"""Seconds; the disk may be busy, and the records many."""


class Usage(Protocol):
    """The records. Every method raises `ControlFailure`."""

    def report(self, span: Span, by: UsageGroup) -> UsageReport:
        """Sums and percentiles."""

    def export(self, span: Span, format_: ExportFormat, *, titles: bool, prompts: bool) -> Iterator[bytes]:
        """The pieces of a file with the records."""


def open_usage(paths: Paths) -> Usage:
    """The records of the engine of this home, whether it runs or not. Raises `ControlFailure`."""
    runtime = find_engine(paths)
    if runtime is not None:
        return EngineUsage(connect(paths, runtime, timeout=_TIMEOUT))
    return FileUsage(paths)


class EngineUsage:
    """The records of a running engine, by its control API."""

    def __init__(self, client: ControlClient) -> None:
        self._client = client

    def report(self, span: Span, by: UsageGroup) -> UsageReport:
        """Sums and percentiles."""
        asked = {"range": span.name} if span.name else _ends(span)
        return self._client.get(_USAGE, UsageReport, **asked, by=by)

    def export(self, span: Span, format_: ExportFormat, *, titles: bool, prompts: bool) -> Iterator[bytes]:
        """The pieces of a file with the records."""
        wanted = {"format": format_, "titles": "true" if titles else "false"}
        if prompts:
            wanted["prompts"] = "true"
        return self._client.stream(f"{_USAGE}/export", **wanted, **_ends(span))


class FileUsage:
    """The records in the file that an engine has left; they are read and not changed."""

    def __init__(self, paths: Paths) -> None:
        with _told():
            storage = load_config(paths.config).config.telemetry.storage
        self._file = database_path(storage, paths.home)

    def report(self, span: Span, by: UsageGroup) -> UsageReport:
        """Sums and percentiles."""
        with self._reading() as connection:
            return usage.report(connection, span, by, time.time())

    def export(self, span: Span, format_: ExportFormat, *, titles: bool, prompts: bool) -> Iterator[bytes]:
        """The pieces of a file with the records."""
        stored = prompts_path(self._file) if prompts else None
        export = Export(span, format_, titles=titles, prompts=stored)
        with self._reading() as connection:
            while (piece := export.piece(connection)) is not None:
                yield piece

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with _told(), closing(open_for_reading(self._file)) as connection:
            yield connection


def _ends(span: Span) -> dict[str, str]:
    """The ends as the control API takes them: Unix seconds, and nothing for the first record."""
    ends = {"until": f"{span.until:.6f}"}
    if span.since:
        ends["since"] = f"{span.since:.6f}"
    return ends


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (ConfigError, RecordsError) as error:
        raise ControlFailure(str(error)) from error
    except sqlite3.Error as error:
        raise ControlFailure(f"The records cannot be read: {error}.") from error
