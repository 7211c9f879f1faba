"""Whether records and metrics agree: the figures of the records since the start, under the metrics' names.

Both are fed from the same requests, by ways of their own: rows wait, are written in batches, may be lost to a
full disk; counters are added up in memory. Where they differ, one of them is wrong.
"""

from __future__ import annotations

import math
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from lynkr_desktop.engine.telemetry import rollup
from lynkr_desktop.engine.telemetry.metrics import OTHER
from lynkr_desktop.protocol.usage import CheckedSum

MOST_DIFFERENCES = 100


class Group(NamedTuple):
    """What the series of the metrics tell apart."""

    tier: str
    provider: str
    model: str
    status: int


class Figures(NamedTuple):
    """What is summed up of the records of a group."""

    requests: float
    input: float
    cached: float
    output: float
    saved: float
    cost: float
    unpriced: float
    latency_ms: float
    first_tokens: float
    first_token_ms: float


Sums = dict[Group, Figures]


class Series(NamedTuple):
    """One series of the metrics; its labels are sorted."""

    name: str
    labels: tuple[tuple[str, str], ...]


_SUMS = """
    SELECT COALESCE(tier, ''), provider, model, status / 100,
        COUNT(*),
        TOTAL(MAX(0, input_tokens)), TOTAL(MAX(0, cached_tokens)), TOTAL(MAX(0, output_tokens)),
        TOTAL(MAX(0, saved_tokens)),
        TOTAL(MAX(0, cost)), TOTAL(cost IS NULL AND (input_tokens <> 0 OR output_tokens <> 0)),
        TOTAL(latency_ms), COUNT(ttft_ms), TOTAL(ttft_ms)
    FROM requests WHERE {where} GROUP BY 1, 2, 3, 4
"""
NAMES = (
    "lynkr_requests_total",
    "lynkr_tokens_total",
    "lynkr_saved_tokens_total",
    "lynkr_cost_dollars_total",
    "lynkr_unpriced_requests_total",
    "lynkr_request_seconds_count",
    "lynkr_request_seconds_sum",
    "lynkr_first_token_seconds_count",
    "lynkr_first_token_seconds_sum",
)
"""The samples of the metrics that records know too."""

_OLDEST = "seq IN (SELECT seq FROM requests WHERE at < ? ORDER BY at, seq LIMIT ?)"
_LARGEST = 2**63 - 1

_FRACTIONS = {
    "lynkr_request_seconds_sum",
    "lynkr_first_token_seconds_sum",
    "lynkr_cost_dollars_total",
}
"""Sums of fractions: they depend on the order in which they are added, in their last digits."""


class SinceStart:
    """Which of the records came since the start, and the figures of those of them that were deleted again.

    All methods but `sums` are for the thread that writes.

    Attributes:
        replaced: the file was damaged or taken away since the start, and what it held is not in the figures.
    """

    def __init__(self) -> None:
        self.replaced = False
        self._opened = False
        self._before = self._newest = 0  # the numbers of the last row before the start, and of the last one
        self._deleted: Sums = {}
        self._deleting = threading.Lock()

    def opened(self, newest: int) -> None:
        """Notes that a file was opened, whose last row has that number."""
        if not self._opened:
            self._before, self._opened = newest, True
            self._newest = newest
        elif newest < self._newest:
            self._before, self.replaced = 0, True
            self._newest = newest

    def others(self, connection: sqlite3.Connection, newest: int) -> None:
        """Leaves out what another engine has written since the last row: the one before, as it ends.

        Args:
            connection: to the records, in the transaction that is about to write.
            newest: the number of the last row.

        Raises:
            sqlite3.Error: the records cannot be read.
        """
        if newest > self._newest:
            with self._deleting:
                found = _sums(connection, "seq > ? AND seq <= ?", (self._newest, newest))
                negative = {group: Figures(*(-one for one in figures)) for group, figures in found.items()}
                self._deleted = added(self._deleted, negative)
                self._newest = newest

    def written(self, newest: int) -> None:
        """Notes the number of the last row."""
        self._newest = newest

    def delete(self, connection: sqlite3.Connection, before: float, limit: int) -> int:
        """Deletes the `limit` oldest records from before a time, and returns how many there were.

        Raises:
            sqlite3.Error: the file cannot be written.
        """
        with self._deleting:
            connection.execute("BEGIN IMMEDIATE")
            try:
                # What is newer is another engine's, and left out when the next row is written.
                own = f"seq > ? AND seq <= ? AND {_OLDEST}"
                gone = _sums(connection, own, (self._before, self._newest, before, limit))
                count = connection.execute(f"DELETE FROM requests WHERE {_OLDEST}", (before, limit)).rowcount
                newest = rollup.newest(connection)
                connection.execute("COMMIT")
            except sqlite3.Error:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            self._deleted = added(self._deleted, gone)
            # SQLite gives numbers anew from the end on.
            self._before, self._newest = min(self._before, newest), min(self._newest, newest)
        return count

    def sums(self, connection: sqlite3.Connection, upto: str) -> Sums:
        """The figures of the requests since the start up to the one with an id, of all if that is not there.

        Raises:
            sqlite3.Error: the records cannot be read.
        """
        with self._deleting:
            last = connection.execute("SELECT MAX(seq) FROM requests WHERE id = ?", (upto,)).fetchone()[0]
            until = _LARGEST if last is None else last
            return added(self._deleted, _sums(connection, "seq > ? AND seq <= ?", (self._before, until)))


