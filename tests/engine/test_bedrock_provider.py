"""Bedrock against a server that checks signatures and shapes, and streams real frames."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from botocore.credentials import Credentials

from lynkr_desktop.engine.config.schema import ProviderOptions
from lynkr_desktop.engine.providers.base import Call
from lynkr_desktop.engine.providers.bedrock import BedrockProvider
from lynkr_desktop.engine.providers.bedrock_catalog import control_url, model_behind, offered_models
from lynkr_desktop.engine.providers.key import ProviderKey
from lynkr_desktop.engine.wire.canonical import (
    Event,
    Failed,
    Message,
    Reply,
    Request,
    Text,
    TextDelta,
    Thinking,
    ToolUse,
)
from lynkr_desktop.engine.wire.canonical import Tool as CanonicalTool
from lynkr_desktop.engine.wire.errors import WireError
from tests.support.engine import LIMITS, TOKEN, Running, engine_in_process
from tests.support.fakes.aws import event, exception
from tests.support.fakes.bedrock import (
    ACCESS_KEY,
    BEARER,
    ENVIRON,
    SECRET_KEY,
    SIGNATURE,
    BedrockFake,
    model_of,
)
from tests.support.script import Call as Used
from tests.support.script import Die, End, Hold, Raw, Say, Think, failure, text, tool_call
from tests.support.script import Reply as Script

Make = Callable[..., BedrockProvider]
MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
SESSION_TOKEN = "IQoJb3JpZ2luX2VjEXAMPLETOKENTOKENTOKEN"


@pytest.fixture(autouse=True)
def no_aws_around(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Nothing of the machine's own AWS reaches the tests; gives a folder for configuration files."""
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    return tmp_path


@pytest.fixture
async def fake() -> AsyncIterator[BedrockFake]:
    async with BedrockFake() as server:
        yield server


@pytest.fixture
async def make(fake: BedrockFake) -> AsyncIterator[Make]:
    """Makes providers that share one session, as the engine does."""
    async with aiohttp.ClientSession() as session:

        def provider(environ: Any = ENVIRON, key: str | None = None, **options: Any) -> BedrockProvider:
            options.setdefault("base_url", fake.url)
            return BedrockProvider(
                name="bedrock",
                options=ProviderOptions(**options),
                session=lambda: session,
                key=ProviderKey(lambda: key),
                environ=environ,
            )

        yield provider


def ask(*content: Any, model: str = MODEL, **fields: Any) -> Call:
    """A call with one user turn."""
    turns = (Message("user", content or (Text("Hi"),)),)
    return Call(Request(model=model, messages=turns, **fields), model)


async def events_of(provider: BedrockProvider, call: Call) -> list[Event]:
    """All events of the answer."""
    answer = await provider.send(call)
    try:
        return [event async for _, events in answer for event in events]
    finally:
        await answer.close()


async def text_of(provider: BedrockProvider, call: Call) -> str:
    """The text of an answer, which must be a good one."""
    folded = Reply.of(await events_of(provider, call))
    assert isinstance(folded, Reply), folded
    return "".join(block.text for block in folded.content if isinstance(block, Text))


async def error_of(provider: BedrockProvider, call: Call) -> WireError:
    """The error that `send` raises."""
    with pytest.raises(WireError) as caught:
        await provider.send(call)
    return caught.value


