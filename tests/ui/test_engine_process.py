"""Starting, finding and healing engine processes, with small real processes in the engine's place."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from lynkr_desktop.paths import Paths
from lynkr_desktop.protocol.control import EngineRuntime, EngineStatus
from lynkr_desktop.tasks import Tasks
from lynkr_desktop.ui import engine_process
from lynkr_desktop.ui.engine_process import EngineHandle, StartFailure, adopt, engine_command, launch
from lynkr_desktop.ui.supervisor import Backoff, Supervisor
from tests.support.control_server import ControlServer, control_server

READY = 'print(\'{"event":"ready","port":4711,"pid":1}\', flush=True);'


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


@pytest.fixture
async def server(status: EngineStatus) -> AsyncIterator[ControlServer]:
    async with control_server(status) as running:
        yield running


@pytest.fixture
def sleeper() -> Iterator[psutil.Popen]:
    process = psutil.Popen(python("import time; time.sleep(60)"))
    yield process
    with contextlib.suppress(psutil.NoSuchProcess):
        process.kill()
    process.wait()


def write_runtime(paths: Paths, port: int, pid: int, started: float) -> None:
    paths.home.mkdir(parents=True, exist_ok=True)
    runtime = EngineRuntime(pid=pid, pid_started=started, port=port, version="0")
    paths.runtime.write_bytes(msgspec.json.encode(runtime))


async def test_an_engine_that_gets_ready(tmp_path: Path) -> None:
    engine = await launch(python(READY + "import time; time.sleep(60)"), tmp_path)
    assert engine.port == 4711
    assert psutil.pid_exists(engine.pid)
    if os.name == "posix":
        assert os.getsid(engine.pid) == engine.pid, "it must outlive the UI and its terminal"
    engine.kill()
    assert await asyncio.wait_for(engine.wait(), 5) == (-9 if os.name == "posix" else 1)


async def test_a_port_that_is_taken(tmp_path: Path) -> None:
    line = (
        '{"event":"failed","code":"port_in_use","message":"Port 8081 is in use.",'
        '"port":8081,"holder":"nginx (process 12)","suggested_port":8082}'
    )
    with pytest.raises(StartFailure) as caught:
        await launch(python(f"print({line!r}); raise SystemExit(3)"), tmp_path)
    failure = caught.value
    assert (failure.code, failure.port, failure.holder) == ("port_in_use", 8081, "nginx (process 12)")
    assert failure.suggested_port == 8082


@pytest.mark.parametrize(
    "code",
    [
        "raise SystemExit(1)",
        "print('Hello from a library')",
        "print('x' * 1_000_000)",
        "import sys; sys.stdout.buffer.write(b'\\xff\\x00\\n')",
        'print(\'{"event": "ready"}\')',
    ],
)
async def test_an_engine_that_says_nothing_of_use(tmp_path: Path, code: str) -> None:
    with pytest.raises(StartFailure) as caught:
        await asyncio.wait_for(launch(python(code), tmp_path), 20)
    assert caught.value.code == "internal"


async def test_what_it_wrote_to_stderr_is_there_for_whoever_helps(tmp_path: Path) -> None:
    with pytest.raises(StartFailure) as caught:
        await launch(python("import no_such_module_at_all"), tmp_path)
    assert "no_such_module_at_all" in caught.value.details
    assert "no_such_module_at_all" not in caught.value.message


async def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StartFailure):
        await launch([str(tmp_path / "no-such-program")], tmp_path)


async def test_an_engine_that_never_gets_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_process, "_READY_TIMEOUT_S", 0.3)
    before = {child.pid for child in psutil.Process().children()}
    with pytest.raises(StartFailure):
        await launch(python("import time; time.sleep(60)"), tmp_path)
    await no_more_children_than(before)


async def test_stop_while_starting_leaves_no_process(tmp_path: Path) -> None:
    before = {child.pid for child in psutil.Process().children()}
    task = asyncio.create_task(launch(python("import time; time.sleep(60)"), tmp_path))
    async with asyncio.timeout(5):
        while {child.pid for child in psutil.Process().children()} == before:
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await no_more_children_than(before)


async def no_more_children_than(before: set[int]) -> None:
    async with asyncio.timeout(5):
        while {child.pid for child in psutil.Process().children()} - before:
            await asyncio.sleep(0.02)


def test_the_command_carries_what_was_given() -> None:
    assert engine_command("/h", None, 9000)[1:] == [
        "-m", "lynkr_desktop", "serve", "--supervised", "--home", "/h", "--port", "9000",
    ]  # fmt: skip


async def test_adopts_what_runs_and_answers(
    paths: Paths, server: ControlServer, sleeper: psutil.Popen
) -> None:
    write_runtime(paths, server.port, sleeper.pid, sleeper.create_time())
    found = await adopt(paths)
    assert found is not None
    assert (found.port, found.pid, found.supervised) == (server.port, sleeper.pid, False)
    ended = asyncio.create_task(found.wait())
    await asyncio.sleep(0)
    assert not ended.done()
    found.kill()
    # The test is its parent and does not reap it yet: a zombie counts as ended.
    await asyncio.wait_for(ended, 3)
    found.kill()
    found.terminate()


async def test_adopts_nothing_else(
    paths: Paths, server: ControlServer, sleeper: psutil.Popen, unused_tcp_port: int
) -> None:
    assert await adopt(paths) is None, "no file"
    write_runtime(paths, server.port, sleeper.pid, sleeper.create_time() - 60)
    assert await adopt(paths) is None, "the pid was used again"
    write_runtime(paths, unused_tcp_port, sleeper.pid, sleeper.create_time())
    assert await adopt(paths) is None, "it does not answer"
    write_runtime(paths, server.port, 2**22 + 1, 0.0)
    assert await adopt(paths) is None, "no such process"
    for junk in (b"", b"{", b"[]", b"\xff", b'{"pid": -1, "pid_started": 0, "port": 1, "version": ""}'):
        paths.runtime.write_bytes(junk)
        assert await adopt(paths) is None, junk


def test_backoff_doubles_to_half_a_minute_and_forgets_after_a_minute_of_health() -> None:
    backoff = Backoff()
    assert [backoff.delay(1) for _ in range(9)] == [0.25, 0.5, 1, 2, 4, 8, 16, 30, 30]
    assert backoff.delay(61) == 0.25
    backoff.delay(1)
    backoff.reset()
    assert backoff.delay(1) == 0.25


class Watch:
    """What a supervisor reported."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.handles: list[EngineHandle] = []
        self.heal = True

    def starting(self) -> None:
        self.said.append("starting")

    def up(self, handle: EngineHandle) -> None:
        self.said.append("up")
        self.handles.append(handle)

    def down(self, code: int | None, delay: float) -> bool:
        self.said.append("down")
        return self.heal

    def failed(self, failure: StartFailure, delay: float | None) -> None:
        self.said.append(f"failed {failure.code} {delay is not None}")

    async def wait_for(self, word: str, times: int = 1) -> None:
        async with asyncio.timeout(10):
            while self.said.count(word) < times:
                await asyncio.sleep(0.01)


