"""Provider keys: keyring first, then the environment; a keyring that fails or hangs is as none."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import keyring
import pytest
from keyring import errors
from keyring.backend import KeyringBackend
from keyring.backends import fail, null
from keyring.backends.chainer import ChainerBackend

from lynkr_desktop.engine.security import ring
from lynkr_desktop.engine.security.keys import BadKey, KeySource, KeyStore
from lynkr_desktop.engine.security.ring import RingError
from tests.support.keyring import MemoryRing

KEY = "sk-recognise-me-0123456789"


@pytest.fixture(autouse=True)
def _restore(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(ring, "_resting", None)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    before = keyring.get_keyring()
    yield
    keyring.set_keyring(before)


def install(backend: KeyringBackend) -> None:
    keyring.set_keyring(backend)


def test_the_keyring_comes_before_the_environment() -> None:
    install(MemoryRing({("lynkr", "openai"): " from-ring\n"}))
    store = KeyStore({"OPENAI_API_KEY": "from-environment", "OPENROUTER_API_KEY": "router"})
    assert store.find("openai") == "from-ring"
    assert store.source("openai").kind == "keyring"
    assert store.find("openrouter") == "router"
    assert store.source("openrouter") == KeySource("environment", "OPENROUTER_API_KEY")
    assert store.find("anthropic") is None
    assert (store.source("anthropic").kind, store.source("anthropic").variable) == (
        "none",
        "ANTHROPIC_API_KEY",
    )


def test_the_usual_variables() -> None:
    install(null.Keyring())
    store = KeyStore({"AZURE_OPENAI_API_KEY": "a", "MY_GROQ_API_KEY": "g", "WORK_KEY": "w", "EMPTY": " "})
    assert store.find("azure") == "a"
    assert store.find("my-groq") == "g"
    assert store.find("azure", "WORK_KEY") == "w"
    assert store.find("azure", "EMPTY") is None


def test_a_keyring_that_fails_is_as_none_for_reading() -> None:
    broken = MemoryRing()
    broken.error = OSError("no D-Bus")
    for backend in (fail.Keyring(), null.Keyring(), broken):
        install(backend)
        assert KeyStore({"OPENAI_API_KEY": "e"}).find("openai") == "e"


def test_a_keyring_that_hangs_costs_one_wait_only(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = MemoryRing({("lynkr", "openai"): "late"})
    memory.hang = threading.Event()
    install(memory)
    monkeypatch.setattr(ring, "READ_TIMEOUT", 0.2)
    store = KeyStore({"KEY": "e"})
    began = time.monotonic()
    for provider in ("openai", "openrouter", "azure", "anthropic"):
        assert store.find(provider, "KEY") == "e"
    assert time.monotonic() - began < 2
    assert memory.asked == 1
    memory.hang.set()


def test_a_key_that_was_set_is_found_replaced_and_removed() -> None:
    install(MemoryRing())
    learned: list[str] = []
    store = KeyStore({}, learned.append)
    store.set("openai", f"  {KEY}\n")
    assert store.find("openai") == KEY
    store.set("openai", "another-key-0123")
    assert store.find("openai") == "another-key-0123"
    assert {KEY, "another-key-0123"} <= set(learned)
    assert store.remove("openai")
    assert not store.remove("openai")
    assert store.source("openai").kind == "none"


def test_what_cannot_be_a_key_is_refused_without_being_repeated() -> None:
    install(MemoryRing())
    store = KeyStore({})
    for bad, why in (
        ("", "empty"),
        (" \n\t", "empty"),
        ("sk-abc\nsk-def", "one line"),
        ("sk-abc\r\nX-Header: 1", "one line"),
        ("schlüssel-abc", "ASCII"),
        ("\N{KEY}" * 8, "ASCII"),
        ("sk\x00abc", "ASCII"),
        ("x" * 1024**2, "1,048,576 characters"),
    ):
        with pytest.raises(BadKey, match=why) as caught:
            store.set("openai", bad)
        assert len(str(caught.value)) < 200
        assert not bad.strip() or bad not in str(caught.value)
    assert store.find("openai") is None


def test_a_found_value_that_no_header_can_carry_is_not_used(caplog: pytest.LogCaptureFixture) -> None:
    install(MemoryRing({("lynkr", "openai"): "two words"}))
    with caplog.at_level(logging.WARNING):
        assert KeyStore({"OPENAI_API_KEY": "good"}).find("openai") == "good"
        assert KeyStore({"OPENROUTER_API_KEY": "bad\nkey"}).find("openrouter") is None
    assert "OPENROUTER_API_KEY" in caplog.text
    assert "two words" not in caplog.text
    assert "bad\nkey" not in caplog.text


class PlaintextRing(MemoryRing):
    """Stands for keyrings.alt.file.PlaintextKeyring: it would write a readable file."""


class CorrectRing(MemoryRing):
    """A second one, that protects."""


class Chain(ChainerBackend):
    """A chain with the plain one first."""

    backends = (PlaintextRing(), CorrectRing())


def test_keys_are_never_given_to_backends_that_do_not_protect_them(tmp_path: Path) -> None:
    for backend, told in (
        (PlaintextRing(), "plain files"),
        (null.Keyring(), "switched off"),
        (fail.Keyring(), "no OS keyring"),
    ):
        install(backend)
        with pytest.raises(RingError, match=told) as caught:
            KeyStore({}).set("openai", KEY)
        assert caught.value.problem == "no_keyring"
        assert "environment variable" in str(caught.value)
    install(Chain())
    KeyStore({}).set("openai", KEY)
    assert not Chain.backends[0].entries
    assert Chain.backends[1].entries == {("lynkr", "openai"): KEY}


def test_a_person_is_told_why_a_key_was_not_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ring, "WRITE_TIMEOUT", 0.2)
    memory = MemoryRing()
    install(memory)
    for error, problem, told in (
        (errors.KeyringLocked(f"no {KEY}"), "locked", "is locked. Unlock it"),
        (errors.InitError("no bus"), "no_keyring", "There is no OS keyring"),
        (errors.PasswordSetError(f"cannot store {KEY}"), "failed", "refused"),
        (OSError(5, "broken pipe"), "failed", "refused"),
    ):
        memory.error = error
        with pytest.raises(RingError, match=told) as caught:
            KeyStore({}).set("openai", KEY)
        assert caught.value.problem == problem
        assert KEY not in str(caught.value)
    memory.error = None
    memory.hang = threading.Event()
    with pytest.raises(RingError, match="did not answer") as caught:
        KeyStore({}).set("openai", KEY)
    assert caught.value.problem == "timeout"
    memory.hang.set()


def test_a_ring_that_forgets_is_not_believed() -> None:
    memory = MemoryRing()
    memory.forgets = True
    install(memory)
    with pytest.raises(RingError, match="does not give it back"):
        KeyStore({}).set("openai", KEY)


def test_keys_set_at_the_same_time_are_each_stored_whole() -> None:
    memory = MemoryRing()
    install(memory)
    store = KeyStore({})
    names = [f"p{number}" for number in range(20)]
    threads = [threading.Thread(target=store.set, args=(name, f"key-of-{name}")) for name in names]
    same = [threading.Thread(target=store.set, args=("same", f"key-{n}" * 20)) for n in range(5)]
    for thread in threads + same:
        thread.start()
    for thread in threads + same:
        thread.join()
    assert [store.find(name) for name in names] == [f"key-of-{name}" for name in names]
    assert store.find("same") in {f"key-{n}" * 20 for n in range(5)}
