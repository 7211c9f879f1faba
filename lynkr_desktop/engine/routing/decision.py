"""What was decided for a request, and what it follows from."""

from __future__ import annotations

from msgspec import Struct

from lynkr_desktop.engine.analysis.index import Touched
from lynkr_desktop.engine.routing.ask import Ask
from lynkr_desktop.engine.routing.profile import Profile
from lynkr_desktop.engine.routing.score import Score
from lynkr_desktop.engine.routing.side import Side
from lynkr_desktop.protocol.routing import ExperimentArm
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


class Grounds(Struct, frozen=True, kw_only=True):
    """What a tier was chosen by, where the client chose none.

    Attributes:
        ask: what a person asked, and how far the work on it is.
        score: None for side requests.
        scored_tier: the tier by the score alone.
        side: why it counts as a request of a harness for itself, None where it does not.
        workspace: the folder that it is about, empty where none is known.
        touched: the code that it names, None without an index.
        sticky: why the conversation's tier was taken instead of the score's, empty where it was not.
        propensity: with which the experiment took the tier; 1 outside of it.
        arm: of the experiment.
    """

    ask: Ask
    score: Score | None = None
    scored_tier: Tier | None = None
    side: Side | None = None
    workspace: str = ""
    touched: Touched | None = None
    sticky: str = ""
    propensity: float = 1.0
    arm: ExperimentArm = ""


class Decision(Struct, frozen=True):
    """Where a request may go.

    Attributes:
        tier: the tier that was chosen, None for a model that the client named itself.
        steps: the models to try, tier by tier; within one as the configuration lists them.
        reason: one line for `x-lynkr-route-reason`.
        profile: the profile in force for it.
        grounds: None for a tier or model that the client named.
        wanted: the tier that the client named.
    """

    tier: Tier | None
    steps: tuple[tuple[Target, ...], ...]
    reason: str
    profile: Profile
    grounds: Grounds | None = None
    wanted: Tier | None = None

    @property
    def targets(self) -> tuple[Target, ...]:
        """The models to try, in their order."""
        return tuple(target for step in self.steps for target in step)

    @property
    def score(self) -> Score | None:
        """The score, where one was needed."""
        return self.grounds.score if self.grounds is not None else None
