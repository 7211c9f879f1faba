"""What becomes of requests that have ended: price, records, metrics, and what later ones learn from them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lynkr_desktop.engine.exchange import Exchange
from lynkr_desktop.engine.memory.service import Memories
from lynkr_desktop.engine.passages.source import wanted
from lynkr_desktop.engine.prompts import Prompts
from lynkr_desktop.engine.providers.base import Provider
from lynkr_desktop.engine.routing.row import decision_row, seen
from lynkr_desktop.engine.routing.selection import Quickness
from lynkr_desktop.engine.telemetry.decisions import DecisionLog
from lynkr_desktop.engine.telemetry.ledger import Ledger
from lynkr_desktop.engine.telemetry.metrics import Metrics
from lynkr_desktop.engine.telemetry.prices import Prices, Seller
from lynkr_desktop.engine.telemetry.store import Records
from lynkr_desktop.engine.wire.canonical import Usage


class Recorder:
    """Takes each request as it ends, which is cheap, and enters it a moment later.

    Args:
        version: of the engine.
        memories: learn from what was said.
        provider: finds a provider of the configuration in force by its name.
    """

    def __init__(self, version: str, memories: Memories, provider: Callable[[str], Provider | None]) -> None:
        self.prices = Prices()
        self.prompts = Prompts()
        self.quickness = Quickness()
        self._memories = memories
        self._provider = provider
        self._ledger: Ledger[Exchange] = Ledger(self._enter)
        self._metrics = Metrics(version)
        self._records: Records
        self._decisions: DecisionLog

    async def start(self, database: Path, retention: float) -> None:
        """Opens the records."""
        self._records = Records(database, retention)
        self._decisions = DecisionLog(self._records)
        await self._records.start()
        self._metrics.watch_records(lambda: self._records.waiting, lambda: self._records.lost)

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
        if came is not None and sent is not None and exchange.cache != "hit":
            self.prompts.keep(exchange.id, came, sent, len(exchange.body), tuple(exchange.inner_calls))
        exchange.finish()
        self._ledger.add(exchange)

    def _enter(self, exchange: Exchange) -> None:
        row = exchange.row()
        self._metrics.observe(row, exchange.cache)
        if row.status == 200 and exchange.cache != "hit":
            waited = row.latency_ms if row.ttft_ms is None else row.ttft_ms
            self.quickness.observe(f"{row.provider}/{row.model}", waited / 1000)
        decision, request = exchange.decision, exchange.request
        if request is not None and exchange.origin is not None and wanted(exchange.headers, "memory"):
            self._memories.observe(request, exchange.origin)
        if decision is None or request is None or not request.messages:
            self._records.record(row)
            return
        told = seen(decision, request, id=row.id, session=row.session, answered=row.status == 200)
        task = self._decisions.conclude(told) if told is not None else ""
        made = decision_row(
            decision, exchange.target, exchange.skipped, row, task=task, receipts=exchange.receipts
        )
        self._records.record(row, made)
