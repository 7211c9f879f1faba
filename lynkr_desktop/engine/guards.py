"""Who may talk to the engine: token or access key, Host and Origin of a request, and the size of its body."""

from __future__ import annotations

import asyncio
import base64
import hmac
import re
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

from aiohttp import StreamReader, hdrs, web

from lynkr_desktop.engine.compressed import TooLarge, unpacked
from lynkr_desktop.engine.connections import Connection
from lynkr_desktop.engine.security.access import PREFIX, AccessKeys, Holder
from lynkr_desktop.engine.security.caller import OWNER, Caller
from lynkr_desktop.engine.security.token import digest
from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.protocol.access import Role

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_AUTHORITY = re.compile(r"(?:\[([0-9a-f:.]{2,45})\]|([a-z0-9._-]{1,255}))(?::[0-9]{0,5})?", re.IGNORECASE)
"""A host with or without a port (RFC 9110, 7.2), and nothing that some would read another way."""

_PIECE_WITHIN_S = 60.0
_BODY_WITHIN_S = 600.0


class Guard:
    """Checks requests before anything reads their bodies.

    A page in a browser can send requests to this machine, and a name that it controls can be made to resolve
    to 127.0.0.1; the checks of Origin and Host stop both even where the token is known.

    Args:
        token: the machine's own token; whoever has it may do everything.
        hosts: names served beside those of this machine.
        origins: web origins whose pages may call, beside those of this machine.
        open_path: paths that begin so need no token; empty for none.
        keys: the access keys beside the token.
        refused: is told of each request that is refused, with why in a word or two.
    """

    def __init__(
        self,
        token: str,
        hosts: Iterable[str] = (),
        origins: Iterable[str] = (),
        open_path: str = "",
        *,
        keys: AccessKeys | None = None,
        refused: Callable[[str], None] | None = None,
    ) -> None:
        # Hashes are kept and compared: all are of one length, and nobody can steer where two differ.
        self._token = digest(token) if token else b""
        self._keys = keys or AccessKeys()
        self._refused = refused or _untold
        self._open_path = open_path
        self._hosts = _LOOPBACK | {host.lower() for host in hosts}
        self._origins = frozenset(origin.lower().rstrip("/") for origin in origins)
        # Clients repeat the same few values; only accepted ones are remembered, so this stays small.
        self._good_hosts: set[str] = set()

    def check(self, request: web.Request) -> Caller:
        """Lets a request pass, and says whose it is. Raises `WireError` 401 or 403."""
        self.check_source(request)
        is_open = bool(self._open_path) and request.path.startswith(self._open_path)
        try:
            caller = self._caller(request, OWNER if is_open else None)
        except WireError as error:
            if request.path.startswith("/api/"):
                error.message += (
                    " Editors that take only a URL send it from http://any:TOKEN@127.0.0.1; those that "
                    "cannot even do that need proxy.auth.ollama_without_token."
                )
            raise
        _welcome(request)
        return caller

    def knows(self, request: web.Request) -> Caller | None:
        """Who sent a request that was let pass, as it would be let pass now; None where it would not be."""
        try:
            return self._caller(request, None)
        except WireError:
            return None

    def permit(self, caller: Caller, roles: frozenset[Role]) -> None:
        """Raises `WireError` 403 unless the caller has one of these roles."""
        if caller.role not in roles:
            self._refused(f"role of {caller.name}")
            caller.must_be(roles)

    def check_source(self, request: web.Request) -> None:
        """The part that needs no token: Host and Origin."""
        target = request.raw_path
        host = request.headers.get(hdrs.HOST, "") if target[:1] == "/" else _host_of(target)
        if host not in self._good_hosts:
            if _hostname(host) not in self._hosts:
                self._refused("host")
                raise WireError(
                    f"The host {host[:100]!r} is not served here. Use http://127.0.0.1, or list the name in "
                    "proxy.allowed_hosts.",
                    status=403,
                    kind="permission",
                )
            if len(self._good_hosts) < 64:
                self._good_hosts.add(host)
        origin = request.headers.get("Origin")
        if origin is not None and not self.allows_origin(origin):
            self._refused("origin")
            raise WireError(
                f"Pages of {origin[:100]!r} may not call Lynkr. List the origin in proxy.allowed_origins to "
                "permit it.",
                status=403,
                kind="permission",
            )

    def allows_origin(self, origin: str) -> bool:
        """Whether pages of this origin may call: pages served by this machine, and those configured."""
        if origin.lower().rstrip("/") in self._origins:
            return True
        scheme, _, authority = origin.partition("://")
        return scheme.isalnum() and _hostname(authority) in _LOOPBACK

    def _caller(self, request: web.Request, otherwise: Caller | None) -> Caller:
        """Whose token or key it is, in any of the headers that clients can set; `otherwise` without one."""
        headers = request.headers
        offered = False
        expired: Holder | None = None
        for name in ("x-lynkr-token", "x-api-key", "Authorization"):
            value = headers.get(name)
            if value and name == "Authorization":
                value = _authorization(value)
            if not value:
                continue
            hashed = digest(value)
            if hmac.compare_digest(hashed, self._token):
                return OWNER
            offered, holder = True, self._keys.find(hashed)
            if holder is not None:
                if self._keys.counts(holder):
                    return holder.caller
                expired = holder
        if otherwise is not None:
            return otherwise
        if expired is not None:
            self._refused("expired key")
            raise WireError(
                f"The access key {expired.caller.name} has expired. Who runs this Lynkr can renew it: "
                f"`lynkr access rotate {expired.caller.name} --expires 30d`.",
                status=401,
                kind="authentication",
            )
        self._refused("wrong token" if offered else "no token")
        what = "is wrong" if offered else "is missing"
        raise WireError(
            f"The access token {what}. Send it as `Authorization: Bearer …`, `x-api-key` or `x-lynkr-token`; "
            "the tray menu under Copy endpoint, or `lynkr status --token`, shows it.",
            status=401,
            kind="authentication",
        )

    def own_credential(self, request: web.Request) -> tuple[str, str] | None:
        """The header, with its value, in which a client sends a key of its own for the provider.

        The token or key stands in `x-lynkr-token` then, so whatever else is in the other two is meant for
        elsewhere. What looks like a key of ours never is: it may be one that was removed.
        """
        given = request.headers.get("x-lynkr-token")
        if given is None or not self._ours(given):
            return None
        for name in ("authorization", "x-api-key"):
            value = request.headers.get(name, "")
            secret = _authorization(value) if name == "authorization" else value
            if secret and not secret.startswith(PREFIX) and not self._ours(secret):
                return name, value
        return None

    def _ours(self, secret: str) -> bool:
        hashed = digest(secret)
        return hmac.compare_digest(hashed, self._token) or self._keys.find(hashed) is not None


