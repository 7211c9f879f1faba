"""Runs `lynkr` as a person does, in a folder of theirs."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.support.engine import ROOT


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended and what it wrote."""

    code: int
    out: str
    errors: str


async def start_lynkr(
    home: Path, cwd: Path, *arguments: str, encoding: str = "utf-8"
) -> asyncio.subprocess.Process:
    """Starts a command in the folder `cwd`, with all its streams as pipes of an encoding."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "lynkr_desktop", *arguments, "--home", str(home)),
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": encoding},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def run_lynkr(home: Path, cwd: Path, *arguments: str, piped: bytes = b"", within: float = 60.0) -> Ran:
    """Runs a command in the folder `cwd`; a traceback fails the test."""
    process = await start_lynkr(home, cwd, *arguments)
    try:
        out, errors = await asyncio.wait_for(process.communicate(piped), within)
    except BaseException:
        process.kill()
        await process.wait()
        raise
    ran = Ran(process.returncode or 0, out.decode(), errors.decode())
    assert "Traceback" not in ran.out + ran.errors, ran
    return ran
