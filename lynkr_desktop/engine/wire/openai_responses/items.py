"""The items of `input` to the turns of a conversation."""

from __future__ import annotations

from typing import Any

from lynkr_desktop.engine.wire.canonical import (
    Block,
    Document,
    Image,
    Json,
    Message,
    Role,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    parse_arguments,
)
from lynkr_desktop.engine.wire.errors import InvalidRequest
from lynkr_desktop.engine.wire.fields import Fields, encode_json
from lynkr_desktop.engine.wire.openai_responses.sealed import unseal
from lynkr_desktop.engine.wire.openai_responses.tools import (
    KIND_OF_CALL,
    LOCAL_KINDS,
    ToolSet,
    function_name,
)

Part = Text | Image | Document

# Traces of what OpenAI's servers did; the answers that they led to stand in the conversation anyway.
_TRACES = frozenset({"web_search_call", "image_generation_call", "mcp_list_tools"})
_ANSWERS = frozenset(
    {
        "function_call_output",
        "custom_tool_call_output",
        "local_shell_call_output",
        "shell_call_output",
        "apply_patch_call_output",
    }
)
# Fields of an item that tell of the item and not of what it says.
_ABOUT = ("id", "status", "created_by", "caller")


class Conversation:
    """The turns as the items come.

    A system message that opens the conversation is the system text. A later one stays where it is, as a turn
    of the user: moved to the front it would void every prompt cache behind it.

    Attributes:
        system: what stands before the first turn.
        dropped: fields and items that only OpenAI knows, kept by name.
        inexpressible: paths of items on which the answer depends and that nobody else can read.
    """

    def __init__(self, tools: ToolSet) -> None:
        self.system: list[Text] = []
        self.dropped: Json = {}
        self.inexpressible: list[str] = []
        self._tools = tools
        self._turns: list[tuple[Role, list[Block]]] = []
        self._answered = False

    @property
    def messages(self) -> tuple[Message, ...]:
        """The turns."""
        return tuple(Message(role, tuple(blocks)) for role, blocks in self._turns)

    def say(self, text: str) -> None:
        """Takes an `input` that is only a string."""
        self._turns.append(("user", [Text(text)]))

    def add(self, item: Fields) -> None:
        """Takes the next item. Raises `InvalidRequest`."""
        kind = item.string("type") or ("message" if item.get("role") else "item_reference")
        for name in _ABOUT:
            item.get(name)
        match kind:
            case "message":
                self._add_message(item)
            case "reasoning":
                self._add_reasoning(item)
            case "function_call":
                arguments = parse_arguments(item.string("arguments"))
                name = function_name(item.need_string("name"), item.string("namespace"))
                self._model([ToolUse(_call_id(item), name, arguments)])
            case "custom_tool_call":
                name = function_name(item.need_string("name"), item.string("namespace"))
                self._model([ToolUse(_call_id(item), name, {"input": item.string("input")})])
            case "tool_search_output":
                self._add_found_tools(item)
            case "additional_tools":
                self._add_tools(item)
            case _ if kind in KIND_OF_CALL:
                name = KIND_OF_CALL[kind]
                self._model([ToolUse(_call_id(item), name, _local_arguments(item, name))])
            case _ if kind in _ANSWERS:
                self._answer(ToolResult(_call_id(item), self._output(item), _failed(item)))
            case _ if kind in _TRACES:
                self.dropped[f"input.{kind}"] = True
            case _:
                self.inexpressible.append(f"{item.at('type')} ({kind})")

    def _add_message(self, item: Fields) -> None:
        role = item.need_string("role")
        parts = self._parts(item, "content")
        for name in item.rest():
            self.dropped[f"input.{name}"] = True
        match role:
            case "user":
                self._user(parts)
            case "assistant":
                self._model(parts)
            case "system" | "developer":
                texts = [part for part in parts if isinstance(part, Text)]
                if len(texts) < len(parts):
                    self.inexpressible.append(f"{item.at('content')} (of {role}, beside text)")
                if self._turns:
                    self._user(texts)
                else:
                    self.system += texts
            case _:
                raise item.wrong("role", "one of user, assistant, system, developer")

    def _add_reasoning(self, item: Fields) -> None:
        encrypted = item.string("encrypted_content")
        if (block := unseal(encrypted)) is not None:
            self._model([block])
            return
        if encrypted:
            self.dropped["input.encrypted_content"] = True
        texts = [
            text
            for key in ("summary", "content")
            for number, entry in enumerate(item.items(key))
            if (text := Fields(entry, f"{item.at(key)}[{number}]").string("text"))
        ]
        if texts:
            self._model([Thinking("\n\n".join(texts))])

    def _add_tools(self, item: Fields) -> list[str]:
        before = {tool.name for tool in self._tools.tools}
        for number, entry in enumerate(item.items("tools")):
            self._tools.add(Fields(entry, f"{item.at('tools')}[{number}]"))
        return [tool.name for tool in self._tools.tools if tool.name not in before]

    def _add_found_tools(self, item: Fields) -> None:
        found = self._add_tools(item)
        told = (
            f"These tools can be called now: {', '.join(found)}." if found else "No other tools were found."
        )
        self._answer(ToolResult(_call_id(item), (Text(told),)))

    def _model(self, blocks: list[Any]) -> None:
        self._answered = False
        if not self._turns or self._turns[-1][0] != "assistant":
            self._turns.append(("assistant", []))
        self._turns[-1][1].extend(blocks)

    def _user(self, parts: list[Any]) -> None:
        if self._answered:
            self._turns[-1][1].extend(parts)
        else:
            self._turns.append(("user", parts))

    def _answer(self, result: ToolResult) -> None:
        if self._answered:
            self._turns[-1][1].append(result)
        else:
            self._turns.append(("user", [result]))
        self._answered = True

    def _output(self, item: Fields) -> tuple[Part, ...]:
        output = item.get("output")
        if isinstance(output, dict):
            return (Text(encode_json(output).decode()),)
        if not isinstance(output, list):
            return (Text(text),) if (text := item.string("output")) else ()
        if any(isinstance(entry, dict) and "stdout" in entry for entry in output):
            return tuple(Text(_shell_output(entry)) for entry in output)
        return tuple(self._parts(item, "output"))

    def _parts(self, item: Fields, key: str) -> list[Part]:
        content = item.get(key)
        if content is None:
            return []
        if isinstance(content, str):
            return [Text(content)] if content else []
        parts: list[Part] = []
        for number, entry in enumerate(item.items(key)):
            part = Fields(entry, f"{item.at(key)}[{number}]")
            match part.need_string("type"):
                case "input_text" | "output_text" | "text":
                    text = part.string("text")
                    extra = {name: value for name, value in part.rest().items() if value}
                    if text:
                        parts.append(Text(text, extra))
                case "refusal":
                    parts.append(Text(part.string("refusal")))
                case "input_image":
                    parts.append(self._image(part))
                case "input_file":
                    parts.append(self._file(part))
                case kind:
                    self.inexpressible.append(f"{part.at('type')} ({kind})")
        return parts

    def _image(self, part: Fields) -> Image:
        url = part.string("image_url")
        if not url:
            if not part.string("file_id"):
                raise InvalidRequest(f"{part.at('image_url')} is required.", part.at("image_url"))
            self.inexpressible.append(part.at("file_id"))
        detail = part.string("detail", "auto")
        extra = {} if detail == "auto" else {"detail": detail}
        if not url.startswith("data:"):
            return Image(url=url, extra=extra)
        media_type, data = _data_url(part, "image_url", url)
        return Image(media_type=media_type or "image/png", data=data, extra=extra)

    def _file(self, part: Fields) -> Document:
        title, url, data = part.string("filename"), part.string("file_url"), part.string("file_data")
        if url:
            return Document(url=url, title=title)
        if not data:
            self.inexpressible.append(part.at("file_id"))
            return Document(title=title)
        if data.startswith("data:"):
            media_type, data = _data_url(part, "file_data", data)
        else:
            media_type = ""
        return Document(media_type=media_type or "application/pdf", data=data, title=title)


def _call_id(item: Fields) -> str:
    return item.string("call_id") or item.string("id")


def _failed(item: Fields) -> bool:
    return item.string("status") == "failed"


def _local_arguments(item: Fields, name: str) -> Json:
    kind = LOCAL_KINDS[name]
    value = item.get(kind.holds)
    if isinstance(value, str):
        return parse_arguments(value)
    arguments = item.object(kind.holds)
    return {key: inner for key, inner in arguments.items() if key not in kind.within and inner is not None}


def _shell_output(entry: Any) -> str:
    """One command's output as a person would read it."""
    part = Fields(entry)
    outcome = Fields(part.object("outcome"))
    status = outcome.integer("exit_code")
    told = "It took too long and was ended." if outcome.string("type") == "timeout" else ""
    if status:
        told = f"Exit code: {status}"
    return "\n".join(filter(None, (part.string("stdout"), part.string("stderr"), told)))


def _data_url(part: Fields, key: str, url: str) -> tuple[str, str]:
    header, comma, data = url[5:].partition(",")
    media_type, _, encoding = header.partition(";")
    if not comma or not encoding.endswith("base64"):
        raise InvalidRequest(f"{part.at(key)} must be a base64 data URL.", part.at(key))
    return media_type, data
