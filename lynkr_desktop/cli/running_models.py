"""The parts of `lynkr models` that ask another program: the engine, or Ollama."""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING

from lynkr_desktop.cli.asking import confirmed
from lynkr_desktop.cli.ending import print_json
from lynkr_desktop.cli.progress import DownloadProgress, size
from lynkr_desktop.cli.text import printable, span, table
from lynkr_desktop.paths import resolve_paths

if TYPE_CHECKING:
    from lynkr_desktop.cli.model_access import ModelAccess
    from lynkr_desktop.protocol.control import LocalModel

_CENTURY_S = 100 * 365 * 86400.0


def run_pull(args: argparse.Namespace) -> int:
    """Lets Ollama fetch a model."""
    from lynkr_desktop.cli.client import ControlFailure

    model = args.id
    progress = DownloadProgress(sys.stdout)
    try:
        access = _access(args)
        known = _found(access, model)
        if args.dry_run:
            state = f"it is installed, {size(known.size)}" if known else "it is not installed"
            print(f"Would let Ollama fetch {model}; {state}. Nothing was done.")
            return 0
        print(f"Ollama fetches {model} from its library, and checks it.", flush=True)
        access.pull(model, progress.show)
    except ControlFailure as error:
        progress.end()
        return _fail(error)
    except KeyboardInterrupt:
        progress.end()
        print(f"Stopped. What has arrived is kept; `lynkr models pull {model}` goes on from there.")
        return 130
    progress.end()
    print(f"{model} is ready.")
    return 0


def run_remove(args: argparse.Namespace) -> int:
    """Deletes a model of Ollama."""
    from lynkr_desktop.cli.client import ControlFailure

    try:
        access = _access(args)
        known = _found(access, args.id)
        if known is None:
            return _fail(f"There is no model {args.id}, or Ollama does not answer; see `lynkr models list`.")
        if args.dry_run:
            print(f"Would remove {args.id} and free {size(known.size)}. Nothing was done.")
            return 0
        if not args.yes and not may_remove(known):
            return 1
        access.remove(args.id)
    except ControlFailure as error:
        return _fail(error)
    print(f"Removed {args.id}: up to {size(known.size)} are free again.")
    return 0


def run_show(args: argparse.Namespace) -> int:
    """Prints what is known of a model."""
    from lynkr_desktop.cli.client import ControlFailure

    try:
        facts = _access(args).show(args.id)
    except ControlFailure as error:
        return _fail(error)
    if args.json:
        return print_json(facts)
    model = facts.model
    rows = [("model", model.id), ("state", model.state), ("size", size(model.size) if model.size else "")]
    rows += [
        ("parameters", model.parameters),
        ("quantization", model.quantization),
        ("context", f"{model.context_length:,} tokens" if model.context_length else ""),
        ("capabilities", ", ".join(model.capabilities)),
        ("publisher", model.publisher),
        ("licence", facts.licence.strip().split("\n", 1)[0]),
        ("file", model.path),
        ("system", facts.system.strip()),
    ]
    rows += [("option", " ".join(line.split())) for line in facts.options.splitlines()]
    print(table([row for row in rows if row[1]]))
    return 0


def run_ps(args: argparse.Namespace) -> int:
    """Prints the models that are in memory."""
    from lynkr_desktop.cli.client import ControlFailure

    try:
        models = [model for model in _access(args).list() if model.state in ("loaded", "loading")]
    except ControlFailure as error:
        return _fail(error)
    if args.json:
        return print_json(models)
    if not models:
        print("No model is in memory.")
        return 0
    rows = [("MODEL", "SIZE", "GRAPHICS MEMORY", "STAYS")]
    rows += [
        (model.id, size(model.size), size(model.vram) if model.vram else "-", _stays(model))
        for model in models
    ]
    print(table(rows, right=(1, 2)))
    return 0


def run_load(args: argparse.Namespace) -> int:
    """Loads a model."""
    from lynkr_desktop.cli.client import ControlFailure

    began = time.monotonic()
    try:
        _access(args).load(args.id, args.keep_alive)
    except ControlFailure as error:
        return _fail(error)
    print(f"{args.id} is loaded, after {time.monotonic() - began:.1f} s.")
    return 0


def run_unload(args: argparse.Namespace) -> int:
    """Takes a model out of memory."""
    from lynkr_desktop.cli.client import ControlFailure

    try:
        _access(args).unload(args.id)
    except ControlFailure as error:
        return _fail(error)
    print(f"{args.id} is out of memory.")
    return 0


def ollamas_models(args: argparse.Namespace) -> list[LocalModel]:
    """The models of Ollama; none where it cannot be asked. The built-in ones are read from their folder."""
    from lynkr_desktop.cli.client import ControlFailure

    try:
        return [model for model in _access(args).list() if model.provider != "embedded"]
    except ControlFailure:
        return []


def describe(model: LocalModel) -> str:
    """A model of Ollama in a list."""
    match model.state:
        case "downloading":
            return f"downloading, {model.received / model.size:.0%}" if model.size else "downloading"
        case "failed" | "absent":
            return "not installed"
    about = [model.state, f"{model.parameters} {model.quantization}".strip()]
    if model.context_length:
        about.append(f"{model.context_length:,} tokens")
    about.append(", ".join(model.capabilities))
    return "  ".join(printable(text) for text in about if text)


def may_remove(model: LocalModel) -> bool:
    """Whether a person wants it removed."""
    question = f"Remove {model.id} ({size(model.size)})?"
    return confirmed(question, f"Add --yes to remove {model.id} without being asked.")


def _access(args: argparse.Namespace) -> ModelAccess:
    import logging

    from lynkr_desktop.cli.model_access import model_access

    # What would be logged, the command prints itself.
    logging.getLogger("lynkr_desktop").addHandler(logging.NullHandler())
    return model_access(resolve_paths(args.home, args.config))


def _found(access: ModelAccess, model: str) -> LocalModel | None:
    name = model.removesuffix(":latest").casefold()
    return next(
        (known for known in access.list() if known.id.casefold() == name and known.state != "failed"), None
    )


def _stays(model: LocalModel) -> str:
    left = model.expires - time.time()
    return "until it is unloaded" if not model.expires or left > _CENTURY_S else span(max(0.0, left))


def _fail(error: object) -> int:
    print(error, file=sys.stderr)
    return 1
