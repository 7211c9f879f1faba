"""The system around: Python and packages, files that may be open, and what starts at login."""

from __future__ import annotations

import os
import platform
import plistlib
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import lynkr_desktop
from lynkr_desktop.doctor.check import Found, note, ok, problem, skipped

if TYPE_CHECKING:
    from lynkr_desktop.doctor.look import Look

_DISTRIBUTION = "lynkr-desktop"
_FEW_FILES = 1024
_TOO_FEW_FILES = 128
"""Files that one process may open. Each request takes two connections, and some thirty are always open."""

_NEARLY_ALL = 0.9


def python(look: Look) -> Found:
    """Whether Python and the installed packages are those that Lynkr was made for."""
    from importlib import metadata

    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet

    text = f"Lynkr {lynkr_desktop.__version__} on Python {platform.python_version()}"
    try:
        distribution = metadata.distribution(_DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return skipped(f"{text}. It was not installed as a package, so the versions of others are not known.")
    wanted = distribution.metadata["Requires-Python"] or ""
    if not SpecifierSet(wanted).contains(platform.python_version(), prereleases=True):
        return problem(f"{text}, which needs {wanted}.", f"Install it anew with a Python that is {wanted}.")
    wrong = []
    for requirement in map(Requirement, distribution.requires or ()):
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            found = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{requirement.name} is missing")
            continue
        if not requirement.specifier.contains(found, prereleases=True):
            wrong.append(f"{requirement.name} is {found} where {requirement.specifier} is needed")
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        return problem(
            f"{text}: {', '.join(wrong[:3])}{more}.",
            f"Install Lynkr anew: {shlex.quote(sys.executable)} -m pip install --upgrade {_DISTRIBUTION}",
        )
    return ok(f"{text}; its packages are as they should be.")


def open_files(look: Look) -> Found:
    """Whether the engine may open as many files and connections as it needs."""
    try:
        import resource
    except ImportError:
        return skipped("This system has no such limit.")
    import psutil

    limit, text = resource.getrlimit(resource.RLIMIT_NOFILE)[0], "A process may open"
    if look.runtime is not None and hasattr(resource, "prlimit"):
        try:
            limit = resource.prlimit(look.runtime.pid, resource.RLIMIT_NOFILE)[0]
            opened = psutil.Process(look.runtime.pid).num_fds()
        except (OSError, psutil.Error):
            return skipped(f"The limit of process {look.runtime.pid} may not be looked at.")
        text = f"The engine has {opened:,} files and connections open and may have"
        if limit != resource.RLIM_INFINITY and opened >= limit * _NEARLY_ALL:
            return problem(f"{text} {limit:,}.", "Raise the limit before it starts: ulimit -n 4096")
    if limit == resource.RLIM_INFINITY:
        return ok(f"{text} any number.")
    if limit < _TOO_FEW_FILES:
        return problem(f"{text} {limit:,} files.", "Raise the limit before Lynkr starts: ulimit -n 4096")
    if limit < _FEW_FILES:
        return note(
            f"{text} {limit:,} files, enough for some {(limit - 50) // 2} requests at once.",
            "Raise the limit before Lynkr starts: ulimit -n 4096",
        )
    return ok(f"{text} {limit:,} files.")


def headroom(look: Look) -> Found:
    """Whether the program is there that a listed stage needs."""
    from lynkr_desktop.engine.optimization.stages import HEADROOM

    config = look.config
    own = [profile.pipeline for profile in config.routing.profiles.values()]
    if not any(HEADROOM in config.pipeline_for(pipeline) for pipeline in (None, *own)):
        return skipped(f"No pipeline lists {HEADROOM}.")
    command = config.optimization.headroom.command
    program = shutil.which(command, path=look.environ.get("PATH"))
    if program is None:
        return note(
            f"There is no program {command}, so the stage {HEADROOM} does nothing.",
            "Install headroom-ai[proxy] and set optimization.headroom.command to its program.",
        )
    state = look.status.headroom if look.status is not None else ""
    return ok(f"{program} is there; Headroom {state}." if state else f"{program} is there.")


# ---------------------------------------------------------------- login


def autostart(look: Look) -> Found:
    """Whether Lynkr starts at login, and whether what would be started is there."""
    entries = list(_entries(look.environ))
    if not entries:
        return ok("Lynkr does not start at login.")
    for place, program in entries:
        if program and shutil.which(program, path=look.environ.get("PATH")) is None:
            return note(
                f"{place} starts {program} at login, which is not there.",
                "Correct the entry, or remove it.",
            )
    return ok(f"Lynkr starts at login ({entries[0][0]}).")


def _entries(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What starts Lynkr at login: where that is written, and the program, empty where it is not known."""
    home = Path(environ.get("HOME") or "~").expanduser()
    if sys.platform == "win32":
        yield from _run_keys()
    elif sys.platform == "darwin":
        for file in _named(home / "Library" / "LaunchAgents", "*lynkr*.plist"):
            yield str(file), _of_agent(file)
    else:
        config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
        for file in _named(config / "autostart", "*lynkr*.desktop"):
            yield str(file), _value(file, "Exec=")
        for file in _named(config / "systemd" / "user" / "default.target.wants", "*lynkr*.service"):
            yield str(file), _value(file, "ExecStart=")


def _named(folder: Path, pattern: str) -> list[Path]:
    return sorted(folder.glob(pattern)) if folder.is_dir() else []


def _value(file: Path, key: str) -> str:
    """The program that a line of a desktop or unit file names."""
    try:
        lines = file.read_text("utf-8", "replace").splitlines()
        command = next((line.removeprefix(key) for line in lines if line.startswith(key)), "")
        return next(iter(shlex.split(command)), "")
    except (OSError, ValueError):
        return ""


def _of_agent(file: Path) -> str:
    """The program of a LaunchAgent."""
    try:
        agent = plistlib.loads(file.read_bytes())
    except (OSError, plistlib.InvalidFileException, ValueError):
        return ""
    arguments = agent.get("ProgramArguments") or [agent.get("Program", "")]
    return str(arguments[0])


def _run_keys() -> Iterator[tuple[str, str]]:
    """The entries of Windows' registry."""
    if sys.platform != "win32":
        return
    import winreg

    place = r"Software\Microsoft\Windows\CurrentVersion\Run"
    try:
        with winreg.OpenKey(winreg.HKEY_CURRENT_USER, place) as key:
            for number in range(winreg.QueryInfoKey(key)[1]):
                name, command, _ = winreg.EnumValue(key, number)
                if "lynkr" in name.lower():
                    program = os.path.expandvars(str(command)).strip()
                    quoted = program.startswith('"')
                    yield rf"HKCU\{place}\{name}", program[quoted:].partition('"' if quoted else " ")[0]
    except OSError:
        return