# ---------------------------------------------------------------- access


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "model",
    [
        MODEL,
        "amazon.nova-pro-v1:0",
        "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-20250514-v1:0",
        "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/a1b2c3d4",
    ],
)
async def test_every_kind_of_model_name_is_signed_right(
    fake: BedrockFake, make: Make, model: str, stream: bool
) -> None:
    """The signature covers the path as it is escaped, colons and slashes of ARNs included."""
    assert await text_of(make(), ask(Text("Grüße"), model=model, stream=stream)) == "Hello there"
    [asked] = fake.asked
    assert model_of(asked) == model
    assert asked.target.endswith("/converse-stream" if stream else "/converse")
    assert asked.headers["authorization"].startswith(f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/")
    assert "/us-east-1/bedrock/aws4_request" in asked.headers["authorization"]


async def test_temporary_credentials_send_their_token(fake: BedrockFake, make: Make) -> None:
    fake.credentials = Credentials(ACCESS_KEY, SECRET_KEY, SESSION_TOKEN)
    assert await text_of(make({**ENVIRON, "AWS_SESSION_TOKEN": SESSION_TOKEN}), ask()) == "Hello there"
    assert "x-amz-security-token" in fake.asked[0].headers["authorization"]
    assert (await error_of(make(), ask())).status == 403


async def test_the_shared_files_and_a_profile(make: Make, fake: BedrockFake, no_aws_around: Path) -> None:
    secret = no_aws_around / "credentials"
    secret.write_text(f"[work]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n")
    config = no_aws_around / "config"
    config.write_text("[profile work]\nregion = eu-central-1\n")
    environ = {
        "AWS_PROFILE": "work",
        "AWS_CONFIG_FILE": str(config),
        "AWS_SHARED_CREDENTIALS_FILE": str(secret),
    }
    assert await text_of(make(environ), ask()) == "Hello there"
    assert "/eu-central-1/bedrock/" in fake.asked[0].headers["authorization"]
    assert await text_of(make(environ, region="ap-south-1"), ask()) == "Hello there"
    assert "/ap-south-1/bedrock/" in fake.asked[1].headers["authorization"]


async def test_a_key_comes_before_credentials(fake: BedrockFake, make: Make) -> None:
    assert await text_of(make(key=BEARER), ask(stream=True)) == "Hello there"
    assert fake.asked[0].headers["authorization"] == f"Bearer {BEARER}"
    assert (await error_of(make(key="ABSKwrong"), ask())).status == 403


async def test_a_key_needs_no_region_where_the_address_is_known(make: Make) -> None:
    assert await text_of(make({}, key=BEARER), ask()) == "Hello there"


@pytest.mark.parametrize(
    ("environ", "key", "options", "words"),
    [
        ({}, None, {}, ("neither a key nor AWS credentials", "aws sso login", "lynkr keys set bedrock")),
        ({"AWS_REGION": "us-east-1"}, None, {}, ("AWS_ACCESS_KEY_ID",)),
        ({"AWS_PROFILE": "nowhere"}, None, {}, ("nowhere", "could not be found")),
        ({**ENVIRON, "AWS_REGION": ""}, None, {}, ("region", "AWS_REGION", "providers.bedrock.region")),
        ({}, BEARER, {"base_url": None}, ("region",)),
    ],
    ids=["nothing", "no credentials", "unknown profile", "no region", "key without region"],
)
async def test_what_is_missing_is_said(
    make: Make, environ: dict[str, str], key: str | None, options: dict[str, Any], words: tuple[str, ...]
) -> None:
    provider = make(environ, key, **options)
    found = await provider.availability()
    assert found.state == "unavailable"
    assert all(word in found.reason for word in words), found.reason
    error = await error_of(provider, ask())
    assert (error.status, error.message) == (503, found.reason)
    check = await provider.check_key()
    assert check.result == "none"


async def test_a_half_configured_profile_is_said_without_its_secret(make: Make, no_aws_around: Path) -> None:
    (no_aws_around / "credentials").write_text(f"[default]\naws_access_key_id = {ACCESS_KEY}\n")
    environ = {
        "AWS_SHARED_CREDENTIALS_FILE": str(no_aws_around / "credentials"),
        "AWS_REGION": "us-east-1",
    }
    reason = (await make(environ).availability()).reason
    assert "Partial credentials" in reason
    assert ACCESS_KEY not in reason


async def test_the_address_follows_the_region(make: Make) -> None:
    provider = make({**ENVIRON, "AWS_REGION": "eu-west-3"}, base_url=None)
    assert (await provider._way()).base_url == "https://bedrock-runtime.eu-west-3.amazonaws.com"
    china = make(ENVIRON, base_url=None, region="cn-north-1")
    assert (await china._way()).base_url == "https://bedrock-runtime.cn-north-1.amazonaws.com.cn"
    private = make(
        {**ENVIRON, "AWS_REGION": ""},
        base_url="https://vpce-1-2.bedrock-runtime.us-west-2.vpce.amazonaws.com",
    )
    assert (await private._way()).region == "us-west-2"
    elsewhere = make({**ENVIRON, "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": "http://127.0.0.1:9"}, base_url=None)
    assert (await elsewhere._way()).base_url == "http://127.0.0.1:9"


async def test_a_metadata_service_that_never_answers_costs_seconds_and_no_loop(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", endpoint)
        began = time.monotonic()
        looking = asyncio.create_task(make({"AWS_REGION": "us-east-1"}).availability())
        longest = 0.0
        while not looking.done():
            before = time.monotonic()
            await asyncio.sleep(0.01)
            longest = max(longest, time.monotonic() - before)
        assert not looking.result().usable
        assert time.monotonic() - began < 8
        assert longest < 1


async def test_refused_credentials_are_looked_up_anew(
    fake: BedrockFake, make: Make, no_aws_around: Path
) -> None:
    """After `aws sso login`, or with new keys in the file, the next request works without a restart."""
    secret = no_aws_around / "credentials"
    secret.write_text(f"[default]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = expired\n")
    provider = make({"AWS_SHARED_CREDENTIALS_FILE": str(secret), "AWS_REGION": "us-east-1"})
    error = await error_of(provider, ask())
    assert (error.status, error.kind) == (403, "permission")
    assert "signature" in error.message
    secret.write_text(f"[default]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n")
    assert await text_of(provider, ask()) == "Hello there"


# ---------------------------------------------------------------- answers


async def test_text_arrives_while_it_is_written(fake: BedrockFake, make: Make) -> None:
    more = asyncio.Event()
    fake.replies.append(Script((Say("Hel"), Hold(more), Say("lo"))))
    answer = await make().send(ask(stream=True))
    seen = ""
    async for _, events in answer:
        seen += "".join(event.text for event in events if isinstance(event, TextDelta))
        if seen == "Hel":
            more.set()
    await answer.close()
    assert seen == "Hello"


@pytest.mark.parametrize("split", [1, 7, 100])
@pytest.mark.parametrize("gzip", [False, True])
async def test_frames_split_anywhere(fake: BedrockFake, make: Make, split: int, gzip: bool) -> None:
    steps = (Think("hm"), Say("Grüße ☃"), Used("f", {"ü": [1, "x" * 50]}), Used("g", {}))
    fake.replies.append(Script(steps, split=split, gzip=gzip))
    tools = (CanonicalTool("f"), CanonicalTool("g"))
    reply = Reply.of(await events_of(make(), ask(stream=True, tools=tools)))
    assert isinstance(reply, Reply)
    assert [block.input for block in reply.content if isinstance(block, ToolUse)] == [
        {"ü": [1, "x" * 50]},
        {},
    ]
    assert reply.stop_reason == "tool_use"


@pytest.mark.parametrize(
    ("script", "status", "words"),
    [
        (Script((Say("Hel"), End())), 502, "broke off before its end"),
        (Script((Say("Hel"), Die())), 502, "broke the connection"),
        (Script((Say("Hel"), Raw(event("contentBlockDelta", {})[:-3] + b"???"))), 502, "damaged"),
        (
            Script((Say("Hel"), Raw(exception("throttlingException", "Too many tokens")))),
            429,
            "Too many tokens",
        ),
        (
            Script(
                (Say("Hel"), Raw(exception("modelStreamErrorException", "x", originalMessage="overheated")))
            ),
            502,
            "overheated",
        ),
        (Script((Say("Hel"), Raw(exception("serviceUnavailableException", "Busy")))), 503, "Busy"),
        (Script((Raw(b"<html>proxy error</html>"),)), 502, "damaged"),
    ],
)
async def test_a_stream_that_breaks_never_ends_well(
    fake: BedrockFake, make: Make, script: Script, status: int, words: str
) -> None:
    fake.replies.append(script)
    last = (await events_of(make(), ask(stream=True)))[-1]
    assert isinstance(last, Failed)
    assert last.status == status
    assert words in last.message


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (429, "Too many requests, please wait before trying again.", "rate_limit"),
        (403, "You don't have access to the model with the specified model ID.", "permission"),
        (404, "Could not resolve the foundation model from the provided model identifier.", "not_found"),
        (400, "The provided model identifier is invalid.", "invalid_request"),
        (408, "Model has timed out in processing the request.", "timeout"),
        (500, "The system encountered an unexpected error.", "internal"),
        (503, "Bedrock is unable to process your request.", "unavailable"),
    ],
)
async def test_errors_keep_their_status_and_words(
    fake: BedrockFake, make: Make, status: int, message: str, kind: str
) -> None:
    fake.replies.append(failure(status, message, **{"retry-after": "7"}))
    error = await error_of(make(), ask(stream=True))
    assert (error.status, error.kind, error.retry_after) == (status, kind, 7)
    assert message in error.message


