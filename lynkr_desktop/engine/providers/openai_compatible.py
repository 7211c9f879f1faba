"""Anything that speaks OpenAI Chat: OpenAI, OpenRouter, LM Studio, vLLM, llama.cpp, Groq, DeepSeek.

Where a server has OpenAI Responses as well, clients of that protocol get it untouched, and models that answer
nowhere else are asked there.
"""

from __future__ import annotations

import re
import time

import aiohttp
import msgspec
from msgspec import Raw

from lynkr_desktop.engine.config.schema import ProviderOptions
from lynkr_desktop.engine.providers.base import Answer, Availability, Call, EventAnswer, ModelInfo, Provider
from lynkr_desktop.engine.providers.http import (
    Limits,
    SessionFactory,
    StreamedAnswer,
    decode_whole,
    kept_headers,
    post,
    read_all,
)
from lynkr_desktop.engine.providers.key import ProviderKey
from lynkr_desktop.engine.providers.key_check import check_by_get
from lynkr_desktop.engine.providers.openai_responses import ResponsesAnswer, ResponsesPath
from lynkr_desktop.engine.security.egress import is_loopback
from lynkr_desktop.engine.wire.canonical import EmbeddingRequest, Embeddings, Event, Need
from lynkr_desktop.engine.wire.codec import Dialect, ProviderCodec
from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.engine.wire.openai_chat import OpenAIChatUpstream
from lynkr_desktop.engine.wire.openai_embeddings import decode_embeddings, encode_embeddings
from lynkr_desktop.engine.wire.openai_responses import ResponsesUpstream, without_foreign_reasoning
from lynkr_desktop.protocol.keys import KeyCheck

BASE_URLS = {"openai": "https://api.openai.com/v1", "openrouter": "https://openrouter.ai/api/v1"}

_OWN_SERVERS = frozenset(
    {"jan", "koboldcpp", "llamacpp", "llamafile", "lmstudio", "localai", "mlx", "sglang", "tabbyapi", "vllm"}
)
"""Servers that people run for themselves. Another one on this machine may be a gateway to paid models."""

_READY = Availability("ready")
_MODELS_FRESH_FOR = 60.0
_LIST_TIMEOUT = aiohttp.ClientTimeout(total=5)


