"""The rows and columns of a table of figures: sorted and filtered as a plain list.

With a proxy model every comparison of a sort would cross from C++ to Python and back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt

T = TypeVar("T")
_Index = QModelIndex | QPersistentModelIndex
_DESCENDING = Qt.SortOrder.DescendingOrder


@dataclass(frozen=True)
class TableColumn(Generic[T]):
    """One column.

    Attributes:
        key: its name in settings.
        text: what a cell says, also to screen readers and in copies.
        order: what rows are sorted by.
        width: in pixels; 0 shares what is left over.
        tight: its width in a table that is none too wide; 0 for the usual one.
        figure: stands at the right, under the others.
        shown: whether it is there at first.
        narrow: whether it stays when there is little room.
        tip: words about a cell that are longer than it.
        copied: what a copy says, where that is not `text`.
    """

    key: str
    title: str
    text: Callable[[T], str]
    order: Callable[[T], Any]
    width: int = 0
    tight: int = 0
    figure: bool = False
    shown: bool = True
    narrow: bool = True
    tip: Callable[[T], str] | None = None
    copied: Callable[[T], str] | None = None


class TableRows(QAbstractTableModel, Generic[T]):
    """The rows that pass the filter, in the order of a column.

    Args:
        identity: what a row is known by when the list is another one.
        more: asks for the rows that follow; None where there are never any.
    """

    def __init__(
        self,
        columns: Sequence[TableColumn[T]],
        identity: Callable[[T], str],
        more: Callable[[], None] | None = None,
    ) -> None:
        super().__init__()
        self.columns = list(columns)
        self._identity, self._more = identity, more
        self._all: Sequence[T] = ()
        self._shown: list[T] = []
        self._sorted = (-1, Qt.SortOrder.AscendingOrder)
        self._passes: Callable[[T], bool] | None = None
        self.has_more = False

    @property
    def rows(self) -> list[T]:
        """What is shown, in order."""
        return self._shown

    def set_rows(self, rows: Sequence[T]) -> None:
        """Shows other rows under the same filter and order."""
        self._all = rows
        self._arrange()

    def set_filter(self, passes: Callable[[T], bool] | None) -> None:
        """Shows the rows that pass."""
        self._passes = passes
        self._arrange()

    def find(self, identity: str) -> int:
        """The place of a row, -1 if it is not shown."""
        return next((at for at, row in enumerate(self._shown) if self._identity(row) == identity), -1)

    def identity(self, at: int) -> str:
        """What the row at a place is known by; empty beyond the end."""
        return self._identity(self._shown[at]) if 0 <= at < len(self._shown) else ""

    def _arrange(self) -> None:
        self.beginResetModel()
        rows = list(self._all) if self._passes is None else list(filter(self._passes, self._all))
        column, order = self._sorted
        if column >= 0:
            rows.sort(key=self.columns[column].order, reverse=order is _DESCENDING)
        self._shown = rows
        self.endResetModel()

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sorts by a column; -1 keeps the order that the rows came in."""
        self._sorted = (column, order)
        self._arrange()

    def rowCount(self, parent: _Index | None = None) -> int:  # noqa: N802
        """How many rows are shown."""
        return 0 if parent is not None and parent.isValid() else len(self._shown)

    def columnCount(self, parent: _Index | None = None) -> int:  # noqa: N802
        """How many columns there are, hidden ones among them."""
        return 0 if parent is not None and parent.isValid() else len(self.columns)

    def canFetchMore(self, parent: _Index) -> bool:  # noqa: N802
        """Whether older rows can be asked for, which the view does at its end."""
        return self.has_more and self._more is not None

    def fetchMore(self, parent: _Index) -> None:  # noqa: N802
        """Asks for older rows."""
        if self._more is not None:
            self._more()

    def headerData(  # noqa: N802
        self, section: int, orientation: Qt.Orientation, role: int = int(Qt.ItemDataRole.DisplayRole)
    ) -> Any:
        """The titles."""
        if orientation is Qt.Orientation.Horizontal and 0 <= section < len(self.columns):
            column = self.columns[section]
            if role == Qt.ItemDataRole.DisplayRole:
                return column.title
            if role == Qt.ItemDataRole.TextAlignmentRole:
                return int(_alignment(column))
        return None

    def data(self, index: _Index, role: int = int(Qt.ItemDataRole.DisplayRole)) -> Any:
        """Text, alignment and tool tip."""
        if not 0 <= index.row() < len(self._shown):
            return None
        row, column = self._shown[index.row()], self.columns[index.column()]
        if role == Qt.ItemDataRole.DisplayRole:
            return column.text(row)
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{column.title}: {column.text(row)}"
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return int(_alignment(column))
        if role == Qt.ItemDataRole.ToolTipRole:
            return column.tip(row) if column.tip is not None else None
        return None

    def copied(self, rows: Sequence[T], visible: Sequence[int]) -> list[list[str]]:
        """The titles and the rows, cell by cell, as they go to the clipboard."""
        columns = [self.columns[at] for at in visible]
        return [[column.title for column in columns]] + [
            [(column.copied or column.text)(row) for column in columns] for row in rows
        ]


def _alignment(column: TableColumn[Any]) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignRight if column.figure else Qt.AlignmentFlag.AlignLeft
    return side | Qt.AlignmentFlag.AlignVCenter
