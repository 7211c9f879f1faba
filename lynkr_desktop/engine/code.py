"""The indices of code as the configuration wants them, and the one for a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lynkr_desktop.engine.analysis.index import WorkspaceIndex
from lynkr_desktop.engine.analysis.indexing import OnFiles
from lynkr_desktop.engine.analysis.limits import Limits
from lynkr_desktop.engine.analysis.workspaces import Workspaces
from lynkr_desktop.engine.config.schema import GraphifyOptions
from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.paths import Paths

OFF = "Code is not looked at. Set routing.analysis.graphify.enabled to true first."


def workspaces_for(
    options: GraphifyOptions,
    paths: Paths,
    on_change: Callable[[], None],
    on_files: OnFiles | None = None,
) -> Workspaces | None:
    """The indices, still to be started; None where the configuration has code not looked at."""
    if not options.enabled:
        return None
    languages = frozenset("typescript" if name == "javascript" else name for name in options.languages)
    limits = Limits(languages=languages, roots=tuple(map(Path, options.roots)), files=options.max_files)
    return Workspaces(paths.cache / "code", limits, on_change, on_files)


def index_of(workspaces: Workspaces, folder: Path) -> WorkspaceIndex:
    """The index for a folder; indexing begins at first sight.

    Raises:
        WireError: 400 where the folder is not there or may not be indexed.
    """
    why = workspaces.refusal(folder)
    index = None if why else workspaces.at(folder)
    if index is None:
        message = (
            why or f"{str(folder)[:300]!r} cannot be indexed now, since the engine is starting or stopping."
        )
        raise WireError(message, status=400, kind="invalid_request", param="workspace")
    return index
