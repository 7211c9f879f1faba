# ruff: noqa: E501 (a pattern reads best on one line)
"""Lines of test runs, builds and installs that only say that all goes well.

Each pattern is anchored and belongs to one tool; it is tried only where one of its marks stands in the text.
A line that no pattern knows stays: failures, their whole text, warnings, counts, and what a program printed.
"""

from __future__ import annotations

import re

from msgspec import Struct

from lynkr_desktop.engine.optimization.distill.shortening import Lines

_ALARMS = re.compile(
    r"\b(?:errors?|fail(?:ed|s|ing|ures?)?|warn(?:ings?)?|exceptions?|fatal|panic(?:ked)?|denied"
    r"|time[d ]?-?out|critical|abort(?:ed|ing)?|refused|unable|cannot|can't|could not|couldn't|not found"
    r"|missing|invalid|severe|deprecated|vulnerabilit\w+|conflicts?|mismatch|killed|oom|segmentation)\b"
    r"|[A-Z][A-Za-z]{2,60}(?:Error|Exception)\b",
    re.IGNORECASE,
)
_PASSED = "passed tests"
_PROGRESS = "progress"
_STEPS = "build steps"
_PACKAGES = "package steps"

_IN_DOCKER = r"(?:#\d+ (?:\d+\.\d+ )?)?"


_ENDS, _EACH = 40, 8
"""Lines at the ends of a text in which marks are looked for, and one in how many between them."""

_MAX_CONTEXT = 12
"""Lines below a warning that may belong to it."""


class _Filler(Struct, frozen=True):
    """Marks of which one stands in each such text, why its lines may go, and the pattern of a line.

    Where a pattern might also be something else, one of `beside` must stand in the text, too.
    """

    marks: tuple[str, ...]
    why: str
    pattern: str
    beside: tuple[str, ...] = ()


