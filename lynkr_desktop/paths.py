"""Where Lynkr keeps its things: the only place that knows the platform's folders.

The engine, the command line and the tray all resolve the same `Paths`, so they meet in the same files
without talking to each other first. Nothing here touches the disk.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import platformdirs

CONFIG_NAME = "lynkr-routing.yaml"


@dataclass(frozen=True)
class Paths:
    """The files of one installation.

    Attributes:
        home: holds everything that the app writes except logs and models.
        config: the YAML file; it may be absent, then the defaults apply.
        logs: folder of the rotating logs.
        models: folder of downloaded GGUF files.
        cache: folder of what can be made anew, such as the facts of indexed code.
    """

    home: Path
    config: Path
    logs: Path
    models: Path
    cache: Path

    @property
    def token(self) -> Path:
        """The generated access token, mode 0600."""
        return self.home / "token"

    @property
    def access(self) -> Path:
        """The access keys beside the token, as hashes, mode 0600."""
        return self.home / "access.json"

    @property
    def state(self) -> Path:
        """What a person switched while running (tiers), as JSON."""
        return self.home / "state.json"

    @property
    def sessions(self) -> Path:
        """The sessions of agents that were paused, resumed or ended, as JSON."""
        return self.home / "sessions.json"

    @property
    def budgets(self) -> Path:
        """What people added to budgets or reset, as JSON."""
        return self.home / "budgets.json"

    @property
    def runtime(self) -> Path:
        """Tells other processes of ours which engine runs: `protocol.runtime.EngineRuntime` as JSON."""
        return self.home / "engine.json"

    @property
    def engine_log(self) -> Path:
        """The engine's own log."""
        return self.logs / "engine.log"


def resolve_paths(
    home: str | Path | None = None,
    config: str | Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Paths:
    """Resolves the folders: arguments first, then LYNKR_HOME and LYNKR_CONFIG, then the platform's own.

    An explicit home holds everything, so that two homes never share a file.
    """
    env = os.environ if environ is None else environ
    chosen_home = home or env.get("LYNKR_HOME")
    chosen_config = config or env.get("LYNKR_CONFIG")
    if chosen_home:
        root = Path(chosen_home).expanduser().absolute()
        paths = Paths(
            home=root,
            config=root / CONFIG_NAME,
            logs=root / "logs",
            models=root / "models",
            cache=root / "cache",
        )
    else:
        dirs = platformdirs.PlatformDirs("lynkr", appauthor=False)
        data = Path(dirs.user_data_dir)
        paths = Paths(
            home=data,
            config=Path(dirs.user_config_dir) / CONFIG_NAME,
            logs=Path(dirs.user_log_dir),
            models=data / "models",
            cache=Path(dirs.user_cache_dir),
        )
    if chosen_config:
        return replace(paths, config=Path(chosen_config).expanduser().absolute())
    return paths
