"""Amazon Bedrock: Converse and ConverseStream, signed or with a Bedrock API key."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

import aiohttp
import msgspec
from yarl import URL

from lynkr_desktop.engine.config.schema import ProviderOptions
from lynkr_desktop.engine.providers.aws import AwsAccess, AwsProblem
from lynkr_desktop.engine.providers.base import Answer, Availability, Call, EventAnswer, ModelInfo, Provider
from lynkr_desktop.engine.providers.bedrock_catalog import (
    FOUNDATION_MODELS,
    PROFILES,
    control_url,
    geography_of,
    model_behind,
    offered_models,
    profile_path,
)
from lynkr_desktop.engine.providers.http import (
    Limits,
    SessionFactory,
    StreamedAnswer,
    kept_headers,
    post,
    read_all,
)
from lynkr_desktop.engine.providers.key import ProviderKey
from lynkr_desktop.engine.providers.key_check import check_by_get
from lynkr_desktop.engine.wire.anthropic.learned import Learned
from lynkr_desktop.engine.wire.bedrock import BedrockUpstream, ConverseRequest
from lynkr_desktop.engine.wire.bedrock.upstream import STREAM_TYPE
from lynkr_desktop.engine.wire.canonical import Need
from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.protocol.keys import KeyCheck

log = logging.getLogger(__name__)

_REGION_IN_HOST = re.compile(r"//(?:[^/]*\.)?bedrock-runtime(?:-fips)?\.([a-z0-9-]+)\.")
_REFUSED = (401, 403)
_MODELS_FRESH_FOR = 600.0
_NONE_FRESH_FOR = 60.0
_WRONG_CREDENTIALS = ("expired", "security token", "signature")
_PROFILE_NEEDED = "inference profile that contains this model"
_OWN_PROFILE = ":application-inference-profile/"
_MOST_PROFILES = 100
"""Names of models come from clients, so there may be many."""
_LIST_TIMEOUT = aiohttp.ClientTimeout(total=5)
_FRAME_START = b"\0"
"""The first byte of a frame's length, which is below 16 MB; no JSON begins so."""


@dataclass(frozen=True, slots=True)
class _Way:
    """How to reach the service: where, and with a key or a signature."""

    base_url: str
    region: str
    key: str | None = field(default=None, repr=False)


