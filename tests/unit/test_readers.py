"""What was left out is read by the client's own tools; none is added where the client has one that can."""

from __future__ import annotations

import re
import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from benchmarks.fidelity import cost
from benchmarks.fidelity.blocks import row_of
from lynkr_desktop.engine.config.schema import OptimizationOptions
from lynkr_desktop.engine.optimization.pipeline import Pipeline
from lynkr_desktop.engine.optimization.readers import can_read, readers
from lynkr_desktop.engine.optimization.restore import restorer
from lynkr_desktop.engine.optimization.stage import PATH, RESTORE, Inner
from lynkr_desktop.engine.optimization.stages import stage_makers
from lynkr_desktop.engine.wire.canonical import (
    Json,
    Message,
    Request,
    Text,
    Tool,
    ToolChoice,
    ToolResult,
    ToolUse,
)
from lynkr_desktop.protocol.optimization import StageName
from tests.support.tool_sets import ASK, SERVED


def tool(name: str, *parameters: str, required: str = "") -> Tool:
    properties: dict[str, Json] = {parameter: {"type": "string"} for parameter in parameters}
    return Tool(
        name,
        "",
        {
            "type": "object",
            "properties": properties,
            "required": [required] if required else [*parameters[:1]],
        },
    )


READ = tool("Read", "file_path", "offset", "limit")
BASH = tool("Bash", "command", "timeout")
GREP = tool("Grep", "pattern", "path")
WRITE = tool("Write", "file_path", "content")
EDIT = tool("Edit", "file_path", "old_string", "new_string")
SHELL = tool("shell", "command", "workdir")
EDITOR = tool("str_replace_editor", "command", "path", "file_text", "old_str", "new_str", "view_range")
AGENTS = {
    "claude_code": (READ, BASH, GREP, WRITE, EDIT),
    "codex": (SHELL, tool("apply_patch", "input")),
    "openhands": (tool("execute_bash", "command"), EDITOR),
}

LINES = [f"line {number} of the log" for number in range(1, 41)]
ORIGINAL = "\n".join([*LINES[:20], "ERROR: disk sda1 is full", *LINES[20:]])
HANDLE, OTHER = "r_0123456789ab", "r_ba9876543210"
ORIGINALS = {
    HANDLE: ORIGINAL,
    OTHER: f'first\n[41 lines left out; read "{PATH}{HANDLE}" for all of it]\nlast\n',
}
AT = f"{PATH}{HANDLE}"


def answered(name: str, arguments: Json) -> Inner:
    tools = (*AGENTS["claude_code"], SHELL, EDITOR, tool("exec_command", "cmd"))
    return readers(tools, ORIGINALS)[name](arguments)


def some(first: int, last: int) -> str:
    return "".join(ORIGINAL.splitlines(keepends=True)[first - 1 : last])


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("Read", {"file_path": AT}, ORIGINAL),
        ("Read", {"file_path": f"/home/dev/project/{AT}"}, ORIGINAL),
        ("Read", {"file_path": AT, "offset": 3, "limit": 2}, some(3, 4)),
        ("Read", {"file_path": AT, "offset": "39"}, some(39, 41)),
        ("Read", {"file_path": AT, "offset": None, "limit": 5}, some(1, 5)),
        ("Bash", {"command": f"cat {AT}"}, ORIGINAL),
        ("Bash", {"command": f'cat "{AT}" | head -n 3'}, some(1, 3)),
        ("Bash", {"command": f"head -5 {AT}"}, some(1, 5)),
        ("Bash", {"command": f"tail -n 2 '{AT}'"}, some(40, 41)),
        ("Bash", {"command": f"tail {AT}"}, some(32, 41)),
        ("Bash", {"command": f"sed -n '7,9p' {AT}"}, some(7, 9)),
        ("Bash", {"command": f"sed -n 7p {AT}"}, some(7, 7)),
        ("Bash", {"command": f"sed -n '40,$p' {AT}"}, some(40, 41)),
        ("Bash", {"command": f"grep -n 'disk sda1' {AT}"}, "21:ERROR: disk sda1 is full"),
        ("Bash", {"command": f"cat {AT} | grep -i error"}, "21:ERROR: disk sda1 is full"),
        ("Bash", {"command": f'rg -n --no-heading "nothing|full" {AT}'}, "21:ERROR: disk sda1 is full"),
        ("Bash", {"command": f"grep absent {AT}"}, "No line has these words. There are 41 lines."),
        ("Grep", {"pattern": r"ERROR: .* sda\d", "path": AT}, "21:ERROR: disk sda1 is full"),
        ("Grep", {"pattern": r"^\s*[A-Z]+$", "path": AT}, ORIGINAL),
        ("shell", {"command": ["bash", "-lc", f"sed -n '1,2p' {AT}"]}, some(1, 2)),
        ("exec_command", {"cmd": f"cat {AT}"}, ORIGINAL),
        ("str_replace_editor", {"command": "view", "path": AT}, ORIGINAL),
        ("str_replace_editor", {"command": "view", "path": AT, "view_range": [2, 3]}, some(2, 3)),
    ],
)
def test_a_model_reads_what_was_left_out_as_it_reads_files(name: str, arguments: Json, expected: str) -> None:
    said = answered(name, arguments)
    assert said.call is None
    assert said.text == expected


