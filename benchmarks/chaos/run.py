"""One run: a real `lynkr serve` between clients that ask by plan and upstreams that fail by it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from benchmarks.chaos.plan import DEADLINE_S, TIERS, TIMEOUT_S, UPSTREAMS, WORD, Job, Plan
from benchmarks.chaos.upstreams import Log, Upstreams
from tests.support.clients import Answer
from tests.support.proxy import Proxy, running_proxy

Json = dict[str, Any]
PROBE_EVERY_S, WINDOW_S, MIN_CALLS, THRESHOLD = 0.8, 1.0, 10, 0.85
"""Of the circuit breakers, by the configuration of the run."""

_LIMITS = (0.35, 0.65, 0.85, 1.0)
_EARLIEST_S = 0.3
_PAGE = 1000
_TICK_S = 0.05


@dataclass(slots=True)
class Seen:
    """What a client saw of one request; times are of `time.monotonic`.

    Attributes:
        answer: None where it left, or where something broke.
        gone: it left before the end.
        broken: the answer broke a rule of the protocol, or the connection did; in words.
    """

    job: Job
    began: float
    ended: float = 0.0
    answer: Answer | None = None
    gone: bool = False
    hung: bool = False
    broken: str = ""


@dataclass(slots=True)
class Event:
    """One event of the engine, at the time at which it came."""

    at: float
    kind: str
    data: Json


@dataclass
class Run:
    """Everything that a judge needs.

    Attributes:
        rows: the records, by the requests' words; those without a word under the empty one.
        check: of `lynkr usage check`.
        metrics: the samples of /metrics, by their names with labels.
        pauses: when this process itself stood still for long, so that its upstreams did: begin and end.
        seconds: from the first request to the last.
        ended: when the last one had ended, by `time.monotonic`.
    """

    plan: Plan
    seen: list[Seen] = field(default_factory=list)
    log: Log = field(default_factory=Log)
    events: list[Event] = field(default_factory=list)
    rows: dict[str, list[Json]] = field(default_factory=dict)
    check: Json = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    status: Json = field(default_factory=dict)
    pauses: list[tuple[float, float]] = field(default_factory=list)
    seconds: float = 0.0
    ended: float = 0.0

    def stood_still(self, since: float, until: float) -> bool:
        """Whether this process did, at some moment of that time."""
        return any(begin <= until and end >= since for begin, end in self.pauses)


def config_for(upstreams: Upstreams) -> Json:
    """Every tier may use every upstream, in turn; silences are cut short, and breakers probe often."""
    short = {"first_byte_timeout": f"{TIMEOUT_S}s", "stall_timeout": f"{TIMEOUT_S}s"}
    targets = [upstream.target for upstream in UPSTREAMS]
    return {
        "providers": {
            upstream.name: {**upstream.options(upstreams.fakes[upstream.name].url), **short}
            for upstream in UPSTREAMS
        },
        "routing": {
            "policy": "round_robin",
            "prefer_local": "never",
            "tiers": {
                tier: {
                    "providers": targets[place % 3 :] + targets[: place % 3],
                    "max_complexity": limit,
                }
                for place, (tier, limit) in enumerate(zip(TIERS, _LIMITS, strict=True))
            },
        },
        "embedded": {"auto_pull": False},
        "telemetry": {
            "circuit_breaker": {
                "probe_interval": f"{PROBE_EVERY_S}s",
                "window": f"{WINDOW_S}s",
                "min_calls": MIN_CALLS,
                "threshold": THRESHOLD,
            }
        },
    }


async def run(
    home: Path,
    plan: Plan,
    clients: int,
    config: Callable[[Upstreams], Json] = config_for,
    progress: Callable[[int], None] = lambda _done: None,
) -> Run:
    """Runs a plan to its end.

    Args:
        home: the engine's home; made when absent.
        plan: what happens.
        clients: that ask at once.
        config: makes the engine's configuration.
        progress: is told how many requests have ended.
    """
    jobs: dict[str, Job] = {}
    environ = {name: value for name, value in os.environ.items() if "API_KEY" not in name}
    for upstream in UPSTREAMS:
        environ |= upstream.environ
    done = Run(plan)
    async with Upstreams(plan, jobs) as upstreams:
        done.log = upstreams.log
        text = yaml.safe_dump(config(upstreams))
        context = running_proxy(home, text, environ)
        proxy = await asyncio.to_thread(context.__enter__)
        try:
            async with (
                _session(proxy) as http,
                _following(proxy, http, done.events),
                _watching_itself(done.pauses),
            ):
                began = time.monotonic()
                done.seen = await _Clients(plan, upstreams, jobs, proxy, http, progress).all(clients)
                done.ended = time.monotonic()
                done.seconds = done.ended - began
                await _settle(http, proxy)
                await upstreams.quiet()
                await _collect(done, http, proxy)
        finally:
            await asyncio.to_thread(context.__exit__, None, None, None)
    return done


def _session(proxy: Proxy) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        headers={"authorization": f"Bearer {proxy.token}"},
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=None),
    )


class _Clients:
    """All clients: each takes the next request as soon as its last one has ended."""

    def __init__(
        self,
        plan: Plan,
        upstreams: Upstreams,
        jobs: dict[str, Job],
        proxy: Proxy,
        http: aiohttp.ClientSession,
        progress: Callable[[int], None],
    ) -> None:
        self._plan = plan
        self._upstreams = upstreams
        self._jobs = jobs
        self._proxy = proxy
        self._http = http
        self._progress = progress
        self._next = 0
        self._seen: list[Seen] = []

    async def all(self, clients: int) -> list[Seen]:
        await asyncio.gather(*(self._client(number) for number in range(clients)))
        await self._upstreams.mind(self._plan.requests)
        return self._seen

    async def _client(self, which: int) -> None:
        idle = random.Random(f"{self._plan.seed} client {which}")
        while self._next < self._plan.requests:
            number, self._next = self._next, self._next + 1
            await asyncio.sleep(idle.uniform(0, 2 * self._plan.pause))
            await self._upstreams.mind(number)
            job = self._plan.job(number)
            self._jobs[job.word] = job
            seen = Seen(job, time.monotonic())
            try:
                async with asyncio.timeout(DEADLINE_S):
                    await self._ask(job, seen)
            except TimeoutError:
                seen.hung = True
            except (AssertionError, ValueError, KeyError, TypeError) as error:
                seen.broken = f"{type(error).__name__}: {error}"
            except aiohttp.ClientError as error:
                seen.broken = f"the connection: {type(error).__name__}: {error}"
            seen.ended = time.monotonic()
            self._seen.append(seen)
            self._progress(len(self._seen))

    async def _ask(self, job: Job, seen: Seen) -> None:
        match job.hangs_up:
            case "early":
                await self._leave_early(job, seen)
            case "midway":
                await self._leave_midway(job, seen)
            case _:
                seen.answer = await job.client.send(self._http, self._proxy.url, job.ask, job.headers)

    async def _leave_early(self, job: Job, seen: Seen) -> None:
        """Waits for an answer no longer than a moment after an upstream has the request."""
        asking = asyncio.ensure_future(job.client.send(self._http, self._proxy.url, job.ask, job.headers))
        arrived = asyncio.ensure_future(self._upstreams.arrived(job).wait())
        await asyncio.wait({asking, arrived}, timeout=_EARLIEST_S, return_when=asyncio.FIRST_COMPLETED)
        arrived.cancel()
        await asyncio.wait({asking}, timeout=job.patience)
        if asking.done():
            seen.answer = asking.result()
            return
        asking.cancel()
        seen.gone = True
        with contextlib.suppress(asyncio.CancelledError):
            await asking

    async def _leave_midway(self, job: Job, seen: Seen) -> None:
        url = self._proxy.url + job.client.path
        async with self._http.post(url, json=job.client.body(job.ask), headers=job.headers) as response:
            raw = await response.content.readany()
            if response.status != 200:
                raw += await response.read()
                seen.answer = job.client.read(response.status, response.headers, raw, job.ask)
                return
            await asyncio.sleep(job.patience)
            seen.gone = True
            response.close()


@contextlib.asynccontextmanager
async def _following(proxy: Proxy, http: aiohttp.ClientSession, events: list[Event]) -> AsyncIterator[None]:
    """Within the block, notes what the engine tells of itself, but not of single requests."""
    connected = asyncio.Event()

    async def follow() -> None:
        async with http.get(f"{proxy.url}/v1/admin/events") as response:
            connected.set()
            async for line in response.content:
                if line.startswith(b"data:") and b'"request.' not in line[:40]:
                    data = json.loads(line[5:])
                    events.append(Event(time.monotonic(), data.get("type", ""), data))

    following = asyncio.create_task(follow())
    await connected.wait()
    try:
        yield
    finally:
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError, aiohttp.ClientError):
            await following


@contextlib.asynccontextmanager
async def _watching_itself(pauses: list[tuple[float, float]]) -> AsyncIterator[None]:
    """Within the block, notes when this process did not come to its turn for long."""

    async def watch() -> None:
        last = time.monotonic()
        while True:
            await asyncio.sleep(_TICK_S)
            now = time.monotonic()
            if now - last > TIMEOUT_S / 4:
                pauses.append((last, now))
            last = now

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()


async def _settle(http: aiohttp.ClientSession, proxy: Proxy) -> None:
    """Waits until the engine has noticed those who left."""
    async with asyncio.timeout(DEADLINE_S):
        while (await _json(http, f"{proxy.url}/v1/admin/status"))["active"]:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)


async def _collect(done: Run, http: aiohttp.ClientSession, proxy: Proxy) -> None:
    done.status = await _json(http, f"{proxy.url}/v1/admin/status")
    done.check = await _json(http, f"{proxy.url}/v1/admin/usage/check")
    async with http.get(f"{proxy.url}/metrics") as response:
        for line in (await response.text()).splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                done.metrics[name] = float(value)
    before = ""
    while True:
        older = f"&before={before}" if before else ""
        page = (await _json(http, f"{proxy.url}/v1/admin/requests?limit={_PAGE}{older}"))["requests"]
        for row in page:
            found = WORD.search(row["title"])
            done.rows.setdefault(found[0] if found else "", []).append(row)
        if len(page) < _PAGE:
            return
        before = page[-1]["id"]


async def _json(http: aiohttp.ClientSession, url: str) -> Any:
    async with http.get(url) as response:
        if response.status != 200:
            raise RuntimeError(f"{url}: {response.status} {await response.text()}")
        return await response.json()
