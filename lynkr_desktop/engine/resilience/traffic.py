"""The way of a request to a model: past its circuit breaker, through its endpoint's lane, and out again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from lynkr_desktop.engine.config.resilience import RetryOptions
from lynkr_desktop.engine.exchange import Exchange, estimate_tokens
from lynkr_desktop.engine.resilience.breaker import Breaker, Breakers, outcome_of
from lynkr_desktop.engine.resilience.lanes import Lane, Lanes
from lynkr_desktop.engine.resilience.priority import priority_of
from lynkr_desktop.engine.resilience.retry import Backoff, retryable
from lynkr_desktop.engine.routing.selection import Choice
from lynkr_desktop.engine.wire.errors import WireError

_CLIENT_GONE = 499

T = TypeVar("T")


class Passage:
    """One request on its way to one model, over all its attempts.

    `enter` begins an attempt, and where one is good, `answered` and at its end `close` follow. After a bad
    one comes `failed`, and then another `enter` or `close`.

    Args:
        exchange: the request.
        choice: the model, at one endpoint of its provider.
        breaker: of the model there.
        lane: of the endpoint.
    """

    __slots__ = (
        "_breaker",
        "_entered",
        "_error",
        "_exchange",
        "_good",
        "_inside",
        "_lane",
        "_owing",
        "_turn",
        "choice",
    )

    def __init__(self, exchange: Exchange, choice: Choice, breaker: Breaker, lane: Lane) -> None:
        self.choice = choice
        self._exchange = exchange
        self._breaker = breaker
        self._lane = lane
        self._inside = self._owing = self._good = False
        self._turn = 0
        self._entered = 0.0
        self._error: WireError | None = None

    @property
    def busy(self) -> bool:
        """Whether it would have to wait now."""
        return self._lane.expected_wait(self.choice.target.model) > 0

    async def enter(self) -> None:
        """Waits for its place, and takes it.

        Raises:
            WireError: 503 where the breaker is open, 429 where the wait is too long.
        """
        model = self.choice.target.model
        self._entered, self._error = 0.0, None
        if not self._owing or self._breaker.turn != self._turn:
            # Asked again after it opened meanwhile, it is refused as everybody else is.
            self._pass_breaker()
        tokens = estimate_tokens(self._exchange.body) if self._lane.limits.tokens_per_minute else 0
        if not self._lane.try_enter(model, tokens):
            await self._lane.enter(priority_of(self._exchange), model=model, tokens=tokens)
            if self._breaker.turn != self._turn:
                self._pass_again()
        self._inside = True
        self._entered = time.perf_counter()

    def _pass_again(self) -> None:
        """The breaker changed while this one waited for its place."""
        try:
            self._pass_breaker()
        except WireError:
            self._lane.leave()
            raise

    def _pass_breaker(self) -> None:
        breaker = self._breaker
        self._owing = False
        wait = breaker.refusal()
        if wait is None:
            self._owing, self._turn = True, breaker.turn
            return
        why = f" {breaker.reason}" if breaker.reason else ""
        raise WireError(
            f"{breaker.name} is not asked for the next {max(1, round(wait))} s, since it failed too often."
            f"{why} `lynkr breakers reset {breaker.name}` has it asked at once.",
            status=503,
            kind="unavailable",
            retry_after=wait,
        )

    def answered(self) -> None:
        """The answer began well."""
        self._good, self._error = True, None
        self._lane.learn(200, self._exchange.upstream_headers, model=self.choice.target.model)
        if self._breaker.state != "closed":
            self._turn = self._breaker.began(time.perf_counter() - self._entered, self._turn)

    def failed(self, error: WireError) -> None:
        """An attempt failed: what it says of limits is learned, and its place is free again."""
        if self._inside:
            self._error = error
            self._lane.learn(
                error.status, error.headers, retry_after=error.retry_after, model=self.choice.target.model
            )
        # Told at once: another model may answer for minutes, and a breaker goes by when calls failed.
        self.close()

    def repeated(self) -> None:
        """It is about to be tried again."""
        self._breaker.retries += 1

    def close(self) -> None:
        """The request goes elsewhere, or has ended: its place is free, and the breaker learns how it went."""
        self._leave()
        if not self._owing:
            return
        self._owing = False
        exchange = self._exchange
        if self._error is not None:
            outcome = outcome_of(self._error, own_key=exchange.credential is not None)
            self._breaker.done(outcome, turn=self._turn, why=self._error.message)
            return
        first = exchange.first_token_at
        seconds = first - self._entered if first is not None and self._entered else None
        if not self._good or exchange.status == _CLIENT_GONE:
            if seconds is None and self._entered:
                seconds = time.perf_counter() - self._entered
            self._breaker.done("abandoned", seconds, turn=self._turn)
        elif exchange.status >= 500 or exchange.status in (408, 429):
            self._breaker.done("bad", seconds, turn=self._turn, why=exchange.error)
        else:
            self._breaker.done("good", seconds, turn=self._turn)

    def _leave(self) -> None:
        if self._inside:
            self._inside = False
            usage = self._exchange.usage
            self._lane.leave(usage.output_tokens if usage is not None else 0)


class Traffic:
    """Breakers and lanes, as the flow of requests uses them.

    Args:
        breakers: of models.
        lanes: of endpoints.
    """

    def __init__(self, breakers: Breakers, lanes: Lanes) -> None:
        self.retry = RetryOptions()
        self._breakers = breakers
        self._lanes = lanes

    def passages(self, exchange: Exchange, choices: Iterable[Choice]) -> list[Passage]:
        """The ways to the models that may answer a request, those that may go at once first.

        Each is closed with the exchange at the latest; see `Exchange.passages`.
        """
        found = [self._passage(exchange, choice) for choice in choices]
        if len(found) > 1:
            found.sort(key=lambda passage: passage.busy)
        exchange.passages += found
        return found

    def _passage(self, exchange: Exchange, choice: Choice) -> Passage:
        provider = choice.provider
        name = f"{provider.lane}/{choice.target.model}"
        breaker = self._breakers.of(name, patient=provider.on_this_machine)
        return Passage(exchange, choice, breaker, self._lanes[provider.lane])

    def is_slow(self, choice: Choice) -> bool:
        """Whether a model takes longer than its limit allows, so that others are asked before it."""
        return self._breakers.slow(f"{choice.provider.lane}/{choice.target.model}")

    async def ask(self, exchange: Exchange, choice: Choice, call: Callable[[], Awaitable[T]]) -> T:
        """Makes a call that one model alone can answer, and again while that may help. Raises `WireError`."""
        [passage] = self.passages(exchange, (choice,))
        backoff = self.backoff()
        while True:
            try:
                await passage.enter()
                answer = await call()
            except WireError as error:
                passage.failed(error)
                again, pause = to_repeat([(passage, error)], backoff)
                if not again:
                    raise
            else:
                exchange.answered = True
                passage.answered()
                return answer
            await asyncio.sleep(pause)
            passage.repeated()

    def backoff(self) -> Backoff:
        """The pauses of one request."""
        return Backoff(self.retry)


def to_repeat(failed: list[tuple[Passage, WireError]], backoff: Backoff) -> tuple[list[Passage], float]:
    """Which of the models that failed are asked again, and after how many seconds; none if it is no use."""
    passing = [(passage, error) for passage, error in failed if retryable(error)]
    if not passing:
        return [], 0.0
    soonest = min((error for _, error in passing), key=lambda error: error.retry_after or 0.0)
    pause = backoff.pause(soonest)
    if pause is None:
        return [], 0.0
    return [passage for passage, error in passing if (error.retry_after or 0.0) <= pause], pause
