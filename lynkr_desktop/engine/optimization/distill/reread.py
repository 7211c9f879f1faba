"""Files that are read again: what stands in the context is named, and changes to it are shown as a diff."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Sequence

from msgspec import Struct

from lynkr_desktop.engine.optimization.distill.diffing import matches, unified
from lynkr_desktop.engine.optimization.distill.listing import MIN_LINES, Listing, numbered
from lynkr_desktop.engine.optimization.distill.shortening import Note
from lynkr_desktop.engine.optimization.distill.source import Source, same_file

_VERSIONS = 24
"""The newest versions of a file, and parts of it, to which a new one is compared."""

_DIFFED = 3
"""Of those, how many a diff is made against: the newest, and the longest."""

_RUN = 8
"""Lines that stand elsewhere together, and are therefore left out."""

_ALIKE = 0.5
"""Part of a file's lines that must stand in the context, for a diff to be easier to read than the file."""


class Version(Struct, frozen=True):
    """A file's text that stands in the context; `label` says where, `key` tells it from others.

    Where it is `folded`, only parts of it stand there, which are versions of their own.
    """

    path: str
    label: str
    listing: Listing
    joined: str
    key: str
    folded: bool = False


class Standing:
    """The texts of files that stand in the context up to some block."""

    def __init__(self) -> None:
        self._versions: dict[str, list[Version]] = defaultdict(list)

    def add(self, path: str, label: str, listing: Listing, key: str, *, folded: bool = False) -> None:
        """Takes a file's text that stands in the context."""
        if len(listing.lines) >= MIN_LINES:
            version = Version(path, label, listing, "\n" + "\n".join(listing.lines) + "\n", key, folded)
            self._versions[posixpath.basename(path)].append(version)

    def of(self, path: str) -> list[Version]:
        """The versions of a file, and the parts of it, to which a new one is compared; the newest first."""
        known = self._versions.get(posixpath.basename(path), [])
        return [version for version in reversed(known) if same_file(version.path, path)][:_VERSIONS]


def unchanged(source: Source, listing: Listing, version: Version, note: Note) -> str | None:
    """What to say where all lines stand in an earlier version already; None where they do not."""
    lines = listing.lines
    while not listing.numbered and lines and not lines[-1]:  # what stands behind the last line's end
        lines = lines[:-1]
    if len(lines) < MIN_LINES:
        return None
    at = version.joined.find("\n" + "\n".join(lines) + "\n")
    if at < 0:
        return None
    there = version.listing.first and version.listing.first + version.joined.count("\n", 0, at)
    lines_read = _range(listing.first or there, len(lines))
    said = f"{lines_read} of {source.path}, unchanged since {version.label} above"
    if listing.first and there and there != listing.first:
        said += f" (there from line {there})"
    return f"{listing.head}{note(said + ',')}{listing.tail}"


def difference(source: Source, listing: Listing, version: Version, note: Note) -> str | None:
    """A diff against an earlier version; None where the two have too little in common."""
    old, new = version.listing.lines, listing.lines
    needed = max(MIN_LINES, _ALIKE * len(new))
    if len(old) < needed or len(pairs := matches(old, new)) < needed:
        return None
    old_first, new_first = max(1, version.listing.first), listing.first
    if source.partial or new_first > 1:
        # Lines that were not asked for are not gone.
        begin = 0 if new_first == old_first == 1 else max(0, pairs[0][0] - pairs[0][1])
        end = min(len(old), pairs[-1][0] + 1 + len(new) - 1 - pairs[-1][1])
        old = old[begin:end]
        pairs = [(index_old - begin, index_new) for index_old, index_new in pairs]
        old_first += begin
    lines_read = _range(new_first, len(new))
    said = f"{lines_read} of {source.path}, as in {version.label} above but for the changes below,"
    hunks = unified(old, new, pairs, old_first, new_first or old_first)
    return "\n".join([f"{listing.head}{note(said)}", *hunks]) + listing.tail


def known_left_out(
    source: Source, listing: Listing, versions: Sequence[Version], note: Note
) -> tuple[str, tuple[tuple[int, int], ...]] | None:
    """The file without the runs of lines that stand in earlier versions or parts of it, wherever that is.

    Returns:
        The text, and which lines it shows, as (start, end); None where no line can go.
    """
    lines = listing.lines
    places: dict[tuple[str, ...], tuple[int, int]] = {}
    for number, version in enumerate(versions):
        old = version.listing.lines
        for at, window in enumerate(zip(old, old[1:], old[2:], strict=False)):
            places.setdefault(window, (number, at))
    first = max(1, listing.first)
    parts: list[str] = []
    shown: list[tuple[int, int]] = []
    begin = index = gone = 0
    while index < len(lines):
        number, at = places.get(lines[index : index + 3], (-1, 0))
        old = versions[number].listing.lines if number >= 0 else ()
        size = 0
        while size < min(len(lines) - index, len(old) - at) and lines[index + size] == old[at + size]:
            size += 1
        if size >= _RUN:
            parts += numbered(listing, begin, index)
            shown.append((begin, index))
            there = versions[number].listing.first and versions[number].listing.first + at
            where = f", there from line {there}" if there and there != first + index else ""
            mark = f"[… {_range(first + index, size)}: as in {versions[number].label} above{where}]"
            parts.append(mark)
            gone += size
            begin = index + size
        index += max(1, size)
    if not gone:
        return None
    parts += numbered(listing, begin)
    shown.append((begin, len(lines)))
    said = f"{gone} of {len(lines)} lines of {source.path}, which stand above unchanged,"
    return "\n".join([f"{listing.head}{note(said)}", *parts]) + listing.tail, tuple(shown)


def diffed(versions: Sequence[Version]) -> list[Version]:
    """The versions against which a diff is made."""
    longest = sorted(versions[_DIFFED:], key=lambda version: -len(version.joined))[:1]
    return [*versions[:_DIFFED], *longest]


def _range(first: int, count: int) -> str:
    return f"lines {first}-{first + count - 1}" if first else f"{count} lines"


def same_again(text: str, label: str, note: Note) -> str:
    """What to say where a whole result came before."""
    return note(f"{text.count(chr(10)) + 1} lines, the same as the result of {label} above,")


def applied(old: Sequence[str], hunks: Sequence[str], first: int = 1) -> list[str]:
    """The new lines that a diff makes of the old ones."""
    new: list[str] = []
    at = 0
    for line in hunks:
        if line.startswith("@@"):
            start = int(line.split()[1][1:].split(",")[0]) - first
            new += old[at:start]
            at = start
        elif line.startswith("+"):
            new.append(line[1:])
        else:
            at += 1
            if line.startswith(" "):
                new.append(line[1:])
    return [*new, *old[at:]]
