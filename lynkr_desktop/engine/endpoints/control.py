"""What the calls of the control API have in common: how each is declared, read and answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from lynkr_desktop.engine.guards import read_body
from lynkr_desktop.engine.security.caller import ADMIN, READERS, Caller
from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.engine.wire.fields import NOT_JSON, encode_json
from lynkr_desktop.protocol.access import Role

T = TypeVar("T")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
AddRoute = Callable[[str, str, Handler], None]
"""Takes a method, a path and its handler."""

MAX_CONTROL_BODY = 64 * 1024

CALLER = web.RequestKey("caller", Caller)
"""Who sent a request of the control API."""

_DETAIL = web.RequestKey("detail", str)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the control API; routes and the OpenAPI document are made from it.

    Attributes:
        method: GET, POST, PUT, PATCH or DELETE.
        path: with `{name}` for its parameters.
        handler: answers it; the first line of its docstring describes the call.
        body: the type of the request's body, None where it has none.
        answer: the type of a good answer; None where it is not JSON of one type.
        status: of a good answer.
        content: its media type; empty where the answer has no body.
        open: it needs no token.
        query: parameters after the `?`, with what each means.
        roles: who may call; left out, readers may GET, and admins alone do the rest.
        changes: what the audit log calls it, in a few words; left out, method and path where it is no GET.
            None where nothing changes although it is none.
    """

    method: str
    path: str
    handler: Handler
    body: Any = None
    answer: Any = None
    status: int = 200
    content: str = "application/json"
    open: bool = False
    query: Mapping[str, str] = field(default_factory=dict)
    roles: frozenset[Role] = frozenset()
    changes: str | None = ""

    @property
    def allowed(self) -> frozenset[Role]:
        """Who may call."""
        return self.roles or (READERS if self.method == "GET" else ADMIN)

    @property
    def audited(self) -> str:
        """What the audit log calls it; empty where it is not noted there."""
        if self.changes is None:
            return ""
        return self.changes or ("" if self.method == "GET" else f"{self.method} {self.path}")


def noting(request: web.Request, detail: str) -> None:
    """Says what a call was about, for the audit log: no secret, and a line at most."""
    request[_DETAIL] = detail


def detail_of(request: web.Request) -> str:
    """What a call was about: as its handler says, else by its path."""
    parameters = ", ".join(f"{name} {value}" for name, value in request.match_info.items())
    return request.get(_DETAIL) or parameters


def reply(body: Any, status: int = 200) -> web.Response:
    """A JSON answer."""
    return web.Response(status=status, body=encode_json(body), content_type="application/json")


async def decoded(request: web.Request, kind: type[T], limit: int = MAX_CONTROL_BODY) -> T:
    """The body of at most `limit` bytes as `kind`; an empty one is `{}`. Raises `WireError` 400 or 413."""
    try:
        data = await read_body(request, limit) or b"{}"
    except WireError as error:
        if error.status == 413:
            error.message = f"The body is larger than {limit // 1024} kB."
        raise
    try:
        return msgspec.json.decode(data, type=kind)
    except NOT_JSON as error:
        raise WireError(f"The body does not fit: {error}.", status=400, kind="invalid_request") from error


def number(request: web.Request, name: str, default: int, low: int, high: int) -> int:
    """A whole number among the query's parameters. Raises `WireError` 400 where it is none in bounds."""
    text = request.query.get(name)
    if text is None:
        return default
    if not text.isdecimal() or not low <= int(text[:9]) <= high:
        message = f"{name} must be a number from {low} to {high}."
        raise WireError(message, status=400, kind="invalid_request", param=name)
    return int(text)
