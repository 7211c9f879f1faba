"""Upstreams that fail in every way, clients of every protocol, and a judge: `python -m benchmarks.chaos`.

Three upstreams of different kinds fail at random, and die wholly in bursts, while clients ask a real
`lynkr serve` for what only they asked. Every request must end in the right answer or a right error, in time,
once, and be recorded as it was. The same --seed repeats a run. Ends with 1 where anything was wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.chaos.breakers import histories
from benchmarks.chaos.judge import Verdict, judge
from benchmarks.chaos.plan import Plan
from benchmarks.chaos.run import Run, run

_MOST_SHOWN = 30


def main() -> int:
    """Runs it and prints tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seed", type=int, default=int(time.time()) % 1_000_000)
    parser.add_argument("--pause", type=float, default=0.0, help="seconds between two requests of a client")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    parser.add_argument("--home", type=Path, help="keep the engine's home here")
    args = parser.parse_args()
    print(
        f"Python {platform.python_version()}, {os.cpu_count()} cores: {args.requests:,} requests of "
        f"{args.clients} clients, --seed {args.seed}",
        flush=True,
    )
    # Clients and engine that leave are no news of the upstreams.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    plan = Plan(args.seed, args.requests, args.pause)
    with tempfile.TemporaryDirectory(prefix="lynkr-chaos-") as name:
        done = asyncio.run(run(args.home or Path(name) / "home", plan, args.clients, progress=_progress))
    verdict = judge(done)
    print(table(done, verdict))
    if args.json:
        args.json.write_text(json.dumps(figures(done, verdict), indent=1))
    return 1 if verdict.problems else 0


def _progress(done: int) -> None:
    if done % 1000 == 0:
        print(f"  {done:,}", file=sys.stderr, flush=True)


def figures(done: Run, verdict: Verdict) -> dict[str, object]:
    """What JSON tells."""
    return {
        "seed": done.plan.seed,
        "requests": len(done.seen),
        "seconds": round(done.seconds, 1),
        "outcomes": verdict.outcomes,
        "by_client": verdict.by_client,
        "statuses": {str(status): count for status, count in sorted(verdict.statuses.items())},
        "attempts": verdict.attempts,
        "faults": verdict.faults,
        "bursts": [[dead.upstream, dead.way, round(dead.until - dead.since, 2)] for dead in done.log.dead],
        "breakers": {
            history.upstream: [
                [round(one.at - done.ended + done.seconds, 2), one.state] for one in history.changes
            ]
            for history in histories(done)
        },
        "records": sum(map(len, done.rows.values())),
        "seconds_of_requests": {**verdict.percentiles, "max": verdict.slowest},
        "excused": verdict.excused,
        "problems": verdict.problems,
    }


def table(done: Run, verdict: Verdict) -> str:
    """The same for people."""
    kinds = sorted(verdict.outcomes)
    width = max(map(len, verdict.by_client), default=0)
    lines = [" ".join([" " * width, *(f"{kind:>20}" for kind in kinds)])]
    for name, counts in sorted(verdict.by_client.items()):
        lines.append(" ".join([f"{name:{width}}", *(f"{counts[kind]:20,}" for kind in kinds)]))
    lines.append(" ".join([f"{'all':{width}}", *(f"{verdict.outcomes[kind]:20,}" for kind in kinds)]))
    statuses = ", ".join(f"{status}: {count:,}" for status, count in sorted(verdict.statuses.items()))
    took = ", ".join(f"{name} {value:.2f}" for name, value in verdict.percentiles.items())
    lines += [
        f"errors by status   {statuses}",
        f"upstreams          {verdict.attempts:,} attempts, {len(verdict.faults)} ways to act, "
        f"{len(done.log.dead)} times wholly dead",
        f"seconds            {took}, max {verdict.slowest:.2f}",
        f"speed              {len(done.seen) / done.seconds:.0f} requests/s",
        f"breakers           {_breakers(done)}",
        f"records            {sum(map(len, done.rows.values())):,}; usage check "
        f"{'agrees' if done.check.get('agree') else 'does not agree'}",
        f"problems           {len(verdict.problems)}"
        + (
            f"; {verdict.excused} requests cannot be judged: this process stood still"
            if verdict.excused
            else ""
        ),
        *(f"  {problem}" for problem in verdict.problems[:_MOST_SHOWN]),
    ]
    return "\n".join(lines)


def _breakers(done: Run) -> str:
    counts = (
        f"{history.upstream} opened {len(history.opened)} times, now "
        f"{history.changes[-1].state if history.changes else 'closed'}"
        for history in histories(done)
    )
    return "; ".join(counts)


if __name__ == "__main__":
    raise SystemExit(main())
