"""What people do with memories: look, change, take along, and forget, so that nothing is left in the file."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Iterable
from pathlib import Path

from msgspec import UNSET
from msgspec.structs import replace

from lynkr_desktop.engine.memory.extract import LONGEST, tidy
from lynkr_desktop.engine.memory.schema import create, drop
from lynkr_desktop.engine.memory.score import Matcher
from lynkr_desktop.engine.memory.store import (
    COLUMNS,
    FROM,
    Store,
    count_in,
    count_out,
    indexed,
    insert,
    new_id,
    row_of,
    scope_no,
)
from lynkr_desktop.engine.memory.terms import terms_of
from lynkr_desktop.protocol.memory import Imported, MemoryKind, MemoryPatch, MemoryProject, MemoryRow

log = logging.getLogger(__name__)

_CHECKPOINT_SECONDS = 5.0
_AT_ONCE = 500


class MemoryFault(Exception):
    """Something could not be done. The message says why, for people."""


class NoSuchMemory(MemoryFault):
    """There is no memory of that name."""

    def __init__(self, memory_id: str) -> None:
        super().__init__(f"There is no memory {memory_id[:60]!r}.")


class InvalidMemory(MemoryFault):
    """A memory cannot be what somebody wants to make of it."""


# ---------------------------------------------------------------- looking


def listing(
    store: Store,
    *,
    project: str = "",
    kind: MemoryKind | None = None,
    limit: int = 50,
    before: str = "",
    superseded: bool = False,
) -> list[MemoryRow]:
    """Memories, the newest first.

    Args:
        project: only those of this one.
        kind: only these.
        before: only those that are older than this id.
        superseded: also those that hold no longer.
    """
    wanted, values = ["1"], []
    if project:
        wanted.append("s.name = ?")
        values.append(project)
    if kind is not None:
        wanted.append("m.kind = ?")
        values.append(kind)
    if not superseded:
        wanted.append("m.superseded_by = ''")
    if before:
        wanted.append("(m.at, m.seq) < (SELECT at, seq FROM memories WHERE id = ?)")
        values.append(before)
    rows = store.connection.execute(
        f"SELECT {COLUMNS} {FROM} WHERE {' AND '.join(wanted)} ORDER BY m.at DESC, m.seq DESC LIMIT ?",
        (*values, limit),
    )
    return [row_of(row) for row in rows.fetchall()]


def search(
    store: Store, text: str, *, project: str = "", kind: MemoryKind | None = None, limit: int = 50
) -> list[MemoryRow]:
    """Memories that hold words of a text, the best first; of one project and kind, or of all."""
    names = [project] if project else [found.project for found in projects(store)]
    ranked: list[tuple[float, float, MemoryRow]] = []
    for name in names:
        found = store.find(name, text, local_only=True)
        matcher = Matcher(found.query, found.corpus)
        scored = ((matcher.match(candidate.terms), candidate.row) for candidate in found.candidates)
        ranked += [(score, row.at, row) for score, row in scored if score and kind in (None, row.kind)]
    ranked.sort(key=lambda item: item[:2], reverse=True)
    return [row for _, _, row in ranked[:limit]]


def get(store: Store, memory_id: str) -> MemoryRow:
    """One memory. Raises `NoSuchMemory`."""
    row = store.connection.execute(f"SELECT {COLUMNS} {FROM} WHERE m.id = ?", (memory_id,)).fetchone()
    if row is None:
        raise NoSuchMemory(memory_id)
    return row_of(row)


def projects(store: Store) -> list[MemoryProject]:
    """Every project that has memories, the one with the most first."""
    rows = store.connection.execute(
        "SELECT s.name, count(*) FROM memories m JOIN memory_scopes s ON s.no = m.scope GROUP BY "
        "s.no ORDER BY 2 DESC, 1"
    )
    return [MemoryProject(project=name, memories=count) for name, count in rows.fetchall()]


def export(store: Store, project: str = "") -> list[MemoryRow]:
    """All memories, also those that hold no longer, the oldest first."""
    rows = store.connection.execute(
        f"SELECT {COLUMNS} {FROM} WHERE ? IN ('', s.name) ORDER BY m.at, m.seq", (project,)
    )
    return [row_of(row) for row in rows.fetchall()]


# ---------------------------------------------------------------- changing


def change(store: Store, memory_id: str, patch: MemoryPatch) -> MemoryRow:
    """Changes a memory; what its text was is gone from the file.

    Raises:
        NoSuchMemory: there is none of that id.
        InvalidMemory: the text is empty or too long.
    """
    row = get(store, memory_id)
    if patch.kind is not UNSET:
        row = replace(row, kind=patch.kind)
    if patch.pinned is not UNSET:
        row = replace(row, pinned=patch.pinned)
    changed_text = patch.text is not UNSET and patch.text != row.text
    if patch.text is not UNSET:
        row = replace(row, text=_checked(patch.text), source="person")
    with store.writing() as connection:
        no, terms = connection.execute(
            "SELECT scope, terms FROM memories WHERE id = ?", (memory_id,)
        ).fetchone()
        new_terms = "" if row.superseded_by else indexed(no, terms_of(row.text))
        if not row.superseded_by:
            count_out(connection, no, terms)
            count_in(connection, no, terms_of(row.text))
        connection.execute(
            "UPDATE memories SET kind = ?, pinned = ?, text = ?, terms = ?, source = ?, "
            "topic = CASE WHEN ? THEN '' ELSE topic END, value = CASE WHEN ? THEN '' ELSE value END "
            "WHERE id = ?",
            (row.kind, row.pinned, row.text, new_terms, row.source, changed_text, changed_text, memory_id),
        )
    if changed_text:
        scrub(store)
    return row


def take_in(store: Store, rows: Iterable[MemoryRow]) -> Imported:
    """Adds memories of an export. Secrets in them are masked; what stands there already is left as it is."""
    added = known = refused = 0
    with store.writing() as connection:
        for row in rows:
            text = tidy(row.text)
            if not text or len(text) > LONGEST or not row.project.strip():
                refused += 1
                continue
            no = scope_no(connection, row.project)
            there = connection.execute(
                "SELECT 1 FROM memories WHERE id = ? OR (scope = ? AND text = ?)", (row.id, no, text)
            ).fetchone()
            if there is not None:
                known += 1
                continue
            insert(
                connection,
                no,
                replace(
                    row, id=row.id[:60] or new_id(), text=text, source="import", at=row.at or time.time()
                ),
            )
            added += 1
    return Imported(added=added, known=known, refused=refused)


def _checked(text: str) -> str:
    tidied = tidy(text)
    if not tidied:
        raise InvalidMemory("A memory needs a text. To be rid of it, delete it.")
    if len(tidied) > LONGEST:
        raise InvalidMemory(f"A memory has at most {LONGEST} characters; this one has {len(tidied):,}.")
    return tidied


# ---------------------------------------------------------------- forgetting


def delete(store: Store, memory_id: str) -> list[str]:
    """Forgets a memory, with those that it took the place of, and returns the ids of all that are gone.

    Raises:
        NoSuchMemory: there is none of that id.
        MemoryFault: they are gone, and their bytes may still stand in the file.
    """
    gone: list[str] = []
    with store.writing() as connection:
        wanted = [memory_id]
        while wanted:
            one = wanted.pop()
            older = connection.execute("SELECT id FROM memories WHERE superseded_by = ?", (one,)).fetchall()
            if _remove(connection, "id = ?", (one,)):
                gone.append(one)
            wanted += [row[0] for row in older]
    if not gone:
        raise NoSuchMemory(memory_id)
    scrub(store)
    return gone


def forget(store: Store, project: str = "") -> int:
    """Forgets a whole project, or everything where none is named. Returns and raises as `delete`."""
    with store.writing() as connection:
        if not project:
            gone = connection.execute("SELECT count(*) FROM memories").fetchone()[0]
            drop(connection)
            create(connection)
        else:
            found = connection.execute("SELECT no FROM memory_scopes WHERE name = ?", (project,)).fetchone()
            if found is None:
                return 0
            gone = _remove(connection, "scope = ?", found)
            connection.execute("DELETE FROM memory_scopes WHERE no = ?", found)
    scrub(store)
    return int(gone)


def trim(store: Store, most: int) -> int:
    """Deletes the oldest memories beyond a number, pinned ones last, and returns how many went."""
    count = store.connection.execute("SELECT count(*) FROM memories").fetchone()[0]
    if count <= most:
        return 0
    with store.writing() as connection:
        return _remove(
            connection,
            "seq IN (SELECT seq FROM memories ORDER BY pinned, superseded_by = '', at LIMIT ?)",
            (count - most,),
        )


def scrub(store: Store) -> None:
    """Takes what was deleted out of the bytes of the file and of its journal.

    SQLite overwrites what it deletes, but not copies that were left where rows moved, and the index of words
    keeps deleted ones until its parts are merged: so the parts are merged and the file is written anew.

    Raises:
        MemoryFault: that could not be done to the end.
    """
    connection = store.connection
    try:
        connection.execute("INSERT INTO memory_index (memory_index) VALUES ('optimize')")
        connection.execute("VACUUM")
        until = time.monotonic() + _CHECKPOINT_SECONDS
        while connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            if time.monotonic() > until:
                raise MemoryFault(
                    f"It is forgotten, but another program is reading {store.path}, so its bytes may "
                    f"stand there "
                    "until that ends. Forget it once more then."
                )
            time.sleep(0.02)
    except sqlite3.Error as error:
        log.error("the file of the memories %s could not be cleaned: %s", store.path, error)
        raise MemoryFault(
            f"It is forgotten, but its bytes may still stand in {store.path}, which could not be "
            f"written anew "
            f"({error}). Forget it once more when that is mended."
        ) from error


def copies(path: Path) -> tuple[str, ...]:
    """Files beside this one that were set aside because they were damaged or too new."""
    marks = (f"{path.name}.corrupt-", f"{path.name}.newer-")
    try:
        found = [entry for entry in path.parent.iterdir() if entry.name.startswith(marks)]
    except OSError:
        return ()
    return tuple(sorted(map(str, found)))


def _remove(connection: sqlite3.Connection, where: str, values: tuple[object, ...]) -> int:
    gone = 0
    rows = connection.execute(
        f"SELECT seq, scope, terms, superseded_by FROM memories WHERE {where}", values
    ).fetchall()
    for start in range(0, len(rows), _AT_ONCE):
        for seq, scope, terms, superseded_by in rows[start : start + _AT_ONCE]:
            if not superseded_by:
                count_out(connection, scope, terms)
            connection.execute("DELETE FROM memories WHERE seq = ?", (seq,))
            gone += 1
    connection.execute("DELETE FROM memory_scopes WHERE no NOT IN (SELECT scope FROM memories)")
    return gone
