"""How full budgets are, for scrapes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from lynkr_desktop.protocol.budgets import BudgetScope


class BudgetCollector(Collector):
    """The fullest budget of each scope, and what was refused.

    Args:
        shares: what is spent of them, by scope; asked at each scrape.
        refused: requests by scope; read at each scrape.
    """

    def __init__(self, shares: Callable[[], Mapping[str, float]], refused: Mapping[BudgetScope, int]) -> None:
        self._shares = shares
        self._refused = refused

    def collect(self) -> Iterable[Metric]:
        """The figures as they are now."""
        ratio = GaugeMetricFamily(
            "lynkr_budget_spent_ratio",
            "Share of the fullest budget of a scope that is spent.",
            labels=["scope"],
        )
        for scope, share in self._shares().items():
            ratio.add_metric([scope], share)
        yield ratio
        refusals = CounterMetricFamily(
            "lynkr_budget_refusals", "Requests that a budget refused, by its scope.", labels=["scope"]
        )
        for scope, count in self._refused.items():
            refusals.add_metric([scope], count)
        yield refusals
