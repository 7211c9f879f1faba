"""Today's figures, kept in memory so that showing them costs nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta

from msgspec.structs import asdict

from lynkr_desktop.engine.telemetry.queries import counts_as_error, counts_as_unpriced
from lynkr_desktop.engine.telemetry.spans import start_of_day
from lynkr_desktop.protocol.control import RequestRow, UsageTotals
from lynkr_desktop.protocol.tiers import TIERS, Tier


@dataclass(frozen=True)
class Today:
    """The local calendar day so far.

    Attributes:
        totals: its sums.
        hours: hours[h] covers h:00 to h:59.
        tiers: requests that each tier answered.
    """

    totals: UsageTotals
    hours: tuple[UsageTotals, ...]
    tiers: dict[Tier, int]


@dataclass
class _Sums:
    requests: int = 0
    errors: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0
    unpriced: int = 0
    warnings: int = 0
    saved_tokens: int = 0

    def add(self, row: RequestRow) -> None:
        self.requests += 1
        self.errors += counts_as_error(row)
        self.input_tokens += row.input_tokens
        self.cached_tokens += row.cached_tokens
        self.output_tokens += row.output_tokens
        self.cost += row.cost or 0.0
        self.unpriced += counts_as_unpriced(row)
        self.warnings += bool(row.warning)
        self.saved_tokens += row.saved_tokens

    def add_totals(self, totals: UsageTotals) -> None:
        for name, value in asdict(totals).items():
            setattr(self, name, getattr(self, name) + value)

    def frozen(self) -> UsageTotals:
        return UsageTotals(**self.__dict__)


@dataclass
class TodayCounter:
    """Adds up the rows of the current day and begins anew at local midnight. Any thread may call it."""

    clock: Callable[[], float] = time.time
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _begins: float = 0.0
    _ends: float = 0.0
    _hours: list[_Sums] = field(default_factory=list)
    _tiers: dict[Tier, int] = field(default_factory=dict)

    def load(self, hours: tuple[UsageTotals, ...], tiers: dict[str, int]) -> None:
        """Adds what the records hold of today; call it once, before the first row is written to them."""
        with self._lock:
            self._load(hours, tiers)

    def _load(self, hours: tuple[UsageTotals, ...], tiers: dict[str, int]) -> None:
        self._roll_over()
        for sums, totals in zip(self._hours, hours, strict=True):
            sums.add_totals(totals)
        for tier in TIERS:
            if tier.value in tiers:
                self._tiers[tier] = self._tiers.get(tier, 0) + tiers[tier.value]

    def reload(
        self, hours: tuple[UsageTotals, ...], tiers: dict[str, int], waiting: Iterable[RequestRow]
    ) -> None:
        """Forgets what was counted for what the records hold of today, and rows that wait to be written."""
        with self._lock:
            self._ends = self._begins
            self._load(hours, tiers)
            for row in waiting:
                self._add(row)

    def add(self, row: RequestRow) -> None:
        """Counts a row if it belongs to today."""
        with self._lock:
            self._add(row)

    def _add(self, row: RequestRow) -> None:
        self._roll_over()
        if not self._begins <= row.at < self._ends:
            return
        self._hours[time.localtime(row.at).tm_hour].add(row)
        if row.tier is not None:
            self._tiers[row.tier] = self._tiers.get(row.tier, 0) + 1

    def today(self) -> Today:
        """The figures now."""
        with self._lock:
            self._roll_over()
            hours = tuple(sums.frozen() for sums in self._hours)
            return Today(totals=_sum(hours), hours=hours, tiers=dict(self._tiers))

    def _roll_over(self) -> None:
        now = self.clock()
        if self._begins <= now < self._ends:
            return
        day = date.fromtimestamp(now)
        self._begins, self._ends = start_of_day(day), start_of_day(day + timedelta(days=1))
        self._hours = [_Sums() for _ in range(24)]
        self._tiers = {}


def _sum(hours: tuple[UsageTotals, ...]) -> UsageTotals:
    sums = {name: sum(getattr(hour, name) for hour in hours) for name in UsageTotals.__struct_fields__}
    return UsageTotals(**sums)
