"""Which model of a tier is asked first, and what a profile keeps on this machine."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from lynkr_desktop.engine.security.egress import Egress, LocalOnly, is_this_machine
from tests.support.engine import Running, config_for, engine_in_process
from tests.support.ollama_models import FakeModel
from tests.support.ollama_server import OllamaServer
from tests.support.openai_server import OpenAIServer, openai_server
from tests.support.script import text


def tiers(*models: str, **routing: Any) -> dict[str, Any]:
    """Routing with one tier, so that only the order of its models counts."""
    return {"tiers": {"simple": {"providers": list(models), "max_complexity": 1.0}}, **routing}


@pytest.fixture
async def cloud() -> AsyncIterator[OpenAIServer]:
    async with openai_server() as server:
        yield server


@asynccontextmanager
async def two(home: Path, cloud: OpenAIServer, ollama: OllamaServer, **more: Any) -> AsyncIterator[Running]:
    """An engine whose only tier lists a model of `cloud` before one of Ollama."""
    config = config_for(cloud.url)
    config["providers"]["ollama"] = {"base_url": ollama.url}
    config["routing"] = tiers("fake/big", "ollama/qwen2.5-coder:7b", **more)
    async with engine_in_process(home, config) as lynkr:
        yield lynkr


@pytest.fixture
async def ollama() -> AsyncIterator[OllamaServer]:
    async with OllamaServer(FakeModel("qwen2.5-coder:7b")) as server:
        server.replies.extend(text("From here.") for _ in range(20))
        yield server


async def asked(lynkr: Running, **headers: str) -> str:
    """Which model answered."""
    body = {"model": "auto-route", "messages": [{"role": "user", "content": "hi"}]}
    async with lynkr.http.post(f"{lynkr.url}/v1/chat/completions", json=body, headers=headers) as response:
        assert response.status == 200, await response.text()
        return response.headers["x-lynkr-provider"]


@pytest.mark.parametrize(
    ("prefer", "first"), [("always", "ollama"), ("never", "fake"), ("when_loaded", "fake")]
)
async def test_local_models_come_first_where_they_are_preferred(
    tmp_path: Path, cloud: OpenAIServer, ollama: OllamaServer, prefer: str, first: str
) -> None:
    async with two(tmp_path, cloud, ollama, prefer_local=prefer) as lynkr:
        assert await asked(lynkr) == first


async def test_a_loaded_model_comes_first_when_loaded_ones_are_preferred(
    tmp_path: Path, cloud: OpenAIServer, ollama: OllamaServer
) -> None:
    async with two(tmp_path, cloud, ollama, prefer_local="when_loaded") as lynkr:
        await lynkr.admin("POST", "models/ollama%2Fqwen2.5-coder:7b/load")
        assert await asked(lynkr) == "ollama"


async def test_a_request_with_tools_goes_past_a_model_that_cannot_call_them(
    tmp_path: Path, cloud: OpenAIServer
) -> None:
    tool = {"type": "function", "function": {"name": "read", "parameters": {"type": "object"}}}
    model = FakeModel("qwen2.5-coder:7b", capabilities=("completion",))
    async with OllamaServer(model) as ollama, two(tmp_path, cloud, ollama) as lynkr:
        response, _ = await lynkr.ask(tools=[tool])
        assert response.headers["x-lynkr-provider"] == "fake"
        assert not ollama.chats


async def test_a_prompt_too_long_for_the_local_model_goes_to_the_next(
    tmp_path: Path, cloud: OpenAIServer
) -> None:
    model = FakeModel("qwen2.5-coder:7b", context_length=4096)
    async with OllamaServer(model) as ollama, two(tmp_path, cloud, ollama) as lynkr:
        response, _ = await lynkr.ask("Explain this. " * 20_000)
        assert response.headers["x-lynkr-provider"] == "fake"


async def test_round_robin_shares_by_weight(tmp_path: Path, cloud: OpenAIServer) -> None:
    config = config_for(cloud.url)
    config["routing"] = tiers("fake/a", "fake/b", policy="round_robin", weights={"fake/a": 3})
    async with engine_in_process(tmp_path, config) as lynkr:
        models = Counter([(await lynkr.ask())[0].headers["x-lynkr-model"] for _ in range(40)])
    assert models == {"a": 30, "b": 10}


async def test_the_cheapest_or_the_quickest_comes_first(tmp_path: Path, cloud: OpenAIServer) -> None:
    config = config_for(cloud.url)
    config["providers"]["openai"] = {"base_url": cloud.url}
    config["routing"] = tiers(
        "fake/m", "openai/gpt-4o", "openai/gpt-4o-mini", policy="cost", prefer_local="never"
    )
    async with engine_in_process(tmp_path / "a", config) as lynkr:
        assert (await lynkr.ask())[0].headers["x-lynkr-model"] == "gpt-4o-mini"
    config["routing"] = tiers("fake/slow", "fake/quick", policy="latency")

    async def script(request: Any, body: dict[str, Any]) -> Any:
        if body["model"] == "slow":
            await asyncio.sleep(0.2)
        cloud.script = None
        try:
            return await cloud.answer(request, body)
        finally:
            cloud.script = script

    cloud.script = script
    async with engine_in_process(tmp_path / "b", config) as lynkr:
        models = [(await lynkr.ask())[0].headers["x-lynkr-model"] for _ in range(6)]
        await lynkr.rows()
        models += [(await lynkr.ask())[0].headers["x-lynkr-model"] for _ in range(6)]
    assert models[-6:] == ["quick"] * 6


async def test_when_no_model_of_the_tier_can_answer_the_next_tier_does_and_it_is_said(
    tmp_path: Path, cloud: OpenAIServer
) -> None:
    config = config_for(cloud.url)
    config["routing"]["tiers"]["simple"]["providers"] = ["ollama/none"]
    config["providers"]["ollama"] = {"base_url": "http://127.0.0.1:9"}
    async with engine_in_process(tmp_path, config) as lynkr:
        response, _ = await lynkr.ask()
        assert response.headers["x-lynkr-tier"] == "MEDIUM"
        assert "no model of simple could answer, so medium" in response.headers["x-lynkr-route-reason"]


# ---------------------------------------------------------------- profiles


async def test_a_profile_may_leave_out_tiers_for_one_request_or_for_good(
    tmp_path: Path, cloud: OpenAIServer
) -> None:
    config = config_for(cloud.url)
    config["routing"]["profiles"] = {"strong": {"tiers": ["complex", "reasoning"]}}
    async with engine_in_process(tmp_path, config) as lynkr:
        once = await lynkr.http.post(
            f"{lynkr.url}/v1/chat/completions",
            json={"model": "auto-route", "messages": [{"role": "user", "content": "hi"}]},
            headers={"x-lynkr-profile": "strong"},
        )
        assert once.headers["x-lynkr-tier"] == "COMPLEX"
        assert "simple is not in the profile strong" in once.headers["x-lynkr-route-reason"]
        assert (await lynkr.ask())[0].headers["x-lynkr-tier"] == "SIMPLE"
        status = await lynkr.admin("PATCH", "profile", {"name": "strong"})
        assert [profile["name"] for profile in status["profiles"] if profile["active"]] == ["strong"]
    async with engine_in_process(tmp_path, config) as lynkr:
        assert (await lynkr.ask())[0].headers["x-lynkr-tier"] == "COMPLEX"


async def test_unknown_profiles_are_named(tmp_path: Path, cloud: OpenAIServer) -> None:
    async with engine_in_process(tmp_path, config_for(cloud.url)) as lynkr:
        for method, path, options in (
            ("PATCH", "/v1/admin/profile", {"json": {"name": "sekure"}}),
            ("POST", "/v1/chat/completions", {"headers": {"x-lynkr-profile": "sekure"}}),
        ):
            body = {"model": "auto-route", "messages": [{"role": "user", "content": "hi"}]}
            async with lynkr.http.request(method, lynkr.url + path, **{"json": body, **options}) as response:
                assert response.status in (400, 404)
                assert "The profiles are default, secure" in await response.text()


# ---------------------------------------------------------------- secure: at the socket


def elsewhere() -> str:
    """An address of this machine that is no loopback: to the engine, it is another machine."""
    for addresses in psutil.net_if_addrs().values():
        for found in addresses:
            if found.family is socket.AF_INET and not is_this_machine(found.address):
                return found.address
    pytest.skip("this machine has no address but loopback")


class Listener:
    """A server that takes connections elsewhere and counts them."""

    def __init__(self, host: str) -> None:
        self.connections = 0
        self.arrived = asyncio.Event()
        self.host = host
        self.port = 0

    async def __aenter__(self) -> Listener:
        self._server = await asyncio.start_server(self._take, self.host, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.arrived.set()
        writer.close()


@asynccontextmanager
async def open_world(
    home: Path, ollama: OllamaServer, **more: Any
) -> AsyncIterator[tuple[Running, Listener]]:
    """An engine with a cloud of each kind that can be pointed anywhere, all at one listener."""
    async with Listener(elsewhere()) as world:
        url = f"http://{world.host}:{world.port}"
        config = config_for(f"{url}/v1")
        config["embedded"] = {"auto_pull": False}
        config["providers"] |= {
            "openai": {"base_url": f"{url}/v1"},
            "anthropic": {"base_url": url},
            "vertex": {"base_url": url, "project": "p"},
            "azure": {"base_url": url},
            "bedrock": {"base_url": url, "region": "us-east-1"},
            "far": {"kind": "ollama", "base_url": url},
            "ollama": {"base_url": ollama.url},
        }
        models = ["fake/m", "openai/gpt-4o", "anthropic/claude-sonnet-4-5", "vertex/gemini-2.0-flash"]
        models += ["azure/gpt-4o", "bedrock/anthropic.claude", "far/llama3", "ollama/qwen2.5-coder:7b"]
        config["routing"] = tiers(*models, prefer_local="never", **more)
        environ = {
            "OPENAI_API_KEY": "sk-test-aaaaaaaaaaaa",
            "ANTHROPIC_API_KEY": "sk-ant-test-aaaaaaaa",
            "AZURE_OPENAI_API_KEY": "azure-test-aaaaaaaa",
            "AWS_BEARER_TOKEN_BEDROCK": "bedrock-test-aaaaaa",
            "GOOGLE_API_KEY": "google-test-aaaaaaaa",
            "HTTP_PROXY": url,
            "HTTPS_PROXY": url,
        }
        async with engine_in_process(home, config, environ) as lynkr:
            yield lynkr, world


async def use_everything(lynkr: Running) -> list[int]:
    """Every call that could reach out; the statuses of the answers."""
    statuses = []
    calls: list[tuple[str, str, Any]] = [
        ("POST", "/v1/chat/completions", {"model": name, "messages": [{"role": "user", "content": "hi"}]})
        for name in (
            "auto-route",
            "fake/m",
            "openai/gpt-4o",
            "anthropic/claude-sonnet-4-5",
            "vertex/gemini-2.0-flash",
            "azure/gpt-4o",
            "bedrock/anthropic.claude",
            "far/llama3",
        )
    ]
    calls += [("POST", "/v1/embeddings", {"model": "openai/text-embedding-3-small", "input": "hi"})]
    calls += [
        (
            "POST",
            "/v1/messages/count_tokens",
            {"model": "anthropic/x", "messages": [{"role": "user", "content": "hi"}]},
        )
    ]
    calls += [
        ("GET", "/v1/models", None),
        ("GET", "/v1/admin/status", None),
        ("GET", "/v1/admin/ready", None),
    ]
    calls += [
        ("POST", f"/v1/admin/keys/{name}/test", None) for name in ("openai", "anthropic", "azure", "vertex")
    ]
    calls += [
        ("POST", "/v1/admin/models/far%2Fllama3/pull", None),
        ("POST", "/v1/admin/models/gemma-3-270m/pull", None),
    ]
    calls += [("POST", "/api/pull", {"model": "llama3"})]
    for method, path, body in calls:
        async with lynkr.http.request(method, lynkr.url + path, json=body) as response:
            await response.read()
            statuses.append(response.status)
    return statuses


async def test_the_secure_profile_reaches_nothing_but_this_machine(
    tmp_path: Path, ollama: OllamaServer
) -> None:
    async with open_world(tmp_path, ollama, profile="secure") as (lynkr, world):
        statuses = await use_everything(lynkr)
        assert statuses[0] == 200
        assert ollama.chats
        assert world.connections == 0
        assert set(statuses[1:8]) == {403}
        await lynkr.admin("PATCH", "profile", {"name": "default"})
        await use_everything(lynkr)
        assert world.connections > 5  # the trap was set
        before = world.connections
        await lynkr.admin("PATCH", "profile", {"name": "secure"})
        await use_everything(lynkr)
        assert world.connections == before


async def test_one_request_can_ask_to_stay_here_and_none_can_ask_to_leave(
    tmp_path: Path, ollama: OllamaServer
) -> None:
    async with Listener(elsewhere()) as world:
        config = config_for(f"http://{world.host}:{world.port}/v1")
        config["providers"]["ollama"] = {"base_url": ollama.url}
        config["routing"] = tiers("fake/m", "ollama/qwen2.5-coder:7b", prefer_local="never")
        async with engine_in_process(tmp_path, config) as lynkr:
            assert await asked(lynkr, **{"x-lynkr-profile": "secure"}) == "ollama"
            body = {"model": "fake/embedder", "input": "hi"}
            url, header = f"{lynkr.url}/v1/embeddings", {"x-lynkr-profile": "secure"}
            async with lynkr.http.post(url, json=body, headers=header) as response:
                assert response.status == 503
            assert world.connections == 0
            assert await asked(lynkr) == "ollama"  # the other hung up
            assert world.connections
            before = world.connections
            await lynkr.admin("PATCH", "profile", {"name": "secure"})
            assert await asked(lynkr, **{"x-lynkr-profile": "default"}) == "ollama"
            assert world.connections == before


async def test_a_model_of_ollama_that_runs_elsewhere_is_passed_over(tmp_path: Path) -> None:
    async with OllamaServer(FakeModel("big:cloud", remote=True)) as ollama:
        config = config_for("http://127.0.0.1:9/v1")
        config["providers"]["ollama"] = {"base_url": ollama.url}
        config["routing"] = tiers("ollama/big:cloud", profile="secure")
        async with engine_in_process(tmp_path, config) as lynkr:
            response, body = await lynkr.ask()
            assert response.status == 403
            assert "is not on this machine" in body["error"]["message"]
            assert not ollama.chats


async def test_the_gate_stops_other_libraries_at_their_sockets() -> None:
    egress = Egress()
    async with Listener(elsewhere()) as world:

        def connect() -> None:
            socket.create_connection((world.host, world.port), 2).close()

        egress.shut()
        try:
            with pytest.raises(LocalOnly):
                await asyncio.to_thread(connect)
            with pytest.raises(LocalOnly):
                socket.getaddrinfo("example.com", 443)
            async with Listener("127.0.0.1") as here:
                await asyncio.to_thread(lambda: socket.create_connection(("localhost", here.port), 2).close())
                await asyncio.wait_for(here.arrived.wait(), 5)
        finally:
            egress.open()
        assert world.connections == 0
        await asyncio.to_thread(connect)
        await asyncio.wait_for(world.arrived.wait(), 5)


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("[::1]", True), ("LOCALHOST", True),
        ("localhost.", True), ("::ffff:127.0.0.1", True), ("::ffff:8.8.8.8", False), ("0.0.0.0", False),
        ("localhost.example.com", False), ("10.0.0.1", False), ("", False), ("2130706433", False),
        ("fe80::1%lo", False),
    ],
)  # fmt: skip
def test_which_hosts_are_this_machine(host: str, here: bool) -> None:
    assert is_this_machine(host) is here


async def test_a_name_that_was_made_to_mean_another_machine_is_refused_at_the_socket() -> None:
    """As a line in /etc/hosts does it for localhost."""
    from lynkr_desktop.engine.providers.connections import Connector

    class Lying(aiohttp.abc.AbstractResolver):
        async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_INET) -> list[Any]:
            return [
                {"hostname": host, "host": world.host, "port": port, "family": family, "proto": 0, "flags": 0}
            ]

        async def close(self) -> None:
            pass

    egress = Egress()
    egress.shut()
    try:
        async with Listener(elsewhere()) as world:
            connector = Connector(egress)
            connector._resolver = Lying()
            async with aiohttp.ClientSession(connector=connector) as session:
                with pytest.raises(OSError, match="not on this machine"):
                    await session.get(f"http://localhost:{world.port}/")
            assert world.connections == 0
    finally:
        egress.open()
