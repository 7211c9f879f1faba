"""Lets a model read what was left out by the tools that it has: the client's own for files and commands.

What was left out stands under a path, `lynkr:r_…`, that the model reads, searches or prints as it would a
file. The engine answers such a call itself; all others go to the client as they are. So nothing has to be
added to the tools of a request: they stand in front of a prompt, so that a tool more costs tokens in each
turn where nothing is left out, and the whole cached prompt where it is added later.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from lynkr_desktop.engine.optimization.restore import Restorer, line_number
from lynkr_desktop.engine.optimization.stage import PATH, Inner, InnerTool
from lynkr_desktop.engine.optimization.tool_kinds import kind_of, parameters
from lynkr_desktop.engine.wire.canonical import Json, Tool

_COMMANDS = ("command", "cmd", "script")
_PATHS = ("file_path", "path", "filepath", "filePath", "filename", "file", "target_file", "absolute_path")
_PATTERNS = ("pattern", "query", "regex")
_WRITTEN = frozenset(
    (
        *("content", "contents", "file_text", "text", "code_edit", "new_source"),
        *("new_string", "new_str", "new_text", "replace", "edits", "patch"),
    )
)
_MOST = 4_000
"""Characters of a command that are looked at."""

_HANDLE = re.compile(rf"{PATH}(r_[0-9a-f]{{12}})\b")
_GREP = re.compile(
    r"""\b(?:grep|egrep|fgrep|rg|ag|ack|findstr)\s+(?:-[\w-]+(?:=\S*)?\s+){0,8}"""
    r"""(?:"([^"\n]{1,300})"|'([^'\n]{1,300})'|([^\s"'|;&-][^\s|;&]{0,300}))"""
)
_SED = re.compile(r"\bsed\s+-n\s+[\"']?(\d{1,9})(?:,\s*(\d{1,9}|\$))?p")
_HEAD = re.compile(r"\bhead\b(?:\s+(?:-n\s*|-|--lines=)(\d{1,9}))?")
_TAIL = re.compile(r"\btail\b(?:\s+(?:-n\s*|-|--lines=)(\d{1,9}))?")
_TEN = 10
"""Lines that `head` and `tail` print where nothing is said."""


def can_read(tools: Iterable[Tool]) -> bool:
    """Whether a model with these tools can read what stands under a path."""
    return any(_takes_path(tool) and kind_of(tool) in ("file", "shell") for tool in tools)


def readers(
    tools: Iterable[Tool], originals: Mapping[str, str], window: int | None = None
) -> dict[str, InnerTool]:
    """What answers calls of a client's tools that name something left out, and hands on all others.

    Args:
        tools: as they are offered.
        originals: of the request, by handle.
        window: tokens that the model takes, None where that is not known.
    """
    kept = Restorer(originals, window)
    return {tool.name: _reader(tool.name, kept) for tool in tools if _takes_path(tool)}


def _takes_path(tool: Tool) -> bool:
    """Whether a tool reads files or runs commands; what only writes is no use, and its calls are long."""
    names = parameters(tool)[0].keys()
    return any(key in names for key in _COMMANDS) or (
        any(key in names for key in _PATHS) and not names & _WRITTEN
    )


def _reader(name: str, kept: Restorer) -> InnerTool:
    def read(arguments: Json) -> Inner:
        path, command = _text(arguments, _PATHS), _text(arguments, _COMMANDS)
        handles = [one for one in dict.fromkeys(_HANDLE.findall(f"{path} {command}")) if one in kept]
        if not handles and _HANDLE.search(path) is not None:
            # From a summary of turns that are gone, for instance; no client has such a file.
            return Inner(
                text="This is no part of the conversation any more. Make the call again that gave it."
            )
        if not handles:
            return Inner(call=(name, arguments))
        parts = [_part(handle, arguments, command, kept) for handle in handles]
        if len(handles) == 1:
            return Inner(text=parts[0])
        return Inner(
            text="\n".join(f"==> {PATH}{one} <==\n{part}" for one, part in zip(handles, parts, strict=True))
        )

    return read


def _part(handle: str, arguments: Json, command: str, kept: Restorer) -> str:
    """What a call asks for of one original; all of it where that is not plain."""
    if PATH in command:
        if (grep := _GREP.search(command)) is not None:
            return kept.find(handle, next(filter(None, grep.groups())))
        if (sed := _SED.search(command)) is not None:
            first = line_number(sed[1])
            return kept.lines(handle, first, line_number(sed[2]) if sed[2] else first)
        if (head := _HEAD.search(command)) is not None:
            return kept.lines(handle, 1, line_number(head[1]) or _TEN)
        if (tail := _TAIL.search(command)) is not None:
            return kept.last_lines(handle, line_number(tail[1]) or _TEN)
        return kept.lines(handle)
    if pattern := _text(arguments, _PATTERNS):
        return kept.find(handle, pattern)
    return kept.lines(handle, *_range(arguments))


def _range(arguments: Json) -> tuple[int | None, int | None]:
    """The lines that a tool that reads files is asked for, first and last."""
    match arguments.get("view_range"):
        case [first, last]:
            return line_number(first), line_number(last)
    for first_key, last_key in (("start_line", "end_line"), ("first_line", "last_line"), ("start", "end")):
        if first_key in arguments or last_key in arguments:
            return line_number(arguments.get(first_key)), line_number(arguments.get(last_key))
    first, number = line_number(arguments.get("offset")), line_number(arguments.get("limit"))
    return first, None if number is None else (first or 1) + number - 1


def _text(arguments: Json, keys: Iterable[str]) -> str:
    """What an argument says, also where it is a list of words, as the commands of some agents are."""
    return " ".join(_texts(arguments.get(key)) for key in keys if key in arguments)[:_MOST]


def _texts(value: object) -> str:
    parts: Iterator[object] = iter(value[:40]) if isinstance(value, list) else iter((value,))
    return " ".join(part for part in parts if isinstance(part, str))
