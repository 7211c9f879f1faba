"""The memories in their SQLite file: what is added to them, and what of them may fit an ask."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from lynkr_desktop.engine.memory.extract import Statement, specificity
from lynkr_desktop.engine.memory.schema import open_memories
from lynkr_desktop.engine.memory.score import Corpus, Matcher, surprise
from lynkr_desktop.engine.memory.terms import terms_of
from lynkr_desktop.engine.passages.asks import Origin
from lynkr_desktop.engine.telemetry.database import storable
from lynkr_desktop.engine.wire.ids import timed_id
from lynkr_desktop.protocol.memory import MemoryRow

KNOWN = 0.15
"""Novelty below which a statement is one that is known already."""

_ASKED_TERMS = 96
"""Terms of an ask that are looked at."""

_LOOKED_UP = 16
_LISTED = 600
"""Rows that a query may match, so that ranking them takes bounded time; the rarest terms come first."""

_CANDIDATES = 32
_STANDING = 16
_LONGEST = 2_000

COLUMNS = (
    "m.id, m.kind, m.text, s.name, m.source, m.session, m.request, m.at, m.surprise, m.seen, "
    "m.pinned, m.local_only, "
    "m.superseded_by"
)
FROM = "FROM memories m JOIN memory_scopes s ON s.no = m.scope"


class Candidate(Struct, frozen=True):
    """A memory that may fit, with its terms."""

    row: MemoryRow
    terms: tuple[str, ...]


class Found(Struct, frozen=True):
    """What may fit an ask, and what is needed to say how well."""

    candidates: tuple[Candidate, ...]
    corpus: Corpus
    query: tuple[str, ...]


class Store:
    """One connection to the memories, opened where first needed. For one thread at a time.

    Args:
        path: the file.
        clock: the time in Unix seconds.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self.path = path
        self._clock = clock
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None

    def close(self) -> None:
        """Closes the file; it is opened again where it is needed."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @property
    def connection(self) -> sqlite3.Connection:
        """The open file. Raises `sqlite3.Error` and `OSError`."""
        if self._connection is not None and _identity(self.path) != self._file:
            self.close()  # somebody moved it away
        if self._connection is None:
            self._connection = open_memories(self.path)
            self._file = _identity(self.path)
        return self._connection

    # ------------------------------------------------------------ adding

    def add(self, statement: Statement, origin: Origin, *, floor: float = 0.0) -> str | None:
        """Keeps a statement if it is news. One that is known already counts as heard again.

        Args:
            floor: surprise below which nothing is kept.

        Returns:
            The id of the new memory, None where none was made.

        Raises:
            sqlite3.Error: it cannot be written now.
        """
        terms = terms_of(statement.text)
        if not terms:
            return None
        with self.writing() as connection:
            no = scope_no(connection, origin.scope)
            query = tuple(dict.fromkeys(terms))[:_ASKED_TERMS]
            corpus = _corpus(connection, no, query)
            near = _by_terms(connection, no, query, corpus, local_only=origin.local_only)
            replaced = _contradicted(connection, no, statement, origin)
            nearest, novelty = None, 1.0
            matcher = Matcher(query, corpus)
            for candidate in near:
                if _opposite(candidate.terms, terms):
                    if _may_replace(origin, statement.source, candidate.row):
                        replaced.add(candidate.row.id)
                elif (likeness := _likeness(matcher, terms, candidate, corpus)) > 1 - novelty:
                    nearest, novelty = candidate.row, 1 - likeness
            if nearest is not None and novelty < KNOWN and nearest.id not in replaced:
                connection.execute(
                    "UPDATE memories SET seen = seen + 1, at = max(at, ?) WHERE id = ?",
                    (origin.at, nearest.id),
                )
                return None
            value = surprise(novelty, specificity(statement.text), contradicts=bool(replaced))
            if value < floor:
                return None
            row = MemoryRow(
                id=new_id(),
                kind=statement.kind,
                text=statement.text,
                project=origin.scope,
                source=statement.source,
                session=origin.session,
                request=origin.request,
                at=origin.at or self._clock(),
                surprise=round(value, 3),
                local_only=origin.local_only,
            )
            insert(connection, no, row, statement.topic, statement.value)
            for memory_id in replaced:
                supersede(connection, memory_id, row.id)
            return row.id

    # ------------------------------------------------------------ finding

    def find(self, scope: str, text: str, *, local_only: bool = False) -> Found:
        """What may fit a text: the best by their terms, and preferences and what is pinned in any case.

        Args:
            scope: the project.
            local_only: whether what is meant for this machine alone may be found.

        Raises:
            sqlite3.Error: the file cannot be read.
            OSError: there is none, and it cannot be made.
        """
        connection = self.connection
        query = tuple(dict.fromkeys(terms_of(text)))[:_ASKED_TERMS]
        there = connection.execute(
            "SELECT no FROM memory_scopes WHERE name = ?", (storable(scope, _LONGEST),)
        ).fetchone()
        if there is None:
            return Found((), Corpus(0, {}), query)
        no = int(there[0])
        corpus = _corpus(connection, no, query)
        found = _by_terms(connection, no, query, corpus, local_only=local_only)
        standing = [
            candidate
            for which in ("m.pinned", "m.kind = 'preference'")
            for candidate in _candidates(
                connection,
                f"SELECT {COLUMNS}, m.terms FROM memories m CROSS JOIN memory_scopes s ON s.no = m.scope "
                f"WHERE m.scope = ? AND m.superseded_by = '' AND {which} AND (? OR NOT m.local_only) "
                "ORDER BY m.at DESC LIMIT ?",
                (no, local_only, _STANDING),
                no,
            )
        ]
        known = {candidate.row.id for candidate in found}
        more = {one.row.id: one for one in standing if one.row.id not in known}
        return Found((*found, *more.values()), corpus, query)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that is kept as a whole or not at all."""
        connection = self.connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def new_id() -> str:
    """An id for a memory."""
    return timed_id("mem_", 7)


