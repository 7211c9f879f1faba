"""The anthropic and openai packages against the real proxy process, with an Ollama behind it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import anthropic
import openai
import pytest
import pytest_asyncio

from tests.support.ollama_models import FakeModel
from tests.support.ollama_server import OllamaServer
from tests.support.proxy import Proxy, running_proxy
from tests.support.script import Call, Die, ErrorLine, Hold, Reply, Say, Stall, text, tool_call

MODEL = "auto-route"
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
ANTHROPIC_TOOL: Any = {"name": "get_weather", "description": "Weather of a city", "input_schema": CITY}
OPENAI_TOOL: Any = {
    "type": "function",
    "function": {"name": "get_weather", "description": "Weather of a city", "parameters": CITY},
}
CITIES = ("Oslo", "Rome", "Lima")
CALL_FIELDS: Any = {"id": True, "type": True, "function": {"name", "arguments"}}
SEEING = "ollama/qwen2.5vl"
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[OllamaServer]:
    """One Ollama for the module."""
    seeing = FakeModel("qwen2.5vl", capabilities=("completion", "vision"), modified=1.0)
    async with OllamaServer(FakeModel("llama3.2"), seeing) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def proxy(tmp_path_factory: pytest.TempPathFactory, server: OllamaServer) -> AsyncIterator[Proxy]:
    """One proxy for the module."""
    config = f"""
resilience: {{retry: {{attempts: 1}}}}
providers:
  ollama: {{base_url: {server.url}}}
routing:
  tiers:
    simple: {{providers: [ollama/auto], max_complexity: 1.0}}
