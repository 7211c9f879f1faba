"""Real code to measure on: the standard library, and packages of the registries at pinned versions."""

from __future__ import annotations

import hashlib
import io
import sysconfig
import tarfile
import urllib.request
from collections.abc import Iterable, Iterator
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

NPM = "https://registry.npmjs.org/"

RXJS = Archive(
    "rxjs-7.8.2",
    NPM + "rxjs/-/rxjs-7.8.2.tgz",
    "2312f8ffd9726ffd7bd53ea12c5f13663d09a3dc3326f448c70b88f5ef6fac82",
)
ZOD = Archive(
    "zod-4.1.12",
    NPM + "zod/-/zod-4.1.12.tgz",
    "2ef9d7a7d822b059c9bd21f87caa4fdc48220d437353678984df942fb67b43fa",
)
TABLE_CORE = Archive(
    "table-core-8.21.3",
    NPM + "@tanstack/table-core/-/table-core-8.21.3.tgz",
    "1e5b2f4f04c8c31100ebd0b966fae5eadbb1d11bd45517edb9fc15fbd6a8f2a0",
)
THEMES = Archive(
    "themes-3.2.1",
    NPM + "@radix-ui/themes/-/themes-3.2.1.tgz",
    "348c8103dabac672f13b6c4354aba4df1984874ada0ce2816daa0e1e2b0aa1b4",
)
WEBPACK = Archive(
    "webpack-5.102.0",
    NPM + "webpack/-/webpack-5.102.0.tgz",
    "f1f7c806f0e76556e3069bc901753b40197ee84485472449648592fe2fa3bc08",
)
LODASH = Archive(
    "lodash-4.17.21",
    NPM + "lodash/-/lodash-4.17.21.tgz",
    "6a087ac9e5702a0c9d60fbcd48696012646ec8df1491dea472b150e79fcaf804",
)
EXPRESS = Archive(
    "express-5.1.0",
    NPM + "express/-/express-5.1.0.tgz",
    "dd6bdb4d4e54d520c78443d5c35aa4ae552be1837e8650d2ec1641df99393e1b",
)
REACT_DOM = Archive(
    "react-dom-18.3.1",
    NPM + "react-dom/-/react-dom-18.3.1.tgz",
    "031d4427a99f2f3f6cac18bbbf308594a67e4f47d10f4896fdec446505b040e0",
)
REACT_NATIVE = Archive(
    "react-native-0.72.0",
    NPM + "react-native/-/react-native-0.72.0.tgz",
    "3df1638521221407e1eba8ffc0571f629bd3feaf401032c8c6fb15a7df94c628",
)
CORDOVA = Archive(
    "cordova-android-14.0.1",
    NPM + "cordova-android/-/cordova-android-14.0.1.tgz",
    "67d7e8ec81bac8175c9e3d37c17abe3458492ea1c52edb87ae1a7c5ed132ce32",
)
CAPACITOR = Archive(
    "android-7.4.4",
    NPM + "@capacitor/android/-/android-7.4.4.tgz",
    "73aff14ace0bc212adb101ce49c2fa58ce8743f836b0dbe5e5a433a060c149e1",
)
UNITASK = Archive(
    "com.cysharp.unitask-2.2.5",
    NPM + "com.cysharp.unitask/-/com.cysharp.unitask-2.2.5.tgz",
    "dd89936982fc32a962ac09db926ee0bcc7ca2ab9a02c1553393031345aaf7d2f",
)
UNIRX = Archive(
    "com.neuecc.unirx-7.1.0",
    NPM + "com.neuecc.unirx/-/com.neuecc.unirx-7.1.0.tgz",
    "df5dea1b6230cda196acebc148dc6ff44fb8c610652d89001c74172312cf2618",
)
REACT_NATIVE_WINDOWS = Archive(
    "react-native-windows-0.75.0",
    NPM + "react-native-windows/-/react-native-windows-0.75.0.tgz",
    "05e2131bbd0c366be65339150defff36c14fc200ab55370014f5c390eabfae67",
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


def typescript() -> list[Path]:
    """The sources of four npm packages that ship them, TSX among them."""
    files = _files_of((RXJS, ZOD, TABLE_CORE, THEMES), ".ts", ".tsx")
    return [path for path in files if not path.name.endswith(".d.ts")]


def javascript() -> list[Path]:
    """The JavaScript of four npm packages, but not what is minified."""
    files = _files_of((WEBPACK, LODASH, EXPRESS, REACT_DOM), ".js", ".mjs", ".cjs")
    return [path for path in files if ".min." not in path.name]


def java() -> list[Path]:
    """The Java of three npm packages for Android."""
    return _files_of((REACT_NATIVE, CORDOVA, CAPACITOR), ".java")


def csharp() -> list[Path]:
    """The C# of three npm packages, two of them for Unity."""
    return _files_of((UNITASK, UNIRX, REACT_NATIVE_WINDOWS), ".cs")


def _files_of(archives: Iterable[Archive], *suffixes: str) -> list[Path]:
    return [path for archive in archives for path in source_files(archive.folder(), *suffixes)]


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
