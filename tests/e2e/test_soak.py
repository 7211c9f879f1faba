"""A short soak: what leaks with each request shows in three thousand of them; see `benchmarks/soak.py`."""

from __future__ import annotations

from pathlib import Path

from benchmarks.soak import soak


async def test_nothing_grows_with_requests(tmp_path: Path) -> None:
    done = await soak(tmp_path / "home", 3_150, clients=32, seed=1, distinct=400, readings=9)
    assert done.problems() == []
    for outcome in ("answer", "tool call", "from the cache", "left"):
        assert done.outcomes[outcome] > 5, done.outcomes
