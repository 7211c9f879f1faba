"""The chain of the audit log: how entries are written as lines, and what reading them again shows.

A line is an entry as canonical JSON (as RFC 8785 as far as it matters here: keys in order, no blanks, UTF-8).
Its `hash` is the SHA-256 of the line without it, and `previous` the hash of the entry before: no entry can be
changed, taken out, put in or moved without one of them telling. What is missing or too much at either end
tells the head, a file beside. It is written before entries are, with what is coming, and again once they are
on the disk: so what a process leaves that is killed can be told from what somebody cut or added.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from lynkr_desktop.engine.wire.fields import NOT_JSON
from lynkr_desktop.protocol.audit import AuditCheck, AuditEntry, AuditFault, FaultKind

MOST_FAULTS = 100
LONGEST_LINE = 16 * 1024
"""Bytes; entries are far shorter."""

_FILE = re.compile(r"audit-(\d{12})\.jsonl", re.ASCII)
_encode = msgspec.json.Encoder(order="sorted").encode


class Head(Struct, frozen=True, forbid_unknown_fields=True):
    """Where the chain begins and ends.

    Attributes:
        first: the number of the oldest entry that is kept.
        before: the hash of the one before it; empty where there was none.
        last: the number of the newest entry.
        hash: its hash.
        coming: the number of the last entry that was about to be written, 0 where none was. Whole entries up
            to there are good, for their writer may have been killed before it could tell of them.
        coming_hash: its hash.
        rebuilt: the numbers of entries that were written when the head was missing.
    """

    first: int = 1
    before: str = ""
    last: int = 0
    hash: str = ""
    coming: int = 0
    coming_hash: str = ""
    rebuilt: tuple[int, ...] = ()


def sealed(entry: AuditEntry) -> AuditEntry:
    """The entry with its hash."""
    return replace(entry, hash=hash_of(entry))


def hash_of(entry: AuditEntry) -> str:
    """The hash that an entry must have."""
    fields = {name: getattr(entry, name) for name in entry.__struct_fields__ if name != "hash"}
    return hashlib.sha256(_encode(fields)).hexdigest()


def line_of(entry: AuditEntry) -> bytes:
    """The entry as a line, with its end."""
    return _encode(entry) + b"\n"


def entry_of(line: bytes) -> AuditEntry | None:
    """The entry of a line without its end; None where it is not exactly what was written."""
    try:
        entry = msgspec.json.decode(line, type=AuditEntry)
        # Other bytes can mean the same: blanks, escapes, a key that nothing reads.
        return entry if entry.hash == hash_of(entry) and line_of(entry) == line + b"\n" else None
    except NOT_JSON:
        return None


def file_name(first: int) -> str:
    """The name of the file whose first entry has this number."""
    return f"audit-{first:012d}.jsonl"


def files_of(folder: Path) -> list[Path]:
    """The files of a log, the oldest first."""
    if not folder.is_dir():
        return []
    return sorted(file for file in folder.iterdir() if _FILE.fullmatch(file.name))


def kept_files(folder: Path, head: Head | None) -> list[Path]:
    """Those files that hold anything from the beginning of the chain on; older ones wait to be deleted."""
    files = files_of(folder)
    if head is None:
        return files
    starts = [first_of(file) for file in files[1:]]
    return [file for file, after in zip(files, [*starts, head.last + 2], strict=False) if after > head.first]


def first_of(file: Path) -> int:
    """The number of the first entry, by the name of the file."""
    found = _FILE.fullmatch(file.name)
    return int(found[1]) if found else 0


def last_entry(file: Path) -> tuple[AuditEntry | None, int]:
    """The last good entry of a file, and where it ends. Raises `OSError`."""
    last, end, at = None, 0, 0
    with file.open("rb") as lines:
        while line := lines.readline(LONGEST_LINE):
            at += len(line)
            entry = entry_of(line[:-1]) if line.endswith(b"\n") else None
            if entry is not None and (last is None or entry.number > last.number):
                last, end = entry, at
    return last, end


def first_entry(file: Path) -> AuditEntry | None:
    """The entry that a file begins with; None where that is none. Raises `OSError`."""
    with file.open("rb") as lines:
        line = lines.readline(LONGEST_LINE)
    return entry_of(line[:-1]) if line.endswith(b"\n") else None


def is_torn(file: Path, good: int) -> bool:
    """Whether all that follows the first `good` bytes is a line without an end. Raises `OSError`."""
    with file.open("rb") as lines:
        lines.seek(good)
        return b"\n" not in lines.read(LONGEST_LINE)


class _Line(Struct, frozen=True):
    """A line as it stands: without an entry where it is none, not `ended` where its end is missing."""

    file: str
    number: int
    size: int
    ended: bool
    entry: AuditEntry | None


def _lines(files: Iterable[Path]) -> Iterator[_Line]:
    """The lines of the files. Raises `OSError`."""
    for path in files:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(LONGEST_LINE):
                number += 1
                ended = line.endswith(b"\n")
                yield _Line(path.name, number, len(line), ended, entry_of(line[:-1]) if ended else None)


class _Walk:
    """Reads a chain from its beginning, and says what does not fit."""

    def __init__(self, head: Head | None, wanted: str) -> None:
        self._head = head
        self._wanted = wanted
        self.faults: list[AuditFault] = []
        self.found = False
        self.count = 0
        self.unfinished = 0
        self.last: AuditEntry | None = None
        self._expected = head.first if head is not None else 0
        """The number of the entry that belongs here; 0 where any may come first."""
        self._before = head.before if head is not None else None
        self._broken: list[_Line] = []
        """The lines since the last good one that are no entries: the first and the latest of them."""
        self._broken_count = 0
        self._gaps: list[range] = []
        self._at_head = ""
        """The hash of the entry that the head says was the last."""

    def take(self, line: _Line) -> None:
        """The next line."""
        entry = line.entry
        if entry is None:
            self._broken_count += 1
            self._broken[1:] = [line]
            return
        self.count += 1
        if entry.hash == self._wanted:
            self.found = True
        expected = self._expected or entry.number
        if entry.number < expected:
            self._out_of_place(entry, expected, line)
            return
        if self._broken:
            self._settle(expected, entry.number, self._broken[0])
        elif entry.number > expected:
            self._missing("removed", expected, entry.number - 1, f"before entry {entry.number}", line)
        elif self._before is not None and entry.previous != self._before:
            self._not_before(entry, line)
        self._expected, self._before, self.last = entry.number + 1, entry.hash, entry
        if self._head is not None and entry.number == self._head.last:
            self._at_head = entry.hash
        self._broken, self._broken_count = [], 0

    def end(self, *, any_files: bool) -> None:
        """There are no more lines: compares the end with the head."""
        head, expected = self._head, self._expected or 1
        torn = self._broken[-1] if self._broken and not self._broken[-1].ended else None
        if torn is not None and (head is None or expected + self._broken_count - 1 > head.last):
            # Its writer was killed. What is whole is told of by the head, so this never was.
            self.unfinished = torn.size
            self._broken_count -= 1
        beyond = expected if head is None else max(expected, head.last + 1)
        if self._broken_count:
            self._settle(expected, beyond, self._broken[0], at_end=True)
        elif expected < beyond:
            self._missing("cut", expected, beyond - 1, "at the end")
        if head is None:
            if any_files:
                message = "The head of the chain is missing or damaged: nothing says whether its end was cut."
                self._fault("head", expected - 1, message)
            return
        for number in head.rebuilt:
            message = (
                f"The head was missing when entry {number} was written: what stood before it may be cut."
            )
            self._fault("head", number, message)
        self._compare_end(head)

    def _compare_end(self, head: Head) -> None:
        last = self.last
        if last is None:
            return
        number, told = last.number, {head.last: head.hash, head.coming: head.coming_hash}
        if number > max(head.last, head.coming):
            first = max(head.last, head.coming) + 1
            which = _entries(first, number, "was", "were")
            self._fault("inserted", first, f"{which} added at the end, and not by Lynkr.")
        elif told.get(number, last.hash) != last.hash or self._at_head not in ("", head.hash):
            at_fault = min(number, head.last)
            self._fault("changed", at_fault, f"Entry {at_fault} is not the one that was written.")

    def _settle(self, first: int, after: int, line: _Line, *, at_end: bool = False) -> None:
        """Says what lines that are no entries were: those from `first` on, as far as there is room."""
        room, lines = after - first, self._broken_count
        if not room:
            which = "a line that is no entry"
            message = f"Before entry {after} stands {which}." if not at_end else f"At the end stands {which}."
            self._fault("inserted", after, message, line)
            return
        changed = min(room, lines)
        which = _entries(first, first + changed - 1, "was", "were")
        self._fault("changed", first, f"{which} changed: what stands there does not have its hash.", line)
        if changed < room:
            self._missing(
                "cut" if at_end else "removed",
                first + changed,
                after - 1,
                "at the end, or ran into the one before"
                if at_end
                else f"before entry {after}, or ran into the one before",
            )

    def _out_of_place(self, entry: AuditEntry, expected: int, line: _Line) -> None:
        moved = any(entry.number in gap for gap in self._gaps)
        kind: FaultKind = "moved" if moved else "inserted"
        how = "was moved" if moved else "was put in, or stands there twice"
        self._fault(
            kind, entry.number, f"Entry {entry.number} stands behind entry {expected - 1}: it {how}.", line
        )

    def _not_before(self, entry: AuditEntry, line: _Line) -> None:
        """Both entries are whole in themselves, so one was written anew."""
        if self.last is None:
            message = f"Entry {entry.number} does not continue what the head says came before it."
            self._fault("changed", entry.number, message, line)
            return
        number = self.last.number
        self._fault(
            "changed",
            number,
            f"Entry {number} was changed: it is not the one before entry {entry.number}.",
            line,
        )

    def _missing(self, kind: FaultKind, first: int, last: int, where: str, line: _Line | None = None) -> None:
        if len(self._gaps) < MOST_FAULTS:
            self._gaps.append(range(first, last + 1))
        self._fault(kind, first, f"{_entries(first, last, 'is', 'are')} missing {where}.", line)

    def _fault(self, kind: FaultKind, number: int, message: str, line: _Line | None = None) -> None:
        if len(self.faults) < MOST_FAULTS:
            file, place = ("", 0) if line is None else (line.file, line.number)
            self.faults.append(AuditFault(kind=kind, number=number, message=message, file=file, line=place))


def _entries(first: int, last: int, one: str, many: str) -> str:
    return f"Entry {first} {one}" if first == last else f"Entries {first} to {last} {many}"


def check(folder: Path, head: Head | None, wanted: str = "") -> AuditCheck:
    """Reads the whole chain.

    Args:
        folder: of its files.
        head: where it begins and ends; None where that is not known.
        wanted: the hash of an entry that must be in it; empty for none.

    Raises:
        OSError: a file cannot be read.
    """
    files = kept_files(folder, head)
    walk = _Walk(head, wanted)
    for line in _lines(files):
        walk.take(line)
    walk.end(any_files=bool(files))
    found, last = walk.found if wanted else None, walk.last
    return AuditCheck(
        intact=not walk.faults and found is not False,
        entries=walk.count,
        first=head.first if head is not None else (first_of(files[0]) if files else 0),
        last=last.number if last is not None else 0,
        head=last.hash if last is not None else "",
        faults=tuple(walk.faults),
        unfinished=walk.unfinished,
        found=found,
    )
