"""Which folders lie on file systems that others may change unseen by this machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import psutil

_NETWORK = (
    "nfs",
    "cifs",
    "smb",
    "9p",
    "afs",
    "afpfs",
    "webdav",
    "ceph",
    "gluster",
    "lustre",
    "fuse.",
    "macfuse",
)
_ALSO = frozenset(
    ("fuse", "vboxsf", "prl_fs", "vmhgfs", "drvfs", "osxfs", "virtiofs", "ncpfs", "gfs2", "ocfs2")
)


def is_remote(folder: Path) -> str:
    """The type of a folder's file system if others may change it unseen by this machine; else empty."""
    if os.fspath(folder).startswith("\\\\"):
        return "UNC"
    place = os.path.join(folder, "")
    nearest = ("", "", "")
    try:
        partitions = psutil.disk_partitions(all=True)
    except (OSError, RuntimeError):
        return ""
    for partition in partitions:
        mount = os.path.join(partition.mountpoint, "")
        if place.startswith(mount) and len(mount) >= len(nearest[0]):
            nearest = (mount, partition.fstype.lower(), partition.opts)
    _, kind, options = nearest
    if kind.startswith(_NETWORK) or kind in _ALSO:
        return kind
    return "remote" if sys.platform == "win32" and "remote" in options else ""
