"""Versions and what may be asked of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import total_ordering

_VERSION = re.compile(r"^(?:(\d+):)?(\d+(?:\.\d+)*)(?:~([a-z]+)(\d*))?(?:-r(\d+))?$")


class BadVersion(ValueError):
    """The text is no version."""


@total_ordering
@dataclass(frozen=True)
class Version:
    epoch: int
    release: tuple[int, ...]
    pre: tuple[str, int] | None
    build: int

    @classmethod
    def parse(cls, text: str) -> Version:
        match = _VERSION.match(text.strip())
        if match is None:
            raise BadVersion(f"{text!r} is no version")
        epoch, release, word, number, build = match.groups()
        pre = (word, int(number or 0)) if word else None
        return cls(int(epoch or 0), tuple(int(p) for p in release.split(".")), pre, int(build or 0))

    def _key(self) -> tuple[object, ...]:
        release = self.release
        while len(release) > 1 and release[-1] == 0:
            release = release[:-1]
        return (self.epoch, release, self.pre is None, self.pre or ("", 0), self.build)

    def __lt__(self, other: Version) -> bool:
        return self._key() < other._key()

    def __str__(self) -> str:
        text = ".".join(map(str, self.release))
        if self.epoch:
            text = f"{self.epoch}:{text}"
        if self.pre:
            text += f"~{self.pre[0]}{self.pre[1] or ''}"
        return f"{text}-r{self.build}" if self.build else text


@dataclass(frozen=True)
class Constraint:
    operator: str
    version: Version | None

    def allows(self, version: Version) -> bool:
        wanted = self.version
        if wanted is None or self.operator == "*":
            return True
        if self.operator == ">=":
            return version >= wanted
        if self.operator == "<=":
            return version <= wanted
        if self.operator == ">":
            return version > wanted
        if self.operator == "<":
            return version < wanted
        if self.operator == "~":
            return version >= wanted and version.release[: len(wanted.release) - 1] == wanted.release[:-1]
        return version == wanted
