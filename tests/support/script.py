"""What a fake provider says: replies made of steps, with the faults that real servers show.

One script serves every fake: each renders the steps in its own wire format.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Say:
    """A piece of the answer's text, sent as one event after `delay` seconds."""

    text: str
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class Think:
    """A piece of reasoning; a request that wants none does not get it."""

    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call. Streams that can send its arguments in pieces do."""

    name: str
    arguments: Json


@dataclass(frozen=True, slots=True)
class Hold:
    """Waits until a test sets the event: what follows cannot have arrived before."""

    until: asyncio.Event


@dataclass(frozen=True, slots=True)
class Stall:
    """Says nothing more and keeps the connection open."""


@dataclass(frozen=True, slots=True)
class Die:
    """Cuts the connection, as a crashed server does; as the first step, before there is an answer."""


@dataclass(frozen=True, slots=True)
class End:
    """Ends the body in good order, without the event that says that the answer is complete."""


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes as they are, for what no server should send."""

    data: bytes


@dataclass(frozen=True, slots=True)
class ErrorLine:
    """An error within HTTP 200, as the last event of a stream or as the whole answer."""

    message: str


Step = Say | Think | Call | Hold | Stall | Die | End | Raw | ErrorLine


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer.

    Attributes:
        steps: sent in order; what marks the end follows unless a step ends the reply.
        done_reason: why it ended: `stop` or `length`; tool calls are seen by the server itself.
        status: an HTTP error status; then `error` is the whole answer.
        counts: whether the end carries the token counts.
        headers: added to the answer's own.
        first_byte: seconds before the head is sent.
        split: bytes of each write; 0 writes whole events.
        gzip: whether the body is compressed, whatever was asked for.
        content_type: instead of the right one.
        body: the whole body, as it is, instead of what the steps and the status would make.
        streams: whether the answer is a stream, whatever was asked for.
        rewrite: changes each write of the body, for odd framing.
    """

    steps: tuple[Step, ...] = ()
    done_reason: str = "stop"
    status: int = 200
    error: str = ""
    counts: bool = True
    headers: dict[str, str] = field(default_factory=dict)
    first_byte: float = 0.0
    split: int = 0
    gzip: bool = False
    content_type: str = ""
    body: bytes | None = None
    streams: bool | None = None
    rewrite: Callable[[bytes], bytes] | None = None


def text(*pieces: str, delay: float = 0.0) -> Reply:
    """A reply that is only text."""
    return Reply(tuple(Say(piece, delay) for piece in pieces))


def tool_call(name: str, arguments: Json, *, before: str = "") -> Reply:
    """A reply that calls a tool, with optional text before it."""
    said: tuple[Step, ...] = (Say(before),) if before else ()
    return Reply((*said, Call(name, arguments)))


def failure(status: int, error: str, **headers: str) -> Reply:
    """An HTTP error."""
    return Reply(status=status, error=error, headers=headers)


def parse_replies(value: Iterable[Json]) -> list[Reply]:
    """Replies from JSON, for a server in its own process.

    Each is `{"steps": [...]}` or `{"status": 500, "error": "..."}`; a step is one of `{"say": "text",
    "delay": 0.1}`, `{"think": "text"}`, `{"call": {"name": "f", "arguments": {}}}`, `{"error": "text"}`,
    `{"stall": true}`, `{"die": true}`, `{"end": true}`.
    """
    return [
        Reply(
            steps=tuple(_step(step) for step in reply.get("steps", ())),
            done_reason=reply.get("done_reason", "stop"),
            status=reply.get("status", 200),
            error=reply.get("error", ""),
        )
        for reply in value
    ]


def _step(value: Json) -> Step:
    match value:
        case {"say": str(said)}:
            return Say(said, float(value.get("delay", 0)))
        case {"think": str(thought)}:
            return Think(thought)
        case {"call": {"name": str(name), "arguments": dict(arguments)}}:
            return Call(name, arguments)
        case {"error": str(message)}:
            return ErrorLine(message)
        case {"stall": _}:
            return Stall()
        case {"die": _}:
            return Die()
        case {"end": _}:
            return End()
    raise ValueError(f"unknown step: {value}")
