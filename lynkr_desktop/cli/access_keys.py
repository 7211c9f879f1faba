"""Who does the work of `lynkr access`: the running engine, else this process on the file itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol
from urllib.parse import quote

import msgspec

from lynkr_desktop.cli.client import ControlClient, ControlFailure, connect
from lynkr_desktop.cli.noting import note
from lynkr_desktop.engine.security.access import (
    AccessFault,
    AccessKeys,
    AccessTaken,
    BadAccess,
    NoSuchAccess,
)
from lynkr_desktop.paths import Paths
from lynkr_desktop.protocol.access import (
    AccessAdd,
    AccessKeyInfo,
    AccessList,
    AccessPatch,
    AccessRotate,
    NewAccessKey,
)
from lynkr_desktop.running import find_engine

_ACCESS = "/v1/admin/access"


class Access(Protocol):
    """The access keys. Every method raises `ControlFailure`."""

    def listing(self) -> AccessList:
        """Every key."""

    def add(self, wanted: AccessAdd) -> NewAccessKey:
        """Makes a key."""

    def rotate(self, name: str, expires_in: float | None) -> NewAccessKey:
        """Makes a new key in the place of one."""

    def change(self, name: str, patch: AccessPatch) -> AccessKeyInfo:
        """Changes what a key may do."""

    def remove(self, name: str) -> AccessKeyInfo:
        """Removes a key; what it was."""


def open_access(paths: Paths) -> Access:
    """The access keys of the engine of this home, running or not. Raises `ControlFailure`."""
    runtime = find_engine(paths)
    return LocalAccess(paths) if runtime is None else EngineAccess(connect(paths, runtime))


class EngineAccess:
    """The access keys of a running engine, by its control API."""

    def __init__(self, client: ControlClient) -> None:
        self._client = client

    def listing(self) -> AccessList:
        """Every key."""
        return self._client.get(_ACCESS, AccessList)

    def add(self, wanted: AccessAdd) -> NewAccessKey:
        """Makes a key."""
        return self._client.send("POST", _ACCESS, NewAccessKey, wanted)

    def rotate(self, name: str, expires_in: float | None) -> NewAccessKey:
        """Makes a new key in the place of one."""
        body = AccessRotate(expires_in=expires_in)
        return self._client.send("POST", f"{_path(name)}/rotate", NewAccessKey, body)

    def change(self, name: str, patch: AccessPatch) -> AccessKeyInfo:
        """Changes what a key may do."""
        return self._client.send("PATCH", _path(name), AccessKeyInfo, patch)

    def remove(self, name: str) -> AccessKeyInfo:
        """Removes a key; what it was."""
        return self._client.send("DELETE", _path(name), AccessKeyInfo)


class LocalAccess:
    """The access keys of an engine that does not run."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._keys = AccessKeys(paths.access)
        self._keys.load()

    def listing(self) -> AccessList:
        """Every key."""
        return self._keys.listing()

    def add(self, wanted: AccessAdd) -> NewAccessKey:
        """Makes a key."""
        with _told():
            made = self._keys.add(wanted)
        note(self._paths, "access key added", f"{wanted.name}, {wanted.role}")
        return made

    def rotate(self, name: str, expires_in: float | None) -> NewAccessKey:
        """Makes a new key in the place of one."""
        with _told():
            made = self._keys.rotate(name, expires_in)
        note(self._paths, "access key rotated", f"name {name}")
        return made

    def change(self, name: str, patch: AccessPatch) -> AccessKeyInfo:
        """Changes what a key may do."""
        with _told():
            changed = self._keys.change(name, patch)
        note(self._paths, "access key changed", f"{name}: {msgspec.json.encode(patch).decode()}")
        return changed

    def remove(self, name: str) -> AccessKeyInfo:
        """Removes a key; what it was."""
        with _told():
            gone = self._keys.remove(name)
        note(self._paths, "access key removed", f"name {name}")
        return gone


def _path(name: str) -> str:
    return f"{_ACCESS}/{quote(name, safe='')}"


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (AccessFault, AccessTaken, BadAccess, NoSuchAccess) as error:
        raise ControlFailure(str(error)) from error
