"""The stored replies as people look at them and delete them, with an engine or without one."""

from __future__ import annotations

from lynkr_desktop.engine.cache.store import ReplyStore
from lynkr_desktop.engine.cache.stored import Listed
from lynkr_desktop.engine.config.schema import CacheOptions
from lynkr_desktop.protocol.cache import CacheCleared, CachedReply, CacheStatus

_KEY = 16
"""Characters of a key that are shown: enough to tell replies apart."""

_MOST = 1_000_000


class Shelf:
    """What a store holds, and how to be rid of it. Not for the event loop."""

    def __init__(self, store: ReplyStore) -> None:
        self._store = store

    def status(
        self, options: CacheOptions, *, active: bool, hits: int = 0, misses: int = 0, saved: float = 0.0
    ) -> CacheStatus:
        """What is stored, beside what an engine says of its use."""
        self._store.open()
        return CacheStatus(
            active=active,
            path=str(self._store.file),
            replies=self._store.count,
            size=self._store.size,
            max_size=options.max_size,
            ttl_s=options.ttl,
            max_temperature=options.max_temperature,
            hits=hits,
            misses=misses,
            saved=saved,
            problem=self._store.problem,
        )

    def listing(self, limit: int) -> tuple[CachedReply, ...]:
        """The stored replies without what they say, the latest used first."""
        return tuple(map(_told, self._store.listing(limit)))

    def clear(self) -> CacheCleared:
        """Deletes every reply, so that none of their bytes is left. Raises `StoreError` where it cannot."""
        replies, size = self._store.clear()
        return CacheCleared(replies=replies, size=size)

    def remove(self, key: str) -> CacheCleared | None:
        """Deletes the one reply whose key begins so; None where there is none, or more than one."""
        found = [one for one in self._store.listing(_MOST) if one.key.hex().startswith(key.lower())]
        if len(found) != 1 or not key or not self._store.remove(found[0].key):
            return None
        return CacheCleared(replies=1, size=found[0].size)


def _told(found: Listed) -> CachedReply:
    facts = found.facts
    return CachedReply(
        key=found.key.hex()[:_KEY],
        created=found.created,
        used=found.used,
        hits=found.hits,
        size=found.size,
        provider=facts.provider,
        model=facts.model,
        tier=facts.tier,
        root=found.root,
        head=found.head,
        title=facts.title,
        input_tokens=facts.usage.input_tokens,
        output_tokens=facts.usage.output_tokens,
        cost=facts.usage.cost,
    )