class OpenAICompatibleProvider(Provider):
    """A provider behind POST {base_url}/chat/completions, and {base_url}/responses where it has that.

    Args:
        name: the provider's name in the configuration.
        kind: `openai`, `openrouter` or `openai_compatible`.
        options: its options; `base_url` is required for `openai_compatible`.
        session: gives the shared HTTP session.
        key: its key; left out, it has none.
    """

    key: ProviderKey
    _stream_kind: type[StreamedAnswer] = StreamedAnswer

    def __init__(
        self,
        *,
        name: str,
        kind: str,
        options: ProviderOptions,
        session: SessionFactory,
        key: ProviderKey | None = None,
    ) -> None:
        self.name = name
        self.kind = kind
        self.base_url = (options.base_url or BASE_URLS.get(kind, "")).rstrip("/")
        self.local = is_loopback(self.base_url)
        own_server = self.local and kind == "openai_compatible" and re.sub(r"\W|_", "", name) in _OWN_SERVERS
        self.free = own_server if options.free is None else options.free
        # Models of the vendor's own service call tools properly; what else speaks its protocol may not.
        self.text_tool_calls = self.base_url != BASE_URLS["openai"]
        self._options = options
        self._limits = Limits.of(options)
        self._session = session
        self.key = key or ProviderKey()
        self._codec = OpenAIChatUpstream("max_completion_tokens" if kind == "openai" else "max_tokens")
        self._responses_codec = ResponsesUpstream()
        self._responses = ResponsesPath(
            offered=kind == "openai" if options.responses is None else options.responses
        )
        self._models: tuple[float, str | None, list[ModelInfo]] = (0.0, None, [])

    async def start(self) -> None:
        """Begins to look the key up; the keyring may be slow to answer."""
        self.key.start()

    def speaks(self, dialect: Dialect, model: str) -> bool:
        """Chat Completions, and Responses where the server has them."""
        return dialect == "openai_chat" or (dialect == "openai_responses" and self._responses.has(model))

    async def availability(self, model: str = "", needs: frozenset[Need] = frozenset()) -> Availability:
        """Available when it has its key, or needs none."""
        if not self.base_url:
            return Availability(
                "unavailable", f"{self.name} has no base_url. Set providers.{self.name}.base_url."
            )
        if self.base_url == BASE_URLS.get(self.kind) and await self.key.get() is None:
            return Availability("unavailable", f"{self.name} has no key. {self.key.hint}".rstrip())
        return _READY

    async def models(self) -> list[ModelInfo]:
        """What GET {base_url}/models lists, kept for a minute."""
        if not (await self.availability()).usable:
            return []
        key = await self.key.get()
        at, listed_for, known = self._models
        if time.monotonic() - at < _MODELS_FRESH_FOR and at and listed_for == key:
            return known
        try:
            url = f"{self.base_url}/models"
            headers = self._request_headers(key)
            async with self._session().get(url, headers=headers, timeout=_LIST_TIMEOUT) as response:
                body = await response.read()
            listed = [ModelInfo(entry.id) for entry in msgspec.json.decode(body, type=_ModelList).data]
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError, UnicodeDecodeError):
            listed = [ModelInfo(model) for model in self._options.models]
        self._models = (time.monotonic(), key, listed)
        return listed

    async def check_key(self) -> KeyCheck:
        """GETs the list of models; of OpenRouter, whose list is open to all, the facts about the key."""
        found = await self.availability()
        if not found.usable:
            return KeyCheck(provider=self.name, result="none", message=found.reason)
        key = await self.key.get()
        path = "key" if self.kind == "openrouter" else "models"
        headers = self._request_headers(key)
        url = f"{self.base_url}/{path}"
        return await check_by_get(self._session(), url, headers, name=self.name, has_key=bool(key))

    async def send(self, call: Call) -> Answer:
        """Sends a request; the body of a client of the same protocol goes on with only its model changed."""
        found = await self.availability(call.model)
        if not found.usable:
            raise WireError(found.reason, status=503, kind="unavailable")
        if self._responses.takes(call):
            return await self._send_responses(call)
        try:
            return await self._send_chat(call)
        except WireError as error:
            if not self._responses.learn_needed(call.model, error):
                raise
        return await self._send_responses(call)

    async def _send_chat(self, call: Call) -> Answer:
        body, usage_added = self._body(call)
        response = await self._post("chat/completions", call.model, body, self._codec)
        untouched = call.dialect == "openai_chat"
        dialect: Dialect | None = "openai_chat" if untouched else None
        dropped = () if untouched else self._codec.dropped(call.request)
        if response.content_type == "text/event-stream":
            answer = (_UsageHidden if usage_added else self._stream_kind)(
                response,
                self._codec.stream_decoder(),
                name=self.name,
                dialect=dialect if call.request.stream else None,
                stall=self._limits.stall,
            )
            answer.dropped = dropped
            return answer
        return await self._whole(response, call, self._codec, dialect, dropped)

    async def _send_responses(self, call: Call) -> Answer:
        """Asks by Responses; by Chat Completions where it turns out that the server has nothing else."""
        codec = self._responses_codec
        untouched = call.dialect == "openai_responses"
        if untouched:
            body = without_foreign_reasoning(_with_model(call))
        else:
            body = codec.encode_request(call.request, call.model)
        try:
            response = await self._post("responses", call.model, body, codec)
        except WireError as error:
            if call.request.inexpressible or not self._responses.may_be_missing(call.model, error):
                raise
            fallback = await self._send_chat(call)
            self._responses.learn_missing(call.model)
            return fallback
        dialect: Dialect | None = "openai_responses" if untouched else None
        dropped = () if untouched else codec.dropped(call.request)
        if response.content_type == "text/event-stream":
            answer = ResponsesAnswer(
                response,
                codec.stream_decoder(),
                name=self.name,
                dialect=dialect if call.request.stream else None,
                stall=self._limits.stall,
            )
            answer.dropped = dropped
            return answer
        return await self._whole(response, call, codec, dialect, dropped)

    async def embed(self, request: EmbeddingRequest, model: str) -> Embeddings:
        """Turns texts into vectors by POST {base_url}/embeddings."""
        found = await self.availability(model)
        if not found.usable:
            raise WireError(found.reason, status=503, kind="unavailable")
        body = encode_embeddings(request, model)
        response = await self._post("embeddings", model, body, self._codec)
        return decode_embeddings(await read_all(response, self.name, self._limits.stall))

    async def _post(self, path: str, model: str, body: bytes, codec: ProviderCodec) -> aiohttp.ClientResponse:
        return await post(
            self._session(),
            self._url(path, model),
            body,
            name=self.name,
            headers=self._request_headers(await self.key.get()),
            limits=self._limits,
            codec=codec,
        )

    async def _whole(
        self,
        response: aiohttp.ClientResponse,
        call: Call,
        codec: ProviderCodec,
        dialect: Dialect | None,
        dropped: tuple[str, ...],
    ) -> Answer:
        whole = await read_all(response, self.name, self._limits.stall)
        events = decode_whole(whole, codec, self.name)
        if call.request.stream or not whole.lstrip().startswith(b"{"):
            dialect = None
        headers = kept_headers(response.headers)
        return EventAnswer(events, whole, dialect=dialect, dropped=dropped, headers=headers)

    async def close(self) -> None:
        """Gives up a key lookup that still runs; the connections are the session's."""
        self.key.close()

    def _url(self, path: str, model: str) -> str:
        """Where `model` answers; a service may have a path for each."""
        return f"{self.base_url}/{path}"

    def _request_headers(self, key: str | None) -> dict[str, str]:
        headers = {"content-type": "application/json", **self._options.headers}
        if key:
            headers["authorization"] = f"Bearer {key}"
        return headers

    def _body(self, call: Call) -> tuple[bytes, bool]:
        """The body to send, and whether usage was asked for on the client's behalf."""
        if call.dialect != "openai_chat":
            return self._codec.encode_request(call.request, call.model), False
        ask_usage = (
            call.request.stream and not call.request.include_usage and call.request.model != call.model
        )
        more = {"stream_options": Raw(b'{"include_usage":true}')} if ask_usage else {}
        return _with_model(call, **more), ask_usage


_RAW_FIELDS = msgspec.json.Decoder(dict[str, Raw])


def _with_model(call: Call, **fields: Raw) -> bytes:
    """The client's own body, with `fields` where the model is another than the client asked for."""
    if call.request.model == call.model:
        return call.body
    body = _RAW_FIELDS.decode(call.body)
    body["model"] = Raw(msgspec.json.encode(call.model))
    return msgspec.json.encode(body | fields)


_ONLY_USAGE = re.compile(rb'"choices"\s*:\s*\[\s*\]')


class _UsageHidden(StreamedAnswer):
    """A stream whose usage chunk was asked for by us: the client must not see it."""

    def _joined(self, pieces: list[tuple[bytes, list[Event]]]) -> tuple[bytes, list[Event]]:
        """The reply without the chunk that only carries usage."""
        return super()._joined(
            [(b"" if _ONLY_USAGE.search(raw) is not None else raw, events) for raw, events in pieces]
        )


class _ListedModel(msgspec.Struct):
    id: str


class _ModelList(msgspec.Struct):
    data: list[_ListedModel]
