"""The metrics of a file by its own facts."""

from __future__ import annotations

from lynkr_desktop.engine.analysis.conventions import is_test
from lynkr_desktop.engine.analysis.facts import FileFacts
from lynkr_desktop.protocol.code import FileMetrics


def alone(path: str, facts: FileFacts) -> FileMetrics:
    """What needs no graph; the metrics of the graph are those of a file that nothing has to do with."""
    complexities = [function.complexity for function in facts.functions]
    return FileMetrics(
        path=path,
        language=facts.language,
        lines=facts.lines,
        functions=len(complexities),
        cyclomatic_sum=sum(complexities),
        cyclomatic_max=max(complexities, default=0),
        lcom4=max((found.lcom4 for found in facts.classes), default=0),
        test=is_test(path),
    )
