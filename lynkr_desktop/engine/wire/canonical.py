"""The canonical model, in which every client protocol and every provider meet.

A request is a list of messages made of content blocks; a reply is a sequence of stream events. A reply that
is not streamed is the same sequence, folded by `Reply.of`. It stays close to Anthropic's blocks, because
they are the richest of the protocols: what a block can say, the others can say less of.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import msgspec
from msgspec import Struct

Role = Literal["user", "assistant"]
StopReason = Literal["end_turn", "max_tokens", "tool_use", "stop_sequence", "refusal"]
Need = Literal["tools", "vision"]
Json = dict[str, Any]

_NOTHING: frozenset[Need] = frozenset()
_TOOLS: frozenset[Need] = frozenset({"tools"})
_VISION: frozenset[Need] = frozenset({"vision"})

# ---------------------------------------------------------------- content blocks


class Text(Struct, frozen=True, tag="text"):
    """Plain text. `extra` keeps vendor fields such as cache_control."""

    text: str
    extra: Json = {}


class Image(Struct, frozen=True, tag="image"):
    """An image: base64 `data` with its `media_type`, or a `url`; exactly one of the two is set."""

    media_type: str = ""
    data: str = ""
    url: str = ""
    extra: Json = {}


class Document(Struct, frozen=True, tag="document"):
    """A document (PDF or text): base64 `data`, plain `text` or a `url`."""

    media_type: str = ""
    data: str = ""
    text: str = ""
    url: str = ""
    title: str = ""
    extra: Json = {}


class Thinking(Struct, frozen=True, tag="thinking"):
    """A model's reasoning. `signature` is empty when the vendor did not sign it (local models never do)."""

    text: str
    signature: str = ""


class RedactedThinking(Struct, frozen=True, tag="redacted_thinking"):
    """Reasoning that only its vendor can read."""

    data: str


class ToolUse(Struct, frozen=True, tag="tool_use"):
    """A call of a tool by the model. `input` is always an object."""

    id: str
    name: str
    input: Json


class ToolResult(Struct, frozen=True, tag="tool_result"):
    """What a tool answered to the call `tool_use_id`."""

    tool_use_id: str
    content: tuple[Text | Image | Document, ...] = ()
    is_error: bool = False
    extra: Json = {}

    @property
    def text(self) -> str:
        """The text parts, joined."""
        texts = (part.text for part in self.content if isinstance(part, Text | Document))
        return "\n".join(text for text in texts if text)


Block = Text | Image | Document | Thinking | RedactedThinking | ToolUse | ToolResult


# ---------------------------------------------------------------- request


class Message(Struct, frozen=True):
    """One turn; a tool's answers stand in a user turn, as Anthropic has it."""

    role: Role
    content: tuple[Block, ...]

    @property
    def text(self) -> str:
        """The text blocks, joined by newlines."""
        return "\n".join(block.text for block in self.content if isinstance(block, Text))


class Tool(Struct, frozen=True):
    """A tool that the model may call; `input_schema` is JSON Schema."""

    name: str
    description: str = ""
    input_schema: Json = {}
    extra: Json = {}


class ToolChoice(Struct, frozen=True):
    """auto: the model decides; none: no tools; required: some tool; named: the tool `name`."""

    kind: Literal["auto", "none", "required", "named"] = "auto"
    name: str = ""
    parallel: bool | None = None


class Reasoning(Struct, frozen=True):
    """How much the model should think. None leaves it to the provider."""

    enabled: bool
    budget_tokens: int | None = None
    effort: str | None = None

    @property
    def level(self) -> str | None:
        """The effort, for protocols that know no budget: as given, else by the size of the budget."""
        if self.effort or not self.enabled or self.budget_tokens is None:
            return self.effort
        return "low" if self.budget_tokens <= 4096 else "medium" if self.budget_tokens <= 16384 else "high"


class ResponseFormat(Struct, frozen=True):
    """Structured output: any JSON object, or JSON that fits `schema`."""

    kind: Literal["json_object", "json_schema"]
    schema: Json = {}
    name: str = ""
    strict: bool | None = None


