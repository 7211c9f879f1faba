"""Cuts byte streams into messages: server-sent events and newline-delimited JSON, split at any byte."""

from __future__ import annotations

from msgspec import Struct

from lynkr_desktop.engine.wire.errors import WireError

MAX_MESSAGE = 64 * 1024 * 1024
"""Bytes of one message at most; an upstream that never ends a line must not fill the memory."""


class ServerSentEvent(Struct, frozen=True):
    """One event. `raw` are its own bytes with the blank line that ends it."""

    raw: bytes
    event: str
    data: bytes


class SseSplitter:
    """Server-sent events from chunks (WHATWG HTML, 9.2.6): LF, CRLF and CR line ends, comments, any split."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._scanned = 0

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        """Takes the next bytes and gives the events that are complete."""
        if len(self._buffer) + len(chunk) < _SMALL and b"\r" not in chunk and b"\r" not in self._buffer:
            # The common case: LF alone, and no long event that would be searched again and again.
            parts = (bytes(self._buffer) + chunk).split(b"\n\n")
            self._buffer[:] = parts.pop()
            self._measure()
            return [_parse_event(part + b"\n\n") for part in parts]
        self._buffer += chunk
        events: list[ServerSentEvent] = []
        start = 0
        # A mark may straddle two chunks, so the scan goes back by its length less one.
        scan = max(0, self._scanned - 2)
        marks = _MARKS if b"\r" in self._buffer else _MARKS[:1]
        while (cut := _event_end(self._buffer, scan, marks)) >= 0:
            events.append(_parse_event(bytes(self._buffer[start:cut])))
            start = scan = cut
        if start:
            del self._buffer[:start]
        self._measure()
        return events

    def _measure(self) -> None:
        self._scanned = len(self._buffer)
        if self._scanned > MAX_MESSAGE:
            raise WireError("The upstream sent a message of more than 64 MB without an end.")

    def finish(self) -> list[ServerSentEvent]:
        """The last event, where the stream ended without the blank line after it."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return [_parse_event(rest + b"\n\n")] if rest.strip() else []


_SMALL = 32 * 1024
_MARKS = (b"\n\n", b"\n\r\n", b"\r\r")


def _event_end(buffer: bytearray, start: int, marks: tuple[bytes, ...]) -> int:
    """Index behind the next blank line from `start`, or -1."""
    ends = [found + len(mark) for mark in marks if (found := buffer.find(mark, start)) >= 0]
    return min(ends, default=-1)


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
        self._buffer = bytearray()

    def feed(self, chunk: bytes) -> list[bytes]:
        """Takes the next bytes and gives the lines that are complete, without their ends, none empty."""
        end = chunk.rfind(b"\n") + 1
        lines: list[bytes] = []
        if end:
            lines = bytes(self._buffer + chunk[:end]).split(b"\n")
            self._buffer.clear()
        self._buffer += chunk[end:]
        if len(self._buffer) > MAX_MESSAGE:
            raise WireError("The upstream sent a line of more than 64 MB without an end.")
        return [line for line in (raw.strip() for raw in lines) if line]

    def finish(self) -> list[bytes]:
        """The last line, where the stream ended without a newline."""
        rest = bytes(self._buffer).strip()
        self._buffer.clear()
        return [rest] if rest else []


def sse(data: bytes, event: str = "") -> bytes:
    """One server-sent event with a single line of data."""
    if event:
        return b"event: " + event.encode() + b"\ndata: " + data + b"\n\n"
    return b"data: " + data + b"\n\n"
