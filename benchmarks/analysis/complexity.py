"""Compares our cyclomatic complexity with other programs', function by function, on real code.

    python benchmarks/analysis/complexity.py [LANGUAGE...] [--show N]

For each function: our number by our rules; our decisions counted by the oracle's rules (`oracles.py` names
every rule that differs); the oracle's number. No function is left out: those that only one of the two sees
are counted.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from benchmarks.analysis import corpora
from benchmarks.analysis.oracles import LIZARD_PYTHON, RADON, Oracle, Rules
from lynkr_desktop.engine.analysis.extract import Decision, find_decisions
from lynkr_desktop.engine.analysis.facts import Language
from lynkr_desktop.engine.analysis.languages import spec_of
from lynkr_desktop.engine.analysis.languages.spec import LanguageSpec


@dataclass(frozen=True)
class Comparison:
    """A language, code in it, and who else counts there."""

    language: Language
    files: Callable[[], list[Path]]
    oracles: tuple[Oracle, ...]


COMPARISONS = (Comparison("python", corpora.standard_library, (RADON, LIZARD_PYTHON)),)


@dataclass
class Result:
    """What came out for one oracle.

    Attributes:
        unread: files that the oracle cannot read.
        same, same_by_rules: functions with the oracle's number under our rules, and under its own.
        rules: functions whose number a rule of the oracle changes, by the rule.
        ours_only, oracle_only: functions that only one of the two sees.
        different: (where, our number by its rules, its number).
    """

    files: int = 0
    unread: int = 0
    lines: int = 0
    paired: int = 0
    same: int = 0
    same_by_rules: int = 0
    ours_only: list[str] = field(default_factory=list)
    oracle_only: list[str] = field(default_factory=list)
    rules: Counter[str] = field(default_factory=Counter)
    different: list[tuple[str, int, int]] = field(default_factory=list)

    def row(self) -> str:
        """The figures as the rest of a row of the table."""
        counts = (self.files, self.lines, self.paired)
        shares = (self.same / max(self.paired, 1), self.share)
        unseen = (len(self.ours_only), len(self.oracle_only))
        cells = [*(f"{count:,}" for count in counts), *(f"{share:.2%}" for share in shares)]
        return " | ".join(["", *cells, *(f"{count:,}" for count in unseen), ""]).strip()

    @property
    def share(self) -> float:
        """The part of the functions that both see that are equal by the oracle's rules."""
        return self.same_by_rules / self.paired if self.paired else 0.0


def compare(language: Language, oracle: Oracle, paths: Iterable[Path]) -> Result:
    """Counts every function of every file twice."""
    result = Result()
    ours = spec_of(language)
    theirs = dataclasses.replace(ours, query=ours.query + oracle.rules.query)
    for path in paths:
        source = path.read_bytes()
        try:
            measured = oracle.measure(path, source.decode("utf-8", "replace"))
        except (SyntaxError, ValueError, RecursionError):
            result.unread += 1
            continue
        result.files += 1
        result.lines += source.count(b"\n")
        expected = {(each.line, each.name): each.complexity for each in measured}
        for function, decisions in find_decisions(source, theirs, path.suffix):
            where = f"{path}:{function.line} {function.name}"
            number = expected.pop((function.line, function.name.rsplit(".", 1)[-1]), None)
            if number is None:
                result.ours_only.append(where)
                continue
            result.paired += 1
            own, adjusted, changed = _by_rules(decisions, source, ours, oracle.rules)
            result.rules.update(changed)
            result.same += own == number
            if adjusted == number:
                result.same_by_rules += 1
            else:
                result.different.append((where, adjusted, number))
        result.oracle_only += [f"{path}:{line} {name}" for line, name in expected]
    return result


def _by_rules(
    decisions: tuple[Decision, ...], source: bytes, ours: LanguageSpec, rules: Rules
) -> tuple[int, int, set[str]]:
    """(complexity by our rules, by those of the oracle, the rules that make a difference)."""
    own = adjusted = 1
    known = _kinds(ours)
    changed: set[str] = set()
    closed = [(each.start, each.end, each.kind) for each in decisions if each.kind in rules.opaque]
    for kind, start, end in decisions:
        ours_counts = ours.weights.get(kind, 1) if kind in known else 0
        weight = rules.weights.get(kind, ours_counts)
        counts = weight if isinstance(weight, int) else weight(source[start:end])
        hidden = [name for left, right, name in closed if left <= start and end <= right and name != kind]
        if hidden:
            counts = 0
        own += ours_counts
        adjusted += counts
        if counts != ours_counts:
            changed.add(f"{kind} in {hidden[0]}" if hidden else kind)
    return own, adjusted, changed


@cache
def _kinds(spec: LanguageSpec) -> frozenset[str]:
    """The kinds of decisions that we count."""
    text = spec.query + spec.query_older + spec.query_newer
    return frozenset(re.findall(r"@decision\.(\w+)", text))


def main() -> int:
    """Prints a table; 1 where a language is below 99 percent."""
    parser = argparse.ArgumentParser(description="Compare cyclomatic complexity with other programs.")
    parser.add_argument("languages", nargs="*", help="python, go, rust ...; all of them when none is named")
    parser.add_argument("--show", type=int, default=0, metavar="N", help="print N differences of each kind")
    args = parser.parse_args()
    print("| language | oracle | files | lines | functions | equal | by its rules | ours only | its only |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    worst, notes = 1.0, []
    for comparison in COMPARISONS:
        if args.languages and comparison.language not in args.languages:
            continue
        paths = comparison.files()
        for oracle in comparison.oracles:
            result = compare(comparison.language, oracle, paths)
            worst = min(worst, result.share)
            print(f"| {comparison.language} | {oracle.name} {result.row()}", flush=True)
            notes.append((f"{comparison.language}, {oracle.name}", result))
    for title, result in notes:
        print(f"\n{title}: functions changed by a rule: {dict(result.rules.most_common())}; ", end="")
        print(f"{result.unread} files it cannot read, {len(result.different)} functions differ")
        for where, adjusted, number in result.different[: args.show]:
            print(f"  {where}: {adjusted}, {number} to the oracle")
        for label, functions in (("ours only", result.ours_only), ("its only", result.oracle_only)):
            for where in functions[: args.show]:
                print(f"  {label}: {where}")
    return 0 if worst >= 0.99 else 1


if __name__ == "__main__":
    sys.exit(main())
