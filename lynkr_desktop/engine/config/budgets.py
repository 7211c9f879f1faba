"""Options of budgets: what a session, a project, a day and an access key may use."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lynkr_desktop.engine.config.base import Options


class LimitOptions(Options):
    """A budget"""

    tokens: int | None = Field(
        None, ge=0, description="Tokens of prompts and answers together; left out, there is no limit."
    )
    dollars: float | None = Field(
        None,
        ge=0,
        le=1e9,
        allow_inf_nan=False,
        description="US dollars; left out, there is no limit. 0 leaves the free models alone.",
    )


class WorstPriceOptions(Options):
    """budgets.worst_price"""

    input: float = Field(
        15.0, ge=0, le=1e6, allow_inf_nan=False, description="US dollars per million tokens of prompts."
    )
    output: float = Field(
        75.0, ge=0, le=1e6, allow_inf_nan=False, description="US dollars per million tokens of answers."
    )


class BudgetOptions(Options):
    """budgets"""

    session: LimitOptions = Field(
        default_factory=LimitOptions, description="For each session of an agent, until it is reset."
    )
    project: LimitOptions = Field(
        default_factory=LimitOptions, description="For each folder that agents work in, per calendar month."
    )
    day: LimitOptions = Field(
        default_factory=LimitOptions, description="For everything together, per local day."
    )
    key: LimitOptions = Field(
        default_factory=LimitOptions,
        description="For each access key, the machine's own token included, per local day. Limits of a "
        "key's own (`lynkr access set`) take their place.",
    )
    projects: dict[str, LimitOptions] = Field(
        default_factory=dict,
        description="Folders with limits that take the place of those of `project`; folders below one share "
        "them with it.",
    )
    warn_at: float = Field(0.8, gt=0, le=1, description="Share of a budget from which on people are told.")
    unknown_price: Literal["count", "refuse"] = Field(
        "count",
        description="What happens under a limit in dollars where the price of a model is not known: `count` "
        "takes `worst_price` for it, `refuse` asks no such model.",
    )
    worst_price: WorstPriceOptions = Field(
        default_factory=WorstPriceOptions, description="What tokens of unknown price count as."
    )
    count_local_tokens: bool = Field(
        False, description="Count tokens of free models and of stored replies against limits of tokens."
    )
