"""The servers under measurement, each a process of its own on loopback."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from harness import TOKEN, Samples, Shape

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
SERVERS = str(HERE / "servers.py")


@dataclass
class Server:
    """A process that listens."""

    port: int
    process: psutil.Popen
    ready_s: float = 0.0

    @property
    def rss_mb(self) -> float:
        """Memory of it and its children."""
        found = [self.process, *self.process.children(recursive=True)]
        return sum(one.memory_info().rss for one in found) / 1024**2

    def stop(self) -> None:
        """Ends it with its children."""
        for one in [*self.process.children(recursive=True), self.process]:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.terminate()
        self.process.wait(60)


@dataclass
class Subject:
    """A server as it is asked: one server may be asked in two protocols."""

    name: str
    server: Server
    shape: Shape
    samples: Samples = field(default_factory=Samples)
    share: float = 1.0
    """Of the usual effort: a slow one gets fewer requests."""


def start(command: list[str], port_of: Callable[[str], int] = int) -> Server:
    """Starts a server that prints its port on its first line."""
    began = time.perf_counter()
    process = psutil.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    port = port_of(process.stdout.readline())
    return Server(port, process, time.perf_counter() - began)


def start_on(
    port: int, command: list[str], log: Path, environ: Mapping[str, str] = os.environ, within: float = 90
) -> Server:
    """Starts a server on a given port; ready when it takes connections."""
    began = time.perf_counter()
    with log.open("wb") as output:
        process = psutil.Popen(command, stdout=output, stderr=output, env=dict(environ), cwd=log.parent)
    while time.perf_counter() - began < within and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
            return Server(port, process, time.perf_counter() - began)
        time.sleep(0.02)
    process.kill()
    raise RuntimeError(f"{command[0]} did not start: {log.read_text(errors='replace')[-2000:]}")


def free_port() -> int:
    """A port that nothing uses."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


_EVERYTHING = """
optimization:
  # Without the response cache: it would answer the same request again and again.
  pipeline: [smart_tool_selection, code_mode_meta_tools, distill_compression, memory_dedup,
    sliding_window_history]
memory: {enabled: true}
budgets:
  day: {tokens: 1000000000000, dollars: 1000000}
  session: {tokens: 1000000000000, dollars: 1000000}
"""


def start_lynkr(upstream: int, home: Path, *, everything: bool = False) -> Server:
    """`lynkr serve` with one provider in every tier; ready when its health check answers.

    Args:
        upstream: the provider's port.
        home: the engine's folder.
        everything: with what is off by default too: the pipeline, memory, budgets, limits of the provider.
    """
    limits = ", max_concurrent: 64, requests_per_minute: 100000000" if everything else ""
    tier = "{{providers: [fake/m], max_complexity: {limit}}}"
    tiers = {"simple": 0.35, "medium": 0.65, "complex": 0.85, "reasoning": 1.0}
    lines = [
        "proxy: {auth: {token: " + TOKEN + "}}",
        f"providers: {{fake: {{kind: openai_compatible, base_url: http://127.0.0.1:{upstream}/v1{limits}}}}}",
        "routing:",
        "  tiers:",
        *(f"    {name}: {tier.format(limit=limit)}" for name, limit in tiers.items()),
    ]
    home.mkdir(parents=True, exist_ok=True)
    (home / "lynkr-routing.yaml").write_text("\n".join(lines) + "\n" + (_EVERYTHING if everything else ""))
    began = time.perf_counter()
    module = [sys.executable, "-m", "lynkr_desktop", "serve", "--supervised", "--port", "0"]
    server = start([*module, "--home", str(home)], lambda line: int(json.loads(line)["port"]))
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/v1/admin/health", timeout=5) as response:
        response.read()
    server.ready_s = time.perf_counter() - began
    return server


@contextlib.contextmanager
def stopped_at_the_end() -> Iterator[list[Server]]:
    """A list of servers; those in it are ended with the block."""
    servers: list[Server] = []
    try:
        yield servers
    finally:
        for server in servers:
            server.stop()
