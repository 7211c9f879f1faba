"""generateContent as Google speaks it: requests out, replies, streams and errors in."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import Struct

from lynkr_desktop.engine.wire.blocks import Blocks
from lynkr_desktop.engine.wire.canonical import (
    Event,
    Failed,
    Json,
    Request,
    Started,
    Stopped,
    StopReason,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    Usage,
)
from lynkr_desktop.engine.wire.errors import WireError, kind_of
from lynkr_desktop.engine.wire.fields import NOT_JSON, decode_or_none, encode_json, token_count
from lynkr_desktop.engine.wire.framing import ServerSentEvent, SseSplitter
from lynkr_desktop.engine.wire.gemini.outgoing import compose
from lynkr_desktop.engine.wire.gemini.signatures import Signatures
from lynkr_desktop.engine.wire.ids import fresh_id

_STOP_REASON: dict[str, StopReason] = {
    "STOP": "end_turn",
    "MAX_TOKENS": "max_tokens",
    **dict.fromkeys(
        ("SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "ESCALATION"),
        "refusal",
    ),
}
"""Other reasons (a malformed call, an unexpected one, OTHER) mean that the answer is no good."""

_IN_BAND = 200
_SECONDS = re.compile(r"(\d+(?:\.\d+)?)s")
_BROKEN_OFF = "The upstream's answer broke off before its end."


class GeminiUpstream:
    """The provider codec of :generateContent and :streamGenerateContent with `alt=sse`.

    Args:
        signatures: keeps the signatures of tool calls; they must outlive a reply, so the provider has it.
    """

    name = "gemini"

    def __init__(self, signatures: Signatures | None = None) -> None:
        self.signatures = signatures or Signatures()

    def encode_request(self, request: Request, model: str) -> bytes:
        """The body for `model`; `outgoing.compose` tells in one go what is left out, too."""
        return encode_json(compose(request, model, self.signatures).body)

    def dropped(self, request: Request) -> tuple[str, ...]:
        """What generateContent has no word for, or what the model asked for does not take."""
        return compose(request, request.model, self.signatures).dropped

    def decode_reply(self, body: bytes) -> list[Event]:
        """A GenerateContentResponse as events. Raises `WireError` when it is none."""
        try:
            reply = _RESPONSE.decode(_unwrapped(body))
        except NOT_JSON as error:
            raise WireError("The upstream's answer is no content of Gemini.") from error
        if reply.error is not None:
            raise error_of(reply.error, _IN_BAND)
        if reply.candidates is None and reply.prompt_feedback is None:
            raise WireError("The upstream's answer holds no candidate.")
        decoder = GeminiStreamDecoder(self.signatures)
        return decoder.take(reply) + decoder.finish()

    def stream_decoder(self) -> GeminiStreamDecoder:
        """A fresh decoder for one reply."""
        return GeminiStreamDecoder(self.signatures)

    def decode_error(self, status: int, body: bytes) -> WireError:
        """Google's error; some of its services put it into a list."""
        value = decode_or_none(body)
        if isinstance(value, list) and value:
            value = value[0]
        return error_of(value.get("error", value) if isinstance(value, dict) else value, status)


class _FunctionCall(Struct, rename="camel"):
    name: str | None = None
    args: dict[str, Any] | None = None


class _Part(Struct, rename="camel"):
    text: str | None = None
    thought: bool = False
    thought_signature: str | None = None
    function_call: _FunctionCall | None = None


class _Content(Struct):
    parts: list[_Part] | None = None


class _Candidate(Struct, rename="camel"):
    content: _Content | None = None
    finish_reason: str | None = None
    finish_message: str | None = None
    index: int = 0


class _Feedback(Struct, rename="camel"):
    block_reason: str | None = None
    block_reason_message: str | None = None


class _Response(Struct, rename="camel"):
    """A whole answer, or a piece of a streamed one."""

    candidates: list[_Candidate] | None = None
    prompt_feedback: _Feedback | None = None
    usage_metadata: Json | None = None
    model_version: str | None = None
    response_id: str | None = None
    error: Any = None


_RESPONSE = msgspec.json.Decoder(_Response)


