"""What commands that work without an engine leave in its audit log."""

from __future__ import annotations

import sys
import time

from lynkr_desktop.paths import Paths

_WHO = "command"


def note(paths: Paths, what: str, detail: str = "") -> None:
    """Notes what a command did, in the words of the control API; where that fails, says so."""
    from lynkr_desktop.engine.config.access import AuditOptions
    from lynkr_desktop.engine.config.loader import ConfigError, load_config
    from lynkr_desktop.engine.security.audit import AuditFailure, AuditLog, Note

    try:
        options = load_config(paths.config).config.access.audit
    except ConfigError:
        # What was done was done, whether that file is in order or not.
        options = AuditOptions()
    try:
        AuditLog(paths.home, options).append(Note(time.time(), _WHO, what, detail))
    except AuditFailure as error:
        print(f"lynkr: it was done, but could not be noted. {error}", file=sys.stderr)
