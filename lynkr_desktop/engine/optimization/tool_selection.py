"""Offers the tools that a task can use, of a large list; the others stay in reach.

What is offered is decided by the first ask of a conversation and its system prompt, and is the same in each
turn: to add a tool would cost a provider's prompt cache of the whole conversation. What is held back is found
by one tool, and called by another; see `tool_calls`.
"""

from __future__ import annotations

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
    MORE_TOOLS,
    SMALL_SERVER,
    Parted,
    Plans,
    cost,
    directory,
    encoded,
    first_ask,
    index_of,
    key_of,
    mentioned,
    named,
)
from lynkr_desktop.engine.optimization.tool_words import unsure
from lynkr_desktop.engine.wire.canonical import Json, Request, Tool
from lynkr_desktop.protocol.optimization import StageName

FEW_TOOLS, FEW_TOKENS = 12, 2_500
"""A list of so many tools, or of so many tokens, is left as it is."""

WORTH, SHARE = 1_000, 0.25
"""Tokens that must be saved, and the part of the list's: a model that has to look for a tool takes a prompt
more, and may not look. Of a list of which most seems to be needed another stage may make less."""

_OWN_TOOLS = 24
"""An agent that also has tools of servers keeps up to so many of its own."""

_FOUND, _MOST = 8, 24
"""Tools that fit a query best, and those that a query may name."""

_WHOLE = 3
"""Of those that fit a query, how many are described in full."""

_ROOM = 24_000
"""Characters of an answer."""

_NAMED = 700
"""Characters of the names of left-out tools that the model is told from the beginning."""

_LISTED = 6_000
_QUERY = 2_000


class _Known:
    """What is known of a list of tools, whatever is asked.

    Attributes:
        cost: tokens of the list.
        large: whether it is worth shortening.
        kept: the places of the tools that are offered for any task.
        index: of all tools.
        servers: the places of each server's tools.
    """

    def __init__(self, tools: tuple[Tool, ...], scene: Scene) -> None:
        self.cost = 0
        for tool in tools:
            scene.check_time()
            self.cost += cost(tool, scene.count)
        self.large = self.cost > FEW_TOKENS
        if not self.large:
            return
        own = frozenset(place for place, tool in enumerate(tools) if not prefix_of(tool.name))
        few_own = len(own) < len(tools) and len(own) <= _OWN_TOOLS
        self.kept = core_tools(tools) | (own if few_own else frozenset())
        self.index = index_of(tools, scene.check_time)
        self.servers: dict[str, set[int]] = {}
        for place, tool in enumerate(tools):
            self.servers.setdefault(prefix_of(tool.name), set()).add(place)


class _Plan:
    """What the beginning of a conversation decides: a list of tools in two.

    Args:
        parted: the list.
        whole: its tokens.
        scene: counts tokens.
    """

    def __init__(self, parted: Parted, whole: int, scene: Scene) -> None:
        self.parted = parted
        self.held = Held(parted)
        self.tools = (
            _more_tools(parted.held),
            call_tool(f"{MORE_TOOLS} says which there are, and which arguments they take."),
        )
        own = sum(cost(tool, scene.count) for tool in self.tools)
        self.worth = sum(parted.costs) - own >= max(WORTH, SHARE * whole)


class ToolSelectionStage(Stage):
    """Leaves out tools that a task does not need."""

    name: StageName = "smart_tool_selection"

    def __init__(self) -> None:
        self._known: Plans[_Known] = Plans()
        self._plans: Plans[_Plan | None] = Plans()

    def idle(self, request: Request, window: int | None) -> bool:
        """Without tools."""
        return True

    def apply(self, request: Request, scene: Scene) -> Request:
        tools = request.tools
        if not request.offers_tools or len(tools) <= FEW_TOOLS or scene.parted:
            return request
        ask = first_ask(request.messages)
        if not ask or unsure(ask):
            return request
        encoded_tools = encoded(tools)
        known = self._known.get(key_of(encoded_tools), lambda: _Known(tools, scene))
        if not known.large:
            return request
        said = mentioned(tools, f"{ask}\n{request.system_text}")
        key = key_of(encoded_tools, ask, repr(said))
        plan = self._plans.get(key, lambda: _plan(tools, known, ask, said, scene))
        if plan is None:
            return request
        scene.parted = True
        for tool, answer in zip(plan.tools, (_finder(plan.held), plan.held.call), strict=True):
            scene.offer(tool, answer)
        scene.did.append(f"left out {len(plan.parted.held)} of {len(tools)} tools")
        # What must be called in this turn stands behind the others.
        forced = [plan.parted.held[place] for place in plan.parted.named((request.tool_choice.name,))]
        return replace(
            request,
            tools=(*plan.parted.kept, *forced),
            messages=plan.held.as_called(request.messages),
        )


def _plan(
    tools: tuple[Tool, ...], known: _Known, ask: str, said: tuple[int, ...], scene: Scene
) -> _Plan | None:
    """Parts a list; None where all of it stays."""
    kept = known.kept.union(known.index.relevant(ask), said)
    if not kept:
        return None
    kept |= {place for place, tool in enumerate(tools) if keeps_schema(tool)}
    # What a server offers is used together.
    for place in known.index.meant(ask):
        prefix = prefix_of(tools[place].name)
        if prefix and len(known.servers[prefix]) <= SMALL_SERVER:
            kept |= known.servers[prefix]
    # Tools of no server were all made for one kind of task: of these many fit, or the ask was not understood.
    served = known.servers.keys() != {""}
    least = FEW_TOOLS if served else _OWN_TOOLS
    if len(kept) < least:
        others = [place for place in known.index.best(ask, least) if place not in kept]
        kept |= frozenset(others[: least - len(kept)])
    if not served and len(kept) < FEW_TOOLS:
        return None
    if len(kept) == len(tools):
        return None
    plan = _Plan(Parted(tools, kept, scene), known.cost, scene)
    return plan if plan.worth else None


def _more_tools(held: tuple[Tool, ...]) -> Tool:
    return Tool(
        MORE_TOOLS,
        f"Finds further tools by what they do; they are called by {CALL}. {len(held)} are not listed here. "
        "Call this whenever none of the listed ones fits. Not listed:\n" + directory(held, _NAMED),
        {
            "type": "object",
            "properties": {
                "query": {
                    "type": "string",
                    "description": "Names of tools, or words on what is to be done.",
                }
            },
            "required": ["query"],
        },
    )


def _finder(held: Held) -> InnerTool:
    """What answers `lynkr_more_tools`."""

    def find(arguments: Json) -> Inner:
        query = _words(arguments)
        meant = named(held.tools, query)[:_MOST]
        places = list(dict.fromkeys((*meant, *held.index.best(query, _FOUND))))
        if not places:
            return Inner(text="No tool fits these words. There are:\n" + directory(held.tools, _LISTED))
        whole = max(_WHOLE, len(meant))
        parts = [f"Call these by {CALL}, with their names and arguments."]
        room = _ROOM
        for number, place in enumerate(places):
            tool = held.tools[place]
            part = described(tool) if number < whole else in_one_line(tool)
            if len(part) > room:
                part = in_one_line(tool)
            parts.append(part)
            room -= len(part)
        return Inner(text="\n\n".join(parts))

    return find


def _words(arguments: Json) -> str:
    """What is looked for, however the model says it."""
    value: object = arguments.get("query", list(arguments.values()))
    parts = value[:_MOST] if isinstance(value, list) else [value]
    return " ".join(part for part in parts if isinstance(part, str))[:_QUERY]
