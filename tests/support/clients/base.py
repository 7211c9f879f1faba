"""What a client of any protocol asks and gets, in words that belong to no protocol.

Each client builds its requests from an `Ask` and reads answers into an `Answer` strictly and without the
product's codecs: an answer that breaks a rule of its protocol is a `Broken`, whatever a lenient SDK would do.
"""

from __future__ import annotations

import abc
import base64
import json
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import aiohttp

Json = dict[str, Any]
Stop = Literal["", "end", "limit", "tools", "refusal"]


class Broken(AssertionError):
    """The answer breaks a rule of its protocol."""


class BadArguments(Broken):
    """A call's arguments are no JSON object: the model wrote them so, which breaks no protocol."""


def need(condition: object, rule: str, seen: object = None) -> None:
    """Raises `Broken` with the rule unless the condition holds."""
    if not condition:
        raise Broken(f"{rule}: {str(seen)[:600]}" if seen is not None else rule)


# ---------------------------------------------------------------- asking


def _png(color: bytes = b"\x20\x80\xc0") -> bytes:
    """A picture of two by two points."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 2, 2, 8, 2, 0, 0, 0)
    rows = zlib.compress((b"\x00" + color * 2) * 2)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


PNG = base64.b64encode(_png()).decode()


@dataclass(frozen=True, slots=True)
class Picture:
    """An image."""

    data: str = PNG
    media_type: str = "image/png"


@dataclass(frozen=True, slots=True)
class Used:
    """A tool call that the model made in an earlier turn."""

    id: str
    name: str
    arguments: Json


@dataclass(frozen=True, slots=True)
class Result:
    """What a tool answered; protocols that can take images there get them there."""

    id: str
    parts: tuple[str | Picture, ...]
    name: str = ""
    error: bool = False


@dataclass(frozen=True, slots=True)
class Thought:
    """Reasoning of an earlier turn."""

    text: str
    signature: str = ""


Part = str | Picture | Used | Result | Thought


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of the conversation."""

    role: Literal["user", "assistant"]
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Function:
    """A tool on offer."""

    name: str
    description: str = "does a thing"
    schema: Json = field(
        default_factory=lambda: {"type": "object", "properties": {"path": {"type": "string"}}}
    )


@dataclass(frozen=True, slots=True)
class Ask:
    """A request.

    Attributes:
        system: sent as a string when it is one, as parts where the protocol has such when it is several.
        choice: `auto`, `none`, `required`, or the name of a tool; empty says nothing.
        thinking: an effort, `off`, or empty for nothing.
        schema: JSON Schema of a structured answer.
        usage: whether a stream shall report its token counts, where that can be asked.
        more: fields of the protocol itself, over everything else.
    """

    turns: tuple[Turn, ...] = (Turn("user", ("hi",)),)
    system: tuple[str, ...] = ()
    tools: tuple[Function, ...] = ()
    choice: str = ""
    parallel: bool | None = None
    thinking: str = ""
    stop: tuple[str, ...] = ()
    schema: Json | None = None
    stream: bool = False
    usage: bool = True
    limit: int | None = 200
    temperature: float | None = None
    model: str = "auto-route"
    more: Json = field(default_factory=dict)

    def with_(self, **changes: Any) -> Ask:
        """A copy with other values."""
        return replace(self, **changes)


def user(*parts: Part) -> Turn:
    """A turn of the user."""
    return Turn("user", parts)


def assistant(*parts: Part) -> Turn:
    """A turn of the model."""
    return Turn("assistant", parts)


# ---------------------------------------------------------------- getting


@dataclass(slots=True)
class ToolCall:
    """A tool call in an answer. `pieces` counts the stream events that brought its arguments."""

    id: str
    name: str
    arguments: Json
    pieces: int = 0


@dataclass(slots=True)
class Problem:
    """An error: with its HTTP status, or 0 when it came within a stream."""

    status: int
    type: str
    message: str


@dataclass(slots=True)
class Answer:
    """What came back, whatever the protocol.

    `order` lists the kinds of the blocks as they came: text, thinking, call.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    thoughts: str = ""
    signature: str = ""
    calls: list[ToolCall] = field(default_factory=list)
    order: list[str] = field(default_factory=list)
    stop: Stop = ""
    stop_sequence: str | None = None
    usage: tuple[int, int] | None = None
    model: str = ""
    problem: Problem | None = None
    events: list[Any] = field(default_factory=list)
    raw: bytes = b""

    @property
    def good(self) -> bool:
        """Whether it ended as a good answer does."""
        return self.problem is None and bool(self.stop)


class Client(abc.ABC):
    """One client protocol."""

    name: str
    path: str
    can: frozenset[str]
    """Features that the protocol has words for."""
    stream_type = "text/event-stream"

    @abc.abstractmethod
    def body(self, ask: Ask) -> Json:
        """The body of a request."""

    @abc.abstractmethod
    def whole(self, body: Json, ask: Ask) -> Answer:
        """Reads a good answer that was not streamed."""

    @abc.abstractmethod
    def streamed(self, raw: bytes, ask: Ask) -> Answer:
        """Reads a stream to its end."""

    @abc.abstractmethod
    def problem(self, status: int, body: Json) -> Problem:
        """Reads an error response."""

    def read(self, status: int, headers: Mapping[str, str], raw: bytes, ask: Ask) -> Answer:
        """Reads a whole response."""
        kind = headers.get("content-type", "").partition(";")[0].strip()
        if status == 200 and ask.stream:
            need(kind == self.stream_type, "a stream has the type of streams", kind)
            answer = self.streamed(raw, ask)
        else:
            need(kind == "application/json", "what is not streamed is JSON", (status, kind, raw))
            body = json.loads(raw)
            need(isinstance(body, dict), "an answer is an object", raw)
            answer = self.whole(body, ask) if status == 200 else Answer(problem=self.problem(status, body))
        answer.status, answer.headers, answer.raw = status, headers, raw
        if answer.problem is not None:
            need(answer.problem.message.strip(), "an error has a message", raw)
            need("Traceback" not in answer.problem.message, "an error shows no traceback", raw)
        return answer

    async def send(
        self, http: aiohttp.ClientSession, url: str, ask: Ask, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Asks and reads the answer to its end."""
        async with http.post(url + self.path, json=self.body(ask), headers=headers) as response:
            raw = await response.read()
            return self.read(response.status, response.headers, raw, ask)


def sse_events(raw: bytes) -> list[tuple[str, str]]:
    """(event, data) of a stream of server-sent events, as WHATWG HTML, 9.2.6 has it."""
    text = raw.decode().replace("\r\n", "\n").replace("\r", "\n")
    need(text.endswith("\n\n"), "every event ends with a blank line", text[-80:])
    events: list[tuple[str, str]] = []
    for block in text.split("\n\n")[:-1]:
        name, data = "", []
        for line in block.split("\n"):
            field_name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if field_name == "event":
                name = value
            elif field_name == "data":
                data.append(value)
            else:
                need(field_name in ("", "id", "retry"), "a known field, or a comment", line)
        if data:
            events.append((name, "\n".join(data)))
    return events


def arguments_of(text: str) -> Json:
    """The object that a call's arguments are, as text."""
    try:
        value = json.loads(text or "{}")
    except (ValueError, RecursionError) as error:
        raise BadArguments(f"{error}: {text[:200]}") from error
    if not isinstance(value, dict):
        raise BadArguments(f"arguments are an object: {text[:200]}")
    return value
