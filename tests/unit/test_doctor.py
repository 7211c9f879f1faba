"""What `lynkr doctor` says of files, ports, limits and variables as they really are."""

from __future__ import annotations

import os
import socket
import sqlite3
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
import pytest
import yaml

from lynkr_desktop.cli.doctor import describe
from lynkr_desktop.doctor import access, builtin, docker, environment, keys, service, storage, system, watches
from lynkr_desktop.doctor.check import Check, Found, note, ok, problem, run_checks
from lynkr_desktop.doctor.checks import checks_for
from lynkr_desktop.doctor.look import Look, look_around
from lynkr_desktop.engine.providers.embedded.catalog import GEMMA
from lynkr_desktop.engine.security.access import AccessKeys
from lynkr_desktop.engine.security.audit import AuditLog, Note
from lynkr_desktop.engine.telemetry.database import SCHEMA_VERSION, open_for_writing
from lynkr_desktop.engine.watch.observers import EachFolder
from lynkr_desktop.paths import Paths, resolve_paths
from lynkr_desktop.protocol.access import AccessAdd
from lynkr_desktop.protocol.doctor import DoctorReport, Finding

posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no such permissions")
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has inotify")


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    paths = resolve_paths(tmp_path / "lynkr")
    paths.home.mkdir()
    return paths


def look_at(paths: Paths, config: object = None, *, online: bool = False, **environ: str) -> Look:
    if config is not None:
        paths.config.write_text(yaml.safe_dump(config))
    return look_around(paths, {"HOME": str(paths.home.parent), **environ}, online=online)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def told(found: Found) -> str:
    assert found.text
    assert found.todo or found.result in ("ok", "skipped")
    return f"{found.result}: {found.text}"


# ---------------------------------------------------------------- all of them together


def test_one_check_that_hangs_or_fails_does_not_hold_up_the_others(paths: Paths) -> None:
    released = threading.Event()

    def hang(_: Look) -> Found:
        released.wait(60)
        return ok("It came too late.")

    def fail(_: Look) -> Found:
        raise RuntimeError("sk-a-secret-of-somebody")

    def lack(_: Look) -> Found:
        raise ModuleNotFoundError("No module named 'aiohttp'", name="aiohttp")

    checks = [
        Check("slow", "System", hang, seconds=0.2),
        Check("optional", "System", hang, seconds=0.2, worst="note"),
        Check("broken", "System", fail),
        Check("lacking", "System", lack),
        Check("quick", "System", lambda _: ok("It is quick.")),
    ]
    began = time.monotonic()
    findings, hangs = run_checks(look_at(paths), checks)
    assert time.monotonic() - began < 5
    released.set()
    assert hangs
    assert [(finding.check, finding.result) for finding in findings] == [
        ("slow", "problem"),
        ("optional", "note"),
        ("broken", "problem"),
        ("lacking", "problem"),
        ("quick", "ok"),
    ]
    assert "no answer within 0.2 s" in findings[0].found
    assert "RuntimeError" in findings[2].found
    assert "aiohttp" in findings[3].found
    assert "secret" not in str(findings)


def test_nothing_secret_is_ever_shown(paths: Paths) -> None:
    token, password = "plain-words-as-a-token", "hunter2hunter2"
    config = {"proxy": {"auth": {"token": token}}, "providers": {"openai": {}}}
    look = look_at(paths, config, OPENAI_API_KEY="key-without-a-usual-shape")
    checks = [
        Check("all", "System", lambda _: note(f"{token} and key-without-a-usual-shape", "Bearer abcdefgh")),
        Check("url", "System", lambda _: problem(f"http://me:{password}@host/", "two\nlines \x1b[31m")),
    ]
    findings, _ = run_checks(look, checks)
    for secret in (token, password, "abcdefgh", "key-without"):
        assert secret not in str(findings)
    assert "\n" not in findings[1].todo
    shown = describe(
        DoctorReport(version="1", home="", running=False, online=False, problems=1, findings=findings)
    )
    assert "\x1b" not in shown


