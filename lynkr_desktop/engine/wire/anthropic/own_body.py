"""A Messages client's own body on its way to a provider of the same protocol."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import Raw

from lynkr_desktop.engine.wire.canonical import Request, Thinking, ToolResult, ToolUse

_UNSAFE = re.compile(r"[^a-zA-Z0-9_-]")


def own_body(body: bytes, request: Request, model: str, version: str = "") -> bytes:
    """The body for `model`, byte for byte the client's where nothing needs to change.

    Changed are the model's name, and what only other models can have left in the conversation and the API
    refuses: thoughts without a signature, and ids of tool calls outside its pattern.

    Args:
        body: the client's bytes.
        request: what they say.
        model: the provider's name of the model.
        version: an `anthropic_version` that the body carries in place of the model, as clouds have it.
    """
    foreign = _has_foreign(request)
    if request.model == model and not version and not foreign:
        return body
    fields = msgspec.json.decode(body, type=dict[str, Raw])
    if version:
        fields.pop("model", None)
        fields["anthropic_version"] = Raw(msgspec.json.encode(version))
    else:
        fields["model"] = Raw(msgspec.json.encode(model))
    if foreign:
        messages = [_mended(message) for message in msgspec.json.decode(fields["messages"])]
        fields["messages"] = Raw(msgspec.json.encode([message for message in messages if message["content"]]))
    return msgspec.json.encode(fields)


def _has_foreign(request: Request) -> bool:
    for message in request.messages:
        for block in message.content:
            match block:
                case Thinking() if not block.signature:
                    return True
                case ToolUse() if _UNSAFE.search(block.id) or not block.id:
                    return True
                case ToolResult() if _UNSAFE.search(block.tool_use_id) or not block.tool_use_id:
                    return True
    return False


def _mended(message: dict[str, Any]) -> dict[str, Any]:
    content = message["content"]
    if not isinstance(content, list):
        return message
    kept = [
        block for block in content if not (block.get("type") == "thinking" and not block.get("signature"))
    ]
    for block in kept:
        key = {"tool_use": "id", "tool_result": "tool_use_id"}.get(block.get("type"))
        if key is not None:
            block[key] = _UNSAFE.sub("_", block.get(key) or "") or "call"
    return {**message, "content": kept}
