"""A table of figures: sortable, its columns can be chosen, and it can be copied as text or CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from PySide6.QtCore import (
    QModelIndex,
    QPersistentModelIndex,
    QRect,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import (
    QColor,
    QFontMetrics,
    QGuiApplication,
    QKeySequence,
    QPainter,
    QResizeEvent,
    QShortcut,
)
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QHeaderView,
    QMenu,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from lynkr_desktop.ui.theme import icons
from lynkr_desktop.ui.theme.fonts import font
from lynkr_desktop.ui.theme.theme import theme
from lynkr_desktop.ui.theme.tokens import Size, Space, Type
from lynkr_desktop.ui.widgets.card import hairline
from lynkr_desktop.ui.widgets.icons import IconButton
from lynkr_desktop.ui.widgets.painted_menu import PaintedMenu
from lynkr_desktop.ui.widgets.table_rows import TableRows

T = TypeVar("T")
_Index = QModelIndex | QPersistentModelIndex
_EDGE = Space.L - Size.HAIRLINE


class TableHeader(QHeaderView):
    """Titles in the caption style; an arrow beside the one that the rows are sorted by."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self.setFont(font(Type.CAPTION))
        self.setSectionsClickable(True)
        self.setSortIndicatorShown(True)
        self.setSortIndicatorClearable(True)
        self.setHighlightSections(False)
        self.setFixedHeight(Size.TABLE_ROW)
        self.setMinimumSectionSize(Size.TABLE_ROW)

    def paintSection(self, painter: QPainter, rect: QRect, section: int) -> None:  # noqa: N802
        """Draws title, arrow and the line beneath."""
        colors = theme.colors
        painter.save()
        painter.setPen(hairline(self, colors.line))
        painter.drawLine(rect.bottomLeft(), rect.bottomRight())
        model = self.model()
        words = str(model.headerData(section, Qt.Orientation.Horizontal) or "")
        alignment = model.headerData(
            section, Qt.Orientation.Horizontal, int(Qt.ItemDataRole.TextAlignmentRole)
        )
        painter.setFont(self.font())
        painter.setPen(QColor(colors.muted))
        area = cell_rect(self, rect, self.visualIndex(section))
        arrow = Size.MARK if self.sortIndicatorSection() == section else 0
        metrics = QFontMetrics(self.font())
        shown = metrics.elidedText(words, Qt.TextElideMode.ElideRight, area.width() - arrow)
        right = bool(alignment & Qt.AlignmentFlag.AlignRight)
        area.adjust(0, 0, 0 if right else -arrow, 0)
        painter.drawText(area, int(alignment), shown)
        if arrow:
            width = metrics.horizontalAdvance(shown)
            left = area.right() - width - arrow if right else area.left() + width + Size.FOCUS
            self._draw_arrow(painter, left, rect)
        painter.restore()

    def _draw_arrow(self, painter: QPainter, left: int, rect: QRect) -> None:
        image = icons.pixmap("sort-down", theme.colors.muted, Size.MARK, self.devicePixelRatioF())
        painter.save()
        painter.translate(left + Size.MARK / 2, rect.center().y() + 1)
        if self.sortIndicatorOrder() is Qt.SortOrder.AscendingOrder:
            painter.rotate(180)
        half = Size.MARK / 2
        painter.drawPixmap(QRectF(-half, -half, Size.MARK, Size.MARK), image, QRectF(image.rect()))
        painter.restore()


def cell_rect(header: QHeaderView, rect: QRect, visual: int) -> QRect:
    """The part of a cell that text may use: the first and the last column keep clear of the card's edge."""
    shown = [at for at in range(header.count()) if not header.isSectionHidden(header.logicalIndex(at))]
    first, last = shown[0] == visual, shown[-1] == visual
    return rect.adjusted(_EDGE if first else Space.S, 0, -_EDGE if last else -Space.S, 0)


