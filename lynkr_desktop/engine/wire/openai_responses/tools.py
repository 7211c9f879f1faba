"""Tools of every kind that Responses knows, as the functions that other protocols know, and back.

What the client runs itself (freeform tools, shells, patches, tool search, tools in namespaces) becomes a
function; `origin` of the request remembers what it was, so that calls come back in their own shape. What
OpenAI's servers run cannot be had elsewhere: it is named as dropped, or refused where the answer is about it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from lynkr_desktop.engine.wire.canonical import Json, Tool, ToolChoice, ToolUse, parse_arguments
from lynkr_desktop.engine.wire.fields import Fields

MAX_NAME = 64
"""Characters of a function's name that every provider takes."""

_BARE_NAMESPACE = "functions"
"""The namespace in which OpenAI's models see tools that have none."""

_HINTS = frozenset({"web_search", "web_search_preview", "web_search_preview_2025_03_11", "image_generation"})
"""What OpenAI's servers run and a model can do without."""


@dataclass(frozen=True, slots=True)
class LocalKind:
    """A kind of tool that OpenAI defined and the client runs.

    Attributes:
        call: the type of the item that calls it.
        holds: the field of that item with the arguments, an object.
        prefix: what ids of such items begin with.
        description: what a model is told that does not know it.
        schema: its arguments.
        within: what that field has beside the arguments.
        beside: what the item holds beside it.
    """

    call: str
    holds: str
    prefix: str
    description: str
    schema: Json
    within: Json = field(default_factory=dict)
    beside: Json = field(default_factory=dict)


def _object(properties: Json, required: list[str]) -> Json:
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


LOCAL_KINDS: dict[str, LocalKind] = {
    "local_shell": LocalKind(
        call="local_shell_call",
        holds="action",
        prefix="lsh",
        description="Runs a program on the user's machine and returns what it prints.",
        schema=_object(
            {
                "command": {
                    "type": "array",
                    "items": {"type": "string"},
                    "description": "The program and its arguments.",
                },
                "working_directory": {"type": "string"},
                "timeout_ms": {"type": "integer"},
            },
            ["command"],
        ),
        within={"type": "exec", "env": {}},
    ),
    "shell": LocalKind(
        call="shell_call",
        holds="action",
        prefix="sh",
        description="Runs shell commands on the user's machine and returns what they print.",
        schema=_object(
            {
                "commands": {"type": "array", "items": {"type": "string"}},
                "timeout_ms": {"type": "integer"},
                "max_output_length": {"type": "integer"},
            },
            ["commands"],
        ),
    ),
    "apply_patch": LocalKind(
        call="apply_patch_call",
        holds="operation",
        prefix="apc",
        description="Creates, changes or deletes a file. `diff` has the lines of a V4A diff, each beginning "
        "with +, - or a space; it is left out for delete_file.",
        schema=_object(
            {
                "type": {"type": "string", "enum": ["create_file", "update_file", "delete_file"]},
                "path": {"type": "string"},
                "diff": {"type": "string"},
            },
            ["type", "path"],
        ),
    ),
    "tool_search": LocalKind(
        call="tool_search_call",
        holds="arguments",
        prefix="tsc",
        description="Finds more tools.",
        schema=_object({"query": {"type": "string"}}, ["query"]),
        beside={"execution": "client"},
    ),
}

KIND_OF_CALL = {kind.call: name for name, kind in LOCAL_KINDS.items()}


def function_name(name: str, namespace: str = "") -> str:
    """The name under which other protocols know a tool; short enough for each of them."""
    if not namespace or namespace == _BARE_NAMESPACE:
        joined = name
    else:
        joined = f"{namespace}{name}" if namespace.endswith("_") else f"{namespace}__{name}"
    if len(joined) <= MAX_NAME:
        return joined
    mark = hashlib.sha256(joined.encode()).hexdigest()[:8]
    return f"{joined[: MAX_NAME - 9]}_{mark}"


