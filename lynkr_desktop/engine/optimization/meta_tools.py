"""Puts three tools in place of a large set of them: one lists, one describes, one calls.

The engine answers the first two itself, and turns the third into the client's real call, so a client sees
nothing of it. The tools that every task needs stay as they are. In the conversation the calls of the others
go back to what the model called: the tool that calls. So all that the history names is offered, and the list
is the same in each turn: a tool that came in later would cost a provider's prompt cache of the whole
conversation, more than the stage saves.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import msgspec
from msgspec.structs import replace

from lynkr_desktop.engine.optimization.stage import Inner, InnerTool, Scene, Stage
from lynkr_desktop.engine.optimization.tool_kinds import core_tools, parameters, prefix_of
from lynkr_desktop.engine.optimization.tool_sets import (
    CALL,
    DESCRIBE,
    LIST,
    WORTH,
    Parted,
    Plans,
    cost,
    directory,
    encoded,
    index_of,
    key_of,
    named,
    one_line,
)
from lynkr_desktop.engine.optimization.tool_words import Index
from lynkr_desktop.engine.wire.canonical import Json, Message, Request, Tool, ToolUse
from lynkr_desktop.protocol.optimization import StageName

FEW_TOOLS = 25
"""So many tools are left as they are."""

_OWN_TOOLS = 24
"""An agent that also has tools of servers keeps up to so many of its own."""

_DIRECTORY = 2_400
"""Characters of the names that stand in the description of the tool that lists."""

_LISTED, _DESCRIBED = 60, 30
"""Tools of an answer."""

_SIMILAR = 5
_LIST_TEXT, _DESCRIBE_TEXT = 12_000, 40_000
"""Characters of an answer."""

_QUERY = 2_000


class _Plan:
    """A list of tools in two, and what stands for the part that is held back."""

    def __init__(self, tools: tuple[Tool, ...], kept: frozenset[int], scene: Scene) -> None:
        self.parted = Parted(tools, kept, scene)
        held = self.parted.held
        self.tools = _meta_tools(held)
        self.cost = sum(cost(tool, scene.count) for tool in self.tools)
        self.worth = sum(self.parted.costs) >= self.cost + WORTH
        self.by_name = {tool.name: tool for tool in reversed(tools)}
        self.held_names = {tool.name for tool in held} - {tool.name for tool in self.parted.kept}
        self.by_bare_name: dict[str, list[str]] = {}
        for name in self.by_name:
            self.by_bare_name.setdefault(name[len(prefix_of(name)) :], []).append(name)

    @cached_property
    def index(self) -> Index:
        """Of the tools that are held back."""
        return index_of(self.parted.held)

    def find(self, name: str) -> Tool | None:
        """A tool by its name; by that without its server where only one has it."""
        if (tool := self.by_name.get(name)) is not None:
            return tool
        names = self.by_bare_name.get(name[len(prefix_of(name)) :], ())
        return self.by_name[names[0]] if len(names) == 1 else None

    def similar(self, name: str) -> str:
        """What to say of a name that no tool has."""
        best = [self.parted.held[place].name for place in self.index.best(name[:_QUERY], _SIMILAR)]
        near = f" Similar names: {', '.join(best)}." if best else f" {LIST} has the names."
        return f"There is no tool {name[:80]!r}.{near}"


class MetaToolsStage(Stage):
    """Replaces a large set of tools by three."""

    name: StageName = "code_mode_meta_tools"

    def __init__(self) -> None:
        self._plans: Plans[_Plan | None] = Plans()

    def apply(self, request: Request, scene: Scene) -> Request:
        tools = request.tools
        if request.tool_choice.kind != "auto" or len(tools) <= FEW_TOOLS or scene.parted:
            return request
        plan = self._plans.get(key_of(encoded(tools)), lambda: _plan(tools, scene))
        if plan is None:
            return request
        scene.parted = True
        for tool, answer in zip(plan.tools, (_lister(plan), _describer(plan), _caller(plan)), strict=True):
            scene.offer(tool, answer)
        scene.did.append(f"put {len(plan.tools)} tools in place of {len(plan.parted.held)} of {len(tools)}")
        messages = tuple([_as_called(message, plan.held_names) for message in request.messages])
        return replace(request, tools=plan.parted.kept, messages=messages)


def _as_called(message: Message, held: set[str]) -> Message:
    """A turn in which calls of tools that are held back are those of the tool that calls them."""
    if not any(isinstance(block, ToolUse) and block.name in held for block in message.content):
        return message
    return Message(
        message.role,
        tuple(
            [
                ToolUse(block.id, CALL, {"name": block.name, "arguments": block.input})
                if isinstance(block, ToolUse) and block.name in held
                else block
                for block in message.content
            ]
        ),
    )


def _plan(tools: tuple[Tool, ...], scene: Scene) -> _Plan | None:
    """Parts a list by what its tools are; None where all of it stays."""
    own = frozenset(place for place, tool in enumerate(tools) if not prefix_of(tool.name))
    kept = core_tools(tools)
    if len(own) < len(tools) and len(own) <= _OWN_TOOLS:
        kept |= own
    # Such a tool's arguments are held to its schema by the vendor, which a call through another tool is not.
    kept |= {place for place, tool in enumerate(tools) if tool.extra.get("strict") is True}
    if len(kept) == len(tools):
        return None
    plan = _Plan(tools, kept, scene)
    return plan if plan.worth else None


def _meta_tools(held: tuple[Tool, ...]) -> tuple[Tool, Tool, Tool]:
    return (
        Tool(
            LIST,
            f"Lists {len(held)} further tools with one line each. They are called by {CALL}. Their names, "
            "behind what each name of a group begins with:\n" + directory(held, _DIRECTORY),
            {
                "type": "object",
                "properties": {
                    "query": {"type": "string", "description": "Words on what is to be done."},
                    "server": {"type": "string", "description": "Only the tools of this group."},
                },
            },
        ),
        Tool(
            DESCRIBE,
            "Returns the full descriptions and parameters of further tools, by their names.",
            {
                "type": "object",
                "properties": {"names": {"type": "array", "items": {"type": "string"}}},
                "required": ["names"],
            },
        ),
        Tool(
            CALL,
            f"Calls a further tool. {DESCRIBE} says which arguments it takes.",
            {
                "type": "object",
                "properties": {"name": {"type": "string"}, "arguments": {"type": "object"}},
                "required": ["name", "arguments"],
            },
        ),
    )


# ---------------------------------------------------------------- answers


def _lister(plan: _Plan) -> InnerTool:
    held = plan.parted.held

    def answer(arguments: Json) -> Inner:
        query, server = _text(arguments, "query"), _text(arguments, "server").lower()
        places: Sequence[int] = range(len(held))
        if query:
            places = list(dict.fromkeys((*named(held, query), *plan.index.best(query, _LISTED))))
        if server:
            places = [place for place in places if server.strip("_") in prefix_of(held[place].name).lower()]
        lines: list[str] = []
        room = _LIST_TEXT
        for place in places[:_LISTED]:
            line = _line(held[place])
            room -= len(line)
            if room < 0:
                break
            lines.append(line)
        if not lines:
            return Inner(text="No tool fits. There are:\n" + directory(held, _LIST_TEXT))
        if more := [held[place] for place in places[len(lines) :]]:
            lines.append(f"And {len(more)} more; a query narrows the list:")
            lines.append(directory(more, _LIST_TEXT // 2))
        return Inner(text="\n".join(lines))

    return answer


def _describer(plan: _Plan) -> InnerTool:
    def answer(arguments: Json) -> Inner:
        given = arguments.get("names", arguments.get("name"))
        names = [name for name in (given if isinstance(given, list) else [given]) if isinstance(name, str)]
        if not names:
            return Inner(text='The argument "names" must be a list of names of tools.')
        parts: list[str] = []
        room = _DESCRIBE_TEXT
        for number, name in enumerate(dict.fromkeys(names[:_DESCRIBED])):
            tool = plan.find(name)
            part = plan.similar(name) if tool is None else _described(tool)
            if parts and len(part) > room:
                parts.append(f"The other {len(names) - number} did not fit; ask for them again.")
                break
            # A schema that is cut is better than none: its beginning has the parameters' names.
            parts.append(part[:_DESCRIBE_TEXT])
            room -= len(part)
        return Inner(text="\n\n".join(parts))

    return answer


def _caller(plan: _Plan) -> InnerTool:
    def answer(arguments: Json) -> Inner:
        name = arguments.get("name")
        if not isinstance(name, str) or not name:
            return Inner(text='The argument "name" must be the name of a tool.')
        tool = plan.find(name)
        if tool is None:
            return Inner(text=plan.similar(name))
        given = _object(arguments.get("arguments", {}))
        if given is None:
            return Inner(
                text=f'"arguments" of {tool.name} must be an object. {_described(tool)[:_LIST_TEXT]}'
            )
        missing = [key for key in sorted(parameters(tool)[1]) if key not in given]
        if missing:
            return Inner(
                text=f"{tool.name} was not called: {', '.join(missing[:20])} must be given in "
                f'"arguments". {_described(tool)[:_LIST_TEXT]}'
            )
        return Inner(call=(tool.name, given))

    return answer


def _line(tool: Tool) -> str:
    """A tool in one line: its name, its parameters, those it must be given marked, and what it is for."""
    known, required = parameters(tool)
    names = [f"{name[:40]}*" if name in required else name[:40] for name in list(known)[:12]]
    return f"{tool.name}({', '.join(names)}): {one_line(tool)}".rstrip(": ")


def _described(tool: Tool) -> str:
    return f"{tool.name}: {tool.description}\nParameters: {encoded(tool.input_schema)}"


def _text(arguments: Json, key: str) -> str:
    value = arguments.get(key)
    return value[:_QUERY].strip() if isinstance(value, str) else ""


def _object(value: object) -> Json | None:
    """Arguments that may have been written as JSON text."""
    if isinstance(value, str):
        try:
            value = msgspec.json.decode(value)
        except (ValueError, RecursionError):
            return None
    return value if isinstance(value, dict) else None
