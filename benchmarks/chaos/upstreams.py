"""Three servers of different kinds that fail by plan, and the log of what each answered to whom."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from benchmarks.chaos.plan import UPSTREAMS, WORD, Action, Burst, Dying, Job, Plan
from tests.support.fakes.base import Asked, ScriptedServer
from tests.support.script import Reply, failure

_IN_FLIGHT_S = 0.1
_NOTICED_S = 2.0
_ROUNDED_S = 0.5


@dataclass(slots=True)
class Attempt:
    """One request that an upstream got, at a time of `time.monotonic`.

    `killed`: the upstream died while it answered, or a moment later, so that its answer may have come through
    or not.
    """

    upstream: str
    action: Action
    asked: Asked
    at: float
    killed: bool = False

    @property
    def answered(self) -> bool:
        """The upstream sent a right answer to its end."""
        return self.action.good and self.asked.outcome == "done" and not self.killed

    @property
    def failed(self) -> bool:
        """An error may have come of it."""
        return self.killed or not self.action.good

    @property
    def midway(self) -> bool:
        """It may have failed after the client had got a part."""
        return self.killed or self.action.midway

    @property
    def statuses(self) -> frozenset[int]:
        """Of the error that may come of it: whoever dies breaks off, and is not there for a second try."""
        return self.action.statuses | ({502, 503} if self.killed else frozenset())


@dataclass(slots=True)
class Dead:
    """A time in which an upstream was dead; `until` is infinite while it is."""

    upstream: str
    way: Dying
    since: float
    until: float = float("inf")


@dataclass
class Log:
    """What the upstreams saw, by the requests' words."""

    attempts: defaultdict[str, list[Attempt]] = field(default_factory=lambda: defaultdict(list))
    dead: list[Dead] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)
    """Requests that carry the word of no job."""
    _pauses: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    def pauses(self, upstream: str) -> list[tuple[float, float]]:
        """The times for which it asked to be left alone, by Retry-After."""
        if upstream not in self._pauses:
            self._pauses[upstream] = [
                (attempt.at, attempt.asked.over + float(wait) + _ROUNDED_S)
                for each in self.attempts.values()
                for attempt in each
                if attempt.upstream == upstream
                and (wait := attempt.action.reply.headers.get("retry-after", "")).isdigit()
            ]
        return self._pauses[upstream]

    def was_dead(self, upstream: str, since: float, until: float) -> bool:
        """Whether it was, at some moment of that time."""
        return any(d.upstream == upstream and d.since <= until and d.until >= since for d in self.dead)


class Upstreams:
    """The servers of a run.

    Args:
        plan: says what they do.
        jobs: by their words, as they are sent.
    """

    def __init__(self, plan: Plan, jobs: dict[str, Job]) -> None:
        self.log = Log()
        self.fakes: dict[str, ScriptedServer] = {}
        self._plan = plan
        self._jobs = jobs
        self._arrived: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._dead: dict[str, Dead] = {}
        self._burst: dict[str, Burst] = {}
        self._started = 0
        self._changing = asyncio.Lock()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for backend in UPSTREAMS:
            fake = self.fakes[backend.name] = await self._stack.enter_async_context(backend.fake())
            fake.brain = lambda asked, name=backend.name: self._reply(name, asked)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    def arrived(self, job: Job) -> asyncio.Event:
        """Set once an upstream has got the request."""
        return self._arrived[job.word]

    def _reply(self, name: str, asked: Asked) -> Reply:
        found = WORD.findall(asked.body.decode("utf-8", "replace"))
        job = self._jobs.get(found[-1]) if found else None
        if job is None:
            self.log.strays.append(f"{name} {asked.path} {asked.body[:200]!r}")
            return failure(418, "no job has this word")
        attempts = self.log.attempts[job.word]
        dead = self._dead.get(name)
        if dead is not None:
            action = self._plan.dead(dead.way)
        else:
            backend = next(backend for backend in UPSTREAMS if backend.name == name)
            before = sum(attempt.upstream == name for attempt in attempts)
            action = self._plan.action(backend, job, before)
        attempts.append(Attempt(name, action, asked, time.monotonic()))
        self._arrived[job.word].set()
        return action.reply

    async def quiet(self) -> None:
        """Waits a moment for what upstreams still do: who is hung up on has to notice."""
        attempts = [attempt for each in self.log.attempts.values() for attempt in each]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_NOTICED_S):
                for attempt in attempts:
                    await attempt.asked.ended.wait()

    async def mind(self, started: int) -> None:
        """Lets upstreams die and get well, as so many requests have been started."""
        async with self._changing:
            started = self._started = max(started, self._started)
            for burst in self._plan.bursts:
                dead = burst.upstream in self._dead
                if not dead and burst.first <= started < burst.last:
                    await self._die(burst)
                elif dead and self._burst[burst.upstream] is burst and started >= burst.last:
                    await self._recover(burst)

    async def _die(self, burst: Burst) -> None:
        self._burst[burst.upstream] = burst
        dead = self._dead[burst.upstream] = Dead(burst.upstream, burst.dying, time.monotonic())
        self.log.dead.append(dead)
        if burst.dying == "refuses":
            for attempts in self.log.attempts.values():
                for attempt in attempts:
                    over = attempt.asked.over
                    # The end of an answer may still be in the buffers of a connection that is cut.
                    if attempt.upstream == burst.upstream and not 0 < over < dead.since - _IN_FLIGHT_S:
                        attempt.killed = True
            await self.fakes[burst.upstream].vanish()

    async def _recover(self, burst: Burst) -> None:
        if burst.dying == "refuses":
            await self.fakes[burst.upstream].listen()
        self._dead.pop(burst.upstream).until = time.monotonic()
