"""What commands print of code: parts of a graph, states of an index, and the bar of a score."""

from __future__ import annotations

import networkx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr_desktop.cli.code_text import files_table, index_line
from lynkr_desktop.cli.explain import bar
from lynkr_desktop.cli.graph_view import KEYS, GraphView, Sort, dot, mermaid
from lynkr_desktop.protocol.code import (
    CodeEdge,
    CodeGraphReport,
    EdgeKind,
    FileMetrics,
    IndexState,
    IndexStatus,
)
from lynkr_desktop.protocol.routing import Threshold
from lynkr_desktop.protocol.tiers import Tier

KINDS: tuple[EdgeKind, ...] = ("import", "call", "inherit")


@st.composite
def reports(draw: st.DrawFn) -> CodeGraphReport:
    count = draw(st.integers(1, 12))
    place = st.integers(0, count - 1)
    figure = st.integers(0, 5)
    files = tuple(
        FileMetrics(
            path=f"{draw(st.sampled_from(('a', 'b', 'a/b')))}/f{number}.py",
            language="python",
            lines=draw(figure),
            blast=draw(figure),
            cyclomatic_max=draw(figure),
            depth=draw(figure),
            lcom4=draw(figure),
        )
        for number in range(count)
    )
    edges = draw(st.sets(st.tuples(place, place, st.sampled_from(KINDS)), max_size=30))
    return CodeGraphReport(
        status=IndexStatus(root="/w", state="ready"),
        files=files,
        edges=tuple(CodeEdge(*edge) for edge in edges),
    )


@given(reports())
def test_cycles_are_the_strongly_connected_components(report: CodeGraphReport) -> None:
    graph = networkx.DiGraph([(edge.source, edge.target) for edge in report.edges])
    expected = {
        tuple(sorted(part)) for part in networkx.strongly_connected_components(graph) if len(part) > 1
    }
    found = GraphView(report).cycles(range(len(report.files)))
    assert {tuple(cycle) for cycle in found} == expected
    assert [len(cycle) for cycle in found] == sorted(map(len, found), reverse=True)


@given(reports(), st.sampled_from(list(KEYS)), st.data())
def test_a_part_holds_its_files_in_order_and_all_edges_between_them(
    report: CodeGraphReport, sort: Sort, data: st.DataObject
) -> None:
    view = GraphView(report)
    order = view.ranked(sort)
    values = [KEYS[sort](report.files[place]) for place in order]
    assert values == sorted(values, reverse=True)
    kept = order[: data.draw(st.integers(0, len(order)))]
    part = view.part(kept)
    assert [file.path for file in part.files] == [report.files[place].path for place in kept]
    assert {(part.files[e.source].path, part.files[e.target].path, e.kind) for e in part.edges} == {
        (report.files[e.source].path, report.files[e.target].path, e.kind)
        for e in report.edges
        if e.source in kept and e.target in kept
    }
    arrows = len({(edge.source, edge.target) for edge in part.edges})
    assert dot(part).count(" -> ") == arrows
    assert sum(("-->" in line) or ("-.->" in line) for line in mermaid(part).splitlines()) == arrows


@given(reports())
def test_what_lies_in_a_folder_is_found_by_whole_names(report: CodeGraphReport) -> None:
    view = GraphView(report)
    for folder in ("a", "a/b", "b", ""):
        found = {report.files[place].path for place in view.below(folder)}
        assert found == {
            file.path for file in report.files if not folder or file.path.startswith(f"{folder}/")
        }


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (IndexStatus(root="/w", state="waiting"), "waiting to be indexed"),
        (IndexStatus(root="/w", state="indexing", done=40, total=1200), "40 of 1,200 files done"),
        (IndexStatus(root="/w", state="ready", files=1, lines=1), "1 file, 1 line"),
        (IndexStatus(root="/w", state="limited", files=20000, lines=5), "only a part is in it"),
        (
            IndexStatus(root="/w", state="failed", error="The folder is gone."),
            "not indexed: The folder is gone.",
        ),
        (IndexStatus(root="/w", state="failed"), "not indexed"),
    ],
)
def test_every_state_of_an_index_is_told(status: IndexStatus, told: str) -> None:
    assert told in index_line(status)


@given(
    st.floats(0, 1),
    st.lists(st.floats(0, 1), min_size=1, max_size=4, unique=True),
    st.lists(st.booleans(), min_size=4, max_size=4),
)
def test_the_bar_fits_any_score_and_thresholds(
    score: float, limits: list[float], enabled: list[bool]
) -> None:
    thresholds = [
        Threshold(tier=tier, max_complexity=limit, enabled=on)
        for tier, limit, on in zip(Tier, sorted(limits), enabled, strict=False)
    ]
    drawn, ranges = bar(score, thresholds).splitlines()
    cells = drawn.replace("|", "").strip().strip("[]")
    assert len(cells) == 50
    assert cells == "#" * round(score * 50) + "." * (50 - round(score * 50))
    assert ranges.count(" to ") == len(thresholds)
    assert ranges.count("switched off") == sum(not one.enabled for one in thresholds)


@given(st.lists(st.text(min_size=1, max_size=30), min_size=1, max_size=5))
def test_a_table_of_files_keeps_a_line_for_each_whatever_its_name(names: list[str]) -> None:
    table = files_table([FileMetrics(path=name, language="python", lines=3) for name in names])
    assert len(table.split("\n")) == len(names) + 1
    assert "\x1b" not in table


def test_states_are_all_known() -> None:
    states: tuple[IndexState, ...] = ("waiting", "indexing", "ready", "limited", "failed")
    assert len({index_line(IndexStatus(root="/w", state=state)) for state in states}) == len(states)
