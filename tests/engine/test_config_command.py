"""`lynkr config` as a person runs it, with and without a running engine."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from tests.support.engine import ROOT, config_for, engine_in_process

FILE = "# mine\nlogging:\n  level: info  # quiet\n"


async def lynkr(home: Path, *arguments: str) -> tuple[int, str]:
    """Exit code and all that it wrote."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "lynkr_desktop", "config", *arguments, "--home", str(home)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, out.decode()


async def test_options_are_read_and_changed_without_an_engine(tmp_path: Path) -> None:
    file = tmp_path / "lynkr-routing.yaml"
    file.write_text(FILE)
    assert await lynkr(tmp_path, "get", "logging.level") == (0, "info\n")
    code, out = await lynkr(tmp_path, "set", "logging.level", "debug")
    assert (code, out) == (0, "logging.level is debug now (in the file).\n")
    assert file.read_text() == FILE.replace("info", "debug")
    assert (await lynkr(tmp_path, "set", "proxy.port", "9001"))[1].endswith("from the next start on.\n")
    assert (await lynkr(tmp_path, "set", "routing.tiers.simple.providers", "[ollama/a:7b, embedded/auto]"))[
        0
    ] == 0
    assert await lynkr(tmp_path, "get", "routing.tiers.simple.providers") == (
        0,
        '["ollama/a:7b", "embedded/auto"]\n',
    )
    assert (await lynkr(tmp_path, "set", "providers.a.b.kind", "openai"))[0] == 0
    assert (await lynkr(tmp_path, "set", "providers.a.b.key_env", "12"))[0] == 0, "text needs no quotes"
    assert (await lynkr(tmp_path, "unset", "logging.level"))[1] == "logging.level is info now (default).\n"
    code, out = await lynkr(tmp_path, "list", "providers.")
    assert code == 0
    assert "providers.a.b.headers" in out
    assert file.read_text().startswith("# mine\n")


async def test_mistakes_are_explained_and_change_nothing(tmp_path: Path) -> None:
    file = tmp_path / "lynkr-routing.yaml"
    file.write_text(FILE)
    for arguments, told in (
        (("get", "logging.levle"), "no option"),
        (("set", "logging.levle", "debug"), "no option"),
        (("set", "logging.level", "loud"), "must be one of"),
        (("set", "logging.keep", "many"), "whole number"),
        (("set", "logging.keep", ""), "unset"),
        (("set", "proxy.auth.token", "tk_0123456789"), "secret"),
        (("set", "providers.x.headers", "{a: b}"), "secret"),
    ):
        code, out = await lynkr(tmp_path, *arguments)
        assert (code, told in out) == (1, True), out
        assert "Traceback" not in out
        assert "tk_0123456789" not in out
    assert file.read_text() == FILE


async def test_a_running_engine_acts_at_once(tmp_path: Path) -> None:
    config = config_for("http://127.0.0.1:9")
    async with engine_in_process(tmp_path, config) as running:
        code, out = await lynkr(tmp_path, "list", "--json")
        assert code == 0
        options = {option["name"]: option for option in json.loads(out)}
        assert options["proxy.port"]["origin"] == "command"
        assert options["proxy.auth.token"]["value"] is None
        assert (await lynkr(tmp_path, "set", "embedded.context", "4096"))[0] == 0
        assert running.engine.snapshot.config.embedded.context == 4096
        code, out = await lynkr(tmp_path, "set", "embedded.context", "1")
        assert code == 1
        assert "embedded.context" in out
