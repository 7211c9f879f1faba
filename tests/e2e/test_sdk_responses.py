"""The openai package's Responses against the real proxy: to an Ollama, to OpenAI, and to a Chat server."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
import pytest_asyncio
from pydantic import BaseModel

from tests.support.fakes.base import Asked
from tests.support.fakes.ollama import OllamaFake
from tests.support.fakes.openai import OpenAIFake
from tests.support.proxy import Proxy, running_proxy
from tests.support.script import Call, Die, ErrorLine, Hold, Reply, Say, Think, failure, text

CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOL: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "Weather",
    "parameters": CITY,
    "strict": True,
}
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
MODELS = ("ollama/m", "openai/gpt", "chat/m")

pytestmark = pytest.mark.asyncio(loop_scope="module")
ScriptedFake = OpenAIFake | OllamaFake


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fakes() -> AsyncIterator[dict[str, ScriptedFake]]:
    """What is behind each provider."""
    async with OllamaFake() as ollama, OpenAIFake() as native, OpenAIFake() as chat:
        yield {"ollama": ollama, "openai": native, "chat": chat}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def proxy(
    tmp_path_factory: pytest.TempPathFactory, fakes: dict[str, ScriptedFake]
) -> AsyncIterator[Proxy]:
    """One proxy for the module."""
    config = f"""
resilience: {{retry: {{attempts: 1}}}}
providers:
  ollama: {{base_url: {fakes["ollama"].url}}}
  openai: {{base_url: {fakes["openai"].url}/v1}}
  chat: {{kind: openai_compatible, base_url: {fakes["chat"].url}/v1}}
routing:
  tiers:
    simple: {{providers: [ollama/m], max_complexity: 1.0}}