class ToolSet:
    """The tools of a request, from wherever they stand in it.

    Attributes:
        kinds: per function that was something else: its `type`, `name` and `namespace`.
        dropped: per tool that only OpenAI's servers run and that can be missed, its kind.
        inexpressible: paths of tools on which the answer depends and that no function can stand for.
    """

    def __init__(self) -> None:
        self._tools: dict[str, Tool] = {}
        self.kinds: dict[str, Json] = {}
        self.dropped: list[str] = []
        self.inexpressible: list[str] = []

    @property
    def tools(self) -> tuple[Tool, ...]:
        """All of them; of two with one name, the later."""
        return tuple(self._tools.values())

    def add(self, tool: Fields, namespace: str = "") -> None:
        """Takes one entry of a list of tools. Raises `InvalidRequest`."""
        kind = tool.need_string("type")
        match kind:
            case "function":
                self._add_function(tool, namespace)
            case "custom":
                self._add_custom(tool, namespace)
            case "namespace" if not namespace:
                inner = tool.need_string("name")
                for number, entry in enumerate(tool.items("tools")):
                    self.add(Fields(entry, f"{tool.at('tools')}[{number}]"), inner)
            case _ if kind in LOCAL_KINDS and _is_local(tool, kind):
                self._add_local(tool, kind)
            case _ if kind in _HINTS or kind == "tool_search":
                self.dropped.append(kind)
            case _:
                self.inexpressible.append(f"{tool.at('type')} ({kind})")

    def choice(self, fields: Fields) -> tuple[ToolChoice, tuple[Tool, ...]]:
        """`tool_choice`, and the tools that it leaves to the model. Raises `InvalidRequest`."""
        parallel = fields.boolean("parallel_tool_calls")
        value = fields.get("tool_choice")
        match value:
            case None | "auto":
                return ToolChoice("auto", parallel=parallel), self.tools
            case "none":
                return ToolChoice("none", parallel=parallel), self.tools
            case "required":
                return ToolChoice("required", parallel=parallel), self.tools
            case {"type": "allowed_tools"}:
                return self._allowed(Fields(value, "tool_choice"), parallel)
            case {"type": "function" | "custom", "name": str(name)}:
                named = function_name(name, _namespace_of(value))
            case {"type": str(kind)} if kind in self._tools and kind in LOCAL_KINDS:
                named = kind
            case {"type": str(kind)}:
                self.inexpressible.append(f"tool_choice ({kind})")
                return ToolChoice("required", parallel=parallel), self.tools
            case _:
                raise fields.wrong("tool_choice", "auto, none, required or an object with a type")
        if named not in self._tools:
            self.inexpressible.append(f"tool_choice ({named} is not among tools)")
        return ToolChoice("named", named, parallel), self.tools

    def _allowed(self, choice: Fields, parallel: bool | None) -> tuple[ToolChoice, tuple[Tool, ...]]:
        names: set[str] = set()
        for number, entry in enumerate(choice.items("tools")):
            allowed = Fields(entry, f"{choice.at('tools')}[{number}]")
            kind = allowed.need_string("type")
            if kind in ("function", "custom"):
                names.add(function_name(allowed.need_string("name"), allowed.string("namespace")))
            else:
                names.add(kind)
        tools = tuple(tool for tool in self.tools if tool.name in names)
        match choice.string("mode", "auto"):
            case "auto":
                return ToolChoice("auto", parallel=parallel), tools
            case "required":
                return ToolChoice("required", parallel=parallel), tools
        raise choice.wrong("mode", "auto or required")

    def _add_function(self, tool: Fields, namespace: str) -> None:
        name = tool.need_string("name")
        strict = tool.boolean("strict")
        description, schema = tool.string("description"), tool.object("parameters")
        extra = tool.rest() | ({"strict": True} if strict else {})
        known = function_name(name, namespace)
        self._tools[known] = Tool(known, description, schema, extra)
        self._remember(known, {"type": "function", "name": name, "namespace": namespace})

    def _add_custom(self, tool: Fields, namespace: str) -> None:
        name = tool.need_string("name")
        description = [tool.string("description"), "Give the whole text as the string `input`."]
        wanted = Fields(tool.object("format"), tool.at("format"))
        if wanted.string("type") == "grammar":
            syntax, grammar = wanted.string("syntax"), wanted.string("definition")
            description.append(f"The text must match this {syntax} grammar:\n{grammar}")
        known = function_name(name, namespace)
        schema = _object({"input": {"type": "string", "description": "The whole text."}}, ["input"])
        self._tools[known] = Tool(known, "\n\n".join(filter(None, description)), schema, tool.rest())
        self._remember(known, {"type": "custom", "name": name, "namespace": namespace})

    def _add_local(self, tool: Fields, kind: str) -> None:
        known = LOCAL_KINDS[kind]
        description = tool.string("description") or known.description
        self._tools[kind] = Tool(kind, description, tool.object("parameters") or known.schema)
        self.kinds[kind] = {"type": kind, "name": kind, "namespace": ""}

    def _remember(self, known: str, kind: Json) -> None:
        if kind == {"type": "function", "name": known, "namespace": ""}:
            self.kinds.pop(known, None)
        else:
            self.kinds[known] = kind


