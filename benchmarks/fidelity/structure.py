"""Checks that a shortened prompt is still a prompt. Shares nothing with the pipeline's own check."""

from __future__ import annotations

from collections import Counter

from lynkr_desktop.engine.wire.canonical import Image, Message, Request, Text, ToolResult, ToolUse


def violations(before: Request, after: Request, reachable: frozenset[str] = frozenset()) -> list[str]:
    """What does not hold any more, one entry per fault.

    Args:
        before: as the client sent it.
        after: as it goes to the model.
        reachable: tools that are not offered but can still be called through one that is. A call through
            that one is the call that it stands for, with the same name, arguments and id.
    """
    found: list[str] = []
    if before.system != after.system:
        found.append("system prompt changed")
    if _last_words(before) != _last_words(after):
        found.append("last words of the user changed")
    found += _pairing(after)
    found += _order(before, after, reachable)
    offered = {tool.name for tool in after.tools}
    had = {tool.name for tool in before.tools}
    called = {
        block.name for message in after.messages for block in message.content if isinstance(block, ToolUse)
    }
    needed = (called | {before.tool_choice.name}) & had
    found += [f"tool {name} of the history is not offered" for name in sorted(needed - offered - reachable)]
    if before.tool_choice != after.tool_choice:
        found.append("tool_choice changed")
    if _marks(before) != _marks(after):
        found.append("cache markers changed")
    if _images(before) != _images(after):
        found.append("images changed")
    return found


def _last_words(request: Request) -> list[str]:
    """What the newest turn that has a person's words says, whatever follows it."""
    for message in reversed(request.messages):
        words = [block.text for block in message.content if isinstance(block, Text)]
        if message.role == "user" and words:
            return words
    return []


def _pairing(request: Request) -> list[str]:
    found: list[str] = []
    if not request.messages or request.messages[0].role != "user":
        found.append("does not begin with a user turn")
    waiting: list[str] = []
    previous = ""
    for message in request.messages:
        if message.role == previous:
            found.append("two turns of one role")
        previous = message.role
        if not message.content:
            found.append("empty turn")
        results = [block.tool_use_id for block in message.content if isinstance(block, ToolResult)]
        if sorted(results) != sorted(waiting):
            found.append("calls and results do not fit")
        kinds = [isinstance(block, ToolResult) for block in message.content]
        if kinds != sorted(kinds, reverse=True):
            found.append("results stand behind words")
        waiting = [block.id for block in message.content if isinstance(block, ToolUse)]
        if message.role == "user" and waiting:
            found.append("call in a user turn")
    if waiting:
        found.append("ends with open calls")
    return found


def _order(before: Request, after: Request, reachable: frozenset[str]) -> list[str]:
    """Calls that changed or moved. Whole turns may be gone: that is for the needles to judge."""
    old = _calls(before.messages)
    new = [_meant(call, reachable) for call in _calls(after.messages)]
    places = {call.id: place for place, call in enumerate(old)}
    if any(call.id not in places for call in new):
        return ["a call appeared"]
    order = [places[call.id] for call in new]
    found = [] if order == sorted(order) else ["calls changed their order"]
    if any(old[place] != call for place, call in zip(order, new, strict=True)):
        found.append("the input of a call changed")
    errors = _errors(after.messages)
    if any(errors[name] != error for name, error in _errors(before.messages).items() if name in errors):
        found.append("a failed call no longer says so")
    return found


def _meant(call: ToolUse, reachable: frozenset[str]) -> ToolUse:
    """The call that one stands for which was made through another tool."""
    match call.input:
        case {"name": str(name), "arguments": dict(given), **rest} if name in reachable and not rest:
            return ToolUse(call.id, name, given) if call.name not in reachable else call
    return call


def _calls(messages: tuple[Message, ...]) -> list[ToolUse]:
    return [block for message in messages for block in message.content if isinstance(block, ToolUse)]


def _errors(messages: tuple[Message, ...]) -> dict[str, bool]:
    blocks = (block for message in messages for block in message.content)
    return {block.tool_use_id: block.is_error for block in blocks if isinstance(block, ToolResult)}


def _marks(request: Request) -> Counter[str]:
    blocks = [block for message in request.messages for block in message.content]
    extras = [*(tool.extra for tool in request.tools), *(part.extra for part in request.system)]
    extras += [block.extra for block in blocks if isinstance(block, Text | ToolResult | Image)]
    return Counter(str(extra["cache_control"]) for extra in extras if "cache_control" in extra)


def _images(request: Request) -> int:
    blocks = [block for message in request.messages for block in message.content]
    parts = [
        part for block in blocks for part in (block.content if isinstance(block, ToolResult) else (block,))
    ]
    return sum(isinstance(part, Image) for part in parts)
