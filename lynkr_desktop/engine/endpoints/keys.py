"""The control API's calls for provider keys: where they are, set, remove, test. No call reads one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from lynkr_desktop.engine.endpoints.control import Call, decoded, reply
from lynkr_desktop.engine.engine import Engine
from lynkr_desktop.engine.key_desk import KeyDesk, NoSuchKey, UnknownProvider
from lynkr_desktop.engine.security.keys import BadKey
from lynkr_desktop.engine.security.ring import RingError
from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.protocol.keys import KeyCheck, KeyInfo, KeyList, KeyPut


class Keys:
    """The handlers, one per call."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def calls(self) -> list[Call]:
        """Every call."""
        return [
            Call("GET", "/v1/admin/keys", self.listing, answer=KeyList),
            Call(
                "PUT",
                "/v1/admin/keys/{provider}",
                self.put,
                body=KeyPut,
                answer=KeyInfo,
                changes="provider key set",
            ),
            Call(
                "DELETE",
                "/v1/admin/keys/{provider}",
                self.remove,
                answer=KeyInfo,
                changes="provider key removed",
            ),
            Call(
                "POST",
                "/v1/admin/keys/{provider}/test",
                self.test,
                answer=KeyCheck,
                changes="provider key tested",
            ),
        ]

    async def listing(self, request: web.Request) -> web.StreamResponse:
        """Where each provider's key comes from: the OS keyring, the environment or nowhere."""
        return reply(await asyncio.to_thread(self._desk.listing))

    async def put(self, request: web.Request) -> web.StreamResponse:
        """Stores a key in the OS keyring; the next request uses it."""
        provider, body = request.match_info["provider"], await decoded(request, KeyPut)
        with _told():
            await asyncio.to_thread(self._desk.store, provider, body.key)
        return await self._changed(provider)

    async def remove(self, request: web.Request) -> web.StreamResponse:
        """Removes a key from the OS keyring; one in the environment stays in force."""
        provider = request.match_info["provider"]
        with _told():
            await asyncio.to_thread(self._desk.remove, provider)
        return await self._changed(provider)

    async def test(self, request: web.Request) -> web.StreamResponse:
        """Asks the provider, by a call that costs nothing, whether it takes the key."""
        provider = request.match_info["provider"]
        with _told():
            self._desk.check(provider)
        return reply(await self._engine.check_key(provider))

    @property
    def _desk(self) -> KeyDesk:
        return KeyDesk(self._engine.snapshot.config, self._engine.keys)

    async def _changed(self, provider: str) -> web.StreamResponse:
        self._engine.forget_key(provider)
        return reply(await asyncio.to_thread(self._desk.info, provider))


@contextmanager
def _told() -> Iterator[None]:
    """Gives what can go wrong with a key its status."""
    try:
        yield
    except (UnknownProvider, NoSuchKey) as error:
        raise WireError(str(error), status=404, kind="not_found") from error
    except BadKey as error:
        raise WireError(str(error), status=400, kind="invalid_request", param="key") from error
    except RingError as error:
        raise WireError(str(error), status=503, kind=error.problem) from error
