"""The audit log: what is done to its files is found and named, and what a crash leaves is told from it."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lynkr_desktop.engine.config.access import AuditOptions
from lynkr_desktop.engine.security import audit as audit_module
from lynkr_desktop.engine.security import chain
from lynkr_desktop.engine.security.audit import Audit, AuditFailure, AuditLog, Note
from lynkr_desktop.engine.security.private_file import write_private
from lynkr_desktop.protocol.audit import AuditCheck, AuditEntry

ROOT = Path(__file__).resolve().parents[2]
HEAD = "audit-head.json"
SLOW = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


def filled(home: Path, count: int = 8) -> AuditLog:
    log = AuditLog(home)
    for number in range(1, count + 1):
        log.append(Note(1000.0 + number, "ann", "key added", f"number {number}"))
    return log


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a log that nobody touched; to be copied."""
    home = tmp_path_factory.mktemp("whole")
    filled(home)
    return home


def copied(whole: Path, factory: pytest.TempPathFactory) -> Path:
    home = factory.mktemp("audit")
    shutil.copytree(whole, home, dirs_exist_ok=True)
    return home


def file_of(home: Path) -> Path:
    [file] = chain.files_of(home / "audit")
    return file


def lines_of(home: Path) -> list[bytes]:
    return file_of(home).read_bytes().splitlines(keepends=True)


def verified(home: Path) -> AuditCheck:
    return AuditLog(home).check()


def named(check: AuditCheck) -> set[tuple[str, int]]:
    return {(fault.kind, fault.number) for fault in check.faults}


def test_what_was_noted_is_there_in_order_and_verified(tmp_path: Path) -> None:
    log = filled(tmp_path, 5)
    assert [entry.number for entry in log.entries()] == [5, 4, 3, 2, 1]
    assert [entry.detail for entry in log.entries(limit=2)] == ["number 5", "number 4"]
    assert [entry.number for entry in log.entries(since=1004.0)] == [5, 4]
    check = verified(tmp_path)
    assert (check.intact, check.entries, check.first, check.last, check.unfinished) == (True, 5, 1, 5, 0)
    assert check.head == log.entries()[0].hash


def test_nothing_yet_is_in_order(tmp_path: Path) -> None:
    check = verified(tmp_path / "none")
    assert (check.intact, check.entries, check.last) == (True, 0, 0)
    assert AuditLog(tmp_path / "none").entries() == []


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
def test_others_cannot_read_it(tmp_path: Path) -> None:
    filled(tmp_path / "home")
    for path in (tmp_path / "home").rglob("*"):
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path


