"""The official ollama package against the real proxy process, with an Ollama and an OpenAI behind it."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import ollama
import pytest
import pytest_asyncio

from tests.support.fakes.openai import OpenAIFake
from tests.support.ollama_models import FakeModel
from tests.support.ollama_server import OllamaServer
from tests.support.proxy import Proxy, running_proxy
from tests.support.script import Call, Die, Hold, Reply, Say, Think, failure, text, tool_call

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
LOCAL, CLOUD = "llama3.2", "cloud/m"
BOTH = pytest.mark.parametrize("model", [LOCAL, CLOUD])
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "description": "Which"}},
            "required": ["city"],
        },
    },
}

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[OllamaServer]:
    """One Ollama for the module."""
    models = (
        FakeModel(LOCAL, capabilities=("completion", "tools", "vision", "thinking")),
        FakeModel("nomic-embed-text", capabilities=("embedding",)),
    )
    async with OllamaServer(*models, library=(FakeModel("tiny", size=1000),)) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def openai() -> AsyncIterator[OpenAIFake]:
    """One OpenAI for the module."""
    async with OpenAIFake() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def proxy(
    tmp_path_factory: pytest.TempPathFactory, server: OllamaServer, openai: OpenAIFake
) -> AsyncIterator[Proxy]:
    """One proxy for the module."""
    config = f"""
resilience: {{retry: {{attempts: 1}}}}
providers:
  ollama: {{base_url: {server.url}}}
  cloud: {{kind: openai_compatible, base_url: {openai.url}/v1}}
routing:
  tiers:
    simple: {{providers: [cloud/m], max_complexity: 1.0}}
