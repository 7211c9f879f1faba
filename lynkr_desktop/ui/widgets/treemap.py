"""A treemap: area, shade and outline tell three figures of each leaf. Mouse and arrow keys read them.

It is a list to screen readers, an item per tile: that is why it is an item view.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import (
    QAbstractListModel,
    QEvent,
    QItemSelection,
    QItemSelectionModel,
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    QRect,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QFontMetrics,
    QHoverEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QRegion,
    QResizeEvent,
)
from PySide6.QtWidgets import QAbstractItemView, QFrame, QListView

from lynkr_desktop.ui.theme.fonts import font
from lynkr_desktop.ui.theme.theme import theme
from lynkr_desktop.ui.theme.tokens import Size, Space, Type
from lynkr_desktop.ui.widgets.treemap_layout import Group, Layout, Node, Tile, lay_out, towards

_Index = QModelIndex | QPersistentModelIndex
_EMPTY = Node("", "", 0.0)


class Tiles(QAbstractListModel):
    """The tiles as a list, in reading order of size, with words for each."""

    def __init__(self, describe: Callable[[Tile], str]) -> None:
        super().__init__()
        self._describe = describe
        self._tiles: list[Tile] = []

    @property
    def tiles(self) -> list[Tile]:
        """What is drawn."""
        return self._tiles

    def set_tiles(self, tiles: list[Tile]) -> None:
        """Shows others."""
        self.beginResetModel()
        self._tiles = tiles
        self.endResetModel()

    def rowCount(self, parent: _Index | None = None) -> int:  # noqa: N802
        """How many."""
        return 0 if parent is not None and parent.isValid() else len(self._tiles)

    def data(self, index: _Index, role: int = int(Qt.ItemDataRole.DisplayRole)) -> Any:
        """The name, or everything in words."""
        if not 0 <= index.row() < len(self._tiles):
            return None
        tile = self._tiles[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return tile.node.name
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return self._describe(tile)
        return None


class Treemap(QListView):
    """Draws a tree of nodes; arrows move, Enter zooms into a folder, Escape goes back.

    Args:
        describe: everything about a tile in words, for people and for screen readers.
        label: the second line of a tile that has room for one, and the name of a rest.

    Signals:
        read: the words of the tile under the mouse or the keyboard; empty when there is none.
        zoomed: another folder fills the map.
        chosen: the key of the leaf that was clicked or entered.
    """

    read = Signal(str)
    zoomed = Signal()
    chosen = Signal(str)

    def __init__(
        self,
        accessible_name: str,
        describe: Callable[[Tile], str],
        label: Callable[[Tile], tuple[str, str]],
    ) -> None:
        super().__init__()
        self._describe, self._label = describe, label
        self._trail: list[Node] = [_EMPTY]
        self._layout = Layout()
        self._tiles = Tiles(describe)
        self._hovered = -1
        self._marked: frozenset[str] = frozenset()
        self.setModel(self._tiles)
        self.setAccessibleName(accessible_name)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setMouseTracking(True)
        self.viewport().setAttribute(Qt.WidgetAttribute.WA_Hover)
        self.setMinimumHeight(Size.MAP)
        self.selectionModel().currentChanged.connect(self._tell)

    # ------------------------------------------------------------ the tree

    @property
    def trail(self) -> list[Node]:
        """The folders from the whole tree to the one that fills the map."""
        return self._trail

    @property
    def layout_shown(self) -> Layout:
        """What is drawn, and where."""
        return self._layout

    def set_tree(self, root: Node) -> None:
        """Shows another tree, at the folder that was shown if it still has that."""
        trail = [root]
        for old in self._trail[1:]:
            found = next((child for child in trail[-1].children if child.key == old.key), None)
            if found is None or not found.children:
                break
            trail.append(found)
        self._trail = trail
        self._lay_out()
        self.zoomed.emit()

    def mark(self, keys: frozenset[str]) -> None:
        """Marks leaves with a dot; `describe` must say what it means."""
        if keys != self._marked:
            self._marked = keys
            self.viewport().update()

    def zoom(self, node: Node) -> None:
        """Fills the map with a folder."""
        if node.children and node is not self._trail[-1]:
            self._trail.append(node)
            self._moved()

    def back(self) -> bool:
        """Goes back to where the last zoom began; False where there was none."""
        if len(self._trail) < 2:
            return False
        self._trail.pop()
        self._moved()
        return True

    def _moved(self) -> None:
        self._lay_out()
        if self.hasFocus() and self._tiles.tiles:
            self.setCurrentIndex(self._tiles.index(0))
        self.zoomed.emit()

    def _lay_out(self) -> None:
        current = self._tile(self.currentIndex().row())
        size = self.viewport().size()
        self._layout = lay_out(self._trail[-1], size.width(), size.height())
        self._hovered = -1
        self._tiles.set_tiles(self._layout.tiles)
        if current is not None:
            same = (at for at, tile in enumerate(self._layout.tiles) if tile.node.key == current.node.key)
            row = next(same, -1)
            if row >= 0:
                self.setCurrentIndex(self._tiles.index(row))
        self.viewport().update()

    def _tile(self, row: int) -> Tile | None:
        return self._layout.tiles[row] if 0 <= row < len(self._layout.tiles) else None

    # ------------------------------------------------------------ what Qt asks of an item view

    def visualRect(self, index: _Index) -> QRect:  # noqa: N802
        """Where a tile is, also for screen readers."""
        tile = self._tile(index.row())
        return QRectF(*tile.box).toAlignedRect() if tile is not None else QRect()

    def indexAt(self, point: QPoint) -> QModelIndex:  # noqa: N802
        """The tile at a point."""
        for row, (_, box, _, _) in enumerate(self._layout.tiles):
            if box.x <= point.x() <= box.x + box.width and box.y <= point.y() <= box.y + box.height:
                return self._tiles.index(row)
        return QModelIndex()

    def scrollTo(  # noqa: N802
        self, index: _Index, hint: QAbstractItemView.ScrollHint = QAbstractItemView.ScrollHint.EnsureVisible
    ) -> None:
        """Everything is always in sight."""

    def doItemsLayout(self) -> None:  # noqa: N802
        """The tiles have their places already."""

    def setSelection(  # noqa: N802
        self, rect: QRect, command: QItemSelectionModel.SelectionFlag
    ) -> None:
        """Chooses the tile at a point."""
        index = self.indexAt(rect.topLeft())
        self.selectionModel().select(QItemSelection(index, index), command)

    def visualRegionForSelection(self, selection: QItemSelection) -> QRegion:  # noqa: N802
        """What a change of the selection redraws: the outline, which lies within the tile."""
        region = QRegion()
        for index in selection.indexes():
            region += QRegion(self.visualRect(index))
        return region

    def moveCursor(  # noqa: N802
        self, action: QAbstractItemView.CursorAction, modifiers: Qt.KeyboardModifier
    ) -> QModelIndex:
        """The tile that an arrow key leads to: the nearest in its direction."""
        tiles = self._layout.tiles
        row = self.currentIndex().row()
        if not tiles:
            return QModelIndex()
        cursor = QAbstractItemView.CursorAction
        if action is cursor.MoveHome or not 0 <= row < len(tiles):
            return self._tiles.index(0)
        if action is cursor.MoveEnd:
            return self._tiles.index(len(tiles) - 1)
        step = {
            cursor.MoveLeft: (-1, 0),
            cursor.MoveRight: (1, 0),
            cursor.MoveUp: (0, -1),
            cursor.MoveDown: (0, 1),
        }.get(action)
        return self._tiles.index(row if step is None else towards(tiles, row, *step))

    def sizeHint(self) -> QSize:  # noqa: N802
        """As wide as its card."""
        return QSize(Size.MAP, Size.MAP)

    # ------------------------------------------------------------ mouse and keyboard

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        """Enter zooms into the folder of the current tile, Escape and Backspace go back."""
        match event.key():
            case Qt.Key.Key_Return | Qt.Key.Key_Enter:
                self._enter(self._tile(self.currentIndex().row()))
            case Qt.Key.Key_Escape | Qt.Key.Key_Backspace:
                if not self.back():
                    event.ignore()
            case _:
                super().keyPressEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        """A caption zooms into its folder; a tile becomes the current one."""
        group = self._caption_at(event.position().toPoint())
        if group is not None:
            self.zoom(group.node)
            return
        super().mousePressEvent(event)
        tile = self._tile(self.indexAt(event.position().toPoint()).row())
        if tile is not None and tile.kind == "leaf":
            self.chosen.emit(tile.node.key)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        """Zooms into the folder of a tile."""
        self._enter(self._tile(self.indexAt(event.position().toPoint()).row()))

    def viewportEvent(self, event: QEvent) -> bool:  # noqa: N802
        """Reads the tile under the mouse."""
        if isinstance(event, QHoverEvent):
            left = event.type() == QEvent.Type.HoverLeave
            self._hover(-1 if left else self.indexAt(event.position().toPoint()).row())
        return super().viewportEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        """Lays everything out anew."""
        super().resizeEvent(event)
        self._lay_out()

    def focusInEvent(self, event: QFocusEvent) -> None:  # noqa: N802
        """Reads the first tile when the keyboard arrives."""
        super().focusInEvent(event)
        if not self.currentIndex().isValid() and self._layout.tiles:
            self.setCurrentIndex(self._tiles.index(0))
        self._tell()

    def focusOutEvent(self, event: QFocusEvent) -> None:  # noqa: N802
        """The keyboard is elsewhere."""
        super().focusOutEvent(event)
        self._tell()

    def _enter(self, tile: Tile | None) -> None:
        if tile is None:
            return
        if tile.kind == "leaf":
            self.chosen.emit(tile.node.key)
        if tile.group is not None:
            self.zoom(tile.group)

    def _caption_at(self, point: QPoint) -> Group | None:
        inside = [
            group
            for group in self._layout.groups
            if QRectF(group.box.x, group.box.y, group.box.width, Size.MAP_CAPTION).contains(point)
        ]
        return inside[-1] if inside else None

    def _hover(self, row: int) -> None:
        if row != self._hovered:
            self._hovered = row
            self._tell()
            self.viewport().update()

    def _tell(self) -> None:
        row = self._hovered if self._hovered >= 0 else self.currentIndex().row() if self.hasFocus() else -1
        tile = self._tile(row)
        self.read.emit("" if tile is None else self._describe(tile))
        self.viewport().update()

    # ------------------------------------------------------------ drawing

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        """Draws captions and tiles."""
        painter = QPainter(self.viewport())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colors = theme.colors
        caption = font(Type.CAPTION)
        metrics = QFontMetrics(caption)
        painter.setFont(caption)
        for group in self._layout.groups:
            self._draw_group(painter, group, metrics)
        pens = [
            QPen(QColor(colors.text if step else colors.control), width)
            for step, width in enumerate(Size.MAP_OUTLINES)
        ]
        grounds = [QColor(color) for color in colors.ramp]
        for tile in self._layout.tiles:
            node, box = tile.node, tile.box
            pen = pens[node.outline]
            inset = min(pen.widthF(), box.width, box.height) / 2
            rect = QRectF(*box).adjusted(inset, inset, -inset, -inset)
            painter.setPen(pen)
            painter.setBrush(grounds[node.shade])
            painter.drawRoundedRect(rect, Size.FOCUS, Size.FOCUS)
            if box.width >= Size.MAP_TEXT[0] and box.height >= Size.MAP_TEXT[1]:
                self._draw_words(painter, tile, metrics)
        for tile in self._layout.tiles:
            if tile.node.key in self._marked and tile.kind == "leaf":
                self._draw_dot(painter, tile)
        if self.hasFocus():
            self._draw_mark(painter, self.currentIndex().row(), colors.accent)
        if self._hovered >= 0:
            self._draw_mark(painter, self._hovered, colors.accent)

    def _draw_group(self, painter: QPainter, group: Group, metrics: QFontMetrics) -> None:
        box = group.box
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme.colors.track))
        painter.drawRoundedRect(QRectF(*box), Size.FOCUS, Size.FOCUS)
        painter.setPen(QColor(theme.colors.muted))
        words = QRectF(box.x + Space.XS, box.y, box.width - 2 * Space.XS, Size.MAP_CAPTION)
        shown = metrics.elidedText(group.node.name, Qt.TextElideMode.ElideMiddle, int(words.width()))
        painter.drawText(words, int(Qt.AlignmentFlag.AlignVCenter), shown)

    def _draw_words(self, painter: QPainter, tile: Tile, metrics: QFontMetrics) -> None:
        box = tile.box
        painter.setPen(QColor(theme.colors.on_ramp[tile.node.shade]))
        edge = Space.XS + Size.FOCUS
        width = box.width - 2 * edge
        top = box.y + Space.XS
        for line in self._label(tile):
            if line and top + metrics.height() <= box.y + box.height - Size.FOCUS:
                shown = metrics.elidedText(line, Qt.TextElideMode.ElideRight, int(width))
                painter.drawText(
                    QRectF(box.x + edge, top, width, metrics.height()),
                    int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft),
                    shown,
                )
                top += metrics.height()

    @staticmethod
    def _draw_dot(painter: QPainter, tile: Tile) -> None:
        """A dot in the lower right corner, in two colours, so that it can be seen on every shade."""
        side = min(Size.MAP_DOT, tile.box.width, tile.box.height)
        right, bottom = tile.box.x + tile.box.width, tile.box.y + tile.box.height
        edge = min(Space.XS, tile.box.width - side, tile.box.height - side)
        painter.setPen(QPen(QColor(theme.colors.surface), Size.FOCUS))
        painter.setBrush(QColor(theme.colors.text))
        inset = Size.FOCUS / 2
        dot = QRectF(right - side - edge, bottom - side - edge, side, side)
        painter.drawEllipse(dot.adjusted(inset, inset, -inset, -inset))

    def _draw_mark(self, painter: QPainter, row: int, color: str) -> None:
        """A ring of two colours, so that it can be seen on every shade."""
        tile = self._tile(row)
        if tile is None:
            return
        painter.setBrush(Qt.BrushStyle.NoBrush)
        rect = QRectF(*tile.box)
        for inset, width, ring in ((0, Size.FOCUS, color), (Size.FOCUS, 1, theme.colors.surface)):
            painter.setPen(QPen(QColor(ring), width))
            by = inset + width / 2
            painter.drawRoundedRect(rect.adjusted(by, by, -by, -by), Size.FOCUS, Size.FOCUS)