def test_a_search_goes_on_in_what_was_left_out_of_what_was_left_out() -> None:
    said = answered("Grep", {"pattern": "sda1", "path": f"{PATH}{OTHER}"}).text
    assert said == f"{AT}:21:ERROR: disk sda1 is full"


def test_a_path_of_turns_that_are_gone_is_told_to_be() -> None:
    assert "no part of the conversation" in answered("Read", {"file_path": f"{PATH}r_000000000000"}).text


def test_several_may_be_read_at_once() -> None:
    said = answered("Bash", {"command": f"cat {AT} {PATH}{OTHER}"}).text
    assert ORIGINAL in said
    assert ORIGINALS[OTHER] in said


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("Read", {"file_path": "src/app.py"}),
        ("Bash", {"command": f"echo {PATH}r_000000000000"}),
        ("Read", {}),
        ("Read", {"raw": '{"file_path": "lynkr:r_0123'}),
        ("Bash", {"command": "ls"}),
        ("Bash", {"command": 5}),
        ("shell", {"command": [1, None, "ls"]}),
        ("Grep", {"pattern": AT, "path": "src"}),
    ],
)
def test_all_other_calls_are_the_clients(name: str, arguments: Json) -> None:
    assert answered(name, arguments) == Inner(call=(name, arguments))


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.sampled_from(["command", "path", "pattern", "offset", "x"]), st.from_type(object)))
def test_no_call_that_names_nothing_of_ours_is_touched(arguments: Json) -> None:
    assert answered("Bash", arguments) == Inner(call=("Bash", arguments))


@pytest.mark.parametrize("agent", AGENTS)
def test_agents_have_tools_that_read(agent: str) -> None:
    assert can_read(AGENTS[agent])
    held = readers(AGENTS[agent], ORIGINALS)
    assert not {"Write", "Edit", "apply_patch"} & held.keys(), "calls that only write are not held up"


@pytest.mark.parametrize("tools", [(), (WRITE, EDIT), (tool("query", "sql"),), (Tool("Read"),), (GREP,)])
def test_other_clients_have_none(tools: tuple[Tool, ...]) -> None:
    assert not can_read(tools)


@pytest.mark.parametrize(
    "pattern", ["(a+)+$" * 40, "|" * 500, "[" * 500, "(.*)*" * 100, "{" * 500 + "\\" * 7]
)
def test_no_pattern_takes_long(pattern: str) -> None:
    kept = readers((GREP, BASH), {HANDLE: "a" * 200_000 + "\n" + "ab " * 100_000})
    began = time.perf_counter()
    kept["Grep"]({"pattern": pattern, "path": AT})
    kept["Bash"]({"command": f"grep -E '{pattern}' {AT} " + "grep - " * 500})
    assert time.perf_counter() - began < 2


def test_the_tool_of_our_own_finds_words_too() -> None:
    restore = restorer(ORIGINALS)
    assert restore({"id": AT, "find": "sda1 full"}).text == "21:ERROR: disk sda1 is full"
    assert restore({"id": HANDLE}).text == ORIGINAL


# ---------------------------------------------------------------- sessions

STAGES: tuple[StageName, ...] = (
    "smart_tool_selection",
    "code_mode_meta_tools",
    "distill_compression",
    "memory_dedup",
)


def pipeline(tmp_path: Path, *names: StageName) -> Pipeline:
    makers = stage_makers(OptimizationOptions(), tmp_path)
    return Pipeline([makers[name]() for name in names or STAGES], seconds=60)


def log_of(number: int) -> str:
    passed = "".join(f"tests/test_{number}.py::test_{case} PASSED\n" for case in range(120))
    return f"{passed}tests/test_{number}.py::test_odd FAILED\n=== 1 failed, 120 passed in {number}s ==="


SAYS = st.lists(
    st.sampled_from(
        [
            ("make test", log_of(1)),
            ("make check", log_of(2)),
            ("ls", "a.py\nb.py"),
            ("mcp__music__next_song", "now"),
        ]
    ),
    max_size=8,
)


