"""Options, from the file and the command line."""

from __future__ import annotations

import platform
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Options:
    root: Path = Path("/")
    cache: Path = Path("/var/cache/parcel")
    sources: list[str] = field(default_factory=list)
    arch: str = platform.machine()
    parallel: int = 4
    timeout: float = 20.0
    strict: bool = False
    upgrade: bool = False
    reinstall: bool = False
    allow_downgrade: bool = False
    autoremove: bool = False
    cascade: bool = False
    force: bool = False
    dry_run: bool = False
    keep_config: bool = True
    no_scripts: bool = False
    with_optional: bool = False


def read_options(path: Path) -> Options:
    options = Options()
    if not path.exists():
        return options
    known = {f.name for f in fields(Options)}
    changes: dict[str, Any] = {}
    for line in path.read_text("utf-8").splitlines():
        key, _, value = (part.strip() for part in line.partition("="))
        if key == "source":
            changes.setdefault("sources", []).append(value)
        elif key in ("root", "cache"):
            changes[key] = Path(value)
        elif key in ("parallel",):
            changes[key] = int(value)
        elif key in known:
            changes[key] = value.lower() in ("1", "yes", "true")
    return replace(options, **changes)
