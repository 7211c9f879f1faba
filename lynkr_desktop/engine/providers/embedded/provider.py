"""The embedded provider: local models in a worker process, without any other program."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from lynkr_desktop.engine.config.schema import EmbeddedOptions, ProviderOptions
from lynkr_desktop.engine.providers.base import Answer, Availability, Call, ModelInfo, Provider
from lynkr_desktop.engine.providers.embedded.errors import ModelError, size_text
from lynkr_desktop.engine.providers.embedded.process import MISSING, Worker, llama_installed
from lynkr_desktop.engine.providers.embedded.runner import (
    Lease,
    Loaded,
    ModelRunner,
    ModelSpec,
    Target,
    target_name,
)
from lynkr_desktop.engine.providers.embedded.store import AUTO, ModelStore
from lynkr_desktop.engine.providers.http import SessionFactory
from lynkr_desktop.engine.providers.key import ProviderKey
from lynkr_desktop.engine.providers.openai_compatible import OpenAICompatibleProvider
from lynkr_desktop.engine.wire.canonical import Event, Failed, Need, Stopped, ToolChoice
from lynkr_desktop.engine.wire.errors import Unsupported, WireError
from lynkr_desktop.protocol.control import LocalModel

_PULL_WAIT = 600.0
"""Seconds that a request waits for the download of its model."""

_FIRST_BYTE = 3600.0
"""Requests are answered one by one, and a prompt of 19,000 tokens takes six minutes on two slow cores."""

_OVERFLOW = re.compile(r"request \((\d+) tokens\) exceeds the available context size \((\d+) tokens\)")


class EmbeddedProvider(Provider):
    """Local models, one in memory at a time.

    The model names are `auto` (what the option `embedded.model` says), the ids of the catalog, and absolute
    paths of GGUF files. A model is loaded by its first request and unloaded after `embedded.idle_timeout`.

    Args:
        options: the group `embedded` of the configuration.
        store: the models folder.
        session: gives the shared HTTP session.
        on_change: called whenever `local_models()` would show something new, on the event loop. While a
            download runs that is at most four times a second.
    """

    name = "embedded"
    kind = "embedded"
    local = True
    free = True
    text_tool_calls = True

    def __init__(
        self,
        *,
        options: EmbeddedOptions,
        store: ModelStore,
        session: SessionFactory,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self._options = options
        self._store = store
        self._session = session
        self._on_change = on_change
        self._runner = ModelRunner(idle_timeout=options.idle_timeout, on_change=on_change)
        self._upstream: tuple[Worker, Provider] | None = None

    # ------------------------------------------------------------ what is there

    async def availability(self, model: str = "", needs: frozenset[Need] = frozenset()) -> Availability:
        """Whether `model` could answer, without loading it."""
        if not llama_installed():
            return Availability("unavailable", MISSING)
        try:
            target = self._resolve(model)
        except ModelError as error:
            return Availability("unavailable", error.message)
        name = str(target)
        if target == self._runner.target:
            return Availability("loaded", model=name)
        if target == self._runner.loading:
            return Availability("loading", model=name)
        if self._path(target) is not None:
            return Availability("ready", model=name)
        if isinstance(target, Path):
            return Availability("unavailable", f"There is no file {target}.", model=name)
        shown = self._store.describe(target)
        if shown.state == "downloading":
            return Availability("downloading", _progress(shown), model=name)
        return Availability("unavailable", _absent(shown), model=name)

    async def models(self) -> list[ModelInfo]:
        """The installed models, and the GGUF file that the configuration names."""
        if not llama_installed():
            return []
        offered = [
            ModelInfo(
                entry.id,
                context_length=min(self._options.context, entry.context),
                capabilities=entry.capabilities,
                size=entry.size,
                loaded=entry.id == self._runner.target,
            )
            for entry in self._store.catalog.values()
            if self._store.path(entry.id) is not None
        ]
        own = [
            ModelInfo(str(path), size=path.stat().st_size, loaded=path == self._runner.target)
            for path in self._own_files()
        ]
        return offered + own

    def local_models(self) -> tuple[LocalModel, ...]:
        """Every model on offer and the person's own file, with what is in memory."""
        offered = [self._with_load_state(model, model.id) for model in self._store.list()]
        own = [self._with_load_state(_own_model(path), path) for path in self._own_files()]
        return tuple(offered + own)

    def _with_load_state(self, model: LocalModel, target: Target) -> LocalModel:
        if target == self._runner.target:
            return msgspec.structs.replace(model, state="loaded")
        if target == self._runner.loading:
            return msgspec.structs.replace(model, state="loading")
        error = self._runner.load_errors.get(target)
        if model.state == "installed" and error:
            return msgspec.structs.replace(model, state="failed", error=error)
        return model

    def _own_files(self) -> list[Path]:
        """GGUF files outside the catalog that are configured or in memory."""
        targets = {self._runner.target}
        with contextlib.suppress(ModelError):
            targets.add(self._resolve(AUTO))
        return sorted(target for target in targets if isinstance(target, Path) and target.is_file())

    def _resolve(self, model: str) -> Target:
        return self._store.resolve(self._options.model if model in ("", AUTO) else model)

    def _path(self, target: Target) -> Path | None:
        if isinstance(target, Path):
            return target if target.is_file() else None
        return self._store.path(target)

    # ------------------------------------------------------------ downloads

    def start_pull(self, model_id: str) -> None:
        """Begins a download, or joins the one that runs; `local_models()` shows how it goes.

        Raises:
            ModelError: 404, unknown model.
        """
        self._store.start_pull(model_id, lambda _: self._on_change())

    def cancel_pull(self, model_id: str) -> bool:
        """Ends a download of this engine; False when there is none."""
        return self._store.cancel(self._store.recommended() if model_id == AUTO else model_id)

    async def remove(self, model_id: str) -> int:
        """Deletes a model; one that is loaded and idle is unloaded first. Returns the bytes freed.

        Raises:
            ModelError: 409 in use, 404 not there.
        """
        await self._runner.unload(model_id)
        freed = await asyncio.to_thread(self._store.remove, model_id)
        self._runner.load_errors.pop(model_id, None)
        self._on_change()
        return freed

    async def load(self, model: str, keep_alive: str | float | None = None) -> None:
        """Loads a model; how long it stays is for `embedded.idle_timeout` to say.

        Raises:
            WireError: 404 unknown model, 503 it is not there.
        """
        if not llama_installed():
            raise ModelError(MISSING)
        target = self._resolve(model)
        spec = self._spec(target, await self._wait_for_file(target))
        (await self._runner.acquire(spec)).release()

    async def unload(self, model: str) -> None:
        """Takes a model out of memory. Raises `ModelError` 409 while it is at work."""
        await self._runner.unload(self._resolve(model))
        self._on_change()

    # ------------------------------------------------------------ requests

    async def send(self, call: Call) -> Answer:
        """Answers from the model, once it is downloaded and loaded.

        Raises:
            WireError: 400 the prompt is too long, 404 unknown model, 502 the worker broke, 503 the model is
                not there or is still being downloaded.
        """
        if not llama_installed():
            raise ModelError(MISSING)
        target = self._resolve(call.model)
        fitted = self._fit(replace(call, model=target_name(target)), target)
        lease = await self._runner.acquire(self._spec(target, await self._wait_for_file(target)))
        try:
            upstream = await self._upstream_of(lease.loaded.worker)
            return _LeasedAnswer(await upstream.send(fitted.call), lease, fitted)
        except BaseException as error:
            lease.release()
            if isinstance(error, WireError):
                raise await _explain(error, lease.loaded) from error
            raise

    async def close(self) -> None:
        """Ends the worker. Downloads belong to the store: they outlive a change of the configuration."""
        await self._runner.close()

    async def _wait_for_file(self, target: Target) -> Path:
        """The model's file; waits while it is being downloaded, by us or by another process."""
        if isinstance(target, Path):
            if not target.is_file():
                raise ModelError(f"There is no file {target}.", status=404)
            return target
        clock = asyncio.get_running_loop().time
        deadline = clock() + _PULL_WAIT
        while (path := self._store.path(target)) is None:
            shown = self._store.describe(target)
            if not self._store.pulling(target):
                raise ModelError(_absent(shown))
            if clock() > deadline:
                raise ModelError(_progress(shown), retry_after=_seconds_left(shown))
            await asyncio.sleep(0.5)
        return path

    def _spec(self, target: Target, path: Path) -> ModelSpec:
        context, threads = self._options.context, self._options.threads
        if isinstance(target, Path):
            return ModelSpec(target, path, context, threads, hold=lambda: lambda: None)
        context = min(context, self._store.catalog[target].context)
        return ModelSpec(target, path, context, threads, hold=lambda: self._store.hold(target))

    def _fit(self, call: Call, target: Target) -> _Fitted:
        """Takes out of a request what a model of the catalog is known not to understand."""
        if isinstance(target, Path):
            return _Fitted(call)
        entry, request = self._store.catalog[target], call.request
        dropped: tuple[str, ...] = ()
        if request.tools and "tools" not in entry.capabilities:
            if request.tool_choice.kind in ("required", "named"):
                raise Unsupported(f"{entry.id} cannot call tools.", "tool_choice")
            request = msgspec.structs.replace(request, tools=(), tool_choice=ToolChoice())
            dropped = ("tools",)
        limit = entry.answer_limit
        limited = limit is not None and (request.max_tokens or limit + 1) > limit
        if limited:
            dropped += ("max_tokens",) if request.max_tokens is not None else ()
            request = msgspec.structs.replace(request, max_tokens=limit)
        if request is call.request:
            return _Fitted(call)
        # The client's own bytes still hold what was taken out, so they may not be forwarded.
        return _Fitted(replace(call, request=request, dialect=None), dropped, ends_at_limit=limited)

    async def _upstream_of(self, worker: Worker) -> Provider:
        if self._upstream is not None and self._upstream[0] is worker:
            return self._upstream[1]
        options = ProviderOptions(
            base_url=worker.base_url,
            # llama.cpp closes connections that it has called reusable.
            headers={"connection": "close"},
            first_byte_timeout=_FIRST_BYTE,
            stall_timeout=_FIRST_BYTE,
        )
        upstream = OpenAICompatibleProvider(
            name=self.name,
            kind="openai_compatible",
            options=options,
            session=self._session,
            key=ProviderKey(lambda: worker.key),
        )
        await upstream.start()
        self._upstream = (worker, upstream)
        return upstream