def session(says: list[tuple[str, str]], tools: tuple[Tool, ...]) -> list[Request]:
    """The requests of a session of an agent that runs commands, and calls tools of servers by their names."""
    shell = next(one for one in tools if "command" in one.input_schema["properties"])
    messages = [Message("user", (Text(ASK),))]
    requests = [Request("m", tuple(messages), system=(Text("You are an agent."),), tools=tools)]
    for number, (command, said) in enumerate(says):
        served = command in {one.name for one in tools}
        call = ToolUse(f"c{number}", *((command, {}) if served else (shell.name, {"command": command})))
        messages.append(Message("assistant", (call,)))
        messages.append(Message("user", (ToolResult(call.id, (Text(said),)),)))
        requests.append(replace(requests[0], messages=tuple(messages)))
    return requests


@pytest.mark.parametrize("agent", AGENTS)
@settings(max_examples=40, deadline=None)
@given(says=SAYS)
def test_each_turn_begins_as_the_one_before_and_all_can_be_read(
    tmp_path_factory: pytest.TempPathFactory, agent: str, says: list[tuple[str, str]]
) -> None:
    stages = pipeline(tmp_path_factory.getbasetemp())
    requests = session(says, AGENTS[agent])
    made = [stages.run(request) for request in requests]
    for one, later in pairwise(made):
        assert later.request.tools == one.request.tools == AGENTS[agent]
        assert later.request.messages[: len(one.request.messages)] == one.request.messages
    last = made[-1]
    whole = {text for message in requests[-1].messages for text in texts(message)}
    for text in (text for message in last.request.messages for text in texts(message)):
        for handle in re.findall(rf"{PATH}(r_\w{{12}})", text):
            name, read = next(iter(last.inner.items()))
            said = [
                read({"command": f"cat {PATH}{handle}", "path": f"{PATH}{handle}"}).text
                if name != "Read"
                else read({"file_path": f"{PATH}{handle}"}).text
            ]
            assert said[0] in whole or any(said[0] in one for one in whole)


@pytest.mark.parametrize("names", [STAGES, *((stage,) for stage in STAGES)], ids="+".join)
@settings(max_examples=40, deadline=None)
@given(says=SAYS)
def test_no_session_costs_more_than_it_does_direct(
    tmp_path_factory: pytest.TempPathFactory, names: tuple[StageName, ...], says: list[tuple[str, str]]
) -> None:
    stages = pipeline(tmp_path_factory.getbasetemp(), *names)
    system = (Text("Be careful with what you change. " * 200),)
    requests = [replace(one, system=system) for one in session(says, (*AGENTS["claude_code"], *SERVED))]
    direct = [[row_of(request)] for request in requests]
    made = [[row_of(stages.run(request).request)] for request in requests]
    assert cost.session(made, cost.anthropic) <= cost.session(direct, cost.anthropic)
    # Prompts are read from the cache in steps, so that up to one more is read anew in each turn.
    steps = 128 * len(requests)
    assert cost.session(made, cost.openai) <= cost.session(direct, cost.openai) + steps


def texts(message: Message) -> list[str]:
    return [block.text for block in message.content if isinstance(block, ToolResult)]


@pytest.mark.parametrize("agent", AGENTS)
def test_where_nothing_is_left_out_a_request_stays_as_it_is(tmp_path: Path, agent: str) -> None:
    stages = pipeline(tmp_path)
    for request in session([("ls", "a.py\nb.py"), ("date", "Monday"), ("ls", "a.py")], AGENTS[agent]):
        made = stages.run(request)
        assert made.request is request
        assert not made.inner, "the upstream's bytes may go to the client as they come"


@pytest.mark.parametrize("kind", ["required", "none"])
def test_where_the_model_may_not_choose_nothing_is_left_out(tmp_path: Path, kind: str) -> None:
    request = session([("make test", log_of(1))], AGENTS["codex"])[-1]
    made = pipeline(tmp_path).run(replace(request, tool_choice=ToolChoice(kind)))  # type: ignore[arg-type]
    assert not made.inner


def test_a_client_that_cannot_read_gets_a_tool_from_the_first_turn_on(tmp_path: Path) -> None:
    tools = (tool("run_query", "sql"),)
    stages = pipeline(tmp_path, "distill_compression")
    messages = (
        Message("user", (Text("run it"),)),
        Message("assistant", (ToolUse("c1", "run_query", {"sql": "x"}),)),
        Message("user", (ToolResult("c1", (Text(log_of(1)),)),)),
    )
    first = stages.run(Request("m", messages[:1], tools=tools))
    second = stages.run(Request("m", messages, tools=tools))
    assert first.request.tools == second.request.tools
    assert [one.name for one in second.request.tools] == ["run_query", RESTORE]
    [handle] = re.findall(r"r_\w{12}", texts(second.request.messages[-1])[0])
    assert second.inner[RESTORE]({"id": f"{PATH}{handle}"}).text == log_of(1)
