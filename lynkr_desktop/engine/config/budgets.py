"""Options of budgets: how many tokens and dollars may be spent, by whom or what, before requests are refused."""

from __future__ import annotations

from pydantic import Field

from lynkr_desktop.engine.config.base import Options

_MOST_TOKENS = 10**15
_MOST_DOLLARS = 1e9


class LimitOptions(Options):
    """budgets.session, budgets.project, budgets.day, budgets.key"""

    tokens: int | None = Field(
        None,
        ge=1,
        le=_MOST_TOKENS,
        description="Tokens of prompts and answers after which requests are refused. Left out, any number.",
    )
    dollars: float | None = Field(
        None,
        gt=0,
        le=_MOST_DOLLARS,
        description="US dollars after which requests are refused. Left out, any amount.",
    )


class BudgetOptions(Options):
    """budgets"""

    session: LimitOptions = Field(
        default_factory=LimitOptions,
        description="Of each session, over today and the six days before.",
    )
    project: LimitOptions = Field(
        default_factory=LimitOptions, description="Of each project folder, for a local day."
    )
    day: LimitOptions = Field(default_factory=LimitOptions, description="Of everything, for a local day.")
    key: LimitOptions = Field(
        default_factory=LimitOptions,
        description="Of each access key, for a local day. What `lynkr access` says of a key goes before it.",
    )
    warn_at: float = Field(
        0.8,
        gt=0,
        le=1,
        description="The share of a budget from which on Lynkr says how much of it is spent.",
    )
    unpriced: float = Field(
        15.0,
        ge=0,
        le=100_000,
        description="US dollars per million tokens that answers of unknown price count as.",
    )
