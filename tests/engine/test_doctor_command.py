"""`lynkr doctor` as a person runs it: with and without an engine, and where something around it is broken."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from email.utils import formatdate
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from lynkr_desktop.cli.doctor import describe
from lynkr_desktop.doctor.check import run_checks
from lynkr_desktop.doctor.checks import checks_for
from lynkr_desktop.doctor.look import look_around
from lynkr_desktop.paths import resolve_paths
from lynkr_desktop.protocol.control import EngineRuntime
from lynkr_desktop.protocol.doctor import DoctorReport, Finding
from tests.support.engine import LIMITS, ROOT, TOKEN, config_for, write_config
from tests.support.fakes.keyed import KeyedFake
from tests.support.ollama_models import FakeModel, Loaded
from tests.support.ollama_server import OllamaServer
from tests.support.proxy import Proxy, running_proxy
from tests.support.secret_service import NEEDED, secret_service

KEY = "sk-recognise-4f9a1c7e2b8d6035"

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has these programs")


class Report:
    """What the command said, by check."""

    def __init__(self, code: int, out: str) -> None:
        self.code = code
        self.decoded = msgspec.json.decode(out, type=DoctorReport)
        self.text = describe(self.decoded)
        assert "Traceback" not in out
        assert self.code == (1 if self.decoded.problems else 0), self.text

    def __getitem__(self, title: str) -> Finding:
        return next(finding for finding in self.decoded.findings if finding.title == title)

    @property
    def problems(self) -> list[str]:
        """The checks that found one."""
        return [finding.title for finding in self.decoded.findings if finding.result == "problem"]


def clean_environ(**more: str) -> dict[str, str]:
    """Nothing of this machine that the command would find fault with."""
    names = ("PATH", "HOME", "LANG", "SYSTEMROOT", "TMPDIR")
    kept = {name: os.environ[name] for name in names if name in os.environ}
    # No key of a test is looked for in the keyring of whoever runs it.
    keyring = {"PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}
    return {**kept, "PYTHONPATH": str(ROOT), **keyring, **more}


async def doctor(
    home: Path, *arguments: str, environ: dict[str, str] | None = None, before: tuple[str, ...] = ()
) -> Report:
    """Runs the command, as a program of its own."""
    process = await asyncio.create_subprocess_exec(
        *(
            *before,
            sys.executable,
            "-m",
            "lynkr_desktop",
            "doctor",
            "--json",
            "--home",
            str(home),
            *arguments,
        ),
        cwd=home.parent,
        env=clean_environ() if environ is None else environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, errors = await asyncio.wait_for(process.communicate(), 60)
    except BaseException:
        process.kill()
        await process.wait()
        raise
    assert not errors.decode()
    return Report(process.returncode or 0, out.decode())


async def found_here(home: Path, check: str, *, online: bool = False) -> Finding:
    """What one check of the command finds, run in this process, which is quicker."""

    def run() -> Finding:
        look = look_around(resolve_paths(home), clean_environ(), online=online)
        return run_checks(look, [one for one in checks_for(look) if one.name == check])[0][0]

    return await asyncio.to_thread(run)


def tiers_of(*models: str) -> dict[str, Any]:
    return {tier: {"providers": list(models), "max_complexity": limit} for tier, limit in LIMITS.items()}


def with_ollama(url: str, *models: str, **more: Any) -> dict[str, Any]:
    return {
        "proxy": {"auth": {"token": TOKEN}, "port": 0},
        "providers": {"ollama": {"base_url": url}},
        "routing": {"tiers": tiers_of(*(models or ("ollama/auto",)))},
        **more,
    }


@contextlib.asynccontextmanager
async def serving(config: dict[str, Any], home: Path) -> AsyncIterator[Proxy]:
    """A real engine in a process of its own."""
    stack = contextlib.ExitStack()
    proxy = await asyncio.to_thread(
        stack.enter_context, running_proxy(home, json.dumps(config), clean_environ())
    )
    try:
        (home / "lynkr-routing.yaml").chmod(0o600)
        yield proxy
    finally:
        await asyncio.to_thread(stack.close)


@contextlib.asynccontextmanager
async def listening(
    answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[str]:
    """A server that treats each connection so; gives its URL."""
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


@contextlib.asynccontextmanager
async def silent_server() -> AsyncIterator[str]:
    """Takes connections and says nothing."""
    released = asyncio.Event()

    async def hold(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await released.wait()
        writer.close()

    async with listening(hold) as url:
        try:
            yield url
        finally:
            released.set()


@contextlib.asynccontextmanager
async def server_of_date(at: float) -> AsyncIterator[str]:
    """An HTTP server whose clock shows another time."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        date = formatdate(at, usegmt=True)
        writer.write(f"HTTP/1.1 404 Not Found\r\nDate: {date}\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    async with listening(answer) as url:
        yield f"{url}/v1"


# ---------------------------------------------------------------- whole


async def test_a_machine_in_order_has_no_problem_with_and_without_an_engine(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "project" / "src").mkdir(parents=True)
    async with OllamaServer(FakeModel("qwen2.5-coder:7b"), FakeModel("llama3.2")) as ollama:
        config = with_ollama(ollama.url)
        config["routing"]["workspace"] = str(tmp_path / "project")
        write_config(home, config).config.chmod(0o600)
        before = sorted(home.iterdir())
        report = await doctor(home)
        assert sorted(home.iterdir()) == before, "a look leaves nothing behind"
        assert (report.problems, report.code) == ([], 0), report.text
        assert not report.decoded.running
        assert "does not run" in report["engine"].found
        assert report["ollama"].found == (
            f"Ollama {ollama.version} answers at {ollama.url} with 2 models, none of them in memory."
        )
        assert report["tiers"].found == "Each of the 4 tiers has a model that can answer."
        async with serving(config, home) as proxy:
            report = await doctor(home)
            assert (report.problems, report.code) == ([], 0), report.text
            assert report.decoded.running
            assert f"runs on port {proxy.port}" in report["engine"].found
            assert report["port"].result == report["token"].result == report["records"].result == "ok"
            assert report["tiers"].result == "ok"
            assert TOKEN not in report.text
            (home / "token").chmod(0o644)
            report = await doctor(home)
            assert report.problems == ["token"], report.text
            assert (home / "token").stat().st_mode & 0o777 == 0o644, "a look changes nothing"
    assert "!" not in report.text


async def test_a_first_look_before_anything_is_there(tmp_path: Path) -> None:
    home = tmp_path / "home"
    shown = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "lynkr_desktop", "doctor", "--home", str(home)),
        cwd=tmp_path,
        env=clean_environ(OLLAMA_HOST="http://127.0.0.1:1", HOME=str(tmp_path)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await asyncio.wait_for(shown.communicate(), 60)
    lines = out.decode().splitlines()
    assert not home.exists()
    assert lines[0].endswith(str(home))
    assert "  -> Start it with `lynkr serve`, or from the tray." in out.decode()
    assert any(
        line.startswith("  ollama ") and "does not answer at http://127.0.0.1:1." in line for line in lines
    )
    columns = {
        line.index(" problem " if " problem " in line else " note ")
        for line in lines
        if " note " in line[:30]
    }
    assert len(columns) == 1, "the results stand in line"


# ---------------------------------------------------------------- broken


async def test_an_engine_that_hangs_is_told_and_holds_nothing_up(tmp_path: Path) -> None:
    paths = resolve_paths(tmp_path / "home")
    paths.home.mkdir()
    paths.token.write_text(TOKEN)
    paths.token.chmod(0o600)
    async with silent_server() as url:
        me = psutil.Process()
        runtime = EngineRuntime(
            pid=me.pid, pid_started=me.create_time(), port=int(url.rpartition(":")[2]), version="0"
        )
        paths.runtime.write_bytes(msgspec.json.encode(runtime))
        began = time.monotonic()
        report = await doctor(paths.home)
    assert time.monotonic() - began < 40
    assert "engine" in report.problems
    assert "does not answer (timed out)" in report["engine"].found
    assert f"end process {me.pid}" in report["engine"].todo
    assert report["home"].result == report["disk"].result == "ok"
    assert report["keyring"].found == (
        "The keys could not be listed: The engine has them and does not answer."
    )


async def test_what_hangs_for_good_does_not_keep_the_command(tmp_path: Path) -> None:
    """A look-up of a name, for one, is in a thread that Python waits for at its end."""
    script = (
        "import concurrent.futures, sys, threading\n"
        "from lynkr_desktop.cli.main import main\n"
        "from lynkr_desktop.doctor import storage\n"
        "pool = concurrent.futures.ThreadPoolExecutor()\n"
        "storage.disk = lambda look: pool.submit(threading.Event().wait).result()\n"
        "sys.exit(main(['doctor', '--json', '--home', sys.argv[1]]))\n"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script, str(tmp_path / "home")),
        env=clean_environ(),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(), 45)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    report = Report(process.returncode or 0, out.decode())
    assert report.problems == ["disk"]
    assert report["disk"].found == "There was no answer within 5 s."
    assert report["records"].result == "ok"


