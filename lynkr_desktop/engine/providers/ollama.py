"""Ollama, by its native protocol: its OpenAI-compatible one cannot set the context window."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import cast

import aiohttp

from lynkr_desktop.engine.config.schema import ProviderOptions
from lynkr_desktop.engine.providers.base import Answer, Availability, Call, ModelInfo, Provider
from lynkr_desktop.engine.providers.http import Limits, SessionFactory, StreamedAnswer, post
from lynkr_desktop.engine.providers.ollama_catalog import (
    Facts,
    Installed,
    OllamaCatalog,
    Snapshot,
    unanswered,
)
from lynkr_desktop.engine.providers.ollama_context import ContextWindows, Truncation, Window
from lynkr_desktop.engine.wire.canonical import Event, Failed, Need, Request, Stopped
from lynkr_desktop.engine.wire.errors import Unsupported, WireError
from lynkr_desktop.engine.wire.ollama import (
    ChatBody,
    OllamaStreamDecoder,
    OllamaUpstream,
    Think,
    dropped_fields,
    offered_tools,
    think_of,
)
from lynkr_desktop.protocol.control import CandidateState

log = logging.getLogger(__name__)

DEFAULT_URL = "http://127.0.0.1:11434"
AUTO = "auto"

_NO_MODEL = "Ollama has no model that can chat. Run `ollama pull llama3.2`, or another of its models."


class OllamaProvider(Provider):
    """An Ollama server.

    Args:
        name: the provider's name in the configuration.
        base_url: where it answers.
        options: its options.
        session: gives the shared HTTP session.
    """

    kind = "ollama"
    local = True
    text_tool_calls = True

    def __init__(
        self,
        *,
        name: str = "ollama",
        base_url: str = DEFAULT_URL,
        options: ProviderOptions,
        session: SessionFactory,
    ) -> None:
        self.name = name
        self.base_url = base_url.rstrip("/")
        self._session = session
        self._limits = Limits.of(options)
        self._headers = {"content-type": "application/json", **options.headers}
        self._keep_alive = parse_keep_alive(options.keep_alive)
        self._codec = OllamaUpstream()
        self._windows = ContextWindows(options.max_context, name)
        self._catalog = OllamaCatalog(
            self.base_url, session, headers=self._headers, connect_timeout=options.connect_timeout
        )

    # ------------------------------------------------------------ what is there

    async def availability(self, model: str = "", needs: frozenset[Need] = frozenset()) -> Availability:
        """Whether the server answers and has `model`; for `auto`, which one it is."""
        snapshot = await self._catalog.snapshot()
        if snapshot.problem:
            return Availability("unavailable", snapshot.problem)
        if not model:
            return Availability("ready")
        found = await self._find(snapshot, model, needs)
        if found is None:
            reason = _NO_MODEL if model == AUTO else _not_installed(model)
            return Availability("unavailable", reason, missing=True)
        state: CandidateState = "loaded" if found.name in snapshot.loaded else "ready"
        return Availability(state, model=_short(found.name) if model == AUTO else "")

    async def models(self) -> list[ModelInfo]:
        """The installed models with their facts, newest first."""
        snapshot = await self._catalog.snapshot()
        installed = list(snapshot.installed.values())
        facts = await asyncio.gather(*map(self._catalog.facts, installed))
        return [_model_info(model, known, snapshot) for model, known in zip(installed, facts, strict=True)]

    async def _find(
        self, snapshot: Snapshot, name: str, needs: frozenset[Need] = frozenset()
    ) -> Installed | None:
        return await self._choose(snapshot, needs) if name == AUTO else snapshot.find(name)

    async def _choose(self, snapshot: Snapshot, needs: frozenset[Need]) -> Installed | None:
        """The model of `auto`: a loaded one, else the newest; never one that runs elsewhere.

        One that can do what is needed comes first; where none can, the one that can chat will say so.
        """
        loaded = [snapshot.installed[name] for name in snapshot.loaded if name in snapshot.installed]
        others = [model for model in snapshot.installed.values() if model not in loaded]
        able: Installed | None = None
        for model in (*loaded, *others):
            facts = await self._catalog.facts(model)
            if model.remote or not facts.can("completion"):
                continue
            if all(facts.can(need) for need in needs):
                return model
            able = able or model
        return able

    # ------------------------------------------------------------ asking

    async def send(self, call: Call) -> Answer:
        """Sends a request; waits for the first piece, so that an early error is an error and no answer."""
        model, snapshot = await self._locate(call.model, call.request.needs)
        facts = await self._catalog.facts(model)
        request = call.request
        _check(model.name, facts, request)
        body = ChatBody(request, _short(model.name))
        window = self._windows.plan(
            model.name,
            request,
            body.prompt_size,
            context_length=facts.context_length,
            loaded=snapshot.loaded.get(model.name, 0),
        )
        wanted = think_of(request.reasoning)
        think = wanted if facts.can("thinking") else None
        while True:
            try:
                answer = await self._post(body, model.name, window, think)
                break
            except WireError as error:
                if error.status == 400 and think is not None and "think" in error.message:
                    # Older versions take levels for few models, and do not list who can think at all.
                    think = True if isinstance(think, str) else None
                elif error.status == 400 and "exceeds the context length" in error.message:
                    window = self._windows.larger(
                        model.name, window, error, context_length=facts.context_length
                    )
                elif error.status == 404:
                    self._catalog.forget()
                    raise _missing(model.name) from error
                else:
                    raise
        answer.dropped = dropped_fields(request)
        if wanted and think is None:
            answer.dropped += ("thinking",)
        return answer

    async def close(self) -> None:
        """Nothing is open: the connections are the session's."""

    async def _locate(self, name: str, needs: frozenset[Need]) -> tuple[Installed, Snapshot]:
        """The model to ask. What was seen last will do: should it be gone, Ollama says so."""
        snapshot = self._catalog.latest
        found = None if name == AUTO else snapshot.find(name)
        if found is None:
            snapshot = await self._catalog.snapshot()
            if snapshot.problem:
                raise WireError(snapshot.problem, status=503, kind="unavailable")
            found = await self._find(snapshot, name, needs)
        if found is None:
            raise _missing(name)
        return found, snapshot

    async def _post(self, body: ChatBody, model: str, window: Window, think: Think) -> OllamaAnswer:
        payload = body.encode(think=think, num_ctx=window.num_ctx, keep_alive=self._keep_alive)
        try:
            response = await post(
                self._session(),
                f"{self.base_url}/api/chat",
                payload,
                name=self.name,
                headers=self._headers,
                limits=self._limits,
                codec=self._codec,
            )
        except WireError as error:
            if isinstance(error.__cause__, aiohttp.ClientError):
                self._catalog.forget()
                if error.status == 503:
                    error.message = unanswered(self.base_url)
            raise
        answer = OllamaAnswer(
            response,
            OllamaStreamDecoder(prompt_estimate=window.estimate),
            name=self.name,
            stall=self._limits.stall,
            observe=lambda evaluated: self._observe(model, window, evaluated),
        )
        await answer.begin(self._limits.first_byte)
        return answer

    def _observe(self, model: str, window: Window, evaluated: int | None) -> Truncation | None:
        truncation = self._windows.observe(model, window, evaluated)
        if truncation is not None:
            log.warning("%s, %s: %s", self.name, model, truncation)
        return truncation


