"""The models of this machine, built-in and Ollama's, by one set of names.

Built-in ones have a name alone, those of an Ollama server `provider/name`, for instance
`ollama/qwen2.5-coder:7b`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from lynkr_desktop.engine.providers.embedded.provider import EmbeddedProvider
from lynkr_desktop.engine.providers.ollama import OllamaProvider
from lynkr_desktop.engine.security.egress import Egress
from lynkr_desktop.engine.snapshot import Snapshot
from lynkr_desktop.engine.wire.errors import InvalidRequest, WireError
from lynkr_desktop.protocol.control import LocalModel, ModelFacts


class LocalModels:
    """Lists, fetches, loads and removes them. The methods raise `WireError` with what to do.

    Args:
        snapshot: gives the configuration in force.
        egress: says whether anything may be fetched.
    """

    def __init__(self, snapshot: Callable[[], Snapshot], egress: Egress) -> None:
        self._snapshot = snapshot
        self._egress = egress

    async def list(self) -> tuple[LocalModel, ...]:
        """Every model: the built-in ones on offer, then what each Ollama has and fetches."""
        snapshot = self._snapshot()
        lists = await asyncio.gather(*(provider.store.list() for provider in snapshot.ollamas))
        embedded = snapshot.providers.get("embedded")
        own = embedded.local_models() if isinstance(embedded, EmbeddedProvider) else ()
        return (*own, *(model for models in lists for model in models))

    async def show(self, model_id: str) -> ModelFacts:
        """What is known of one model."""
        provider, name = self._find(model_id)
        if isinstance(provider, OllamaProvider):
            return await provider.store.facts(name)
        for model in provider.local_models():
            if model.id == name:
                return ModelFacts(model=model, licence=model.licence)
        raise WireError(f"There is no model {name[:100]!r}.", status=404, kind="not_found")

    def start_pull(self, model_id: str) -> None:
        """Begins to fetch a model, or joins the pull that runs; it goes on when the caller is gone."""
        provider, name = self._find(model_id)
        self._egress.check_fetch(name)
        (provider.store if isinstance(provider, OllamaProvider) else provider).start_pull(name)

    def cancel_pull(self, model_id: str) -> bool:
        """Ends a pull; False when there is none. What has arrived is kept."""
        provider, name = self._find(model_id)
        return (provider.store if isinstance(provider, OllamaProvider) else provider).cancel_pull(name)

    async def remove(self, model_id: str) -> None:
        """Deletes a model."""
        provider, name = self._find(model_id)
        await (provider.store if isinstance(provider, OllamaProvider) else provider).remove(name)

    async def load(self, model_id: str, keep_alive: str | float | None = None) -> None:
        """Gets a model ready to answer at once."""
        provider, name = self._find(model_id)
        await provider.load(name, keep_alive)

    async def unload(self, model_id: str) -> None:
        """Frees the memory that a model takes."""
        provider, name = self._find(model_id)
        await provider.unload(name)

    def _find(self, model_id: str) -> tuple[EmbeddedProvider | OllamaProvider, str]:
        snapshot = self._snapshot()
        prefix, slash, name = model_id.partition("/")
        if not model_id.strip() or (prefix and slash and not name):
            raise InvalidRequest("The model's name is missing.", "model")
        provider = snapshot.providers.get(prefix) if slash else None
        if isinstance(provider, OllamaProvider):
            return provider, name
        embedded = snapshot.providers.get("embedded")
        if isinstance(embedded, EmbeddedProvider):
            return embedded, name if provider is embedded else model_id
        raise WireError("The provider embedded is configured as another kind.", status=404, kind="not_found")
