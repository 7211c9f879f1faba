"""Access keys beside the machine's own token: who they are for, kept as hashes in one file of the home.

A key is 256 random bits, so a plain SHA-256 of it is enough: there is nothing to guess that a slow hash
would protect, and each request has to be looked up. The engine and `lynkr access` share the file; each change
is made under a lock, on the file as it is then, so that two at once cannot undo each other.
"""

from __future__ import annotations

import hmac
import logging
import math
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

import filelock
import msgspec
from msgspec import UNSET, Struct
from msgspec.structs import replace

from lynkr_desktop.engine.security.caller import MACHINE, NOBODY, UNLIMITED, Caller, DailyBudget
from lynkr_desktop.engine.security.private_file import clear_leftovers, read_private, write_private
from lynkr_desktop.engine.security.token import digest
from lynkr_desktop.protocol.access import (
    AccessAdd,
    AccessKeyInfo,
    AccessList,
    AccessPatch,
    NewAccessKey,
    Role,
)
from lynkr_desktop.protocol.tiers import TIERS, Tier

log = logging.getLogger(__name__)

N = TypeVar("N", int, float)

PREFIX = "lk_"
MOST_KEYS = 1000
LONGEST_LIFE = 10 * 366 * 86400.0
"""Seconds."""

USED_EVERY = 60.0
"""Seconds between two notes on the disk of which keys were used."""

_KEY = re.compile(r"lk_[\w-]{20,}", re.ASCII)
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}", re.ASCII)
_TAKEN = frozenset({MACHINE, NOBODY.name, "command", "engine", "file", "self", "signal"})
"""What the audit log calls those who have no key, and a path of the control API."""

_VERSION = 1
_LOCK_WAIT_S = 5.0
_MOST_TOKENS = 10**15
_MOST_DOLLARS = 1e9
_LARGEST_FILE = 4 * 1024**2


class BadAccess(ValueError):
    """What was asked for cannot be a key. The message says why."""


class NoSuchAccess(LookupError):
    """There is no access key of that name."""


class AccessTaken(ValueError):
    """There is a key of that name already, or there are too many."""


class AccessFault(Exception):
    """The file cannot be read or written. The message says what to do."""


