"""The models of an Ollama server as things to fetch, look at, load and delete.

Ollama keeps what it has fetched of an unfinished model, so a pull that is cut goes on where it stopped. It
stops by itself when nobody listens to its progress any more.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from functools import partial
from typing import Any

import aiohttp
import msgspec
from msgspec import Struct

from lynkr_desktop.engine.providers.http import Limits, SessionFactory, send
from lynkr_desktop.engine.providers.ollama_catalog import unanswered
from lynkr_desktop.engine.wire.errors import WireError, kind_of
from lynkr_desktop.engine.wire.fields import NOT_JSON, encode_json
from lynkr_desktop.engine.wire.framing import LineSplitter

Json = dict[str, Any]

SUCCESS = "success"
_ATTEMPTS = 5
"""Times that a pull is begun anew without anything having arrived in between."""

_PAUSE_S = 1.0
_SILENCE_S = 600.0
"""Longest silence within a pull: to check a large layer takes minutes, in which nothing is reported."""

_ASK_S = 30.0


class PullProgress(Struct, frozen=True):
    """How a pull stands: Ollama's own word for it, and bytes over all layers that are known so far.

    `digest`, `total` and `completed` are those of the layer that the last report was about.
    """

    status: str = ""
    received: int = 0
    size: int = 0
    bytes_per_s: float = 0.0
    digest: str = ""
    total: int = 0
    completed: int = 0


class _Line(Struct):
    status: str = ""
    digest: str = ""
    total: int = 0
    completed: int = 0
    error: str = ""


_LINE = msgspec.json.Decoder(_Line)


class OllamaLibrary:
    """Calls of one server, one method each. They raise `WireError` with what went wrong and what to do.

    Args:
        base_url: where it answers.
        session: gives the shared HTTP session.
        headers: sent with each request.
        limits: the provider's time limits.
    """

    def __init__(
        self, base_url: str, session: SessionFactory, *, headers: Mapping[str, str], limits: Limits
    ) -> None:
        self._base_url = base_url
        self._session = session
        self._headers = headers
        self._limits = limits

    async def show(self, model: str, *, verbose: bool = False) -> bytes:
        """The answer of /api/show as it is."""
        body = {"model": model, "verbose": True} if verbose else {"model": model}
        return await self._ask("POST", "/api/show", body, model)

    async def running(self) -> bytes:
        """The answer of /api/ps as it is."""
        return await self._ask("GET", "/api/ps")

    async def delete(self, model: str) -> None:
        """Deletes a model."""
        await self._ask("DELETE", "/api/delete", {"model": model}, model)

    async def load(self, model: str, num_ctx: int, keep_alive: str | float | None) -> None:
        """Loads a model with a window of `num_ctx` tokens, however long that takes."""
        body: Json = {"model": model, "options": {"num_ctx": num_ctx}, "stream": False}
        if keep_alive is not None:
            body["keep_alive"] = keep_alive
        await self._ask("POST", "/api/generate", body, model, limit=self._limits.first_byte)

    async def load_embedder(self, model: str, keep_alive: str | float | None) -> None:
        """Loads a model that only makes embeddings: it refuses to generate."""
        body: Json = {"model": model, "input": []}
        if keep_alive is not None:
            body["keep_alive"] = keep_alive
        await self._ask("POST", "/api/embed", body, model, limit=self._limits.first_byte)

    async def unload(self, model: str) -> None:
        """Frees a model's memory."""
        body: Json = {"model": model, "keep_alive": 0, "stream": False}
        await self._ask("POST", "/api/generate", body, model)

    async def embed(self, body: Json, model: str) -> bytes:
        """The answer of /api/embed as it is."""
        return await self._ask("POST", "/api/embed", body, model, limit=self._limits.first_byte)

    async def pull(self, model: str) -> AsyncGenerator[PullProgress, None]:
        """Fetches a model; a connection that is cut is opened anew and goes on.

        Raises:
            WireError: 404 no such model, 507 disk full, 503 Ollama is not there, 502 it gave up.
        """
        done = PullProgress()
        attempts = 0
        while True:
            before = done.received
            try:
                async for progress in self._pull_once(model, done):
                    done = progress
                    yield progress
                    if progress.status == SUCCESS:
                        return
                cut = WireError(f"The connection to Ollama was cut while it fetched {model}.")
            except (aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError, TimeoutError) as error:
                cut = WireError(f"The connection to Ollama was cut while it fetched {model}: {_why(error)}")
            except aiohttp.ClientError as error:
                if not done.status:
                    raise WireError(unanswered(self._base_url), status=503, kind="unavailable") from error
                cut = WireError(unanswered(self._base_url), status=503, kind="unavailable")
            attempts = 1 if done.received > before else attempts + 1
            if attempts >= _ATTEMPTS:
                cut.message += f" Pull {model} again: what has arrived is kept."
                raise cut
            await asyncio.sleep(_PAUSE_S)

    async def _pull_once(self, model: str, before: PullProgress) -> AsyncGenerator[PullProgress, None]:
        tally = _Tally(before.size)
        splitter = LineSplitter()
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self._limits.connect, sock_read=_SILENCE_S)
        call = self._session().post(
            f"{self._base_url}/api/pull",
            data=encode_json({"model": model}),
            headers=self._headers,
            timeout=timeout,
            allow_redirects=False,
        )
        async with call as response:
            if response.status != 200:
                raise _refusal(response.status, await response.content.read(64 * 1024), model)
            async for chunk in response.content.iter_any():
                for raw in splitter.feed(chunk):
                    yield tally.add(_decoded(raw, model))
            for raw in splitter.finish():
                yield tally.add(_decoded(raw, model))

    async def _ask(
        self, method: str, path: str, body: Json | None = None, model: str = "", limit: float = _ASK_S
    ) -> bytes:
        timeout = aiohttp.ClientTimeout(total=limit, sock_connect=self._limits.connect)
        request = partial(
            self._session().request,
            method,
            self._base_url + path,
            data=None if body is None else encode_json(body),
            headers=self._headers,
            timeout=timeout,
            allow_redirects=False,
        )
        try:
            async with await send(request) as response:
                answer = await response.read()
        except TimeoutError as error:
            message = f"Ollama sent nothing within {limit:g} s."
            raise WireError(message, status=504, kind="timeout") from error
        except aiohttp.ClientConnectionError as error:
            raise WireError(unanswered(self._base_url), status=503, kind="unavailable") from error
        except aiohttp.ClientError as error:
            raise WireError("Ollama broke the connection before its answer was complete.") from error
        if response.status != 200:
            raise _refusal(response.status, answer, model)
        return answer


