"""Runs the real proxy as a process: `lynkr serve` in a home of its own, on a free port."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
READY_WITHIN_S = 60.0
STOP_WITHIN_S = 30.0


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy that runs."""

    home: Path
    port: int
    token: str

    @property
    def url(self) -> str:
        """Its origin: the base URL of Anthropic clients; OpenAI clients add /v1."""
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str) -> Any:
        """GET of the control API, decoded."""
        request = urllib.request.Request(self.url + path, headers={"authorization": f"Bearer {self.token}"})
        with _direct.open(request, timeout=30) as response:
            return json.load(response)

    def records(self, count: int, *, within: float = 10.0) -> list[dict[str, Any]]:
        """The recorded requests, newest first, once there are `count`: they are written in batches."""
        until = time.monotonic() + within
        while True:
            found: list[dict[str, Any]] = self.get("/v1/admin/requests")["requests"]
            if len(found) >= count or time.monotonic() > until:
                return found
            time.sleep(0.05)

    def command(self, *arguments: str) -> str:
        """What a `lynkr` command of this home prints."""
        ran = subprocess.run(
            [sys.executable, "-m", "lynkr_desktop", *arguments, "--home", str(self.home)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return ran.stdout


_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@contextlib.contextmanager
def running_proxy(
    home: Path, config: str = "", environ: Mapping[str, str] | None = None, port: int = 0
) -> Iterator[Proxy]:
    """Starts a proxy and stops it at the end, with everything that it started.

    Args:
        home: its home; made when absent.
        config: the text of its configuration.
        environ: replaces the environment.
        port: 0 takes a free one.
    """
    home.mkdir(parents=True, exist_ok=True)
    if config:
        (home / "lynkr-routing.yaml").write_text(config, encoding="utf-8")
    errors = home / "stderr.txt"
    with errors.open("wb") as log:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "lynkr_desktop",
                "serve",
                "--port",
                str(port),
                "--home",
                str(home),
                "--supervised",
            ],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=dict(os.environ if environ is None else environ),
        )
    try:
        ready = _first_line(process)
        if not ready or ready.get("event") != "ready":
            raise RuntimeError(f"the proxy did not start: {ready or errors.read_text(errors='replace')}")
        token = (home / "token").read_text(encoding="utf-8").strip()
        yield Proxy(home, ready["port"], token)
    finally:
        process.terminate()
        try:
            process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def _first_line(process: subprocess.Popen[str]) -> dict[str, Any] | None:
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    output = process.stdout
    assert output is not None
    threading.Thread(target=lambda: lines.put(output.readline()), daemon=True).start()
    try:
        line = lines.get(timeout=READY_WITHIN_S)
    except queue.Empty:
        return None
    return json.loads(line) if line.strip() else None
