"""Where the tiles of a treemap lie: squarified (Bruls, Huizing and van Wijk, 2000), folder by folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from lynkr_desktop.ui.theme.tokens import Size

_MOST_TILES = 800
"""About as many as can be told apart; smaller ones are drawn as one."""
_CAPTIONED_DEPTH = 2
"""Deeper folders keep their files together, without a caption of their own."""
_DEEPEST = 40
"""What lies deeper is drawn as the folder that it is in."""

TileKind = Literal["leaf", "folder", "rest"]


class Box(NamedTuple):
    """A rectangle, in pixels."""

    x: float
    y: float
    width: float
    height: float

    @property
    def area(self) -> float:
        """In square pixels."""
        return self.width * self.height

    def inset(self, by: float, top: float = 0.0) -> Box:
        """Smaller by `by` on every side, and by `top` at the top; never less than nothing."""
        width, height = max(0.0, self.width - 2 * by), max(0.0, self.height - 2 * by - top)
        return Box(self.x + by, self.y + by + top, width, height)


@dataclass(slots=True, eq=False)
class Node:
    """A leaf, or a folder of such.

    Attributes:
        key: what the owner knows it by: the path.
        size: what its area stands for; of a folder the sum.
        shade: its step on the ramp, 0..4; of a folder the mean of its leaves by their area.
        outline: how strong its edge is, 0..3; of a folder such a mean.
        children: the largest first; none for a leaf.
        leaves: how many leaves it holds, 1 for a leaf.
    """

    name: str
    key: str
    size: float
    shade: int = 0
    outline: int = 0
    children: list[Node] = field(default_factory=list)
    leaves: int = 1

    def gather(self) -> None:
        """Takes over from its children what a folder is of them, and sorts them."""
        self.children.sort(key=lambda child: (-child.size, child.name))
        self.size = sum(child.size for child in self.children)
        self.leaves = sum(child.leaves for child in self.children)
        if self.size > 0:
            self.shade = round(sum(child.shade * child.size for child in self.children) / self.size)
            self.outline = round(sum(child.outline * child.size for child in self.children) / self.size)


class Tile(NamedTuple):
    """Something drawn: a leaf, a folder that is too small to be looked into here, or the rest of one."""

    node: Node
    box: Box
    kind: TileKind
    group: Node | None
    """The outermost folder below the root that holds it: where zooming leads."""


class Group(NamedTuple):
    """A folder with a caption along its top."""

    node: Node
    box: Box


@dataclass(slots=True)
class Layout:
    """Everything drawn of a tree."""

    tiles: list[Tile] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)


def lay_out(root: Node, width: float, height: float) -> Layout:
    """Lays out what is below `root`. Takes a few milliseconds however many leaves there are."""
    found = Layout()
    box = Box(0, 0, width, height)
    if root.size > 0 and box.area > 0:
        least = max(float(Size.MAP_TILE**2), box.area / _MOST_TILES)
        _place(root, box, 0, None, least, found)
    return found


def towards(tiles: Sequence[Tile], row: int, dx: int, dy: int) -> int:
    """The nearest tile in a direction, or the same one at the edge; what is straight ahead comes first."""
    here = tiles[row].box
    x, y = here.x + here.width / 2, here.y + here.height / 2
    best, found = float("inf"), row
    for at, (_, box, _, _) in enumerate(tiles):
        if dx:
            ahead = box.x - (here.x + here.width) if dx > 0 else here.x - (box.x + box.width)
            aside = max(0.0, box.y - y, y - (box.y + box.height))
        else:
            ahead = box.y - (here.y + here.height) if dy > 0 else here.y - (box.y + box.height)
            aside = max(0.0, box.x - x, x - (box.x + box.width))
        if ahead > -1 and (distance := max(0.0, ahead) + 2 * aside) < best:
            best, found = distance, at
    return found


def squarify(sizes: Sequence[float], box: Box) -> Iterator[Box]:
    """Boxes that fill `box`, as square as can be, with areas in proportion to sizes that never rise."""
    total = sum(sizes)
    scale = box.area / total if total > 0 else 0.0
    x, y, width, height = box
    start = 0
    while start < len(sizes):
        side = min(width, height)
        if side <= 0:
            for _ in range(start, len(sizes)):
                yield Box(x, y, 0.0, 0.0)
            return
        end, area = _row(sizes, start, scale, side)
        thick = area / side
        at = 0.0
        for size in sizes[start:end]:
            length = size * scale / thick if thick > 0 else 0.0
            yield Box(x, y + at, thick, length) if width >= height else Box(x + at, y, length, thick)
            at += length
        if width >= height:
            x, width = x + thick, max(0.0, width - thick)
        else:
            y, height = y + thick, max(0.0, height - thick)
        start = end


def _row(sizes: Sequence[float], start: int, scale: float, side: float) -> tuple[int, float]:
    """How far the next row reaches, and its area: it takes more while that makes its worst box squarer."""
    largest = sizes[start] * scale
    area, worst = 0.0, float("inf")
    end = start
    while end < len(sizes):
        smallest = sizes[end] * scale
        wider = area + smallest
        if wider <= 0:
            return len(sizes), 0.0
        ratio = max(
            side * side * largest / (wider * wider),
            wider * wider / (side * side * smallest) if smallest > 0 else float("inf"),
        )
        if end > start and ratio > worst:
            break
        area, worst, end = wider, ratio, end + 1
    return end, area


def _place(node: Node, box: Box, depth: int, group: Node | None, least: float, found: Layout) -> None:
    shown = _merged(node, box, least)
    boxes = squarify([child.size for child in shown], box)
    for child, place in zip(shown, boxes, strict=True):
        outer = group or (child if child.children else None)
        inner = place.inset(Size.MAP_GAP)
        if not child.children:
            found.tiles.append(Tile(child, inner, "leaf", outer))
        elif child.key == node.key:
            found.tiles.append(Tile(child, inner, "rest", child))
        elif depth < _CAPTIONED_DEPTH and _fits(inner, Size.MAP_GROUP):
            found.groups.append(Group(child, inner))
            _place(child, inner.inset(Size.MAP_GAP, Size.MAP_CAPTION), depth + 1, outer, least, found)
        elif depth < _DEEPEST and _fits(inner, Size.MAP_FOLDER):
            _place(child, place, max(depth, _CAPTIONED_DEPTH) + 1, outer, least, found)
        else:
            found.tiles.append(Tile(child, inner, "folder", outer))


def _merged(node: Node, box: Box, least: float) -> list[Node]:
    """The children that are large enough to be seen, and one more for all the others."""
    scale = box.area / node.size
    enough = next(
        (at for at, child in enumerate(node.children) if child.size * scale < least), len(node.children)
    )
    if len(node.children) - enough < 2:
        return node.children
    # As the child of itself it can be zoomed into, like any other folder.
    rest = Node("", node.key, 0.0, children=node.children[enough:])
    rest.gather()
    shown = [*node.children[:enough], rest]
    shown.sort(key=lambda child: -child.size)
    return shown


def _fits(box: Box, least: tuple[int, int]) -> bool:
    return box.width >= least[0] and box.height >= least[1]
