"""What load shedding refused, for scrapes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client.core import CounterMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector


class ShedCollector(Collector):
    """Refused requests by cause, as they are counted where they are refused.

    Args:
        shed: the count of each cause; read at each scrape.
    """

    def __init__(self, shed: Mapping[str, int]) -> None:
        self._shed = shed

    def collect(self) -> Iterable[Metric]:
        """The counts as they are now."""
        family = CounterMetricFamily(
            "lynkr_shed_requests",
            "Requests that were refused under pressure, by its cause.",
            labels=["cause"],
        )
        for cause, count in self._shed.items():
            family.add_metric([cause], count)
        yield family