class _Tally:
    """Adds up the layers of one pull, and measures how fast they come."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._layers: dict[str, tuple[int, int]] = {}
        self._began = 0.0
        self._at_begin = -1

    def add(self, line: _Line) -> PullProgress:
        """The progress with this report."""
        if line.digest:
            self._layers[line.digest] = (line.completed, line.total)
        received = sum(completed for completed, _ in self._layers.values())
        now = time.monotonic()
        if self._at_begin < 0 and received:
            # What was there already must not count as fetched in an instant.
            self._began, self._at_begin = now, received
        seconds = now - self._began
        measurable = self._at_begin >= 0 and seconds > 0.5
        return PullProgress(
            status=line.status,
            received=received,
            size=max(self._size, sum(total for _, total in self._layers.values())),
            bytes_per_s=max(0.0, (received - self._at_begin) / seconds) if measurable else 0.0,
            digest=line.digest,
            total=line.total,
            completed=line.completed,
        )


def _decoded(raw: bytes, model: str) -> _Line:
    try:
        line = _LINE.decode(raw)
    except NOT_JSON as error:
        raise WireError("What answers is not Ollama, or is broken. Check the URL.") from error
    if line.error:
        raise _pull_error(line.error, model)
    return line


def _pull_error(reason: str, model: str) -> WireError:
    """An error that Ollama reports while it fetches, in words that say what to do."""
    text = reason.lower()
    if "file does not exist" in text or "not found" in text:
        message = f"There is no model {model} to fetch. The names are listed at https://ollama.com/search."
        return WireError(message, status=404, kind="not_found", param="model")
    if "no space left" in text or "not enough space" in text or "disk full" in text:
        return WireError(
            f"The disk that Ollama keeps its models on is full. Free some space, then pull {model} again: "
            "what has arrived is kept.",
            status=507,
            kind="unavailable",
        )
    if "invalid model name" in text:
        return WireError(f"{model} is no name that a model can have.", status=400, kind="invalid_request")
    return WireError(f"Ollama could not fetch {model}: {reason}. Pull it again: what has arrived is kept.")


def _refusal(status: int, body: bytes, model: str) -> WireError:
    """The error of a bad status."""
    try:
        reason = msgspec.json.decode(body, type=_Line).error
    except NOT_JSON:
        reason = ""
    if status == 404:
        message = f"Ollama has no model {model}. `lynkr models list` shows which it has."
        return WireError(message, status=404, kind="not_found", param="model")
    if reason and "pull model manifest" in reason:
        return _pull_error(reason, model)
    status = status if status >= 400 else 502
    return WireError(
        f"Ollama answered {status}: {reason or 'no reason given'}", status=status, kind=kind_of(status)
    )


def _why(error: BaseException) -> str:
    return f"{type(error).__name__}." if not str(error) else f"{error}."
