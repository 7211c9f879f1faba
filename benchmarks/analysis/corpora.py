"""Real code to measure on: the standard library, and packages of the registries at pinned versions."""

from __future__ import annotations

import hashlib
import io
import sysconfig
import tarfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CACHE = Path(__file__).resolve().parents[2] / ".bench-env" / "code"
"""Where downloads are kept; may be deleted at any time."""


@dataclass(frozen=True)
class Archive:
    """A package by its address and the SHA-256 of its bytes: a tarball, or a Debian package."""

    name: str
    url: str
    sha256: str

    def folder(self) -> Path:
        """Where its files are, fetched and unpacked the first time.

        Raises:
            OSError: it cannot be had.
            ValueError: it is not what it was.
        """
        folder = CACHE / self.name
        if (folder / ".complete").exists():
            return folder
        request = urllib.request.Request(self.url, headers={"User-Agent": "lynkr-desktop benchmarks"})
        with urllib.request.urlopen(request, timeout=120) as response:
            data: bytes = response.read()
        found = hashlib.sha256(data).hexdigest()
        if found != self.sha256:
            raise ValueError(f"{self.url} has the SHA-256 {found}, not {self.sha256}")
        if self.url.endswith(".deb"):
            data = _member(data, "data.tar.xz")
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            archive.extractall(folder, filter="data")
        (folder / ".complete").touch()
        return folder


PYPI = "https://files.pythonhosted.org/packages/"

RUFF = Archive(
    "ruff-0.8.4",
    PYPI + "34/37/9c02181ef38d55b77d97c68b78e705fd14c0de0e5d085202bb2b52ce5be9/ruff-0.8.4.tar.gz",
    "0d5f89f254836799af1615798caa5f80b7f935d7a670fad66c5007928e57ace8",
)
CRYPTOGRAPHY = Archive(
    "cryptography-43.0.1",
    PYPI + "de/ba/0664727028b37e249e73879348cc46d45c5c1a2a2e81e8166462953c5755/cryptography-43.0.1.tar.gz",
    "203e92a75716d8cfb491dc47c79e17d0d9207ccffcbcb35f598fbe463ae3444d",
)
TOKENIZERS = Archive(
    "tokenizers-0.20.0",
    PYPI + "02/3a/508a4875f69e12b08fb3dabfc746039fe763838ff45d6e42229ed09a41c2/tokenizers-0.20.0.tar.gz",
    "39d7acc43f564c274085cafcd1dae9d36f332456de1a31970296a6b8da4eac8d",
)
GO_SOURCE = Archive(
    "golang-1.19-src",
    "https://deb.debian.org/debian/pool/main/g/golang-1.19/golang-1.19-src_1.19.8-2_all.deb",
    "2dfa82fe4f08f4e0193c532e561af4c91871f5235608f04f2bb8d57bb288df5a",
)


def standard_library() -> list[Path]:
    """The Python files of the standard library, its tests among them."""
    root = Path(sysconfig.get_path("stdlib"))
    return [path for path in source_files(root, ".py") if "site-packages" not in path.parts]


def rust() -> list[Path]:
    """The Rust of three packages of PyPI: a linter, a binding to OpenSSL, a tokenizer."""
    folders = [archive.folder() for archive in (RUFF, CRYPTOGRAPHY, TOKENIZERS)]
    return [path for folder in folders for path in source_files(folder, ".rs")]


def go() -> list[Path]:
    """The Go distribution, as Debian packs it, without the inputs of its own compiler's tests."""
    folder = GO_SOURCE.folder() / "usr/share/go-1.19/src"
    return [path for path in source_files(folder, ".go") if "testdata" not in path.parts]


def source_files(root: Path, *suffixes: str) -> list[Path]:
    """Files below `root` with one of the suffixes, sorted."""
    return sorted(path for path in root.rglob("*") if path.suffix in suffixes and path.is_file())


def _member(archive: bytes, name: str) -> bytes:
    """A file out of a Debian package, which is an `ar` archive."""
    for found, data in _members(archive):
        if found == name:
            return data
    raise ValueError(f"no {name} in the package")


def _members(archive: bytes) -> Iterator[tuple[str, bytes]]:
    position = len(b"!<arch>\n")
    while position < len(archive):
        header = archive[position : position + 60]
        size = int(header[48:58])
        position += 60
        yield header[:16].decode().rstrip(" /"), archive[position : position + size]
        position += size + size % 2