def test_the_text_stands_in_line_and_fits_the_terminal() -> None:
    def finding(name: str, result: str, found: str, todo: str = "") -> Finding:
        return msgspec.convert(
            {"check": name, "area": "Lynkr", "result": result, "found": found, "todo": todo}, Finding
        )

    findings = (
        finding("engine", "ok", "It runs."),
        finding("built-in model", "problem", "word " * 40, "Do this " * 20),
        finding("port", "note", "Short.", "Nothing."),
    )
    report = DoctorReport(version="1.2", home="/h", running=True, online=False, problems=1, findings=findings)
    text = describe(report, columns=80)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    starts = {
        line.index(word)
        for line in lines
        for word in ("It runs.", "word word", "-> Do", "Short.")
        if word in line
    }
    assert starts == {2 + len("built-in model") + 2 + len("problem") + 2}
    assert lines[-1] == "1 problem (built-in model); 1 note."
    assert "!" not in text
    assert len(describe(report).splitlines()) == 10, "nothing is wrapped for a pipe"


def test_what_scripts_read_has_a_shape_that_lasts(paths: Paths) -> None:
    findings, _ = run_checks(look_at(paths), checks_for(look_at(paths)))
    names = [finding.check for finding in findings]
    assert names == [
        *("engine", "configuration", "port", "token", "access keys", "python"),
        *("home", "logs", "disk", "records", "memories", "cache", "audit log"),
        *("keyring", "key", "ollama", "ollama context", "built-in model", "tiers"),
        *("clock", "watch limits", "open files", "headroom", "autostart", "docker"),
        *("agents", "loops", "proxies"),
    ]
    built = msgspec.to_builtins(findings[0])
    assert set(built) == {"check", "subject", "area", "result", "found", "todo"}
    assert not [finding for finding in findings if finding.result in ("note", "problem") and not finding.todo]
    assert not list(paths.home.iterdir()), "a look leaves nothing behind"


def test_access_keys_that_do_not_count_are_told(paths: Paths) -> None:
    assert "There is none" in told(access.access_keys(look_at(paths)))
    keys = AccessKeys(paths.access)
    keys.add(AccessAdd(name="bob"))
    assert "There is 1 access key." in told(access.access_keys(look_at(paths)))
    now = time.time()
    old = AccessKeys(paths.access, clock=lambda: now - 7200)
    old.add(AccessAdd(name="ann", expires_in=3600))
    assert "expired: ann" in told(access.access_keys(look_at(paths)))
    good = paths.access.read_bytes()
    paths.access.write_bytes(good[:-9])
    found = access.access_keys(look_at(paths))
    assert found.result == "problem"
    assert "damaged" in found.text
    assert paths.access.read_bytes() == good[:-9], "a look changes nothing"
    if os.name == "posix":
        paths.access.chmod(0o664)
        assert "Other users could" in told(access.access_keys(look_at(paths)))
        assert stat.S_IMODE(paths.access.stat().st_mode) == 0o664, "a look changes nothing"


def test_an_audit_log_that_was_changed_is_told(paths: Paths) -> None:
    assert told(access.audit_log(look_at(paths))) == "ok: It is empty."
    log = AuditLog(paths.home)
    log.append(Note(1.0, "ann", "one"), Note(2.0, "ann", "two"))
    assert "2 entries are as they were written" in told(access.audit_log(look_at(paths)))
    [file] = log.folder.iterdir()
    file.write_bytes(file.read_bytes().replace(b"two", b"six"))
    found = access.audit_log(look_at(paths))
    assert found.result == "problem"
    assert "Entry 2 was changed" in found.text


# ---------------------------------------------------------------- the engine


def test_the_port_is_free_or_its_holder_is_named(paths: Paths) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        found = service.port(look_at(paths, {"proxy": {"port": port}}))
        assert told(found).startswith(f"problem: Port {port} is in use by")
        assert str(os.getpid()) in found.text
        assert "proxy.port" in found.todo
    assert told(service.port(look_at(paths))) == f"ok: Port {port} is free."
    assert service.port(look_at(paths, {"proxy": {"port": 0}})).result == "ok"