class TableDelegate(QStyledItemDelegate):
    """Draws a row of 32 px: ground, line beneath, and the cell. Subclasses draw other cells than text."""

    def sizeHint(self, option: QStyleOptionViewItem, index: _Index) -> QSize:  # noqa: N802
        """One table row."""
        return QSize(0, Size.TABLE_ROW)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        """Draws one cell."""
        view = self.parent()
        assert isinstance(view, QTableView)
        colors = theme.colors
        rect: QRect = option.rect
        painter.save()
        selected = bool(option.state & QStyle.StateFlag.State_Selected)
        ground = colors.selected if selected else colors.surface
        # Clear of the card's outline, which lies under the view's edge.
        painter.fillRect(rect, QColor(ground))
        painter.setPen(hairline(view, colors.line))
        painter.drawLine(rect.bottomLeft(), rect.bottomRight())
        header = view.horizontalHeader()
        area = cell_rect(header, rect, header.visualIndex(index.column()))
        self.draw_cell(painter, area, index, ground)
        if selected and view.hasFocus() and header.visualIndex(index.column()) == self._first(header):
            painter.fillRect(
                QRect(rect.left(), rect.top(), Size.FOCUS + 1, rect.height()), QColor(colors.accent)
            )
        painter.restore()

    def draw_cell(self, painter: QPainter, rect: QRect, index: _Index, ground: str) -> None:
        """Draws what stands in a cell."""
        alignment = index.data(int(Qt.ItemDataRole.TextAlignmentRole))
        draw_text(painter, rect, str(index.data()), alignment=alignment)

    @staticmethod
    def _first(header: QHeaderView) -> int:
        return next(
            (at for at in range(header.count()) if not header.isSectionHidden(header.logicalIndex(at))), 0
        )


def draw_text(
    painter: QPainter,
    rect: QRect,
    words: str,
    *,
    muted: bool = False,
    alignment: int = int(Qt.AlignmentFlag.AlignVCenter),
    mode: Qt.TextElideMode = Qt.TextElideMode.ElideRight,
) -> int:
    """Draws one line, cut where it must be; how wide it became."""
    if rect.width() <= 0:
        return 0
    style = font(Type.BODY)
    metrics = QFontMetrics(style)
    shown = metrics.elidedText(words, mode, rect.width())
    painter.setFont(style)
    painter.setPen(QColor(theme.colors.muted if muted else theme.colors.text))
    painter.drawText(rect, alignment, shown)
    return metrics.horizontalAdvance(shown)


