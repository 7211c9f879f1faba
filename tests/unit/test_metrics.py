"""Metrics: what a scrape shows after requests, how many series there can be, what observing costs."""

from __future__ import annotations

import time
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from lynkr_desktop.engine.telemetry.metrics import MOST_MODELS, Metrics
from lynkr_desktop.protocol.control import RequestRow
from lynkr_desktop.protocol.tiers import Tier


def row(**changes: Any) -> RequestRow:
    values: dict[str, Any] = {
        "id": "r",
        "at": 0.0,
        "client": "c",
        "protocol": "p",
        "tier": Tier.SIMPLE,
        "provider": "ollama",
        "model": "qwen",
        "input_tokens": 100,
        "cached_tokens": 40,
        "output_tokens": 10,
        "cost": 0.0,
        "latency_ms": 120.0,
        "ttft_ms": 30.0,
        "status": 200,
    }
    return RequestRow(**{**values, **changes})


def samples(metrics: Metrics) -> dict[tuple[str, frozenset[str]], float]:
    body, content_type = metrics.render()
    assert content_type.startswith("text/plain")
    return {
        (sample.name, frozenset(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def test_a_scrape_shows_what_happened() -> None:
    metrics = Metrics("1.2.3")
    metrics.watch_records(lambda: 7, lambda: 2)
    metrics.in_flight.inc()
    metrics.observe(row())
    metrics.observe(row(status=502, cost=None, ttft_ms=None, tier=None))
    metrics.observe(row(provider="openai", model="gpt-4o", cost=0.25))
    metrics.observe(row(input_tokens=-5, cost=-1.0, status=0))
    found = samples(metrics)
    assert found["lynkr_requests_total", frozenset({"simple", "ollama", "qwen", "2xx"})] == 1
    assert found["lynkr_requests_total", frozenset({"", "ollama", "qwen", "5xx"})] == 1
    assert found["lynkr_tokens_total", frozenset({"ollama", "qwen", "input"})] == 200
    assert found["lynkr_tokens_total", frozenset({"ollama", "qwen", "cached"})] == 120
    assert found["lynkr_cost_dollars_total", frozenset({"openai", "gpt-4o"})] == 0.25
    assert found["lynkr_unpriced_requests_total", frozenset({"ollama", "qwen"})] == 1
    assert found["lynkr_request_seconds_bucket", frozenset({"simple", "openai", "0.25"})] == 1
    assert found["lynkr_first_token_seconds_count", frozenset({"simple", "ollama"})] == 2
    assert found["lynkr_requests_in_flight", frozenset()] == 1
    assert found["lynkr_records_waiting", frozenset()] == 7
    assert found["lynkr_records_lost", frozenset()] == 2
    assert found["lynkr_build_info", frozenset({"1.2.3"})] == 1


def test_two_engines_in_one_process_do_not_meet() -> None:
    first, second = Metrics("1"), Metrics("1")
    first.observe(row())
    assert not any(name == "lynkr_requests_total" for name, _ in samples(second))


def test_names_from_clients_cannot_make_series_without_bound() -> None:
    metrics = Metrics("1")
    for number in range(5000):
        metrics.observe(row(model=f"made-up-{number}"))
    found = samples(metrics)
    models = {labels for name, labels in found if name == "lynkr_requests_total"}
    assert len(models) == MOST_MODELS + 1
    assert (
        found["lynkr_requests_total", frozenset({"simple", "ollama", "other", "2xx"})] == 5000 - MOST_MODELS
    )
    assert len(metrics._series) == MOST_MODELS + 1


def test_openmetrics_where_it_is_asked_for() -> None:
    body, content_type = Metrics("1").render("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


def test_observing_takes_microseconds() -> None:
    metrics = Metrics("1")
    request = row(cost=0.5)
    metrics.observe(request)
    best = float("inf")
    for _ in range(20):
        began = time.perf_counter()
        for _ in range(500):
            metrics.observe(request)
        best = min(best, (time.perf_counter() - began) / 500)
    print(f"observe(): {best * 1e6:.2f} us")
    assert best < 60e-6
