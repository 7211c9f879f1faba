"""Real agents do real work through the proxy: they read files, change one and run it.

The models are scripted, behind each provider in its own wire format; the agents, the proxy and the files are
what users have.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.brain import EXACT, PRINTED, Brain
from tests.support.claude import run_claude
from tests.support.codex import run_codex
from tests.support.fakes.anthropic import AnthropicFake
from tests.support.fakes.base import Asked, ScriptedServer
from tests.support.fakes.bedrock import ENVIRON as BEDROCK_ENVIRON
from tests.support.fakes.bedrock import BedrockFake
from tests.support.fakes.openai import OpenAIFake
from tests.support.fakes.vertex import VertexFake
from tests.support.ollama_models import FakeModel
from tests.support.ollama_server import OllamaServer
from tests.support.openhands import Settings, converse, settings_port
from tests.support.packages import NoPython
from tests.support.proxy import Proxy, running_proxy
from tests.support.script import Reply

KEY = "sk-ant-api03-test-0123456789"
ALLOWED = ("--allowedTools", "Read,Edit,Bash")


@dataclass(frozen=True, slots=True)
class Backend:
    """A provider with a scripted model behind it.

    Attributes:
        provider: its name in the configuration.
        model: the provider's model.
        options: `providers.<provider>`.
        count: how many requests the model got.
        environ: what the provider needs of the environment.
    """

    provider: str
    model: str
    options: dict[str, Any]
    count: Callable[[], int]
    environ: Mapping[str, str] = field(default_factory=dict)

    def proxy(self, home: Path, port: int = 0, **environ: str) -> AbstractContextManager[Proxy]:
        """A proxy that sends everything to this model."""
        tier = {"providers": [f"{self.provider}/{self.model}"], "max_complexity": 1.0}
        config = {"providers": {self.provider: self.options}, "routing": {"tiers": {"simple": tier}}}
        return running_proxy(home, yaml.safe_dump(config), {**os.environ, **self.environ, **environ}, port)


@asynccontextmanager
async def ollama(brain: Brain) -> AsyncIterator[Backend]:
    async with OllamaServer(FakeModel("qwen3:8b", context_length=40960)) as server:
        server.answer = lambda body: brain.answer("/api/chat", body)
        yield Backend("ollama", "qwen3:8b", {"base_url": server.url}, lambda: len(server.chats))


def give_brain(server: ScriptedServer, brain: Brain) -> Callable[[], int]:
    """Lets the brain be the model of a fake provider; gives what counts its turns."""
    turns: list[Asked] = []

    def answer(asked: Asked) -> Reply:
        turns.append(asked)
        return brain.answer(asked.path, asked.json)

    server.brain = answer
    return lambda: len(turns)


@asynccontextmanager
async def openai(brain: Brain) -> AsyncIterator[Backend]:
    async with OpenAIFake() as server:
        environ = {"OPENAI_API_KEY": "sk-test-0123456789"}
        options = {"base_url": f"{server.url}/v1"}
        yield Backend("openai", "gpt-5.2", options, give_brain(server, brain), environ)


@asynccontextmanager
async def anthropic(brain: Brain) -> AsyncIterator[Backend]:
    async with AnthropicFake() as server:
        server.keys = {KEY}
        options = {"base_url": server.url}
        environ = {"ANTHROPIC_API_KEY": KEY}
        yield Backend("anthropic", "claude-opus-4-8", options, give_brain(server, brain), environ)


@asynccontextmanager
async def vertex(brain: Brain, model: str = "gemini-3-pro-preview") -> AsyncIterator[Backend]:
    """With the key file of a service account, as in a company."""
    async with VertexFake() as server:
        account = brain.folder.parent / "service-account.json"
        account.write_text(json.dumps(server.service_account()), encoding="utf-8")
        options = {"base_url": server.url}
        environ = {"GOOGLE_APPLICATION_CREDENTIALS": str(account)}
        yield Backend("vertex", model, options, give_brain(server, brain), environ)


def claude_on_vertex(brain: Brain) -> AbstractAsyncContextManager[Backend]:
    return vertex(brain, "claude-opus-4-5")


@asynccontextmanager
async def bedrock(brain: Brain) -> AsyncIterator[Backend]:
    async with BedrockFake() as server:
        options = {"base_url": server.url}
        model = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
        yield Backend("bedrock", model, options, give_brain(server, brain), BEDROCK_ENVIRON)


BACKENDS: tuple[Callable[[Brain], AbstractAsyncContextManager[Backend]], ...] = (
    ollama,
    openai,
    anthropic,
    vertex,
    claude_on_vertex,
    bedrock,
)


@pytest.fixture
def brain(tmp_path: Path) -> Brain:
    """The model, and a home with its task."""
    return Brain(tmp_path / "home" / "work")


@pytest.fixture(params=BACKENDS, ids=lambda backend: backend.__name__)
def backend(request: pytest.FixtureRequest, brain: Brain) -> AbstractAsyncContextManager[Backend]:
    """Each provider."""
    made: AbstractAsyncContextManager[Backend] = request.param(brain)
    return made


async def check(proxy: Proxy, backend: Backend, brain: Brain) -> None:
    """The files on disk and the engine's records say that the work was done."""
    assert brain.problems == []
    assert f"PI = {EXACT}\n" in brain.program.read_text(encoding="utf-8")
    assert brain.output.read_text(encoding="utf-8").strip() == PRINTED
    records = await asyncio.to_thread(proxy.records, backend.count())
    assert len(records) == backend.count() >= brain.turns == 4
    for record in records:
        assert (record["status"], record["error"]) == (200, "")
        assert (record["tier"], record["provider"]) == ("simple", backend.provider)
        assert record["model"] == backend.model
        assert record["estimated"] is False
        assert record["input_tokens"] > 0
        assert record["output_tokens"] > 0


