"""How much of a disk the index may look at, and how much it may keep."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from lynkr_desktop.engine.analysis.facts import SUFFIXES, Language


class Limits(Struct, frozen=True, kw_only=True):
    """The bounds of all workspaces together and of each.

    Attributes:
        languages: that are read.
        roots: only folders in these may be indexed, whoever owns them. Empty: any folder that the user owns.
        files: source files in one workspace; what is beyond is left out and the state is `limited`.
        file_bytes: a larger source file is left out.
        depth: folders below the root.
        entries: names that one walk looks at, sources or not.
        workspaces: kept in memory; the one that was asked for longest ago is closed for a new one.
        cache_bytes: of all stored facts; the workspaces that were opened longest ago go first.
        workers: processes that read a large workspace; 0 takes half of the cores.
    """

    languages: frozenset[Language] = frozenset(SUFFIXES.values())
    roots: tuple[Path, ...] = ()
    files: int = 20_000
    file_bytes: int = 1_000_000
    depth: int = 40
    entries: int = 400_000
    workspaces: int = 8
    cache_bytes: int = 512 * 1024**2
    workers: int = 0