def supervise(paths: Paths, watch: Watch, code: str) -> tuple[Supervisor, list[int | None]]:
    ports: list[int | None] = []

    def command(port: int | None) -> list[str]:
        ports.append(port)
        return python(code)

    supervisor = Supervisor(
        paths,
        command,
        Tasks(),
        on_starting=watch.starting,
        on_up=watch.up,
        on_down=watch.down,
        on_failed=watch.failed,
    )
    return supervisor, ports


async def test_a_killed_engine_is_replaced(paths: Paths) -> None:
    watch = Watch()
    supervisor, _ = supervise(paths, watch, READY + "import time; time.sleep(60)")
    supervisor.start()
    supervisor.start()
    await watch.wait_for("up")
    watch.handles[0].kill()
    await watch.wait_for("up", 2)
    assert watch.said == ["starting", "up", "down", "starting", "up"]
    handle = await supervisor.release()
    assert handle is watch.handles[1]
    assert not supervisor.active
    handle.kill()
    await handle.wait()
    assert watch.said[-1] == "up", "after release nothing is reported and nothing restarted"


async def test_an_engine_that_ended_in_order_is_not_replaced(paths: Paths) -> None:
    watch = Watch()
    watch.heal = False
    supervisor, _ = supervise(paths, watch, READY)
    supervisor.start()
    await watch.wait_for("down")
    async with asyncio.timeout(5):
        while supervisor.active:
            await asyncio.sleep(0.01)
    assert watch.said == ["starting", "up", "down"]


async def test_a_taken_port_waits_for_a_person_and_then_takes_the_other(paths: Paths) -> None:
    watch = Watch()
    failed = '{"event":"failed","code":"port_in_use","message":"taken","port":1,"suggested_port":2}'
    supervisor, ports = supervise(paths, watch, f"print({failed!r})")
    supervisor.start()
    await watch.wait_for("failed port_in_use False")
    async with asyncio.timeout(5):
        while supervisor.active:
            await asyncio.sleep(0.01)
    supervisor.start(port=2)
    await watch.wait_for("failed port_in_use False", 2)
    assert ports == [None, 2]


async def test_start_cuts_the_wait_short(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Backoff, "FIRST_S", 600.0)
    watch = Watch()
    supervisor, _ = supervise(paths, watch, "raise SystemExit(1)")
    supervisor.start()
    await watch.wait_for("failed internal True")
    supervisor.start()
    await watch.wait_for("failed internal True", 2)
    await supervisor.release()
