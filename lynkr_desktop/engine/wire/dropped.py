"""Names of what a target protocol has no word for, so that a client is told."""

from __future__ import annotations

from lynkr_desktop.engine.wire.canonical import Request, Thinking, ToolResult


def vendor_fields(request: Request) -> set[str]:
    """Fields that only the client's own protocol knows: of the request, its blocks and its tools."""
    names = set(request.extra)
    for part in request.system:
        names.update(part.extra)
    for tool in request.tools:
        names.update(tool.extra)
    for message in request.messages:
        for block in message.content:
            match block:
                case ToolResult():
                    names.update(block.extra)
                    for inner in block.content:
                        names.update(inner.extra)
                case Thinking() if block.signature:
                    names.add("signature")
                case _:
                    names.update(getattr(block, "extra", ()))
    return names
