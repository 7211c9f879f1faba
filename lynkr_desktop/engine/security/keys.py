"""Provider keys: from the OS keyring, else from the environment. They are never written to a file."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from lynkr_desktop.engine.security import ring
from lynkr_desktop.engine.security.ring import RingError

log = logging.getLogger(__name__)

SHORTEST_SECRET = 12
"""Characters. Shorter ones are no vendor's keys but words such as `lm-studio`, and stay readable in logs."""

LONGEST_KEY = 1024
"""Characters. No vendor's key comes near it, and the Windows Credential Manager takes 1280."""

LONGEST_TOKEN = 16 * 1024
"""Characters of what the environment may hold: tokens that a sign-in gave are far longer than keys."""

_USUAL = {
    "azure": ("AZURE_OPENAI_API_KEY", "AZURE_API_KEY", "AZURE_OPENAI_AD_TOKEN"),
    "bedrock": ("AWS_BEARER_TOKEN_BEDROCK",),
    "vertex": ("GOOGLE_API_KEY", "GEMINI_API_KEY"),
}

_USABLE = re.compile(r"[\x21-\x7e]+")
"""What a header can carry: printable ASCII without blanks."""


class BadKey(ValueError):
    """What was given cannot be a key. The message says why, without it."""


@dataclass(frozen=True, slots=True)
class KeySource:
    """Where a provider's key comes from.

    Attributes:
        kind: `keyring`, `environment`, or `none` when there is no key.
        variable: the environment variable that holds the key, or that would be read.
    """

    kind: Literal["keyring", "environment", "none"]
    variable: str


class KeyStore:
    """The keys of all providers. Every method may block for seconds: call it off the event loop.

    Args:
        environ: the environment.
        learned: is told each key that was found or set, so that logs can leave it out.
    """

    def __init__(self, environ: Mapping[str, str], learned: Callable[[str], None] = lambda _: None) -> None:
        self._environ = environ
        self._learned = learned

    def find(self, provider: str, key_env: str | None = None) -> str | None:
        """The key of a provider, from the keyring first; None when there is none. Never raises.

        Args:
            provider: its name, as in the configuration.
            key_env: the environment variable to read instead of the usual ones.
        """
        return self._look(provider, key_env)[0]

    def source(self, provider: str, key_env: str | None = None) -> KeySource:
        """Where `find` finds it."""
        return self._look(provider, key_env)[1]

    def set(self, provider: str, key: str) -> None:
        """Stores a key in the keyring.

        Raises:
            BadKey: it cannot be a key.
            RingError: the keyring did not take it.
        """
        key = checked(key)
        self._learn(key)
        ring.write(provider, key)
        log.info("the key of %s was stored in the OS keyring", provider)

    def remove(self, provider: str) -> bool:
        """Removes a key from the keyring; False when it had none. Raises `RingError`."""
        removed = ring.delete(provider)
        if removed:
            log.info("the key of %s was removed from the OS keyring", provider)
        return removed

    def _learn(self, key: str) -> None:
        if len(key) >= SHORTEST_SECRET:
            self._learned(key)

    def _look(self, provider: str, key_env: str | None) -> tuple[str | None, KeySource]:
        names = (key_env,) if key_env else usual_variables(provider)
        try:
            key = _clean(ring.read(provider), f"the OS keyring, under {provider}")
        except RingError as error:
            log.debug("no key from the OS keyring: %s", error.problem)
            key = None
        if key:
            self._learn(key)
            return key, KeySource("keyring", names[0])
        for name in names:
            key = _clean(self._environ.get(name), name, LONGEST_TOKEN)
            if key:
                self._learn(key)
                return key, KeySource("environment", name)
        return None, KeySource("none", names[0])


def usual_variables(provider_name: str) -> tuple[str, ...]:
    """The environment variables in which this provider's key usually is, such as OPENROUTER_API_KEY."""
    derived = re.sub(r"\W", "_", provider_name, flags=re.ASCII).upper() + "_API_KEY"
    return _USUAL.get(provider_name, (derived,))


def checked(key: str, longest: int = LONGEST_KEY) -> str:
    """The key without blanks around it. Raises `BadKey` when no header could carry it."""
    key = key.strip()
    if not key:
        raise BadKey("The key is empty.")
    if len(key) > longest:
        raise BadKey(f"This has {len(key):,} characters; a key has {longest:,} at most.")
    if len(key.split()) > 1:
        raise BadKey("A key is one word on one line; this has blanks or line breaks within.")
    if not _USABLE.fullmatch(key):
        raise BadKey("A key has plain ASCII letters, digits and signs only; this has other characters.")
    return key


def _clean(value: str | None, place: str, longest: int = LONGEST_KEY) -> str | None:
    """A value that was found, if it can be a key."""
    if not value or not value.strip():
        return None
    try:
        return checked(value, longest)
    except BadKey as error:
        log.warning("what is in %s is not used as a key: %s", place, error)
        return None
