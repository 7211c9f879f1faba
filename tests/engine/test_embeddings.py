"""Embeddings through the engine: each client protocol, each provider that makes them, and bad input."""

from __future__ import annotations

import base64
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.support.engine import TOKEN, Running, config_for, engine_in_process
from tests.support.fakes.openai import OpenAIFake
from tests.support.ollama_models import FakeModel
from tests.support.ollama_server import OllamaServer

EMBEDDER = FakeModel("nomic-embed-text", capabilities=("embedding",))


@pytest.fixture
async def ollama() -> AsyncIterator[OllamaServer]:
    async with OllamaServer(FakeModel("llama3.2"), EMBEDDER) as server:
        yield server


@pytest.fixture
async def lynkr(tmp_path: Path, ollama: OllamaServer) -> AsyncIterator[Running]:
    async with OpenAIFake() as fake:
        config = config_for(fake.url + "/v1")
        config["providers"]["ollama"] = {"base_url": ollama.url}
        async with engine_in_process(tmp_path, config) as running:
            yield running


async def post(lynkr: Running, path: str, **body: Any) -> tuple[Any, Any]:
    async with lynkr.http.post(lynkr.url + path, json=body) as response:
        return response, await response.json()


async def test_openai_clients_get_vectors_of_an_openai_server(lynkr: Running) -> None:
    response, body = await post(lynkr, "/v1/embeddings", model="fake/m", input=["a", "bcd"])
    assert response.status == 200
    assert [entry["embedding"] for entry in body["data"]] == [[1.0, 0.5], [3.0, 0.5]]
    assert [entry["index"] for entry in body["data"]] == [0, 1]
    assert body["usage"] == {"prompt_tokens": 7, "total_tokens": 7}
    assert response.headers["x-lynkr-provider"] == "fake"
    [row] = await lynkr.rows()
    assert (row["protocol"], row["provider"], row["input_tokens"], row["status"]) == (
        "openai_embeddings",
        "fake",
        7,
        200,
    )
    assert row["requested_model"] == "fake/m"
    assert row["cost"] is None


async def test_vectors_as_base64(lynkr: Running) -> None:
    _, body = await post(lynkr, "/v1/embeddings", model="fake/m", input="abc", encoding_format="base64")
    raw = base64.b64decode(body["data"][0]["embedding"])
    assert struct.unpack("<2f", raw) == (3.0, 0.5)


async def test_token_numbers_reach_the_servers_that_know_them(lynkr: Running) -> None:
    response, body = await post(lynkr, "/v1/embeddings", model="fake/m", input=[1, 2, 3])
    assert response.status == 200
    assert body["data"][0]["embedding"] == [3.0, 0.5]
    response, body = await post(lynkr, "/v1/embeddings", model="ollama/nomic-embed-text", input=[[1, 2], [3]])
    assert response.status == 400
    assert "token numbers" in body["error"]["message"]


@pytest.mark.parametrize("model", ["nomic-embed-text", "ollama/nomic-embed-text", "auto-route", "text-3"])
async def test_ollamas_models_make_embeddings(lynkr: Running, ollama: OllamaServer, model: str) -> None:
    response, body = await post(lynkr, "/v1/embeddings", model=model, input=["a", "b"], dimensions=4)
    assert response.status == 200, body
    assert [len(entry["embedding"]) for entry in body["data"]] == [4, 4]
    assert response.headers["x-lynkr-model"] == "nomic-embed-text"
    assert ollama.received[-1].body == {
        "model": "nomic-embed-text:latest",
        "input": ["a", "b"],
        "dimensions": 4,
    }


async def test_ollamas_own_paths(lynkr: Running, ollama: OllamaServer) -> None:
    response, body = await post(lynkr, "/api/embed", model="nomic-embed-text", input="hello", keep_alive="1m")
    assert response.status == 200
    assert len(body["embeddings"]) == 1
    assert body["prompt_eval_count"] == 2
    assert ollama.received[-1].body["keep_alive"] == "1m"
    response, older = await post(lynkr, "/api/embeddings", model="nomic-embed-text", prompt="hello")
    assert older["embedding"] == body["embeddings"][0]
    response, body = await post(lynkr, "/api/embed", model="fake/m", input=["a", "bc"])
    assert body["embeddings"] == [[1.0, 0.5], [2.0, 0.5]]


async def test_nothing_to_embed_loads_the_model(lynkr: Running, ollama: OllamaServer) -> None:
    response, body = await post(lynkr, "/api/embed", model="nomic-embed-text", input=[])
    assert (response.status, body["embeddings"]) == (200, [])
    assert "nomic-embed-text:latest" in ollama.loaded


async def test_a_model_that_only_chats_is_refused(lynkr: Running) -> None:
    response, body = await post(lynkr, "/api/embed", model="llama3.2", input="a")
    assert response.status == 400
    assert "cannot make embeddings" in body["error"]


async def test_without_a_model_for_it_the_client_is_told_what_to_do(
    lynkr: Running, ollama: OllamaServer
) -> None:
    del ollama.models["nomic-embed-text:latest"]
    response, body = await post(lynkr, "/v1/embeddings", model="auto-route", input="a")
    assert response.status == 404
    assert "ollama pull nomic-embed-text" in body["error"]["message"]


@pytest.mark.parametrize(
    "body",
    [
        {"model": "fake/m"},
        {"model": "fake/m", "input": []},
        {"model": "fake/m", "input": [""]},
        {"model": "fake/m", "input": ["a", 1]},
        {"model": "fake/m", "input": [[1], ["a"]]},
        {"model": "fake/m", "input": [True]},
        {"model": "fake/m", "input": "a", "dimensions": 0},
        {"model": "fake/m", "input": "a", "encoding_format": "hex"},
        {"model": "", "input": "a"},
        {"model": "fake/m", "input": ["a"] * 3000},
    ],
)
async def test_bad_input_is_named(lynkr: Running, body: dict[str, Any]) -> None:
    response, answer = await post(lynkr, "/v1/embeddings", **body)
    assert response.status == 400
    assert answer["error"]["message"]
    assert set(answer["error"]) == {"message", "type", "param", "code"}


async def test_the_openai_package_reads_them(lynkr: Running) -> None:
    async with openai.AsyncOpenAI(base_url=lynkr.url + "/v1", api_key=TOKEN, max_retries=0) as client:
        made = await client.embeddings.create(model="fake/m", input=["a", "bcd"])
        assert [entry.embedding for entry in made.data] == [[1.0, 0.5], [3.0, 0.5]]
        with pytest.raises(openai.BadRequestError, match="input"):
            await client.embeddings.create(model="fake/m", input=[])


async def test_the_token_is_needed(lynkr: Running) -> None:
    headers = {"authorization": "Bearer wrong-token"}
    async with lynkr.http.post(lynkr.url + "/v1/embeddings", json={}, headers=headers) as response:
        assert response.status == 401
