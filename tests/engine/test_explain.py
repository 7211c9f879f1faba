"""Explaining routes: what a prompt would get, and why. Nothing is sent, and nothing kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.engine import LIMITS, Running, config_for, engine_in_process
from tests.support.ollama_models import FakeModel
from tests.support.ollama_server import OllamaServer
from tests.support.openai_server import OpenAIServer, openai_server
from tests.support.workspace import write

CODE = {
    "app/core.py": "def load_file(path):\n    if path:\n        return open(path).read()\n    return None\n",
    "app/service.py": "from app.core import load_file\n\n\ndef serve(path):\n    return load_file(path)\n",
}


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return write(tmp_path / "work", CODE)


@pytest.fixture
async def upstream() -> AsyncIterator[OpenAIServer]:
    async with openai_server() as server:
        yield server


@pytest.fixture
async def lynkr(tmp_path: Path, upstream: OpenAIServer) -> AsyncIterator[Running]:
    async with engine_in_process(tmp_path / "home", config_for(upstream.url)) as running:
        yield running


async def explained(lynkr: Running, prompt: str, **fields: Any) -> dict[str, Any]:
    """The explanation of a prompt."""
    found: dict[str, Any] = await lynkr.admin("POST", "routes/explain", {"prompt": prompt, **fields})
    return found


async def once_complete(lynkr: Running, prompt: str, workspace: Path, **fields: Any) -> dict[str, Any]:
    """The explanation of a prompt once its workspace is indexed."""
    async with asyncio.timeout(30):
        while True:
            found = await explained(lynkr, prompt, workspace=str(workspace), **fields)
            if found["index"]["state"] == "ready" and found["complete"]:
                return found
            await asyncio.sleep(0.02)


async def refused(lynkr: Running, body: Any, headers: dict[str, str] | None = None) -> tuple[int, str]:
    """Status and message of an explanation that is refused."""
    return await lynkr.refused("POST", "routes/explain", body, headers=headers)


async def test_a_prompt_is_scored_and_its_parts_add_up(lynkr: Running, upstream: OpenAIServer) -> None:
    found = await explained(lynkr, "Refactor the payment module to fix the deadlock across all files")
    row = found["decision"]
    assert 0 < row["score"] <= 1
    assert row["contributions"]
    assert row["score"] == pytest.approx(
        min(1.0, max(0.0, sum(one["points"] for one in row["contributions"]))), abs=0.01
    )
    for one in row["contributions"]:
        assert one["group"] in ("ask", "code", "work", "risk")
        assert one["reason"]
    expected = next(tier for tier, limit in LIMITS.items() if row["score"] <= limit)
    assert row["tier"] == row["scored_tier"] == expected
    assert [(one["tier"], one["max_complexity"]) for one in found["thresholds"]] == list(LIMITS.items())
    assert [(one["provider"], one["model"], one["skipped"]) for one in row["candidates"]] == [
        ("fake", expected, "")
    ]
    assert found["index"] is None


async def test_nothing_is_sent_recorded_or_remembered(lynkr: Running, upstream: OpenAIServer) -> None:
    for _ in range(3):
        await explained(lynkr, "Design a consensus algorithm and prove its invariants", tools=True)
    assert upstream.requests == []
    assert await lynkr.rows() == []
    assert (await lynkr.admin("GET", "routes"))["decisions"] == []
    assert (await explained(lynkr, "hi"))["sticky"] == ""


async def test_the_code_that_a_prompt_names_is_told_with_its_metrics(lynkr: Running, workspace: Path) -> None:
    found = await once_complete(lynkr, "What does `load_file` in app/core.py do?", workspace)
    assert found["complete"] is True
    assert found["decision"]["workspace"] == found["index"]["root"] == str(workspace)
    (core,) = found["files"]
    assert (core["path"], core["blast"], core["depth"], core["cyclomatic_max"]) == ("app/core.py", 1, 0, 2)
    assert [(one["name"], one["line"], one["complexity"]) for one in found["symbols"]] == [
        ("load_file", 1, 2)
    ]
    assert found["decision"]["files"] == ["app/core.py"]


async def test_an_explanation_is_what_a_request_then_gets(lynkr: Running, workspace: Path) -> None:
    prompt = "Fix the race condition in app/core.py and migrate every caller"
    row = (await once_complete(lynkr, prompt, workspace))["decision"]
    body = {"model": "auto-route", "messages": [{"role": "user", "content": prompt}]}
    headers = {"x-lynkr-workspace": str(workspace)}
    async with lynkr.http.post(f"{lynkr.url}/v1/chat/completions", json=body, headers=headers) as response:
        assert float(response.headers["x-lynkr-complexity-score"]) == row["score"]
        assert response.headers["x-lynkr-tier"].lower() == row["tier"]
        assert response.headers["x-lynkr-route-reason"] == row["reason"]


async def test_a_tier_and_a_model_that_are_named_are_taken_without_a_score(lynkr: Running) -> None:
    row = (await explained(lynkr, "hi", model="tier:complex"))["decision"]
    assert (row["tier"], row["score"], row["candidates"][0]["model"]) == ("complex", None, "complex")
    row = (await explained(lynkr, "hi", model="fake/m"))["decision"]
    assert (row["tier"], row["score"], row["candidates"][0]["model"]) == (None, None, "m")


async def test_a_request_of_a_harness_is_told_apart(lynkr: Running) -> None:
    asked = "Generate a concise title of 3 to 7 words for this session. Return JSON with the field title."
    found = await explained(
        lynkr, f"You are a title generator. {asked}\n\nUser: fix the race in the scheduler"
    )
    assert found["side"]
    assert (found["decision"]["side"], found["decision"]["tier"]) == (True, "simple")


async def test_models_that_cannot_be_used_are_skipped_with_the_reason_and_the_next_tier_is_looked_at(
    tmp_path: Path,
) -> None:
    async with OllamaServer(FakeModel("qwen2.5-coder:7b")) as ollama:
        config = config_for("http://127.0.0.1:9")
        config["providers"]["ollama"] = {"base_url": ollama.url}
        config["providers"]["openrouter"] = {}
        config["routing"]["tiers"] = {
            "simple": {"providers": ["ollama/gone:7b", "openrouter/some"], "max_complexity": 0.35},
            "medium": {"providers": ["ollama/qwen2.5-coder:7b"], "max_complexity": 0.65},
            "complex": {"providers": ["fake/complex"], "max_complexity": 1.0},
        }
        async with engine_in_process(tmp_path, config) as lynkr:
            row = (await explained(lynkr, "hi"))["decision"]
            assert [(one["tier"], one["provider"], bool(one["skipped"])) for one in row["candidates"]] == [
                ("simple", "ollama", True),
                ("simple", "openrouter", True),
                ("medium", "ollama", False),
            ]
            assert "OPENROUTER_API_KEY" in row["candidates"][1]["skipped"]
            secure = {"x-lynkr-profile": "secure"}
            async with lynkr.http.post(
                f"{lynkr.url}/v1/admin/routes/explain", json={"prompt": "hi"}, headers=secure
            ) as response:
                row = (await response.json())["decision"]
            assert row["profile"] == "secure"
            assert "not on this machine" in row["candidates"][1]["skipped"]
        assert ollama.chats == []


async def test_explaining_takes_nobodys_turn(tmp_path: Path, upstream: OpenAIServer) -> None:
    config = config_for(upstream.url)
    config["routing"] = {
        "policy": "round_robin",
        "tiers": {"simple": {"providers": ["fake/a", "fake/b"], "max_complexity": 1.0}},
    }
    async with engine_in_process(tmp_path, config) as lynkr:
        first = [(await explained(lynkr, "hi"))["decision"]["candidates"][0]["model"] for _ in range(3)]
        assert first == ["a", "a", "a"]
        asked = []
        for _ in range(4):
            told = (await explained(lynkr, "hi"))["decision"]["candidates"][0]["model"]
            response, _ = await lynkr.ask("hi")
            assert response.headers["x-lynkr-model"] == told
            asked.append(told)
        assert asked == ["a", "b", "a", "b"]


async def test_switched_off_tiers_are_shown_so(lynkr: Running) -> None:
    await lynkr.admin("PATCH", "tiers/simple", {"enabled": False})
    found = await explained(lynkr, "hi")
    assert [one["enabled"] for one in found["thresholds"]] == [False, True, True, True]
    assert (found["decision"]["scored_tier"], found["decision"]["tier"]) == ("simple", "medium")
    assert "switched off" in found["decision"]["reason"]
    for tier in ("medium", "complex", "reasoning"):
        await lynkr.admin("PATCH", f"tiers/{tier}", {"enabled": False})
    assert (await refused(lynkr, {"prompt": "hi"}))[0] == 503


async def test_what_cannot_be_explained_is_refused_with_the_reason(lynkr: Running, tmp_path: Path) -> None:
    for body, status, told in (
        ({"prompt": ""}, 400, "prompt is empty"),
        ({"prompt": " \n\t"}, 400, "prompt is empty"),
        ({}, 400, "does not fit"),
        ({"prompt": 1}, 400, "does not fit"),
        ({"prompt": "hi", "wokspace": "/x"}, 400, "does not fit"),
        ({"prompt": "hi", "workspace": "work"}, 400, "is not an absolute path"),
        ({"prompt": "hi", "workspace": str(tmp_path / "gone")}, 400, "There is no folder"),
        ({"prompt": "hi", "workspace": Path("/").anchor}, 400, "never indexed"),
        ({"prompt": "hi", "workspace": str(Path.home())}, 400, "never indexed"),
        ({"prompt": "hi", "workspace": "/\0"}, 400, "cannot be read"),
        ({"prompt": "hi", "workspace": "/" + "x" * 3000}, 400, "cannot be read"),
        ({"prompt": "hi", "model": "tier:huge"}, 400, "The tiers are"),
        ({"prompt": "x" * 1_000_001}, 413, "longer than 1,000,000 characters"),
        ({"prompt": "x" * 7_000_000}, 413, "The body is larger than"),
    ):
        got, message = await refused(lynkr, body)
        assert (got, told in message) == (status, True), message
        assert len(message) < 700
    assert "The profiles are" in (await refused(lynkr, {"prompt": "hi"}, {"x-lynkr-profile": "nope"}))[1]
    assert "The tiers are" in (await refused(lynkr, {"prompt": "hi"}, {"x-lynkr-tier": "nope"}))[1]


async def test_large_and_strange_prompts_are_explained(lynkr: Running, workspace: Path) -> None:
    for prompt in (
        "x" * 900_000,
        "\u4fee\u590d" * 400_000,
        "app/core.py " * 50_000,
        "<system-reminder>" * 20_000,
        "\u202e\ud7ff\U0001f4a9\0" * 1000,
        "```\n" * 10_000,
        "../../../../etc/passwd and /etc/shadow and app/../../../root",
    ):
        row = (await explained(lynkr, prompt, workspace=str(workspace)))["decision"]
        assert row["tier"] in LIMITS
        assert len(row["title"]) <= 100
        assert all(path in CODE for path in row["files"])


async def test_many_at_once_about_a_new_workspace_are_all_answered(lynkr: Running, tmp_path: Path) -> None:
    files = {f"p/m{number}.py": f"def f{number}(x):\n    return x + {number}\n" for number in range(300)}
    folder = str(write(tmp_path / "new", files))
    found = await asyncio.gather(
        *(explained(lynkr, f"Fix f{number} in p/m{number}.py", workspace=folder) for number in range(40))
    )
    assert {one["index"]["root"] for one in found} == {folder}
    assert all(one["decision"]["score"] is not None for one in found)
    assert len((await lynkr.admin("GET", "code"))["workspaces"]) == 1
    done = await once_complete(lynkr, "Fix f7 in p/m7.py", Path(folder))
    assert [file["path"] for file in done["files"]] == ["p/m7.py"]


async def test_secrets_in_a_prompt_do_not_come_back(lynkr: Running) -> None:
    secret = "sk-ant-api03-" + "a1B2" * 20
    assert secret not in str(await explained(lynkr, f"Why does {secret} not work?"))


async def test_without_the_analysis_of_code_the_words_alone_count(tmp_path: Path, workspace: Path) -> None:
    config = config_for("http://127.0.0.1:9")
    config["routing"]["analysis"] = {"graphify": {"enabled": False}}
    async with engine_in_process(tmp_path / "home", config) as lynkr:
        found = await explained(lynkr, "Fix app/core.py", workspace=str(workspace))
        assert (found["index"], found["files"]) == (None, [])
        assert found["decision"]["score"] is not None


async def test_it_needs_the_token(lynkr: Running) -> None:
    url = f"{lynkr.url}/v1/admin/routes/explain"
    headers = {"authorization": "Bearer wrong"}
    async with lynkr.http.post(url, json={"prompt": "hi"}, headers=headers) as response:
        assert response.status == 401
