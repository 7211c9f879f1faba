"""Packages from a mirror."""

from __future__ import annotations

import gzip
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

from parcel.manifest import Manifest, parse_manifest
from parcel.sources.base import Source, SourceError

RETRIES = 4


class HttpSource(Source):
    def __init__(self, name: str, url: str, priority: int = 0, timeout: float = 20.0) -> None:
        self.name = name
        self.priority = priority
        self._url = url.rstrip("/")
        self._timeout = timeout

    def _get(self, path: str) -> bytes:
        wait = 0.5
        for attempt in range(RETRIES):
            try:
                with urllib.request.urlopen(f"{self._url}/{path}", timeout=self._timeout) as reply:
                    return reply.read()
            except urllib.error.HTTPError as error:
                if error.code < 500:
                    raise SourceError(f"{path}: {error.code}") from error
            except (urllib.error.URLError, TimeoutError):
                pass
            if attempt < RETRIES - 1:
                time.sleep(wait)
                wait *= 2
        raise SourceError(f"{path} could not be fetched", transient=True)

    def manifests(self) -> Iterator[Manifest]:
        text = gzip.decompress(self._get("index.gz")).decode("utf-8")
        for block in text.split("\n\n"):
            if block.strip():
                yield parse_manifest(block)

    def fetch(self, manifest: Manifest) -> bytes:
        return self._get(f"pool/{manifest.name}_{manifest.version}_{manifest.arch}.parcel")