"""
    with running_proxy(tmp_path_factory.mktemp("proxy"), config) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def gpt(proxy: Proxy) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        base_url=f"{proxy.url}/v1", api_key=proxy.token, max_retries=0, timeout=20
    ) as client:
        yield client


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest, fakes: dict[str, ScriptedFake]) -> str:
    """A model of each provider, whose fake has forgotten everything."""
    name: str = request.param
    fakes[name.partition("/")[0]].forget()
    return name


@pytest.fixture
def fake(model: str, fakes: dict[str, ScriptedFake]) -> ScriptedFake:
    return fakes[model.partition("/")[0]]


def last(fake: ScriptedFake) -> Asked:
    return fake.asked[-1]


async def test_chat(gpt: openai.AsyncOpenAI, fake: ScriptedFake, model: str) -> None:
    fake.replies.append(text("Hello", " there"))
    raw = await gpt.responses.with_raw_response.create(
        model=model, input="Hi", instructions="Be brief.", max_output_tokens=64
    )
    response = raw.parse()
    assert response.output_text == "Hello there"
    assert response.status == "completed"
    assert response.usage is not None
    assert response.usage.input_tokens > 0
    assert response.usage.output_tokens > 0
    assert response.instructions == "Be brief."
    assert raw.headers["x-lynkr-provider"] == model.partition("/")[0]
    assert b"Be brief." in last(fake).body


async def test_stream_word_by_word(gpt: openai.AsyncOpenAI, fake: ScriptedFake, model: str) -> None:
    seen = asyncio.Event()
    fake.replies.append(Reply((Say("first"), Hold(seen), Say(" second"))))
    words, numbers = [], []
    async with gpt.responses.stream(model=model, input="Hi") as stream:
        async for event in stream:
            numbers.append(event.sequence_number)
            if event.type == "response.output_text.delta":
                words.append(event.delta)
                seen.set()
        final = await stream.get_final_response()
    assert words == ["first", " second"]
    assert numbers == list(range(len(numbers)))
    assert final.output_text == "first second"
    assert final.usage is not None
    assert final.usage.total_tokens > 0


async def test_tool_round_trip(gpt: openai.AsyncOpenAI, fake: ScriptedFake, model: str) -> None:
    fake.replies += [Reply((Say("I look."), Call("get_weather", {"city": "Oslo"}))), text("4 degrees")]
    turns: list[Any] = [{"role": "user", "content": "Weather in Oslo?"}]
    async with gpt.responses.stream(model=model, input=turns, tools=[TOOL]) as stream:
        pieces = [
            event.delta async for event in stream if event.type == "response.function_call_arguments.delta"
        ]
        first = await stream.get_final_response()
    said, call = first.output
    assert said.type == "message"
    assert call.type == "function_call"
    assert json.loads(call.arguments) == json.loads("".join(pieces)) == {"city": "Oslo"}
    turns += [item.model_dump(exclude_none=True) for item in first.output]
    turns += [{"type": "function_call_output", "call_id": call.call_id, "output": "4 C"}]
    second = await gpt.responses.create(model=model, input=turns, tools=[TOOL])
    assert second.output_text == "4 degrees"
    assert b"4 C" in last(fake).body


async def test_parallel_tools(gpt: openai.AsyncOpenAI, fake: ScriptedFake, model: str) -> None:
    cities = [{"city": "Oslo"}, {"city": "Rome"}]
    for stream in (False, True):
        fake.replies.append(Reply(tuple(Call("get_weather", city) for city in cities)))
        if stream:
            async with gpt.responses.stream(model=model, input="Both?", tools=[TOOL]) as streamed:
                response: Any = await streamed.get_final_response()
        else:
            response = await gpt.responses.create(model=model, input="Both?", tools=[TOOL])
        calls = [item for item in response.output if item.type == "function_call"]
        assert [json.loads(call.arguments) for call in calls] == cities
        assert len({call.call_id for call in calls}) == len({call.id for call in calls}) == 2


async def test_image(gpt: openai.AsyncOpenAI, fake: ScriptedFake, model: str) -> None:
    fake.replies.append(text("A point."))
    content = [
        {"type": "input_text", "text": "What is it?"},
        {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "auto"},
    ]
    asking: Any = [{"role": "user", "content": content}]
    response = await gpt.responses.create(model=model, input=asking)
    assert response.output_text == "A point."
    assert PNG.encode() in last(fake).body


class Weather(BaseModel):
    """The structured answer."""

    city: str
    degrees: int


async def test_structured_output(gpt: openai.AsyncOpenAI, fake: ScriptedFake, model: str) -> None:
    fake.replies.append(text('{"city": "Oslo", ', '"degrees": 4}'))
    parsed = await gpt.responses.parse(model=model, input="Weather?", text_format=Weather)
    assert parsed.output_parsed == Weather(city="Oslo", degrees=4)
    assert b'"degrees"' in last(fake).body


async def test_reasoning(gpt: openai.AsyncOpenAI, fake: ScriptedFake, model: str) -> None:
    fake.replies.append(Reply((Think("Let me "), Think("see."), Say("Four."))))
    async with gpt.responses.stream(model=model, input="2+2?", reasoning={"effort": "high"}) as stream:
        final = await stream.get_final_response()
    thought, said = final.output
    assert thought.type == "reasoning"
    assert "".join(part.text for part in thought.summary) == "Let me see."
    assert said.type == "message"


async def test_an_answer_that_was_cut(gpt: openai.AsyncOpenAI, fake: ScriptedFake, model: str) -> None:
    fake.replies.append(Reply((Say("half"),), done_reason="length"))
    response = await gpt.responses.create(model=model, input="Hi", max_output_tokens=16)
    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"


async def test_errors_have_their_classes(gpt: openai.AsyncOpenAI, fake: ScriptedFake, model: str) -> None:
    fake.replies.append(failure(429, "slow down"))
    with pytest.raises(openai.RateLimitError, match="slow down"):
        await gpt.responses.create(model=model, input="Hi")
    fake.replies += [Reply((ErrorLine("runner stopped"),))]
    with pytest.raises(openai.InternalServerError, match="runner stopped"):
        await gpt.responses.create(model=model, input="Hi")
    with pytest.raises(openai.AuthenticationError):
        await gpt.with_options(api_key="wrong-token").responses.create(model=model, input="Hi")
    for end in (Die(), ErrorLine("runner stopped")):
        fake.replies.append(Reply((Say("half"), end)))
        with pytest.raises(openai.APIError, match=r"broke|stopped"):
            async for _ in await gpt.responses.create(model=model, input="Hi", stream=True):
                pass


async def test_what_is_not_stored(gpt: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="not stored"):
        await gpt.responses.retrieve("resp_1")
    with pytest.raises(openai.BadRequestError, match="previous_response_id"):
        await gpt.responses.create(model="chat/m", input="Hi", previous_response_id="resp_1")
