"""What would be decided for a prompt, and everything that it follows from. Nothing is sent or recorded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec.structs import replace

from lynkr_desktop.engine.analysis.workspaces import Workspaces
from lynkr_desktop.engine.routing.decision import Decision
from lynkr_desktop.engine.routing.router import AUTO, Asking
from lynkr_desktop.engine.routing.row import candidate_row, decision_row
from lynkr_desktop.engine.routing.selection import Wants
from lynkr_desktop.engine.routing.workspace import HEADER
from lynkr_desktop.engine.security.egress import Egress
from lynkr_desktop.engine.security.redaction import redact
from lynkr_desktop.engine.snapshot import Snapshot
from lynkr_desktop.engine.wire.canonical import Message, Request, Text, Tool
from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.protocol.code import IndexStatus
from lynkr_desktop.protocol.routing import CandidateRow, ExplainRequest, RouteExplanation, Threshold
from lynkr_desktop.protocol.tiers import TIERS

_TOOLS = tuple(Tool(name) for name in ("Bash", "Edit", "Glob", "Grep", "Read", "Write"))
"""What an agent offers at least. Their names are those of Claude Code; the score goes by their number."""

MAX_PROMPT = 1_000_000
"""Characters. Prompts carry logs and code with them; what is longer was hardly meant."""

_TITLE = 100


async def explain(
    asked: ExplainRequest,
    snapshot: Snapshot,
    workspaces: Workspaces | None,
    egress: Egress,
    headers: Mapping[str, str] | None = None,
) -> RouteExplanation:
    """Decides for a prompt as for a request of its own, and tells all of it.

    Args:
        asked: the prompt, and what it would come with.
        snapshot: decides, and knows the models.
        workspaces: the code that it may be about; indexing of its folder begins at first sight.
        egress: bars what the profile bars, also while models are asked whether they are there.
        headers: `x-lynkr-tier` and `x-lynkr-profile`, as a client would send them.

    Raises:
        WireError: 400 for an empty prompt, a tier or profile that does not exist, and a folder that may not
            be indexed; 413 for a prompt that is too long; 503 when every tier is switched off.
    """
    if not asked.prompt.strip():
        raise _invalid("The prompt is empty. Give the words that you would ask an agent.", "prompt")
    if len(asked.prompt) > MAX_PROMPT:
        message = f"The prompt is longer than {MAX_PROMPT:,} characters. Leave out some of what it quotes."
        raise WireError(message, status=413, kind="too_large", param="prompt")
    given = {**(headers or {})}
    if asked.workspace:
        given[HEADER] = _folder(asked.workspace, workspaces)
    prompt = Message("user", (Text(asked.prompt),))
    request = Request(asked.model or AUTO, (prompt,), tools=_TOOLS if asked.tools else ())
    decision = await snapshot.decide(Asking(request, given))
    with egress.for_request(decision.profile.local_only):
        candidates = await _candidates(decision, Wants(request.needs, len(asked.prompt.encode())), snapshot)
    title = redact(asked.prompt.strip().split("\n", 1)[0][: 10 * _TITLE])[:_TITLE]
    row = replace(decision_row(decision, None, title=title), candidates=candidates)
    grounds = decision.grounds
    touched = grounds.touched if grounds is not None else None
    folder = grounds.workspace if grounds is not None else given.get(HEADER, "")
    return RouteExplanation(
        decision=row,
        files=touched.files if touched is not None else (),
        symbols=touched.symbols if touched is not None else (),
        complete=touched.complete if touched is not None else True,
        index=_status(folder, workspaces),
        thresholds=_thresholds(decision, snapshot),
        sticky=grounds.sticky if grounds is not None else "",
        side=grounds.side.why if grounds is not None and grounds.side is not None else "",
    )


async def _candidates(decision: Decision, wants: Wants, snapshot: Snapshot) -> tuple[CandidateRow, ...]:
    """The models in the order in which they would be asked, up to the first tier that has one.

    Those of further tiers are asked only when none of these answers.
    """
    rows: list[CandidateRow] = []
    for targets in decision.steps:
        choices, skipped = await snapshot.selection.rank(targets, wants, decision.profile, earnest=False)
        rows += [candidate_row(choice.target, choice.target.tier) for choice in choices]
        rows += [candidate_row(item.target, item.target.tier, redact(item.error.message)) for item in skipped]
        if choices:
            break
    return tuple(rows)


def _thresholds(decision: Decision, snapshot: Snapshot) -> tuple[Threshold, ...]:
    options, router = snapshot.config.routing.tiers, snapshot.router
    return tuple(
        Threshold(
            tier=tier,
            max_complexity=options[tier].max_complexity,
            enabled=router.enabled(tier, decision.profile),
        )
        for tier in TIERS
        if tier in options
    )


def _folder(workspace: str, workspaces: Workspaces | None) -> str:
    """The folder that was given, if it can be taken as it is."""
    folder = Path(workspace)
    if not folder.is_absolute():
        raise _invalid(f"{workspace[:300]!r} is not an absolute path. Give the whole path.", "workspace")
    if workspaces is not None and (why := workspaces.refusal(folder)):
        raise _invalid(why, "workspace")
    return workspace


def _status(folder: str, workspaces: Workspaces | None) -> IndexStatus | None:
    """The state of a folder's index; None without one, and for a folder of another system."""
    if workspaces is None or not folder or not Path(folder).is_absolute():
        return None
    index = workspaces.at(Path(folder))
    return index.status if index is not None else None


def _invalid(message: str, param: str) -> WireError:
    return WireError(message, status=400, kind="invalid_request", param=param)
