"""How Ollama reads a request: its checks with their messages, its token window, its durations.

The messages are those that Go's decoder and the server's own checks give, since clients match on them.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from typing import Any

Json = dict[str, Any]

_INTEGERS = {"num_ctx", "num_predict", "num_keep", "seed", "top_k", "repeat_last_n", "num_batch", "num_gpu"}
_FLOATS = {"temperature", "top_p", "min_p", "typical_p", "repeat_penalty", "presence_penalty"}
_LEVELS = ("high", "medium", "low", "max")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
FOREVER = 1e12


class Refused(Exception):
    """What Ollama answers with an HTTP error."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


def _go_type(value: Any) -> str:
    match value:
        case bool():
            return "bool"
        case str():
            return "string"
        case int() | float():
            return "number"
        case list():
            return "array"
    return "object"


def _expect(value: Any, kind: type, field: str, go: str) -> None:
    if value is not None and (not isinstance(value, kind) or (kind is not bool and isinstance(value, bool))):
        raise Refused(f"json: cannot unmarshal {_go_type(value)} into Go struct field {field} of type {go}")


def check_chat(body: Json) -> None:
    """The shape of a /api/chat body."""
    _expect(body.get("model"), str, "ChatRequest.model", "string")
    _expect(body.get("stream"), bool, "ChatRequest.stream", "bool")
    messages = body.get("messages")
    _expect(messages, list, "ChatRequest.messages", "[]api.Message")
    for message in messages or []:
        if not isinstance(message, dict):
            _expect(message, dict, "ChatRequest.messages", "api.Message")
        _check_message(message)
    tools = body.get("tools")
    _expect(tools, list, "ChatRequest.tools", "api.Tools")
    for tool in tools or []:
        _expect(tool, dict, "ChatRequest.tools", "api.Tool")
        _expect(tool.get("function"), dict, "ChatRequest.tools.function", "api.ToolFunction")
    check_common(body)


def _check_message(message: Json) -> None:
    for key in ("role", "content", "thinking", "tool_name"):
        _expect(message.get(key), str, f"Alias.{key}", "string")
    check_images(message.get("images"))
    calls = message.get("tool_calls")
    _expect(calls, list, "Alias.tool_calls", "[]api.ToolCall")
    for call in calls or []:
        _expect(call, dict, "Alias.tool_calls", "api.ToolCall")
        function = call.get("function") or {}
        _expect(function.get("name"), str, "Alias.tool_calls.function.name", "string")
        _expect(
            function.get("arguments"),
            dict,
            "Alias.tool_calls.function.arguments",
            "api.ToolCallFunctionArguments",
        )


def check_images(images: Any) -> None:
    """Images are base64 strings."""
    _expect(images, list, "Alias.images", "[]api.ImageData")
    for image in images or []:
        _expect(image, str, "Alias.images", "api.ImageData")
        try:
            base64.b64decode(image, validate=True)
        except binascii.Error as error:
            raise Refused("illegal base64 data at input byte 0") from error


def check_common(body: Json) -> None:
    """Options, think, format and keep_alive, which chat and generate share."""
    think = body.get("think")
    if isinstance(think, str) and think not in _LEVELS:
        allowed = ", ".join(f'"{level}"' for level in _LEVELS)
        raise Refused(f'invalid think value: "{think}" (must be {allowed}, true, or false)')
    if think is not None and not isinstance(think, bool | str):
        raise Refused('think must be a boolean or string ("high", "medium", "low", "max", true, or false)')
    fmt = body.get("format")
    if fmt not in (None, "", "json") and not isinstance(fmt, dict):
        raise Refused(f'invalid format: {json.dumps(fmt)}; expected "json" or a valid JSON Schema object')
    parse_keep_alive(body.get("keep_alive"))
    options = body.get("options")
    _expect(options, dict, "ChatRequest.options", "map[string]interface {}")
    for key, value in (options or {}).items():
        if value is None:
            continue
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if key in _INTEGERS and not number:
            raise Refused(f'option "{key}" must be of type integer')
        if key in _FLOATS and not number:
            raise Refused(f'option "{key}" must be of type float32')
        if key == "stop":
            if not isinstance(value, list):
                raise Refused('option "stop" must be of type array')
            if not all(isinstance(item, str) for item in value):
                raise Refused('option "stop" must be of an array of strings')


def parse_keep_alive(value: Any) -> float:
    """Seconds that a model stays loaded; a number is seconds, a string a Go duration, below zero forever."""
    if value is None:
        return 300.0
    if isinstance(value, int | float) and not isinstance(value, bool):
        return FOREVER if value < 0 else float(value)
    if not isinstance(value, str):
        raise Refused(f"Unsupported type: '{_go_type(value)}'")
    if value == "0":
        return 0.0
    if not re.fullmatch(r"[+-]?([0-9]*\.?[0-9]+(ns|us|µs|ms|s|m|h))+", value):
        missing = re.fullmatch(r"[+-]?[0-9.]+", value)
        raise Refused(f'time: {"missing unit in" if missing else "invalid"} duration "{value}"')
    parts = re.findall(r"([0-9]*\.?[0-9]+)(ns|us|µs|ms|s|m|h)", value)
    return FOREVER if value.startswith("-") else sum(float(number) * _UNITS[unit] for number, unit in parts)


# ---------------------------------------------------------------- tokens


def count_tokens(text: str, bytes_per_token: float = 4.0) -> int:
    """A stand-in for a tokenizer: so many bytes are a token."""
    return math.ceil(len(text.encode()) / bytes_per_token)


def prompt_tokens(messages: list[Json], tools: list[Json] | None, bytes_per_token: float) -> int:
    """Tokens of a whole prompt in its template; an image counts 768, as Ollama reckons."""
    texts = [json.dumps(tools)] if tools else []
    for message in messages:
        texts += [message.get("content") or "", message.get("thinking") or ""]
        texts += [json.dumps(call.get("function", {})) for call in message.get("tool_calls") or ()]
    images = sum(len(message.get("images") or ()) for message in messages)
    return sum(count_tokens(text, bytes_per_token) for text in texts) + 4 * len(messages) + 768 * images


def fit(
    messages: list[Json], tools: list[Json] | None, num_ctx: int, bytes_per_token: float
) -> tuple[list[Json], int]:
    """Cuts a prompt to the window as Ollama does, without a word: the oldest turns go first, system messages
    and the last turn stay, and what is still too long is cut inside. Gives what is left and its tokens."""
    for start in range(len(messages)):
        kept = [message for message in messages[:start] if message.get("role") == "system"] + messages[start:]
        size = prompt_tokens(kept, tools, bytes_per_token)
        if size <= num_ctx:
            return kept, size
    return kept, num_ctx
