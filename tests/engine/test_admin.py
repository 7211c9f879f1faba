"""The control API: switches act at once, events can be resumed, configuration reloads whole."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from tests.support.engine import Running, config_for, engine_in_process
from tests.support.openai_server import OpenAIServer, openai_server


@pytest.fixture
async def upstream() -> AsyncIterator[OpenAIServer]:
    async with openai_server() as server:
        yield server


@pytest.fixture
async def lynkr(tmp_path: Path, upstream: OpenAIServer) -> AsyncIterator[Running]:
    async with engine_in_process(tmp_path / "home", config_for(upstream.url)) as running:
        yield running


class Events:
    """Reads a stream of server-sent events."""

    def __init__(self, content: aiohttp.StreamReader) -> None:
        self._content = content

    async def next(self, *kinds: str) -> tuple[int, str, dict[str, Any]]:
        """The next event of one of these kinds."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(10):
            while True:
                line = (await self._content.readline()).decode().rstrip("\n")
                name, _, value = line.partition(": ")
                fields[name] = value
                if not line:
                    if fields.get("event") in kinds:
                        return int(fields["id"]), fields["event"], json.loads(fields["data"])
                    fields = {}


@asynccontextmanager
async def events(lynkr: Running, last: int | None = None) -> AsyncIterator[Events]:
    headers = {} if last is None else {"Last-Event-ID": str(last)}
    async with lynkr.http.get(f"{lynkr.url}/v1/admin/events", headers=headers) as response:
        assert response.content_type == "text/event-stream"
        yield Events(response.content)


async def test_a_tier_switched_off_changes_the_very_next_request_and_stays_off(
    tmp_path: Path, upstream: OpenAIServer
) -> None:
    config = config_for(upstream.url)
    async with engine_in_process(tmp_path / "home", config) as lynkr:
        assert (await lynkr.ask())[0].headers["x-lynkr-tier"] == "SIMPLE"
        status = await lynkr.admin("PATCH", "tiers/simple", {"enabled": False})
        assert [tier["enabled"] for tier in status["tiers"]] == [False, True, True, True]
        response, _ = await lynkr.ask()
        assert response.headers["x-lynkr-tier"] == "MEDIUM"
        assert "switched off" in response.headers["x-lynkr-route-reason"]
    async with engine_in_process(tmp_path / "home", config) as lynkr:
        assert (await lynkr.ask())[0].headers["x-lynkr-tier"] == "MEDIUM"
        await lynkr.admin("PATCH", "tiers/simple", {"enabled": True})
        assert (await lynkr.ask())[0].headers["x-lynkr-tier"] == "SIMPLE"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("tiers/huge", {"enabled": True}, 404),
        ("tiers/simple", {"enabled": "yes"}, 400),
        ("tiers/simple", {"enable": True}, 400),
        ("tiers/simple", [], 400),
    ],
)
async def test_a_wrong_switch_says_why(lynkr: Running, path: str, body: Any, status: int) -> None:
    async with lynkr.http.patch(f"{lynkr.url}/v1/admin/{path}", json=body) as response:
        assert response.status == status
        assert (await response.json())["error"]


async def test_pause_refuses_with_a_time_and_resume_takes_requests_again(lynkr: Running) -> None:
    status = await lynkr.admin("POST", "pause", {"seconds": 900})
    assert status["state"] == "paused"
    assert status["paused_until"] > 0
    response, body = await lynkr.ask(path="/v1/messages")
    assert response.status == 503
    assert "paused until" in body["error"]["message"]
    assert 890 <= int(response.headers["retry-after"]) <= 900
    await lynkr.admin("POST", "resume")
    assert (await lynkr.ask())[0].status == 200


async def test_a_short_pause_ends_by_itself(lynkr: Running) -> None:
    async with events(lynkr) as stream:
        await lynkr.admin("POST", "pause", {"seconds": 0.3})
        states = []
        while "running" not in states[1:]:
            _, _, data = await stream.next("status")
            states.append(data["status"]["state"])
    assert (await lynkr.ask())[0].status == 200


async def test_listeners_hear_of_requests_and_can_resume_where_they_left(lynkr: Running) -> None:
    async with events(lynkr) as stream:
        await stream.next("status")
        await lynkr.ask("the first")
        number, _, data = await stream.next("request.started")
        assert data["request"]["title"] == "the first"
        _, _, data = await stream.next("request.finished")
        assert data["request"]["status"] == 200
    async with events(lynkr, last=number) as stream:
        again, _, data = await stream.next("request.finished")
        assert again > number
        assert data["request"]["title"] == "the first"


async def test_an_event_id_of_another_life_starts_afresh(lynkr: Running) -> None:
    async with events(lynkr, last=10_000_000) as stream:
        _, _, data = await stream.next("status")
        assert data["status"]["state"] == "running"
        await lynkr.admin("PATCH", "tiers/simple", {"enabled": False})
        while data["status"]["tiers"][0]["enabled"]:
            _, _, data = await stream.next("status")


