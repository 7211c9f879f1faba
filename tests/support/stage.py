"""One engine with a fake of every kind of provider behind it, for tests that pair clients with providers."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from aiohttp import ClientResponse

from tests.support.clients import ALL, Answer, Ask, Client
from tests.support.engine import LIMITS, TOKEN, Running, engine_in_process
from tests.support.fakes import azure, bedrock, vertex
from tests.support.fakes.anthropic import AnthropicFake
from tests.support.fakes.azure import AzureFake
from tests.support.fakes.base import Asked, ScriptedServer
from tests.support.fakes.bedrock import BedrockFake
from tests.support.fakes.ollama import OllamaFake
from tests.support.fakes.openai import OpenAIFake
from tests.support.fakes.vertex import VertexFake
from tests.support.script import Reply

Json = dict[str, Any]


@dataclass(frozen=True)
class Backend:
    """A kind of provider.

    Attributes:
        name: the provider's name in the configuration.
        fake: makes its server.
        options: its options, given the server's origin.
        environ: the environment that it needs.
        lacks: features that its protocol has no word for (`stop`, `format`, `choice`, `thinking` ...).
        whole_calls: it brings a call's arguments in one piece.
        signs: it signs its reasoning.
        framing: how its streams are cut into messages.
        speaks: the client protocols whose bytes it takes as they are.
    """

    name: str
    fake: Callable[[], ScriptedServer]
    options: Callable[[str], Json]
    model: str = "m"
    environ: Mapping[str, str] = field(default_factory=dict)
    lacks: frozenset[str] = frozenset()
    whole_calls: bool = False
    signs: bool = False
    framing: Literal["sse", "lines", "frames"] = "sse"
    speaks: frozenset[str] = frozenset()

    @property
    def target(self) -> str:
        """`provider/model`."""
        return f"{self.name}/{self.model}"


OPENAI = Backend(
    "compatible",
    OpenAIFake,
    lambda url: {"kind": "openai_compatible", "base_url": f"{url}/v1"},
    speaks=frozenset({"openai_chat"}),
)
OLLAMA = Backend(
    "ollama",
    OllamaFake,
    lambda url: {"base_url": url},
    lacks=frozenset({"choice", "parallel"}),
    whole_calls=True,
    framing="lines",
    speaks=frozenset({"ollama_chat", "ollama_generate"}),
)
ANTHROPIC = Backend(
    "anthropic",
    AnthropicFake,
    lambda url: {"base_url": url, "key_env": "ANTHROPIC_API_KEY"},
    model="claude-sonnet-4-5",
    environ={"ANTHROPIC_API_KEY": "sk-ant-api03-for-tests"},
    signs=True,
    speaks=frozenset({"anthropic_messages"}),
)
AZURE = Backend(
    "azure",
    AzureFake,
    lambda url: {"base_url": url, "key_env": "AZURE_OPENAI_API_KEY"},
    environ={"AZURE_OPENAI_API_KEY": azure.KEY},
    speaks=frozenset({"openai_chat", "openai_responses"}),
)
BEDROCK = Backend(
    "bedrock",
    BedrockFake,
    lambda url: {"base_url": url},
    model="us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    environ=bedrock.ENVIRON,
    signs=True,
    framing="frames",
)
VERTEX = Backend(
    "vertex",
    VertexFake,
    lambda url: {"base_url": url, "key_env": "GOOGLE_API_KEY"},
    model="gemini-3-pro-preview",
    environ={"GOOGLE_API_KEY": vertex.KEY},
    lacks=frozenset({"parallel"}),
    whole_calls=True,
)
BACKENDS: tuple[Backend, ...] = (OPENAI, OLLAMA, ANTHROPIC, BEDROCK, AZURE, VERTEX)
CLIENTS: tuple[Client, ...] = ALL
GONE, HASTY = "-gone", "-hasty"
SPARE = "spare"
"""A provider that always answers, the second choice of every tier."""


@dataclass
class Stage:
    """The engine and its fakes by the names of their providers."""

    running: Running
    fakes: dict[str, ScriptedServer]

    async def ask(
        self,
        client: Client,
        backend: Backend,
        ask: Ask,
        *replies: Reply,
        headers: Mapping[str, str] | None = None,
        variant: str = "",
    ) -> Answer:
        """One request to one provider, which answers with `replies`; `variant` is `-gone` or `-hasty`."""
        fake = self.fakes[backend.name]
        fake.forget()
        fake.replies.extend(replies)
        self.forget_limits()
        asked = ask.with_(model=f"{backend.name}{variant}/{backend.model}")
        async with asyncio.timeout(20):
            return await client.send(self.running.http, self.running.url, asked, headers)

    def post(self, client: Client, body: Json, **headers: str) -> AbstractAsyncContextManager[ClientResponse]:
        """A request whose answer is read by the test itself."""
        return self.running.http.post(self.running.url + client.path, json=body, headers=headers)

    async def ask_tier(self, client: Client, tier: str, ask: Ask) -> Answer:
        """One request to a tier."""
        self.forget_limits()
        async with asyncio.timeout(20):
            headers = {"x-lynkr-tier": tier}
            return await client.send(self.running.http, self.running.url, ask, headers)

    def forget_limits(self) -> None:
        """Lets no test wait for what an answer of the one before said about its provider's limits."""
        for lane in self.running.engine.lanes:
            lane.forget()

    def asked(self, backend: Backend) -> Asked:
        """The one request that the provider got."""
        [asked] = self.fakes[backend.name].asked
        return asked

    async def last_row(self) -> Json:
        """The record of the newest request, once it has ended."""
        await self.running.idle()
        return (await self.running.rows())[0]

    @asynccontextmanager
    async def nothing_left(self) -> AsyncIterator[None]:
        """Within the block no connection to a provider and no task may be left behind."""
        before = _tasks()
        yield
        await self.running.idle()
        async with asyncio.timeout(10):
            while connections_in_use(self.running) or not _tasks() <= before:
                await asyncio.sleep(0.005)


