"""Where passages meet a request: chosen once for each ask, and put before it in each turn."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

from lynkr_desktop.engine.exchange import Exchange
from lynkr_desktop.engine.optimization import tokens
from lynkr_desktop.engine.passages.asks import Asked, Origin, asks, names_of
from lynkr_desktop.engine.passages.source import EMPTY, Ask, Passage, Source, header_of, wanted
from lynkr_desktop.engine.routing.side import side_request
from lynkr_desktop.engine.routing.workspace import workspace_of
from lynkr_desktop.engine.wire.calls import in_call_order
from lynkr_desktop.engine.wire.canonical import Request
from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.engine.wire.insertion import inserted_body
from lynkr_desktop.protocol.optimization import Receipt

log = logging.getLogger(__name__)

_REMEMBERED = 8_192
"""Asks whose passages are remembered."""

_LONG = 40_000
"""Bytes of a body from which on it is rewritten in a thread."""


class Passages:
    """All sources, and what each chose for the asks of the conversations that are going on.

    For the event loop.

    Args:
        sources: in the order in which their passages stand before an ask.
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = tuple(sources)
        self._chosen: OrderedDict[tuple[str, bytes], Passage | asyncio.Task[Passage]] = OrderedDict()

    @property
    def enabled(self) -> bool:
        """Whether any source has something to say at all."""
        for source in self._sources:  # noqa: SIM110 - each request asks, and a generator costs thrice as much
            if source.enabled:
                return True
        return False

    async def put_in(self, exchange: Exchange, workspace: str | None) -> None:
        """Puts passages before the asks of a request that was decided. Never raises.

        From then on the exchange has the longer body, the request that it says, and a receipt of each source.
        A body that has no place for them stays as it is.

        Args:
            exchange: the request; where it stands is noted in it.
            workspace: the folder that the configuration names for requests that state none.
        """
        request, headers = exchange.request, exchange.headers
        sources = [each for each in self._sources if each.enabled and wanted(headers, each.name)]
        if request is None or not sources:
            return
        place = origin_of(exchange, workspace)
        if place is None:
            return
        turns = asks(request)
        asked = exchange.asked = Asked(place, turns, names_of(place, turns))
        if request.inexpressible or all(self._has_nothing(source, asked) for source in sources):
            return
        await self._put_before(exchange, request, asked, sources)

    def _has_nothing(self, source: Source, asked: Asked) -> bool:
        """Whether a source is known to have nothing for any of the asks."""
        chosen = self._chosen
        for name in asked.names:
            key = source.name, name
            known = chosen.get(key)
            if not isinstance(known, Passage) or known.text:
                return False
            chosen.move_to_end(key)
        return True

    async def _put_before(
        self,
        exchange: Exchange,
        request: Request,
        asked: Asked,
        sources: Sequence[Source],
    ) -> None:
        turns = asked.turns
        texts: list[list[str]] = [[] for _ in turns]
        receipts: list[Receipt] = []
        told: dict[str, str] = {}
        for source in sources:
            began = time.perf_counter()
            found = await self._of(source, request, asked, texts) if source.budget else []
            held = [passage.text for passage in found if passage.text]
            if not held:
                continue
            for before, passage in zip(texts, found, strict=True):
                before += [passage.text] if passage.text else []
            told[header_of(source.name)] = str(len(held))
            receipts.append(
                Receipt(
                    stage=source.name,
                    before=0,
                    after=sum(map(tokens.count, held)),
                    ms=round((time.perf_counter() - began) * 1e3, 2),
                    did=(f"put before {len(held)} of {len(turns)} asks",),
                )
            )
        if not receipts:
            return
        places = [(turn.raw, "\n\n".join(before)) for turn, before in zip(turns, texts, strict=True)]
        made = await _rewritten(exchange, places)
        if made is not None:
            exchange.came = request
            exchange.body, exchange.request = made
            exchange.told, exchange.added = told, tuple(receipts)
            exchange.receipts = exchange.added

    async def _of(
        self,
        source: Source,
        request: Request,
        asked: Asked,
        texts: Sequence[Sequence[str]],
    ) -> list[Passage]:
        """What a source has for each ask; `texts` are those of other sources before them."""
        found: list[Passage] = []
        said: list[str] = []
        for turn, name, others in zip(asked.turns, asked.names, texts, strict=True):
            said += others
            key = source.name, name
            chosen = self._chosen.get(key)
            if chosen is None:
                # Only where the ask is the newest turn: one that went out without stays without.
                newest = turn is asked.turns[-1] and turn.position == len(request.messages) - 1
                ask = Ask(request=request, place=asked.place, turn=turn, said=tuple(said))
                chosen = asyncio.create_task(_choice(source, ask)) if newest else EMPTY
                self._chosen[key] = chosen
            self._chosen.move_to_end(key)
            if isinstance(chosen, asyncio.Task):
                passage = await asyncio.shield(chosen)
                if self._chosen.get(key) is chosen:
                    self._chosen[key] = passage
            # It may have been forgotten in the meantime.
            settled = self._chosen.get(key, EMPTY)
            found.append(settled if isinstance(settled, Passage) else EMPTY)
            said += [found[-1].text] if found[-1].text else []
        while len(self._chosen) > _REMEMBERED:
            self._chosen.popitem(last=False)
        return found

    def leave_out(self, name: str, ids: Sequence[str] | None = None) -> None:
        """Leaves passages out of turns that they were put into, since what they are made of was changed or
        forgotten.

        Args:
            name: of their source.
            ids: what changed; None for all.
        """
        gone = None if ids is None else frozenset(ids)
        for key, chosen in [*self._chosen.items()]:
            if key[0] != name:
                continue
            if isinstance(chosen, asyncio.Task) or gone is None or not gone.isdisjoint(chosen.ids):
                self._chosen[key] = EMPTY