class BedrockProvider(Provider):
    """A provider behind POST {base_url}/model/{model}/converse.

    A model is an id (`anthropic.claude-sonnet-4-6`), an inference profile (`us.anthropic.claude-...`) or an
    ARN.

    Args:
        name: the provider's name in the configuration.
        options: its options; `region` and `base_url` are found where AWS tools look when they are not set.
        session: gives the shared HTTP session.
        key: its Bedrock API key; without one, requests are signed with AWS credentials.
        environ: the environment.
    """

    kind = "bedrock"
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
        self._options = options
        self._limits = Limits.of(options)
        self._session = session
        self._aws = AwsAccess(environ)
        self._codec = BedrockUpstream()
        self._listed: tuple[float, list[ModelInfo]] = (0.0, [])
        self._learned: dict[str, Learned] = {}
        self._behind: dict[str, tuple[float, str]] = {}
        base_url = options.base_url or environ.get("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "")
        self.base_url = base_url.rstrip("/")

    async def start(self) -> None:
        """Begins to look the key up; the keyring may be slow to answer."""
        self.key.start()

    async def availability(self, model: str = "", needs: frozenset[Need] = frozenset()) -> Availability:
        """Available when there is a key or credentials, and a region."""
        try:
            await self._way()
        except WireError as error:
            return Availability("unavailable", error.message)
        return Availability("ready")

    async def models(self) -> list[ModelInfo]:
        """The configured ones, and those that the region offers to all; kept for a while."""
        until, known = self._listed
        if time.monotonic() < until:
            return known
        configured = [ModelInfo(model) for model in self._options.models]
        try:
            way = await self._way()
            bodies = await asyncio.gather(self._get(way, FOUNDATION_MODELS), self._get(way, PROFILES))
            offered = offered_models(*bodies)
        except (WireError, aiohttp.ClientError, TimeoutError, msgspec.DecodeError, UnicodeDecodeError):
            offered = []
        named = set(self._options.models)
        listed = configured + [model for model in offered if model.id not in named]
        self._listed = (time.monotonic() + (_MODELS_FRESH_FOR if offered else _NONE_FRESH_FOR), listed)
        return listed

    async def check_key(self) -> KeyCheck:
        """GETs the list of models with the key, or with a signature where there is none."""
        try:
            way = await self._way()
            url = control_url(way.base_url) + FOUNDATION_MODELS
            headers = await self._authorized("GET", way, url, b"")
        except WireError as error:
            return KeyCheck(provider=self.name, result="none", message=error.message)
        return await check_by_get(self._session(), url, headers, name=self.name, has_key=True)

    async def send(self, call: Call) -> Answer:
        """Sends a request; every client protocol is translated to Converse."""
        way = await self._way()
        model = await self._model_behind(way, call.model)
        request, response = await self._ask(call, way, model)
        if response.content_type == STREAM_TYPE:
            decoder = self._codec.stream_decoder(request.tool_names, model)
            answer = StreamedAnswer(response, decoder, name=self.name, stall=self._limits.stall)
            answer.dropped = request.dropped
            return answer
        whole = await read_all(response, self.name, self._limits.stall)
        try:
            if whole.startswith(_FRAME_START):
                # A gateway passed the stream on under another type: it is understood too, at its end.
                decoder = self._codec.stream_decoder(request.tool_names, model)
                events = [event for _, events in decoder.feed(whole) for event in events] + decoder.finish()
            else:
                events = self._codec.decode_reply(whole, request.tool_names, model)
        except WireError as error:
            error.message = f"{self.name}: {error.message}"
            raise
        return EventAnswer(events, dropped=request.dropped, headers=kept_headers(response.headers))

    async def _ask(self, call: Call, way: _Way, model: str) -> tuple[ConverseRequest, aiohttp.ClientResponse]:
        """Sends a request, and again without what the model refuses to take."""
        stream = call.request.stream
        url = f"{way.base_url}/model/{quote(call.model, safe='')}/converse{'-stream' if stream else ''}"
        learned = self._learned.get(call.model, Learned())
        while True:
            request = ConverseRequest(call.request, model, learned)
            try:
                response = await post(
                    self._session(),
                    # The signature covers the path as it is escaped here.
                    URL(url, encoded=True),
                    request.body,
                    name=self.name,
                    headers=await self._headers(way, url, request.body, stream=stream),
                    limits=self._limits,
                    codec=self._codec,
                )
            except WireError as error:
                if error.status in _REFUSED:
                    self._aws.forget()
                error.message += _advice(error, way, call.model)
                taught = learned.taught(error.message) if error.status == 400 else None
                if taught is None:
                    raise
                learned = taught
                self._learned[call.model] = learned.lasting()
            else:
                return request, response

    async def _model_behind(self, way: _Way, model: str) -> str:
        """The model that an application's own profile asks: its ARN only has a number in it."""
        if _OWN_PROFILE not in model:
            return model
        at, known = self._behind.get(model, (0.0, ""))
        if not known and (not at or time.monotonic() - at > _MODELS_FRESH_FOR):
            try:
                known = model_behind(await self._get(way, profile_path(model)))
            except (WireError, aiohttp.ClientError, TimeoutError, msgspec.DecodeError, UnicodeDecodeError):
                log.info("%s does not tell which model is behind %s", self.name, model)
            if model in self._behind or len(self._behind) < _MOST_PROFILES:
                self._behind[model] = (time.monotonic(), known)
        return known or model

    async def close(self) -> None:
        """Gives up a key lookup that still runs; the connections are the session's."""
        self.key.close()

    async def _way(self) -> _Way:
        """Raises `WireError` 503 that says what is missing."""
        key = await self.key.get()
        region = self._options.region or _region_of(self.base_url) or self._aws.region
        if key is None or not (region or self.base_url):
            facts = await self._aws.facts()
            region = region or facts.region
            if key is None and facts.credentials is None:
                problem = facts.problem or "it has neither a key nor AWS credentials"
                raise self._unavailable(
                    f"{problem}. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, sign in with "
                    f"`aws sso login`, or store a Bedrock API key with `lynkr keys set {self.name}`."
                )
        if not region and (key is None or not self.base_url):
            raise self._unavailable(f"it has no region. Set providers.{self.name}.region or AWS_REGION.")
        return _Way(self.base_url or endpoint(region), region, key)

    async def _headers(self, way: _Way, url: str, body: bytes, *, stream: bool) -> dict[str, str]:
        headers = await self._authorized("POST", way, url, body)
        return {"accept": STREAM_TYPE if stream else "application/json", **headers, **self._options.headers}

    async def _authorized(self, method: str, way: _Way, url: str, body: bytes) -> dict[str, str]:
        headers = {"content-type": "application/json"}
        if way.key is not None:
            return {**headers, "authorization": f"Bearer {way.key}"}
        try:
            return await self._aws.sign(method, url, headers, body, way.region)
        except AwsProblem as problem:
            self._aws.forget()
            raise self._unavailable(f"{problem}.") from problem

    async def _get(self, way: _Way, path: str) -> bytes:
        url = control_url(way.base_url) + path
        headers = await self._authorized("GET", way, url, b"")
        async with self._session().get(
            URL(url, encoded=True), headers=headers, timeout=_LIST_TIMEOUT, raise_for_status=True
        ) as response:
            return await response.read()

    def _unavailable(self, why: str) -> WireError:
        return WireError(f"{self.name} cannot be used: {why}", status=503, kind="unavailable")


def _advice(error: WireError, way: _Way, model: str) -> str:
    """What to do about an error, where the service's own words leave it open."""
    said = error.message.lower()
    if error.status in _REFUSED and way.key is None and any(mark in said for mark in _WRONG_CREDENTIALS):
        return " Renew the AWS credentials, for instance with `aws sso login`."
    geography = geography_of(way.region)
    if error.status == 400 and _PROFILE_NEEDED in said and geography:
        return f" Try {geography}.{model}."
    return ""


def endpoint(region: str) -> str:
    """Where the models of a region answer."""
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"https://bedrock-runtime.{region}.{suffix}"


def _region_of(base_url: str) -> str:
    found = _REGION_IN_HOST.search(base_url)
    return found[1] if found else ""
