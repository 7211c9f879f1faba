"""Anthropic, by its Messages API: with a key, or with the credential that a client brings."""

from __future__ import annotations

import time

import aiohttp
import msgspec

from lynkr_desktop.engine.config.schema import ProviderOptions
from lynkr_desktop.engine.providers.base import Answer, Availability, Call, ModelInfo, Provider
from lynkr_desktop.engine.providers.http import Limits, SessionFactory
from lynkr_desktop.engine.providers.key import ProviderKey
from lynkr_desktop.engine.providers.key_check import check_by_get
from lynkr_desktop.engine.providers.messages_api import VERSION, MessagesApi, own_headers
from lynkr_desktop.engine.wire.canonical import Need
from lynkr_desktop.engine.wire.codec import Dialect
from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.protocol.keys import KeyCheck

BASE_URL = "https://api.anthropic.com"

_OAUTH_BETA = "oauth-2025-04-20"
_OAUTH_TOKEN = "sk-ant-oat"
_ANTHROPICS = "sk-ant-"
_MODELS_FRESH_FOR = 60.0
_LIST_TIMEOUT = aiohttp.ClientTimeout(total=5)


class AnthropicProvider(Provider):
    """A provider behind POST {base_url}/v1/messages.

    A client's own credential comes before the configured key, and goes on untouched: with it Claude Code uses
    its user's subscription.

    Args:
        name: the provider's name in the configuration.
        options: its options.
        session: gives the shared HTTP session.
        key: its key; an OAuth token will do, too.
    """

    kind = "anthropic"
    key: ProviderKey

    def __init__(
        self, *, name: str, options: ProviderOptions, session: SessionFactory, key: ProviderKey | None = None
    ) -> None:
        self.name = name
        self.base_url = (options.base_url or BASE_URL).rstrip("/").removesuffix("/v1")
        self.key = key or ProviderKey()
        self._options = options
        self._session = session
        self._api = MessagesApi(name=name, session=session, limits=Limits.of(options))
        self._models: tuple[float, str | None, list[ModelInfo]] = (0.0, None, [])

    async def start(self) -> None:
        """Begins to look the key up; the keyring may be slow to answer."""
        self.key.start()

    def speaks(self, dialect: Dialect, model: str) -> bool:
        """Messages."""
        return dialect == "anthropic_messages"

    async def availability(self, model: str = "", needs: frozenset[Need] = frozenset()) -> Availability:
        """Available when it has its key, or needs none."""
        if self.base_url == BASE_URL and await self.key.get() is None:
            reason = f"{self.name} has no key. {self.key.hint}".rstrip()
            return Availability("unavailable", reason, own_key_helps=True)
        return Availability("ready")

    async def models(self) -> list[ModelInfo]:
        """What GET {base_url}/v1/models lists, kept for a minute."""
        if not (await self.availability()).usable:
            return []
        key = await self.key.get()
        at, listed_for, known = self._models
        if at and time.monotonic() - at < _MODELS_FRESH_FOR and listed_for == key:
            return known
        url = f"{self.base_url}/v1/models?limit=1000"
        headers = self._headers(None, key)
        try:
            async with self._session().get(url, headers=headers, timeout=_LIST_TIMEOUT) as response:
                body = await response.read()
            listed = [self._listed(entry) for entry in msgspec.json.decode(body, type=_ModelList).data]
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError, UnicodeDecodeError):
            listed = [ModelInfo(model) for model in self._options.models]
        self._models = (time.monotonic(), key, listed)
        return listed

    async def check_key(self) -> KeyCheck:
        """Asks for the list of models with the key."""
        key = await self.key.get()
        return await check_by_get(
            self._session(),
            f"{self.base_url}/v1/models",
            self._headers(None, key),
            name=self.name,
            has_key=key is not None,
        )

    async def send(self, call: Call) -> Answer:
        """Sends a request; a Messages client's body, version and betas go on as they are."""
        headers = await self._headers_for(call)
        if headers is None:
            raise WireError((await self.availability()).reason, status=503, kind="unavailable")
        return await self._api.send(call, f"{self.base_url}/v1/messages{_query(call)}", headers)

    async def count_tokens(self, call: Call) -> int | None:
        """What Anthropic counts; None when it cannot be asked."""
        headers = await self._headers_for(call)
        if headers is None:
            return None
        return await self._api.count(call, f"{self.base_url}/v1/messages/count_tokens{_query(call)}", headers)

    async def close(self) -> None:
        """Gives up a key lookup that still runs; the connections are the session's."""
        self.key.close()

    def _listed(self, entry: _ListedModel) -> ModelInfo:
        if entry.max_tokens:
            self._api.knows(entry.id, entry.max_tokens)
        return ModelInfo(entry.id, context_length=entry.max_input_tokens)

    async def _headers_for(self, call: Call) -> dict[str, str] | None:
        """The headers of a request; None where neither side has a key and one is needed."""
        own = call.credential
        # Who speaks another protocol may bring another vendor's key, which is none of Anthropic's business.
        if own is not None and (call.dialect == "anthropic_messages" or _ANTHROPICS in own[1]):
            return self._headers(call, None) | {own[0]: own[1]}
        key = await self.key.get()
        return None if key is None and self.base_url == BASE_URL else self._headers(call, key)

    def _headers(self, call: Call | None, key: str | None) -> dict[str, str]:
        headers = {"anthropic-version": VERSION, **(own_headers(call) if call is not None else {})}
        headers |= {"content-type": "application/json", **self._options.headers}
        if key is not None and key.startswith(_OAUTH_TOKEN):
            headers["authorization"] = f"Bearer {key}"
            betas = headers.get("anthropic-beta", "")
            if _OAUTH_BETA not in betas:
                headers["anthropic-beta"] = f"{betas},{_OAUTH_BETA}" if betas else _OAUTH_BETA
        elif key is not None:
            headers["x-api-key"] = key
        return headers


def _query(call: Call) -> str:
    """The switch for betas that clients put into the address."""
    return "?beta=true" if "beta=true" in call.query.split("&") else ""


class _ListedModel(msgspec.Struct):
    id: str
    max_input_tokens: int | None = None
    max_tokens: int | None = None


class _ModelList(msgspec.Struct):
    data: list[_ListedModel]
