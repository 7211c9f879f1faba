"""The configuration in force, with everything that was made from it. Never changed, only replaced."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from lynkr_desktop.engine.config.loader import LoadedConfig
from lynkr_desktop.engine.config.schema import Config
from lynkr_desktop.engine.guards import Guard
from lynkr_desktop.engine.optimization.optimizer import Optimizer, stages_for
from lynkr_desktop.engine.providers.base import Provider
from lynkr_desktop.engine.providers.ollama import OllamaProvider
from lynkr_desktop.engine.routing.decision import Decision, Target
from lynkr_desktop.engine.routing.profile import Profile
from lynkr_desktop.engine.routing.router import AUTO, Asking, Router
from lynkr_desktop.engine.routing.selection import Selection
from lynkr_desktop.protocol.control import ConfigStatus
from lynkr_desktop.protocol.optimization import StageName


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Requests hold the snapshot that they began with, so a reload never changes one in flight."""

    config: Config
    status: ConfigStatus
    guard: Guard
    router: Router
    selection: Selection
    providers: Mapping[str, Provider]
    optimizer: Optimizer
    replicas: Mapping[str, tuple[Provider, ...]] = field(default_factory=dict)
    """All endpoints of each provider; `providers` has the first of each."""

    @property
    def every_provider(self) -> tuple[Provider, ...]:
        """Every endpoint of every provider."""
        return tuple(each for endpoints in self.replicas.values() for each in endpoints)

    @property
    def ollamas(self) -> tuple[OllamaProvider, ...]:
        """The Ollama servers; the models of the first one need no provider's name before theirs."""
        found = [provider for provider in self.providers.values() if isinstance(provider, OllamaProvider)]
        return tuple(sorted(found, key=lambda provider: provider.name != "ollama"))

    def stages_of(self, profile: Profile, headers: Mapping[str, str]) -> tuple[StageName, ...]:
        """What shortens the prompt of a request. Raises `WireError` 400 for a stage that does not exist."""
        return stages_for(self.config.pipeline_for(profile.pipeline), headers)

    async def decide(self, asking: Asking, *, fresh: bool = False) -> Decision:
        """Where a request may go: to the model that the client named, be it as Ollama does, or by the score.

        Args:
            asking: the request.
            fresh: whether a model that Ollama got just now must be found.

        Raises:
            WireError: 400 for a tier or profile that does not exist, 503 when every tier is switched off.
        """
        model, headers = asking.request.model, asking.headers
        if model != AUTO and "x-lynkr-tier" not in headers:
            target = await self.installed(model, fresh=fresh)
            if target is not None:
                return self.router.named(target, headers, asking.tiers)
        return self.router.decide(asking)

    async def installed(self, model: str, *, fresh: bool = False) -> Target | None:
        """The Ollama model of a bare name; None where the name means something else."""
        if model == AUTO or model.startswith("tier:") or self.router.concrete(model) is not None:
            return None
        for provider in self.ollamas:
            if await provider.has(model, fresh=fresh):
                return Target(provider.name, model, None)
        return None


def status_of(loaded: LoadedConfig) -> ConfigStatus:
    """What is told of a configuration that was loaded just now."""
    return ConfigStatus(
        path=str(loaded.path), exists=loaded.exists, loaded_at=time.time(), inactive=loaded.inactive
    )


def known_models(config: Config) -> dict[str, str]:
    """The bare model names that clients may use, each with the provider that has it."""
    return {model: name for name, options in config.providers.items() for model in options.models}
