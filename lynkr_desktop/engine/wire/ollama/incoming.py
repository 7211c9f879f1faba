"""Requests of /api/chat and /api/generate to the canonical request."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable

from lynkr_desktop.engine.wire.canonical import (
    Block,
    Image,
    Json,
    Message,
    Reasoning,
    Request,
    ResponseFormat,
    Role,
    Text,
    Thinking,
    Tool,
    ToolResult,
    ToolUse,
)
from lynkr_desktop.engine.wire.errors import InvalidRequest
from lynkr_desktop.engine.wire.fields import Fields, decode_object

_ONLY_HERE = ("logprobs", "_debug_render_only")
_GENERATE_ONLY = ("suffix", "template", "raw", "context", "width", "height", "steps")
"""Fields that change what the answer is and that only Ollama can honour."""

_LEVELS = ("low", "medium", "high", "max")

_MAGIC = (
    (b"\x89PNG", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
)
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")
_HEAD = 64


def decode_chat(body: bytes) -> Request:
    """Decodes the body of POST /api/chat. Raises `InvalidRequest`.

    Without messages it asks only that the model be loaded, or unloaded by `keep_alive: 0`.
    """
    fields = Fields(decode_object(body))
    inexpressible = [name for name in _ONLY_HERE if fields.get(name)]
    system, messages = _decode_messages(fields)
    if not messages and fields.items("messages"):
        # Ollama answers to a system text alone; nobody else does.
        inexpressible.append("messages (without a turn of the user)")
        messages = (Message("user", (Text(""),)),)
    return _request(fields, system, messages, inexpressible)


def decode_generate(body: bytes) -> Request:
    """Decodes the body of POST /api/generate. Raises `InvalidRequest`.

    Without a prompt it asks only that the model be loaded, or unloaded by `keep_alive: 0`.
    """
    fields = Fields(decode_object(body))
    inexpressible = [name for name in (*_ONLY_HERE, *_GENERATE_ONLY) if fields.get(name)]
    system = fields.string("system")
    prompt = fields.string("prompt")
    images = _decode_images(fields)
    turns = (Message("user", (Text(prompt), *images)),) if prompt else ()
    return _request(fields, [Text(system)] if system else [], turns, inexpressible)


def _request(
    fields: Fields, system: list[Text], messages: tuple[Message, ...], inexpressible: list[str]
) -> Request:
    """What both paths share."""
    options = Fields(fields.object("options"), "options")
    limit = options.integer("num_predict")
    stream = fields.boolean("stream")
    return Request(
        model=fields.need_string("model"),
        messages=messages,
        system=tuple(system),
        tools=_decode_tools(fields),
        # Below zero it means: until the model stops by itself.
        max_tokens=limit if limit is not None and limit > 0 else None,
        temperature=options.number("temperature", low=0, high=100),
        top_p=options.number("top_p", low=0, high=1),
        top_k=options.integer("top_k"),
        stop=_decode_stop(options),
        seed=options.integer("seed"),
        stream=stream is not False,
        reasoning=_decode_think(fields),
        response_format=_decode_format(fields),
        extra={**options.rest(), **fields.rest()},
        inexpressible=tuple(inexpressible),
    )


def _decode_stop(options: Fields) -> tuple[str, ...]:
    if isinstance(options.get("stop"), str):
        raise options.wrong("stop", "a list of strings")
    return options.strings("stop")


# ---------------------------------------------------------------- messages


def _decode_messages(fields: Fields) -> tuple[list[Text], tuple[Message, ...]]:
    """Splits off the system text, joins a turn's tool answers, and gives calls the ids that they lack."""
    system: list[Text] = []
    turns: list[tuple[Role, list[Block]]] = []
    calls = _OpenCalls()
    for position, entry in enumerate(fields.items("messages")):
        message = Fields(entry, f"messages[{position}]")
        text = message.string("content")
        match message.need_string("role").lower():
            case "system" | "developer":
                if text:
                    system.append(Text(text))
            case "user":
                blocks: list[Block] = [Text(text)] if text else []
                _add_user(turns, [*blocks, *_decode_images(message)])
            case "assistant":
                turns.append(("assistant", _decode_assistant(message, text, calls, position)))
            case "tool":
                images = tuple(_decode_images(message))
                content: tuple[Text | Image, ...] = (Text(text), *images) if text else images
                call_id = calls.answered(message.string("tool_call_id"), message.string("tool_name"))
                # An answer to no call can only be told.
                result: list[Block] = [ToolResult(call_id, content)] if call_id else list(content)
                _add_user(turns, result)
            case _:
                raise message.wrong("role", "one of system, user, assistant, tool")
    return system, tuple(Message(role, tuple(content)) for role, content in turns if content)


