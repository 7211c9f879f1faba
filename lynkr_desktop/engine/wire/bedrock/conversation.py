"""The turns of a conversation as Converse takes them.

Converse is strict: turns alternate and the user's come first, no text is blank, every tool call is answered
in the turn behind it and nothing else is, ids and names keep to a pattern. What clients send is brought into
that form here, without a word of it being lost.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from lynkr_desktop.engine.wire.canonical import (
    Block,
    Document,
    Image,
    Json,
    RedactedThinking,
    Request,
    Role,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
)
from lynkr_desktop.engine.wire.errors import Unsupported
from lynkr_desktop.engine.wire.fields import encode_json

_LONGEST = 64
"""Characters of a tool's name or of a call's id."""

_OUTSIDE = re.compile(r"[^a-zA-Z0-9_-]")
_OUTSIDE_TITLE = re.compile(r"[^A-Za-z0-9\-()\[\]]+")

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
        taken: set[str] = set()
        # Those that stay as they are come first: none of them may be taken by another's safe form.
        for name in sorted(set(names), key=lambda name: (_is_safe(name) is False, name)):
            made.safe[name] = _safe(name, taken)
            taken.add(made.safe[name])
        return made

    @property
    def back(self) -> dict[str, str]:
        """From the safe form to the client's name, where the two differ."""
        return {safe: name for name, safe in self.safe.items() if safe != name}


