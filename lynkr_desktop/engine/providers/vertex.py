"""Gemini and Claude on Vertex AI, or Gemini alone by an API key."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import aiohttp
import msgspec
from yarl import URL

from lynkr_desktop.engine.config.schema import ProviderOptions
from lynkr_desktop.engine.providers.base import Answer, Availability, Call, EventAnswer, ModelInfo, Provider
from lynkr_desktop.engine.providers.google_access import GoogleAccess, GoogleProblem
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
from lynkr_desktop.engine.providers.messages_api import MessagesApi, own_headers
from lynkr_desktop.engine.wire.canonical import EmbeddingRequest, Embeddings, Need, Usage
from lynkr_desktop.engine.wire.codec import Dialect
from lynkr_desktop.engine.wire.errors import Unsupported, WireError
from lynkr_desktop.engine.wire.fields import encode_json
from lynkr_desktop.engine.wire.gemini import GeminiUpstream
from lynkr_desktop.engine.wire.gemini.outgoing import compose
from lynkr_desktop.engine.wire.gemini.signatures import Signatures
from lynkr_desktop.protocol.keys import KeyCheck

GEMINI_API = "https://generativelanguage.googleapis.com"
CLAUDE_VERSION = "vertex-2023-10-16"
LOCATION = "global"
"""Where neither the configuration nor the environment names a location: all newer models are there."""

_MODELS_FRESH_FOR = 60.0
_LIST_TIMEOUT = aiohttp.ClientTimeout(total=5)
_REFUSED = (401, 403)


@dataclass(frozen=True, slots=True)
class _Way:
    """How requests go: to Vertex AI with a project, or to the Gemini API, which knows none."""

    base_url: str
    headers: dict[str, str] = field(repr=False)
    place: str = ""
    """`projects/.../locations/...` on Vertex AI, else empty."""

    def url(self, publisher: str, model: str, method: str) -> URL:
        """The address of a model's method."""
        name = quote(model, safe="@.-_")
        path = f"v1/{self.place}/publishers/{publisher}/models" if self.place else "v1beta/models"
        return URL(f"{self.base_url}/{path}/{name}:{method}", encoded=True)


