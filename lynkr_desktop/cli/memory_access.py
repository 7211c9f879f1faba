"""Who does the work of `lynkr memory`: the running engine, else this process on the same file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar
from urllib.parse import quote

from msgspec import UNSET

from lynkr_desktop.cli.client import ControlClient, ControlFailure, connect
from lynkr_desktop.cli.noting import note
from lynkr_desktop.engine.cache.shelf import Shelf
from lynkr_desktop.engine.cache.store import ReplyStore, StoreError, store_file
from lynkr_desktop.engine.config.loader import ConfigError, load_config
from lynkr_desktop.engine.config.options import Conflict, UnknownOption, patch_file
from lynkr_desktop.engine.memory import desk
from lynkr_desktop.engine.memory.store import Store
from lynkr_desktop.engine.telemetry.database import database_path
from lynkr_desktop.paths import Paths
from lynkr_desktop.protocol.memory import (
    ForgetRequest,
    Forgotten,
    Imported,
    MemoryExport,
    MemoryKind,
    MemoryList,
    MemoryPatch,
    MemoryRow,
    MemoryStatus,
)
from lynkr_desktop.protocol.options import OptionList, OptionPatch
from lynkr_desktop.running import find_engine

T = TypeVar("T")

_MEMORY = "/v1/admin/memory"
_TIMEOUT = 120.0
"""Seconds; forgetting writes the whole file anew."""


class MemoryAccess(Protocol):
    """What is remembered. Every method raises `ControlFailure`."""

    def status(self) -> MemoryStatus:
        """Whether it is on, where it is, and how much there is."""

    def listing(
        self, *, query: str, project: str, kind: MemoryKind | None, limit: int, superseded: bool
    ) -> Sequence[MemoryRow]:
        """The newest first, or the best matches of a query."""

    def show(self, memory_id: str) -> MemoryRow:
        """One memory."""

    def change(self, memory_id: str, patch: MemoryPatch) -> MemoryRow:
        """Changes one."""

    def delete(self, memory_id: str) -> Forgotten:
        """Forgets one."""

    def forget(self, project: str) -> Forgotten:
        """Forgets a project, or everything where none is named."""

    def export(self, project: str) -> MemoryExport:
        """Everything, or all of a project."""

    def take_in(self, export: MemoryExport) -> Imported:
        """Adds what an export holds."""

    def switch(self, *, enabled: bool) -> None:
        """Switches memory on or off, in the configuration file."""


def open_memory(paths: Paths) -> MemoryAccess:
    """The memory of the engine of this home, whether it runs or not. Raises `ControlFailure`."""
    runtime = find_engine(paths)
    if runtime is not None:
        return EngineMemory(connect(paths, runtime, timeout=_TIMEOUT))
    return FileMemory(paths)


class EngineMemory:
    """By the control API of a running engine."""

    def __init__(self, client: ControlClient) -> None:
        self._client = client

    def status(self) -> MemoryStatus:
        """Whether it is on, where it is, and how much there is."""
        return self._client.get(f"{_MEMORY}/status", MemoryStatus)

    def listing(
        self, *, query: str, project: str, kind: MemoryKind | None, limit: int, superseded: bool
    ) -> Sequence[MemoryRow]:
        """The newest first, or the best matches of a query."""
        wanted = {
            "query": query,
            "project": project,
            "kind": kind or "",
            "limit": str(limit),
            "superseded": "true" if superseded else "",
        }
        given = {name: value for name, value in wanted.items() if value}
        return self._client.get(_MEMORY, MemoryList, **given).memories

    def show(self, memory_id: str) -> MemoryRow:
        """One memory."""
        return self._client.get(_one(memory_id), MemoryRow)

    def change(self, memory_id: str, patch: MemoryPatch) -> MemoryRow:
        """Changes one."""
        return self._client.send("PATCH", _one(memory_id), MemoryRow, patch)

    def delete(self, memory_id: str) -> Forgotten:
        """Forgets one."""
        return self._client.send("DELETE", _one(memory_id), Forgotten)

    def forget(self, project: str) -> Forgotten:
        """Forgets a project, or everything where none is named."""
        wanted = ForgetRequest(everything=not project, project=project)
        return self._client.send("POST", f"{_MEMORY}/forget", Forgotten, wanted)

    def export(self, project: str) -> MemoryExport:
        """Everything, or all of a project; from the file, since it may be longer than an answer can be."""
        return _in_file(Path(self.status().file), lambda store: _exported(store, project))

    def take_in(self, export: MemoryExport) -> Imported:
        """Adds what an export holds."""
        return self._client.send("POST", f"{_MEMORY}/import", Imported, export)

    def switch(self, *, enabled: bool) -> None:
        """Switches memory on or off; the engine goes by it at once."""
        patch = OptionPatch(values={"memory.enabled": enabled})
        self._client.send("PATCH", "/v1/admin/options", OptionList, patch)


class FileMemory:
    """In the file that an engine has left."""

    def __init__(self, paths: Paths) -> None:
        with _told():
            self._options = load_config(paths.config).config.memory
        self._paths = paths
        self._config = paths.config
        self._file = database_path(self._options.storage, paths.home)
        self._replies = Shelf(ReplyStore(store_file(paths.cache)))

    def status(self) -> MemoryStatus:
        """Whether it is on, where it is, and how much there is."""
        projects = tuple(_in_file(self._file, desk.projects)) if self._file.is_file() else ()
        total = sum(project.memories for project in projects)
        return MemoryStatus(
            enabled=self._options.enabled, file=str(self._file), memories=total, projects=projects
        )

    def listing(
        self, *, query: str, project: str, kind: MemoryKind | None, limit: int, superseded: bool
    ) -> Sequence[MemoryRow]:
        """The newest first, or the best matches of a query."""
        if query:
            return _in_file(
                self._file, lambda store: desk.search(store, query, project=project, kind=kind, limit=limit)
            )
        return _in_file(
            self._file,
            lambda store: desk.listing(store, project=project, kind=kind, limit=limit, superseded=superseded),
        )

    def show(self, memory_id: str) -> MemoryRow:
        """One memory."""
        return _in_file(self._file, lambda store: desk.get(store, memory_id))

    def change(self, memory_id: str, patch: MemoryPatch) -> MemoryRow:
        """Changes one."""
        changed = _in_file(self._file, lambda store: desk.change(store, memory_id, patch))
        note(self._paths, "memory changed", f"id {memory_id}")
        if patch.text is not UNSET:
            self._clear_replies()
        return changed

    def delete(self, memory_id: str) -> Forgotten:
        """Forgets one."""
        return self._forgotten(
            lambda store: len(desk.delete(store, memory_id)), "memory forgotten", f"id {memory_id}"
        )

    def forget(self, project: str) -> Forgotten:
        """Forgets a project, or everything where none is named."""
        which = f"project {project}" if project else "everything"
        return self._forgotten(lambda store: desk.forget(store, project), "memories forgotten", which)

    def export(self, project: str) -> MemoryExport:
        """Everything, or all of a project."""
        return _in_file(self._file, lambda store: _exported(store, project))

    def take_in(self, export: MemoryExport) -> Imported:
        """Adds what an export holds."""
        taken = _in_file(self._file, lambda store: desk.take_in(store, export.memories), create=True)
        note(self._paths, "memories imported")
        return taken

    def switch(self, *, enabled: bool) -> None:
        """Switches memory on or off for the next start."""
        try:
            with _told():
                patch_file(self._config, {"memory.enabled": enabled})
            note(self._paths, "options changed", "memory.enabled")
        except OSError as error:
            raise ControlFailure(f"{self._config} cannot be written: {error.strerror}.") from error

    def _forgotten(self, work: Callable[[Store], int], what: str, which: str) -> Forgotten:
        forgotten = _in_file(self._file, work)
        note(self._paths, what, which)
        return Forgotten(forgotten=forgotten, replies=self._clear_replies(), copies=desk.copies(self._file))

    def _clear_replies(self) -> int:
        """Deletes the stored replies, any of which may repeat what is forgotten."""
        try:
            return self._replies.clear().replies
        except StoreError as error:
            raise ControlFailure(f"It is forgotten, but stored replies may repeat it. {error}") from error


def _exported(store: Store, project: str) -> MemoryExport:
    return MemoryExport(memories=tuple(desk.export(store, project)))


def _one(memory_id: str) -> str:
    return f"{_MEMORY}/{quote(memory_id, safe='')}"


def _in_file(path: Path, work: Callable[[Store], T], *, create: bool = False) -> T:
    if not create and not path.is_file():
        raise ControlFailure(f"There are no memories yet ({path} does not exist).")
    store = Store(path)
    try:
        with _told():
            return work(store)
    except (sqlite3.Error, OSError) as error:
        raise ControlFailure(f"The memories in {path} cannot be used: {error}.") from error
    finally:
        store.close()


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (ConfigError, Conflict, UnknownOption, desk.MemoryFault) as error:
        raise ControlFailure(str(error)) from error
