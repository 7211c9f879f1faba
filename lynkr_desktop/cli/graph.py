"""`lynkr graph`: the structure of code: hot spots, what depends on a file, cycles, and drawings."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lynkr_desktop.cli.ending import OK, fail
from lynkr_desktop.paths import resolve_paths

if TYPE_CHECKING:
    from lynkr_desktop.cli.graph_view import GraphView
    from lynkr_desktop.protocol.code import CodeGraphReport, EdgeKind, IndexStatus

SORTS = ("blast", "complexity", "depth", "lcom4", "lines")
FORMATS = ("table", "json", "dot", "mermaid")
_TABLE, _DRAWN = 20, 40
"""How many files are listed and drawn where nothing is said."""


def add_parser(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "graph",
        parents=[common],
        help="show the structure of code: hot spots, dependencies, cycles",
        description="Reads a folder of code and shows what much depends on and what is tangled, by the same "
        "figures that routing goes by. Works with and without a running proxy.",
        epilog="BLAST is how many files depend on one over any number of steps, TESTS how many tests do; "
        "COMPLEXITY is McCabe's of the worst function, of all functions; DEPTH the longest chain of "
        "dependencies below a file; CYCLE the files in its circle; LCOM4 the unconnected parts of its least "
        "cohesive class; COHESION the share of its references that stay within it.",
    )
    parser.add_argument("folder", nargs="?", default=".", metavar="DIR", help="default: the current folder")
    parser.add_argument(
        "--top",
        type=_number,
        metavar="N",
        help=f"how many files (default: {_TABLE}; {_DRAWN} in drawings, all in JSON)",
    )
    parser.add_argument("--sort", choices=SORTS, default="blast", help="what comes first (default: blast)")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--file", metavar="PATH", help="one file, what it depends on and what depends on it")
    what.add_argument("--cycles", action="store_true", help="files that depend on one another in circles")
    parser.add_argument(
        "--format", choices=FORMATS, default="table", help="dot is for Graphviz (default: table)"
    )
    parser.add_argument(
        "--wait", action="store_true", help="wait until the code is indexed, however long it takes"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints what was asked for and returns the exit code."""
    from lynkr_desktop.cli.client import ControlFailure
    from lynkr_desktop.cli.code_access import code_access
    from lynkr_desktop.cli.progress import IndexProgress

    folder = Path(args.folder).expanduser().absolute()
    progress = IndexProgress(sys.stderr)
    try:
        access = code_access(resolve_paths(args.home, args.config))
        report = access.report(folder, wait=args.wait, show=progress.show)
    except ControlFailure as error:
        progress.end()
        return fail(error)
    progress.end()
    if why := _nothing(report.status):
        return fail(why)
    return _show(args, report, _inside(folder, report.status))


def _show(args: argparse.Namespace, report: CodeGraphReport, inside: str) -> int:
    from lynkr_desktop.cli.graph_view import GraphView

    view = GraphView(report)
    places = view.below(inside)
    if args.file is not None:
        found = view.named(_relative(args.file, report.status))
        if len(found) != 1:
            return fail(_not_one(args.file, found, view))
        places = _around(view, found[0], args.top)
        text = describe_file(view, found[0], args.top or _TABLE)
    elif args.cycles:
        cycles = view.cycles(places)
        text = describe_cycles(view, cycles, args.top or _TABLE)
        places = [place for cycle in cycles[: args.top] for place in cycle]
    else:
        places = view.ranked(args.sort, places)
        text = describe(view, places[: args.top or _TABLE], len(places), inside)
        if args.format != "json" or args.top:
            places = places[: args.top or _DRAWN]
    print(_drawn(args.format, view, places) or text)
    return OK


def _drawn(form: str, view: GraphView, places: Sequence[int]) -> str:
    """A part of the graph for programs; empty where people are to read it."""
    import msgspec

    from lynkr_desktop.cli import graph_view

    match form:
        case "json":
            return msgspec.json.format(msgspec.json.encode(view.part(places)), indent=2).decode()
        case "dot":
            return graph_view.dot(view.part(places))
        case "mermaid":
            return graph_view.mermaid(view.part(places))
        case _:
            return ""


# ---------------------------------------------------------------- what people read


def describe(view: GraphView, places: Sequence[int], count: int, inside: str = "") -> str:
    """The hot spots, in the order given."""
    from lynkr_desktop.cli.code_text import files_table
    from lynkr_desktop.cli.text import plural, printable

    status = view.report.status
    head = printable(f"{status.root}: {_size(status)}")
    if not status.files:
        return f"{head}\nThere is no source file that could be read here. {_languages()}"
    if not places:
        return printable(f"{head}\nNo source file lies in {inside}.")
    shown = files_table([view.report.files[place] for place in places])
    where = f" in {inside}" if inside else ""
    rest = f"{len(places):,} of {plural(count, 'file')}{where}."
    if len(places) < count:
        rest += " --top N shows more, --file PATH what hangs together with one."
    return f"{head}\n\n{shown}\n\n{printable(rest)}"


