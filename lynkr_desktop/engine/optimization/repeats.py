"""What the window does where a model could get nothing back: it tells again nothing that stands above."""

from __future__ import annotations

from msgspec.structs import replace

from lynkr_desktop.engine.optimization.marks import arguments
from lynkr_desktop.engine.optimization.stage import Scene
from lynkr_desktop.engine.wire.canonical import Block, Message, Request, Text, ToolResult, ToolUse

_SAME = 200
"""Characters of a result from on which saying that it stands above is worth it."""


def without_repeats(request: Request, scene: Scene) -> Request:
    """The request with each result that stands above word for word told in a line."""
    names: dict[str, str] = {}
    known: dict[str, str] = {}
    messages: list[Message] = []
    repeats = 0
    for message in request.messages:
        content: list[Block] = []
        for block in message.content:
            if isinstance(block, ToolUse):
                names[block.id] = f"{block.name} {arguments(block)[:200]}"
            elif isinstance(block, ToolResult) and len(block.text) >= _SAME and not block.is_error:
                text, earlier = block.text, known.get(block.text)
                if earlier is None:
                    known[text] = names.get(block.tool_use_id, "an earlier call")
                elif all(isinstance(part, Text) for part in block.content):
                    repeats += 1
                    block = replace(block, content=(replace(block.content[-1], text=_same(text, earlier)),))
            content.append(block)
        messages.append(replace(message, content=tuple(content)))
    if not repeats:
        return request
    scene.did.append(f"told {repeats} results, which stand above word for word, in a line each")
    return replace(request, messages=tuple(messages))


def _same(text: str, call: str) -> str:
    return f"[the same {text.count(chr(10)) + 1:,} lines as the result of {call} above]"