@pytest.mark.parametrize(
    ("status", "message", "advice"),
    [
        (403, "The security token included in the request is expired", "aws sso login"),
        (
            400,
            "Invocation of model ID anthropic.claude-opus-4-8 with on-demand throughput isn't supported. "
            "Retry your request with the ID or ARN of an inference profile that contains this model.",
            "Try us.anthropic.claude-opus-4-8.",
        ),
    ],
    ids=["expired", "profile needed"],
)
async def test_common_errors_come_with_advice(
    fake: BedrockFake, make: Make, status: int, message: str, advice: str
) -> None:
    fake.replies.append(failure(status, message))
    error = await error_of(make(), ask(model="anthropic.claude-opus-4-8"))
    assert message in error.message
    assert error.message.count(advice) == 1


# ---------------------------------------------------------------- through the engine


@asynccontextmanager
async def engine(
    home: Path, fake: BedrockFake, model: str = MODEL, environ: dict[str, str] | None = None
) -> AsyncIterator[Running]:
    """An engine whose tiers are all answered by one model of the fake."""
    tier = {"providers": [f"bedrock/{model}"]}
    config = {
        "proxy": {"auth": {"token": TOKEN}},
        "providers": {"bedrock": {"base_url": fake.url, "models": [model]}},
        "routing": {"tiers": {name: {**tier, "max_complexity": limit} for name, limit in LIMITS.items()}},
        "logging": {"level": "debug"},
    }
    async with engine_in_process(home, config, ENVIRON if environ is None else environ) as running:
        yield running


