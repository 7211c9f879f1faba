"""`lynkr route` and its calls of the control API, with a running engine and without one."""

from __future__ import annotations

import asyncio
import builtins
import io
import json
import random
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lynkr_desktop.cli.main import main
from lynkr_desktop.engine.routing.experiment import draw
from lynkr_desktop.engine.telemetry.decisions import Amendment
from lynkr_desktop.engine.telemetry.store import Records
from lynkr_desktop.protocol.control import RequestRow
from lynkr_desktop.protocol.routing import DecisionRow, Outcome
from lynkr_desktop.protocol.tiers import TIERS, Tier
from tests.support.command import run_lynkr
from tests.support.engine import LIMITS, ROOT, Running, config_for, engine_in_process
from tests.support.openai_server import OpenAIServer, openai_server

ASK = "Please fix the typo in the heading of the page"
CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "bash", "arguments": '{"command": "pytest"}'},
}


async def lynkr_route(home: Path, *arguments: str) -> tuple[int, str]:
    """Exit code and all that it wrote."""
    ran = await run_lynkr(home, ROOT, "route", *arguments)
    return ran.code, ran.out + ran.errors


@pytest.fixture
async def upstream() -> AsyncIterator[OpenAIServer]:
    async with openai_server() as server:
        yield server


async def ask(running: Running, *messages: dict[str, Any], session: str = "s-1") -> str:
    """Sends a conversation and returns the id of the request."""
    body = {"model": "auto-route", "messages": list(messages)}
    headers = {"x-lynkr-session": session}
    async with running.http.post(
        f"{running.url}/v1/chat/completions", json=body, headers=headers
    ) as response:
        assert response.status == 200, await response.text()
        return response.headers["x-request-id"]


