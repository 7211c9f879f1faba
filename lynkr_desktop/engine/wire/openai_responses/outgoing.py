"""The canonical request to a Responses body."""

from __future__ import annotations

from collections.abc import Iterator

from lynkr_desktop.engine.wire.canonical import (
    Block,
    Document,
    Image,
    Json,
    Message,
    RedactedThinking,
    Request,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
)
from lynkr_desktop.engine.wire.dropped import vendor_fields
from lynkr_desktop.engine.wire.errors import Unsupported
from lynkr_desktop.engine.wire.fields import encode_json
from lynkr_desktop.engine.wire.pairing import paired_turns

_SHARED = frozenset(
    {
        "max_tool_calls",
        "prompt_cache_key",
        "prompt_cache_retention",
        "safety_identifier",
        "service_tier",
        "store",
        "truncation",
        "verbosity",
    }
)
"""Fields outside the canonical model that other OpenAI protocols have under the same name and meaning."""


def encode_request(request: Request, model: str) -> bytes:
    """The body of POST {base_url}/responses for `model`. Raises `Unsupported`."""
    if request.stop:
        raise Unsupported("OpenAI Responses knows no stop sequences.", "stop")
    text: Json = {}
    if request.response_format is not None:
        text["format"] = _encode_format(request)
    if (verbosity := request.extra.get("verbosity")) is not None:
        text["verbosity"] = verbosity
    reasoning = request.reasoning.level if request.reasoning is not None else None
    optional: Json = {
        "instructions": request.system_text or None,
        "max_output_tokens": request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "reasoning": {"effort": reasoning} if reasoning else None,
        "text": text or None,
        "metadata": request.metadata or None,
        "user": request.user or None,
        "stream": request.stream or None,
    }
    body: Json = {"model": model, "input": list(_encode_input(request)), "store": False}
    body |= {key: value for key, value in optional.items() if value is not None}
    body |= {key: value for key, value in request.extra.items() if key in _SHARED - {"verbosity"}}
    if request.tools:
        body["tools"] = [
            {
                "type": "function",
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.input_schema or {"type": "object", "properties": {}},
                "strict": tool.extra.get("strict") is True,
            }
            for tool in request.tools
        ]
        choice = request.tool_choice
        named = {"type": "function", "name": choice.name}
        body["tool_choice"] = named if choice.kind == "named" else choice.kind
        if choice.parallel is not None:
            body["parallel_tool_calls"] = choice.parallel
    return encode_json(body)


def dropped_fields(request: Request) -> tuple[str, ...]:
    """Names of what Responses has no word for."""
    dropped = vendor_fields(request) - _SHARED - {"strict", "detail"}
    if request.top_k is not None:
        dropped.add("top_k")
    if request.seed is not None:
        dropped.add("seed")
    blocks = (block for message in request.messages for block in message.content)
    if any(isinstance(block, Thinking | RedactedThinking) for block in blocks):
        # Reasoning is only taken back from the model that wrote it, in a form that it encrypted itself.
        dropped.add("thinking")
    return tuple(sorted(dropped))


def _encode_input(request: Request) -> Iterator[Json]:
    for message in paired_turns(request.messages, thoughts=False):
        yield from _encode_turn(message)


def _encode_turn(message: Message) -> Iterator[Json]:
    """The items of a turn, in their order."""
    parts: list[Json] = []
    said = "output_text" if message.role == "assistant" else "input_text"
    for block in message.content:
        if isinstance(block, Text | Image | Document):
            parts.append(_encode_part(block, said))
            continue
        if parts and isinstance(block, ToolUse | ToolResult):
            yield _encode_message(message, parts)
            parts = []
        if isinstance(block, ToolUse):
            arguments = encode_json(block.input).decode()
            yield {"type": "function_call", "call_id": block.id, "name": block.name, "arguments": arguments}
        elif isinstance(block, ToolResult):
            yield _encode_result(block)
    if parts:
        yield _encode_message(message, parts)


def _encode_message(message: Message, parts: list[Json]) -> Json:
    return {"type": "message", "role": message.role, "content": parts}


def _encode_result(result: ToolResult) -> Json:
    parts = result.content or (Text("(no output)"),)
    # The protocol has no word for a tool that failed, and the model must know.
    if result.is_error and not result.text.lower().startswith("error"):
        parts = (Text("Error:"), *parts)
    output: str | list[Json] = [_encode_part(part, "input_text") for part in parts]
    if len(parts) == 1 and isinstance(parts[0], Text):
        output = parts[0].text
    return {"type": "function_call_output", "call_id": result.tool_use_id, "output": output}


def _encode_part(block: Block, said: str) -> Json:
    match block:
        case Text():
            return {"type": said, "text": block.text}
        case Image():
            url = block.url or f"data:{block.media_type};base64,{block.data}"
            detail = block.extra.get("detail", "auto")
            return {"type": "input_image", "image_url": url, "detail": detail}
        case Document(text=text) if text:
            return {"type": said, "text": f"{block.title}\n\n{text}" if block.title else text}
        case Document(url=url) if url:
            return {"type": "input_file", "file_url": url}
        case Document():
            data = f"data:{block.media_type};base64,{block.data}"
            return {"type": "input_file", "filename": block.title or "document", "file_data": data}
    raise TypeError(f"no content part for {type(block).__name__}")


def _encode_format(request: Request) -> Json:
    wanted = request.response_format
    assert wanted is not None
    if wanted.kind == "json_object":
        return {"type": "json_object"}
    schema: Json = {"type": "json_schema", "name": wanted.name or "answer", "schema": wanted.schema}
    if wanted.strict is not None:
        schema["strict"] = wanted.strict
    return schema
