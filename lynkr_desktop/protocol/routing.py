"""Bodies of /v1/admin/routes: what was decided for each request, why, what came of it, and what to change.

Times are Unix seconds, costs US dollars, scores and thresholds lie in 0..1.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from lynkr_desktop.protocol.code import FileMetrics, IndexStatus, SymbolMetrics
from lynkr_desktop.protocol.optimization import Receipt
from lynkr_desktop.protocol.tiers import Tier

ContributionGroup = Literal["ask", "code", "work", "risk"]
"""What is asked, what code it touches, how it is worked on, what could go wrong."""

ExperimentArm = Literal["", "control", "up", "down"]
"""Empty: no part of the experiment. `up` and `down` took the neighbour tier, `control` could have."""

Verdict = Literal["", "good", "under", "over"]
"""How a decision turned out: `under` took too weak a tier, `over` too strong a one; empty is not known."""

Mark = Literal["good", "under", "over", "none"]
"""What a person says of a decision; `none` takes it back."""

SuiteState = Literal["", "passed", "failed"]


class ContributionRow(Struct, frozen=True):
    """One named part of a score: `value` is what was measured, `points` what it adds to the score."""

    name: str
    value: float
    points: float
    reason: str
    group: ContributionGroup = "ask"


class CandidateRow(Struct, frozen=True, kw_only=True):
    """A model that was considered, in the order of preference. `skipped` says why it was not taken."""

    provider: str
    model: str
    tier: Tier | None = None
    skipped: str = ""

    @property
    def name(self) -> str:
        """`provider/model`."""
        return f"{self.provider}/{self.model}"


class Outcome(Struct, frozen=True, kw_only=True):
    """What happened in a task after its first request, as far as later requests told.

    Attributes:
        results: tool results that came back.
        errors: those of them that were errors; refusals by a person are counted in `denied` alone.
        denied: calls of tools that a person refused.
        tests: how the last run of tests in the results ended.
        tests_passed: tests that passed in that run.
        tests_failed: tests that failed in that run.
        retried: times that the same was asked again after an answer.
        escalated: a person then asked for a higher tier, or for a model of one.
        followed: another ask came in the same conversation.
    """

    results: int = 0
    errors: int = 0
    denied: int = 0
    tests: SuiteState = ""
    tests_passed: int = 0
    tests_failed: int = 0
    retried: int = 0
    escalated: bool = False
    followed: bool = False


class DecisionRow(Struct, frozen=True, kw_only=True):
    """One recorded decision.

    Attributes:
        id: of the request.
        task: id of the request that began the task which this one belongs to, its own if it began one; empty
            where that is not known, and for side requests.
        client: the program that asked.
        session: the client's own name for the conversation.
        workspace: the folder that the request is about, empty where none is known.
        title: the beginning of what a person asked, without secrets.
        files: the files that it names and that the workspace has, relative to it.
        score: None where none was needed.
        contributions: the features of the decision; `points` sum to the score within its bounds.
        scored_tier: the tier by the score alone.
        tier: the tier that was taken, None for a model that the client named itself.
        reason: why, in one line.
        propensity: the probability with which the tier was taken, 1 outside the experiment.
        arm: of the experiment.
        profile: the routing profile in force.
        side: a harness asked, not a person: a title, a topic, a suggestion.
        candidates: the models of the tier in the order of preference, and why some were skipped.
        receipts: what the stages of the pipeline did to the prompt, in their order.
        outcome: what happened after it.
        verdict: what `outcome` says of the choice.
        mark: what a person says of it; counts before `verdict`.
        provider: that answered, from the record of the request, as are `model`, `cost` and `status`.
    """

    id: str
    at: float
    task: str = ""
    client: str = ""
    session: str = ""
    workspace: str = ""
    title: str = ""
    files: tuple[str, ...] = ()
    score: float | None = None
    contributions: tuple[ContributionRow, ...] = ()
    scored_tier: Tier | None = None
    tier: Tier | None = None
    reason: str = ""
    propensity: float = 1.0
    arm: ExperimentArm = ""
    profile: str = ""
    side: bool = False
    candidates: tuple[CandidateRow, ...] = ()
    receipts: tuple[Receipt, ...] = ()
    outcome: Outcome = Outcome()
    verdict: Verdict = ""
    mark: Verdict = ""
    provider: str = ""
    model: str = ""
    cost: float | None = None
    status: int = 0


class DecisionList(Struct, frozen=True, kw_only=True):
    """GET /v1/admin/routes, the newest first."""

    decisions: tuple[DecisionRow, ...] = ()


class MarkRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/admin/routes/{id}/mark."""

    mark: Mark


