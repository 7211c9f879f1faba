"""Responses as clients speak it: requests in, replies, streams and errors out."""

from __future__ import annotations

from lynkr_desktop.engine.wire.canonical import (
    Failed,
    Json,
    RedactedThinking,
    Reply,
    Request,
    Text,
    Thinking,
    ToolUse,
)
from lynkr_desktop.engine.wire.codec import Dialect
from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.engine.wire.fields import encode_json
from lynkr_desktop.engine.wire.openai_chat import OpenAIChatClient
from lynkr_desktop.engine.wire.openai_responses.incoming import decode_request
from lynkr_desktop.engine.wire.openai_responses.response import (
    INCOMPLETE,
    Head,
    message_item,
    new_id,
    reasoning_item,
)
from lynkr_desktop.engine.wire.openai_responses.sealed import ID_PREFIX, seal
from lynkr_desktop.engine.wire.openai_responses.stream import ResponsesStreamEncoder
from lynkr_desktop.engine.wire.openai_responses.tools import call_item, call_prefix, custom_text

_NOBODY = Request(model="", messages=())


class ResponsesClient:
    """The client codec of POST /v1/responses."""

    name: Dialect = "openai_responses"
    stream_type = "text/event-stream"

    def decode_request(self, body: bytes) -> Request:
        """Raises `InvalidRequest` with the path of what is wrong."""
        return decode_request(body)

    def stream_encoder(self, request: Request) -> ResponsesStreamEncoder:
        """A fresh encoder for one reply."""
        return ResponsesStreamEncoder(request)

    def encode_reply(self, reply: Reply, request: Request) -> bytes:
        """A `response` object."""
        cut = reply.stop_reason in INCOMPLETE
        output: list[Json] = []
        for number, block in enumerate(reply.content):
            status = "incomplete" if cut and number == len(reply.content) - 1 else "completed"
            match block:
                case Text(text=text):
                    output.append(message_item(new_id("msg"), text, status))
                case Thinking(text=text):
                    if text or block.signature:
                        output.append(reasoning_item(new_id(ID_PREFIX), text, seal(block)))
                case RedactedThinking():
                    output.append(reasoning_item(new_id(ID_PREFIX), "", seal(block)))
                case ToolUse():
                    output.append(_encode_call(block, request, status))
        response = Head(request, reply.id, reply.model).finished(output, reply.stop_reason, reply.usage)
        return encode_json(response)

    def encode_error(self, error: WireError, request_id: str) -> bytes:
        """`{"error": {...}}`, as all of OpenAI's paths have it."""
        return OpenAIChatClient().encode_error(error, request_id)

    def encode_stream_error(self, error: WireError) -> bytes:
        """The end of a stream that broke before anything was sent of it."""
        return ResponsesStreamEncoder(_NOBODY).encode(Failed(error.message, error.status, error.kind))


def _encode_call(call: ToolUse, request: Request, status: str) -> Json:
    kind = request.origin.get("kinds", {}).get(call.name)
    arguments = encode_json(call.input).decode()
    if kind is not None and kind["type"] == "custom":
        arguments = custom_text(arguments)
    return call_item(kind, new_id(call_prefix(kind)), call, arguments, status)