class FiguresTable(QTableView, Generic[T]):
    """The view.

    Signals:
        chosen: the identity of the row that a person moved to; empty when there is none.
    """

    chosen = Signal(str)

    def __init__(self, accessible_name: str, rows: TableRows[T]) -> None:
        super().__init__()
        self._rows = rows
        self._hidden = {column.key for column in rows.columns if not column.shown}
        self._narrow = self._tight = False
        self._keeping = False
        self.setHorizontalHeader(TableHeader(self))
        self.horizontalHeader().setAccessibleName(
            self.tr("Columns of: {table}").format(table=accessible_name)
        )
        self.setModel(rows)
        self.setItemDelegate(TableDelegate(self))
        self.setAccessibleName(accessible_name)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        self.setCornerButtonEnabled(False)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.verticalHeader().setVisible(False)
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.verticalHeader().setMinimumSectionSize(Size.TABLE_ROW)
        self.verticalHeader().setDefaultSectionSize(Size.TABLE_ROW)
        header = self.horizontalHeader()
        for at, column in enumerate(rows.columns):
            mode = QHeaderView.ResizeMode.Fixed if column.width else QHeaderView.ResizeMode.Stretch
            header.setSectionResizeMode(at, mode)
            if column.width:
                header.resizeSection(at, column.width)
        header.setSortIndicator(-1, Qt.SortOrder.DescendingOrder)
        self.setSortingEnabled(True)
        self.selectionModel().currentRowChanged.connect(self._moved)
        shortcut = QShortcut(QKeySequence(QKeySequence.StandardKey.Copy), self, self.copy_text)
        shortcut.setContext(Qt.ShortcutContext.WidgetShortcut)
        self._show_columns()

    # ------------------------------------------------------------ rows

    def set_rows(self, rows: Sequence[T]) -> None:
        """Shows other rows; the current one stays, and so does the place that is read."""
        self._keep_place(lambda: self._rows.set_rows(rows))

    def set_filter(self, passes: Callable[[T], bool] | None) -> None:
        """Shows the rows that pass."""
        self._keep_place(lambda: self._rows.set_filter(passes))

    def choose(self, identity: str) -> None:
        """Moves to a row without telling of it; empty moves to none."""
        row = self._rows.find(identity) if identity else -1
        self._keeping = True
        if row < 0:
            self.selectionModel().clear()
        else:
            self.selectRow(row)
        self._keeping = False

    def _keep_place(self, change: Callable[[], None]) -> None:
        current = self._rows.identity(self.currentIndex().row())
        bar = self.verticalScrollBar()
        top = self._rows.identity(bar.value() // Size.TABLE_ROW) if bar.value() else ""
        offset = bar.value() % Size.TABLE_ROW
        self._keeping = True
        change()
        self._keeping = False
        self.choose(current)
        row = self._rows.find(top) if top else 0
        bar.setValue(max(0, row) * Size.TABLE_ROW + (offset if row > 0 else 0))

    def _moved(self, current: _Index) -> None:
        if not self._keeping:
            self.chosen.emit(self._rows.identity(current.row()))

    # ------------------------------------------------------------ columns

    @property
    def hidden_columns(self) -> list[str]:
        """The keys of the columns that a person does not want to see."""
        return sorted(self._hidden)

    def hide_columns(self, keys: Sequence[str]) -> None:
        """Hides columns by their keys and shows the others; one stays in any case."""
        known = {column.key for column in self._rows.columns}
        hidden = known & set(keys)
        if hidden != known:
            self._hidden = hidden
            self._show_columns()

    def fill_column_menu(self, menu: QMenu, changed: Callable[[], None]) -> None:
        """An entry with a check mark for every column."""
        for column in self._rows.columns:
            entry = menu.addAction(column.title)
            entry.setCheckable(True)
            entry.setChecked(column.key not in self._hidden)
            entry.setEnabled(column.key in self._hidden or len(self._hidden) + 1 < len(self._rows.columns))
            entry.triggered.connect(lambda on, key=column.key: self._switch(key, on, changed))

    def _switch(self, key: str, on: bool, changed: Callable[[], None]) -> None:
        self._hidden = self._hidden - {key} if on else self._hidden | {key}
        self._show_columns()
        changed()

    def _show_columns(self) -> None:
        for at, column in enumerate(self._rows.columns):
            hidden = column.key in self._hidden or (self._narrow and not column.narrow)
            self.setColumnHidden(at, hidden)
            if column.tight:
                self.horizontalHeader().resizeSection(at, column.tight if self._tight else column.width)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        """Leaves out what is least needed when there is little room."""
        width = event.size().width()
        room = (width < Size.SINGLE_COLUMN_BELOW, width < Size.TIGHT_TABLE_BELOW)
        if room != (self._narrow, self._tight):
            self._narrow, self._tight = room
            self._show_columns()
        super().resizeEvent(event)

    # ------------------------------------------------------------ copying

    def copy_text(self) -> None:
        """Copies the chosen rows, or all, with tabs between the cells."""
        QGuiApplication.clipboard().setText(
            "\n".join("\t".join(map(_one_line, row)) for row in self._cells())
        )

    def copy_csv(self) -> None:
        """Copies the chosen rows, or all, as CSV (RFC 4180)."""
        out = io.StringIO()
        csv.writer(out).writerows(self._cells())
        QGuiApplication.clipboard().setText(out.getvalue())

    def _cells(self) -> list[list[str]]:
        chosen = sorted(index.row() for index in self.selectionModel().selectedRows())
        # One row is merely where a person is; several were chosen.
        rows = [self._rows.rows[at] for at in chosen] if len(chosen) > 1 else self._rows.rows
        visible = [at for at in range(len(self._rows.columns)) if not self.isColumnHidden(at)]
        return self._rows.copied(rows, visible)


def _one_line(words: str) -> str:
    return " ".join(words.split())


class MenuButton(IconButton):
    """An icon that opens a menu, made anew each time.

    Args:
        fill: adds the entries.
    """

    def __init__(self, icon: str, accessible_name: str, fill: Callable[[QMenu], None]) -> None:
        super().__init__(icon, accessible_name)
        self._fill = fill
        self.clicked.connect(self._open)

    def _open(self) -> None:
        menu = PaintedMenu("", self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._fill(menu)
        menu.popup(self.mapToGlobal(self.rect().bottomLeft()))


def copy_button(table: FiguresTable[Any], accessible_name: str) -> MenuButton:
    """The button that copies a table as text or CSV."""

    def fill(menu: QMenu) -> None:
        menu.addAction(table.tr("Copy as &text"), table.copy_text)
        menu.addAction(table.tr("Copy as &CSV"), table.copy_csv)

    return MenuButton("copy", accessible_name, fill)
