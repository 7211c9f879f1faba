"""A Messages request to the canonical request."""

from __future__ import annotations

from functools import partial
from typing import Any

from lynkr_desktop.engine.wire.canonical import (
    Block,
    Document,
    Image,
    Json,
    Message,
    Reasoning,
    RedactedThinking,
    Request,
    ResponseFormat,
    Role,
    Text,
    Thinking,
    Tool,
    ToolChoice,
    ToolResult,
    ToolUse,
)
from lynkr_desktop.engine.wire.errors import InvalidRequest
from lynkr_desktop.engine.wire.fields import Fields, Reader, decode_object


def decode_request(body: bytes, *, needs_limit: bool = True) -> Request:
    """Decodes the body of POST /v1/messages. Raises `InvalidRequest`.

    Args:
        needs_limit: whether max_tokens must be there; count_tokens takes the same body without it.
    """
    fields = Fields(decode_object(body))
    inexpressible: list[str] = []
    model = fields.need_string("model")
    max_tokens = fields.integer("max_tokens", low=1)
    if max_tokens is None and needs_limit:
        raise InvalidRequest("max_tokens is required.", "max_tokens")
    system = _decode_system(fields)
    late_system, messages = _decode_messages(fields, inexpressible)
    given = fields.given(_OPTIONAL)
    effort, newer_format = given.pop("output_config", ("", {}))
    older_format = given.pop("output_format", {})
    return Request(
        model=model,
        messages=messages,
        system=system + late_system,
        tools=_decode_tools(fields, inexpressible),
        tool_choice=_decode_tool_choice(fields),
        max_tokens=max_tokens,
        stop=given.pop("stop_sequences", ()),
        reasoning=_decode_thinking(fields, effort),
        response_format=_decode_format(newer_format or older_format),
        user=given.pop("metadata", ""),
        **given,
        extra=fields.rest(),
        inexpressible=tuple(inexpressible),
    )


def _decode_system(fields: Fields) -> tuple[Text, ...]:
    value = fields.get("system")
    if value is None:
        return ()
    if isinstance(value, str):
        return (Text(value),) if value else ()
    parts: list[Text] = []
    for number, entry in enumerate(fields.items("system")):
        part = Fields(entry, f"system[{number}]")
        if part.string("type", "text") != "text":
            raise part.wrong("type", '"text"')
        parts.append(Text(part.string("text"), part.rest()))
    return tuple(parts)


def _decode_messages(
    fields: Fields, inexpressible: list[str]
) -> tuple[tuple[Text, ...], tuple[Message, ...]]:
    entries = fields.items("messages")
    if not entries:
        raise InvalidRequest("messages must be a list with at least one message.", "messages")
    system: list[Text] = []
    messages: list[Message] = []
    for position, entry in enumerate(entries):
        message = Fields(entry, f"messages[{position}]")
        role = message.need_string("role")
        content = _decode_content(message, inexpressible)
        match role:
            case "user" | "assistant":
                known: Role = "user" if role == "user" else "assistant"
                messages.append(Message(known, content))
            case "system":
                system += [block for block in content if isinstance(block, Text)]
            case _:
                raise message.wrong("role", "user or assistant")
    if not messages:
        raise InvalidRequest("messages must hold at least one user message.", "messages")
    return tuple(system), tuple(messages)


def _decode_content(message: Fields, inexpressible: list[str]) -> tuple[Block, ...]:
    content = message.need("content")
    if isinstance(content, str):
        return (Text(content),) if content else ()
    blocks: list[Block] = []
    for number, entry in enumerate(message.items("content")):
        block = _decode_block(Fields(entry, f"{message.at('content')}[{number}]"), inexpressible)
        if block is not None:
            blocks.append(block)
    return tuple(blocks)


def _decode_block(block: Fields, inexpressible: list[str]) -> Block | None:
    kind = block.need_string("type")
    match kind:
        case "text":
            return Text(block.string("text"), block.rest())
        case "image":
            return _decode_image(block, inexpressible)
        case "document":
            return _decode_document(block, inexpressible)
        case "thinking":
            return Thinking(block.string("thinking"), block.string("signature"))
        case "redacted_thinking":
            return RedactedThinking(block.string("data"))
        case "tool_use":
            return ToolUse(block.string("id"), block.need_string("name"), block.object("input"))
        case "tool_result":
            return _decode_tool_result(block, inexpressible)
    inexpressible.append(f"{block.at('type')} ({kind})")
    return None


