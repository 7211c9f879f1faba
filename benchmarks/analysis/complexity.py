"""Compares our cyclomatic complexity with other programs', function by function, on real code.

    python -m benchmarks.analysis.complexity [LANGUAGE...] [--show N]

For each function: our number by our rules; our decisions counted by the oracle's rules (`oracles.py` names
every rule that differs); the oracle's number. No function is left out: those that only one of the two sees
are counted.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from benchmarks.analysis import corpora
from benchmarks.analysis.eslint import ESLINT
from benchmarks.analysis.oracles import (
    LIZARD_CSHARP,
    LIZARD_GO,
    LIZARD_JAVA,
    LIZARD_PYTHON,
    LIZARD_RUST,
    RADON,
    Measured,
    Oracle,
    Rules,
)
from lynkr_desktop.engine.analysis.extract import Decision, find_decisions
from lynkr_desktop.engine.analysis.facts import Function, Language
from lynkr_desktop.engine.analysis.languages import spec_of
from lynkr_desktop.engine.analysis.languages.spec import LanguageSpec


@dataclass(frozen=True)
class Comparison:
    """A language, code in it, and who else counts there."""

    language: Language
    files: Callable[[], list[Path]]
    oracles: tuple[Oracle, ...]
    title: str = ""

    @property
    def name(self) -> str:
        """What the code is called in the table: the language, unless it is only a part of it."""
        return self.title or self.language


COMPARISONS = (
    Comparison("python", corpora.standard_library, (RADON, LIZARD_PYTHON)),
    Comparison("go", corpora.go, (LIZARD_GO,)),
    Comparison("rust", corpora.rust, (LIZARD_RUST,)),
    Comparison("typescript", corpora.typescript, (ESLINT,)),
    Comparison("typescript", corpora.javascript, (ESLINT,), "javascript"),
    Comparison("java", corpora.java, (LIZARD_JAVA,)),
    Comparison("csharp", corpora.csharp, (LIZARD_CSHARP,)),
)


@dataclass
class Result:
    """What came out for one oracle.

    Attributes:
        unread: files that the oracle cannot read.
        same: functions with the oracle's number under our own rules, of `named` ones that both see.
        same_by_rules: under the oracle's rules, of `paired` ones: nameless functions are there too where the
            oracle counts them apart.
        rules: functions whose number a rule of the oracle changes, by the rule.
        ours_only, oracle_only: functions that only one of the two sees.
        misread: functions that differ and have what the oracle plainly misreads, by what that is.
        different: (where, our number by its rules, its number).
    """

    files: int = 0
    unread: int = 0
    lines: int = 0
    named: int = 0
    paired: int = 0
    same: int = 0
    same_by_rules: int = 0
    ours_only: list[str] = field(default_factory=list)
    oracle_only: list[str] = field(default_factory=list)
    rules: Counter[str] = field(default_factory=Counter)
    misread: list[str] = field(default_factory=list)
    different: list[tuple[str, int, int]] = field(default_factory=list)

    @property
    def share(self) -> float:
        """The part that is equal by the oracle's rules, of the functions that both see and it reads right."""
        return self.same_by_rules / max(self.same_by_rules + len(self.different), 1)

    def row(self) -> str:
        """The figures as the rest of a row of the table."""
        counts = (self.files, self.lines, self.paired)
        shares = (self.same / max(self.named, 1), self.share)
        unseen = (len(self.misread), len(self.ours_only), len(self.oracle_only))
        cells = [*(f"{count:,}" for count in counts), *(f"{share:.2%}" for share in shares)]
        return " | ".join(["", *cells, *(f"{count:,}" for count in unseen), ""]).strip()


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
        units = [
            unit
            for function, decisions in find_decisions(source, theirs, path.suffix)
            for unit in _units(function, decisions, source, ours, oracle.rules)
        ]
        _pair(units, measured, path, result)
    return result


@dataclass
class _Unit:
    """What the oracle counts as one function: `own` is our number for it, None where we do not part it."""

    name: str
    line: int
    own: int | None
    adjusted: int
    changed: set[str]
    flaws: set[str] = field(default_factory=set)


