"""The keys of the providers that a configuration knows, listed, stored and removed by name.

The engine and `lynkr keys` share it. Everything may block for seconds, since keyrings do.
"""

from __future__ import annotations

from lynkr_desktop.engine.config.schema import WELL_KNOWN_PROVIDERS, Config
from lynkr_desktop.engine.providers.endpoints import endpoint_with_key, endpoints_of
from lynkr_desktop.engine.providers.registry import kind_of
from lynkr_desktop.engine.security import ring
from lynkr_desktop.engine.security.keys import KeyStore
from lynkr_desktop.engine.security.ring import RingError
from lynkr_desktop.protocol.keys import KeyInfo, KeyList, KeyringInfo

_KEYLESS_KINDS = frozenset({"ollama", "embedded"})


class UnknownProvider(LookupError):
    """No provider of that name takes a key. The message names those that do."""


class NoSuchKey(LookupError):
    """The keyring has no key of that provider."""


class KeyDesk:
    """Keys by provider name, for the providers of one configuration.

    Args:
        config: says which providers there are and which variables hold their keys.
        keys: where they are.
    """

    def __init__(self, config: Config, keys: KeyStore) -> None:
        self._config = config
        self._keys = keys

    @property
    def providers(self) -> list[str]:
        """Names of keys: of the providers that take one, configured or well-known, and of their endpoints."""
        names = {*self._config.providers, *self._used(), *WELL_KNOWN_PROVIDERS}
        keyed = {name for name in names if kind_of(name, self._config) not in _KEYLESS_KINDS}
        return sorted({each.key for name in keyed for each in endpoints_of(name, self._config)})

    def listing(self) -> KeyList:
        """Where each key comes from."""
        try:
            keyring = KeyringInfo(name=ring.describe())
        except RingError as error:
            keyring = KeyringInfo(problem=str(error))
        return KeyList(keyring=keyring, keys=tuple(self.info(name) for name in self.providers))

    def info(self, provider: str) -> KeyInfo:
        """Where the key of one provider comes from. Raises `UnknownProvider`."""
        self.check(provider)
        endpoint = endpoint_with_key(provider, self._config)
        owner = provider if endpoint is None else endpoint.provider
        found = self._keys.source(provider, endpoint.options.key_env if endpoint else None)
        return KeyInfo(
            provider=provider,
            kind=kind_of(owner, self._config),
            used=owner in self._config.providers or owner in self._used(),
            source=found.kind,
            variable=found.variable,
        )

    def store(self, provider: str, key: str) -> None:
        """Stores a key. Raises `UnknownProvider`, `BadKey` or `RingError`."""
        self.check(provider)
        self._keys.set(provider, key)

    def remove(self, provider: str) -> None:
        """Removes a key from the keyring. Raises `UnknownProvider`, `NoSuchKey` or `RingError`."""
        self.check(provider)
        if not self._keys.remove(provider):
            raise NoSuchKey(f"The OS keyring has no key of {provider}.")

    def check(self, provider: str) -> None:
        """Raises `UnknownProvider` when no provider of that name takes a key."""
        if provider not in self.providers:
            raise UnknownProvider(
                f"No provider {provider[:64]!r} takes a key here. Known are {', '.join(self.providers)}; "
                "list another one under providers in the configuration first."
            )

    def _used(self) -> set[str]:
        tiers = self._config.routing.tiers.values()
        return {model.partition("/")[0] for tier in tiers for model in tier.providers}
