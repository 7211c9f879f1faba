"""A client's own body with other texts and tools: all that nothing changed stays as the client wrote it.

A request that goes to a provider of the client's own protocol need not pass through the canonical model,
which has no word for many a vendor's field. Only what a change can be told in is patched: texts of blocks,
calls of tools, whole tools, and turns that went or came. For any other change there is no patch.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from lynkr_desktop.engine.wire.anthropic import AnthropicUpstream
from lynkr_desktop.engine.wire.canonical import (
    Block,
    Document,
    Json,
    Message,
    Request,
    Text,
    Tool,
    ToolResult,
    ToolUse,
)
from lynkr_desktop.engine.wire.codec import TURNS, Dialect, ProviderCodec
from lynkr_desktop.engine.wire.fields import NOT_JSON, encode_json
from lynkr_desktop.engine.wire.ollama import OllamaUpstream
from lynkr_desktop.engine.wire.openai_chat import OpenAIChatUpstream
from lynkr_desktop.engine.wire.openai_responses import ResponsesUpstream
from lynkr_desktop.engine.wire.splice import CannotSplice, spliced

_UPSTREAMS: dict[Dialect, Callable[[], ProviderCodec]] = {
    "anthropic_messages": AnthropicUpstream,
    "openai_chat": OpenAIChatUpstream,
    "openai_responses": ResponsesUpstream,
    "ollama_chat": OllamaUpstream,
}

_TEXTS = frozenset(("text", "content", "output"))
"""Fields in which all protocols have the texts of blocks and results."""

_SYSTEM = ("system", "developer")
"""Roles of what is no turn, though it stands among them."""

_ARGUMENTS = frozenset(("arguments", "parameters", "input_schema", "metadata"))


def patched_body(body: bytes, dialect: Dialect, before: Request, after: Request) -> bytes | None:
    """The body that says `after`, None where that cannot be told by a patch.

    Args:
        body: the client's bytes.
        dialect: their protocol.
        before: what they say.
        after: what they shall say.
    """
    turns = TURNS.get(dialect)
    rest = msgspec.structs.replace(after, messages=before.messages, tools=before.tools)
    if turns is None or rest != before:
        return None
    try:
        fields: Json = msgspec.json.decode(body)
        after, answered = _without_answered(before, after)
        if _shape(before) != _shape(after):
            fields[turns], said = spliced(fields.get(turns), dialect, before.messages, after.messages)
            before = msgspec.structs.replace(before, messages=said)
    except (*NOT_JSON, CannotSplice):
        return None
    texts = _changed_texts(before, after)
    if texts is None or not _put_texts(fields.get(turns), texts):
        return None
    if not _put_calls(fields.get(turns), dialect, _changed_calls(before, after)):
        return None
    if before.tools != after.tools and not _put_tools(fields, dialect, before.tools, after.tools):
        return None
    if answered:
        fields[turns] = [*fields[turns], *_told_turns(dialect, after, answered)]
    return encode_json(fields)


# ---------------------------------------------------------------- turns


def _shape(request: Request) -> list[tuple[str, int]]:
    return [(message.role, len(message.content)) for message in request.messages]


def _without_answered(before: Request, after: Request) -> tuple[Request, tuple[Message, ...]]:
    """A request without the turns at its end in which the engine answered calls itself, and these turns."""
    known = {
        block.id for message in before.messages for block in message.content if isinstance(block, ToolUse)
    }
    end = len(after.messages)
    while end > 2 and _are_new(after.messages[end - 2 : end], known):
        end -= 2
    return msgspec.structs.replace(after, messages=after.messages[:end]), after.messages[end:]


def _are_new(pair: tuple[Message, ...], known: set[str]) -> bool:
    """Whether two turns are calls that the client does not know, and their results alone."""
    calls = {block.id for block in pair[0].content if isinstance(block, ToolUse)}
    results = {block.tool_use_id for block in pair[1].content if isinstance(block, ToolResult)}
    only = len(results) == len(pair[1].content)
    return pair[0].role == "assistant" and only and calls == results and bool(calls) and not calls & known


def _told_turns(dialect: Dialect, request: Request, turns: tuple[Message, ...]) -> list[Any]:
    """Turns that the client does not have, in its protocol."""
    # Behind a turn of the user, since turns of the model cannot stand alone.
    opening = Message("user", (Text("."),))
    body = _UPSTREAMS[dialect]().encode_request(
        msgspec.structs.replace(request, messages=(opening, *turns)), request.model
    )
    told: list[Json] = msgspec.json.decode(body)[TURNS[dialect]]
    first = next(place for place, item in enumerate(told) if item.get("role") == "user")
    return told[first + 1 :]


# ---------------------------------------------------------------- texts


def _changed_texts(before: Request, after: Request) -> dict[str, deque[str]] | None:
    """For each text that changes somewhere, what stands at all its places; None for other changes."""
    pairs: list[tuple[str, str]] = []
    if len(before.messages) != len(after.messages):
        return None
    for old, new in zip(before.messages, after.messages, strict=True):
        if old is new:
            pairs += [(text, text) for text in _texts(old.content)]
            continue
        if old.role != new.role or len(old.content) != len(new.content):
            return None
        for one, other in zip(old.content, new.content, strict=True):
            if one is not other and not _differ_in_texts(one, other):
                return None
        pairs += zip(_texts(old.content), _texts(new.content), strict=True)
    changed = {text for text, put in pairs if text != put}
    texts: dict[str, deque[str]] = defaultdict(deque)
    for text, put in pairs:
        if text in changed:
            texts[text].append(put)
    return texts


def _texts(blocks: tuple[Block, ...]) -> Iterator[str]:
    for block in blocks:
        for part in block.content if isinstance(block, ToolResult) else (block,):
            if isinstance(part, Text | Document):
                yield part.text


def _differ_in_texts(one: Block, other: Block) -> bool:
    if isinstance(one, ToolResult) and isinstance(other, ToolResult):
        if len(one.content) != len(other.content):
            return False
        parts = zip(one.content, other.content, strict=True)
        same = all(old == new or _differ_in_texts(old, new) for old, new in parts)
        return same and msgspec.structs.replace(other, content=one.content) == one
    if isinstance(one, Text | Document) and type(one) is type(other):
        return msgspec.structs.replace(other, text=one.text) == one
    if isinstance(one, ToolUse) and isinstance(other, ToolUse):
        return one.id == other.id
    return one == other


def _put_texts(turns: Any, texts: dict[str, deque[str]]) -> bool:
    """Puts the texts in, in their order; whether each found its place."""
    if not texts:
        return True
    stack: list[tuple[Any, Any]] = [({"content": turns}, "content")]
    while stack:
        holder, key = stack.pop()
        value = holder[key]
        if isinstance(value, str):
            places = texts.get(value)
            if places:
                holder[key] = places.popleft()
        elif isinstance(value, list):
            stack += [
                (value, place) for place in range(len(value) - 1, -1, -1) if _may_hold(value[place], key)
            ]
        elif isinstance(value, dict) and value.get("role") not in _SYSTEM:
            calls = value.get("type") == "tool_use"
            names = [name for name in value if name not in _ARGUMENTS and not (calls and name == "input")]
            stack += [
                (value, name)
                for name in reversed(names)
                if name in _TEXTS or not isinstance(value[name], str)
            ]
    return not any(texts.values())


def _may_hold(value: Any, key: Any) -> bool:
    """Whether an item of a list may be a text of its own: strings are, only where contents are listed."""
    return key in _TEXTS or not isinstance(value, str)


# ---------------------------------------------------------------- calls


def _changed_calls(before: Request, after: Request) -> dict[str, ToolUse]:
    """The calls that are others now, by their ids."""
    changed: dict[str, ToolUse] = {}
    for old, new in zip(before.messages, after.messages, strict=True):
        if old is not new:
            for one, other in zip(old.content, new.content, strict=True):
                if isinstance(other, ToolUse) and one != other:
                    changed[other.id] = other
    return changed


def _put_calls(turns: Any, dialect: Dialect, calls: dict[str, ToolUse]) -> bool:
    """Puts the calls in by their ids; whether each found its place, and only one."""
    left = set(calls)
    for holder, id_ in _raw_calls(turns, dialect) if calls else ():
        call = calls.get(id_)
        if call is None:
            continue
        if id_ not in left:
            return False
        left.remove(id_)
        holder["name"] = call.name
        if dialect == "anthropic_messages":
            holder["input"] = call.input
        else:
            holder["arguments"] = encode_json(call.input).decode()
    return not left


def _raw_calls(turns: Any, dialect: Dialect) -> Iterator[tuple[Json, str]]:
    """What holds name and arguments of each call, with its id. Ollama's calls have none to go by."""
    for item in turns if isinstance(turns, list) else ():
        match dialect, item:
            case "anthropic_messages", {"role": "assistant", "content": [*blocks]}:
                for block in blocks:
                    if isinstance(block, dict) and block.get("type") == "tool_use":
                        yield block, str(block.get("id", ""))
            case "openai_chat", {"role": "assistant", "tool_calls": [*calls]}:
                for call in calls:
                    if isinstance(call, dict) and isinstance(call.get("function"), dict):
                        yield call["function"], str(call.get("id", ""))
            case "openai_responses", {"type": "function_call", "call_id": str(id_)}:
                yield item, id_