class _Key(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """A key as the file has it; `sha256` in hexadecimal."""

    name: str
    role: Role
    sha256: str
    created: float
    expires: float | None = None
    tiers: tuple[Tier, ...] = ()
    tokens_per_day: int | None = None
    dollars_per_day: float | None = None


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    version: int = _VERSION
    keys: tuple[_Key, ...] = ()


class Holder(Struct, frozen=True):
    """What is known of whoever has a key."""

    digest: bytes
    caller: Caller
    expires: float


_NO_HOLDER = Holder(secrets.token_bytes(32), NOBODY, 0.0)
"""Compared with where no key has that hash, so that both ways take the same work."""


class AccessKeys:
    """The access keys of one home.

    Args:
        path: the file that keeps them; None for none at all.
        clock: the time in Unix seconds.

    Attributes:
        problem: why the keys in the file do not count and what to do; empty where they do.
    """

    def __init__(self, path: Path | None = None, *, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._keys: tuple[_Key, ...] = ()
        self._holders: Mapping[bytes, Holder] = MappingProxyType({})
        self._budgets: Mapping[str, DailyBudget] = MappingProxyType({})
        self._used: dict[str, float] = {}
        self._used_saved: dict[str, float] = {}
        self._used_at = 0.0
        self._editing = threading.Lock()
        self.problem = ""

    @property
    def path(self) -> Path | None:
        """The file that keeps them."""
        return self._path

    # ------------------------------------------------------------ asked by each request

    def find(self, hashed: bytes) -> Holder | None:
        """Who has the key with this hash, expired or not; takes the same work for a key that there is not."""
        holder = self._holders.get(hashed, _NO_HOLDER)
        return holder if hmac.compare_digest(hashed, holder.digest) else None

    def counts(self, holder: Holder) -> bool:
        """Whether a key has not expired; that is noted as its use."""
        now = self._clock()
        if now >= holder.expires:
            return False
        self._used[holder.caller.name] = now
        return True

    def budget_of(self, name: str) -> DailyBudget:
        """The budget of a key by its name; none for one that is not there."""
        return self._budgets.get(name, UNLIMITED)

    # ------------------------------------------------------------ the file

    def load(self) -> None:
        """Reads the file. From a damaged one no key counts, and `problem` says so; the log does too."""
        with self._editing:
            if self._path is not None:
                clear_leftovers(self._path)
            try:
                self._take(self._read())
            except AccessFault as error:
                self._take(())
                if self.problem != str(error):
                    log.error("%s", error)
                self.problem = str(error)
            else:
                self.problem = ""
            self._load_used()

    def listing(self) -> AccessList:
        """Every key, by name."""
        keys = tuple(self._info(key) for key in sorted(self._keys, key=lambda key: key.name))
        return AccessList(keys=keys, path=str(self._path or ""), problem=self.problem)

    def add(self, wanted: AccessAdd) -> NewAccessKey:
        """Makes a key. Once this returns, it is on the disk and counts.

        Raises:
            BadAccess: the name or a limit cannot be.
            AccessTaken: there is a key of that name, or there are `MOST_KEYS`.
            AccessFault: the file cannot be read or written.
        """
        name = checked_name(wanted.name)
        secret, now = _new_key(), self._clock()
        made = _Key(
            name=name,
            role=wanted.role,
            sha256=digest(secret).hex(),
            created=now,
            expires=_expiry(now, wanted.expires_in),
            tiers=tuple(tier for tier in TIERS if tier in wanted.tiers),
            tokens_per_day=_limit("tokens_per_day", wanted.tokens_per_day, _MOST_TOKENS),
            dollars_per_day=_limit("dollars_per_day", wanted.dollars_per_day, _MOST_DOLLARS),
        )
        with self._change() as keys:
            if name in keys:
                raise AccessTaken(
                    f"There is an access key {name} already. Remove or rotate it, or take another name."
                )
            if len(keys) >= MOST_KEYS:
                raise AccessTaken(
                    f"There are {MOST_KEYS} access keys, the most that can be. Remove one first."
                )
            keys[name] = made
        self._used.pop(name, None)
        return NewAccessKey(key=secret, info=self._info(made))

    def rotate(self, name: str, expires_in: float | None = None) -> NewAccessKey:
        """Puts a new key in the place of one, which counts no more.

        Args:
            name: of the key.
            expires_in: seconds from now; None leaves it as it is.

        Raises:
            NoSuchAccess: there is none of that name.
            BadAccess: it has expired and would stay so, or `expires_in` cannot be.
            AccessFault: the file cannot be read or written.
        """
        secret, now = _new_key(), self._clock()
        with self._change() as keys:
            old = _there(keys, name)
            expires = old.expires if expires_in is None else _expiry(now, expires_in)
            if expires is not None and expires <= now:
                raise BadAccess(
                    f"The access key {name} has expired. Say when the new one does: --expires 30d."
                )
            made = keys[name] = replace(old, sha256=digest(secret).hex(), created=now, expires=expires)
        return NewAccessKey(key=secret, info=self._info(made))

    def change(self, name: str, patch: AccessPatch) -> AccessKeyInfo:
        """Changes what a key may do, from the next request on. Raises as `rotate`."""
        changes: dict[str, object] = {}
        if patch.role is not UNSET:
            changes["role"] = patch.role
        if patch.tiers is not UNSET:
            changes["tiers"] = tuple(tier for tier in TIERS if tier in patch.tiers)
        if patch.tokens_per_day is not UNSET:
            changes["tokens_per_day"] = _limit("tokens_per_day", patch.tokens_per_day, _MOST_TOKENS)
        if patch.dollars_per_day is not UNSET:
            changes["dollars_per_day"] = _limit("dollars_per_day", patch.dollars_per_day, _MOST_DOLLARS)
        if patch.expires_in is not UNSET:
            changes["expires"] = _expiry(self._clock(), patch.expires_in)
        with self._change() as keys:
            changed = keys[name] = replace(_there(keys, name), **changes)
        return self._info(changed)

    def remove(self, name: str) -> AccessKeyInfo:
        """Removes a key, which counts no more once this returns. Raises as `rotate`."""
        with self._change() as keys:
            gone = _there(keys, name)
            del keys[name]
        info = self._info(gone)
        self._used.pop(name, None)
        return info

    # ------------------------------------------------------------ when keys were used

    @property
    def use_to_save(self) -> bool:
        """Whether keys were used since it was last saved, and that is some time ago."""
        return self._used != self._used_saved and self._clock() - self._used_at >= USED_EVERY

    def save_used(self) -> None:
        """Notes on the disk when which key was last used. A failure is logged: nothing depends on it."""
        with self._editing:
            used = {key.name: at for key in self._keys if (at := self._used.get(key.name)) is not None}
            self._used_saved, self._used_at = dict(self._used), self._clock()
            if self._path is None or not (used or self._used_path.exists()):
                return
            try:
                write_private(self._used_path, msgspec.json.encode(used), sync=False)
            except OSError as error:
                log.warning("when access keys were used cannot be kept: %s", error.strerror)

    @property
    def _used_path(self) -> Path:
        assert self._path is not None
        return self._path.with_name(f"{self._path.stem}-used.json")

    def _load_used(self) -> None:
        if self._path is None:
            return
        with suppress(OSError, msgspec.DecodeError, UnicodeDecodeError):
            saved = msgspec.json.decode(read_private(self._used_path, _LARGEST_FILE), type=dict[str, float])
            for name, at in saved.items():
                if math.isfinite(at):
                    self._used[name] = max(at, self._used.get(name, 0.0))
            self._used_saved = dict(self._used)

    # ------------------------------------------------------------ within

    def _info(self, key: _Key) -> AccessKeyInfo:
        return _info(key, self._clock(), self._used.get(key.name))

    def _take(self, keys: tuple[_Key, ...]) -> None:
        self._keys = keys
        holders = [_holder(key) for key in keys]
        self._holders = MappingProxyType({holder.digest: holder for holder in holders})
        self._budgets = MappingProxyType({key.name: _budget(key) for key in keys})

    @contextmanager
    def _change(self) -> Iterator[dict[str, _Key]]:
        """The keys by name as the file has them now, to be changed; they are saved when the block ends."""
        if self._path is None:
            raise AccessFault("There is no file for access keys here.")
        path = self._path
        with self._editing:
            try:
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                lock = filelock.FileLock(path.with_suffix(".lock"), mode=0o600, thread_local=False)
                with lock.acquire(timeout=_LOCK_WAIT_S):
                    keys = {key.name: key for key in self._read()}
                    yield keys
                    file = _File(keys=tuple(keys.values()))
                    write_private(path, msgspec.json.format(msgspec.json.encode(file), indent=2) + b"\n")
            except filelock.Timeout as error:
                raise AccessFault(f"Another program is changing {path}. Try again.") from error
            except OSError as error:
                raise AccessFault(
                    f"{path} cannot be written: {error.strerror}. Nothing was changed."
                ) from error
            self._take(file.keys)
            self.problem = ""

    def _read(self) -> tuple[_Key, ...]:
        """The keys in the file; none where there is no file. Raises `AccessFault`."""
        if self._path is None:
            return ()
        try:
            content = read_private(self._path, _LARGEST_FILE)
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise _unreadable(self._path, error) from error
        return _decoded(self._path, content)


def keys_in(path: Path) -> tuple[AccessKeyInfo, ...]:
    """The keys in a file, which is looked at and not touched. Raises `AccessFault`."""
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE)
    except OSError as error:
        raise _unreadable(path, error) from error
    now = time.time()
    return tuple(_info(key, now, None) for key in _decoded(path, content))


def _info(key: _Key, now: float, last_used: float | None) -> AccessKeyInfo:
    return AccessKeyInfo(
        name=key.name,
        role=key.role,
        tiers=key.tiers,
        tokens_per_day=key.tokens_per_day,
        dollars_per_day=key.dollars_per_day,
        created=key.created,
        expires=key.expires,
        last_used=last_used,
        expired=key.expires is not None and key.expires <= now,
    )


def _unreadable(path: Path, error: OSError) -> AccessFault:
    return AccessFault(
        f"The access keys in {path} cannot be read: {error.strerror or error}. Only the machine's own token "
        "counts."
    )


def _decoded(path: Path, content: bytes) -> tuple[_Key, ...]:
    """The keys that a file holds. Raises `AccessFault`."""
    try:
        file = msgspec.json.decode(content, type=_File)
        _check(file)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise AccessFault(
            f"The access keys in {path} do not count, for the file is damaged ({_bounded(error)}). Only the "
            "machine's own token does. Put the file in order, or move it away and add the keys anew; then "
            "start Lynkr again, or send POST /v1/admin/reload."
        ) from error
    return file.keys


def without_keys(text: str) -> str:
    """A text without what looks like a key: errors repeat names, and somebody may take a key for one."""
    return _KEY.sub("***", text) if PREFIX in text else text


def checked_name(name: str) -> str:
    """A name that a key can have. Raises `BadAccess`."""
    if not _NAME.fullmatch(name):
        raise BadAccess(
            "A name has 1 to 32 of a-z, 0-9, `.`, `_` and `-`, and begins with a letter or a figure."
        )
    if name in _TAKEN:
        raise BadAccess(f"{name} means something else in the audit log. Take another name.")
    return name


def _there(keys: Mapping[str, _Key], name: str) -> _Key:
    found = keys.get(name)
    if found is None:
        raise NoSuchAccess(f"There is no access key {name[:40]!r}. `lynkr access list` shows them.")
    return found


def _new_key() -> str:
    return PREFIX + secrets.token_urlsafe(32)


def _expiry(now: float, expires_in: float | None) -> float | None:
    if expires_in is None:
        return None
    if not 0 < expires_in <= LONGEST_LIFE:
        raise BadAccess("A key expires after more than 0 seconds and within ten years.")
    return now + expires_in


def _limit(name: str, value: N | None, most: N) -> N | None:
    if value is not None and not 0 < value <= most:
        raise BadAccess(f"{name} must be above 0 and at most {most:,.0f}.")
    return value


def _budget(key: _Key) -> DailyBudget:
    return DailyBudget(key.tokens_per_day, key.dollars_per_day)


def _holder(key: _Key) -> Holder:
    caller = Caller(key.name, key.role, frozenset(key.tiers), _budget(key))
    return Holder(bytes.fromhex(key.sha256), caller, math.inf if key.expires is None else key.expires)


def _check(file: _File) -> None:
    """Raises `ValueError` where the file says what no command of ours would have written."""
    if file.version != _VERSION:
        raise ValueError(f"it is of version {file.version}, and {_VERSION} is known here")
    if len(file.keys) > MOST_KEYS:
        raise ValueError(f"it has more than {MOST_KEYS} keys")
    for key in file.keys:
        checked_name(key.name)
        if not re.fullmatch(r"[0-9a-f]{64}", key.sha256):
            raise ValueError(f"the hash of {key.name} is none")
        _limit("tokens_per_day", key.tokens_per_day, _MOST_TOKENS)
        _limit("dollars_per_day", key.dollars_per_day, _MOST_DOLLARS)
    for what in ("name", "sha256"):
        if len({getattr(key, what) for key in file.keys}) < len(file.keys):
            raise ValueError(f"two keys have the same {what}")


def _bounded(error: Exception) -> str:
    """What is wrong, without what stands in the file: hashes are nobody's business."""
    return re.sub(r"[0-9a-fA-F]{16,}", "…", str(error))[:200]
