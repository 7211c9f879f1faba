"""The litellm package against the real proxy process, with the very settings that OpenHands gives it."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.support.fakes.openai import OpenAIFake
from tests.support.openhands import Settings, settings_port
from tests.support.packages import LITELLM, python_with
from tests.support.proxy import Proxy, running_proxy
from tests.support.script import Call, Die, Reply, Say, failure, text, tool_call

WORKER = Path(__file__).resolve().parents[1] / "support" / "litellm_worker.py"
MODEL = "gpt-4o-mini"
# 11 tokens in at 0.15 and 5 out at 0.60 US dollars per million.
COST = 11 * 0.15e-6 + 5 * 0.60e-6
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
PIXEL = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()

pytestmark = pytest.mark.asyncio(loop_scope="module")


class LiteLLM:
    """LiteLLM in a process of its own, with the settings."""

    def __init__(self, process: asyncio.subprocess.Process, settings: Settings) -> None:
        self._process = process
        self.settings = settings

    async def complete(self, messages: list[Any], **more: Any) -> dict[str, Any]:
        """`litellm.completion` with the settings; see `tests.support.litellm_worker` for what comes back."""
        settings = self.settings
        arguments = {
            "model": settings.model,
            # A bare name says nothing about the protocol that its server speaks.
            "custom_llm_provider": "openai",
            "api_base": settings.base_url,
            "api_key": settings.api_key,
            "timeout": settings.timeout,
            "max_retries": settings.max_retries,
            "messages": messages,
            **more,
        }
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(arguments).encode() + b"\n")
        return await self.outcome()

    async def outcome(self) -> dict[str, Any]:
        """The next line."""
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), 60)
        found: dict[str, Any] = json.loads(line)
        return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[OpenAIFake]:
    """One OpenAI for the module."""
    async with OpenAIFake() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def proxy(tmp_path_factory: pytest.TempPathFactory, server: OpenAIFake) -> AsyncIterator[Proxy]:
    """One proxy for the module, where the settings expect it unless something else is there.

    Its OpenAI has a name that is not this machine's, since local models cost nothing; a proxy of the
    environment leads there.
    """
    settings = Settings.read()
    config = f"""
providers:
  openai: {{base_url: "http://api.openai.test/v1"}}
routing:
  tiers:
    simple: {{providers: [openai/{MODEL}], max_complexity: 1.0}}
