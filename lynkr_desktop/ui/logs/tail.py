"""Follows a log file that another process writes, rotates, or has not written yet."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

MAX_START = 2 * 1024 * 1024
CHUNK = 128 * 1024
MAX_LINE = 4000

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_LEVEL = re.compile(r"^\S+ \S+ (DEBUG|INFO|WARNING|ERROR|CRITICAL)\b")


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line and the level of the record it belongs to, as an index into LEVELS."""

    text: str
    level: int


class LogTail:
    """Reads what is new in a file, a bounded amount per call.

    The file is opened anew for each read: an open one could not be rotated on Windows. What was written
    between the last read and a rotation is fetched from the rotated file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rotated = path.with_name(path.name + ".1")
        self._offset: int | None = None
        self._file_id = 0
        self._partial = b""
        self._level = LEVELS.index("INFO")

    def read(self) -> tuple[list[LogLine], bool]:
        """The next lines, and whether there is more to read at once."""
        try:
            with self._path.open("rb") as file:
                stat = os.fstat(file.fileno())
                lines = self._open_or_rotate(stat)
                offset = self._offset or 0
                file.seek(offset)
                data = file.read(CHUNK)
        except OSError:
            return [], False
        self._offset = offset + len(data)
        return lines + self._split(data), self._offset < stat.st_size

    def _open_or_rotate(self, stat: os.stat_result) -> list[LogLine]:
        """Finds where to go on; the last lines of a file that was rotated away."""
        if self._offset is None:
            self._file_id = stat.st_ino
            self._offset = max(0, stat.st_size - MAX_START)
            if self._offset:
                self._partial = b"\0"  # begins inside a line, which is dropped
            return []
        if stat.st_ino == self._file_id and stat.st_size >= self._offset:
            return []
        lines = self._split(self._rest_of_rotated())
        if self._partial:
            # Cut short for good: what comes next belongs to another file.
            lines += self._split(b"\n")
        self._file_id = stat.st_ino
        self._offset = 0
        return lines

    def _rest_of_rotated(self) -> bytes:
        try:
            with self._rotated.open("rb") as file:
                if os.fstat(file.fileno()).st_ino != self._file_id:
                    return b""
                file.seek(self._offset or 0)
                return file.read(MAX_START)
        except OSError:
            return b""

    def _split(self, data: bytes) -> list[LogLine]:
        *whole, self._partial = (self._partial + data).split(b"\n")
        if len(self._partial) > CHUNK:
            self._partial = self._partial[:CHUNK]
        lines = []
        for raw in whole:
            if raw.startswith(b"\0"):
                continue
            text = raw[:MAX_LINE].decode("utf-8", "replace").rstrip("\r")
            match = _LEVEL.match(text)
            if match is not None:
                self._level = LEVELS.index(match[1])
            # A line without a level goes on with the record above it.
            lines.append(LogLine(text, self._level))
        return lines
