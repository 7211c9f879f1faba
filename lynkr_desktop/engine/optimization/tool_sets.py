"""What the stages that shorten the list of tools share: parting it, and keeping it from turn to turn.

Tools stand before everything else in a prompt: where their list changes, a provider's prompt cache serves
nothing of it. So what is offered goes by the beginning of a conversation, which each turn repeats.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from typing import Generic, TypeVar

import msgspec
from msgspec.structs import replace

from lynkr_desktop.engine.optimization.stage import Scene
from lynkr_desktop.engine.optimization.tool_kinds import parameters, prefix_of, server_words
from lynkr_desktop.engine.optimization.tool_words import Entry, Index
from lynkr_desktop.engine.routing.clean import clean_text
from lynkr_desktop.engine.wire.canonical import Message, Tool

MORE_TOOLS = "lynkr_more_tools"
"""The tool by which a model finds tools that are left out."""

LIST, DESCRIBE, CALL = "lynkr_tools_list", "lynkr_tools_describe", "lynkr_tools_call"
"""The tools that stand for a large set of tools."""

WORTH = 400
"""Tokens that must be saved for a list of tools to be touched."""

SMALL_SERVER = 16
"""Tools of a server that are offered together."""

_LINE, _SHORTEST_LINE = 140, 40
_KNOWN = 64
_MANY = 300
_IDENTIFIER = re.compile(r"[\w\-]{1,200}(?:[.:/][\w\-]{1,200}){0,8}")
_MARK = "cache_control"

Plan = TypeVar("Plan")


class Plans(Generic[Plan]):
    """What was found out about the latest lists of tools; a conversation sends the same with each turn."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, Plan] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: bytes, make: Callable[[], Plan]) -> Plan:
        """The plan under a key, made where it is not known."""
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        plan = make()
        with self._lock:
            self._known[key] = plan
            if len(self._known) > _KNOWN:
                self._known.popitem(last=False)
        return plan


class Parted:
    """A list of tools in two: what is offered from the first turn on, and what is held back.

    Args:
        tools: as the client sends them.
        kept: the places of those that are offered.
        scene: counts their tokens.

    Attributes:
        tools: as the client sends them.
        kept: what is offered, in the client's order; a cache marker of a tool that is held back stands at
            the last kept tool before it.
        places: of what is not, in the client's list.
        held: what is not, in the client's order, without cache markers.
        costs: tokens of each held tool.
    """

    def __init__(self, tools: tuple[Tool, ...], kept: frozenset[int], scene: Scene) -> None:
        self.tools = tools
        self.kept = _with_markers(tools, kept)
        self.places = tuple(place for place in range(len(tools)) if place not in kept)
        self.held = tuple(_unmarked(tools[place]) for place in self.places)
        self.costs: list[int] = []
        for tool in self.held:
            scene.check_time()
            self.costs.append(cost(tool, scene.count))
        self._by_name: dict[str, list[int]] = {}
        for place, tool in enumerate(self.held):
            self._by_name.setdefault(tool.name, []).append(place)

    def named(self, names: Iterable[str]) -> list[int]:
        """The places of the held tools of these names, in the order of the names."""
        return [place for name in dict.fromkeys(names) for place in self._by_name.get(name, ())]


def cost(tool: Tool, count: Callable[[str], int]) -> int:
    """Tokens of a tool's name, description and schema."""
    return count(tool.name) + count(tool.description) + count(encoded(tool.input_schema))


def encoded(value: object) -> str:
    """A value as JSON; whatever it holds."""
    try:
        return msgspec.json.encode(value).decode()
    except (TypeError, ValueError, RecursionError):
        return _written(value)


def key_of(*texts: str) -> bytes:
    """Tells lists of texts apart."""
    hashed = blake2b(digest_size=20)
    for text in texts:
        raw = text.encode("utf-8", "replace")
        hashed.update(b"%d:" % len(raw))
        hashed.update(raw)
    return hashed.digest()