# ---------------------------------------------------------------- rows


def scope_no(connection: sqlite3.Connection, scope: str) -> int:
    """The number of a project, a new one where it has none."""
    name = storable(scope, _LONGEST)
    connection.execute("INSERT OR IGNORE INTO memory_scopes (name) VALUES (?)", (name,))
    return int(connection.execute("SELECT no FROM memory_scopes WHERE name = ?", (name,)).fetchone()[0])


def row_of(columns: Sequence[Any]) -> MemoryRow:
    """A memory from what `COLUMNS` selects."""
    return MemoryRow(
        id=columns[0],
        kind=columns[1],
        text=columns[2],
        project=columns[3],
        source=columns[4],
        session=columns[5],
        request=columns[6],
        at=columns[7],
        surprise=columns[8],
        seen=columns[9],
        pinned=bool(columns[10]),
        local_only=bool(columns[11]),
        superseded_by=columns[12],
    )


def insert(connection: sqlite3.Connection, no: int, row: MemoryRow, topic: str = "", value: str = "") -> None:
    """Adds a row, and its terms to the index unless it is superseded."""
    terms = () if row.superseded_by else terms_of(row.text)
    texts = (row.session, row.request, row.superseded_by)
    session, request, superseded_by = (storable(text, 200) for text in texts)
    connection.execute(
        "INSERT INTO memories (id, scope, kind, text, terms, topic, value, source, session, request, "
        "at, surprise, seen, "
        "pinned, local_only, superseded_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            row.id,
            no,
            row.kind,
            storable(row.text, _LONGEST),
            indexed(no, terms),
            topic,
            value,
            row.source,
            session,
            request,
            storable(float(row.at), 0),
            storable(float(row.surprise), 0),
            max(1, min(row.seen, 1_000_000_000)),
            row.pinned,
            row.local_only,
            superseded_by,
        ),
    )
    if not row.superseded_by:
        count_in(connection, no, terms)


def supersede(connection: sqlite3.Connection, memory_id: str, by: str) -> None:
    """Keeps a memory as one that holds no longer: it is shown to people, and found for no ask."""
    found = connection.execute(
        "SELECT scope, terms FROM memories WHERE id = ? AND superseded_by = ''", (memory_id,)
    ).fetchone()
    if found is not None:
        count_out(connection, found[0], found[1])
        connection.execute("UPDATE memories SET superseded_by = ?, terms = '' WHERE id = ?", (by, memory_id))


def indexed(no: int, terms: Iterable[str]) -> str:
    """Terms as the index holds them: each behind the number of its project."""
    return " ".join(f"{no}:{term}".encode("utf-8", "replace").decode() for term in terms)


def count_in(connection: sqlite3.Connection, no: int, terms: Iterable[str]) -> None:
    """Notes that one more memory holds these terms."""
    connection.executemany(
        "INSERT INTO memory_terms (term, held) VALUES (?, 1) ON CONFLICT (term) DO UPDATE SET held = "
        "held + 1",
        [(term,) for term in dict.fromkeys(indexed(no, terms).split(" ")) if term],
    )
    connection.execute("UPDATE memory_scopes SET held = held + 1 WHERE no = ?", (no,))


def count_out(connection: sqlite3.Connection, no: int, terms: str) -> None:
    """Notes that one memory less holds these terms, given as the index holds them."""
    words = [(term,) for term in dict.fromkeys(terms.split(" ")) if term]
    connection.executemany("UPDATE memory_terms SET held = held - 1 WHERE term = ?", words)
    connection.executemany("DELETE FROM memory_terms WHERE term = ? AND held <= 0", words)
    connection.execute("UPDATE memory_scopes SET held = held - 1 WHERE no = ?", (no,))


