"""Access keys: what becomes of the file, who counts, and that neither tells anything about the keys."""

from __future__ import annotations

import itertools
import json
import math
import os
import random
import re
import stat
import statistics
import threading
import time
from pathlib import Path

import pytest
from aiohttp.test_utils import make_mocked_request

from lynkr_desktop.engine.guards import Guard
from lynkr_desktop.engine.security import access
from lynkr_desktop.engine.security.access import (
    AccessFault,
    AccessKeys,
    AccessTaken,
    BadAccess,
    NoSuchAccess,
)
from lynkr_desktop.engine.security.caller import MODELS, OWNER, READERS, Caller, DailyBudget
from lynkr_desktop.engine.security.token import digest
from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.protocol.access import AccessAdd, AccessPatch, NewAccessKey
from lynkr_desktop.protocol.tiers import Tier

TOKEN = "lk_the_token_of_the_machine_itself"


class Clock:
    """A time that a test sets."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(tmp_path: Path, clock: Clock) -> AccessKeys:
    made = AccessKeys(tmp_path / "access.json", clock=clock)
    made.load()
    return made


def guard_of(keys: AccessKeys, **more: str) -> Guard:
    return Guard(TOKEN, keys=keys, **more)  # type: ignore[arg-type]


def asked(guard: Guard, path: str = "/v1/messages", **headers: str) -> Caller:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return guard.check(make_mocked_request("POST", path, headers={"Host": "127.0.0.1", **named}))


# ---------------------------------------------------------------- who counts


def test_a_key_says_who_calls_in_any_header_and_the_token_stays_the_owner(keys: AccessKeys) -> None:
    made = keys.add(AccessAdd(name="bob", tiers=(Tier.MEDIUM, Tier.SIMPLE), dollars_per_day=5.0))
    guard = guard_of(keys)
    bob = Caller("bob", "user", frozenset({Tier.SIMPLE, Tier.MEDIUM}), DailyBudget(None, 5.0))
    for headers in (
        {"x_lynkr_token": made.key},
        {"x_api_key": made.key},
        {"authorization": f"Bearer {made.key}"},
        {"authorization": f"bearer   {made.key} "},
        {"x_api_key": "sk-something-else", "authorization": f"Bearer {made.key}"},
    ):
        assert asked(guard, **headers) == bob
    assert asked(guard, x_api_key=TOKEN) is OWNER
    assert re.fullmatch(r"lk_[\w-]{43}", made.key)


def test_what_is_no_key_is_refused(keys: AccessKeys) -> None:
    made = keys.add(AccessAdd(name="bob"))
    guard = guard_of(keys)
    for value in (
        made.key[:-1],
        made.key + "x",
        made.key.swapcase(),
        made.key.upper(),
        "bob",
        digest(made.key).hex(),
        "lk_",
        "schl\u00fcssel",
        "x" * 8000,
        "\x00",
    ):
        with pytest.raises(WireError) as caught:
            asked(guard, x_api_key=value)
        assert caught.value.status == 401
        assert value not in caught.value.message or len(value) < 4
    with pytest.raises(WireError, match="missing"):
        asked(guard)
    assert keys.find(digest("\udcff")) is None, "aiohttp gives what is no UTF-8 in this form"


def test_a_removed_key_and_the_one_before_a_rotation_count_no_more(keys: AccessKeys) -> None:
    first = keys.add(AccessAdd(name="bob", role="viewer"))
    second = keys.rotate("bob")
    guard = guard_of(keys)
    assert asked(guard, x_api_key=second.key).role == "viewer"
    with pytest.raises(WireError, match="wrong"):
        asked(guard, x_api_key=first.key)
    keys.remove("bob")
    with pytest.raises(WireError, match="wrong"):
        asked(guard, x_api_key=second.key)


def test_a_key_expires_by_the_clock_and_a_rotation_renews_it(keys: AccessKeys, clock: Clock) -> None:
    made = keys.add(AccessAdd(name="bob", expires_in=3600.0))
    guard = guard_of(keys)
    clock.now += 3599.9
    assert asked(guard, x_api_key=made.key).name == "bob"
    clock.now += 0.2
    with pytest.raises(WireError, match="access key bob has expired") as caught:
        asked(guard, x_api_key=made.key)
    assert caught.value.status == 401
    assert keys.listing().keys[0].expired
    with pytest.raises(BadAccess, match="--expires"):
        keys.rotate("bob")
    renewed = keys.rotate("bob", 60.0)
    assert asked(guard, x_api_key=renewed.key).name == "bob"
    # A clock that is set back brings nothing back that a rotation took away.
    clock.now -= 7200
    with pytest.raises(WireError):
        asked(guard, x_api_key=made.key)


def test_open_paths_take_keys_all_the_same(keys: AccessKeys) -> None:
    made = keys.add(AccessAdd(name="bob"))
    guard = guard_of(keys, open_path="/api/")
    assert asked(guard, "/api/chat") is OWNER
    assert asked(guard, "/api/chat", x_api_key="nonsense") is OWNER
    assert asked(guard, "/api/chat", x_api_key=made.key).name == "bob"
    with pytest.raises(WireError):
        asked(guard, "/v1/messages")


def test_no_key_of_ours_is_taken_for_one_of_a_provider(keys: AccessKeys) -> None:
    bob, ann = (keys.add(AccessAdd(name=name)).key for name in ("bob", "ann"))
    gone = keys.add(AccessAdd(name="gone")).key
    keys.remove("gone")
    guard = guard_of(keys)

    def own(**headers: str) -> tuple[str, str] | None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return guard.own_credential(make_mocked_request("POST", "/v1/messages", headers=named))

    assert own(x_lynkr_token=bob, authorization="Bearer sk-ant-oat-x") == (
        "authorization",
        "Bearer sk-ant-oat-x",
    )
    for secret in (bob, ann, gone, TOKEN):
        assert own(x_lynkr_token=bob, authorization=f"Bearer {secret}") is None
        assert own(x_lynkr_token=bob, x_api_key=secret) is None
    assert own(x_lynkr_token=gone, authorization="Bearer sk-ant-oat-x") is None


def test_a_role_that_does_not_suffice_is_told_which_does(keys: AccessKeys) -> None:
    told: list[str] = []
    guard = Guard(TOKEN, keys=keys, refused=told.append)
    guard.permit(OWNER, MODELS)
    guard.permit(Caller("bob", "user"), MODELS)
    with pytest.raises(WireError, match="role viewer, and this needs admin or user") as caught:
        guard.permit(Caller("eve", "viewer"), MODELS)
    assert (caught.value.status, caught.value.kind) == (403, "permission")
    with pytest.raises(WireError, match="admin or viewer"):
        guard.permit(Caller("bob", "user"), READERS)
    assert told == ["role of eve", "role of bob"]


def test_every_refusal_is_told_of(keys: AccessKeys, clock: Clock) -> None:
    told: list[str] = []
    guard = Guard(TOKEN, keys=keys, refused=told.append)
    old = keys.add(AccessAdd(name="bob", expires_in=1.0))
    clock.now += 2
    for headers in ({}, {"x_api_key": "no"}, {"x_api_key": old.key}, {"origin": "https://evil.example"}):
        with pytest.raises(WireError):
            asked(guard, **headers)
    with pytest.raises(WireError):
        guard.check(make_mocked_request("GET", "/", headers={"Host": "evil.example"}))
    assert told == ["no token", "wrong token", "expired key", "origin", "host"]


def test_a_change_says_no_more_than_what_it_changes(keys: AccessKeys, clock: Clock) -> None:
    made = keys.add(AccessAdd(name="bob", tokens_per_day=5, expires_in=60.0))
    guard = guard_of(keys)
    changed = keys.change("bob", AccessPatch(dollars_per_day=2.0, tiers=(Tier.COMPLEX, Tier.SIMPLE)))
    assert (changed.tokens_per_day, changed.dollars_per_day, changed.role) == (5, 2.0, "user")
    assert changed.tiers == (Tier.SIMPLE, Tier.COMPLEX)
    assert asked(guard, x_api_key=made.key).budget == DailyBudget(5, 2.0)
    keys.change("bob", AccessPatch(role="viewer", tokens_per_day=None, expires_in=None))
    clock.now += 3600
    caller = asked(guard, x_api_key=made.key)
    assert (caller.role, caller.budget) == ("viewer", DailyBudget(None, 2.0))
    with pytest.raises(NoSuchAccess):
        keys.change("ann", AccessPatch(role="admin"))
    for patch in (
        AccessPatch(tokens_per_day=0),
        AccessPatch(dollars_per_day=-1.0),
        AccessPatch(expires_in=0.0),
    ):
        with pytest.raises(BadAccess):
            keys.change("bob", patch)


# ---------------------------------------------------------------- the file


def test_the_file_holds_hashes_alone_and_is_for_its_owner(keys: AccessKeys, tmp_path: Path) -> None:
    made = [keys.add(AccessAdd(name=f"key-{number}")) for number in range(3)]
    made.append(keys.rotate("key-1"))
    keys.save_used()
    for path in tmp_path.iterdir():
        content = path.read_bytes()
        for one in made:
            assert one.key.encode() not in content
            assert one.key[3:].encode() not in content
        if os.name == "posix":
            assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path
    assert made[0].key not in repr(made[0])
    again = AccessKeys(tmp_path / "access.json")
    again.load()
    assert asked(guard_of(again), x_api_key=made[0].key).name == "key-0"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not json",
        b"[]",
        b"\xff\xfe",
        b'{"version": 2, "keys": []}',
        b'{"version": 1, "keys": [{"name": "bob"}]}',
        b'{"version": 1, "keyz": []}',
        b"[" * 100_000,
        b"x" * 5_000_000,
    ],
)
def test_from_a_damaged_file_no_key_counts_and_it_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "access.json"
    path.write_bytes(content)
    path.chmod(0o600)
    keys = AccessKeys(path)
    keys.load()
    assert "machine's own token" in " ".join(keys.problem.split())
    assert str(path) in keys.problem
    assert keys.listing().problem == keys.problem
    assert asked(guard_of(keys), x_api_key=TOKEN) is OWNER
    for change in (
        lambda: keys.add(AccessAdd(name="bob")),
        lambda: keys.rotate("bob"),
        lambda: keys.remove("bob"),
    ):
        with pytest.raises(AccessFault):
            change()
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "change",
    [
        {"role": "root"},
        {"name": "Bob"},
        {"name": "machine"},
        {"sha256": "00"},
        {"sha256": "Z" * 64},
        {"tiers": ["tiny"]},
        {"tokens_per_day": 0},
        {"dollars_per_day": -1},
        {"expirs": 5},
    ],
)
def test_what_no_command_would_have_written_is_damage(
    keys: AccessKeys, tmp_path: Path, change: dict[str, object]
) -> None:
    made = keys.add(AccessAdd(name="bob"))
    path = tmp_path / "access.json"
    file = json.loads(path.read_text())
    file["keys"][0] |= change
    path.write_text(json.dumps(file))
    keys.load()
    assert keys.problem
    hashed = digest(made.key).hex()
    assert hashed not in keys.problem
    with pytest.raises(WireError):
        asked(guard_of(keys), x_api_key=made.key)


def test_two_keys_of_one_name_or_hash_are_damage(keys: AccessKeys, tmp_path: Path) -> None:
    keys.add(AccessAdd(name="bob"))
    path = tmp_path / "access.json"
    file = json.loads(path.read_text())
    for twin in ({}, {"name": "ann"}):
        path.write_text(json.dumps({**file, "keys": [file["keys"][0], file["keys"][0] | twin]}))
        keys.load()
        assert "two keys" in keys.problem
    path.write_text(json.dumps(file))
    keys.load()
    assert (keys.problem, len(keys.listing().keys)) == ("", 1)


@pytest.mark.skipif(os.name != "posix", reason="file modes and links are POSIX's")
def test_a_file_that_others_could_read_is_closed_and_a_link_is_none(tmp_path: Path, keys: AccessKeys) -> None:
    keys.add(AccessAdd(name="bob"))
    path = tmp_path / "access.json"
    path.chmod(0o644)
    keys.load()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    elsewhere = tmp_path / "elsewhere"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    keys.load()
    assert "no regular file" in keys.problem
    assert not keys.listing().keys


@pytest.mark.parametrize(
    "name",
    [
        *("", " ", "Bob", "b b", "-b", ".", "..", "../x", "a/b", "ä", "a\n", "a\x00", "x" * 33, "bob\u202e"),
        *("machine", "engine", "nobody", "command", "self", "file", "signal"),
    ],
)
def test_names_that_cannot_be(keys: AccessKeys, name: str) -> None:
    with pytest.raises(BadAccess):
        keys.add(AccessAdd(name=name))
    assert not keys.listing().keys


@pytest.mark.parametrize(
    "wanted",
    [
        AccessAdd(name="bob", tokens_per_day=0),
        AccessAdd(name="bob", tokens_per_day=-5),
        AccessAdd(name="bob", tokens_per_day=10**16),
        AccessAdd(name="bob", dollars_per_day=0.0),
        AccessAdd(name="bob", dollars_per_day=float("inf")),
        AccessAdd(name="bob", dollars_per_day=float("nan")),
        AccessAdd(name="bob", expires_in=0.0),
        AccessAdd(name="bob", expires_in=-1.0),
        AccessAdd(name="bob", expires_in=float("nan")),
        AccessAdd(name="bob", expires_in=1e12),
    ],
)
def test_limits_that_cannot_be(keys: AccessKeys, wanted: AccessAdd) -> None:
    with pytest.raises(BadAccess):
        keys.add(wanted)
    assert not keys.listing().keys


def test_there_is_an_end_to_keys_and_names_are_taken_once(
    keys: AccessKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys.add(AccessAdd(name="bob"))
    with pytest.raises(AccessTaken, match="already"):
        keys.add(AccessAdd(name="bob"))
    monkeypatch.setattr(access, "MOST_KEYS", 2)
    keys.add(AccessAdd(name="ann"))
    with pytest.raises(AccessTaken, match="most"):
        keys.add(AccessAdd(name="eve"))
    for change in (keys.rotate, keys.remove):
        with pytest.raises(NoSuchAccess):
            change("nobody-there")


def test_changes_by_several_at_once_all_come_through(tmp_path: Path) -> None:
    """An engine and commands, each with what it read of the file before."""
    path = tmp_path / "access.json"
    made: list[NewAccessKey] = []

    def add(name: str) -> None:
        own = AccessKeys(path)
        own.load()
        for number in range(8):
            made.append(own.add(AccessAdd(name=f"{name}-{number}")))
            if number % 2:
                own.remove(f"{name}-{number}")

    threads = [threading.Thread(target=add, args=(name,)) for name in ("a", "b", "c", "d")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    after = AccessKeys(path)
    after.load()
    assert {info.name for info in after.listing().keys} == {
        f"{name}-{number}" for name, number in itertools.product("abcd", range(0, 8, 2))
    }
    assert len({one.key for one in made}) == 32
    assert not [file for file in tmp_path.iterdir() if file.name.startswith(".")]


def test_what_killed_writers_left_is_cleared(tmp_path: Path) -> None:
    left, fresh = tmp_path / f".access.json.{'a' * 16}", tmp_path / f".access.json.{'b' * 16}"
    for path in (left, fresh):
        path.write_bytes(b"half")
    os.utime(left, (1.0, 1.0))
    keys = AccessKeys(tmp_path / "access.json")
    keys.load()
    keys.add(AccessAdd(name="bob"))
    assert not left.exists()
    assert fresh.exists(), "somebody may be writing it"


def test_a_change_that_cannot_be_written_changes_nothing(
    keys: AccessKeys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bob = keys.add(AccessAdd(name="bob"))
    before = (tmp_path / "access.json").read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(access, "write_private", full)
        with pytest.raises(AccessFault, match="No space left"):
            keys.add(AccessAdd(name="ann"))
        with pytest.raises(AccessFault):
            keys.remove("bob")
        keys.save_used()
    assert (tmp_path / "access.json").read_bytes() == before
    assert asked(guard_of(keys), x_api_key=bob.key).name == "bob"
    assert [info.name for info in keys.listing().keys] == ["bob"]


def test_when_a_key_was_used_is_known_after_a_restart(keys: AccessKeys, tmp_path: Path, clock: Clock) -> None:
    made = keys.add(AccessAdd(name="bob"))
    assert keys.listing().keys[0].last_used is None
    assert not keys.use_to_save
    asked(guard_of(keys), x_api_key=made.key)
    assert keys.use_to_save
    keys.save_used()
    clock.now += 5
    asked(guard_of(keys), x_api_key=made.key)
    assert not keys.use_to_save, "at most once a minute"
    again = AccessKeys(tmp_path / "access.json", clock=clock)
    again.load()
    assert again.listing().keys[0].last_used == 1_000_000.0
    (tmp_path / "access-used.json").write_bytes(b"damaged")
    again.load()
    assert not again.problem


# ---------------------------------------------------------------- what time tells


def timed(guard: Guard, values: list[str]) -> list[list[int]]:
    """Nanoseconds that each value takes to be refused, in turns and in an order by chance."""
    requests = [
        make_mocked_request("POST", "/v1/messages", headers={"Host": "127.0.0.1", "x-api-key": value})
        for value in values
    ]
    took: list[list[int]] = [[] for _ in values]
    order = list(range(len(values)))
    drawn = random.Random(1)
    for _ in range(2500):
        drawn.shuffle(order)
        for index in order:
            began = time.perf_counter_ns()
            guard.knows(requests[index])
            took[index].append(time.perf_counter_ns() - began)
    return took


def apart(one: list[int], other: list[int]) -> float:
    """Welch's t of the faster halves: the slower ones are those that something else held up."""
    samples = [sorted(values)[: len(values) // 2] for values in (one, other)]
    means = [statistics.fmean(values) for values in samples]
    errors = [statistics.variance(values) / len(values) for values in samples]
    return abs(means[0] - means[1]) / math.sqrt(max(1e-9, sum(errors)))


def test_the_time_of_a_refusal_does_not_tell_how_near_a_key_was(keys: AccessKeys) -> None:
    """Guesses that share all but the end with a key, with the token, or nothing, take the same.

    The same measure finds a comparison that ends at the first difference, so it would find one here.
    """
    made = keys.add(AccessAdd(name="bob"))
    guard = guard_of(keys)
    near = made.key[:-1] + ("A" if made.key[-1] != "A" else "B")
    far = "lk_" + "".join(reversed(made.key[3:]))
    guesses = [near, far]

    class Leaky(Guard):
        def knows(self, request: object) -> Caller | None:
            given = request.headers["x-api-key"]  # type: ignore[attr-defined]
            for mine, theirs in zip(given, made.key, strict=True):
                if mine != theirs:
                    return None
            return OWNER

    differences = []
    for _ in range(5):
        one, other = timed(guard, guesses)
        medians = statistics.median(one), statistics.median(other)
        differences.append(abs(medians[0] - medians[1]) / max(medians))
    leaking = timed(Leaky(TOKEN), guesses)
    leak = abs(statistics.median(leaking[0]) - statistics.median(leaking[1])) / statistics.median(leaking[0])
    assert apart(*leaking) > 10
    assert leak > 0.15
    # Chance on a busy machine can part one run; a leak would part each of them.
    assert min(differences) < 0.02, differences
