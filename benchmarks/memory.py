"""How long recall takes in a large store, beside a bare query of FTS5 over the same texts.

    python benchmarks/memory.py [--memories 100000]

Asks and memories are made of the same words at random, with frequencies as those of a language (Zipf). All
memories belong to one project, which is the worst case: nothing can be told apart by its project.
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from lynkr_desktop.engine.memory.extract import Statement
from lynkr_desktop.engine.memory.injection import Weights, choose
from lynkr_desktop.engine.memory.store import Store, insert, new_id, scope_no
from lynkr_desktop.engine.memory.terms import terms_of
from lynkr_desktop.engine.optimization import tokens
from lynkr_desktop.engine.passages.asks import Origin
from lynkr_desktop.protocol.memory import MemoryRow

PROJECT = "/home/someone/project"
KINDS = ("preference", "decision", "fact", "fix")
WORDS = 20_000
ASKS = 1_000


def main() -> None:
    """Fills a store and prints the table."""
    parser = argparse.ArgumentParser(description="Recall from a large memory.")
    parser.add_argument("--memories", type=int, default=100_000)
    count = parser.parse_args().memories
    rng = random.Random(7)
    words = [word_of(rng, number) for number in range(WORDS)]
    weights = [1 / (rank + 3) for rank in range(WORDS)]

    def sentence(low: int, high: int) -> str:
        return " ".join(rng.choices(words, weights, k=rng.randint(low, high)))

    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "memories.db")
        texts = [sentence(6, 18) for _ in range(count)]
        began = time.perf_counter()
        with store.writing() as connection:
            no = scope_no(connection, PROJECT)
            for number, text in enumerate(texts):
                kind = rng.choice(KINDS)
                row = MemoryRow(id=new_id(), kind=kind, text=text, project=PROJECT, at=float(number))  # type: ignore[arg-type]
                insert(connection, no, row)
        store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        filled = time.perf_counter() - began
        asks = [sentence(4, 60) for _ in range(ASKS)]
        context = "\n".join(sentence(50, 200) for _ in range(100))
        tokens.count(context)
        ranked = Weights(half_life=30 * 86400.0)

        def recall(ask: str) -> None:
            store.find(PROJECT, ask)

        def whole(ask: str) -> None:
            found = store.find(PROJECT, ask)
            choose(found, context, ranked, budget=400, now=float(count), count=tokens.count)

        def add(ask: str) -> None:
            statement = Statement(kind="fact", text=ask[:300], source="person")
            store.add(statement, Origin(scope=PROJECT, at=1.0))

        bare = sqlite3.connect(":memory:")
        bare.execute("CREATE VIRTUAL TABLE bare USING fts5(terms)")
        bare.executemany("INSERT INTO bare VALUES (?)", [(" ".join(terms_of(text)),) for text in texts])

        def floor(ask: str) -> None:
            query = " OR ".join(f'"{term}"' for term in dict.fromkeys(terms_of(ask)))
            bare.execute(
                "SELECT rowid FROM bare WHERE bare MATCH ? ORDER BY rank LIMIT 40", (query,)
            ).fetchall()

        size = store.path.stat().st_size / 1e6
        print(f"{count:,} memories of one project, {size:.0f} MB, filled in {filled:.1f} s; {ASKS:,} asks\n")
        print(f"{'':42}  {'p50':>8}  {'p99':>8}  {'worst':>8}  {'p99 cpu':>8}")
        show("recall", recall, asks)
        show("recall, ranked and made a block", whole, asks)
        show("floor: a bare FTS5 query, in memory", floor, asks[:40])
        show("keeping one more (in a thread of its own)", add, asks[:100])


def show(name: str, work: Callable[[str], None], asks: Sequence[str]) -> None:
    """Prints one line of the table, in milliseconds: by the clock, and of processor time."""
    work(asks[0])
    took, worked = [], []
    for ask in asks:
        began, busy = time.perf_counter(), time.thread_time()
        work(ask)
        took.append((time.perf_counter() - began) * 1e3)
        worked.append((time.thread_time() - busy) * 1e3)
    clock, processor = (statistics.quantiles(times, n=100)[98] for times in (took, worked))
    print(
        f"{name:42}  {statistics.median(took):8.2f}  {clock:8.2f}  {max(took):8.2f}  {processor:8.2f}",
        flush=True,
    )


def word_of(rng: random.Random, number: int) -> str:
    """A word, an identifier or a path."""
    stem = (
        "".join(rng.choices("bcdfghklmnprstvwz", k=3))
        + rng.choice("aeiou")
        + "".join(rng.choices("lnrst", k=2))
    )
    match number % 10:
        case 0:
            return f"{stem}_{number}"
        case 1:
            return f"src/{stem}{number}.py"
        case _:
            return f"{stem}{'abcdefghij'[number // 2000 % 10]}"


if __name__ == "__main__":
    main()
