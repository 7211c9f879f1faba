"""The turns of a conversation as Converse takes them.

Converse is strict beyond the order of turns: names and ids keep to a pattern, documents have names of their
own and text beside them, and calls of tools are refused where no tools go along.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

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
    ToolResult,
    ToolUse,
)
from lynkr_desktop.engine.wire.errors import Unsupported
from lynkr_desktop.engine.wire.fields import encode_json
from lynkr_desktop.engine.wire.pairing import paired_turns

_LONGEST = 64
"""Characters of a tool's name or of a call's id."""

_OUTSIDE = re.compile(r"[^a-zA-Z0-9_-]")
_OUTSIDE_TITLE = re.compile(r"[^A-Za-z0-9\-()\[\]]+")
_LONGEST_TITLE = 180

_IMAGE_FORMATS = {
    "image/png": "png",
    "image/jpeg": "jpeg",
    "image/jpg": "jpeg",
    "image/gif": "gif",
    "image/webp": "webp",
}
_DOCUMENT_FORMATS = {
    "application/pdf": "pdf",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/csv": "csv",
    "text/html": "html",
    "text/markdown": "md",
    "text/plain": "txt",
}


@dataclass(slots=True)
class Names:
    """Names of tools that fit Converse's pattern, and the way back."""

    safe: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, names: Iterable[str]) -> Names:
        """Gives each name its safe form; most are safe as they are."""
        made = cls()
        taken = {name for name in names if _is_safe(name)}
        made.safe = {name: name for name in taken}
        for name in sorted(set(names) - taken):
            made.safe[name] = _safe(name, taken)
            taken.add(made.safe[name])
        return made

    @property
    def back(self) -> dict[str, str]:
        """From the safe form to the client's name, where the two differ."""
        return {safe: name for name, safe in self.safe.items() if safe != name}


