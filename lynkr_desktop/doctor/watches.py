"""How many folders the system can still watch, beside how many Lynkr wants to."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lynkr_desktop.doctor.check import Found, note, ok, skipped
from lynkr_desktop.engine.watch.observers import MOST_WATCHES

if TYPE_CHECKING:
    from lynkr_desktop.doctor.look import Look

_MORE_WATCHES = 524_288
_MORE_INSTANCES = 1024
_INSTANCES_WANTED = 2
"""Of inotify: one for the configuration file, one for all workspaces."""


class Used(NamedTuple):
    """What the programs of this user hold."""

    instances: int
    watches: int


class _Enough(Exception):
    """More folders than Lynkr would watch one by one."""


def watches(look: Look) -> Found:
    """Whether changes of code are told by the system, or must be looked for again and again."""
    if not sys.platform.startswith("linux"):
        return skipped("This system has no such limit.")
    kernel = look.system / "proc/sys/fs/inotify"
    try:
        most = int((kernel / "max_user_watches").read_text())
        instances = int((kernel / "max_user_instances").read_text())
    except (OSError, ValueError):
        return skipped(f"{kernel} cannot be read.")
    used = in_use(look.system / "proc")
    if look.runtime is None and used.instances + _INSTANCES_WANTED > instances:
        return note(
            f"{used.instances} of {instances} inotify instances are taken; changes are looked for again and "
            "again.",
            f"Raise the limit: sudo sysctl fs.inotify.max_user_instances={_MORE_INSTANCES}",
        )
    told = [f"{used.watches:,} of {most:,} watches are taken"]
    for root, watched in _workspaces(look):
        folders = _folders(root)
        if folders is None:
            return note(
                f"{root} has more than {MOST_WATCHES:,} folders; changes are looked for again and again.",
                "Exclude what is no source by .gitignore, or work in a part of it.",
            )
        if not watched and used.watches + folders > most:
            return note(
                f"{told[0]}, and {root} needs {folders:,}; changes are looked for again and again.",
                f"Raise the limit: sudo sysctl fs.inotify.max_user_watches={_MORE_WATCHES}",
            )
        told.append(f"{root} needs {folders:,}")
    return ok("; ".join(told) + ".")


def _workspaces(look: Look) -> Iterator[tuple[Path, bool]]:
    """The folders of code that are known, and whether the engine watches them now."""
    graphify = look.config.routing.analysis.graphify
    known: dict[str, bool] = {}
    for index in look.status.workspaces if look.status is not None else ():
        known[index.root] = not index.polling and index.state not in ("waiting", "failed")
    if look.config.routing.workspace and graphify.enabled:
        with contextlib.suppress(ValueError):  # no path may hold a NUL
            known.setdefault(os.path.realpath(os.path.expanduser(look.config.routing.workspace)), False)
    for root, watched in known.items():
        if os.path.isdir(root):
            yield Path(root), watched


def _folders(root: Path) -> int | None:
    """The folders of a workspace that are watched; None where they are too many."""
    from lynkr_desktop.engine.analysis.limits import Limits
    from lynkr_desktop.engine.analysis.walk import Walker

    count = 0

    def entered(_: str) -> None:
        nonlocal count
        count += 1
        if count > MOST_WATCHES:
            raise _Enough

    try:
        Walker(root, Limits(), entered).walk()
    except _Enough:
        return None
    except OSError:
        return 0
    return count


def in_use(proc: Path) -> Used:
    """The inotify instances and watches of this user's programs, as far as they may be looked at."""
    instances = watches = 0
    for process in _own_processes(proc):
        try:
            descriptors = list((process / "fd").iterdir())
        except OSError:
            continue
        for descriptor in descriptors:
            try:
                if os.readlink(descriptor) != "anon_inode:inotify":
                    continue
                text = (process / "fdinfo" / descriptor.name).read_text("ascii", "replace")
            except OSError:
                continue
            instances += 1
            watches += sum(line.startswith("inotify ") for line in text.splitlines())
    return Used(instances, watches)


def _own_processes(proc: Path) -> Iterator[Path]:
    me = os.getuid() if hasattr(os, "getuid") else 0
    try:
        entries = list(proc.iterdir())
    except OSError:
        return
    for entry in entries:
        try:
            if entry.name.isdecimal() and entry.stat().st_uid == me:
                yield entry
        except OSError:
            continue
