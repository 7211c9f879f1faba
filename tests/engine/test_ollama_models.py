"""Ollama's models as things to fetch, load and remove: by the control API and by `lynkr models`."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from lynkr_desktop.cli.main import main
from lynkr_desktop.engine.providers import ollama_library
from tests.support.engine import ROOT, Running, config_for, engine_in_process, write_config
from tests.support.ollama_models import FakeModel
from tests.support.ollama_server import OllamaServer
from tests.support.script import Die, ErrorLine, Hold

CODER = "qwen2.5-coder:7b"
BIG = FakeModel(CODER, size=1000)


@pytest.fixture
async def ollama() -> AsyncIterator[OllamaServer]:
    models = (FakeModel("llama3.2"), FakeModel("hf.co/org/model:Q4"))
    async with OllamaServer(*models, library=(BIG, FakeModel("tiny", size=1000))) as server:
        yield server


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cut pull goes on at once."""
    monkeypatch.setattr(ollama_library, "_PAUSE_S", 0.0)


def config(ollama: OllamaServer, **options: Any) -> dict[str, Any]:
    made = config_for("http://127.0.0.1:9/v1")
    made["providers"]["ollama"] = {"base_url": ollama.url, **options}
    return made


@pytest.fixture
async def lynkr(tmp_path: Path, ollama: OllamaServer) -> AsyncIterator[Running]:
    async with engine_in_process(tmp_path, config(ollama)) as running:
        yield running


async def models(lynkr: Running) -> dict[str, dict[str, Any]]:
    listed = (await lynkr.admin("GET", "models"))["models"]
    return {model["id"]: model for model in listed}


async def events(lynkr: Running, started: asyncio.Event) -> AsyncIterator[dict[str, Any]]:
    """The `model.pull` events."""
    async with lynkr.http.get(lynkr.url + "/v1/admin/events") as response:
        name = ""
        async for raw in response.content:
            line = raw.decode().strip()
            if line.startswith("event:"):
                name = line.removeprefix("event:").strip()
                started.set()
            elif line.startswith("data:") and name == "model.pull":
                yield json.loads(line.removeprefix("data:"))["model"]


async def pulled(lynkr: Running, model: str) -> list[dict[str, Any]]:
    """Pulls a model and gives what was told of it, to the end."""
    started = asyncio.Event()
    told: list[dict[str, Any]] = []

    async def follow() -> None:
        async for event in events(lynkr, started):
            told.append(event)
            if event["state"] != "downloading":
                return

    async with asyncio.timeout(10):
        following = asyncio.create_task(follow())
        await started.wait()
        await lynkr.admin("POST", f"models/{quote(model, safe='')}/pull")
        await following
    return told


# ---------------------------------------------------------------- control API


async def test_the_list_tells_what_is_known_of_a_model(lynkr: Running, ollama: OllamaServer) -> None:
    found = await models(lynkr)
    model = found["ollama/llama3.2"]
    assert model["provider"] == "ollama"
    assert (model["parameters"], model["quantization"]) == ("3.2B", "Q4_K_M")
    assert (model["context_length"], model["capabilities"]) == (131072, ["completion", "tools"])
    assert model["size"] == ollama.models["llama3.2:latest"].size
    assert model["state"] == "installed"
    assert [model["provider"] for model in found.values()].count("embedded") == 2


async def test_load_and_unload(lynkr: Running, ollama: OllamaServer) -> None:
    await lynkr.admin("POST", "models/ollama/llama3.2/load", {"keep_alive": "5m"})
    assert ollama.loads == [("llama3.2:latest", 32768)]
    model = (await models(lynkr))["ollama/llama3.2"]
    assert model["state"] == "loaded"
    assert model["expires"] > 0
    await lynkr.ask("a short question", model="ollama/llama3.2")
    assert len(ollama.loads) == 1, "the window that it was loaded with holds every prompt"
    await lynkr.admin("POST", "models/ollama/llama3.2/unload")
    assert not ollama.loaded
    assert (await models(lynkr))["ollama/llama3.2"]["state"] == "installed"


@pytest.mark.parametrize("spelling", ["ollama/hf.co/org/model:Q4", "ollama%2Fhf.co%2Forg%2Fmodel%3AQ4"])
async def test_names_with_slashes_and_colons(lynkr: Running, ollama: OllamaServer, spelling: str) -> None:
    shown = await lynkr.admin("GET", f"models/{spelling}/show")
    assert shown["model"]["id"] == "ollama/hf.co/org/model:Q4"
    assert shown["template"]
    await lynkr.admin("DELETE", f"models/{spelling}")
    assert "hf.co/org/model:Q4" not in ollama.models
    assert "ollama/hf.co/org/model:Q4" not in await models(lynkr)


