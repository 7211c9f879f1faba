"""A Chat Completions request to the canonical request."""

from __future__ import annotations

from functools import partial
from typing import Any

from lynkr_desktop.engine.wire.canonical import (
    Block,
    Document,
    Image,
    Message,
    Reasoning,
    Request,
    ResponseFormat,
    Role,
    Text,
    Thinking,
    Tool,
    ToolChoice,
    ToolResult,
    ToolUse,
    parse_arguments,
)
from lynkr_desktop.engine.wire.errors import InvalidRequest
from lynkr_desktop.engine.wire.fields import Fields, Reader, decode_object

# Fields that change what the answer is and that only a provider of this protocol can honour.
_ONLY_HERE = (
    "logprobs",
    "top_logprobs",
    "audio",
    "functions",
    "function_call",
    "web_search_options",
    "prediction",
)
_OF_CHOICE = ("tool_choice", "parallel_tool_calls")


def decode_request(body: bytes) -> Request:
    """Decodes the body of POST /v1/chat/completions. Raises `InvalidRequest`."""
    fields = Fields(decode_object(body))
    inexpressible: list[str] = []
    if fields.has_any(_ONLY_HERE):
        inexpressible += [name for name in _ONLY_HERE if fields.get(name)]
    model = fields.need_string("model")
    system, messages = _decode_messages(fields, inexpressible)
    given = fields.given(_OPTIONAL)
    if given.pop("n", 1) > 1:
        inexpressible.append("n")
    if "modalities" in given and any(kind != "text" for kind in given.pop("modalities")):
        inexpressible.append("modalities")
    if "max_completion_tokens" in given:
        # Some clients send both; the newer field wins, as at OpenAI.
        given["max_tokens"] = given.pop("max_completion_tokens")
    return Request(
        model=model,
        messages=messages,
        system=system,
        tools=_decode_tools(fields, inexpressible),
        tool_choice=_decode_tool_choice(fields) if fields.has_any(_OF_CHOICE) else ToolChoice(),
        include_usage=given.pop("stream_options", False),
        reasoning=given.pop("reasoning_effort", None),
        **given,
        extra=fields.rest(),
        inexpressible=tuple(inexpressible),
    )


def _decode_messages(
    fields: Fields, inexpressible: list[str]
) -> tuple[tuple[Text, ...], tuple[Message, ...]]:
    """Splits off the system text and joins a turn's tool answers into one user message."""
    entries = fields.items("messages")
    if not entries:
        raise InvalidRequest("messages must be a list with at least one message.", "messages")
    system: list[Text] = []
    turns: list[tuple[Role, list[Block]]] = []
    after_tool = False
    for position, entry in enumerate(entries):
        path = f"messages[{position}]"
        message = Fields(entry, path)
        role = message.need_string("role")
        match role:
            case "system" | "developer":
                for part in _decode_content(message, inexpressible):
                    if not isinstance(part, Text):
                        raise message.wrong("content", "text")
                    system.append(part)
            case "user":
                content: list[Block] = list(_decode_content(message, inexpressible))
                if after_tool:
                    turns[-1][1].extend(content)
                else:
                    turns.append(("user", content))
            case "assistant":
                turns.append(("assistant", _decode_assistant(message, inexpressible)))
            case "tool":
                message.need("tool_call_id")
                result = ToolResult(
                    tool_use_id=message.string("tool_call_id"),
                    content=tuple(
                        part
                        for part in _decode_content(message, inexpressible)
                        if isinstance(part, Text | Image | Document)
                    ),
                )
                if after_tool:
                    turns[-1][1].append(result)
                else:
                    turns.append(("user", [result]))
            case _:
                raise message.wrong("role", "one of system, developer, user, assistant, tool")
        after_tool = role == "tool" or (after_tool and role in ("user", "system", "developer"))
    if not turns:
        raise InvalidRequest("messages must hold at least one user message.", "messages")
    return tuple(system), tuple([Message(role, tuple(content)) for role, content in turns])


def _decode_assistant(message: Fields, inexpressible: list[str]) -> list[Block]:
    blocks: list[Block] = []
    if reasoning := message.string("reasoning_content") or message.string("reasoning"):
        blocks.append(Thinking(reasoning))
    blocks.extend(_decode_content(message, inexpressible))
    for number, entry in enumerate(message.items("tool_calls")):
        call = Fields(entry, f"{message.at('tool_calls')}[{number}]")
        function = Fields(call.need("function"), call.at("function"))
        arguments = function.get("arguments")
        blocks.append(
            ToolUse(
                id=call.string("id"),
                name=function.need_string("name"),
                input=arguments
                if isinstance(arguments, dict)
                else parse_arguments(function.string("arguments")),
            )
        )
    return blocks