def _add_user(turns: list[tuple[Role, list[Block]]], blocks: Iterable[Block]) -> None:
    if turns and turns[-1][0] == "user":
        turns[-1][1].extend(blocks)
    else:
        turns.append(("user", list(blocks)))


def _decode_assistant(message: Fields, text: str, calls: _OpenCalls, position: int) -> list[Block]:
    blocks: list[Block] = []
    if thinking := message.string("thinking"):
        blocks.append(Thinking(thinking))
    if text:
        blocks.append(Text(text))
    calls.begin()
    for number, entry in enumerate(message.items("tool_calls")):
        call = Fields(entry, f"{message.at('tool_calls')}[{number}]")
        function = Fields(call.need("function"), call.at("function"))
        name = function.need_string("name")
        call_id = calls.opened(call.string("id") or f"call_{position}_{number}", name)
        blocks.append(ToolUse(call_id, name, function.object("arguments")))
    return blocks


class _OpenCalls:
    """The tool calls that wait for their answers. Most clients send neither ids nor names with answers."""

    def __init__(self) -> None:
        self._open: dict[str, str] = {}
        self._used: set[str] = set()

    def begin(self) -> None:
        """A new turn of the model: what was not answered by now never will be."""
        self._open.clear()

    def opened(self, call_id: str, name: str) -> str:
        """Notes a call; gives an id of its own, should the client have used it before."""
        unique, number = call_id, 1
        while unique in self._used:
            unique, number = f"{call_id}_{number}", number + 1
        self._used.add(unique)
        self._open[unique] = name
        return unique

    def answered(self, call_id: str, name: str) -> str:
        """The call that an answer belongs to: by its id, else its name, else its place; empty for none."""
        if call_id not in self._open:
            named = (known for known, called in self._open.items() if called == name)
            call_id = next(named, "") or next(iter(self._open), "")
        self._open.pop(call_id, None)
        return call_id


def _decode_images(fields: Fields) -> list[Image]:
    images: list[Image] = []
    for number, data in enumerate(fields.items("images")):
        path = f"{fields.at('images')}[{number}]"
        if not isinstance(data, str) or not data or not _BASE64.fullmatch(data):
            raise InvalidRequest(f"{path} must be an image in base64.", path)
        try:
            head = base64.b64decode(data[:_HEAD])
        except binascii.Error as error:
            raise InvalidRequest(f"{path} must be an image in base64.", path) from error
        images.append(Image(media_type=_media_type(head), data=data))
    return images


def _media_type(head: bytes) -> str:
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for magic, kind in _MAGIC if head.startswith(magic)), "image/png")


# ---------------------------------------------------------------- the rest


def _decode_tools(fields: Fields) -> tuple[Tool, ...]:
    tools: list[Tool] = []
    for number, entry in enumerate(fields.items("tools")):
        tool = Fields(entry, f"tools[{number}]")
        tool.string("type")
        function = Fields(tool.need("function"), tool.at("function"))
        tools.append(
            Tool(
                name=function.need_string("name"),
                description=function.string("description"),
                input_schema=function.object("parameters"),
                extra={**tool.rest(), **function.rest()},
            )
        )
    return tuple(tools)


def _decode_think(fields: Fields) -> Reasoning | None:
    match fields.get("think"):
        case None:
            return None
        case bool(enabled):
            return Reasoning(enabled=enabled)
        case str(level) if level in _LEVELS:
            return Reasoning(enabled=True, effort=level)
    raise fields.wrong("think", f"true, false or one of {', '.join(_LEVELS)}")


def _decode_format(fields: Fields) -> ResponseFormat | None:
    match fields.get("format"):
        case None | "":
            return None
        case "json":
            return ResponseFormat("json_object")
        case dict(schema):
            return ResponseFormat("json_schema", _typed(schema))
    raise fields.wrong("format", '"json" or a JSON schema')


def _typed(schema: Json) -> Json:
    """The schema; `{}` permits any JSON, which has to be said with a word."""
    return schema or {"type": "object"}
