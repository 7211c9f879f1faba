"""What grows over a hundred thousand requests to a real `lynkr serve`: `python -m benchmarks.soak`.

Clients of every protocol ask, streamed and not, with tools and results, by ever new sessions, models and
titles, with memory and the whole pipeline on; some replies come from the cache, some upstreams fail, some
clients leave. Memory, open files, threads and tasks of the process are read while nothing is asked. Ends with
1 where they grew.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import logging
import os
import platform
import random
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import yaml

from tests.support.clients import Ask, Client, Function, OllamaGenerate, Result, Used, assistant, user
from tests.support.fakes.base import Asked, ScriptedServer
from tests.support.proxy import Proxy, running_proxy
from tests.support.script import Call, Die, Reply, Say, failure
from tests.support.stage import ANTHROPIC, CLIENTS, OLLAMA, OPENAI, Backend

Json = dict[str, Any]
UPSTREAMS: tuple[Backend, ...] = (OPENAI, ANTHROPIC, OLLAMA)
STREAM_SHARE = 5_000 / 105_000
MOST_GROWTH = 0.10
_PIPELINE = (
    "smart_tool_selection",
    "code_mode_meta_tools",
    "distill_compression",
    "memory_dedup",
    "sliding_window_history",
    "sha256_lru_cache",
)
_LOG = "".join(f"2026-11-24 01:{n % 60:02}:00 INFO worker {n % 7} took a job\n" for n in range(200))
_LONGEST_S = 60.0
_KEYS = 20
_WARM = 0.25
"""Of all requests: after them, every table that is bounded has met its bound or is small."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The process at rest, after so many requests. Memory in MB."""

    requests: int
    rss: float
    files: int
    threads: int
    tasks: int