class OllamaAnswer(StreamedAnswer):
    """An answer of /api/chat.

    Attributes:
        truncation: set with the last event when Ollama did not read the whole prompt.
    """

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        decoder: OllamaStreamDecoder,
        *,
        name: str,
        stall: float,
        observe: Callable[[int | None], Truncation | None],
    ) -> None:
        super().__init__(response, decoder, name=name, stall=stall)
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
                    self._first = self._lines.feed(chunk) if chunk else [(b"", self._lines.finish())]
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
        return True

    async def close(self) -> None:
        """Cuts the connection unless the reply was read to its end; Ollama then stops to generate."""
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


# ---------------------------------------------------------------- helpers


def parse_keep_alive(value: str | None) -> str | int | None:
    """`keep_alive` as Ollama takes it: a plain number must be one, a duration stays a string."""
    if value is None:
        return None
    try:
        return int(value)
    except ValueError:
        return value


def _check(model: str, facts: Facts, request: Request) -> None:
    """Refuses what the model is known not to do. Raises `Unsupported`."""
    if not facts.can("completion"):
        raise Unsupported(f"{model} cannot chat. Choose a model with the completion capability.", "model")
    if offered_tools(request) and not facts.can("tools"):
        raise Unsupported(
            f"{model} cannot call tools. Choose a model with the tools capability (`ollama show` lists it), "
            "or send the request without tools.",
            "tools",
        )
    if request.has_images and not facts.can("vision"):
        raise Unsupported(
            f"{model} cannot see images. Choose a model with the vision capability (`ollama show` lists it), "
            "or send the request without images.",
            "messages",
        )


def _missing(model: str) -> WireError:
    message = _NO_MODEL if model == AUTO else _not_installed(model)
    return WireError(message, status=404, kind="not_found", param="model")


def _not_installed(model: str) -> str:
    name = _short(model)
    return f"model {name} is not installed in Ollama. Run `ollama pull {name}`."


def _short(name: str) -> str:
    return name.removesuffix(":latest")


def _model_info(model: Installed, facts: Facts, snapshot: Snapshot) -> ModelInfo:
    return ModelInfo(
        id=_short(model.name),
        context_length=facts.context_length,
        capabilities=facts.capabilities or frozenset(),
        size=model.size or None,
        loaded=model.name in snapshot.loaded,
        created=model.modified,
    )
