"""`lynkr serve`: the engine in this terminal, or under the tray's supervision."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import sys
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

import lynkr_desktop
from lynkr_desktop.banner import banner
from lynkr_desktop.paths import resolve_paths

if TYPE_CHECKING:
    from lynkr_desktop.engine.engine import Engine

T = TypeVar("T")

PORT_BUSY, CONFIG_WRONG, ALREADY_RUNNING, CANNOT_WRITE = 3, 4, 5, 6


def add_parser(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "serve",
        parents=[common],
        help="run the proxy in the foreground",
        description="Runs the proxy until Ctrl-C; requests in flight are finished unless you press it twice.",
    )
    parser.add_argument("--port", type=_port, metavar="N", help="port on 127.0.0.1, 0 for a free one (8081)")
    parser.add_argument("--supervised", action="store_true", help=argparse.SUPPRESS)
    parser.set_defaults(run=run)


def _port(text: str) -> int:
    try:
        port = int(text)
    except ValueError:
        port = -1
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 0 to 65535")
    return port


_COLLECT_AFTER = 50_000
"""Objects that may wait for the garbage collector: some 10 MB."""

TURN = 0.0005
"""Seconds that a thread which computes keeps the interpreter from the event loop; Python's own 5 ms would be
added to each step of a request while another one's prompt is shortened."""


def run(args: argparse.Namespace) -> int:
    """Serves until stopped; the exit code says what kept it from starting."""
    from lynkr_desktop.engine.config.loader import ConfigError
    from lynkr_desktop.engine.engine import Engine
    from lynkr_desktop.engine.handover import Report, become_waiter, inherited, own_command
    from lynkr_desktop.engine.port import PortBusy
    from lynkr_desktop.engine.security.token import TokenError
    from lynkr_desktop.engine.serve import AlreadyRunning, serve

    sys.setswitchinterval(TURN)
    paths = resolve_paths(args.home, args.config)
    supervised: bool = args.supervised
    before = inherited(os.environ)

    async def on_ready(engine: Engine) -> None:
        # What is loaded by now stays for good: the collector need not walk it again and again.
        gc.collect()
        gc.freeze()
        # Requests free what they take without it; as often as usual, it costs each a tenth of its time.
        gc.set_threshold(_COLLECT_AFTER, 20, 100)
        if before is not None:
            # The one before has said all that a person or the tray needs.
            if not supervised:
                version = lynkr_desktop.__version__
                print(f"Lynkr {version} has taken over as process {engine.pid}.", flush=True)
        elif supervised:
            _line({"event": "ready", "port": engine.port, "pid": engine.pid})
        else:
            await _greet(engine)

    def failed(code: str, message: str, exit_code: int, **details: object) -> int:
        if before is not None:
            before.say(Report(error=message))
            return exit_code
        return _failed(supervised, code, message, exit_code, **details)

    main = serve(
        Engine(paths, port=args.port),
        on_ready,
        command=own_command(),
        before=before,
        waited_for=not supervised,
    )
    try:
        successor = _run_loop(main)
    except PortBusy as error:
        details = {"port": error.port, "holder": error.holder, "suggested_port": error.suggested}
        return failed("port_in_use", str(error), PORT_BUSY, **details)
    except AlreadyRunning as error:
        return failed(
            "already_running",
            str(error),
            ALREADY_RUNNING,
            port=error.runtime.port,
            pid=error.runtime.pid,
        )
    except ConfigError as error:
        return failed("config", str(error), CONFIG_WRONG)
    except (OSError, TokenError) as error:
        return failed("internal", f"Lynkr cannot use its folder {paths.home}: {error}", CANNOT_WRITE)
    return 0 if successor is None else become_waiter(successor)


def _run_loop(main: Coroutine[Any, Any, T]) -> T:
    """Runs on uvloop where there is one; Windows has none and needs none."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


def _line(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)


def _failed(supervised: bool, code: str, message: str, exit_code: int, **details: object) -> int:
    if supervised:
        _line({"event": "failed", "code": code, "message": message, **details})
    else:
        print(f"lynkr: {message}", file=sys.stderr)
    return exit_code


async def _greet(engine: Engine) -> None:
    """Shows a download to its end, so that the printed command works when it is pasted; then the endpoint."""
    await engine.settled()
    await _show_downloads(engine)
    status = await engine.status()
    print(f"\nLynkr {status.version} is running.\n")
    print(banner(status.openai_url, status.anthropic_url, engine.token))
    usable = any(candidate.usable for tier in status.tiers for candidate in tier.candidates)
    if not usable:
        print("\nNo model can answer yet:")
        reasons = {candidate.reason: None for tier in status.tiers for candidate in tier.candidates}
        for reason in reasons:
            print(f"  - {reason}")
    print("\nCtrl-C stops it.", flush=True)


async def _show_downloads(engine: Engine) -> None:
    """Shows the progress of what is being downloaded, until nothing is."""
    from lynkr_desktop.cli.progress import DownloadProgress
    from lynkr_desktop.protocol.events import ModelPull

    def running() -> bool:
        return any(model.state == "downloading" for model in engine.local_models())

    if not running():
        return
    progress = DownloadProgress(sys.stdout)
    for model in engine.local_models():
        if model.state == "downloading":
            print(f"Downloading {model.title} ({model.licence}; {model.publisher}). It runs on this machine.")
    async for batch in engine.hub.follow(engine.hub.last_id):
        for _, event in batch:
            if isinstance(event, ModelPull):
                progress.show(event.model)
                if event.model.error:
                    print(f"\n{event.model.error}")
        if not running():
            break
    progress.end()
