"""Client packages that the tests run as programs, each in a virtual environment of its own under .test-env.

Their requirements would pin those of the project, so they do not share its environment.
`python -m tests.support.packages` installs them beforehand.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".test-env"
INSTALL_TIMEOUT_S = 900


@dataclass(frozen=True, slots=True)
class Package:
    """What is installed together.

    Attributes:
        name: the folder's name.
        requirements: pinned packages.
        python: the oldest Python that they run on.
    """

    name: str
    requirements: tuple[str, ...]
    python: tuple[int, int] = (3, 11)


# It imports mcp as soon as a request has tools.
LITELLM = Package("litellm", ("litellm[mcp]==1.106.2",))
OPENHANDS = Package("openhands", ("openhands-sdk==1.58.0", "openhands-tools==1.58.0"), python=(3, 12))
# Without a version of litellm pip tries one after the other, each of 35 MB.
HEADROOM = Package("headroom", ("headroom-ai[proxy]==0.42.0", "litellm==1.103.7"))


class Missing(Exception):
    """It is not there and cannot be installed; the message says what to do."""


class NoPython(Missing):
    """This machine has no Python that the package runs on."""


@functools.cache
def python_with(package: Package) -> Path:
    """A Python that can import the package; installs it when it is absent. Raises `Missing`."""
    folder = FOLDER / package.name
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = folder / "installed"
    wanted = "\n".join(package.requirements)
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted and _runs(python):
        return python
    base = _find_python(package.python)
    if base is None:
        version = ".".join(map(str, package.python))
        raise NoPython(f"{package.requirements[0]} needs Python {version} or newer; there is none here.")
    print(f"Installing {' '.join(package.requirements)} into {folder} ...", file=sys.stderr, flush=True)
    began = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    try:
        for command in ([base, "-m", "venv", folder], [*install, *package.requirements]):
            subprocess.run(command, stdout=sys.stderr, timeout=INSTALL_TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise Missing(f"pip could not install {package.name}: {error}.") from error
    stamp.write_text(wanted, encoding="utf-8")
    print(f"Installed in {time.monotonic() - began:.0f} s.", file=sys.stderr, flush=True)
    return python


def _find_python(oldest: tuple[int, int]) -> Path | None:
    """The Python of the tests if it is new enough, else another of this machine."""
    if sys.version_info[:2] >= oldest:
        return Path(sys.executable)
    major, first = oldest
    for minor in range(first, first + 2):
        found = shutil.which(f"python{major}.{minor}")
        if found is None:
            continue
        # One of pyenv's shims stands for versions that are installed, but starts only the selected one.
        versions = sorted(Path(found).parents[1].glob(f"versions/{major}.{minor}.*/bin/python"))
        for candidate in (Path(found), *versions):
            if _runs(candidate):
                return candidate
    return None


def _runs(python: Path) -> bool:
    """Whether it is there and starts."""
    try:
        return (
            subprocess.run([python, "-c", ""], capture_output=True, timeout=60, check=False).returncode == 0
        )
    except (OSError, subprocess.SubprocessError):
        return False


def main() -> int:
    """Installs everything that this machine can have."""
    code = 0
    for package in (LITELLM, OPENHANDS, HEADROOM):
        try:
            print(python_with(package))
        except NoPython as missing:
            print(missing)
        except Missing as missing:
            print(missing, file=sys.stderr)
            code = 1
    return code


if __name__ == "__main__":
    sys.exit(main())