@dataclass
class Soak:
    """What came of it."""

    readings: list[Reading] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    records: float = 0.0
    agree: bool = False

    @property
    def warm(self) -> list[Reading]:
        """The readings after the warm-up."""
        whole = self.readings[-1].requests
        return [reading for reading in self.readings if reading.requests >= _WARM * whole]

    @property
    def growth(self) -> float:
        """Of memory, from the first quarter of the warm readings to the last."""
        rss = [reading.rss for reading in self.warm]
        part = max(1, len(rss) // 4)
        return statistics.median(rss[-part:]) / statistics.median(rss[:part]) - 1

    def problems(self) -> list[str]:
        """What should not be, in words."""
        first, last = self.warm[0], self.warm[-1]
        found = []
        if self.growth > MOST_GROWTH:
            found.append(f"memory grew by {self.growth:.1%}")
        found += [
            f"{name}: {getattr(first, name)} became {getattr(last, name)}"
            for name in ("files", "threads", "tasks")
            if getattr(last, name) > getattr(first, name) + _SLACK[name]
        ]
        if self.outcomes["broken"]:
            found.append(f"{self.outcomes['broken']} answers were broken")
        asked = self.readings[-1].requests
        # Who leaves at once may be gone before the request was read.
        if not asked - self.outcomes["left"] <= self.records <= asked:
            found.append(f"{asked} requests, {self.records:.0f} in the metrics")
        if not self.agree:
            found.append("records and metrics do not agree")
        return found


_SLACK = {"files": 16, "threads": 2, "tasks": 2}
"""What comes and goes: idle connections to upstreams, a thread that reads, the scrape itself."""


# ---------------------------------------------------------------- what is asked


@dataclass(frozen=True, slots=True)
class Job:
    """One request; `patience` seconds after which the client leaves, None where it stays."""

    client: Client
    ask: Ask
    headers: dict[str, str]
    patience: float | None


def job_of(number: int, seed: int, distinct: int, keys: Sequence[str]) -> Job:
    """The request of that number; after `distinct` of them they come again."""
    number %= distinct
    draw = random.Random(f"{seed} {number}")
    client = draw.choice(CLIENTS)
    stream = draw.random() < STREAM_SHARE
    headers = {"x-lynkr-session": f"session-{number // 15}-{draw.randrange(3)}"}
    said = f"Step {number}: what does module_{draw.randrange(10**6)}.py do for job {number % 997}?"
    kind = draw.random()
    if kind < 0.1:
        said = f"Remember that we always name the tables of project {draw.randrange(10**5)} in plural."
    elif kind < 0.2:
        # The same again and again: from the cache.
        said, draw = f"How do I list files, variant {number % 50}?", random.Random(number % 50)
        client, stream, headers = CLIENTS[number % 2], False, {}
    # At the higher temperature no reply is taken from the cache.
    temperature = 0.0 if 0.1 <= kind < 0.2 or number % 2 else 0.7
    ask = Ask((user(said),), stream=stream, temperature=temperature, limit=200 + number % 7)
    if not isinstance(client, OllamaGenerate) and kind > 0.6:
        ask = ask.with_(tools=(Function("read_file"), Function("note"), Function("search")))
        if kind > 0.8:
            call = Used(f"call_{number}", "read_file", {"path": f"log{number}.txt"})
            result = Result(call.id, (f"{_LOG}the end of log {number}",), "read_file")
            ask = ask.with_(turns=(user(said), assistant(call), user(result)))
    if kind > 0.3:
        headers["x-lynkr-token"] = keys[number % len(keys)]
    model = draw.random()
    if model < 0.15:
        ask = ask.with_(model=draw.choice(UPSTREAMS).target)
    elif model < 0.25:
        ask = ask.with_(model=f"some-model-{draw.randrange(10**6)}")
    elif model < 0.3:
        ask = ask.with_(model=f"{OPENAI.name}/model-{draw.randrange(10**6)}")
    return Job(client, ask, headers, draw.uniform(0, 0.01) if draw.random() < 0.01 else None)


def _reply(seed: int, asked: Asked) -> Reply:
    draw = random.Random(f"{seed} {asked.body!r}")
    lot = draw.random()
    if lot < 0.005:
        return failure(draw.choice((429, 500, 503)), "not now")
    if lot < 0.01:
        return Reply((Say("Well"), Die()))
    if lot < 0.3 and asked.json.get("tools"):
        return Reply((Call("read_file", {"path": f"src/{draw.randrange(10**6)}.py"}),))
    return Reply(tuple(Say(f"word{draw.randrange(10**6)} ") for _ in range(12)))


class Upstreams:
    """The servers; they keep nothing of what they are asked."""

    def __init__(self, seed: int) -> None:
        self.fakes: dict[str, ScriptedServer] = {}
        self._seed = seed
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Upstreams:
        for backend in UPSTREAMS:
            fake = self.fakes[backend.name] = await self._stack.enter_async_context(backend.fake())
            fake.brain = lambda asked: _reply(self._seed, asked)
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()

    def forget(self) -> None:
        """Lets go of what was asked."""
        for fake in self.fakes.values():
            fake.asked.clear()


def config_for(upstreams: Upstreams) -> Json:
    """Everything is on that a person may have on."""
    targets = [upstream.target for upstream in UPSTREAMS]
    limits = {"simple": 0.35, "medium": 0.65, "complex": 0.85, "reasoning": 1.0}
    return {
        "providers": {
            upstream.name: upstream.options(upstreams.fakes[upstream.name].url) for upstream in UPSTREAMS
        },
        "routing": {
            "policy": "round_robin",
            "prefer_local": "never",
            "tiers": {
                tier: {"providers": targets[place % 3 :] + targets[: place % 3], "max_complexity": limit}
                for place, (tier, limit) in enumerate(limits.items())
            },
        },
        "optimization": {"pipeline": list(_PIPELINE), "cache": {"max_size": "4MB"}},
        "memory": {"enabled": True, "limit": 2000},
        "telemetry": {"prompts": "1d", "prompts_size": "4MB"},
        "embedded": {"auto_pull": False},
    }


# ---------------------------------------------------------------- the run


async def soak(
    home: Path, requests: int, clients: int, seed: int, *, distinct: int = 10**9, readings: int = 20
) -> Soak:
    """Runs it.

    Args:
        home: the engine's home; made when absent.
        requests: how many, streams among them.
        clients: that ask at once.
        seed: another one asks otherwise.
        distinct: requests that differ: a short run fills no table that is bounded, but meets leaks.
        readings: how often the process is looked at.
    """
    done = Soak()
    environ = {name: value for name, value in os.environ.items() if "API_KEY" not in name}
    for upstream in UPSTREAMS:
        environ |= upstream.environ
    async with Upstreams(seed) as upstreams:
        context = running_proxy(home, yaml.safe_dump(config_for(upstreams)), environ)
        proxy = await asyncio.to_thread(context.__enter__)
        try:
            process = _process_of(proxy)
            keys = [await _key(proxy, number) for number in range(_KEYS)]
            began = time.monotonic()
            every = -(-requests // readings)
            for first in range(0, requests, every):
                numbers = range(first, min(first + every, requests))
                jobs = (job_of(number, seed, distinct, keys) for number in numbers)
                async with _session(proxy) as http:
                    await asyncio.gather(*(_client(proxy, http, jobs, done) for _ in range(clients)))
                upstreams.forget()
                done.readings.append(await _read(proxy, process, sum(done.outcomes.values())))
            done.seconds = time.monotonic() - began
            async with _session(proxy) as http:
                check = await _get(http, f"{proxy.url}/v1/admin/usage/check")
                done.agree = check["agree"]
            done.records = (await _metrics(proxy))["lynkr_requests_total"]
        finally:
            await asyncio.to_thread(context.__exit__, None, None, None)
    return done


def _process_of(proxy: Proxy) -> psutil.Process:
    status = proxy.get("/v1/admin/status")
    return psutil.Process(status["pid"])


def _session(proxy: Proxy) -> aiohttp.ClientSession:
    headers = {"authorization": f"Bearer {proxy.token}"}
    return aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=0))


