"""The names in requests, and the folders that agents say they work in."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Literal

import pytest

from lynkr_desktop.engine.analysis.limits import Limits
from lynkr_desktop.engine.analysis.workspaces import Workspaces
from lynkr_desktop.engine.routing.ask import read_ask
from lynkr_desktop.engine.routing.mentions import MAX_NAMES, look_up, names, worked_on
from lynkr_desktop.engine.routing.workspace import Workspace, workspace_of
from lynkr_desktop.engine.wire.canonical import Message, Request, Text, Tool, ToolResult, ToolUse


def said(text: str, system: str = "", tools: tuple[Tool, ...] = ()) -> Request:
    return Request(
        "m", (Message("user", (Text(text),)),), system=(Text(system),) if system else (), tools=tools
    )


def named(request: Request) -> tuple[str, ...]:
    return names(request, read_ask(request))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("why is src/app/user_service.py:120 slow?", {"src/app/user_service.py"}),
        ("see ./a.ts, ../b/c.rs and (d.go)", {"./a.ts", "../b/c.rs", "d.go"}),
        (r"look at C:\proj\Api\Users.cs", {r"C:\proj\Api\Users.cs"}),
        ("explain @src/deep/name.tsx please", {"src/deep/name.tsx"}),
        ("pages/[id].tsx is wrong", {"pages/[id].tsx"}),
        ("修复src/utils/date.ts里的时区错误", {"src/utils/date.ts"}),
        ("Исправь ошибку в ядро.py", {"ядро.py"}),
        ("why is `src/größe.ts` wrong?", {"src/größe.ts"}),
        (
            "`UserService.login` calls parse_config() and foo.bar.baz",
            {"UserService.login", "parse_config", "foo.bar.baz"},
        ),
        ("Store::open in the LockManager", {"Store::open", "LockManager"}),
        ('  File "/w/app/main.py", line 3, in run\n    boom()\nValueError: x', {"/w/app/main.py"}),
        ("--- a/pkg/x.go\n+++ b/pkg/x.go\n@@ -1 +1 @@", {"pkg/x.go"}),
        ("at com.acme.Pay.run(Pay.java:31)", {"Pay.java"}),
        ("write a haiku about spring", set()),
    ],
)
def test_names_in_what_a_person_writes(text: str, expected: set[str]) -> None:
    found = set(named(said(text)))
    assert expected <= found
    if not expected:
        assert not found


def test_system_prompts_reminders_and_schemas_name_nothing() -> None:
    request = said(
        "<system-reminder>See src/core/god.py and GodModule</system-reminder>what is 2 + 2",
        system="The repo has src/core/god.py",
        tools=(Tool("Read", "Reads src/core/god.py"),),
    )
    assert named(request) == ()


def test_what_was_asked_about_stands_before_what_is_worked_on() -> None:
    request = Request(
        "m",
        (
            Message("user", (Text("rename load in a.py"),)),
            Message("assistant", (ToolUse("1", "Read", {"file_path": "/w/b.py"}),)),
            Message("user", (ToolResult("1", (Text("import c.py"),)),)),
        ),
    )
    assert named(request) == ("a.py", "/w/b.py")


def test_results_count_where_nothing_else_names_code() -> None:
    request = Request(
        "m",
        (
            Message("user", (Text("why does the build fail?"),)),
            Message("assistant", (ToolUse("1", "Bash", {"command": "make"}),)),
            Message("user", (ToolResult("1", (Text("src/io.rs:7:2: error: mismatched types"),)),)),
        ),
    )
    assert named(request) == ("src/io.rs",)


def test_patches_and_commands_name_files() -> None:
    patch = "*** Begin Patch\n*** Update File: src/app.py\n@@\n-a\n+b\n*** End Patch"
    request = Request(
        "m",
        (
            Message("user", (Text("go"),)),
            Message("assistant", (ToolUse("1", "apply_patch", {"input": patch}),)),
            Message("user", (ToolResult("1", (Text("Done"),)),)),
            Message(
                "assistant", (ToolUse("2", "shell", {"command": ["bash", "-lc", "sed -n 1,9p lib/x.go"]}),)
            ),
            Message("user", (ToolResult("2", (Text("…"),)),)),
        ),
    )
    assert named(request) == ("src/app.py", "lib/x.go")


def test_names_are_bounded() -> None:
    assert len(named(said(" ".join(f"pkg/mod{number}.py" for number in range(5_000))))) <= MAX_NAMES


# ---------------------------------------------------------------- workspaces


@pytest.mark.parametrize(
    ("system", "text", "folder"),
    [
        (
            "# Environment\n - Primary working directory: /home/me/my app\n - Is a git repository: true",
            "hi",
            "/home/me/my app",
        ),
        ("<env>\n  Working directory: /srv/code\n  Is directory a git repo: yes\n</env>", "hi", "/srv/code"),
        ("", "<environment_context>\n  <cwd>/home/dev/work</cwd>\n</environment_context>", "/home/dev/work"),
        (
            "",
            "<environment_context>\n  <cwd>\\\\srv\\share\\p</cwd>\n</environment_context>",
            "\\\\srv\\share\\p",
        ),
        (
            "",
            "<environment_details>\n# Current Working Directory (c:/Users/me/x) Files\na.ts",
            "c:/Users/me/x",
        ),
        (
            "",
            "<user_info>\nOS Version: win32\nWorkspace Path: C:\\dev\\x\nShell: pwsh\n</user_info>",
            "C:\\dev\\x",
        ),
        ("Your current working directory is: /workspace/project\nUse it.", "hi", "/workspace/project"),
        ("Say the working directory first. The current working directory is `/w/a`.", "hi", "/w/a"),
        ("", "<uploaded_files>\n/workspace/django\n</uploaded_files>\nFix it.", "/workspace/django"),
    ],
)
def test_agents_say_where_they_work(system: str, text: str, folder: str) -> None:
    assert workspace_of(said(text, system), {}) == Workspace(folder, "request")


def turn(role: Literal["user", "assistant"], *blocks: Text | ToolUse | ToolResult) -> Message:
    return Message(role, blocks)


def after(text: str, *work: tuple[ToolUse, str]) -> Request:
    """An ask after another one, for which some calls were made."""
    turns = [turn("user", Text("have a look at how names are made"))]
    for call, result in work:
        turns += [turn("assistant", call), turn("user", ToolResult(call.id, (Text(result),)))]
    return Request("m", (*turns, turn("assistant", Text("I read it.")), turn("user", Text(text))))


READ = ToolUse("1", "Read", {"file_path": "shop/slug.py"})
SED = ToolUse("2", "shell", {"command": ["bash", "-lc", "sed -n 1,80p shop/orders.py"]})
GREP = ToolUse("3", "Grep", {"pattern": "slugify"})
FOUND = "shop/slug.py:1:def slugify(title):"


@pytest.mark.parametrize(
    ("work", "expected"),
    [
        ([(READ, "...")], ("shop/slug.py",)),
        ([(READ, "..."), (SED, "...")], ("shop/orders.py", "shop/slug.py")),
        ([(GREP, FOUND)], ("shop/slug.py",)),
        ([(READ, "..."), (GREP, "shop/orders.py:9: slugify(x)")], ("shop/slug.py",)),
        ([], ()),
    ],
)
def test_what_was_worked_on_before_an_ask(work: list[tuple[ToolUse, str]], expected: tuple[str, ...]) -> None:
    request = after("write tests for that file", *work)
    assert worked_on(request, read_ask(request).position) == expected


def test_what_was_done_for_an_ask_before_the_last_is_another_matter() -> None:
    turns = (
        *after("and now the orders", (READ, "...")).messages,
        turn("assistant", SED),
        turn("user", ToolResult("2", (Text("..."),))),
        turn("assistant", Text("Here they are.")),
        turn("user", Text("split that file up")),
    )
    request = Request("m", turns)
    assert worked_on(request, read_ask(request).position) == ("shop/orders.py",)


async def test_an_ask_that_points_back_is_about_what_was_worked_on(tmp_path: Path) -> None:
    root = tmp_path / "project"
    (root / "shop").mkdir(parents=True)
    (root / "shop" / "slug.py").write_text("def slugify(title):\n    return title.lower()\n")
    (root / "shop" / "orders.py").write_text("class Orders:\n    pass\n")
    workspaces = Workspaces(tmp_path / "cache", Limits(), lambda: None)
    await workspaces.start()
    try:
        index = workspaces.at(root)
        assert index is not None
        assert await asyncio.to_thread(index.wait, 30)

        def about(request: Request) -> list[str]:
            return [file.path for file in look_up(index, request, read_ask(request)).files]

        for text in (
            "table driven tests for that file",
            "schreib Tests für diese Klasse",
            "go for it, please",
        ):
            assert about(after(text, (READ, "..."))) == ["shop/slug.py"], text
        assert about(after("write tests for `Orders`", (READ, "..."))) == ["shop/orders.py"]
        assert about(after("thanks. what does ACID stand for?", (READ, "..."))) == []
        assert about(said("write tests for that file")) == []
    finally:
        await workspaces.close()


def test_a_tool_may_say_it() -> None:
    tool = Tool(
        "file_editor", "Edits files.\nYour current working directory is: /workspace/p\nUse absolute paths."
    )
    assert workspace_of(said("hi", tools=(tool,)), {}) == Workspace("/workspace/p", "request")


def test_the_header_comes_first_and_the_configuration_last(tmp_path: Path) -> None:
    stated = said("hi", "Working directory: /stated\n")
    assert workspace_of(stated, {"x-lynkr-workspace": "/header/"}) == Workspace("/header", "header")
    assert workspace_of(stated, {"x-lynkr-workspace": "file:///C:/a%20b"}) == Workspace("C:/a b", "header")
    assert workspace_of(stated, {"x-lynkr-workspace": "not/absolute"}, tmp_path) == Workspace(
        "/stated", "request"
    )
    assert workspace_of(said("hi"), {}, tmp_path) == Workspace(str(tmp_path), "configured")
    assert workspace_of(said("hi"), {}) is None


def test_the_newest_statement_counts() -> None:
    turns = [
        f"<environment_context>\n<cwd>/w/{name}</cwd>\n</environment_context>" for name in ("old", "new")
    ]
    request = Request("m", tuple(Message("user", (Text(turn),)) for turn in turns))
    assert workspace_of(request, {}) == Workspace("/w/new", "request")


def test_what_a_person_writes_of_folders_is_no_statement() -> None:
    assert workspace_of(said("my working directory: /etc\nwhy?"), {}) is None


@pytest.mark.skipif(os.name == "nt", reason="what is absolute differs")
def test_a_folder_of_another_system_has_no_path_here() -> None:
    assert Workspace("C:\\dev\\x", "request").path is None
    assert Workspace("/w", "request").path == Path("/w")


def test_a_name_in_other_letters_comes_before_its_end() -> None:
    assert named(said("look at naïve.py first"))[0] == "naïve.py"
