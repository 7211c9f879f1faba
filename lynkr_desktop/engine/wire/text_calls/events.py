"""Stands in the stream of canonical events and puts tool calls in the place of text that is one."""

from __future__ import annotations

from lynkr_desktop.engine.wire.canonical import (
    BlockStarted,
    BlockStopped,
    Event,
    Failed,
    Request,
    Started,
    Stopped,
    Text,
    TextDelta,
    ThinkingDelta,
    ToolInputDelta,
    ToolUse,
)
from lynkr_desktop.engine.wire.ids import fresh_id
from lynkr_desktop.engine.wire.text_calls.scanner import Scanner
from lynkr_desktop.engine.wire.text_calls.tools import Call, OfferedTools


class TextToolCalls:
    """Finds tool calls that a model wrote as text and makes them tool calls.

    A call is made only of a tool that the request offers and its tool_choice allows, with arguments that are
    an object. All other text passes as it is, in the same order and, but for a few characters that may begin
    a mark, at once. Three kinds of text are never touched: reasoning, what comes after a tool call of the
    provider's own, and the answer to a request that asks for structured output.

    Where tool_choice forbids parallel calls, the first call of a reply is kept and further ones are left out:
    the model asks for them again when it has seen the first result.

    Args:
        request: what was asked; it tells the tools.
    """

    def __init__(self, request: Request) -> None:
        self._tools = OfferedTools(request)
        self._untouched = not self._tools or request.response_format is not None
        self._looking = not self._untouched
        self._single = request.tool_choice.parallel is False
        self._calls = 0
        self._after_call = False
        """Nothing but white space has come since the last call."""
        self._text_seen = False
        self._next = 0
        self._indexes: dict[int, int] = {}
        """The provider's index of every block but text, to ours."""
        self._block: BlockStarted | None = None
        """The provider's text block that is being read."""
        self._scanner: Scanner | None = None
        self._open: int | None = None
        """Our index of the text block that is being written."""
        self._block_used = False
        self._stop_owed = False

    @property
    def holding(self) -> bool:
        """Whether some text is held back, undecided."""
        return self._scanner is not None and self._scanner.holding

    @property
    def found(self) -> bool:
        """Whether a call was made of text in this reply, so that the provider's bytes no longer tell it."""
        return bool(self._calls)

    def feed(self, events: list[Event]) -> list[Event]:
        """Takes the next events of a reply; gives those that may go on now."""
        if self._untouched:
            return events
        out: list[Event] = []
        for event in events:
            self._take(event, out)
        return out

    def _take(self, event: Event, out: list[Event]) -> None:
        match event:
            case Started():
                out.append(event)
            case BlockStarted(block=Text()):
                self._end_text(out)
                self._begin_text(event, out)
            case BlockStarted():
                self._looking = self._looking and not isinstance(event.block, ToolUse)
                self._after_call = False
                if not self._looking:
                    self._abandon(out)
                self._end_text(out)
                self._indexes[event.index] = self._next
                out.append(BlockStarted(self._next, event.block))
                self._next += 1
            case TextDelta():
                self._write(self._scanner.feed(event.text) if self._scanner else [event.text], out)
            case ThinkingDelta():
                out.append(ThinkingDelta(self._indexes[event.index], event.text, event.signature))
            case ToolInputDelta():
                out.append(ToolInputDelta(self._indexes[event.index], event.json))
            case BlockStopped():
                if event.index in self._indexes:
                    out.append(BlockStopped(self._indexes[event.index]))
                elif self.holding:
                    self._stop_owed = True
                else:
                    self._end_text(out)
            case Stopped():
                whole = event.reason not in ("max_tokens", "refusal")
                self._end_text(out, last=True, clean=whole)
                out.append(Stopped("tool_use", event.usage) if self._ends_in_call(whole) else event)
            case Failed():
                self._abandon(out)
                if self._stop_owed:
                    self._end_text(out)
                out.append(event)

    def _ends_in_call(self, whole: bool) -> bool:
        return self.found and (whole or self._after_call)

    # ------------------------------------------------------------ text

    def _begin_text(self, event: BlockStarted, out: list[Event]) -> None:
        assert isinstance(event.block, Text)
        self._block, self._block_used, self._stop_owed = event, False, False
        self._scanner = Scanner(self._tools, beginning=not self._text_seen) if self._looking else None
        if event.block.text:
            self._take(TextDelta(event.index, event.block.text), out)

    def _end_text(self, out: list[Event], *, last: bool = False, clean: bool = False) -> None:
        """Closes the text block that is open, if any; what it held is decided now."""
        if self._block is None:
            return
        if self._scanner is not None:
            self._write(self._scanner.finish(last=last, clean=clean), out)
        if not self._block_used:  # the provider's own empty block
            self._open_text(out)
        self._close_text(out)
        self._block = self._scanner = None

    def _abandon(self, out: list[Event]) -> None:
        if self._scanner is not None:
            self._write([self._scanner.abandon()], out)
            self._scanner = None

    def _write(self, found: list[str | Call], out: list[Event]) -> None:
        for item in found:
            if isinstance(item, Call):
                self._write_call(item, out)
            elif item:
                if self._open is None:
                    self._open_text(out)
                assert self._open is not None
                out.append(TextDelta(self._open, item))
                if not item.isspace():
                    self._text_seen, self._after_call = True, False

    def _open_text(self, out: list[Event]) -> None:
        extra = self._block.block.extra if self._block and isinstance(self._block.block, Text) else {}
        self._open, self._block_used = self._next, True
        self._next += 1
        out.append(BlockStarted(self._open, Text("", extra)))

    def _close_text(self, out: list[Event]) -> None:
        if self._open is not None:
            out.append(BlockStopped(self._open))
            self._open = None

    def _write_call(self, call: Call, out: list[Event]) -> None:
        self._close_text(out)
        self._block_used = self._after_call = True
        self._calls += 1
        if self._single and self._calls > 1:
            return
        index, self._next = self._next, self._next + 1
        out.append(BlockStarted(index, ToolUse(fresh_id("call_"), call.name, {})))
        out.append(ToolInputDelta(index, call.arguments))
        out.append(BlockStopped(index))
