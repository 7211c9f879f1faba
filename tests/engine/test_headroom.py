"""The Headroom sidecar: the real package, and a program that speaks as it does but behaves badly."""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest

from lynkr_desktop.cli.status import describe
from lynkr_desktop.engine.config.schema import HeadroomOptions
from lynkr_desktop.engine.optimization.headroom import HeadroomStage, sidecar
from lynkr_desktop.engine.optimization.headroom.sidecar import Sidecar, shared_sidecar
from lynkr_desktop.engine.optimization.pipeline import Optimized, Pipeline
from lynkr_desktop.engine.wire.canonical import Message, Request, Text, Tool, ToolResult, ToolUse
from lynkr_desktop.paths import resolve_paths
from tests.support import headroom as fake
from tests.support.clock import fair_time
from tests.support.engine import config_for, engine_in_process
from tests.support.fakes.openai import OpenAIFake
from tests.support.packages import HEADROOM, python_with

ROOT = Path(__file__).resolve().parents[2]
PATIENT = 20.0
"""Seconds for an answer where it is not about time: more than can be configured."""


def log(seed: int, lines: int = 300) -> str:
    rng = random.Random(seed)
    told = [f"2026-01-01 10:00:{n % 60:02d} INFO worker {n % 5} did job {n}" for n in range(lines)]
    told[rng.randrange(lines)] = f"2026-01-01 10:00:00 ERROR job {seed} failed: disk full"
    return "\n".join(told)


def request(*results: str, error: bool = False) -> Request:
    messages = [Message("user", (Text("Why does the build fail?"),))]
    for number, text in enumerate(results):
        messages.append(Message("assistant", (ToolUse(f"c{number}", "run_build", {"target": number}),)))
        messages.append(Message("user", (ToolResult(f"c{number}", (Text(text),), error),)))
    return Request("m", tuple(messages), (Text("Be brief."),), (Tool("run_build"),))


def results(told: Optimized) -> list[str]:
    return [b.text for m in told.request.messages for b in m.content if isinstance(b, ToolResult)]


def until(true: Callable[[], bool], within: float = 60.0) -> None:
    limit = time.monotonic() + within
    while not true():
        assert time.monotonic() < limit, "it took too long"
        time.sleep(0.05)


def stage_of(command: Path | str, folder: Path, timeout: float = PATIENT) -> HeadroomStage:
    return HeadroomStage(HeadroomOptions.model_construct(command=str(command), timeout=timeout), folder)


def ready(stage: HeadroomStage) -> HeadroomStage:
    def started() -> bool:
        stage.sidecar.start()  # as each request does: one that is just being ended is not started anew
        return stage.sidecar.ready

    until(started, within=120)
    return stage


