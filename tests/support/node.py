"""The real Claude Code CLI, for tests: installed once by npm into .test-env/node, at a pinned version.

`python -m tests.support.node` installs it beforehand and shows npm's progress. The package carries its own
program: node is needed to install it, not to run it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

CLAUDE_CODE = "@anthropic-ai/claude-code"
CLAUDE_CODE_VERSION = "2.1.197"

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".test-env" / "node"
INSTALL_TIMEOUT_S = 900


class Missing(Exception):
    """It is not there and cannot be installed; the message says what to do."""


def claude_cli() -> Path:
    """The program; installs it when it is absent. Raises `Missing`."""
    program = _program()
    if program is None:
        _install()
        program = _program()
    if program is None:
        raise Missing(f"npm installed {CLAUDE_CODE}, but no program for this machine came with it.")
    return program


def claude_environment(home: Path, base_url: str, token: str) -> Mapping[str, str]:
    """A whole environment for the CLI: nothing of a Claude Code around the tests must reach it."""
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "LANG") if name in os.environ}
    return {
        **kept,
        "HOME": str(home),
        "USERPROFILE": str(home),
        "TMPDIR": str(home),
        "ANTHROPIC_BASE_URL": base_url,
        "ANTHROPIC_AUTH_TOKEN": token,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        # As root it asks to be told that the machine is expendable.
        "IS_SANDBOX": "1",
    }


def _program() -> Path | None:
    package = FOLDER / "node_modules" / CLAUDE_CODE
    program = package / "bin" / "claude.exe"
    try:
        found = subprocess.run(
            [program, "--version"],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
            env=claude_environment(FOLDER, "http://127.0.0.1:9", "none"),
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return program if found.stdout.startswith(f"{CLAUDE_CODE_VERSION} ") else None


def _install() -> None:
    npm = shutil.which("npm") or _install_npm()
    FOLDER.mkdir(parents=True, exist_ok=True)
    print(f"Installing {CLAUDE_CODE} {CLAUDE_CODE_VERSION} into {FOLDER} ...", file=sys.stderr, flush=True)
    # Without a package.json of its own npm would look for one further up.
    (FOLDER / "package.json").write_text('{"private": true}\n', encoding="utf-8")
    package = f"{CLAUDE_CODE}@{CLAUDE_CODE_VERSION}"
    command = [npm, "install", "--no-fund", "--no-audit", "--foreground-scripts", "--save-exact", package]
    try:
        subprocess.run(command, cwd=FOLDER, stdout=sys.stderr, timeout=INSTALL_TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise Missing(f"npm could not install {package}: {error}.") from error


def _install_npm() -> str:
    if sys.platform == "linux" and os.geteuid() == 0 and shutil.which("apt-get"):
        print("Installing nodejs and npm by apt-get ...", file=sys.stderr, flush=True)
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for arguments in (["update", "-q"], ["install", "-qy", "--no-install-recommends", "nodejs", "npm"]):
            subprocess.run(
                ["apt-get", *arguments],
                stdout=sys.stderr,
                timeout=INSTALL_TIMEOUT_S,
                env=environment,
                check=False,
            )
    npm = shutil.which("npm")
    if npm is None:
        raise Missing(
            "npm is missing. Install nodejs (18 or newer) and npm, or run the tests as root on Debian."
        )
    return npm


if __name__ == "__main__":
    try:
        print(claude_cli())
    except Missing as missing:
        raise SystemExit(str(missing)) from missing
