"""Messages as clients speak it: requests in, replies, streams and errors out."""

from __future__ import annotations

from lynkr_desktop.engine.wire.anthropic.incoming import decode_request
from lynkr_desktop.engine.wire.canonical import (
    BlockStarted,
    BlockStopped,
    Event,
    Failed,
    Json,
    RedactedThinking,
    Reply,
    Request,
    Started,
    Stopped,
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

_ERROR_TYPE = {
    "budget": "billing_error",
    "session_paused": "invalid_request_error",
    "session_ended": "invalid_request_error",
    "invalid_request": "invalid_request_error",
    "authentication": "authentication_error",
    "permission": "permission_error",
    "not_found": "not_found_error",
    "too_large": "request_too_large",
    "rate_limit": "rate_limit_error",
    "timeout": "timeout_error",
    "overloaded": "overloaded_error",
}


class AnthropicClient:
    """The client codec of POST /v1/messages."""

    name: Dialect = "anthropic_messages"
    stream_type = "text/event-stream"

    def decode_request(self, body: bytes) -> Request:
        """Raises `InvalidRequest` with the path of what is wrong."""
        return decode_request(body)

    def decode_count(self, body: bytes) -> Request:
        """The body of POST /v1/messages/count_tokens: a request without max_tokens."""
        return decode_request(body, needs_limit=False)

    def encode_count(self, tokens: int) -> bytes:
        """The answer of count_tokens."""
        return encode_json({"input_tokens": tokens})

    def stream_encoder(self, request: Request) -> MessagesStreamEncoder:
        """A fresh encoder for one reply."""
        return MessagesStreamEncoder()

    def encode_reply(self, reply: Reply, request: Request) -> bytes:
        """A `message` object."""
        return encode_json(
            {
                "id": _message_id(reply.id),
                "type": "message",
                "role": "assistant",
                "model": reply.model,
                "content": [_encode_block(block) for block in reply.content],
                "stop_reason": reply.stop_reason,
                "stop_sequence": reply.stop_sequence if reply.stop_reason == "stop_sequence" else None,
                "usage": encode_usage(reply.usage),
            }
        )

    def encode_error(self, error: WireError, request_id: str) -> bytes:
        """`{"type": "error", ...}`, as api.anthropic.com has it."""
        return encode_json({**_error_body(error), "request_id": request_id})

    def encode_stream_error(self, error: WireError) -> bytes:
        """An `error` event; nothing follows it."""
        return sse(encode_json(_error_body(error)), "error")


class MessagesStreamEncoder:
    """Canonical events to Messages stream events, in the order that the protocol wants."""

    def encode(self, event: Event) -> bytes:
        """Bytes to send for this event."""
        match event:
            case TextDelta():
                return _delta(event.index, {"type": "text_delta", "text": event.text})
            case ToolInputDelta():
                return _delta(event.index, {"type": "input_json_delta", "partial_json": event.json})
            case ThinkingDelta():
                return _thinking_delta(event)
            case Started():
                return _start(event)
            case BlockStarted():
                return _block_start(event)
            case BlockStopped():
                return _event("content_block_stop", {"index": event.index})
            case Stopped():
                return _stop(event)
            case Failed():
                error = WireError(event.message, status=event.status, kind=event.kind)
                return sse(encode_json(_error_body(error)), "error")


def _event(kind: str, body: Json) -> bytes:
    return sse(encode_json({"type": kind, **body}), kind)


def _delta(index: int, delta: Json) -> bytes:
    return _event("content_block_delta", {"index": index, "delta": delta})


def _start(event: Started) -> bytes:
    message: Json = {
        "id": _message_id(event.id),
        "type": "message",
        "role": "assistant",
        "model": event.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": encode_usage(event.usage or Usage()),
    }
    return _event("message_start", {"message": message})


def _block_start(event: BlockStarted) -> bytes:
    """Opens a block; what it already holds follows as its first delta."""
    block = event.block
    match block:
        case Text():
            out = _event(
                "content_block_start", {"index": event.index, "content_block": _encode_block(Text(""))}
            )
            return out + (
                _delta(event.index, {"type": "text_delta", "text": block.text}) if block.text else b""
            )
        case ToolUse():
            empty = _encode_block(ToolUse(block.id, block.name, {}))
            out = _event("content_block_start", {"index": event.index, "content_block": empty})
            if block.input:
                whole = encode_json(block.input).decode()
                out += _delta(event.index, {"type": "input_json_delta", "partial_json": whole})
            return out
        case Thinking():
            out = _event(
                "content_block_start", {"index": event.index, "content_block": _encode_block(Thinking(""))}
            )
            return out + _thinking_delta(ThinkingDelta(event.index, block.text, block.signature))
        case RedactedThinking():
            return _event(
                "content_block_start", {"index": event.index, "content_block": _encode_block(block)}
            )


def _thinking_delta(event: ThinkingDelta) -> bytes:
    out = b""
    if event.text:
        out += _delta(event.index, {"type": "thinking_delta", "thinking": event.text})
    if event.signature:
        out += _delta(event.index, {"type": "signature_delta", "signature": event.signature})
    return out


def _stop(event: Stopped) -> bytes:
    sequence = event.stop_sequence if event.reason == "stop_sequence" else None
    delta = {"stop_reason": event.reason, "stop_sequence": sequence}
    out = _event("message_delta", {"delta": delta, "usage": encode_usage(event.usage)})
    return out + _event("message_stop", {})


def _encode_block(block: Text | Thinking | RedactedThinking | ToolUse) -> Json:
    match block:
        case Text():
            return {"type": "text", "text": block.text}
        case ToolUse():
            return {"type": "tool_use", "id": block.id, "name": block.name, "input": block.input}
        case Thinking():
            return {"type": "thinking", "thinking": block.text, "signature": block.signature}
        case RedactedThinking():
            return {"type": "redacted_thinking", "data": block.data}


def encode_usage(usage: Usage) -> Json:
    """The `usage` object; as Anthropic counts, input_tokens leave out what the cache read or wrote."""
    cached, written = usage.cached_tokens, usage.cache_write_tokens
    return {
        "input_tokens": max(0, usage.input_tokens - cached - written),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": cached,
        "output_tokens": usage.output_tokens,
    }


def _error_body(error: WireError) -> Json:
    return {
        "type": "error",
        "error": {"type": _ERROR_TYPE.get(error.kind, "api_error"), "message": error.message},
    }


def _message_id(upstream: str) -> str:
    return upstream if upstream.startswith("msg_") else fresh_id("msg_")
