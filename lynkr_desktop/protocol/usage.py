"""Bodies of /v1/admin/usage: sums over a range, how long requests took, if records and metrics agree.

Times are Unix seconds, durations milliseconds, costs US dollars.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from lynkr_desktop.protocol.control import RequestRow, UsageTotals
from lynkr_desktop.protocol.optimization import PromptTurn, Receipt
from lynkr_desktop.protocol.routing import CandidateRow, ContributionRow, ExperimentArm, Outcome, Verdict
from lynkr_desktop.protocol.tiers import Tier


class Percentiles(Struct, frozen=True, kw_only=True):
    """Of `count` durations: the shortest that 50, 95 and 99 of 100 do not exceed. Milliseconds."""

    count: int
    p50: float
    p95: float
    p99: float


class UsageRow(Struct, frozen=True, kw_only=True):
    """One group of a usage report; see `UsageReport`."""

    key: str
    totals: UsageTotals
    latency: Percentiles | None = None
    first_token: Percentiles | None = None


class UsageReport(Struct, frozen=True, kw_only=True):
    """GET /v1/admin/usage.

    Attributes:
        range: its name, empty where it was given by its ends.
        by: what the rows are grouped by.
        since: the first instant that counts.
        until: the instant before which it ends.
        totals: the sums over the range.
        latency: from a request to the end of its reply; None where there was no request.
        first_token: from a request to the first token of its reply, for those that brought one.
        exact: the percentiles are of the recorded durations; else each is within 3 % of that.
        tiers: requests by the tier that answered; those without one are left out.
        rows: days and hours in their order, other groups by cost and requests.
        left_out: groups beyond the most that a report has; sums and percentiles above count them.
        hours: the sums of each clock hour of the day in which the range ends, local time.
    """

    range: str
    by: str
    since: float
    until: float
    totals: UsageTotals
    latency: Percentiles | None = None
    first_token: Percentiles | None = None
    exact: bool = True
    tiers: Mapping[str, int] = {}
    rows: tuple[UsageRow, ...] = ()
    left_out: int = 0
    hours: tuple[UsageTotals, ...] = ()


class CheckedSum(Struct, frozen=True, kw_only=True):
    """A figure as the records and the metrics have it. `labels` is empty for the sum of all its series."""

    name: str
    records: float
    metrics: float
    labels: Mapping[str, str] = {}


class UsageCheck(Struct, frozen=True, kw_only=True):
    """GET /v1/admin/usage/check: the records since the start of the engine beside its metrics.

    Attributes:
        agree: every figure of every series is the same.
        since: when the engine started.
        sums: every figure over all its series.
        differences: the series that are not the same, the first hundred of them.
        lost: records that could not be kept.
        waiting: records that are not in the file, since it cannot be written now.
        replaced: the file was damaged or taken away since the start, and a new one begun.
    """

    agree: bool
    since: float
    sums: tuple[CheckedSum, ...] = ()
    differences: tuple[CheckedSum, ...] = ()
    lost: int = 0
    waiting: int = 0
    replaced: bool = False


class ExportedDecision(Struct, frozen=True, kw_only=True):
    """What was decided for an exported request, and what became of it; see `DecisionRow`."""

    task: str = ""
    workspace: str = ""
    profile: str = ""
    scored_tier: Tier | None = None
    tier: Tier | None = None
    reason: str = ""
    propensity: float = 1.0
    arm: ExperimentArm = ""
    side: bool = False
    verdict: Verdict = ""
    mark: Verdict = ""
    files: tuple[str, ...] = ()
    contributions: tuple[ContributionRow, ...] = ()
    candidates: tuple[CandidateRow, ...] = ()
    receipts: tuple[Receipt, ...] = ()
    outcome: Outcome = Outcome()


class ExportedRequest(RequestRow, frozen=True, kw_only=True):
    """A line of GET /v1/admin/usage/export; `decision` is None where it ended before one was made."""

    decision: ExportedDecision | None = None


class ExportedWithPrompt(ExportedRequest, frozen=True, kw_only=True):
    """The same where prompts are asked for; `prompt` is empty where it is not stored."""

    prompt: tuple[PromptTurn, ...] = ()
