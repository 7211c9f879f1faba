"""`lynkr explain` as a person runs it, with and without a running engine."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Ran, run_lynkr, start_lynkr
from tests.support.engine import LIMITS, config_for, engine_in_process, write_config
from tests.support.openai_server import OpenAIServer, openai_server
from tests.support.workspace import write

CODE = {
    "shop/core.py": "def load_all(path):\n    if path:\n        return open(path).read()\n    return None\n",
    "shop/prices.py": "from shop.core import load_all\n\n\ndef price(path):\n    return load_all(path)\n",
}
PROMPT = "Refactor load_all() in shop/core.py and fix every caller"


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return write(tmp_path / "work", CODE)


@pytest.fixture
async def upstream() -> AsyncIterator[OpenAIServer]:
    async with openai_server() as server:
        yield server


async def explain(home: Path, cwd: Path, *arguments: str, piped: bytes = b"") -> Ran:
    return await run_lynkr(home, cwd, "explain", *arguments, piped=piped)


def without_states(found: dict[str, Any]) -> dict[str, Any]:
    """An explanation without what differs from index to index: times."""
    found["index"] = {**found["index"], "seconds": 0, "updated": 0}
    return found


async def test_it_says_the_same_with_and_without_an_engine(
    tmp_path: Path, workspace: Path, upstream: OpenAIServer
) -> None:
    home = tmp_path / "home"
    write_config(home, config_for(upstream.url))
    alone = await explain(home, workspace, PROMPT, "--json")
    assert alone.code == 0, alone
    found = json.loads(alone.out)
    async with engine_in_process(home, config_for(upstream.url)) as lynkr:
        running = await explain(home, workspace, PROMPT, "--json")
        assert without_states(json.loads(running.out)) == without_states(found)
        asked = {"prompt": PROMPT, "workspace": str(workspace)}
        called = await lynkr.admin("POST", "routes/explain", asked)
        assert without_states(called) == found
    assert upstream.requests == []
    assert (found["complete"], found["index"]["state"], found["index"]["root"]) == (
        True,
        "ready",
        str(workspace),
    )
    assert [file["path"] for file in found["files"]] == ["shop/core.py"]
    assert found["decision"]["candidates"][0]["skipped"] == ""


async def test_people_read_the_tier_the_score_its_parts_the_code_and_the_models(
    tmp_path: Path, workspace: Path, upstream: OpenAIServer
) -> None:
    home = tmp_path / "home"
    write_config(home, config_for(upstream.url))
    found = json.loads((await explain(home, workspace, PROMPT, "--json")).out)
    row = found["decision"]
    ran = await explain(home, workspace, PROMPT)
    head, bar, ranges = [line for line in ran.out.splitlines() if line][:3]
    assert head == f"Tier {row['tier']}, score {row['score']:.2f}: fake/{row['tier']}"
    assert re.fullmatch(r"  \[[#.|]+\]", bar)
    cells = bar.replace("|", "").strip(" []")
    assert (len(cells), cells.count("#")) == (50, round(row["score"] * 50))
    assert [match.start() for match in re.finditer(r"\|", bar)] == [3 + 18, 3 + 19 + 14, 3 + 34 + 10]
    assert (
        ranges.strip() == "simple 0 to 0.35, medium 0.35 to 0.65, complex 0.65 to 0.85, reasoning 0.85 to 1"
    )
    for one in row["contributions"]:
        points = f"{one['points']:+.3f}".replace("-0.000", "+0.000")
        group = {"ask": "asked"}.get(one["group"], one["group"])
        line = rf"(?m)^  {re.escape(points)}  {group} +{one['name']} +\S+  {re.escape(one['reason'])}$"
        assert re.search(line, ran.out), one
    assert re.search(r"(?m)^  shop/core.py +4 +2 of 2 +0 +1\.00 +1$", ran.out)
    assert re.search(r"(?m)^  load_all +2 +shop/core.py:1$", ran.out)
    assert f"Workspace  {workspace}: 2 files" in ran.out
    assert re.search(rf"(?m)^  1\.  fake/{row['tier']} +{row['tier']}$", ran.out)


async def test_a_prompt_can_come_from_standard_input(tmp_path: Path, workspace: Path) -> None:
    given = json.loads((await explain(tmp_path, workspace, PROMPT, "--json")).out)
    piped = json.loads((await explain(tmp_path, workspace, "-", "--json", piped=PROMPT.encode())).out)
    assert piped["decision"]["score"] == given["decision"]["score"]
    ran = await explain(tmp_path, workspace, "What does Gone.vanish() in gone.py do?")
    assert "Code that it names: none that the workspace has" in ran.out
    strange = await explain(tmp_path, workspace, "-", piped=b"\xff\xfe\0 fix \x1b[2J shop/core.py \xf0\x9f")
    assert strange.code == 0
    assert "\x1b" not in strange.out


async def test_a_terminal_that_cannot_show_a_prompts_letters_shows_others(tmp_path: Path) -> None:
    folder = write(tmp_path / "работа", {"core.py": "def f():\n    return 1\n"})
    prompt = "Исправь ошибку в core.py"
    process = await start_lynkr(tmp_path / "home", folder, "explain", prompt, encoding="ascii")
    out, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, errors
    assert f"{tmp_path}/??????: 1 file".encode() in out


async def test_models_that_cannot_be_used_are_named_with_the_reason(tmp_path: Path, workspace: Path) -> None:
    config = config_for("http://127.0.0.1:9")
    config["providers"]["openrouter"] = {}
    config["routing"]["tiers"] = {
        "simple": {"providers": ["openrouter/a"], "max_complexity": 0.5},
        "complex": {"providers": ["fake/complex"], "max_complexity": 1.0},
    }
    write_config(tmp_path / "home", config)
    ran = await explain(tmp_path / "home", workspace, "hi")
    assert ran.code == 0
    assert re.search(r"(?m)^  -   openrouter/a +simple +skipped: .*OPENROUTER_API_KEY", ran.out)
    assert re.search(r"(?m)^  1\.  fake/complex +complex", ran.out)
    assert ran.out.splitlines()[0].endswith("fake/complex of tier complex")


async def test_named_tiers_tools_and_switched_off_tiers_are_minded(tmp_path: Path, workspace: Path) -> None:
    home = tmp_path / "home"
    write_config(home, config_for("http://127.0.0.1:9"))
    async with engine_in_process(home) as lynkr:
        await lynkr.admin("PATCH", "tiers/simple", {"enabled": False})
    # What was switched stays so while no engine runs.
    ran = await explain(home, workspace, "hi")
    assert ran.out.startswith("Tier medium")
    assert "simple 0 to 0.35 (switched off)" in ran.out
    ran = await explain(home, workspace, "hi", "--model", "tier:complex", "--tools")
    assert ran.out.startswith("Tier complex: fake/complex")
    ran = await explain(home, workspace, "hi", "--model", "tier:huge")
    assert (ran.code, "The tiers are" in ran.errors) == (1, True)


async def test_a_folder_that_was_named_must_be_one_of_code_the_current_one_need_not(tmp_path: Path) -> None:
    home = tmp_path / "home"
    write_config(home, config_for("http://127.0.0.1:9"))
    root = Path(tmp_path.anchor)

    async def check() -> None:
        ran = await explain(home, root, "hi")
        assert ran.code == 0
        assert ran.out.startswith("Tier simple")
        assert "The current folder does not count" in ran.errors
        for folder, told in ((str(root), "never indexed"), (str(tmp_path / "gone"), "There is no folder")):
            ran = await explain(home, tmp_path, "hi", "--workspace", folder)
            assert (ran.code, ran.out) == (1, "")
            assert told in ran.errors

    await check()
    async with engine_in_process(home):
        await check()


async def test_a_workspace_that_is_not_indexed_yet_is_told(tmp_path: Path, workspace: Path) -> None:
    home = tmp_path / "home"
    async with engine_in_process(home, config_for("http://127.0.0.1:9")) as lynkr:
        assert lynkr.engine.workspaces is not None
        turns = lynkr.engine.workspaces._turn
        while turns.acquire(blocking=False):  # as if other workspaces were being indexed
            pass
        ran = await explain(home, workspace, PROMPT)
        assert ran.code == 0
        assert f"{workspace}: waiting to be indexed" in ran.out
        assert "only a part of its code counted. --wait waits." in ran.out
        waiting = asyncio.create_task(explain(home, workspace, PROMPT, "--wait"))
        turns.release(2)
        ran = await waiting
        assert f"{workspace}: 2 files" in ran.out
        assert "--wait" not in ran.out


async def test_what_is_wrong_is_told_in_one_line(tmp_path: Path, workspace: Path) -> None:
    home = tmp_path / "home"
    for prompt in ("", "  \n "):
        ran = await explain(home, workspace, prompt)
        assert (ran.code, ran.out) == (1, "")
        assert "The prompt is empty" in ran.errors
    for engine in (nullcontext(), engine_in_process(home, config_for("http://127.0.0.1:9"))):
        async with engine:
            ran = await explain(home, workspace, "-", piped=b"x" * 2_000_000)
        assert (ran.code, len(ran.errors.splitlines())) == (1, 1)
        assert "longer than 1,000,000 characters" in ran.errors
    (home / "lynkr-routing.yaml").write_text("routing: {tiers: 3}\n")
    ran = await explain(home, workspace, "hi")
    assert (ran.code, "routing.tiers" in ran.errors) == (1, True)


async def test_a_profile_that_keeps_all_here_is_kept_without_an_engine(
    tmp_path: Path, workspace: Path
) -> None:
    config = config_for("http://192.0.2.1:9")
    config["routing"]["profile"] = "secure"
    write_config(tmp_path / "home", config)
    ran = await explain(tmp_path / "home", workspace, "hi")
    assert ran.code == 0
    assert "Profile    secure" in ran.out
    assert "not on this machine" in ran.out
    assert all(tier in ran.out for tier in LIMITS)
