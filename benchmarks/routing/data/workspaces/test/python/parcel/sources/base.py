"""Where packages come from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

from parcel.manifest import Manifest


class SourceError(RuntimeError):
    """A source could not be read. `transient` says whether a later try may work."""

    def __init__(self, message: str, transient: bool = False) -> None:
        super().__init__(message)
        self.transient = transient


class Source(ABC):
    name: str
    priority: int = 0

    @abstractmethod
    def manifests(self) -> Iterator[Manifest]: ...

    @abstractmethod
    def fetch(self, manifest: Manifest) -> bytes: ...
