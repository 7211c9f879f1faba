"""Depth and blast radius of every node of a directed graph."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

_BITS = 8 * 1024 * 1024 * 8
"""Bits that the sets of dependents may take. Beyond it they are made of a part of the nodes at a time."""

_LEAST_BITS = 4096


class Reach(NamedTuple):
    """Figures of all nodes, by position. What depends on a node never includes the node itself.

    Attributes:
        depth: longest path in the graph with every cycle condensed to one node, in edges.
        component: nodes in the strongly connected component.
        direct: nodes with an edge to it.
        two_steps: those with a path of at most two edges.
        full: those with any path.
        full_marked: of the marked nodes, those with a path. The three above count those that are not marked.
    """

    depth: list[int]
    component: list[int]
    direct: list[int]
    two_steps: list[int]
    full: list[int]
    full_marked: list[int]


def reach(successors: Sequence[Sequence[int]], marked: Sequence[bool]) -> Reach:
    """Computes all figures.

    Args:
        successors: for each node those that it depends on.
        marked: the nodes that are counted apart.
    """
    count = len(successors)
    component_of, components = strong_components(successors)
    below = _condense(successors, component_of, components)
    depths: list[int] = []
    for targets in below:  # a component comes after all that it depends on
        depths.append(max((depths[target] + 1 for target in targets), default=0))
    figures = Reach(
        [depths[component] for component in component_of],
        [len(components[component]) for component in component_of],
        *([0] * count for _ in range(4)),
    )
    width = max(_LEAST_BITS, _BITS // max(count, 1))
    for first in range(0, count, width):
        part = range(first, min(first + width, count))
        _count_dependents(figures, successors, marked, components, below, part)
    return figures


def strong_components(successors: Sequence[Sequence[int]]) -> tuple[list[int], list[list[int]]]:
    """Strongly connected components (Tarjan 1972, without recursion), each after those that it reaches.

    Args:
        successors: for each node those that it depends on.

    Returns:
        For each node the position of its component, and the nodes of each component.
    """
    count = len(successors)
    number = [-1] * count
    low = [0] * count
    component_of = [-1] * count
    components: list[list[int]] = []
    stack: list[int] = []
    counter = 0
    for root in range(count):
        if number[root] >= 0:
            continue
        number[root] = low[root] = counter
        counter += 1
        stack.append(root)
        path = [(root, iter(successors[root]))]
        while path:
            node, rest = path[-1]
            for target in rest:
                if number[target] < 0:
                    number[target] = low[target] = counter
                    counter += 1
                    stack.append(target)
                    path.append((target, iter(successors[target])))
                    break
                if component_of[target] < 0 and number[target] < low[node]:
                    low[node] = number[target]
            else:
                path.pop()
                if path and low[node] < low[path[-1][0]]:
                    low[path[-1][0]] = low[node]
                if low[node] == number[node]:
                    members = []
                    while True:
                        member = stack.pop()
                        component_of[member] = len(components)
                        members.append(member)
                        if member == node:
                            break
                    components.append(members)
    return component_of, components


def _condense(
    successors: Sequence[Sequence[int]], component_of: Sequence[int], components: Sequence[Sequence[int]]
) -> list[set[int]]:
    """For each component those that it depends on directly."""
    below = []
    for index, members in enumerate(components):
        targets = {component_of[target] for member in members for target in successors[member]}
        targets.discard(index)
        below.append(targets)
    return below


def _count_dependents(
    figures: Reach,
    successors: Sequence[Sequence[int]],
    marked: Sequence[bool],
    components: Sequence[Sequence[int]],
    below: Sequence[set[int]],
    part: range,
) -> None:
    """Adds the dependents within `part` of the nodes to the figures, by sets of bits."""
    count = len(successors)
    first = part.start
    marks = _bits(node - first for node in part if marked[node])
    direct = [0] * count
    for node in part:
        bit = 1 << (node - first)
        for target in successors[node]:
            direct[target] |= bit
    two = direct.copy()
    for node, targets in enumerate(successors):
        if dependents := direct[node]:
            for target in targets:
                two[target] |= dependents
    above = [_bits(member - first for member in members if member in part) for members in components]
    for index in range(len(components) - 1, -1, -1):  # a component comes before all that it depends on
        dependents = above[index]
        above[index] = 0
        for target in below[index]:
            above[target] |= dependents
        total, among_marked = dependents.bit_count(), (dependents & marks).bit_count()
        for node in components[index]:
            inside = node in part
            own_mark = inside and marked[node]
            figures.full_marked[node] += among_marked - own_mark
            figures.full[node] += total - among_marked - (inside and not own_mark)
    for node in range(count):
        own = ~(1 << (node - first)) if node in part else -1
        figures.direct[node] += (direct[node] & own & ~marks).bit_count()
        figures.two_steps[node] += (two[node] & own & ~marks).bit_count()


def _bits(positions: Iterable[int]) -> int:
    """The number with these bits set."""
    total = 0
    for position in positions:
        total |= 1 << position
    return total
