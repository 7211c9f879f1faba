"""OpenHands for tests: the settings of its runtime, and a conversation of its SDK in its own environment."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from tests.support.packages import OPENHANDS, python_with

TESTS = Path(__file__).resolve().parents[1]
SETTINGS = TESTS / "fixtures" / "openhands_runtime.env"
WORKER = TESTS / "support" / "openhands_worker.py"
PORT = 8081
"""Where the settings expect the proxy."""

TIMEOUT_S = 90


class Settings(BaseModel):
    """What the file says about LiteLLM."""

    base_url: str
    api_key: str
    model: str
    timeout: float
    max_retries: int

    def at(self, port: int) -> Settings:
        """With another port, where theirs was taken."""
        return self.model_copy(update={"base_url": self.base_url.replace(str(PORT), str(port))})

    @classmethod
    def read(cls) -> Settings:
        """From the file of OpenHands' runtime, as it stands."""
        lines = SETTINGS.read_text(encoding="utf-8").splitlines()
        values = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
        prefix = "LITELLM_"
        return cls.model_validate(
            {name.removeprefix(prefix).lower(): value for name, value in values.items() if prefix in name}
        )


def settings_port() -> int:
    """The port of the settings, or 0 where something else has it."""
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.bind(("127.0.0.1", PORT))
        return PORT
    return 0


async def converse(settings: Settings, home: Path, workspace: Path, prompt: str) -> dict[str, Any]:
    """One conversation with terminal and file editor.

    Args:
        settings: how the SDK reaches its model.
        home: its home folder.
        workspace: where it works.
        prompt: what it is told.

    Returns:
        `status`, `cost` in US dollars, `usage` and `events`, as the SDK has them.

    Raises:
        NoPython: this machine has no Python that the SDK runs on.
    """
    python = await asyncio.to_thread(python_with, OPENHANDS)
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "LANG") if name in os.environ}
    told = {**settings.model_dump(), "workspace": str(workspace), "prompt": prompt}
    process = await asyncio.create_subprocess_exec(
        python,
        "-P",  # This folder's modules are none of the SDK's.
        WORKER,
        json.dumps(told),
        cwd=workspace,
        # The prices that come with LiteLLM, instead of GitHub's.
        env={**kept, "HOME": str(home), "USERPROFILE": str(home), "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, errors = await asyncio.wait_for(process.communicate(), TIMEOUT_S)
    except BaseException:
        process.kill()
        await process.wait()
        raise
    assert process.returncode == 0, errors.decode(errors="replace")
    outcome: dict[str, Any] = json.loads(out)
    return outcome
