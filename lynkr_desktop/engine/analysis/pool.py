"""Processes that read the files of a large workspace, so that no request waits for the interpreter."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

import lynkr_desktop
from lynkr_desktop.engine.analysis import worker
from lynkr_desktop.engine.analysis.reading import Reading
from lynkr_desktop.engine.analysis.walk import Reason

log = logging.getLogger(__name__)

_MODULE = worker.__name__

_BATCH_BYTES = 256 * 1024
_BATCH_FILES = 200
_SILENCE = 30.0
"""Seconds for one file; a worker that is silent for longer is ended. A file of 1 MB takes a fifth of one."""

_IDLE = 10.0
"""Seconds without work after which the processes end and their memory is given back."""

_ENDING = 5.0
"""Seconds that closing waits for a thread whose process was ended; it takes milliseconds."""

_STOPPING = "the engine is stopping"


class PoolError(Exception):
    """Worker processes cannot be run here. The message says why."""


class _Worker:
    """One process. Used by one thread at a time."""

    def __init__(self) -> None:
        package = str(Path(lynkr_desktop.__file__).parents[1])
        search_path = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", _MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": search_path},
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        self.heard = time.monotonic()

    def greet(self) -> bool:
        """Waits until it can work; False when it cannot."""
        assert self._process.stdout is not None
        try:
            return worker.receive(self._process.stdout) == worker.HELLO
        except (OSError, ValueError):
            return False

    @property
    def pid(self) -> int:
        return self._process.pid

    def read(self, batch: worker.Batch) -> Iterator[Reading]:
        """Yields the readings of a batch in its order; fewer when the process died."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        message = msgspec.msgpack.encode(batch)
        self.heard = time.monotonic()
        try:
            stdin.write(worker.LENGTH.pack(len(message)) + message)
            stdin.flush()
            for _ in batch.paths:
                answer = worker.receive(stdout)
                if answer is None:
                    return
                self.heard = time.monotonic()
                yield _decoder.decode(answer)
        except (OSError, ValueError, msgspec.MsgspecError):  # it died, or it was ended from outside
            return

    def kill(self) -> None:
        """Ends it at once. Safe from any thread."""
        self._process.kill()

    def close(self) -> None:
        """Ends it and waits for it; its pipes are closed."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            with contextlib.suppress(OSError):
                stream.close()


_decoder = msgspec.msgpack.Decoder(Reading)


class Pool:
    """Up to so many processes, started when there is work and ended when there is none.

    Args:
        workers: how many; 0 takes half of the cores that this process may use, at least one.
    """

    def __init__(self, workers: int = 0) -> None:
        self._size = workers or max(1, _cores() // 2)
        self._slots = threading.Semaphore(self._size)
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._busy: set[_Worker] = set()
        self._feeders: set[threading.Thread] = set()
        self._closed = False
        self._reads = 0
        self._rest: threading.Timer | None = None

    @property
    def pids(self) -> list[int]:
        """Of the processes that run now."""
        with self._lock:
            return [one.pid for one in (*self._idle, *self._busy)]

    def read(self, root: str, files: Sequence[tuple[str, int]], limit: int) -> Iterator[Reading]:
        """Reads files in no particular order. May be called by several threads at a time.

        A file whose worker dies is tried once more, alone; then it is left out with a reason. To give up
        early, close the iterator.

        Args:
            root: folder of the workspace.
            files: relative path and size in bytes of each.
            limit: bytes; larger files are left out.

        Raises:
            PoolError: no worker can be run.
        """
        job = _Job(root, limit, _batches(files))
        with self._lock:
            if self._closed:
                raise PoolError(_STOPPING)
            self._reads += 1
            if self._rest is not None:
                self._rest.cancel()
                self._rest = None
            self._feeders = {feeder for feeder in self._feeders if feeder.is_alive()}
            for _ in range(min(self._size, len(job.batches))):
                feeder = threading.Thread(
                    target=self._feed, args=(job,), name="code index feeder", daemon=True
                )
                feeder.start()
                self._feeders.add(feeder)
        try:
            missing = len(files)
            while missing:
                try:
                    reading = job.readings.get(timeout=1.0)
                except queue.Empty:
                    self._end_silent()
                    continue
                if isinstance(reading, PoolError):
                    raise reading
                missing -= 1
                yield reading
        finally:
            job.cancelled = True
            with self._lock:
                self._reads -= 1
                if not self._reads and not self._closed:
                    self._rest_soon()

    def close(self) -> None:
        """Ends all processes and the threads that feed them. Reads that go on get a `PoolError`."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            busy = list(self._busy)
            threads = list(self._feeders)
            if self._rest is not None:
                self._rest.cancel()
                threads.append(self._rest)
        for one in busy:
            one.kill()
        for one in idle:
            one.close()
        for thread in threads:
            thread.join(_ENDING)

    def _feed(self, job: _Job) -> None:
        while not job.cancelled:
            paths = job.take()
            if paths is None:
                return
            with self._slots:
                try:
                    self._run(job, paths)
                except PoolError as error:
                    job.readings.put(error)
                    return

    def _run(self, job: _Job, paths: list[str]) -> None:
        one = self._take()
        answered = 0
        try:
            for reading in one.read(worker.Batch(job.root, job.limit, paths)):
                answered += 1
                job.readings.put(reading)
                if job.cancelled:
                    break
        finally:
            self._give_back(one, whole=answered == len(paths))
        if job.cancelled:
            return
        if answered == len(paths):
            return
        culprit, rest = paths[answered], paths[answered + 1 :]
        if len(paths) == 1:
            log.info("the parser does not survive %s; the file is left out", culprit)
            job.readings.put(Reading(culprit, reason=Reason.PARSER.value))
        else:
            job.put([culprit])
        if rest:
            job.put(rest)

    def _take(self) -> _Worker:
        with self._lock:
            if self._closed:
                raise PoolError(_STOPPING)
            if self._idle:
                one = self._idle.pop()
                self._busy.add(one)
                return one
        try:
            one = _Worker()
        except OSError as error:
            raise PoolError(f"a process could not be started: {error.strerror}") from error
        with self._lock:
            closed = self._closed  # while the process was being started
            self._busy.add(one)
        if closed or not one.greet():
            self._give_back(one, whole=False)
            raise PoolError(_STOPPING if self._closed else "a process ended as soon as it started")
        return one

    def _give_back(self, one: _Worker, *, whole: bool) -> None:
        with self._lock:
            self._busy.discard(one)
            if whole and not self._closed:
                self._idle.append(one)
                return
        one.close()

    def _rest_soon(self) -> None:
        """Has the processes ended after a while. The lock is held."""
        self._rest = threading.Timer(_IDLE, self._end_idle)
        self._rest.daemon = True
        self._rest.start()

    def _end_idle(self) -> None:
        with self._lock:
            if self._reads or self._closed:
                return
            if self._busy:  # the last reading is handed over before its process is given back
                self._rest_soon()
                return
            idle, self._idle = self._idle, []
        for one in idle:
            one.close()

    def _end_silent(self) -> None:
        with self._lock:
            silent = [one for one in self._busy if time.monotonic() - one.heard > _SILENCE]
        for one in silent:
            one.kill()


class _Job:
    """The work of one `Pool.read`."""

    def __init__(self, root: str, limit: int, batches: deque[list[str]]) -> None:
        self.root = root
        self.limit = limit
        self.batches = batches
        self.readings: queue.SimpleQueue[Reading | PoolError] = queue.SimpleQueue()
        self.cancelled = False

    def take(self) -> list[str] | None:
        try:
            return self.batches.popleft()
        except IndexError:
            return None

    def put(self, paths: list[str]) -> None:
        """Takes work back. Only the feeder that took it may do so, before it takes more."""
        self.batches.append(paths)


def _batches(files: Sequence[tuple[str, int]]) -> deque[list[str]]:
    """Groups of files of about the same bytes; a large file is one by itself."""
    batches: deque[list[str]] = deque()
    batch: list[str] = []
    held = 0
    for path, size in files:
        if batch and (held + size > _BATCH_BYTES or len(batch) >= _BATCH_FILES):
            batches.append(batch)
            batch, held = [], 0
        batch.append(path)
        held += size
    if batch:
        batches.append(batch)
    return batches


def _cores() -> int:
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
