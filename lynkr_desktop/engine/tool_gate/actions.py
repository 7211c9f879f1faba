"""What a call of a client's tool does on this machine, whatever the agent calls the tool.

Tools are told by the words of their names and by their parameters, as everywhere (`tool_kinds.py`); there is
no list of agents. Sources for names and parameters: the tool definitions of Claude Code, Codex, OpenHands,
Cline, Roo, Cursor, Continue, Gemini CLI, opencode, goose, Zed and Copilot.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Mapping
from functools import lru_cache
from pathlib import PureWindowsPath
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from lynkr_desktop.engine.optimization.tool_kinds import Kind, kind_of, parameters, prefix_of
from lynkr_desktop.engine.optimization.tool_words import split_name
from lynkr_desktop.engine.tool_gate.patches import is_patch, removal, touched
from lynkr_desktop.engine.wire.canonical import Json, Tool, ToolUse, parse_arguments
from lynkr_desktop.protocol.security import Action, ActionKind, Dialect

Use = Literal["shell", "code", "file", "read", "network", "mcp"]
"""What a tool is used for; `file` changes files, or may, depending on its arguments."""


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


COMMAND = ("command", "cmd", "script", "commands", "chars", "input", "raw")
_CODE = ("code", "source", "script", "input")
PATH = (
    "file_path",
    "path",
    "filePath",
    "filepath",
    "notebook_path",
    "target_file",
    "absolute_path",
    "relative_path",
    "relative_workspace_path",
    "filename",
    "file",
    "uri",
    "dir_path",
    "directory",
)
CONTENT = (
    "content",
    "contents",
    "file_text",
    "text",
    "code_edit",
    "new_source",
    "code",
    "changes",
    "insert_text",
)
OLD = ("old_string", "old_str", "oldString", "old_text", "search", "old")
NEW = ("new_string", "new_str", "newString", "new_text", "replace", "new")
PATCH = ("patch", "diff", "input", "patchText", "patch_text", "raw")
URL = ("url", "uri", "href", "urls", "link")
_CWD = ("workdir", "working_directory", "cwd", "dir_path", "directory", "cd")
_FROM = ("source_path", "source", "old_path", "from")
_TO = ("destination_path", "destination", "new_path", "to")

_STEP = ("command", "type", "operation", "mode", "action")
"""Where tools that do several things have which of them it is."""

_LOOKING = frozenset({"view", "read", "open", "list", "cat", "undo_edit", "search", "find", "get"})
_REMOVING = frozenset({"delete", "delete_file", "remove", "rm", "unlink"})
_LOOKS = _set("read view open cat get fetch search grep glob list ls find info media image notebook")
_CHANGES = _set(
    "write edit create replace apply patch insert delete remove update append move rename undo editor save "
    "copy mkdir put diff"
)
_NET = _set("fetch http https request curl browser browse navigate download webfetch webpage url")
_INTERPRETS = _set("ipython python interpreter jupyter repl")
_URL_IN_TEXT = re.compile(r"https?://[^\s<>\"'`)\]}]{1,2000}")
_SHELLS = _set("sh bash zsh dash ksh ash")
_POWER = _set("powershell pwsh")
_KEPT_PATH = 4_000


class Found(Struct, frozen=True):
    """A command in a call's input.

    Attributes:
        text: the command.
        key: of the input where it stands.
        dialect: of its shell; empty where it is to be told from the command.
        before: the arguments before it, where the input has a list of arguments; None where it has a text.
    """

    text: str
    key: str
    dialect: Dialect | Literal[""] = ""
    before: tuple[str, ...] | None = None


# ---------------------------------------------------------------- what a tool is for


def may_act(name: str, tool: Tool | None) -> bool:
    """Whether calls of a tool may change something: known before the input of a call is there.

    Args:
        name: as the model called it.
        tool: as the client offered it; None for one that it did not offer, of which nothing is known.
    """
    if tool is None:
        return True
    use = _use_of(tool)
    return use is not None and use != "read"


def _use_of(tool: Tool) -> Use | None:
    known, required = parameters(tool)
    return _use(tool.name, frozenset(known), required)


@lru_cache(1024)
def _use(name: str, names: frozenset[str], required: frozenset[str]) -> Use | None:
    """What a tool is for, by its name and its parameters' names; without any, by its name alone."""
    prefix = prefix_of(name)
    words = frozenset(split_name(name[len(prefix) :]))
    served = prefix.startswith(("mcp__", "mcp_"))
    schema = {"properties": {key: {} for key in names}, "required": [*required]}
    kind: Kind | None = kind_of(Tool(name, input_schema=schema))
    if kind == "shell":
        if names and not names & {*COMMAND, *_CODE}:
            return "mcp" if served else None  # looks at, or ends, what runs already
        return "code" if "code" in names and not names & {"command", "cmd"} else "shell"
    if served:
        return "mcp"
    if kind == "meta":
        return "mcp" if {"server_name", "server"} & names and {"tool_name", "tool", "name"} & names else None
    if kind == "search":
        return "read"
    if kind == "file":
        return "read" if words & _LOOKS and not words & _CHANGES else "file"
    if kind is not None:
        return None
    if prefix.endswith("__"):
        return "mcp"
    return _use_by_parameters(words, names)


