"""Runs the real Claude Code CLI once, without a screen, against a proxy."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.node import claude_cli, claude_environment
from tests.support.proxy import Proxy

CLI_TIMEOUT_S = 60


async def run_claude(
    proxy: Proxy,
    home: Path,
    *arguments: str,
    piped: str = "",
    within: float = CLI_TIMEOUT_S,
    environ: Mapping[str, str] | None = None,
    code: int = 0,
) -> dict[str, Any]:
    """Runs `claude -p ... --output-format json` in home/work and gives what it prints.

    Args:
        proxy: what it talks to.
        home: its home folder.
        arguments: the prompt and more options.
        piped: its standard input.
        within: seconds until it is ended.
        environ: added to its environment.
        code: with which it must end.
    """
    process = await asyncio.create_subprocess_exec(
        claude_cli(),
        "-p",
        *arguments,
        "--output-format",
        "json",
        cwd=home / "work",
        env={**claude_environment(home, proxy.url, proxy.token), **(environ or {})},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, errors = await asyncio.wait_for(process.communicate(piped.encode()), within)
    except BaseException:
        process.kill()
        await process.wait()
        raise
    assert process.returncode == code, (out + errors).decode(errors="replace")
    printed: dict[str, Any] = json.loads(out)
    return printed