# ---------------------------------------------------------------- explaining


class Threshold(Struct, frozen=True, kw_only=True):
    """A tier that takes scores up to `max_complexity`."""

    tier: Tier
    max_complexity: float
    enabled: bool = True


class ExplainRequest(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """POST /v1/admin/routes/explain. Nothing is sent to a model, and nothing recorded.

    Attributes:
        prompt: what a person would ask.
        workspace: an absolute folder; empty for the configured one.
        model: as a client would name it; `tier:complex` and `provider/model` bypass the score.
        tools: whether the request offers tools, as agents do.
    """

    prompt: str
    workspace: str = ""
    model: str = "auto-route"
    tools: bool = False


class RouteExplanation(Struct, frozen=True, kw_only=True):
    """What would be decided for a request now, and everything that it follows from.

    Attributes:
        decision: with its contributions, and its candidates in their order.
        files: the structure of the code that the request touches.
        symbols: functions and classes that it names.
        complete: whether the whole workspace was known; while it is indexed only a part is.
        index: the state of the workspace's index, None without a workspace.
        thresholds: the tiers in rising order.
        sticky: why the tier of earlier requests was kept, empty where it was not.
        side: why it counts as a side request, empty where it does not.
    """

    decision: DecisionRow
    files: tuple[FileMetrics, ...] = ()
    symbols: tuple[SymbolMetrics, ...] = ()
    complete: bool = True
    index: IndexStatus | None = None
    thresholds: tuple[Threshold, ...] = ()
    sticky: str = ""
    side: str = ""


# ---------------------------------------------------------------- calibration


class Estimate(Struct, frozen=True, kw_only=True):
    """A figure with its 95 percent confidence interval."""

    value: float
    low: float
    high: float


class CutProposal(Struct, frozen=True, kw_only=True):
    """What the log says of one threshold: the `max_complexity` of `tier`, above which `above` begins.

    Attributes:
        proposed: the value that would have served best; `current` where nothing better is certain.
        low: the least value that the log cannot tell from the best, with 95 percent confidence; None where
            it shows no lower one that is worse.
        high: the greatest such value; None where it shows no higher one that is worse.
        outcomes: tasks near the threshold whose outcome is known.
        needed: how many more are needed before anything is proposed; 0 when there are enough.
        compared: those of them that took the tier on the other side of the threshold.
        why: the finding in one sentence.
    """

    tier: Tier
    above: Tier
    current: float
    proposed: float
    low: float | None = None
    high: float | None = None
    outcomes: int = 0
    needed: int = 0
    compared: int = 0
    why: str = ""


class TierMove(Struct, frozen=True, kw_only=True):
    """Tasks of the log that the proposal would send to another tier."""

    source: Tier
    target: Tier
    tasks: int


class CalibrationReport(Struct, frozen=True, kw_only=True):
    """GET /v1/admin/routes/calibration. It is a proposal: reading it changes nothing.

    Attributes:
        since: where the log that was read begins.
        tasks: tasks that the score decided.
        known: those whose outcome is known.
        skipped: rows that could not be read.
        weight: how many times worse too weak a tier counts than too strong a one.
        cuts: the thresholds, from below.
        moves: what the proposal would have moved.
        under: change of the share of tasks that took too weak a tier; None where nothing is proposed.
        over: the same for too strong a one.
        cost: change of what the tasks of the log cost; None where nothing is proposed or too few prices are
            known.
        spent: what they cost, as far as prices are known.
        patch: the options to change, by dotted name; empty where nothing is proposed.
    """

    since: float
    until: float
    tasks: int = 0
    known: int = 0
    skipped: int = 0
    weight: float = 3.0
    cuts: tuple[CutProposal, ...] = ()
    moves: tuple[TierMove, ...] = ()
    under: Estimate | None = None
    over: Estimate | None = None
    cost: float | None = None
    spent: float = 0.0
    patch: dict[str, float] = {}
