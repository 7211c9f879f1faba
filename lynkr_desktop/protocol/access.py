"""Bodies of /v1/admin/access: access keys beside the machine's own token. A key comes out once, when made."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from lynkr_desktop.protocol.tiers import Tier

Role = Literal["admin", "user", "viewer"]


class AccessKeyInfo(Struct, frozen=True, kw_only=True):
    """One access key, without the key. Times are Unix seconds.

    Attributes:
        name: of the key.
        role: `admin` may do everything, `user` use models and read what is its own, `viewer` read alone.
        tiers: those that may answer its requests; empty for all.
        tokens_per_day: it may use, by the local calendar; None for no limit.
        dollars_per_day: it may spend, in US dollars; None for no limit.
        created: when the key was made or last made anew.
        expires: from when on it counts no more; None for never.
        last_used: to the minute or so; None for never.
        expired: whether it counts no more.
        tokens_today: that it has used; None where no engine runs.
        dollars_today: that it has spent, as far as prices are known; None where no engine runs.
    """

    name: str
    role: Role
    tiers: tuple[Tier, ...] = ()
    tokens_per_day: int | None = None
    dollars_per_day: float | None = None
    created: float = 0.0
    expires: float | None = None
    last_used: float | None = None
    expired: bool = False
    tokens_today: int | None = None
    dollars_today: float | None = None


class AccessList(Struct, frozen=True, kw_only=True):
    """GET /v1/admin/access. `problem` says why the keys in the file do not count, and what to do."""

    keys: tuple[AccessKeyInfo, ...] = ()
    path: str = ""
    problem: str = ""


class AccessAdd(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """POST /v1/admin/access. `expires_in` is in seconds from now."""

    name: str
    role: Role = "user"
    tiers: tuple[Tier, ...] = ()
    tokens_per_day: int | None = None
    dollars_per_day: float | None = None
    expires_in: float | None = None


class AccessPatch(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """PATCH /v1/admin/access/{name}. What is left out stays; None takes a limit away."""

    role: Role | UnsetType = UNSET
    tiers: tuple[Tier, ...] | UnsetType = UNSET
    tokens_per_day: int | UnsetType | None = UNSET
    dollars_per_day: float | UnsetType | None = UNSET
    expires_in: float | UnsetType | None = UNSET


class AccessRotate(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """POST /v1/admin/access/{name}/rotate. Without `expires_in` the key keeps when it expires."""

    expires_in: float | None = None


class NewAccessKey(Struct, frozen=True, kw_only=True):
    """An access key at the one time that it is shown."""

    key: str
    info: AccessKeyInfo

    def __repr__(self) -> str:
        return f"{type(self).__name__}(key=***, info={self.info!r})"


class OwnAccess(Struct, frozen=True, kw_only=True):
    """GET /v1/admin/access/self: what the caller's key is. `name` is empty for the machine's own token."""

    name: str = ""
    role: Role = "admin"
    tiers: tuple[Tier, ...] = ()
    tokens_per_day: int | None = None
    dollars_per_day: float | None = None
    tokens_today: int = 0
    dollars_today: float = 0.0
