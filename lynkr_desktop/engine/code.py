"""The indices of code as the configuration wants them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lynkr_desktop.engine.analysis.limits import Limits
from lynkr_desktop.engine.analysis.workspaces import Workspaces
from lynkr_desktop.engine.config.schema import GraphifyOptions
from lynkr_desktop.paths import Paths


def workspaces_for(
    options: GraphifyOptions, paths: Paths, on_change: Callable[[], None]
) -> Workspaces | None:
    """The indices, still to be started; None where the configuration has code not looked at."""
    if not options.enabled:
        return None
    languages = frozenset("typescript" if name == "javascript" else name for name in options.languages)
    limits = Limits(languages=languages, roots=tuple(map(Path, options.roots)), files=options.max_files)
    return Workspaces(paths.cache / "code", limits, on_change)
