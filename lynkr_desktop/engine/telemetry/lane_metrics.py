"""The lanes of endpoints in the metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from lynkr_desktop.protocol.lanes import LaneStatus


class LaneCollector(Collector):
    """What is on the way to each endpoint, and what waits, at the moment of a scrape.

    Args:
        statuses: all lanes.
    """

    def __init__(self, statuses: Callable[[], Iterable[LaneStatus]]) -> None:
        self._statuses = statuses

    def collect(self) -> Iterable[Metric]:
        """The figures as they are now."""
        lanes = tuple(self._statuses())
        figures = (
            ("lynkr_lane_in_flight", "Requests on their way to an endpoint.", "in_flight"),
            ("lynkr_lane_waiting", "Requests in the queue of an endpoint.", "waiting"),
        )
        for name, what, field in figures:
            family = GaugeMetricFamily(name, what, labels=["lane"])
            for lane in lanes:
                family.add_metric([lane.name], getattr(lane, field))
            yield family
