"""The vertex provider through the engine: Google's credentials, Gemini, and Claude on Vertex AI."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.engine import LIMITS, ONE_TRY, TOKEN, Running, engine_in_process
from tests.support.fakes.anthropic import sign as sign_thought
from tests.support.fakes.gemini_rules import SKIP
from tests.support.fakes.gemini_rules import sign as sign_call
from tests.support.fakes.vertex import KEY, PROJECT, VertexFake
from tests.support.script import Call, Raw, Reply, Say, Think, failure, text

GEMINI = "vertex/gemini-3-pro-preview"
CLAUDE = "vertex/claude-opus-4-5"
USER = {"role": "user", "content": "hi"}
LOOK = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}


@pytest.fixture
async def fake() -> AsyncIterator[VertexFake]:
    async with VertexFake() as server:
        yield server


@asynccontextmanager
async def lynkr(
    home: Path, fake: VertexFake, environ: Mapping[str, str] | None = None, **options: Any
) -> AsyncIterator[Running]:
    """An engine whose only provider is vertex, signed in as the fake's service account unless told else."""
    if environ is None:
        file = home / "service-account.json"
        file.write_text(json.dumps(fake.service_account()))
        environ = {"GOOGLE_APPLICATION_CREDENTIALS": str(file)}
    config = {
        **ONE_TRY,
        "proxy": {"auth": {"token": TOKEN}},
        "providers": {"vertex": {"base_url": fake.url, **options}},
        "routing": {
            "tiers": {
                tier: {"providers": [GEMINI], "max_complexity": limit} for tier, limit in LIMITS.items()
            }
        },
        "embedded": {"auto_pull": False},
    }
    async with engine_in_process(home / "lynkr", config, environ) as running:
        yield running


async def chat(
    running: Running, model: str = GEMINI, path: str = "/v1/chat/completions", **fields: Any
) -> tuple[int, Any, Mapping[str, str]]:
    """One request; status, decoded body and headers of the answer."""
    body = {"model": model, "messages": [USER], **fields}
    async with running.http.post(running.url + path, json=body) as response:
        return response.status, await response.json(), response.headers


# ---------------------------------------------------------------- access


async def test_a_service_account_gets_one_token_for_many_requests(tmp_path: Path, fake: VertexFake) -> None:
    async with lynkr(tmp_path, fake, location="europe-west1") as running:
        for _ in range(3):
            assert (await chat(running))[0] == 200
    assert fake.tokens == ["ya29.fake-token-0"]
    assert fake.asked[0].path == (
        f"/v1/projects/{PROJECT}/locations/europe-west1/publishers/google/models/"
        "gemini-3-pro-preview:generateContent"
    )


async def test_a_token_is_renewed_before_it_runs_out(tmp_path: Path, fake: VertexFake) -> None:
    fake.token_lifetime = 120
    async with lynkr(tmp_path, fake) as running:
        for _ in range(2):
            assert (await chat(running))[0] == 200
    assert len(fake.tokens) == 2


async def test_a_token_that_was_revoked_is_replaced_for_the_next_request(
    tmp_path: Path, fake: VertexFake
) -> None:
    async with lynkr(tmp_path, fake) as running:
        assert (await chat(running))[0] == 200
        fake.tokens[0] = "revoked"
        status, body, _ = await chat(running)
        assert status == 401
        assert "ya29" not in json.dumps(body)
        assert (await chat(running))[0] == 200


async def test_without_credentials_the_error_says_what_to_do(tmp_path: Path, fake: VertexFake) -> None:
    nowhere = {"HOME": str(tmp_path), "NO_GCE_CHECK": "true"}
    async with lynkr(tmp_path, fake, nowhere) as running:
        status, body, _ = await chat(running)
    assert status == 503
    message = body["error"]["message"]
    for word in ("gcloud auth application-default login", "GOOGLE_APPLICATION_CREDENTIALS", "lynkr keys set"):
        assert word in message
    assert fake.asked == []