def keepers(program: Path) -> list[psutil.Process]:
    """The processes that mind this program."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            command = process.cmdline()
        except psutil.NoSuchProcess:  # or a zombie, which is one
            continue
        if str(program) in command and any("keeper.py" in part for part in command):
            found.append(process)
    return found


# ---------------------------------------------------------------- the real one


@pytest.fixture(scope="module")
def program() -> Path:
    name = "headroom.exe" if os.name == "nt" else "headroom"
    return python_with(HEADROOM).with_name(name)


@pytest.fixture(scope="module")
def real(program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeadroomStage]:
    stage = ready(stage_of(program, tmp_path_factory.mktemp("headroom")))
    yield stage
    stage.sidecar.close()


def test_it_shortens_results_and_nothing_is_lost(real: HeadroomStage) -> None:
    rows = json.dumps([{"id": n, "name": f"user{n}", "ok": n % 7 > 0} for n in range(200)])
    sent = request(log(1), "short", rows)
    told = Pipeline([real]).run(sent)
    [receipt] = told.receipts
    assert not receipt.skipped
    assert receipt.after < receipt.before / 2
    assert receipt.did == ("shortened 2 results by Headroom",)
    first, short, table = results(told)
    assert "disk full" in first
    assert short == "short"
    assert len(table) < len(rows) * 0.7
    for text, shortened in ((log(1), first), (rows, table)):
        handle = shortened.rsplit('"', 2)[1]
        assert told.inner["lynkr_restore"]({"id": handle}).text == text


def test_later_turns_repeat_what_the_first_sent(real: HeadroomStage) -> None:
    said = [log(seed) for seed in range(10, 14)]
    sent = [Pipeline([real]).run(request(*said[:turn])) for turn in range(1, 5)]
    for one, later in pairwise(sent):
        assert later.request.messages[: len(one.request.messages)] == one.request.messages
    assert "left out" in results(sent[-1])[-1]


def test_it_knows_nothing_of_a_person(real: HeadroomStage, program: Path) -> None:
    [keeper] = keepers(program)
    [process, *_] = keeper.children()
    known = process.environ()
    assert known["HEADROOM_OFFLINE"] == "1"
    assert known["OPENAI_TARGET_API_URL"].startswith("http://127.0.0.1:")
    assert not [name for name in known if "KEY" in name or "TOKEN" in name]
    ports = {c.laddr.ip for c in process.net_connections() if c.status == psutil.CONN_LISTEN}
    assert ports == {"127.0.0.1"}


def test_it_comes_back_when_it_died(real: HeadroomStage, program: Path) -> None:
    [keeper] = keepers(program)
    [process, *_] = keeper.children()
    process.kill()
    until(lambda: not real.sidecar.ready)
    told = Pipeline([real]).run(request(log(40)))
    assert results(told) == [log(40)]
    assert "it is started again soon" in told.receipts[0].did[0]
    until(lambda: real.sidecar.ready, within=120)
    shorter, later = (
        results(Pipeline([real]).run(request(log(41)))),
        results(Pipeline([real]).run(request(log(40)))),
    )
    assert shorter != [log(41)]
    # What went to a model as it was stays so: another form would cost the provider's cache.
    assert later == [log(40)]


@pytest.mark.parametrize("moment", ["starting", "running"])
def test_it_dies_with_the_engine(program: Path, tmp_path: Path, moment: str) -> None:
    """Even when the engine is killed in a way that it cannot handle."""
    script = (
        "import pathlib, sys, time\n"
        "from lynkr_desktop.engine.optimization.headroom.sidecar import Sidecar\n"
        "sidecar = Sidecar(sys.argv[1], pathlib.Path(sys.argv[2]))\n"
        "sidecar.start()\n"
        "while not sidecar.ready:\n"
        "    time.sleep(0.05)\n"
        "print('ready', flush=True)\n"
        "time.sleep(600)\n"
    )
    command = [sys.executable, "-c", script, str(program), str(tmp_path)]
    engine = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    try:
        if moment == "running":
            assert engine.stdout is not None
            assert engine.stdout.readline() == b"ready\n"
        found = psutil.Process(engine.pid)
        until(lambda: len(found.children(recursive=True)) >= 2)
        started = found.children(recursive=True)
    finally:
        engine.kill()
        engine.wait()
    gone, left = psutil.wait_procs(started, timeout=15)
    assert not [process for process in left if process.status() != psutil.STATUS_ZOMBIE], gone


# ---------------------------------------------------------------- one that behaves badly


class Bad:
    """The fake program in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        source = Path(fake.__file__)
        script = folder / "headroom.py"
        script.write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
        if os.name == "nt":
            self.program = folder / "headroom.bat"
            self.program.write_text(f'@"{sys.executable}" "{script}" %*\n', encoding="utf-8")
        else:
            self.program = folder / "headroom"
            self.program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{script}" "$@"\n', encoding="utf-8")
            self.program.chmod(0o755)

    def behave(self, how: str) -> None:
        (self.folder / "behaviour").write_text(how, encoding="utf-8")

    @property
    def asked(self) -> int:
        marks = self.folder / "asked"
        return len(marks.read_text(encoding="utf-8")) if marks.exists() else 0


@pytest.fixture
def bad(tmp_path: Path) -> Bad:
    return Bad(tmp_path)


@pytest.fixture
def stage(bad: Bad, tmp_path: Path) -> Iterator[HeadroomStage]:
    made = ready(stage_of(bad.program, tmp_path / "files"))
    yield made
    made.sidecar.close()
    assert not keepers(bad.program)


def test_the_fake_is_understood(stage: HeadroomStage) -> None:
    told = Pipeline([stage]).run(request(log(1)))
    assert results(told)[0].startswith(log(1)[:100] + "\n[parts of 300 lines left out")


def test_without_the_program_nothing_happens(tmp_path: Path) -> None:
    stage = stage_of(tmp_path / "headroom", tmp_path)
    sent = request(log(1))
    told = Pipeline([stage]).run(sent)
    assert results(told) == [log(1)]
    assert told.receipts[0].did[0].startswith("Headroom is not installed")
    assert not keepers(tmp_path / "headroom")


def test_while_it_starts_nothing_waits(bad: Bad, tmp_path: Path) -> None:
    stage = stage_of(bad.program, tmp_path / "files")
    try:
        began = fair_time()
        told = Pipeline([stage]).run(request(log(1)))
        assert fair_time() - began < 0.2
        assert results(told) == [log(1)]
        assert told.receipts[0].did == ("Headroom is starting",)
        until(lambda: stage.sidecar.ready)
        assert results(Pipeline([stage]).run(request(log(1), log(2))))[0] == log(1)
    finally:
        stage.sidecar.close()