class Conversation:
    """Builds the `messages` of one request.

    Args:
        request: the canonical request.
        names: safe names of its tools.
        tools: whether tools go with the request; without any, calls and answers of earlier turns are told as
            text, since Converse refuses them then.
        signed: whether the model can take back reasoning that it signed.
        cache_points: whether the model knows points up to which a prompt is cached.

    Raises:
        Unsupported: something cannot be said to Converse.
        InvalidRequest: there is nothing to be said.
    """

    def __init__(
        self, request: Request, names: Names, *, tools: bool, signed: bool, cache_points: bool
    ) -> None:
        self._names = names
        self._cache_points = cache_points
        self._titles: set[str] = set()
        messages = request.messages if tools else tuple(map(_calls_as_text, request.messages))
        self._turns = paired_turns(messages, thoughts=signed)
        self.messages: list[Json] = [
            {"role": turn.role, "content": self._content(turn)} for turn in self._turns
        ]
        self._trim_last()

    @property
    def resumes_without_thinking(self) -> bool:
        """Whether the newest calls of tools came without reasoning before them.

        A model that is to think within a budget refuses to go on from there.
        """
        newest = next((turn.content for turn in reversed(self._turns) if turn.role == "assistant"), ())
        calls = any(isinstance(block, ToolUse) for block in newest)
        return calls and not isinstance(newest[0], Thinking | RedactedThinking)

    def _trim_last(self) -> None:
        """Claude refuses white space at the end of an answer that it is to continue."""
        last = self.messages[-1]
        if last["role"] == "assistant" and "text" in last["content"][-1]:
            last["content"][-1]["text"] = last["content"][-1]["text"].rstrip()

    def _content(self, turn: Message) -> list[Json]:
        blocks: list[Json] = []
        for block in turn.content:
            if isinstance(block, Image | Document) and turn.role == "assistant":
                raise Unsupported("Bedrock takes images and documents from the user only.", "messages")
            blocks.append(self._block(block))
            if self._cache_points and (point := cache_point(getattr(block, "extra", {}))):
                blocks.append(point)
        if any("document" in block for block in blocks) and not any("text" in block for block in blocks):
            blocks.append({"text": "See the attached document."})
        return blocks

    def _block(self, block: Block) -> Json:
        match block:
            case Text():
                return {"text": block.text}
            case Thinking():
                text = {"text": block.text, "signature": block.signature}
                return {"reasoningContent": {"reasoningText": text}}
            case RedactedThinking():
                return {"reasoningContent": {"redactedContent": block.data}}
            case ToolUse():
                name = self._names.safe[block.name]
                call = {"toolUseId": _safe_id(block.id), "name": name, "input": block.input}
                return {"toolUse": call}
            case ToolResult():
                return {"toolResult": self._result(block)}
            case Image():
                return self._image(block)
            case Document():
                return self._document(block)

    def _result(self, result: ToolResult) -> Json:
        content = [self._block(part) for part in result.content] or [{"text": "(no output)"}]
        body: Json = {"toolUseId": _safe_id(result.tool_use_id), "content": content}
        if result.is_error:
            body["status"] = "error"
        return body

    def _image(self, image: Image) -> Json:
        if not image.data:
            raise Unsupported(
                "Bedrock takes images as base64 data only, not as a link. Send the image itself.", "messages"
            )
        known = _IMAGE_FORMATS.get(image.media_type.lower())
        if known is None:
            raise Unsupported(
                f"Bedrock cannot read images of the type {image.media_type or 'unknown'}. Send JPEG, PNG, "
                "GIF or WebP.",
                "messages",
            )
        return {"image": {"format": known, "source": {"bytes": image.data}}}

    def _document(self, document: Document) -> Json:
        if document.text:
            data = base64.b64encode(document.text.encode()).decode()
        elif document.data:
            data = document.data
        else:
            raise Unsupported("Bedrock takes documents as data only, not as a link.", "messages")
        kind = document.media_type.lower() or "text/plain"
        known = _DOCUMENT_FORMATS.get(kind, "txt" if kind.startswith("text/") else "")
        if not known:
            raise Unsupported(f"Bedrock cannot read documents of the type {kind}.", "messages")
        title = self._title(document.title)
        return {"document": {"format": known, "name": title, "source": {"bytes": data}}}

    def _title(self, title: str) -> str:
        """A name that Converse takes: few kinds of characters, and no two alike in a request."""
        stem = _OUTSIDE_TITLE.sub(" ", title).strip()[:_LONGEST_TITLE].rstrip() or "document"
        name, number = stem, 1
        while name in self._titles:
            number += 1
            name = f"{stem} {number}"
        self._titles.add(name)
        return name


def cache_point(extra: Json) -> Json | None:
    """Where a prompt's cached part ends, from a block's cache_control; None without one."""
    control = extra.get("cache_control")
    if not isinstance(control, dict):
        return None
    point: Json = {"type": "default"}
    if control.get("ttl") in ("5m", "1h"):
        point["ttl"] = control["ttl"]
    return {"cachePoint": point}


def _calls_as_text(message: Message) -> Message:
    return Message(message.role, tuple(_told(message.content)))


def _told(content: tuple[Block, ...]) -> Iterator[Block]:
    for block in content:
        match block:
            case ToolUse():
                yield Text(f"[Call of the tool {block.name}: {encode_json(block.input).decode()}]")
            case ToolResult():
                texts = "\n".join(part.text for part in block.content if isinstance(part, Text) and part.text)
                yield Text(f"[Answer of a tool: {texts or '(no output)'}]")
                yield from (part for part in block.content if not isinstance(part, Text))
            case _:
                yield block


def _is_safe(name: str) -> bool:
    return 0 < len(name) <= _LONGEST and _OUTSIDE.search(name) is None


def _safe(name: str, taken: set[str]) -> str:
    """The like of a name that does not fit the pattern, the same for the same name."""
    number = 0
    while True:
        digest = hashlib.sha256(f"{number} {name}".encode()).hexdigest()[:8]
        safe = f"{_OUTSIDE.sub('_', name)[: _LONGEST - 9] or 'tool'}_{digest}"
        if safe not in taken:
            return safe
        number += 1


def _safe_id(call_id: str) -> str:
    """Ids come made of safe characters and unique, but of any length."""
    return call_id if len(call_id) <= _LONGEST else hashlib.sha256(call_id.encode()).hexdigest()