@pytest.mark.parametrize(
    "content", ["{}", "not json", '{"type": "service_account", "private_key": "-----BEGIN"}']
)
async def test_a_key_file_that_is_none_is_named_and_not_shown(
    tmp_path: Path, fake: VertexFake, content: str
) -> None:
    file = tmp_path / "odd.json"
    file.write_text(content)
    async with lynkr(tmp_path, fake, {"GOOGLE_APPLICATION_CREDENTIALS": str(file)}) as running:
        status, body, _ = await chat(running)
    assert status == 503
    assert "odd.json" in body["error"]["message"]
    assert "BEGIN" not in body["error"]["message"]


async def test_credentials_that_google_refuses_are_told_as_such(tmp_path: Path, fake: VertexFake) -> None:
    account = fake.service_account()
    file = tmp_path / "account.json"
    file.write_text(json.dumps({**account, "token_uri": f"{fake.url}/nothing-here"}))
    async with lynkr(tmp_path, fake, {"GOOGLE_APPLICATION_CREDENTIALS": str(file)}) as running:
        status, body, _ = await chat(running)
    assert status == 503
    assert "token service" in body["error"]["message"]


async def test_an_api_key_alone_reaches_gemini_and_says_what_claude_needs(
    tmp_path: Path, fake: VertexFake
) -> None:
    async with lynkr(tmp_path, fake, {"GEMINI_API_KEY": KEY}) as running:
        assert (await chat(running))[0] == 200
        status, body, _ = await chat(running, CLAUDE)
        async with running.http.get(running.url + "/v1/models") as response:
            listed = [model["id"] for model in (await response.json())["data"]]
    assert fake.asked[0].path == "/v1beta/models/gemini-3-pro-preview:generateContent"
    assert fake.asked[0].headers["x-goog-api-key"] == KEY
    assert status == 503
    assert "project" in body["error"]["message"]
    assert listed == ["auto-route", "vertex/gemini-2.5-flash", "vertex/gemini-3-pro-preview"]


async def test_the_models_of_google_and_anthropic_are_listed(tmp_path: Path, fake: VertexFake) -> None:
    async with lynkr(tmp_path, fake) as running, running.http.get(running.url + "/v1/models") as response:
        listed = [model["id"] for model in (await response.json())["data"]]
    assert listed[1:] == [f"vertex/{name}" for name in fake.gemini + fake.claude]


# ---------------------------------------------------------------- Gemini


@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_comes_back_with_the_signature_that_gemini_gave_it(
    tmp_path: Path, fake: VertexFake, stream: bool
) -> None:
    async with lynkr(tmp_path, fake) as running:
        fake.replies.append(Reply((Call("look", {"at": 1}), Call("look", {"at": 2}))))
        if stream:
            body = {"model": GEMINI, "messages": [USER], "tools": [LOOK], "stream": True}
            async with running.http.post(running.url + "/v1/chat/completions", json=body) as response:
                lines = [line[6:] for line in (await response.text()).splitlines() if '"id":"call_' in line]
            ids = [json.loads(line)["choices"][0]["delta"]["tool_calls"][0]["id"] for line in lines]
        else:
            _, answer, _ = await chat(running, tools=[LOOK])
            ids = [call["id"] for call in answer["choices"][0]["message"]["tool_calls"]]
        calls = [
            {"id": name, "type": "function", "function": {"name": "look", "arguments": f'{{"at": {number}}}'}}
            for number, name in enumerate(ids, 1)
        ]
        results = [
            {"role": "tool", "tool_call_id": name, "content": f"seen {name}"} for name in reversed(ids)
        ]
        turns = [USER, {"role": "assistant", "content": None, "tool_calls": calls}, *results]
        assert (await chat(running, tools=[LOOK], messages=turns))[0] == 200
    assert len(set(ids)) == 2
    contents = fake.asked[1].json["contents"]
    first, second = contents[1]["parts"]
    assert first["thoughtSignature"] == sign_call("look")
    assert "thoughtSignature" not in second
    said = [part["functionResponse"]["response"]["output"] for part in contents[2]["parts"]]
    assert said == [f"seen {name}" for name in ids]