async def _key(proxy: Proxy, number: int) -> str:
    """A new access key of somebody."""
    async with (
        _session(proxy) as http,
        http.post(f"{proxy.url}/v1/admin/access", json={"name": f"person{number}"}) as response,
    ):
        response.raise_for_status()
        return str((await response.json())["key"])


async def _client(proxy: Proxy, http: aiohttp.ClientSession, jobs: Iterator[Job], done: Soak) -> None:
    for job in jobs:
        try:
            async with asyncio.timeout(job.patience or _LONGEST_S):
                answer = await job.client.send(http, proxy.url, job.ask, job.headers)
            outcome = "answer" if answer.problem is None else f"error {answer.status}"
            if answer.headers.get("x-lynkr-cache") == "hit":
                outcome = "from the cache"
            elif answer.calls:
                outcome = "tool call"
        except TimeoutError:
            outcome = "left" if job.patience is not None else "broken"
        except (AssertionError, ValueError, KeyError, aiohttp.ClientError) as error:
            outcome = "broken"
            print(f"{job.client.name}: {error!r}"[:600], file=sys.stderr)
        done.outcomes[outcome] += 1


async def _read(proxy: Proxy, process: psutil.Process, requests: int) -> Reading:
    """Reads the process once nothing is asked of it, and what it had to write is written."""
    async with asyncio.timeout(60):
        while True:
            metrics = await _metrics(proxy)
            if not (metrics["lynkr_requests_in_flight"] or metrics["lynkr_records_waiting"]):
                break
            await asyncio.sleep(0.1)
    await asyncio.sleep(1.0)  # Tasks of connections end a moment after these.
    metrics = await _metrics(proxy)
    return Reading(
        requests,
        round(process.memory_info().rss / 1024**2, 1),
        process.num_fds(),
        process.num_threads(),
        int(metrics["lynkr_tasks"]),
    )


async def _metrics(proxy: Proxy) -> dict[str, float]:
    """The samples of /metrics, summed up over their labels."""
    sums: defaultdict[str, float] = defaultdict(float)
    async with _session(proxy) as http, http.get(f"{proxy.url}/metrics") as response:
        for line in (await response.text()).splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                sums[name.partition("{")[0]] += float(value)
    return sums


async def _get(http: aiohttp.ClientSession, url: str) -> Any:
    async with http.get(url) as response:
        response.raise_for_status()
        return await response.json()


# ---------------------------------------------------------------- for people


def main() -> int:
    """Runs it and prints tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=105_000)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the figures here too")
    args = parser.parse_args()
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    print(
        f"Python {platform.python_version()}, {os.cpu_count()} cores: {args.requests:,} requests", flush=True
    )
    with tempfile.TemporaryDirectory(prefix="lynkr-soak-", ignore_cleanup_errors=True) as name:
        done = asyncio.run(soak(Path(name) / "home", args.requests, args.clients, args.seed))
    print(table(done))
    if args.json:
        figures = {
            "readings": [dataclasses.asdict(reading) for reading in done.readings],
            "outcomes": done.outcomes,
            "seconds": round(done.seconds, 1),
            "growth": round(done.growth, 4),
            "problems": done.problems(),
        }
        args.json.write_text(json.dumps(figures, indent=1))
    return 1 if done.problems() else 0


def table(done: Soak) -> str:
    """The figures."""
    lines = [f"{'requests':>9} {'RSS MB':>8} {'files':>6} {'threads':>8} {'tasks':>6}"]
    lines += [
        f"{one.requests:9,} {one.rss:8.1f} {one.files:6} {one.threads:8} {one.tasks:6}"
        for one in done.readings
    ]
    outcomes = ", ".join(f"{name} {count:,}" for name, count in done.outcomes.most_common())
    lines += [
        f"{outcomes}; {sum(done.outcomes.values()) / done.seconds:.0f} requests/s",
        f"memory {done.growth:+.1%} after the first {_WARM:.0%}; records and metrics "
        f"{'agree' if done.agree else 'do not agree'}",
        *(f"PROBLEM: {problem}" for problem in done.problems()),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