async def test_an_ollama_that_hangs_or_is_something_else_is_told(tmp_path: Path) -> None:
    home = tmp_path / "home"
    async with silent_server() as url:
        write_config(home, with_ollama(url))
        report = await doctor(home)
    assert "ollama" in report.problems
    assert f"does not answer at {url}" in report["ollama"].found
    assert "ollama serve" in report["ollama"].todo
    assert report["home"].result == "ok"
    async with KeyedFake(KEY) as other:
        write_config(home, with_ollama(other.url))
        report = await doctor(home)
    assert "is not Ollama" in report["ollama"].found


async def test_models_that_are_missing_or_too_small_are_named(tmp_path: Path) -> None:
    home = tmp_path / "home"
    small = FakeModel("small", context_length=8192)
    plain = FakeModel("plain", capabilities=("completion",))
    async with OllamaServer(small, plain, FakeModel("fine"), FakeModel("embedder", ("embedding",))) as ollama:
        write_config(home, with_ollama(ollama.url, "ollama/absent"))
        report = await doctor(home)
        assert "ollama" in report.problems
        assert report["ollama"].found.startswith("model absent is not installed in Ollama.")
        assert report["ollama"].todo == "Run `ollama pull absent`."
        assert "tiers" in report.problems
        write_config(home, with_ollama(ollama.url, "ollama/absent", "ollama/fine"))
        report = await doctor(home)
        assert (report.problems, report["ollama"].result) == ([], "note")
        for model, told in (("small", "reads 8,192 tokens at most"), ("plain", "cannot call tools")):
            write_config(home, with_ollama(ollama.url, f"ollama/{model}"))
            assert told in (await found_here(home, "ollama context")).found
        config = with_ollama(ollama.url, "ollama/fine")
        config["providers"]["ollama"]["max_context"] = 8192
        write_config(home, config)
        context = await found_here(home, "ollama context")
        assert "more than 8,192 tokens are refused (providers.ollama.max_context)" in context.found
        write_config(home, with_ollama(ollama.url, "ollama/fine"))
        assert (await found_here(home, "ollama context")).found == "Up to 32,768 tokens are read."
        ollama.loaded["fine:latest"] = Loaded(4096, time.time() + 300)
        assert "in memory: fine (4,096 tokens)" in (await found_here(home, "ollama")).found
        assert "in memory with 4,096 tokens" in (await found_here(home, "ollama context")).found
        del ollama.models["small:latest"], ollama.models["plain:latest"], ollama.models["fine:latest"]
        write_config(home, with_ollama(ollama.url))
        assert "no model that can chat" in (await found_here(home, "ollama")).found