async def test_a_call_of_another_model_goes_with_the_documented_value(
    tmp_path: Path, fake: VertexFake
) -> None:
    call = {"id": "call_of_ollama", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    turns = [
        USER,
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_of_ollama", "content": "seen"},
    ]
    async with lynkr(tmp_path, fake) as running:
        assert (await chat(running, messages=turns, tools=[LOOK]))[0] == 200
        assert (await chat(running, "vertex/gemini-2.5-flash", messages=turns, tools=[LOOK]))[0] == 200
    assert fake.asked[0].json["contents"][1]["parts"][0]["thoughtSignature"] == SKIP
    assert "thoughtSignature" not in fake.asked[1].json["contents"][1]["parts"][0]


async def test_too_many_requests_say_when_to_come_back(tmp_path: Path, fake: VertexFake) -> None:
    fake.replies.append(failure(429, "Resource exhausted."))
    async with lynkr(tmp_path, fake) as running:
        status, _, headers = await chat(running)
    assert (status, headers["retry-after"]) == (429, "8")


async def test_a_blocked_prompt_is_refused_with_the_reason(tmp_path: Path, fake: VertexFake) -> None:
    blocked = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {}}
    fake.replies.append(Reply(body=json.dumps(blocked).encode()))
    async with lynkr(tmp_path, fake) as running:
        status, body, _ = await chat(running)
    assert status == 400
    assert "PROHIBITED_CONTENT" in body["error"]["message"]


@pytest.mark.parametrize(("reason", "finish"), [("SAFETY", "content_filter"), ("length", "length")])
async def test_an_answer_that_was_cut_says_why(
    tmp_path: Path, fake: VertexFake, reason: str, finish: str
) -> None:
    fake.replies.append(Reply((Say("He"),), done_reason=reason))
    async with lynkr(tmp_path, fake) as running:
        _, body, _ = await chat(running)
    assert body["choices"][0]["finish_reason"] == finish


async def test_a_malformed_call_is_an_error(tmp_path: Path, fake: VertexFake) -> None:
    fake.replies.append(Reply((Say("He"),), done_reason="MALFORMED_FUNCTION_CALL"))
    async with lynkr(tmp_path, fake) as running:
        status, body, _ = await chat(running)
    assert status == 502
    assert "MALFORMED_FUNCTION_CALL" in body["error"]["message"]


async def test_thoughts_and_cached_tokens_are_counted_and_paid(tmp_path: Path, fake: VertexFake) -> None:
    fake.replies.append(Reply((Think("Hm"), Say("Hi"))))
    async with lynkr(tmp_path, fake) as running:
        _, body, headers = await chat(running, "vertex/gemini-2.5-flash", reasoning_effort="low")
    assert body["choices"][0]["message"]["reasoning_content"] == "Hm"
    assert body["usage"]["completion_tokens_details"]["reasoning_tokens"] == 2
    assert body["usage"]["prompt_tokens_details"]["cached_tokens"] == 4
    # 7 fresh at $0.30, 4 cached at a tenth of it, 5 out at $2.50, each per million.
    assert float(headers["x-litellm-response-cost"]) == pytest.approx((2.1 + 0.12 + 12.5) / 1e6)
    config = fake.asked[0].json["generationConfig"]["thinkingConfig"]
    assert config == {"includeThoughts": True, "thinkingBudget": 1024}


@pytest.mark.parametrize("alone", [False, True])
async def test_texts_become_vectors(tmp_path: Path, fake: VertexFake, alone: bool) -> None:
    environ = {"GOOGLE_API_KEY": KEY} if alone else None
    async with lynkr(tmp_path, fake, environ) as running:
        body = {"model": "vertex/gemini-embedding-001", "input": ["a", "bcd"], "dimensions": 3}
        async with running.http.post(running.url + "/v1/embeddings", json=body) as response:
            answer = await response.json()
    assert [item["embedding"] for item in answer["data"]] == [[1.0, 0.5, 1.0], [3.0, 0.5, 1.0]]
    assert b'"outputDimensionality":3' in fake.asked[0].body


# ---------------------------------------------------------------- Claude


