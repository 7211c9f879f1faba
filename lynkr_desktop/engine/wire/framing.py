"""Cuts byte streams into messages: server-sent events and newline-delimited JSON, split at any byte."""

from __future__ import annotations

from dataclasses import dataclass

from lynkr_desktop.engine.wire.errors import WireError

MAX_MESSAGE = 64 * 1024 * 1024
"""Bytes of one message at most; an upstream that never ends a line must not fill the memory."""


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event. `raw` are its own bytes with the blank line that ends it."""

    raw: bytes
    event: str
    data: bytes


class SseSplitter:
    """Server-sent events from chunks (WHATWG HTML, 9.2.6): LF, CRLF and CR line ends, comments, any split."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        """Takes the next bytes and gives the events that are complete."""
        buffer = self._buffer + chunk if self._buffer else chunk
        events: list[ServerSentEvent] = []
        start = 0
        while (cut := _event_end(buffer, start)) >= 0:
            events.append(_parse_event(buffer[start:cut]))
            start = cut
        self._buffer = buffer[start:]
        if len(self._buffer) > MAX_MESSAGE:
            raise WireError("The upstream sent a message of more than 64 MB without an end.")
        return events

    def finish(self) -> list[ServerSentEvent]:
        """The last event, where the stream ended without the blank line after it."""
        rest, self._buffer = self._buffer, b""
        return [_parse_event(rest + b"\n\n")] if rest.strip() else []


def _event_end(buffer: bytes, start: int) -> int:
    """Index behind the blank line that ends the event at `start`, or -1."""
    best = -1
    for mark in (b"\n\n", b"\r\n\r\n", b"\n\r\n", b"\r\r"):
        found = buffer.find(mark, start)
        if found >= 0 and (best < 0 or found + len(mark) < best):
            best = found + len(mark)
    return best


def _parse_event(raw: bytes) -> ServerSentEvent:
    # The common shape, one data line, without splitting.
    if raw.startswith(b"data: ") and raw.endswith(b"\n\n") and raw.find(b"\n") == len(raw) - 2:
        return ServerSentEvent(raw, "", raw[6:-2].removesuffix(b"\r"))
    event = ""
    data: list[bytes] = []
    for line in raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n"):
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            data.append(value)
        elif name == b"event":
            event = value.decode("utf-8", "replace")
    return ServerSentEvent(raw, event, b"\n".join(data))


class LineSplitter:
    """Lines from chunks, for newline-delimited JSON."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        """Takes the next bytes and gives the lines that are complete, without their ends, none empty."""
        *lines, self._buffer = (self._buffer + chunk).split(b"\n")
        if len(self._buffer) > MAX_MESSAGE:
            raise WireError("The upstream sent a line of more than 64 MB without an end.")
        return [line for line in (raw.strip() for raw in lines) if line]

    def finish(self) -> list[bytes]:
        """The last line, where the stream ended without a newline."""
        rest, self._buffer = self._buffer.strip(), b""
        return [rest] if rest else []


def sse(data: bytes, event: str = "") -> bytes:
    """One server-sent event with a single line of data."""
    if event:
        return b"event: " + event.encode() + b"\ndata: " + data + b"\n\n"
    return b"data: " + data + b"\n\n"