@dataclass(slots=True)
class _Pending:
    """A call that waits for its answer."""

    id: str
    """As the client has it; may be blank."""
    safe: str


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
    """

    def __init__(
        self, request: Request, names: Names, *, tools: bool, signed: bool, cache_points: bool
    ) -> None:
        self._names = names
        self._tools = tools
        self._signed = signed
        self._cache_points = cache_points
        self._titles: set[str] = set()
        self._ids: set[str] = set()
        self._pending: list[_Pending] = []
        self.messages: list[Json] = []
        for message in request.messages:
            if message.role == "assistant":
                self._answer_pending([])
                self._append("assistant", self._assistant(message.content))
            else:
                self._append("user", self._user(message.content))
        self._answer_pending([])
        if not self.messages:
            raise Unsupported("Bedrock takes no conversation without any text in it.", "messages")
        if self.messages[0]["role"] == "assistant":
            self.messages.insert(0, {"role": "user", "content": [{"text": "Continue."}]})
        self._finish_last()

    @property
    def resumes_without_thinking(self) -> bool:
        """Whether the newest calls of tools came without reasoning before them.

        A model that is to think within a budget refuses to go on from there.
        """
        for message in reversed(self.messages):
            if message["role"] == "assistant":
                content = message["content"]
                return any("toolUse" in block for block in content) and "reasoningContent" not in content[0]
        return False

    def _append(self, role: Role, blocks: list[Json]) -> None:
        """Adds a turn; two of the same role become one."""
        if not blocks:
            return
        if self.messages and self.messages[-1]["role"] == role:
            self.messages[-1]["content"] += blocks
        else:
            self.messages.append({"role": role, "content": blocks})

    def _finish_last(self) -> None:
        """Claude refuses white space at the end of an answer that it is to continue."""
        last = self.messages[-1]
        if last["role"] == "assistant" and "text" in last["content"][-1]:
            last["content"][-1]["text"] = last["content"][-1]["text"].rstrip()
        for message in self.messages:
            content = message["content"]
            if any("document" in block for block in content) and not any(
                "text" in block for block in content
            ):
                content.append({"text": "See the attached document."})

    # ------------------------------------------------------------ turns

    def _assistant(self, content: tuple[Block, ...]) -> list[Json]:
        blocks: list[Json] = []
        for block in content:
            match block:
                case Text():
                    blocks += self._text(block)
                case Thinking():
                    if block.signature and self._signed:
                        text = {"text": block.text, "signature": block.signature}
                        blocks.append({"reasoningContent": {"reasoningText": text}})
                case RedactedThinking():
                    if self._signed:
                        blocks.append({"reasoningContent": {"redactedContent": block.data}})
                case ToolUse() if self._tools:
                    blocks.append(self._call(block))
                case ToolUse():
                    arguments = encode_json(block.input).decode()
                    blocks.append({"text": f"[Call of the tool {block.name}: {arguments}]"})
                case ToolResult():
                    blocks += self._told(block)
                case Image() | Document():
                    raise Unsupported("Bedrock takes images and documents from the user only.", "messages")
        return blocks

    def _user(self, content: tuple[Block, ...]) -> list[Json]:
        """Answers to calls come first, as the models insist; all else keeps its order."""
        results = [block for block in content if isinstance(block, ToolResult)]
        answered = self._match(results)
        blocks: list[Json] = []
        for number, result in enumerate(results):
            if (call := answered.get(number)) is not None:
                blocks += self._result(result, call)
        blocks += self._unanswered()
        position = -1
        for block in content:
            match block:
                case ToolResult():
                    position += 1
                    if position not in answered:
                        blocks += self._told(block)
                case Text():
                    blocks += self._text(block)
                case Image():
                    blocks += [self._image(block), *self._cache_point(block.extra)]
                case Document():
                    blocks += [self._document(block), *self._cache_point(block.extra)]
                case Thinking() | RedactedThinking() | ToolUse():
                    raise Unsupported("Only an assistant's turn may think or call tools.", "messages")
        return blocks

    # ------------------------------------------------------------ tools

    def _call(self, block: ToolUse) -> Json:
        safe = _safe(block.id or "call", self._ids)
        self._ids.add(safe)
        self._pending.append(_Pending(block.id, safe))
        name = self._names.safe[block.name]
        return {"toolUse": {"toolUseId": safe, "name": name, "input": block.input}}

    def _match(self, results: list[ToolResult]) -> dict[int, _Pending]:
        """Which result answers which waiting call: by id, those without one in their order."""
        answered: dict[int, _Pending] = {}
        for number, result in enumerate(results):
            found = next((call for call in self._pending if call.id == result.tool_use_id), None)
            if result.tool_use_id and found is not None:
                answered[number] = found
                self._pending.remove(found)
        for number, result in enumerate(results):
            if not result.tool_use_id and self._pending:
                answered[number] = self._pending.pop(0)
        return answered

    def _result(self, result: ToolResult, call: _Pending) -> list[Json]:
        content = [self._part(part) for part in result.content]
        body: Json = {"toolUseId": call.safe, "content": content or [{"text": "(no output)"}]}
        if result.is_error:
            body["status"] = "error"
        return [{"toolResult": body}, *self._cache_point(result.extra)]

    def _unanswered(self) -> list[Json]:
        """Answers to the calls that never got one."""
        missing = [{"text": "(this call was not answered)"}]
        blocks: list[Json] = [
            {"toolResult": {"toolUseId": call.safe, "content": missing, "status": "error"}}
            for call in self._pending
        ]
        self._pending.clear()
        return blocks

    def _answer_pending(self, blocks: list[Json]) -> None:
        self._append("user", blocks + self._unanswered())

    def _told(self, result: ToolResult) -> list[Json]:
        """A tool's answer whose call is not there, as text; its images follow."""
        blocks: list[Json] = [{"text": f"[Answer of a tool: {result.text or '(no output)'}]"}]
        for part in result.content:
            if isinstance(part, Image):
                blocks.append(self._image(part))
            elif isinstance(part, Document) and not part.text:
                blocks.append(self._document(part))
        return blocks

    # ------------------------------------------------------------ parts

    def _part(self, part: Text | Image | Document) -> Json:
        match part:
            case Text():
                return {"text": part.text}
            case Image():
                return self._image(part)
            case Document():
                return self._document(part)

    def _text(self, block: Text) -> list[Json]:
        """Blank text is refused, so it is left out."""
        return [{"text": block.text}, *self._cache_point(block.extra)] if block.text.strip() else []

    def _image(self, image: Image) -> Json:
        if not image.data:
            raise Unsupported(
                "Bedrock takes images as base64 data only, not as a link. Send the image itself.", "messages"
            )
        known = _IMAGE_FORMATS.get(image.media_type.lower())
        if known is None:
            raise Unsupported(f"Bedrock cannot read {image.media_type or 'such'} images.", "messages")
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
            raise Unsupported(f"Bedrock cannot read {document.media_type} documents.", "messages")
        title = self._title(document.title)
        return {"document": {"format": known, "name": title, "source": {"bytes": data}}}

    def _title(self, title: str) -> str:
        """A name that Converse takes: few kinds of characters, and no two alike in a request."""
        stem = _OUTSIDE_TITLE.sub(" ", title).strip()[:180] or "document"
        name, number = stem, 1
        while name in self._titles:
            number += 1
            name = f"{stem} {number}"
        self._titles.add(name)
        return name

    def _cache_point(self, extra: Json) -> list[Json]:
        point = cache_point(extra) if self._cache_points else None
        return [point] if point is not None else []


def cache_point(extra: Json) -> Json | None:
    """Where a prompt's cached part ends, from a block's cache_control; None without one."""
    control = extra.get("cache_control")
    if not isinstance(control, dict):
        return None
    point: Json = {"type": "default"}
    if control.get("ttl") in ("5m", "1h"):
        point["ttl"] = control["ttl"]
    return {"cachePoint": point}


def _is_safe(name: str) -> bool:
    return 0 < len(name) <= _LONGEST and _OUTSIDE.search(name) is None


def _safe(name: str, taken: set[str]) -> str:
    """`name` where it fits the pattern and is free; else its like, the same for the same name."""
    if _is_safe(name) and name not in taken:
        return name
    stem = _OUTSIDE.sub("_", name)[: _LONGEST - 9] or "call"
    number = 0
    while True:
        digest = hashlib.sha256(f"{number} {name}".encode()).hexdigest()[:8]
        safe = f"{stem}_{digest}"
        if safe not in taken:
            return safe
        number += 1
