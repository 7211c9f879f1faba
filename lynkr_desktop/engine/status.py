"""What a snapshot's tiers and providers are like now, as the control API tells it."""

from __future__ import annotations

import asyncio
import time

import msgspec

from lynkr_desktop.engine.providers.base import Provider
from lynkr_desktop.engine.resilience.breaker import Breakers
from lynkr_desktop.engine.routing.profile import profiles_of
from lynkr_desktop.engine.snapshot import Snapshot
from lynkr_desktop.engine.telemetry.today import Today
from lynkr_desktop.protocol.control import Candidate, ProfileStatus, ProviderStatus, TierStatus
from lynkr_desktop.protocol.tiers import TIERS, Tier


async def provider_statuses(snapshot: Snapshot) -> tuple[ProviderStatus, ...]:
    """Every provider, and whether it can be used."""
    return tuple(await asyncio.gather(*map(_provider_status, snapshot.providers.values())))


async def tier_statuses(snapshot: Snapshot, today: Today, breakers: Breakers) -> tuple[TierStatus, ...]:
    """Every configured tier with its candidates and its share of today's requests."""
    tiers = [tier for tier in TIERS if tier in snapshot.config.routing.tiers]
    found = await asyncio.gather(*(candidates_of(snapshot, tier) for tier in tiers))
    counted = sum(today.tiers.values())
    return tuple(
        TierStatus(
            tier=tier,
            enabled=snapshot.router.enabled(tier),
            max_complexity=snapshot.config.routing.tiers[tier].max_complexity,
            candidates=tuple(_with_breaker(each, snapshot, breakers) for each in candidates),
            requests_today=today.tiers.get(tier, 0),
            share_today=today.tiers.get(tier, 0) / counted if counted else 0.0,
        )
        for tier, candidates in zip(tiers, found, strict=True)
    )


def profile_statuses(snapshot: Snapshot) -> tuple[ProfileStatus, ...]:
    """Every profile, and which one is in force."""
    active = snapshot.router.profile
    return tuple(
        ProfileStatus(name=profile.name, active=profile.name == active.name, local_only=profile.local_only)
        for profile in profiles_of(snapshot.config.routing).values()
    )


async def candidates_of(snapshot: Snapshot, tier: Tier) -> tuple[Candidate, ...]:
    """The models of a tier as they stand, best first; none for a tier that is not configured."""
    options = snapshot.config.routing.tiers.get(tier)
    names = [name.partition("/") for name in options.providers] if options else []
    return tuple(
        await asyncio.gather(*(snapshot.providers[name].candidate(model) for name, _, model in names))
    )


def _with_breaker(candidate: Candidate, snapshot: Snapshot, breakers: Breakers) -> Candidate:
    """A candidate as requests find it: one whose breaker is open at every endpoint is not asked."""
    if not candidate.usable:
        return candidate
    lanes = [provider.lane for provider in snapshot.replicas.get(candidate.provider, ())] or [
        snapshot.providers[candidate.provider].lane
    ]
    found = [breakers.find(f"{lane}/{candidate.model}") for lane in lanes]
    shut = [breaker for breaker in found if breaker is not None and breaker.retry_in() is not None]
    if len(shut) < len(lanes):
        return candidate
    soonest = min(shut, key=lambda breaker: breaker.retry_in() or 0.0)
    when = "It is being tried again."
    if soonest.next_probe is not None:
        when = f"It is tried again at {time.strftime('%H:%M:%S', time.localtime(soonest.next_probe))}."
    reason = f"{soonest.reason} {when} `lynkr breakers reset {soonest.name}` has it asked at once."
    return msgspec.structs.replace(candidate, state="unavailable", reason=reason.strip())


async def _provider_status(provider: Provider) -> ProviderStatus:
    found = await provider.availability()
    return ProviderStatus(
        name=provider.name,
        kind=provider.kind,
        local=provider.local,
        available=found.usable,
        reason=found.reason,
        base_url=provider.base_url,
    )
