"""The OS keyring, asked so that nothing hangs: its own thread, a time limit, one question at a time.

Only stores that protect what they hold are used. Backends that write plain files, or forget, are refused.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeVar

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

log = logging.getLogger(__name__)

T = TypeVar("T")

RingProblem = Literal["no_keyring", "locked", "timeout", "failed"]

SERVICE = "lynkr"
"""The keyring's service name; the user name is the provider's name."""

READ_TIMEOUT = 3.0
"""Seconds. A locked keyring may wait for a person who is not there."""

WRITE_TIMEOUT = 30.0
"""Seconds. Who stores a key is there, and may be asked for the keyring's password."""

PAUSE = 60.0
"""Seconds in which a silent or locked keyring is not asked for keys again."""

_one_at_a_time = threading.Lock()
"""So that a locked keyring asks a person once, not once per provider."""

_resting: tuple[float, RingError] | None = None
"""Until when (monotonic) reads are not tried again, and why."""


class RingError(Exception):
    """The keyring cannot be used. The message says why and what to do."""

    def __init__(self, problem: RingProblem, message: str) -> None:
        super().__init__(message)
        self.problem = problem


def read(name: str) -> str | None:
    """The secret of that name, None when there is none. Takes `READ_TIMEOUT` at most.

    Raises:
        RingError: there is no keyring, it is locked, or it did not answer (also a short while ago).
    """
    return _quickly(lambda backend: _read(backend, name))


def write(name: str, secret: str) -> None:
    """Stores a secret, in place of an older one.

    Raises:
        RingError: it is not stored.
    """

    def store(backend: KeyringBackend) -> None:
        backend.set_password(SERVICE, name, secret)
        if _read(backend, name) != secret:
            raise RingError(
                "failed", f"The keyring ({_title(backend)}) took the key and does not give it back."
            )

    _asked(store, WRITE_TIMEOUT)
    _trust_again()


def delete(name: str) -> bool:
    """Removes a secret; False when there was none.

    Raises:
        RingError: it could not be asked, or did not do it.
    """

    def remove(backend: KeyringBackend) -> bool:
        # Each write replaces the older secret, but other programs may have added more under the name.
        for removed in range(100):
            if _read(backend, name) is None:
                return removed > 0
            backend.delete_password(SERVICE, name)
        raise RingError("failed", f"The keyring ({_title(backend)}) keeps a key that it was told to remove.")

    removed = _asked(remove, WRITE_TIMEOUT)
    _trust_again()
    return removed


def describe() -> str:
    """The keyring's name, such as `Secret Service`, if it can be read. Raises `RingError` as `read` does."""

    def title(backend: KeyringBackend) -> str:
        _read(backend, SERVICE)
        return _title(backend)

    return _quickly(title)


def _read(backend: KeyringBackend, name: str) -> str | None:
    return backend.get_password(SERVICE, name) or None


def _trust_again() -> None:
    global _resting
    _resting = None


def _quickly(question: Callable[[KeyringBackend], T]) -> T:
    """Reads. A keyring that hangs, or that a person did not unlock, is left in peace for a while."""
    global _resting
    if _resting is not None and time.monotonic() < _resting[0]:
        raise _resting[1]
    try:
        return _asked(question, READ_TIMEOUT)
    except RingError as error:
        if error.problem in ("timeout", "locked"):
            _resting = time.monotonic() + PAUSE, error
            log.warning("the OS keyring is %s; keys are read from the environment", _STATE[error.problem])
        raise


_STATE = {"timeout": "silent", "locked": "locked"}


def _silent(seconds: float) -> RingError:
    return RingError(
        "timeout",
        f"The OS keyring did not answer within {seconds:g} s; it may wait for its password in a window. "
        f"Unlock it and try again. {_otherwise()}",
    )


def _otherwise() -> str:
    return "Or put the key into the provider's environment variable."


