"""Chat Completions as clients speak it: requests in, replies, streams and errors out."""

from __future__ import annotations

import time

import msgspec

from lynkr_desktop.engine.wire.canonical import (
    BlockStarted,
    BlockStopped,
    Event,
    Failed,
    Json,
    Reply,
    Request,
    Started,
    Stopped,
    StopReason,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ToolInputDelta,
    ToolUse,
    Usage,
)
from lynkr_desktop.engine.wire.codec import Dialect
from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.engine.wire.fields import encode_json
from lynkr_desktop.engine.wire.framing import sse
from lynkr_desktop.engine.wire.ids import fresh_id
from lynkr_desktop.engine.wire.openai_chat.incoming import decode_request

FINISH_REASON: dict[StopReason, str] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}

_ERROR_TYPE = {
    "budget": "insufficient_quota",
    "session_paused": "invalid_request_error",
    "session_ended": "invalid_request_error",
    "invalid_request": "invalid_request_error",
    "not_found": "invalid_request_error",
    "too_large": "invalid_request_error",
    "authentication": "authentication_error",
    "permission": "permission_error",
    "rate_limit": "rate_limit_error",
}


class OpenAIChatClient:
    """The client codec of POST /v1/chat/completions."""

    name: Dialect = "openai_chat"
    stream_type = "text/event-stream"

    def decode_request(self, body: bytes) -> Request:
        """Raises `InvalidRequest` with the path of what is wrong."""
        return decode_request(body)

    def stream_encoder(self, request: Request) -> ChatStreamEncoder:
        """A fresh encoder for one reply."""
        return ChatStreamEncoder(include_usage=request.include_usage)

    def encode_reply(self, reply: Reply, request: Request) -> bytes:
        """A `chat.completion` object."""
        message: Json = {"role": "assistant", "content": None, "refusal": None}
        texts = [block.text for block in reply.content if isinstance(block, Text)]
        thoughts = [block.text for block in reply.content if isinstance(block, Thinking)]
        calls = [block for block in reply.content if isinstance(block, ToolUse)]
        if texts:
            message["content"] = "".join(texts)
        if thoughts:
            message["reasoning_content"] = "".join(thoughts)
        if calls:
            message["tool_calls"] = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": encode_json(call.input).decode()},
                }
                for call in calls
            ]
        return encode_json(
            {
                "id": reply.id or _new_id(),
                "object": "chat.completion",
                "created": int(time.time()),
                "model": reply.model,
                "choices": [
                    {
                        "index": 0,
                        "message": message,
                        "logprobs": None,
                        "finish_reason": FINISH_REASON[reply.stop_reason],
                    }
                ],
                "usage": encode_usage(reply.usage),
            }
        )

    def encode_error(self, error: WireError, request_id: str) -> bytes:
        """`{"error": {...}}`, as api.openai.com has it."""
        return encode_json(_error_body(error))

    def encode_stream_error(self, error: WireError) -> bytes:
        """An error chunk. No [DONE] follows: the stream did not end well."""
        return sse(encode_json(_error_body(error)))


class ChatStreamEncoder:
    """Canonical events to `chat.completion.chunk` events."""

    def __init__(self, *, include_usage: bool) -> None:
        self._include_usage = include_usage
        self._head: Json = {}
        self._tools: dict[int, int] = {}

    def encode(self, event: Event) -> bytes:
        """Bytes to send for this event; empty for what this protocol has no word for."""
        match event:
            case Started():
                self._head = {
                    "id": event.id or _new_id(),
                    "object": "chat.completion.chunk",
                    # Chunks that went out as they came have the upstream's own.
                    "created": event.created or int(time.time()),
                    "model": event.model,
                }
                return self._chunk({"role": "assistant", "content": ""})
            case TextDelta():
                return self._chunk({"content": event.text}) if event.text else b""
            case ThinkingDelta():
                return self._chunk({"reasoning_content": event.text}) if event.text else b""
            case ToolInputDelta():
                return self._tool_chunk(event.index, {"function": {"arguments": event.json}})
            case BlockStarted(block=ToolUse(id=call_id, name=name, input=arguments)):
                self._tools[event.index] = len(self._tools)
                start: Json = {
                    "name": name,
                    "arguments": encode_json(arguments).decode() if arguments else "",
                }
                return self._tool_chunk(event.index, {"id": call_id, "type": "function", "function": start})
            case BlockStarted(block=Text(text=text)) if text:
                return self._chunk({"content": text})
            case Stopped():
                return self._end(event)
            case Failed():
                return sse(encode_json(_error_body(failure(event))))
            case BlockStarted() | BlockStopped():
                return b""

    def _end(self, event: Stopped) -> bytes:
        out = self._chunk({}, FINISH_REASON[event.reason])
        if self._include_usage:
            out += sse(encode_json({**self._head, "choices": [], "usage": encode_usage(event.usage)}))
        return out + sse(b"[DONE]")

    def _tool_chunk(self, index: int, call: Json) -> bytes:
        return self._chunk({"tool_calls": [{"index": self._tools[index], **call}]})

    def _chunk(self, delta: Json, finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        body: Json = {**self._head, "choices": [choice]}
        if self._include_usage:
            body["usage"] = None
        return sse(msgspec.json.encode(body))


def failure(event: Failed) -> WireError:
    """The error that a broken-off reply is to a client."""
    return WireError(event.message, status=event.status, kind=event.kind)


def encode_usage(usage: Usage) -> Json:
    """The `usage` object; its prompt_tokens include the cached ones, as OpenAI counts.

    `cost`, in US dollars, is OpenRouter's extension, which LiteLLM reads at the end of a stream.
    """
    encoded: Json = {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }
    if usage.cost is not None:
        encoded["cost"] = usage.cost
    return encoded


def _error_body(error: WireError) -> Json:
    return {
        "error": {
            "message": error.message,
            "type": _ERROR_TYPE.get(error.kind, "server_error"),
            "param": error.param,
            "code": "model_not_found" if error.kind == "not_found" else error.kind,
        }
    }


def _new_id() -> str:
    return fresh_id("chatcmpl-")
