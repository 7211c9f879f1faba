"""Spans for OpenTelemetry: one for each request, by OTLP over HTTP, for those who name a receiver.

Attributes have the names of OpenTelemetry's conventions for generative AI as of release 1.41; what these have
no word for begins with `lynkr.`. A span never has a prompt, a reply or a title in it. The SDK, which is an
optional extra, is imported only where a receiver is configured; its own thread sends, in batches, and what
goes wrong there stops no request.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from urllib.parse import urlsplit

import requests
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from lynkr_desktop.engine.config.telemetry import OtlpOptions
from lynkr_desktop.engine.security.egress import Egress, is_this_machine
from lynkr_desktop.engine.wire.canonical import Request
from lynkr_desktop.protocol.cache import CacheResult
from lynkr_desktop.protocol.control import RequestRow

log = logging.getLogger(__name__)

Attribute = str | bool | int | float | Sequence[str]

_TIMEOUT_S = 2.0
"""For one batch with all its tries; the engine's end waits for it."""

_EVERY_MS = 2000
_MOST_WAITING = 4096
_OWN_LOGS = ("opentelemetry.exporter", "opentelemetry.sdk")
_OPERATIONS = {
    "ollama_generate": "text_completion",
    "ollama_embed": "embeddings",
    "ollama_embeddings": "embeddings",
    "openai_embeddings": "embeddings",
}
_PROVIDERS = {
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "vertex": "gcp.vertex_ai",
}
_GONE = 499


class Spans:
    """Where spans go.

    Args:
        options: with an endpoint.
        version: of the engine.
        egress: what may leave this machine.
    """

    def __init__(self, options: OtlpOptions, version: str, egress: Egress) -> None:
        assert options.endpoint is not None
        endpoint = traces_url(options.endpoint)
        self._local = is_this_machine(urlsplit(endpoint).hostname or "")
        self._egress = egress
        for name in _OWN_LOGS:
            # It logs tracebacks; what matters of them is said below, once.
            logging.getLogger(name).setLevel(logging.CRITICAL)
        session = requests.Session()
        session.trust_env = not self._local
        exporter = OTLPSpanExporter(
            endpoint, headers=dict(options.headers), timeout=_TIMEOUT_S, session=session
        )
        self._provider = TracerProvider(
            resource=Resource.create({"service.name": "lynkr", "service.version": version}),
            shutdown_on_exit=False,
        )
        self._sender = _Sender(exporter, endpoint, self._may_leave)
        self._provider.add_span_processor(
            BatchSpanProcessor(self._sender, max_queue_size=_MOST_WAITING, schedule_delay_millis=_EVERY_MS)
        )
        self._tracer = self._provider.get_tracer("lynkr_desktop", version)
        self._context = TraceContextTextMapPropagator()

    def add(
        self,
        row: RequestRow,
        kind: str,
        *,
        request: Request | None = None,
        headers: Mapping[str, str] | None = None,
        told_model: str = "",
        cache: CacheResult = "bypass",
        local_only: bool = False,
    ) -> None:
        """Makes the span of a request that has ended.

        Args:
            row: its record.
            kind: that of its provider, empty where none was asked.
            request: as it was decoded; None where it could not be.
            headers: of the client; a `traceparent` among them says of which trace it is a part.
            told_model: the model that the upstream says it is.
            cache: what the response cache did.
            local_only: nothing of it may leave this machine.
        """
        if (local_only or self._egress.is_shut) and not self._local:
            return
        operation = _OPERATIONS.get(row.protocol, "chat")
        begin = int(row.at * 1e9)
        span = self._tracer.start_span(
            f"{operation} {row.model or row.requested_model}".strip(),
            context=self._context.extract({"traceparent": (headers or {}).get("traceparent", "")}),
            kind=SpanKind.CLIENT,
            attributes=dict(_attributes(row, kind, operation, request, told_model, cache)),
            start_time=begin,
        )
        if row.status >= 400 and row.status != _GONE:
            # Without the message: upstreams may repeat in theirs what they were asked.
            span.set_status(Status(StatusCode.ERROR))
        span.end(begin + int(row.latency_ms * 1e6))

    def _may_leave(self) -> bool:
        return self._local or not self._egress.is_shut

    def close(self) -> None:
        """Sends what waits and ends the thread; waits for a few seconds at most."""
        self._sender.closing = True
        self._provider.shutdown()


