"""Who does the work of `lynkr cache`: the running engine, else this process on the file itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol
from urllib.parse import quote

from lynkr_desktop.cli.client import ControlClient, ControlFailure, connect
from lynkr_desktop.cli.noting import note
from lynkr_desktop.engine.cache.shelf import Shelf
from lynkr_desktop.engine.cache.store import ReplyStore, StoreError, store_file
from lynkr_desktop.engine.config.loader import ConfigError, load_config
from lynkr_desktop.engine.config.schema import Config
from lynkr_desktop.engine.optimization.optimizer import CACHE
from lynkr_desktop.paths import Paths
from lynkr_desktop.protocol.cache import CacheCleared, CachedReplies, CachedReply, CacheStatus
from lynkr_desktop.running import find_engine


class Cache(Protocol):
    """The stored replies. Every method raises `ControlFailure`."""

    def status(self) -> CacheStatus:
        """What is stored."""

    def listing(self, limit: int) -> tuple[CachedReply, ...]:
        """The stored replies, the latest used first."""

    def clear(self) -> CacheCleared:
        """Deletes every reply."""

    def remove(self, key: str) -> CacheCleared:
        """Deletes one reply."""


def open_cache(paths: Paths) -> Cache:
    """The cache of the engine of this home, running or not. Raises `ControlFailure`."""
    runtime = find_engine(paths)
    if runtime is not None:
        return EngineCache(connect(paths, runtime))
    with _told():
        return LocalCache(paths, load_config(paths.config).config)


class EngineCache:
    """The cache of a running engine, by its control API."""

    def __init__(self, client: ControlClient) -> None:
        self._client = client

    def status(self) -> CacheStatus:
        """What is stored, and what it did since the start."""
        return self._client.get("/v1/admin/cache", CacheStatus)

    def listing(self, limit: int) -> tuple[CachedReply, ...]:
        """The stored replies, the latest used first."""
        return self._client.get("/v1/admin/cache/replies", CachedReplies, limit=str(limit)).replies

    def clear(self) -> CacheCleared:
        """Deletes every reply."""
        return self._client.send("DELETE", "/v1/admin/cache", CacheCleared)

    def remove(self, key: str) -> CacheCleared:
        """Deletes one reply."""
        return self._client.send("DELETE", f"/v1/admin/cache/replies/{quote(key, safe='')}", CacheCleared)


class LocalCache:
    """The cache of an engine that does not run."""

    def __init__(self, paths: Paths, config: Config) -> None:
        self._paths = paths
        self._shelf = Shelf(ReplyStore(store_file(paths.cache)))
        self._config = config

    def status(self) -> CacheStatus:
        """What is stored."""
        profile = self._config.routing.profile_named(self._config.routing.profile)
        stages = self._config.pipeline_for(profile.pipeline if profile is not None else None)
        return self._shelf.status(self._config.optimization.cache, active=CACHE in stages)

    def listing(self, limit: int) -> tuple[CachedReply, ...]:
        """The stored replies, the latest used first."""
        return self._shelf.listing(limit)

    def clear(self) -> CacheCleared:
        """Deletes every reply."""
        with _told():
            gone = self._shelf.clear()
        note(self._paths, "cache cleared")
        return gone

    def remove(self, key: str) -> CacheCleared:
        """Deletes one reply."""
        gone = self._shelf.remove(key)
        if gone is None:
            raise ControlFailure("There is no stored reply with this key. `lynkr cache list` shows the keys.")
        note(self._paths, "cached reply deleted", f"key {key}")
        return gone


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (ConfigError, StoreError) as error:
        raise ControlFailure(str(error)) from error