class Request(Struct, frozen=True):
    """A request, free of any vendor's shape.

    Attributes:
        model: what the client asked for, as it wrote it.
        max_tokens: None when the client named no limit.
        extra: top-level fields that the canonical model has no word for; a provider that speaks the
            client's protocol sends them on, another names them in `x-lynkr-dropped`.
        inexpressible: paths of what the canonical model cannot carry although the answer depends on it
            (audio, `n` above 1, logprobs); only a provider of the client's own protocol can take it.
        origin: what the client's codec needs again for the reply; nobody else reads it.
    """

    model: str
    messages: tuple[Message, ...]
    system: tuple[Text, ...] = ()
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = ToolChoice()
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    stream: bool = False
    include_usage: bool = True
    reasoning: Reasoning | None = None
    response_format: ResponseFormat | None = None
    user: str = ""
    metadata: Json = {}
    extra: Json = {}
    inexpressible: tuple[str, ...] = ()
    origin: Json = {}

    @property
    def system_text(self) -> str:
        """The system prompt as one string."""
        return "\n\n".join(part.text for part in self.system if part.text)

    @property
    def has_images(self) -> bool:
        """Whether any turn, or any tool's answer, carries an image."""
        for message in self.messages:
            for block in message.content:
                if isinstance(block, Image):
                    return True
                if isinstance(block, ToolResult) and any(isinstance(part, Image) for part in block.content):
                    return True
        return False

    @property
    def media_bytes(self) -> int:
        """Bytes of the images and documents that it carries in itself: they say nothing of its tokens."""
        size = 0
        for message in self.messages:
            for block in message.content:
                for part in block.content if isinstance(block, ToolResult) else (block,):
                    if isinstance(part, Image | Document):
                        size += len(part.data)
        return size

    @property
    def has_results(self) -> bool:
        """Whether a tool has answered in it."""
        return any(isinstance(block, ToolResult) for message in self.messages for block in message.content)

    @property
    def offers_tools(self) -> bool:
        """Whether the model may call tools."""
        return bool(self.tools) and self.tool_choice.kind != "none"

    @property
    def needs(self) -> frozenset[Need]:
        """What a model must be able to do to answer."""
        needs = _TOOLS if self.offers_tools else _NOTHING
        return needs | _VISION if self.has_images else needs


# ---------------------------------------------------------------- stream events


class Usage(Struct, frozen=True):
    """Token counts of one reply.

    `input_tokens` is the whole prompt, with what was read from and written to a provider's prompt cache.
    `estimated` says that no provider reported it and that it was counted here. `cost` is what it costs in US
    dollars: as the provider reports it, else by the price list; None where the price is not known.
    """

    input_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False
    cost: float | None = None


class Started(Struct, frozen=True, tag="started"):
    """First event of a reply. `usage` carries the prompt's tokens where they are known already.

    `created` is when the upstream says that it began, in Unix seconds; 0 where it does not say.
    """

    id: str = ""
    model: str = ""
    usage: Usage | None = None
    created: int = 0


class BlockStarted(Struct, frozen=True, tag="block_started"):
    """A block opens. `block` has its identity; its content follows as deltas. Indexes rise from 0."""

    index: int
    block: Text | Thinking | RedactedThinking | ToolUse


class TextDelta(Struct, frozen=True, tag="text_delta"):
    """More text of block `index`."""

    index: int
    text: str


class ThinkingDelta(Struct, frozen=True, tag="thinking_delta"):
    """More reasoning of block `index`; `signature` closes it where the vendor signs."""

    index: int
    text: str = ""
    signature: str = ""


class ToolInputDelta(Struct, frozen=True, tag="tool_input_delta"):
    """More of the JSON text of a tool call's arguments."""

    index: int
    json: str


class BlockStopped(Struct, frozen=True, tag="block_stopped"):
    """Block `index` is complete."""

    index: int


class Stopped(Struct, frozen=True, tag="stopped"):
    """Last event of a good reply."""

    reason: StopReason
    usage: Usage
    stop_sequence: str | None = None


