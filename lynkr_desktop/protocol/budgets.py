"""Bodies of /v1/admin/budgets. Times are Unix seconds, amounts US dollars."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

BudgetScope = Literal["session", "project", "day", "key"]


class BudgetStatus(Struct, frozen=True, kw_only=True):
    """One budget as it stands.

    Attributes:
        scope: what it is of.
        name: the session, the folder or the access key; empty for a day and for the machine's own token.
        tokens: used of it.
        tokens_limit: with what a person added; None for no limit.
        dollars: spent of it; what has no known price counts as `budgets.worst_price` says.
        dollars_limit: with what a person added; None for no limit.
        share: spent of the limit that is nearer, 0..1 and above.
        unpriced: requests in it whose price is not known.
        in_flight: requests that are being answered.
        renews: when it begins anew; None for never.
    """

    scope: BudgetScope
    name: str = ""
    tokens: int = 0
    tokens_limit: int | None = None
    dollars: float = 0.0
    dollars_limit: float | None = None
    share: float = 0.0
    unpriced: int = 0
    in_flight: int = 0
    renews: float | None = None


class BudgetList(Struct, frozen=True, kw_only=True):
    """GET /v1/admin/budgets: those that were used since the start, the fullest first, 100 at most.

    `refused` counts requests since the start. `limits` says whether the configuration has any.
    """

    budgets: tuple[BudgetStatus, ...] = ()
    limits: bool = False
    refused: int = 0


class BudgetReset(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """POST /v1/admin/budgets/reset: what was spent of a budget counts no more."""

    scope: BudgetScope
    name: str = ""


class BudgetRaise(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """PATCH /v1/admin/budgets: adds to the limits of one budget until it renews."""

    scope: BudgetScope
    name: str = ""
    tokens: int = 0
    dollars: float = 0.0
