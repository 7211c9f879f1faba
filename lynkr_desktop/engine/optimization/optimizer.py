"""The pipelines of a configuration: which stages a request goes through, and where they run."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from hashlib import blake2b
from threading import Lock
from typing import NamedTuple, ParamSpec, TypeVar, get_args

from lynkr_desktop.engine.optimization.pipeline import Optimized, Pipeline
from lynkr_desktop.engine.optimization.stage import RESTORE, Stage
from lynkr_desktop.engine.optimization.stages import HEADROOM
from lynkr_desktop.engine.routing.sessions import CACHE_SECONDS
from lynkr_desktop.engine.wire.canonical import Message, Request, Text
from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.protocol.optimization import StageName

P = ParamSpec("P")
T = TypeVar("T")

HEADER = "x-lynkr-optimize"
"""`off`, or the stages for this request, parted by commas."""

STAGES: tuple[StageName, ...] = get_args(StageName)
CACHE: StageName = "sha256_lru_cache"
"""It answers instead of shortening, so the flow asks it before anything is sent; see `engine.cache`."""

_LONG = 12_000
"""Bytes of a request from which on its stages run in a thread, so that no other request waits."""

_CONVERSATIONS = 4_096
"""That are remembered; the ones that were silent for longest are forgotten."""

_workers = ThreadPoolExecutor(2, "stages")
"""More would gain nothing, for they share one interpreter, and each would take turns from the event loop."""


class _Conversation(NamedTuple):
    """Whether our tool goes along, and when it was last heard of."""

    tool: bool
    at: float


class Optimizer:
    """Takes requests through the stages that a profile, or the request itself, names.

    Args:
        makers: what makes each stage, by name; a stage is made when it is first used.
    """

    def __init__(self, makers: Mapping[StageName, Callable[[], Stage]]) -> None:
        self._makers = makers
        self._stages: dict[StageName, Stage] = {}
        self._pipelines: dict[tuple[StageName, ...], Pipeline] = {}
        self._making = Lock()
        self._known: OrderedDict[bytes, _Conversation] = OrderedDict()

    async def warm(self, pipelines: Iterable[Sequence[StageName]]) -> None:
        """Loads what these pipelines need, so that no request waits for it."""
        for names in set(map(tuple, pipelines)):
            if any(name in self._makers for name in names):
                await _in_thread(self._warmed, names)

    def idle(self, request: Request, stages: Sequence[StageName], window: int | None) -> bool:
        """Whether it can be told at once that these stages would change nothing; arguments as of `run`."""
        pipeline = self._pipelines.get(tuple(stages))
        return pipeline is not None and pipeline.idle(request, window)

    async def run(
        self, request: Request, stages: Sequence[StageName], size: int, window: int | None
    ) -> Optimized:
        """Shortens a request; what fails is skipped.

        Args:
            request: as the client sent it.
            stages: the names of the stages, in order.
            size: bytes of the request.
            window: tokens that the target takes, None where that is not known.
        """
        names = tuple(stages)
        pipeline = self._pipelines.get(names)
        if pipeline is None:
            pipeline = await _in_thread(self._pipeline, names)
        if not pipeline:
            return Optimized(request)
        key, tool = self._conversation(request)
        run = partial(pipeline.run, request, window, tool=tool)
        if HEADROOM in names:  # it waits most of its time, and others need not wait with it
            made = await asyncio.to_thread(run)
        elif size < _LONG:
            made = run()
        else:
            made = await _in_thread(run)
        self._known[key] = _Conversation(tool and RESTORE in made.inner, time.monotonic())
        self._known.move_to_end(key)
        if len(self._known) > _CONVERSATIONS:
            self._known.popitem(last=False)
        return made

    def _conversation(self, request: Request) -> tuple[bytes, bool]:
        """What names its conversation, and whether our tool may go along.

        A tool that comes later changes the beginning of the prompt, so it comes only where no provider has
        that beginning in its cache: with a conversation that is new here, or that was silent for long.
        """
        begins = "\0".join((request.system_text, *(message.text for message in request.messages[:1])))
        key = blake2b(begins.encode("utf-8", "replace"), digest_size=16).digest()
        known = self._known.get(key)
        return key, known is None or known.tool or time.monotonic() - known.at > CACHE_SECONDS

    def _warmed(self, names: tuple[StageName, ...]) -> None:
        self._pipeline(names).run(Request("", (Message("user", (Text(""),)),)))

    def _pipeline(self, names: tuple[StageName, ...]) -> Pipeline:
        with self._making:
            known = self._pipelines.get(names)
            if known is None:
                stages = [self._stage(name) for name in names if name in self._makers]
                known = self._pipelines[names] = Pipeline(stages)
        return known

    def _stage(self, name: StageName) -> Stage:
        if name not in self._stages:
            self._stages[name] = self._makers[name]()
        return self._stages[name]


async def _in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """`asyncio.to_thread`, by few threads."""
    call = partial(copy_context().run, work, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(_workers, call)


def stages_for(configured: Sequence[StageName], headers: Mapping[str, str]) -> tuple[StageName, ...]:
    """The stages of a request: those that its header names, else the configured ones.

    Raises:
        WireError: 400 for a stage that does not exist.
    """
    asked = headers.get(HEADER)
    if asked is None:
        return tuple(configured)
    names = [name.strip().lower() for name in asked.split(",") if name.strip()]
    if names in (["off"], ["none"], []):
        return ()
    by_name = {name: name for name in STAGES}
    for name in names:
        if name not in by_name:
            raise WireError(
                f"There is no stage {name[:40]!r}. {HEADER} takes `off`, or some of: {', '.join(STAGES)}.",
                status=400,
                kind="invalid_request",
            )
    return tuple(dict.fromkeys(by_name[name] for name in names if name in by_name))
