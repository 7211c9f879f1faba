"""The real Claude Code asks the same of a leaf and of a god module of a real package, and gets other tiers.

Nothing but Claude Code's own prompt says which folder it works in.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from lynkr_desktop.protocol.tiers import TIERS, Tier
from tests.support.claude import run_claude
from tests.support.command import run_lynkr
from tests.support.fakes.anthropic import AnthropicFake
from tests.support.proxy import Proxy, running_proxy
from tests.support.script import text
from tests.support.tap import Tap, tap

KEY = "sk-ant-api03-test-0123456789"
MODELS = {
    Tier.SIMPLE: "claude-haiku-4-5",
    Tier.MEDIUM: "claude-sonnet-4-5",
    Tier.COMPLEX: "claude-opus-4-5",
    Tier.REASONING: "claude-opus-4-8",
}
LIMITS = {Tier.SIMPLE: 0.35, Tier.MEDIUM: 0.65, Tier.COMPLEX: 0.85, Tier.REASONING: 1.0}
QUESTION = "Split the largest function in {} into smaller ones."
INDEXED_WITHIN_S = 60.0


@pytest.fixture
async def upstream() -> AsyncIterator[AnthropicFake]:
    async with AnthropicFake() as server:
        server.keys = {KEY}
        server.brain = lambda _: text("Done.")
        yield server


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a real package to work on: aiohttp's own source, with its cycles and its leaves."""
    work = tmp_path / "home" / "work" / "aiohttp"
    shutil.copytree(Path(aiohttp.__file__).parent, work, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    return work.parent.parent


async def indexed(proxy: Proxy, folder: Path) -> None:
    """Waits until the engine has a whole index of a folder that it heard of from a request."""
    async with asyncio.timeout(INDEXED_WITHIN_S):
        while True:
            known = (await asyncio.to_thread(proxy.get, "/v1/admin/code"))["workspaces"]
            found = [one["state"] for one in known if one["root"] == str(folder)]
            if found == ["ready"]:
                return
            assert "failed" not in found
            await asyncio.sleep(0.05)


async def leaf_and_god(proxy: Proxy, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The simplest file that depends on nothing, and the most tangled one, by the index itself."""
    report = await asyncio.to_thread(proxy.get, f"/v1/admin/code/graph?workspace={folder}")
    with_code = [file for file in report["files"] if file["functions"] and not file["test"]]
    leaves = [file for file in with_code if file["depth"] == 0 and file["component"] == 1]
    leaf = min(leaves, key=lambda file: (file["cyclomatic_sum"], file["path"]))
    god = max(with_code, key=lambda file: (file["component"], file["cyclomatic_sum"] * file["blast"]))
    return leaf, god


async def ask(proxy: Proxy, seen: Tap, home: Path, question: str) -> dict[str, str]:
    """Asks by Claude Code; gives the headers of the answer to the question."""
    before = len(seen.answers)
    printed = await run_claude(replace_url(proxy, seen), home, question)
    assert (printed["is_error"], printed["result"]) == (False, "Done.")
    assert all("x-lynkr-workspace" not in headers for headers in seen.requests)
    # Beside the question it may have asked for a title; that is a side request without a score.
    scored = [headers for headers in seen.answers[before:] if "x-lynkr-complexity-score" in headers]
    assert len(scored) == 1
    return scored[0]


def replace_url(proxy: Proxy, seen: Tap) -> Proxy:
    """The same proxy behind the tap."""
    return replace(proxy, port=int(seen.url.rpartition(":")[2]))


def by_structure(contributions: list[dict[str, Any]]) -> dict[str, float]:
    """What the code adds to a score, by name."""
    return {one["name"]: one["points"] for one in contributions if one["group"] == "code"}


async def test_a_leaf_and_a_god_module_get_other_tiers_and_it_is_told_why(
    home: Path, tmp_path: Path, upstream: AnthropicFake
) -> None:
    config = {
        "providers": {"anthropic": {"base_url": upstream.url}},
        "routing": {
            "tiers": {
                tier.value: {"providers": [f"anthropic/{model}"], "max_complexity": LIMITS[tier]}
                for tier, model in MODELS.items()
            }
        },
    }
    environ = {**os.environ, "ANTHROPIC_API_KEY": KEY}
    folder = home / "work"
    with running_proxy(tmp_path / "proxy", yaml.safe_dump(config), environ) as proxy:
        async with tap(proxy.url) as seen:
            # The first request tells which folder it is about; it is answered before anything is indexed.
            assert await asyncio.to_thread(proxy.get, "/v1/admin/code") == {"workspaces": []}
            await ask(proxy, seen, home, "Which license does this code have?")
            await indexed(proxy, folder)
            leaf, god = await leaf_and_god(proxy, folder)
            headers = {
                file["path"]: await ask(proxy, seen, home, QUESTION.format(file["path"]))
                for file in (leaf, god)
            }
        decisions = (await asyncio.to_thread(proxy.get, "/v1/admin/routes"))["decisions"]
        explained = {}
        for file in (leaf, god):
            asked = ("explain", QUESTION.format(file["path"]), "--tools", "--json")
            ran = await run_lynkr(tmp_path / "proxy", folder, *asked)
            explained[file["path"]] = json.loads(ran.out)
        printed = await run_lynkr(
            tmp_path / "proxy", folder, "explain", QUESTION.format(god["path"]), "--tools"
        )
    low, high = leaf["path"], god["path"]
    god_reasons = by_structure(explained[high]["decision"]["contributions"])
    assert len(god_reasons) > 1
    assert sum(god_reasons.values()) > 0

    # Claude Code's requests: their headers say another tier, and the model of that tier answered.
    tiers = {path: Tier(headers[path]["x-lynkr-tier"].lower()) for path in (low, high)}
    assert TIERS.index(tiers[high]) > TIERS.index(tiers[low])
    assert {path: headers[path]["x-lynkr-model"] for path in tiers} == {
        path: MODELS[tier] for path, tier in tiers.items()
    }
    assert all(headers[path]["x-lynkr-route-reason"].startswith("score 0.") for path in tiers)

    # What was recorded: the workspace, the file that was named, and what its structure added.
    for path, tier in tiers.items():
        row = next(one for one in decisions if one["title"] == QUESTION.format(path))
        assert (row["workspace"], row["files"], row["tier"]) == (str(folder), [path], tier)
        assert (row["provider"], row["model"], row["status"]) == ("anthropic", MODELS[tier], 200)
        # lynkr explain: the same tier for the same reasons of structure.
        told = explained[path]
        assert (told["decision"]["tier"], told["complete"]) == (tier, True)
        assert by_structure(row["contributions"]) == by_structure(told["decision"]["contributions"])
        assert [file["path"] for file in told["files"]] == [path]

    # And people can read it.
    assert printed.out.startswith(f"Tier {tiers[high]}, score ")
    for name in god_reasons:
        assert name in printed.out
    assert f"{god['cyclomatic_max']} of {god['cyclomatic_sum']:,}" in printed.out
