"""Offers the tools that a task can use, of a large list; the others stay in reach.

What is offered is decided by the first ask of a conversation and its system prompt. Later turns only add to
it, behind what is there: a tool that was called, or one that a later ask names. To add one costs a provider's
prompt cache of the whole conversation, so a likeness that is enough in the first turn is not enough later.
"""

from __future__ import annotations

from functools import cached_property, lru_cache

from msgspec.structs import replace

from lynkr_desktop.engine.optimization.stage import Inner, InnerTool, Scene, Stage
from lynkr_desktop.engine.optimization.tool_kinds import core_tools, prefix_of
from lynkr_desktop.engine.optimization.tool_sets import (
    MORE_TOOLS,
    SMALL_SERVER,
    Parted,
    Plans,
    called,
    cost,
    directory,
    encoded,
    first_ask,
    index_of,
    is_identifier,
    key_of,
    mentioned,
    named,
    one_line,
)
from lynkr_desktop.engine.optimization.tool_words import Index, unsure
from lynkr_desktop.engine.routing.clean import clean_text
from lynkr_desktop.engine.wire.canonical import Json, Request, Tool
from lynkr_desktop.protocol.optimization import StageName

FEW_TOOLS, FEW_TOKENS = 12, 2_500
"""A list of so many tools, or of so many tokens, is left as it is."""

WORTH = 2_000
"""Tokens that must be saved. A tool that is missed later costs the cached prompt twice, so that less would
not pay for the chance of it; see `benchmarks/fidelity/tool_costs.py`."""

_OWN_TOOLS = 24
"""An agent that also has tools of servers keeps up to so many of its own."""

_FOUND, _MOST = 8, 24
"""Tools that fit a query best, and those that a query may name."""

_NAMED = 700
"""Characters of the names of left-out tools that the model is told from the beginning."""

_LISTED = 6_000
_QUERY = 2_000


class _Known:
    """What is known of a list of tools, whatever is asked.

    Attributes:
        large: whether it is worth shortening.
        kept: the places of the tools that are offered for any task.
        index: of all tools.
        servers: the places of each server's tools.
    """

    def __init__(self, tools: tuple[Tool, ...], scene: Scene) -> None:
        total = 0
        for tool in tools:
            scene.check_time()
            total += cost(tool, scene.count)
        self.large = total > FEW_TOKENS
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
    """What the beginning of a conversation decides.

    Attributes:
        parted: the list in two.
        tool: by which the tools that are held back are found.
        cost: its tokens.
        worth: whether anything is saved.
        later: the places of those that an ask of a later turn adds.
    """

    def __init__(self, parted: Parted, known: _Known, scene: Scene) -> None:
        self.parted = parted
        self._known = known
        self.tool = _more_tools(parted.held)
        self.cost = cost(self.tool, scene.count)
        self.worth = sum(parted.costs) >= self.cost + WORTH
        self.later = lru_cache(maxsize=64)(self._asked)

    @cached_property
    def index(self) -> Index:
        """Of the tools that are held back."""
        return self._known.index.part(self.parted.places)

    def _asked(self, text: str) -> tuple[int, ...]:
        """Only what is sure: the ask names the tool, or its server and what it does."""
        held = self.parted.held
        meant = {place for place in mentioned(held, text) if is_identifier(held[place].name)}
        if server := self.index.named_servers(text):
            meant |= server.intersection(self.index.relevant(text))
        return tuple(sorted(meant))


class ToolSelectionStage(Stage):
    """Leaves out tools that a task does not need."""

    name: StageName = "smart_tool_selection"

    def __init__(self) -> None:
        self._known: Plans[_Known] = Plans()
        self._plans: Plans[_Plan | None] = Plans()

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
        offered, held = plan.parted.grown(_added(request, plan), plan.cost)
        if held:
            scene.offer(plan.tool, _finder(plan))
            scene.did.append(f"left out {len(held)} of {len(tools)} tools")
        return replace(request, tools=offered)


def _plan(
    tools: tuple[Tool, ...], known: _Known, ask: str, said: tuple[int, ...], scene: Scene
) -> _Plan | None:
    """Parts a list; None where all of it stays."""
    kept = known.kept.union(known.index.relevant(ask), said)
    if not kept:
        return None
    # What a server offers is used together, and to leave out too little costs less than to add it later.
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
    plan = _Plan(Parted(tools, kept, scene), known, scene)
    return plan if plan.worth else None


def _added(request: Request, plan: _Plan) -> list[int]:
    """The places of the held tools that came up since the first turn, in the order in which they did."""
    added: dict[int, None] = {}
    for message in request.messages[1:]:
        if message.role == "assistant":
            added |= dict.fromkeys(plan.parted.called(called(message)))
        elif text := clean_text(message):
            added |= dict.fromkeys(plan.later(text))
    added |= dict.fromkeys(plan.parted.named((request.tool_choice.name,)))
    return list(added)


def _more_tools(held: tuple[Tool, ...]) -> Tool:
    return Tool(
        MORE_TOOLS,
        f"Finds further tools by what they do and makes them callable. {len(held)} are not listed here. "
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


def _finder(plan: _Plan) -> InnerTool:
    """What answers `lynkr_more_tools`."""
    held = plan.parted.held

    def find(arguments: Json) -> Inner:
        query = _words(arguments)
        places = dict.fromkeys((*named(held, query)[:_MOST], *plan.index.best(query, _FOUND)))
        if not places:
            return Inner(text="No tool fits these words. There are:\n" + directory(held, _LISTED))
        tools = tuple(held[place] for place in places)
        lines = [f"- {tool.name}: {one_line(tool)}".rstrip(": ") for tool in tools]
        return Inner(text="These tools can be called now:\n" + "\n".join(lines), tools=tools)

    return find


def _words(arguments: Json) -> str:
    """What is looked for, however the model says it."""
    value: object = arguments.get("query", list(arguments.values()))
    parts = value[:_MOST] if isinstance(value, list) else [value]
    return " ".join(part for part in parts if isinstance(part, str))[:_QUERY]
