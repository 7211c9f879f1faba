"""A Messages client's own body on its way to a provider of the same protocol."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import Raw

from lynkr_desktop.engine.wire.canonical import Request, Text, Thinking, ToolResult, ToolUse

_UNSAFE = re.compile(r"[^a-zA-Z0-9_-]")


def own_body(body: bytes, request: Request, model: str, version: str = "") -> bytes:
    """The body for `model`, byte for byte the client's where nothing needs to change.

    Changed are the model's name, and what the API refuses although nobody would miss it: empty texts, and
    what other models left in the conversation (thoughts without a signature, ids outside the API's pattern).

    Args:
        body: the client's bytes.
        request: what they say.
        model: the provider's name of the model.
        version: an `anthropic_version` that the body carries in place of the model, as clouds have it.
    """
    refused = _holds_refused(request)
    if request.model == model and not version and not refused:
        return body
    fields = msgspec.json.decode(body, type=dict[str, Raw])
    if version:
        fields.pop("model", None)
        fields["anthropic_version"] = Raw(msgspec.json.encode(version))
    else:
        fields["model"] = Raw(msgspec.json.encode(model))
    if refused:
        messages = [_mended(message) for message in msgspec.json.decode(fields["messages"])]
        fields["messages"] = Raw(msgspec.json.encode([message for message in messages if message["content"]]))
    return msgspec.json.encode(fields)


def _holds_refused(request: Request) -> bool:
    for message in request.messages:
        for block in message.content:
            match block:
                case Text() if not block.text:
                    return True
                case Thinking() if not block.signature:
                    return True
                case ToolUse() if _UNSAFE.search(block.id) or not block.id:
                    return True
                case ToolResult() if _UNSAFE.search(block.tool_use_id) or not block.tool_use_id:
                    return True
                case ToolResult() if any(isinstance(part, Text) and not part.text for part in block.content):
                    return True
    return False


def _mended(message: dict[str, Any]) -> dict[str, Any]:
    content = message["content"]
    return {**message, "content": _mended_blocks(content)} if isinstance(content, list) else message


def _mended_blocks(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    kept: list[dict[str, Any]] = []
    for block in blocks:
        match block.get("type"):
            case "text" if not block.get("text"):
                continue
            case "thinking" if not block.get("signature"):
                continue
            case "tool_use":
                block["id"] = _safe(block.get("id"))
            case "tool_result":
                block["tool_use_id"] = _safe(block.get("tool_use_id"))
                if isinstance(content := block.get("content"), list):
                    block["content"] = _mended_blocks(content)
        kept.append(block)
    return kept


def _safe(name: str | None) -> str:
    return _UNSAFE.sub("_", name or "") or "call"
