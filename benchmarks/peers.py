"""Other proxies, installed from the package registries into .bench-env, for one run beside this one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from harness import TOKEN, Shape
from subjects import ROOT, Server, Subject, free_port, start_on

FOLDER = ROOT / ".bench-env"
ROUTER = "@musistudio/claude-code-router@2.0.0"
PORTKEY = "@portkey-ai/gateway@1.15.2"
LITELLM = "litellm[proxy]==1.106.2"
CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"


def start_peers(upstream: int, folder: Path, started: list[Server]) -> list[Subject]:
    """Starts every peer that can be installed; what cannot is said and left out."""
    subjects: list[Subject] = []
    for begin in (_claude_code_router, _portkey, _litellm):
        try:
            found = begin(upstream, folder)
        except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
            print(f"left out: {begin.__name__.strip('_')}: {error}", file=sys.stderr)
            continue
        started.append(found[0].server)
        subjects += found
    return subjects


def _npm(package: str) -> Path:
    home = FOLDER / "node"
    name = package.rpartition("@")[0]
    folder = home / "node_modules" / name
    if not folder.exists():
        npm = shutil.which("npm")
        if npm is None:
            raise RuntimeError("npm is not installed")
        home.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            [npm, "install", "--no-audit", "--no-fund", "--prefix", str(home), package], check=True
        )
    return folder


def _node(script: Path, *arguments: str) -> list[str]:
    node = shutil.which("node")
    if node is None:
        raise RuntimeError("node is not installed")
    return [node, str(script), *arguments]


def _claude_code_router(upstream: int, folder: Path) -> list[Subject]:
    package, port, home = _npm(ROUTER), free_port(), folder / "router"
    (home / ".claude-code-router").mkdir(parents=True)
    provider = {
        "name": "fake",
        "api_base_url": f"http://127.0.0.1:{upstream}/v1/chat/completions",
        "api_key": "k",
        "models": ["m"],
    }
    options = {
        "PORT": port,
        "HOST": "127.0.0.1",
        "APIKEY": TOKEN,
        "LOG": False,
        "NON_INTERACTIVE_MODE": True,
        "Providers": [provider],
        "Router": {"default": "fake,m"},
    }
    (home / ".claude-code-router" / "config.json").write_text(json.dumps(options))
    environ = {**os.environ, "HOME": str(home)}
    server = start_on(port, _node(package / "dist" / "cli.js", "start"), home / "log", environ)
    shape = Shape(MESSAGES, "m", (("x-api-key", TOKEN),))
    return [Subject("claude-code-router, translated", server, shape, share=0.3)]


def _portkey(upstream: int, folder: Path) -> list[Subject]:
    package, port = _npm(PORTKEY), free_port()
    script = package / "build" / "start-server.js"
    server = start_on(port, _node(script, f"--port={port}", "--headless"), folder / "portkey.log")
    headers = (
        ("x-portkey-provider", "openai"),
        ("x-portkey-custom-host", f"http://127.0.0.1:{upstream}/v1"),
    )
    return [Subject("Portkey gateway", server, Shape(CHAT, "m", headers), share=0.3)]


def _litellm(upstream: int, folder: Path) -> list[Subject]:
    venv = FOLDER / "litellm"
    program = venv / ("Scripts" if os.name == "nt" else "bin") / "litellm"
    if not program.exists():
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        subprocess.run([str(program.parent / "python"), "-m", "pip", "install", "-q", LITELLM], check=True)
    port, options = free_port(), folder / "litellm.yaml"
    base = f"http://127.0.0.1:{upstream}/v1"
    options.write_text(
        "model_list:\n  - model_name: m\n    litellm_params: "
        f'{{model: openai/m, api_base: "{base}", api_key: k}}\n'
        "router_settings:\n  disable_cooldowns: true\n"
        "general_settings:\n  dangerously_permit_weak_or_unset_master_key: true\n"
    )
    command = [str(program), "--config", str(options), "--port", str(port), "--host", "127.0.0.1"]
    server = start_on(port, command, folder / "litellm.log")
    shapes: list[tuple[str, Shape]] = [
        ("LiteLLM proxy", Shape(CHAT)),
        ("LiteLLM proxy, translated", Shape(MESSAGES)),
    ]
    return [Subject(name, server, shape, share=0.1) for name, shape in shapes]
