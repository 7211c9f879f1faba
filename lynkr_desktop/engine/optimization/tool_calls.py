"""Calls of tools that are held back: how a model makes them, and how its history tells of them.

A model calls such a tool through one that is always offered, and the engine turns that into the client's real
call. In the conversation those calls go back to what the model called. So all that the history names is
offered, and the list of tools is the same in each turn: a tool that came in later would cost a provider's
prompt cache of the whole conversation, more than is saved by holding it back.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

import msgspec
from msgspec.structs import replace

from lynkr_desktop.engine.optimization.stage import Inner
from lynkr_desktop.engine.optimization.tool_kinds import parameters, prefix_of
from lynkr_desktop.engine.optimization.tool_sets import CALL, Parted, encoded, index_of, one_line
from lynkr_desktop.engine.optimization.tool_words import Index
from lynkr_desktop.engine.wire.canonical import Json, Message, Tool, ToolUse

_SIMILAR = 5
_NAME = 2_000
_TOLD = 12_000
"""Characters of a tool's description in an answer to a call of it."""

_PARAMETERS, _PARAMETER = 12, 40


def call_tool(how: str) -> Tool:
    """The tool by which those that are held back are called.

    Args:
        how: a sentence on where the model learns their arguments.
    """
    return Tool(
        CALL,
        f"Calls a further tool. {how}",
        {
            "type": "object",
            "properties": {"name": {"type": "string"}, "arguments": {"type": "object"}},
            "required": ["name", "arguments"],
        },
    )


class Held:
    """The tools that are held back of a list, and all of it by name.

    Args:
        parted: the list in two.
    """

    def __init__(self, parted: Parted) -> None:
        self.tools = parted.held
        self._by_name = {tool.name: tool for tool in reversed(parted.tools)}
        self._names = {tool.name for tool in parted.held} - {tool.name for tool in parted.kept}
        self._by_bare_name: dict[str, list[str]] = {}
        for name in self._by_name:
            self._by_bare_name.setdefault(name[len(prefix_of(name)) :], []).append(name)

    @cached_property
    def index(self) -> Index:
        """Finds them by words."""
        return index_of(self.tools)

    def find(self, name: str) -> Tool | None:
        """A tool by its name; by that without its server where only one has it."""
        if (tool := self._by_name.get(name)) is not None:
            return tool
        names = self._by_bare_name.get(name[len(prefix_of(name)) :], ())
        return self._by_name[names[0]] if len(names) == 1 else None

    def similar(self, name: str) -> str:
        """What to say of a name that no tool has."""
        best = [self.tools[place].name for place in self.index.best(name[:_NAME], _SIMILAR)]
        near = f" Similar names: {', '.join(best)}." if best else ""
        return f"There is no tool {name[:80]!r}.{near}"

    def call(self, arguments: Json) -> Inner:
        """Answers `CALL`: the client's real call, or what is wrong with it."""
        name = arguments.get("name")
        if not isinstance(name, str) or not name:
            return Inner(text='The argument "name" must be the name of a tool.')
        tool = self.find(name)
        if tool is None:
            return Inner(text=self.similar(name))
        given = _object(arguments.get("arguments", {}))
        if given is None:
            return Inner(text=f'"arguments" of {tool.name} must be an object. {described(tool)[:_TOLD]}')
        missing = [key for key in sorted(parameters(tool)[1]) if key not in given]
        if missing:
            return Inner(
                text=f"{tool.name} was not called: {', '.join(missing[:20])} must be given in "
                f'"arguments". {described(tool)[:_TOLD]}'
            )
        return Inner(call=(tool.name, given))

    def as_called(self, messages: Iterable[Message]) -> tuple[Message, ...]:
        """Turns in which calls of these tools are those of the tool that calls them."""
        return tuple(map(self._as_called, messages))

    def _as_called(self, message: Message) -> Message:
        if not any(isinstance(block, ToolUse) and block.name in self._names for block in message.content):
            return message
        content = [
            ToolUse(block.id, CALL, {"name": block.name, "arguments": block.input})
            if isinstance(block, ToolUse) and block.name in self._names
            else block
            for block in message.content
        ]
        return replace(message, content=tuple(content))


def in_one_line(tool: Tool) -> str:
    """A tool in one line: its name, its parameters, those it must be given marked, and what it is for."""
    known, required = parameters(tool)
    names = [
        f"{name[:_PARAMETER]}*" if name in required else name[:_PARAMETER]
        for name in list(known)[:_PARAMETERS]
    ]
    return f"{tool.name}({', '.join(names)}): {one_line(tool)}".rstrip(": ")


def described(tool: Tool) -> str:
    """All that a client says of a tool."""
    return f"{tool.name}: {tool.description}\nParameters: {encoded(tool.input_schema)}"


def keeps_schema(tool: Tool) -> bool:
    """Whether the vendor holds a tool's arguments to its schema, which a call through another tool is not."""
    return tool.extra.get("strict") is True


def _object(value: object) -> Json | None:
    """Arguments that may have been written as JSON text."""
    if isinstance(value, str):
        try:
            value = msgspec.json.decode(value)
        except (ValueError, RecursionError):
            return None
    return value if isinstance(value, dict) else None