def _use_by_parameters(words: frozenset[str], names: frozenset[str]) -> Use | None:
    if words & _INTERPRETS and (not names or names & set(_CODE)):
        return "code"
    if names & {"command", "cmd"}:
        return "shell"
    if names & {"url", "urls"} or words & _NET:
        return "network"
    if names & set(_FROM) and names & set(_TO) and words & {"move", "copy", "rename", "path", "file"}:
        return "file"
    if names & set(PATH) and words & _CHANGES and not names & {"owner", "repo", "repository"}:
        return "file"
    if "patch" in words or "patchText" in names:
        return "file"
    return None


# ---------------------------------------------------------------- what a call does


def action_of(call: ToolUse, tool: Tool | None, workspace: str) -> Action | None:
    """What a call does; None where it does nothing on this machine that is known.

    A patch of several files is told by the one that is likeliest to be grave: one outside the workspace, else
    one that is removed, else the first. `actions_of` has them all, for those who rate each.

    Args:
        call: of the client's tool.
        tool: as the client offered it; None where that is not known, as in a hook.
        workspace: the folder that the agent works in; empty where it is not known.
    """
    found = actions_of(call, tool, workspace)
    if len(found) < 2:
        return found[0] if found else None
    return max(found, key=lambda action: (_is_outside(action), action.tool == "shell"))


def actions_of(call: ToolUse, tool: Tool | None, workspace: str) -> tuple[Action, ...]:
    """All that a call does: more than one action for a patch of several files; empty where nothing is known.

    Each action of a patch has the whole patch among its arguments, so that what is shown of it is what runs.
    """
    given = call.input
    use = _use_of(tool) if tool is not None else _use(call.name, frozenset(given), frozenset())
    match use:
        case "shell":
            found = _shell(call, workspace)
        case "code":
            found = _code(call)
        case "file" | "read":
            found = _files(call, workspace, looks=use == "read")
        case "network":
            found = _network(call)
        case "mcp":
            found = (_served(call),)
        case _:
            return ()
    return tuple([replace(action, name=call.name, workspace=workspace) for action in found])


def _shell(call: ToolUse, workspace: str) -> tuple[Action, ...]:
    command = command_in(call)
    if command is None or not command.text.strip():
        return ()
    cwd = text_in(call.input, _CWD)
    if cwd and workspace and not _is_absolute(cwd):
        cwd = posixpath.join(workspace, cwd)
    arguments: Json = {"command": command.text}
    if command.key == "chars":
        arguments["stdin"] = True
    actions = [Action(tool="shell", arguments=arguments, cwd=cwd, dialect=command.dialect)]
    if is_patch(command.text):
        actions += _patched(command.text)
    return tuple(actions)