def _units(
    function: Function, decisions: Sequence[Decision], source: bytes, ours: LanguageSpec, rules: Rules
) -> list[_Unit]:
    """A function by the oracle's rules, with what stands in it and is a function of its own to the oracle."""
    known = _kinds(ours)
    name = function.name.rsplit(".", 1)[-1]
    named = _Unit("" if name.startswith("<") else name, function.line, 1, 1, set())
    inner = sorted((each.start, each.end) for each in decisions if each.kind == rules.apart)
    if inner and not named.name and _line(source, inner[0][0]) == function.line:
        del inner[0]  # it is this function itself
    apart = {bounds: _Unit("", _line(source, bounds[0]), None, 1, set()) for bounds in inner}
    closed = [(each.start, each.end, each.kind) for each in decisions if each.kind in rules.opaque]
    for kind, start, end in decisions:
        counts = ours.weights.get(kind, 1) if kind in known else 0
        weight = rules.weights.get(kind, counts if kind in known else 1)
        theirs = weight if isinstance(weight, int) else weight(source[start:end])
        hidden = [name for left, right, name in closed if left <= start and end <= right and name != kind]
        if hidden:
            theirs = 0
        if kind == rules.apart:
            continue
        around = [bounds for bounds in inner if bounds[0] <= start and end <= bounds[1]]
        unit = apart[max(around)] if around else named
        assert named.own is not None
        named.own += counts
        unit.adjusted += theirs
        if around:
            named.changed.add(rules.apart)
        if kind in rules.flaws:
            unit.flaws.add(kind)
        if counts != theirs:
            unit.changed.add(f"{kind} in {hidden[0]}" if hidden else kind)
    return [named, *apart.values()]


def _line(source: bytes, position: int) -> int:
    return source.count(b"\n", 0, position) + 1


def _pair(units: list[_Unit], measured: list[Measured], path: Path, result: Result) -> None:
    """Brings our functions and the oracle's together by line and name, or by line where one has no name."""
    theirs: dict[tuple[int, str], list[int]] = defaultdict(list)
    for each in measured:
        theirs[each.line, each.name].append(each.complexity)
    unpaired = []
    # Where several nameless functions begin on one line, the order of their numbers has to do.
    for unit in sorted(units, key=lambda unit: (unit.line, unit.adjusted)):
        numbers = theirs.get((unit.line, unit.name))
        if not numbers:
            unpaired.append(unit)
            continue
        _count(unit, numbers.pop(numbers.index(min(numbers))), path, result)
    left = {line: key for key in theirs if theirs[key] for line in [key[0]]}
    for unit in unpaired:
        key = left.pop(unit.line, None)
        if key is not None and not (unit.name and key[1]):
            _count(unit, theirs[key].pop(), path, result)
        else:
            result.ours_only.append(f"{path}:{unit.line} {unit.name}")
    for (line, name), numbers in theirs.items():
        result.oracle_only += [f"{path}:{line} {name}"] * len(numbers)


def _count(unit: _Unit, number: int, path: Path, result: Result) -> None:
    result.paired += 1
    result.rules.update(unit.changed)
    if unit.own is not None:
        result.named += 1
        result.same += unit.own == number
    if unit.adjusted == number:
        result.same_by_rules += 1
    elif unit.flaws:
        result.misread.append("+".join(sorted(unit.flaws)))
    else:
        result.different.append((f"{path}:{unit.line} {unit.name}", unit.adjusted, number))


@cache
def _kinds(spec: LanguageSpec) -> frozenset[str]:
    """The kinds of decisions that we count."""
    text = "".join((spec.query, spec.query_older, spec.query_newer, *spec.query_by_grammar.values()))
    return frozenset(re.findall(r"@decision\.(\w+)", text))


def main() -> int:
    """Prints a table; 1 where a language is below 99 percent."""
    parser = argparse.ArgumentParser(description="Compare cyclomatic complexity with other programs.")
    parser.add_argument("languages", nargs="*", help="python, go, rust ...; all of them when none is named")
    parser.add_argument("--show", type=int, default=0, metavar="N", help="print N differences of each kind")
    args = parser.parse_args()
    columns = ["files", "lines", "functions", "equal", "by its rules", "misread", "ours only", "its only"]
    print(f"| language | oracle | {' | '.join(columns)} |")
    print(f"| --- | --- |{' ---: |' * len(columns)}")
    worst, notes = 1.0, []
    for comparison in COMPARISONS:
        if args.languages and comparison.name not in args.languages:
            continue
        paths = comparison.files()
        for oracle in comparison.oracles:
            result = compare(comparison.language, oracle, paths)
            worst = min(worst, result.share)
            print(f"| {comparison.name} | {oracle.name} {result.row()}", flush=True)
            notes.append((f"{comparison.name}, {oracle.name}", result))
    for title, result in notes:
        print(f"\n{title}: functions changed by a rule: {dict(result.rules.most_common())}; ", end="")
        print(f"misread by it: {dict(Counter(result.misread).most_common())}; ", end="")
        print(f"{result.unread} files it cannot read, {len(result.different)} functions differ")
        for where, adjusted, number in result.different[: args.show]:
            print(f"  {where}: {adjusted}, {number} to the oracle")
        for label, functions in (("ours only", result.ours_only), ("its only", result.oracle_only)):
            for where in functions[: args.show]:
                print(f"  {label}: {where}")
    return 0 if worst >= 0.99 else 1


if __name__ == "__main__":
    sys.exit(main())
