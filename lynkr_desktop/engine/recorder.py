"""What becomes of requests that have ended: price, records, metrics, and what later ones learn from them."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from lynkr_desktop.engine.config.schema import TelemetryOptions
from lynkr_desktop.engine.config.telemetry import OtlpOptions
from lynkr_desktop.engine.exchange import Exchange
from lynkr_desktop.engine.memory.service import Memories
from lynkr_desktop.engine.passages.source import wanted
from lynkr_desktop.engine.prompts import Prompts
from lynkr_desktop.engine.providers.base import Provider
from lynkr_desktop.engine.routing.row import decision_row, seen
from lynkr_desktop.engine.routing.selection import Quickness
from lynkr_desktop.engine.security.egress import Egress
from lynkr_desktop.engine.telemetry.decisions import DecisionLog
from lynkr_desktop.engine.telemetry.ledger import Ledger
from lynkr_desktop.engine.telemetry.metrics import Metrics
from lynkr_desktop.engine.telemetry.prices import Prices, Seller
from lynkr_desktop.engine.telemetry.prompt_store import PromptStore, prompts_path
from lynkr_desktop.engine.telemetry.store import Records
from lynkr_desktop.engine.wire.canonical import Usage
from lynkr_desktop.protocol.control import RequestRow

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from lynkr_desktop.engine.telemetry.otlp import Spans


class Recorder:
    """Takes each request as it ends, which is cheap, and enters it a moment later.

    Args:
        version: of the engine.
        memories: learn from what was said.
        provider: finds a provider of the configuration in force by its name.
        egress: what may leave this machine.
    """

    def __init__(
        self,
        version: str,
        memories: Memories,
        provider: Callable[[str], Provider | None],
        egress: Egress,
    ) -> None:
        self.prices = Prices()
        self.prompts: Prompts
        self.quickness = Quickness()
        self._memories = memories
        self._provider = provider
        self._version = version
        self._egress = egress
        self._otlp = OtlpOptions()
        self._spans: Spans | None = None
        self._ledger: Ledger[Exchange] = Ledger(self._enter)
        self._metrics = Metrics(version)
        self._records: Records
        self._decisions: DecisionLog

    async def start(self, database: Path, retention: float) -> None:
        """Opens the records."""
        self._records = Records(database, retention)
        self._decisions = DecisionLog(self._records)
        await self._records.start()
        self.prompts = Prompts(PromptStore(prompts_path(database)))
        self._metrics.watch_records(lambda: self._records.waiting, lambda: self._records.lost)

    def go_by(self, options: TelemetryOptions) -> None:
        """Goes by these options from now on, as far as they can change without a new start."""
        self.prompts.stored.take(
            options.prompts and min(options.prompts, options.retention), options.prompts_size
        )
        if options.otlp != self._otlp:
            self._ledger.settle()
            self._otlp, old, self._spans = options.otlp, self._spans, self._spans_of(options.otlp)
            if old is not None:
                # It may wait for its receiver.
                threading.Thread(target=old.close, name="lynkr-spans-end", daemon=True).start()

    def _spans_of(self, options: OtlpOptions) -> Spans | None:
        if options.endpoint is None:
            return None
        try:
            from lynkr_desktop.engine.telemetry.otlp import Spans  # an optional extra, and slow to import

            return Spans(options, self._version, self._egress)
        except Exception:
            # Of a library that people install beside: requests go on without it.
            log.exception("spans cannot be made")
            return None

    async def close(self) -> None:
        """Writes and sends what waits, and closes the files."""
        self._ledger.settle()
        if self._spans is not None:
            await asyncio.to_thread(self._spans.close)
        await self.prompts.stored.close()
        await asyncio.to_thread(self.records.close)

    @property
    def records(self) -> Records:
        """The records, with every request that has ended."""
        self._ledger.settle()
        return self._records

    @property
    def metrics(self) -> Metrics:
        """The metrics, with every request that has ended."""
        self._ledger.settle()
        return self._metrics

    def price(self, exchange: Exchange, usage: Usage) -> float | None:
        """The cost of `usage`: as its provider says, else nothing for free ones, else by the list."""
        target = exchange.target
        if target is None or usage.cost is not None:
            return usage.cost
        if exchange.free:
            return 0.0
        provider = self._provider(target.provider)
        if provider is None:
            # A reload has dropped it since the request began.
            return None
        seller = Seller(provider.kind, provider.name, provider.base_url)
        cost = self.prices.cost(seller, target.model, usage)
        told_model = exchange.told_model
        if told_model and told_model != target.model and (cost is None or provider.kind == "azure"):
            # A deployment of Azure may have the name of another model than its own.
            told = self.prices.cost(seller, told_model, usage)
            return cost if told is None else told
        return cost

    def take(self, exchange: Exchange) -> None:
        """Takes a request that has ended."""
        came, sent = exchange.came or exchange.request, exchange.sent or exchange.request
        if came is not None and sent is not None:
            size, asked = len(exchange.body), tuple(exchange.inner_calls)
            if exchange.cache != "hit":
                self.prompts.keep(exchange.id, came, sent, size, asked)
            self.prompts.stored.put(exchange.id, exchange.at, came, sent, size, asked)
        exchange.finish()
        self._ledger.add(exchange)

    def _enter(self, exchange: Exchange) -> None:
        row = exchange.row()
        self._metrics.observe(row, exchange.cache)
        if self._spans is not None:
            self._add_span(self._spans, exchange, row)
        if row.status == 200 and exchange.cache != "hit":
            waited = row.latency_ms if row.ttft_ms is None else row.ttft_ms
            self.quickness.observe(f"{row.provider}/{row.model}", waited / 1000)
        decision, request = exchange.decision, exchange.request
        if request is not None and exchange.asked is not None and wanted(exchange.headers, "memory"):
            self._memories.observe(request, exchange.asked)
        if decision is None or request is None or not request.messages:
            self._records.record(row)
            return
        told = seen(decision, request, id=row.id, session=row.session, answered=row.status == 200)
        task = self._decisions.conclude(told) if told is not None else ""
        made = decision_row(
            decision, exchange.target, exchange.skipped, row, task=task, receipts=exchange.receipts
        )
        self._records.record(row, made)

    def _add_span(self, spans: Spans, exchange: Exchange, row: RequestRow) -> None:
        provider = self._provider(row.provider)
        try:
            spans.add(
                row,
                provider.kind if provider is not None else "",
                request=exchange.request,
                headers=exchange.headers,
                told_model=exchange.told_model,
                cache=exchange.cache,
                local_only=exchange.decision is not None and exchange.decision.profile.local_only,
            )
        except Exception:
            # Of a library, and of values that clients chose: the record matters more.
            log.exception("no span could be made of %s", row.id)
