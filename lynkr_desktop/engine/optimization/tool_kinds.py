"""What a tool is for, told by its name and its schema: the tools that every agent works with, and servers.

No list of one agent's tools: names are split into words, and what the words, or the parameters, say decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from lynkr_desktop.engine.optimization.tool_words import split_name
from lynkr_desktop.engine.wire.canonical import Tool

Kind = Literal["file", "search", "shell", "plan", "ask", "meta"]

_PREFIX = re.compile(r"(?:mcp__.{1,80}?__|mcp_[^_]{1,60}_|[^\W_][\w-]{0,60}?__|[^\W_][\w-]{0,60}?[./:])(?=.)")
"""How clients write a server before a tool's name: `mcp__server__tool`, `mcp_server_tool`, `server.tool`."""


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_NO_SERVER = _set("mcp server plugin claude ai the tool tools api")
_FILLERS = _set("tool based local builtin the a in to of by with and multi multiple")

_KINDS: tuple[tuple[Kind, frozenset[str], frozenset[str]], ...] = (
    # A tool is of a kind when one of its words is of the first set and all are of both.
    (
        "file",
        _set("file files notebook patch diff editor filesystem str string"),
        _set(
            "read write view open create edit replace apply insert delete remove update undo "
            "get save append move  rename text line lines content contents cell range image "
            "media info"
        ),
    ),
    (
        "search",
        _set("grep glob ripgrep rg ls codebase dir directory directories folder tree files file workspace"),
        _set(
            "search find list code semantic path regex name text project symbol symbols "
            "references allowed read"
        ),
    ),
    (
        "shell",
        _set(
            "bash shell terminal cmd command commands exec execute powershell stdin process console sh python"
        ),
        _set(
            "run kill write read send input output get last container background code "
            "interpreter start stop list  session status check await wait script"
        ),
    ),
    (
        "plan",
        _set("todo todos plan task tasks think agent subagent skill finish completion submit done workflow"),
        _set(
            "list write read update create get stop output exit enter mode thinking "
            "sequential new switch spawn  dispatch delegate slash command attempt complete "
            "result report progress goal wait close send input"
        ),
    ),
    (
        "ask",
        _set("ask clarify clarification followup human"),
        _set("user question questions follow up request input confirm message for"),
    ),
    (
        "meta",
        _set("mcp toolsearch"),
        _set("list read access use call resource resources templates fetch search"),
    ),
)

_ALONE: dict[Kind, frozenset[str]] = {
    "file": _set("read write edit view patch cat"),
    "search": _set("search find list"),
    "shell": _set("run"),
}

_PATHS = _set(
    "path file_path filepath filename file target_file absolute_path notebook_path relative_path uri"
)
_TEXTS = _set("content contents file_text text code_edit new_source")
_RANGES = _set(
    "offset limit start_line end_line view_range start end encoding lines instructions explanation"
)
_COMMANDS = _set("command cmd script commands")
_SWAPS = (
    _set("old_string new_string"),
    _set("old_str new_str"),
    _set("search replace"),
    _set("old_text new_text"),
)
_QUESTIONS = _set("question questions")
_LISTS = _set("todos plan todo_list")


def prefix_of(name: str) -> str:
    """The part of a tool's name that says its server, with what parts it from the rest; else empty."""
    found = _PREFIX.match(name[:200])
    return found[0] if found else ""


def server_words(prefix: str) -> frozenset[str]:
    """The words by which people call a server."""
    whole = frozenset(part.lower() for part in re.split(r"[\W_]+", prefix) if part)
    return (whole | frozenset(split_name(prefix))) - _NO_SERVER


def parameters(tool: Tool) -> tuple[dict[str, object], frozenset[str]]:
    """The parameters of a tool with their schemas, and which of them it must be given."""
    schema: object = tool.input_schema
    if not isinstance(schema, dict):
        return {}, frozenset()
    properties, required = schema.get("properties"), schema.get("required")
    names = required if isinstance(required, list) else []
    return (
        {str(name): value for name, value in properties.items()} if isinstance(properties, dict) else {},
        frozenset(name for name in names if isinstance(name, str)),
    )


def kind_of(tool: Tool) -> Kind | None:
    """What an agent does with a tool; None for those that only some tasks need."""
    words = frozenset(split_name(tool.name[len(prefix_of(tool.name)) :])) - _FILLERS
    for kind, alone in _ALONE.items():
        if len(words) == 1 and words <= alone:
            return kind
    for kind, strong, weak in _KINDS:
        if words & strong and words <= strong | weak:
            return kind
    return _kind_by_schema(tool)


def _kind_by_schema(tool: Tool) -> Kind | None:
    known, required = parameters(tool)
    names = frozenset(name.lower() for name in known)
    required = frozenset(name.lower() for name in required) or names
    path, text = names & _PATHS, names & _TEXTS
    if path and any(swap <= names for swap in _SWAPS) and required <= _PATHS | names - {"owner", "repo"}:
        return "file"
    if path and required <= _PATHS | _TEXTS and required & _PATHS and (text or names <= _PATHS | _RANGES):
        return "file"
    if len(required) == 1:
        only = next(iter(required))
        if only in _COMMANDS:
            return "shell"
        if only in _LISTS:
            return "plan"
        if only in _QUESTIONS:
            return "ask"
        if only == "pattern" and names & (_PATHS | {"include", "glob"}):
            return "search"
    return None


def core_tools(tools: Iterable[Tool]) -> frozenset[int]:
    """The places of the tools that every task of an agent may need.

    A server's tools count only where the agent has none of their kind itself. A tool with fields that only a
    vendor knows counts too: what it is for cannot be told.
    """
    own: set[int] = set()
    served: dict[Kind, set[int]] = {}
    kinds: set[Kind] = set()
    for place, tool in enumerate(tools):
        if set(tool.extra) - {"cache_control", "strict"}:
            own.add(place)
        elif kind := kind_of(tool):
            if prefix_of(tool.name):
                served.setdefault(kind, set()).add(place)
            else:
                own.add(place)
                kinds.add(kind)
    for kind, places in served.items():
        if kind not in kinds and kind in ("file", "search", "shell", "ask"):
            own |= places
    return frozenset(own)
