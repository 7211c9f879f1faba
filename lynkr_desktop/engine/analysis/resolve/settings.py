"""Reads files that say how imports are resolved. What cannot be read counts as empty."""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any

# What is never closed reaches to the end: to look for its end again and again would take quadratic time.
_STRING = r'"(?:\\.|[^"\\])*(?:"|\\?\Z)'
_TOKEN = re.compile(rf"{_STRING}|//[^\r\n]*|/\*.*?(?:\*/|\Z)", re.DOTALL)
_COMMA = re.compile(rf"({_STRING})|,(?=\s*[}}\]])", re.DOTALL)


def read_json(content: bytes) -> dict[str, Any]:
    """A JSON object, in which comments and commas at the end are allowed."""
    text = content.decode("utf-8-sig", "replace")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        text = _TOKEN.sub(lambda match: match[0] if match[0].startswith('"') else " ", text)
        text = _COMMA.sub(lambda match: match[1] or "", text)
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            return {}
    return found if isinstance(found, dict) else {}


def read_toml(content: bytes) -> dict[str, Any]:
    """A TOML document."""
    try:
        return tomllib.loads(content.decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError):
        return {}


def table(value: object) -> dict[str, Any]:
    """An object as it is, anything else as an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[Any]:
    """A list as it is, anything else as a list of it alone."""
    return value if isinstance(value, list) else [value]


def strings(value: object) -> list[str]:
    """A string, or those in a list."""
    return [item for item in items(value) if isinstance(item, str)]
