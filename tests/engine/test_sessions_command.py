"""`lynkr sessions` against a real engine, also one that is killed right after it answered."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.engine import ROOT
from tests.support.failing_agent import conversation, failures
from tests.support.openai_server import OpenAIServer, openai_server
from tests.support.proxy import Proxy, running_proxy

CONFIG = """
providers:
  fake: {{kind: openai_compatible, base_url: "{url}", models: [m]}}
routing:
  tiers:
    simple: {{providers: [fake/m], max_complexity: 1.0}}
"""


@pytest.fixture
async def upstream() -> AsyncIterator[OpenAIServer]:
    async with openai_server() as server:
        yield server


def ask(proxy: Proxy, session: str, failed: int) -> int:
    """The status of one request."""
    body = json.dumps(conversation("chat", failures(failed))).encode()
    headers = {
        "authorization": f"Bearer {proxy.token}",
        "content-type": "application/json",
        "x-lynkr-session": session,
    }
    request = urllib.request.Request(f"{proxy.url}/v1/chat/completions", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code


def lynkr(home: Path, *arguments: str) -> tuple[int, str, str]:
    ran = subprocess.run(
        [sys.executable, "-m", "lynkr_desktop", "sessions", *arguments, "--home", str(home)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return ran.returncode, ran.stdout, ran.stderr


async def test_the_command_lists_and_acts_and_a_killed_engine_remembers(
    tmp_path: Path, upstream: OpenAIServer
) -> None:
    config = CONFIG.format(url=upstream.url)
    await asyncio.to_thread(_steps, tmp_path, config)


def _steps(home: Path, config: str) -> None:
    with running_proxy(home, config) as proxy:
        assert lynkr(home)[1] == "No sessions yet. A session is a conversation of an agent.\n"
        assert ask(proxy, "alpha-1", 15) == 400
        assert ask(proxy, "alpha-2", 1) == 200
        proxy.records(2)
        code, out, _ = lynkr(home, "list")
        assert code == 0
        assert "alpha-1: 15 actions failed in a row (last: shell make step14)." in out
        assert "Let it go on with `lynkr sessions resume alpha-1`." in out
        assert out.splitlines()[1].startswith("alpha-1")
        assert "  alpha-1  python-urllib: 15 actions failed in a row\n" in proxy.command("status")
        code, out, _ = lynkr(home, "show", "alpha-1")
        assert "15 actions failed in a row" in out
        code, _, told = lynkr(home, "resume", "alpha")
        assert code == 1
        assert "2 sessions begin with alpha." in told
        assert lynkr(home, "resume", "nobody")[0] == 1
        assert lynkr(home, "resume", "alpha-1")[1] == "alpha-1 goes on.\n"
        assert ask(proxy, "alpha-1", 15) == 200
        code, out, _ = lynkr(home, "end", "alpha-2", "--json")
        answered: dict[str, Any] = json.loads(out)
        assert (answered["state"], answered["cause"]) == ("ended", "person")
        # What a person was told is done survives the process, whatever becomes of it.
        pid = json.loads((home / "engine.json").read_text())["pid"]
        os.kill(pid, signal.SIGTERM if os.name == "nt" else signal.SIGKILL)
    with running_proxy(home, config) as proxy:
        assert ask(proxy, "alpha-2", 1) == 400
        assert lynkr(home, "remove", "alpha-2")[1] == "alpha-2 runs as any other session.\n"
        assert ask(proxy, "alpha-2", 1) == 200
    assert lynkr(home)[0] == 3
