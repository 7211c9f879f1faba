"""Provider keys: keyring first, then the environment; a keyring that fails or hangs is as none."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends import fail, null

from lynkr_desktop.engine.security import keys
from lynkr_desktop.engine.security.keys import find_key


class Ring(KeyringBackend):
    """A keyring in memory, which may hang or break."""

    priority = 1

    def __init__(self, entries: dict[tuple[str, str], str] | None = None) -> None:
        super().__init__()
        self.entries = entries or {}
        self.hang: threading.Event | None = None
        self.error: Exception | None = None
        self.asked = 0

    def get_password(self, service: str, username: str) -> str | None:
        self.asked += 1
        if self.hang:
            self.hang.wait(30)
        if self.error:
            raise self.error
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.entries[(service, username)] = password


@pytest.fixture(autouse=True)
def _restore(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(keys, "_keyring_asked_again_at", 0.0)
    before = keyring.get_keyring()
    yield
    keyring.set_keyring(before)


def test_the_keyring_comes_before_the_environment() -> None:
    keyring.set_keyring(Ring({("lynkr", "openai"): " from-ring\n"}))
    environ = {"OPENAI_API_KEY": "from-environment", "OPENROUTER_API_KEY": "router"}
    assert find_key("openai", None, environ) == "from-ring"
    assert find_key("openrouter", None, environ) == "router"
    assert find_key("anthropic", None, environ) is None


def test_the_usual_variables() -> None:
    keyring.set_keyring(null.Keyring())
    environ = {"AZURE_OPENAI_API_KEY": "a", "MY_GROQ_API_KEY": "g", "WORK_KEY": "w", "EMPTY": " "}
    assert find_key("azure", None, environ) == "a"
    assert find_key("my-groq", None, environ) == "g"
    assert find_key("azure", "WORK_KEY", environ) == "w"
    assert find_key("azure", "EMPTY", environ) is None


def test_a_keyring_that_fails_is_as_none() -> None:
    ring = Ring()
    ring.error = OSError("no D-Bus")
    for backend in (fail.Keyring(), null.Keyring(), ring):
        keyring.set_keyring(backend)
        assert find_key("openai", None, {"OPENAI_API_KEY": "e"}) == "e"


def test_a_keyring_that_hangs_costs_one_wait_only(monkeypatch: pytest.MonkeyPatch) -> None:
    ring = Ring({("lynkr", "openai"): "late"})
    ring.hang = threading.Event()
    keyring.set_keyring(ring)
    monkeypatch.setattr(keys, "KEYRING_TIMEOUT", 0.2)
    began = time.monotonic()
    for provider in ("openai", "openrouter", "azure", "anthropic"):
        assert find_key(provider, "KEY", {"KEY": "e"}) == "e"
    assert time.monotonic() - began < 2
    assert ring.asked == 1
    ring.hang.set()