def _decode_tool_result(block: Fields, inexpressible: list[str]) -> ToolResult:
    tool_use_id = block.string("tool_use_id")
    is_error = block.boolean("is_error") or False
    content = block.get("content")
    parts: list[Text | Image | Document] = []
    if isinstance(content, str):
        parts = [Text(content)] if content else []
    else:
        for number, entry in enumerate(block.items("content")):
            part = _decode_block(Fields(entry, f"{block.at('content')}[{number}]"), inexpressible)
            if isinstance(part, Text | Image | Document):
                parts.append(part)
            elif part is not None:
                raise block.wrong("content", "text, images or documents")
    return ToolResult(tool_use_id, tuple(parts), is_error, block.rest())


def _decode_image(block: Fields, inexpressible: list[str]) -> Image:
    source = Fields(block.need("source"), block.at("source"))
    match source.need_string("type"):
        case "base64":
            return Image(
                media_type=source.need_string("media_type"),
                data=source.need_string("data"),
                extra=block.rest(),
            )
        case "url":
            return Image(url=source.need_string("url"), extra=block.rest())
        case kind:
            inexpressible.append(f"{source.at('type')} ({kind})")
            return Image()


def _decode_document(block: Fields, inexpressible: list[str]) -> Document:
    source = Fields(block.need("source"), block.at("source"))
    title = block.string("title")
    match source.need_string("type"):
        case "base64":
            return Document(
                media_type=source.need_string("media_type"),
                data=source.need_string("data"),
                title=title,
                extra=block.rest(),
            )
        case "text":
            return Document(
                media_type="text/plain", text=source.string("data"), title=title, extra=block.rest()
            )
        case "url":
            return Document(url=source.need_string("url"), title=title, extra=block.rest())
        case kind:
            inexpressible.append(f"{source.at('type')} ({kind})")
            return Document(title=title)


def _decode_tools(fields: Fields, inexpressible: list[str]) -> tuple[Tool, ...]:
    tools: list[Tool] = []
    for number, entry in enumerate(fields.items("tools")):
        tool = Fields(entry, f"tools[{number}]")
        kind = tool.string("type", "custom")
        if kind != "custom":
            inexpressible.append(f"{tool.at('type')} ({kind})")
            continue
        tools.append(
            Tool(
                name=tool.need_string("name"),
                description=tool.string("description"),
                input_schema=tool.object("input_schema"),
                extra=tool.rest(),
            )
        )
    return tuple(tools)


def _decode_tool_choice(fields: Fields) -> ToolChoice:
    value: Any = fields.object("tool_choice")
    if not value:
        return ToolChoice()
    choice = Fields(value, "tool_choice")
    disabled = choice.boolean("disable_parallel_tool_use")
    parallel = None if disabled is None else not disabled
    match choice.need_string("type"):
        case "auto":
            return ToolChoice("auto", parallel=parallel)
        case "any":
            return ToolChoice("required", parallel=parallel)
        case "none":
            return ToolChoice("none", parallel=parallel)
        case "tool":
            return ToolChoice("named", choice.need_string("name"), parallel)
    raise choice.wrong("type", "one of auto, any, tool, none")


def _decode_thinking(fields: Fields, effort: str) -> Reasoning | None:
    value = fields.object("thinking")
    if not value:
        return Reasoning(enabled=True, effort=effort) if effort else None
    thinking = Fields(value, "thinking")
    match thinking.need_string("type"):
        case "enabled":
            return Reasoning(True, thinking.integer("budget_tokens", low=1), effort or None)
        case "adaptive":
            return Reasoning(True, None, effort or None)
        case "disabled":
            return Reasoning(False)
    raise thinking.wrong("type", "one of enabled, adaptive, disabled")


def _decode_output(fields: Fields, key: str) -> tuple[str, Json]:
    """Effort and format."""
    output = Fields(fields.object(key), key)
    return output.string("effort"), output.object("format")


def _decode_user(fields: Fields, key: str) -> str:
    return Fields(fields.object(key), key).string("user_id")


def _decode_format(value: dict[str, Any]) -> ResponseFormat | None:
    if not value:
        return None
    wanted = Fields(value, "output_config.format")
    if wanted.need_string("type") != "json_schema":
        raise wanted.wrong("type", "json_schema")
    return ResponseFormat("json_schema", wanted.object("schema"))


_OPTIONAL: dict[str, Reader] = {
    "temperature": partial(Fields.number, low=0, high=1),
    "top_p": partial(Fields.number, low=0, high=1),
    "top_k": partial(Fields.integer, low=0),
    "stop_sequences": Fields.strings,
    "stream": Fields.boolean,
    "output_config": _decode_output,
    "output_format": Fields.object,
    "metadata": _decode_user,
}
