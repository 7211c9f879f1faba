"""The latest prompts that stages changed, as the client sent them and as they went to the model.

They are kept in memory, a bounded number of them: prompts are people's own, and long. Where a person asked
for it, all prompts are stored on the disk too.
"""

from __future__ import annotations

from collections import OrderedDict

from msgspec import Struct

from lynkr_desktop.engine.telemetry.prompt_store import PromptStore
from lynkr_desktop.engine.wire.canonical import Request

_MOST = 64
_MOST_BYTES = 32 * 1024 * 1024


class Kept(Struct, frozen=True):
    """One prompt; `size` in bytes, `asked` the engine's own tools that the model called."""

    before: Request
    after: Request
    size: int
    asked: tuple[str, ...]


class Prompts:
    """The shelf. The oldest ones go first.

    Args:
        stored: those on the disk.
    """

    def __init__(self, stored: PromptStore) -> None:
        self.stored = stored
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._size = 0

    def keep(self, id_: str, before: Request, after: Request, size: int, asked: tuple[str, ...]) -> None:
        """Takes a prompt; one that nothing changed is not worth it."""
        if before is after or id_ in self._kept:
            return
        self._kept[id_] = Kept(before, after, size, asked)
        self._size += size
        while len(self._kept) > _MOST or (self._size > _MOST_BYTES and len(self._kept) > 1):
            _, gone = self._kept.popitem(last=False)
            self._size -= gone.size

    def clear(self) -> None:
        """Lets go of all: somebody wants something forgotten that may stand in them."""
        self._kept.clear()
        self._size = 0
        self.stored.clear()

    def get(self, id_: str) -> Kept | None:
        """The prompt of that request, while it is kept."""
        return self._kept.get(id_)
