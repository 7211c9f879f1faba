"""Unpacking of packages."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from parcel.manifest import Manifest


class BadArchive(ValueError):
    """The archive is broken, or would write where it must not."""


def verify(manifest: Manifest, data: bytes) -> None:
    digest = hashlib.sha256(data).hexdigest()
    if digest != manifest.digest:
        raise BadArchive(f"{manifest.name}: sha256 is {digest}, not {manifest.digest}")


def members(data: bytes) -> Iterator[tuple[str, tarfile.TarInfo, bytes | None]]:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:*") as tar:
        for info in tar:
            path = PurePosixPath(info.name)
            if path.is_absolute() or ".." in path.parts:
                raise BadArchive(f"{info.name} leaves the root")
            stream = tar.extractfile(info) if info.isfile() else None
            yield str(path), info, stream.read() if stream else None


def place(root: Path, name: str, info: tarfile.TarInfo, content: bytes | None) -> None:
    target = root / name
    if info.isdir():
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if info.issym():
        target.unlink(missing_ok=True)
        target.symlink_to(info.linkname)
        return
    temporary = target.with_name(target.name + ".parcel-new")
    temporary.write_bytes(content or b"")
    temporary.chmod(info.mode & 0o7777)
    temporary.replace(target)
