"""Keeps secrets out of logs and messages, and sets up the engine's log.

Two nets: shapes that secrets usually have, and the very values that this process knows to be secret.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import stat
import sys
import threading
from collections.abc import Iterable
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import cast
from urllib.parse import quote

from lynkr_desktop.engine.config.schema import LoggingOptions
from lynkr_desktop.paths import Paths

MASK = "***"

MAX_LENGTH = 32 * 1024
"""Characters of one record; the rest is cut off, so that redaction takes bounded time."""

_LONGEST_SECRET = 4096
_SHORTEST_SECRET = 6

_NAMES = (
    r"(?:proxy-)?authorization|x-api-key|x-lynkr-token|x-goog-api-key|api[-_ ]?key|(?:set-)?cookie"
    r"|(?:access|refresh|auth|session|id|security)[-_]?token|client[-_]?secret|secret[-_]?(?:access[-_]?)?key"
    r"|private[-_]?key|passw(?:or)?d|passphrase|x-amz-(?:signature|credential|security-token)"
)
_KEY_PREFIXES = (
    *("sk", "lk", "pk", "rk", "gsk", "hf", "xai", "pplx", "nvapi", "r8"),
    *("ghp", "gho", "ghs", "ghu", "github_pat", "glpat", "xoxa", "xoxb", "xoxp", "xoxr", "xoxs"),
)
_PATTERN = re.compile(
    # name: value, name=value, "name": "value"; with or without the scheme of an Authorization header
    rf"(?P<name>(?<![A-Za-z0-9])(?:{_NAMES})\b\\?[\"']?\s{{0,4}}(?:[:=]|,(?=\s?b?[\"']))\s{{0,4}}(?:b(?=[\"']))?\\?[\"']?)"
    r"(?:(?:bearer|basic|token|digest)\s+)?[^\s\"',;&<>\\(){}\[\]*][^\s\"',;&<>\\]*"
    r"|(?P<bearer>\bbearer\s+)[\w.~+/=-]{4,}"
    r"|(?P<basic>\bbasic\s+)(?-i:(?=\S*[A-Z0-9=]))[\w+/=-]{8,}"
    # credentials before the host of a URL
    r"|(?P<url>://)[^\s/?#\"'<>]+(?=@)"
    # keys in a query
    r"|(?P<query>[?&](?:key|token|sig|signature|secret)=)[^\s&\"'<>#]+"
    r"|(?P<signature>\bsignature=)[0-9a-f]{16,}"
    # the shapes of well-known keys
    rf"|\b(?:{'|'.join(_KEY_PREFIXES)})[-_][\w-]{{8,}}"
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{12,}|\bAIza[\w-]{20,}|\bya29\.[\w.-]{8,}"
    r"|\beyJ[\w-]{8,}\.[\w-]{2,}(?:\.[\w-]*)?"
    r"|-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[\w+/=\s\\:,-]*",
    re.IGNORECASE | re.ASCII,
)
_SHORTENED = re.compile(
    # what upstreams leave of a key that they repeat: sk-ab****wxyz, sk-ab...wxyz
    r"(?<![\w-])[\w-]{0,64}[*\u2022]{3}[\w*\u2022-]*"
    rf"|\b(?:{'|'.join(_KEY_PREFIXES)})[-_][\w-]{{0,64}}(?:\.\.\.|\u2026)[\w-]{{2,64}}",
    re.IGNORECASE | re.ASCII,
)
_SHORTENED_HINTS = ("***", "...", "\u2022\u2022\u2022", "\u2026")
_HINTS = (
    *(
        "authorization",
        "key",
        "token",
        "cookie",
        "secret",
        "passw",
        "passphrase",
        "x-amz-",
        "bearer",
        "basic",
    ),
    *("://", "sig", "akia", "asia", "aiza", "ya29.", "eyj"),
    *(prefix + joint for prefix in _KEY_PREFIXES for joint in "-_"),
)
"""Each match of the pattern holds one of these in lower case; most records hold none, and cost little."""


class Secrets:
    """The secret values that this process knows, such as the token in force; shared between threads."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._lock = threading.Lock()
        self._values: frozenset[str] = frozenset()
        self._pattern: re.Pattern[str] | None = None
        for value in values:
            self.add(value)

    @property
    def count(self) -> int:
        """How many values are known; none is ever taken out."""
        return len(self._values)

    def add(self, value: str | None) -> None:
        """Registers a value; one too short to tell from ordinary text is left out."""
        if not value or not _SHORTEST_SECRET <= len(value) <= _LONGEST_SECRET:
            return
        with self._lock:
            self._values |= {value, quote(value, safe="")}
            longest_first = sorted(self._values, key=len, reverse=True)
            self._pattern = re.compile("|".join(map(re.escape, longest_first)))

    def redact(self, text: str) -> str:
        """`text` without known values and without anything that has the shape of a secret."""
        pattern = self._pattern
        if pattern is not None:
            text = pattern.sub(MASK, text)
        if any(map(text.__contains__, _SHORTENED_HINTS)):
            text = _SHORTENED.sub(MASK, text)
        lowered = text.lower()
        if not any(map(lowered.__contains__, _HINTS)):
            return text
        return _PATTERN.sub(_mask, text)