"""
    with running_proxy(tmp_path_factory.mktemp("proxy"), config) as running:
        yield running


@pytest.fixture
def ollama(server: OllamaServer, proxy: Proxy) -> OllamaServer:
    """The Ollama behind the proxy, with nothing asked of it yet."""
    server.forget()
    return server


@pytest_asyncio.fixture(loop_scope="module")
async def claude(proxy: Proxy) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(
        base_url=proxy.url, auth_token=proxy.token, api_key=None, max_retries=0, timeout=20
    ) as client:
        yield client


@pytest_asyncio.fixture(loop_scope="module")
async def gpt(proxy: Proxy) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        base_url=f"{proxy.url}/v1", api_key=proxy.token, max_retries=0, timeout=20
    ) as client:
        yield client


def ask(content: Any = "Hi") -> Any:
    """One user turn, in the shape that both protocols share."""
    return [{"role": "user", "content": content}]


# ---------------------------------------------------------------- anthropic


async def test_messages(ollama: OllamaServer, claude: anthropic.AsyncAnthropic) -> None:
    ollama.replies.append(text("Hello", " there"))
    message = await claude.messages.create(model=MODEL, max_tokens=64, system="Be brief.", messages=ask())
    assert message.content[0].type == "text"
    assert message.content[0].text == "Hello there"
    assert message.stop_reason == "end_turn"
    assert message.usage.input_tokens == ollama.chats[0].evaluated
    assert message.usage.output_tokens > 0
    assert ollama.chats[0].body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert ollama.chats[0].body["options"]["num_predict"] == 64


async def test_messages_stream_word_by_word(ollama: OllamaServer, claude: anthropic.AsyncAnthropic) -> None:
    seen = asyncio.Event()
    ollama.replies.append(Reply((Say("first"), Hold(seen), Say(" second"))))
    words = []
    async with claude.messages.stream(model=MODEL, max_tokens=64, messages=ask()) as stream:
        async for word in stream.text_stream:
            words.append(word)
            seen.set()
        final = await stream.get_final_message()
    assert words == ["first", " second"]
    assert final.stop_reason == "end_turn"
    assert final.usage.output_tokens > 0


async def test_messages_tool_round_trip(ollama: OllamaServer, claude: anthropic.AsyncAnthropic) -> None:
    ollama.replies += [tool_call("get_weather", {"city": "Oslo"}, before="I look."), text("4 degrees")]
    turns: list[Any] = ask("Weather in Oslo?")
    async with claude.messages.stream(
        model=MODEL, max_tokens=64, messages=turns, tools=[ANTHROPIC_TOOL]
    ) as stream:
        first = await stream.get_final_message()
    assert first.stop_reason == "tool_use"
    call = first.content[1]
    assert call.type == "tool_use"
    assert call.input == {"city": "Oslo"}
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "4 C"}
    turns += [{"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    second = await claude.messages.create(model=MODEL, max_tokens=64, messages=turns, tools=[ANTHROPIC_TOOL])
    assert second.content[0].type == "text"
    assert second.content[0].text == "4 degrees"
    history = ollama.chats[-1].body["messages"]
    assert history[1]["tool_calls"][0]["function"]["arguments"] == {"city": "Oslo"}
    assert history[2]["role"] == "tool"
    assert history[2]["content"] == "4 C"


@pytest.mark.parametrize("streamed", [False, True])
async def test_messages_parallel_tools(
    ollama: OllamaServer, claude: anthropic.AsyncAnthropic, streamed: bool
) -> None:
    ollama.replies += [Reply(tuple(Call("get_weather", {"city": city}) for city in CITIES)), text("Mild")]
    turns: list[Any] = ask("Weather?")
    asked: Any = {"model": MODEL, "max_tokens": 64, "tools": [ANTHROPIC_TOOL]}
    if streamed:
        async with claude.messages.stream(messages=turns, **asked) as stream:
            first = await stream.get_final_message()
    else:
        first = await claude.messages.create(messages=turns, **asked)
    calls = [block for block in first.content if block.type == "tool_use"]
    assert [call.input for call in calls] == [{"city": city} for city in CITIES]
    assert len({call.id for call in calls}) == len(CITIES)
    # As the tools finish, in another order than they were called.
    results = [
        {"type": "tool_result", "tool_use_id": call.id, "content": f"of {call.input['city']}"}
        for call in reversed(calls)
    ]
    turns += [{"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
    await claude.messages.create(messages=turns, **asked)
    told = [message["content"] for message in ollama.chats[-1].body["messages"] if message["role"] == "tool"]
    assert told == [f"of {city}" for city in CITIES]


async def test_messages_image(ollama: OllamaServer, claude: anthropic.AsyncAnthropic) -> None:
    ollama.replies.append(text("A pixel"))
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    question = {"type": "text", "text": "What is this?"}
    message = await claude.messages.create(model=SEEING, max_tokens=64, messages=ask([image, question]))
    assert message.content[0].type == "text"
    assert message.content[0].text == "A pixel"
    assert ollama.chats[0].body["messages"] == [{"role": "user", "content": "What is this?", "images": [PNG]}]


async def test_messages_errors_have_their_classes(
    ollama: OllamaServer, claude: anthropic.AsyncAnthropic, proxy: Proxy
) -> None:
    with pytest.raises(anthropic.NotFoundError, match="ollama pull nope"):
        await claude.messages.create(model="ollama/nope", max_tokens=8, messages=ask())
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    with pytest.raises(anthropic.BadRequestError, match="vision") as refused:
        await claude.messages.create(model="ollama/llama3.2", max_tokens=8, messages=ask([image]))
    body: Any = refused.value.body
    assert body["type"] == "error"
    assert body["error"]["type"] == "invalid_request_error"
    wrong = claude.with_options(auth_token="wrong-token")
    with pytest.raises(anthropic.AuthenticationError):
        await wrong.messages.create(model=MODEL, max_tokens=8, messages=ask())
    ollama.replies.append(Reply((Say("Half a"), Die())))
    with pytest.raises(anthropic.APIStatusError, match="broke"):
        async with claude.messages.stream(model=MODEL, max_tokens=8, messages=ask()) as stream:
            await stream.get_final_message()


async def test_count_tokens(ollama: OllamaServer, claude: anthropic.AsyncAnthropic) -> None:
    counted = await claude.messages.count_tokens(model=MODEL, messages=ask("word " * 400))
    assert 300 < counted.input_tokens < 900


# ---------------------------------------------------------------- openai


async def test_chat(ollama: OllamaServer, gpt: openai.AsyncOpenAI) -> None:
    ollama.replies.append(text("Hello", " there"))
    raw = await gpt.chat.completions.with_raw_response.create(model=MODEL, messages=ask(), seed=7)
    completion = raw.parse()
    assert completion.choices[0].message.content == "Hello there"
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage is not None
    assert completion.usage.prompt_tokens == ollama.chats[0].evaluated
    assert completion.usage.completion_tokens > 0
    assert ollama.chats[0].body["options"]["seed"] == 7
    assert raw.headers["x-lynkr-provider"] == "ollama"
    assert raw.headers["x-lynkr-model"] == "llama3.2"
    assert raw.headers["x-lynkr-tier"] == "SIMPLE"


async def test_chat_streams_word_by_word(ollama: OllamaServer, gpt: openai.AsyncOpenAI) -> None:
    seen = asyncio.Event()
    ollama.replies.append(Reply((Say("first"), Hold(seen), Say(" second"))))
    words, usage, reason = [], None, None
    async for chunk in await gpt.chat.completions.create(
        model=MODEL, messages=ask(), stream=True, stream_options={"include_usage": True}
    ):
        usage = chunk.usage or usage
        for choice in chunk.choices:
            reason = choice.finish_reason or reason
            if choice.delta.content:
                words.append(choice.delta.content)
                seen.set()
    assert words == ["first", " second"]
    assert reason == "stop"
    assert usage is not None
    assert usage.prompt_tokens == ollama.chats[0].evaluated


async def test_chat_tool_round_trip(ollama: OllamaServer, gpt: openai.AsyncOpenAI) -> None:
    ollama.replies += [tool_call("get_weather", {"city": "Oslo"}), text("4 degrees")]
    turns: list[Any] = ask("Weather in Oslo?")
    name, arguments, call_id, reason = "", "", "", None
    async for chunk in await gpt.chat.completions.create(
        model=MODEL, messages=turns, tools=[OPENAI_TOOL], stream=True
    ):
        for choice in chunk.choices:
            reason = choice.finish_reason or reason
            for call in choice.delta.tool_calls or ():
                assert call.index == 0
                call_id = call.id or call_id
                if call.function:
                    name += call.function.name or ""
                    arguments += call.function.arguments or ""
    assert (name, json.loads(arguments), reason) == ("get_weather", {"city": "Oslo"}, "tool_calls")
    function = {"name": name, "arguments": arguments}
    turns += [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": call_id, "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": call_id, "content": "4 C"},
    ]
    second = await gpt.chat.completions.create(model=MODEL, messages=turns, tools=[OPENAI_TOOL])
    assert second.choices[0].message.content == "4 degrees"
    history = ollama.chats[-1].body["messages"]
    assert history[1]["tool_calls"][0]["function"]["arguments"] == {"city": "Oslo"}
    assert history[2]["tool_name"] == "get_weather"


@pytest.mark.parametrize("streamed", [False, True])
async def test_chat_parallel_tools(ollama: OllamaServer, gpt: openai.AsyncOpenAI, streamed: bool) -> None:
    ollama.replies += [Reply(tuple(Call("get_weather", {"city": city}) for city in CITIES)), text("Mild")]
    turns: list[Any] = ask("Weather?")
    asked: Any = {"model": MODEL, "tools": [OPENAI_TOOL]}
    if streamed:
        async with gpt.chat.completions.stream(messages=turns, **asked) as stream:
            first = (await stream.get_final_completion()).choices[0]
    else:
        first = (await gpt.chat.completions.create(messages=turns, **asked)).choices[0]
    assert first.finish_reason == "tool_calls"
    calls: Any = first.message.tool_calls
    assert [json.loads(call.function.arguments) for call in calls] == [{"city": city} for city in CITIES]
    assert len({call.id for call in calls}) == len(CITIES)
    turns.append(
        {"role": "assistant", "tool_calls": [call.model_dump(include=CALL_FIELDS) for call in calls]}
    )
    turns += [
        {"role": "tool", "tool_call_id": call.id, "content": f"of {city}"}
        for call, city in reversed(list(zip(calls, CITIES, strict=True)))
    ]
    await gpt.chat.completions.create(messages=turns, **asked)
    told = [message["content"] for message in ollama.chats[-1].body["messages"] if message["role"] == "tool"]
    assert told == [f"of {city}" for city in CITIES]


async def test_chat_image(ollama: OllamaServer, gpt: openai.AsyncOpenAI) -> None:
    ollama.replies.append(text("A pixel"))
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    question = {"type": "text", "text": "What is this?"}
    completion = await gpt.chat.completions.create(model=SEEING, messages=ask([question, image]))
    assert completion.choices[0].message.content == "A pixel"
    assert ollama.chats[0].body["messages"] == [{"role": "user", "content": "What is this?", "images": [PNG]}]


async def test_chat_errors_have_their_classes(ollama: OllamaServer, gpt: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="ollama pull nope") as missing:
        await gpt.chat.completions.create(model="ollama/nope", messages=ask())
    assert missing.value.code == "model_not_found"
    ollama.replies.append(Reply((ErrorLine("model runner has unexpectedly stopped"),)))
    with pytest.raises(openai.InternalServerError, match="unexpectedly stopped"):
        await gpt.chat.completions.create(model=MODEL, messages=ask())
    with pytest.raises(openai.AuthenticationError):
        await gpt.with_options(api_key="wrong-token").chat.completions.create(model=MODEL, messages=ask())
    ollama.replies.append(Reply((Say("Half a"), ErrorLine("model runner has unexpectedly stopped"))))
    with pytest.raises(openai.APIError, match="unexpectedly stopped"):
        async for _ in await gpt.chat.completions.create(model=MODEL, messages=ask(), stream=True):
            pass


async def test_an_empty_answer_is_an_error(ollama: OllamaServer, gpt: openai.AsyncOpenAI) -> None:
    ollama.replies.append(Reply())
    with pytest.raises(openai.InternalServerError, match="empty"):
        await gpt.chat.completions.create(model=MODEL, messages=ask())


async def test_what_was_dropped_is_named(ollama: OllamaServer, gpt: openai.AsyncOpenAI) -> None:
    raw = await gpt.chat.completions.with_raw_response.create(
        model=MODEL, messages=ask(), reasoning_effort="high", extra_body={"prompt_cache_key": "k"}
    )
    assert set(raw.headers["x-lynkr-dropped"].replace(" ", "").split(",")) == {"prompt_cache_key", "thinking"}


async def test_models_are_listed(ollama: OllamaServer, gpt: openai.AsyncOpenAI) -> None:
    names = [model.id async for model in gpt.models.list()]
    assert {"auto-route", "ollama/llama3.2"} <= set(names)


async def test_a_client_that_leaves_stops_ollama(ollama: OllamaServer, gpt: openai.AsyncOpenAI) -> None:
    ollama.replies.append(Reply((Say("Half a"), Stall())))
    stream = await gpt.chat.completions.create(model=MODEL, messages=ask(), stream=True)
    async with contextlib.aclosing(stream):
        async for chunk in stream:
            if chunk.choices and chunk.choices[0].delta.content:
                break
    started = asyncio.get_running_loop().time()
    async with asyncio.timeout(5):
        await ollama.chats[0].ended.wait()
    assert ollama.chats[0].outcome == "gone"
    assert asyncio.get_running_loop().time() - started < 0.5


async def test_a_client_that_leaves_before_the_first_word(
    ollama: OllamaServer, gpt: openai.AsyncOpenAI
) -> None:
    ollama.replies.append(Reply((Stall(),)))
    asking = asyncio.create_task(gpt.chat.completions.create(model=MODEL, messages=ask()))
    async with asyncio.timeout(5):
        await ollama.asked.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    async with asyncio.timeout(5):
        await ollama.chats[0].ended.wait()
    assert ollama.chats[0].outcome == "gone"


async def test_everything_is_recorded(ollama: OllamaServer, gpt: openai.AsyncOpenAI, proxy: Proxy) -> None:
    before = len(await asyncio.to_thread(proxy.records, 0))
    ollama.replies += [text("Hello"), Reply((ErrorLine("model runner has unexpectedly stopped"),))]
    await gpt.chat.completions.create(model=MODEL, messages=ask("Recorded?"))
    with contextlib.suppress(openai.APIError):
        await gpt.chat.completions.create(model=MODEL, messages=ask("Recorded?"))
    failed, good, *_ = await asyncio.to_thread(proxy.records, before + 2)
    assert (good["status"], good["provider"], good["model"]) == (200, "ollama", "llama3.2")
    assert good["input_tokens"] == ollama.chats[0].evaluated
    assert good["output_tokens"] > 0
    assert good["protocol"] == "openai_chat"
    assert failed["status"] >= 500
    assert "unexpectedly stopped" in failed["error"]