def command_in(call: ToolUse) -> Found | None:
    """The command of a call, as one text."""
    given = call.input
    for key in COMMAND:
        value = given.get(key)
        if isinstance(value, str):
            if key == "chars" and not value.strip("\r\n\t \x03\x04\x1a\x1b"):
                return None  # looks at what runs, or ends it
            return Found(value, key, _dialect(call))
        if isinstance(value, list):
            parts = [part for part in value if isinstance(part, str)]
            if key == "commands":
                return Found("\n".join(parts), key)
            return _of_list(parts, key)
    return None


def _of_list(parts: list[str], key: str) -> Found:
    """A program with its arguments; a shell that is given a command is that command."""
    program = re.split(r"[\\/]", parts[0].lower())[-1].removesuffix(".exe") if parts else ""
    for place, part in enumerate(parts[1:-1], 1):
        flag = part.lower()
        last = place == len(parts) - 2
        if program in _SHELLS and last and re.fullmatch(r"-[a-z]*c", flag):
            return Found(parts[-1], key, "posix", tuple(parts[:-1]))
        if program == "fish" and last and flag in ("-c", "-lc"):
            return Found(parts[-1], key, "fish", tuple(parts[:-1]))
        if program in _POWER and flag in ("-command", "-c"):
            return Found(" ".join(parts[place + 1 :]), key, "powershell", tuple(parts[: place + 1]))
        if program == "cmd" and flag in ("/c", "/k"):
            return Found(" ".join(parts[place + 1 :]), key, "cmd", tuple(parts[: place + 1]))
    return Found(shlex.join(parts), key, "posix", ())


def _dialect(call: ToolUse) -> Dialect | Literal[""]:
    shell = call.input.get("shell")
    named = {*split_name(call.name)}
    if isinstance(shell, str):
        program = re.split(r"[\\/]", shell.lower())[-1].removesuffix(".exe")
        if program in _SHELLS:
            return "posix"
        if program == "fish":
            return "fish"
        if program == "cmd":
            return "cmd"
        named.add(program)
    return "powershell" if named & {*_POWER, "power"} else ""


def _code(call: ToolUse) -> tuple[Action, ...]:
    """Code for an interpreter, told as the command that would run it."""
    code = text_in(call.input, _CODE)
    if not code.strip():
        return ()
    return (Action(tool="shell", arguments={"command": f"python3 -c {shlex.quote(code)}"}, dialect="posix"),)


def _files(call: ToolUse, workspace: str, *, looks: bool) -> tuple[Action, ...]:
    given = call.input
    words = frozenset(split_name(call.name))
    path = text_in(given, PATH)[:_KEPT_PATH]
    step = text_in(given, _STEP).lower()
    if looks or step in _LOOKING:
        return (Action(tool="file_read", arguments={"path": path or workspace}),)
    if "patch" in words or not path:
        text = next((value for key in PATCH if isinstance(value := given.get(key), str)), "")
        if patched := _patched(text):
            return patched
    if (source := text_in(given, _FROM)) and (to := text_in(given, _TO)):
        program = "cp -r" if "copy" in words else "mv"
        command = f"{program} -- {shlex.quote(source)} {shlex.quote(to)}"
        return (Action(tool="shell", arguments={"command": command}, dialect="posix"),)
    if not path:
        return ()
    if step in _REMOVING or (words & _REMOVING and not words & {"line", "lines", "cell"}):
        return (_removed(path),)
    arguments: Json = {"path": path}
    old, new = text_in(given, OLD, None), text_in(given, NEW, None)
    for key in ("edits", "diff"):
        if key in given:
            return (Action(tool="file_edit", arguments={**arguments, **_edits(given[key], key)}),)
    if old is not None or (new is not None and text_in(given, CONTENT, None) is None):
        return (Action(tool="file_edit", arguments={**arguments, "old": old or "", "new": new or ""}),)
    content = text_in(given, CONTENT, None)
    if content is None:
        writes: ActionKind = "file_write" if words & _CHANGES else "file_read"
        return (
            Action(
                tool=writes, arguments=arguments if writes == "file_read" else {**arguments, "content": ""}
            ),
        )
    named = bool(words & {"insert", "edit", "update", "append", "notebook"})
    partly = named if step in ("", "edit", "write") else step == "insert"
    if partly:
        return (Action(tool="file_edit", arguments={**arguments, "old": "", "new": content}),)
    return (Action(tool="file_write", arguments={**arguments, "content": content}),)


