"""Prometheus metrics of the engine, in a registry of their own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.exposition import choose_encoder

from lynkr_desktop.engine.telemetry.breaker_metrics import BreakerCollector
from lynkr_desktop.engine.telemetry.budget_metrics import BudgetCollector
from lynkr_desktop.engine.telemetry.lane_metrics import LaneCollector
from lynkr_desktop.engine.telemetry.shed_metrics import ShedCollector
from lynkr_desktop.protocol.breakers import BreakerStatus
from lynkr_desktop.protocol.budgets import BudgetScope
from lynkr_desktop.protocol.cache import CacheResult
from lynkr_desktop.protocol.control import RequestRow
from lynkr_desktop.protocol.lanes import LaneStatus
from lynkr_desktop.protocol.sessions import LoopCause

LATENCY_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
TTFT_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)

MOST_MODELS = 100
"""Models with series of their own; names come from clients, so their number must not grow without bound."""

OTHER = "other"


def _tasks() -> int:
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:
        return 0  # asked for outside the loop


class _Count:
    """A counter that is added to at each scrape: adding to it takes a lock, and requests are many."""

    __slots__ = ("_counter", "waiting")

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self.waiting: float = 0

    def settle(self) -> None:
        if self.waiting:
            self._counter.inc(self.waiting)
            self.waiting = 0


class _Series:
    """The children of all metrics for one (tier, provider, model, status class)."""

    __slots__ = ("cached", "cost", "input", "latency", "output", "requests", "saved", "ttft", "unpriced")

    def __init__(self, metrics: Metrics, tier: str, provider: str, model: str, status: str) -> None:
        self.requests = _Count(metrics.requests.labels(tier, provider, model, status))
        self.input = _Count(metrics.tokens.labels(provider, model, "input"))
        self.cached = _Count(metrics.tokens.labels(provider, model, "cached"))
        self.output = _Count(metrics.tokens.labels(provider, model, "output"))
        self.saved = _Count(metrics.saved.labels(provider, model))
        self.cost = _Count(metrics.cost.labels(provider, model))
        self.unpriced = _Count(metrics.unpriced.labels(provider, model))
        self.latency = metrics.latency.labels(tier, provider)
        self.ttft = metrics.ttft.labels(tier, provider)

    def settle(self) -> None:
        sums = (self.requests, self.input, self.cached, self.output, self.saved, self.cost, self.unpriced)
        for count in sums:
            count.settle()


class Metrics:
    """All metrics; `observe` a finished request, `render` on a scrape.

    Args:
        version: of the engine, for `lynkr_build_info`.
    """

    def __init__(self, version: str) -> None:
        # Times of creation would double the series and say little.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry = CollectorRegistry()
        self.requests = Counter(
            "lynkr_requests",
            "Finished requests.",
            ["tier", "provider", "model", "status"],
            registry=registry,
        )
        self.tokens = Counter(
            "lynkr_tokens",
            "Tokens by kind; cached ones are part of input.",
            ["provider", "model", "kind"],
            registry=registry,
        )
        self.saved = Counter(
            "lynkr_saved_tokens",
            "Tokens that were taken off prompts before they were sent, by a count of our own.",
            ["provider", "model"],
            registry=registry,
        )
        self.cost = Counter(
            "lynkr_cost_dollars",
            "Cost of priced requests in US dollars.",
            ["provider", "model"],
            registry=registry,
        )
        self.unpriced = Counter(
            "lynkr_unpriced_requests",
            "Requests whose price is unknown.",
            ["provider", "model"],
            registry=registry,
        )
        self.latency = Histogram(
            "lynkr_request_seconds",
            "Time from a request to the end of its reply.",
            ["tier", "provider"],
            buckets=LATENCY_BUCKETS,
            registry=registry,
        )
        self.ttft = Histogram(
            "lynkr_first_token_seconds",
            "Time from a request to the first token of its reply.",
            ["tier", "provider"],
            buckets=TTFT_BUCKETS,
            registry=registry,
        )
        self.in_flight = Gauge("lynkr_requests_in_flight", "Requests being answered.", registry=registry)
        Gauge("lynkr_tasks", "Tasks of the engine's event loop.", registry=registry).set_function(_tasks)
        self.records_waiting = Gauge(
            "lynkr_records_waiting", "Records that are not in the database yet.", registry=registry
        )
        self.records_lost = Gauge(
            "lynkr_records_lost", "Records that could not be kept since the start.", registry=registry
        )
        self.cache = Counter(
            "lynkr_cache_requests",
            "Finished requests by what the response cache did: hit, miss or bypass.",
            ["result"],
            registry=registry,
        )
        self.cache_replies = Gauge("lynkr_cache_replies", "Stored replies.", registry=registry)
        self.cache_bytes = Gauge("lynkr_cache_bytes", "Bytes of the stored replies.", registry=registry)
        self.queue = Histogram(
            "lynkr_queue_seconds",
            "Time that a request which had to wait stood in the queue of an endpoint.",
            ["lane"],
            buckets=TTFT_BUCKETS,
            registry=registry,
        )
        self.sessions_paused = Gauge(
            "lynkr_sessions_paused", "Sessions that are paused or ended.", registry=registry
        )
        self.loop_pauses = Counter(
            "lynkr_loop_pauses", "Sessions that were paused, by cause.", ["cause"], registry=registry
        )
        for cause in (*get_args(LoopCause), "person"):
            self.loop_pauses.labels(cause)
        Gauge("lynkr_build_info", "The version that runs.", ["version"], registry=registry).labels(
            version
        ).set(1)
        Gauge("lynkr_start_time_seconds", "Unix time of the start.", registry=registry).set(time.time())
        results: tuple[CacheResult, ...] = ("hit", "miss", "bypass")
        self._by_cache = {result: _Count(self.cache.labels(result)) for result in results}
        self._series: dict[tuple[str | None, str, str, int], _Series] = {}
        self._models: set[tuple[str, str]] = set()

    def watch_records(self, waiting: Callable[[], int], lost: Callable[[], int]) -> None:
        """Takes two figures of the records at each scrape."""
        self.records_waiting.set_function(waiting)
        self.records_lost.set_function(lost)

    def watch_cache(self, replies: Callable[[], int], size: Callable[[], int]) -> None:
        """Takes two figures of the response cache at each scrape."""
        self.cache_replies.set_function(replies)
        self.cache_bytes.set_function(size)

    def watch_breakers(self, statuses: Callable[[], Iterable[BreakerStatus]]) -> None:
        """Takes the circuit breakers at each scrape."""
        self.registry.register(BreakerCollector(statuses))

    def watch_lanes(self, statuses: Callable[[], Collection[LaneStatus]]) -> None:
        """Takes the figures of the endpoints' lanes at each scrape."""
        self.registry.register(LaneCollector(statuses))

    def watch_budgets(
        self, shares: Callable[[], Mapping[str, float]], refused: Mapping[BudgetScope, int]
    ) -> None:
        """Takes what is spent of the fullest budgets, and what was refused, by scope, at each scrape."""
        self.registry.register(BudgetCollector(shares, refused))

    def watch_pressure(
        self, lag: Callable[[], float], memory: Callable[[], int], shed: Mapping[str, int]
    ) -> None:
        """Takes what load shedding measures, and what it refused by cause, at each scrape."""
        lags = Gauge("lynkr_loop_lag_seconds", "How far the event loop is behind.", registry=self.registry)
        lags.set_function(lag)
        held = Gauge("lynkr_memory_bytes", "Memory that the engine's process holds.", registry=self.registry)
        held.set_function(memory)
        self.registry.register(ShedCollector(shed))

    def queued(self, lane: str, seconds: float) -> None:
        """Counts a request that stood in a queue."""
        self.queue.labels(lane).observe(seconds)

    def observe(self, row: RequestRow, cache: CacheResult = "bypass") -> None:
        """Counts a finished request."""
        self._by_cache[cache].waiting += 1
        key = (row.tier, row.provider, row.model, row.status // 100)
        series = self._series.get(key) or self._new_series(key)
        series.requests.waiting += 1
        series.input.waiting += max(0, row.input_tokens)
        series.cached.waiting += max(0, row.cached_tokens)
        series.output.waiting += max(0, row.output_tokens)
        series.saved.waiting += max(0, row.saved_tokens)
        if row.cost is None:
            if row.input_tokens or row.output_tokens:
                series.unpriced.waiting += 1
        elif row.cost > 0:
            series.cost.waiting += row.cost
        series.latency.observe(row.latency_ms / 1000)
        if row.ttft_ms is not None:
            series.ttft.observe(row.ttft_ms / 1000)

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """All metrics and their content type, in the format that the Accept header asks for."""
        self._settle()
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    def values(self, names: Collection[str]) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        """The samples with these names as a scrape shows them, by name and sorted labels."""
        self._settle()
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in self.registry.collect()
            for sample in family.samples
            if sample.name in names
        }

    @property
    def models(self) -> frozenset[tuple[str, str]]:
        """The providers and models that have series of their own."""
        return frozenset(self._models)

    def _settle(self) -> None:
        for series in self._series.values():
            series.settle()
        for count in self._by_cache.values():
            count.settle()

    def _new_series(self, key: tuple[str | None, str, str, int]) -> _Series:
        tier, provider, model, status = key
        if (provider, model) not in self._models:
            if len(self._models) < MOST_MODELS:
                self._models.add((provider, model))
            else:
                # It is not kept under its own name here either, or this table would grow instead.
                provider = provider if any(provider == known for known, _ in self._models) else OTHER
                key = (tier, provider, OTHER, status)
                model = OTHER
                if key in self._series:
                    return self._series[key]
        series = self._series[key] = _Series(
            self, tier or "", provider, model, f"{status}xx" if status else "none"
        )
        return series