class Failed(Struct, frozen=True, tag="failed"):
    """Last event of a reply that broke off. `message` may be shown to the client.

    `told` says that the raw bytes that came with it tell a client of the upstream's protocol the same.
    """

    message: str
    status: int = 502
    kind: str = "upstream_error"
    told: bool = False


NAMELESS_CALL = Failed("The model called a tool without naming it.")

Event = Started | BlockStarted | TextDelta | ThinkingDelta | ToolInputDelta | BlockStopped | Stopped | Failed


# ---------------------------------------------------------------- embeddings


class EmbeddingRequest(Struct, frozen=True):
    """Texts to be turned into vectors, or `tokens`: texts as the numbers that the model itself has for them.

    `dimensions` None leaves the vectors' length to the model.
    """

    model: str
    inputs: tuple[str, ...]
    tokens: tuple[tuple[int, ...], ...] = ()
    dimensions: int | None = None
    extra: Json = {}


class Embeddings(Struct, frozen=True):
    """One vector per input, in their order."""

    model: str
    vectors: tuple[tuple[float, ...], ...]
    usage: Usage


# ---------------------------------------------------------------- folded reply


class Reply(Struct, frozen=True):
    """A whole reply, folded from its events."""

    id: str
    model: str
    content: tuple[Text | Thinking | RedactedThinking | ToolUse, ...]
    stop_reason: StopReason
    usage: Usage
    stop_sequence: str | None = None

    @classmethod
    def of(cls, events: Iterable[Event]) -> Reply | Failed:
        """Folds events; a sequence without an end is a failure, never an invented end_turn."""
        fold = ReplyFold()
        fold.feed(events)
        return fold.result()


class ReplyFold:
    """Folds events into a `Reply` as they come."""

    def __init__(self) -> None:
        self._id = ""
        self._model = ""
        self._open: dict[int, tuple[Text | Thinking | RedactedThinking | ToolUse, list[str], list[str]]] = {}
        self._end: Stopped | Failed | None = None

    def feed(self, events: Iterable[Event]) -> None:
        """Takes the next events."""
        for event in events:
            match event:
                case TextDelta():
                    self._open[event.index][1].append(event.text)
                case Started():
                    self._id, self._model = event.id, event.model
                case BlockStarted():
                    self._open[event.index] = (event.block, [], [])
                case BlockStopped():
                    pass
                case Stopped() | Failed():
                    self._end = event
                case ThinkingDelta():
                    self._open[event.index][1].append(event.text)
                    self._open[event.index][2].append(event.signature)
                case ToolInputDelta():
                    self._open[event.index][1].append(event.json)

    def result(self) -> Reply | Failed:
        """The reply, or why there is none."""
        if self._end is None:
            return Failed("The model's answer broke off before its end.")
        if isinstance(self._end, Failed):
            return self._end
        content = tuple([_close(*self._open[index]) for index in sorted(self._open)])
        for block in content:
            if isinstance(block, ToolUse) and not block.name:
                return NAMELESS_CALL
        return Reply(
            id=self._id,
            model=self._model,
            content=content,
            stop_reason=self._end.reason,
            usage=self._end.usage,
            stop_sequence=self._end.stop_sequence,
        )


def _close(
    block: Text | Thinking | RedactedThinking | ToolUse, parts: list[str], signatures: list[str]
) -> Text | Thinking | RedactedThinking | ToolUse:
    joined = "".join(parts)
    match block:
        case Text():
            return Text(block.text + joined)
        case Thinking():
            return Thinking(block.text + joined, block.signature + "".join(signatures))
        case ToolUse():
            return ToolUse(block.id, block.name, parse_arguments(joined) if joined else block.input)
        case RedactedThinking():
            return block


def parse_arguments(text: str) -> Json:
    """Parses a tool call's arguments. What is no JSON object is kept whole under "raw", never thrown away."""
    if not text.strip():
        return {}
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return {"raw": text}
    return value if isinstance(value, dict) else {"raw": text}
