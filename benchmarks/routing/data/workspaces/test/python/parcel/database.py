"""What is installed on this machine: a journal and a table of files."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from parcel.manifest import Manifest, parse_manifest
from parcel.version import Version

if TYPE_CHECKING:
    from parcel.engine import Engine


class Locked(RuntimeError):
    """Another parcel is at work."""


class Database:
    def __init__(self, root: Path, engine: Engine) -> None:
        self._root = root
        self._engine = engine
        self._installed: dict[str, Manifest] = {}
        self._held: dict[str, Version] = {}
        self._files: dict[str, str] = {}
        self._load()

    def _load(self) -> None:
        for path in sorted(self._root.glob("installed/*.manifest")):
            manifest = parse_manifest(path.read_text("utf-8"))
            self._installed[manifest.name] = manifest
        files = self._root / "files.json"
        if files.exists():
            self._files = json.loads(files.read_text("utf-8"))

    def installed(self, name: str) -> Manifest | None:
        return self._installed.get(name)

    def every(self) -> list[Manifest]:
        return sorted(self._installed.values(), key=lambda m: m.name)

    def held(self, name: str) -> Version | None:
        return self._held.get(name)

    def hold(self, name: str) -> None:
        manifest = self._installed.get(name)
        if manifest is None:
            raise KeyError(name)
        self._held[name] = manifest.version

    def owner(self, path: str) -> str | None:
        return self._files.get(path)

    @contextmanager
    def lock(self) -> Iterator[None]:
        path = self._root / "lock"
        try:
            handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            raise Locked(f"{path} exists") from None
        try:
            os.write(handle, str(os.getpid()).encode())
            yield
        finally:
            os.close(handle)
            path.unlink()

    def record(self, manifest: Manifest, files: list[str], text: str) -> None:
        target = self._root / "installed" / f"{manifest.name}.manifest"
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_suffix(".new")
        temporary.write_text(text, "utf-8")
        os.replace(temporary, target)
        self._installed[manifest.name] = manifest
        for path in files:
            self._files[path] = manifest.name
        self._save_files()
        self._engine.notify("recorded", manifest.name)

    def forget(self, name: str) -> list[str]:
        gone = [path for path, owner in self._files.items() if owner == name]
        for path in gone:
            del self._files[path]
        self._installed.pop(name, None)
        (self._root / "installed" / f"{name}.manifest").unlink(missing_ok=True)
        self._save_files()
        return gone

    def _save_files(self) -> None:
        temporary = self._root / "files.json.new"
        temporary.write_text(json.dumps(self._files, sort_keys=True), "utf-8")
        os.replace(temporary, self._root / "files.json")