def test_the_configuration_is_judged_with_the_line_at_fault(paths: Paths) -> None:
    assert "the defaults are used" in told(service.configuration(look_at(paths))).lower()
    paths.config.write_text("proxy:\n  prot: 1\n  nonsense: 2\n")
    look = look_at(paths)
    found = service.configuration(look)
    assert found.result == "problem"
    assert "prot" in found.text
    assert "line 2" in found.text
    assert "1 more" in found.text
    assert "does not start" in found.todo
    skipped = {
        finding.title for finding in run_checks(look, checks_for(look))[0] if finding.result == "skipped"
    }
    assert {"key", "tiers", "built-in model", "ollama context"} <= skipped


@posix
def test_a_configuration_with_the_token_in_it_should_be_closed(paths: Paths) -> None:
    config = {"proxy": {"auth": {"token": "tk_0123456789"}}}
    paths.config.touch(0o644)
    found = service.configuration(look_at(paths, config))
    assert found.result == "note"
    assert "644" in found.text
    assert found.todo == f"Close it: chmod 600 {paths.config}"
    paths.config.chmod(0o600)
    assert service.configuration(look_at(paths)).result == "ok"


@posix
def test_the_token_is_nobody_elses_to_read(paths: Paths) -> None:
    assert "makes one at its first start" in told(service.token(look_at(paths)))
    paths.token.write_text("lk_0123456789abcdef\n")
    paths.token.chmod(0o640)
    found = service.token(look_at(paths))
    assert told(found).startswith("problem: Other users could read")
    assert "chmod 600" in found.todo
    assert stat.S_IMODE(paths.token.stat().st_mode) == 0o640, "a look changes nothing"
    paths.token.chmod(0o600)
    assert service.token(look_at(paths)).result == "ok"
    assert service.token(look_at(paths, LYNKR_TOKEN="two words")).result == "problem"
    paths.token.write_text("x")
    assert "holds no token" in told(service.token(look_at(paths)))
    paths.token.unlink()
    paths.token.mkdir()
    assert "no regular file" in told(service.token(look_at(paths)))


# ---------------------------------------------------------------- files


def test_a_home_that_cannot_be_made_is_a_problem(paths: Paths) -> None:
    blocked = resolve_paths(paths.home / "a file" / "home")
    (paths.home / "a file").write_text("")
    found = storage.home(look_at(blocked))
    assert told(found).startswith("problem:")
    assert f"{paths.home / 'a file'} is not a folder" in found.text
    assert "LYNKR_HOME" in found.todo
    assert storage.logs(look_at(blocked)).result == "note"
    assert storage.cache(look_at(blocked)).result == "note"
    assert storage.home(look_at(paths)).result == "ok"
    assert "can be made" in storage.home(look_at(resolve_paths(paths.home / "new" / "home"))).text
    assert not (paths.home / "new").exists()


def test_room_on_the_disk_is_told(paths: Paths) -> None:
    assert "are free at" in told(storage.disk(look_at(paths)))


@posix
def test_a_home_that_is_a_link_to_nowhere_is_told(paths: Paths) -> None:
    link = paths.home / "link"
    link.symlink_to(paths.home / "gone")
    look = look_at(resolve_paths(link))
    assert told(storage.home(look)).startswith(f"problem: {link} is not a folder")
    assert storage.disk(look).result == "skipped"


def test_damaged_records_are_found_and_left_alone(paths: Paths) -> None:
    file = paths.home / "lynkr.db"
    assert "no records yet" in told(storage.records(look_at(paths)))
    with closing(open_for_writing(file)) as connection:
        connection.execute("CREATE TABLE filler (text TEXT)")
        connection.executemany("INSERT INTO filler VALUES (?)", [("x" * 500,)] * 2000)
    assert told(storage.records(look_at(paths))).startswith(f"ok: {file} is sound")
    assert os.listdir(paths.home) == [file.name], "a look leaves nothing beside it"
    whole = file.read_bytes()
    torn = whole[:4096] + os.urandom(4096 * 20) + whole[4096 * 21 :]
    file.write_bytes(torn)
    found = storage.records(look_at(paths))
    assert told(found).startswith(f"problem: {file} is damaged")
    assert "Keep a copy" in found.todo
    assert file.read_bytes() == torn
    file.write_bytes(b"this is no database at all" * 100)
    assert "is damaged" in told(storage.records(look_at(paths)))
    file.unlink()
    file.mkdir()
    assert "no regular file" in told(storage.records(look_at(paths)))


