"""Packages from a folder."""

from collections.abc import Iterator
from pathlib import Path

from parcel.manifest import Manifest, parse_manifest
from parcel.sources.base import Source, SourceError


class FolderSource(Source):
    priority = 100

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path

    def manifests(self) -> Iterator[Manifest]:
        for path in sorted(self._path.glob("*.manifest")):
            yield parse_manifest(path.read_text("utf-8"))

    def fetch(self, manifest: Manifest) -> bytes:
        path = self._path / f"{manifest.name}_{manifest.version}_{manifest.arch}.parcel"
        if not path.is_file():
            raise SourceError(f"{path.name} is not there")
        return path.read_bytes()