class GeminiStreamDecoder:
    """A stream of responses to canonical events. Google marks its end by a finish reason alone."""

    def __init__(self, signatures: Signatures) -> None:
        self._signatures = signatures
        self._splitter = SseSplitter()
        self._started = False
        self._ended = False
        self._blocks = Blocks()
        self._called = False
        self._said = False
        self._finish: _Candidate | None = None
        self._blocked: _Feedback | None = None
        self._usage: Json | None = None

    def feed(self, chunk: bytes) -> list[tuple[bytes, list[Event]]]:
        """Takes the next bytes; gives (raw, events) per complete server-sent event."""
        return [(event.raw, self._decode(event)) for event in self._splitter.feed(chunk)]

    def finish(self) -> list[Event]:
        """Tells that the stream has ended; gives its closing events."""
        events: list[Event] = []
        for event in self._splitter.finish():
            events += self._decode(event)
        if self._ended:
            return events
        return events + self._blocks.close() + [self._end()]

    def _decode(self, event: ServerSentEvent) -> list[Event]:
        if self._ended or not event.data:
            return []
        try:
            response = _RESPONSE.decode(event.data)
        except NOT_JSON:
            return self._fail(Failed("The upstream sent a piece that is no content of Gemini."))
        if response.error is not None:
            error = error_of(response.error, _IN_BAND)
            return self._fail(Failed(error.message, error.status, error.kind))
        return self.take(response)

    def take(self, response: _Response) -> list[Event]:
        """The events of one response."""
        self._usage = response.usage_metadata or self._usage
        if response.prompt_feedback is not None and response.prompt_feedback.block_reason:
            self._blocked = response.prompt_feedback
        events: list[Event] = []
        if not self._started:
            self._started = True
            known = decode_usage(self._usage) if self._usage and "promptTokenCount" in self._usage else None
            events.append(Started(response.response_id or "", response.model_version or "", known))
        for candidate in response.candidates or ():
            if candidate.index:
                continue
            for part in (candidate.content.parts if candidate.content else None) or ():
                events += self._part(part)
            if candidate.finish_reason:
                self._finish = candidate
        return events

    def _part(self, part: _Part) -> list[Event]:
        if part.function_call is not None:
            return self._call(part.function_call, part.thought_signature)
        if not part.text:
            return []
        if part.thought:
            return [*self._blocks.into(Thinking), ThinkingDelta(self._blocks.index, part.text)]
        self._said = True
        return [*self._blocks.into(Text), TextDelta(self._blocks.index, part.text)]

    def _call(self, call: _FunctionCall, signature: str | None) -> list[Event]:
        # An id of ours: Google's are missing or count from the start in each answer.
        call_id = fresh_id("call_")
        if signature:
            self._signatures.keep(call_id, signature)
        self._called = True
        return self._blocks.call(call_id, call.name or "", call.args or {})

    def _end(self) -> Event:
        self._ended = True
        finish = self._finish
        if finish is None:
            return self._refused() if self._blocked is not None else Failed(_BROKEN_OFF)
        reason = finish.finish_reason or ""
        stop = _STOP_REASON.get(reason, "refusal" if reason.startswith("IMAGE_") else None)
        if stop is None:
            told = finish.finish_message or f"The model ended its answer with {reason}."
            return Failed(told)
        if stop == "end_turn":
            if not (self._said or self._called):
                return Failed("The model returned an empty answer.")
            stop = "tool_use" if self._called else "end_turn"
        return Stopped(stop, decode_usage(self._usage or {}))

    def _refused(self) -> Failed:
        assert self._blocked is not None
        why = self._blocked.block_reason_message or f"for the reason {self._blocked.block_reason}"
        message = f"Google refused the prompt: {why}. Change it, or ask another model."
        return Failed(message, 400, "invalid_request")

    def _fail(self, failed: Failed) -> list[Event]:
        self._ended = True
        return [failed]


def decode_usage(usage: Json) -> Usage:
    """Token counts; the prompt's include what was cached, the answer's include its thoughts."""

    thoughts = token_count(usage, "thoughtsTokenCount")
    return Usage(
        input_tokens=token_count(usage, "promptTokenCount") + token_count(usage, "toolUsePromptTokenCount"),
        cached_tokens=token_count(usage, "cachedContentTokenCount"),
        output_tokens=token_count(usage, "candidatesTokenCount") + thoughts,
        reasoning_tokens=thoughts,
        estimated="promptTokenCount" not in usage,
    )


def error_of(error: Any, status: int) -> WireError:
    """Google's error object; `RetryInfo` in its details says when to come back."""
    message, wait = "", None
    if isinstance(error, dict):
        found = error.get("message")
        message = found if isinstance(found, str) else ""
        code = error.get("code")
        if status == _IN_BAND and isinstance(code, int) and 400 <= code < 600:
            status = code
        details = error.get("details")
        for detail in details if isinstance(details, list) else ():
            delay = detail.get("retryDelay") if isinstance(detail, dict) else None
            if isinstance(delay, str) and (seconds := _SECONDS.fullmatch(delay)):
                wait = float(seconds[1])
    elif isinstance(error, str):
        message = error
    if status == _IN_BAND:
        status = 502
    return WireError(
        message or f"The upstream answered {status}.", status=status, kind=kind_of(status), retry_after=wait
    )


def _unwrapped(body: bytes) -> bytes:
    """The first item of a list; streams without `alt=sse`, and errors of them, come so."""
    if not body.lstrip().startswith(b"["):
        return body
    items = msgspec.json.decode(body, type=list[msgspec.Raw])
    return bytes(items[0]) if items else b""
