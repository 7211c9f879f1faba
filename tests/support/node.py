"""The real Claude Code and Codex CLIs, for tests: installed once by npm into .test-env/node, pinned.

`python -m tests.support.node` installs them beforehand and shows npm's progress. The packages carry their own
programs: node is needed to install them, not to run them.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".test-env" / "node"
INSTALL_TIMEOUT_S = 900


@dataclass(frozen=True, slots=True)
class Package:
    """A package of npm with a program in it.

    Attributes:
        name: the package's name.
        version: the pinned one.
        program: where its program lies within node_modules, as a glob pattern.
        banner: what `--version` prints.
    """

    name: str
    version: str
    program: str
    banner: str


CLAUDE_CODE = Package(
    name="@anthropic-ai/claude-code",
    version="2.1.197",
    program="@anthropic-ai/claude-code/bin/claude.exe",
    banner="{version} (Claude Code)",
)
CODEX = Package(
    name="@openai/codex",
    version="0.169.0",
    program=f"@openai/codex-*/vendor/*/bin/codex{'.exe' if os.name == 'nt' else ''}",
    banner="codex-cli {version}",
)


class Missing(Exception):
    """It is not there and cannot be installed; the message says what to do."""


def claude_cli() -> Path:
    """Claude Code's program; installs it when it is absent. Raises `Missing`."""
    return _ensure(CLAUDE_CODE)


def codex_cli() -> Path:
    """Codex's program; installs it when it is absent. Raises `Missing`."""
    return _ensure(CODEX)


def claude_environment(home: Path, base_url: str, token: str) -> Mapping[str, str]:
    """A whole environment for the CLI: nothing of a Claude Code around the tests must reach it."""
    return {
        **_environment(home),
        "ANTHROPIC_BASE_URL": base_url,
        "ANTHROPIC_AUTH_TOKEN": token,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        # As root it asks to be told that the machine is expendable.
        "IS_SANDBOX": "1",
    }


def codex_environment(home: Path, token: str) -> Mapping[str, str]:
    """A whole environment for Codex; its configuration is home/config.toml, LYNKR_KEY has the token."""
    return {**_environment(home), "CODEX_HOME": str(home), "LYNKR_KEY": token}


def _environment(home: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "LANG") if name in os.environ}
    return {**kept, "HOME": str(home), "USERPROFILE": str(home), "TMPDIR": str(home)}


@functools.cache
def _ensure(package: Package) -> Path:
    program = _program(package)
    if program is None:
        _install(package)
        program = _program(package)
    if program is None:
        raise Missing(f"npm installed {package.name}, but no program for this machine came with it.")
    return program


def _program(package: Package) -> Path | None:
    """The program, if it is there in the pinned version."""
    for program in (FOLDER / "node_modules").glob(package.program):
        try:
            found = subprocess.run(
                [program, "--version"],
                capture_output=True,
                text=True,
                timeout=60,
                check=True,
                env=_environment(FOLDER),
            )
        except (OSError, subprocess.SubprocessError):
            continue
        if found.stdout.strip() == package.banner.format(version=package.version):
            return program
    return None


def _install(package: Package) -> None:
    npm = shutil.which("npm") or _install_npm()
    FOLDER.mkdir(parents=True, exist_ok=True)
    wanted = f"{package.name}@{package.version}"
    print(f"Installing {wanted} into {FOLDER} ...", file=sys.stderr, flush=True)
    manifest = FOLDER / "package.json"
    if not manifest.exists():
        # Without a package.json of its own npm would look for one further up.
        manifest.write_text('{"private": true}\n', encoding="utf-8")
    command = [npm, "install", "--no-fund", "--no-audit", "--foreground-scripts", "--save-exact", wanted]
    try:
        subprocess.run(command, cwd=FOLDER, stdout=sys.stderr, timeout=INSTALL_TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise Missing(f"npm could not install {wanted}: {error}.") from error


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
        print(claude_cli(), codex_cli(), sep="\n")
    except Missing as missing:
        raise SystemExit(str(missing)) from missing
