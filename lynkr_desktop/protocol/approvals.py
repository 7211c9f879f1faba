"""Actions that wait for a person, what was decided, and rules that decide from then on."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from lynkr_desktop.protocol.security import Action, Rating

ApprovalSource = Literal["runtime", "gate", "claude_code", "openhands"]
"""Who asks: the agent runtime, the gate for tool calls in models' answers, or the hook of an agent."""

ApprovalState = Literal["waiting", "allowed", "denied", "expired", "withdrawn"]
"""withdrawn: the agent has gone, so nobody waits for the answer."""

RuleScope = Literal["once", "session", "until", "always"]


class Approval(Struct, frozen=True, kw_only=True):
    """One action that a person is, or was, asked about.

    Attributes:
        id: sortable by time.
        source: who asks.
        client: the program, such as Claude Code.
        session: its conversation.
        project: the folder that it works in, empty where that is not known.
        action: what is to be done, whole.
        rating: why it is asked.
        digest: SHA-256 of the action. A decision names it, so that what was shown is what is allowed.
        state: whether it still waits, else how it ended.
        same: how many identical ones wait with it, itself among them.
        asked_at: seconds since 1970.
        expires_at: when it is denied unless somebody decides.
        decided_at: None while it waits.
        decided_by: the surface, the rule, or why nobody did; empty while it waits.
        message: what the agent is told with a denial.
        ran: the action as it was allowed to run, where it was edited before.
    """

    id: str
    source: ApprovalSource
    action: Action
    rating: Rating
    digest: str
    client: str = ""
    session: str = ""
    project: str = ""
    state: ApprovalState = "waiting"
    same: int = 1
    asked_at: float = 0.0
    expires_at: float = 0.0
    decided_at: float | None = None
    decided_by: str = ""
    message: str = ""
    ran: Action | None = None


class Remember(Struct, frozen=True, kw_only=True):
    """How far a decision to allow reaches.

    Attributes:
        scope: session: this session alone; until: this project, up to a time; always: this project.
        until: seconds since 1970, for `until`.
        uses: how often at most; None for no bound.
    """

    scope: Literal["session", "until", "always"]
    until: float | None = None
    uses: int | None = None


class ApprovalDecision(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person decided.

    Attributes:
        outcome: allow or deny.
        digest: of the action as it was shown.
        message: told to the agent with a denial.
        arguments: what is run in the place of the shown arguments; None for those.
        remember: None for this once.
        surface: where it was decided, such as `tray` or `terminal`.
    """

    outcome: Literal["allow", "deny"]
    digest: str
    message: str = ""
    arguments: dict[str, Any] | None = None
    remember: Remember | None = None
    surface: str = ""