async def test_thinking_with_tools_goes_round_trip(fake: BedrockFake, tmp_path: Path) -> None:
    """What Claude Code does: the thought comes back signed, in front of the call that it led to."""
    tools = [{"name": "read", "input_schema": {"type": "object"}}]
    body: dict[str, Any] = {
        "model": "auto-route",
        "max_tokens": 4000,
        "thinking": {"type": "enabled", "budget_tokens": 2000},
        "tools": tools,
        "messages": [{"role": "user", "content": "look"}],
    }
    async with engine(tmp_path, fake) as running:
        fake.replies.append(Script((Think("I must read."), Used("read", {"path": "a"}))))
        async with running.http.post(f"{running.url}/v1/messages", json=body) as response:
            first = await response.json()
        assert [block["type"] for block in first["content"]] == ["thinking", "tool_use"]
        assert first["content"][0]["signature"] == SIGNATURE
        result = {"type": "tool_result", "tool_use_id": first["content"][1]["id"], "content": "ok"}
        body["messages"] += [
            {"role": "assistant", "content": first["content"]},
            {"role": "user", "content": [result, {"type": "text", "text": "and?"}]},
        ]
        async with running.http.post(f"{running.url}/v1/messages", json=body) as response:
            assert response.status == 200, await response.text()
    said = fake.asked[1].json["messages"][1]["content"]
    assert said[0]["reasoningContent"]["reasoningText"] == {"text": "I must read.", "signature": SIGNATURE}


