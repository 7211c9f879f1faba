"""Chat Completions as providers speak it: requests out, replies, streams and errors in."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from lynkr_desktop.engine.wire.canonical import (
    NAMELESS_CALL,
    BlockStarted,
    BlockStopped,
    Event,
    Failed,
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
from lynkr_desktop.engine.wire.errors import WireError, kind_of
from lynkr_desktop.engine.wire.fields import NOT_JSON, decode_or_none, encode_json, token_count
from lynkr_desktop.engine.wire.framing import ServerSentEvent, SseSplitter
from lynkr_desktop.engine.wire.openai_chat.outgoing import LimitField, dropped_fields, encode_request

_STOP_REASON: dict[str, StopReason] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}


class OpenAIChatUpstream:
    """The provider codec of POST {base_url}/chat/completions.

    Args:
        limit: the field that carries the limit of tokens; OpenAI's own newer models refuse the older one.
        hints: whether OpenAI's own hints are sent; left out, they go with the newer limit.
    """

    name = "openai_chat"

    def __init__(self, limit: LimitField = "max_tokens", hints: bool | None = None) -> None:
        self._limit: LimitField = limit
        self._hints = limit == "max_completion_tokens" if hints is None else hints

    def encode_request(self, request: Request, model: str) -> bytes:
        """The body for `model`."""
        return encode_request(request, model, self._limit, hints=self._hints)

    def dropped(self, request: Request) -> tuple[str, ...]:
        """What Chat Completions has no word for."""
        return dropped_fields(request, hints=self._hints)

    def decode_reply(self, body: bytes) -> list[Event]:
        """A `chat.completion` as events. Raises `WireError` when it is none."""
        try:
            reply = _COMPLETION.decode(body)
        except NOT_JSON as error:
            raise WireError("The upstream's answer is not a chat completion.") from error
        if reply.error is not None:
            raise _error_of(reply.error, 502)
        if not reply.choices:
            raise WireError("The upstream's answer holds no choice.")
        choice = reply.choices[0]
        message = choice.message
        if message is not None and message.content and message.is_text_alone:
            # As most answers are; the events are those that the decoder would give.
            stop = _STOP_REASON.get(choice.finish_reason or "stop", "end_turn")
            usage = decode_usage(reply.usage) if reply.usage else Usage(estimated=True)
            return [
                Started(reply.id or "", reply.model or ""),
                _TEXT_STARTED,
                TextDelta(0, message.content),
                _TEXT_STOPPED,
                Stopped("end_turn" if stop == "tool_use" else stop, usage),
            ]
        decoder = ChatStreamDecoder()
        events = decoder.begin(reply.id, reply.model)
        events += decoder.delta(choice.message or _Delta())
        decoder.finish_reason(choice.finish_reason or "stop")
        decoder.usage(reply.usage)
        return events + decoder.end()

    def stream_decoder(self) -> ChatStreamDecoder:
        """A fresh decoder for one reply."""
        return ChatStreamDecoder()

    def decode_error(self, status: int, body: bytes) -> WireError:
        """The error of a bad status, with the upstream's own message where it has one."""
        value = decode_or_none(body)
        error = value.get("error", value) if isinstance(value, dict) else value
        return _error_of(error, status)


class _Function(Struct):
    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class _ToolCall(Struct):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Delta(Struct):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None

    @property
    def is_text_alone(self) -> bool:
        """Whether there is nothing beside `content`."""
        return not (self.reasoning_content or self.reasoning or self.tool_calls)


class _Choice(Struct):
    delta: _Delta | None = None
    message: _Delta | None = None
    finish_reason: str | None = None
    index: int = 0


class _Chunk(Struct):
    """A `chat.completion.chunk`, or a whole `chat.completion`: they differ only in `delta` and `message`."""

    id: str | None = None
    created: Any = None
    model: str | None = None
    choices: list[_Choice] | None = None
    usage: dict[str, Any] | None = None
    error: Any = None


_COMPLETION = msgspec.json.Decoder(_Chunk)
_TEXT_STARTED, _TEXT_STOPPED = BlockStarted(0, Text("")), BlockStopped(0)


class _OpenTool(Struct):
    index: int
    """Block index, or -1 while it waits for the call before it to be complete."""
    call: ToolUse
    pending: list[str]
    text: str = ""