# ---------------------------------------------------------------- tools


def _put_tools(fields: Json, dialect: Dialect, before: tuple[Tool, ...], after: tuple[Tool, ...]) -> bool:
    """Leaves tools out and adds some; whether that says it all. Tools without a name stay as they are."""
    listed = fields.get("tools") or []
    if not isinstance(listed, list) or any(not isinstance(tool, dict) for tool in listed):
        return False
    old = {tool.name: tool for tool in before}
    new = {tool.name: tool for tool in after}
    if len(old) != len(before) or len(new) != len(after):
        return False
    gone = old.keys() - new.keys()
    names = [_name_of(tool) for tool in listed]
    if not gone <= set(names):
        return False
    kept = [tool for tool, name in zip(listed, names, strict=True) if name not in gone]
    for tool in kept:
        name = _name_of(tool)
        changed = name in old and old[name] != new[name]
        if changed and not _retell(tool, dialect, old[name], new[name]):
            return False
    fields["tools"] = kept + [_told(tool, dialect) for tool in after if tool.name not in old]
    return True


def _name_of(tool: Json) -> str:
    function = tool.get("function")
    name = function.get("name") if isinstance(function, dict) else tool.get("name")
    return name if isinstance(name, str) else ""


def _retell(tool: Json, dialect: Dialect, old: Tool, new: Tool) -> bool:
    """Changes a tool's description and cache marker in place; whether that is all that changed."""
    moved = {**old.extra}
    moved.pop("cache_control", None)
    marker = new.extra.get("cache_control")
    if {key: value for key, value in new.extra.items() if key != "cache_control"} != moved:
        return False
    if new.input_schema != old.input_schema:
        return False
    holder = tool["function"] if isinstance(tool.get("function"), dict) else tool
    if new.description != old.description:
        holder["description"] = new.description
    if dialect == "anthropic_messages":
        tool.pop("cache_control", None)
        if marker is not None:
            tool["cache_control"] = marker
    return True


def _told(tool: Tool, dialect: Dialect) -> Json:
    schema = tool.input_schema or {"type": "object", "properties": {}}
    if dialect == "anthropic_messages":
        marker = {key: value for key, value in tool.extra.items() if key == "cache_control"}
        return {"name": tool.name, "description": tool.description, "input_schema": schema, **marker}
    function = {"name": tool.name, "description": tool.description, "parameters": schema}
    if dialect == "openai_responses":
        return {"type": "function", **function, "strict": False}
    return {"type": "function", "function": function}
