"""The access token: where it comes from, where the tray and the command line find it, how it is compared."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path

from lynkr_desktop.engine.security.private_file import write_private
from lynkr_desktop.paths import Paths

log = logging.getLogger(__name__)

USABLE = re.compile(r"[\x21-\x7e]{8,512}")
"""What a header can carry and a person can copy: printable ASCII without blanks."""

_RULE = "it needs 8 to 512 printable ASCII characters without blanks"


class TokenError(Exception):
    """The token cannot be used or kept. The message says why and what to do, without the token."""


def resolve_token(paths: Paths, config_token: str | None, environ: Mapping[str, str]) -> str:
    """Finds the token in force and leaves it in `paths.token`, mode 0600, for the tray and the command line.

    LYNKR_TOKEN comes first, then `proxy.auth.token`, then the file; where none is there, one is generated.

    Raises:
        TokenError: the token has the wrong form, or its file cannot be written safely.
    """
    given = environ.get("LYNKR_TOKEN", "").strip()
    for token, source in ((given, "LYNKR_TOKEN"), (config_token, "proxy.auth.token")):
        if token:
            if not USABLE.fullmatch(token):
                raise TokenError(f"The token in {source} cannot be used: {_RULE}.")
            if _kept(paths.token) != token:
                _write(paths.token, token, replace=True)
            return token
    kept = _kept(paths.token)
    if kept:
        return kept
    token = "lk_" + secrets.token_urlsafe(32)
    _write(paths.token, token, replace=False)
    # Another engine may have been quicker; then its token counts.
    return _kept(paths.token) or token


def read_token(path: Path) -> str | None:
    """The token in force, for those who talk to the engine; None when there is none that can be read."""
    try:
        return _kept(path)
    except TokenError:
        return None


def digest(secret: str) -> bytes:
    """The SHA-256 of any text: of tokens and keys only these are compared, which are all of one length."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _kept(path: Path) -> str | None:
    """The token in the file; None when there is no file or no token in it."""
    try:
        mode = path.lstat().st_mode
        if not stat.S_ISREG(mode):
            kind = "a link" if stat.S_ISLNK(mode) else "a folder" if stat.S_ISDIR(mode) else "no regular file"
            raise TokenError(f"{path} is {kind}, so no token can be kept there. Remove it and start again.")
        if os.name == "posix" and mode & 0o077:
            log.warning("%s could be read by other users; it is closed to them now", path)
            path.chmod(0o600)
        with path.open("rb") as file:
            content = file.read(1024)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise TokenError(f"{path} cannot be read: {error.strerror}. Check who owns it.") from error
    token = content.decode("ascii", "replace").strip()
    return token if USABLE.fullmatch(token) else None


def _write(path: Path, token: str, *, replace: bool) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(path, token.encode("ascii") + b"\n", put=os.replace if replace else _add)
    except OSError as error:
        raise TokenError(
            f"The token cannot be kept in {path}: {error.strerror}. "
            "Make the folder writable or set LYNKR_HOME."
        ) from error


def _add(temporary: Path, path: Path) -> None:
    """Puts the file in place unless a token is there already, as far as the file system can tell."""
    if not path.exists() or _kept(path) is not None:
        try:
            os.link(temporary, path)
            return
        except FileExistsError:
            return
        except OSError:
            log.debug("no hard links at %s", path)
    os.replace(temporary, path)
