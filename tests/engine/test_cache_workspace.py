"""A stored reply about code is given again only while the code is as it was."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from lynkr_desktop.engine.analysis.indexing import Indexing
from lynkr_desktop.engine.cache import responses
from lynkr_desktop.engine.cache.workspace import state_of
from tests.support.engine import Running, engine_in_process
from tests.support.openai_server import OpenAIServer, openai_server
from tests.support.workspace import git, write

FILES = {
    "app/core.py": "from app.helper import help_out\n\n\ndef run_core(value):\n    return help_out(value)\n",
    "app/helper.py": "from app.base import BASE\n\n\ndef help_out(value):\n    return BASE + value\n",
    "app/base.py": "BASE = 1\n",
    "app/user.py": "from app.core import run_core\n\n\ndef use_core():\n    return run_core(2)\n",
    "app/apart.py": "def stand_alone():\n    return 3\n",
    "app/__init__.py": "",
    "notes.md": "Some notes.\n",
    "settings.yaml": "a: 1\n",
}


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A repository with one commit."""
    root = write(tmp_path / "work", FILES)
    git(root, "init")
    git(root, "add", ".")
    git(root, "commit", "-m", "one")
    return root


@pytest.fixture
async def lynkr(tmp_path: Path, workspace: Path) -> AsyncIterator[Running]:
    async with openai_server() as upstream, engine_in_process(tmp_path / "home", config(upstream)) as running:
        await ready(running, workspace)
        yield running


def config(upstream: OpenAIServer) -> dict[str, Any]:
    from tests.support.engine import config_for

    return {**config_for(upstream.url), "optimization": {"pipeline": ["sha256_lru_cache"]}}


async def ready(running: Running, folder: Path) -> None:
    """Waits until a workspace is indexed and nothing is left to do."""
    assert running.engine.workspaces is not None
    index = running.engine.workspaces.at(folder)
    assert index is not None
    assert await asyncio.to_thread(index.wait, 20.0)
    assert index.status.state == "ready"


async def ask(
    running: Running, folder: Path | str | None, text: str, *, model: str = "tier:simple", **fields: Any
) -> str:
    """Asks about a workspace, and tells what the cache did."""
    body = {"model": model, "messages": [{"role": "user", "content": text}], **fields}
    headers = {} if folder is None else {"x-lynkr-workspace": str(folder)}
    url = f"{running.url}/v1/chat/completions"
    async with running.http.post(url, json=body, headers=headers) as response:
        assert response.status == 200, await response.text()
        return response.headers["x-lynkr-cache"]


async def known(running: Running, folder: Path, text: str, **fields: Any) -> None:
    """Asks until it is known."""
    told = [await ask(running, folder, text, **fields) for _ in range(2)]
    assert told == ["miss", "hit"], told


CORE = "What does app/core.py do?"


@pytest.mark.parametrize(
    "text", [CORE, "Explain `run_core`", "Explain run_core() please", "see @app/core.py"]
)
@pytest.mark.parametrize("model", ["tier:simple", "auto-route", "fake/simple"])
async def test_an_edit_of_a_file_that_is_named_misses(
    lynkr: Running, workspace: Path, text: str, model: str
) -> None:
    await known(lynkr, workspace, text, model=model)
    with (workspace / "app/core.py").open("a") as file:
        file.write("# more\n")
    assert await ask(lynkr, workspace, text, model=model) == "miss"


@pytest.mark.parametrize("path", ["app/helper.py", "app/base.py", "app/user.py"])
async def test_an_edit_of_a_dependency_or_of_a_dependent_misses(
    lynkr: Running, workspace: Path, path: str
) -> None:
    await known(lynkr, workspace, CORE)
    (workspace / path).write_text((workspace / path).read_text().replace("1", "7").replace("value", "given"))
    with (workspace / path).open("a") as file:
        file.write("\n")
    assert await ask(lynkr, workspace, CORE) == "miss"


async def test_an_edit_elsewhere_still_hits(lynkr: Running, workspace: Path) -> None:
    await known(lynkr, workspace, CORE)
    (workspace / "app/apart.py").write_text("def stand_alone():\n    return 4\n")
    (workspace / "notes.md").write_text("Other notes.\n")
    await ready(lynkr, workspace)
    assert await ask(lynkr, workspace, CORE) == "hit"


