"""The options of what keeps it working where providers do not."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lynkr_desktop.engine.config.base import Duration, Options, Size


class CircuitBreakerOptions(Options):
    """telemetry.circuit_breaker"""

    threshold: float = Field(
        0.85,
        gt=0,
        le=1,
        description="Share of a model's calls that failed, or that were slow, from which on it is not asked.",
    )
    recovery: Literal["half-open"] = Field(
        "half-open",
        description="How an open breaker recovers: one request at a time is let through as a probe; a good "
        "one closes it.",
    )
    probe_interval: Duration = Field(
        30.0, gt=0, le=86_400, description="Pause before the first probe, and between two of them."
    )
    window: Duration = Field(60.0, ge=1, le=3600, description="The calls of this time count.")
    min_calls: int = Field(
        50,
        ge=1,
        le=100_000,
        description="With fewer calls in the window than this, no breaker opens. Each attempt of a request "
        "is a call: one that fails counts three times by default.",
    )
    slow_call: Duration = Field(
        60.0,
        gt=0,
        le=86_400,
        description="A call is slow whose first token comes later. Models on this machine are exempt: they "
        "may have to be loaded first.",
    )


class RetryOptions(Options):
    """resilience.retry"""

    attempts: int = Field(
        3,
        ge=1,
        le=10,
        description="How often a model is asked in all, the first time included; 1: never again.",
    )
    base: Duration = Field(
        0.25,
        gt=0,
        le=60,
        description="Longest pause before the first repetition; it doubles with each. The true pause is "
        "drawn at random below it, so that clients which failed together do not come back together.",
    )
    most: Duration = Field(
        4.0,
        gt=0,
        le=600,
        description="Longest pause before any repetition, unless the upstream asks for more.",
    )
    max_wait: Duration = Field(
        5.0,
        ge=0,
        le=600,
        description="Pauses of one request in all. Where the upstream's Retry-After goes beyond it, the next "
        "model is asked, or the client is told to wait so long.",
    )


class QueueOptions(Options):
    """resilience.queue"""

    max_waiting: int = Field(
        256,
        ge=0,
        le=100_000,
        description="Requests that may wait for one endpoint; further ones are refused with 429. What a "
        "person waits for goes first: streamed requests before others, and those that harnesses make for "
        "themselves last. The header x-lynkr-priority (`high`, `normal`, `low`) says otherwise.",
    )
    max_wait: Duration = Field(
        60.0,
        ge=0,
        le=3600,
        description="Longest wait for an endpoint; a request that would have to wait longer is refused with "
        "429 at once.",
    )


class LatencyOptions(Options):
    """resilience.latency"""

    p95: Duration | None = Field(
        None,
        gt=0,
        description="Where 95 % of a model's first tokens do not come within this time, the other models of "
        "its tier are asked before it, until it is quick again. Off by default.",
    )


class SheddingOptions(Options):
    """resilience.shedding"""

    enabled: bool = Field(
        True,
        description="Refuse requests with 503 and Retry-After (529 to clients of Anthropic's protocol) while "
        "one of these limits is reached; from three quarters of it on, those that nobody waits for. The "
        "control API always answers.",
    )
    max_lag: Duration = Field(
        1.0,
        ge=0.05,
        le=60,
        description="How far the engine's own work may be behind, over a second; one long pause is none.",
    )
    max_memory: Size = Field(
        2 * 1024**3, ge=64 * 1024**2, description="Memory that the engine's process may hold."
    )
    max_in_flight: int = Field(
        1000, ge=1, le=100_000, description="Requests that may be answered at the same time."
    )
    max_queue_age: Duration | None = Field(
        None,
        gt=0,
        le=86_400,
        description="How long a request may have been waiting for a place at a provider that is not on this "
        "machine; left out, resilience.queue.max_wait. Waiting for an answer does not count, nor does the "
        "loading of local models.",
    )


class ResilienceOptions(Options):
    """resilience"""

    retry: RetryOptions = Field(
        default_factory=RetryOptions,
        description="Asking a model again that failed before anything of its answer reached the client.",
    )
    queue: QueueOptions = Field(
        default_factory=QueueOptions, description="Waiting for endpoints that take no more at the moment."
    )
    latency: LatencyOptions = Field(default_factory=LatencyOptions, description="Models that became slow.")
    shedding: SheddingOptions = Field(
        default_factory=SheddingOptions, description="Refusing requests while the engine is overloaded."
    )
