"""What a package says of itself."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from parcel.version import Constraint, Version

_DEPENDENCY = re.compile(r"^\s*([a-z0-9][a-z0-9+._-]*)\s*(?:(>=|<=|>|<|=|~)\s*(\S+))?\s*$")


class BadManifest(ValueError):
    """A manifest that cannot be read."""


@dataclass(frozen=True)
class Dependency:
    name: str
    constraint: Constraint
    optional: bool = False


@dataclass(frozen=True)
class Manifest:
    name: str
    version: Version
    arch: str
    size: int
    digest: str
    depends: tuple[Dependency, ...] = ()
    conflicts: tuple[Dependency, ...] = ()
    provides: tuple[str, ...] = ()
    scripts: dict[str, str] = field(default_factory=dict)


def parse_dependency(text: str) -> Dependency:
    optional = text.endswith("?")
    match = _DEPENDENCY.match(text.rstrip("?"))
    if match is None:
        raise BadManifest(f"{text!r} is no dependency")
    name, operator, version = match.groups()
    constraint = Constraint(operator or "*", Version.parse(version) if version else None)
    return Dependency(name, constraint, optional)


def parse_manifest(text: str) -> Manifest:
    fields: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        key, colon, value = line.partition(":")
        if not colon:
            raise BadManifest(f"line {number} has no colon")
        fields[key.strip().lower()] = value.strip()
    for needed in ("name", "version", "arch", "sha256"):
        if needed not in fields:
            raise BadManifest(f"{needed} is missing")

    def listed(key: str) -> tuple[Dependency, ...]:
        return tuple(parse_dependency(part) for part in fields.get(key, "").split(",") if part.strip())

    return Manifest(
        name=fields["name"],
        version=Version.parse(fields["version"]),
        arch=fields["arch"],
        size=int(fields.get("size", "0")),
        digest=fields["sha256"],
        depends=listed("depends"),
        conflicts=listed("conflicts"),
        provides=tuple(p.strip() for p in fields.get("provides", "").split(",") if p.strip()),
        scripts={k.removeprefix("script-"): v for k, v in fields.items() if k.startswith("script-")},
    )
