"""Circuit breakers and retries on real requests, before upstreams that fail."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from lynkr_desktop.protocol.events import BreakerChanged
from tests.support.engine import LIMITS, ROOT, TOKEN, Running, engine_in_process
from tests.support.fakes.openai import OpenAIFake
from tests.support.script import Die, Reply, Say, text

FAILING = Reply(status=503, error="the backend is full")
CLIENTS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "hi"}]},
    "/v1/responses": {"input": "hi"},
    "/v1/messages": {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 9},
    "/api/chat": {"messages": [{"role": "user", "content": "hi"}], "stream": False},
}
ONCE = {"retry": {"attempts": 1}}


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def upstream() -> AsyncIterator[OpenAIFake]:
    async with OpenAIFake() as fake:
        fake.responses = False
        yield fake


def config(url: str, spare: str = "", /, **resilience: Any) -> dict[str, Any]:
    """`fake/m` answers all but the highest tier; with `spare`, that provider is asked after it."""
    providers = {"fake": {"kind": "openai_compatible", "base_url": f"{url}/v1", "models": ["m"]}}
    if spare:
        providers["spare"] = {"kind": "openai_compatible", "base_url": f"{spare}/v1", "models": ["n"]}
    tiers: dict[str, Any] = {
        tier: {"providers": ["spare/n" if spare and tier == "complex" else "fake/m"], "max_complexity": limit}
        for tier, limit in LIMITS.items()
    }
    return {
        "proxy": {"auth": {"token": TOKEN}, "drain_timeout": "2s"},
        "providers": providers,
        "routing": {"tiers": tiers},
        "resilience": resilience,
        "telemetry": {"circuit_breaker": {"min_calls": 5, "probe_interval": "30s"}},
    }


def clocked(lynkr: Running) -> Clock:
    clock = Clock()
    lynkr.engine.breakers._clock = clock
    return clock


async def post(lynkr: Running, path: str, **more: Any) -> tuple[int, str, str]:
    body = {"model": "fake/m", **CLIENTS[path], **more}
    async with lynkr.http.post(lynkr.url + path, json=body) as response:
        return response.status, response.headers.get("retry-after", ""), await response.text()


async def shut(lynkr: Running, upstream: OpenAIFake) -> None:
    """Lets requests fail until the breaker of `fake/m` opens."""
    upstream.default = FAILING
    for _ in range(5):
        assert (await post(lynkr, "/v1/chat/completions"))[0] == 503
    assert len(upstream.asked) == 5


async def test_it_opens_refuses_probes_and_closes(tmp_path: Path, upstream: OpenAIFake) -> None:
    async with engine_in_process(tmp_path / "home", config(upstream.url, **ONCE)) as lynkr:
        clock = clocked(lynkr)
        await shut(lynkr, upstream)
        for path in CLIENTS:
            status, wait, said = await post(lynkr, path)
            assert status in (503, 529), said
            assert 20 <= int(wait) <= 30
            assert "fake/m is not asked for the next 30 s" in said
            assert "lynkr breakers reset fake/m" in said
        assert len(upstream.asked) == 5, "an open breaker keeps the upstream alone"
        clock.now += 30
        assert (await post(lynkr, "/v1/chat/completions"))[0] == 503
        assert len(upstream.asked) == 6, "one probe went out and failed"
        assert (await post(lynkr, "/v1/messages"))[0] in (503, 529)
        assert len(upstream.asked) == 6
        upstream.default = text("back")
        clock.now += 30
        for path in CLIENTS:
            assert (await post(lynkr, path))[0] == 200
        assert lynkr.engine.breakers.troubled() == ()


async def test_only_one_probe_goes_out_and_one_that_is_left_counts_for_nothing(
    tmp_path: Path, upstream: OpenAIFake
) -> None:
    async with engine_in_process(tmp_path / "home", config(upstream.url, **ONCE)) as lynkr:
        clock = clocked(lynkr)
        await shut(lynkr, upstream)
        clock.now += 30
        upstream.default = Reply((Say("late"),), first_byte=60.0)
        upstream.arrived.clear()
        probe = asyncio.create_task(post(lynkr, "/v1/chat/completions"))
        await asyncio.wait_for(upstream.arrived.wait(), 10)
        others = await asyncio.gather(*(post(lynkr, "/v1/chat/completions") for _ in range(10)))
        assert {status for status, _, _ in others} == {503}
        assert len(upstream.asked) == 6
        probe.cancel()
        await asyncio.gather(probe, return_exceptions=True)
        await lynkr.idle()
        upstream.default = text("back")
        assert (await post(lynkr, "/v1/chat/completions"))[0] == 200


async def test_the_next_tier_answers_meanwhile(tmp_path: Path, upstream: OpenAIFake) -> None:
    async with (
        OpenAIFake() as spare,
        engine_in_process(tmp_path / "home", config(upstream.url, spare.url, **ONCE)) as lynkr,
    ):
        clocked(lynkr)
        await shut(lynkr, upstream)
        for _ in range(3):
            response, _ = await lynkr.ask("hi")
            assert (response.status, response.headers["x-lynkr-provider"]) == (200, "spare")
        assert len(upstream.asked) == 5


async def test_bad_requests_open_nothing(tmp_path: Path, upstream: OpenAIFake) -> None:
    async with engine_in_process(tmp_path / "home", config(upstream.url)) as lynkr:
        upstream.default = Reply(status=400, error="no such field")
        for _ in range(12):
            assert (await post(lynkr, "/v1/chat/completions"))[0] == 400
        assert len(upstream.asked) == 12
        assert lynkr.engine.breakers.troubled() == ()


async def test_what_fails_for_a_moment_is_asked_again_unseen(tmp_path: Path, upstream: OpenAIFake) -> None:
    resilience = {"retry": {"base": "5ms"}}
    async with engine_in_process(tmp_path / "home", config(upstream.url, **resilience)) as lynkr:
        for path in CLIENTS:
            upstream.asked.clear()
            upstream.replies.extend([FAILING, FAILING])
            assert (await post(lynkr, path))[0] == 200
            assert len(upstream.asked) == 3
        rows = await lynkr.rows()
        assert {row["status"] for row in rows} == {200}
        (breaker,) = (await lynkr.admin("GET", "breakers"))["breakers"]
        assert (breaker["calls"], breaker["bad"], breaker["retries"]) == (12, 8, 8)
        assert breaker["state"] == "closed", "two failures and a good answer are not 85 %"
        async with lynkr.http.get(f"{lynkr.url}/metrics") as response:
            assert 'lynkr_retries_total{model="m",provider="fake"} 8.0' in await response.text()


async def test_a_retry_after_is_kept_and_a_long_one_is_told(tmp_path: Path, upstream: OpenAIFake) -> None:
    resilience = {"retry": {"base": "5ms", "max_wait": "5s"}}
    async with engine_in_process(tmp_path / "home", config(upstream.url, **resilience)) as lynkr:
        loop = asyncio.get_running_loop()
        upstream.replies.append(Reply(status=429, error="slow down", headers={"retry-after": "1"}))
        began = loop.time()
        assert (await post(lynkr, "/v1/chat/completions"))[0] == 200
        assert loop.time() - began >= 1.0
        assert len(upstream.asked) == 2
        upstream.replies.append(Reply(status=429, error="slow down", headers={"retry-after": "40"}))
        status, wait, _ = await post(lynkr, "/v1/messages")
        assert status == 429
        assert int(wait) >= 38
        assert len(upstream.asked) == 3


async def test_a_stream_that_broke_after_its_first_byte_is_not_asked_again(
    tmp_path: Path, upstream: OpenAIFake
) -> None:
    async with engine_in_process(tmp_path / "home", config(upstream.url)) as lynkr:
        upstream.default = Reply((Say("one "), Die()))
        for path in ("/v1/chat/completions", "/v1/messages"):
            upstream.asked.clear()
            status, _, said = await post(lynkr, path, stream=True)
            assert status == 200
            assert "one" in said
            assert "error" in said
            assert len(upstream.asked) == 1
        await lynkr.idle()
        (breaker,) = (await lynkr.admin("GET", "breakers"))["breakers"]
        assert (breaker["calls"], breaker["bad"]) == (2, 2)


async def test_an_open_breaker_is_seen_everywhere_and_closed_by_hand(
    tmp_path: Path, upstream: OpenAIFake
) -> None:
    async with engine_in_process(tmp_path / "home", config(upstream.url, **ONCE)) as lynkr:
        told: list[BreakerChanged] = []
        publish = lynkr.engine.hub.publish

        def noted(event: Any) -> None:
            if isinstance(event, BreakerChanged):
                told.append(event)
            publish(event)

        lynkr.engine.hub.publish = noted  # type: ignore[method-assign]
        await shut(lynkr, upstream)
        status = await lynkr.admin("GET", "status")
        (breaker,) = status["breakers"]
        assert (breaker["name"], breaker["state"], breaker["bad"]) == ("fake/m", "open", 5)
        (candidate,) = status["tiers"][0]["candidates"]
        assert candidate["state"] == "unavailable"
        assert "5 of 5 requests within 60 s failed" in candidate["reason"]
        assert "It is tried again at" in candidate["reason"]
        async with lynkr.http.get(f"{lynkr.url}/metrics") as response:
            metrics = await response.text()
        assert 'lynkr_breaker_state{model="m",provider="fake"} 2.0' in metrics
        assert 'lynkr_breaker_opened_total{model="m",provider="fake"} 1.0' in metrics
        missing, why = await lynkr.refused("POST", "breakers/fake%2Fnone/reset")
        assert missing == 404
        assert "lynkr breakers" in why
        closed = (await lynkr.admin("POST", "breakers/fake/m/reset"))["breakers"]
        assert [(each["name"], each["state"]) for each in closed] == [("fake/m", "closed")]
        upstream.default = text("back")
        assert (await post(lynkr, "/v1/chat/completions"))[0] == 200
        assert [event.breaker.state for event in told] == ["open", "closed"]
        await shut_again(lynkr, upstream)
        assert len((await lynkr.admin("POST", "breakers/reset"))["breakers"]) == 1


async def shut_again(lynkr: Running, upstream: OpenAIFake) -> None:
    upstream.default = FAILING
    for _ in range(20):
        await post(lynkr, "/v1/chat/completions")
    assert lynkr.engine.breakers.troubled()


async def test_another_address_is_asked_at_once(tmp_path: Path, upstream: OpenAIFake) -> None:
    async with (
        OpenAIFake() as good,
        engine_in_process(tmp_path / "home", config(upstream.url, **ONCE)) as lynkr,
    ):
        await shut(lynkr, upstream)
        written = lynkr.engine.paths.config.read_text()
        lynkr.engine.paths.config.write_text(written.replace(upstream.url, good.url))
        await lynkr.admin("POST", "reload")
        async with asyncio.timeout(10):
            while lynkr.engine.breakers.troubled():
                await asyncio.sleep(0.01)
        assert (await post(lynkr, "/v1/chat/completions"))[0] == 200


async def command(home: Path, *words: str) -> tuple[int, str]:
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "lynkr_desktop", "breakers", *words, "--home", str(home)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


async def test_the_command_shows_and_closes_them(tmp_path: Path, upstream: OpenAIFake) -> None:
    home = tmp_path / "home"
    async with engine_in_process(home, config(upstream.url, **ONCE)) as lynkr:
        code, said = await command(home)
        assert (code, said.strip()) == (0, "No model was asked yet.")
        await shut(lynkr, upstream)
        code, said = await command(home)
        assert code == 0
        assert "fake/m" in said
        assert "not asked for" in said
        assert "the backend is full" in said
        code, said = await command(home, "--json")
        assert json.loads(said)[0]["state"] == "open"
        code, said = await command(home, "reset", "fake/m")
        assert (code, said.strip()) == (0, "fake/m is asked again.")
        code, said = await command(home, "reset")
        assert (code, said.strip()) == (0, "No model was held back.")
        code, said = await command(home, "reset", "nobody/x")
        assert code == 1
        assert "There is no breaker 'nobody/x'" in said
    assert (await command(home))[0] == 3


async def test_a_model_that_became_slow_is_asked_after_the_others(
    tmp_path: Path, upstream: OpenAIFake
) -> None:
    async with OpenAIFake() as spare:
        options = config(upstream.url, spare.url, latency={"p95": "2s"})
        options["routing"]["tiers"]["simple"]["providers"] = ["fake/m", "spare/n"]
        async with engine_in_process(tmp_path / "home", options) as lynkr:
            clock = clocked(lynkr)
            response, _ = await lynkr.ask("hi")
            assert response.headers["x-lynkr-provider"] == "fake"
            slow = lynkr.engine.breakers.of("fake/m", patient=True)
            for _ in range(40):
                slow.done("good", 3.0)
            response, _ = await lynkr.ask("hi")
            assert response.headers["x-lynkr-provider"] == "spare"
            clock.now += 70
            response, _ = await lynkr.ask("hi")
            assert response.headers["x-lynkr-provider"] == "fake"
