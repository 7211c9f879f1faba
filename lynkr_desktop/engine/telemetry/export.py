"""The records as files: CSV, JSON and lines of JSON, piece by piece: a million of them take little memory."""

from __future__ import annotations

import csv
import io
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import msgspec
from msgspec.structs import asdict, astuple, replace

from lynkr_desktop.engine.telemetry import decisions, queries
from lynkr_desktop.engine.telemetry.database import COLUMNS
from lynkr_desktop.engine.telemetry.prompt_store import read_prompts
from lynkr_desktop.engine.telemetry.spans import Span
from lynkr_desktop.protocol.control import RequestRow
from lynkr_desktop.protocol.routing import Outcome
from lynkr_desktop.protocol.usage import ExportedDecision, ExportedRequest, ExportedWithPrompt

ExportFormat = Literal["csv", "json", "jsonl"]
FORMATS: tuple[ExportFormat, ...] = get_args(ExportFormat)
MEDIA_TYPES: dict[ExportFormat, str] = {
    "csv": "text/csv",
    "json": "application/json",
    "jsonl": "application/jsonl",
}

PAGE_ROWS = 500
"""Read at once, with a pause for those who write and read meanwhile."""

_LISTS = ("files", "contributions", "candidates", "receipts")
_DECIDED = tuple(name for name in ExportedDecision.__struct_fields__ if name not in (*_LISTS, "outcome"))
CSV_COLUMNS = (
    "time",
    *RequestRow.__struct_fields__,
    *(f"decision_{name}" for name in _DECIDED),
    *(f"outcome_{name}" for name in Outcome.__struct_fields__),
    *_LISTS,
)

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_SELECT = (
    f"SELECT seq, at, task, {', '.join((*COLUMNS, *decisions.READ))} FROM requests "
    "WHERE (at, seq) > (?, ?) AND at < ? ORDER BY at, seq LIMIT ?"
)


class Place(NamedTuple):
    """How far an export has got: the time and number of its last row."""

    at: float
    seq: int


class Export:
    """The records of a range as a file, with decisions and outcomes, by the time of the requests.

    Args:
        span: the range.
        format_: of the file.
        titles: whether the beginnings of what people asked are given too.
        prompts: the file of stored prompts, where these are given too.
    """

    def __init__(
        self, span: Span, format_: ExportFormat, *, titles: bool, prompts: Path | None = None
    ) -> None:
        self._span = span
        self._titles = titles
        self._prompts = prompts
        self._encoder = (_ENCODERS if prompts is None else _WITH_PROMPTS)[format_]
        self._place = Place(span.since, -1)
        self._begun = self._ended = False

    def piece(self, connection: sqlite3.Connection) -> bytes | None:
        """The next piece of the file, which may be read by another connection than the last; None at its end.

        Raises:
            sqlite3.Error: the records cannot be read.
        """
        if self._ended:
            return None
        encoder, first = self._encoder, not self._begun
        found = connection.execute(_SELECT, (*self._place, self._span.until, PAGE_ROWS)).fetchall()
        rows: list[ExportedRequest] = []
        for seq, at, task, *values in found:
            record, decision = values[: len(COLUMNS)], values[len(COLUMNS) :]
            rows.append(_exported(record, None if task is None else decision, titles=self._titles))
            self._place = Place(at, seq)
        if self._prompts is not None:
            rows = _with_prompts(rows, self._prompts)
        self._begun, self._ended = True, len(found) < PAGE_ROWS
        head, tail = encoder.head if first else b"", encoder.tail if self._ended else b""
        return head + encoder.rows(rows, first) + tail


def _exported(record: Sequence[Any], decided: Sequence[Any] | None, *, titles: bool) -> ExportedRequest:
    try:
        row = queries.row_of(record)
    except msgspec.ValidationError:
        known = dict(zip(COLUMNS, record, strict=True))
        row = RequestRow(
            id=str(known["id"]), at=known["at"], client="", protocol="", error="(this row cannot be read)"
        )
    if not titles:
        row = replace(row, title="")
    decision = None
    if decided is not None:
        found = asdict(decisions.row_of(decided))
        decision = ExportedDecision(**{name: found[name] for name in ExportedDecision.__struct_fields__})
    return ExportedRequest(**asdict(row), decision=decision)


def _with_prompts(rows: Sequence[ExportedRequest], path: Path) -> list[ExportedRequest]:
    stored = read_prompts(path, (row.id for row in rows))
    return [
        ExportedWithPrompt(**_fields_of(row), prompt=stored[row.id].turns if row.id in stored else ())
        for row in rows
    ]


def _fields_of(row: ExportedRequest) -> dict[str, Any]:
    return {name: getattr(row, name) for name in ExportedRequest.__struct_fields__}


# ---------------------------------------------------------------- formats


def safe_cell(text: str) -> str:
    """Text for a cell of a spreadsheet. What would be taken for a formula there gets a `'` before it.

    Names and titles come from clients; a spreadsheet would run `=HYPERLINK(...)` in them.
    """
    return f"'{text}" if text.startswith(_FORMULA) else text


def _array(rows: Sequence[ExportedRequest], first: bool) -> bytes:
    if not rows:
        return b""
    return (b"\n" if first else b",\n") + b",\n".join(map(_json, rows))


def _json(value: object) -> bytes:
    return msgspec.json.encode(value)


def _csv(rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode("utf-8", "replace")


def _cells(row: ExportedRequest) -> list[object]:
    decision = row.decision or ExportedDecision()
    values: list[object] = [getattr(row, name) for name in RequestRow.__struct_fields__]
    values += [getattr(decision, name) if row.decision else None for name in _DECIDED]
    values += astuple(decision.outcome) if row.decision else [None] * len(Outcome.__struct_fields__)
    cells = [_cell(value) for value in values]
    lists = [_json(getattr(decision, name)).decode() if row.decision else "" for name in _LISTS]
    return [_iso(row.at), *cells, *lists]


def _cell(value: object) -> object:
    if isinstance(value, str):
        return safe_cell(str(value))
    if isinstance(value, bool):
        return "true" if value else "false"
    return value


def _iso(at: float) -> str:
    try:
        return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError):
        return ""


def _lines(rows: Sequence[ExportedRequest], first: bool) -> bytes:
    return b"".join(_json(row) + b"\n" for row in rows)


def _table(rows: Sequence[ExportedRequest], first: bool) -> bytes:
    return _csv(map(_cells, rows))


def _table_with_prompts(rows: Sequence[ExportedRequest], first: bool) -> bytes:
    return _csv([*_cells(row), _json(getattr(row, "prompt", ())).decode()] for row in rows)


class _Encoder(NamedTuple):
    """Turns rows into the bytes of a file. `rows` is also told whether they are the first."""

    head: bytes
    rows: Callable[[Sequence[ExportedRequest], bool], bytes]
    tail: bytes


_ENCODERS: dict[ExportFormat, _Encoder] = {
    "csv": _Encoder(_csv([CSV_COLUMNS]), _table, b""),
    "json": _Encoder(b"[", _array, b"\n]\n"),
    "jsonl": _Encoder(b"", _lines, b""),
}

_WITH_PROMPTS = {**_ENCODERS, "csv": _Encoder(_csv([(*CSV_COLUMNS, "prompt")]), _table_with_prompts, b"")}
