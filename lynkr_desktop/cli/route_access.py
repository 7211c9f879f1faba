"""Who does the work of `lynkr route`: the running engine, else this process on the same files."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from lynkr_desktop.cli.client import ControlClient, ControlFailure, connect
from lynkr_desktop.engine.config.loader import ConfigError, load_config
from lynkr_desktop.engine.config.options import (
    Conflict,
    UnknownOption,
    content_of,
    patch_file,
    patched,
    revision,
)
from lynkr_desktop.engine.config.units import parse_duration
from lynkr_desktop.engine.routing.calibration import calibrate, limits_of
from lynkr_desktop.engine.telemetry import decisions
from lynkr_desktop.engine.telemetry.database import (
    RecordsError,
    database_path,
    open_for_reading,
    open_for_writing,
)
from lynkr_desktop.paths import Paths
from lynkr_desktop.protocol.options import OptionList, OptionPatch
from lynkr_desktop.protocol.routing import CalibrationReport, DecisionList, DecisionRow, Mark, MarkRequest
from lynkr_desktop.running import find_engine

_ROUTES = "/v1/admin/routes"
_OPTIONS = "/v1/admin/options"
_TIMEOUT = 60.0
"""Seconds; calibration reads the whole log."""


class Routes(Protocol):
    """The log of decisions. Every method raises `ControlFailure`."""

    def list(self, limit: int, *, misrouted: bool) -> tuple[DecisionRow, ...]:
        """The newest decisions first."""

    def show(self, request_id: str) -> DecisionRow:
        """One decision."""

    def mark(self, request_id: str, mark: Mark) -> DecisionRow:
        """Notes what a person says of it."""

    def calibrate(self, since: str, weight: float) -> CalibrationReport:
        """What the log says of the thresholds."""

    def preview(self, patch: Mapping[str, float]) -> Preview:
        """What `apply` would make of the configuration file."""

    def apply(self, preview: Preview) -> None:
        """Writes new thresholds into the configuration file, if it is still as it was."""


class Preview:
    """A change of the configuration file that was not made yet.

    Args:
        path: the file.
        patch: the options to change, by dotted name.
    """

    def __init__(self, path: Path, patch: Mapping[str, float]) -> None:
        self.path = path
        self.patch = dict(patch)
        self.revision = revision(path)
        content = content_of(path)
        self.after = patched(path, content, patch).decode("utf-8-sig")
        self.before = content.decode("utf-8-sig")


def open_routes(paths: Paths) -> Routes:
    """The log of the engine of this home, whether it runs or not. Raises `ControlFailure`."""
    runtime = find_engine(paths)
    if runtime is not None:
        return EngineRoutes(connect(paths, runtime, timeout=_TIMEOUT))
    return FileRoutes(paths)


class EngineRoutes:
    """The log of a running engine, by its control API."""

    def __init__(self, client: ControlClient) -> None:
        self._client = client

    def list(self, limit: int, *, misrouted: bool) -> tuple[DecisionRow, ...]:
        """The newest decisions first."""
        wanted = "true" if misrouted else "false"
        return self._client.get(_ROUTES, DecisionList, limit=str(limit), misrouted=wanted).decisions

    def show(self, request_id: str) -> DecisionRow:
        """One decision."""
        return self._client.get(_one(request_id), DecisionRow)

    def mark(self, request_id: str, mark: Mark) -> DecisionRow:
        """Notes what a person says of it."""
        return self._client.send("POST", f"{_one(request_id)}/mark", DecisionRow, MarkRequest(mark))

    def calibrate(self, since: str, weight: float) -> CalibrationReport:
        """What the log says of the thresholds."""
        return self._client.get(f"{_ROUTES}/calibration", CalibrationReport, since=since, weight=repr(weight))

    def preview(self, patch: Mapping[str, float]) -> Preview:
        """What `apply` would make of the configuration file."""
        path = self._client.get(_OPTIONS, OptionList).path
        with _told():
            return Preview(Path(path), patch)

    def apply(self, preview: Preview) -> None:
        """Writes new thresholds into the configuration file; the engine takes them at once."""
        patch = OptionPatch(values=dict(preview.patch), revision=preview.revision)
        self._client.send("PATCH", _OPTIONS, OptionList, patch)


class FileRoutes:
    """The log in the file that an engine has left."""

    def __init__(self, paths: Paths) -> None:
        with _told():
            self._config = load_config(paths.config).config
        self._paths = paths
        self._file = database_path(self._config.telemetry.storage, paths.home)

    def list(self, limit: int, *, misrouted: bool) -> tuple[DecisionRow, ...]:
        """The newest decisions first."""
        with self._reading() as connection:
            return tuple(decisions.recent(connection, limit, misrouted=misrouted))

    def show(self, request_id: str) -> DecisionRow:
        """One decision."""
        with self._reading() as connection:
            row = decisions.get(connection, request_id)
        if row is None:
            raise ControlFailure("There is no decision with this id.")
        return row

    def mark(self, request_id: str, mark: Mark) -> DecisionRow:
        """Notes what a person says of it."""
        self.show(request_id)
        with _told(), closing(open_for_writing(self._file)) as connection:
            amendment = decisions.Amendment(id=request_id, mark="" if mark == "none" else mark)
            decisions.amend(connection, (amendment,))
        return self.show(request_id)

    def calibrate(self, since: str, weight: float) -> CalibrationReport:
        """What the log says of the thresholds."""
        until = time.time()
        begin = until - parse_duration(since)
        with self._reading() as connection:
            tasks, skipped = decisions.replay(connection, begin)
        limits = limits_of(self._config.routing)
        return calibrate(tasks, limits, since=begin, until=until, weight=weight, skipped=skipped)

    def preview(self, patch: Mapping[str, float]) -> Preview:
        """What `apply` would make of the configuration file."""
        with _told():
            return Preview(self._paths.config, patch)

    def apply(self, preview: Preview) -> None:
        """Writes new thresholds into the configuration file."""
        try:
            with _told():
                patch_file(preview.path, preview.patch, preview.revision)
        except OSError as error:
            raise ControlFailure(f"{preview.path} cannot be written: {error.strerror}.") from error

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with _told(), closing(open_for_reading(self._file)) as connection:
            yield connection


def _one(request_id: str) -> str:
    return f"{_ROUTES}/{quote(request_id, safe='')}"


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (ConfigError, Conflict, RecordsError, UnknownOption) as error:
        raise ControlFailure(str(error)) from error
    except sqlite3.Error as error:
        raise ControlFailure(f"The records cannot be used: {error}.") from error
