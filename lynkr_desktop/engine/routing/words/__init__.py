"""Words that routing looks for, as data: what harnesses write, and what people say in several languages."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any


def read_words(name: str) -> dict[str, Any]:
    """The contents of `<name>.toml` beside this module."""
    return tomllib.loads((files(__name__) / f"{name}.toml").read_text("utf-8"))
