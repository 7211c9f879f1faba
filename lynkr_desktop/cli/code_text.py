"""Files with their structure, and indices, as people read them in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from lynkr_desktop.cli.text import plural, table
from lynkr_desktop.protocol.code import FileMetrics, IndexStatus


def files_table(files: Sequence[FileMetrics]) -> str:
    """Files with the four metrics, as they stand in the list."""
    cells: list[tuple[str, ...]] = [
        ("FILE", "LINES", "COMPLEXITY", "DEPTH", "CYCLE", "LCOM4", "COHESION", "BLAST", "TESTS")
    ]
    cells += [
        (
            file.path,
            f"{file.lines:,}",
            f"{file.cyclomatic_max} of {file.cyclomatic_sum:,}",
            str(file.depth),
            str(file.component) if file.component > 1 else "",
            str(file.lcom4) if file.lcom4 else "",
            f"{file.cohesion:.2f}",
            f"{file.blast:,}",
            f"{file.blast_tests:,}" if file.blast_tests else "",
        )
        for file in files
    ]
    return table(cells, right=range(1, 9), indent="  ")


def index_line(status: IndexStatus) -> str:
    """How far an index is, in a few words."""
    size = f"{plural(status.files, 'file')}, {plural(status.lines, 'line')}"
    match status.state:
        case "waiting":
            return "waiting to be indexed"
        case "indexing":
            return f"being indexed, {status.done:,} of {status.total:,} files done"
        case "limited":
            return f"{size}; larger than the limits, so only a part is in it"
        case "failed":
            return f"not indexed: {status.error or 'no reason is known'}"
        case _:
            return size
