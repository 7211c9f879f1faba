"""Bodies of /v1/admin/cache: the replies that are stored to be given again."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from lynkr_desktop.protocol.tiers import Tier

CacheResult = Literal["hit", "miss", "bypass"]
"""What `x-lynkr-cache` says of a reply: stored before, looked up in vain, or not looked up."""


class CacheStatus(Struct, frozen=True, kw_only=True):
    """GET /v1/admin/cache. Sizes are bytes.

    Attributes:
        active: whether the profile in force looks requests up.
        path: the file.
        replies, size: what is stored.
        max_size, ttl_s, max_temperature: the options in force.
        hits, misses: requests that were looked up since the start.
        saved: US dollars that the hits since the start would have cost.
        problem: why nothing is stored now; empty while all is well.
    """

    active: bool
    path: str
    replies: int = 0
    size: int = 0
    max_size: int
    ttl_s: float
    max_temperature: float
    hits: int = 0
    misses: int = 0
    saved: float = 0.0
    problem: str = ""


class CachedReply(Struct, frozen=True, kw_only=True):
    """A stored reply without what it says. `root` is the workspace that it hangs on, empty for none.

    `title` is the first line of what was asked; `cost` what the reply cost, None where that is not known.
    """

    key: str
    created: float
    used: float
    hits: int
    size: int
    provider: str
    model: str
    tier: Tier | None = None
    root: str = ""
    head: str = ""
    title: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None


class CachedReplies(Struct, frozen=True, kw_only=True):
    """GET /v1/admin/cache/replies, the latest used first."""

    replies: tuple[CachedReply, ...] = ()


class CacheCleared(Struct, frozen=True, kw_only=True):
    """DELETE /v1/admin/cache and DELETE /v1/admin/cache/replies/{key}: what was deleted."""

    replies: int = 0
    size: int = 0