# ---------------------------------------------------------------- queries


def _corpus(connection: sqlite3.Connection, no: int, query: Sequence[str]) -> Corpus:
    size = connection.execute("SELECT held FROM memory_scopes WHERE no = ?", (no,)).fetchone()[0]
    names = indexed(no, query).split(" ") if query else []
    marks = ", ".join("?" * len(names))
    rows = connection.execute(
        f"SELECT term, held FROM memory_terms WHERE term IN ({marks})", names
    ).fetchall()
    skip = len(f"{no}:")
    return Corpus(size, {term[skip:]: held for term, held in rows})


def _by_terms(
    connection: sqlite3.Connection, no: int, query: Sequence[str], corpus: Corpus, *, local_only: bool
) -> list[Candidate]:
    """The best rows by BM25 over the rarest terms; the newest where every term is in very many rows."""
    held = sorted((corpus.held[term], term) for term in query if term in corpus.held)
    if not held:
        return []
    taken: list[str] = []
    rows = 0
    for count, term in held[:_LOOKED_UP]:
        if taken and rows + count > _LISTED:
            break
        taken.append(term)
        rows += count
    ranked = rows <= 2 * _LISTED
    joint = " OR " if ranked else " AND "
    words = taken if ranked else [term for _, term in held[:3]]
    wanted = joint.join(f'"{name}"' for name in indexed(no, words).split(" "))
    order = "rank" if ranked else "rowid DESC"
    # The index is asked by itself: joined, SQLite may look every row of the project up in it.
    return _candidates(
        connection,
        f"SELECT {COLUMNS}, m.terms FROM (SELECT rowid AS seq FROM memory_index WHERE memory_index MATCH ? "
        f"ORDER BY {order} LIMIT ?) AS found CROSS JOIN memories m ON m.seq = found.seq "
        "CROSS JOIN memory_scopes s ON s.no = m.scope WHERE m.scope = ? AND (? OR NOT m.local_only)",
        (wanted, _CANDIDATES, no, local_only),
        no,
    )


def _candidates(
    connection: sqlite3.Connection, query: str, values: Sequence[Any], no: int
) -> list[Candidate]:
    skip = len(f"{no}:")
    return [
        Candidate(row_of(columns), tuple(term[skip:] for term in columns[-1].split(" ")))
        for columns in connection.execute(query, values).fetchall()
    ]


# ---------------------------------------------------------------- contradictions

_NOT = frozenset(
    [
        "never",
        "don't",
        "dont",
        "not",
        "avoid",
        "stop",
        "nie",
        "niemals",
        "kein",
        "keine",
        "nicht",
        "jamais",
        "pas",
        "nunca",
        "no",
        "não",
        "non",
        "никогда",
        "не",
    ]
)
_ALWAYS = frozenset(["always", "immer", "toujours", "siempre", "sempre", "всегда"])


def _contradicted(connection: sqlite3.Connection, no: int, statement: Statement, origin: Origin) -> set[str]:
    """The ids of what a statement takes the place of: it says something else of the same, or names it."""
    rows: list[Any] = []
    query = f"SELECT {COLUMNS}, m.value {FROM} WHERE m.scope = ? AND m.superseded_by = '' AND"
    if statement.topic:
        found = connection.execute(f"{query} m.topic = ? AND m.topic <> '' LIMIT 50", (no, statement.topic))
        rows += [row for row in found if row[-1] != statement.value or not statement.value]
    if statement.instead:
        rows += connection.execute(f"{query} m.value = ? AND m.value <> '' LIMIT 50", (no, statement.instead))
    own = terms_of(statement.text)
    return {
        row.id
        for row in map(row_of, rows)
        if _may_replace(origin, statement.source, row) and terms_of(row.text) != own
    }


def _may_replace(origin: Origin, source: str, row: MemoryRow) -> bool:
    """A model's words never take the place of a person's, nor private ones that of others."""
    return (source != "model" or row.source == "model") and (row.local_only or not origin.local_only)


def _opposite(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether two texts say the same, one with a not."""
    left, right = set(one), set(other)
    if bool(left & _NOT) == bool(right & _NOT):
        return False
    return left - _NOT - _ALWAYS == right - _NOT - _ALWAYS


def _likeness(matcher: Matcher, terms: Sequence[str], candidate: Candidate, corpus: Corpus) -> float:
    """How alike two texts are: how well each matches the other, the worse of both."""
    back = Matcher(tuple(dict.fromkeys(candidate.terms)), corpus)
    return min(matcher.match(candidate.terms), back.match(terms))


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
