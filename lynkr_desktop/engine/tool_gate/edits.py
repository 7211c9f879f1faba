"""What a person changed of an action, put into the call of the client's tool that it came from."""

from __future__ import annotations

from typing import Any

from lynkr_desktop.engine.optimization.tool_kinds import prefix_of
from lynkr_desktop.engine.tool_gate.actions import (
    COMMAND,
    CONTENT,
    NEW,
    OLD,
    PATCH,
    PATH,
    URL,
    command_in,
    text_in,
)
from lynkr_desktop.engine.tool_gate.patches import is_patch
from lynkr_desktop.engine.wire.canonical import Json, ToolUse
from lynkr_desktop.protocol.security import Action


def edited_input(call: ToolUse, shown: Action, allowed: Action) -> Json | None:
    """The input of a call with what a person changed of its action; None where that cannot be said with it.

    Args:
        call: as the model wrote it.
        shown: what it does.
        allowed: what it is to do.
    """
    given = dict(call.input)
    changed = {name: value for name, value in allowed.arguments.items() if shown.arguments.get(name) != value}
    if shown.arguments.keys() - allowed.arguments.keys() or allowed.tool != shown.tool:
        return None
    for name, value in changed.items():
        if not _write(call, given, shown, name, value):
            return None
    return given


def _write(call: ToolUse, given: Json, shown: Action, name: str, value: Any) -> bool:
    """Puts one changed argument where the client's tool has it; whether it has a place."""
    if shown.tool == "mcp":
        if name != "arguments" or not isinstance(value, dict):
            return False
        if prefix_of(call.name):
            given.clear()
            given.update(value)
        else:
            given["arguments"] = value
        return True
    if not isinstance(value, str):
        return False
    if name == "command":
        return _write_command(call, given, shown, value)
    if name == "patch" and is_patch(text_in(given, COMMAND)):
        return False
    keys = {
        "path": PATH,
        "content": CONTENT,
        "old": OLD,
        "new": (*NEW, *CONTENT),
        "patch": PATCH,
        "url": URL,
    }
    for key in keys.get(name, ()):
        if isinstance(given.get(key), str) and (name != "url" or given[key] == shown.arguments.get("url")):
            given[key] = value
            return True
    return False


def _write_command(call: ToolUse, given: Json, shown: Action, value: str) -> bool:
    found = command_in(call)
    if found is None or found.text != shown.arguments.get("command"):
        return False  # a removal or a piece of code: the tool has no place for another command
    if found.key == "commands":
        given[found.key] = [value]
    elif found.before is None:
        given[found.key] = value
    else:
        given[found.key] = [*(found.before or ("bash", "-lc")), value]
    return True
