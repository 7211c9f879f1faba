"""Profiles: which models may answer at all, and which come first."""

from __future__ import annotations

from msgspec import Struct

from lynkr_desktop.engine.config.schema import Policy, PreferLocal, RoutingOptions
from lynkr_desktop.engine.wire.errors import InvalidRequest
from lynkr_desktop.protocol.tiers import Tier


class Profile(Struct, frozen=True):
    """A profile with everything settled that it leaves to the general options.

    Attributes:
        name: as the configuration has it.
        local_only: nothing may leave this machine.
        tiers: that take requests; empty for all.
        prefer_local: whether local models come first.
        policy: how the models of a tier are ranked.
    """

    name: str
    local_only: bool
    tiers: frozenset[Tier]
    prefer_local: PreferLocal
    policy: Policy


def profile_of(options: RoutingOptions, name: str) -> Profile | None:
    """The profile of that name; None where there is none."""
    found = options.profile_named(name)
    if found is None:
        return None
    return Profile(
        name,
        found.local_only,
        frozenset(found.tiers),
        found.prefer_local or options.prefer_local,
        found.policy or options.policy,
    )


def for_request(options: RoutingOptions, active: Profile, asked: str) -> Profile:
    """The profile of one request: the active one, or that which its header names.

    A request may bind itself more, never less: what is local only stays so.

    Raises:
        InvalidRequest: there is no such profile.
    """
    if not asked or asked == active.name:
        return active
    found = profile_of(options, asked)
    if found is None:
        names = ", ".join(options.profile_names)
        raise InvalidRequest(f"There is no profile {asked[:40]!r}. The profiles are {names}.")
    if active.local_only and not found.local_only:
        return active
    return found
