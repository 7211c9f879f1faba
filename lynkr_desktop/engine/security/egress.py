"""What may leave this machine: anything, or nothing while only local models are allowed.

Three nets, the last at the socket itself: hosts and addresses are checked where aiohttp connects; what other
libraries do (google-auth and botocore in threads) is caught by Python's audit events; and whoever would make
another program fetch something asks first.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakSet

from lynkr_desktop.engine.wire.errors import WireError

_this_request: ContextVar[bool] = ContextVar("local_only", default=False)
_shut: WeakSet[Egress] = WeakSet()
_watching = False

_CONNECTS = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
_LOOKUPS = frozenset({"socket.getaddrinfo", "socket.gethostbyname"})


class LocalOnly(OSError):
    """A connection to another machine was refused because of the profile in force."""

    def __init__(self, target: str) -> None:
        super().__init__(errno.EACCES, f"{target} is not on this machine, and the profile allows no other")


class Egress:
    """The gate of one engine. Open at first."""

    def shut(self) -> None:
        """Lets nothing leave until `open`; connections that are open to elsewhere are not used again."""
        _shut.add(self)
        _watch()

    def open(self) -> None:
        """Lets everything pass."""
        _shut.discard(self)

    @property
    def is_shut(self) -> bool:
        """Whether nothing may leave now, for this request at least."""
        return self in _shut or _this_request.get()

    def for_request(self, local_only: bool) -> AbstractContextManager[None]:
        """Shuts the gate for what this task does within the block."""
        return _shut_for_this_task() if local_only else _UNCHANGED

    def check_host(self, host: str | None) -> None:
        """Raises `LocalOnly` for a host that is not this machine, while the gate is shut."""
        if self.is_shut and not is_this_machine(host or ""):
            raise LocalOnly(host or "the host")

    def check_address(self, address: Any) -> None:
        """The same for a socket's address; those of Unix sockets pass."""
        if self.is_shut and _leaves(address):
            raise LocalOnly(str(address[0]))

    def check_fetch(self, what: str) -> None:
        """Raises `WireError` 403 where `what` would be fetched from elsewhere while the gate is shut."""
        if self.is_shut:
            raise WireError(
                f"{what} would be fetched from another machine, which the profile in force does not allow. "
                "Switch the profile first: in the tray menu, or by `lynkr profile default`.",
                status=403,
                kind="permission",
            )


_UNCHANGED = nullcontext()


@contextmanager
def _shut_for_this_task() -> Iterator[None]:
    _watch()
    token = _this_request.set(True)
    try:
        yield
    finally:
        _this_request.reset(token)


def is_this_machine(host: str) -> bool:
    """Whether a host's name or address is this machine, without looking anything up."""
    if host.rstrip(".").lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


@lru_cache(256)
def is_loopback(url: str) -> bool:
    """Whether the URL's host is this machine."""
    return is_this_machine(urlsplit(url).hostname or "")


def _leaves(address: Any) -> bool:
    """Whether a socket's address is on another machine; only the families of IP have tuples."""
    return isinstance(address, tuple) and bool(address) and not is_this_machine(str(address[0]))


def _watch() -> None:
    """Installs the audit hook, once; Python has no way to take one out again."""
    global _watching
    if not _watching:
        _watching = True
        sys.addaudithook(_audit)


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if not (_shut or _this_request.get()):
        return
    if event in _CONNECTS:
        address = args[1] if len(args) > 1 else None
        if _leaves(address):
            raise LocalOnly(str(address[0]) if address else "the host")
    elif event in _LOOKUPS:
        host = args[0]
        name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
        if name and not is_this_machine(name) and name != socket.gethostname():
            raise LocalOnly(name)
