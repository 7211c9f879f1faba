"""Clients of Ollama's protocol in front of the engine: what goes on untouched, what is told, bad input."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.engine import TOKEN, Running, config_for, engine_in_process
from tests.support.fakes.openai import OpenAIFake
from tests.support.ollama_models import FakeModel
from tests.support.ollama_server import OllamaServer
from tests.support.script import ErrorLine, Hold, Reply, Say, text

CHAT, GENERATE = "/api/chat", "/api/generate"


@pytest.fixture
async def ollama() -> AsyncIterator[OllamaServer]:
    models = (FakeModel("llama3.2"), FakeModel("hf.co/org/model:Q4", capabilities=("completion",)))
    async with OllamaServer(*models, library=(FakeModel("tiny", size=1000),)) as server:
        yield server


@pytest.fixture
async def openai() -> AsyncIterator[OpenAIFake]:
    async with OpenAIFake() as server:
        yield server


def config(ollama: OllamaServer, openai: OpenAIFake, **ollama_options: Any) -> dict[str, Any]:
    made = config_for(openai.url + "/v1")
    made["providers"]["ollama"] = {"base_url": ollama.url, **ollama_options}
    return made


@pytest.fixture
async def lynkr(tmp_path: Path, ollama: OllamaServer, openai: OpenAIFake) -> AsyncIterator[Running]:
    async with engine_in_process(tmp_path, config(ollama, openai)) as running:
        yield running


async def post(lynkr: Running, path: str, body: Any, **headers: str) -> tuple[aiohttp.ClientResponse, bytes]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with lynkr.http.post(lynkr.url + path, data=data, headers=headers) as response:
        return response, await response.read()


def chat(content: str = "Hi", model: str = "llama3.2", **fields: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": content}], **fields}


def lines(body: bytes) -> list[Any]:
    return [json.loads(line) for line in body.splitlines()]


# ---------------------------------------------------------------- untouched


@pytest.mark.parametrize("stream", [True, False])
async def test_what_ollama_says_goes_back_byte_for_byte(
    lynkr: Running, ollama: OllamaServer, stream: bool
) -> None:
    async with lynkr.http.post(ollama.url + CHAT, json=chat(stream=stream)) as response:
        direct = await response.read()
    response, body = await post(lynkr, CHAT, chat(stream=stream))
    assert response.status == 200
    assert response.content_type == ("application/x-ndjson" if stream else "application/json")
    # Times differ from one answer to the next; their spelling and the rest do not.
    assert [list(line) for line in lines(body)] == [list(line) for line in lines(direct)]
    assert b'"message": {"role"' in body, "encoded by the upstream, not anew"
    [row] = await lynkr.rows()
    assert (row["protocol"], row["provider"], row["model"]) == ("ollama_chat", "ollama", "llama3.2")
    assert row["input_tokens"] == lines(body)[-1]["prompt_eval_count"]
    assert row["stream"] is stream


async def test_the_body_goes_on_as_it_came_but_for_window_and_model(
    lynkr: Running, ollama: OllamaServer
) -> None:
    body = chat(model="LLAMA3.2:latest", options={"mirostat": 1, "seed": 3}, some_future_field={"a": [1]})
    await post(lynkr, CHAT, body)
    assert ollama.chats[0].body == {
        **body,
        "model": "llama3.2",
        "options": {"num_ctx": 4096, "mirostat": 1, "seed": 3},
        "truncate": False,
        "shift": False,
    }


async def test_the_clients_own_window_and_time_to_live_hold(
    tmp_path: Path, ollama: OllamaServer, openai: OpenAIFake
) -> None:
    async with engine_in_process(tmp_path, config(ollama, openai, keep_alive="10m")) as lynkr:
        await post(lynkr, CHAT, chat(options={"num_ctx": 2048}, keep_alive="1m"))
        await post(lynkr, CHAT, chat())
    own, ours = ollama.chats
    assert own.body == {**chat(), "options": {"num_ctx": 2048}, "keep_alive": "1m"}
    assert ours.body["keep_alive"] == "10m"


async def test_a_name_with_slashes_is_found(lynkr: Running, ollama: OllamaServer) -> None:
    response, _ = await post(lynkr, GENERATE, {"model": "hf.co/org/model:Q4", "prompt": "x", "raw": True})
    assert response.headers["x-lynkr-model"] == "hf.co/org/model:Q4"
    assert ollama.received[-1].body["raw"] is True


async def test_other_clients_may_use_ollamas_names_too(lynkr: Running) -> None:
    response, _ = await lynkr.ask(model="llama3.2")
    assert response.headers["x-lynkr-provider"] == "ollama"
    response, _ = await lynkr.ask(model="gpt-unheard-of")
    assert response.headers["x-lynkr-tier"] == "SIMPLE"


async def test_a_model_that_was_pulled_just_now_is_found(lynkr: Running, ollama: OllamaServer) -> None:
    await post(lynkr, CHAT, chat())
    response, _ = await post(lynkr, "/api/pull", {"model": "tiny"})
    response, _ = await post(lynkr, CHAT, chat(model="tiny"))
    assert response.headers["x-lynkr-model"] == "tiny"


# ---------------------------------------------------------------- other providers


async def test_what_another_provider_has_no_word_for_is_named(lynkr: Running, openai: OpenAIFake) -> None:
    body = chat(model="fake/m", options={"num_ctx": 8192, "top_k": 5, "temperature": 0.1}, keep_alive="5m")
    response, _ = await post(lynkr, CHAT, body)
    assert response.status == 200
    assert set(response.headers["x-lynkr-dropped"].split(", ")) == {"keep_alive", "num_ctx", "top_k"}
    assert openai.asked[-1].json["temperature"] == 0.1


async def test_a_system_text_alone_is_for_ollama_only(lynkr: Running) -> None:
    turns = [{"role": "system", "content": "x"}]
    response, _ = await post(lynkr, CHAT, {"model": "llama3.2", "messages": turns})
    assert response.status == 200
    response, body = await post(lynkr, CHAT, {"model": "fake/m", "messages": turns})
    assert response.status == 400
    assert "messages" in json.loads(body)["error"]


@pytest.mark.parametrize("model", ["llama3.2", "fake/m"])
async def test_an_error_within_a_stream_ends_it(
    lynkr: Running, ollama: OllamaServer, openai: OpenAIFake, model: str
) -> None:
    broken = Reply((Say("Hel"), ErrorLine("out of memory")))
    ollama.replies.append(broken)
    openai.replies.append(broken)
    response, body = await post(lynkr, CHAT, chat(model=model))
    *_, last = lines(body)
    assert response.status == 200
    assert list(last) == ["error"]
    assert "out of memory" in last["error"]
    assert not any(line.get("done") for line in lines(body))


# ---------------------------------------------------------------- truncation


async def test_a_prompt_that_was_cut_is_told(
    lynkr: Running, ollama: OllamaServer, caplog: pytest.LogCaptureFixture
) -> None:
    long = "word " * 4000
    response, _ = await post(lynkr, CHAT, chat(long, stream=False, options={"num_ctx": 1024}))
    assert response.status == 200
    assert "Ollama cut the prompt" in response.headers["x-lynkr-warning"]
    response, _ = await post(lynkr, CHAT, chat(long, options={"num_ctx": 1024}))
    assert "x-lynkr-warning" not in response.headers, "not known when a stream begins"
    await lynkr.idle()
    rows = await lynkr.rows()
    assert len(rows) == 2
    assert all("Ollama cut the prompt" in row["warning"] for row in rows)
    assert "Ollama cut the prompt" in caplog.text
    shown = await lynkr.admin("GET", f"requests/{rows[0]['id']}")
    assert shown["warning"] == rows[0]["warning"]


async def test_nothing_is_told_of_a_prompt_that_fits(lynkr: Running) -> None:
    response, _ = await post(lynkr, CHAT, chat("word " * 4000, stream=False))
    assert "x-lynkr-warning" not in response.headers
    assert (await lynkr.rows())[0]["warning"] == ""


# ---------------------------------------------------------------- access


async def test_the_token_may_stand_in_the_url(lynkr: Running) -> None:
    basic = "Basic " + base64.b64encode(f"any:{TOKEN}".encode()).decode()
    async with lynkr.http.get(lynkr.url + "/api/tags", headers={"authorization": basic}) as response:
        assert response.status == 200


async def test_editors_without_a_token_get_in_where_that_is_permitted(
    tmp_path: Path, ollama: OllamaServer, openai: OpenAIFake
) -> None:
    made = config(ollama, openai)
    made["proxy"]["auth"]["ollama_without_token"] = True
    async with engine_in_process(tmp_path, made) as lynkr, aiohttp.ClientSession() as stranger:
        async with stranger.post(lynkr.url + CHAT, json=chat()) as response:
            assert response.status == 200
        async with stranger.get(lynkr.url + "/api/tags") as response:
            assert response.status == 200
        for headers in ({"host": "evil.example"}, {"origin": "https://evil.example"}):
            async with stranger.get(lynkr.url + "/api/tags", headers=headers) as response:
                assert response.status == 403
        for path in ("/v1/models", "/v1/admin/status", "/v1/admin/models", "/metrics"):
            async with stranger.get(lynkr.url + path) as response:
                assert response.status == 401


@pytest.mark.parametrize("path", ["/api/tags", "/api/ps", "/api/version"])
async def test_strangers_stay_out_otherwise(lynkr: Running, path: str) -> None:
    async with aiohttp.ClientSession() as stranger, stranger.get(lynkr.url + path) as response:
        assert response.status == 401
        assert set(await response.json()) == {"error"}


async def test_whether_it_is_there_is_no_secret(lynkr: Running) -> None:
    async with aiohttp.ClientSession() as stranger:
        async with stranger.head(lynkr.url) as response:
            assert response.status == 200
        async with stranger.get(lynkr.url) as response:
            assert await response.text() == "Ollama is running"
        async with stranger.get(lynkr.url, headers={"host": "evil.example"}) as response:
            assert response.status == 403


async def test_the_protocol_can_be_switched_off(
    tmp_path: Path, ollama: OllamaServer, openai: OpenAIFake
) -> None:
    made = config(ollama, openai)
    made["proxy"]["api_compat"] = ["openai_chat", "openai_responses"]
    async with engine_in_process(tmp_path, made) as lynkr:
        for path in (CHAT, "/api/show", "/api/embed"):
            response, body = await post(lynkr, path, chat())
            assert response.status == 404
            assert "switched off" in json.loads(body)["error"]


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize("path", [CHAT, GENERATE, "/api/show", "/api/embed", "/api/embeddings", "/api/pull"])
@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"\xff\xfe", b'{"model": 3}', b'{"a":' * 5000, b'{"model": "\\ud800"}', b"null"],
)
async def test_garbage_is_refused_in_ollamas_shape(lynkr: Running, path: str, body: bytes) -> None:
    response, answer = await post(lynkr, path, body)
    assert response.status == 400
    assert set(json.loads(answer)) == {"error"}
    assert "Traceback" not in answer.decode()


async def test_a_body_without_bound_is_refused(lynkr: Running) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b'{"model": "llama3.2", "messages": [{"role": "user", "content": "'
        while True:
            yield b"x" * 1024 * 1024

    with pytest.raises((aiohttp.ClientError, ConnectionError)):
        async with lynkr.http.post(lynkr.url + CHAT, data=endless()) as response:
            assert response.status == 413
            assert set(await response.json()) == {"error"}
            raise ConnectionError


@pytest.mark.parametrize("keep_alive", [True, [], {"a": 1}])
async def test_a_strange_keep_alive_is_refused(lynkr: Running, keep_alive: Any) -> None:
    response, body = await post(lynkr, GENERATE, {"model": "fake/m", "keep_alive": keep_alive})
    assert response.status == 400
    assert "keep_alive" in json.loads(body)["error"]


async def test_hostile_names_are_not_echoed_as_they_are(lynkr: Running) -> None:
    name = "x" * 100_000 + "\r\nset-cookie: a=b"
    response, body = await post(lynkr, "/api/show", {"model": name})
    assert response.status == 404
    assert len(body) < 1000
    response, body = await post(lynkr, CHAT, chat(model="ollama/" + name))
    assert response.status == 404
    assert "set-cookie" not in response.headers


# ---------------------------------------------------------------- disconnects


async def test_a_client_that_leaves_ends_ollamas_work(lynkr: Running, ollama: OllamaServer) -> None:
    ollama.replies.append(Reply((Say("first"), Hold(asyncio.Event()))))
    async with lynkr.http.post(lynkr.url + CHAT, json=chat()) as response:
        await response.content.readany()
        response.close()
    async with asyncio.timeout(5):
        await ollama.chats[0].ended.wait()
    assert ollama.chats[0].outcome == "gone"


async def test_a_restarted_ollama_is_asked_anew(lynkr: Running, ollama: OllamaServer) -> None:
    port = int(ollama.url.rpartition(":")[2])
    for _ in range(3):
        response, _ = await post(lynkr, CHAT, chat())
        assert response.status == 200
        await ollama.stop()
        await ollama.start(port)
    ollama.replies.append(text("again"))
    response, body = await post(lynkr, CHAT, chat(stream=False))
    assert json.loads(body)["message"]["content"] == "again"


async def test_without_ollama_the_client_is_told_what_to_do(lynkr: Running, ollama: OllamaServer) -> None:
    await ollama.stop()
    for path, body in (("/api/pull", {"model": "tiny"}), (CHAT, chat(model="ollama/llama3.2"))):
        response, answer = await post(lynkr, path, body)
        assert response.status == 503
        assert "ollama serve" in json.loads(answer)["error"]
    async with lynkr.http.get(lynkr.url + "/api/tags") as response:
        names = [model["name"] for model in (await response.json())["models"]]
    assert names == ["auto-route", "fake/m"]
    async with lynkr.http.get(lynkr.url + "/api/ps") as response:
        assert (await response.json())["models"] == []