def describe_file(view: GraphView, place: int, top: int) -> str:
    """One file, what it depends on and what depends on it."""
    from lynkr_desktop.cli.code_text import files_table

    file = view.report.files[place]
    indirect = file.blast + file.blast_tests - len(view.used_by[place])
    parts = [
        files_table([file]),
        _links("It depends on", view, view.uses[place], top),
        _links("Depend on it", view, view.used_by[place], top),
    ]
    if indirect > 0:
        parts.append(f"{indirect:,} more depend on it indirectly.")
    return "\n\n".join(parts)


def describe_cycles(view: GraphView, cycles: Sequence[Sequence[int]], top: int) -> str:
    """The circles, the largest first."""
    from lynkr_desktop.cli.text import plural, table

    if not cycles:
        return "No files depend on one another in a circle."
    parts = []
    for cycle in cycles[:top]:
        rows = [(view.report.files[place].path,) for place in cycle[:top]]
        more = f"\n  and {len(cycle) - top:,} more" if len(cycle) > top else ""
        parts.append(f"{plural(len(cycle), 'file')}\n{table(rows, indent='  ')}{more}")
    if len(cycles) > top:
        parts.append(f"and {plural(len(cycles) - top, 'smaller cycle')}")
    return "\n\n".join(parts)


def _links(title: str, view: GraphView, links: dict[int, list[EdgeKind]], top: int) -> str:
    from lynkr_desktop.cli.text import table

    if not links:
        return f"{title}: nothing in this workspace"
    files = view.report.files
    order = view.ranked("blast", links)
    rows = [
        (files[place].path, ", ".join(links[place]), "test" if files[place].test else "")
        for place in order[:top]
    ]
    more = f"\n  and {len(order) - top:,} more" if len(order) > top else ""
    return f"{title}: {len(order):,}\n{table(rows, indent='  ')}{more}"


def _size(status: IndexStatus) -> str:
    from lynkr_desktop.cli.code_text import index_line

    languages = sorted(status.languages.items(), key=lambda item: -item[1])
    parts = [index_line(status), ", ".join(f"{name} {count:,}" for name, count in languages)]
    if status.skipped:
        parts.append("left out: " + ", ".join(f"{count:,} {why}" for why, count in status.skipped.items()))
    return "; ".join(filter(None, parts))


def _languages() -> str:
    return "Lynkr reads TypeScript, JavaScript, Python, Rust, Go, Java and C#."


# ---------------------------------------------------------------- folders and files


def _nothing(status: IndexStatus) -> str:
    """Why there is no graph, and what to do; empty where there is one."""
    if status.unfinished:
        return (
            f"{status.root} is being indexed, {status.done:,} of {status.total:,} files are done. "
            "Run this again in a while, or with --wait."
        )
    if status.state == "failed":
        return f"{status.root} has no index. {status.error or 'No reason is known.'}"
    return ""


def _inside(folder: Path, status: IndexStatus) -> str:
    """The folder relative to the root of the index that holds it, empty for the root itself."""
    try:
        found = Path(os.path.realpath(folder)).relative_to(status.root).as_posix()
    except ValueError:
        return ""
    return "" if found == "." else found


def _relative(path: str, status: IndexStatus) -> str:
    """A path as the index has it: one that is there by its place, any other as it was written."""
    there = Path(path).expanduser()
    if there.exists():
        try:
            return Path(os.path.realpath(there)).relative_to(status.root).as_posix()
        except ValueError:
            pass
    return path.replace("\\", "/").removeprefix("./")


def _around(view: GraphView, place: int, top: int | None) -> list[int]:
    """A file with what it depends on and what depends on it."""
    others: Collection[int] = (view.uses[place].keys() | view.used_by[place].keys()) - {place}
    return [place, *view.ranked("blast", others)[: (top or _DRAWN) - 1]]


def _not_one(path: str, found: Sequence[int], view: GraphView) -> str:
    if not found:
        return (
            f"{path[:300]!r} is not in the index of {view.report.status.root}. Give the path of a source "
            "file in it; files that git ignores, generated and very large ones are left out."
        )
    names = ", ".join(view.report.files[place].path for place in found[:5])
    more = f" and {len(found) - 5:,} more" if len(found) > 5 else ""
    return f"{path[:300]!r} may be {names}{more}. Give more of its path."


def _number(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text[:9]) <= 100_000:
        raise argparse.ArgumentTypeError("a number from 1 to 100000 is needed")
    return int(text)