def _edits(value: object, key: str) -> Json:
    """Several changes of one file, with what goes and what comes in one text each."""
    if isinstance(value, str):
        return {"old": "", "new": value, key: value}
    edits = [edit for edit in value if isinstance(edit, dict)] if isinstance(value, list) else []
    return {
        "old": "\n".join(text_in(edit, OLD) for edit in edits),
        "new": "\n".join(text_in(edit, (*NEW, *CONTENT)) for edit in edits),
        key: value,
    }


def _patched(patch: str) -> tuple[Action, ...]:
    actions: list[Action] = []
    for file in touched(patch):
        if file.what == "delete":
            action = _removed(file.path)
            actions.append(replace(action, arguments={**action.arguments, "patch": patch}))
        elif file.what == "add":
            arguments = {"path": file.path, "content": file.new, "patch": patch}
            actions.append(Action(tool="file_write", arguments=arguments))
        else:
            arguments = {"path": file.path, "old": file.old, "new": file.new, "patch": patch}
            actions.append(Action(tool="file_edit", arguments=arguments))
    return tuple(actions)


def _removed(path: str) -> Action:
    return Action(tool="shell", arguments={"command": removal(path)}, dialect="posix")


def _network(call: ToolUse) -> tuple[Action, ...]:
    given = call.input
    for key in URL:
        value = given.get(key)
        urls = [value] if isinstance(value, str) else value if isinstance(value, list) else []
        urls = [url for url in urls if isinstance(url, str) and url.strip()]
        if urls:
            more: Json = {}
            if isinstance(method := given.get("method"), str):
                more["method"] = method.upper()
            if isinstance(body := given.get("body", given.get("data")), str):
                more["body"] = body
            return tuple([Action(tool="network", arguments={"url": url, **more}) for url in urls[:20]])
    texts = " ".join(value for value in given.values() if isinstance(value, str))
    return tuple(
        [Action(tool="network", arguments={"url": url}) for url in _URL_IN_TEXT.findall(texts[:20_000])[:20]]
    )


def _served(call: ToolUse) -> Action:
    """A call of a server's tool, by its own name or through a tool that calls others."""
    given = call.input
    prefix = prefix_of(call.name)
    server, name, arguments = (
        text_in(given, ("server_name", "server")),
        text_in(given, ("tool_name", "tool", "name")),
        given,
    )
    if prefix:
        server = prefix.removeprefix("mcp_").strip("_./:")
        name = call.name[len(prefix) :]
    elif isinstance(inner := given.get("arguments"), dict):
        arguments = inner
    elif isinstance(inner, str):
        arguments = parse_arguments(inner)
    return Action(tool="mcp", arguments={"server": server, "name": name, "arguments": arguments})


# ---------------------------------------------------------------- helpers


def text_in(given: Mapping[str, Any], keys: tuple[str, ...], default: Any = "") -> Any:
    """The first of some arguments that is a text."""
    return next((value for key in keys if isinstance(value := given.get(key), str)), default)


def _is_absolute(path: str) -> bool:
    return path.startswith(("/", "~")) or PureWindowsPath(path).is_absolute()


def _is_outside(action: Action) -> bool:
    """Whether a file lies outside the workspace, by its name alone."""
    path = action.arguments.get("path")
    if not isinstance(path, str) or not _is_absolute(path):
        return isinstance(path, str) and path.startswith("..")
    return not action.workspace or not path.startswith(
        action.workspace.rstrip("/\\") + ("\\" if "\\" in path else "/")
    )
