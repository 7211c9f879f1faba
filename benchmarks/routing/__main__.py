"""Prints how well requests are routed: `python -m benchmarks.routing [--split tune] [--json]`.

`--cases FILE...` judges the shipped model on labelled requests of no split, about the workspaces of tune.
"""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.routing import gsm8k
from benchmarks.routing.cases import read_cases
from benchmarks.routing.evaluate import (
    Bench,
    Decider,
    Judged,
    baselines,
    cross_validated,
    examples_of,
    judge,
    latency,
    mistakes,
    ours,
)
from benchmarks.routing.train import SPLITS
from lynkr_desktop.protocol.tiers import TIERS

LOOKS = Path(__file__).with_name("test_looks.txt")


def main() -> None:
    """Evaluates and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--split", default="tune", choices=("tune", "validate", "test"))
    parser.add_argument(
        "--cases", type=Path, nargs="+", metavar="FILE", help="judge the requests of these files instead"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--mistakes", action="store_true", help="list every choice that is not acceptable")
    parser.add_argument("--skip-gsm8k", action="store_true", help="leave the evaluation by outcomes out")
    arguments = parser.parse_args()
    if arguments.split == "test" and not arguments.cases:
        with LOOKS.open("a", encoding="utf-8") as looks:
            looks.write(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC\n")
    tune = Bench.of("tune")
    if arguments.cases:
        bench = Bench.of("tune", [case for path in arguments.cases for case in read_cases(path)])
    else:
        bench = tune if arguments.split == "tune" else Bench.of(arguments.split)
    count = len(bench.items)
    if bench.split in SPLITS and not arguments.cases:
        others = [
            example for split in SPLITS if split != bench.split for example in examples_of(Bench.of(split))
        ]

        def without(**parts: Any) -> Decider:
            return ours(cross_validated(bench, others, **parts))

        models = cross_validated(bench, others)
        decide = ours(models)
        table = [
            judge("Lynkr, cross-validated", bench, decide, deep=True),
            judge("  without the code's structure", bench, ours(models, structure=False)),
            judge("  without n-grams", bench, without(without="wording")),
            judge("  without concepts", bench, without(without="concepts")),
            judge("  without the split's own lines", bench, without(folds_too=False)),
            judge("  without data/train", bench, without(own=False)),
        ]
    else:
        decide = ours([None] * count)
        table = [judge("Lynkr", bench, decide, deep=True)]
    table += baselines(bench, tune)
    times, wrong = latency(bench), mistakes(bench, decide) if arguments.mistakes else []
    outcomes = None if arguments.skip_gsm8k else gsm8k.evaluate()
    if arguments.json:
        report = {
            "split": bench.split,
            "table": msgspec.to_builtins(table),
            "latency_ms": times,
            "mistakes": wrong,
            "gsm8k": {} if outcomes is None else msgspec.to_builtins(outcomes),
        }
        json.dump(report, sys.stdout, ensure_ascii=False, indent=1)
        print()
        return
    _print_table(table)
    _print_deep(table[0])
    print(
        f"\nA whole decision takes {times['p50']:.2f} ms of processor time (p50), {times['p99']:.2f} (p99), "
        f"{times['max']:.1f} at most, over {times['count']} decisions"
    )
    for entry in wrong:
        wanted = "/".join(entry["wanted"])
        print(f"  {entry['id']} {entry['chosen']} for {wanted}: {entry['ask'][:120]!r}")
    if outcomes is not None:
        print()
        gsm8k.show(outcomes)


def _print_table(table: list[Judged]) -> None:
    head = ("router", "acceptable", "exact", "under", "over", "regret", "pairs")
    print(f"{head[0]:34}" + "".join(f"{name:>12}" for name in head[1:]))
    for row in table:
        shares = "".join(f"{share:>12.1%}" for share in (row.acceptable, row.exact, row.under, row.over))
        pairs = "" if row.pairs_ordered is None else f"{row.pairs_ordered:.1%}"
        print(f"{row.name:34}{shares}{row.regret:>12.3f}{pairs:>12}")
    print(f"{table[0].count} requests; regret is the mean cost by RUBRIC.md's matrix")


def _print_deep(row: Judged) -> None:
    if row.invariant is not None:
        print(f"\nThe same tier in every envelope: {row.invariant:.1%}")
    print("\nlabel down, choice across")
    print(" " * 12 + "".join(f"{tier:>11}" for tier in TIERS))
    for tier, counts in zip(TIERS, row.confusion, strict=True):
        print(f"{tier:12}" + "".join(f"{count:>11}" for count in counts))
    print("\nacceptable by group")
    for name, (count, share) in row.groups.items():
        print(f"  {name:16}{count:>5}{share:>9.1%}")


if __name__ == "__main__":
    main()