def added(first: Sums, second: Sums) -> Sums:
    """The sums of both."""
    joined = dict(first)
    for group, figures in second.items():
        if group in joined:
            figures = Figures(*map(sum, zip(joined[group], figures, strict=True)))
        joined[group] = figures
    return joined


def series_of(found: Sums, known: Collection[tuple[str, str]]) -> dict[Series, float]:
    """The figures as the metrics name them.

    Args:
        found: the figures.
        known: providers and models with series of their own; the others are counted together.
    """
    series: defaultdict[Series, float] = defaultdict(float)
    providers = {provider for provider, _ in known}
    for (tier, provider, model, status), figures in found.items():
        if (provider, model) not in known:
            provider, model = provider if provider in providers else OTHER, OTHER
        whose = (("model", model), ("provider", provider))
        status_class = f"{status}xx" if status else "none"
        series[Series("lynkr_requests_total", (*whose, ("status", status_class), ("tier", tier)))] += (
            figures.requests
        )
        for kind in ("input", "cached", "output"):
            labels = (("kind", kind), *whose)
            series[Series("lynkr_tokens_total", labels)] += getattr(figures, kind)
        series[Series("lynkr_saved_tokens_total", whose)] += figures.saved
        series[Series("lynkr_cost_dollars_total", whose)] += figures.cost
        series[Series("lynkr_unpriced_requests_total", whose)] += figures.unpriced
        where = (("provider", provider), ("tier", tier))
        series[Series("lynkr_request_seconds_count", where)] += figures.requests
        series[Series("lynkr_request_seconds_sum", where)] += figures.latency_ms / 1000
        series[Series("lynkr_first_token_seconds_count", where)] += figures.first_tokens
        series[Series("lynkr_first_token_seconds_sum", where)] += figures.first_token_ms / 1000
    return dict(series)


def compared(
    records: Mapping[Series, float], metrics: Mapping[Series, float]
) -> tuple[tuple[CheckedSum, ...], tuple[CheckedSum, ...]]:
    """Every figure over all its series, and the series that are not the same."""
    whole = tuple(
        CheckedSum(name=name, records=_over(records, name), metrics=_over(metrics, name)) for name in NAMES
    )
    apart = (
        CheckedSum(
            name=series.name,
            labels=dict(series.labels),
            records=records.get(series, 0.0),
            metrics=metrics.get(series, 0.0),
        )
        for series in sorted({*records, *metrics})
    )
    return whole, tuple(one for one in apart if not same(one))


def same(one: CheckedSum) -> bool:
    """Whether records and metrics have the same figure: to the last request and token."""
    if one.name in _FRACTIONS:
        return math.isclose(one.records, one.metrics, rel_tol=1e-9, abs_tol=1e-9)
    return one.records == one.metrics


def _over(series: Mapping[Series, float], name: str) -> float:
    return math.fsum(value for one, value in series.items() if one.name == name)


def _sums(connection: sqlite3.Connection, where: str, arguments: Sequence[float]) -> Sums:
    rows = connection.execute(_SUMS.format(where=where), arguments)
    return {Group(*row[:4]): Figures(*row[4:]) for row in rows}
