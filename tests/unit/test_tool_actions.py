"""What calls of the tools of agents that people use do, and what else may not be taken for an action."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lynkr_desktop.engine.tool_gate.actions import action_of, actions_of, may_act
from lynkr_desktop.engine.tool_gate.edits import edited_input
from lynkr_desktop.engine.wire.canonical import Json, Tool, ToolUse
from tests.support.tool_sets import wild_arguments, wild_tools

WORK = "/home/ann/shop"
PATCH = """*** Begin Patch
*** Add File: notes.md
+hello
*** Update File: src/app.py
@@
-a = 1
+a = 2
*** Delete File: /etc/motd
*** End Patch
"""


def _tool(name: str, given: Json) -> Tool:
    return Tool(name, "", {"type": "object", "properties": {key: {} for key in given}, "required": [*given]})


def _action(name: str, given: Json, *, offered: bool = True) -> tuple[str, Json] | None:
    tool = _tool(name, given) if offered else None
    action = action_of(ToolUse("c", name, given), tool, WORK)
    return (action.tool, action.arguments) if action is not None else None


COMMANDS: list[tuple[str, Json]] = [
    ("Bash", {"command": "make", "description": "Builds", "timeout": 5, "run_in_background": False}),
    ("Monitor", {"command": "make"}),
    ("shell", {"command": ["bash", "-lc", "make"], "workdir": "/x", "timeout_ms": 1000}),
    ("shell", {"command": ["make"]}),
    ("container.exec", {"cmd": ["bash", "-lc", "make"]}),
    ("shell_command", {"command": "make", "workdir": "/x"}),
    ("exec_command", {"cmd": "make", "workdir": "/x", "yield_time_ms": 1000, "max_output_tokens": 10}),
    ("local_shell", {"command": ["make"], "working_directory": "/x", "timeout_ms": 1}),
    ("shell", {"commands": ["make"], "timeout_ms": 1, "max_output_length": 1}),
    ("execute_bash", {"command": "make", "is_input": "false", "security_risk": "LOW"}),
    ("terminal", {"command": "make", "is_input": False, "reset": False}),
    ("execute_command", {"command": "make", "requires_approval": True}),
    ("execute_command", {"command": "make", "cwd": "/x"}),
    ("run_terminal_cmd", {"command": "make", "is_background": False, "explanation": "to build"}),
    ("Shell", {"command": "make", "working_directory": "/x", "description": "Builds"}),
    ("run_terminal_command", {"command": "make", "waitForCompletion": True}),
    ("builtin_run_terminal_command", {"command": "make"}),
    ("run_shell_command", {"command": "make", "description": "x", "dir_path": "src"}),
    ("bash", {"command": "make", "description": "Builds", "timeout": 5}),
    ("developer__shell", {"command": "make"}),
    ("run_in_terminal", {"command": "make", "explanation": "x", "isBackground": False}),
    ("terminal", {"command": "make", "cd": "shop"}),
    ("mcp__desktop__execute_command", {"command": "make"}),
]
WRITES: list[tuple[str, Json]] = [
    ("Write", {"file_path": "a.py", "content": "x"}),
    ("Write", {"path": "a.py", "contents": "x"}),
    ("str_replace_editor", {"command": "create", "path": "a.py", "file_text": "x"}),
    ("file_editor", {"command": "create", "path": "a.py", "file_text": "x", "security_risk": "LOW"}),
    ("str_replace_based_edit_tool", {"command": "create", "path": "a.py", "file_text": "x"}),
    ("developer__text_editor", {"command": "write", "path": "a.py", "file_text": "x"}),
    ("write_to_file", {"path": "a.py", "content": "x"}),
    ("write_file", {"file_path": "a.py", "content": "x"}),
    ("write", {"filePath": "a.py", "content": "x"}),
    ("create_file", {"filePath": "a.py", "content": "x"}),
    ("builtin_create_new_file", {"filepath": "a.py", "contents": "x"}),
    ("apply_patch", {"input": "*** Begin Patch\n*** Add File: a.py\n+x\n*** End Patch"}),
]
EDITS: list[tuple[str, Json]] = [
    ("Edit", {"file_path": "a.py", "old_string": "o", "new_string": "n", "replace_all": False}),
    ("MultiEdit", {"file_path": "a.py", "edits": [{"old_string": "o", "new_string": "n"}]}),
    ("str_replace_editor", {"command": "str_replace", "path": "a.py", "old_str": "o", "new_str": "n"}),
    ("developer__text_editor", {"command": "str_replace", "path": "a.py", "old_str": "o", "new_str": "n"}),
    ("search_replace", {"file_path": "a.py", "old_string": "o", "new_string": "n"}),
    ("StrReplace", {"path": "a.py", "old_string": "o", "new_string": "n"}),
    ("replace", {"file_path": "a.py", "instruction": "x", "old_string": "o", "new_string": "n"}),
    ("edit", {"filePath": "a.py", "oldString": "o", "newString": "n"}),
    ("search_and_replace", {"path": "a.py", "search": "o", "replace": "n"}),
    ("replace_string_in_file", {"filePath": "a.py", "oldString": "o", "newString": "n"}),
    ("apply_patch", {"input": "*** Begin Patch\n*** Update File: a.py\n@@\n-o\n+n\n*** End Patch"}),
    ("patch", {"patchText": "*** Begin Patch\n*** Update File: a.py\n@@\n-o\n+n\n*** End Patch"}),
]
LATER: list[tuple[str, Json]] = [
    ("NotebookEdit", {"notebook_path": "a.py", "new_source": "n", "cell_id": "1", "edit_mode": "replace"}),
    ("str_replace_editor", {"command": "insert", "path": "a.py", "insert_line": 1, "new_str": "n"}),
    ("edit_file", {"target_file": "a.py", "instructions": "x", "code_edit": "n"}),
    ("edit_existing_file", {"filepath": "a.py", "changes": "n"}),
    ("insert_content", {"path": "a.py", "line": 1, "content": "n"}),
    ("replace_in_file", {"path": "a.py", "diff": "n"}),
    ("apply_diff", {"path": "a.py", "diff": "n"}),
    ("insert_edit_into_file", {"filePath": "a.py", "explanation": "x", "code": "n"}),
    ("apply_patch", {"type": "update_file", "path": "a.py", "diff": "n"}),
]
READS: list[tuple[str, Json]] = [
    ("Read", {"file_path": "a.py", "offset": 1, "limit": 2}),
    ("read_file", {"target_file": "a.py", "should_read_entire_file": True}),
    ("view_image", {"path": "a.py"}),
    ("str_replace_editor", {"command": "view", "path": "a.py", "view_range": [1, 2]}),
    ("Grep", {"pattern": "x", "path": "a.py"}),
    ("Glob", {"pattern": "x", "path": "a.py"}),
    ("list_files", {"path": "a.py", "recursive": True}),
    ("list_directory", {"dir_path": "a.py"}),
]
NETWORK: list[tuple[str, Json]] = [
    ("WebFetch", {"url": "https://a.example/x", "prompt": "Sum it up"}),
    ("webfetch", {"url": "https://a.example/x", "format": "text"}),
    ("web_fetch", {"prompt": "Sum up https://a.example/x for me"}),
    ("fetch_webpage", {"urls": ["https://a.example/x"], "query": "x"}),
    ("browser_navigate", {"url": "https://a.example/x", "new_tab": False}),
    ("browser", {"code": "goto('https://a.example/x')"}),
    ("browser_action", {"action": "launch", "url": "https://a.example/x"}),
    ("builtin_fetch_url_content", {"url": "https://a.example/x"}),
]
NOTHING: list[tuple[str, Json]] = [
    ("get_weather", {"city": "Oslo"}),
    ("TodoWrite", {"todos": []}),
    ("update_plan", {"plan": [], "explanation": "x"}),
    ("Task", {"description": "Look", "prompt": "rm -rf /", "subagent_type": "general"}),
    ("KillShell", {"shell_id": "1"}),
    ("BashOutput", {"bash_id": "1"}),
    ("AskUserQuestion", {"questions": []}),
    ("think", {"thought": "rm -rf /"}),
    ("finish", {"message": "done"}),
    ("attempt_completion", {"result": "done"}),
    ("WebSearch", {"query": "x"}),
    ("write_stdin", {"session_id": 1, "chars": ""}),
    ("write_stdin", {"session_id": 1, "chars": "\x03"}),
    ("Skill", {"skill": "pdf"}),
]


@pytest.mark.parametrize(("name", "given_"), COMMANDS)
@pytest.mark.parametrize("offered", [True, False])
def test_commands_are_told_whatever_runs_them(name: str, given_: Json, offered: bool) -> None:
    assert _action(name, given_, offered=offered) == ("shell", {"command": "make"})
    assert may_act(name, _tool(name, given_))


@pytest.mark.parametrize(("name", "given_"), WRITES)
def test_whole_files_are_told(name: str, given_: Json) -> None:
    kind, arguments = _action(name, given_) or ("", {})
    assert (kind, arguments["path"], arguments["content"]) == ("file_write", "a.py", "x")
    assert may_act(name, _tool(name, given_))


@pytest.mark.parametrize(("name", "given_"), [*EDITS, *LATER])
def test_changes_of_files_are_told(name: str, given_: Json) -> None:
    kind, arguments = _action(name, given_) or ("", {})
    old = "o" if (name, given_) in EDITS else ""
    assert (kind, arguments["path"], arguments["old"], arguments["new"]) == ("file_edit", "a.py", old, "n")
    assert may_act(name, _tool(name, given_))


@pytest.mark.parametrize(("name", "given_"), READS)
def test_reads_are_told(name: str, given_: Json) -> None:
    assert _action(name, given_) == ("file_read", {"path": "a.py"})


@pytest.mark.parametrize(("name", "given_"), NETWORK)
def test_addresses_are_told(name: str, given_: Json) -> None:
    assert _action(name, given_) == ("network", {"url": "https://a.example/x"})
    assert may_act(name, _tool(name, given_))


@pytest.mark.parametrize(("name", "given_"), NOTHING)
def test_what_does_nothing_here_is_not_rated(name: str, given_: Json) -> None:
    assert _action(name, given_) is None


@pytest.mark.parametrize(
    "name", ["get_weather", "TodoWrite", "Task", "Read", "Grep", "BashOutput", "WebSearch"]
)
def test_what_only_reads_is_not_held(name: str) -> None:
    given_ = next(given for named, given in (*NOTHING, *READS) if named == name) if name != "x" else {}
    assert not may_act(name, _tool(name, given_))


@pytest.mark.parametrize(
    ("name", "given_", "server", "inner"),
    [
        ("mcp__github__create_issue", {"title": "x"}, "github", "create_issue"),
        ("mcp__files__write_file", {"path": "a", "content": "x"}, "files", "write_file"),
        ("notion__create_page", {"title": "x"}, "notion", "create_page"),
    ],
)
def test_tools_of_servers_are_told_with_their_server(
    name: str, given_: Json, server: str, inner: str
) -> None:
    assert _action(name, given_) == ("mcp", {"server": server, "name": inner, "arguments": given_})


def test_tools_that_call_servers_are_told_with_what_they_call() -> None:
    given_ = {"server_name": "github", "tool_name": "create_issue", "arguments": '{"title": "x"}'}
    assert _action("use_mcp_tool", given_) == (
        "mcp",
        {"server": "github", "name": "create_issue", "arguments": {"title": "x"}},
    )


def test_a_patch_is_one_action_for_each_file_and_its_gravest_stands_for_it() -> None:
    call = ToolUse("c", "apply_patch", {"input": PATCH})
    actions = actions_of(call, _tool("apply_patch", call.input), WORK)
    assert [action.tool for action in actions] == ["file_write", "file_edit", "shell"]
    assert all(action.arguments["patch"] == PATCH for action in actions)
    one = action_of(call, None, WORK)
    assert one is not None
    assert one.arguments["command"] == "rm -r -- /etc/motd"


def test_a_patch_within_a_command_is_seen() -> None:
    call = ToolUse("c", "shell", {"command": ["bash", "-lc", f"apply_patch <<'EOF'\n{PATCH}EOF"]})
    assert [action.tool for action in actions_of(call, None, WORK)] == [
        "shell",
        "file_write",
        "file_edit",
        "shell",
    ]


@pytest.mark.parametrize(
    ("name", "given_", "command"),
    [
        ("delete_file", {"target_file": "/x/it's", "explanation": "x"}, "rm -r -- '/x/it'\"'\"'s'"),
        ("Delete", {"path": "/x"}, "rm -r -- /x"),
        ("move_path", {"source_path": "a", "destination_path": "/x"}, "mv -- a /x"),
        ("execute_ipython_cell", {"code": "1 + 1"}, "python3 -c '1 + 1'"),
    ],
)
def test_what_has_a_command_of_its_own_is_told_as_that(name: str, given_: Json, command: str) -> None:
    assert _action(name, given_) == ("shell", {"command": command})


@pytest.mark.parametrize(
    ("given_", "dialect", "cwd"),
    [
        ({"command": ["powershell.exe", "-NoProfile", "-Command", "ls"]}, "powershell", ""),
        ({"command": ["cmd.exe", "/c", "ls"]}, "cmd", ""),
        ({"command": ["/usr/bin/fish", "-c", "ls"]}, "fish", ""),
        ({"cmd": "ls", "shell": "/bin/zsh", "workdir": "/x"}, "posix", "/x"),
        ({"cmd": "ls", "workdir": "src"}, "", f"{WORK}/src"),
    ],
)
def test_shells_and_folders_are_told(given_: Json, dialect: str, cwd: str) -> None:
    action = action_of(ToolUse("c", "shell", given_), None, WORK)
    assert action is not None
    assert (action.arguments, action.dialect, action.cwd) == ({"command": "ls"}, dialect, cwd)
    assert (action.workspace, action.name) == (WORK, "shell")


def test_what_is_typed_into_a_program_that_runs_is_marked() -> None:
    action = _action("write_stdin", {"session_id": 1, "chars": "rm -rf /\n"})
    assert action == ("shell", {"command": "rm -rf /\n", "stdin": True})


@pytest.mark.parametrize(
    ("name", "given_", "changed", "expected"),
    [
        ("Bash", {"command": "a", "timeout": 1}, {"command": "b"}, {"command": "b", "timeout": 1}),
        ("shell", {"command": ["bash", "-lc", "a"]}, {"command": "b"}, {"command": ["bash", "-lc", "b"]}),
        ("shell", {"command": ["a", "x"]}, {"command": "b | c"}, {"command": ["bash", "-lc", "b | c"]}),
        ("shell", {"commands": ["a"]}, {"command": "b"}, {"commands": ["b"]}),
        ("Write", {"file_path": "a", "content": "x"}, {"path": "b"}, {"file_path": "b", "content": "x"}),
        ("WebFetch", {"url": "a", "prompt": "x"}, {"url": "b"}, {"url": "b", "prompt": "x"}),
        ("mcp__a__b", {"x": 1}, {"arguments": {"y": 2}}, {"y": 2}),
        ("delete_file", {"target_file": "a"}, {"command": "rm b"}, None),
    ],
)
def test_edited_arguments_stand_where_the_tool_has_them(
    name: str, given_: Json, changed: dict[str, Any], expected: Json | None
) -> None:
    call = ToolUse("c", name, given_)
    shown = action_of(call, None, WORK)
    assert shown is not None
    allowed = type(shown)(tool=shown.tool, arguments={**shown.arguments, **changed})
    assert edited_input(call, shown, allowed) == expected
    assert call.input == given_


@settings(max_examples=300)
@given(
    wild_tools,
    st.one_of(
        wild_arguments,
        st.dictionaries(
            st.sampled_from(["command", "cmd", "path", "url", "edits", "input", "code", "commands"]),
            st.one_of(st.text(), st.integers(), st.lists(st.text(), max_size=3), st.none()),
        ),
    ),
)
def test_wild_calls_are_told_without_an_error(tools: tuple[Tool, ...], given_: Json) -> None:
    for tool in tools:
        found = actions_of(ToolUse("c", tool.name, given_), tool, WORK)
        if any(action.tool != "file_read" for action in found):
            assert may_act(tool.name, tool)
