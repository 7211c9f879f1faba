"""Provider keys: from the OS keyring, else from the environment. They are never written to a file."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Mapping

log = logging.getLogger(__name__)

SERVICE = "lynkr"
"""The keyring's service name; the user name is the provider's name."""

KEYRING_TIMEOUT = 3.0
"""Seconds. A locked keyring may wait for a person who is not there."""

_PAUSE = 60.0
"""Seconds in which a keyring that did not answer is not asked again."""

_USUAL = {
    "azure": ("AZURE_OPENAI_API_KEY", "AZURE_API_KEY"),
    "bedrock": ("AWS_BEARER_TOKEN_BEDROCK",),
    "vertex": ("GOOGLE_API_KEY", "GEMINI_API_KEY"),
}

_one_at_a_time = threading.Lock()
"""So that a locked keyring asks a person once, not once per provider."""

_keyring_asked_again_at = 0.0


def find_key(provider_name: str, key_env: str | None, environ: Mapping[str, str]) -> str | None:
    """Looks for a provider's key. May take `KEYRING_TIMEOUT`, so call it off the event loop.

    Args:
        provider_name: as in the configuration.
        key_env: the environment variable to read instead of the usual ones.
        environ: the environment.

    Returns:
        The key, from the keyring first; None when there is none.
    """
    key = _from_keyring(provider_name)
    if key:
        return key
    for name in [key_env] if key_env else usual_variables(provider_name):
        key = environ.get(name, "").strip()
        if key:
            return key
    return None


def usual_variables(provider_name: str) -> tuple[str, ...]:
    """The environment variables in which this provider's key usually is, such as OPENROUTER_API_KEY."""
    derived = re.sub(r"\W", "_", provider_name, flags=re.ASCII).upper() + "_API_KEY"
    return _USUAL.get(provider_name, (derived,))


def _from_keyring(provider_name: str) -> str | None:
    """Asks the OS keyring in a thread of its own, which is left behind when it hangs."""
    global _keyring_asked_again_at
    with _one_at_a_time:
        if time.monotonic() < _keyring_asked_again_at:
            return None
        found: list[str] = []
        thread = threading.Thread(target=_ask, args=(provider_name, found), name="lynkr-keyring", daemon=True)
        thread.start()
        thread.join(KEYRING_TIMEOUT)
        if thread.is_alive():
            _keyring_asked_again_at = time.monotonic() + _PAUSE
            log.warning("the OS keyring did not answer in time; keys are read from the environment")
    return found[0] if found else None


def _ask(provider_name: str, found: list[str]) -> None:
    try:
        import keyring

        value = keyring.get_password(SERVICE, provider_name)
    except Exception as error:  # noqa: BLE001 - a backend may raise anything (D-Bus, COM); none is our fault
        log.debug("no key from the OS keyring: %s", type(error).__name__)
        return
    if value and value.strip():
        found.append(value.strip())