def _asked(question: Callable[[KeyringBackend], T], seconds: float) -> T:
    """Asks in a thread of its own, which is left behind when the keyring hangs."""
    answer: list[T] = []
    problem: list[RingError] = []

    def ask() -> None:
        try:
            answer.append(question(_backend()))
        except RingError as error:
            problem.append(error)
        except Exception as error:  # noqa: BLE001 - a backend may raise anything (D-Bus, COM, ctypes)
            problem.append(_explained(error))

    ends = time.monotonic() + seconds
    if not _one_at_a_time.acquire(timeout=seconds):
        raise _silent(seconds)
    try:
        thread = threading.Thread(target=ask, name="lynkr-keyring", daemon=True)
        thread.start()
        thread.join(max(0.0, ends - time.monotonic()))
        if thread.is_alive():
            raise _silent(seconds)
    finally:
        _one_at_a_time.release()
    if problem:
        raise problem[0]
    return answer[0]


def _explained(error: Exception) -> RingError:
    """What a backend raised, in words. Its own text is left out: nothing says what that may hold."""
    from keyring import errors

    kind = type(error).__name__
    log.debug("the OS keyring raised %s", kind)
    if isinstance(error, errors.KeyringLocked):
        return RingError("locked", f"The OS keyring is locked. {_unlock()} {_otherwise()}")
    if isinstance(error, errors.NoKeyringError | errors.InitError):
        return _none_there()
    return RingError("failed", f"The OS keyring refused ({kind}). {_otherwise()}")


def _none_there(refused: str = "") -> RingError:
    remedy = ""
    if sys.platform.startswith("linux"):
        remedy = (
            "Install one that offers the Secret Service, such as gnome-keyring or KWallet, and start Lynkr "
            f"in a session with D-Bus. {_HEADLESS} "
        )
    said = f"{refused}There is no OS keyring that can be used here."
    return RingError("no_keyring", f"{said} {remedy}{_otherwise()}")


_HEADLESS = "Without a desktop, run `gnome-keyring-daemon --unlock` and Lynkr within one `dbus-run-session`."


def _unlock() -> str:
    if sys.platform.startswith("linux"):
        return f"Unlock it, as a login to the desktop does, and try again. {_HEADLESS}"
    return "Unlock it in the system's own keyring program and try again."


# ---------------------------------------------------------------- backends


def _backend() -> KeyringBackend:
    """The best backend that protects what it holds. Raises `RingError`."""
    import keyring
    from keyring.backends import fail
    from keyring.backends.chainer import ChainerBackend

    chosen = keyring.get_keyring()
    if isinstance(chosen, fail.Keyring) and (late := _late_secret_service()) is not None:
        return late
    backends = list(chosen.backends) if isinstance(chosen, ChainerBackend) else [chosen]
    refused = ""
    for backend in backends:
        if isinstance(backend, fail.Keyring):
            continue
        why = _why_refused(backend)
        if not why:
            return backend
        refused = refused or f"{why} "
    raise _none_there(refused)


def _why_refused(backend: KeyringBackend) -> str:
    from keyring.backends import null

    if isinstance(backend, null.Keyring):
        return "The OS keyring is switched off (keyring's null backend), so it keeps nothing."
    kind = type(backend)
    if kind.__module__.startswith("keyrings.alt.") or "plaintext" in kind.__name__.lower():
        return (
            f"The keyring {kind.__module__}.{kind.__name__} keeps its secrets in plain files and is not used."
        )
    return ""


def _late_secret_service() -> KeyringBackend | None:
    """The Secret Service, where it came up after this process: keyring looks for backends only once."""
    if not sys.platform.startswith("linux") or os.environ.get("PYTHON_KEYRING_BACKEND"):
        return None
    from keyring.backends import SecretService

    late: type[KeyringBackend] = SecretService.Keyring
    return late() if late.viable else None


def _title(backend: KeyringBackend) -> str:
    names = {
        "keyring.backends.SecretService": "Secret Service",
        "keyring.backends.libsecret": "Secret Service",
        "keyring.backends.kwallet": "KWallet",
        "keyring.backends.macOS": "macOS Keychain",
        "keyring.backends.Windows": "Windows Credential Manager",
    }
    return names.get(type(backend).__module__, type(backend).__name__)
