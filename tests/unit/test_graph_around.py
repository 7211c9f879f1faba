"""What a file hangs on, and what hangs on it, in graphs of any shape."""

from __future__ import annotations

import networkx as nx
from hypothesis import given
from hypothesis import strategies as st

from lynkr_desktop.engine.analysis.graph import CodeGraph
from tests.support.code_fixtures import graph_of

COUNT = 7
EDGES = st.sets(
    st.tuples(st.integers(0, COUNT - 1), st.integers(0, COUNT - 1)).filter(lambda e: e[0] != e[1])
)


def built(edges: set[tuple[int, int]]) -> tuple[CodeGraph, nx.DiGraph]:
    """Python files that import each other so, and the same graph to compare with."""
    source = "=== p/__init__.py\n"
    for number in range(COUNT):
        source += f"=== p/m{number}.py\n"
        source += "".join(f"from p.m{to} import f{to}\n" for of, to in sorted(edges) if of == number)
        source += f"def f{number}(): return 1\n"
    oracle: nx.DiGraph = nx.DiGraph()
    oracle.add_nodes_from(range(COUNT))
    oracle.add_edges_from(edges)
    return graph_of(source), oracle


def paths(numbers: set[int]) -> set[str]:
    """The files of some modules."""
    return {f"p/m{number}.py" for number in numbers}


@given(EDGES, st.sets(st.integers(0, COUNT - 1), max_size=3))
def test_it_is_what_the_edges_say(edges: set[tuple[int, int]], chosen: set[int]) -> None:
    graph, oracle = built(edges)
    below = chosen.union(*(nx.descendants(oracle, one) for one in chosen))
    above = chosen.union(*(nx.ancestors(oracle, one) for one in chosen))
    direct = {before for one in chosen for before in oracle.predecessors(one)}
    assert graph.around(paths(chosen), 100) == paths(below | direct)
    assert graph.affected(paths(chosen)) == paths(above)


def test_what_is_not_in_it_stands_for_itself_and_a_limit_is_kept() -> None:
    graph, _ = built({(0, 1), (1, 2), (2, 3)})
    assert graph.around(["p/gone.py", "p/m3.py"], 100) == {"p/gone.py", "p/m3.py", "p/m2.py"}
    assert graph.affected(["p/gone.py"]) == {"p/gone.py"}
    assert graph.around(["p/m0.py"], 4) == paths({0, 1, 2, 3})
    assert graph.around(["p/m0.py"], 3) is None
    assert graph.around([], 0) == frozenset()
