"""What is kept of a decision: the row of the log, and what the request tells of earlier ones."""

from __future__ import annotations

from collections.abc import Sequence

from lynkr_desktop.engine.routing.decision import Decision, Grounds, Target
from lynkr_desktop.engine.routing.outcomes import Seen
from lynkr_desktop.engine.routing.selection import Skipped
from lynkr_desktop.engine.wire.canonical import Request
from lynkr_desktop.protocol.routing import CandidateRow, ContributionRow, DecisionRow
from lynkr_desktop.protocol.tiers import Tier

_WHY = 200


def decision_row(
    decision: Decision,
    target: Target | None,
    skipped: Sequence[Skipped] = (),
    *,
    id: str = "",  # noqa: A002 - the row's own word
    at: float = 0.0,
    client: str = "",
    session: str = "",
    title: str = "",
) -> DecisionRow:
    """The row of a decision, without its task, which the log finds.

    A model that the client named has a tier only where one lists it.

    Args:
        decision: the decision.
        target: the model that was asked last, None where none was.
        skipped: the models that were passed over or did not answer, with the reasons.
        id: of the request.
        at: when it came, in Unix seconds.
        client: the program that asked.
        session: the client's own name for the conversation.
        title: the beginning of what a person asked.
    """
    grounds = decision.grounds
    touched = grounds.touched if grounds is not None else None
    return DecisionRow(
        id=id,
        at=at,
        client=client,
        session=session,
        workspace=grounds.workspace if grounds is not None else "",
        title=title,
        files=tuple(file.path for file in touched.files) if touched is not None else (),
        score=decision.score.value if decision.score is not None else None,
        contributions=_contributions(grounds),
        scored_tier=grounds.scored_tier if grounds is not None else None,
        tier=decision.tier,
        reason=decision.reason,
        propensity=grounds.propensity if grounds is not None else 1.0,
        arm=grounds.arm if grounds is not None else "",
        profile=decision.profile.name,
        side=grounds is not None and grounds.side is not None,
        candidates=_candidates(decision, target, skipped),
    )


def seen(
    decision: Decision,
    request: Request,
    *,
    id: str,  # noqa: A002 - the row's own word
    session: str,
    answered: bool,
) -> Seen | None:
    """What the request tells of earlier decisions; None for side requests and for a model that was named."""
    grounds = decision.grounds
    if grounds is None:
        return (
            Seen(
                id=id,
                conversation=session,
                messages=request.messages,
                tier=decision.tier,
                wanted=decision.wanted,
                answered=answered,
            )
            if decision.wanted is not None and session
            else None
        )
    if grounds.side is not None:
        return None
    ask = grounds.ask
    return Seen(
        id=id,
        conversation=session or ask.first,
        thread=ask.first,
        ask=ask.text,
        follow_up=ask.follow_up,
        continuation=ask.continuation,
        messages=request.messages,
        tier=decision.tier,
        answered=answered,
    )


def _contributions(grounds: Grounds | None) -> tuple[ContributionRow, ...]:
    if grounds is None or grounds.score is None:
        return ()
    return tuple(
        ContributionRow(
            name=item.name, value=item.value, points=item.points, reason=item.reason, group=item.group
        )
        for item in grounds.score.contributions
    )


def _candidates(
    decision: Decision, target: Target | None, skipped: Sequence[Skipped]
) -> tuple[CandidateRow, ...]:
    """The models that were considered, in their order, and the one that was taken at the end."""
    rows = [candidate_row(item.target, item.target.tier, item.error.message[:_WHY]) for item in skipped]
    if target is not None and all(item.target.name != target.name for item in skipped):
        rows.append(candidate_row(target, target.tier or decision.tier))
    return tuple(rows)


def candidate_row(target: Target, tier: Tier | None, skipped: str = "") -> CandidateRow:
    """A model that was considered for a tier, and why it was not taken."""
    return CandidateRow(provider=target.provider, model=target.model, tier=tier, skipped=skipped)
