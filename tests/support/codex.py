"""Runs the real Codex CLI once, without a screen, against a proxy."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.support.node import codex_cli, codex_environment
from tests.support.proxy import Proxy

CLI_TIMEOUT_S = 60


async def run_codex(
    proxy: Proxy,
    home: Path,
    *arguments: str,
    model: str = "auto-route",
    within: float = CLI_TIMEOUT_S,
    code: int = 0,
) -> Sequence[dict[str, Any]]:
    """Runs `codex exec --json ...` in home/work, free to do what it likes, and gives its events.

    Args:
        proxy: what it talks to, by OpenAI Responses.
        home: its home folder.
        arguments: the prompt and more options.
        model: what it asks for.
        code: with which it must end.
        within: seconds until it is ended.
    """
    (home / "config.toml").write_text(
        f"""\
model = "{model}"
model_provider = "lynkr"
[model_providers.lynkr]
name = "Lynkr"
base_url = "{proxy.url}/v1"
env_key = "LYNKR_KEY"
wire_api = "responses"
""",
        encoding="utf-8",
    )
    process = await asyncio.create_subprocess_exec(
        codex_cli(),
        "exec",
        "--json",
        "--skip-git-repo-check",
        "--dangerously-bypass-approvals-and-sandbox",
        *arguments,
        cwd=home / "work",
        env=codex_environment(home, proxy.token),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=16 * 1024**2,
    )
    try:
        out, errors = await asyncio.wait_for(process.communicate(), within)
    except BaseException:
        process.kill()
        await process.wait()
        raise
    assert process.returncode == code, (out + errors).decode(errors="replace")
    return [json.loads(line) for line in out.splitlines() if line.startswith(b"{")]
