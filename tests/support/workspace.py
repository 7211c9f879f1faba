"""Workspaces under a temporary folder, and waiting for what becomes of them."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from lynkr_desktop.engine.analysis.index import WorkspaceIndex
from lynkr_desktop.engine.analysis.limits import Limits
from lynkr_desktop.engine.analysis.workspaces import Workspaces

DEADLINE = 20.0


def write(root: Path, files: dict[str, str]) -> Path:
    """Writes files by relative path; returns the root."""
    for path, content in files.items():
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content)
    return root


def git(root: Path, *arguments: str) -> str:
    """Runs git in a folder."""
    names = {
        f"GIT_{who}_{what}": "a@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    done = subprocess.run(
        ["git", "-c", "init.defaultBranch=main", "-c", "gc.auto=0", *arguments],
        cwd=root,
        env={**os.environ, **names, "GIT_CONFIG_NOSYSTEM": "1"},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stdout


class Stage:
    """`Workspaces` on the running loop, with a note of each change that it told."""

    def __init__(self, cache: Path, limits: Limits | None = None) -> None:
        self.told: list[float] = []
        self._change = asyncio.Event()
        self.workspaces = Workspaces(cache, limits or Limits(), self._changed)

    def _changed(self) -> None:
        self.told.append(asyncio.get_running_loop().time())
        self._change.set()

    async def until(self, condition: Callable[[], bool], within: float = DEADLINE) -> None:
        """Waits until a condition holds, looking after each change that is told."""
        async with asyncio.timeout(within):
            while not condition():
                self._change.clear()
                await self._change.wait()

    async def ready(self, folder: Path) -> WorkspaceIndex:
        """The index of a folder once it is through."""
        index = self.workspaces.at(folder)
        assert index is not None
        await self.until(lambda: index.status.state in ("ready", "limited", "failed"))
        return index


@asynccontextmanager
async def stage(cache: Path, limits: Limits | None = None) -> AsyncIterator[Stage]:
    """A started `Stage`, closed at the end."""
    one = Stage(cache, limits)
    await one.workspaces.start()
    try:
        yield one
    finally:
        await one.workspaces.close()
