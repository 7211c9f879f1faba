"""Azure: a resource's deployments of OpenAI's models, by its v1 path or by dated versions, and of Claude."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

from lynkr_desktop.engine.config.schema import ProviderOptions
from lynkr_desktop.engine.providers.base import Answer, Availability, Call, ModelInfo
from lynkr_desktop.engine.providers.http import Limits, SessionFactory, StreamedAnswer
from lynkr_desktop.engine.providers.key import ProviderKey
from lynkr_desktop.engine.providers.key_check import check_by_get
from lynkr_desktop.engine.providers.messages_api import VERSION, MessagesApi, own_headers
from lynkr_desktop.engine.providers.openai_compatible import OpenAICompatibleProvider
from lynkr_desktop.engine.providers.openai_responses import ResponsesPath
from lynkr_desktop.engine.wire.canonical import Event, Need
from lynkr_desktop.engine.wire.claude import claude_model
from lynkr_desktop.engine.wire.codec import Dialect
from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.engine.wire.openai_chat import OpenAIChatUpstream
from lynkr_desktop.protocol.keys import KeyCheck

_TOKEN_START = "eyJ"
"""A JSON Web Token begins so: it is an Entra token, not a key."""


class _FilterReportHidden(StreamedAnswer):
    """A stream whose first chunk, which tells what a filter made of the prompt, is no chunk of OpenAI's.

    It has neither id nor type, and clients that read strictly end at it.
    """

    def _joined(self, pieces: list[tuple[bytes, list[Event]]]) -> tuple[bytes, list[Event]]:
        """The reply without that chunk."""
        return super()._joined([(b"" if _is_filter_report(raw) else raw, events) for raw, events in pieces])


def _is_filter_report(raw: bytes) -> bool:
    return b'"prompt_filter_results"' in raw and b'"choices":[]' in raw.replace(b" ", b"")


class AzureProvider(OpenAICompatibleProvider):
    """A resource such as https://example.openai.azure.com; its models are named by their deployments.

    Without `api_version` its path /openai/v1 is used, which follows OpenAI's own. With a dated one, every
    deployment has a path: /openai/deployments/{deployment}/chat/completions?api-version=2024-10-21.
    Deployments with `claude` in their names are asked by Anthropic's Messages, at the resource's other
    address: https://example.services.ai.azure.com/anthropic.

    Args:
        name: the provider's name in the configuration.
        options: its options; AZURE_OPENAI_ENDPOINT and OPENAI_API_VERSION stand in for `base_url` and
            `api_version`.
        session: gives the shared HTTP session.
        key: its key, or an Entra token.
        environ: the environment.
    """

    _stream_kind = _FilterReportHidden

    def __init__(
        self,
        *,
        name: str,
        options: ProviderOptions,
        session: SessionFactory,
        key: ProviderKey,
        environ: Mapping[str, str],
    ) -> None:
        super().__init__(name=name, kind="azure", options=options, session=session, key=key)
        self.base_url = resource_url(options.base_url or environ.get("AZURE_OPENAI_ENDPOINT", ""))
        self.local = False
        self.text_tool_calls = False
        self._version = options.api_version or environ.get("OPENAI_API_VERSION", "") or "v1"
        # The newer models behind a deployment refuse the older field, and its name does not tell the model.
        # Dated versions refuse fields that came after them.
        self._codec = OpenAIChatUpstream("max_completion_tokens", hints=self._version == "v1")
        has_responses = self._version == "v1" if options.responses is None else options.responses
        self._responses = ResponsesPath(offered=has_responses)
        self._messages = MessagesApi(name=name, session=session, limits=Limits.of(options))
        self._messages_url = f"{_foundry_url(self.base_url)}/anthropic/v1/messages"

    def speaks(self, dialect: Dialect, model: str) -> bool:
        """Messages for Claude, OpenAI's protocols for all else."""
        if _is_claude(model):
            return dialect == "anthropic_messages"
        return super().speaks(dialect, model)

    async def availability(self, model: str = "", needs: frozenset[Need] = frozenset()) -> Availability:
        """Available when it has its address and a key."""
        if not self.base_url:
            return Availability(
                "unavailable",
                f"{self.name} has no base_url. Set providers.{self.name}.base_url or AZURE_OPENAI_ENDPOINT "
                "to your resource's, such as https://example.openai.azure.com.",
            )
        if await self.key.get() is None:
            return Availability(
                "unavailable",
                f"{self.name} has no key. {self.key.hint} A token of Entra may be in AZURE_OPENAI_AD_TOKEN.",
            )
        return Availability("ready")

    async def models(self) -> list[ModelInfo]:
        """The configured ones: a resource lists the models that could be deployed, not those that are."""
        return [ModelInfo(model) for model in self._options.models]

    async def check_key(self) -> KeyCheck:
        """GETs the list of models that could be deployed."""
        found = await self.availability()
        if not found.usable:
            return KeyCheck(provider=self.name, result="none", message=found.reason)
        headers = self._request_headers(await self.key.get())
        path = "v1/models" if self._version == "v1" else f"models?api-version={self._version}"
        url = f"{self.base_url}/openai/{path}"
        return await check_by_get(self._session(), url, headers, name=self.name, has_key=True)

    async def send(self, call: Call) -> Answer:
        """Sends a request by the protocol of its model."""
        if not _is_claude(call.model):
            return await super().send(call)
        return await self._messages.send(call, self._messages_url, await self._messages_headers(call))

    async def count_tokens(self, call: Call) -> int | None:
        """What Claude counts; the other models tell it with their answers only."""
        if not _is_claude(call.model) or not (await self.availability(call.model)).usable:
            return None
        headers = await self._messages_headers(call)
        return await self._messages.count(call, f"{self._messages_url}/count_tokens", headers)

    async def _messages_headers(self, call: Call) -> dict[str, str]:
        found = await self.availability(call.model)
        if not found.usable:
            raise WireError(found.reason, status=503, kind="unavailable")
        headers = self._request_headers(await self.key.get())
        if (key := headers.get("api-key")) is not None:
            headers["x-api-key"] = key
        return {"anthropic-version": VERSION, **own_headers(call), **headers}

    def _url(self, path: str, model: str) -> str:
        """The v1 path, or that of the deployment."""
        if self._version == "v1":
            return f"{self.base_url}/openai/v1/{path}"
        if path == "responses":
            return f"{self.base_url}/openai/{path}?api-version={self._version}"
        deployment = quote(model, safe="")
        return f"{self.base_url}/openai/deployments/{deployment}/{path}?api-version={self._version}"

    def _request_headers(self, key: str | None) -> dict[str, str]:
        headers = super()._request_headers(None)
        if key and key.startswith(_TOKEN_START):
            headers["authorization"] = f"Bearer {key}"
        elif key:
            headers["api-key"] = key
        return headers


def _is_claude(deployment: str) -> bool:
    return claude_model(deployment) is not None


def _foundry_url(resource: str) -> str:
    """Where Claude answers: the same resource has another host for it."""
    return re.sub(r"\.(?:openai|cognitiveservices)\.azure\.com$", ".services.ai.azure.com", resource)


def resource_url(base_url: str) -> str:
    """The resource's own address, whatever of its paths was given with it."""
    url = base_url.rstrip("/")
    for path in ("/v1", "/messages", "/v1", "/openai", "/anthropic"):
        url = url.removesuffix(path)
    return url
