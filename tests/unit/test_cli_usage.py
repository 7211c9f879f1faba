"""`lynkr usage` and `lynkr status`: right figures with and without an engine, and clear words on failure."""

from __future__ import annotations

import argparse
import asyncio
import csv
import io
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import psutil
import pytest

from lynkr_desktop.cli import status, text, usage
from lynkr_desktop.cli.client import ControlClient, ControlFailure
from lynkr_desktop.cli.main import main
from lynkr_desktop.engine.telemetry.store import Records
from lynkr_desktop.paths import Paths, resolve_paths
from lynkr_desktop.protocol.control import (
    Candidate,
    ConfigStatus,
    ControlError,
    EngineRuntime,
    EngineStatus,
    ProviderStatus,
    RequestRow,
    TierStatus,
    UsageTotals,
)
from lynkr_desktop.protocol.tiers import Tier
from lynkr_desktop.protocol.usage import UsageReport, UsageRow
from lynkr_desktop.running import find_engine

TOKEN = "lk_test-token-of-this-engine"


class Engine(BaseHTTPRequestHandler):
    """Answers as the control API does."""

    answers: ClassVar[dict[str, Any]] = {}
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            return self._send(
                401, msgspec.json.encode(ControlError(error="This token is wrong.", code="token"))
            )
        answer = self.answers.get(self.path.partition("?")[0])
        if isinstance(answer, bytes):
            return self._send(200, answer)
        if isinstance(answer, int):
            self.send_response(answer)
            self.send_header("Location", "/stolen")
            self.end_headers()
            return None
        return self._send(200, msgspec.json.encode(answer))

    def _send(self, code: int, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keeps the test's output clean."""


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    paths = resolve_paths(home=tmp_path / "home", environ={})
    paths.home.mkdir()
    return paths


@pytest.fixture
def engine(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Engine]]:
    monkeypatch.setattr(Engine, "answers", {})
    monkeypatch.setattr(Engine, "asked", [])
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # nobody is there; it must not be asked
    server = ThreadingHTTPServer(("127.0.0.1", 0), Engine)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    paths.token.write_text(TOKEN)
    paths.token.chmod(0o600)
    write_runtime(paths, server.server_port)
    yield Engine
    server.shutdown()
    thread.join()
    server.server_close()


def write_runtime(paths: Paths, port: int, pid: int | None = None, started: float | None = None) -> None:
    runtime = EngineRuntime(
        pid=pid or os.getpid(),
        pid_started=started or psutil.Process().create_time(),
        port=port,
        version="0.1.0",
    )
    paths.runtime.write_bytes(msgspec.json.encode(runtime))


def lynkr(module: Any, paths: Paths, *arguments: str) -> int:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--home")
    common.add_argument("--config")
    parser = argparse.ArgumentParser()
    module.add_parser(parser.add_subparsers(), common)
    name = module.__name__.rpartition(".")[2]
    args = parser.parse_args([name, "--home", str(paths.home), *arguments])
    code: int = args.run(args)
    return code


def fill(paths: Paths) -> None:
    async def write() -> None:
        records = Records(paths.home / "lynkr.db", 1e7)
        await records.start()
        base = {"at": time.time(), "client": "=cmd()", "protocol": "p", "status": 200}
        local = {
            "tier": Tier.SIMPLE,
            "provider": "ollama",
            "model": "qwen",
            "input_tokens": 1500,
            "cost": 0.0,
        }
        for number in range(3):
            records.record(RequestRow(id=f"a{number}", **base, **local, latency_ms=10.0 * (number + 1)))
        paid = {"tier": Tier.COMPLEX, "provider": "openai", "model": "gpt-4o", "input_tokens": 2_000_000}
        took = {"latency_ms": 125_000.0, "ttft_ms": 1500.0, "saved_tokens": 30}
        records.record(RequestRow(id="b", **base, **paid, **took, cost=5.0, output_tokens=10))
        odd = {"tier": Tier.REASONING, "provider": "lmstudio", "model": "\x1b[31mx", "input_tokens": 7}
        records.record(RequestRow(id="c", **base, **odd))
        records.close()

    asyncio.run(write())


# ---------------------------------------------------------------- usage


