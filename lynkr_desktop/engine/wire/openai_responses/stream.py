"""Canonical events to the typed events of a Responses stream."""

from __future__ import annotations

import abc

from lynkr_desktop.engine.wire.canonical import (
    BlockStarted,
    BlockStopped,
    Event,
    Failed,
    Json,
    RedactedThinking,
    Request,
    Started,
    Stopped,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ToolInputDelta,
    ToolUse,
)
from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.engine.wire.fields import encode_json
from lynkr_desktop.engine.wire.framing import sse
from lynkr_desktop.engine.wire.openai_responses.response import (
    INCOMPLETE,
    Head,
    error_code,
    message_item,
    new_id,
    reasoning_item,
    summary_part,
    text_part,
)
from lynkr_desktop.engine.wire.openai_responses.sealed import ID_PREFIX, seal
from lynkr_desktop.engine.wire.openai_responses.tools import InputText, call_item, call_prefix, custom_text


class Emitter:
    """Numbers the events of one stream."""

    def __init__(self) -> None:
        self.number = 0

    def event(self, kind: str, body: Json) -> bytes:
        """One event."""
        number, self.number = self.number, self.number + 1
        return sse(encode_json({"type": kind, **body, "sequence_number": number}), kind)

    def delta(self, head: bytes, text: str, tail: bytes = b"") -> bytes:
        """A delta, the event that there are most of; `head` was made when its item was opened."""
        number, self.number = self.number, self.number + 1
        return b'%b%b%b,"sequence_number":%d}\n\n' % (head, encode_json(text), tail, number)


