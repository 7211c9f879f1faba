"""Bodies of /v1/admin/audit: who did what to this Lynkr, in a chain that shows what was done to it since."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

FaultKind = Literal["changed", "removed", "inserted", "moved", "cut", "head", "unreadable"]


class AuditEntry(Struct, frozen=True, kw_only=True):
    """One entry.

    Attributes:
        number: counts from 1, through all files.
        at: when, in Unix seconds.
        who: an access key's name; `machine` for the machine's own token, `command` for one without an engine.
        what: was done.
        detail: to what, and how it ended where it did not end well.
        previous: the hash of the entry before; empty for the first.
        hash: SHA-256 of all the rest, as canonical JSON, in hexadecimal.
    """

    number: int
    at: float
    who: str
    what: str
    detail: str = ""
    previous: str = ""
    hash: str = ""


class AuditList(Struct, frozen=True, kw_only=True):
    """GET /v1/admin/audit, the newest first. `waiting` entries could not be written yet."""

    entries: tuple[AuditEntry, ...] = ()
    waiting: int = 0


class AuditFault(Struct, frozen=True, kw_only=True):
    """A place where the chain is broken. `number` is that of the entry, or of the first of those at fault."""

    kind: FaultKind
    number: int
    message: str
    file: str = ""
    line: int = 0


class AuditCheck(Struct, frozen=True, kw_only=True):
    """GET /v1/admin/audit/verify.

    Attributes:
        intact: nothing was changed, removed, inserted, moved or cut.
        entries: how many there are.
        first: the number of the oldest entry; those before it went when they were old enough.
        last: the number of the newest entry, 0 where there is none.
        head: the hash of the newest entry. Kept elsewhere, it shows later that all up to here still stands.
        faults: what is wrong, the first hundred.
        unfinished: bytes of an entry that was being written when the process was killed. It was not
            acknowledged to anybody, and is no fault.
        found: whether the chain has the entry whose hash was asked for; None where none was.
    """

    intact: bool
    entries: int = 0
    first: int = 0
    last: int = 0
    head: str = ""
    faults: tuple[AuditFault, ...] = ()
    unfinished: int = 0
    found: bool | None = None
