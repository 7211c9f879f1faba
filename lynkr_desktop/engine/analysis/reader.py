"""Gets the facts of files the cheapest way: from the store, by parsing them here, or in other processes."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec.structs import replace

from lynkr_desktop.engine.analysis import reading as readings
from lynkr_desktop.engine.analysis.pool import Pool, PoolError
from lynkr_desktop.engine.analysis.reading import Reading
from lynkr_desktop.engine.analysis.store import FactStore
from lynkr_desktop.engine.analysis.walk import Reason, Stamp, read

log = logging.getLogger(__name__)

_SMALL_FILE = 64 * 1024
_SMALL_WORK = 512 * 1024
"""Bytes up to which files are parsed in this process: tree-sitter holds the interpreter while it parses."""

_RACY = 2_000_000_000
"""Nanoseconds: a file that was read so soon after a change may change again and look the same."""

_LONGEST_PARSE = 0.025
"""Seconds: what takes longer, as hostile source does, is parsed once more in another process."""


class Reader:
    """Reads the files of one workspace. For one thread."""

    def __init__(self, root: Path, limit: int, store: FactStore, pool: Pool) -> None:
        self._root = os.fspath(root)
        self._limit = limit
        self._store = store
        self._pool = pool

    def read(self, files: Mapping[str, Stamp]) -> Iterator[Reading]:
        """Yields one reading for each file, in no particular order. What is new is added to the store.

        The time of a file that has only just changed is given as -1, which equals no file's.
        """
        changed: dict[str, Stamp] = {}
        for path, stamp in files.items():
            stored = self._store.get(path, stamp)
            if stored is None:
                changed[path] = stamp
            else:
                yield stored
        few = sum(stamp.size for stamp in changed.values()) <= _SMALL_WORK
        away: dict[str, Stamp] = {}
        for path, stamp in changed.items():
            here = few and stamp.size <= _SMALL_FILE
            if here or self._store.filled:
                content = read(os.path.join(self._root, *path.split("/")), self._limit)
                if isinstance(content, Reason):
                    yield Reading(path, *stamp, reason=content.value)
                    continue
                digest = readings.digest_of(content[0], path)
                packed = self._store.facts(digest)
                if packed is not None:
                    yield self._kept(Reading(path, *content[1], digest, "", packed))
                    continue
                if here and (parsed := readings.parse_in_time(path, *content, _LONGEST_PARSE)) is not None:
                    yield self._kept(parsed)
                    continue
            away[path] = stamp
        if away:
            yield from self._read_away(away)
        self._store.flush()

    def _read_away(self, files: dict[str, Stamp]) -> Iterator[Reading]:
        left = files.copy()
        try:
            sizes = [(path, stamp.size) for path, stamp in files.items()]
            for reading in self._pool.read(self._root, sizes, self._limit):
                stamp = left.pop(reading.path)
                if not reading.mtime_ns:
                    reading = replace(reading, mtime_ns=stamp.mtime_ns, size=stamp.size)
                yield self._kept(reading)
        except PoolError as error:
            log.warning("source files are read without helper processes: %s", error)
            for path in left:
                yield self._kept(readings.read_facts(self._root, path, self._limit))

    def _kept(self, reading: Reading) -> Reading:
        if time.time_ns() - reading.mtime_ns < _RACY:
            reading = replace(reading, mtime_ns=-1)
        self._store.add(reading)
        return reading
