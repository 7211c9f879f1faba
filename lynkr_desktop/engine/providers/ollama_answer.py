"""An answer of Ollama: its lines as they come, and whether the prompt was read whole."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import cast

import aiohttp

from lynkr_desktop.engine.providers.http import StreamedAnswer
from lynkr_desktop.engine.providers.ollama_context import Truncation
from lynkr_desktop.engine.wire.canonical import Event, Failed, Stopped
from lynkr_desktop.engine.wire.codec import Dialect
from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.engine.wire.ollama import OllamaStreamDecoder


class OllamaAnswer(StreamedAnswer):
    """An answer of /api/chat or /api/generate, streamed or in one line.

    Attributes:
        truncation: set with the last event when Ollama did not read the whole prompt; `warning` says it.
    """

    content_type = "application/x-ndjson"

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        decoder: OllamaStreamDecoder,
        *,
        name: str,
        dialect: Dialect | None = None,
        stall: float,
        observe: Callable[[int | None], Truncation | None],
    ) -> None:
        super().__init__(response, decoder, name=name, dialect=dialect, stall=stall)
        self._lines = decoder
        self._observe = observe
        self._first: list[tuple[bytes, list[Event]]] = []
        self.truncation: Truncation | None = None

    async def begin(self, limit: float) -> None:
        """Waits for the first line.

        Raises:
            WireError: it is an error, which may come with HTTP 200; or none came within `limit` seconds.
        """
        try:
            async with asyncio.timeout(limit):
                while not self._first:
                    chunk = await self._response.content.readany()
                    self._first = self._lines.feed(chunk) if chunk else self._rest()
        except TimeoutError as error:
            self._response.close()
            message = f"{self._name} sent nothing within {limit:g} s."
            raise WireError(message, status=504, kind="timeout") from error
        except aiohttp.ClientError as error:
            self._response.close()
            raise WireError(f"{self._name} broke the connection before it answered.") from error
        except BaseException:
            self._response.close()
            raise
        match self._first[0][1]:
            case [Failed(message=message, status=status, kind=kind)]:
                self._response.close()
                raise WireError(f"{self._name}: {message}", status=status, kind=kind)

    def _rest(self) -> list[tuple[bytes, list[Event]]]:
        """What the connection's end completes: a reply that is not streamed is a line without its end."""
        pieces = self._lines.feed(b"\n")
        end = self._lines.finish()
        return [*pieces, (b"", end)] if end else pieces

    @property
    def whole(self) -> bool:
        """Whether its first line is all of it, as it is of a reply that was not to be streamed."""
        events = self._first[0][1] if len(self._first) == 1 else []
        return bool(events) and isinstance(events[-1], Stopped | Failed)

    async def __aiter__(self) -> AsyncIterator[tuple[bytes, list[Event]]]:
        """The reply, piece by piece; it ends with the line that says `done`, whatever follows."""
        rest = cast(AsyncGenerator[tuple[bytes, list[Event]]], super().__aiter__())
        async with contextlib.aclosing(rest):
            for piece in self._first:
                last = self._ends(piece[1])
                yield piece
                if last:
                    return
            async for piece in rest:
                last = self._ends(piece[1])
                yield piece
                if last:
                    return

    def _ends(self, events: list[Event]) -> bool:
        """Whether the reply is over; then the counts are known too."""
        if not events or not isinstance(events[-1], Stopped | Failed):
            return False
        self.truncation = self._observe(self._lines.prompt_tokens)
        if self.truncation is not None:
            self.warning = str(self.truncation)
        return True

    async def close(self) -> None:
        """Cuts the connection unless the reply was read to its end; Ollama then stops to generate."""
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()
