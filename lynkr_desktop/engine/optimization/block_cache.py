"""Remembers what became of a block: clients send all blocks again with each turn."""

from __future__ import annotations

from collections import OrderedDict
from hashlib import sha256
from threading import Lock
from typing import Generic, TypeVar

Value = TypeVar("Value")


def block_key(*parts: str) -> bytes:
    """SHA-256 of some texts; the same texts cut elsewhere have another."""
    digest = sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(b"%d:" % len(data))
        digest.update(data)
    return digest.digest()


class BlockCache(Generic[Value]):
    """Values by key, the least recently used go first. Safe to use from several threads.

    Attributes:
        hits: lookups that found something.
        misses: those that did not.

    Args:
        max_bytes: that all values may have together.
    """

    def __init__(self, max_bytes: int = 32 << 20) -> None:
        self.hits = 0
        self.misses = 0
        self._max_bytes = max_bytes
        self._bytes = 0
        self._values: OrderedDict[bytes, tuple[Value, int]] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._values)

    @property
    def size(self) -> int:
        """Bytes of all values, as they were given."""
        return self._bytes

    def get(self, key: bytes) -> Value | None:
        """The value, None where there is none."""
        with self._lock:
            found = self._values.get(key)
            if found is None:
                self.misses += 1
                return None
            self.hits += 1
            self._values.move_to_end(key)
            return found[0]

    def put(self, key: bytes, value: Value, size: int) -> None:
        """Keeps a value of about `size` bytes; one that is larger than the cache is not kept."""
        size += len(key)
        with self._lock:
            self._remove(key)
            if size > self._max_bytes:
                return
            self._values[key] = (value, size)
            self._bytes += size
            while self._bytes > self._max_bytes:
                self._remove(next(iter(self._values)))

    def clear(self) -> None:
        """Forgets all."""
        with self._lock:
            self._values.clear()
            self._bytes = 0

    def _remove(self, key: bytes) -> None:
        gone = self._values.pop(key, None)
        if gone is not None:
            self._bytes -= gone[1]