def said(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


async def test_what_happens_after_a_decision_is_seen_and_marked(
    tmp_path: Path, upstream: OpenAIServer
) -> None:
    home = tmp_path / "home"
    async with engine_in_process(home, config_for(upstream.url)) as running:
        first = await ask(running, said(ASK))
        called = {"role": "assistant", "content": None, "tool_calls": [CALL]}
        result = {"role": "tool", "tool_call_id": "call_1", "content": "=== 2 failed, 3 passed in 0.1s ==="}
        second = await ask(running, said(ASK), called, result)
        other = await ask(running, said("What does the word monad mean?"), session="s-2")

        code, out = await lynkr_route(home, "list", "--json")
        assert code == 0
        rows = {row["id"]: row for row in json.loads(out)}
        assert set(rows) == {first, second, other}
        assert rows[first]["title"] == ASK
        assert rows[first]["model"] == rows[first]["tier"] == rows[first]["scored_tier"]
        assert rows[first]["score"] == pytest.approx(
            sum(c["points"] for c in rows[first]["contributions"]), abs=0.01
        )
        assert rows[second]["task"] == first
        assert (rows[first]["verdict"], rows[first]["outcome"]["tests_failed"]) == ("under", 2)
        assert rows[other]["verdict"] == ""

        code, out = await lynkr_route(home, "list", "--misrouted")
        assert code == 0
        assert first in out
        assert "too weak" in out
        assert other not in out

        code, out = await lynkr_route(home, "show", first)
        assert code == 0
        for part in (
            ASK,
            "fake/",
            "3 tests passed, 2 failed",
            "too weak",
            rows[first]["contributions"][0]["reason"],
        ):
            assert part in out, out

        assert (await lynkr_route(home, "mark", other, "over"))[
            1
        ] == f"{other}: {rows[other]['tier']} was too strong.\n"
        assert other in (await lynkr_route(home, "list", "--misrouted"))[1]
        assert (await lynkr_route(home, "mark", first, "good"))[0] == 0
        assert first not in (await lynkr_route(home, "list", "--misrouted"))[1]
        assert (await lynkr_route(home, "mark", first, "none"))[1].endswith("taken back.\n")
        assert (await lynkr_route(home, "mark", "req_nobody", "good"))[0] == 1
        assert (await lynkr_route(home, "show", "req_nobody"))[1].startswith("lynkr: There is no decision")

    # The same without an engine.
    code, out = await lynkr_route(home, "list", "--misrouted", "--json")
    assert [row["id"] for row in json.loads(out)] == [other, first]
    assert (await lynkr_route(home, "mark", other, "none"))[0] == 0
    assert json.loads((await lynkr_route(home, "show", other, "--json"))[1])["mark"] == ""
    assert (await lynkr_route(home, "mark", "req_nobody", "good"))[1].startswith(
        "lynkr: There is no decision"
    )


async def test_who_asks_again_or_for_more_was_served_too_weakly(
    tmp_path: Path, upstream: OpenAIServer
) -> None:
    async with engine_in_process(tmp_path / "home", config_for(upstream.url)) as running:
        answer = {"role": "assistant", "content": "Done."}
        first = await ask(running, said(ASK))
        await ask(running, said(ASK), answer, said(ASK + " again"))
        stronger = await ask(running, said(ASK), session="s-2")
        body = {"model": "fake/reasoning", "messages": [said(ASK), answer, said("Do it properly")]}
        headers = {"x-lynkr-session": "s-2"}
        async with running.http.post(
            f"{running.url}/v1/chat/completions", json=body, headers=headers
        ) as response:
            assert response.status == 200
        served = await ask(running, said(ASK), session="s-3")
        await ask(running, said(ASK), answer, said("Now write a poem about the sea"), session="s-3")
        rows = {row["id"]: row for row in (await running.admin("GET", "routes"))["decisions"]}
        assert (rows[first]["verdict"], rows[first]["outcome"]["retried"]) == ("under", 1)
        assert (rows[stronger]["verdict"], rows[stronger]["outcome"]["escalated"]) == ("under", True)
        assert (rows[served]["verdict"], rows[served]["outcome"]["followed"]) == ("good", True)
        assert len((await running.admin("GET", "routes?misrouted=true"))["decisions"]) == 2


async def test_the_experiment_keeps_a_session_on_its_side_and_says_so(
    tmp_path: Path, upstream: OpenAIServer
) -> None:
    config = config_for(upstream.url)
    config["routing"]["experiment"] = {"share": 0.5, "margin": 0.2}
    for tier, limit in {"simple": 0.2, "medium": 0.5, "complex": 0.8}.items():
        config["routing"]["tiers"][tier]["max_complexity"] = limit
    async with engine_in_process(tmp_path / "home", config) as running:
        for number in range(24):
            await ask(running, said(f"{ASK} number {number}"), session=f"s{number}")
        rows = (await running.admin("GET", "routes"))["decisions"]
        arms = {row["arm"] for row in rows}
        assert "control" in arms
        assert arms & {"up", "down"}
        for row in rows:
            assert row["propensity"] == 0.5
            assert (row["tier"] == row["scored_tier"]) == (row["arm"] == "control")
            assert row["model"] == row["tier"]


async def test_the_control_api_says_what_is_wrong(tmp_path: Path, upstream: OpenAIServer) -> None:
    async with engine_in_process(tmp_path / "home", config_for(upstream.url)) as running:
        assert await running.admin("GET", "routes") == {"decisions": []}
        for method, path, body, status in (
            ("GET", "routes?limit=0", None, 400),
            ("GET", "routes/req_nobody", None, 404),
            ("POST", "routes/req_nobody/mark", {"mark": "good"}, 404),
            ("POST", "routes/req_nobody/mark", {"mark": "bad"}, 400),
            ("POST", "routes/req_nobody/mark", {}, 400),
            ("GET", "routes/calibration?since=soon", None, 400),
            ("GET", "routes/calibration?weight=nan", None, 400),
            ("GET", "routes/calibration?weight=0", None, 400),
        ):
            async with running.http.request(method, f"{running.url}/v1/admin/{path}", json=body) as response:
                assert response.status == status, path
                assert (await response.json())["error"].endswith(".")
        report = await running.admin("GET", "routes/calibration?since=7d&weight=2")
        assert (report["tasks"], report["weight"], report["patch"]) == (0, 2.0, {})
        assert [cut["needed"] for cut in report["cuts"]] == [100, 100, 100]
        async with running.http.get(
            f"{running.url}/v1/admin/routes", headers={"authorization": "x"}
        ) as response:
            assert response.status == 401


async def test_pages_follow_each_other(tmp_path: Path, upstream: OpenAIServer) -> None:
    async with engine_in_process(tmp_path / "home", config_for(upstream.url)) as running:
        ids = [await ask(running, said(f"Question number {number}?"), session="") for number in range(3)]
        first = (await running.admin("GET", "routes?limit=2"))["decisions"]
        assert [row["id"] for row in first] == [ids[2], ids[1]]
        rest = (await running.admin("GET", f"routes?before={first[-1]['id']}"))["decisions"]
        assert [row["id"] for row in rest] == [ids[0]]


# ---------------------------------------------------------------- calibration


def config_file(home: Path, url: str = "http://127.0.0.1:9") -> Path:
    """A configuration with a comment, and no experiment."""
    home.mkdir(exist_ok=True)
    file = home / "lynkr-routing.yaml"
    file.write_text("# mine\n" + yaml.safe_dump(config_for(url)))
    return file


async def a_log(home: Path, truth: float = 0.30, tasks: int = 6_000) -> None:
    """A log in which the first threshold should be `truth`; a weaker tier fails in 70 of 100 cases."""
    records = Records(home / "lynkr.db", 90 * 86400.0)
    await records.start()
    rng = random.Random(7)
    limits = [(tier, LIMITS[tier]) for tier in TIERS]
    for number in range(tasks):
        score, session = rng.random(), f"s{number // 3}"
        drawn = draw(score, limits, 0.3, 0.1, session)
        usual = next(tier for tier, limit in limits if score <= limit)
        needed = Tier.MEDIUM if truth < score <= LIMITS["simple"] else usual
        failed = rng.random() < (0.7 if drawn.tier.rank < needed.rank else 0.05)
        at = time.time() - rng.uniform(0, 20) * 86400
        id_ = f"r{number}"
        decision = DecisionRow(
            id=id_,
            at=at,
            task=id_,
            scored_tier=usual,
            tier=drawn.tier,
            propensity=drawn.propensity,
            arm=drawn.arm,
        )
        record = RequestRow(
            id=id_,
            at=at,
            client="c",
            protocol="p",
            session=session,
            score=score,
            tier=drawn.tier,
            status=200,
        )
        records.record(record, decision)
        records.amend(Amendment(id=f"r{number}", outcome=Outcome(tests="failed" if failed else "passed")))
        if number % 1000 == 0:
            await records.flush()
    await records.flush()
    assert records.lost == 0
    records.close()


async def test_a_proposal_changes_nothing_until_it_is_taken_over(tmp_path: Path) -> None:
    home = tmp_path / "home"
    file = config_file(home)
    before = file.read_text()
    await a_log(home)
    code, out = await lynkr_route(home, "calibrate")
    assert code == 0
    assert "6,000 tasks since" in out
    assert "simple and medium" in out
    assert "simple → medium" in out
    assert "Nothing was changed" in out
    assert file.read_text() == before

    code, out = await lynkr_route(home, "calibrate", "--apply")
    assert code == 1
    assert "max_complexity: 0.3" in out, "the change is shown before anybody is asked"
    assert "tk_" not in out
    assert "--yes" in out
    assert file.read_text() == before

    code, out = await lynkr_route(home, "calibrate", "--json")
    report = json.loads(out)
    assert report["patch"] == {"routing.tiers.simple.max_complexity": pytest.approx(0.30, abs=0.011)}
    assert (await lynkr_route(home, "calibrate", "--json", "--apply"))[0] == 1
    assert file.read_text() == before

    code, out = await lynkr_route(home, "calibrate", "--apply", "--yes")
    assert code == 0
    assert "Written into" in out
    after = file.read_text()
    assert after.startswith("# mine\n")
    changed = [
        pair for pair in zip(before.splitlines(), after.splitlines(), strict=True) if pair[0] != pair[1]
    ]
    assert len(changed) == 1
    # Under the new threshold nothing better is certain.
    code, out = await lynkr_route(home, "calibrate", "--apply", "--yes")
    assert code == 0
    assert "Written into" not in out


async def test_a_running_engine_takes_new_thresholds_at_once(tmp_path: Path, upstream: OpenAIServer) -> None:
    home = tmp_path / "home"
    home.mkdir()
    await a_log(home)
    async with engine_in_process(home, config_for(upstream.url)) as running:
        code, out = await lynkr_route(home, "calibrate", "--apply", "--yes", "--json")
        assert code == 0
        wanted = json.loads(out)["patch"]["routing.tiers.simple.max_complexity"]
        assert running.engine.snapshot.config.routing.tiers[Tier.SIMPLE].max_complexity == wanted


@pytest.mark.parametrize(("answer", "taken"), [("y", True), ("", False), ("no", False)])
async def test_a_person_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, taken: bool
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    home = tmp_path / "home"
    file = config_file(home)
    before = file.read_text()
    await a_log(home, tasks=4_000)
    asked = []

    def say(question: str) -> str:
        asked.append(question)
        return answer

    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(builtins, "input", say)
    code = await asyncio.to_thread(main, ["route", "calibrate", "--apply", "--home", str(home)])
    assert len(asked) == 1
    assert (code, file.read_text() != before) == ((0, True) if taken else (1, False))


async def test_without_a_log_and_with_a_wrong_file(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    for action in (("list",), ("show", "x"), ("mark", "x", "good"), ("calibrate",)):
        code, out = await lynkr_route(home, *action)
        assert code == 1
        assert "no records yet" in out
    await a_log(home, tasks=10)
    code, out = await lynkr_route(home, "calibrate", "--since", "1ms", "--weight", "2")
    assert code == 0
    assert "0 tasks since" in out
    assert "100 more tasks with a known outcome near 0.35 must be seen" in out
    for arguments in (
        ("calibrate", "--since", "soon"),
        ("calibrate", "--weight", "-1"),
        ("list", "--limit", "0"),
    ):
        assert (await lynkr_route(home, *arguments))[0] == 2
    (home / "lynkr-routing.yaml").write_text("routing: [")
    assert (await lynkr_route(home, "list"))[0] == 1
    (home / "lynkr-routing.yaml").unlink()
    (home / "lynkr.db").write_text("nothing of the sort " * 100)
    code, out = await lynkr_route(home, "list")
    assert code == 1
    assert "cannot be read" in out
