"""Who does the work of `lynkr keys`: the running engine, else this process in its place."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol
from urllib.parse import quote

import aiohttp

from lynkr_desktop.cli.client import ControlClient, ControlFailure, connect
from lynkr_desktop.cli.noting import note
from lynkr_desktop.engine.config.loader import ConfigError, load_config
from lynkr_desktop.engine.config.schema import Config
from lynkr_desktop.engine.key_desk import KeyDesk, NoSuchKey, UnknownProvider
from lynkr_desktop.engine.providers.embedded.store import ModelStore
from lynkr_desktop.engine.providers.registry import Tools, check_key
from lynkr_desktop.engine.security.keys import BadKey, KeyStore
from lynkr_desktop.engine.security.ring import RingError
from lynkr_desktop.paths import Paths
from lynkr_desktop.protocol.keys import KeyCheck, KeyInfo, KeyList, KeyPut
from lynkr_desktop.running import find_engine

_TIMEOUT = 45.0
"""Seconds; more than the engine waits for a person who is asked for the keyring's password."""


class KeyFailure(Exception):
    """What was asked could not be done. The message says why, for people."""


class Keys(Protocol):
    """The keys of providers. Every method raises `KeyFailure`."""

    def listing(self) -> KeyList:
        """Where each key comes from."""

    def store(self, provider: str, key: str) -> None:
        """Stores a key in the OS keyring."""

    def remove(self, provider: str) -> KeyInfo:
        """Removes a key from the OS keyring; what is left."""

    def test(self, provider: str) -> KeyCheck:
        """Asks the provider whether it takes its key."""


def open_keys(paths: Paths) -> Keys:
    """The keys as the engine of this home sees them, or would. Raises `KeyFailure`."""
    with _told():
        runtime = find_engine(paths)
        if runtime is not None:
            return EngineKeys(connect(paths, runtime, timeout=_TIMEOUT))
        return LocalKeys(paths, load_config(paths.config).config)


class EngineKeys:
    """The keys of a running engine, by its control API."""

    def __init__(self, client: ControlClient) -> None:
        self._client = client

    def listing(self) -> KeyList:
        """Where each key comes from."""
        with _told():
            return self._client.get("/v1/admin/keys", KeyList)

    def store(self, provider: str, key: str) -> None:
        """Stores a key in the OS keyring."""
        with _told():
            self._client.send("PUT", _path(provider), KeyInfo, KeyPut(key))

    def remove(self, provider: str) -> KeyInfo:
        """Removes a key from the OS keyring; what is left."""
        with _told():
            return self._client.send("DELETE", _path(provider), KeyInfo)

    def test(self, provider: str) -> KeyCheck:
        """Asks the provider whether it takes its key."""
        with _told():
            return self._client.send("POST", f"{_path(provider)}/test", KeyCheck)


class LocalKeys:
    """The keys as an engine that started now would find them."""

    def __init__(self, paths: Paths, config: Config) -> None:
        self._paths = paths
        self._config = config
        self._store = KeyStore(os.environ)
        self._desk = KeyDesk(config, self._store)

    def listing(self) -> KeyList:
        """Where each key comes from."""
        return self._desk.listing()

    def store(self, provider: str, key: str) -> None:
        """Stores a key in the OS keyring."""
        with _told():
            self._desk.store(provider, key)
        note(self._paths, "provider key set", f"provider {provider}")

    def remove(self, provider: str) -> KeyInfo:
        """Removes a key from the OS keyring; what is left."""
        with _told():
            self._desk.remove(provider)
            note(self._paths, "provider key removed", f"provider {provider}")
            return self._desk.info(provider)

    def test(self, provider: str) -> KeyCheck:
        """Asks the provider whether it takes its key."""
        with _told():
            self._desk.check(provider)
        return asyncio.run(self._ask(provider))

    async def _ask(self, provider: str) -> KeyCheck:
        async with aiohttp.ClientSession() as local, aiohttp.ClientSession(trust_env=True) as cloud:
            tools = Tools(
                local_session=lambda: local,
                cloud_session=lambda: cloud,
                store=ModelStore(self._paths.models),
                on_change=lambda: None,
                environ=os.environ,
                keys=self._store,
            )
            return await check_key(provider, self._config, tools)


def _path(provider: str) -> str:
    return f"/v1/admin/keys/{quote(provider, safe='')}"


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (BadKey, ConfigError, ControlFailure, NoSuchKey, RingError, UnknownProvider) as error:
        raise KeyFailure(str(error)) from error