def test_usage_reads_the_records_when_no_engine_runs(
    paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(paths)
    assert lynkr(usage, paths, "--by", "tier") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Usage in the last 7 days"
    used, times = lines[2:7], lines[12:]
    rows = {line.split()[0]: line.split()[1:] for line in used}
    assert rows["complex"] == ["1", "0", "2.00M", "0", "10", "30", "$5.00"]
    assert rows["simple"] == ["3", "0", "4.50k", "0", "0", "0", "$0.00"]
    assert rows["reasoning"][-1] == "unknown"
    assert rows["total"][-3:] == ["$5.00", "+", "unknown"]
    assert len({len(line) for line in used}) == 1  # the columns stand in line
    assert lines[8] == "Tiers: complex 20.0%, reasoning 20.0%, simple 60.0%"
    cells = {line.split()[0]: [cell.strip() for cell in line.split("  ") if cell][1:] for line in times}
    assert cells["simple"] == ["20 ms", "30 ms", "30 ms", "-", "-", "-"]
    assert cells["complex"] == ["2m 5s", "2m 5s", "2m 5s", "1.5 s", "1.5 s", "1.5 s"]


def test_usage_as_json_and_csv(paths: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    fill(paths)
    assert lynkr(usage, paths, "--json", "--range", "today", "--by", "model") == 0
    report = msgspec.json.decode(capsys.readouterr().out, type=UsageReport)
    assert report.totals.requests == 5
    assert len(report.hours) == 24
    assert lynkr(usage, paths, "--csv", "--by", "tier") == 0
    rows = {row["tier"]: row for row in csv.DictReader(io.StringIO(capsys.readouterr().out))}
    assert rows["complex"]["cost_usd"] == "5.000000"
    assert rows["simple"]["cost_usd"] == "0.000000"
    assert rows["reasoning"]["cost_usd"] == ""
    assert rows["reasoning"]["unpriced_requests"] == "1"
    assert lynkr(usage, paths, "--csv", "--by", "client") == 0
    assert "'=cmd()" in capsys.readouterr().out


def test_names_cannot_steer_the_terminal(paths: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    fill(paths)
    assert lynkr(usage, paths, "--by", "model") == 0
    assert "\x1b" not in capsys.readouterr().out


def test_usage_asks_the_engine_that_runs(
    paths: Paths, engine: type[Engine], capsys: pytest.CaptureFixture[str]
) -> None:
    totals = UsageTotals(requests=12345, cost=0.00001)
    engine.answers["/v1/admin/usage"] = UsageReport(
        range="30d", by="client", since=0, until=1, totals=totals, rows=(UsageRow(key="", totals=totals),)
    )
    assert lynkr(usage, paths, "--range", "30d", "--by", "client") == 0
    out = capsys.readouterr().out
    assert "(none)" in out
    assert "12,345" in out
    assert "<$0.0001" in out
    assert engine.asked == ["/v1/admin/usage?range=30d&by=client"]


def test_usage_says_what_keeps_it_from_answering(paths: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    assert lynkr(usage, paths) == 1
    assert "no records yet" in capsys.readouterr().err
    (paths.home / "lynkr.db").write_text("junk" * 2000)
    assert lynkr(usage, paths) == 1
    assert "cannot be read" in capsys.readouterr().err
    paths.config.write_text("prot: 1")
    assert lynkr(usage, paths) == 1
    assert "unknown option 'prot'" in capsys.readouterr().err


def test_usage_follows_the_configured_storage(paths: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    fill(paths)
    (paths.home / "lynkr.db").rename(paths.home / "other.db")
    paths.config.write_text("telemetry: {storage: 'sqlite://./other.db'}")
    assert lynkr(usage, paths) == 0
    assert "complex" in capsys.readouterr().out


# ---------------------------------------------------------------- status


def engine_status(**changes: Any) -> EngineStatus:
    values: dict[str, Any] = {
        "state": "running",
        "version": "0.1.0",
        "pid": 123,
        "started": time.time() - 3725,
        "port": 8081,
        "openai_url": "http://127.0.0.1:8081/v1",
        "anthropic_url": "http://127.0.0.1:8081",
        "tiers": (
            TierStatus(
                tier=Tier.SIMPLE,
                enabled=False,
                max_complexity=0.35,
                candidates=(
                    Candidate(provider="ollama", model="qwen", local=True, state="loaded"),
                    Candidate(
                        provider="openrouter",
                        model="deepseek-chat",
                        local=False,
                        state="unavailable",
                        reason="there is no key; set OPENROUTER_API_KEY",
                    ),
                ),
                requests_today=3,
                share_today=0.6,
            ),
        ),
        "providers": (
            ProviderStatus(name="ollama", kind="ollama", local=True, available=True),
            ProviderStatus(name="work", kind="azure", local=False, available=False, reason="there is no key"),
        ),
        "totals": UsageTotals(
            requests=5,
            errors=1,
            input_tokens=12_345,
            cached_tokens=400,
            cost=0.5,
            unpriced=2,
            saved_tokens=7000,
        ),
        "config": ConfigStatus(
            path="/x/lynkr-routing.yaml", exists=True, loaded_at=0.0, inactive=("memory.scoring",)
        ),
    }
    return EngineStatus(**{**values, **changes})


def test_status_shows_what_can_be_used_and_why_not(
    paths: Paths, engine: type[Engine], capsys: pytest.CaptureFixture[str]
) -> None:
    engine.answers["/v1/admin/status"] = engine_status()
    assert lynkr(status, paths) == 0
    out = capsys.readouterr().out
    for part in (
        "is running (up 1h 2m, pid 123)",
        "http://127.0.0.1:8081/v1",
        "Simple  scores up to 0.35  switched off  3 requests today (60%)",
        "unavailable: there is no key; set OPENROUTER_API_KEY",
        "12.3k in (400 cached)",
        "5, 1 failed",
        "$0.5000 + unknown (2 requests of unknown price)",
        "7.00k tokens that were taken off prompts",
    ):
        assert part in out
    assert TOKEN not in out
    assert lynkr(status, paths, "--json") == 0
    assert json.loads(capsys.readouterr().out)["tiers"][0]["candidates"][0]["state"] == "loaded"


def test_status_shows_why_a_changed_file_was_not_taken(
    paths: Paths, engine: type[Engine], capsys: pytest.CaptureFixture[str]
) -> None:
    config = ConfigStatus(
        path="/x/f.yaml", exists=True, loaded_at=0.0, error="f.yaml: unknown option 'prot' (line 3)"
    )
    engine.answers["/v1/admin/status"] = engine_status(
        config=config, state="paused", paused_until=time.time() + 90.5, tiers=(), totals=UsageTotals()
    )
    assert lynkr(status, paths) == 0
    out = capsys.readouterr().out
    assert "unknown option 'prot' (line 3)" in out
    assert "paused for another 1m 30s" in out
    assert "No requests yet" in out


@pytest.mark.parametrize("case", ["no file", "junk", "dead", "other process"])
def test_status_without_an_engine(paths: Paths, capsys: pytest.CaptureFixture[str], case: str) -> None:
    if case == "junk":
        paths.runtime.write_bytes(b"\xff{")
    elif case == "dead":
        with subprocess.Popen([sys.executable, "-c", ""]) as child:
            pass
        write_runtime(paths, 1, pid=child.pid)
    elif case == "other process":
        write_runtime(paths, 1, started=12345.0)
    assert find_engine(paths) is None
    assert lynkr(status, paths) == 3
    assert "not running" in capsys.readouterr().out
    assert lynkr(status, paths, "--json") == 3
    assert json.loads(capsys.readouterr().out) == {"state": "stopped"}


def test_an_engine_that_does_not_answer_well_gives_a_clear_error(
    paths: Paths, engine: type[Engine], capsys: pytest.CaptureFixture[str]
) -> None:
    for answer, part in ((b"<html>", "makes no sense"), (302, "status 302"), (500, "status 500")):
        engine.answers["/v1/admin/status"] = answer
        assert lynkr(status, paths) == 1
        assert part in capsys.readouterr().err
    assert "/stolen" not in engine.asked
    paths.token.write_text("another-token")
    assert lynkr(status, paths) == 1
    assert "This token is wrong." in capsys.readouterr().err
    paths.token.unlink()
    assert lynkr(status, paths) == 1
    assert "cannot be read" in capsys.readouterr().err
    with pytest.raises(ControlFailure, match="does not answer"):
        ControlClient(9, TOKEN, timeout=1).get("/v1/admin/status", EngineStatus)


# ---------------------------------------------------------------- words


def test_figures_are_short_and_keep_their_meaning() -> None:
    assert [text.count(number) for number in (0, 999, 1000, 12_345, 999_999, 4_560_000, 2e9)] == [
        "0",
        "999",
        "1.00k",
        "12.3k",
        "1.00M",
        "4.56M",
        "2.00G",
    ]
    assert [text.dollars(amount) for amount in (0, 0.00001, 0.0012, 1, 1234.5)] == [
        "$0.00",
        "<$0.0001",
        "$0.0012",
        "$1.00",
        "$1,234.50",
    ]
    assert [text.span(seconds) for seconds in (0, 45, 200, 3600, 187_200)] == [
        "0s",
        "45s",
        "3m 20s",
        "1h",
        "2d 4h",
    ]
    wide = text.table([("模型", "1"), ("é", "22")], right=[1])
    assert wide.splitlines() == ["模型   1", "é     22"]


def test_the_commands_import_nothing_heavy_until_they_run() -> None:
    code = (
        "import sys\n"
        "import lynkr_desktop.cli.status, lynkr_desktop.cli.usage\n"
        "heavy = {'pydantic', 'aiohttp', 'psutil', 'msgspec', 'sqlite3', 'urllib.request'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_token_can_be_asked_for_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--token", "--home", str(tmp_path)]) == 3
    (tmp_path / "token").write_text("lk_the_token\n")
    capsys.readouterr()
    assert main(["status", "--token", "--home", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "lk_the_token\n"


def test_usage_tells_of_warnings(paths: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    fill(paths)
    assert lynkr(usage, paths) == 0
    assert "warning" not in capsys.readouterr().out

    async def write() -> None:
        records = Records(paths.home / "lynkr.db", 1e7)
        await records.start()
        for number in range(2):
            base = {"client": "c", "protocol": "p", "status": 200, "at": time.time()}
            records.record(RequestRow(id=f"w{number}", warning="Ollama cut the prompt", **base))
        records.close()

    asyncio.run(write())
    assert lynkr(usage, paths) == 0
    assert "2 answers came with a warning" in capsys.readouterr().out
