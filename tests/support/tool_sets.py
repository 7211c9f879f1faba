"""Large tool lists as agents send them, and conversations that grow turn by turn."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from lynkr_desktop.engine.optimization import tokens
from lynkr_desktop.engine.optimization.stage import Scene
from lynkr_desktop.engine.optimization.tool_sets import CALL
from lynkr_desktop.engine.wire.canonical import Json, Message, Request, Text, Tool, ToolResult, ToolUse

ASK = "Find out why the parser fails on empty input and fix it, then run the tests."


def tool(name: str, description: str = "", *required: str, optional: tuple[str, ...] = ()) -> Tool:
    """A tool whose parameters are strings with a line of description."""
    properties = {
        key: {"type": "string", "description": f"The {key.replace('_', ' ')} that this call is about."}
        for key in (*required, *optional)
    }
    schema = {"type": "object", "properties": properties, "required": list(required)}
    return Tool(name, description or f"Does what {name} says, and reports what came of it.", schema)


OWN = (
    tool("Bash", "Runs a command in a shell.", "command"),
    tool("Read", "Reads a file.", "file_path", optional=("offset", "limit")),
    tool("Edit", "Replaces text in a file.", "file_path", "old_string", "new_string"),
    tool("Grep", "Searches file contents.", "pattern", optional=("path", "glob")),
    tool("TodoWrite", "Keeps a list of tasks.", "todos"),
)

_SERVED = {
    "mcp__tracker__": (
        "create_ticket get_ticket search_tickets close_ticket assign_ticket add_watcher list_sprints "
        "start_sprint estimate_ticket export_backlog link_tickets archive_board"
    ),
    "mcp__mail__": (
        "send_mail search_mail read_mail draft_mail label_mail delete_mail list_folders forward_mail"
    ),
    "mcp__weather__": "forecast_hourly forecast_daily storm_warnings pollen_levels tide_tables moon_phases",
    "mcp__billing__": (
        "create_invoice list_invoices void_invoice send_reminder tax_rates apply_coupon export_ledger"
    ),
    "mcp__music__": (
        "play_song pause_song queue_album make_playlist shuffle_songs set_volume next_song lyrics_of"
    ),
}
SERVED = tuple(
    tool(prefix + name, "", "subject", "body", optional=("limit", "cursor", "language"))
    for prefix, names in _SERVED.items()
    for name in names.split()
)
TOOLS = (*OWN, *SERVED)
"""46 tools: five of an agent's own, and 41 of five servers."""


def scene() -> Scene:
    """A scene with real counts and much time."""
    return Scene(count=tokens.count, restorable=True, seconds=30)


def said(text: str) -> Message:
    """A person's turn."""
    return Message("user", (Text(text),))


def call(name: str, number: int = 0) -> tuple[Message, Message]:
    """A call of a tool and its result."""
    id_ = f"t{number}"
    return (
        Message("assistant", (ToolUse(id_, name, {"subject": "x"}),)),
        Message("user", (ToolResult(id_, (Text("fine"),)),)),
    )


def asking(*messages: Message, tools: tuple[Tool, ...] = TOOLS, **more: Any) -> Request:
    """A request; without messages, one of coding."""
    return Request("m", messages or (said(ASK),), tools=tools, **more)


def size(request: Request, seen: Scene | None = None) -> int:
    """Tokens of a request with what the engine adds to it."""
    own = sum(tokens.of_tool(tool) for tool, _ in seen.inner.values()) if seen is not None else 0
    return tokens.of_request(request) + own


def names(request: Request) -> list[str]:
    """The names of the offered tools."""
    return [tool.name for tool in request.tools]


_asks = st.sampled_from(
    [
        ASK,
        "Create a ticket in the tracker for the crash and assign it to Ann.",
        "ok",
        "Send Bob a mail about the invoice, and use mcp__mail__label_mail",
        "Was sagt das Wetter für morgen?",
        "Thanks. Now play some music and void the last invoice in billing.",
        "<system-reminder>Nothing is on your list.</system-reminder>",
        "",
    ]
)
_turns = st.one_of(
    st.sampled_from([tool.name for tool in TOOLS]).map(call),
    _asks.map(lambda text: (Message("assistant", (Text("Done."),)), said(text))),
)


@st.composite
def conversations(draw: st.DrawFn) -> list[tuple[Message, ...]]:
    """A conversation, turn by turn."""
    messages: tuple[Message, ...] = (said(draw(_asks)),)
    grown = [messages]
    for turn in draw(st.lists(_turns, max_size=12)):
        messages += turn
        grown.append(messages)
    return grown


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_schemas = st.one_of(
    st.dictionaries(st.sampled_from(["type", "properties", "required", "anyOf", "x"]), _json, max_size=4),
    _json,
)
wild_arguments: st.SearchStrategy[Json] = st.dictionaries(
    st.sampled_from(["name", "names", "arguments", "query", "server", "x"]), _json, max_size=4
)
_wild_names = st.one_of(
    st.sampled_from(
        ["", "a", "mcp__", "mcp____", "mcp__a__b", "工具", "mcp__服务__读取", "Read", "x" * 3_000, "\ud800"]
    ),
    st.text(max_size=12),
)
wild_tools = st.lists(
    st.builds(
        Tool,
        _wild_names,
        st.text(max_size=400),
        _schemas,  # type: ignore[arg-type]
        st.sampled_from([{}, {"cache_control": {"type": "ephemeral"}}, {"strict": True}, {"format": 1}]),
    ),
    max_size=60,
).map(tuple)


def calls_of(request: Request) -> list[ToolUse]:
    """All calls of the history."""
    return [block for message in request.messages for block in message.content if isinstance(block, ToolUse)]


def as_client_has_it(request: Request) -> tuple[Message, ...]:
    """The turns with the calls that stand for others turned back."""
    return tuple(
        Message(
            message.role,
            tuple(
                ToolUse(block.id, block.input["name"], block.input["arguments"])
                if isinstance(block, ToolUse) and block.name == CALL
                else block
                for block in message.content
            ),
        )
        for message in request.messages
    )
