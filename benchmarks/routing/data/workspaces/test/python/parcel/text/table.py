"""Aligned columns for the terminal."""

from collections.abc import Iterable, Sequence


def render(rows: Iterable[Sequence[str]], gap: int = 2) -> str:
    kept = [tuple(row) for row in rows]
    if not kept:
        return ""
    widths = [max(len(row[i]) for row in kept) for i in range(len(kept[0]))]
    lines = []
    for row in kept:
        cells = (cell.ljust(width) for cell, width in zip(row, widths))
        lines.append((" " * gap).join(cells).rstrip())
    return "\n".join(lines)
