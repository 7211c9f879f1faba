"""The canonical request to a Messages body.

What the API would refuse is settled here where it can be without changing what is asked; each such change is
named. Source: https://platform.claude.com/docs/en/api/messages
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from lynkr_desktop.engine.wire.anthropic.learned import Learned
from lynkr_desktop.engine.wire.anthropic.schemas import closed_schema
from lynkr_desktop.engine.wire.canonical import (
    Block,
    Document,
    Image,
    Json,
    Message,
    RedactedThinking,
    Request,
    Text,
    Thinking,
    Tool,
    ToolResult,
    ToolUse,
)
from lynkr_desktop.engine.wire.claude import BUDGETS, EFFORTS, LEAST_BUDGET, ClaudeModel, claude_model
from lynkr_desktop.engine.wire.dropped import vendor_fields
from lynkr_desktop.engine.wire.errors import Unsupported
from lynkr_desktop.engine.wire.pairing import paired_turns

MAX_TOKENS = 32_000
"""max_tokens where the client names none: every model since Claude 4 writes that much; older ones say in
their refusal how much they write, and are asked again with that."""

_IMAGE_TYPES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_KNOWN_EFFORTS = frozenset({"low", "medium", "high", "xhigh", "max"})
_LEAST_TOP_P = 0.95
"""The least top_p beside thinking."""
_NOT_CLAUDE = ClaudeModel((4, 0))
"""What is asked of a model of another vendor behind this protocol."""
_JSON_ONLY = "Answer with a single JSON object and nothing else: no other text, no code fence."


@dataclass(frozen=True, slots=True)
class Composed:
    """A body, and the names of the request's fields that it does not carry as they were."""

    body: Json
    dropped: tuple[str, ...]


def compose(request: Request, model: str, learned: Learned = Learned()) -> Composed:  # noqa: B008 - immutable
    """The body for `model`.

    Raises:
        Unsupported: the answer depends on something that Messages cannot say.
    """
    return _Composer(request, model, learned).compose()


