"""A unified diff in linear time: it goes by the lines that both texts have exactly once."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence

_CONTEXT = 2


def matches(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int]]:
    """Pairs of lines that are taken for the same, rising in both texts."""
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    stop = 0
    while stop < min(len(old), len(new)) - start and old[-1 - stop] == new[-1 - stop]:
        stop += 1
    pairs = [(index, index) for index in range(start)]
    at_old, at_new = start, start
    end_old, end_new = len(old) - stop, len(new) - stop
    for anchor_old, anchor_new in [*_anchors(old, new, start, end_old, end_new), (end_old, end_new)]:
        if anchor_old < at_old or anchor_new < at_new:
            continue
        # From each line that is sure, equal lines before it and behind it belong to it.
        back = 0
        while (
            anchor_old - back > at_old
            and anchor_new - back > at_new
            and old[anchor_old - back - 1] == new[anchor_new - back - 1]
        ):
            back += 1
        pairs += [(anchor_old - step, anchor_new - step) for step in range(back, 0, -1)]
        at_old, at_new = anchor_old, anchor_new
        while at_old < end_old and at_new < end_new and old[at_old] == new[at_new]:
            pairs.append((at_old, at_new))
            at_old += 1
            at_new += 1
    return pairs + [(end_old + step, end_new + step) for step in range(stop)]


def unified(
    old: Sequence[str],
    new: Sequence[str],
    pairs: Sequence[tuple[int, int]],
    first_old: int = 1,
    first_new: int = 1,
) -> list[str]:
    """Hunks of a unified diff with two lines of context.

    Args:
        old: lines before.
        new: lines after.
        pairs: of equal lines, from `matches`.
        first_old: number of the first old line.
        first_new: number of the first new line.
    """
    hunks: list[list[tuple[int, int, int, int]]] = []
    for change in _changes(pairs, len(old), len(new)):
        if hunks and change[0] - hunks[-1][-1][1] <= 2 * _CONTEXT:
            hunks[-1].append(change)
        else:
            hunks.append([change])
    lines: list[str] = []
    for hunk in hunks:
        lead = min(_CONTEXT, hunk[0][0], hunk[0][2])
        begin_old, begin_new = hunk[0][0] - lead, hunk[0][2] - lead
        tail = min(_CONTEXT, len(old) - hunk[-1][1], len(new) - hunk[-1][3])
        end_old, end_new = hunk[-1][1] + tail, hunk[-1][3] + tail
        range_old = f"{begin_old + first_old},{end_old - begin_old}"
        range_new = f"{begin_new + first_new},{end_new - begin_new}"
        lines.append(f"@@ -{range_old} +{range_new} @@")
        at = begin_old
        for start_old, stop_old, start_new, stop_new in hunk:
            lines += [f" {line}" for line in old[at:start_old]]
            lines += [f"-{line}" for line in old[start_old:stop_old]]
            lines += [f"+{line}" for line in new[start_new:stop_new]]
            at = stop_old
        lines += [f" {line}" for line in old[at:end_old]]
    return lines


def _anchors(
    old: Sequence[str], new: Sequence[str], start: int, end_old: int, end_new: int
) -> list[tuple[int, int]]:
    """Lines that both texts have exactly once, the longest sequence of them that rises in both."""
    counts = Counter(old[start:end_old])
    place = {line: index for index, line in enumerate(old[start:end_old], start) if counts[line] == 1}
    counts = Counter(new[start:end_new])
    candidates = [
        (place[line], index)
        for index, line in enumerate(new[start:end_new], start)
        if counts[line] == 1 and line in place
    ]
    tops: list[int] = []  # smallest last old line of a rising sequence, by its length
    at_top: list[int] = []
    before: list[int] = []
    for number, (index_old, _) in enumerate(candidates):
        length = bisect_left(tops, index_old)
        if length == len(tops):
            tops.append(index_old)
            at_top.append(number)
        else:
            tops[length] = index_old
            at_top[length] = number
        before.append(at_top[length - 1] if length else -1)
    rising: list[tuple[int, int]] = []
    number = at_top[-1] if at_top else -1
    while number >= 0:
        rising.append(candidates[number])
        number = before[number]
    return rising[::-1]


def _changes(
    pairs: Sequence[tuple[int, int]], size_old: int, size_new: int
) -> Iterator[tuple[int, int, int, int]]:
    """What stands between equal lines, as (start, stop) in the old and in the new text."""
    at_old = at_new = 0
    for index_old, index_new in [*pairs, (size_old, size_new)]:
        if index_old > at_old or index_new > at_new:
            yield at_old, index_old, at_new, index_new
        at_old, at_new = index_old + 1, index_new + 1