async def test_claude_code(
    backend: AbstractAsyncContextManager[Backend], brain: Brain, tmp_path: Path
) -> None:
    async with backend as behind:
        with behind.proxy(tmp_path / "proxy") as proxy:
            printed = await run_claude(proxy, tmp_path / "home", brain.prompt, *ALLOWED)
            await check(proxy, behind, brain)
    assert (printed["is_error"], printed["subtype"]) == (False, "success")
    assert printed["result"] == f"Done: it prints {PRINTED}."
    assert printed["permission_denials"] == []


async def test_codex(backend: AbstractAsyncContextManager[Backend], brain: Brain, tmp_path: Path) -> None:
    items = await work_with_codex(backend, brain, tmp_path)
    assert [item["exit_code"] for item in items if item["type"] == "command_execution"] == [0, 0, 0]


@pytest.mark.parametrize("behind", [anthropic, vertex], ids=lambda made: made.__name__)
@pytest.mark.parametrize("model", ["gpt-5.5", "gpt-6.1-sol"])
async def test_codex_with_the_tools_that_it_gives_to_models_it_knows(
    behind: Callable[[Brain], AbstractAsyncContextManager[Backend]], model: str, brain: Brain, tmp_path: Path
) -> None:
    """It takes patches, and programs, as plain text: tools that no other protocol has."""
    items = await work_with_codex(behind(brain), brain, tmp_path, model)
    assert [item["type"] for item in items].count("file_change") == 1


async def work_with_codex(
    backend: AbstractAsyncContextManager[Backend], brain: Brain, folder: Path, model: str = "auto-route"
) -> list[dict[str, Any]]:
    """Lets Codex do the task; gives the items of its story."""
    async with backend as behind:
        with behind.proxy(folder / "proxy") as proxy:
            events = await run_codex(proxy, folder / "home", brain.prompt, model=model)
            await check(proxy, behind, brain)
    items: list[dict[str, Any]] = [event["item"] for event in events if event["type"] == "item.completed"]
    assert items[-1]["type"] == "agent_message"
    assert items[-1]["text"] == f"Done: it prints {PRINTED}."
    assert events[-1]["type"] == "turn.completed"
    assert events[-1]["usage"]["input_tokens"] > 0
    return items


async def test_claude_code_with_an_older_model_than_it_means(brain: Brain, tmp_path: Path) -> None:
    """It thinks as the newest models do, and drops the thoughts of models that it did not ask for."""
    async with AnthropicFake() as server:
        count = give_brain(server, brain)
        environ = {"ANTHROPIC_API_KEY": KEY}
        behind = Backend("anthropic", "claude-haiku-4-5", {"base_url": server.url}, count, environ)
        with behind.proxy(tmp_path / "proxy") as proxy:
            printed = await run_claude(proxy, tmp_path / "home", brain.prompt, *ALLOWED)
            await check(proxy, behind, brain)
    assert printed["result"] == f"Done: it prints {PRINTED}."
    # Refused once, then known.
    assert [asked.outcome for asked in server.asked].count("error") == 1


async def test_openhands(brain: Brain, tmp_path: Path) -> None:
    """Its SDK, with the settings of its runtime, its terminal and its file editor."""
    settings = Settings.read()
    async with ollama(brain) as behind:
        with behind.proxy(tmp_path / "proxy", settings_port(), LYNKR_TOKEN=settings.api_key) as proxy:
            try:
                outcome = await converse(
                    settings.at(proxy.port), tmp_path / "home", brain.folder, brain.prompt
                )
            except NoPython as missing:
                pytest.skip(str(missing))
            await check(proxy, behind, brain)
    assert outcome["status"] == "finished"
    assert outcome["cost"] == 0
    assert outcome["usage"]["prompt_tokens"] > 0
    ran = [event["observation"] for event in outcome["events"] if event["kind"] == "ObservationEvent"]
    assert [seen["kind"] for seen in ran] == ["FileEditorObservation"] * 3 + ["TerminalObservation"]
    assert not [seen for seen in ran if seen["is_error"]]
    assert outcome["events"][-1]["llm_message"]["content"][0]["text"] == f"Done: it prints {PRINTED}."


async def test_claude_code_with_a_subscription_of_its_own(brain: Brain, tmp_path: Path) -> None:
    """Its own OAuth token goes on to Anthropic, untouched, while another header opens the proxy."""
    own = "sk-ant-oat01-test-of-a-subscription"
    async with AnthropicFake() as server:
        server.keys = {own}
        count = give_brain(server, brain)
        behind = Backend("anthropic", "claude-opus-4-8", {"base_url": server.url}, count)
        with behind.proxy(tmp_path / "proxy") as proxy:
            environ = {
                "ANTHROPIC_AUTH_TOKEN": "",
                "CLAUDE_CODE_OAUTH_TOKEN": own,
                "ANTHROPIC_CUSTOM_HEADERS": f"x-lynkr-token: {proxy.token}",
            }
            printed = await run_claude(proxy, tmp_path / "home", brain.prompt, *ALLOWED, environ=environ)
            await check(proxy, behind, brain)
            kept = [path for path in (tmp_path / "proxy").rglob("*") if path.is_file()]
            assert not [path for path in kept if own.encode() in path.read_bytes()]
    assert printed["result"] == f"Done: it prints {PRINTED}."
    assert {asked.headers["authorization"] for asked in server.asked} == {f"Bearer {own}"}
    assert all("oauth" in asked.headers["anthropic-beta"] for asked in server.asked)
    assert not [asked for asked in server.asked if proxy.token in str(asked.headers)]
