"""What is known of the code of a workspace: metrics per file, the graph between files, state of the index."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

IndexState = Literal["waiting", "indexing", "ready", "limited", "failed"]
"""`limited`: ready, but only a part of the files is in it, since the workspace is larger than the limits."""

EdgeKind = Literal["import", "call", "inherit"]


class FileMetrics(Struct, frozen=True, kw_only=True):
    """The structure of one source file.

    Attributes:
        path: relative to the workspace, with `/`.
        language: typescript (also tsx and javascript), python, rust, go, java or csharp.
        functions: their number.
        cyclomatic_sum: McCabe's complexity (1976) over all functions.
        cyclomatic_max: of the worst function.
        depth: dependency depth: the longest path from here in the graph of dependencies, with every cycle
            condensed to one node (Lakos). 0 for a file that depends on nothing in the workspace.
        component: files in the cycle that this one is part of, 1 for none.
        lcom4: connected groups of methods in the least cohesive class (Hitz & Montazeri 1995), 0 for none.
        cohesion: references within the file / all its references to code of the workspace, 0..1; 1 for none.
        blast_1: files that depend on it directly, tests apart.
        blast_2: the same over two steps.
        blast: all that depend on it, over any number of steps.
        blast_tests: the tests among all that depend on it.
        test: whether the file itself is a test.
    """

    path: str
    language: str
    lines: int
    functions: int = 0
    cyclomatic_sum: int = 0
    cyclomatic_max: int = 0
    depth: int = 0
    component: int = 1
    lcom4: int = 0
    cohesion: float = 1.0
    blast_1: int = 0
    blast_2: int = 0
    blast: int = 0
    blast_tests: int = 0
    test: bool = False


class SymbolMetrics(Struct, frozen=True, kw_only=True):
    """A function, method or class that was named. `complexity` of a class is that of its worst method."""

    name: str
    path: str
    line: int
    complexity: int


class IndexStatus(Struct, frozen=True, kw_only=True):
    """How far the index of a workspace is.

    `done` of `total` files are read while it is indexing; `skipped` counts files that were left out, by
    reason; `seconds` is how long the first full pass took; `updated` is Unix seconds; `polling` says that the
    system does not tell of changes of files, so that they are looked for again and again.
    """

    root: str
    state: IndexState
    done: int = 0
    total: int = 0
    files: int = 0
    lines: int = 0
    languages: dict[str, int] = {}
    skipped: dict[str, int] = {}
    seconds: float = 0.0
    updated: float = 0.0
    polling: bool = False
    error: str = ""

    @property
    def unfinished(self) -> bool:
        """Whether the first pass is still to be made, or being made."""
        return self.state in ("waiting", "indexing")


class CodeEdge(Struct, frozen=True, array_like=True):
    """`source` depends on `target`; both are positions in the list of files."""

    source: int
    target: int
    kind: EdgeKind


class CodeGraphReport(Struct, frozen=True, kw_only=True):
    """GET /v1/admin/code/graph: the files of one workspace with their metrics, and what depends on what."""

    status: IndexStatus
    files: tuple[FileMetrics, ...] = ()
    edges: tuple[CodeEdge, ...] = ()


class WorkspaceList(Struct, frozen=True, kw_only=True):
    """GET /v1/admin/code: every workspace that was seen, the latest first."""

    workspaces: tuple[IndexStatus, ...] = ()


class IndexRequest(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """POST /v1/admin/code/index. `workspace` is an absolute folder; empty for the configured one."""

    workspace: str = ""
