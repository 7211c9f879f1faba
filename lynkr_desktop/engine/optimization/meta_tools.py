"""Puts three tools in place of a large set of them: one lists, one describes, one calls.

The engine answers the first two itself, and turns the third into the client's real call, so a client sees
nothing of it. The tools that every task needs stay as they are. See `tool_calls`.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from lynkr_desktop.engine.optimization.stage import Inner, InnerTool, Scene, Stage
from lynkr_desktop.engine.optimization.tool_calls import (
    Held,
    call_tool,
    described,
    in_one_line,
    keeps_schema,
)
from lynkr_desktop.engine.optimization.tool_kinds import core_tools, prefix_of
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
    key_of,
    named,
)
from lynkr_desktop.engine.wire.canonical import Json, Request, Tool
from lynkr_desktop.protocol.optimization import StageName

FEW_TOOLS = 25
"""So many tools are left as they are."""

_OWN_TOOLS = 24
"""An agent that also has tools of servers keeps up to so many of its own."""

_DIRECTORY = 2_400
"""Characters of the names that stand in the description of the tool that lists."""

_LISTED, _DESCRIBED = 60, 30
"""Tools of an answer."""

_LIST_TEXT, _DESCRIBE_TEXT = 12_000, 40_000
"""Characters of an answer."""

_QUERY = 2_000


class _Plan:
    """A list of tools in two, and what stands for the part that is held back."""

    def __init__(self, tools: tuple[Tool, ...], kept: frozenset[int], scene: Scene) -> None:
        self.parted = Parted(tools, kept, scene)
        self.held = Held(self.parted)
        self.tools = _meta_tools(self.parted.held)
        self.cost = sum(cost(tool, scene.count) for tool in self.tools)
        self.worth = sum(self.parted.costs) >= self.cost + WORTH


class MetaToolsStage(Stage):
    """Replaces a large set of tools by three."""

    name: StageName = "code_mode_meta_tools"

    def __init__(self) -> None:
        self._plans: Plans[_Plan | None] = Plans()

    def idle(self, request: Request, window: int | None) -> bool:
        """Without tools."""
        return True

    def apply(self, request: Request, scene: Scene) -> Request:
        tools = request.tools
        if request.tool_choice.kind != "auto" or len(tools) <= FEW_TOOLS or scene.parted:
            return request
        plan = self._plans.get(key_of(encoded(tools)), lambda: _plan(tools, scene))
        if plan is None:
            return request
        scene.parted = True
        answers = _lister(plan.held), _describer(plan.held), plan.held.call
        for tool, answer in zip(plan.tools, answers, strict=True):
            scene.offer(tool, answer)
        scene.did.append(f"put {len(plan.tools)} tools in place of {len(plan.parted.held)} of {len(tools)}")
        return replace(request, tools=plan.parted.kept, messages=plan.held.as_called(request.messages))


def _plan(tools: tuple[Tool, ...], scene: Scene) -> _Plan | None:
    """Parts a list by what its tools are; None where all of it stays."""
    own = frozenset(place for place, tool in enumerate(tools) if not prefix_of(tool.name))
    kept = core_tools(tools)
    if len(own) < len(tools) and len(own) <= _OWN_TOOLS:
        kept |= own
    kept |= {place for place, tool in enumerate(tools) if keeps_schema(tool)}
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
        call_tool(f"{DESCRIBE} says which arguments it takes."),
    )


# ---------------------------------------------------------------- answers


def _lister(held: Held) -> InnerTool:
    tools = held.tools

    def answer(arguments: Json) -> Inner:
        query, server = _text(arguments, "query"), _text(arguments, "server").lower()
        places: Sequence[int] = range(len(tools))
        if query:
            places = list(dict.fromkeys((*named(tools, query), *held.index.best(query, _LISTED))))
        if server:
            places = [place for place in places if server.strip("_") in prefix_of(tools[place].name).lower()]
        lines: list[str] = []
        room = _LIST_TEXT
        for place in places[:_LISTED]:
            line = in_one_line(tools[place])
            room -= len(line)
            if room < 0:
                break
            lines.append(line)
        if not lines:
            return Inner(text="No tool fits. There are:\n" + directory(tools, _LIST_TEXT))
        if more := [tools[place] for place in places[len(lines) :]]:
            lines.append(f"And {len(more)} more; a query narrows the list:")
            lines.append(directory(more, _LIST_TEXT // 2))
        return Inner(text="\n".join(lines))

    return answer


def _describer(held: Held) -> InnerTool:
    def answer(arguments: Json) -> Inner:
        given = arguments.get("names", arguments.get("name"))
        names = [name for name in (given if isinstance(given, list) else [given]) if isinstance(name, str)]
        if not names:
            return Inner(text='The argument "names" must be a list of names of tools.')
        parts: list[str] = []
        room = _DESCRIBE_TEXT
        for number, name in enumerate(dict.fromkeys(names[:_DESCRIBED])):
            tool = held.find(name)
            part = held.similar(name) if tool is None else described(tool)
            if parts and len(part) > room:
                parts.append(f"The other {len(names) - number} did not fit; ask for them again.")
                break
            # A schema that is cut is better than none: its beginning has the parameters' names.
            parts.append(part[:_DESCRIBE_TEXT])
            room -= len(part)
        return Inner(text="\n\n".join(parts))

    return answer


def _text(arguments: Json, key: str) -> str:
    value = arguments.get(key)
    return value[:_QUERY].strip() if isinstance(value, str) else ""