def test_records_of_a_later_version_and_those_set_aside_are_told(paths: Paths) -> None:
    file = paths.home / "lynkr.db"
    with closing(open_for_writing(file)) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    assert "later version" in told(storage.records(look_at(paths)))
    file.unlink()
    open_for_writing(file).close()
    aside = file.with_name("lynkr.db.corrupt-20260101-000000")
    aside.write_bytes(b"x")
    found = storage.records(look_at(paths))
    assert found.result == "note"
    assert aside.name in found.text


def test_memories_and_the_cache_are_looked_at(paths: Paths) -> None:
    assert "file of the records" in told(storage.memories(look_at(paths)))
    config = {"memory": {"enabled": True, "storage": "sqlite://./memories.db"}}
    file = paths.home / "memories.db"
    file.write_bytes(b"no database" * 500)
    assert told(storage.memories(look_at(paths, config))).startswith(f"problem: {file} is damaged")
    code = paths.cache / "code"
    code.mkdir(parents=True)
    assert storage.cache(look_at(paths)).result == "ok"
    (code / "a.code.sqlite").write_bytes(b"no database" * 500)
    found = storage.cache(look_at(paths))
    assert found.result == "note"
    assert "makes it anew" in found.todo


def test_a_database_that_another_program_writes_to_is_sound(paths: Paths) -> None:
    file = paths.home / "lynkr.db"
    open_for_writing(file).close()
    with closing(sqlite3.connect(file, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        assert storage.records(look_at(paths)).result == "ok"
        writer.execute("ROLLBACK")


def test_a_built_in_model_that_is_not_whole_is_found(paths: Paths) -> None:
    config = {
        "embedded": {"model": GEMMA.id, "auto_pull": False},
        "routing": {"tiers": {"simple": {"providers": ["embedded/auto"]}}},
    }
    look = look_at(paths, config)
    found = builtin.built_in(look)
    assert told(found).startswith("problem:")
    assert "is not downloaded yet" in found.text
    assert f"lynkr models pull {GEMMA.id}" in found.todo
    file = paths.models / f"{GEMMA.id}.gguf"
    file.parent.mkdir()
    file.write_bytes(b"GGUF")
    assert "is not complete: it has 4 bytes of 253.1 MB" in told(builtin.built_in(look))
    os.truncate(file, GEMMA.size)
    assert "is complete" in told(builtin.built_in(look))
    with file.open("r+b") as opened:
        opened.write(b"\0\0\0\0")
    assert "is no model" in told(builtin.built_in(look))
    own = paths.home / "own.gguf"
    config["embedded"] = {"model": str(own)}
    assert f"There is no file {own}" in told(builtin.built_in(look_at(paths, config)))
    own.write_bytes(b"<html>")
    assert "is no GGUF file" in told(builtin.built_in(look_at(paths, config)))


# ---------------------------------------------------------------- keys


def test_a_key_that_is_missing_matters_where_a_tier_needs_it(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {
        "providers": {
            "anthropic": {},
            "lmstudio": {"kind": "openai_compatible", "base_url": "http://127.0.0.1:1/v1"},
        },
        "routing": {"tiers": {"simple": {"providers": ["openrouter/some-model", "lmstudio/m"]}}},
    }
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")

    def found() -> dict[str, Found]:
        look = look_at(
            paths, config, **{key: os.environ[key] for key in os.environ if key.endswith("_API_KEY")}
        )
        return {check.subject: check.run(look) for check in keys.key_checks(look)}

    first = found()
    assert told(first["openrouter"]) == "problem: There is none. The tier simple names models of it."
    assert "lynkr keys set openrouter" in first["openrouter"].todo
    assert told(first["anthropic"]) == "note: There is none."
    assert first["lmstudio"].result == "ok"
    monkeypatch.setenv("OPENROUTER_API_KEY", "two words")
    assert "cannot be a key" in told(found()["openrouter"])
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-or-0123456789")
    assert told(found()["openrouter"]) == "ok: It is in OPENROUTER_API_KEY."


def test_the_clock_is_asked_for_online_only(paths: Paths) -> None:
    config = {"providers": {"openai": {}}}
    assert "--online" in told(keys.clock(look_at(paths, config)))
    config["routing"] = {"profile": "secure"}
    assert told(keys.clock(look_at(paths, config, online=True))) == (
        "skipped: The profile in force lets nothing leave this machine."
    )


# ---------------------------------------------------------------- the system


@linux
def test_watches_in_use_are_counted_as_the_kernel_does(tmp_path: Path) -> None:
    class Watched:
        def absolute(self, folder: str) -> str:
            return str(tmp_path / folder)

        def note(self, folder: str, name: str, *, is_folder: bool) -> None: ...

        def note_all(self) -> None: ...

    folders = ["a", "b", "c"]
    for folder in folders:
        (tmp_path / folder).mkdir()
    observer = EachFolder()
    try:
        process = tmp_path / "proc" / str(os.getpid())
        process.parent.mkdir()
        process.symlink_to(f"/proc/{os.getpid()}")
        before = watches.in_use(process.parent)
        watched = Watched()
        for folder in folders:
            observer.cover(watched, folder)
        after = watches.in_use(process.parent)
        assert after.watches - before.watches == 3
        assert after.instances == before.instances >= 1
    finally:
        observer.close()


@linux
def test_limits_of_watches_are_held_against_the_workspace(paths: Paths, tmp_path: Path) -> None:
    workspace = tmp_path / "project"
    for number in range(9):
        (workspace / f"p{number}").mkdir(parents=True)
    (workspace / "node_modules" / "many" / "more").mkdir(parents=True)
    look = look_at(paths, {"routing": {"workspace": str(workspace)}})

    def found(most: int, instances: int) -> Found:
        kernel = tmp_path / "system" / "proc/sys/fs/inotify"
        kernel.mkdir(parents=True, exist_ok=True)
        (kernel / "max_user_watches").write_text(f"{most}\n")
        (kernel / "max_user_instances").write_text(f"{instances}\n")
        changed = Look(look.paths, look.environ, False, look.config, look.loaded, system=tmp_path / "system")
        return watches.watches(changed)

    assert told(found(10, 5)) == f"ok: 0 of 10 watches are taken; {workspace} needs 10."
    assert f"{workspace} needs 10" in told(found(9, 5))
    assert found(9, 5).todo == "Raise the limit: sudo sysctl fs.inotify.max_user_watches=524288"
    assert "0 of 1 inotify instances are taken" in told(found(10, 1))


@posix
def test_too_few_open_files_are_told(paths: Paths) -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    look = look_at(paths)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, before[1]))
        assert told(system.open_files(look)).startswith("note: A process may open 512 files")
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, before[1]))
        assert told(system.open_files(look)).startswith("problem:")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@linux
