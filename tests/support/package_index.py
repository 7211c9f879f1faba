"""A package index on this machine that carries a small model in parts, with the faults that real ones show.

It serves the HTML and the JSON form of the simple index, and files with ranges, so that pip and our own
fetcher both work against it.
"""

from __future__ import annotations

import hashlib
import io
import json
import random
import re
import threading
import zipfile
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from lynkr_desktop.engine.providers.embedded.catalog import CatalogModel, Part

JSON_FORM = "application/vnd.pypi.simple.v1+json"
VERSION = "1.0"
PART_SIZE = 300_000


class PackageIndex:
    """Serves a model of random bytes, `tiny`, in wheels of `PART_SIZE` bytes.

    Attributes:
        fetched: how often each file was asked for.
        ranges: the Range headers that were sent, in order.
        held: files whose transfer stops in the middle until `release` is set.
        broken: how many times a file's transfer is still to be cut off in the middle.
        replaced: content served in the place of a file's own.
        missing: packages that the index does not have.
        json: whether it speaks the JSON form.
    """

    def __init__(self, parts: int = 4) -> None:
        random_bytes = random.Random(parts).randbytes
        pieces = [random_bytes(PART_SIZE) for _ in range(parts - 1)] + [random_bytes(PART_SIZE // 3)]
        self.content = b"".join(pieces)
        self.files = {
            _wheel_name(number): make_wheel(number, piece) for number, piece in enumerate(pieces, 1)
        }
        self.fetched: Counter[str] = Counter()
        self.ranges: list[str] = []
        self.held: set[str] = set()
        self.release = threading.Event()
        self.broken: Counter[str] = Counter()
        self.replaced: dict[str, bytes] = {}
        self.missing: set[str] = set()
        self.json = True
        self.model = CatalogModel(
            id="tiny",
            title="Tiny",
            licence="CC0",
            licence_url="https://example.invalid/licence",
            publisher="made by the tests",
            source="tiny-part1.. ==1.0",
            size=len(self.content),
            sha256=hashlib.sha256(self.content).hexdigest(),
            context=2048,
            capabilities=frozenset({"completion"}),
            parts=tuple(
                Part(
                    package=f"tiny-part{number}",
                    version=VERSION,
                    member=member_name(number),
                    size=len(piece),
                    wheel_size=len(self.files[_wheel_name(number)]),
                    sha256=hashlib.sha256(piece).hexdigest(),
                )
                for number, piece in enumerate(pieces, 1)
            ),
        )
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"index": self}))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """The value for PIP_INDEX_URL."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/simple"

    def environment(self) -> dict[str, str]:
        """What makes pip use this index and nothing else."""
        return {
            "PIP_INDEX_URL": self.url,
            "PIP_EXTRA_INDEX_URL": "",
            "PIP_FIND_LINKS": "",
            "PIP_CONFIG_FILE": "/dev/null",
            "PIP_RETRIES": "0",
        }

    def __enter__(self) -> PackageIndex:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stops answering."""
        self.release.set()
        self._server.shutdown()
        self._server.server_close()


def part_file(number: int) -> str:
    """The file name of a part's wheel."""
    return _wheel_name(number)


def member_name(number: int) -> str:
    """Where a part stands in its wheel."""
    return f"tiny_part{number}/data/part{number:02}.bin"


def make_wheel(number: int, content: bytes) -> bytes:
    """A wheel that pip accepts."""
    name = f"tiny_part{number}"
    info = f"{name}-{VERSION}.dist-info"
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member_name(number), content)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {VERSION}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return file.getvalue()


def _wheel_name(number: int) -> str:
    return f"tiny_part{number}-{VERSION}-py3-none-any.whl"


class _Handler(BaseHTTPRequestHandler):
    index: PackageIndex
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Project pages and files."""
        kind, name = re.fullmatch(r"/(simple|files)/([^/]+)/?", self.path).groups()  # type: ignore[union-attr]
        if kind == "simple":
            self._project(name)
        else:
            self._file(name)

    def _project(self, name: str) -> None:
        file = f"{name.replace('-', '_')}-{VERSION}-py3-none-any.whl"
        if name in self.index.missing or file not in self.index.files:
            self._reply(404, b"", "text/plain")
        elif self.index.json and JSON_FORM in self.headers.get("accept", ""):
            entry: dict[str, Any] = {"filename": file, "url": f"/files/{file}", "hashes": {}}
            page = {"meta": {"api-version": "1.0"}, "name": name, "files": [entry]}
            self._reply(200, json.dumps(page).encode(), JSON_FORM)
        else:
            page_text = f'<!DOCTYPE html><html><body><a href="/files/{file}">{file}</a></body></html>'
            self._reply(200, page_text.encode(), "text/html")

    def _file(self, name: str) -> None:
        index = self.index
        index.fetched[name] += 1
        content = index.replaced.get(name, index.files[name])
        start = 0
        if requested := self.headers.get("range"):
            index.ranges.append(requested)
            start = int(requested.removeprefix("bytes=").removesuffix("-"))
        self.send_response(206 if start else 200)
        self.send_header("content-type", "application/octet-stream")
        self.send_header("content-length", str(len(content) - start))
        if start:
            self.send_header("content-range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        middle = max(start, len(content) // 2)
        self.wfile.write(content[start:middle])
        self.wfile.flush()
        if index.broken[name]:
            index.broken[name] -= 1
            self.close_connection = True
            return
        if name in index.held:
            index.release.wait(60)
        self.wfile.write(content[middle:])

    def _reply(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def handle(self) -> None:
        """A client that goes away is no error."""
        try:
            super().handle()
        except OSError:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Stays silent."""
