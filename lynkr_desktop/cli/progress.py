"""How a download or an index stands, for people: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import time
from typing import TextIO

from lynkr_desktop.protocol.code import IndexStatus
from lynkr_desktop.protocol.control import LocalModel

_BAR = 30
_LINE_EVERY = 1.0


class Progress:
    """A bar that is drawn over on a terminal; elsewhere a line each second."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._bar = out.isatty()
        self._drawn = False
        self._last = 0.0

    def draw(self, share: float, text: str) -> None:
        """Shows that `share` of 0..1 is done, with a text beside the bar."""
        text = f"{share:4.0%}  {text}"
        if self._bar:
            filled = int(_BAR * share)
            self._out.write(f"\r[{'#' * filled}{' ' * (_BAR - filled)}] {text}\x1b[K")
            self._drawn = True
        elif time.monotonic() - self._last >= _LINE_EVERY:
            self._last = time.monotonic()
            self._out.write(f"{text.strip()}\n")
        self._out.flush()

    def end(self) -> None:
        """Leaves the bar's line."""
        if self._drawn:
            self._out.write("\n")
            self._drawn = False


class DownloadProgress(Progress):
    """How a download stands."""

    def show(self, model: LocalModel) -> None:
        """Shows where the download stands."""
        if model.state != "downloading" or not model.size:
            return
        share = model.received / model.size
        text = f"{size(model.received)} of {size(model.size)}"
        if model.received >= model.size:
            text += "  checking"
        elif model.bytes_per_s:
            left = (model.size - model.received) / model.bytes_per_s
            text += f"  {size(model.bytes_per_s)}/s  {duration(left)} left"
        self.draw(share, text)


class IndexProgress(Progress):
    """How the index of a workspace stands. Of one that is made in a moment nothing is left to see."""

    def __init__(self, out: TextIO) -> None:
        super().__init__(out)
        self._last = time.monotonic()

    def show(self, status: IndexStatus) -> None:
        """Shows where the index stands, while it is made."""
        if status.state == "waiting":
            self.draw(0.0, "waiting for its turn to be indexed")
        elif status.state == "indexing":
            share = status.done / status.total if status.total else 0.0
            self.draw(share, f"{status.done:,} of {status.total:,} files indexed")

    def end(self) -> None:
        """Takes the bar away."""
        if self._drawn:
            self._out.write("\r\x1b[K")
            self._out.flush()
            self._drawn = False


def size(count: float) -> str:
    """Bytes in the unit that reads best."""
    from lynkr_desktop.engine.providers.embedded.errors import size_text

    return size_text(count)


def duration(seconds: float) -> str:
    """Seconds in the unit that reads best."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
