"""Ollama, by its native protocol: its OpenAI-compatible one cannot set the context window."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import aiohttp

from lynkr_desktop.engine.config.schema import ProviderOptions
from lynkr_desktop.engine.providers.base import Answer, Availability, Call, ModelInfo, Provider
from lynkr_desktop.engine.providers.http import Limits, SessionFactory, post
from lynkr_desktop.engine.providers.ollama_answer import OllamaAnswer
from lynkr_desktop.engine.providers.ollama_catalog import (
    Facts,
    Installed,
    OllamaCatalog,
    Snapshot,
    short_name,
    unanswered,
)
from lynkr_desktop.engine.providers.ollama_context import ContextWindows, Truncation, Window
from lynkr_desktop.engine.providers.ollama_library import OllamaLibrary
from lynkr_desktop.engine.providers.ollama_store import OllamaStore
from lynkr_desktop.engine.wire.canonical import (
    EmbeddingRequest,
    Embeddings,
    Need,
    Request,
)
from lynkr_desktop.engine.wire.codec import Dialect
from lynkr_desktop.engine.wire.errors import Unsupported, WireError
from lynkr_desktop.engine.wire.ollama import (
    ChatBody,
    ForwardedBody,
    OllamaStreamDecoder,
    OllamaUpstream,
    Think,
    decode_embeddings,
    dropped_fields,
    offered_tools,
    think_of,
)
from lynkr_desktop.protocol.control import CandidateState, LocalModel
from lynkr_desktop.tasks import Tasks

log = logging.getLogger(__name__)

DEFAULT_URL = "http://127.0.0.1:11434"
AUTO = "auto"

_PATHS: dict[Dialect | None, str] = {"ollama_chat": "/api/chat", "ollama_generate": "/api/generate"}
"""Protocols whose bodies are forwarded as they are, with their paths."""

_NO_MODEL = "Ollama has no model that can chat. Run `ollama pull llama3.2`, or another of its models."


class OllamaProvider(Provider):
    """An Ollama server.

    Args:
        name: the provider's name in the configuration.
        base_url: where it answers.
        options: its options.
        session: gives the shared HTTP session.
        on_pull: called with a model at most four times a second while it is fetched, and at its end.

    Attributes:
        catalog: what is installed and loaded.
        library: the server's calls that manage models.
        store: what is on its disk and what is being fetched.
    """

    kind = "ollama"
    local = True
    free = True
    text_tool_calls = True

    def __init__(
        self,
        *,
        name: str = "ollama",
        base_url: str = DEFAULT_URL,
        options: ProviderOptions,
        session: SessionFactory,
        on_pull: Callable[[LocalModel], None] = lambda _: None,
    ) -> None:
        self.name = name
        self.base_url = base_url.rstrip("/")
        self._session = session
        self._limits = Limits.of(options)
        self._headers = {"content-type": "application/json", **options.headers}
        self._keep_alive = parse_keep_alive(options.keep_alive)
        self._codec = OllamaUpstream()
        self._windows = ContextWindows(options.max_context, name)
        self._warm_up = options.warm_up
        self._tasks = Tasks()
        self.catalog = OllamaCatalog(
            self.base_url, session, headers=self._headers, connect_timeout=options.connect_timeout
        )
        self.library = OllamaLibrary(self.base_url, session, headers=self._headers, limits=self._limits)
        self.store = OllamaStore(name, self.catalog, self.library, on_pull)

    async def start(self) -> None:
        """Begins to look at what is there, and to load the models that shall be ready."""
        self.catalog.recent()
        if self._warm_up:
            self._tasks.spawn(self._load_all(), f"warm up {self.name}")

    async def _load_all(self) -> None:
        for model in self._warm_up:
            try:
                await self.load(model)
                log.info("%s: %s is loaded", self.name, model)
            except WireError as error:
                log.warning("%s: %s could not be loaded: %s", self.name, model, error.message)

    # ------------------------------------------------------------ what is there

    async def availability(self, model: str = "", needs: frozenset[Need] = frozenset()) -> Availability:
        """Whether the server answers and has `model`; for `auto`, which one it is."""
        snapshot = await self.catalog.snapshot()
        if snapshot.problem:
            return Availability("unavailable", snapshot.problem)
        if not model:
            return Availability("ready")
        found = await self._find(snapshot, model, needs)
        if found is None:
            reason = _NO_MODEL if model == AUTO else _not_installed(model)
            return Availability("unavailable", reason, missing=True)
        state: CandidateState = "loaded" if found.name in snapshot.loaded else "ready"
        facts = await self.catalog.facts(found)
        needed: tuple[Need, ...] = ("tools", "vision")
        return Availability(
            state,
            model=short_name(found.name) if model == AUTO else "",
            remote=found.remote,
            capabilities=frozenset(need for need in needed if facts.can(need)),
            context_length=self._windows.limit(facts.context_length),
        )

    async def models(self) -> list[ModelInfo]:
        """The installed models with their facts, newest first."""
        return await self.store.infos()

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
            facts = await self.catalog.facts(model)
            if model.remote or not facts.can("completion"):
                continue
            if all(facts.can(need) for need in needs):
                return model
            able = able or model
        return able

    async def has(self, name: str, *, fresh: bool) -> bool:
        """Whether a model of this name is installed; unless `fresh`, as far as is known without waiting."""
        if self.catalog.latest.find(name) is not None:
            return True
        look = fresh or not self.catalog.looked
        snapshot = await self.catalog.snapshot() if look else self.catalog.recent()
        return snapshot.find(name) is not None

    # ------------------------------------------------------------ asking

    def speaks(self, dialect: Dialect, model: str) -> bool:
        """Its own protocol."""
        return dialect in _PATHS

    async def send(self, call: Call) -> Answer:
        """Sends a request; waits for the first piece, so that an early error is an error and no answer."""
        model, snapshot = await self._locate(call.model, call.request.needs)
        facts = await self.catalog.facts(model)
        request = call.request
        _check(model.name, facts, request)
        dialect = call.dialect if call.dialect in _PATHS else None
        name = short_name(model.name)
        body = ForwardedBody(call.body, name) if dialect else ChatBody(request, name)
        if isinstance(body, ForwardedBody) and (asked := body.num_ctx or 0) > 0:
            window = self._windows.given(model.name, request, body.prompt_size, asked)
        else:
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
                answer = await self._post(body, dialect, model.name, window, think)
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
                    self.catalog.forget()
                    raise _missing(model.name) from error
                else:
                    raise
        if not request.stream and not answer.whole:
            # Proxies in front of Ollama have been seen to stream what was asked for in one piece.
            answer.dialect = None
        answer.dropped = () if dialect else dropped_fields(request)
        if wanted and think is None:
            answer.dropped += ("thinking",)
        return answer

    # ------------------------------------------------------------ models in memory

    async def load(self, model: str, keep_alive: str | float | None = None) -> None:
        """Loads a model, with a window that no prompt outgrows: another one would mean to load it anew."""
        found, _ = await self._locate(model, frozenset())
        facts = await self.catalog.facts(found)
        keep_alive = self._keep_alive if keep_alive is None else keep_alive
        if facts.can("completion"):
            num_ctx = self._windows.largest(found.name, facts.context_length)
            await self.library.load(found.name, num_ctx, keep_alive)
        else:
            await self.library.load_embedder(found.name, keep_alive)
        self.catalog.forget()

    async def unload(self, model: str) -> None:
        """Frees a model's memory."""
        found, _ = await self._locate(model, frozenset())
        await self.library.unload(found.name)
        self.catalog.forget()

    # ------------------------------------------------------------ embeddings

    async def embedder(self) -> str:
        """The model for embeddings where the client named none: a loaded one, else the newest; or empty."""
        snapshot = await self.catalog.snapshot()
        models = sorted(snapshot.installed.values(), key=lambda model: model.name not in snapshot.loaded)
        for model in models:
            facts = await self.catalog.facts(model)
            # An older server does not say; a model that cannot would refuse.
            if facts.capabilities is not None and "embedding" in facts.capabilities:
                return short_name(model.name)
        return ""

    async def embed(self, request: EmbeddingRequest, model: str) -> Embeddings:
        """Turns texts into vectors by /api/embed."""
        if request.tokens:
            raise Unsupported(f"{self.name} takes texts, not token numbers.", "input")
        found, _ = await self._locate(model, frozenset())
        facts = await self.catalog.facts(found)
        if not facts.can("embedding"):
            raise Unsupported(
                f"{short_name(found.name)} cannot make embeddings. Choose a model with the embedding "
                "capability, for instance nomic-embed-text.",
                "model",
            )
        body: dict[str, Any] = {"model": found.name, "input": list(request.inputs)}
        if request.dimensions is not None:
            body["dimensions"] = request.dimensions
        body |= {name: request.extra[name] for name in ("options", "truncate") if name in request.extra}
        keep_alive = request.extra.get("keep_alive", self._keep_alive)
        if keep_alive is not None:
            body["keep_alive"] = keep_alive
        made = decode_embeddings(await self.library.embed(body, short_name(found.name)))
        if len(made.vectors) != len(request.inputs):
            raise WireError(f"Ollama made {len(made.vectors)} vectors of {len(request.inputs)} texts.")
        return made

    async def close(self) -> None:
        """Ends what runs in the background; the connections are the session's."""
        await self._tasks.close()
        await self.store.close()
        await self.catalog.close()

    async def _locate(self, name: str, needs: frozenset[Need]) -> tuple[Installed, Snapshot]:
        """The model to ask. What was seen last will do: should it be gone, Ollama says so."""
        snapshot = self.catalog.latest
        found = None if name == AUTO else snapshot.find(name)
        if found is None:
            snapshot = await self.catalog.snapshot()
            if snapshot.problem:
                raise WireError(snapshot.problem, status=503, kind="unavailable")
            found = await self._find(snapshot, name, needs)
        if found is None:
            raise _missing(name)
        return found, snapshot

    async def _post(
        self,
        body: ChatBody | ForwardedBody,
        dialect: Dialect | None,
        model: str,
        window: Window,
        think: Think,
    ) -> OllamaAnswer:
        payload = body.encode(think=think, num_ctx=window.num_ctx, keep_alive=self._keep_alive)
        try:
            response = await post(
                self._session(),
                self.base_url + _PATHS.get(dialect, "/api/chat"),
                payload,
                name=self.name,
                headers=self._headers,
                limits=self._limits,
                codec=self._codec,
            )
        except WireError as error:
            if isinstance(error.__cause__, aiohttp.ClientError):
                self.catalog.forget()
                if error.status == 503:
                    error.message = unanswered(self.base_url)
            raise
        answer = OllamaAnswer(
            response,
            OllamaStreamDecoder(prompt_estimate=window.estimate),
            name=self.name,
            dialect=dialect,
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
    name = short_name(model)
    return f"model {name} is not installed in Ollama. Run `ollama pull {name}`."
