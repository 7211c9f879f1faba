"""The anthropic provider through the engine: keys, credentials, headers, limits, and what refusals teach."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anthropic
import pytest

from tests.support.engine import LIMITS, ONE_TRY, TOKEN, Running, engine_in_process
from tests.support.fakes.anthropic import LIMITS as RATE_LIMITS
from tests.support.fakes.anthropic import AnthropicFake, sign
from tests.support.script import Call, Raw, Reply, Say, Think, failure, text

KEY = "sk-ant-api03-the-configured-key"
OAUTH = "sk-ant-oat01-the-users-own-token"
MODEL = "anthropic/claude-sonnet-4-5"
ASK = {"model": MODEL, "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
async def fake() -> AsyncIterator[AnthropicFake]:
    async with AnthropicFake() as server:
        yield server


@asynccontextmanager
async def lynkr(
    home: Path, fake: AnthropicFake | None, environ: Mapping[str, str] | None = None
) -> AsyncIterator[Running]:
    """An engine whose only provider is anthropic: the fake, or without one the real address."""
    config = {
        **ONE_TRY,
        "proxy": {"auth": {"token": TOKEN}},
        "providers": {"anthropic": {"base_url": fake.url} if fake is not None else {}},
        "routing": {
            "tiers": {tier: {"providers": [MODEL], "max_complexity": limit} for tier, limit in LIMITS.items()}
        },
        "embedded": {"auto_pull": False},
    }
    environ = {"ANTHROPIC_API_KEY": KEY} if environ is None else environ
    async with engine_in_process(home, config, environ) as running:
        yield running


async def post(
    running: Running, body: Any, path: str = "/v1/messages", **headers: str
) -> tuple[int, Any, Mapping[str, str]]:
    """One request; status, decoded body and headers of the answer."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with running.http.post(running.url + path, data=data, headers=named) as response:
        return response.status, await response.json(), response.headers


# ---------------------------------------------------------------- keys and credentials


async def test_the_configured_key_goes_along_and_our_token_does_not(
    tmp_path: Path, fake: AnthropicFake
) -> None:
    fake.keys = {KEY}
    async with lynkr(tmp_path, fake) as running:
        assert (await post(running, ASK, cookie="a=b"))[0] == 200
    sent = fake.asked[0].headers
    assert sent["x-api-key"] == KEY
    assert sent["anthropic-version"] == "2023-06-01"
    assert not {"authorization", "cookie", "x-lynkr-token"} & set(sent)
    assert TOKEN not in str(sent)


async def test_without_a_key_the_error_says_where_to_put_one(tmp_path: Path) -> None:
    async with lynkr(tmp_path, None, {}) as running:
        status, body, _ = await post(running, ASK)
    assert status == 503
    message = body["error"]["message"]
    assert "anthropic has no key" in message
    assert "lynkr keys set anthropic" in message
    assert "ANTHROPIC_API_KEY" in message


async def test_the_clients_own_oauth_token_wins_and_is_kept_nowhere(
    tmp_path: Path, fake: AnthropicFake
) -> None:
    fake.keys = {OAUTH}
    own = {
        "x_lynkr_token": TOKEN,
        "authorization": f"Bearer {OAUTH}",
        "anthropic_beta": "oauth-2025-04-20,claude-code-20250219",
        "anthropic_version": "2026-10-21",
        "x_app": "cli",
        "user_agent": "claude-cli/2.1.0 (external, cli)",
        "x_stainless_lang": "js",
    }
    async with lynkr(tmp_path, fake) as running:
        status, _, _ = await post(running, ASK, "/v1/messages?beta=true", **own)
        assert status == 200
        fake.replies.append(failure(401, f"your token {OAUTH} has expired"))
        status, refused, _ = await post(running, ASK, **own)
        assert status == 401
        rows = await running.rows()
    sent = fake.asked[0]
    assert sent.headers["authorization"] == f"Bearer {OAUTH}"
    assert "x-api-key" not in sent.headers
    for name in ("anthropic_beta", "anthropic_version", "x_app", "user_agent", "x_stainless_lang"):
        assert sent.headers[name.replace("_", "-")] == own[name]
    assert sent.query == {"beta": "true"}
    assert OAUTH not in json.dumps([refused, rows])
    assert not _files_with(OAUTH.encode(), tmp_path)


def _files_with(secret: bytes, folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file() and secret in file.read_bytes()]


async def test_a_token_of_ones_own_helps_where_there_is_no_key(tmp_path: Path, fake: AnthropicFake) -> None:
    async with lynkr(tmp_path, None, {}) as running:
        provider = running.engine.snapshot.providers["anthropic"]
        found = await provider.availability("claude-sonnet-4-5")
        assert (found.usable, found.own_key_helps) == (False, True)


