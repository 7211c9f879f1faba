"""Gives a model back what was left out of its prompt."""

from __future__ import annotations

from collections.abc import Mapping
from io import StringIO

from lynkr_desktop.engine.optimization.stage import Inner, InnerTool
from lynkr_desktop.engine.wire.canonical import Json


def restorer(originals: Mapping[str, str]) -> InnerTool:
    """What answers the tool `lynkr_restore`, from the originals of one request."""

    def restore(arguments: Json) -> Inner:
        handle = arguments.get("id")
        original = originals.get(handle) if isinstance(handle, str) else None
        if original is None:
            known = ", ".join(originals) or "none; nothing was left out"
            return Inner(text=f"There is nothing under this id. The ids are: {known}.")
        first, last = _line(arguments, "first_line"), _line(arguments, "last_line")
        if first is None and last is None:
            return Inner(text=original)
        lines = list(StringIO(original, newline="\n"))  # nothing else ends a line where they were counted
        begin = max(1, first or 1)
        part = "".join(lines[begin - 1 : last])
        return Inner(text=part or f"There are {len(lines)} lines, none of them in that range.")

    return restore


def _line(arguments: Json, key: str) -> int | None:
    value = arguments.get(key)
    if isinstance(value, str) and value.strip().isdecimal():
        value = int(value[:12])
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
