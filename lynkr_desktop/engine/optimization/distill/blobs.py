"""Bulk that nobody reads: hashes of lock files, minified code, encoded data, generated files, caches."""

from __future__ import annotations

import posixpath
import re
from itertools import pairwise

from lynkr_desktop.engine.optimization.distill.filler import alarming
from lynkr_desktop.engine.optimization.distill.shortening import Lines, Note

LOCK_FILES = frozenset(
    {
        "package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "bun.lock", "poetry.lock",
        "uv.lock", "pdm.lock", "pipfile.lock", "cargo.lock", "go.sum", "composer.lock", "gemfile.lock",
        "packages.lock.json", "pubspec.lock", "flake.lock", "mix.lock", "gradle.lockfile",
    }
)  # fmt: skip
_LOCK_LINE = re.compile(
    r"[ \t]{0,8}(?:\d{1,7}[\t→|:])?[ \t]{0,60}(?:\"?(?:resolved|integrity|checksum"
    r"|shasum|contentHash|resolution|engines|funding|sha256)\"?"
    r"[ :=]|\{ ?(?:file|url) = \"|.{0,300}\bh1:[A-Za-z0-9+/]{43}=|\"?node\"?: \"|\"?url\"?: \"https?://"
    r"|\"?license\"?: \"|\"?type\"?: \"(?:tidelift|github|opencollective|individual)\"|[}\]],?\s*$)"
)
_BASE64 = re.compile(r"(?<![A-Za-z0-9+/_\-])[A-Za-z0-9+/_\-]{400,}={0,2}")
_LONG_ENOUGH = 400
"""Characters of a line that may hold encoded data."""

_BULKY_NAMES = (
    "node_modules", "bower_components", "site-packages", "__pycache__", ".git", ".venv", "venv", ".tox",
    ".cache", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".next", ".nuxt", ".gradle", ".turbo",
)  # fmt: skip
_BULKY = re.compile(rf"(?:^|[\s/\\\"'])(?:{'|'.join(map(re.escape, _BULKY_NAMES))})[/\\]")
_DIFF = re.compile(r"diff --git a/(\S{1,400}) b/")
_GENERATED = re.compile(
    r"\.(?:min\.(?:js|css)|map|snap|pb\.go|lock)$|_pb2\.py$|(?:^|/)(?:dist|vendor|node_modules)/"
)
_LONG_LINE = 3_000
_KEPT_START, _KEPT_END, _AROUND, _MAX_WINDOWS = 500, 200, 120, 12


def mark_lock_lines(text: Lines, path: str) -> int:
    """Marks addresses and hashes of a lock file; names and versions stay."""
    if posixpath.basename(path).lower() not in LOCK_FILES:
        return 0
    marked = 0
    for index, line in enumerate(text.lines):
        if _LOCK_LINE.match(line[:600]):
            text.drop[index] = "hashes and addresses"
            marked += 1
    return marked


def mark_generated_diffs(text: Lines) -> int:
    """Marks what a diff says of lock files and generated files, behind the heads of their parts."""
    if "diff --git " not in text.text:
        return 0
    marked = 0
    generated = False
    seen = 0
    for index, line in enumerate(text.lines):
        if found := _DIFF.match(line):
            name = posixpath.basename(found[1])
            generated = name.lower() in LOCK_FILES or _GENERATED.search(found[1]) is not None
            seen = 0
        elif generated:
            seen += 1
            if seen > 6:
                text.drop[index] = "of a generated file"
                marked += 1
    return marked


def mark_bulky_folders(text: Lines) -> int:
    """Marks paths in the folders of package managers and caches; the first two of each stay."""
    if not any(name in text.text for name in _BULKY_NAMES):
        return 0
    seen: dict[str, int] = {}
    marked = 0
    for index, line in enumerate(text.lines):
        found = _BULKY.search(line[:500])
        if found is None or alarming(line):
            continue
        folder = line[: found.end()].split()[-1].rstrip("/\\")
        seen[folder] = seen.get(folder, 0) + 1
        if seen[folder] > 2:
            text.drop[index] = f"in {folder[-60:]}"
            marked += 1
    return marked


def shorten_long_lines(text: str, note: Note, looks_for: str, *, cut: bool = True) -> str | None:
    """Long lines to their ends and to what was looked for, where `cut`; encoded data to its beginning."""
    gone = 0
    lines = text.split("\n")
    if max(map(len, lines)) < _LONG_ENOUGH:
        return None
    words = re.findall(r"\w{3,60}", looks_for)[:4]
    interesting = re.compile("|".join(map(re.escape, words))) if words else None
    for index, line in enumerate(lines):
        if len(line) < _LONG_ENOUGH:
            continue
        shorter = _BASE64.sub(_encoded, line)
        if cut and len(shorter) > _LONG_LINE and _minified(shorter):
            shorter = _ends(shorter, interesting)
        gone += len(line) - len(shorter)
        lines[index] = shorter
    return "\n".join([note(f"{gone:,} characters of long lines"), *lines]) if gone > 200 else None


def _encoded(found: re.Match[str]) -> str:
    data = found[0]
    # One letter again and again, or one word, is no encoded data.
    if len(set(data[:400])) < 16 or (data[:400].isalpha() and data[:400].islower()):
        return data
    return f"{data[:40]}[… {len(data) - 40:,} characters of encoded data]"


def _minified(line: str) -> bool:
    """Whether a line is code or data without layout: prose has a blank every few characters."""
    head = line[:4_000]
    return head.count(" ") < len(head) / 9


def _ends(line: str, interesting: re.Pattern[str] | None) -> str:
    """The ends of a line, and what stands around matches in its middle."""
    spans = [(0, _KEPT_START)]
    middle = line[_KEPT_START:-_KEPT_END]
    if interesting is not None:
        for number, found in enumerate(interesting.finditer(middle)):
            if number == _MAX_WINDOWS:
                break
            at = found.start() + _KEPT_START
            start, end = max(0, at - _AROUND), at + _AROUND
            if start <= spans[-1][1]:
                spans[-1] = spans[-1][0], max(end, spans[-1][1])
            else:
                spans.append((start, end))
    spans.append((max(spans[-1][1], len(line) - _KEPT_END), len(line)))
    parts = [line[slice(*spans[0])]]
    for (_, before), (start, end) in pairwise(spans):
        if start > before:
            parts.append(f"[… {start - before:,} characters]")
        parts.append(line[start:end])
    return "".join(parts)
