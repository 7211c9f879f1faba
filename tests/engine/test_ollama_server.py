"""The server of Ollama's protocol that the tests lean on: it must be as awkward as the real one."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from lynkr_desktop.engine.providers.embedded.process import Worker
from tests.support.models import cached_model
from tests.support.ollama_models import FakeModel
from tests.support.ollama_server import OllamaServer
from tests.support.script import Call, Reply, Say, Think

ROOT = Path(__file__).resolve().parents[2]
HI = [{"role": "user", "content": "Hi"}]


@pytest.fixture
async def ollama() -> AsyncIterator[OllamaServer]:
    models = (FakeModel("llama3.2", capabilities=("completion", "tools", "embedding")),)
    async with OllamaServer(*models, library=(FakeModel("qwen3:8b"),)) as server:
        yield server


async def ask(server: OllamaServer, path: str, body: Any = None, method: str = "POST") -> tuple[int, Any]:
    """Status and answer; a stream becomes a list of its lines."""
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, server.url + path, json=body) as response,
    ):
        text = await response.text()
        if response.content_type == "application/x-ndjson":
            return response.status, [json.loads(line) for line in text.splitlines()]
        return response.status, json.loads(text) if text else None


async def test_the_last_line_has_counts_and_nanoseconds(ollama: OllamaServer) -> None:
    status, lines = await ask(ollama, "/api/chat", {"model": "llama3.2", "messages": HI})
    assert status == 200
    assert [line["done"] for line in lines] == [False] * (len(lines) - 1) + [True]
    last = lines[-1]
    assert last["done_reason"] == "stop"
    assert last["prompt_eval_count"] > 0
    assert last["eval_count"] > 0
    for name in ("total_duration", "load_duration", "prompt_eval_duration", "eval_duration"):
        assert isinstance(last[name], int)


async def test_tool_calls_come_whole_without_ids_and_stop_with_stop(ollama: OllamaServer) -> None:
    ollama.replies.append(Reply((Say("I look."), Call("f", {"a": 1}))))
    _, lines = await ask(ollama, "/api/chat", {"model": "llama3.2", "messages": HI})
    calls = [line["message"]["tool_calls"] for line in lines if "tool_calls" in line["message"]]
    assert calls == [[{"function": {"name": "f", "arguments": {"a": 1}}}]]
    assert lines[-1]["done_reason"] == "stop"
    ollama.replies.append(Reply((Say("I look."), Call("f", {"a": 1}))))
    _, whole = await ask(ollama, "/api/chat", {"model": "llama3.2", "messages": HI, "stream": False})
    assert whole["message"]["content"] == "I look."
    assert whole["message"]["tool_calls"][0]["function"]["arguments"] == {"a": 1}


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"model": "nope"}, 404, "model 'nope' not found"),
        ({"model": ""}, 400, "model is required"),
        (
            {
                "messages": [
                    {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}
                ]
            },
            400,
            "cannot unmarshal string into Go struct field",
        ),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, 400, "cannot unmarshal array"),
        ({"messages": [{"role": "user", "content": "x", "images": ["%"]}]}, 400, "illegal base64"),
        ({"options": {"num_ctx": "4096"}}, 400, 'option "num_ctx" must be of type integer'),
        ({"options": {"stop": "x"}}, 400, 'option "stop" must be of type array'),
        ({"keep_alive": "-1"}, 400, "missing unit in duration"),
        ({"think": "extreme"}, 400, "invalid think value"),
        ({"think": True}, 400, "does not support thinking"),
        ({"format": "xml"}, 400, "invalid format"),
    ],
)
async def test_what_ollama_refuses(
    ollama: OllamaServer, change: dict[str, Any], status: int, words: str
) -> None:
    got, answer = await ask(ollama, "/api/chat", {"model": "llama3.2", "messages": HI, **change})
    assert got == status
    assert words in answer["error"]


async def test_long_prompts_are_cut_without_a_word(ollama: OllamaServer) -> None:
    long = [{"role": "user", "content": "word " * 9000}]
    body = {"model": "llama3.2", "messages": [{"role": "system", "content": "Be brief."}, *long, *HI]}
    _, lines = await ask(ollama, "/api/chat", body)
    assert lines[-1]["prompt_eval_count"] < 20
    _, lines = await ask(ollama, "/api/chat", {**body, "options": {"num_ctx": 16384}})
    assert lines[-1]["prompt_eval_count"] > 11000
    _, lines = await ask(ollama, "/api/chat", {"model": "llama3.2", "messages": long})
    assert lines[-1]["prompt_eval_count"] == 4096
    assert [num_ctx for _, num_ctx in ollama.loads] == [4096, 16384, 4096]


async def test_loading_and_unloading(ollama: OllamaServer) -> None:
    _, loaded = await ask(ollama, "/api/chat", {"model": "llama3.2", "messages": []})
    assert loaded["done_reason"] == "load"
    _, running = await ask(ollama, "/api/ps", method="GET")
    assert running["models"][0]["name"] == "llama3.2:latest"
    assert running["models"][0]["context_length"] == 4096
    _, unloaded = await ask(ollama, "/api/generate", {"model": "llama3.2", "keep_alive": 0})
    assert unloaded["done_reason"] == "unload"
    assert (await ask(ollama, "/api/ps", method="GET"))[1] == {"models": []}


async def test_thinking_only_where_asked(ollama: OllamaServer) -> None:
    ollama.models["llama3.2:latest"].capabilities = ("completion", "thinking")
    ollama.answer = lambda _: Reply((Think("Hm."), Say("Yes")))
    body = {"model": "llama3.2", "messages": HI, "stream": False}
    _, whole = await ask(ollama, "/api/chat", {**body, "think": "low"})
    assert whole["message"] == {"role": "assistant", "content": "Yes", "thinking": "Hm."}
    _, whole = await ask(ollama, "/api/chat", {**body, "think": False})
    assert "thinking" not in whole["message"]


async def test_generate_and_embed(ollama: OllamaServer) -> None:
    _, lines = await ask(ollama, "/api/generate", {"model": "llama3.2", "prompt": "Hi"})
    assert "".join(line["response"] for line in lines) == "This is a reply."
    _, embedded = await ask(ollama, "/api/embed", {"model": "llama3.2", "input": ["a", "b"], "dimensions": 8})
    first, second = embedded["embeddings"]
    assert len(first) == len(second) == 8
    assert first != second
    assert abs(sum(number * number for number in first) - 1) < 1e-9


async def test_pull_shows_progress_and_delete_removes(ollama: OllamaServer) -> None:
    _, lines = await ask(ollama, "/api/pull", {"model": "qwen3:8b"})
    assert lines[0] == {"status": "pulling manifest"}
    assert lines[-1] == {"status": "success"}
    received = [line["completed"] for line in lines if "completed" in line]
    assert received == sorted(received)
    assert received[-1] == lines[1]["total"]
    _, tags = await ask(ollama, "/api/tags", method="GET")
    assert {model["name"] for model in tags["models"]} == {"llama3.2:latest", "qwen3:8b"}
    _, lines = await ask(ollama, "/api/pull", {"model": "nope"})
    assert lines[-1] == {"error": "pull model manifest: file does not exist"}
    assert (await ask(ollama, "/api/delete", {"model": "qwen3:8b"}, "DELETE"))[0] == 200
    assert (await ask(ollama, "/api/delete", {"model": "qwen3:8b"}, "DELETE"))[0] == 404


async def test_a_real_model_behind_it() -> None:
    worker = await Worker.start(cached_model(), name="gemma", context=4096, threads=1)
    try:
        async with OllamaServer(upstream=worker.base_url, upstream_key=worker.key) as server:
            body = {"model": "llama3.2", "messages": HI, "options": {"num_predict": 8, "temperature": 0}}
            _, lines = await ask(server, "/api/chat", body)
            _, whole = await ask(server, "/api/chat", {**body, "stream": False})
    finally:
        await worker.stop()
    words = [line["message"]["content"] for line in lines[:-1]]
    assert len(words) > 1, "a real model's words come one by one"
    assert "".join(words) == whole["message"]["content"]
    for last in (lines[-1], whole):
        assert (last["done"], last["done_reason"]) == (True, "length")
        assert last["prompt_eval_count"] > 2
        assert last["eval_count"] == 8


def test_as_a_process(tmp_path: Path) -> None:
    replies = tmp_path / "replies.json"
    replies.write_text(json.dumps([{"steps": [{"say": "Scripted"}]}]), encoding="utf-8")
    command = [sys.executable, "-m", "tests.support.ollama_server", "--model", "tiny@2048@completion"]
    with subprocess.Popen(
        [*command, "--replies", str(replies)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            url = json.loads(process.stdout.readline())["url"]
            body = json.dumps({"model": "tiny", "messages": HI, "stream": False}).encode()
            with urllib.request.urlopen(f"{url}/api/chat", body, timeout=10) as response:
                assert json.load(response)["message"]["content"] == "Scripted"
            with urllib.request.urlopen(f"{url}/_requests", timeout=10) as response:
                assert json.load(response)[0]["path"] == "/api/chat"
        finally:
            process.terminate()