"""
    environ = {
        **os.environ,
        "HTTP_PROXY": server.url,
        "NO_PROXY": "",
        "OPENAI_API_KEY": "sk-test-0123456789",
        "LYNKR_TOKEN": settings.api_key,
    }
    with running_proxy(tmp_path_factory.mktemp("proxy"), config, environ, settings_port()) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def worker(proxy: Proxy, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LiteLLM]:
    """LiteLLM, imported once."""
    settings = Settings.read().at(proxy.port)
    environ: Mapping[str, str] = {
        **{name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "LANG") if name in os.environ},
        "HOME": str(tmp_path_factory.mktemp("litellm")),
        # The prices that come with the package, instead of GitHub's.
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }
    process = await asyncio.create_subprocess_exec(
        await asyncio.to_thread(python_with, LITELLM),
        "-P",
        WORKER,
        env=environ,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        limit=16 * 1024**2,
    )
    try:
        running = LiteLLM(process, settings)
        assert await running.outcome() == {"ready": True}
        yield running
    finally:
        process.kill()
        await process.wait()


@pytest.fixture
def openai(server: OpenAIFake, proxy: Proxy) -> OpenAIFake:
    """The OpenAI behind the proxy, with nothing asked of it yet."""
    server.forget()
    return server


@pytest.fixture
def litellm(worker: LiteLLM) -> LiteLLM:
    """LiteLLM as OpenHands sets it up."""
    return worker


def ask(content: Any = "Hi") -> list[Any]:
    return [{"role": "user", "content": content}]


async def test_the_settings_are_what_they_were() -> None:
    assert Settings.read() == Settings(
        base_url="http://localhost:8081/v1",
        api_key="internal-routing-token",
        model="auto-route",
        timeout=30,
        max_retries=2,
    )


async def test_chat_and_its_cost(openai: OpenAIFake, litellm: LiteLLM, proxy: Proxy) -> None:
    openai.replies.append(text("Hello", " there"))
    found = await litellm.complete(ask())
    choice = found["response"]["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("Hello there", "stop")
    assert found["response"]["usage"]["prompt_tokens"] == 11
    assert found["headers"]["llm_provider-x-lynkr-tier"] == "SIMPLE"
    assert found["headers"]["llm_provider-x-lynkr-model"] == MODEL
    assert found["cost"] == float(found["headers"]["llm_provider-x-litellm-response-cost"])
    assert found["cost"] == pytest.approx(COST, abs=1e-10)
    (record, *_) = await asyncio.to_thread(proxy.records, 1)
    assert record["cost"] == pytest.approx(COST)
    assert record["status"] == 200


async def test_a_stream(openai: OpenAIFake, litellm: LiteLLM) -> None:
    openai.replies.append(text("Hello", " there"))
    found = await litellm.complete(ask(), stream=True, stream_options={"include_usage": True})
    said = [chunk["choices"][0]["delta"]["content"] for chunk in found["chunks"] if chunk["choices"]]
    assert [piece for piece in said if piece] == ["Hello", " there"]
    assert found["response"]["choices"][0]["message"]["content"] == "Hello there"
    assert found["response"]["choices"][0]["finish_reason"] == "stop"
    assert found["response"]["usage"]["prompt_tokens"] == 11
    assert found["response"]["usage"]["completion_tokens"] == 5


@pytest.mark.parametrize("stream", [False, True])
async def test_a_tool_round_trip(openai: OpenAIFake, litellm: LiteLLM, stream: bool) -> None:
    openai.replies += [tool_call("get_weather", {"city": "Oslo"}), text("4 degrees")]
    turns = ask("Weather in Oslo?")
    first = await litellm.complete(turns, tools=[WEATHER], stream=stream)
    choice = first["response"]["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    (call,) = choice["message"]["tool_calls"]
    assert call["function"]["name"] == "get_weather"
    assert json.loads(call["function"]["arguments"]) == {"city": "Oslo"}
    turns += [choice["message"], {"role": "tool", "tool_call_id": call["id"], "content": "4 C"}]
    second = await litellm.complete(turns, tools=[WEATHER], stream=stream)
    assert second["response"]["choices"][0]["message"]["content"] == "4 degrees"
    assert openai.asked[-1].json["messages"][2]["content"] == "4 C"


@pytest.mark.parametrize("stream", [False, True])
async def test_parallel_tools(openai: OpenAIFake, litellm: LiteLLM, stream: bool) -> None:
    cities = ["Oslo", "Rome", "Lima"]
    openai.replies.append(Reply(tuple(Call("get_weather", {"city": city}) for city in cities)))
    found = await litellm.complete(ask("Weather?"), tools=[WEATHER], stream=stream)
    calls = found["response"]["choices"][0]["message"]["tool_calls"]
    assert [json.loads(call["function"]["arguments"])["city"] for call in calls] == cities
    assert len({call["id"] for call in calls}) == len(cities)


async def test_an_image(openai: OpenAIFake, litellm: LiteLLM) -> None:
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": PIXEL}}]
    openai.replies.append(text("A pixel"))
    found = await litellm.complete(ask(parts))
    assert found["response"]["choices"][0]["message"]["content"] == "A pixel"
    assert openai.asked[-1].json["messages"][0]["content"] == parts


async def test_errors_have_their_classes(openai: OpenAIFake, litellm: LiteLLM) -> None:
    wrong = await litellm.complete(ask(), api_key="wrong-token")
    assert (wrong["error"], wrong["status"]) == ("AuthenticationError", 401)
    assert "access token" in wrong["message"]
    invalid = await litellm.complete(ask(), temperature=3)
    assert (invalid["error"], invalid["status"]) == ("BadRequestError", 400)
    assert "temperature" in invalid["message"]
    assert openai.asked == []
    openai.replies.append(failure(400, "This model's maximum context length is 128000 tokens."))
    refused = await litellm.complete(ask())
    assert (refused["error"], refused["status"]) == ("ContextWindowExceededError", 400)
    openai.replies.append(failure(404, "The model does not exist."))
    missing = await litellm.complete(ask(), max_retries=0)
    assert (missing["error"], missing["status"]) == ("NotFoundError", 404)


async def test_an_overload_is_tried_again_as_often_as_the_settings_say(
    openai: OpenAIFake, litellm: LiteLLM
) -> None:
    openai.replies += [failure(429, "Slow down."), failure(503, "Overloaded."), text("Now")]
    found = await litellm.complete(ask())
    assert found["response"]["choices"][0]["message"]["content"] == "Now"
    assert len(openai.asked) == 3


async def test_a_stream_that_breaks_is_an_error(openai: OpenAIFake, litellm: LiteLLM) -> None:
    openai.replies.append(Reply((Say("Half a"), Die())))
    found = await litellm.complete(ask(), stream=True)
    assert "broke" in found["message"]
    assert [chunk["choices"][0]["delta"]["content"] for chunk in found["chunks"]][:2] == ["", "Half a"]
