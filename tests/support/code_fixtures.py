"""Small workspaces in one text file each, with the edges that people wrote down for them."""

from __future__ import annotations

import posixpath
from pathlib import Path

from lynkr_desktop.engine.analysis.extract import extract
from lynkr_desktop.engine.analysis.facts import SUFFIXES, FileFacts
from lynkr_desktop.engine.analysis.graph import CodeGraph

IMPORTS = Path(__file__).parent.parent / "fixtures" / "imports"


def files_of(text: str) -> dict[str, bytes]:
    """`=== path`, then its lines, for each file."""
    files = {}
    for part in ("\n" + text).split("\n=== ")[1:]:
        path, _, content = part.partition("\n")
        files[path.strip()] = content.encode() + b"\n"
    return files


def facts_of(files: dict[str, bytes]) -> tuple[dict[str, FileFacts], dict[str, bytes]]:
    """The facts of all source files, and the contents of the others."""
    facts: dict[str, FileFacts] = {}
    settings: dict[str, bytes] = {}
    for path, content in files.items():
        suffix = posixpath.splitext(path)[1]
        if suffix in SUFFIXES:
            facts[path] = extract(content, SUFFIXES[suffix], suffix)
        else:
            settings[path] = content
    return facts, settings


def graph_of(text: str) -> CodeGraph:
    """The graph of a workspace that is written down in one text."""
    return CodeGraph(*facts_of(files_of(text)))


def edges_of(graph: CodeGraph, *kinds: str) -> set[tuple[str, str]]:
    """The edges of some kinds, of all by default, by path."""
    return {
        (graph.paths[edge.source], graph.paths[edge.target])
        for edge in graph.edges
        if not kinds or edge.kind in kinds
    }


def expected_edges(language: str) -> set[tuple[str, str]]:
    """The edges that people wrote down for a language."""
    found = set()
    for line in (IMPORTS / language / "edges.txt").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            source, _, target = line.partition(" -> ")
            found.add((source, target))
    return found