async def test_a_port_that_another_program_or_another_lynkr_has(tmp_path: Path) -> None:
    home = tmp_path / "home"
    holder = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "import socket, sys; s = socket.create_server(('127.0.0.1', 0)); "
        "print(s.getsockname()[1], flush=True); sys.stdin.read()",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert holder.stdout is not None
    assert holder.stdin is not None
    try:
        write_config(home, {"proxy": {"port": int(await holder.stdout.readline())}})
        report = await doctor(home)
    finally:
        holder.stdin.close()
        await holder.wait()
    assert "port" in report.problems
    assert f"(process {holder.pid})" in report["port"].found
    async with OllamaServer() as ollama, serving(with_ollama(ollama.url), tmp_path / "other") as proxy:
        write_config(home, {"proxy": {"port": proxy.port}})
        report = await doctor(home)
    assert "another Lynkr" in report["port"].found


async def test_a_file_that_was_broken_while_the_engine_runs(tmp_path: Path) -> None:
    home = tmp_path / "home"
    async with OllamaServer() as ollama, serving(with_ollama(ollama.url), home):
        (home / "lynkr-routing.yaml").write_text("proxy:\n  prot: 1\n")
        report = await doctor(home)
    assert report.problems == ["configuration"], report.text
    assert "line 2" in report["configuration"].found
    assert "goes on with the older options" in report["configuration"].todo
    assert report["tiers"].result == "ok"


@linux
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv is not installed")
async def test_a_home_that_is_somebody_elses(tmp_path: Path) -> None:
    """Run without the rights that root has over every file."""
    home = tmp_path / "home"
    home.mkdir()
    drop = "-dac_override,-dac_read_search"
    before = ("setpriv", f"--bounding-set={drop}") if os.geteuid() == 0 else ()
    home.chmod(0o500)
    try:
        report = await doctor(home, before=before)
    finally:
        home.chmod(0o700)
    assert "home" in report.problems
    assert "cannot be written (Permission denied)" in report["home"].found
    database = home / "lynkr.db"
    database.write_bytes(b"")
    database.chmod(0o400)
    report = await doctor(home, before=before)
    assert "cannot be written" in report["records"].found


