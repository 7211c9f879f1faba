"""The models on an Ollama server's disk: what is installed, and what is being fetched."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

import msgspec
from msgspec import Struct

from lynkr_desktop.engine.providers.base import ModelInfo
from lynkr_desktop.engine.providers.ollama_catalog import (
    Facts,
    Installed,
    OllamaCatalog,
    Snapshot,
    short_name,
)
from lynkr_desktop.engine.providers.ollama_library import SUCCESS, OllamaLibrary, PullProgress
from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.engine.wire.fields import NOT_JSON
from lynkr_desktop.protocol.control import LocalModel, LocalModelState, ModelFacts

log = logging.getLogger(__name__)

_REPORT_EVERY_S = 0.25


class _Shown(Struct):
    license: str = ""
    parameters: str = ""
    template: str = ""
    system: str = ""


class OllamaStore:
    """The models of one server. Its pulls go on when whoever asked for them is gone.

    Args:
        provider: the provider's name, which stands before those of its models.
        catalog: what is installed and loaded.
        library: the server's calls.
        on_pull: called with a model at most four times a second while it is fetched, and at its end.
    """

    def __init__(
        self,
        provider: str,
        catalog: OllamaCatalog,
        library: OllamaLibrary,
        on_pull: Callable[[LocalModel], None] = lambda _: None,
    ) -> None:
        self._provider = provider
        self._catalog = catalog
        self._library = library
        self._on_pull = on_pull
        self._pulls: dict[str, asyncio.Task[None]] = {}
        self._progress: dict[str, PullProgress] = {}
        self._failed: dict[str, str] = {}

    # ------------------------------------------------------------ what is there

    async def infos(self) -> list[ModelInfo]:
        """The installed models with their facts, newest first."""
        snapshot = await self._catalog.snapshot()
        installed = list(snapshot.installed.values())
        facts = await asyncio.gather(*map(self._catalog.facts, installed))
        return [_model_info(model, known, snapshot) for model, known in zip(installed, facts, strict=True)]

    async def list(self) -> tuple[LocalModel, ...]:
        """What is installed, what is being fetched, and what could not be."""
        models = {model.title: model for model in map(self._installed, await self.infos())}
        for name, error in self._failed.items():
            # What is installed stays of use when a newer one could not be fetched.
            known = models.get(name)
            models[name] = msgspec.structs.replace(known, error=error) if known else self._pulled(name)
        models |= {name: self._pulled(name) for name in self._progress}
        return tuple(models.values())

    async def facts(self, model: str) -> ModelFacts:
        """What is known of one model. Raises `WireError` 404."""
        answer = await self._library.show(model)
        try:
            shown = msgspec.json.decode(answer, type=_Shown)
        except NOT_JSON as error:
            raise WireError("What answers is not Ollama, or is broken. Check the URL.") from error
        name = short_name(model)
        infos = (info for info in await self.infos() if info.id.casefold() == name.casefold())
        return ModelFacts(
            model=self._installed(next(infos, ModelInfo(name))),
            licence=shown.license,
            options=shown.parameters,
            template=shown.template,
            system=shown.system,
        )

    # ------------------------------------------------------------ fetching and removing

    def start_pull(self, model: str) -> asyncio.Task[None]:
        """Begins to fetch a model, or joins the pull that runs. The task fails with a `WireError`."""
        name = short_name(model)
        if name not in self._pulls:
            self._failed.pop(name, None)
            self._progress[name] = PullProgress()
            task = self._pulls[name] = asyncio.create_task(self._pull(name), name=f"pull {name}")
            task.add_done_callback(lambda done: self._ended(name, done))
            self._on_pull(self._pulled(name))
        return self._pulls[name]

    def cancel_pull(self, model: str) -> bool:
        """Ends a pull; False when there is none. What has arrived is kept by Ollama."""
        task = self._pulls.get(short_name(model))
        return task is not None and task.cancel()

    async def remove(self, model: str) -> None:
        """Deletes a model, or the note of a pull that failed.

        Raises:
            WireError: 404 no such model, 409 it is being fetched.
        """
        name = short_name(model)
        if name in self._pulls:
            message = f"{name} is being fetched. Stop that first."
            raise WireError(message, status=409, kind="invalid_request", param="model")
        if self._failed.pop(name, None) is None:
            await self._library.delete(model)
            self._catalog.forget()

    async def close(self) -> None:
        """Ends every pull."""
        tasks = list(self._pulls.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _pull(self, name: str) -> None:
        told = 0.0
        async for progress in self._library.pull(name):
            self._progress[name] = progress
            if time.monotonic() - told >= _REPORT_EVERY_S:
                told = time.monotonic()
                self._on_pull(self._pulled(name))

    def _ended(self, name: str, task: asyncio.Task[None]) -> None:
        del self._pulls[name]
        self._catalog.forget()
        error = None if task.cancelled() else task.exception()
        if isinstance(error, WireError):
            self._failed[name] = error.message
            log.warning("%s was not fetched: %s", name, error.message)
        elif error is not None:
            self._failed[name] = "Lynkr failed inside. Its log has the details."
            log.error("the pull of %s failed", name, exc_info=error)
        if error is not None or task.cancelled():
            del self._progress[name]
        self._on_pull(self._pulled(name))
        self._progress.pop(name, None)

    # ------------------------------------------------------------ shapes

    def _installed(self, info: ModelInfo) -> LocalModel:
        return LocalModel(
            id=f"{self._provider}/{info.id}",
            title=info.id,
            licence="",
            publisher="",
            size=info.size or 0,
            state="loaded" if info.loaded else "installed",
            received=info.size or 0,
            provider=self._provider,
            parameters=info.parameters,
            quantization=info.quantization,
            context_length=info.context_length or 0,
            capabilities=tuple(sorted(info.capabilities)),
            vram=info.vram,
            expires=info.expires,
        )

    def _pulled(self, name: str) -> LocalModel:
        """A model as its pull stands."""
        progress, error = self._progress.get(name), self._failed.get(name, "")
        state: LocalModelState = "failed" if error else "absent"
        if progress is not None:
            state = "installed" if progress.status == SUCCESS else "downloading"
        progress = progress or PullProgress()
        return LocalModel(
            id=f"{self._provider}/{name}",
            title=name,
            licence="",
            publisher="",
            size=progress.size,
            state=state,
            received=progress.received,
            bytes_per_s=progress.bytes_per_s,
            error=error,
            provider=self._provider,
        )


def _model_info(model: Installed, facts: Facts, snapshot: Snapshot) -> ModelInfo:
    vram, expires = snapshot.memory.get(model.name, (0, 0.0))
    return ModelInfo(
        id=short_name(model.name),
        context_length=facts.context_length,
        capabilities=facts.capabilities or frozenset(),
        size=model.size or None,
        loaded=model.name in snapshot.loaded,
        created=model.modified,
        family=model.family,
        parameters=model.parameters,
        quantization=model.quantization,
        digest=model.digest,
        vram=vram,
        expires=expires,
    )