async def test_another_vendors_key_is_not_passed_on(tmp_path: Path, fake: AnthropicFake) -> None:
    async with lynkr(tmp_path, fake) as running:
        status, _, _ = await post(
            running,
            ASK,
            "/v1/chat/completions",
            x_lynkr_token=TOKEN,
            authorization="Bearer sk-proj-of-openai",
        )
        assert status == 200
    assert fake.asked[0].headers["x-api-key"] == KEY
    assert "sk-proj-of-openai" not in str(fake.asked[0].headers)


async def test_a_stored_oauth_token_goes_as_a_bearer_with_its_beta(
    tmp_path: Path, fake: AnthropicFake
) -> None:
    fake.keys = {OAUTH}
    async with lynkr(tmp_path, fake, {"ANTHROPIC_API_KEY": OAUTH}) as running:
        assert (await post(running, ASK, anthropic_beta="other-beta"))[0] == 200
        assert (await post(running, ASK, "/v1/chat/completions"))[0] == 200
    assert fake.asked[0].headers["anthropic-beta"] == "other-beta,oauth-2025-04-20"
    assert fake.asked[1].headers["anthropic-beta"] == "oauth-2025-04-20"


# ---------------------------------------------------------------- bytes, limits, errors


async def test_bytes_go_through_untouched_both_ways(tmp_path: Path, fake: AnthropicFake) -> None:
    body = json.dumps({**ASK, "model": "MODEL", "stream": True}, indent=1).encode()
    sent = body.replace(b"MODEL", MODEL.encode())
    answer = (
        b'event: message_start\r\ndata: {"type":"message_start","message":{"id":"msg_x","usage":{}}}\r\n\r\n'
        b'event: odd_event\ndata: {"type":"odd_event","kept": true}\n\n'
        b'event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":'
        b'{"type":"server_tool_use","id":"srv_1","name":"web_search","input":{}}}\n\n'
        b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n'
        b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"pause_turn"},"usage":'
        b'{"output_tokens":7}}\n\nevent: message_stop\ndata: {"type":"message_stop"}\n\n'
    )
    async with lynkr(tmp_path, fake) as running:
        fake.replies.append(Reply(body=answer, content_type="text/event-stream"))
        async with running.http.post(running.url + "/v1/messages", data=sent) as response:
            assert await response.read() == answer
        [row] = await running.rows()
    assert (row["status"], row["output_tokens"]) == (200, 7)
    assert fake.asked[0].json == {**ASK, "model": "claude-sonnet-4-5", "stream": True}
    inner = json.dumps(ASK["messages"], indent=1).replace("\n", "\n ").encode()
    assert inner in fake.asked[0].body


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions", "/v1/responses"])
async def test_rate_limits_reach_the_client_on_answers_and_errors(
    tmp_path: Path, fake: AnthropicFake, path: str
) -> None:
    body = {**ASK, "input": "hi"} if path == "/v1/responses" else ASK
    body = {key: value for key, value in body.items() if path != "/v1/responses" or key != "messages"}
    async with lynkr(tmp_path, fake) as running:
        fake.replies.append(Reply((Say("Hi"),), headers=dict(RATE_LIMITS)))
        status, _, headers = await post(running, body, path)
        assert status == 200
        assert headers["anthropic-ratelimit-requests-remaining"] == "49"
        assert headers["request-id"] == "req_fake"
        fake.replies.append(failure(429, "slow down", **RATE_LIMITS, **{"retry-after": "17"}))
        status, answer, headers = await post(running, body, path)
    assert (status, headers["retry-after"]) == (429, "17")
    assert headers["anthropic-ratelimit-requests-reset"] == RATE_LIMITS["anthropic-ratelimit-requests-reset"]
    assert "slow down" in answer["error"]["message"]


async def test_overload_is_told_as_such_before_and_within_a_stream(
    tmp_path: Path, fake: AnthropicFake
) -> None:
    async with lynkr(tmp_path, fake) as running:
        fake.replies.append(failure(529, "Overloaded"))
        status, body, _ = await post(running, ASK)
        assert (status, body["error"]["type"]) == (529, "overloaded_error")
        error = (
            b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Busy"}}\n\n'
        )
        fake.replies.append(Reply((Say("Hel"), Raw(error))))
        async with running.http.post(
            running.url + "/v1/chat/completions", json={**ASK, "stream": True}
        ) as response:
            stream = (await response.read()).decode()
        [row, _] = await running.rows()
    assert '"content":"Hel"' in stream
    assert "Busy" in stream
    assert "[DONE]" not in stream
    assert row["status"] == 529