def _decode_content(message: Fields, inexpressible: list[str]) -> list[Text | Image | Document]:
    content = message.get("content")
    if content is None:
        return []
    if isinstance(content, str):
        return [Text(content)] if content else []
    parts: list[Text | Image | Document] = []
    for number, entry in enumerate(message.items("content")):
        path = f"{message.at('content')}[{number}]"
        if isinstance(entry, str):
            parts.append(Text(entry))
            continue
        part = Fields(entry, path)
        match part.string("type", "text"):
            case "text" | "input_text" | "output_text":
                text = part.string("text")
                if text:
                    parts.append(Text(text, part.rest()))
            case "refusal":
                parts.append(Text(part.string("refusal")))
            case "image_url":
                parts.append(_decode_image(part))
            case "file":
                parts.append(_decode_file(part, inexpressible))
            case kind:
                # Audio, video and what comes next: only a provider of this protocol may know it.
                inexpressible.append(f"{path} ({kind})")
    return parts


def _decode_image(part: Fields) -> Image:
    value = part.need("image_url")
    url = value if isinstance(value, str) else Fields(value, part.at("image_url")).need_string("url")
    if not url.startswith("data:"):
        return Image(url=url)
    header, comma, data = url[5:].partition(",")
    media_type, _, encoding = header.partition(";")
    if not comma or not encoding.endswith("base64"):
        raise InvalidRequest(f"{part.at('image_url')} must be a base64 data URL.", part.at("image_url"))
    return Image(media_type=media_type or "image/png", data=data)


def _decode_file(part: Fields, inexpressible: list[str]) -> Document:
    file = Fields(part.need("file"), part.at("file"))
    data = file.string("file_data")
    if not data:
        inexpressible.append(file.at("file_id"))
    header, _, encoded = data.partition(",")
    return Document(
        media_type=header.removeprefix("data:").partition(";")[0] or "application/pdf",
        data=encoded,
        title=file.string("filename"),
    )


def _decode_tools(fields: Fields, inexpressible: list[str]) -> tuple[Tool, ...]:
    tools: list[Tool] = []
    for number, entry in enumerate(fields.items("tools")):
        tool = Fields(entry, f"tools[{number}]")
        if tool.string("type", "function") != "function":
            inexpressible.append(tool.at("type"))
            continue
        function = Fields(tool.need("function"), tool.at("function"))
        tools.append(
            Tool(
                name=function.need_string("name"),
                description=function.string("description"),
                input_schema=function.object("parameters"),
                extra=function.rest(),
            )
        )
    return tuple(tools)


def _decode_tool_choice(fields: Fields) -> ToolChoice:
    parallel = fields.boolean("parallel_tool_calls")
    choice: Any = fields.get("tool_choice")
    match choice:
        case None | "auto":
            return ToolChoice("auto", parallel=parallel)
        case "none":
            return ToolChoice("none", parallel=parallel)
        case "required" | "any":
            return ToolChoice("required", parallel=parallel)
        case {"type": "function", "function": {"name": str(name)}}:
            return ToolChoice("named", name, parallel)
    raise fields.wrong(
        "tool_choice", 'auto, none, required or {"type": "function", "function": {"name": ...}}'
    )


def _decode_include_usage(fields: Fields, key: str) -> bool:
    return Fields(fields.object(key), key).boolean("include_usage") or False


def _decode_reasoning(fields: Fields, key: str) -> Reasoning | None:
    effort = fields.string(key)
    return Reasoning(enabled=effort != "none", effort=effort) if effort else None


def _decode_response_format(fields: Fields, key: str) -> ResponseFormat | None:
    value = fields.object(key)
    if not value:
        return None
    response_format = Fields(value, key)
    match response_format.need_string("type"):
        case "text":
            return None
        case "json_object":
            return ResponseFormat("json_object")
        case "json_schema":
            schema = Fields(response_format.need("json_schema"), "response_format.json_schema")
            return ResponseFormat(
                "json_schema", schema.object("schema"), schema.string("name"), schema.boolean("strict")
            )
    raise response_format.wrong("type", "one of text, json_object, json_schema")


_OPTIONAL: dict[str, Reader] = {
    "max_tokens": partial(Fields.integer, low=1),
    "max_completion_tokens": partial(Fields.integer, low=1),
    "temperature": partial(Fields.number, low=0, high=2),
    "top_p": partial(Fields.number, low=0, high=1),
    "top_k": partial(Fields.integer, low=0),
    "n": partial(Fields.integer, low=1),
    "modalities": Fields.items,
    "stop": Fields.strings,
    "seed": Fields.integer,
    "stream": Fields.boolean,
    "stream_options": _decode_include_usage,
    "reasoning_effort": _decode_reasoning,
    "response_format": _decode_response_format,
    "user": Fields.string,
    "metadata": Fields.object,
}