def _namespace_of(value: Json) -> str:
    namespace = value.get("namespace")
    return namespace if isinstance(namespace, str) else ""


def _is_local(tool: Fields, kind: str) -> bool:
    """Whether the client runs it, and not OpenAI's servers."""
    if kind == "tool_search":
        return tool.string("execution") == "client"
    if kind == "shell":
        return Fields(tool.object("environment")).string("type", "local") == "local"
    return True


# ---------------------------------------------------------------- calls of them


def call_prefix(kind: Json | None) -> str:
    """What the id of an item that calls a tool of this kind begins with."""
    match kind:
        case {"type": "custom"}:
            return "ctc"
        case {"type": str(local)} if local in LOCAL_KINDS:
            return LOCAL_KINDS[local].prefix
    return "fc"


def call_item(kind: Json | None, item_id: str, call: ToolUse, arguments: str, status: str) -> Json:
    """The output item of a call.

    Args:
        kind: what the tool was to the client; None for a plain function.
        item_id: the item's own id.
        call: its id and name.
        arguments: the text of its arguments; of a freeform tool, the text that it is given.
        status: in_progress, completed or incomplete.
    """
    item: Json = {"id": item_id, "status": status, "call_id": call.id}
    if kind is not None and kind["type"] in LOCAL_KINDS:
        local = LOCAL_KINDS[kind["type"]]
        value = parse_arguments(arguments)
        return {**item, "type": local.call, local.holds: local.within | value, **local.beside}
    item["name"] = kind["name"] if kind else call.name
    if kind is not None and kind["namespace"]:
        item["namespace"] = kind["namespace"]
    if kind is not None and kind["type"] == "custom":
        return {**item, "type": "custom_tool_call", "input": arguments}
    return {**item, "type": "function_call", "arguments": arguments}


def custom_text(arguments: str) -> str:
    """The text that a freeform tool is given, from the arguments of its function."""
    value = parse_arguments(arguments)
    text = value.get("input")
    if isinstance(text, str):
        return text
    # Weak models name the one argument as they like, or leave the JSON away.
    texts = [text for text in value.values() if isinstance(text, str)]
    return texts[0] if len(value) == len(texts) == 1 else arguments


class InputText:
    """The string `input` of a freeform tool's arguments, while the JSON around it still arrives."""

    def __init__(self) -> None:
        self._waiting = ""
        self._inside = False
        self._over = False

    def feed(self, piece: str) -> str:
        """Takes more of the JSON text; gives what it adds to the string."""
        if self._over:
            return ""
        self._waiting += piece
        if not self._inside and not self._enter():
            return ""
        return self._unescaped()

    def _enter(self) -> bool:
        head = self._waiting.lstrip()
        if not head.startswith("{"):
            self._over = bool(head)
            return False
        rest = head[1:].lstrip()
        if len(rest) < 7:
            return False
        if not rest.startswith('"input"'):
            self._over = True
            return False
        rest = rest[7:].lstrip().removeprefix(":").lstrip()
        if not rest.startswith('"'):
            self._over = bool(rest)
            return False
        self._inside = True
        self._waiting = rest[1:]
        return True

    def _unescaped(self) -> str:
        text, end = self._waiting, 0
        while end < len(text):
            char = text[end]
            if char == '"':
                self._over = True
                break
            step = _escape_length(text, end) if char == "\\" else 1
            if end + step > len(text):
                break
            end += step
        self._waiting = text[end:]
        if not end:
            return ""
        value = parse_arguments(f'{{"input":"{text[:end]}"}}').get("input")
        if isinstance(value, str):
            return value
        self._over = True
        return ""


def _escape_length(text: str, start: int) -> int:
    """Characters of the escape at `start`, at least; a surrogate takes its other half with it."""
    if text[start + 1 : start + 2] != "u":
        return 2
    first = text[start + 2 : start + 4].lower()
    if len(first) == 2 and "d8" <= first <= "db":
        return 12
    return 6