class _Composer:
    def __init__(self, request: Request, model: str, learned: Learned) -> None:
        self._request = request
        self._claude = claude_model(model) or _NOT_CLAUDE
        self._learned = learned
        self._refused = learned.refused
        # cache_control is Anthropic's own; signed thoughts go along.
        self._dropped = vendor_fields(request) - {"cache_control", "signature"}
        self._body: Json = {"model": model}

    def compose(self) -> Composed:
        request, body = self._request, self._body
        turns = paired_turns(request.messages, thoughts="signature" not in self._refused)
        body["max_tokens"] = self._max_tokens()
        if system := self._system():
            body["system"] = system
        body["messages"] = [_encode_message(turn) for turn in turns]
        _trim_last(body["messages"])
        self._tools(turns)
        self._thinking(turns)
        self._sampling()
        self._format()
        stops = [stop for stop in request.stop if stop.strip()]
        if stops:
            body["stop_sequences"] = stops
        if len(stops) < len(request.stop):
            self._dropped.add("stop")
        if request.seed is not None:
            self._dropped.add("seed")
        if request.user:
            body["metadata"] = {"user_id": request.user}
        if request.metadata:
            self._dropped.add("metadata")
        if request.stream:
            body["stream"] = True
        return Composed(body, tuple(sorted(self._dropped)))

    def _max_tokens(self) -> int:
        wanted, most = self._request.max_tokens, self._learned.most_tokens
        if wanted is None:
            return min(MAX_TOKENS, most or MAX_TOKENS)
        if most is not None and wanted > most:
            self._dropped.add("max_tokens")
            return most
        return wanted

    def _system(self) -> list[Json]:
        blocks = [_encode_text(part) for part in self._request.system if part.text.strip()]
        wanted = self._request.response_format
        if wanted is not None and wanted.kind == "json_object":
            # Messages has no mode for JSON of any shape: it is asked for, not enforced.
            self._dropped.add("response_format")
            blocks.append({"type": "text", "text": _JSON_ONLY})
        return blocks

    # ------------------------------------------------------------ tools

    def _tools(self, turns: tuple[Message, ...]) -> None:
        request, body = self._request, self._body
        if request.tools:
            body["tools"] = [_encode_tool(tool) for tool in request.tools]
            body["tool_choice"] = self._tool_choice()
            return
        # A conversation with calls in it wants its tools named, though none may be called.
        names = {block.name for turn in turns for block in turn.content if isinstance(block, ToolUse)}
        if names:
            body["tools"] = [{"name": name, "input_schema": {"type": "object"}} for name in sorted(names)]
            body["tool_choice"] = {"type": "none"}

    def _tool_choice(self) -> Json:
        choice = self._request.tool_choice
        match choice.kind:
            case "none":
                return {"type": "none"}
            case "named":
                out: Json = {"type": "tool", "name": choice.name}
            case "required":
                out = {"type": "any"}
            case "auto":
                out = {"type": "auto"}
        if choice.parallel is not None:
            out["disable_parallel_tool_use"] = not choice.parallel
        return out

    # ------------------------------------------------------------ thinking

    def _thinking(self, turns: tuple[Message, ...]) -> None:
        reasoning, claude = self._request.reasoning, self._claude
        if reasoning is None:
            return
        if not claude.thinks or "thinking" in self._refused:
            if reasoning.enabled:
                self._dropped.add("thinking")
            return
        if not reasoning.enabled:
            if "disabled" not in self._refused:
                self._body["thinking"] = {"type": "disabled"}
            return
        if self._body.get("tool_choice", {}).get("type") in ("any", "tool"):
            # A tool that must be called leaves no room to think.
            self._dropped.add("thinking")
            return
        budget_wanted = reasoning.budget_tokens is not None and claude.takes_budget
        adaptive = claude.adaptive and "adaptive" not in self._refused
        if adaptive and (not budget_wanted or "enabled" in self._refused):
            self._body["thinking"] = {"type": "adaptive"}
            if reasoning.budget_tokens is not None and reasoning.effort is None:
                self._dropped.add("thinking.budget_tokens")
            self._effort(reasoning.level)
        elif "enabled" not in self._refused:
            self._budget(turns, reasoning.budget_tokens, reasoning.effort)
        else:
            self._dropped.add("thinking")

    def _effort(self, level: str | None) -> None:
        effort = EFFORTS.get(level or "", level)
        if effort is None:
            return
        if effort in _KNOWN_EFFORTS and "effort" not in self._refused:
            self._body["output_config"] = {"effort": effort}
        else:
            self._dropped.add("effort")

    def _budget(self, turns: tuple[Message, ...], wanted: int | None, effort: str | None) -> None:
        budget = wanted if wanted is not None else BUDGETS.get(effort or "medium", BUDGETS["medium"])
        # The budget is part of max_tokens; at least half of that is left for the answer.
        limit = self._body["max_tokens"]
        fitting = budget if wanted is not None and budget < limit else min(budget, limit // 2)
        if fitting < LEAST_BUDGET or _resumes_without_thought(turns):
            self._dropped.add("thinking")
            return
        if wanted is not None and fitting != wanted:
            self._dropped.add("thinking.budget_tokens")
        self._body["thinking"] = {"type": "enabled", "budget_tokens": fitting}

    # ------------------------------------------------------------ sampling and format

    def _sampling(self) -> None:
        request, thinking = self._request, "budget_tokens" in self._body.get("thinking", {})
        thinking = thinking or self._body.get("thinking") == {"type": "adaptive"}
        temperature, top_p, top_k = request.temperature, request.top_p, request.top_k
        # 1 is the default of both, and not every model takes even that.
        if temperature is not None and temperature != 1:
            if thinking or not self._takes("temperature"):
                self._dropped.add("temperature")
                temperature = None
            elif temperature > 1:
                self._dropped.add("temperature")
                self._body["temperature"] = temperature = 1
            else:
                self._body["temperature"] = temperature
        if top_p is not None and top_p != 1:
            alone = not (self._claude.one_sampler or "one_sampler" in self._refused)
            if (
                (thinking and top_p < _LEAST_TOP_P)
                or not self._takes("top_p")
                or ("temperature" in self._body and not alone)
            ):
                self._dropped.add("top_p")
            else:
                self._body["top_p"] = top_p
        if top_k is not None:
            if thinking or top_k < 1 or not self._takes("top_k"):
                self._dropped.add("top_k")
            else:
                self._body["top_k"] = top_k

    def _takes(self, sampler: str) -> bool:
        return self._claude.samples and sampler not in self._refused

    def _format(self) -> None:
        wanted = self._request.response_format
        if wanted is None or wanted.kind != "json_schema":
            return
        schema, loosened = closed_schema(wanted.schema)
        self._dropped.update(f"response_format.{word}" for word in loosened)
        self._body.setdefault("output_config", {})["format"] = {"type": "json_schema", "schema": schema}


def _resumes_without_thought(turns: tuple[Message, ...]) -> bool:
    """Whether the answer goes on from tool calls that no thought came before.

    With a budget the API refuses that; clients of protocols that carry no signatures cannot do better.
    """
    for turn in reversed(turns):
        if turn.role == "user":
            if not all(isinstance(block, ToolResult) for block in turn.content):
                return False
        else:
            return not isinstance(turn.content[0], Thinking | RedactedThinking)
    return False


# ---------------------------------------------------------------- blocks


def _encode_message(turn: Message) -> Json:
    return {"role": turn.role, "content": [_encode_block(block, turn.role) for block in turn.content]}


def _trim_last(messages: list[Json]) -> None:
    """An answer that is to be continued may not end in white space."""
    last = messages[-1]
    if last["role"] == "assistant" and last["content"][-1]["type"] == "text":
        last["content"][-1]["text"] = last["content"][-1]["text"].rstrip()


def _encode_block(block: Block, role: str) -> Json:
    match block:
        case Text():
            return _encode_text(block)
        case Thinking():
            return {"type": "thinking", "thinking": block.text, "signature": block.signature}
        case RedactedThinking():
            return {"type": "redacted_thinking", "data": block.data}
        case ToolUse():
            return {"type": "tool_use", "id": block.id, "name": block.name, "input": block.input}
        case ToolResult():
            return _encode_result(block)
        case Image() | Document() if role == "assistant":
            raise Unsupported("Claude takes images and documents from the user only.", "messages")
        case Image():
            return _encode_image(block)
        case Document():
            return _encode_document(block)


def _encode_text(block: Text) -> Json:
    return {"type": "text", "text": block.text, **_cache_control(block.extra)}


def _cache_control(extra: Json) -> Json:
    control = extra.get("cache_control")
    return {"cache_control": control} if isinstance(control, dict) else {}


def _encode_result(block: ToolResult) -> Json:
    out: Json = {"type": "tool_result", "tool_use_id": block.tool_use_id}
    content = [
        _encode_block(part, "user")
        for part in block.content
        if not (isinstance(part, Text) and not part.text.strip())
    ]
    if content:
        out["content"] = content
    if block.is_error:
        out["is_error"] = True
    return {**out, **_cache_control(block.extra)}


def _encode_image(image: Image) -> Json:
    if image.url:
        source: Json = {"type": "url", "url": image.url}
    else:
        kind = image.media_type.lower().replace("image/jpg", "image/jpeg")
        if kind not in _IMAGE_TYPES:
            raise Unsupported(
                f"Claude cannot read images of the type {kind or 'unknown'}. Send JPEG, PNG, GIF or WebP.",
                "messages",
            )
        source = {"type": "base64", "media_type": kind, "data": image.data}
    return {"type": "image", "source": source, **_cache_control(image.extra)}


def _encode_document(document: Document) -> Json:
    title = {"title": document.title} if document.title else {}
    return {
        "type": "document",
        "source": _document_source(document),
        **title,
        **_cache_control(document.extra),
    }


def _document_source(document: Document) -> Json:
    if document.url:
        return {"type": "url", "url": document.url}
    text = document.text
    kind = document.media_type.lower()
    if not text and kind.startswith("text/"):
        try:
            text = base64.b64decode(document.data, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise Unsupported(f"A document of the type {kind} is no base64 text.", "messages") from error
    if text:
        return {"type": "text", "media_type": "text/plain", "data": text}
    if kind != "application/pdf":
        raise Unsupported(
            f"Claude cannot read documents of the type {kind or 'unknown'}. Send PDF or text.", "messages"
        )
    return {"type": "base64", "media_type": kind, "data": document.data}


def _encode_tool(tool: Tool) -> Json:
    out: Json = {"name": tool.name, "input_schema": {"type": "object", **tool.input_schema}}
    if tool.description:
        out["description"] = tool.description
    return {**out, **_cache_control(tool.extra)}
