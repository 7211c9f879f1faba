"""The control API's calls for budgets: how they stand, reset one, add to one."""

from __future__ import annotations

from aiohttp import web

from lynkr_desktop.engine.endpoints.control import Call, decoded, noting, reply
from lynkr_desktop.engine.engine import Engine
from lynkr_desktop.protocol.budgets import BudgetList, BudgetRaise, BudgetReset, BudgetStatus

_BUDGETS = "/v1/admin/budgets"


class BudgetCalls:
    """The handlers, one per call."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def calls(self) -> list[Call]:
        """Every call."""
        return [
            Call("GET", _BUDGETS, self.listing, answer=BudgetList),
            Call(
                "POST",
                f"{_BUDGETS}/reset",
                self.reset,
                body=BudgetReset,
                answer=BudgetStatus,
                changes="budget reset",
            ),
            Call(
                "PATCH",
                _BUDGETS,
                self.extend,
                body=BudgetRaise,
                answer=BudgetStatus,
                changes="budget raised",
            ),
        ]

    async def listing(self, request: web.Request) -> web.StreamResponse:
        """The budgets that were used since the start, the fullest first."""
        budgets = self._engine.budgets
        found = budgets.statuses()
        refused = sum(budgets.refused.values())
        return reply(BudgetList(budgets=found, limits=budgets.enabled or bool(found), refused=refused))

    async def reset(self, request: web.Request) -> web.StreamResponse:
        """Lets what was spent of a budget count no more."""
        wanted = await decoded(request, BudgetReset)
        noting(request, f"{wanted.scope} {wanted.name[:200]}".strip())
        done = await self._engine.budgets.reset(wanted.scope, wanted.name)
        self._engine.changed()
        return reply(done)

    async def extend(self, request: web.Request) -> web.StreamResponse:
        """Adds to the limits of a budget until it renews."""
        wanted = await decoded(request, BudgetRaise)
        noting(request, f"{wanted.scope} {wanted.name[:200]} +{wanted.tokens} tokens, +${wanted.dollars:g}")
        done = await self._engine.budgets.extend(wanted.scope, wanted.name, wanted.tokens, wanted.dollars)
        self._engine.changed()
        return reply(done)
