"""Budgets of tokens and dollars: what was spent of each, what is left, and when it renews."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

BudgetScope = Literal["session", "project", "day", "key"]
"""What a budget is of: an agent's session, a project's folder, everything, or an access key."""

BudgetState = Literal["free", "low", "spent"]
"""`low` from budgets.warn_at on; `spent` where requests are refused."""

MOST_SHOWN = 20
"""Names of one scope in a list, and budgets in the engine's status: those of which most is spent."""


class BudgetLimit(Struct, frozen=True):
    """What may be spent in a scope by each name that has no limit of its own; None for no limit."""

    scope: BudgetScope
    tokens: int | None = None
    dollars: float | None = None


class BudgetStatus(Struct, frozen=True, kw_only=True):
    """The budget of one session, project or key, or of the day.

    Attributes:
        scope: what it is of.
        name: which one; empty for the day.
        tokens: spent of prompts and answers.
        dollars: spent, in US dollars; tokens of unknown price count as budgets.unpriced says.
        unpriced_tokens: of the tokens, those whose price is not known.
        max_tokens: the limit, None for none.
        max_dollars: likewise.
        left_tokens: up to the limit, None without one.
        left_dollars: likewise.
        ratio: the share that is spent, of the limit that is nearer; above 1 where it is overrun.
        state: what that means.
        in_flight: its requests that are being answered.
        renews_at: when spent tokens and dollars count no more, at least the oldest; Unix seconds.
    """

    scope: BudgetScope
    name: str = ""
    tokens: int = 0
    dollars: float = 0.0
    unpriced_tokens: int = 0
    max_tokens: int | None = None
    max_dollars: float | None = None
    left_tokens: int | None = None
    left_dollars: float | None = None
    ratio: float = 0.0
    state: BudgetState = "free"
    in_flight: int = 0
    renews_at: float = 0.0


class BudgetList(Struct, frozen=True):
    """GET /v1/admin/budgets: the limits that are set, and of each scope the names that spent most of theirs."""

    limits: tuple[BudgetLimit, ...] = ()
    budgets: tuple[BudgetStatus, ...] = ()


class BudgetReset(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/admin/budgets/reset. Without a name it is for every name of the scope."""

    scope: BudgetScope
    name: str = ""