def test_an_entry_at_login_whose_program_is_gone_is_told(paths: Paths, tmp_path: Path) -> None:
    assert told(system.autostart(look_at(paths))) == "ok: Lynkr does not start at login."
    entry = tmp_path / ".config" / "autostart" / "lynkr.desktop"
    entry.parent.mkdir(parents=True)
    entry.write_text(f"[Desktop Entry]\nExec={tmp_path}/gone/lynkr-desktop --quiet\n")
    assert f"{tmp_path}/gone/lynkr-desktop" in told(system.autostart(look_at(paths)))
    entry.write_text(f"[Desktop Entry]\nExec={sys.executable} -m lynkr_desktop\n")
    assert system.autostart(look_at(paths)).text == f"Lynkr starts at login ({entry})."


def test_the_program_of_a_listed_stage_is_looked_for(paths: Paths) -> None:
    assert system.headroom(look_at(paths)).result == "skipped"
    options = {"pipeline": ["ml_headroom_sidecar"], "headroom": {"command": str(paths.home / "gone")}}
    found = system.headroom(look_at(paths, {"optimization": options}))
    assert told(found).startswith(f"note: There is no program {paths.home / 'gone'}")
    own = {"optimization": {"headroom": {"command": sys.executable}}}
    own["routing"] = {"profiles": {"lean": {"pipeline": ["ml_headroom_sidecar"]}}}
    assert told(system.headroom(look_at(paths, own))) == f"ok: {sys.executable} is there."


