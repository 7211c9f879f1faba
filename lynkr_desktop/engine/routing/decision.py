"""What was decided for a request."""

from __future__ import annotations

from msgspec import Struct

from lynkr_desktop.engine.routing.profile import Profile
from lynkr_desktop.engine.routing.score import Score
from lynkr_desktop.protocol.tiers import Tier


class Target(Struct, frozen=True):
    """One model of one provider; `tier` is the tier that it stands in."""

    provider: str
    model: str
    tier: Tier | None

    @property
    def name(self) -> str:
        """`provider/model`."""
        return f"{self.provider}/{self.model}"


class Decision(Struct, frozen=True):
    """Where a request may go.

    Attributes:
        tier: the tier that was chosen, None for a model that the client named itself.
        targets: the models to try, tier by tier; within one as the configuration lists them.
        reason: one line for `x-lynkr-route-reason`.
        profile: the profile in force for it.
        score: None where no score was needed.
    """

    tier: Tier | None
    targets: tuple[Target, ...]
    reason: str
    profile: Profile
    score: Score | None = None
