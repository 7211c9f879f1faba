"""Depth and blast radius of generated graphs equal what networkx finds by brute force."""

from __future__ import annotations

import random

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr_desktop.engine.analysis import reach as module
from lynkr_desktop.engine.analysis.reach import Reach, reach


def brute_force(successors: list[list[int]], marked: list[bool]) -> Reach:
    """The definitions, taken literally."""
    graph = nx.DiGraph()
    graph.add_nodes_from(range(len(successors)))
    graph.add_edges_from((node, target) for node, targets in enumerate(successors) for target in targets)
    condensed = nx.condensation(graph)
    component = condensed.graph["mapping"]
    depths: dict[int, int] = {}
    for node in reversed(list(nx.topological_sort(condensed))):
        depths[node] = max((depths[target] + 1 for target in condensed.successors(node)), default=0)
    against = graph.reverse()
    figures = Reach([], [], [], [], [], [])
    for node in graph:
        figures.depth.append(depths[component[node]])
        figures.component.append(len(condensed.nodes[component[node]]["members"]))
        for steps, into in ((1, figures.direct), (2, figures.two_steps)):
            near = nx.single_source_shortest_path_length(against, node, cutoff=steps).keys() - {node}
            into.append(sum(not marked[other] for other in near))
        far = nx.ancestors(graph, node)
        figures.full.append(sum(not marked[other] for other in far))
        figures.full_marked.append(sum(marked[other] for other in far))
    return figures


def graph_of(seed: int) -> tuple[list[list[int]], list[bool]]:
    """A graph of one of several kinds: sparse, dense, layered like a program, with cycles, with a hub."""
    chance = random.Random(seed)
    count = chance.choice((1, 2, 3, 5, 8, 13, 21, 40))
    successors: list[list[int]] = [[] for _ in range(count)]
    kind = seed % 5
    edges = chance.randrange(count * (4 if kind == 1 else 2) + 1)
    for _ in range(edges):
        source, target = chance.randrange(count), chance.randrange(count)
        if kind == 2 and source > target:
            source, target = target, source
        if kind == 4 and chance.random() < 0.5:
            target = 0
        if source != target or kind == 3:
            successors[source].append(target)
    return successors, [chance.random() < 0.3 for _ in range(count)]


@pytest.mark.parametrize("block", range(10))
def test_a_thousand_generated_graphs(block: int) -> None:
    for seed in range(block * 100, block * 100 + 100):
        successors, marked = graph_of(seed)
        assert reach(successors, marked) == brute_force(successors, marked), seed


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[list[int]], list[bool]]:
    count = draw(st.integers(0, 12))
    node = st.integers(0, max(count - 1, 0))
    successors = [draw(st.lists(node, max_size=4)) for _ in range(count)]
    return successors, draw(st.lists(st.booleans(), min_size=count, max_size=count))


@given(graphs())
def test_any_graph(graph: tuple[list[list[int]], list[bool]]) -> None:
    assert reach(*graph) == brute_force(*graph)


def test_in_parts_as_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    # Large graphs are counted a part of the nodes at a time, to bound memory.
    cases = [graph_of(seed) for seed in range(200)]
    whole = [reach(*case) for case in cases]
    monkeypatch.setattr(module, "_BITS", 0)
    monkeypatch.setattr(module, "_LEAST_BITS", 3)
    assert [reach(*case) for case in cases] == whole


def test_a_chain_deeper_than_any_stack() -> None:
    count = 20_000
    figures = reach([[node + 1] for node in range(count - 1)] + [[]], [False] * count)
    assert figures.depth[0] == figures.full[count - 1] == count - 1


def test_one_cycle_through_everything() -> None:
    count = 5_000
    figures = reach([[(node + 1) % count] for node in range(count)], [False] * count)
    assert set(figures.depth) == {0}
    assert set(figures.component) == {count}
    assert set(figures.full) == {count - 1}
    assert set(figures.two_steps) == {2}
