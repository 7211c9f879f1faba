"""Every codec, and answers of every upstream as bytes, for tests that need neither server nor engine."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from lynkr_desktop.engine.endpoints.llm import CODECS
from lynkr_desktop.engine.wire.anthropic import AnthropicUpstream
from lynkr_desktop.engine.wire.bedrock import BedrockUpstream
from lynkr_desktop.engine.wire.codec import ClientCodec, ProviderCodec
from lynkr_desktop.engine.wire.gemini import GeminiUpstream
from lynkr_desktop.engine.wire.ollama import OllamaChatClient, OllamaGenerateClient, OllamaUpstream
from lynkr_desktop.engine.wire.openai_chat import OpenAIChatUpstream
from lynkr_desktop.engine.wire.openai_responses import ResponsesUpstream
from tests.support.clients import ALL, Client
from tests.support.fakes.anthropic import AnthropicFake
from tests.support.fakes.base import Asked, ScriptedServer, Wire
from tests.support.fakes.bedrock import BedrockFake
from tests.support.fakes.ollama import OllamaFake
from tests.support.fakes.openai import OpenAIFake
from tests.support.fakes.vertex import VertexFake
from tests.support.script import Call, Reply, Say, Think

Json = dict[str, Any]


@dataclass(frozen=True)
class Spoken:
    """A client protocol: the strict client, and the codec that serves it."""

    client: Client
    codec: ClientCodec


@dataclass(frozen=True)
class Upstream:
    """A provider protocol: its codec, and the fake that renders its answers."""

    name: str
    codec: ProviderCodec
    fake: Callable[[], ScriptedServer]
    path: str
    stream_path: str = ""
    body: Json = field(default_factory=dict)
    binary: bool = False

    def wire(self, *, stream: bool) -> Wire:
        """What renders one answer."""
        path = (self.stream_path or self.path) if stream else self.path
        thinking = {"type": "enabled", "budget_tokens": 1024}
        body: Json = {"model": "m", "stream": stream, "stream_options": {"include_usage": True}}
        asked = Asked("POST", path, {}, {}, json.dumps({**body, "thinking": thinking, **self.body}).encode())
        return self.fake().wire(asked)

    def rendered(self, reply: Reply, *, stream: bool) -> bytes:
        """An answer as bytes."""
        wire = self.wire(stream=stream)
        if not stream:
            return wire.whole(reply)
        out = wire.start()
        for step in reply.steps:
            match step:
                case Say():
                    out += wire.say(step.text)
                case Think():
                    out += wire.think(step.text)
                case Call():
                    out += b"".join(wire.call(step.name, step.arguments))
                case _:
                    raise TypeError(f"not a step of a good answer: {step!r}")
        return out + wire.end(reply.done_reason, counts=reply.counts)


_SERVED: dict[str, ClientCodec] = {
    **CODECS,
    "/api/chat": OllamaChatClient(),
    "/api/generate": OllamaGenerateClient(),
}
SPOKEN: tuple[Spoken, ...] = tuple(Spoken(client, _SERVED[client.path]) for client in ALL)
UPSTREAMS: tuple[Upstream, ...] = (
    Upstream("openai_chat", OpenAIChatUpstream(), OpenAIFake, "/v1/chat/completions"),
    Upstream("openai_responses", ResponsesUpstream(), OpenAIFake, "/v1/responses"),
    Upstream("anthropic", AnthropicUpstream(), AnthropicFake, "/v1/messages"),
    Upstream("ollama", OllamaUpstream(), OllamaFake, "/api/chat"),
    Upstream("ollama_generate", OllamaUpstream(), OllamaFake, "/api/generate"),
    Upstream(
        "bedrock",
        BedrockUpstream(),
        BedrockFake,
        "/model/m/converse",
        "/model/m/converse-stream",
        binary=True,
    ),
    Upstream(
        "gemini",
        GeminiUpstream(),
        VertexFake,
        "/v1beta/models/m:generateContent",
        "/v1beta/models/m:streamGenerateContent",
        body={"generationConfig": {"thinkingConfig": {"includeThoughts": True}}},
    ),
)
