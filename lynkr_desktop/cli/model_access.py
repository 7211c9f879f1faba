"""How `lynkr models` reaches models that live in another program: through the engine, or Ollama directly."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeVar
from urllib.parse import quote

import aiohttp

from lynkr_desktop.cli.client import ControlClient, ControlFailure, connect
from lynkr_desktop.engine.config.loader import ConfigError, load_config
from lynkr_desktop.engine.config.schema import ProviderOptions
from lynkr_desktop.engine.providers.ollama import OllamaProvider
from lynkr_desktop.engine.providers.registry import kind_of, ollama_url
from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.paths import Paths
from lynkr_desktop.protocol.control import LocalModel, LocalModelList, ModelFacts
from lynkr_desktop.running import find_engine

T = TypeVar("T")
Show = Callable[[LocalModel], None]

_POLL_S = 0.25
_LOAD_S = 900.0


class ModelAccess(Protocol):
    """What can be done with models, wherever they are. The methods raise `ControlFailure`."""

    def list(self) -> tuple[LocalModel, ...]:
        """Every model of this machine that this way reaches."""

    def show(self, model: str) -> ModelFacts:
        """What is known of one model."""

    def pull(self, model: str, show: Show) -> None:
        """Fetches a model; `show` is told how it goes. Ctrl-C ends the fetching, too."""

    def remove(self, model: str) -> None:
        """Deletes a model."""

    def load(self, model: str, keep_alive: str | None) -> None:
        """Loads a model into memory."""

    def unload(self, model: str) -> None:
        """Takes a model out of memory."""


def model_access(paths: Paths) -> ModelAccess:
    """Through the engine of this home when it runs, since the tray shows what it does; else directly."""
    runtime = find_engine(paths)
    return DirectModels(paths) if runtime is None else EngineModels(connect(paths, runtime, timeout=_LOAD_S))


class EngineModels:
    """The models as the running engine has them."""

    def __init__(self, client: ControlClient) -> None:
        self._client = client

    def list(self) -> tuple[LocalModel, ...]:
        """Built-in ones and Ollama's."""
        return self._client.get("/v1/admin/models", LocalModelList).models

    def show(self, model: str) -> ModelFacts:
        """What is known of one model."""
        return self._client.get(f"{_path(model)}/show", ModelFacts)

    def pull(self, model: str, show: Show) -> None:
        """Fetches a model in the engine."""
        name = model.removesuffix(":latest").casefold()
        models = self._client.send("POST", f"{_path(model)}/pull", LocalModelList).models
        try:
            while True:
                found = next((known for known in models if known.id.casefold() == name), None)
                if found is None:
                    raise ControlFailure(f"The pull of {model} was stopped.")
                if found.error:
                    raise ControlFailure(found.error)
                if found.state != "downloading":
                    return
                show(found)
                time.sleep(_POLL_S)
                models = self.list()
        except KeyboardInterrupt:
            self._client.send("DELETE", f"{_path(model)}/pull", LocalModelList)
            raise

    def remove(self, model: str) -> None:
        """Deletes a model."""
        self._client.send("DELETE", _path(model), LocalModelList)

    def load(self, model: str, keep_alive: str | None) -> None:
        """Loads a model into memory."""
        self._client.send("POST", f"{_path(model)}/load", LocalModelList, {"keep_alive": keep_alive})

    def unload(self, model: str) -> None:
        """Takes a model out of memory."""
        self._client.send("POST", f"{_path(model)}/unload", LocalModelList)


class DirectModels:
    """Ollama's models, asked of Ollama itself while no engine runs."""

    def __init__(self, paths: Paths) -> None:
        try:
            self._config = load_config(paths.config).config
        except ConfigError as error:
            raise ControlFailure(str(error)) from error
        names = sorted({*self._config.providers, "ollama"}, key=lambda name: name != "ollama")
        self._names = [name for name in names if kind_of(name, self._config) == "ollama"]

    def list(self) -> tuple[LocalModel, ...]:
        """What each Ollama has; one that does not answer has nothing."""

        async def ask(provider: OllamaProvider) -> tuple[LocalModel, ...]:
            return await provider.store.list()

        return tuple(model for name in self._names for model in self._run(name, ask))

    def show(self, model: str) -> ModelFacts:
        """What is known of one model."""
        name, rest = self._find(model)
        return self._run(name, lambda provider: provider.store.facts(rest))

    def pull(self, model: str, show: Show) -> None:
        """Fetches a model."""
        name, rest = self._find(model)

        async def fetch(provider: OllamaProvider) -> None:
            await provider.store.start_pull(rest)

        self._run(name, fetch, show)

    def remove(self, model: str) -> None:
        """Deletes a model."""
        name, rest = self._find(model)
        self._run(name, lambda provider: provider.store.remove(rest))

    def load(self, model: str, keep_alive: str | None) -> None:
        """Loads a model into memory."""
        name, rest = self._find(model)
        self._run(name, lambda provider: provider.load(rest, keep_alive))

    def unload(self, model: str) -> None:
        """Takes a model out of memory."""
        name, rest = self._find(model)
        self._run(name, lambda provider: provider.unload(rest))

    def _find(self, model: str) -> tuple[str, str]:
        provider, slash, rest = model.partition("/")
        if slash and rest and provider in self._names:
            return provider, rest
        raise ControlFailure(
            f"{model} is a model of the engine, and no engine runs. Start it with `lynkr serve`; models of "
            f"Ollama are written {self._names[0] if self._names else 'ollama'}/NAME."
        )

    def _run(
        self,
        name: str,
        ask: Callable[[OllamaProvider], Coroutine[Any, Any, T]],
        show: Show = lambda _: None,
    ) -> T:
        async def run() -> T:
            async with self._open(name, show) as provider:
                return await ask(provider)

        try:
            return asyncio.run(run())
        except WireError as error:
            raise ControlFailure(error.message) from error

    @asynccontextmanager
    async def _open(self, name: str, show: Show) -> AsyncIterator[OllamaProvider]:
        options = self._config.providers.get(name) or ProviderOptions()
        url = options.base_url or ollama_url(os.environ)
        async with aiohttp.ClientSession() as session:
            provider = OllamaProvider(
                name=name, base_url=url, options=options, session=lambda: session, on_pull=show
            )
            try:
                yield provider
            finally:
                await provider.close()


def is_ollamas(model: str, paths: Paths) -> bool:
    """Whether a model's name begins with the name of an Ollama provider."""
    provider, slash, _ = model.partition("/")
    if not slash or provider == "":
        return False
    try:
        return kind_of(provider, load_config(paths.config).config) == "ollama"
    except ConfigError:
        return provider == "ollama"


def _path(model: str) -> str:
    return f"/v1/admin/models/{quote(model, safe='')}"