async def test_files_of_no_language_count_too(lynkr: Running, workspace: Path) -> None:
    text = "Is settings.yaml right, and ./missing.toml?"
    await known(lynkr, workspace, text)
    (workspace / "settings.yaml").write_text("a: 2\n")
    assert await ask(lynkr, workspace, text) == "miss"
    assert await ask(lynkr, workspace, text) == "hit"
    (workspace / "missing.toml").write_text("b = 1\n")
    assert await ask(lynkr, workspace, text) == "miss"


async def test_an_edit_that_keeps_size_and_time_misses(lynkr: Running, workspace: Path) -> None:
    path = workspace / "app/core.py"
    before = path.stat()
    await known(lynkr, workspace, CORE)
    path.write_text(path.read_text().replace("help_out(value)", "help_out(valve)"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert await ask(lynkr, workspace, CORE) == "miss"


async def test_a_file_that_a_call_named_turns_ago_counts(lynkr: Running, workspace: Path) -> None:
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "Look around."},
        {
            "role": "assistant",
            "tool_calls": [
                {
                    "id": "c",
                    "type": "function",
                    "function": {"name": "Read", "arguments": f'{{"file_path": "{workspace}/notes.md"}}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "c", "content": "Some notes."},
        {"role": "assistant", "content": "I see."},
        {"role": "user", "content": "Thank you. What is a list?"},
    ]
    told = [await ask(lynkr, workspace, "", messages=messages) for _ in range(2)]
    assert told == ["miss", "hit"]
    (workspace / "notes.md").write_text("Some others.\n")
    assert await ask(lynkr, workspace, "", messages=messages) == "miss"


async def test_a_checkout_and_a_commit_miss(lynkr: Running, workspace: Path) -> None:
    text = "What is a list?"
    await known(lynkr, workspace, text)
    git(workspace, "checkout", "-b", "other")
    assert await ask(lynkr, workspace, text) == "miss"
    assert await ask(lynkr, workspace, text) == "hit"
    git(workspace, "commit", "--allow-empty", "-m", "two")
    assert await ask(lynkr, workspace, text) == "miss"
    git(workspace, "checkout", "--detach", "HEAD~1")
    assert await ask(lynkr, workspace, text) == "miss"


async def test_it_does_not_hang_on_the_watch(
    lynkr: Running, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await known(lynkr, workspace, CORE)
    monkeypatch.setattr(Indexing, "refresh", lambda *_: None)
    (workspace / "app/base.py").write_text("BASE = 2\n")
    assert await ask(lynkr, workspace, CORE) == "miss"
    assert await ask(lynkr, workspace, CORE) == "hit"
    git(workspace, "commit", "-a", "-m", "two")
    assert await ask(lynkr, workspace, CORE) == "miss"


async def test_two_workspaces_never_share(lynkr: Running, workspace: Path, tmp_path: Path) -> None:
    other = tmp_path / "twin"
    git(tmp_path, "clone", str(workspace), str(other))
    await ready(lynkr, other)
    text = "What is a list?"
    assert [await ask(lynkr, folder, text) for folder in (workspace, other, None)] == ["miss"] * 3
    assert [await ask(lynkr, folder, text) for folder in (workspace, other, None)] == ["hit"] * 3
    assert await ask(lynkr, workspace / "app", text) == "miss", "a part of it is another place"


async def test_what_cannot_be_looked_at_is_not_answered_from_the_cache(
    lynkr: Running, workspace: Path, tmp_path: Path
) -> None:
    for folder in (str(tmp_path / "gone"), "C:\\work", "/"):
        assert [await ask(lynkr, folder, "What is a list?") for _ in range(2)] == ["bypass"] * 2


async def test_a_folder_that_does_not_answer_costs_a_moment_once(
    lynkr: Running, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = threading.Event()

    def hangs(*_: Any) -> None:
        answers.wait(60)

    monkeypatch.setattr(responses, "state_of", hangs)
    try:
        assert await ask(lynkr, workspace, CORE) == "bypass"
        began = time.monotonic()
        assert [await ask(lynkr, workspace, CORE) for _ in range(20)] == ["bypass"] * 20
        assert time.monotonic() - began < 20 * 0.2, "no request waits for it any more"
    finally:
        answers.set()


async def test_a_loop_that_is_held_up_is_no_folder_that_does_not_answer(
    lynkr: Running, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()

    def meanwhile(*arguments: Any) -> Any:
        loop.call_soon_threadsafe(time.sleep, 2 * responses._LOOK_SECONDS)
        return state_of(*arguments)

    monkeypatch.setattr(responses, "state_of", meanwhile)
    await known(lynkr, workspace, CORE)


async def test_a_fault_of_the_cache_costs_no_answer(
    lynkr: Running, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise RuntimeError("inside")

    monkeypatch.setattr(responses, "state_of", fails)
    assert [await ask(lynkr, workspace, CORE) for _ in range(2)] == ["bypass"] * 2


async def test_a_request_about_too_many_files_is_not_looked_up(
    lynkr: Running, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lynkr_desktop.engine.cache.workspace.MOST_FILES", 3)
    assert [await ask(lynkr, workspace, CORE) for _ in range(2)] == ["bypass"] * 2
    assert [await ask(lynkr, workspace, "What is in notes.md?") for _ in range(2)] == ["miss", "hit"]


async def test_replies_go_at_once_when_a_file_or_the_commit_changes(lynkr: Running, workspace: Path) -> None:
    async def stored() -> set[str]:
        found = (await lynkr.admin("GET", "cache/replies"))["replies"]
        return {reply["title"] for reply in found}

    async def left(titles: set[str]) -> None:
        async with asyncio.timeout(20):
            while await stored() != titles:
                await asyncio.sleep(0.02)

    core, base, apart = CORE, "What does app/base.py do?", "What does app/apart.py do?"
    for text in (core, base, apart):
        await known(lynkr, workspace, text)
    assert await ask(lynkr, None, "What is a list?") == "miss"
    (workspace / "app/base.py").write_text("BASE = 3\n")
    await left({apart, "What is a list?"})
    git(workspace, "checkout", "-b", "other")
    await left({"What is a list?"})


async def test_a_long_request_that_was_read_before_is_as_careful(
    lynkr: Running, workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What long bodies say is remembered, what their answers hang on is looked at each time."""
    # The watch tells of an edit when replies about the new files may be stored already, and takes them too.
    monkeypatch.setattr(responses.ResponseCache, "_forget", lambda *_: None)
    other = tmp_path / "twin"
    git(tmp_path, "clone", str(workspace), str(other))
    await ready(lynkr, other)
    log = {"role": "user", "content": "a line of a log\n" * 2_000}
    messages: list[dict[str, Any]] = [log, {"role": "user", "content": CORE}]

    async def again(folder: Path | None = workspace, **fields: Any) -> list[str]:
        return [await ask(lynkr, folder, "", **{"messages": messages, **fields}) for _ in range(3)]

    once = ["miss", "hit", "hit"]
    assert await again() == once
    assert await again(other) == once
    assert await again(None) == once
    with (workspace / "app/base.py").open("a") as file:
        file.write("MORE = 2\n")
    assert await again() == once
    # A dependency that was none when the body was read first.
    with (workspace / "app/helper.py").open("a") as file:
        file.write("from app.apart import stand_alone\n")
    assert lynkr.engine.workspaces is not None
    index = lynkr.engine.workspaces.at(workspace)
    assert index is not None
    async with asyncio.timeout(20):
        while "app/apart.py" not in (index.concerned(["app/core.py"], 100) or ((), ()))[1]:
            await asyncio.sleep(0.02)
    assert await again() == once
    (workspace / "app/apart.py").write_text("def stand_alone():\n    return 4\n")
    await ready(lynkr, workspace)
    assert await again() == once
    git(workspace, "checkout", "-b", "other")
    assert await again() == once
    # The same length, and the same end.
    changed = {**log, "content": log["content"].replace("line", "word", 1)}
    assert await again(messages=[changed, messages[1]]) == once
    tools = [{"type": "function", "function": {"name": name, "parameters": {}}} for name in ("Read", "Edit")]
    assert await again(tools=tools[:1]) == await again(tools=tools[1:]) == once
    assert await again(messages=[{"role": "system", "content": "Be short."}, *messages]) == once
    assert await again(model="tier:complex") == once
    assert await again() == ["hit"] * 3
    assert await again(other) == ["hit"] * 3
