"""Access tokens of Google Cloud, by google-auth: a service account, or what `gcloud` has signed in.

google-auth is only loaded when a provider needs it, and runs in a thread: it reads files and asks servers.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

SCOPE = "https://www.googleapis.com/auth/cloud-platform"

_FRESH_ENOUGH = 300.0
"""Seconds that a token must still be good for."""

_ABSENT_FOR = 60.0
"""Seconds after which credentials that were not there are looked for again."""

_FILE = "application_default_credentials.json"
_HELP = (
    "Run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS to the key file of a "
    "service account"
)


class GoogleProblem(Exception):
    """No token can be had; the message says why and what to do, without secrets."""


@dataclass(slots=True)
class _Found:
    """What was found, or why nothing was."""

    credentials: Credentials | None = field(default=None, repr=False)
    project: str = ""
    problem: str = ""
    at: float = 0.0


class GoogleAccess:
    """Finds credentials where Google's own tools look, and keeps a token that is good.

    Args:
        environ: the environment.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._lock = asyncio.Lock()
        self._found: _Found | None = None
        self._token: tuple[str, float] | None = None

    @property
    def configured(self) -> bool:
        """Whether the environment names a key file."""
        return bool(self._environ.get("GOOGLE_APPLICATION_CREDENTIALS"))

    async def project(self) -> str:
        """The project that the credentials name; empty where they name none. Raises `GoogleProblem`."""
        return (await self._facts()).project

    async def token(self) -> str:
        """A token that is good for some minutes. Raises `GoogleProblem`."""
        found = await self._facts()
        async with self._lock:
            if self._token is not None and self._token[1] - time.time() > _FRESH_ENOUGH:
                return self._token[0]
            assert found.credentials is not None
            self._token = await asyncio.to_thread(_refreshed, found.credentials)
            return self._token[0]

    def forget(self) -> None:
        """Lets the next request look for credentials and a token anew: the old one was refused."""
        self._found = self._token = None

    async def _facts(self) -> _Found:
        async with self._lock:
            found = self._found
            if found is None or (found.problem and time.monotonic() - found.at > _ABSENT_FOR):
                found = self._found = await asyncio.to_thread(_find, self._environ)
        if found.problem:
            raise GoogleProblem(found.problem)
        return found


def _find(environ: Mapping[str, str]) -> _Found:
    """Application Default Credentials: the named file, that of gcloud, then the machine's own account."""
    import google.auth
    from google.auth import exceptions

    named = environ.get("GOOGLE_APPLICATION_CREDENTIALS", "")
    path = Path(named) if named else _gcloud_file(environ)
    found = _Found(at=time.monotonic())
    try:
        if named or path.is_file():
            credentials, project = _load(path)
        elif environ.get("NO_GCE_CHECK", "").lower() == "true":
            found.problem = f"no Google credentials were found. {_HELP}"
            return found
        else:
            credentials, project = google.auth.default(scopes=[SCOPE])
    except (exceptions.GoogleAuthError, OSError, ValueError, KeyError, msgspec.DecodeError):
        what = f"the file {path} holds no credentials that can be used" if named else "none were found"
        found.problem = f"Google credentials: {what}. {_HELP}"
        return found
    found.credentials, found.project = credentials, project or ""
    return found


def _load(path: Path) -> tuple[Credentials, str | None]:
    """The credentials of a file, and the project that it names."""
    import google.auth
    from google.oauth2 import credentials, service_account

    info = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    match info.get("type"):
        case "service_account":
            account = service_account.Credentials.from_service_account_info(info, scopes=[SCOPE])
            return account, info.get("project_id")
        case "authorized_user":
            user = credentials.Credentials.from_authorized_user_info(info, scopes=[SCOPE])
            return user, info.get("quota_project_id")
    other: tuple[Credentials, str | None] = google.auth.load_credentials_from_dict(info, scopes=[SCOPE])
    return other


def _gcloud_file(environ: Mapping[str, str]) -> Path:
    if folder := environ.get("CLOUDSDK_CONFIG"):
        return Path(folder) / _FILE
    if os.name == "nt":
        return Path(environ.get("APPDATA", "")) / "gcloud" / _FILE
    return Path(environ.get("HOME", "~")).expanduser() / ".config" / "gcloud" / _FILE


def _refreshed(credentials: Credentials) -> tuple[str, float]:
    """A new token, and the time (seconds since the epoch) until which it is good."""
    from google.auth import exceptions
    from google.auth.transport.requests import Request

    try:
        credentials.refresh(Request())
    except exceptions.TransportError as error:
        raise GoogleProblem("Google's token service cannot be reached. Check the network") from error
    except exceptions.GoogleAuthError as error:
        raise GoogleProblem(f"Google's token service refused the credentials. {_HELP}") from error
    expiry: datetime | None = credentials.expiry
    until = expiry.replace(tzinfo=UTC).timestamp() if expiry is not None else time.time() + 3600
    return str(credentials.token), until