_TIME = r"(?: ?[(\[]?<?\d[\d.,]* ?(?:m?s|μs|min|seconds?|sec|m \d+s)[)\]]?)?"
_FILLERS = (
    # pytest
    _Filler((" PASSED", " SKIPPED", " XFAIL"), _PASSED, r"[^\s:]{1,300}::.{1,400} (?:PASSED|SKIPPED(?: \(.*\))?|XFAIL)\b[ \[\]\d%]*$"),
    _Filler(("] PASSED ", "] SKIPPED "), _PASSED, r"\[gw\d+\] \[ *\d+%\] PASSED \S.*$"),
    _Filler(("%]",), _PASSED, r"\S+\.py [.s]{1,400} *\[ *\d+%\]$"),
    _Filler(("%]",), _PROGRESS, r"[.s]{8,200} *\[ *\d+%\]$"),
    # unittest, TAP, mocha, jest, vitest, node
    _Filler((" ... ok", " ... skipped"), _PASSED, r"\S.{0,400} \.\.\. (?:ok|skipped\b.*|ignored\b.*)$", ("\nRan ", "test result:", "\nrunning ")),
    _Filler(("✓", "✔", "√"), _PASSED, r"\s*(?:✓|✔|√) .*$", ("Tests:", "Tests  ", "Test Files", " passing", "PASS ", "FAIL ", "tests ")),
    _Filler(("PASS ",), _PASSED, r"PASS (?:\|\w+\| )?\S+\.\w+" + _TIME + r"$"),
    _Filler(("ok ",), _PASSED, r"\s*ok \d+ - .*$", ("TAP version", "\n1..", "1..", "# pass")),
    # go
    _Filler(("=== RUN", "=== PAUSE", "=== CONT", "=== NAME"), _PASSED, r"=== (?:RUN|PAUSE|CONT|NAME)\s.*$"),
    _Filler(("--- PASS", "--- SKIP"), _PASSED, r"\s*--- (?:PASS|SKIP): \S+ \(\d.*\)$"),
    _Filler(("ok  \t", "[no test files]"), _PASSED, r"(?:ok  \t\S+\t.*|\?   \t\S+\t\[no test files\])$"),
    _Filler(("go: ",), _PACKAGES, r"go: (?:downloading|extracting|finding) .*$"),
    # dotnet, maven, gradle
    _Filler(("Passed ", "Skipped "), _PASSED, r"\s+(?:Passed|√) \S.* \[<? ?\d.*\]$"),
    _Filler(("Tests run:",), _PASSED, r"\[INFO\] Tests run: \d+, Failures: 0, Errors: 0, Skipped: \d+, Time elapsed: .*$"),
    _Filler(("[INFO]",), _STEPS, r"\[INFO\](?: (?:Running \S+|--- .* ---|-{10,}(?:[<\[].*[>\]]-+)?|Nothing to compile.*|Using .*encoding.*|Copying \d+ .*|skip non existing .*)?)?$"),
    _Filler(("Download", "Progress ("), _PACKAGES, r"(?:\[INFO\] )?(?:Download(?:ing|ed) from \S+: \S.*|Progress \(\d+\): .*)$"),
    _Filler(("> Task ",), _STEPS, r"> Task \S+(?: (?:UP-TO-DATE|NO-SOURCE|FROM-CACHE|SKIPPED))?$"),
    _Filler((" PASSED",), _PASSED, r"[^\s>][^>]{0,300} > .{1,300} PASSED$"),
    _Filler((" -> ",), _STEPS, r"\s+[\w.\-]+ -> \S+\.(?:dll|exe)$"),
    # cargo
    _Filler(
        ("Compiling ", "Checking ", "Downloaded ", "Downloading ", "Adding ", "Fresh ", "Locking "),
        _STEPS,
        r"\s+(?:Compiling|Checking|Downloaded|Downloading|Adding|Fresh|Locking|Documenting|Unpacking) \S+ v\d.*$",
    ),
    # make, cmake, ninja, autotools
    _Filler(("%] ",), _STEPS, r"\[ *\d+%\] (?:Building|Linking|Built|Generating|Scanning|Automatic) .*$"),
    _Filler(("[",), _STEPS, r"\[\d+/\d+\] (?:Building|Linking|Compiling|Generating|Resolving|Fetching|CC|CXX|AR)\b.*$"),
    _Filler((" directory",), _STEPS, r"make(?:\[\d+\])?: (?:Entering|Leaving) directory .*$"),
    _Filler(("  CC ", "  CXX", "  LD ", "  AR "), _STEPS, r"\s+(?:CC|CXX|LD|AR|HOSTCC|GEN)(?: \[M\])?\s+\S+$"),
    _Filler((" -c ", " -o "), _STEPS, r"(?:\S*/)?(?:gcc|g\+\+|cc|c\+\+|clang|clang\+\+|x86_64-\S+) .* -o \S+(?: .*)?$"),
    _Filler(("checking ",), _STEPS, r"checking .{1,200}\.\.\. .{1,200}$"),
    # pip, uv, poetry, npm, yarn, pnpm, apt, git
    _Filler(
        ("Requirement already", "Collecting ", "Using cached", "Downloading ", "metadata"),
        _PACKAGES,
        r"\s*(?:Requirement already satisfied: .*|Collecting \S.*|Using cached \S.*|Downloading \S.*"
        r"|(?:Preparing metadata|Getting requirements|Installing build dependencies|Installing backend dependencies)\b.*|Obtaining dependency .*)$",
    ),
    _Filler(("━━", "██", "eta "), _PROGRESS, r"\s*[━╸╺█▏]{3,}.*$"),
    _Filler(("Installing ", "Updating "), _PACKAGES, r"\s+[-•] (?:Installing|Updating|Downgrading) \S+ \(.*\)(?:: .*)?$"),
    _Filler(("npm http", "npm sill", "npm verb", "npm timing"), _PACKAGES, r"npm (?:http|sill|verb|timing)\b.*$"),
    _Filler(("Progress: resolved",), _PROGRESS, r"Progress: resolved \d+.*$"),
    _Filler(
        ("Get:", "Hit:", "Selecting previously", "Unpacking ", "Preparing to unpack", "(Reading database"),
        _PACKAGES,
        r"(?:Get:\d+ .*|Hit:\d+ .*|Selecting previously unselected .*|Preparing to unpack .*|Unpacking \S.*"
        r"|\(Reading database .*|Setting up \S+ \(.*\) \.\.\.|Processing triggers for .*)$",
    ),
    _Filler(
        ("remote: ", "Receiving objects", "Resolving deltas"),
        _PROGRESS,
        r"(?:remote: )?(?:Enumerating|Counting|Compressing|Receiving|Resolving|Writing) (?:objects|deltas)?[^%]*%.*$",
    ),
    # docker
    _Filler(
        ("sha256:", "transferring ", " extracting", "CACHED"),
        _STEPS,
        r"#\d+ (?:(?:\d+\.\d+ )?(?:sha256:\S+ .*|extracting .*|transferring .*|resolve \S+.*|CACHED)|DONE \d.*)$",
    ),
    _Filler(
        (": Pull", ": Already", ": Download", ": Verifying", ": Waiting", ": Extracting"),
        _PROGRESS,
        r"[0-9a-f]{12}: (?:Pull|Already|Download|Verifying|Waiting|Extracting).*$",
    ),
    # lint
    _Filler(("reformatted", "unchanged"), _STEPS, r"\S+\.\w+ \d+ms \(unchanged\)$"),
)  # fmt: skip