async def test_a_pull_tells_how_it_goes(lynkr: Running, ollama: OllamaServer) -> None:
    told = await pulled(lynkr, f"ollama/{CODER}")
    assert {event["id"] for event in told} == {f"ollama/{CODER}"}
    assert told[0]["state"] == "downloading"
    assert (told[-1]["state"], told[-1]["received"], told[-1]["size"]) == ("installed", 1000, 1000)
    assert (await models(lynkr))[f"ollama/{CODER}"]["state"] == "installed"


async def test_a_pull_that_is_cut_goes_on(lynkr: Running, ollama: OllamaServer) -> None:
    ollama.pull_faults.append(Die())
    told = await pulled(lynkr, "ollama/tiny")
    assert told[-1]["state"] == "installed"
    assert ollama.count("/api/pull") == 2


async def test_a_pull_can_be_stopped(lynkr: Running, ollama: OllamaServer) -> None:
    ollama.pull_faults.append(Hold(asyncio.Event()))
    await lynkr.admin("POST", "models/ollama/tiny/pull")
    async with asyncio.timeout(5):
        while (await models(lynkr))["ollama/tiny"]["received"] != 500:
            await asyncio.sleep(0.01)
    async with lynkr.http.delete(lynkr.url + "/v1/admin/models/ollama/tiny") as response:
        assert response.status == 409
    assert (await models(lynkr))["ollama/tiny"]["state"] == "downloading"
    await lynkr.admin("DELETE", "models/ollama/tiny/pull")
    async with asyncio.timeout(5):
        while "ollama/tiny" in await models(lynkr):
            await asyncio.sleep(0.01)
    assert "tiny:latest" not in ollama.models


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (
            ErrorLine("write /models/blobs/x: no space left on device"),
            "disk that Ollama keeps its models on is full",
        ),
        (ErrorLine("max retries exceeded: EOF"), "Pull it again: what has arrived is kept"),
    ],
)
async def test_a_pull_that_fails_says_why(
    lynkr: Running, ollama: OllamaServer, fault: ErrorLine, words: str
) -> None:
    ollama.pull_faults.append(fault)
    told = await pulled(lynkr, "ollama/tiny")
    assert told[-1]["state"] == "failed"
    assert words in told[-1]["error"]
    assert words in (await models(lynkr))["ollama/tiny"]["error"]
    assert (await pulled(lynkr, "ollama/tiny"))[-1]["state"] == "installed"


async def test_what_does_not_exist_is_told(lynkr: Running) -> None:
    told = await pulled(lynkr, "ollama/nope")
    assert "There is no model nope to fetch" in told[-1]["error"]
    await lynkr.admin("DELETE", "models/ollama/nope")
    assert "ollama/nope" not in await models(lynkr)
    for method, path in (
        ("DELETE", "models/ollama/nope"),
        ("GET", "models/ollama/nope/show"),
        ("POST", "models/ollama/nope/load"),
        ("POST", "models/nope/pull"),
        ("GET", "models/nope/show"),
    ):
        async with lynkr.http.request(method, f"{lynkr.url}/v1/admin/{path}") as response:
            assert response.status == 404, path
            assert "nope" in (await response.json())["error"]
    async with lynkr.http.post(f"{lynkr.url}/v1/admin/models/ollama%2F/pull") as response:
        assert response.status == 400


async def test_a_client_that_leaves_ends_its_own_pull_only(lynkr: Running, ollama: OllamaServer) -> None:
    ollama.pull_faults.append(Hold(asyncio.Event()))
    async with lynkr.http.post(lynkr.url + "/api/pull", json={"model": "tiny"}) as response:
        await response.content.readline()
        response.close()
    told = await pulled(lynkr, f"ollama/{CODER}")
    assert told[-1]["state"] == "installed"
    assert "tiny:latest" not in ollama.models


async def test_models_are_loaded_at_the_start(tmp_path: Path, ollama: OllamaServer) -> None:
    made = config(ollama, warm_up=["nope", "llama3.2"], keep_alive="1h", max_context=8192)
    async with engine_in_process(tmp_path, made), asyncio.timeout(5):
        while not ollama.loaded:
            await asyncio.sleep(0.01)
    assert ollama.loads == [("llama3.2:latest", 8192)]
    loading = [asked for asked in ollama.received if asked.path == "/api/generate"]
    assert loading[-1].body["keep_alive"] == "1h"


# ---------------------------------------------------------------- lynkr models


