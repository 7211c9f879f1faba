"""What a request cost, by the price table that comes with genai-prices. Nothing here uses the network."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, NamedTuple

from lynkr_desktop.engine.wire.canonical import Usage

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot

LOCAL_KINDS = frozenset({"ollama", "embedded"})
"""They cost electricity, which is not counted."""

_TABLE_NAMES = {
    "openai": "openai",
    "openrouter": "openrouter",
    "azure": "azure",
    "anthropic": "anthropic",
    "vertex": "google",
    "bedrock": "aws",
}
"""Our kinds and the table's names of them."""

_MOST_KNOWN = 1000


class Seller(NamedTuple):
    """Who sells tokens.

    Attributes:
        kind: the provider's kind; see `config.schema.ProviderKind`.
        name: its name in the configuration, which may say who an openai_compatible one is (groq, deepseek).
        base_url: its address, which says it for certain where the price list knows it.
    """

    kind: str
    name: str
    base_url: str = ""


class Prices:
    """Prices of requests in US dollars. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._table: DataSnapshot | None = None
        self._providers: frozenset[str] = frozenset()
        self._references: dict[tuple[str, str], str | None] = {}
        self._sellers: dict[Seller, str | None] = {}

    async def warm(self) -> None:
        """Loads the table in a thread; it takes a quarter of a second, which the first `cost` would pay."""
        await asyncio.to_thread(self._load)

    def cost(self, seller: Seller, model: str, usage: Usage) -> float | None:
        """The price of one reply.

        Args:
            seller: who sold it.
            model: the model's name at the provider.
            usage: its tokens; those read from and written to a prompt cache have their own prices.

        Returns:
            US dollars; 0.0 for local models; None where the price is not known.
        """
        if seller.kind in LOCAL_KINDS:
            return 0.0
        table = self._load()
        known_as = self._known_as(table, seller)
        if known_as is None or not model:
            return None
        reference = self._reference(table, known_as, model)
        if reference is None:
            return None
        from genai_prices import types

        prompt = max(0, usage.input_tokens)
        read = min(max(0, usage.cached_tokens), prompt)
        counted = types.Usage(
            input_tokens=prompt,
            cache_read_tokens=read,
            cache_write_tokens=min(max(0, usage.cache_write_tokens), prompt - read),
            output_tokens=max(0, usage.output_tokens),
        )
        try:
            return float(table.calc(counted, reference, known_as, None, None).total_price)
        except (LookupError, ValueError):
            return None

    def context_window(self, seller: Seller, model: str) -> int | None:
        """Tokens that a model takes at most, as far as the table knows it; None where it does not."""
        if seller.kind in LOCAL_KINDS:
            return None
        table = self._load()
        known_as = self._known_as(table, seller)
        reference = self._reference(table, known_as, model) if known_as else None
        if reference is None:
            return None
        try:
            window = table.find_provider_model(reference, None, known_as, None)[1].context_window
        except LookupError:
            return None
        return int(window) if window else None

    def _known_as(self, table: DataSnapshot, seller: Seller) -> str | None:
        """The table's name of a seller; few are configured, so each is looked for once."""
        if seller not in self._sellers:
            name = _TABLE_NAMES.get(seller.kind) or _by_address(table, seller)
            self._sellers[seller] = name or (
                seller.name.lower() if seller.name.lower() in self._providers else None
            )
        return self._sellers[seller]

    def _load(self) -> DataSnapshot:
        if (loaded := self._table) is not None:
            return loaded
        with self._lock:
            if self._table is None:
                from genai_prices.data_snapshot import get_snapshot

                table = get_snapshot()
                self._providers = frozenset(provider.id for provider in table.providers)
                self._table = table
            return self._table

    def _reference(self, table: DataSnapshot, seller: str, model: str) -> str | None:
        """The name under which the table knows the model; looked for once, since a miss takes long."""
        key = (seller, model)
        if key in self._references:
            return self._references[key]
        reference = _find(table, seller, model)
        with self._lock:
            if len(self._references) < _MOST_KNOWN:
                self._references[key] = reference
        return reference


def _by_address(table: DataSnapshot, seller: Seller) -> str | None:
    """The table's name of an OpenAI-compatible provider, if it knows the address."""
    if not seller.base_url:
        return None
    try:
        return str(table.find_provider(None, None, seller.base_url).id)
    except LookupError:
        return None


def _find(table: DataSnapshot, seller: str, model: str) -> str | None:
    candidates = [model]
    if seller == "openrouter" and "/" not in model:
        # OpenRouter's names have the vendor before them; without it, only an unambiguous one counts.
        vendors = next(provider for provider in table.providers if provider.id == seller)
        full = [known.id for known in vendors.models if known.id.partition("/")[2] == model]
        candidates += full if len(full) == 1 else []
    for candidate in candidates:
        try:
            table.find_provider_model(candidate, None, seller, None)
        except LookupError:
            continue
        return candidate
    return None