@pytest.mark.parametrize("stream", [False, True])
async def test_tokens_and_costs_with_a_cache(fake: BedrockFake, tmp_path: Path, stream: bool) -> None:
    fake.usage = {
        "inputTokens": 100_000,
        "outputTokens": 10_000,
        "totalTokens": 210_000,
        "cacheReadInputTokens": 80_000,
        "cacheWriteInputTokens": 20_000,
    }
    model = "amazon.nova-pro-v1:0"
    async with engine(tmp_path, fake, model) as running:
        body = {"model": "auto-route", "stream": stream, "messages": [{"role": "user", "content": "hi"}]}
        async with running.http.post(
            f"{running.url}/v1/messages", json={**body, "max_tokens": 5}
        ) as response:
            answer = await response.read()
        await running.idle()
        [row] = await running.rows()
    assert (row["input_tokens"], row["cached_tokens"], row["output_tokens"]) == (200_000, 80_000, 10_000)
    assert row["estimated"] is False
    assert row["cost"] == pytest.approx(0.12 * 0.8 + 0.08 * 0.2 + 0.01 * 3.2, rel=0.05)
    assert b'"cache_read_input_tokens":80000' in answer
    assert b'"input_tokens":100000' in answer


async def test_an_exception_in_mid_stream_reaches_every_client(fake: BedrockFake, tmp_path: Path) -> None:
    broken = Script((Say("Hel"), Raw(exception("throttlingException", "Too many tokens, wait."))))
    async with engine(tmp_path, fake) as running:
        for path in ("/v1/messages", "/v1/chat/completions"):
            fake.replies.append(broken)
            body = {"model": "auto-route", "max_tokens": 50, "stream": True}
            body["messages"] = [{"role": "user", "content": "hi"}]
            async with running.http.post(running.url + path, json=body) as response:
                told = await response.text()
            assert "Too many tokens, wait." in told
            assert "rate_limit" in told
            assert "message_stop" not in told
            assert "[DONE]" not in told


def everything_in(folder: Path) -> str:
    """What all files hold."""
    return "".join(
        path.read_bytes().decode("utf-8", "replace") for path in folder.rglob("*") if path.is_file()
    )