class _Sender(SpanExporter):
    """Sends batches, and says once that it cannot, and once that it can again.

    Attributes:
        closing: the engine ends, and waits for no receiver that did not answer the last time.
    """

    def __init__(self, exporter: SpanExporter, endpoint: str, may_leave: Callable[[], bool]) -> None:
        self._exporter = exporter
        self._endpoint = endpoint
        self._may_leave = may_leave
        self._failing = False
        self.closing = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Sends a batch, or lets it go where nothing may leave by now."""
        if not self._may_leave() or (self.closing and self._failing):
            return SpanExportResult.FAILURE
        try:
            result = self._exporter.export(spans)
        except Exception as error:  # noqa: BLE001 - of a library: spans are worth less than requests
            log.debug("spans: %r", error)
            result = SpanExportResult.FAILURE
        failed = result is not SpanExportResult.SUCCESS
        if failed and not self._failing:
            log.warning("spans cannot be sent to %s; those that cannot wait are let go", self._endpoint)
        elif self._failing and not failed:
            log.info("spans can be sent to %s again", self._endpoint)
        self._failing = failed
        return result

    def shutdown(self) -> None:
        """Closes its connections."""
        self._exporter.shutdown()


def traces_url(endpoint: str) -> str:
    """Where spans are posted: the endpoint, with the usual path where it has none."""
    parts = urlsplit(endpoint)
    return endpoint if parts.path.strip("/") else f"{parts.scheme}://{parts.netloc}/v1/traces"


def _attributes(
    row: RequestRow, kind: str, operation: str, request: Request | None, told_model: str, cache: CacheResult
) -> Iterator[tuple[str, Attribute]]:
    yield "gen_ai.operation.name", operation
    if row.provider:
        yield "gen_ai.provider.name", _PROVIDERS.get(kind, row.provider)
    yield "gen_ai.request.model", row.model or row.requested_model
    if told_model:
        yield "gen_ai.response.model", told_model
    if row.session:
        yield "gen_ai.conversation.id", row.session
    yield "gen_ai.request.stream", row.stream
    if request is not None:
        yield from _asked(request)
    if row.input_tokens or row.output_tokens:
        yield "gen_ai.usage.input_tokens", row.input_tokens
        yield "gen_ai.usage.output_tokens", row.output_tokens
        yield "gen_ai.usage.cache_read.input_tokens", row.cached_tokens
    if row.ttft_ms is not None and row.stream:
        yield "gen_ai.response.time_to_first_chunk", row.ttft_ms / 1000
    if row.status:
        yield "http.response.status_code", row.status
    if row.status >= 400:
        yield "error.type", str(row.status)
    yield "lynkr.request.id", row.id
    yield "lynkr.client", row.client
    yield "lynkr.protocol", row.protocol
    yield "lynkr.requested_model", row.requested_model
    yield "lynkr.cache", cache
    yield "lynkr.saved_tokens", row.saved_tokens
    if row.tier is not None:
        yield "lynkr.tier", row.tier
    if row.score is not None:
        yield "lynkr.score", row.score
    if row.cost is not None:
        yield "lynkr.cost_usd", row.cost


def _asked(request: Request) -> Iterator[tuple[str, Attribute]]:
    given: tuple[tuple[str, Attribute | None], ...] = (
        ("gen_ai.request.max_tokens", request.max_tokens),
        ("gen_ai.request.temperature", request.temperature),
        ("gen_ai.request.top_p", request.top_p),
        ("gen_ai.request.seed", request.seed),
    )
    for name, value in given:
        if value is not None:
            yield name, value
    if request.stop:
        yield "gen_ai.request.stop_sequences", request.stop
