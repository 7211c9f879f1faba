"""Which structural metrics enter the score."""

from __future__ import annotations

from collections.abc import Collection

from msgspec.structs import replace

from lynkr_desktop.engine.analysis.index import Touched

_FIELDS: dict[str, dict[str, float]] = {
    "cyclomatic_complexity": {"cyclomatic_sum": 0, "cyclomatic_max": 0},
    "dependency_depth": {"depth": 0, "component": 1},
    "module_cohesion": {"lcom4": 0, "cohesion": 1.0},
    "blast_radius": {"blast_1": 0, "blast_2": 0, "blast": 0, "blast_tests": 0},
}
"""What each metric stands in, with the values of a file that it finds nothing in."""


def only(touched: Touched, metrics: Collection[str]) -> Touched:
    """The code that a request touches, with nothing in the metrics that are not named."""
    if _FIELDS.keys() <= set(metrics):
        return touched
    neutral = {
        name: value
        for metric, fields in _FIELDS.items()
        if metric not in metrics
        for name, value in fields.items()
    }
    symbols = touched.symbols
    if "cyclomatic_complexity" not in metrics:
        symbols = tuple(replace(symbol, complexity=1) for symbol in symbols)
    return replace(touched, files=tuple(replace(file, **neutral) for file in touched.files), symbols=symbols)
