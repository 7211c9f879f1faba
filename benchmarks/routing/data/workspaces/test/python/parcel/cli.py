"""The command line."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from parcel import __version__
from parcel.audit import audit
from parcel.engine import Engine, TransactionFailed
from parcel.lockfile import Lockfile
from parcel.resolver import Unsolvable
from parcel.search import search
from parcel.settings import read_options
from parcel.text.banner import banner
from parcel.text.humanize import size
from parcel.text.table import render


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="parcel")
    top.add_argument("--version", action="version", version=banner(__version__))
    top.add_argument("--root", type=Path)
    top.add_argument("--config", type=Path, default=Path("/etc/parcel.conf"))
    commands = top.add_subparsers(dest="command", required=True)
    for name in ("install", "remove", "search"):
        commands.add_parser(name).add_argument("names", nargs="+")
    for name in ("list", "audit", "lock"):
        commands.add_parser(name)
    return top


def main(arguments: list[str] | None = None) -> int:
    given = parser().parse_args(arguments)
    options = read_options(given.config)
    if given.root:
        options = replace(options, root=given.root)
    engine = Engine(options)
    try:
        if given.command == "install":
            plan = engine.plan_install(given.names)
            print(plan.summary())
            engine.commit(plan)
        elif given.command == "remove":
            engine.commit(engine.plan_remove(given.names))
        elif given.command == "search":
            print(render((m.name, str(m.version), size(m.size)) for m in search(engine, given.names)))
        elif given.command == "list":
            print(render((m.name, str(m.version)) for m in engine.database.every()))
        elif given.command == "audit":
            found = audit(engine)
            print(render((f.package, f.path, f.what) for f in found))
            return 1 if found else 0
        elif given.command == "lock":
            Lockfile.of(engine).write(Path("parcel.lock"))
    except (TransactionFailed, Unsolvable) as error:
        print(f"parcel: {error}", file=sys.stderr)
        return 2
    return 0
