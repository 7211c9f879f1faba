"""Named points as horizontal bars from one axis: solid to the right, hollow to the left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QPersistentModelIndex,
    QRect,
    QRectF,
    QSize,
    Qt,
)
from PySide6.QtGui import QColor, QFocusEvent, QFontMetrics, QPainter, QPen
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
)

from lynkr_desktop.ui.theme.fonts import font
from lynkr_desktop.ui.theme.theme import theme
from lynkr_desktop.ui.theme.tokens import Column, Size, Space, Type
from lynkr_desktop.ui.widgets.card import hairline

_Index = QModelIndex | QPersistentModelIndex
_ROW = int(Qt.ItemDataRole.UserRole)


@dataclass(frozen=True)
class Reason:
    """One bar: a name, a word about what was measured, the points and how they are written."""

    name: str
    detail: str
    points: float
    written: str
    total: bool = False


class _Reasons(QAbstractListModel):
    def __init__(self) -> None:
        super().__init__()
        self.reasons: list[Reason] = []

    def set_reasons(self, reasons: Sequence[Reason]) -> None:
        self.beginResetModel()
        self.reasons = list(reasons)
        self.endResetModel()

    def rowCount(self, parent: _Index | None = None) -> int:  # noqa: N802
        return 0 if parent is not None and parent.isValid() else len(self.reasons)

    def data(self, index: _Index, role: int = int(Qt.ItemDataRole.DisplayRole)) -> Any:
        if not 0 <= index.row() < len(self.reasons):
            return None
        reason = self.reasons[index.row()]
        if role == _ROW:
            return reason
        if role == Qt.ItemDataRole.DisplayRole:
            return reason.name
        if role in (Qt.ItemDataRole.AccessibleTextRole, Qt.ItemDataRole.ToolTipRole):
            return ", ".join(part for part in (reason.name, reason.detail, reason.written) if part)
        return None


class _Delegate(QStyledItemDelegate):
    """Name and detail, the bar, the points."""

    def __init__(self, view: QListView) -> None:
        super().__init__(view)
        self.low, self.high = 0.0, 1.0

    def sizeHint(self, option: QStyleOptionViewItem, index: _Index) -> QSize:  # noqa: N802
        return QSize(0, Size.REASON_ROW)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        reason: Reason = index.data(_ROW)
        view = self.parent()
        assert isinstance(view, QListView)
        rect: QRect = option.rect
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if option.state & QStyle.StateFlag.State_HasFocus:
            painter.fillRect(rect, QColor(theme.colors.selected))
        if reason.total:
            painter.setPen(hairline(view, theme.colors.line))
            painter.drawLine(rect.topLeft(), rect.topRight())
        bars = min(max(Column.BARS, rect.width() // 4), rect.width() // 3)
        written = QRect(rect.right() + 1 - Column.POINTS, rect.top(), Column.POINTS, rect.height())
        area = QRectF(written.left() - bars, rect.top(), bars, rect.height())
        self._draw_words(
            painter, reason, QRect(rect.left(), rect.top(), int(area.left()) - rect.left(), rect.height())
        )
        if not reason.total:
            self._draw_bar(painter, reason, area)
        painter.setFont(font(Type.HEAVY if reason.total else Type.BODY))
        painter.setPen(QColor(theme.colors.text))
        painter.drawText(
            written, int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter), reason.written
        )
        painter.restore()

    def _draw_words(self, painter: QPainter, reason: Reason, rect: QRect) -> None:
        middle = int(Qt.AlignmentFlag.AlignVCenter)
        width = rect.width() - Space.M
        name = font(Type.HEAVY if reason.total else Type.BODY)
        metrics = QFontMetrics(name)
        shown = metrics.elidedText(reason.name, Qt.TextElideMode.ElideRight, width)
        painter.setFont(name)
        painter.setPen(QColor(theme.colors.text))
        painter.drawText(rect, middle, shown)
        used = metrics.horizontalAdvance(shown) + Space.S
        caption = font(Type.CAPTION)
        detail = QFontMetrics(caption).elidedText(
            reason.detail, Qt.TextElideMode.ElideRight, max(0, width - used)
        )
        painter.setFont(caption)
        painter.setPen(QColor(theme.colors.muted))
        painter.drawText(rect.adjusted(used, 0, 0, 0), middle, detail)

    def _draw_bar(self, painter: QPainter, reason: Reason, area: QRectF) -> None:
        colors = theme.colors
        span = self.high - self.low or 1.0
        scale = (area.width() - Space.S) / span
        axis = area.left() - self.low * scale
        height = Size.SCORE_BAR
        top = area.center().y() - height / 2
        width = max(Size.FOCUS, abs(reason.points) * scale) if reason.points else 0.0
        inset = Size.HAIRLINE / 2
        if reason.points > 0:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colors.muted))
            painter.drawRoundedRect(QRectF(axis, top, width, height), 1, 1)
        elif reason.points < 0:
            painter.setPen(QPen(QColor(colors.muted), Size.HAIRLINE))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            box = QRectF(axis - width, top, width, height)
            painter.drawRoundedRect(box.adjusted(inset, inset, -inset, -inset), 1, 1)
        painter.setPen(QPen(QColor(colors.text), Size.HAIRLINE))
        x = round(axis) + 0.5
        edge = Space.XS + Size.HAIRLINE
        painter.drawLine(int(x), int(area.top()) + edge, int(x), int(area.bottom()) - edge)


class ReasonList(QListView):
    """All bars on one scale; as high as its rows."""

    def __init__(self, accessible_name: str) -> None:
        super().__init__()
        self._reasons = _Reasons()
        self._delegate = _Delegate(self)
        self.setModel(self._reasons)
        self.setItemDelegate(self._delegate)
        self.setAccessibleName(accessible_name)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setUniformItemSizes(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    @property
    def reasons(self) -> list[Reason]:
        """What is shown."""
        return self._reasons.reasons

    def set_reasons(self, reasons: Sequence[Reason]) -> None:
        """Shows other bars."""
        if list(reasons) == self._reasons.reasons:
            return
        bars = [reason.points for reason in reasons if not reason.total]
        self._delegate.low = min([0.0, *bars])
        self._delegate.high = max([0.0, *bars])
        self._reasons.set_reasons(reasons)
        self.setFixedHeight(Size.REASON_ROW * len(reasons))

    def focusInEvent(self, event: QFocusEvent) -> None:  # noqa: N802
        """The keyboard arrives at the first row."""
        super().focusInEvent(event)
        if not self.currentIndex().isValid() and self._reasons.reasons:
            self.setCurrentIndex(self._reasons.index(0))
