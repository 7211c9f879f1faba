"""What is remembered over sessions, as people see and change it."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

MemoryKind = Literal["preference", "decision", "fact", "fix"]

MemorySource = Literal["person", "model", "import"]
"""Whose words it is: a person's, a model's that the person did not reject, or from a file."""


class MemoryRow(Struct, frozen=True, kw_only=True):
    """One memory.

    Attributes:
        id: its name for every call.
        project: the folder that it belongs to, or `client:NAME` where the client named none.
        session: in which it was said, by the client's own name for it.
        request: the request that brought it.
        at: when it was last said, in Unix seconds.
        surprise: how new it was, 0..1.
        seen: how often it was said.
        pinned: it is given to the model with each ask of its project.
        local_only: it was said under a profile that keeps all on this machine, and is used only there.
        superseded_by: the id of the one that took its place, empty while it holds.
    """

    id: str
    kind: MemoryKind
    text: str
    project: str
    source: MemorySource = "person"
    session: str = ""
    request: str = ""
    at: float = 0.0
    surprise: float = 1.0
    seen: int = 1
    pinned: bool = False
    local_only: bool = False
    superseded_by: str = ""


class MemoryList(Struct, frozen=True, kw_only=True):
    """GET /v1/admin/memory: the newest first; the best first where something was searched for."""

    memories: tuple[MemoryRow, ...] = ()


class MemoryProject(Struct, frozen=True, kw_only=True):
    """How many memories a project has."""

    project: str
    memories: int


class MemoryStatus(Struct, frozen=True, kw_only=True):
    """GET /v1/admin/memory/status. `error` says why the file cannot be used, empty where it can."""

    enabled: bool
    file: str
    memories: int = 0
    projects: tuple[MemoryProject, ...] = ()
    error: str = ""


class MemoryPatch(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """PATCH /v1/admin/memory/{id}: what is left out stays."""

    text: str | UnsetType = UNSET
    kind: MemoryKind | UnsetType = UNSET
    pinned: bool | UnsetType = UNSET


class ForgetRequest(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """POST /v1/admin/memory/forget: everything, or all of one project. One of both must be given."""

    everything: bool = False
    project: str = ""


class Forgotten(Struct, frozen=True, kw_only=True):
    """What was forgotten. Nothing of it is left in the file.

    `replies` are stored replies that were deleted with it, since any of them may repeat it. `copies`
    are files beside it that were set aside when they were damaged; they may hold memories still.
    """

    forgotten: int
    replies: int = 0
    copies: tuple[str, ...] = ()


class MemoryExport(Struct, frozen=True, kw_only=True):
    """GET /v1/admin/memory/export, and what POST /v1/admin/memory/import takes."""

    memories: tuple[MemoryRow, ...]
    version: Literal[1] = 1


class Imported(Struct, frozen=True, kw_only=True):
    """What came of an import. `known` were there already; `refused` have no text or project."""

    added: int
    known: int = 0
    refused: int = 0
