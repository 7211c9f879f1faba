"""Gives a model back what was left out of its prompt."""

from __future__ import annotations

from collections.abc import Mapping
from io import StringIO

from lynkr_desktop.engine.optimization.stage import Inner, InnerTool
from lynkr_desktop.engine.wire.canonical import Json

_LEAST = 4_000
"""Characters that an answer may always have."""


def restorer(originals: Mapping[str, str], window: int | None = None) -> InnerTool:
    """What answers the tool `lynkr_restore`.

    Args:
        originals: of one request, by handle.
        window: tokens that the model takes. An answer takes about a quarter of them at most, and says which
            lines are next.
    """
    most = max(window, _LEAST) if window is not None else None

    def restore(arguments: Json) -> Inner:
        handle = arguments.get("id")
        original = originals.get(handle) if isinstance(handle, str) else None
        if original is None:
            known = ", ".join(originals) or "none; nothing was left out"
            return Inner(text=f"There is nothing under this id. The ids are: {known}.")
        first, last = _line(arguments, "first_line"), _line(arguments, "last_line")
        if first is None and last is None and (most is None or len(original) <= most):
            return Inner(text=original)
        lines = list(StringIO(original, newline="\n"))  # nothing else ends a line where they were counted
        begin = max(1, first or 1)
        part = "".join(lines[begin - 1 : last])
        if most is not None and len(part) > most:
            # The last line is cut only where it does not fit alone.
            kept = part[:most].rpartition("\n")[0] or part[:most]
            then = begin + kept.count("\n") + 1
            part = f"{kept}\n[of {len(lines)} lines; first_line {then} goes on]"
        return Inner(text=part or f"There are {len(lines)} lines, none of them in that range.")

    return restore


def _line(arguments: Json, key: str) -> int | None:
    value = arguments.get(key)
    if isinstance(value, str) and value.strip().isdecimal():
        value = int(value[:12])
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
