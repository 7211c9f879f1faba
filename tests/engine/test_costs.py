"""What a client is told of the cost of its requests, and what the records say afterwards."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.engine import Running, config_for, engine_in_process
from tests.support.fakes.anthropic import AnthropicFake
from tests.support.fakes.openai import OpenAIFake
from tests.support.script import Die, End, Raw, Reply, Say, failure

TOKENS = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
HEADER = "x-litellm-response-cost"


@pytest.fixture
async def upstream() -> AsyncIterator[OpenAIFake]:
    async with OpenAIFake() as fake:
        yield fake


@pytest.fixture
async def lynkr(tmp_path: Path, upstream: OpenAIFake) -> AsyncIterator[Running]:
    config = config_for(f"{upstream.url}/v1")
    url = {"base_url": f"{upstream.url}/v1"}
    config["providers"]["openai"] = url
    config["providers"]["openrouter"] = url
    config["providers"]["mine"] = {**url, "kind": "openai_compatible"}
    config["providers"]["lm-studio"] = {**url, "kind": "openai_compatible"}
    config["providers"]["own"] = {**url, "kind": "openai_compatible", "free": True}
    async with engine_in_process(tmp_path / "home", config) as running:
        yield running


def whole(usage: dict[str, Any]) -> Reply:
    message = {"role": "assistant", "content": "Hello"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    head = {"id": "c", "object": "chat.completion", "created": 1, "model": "m"}
    return Reply((Raw(json.dumps({**head, "choices": [choice], "usage": usage}).encode()),))


def streamed(usage: dict[str, Any]) -> Reply:
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    chunks = (
        {**head, "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hello"}}]},
        {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {**head, "choices": [], "usage": usage},
    )
    lines = [f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks]
    return Reply((Raw(b"".join([*lines, b"data: [DONE]\n\n"])), End()))


async def stream(lynkr: Running, model: str, path: str = "/v1/chat/completions") -> tuple[Any, str]:
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": "user", "content": "hi " * 1000}],
        "stream": True,
        "max_tokens": 50,
    }
    if path == "/v1/chat/completions":
        body["stream_options"] = {"include_usage": True}
    async with lynkr.http.post(lynkr.url + path, json=body) as response:
        return response, await response.text()


async def test_a_known_price_is_told_exactly(lynkr: Running, upstream: OpenAIFake) -> None:
    upstream.replies.append(whole(TOKENS))
    response, _ = await lynkr.ask(model="openai/gpt-4o")
    assert float(response.headers[HEADER]) == pytest.approx(0.0025 + 0.001)
    assert response.headers["x-lynkr-cost"] == "exact"
    [row] = await lynkr.rows()
    assert row["cost"] == pytest.approx(0.0035)


async def test_cached_tokens_are_cheaper(lynkr: Running, upstream: OpenAIFake) -> None:
    upstream.replies.append(whole({**TOKENS, "prompt_tokens_details": {"cached_tokens": 1000}}))
    response, _ = await lynkr.ask(model="openai/gpt-4o")
    assert float(response.headers[HEADER]) == pytest.approx(0.00125 + 0.001)


async def test_what_the_provider_says_it_took_is_the_truth(lynkr: Running, upstream: OpenAIFake) -> None:
    for usage, cost in (
        ({"cost": 0.0123}, 0.0123),
        ({"cost": 0}, 0.0),
        ({"cost": {"total_cost": 0.5}}, 0.5),
        ({"cost": 0.01, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.2}}, 0.21),
        ({"cost": 0.01, "is_byok": False, "cost_details": {"upstream_inference_cost": 0.2}}, 0.01),
    ):
        upstream.replies.append(whole({**TOKENS, **usage}))
        response, _ = await lynkr.ask(model="openrouter/no-such/model")
        assert float(response.headers[HEADER]) == pytest.approx(cost)
        assert (await lynkr.rows())[0]["cost"] == pytest.approx(cost)


async def test_an_unknown_price_is_not_zero(lynkr: Running, upstream: OpenAIFake) -> None:
    for cost in (
        {},
        {"cost": None},
        {"cost": "0.5"},
        {"cost": True},
        {"cost": -1},
        {"cost": 1e300},
        {"cost": []},
    ):
        upstream.replies.append(whole({**TOKENS, **cost}))
        response, _ = await lynkr.ask(model="mine/some-model")
        assert response.status == 200
        assert HEADER not in response.headers
        assert response.headers["x-lynkr-cost"] == "unknown"
        assert (await lynkr.rows())[0]["cost"] is None


@pytest.mark.parametrize("provider", ["lm-studio", "own"])
async def test_servers_of_ones_own_cost_nothing(lynkr: Running, provider: str) -> None:
    response, _ = await lynkr.ask(model=f"{provider}/m")
    assert (response.headers[HEADER], response.headers["x-lynkr-cost"]) == ("0", "exact")
    response, _ = await stream(lynkr, f"{provider}/m")
    assert (response.headers[HEADER], response.headers["x-lynkr-cost"]) == ("0", "exact")


async def test_a_gateway_on_this_machine_may_sell_what_it_answers(lynkr: Running) -> None:
    response, _ = await lynkr.ask(model="mine/m")
    assert HEADER not in response.headers
    assert response.headers["x-lynkr-cost"] == "unknown"


async def test_a_stream_begins_with_an_estimate_and_ends_with_the_cost(
    lynkr: Running, upstream: OpenAIFake
) -> None:
    response, _ = await stream(lynkr, "openai/gpt-4o")
    assert response.headers["x-lynkr-cost"] == "estimate"
    assert float(response.headers[HEADER]) == pytest.approx(len("hi " * 1000) / 3.6 * 2.5e-6, rel=0.2)
    [row] = await lynkr.rows()
    assert row["cost"] == pytest.approx(11 * 2.5e-6 + 5 * 1e-5), "what was used in the end"
    response, _ = await stream(lynkr, "mine/m")
    assert HEADER not in response.headers
    assert response.headers["x-lynkr-cost"] == "unknown"


async def test_a_reported_cost_reaches_clients_of_streams(lynkr: Running, upstream: OpenAIFake) -> None:
    upstream.replies.append(streamed({**TOKENS, "cost": 0.125}))
    _, body = await stream(lynkr, "openrouter/no-such/model")
    last = json.loads(body.strip().split("\n\n")[-2].removeprefix("data: "))
    assert last["usage"]["cost"] == 0.125
    upstream.replies.append(streamed({**TOKENS, "cost": 0.125}))
    response, body = await stream(lynkr, "openrouter/no-such/model", "/v1/messages")
    assert response.status == 200
    assert "message_stop" in body
    assert [row["cost"] for row in await lynkr.rows()] == [0.125, 0.125]


async def test_what_was_not_answered_cost_nothing_and_what_broke_off_is_not_called_free(
    lynkr: Running, upstream: OpenAIFake
) -> None:
    response, _ = await lynkr.ask(model="openai/gpt-4o", temperature="hot")
    assert (response.status, response.headers[HEADER]) == (400, "0")
    upstream.replies.append(failure(429, "slow down", **{"retry-after": "30"}))
    response, _ = await lynkr.ask(model="openai/gpt-4o")
    assert (response.status, response.headers[HEADER]) == (429, "0")
    for lane in lynkr.engine.lanes:
        lane.forget()
    upstream.replies.extend([Reply((Say("Hel"), Die()))] * 3)
    response, _ = await lynkr.ask(model="openai/gpt-4o")
    assert (response.status, response.headers.get(HEADER)) == (502, None)
    assert response.headers["x-lynkr-cost"] == "unknown"
    upstream.replies.append(Reply((Say("Hel" * 100), Die())))
    await stream(lynkr, "openai/gpt-4o")
    costs = [row["cost"] for row in await lynkr.rows()]
    assert costs[0] > 0, "an estimate of what went through"
    assert costs[1:] == [None, 0.0, 0.0]


async def test_a_translated_answer_carries_the_cost_in_its_usage(tmp_path: Path) -> None:
    async with AnthropicFake() as fake:
        config = config_for("http://127.0.0.1:9")
        config["providers"]["anthropic"] = {"base_url": f"http://0.0.0.0:{fake.port}"}
        environ = {"ANTHROPIC_API_KEY": "sk-ant-0123456789"}
        async with engine_in_process(tmp_path / "home", config, environ) as lynkr:
            response, answer = await lynkr.ask(model="anthropic/claude-opus-4")
            assert response.status == 200
            cost = float(response.headers[HEADER])
            assert cost > 0
            assert answer["usage"]["cost"] == pytest.approx(cost)
            response, body = await stream(lynkr, "anthropic/claude-opus-4")
            assert response.headers["x-lynkr-cost"] == "estimate"
            last = json.loads(body.strip().split("\n\n")[-2].removeprefix("data: "))
            assert last["usage"]["cost"] > float(response.headers[HEADER]) > 0
            assert (await lynkr.rows())[0]["cost"] == pytest.approx(last["usage"]["cost"])