def _untold(_why: str) -> None:
    """Nobody wants to know."""


def _authorization(value: str) -> str:
    """The secret of an Authorization header: a bearer token, or the password of a URL with credentials."""
    scheme, _, rest = value.partition(" ")
    match scheme.lower():
        case "bearer":
            return rest.strip()
        case "basic":
            try:
                return base64.b64decode(rest, validate=True).decode().partition(":")[2]
            except ValueError:
                return ""
    return ""


def _hostname(host: str) -> str:
    found = _AUTHORITY.fullmatch(host)
    return (found[1] or found[2]).lower().removesuffix(".") if found is not None else ""


def _host_of(target: str) -> str:
    """The host of a target that names one; it counts before the Host header (RFC 9112, 3.2.2)."""
    try:
        return urlsplit(target).netloc
    except ValueError:
        return ""


def _welcome(request: web.Request) -> None:
    connection = request.protocol
    if isinstance(connection, Connection):
        connection.welcome()


async def read_body(request: web.Request, limit: int) -> bytes:
    """The whole body, unpacked where it came compressed.

    Raises:
        WireError: 413 as soon as it is known to be larger than `limit` bytes, 408 where it does not come,
            400 or 415 for a compression that cannot be undone.
    """
    length = request.content_length
    if length is not None and length > limit:
        raise _too_large(limit)
    body = await _received(request.content, length, limit)
    encoding = request.headers.get(hdrs.CONTENT_ENCODING)
    if encoding is None:
        return body
    try:
        return await unpacked(body, encoding, limit)
    except TooLarge as error:
        raise _too_large(limit) from error


async def _received(content: StreamReader, length: int | None, limit: int) -> bytes:
    if content.is_eof():
        # It has come whole with its head: there is nothing to wait for.
        body = await content.readany()
        if len(body) == length or content.at_eof():
            return body
    else:
        body = b""
    parts = bytearray(body)
    loop = asyncio.get_running_loop()
    last = loop.time() + _BODY_WITHIN_S
    try:
        async with asyncio.timeout(_PIECE_WITHIN_S) as patience:
            while chunk := await content.readany():
                if not parts and len(chunk) == length:
                    return chunk
                parts += chunk
                if len(parts) > limit:
                    raise _too_large(limit)
                patience.reschedule(min(last, loop.time() + _PIECE_WITHIN_S))
    except TimeoutError as error:
        raise WireError(
            "The body of the request did not come in time.", status=408, kind="timeout"
        ) from error
    return bytes(parts)


def _too_large(limit: int) -> WireError:
    return WireError(
        f"The body is larger than {limit / 1024**2:g} MB. Raise proxy.max_body to accept it.",
        status=413,
        kind="too_large",
    )