def _tasks() -> set[asyncio.Task[Any]]:
    """What runs, without the connections that servers keep open for the next request."""
    return {
        task
        for task in asyncio.all_tasks()
        if "RequestHandler.start" not in getattr(task.get_coro(), "__qualname__", "")
    }


def connections_in_use(running: Running) -> int:
    """Connections to providers that are not idle."""
    sessions = (running.engine._local_session, running.engine._cloud_session)
    return sum(len(session.connector._acquired) for session in sessions if session.connector is not None)


@contextmanager
def closed_port() -> Iterator[int]:
    """A port of this machine at which nobody listens, and nobody will."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@asynccontextmanager
async def stage(home: Path, *backends: Backend) -> AsyncIterator[Stage]:
    """Starts the fakes and an engine that knows them.

    Tiers: each of the first four backends is the first choice of one, in their order; `spare` is the second.

    Args:
        home: the engine's home folder.
        backends: the providers. Each stands there twice more: as `<name>-gone` at a port where nobody
            listens, and as `<name>-hasty` with time limits of 200 ms.
    """
    async with AsyncExitStack() as stack:
        fakes: dict[str, ScriptedServer] = {}
        providers: Json = {}
        environ: dict[str, str] = {}
        for backend in backends:
            fake = await stack.enter_async_context(backend.fake())
            fakes[backend.name] = fake
            providers[backend.name] = backend.options(fake.url)
            environ |= backend.environ
            gone = stack.enter_context(closed_port())
            kind = {"kind": backend.name}
            providers[backend.name + GONE] = {**kind, **backend.options(f"http://127.0.0.1:{gone}")}
            providers[backend.name + HASTY] = {
                **kind,
                **backend.options(fake.url),
                "first_byte_timeout": "200ms",
                "stall_timeout": "200ms",
            }
        fakes[SPARE] = await stack.enter_async_context(OpenAIFake())
        providers[SPARE] = {"kind": "openai_compatible", "base_url": f"{fakes[SPARE].url}/v1"}
        firsts = [backend.target for backend in backends]
        tiers = {
            tier: {"providers": [firsts[number % len(firsts)], f"{SPARE}/m"], "max_complexity": limit}
            for number, (tier, limit) in enumerate(LIMITS.items())
        }
        providers[SPARE]["models"] = ["known-name"]
        config = {
            "proxy": {"auth": {"token": TOKEN}, "drain_timeout": "5s"},
            "providers": providers,
            "routing": {"tiers": tiers},
            "embedded": {"auto_pull": False},
            # One fault after another comes from the same provider here, and each is to be seen.
            "resilience": {"retry": {"attempts": 1}},
            "telemetry": {"circuit_breaker": {"min_calls": 100_000}},
        }
        running = await stack.enter_async_context(engine_in_process(home, config, environ))
        yield Stage(running, fakes)
