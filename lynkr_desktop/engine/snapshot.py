"""The configuration in force, with everything that was made from it. Never changed, only replaced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lynkr_desktop.engine.config.schema import Config
from lynkr_desktop.engine.guards import Guard
from lynkr_desktop.engine.providers.base import Provider
from lynkr_desktop.engine.providers.ollama import OllamaProvider
from lynkr_desktop.engine.routing.decision import Decision, Target
from lynkr_desktop.engine.routing.router import AUTO, Router
from lynkr_desktop.engine.routing.selection import Selection
from lynkr_desktop.engine.wire.canonical import Request
from lynkr_desktop.protocol.control import ConfigStatus


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Requests hold the snapshot that they began with, so a reload never changes one in flight."""

    config: Config
    status: ConfigStatus
    guard: Guard
    router: Router
    selection: Selection
    providers: Mapping[str, Provider]

    @property
    def ollamas(self) -> tuple[OllamaProvider, ...]:
        """The Ollama servers; the models of the first one need no provider's name before theirs."""
        found = [provider for provider in self.providers.values() if isinstance(provider, OllamaProvider)]
        return tuple(sorted(found, key=lambda provider: provider.name != "ollama"))

    async def decide(self, request: Request, headers: Mapping[str, str], *, fresh: bool = False) -> Decision:
        """Where a request may go: to the model that the client named, be it as Ollama does, or by the score.

        Args:
            request: the request.
            headers: the client's own.
            fresh: whether a model that Ollama got just now must be found.

        Raises:
            WireError: 400 for a tier or profile that does not exist, 503 when every tier is switched off.
        """
        if request.model != AUTO and "x-lynkr-tier" not in headers:
            target = await self.installed(request.model, fresh=fresh)
            if target is not None:
                return self.router.named(target, headers)
        return self.router.decide(request, headers)

    async def installed(self, model: str, *, fresh: bool = False) -> Target | None:
        """The Ollama model of a bare name; None where the name means something else."""
        if model == AUTO or model.startswith("tier:") or self.router.concrete(model) is not None:
            return None
        for provider in self.ollamas:
            if await provider.has(model, fresh=fresh):
                return Target(provider.name, model, None)
        return None
