"""The lines of the log as a list model: bounded, filtered by level and text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QPersistentModelIndex, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF

from lynkr_desktop.ui.logs.tail import LEVELS, LogLine
from lynkr_desktop.ui.theme.theme import theme
from lynkr_desktop.ui.theme.tokens import Size, Space

# Qt lays out every row anew when some are added: 20,000 take 30 ms, and more would be felt.
MOST_LINES = 20_000
_DROP = 4_000
_Index = QModelIndex | QPersistentModelIndex


class LogLines(QAbstractListModel):
    """Holds the newest lines and shows those that pass the filter."""

    def __init__(self) -> None:
        super().__init__()
        self._all: list[LogLine] = []
        self._shown: list[LogLine] = []
        self._level = 0
        self._text = ""
        self._widest = 0
        self._advance = 0.0
        self._size = QSize(0, Size.LOG_ROW)

    def measure(self, font: QFont) -> None:
        """Takes the fixed-pitch font that the lines are shown in: all rows are as wide as the widest."""
        self._advance = QFontMetricsF(font).horizontalAdvance("0")

    @property
    def shown(self) -> list[LogLine]:
        """The lines that pass the filter, oldest first."""
        return self._shown

    @property
    def empty(self) -> bool:
        """Whether there is no line at all, filter or not."""
        return not self._all

    def append(self, lines: list[LogLine]) -> None:
        """Adds lines at the end; the oldest go when there are too many."""
        self._all += lines
        widest = max((len(line.text) for line in lines), default=0)
        if widest > self._widest:
            self._widest = widest
            self._size = QSize(int(widest * self._advance) + Space.L, Size.LOG_ROW)
        if len(self._all) > MOST_LINES:
            del self._all[:_DROP]
            self.filter(self._level, self._text)
            return
        fresh = list(self._passing(lines))
        if fresh:
            first = len(self._shown)
            self.beginInsertRows(QModelIndex(), first, first + len(fresh) - 1)
            self._shown += fresh
            self.endInsertRows()

    def filter(self, level: int, text: str) -> None:
        """Shows records of a level (index into LEVELS) or above that hold a text, whatever its case."""
        self.beginResetModel()
        self._level, self._text = level, text.casefold()
        self._shown = list(self._passing(self._all))
        self.endResetModel()

    def rowCount(self, parent: _Index | None = None) -> int:  # noqa: N802
        """How many lines are shown."""
        return 0 if parent is not None and parent.isValid() else len(self._shown)

    def data(self, index: _Index, role: int = int(Qt.ItemDataRole.DisplayRole)) -> Any:
        """The line, and its colour from WARNING on."""
        if not 0 <= index.row() < len(self._shown):
            return None
        line = self._shown[index.row()]
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return line.text
        if role == Qt.ItemDataRole.SizeHintRole:
            return self._size
        if role == Qt.ItemDataRole.ForegroundRole and line.level >= LEVELS.index("WARNING"):
            return QColor(theme.colors.danger)
        return None

    def _passing(self, lines: Iterable[LogLine]) -> Iterable[LogLine]:
        level, text = self._level, self._text
        return (line for line in lines if line.level >= level and (not text or text in line.text.casefold()))
