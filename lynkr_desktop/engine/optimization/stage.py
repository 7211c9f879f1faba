"""What a stage of the pipeline is, and what it is given.

A stage is a function of the request alone: of a block and of what stands before it, never of what comes
after, of the time, or of earlier requests. Clients send the whole conversation with each turn, so the same
block comes out the same each time, and a provider's prompt cache goes on serving the prefix.

What a stage leaves out it keeps under a handle. Since the client sends it again with each turn, the originals
need to live no longer than the request.
"""

from __future__ import annotations

import abc
import time
from collections.abc import Callable
from hashlib import sha256

from msgspec import Struct

from lynkr_desktop.engine.wire.canonical import Json, Request, Tool
from lynkr_desktop.protocol.optimization import StageName

PATH = "lynkr:"
"""What the path of something that was left out begins with; its handle follows. See `readers`."""

RESTORE = "lynkr_restore"
"""The tool by which a model gets back what was left out where it has none that reads files or runs commands;
the engine answers it, the client never sees it."""

RESTORE_TOOL = Tool(
    RESTORE,
    f"Returns what was left out of this conversation, by its path, {PATH}r_…",
    {
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "find": {"type": "string", "description": "Words: only the lines with them."},
            "first_line": {"type": "integer"},
            "last_line": {"type": "integer"},
        },
        "required": ["id"],
    },
)


class Inner(Struct, frozen=True, kw_only=True):
    """What the engine says to the call of a tool of its own.

    Attributes:
        text: the answer that the model gets.
        call: one of the client's tools and its arguments: this is what the model meant, so the client gets
            this call in place of ours. Nothing is answered then.
    """

    text: str = ""
    call: tuple[str, Json] | None = None


InnerTool = Callable[[Json], Inner]
"""Answers a call by its arguments, whatever they hold. Must not fail."""


class OutOfTime(Exception):
    """A stage used up its time; what it did is thrown away."""


class Scene:
    """What a stage knows beside the request, and where it keeps what it leaves out.

    Attributes:
        restorable: whether the model can read what is left out. Where not, a stage must lose nothing.
        window: tokens that the target takes for prompt and answer; None where that is not known.
        originals: what was left out, by handle.
        inner: the engine's own tools that are offered to the model, by name, with what answers them.
        parted: a stage holds some of the client's tools back, or did in an earlier turn.
        did: what the stage did, in words for people, one entry per kind of thing.

    Args:
        count: tokens of a text.
        seconds: that a stage may take.
    """

    def __init__(
        self,
        *,
        count: Callable[[str], int],
        restorable: bool = False,
        window: int | None = None,
        seconds: float = 1.0,
    ) -> None:
        self.count = count
        self.restorable = restorable
        self.window = window
        self.originals: dict[str, str] = {}
        self.inner: dict[str, tuple[Tool, InnerTool]] = {}
        self.parted = False
        self.did: list[str] = []
        self._seconds = seconds
        self._deadline = time.perf_counter() + seconds

    def begin(self) -> None:
        """Gives the next stage its time."""
        self.did = []
        self._deadline = time.perf_counter() + self._seconds

    def check_time(self) -> None:
        """Raises `OutOfTime` where the stage took too long; to be called between blocks."""
        if time.perf_counter() > self._deadline:
            raise OutOfTime

    def offer(self, tool: Tool, answer: InnerTool) -> None:
        """Offers a tool that the engine answers itself; the client never sees it. The pipeline puts it behind
        the client's own."""
        self.inner[tool.name] = tool, answer

    def keep(self, original: str) -> str:
        """Keeps a text and returns its handle, the same for the same text."""
        handle = handle_of(original)
        self.originals[handle] = original
        return handle


def handle_of(original: str) -> str:
    """The handle under which a scene keeps a text."""
    return f"r_{sha256(original.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"


def left_out(what: str, handle: str) -> str:
    """The line that stands where something was left out.

    Args:
        what: for instance `212 lines`.
        handle: under which it is kept.
    """
    return f'[{what} left out; read "{PATH}{handle}" for all of it]'


class Stage(abc.ABC):
    """One named stage. It holds no state that its results depend on."""

    name: StageName

    def idle(self, request: Request, window: int | None) -> bool:
        """Whether it can be told at once that there is nothing for it to do.

        Args:
            request: that offers no tools.
            window: tokens that the target takes, None where that is not known.
        """
        return False

    @abc.abstractmethod
    def apply(self, request: Request, scene: Scene) -> Request:
        """The request, smaller; the same object where there is nothing to do.

        The system prompt and the words of a person in the last turn stay byte for byte; every tool call
        keeps its result, in order; what tool_choice or the history names stays offered.
        """
