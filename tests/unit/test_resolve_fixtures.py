"""Imports of small workspaces in each language against the edges that people wrote down."""

from __future__ import annotations

import pytest

from tests.support.code_fixtures import IMPORTS, edges_of, expected_edges, files_of, graph_of

LANGUAGES = ("python", "typescript", "rust", "go", "java", "csharp")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_labels_are_about_files_of_the_workspace(language: str) -> None:
    files = files_of((IMPORTS / language / "workspace.txt").read_text("utf-8"))
    expected = expected_edges(language)
    assert len(files) >= 8
    assert len(expected) >= 25
    assert {path for edge in expected for path in edge} <= files.keys()


@pytest.mark.parametrize("language", LANGUAGES)
def test_import_edges(language: str) -> None:
    graph = graph_of((IMPORTS / language / "workspace.txt").read_text("utf-8"))
    found, expected = edges_of(graph, "import"), expected_edges(language)
    right = len(found & expected)
    precision, recall = right / max(len(found), 1), right / len(expected)
    f1 = 2 * right / (len(found) + len(expected))
    print(
        f"{language:10} {len(expected):3} edges, {len(found):3} found, precision {precision:.3f}, "
        f"recall {recall:.3f}, F1 {f1:.3f}"
    )
    for source, target in sorted(found - expected):
        print(f"  too much: {source} -> {target}")
    for source, target in sorted(expected - found):
        print(f"  missing:  {source} -> {target}")
    assert f1 >= 0.95