async def test_secrets_are_nowhere(
    fake: BedrockFake, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Not in the log at its most talkative, not in errors, not in records."""
    fake.credentials = Credentials(ACCESS_KEY, SECRET_KEY, SESSION_TOKEN)
    environ = {**ENVIRON, "AWS_SESSION_TOKEN": SESSION_TOKEN}
    caplog.set_level(logging.DEBUG)
    async with engine(tmp_path / "home", fake, environ=environ) as running:
        fake.replies.extend([text("fine"), failure(403, "The security token is expired"), failure(500, "x")])
        told = [str(await running.ask("hi")) for _ in range(3)]
        rows = json.dumps(await running.rows())
        status = json.dumps(await running.admin("GET", "status"))
    files = everything_in(tmp_path)
    for secret in (SECRET_KEY, SESSION_TOKEN, "Signature="):
        for place in (*told, rows, status, files):
            assert secret not in place
        assert not any(secret in record.getMessage() for record in caplog.records)


async def test_fields_left_out_are_named_and_images_by_link_refused(
    fake: BedrockFake, tmp_path: Path
) -> None:
    async with engine(tmp_path, fake) as running:
        response, _ = await running.ask("hi", seed=4, logit_bias={"1": 2}, temperature=0.1, top_p=0.3)
        assert response.headers["x-lynkr-dropped"] == "logit_bias, seed, top_p"
        image = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
        body = {"model": "auto-route", "messages": [{"role": "user", "content": [image]}]}
        async with running.http.post(f"{running.url}/v1/chat/completions", json=body) as refused:
            assert refused.status == 400
            assert "not as a link" in (await refused.json())["error"]["message"]


async def test_a_client_that_leaves_ends_the_upstream_request(fake: BedrockFake, tmp_path: Path) -> None:
    fake.replies.append(Script((Say("Hel"), Hold(asyncio.Event()))))
    async with engine(tmp_path, fake) as running:
        body = {"model": "auto-route", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
        response = await running.http.post(f"{running.url}/v1/chat/completions", json=body)
        await response.content.readany()
        response.close()
        async with asyncio.timeout(2):
            await fake.asked[0].ended.wait()
    assert fake.asked[0].outcome == "gone"


@pytest.mark.parametrize("key", [None, BEARER], ids=["signed", "key"])
async def test_models_are_listed_by_the_control_plane(fake: BedrockFake, make: Make, key: str | None) -> None:
    provider = make(key=key, models=["my.own-model"])
    found = {model.id: model.capabilities for model in await provider.models()}
    assert found == {
        "my.own-model": frozenset(),
        "anthropic.claude-3-haiku-20240307-v1:0": {"vision"},
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0": {"vision"},
    }
    await provider.models()
    assert len(fake.listed) == 2
    assert control_url("https://bedrock-runtime.eu-west-1.amazonaws.com") == (
        "https://bedrock.eu-west-1.amazonaws.com"
    )


async def test_without_a_list_the_configured_models_stay(fake: BedrockFake, make: Make) -> None:
    fake.credentials = Credentials(ACCESS_KEY, "another")
    assert [model.id for model in await make(models=["m"]).models()] == ["m"]
    assert [model.id for model in await make({}, models=["m"]).models()] == ["m"]
    odd = make(models=["m"], base_url=f"{fake.url}/model/x/converse")
    assert [model.id for model in await odd.models()] == ["m"]


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b'{"modelSummaries": 5}', b"\xff"])
def test_a_list_that_is_none_is_an_error(body: bytes) -> None:
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
        offered_models(body, b"{}")


async def test_a_key_is_checked_by_a_list(make: Make) -> None:
    assert (await make(key=BEARER).check_key()).result == "valid"
    assert (await make().check_key()).result == "valid"
    wrong = await make(key="ABSKwrong").check_key()
    assert wrong.result == "refused"
    assert "ABSKwrong" not in wrong.message


async def test_an_applications_own_profile_is_known_by_its_model(fake: BedrockFake, tmp_path: Path) -> None:
    """Its ARN only has a number in it, but its model has a prompt cache, thoughts, and a price."""
    profile = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3"
    fake.behind[profile] = "anthropic.claude-3-7-sonnet-20250219-v1:0"
    system = [{"type": "text", "text": "long", "cache_control": {"type": "ephemeral"}}]
    thinking = {"type": "enabled", "budget_tokens": 2000}
    async with engine(tmp_path, fake, profile) as running:
        for _ in range(2):
            response, _ = await running.ask(
                "hi", path="/v1/messages", system=system, thinking=thinking, max_tokens=4000
            )
            assert response.status == 200
        await running.idle()
        row, _ = await running.rows()
    body = fake.asked[1].json
    assert body["system"][1] == {"cachePoint": {"type": "default"}}
    assert body["additionalModelRequestFields"]["thinking"] == thinking
    assert row["cost"] == pytest.approx(11 * 3e-6 + 5 * 15e-6)
    assert model_of(fake.asked[1]) == profile
    assert len(fake.listed) == 1


async def test_a_profile_that_is_not_told_is_asked_with_what_all_models_take(
    fake: BedrockFake, make: Make
) -> None:
    profile = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/other"
    call = ask(Text("hi", {"cache_control": {"type": "ephemeral"}}), model=profile)
    provider = make()
    assert await text_of(provider, call) == "Hello there"
    assert await text_of(provider, call) == "Hello there"
    assert "cachePoint" not in fake.asked[0].body.decode()
    assert len(fake.listed) == 1


@pytest.mark.parametrize(
    ("arns", "model"),
    [
        (["arn:aws:bedrock:us-east-1::foundation-model/a.b-v1:0"], "a.b-v1:0"),
        (
            [f"arn:aws:bedrock:eu-{place}::foundation-model/a.b-v1:0" for place in ("west-1", "central-1")],
            "eu.a.b-v1:0",
        ),
        (
            ["arn:aws:bedrock:::foundation-model/a.b", "arn:aws:bedrock:us-east-1::foundation-model/a.b"],
            "global.a.b",
        ),
        (["nonsense"], ""),
        ([], ""),
    ],
)
def test_the_model_behind_a_profile(arns: list[str], model: str) -> None:
    assert model_behind(json.dumps({"models": [{"modelArn": arn} for arn in arns]}).encode()) == model


async def test_thoughts_with_a_strange_signature_are_left_out(fake: BedrockFake, make: Make) -> None:
    """Another vendor's, or another account's: the model says so, and is asked without them."""
    turns = (
        Message("user", (Text("?"),)),
        Message("assistant", (Thinking("hm", "of-somebody-else"), Text("So."))),
        Message("user", (Text("and?"),)),
    )
    assert await text_of(make(), Call(Request(model=MODEL, messages=turns), MODEL)) == "Hello there"
    first, second = (asked.body.decode() for asked in fake.asked)
    assert "of-somebody-else" in first
    assert "reasoningContent" not in second


@pytest.mark.parametrize(
    ("message", "fields", "left_out"),
    [
        (
            "The maximum tokens you requested exceeds the model limit of 8192. Try again.",
            {"max_tokens": 32000},
            "max_tokens",
        ),
        (
            "The model returned the following errors: `temperature` is deprecated for this model.",
            {"temperature": 0.5},
            "temperature",
        ),
    ],
)
async def test_what_a_model_refuses_is_learned(
    fake: BedrockFake, make: Make, message: str, fields: dict[str, Any], left_out: str
) -> None:
    fake.replies.append(failure(400, message))
    provider = make()
    for _ in range(2):
        answer = await provider.send(ask(**fields))
        assert left_out in answer.dropped
        await answer.close()
    assert len(fake.asked) == 3
    assert fake.asked[1].body == fake.asked[2].body
    assert fake.asked[2].json.get("inferenceConfig", {}) in ({}, {"maxTokens": 8192})


async def test_a_refusal_that_teaches_nothing_is_told(fake: BedrockFake, make: Make) -> None:
    for words in ("Something is malformed.", "`temperature` is deprecated"):
        fake.replies.extend([failure(400, words)] * 5)
        assert (await error_of(make(), ask())).status == 400
        fake.replies.clear()


async def test_a_tool_call_of_another_provider_goes_on_here(fake: BedrockFake, make: Make) -> None:
    """Names and ids that Bedrock refuses: a conversation may have begun elsewhere."""
    name, call_id = "files.read/all", "call:1/ü" + "x" * 80
    call = ask(tools=(CanonicalTool(name),), stream=True)
    fake.replies.append(tool_call("files_read_all", {}))
    turns = (
        Message("user", (Text("look"),)),
        Message("assistant", (ToolUse(call_id, name, {}),)),
    )
    request = Request(model=MODEL, messages=turns, tools=call.request.tools, stream=True)
    reply = Reply.of(await events_of(make(), Call(request, MODEL)))
    assert isinstance(reply, Reply)
    spec = fake.asked[0].json["toolConfig"]["tools"][0]["toolSpec"]["name"]
    fake.replies.append(tool_call(spec, {"a": 1}))
    again = Reply.of(await events_of(make(), Call(request, MODEL)))
    assert isinstance(again, Reply)
    assert [block.name for block in again.content if isinstance(block, ToolUse)] == [name]
