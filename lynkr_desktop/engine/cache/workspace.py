"""What a workspace is like now, as far as a request is about it: git's HEAD and the contents of files.

The files are those that the request names, those that they depend on by the index of the workspace, and those
that depend on them directly. Their contents are read again whenever their status changed, so that a missed
event of a watch makes no difference.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence

from lynkr_desktop.engine.analysis.index import WorkspaceIndex
from lynkr_desktop.engine.analysis.walk import Reason, git_folder, read
from lynkr_desktop.engine.cache.recording import State
from lynkr_desktop.engine.routing.ask import read_ask
from lynkr_desktop.engine.routing.calls import command_of, paths_of
from lynkr_desktop.engine.routing.mentions import names
from lynkr_desktop.engine.wire.canonical import Request, Text, ToolUse

MOST_NAMES = 400
MOST_FILES = 1_500
"""Files whose status one look-up reads; a request about more of them is not looked up."""

_LONGEST_TEXT = 6_000
"""Characters of the beginning and the end of a text in which files are looked for."""

_LARGEST = 4 * 1024**2
"""Bytes of a file that is read; of a larger one only the status counts."""

_SETTLED_NS = 2_500_000_000
"""A file that changed less than this before it was read is read again next time: the clocks of some file
systems tick every two seconds, and a second change within a tick would not be seen in its status."""

_KEPT = 20_000
_TOKEN = re.compile(r"[\w.@+~/\\-]{2,300}")
_GIT_FILE = 16 * 1024**2


_Status = tuple[int, int, int, int, int]
"""Of a file: when it and its entry were changed, in ns, its size, inode and mode."""


class Disk:
    """Digests of files, read only when their status says that they changed. For any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[str, tuple[_Status, bytes]] = OrderedDict()

    def digest(self, path: str) -> bytes:
        """What a file is now: its contents, its status where it is no plain file, or that it is absent."""
        try:
            found = os.lstat(path)
        except (OSError, ValueError):
            return b"absent"
        status = (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino, found.st_mode)
        known = self._known.get(path)  # only files are in it
        if known is not None and known[0] == status:
            return known[1]
        if stat.S_ISDIR(found.st_mode):
            return b"folder"
        if not stat.S_ISREG(found.st_mode):
            return b"other" + repr(_target(path, status)).encode()
        content = read(path, _LARGEST)
        if isinstance(content, Reason):
            return f"{content.value} {status}".encode()
        digest = hashlib.sha256(content[0]).digest()
        settled = time.time_ns() - max(found.st_mtime_ns, found.st_ctime_ns) > _SETTLED_NS
        if settled and content[1] == (found.st_mtime_ns, found.st_size):
            with self._lock:
                self._known[path] = (status, digest)
                if len(self._known) > _KEPT:
                    self._known.popitem(last=False)
        return digest


def state_of(names: Sequence[str], index: WorkspaceIndex, folder: str, disk: Disk) -> State | None:
    """What a workspace is like for a request.

    Args:
        names: of files and symbols that the request mentions.
        index: of its workspace; complete.
        folder: the workspace as the request states it.
        disk: knows what files held before.

    Returns:
        None where the request hangs on too many files, or the index is not complete any more.
    """
    found = index.concerned(names, MOST_FILES)
    if found is None:
        return None
    root = os.fspath(index.root)
    head = head_of(root)
    digest = hashlib.sha256()
    for part in (root, folder, head):
        digest.update(f"{len(part)}:{part}".encode("utf-8", "surrogateescape"))
    within = os.path.join(root, "")
    for path in sorted({*found.named, *found.linked}):
        state = disk.digest(within + path.replace("/", os.sep))
        digest.update(b"%b\0%b\0" % (path.encode("utf-8", "surrogateescape"), state))
    return State(root=root, head=head, files=found.named, digest=digest.digest())


def mentioned(request: Request) -> tuple[str, ...]:
    """Names of files and symbols in what people wrote and agents called, the newest first."""
    found = dict.fromkeys(names(request, read_ask(request)))
    for name in _in_turns(request):
        if len(found) >= MOST_NAMES:
            break
        found.setdefault(name)
    return tuple(found)


def _in_turns(request: Request) -> Iterator[str]:
    for message in reversed(request.messages):
        for block in message.content:
            if isinstance(block, ToolUse):
                yield from paths_of(block)
                yield from _paths_in(command_of(block))
            elif isinstance(block, Text) and message.role == "user":
                yield from _paths_in(block.text)


def _paths_in(text: str) -> Iterable[str]:
    """What may be a path, in any language of code or none: `Makefile` is not seen, `./Makefile` is."""
    if len(text) > 2 * _LONGEST_TEXT:
        text = f"{text[:_LONGEST_TEXT]}\n{text[-_LONGEST_TEXT:]}"
    for token in _TOKEN.findall(text):
        token = token.strip("@").rstrip(".")
        if "." in token or "/" in token or "\\" in token:
            yield token


def head_of(root: str) -> str:
    """The commit that is checked out around a folder, and by which name; empty without git."""
    places = git_folder(root)
    if places is None:
        return ""
    _, own, common = places
    head = _text(os.path.join(own, "HEAD"))
    if not head.startswith("ref: "):
        return head
    name = head.removeprefix("ref: ").strip()
    tables = os.path.join(common, "reftable", "tables.list")
    if os.path.exists(tables):
        # Its names change with each change of any branch.
        return f"{_text(os.path.join(own, 'reftable', 'tables.list'))} {_text(tables)}"
    for folder in (own, common):
        if ".." not in name and (commit := _text(os.path.join(folder, *name.split("/")))):
            return f"{name} {commit}"
    for line in _text(os.path.join(common, "packed-refs")).splitlines():
        if line.endswith(f" {name}"):
            return f"{name} {line.partition(' ')[0]}"
    return name


def _text(path: str) -> str:
    content = read(path, _GIT_FILE)
    return "" if isinstance(content, Reason) else content[0].decode("utf-8", "replace").strip()


def _target(path: str, status: _Status) -> tuple[object, ...]:
    """What a link or another special file says of itself and of what it leads to."""
    try:
        led = os.stat(path)
    except (OSError, ValueError):
        return (*status,)
    return (*status, led.st_mtime_ns, led.st_ctime_ns, led.st_size, led.st_ino)
