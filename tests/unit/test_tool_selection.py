"""Of many tools a model is offered those that the task needs; the others stay in reach."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from msgspec.structs import replace

from benchmarks.fidelity.tool_sets import judge, situations
from lynkr_desktop.engine.optimization.inner import InnerAnswer
from lynkr_desktop.engine.optimization.pipeline import Pipeline
from lynkr_desktop.engine.optimization.stage import Inner
from lynkr_desktop.engine.optimization.tool_kinds import kind_of, prefix_of
from lynkr_desktop.engine.optimization.tool_selection import ToolSelectionStage
from lynkr_desktop.engine.optimization.tool_sets import CALL, MORE_TOOLS, directory
from lynkr_desktop.engine.providers.base import Answer, EventAnswer
from lynkr_desktop.engine.wire.canonical import (
    BlockStarted,
    BlockStopped,
    Json,
    Message,
    Reply,
    Request,
    Started,
    Stopped,
    Text,
    Tool,
    ToolChoice,
    ToolInputDelta,
    ToolResult,
    ToolUse,
    Usage,
)
from lynkr_desktop.engine.wire.fields import encode_json
from tests.support.tool_sets import (
    ASK,
    OWN,
    SERVED,
    TOOLS,
    as_client_has_it,
    asking,
    call,
    calls_of,
    conversations,
    names,
    said,
    scene,
    size,
    tool,
    wild_arguments,
    wild_tools,
)

STAGE = ToolSelectionStage()


def select(request: Request) -> tuple[Request, list[str]]:
    """The shortened request, and what the stage did."""
    seen = scene()
    return STAGE.apply(request, seen), seen.did


def tool_named(name: str) -> Tool:
    """One of the tools."""
    return next(tool for tool in TOOLS if tool.name == name)


def more(request: Request, arguments: Json) -> Inner:
    """What the engine answers to a call of the escape tool."""
    seen = scene()
    STAGE.apply(request, seen)
    return seen.inner[MORE_TOOLS][1](arguments)


def test_a_coding_task_gets_the_tools_of_an_agent_without_those_of_servers() -> None:
    changed, did = select(asking())
    assert names(changed)[: len(OWN)] == [tool.name for tool in OWN]
    assert len(changed.tools) <= 15
    assert did == [f"left out {len(TOOLS) - len(changed.tools)} of {len(TOOLS)} tools"]
    assert names(changed) == [name for name in names(asking()) if name in names(changed)], (
        "the client's order"
    )


def test_what_the_ask_is_about_is_offered_with_what_belongs_to_it() -> None:
    changed, _ = select(asking(said("Create a ticket in the tracker for the crash on empty input.")))
    assert "mcp__tracker__create_ticket" in names(changed)
    assert "mcp__tracker__assign_ticket" in names(changed)
    assert not [name for name in names(changed) if name.startswith("mcp__music__")]


@pytest.mark.parametrize(
    "ask",
    [
        "hi",
        "",
        "<system-reminder>Only what a harness says.</system-reminder>",
        "Was ist mit der Rechnung von gestern und dem Wetter?",
        "请给安娜发一封关于发票的邮件",
        "Отправь Анне письмо про счёт",
    ],
)
def test_everything_stays_where_nobody_can_tell_what_is_needed(ask: str) -> None:
    request = asking(said(ask))
    assert STAGE.apply(request, scene()) is request


@pytest.mark.parametrize(
    "tools", [TOOLS[:12], tuple(Tool(f"t{number}", "x", {"type": "object"}) for number in range(30))]
)
def test_small_lists_are_left_alone(tools: tuple[Tool, ...]) -> None:
    request = asking(tools=tools)
    assert STAGE.apply(request, scene()) is request


def test_nothing_happens_where_no_tool_may_be_called() -> None:
    request = asking(tool_choice=ToolChoice("none"))
    assert STAGE.apply(request, scene()) is request


def test_what_must_be_called_stands_behind_the_others() -> None:
    first, _ = select(asking())
    forced, _ = select(asking(tool_choice=ToolChoice("named", "mcp__mail__read_mail")))
    assert names(forced) == [*names(first), "mcp__mail__read_mail"]


def test_the_list_stays_the_same_whatever_is_called_and_asked_later() -> None:
    first, _ = select(asking())
    done = Message("assistant", (Text("Done."),))
    later = asking(
        *(said(ASK), *call("mcp__music__lyrics_of"), *call("Bash", 1), done),
        said("Now make a playlist with the music server, by mcp__music__make_playlist"),
    )
    changed, _ = select(later)
    assert changed.tools == first.tools
    [held, own] = [
        block for message in changed.messages for block in message.content if isinstance(block, ToolUse)
    ]
    assert held == ToolUse("t0", CALL, {"name": "mcp__music__lyrics_of", "arguments": {"subject": "x"}})
    assert own == later.messages[3].content[0], "a call of what is offered stays"


def test_tools_whose_arguments_the_vendor_checks_stay() -> None:
    strict = Tool("mcp__bank__pay", "Pays.", {"type": "object"}, {"strict": True})
    assert strict in select(asking(tools=(*TOOLS, strict)))[0].tools


def test_a_tool_that_the_system_prompt_names_is_offered() -> None:
    system = (Text("Before you answer, look at `mcp__weather__tide_tables`."),)
    changed, _ = select(asking(system=system))
    assert "mcp__weather__tide_tables" in names(changed)
    part = (Text("See my_mcp__weather__tide_tables2"),)
    assert "mcp__weather__tide_tables" not in names(select(asking(system=part))[0])


def test_the_cache_marker_moves_to_the_last_tool_that_is_kept() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    last = SERVED[-1]
    marked = Tool(last.name, last.description, last.input_schema, mark)
    tools = (*TOOLS[:-1], marked)
    changed, _ = select(asking(tools=tools))
    assert [tool.extra for tool in changed.tools] == [{}] * (len(changed.tools) - 1) + [mark]
    forced, _ = select(asking(tools=tools, tool_choice=ToolChoice("named", last.name)))
    assert sum("cache_control" in tool.extra for tool in forced.tools) == 1


# ---------------------------------------------------------------- out of reach is nothing


@pytest.mark.parametrize("needed", [tool.name for tool in SERVED])
def test_a_model_that_needs_a_left_out_tool_finds_and_calls_it(needed: str) -> None:
    """A scripted model says in plain words what it wants to do, and calls what it is told of."""
    request = asking()
    seen = scene()
    if needed in names(STAGE.apply(request, seen)):
        return
    found = more(request, {"query": needed.rsplit("__", 1)[1].replace("_", " ")}).text
    assert f"{needed}: " in found
    assert encode_json(tool_named(needed).input_schema).decode() in found
    assert CALL in found
    arguments = {"subject": "s", "body": "b"}
    made = seen.inner[CALL][1]({"name": needed, "arguments": arguments})
    assert made.call == (needed, arguments)


def test_a_query_may_name_tools_and_one_that_fits_nothing_gets_all_names() -> None:
    request = asking()
    found = more(request, {"query": "`mcp__music__set_volume`, tide_tables"}).text
    for name in ("mcp__weather__tide_tables", "mcp__music__set_volume"):
        assert f"{name}: {tool_named(name).description}" in found
    nothing = more(request, {"query": "xyzzy"}).text
    assert "queue_album" in nothing
    assert len(nothing) < 10_000


def test_an_answer_is_bounded() -> None:
    long = tuple(Tool(f"mcp__long__do_{n}_thing", "does it " * 4_000, {"type": "object"}) for n in range(30))
    found = more(asking(tools=(*TOOLS, *long)), {"query": " ".join(tool.name for tool in long)}).text
    assert len(found) < 40_000
    assert all(tool.name in found for tool in long[:20])


@settings(max_examples=60, deadline=None)
@given(wild_arguments)
def test_any_arguments_are_answered(arguments: Json) -> None:
    assert more(asking(), arguments).text


def test_in_all_situations_what_is_needed_is_offered_or_found() -> None:
    outcomes = [judge(situation, [STAGE]) for situation in situations()]
    assert [one.lost for one in outcomes if one.lost] == []
    needed = sum(one.offered + one.reached for one in outcomes)
    assert sum(one.offered for one in outcomes) >= 0.9 * needed
    assert sum(one.after for one in outcomes) <= 0.55 * sum(one.before for one in outcomes)


# ---------------------------------------------------------------- laws


@settings(max_examples=60, deadline=None)
@given(conversations())
def test_each_turn_begins_as_the_one_before_and_is_never_larger(grown: list[tuple[Message, ...]]) -> None:
    before: Request | None = None
    for messages in grown:
        request = asking(*messages)
        seen = scene()
        changed = STAGE.apply(request, seen)
        assert changed == ToolSelectionStage().apply(request, scene()), "the same without what is remembered"
        assert before is None or changed.tools == before.tools
        assert before is None or changed.messages[: len(before.messages)] == before.messages
        offered = {tool.name for tool in changed.tools} | seen.inner.keys()
        assert {block.name for block in calls_of(changed)} <= offered
        assert all(tool in request.tools for tool in changed.tools)
        assert as_client_has_it(changed) == request.messages
        assert changed.system == request.system
        assert size(replace(changed, messages=()), seen) <= size(replace(request, messages=()))
        before = changed


@settings(max_examples=80, deadline=None)
@given(wild_tools)
def test_wild_tools_never_break_it(tools: tuple[Tool, ...]) -> None:
    padded = (*tools, *TOOLS)
    request = asking(said(ASK), *call("mcp__mail__send_mail"), tools=padded)
    seen = scene()
    changed = STAGE.apply(request, seen)
    assert size(changed, seen) <= size(request)
    kept = set(names(changed))
    held = [tool.name for tool in padded if tool.name not in kept]
    if held:
        assert more(request, {"query": held[0]}).text


def test_ten_thousand_tools() -> None:
    tools = (*OWN, *(tool(f"mcp__s{n % 90}__do_{n}_thing", "", "subject") for n in range(10_000)))
    seen = scene()
    changed = STAGE.apply(asking(tools=tools), seen)
    assert len(changed.tools) < 100
    escape, answer = seen.inner[MORE_TOOLS]
    assert len(escape.description) < 2_000
    assert "mcp__s7__do_7_thing: " in answer({"query": "do_7_thing"}).text


def test_the_pipeline_offers_the_escape_behind_the_clients_tools() -> None:
    optimized = Pipeline([ToolSelectionStage()], seconds=30).run(asking())
    assert {MORE_TOOLS, CALL} <= optimized.inner.keys()
    assert names(optimized.request)[-2:] == [MORE_TOOLS, CALL]
    assert not optimized.receipts[0].skipped
    assert optimized.receipts[0].after < optimized.receipts[0].before


# ---------------------------------------------------------------- kinds of tools


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Read", "file"),
        ("write_to_file", "file"),
        ("str_replace_based_edit_tool", "file"),
        ("apply_patch", "file"),
        ("MultiEdit", "file"),
        ("NotebookEdit", "file"),
        ("Glob", "search"),
        ("grep_search", "search"),
        ("codebase_search", "search"),
        ("list_dir", "search"),
        ("LS", "search"),
        ("run_terminal_cmd", "shell"),
        ("execute_command", "shell"),
        ("exec_command", "shell"),
        ("BashOutput", "shell"),
        ("write_stdin", "shell"),
        ("update_plan", "plan"),
        ("TodoWrite", "plan"),
        ("ExitPlanMode", "plan"),
        ("attempt_completion", "plan"),
        ("ask_followup_question", "ask"),
        ("AskUserQuestion", "ask"),
        ("ListMcpResourcesTool", "meta"),
        ("create_invoice", None),
        ("send_mail", None),
        ("lookup_customer", None),
        ("query_database", None),
    ],
)
def test_the_tools_of_agents_are_known_by_their_names(name: str, kind: str | None) -> None:
    assert kind_of(Tool(name)) == kind


@pytest.mark.parametrize(
    ("required", "kind"),
    [
        (("command",), "shell"),
        (("path", "old_str", "new_str"), "file"),
        (("file_path", "content"), "file"),
        (("question",), "ask"),
        (("todos",), "plan"),
        (("owner", "repo", "path", "content"), None),
        (("repoName", "question"), None),
    ],
)
def test_the_tools_of_agents_are_known_by_their_schemas(required: tuple[str, ...], kind: str | None) -> None:
    assert kind_of(tool("frobnicate", "", *required)) == kind


def test_a_servers_file_tools_count_where_the_agent_has_none() -> None:
    files = tuple(tool(f"mcp__filesystem__{name}", "", "path") for name in ("read_file", "write_file"))
    alone, _ = select(asking(tools=(*files, *SERVED)))
    assert "mcp__filesystem__write_file" in names(alone)
    beside, _ = select(asking(said("Create a ticket for the crash in the tracker"), tools=(*TOOLS, *files)))
    assert "mcp__filesystem__write_file" not in names(beside)


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("mcp__github__create_issue", "mcp__github__"),
        ("mcp_github_create_issue", "mcp_github_"),
        ("github.create_issue", "github."),
        ("db__query", "db__"),
        ("create_issue", ""),
        ("mcp__", ""),
    ],
)
def test_prefixes_of_servers(name: str, prefix: str) -> None:
    assert prefix_of(name) == prefix


def test_the_directory_is_bounded() -> None:
    text = directory(SERVED, 300)
    assert len(text) < 500
    assert all(prefix in text for prefix in ("mcp__tracker__: ", "mcp__music__: "))
    assert directory(SERVED[:2], 300) == "mcp__tracker__: create_ticket, get_ticket"


# ---------------------------------------------------------------- through the loop that answers it


async def test_the_client_sees_only_the_call_of_the_tool_that_the_model_found() -> None:
    """A scripted model finds no tool for what it has to do, asks for one, and calls what it gets."""
    optimized = Pipeline([ToolSelectionStage()], seconds=30).run(asking())
    sent: list[Request] = []

    def calls(name: str, arguments: Json) -> EventAnswer:
        return EventAnswer(
            [
                Started("id", "model"),
                BlockStarted(0, ToolUse(f"c{len(sent)}", name, {})),
                ToolInputDelta(0, encode_json(arguments).decode()),
                BlockStopped(0),
                Stopped("tool_use", Usage(input_tokens=10, output_tokens=1)),
            ]
        )

    async def ask(request: Request) -> Answer:
        sent.append(request)
        result = request.messages[-1].content[0]
        assert isinstance(result, ToolResult)
        found = re.search(r"\w+set_volume", result.text)
        assert found is not None
        return calls(CALL, {"name": found[0], "arguments": {"subject": "10", "body": ""}})

    first = calls(MORE_TOOLS, {"query": "set the volume"})
    answer = InnerAnswer(optimized.request, first, optimized.inner, ask, lambda request, answer: None)
    reply = Reply.of([event async for _, events in answer for event in events])
    assert isinstance(reply, Reply)
    assert [(block.name, block.input) for block in reply.content if isinstance(block, ToolUse)] == [
        ("mcp__music__set_volume", {"subject": "10", "body": ""})
    ]
    assert sent[0].tools == optimized.request.tools, "or the cached prompt would be lost"