@contextmanager
def unix_server(path: Path, answer: Callable[[socket.socket], None]) -> Iterator[None]:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                answer(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield
        thread.join(10)


@posix
def test_docker_is_a_note_at_most(paths: Paths, tmp_path: Path) -> None:
    place = tmp_path / "docker.sock"

    def found() -> Found:
        return docker.docker(look_at(paths, DOCKER_HOST=f"unix://{place}"))

    assert told(found()).startswith("skipped: It is not there.")
    body = b'{"Version": "27.1.2", "ApiVersion": "1.46"}'
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
    with unix_server(place, lambda client: client.sendall(head % len(body) + body)):
        assert told(found()).startswith(f"ok: Docker 27.1.2 answers at {place}.")
    assert "left over" in told(found())
    place.unlink()
    with unix_server(place, lambda client: client.sendall(head % 2 + b"[]")):
        found_other = found()
    assert found_other.result == "note"
    assert "is no Docker" in found_other.text
    assert docker.docker(look_at(paths, DOCKER_HOST="tcp://10.0.0.9:2375")).result == "skipped"


# ---------------------------------------------------------------- the environment


def test_variables_that_lead_agents_elsewhere_are_named(paths: Paths) -> None:
    config = {"proxy": {"port": 9123}}

    def found(**environ: str) -> Found:
        return environment.agents(look_at(paths, config, **environ))

    assert found().result == "ok"
    assert found(ANTHROPIC_BASE_URL="http://127.0.0.1:9123/").text == "ANTHROPIC_BASE_URL leads to Lynkr."
    assert found(OPENAI_BASE_URL="http://localhost:9123/v1").result == "ok"
    elsewhere = found(ANTHROPIC_BASE_URL="https://me:a-password-here@llm.example.com/x?token=abc")
    assert told(elsewhere) == "note: ANTHROPIC_BASE_URL leads to https://llm.example.com, not to Lynkr."
    assert "http://127.0.0.1:8081" in told(found(OPENAI_BASE_URL="http://127.0.0.1:8081/v1"))
    assert "has the path /v1 where it needs none" in told(
        found(ANTHROPIC_BASE_URL="http://127.0.0.1:9123/v1")
    )
    assert "has the path / where it needs /v1" in told(found(OPENAI_BASE_URL="http://127.0.0.1:9123"))
    assert "Amazon Bedrock" in told(found(CLAUDE_CODE_USE_BEDROCK="1"))
    assert found(CLAUDE_CODE_USE_BEDROCK="0").result == "ok"
    assert environment.agents(look_at(paths, {"proxy": {"port": 0}})).result == "skipped"
    look_at(paths, config)
    assert "no URL" in told(found(ANTHROPIC_BASE_URL="http://[half:99999999"))


def test_a_provider_that_leads_back_to_lynkr_is_a_problem(paths: Paths) -> None:
    port = free_port()
    assert environment.loops(look_at(paths, {"proxy": {"port": port}})).result == "ok"
    found = environment.loops(look_at(paths, OLLAMA_HOST=f"127.0.0.1:{port}"))
    assert told(found).startswith("problem: The provider ollama has Lynkr's own address")
    assert "without OLLAMA_HOST" in found.todo
    own = {"kind": "openai_compatible", "base_url": f"http://localhost:{port}/v1"}
    found = environment.loops(look_at(paths, {"proxy": {"port": port}, "providers": {"mine": own}}))
    assert found.result == "problem"
    assert "providers.mine.base_url" in found.todo


def test_a_proxy_that_would_catch_this_machine_is_a_problem(paths: Paths) -> None:
    def found(**environ: str) -> Found:
        return environment.proxies(look_at(paths, **environ))

    assert found().result == "ok"
    assert found(HTTPS_PROXY="http://proxy.example:3128").result == "ok"
    caught = found(HTTP_PROXY="http://me:a-password-here@proxy.example:3128")
    assert told(caught).startswith("problem:")
    assert "127.0.0.1 and localhost" in caught.text
    assert "http://proxy.example:3128" in caught.text
    assert "password" not in caught.text
    assert found(http_proxy="http://p:1", no_proxy="127.0.0.1,localhost").result == "ok"
    assert found(ALL_PROXY="socks5://p:1", NO_PROXY="*").result == "ok"
    assert "ask localhost by" in told(found(HTTP_PROXY="http://p:1", NO_PROXY="127.0.0.1"))
