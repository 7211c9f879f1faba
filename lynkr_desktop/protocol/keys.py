"""Bodies of /v1/admin/keys. Keys go in and never come out."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

KeyOrigin = Literal["keyring", "environment", "none"]
KeyResult = Literal["valid", "refused", "unreachable", "none", "unknown"]


class KeyInfo(Struct, frozen=True, kw_only=True):
    """Where the key of one provider comes from. `used` says whether the configuration names the provider.

    `variable` is the environment variable that holds the key, or that would be read.
    """

    provider: str
    kind: str
    used: bool
    source: KeyOrigin
    variable: str


class KeyringInfo(Struct, frozen=True, kw_only=True):
    """The OS keyring. `problem` says why it cannot be used and what to do; empty when it can."""

    name: str = ""
    problem: str = ""


class KeyList(Struct, frozen=True, kw_only=True):
    """GET /v1/admin/keys."""

    keyring: KeyringInfo
    keys: tuple[KeyInfo, ...] = ()


class KeyPut(Struct, frozen=True, forbid_unknown_fields=True):
    """PUT /v1/admin/keys/{provider}."""

    key: str

    def __repr__(self) -> str:
        return f"{type(self).__name__}(key=***)"


class KeyCheck(Struct, frozen=True, kw_only=True):
    """What a provider says of its key. `unknown`: it answered and did not say; `none`: there is no key."""

    provider: str
    result: KeyResult
    message: str