class VertexProvider(Provider):
    """Google's models.

    With a project and credentials requests go to Vertex AI, which has Gemini and Claude; with an API key
    alone they go to the Gemini API.

    Args:
        name: the provider's name in the configuration.
        options: its options; `project` and `location` are found in the environment when they are not set.
        session: gives the shared HTTP session.
        key: its API key, if any.
        environ: the environment.
    """

    kind = "vertex"
    key: ProviderKey

    def __init__(
        self,
        *,
        name: str,
        options: ProviderOptions,
        session: SessionFactory,
        key: ProviderKey,
        environ: Mapping[str, str],
    ) -> None:
        self.name = name
        self.key = key
        self.base_url = (options.base_url or "").rstrip("/").removesuffix("/v1")
        self._options = options
        self._session = session
        self._limits = Limits.of(options)
        self._project = options.project or _first(
            environ, "GOOGLE_CLOUD_PROJECT", "ANTHROPIC_VERTEX_PROJECT_ID"
        )
        self._location = (
            options.location or _first(environ, "GOOGLE_CLOUD_LOCATION", "CLOUD_ML_REGION") or LOCATION
        )
        self._access = GoogleAccess(environ)
        self._gemini = GeminiUpstream()
        self._claude = MessagesApi(name=name, session=session, limits=self._limits, version=CLAUDE_VERSION)
        self._models: tuple[float, list[ModelInfo]] = (0.0, [])

    async def start(self) -> None:
        """Begins to look the key up; the keyring may be slow to answer."""
        self.key.start()

    def speaks(self, dialect: Dialect, model: str) -> bool:
        """Messages, for Claude."""
        return dialect == "anthropic_messages" and _is_claude(model)

    async def availability(self, model: str = "", needs: frozenset[Need] = frozenset()) -> Availability:
        """Available when there is a key, or a project with credentials."""
        try:
            if await self._key_alone() is None:
                await self._project_of_credentials()
            elif _is_claude(model):
                return Availability("unavailable", self._no_claude())
        except WireError as error:
            return Availability("unavailable", error.message)
        return Availability("ready")

    async def models(self) -> list[ModelInfo]:
        """Google's lists of Gemini and Claude models, kept for a minute."""
        at, known = self._models
        if at and time.monotonic() - at < _MODELS_FRESH_FOR:
            return known
        try:
            way = await self._way()
            listed = await self._listed(way)
        except WireError:
            return []
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError, UnicodeDecodeError):
            listed = [ModelInfo(model) for model in self._options.models]
        self._models = (time.monotonic(), listed)
        return listed

    async def check_key(self) -> KeyCheck:
        """Asks the Gemini API for its models; on Vertex AI, whether Google gives a token."""
        try:
            way = await self._way()
        except WireError as error:
            return KeyCheck(provider=self.name, result="none", message=error.message)
        if way.place:
            message = f"{self.name} uses this machine's Google credentials, and they are good."
            return KeyCheck(provider=self.name, result="unknown", message=message)
        url = f"{way.base_url}/v1beta/models"
        return await check_by_get(self._session(), url, way.headers, name=self.name, has_key=True)

    async def send(self, call: Call) -> Answer:
        """Sends a request: Messages to Claude, generateContent to all else."""
        way = await self._way()
        try:
            if _is_claude(call.model):
                return await self._send_claude(call, way)
            return await self._send_gemini(call, way)
        except WireError as error:
            if error.status in _REFUSED:
                self._access.forget()
            raise

    async def count_tokens(self, call: Call) -> int | None:
        """What Vertex AI counts for Claude; None for other models, or when it cannot be asked."""
        if not _is_claude(call.model):
            return None
        try:
            way = await self._way()
        except WireError:
            return None
        if not way.place:
            return None
        return await self._claude.count(call, way.url("anthropic", "count-tokens", "rawPredict"), way.headers)

    async def embed(self, request: EmbeddingRequest, model: str) -> Embeddings:
        """Turns texts into vectors, one request a text: not every model takes several at once."""
        if request.tokens:
            raise Unsupported(f"{self.name} takes texts only, no tokens.", "input")
        way = await self._way()
        found = [await self._embed(text, request.dimensions, model, way) for text in request.inputs]
        tokens = sum(count for _, count in found)
        usage = Usage(input_tokens=tokens, estimated=tokens == 0)
        return Embeddings(model, tuple(vector for vector, _ in found), usage)

    async def close(self) -> None:
        """Gives up a key lookup that still runs; the connections are the session's."""
        self.key.close()

    # ------------------------------------------------------------ requests

    async def _send_claude(self, call: Call, way: _Way) -> Answer:
        if not way.place:
            raise WireError(self._no_claude(), status=503, kind="unavailable")
        method = "streamRawPredict" if call.request.stream else "rawPredict"
        betas = {name: value for name, value in own_headers(call).items() if name == "anthropic-beta"}
        return await self._claude.send(call, way.url("anthropic", call.model, method), way.headers | betas)

    async def _send_gemini(self, call: Call, way: _Way) -> Answer:
        composed = compose(call.request, call.model, self._gemini.signatures)
        if call.request.stream:
            url = way.url("google", call.model, "streamGenerateContent").with_query(alt="sse")
        else:
            url = way.url("google", call.model, "generateContent")
        try:
            response = await self._post(url, encode_json(composed.body), way)
        except WireError as error:
            if error.status != 400 or "thought signature" not in error.message.lower():
                raise
            # Google no longer takes what it signed: for another project or account, say.
            composed = compose(call.request, call.model, Signatures())
            response = await self._post(url, encode_json(composed.body), way)
        if response.content_type == "text/event-stream":
            decoder = self._gemini.stream_decoder()
            answer = StreamedAnswer(response, decoder, name=self.name, stall=self._limits.stall)
            answer.dropped = composed.dropped
            return answer
        whole = await read_all(response, self.name, self._limits.stall)
        events = decode_whole(whole, self._gemini, self.name)
        return EventAnswer(events, dropped=composed.dropped, headers=kept_headers(response.headers))

    async def _embed(
        self, text: str, dimensions: int | None, model: str, way: _Way
    ) -> tuple[tuple[float, ...], int]:
        """One vector, and the tokens of its text, 0 where they are not told."""
        size = {"outputDimensionality": dimensions} if dimensions else {}
        body: dict[str, Any]
        if way.place:
            body = {"instances": [{"content": text}], "parameters": size}
            response = await self._post(way.url("google", model, "predict"), encode_json(body), way)
        else:
            content = {"parts": [{"text": text}]}
            body = {"requests": [{"model": f"models/{model}", "content": content, **size}]}
            response = await self._post(
                way.url("google", model, "batchEmbedContents"), encode_json(body), way
            )
        whole = await read_all(response, self.name, self._limits.stall)
        try:
            answer = msgspec.json.decode(whole, type=_Vectors)
            found = [prediction.embeddings for prediction in answer.predictions] or answer.embeddings
            [vector] = found
        except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
            raise WireError(f"{self.name} answered with something that holds no vector.") from error
        return vector.values, vector.statistics.token_count if vector.statistics else 0

    async def _post(self, url: URL, body: bytes, way: _Way) -> aiohttp.ClientResponse:
        return await post(
            self._session(),
            url,
            body,
            name=self.name,
            headers=way.headers,
            limits=self._limits,
            codec=self._gemini,
        )

    async def _listed(self, way: _Way) -> list[ModelInfo]:
        if not way.place:
            found = await self._get(f"{way.base_url}/v1beta/models?pageSize=1000", way)
            return [
                ModelInfo(model.name.removeprefix("models/"), context_length=model.input_token_limit)
                for model in found.models
                if "generateContent" in model.supported_generation_methods
            ]
        lists = await asyncio.gather(
            *(
                self._get(f"{way.base_url}/v1beta1/publishers/{publisher}/models?pageSize=100", way)
                for publisher in ("google", "anthropic")
            )
        )
        names = [model.name.rpartition("/")[2] for found in lists for model in found.publisher_models]
        return [ModelInfo(name) for name in names if name.startswith(("gemini-", "claude-"))]

    async def _get(self, url: str, way: _Way) -> _Listing:
        headers = dict(way.headers)
        if self._project:
            headers["x-goog-user-project"] = self._project
        async with self._session().get(url, headers=headers, timeout=_LIST_TIMEOUT) as response:
            return msgspec.json.decode(await response.read(), type=_Listing)

    # ------------------------------------------------------------ access

    async def _key_alone(self) -> str | None:
        """The API key, where nothing says that Vertex AI is meant."""
        if self._project or self._access.configured:
            return None
        return await self.key.get()

    async def _way(self) -> _Way:
        """Raises `WireError` 503 that says what is missing."""
        headers = {"content-type": "application/json", **self._options.headers}
        if (key := await self._key_alone()) is not None:
            return _Way(self.base_url or GEMINI_API, {**headers, "x-goog-api-key": key})
        project = await self._project_of_credentials()
        try:
            token = await self._access.token()
        except GoogleProblem as problem:
            raise self._unavailable(f"{problem}.") from problem
        place = f"projects/{quote(project, safe=':.-')}/locations/{quote(self._location, safe='')}"
        base_url = self.base_url or vertex_url(self._location)
        return _Way(base_url, {**headers, "authorization": f"Bearer {token}"}, place)

    async def _project_of_credentials(self) -> str:
        try:
            project = self._project or await self._access.project()
            if self._project:
                await self._access.project()
        except GoogleProblem as problem:
            raise self._unavailable(f"{problem}, or store an API key: {self.key.hint}") from problem
        if not project:
            raise self._unavailable(
                f"the Google credentials name no project. Set providers.{self.name}.project, or "
                "GOOGLE_CLOUD_PROJECT."
            )
        return project

    def _no_claude(self) -> str:
        return (
            f"{self.name} has only an API key, and Google has Claude on Vertex AI alone. Set "
            f"providers.{self.name}.project and run `gcloud auth application-default login`."
        )

    def _unavailable(self, problem: str) -> WireError:
        return WireError(f"{self.name} cannot be used: {problem}", status=503, kind="unavailable")


def vertex_url(location: str) -> str:
    """Where Vertex AI answers for a location."""
    if location == "global":
        return "https://aiplatform.googleapis.com"
    if location in ("us", "eu"):
        return f"https://aiplatform.{location}.rep.googleapis.com"
    return f"https://{location}-aiplatform.googleapis.com"


def _is_claude(model: str) -> bool:
    return model.startswith("claude")


def _first(environ: Mapping[str, str], *names: str) -> str:
    return next((value for name in names if (value := environ.get(name, "").strip())), "")


class _ListedModel(msgspec.Struct, rename="camel"):
    name: str
    input_token_limit: int | None = None
    supported_generation_methods: list[str] = []


class _Listing(msgspec.Struct, rename="camel"):
    models: list[_ListedModel] = []
    publisher_models: list[_ListedModel] = []


class _Statistics(msgspec.Struct):
    token_count: int = 0


class _Vector(msgspec.Struct):
    values: tuple[float, ...]
    statistics: _Statistics | None = None


class _Prediction(msgspec.Struct):
    embeddings: _Vector


class _Vectors(msgspec.Struct):
    predictions: list[_Prediction] = []
    embeddings: list[_Vector] = []
