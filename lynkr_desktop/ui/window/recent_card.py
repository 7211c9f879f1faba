"""What happened last: ten requests, newest first."""

from __future__ import annotations

import time
from typing import Any

from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QPersistentModelIndex,
    QRect,
    QRectF,
    QSize,
    Qt,
    QTimer,
)
from PySide6.QtGui import QColor, QFontMetrics, QHideEvent, QPainter, QPixmap, QShowEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
)

from lynkr_desktop.protocol.control import RequestRow
from lynkr_desktop.ui import format as fmt
from lynkr_desktop.ui.engine_model import EngineModel
from lynkr_desktop.ui.state_words import tier_name
from lynkr_desktop.ui.theme import icons
from lynkr_desktop.ui.theme.fonts import font
from lynkr_desktop.ui.theme.theme import theme
from lynkr_desktop.ui.theme.tokens import Column, Size, Space, Type
from lynkr_desktop.ui.widgets.card import Card
from lynkr_desktop.ui.widgets.labels import Label, paragraph

SHOWN = 10
_ROW_ROLE = int(Qt.ItemDataRole.UserRole)
_Index = QModelIndex | QPersistentModelIndex


def failed(row: RequestRow) -> bool:
    """Whether a request ended badly."""
    return bool(row.error) or row.status >= 400


def title(row: RequestRow) -> str:
    """What a row says: the failure, the conversation's title, or who asked."""
    if failed(row):
        return row.error or f"{row.model or row.requested_model} answered {row.status}"
    return row.title or row.client or row.protocol