async def test_reload_swaps_the_configuration_and_a_broken_file_changes_nothing(
    tmp_path: Path, upstream: OpenAIServer
) -> None:
    config = config_for(upstream.url)
    home = tmp_path / "home"
    async with engine_in_process(home, config) as lynkr:
        config["routing"]["tiers"]["simple"]["providers"] = ["fake/other"]
        file = home / "lynkr-routing.yaml"
        async with events(lynkr) as stream:
            file.write_text(yaml.safe_dump(config))
            # The watcher takes it without being told to.
            await stream.next("config.reloaded")
            assert (await lynkr.ask())[0].headers["x-lynkr-model"] == "other"

            file.write_text("routing: {tiers: {simple: {max_complexty: 0.5}}}")
            _, _, told = await stream.next("config.reloaded")
            assert "max_complexity" in told["error"]
        async with lynkr.http.post(f"{lynkr.url}/v1/admin/reload") as response:
            assert response.status == 422
            assert "Did you mean" in (await response.json())["error"]
        assert (await lynkr.ask())[0].headers["x-lynkr-model"] == "other"
        assert (await lynkr.admin("GET", "status"))["config"]["error"]

        file.write_text(yaml.safe_dump(config))
        assert (await lynkr.admin("POST", "reload"))["error"] == ""


async def test_a_request_in_flight_finishes_on_the_configuration_it_began_with(
    tmp_path: Path, upstream: OpenAIServer
) -> None:
    upstream.gate = asyncio.Event()
    config = config_for(upstream.url)
    fields = {"model": "auto-route", "stream": True, "messages": [{"role": "user", "content": "x"}]}
    async with (
        engine_in_process(tmp_path / "home", config) as lynkr,
        lynkr.http.post(f"{lynkr.url}/v1/chat/completions", json=fields) as response,
    ):
        await response.content.readany()
        for tier in config["routing"]["tiers"].values():
            tier["providers"] = ["gone/m"]
        config["providers"] = {"gone": {"kind": "openai_compatible", "base_url": "http://127.0.0.1:9/v1"}}
        (tmp_path / "home" / "lynkr-routing.yaml").write_text(yaml.safe_dump(config))
        await lynkr.admin("POST", "reload")
        assert (await lynkr.ask())[0].status == 503
        upstream.gate.set()
        assert (await response.text()).rstrip().endswith("[DONE]")


async def test_the_users_own_template_loads_whole_and_names_what_is_missing(tmp_path: Path) -> None:
    template = yaml.safe_load((Path(__file__).parent.parent / "fixtures" / "lynkr-routing.yaml").read_text())
    async with engine_in_process(tmp_path / "home", template) as lynkr:
        status = await lynkr.admin("GET", "status")
        providers = {provider["name"]: provider for provider in status["providers"]}
        assert "OPENROUTER_API_KEY" in providers["openrouter"]["reason"]
        assert not providers["bedrock"]["available"]
        assert providers["vertex"]["reason"]
        assert status["config"]["inactive"] == []
        response, body = await lynkr.ask()
        assert response.status == 503
        assert "OPENROUTER_API_KEY" in body["error"]["message"]


async def test_usage_and_records_can_be_asked_for(lynkr: Running) -> None:
    await lynkr.ask("one")
    await lynkr.ask("two", path="/v1/messages")
    rows = await lynkr.rows()
    assert [row["title"] for row in rows] == ["two", "one"]
    assert (await lynkr.admin("GET", f"requests/{rows[0]['id']}"))["title"] == "two"
    older = (await lynkr.admin("GET", f"requests?limit=5&before={rows[0]['id']}"))["requests"]
    assert [row["title"] for row in older] == ["one"]
    report = await lynkr.admin("GET", "usage?range=today&by=model")
    assert [(row["key"], row["totals"]["requests"]) for row in report["rows"]] == [("fake/simple", 2)]
    for wrong in (
        "usage?range=ever",
        "usage?by=mood",
        "requests?limit=0",
        "requests?limit=x",
        "requests/none",
    ):
        async with lynkr.http.get(f"{lynkr.url}/v1/admin/{wrong}") as response:
            assert response.status in (400, 404)


async def test_metrics_count_requests(lynkr: Running) -> None:
    await lynkr.ask()
    async with lynkr.http.get(f"{lynkr.url}/metrics") as response:
        text = await response.text()
    assert 'lynkr_requests_total{model="simple",provider="fake",status="2xx",tier="simple"} 1.0' in text


async def test_a_browser_page_of_this_machine_may_call_when_it_has_the_token(lynkr: Running) -> None:
    origin = {"Origin": "http://localhost:3000"}
    asks = {
        **origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    async with lynkr.http.options(f"{lynkr.url}/v1/chat/completions", headers=asks) as response:
        assert response.status == 204
        assert response.headers["Access-Control-Allow-Origin"] == origin["Origin"]
    async with lynkr.http.options(
        f"{lynkr.url}/v1/chat/completions", headers={**asks, "Origin": "https://evil.example"}
    ) as response:
        assert response.status == 403