async def _choice(source: Source, ask: Ask) -> Passage:
    try:
        chosen = await source.choose(ask)
    except Exception:  # whatever is wrong with a source, the request goes on
        log.exception("%s has nothing for request %s", source.name, ask.place.request)
        return EMPTY
    if chosen.text and (size := tokens.count(chosen.text)) > source.budget:
        log.error("a passage of %s has %d tokens, more than it may; it is left out", source.name, size)
        return EMPTY
    return chosen


async def _rewritten(exchange: Exchange, places: Sequence[tuple[str, str]]) -> tuple[bytes, Request] | None:
    """The body with passages in it and what it says, None where it has no place for them."""

    def rewrite() -> tuple[bytes, Request] | None:
        body = inserted_body(exchange.body, exchange.codec.name, places)
        return None if body is None else (body, in_call_order(exchange.codec.decode_request(body)))

    try:
        long = len(exchange.body) > _LONG
        return await asyncio.to_thread(rewrite) if long else rewrite()
    except (WireError, ValueError, RecursionError) as error:
        log.warning("nothing could be put into request %s: %s", exchange.id, error)
        return None


def origin_of(exchange: Exchange, workspace: str | None) -> Origin | None:
    """Where a request stands; None for those that are no person's. `workspace` as of `Passages.put_in`."""
    request, decision = exchange.request, exchange.decision
    if request is None or decision is None:
        return None
    grounds = decision.grounds
    if grounds is not None:
        if grounds.side is not None:
            return None
        folder = grounds.workspace
    else:
        if side_request(request) is not None:
            return None
        configured = Path(workspace).expanduser() if workspace else None
        found = workspace_of(request, exchange.headers, configured)
        folder = found.folder if found is not None else ""
    return Origin(
        scope=folder or f"client:{exchange.client}",
        session=exchange.session,
        request=exchange.id,
        local_only=decision.profile.local_only,
    )
