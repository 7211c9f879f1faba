"""The endpoints of a provider: one, or as many as its options list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lynkr_desktop.engine.config.schema import Config, ProviderOptions
from lynkr_desktop.engine.providers.base import lane_name
from lynkr_desktop.engine.resilience.lanes import LaneLimits

_NO_OPTIONS = ProviderOptions()
_OF_LANES = ("max_concurrent", "requests_per_minute", "tokens_per_minute")
_ONLY_HERE = frozenset({"key", "weight"})


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One of them.

    Attributes:
        provider: the provider's name.
        number: from 1.
        options: the provider's, with what this endpoint has of its own; without endpoints.
        key: the name under which its key is kept.
        weight: of the requests, beside the other endpoints.
    """

    provider: str
    number: int
    options: ProviderOptions
    key: str
    weight: float = 1.0

    @property
    def lane(self) -> str:
        """The name under which it is measured."""
        return lane_name(self.provider, self.number)

    @property
    def limits(self) -> LaneLimits:
        """What it is sent at most."""
        options = self.options
        return LaneLimits(options.max_concurrent, options.requests_per_minute, options.tokens_per_minute)

    def made_as(self, other: Endpoint) -> bool:
        """Whether a provider that was made for `other` serves this one as well: limits are the lane's."""
        unlimited = dict.fromkeys(_OF_LANES)
        return (self.key, self.weight) == (other.key, other.weight) and self.options.model_copy(
            update=unlimited
        ) == other.options.model_copy(update=unlimited)


def endpoints_of(name: str, config: Config) -> tuple[Endpoint, ...]:
    """The endpoints of a provider, in the order of the configuration; at least one."""
    options = config.providers.get(name, _NO_OPTIONS)
    if not options.endpoints:
        return (Endpoint(name, 1, options, name),)
    made = []
    for number, own in enumerate(options.endpoints, 1):
        changes = {field: value for field, value in own if field not in _ONLY_HERE and value is not None} | {
            "endpoints": ()
        }
        if own.key is not None:
            # The provider's variable holds the provider's key, not this one.
            changes["key_env"] = own.key_env
        merged = options.model_copy(update=changes)
        made.append(Endpoint(name, number, merged, own.key or name, own.weight))
    return tuple(made)


def lane_limits(config: Config, names: Mapping[str, object]) -> dict[str, LaneLimits]:
    """The limits of every endpoint of these providers, by lane."""
    return {endpoint.lane: endpoint.limits for name in names for endpoint in endpoints_of(name, config)}


def endpoint_with_key(key: str, config: Config) -> Endpoint | None:
    """The first endpoint whose key is kept under this name; None where none is.

    A provider of that name comes first.
    """
    names = sorted(config.providers, key=lambda name: name != key)
    every = (endpoint for name in names for endpoint in endpoints_of(name, config))
    return next((endpoint for endpoint in every if endpoint.key == key), None)