class RequestList(QAbstractListModel):
    """The rows, with words for screen readers."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[RequestRow] = []

    def set_rows(self, rows: list[RequestRow]) -> None:
        """Shows other rows."""
        if rows != self._rows:
            self.beginResetModel()
            self._rows = rows
            self.endResetModel()

    def rowCount(self, parent: _Index | None = None) -> int:  # noqa: N802
        """How many."""
        return 0 if parent is not None and parent.isValid() else len(self._rows)

    def data(self, index: _Index, role: int = int(Qt.ItemDataRole.DisplayRole)) -> Any:
        """The row itself, its title, its exact figures, or all of it in words."""
        if not 0 <= index.row() < len(self._rows):
            return None
        row = self._rows[index.row()]
        if role == _ROW_ROLE:
            return row
        if role == Qt.ItemDataRole.DisplayRole:
            return title(row)
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._details(row)
        if role == Qt.ItemDataRole.AccessibleTextRole:
            tier = tier_name(row.tier) if row.tier else ""
            state = self.tr("failed") if failed(row) else ""
            parts = (state, title(row), tier, row.model, fmt.exact(row.at))
            return ", ".join(part for part in parts if part)
        return None

    def _details(self, row: RequestRow) -> str:
        lines = [fmt.exact(row.at), f"{row.provider}/{row.model}".strip("/")]
        if row.reason:
            lines.append(row.reason)
        if row.status:
            cost = self.tr("price unknown") if row.cost is None else f"${row.cost:.4f}"
            lines.append(
                self.tr("{input:,} tokens in, {output:,} out, {cost}, {time:.1f} s").format(
                    input=row.input_tokens, output=row.output_tokens, cost=cost, time=row.latency_ms / 1000
                )
            )
        return "\n".join(line for line in lines if line)


class RequestDelegate(QStyledItemDelegate):
    """Draws time, mark, title, and the model at the right."""

    def sizeHint(self, option: QStyleOptionViewItem, index: _Index) -> QSize:  # noqa: N802
        """One event line."""
        return QSize(0, Size.EVENT_ROW)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        """Draws one line."""
        row: RequestRow = index.data(_ROW_ROLE)
        colors = theme.colors
        rect: QRect = option.rect
        painter.save()
        if option.state & QStyle.StateFlag.State_HasFocus:
            painter.fillRect(rect, QColor(colors.selected))
        edge = Space.L - Size.HAIRLINE
        left, right = rect.left() + edge, rect.right() + 1 - edge
        middle = int(Qt.AlignmentFlag.AlignVCenter)
        caption, body = font(Type.CAPTION), font(Type.BODY)
        painter.setFont(caption)
        painter.setPen(QColor(colors.muted))
        painter.drawText(QRect(left, rect.top(), Column.TIME, rect.height()), middle, self._age(row))
        model_width = min(
            QFontMetrics(caption).horizontalAdvance(row.model) + 1, (right - left - Column.TIME) // 2
        )
        model_rect = QRect(right - model_width, rect.top(), model_width, rect.height())
        shown = QFontMetrics(caption).elidedText(row.model, Qt.TextElideMode.ElideRight, model_width)
        painter.drawText(model_rect, middle | int(Qt.AlignmentFlag.AlignRight), shown)
        mark_left = left + Column.TIME
        image = self._mark(row, painter.device().devicePixelRatioF())
        if image is not None:
            top = rect.top() + (rect.height() - Size.MARK) / 2
            painter.drawPixmap(QRectF(mark_left, top, Size.MARK, Size.MARK), image, QRectF(image.rect()))
        text_left = mark_left + Size.MARK + Space.S
        text_width = model_rect.left() - Space.M - text_left
        painter.setFont(body)
        painter.setPen(QColor(colors.text))
        line = " ".join(title(row).split())
        painter.drawText(
            QRect(text_left, rect.top(), text_width, rect.height()),
            middle,
            QFontMetrics(body).elidedText(line, Qt.TextElideMode.ElideRight, text_width),
        )
        painter.restore()

    def _age(self, row: RequestRow) -> str:
        return self.tr("now") if not row.status else fmt.age(row.at, time.time())

    @staticmethod
    def _mark(row: RequestRow, ratio: float) -> QPixmap | None:
        if failed(row):
            return icons.pixmap("state-problem", theme.colors.risk, Size.MARK, ratio)
        return None if row.tier is None else icons.tier_pixmap(row.tier, theme.colors, Size.MARK, ratio)


class RecentCard(Card):
    """The ten latest requests."""

    def __init__(self, model: EngineModel) -> None:
        super().__init__()
        self._model = model
        self._list = RequestList()
        self._view = QListView()
        self._view.setModel(self._list)
        self._view.setItemDelegate(RequestDelegate(self._view))
        self._view.setUniformItemSizes(True)
        self._view.setAccessibleName(self.tr("What happened last"))
        self._view.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._view.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self._view.setFixedHeight(SHOWN * Size.EVENT_ROW)
        self._view.setMinimumWidth(0)
        self._empty = paragraph(self.tr("Each request will stand here: which model took it, and when."))
        self._empty.setContentsMargins(Space.L - Size.HAIRLINE, 0, Space.L, 0)
        heading = Label(self.tr("What happened last"), Type.SECTION)
        heading.setContentsMargins(Space.L - Size.HAIRLINE, 0, Space.L, 0)
        column = QVBoxLayout(self)
        column.setContentsMargins(Size.HAIRLINE, Space.M - Size.FOCUS, Size.HAIRLINE, Space.XS + Size.FOCUS)
        column.setSpacing(Space.S + Size.FOCUS)
        column.addWidget(heading)
        column.addWidget(self._empty)
        column.addWidget(self._view)
        column.addStretch(1)
        self._tick = QTimer(self)
        self._tick.setInterval(1000)
        self._tick.timeout.connect(self._view.viewport().update)
        model.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Shows the latest requests."""
        rows = self._model.requests[:SHOWN]
        self._list.set_rows(rows)
        self._empty.setVisible(not rows)
        self._view.setVisible(bool(rows))

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        """Times move on while they are seen."""
        self._tick.start()
        super().showEvent(event)

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802
        """Nobody looks."""
        self._tick.stop()
        super().hideEvent(event)
