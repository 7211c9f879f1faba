"""The Responses path of servers that speak OpenAI Chat: who has it, who needs it, and its streams."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import aiohttp
import msgspec

from lynkr_desktop.engine.providers.base import Call
from lynkr_desktop.engine.providers.http import StreamedAnswer
from lynkr_desktop.engine.security.redaction import redact
from lynkr_desktop.engine.wire.canonical import Event, Failed
from lynkr_desktop.engine.wire.codec import Dialect
from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.engine.wire.openai_responses import ResponsesStreamDecoder

_MOST_MODELS = 100
# Servers say it in many ways, and some in no words at all.
_NO_PATH = re.compile(
    r"\b(url|path|route|endpoint|page|file|method)\b|/responses|not found\W*$|answered 404\.$", re.IGNORECASE
)


class ResponsesPath:
    """What is known of {base_url}/responses of one server, learned from its refusals.

    Args:
        offered: whether the server is taken to have it.
    """

    def __init__(self, *, offered: bool) -> None:
        self._offered = offered
        self._here_only: set[str] = set()
        self._not_here: set[str] = set()

    def has(self, model: str) -> bool:
        """Whether `model` answers there, as far as is known."""
        return self._offered and model not in self._not_here

    def takes(self, call: Call) -> bool:
        """Whether the request should go there and not to Chat Completions."""
        wanted = call.dialect == "openai_responses" or call.model in self._here_only
        return wanted and self.has(call.model)

    def learn_needed(self, model: str, error: WireError) -> bool:
        """Whether the error of Chat Completions says that `model` answers here only."""
        if not self.has(model) or error.status not in (400, 404) or "/responses" not in error.message:
            return False
        _remember(self._here_only, model)
        return True

    def may_be_missing(self, model: str, error: WireError) -> bool:
        """Whether the error could be that of a server without this path."""
        if error.status == 405:
            return True
        return error.status == 404 and model not in error.message and bool(_NO_PATH.search(error.message))

    def learn_missing(self, model: str) -> None:
        """Chat Completions answered what was not found here."""
        _remember(self._not_here, model)


def _remember(models: set[str], model: str) -> None:
    """Names of models come from clients, so there may be many."""
    if len(models) < _MOST_MODELS:
        models.add(model)


class ResponsesAnswer(StreamedAnswer):
    """A stream of Responses. Where it goes on untouched, a failure is told in it too, in its numbering."""

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        decoder: ResponsesStreamDecoder,
        *,
        name: str,
        dialect: Dialect | None = None,
        stall: float,
    ) -> None:
        super().__init__(response, decoder, name=name, dialect=dialect, stall=stall)
        self._responses = decoder

    async def __aiter__(self) -> AsyncIterator[tuple[bytes, list[Event]]]:
        """The reply, piece by piece."""
        async for raw, events in super().__aiter__():
            yield self._told(raw, events)

    def _joined(self, pieces: list[tuple[bytes, list[Event]]]) -> tuple[bytes, list[Event]]:
        """What arrived together; what comes after a failure is left out, and the bytes that made it one."""
        for number, (_, events) in enumerate(pieces):
            if _failed(events) is not None:
                return super()._joined([*pieces[:number], self._told(b"", events)])
        return super()._joined(pieces)

    def _told(self, raw: bytes, events: list[Event]) -> tuple[bytes, list[Event]]:
        failed = _failed(events)
        if failed is None:
            return raw or self._responses.tail, events
        if failed.told or self.dialect is None:
            return raw, events
        # The upstream's own words, but not a key that they may repeat.
        failed = msgspec.structs.replace(failed, message=redact(failed.message), told=True)
        return raw + self._responses.failure(failed), [*events[:-1], failed]


def _failed(events: list[Event]) -> Failed | None:
    last = events[-1] if events else None
    return last if isinstance(last, Failed) else None
