"""Asks models by the Messages API, for every provider that offers it: Anthropic's own, or a cloud."""

from __future__ import annotations

import aiohttp
import msgspec
from yarl import URL

from lynkr_desktop.engine.providers.base import Answer, Call, EventAnswer
from lynkr_desktop.engine.providers.http import (
    Limits,
    SessionFactory,
    StreamedAnswer,
    decode_whole,
    kept_headers,
    post,
    read_all,
)
from lynkr_desktop.engine.wire.anthropic import AnthropicUpstream
from lynkr_desktop.engine.wire.anthropic.learned import Learned
from lynkr_desktop.engine.wire.anthropic.outgoing import compose
from lynkr_desktop.engine.wire.anthropic.own_body import own_body
from lynkr_desktop.engine.wire.codec import Dialect
from lynkr_desktop.engine.wire.errors import Unsupported, WireError
from lynkr_desktop.engine.wire.fields import encode_json

VERSION = "2023-06-01"
"""anthropic-version of requests that are not a Messages client's own."""

_OWN_HEADERS = ("anthropic-", "x-stainless-")
_FORMAT_REFUSED = ("output_config.format", "output_format", "structured output")


class MessagesApi:
    """Sends requests and learns from refusals what a model does not take.

    Args:
        name: the provider's name, for messages.
        session: gives the shared HTTP session.
        limits: time limits.
        version: `anthropic_version` that bodies carry in place of the model; empty where they name the model.
    """

    def __init__(self, *, name: str, session: SessionFactory, limits: Limits, version: str = "") -> None:
        self._name = name
        self._session = session
        self._limits = limits
        self._version = version
        self._codec = AnthropicUpstream()
        self._learned: dict[str, Learned] = {}

    def knows(self, model: str, most_tokens: int) -> None:
        """Takes what a list of models says of the most tokens that a model writes."""
        self._learned[model] = Learned(most_tokens, self._known(model).refused)

    def _known(self, model: str) -> Learned:
        return self._learned.get(model, Learned())

    async def send(self, call: Call, url: str | URL, headers: dict[str, str]) -> Answer:
        """Sends a request; the body of a Messages client goes on as it is. Raises `WireError`.

        What a client wrote for one model, another may refuse (Claude Code thinks as the newest do, and leaves
        out the thoughts of any but its own): then it is composed anew, for the model that is asked.
        """
        dropped: tuple[str, ...] = ()
        dialect: Dialect | None = None
        response: aiohttp.ClientResponse | None = None
        own = call.dialect == "anthropic_messages"
        meant_for_it = call.request.model.endswith(call.model)
        if own and (meant_for_it or not self._known(call.model).refused):
            try:
                body = own_body(call.body, call.request, call.model, self._version)
                response, dialect = await self._post(url, body, headers), "anthropic_messages"
            except WireError as error:
                taught = self._known(call.model).taught(error.message) if error.status == 400 else None
                if taught is None or meant_for_it:
                    raise
                self._learned[call.model] = taught.lasting()
        if response is None:
            response, dropped = await self._ask(call, url, headers)
        if response.content_type == "text/event-stream":
            answer = StreamedAnswer(
                response,
                self._codec.stream_decoder(),
                name=self._name,
                dialect=dialect if call.request.stream else None,
                stall=self._limits.stall,
            )
            answer.dropped = dropped
            return answer
        whole = await read_all(response, self._name, self._limits.stall)
        return EventAnswer(
            decode_whole(whole, self._codec, self._name),
            whole,
            dialect=None if call.request.stream else dialect,
            dropped=dropped,
            headers=kept_headers(response.headers),
        )

    async def count(self, call: Call, url: str | URL, headers: dict[str, str]) -> int | None:
        """The tokens of a Messages client's prompt; None where the provider does not tell."""
        body = own_body(call.body, call.request, call.model)
        try:
            response = await self._post(url, body, headers)
            counted = await read_all(response, self._name, self._limits.stall)
            return msgspec.json.decode(counted, type=_Counted).input_tokens
        except (WireError, msgspec.DecodeError, UnicodeDecodeError):
            return None

    async def _ask(
        self, call: Call, url: str | URL, headers: dict[str, str]
    ) -> tuple[aiohttp.ClientResponse, tuple[str, ...]]:
        """Translates a request, and again without what the model refuses to take."""
        learned = self._known(call.model)
        while True:
            composed = compose(call.request, call.model, learned)
            fields = composed.body
            if self._version:
                fields = {"anthropic_version": self._version, **fields}
                del fields["model"]
            try:
                return await self._post(url, encode_json(fields), headers), composed.dropped
            except WireError as error:
                taught = learned.taught(error.message) if error.status == 400 else None
                if taught is None:
                    raise _settled(error, call) from error
                learned = taught
                self._learned[call.model] = learned.lasting()

    async def _post(self, url: str | URL, body: bytes, headers: dict[str, str]) -> aiohttp.ClientResponse:
        return await post(
            self._session(),
            url,
            body,
            name=self._name,
            headers=headers,
            limits=self._limits,
            codec=self._codec,
        )


def own_headers(call: Call) -> dict[str, str]:
    """Headers of a Messages client that are meant for the API: versions, betas, and what program asks.

    Anthropic tells Claude Code, whose subscriptions it serves, by them. Cookies and tokens never go along.
    """
    if call.dialect != "anthropic_messages":
        return {}
    lowered = ((name.lower(), value) for name, value in call.headers.items())
    return {
        name: value
        for name, value in lowered
        if name.startswith(_OWN_HEADERS) or name in ("user-agent", "x-app")
    }


def _settled(error: WireError, call: Call) -> WireError:
    """A model that knows no structured outputs is no reason not to ask another."""
    wanted = call.request.response_format
    if error.status == 400 and wanted is not None and any(mark in error.message for mark in _FORMAT_REFUSED):
        return Unsupported(error.message, "response_format")
    return error


class _Counted(msgspec.Struct):
    input_tokens: int