"""
    with running_proxy(tmp_path_factory.mktemp("proxy"), config) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def client(proxy: Proxy, server: OllamaServer, openai: OpenAIFake) -> AsyncIterator[ollama.AsyncClient]:
    server.forget()
    openai.replies.clear()
    openai.asked.clear()
    yield ollama.AsyncClient(proxy.url, headers={"authorization": f"Bearer {proxy.token}"}, timeout=20)


@pytest.fixture
def script(server: OllamaServer, openai: OpenAIFake) -> Any:
    """Tells the provider of a model what to say next."""

    def say(model: str, *replies: Reply) -> None:
        (server.replies if model == LOCAL else openai.replies).extend(replies)

    return say


def ask(content: str = "Hi", **more: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": content, **more}]


# ---------------------------------------------------------------- chat


@BOTH
async def test_chat(client: ollama.AsyncClient, script: Any, model: str) -> None:
    script(model, text("Hello", " there"))
    answer = await client.chat(model, ask(), options={"num_predict": 50, "seed": 1})
    assert answer.message.content == "Hello there"
    assert (answer.done, answer.done_reason) == (True, "stop")
    assert answer.prompt_eval_count
    assert answer.eval_count
    assert answer.total_duration
    assert answer.eval_duration


@BOTH
async def test_words_come_as_they_are_said(client: ollama.AsyncClient, script: Any, model: str) -> None:
    seen = asyncio.Event()
    script(model, Reply((Say("first"), Hold(seen), Say(" second"))))
    words = []
    async for part in await client.chat(model, ask(), stream=True):
        words.append(part.message.content)
        seen.set()
    assert "".join(word or "" for word in words) == "first second"
    assert part.done
    assert part.done_reason == "stop"
    assert part.eval_count


@BOTH
async def test_a_tool_round_trip(client: ollama.AsyncClient, script: Any, model: str) -> None:
    script(model, tool_call("get_weather", {"city": "Oslo"}, before="I look."), text("4 degrees"))
    turns: list[Any] = ask("Weather in Oslo?")
    first = await client.chat(model, turns, tools=[TOOL])
    assert first.message.tool_calls is not None
    [call] = first.message.tool_calls
    assert (call.function.name, call.function.arguments) == ("get_weather", {"city": "Oslo"})
    assert first.done_reason == "stop"
    turns += [first.message, {"role": "tool", "tool_name": "get_weather", "content": "4"}]
    second = await client.chat(model, turns, tools=[TOOL])
    assert second.message.content == "4 degrees"


async def test_a_tools_answer_reaches_the_call_that_it_belongs_to(
    client: ollama.AsyncClient, script: Any, openai: OpenAIFake
) -> None:
    calls = (Call("get_weather", {"city": "Oslo"}), Call("get_weather", {"city": "Rome"}))
    script(CLOUD, Reply(calls), text("done"))
    turns: list[Any] = ask()
    first = await client.chat(CLOUD, turns, tools=[TOOL])
    turns += [
        first.message,
        {"role": "tool", "tool_name": "get_weather", "content": "4"},
        {"role": "tool", "tool_name": "get_weather", "content": "20"},
    ]
    await client.chat(CLOUD, turns, tools=[TOOL])
    sent = openai.asked[-1].json["messages"]
    made = [call["id"] for call in sent[1]["tool_calls"]]
    assert len(set(made)) == 2
    assert [(answer["tool_call_id"], answer["content"]) for answer in sent[2:]] == [
        (made[0], "4"),
        (made[1], "20"),
    ]


@BOTH
async def test_parallel_tools_in_a_stream(client: ollama.AsyncClient, script: Any, model: str) -> None:
    script(model, Reply((Call("get_weather", {"city": "Oslo"}), Call("get_weather", {"city": "Rome"}))))
    cities: list[Any] = []
    async for part in await client.chat(model, ask(), tools=[TOOL], stream=True):
        cities += [call.function.arguments["city"] for call in part.message.tool_calls or ()]
    assert cities == ["Oslo", "Rome"]


@BOTH
async def test_images(
    client: ollama.AsyncClient, script: Any, server: OllamaServer, openai: OpenAIFake, model: str
) -> None:
    script(model, text("A picture."))
    answer = await client.chat(model, ask("What is this?", images=[PNG]))
    assert answer.message.content == "A picture."
    if model == LOCAL:
        assert server.chats[-1].body["messages"][0]["images"] == [PNG]
    else:
        [_, image] = openai.asked[-1].json["messages"][0]["content"]
        assert image["image_url"]["url"] == f"data:image/png;base64,{PNG}"


@BOTH
async def test_thinking(client: ollama.AsyncClient, script: Any, model: str) -> None:
    script(model, Reply((Think("Hm."), Say("Yes."))))
    answer = await client.chat(model, ask(), think=True)
    assert (answer.message.thinking, answer.message.content) == ("Hm.", "Yes.")


@BOTH
async def test_structured_output(
    client: ollama.AsyncClient, script: Any, server: OllamaServer, openai: OpenAIFake, model: str
) -> None:
    schema = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
    script(model, text('{"age": 4}'))
    answer = await client.chat(model, ask(), format=schema)
    assert json.loads(answer.message.content or "") == {"age": 4}
    if model == LOCAL:
        assert server.chats[-1].body["format"] == schema
    else:
        assert openai.asked[-1].json["response_format"]["json_schema"]["schema"] == schema


@BOTH
async def test_generate(client: ollama.AsyncClient, script: Any, model: str) -> None:
    script(model, text("Hello", " there"), text("Hello", " again"))
    answer = await client.generate(model, "Hi", system="Be brief.")
    assert answer.response == "Hello there"
    assert answer.done_reason == "stop"
    words = [part.response async for part in await client.generate(model, "Hi", stream=True)]
    assert "".join(words) == "Hello again"


async def test_what_only_ollama_can_do(client: ollama.AsyncClient, server: OllamaServer) -> None:
    answer = await client.generate(LOCAL, "def f(", suffix="return 1", raw=False)
    assert answer.response
    assert server.received[-1].body["suffix"] == "return 1"
    with pytest.raises(ollama.ResponseError, match="suffix") as refused:
        await client.generate(CLOUD, "def f(", suffix="return 1")
    assert refused.value.status_code == 400


# ---------------------------------------------------------------- errors


@BOTH
async def test_an_error_of_the_provider(client: ollama.AsyncClient, script: Any, model: str) -> None:
    script(model, failure(429, "slow down"))
    with pytest.raises(ollama.ResponseError, match="slow down") as refused:
        await client.chat(model, ask())
    assert refused.value.status_code == 429


@BOTH
async def test_an_answer_that_breaks_off(client: ollama.AsyncClient, script: Any, model: str) -> None:
    script(model, Reply((Say("Hel"), Die())))
    words = []
    with pytest.raises(ollama.ResponseError, match="broke"):
        async for part in await client.chat(model, ask(), stream=True):
            assert not part.done
            words.append(part.message.content)
    assert words == ["Hel"]


async def test_errors_have_ollamas_shape(client: ollama.AsyncClient, proxy: Proxy) -> None:
    with pytest.raises(ollama.ResponseError) as refused:
        await client.chat("ollama/nope", ask())
    assert refused.value.status_code == 404
    assert refused.value.error == "model nope is not installed in Ollama. Run `ollama pull nope`."
    stranger = ollama.AsyncClient(proxy.url)
    with pytest.raises(ollama.ResponseError, match="access token is missing") as refused:
        await stranger.list()
    assert refused.value.status_code == 401


async def test_the_token_in_the_environment(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_API_KEY", proxy.token)
    assert (await ollama.AsyncClient(proxy.url).list()).models


# ---------------------------------------------------------------- models


async def test_list_and_show(client: ollama.AsyncClient) -> None:
    names = [model.model for model in (await client.list()).models]
    assert names[0] == "auto-route"
    assert {"llama3.2:latest", "nomic-embed-text:latest", CLOUD} <= set(names)
    for name in names:
        shown = await client.show(name or "")
        assert shown.capabilities
        assert shown.modelinfo
        architecture = shown.modelinfo["general.architecture"]
        assert shown.modelinfo[f"{architecture}.context_length"] > 0
    with pytest.raises(ollama.ResponseError, match="not found"):
        await client.show("nope")


async def test_load_and_unload(client: ollama.AsyncClient, server: OllamaServer) -> None:
    loaded = await client.generate(LOCAL, "")
    assert (loaded.done, loaded.done_reason) == (True, "load")
    assert [model.model for model in (await client.ps()).models] == ["llama3.2:latest"]
    unloaded = await client.chat(LOCAL, [], keep_alive=0)
    assert unloaded.done_reason == "unload"
    assert not server.loaded
    assert (await client.generate(CLOUD, "")).done_reason == "load"


async def test_embed(client: ollama.AsyncClient) -> None:
    made = await client.embed("nomic-embed-text", ["a", "b"])
    assert len(made.embeddings) == 2
    older = await client.embeddings("nomic-embed-text", "a")
    assert list(older.embedding) == list(made.embeddings[0])
    assert (await client.embed(CLOUD, "abc")).embeddings == [[3.0, 0.5]]


async def test_pull_and_delete(client: ollama.AsyncClient, server: OllamaServer) -> None:
    steps = [step async for step in await client.pull("tiny", stream=True)]
    assert steps[0].status == "pulling manifest"
    assert max(step.completed or 0 for step in steps) == 1000
    assert steps[-1].status == "success"
    assert "tiny:latest" in [model.model for model in (await client.list()).models]
    assert (await client.delete("tiny")).status == "success"
    assert "tiny:latest" not in server.models
    assert (await client.pull("tiny")).status == "success"
    await client.delete("tiny")
    with pytest.raises(ollama.ResponseError, match="no model nope to fetch"):
        await client.pull("nope")
    with pytest.raises(ollama.ResponseError, match="not served by Lynkr") as refused:
        await client.copy(LOCAL, "other")
    assert refused.value.status_code == 501
