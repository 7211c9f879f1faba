"""What an agent is about to do, and how dangerous that is."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

Risk = Literal["LOW", "MEDIUM", "HIGH", "UNKNOWN"]
"""UNKNOWN where nothing is known of what it does: a tool of somebody else's."""

SecurityLevel = Literal["low", "medium", "high"]
"""What a person is asked about: low at HIGH only, medium at MEDIUM and up, high at everything but reads."""

ActionKind = Literal["shell", "file_read", "file_write", "file_edit", "network", "mcp"]

Dialect = Literal["posix", "fish", "powershell", "cmd"]


class Action(Struct, frozen=True, kw_only=True):
    """What a call of a tool does.

    Attributes:
        tool: its kind.
        arguments: shell: `command`; files: `path`, with `content` for a write and `old`, `new` for an edit;
            network: `url`, with `method` and `body` where they are known; mcp: `server`, `name`, `arguments`.
        workspace: the folder that the agent works in; empty where it is not known.
        cwd: where a command runs; empty for the workspace.
        dialect: of a command's shell; empty where it is to be told from the command.
        name: what the agent itself calls the tool.
    """

    tool: ActionKind
    arguments: dict[str, Any]
    workspace: str = ""
    cwd: str = ""
    dialect: Dialect | Literal[""] = ""
    name: str = ""


class Rating(Struct, frozen=True):
    """How dangerous an action is.

    Attributes:
        risk: the highest of its rules; LOW where none fits.
        rules: ids of the rules that fit, such as `delete.outside_workspace`, the gravest first.
        reasons: one sentence for each, for people.
    """

    risk: Risk
    rules: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
