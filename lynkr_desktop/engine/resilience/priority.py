"""How urgent a request is."""

from __future__ import annotations

from lynkr_desktop.engine.exchange import Exchange
from lynkr_desktop.engine.resilience.lanes import PRIORITIES, Priority

HEADER = "x-lynkr-priority"


def priority_of(exchange: Exchange) -> Priority:
    """As the client says; else what a person waits for comes before what runs in the background."""
    said = exchange.headers.get(HEADER)
    if said is not None and (named := _NAMED.get(said.strip().lower())) is not None:
        return named
    decision, request = exchange.decision, exchange.request
    if request is None or not request.stream:
        return "low"
    grounds = decision.grounds if decision is not None else None
    return "low" if grounds is not None and grounds.side is not None else "normal"


_NAMED: dict[str, Priority] = {name: name for name in PRIORITIES}
