"""A short chaos run: failing upstreams, impatient clients, the real process; see `benchmarks/chaos`."""

from __future__ import annotations

from pathlib import Path

from benchmarks.chaos.judge import judge
from benchmarks.chaos.plan import Plan
from benchmarks.chaos.run import run


async def test_every_request_ends_right_once_and_on_record(tmp_path: Path) -> None:
    done = await run(tmp_path / "home", Plan(seed=1, requests=800, pause=0.5), clients=50)
    verdict = judge(done)
    assert verdict.problems == []
    assert len(done.seen) == 800
    assert verdict.excused < 40
    # Otherwise nothing was tried.
    assert verdict.outcomes["answer"] > 300
    assert verdict.outcomes["error"] > 10
    assert verdict.outcomes["left"] > 3
    assert len(verdict.faults) > 40
    assert len(done.log.dead) == 3
