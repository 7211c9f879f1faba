"""Circuit breakers and retries as metrics, taken at each scrape: requests pay nothing for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from lynkr_desktop.protocol.breakers import BreakerState, BreakerStatus

LEVELS: dict[BreakerState, int] = {"closed": 0, "half_open": 1, "open": 2}


class BreakerCollector(Collector):
    """The series of every breaker that there is; those that were forgotten have none any more.

    Args:
        statuses: gives the breakers.
    """

    def __init__(self, statuses: Callable[[], Iterable[BreakerStatus]]) -> None:
        self._statuses = statuses

    def describe(self) -> Iterable[Metric]:
        """The families without their samples, for the registry."""
        return self._families(())

    def collect(self) -> Iterator[Metric]:
        """The families with their samples."""
        yield from self._families(self._statuses())

    def _families(self, statuses: Iterable[BreakerStatus]) -> tuple[Metric, ...]:
        labels = ["provider", "model"]
        state = GaugeMetricFamily(
            "lynkr_breaker_state", "0: closed; 1: half-open, one probe at a time; 2: open.", labels=labels
        )
        opened = CounterMetricFamily("lynkr_breaker_opened", "How often a breaker opened.", labels=labels)
        retries = CounterMetricFamily(
            "lynkr_retries", "Requests that were sent again to the same model after a pause.", labels=labels
        )
        for status in statuses:
            provider, _, model = status.name.partition("/")
            state.add_metric([provider, model], LEVELS[status.state])
            opened.add_metric([provider, model], status.opened)
            retries.add_metric([provider, model], status.retries)
        return state, opened, retries
