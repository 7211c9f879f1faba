"""The control API's calls for access keys: list, add, rotate, remove. A key comes out once: when made."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

import msgspec
from aiohttp import web
from msgspec.structs import replace

from lynkr_desktop.engine.endpoints.control import CALLER, Call, decoded, noting, reply
from lynkr_desktop.engine.engine import Engine
from lynkr_desktop.engine.security.access import AccessFault, AccessTaken, BadAccess, NoSuchAccess
from lynkr_desktop.engine.security.caller import ADMIN, EVERYONE
from lynkr_desktop.engine.telemetry.budget_rows import of_keys
from lynkr_desktop.engine.telemetry.database import RecordsError
from lynkr_desktop.engine.telemetry.spans import start_of_day
from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.protocol.access import (
    AccessAdd,
    AccessKeyInfo,
    AccessList,
    AccessPatch,
    AccessRotate,
    NewAccessKey,
    OwnAccess,
)
from lynkr_desktop.protocol.tiers import TIERS

log = logging.getLogger(__name__)

_ACCESS = "/v1/admin/access"
_NOTHING = (0, 0.0)
Used = dict[str, tuple[int, float]]
"""Tokens and dollars of today by access key."""


class AccessCalls:
    """The handlers, one per call."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._keys = engine.access

    def calls(self) -> list[Call]:
        """Every call; `self` comes before the names, which would take its place."""
        one = f"{_ACCESS}/{{name}}"
        return [
            Call("GET", _ACCESS, self.listing, answer=AccessList, roles=ADMIN),
            Call(
                "POST",
                _ACCESS,
                self.add,
                body=AccessAdd,
                answer=NewAccessKey,
                status=201,
                changes="access key added",
            ),
            Call("GET", f"{_ACCESS}/self", self.own, answer=OwnAccess, roles=EVERYONE),
            Call(
                "POST",
                f"{one}/rotate",
                self.rotate,
                body=AccessRotate,
                answer=NewAccessKey,
                changes="access key rotated",
            ),
            Call(
                "PATCH",
                one,
                self.change,
                body=AccessPatch,
                answer=AccessKeyInfo,
                changes="access key changed",
            ),
            Call("DELETE", one, self.remove, answer=AccessKeyInfo, changes="access key removed"),
        ]

    async def listing(self, request: web.Request) -> web.StreamResponse:
        """The access keys beside the machine's own token, without the keys."""
        found = self._keys.listing()
        used = await self._used_today()
        return reply(replace(found, keys=tuple(_with_use(info, used) for info in found.keys)))

    async def own(self, request: web.Request) -> web.StreamResponse:
        """What the key that this is asked with may do."""
        caller = request[CALLER]
        tokens, dollars = (await self._used_today()).get(caller.name, _NOTHING)
        return reply(
            OwnAccess(
                name=caller.name,
                role=caller.role,
                tiers=tuple(tier for tier in TIERS if tier in caller.tiers),
                tokens_per_day=caller.budget.tokens,
                dollars_per_day=caller.budget.dollars,
                tokens_today=tokens,
                dollars_today=dollars,
            )
        )

    async def add(self, request: web.Request) -> web.StreamResponse:
        """Makes an access key and shows it, this once."""
        wanted = await decoded(request, AccessAdd)
        noting(request, f"{wanted.name[:40]}, {wanted.role}")
        with _told():
            made = await asyncio.to_thread(self._keys.add, wanted)
        return _secret(made, 201)

    async def rotate(self, request: web.Request) -> web.StreamResponse:
        """Puts a new key in the place of one, shows it this once; the old one counts no more."""
        wanted = await decoded(request, AccessRotate)
        with _told():
            made = await asyncio.to_thread(self._keys.rotate, request.match_info["name"], wanted.expires_in)
        return _secret(made, 200)

    async def change(self, request: web.Request) -> web.StreamResponse:
        """Changes what an access key may do and use, from the next request on."""
        name, wanted = request.match_info["name"], await decoded(request, AccessPatch)
        noting(request, f"{name[:40]}: {msgspec.json.encode(wanted).decode()}")
        with _told():
            changed = await asyncio.to_thread(self._keys.change, name, wanted)
        return reply(_with_use(changed, await self._used_today()))

    async def _used_today(self) -> Used:
        began = start_of_day(date.today())
        try:
            return await self._engine.records.read(lambda connection: of_keys(connection, began))
        except RecordsError as error:
            # What keys may do is to be seen and changed all the same.
            log.warning("what access keys have used today is not known: %s", error)
            return {}

    async def remove(self, request: web.Request) -> web.StreamResponse:
        """Removes an access key; the next request that brings it is refused."""
        with _told():
            return reply(await asyncio.to_thread(self._keys.remove, request.match_info["name"]))


def _with_use(info: AccessKeyInfo, used: Used) -> AccessKeyInfo:
    tokens, dollars = used.get(info.name, _NOTHING)
    return replace(info, tokens_today=tokens, dollars_today=dollars)


def _secret(made: NewAccessKey, status: int) -> web.Response:
    response = reply(made, status)
    response.headers["cache-control"] = "no-store"
    return response


@contextmanager
def _told() -> Iterator[None]:
    """Gives what can go wrong with an access key its status."""
    try:
        yield
    except NoSuchAccess as error:
        raise WireError(str(error), status=404, kind="not_found") from error
    except AccessTaken as error:
        raise WireError(str(error), status=409, kind="conflict") from error
    except BadAccess as error:
        raise WireError(str(error), status=400, kind="invalid_request") from error
    except AccessFault as error:
        raise WireError(str(error), status=503, kind="unavailable") from error
