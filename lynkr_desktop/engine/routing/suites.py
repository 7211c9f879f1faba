"""The summaries that runs of tests leave at the end of their output."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

_TAIL = 4_000
"""Characters at the end of an output, where the summary stands."""


class Tests(NamedTuple):
    """The summary of a run of tests."""

    passed: int
    failed: int


_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_COUNT = re.compile(r"(\d+) (passed|failed|errors?)\b")


class _Form(NamedTuple):
    """A form of summaries: what stands in every one of it, and the pattern, which is slower to look for."""

    marks: tuple[str, ...]
    pattern: re.Pattern[str]

    def find(self, text: str) -> list[Any]:
        return self.pattern.findall(text) if any(map(text.__contains__, self.marks)) else []


_PYTEST = _Form(
    (
        *(
            f"{word} in "
            for word in ("passed", "failed", "error", "errors", "warning", "warnings", "skipped")
        ),
        *("deselected in ", "xfailed in ", "xpassed in "),
    ),
    re.compile(r"(?m)^=*\s?((?:\d+ [a-z]+(?:, )?){1,9}) in [\d.:]+ ?s"),
)
_JEST = _Form(
    ("Tests",),
    re.compile(r"(?m)^[ \t]*Tests:?[ \t]+((?:\d+ [a-z]+(?:, | \| )?){1,6})[ \t]*(?:\(\d+\))?[ \t]*$"),
)
_MOCHA = _Form(
    (" passing",),
    re.compile(r"(?m)^[ \t]*(\d+) passing\b[^\n]*(?:\s+\d+ pending)?(?:\s+(\d+) failing)?"),
)
_NODE = _Form(("# fail ", "ℹ fail "), re.compile(r"(?m)^(?:#|ℹ) pass (\d+)\n(?:#|ℹ) fail (\d+)"))
_CARGO = _Form(
    ("test result: ",), re.compile(r"(?m)^test result: (?:ok|FAILED)\. (\d+) passed; (\d+) failed")
)
_NEXTEST = _Form(
    ("Summary [",),
    re.compile(r"(?m)^[ \t]*Summary \[[^\]\n]*\]\s+\d+ tests? run: (\d+) passed[^,\n]*(?:, (\d+) failed)?"),
)
_DOTNET = _Form(("- Failed:",), re.compile(r"(?:Passed|Failed)!\s+- Failed:\s+(\d+), Passed:\s+(\d+)"))
_DOTNET_9 = _Form(
    ("Test summary: ",),
    re.compile(r"(?m)^[ \t]*Test summary: total: \d+, failed: (\d+), succeeded: (\d+)"),
)
_GRADLE = _Form((" completed, ",), re.compile(r"(?m)^(\d+) tests? completed, (\d+) failed"))
_GO = _Form(("ok  \t", "FAIL\t"), re.compile(r"(?m)^(ok  |FAIL)\t\S+"))
_GO_TEST = _Form(("--- ",), re.compile(r"(?m)^[ \t]*--- (PASS|FAIL): "))
_UNITTEST = _Form(("Ran ",), re.compile(r"(?m)^Ran (\d+) tests? in [\d.]+s\s+(?:OK|FAILED \(([^)\n]*)\))"))
_MAVEN = _Form(
    ("Tests run: ",),
    re.compile(r"(?m)Tests run: (\d+), Failures: (\d+), Errors: (\d+)(?:, Skipped: (\d+))?[ \t]*$"),
)


def tests_in(text: str) -> Tests | None:
    """The summary that a run of tests left at the end of its output; None where there is none.

    Reads those of pytest, unittest, Jest, Vitest, Mocha, Node, Go, Cargo, nextest, dotnet, Maven and Gradle.
    """
    text = text[-_TAIL:]
    if "\x1b" in text:
        text = _COLOUR.sub("", text)
    if "\r" in text:
        text = text.replace("\r\n", "\n")
    for read in (_counted, _paired, _of_gradle, _of_go, _of_unittest, _of_maven):
        if (tests := read(text)) is not None and tests.passed + tests.failed:
            return tests
    return None


def _counted(text: str) -> Tests | None:
    """`2 failed, 3 passed`, in a line that only a summary of pytest, Jest or Vitest has."""
    for form in (_PYTEST, _JEST):
        if lines := form.find(text):
            counts = {"passed": 0, "failed": 0}
            for number, word in _COUNT.findall(lines[-1]):
                counts["passed" if word == "passed" else "failed"] += _number(number)
            return Tests(counts["passed"], counts["failed"])
    return None


def _paired(text: str) -> Tests | None:
    """Summaries that name both figures; those of several packages are added up."""
    for form, passed_first in (
        (_CARGO, True),
        (_NEXTEST, True),
        (_MOCHA, True),
        (_NODE, True),
        (_DOTNET, False),
        (_DOTNET_9, False),
    ):
        if found := form.find(text):
            first, second = (sum(_number(pair[place]) for pair in found) for place in (0, 1))
            return Tests(first, second) if passed_first else Tests(second, first)
    return None


def _of_gradle(text: str) -> Tests | None:
    """Gradle names figures only where something failed."""
    if not (found := _GRADLE.find(text)):
        return None
    completed, failed = (_number(part) for part in found[-1])
    return Tests(max(0, completed - failed), failed)


def _of_go(text: str) -> Tests | None:
    """Go says a line for each package, and one for each test when asked to or when it failed."""
    packages = _GO.find(text)
    if not packages:
        return None
    words = _GO_TEST.find(text)
    failed = words.count("FAIL") or packages.count("FAIL")
    return Tests(words.count("PASS") or packages.count("ok  "), failed)


def _of_unittest(text: str) -> Tests | None:
    if not (found := _UNITTEST.find(text)):
        return None
    ran, parts = found[-1]
    failed = sum(_number(part) for part in re.findall(r"(?:failures|errors)=(\d+)", parts))
    return Tests(max(0, _number(ran) - failed), failed)


def _of_maven(text: str) -> Tests | None:
    if not (found := _MAVEN.find(text)):
        return None
    ran, failures, errors, skipped = map(_number, found[-1])
    return Tests(max(0, ran - failures - errors - skipped), failures + errors)


def _number(digits: str) -> int:
    return int(digits[:9] or 0)
