"""`lynkr memory`: what is remembered over sessions; to look at, change, take along and forget."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from lynkr_desktop.cli.asking import confirmed, limit, valid_text
from lynkr_desktop.cli.ending import FAILED, OK, fail, print_json
from lynkr_desktop.paths import resolve_paths

if TYPE_CHECKING:
    from lynkr_desktop.cli.memory_access import MemoryAccess
    from lynkr_desktop.protocol.memory import Forgotten, MemoryRow, MemoryStatus

T = TypeVar("T")

KINDS = ("preference", "decision", "fact", "fix")


def add_parser(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "memory",
        help="what is remembered over sessions: list, search, edit, forget",
        description="What you and your agents said that later sessions of a project are told again: "
        "preferences, decisions, facts and fixes. Off until you switch it on. Works with and without a "
        "running proxy.",
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    shown = argparse.ArgumentParser(add_help=False)
    shown.add_argument("--json", action="store_true", help="as JSON, for scripts")
    some = argparse.ArgumentParser(add_help=False)
    some.add_argument("--project", type=_project, metavar="DIR", help="only of this folder (or client:NAME)")
    one = argparse.ArgumentParser(add_help=False)
    one.add_argument("id", type=valid_text, help="from `lynkr memory list`")

    def action(
        name: str, run: Callable[[argparse.Namespace], int], text: str, *parents: argparse.ArgumentParser
    ) -> argparse.ArgumentParser:
        added = actions.add_parser(name, parents=[common, shown, *parents], help=text)
        added.set_defaults(run=run)
        return added

    action("status", run_status, "whether it is on, where it is kept, how much there is")
    listing = action("list", run_list, "the newest memories", some)
    listing.add_argument("--superseded", action="store_true", help="also those whose place another one took")
    search = action("search", run_list, "memories that hold some words, the best first", some)
    search.add_argument("query", nargs="+", type=valid_text, help="words")
    for parser_of in (listing, search):
        parser_of.add_argument("--kind", choices=KINDS, help="only these")
        parser_of.add_argument("--limit", type=limit, default=20, metavar="N", help="how many (default: 20)")
    action("show", run_show, "one memory, and where it comes from", one)
    edit = action("edit", run_edit, "change what a memory says, or its kind", one)
    edit.add_argument("text", nargs="?", type=valid_text, help="what it says from now on")
    edit.add_argument("--kind", choices=KINDS, help="what it is from now on")
    action("pin", run_pin, "tell a memory with each ask of its project", one)
    action("unpin", run_unpin, "tell a memory only where it fits", one)
    action("delete", run_delete, "forget one memory", one)
    forget = action("forget", run_forget, "forget a project, or everything")
    what = forget.add_mutually_exclusive_group(required=True)
    what.add_argument("--all", action="store_true", help="everything")
    what.add_argument("--project", type=_project, metavar="DIR", help="all of this folder (or client:NAME)")
    forget.add_argument("--yes", action="store_true", help="do not ask")
    action("export", run_export, "print all as JSON, also what holds no longer", some)
    take_in = action("import", run_import, "add what an export holds")
    take_in.add_argument("file", help="what `lynkr memory export` printed; - for standard input")
    action("on", run_on, "remember from now on")
    action("off", run_off, "neither remember nor tell anything; what is there stays")


# ---------------------------------------------------------------- actions


def run_status(args: argparse.Namespace) -> int:
    """Prints the state."""
    return _ended(args, lambda memory: memory.status(), describe_status)


def run_list(args: argparse.Namespace) -> int:
    """Prints memories."""
    query = " ".join(getattr(args, "query", ()))
    return _ended(
        args,
        lambda memory: memory.listing(
            query=query,
            project=args.project or "",
            kind=args.kind,
            limit=args.limit,
            superseded=getattr(args, "superseded", False),
        ),
        describe_list,
    )


def run_show(args: argparse.Namespace) -> int:
    """Prints one memory."""
    return _ended(args, lambda memory: memory.show(args.id), describe)


def run_edit(args: argparse.Namespace) -> int:
    """Changes a memory."""
    from msgspec import UNSET

    from lynkr_desktop.protocol.memory import MemoryPatch

    if args.text is None and args.kind is None:
        return fail("Say what the memory says from now on, or its --kind.")
    patch = MemoryPatch(
        text=UNSET if args.text is None else args.text, kind=UNSET if args.kind is None else args.kind
    )
    return _ended(args, lambda memory: memory.change(args.id, patch), describe)


def run_pin(args: argparse.Namespace) -> int:
    """Pins a memory."""
    from lynkr_desktop.protocol.memory import MemoryPatch

    return _ended(args, lambda memory: memory.change(args.id, MemoryPatch(pinned=True)), describe)


def run_unpin(args: argparse.Namespace) -> int:
    """Lets go of a memory that was pinned."""
    from lynkr_desktop.protocol.memory import MemoryPatch

    return _ended(args, lambda memory: memory.change(args.id, MemoryPatch(pinned=False)), describe)


def run_delete(args: argparse.Namespace) -> int:
    """Forgets one memory."""
    return _ended(args, lambda memory: memory.delete(args.id), describe_forgotten)


def run_forget(args: argparse.Namespace) -> int:
    """Forgets a project or everything."""
    what = "everything that is remembered" if args.all else f"all that is remembered of {args.project}"
    question = f"Forget {what}? It cannot be brought back."
    unasked = "Nothing was forgotten. Add --yes to forget it without being asked."
    if not args.yes and not confirmed(question, unasked):
        return FAILED
    return _ended(args, lambda memory: memory.forget(args.project or ""), describe_forgotten)


def run_export(args: argparse.Namespace) -> int:
    """Prints an export."""
    args.json = True
    return _ended(args, lambda memory: memory.export(args.project or ""), str)


def run_import(args: argparse.Namespace) -> int:
    """Adds an export."""
    import msgspec

    from lynkr_desktop.protocol.memory import Imported, MemoryExport

    try:
        data = sys.stdin.buffer.read() if args.file == "-" else Path(args.file).read_bytes()
        export = msgspec.json.decode(data, type=MemoryExport)
    except OSError as error:
        return fail(f"{args.file} cannot be read: {error.strerror}.")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return fail(f"{args.file} is no export of memories: {error}.")

    def describe_imported(done: Imported) -> str:
        return (
            f"{done.added:,} added, {done.known:,} were there already, {done.refused:,} could not be taken."
        )

    return _ended(args, lambda memory: memory.take_in(export), describe_imported)


def run_on(args: argparse.Namespace) -> int:
    """Switches memory on."""
    return _switched(args, enabled=True)


def run_off(args: argparse.Namespace) -> int:
    """Switches memory off."""
    return _switched(args, enabled=False)


# ---------------------------------------------------------------- what people read


def describe_status(status: MemoryStatus) -> str:
    """The state, and the projects that have memories."""
    from lynkr_desktop.cli.text import plural, printable, table

    state = "on" if status.enabled else "off; `lynkr memory on` switches it on"
    memories = f"{status.memories:,} {'memory' if status.memories == 1 else 'memories'}"
    lines = [
        f"Memory is {state}.",
        printable(f"{memories} of {plural(len(status.projects), 'project')} in {status.file}"),
    ]
    if status.error:
        lines.append(printable(status.error))
    if status.projects:
        lines.append(
            table([(f"{row.memories:,}", row.project) for row in status.projects], right=(0,), indent="  ")
        )
    return "\n".join(lines)


def describe_list(rows: Sequence[MemoryRow]) -> str:
    """Memories as a table."""
    from lynkr_desktop.cli.text import table

    if not rows:
        return "Nothing is remembered here."
    cells: list[tuple[str, ...]] = [("ID", "SAID", "KIND", "", "PROJECT", "TEXT")]
    cells += [
        (
            row.id,
            time.strftime("%Y-%m-%d", time.localtime(max(0.0, row.at))),
            row.kind,
            "pinned" if row.pinned else "superseded" if row.superseded_by else "",
            row.project,
            row.text,
        )
        for row in rows
    ]
    return table(cells)


def describe(row: MemoryRow) -> str:
    """A memory, and where it comes from."""
    from lynkr_desktop.cli.text import printable, table

    sources = {"person": "a person", "model": "a model; nobody objected", "import": "an import"}
    facts = [
        ("Kind", row.kind),
        ("Project", row.project),
        ("Said by", sources[row.source]),
        ("Last said", time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(max(0.0, row.at)))),
        ("Said", f"{row.seen:,} times" if row.seen > 1 else ""),
        ("Session", row.session),
        ("Request", row.request),
        ("Surprise", f"{row.surprise:.2f}"),
        ("Pinned", "told with each ask" if row.pinned else ""),
        ("Stays here", "never told to a model on another machine" if row.local_only else ""),
        ("Superseded", f"by {row.superseded_by}" if row.superseded_by else ""),
    ]
    return f"{row.id}\n  {printable(row.text)}\n\n{table([fact for fact in facts if fact[1]], indent='  ')}"


def describe_forgotten(done: Forgotten) -> str:
    """What is gone, and where copies may be left."""
    from lynkr_desktop.cli.text import printable

    what = "One memory is" if done.forgotten == 1 else f"{done.forgotten:,} memories are"
    lines = [f"{what} forgotten. Nothing of it is left in the file."]
    if done.replies:
        lines.append(
            "A stored reply that may have repeated it is deleted."
            if done.replies == 1
            else f"{done.replies:,} stored replies that may have repeated it are deleted."
        )
    if done.copies:
        lines.append(
            "These files were set aside when they were damaged. Delete them if you do not need them:"
        )
        lines += [f"  {printable(copy)}" for copy in done.copies]
    return "\n".join(lines)


# ---------------------------------------------------------------- terminal


def _ended(args: argparse.Namespace, work: Callable[[MemoryAccess], T], words: Callable[[T], str]) -> int:
    """Does the work, prints what came of it, and returns the exit code."""
    from lynkr_desktop.cli.client import ControlFailure
    from lynkr_desktop.cli.memory_access import open_memory

    try:
        found = work(open_memory(resolve_paths(args.home, args.config)))
    except ControlFailure as error:
        return fail(error)
    if args.json:
        return print_json(found)
    print(words(found))
    return OK


def _switched(args: argparse.Namespace, *, enabled: bool) -> int:
    def switch(memory: MemoryAccess) -> MemoryStatus:
        from msgspec.structs import replace

        memory.switch(enabled=enabled)
        return replace(memory.status(), enabled=enabled)

    return _ended(args, switch, describe_status)


def _project(text: str) -> str:
    """A folder as agents name it, or a client."""
    text = valid_text(text)
    return text if text.startswith("client:") else str(Path(text).expanduser().absolute())