class ChatStreamDecoder:
    """A stream of chunks to canonical events.

    Parallel calls whose arguments arrive interleaved are put one behind the other, because clients of other
    protocols take blocks strictly in order.
    """

    def __init__(self) -> None:
        self._splitter = SseSplitter()
        self._started = False
        self._ended = False
        self._reason: StopReason | None = None
        self._usage: Usage | None = None
        self._next = 0
        self._open: tuple[int, type[Text] | type[Thinking]] | None = None
        self._tools: dict[int, _OpenTool] = {}
        self._active: int | None = None

    def feed(self, chunk: bytes) -> list[tuple[bytes, list[Event]]]:
        """Takes the next bytes; gives (raw, events) per complete server-sent event."""
        return [(event.raw, self._decode(event)) for event in self._splitter.feed(chunk)]

    def finish(self) -> list[Event]:
        """Tells that the stream has ended."""
        events: list[Event] = []
        for event in self._splitter.finish():
            events += self._decode(event)
        return events + self.end()

    def end(self) -> list[Event]:
        """The closing events, once: `Stopped` after a finish reason, `Failed` without one.

        What is open is closed only here: some servers send a last piece after the finish reason.
        """
        if self._ended:
            return []
        if self._reason is None:
            return self._fail("The upstream's answer broke off before its end.")
        events = self._close_text()
        for key, tool in self._tools.items():
            if not tool.call.name:
                return events + self._fail(NAMELESS_CALL.message)
            events += self._activate(key)
        events += self._close_tool()
        stop = self._reason
        if self._tools:
            stop = "tool_use" if stop == "end_turn" else stop
        elif stop == "tool_use":
            stop = "end_turn"
        # An answer without any content is a failure, not a clean end.
        if not self._next and stop == "end_turn":
            return events + self._fail("The model returned an empty answer.")
        self._ended = True
        return [*events, Stopped(stop, self._usage or Usage(estimated=True))]

    def _decode(self, event: ServerSentEvent) -> list[Event]:
        if self._ended or not event.data:
            return []
        if event.data == b"[DONE]":
            return self.end()
        try:
            chunk = _COMPLETION.decode(event.data)
        except NOT_JSON:
            return self._fail("The upstream sent a piece that is not a chat completion chunk.")
        if chunk.error is not None:
            error = _error_of(chunk.error, 502)
            return self._fail(error.message, error.status, error.kind)
        if not (chunk.id or chunk.choices or chunk.usage):
            # Azure begins with what its filter makes of the prompt; the reply is not named yet.
            return []
        events = self.begin(chunk.id, chunk.model, chunk.created)
        for choice in chunk.choices or ():
            if choice.index:
                continue
            if choice.delta is not None:
                events += self.delta(choice.delta)
            if choice.finish_reason:
                self.finish_reason(choice.finish_reason)
        if chunk.usage:
            self.usage(chunk.usage)
        return events

    def begin(self, reply_id: str | None, model: str | None, created: object = None) -> list[Event]:
        """The first event, at the first chunk."""
        if self._started:
            return []
        self._started = True
        return [Started(reply_id or "", model or "", created=created if isinstance(created, int) else 0)]

    def delta(self, delta: _Delta) -> list[Event]:
        """The events of one delta."""
        events: list[Event] = []
        if thought := delta.reasoning_content or delta.reasoning:
            events += self._into(Thinking)
            events.append(ThinkingDelta(self._next - 1, thought))
        if text := delta.content or delta.refusal:
            events += self._into(Text)
            events.append(TextDelta(self._next - 1, text))
        for position, call in enumerate(delta.tool_calls or ()):
            events += self._tool_delta(position if call.index is None else call.index, call)
        return events

    def finish_reason(self, reason: str) -> None:
        """Notes why the answer ended; the first reason counts."""
        if self._reason is None:
            self._reason = _STOP_REASON.get(reason, "end_turn")

    def usage(self, usage: dict[str, Any] | None) -> None:
        """Takes the token counts."""
        if usage:
            self._usage = decode_usage(usage)

    def _fail(self, message: str, status: int = 502, kind: str = "upstream_error") -> list[Event]:
        self._ended = True
        return [Failed(message, status, kind)]

    def _into(self, kind: type[Text] | type[Thinking]) -> list[Event]:
        """Opens a block of text or thinking unless one of this kind is open."""
        if self._open is not None and self._open[1] is kind:
            return []
        events = self._close_text() + self._close_tool()
        self._open = (self._next, kind)
        events.append(BlockStarted(self._next, kind("")))
        self._next += 1
        return events

    def _close_text(self) -> list[Event]:
        if self._open is None:
            return []
        index, self._open = self._open[0], None
        return [BlockStopped(index)]

    def _tool_delta(self, key: int, call: _ToolCall) -> list[Event]:
        function = call.function or _Function()
        arguments = function.arguments
        text = encode_json(arguments).decode() if isinstance(arguments, dict) else arguments or ""
        known = self._tools.get(key)
        if known is not None and call.id and known.call.id != call.id and function.name:
            # Some servers give every parallel call the index 0: a new id with a new name is a new call.
            key = max(self._tools) + 1
            known = None
        if known is None:
            identity = ToolUse(call.id or f"call_{key}", function.name or "", {})
            known = self._tools[key] = _OpenTool(-1, identity, [])
        elif function.name and not known.call.name:
            known.call = ToolUse(known.call.id, function.name, {})
        known.text += text
        if known.index < 0:
            known.pending.append(text)
            if not known.call.name or not (self._active is None or _complete(self._tools[self._active].text)):
                return []
            return self._close_text() + self._activate(key)
        if not text:
            return []
        if key != self._active:
            return self._fail("The upstream sent pieces of tool calls out of their order.")
        return [ToolInputDelta(known.index, text)]

    def _activate(self, key: int) -> list[Event]:
        tool = self._tools[key]
        if tool.index >= 0:
            return []
        events: list[Event] = self._close_tool()
        tool.index = self._next
        self._active = key
        self._next += 1
        events.append(BlockStarted(tool.index, tool.call))
        if pending := "".join(tool.pending):
            events.append(ToolInputDelta(tool.index, pending))
        tool.pending.clear()
        return events

    def _close_tool(self) -> list[Event]:
        if self._active is None:
            return []
        index, self._active = self._tools[self._active].index, None
        return [BlockStopped(index)]