async def test_claude_gets_the_clients_own_bytes_without_the_model(tmp_path: Path, fake: VertexFake) -> None:
    messages = json.dumps([{"role": "user", "content": "h\u00fc"}], indent=2)
    body = f'{{"model": "{CLAUDE}", "max_tokens" : 9 , "stream":true, "messages": {messages}}}'
    answer = b'event: ping\r\ndata: {"type":"ping", "odd": 1}\r\n\r\n'
    async with lynkr(tmp_path, fake) as running:
        fake.replies.append(Reply((Say("Hi"), Raw(answer), Say("!"))))
        headers = {"anthropic-beta": "some-beta", "anthropic-version": "2023-06-01"}
        url = running.url + "/v1/messages"
        async with running.http.post(url, data=body.encode(), headers=headers) as response:
            got = await response.read()
        assert response.status == 200
    assert answer in got
    [asked] = fake.asked
    assert asked.path.endswith("/publishers/anthropic/models/claude-opus-4-5:streamRawPredict")
    assert messages.encode() in asked.body
    assert (asked.json["anthropic_version"], "model" in asked.json) == ("vertex-2023-10-16", False)
    assert asked.headers["anthropic-beta"] == "some-beta"
    assert "anthropic-version" not in asked.headers


async def test_claude_thinks_and_calls_for_clients_of_other_protocols(
    tmp_path: Path, fake: VertexFake
) -> None:
    fake.replies.append(Reply((Think("Hm"), Call("look", {}), Call("look", {"at": 2}))))
    async with lynkr(tmp_path, fake) as running:
        _, body, _ = await chat(running, CLAUDE, tools=[LOOK], reasoning_effort="medium", max_tokens=4000)
    message = body["choices"][0]["message"]
    assert message["reasoning_content"] == "Hm"
    assert [call["function"]["arguments"] for call in message["tool_calls"]] == ["{}", '{"at":2}']
    assert fake.asked[0].json["thinking"] == {"type": "enabled", "budget_tokens": 2000}


async def test_a_signed_thought_of_claude_goes_back_to_it(tmp_path: Path, fake: VertexFake) -> None:
    thought = {"type": "thinking", "thinking": "Hm", "signature": sign_thought("Hm")}
    turns = [USER, {"role": "assistant", "content": [thought, {"type": "text", "text": "Hi"}]}, USER]
    async with lynkr(tmp_path, fake) as running:
        status, _, _ = await chat(running, CLAUDE, "/v1/messages", messages=turns, max_tokens=9)
    assert status == 200
    assert fake.asked[0].json["messages"] == turns


@pytest.mark.parametrize("status", [400, 403, 429, 529])
async def test_errors_of_google_and_of_claude_are_told_in_the_clients_shape(
    tmp_path: Path, fake: VertexFake, status: int
) -> None:
    fake.replies.append(failure(status, "this-went-wrong"))
    async with lynkr(tmp_path, fake) as running:
        got, body, _ = await chat(running, CLAUDE, "/v1/messages", max_tokens=9)
    assert (got, body["type"]) == (status, "error")
    assert "this-went-wrong" in body["error"]["message"]


async def test_tokens_for_claude_are_counted_by_google(tmp_path: Path, fake: VertexFake) -> None:
    async with lynkr(tmp_path, fake) as running:
        _, body, _ = await chat(running, CLAUDE, "/v1/messages/count_tokens")
        _, estimate, _ = await chat(running, GEMINI, "/v1/messages/count_tokens")
    assert body == {"input_tokens": 1234}
    assert 0 < estimate["input_tokens"] < 100
    assert fake.asked[0].path.endswith("/publishers/anthropic/models/count-tokens:rawPredict")


async def test_plain_chat_streams_through_both(tmp_path: Path, fake: VertexFake) -> None:
    async with lynkr(tmp_path, fake) as running:
        for model in (GEMINI, CLAUDE):
            fake.replies.append(text("Hel", "lo ☃"))
            body = {"model": model, "messages": [USER], "stream": True}
            async with running.http.post(running.url + "/v1/chat/completions", json=body) as response:
                stream = (await response.read()).decode()
            assert '"content":"Hel"' in stream
            assert "lo ☃" in stream
            assert stream.rstrip().endswith("[DONE]")