@pytest.mark.parametrize("how", ["slow", "trickles", "fails", "talks", "rewrites", "drops"])
def test_whatever_it_does_the_request_goes_on(
    stage: HeadroomStage, bad: Bad, tmp_path: Path, how: str
) -> None:
    bad.behave(how)
    hasty = stage_of(bad.program, tmp_path / "files", timeout=0.25)
    began = fair_time()
    told = Pipeline([hasty]).run(request(log(1)))
    assert fair_time() - began < 0.5
    assert results(told) == [log(1)]
    assert told.request.messages == request(log(1)).messages
    assert not told.receipts[0].skipped


def test_after_some_failures_it_is_left_alone_for_a_while(
    stage: HeadroomStage, bad: Bad, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sidecar, "_BREAK", 1.0)
    bad.behave("fails")
    before = bad.asked
    for seed in range(6):
        told = Pipeline([stage]).run(request(log(seed)))
    assert bad.asked - before == 3
    assert "is not asked for a while" in told.receipts[0].did[0]
    bad.behave("well")
    until(lambda: stage.sidecar.ready, within=5)
    assert results(Pipeline([stage]).run(request(log(50)))) != [log(50)]


def test_what_must_not_be_touched_is_not_sent(stage: HeadroomStage, bad: Bad) -> None:
    before = bad.asked
    assert results(Pipeline([stage]).run(request(log(1), error=True))) == [log(1)]
    sent = request(log(2))
    unoffered = Request("m", sent.messages)
    assert Pipeline([stage]).run(unoffered).request is unoffered
    assert bad.asked == before


def test_what_earlier_stages_keep_under_handles_stays_named(stage: HeadroomStage) -> None:
    text = log(1) + '\n[9 lines left out; read "lynkr:r_0123456789ab" for all of it]'
    assert results(Pipeline([stage]).run(request(text))) == [text]


def test_it_is_ended_after_a_silence(stage: HeadroomStage, bad: Bad, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sidecar, "_IDLE", 0.0)
    until(lambda: not keepers(bad.program))
    until(lambda: not stage.sidecar.ready)
    assert stage.sidecar.state == "is not started"
    monkeypatch.setattr(sidecar, "_IDLE", 600.0)
    ready(stage)
    assert results(Pipeline([stage]).run(request(log(3)))) != [log(3)]


def test_one_that_does_not_start_is_told(tmp_path: Path) -> None:
    program = tmp_path / ("headroom.bat" if os.name == "nt" else "headroom")
    program.write_text(
        "exit 3\n" if os.name == "nt" else "#!/bin/sh\necho no room\nexit 3\n", encoding="utf-8"
    )
    program.chmod(0o755)
    made = Sidecar(str(program), tmp_path / "files")
    made.start()
    try:
        until(lambda: "code 3" in made.state)
        assert "no room" in made.state
        assert not made.ready
    finally:
        made.close()


async def test_through_the_whole_engine(bad: Bad, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Sidecar.asked
    monkeypatch.setattr(Sidecar, "asked", lambda self, _: asked(self, PATIENT))
    options = {"pipeline": ["ml_headroom_sidecar"], "headroom": {"command": str(bad.program)}}
    function = {"name": "run_build", "arguments": "{}"}
    call = {"id": "call_1", "type": "function", "function": function}
    body: dict[str, Any] = {
        "model": "m",
        "messages": [
            {"role": "user", "content": "Why does the build fail?"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": log(60)},
        ],
        "tools": [{"type": "function", "function": {"name": "run_build", "parameters": {"type": "object"}}}],
    }
    made = shared_sidecar(str(bad.program), resolve_paths(tmp_path / "home").cache)
    async with OpenAIFake() as upstream:
        config = config_for(f"{upstream.url}/v1", optimization=options)
        async with engine_in_process(tmp_path / "home", config) as lynkr:
            try:
                for text in (log(60), log(61)):
                    body["messages"][-1]["content"] = text
                    async with lynkr.http.post(f"{lynkr.url}/v1/chat/completions", json=body) as response:
                        assert response.status == 200, await response.text()
                    await asyncio.to_thread(until, lambda: made.ready)
                assert "Headroom       is running" in describe(await lynkr.engine.status(), time.time())
            finally:
                await asyncio.to_thread(made.close)
    started, shortened = (asked.json["messages"][-1]["content"] for asked in upstream.asked)
    assert started == log(60)
    assert shortened.startswith(log(61)[:100] + '\n[parts of 300 lines left out; read "lynkr:')