def _complete(arguments: str) -> bool:
    """Whether the text is one whole JSON value."""
    try:
        msgspec.json.decode(arguments)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def decode_usage(usage: dict[str, Any]) -> Usage:
    """Token counts, and the cost where it is told; fields of the wrong type count as absent."""
    counted = Usage(
        input_tokens=token_count(usage, "prompt_tokens"),
        output_tokens=token_count(usage, "completion_tokens"),
    )
    prompt, completion = usage.get("prompt_tokens_details"), usage.get("completion_tokens_details")
    if not prompt and not completion and "cost" not in usage:
        return counted
    return msgspec.structs.replace(
        counted,
        cached_tokens=token_count(prompt, "cached_tokens"),
        cache_write_tokens=token_count(prompt, "cache_write_tokens"),
        reasoning_tokens=token_count(completion, "reasoning_tokens"),
        cost=_reported_cost(usage),
    )


def _reported_cost(usage: dict[str, Any]) -> float | None:
    """US dollars, as OpenRouter (a number) and Perplexity (an object with a total) report them.

    Where OpenRouter used a person's own key of the vendor, its `cost` is only its fee; what the vendor takes
    stands beside it (openrouter.ai/docs, usage accounting).
    """
    cost = usage.get("cost")
    dollars = _dollars(cost.get("total_cost") if isinstance(cost, dict) else cost)
    details = usage.get("cost_details")
    if dollars is not None and usage.get("is_byok") is True and isinstance(details, dict):
        dollars += _dollars(details.get("upstream_inference_cost")) or 0.0
    return dollars


def _dollars(value: Any) -> float | None:
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e6
    return float(value) if good else None


def _error_of(error: Any, status: int) -> WireError:
    message = ""
    if isinstance(error, dict):
        message = next(
            (
                text
                for key in ("message", "detail", "error")
                if isinstance(text := error.get(key), str) and text
            ),
            "",
        )
        code = error.get("code")
        if status == 502 and isinstance(code, int) and 400 <= code < 600:
            status = code
    elif isinstance(error, str):
        message = error
    return WireError(message or f"The upstream answered {status}.", status=status, kind=kind_of(status))
