"""What is kept of a decision: the row of the log, and what the request tells of earlier ones."""

from __future__ import annotations

from collections.abc import Sequence

from lynkr_desktop.engine.routing.ask import Ask
from lynkr_desktop.engine.routing.decision import Decision, Grounds, Target
from lynkr_desktop.engine.routing.outcomes import Seen
from lynkr_desktop.engine.routing.selection import Skipped
from lynkr_desktop.engine.wire.canonical import Request
from lynkr_desktop.protocol.control import RequestRow
from lynkr_desktop.protocol.optimization import Receipt
from lynkr_desktop.protocol.routing import CandidateRow, DecisionRow
from lynkr_desktop.protocol.tiers import Tier

_WHY = 200
_NO_GROUNDS = Grounds(ask=Ask())


def decision_row(
    decision: Decision,
    target: Target | None,
    skipped: Sequence[Skipped] = (),
    record: RequestRow | None = None,
    *,
    task: str = "",
    title: str = "",
    receipts: tuple[Receipt, ...] = (),
) -> DecisionRow:
    """The row of a decision, without what becomes of it.

    A model that the client named has a tier only where one lists it.

    Args:
        decision: the decision.
        target: the model that was asked last, None where none was.
        skipped: the models that were passed over or did not answer, with the reasons.
        record: of the request, which says who asked and when; None where nothing was asked in earnest.
        task: that the request belongs to, see `DecisionRow`.
        title: the beginning of what a person asked, where there is no record.
        receipts: what the stages did to the prompt.
    """
    grounds = decision.grounds or _NO_GROUNDS
    measured, touched = grounds.score, grounds.touched
    return DecisionRow(
        id=record.id if record is not None else "",
        at=record.at if record is not None else 0.0,
        task=task,
        client=record.client if record is not None else "",
        session=record.session if record is not None else "",
        workspace=grounds.workspace,
        title=record.title if record is not None else title,
        files=tuple([file.path for file in touched.files]) if touched is not None else (),
        score=measured.value if measured is not None else None,
        contributions=measured.contributions if measured is not None else (),
        scored_tier=grounds.scored_tier,
        tier=decision.tier,
        reason=decision.reason,
        propensity=grounds.propensity,
        arm=grounds.arm,
        profile=decision.profile.name,
        side=grounds.side is not None,
        candidates=_candidates(decision, target, skipped),
        receipts=receipts,
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


def _candidates(
    decision: Decision, target: Target | None, skipped: Sequence[Skipped]
) -> tuple[CandidateRow, ...]:
    """The models that were considered, in their order, and the one that was taken at the end."""
    if not skipped:
        return () if target is None else (candidate_row(target, target.tier or decision.tier),)
    rows = [candidate_row(item.target, item.target.tier, item.error.message[:_WHY]) for item in skipped]
    if target is not None and all(item.target.name != target.name for item in skipped):
        rows.append(candidate_row(target, target.tier or decision.tier))
    return tuple(rows)


def candidate_row(target: Target, tier: Tier | None, skipped: str = "") -> CandidateRow:
    """A model that was considered for a tier, and why it was not taken."""
    return CandidateRow(provider=target.provider, model=target.model, tier=tier, skipped=skipped)
