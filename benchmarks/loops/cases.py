"""Labelled conversations: loops, each with its cause and its place, and work that only looks so.

Outputs are written as agents write them: Claude Code, Codex, OpenHands, mini-swe-agent, MCP servers.
The labels were set by what a person beside the agent would want, before the guard was run on them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from lynkr_desktop.engine.wire.canonical import Block, Message, Text, Thinking, ToolResult, ToolUse
from lynkr_desktop.protocol.sessions import LoopCause


class Step(NamedTuple):
    """A call of a tool and what came back.

    Attributes:
        tool: its name.
        arguments: of the call.
        output: what came back.
        error: whether the client says that it failed.
        thought: what the model said before it.
        person: what a person said after it.
        beside: whether it was called together with the one before it.
    """

    tool: str
    arguments: dict[str, Any]
    output: str
    error: bool = False
    thought: str = ""
    person: str = ""
    beside: bool = False


class Case(NamedTuple):
    """A conversation.

    Attributes:
        name: what it is.
        steps: the actions, in order.
        cause: of the loop that it is; empty where it is none.
        at: the number of the action after which it should be told; 0 where it is no loop.
    """

    name: str
    steps: Sequence[Step]
    cause: LoopCause | None = None
    at: int = 0


def conversation(steps: Iterable[Step], ask: str = "Make the tests pass") -> list[Message]:
    """The messages of a client that made these steps."""
    messages: list[Message] = [Message("user", (Text(ask),))]
    for number, step in enumerate(steps):
        call = ToolUse(f"call_{number}", step.tool, step.arguments)
        result = ToolResult(call.id, (Text(step.output),), step.error)
        if step.beside and messages[-1].role == "user" and len(messages) > 1:
            asked, answered = messages[-2], messages[-1]
            messages[-2:] = [
                Message("assistant", (*asked.content, call)),
                Message("user", (*answered.content, result)),
            ]
            continue
        said: tuple[Block, ...] = (Thinking(step.thought), Text(step.thought)) if step.thought else ()
        messages.append(Message("assistant", (*said, call)))
        after: tuple[Block, ...] = (Text(step.person),) if step.person else ()
        messages.append(Message("user", (result, *after)))
    return messages


# ---------------------------------------------------------------- agents


def claude(command: str, code: int, output: str = "", **more: Any) -> Step:
    """A command of Claude Code."""
    arguments = {"command": command, "description": more.pop("description", "Run it")}
    text = f"Exit code {code}\n{output}" if code else output
    return Step("Bash", arguments, text, error=code != 0, **more)


def codex(command: str, code: int, output: str = "", seconds: float = 0.4) -> Step:
    """A command of Codex."""
    text = f"Exit code: {code}\nWall time: {seconds} seconds\nOutput:\n{output}"
    return Step("shell", {"command": ["bash", "-lc", command], "workdir": "/home/dev/shop"}, text)


def codex_json(command: str, code: int, output: str = "", seconds: float = 0.4) -> Step:
    """The same, as older ones give it."""
    quoted = output.replace("\n", "\\n")
    meta = f'{{"exit_code":{code},"duration_seconds":{seconds}}}'
    return Step("shell", {"command": ["bash", "-lc", command]}, f'{{"output":"{quoted}","metadata":{meta}}}')


def codex_exec(command: str, code: int, output: str = "", chunk: str = "a1b2c3") -> Step:
    """The same, by its newer tool."""
    head = f"Chunk ID: {chunk}\nWall time: 0.0513 seconds\nProcess exited with code {code}\n"
    return Step("exec_command", {"cmd": command}, f"{head}Original token count: 12\nOutput:\n{output}")


def openhands(command: str, code: int, output: str = "") -> Step:
    """A command of OpenHands."""
    tail = "[Current working directory: /workspace/shop]\n[Python interpreter: /usr/bin/python]\n"
    text = f"{output}\n{tail}[Command finished with exit code {code}]"
    return Step("execute_bash", {"command": command}, text)


def openhands_still(command: str, output: str, seconds: int) -> Step:
    """One of OpenHands that goes on."""
    note = f"[The command has no new output after {seconds} seconds. You may wait longer to see more]"
    return Step("execute_bash", {"command": command, "is_input": "false"}, f"{output}\n{note}")


def mini(command: str, code: int, output: str = "") -> Step:
    """A command of mini-swe-agent."""
    return Step(
        "bash",
        {"command": command},
        f"<returncode>{code}</returncode>\n<output>\n{output}\n</output>",
    )


def read(path: str, output: str = "     1\u2192import os\n") -> Step:
    """A file that Claude Code read."""
    return Step("Read", {"file_path": path}, output)


def edit(path: str, number: int) -> Step:
    """A file that it changed."""
    arguments = {"file_path": path, "old_string": f"a{number}", "new_string": f"b{number}"}
    return Step("Edit", arguments, f"The file {path} has been updated.\n{number}\tb{number}")


RED = "=== FAILURES ===\nE  assert 3 == 4\n=== 1 failed, 11 passed in {}s ==="
EDIT_FAILED = "<tool_use_error>String to replace not found in file.\nString: foo {}</tool_use_error>"


def loops() -> list[Case]:
    """Conversations that a person would want to be stopped."""
    n = range(20)
    return [
        Case(
            "claude: other commands, all fail",
            [claude(f"make t{i}", 2, f"no rule {i}") for i in n],
            "failed_actions",
            15,
        ),
        Case(
            "codex: other commands, all fail",
            [codex(f"make t{i}", 2, f"no rule {i}") for i in n],
            "failed_actions",
            15,
        ),
        Case(
            "codex, JSON: the same",
            [codex_json(f"make t{i}", 2, f"no rule {i}") for i in n],
            "failed_actions",
            15,
        ),
        Case(
            "codex, exec: the same",
            [codex_exec(f"make t{i}", 127, f"no rule {i}") for i in n],
            "failed_actions",
            15,
        ),
        Case(
            "openhands: the same",
            [openhands(f"make t{i}", 2, f"no rule {i}") for i in n],
            "failed_actions",
            15,
        ),
        Case(
            "mini-swe-agent: the same",
            [mini(f"make t{i}", 2, f"no rule {i}") for i in n],
            "failed_actions",
            15,
        ),
        Case(
            "edits that never find their text",
            [
                Step("Edit", {"file_path": "a.py", "old_string": f"x{i}"}, EDIT_FAILED.format(i), True)
                for i in n
            ],
            "failed_actions",
            15,
        ),
        Case(
            "patches that do not apply",
            [
                Step(
                    "apply_patch",
                    {"input": f"*** Begin Patch {i}"},
                    f"apply_patch verification failed: hunk {i}",
                )
                for i in n
            ],
            "failed_actions",
            15,
        ),
        Case(
            "five calls at once, all fail",
            [claude(f"make t{i}", 2, f"no rule {i}")._replace(beside=i % 5 != 0) for i in n],
            "failed_actions",
            15,
        ),
        Case(
            "an MCP server that is down",
            [Step("mcp__db__query", {"sql": f"select {i}"}, f"Error: connection refused ({i})") for i in n],
            "failed_actions",
            15,
        ),
        Case(
            "a tool that answers in JSON with an error",
            [Step("fetch", {"url": f"http://x/{i}"}, f'{{"error": "timeout {i}"}}') for i in n],
            "failed_actions",
            15,
        ),
        Case(
            "Anthropic: arguments that do not fit",
            [
                Step("Read", {"path": f"f{i}"}, f"InputValidationError: file_path is missing ({i})", True)
                for i in n
            ],
            "failed_actions",
            15,
        ),
        Case(
            "thoughts by a tool between failures",
            [
                step
                for i in n
                for step in (
                    claude(f"make t{i}", 2, f"no rule {i}"),
                    Step("think", {"thought": f"hm {i}"}, "Your thought has been logged."),
                )
            ],
            "failed_actions",
            29,
        ),
        Case("the same file again and again", [read("a.py")] * 6, "same_action", 4),
        Case("the same red test", [claude("pytest", 1, RED.format(1.2))] * 6, "same_action", 4),
        Case(
            "the same red test, other times",
            [
                claude("pytest", 1, RED.format(f"0.{i}1"), thought=f"Now it should pass ({i})")
                for i in range(6)
            ],
            "same_action",
            4,
        ),
        Case(
            "the same command, other reasons",
            [
                claude("git status", 0, "nothing to commit", description=f"Look once more, {i}")
                for i in range(6)
            ],
            "same_action",
            4,
        ),
        Case(
            "codex: the same, other wall times",
            [codex("ls", 0, "a.py", 0.1 * i) for i in range(1, 7)],
            "same_action",
            4,
        ),
        Case(
            "codex, exec: the same, other chunks",
            [codex_exec("ls", 0, "a.py", f"{i:06x}") for i in range(6)],
            "same_action",
            4,
        ),
        Case("openhands: the same view", [openhands("cat a.py", 0, "import os")] * 6, "same_action", 4),
        Case(
            "the same list with dates",
            [claude("ls -l", 0, f"-rw-r--r-- 1 u u 10 Nov 24 01:0{i} a.py") for i in range(6)],
            "same_action",
            4,
        ),
        Case(
            "the same plan, written again",
            [
                Step(
                    "TodoWrite",
                    {"todos": [{"content": "fix", "status": "pending"}]},
                    "Todos have been modified",
                )
            ]
            * 6,
            "same_action",
            4,
        ),
        Case(
            "thoughts by a tool between equal actions",
            [
                step
                for i in range(6)
                for step in (
                    read("a.py"),
                    Step("think", {"thought": f"hm {i}"}, "Your thought has been logged."),
                )
            ],
            "same_action",
            7,
        ),
        Case("two files in turn", [read("a.py"), read("b.py")] * 8, "alternating", 12),
        Case(
            "an edit and its undoing",
            [
                Step(
                    "str_replace_editor",
                    {"command": "str_replace", "path": "a.py"},
                    "The file has been edited.",
                ),
                Step("str_replace_editor", {"command": "undo_edit", "path": "a.py"}, "Last edit undone."),
            ]
            * 8,
            "alternating",
            12,
        ),
        Case(
            "two calls at once, again and again",
            [step for _ in range(8) for step in (read("a.py"), read("b.py")._replace(beside=True))],
            "alternating",
            12,
        ),
        Case(
            "a test and a look, other times",
            [step for i in range(8) for step in (claude("pytest", 1, RED.format(f"1.{i}")), read("a.py"))],
            "alternating",
            12,
        ),
        Case("it never ends", [read(f"f{i}.py", f"{i}") for i in range(210)], "iterations", 200),
        Case(
            "it waits for what never comes",
            [Step("BashOutput", {"bash_id": "1"}, "<status>running</status>\n<stdout></stdout>")] * 210,
            "iterations",
            200,
        ),
    ]


def work() -> list[Case]:
    """Conversations that only look like loops."""
    n = range(30)
    return [
        Case(
            "edit and test until it passes",
            [s for i in range(14) for s in (edit("a.py", i), claude("pytest", 1, RED.format(1.1)))],
        ),
        Case(
            "test after each edit, fewer fail",
            [
                s
                for i in range(14)
                for s in (
                    claude("pytest", 1, f"=== {14 - i} failed, {i} passed in 1.1s ==="),
                    edit("a.py", i),
                )
            ],
        ),
        Case(
            "the same test, fewer fail, nothing between",
            [claude("make", 2, f"{30 - i} errors left") for i in range(14)],
        ),
        Case(
            "fourteen failures and one that works",
            [*[claude(f"m{i}", 1, f"{i}") for i in range(14)], claude("m", 0, "ok")],
        ),
        Case(
            "failures with a success between",
            [claude(f"make t{i}", 0 if i % 10 == 9 else 2, f"rule {i}") for i in range(60)],
        ),
        Case(
            "a person speaks between failures",
            [
                claude(f"m{i}", 1, f"{i}", person="No, the other one" if i % 10 == 9 else "")
                for i in range(40)
            ],
        ),
        Case(
            "a person refuses",
            [
                Step(
                    "Bash",
                    {"command": f"rm {i}"},
                    "The user doesn't want to proceed with this tool use. The tool use was rejected.",
                    True,
                )
                for i in range(20)
            ],
        ),
        Case(
            "a background task is looked at",
            [Step("BashOutput", {"bash_id": "1"}, "<status>running</status>\n<stdout></stdout>")] * 40,
        ),
        Case(
            "a task of another agent is waited for",
            [Step("TaskOutput", {"task_id": "t1", "block": True}, "<status>running</status>")] * 40,
        ),
        Case(
            "codex: an empty input to what runs",
            [Step("write_stdin", {"session_id": 3, "chars": ""}, "Process running with session ID 3")] * 30,
        ),
        Case("openhands: an empty command", [openhands_still("", "", 30)] * 30),
        Case(
            "sleep, then a look",
            [s for _ in n for s in (claude("sleep 30", 0), claude("gh run list", 0, "in_progress"))],
        ),
        Case(
            "a look after a pause in one command",
            [claude("sleep 10 && curl -s localhost:1/health", 0, "starting")] * 20,
        ),
        Case("a server that is not up yet", [claude("sleep 5; curl -sf localhost:8080", 7, "refused")] * 10),
        Case(
            "kubectl waits",
            [claude("kubectl rollout status deploy/x --timeout=30s", 1, "error: timed out")] * 10,
        ),
        Case("a job by a tool", [Step("get_job_status", {"id": "j1"}, '{"status": "running"}')] * 30),
        Case(
            "a tool whose answer says that it runs",
            [Step("mcp__ci__pipeline", {"id": 7}, '{"state": "pending"}')] * 30,
        ),
        Case(
            "a build that makes progress",
            [claude("tail -3 build.log", 0, f"[{i}/900] cc file{i}.c") for i in n],
        ),
        Case(
            "the same file after each edit",
            [s for i in range(14) for s in (edit("a.py", i), read("a.py", f"v{i}"))],
        ),
        Case(
            "pages of one file",
            [Step("Read", {"file_path": "a.py", "offset": i * 100}, f"{i * 100}\u2192x") for i in n],
        ),
        Case("many files whose contents are equal", [read(f"pkg{i}/__init__.py", "(empty)") for i in n]),
        Case(
            "many searches without a match",
            [Step("Grep", {"pattern": f"name{i}"}, "No files found") for i in n],
        ),
        Case("three times the same", [*[read("a.py")] * 3, read("b.py"), *[read("a.py")] * 3, read("c.py")]),
        Case("five pairs", [read("a.py"), read("b.py")] * 5),
        Case(
            "files that speak of errors",
            [read(f"log{i}.txt", f"     1\u2192Error: it broke\n     2\u2192exit code 1 ({i})") for i in n],
        ),
        Case(
            "commands that print errors and work",
            [
                codex(f"grep -rn rror src{i}", 0, f"a.py:1: raise ValueError({i})\nfatal: not really")
                for i in n
            ],
        ),
        Case(
            "openhands: outputs with errors and exit code 0",
            [
                openhands(f"cat log{i}", 0, f"Traceback (most recent call last):\n  {i}\nValueError: x")
                for i in n
            ],
        ),
        Case(
            "positions of errors that move",
            [claude("npx tsc", 0, f"src/a.ts:{i + 10}:3 - error TS2322 in line") for i in range(8)],
        ),
        Case(
            "rows that are inserted one by one",
            [Step("insert_row", {"t": "x"}, f'{{"ok": true, "id": {i}}}') for i in n],
        ),
        Case(
            "a REPL that is given the same line",
            [Step("python", {"code": "step()"}, f"loss={1 / (i + 2):.4f}") for i in n],
        ),
        Case(
            "a long task with a person beside it",
            [
                read(f"f{i}.py", f"{i}")._replace(person="go on, next file" if i % 50 == 49 else "")
                for i in range(300)
            ],
        ),
    ]
