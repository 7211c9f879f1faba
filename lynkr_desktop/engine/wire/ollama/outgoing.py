"""The canonical request to a body of /api/chat."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Raw

from lynkr_desktop.engine.wire.canonical import (
    Document,
    Image,
    Json,
    Message,
    Reasoning,
    Request,
    Text,
    Thinking,
    Tool,
    ToolResult,
    ToolUse,
)
from lynkr_desktop.engine.wire.dropped import vendor_fields
from lynkr_desktop.engine.wire.errors import Unsupported
from lynkr_desktop.engine.wire.fields import encode_json

Think = bool | str | None
"""`think` of a request: off, on, a level, or left to the model."""

_LEVELS = {
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "max",
    "max": "max",
}

_SAMPLING = ("min_p", "typical_p", "repeat_penalty", "presence_penalty", "frequency_penalty")
"""Fields outside the canonical model that Ollama takes among its options under the same name."""


class ChatBody:
    """The body of POST /api/chat. The prompt is encoded once, however often the rest changes.

    Args:
        request: the canonical request.
        model: Ollama's name of the model.

    Raises:
        Unsupported: something in the request cannot be said to Ollama.
    """

    def __init__(self, request: Request, model: str) -> None:
        self._messages = Raw(encode_json(list(_encode_messages(request))))
        tools = offered_tools(request)
        self._tools = Raw(encode_json([_encode_tool(tool) for tool in tools])) if tools else None
        self._model = model
        self._format = request.response_format and (request.response_format.schema or "json")
        options = {
            "num_predict": request.max_tokens,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "top_k": request.top_k,
            "seed": request.seed,
            "stop": list(request.stop) or None,
        }
        options |= {name: request.extra[name] for name in _SAMPLING if _is_number(request.extra.get(name))}
        self._options: Json = {name: value for name, value in options.items() if value is not None}

    @property
    def prompt_size(self) -> int:
        """Bytes of messages and tools, images included."""
        return len(bytes(self._messages)) + (len(bytes(self._tools)) if self._tools is not None else 0)

    def encode(
        self,
        *,
        think: Think = None,
        stream: bool = True,
        num_ctx: int | None = None,
        keep_alive: str | float | None = None,
    ) -> bytes:
        """The bytes to send.

        Args:
            think: what `think_of` gave, or None for a model that cannot think.
            stream: whether Ollama shall stream.
            num_ctx: context window in tokens. With one, the server is told to refuse what exceeds it; older
                versions know no such field and cut the prompt without a word.
            keep_alive: how long the model stays loaded, as a duration such as `10m` or in seconds.
        """
        body: Json = {"model": self._model, "messages": self._messages, "stream": stream}
        options = self._options
        if num_ctx is not None:
            options = {"num_ctx": num_ctx, **options}
            body["truncate"] = body["shift"] = False
        body["options"] = options
        optional = {
            "tools": self._tools,
            "format": self._format,
            "think": think,
            "keep_alive": keep_alive,
        }
        body |= {name: value for name, value in optional.items() if value is not None}
        return encode_json(body)


def think_of(reasoning: Reasoning | None) -> Think:
    """The `think` that says what the client wants; Ollama knows no budget in tokens."""
    if reasoning is None:
        return None
    if not reasoning.enabled:
        return False
    return _LEVELS.get(reasoning.effort or "", True)


def offered_tools(request: Request) -> tuple[Tool, ...]:
    """The tools that the model gets to see: none for `none`, the one for a named choice."""
    choice = request.tool_choice
    if choice.kind == "none":
        return ()
    if choice.kind == "named":
        return tuple(tool for tool in request.tools if tool.name == choice.name)
    return request.tools


def dropped_fields(request: Request) -> tuple[str, ...]:
    """Names of what Ollama has no word for; the client is told."""
    dropped = sorted(vendor_fields(request).difference(_SAMPLING))
    dropped += [name for name in ("user", "metadata") if getattr(request, name)]
    if request.tool_choice.kind in ("required", "named"):
        dropped.append("tool_choice")
    if request.tool_choice.parallel is False:
        dropped.append("parallel_tool_calls")
    return tuple(dropped)


def _encode_tool(tool: Tool) -> Json:
    return {
        "type": "function",
        "function": {
            "name": tool.name,
            "description": tool.description,
            "parameters": tool.input_schema or {"type": "object", "properties": {}},
        },
    }


def _encode_messages(request: Request) -> Iterator[Json]:
    if request.system_text:
        yield {"role": "system", "content": request.system_text}
    names: dict[str, str] = {}
    for message in request.messages:
        if message.role == "assistant":
            names.update((block.id, block.name) for block in message.content if isinstance(block, ToolUse))
            yield _encode_assistant(message)
        else:
            yield from _encode_user(message, names)


def _encode_assistant(message: Message) -> Json:
    body: Json = {"role": "assistant", "content": message.text}
    if thoughts := [block.text for block in message.content if isinstance(block, Thinking) and block.text]:
        body["thinking"] = "\n".join(thoughts)
    if calls := [block for block in message.content if isinstance(block, ToolUse)]:
        body["tool_calls"] = [
            {"id": call.id, "function": {"name": call.name, "arguments": call.input}} for call in calls
        ]
    return body


def _encode_user(message: Message, names: dict[str, str]) -> Iterator[Json]:
    """Tool answers become messages of their own; what stands before, between and after keeps its place."""
    texts: list[str] = []
    images: list[str] = []
    for block in message.content:
        if isinstance(block, ToolResult):
            if texts or images:
                yield _encode_turn("user", texts, images)
                texts, images = [], []
            yield _encode_result(block, names.get(block.tool_use_id, ""))
        elif isinstance(block, Text):
            texts.append(block.text)
        elif isinstance(block, Image):
            images.append(_encode_image(block))
        elif isinstance(block, Document):
            texts.append(_encode_document(block))
    if texts or images:
        yield _encode_turn("user", texts, images)


def _encode_result(result: ToolResult, name: str) -> Json:
    texts = [
        part.text if isinstance(part, Text) else _encode_document(part)
        for part in result.content
        if not isinstance(part, Image)
    ]
    images = [_encode_image(part) for part in result.content if isinstance(part, Image)]
    # Ollama has no word for a tool that failed, and the model must know.
    if result.is_error and not (texts and texts[0].lower().startswith("error")):
        texts.insert(0, "Error:")
    body = _encode_turn("tool", texts, images)
    if name:
        body["tool_name"] = name
    if result.tool_use_id:
        body["tool_call_id"] = result.tool_use_id
    return body


def _encode_turn(role: str, texts: list[str], images: list[str]) -> Json:
    body: Json = {"role": role, "content": "\n\n".join(text for text in texts if text)}
    if images:
        body["images"] = images
    return body


def _encode_image(image: Image) -> str:
    if image.data:
        return image.data
    head, comma, data = image.url.partition(",")
    if comma and head.startswith("data:") and head.endswith(";base64"):
        return data
    raise Unsupported(
        "Ollama takes images as base64 data only, not as a link. Send the image itself.", "messages"
    )


def _encode_document(document: Document) -> str:
    if not document.text:
        kind = document.media_type or "linked"
        raise Unsupported(f"Ollama cannot read {kind} documents. Send the document's text.", "messages")
    return f"{document.title}\n\n{document.text}" if document.title else document.text


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