@SLOW
@given(st.data())
def test_any_changed_byte_is_found_and_its_entry_named(
    whole: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    home = copied(whole, tmp_path_factory)
    content = bytearray(file_of(home).read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] = data.draw(st.integers(0, 255).filter(lambda byte: byte != content[at]))
    number = bytes(file_of(home).read_bytes()[:at]).count(b"\n") + 1
    file_of(home).write_bytes(content)
    check = verified(home)
    assert not check.intact
    assert number in {fault.number for fault in check.faults}, check.faults
    assert {fault.number for fault in check.faults} <= {number, number + 1}


@SLOW
@given(st.data())
def test_any_byte_that_is_taken_out_or_put_in_is_found(
    whole: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    home = copied(whole, tmp_path_factory)
    content = bytearray(file_of(home).read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    number = bytes(content[:at]).count(b"\n") + 1
    if data.draw(st.booleans()):
        del content[at]
    else:
        content.insert(at, data.draw(st.integers(0, 255)))
    file_of(home).write_bytes(content)
    check = verified(home)
    assert not check.intact
    assert {fault.number for fault in check.faults} & {number, number - 1}, check.faults


@pytest.mark.parametrize("index", range(8))
def test_a_removed_entry_is_named(tmp_path: Path, index: int) -> None:
    filled(tmp_path)
    lines = lines_of(tmp_path)
    del lines[index]
    file_of(tmp_path).write_bytes(b"".join(lines))
    kind = "cut" if index == 7 else "removed"
    assert named(verified(tmp_path)) == {(kind, index + 1)}


def test_a_row_of_removed_entries_is_named_by_both_ends(tmp_path: Path) -> None:
    filled(tmp_path)
    lines = lines_of(tmp_path)
    file_of(tmp_path).write_bytes(b"".join(lines[:2] + lines[5:]))
    [fault] = verified(tmp_path).faults
    assert (fault.kind, fault.number, fault.line) == ("removed", 3, 3)
    assert "Entries 3 to 5 are missing before entry 6" in fault.message


@pytest.mark.parametrize(("one", "other"), [(0, 1), (2, 3), (6, 7), (0, 7), (2, 5)])
def test_swapped_entries_are_named(tmp_path: Path, one: int, other: int) -> None:
    filled(tmp_path)
    lines = lines_of(tmp_path)
    lines[one], lines[other] = lines[other], lines[one]
    file_of(tmp_path).write_bytes(b"".join(lines))
    check = verified(tmp_path)
    assert not check.intact
    assert {one + 1} <= {fault.number for fault in check.faults}
    assert any(fault.kind == "moved" for fault in check.faults)


@pytest.mark.parametrize("index", range(9))
def test_an_inserted_entry_is_named(tmp_path: Path, index: int) -> None:
    """One that is whole in itself, made by somebody who knows how."""
    filled(tmp_path)
    lines = lines_of(tmp_path)
    before = chain.entry_of(lines[index - 1][:-1]) if index else None
    forged = chain.sealed(
        AuditEntry(
            number=index + 1, at=1.0, who="eve", what="nothing", previous=before.hash if before else ""
        )
    )
    lines.insert(index, chain.line_of(forged))
    file_of(tmp_path).write_bytes(b"".join(lines))
    check = verified(tmp_path)
    assert not check.intact
    assert index + 1 in {fault.number for fault in check.faults}, check.faults


@pytest.mark.parametrize("index", range(8))
def test_an_entry_that_was_written_anew_is_named(tmp_path: Path, index: int) -> None:
    filled(tmp_path)
    lines = lines_of(tmp_path)
    entry = chain.entry_of(lines[index][:-1])
    assert entry is not None
    forged = chain.sealed(msgspec.structs.replace(entry, who="eve"))
    lines[index] = chain.line_of(forged)
    file_of(tmp_path).write_bytes(b"".join(lines))
    assert ("changed", index + 1) in named(verified(tmp_path))


def test_a_chain_that_was_written_anew_from_some_entry_on_does_not_end_as_the_head_says(
    tmp_path: Path,
) -> None:
    filled(tmp_path)
    entries = [chain.entry_of(line[:-1]) for line in lines_of(tmp_path)]
    made: list[bytes] = []
    previous = ""
    for entry in entries:
        assert entry is not None
        forged = chain.sealed(msgspec.structs.replace(entry, who="eve", previous=previous))
        made.append(chain.line_of(forged))
        previous = forged.hash
    head = verified(tmp_path).head
    file_of(tmp_path).write_bytes(b"".join(made))
    assert named(verified(tmp_path)) == {("changed", 8)}
    # Somebody who writes the head anew as well is found by a hash that was kept elsewhere.
    known = msgspec.json.decode((tmp_path / HEAD).read_bytes(), type=chain.Head)
    (tmp_path / HEAD).write_bytes(msgspec.json.encode(msgspec.structs.replace(known, hash=previous)))
    assert verified(tmp_path).intact
    check = AuditLog(tmp_path).check(head)
    assert (check.intact, check.found) == (False, False)
    assert AuditLog(tmp_path).check(previous).intact


@SLOW
@given(st.data())
def test_any_cut_end_is_named(
    whole: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    home = copied(whole, tmp_path_factory)
    content = file_of(home).read_bytes()
    at = data.draw(st.integers(0, len(content) - 1))
    number = content[:at].count(b"\n") + 1
    file_of(home).write_bytes(content[:at])
    check = verified(home)
    assert not check.intact
    assert number in {fault.number for fault in check.faults}


def test_what_is_missing_stays_missing_when_the_log_goes_on(tmp_path: Path) -> None:
    """In a new process, which finds the end as it is."""
    filled(tmp_path)
    content = file_of(tmp_path).read_bytes()
    file_of(tmp_path).write_bytes(content[:-300])
    before = named(verified(tmp_path))
    AuditLog(tmp_path).append(Note(2000.0, "ann", "goes on"))
    check = verified(tmp_path)
    assert check.last == 9
    assert {number for _, number in before} <= {fault.number for fault in check.faults}
    assert not check.intact


def test_what_was_added_at_the_end_stays_named_when_the_log_goes_on(tmp_path: Path) -> None:
    filled(tmp_path)
    last = AuditLog(tmp_path).entries(limit=1)[0]
    forged = chain.sealed(AuditEntry(number=9, at=1.0, who="eve", what="x", previous=last.hash))
    with file_of(tmp_path).open("ab") as file:
        file.write(chain.line_of(forged))
    assert named(verified(tmp_path)) == {("inserted", 9)}
    AuditLog(tmp_path).append(Note(2000.0, "ann", "goes on"))
    assert ("changed", 9) in named(verified(tmp_path))


@pytest.mark.parametrize("head", [None, b"", b"{}x", b'{"first": "x"}', b"\xff"])
def test_a_head_that_is_gone_is_said_for_good(tmp_path: Path, head: bytes | None) -> None:
    filled(tmp_path)
    if head is None:
        (tmp_path / HEAD).unlink()
    else:
        (tmp_path / HEAD).write_bytes(head)
    assert {kind for kind, _ in named(verified(tmp_path))} == {"head"}
    lines = lines_of(tmp_path)
    file_of(tmp_path).write_bytes(b"".join(lines[:5]))
    AuditLog(tmp_path).append(Note(2000.0, "ann", "goes on"))
    assert ("head", 6) in named(verified(tmp_path))


def test_a_folder_that_is_gone_is_named(tmp_path: Path) -> None:
    filled(tmp_path)
    file_of(tmp_path).unlink()
    assert named(verified(tmp_path)) == {("cut", 1)}


# ---------------------------------------------------------------- crashes


def test_an_entry_that_was_being_written_is_no_fault_and_goes(tmp_path: Path) -> None:
    log = filled(tmp_path)
    whole = file_of(tmp_path).read_bytes()
    last = log.entries(limit=1)[0]
    coming = chain.sealed(AuditEntry(number=9, at=1.0, who="ann", what="x", previous=last.hash))
    head = msgspec.json.decode((tmp_path / HEAD).read_bytes(), type=chain.Head)
    intended = msgspec.structs.replace(head, coming=9, coming_hash=coming.hash)
    line = chain.line_of(coming)
    for cut in (*range(len(line)), len(line)):
        (tmp_path / HEAD).write_bytes(msgspec.json.encode(intended))
        file_of(tmp_path).write_bytes(whole + line[:cut])
        check = verified(tmp_path)
        assert check.intact, (cut, check.faults)
        assert check.unfinished == (cut if cut < len(line) else 0)
        AuditLog(tmp_path).append(Note(2000.0, "ann", "goes on"))
        check = verified(tmp_path)
        assert (check.intact, check.unfinished) == (True, 0), (cut, check.faults)
        assert check.last == (10 if cut == len(line) else 9)


_WRITER = """
import sys
from pathlib import Path
from lynkr_desktop.engine.security.audit import AuditLog, Note
log = AuditLog(Path(sys.argv[1]))
number = 0
while True:
    number += 1
    log.append(Note(float(number), "ann", "key added", "x" * (number % 400)))
    print(number, flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX's")
def test_what_was_acknowledged_outlives_a_kill(tmp_path: Path) -> None:
    drawn = random.Random(5)
    acknowledged = 0
    for _ in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(tmp_path)],
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(drawn.randrange(1, 40))]
        process.send_signal(signal.SIGKILL)
        told += process.stdout.readlines()
        process.wait()
        process.stdout.close()
        acknowledged += len([line for line in told if line.endswith(b"\n")])
        check = verified(tmp_path)
        assert check.intact, check.faults
        assert check.last >= acknowledged
        acknowledged = check.last


# ---------------------------------------------------------------- rotation


def test_the_chain_goes_on_over_files_and_old_ones_go_with_a_word(tmp_path: Path) -> None:
    options = AuditOptions(size=256 * 1024)
    log = AuditLog(tmp_path, options, clock=lambda: 1e9)
    for number in range(40):
        log.append(*(Note(1e9 + number, "ann", "key added", f"{number} {'x' * 400}") for _ in range(25)))
    files = chain.files_of(tmp_path / "audit")
    assert 3 < len(files) <= 9
    assert sum(file.stat().st_size for file in files) <= 256 * 1024 * 1.13
    check = verified(tmp_path)
    assert check.intact, check.faults
    assert check.first > 1
    assert check.last == check.first + check.entries - 1
    told = [entry for entry in log.entries() if entry.what == "audit entries deleted"]
    assert told
    assert told[0].detail.startswith("entries ")
    # A file that somebody deletes is another matter.
    files[1].unlink()
    check = verified(tmp_path)
    assert [(fault.kind, fault.number) for fault in check.faults] == [("removed", chain.first_of(files[1]))]
    chain.files_of(tmp_path / "audit")[0].unlink()
    assert ("removed", check.first) in named(verified(tmp_path))


def test_entries_go_when_they_are_old_enough(tmp_path: Path) -> None:
    now = 1e9
    options = AuditOptions(size=256 * 1024, retention=86400.0)
    log = AuditLog(tmp_path, options, clock=lambda: now)
    for _ in range(5):
        log.append(*(Note(now, "ann", "key added", "x" * 400) for _ in range(50)))
    assert verified(tmp_path).first == 1
    now += 2 * 86400
    log.append(Note(now, "ann", "goes on"))
    check = verified(tmp_path)
    assert check.intact, check.faults
    assert check.first > 1


def test_a_retention_that_was_interrupted_is_finished_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = AuditOptions(size=256 * 1024)
    log = AuditLog(tmp_path, options, clock=lambda: 1e9)

    def refuse(self: Path, missing_ok: bool = False) -> None:
        if self.suffix == ".jsonl":
            raise PermissionError(13, "no")
        os.unlink(self) if self.exists() else None

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        for number in range(40):
            log.append(*(Note(1e9 + number, "ann", "x", "x" * 400) for _ in range(25)))
        assert verified(tmp_path).intact
        assert len(chain.files_of(tmp_path / "audit")) > 9
    log.append(Note(1e9, "ann", "goes on"))
    assert verified(tmp_path).intact
    assert len(chain.files_of(tmp_path / "audit")) <= 9


# ---------------------------------------------------------------- what goes in


def test_secrets_and_lines_do_not_get_in_and_texts_are_bounded(tmp_path: Path) -> None:
    log = AuditLog(tmp_path)
    log.append(
        Note(1.0, "ann\nroot", "x" * 500, "the key is sk-recognise-4f9a1c7e2b8d6035 and\r\n\x1b[2J more"),
        Note(2.0, "\ud800", "surrogates", "\udfff" * 10_000),
    )
    check = verified(tmp_path)
    assert (check.intact, check.entries) == (True, 2)
    content = file_of(tmp_path).read_bytes()
    assert b"recognise" not in content
    assert b"\x1b" not in content
    assert content.count(b"\n") == 2
    assert all(len(line) < 4000 for line in content.splitlines())


def test_many_writers_at_once_make_one_chain(tmp_path: Path) -> None:
    """Each with files of its own, as an engine and commands have them."""
    import threading

    def write(name: str) -> None:
        log = AuditLog(tmp_path)
        for number in range(10):
            log.append(Note(float(number), name, "key added"))

    threads = [threading.Thread(target=write, args=(f"w{index}",)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check = verified(tmp_path)
    assert (check.intact, check.entries) == (True, 40)


# ---------------------------------------------------------------- from the loop


async def test_notes_are_on_the_disk_when_that_was_waited_for(tmp_path: Path) -> None:
    audit = Audit(AuditLog(tmp_path))
    assert await audit.noted("ann", "key added", "bob")
    assert [entry.detail for entry in AuditLog(tmp_path).entries()] == ["bob"]
    done = [audit.noted("ann", "key added", str(number)) for number in range(50)]
    assert all(await asyncio.gather(*done))
    await audit.close()
    check = verified(tmp_path)
    assert (check.intact, check.entries) == (True, 51)
    assert audit.note("engine", "late").result(), "after the end it is written at once"


async def test_a_disk_that_takes_nothing_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit = Audit(AuditLog(tmp_path))
    await audit.noted("ann", "first")

    def full(_file: Path, content: bytes, size: int) -> None:
        with _file.open("ab") as file:
            file.write(content[: len(content) // 2])
            file.truncate(size)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(audit_module, "_append", full)
        assert not await audit.noted("ann", "second")
        assert not await audit.noted("ann", "third")
        assert audit.waiting == 2
        assert verified(tmp_path).intact
    assert await audit.noted("ann", "fourth")
    assert [entry.what for entry in AuditLog(tmp_path).entries()] == ["fourth", "third", "second", "first"]
    assert verified(tmp_path).intact
    await audit.close()


@pytest.mark.parametrize("failing", [1, 2])
async def test_a_head_that_cannot_be_written_loses_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    """Before the entries, or after them."""
    audit = Audit(AuditLog(tmp_path))
    await audit.noted("ann", "first")
    real, written = write_private, 0

    def fail(path: Path, content: bytes) -> None:
        nonlocal written
        written += 1
        if written == failing:
            raise OSError(28, "No space left on device")
        real(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(audit_module, "write_private", fail)
        assert await audit.noted("ann", "second") == (failing == 2)
    assert verified(tmp_path).intact
    await audit.noted("ann", "third")
    await audit.close()
    assert [entry.what for entry in AuditLog(tmp_path).entries()] == ["third", "second", "first"]
    assert verified(tmp_path).intact


async def test_what_waits_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    audit = Audit(AuditLog(tmp_path))
    monkeypatch.setattr(audit_module, "MOST_WAITING", 10)
    monkeypatch.setattr(AuditLog, "append", _fails)
    results = [audit.noted("ann", str(number)) for number in range(30)]
    assert not any(await asyncio.gather(*results))
    assert audit.waiting == 10
    monkeypatch.undo()
    await audit.close()
    assert verified(tmp_path).entries == 10


def _fails(*_: object) -> None:
    raise AuditFailure("no")


async def test_refusals_become_one_entry(tmp_path: Path) -> None:
    audit = Audit(AuditLog(tmp_path))
    for number in range(5000):
        audit.refused("wrong" if number % 5 else "missing")
    assert verified(tmp_path).entries == 0
    audit.tell_refused()
    audit.tell_refused()
    await audit.close()
    [entry] = AuditLog(tmp_path).entries()
    assert (entry.who, entry.what) == ("nobody", "requests refused")
    assert entry.detail.startswith("5000 since ")
    assert entry.detail.endswith("wrong 4000, missing 1000")


async def test_refusals_are_told_by_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_module, "REFUSED_EVERY_S", 0.02)
    audit = Audit(AuditLog(tmp_path))
    audit.refused("wrong")
    async with asyncio.timeout(10):
        while not AuditLog(tmp_path).entries():
            await asyncio.sleep(0.01)
    await audit.close()