class ResponsesStreamEncoder:
    """One stream.

    An item opens with its first content and closes when the next begins or the answer ends: only then it is
    known whether it is complete.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        self._head = Head(request)
        self._emitter = Emitter()
        self._output: list[Json] = []
        self._item: _Item | None = None

    def encode(self, event: Event) -> bytes:
        """Bytes to send for this event."""
        match event:
            case TextDelta() | ThinkingDelta():
                out = self._item.write(event.text) if self._item is not None and event.text else b""
                if isinstance(event, ThinkingDelta) and isinstance(self._item, _Reasoning):
                    self._item.signature += event.signature
                return out
            case ToolInputDelta():
                return self._item.write(event.json) if self._item is not None and event.json else b""
            case Started():
                return self._start(event)
            case BlockStarted():
                return self._close("completed") + self._open(event)
            case BlockStopped():
                return b""
            case Stopped():
                return self._stop(event)
            case Failed():
                return self._fail(event)

    def _start(self, event: Started) -> bytes:
        self._head = Head(self._request, event.id, event.model)
        response = {"response": self._head.response("in_progress", [])}
        return self._emitter.event("response.created", response) + self._emitter.event(
            "response.in_progress", response
        )

    def _open(self, event: BlockStarted) -> bytes:
        index = len(self._output)
        match event.block:
            case Text(text=text):
                self._item = _Message(self._emitter, index)
                return self._item.write(text) if text else b""
            case Thinking(text=text, signature=signature):
                reasoning = self._item = _Reasoning(self._emitter, index)
                reasoning.signature = signature
                return reasoning.write(text) if text else b""
            case RedactedThinking():
                hidden = self._item = _Reasoning(self._emitter, index)
                hidden.redacted = event.block
                return b""
            case ToolUse(id=call_id, name=name, input=arguments):
                kind = self._request.origin.get("kinds", {}).get(name)
                call = self._item = _Call(self._emitter, index, ToolUse(call_id, name, {}), kind)
                out = call.open()
                return out + (call.write(encode_json(arguments).decode()) if arguments else b"")

    def _close(self, status: str) -> bytes:
        item, self._item = self._item, None
        if item is None or not item.worth_telling:
            return b""
        out, done = item.close(status)
        self._output.append(done)
        return out

    def _stop(self, event: Stopped) -> bytes:
        out = self._close("incomplete" if event.reason in INCOMPLETE else "completed")
        response = self._head.finished(self._output, event.reason, event.usage)
        return out + self._emitter.event(f"response.{response['status']}", {"response": response})

    def _fail(self, event: Failed) -> bytes:
        """`error` and `response.failed`, as api.openai.com sends them: some clients know only the one."""
        error = WireError(event.message, status=event.status, kind=event.kind)
        return failure_events(self._emitter, self._head.response("failed", self._output), error)


def failure_events(emitter: Emitter, response: Json, error: WireError, code: str = "") -> bytes:
    """The end of a stream that broke.

    Args:
        emitter: numbers them on from what was sent.
        response: the response as far as it is known.
        error: what went wrong.
        code: the upstream's own word for it.
    """
    code = code or error_code(error)
    told = {"code": code, "message": error.message, "param": error.param}
    failed = {**response, "status": "failed", "error": {"code": code, "message": error.message}}
    # Clients read the error either at the top or within `error`.
    return emitter.event("error", {**told, "error": {"type": code, **told}}) + emitter.event(
        "response.failed", {"response": failed}
    )


class _Item(abc.ABC):
    """An output item while it is written."""

    prefix = ""

    def __init__(self, emitter: Emitter, index: int) -> None:
        self.emitter = emitter
        self.index = index
        self.id = new_id(self.prefix)
        self.pieces: list[str] = []
        self.opened = False

    @property
    def text(self) -> str:
        """What was written so far."""
        return "".join(self.pieces)

    @property
    def worth_telling(self) -> bool:
        """Whether there is anything in it."""
        return self.opened

    @abc.abstractmethod
    def write(self, text: str) -> bytes:
        """More of its content."""

    @abc.abstractmethod
    def close(self, status: str) -> tuple[bytes, Json]:
        """Its last events, and the item as it is then."""

    def event(self, kind: str, **body: object) -> bytes:
        """An event of this item."""
        return self.emitter.event(kind, {"item_id": self.id, "output_index": self.index, **body})

    def added(self, item: Json) -> bytes:
        """The event that opens it."""
        self.opened = True
        return self.emitter.event("response.output_item.added", {"output_index": self.index, "item": item})

    def done(self, item: Json) -> tuple[bytes, Json]:
        """The event that closes it."""
        closing = self.emitter.event("response.output_item.done", {"output_index": self.index, "item": item})
        return closing, item

    def delta_head(self, kind: str, part: str = "") -> bytes:
        """The bytes of a delta up to its text."""
        return (
            f'event: {kind}\ndata: {{"type":"{kind}","item_id":"{self.id}","output_index":{self.index}'
            f'{part},"delta":'
        ).encode()


class _Message(_Item):
    """A message with one part of text."""

    prefix = "msg"
    head = b""

    def write(self, text: str) -> bytes:
        out = b""
        if not self.opened:
            out = self.added(message_item(self.id, None, "in_progress"))
            out += self.event("response.content_part.added", content_index=0, part=text_part(""))
            self.head = self.delta_head("response.output_text.delta", ',"content_index":0')
        self.pieces.append(text)
        return out + self.emitter.delta(self.head, text, b',"logprobs":[]')

    def close(self, status: str) -> tuple[bytes, Json]:
        text = self.text
        out = self.event("response.output_text.done", content_index=0, text=text, logprobs=[])
        out += self.event("response.content_part.done", content_index=0, part=text_part(text))
        last, item = self.done(message_item(self.id, text, status))
        return out + last, item


class _Reasoning(_Item):
    """Reasoning with one part of summary; what only the vendor can read has no part."""

    prefix = ID_PREFIX
    head = b""
    signature = ""
    redacted: RedactedThinking | None = None

    @property
    def worth_telling(self) -> bool:
        return self.opened or self.redacted is not None or bool(self.signature)

    def write(self, text: str) -> bytes:
        out = b""
        if not self.opened:
            out = self.added(reasoning_item(self.id, "", None))
            out += self.event("response.reasoning_summary_part.added", summary_index=0, part=summary_part(""))
            self.head = self.delta_head("response.reasoning_summary_text.delta", ',"summary_index":0')
        self.pieces.append(text)
        return out + self.emitter.delta(self.head, text)

    def close(self, status: str) -> tuple[bytes, Json]:
        text, out = self.text, b""
        if self.pieces:
            out = self.event("response.reasoning_summary_text.done", summary_index=0, text=text)
            out += self.event(
                "response.reasoning_summary_part.done", summary_index=0, part=summary_part(text)
            )
        elif not self.opened:
            out = self.added(reasoning_item(self.id, "", None))
        encrypted = seal(self.redacted or Thinking(text, self.signature))
        last, item = self.done(reasoning_item(self.id, text, encrypted))
        return out + last, item


class _Call(_Item):
    """A call of a function, or of what stands for one."""

    def __init__(self, emitter: Emitter, index: int, call: ToolUse, kind: Json | None) -> None:
        self.prefix = call_prefix(kind)
        super().__init__(emitter, index)
        self._call = call
        self._kind = kind
        self._input = InputText()
        self._told: list[str] = []
        form = kind["type"] if kind else "function"
        self._custom = form == "custom"
        stems = {
            "function": "response.function_call_arguments",
            "custom": "response.custom_tool_call_input",
        }
        self._stem = stems.get(form, "")
        self._delta = self.delta_head(f"{self._stem}.delta")

    @property
    def worth_telling(self) -> bool:
        return True

    def open(self) -> bytes:
        """Tells of the call before its arguments come, unless its item cannot do without them."""
        if not self._stem:
            return b""
        return self.added(call_item(self._kind, self.id, self._call, "", "in_progress"))

    def write(self, text: str) -> bytes:
        self.pieces.append(text)
        if not self._stem:
            return b""
        piece = self._input.feed(text) if self._custom else text
        if not piece:
            return b""
        self._told.append(piece)
        return self.emitter.delta(self._delta, piece)

    def close(self, status: str) -> tuple[bytes, Json]:
        out, text = b"", self.text
        if self._custom:
            told, text = "".join(self._told), custom_text(text)
            if not text.startswith(told):
                text = told
            elif rest := text[len(told) :]:
                out = self.emitter.delta(self._delta, rest)
            out += self.event(f"{self._stem}.done", input=text)
        elif self._stem:
            if not text:
                text = "{}"
                out = self.emitter.delta(self._delta, text)
            out += self.event(f"{self._stem}.done", arguments=text)
        else:
            out = self.added(call_item(self._kind, self.id, self._call, text, "in_progress"))
        last, item = self.done(call_item(self._kind, self.id, self._call, text, status))
        return out + last, item