def mark_filler(text: Lines) -> int:
    """Marks lines that say only that all goes well; how many those are."""
    said, sample = text.text, _sample(text)
    active = [
        filler
        for filler in _FILLERS
        if any(mark in sample for mark in filler.marks)
        and (not filler.beside or any(mark in said for mark in filler.beside))
    ]
    if not active:
        return 0
    pattern = re.compile(_IN_DOCKER + "(?:" + "|".join(f"({filler.pattern})" for filler in active) + ")")
    marked = 0
    for index, line in enumerate(text.lines):
        if not line or len(line) > 600:
            continue
        found = pattern.match(line)
        if found is None:
            continue
        why = active[(found.lastindex or 1) - 1].why
        # A passed test may have any name; elsewhere a line that speaks of trouble stays.
        if why is _PASSED or not _ALARMS.search(line):
            text.drop[index] = why
            marked += 1
    if marked:
        _mark_headings(text)
    return marked


def _sample(text: Lines) -> str:
    """The ends of a text and some lines between them: what is worth leaving out is found there, too."""
    lines = text.lines
    if len(lines) < 3 * _ENDS:
        return text.text
    return "\n".join([*lines[:_ENDS], *lines[_ENDS:-_ENDS:_EACH], *lines[-_ENDS:]])


def mark_repeated_warnings(text: Lines) -> int:
    """Marks warnings that stand above already, word for word, with the lines that belong to them."""
    if "arning" not in text.text and "WARN" not in text.text:
        return 0
    lines = text.lines
    first: dict[str, int] = {}
    marked = 0
    index = 0
    while index < len(lines):
        line = lines[index]
        at = first.setdefault(line, index) if "arning" in line or "WARN" in line else index
        size = 0
        if at < index:
            size = 1
            while (
                size < _MAX_CONTEXT
                and index + size < len(lines)
                and lines[index + size][:1] in (" ", "\t", "|")
                and lines[at + size] == lines[index + size]
            ):
                size += 1
            text.drop[index : index + size] = ["warnings that stand above"] * size
            marked += size
        index += max(1, size)
    return marked


def alarming(line: str) -> bool:
    """Whether a line speaks of trouble; only its beginning is looked at."""
    return _ALARMS.search(line, 0, 2_000) is not None


def _mark_headings(text: Lines) -> None:
    """Marks headings under which only passed tests stand."""
    only_passed_below = -1
    for index in range(len(text.lines) - 1, -1, -1):
        line = text.lines[index]
        if not line or line.isspace():
            continue
        indent = len(line) - len(line.lstrip())
        if text.drop[index] is _PASSED:
            if indent and only_passed_below < indent:
                only_passed_below = indent
        elif 0 < indent < only_passed_below and not alarming(line) and text.drop[index] is None:
            text.drop[index] = _PASSED
            only_passed_below = indent + 1 if indent > 1 else -1
        else:
            only_passed_below = -1