async def test_a_thought_comes_back_with_its_signature_and_goes_on(
    tmp_path: Path, fake: AnthropicFake
) -> None:
    async with lynkr(tmp_path, fake) as running:
        client = anthropic.AsyncAnthropic(api_key=TOKEN, base_url=running.url)
        ask: dict[str, Any] = {
            "model": MODEL,
            "max_tokens": 4000,
            "thinking": {"type": "enabled", "budget_tokens": 2000},
            "tools": [{"name": "look", "input_schema": {"type": "object"}}],
        }
        first = {"role": "user", "content": "look"}
        fake.replies.append(Reply((Think("I should "), Think("look"), Call("look", {"at": 1}))))
        async with client.messages.stream(**ask, messages=[first]) as stream:
            answer = await stream.get_final_message()
        assert answer.content[0].type == "thinking"
        assert answer.content[0].signature == sign("I should look")
        result = {"type": "tool_result", "tool_use_id": answer.content[1].id, "content": "seen"}
        said = [block.model_dump(exclude_none=True) for block in answer.content]
        second = await client.messages.create(
            **ask,
            messages=[first, {"role": "assistant", "content": said}, {"role": "user", "content": [result]}],
        )
    assert second.stop_reason == "end_turn"


async def test_what_a_local_model_left_in_a_conversation_is_taken_out(
    tmp_path: Path, fake: AnthropicFake
) -> None:
    turns = [
        {"role": "user", "content": "go"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "unsigned", "signature": ""},
                {"type": "tool_use", "id": "functions.look:0", "name": "look", "input": {"x": 1.5}},
            ],
        },
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "functions.look:0", "content": "seen"}],
        },
    ]
    tools = [{"name": "look", "input_schema": {"type": "object"}}]
    async with lynkr(tmp_path, fake) as running:
        assert (await post(running, {**ASK, "messages": turns, "tools": tools}))[0] == 200
    said = fake.asked[0].json["messages"]
    assert said[1]["content"] == [
        {"type": "tool_use", "id": "functions_look_0", "name": "look", "input": {"x": 1.5}}
    ]
    assert said[2]["content"][0]["tool_use_id"] == "functions_look_0"


# ---------------------------------------------------------------- what models take


async def test_a_refusal_is_learned_from_once(tmp_path: Path, fake: AnthropicFake) -> None:
    ask = {
        "model": "anthropic/claude-3-5-haiku-20241022",
        "messages": [{"role": "user", "content": "hi"}],
    }
    async with lynkr(tmp_path, fake) as running:
        for _ in range(2):
            assert (await post(running, ask, "/v1/chat/completions"))[0] == 200
    assert [asked.json["max_tokens"] for asked in fake.asked] == [32000, 8192, 8192]


async def test_new_models_are_not_given_samplers_and_think_by_effort(
    tmp_path: Path, fake: AnthropicFake
) -> None:
    ask = {
        "model": "anthropic/claude-opus-5-5",
        "messages": [{"role": "user", "content": "hi"}],
        "temperature": 0.2,
        "reasoning_effort": "high",
        "seed": 7,
    }
    async with lynkr(tmp_path, fake) as running:
        status, _, headers = await post(running, ask, "/v1/chat/completions")
    assert status == 200
    assert headers["x-lynkr-dropped"] == "seed, temperature"
    sent = fake.asked[0].json
    assert (sent["thinking"], sent["output_config"]) == ({"type": "adaptive"}, {"effort": "high"})


async def test_tokens_are_counted_by_anthropic(tmp_path: Path, fake: AnthropicFake) -> None:
    count = {key: value for key, value in ASK.items() if key != "max_tokens"}
    async with lynkr(tmp_path, fake) as running:
        _, body, _ = await post(running, count, "/v1/messages/count_tokens")
        assert body == {"input_tokens": 1234}
        fake.keys = {"another"}
        status, body, _ = await post(running, count, "/v1/messages/count_tokens")
    assert status == 200
    assert 0 < body["input_tokens"] < 100
    assert fake.asked[0].json["model"] == "claude-sonnet-4-5"


async def test_its_models_are_listed_and_cached(tmp_path: Path, fake: AnthropicFake) -> None:
    async with lynkr(tmp_path, fake) as running:
        for _ in range(2):
            async with running.http.get(running.url + "/v1/models") as response:
                listed = [model["id"] for model in (await response.json())["data"]]
    assert listed == ["auto-route", "anthropic/claude-opus-4-5", "anthropic/claude-haiku-4-5"]
    assert fake.listed == 1


async def test_a_price_counts_what_the_cache_wrote(tmp_path: Path, fake: AnthropicFake) -> None:
    async with lynkr(tmp_path, fake) as running:
        fake.replies.append(text("Hi"))
        _, _, headers = await post(running, ASK)
    # 6 fresh at $3, 3 read at $0.30, 2 written at $3.75, 5 out at $15, each per million.
    assert float(headers["x-litellm-response-cost"]) == pytest.approx((18 + 0.9 + 7.5 + 75) / 1e6)