@dataclass(frozen=True, slots=True)
class _Fitted:
    """A request as a model can take it.

    Attributes:
        dropped: fields that were taken out.
        ends_at_limit: the limit is ours, so reaching it ends the answer; the client's max_tokens is not met.
    """

    call: Call
    dropped: tuple[str, ...] = ()
    ends_at_limit: bool = False


class _LeasedAnswer(Answer):
    """An answer that keeps its model in memory until it is closed, and that names a crash."""

    def __init__(self, inner: Answer, lease: Lease, fitted: _Fitted) -> None:
        self._inner = inner
        self._lease = lease
        self._ends_at_limit = fitted.ends_at_limit
        self.dialect = inner.dialect if fitted.call.dialect else None
        self.content_type = inner.content_type
        self.dropped = (*fitted.dropped, *inner.dropped)

    async def __aiter__(self) -> AsyncIterator[tuple[bytes, list[Event]]]:
        """The reply, piece by piece."""
        async for raw, events in self._inner:
            if events and isinstance(events[-1], Failed) and await self._lease.loaded.crashed():
                yield raw, [*events[:-1], Failed(_crash(self._lease.loaded))]
            elif self._ends_at_limit:
                yield raw, [_ended(event) for event in events]
            else:
                yield raw, events

    async def close(self) -> None:
        """Ends it; the model may then be unloaded."""
        try:
            await self._inner.close()
        finally:
            self._lease.release()


