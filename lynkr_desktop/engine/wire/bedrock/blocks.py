"""Content blocks of Converse, whole or in pieces, to canonical events."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from lynkr_desktop.engine.wire.canonical import (
    BlockStarted,
    BlockStopped,
    Event,
    Failed,
    RedactedThinking,
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
from lynkr_desktop.engine.wire.fields import encode_json, token_count

_STOP_REASON: dict[str, StopReason] = {
    "end_turn": "end_turn",
    "tool_use": "tool_use",
    "max_tokens": "max_tokens",
    "model_context_window_exceeded": "max_tokens",
    "stop_sequence": "stop_sequence",
    "guardrail_intervened": "refusal",
    "content_filtered": "refusal",
}
_MALFORMED = ("malformed_model_output", "malformed_tool_use")


class ReasoningText(Struct):
    """A thought, whole."""

    text: str = ""
    signature: str = ""


class ReasoningPiece(Struct, rename="camel"):
    """Of a whole block `reasoning_text`, of a delta `text` or `signature`."""

    reasoning_text: ReasoningText | None = None
    text: str = ""
    signature: str = ""
    redacted_content: str = ""


class CallPiece(Struct, rename="camel"):
    """Of a start or a whole block id and name, of a delta a piece of `input` as JSON text."""

    tool_use_id: str = ""
    name: str = ""
    input: Any = None


class Piece(Struct, rename="camel"):
    """A content block, or the start or a delta of one: one of its fields is set."""

    text: str | None = None
    tool_use: CallPiece | None = None
    reasoning_content: ReasoningPiece | None = None


class Blocks:
    """Content blocks as they come, to canonical ones: one at a time, their indexes rising from 0."""

    def __init__(self, tool_names: Mapping[str, str] | None, model: str) -> None:
        self._names = tool_names or {}
        self._model = model
        self._begun = False
        self._next = 0
        self._open: Text | Thinking | ToolUse | None = None
        self._source = -1
        """The service's index of what is open."""
        self._redacted: list[str] = []
        self._ids: set[str] = set()
        self._reason: StopReason | None = None
        self._stop_sequence: str | None = None
        self._failed: Failed | None = None

    def begin(self) -> list[Event]:
        """The first event, once; the service gives no id."""
        events: list[Event] = [] if self._begun else [Started(model=self._model)]
        self._begun = True
        return events

    def whole(self, index: int, block: Piece) -> list[Event]:
        """A block that is not streamed."""
        if (tool := block.tool_use) is not None:
            arguments = tool.input if isinstance(tool.input, dict) else {}
            piece = CallPiece(input=encode_json(arguments).decode())
            events = self.start(index, block) + self.delta(index, Piece(tool_use=piece))
        elif (thought := block.reasoning_content) is not None and thought.reasoning_text is not None:
            text = thought.reasoning_text
            flat = ReasoningPiece(text=text.text, signature=text.signature)
            events = self.delta(index, Piece(reasoning_content=flat))
        else:
            events = self.delta(index, block)
        return events + self.close(index)

    def start(self, index: int, block: Piece) -> list[Event]:
        """Only calls of tools are announced; text and reasoning begin with their first delta."""
        if (tool := block.tool_use) is None:
            return []
        call_id = tool.tool_use_id
        if not call_id or call_id in self._ids:
            call_id = f"{call_id or 'tooluse'}_{self._next}"
        self._ids.add(call_id)
        return self._into(index, ToolUse(call_id, self._names.get(tool.name, tool.name), {}))

    def delta(self, index: int, delta: Piece) -> list[Event]:
        """More of a block."""
        if (tool := delta.tool_use) is not None:
            if not isinstance(self._open, ToolUse) or self._source != index:
                return self._fail("The upstream sent arguments of a tool call that had not begun.")
            text = tool.input if isinstance(tool.input, str) else ""
            return [ToolInputDelta(self._next - 1, text)] if text else []
        if (thought := delta.reasoning_content) is not None:
            if thought.redacted_content:
                events = [] if self._redacted and self._source == index else self._close_open()
                self._source = index
                self._redacted.append(thought.redacted_content)
                return events
            events = self._continue(index, Thinking)
            return [*events, ThinkingDelta(self._next - 1, thought.text, thought.signature)]
        if delta.text:
            events = self._continue(index, Text)
            return [*events, TextDelta(self._next - 1, delta.text)]
        return []

    def close(self, index: int) -> list[Event]:
        """A block is complete."""
        return self._close_open() if self._source == index else []

    def stop(self, reason: str, additional: Any) -> list[Event]:
        """The reason of the end. An answer without any content is a failure, not a clean end."""
        events = self._close_open()
        if reason in _MALFORMED:
            return events + self._fail(
                "The model wrote a tool call or an answer that Bedrock could not read."
            )
        stop = _STOP_REASON.get(reason, "end_turn")
        if self._ids:
            stop = "tool_use" if stop == "end_turn" else stop
        elif stop == "tool_use":
            stop = "end_turn"
        if not self._next and stop in ("end_turn", "tool_use"):
            return events + self._fail("The model returned an empty answer.")
        self._reason = stop
        if stop == "stop_sequence":
            self._stop_sequence = _stop_sequence(additional)
        return events

    def end(self, usage: dict[str, Any] | None) -> list[Event]:
        """The closing event: `Stopped` after a reason, `Failed` without one."""
        if self._failed is not None:
            return []
        if self._reason is None:
            return self._fail("The upstream's answer broke off before its end.")
        counted = decode_usage(usage) if usage else Usage(estimated=True)
        return [Stopped(self._reason, counted, self._stop_sequence)]

    def _continue(self, index: int, kind: type[Text] | type[Thinking]) -> list[Event]:
        return [] if isinstance(self._open, kind) and self._source == index else self._into(index, kind(""))

    def _into(self, index: int, block: Text | Thinking | ToolUse) -> list[Event]:
        events = self._close_open()
        self._open, self._source = block, index
        events.append(BlockStarted(self._next, block))
        self._next += 1
        return events

    def _close_open(self) -> list[Event]:
        events: list[Event] = []
        if self._redacted:
            events.append(BlockStarted(self._next, RedactedThinking(_join_blobs(self._redacted))))
            self._redacted.clear()
            self._next += 1
        elif self._open is None:
            return []
        self._open, self._source = None, -1
        return [*events, BlockStopped(self._next - 1)]

    def _fail(self, message: str) -> list[Event]:
        self._failed = Failed(message)
        return [self._failed]


def decode_usage(usage: dict[str, Any]) -> Usage:
    """Token counts; the service leaves out of `inputTokens` what its cache read or wrote."""

    read, written = token_count(usage, "cacheReadInputTokens"), token_count(usage, "cacheWriteInputTokens")
    return Usage(
        input_tokens=token_count(usage, "inputTokens") + read + written,
        cached_tokens=read,
        cache_write_tokens=written,
        output_tokens=token_count(usage, "outputTokens"),
    )


def _stop_sequence(additional: Any) -> str | None:
    """Which sequence it was; Claude's own field, asked for by the request."""
    value = additional.get("stop_sequence") if isinstance(additional, dict) else None
    return value if isinstance(value, str) else None


def _join_blobs(pieces: list[str]) -> str:
    """One base64 text from several, each of which may be padded."""
    if len(pieces) == 1:
        return pieces[0]
    try:
        return base64.b64encode(b"".join(base64.b64decode(piece) for piece in pieces)).decode()
    except (ValueError, binascii.Error):
        return "".join(pieces)
