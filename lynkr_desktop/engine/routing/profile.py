"""Profiles: which models may answer at all, and which come first."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from lynkr_desktop.engine.config.schema import Policy, PreferLocal, RoutingOptions
from lynkr_desktop.engine.wire.errors import InvalidRequest
from lynkr_desktop.protocol.optimization import StageName
from lynkr_desktop.protocol.tiers import Tier


class Profile(Struct, frozen=True):
    """A profile with everything settled that it leaves to the general options.

    Attributes:
        name: as the configuration has it.
        local_only: nothing may leave this machine.
        tiers: that take requests; empty for all.
        prefer_local: whether local models come first.
        policy: how the models of a tier are ranked.
        pipeline: what shortens prompts; None where the general option says it.
    """

    name: str
    local_only: bool
    tiers: frozenset[Tier]
    prefer_local: PreferLocal
    policy: Policy
    pipeline: tuple[StageName, ...] | None = None


def profiles_of(options: RoutingOptions) -> dict[str, Profile]:
    """Every profile, by name, the built-in ones first."""
    return {
        name: Profile(
            name,
            found.local_only,
            frozenset(found.tiers),
            found.prefer_local or options.prefer_local,
            found.policy or options.policy,
            found.pipeline,
        )
        for name in options.profile_names
        if (found := options.profile_named(name)) is not None
    }


def for_request(profiles: Mapping[str, Profile], active: Profile, asked: str) -> Profile:
    """The profile that a request names in its header, under the active one.

    A request may bind itself more, never less: what is local only stays so.

    Raises:
        InvalidRequest: there is no such profile.
    """
    found = profiles.get(asked)
    if found is None:
        raise InvalidRequest(f"There is no profile {asked[:40]!r}. The profiles are {', '.join(profiles)}.")
    return active if active.local_only and not found.local_only else found
