"""The canonical request to a Chat Completions body."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from lynkr_desktop.engine.wire.canonical import (
    Block,
    Document,
    Image,
    Json,
    Message,
    Request,
    Text,
    ToolResult,
    ToolUse,
)
from lynkr_desktop.engine.wire.dropped import vendor_fields
from lynkr_desktop.engine.wire.fields import encode_json
from lynkr_desktop.engine.wire.pairing import paired_turns

LimitField = Literal["max_tokens", "max_completion_tokens"]

_SHARED = frozenset({"frequency_penalty", "logit_bias", "presence_penalty"})
"""Fields outside the canonical model that other protocols have under the same name and meaning."""

_OPENAI = _SHARED | {
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "store",
    "verbosity",
}
"""The same for OpenAI's own service; others refuse what they do not know, Mistral with a 422."""


def encode_request(
    request: Request, model: str, limit: LimitField = "max_tokens", *, hints: bool = False
) -> bytes:
    """The body of POST {base_url}/chat/completions for `model`.

    Args:
        request: the canonical request.
        model: the provider's name of the model.
        limit: the field that carries the limit of tokens.
        hints: whether OpenAI's own hints go along.
    """
    body: Json = {"model": model, "messages": list(_encode_messages(request))}
    optional: Json = {
        limit: request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "seed": request.seed,
        "stop": list(request.stop) or None,
        "user": request.user or None,
    }
    body.update({key: value for key, value in optional.items() if value is not None})
    if request.tools:
        body["tools"] = [
            {
                "type": "function",
                "function": {
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": tool.input_schema or {"type": "object", "properties": {}},
                },
            }
            for tool in request.tools
        ]
        body["tool_choice"] = _encode_tool_choice(request)
        if request.tool_choice.parallel is not None:
            body["parallel_tool_calls"] = request.tool_choice.parallel
    if request.reasoning is not None and (effort := request.reasoning.level):
        body["reasoning_effort"] = effort
    if _takes_metadata(request, hints):
        body["metadata"] = request.metadata
    shared = _shared(hints)
    body.update({key: value for key, value in request.extra.items() if key in shared})
    if request.response_format is not None:
        body["response_format"] = _encode_response_format(request)
    if request.stream:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
    return encode_json(body)


def dropped_fields(request: Request, *, hints: bool = False) -> tuple[str, ...]:
    """Names of what Chat Completions has no word for."""
    dropped = vendor_fields(request) - _shared(hints)
    if request.top_k is not None:
        dropped.add("top_k")
    if request.metadata and not _takes_metadata(request, hints):
        dropped.add("metadata")
    return tuple(sorted(dropped))


def _shared(hints: bool) -> frozenset[str]:
    return _OPENAI if hints else _SHARED


def _takes_metadata(request: Request, hints: bool) -> bool:
    """OpenAI takes metadata for what it shall store, and refuses it else."""
    return bool(request.metadata and request.extra.get("store")) and "store" in _shared(hints)


def _encode_messages(request: Request) -> Iterator[Json]:
    if request.system:
        yield {"role": "system", "content": request.system_text}
    for message in paired_turns(request.messages, thoughts=False):
        if message.role == "assistant":
            yield _encode_assistant(message)
        else:
            yield from _encode_user(message)


def _encode_assistant(message: Message) -> Json:
    text = message.text
    calls = [
        {
            "id": block.id,
            "type": "function",
            "function": {"name": block.name, "arguments": encode_json(block.input).decode()},
        }
        for block in message.content
        if isinstance(block, ToolUse)
    ]
    body: Json = {"role": "assistant", "content": text or (None if calls else "")}
    if calls:
        body["tool_calls"] = calls
    return body


def _encode_user(message: Message) -> Iterator[Json]:
    """Tool answers become messages of their own, in place; images in them follow in a user message."""
    parts: list[Json] = []
    carried: list[Json] = []
    for block in message.content:
        if isinstance(block, ToolResult):
            if parts:
                yield {"role": "user", "content": _plain(parts)}
                parts = []
            yield {"role": "tool", "tool_call_id": block.tool_use_id, "content": _result_text(block)}
            carried += [_encode_part(part) for part in block.content if isinstance(part, Image)]
        elif isinstance(block, Text | Image | Document):
            parts += [*carried, _encode_part(block)]
            carried = []
    if parts or carried:
        yield {"role": "user", "content": _plain(carried + parts)}


def _result_text(result: ToolResult) -> str:
    text = result.text or ("" if result.content else "(no output)")
    # The protocol has no word for a tool that failed, and the model must know.
    return f"Error: {text}" if result.is_error and not text.lower().startswith("error") else text


def _plain(parts: list[Json]) -> str | list[Json]:
    """A string where there is only text: some servers know no parts."""
    if all(part["type"] == "text" for part in parts):
        return "\n\n".join(part["text"] for part in parts)
    return parts


def _encode_part(block: Block) -> Json:
    match block:
        case Image():
            url = block.url or f"data:{block.media_type};base64,{block.data}"
            return {"type": "image_url", "image_url": {"url": url}}
        case Document(text=text) if text:
            return {"type": "text", "text": text}
        case Document():
            data = f"data:{block.media_type};base64,{block.data}"
            return {"type": "file", "file": {"filename": block.title or "document", "file_data": data}}
        case Text():
            return {"type": "text", "text": block.text}
    raise TypeError(f"no content part for {type(block).__name__}")


def _encode_tool_choice(request: Request) -> str | Json:
    choice = request.tool_choice
    if choice.kind == "named":
        return {"type": "function", "function": {"name": choice.name}}
    return choice.kind


def _encode_response_format(request: Request) -> Json:
    wanted = request.response_format
    assert wanted is not None
    if wanted.kind == "json_object":
        return {"type": "json_object"}
    schema: Json = {"name": wanted.name or "answer", "schema": wanted.schema}
    if wanted.strict is not None:
        schema["strict"] = wanted.strict
    return {"type": "json_schema", "json_schema": schema}
