"""What each access key has used today, and whether it may use more.

The sums begin with those of the records and are added to in memory as requests end, so a request costs a
look-up where its key has a budget, and nothing where it has none. Requests that are in flight when a budget
runs out are answered: it is overrun by what they cost.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable
from datetime import date, timedelta
from typing import NamedTuple

from lynkr_desktop.engine.security.caller import Caller, DailyBudget
from lynkr_desktop.engine.telemetry.database import RecordsError
from lynkr_desktop.engine.telemetry.spans import start_of_day
from lynkr_desktop.engine.telemetry.store import Records
from lynkr_desktop.engine.wire.errors import WireError

log = logging.getLogger(__name__)

_UNLIMITED = DailyBudget()
_TODAY = """
    SELECT key, TOTAL(input_tokens) + TOTAL(output_tokens), TOTAL(cost)
    FROM usage_keys WHERE slot >= ? AND key <> '' GROUP BY key
"""
"""Slots never cross a local midnight."""


class Spent(NamedTuple):
    """What was used in a day: tokens of prompts and answers, and US dollars as far as prices are known."""

    tokens: int = 0
    dollars: float = 0.0


class Spending:
    """Today's sums by access key.

    Args:
        clock: the time in Unix seconds.
    """

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._ends = 0.0
        self._spent: dict[str, Spent] = {}

    async def load(self, records: Records) -> None:
        """Begins with what the records say of today; with nothing where they cannot be read."""
        self._turn(self._clock())
        began = start_of_day(date.fromtimestamp(self._clock()))

        def read(connection: sqlite3.Connection) -> list[tuple[str, float, float]]:
            return connection.execute(_TODAY, (began,)).fetchall()

        try:
            found = await records.read(read)
        except RecordsError as error:
            log.warning("what access keys have spent today is not known: %s", error)
            return
        for key, tokens, dollars in found:
            self._spent[key] = Spent(int(tokens), dollars)

    def of(self, name: str) -> Spent:
        """What the key of that name has used today."""
        now = self._clock()
        if now >= self._ends:
            self._turn(now)
        return self._spent.get(name, _NOTHING)

    def add(self, name: str, tokens: int, dollars: float | None) -> None:
        """A request has ended; `dollars` is None where the price is not known."""
        before = self.of(name)
        self._spent[name] = Spent(before.tokens + tokens, before.dollars + (dollars or 0.0))

    def check(self, caller: Caller) -> None:
        """Raises `WireError` 402 where the budget of the caller's key is used up."""
        budget = caller.budget
        if budget == _UNLIMITED:
            return
        spent = self.of(caller.name)
        if budget.tokens is not None and spent.tokens >= budget.tokens:
            _refuse(caller, f"its {budget.tokens:,} tokens of today ({spent.tokens:,})", "tokens-per-day N")
        if budget.dollars is not None and spent.dollars >= budget.dollars:
            _refuse(
                caller, f"its ${budget.dollars:,.2f} of today (${spent.dollars:,.4f})", "dollars-per-day X"
            )

    def _turn(self, now: float) -> None:
        """Begins a day."""
        self._spent.clear()
        self._ends = start_of_day(date.fromtimestamp(now) + timedelta(days=1))


_NOTHING = Spent()


def _refuse(caller: Caller, what: str, option: str) -> None:
    raise WireError(
        f"The access key {caller.name} has used {what}. It may go on after midnight, or as soon as who "
        f"runs this Lynkr allows more: `lynkr access set {caller.name} --{option}`.",
        status=402,
        kind="budget",
    )
