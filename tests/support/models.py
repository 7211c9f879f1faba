"""Real local models for tests: fetched once by our own download code into .test-env/models.

`python -m tests.support.models` fetches both beforehand and shows the progress.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lynkr_desktop.cli.progress import DownloadProgress
from lynkr_desktop.engine.providers.embedded.catalog import GEMMA, QWEN
from lynkr_desktop.engine.providers.embedded.errors import ModelError
from lynkr_desktop.engine.providers.embedded.store import ModelStore, Progress

FOLDER = Path(__file__).resolve().parents[2] / ".test-env" / "models"


def cached_model(model_id: str = GEMMA.id, on_progress: Progress | None = None) -> Path:
    """The GGUF file of a real model; fetches it when it is absent. May be called while a loop runs."""
    store = ModelStore(FOLDER)
    found = store.path(model_id)
    if found is not None:
        return found
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(store.pull(model_id, on_progress))).result()


def install_model(models_dir: Path, model_id: str = GEMMA.id) -> Path:
    """Puts a real model into a test's models folder: as a link where the disk allows, else as a copy."""
    source = cached_model(model_id)
    target = models_dir / source.name
    models_dir.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
    return target


def main() -> int:
    """Fetches every model."""
    for entry in (GEMMA, QWEN):
        progress = DownloadProgress(sys.stdout)
        print(f"{entry.title}: {entry.licence}; {entry.publisher}", flush=True)
        try:
            cached_model(entry.id, progress.show)
        except ModelError as error:
            print(error, file=sys.stderr)
            return 1
        finally:
            progress.end()
    return 0


if __name__ == "__main__":
    sys.exit(main())