KNOWN = Secrets()
"""The values that this process knows to be secret: the token, and each provider key that it has seen."""


def redact(text: str) -> str:
    """`text` without known values and without anything that has the shape of a secret."""
    return KNOWN.redact(text)


def _mask(match: re.Match[str]) -> str:
    kept = match.lastgroup
    return (match[kept] if kept else "") + MASK


class RedactingFormatter(logging.Formatter):
    """Formats a record, exception included, without secrets and without what could forge lines."""

    def __init__(self, secrets: Secrets) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        """The record as text; lines after the first are indented, so none can pass for a record."""
        cached, record.exc_text = record.exc_text, None
        try:
            text = super().format(record)
        except (TypeError, ValueError):
            record = logging.makeLogRecord(
                {**record.__dict__, "msg": f"{record.msg} {record.args}", "args": None}
            )
            text = super().format(record)
        finally:
            record.exc_text = cached
        return clean(text, self._secrets)


def clean(text: str, secrets: Secrets = KNOWN) -> str:
    """Redacts a text of any length in bounded time and makes its control characters visible."""
    if len(text) > MAX_LENGTH:
        # What is cut could be the half of a secret: redact with a margin, then drop the margin.
        kept = secrets.redact(text[: MAX_LENGTH + _LONGEST_SECRET])[:-_LONGEST_SECRET]
        text = f"{kept}... ({len(text) - MAX_LENGTH} more characters)"
    else:
        text = secrets.redact(text)
    if "\n" in text:
        text = text.rstrip("\n").replace("\n", "\n    ")
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


# ---------------------------------------------------------------- the engine's log


def setup_logging(paths: Paths, options: LoggingOptions, secrets: Secrets) -> None:
    """Sends all logging to the engine's rotating log file, and to stderr where a person watches it.

    May be called again with other options. A log that cannot be written is reported once on stderr; the
    engine goes on without it.
    """
    root = logging.getLogger()
    formatter = RedactingFormatter(secrets)
    handlers: list[logging.Handler] = []
    try:
        handlers.append(_LogFile(paths.engine_log, options))
    except OSError as error:
        _report(f"the log {paths.engine_log} cannot be written ({error.strerror}); going on without it")
    if sys.stderr is not None and sys.stderr.isatty():
        handlers.append(_Terminal())
    for handler in [*root.handlers]:
        if isinstance(handler, _LogFile | _Terminal):
            root.removeHandler(handler)
            handler.close()
    for handler in handlers:
        handler.setFormatter(formatter)
        root.addHandler(handler)
    root.setLevel(options.level.upper())
    for chatty in ("watchdog", "asyncio", "aiohttp.access", "urllib3"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


class _Terminal(logging.StreamHandler[TextIOWrapper]):
    """stderr, as it is when each record is written."""

    def __init__(self) -> None:
        super().__init__(cast(TextIOWrapper, sys.stderr))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        """Nothing is left to write to."""


class _LogFile(RotatingFileHandler):
    """A rotating file that only its owner can read, and that outlives a full or locked disk."""

    def __init__(self, path: Path, options: LoggingOptions) -> None:
        self._reported = False
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        super().__init__(path, maxBytes=options.max_size, backupCount=options.keep, encoding="utf-8")

    def _open(self) -> TextIOWrapper:
        def private(path: str, flags: int) -> int:
            return os.open(path, flags, 0o600)

        file = open(self.baseFilename, "a", encoding="utf-8", errors="backslashreplace", opener=private)  # noqa: SIM115
        status = os.fstat(file.fileno())
        if os.name == "posix" and stat.S_ISREG(status.st_mode) and status.st_mode & 0o077:
            os.fchmod(file.fileno(), 0o600)
        return file

    def close(self) -> None:
        """Closes the file; what a full disk did not take is lost."""
        with contextlib.suppress(OSError):
            super().close()

    def doRollover(self) -> None:  # noqa: N802 - logging's own name
        """Rotates; where another program holds the file (Windows), it grows on until it is let go."""
        try:
            super().doRollover()
        except OSError:
            if self.stream is None:
                self.stream = self._open()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        """Says so once; logging's own report would print the record as it was before redaction."""
        if not self._reported:
            self._reported = True
            reason = type(sys.exc_info()[1]).__name__
            _report(f"the log {self.baseFilename} cannot be written ({reason}); going on without it")


def _report(message: str) -> None:
    if sys.stderr is not None:
        print(f"lynkr: {message}", file=sys.stderr)