async def test_packages_that_do_not_fit_are_named(tmp_path: Path) -> None:
    site = tmp_path / "site"
    facts = site / "lynkr_desktop-9.9.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: lynkr-desktop\nVersion: 9.9\nRequires-Python: >=3.11\n"
        "Requires-Dist: aiohttp>=99\nRequires-Dist: psutil\nRequires-Dist: no-such-package-of-ours>=1\n"
        "Requires-Dist: pytest>=99; extra == 'dev'\n"
    )
    (tmp_path / "home").mkdir()
    environ = clean_environ(PYTHONPATH=f"{site}{os.pathsep}{ROOT}")
    report = await doctor(tmp_path / "home", environ=environ)
    found = report["python"].found
    assert "python" in report.problems
    assert "where >=99 is needed, no-such-package-of-ours is missing." in found
    assert "pytest" not in found


# ---------------------------------------------------------------- keys and clocks


async def test_keys_are_found_and_tested_and_never_shown(tmp_path: Path) -> None:
    home = tmp_path / "home"
    async with KeyedFake(KEY) as fake:
        write_config(home, config_for(f"{fake.url}/v1")).config.chmod(0o600)
        environ = clean_environ(FAKE_API_KEY=KEY)
        report = await doctor(home, environ=environ)
        assert report["key fake"].found == "It is in FAKE_API_KEY."
        assert not fake.asked, "nobody is asked without --online"
        assert "--online" in report["clock"].found
        report = await doctor(home, "--online", environ=environ)
        assert (report["key fake"].result, report["key fake"].found) == ("ok", "fake takes the key.")
        assert report["clock"].found == "It agrees with that of 127.0.0.1."
        fake.key = "another"
        report = await doctor(home, "--online", environ=environ)
        assert "key fake" in report.problems
        assert "lynkr keys set fake" in report["key fake"].todo
        for shown in (KEY, KEY[:12], KEY[-6:]):
            assert shown not in report.text
    report = await doctor(home, "--online", environ=environ)
    assert "key fake" in report.problems
    assert report["clock"].result == "skipped"


async def test_an_engine_without_the_key_that_is_set_here(tmp_path: Path) -> None:
    home = tmp_path / "home"
    config = {"routing": {"tiers": tiers_of("openai/gpt-x")}, "proxy": {"port": 0}}
    async with serving(config, home):
        report = await doctor(home, environ=clean_environ(OPENAI_API_KEY=KEY))
    assert "key openai" in report.problems
    assert "is set here, and the engine was started without it" in report["key openai"].found
    assert "restart the engine" in report["key openai"].todo


@pytest.mark.parametrize(("off", "result"), [(-3600.0, "problem"), (120.0, "note"), (5.0, "ok")])
async def test_a_clock_that_is_wrong_is_told(tmp_path: Path, off: float, result: str) -> None:
    home = tmp_path / "home"
    async with server_of_date(time.time() + off) as url:
        write_config(home, config_for(url))
        found = await found_here(home, "clock", online=True)
    assert found.result == result
    if result != "ok":
        assert ("ahead of" if off < 0 else "behind") in found.found


async def test_nothing_leaves_the_machine_under_a_closed_profile(tmp_path: Path) -> None:
    """Addresses that take no connection: whoever asks them would wait, or fail."""
    home = tmp_path / "home"
    far = "http://192.0.2.1:9"
    config = config_for(f"{far}/v1")
    config["providers"]["box"] = {"kind": "ollama", "base_url": far}
    config["routing"]["profile"] = "secure"
    write_config(home, config)
    report = await doctor(home, "--online")
    closed = "The profile in force lets nothing leave this machine."
    assert closed in report["key fake"].found
    assert report["clock"].found == report["ollama box"].found == closed
    assert "No model of this machine can answer simple" in report["tiers"].found


@pytest.mark.skipif(
    any(shutil.which(name) is None for name in NEEDED), reason=f"{' or '.join(NEEDED)} is not installed"
)
async def test_a_real_keyring_unlocked_locked_and_silent(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with secret_service(tmp_path / "session") as session:
        report = await doctor(home, environ=session.env)
        assert report["keyring"].found == "Secret Service answers and is unlocked."
        session.stop()
        session.start(unlocked=False)
        report = await doctor(home, environ=session.env)
        assert report["keyring"].result == "note"
        assert report["keyring"].found == "The OS keyring is locked."
        assert "Unlock it" in report["keyring"].todo
        session.pause()
        try:
            began = time.monotonic()
            report = await doctor(home, environ=session.env)
            assert time.monotonic() - began < 30
            assert "did not answer" in report["keyring"].found
        finally:
            session.resume()


async def test_a_machine_without_a_keyring_is_told_what_to_do(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    report = await doctor(home)
    assert report["keyring"].result == "note"
    assert "switched off" in report["keyring"].found
    assert report["keyring"].todo


async def test_a_free_port_stays_free(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    write_config(home, {"proxy": {"port": port}})
    assert (await found_here(home, "port")).found == f"Port {port} is free."
    with socket.create_server(("127.0.0.1", port)):
        assert (await found_here(home, "port")).result == "problem"
