"""How long the pipeline takes: processor time, and how long an event loop beside it stands still."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import quantiles

import msgspec

from benchmarks.fidelity.blocks import row_of, total
from benchmarks.fidelity.conversations import Conversation, requests_of
from lynkr_desktop.cli.serve import TURN
from lynkr_desktop.engine.config.schema import OptimizationOptions
from lynkr_desktop.engine.optimization import tokens
from lynkr_desktop.engine.optimization.optimizer import Optimizer
from lynkr_desktop.engine.optimization.pipeline import Pipeline
from lynkr_desktop.engine.optimization.stages import stage_makers
from lynkr_desktop.engine.wire.canonical import Request
from lynkr_desktop.protocol.optimization import StageName

_SIZES = ((10_000, 10.0), (150_000, 60.0))
"""Tokens of a request, and the milliseconds that 95 of 100 may take."""

_TICK = 0.001
_REPEATS = 3
"""Each request is measured so many times, and the least counts."""

_RUNS = 5
"""The event loop is watched so many times and the best one counts: other programs make it wait too."""


def table(conversations: Sequence[Conversation], stages: Sequence[StageName]) -> str:
    """Times as a table in Markdown."""
    said = [
        "| tokens | requests | when | p50 ms | p95 ms | wanted |",
        "| ---: | ---: | --- | ---: | ---: | ---: |",
    ]
    for size, wanted in _SIZES:
        pairs = _near(conversations, size)
        if not pairs:
            said.append(f"| {size:,} | 0 | | | | {wanted:g} |")
            continue
        for when, times in (
            ("first seen", _times(pairs, stages, warm=False)),
            ("a turn later", _times(pairs, stages, warm=True)),
            ("floor: its tokens counted", [_best(partial(_counted, after)) for _, after in pairs]),
        ):
            cuts = quantiles(times, n=20, method="inclusive")
            said.append(f"| {size:,} | {len(times)} | {when} | {cuts[9]:.1f} | {cuts[18]:.1f} | {wanted:g} |")
    sys.setswitchinterval(TURN)  # as in `lynkr serve`
    longest, size = asyncio.run(_stall(conversations, stages))
    said += [
        "",
        f"The event loop stood still for {longest:.1f} ms of its process at most (best of {_RUNS} runs) "
        f"while prompts of up to {size:,} tokens were shortened.",
    ]
    return "\n".join(said)


def _near(conversations: Sequence[Conversation], size: int) -> list[tuple[Request, Request]]:
    """Requests of about a size, each with the one of the turn before."""
    found = []
    for conversation in conversations:
        requests = list(requests_of(conversation))
        for before, after in pairwise(requests):
            if 0.75 * size <= tokens.of_request(after) <= 1.25 * size:
                found.append((before, after))
    return found


def _pipeline(stages: Sequence[StageName]) -> Pipeline:
    makers = stage_makers(OptimizationOptions(), Path("lynkr-fidelity"))
    return Pipeline([makers[name]() for name in stages], seconds=60)


def _times(pairs: Sequence[tuple[Request, Request]], stages: Sequence[StageName], warm: bool) -> list[float]:
    """Milliseconds of processor time, with nothing remembered, or with the turn before remembered."""
    return [_best(partial(_run, before if warm else None, after, stages)) for before, after in pairs]


def _best(measure: Callable[[], float]) -> float:
    """The least of some measurements: other programs take caches and turns from all of them."""
    return min(measure() for _ in range(_REPEATS))


def _run(before: Request | None, after: Request, stages: Sequence[StageName]) -> float:
    tokens.forget()
    pipeline = _pipeline(stages)
    # Tables and imports are loaded once in a process, not with a request.
    pipeline.run(Request(model="m", messages=()))
    if before is not None:
        pipeline.run(before)
    began = time.thread_time()
    pipeline.run(after)
    return (time.thread_time() - began) * 1e3


def _counted(request: Request) -> float:
    tokens.forget()
    began = time.thread_time()
    tokens.of_request(request)
    return (time.thread_time() - began) * 1e3


async def _stall(conversations: Sequence[Conversation], stages: Sequence[StageName]) -> tuple[float, int]:
    """The longest wait between two ticks while long requests go through, and the longest one's tokens."""
    lasts = [list(requests_of(conversation))[-1] for conversation in conversations]
    lasts.sort(key=lambda request: total(row_of(request)))
    longest = [(request, len(msgspec.json.encode(request))) for request in lasts[-10:]]
    waits = []
    for _ in range(_RUNS):
        tokens.forget()
        optimizer = Optimizer(stage_makers(OptimizationOptions(), Path("lynkr-fidelity")))
        await optimizer.run(lasts[0], stages, 1, None)
        waits.append(await _longest_wait(optimizer, longest, stages))
    return min(waits), total(row_of(lasts[-1]))


async def _longest_wait(
    optimizer: Optimizer, requests: Sequence[tuple[Request, int]], stages: Sequence[StageName]
) -> float:
    """Takes requests, each with its bytes, through the stages while a ticker runs beside them.

    What it waits is measured in this process's own time: what other programs take is no fault of ours.
    """
    longest = 0.0
    done = asyncio.Event()

    async def tick() -> None:
        nonlocal longest
        while not done.is_set():
            began = time.process_time()
            await asyncio.sleep(_TICK)
            longest = max(longest, (time.process_time() - began - _TICK) * 1e3)

    beside = asyncio.create_task(tick())
    for request, size in requests:
        await optimizer.run(request, stages, size, None)
    done.set()
    await beside
    return longest
