"""The latest long bodies that were looked up, with what they say: the same ones need not be read again."""

from __future__ import annotations

from collections import OrderedDict

from msgspec import Struct

from lynkr_desktop.engine.wire.canonical import Request
from lynkr_desktop.engine.wire.codec import Dialect

_SHORT = 16 * 1024
"""Bytes of a body that is read again sooner than kept."""

_MOST = 4 * 1024**2
"""Bytes of all that are kept: some six requests of 150,000 tokens."""

_END = 256

_Key = tuple[Dialect, int, bytes]


class Body(Struct, frozen=True):
    """A request as bytes, and what follows from these alone.

    Attributes:
        data: as the client sent it, or as it was rewritten.
        request: what it says.
        digest: of the fields that an answer depends on.
        names: of files and symbols that it mentions; None where they were not looked for.
    """

    data: bytes
    request: Request
    digest: bytes
    names: tuple[str, ...] | None


class Bodies:
    """Remembers bodies. A body is found only where each of its bytes is the same. For the event loop.

    Args:
        most: bytes of all bodies together.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._size = 0
        self._known: OrderedDict[_Key, Body] = OrderedDict()

    def get(self, dialect: Dialect, data: bytes) -> Body | None:
        """What is known of a body in a protocol."""
        key = _key(dialect, data)
        known = self._known.get(key)
        if known is None or known.data != data:
            return None
        self._known.move_to_end(key)
        return known

    def put(self, dialect: Dialect, body: Body) -> None:
        """Keeps a body, in the place of those that were not looked up for longest."""
        size = len(body.data)
        if not _SHORT <= size <= self._most:
            return
        key = _key(dialect, body.data)
        before = self._known.pop(key, None)
        self._size += size - (len(before.data) if before is not None else 0)
        self._known[key] = body
        while self._size > self._most:
            _, gone = self._known.popitem(last=False)
            self._size -= len(gone.data)

    def clear(self) -> None:
        """Forgets all."""
        self._known.clear()
        self._size = 0


def _key(dialect: Dialect, data: bytes) -> _Key:
    """Tells most bodies apart without a look at all of their bytes."""
    return dialect, len(data), data[-_END:]