def _ended(event: Event) -> Event:
    if isinstance(event, Stopped) and event.reason == "max_tokens":
        return Stopped("end_turn", event.usage)
    return event


async def _explain(error: WireError, loaded: Loaded) -> WireError:
    """An error of llama.cpp's server, in words for the client."""
    if found := _OVERFLOW.search(error.message):
        return Unsupported(
            f"The prompt has {found[1]} tokens and the context window of {loaded.spec.name} holds "
            f"{found[2]}. Shorten the conversation, or use a model with a larger window."
        )
    if error.status in (502, 503) and await loaded.crashed():
        return WireError(_crash(loaded))
    return error


def _crash(loaded: Loaded) -> str:
    return (
        f"The local model {loaded.spec.name} stopped in the midst of its work; often memory ran short. Your "
        "next request loads it again. If it happens again, close other programs or choose a smaller model."
    )


def _absent(model: LocalModel) -> str:
    if model.error:
        return f"{model.id} is not installed: {model.error} To try again, run `lynkr models pull {model.id}`."
    return f"{model.id} is not downloaded yet ({size_text(model.size)}). Run `lynkr models pull {model.id}`."


def _seconds_left(model: LocalModel) -> float:
    return (model.size - model.received) / model.bytes_per_s if model.bytes_per_s else 60.0


def _progress(model: LocalModel) -> str:
    percent = int(100 * model.received / model.size)
    left = f", about {_seconds_left(model):.0f} s left" if model.bytes_per_s else ""
    return f"{model.id} is being downloaded: {percent} % of {size_text(model.size)}{left}."


def _own_model(path: Path) -> LocalModel:
    size = path.stat().st_size
    return LocalModel(
        id=str(path),
        title=path.name,
        licence="",
        publisher="your own file",
        size=size,
        state="installed",
        received=size,
        path=str(path),
    )
