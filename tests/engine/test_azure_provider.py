"""Azure's deployments against a server with Azure's habits."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI

from lynkr_desktop.engine.providers.azure import resource_url
from tests.support.engine import LIMITS, ONE_TRY, TOKEN, Running, engine_in_process
from tests.support.fakes.azure import ENTRA_TOKEN, FILTERED, KEY, AzureFake
from tests.support.script import Call as Used
from tests.support.script import Reply as Script
from tests.support.script import Say, Think, failure, text

ENVIRON = {"AZURE_OPENAI_API_KEY": KEY}
DATED = "2024-10-21"
CLAUDE = "claude-sonnet-4-5"


@pytest.fixture
async def fake() -> AsyncIterator[AzureFake]:
    async with AzureFake() as server:
        yield server


@asynccontextmanager
async def engine(
    home: Path,
    fake: AzureFake,
    environ: dict[str, str] | None = None,
    deployment: str = "gpt-4o",
    **options: Any,
) -> AsyncIterator[Running]:
    """An engine whose tiers are all answered by one deployment."""
    options = {"base_url": fake.url, "models": [deployment], **options}
    config = {
        **ONE_TRY,
        "proxy": {"auth": {"token": TOKEN}},
        "providers": {"azure": {name: value for name, value in options.items() if value is not None}},
        "routing": {
            "tiers": {
                name: {"providers": [f"azure/{deployment}"], "max_complexity": limit}
                for name, limit in LIMITS.items()
            }
        },
        "logging": {"level": "debug"},
    }
    async with engine_in_process(home, config, ENVIRON if environ is None else environ) as running:
        yield running


async def stream_of(running: Running, path: str = "/v1/chat/completions", **fields: Any) -> str:
    """The bytes of a streamed answer."""
    body = {"model": "auto-route", "stream": True, "messages": [{"role": "user", "content": "hi"}], **fields}
    if path == "/v1/messages":
        body.setdefault("max_tokens", 100)
    async with running.http.post(running.url + path, json=body) as response:
        return await response.text()


# ---------------------------------------------------------------- paths and keys


async def test_the_v1_path_takes_the_deployment_as_the_model(fake: AzureFake, tmp_path: Path) -> None:
    async with engine(tmp_path, fake) as running:
        response, answer = await running.ask("hi")
    assert response.status == 200
    assert answer["choices"][0]["message"]["content"] == "Hello there"
    [asked] = fake.asked
    assert asked.target == "/openai/v1/chat/completions"
    assert asked.json["model"] == "gpt-4o"
    assert asked.headers["api-key"] == KEY
    assert "authorization" not in asked.headers


@pytest.mark.parametrize("where", ["option", "environment"])
async def test_a_dated_version_asks_the_deployments_own_path(
    fake: AzureFake, tmp_path: Path, where: str
) -> None:
    environ = ENVIRON | ({} if where == "option" else {"OPENAI_API_VERSION": DATED})
    options = {"api_version": DATED} if where == "option" else {}
    async with engine(tmp_path, fake, environ, "gpt-4o", **options) as running:
        response, _ = await running.ask("hi")
        assert response.status == 200
        assert fake.asked[0].target == f"/openai/deployments/gpt-4o/chat/completions?api-version={DATED}"


@pytest.mark.parametrize(
    "environ",
    [{"AZURE_OPENAI_AD_TOKEN": ENTRA_TOKEN}, {"AZURE_OPENAI_API_KEY": ENTRA_TOKEN}],
    ids=["its own variable", "in place of the key"],
)
async def test_an_entra_token_goes_as_a_bearer(
    fake: AzureFake, tmp_path: Path, environ: dict[str, str]
) -> None:
    async with engine(tmp_path, fake, environ) as running:
        response, _ = await running.ask("hi")
    assert response.status == 200
    assert fake.asked[0].headers["authorization"] == f"Bearer {ENTRA_TOKEN}"
    assert "api-key" not in fake.asked[0].headers


async def test_a_long_token_of_the_environment_is_taken(fake: AzureFake, tmp_path: Path) -> None:
    fake.token = "eyJ0eXAi." + "x" * 3000 + ".sig"
    async with engine(tmp_path, fake, {"AZURE_OPENAI_AD_TOKEN": fake.token}) as running:
        response, _ = await running.ask("hi")
    assert response.status == 200


async def test_the_endpoint_of_the_environment(fake: AzureFake, tmp_path: Path) -> None:
    environ = ENVIRON | {"AZURE_OPENAI_ENDPOINT": fake.url + "/"}
    async with engine(tmp_path, fake, environ, base_url=None) as running:
        response, _ = await running.ask("hi")
    assert response.status == 200


@pytest.mark.parametrize(
    "given",
    [
        "https://a.openai.azure.com",
        "https://a.openai.azure.com/",
        "https://a.openai.azure.com/openai",
        "https://a.openai.azure.com/openai/v1/",
        "https://a.openai.azure.com/anthropic",
        "https://a.openai.azure.com/anthropic/v1/messages",
    ],
)
def test_the_address_of_a_resource(given: str) -> None:
    assert resource_url(given) == "https://a.openai.azure.com"


@pytest.mark.parametrize(
    ("environ", "options", "words"),
    [
        ({}, {}, ("has no key", "AZURE_OPENAI_API_KEY", "lynkr keys set azure", "AZURE_OPENAI_AD_TOKEN")),
        (ENVIRON, {"base_url": None}, ("base_url", "AZURE_OPENAI_ENDPOINT", "openai.azure.com")),
    ],
    ids=["no key", "no address"],
)
async def test_what_is_missing_is_said(
    fake: AzureFake, tmp_path: Path, environ: dict[str, str], options: dict[str, Any], words: tuple[str, ...]
) -> None:
    async with engine(tmp_path, fake, environ, **options) as running:
        response, answer = await running.ask("hi")
    assert response.status == 503
    assert all(word in answer["error"]["message"] for word in words), answer
    assert not fake.asked


# ---------------------------------------------------------------- answers


async def test_a_stream_without_what_the_filter_makes_of_the_prompt(fake: AzureFake, tmp_path: Path) -> None:
    """Its chunk has no type, and clients that read strictly end at it; all else comes as it is."""
    async with engine(tmp_path, fake) as running:
        # With the deployment's own name the bytes go through; with another, usage is asked for and hidden.
        for model in ("azure/gpt-4o", "gpt-4o", "auto-route"):
            told = await stream_of(running, model=model)
            chunks = [json.loads(line[6:]) for line in told.splitlines() if line.startswith("data: {")]
            assert all(chunk["object"] == "chat.completion.chunk" and chunk["choices"] for chunk in chunks)
            said = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)
            assert said == "Hello there"
            assert told.endswith("data: [DONE]\n\n")
        told = await stream_of(running, stream_options={"include_usage": True})
        assert '"usage":{' in told


async def test_the_openai_sdk_streams_a_call(fake: AzureFake, tmp_path: Path) -> None:
    fake.replies.append(Script((Say("I look."), Used("read", {"path": "ä"}), Used("read", {"path": "b"}))))
    async with (
        engine(tmp_path, fake) as running,
        AsyncOpenAI(base_url=f"{running.url}/v1", api_key=TOKEN) as client,
    ):
        stream = await client.chat.completions.create(
            model="auto-route",
            messages=[{"role": "user", "content": "look"}],
            tools=[{"type": "function", "function": {"name": "read", "parameters": {"type": "object"}}}],
            stream=True,
        )
        arguments: dict[int, str] = {}
        async for chunk in stream:
            for call in chunk.choices[0].delta.tool_calls or ():
                piece = call.function.arguments if call.function else ""
                arguments[call.index] = arguments.get(call.index, "") + (piece or "")
    assert [json.loads(text) for text in arguments.values()] == [{"path": "ä"}, {"path": "b"}]


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_cut_by_the_filter_is_a_refusal(
    fake: AzureFake, tmp_path: Path, stream: bool
) -> None:
    cut = Script((Say("I will"),), done_reason="content_filter")
    async with engine(tmp_path, fake) as running:
        fake.replies.extend([cut, cut])
        if stream:
            assert '"content_filter"' in await stream_of(running)
            assert '"refusal"' in await stream_of(running, "/v1/messages")
        else:
            _, answer = await running.ask("hi")
            assert answer["choices"][0]["finish_reason"] == "content_filter"
            _, answer = await running.ask("hi", path="/v1/messages")
            assert answer["stop_reason"] == "refusal"


async def test_a_refused_prompt_says_why(fake: AzureFake, tmp_path: Path) -> None:
    async with engine(tmp_path, fake) as running:
        for path in ("/v1/chat/completions", "/v1/messages"):
            fake.replies.append(failure(400, FILTERED))
            response, answer = await running.ask("hi", path=path)
            assert response.status == 400
            assert "content management policy" in answer["error"]["message"]


async def test_errors_in_all_of_azures_shapes(fake: AzureFake, tmp_path: Path) -> None:
    async with engine(tmp_path, fake, {"AZURE_OPENAI_API_KEY": "wrong" * 8}) as running:
        response, answer = await running.ask("hi")
        assert response.status == 401
        assert "invalid subscription key" in answer["error"]["message"]
    async with engine(tmp_path, fake, deployment="never-deployed") as running:
        response, answer = await running.ask("hi")
        assert response.status == 404
        assert "deployment for this resource does not exist" in answer["error"]["message"]


async def test_the_wait_is_told_by_its_milliseconds(fake: AzureFake, tmp_path: Path) -> None:
    fake.replies.append(failure(429, "Rate limit", **{"retry-after": "60", "retry-after-ms": "4200"}))
    async with engine(tmp_path, fake) as running:
        response, _ = await running.ask("hi")
    assert (response.status, response.headers["retry-after"]) == (429, "4")


async def test_newer_models_get_the_newer_limit_from_other_clients(fake: AzureFake, tmp_path: Path) -> None:
    async with engine(tmp_path, fake) as running:
        await running.ask("hi", path="/v1/messages", max_tokens=321)
    body = fake.asked[0].json
    assert body["max_completion_tokens"] == 321
    assert "max_tokens" not in body


@pytest.mark.parametrize(("options", "sent"), [({}, True), ({"api_version": DATED}, False)])
async def test_hints_that_came_later_are_not_sent_to_dated_versions(
    fake: AzureFake, tmp_path: Path, options: dict[str, Any], sent: bool
) -> None:
    """Codex sends prompt_cache_key with every request; such a version refuses it."""
    body = {"model": "auto-route", "input": "hi", "prompt_cache_key": "k"}
    async with (
        engine(tmp_path, fake, responses=False, **options) as running,
        running.http.post(f"{running.url}/v1/responses", json=body) as response,
    ):
        assert response.status == 200
        assert ("prompt_cache_key" in response.headers.get("x-lynkr-dropped", "")) is not sent
    assert ("prompt_cache_key" in fake.asked[0].json) is sent


async def test_a_clients_own_bytes_go_on(fake: AzureFake, tmp_path: Path) -> None:
    body = b'{ "model":"gpt-4o",  "messages": [{"role":"user","content":"hi"}], "odd_field": [1 ] }'
    async with engine(tmp_path, fake) as running:
        headers = {"content-type": "application/json"}
        await running.http.post(f"{running.url}/v1/chat/completions", data=body, headers=headers)
    assert fake.asked[0].body == body


@pytest.mark.parametrize("options", [{}, {"api_version": DATED}], ids=["v1", "dated"])
async def test_embeddings(fake: AzureFake, tmp_path: Path, options: dict[str, Any]) -> None:
    async with engine(tmp_path, fake, deployment="embed", **options) as running:
        body = {"model": "azure/embed", "input": ["a", "bcd"]}
        async with running.http.post(f"{running.url}/v1/embeddings", json=body) as response:
            answer = await response.json()
    assert [entry["embedding"] for entry in answer["data"]] == [[1.0, 0.5], [3.0, 0.5]]
    assert fake.asked[0].headers["api-key"] == KEY


async def test_responses_go_untouched_by_v1(fake: AzureFake, tmp_path: Path) -> None:
    body = b'{"model": "gpt-4o", "input": "hi",  "store": false}'
    headers = {"content-type": "application/json"}
    async with (
        engine(tmp_path, fake) as running,
        running.http.post(f"{running.url}/v1/responses", data=body, headers=headers) as response,
    ):
        assert response.status == 200
        assert (await response.json())["object"] == "response"
    [asked] = fake.asked
    assert (asked.target, asked.body) == ("/openai/v1/responses", body)


@pytest.mark.parametrize(
    ("responses", "target"),
    [
        (None, f"/openai/deployments/gpt-4o/chat/completions?api-version={DATED}"),
        (True, f"/openai/responses?api-version={DATED}"),
    ],
)
async def test_dated_versions_have_responses_when_they_are_said_to(
    fake: AzureFake, tmp_path: Path, responses: bool | None, target: str
) -> None:
    options = {"api_version": DATED, "responses": responses}
    body = {"model": "auto-route", "input": "hi"}
    async with (
        engine(tmp_path, fake, **options) as running,
        running.http.post(f"{running.url}/v1/responses", json=body) as response,
    ):
        assert (await response.json())["object"] == "response"
    assert fake.asked[0].target == target


# ---------------------------------------------------------------- Claude


async def test_claude_is_asked_by_messages(fake: AzureFake, tmp_path: Path) -> None:
    async with engine(tmp_path, fake, deployment=CLAUDE) as running:
        response, answer = await running.ask("hi", path="/v1/messages")
        assert response.status == 200, answer
        assert answer["content"] == [{"type": "text", "text": "Hello there"}]
        _, answer = await running.ask("hi")
        assert answer["choices"][0]["message"]["content"] == "Hello there"
    for asked in fake.asked:
        assert asked.target == "/anthropic/v1/messages"
        assert asked.json["model"] == CLAUDE
        assert (asked.headers["x-api-key"], asked.headers["api-key"]) == (KEY, KEY)
        assert asked.headers["anthropic-version"]


async def test_claudes_thoughts_stream_signed(fake: AzureFake, tmp_path: Path) -> None:
    fake.replies.append(Script((Think("hm"), Say("Hello"))))
    thinking = {"type": "enabled", "budget_tokens": 1024}
    async with engine(tmp_path, fake, {"AZURE_OPENAI_AD_TOKEN": ENTRA_TOKEN}, CLAUDE) as running:
        told = await stream_of(running, "/v1/messages", max_tokens=4000, thinking=thinking)
    assert "signature_delta" in told
    assert told.rstrip().endswith('{"type":"message_stop"}')
    assert fake.asked[0].headers["authorization"] == f"Bearer {ENTRA_TOKEN}"


# ---------------------------------------------------------------- records


@pytest.mark.parametrize("stream", [False, True])
async def test_the_price_is_of_the_model_behind_the_deployment(
    fake: AzureFake, tmp_path: Path, stream: bool
) -> None:
    """The answer names it; the deployment may have any name, even that of another model."""
    fake.deployments |= {"our-best", "gpt-4"}
    for deployment in ("our-best", "gpt-4"):
        async with engine(tmp_path / deployment, fake, deployment=deployment) as running:
            if stream:
                await stream_of(running, stream_options={"include_usage": True})
            else:
                response, _ = await running.ask("hi")
                assert float(response.headers["x-litellm-response-cost"]) > 0
            await running.idle()
            [row] = await running.rows()
        assert row["cost"] == pytest.approx(11 * 2.5e-6 + 5 * 10e-6)


async def test_an_unknown_price_is_unknown(fake: AzureFake, tmp_path: Path) -> None:
    fake.model = "our-own-finetune"
    fake.deployments.add("our-best")
    async with engine(tmp_path, fake, deployment="our-best") as running:
        response, _ = await running.ask("hi")
        [row] = await running.rows()
    assert row["cost"] is None
    assert "x-litellm-response-cost" not in response.headers


async def test_secrets_are_nowhere(fake: AzureFake, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    async with engine(tmp_path / "home", fake) as running:
        fake.replies.extend([text("fine"), failure(401, "bad"), failure(500, "x")])
        told = [str(await running.ask("hi")) for _ in range(3)]
        rows = json.dumps(await running.rows())
    files = everything_in(tmp_path)
    for place in (*told, rows, files, caplog.text):
        assert KEY not in place


def everything_in(folder: Path) -> str:
    """What all files hold."""
    return "".join(
        path.read_bytes().decode("utf-8", "replace") for path in folder.rglob("*") if path.is_file()
    )
