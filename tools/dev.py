"""The project's commands, with the standard library alone: run, test, lint, format, bench, screenshots, docs.

Each makes or updates a virtual environment first: `.venv` for the first Python that is used in this checkout,
`.venv-3.12` and so on for others.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST, NEWEST = (3, 11), (3, 13)

# What the tests start for real. Each is a program or library with the Debian package that brings it.
SYSTEM_PACKAGES = {
    "Xvfb": "xvfb",
    "openbox": "openbox",
    "xfce4-panel": "xfce4-panel",
    "trayer": "trayer",
    "dbus-daemon": "dbus-daemon",
    "gnome-keyring-daemon": "gnome-keyring",
    "xdotool": "xdotool",
    "import": "imagemagick",
    "npm": "npm",
    "chromium-headless-shell": "chromium-headless-shell",
}
SYSTEM_LIBRARIES = (
    "libegl1",
    "libgl1",
    "libxcb-cursor0",
    "libxkbcommon-x11-0",
    "libxcb-icccm4",
    "libxcb-keysyms1",
    "libxcb-image0",
    "libxcb-render-util0",
    "libxcb-shape0",
    "libxcb-xkb1",
    "libdbus-1-3",
    "fonts-inter",
    "fonts-dejavu-core",
)


def main() -> int:
    """Runs one command."""
    parser = argparse.ArgumentParser(description="Lynkr Desktop's development commands.")
    parser.add_argument("command", choices=sorted(COMMANDS))
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="passed on")
    args = parser.parse_args()
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        found = ".".join(map(str, sys.version_info[:3]))
        sys.exit(
            f"Lynkr needs Python 3.11 to 3.13; this is {found}. Name another: make run PYTHON=python3.12"
        )
    os.chdir(ROOT)
    return COMMANDS[args.command](args.arguments)


# ---------------------------------------------------------------- environment


class Environment:
    """A virtual environment of this checkout."""

    def __init__(self) -> None:
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        plain, named = ROOT / ".venv", ROOT / f".venv-{version}"
        self.folder = plain if _version_of(plain) in (None, version) else named
        self._bin = self.folder / ("Scripts" if os.name == "nt" else "bin")
        self.python = self._bin / ("python.exe" if os.name == "nt" else "python")

    def script(self, name: str) -> Path:
        """A script that the project or a package of it installs."""
        return self._bin / (f"{name}.exe" if os.name == "nt" else name)

    def install(self, *extras: str) -> None:
        """Installs the project with its extras, unless that was done for this pyproject.toml already."""
        stamp = self.folder / f"installed-{'-'.join(extras)}"
        wanted = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
        if stamp.is_file() and stamp.read_text() == wanted and self.python.exists():
            return
        if not self.python.exists():
            _make_venv(self.folder)
        print(
            f"Installing Lynkr and what it needs into {self.folder.name} (once; a minute or two)", flush=True
        )
        target = f".[{','.join(extras)}]"
        began = time.monotonic()
        code = subprocess.call(
            [str(self.python), "-m", "pip", "install", "--disable-pip-version-check", "--editable", target]
            + (["--progress-bar", "on"] if sys.stdout.isatty() else ["--progress-bar", "off", "--quiet"])
        )
        if code:
            sys.exit("The installation failed; pip says why above. Run the same command again to go on.")
        stamp.write_text(wanted)
        print(f"Installed in {time.monotonic() - began:.0f} s.", flush=True)

    def run(self, *command: str | Path, **environ: str) -> int:
        """Runs a program to its end."""
        return subprocess.call([str(part) for part in command], env={**os.environ, **environ})


def _version_of(folder: Path) -> str | None:
    """The Python version of a virtual environment, None where there is none."""
    try:
        lines = (folder / "pyvenv.cfg").read_text().splitlines()
    except OSError:
        return None
    fields = dict(line.split(" = ", 1) for line in lines if " = " in line)
    return ".".join(fields.get("version", "").split(".")[:2])


def _make_venv(folder: Path) -> None:
    try:
        import ensurepip  # noqa: F401 - Debian splits it off, and venv needs it
        import venv
    except ImportError:
        sys.exit("Python's venv module is missing. On Debian and Ubuntu: apt-get install python3-venv")
    print(f"Making {folder.name} with Python {sys.version.split()[0]}", flush=True)
    venv.create(folder, with_pip=True, clear=folder.exists(), symlinks=os.name != "nt")


# ---------------------------------------------------------------- commands


def run(arguments: list[str]) -> int:
    """Starts the tray where there is a display, else the engine in the foreground."""
    environment = Environment()
    environment.install("embedded")
    command = [str(environment.script("lynkr")), "serve", *arguments]
    if _has_display():
        broken = subprocess.run(
            [str(environment.python), "-c", "import PySide6.QtWidgets"],
            capture_output=True,
            text=True,
            check=False,
        )
        if broken.returncode == 0:
            command = [str(environment.script("lynkr-desktop")), "--start", *arguments]
        else:
            print("There is a display, but Qt does not load:", broken.stderr.strip().splitlines()[-1])
            print(f"On Debian and Ubuntu: apt-get install {' '.join(SYSTEM_LIBRARIES[:11])}")
            print("Starting without the tray.", flush=True)
    if os.name != "nt":
        os.execv(command[0], command)
    return environment.run(*command)


def _has_display() -> bool:
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def test(arguments: list[str]) -> int:
    """Installs what the tests need, checks the code, runs the tests; `arguments` go to pytest."""
    environment = Environment()
    environment.install("embedded", "dev")
    _install_system_packages()
    for name in ("tests.support.node", "tests.support.packages", "tests.support.models"):
        # Fetched here, with progress, so that no test waits for a download within its own time limit.
        if environment.run(environment.python, "-m", name):
            print(f"{name} could not be prepared; the tests that need it will say so.", flush=True)
    code = _check(environment)
    return environment.run(environment.python, "-m", "pytest", *arguments, PYTHONPATH=str(ROOT)) or code


def _install_system_packages() -> None:
    """Installs missing Debian packages as root; else tells which are missing and goes on."""
    if shutil.which("dpkg-query") is None:
        print(
            "This is no Debian: tests that need a display, a tray or a keyring run where those are installed."
        )
        return
    wanted = [package for program, package in SYSTEM_PACKAGES.items() if shutil.which(program) is None]
    for library in SYSTEM_LIBRARIES:
        query = ["dpkg-query", "--show", "--showformat=${Status}", library]
        state = subprocess.run(query, capture_output=True, text=True, check=False).stdout
        if "install ok installed" not in state:
            wanted.append(library)
    if not wanted:
        return
    if os.geteuid() != 0:
        print(
            f"Not installed, and you are not root: {' '.join(wanted)}. The tests that need them are skipped."
        )
        return
    print(f"Installing for the tests: {' '.join(wanted)}", flush=True)
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.call(["apt-get", "update", "-qq"], env=quiet)
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends"]
    if subprocess.call([*install, *wanted], env=quiet):
        # One that this release does not have keeps apt from installing any.
        for package in wanted:
            subprocess.call([*install, package], env=quiet)


def lint(_arguments: list[str]) -> int:
    """Checks form, types and import contracts."""
    environment = Environment()
    environment.install("embedded", "dev")
    return _check(environment)


def _check(environment: Environment) -> int:
    failed = 0
    for name, *command in (
        ("ruff", "check", "."),
        ("ruff", "format", "--check", "."),
        ("mypy",),
        ("lint-imports",),
    ):
        print(f"--- {name} {' '.join(command)}", flush=True)
        failed |= environment.run(environment.script(name), *command)
    return failed


def format_code(_arguments: list[str]) -> int:
    """Formats the code and sorts imports."""
    environment = Environment()
    environment.install("embedded", "dev")
    environment.run(environment.script("ruff"), "check", "--fix", "--quiet", ".")
    return environment.run(environment.script("ruff"), "format", ".")


def bench(arguments: list[str]) -> int:
    """Measures the proxy's overhead."""
    environment = Environment()
    environment.install("embedded", "dev")
    return environment.run(environment.python, "benchmarks/overhead.py", *arguments, PYTHONPATH=str(ROOT))


