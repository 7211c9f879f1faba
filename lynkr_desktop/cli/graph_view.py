"""A part of the graph of a workspace: which files, in which order, and as text for drawing programs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from lynkr_desktop.protocol.code import CodeEdge, CodeGraphReport, EdgeKind, FileMetrics

Sort = Literal["blast", "complexity", "depth", "lcom4", "lines"]

KEYS: Mapping[Sort, Callable[[FileMetrics], tuple[int, ...]]] = {
    "blast": lambda file: (file.blast, file.blast_1, file.cyclomatic_sum),
    "complexity": lambda file: (file.cyclomatic_max, file.cyclomatic_sum),
    "depth": lambda file: (file.depth, file.component),
    "lcom4": lambda file: (file.lcom4, file.cyclomatic_sum),
    "lines": lambda file: (file.lines,),
}
"""What files are sorted by, the greatest first."""


@dataclass(frozen=True)
class GraphView:
    """The graph of a workspace, ready to be asked."""

    report: CodeGraphReport

    @cached_property
    def uses(self) -> tuple[dict[int, list[EdgeKind]], ...]:
        """For each file those that it depends on, with how."""
        found: tuple[dict[int, list[EdgeKind]], ...] = tuple({} for _ in self.report.files)
        for edge in self.report.edges:
            found[edge.source].setdefault(edge.target, []).append(edge.kind)
        return found

    @cached_property
    def used_by(self) -> tuple[dict[int, list[EdgeKind]], ...]:
        """For each file those that depend on it, with how."""
        found: tuple[dict[int, list[EdgeKind]], ...] = tuple({} for _ in self.report.files)
        for edge in self.report.edges:
            found[edge.target].setdefault(edge.source, []).append(edge.kind)
        return found

    def ranked(self, sort: Sort, among: Iterable[int] | None = None) -> list[int]:
        """Files, the greatest by `sort` first; equal ones by their paths."""
        files, key = self.report.files, KEYS[sort]
        order = sorted(range(len(files)) if among is None else among, key=lambda place: files[place].path)
        return sorted(order, key=lambda place: key(files[place]), reverse=True)

    def below(self, folder: str) -> list[int]:
        """Files in a folder relative to the root, all where it is empty."""
        inside = f"{folder}/" if folder else ""
        return [place for place, file in enumerate(self.report.files) if file.path.startswith(inside)]

    def cycles(self, among: Collection[int]) -> list[list[int]]:
        """Files that depend on one another in a circle, the largest circle first; those with one `among`."""
        from lynkr_desktop.engine.analysis.reach import strong_components

        wanted = set(among)
        _, components = strong_components([list(targets) for targets in self.uses])
        found = [sorted(one) for one in components if len(one) > 1 and not wanted.isdisjoint(one)]
        return sorted(found, key=lambda one: (-len(one), one))

    def named(self, path: str) -> list[int]:
        """The file of that path relative to the root, else those whose paths end with it."""
        files = self.report.files
        exact = [place for place, file in enumerate(files) if file.path == path]
        return exact or [place for place, file in enumerate(files) if file.path.endswith(f"/{path}")]

    def part(self, places: Collection[int]) -> CodeGraphReport:
        """The report of some files alone, with the edges between them."""
        positions = {place: position for position, place in enumerate(places)}
        edges = tuple(
            CodeEdge(positions[edge.source], positions[edge.target], edge.kind)
            for edge in self.report.edges
            if edge.source in positions and edge.target in positions
        )
        files = tuple(self.report.files[place] for place in places)
        return CodeGraphReport(status=self.report.status, files=files, edges=edges)


def dot(report: CodeGraphReport) -> str:
    """The graph in the language of Graphviz. Calls alone are dashed, tests grey."""
    lines = ["digraph code {", "  rankdir=LR;", '  node [shape=box, fontname="sans-serif", fontsize=10];']
    for place, file in enumerate(report.files):
        label = _dot_text(f"{file.path}\n{_figures(file)}")
        colour = ", color=gray, fontcolor=gray" if file.test else ""
        lines.append(f'  n{place} [label="{label}"{colour}];')
    for (source, target), kinds in _merged(report).items():
        dashed = " [style=dashed]" if kinds == {"call"} else ""
        lines.append(f"  n{source} -> n{target}{dashed};")
    return "\n".join([*lines, "}"])


def mermaid(report: CodeGraphReport) -> str:
    """The graph as a flowchart of Mermaid. Calls alone are dotted."""
    lines = ["flowchart LR"]
    for place, file in enumerate(report.files):
        lines.append(f'  n{place}["{_mermaid_text(file.path)}<br/>{_figures(file)}"]')
    for (source, target), kinds in _merged(report).items():
        lines.append(f"  n{source} {'-.->' if kinds == {'call'} else '-->'} n{target}")
    return "\n".join(lines)


def _figures(file: FileMetrics) -> str:
    return f"blast {file.blast}, complexity {file.cyclomatic_max}, depth {file.depth}"


def _merged(report: CodeGraphReport) -> dict[tuple[int, int], set[EdgeKind]]:
    merged: dict[tuple[int, int], set[EdgeKind]] = {}
    for edge in report.edges:
        merged.setdefault((edge.source, edge.target), set()).add(edge.kind)
    return merged


def _dot_text(text: str) -> str:
    """Text for a quoted string; a name of a file may hold anything."""
    lines = (_plain(line).replace("\\", "\\\\").replace('"', '\\"') for line in text.split("\n"))
    return "\\n".join(lines)


def _mermaid_text(text: str) -> str:
    """Text for a quoted label: what could end it, or be taken for markup, as an entity."""
    return "".join(char if char.isalnum() or char in " /._-" else f"#{ord(char)};" for char in _plain(text))


def _plain(text: str) -> str:
    from lynkr_desktop.cli.text import printable

    return printable(text)