def first_ask(messages: Sequence[Message]) -> str:
    """What a person said in the first turn; empty where that is nothing."""
    return clean_text(messages[0]) if messages and messages[0].role == "user" else ""


def mentioned(tools: Sequence[Tool], text: str) -> tuple[int, ...]:
    """The places of the tools whose whole name stands in a text, not as a part of another name."""
    if len(tools) > _MANY:
        said = frozenset(_IDENTIFIER.findall(text))
        return tuple(place for place, tool in enumerate(tools) if tool.name in said)
    return tuple(place for place, tool in enumerate(tools) if tool.name and _stands_in(tool.name, text))


def named(tools: Sequence[Tool], query: str) -> list[int]:
    """The places of the tools that a query names, with their server or without it."""
    words = {word.strip("`'\",.()") for word in query.split()}
    return [
        place
        for place, tool in enumerate(tools)
        if tool.name in words or tool.name[len(prefix_of(tool.name)) :] in words
    ]


def index_of(tools: Iterable[Tool], tick: Callable[[], None] = lambda: None) -> Index:
    """Makes tools findable by words."""
    entries: list[Entry] = []
    for tool in tools:
        tick()
        prefix = prefix_of(tool.name)
        entries.append(
            Entry(tool.name[len(prefix) :], server_words(prefix), tool.description, parameters(tool)[0])
        )
    return Index(entries, tick)


def directory(tools: Iterable[Tool], most: int) -> str:
    """The names of tools, one line per server, its part of the names said once.

    Args:
        tools: to be named.
        most: characters.
    """
    servers: dict[str, list[str]] = {}
    for tool in tools:
        prefix = prefix_of(tool.name)
        servers.setdefault(prefix, []).append(tool.name[len(prefix) :])
    lines: list[str] = []
    room = most
    for number, (prefix, names) in enumerate(servers.items()):
        if room <= 0:
            lines.append(f"and {len(servers) - number} more groups")
            break
        # Each gets an equal part of what is left, so that all groups show at least what they are.
        line = _names(prefix, names, max(_SHORTEST_LINE, room // (len(servers) - number)))
        lines.append(line)
        room -= len(line)
    return "\n".join(lines)


def _names(prefix: str, names: Sequence[str], most: int) -> str:
    line = f"{prefix[:_LINE]}: " if prefix else ""
    for place, name in enumerate(names):
        if len(line) + len(name) > most:
            return f"{line}and {len(names) - place} more" if place else f"{line}{len(names)} tools"
        line += name if place == len(names) - 1 else f"{name}, "
    return line


def one_line(tool: Tool, most: int = _LINE) -> str:
    """What a tool is for, as far as one line says it."""
    text = " ".join(tool.description[: 4 * most].split())
    end = text.find(". ", 0, most)
    if end > 20:
        return text[: end + 1]
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _with_markers(tools: tuple[Tool, ...], kept: frozenset[int]) -> tuple[Tool, ...]:
    offered: list[Tool] = []
    pending: object = None
    for place, tool in enumerate(tools):
        if place in kept:
            offered.append(tool if pending is None else _marked(tool, pending))
            pending = None
        elif (mark := tool.extra.get(_MARK)) is not None:
            if offered:
                offered[-1] = _marked(offered[-1], mark)
            else:
                pending = mark
    return tuple(offered)


def _stands_in(name: str, text: str) -> bool:
    at = text.find(name)
    for _ in range(_MANY):
        if at < 0:
            return False
        around = text[at - 1 : at] + text[at + len(name) : at + len(name) + 1]
        if not any(char.isalnum() or char in "_-" for char in around):
            return True
        at = text.find(name, at + 1)
    return False


def _marked(tool: Tool, mark: object) -> Tool:
    return tool if _MARK in tool.extra else replace(tool, extra={**tool.extra, _MARK: mark})


def _unmarked(tool: Tool) -> Tool:
    if _MARK not in tool.extra:
        return tool
    return replace(tool, extra={key: value for key, value in tool.extra.items() if key != _MARK})


def _written(value: object) -> str:
    try:
        return str(value)
    except RecursionError:
        return "…"