Command = Callable[..., Awaitable[tuple[int, str, str]]]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs `lynkr models` in a thread and gives its exit code and what it printed."""
    monkeypatch.setattr(sys, "stdin", io.StringIO())

    async def run(home: Path, *arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        async with asyncio.timeout(30):
            code = await asyncio.to_thread(main, ["models", *arguments, "--home", str(home)])
        return code, *capsys.readouterr()

    return run


async def start(home: Path, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "lynkr_desktop",
        "models",
        *arguments,
        "--home",
        str(home),
        cwd=ROOT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


@pytest.fixture(params=["engine", "no engine"])
async def home(request: pytest.FixtureRequest, tmp_path: Path, ollama: OllamaServer) -> AsyncIterator[Path]:
    """A home, with an engine that serves it and without."""
    if request.param == "engine":
        async with engine_in_process(tmp_path, config(ollama)):
            yield tmp_path
    else:
        write_config(tmp_path, config(ollama))
        yield tmp_path


async def test_a_person_fetches_uses_and_removes_a_model(
    home: Path, ollama: OllamaServer, command: Command
) -> None:
    name = f"ollama/{CODER}"
    code, out, _ = await command(home, "pull", name, "--dry-run")
    assert code == 0
    assert "Nothing was done" in out
    assert ollama.count("/api/pull") == 0
    ollama.pull_faults.append(Die())
    code, out, err = await command(home, "pull", name)
    assert (code, err) == (0, "")
    assert out.endswith(f"{name} is ready.\n")
    code, out, _ = await command(home, "list")
    assert code == 0
    [line] = [line for line in out.splitlines() if line.startswith(name)]
    assert "3.2B Q4_K_M" in line
    assert "completion, tools" in line
    code, out, _ = await command(home, "load", name, "--keep-alive", "5m")
    assert code == 0
    assert f"{CODER}" in ollama.loaded
    code, out, _ = await command(home, "ps", "--json")
    assert [model["id"] for model in json.loads(out)] == [name]
    code, out, _ = await command(home, "ps")
    assert name in out
    assert (await command(home, "unload", name))[0] == 0
    assert (await command(home, "ps"))[1] == "No model is in memory.\n"
    code, out, _ = await command(home, "show", name)
    assert "131,072 tokens" in out
    code, out, _ = await command(home, "show", name, "--json")
    assert json.loads(out)["model"]["quantization"] == "Q4_K_M"
    assert (await command(home, "remove", name))[0] == 1, "nobody is there to be asked"
    assert (await command(home, "remove", name, "--dry-run"))[0] == 0
    assert CODER in ollama.models
    assert (await command(home, "remove", name, "--yes"))[0] == 0
    assert CODER not in ollama.models


async def test_errors_of_a_person(home: Path, ollama: OllamaServer, command: Command) -> None:
    for arguments, words in (
        (("pull", "ollama/nope"), "There is no model nope to fetch"),
        (("remove", "ollama/nope", "--yes"), "There is no model ollama/nope"),
        (("show", "ollama/nope"), "nope"),
        (("load", "ollama/nope"), "nope"),
    ):
        code, _, err = await command(home, *arguments)
        assert code == 1
        assert words in err
        assert "Traceback" not in err
    ollama.pull_faults.append(ErrorLine("no space left on device"))
    code, _, err = await command(home, "pull", "ollama/tiny")
    assert code == 1
    assert "full" in err


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
async def test_ctrl_c_ends_a_pull(home: Path, ollama: OllamaServer) -> None:
    ollama.pull_faults.append(Hold(asyncio.Event()))
    process = await start(home, "pull", "ollama/tiny")
    async with asyncio.timeout(30):
        while "tiny:latest" not in ollama.kept:
            await asyncio.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = await process.communicate()
        assert process.returncode == 130
        assert b"goes on from there" in out
        assert b"Traceback" not in err
        assert "tiny:latest" not in ollama.models


async def test_without_ollama(tmp_path: Path, ollama: OllamaServer, command: Command) -> None:
    write_config(tmp_path, config(ollama))
    await ollama.stop()
    code, out, _ = await command(tmp_path, "list")
    assert code == 0
    assert "ollama/" not in out
    code, _, err = await command(tmp_path, "pull", "ollama/tiny")
    assert code == 1
    assert "ollama serve" in err


async def test_built_in_models_need_an_engine_to_be_loaded(tmp_path: Path, command: Command) -> None:
    code, _, err = await command(tmp_path, "load", "gemma-3-270m")
    assert code == 1
    assert "lynkr serve" in err


async def test_what_is_no_ollama_is_told(tmp_path: Path) -> None:
    async def page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\n<html>")
        writer.close()

    async with await asyncio.start_server(page, "127.0.0.1", 0) as server:
        made = config_for("http://127.0.0.1:9/v1")
        made["providers"]["ollama"] = {"base_url": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"}
        async with engine_in_process(tmp_path, made) as lynkr:
            async with lynkr.http.post(lynkr.url + "/api/pull", json={"model": "tiny"}) as response:
                assert "not Ollama" in (await response.json())["error"]
            with pytest.raises(aiohttp.ContentTypeError):
                await (await lynkr.http.get(lynkr.url)).json()