def bench_routing(arguments: list[str]) -> int:
    """Judges routing by the labelled requests; runs on the test split are counted."""
    environment = Environment()
    environment.install("embedded", "dev")
    return environment.run(environment.python, "-m", "benchmarks.routing", *arguments, PYTHONPATH=str(ROOT))


def bench_fidelity(arguments: list[str]) -> int:
    """Judges the shortening of prompts by recorded conversations of agents."""
    environment = Environment()
    environment.install("embedded", "dev")
    return environment.run(environment.python, "-m", "benchmarks.fidelity", *arguments, PYTHONPATH=str(ROOT))


def chaos(arguments: list[str]) -> int:
    """Judges every request of a run with failing upstreams and impatient clients."""
    environment = Environment()
    environment.install("embedded", "dev")
    return environment.run(environment.python, "-m", "benchmarks.chaos", *arguments, PYTHONPATH=str(ROOT))


def kills(arguments: list[str]) -> int:
    """Kills an engine under load fifty times, or as often as the argument says."""
    environment = Environment()
    environment.install("embedded", "dev")
    count, options = (arguments[0], arguments[1:]) if arguments else ("50", [])
    command = [environment.python, "-m", "pytest", "-s", "-q", ROOT / "tests/e2e/test_kill.py", *options]
    return environment.run(*command, PYTHONPATH=str(ROOT), LYNKR_KILLS=count)


def soak(arguments: list[str]) -> int:
    """Looks for what grows over a hundred thousand requests."""
    environment = Environment()
    environment.install("embedded", "dev")
    return environment.run(environment.python, "-m", "benchmarks.soak", *arguments, PYTHONPATH=str(ROOT))


def fuzz(arguments: list[str]) -> int:
    """Mutates bodies of every protocol by the hundred thousand."""
    environment = Environment()
    environment.install("embedded", "dev")
    command = [environment.python, "-m", "tests.properties.fuzz", "--keep", ROOT / ".fuzz", *arguments]
    return environment.run(*command, PYTHONPATH=str(ROOT))


def screenshots(arguments: list[str]) -> int:
    """Draws the windows."""
    environment = Environment()
    environment.install("embedded", "dev")
    return environment.run(environment.python, "tools/screenshots.py", *arguments, PYTHONPATH=str(ROOT))


def docs(_arguments: list[str]) -> int:
    """Writes docs/configuration.md and docs/openapi.json."""
    environment = Environment()
    environment.install("embedded", "dev")
    for name, module in (
        ("configuration.md", "lynkr_desktop.engine.config.docs"),
        ("openapi.json", "lynkr_desktop.engine.endpoints.openapi"),
    ):
        text = subprocess.run([str(environment.python), "-m", module], capture_output=True, check=True).stdout
        (ROOT / "docs" / name).write_bytes(text)
    return 0


COMMANDS = {
    "run": run,
    "test": test,
    "lint": lint,
    "format": format_code,
    "bench": bench,
    "bench-routing": bench_routing,
    "bench-fidelity": bench_fidelity,
    "chaos": chaos,
    "kills": kills,
    "soak": soak,
    "fuzz": fuzz,
    "screenshots": screenshots,
    "docs": docs,
}

if __name__ == "__main__":
    raise SystemExit(main())
