"""What all checks start from: the home, its configuration, and the engine if one runs."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lynkr_desktop.paths import Paths

if TYPE_CHECKING:
    from lynkr_desktop.cli.client import ControlClient
    from lynkr_desktop.cli.key_access import Keys as KeyAccess
    from lynkr_desktop.engine.config.loader import LoadedConfig
    from lynkr_desktop.engine.config.schema import Config
    from lynkr_desktop.protocol.control import EngineRuntime, EngineStatus
    from lynkr_desktop.protocol.keys import KeyList

_STATUS_S = 5.0
"""Seconds that an engine gets to tell its status."""

_KEYS_S = 20.0


class _Keys:
    """Where keys come from, asked once for all checks: a keyring that is locked may be slow to say so."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answer: KeyList | str | None = None

    def get(self, look: Look) -> KeyList | str:
        """The list, or why there is none."""
        from lynkr_desktop.cli.key_access import KeyFailure

        with self._lock:
            if self._answer is None:
                try:
                    self._answer = look.key_access().listing()
                except KeyFailure as error:
                    self._answer = str(error)
            return self._answer


@dataclass(frozen=True)
class Look:
    """The place to look at.

    Attributes:
        paths: its files; the configuration is the one that the engine uses, where it tells.
        environ: the environment of this command.
        online: whether other machines may be asked.
        config: the options of the file, or the defaults where it cannot be used.
        loaded: the file, None where it cannot be used.
        config_error: why it cannot.
        runtime: the engine that runs for this home.
        status: what it says of itself.
        unanswered: why it says nothing; empty where it does, or does not run.
        token_mode: of the token's file, before anything here read it; None where there is none.
        system: the root of the file system, for what a kernel tells in files.
    """

    paths: Paths
    environ: Mapping[str, str]
    online: bool
    config: Config
    loaded: LoadedConfig | None = None
    config_error: str = ""
    runtime: EngineRuntime | None = None
    status: EngineStatus | None = None
    unanswered: str = ""
    token_mode: int | None = None
    system: Path = Path("/")
    _keys: _Keys = field(default_factory=_Keys)

    @property
    def port(self) -> int:
        """The port of the engine: where it listens, else where it would; 0 for any."""
        return self.runtime.port if self.runtime is not None else self.config.proxy.port

    @property
    def local_only(self) -> bool:
        """Whether the profile in force lets nothing leave this machine."""
        from lynkr_desktop.engine.routing.profile import profiles_of
        from lynkr_desktop.engine.switches import Switches

        if self.status is not None:
            return self.status.profile.local_only
        switches = Switches(self.paths.state)
        switches.load()
        profiles = profiles_of(self.config.routing)
        return (profiles.get(switches.profile) or profiles[self.config.routing.profile]).local_only

    def keys(self) -> KeyList | str:
        """Where the keys of providers come from, or why that is not known."""
        if self.unanswered:
            return "The engine has them and does not answer."
        return self._keys.get(self)

    def key_access(self) -> KeyAccess:
        """The keys as the engine that runs has them, else as one that is started here would."""
        from lynkr_desktop.cli.key_access import EngineKeys, LocalKeys

        if self.runtime is not None:
            return EngineKeys(_client(self.paths, self.runtime, _KEYS_S))
        return LocalKeys(self.paths, self.config)


def look_around(paths: Paths, environ: Mapping[str, str], *, online: bool) -> Look:
    """Finds the engine and reads the configuration. Takes a few seconds at most, where the engine hangs."""
    from lynkr_desktop.engine.config.loader import ConfigError, load_config
    from lynkr_desktop.engine.config.schema import Config
    from lynkr_desktop.running import find_engine

    _load_modules()
    # What would be logged, the findings say.
    logging.getLogger("lynkr_desktop").addHandler(logging.NullHandler())
    look = Look(paths, environ, online, Config(), runtime=find_engine(paths), token_mode=_mode(paths.token))
    if look.runtime is not None:
        look = _ask_engine(look, look.runtime)
    try:
        loaded = load_config(look.paths.config)
        look = replace(look, config=loaded.config, loaded=loaded)
    except ConfigError as error:
        look = replace(look, config_error=str(error))
    _learn_secrets(look)
    return look


def _load_modules() -> None:
    """Loads what most checks need before their time begins. One that cannot be loaded is told by each."""
    with contextlib.suppress(ImportError):
        importlib.import_module("lynkr_desktop.cli.key_access")


def _ask_engine(look: Look, runtime: EngineRuntime) -> Look:
    from lynkr_desktop.cli.client import ControlFailure
    from lynkr_desktop.protocol.control import EngineStatus

    try:
        status = _client(look.paths, runtime, _STATUS_S).get("/v1/admin/status", EngineStatus)
    except ControlFailure as error:
        return replace(look, unanswered=str(error))
    return replace(look, status=status, paths=replace(look.paths, config=Path(status.config.path)))


def _client(paths: Paths, runtime: EngineRuntime, seconds: float) -> ControlClient:
    """`cli.client.connect` would close the token's file to others on its way, and a look changes nothing."""
    from lynkr_desktop.cli.client import ControlClient

    return ControlClient(runtime.port, _token(paths.token), timeout=seconds)


def _mode(file: Path) -> int | None:
    try:
        return file.lstat().st_mode
    except OSError:
        return None


def _learn_secrets(look: Look) -> None:
    """Has whatever is known to be secret left out of the findings."""
    from lynkr_desktop.engine.security.keys import usual_variables
    from lynkr_desktop.engine.security.redaction import KNOWN

    variables = {"LYNKR_TOKEN", "ANTHROPIC_AUTH_TOKEN"}
    for name, options in look.config.providers.items():
        variables.update((options.key_env,) if options.key_env else usual_variables(name))
        for value in options.headers.values():
            KNOWN.add(value)
    for variable in variables:
        KNOWN.add(look.environ.get(variable, "").strip())
    KNOWN.add(look.config.proxy.auth.token)
    if look.token_mode is not None and os.path.isfile(look.paths.token):
        KNOWN.add(_token(look.paths.token))


def _token(file: Path) -> str:
    """What stands in the token's file; empty where that cannot be read, or could be no header."""
    from lynkr_desktop.engine.security.token import USABLE

    try:
        with file.open("rb") as opened:
            content = opened.read(1024).decode("ascii", "replace").strip()
    except OSError:
        return ""
    return content if USABLE.fullmatch(content) else ""
