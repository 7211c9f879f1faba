"""Finds the files that the UI ships with, in a source tree and in an installed wheel."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import lynkr_desktop

_PACKAGE = Path(lynkr_desktop.__file__).parent


@cache
def resources_dir() -> Path:
    """The folder `resources`: inside the package when installed, beside it in a source tree.

    Raises:
        FileNotFoundError: neither is there; the installation is damaged.
    """
    for folder in (_PACKAGE / "resources", _PACKAGE.parent / "resources"):
        if (folder / "icons").is_dir():
            return folder
    raise FileNotFoundError(f"no icons beside {_PACKAGE}; install lynkr-desktop again")


@cache
def icon_svg(name: str) -> str:
    """The SVG source of an icon, `currentColor` still in it."""
    return (resources_dir() / "icons" / f"{name}.svg").read_text(encoding="utf-8")
