"""Exact versions, so that two images come out alike."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from parcel.manifest import Dependency, parse_dependency

if TYPE_CHECKING:
    from parcel.engine import Engine


class Lockfile:
    def __init__(self, lines: list[str]) -> None:
        self._lines = lines

    @classmethod
    def read(cls, path: Path) -> Lockfile:
        return cls([line for line in path.read_text("utf-8").splitlines() if line and not line.startswith("#")])

    @classmethod
    def of(cls, engine: Engine) -> Lockfile:
        return cls([f"{m.name}={m.version}" for m in engine.database.every()])

    def dependencies(self) -> list[Dependency]:
        return [parse_dependency(line) for line in self._lines]

    def write(self, path: Path) -> None:
        path.write_text("\n".join(["# written by parcel lock", *self._lines]) + "\n", "utf-8")
