"""The files of a workspace as a tree for the treemap: lines, complexity and blast radius in steps."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from math import ceil

from lynkr_desktop.protocol.code import FileMetrics
from lynkr_desktop.ui.widgets.treemap_layout import Node

_SHADES = 5
_OUTLINES = 3
_LEAST_COMPLEXITY = 10
"""A workspace whose worst function is simpler than this has no dark tile: nothing in it is hot."""
_LEAST_BLAST = 8
_ROUNDING = 1e-9
_STEP = 2_000


@dataclass(frozen=True)
class Scale:
    """Steps that each span the same factor, so that one outlier does not make all others look alike.

    Attributes:
        starts: the least value of each step, rising.
        most: the greatest value there is.
    """

    starts: tuple[int, ...]
    most: int

    def step(self, value: int) -> int:
        """The step of a value, -1 below the first."""
        return bisect_right(self.starts, value) - 1

    def words(self, step: int) -> str:
        """The values of a step: `4`, `5 to 9`, `20 and more`."""
        first = self.starts[step]
        if step + 1 == len(self.starts):
            return f"{first}+"
        last = self.starts[step + 1] - 1
        return f"{first}" if last <= first else f"{first}–{last}"


@dataclass(frozen=True)
class CodeTree:
    """The files of a workspace.

    Attributes:
        root: the tree.
        complexity: what its shades follow.
        blast: what its outlines follow.
        files: every file by its path, the hottest first.
    """

    root: Node
    complexity: Scale
    blast: Scale
    files: dict[str, FileMetrics]


def code_tree(files: Sequence[FileMetrics]) -> CodeTree:
    """The tree at once. 10,000 files take about 30 ms."""
    growing = grow(files)
    while True:
        try:
            next(growing)
        except StopIteration as done:
            tree: CodeTree = done.value
            return tree


def grow(files: Sequence[FileMetrics]) -> Generator[None, None, CodeTree]:
    """The tree in steps of some milliseconds, between which a window can do other things.

    A thread is no way: Python might then collect dead widgets in it, which Qt does not survive.
    """
    complexity = scale(max((file.cyclomatic_max for file in files), default=0), _SHADES, _LEAST_COMPLEXITY)
    blast = scale(max((file.blast for file in files), default=0), _OUTLINES, _LEAST_BLAST)
    root = Node("", "", 0.0)
    folders = {"": root}
    for start in range(0, len(files), _STEP):
        for file in files[start : start + _STEP]:
            folder, _, name = file.path.rpartition("/")
            shade, outline = max(0, complexity.step(file.cyclomatic_max)), blast.step(file.blast) + 1
            leaf = Node(name, file.path, max(1, file.lines), shade, outline)
            _folder(folders, folder).children.append(leaf)
        yield
    _gather(root)
    yield
    while len(root.children) == 1 and root.children[0].children:
        root = root.children[0]
    hottest = sorted(files, key=lambda file: (file.cyclomatic_max * file.blast, file.lines), reverse=True)
    return CodeTree(root, complexity, blast, {file.path: file for file in hottest})


def scale(most: int, steps: int, least: int) -> Scale:
    """From 1 to the greatest value; `least` is what that counts as at least."""
    top = max(most, least)
    starts = [1]
    for step in range(1, steps):
        starts.append(max(starts[-1] + 1, ceil(top ** (step / steps) - _ROUNDING)))
    return Scale(tuple(starts), most)


def _folder(folders: dict[str, Node], path: str) -> Node:
    """The folder at a path, made with those above it. A hostile path may be thousands of folders deep."""
    missing = []
    while path not in folders:
        missing.append(path)
        path = path.rpartition("/")[0]
    found = folders[path]
    for below in reversed(missing):
        folder = folders[below] = Node(below.rpartition("/")[2], below, 0.0)
        found.children.append(folder)
        found = folder
    return found


def _gather(root: Node) -> None:
    """Sums up every folder after those within it, and draws folders that hold one folder alone together."""
    order, waiting = [], [root]
    while waiting:
        node = waiting.pop()
        node.children = [_shortened(child) for child in node.children]
        order.append(node)
        waiting += [child for child in node.children if child.children]
    for node in reversed(order):
        node.gather()


def _shortened(node: Node) -> Node:
    names = [node.name]
    while len(node.children) == 1 and node.children[0].children:
        node = node.children[0]
        names.append(node.name)
    node.name = "/".join(names)
    return node


EMPTY_TREE = code_tree(())
