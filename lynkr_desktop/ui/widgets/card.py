"""Surfaces without shadows, and hairlines that stay sharp at 125 and 150 percent."""

from __future__ import annotations

from PySide6.QtCore import QLineF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QFrame, QSizePolicy, QWidget

from lynkr_desktop.ui.theme.theme import theme
from lynkr_desktop.ui.theme.tokens import Size


def _device_pixels(widget: QWidget) -> int:
    """The width of a hairline: as many whole device pixels as fit into one pixel of the layout."""
    return max(1, int(Size.HAIRLINE * widget.devicePixelRatioF()))


def hairline(widget: QWidget, color: str) -> QPen:
    """A pen for hairlines, measured in device pixels."""
    pen = QPen(QColor(color), _device_pixels(widget))
    pen.setCosmetic(True)
    return pen


def snapped(widget: QWidget, rect: QRectF) -> QRectF:
    """A rectangle whose outline falls on whole device pixels."""
    ratio = widget.devicePixelRatioF()
    half = _device_pixels(widget) / 2 / ratio
    left, top = round(rect.left() * ratio) / ratio, round(rect.top() * ratio) / ratio
    right, bottom = round(rect.right() * ratio) / ratio, round(rect.bottom() * ratio) / ratio
    return QRectF(left + half, top + half, right - left - 2 * half, bottom - top - 2 * half)


class Card(QFrame):
    """A surface with a rounded hairline. Children must keep clear of the corners: nothing clips them."""

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        """Draws ground and outline."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(hairline(self, theme.colors.line))
        painter.setBrush(QColor(theme.colors.surface))
        painter.drawRoundedRect(snapped(self, QRectF(self.rect())), Size.RADIUS, Size.RADIUS)


class Line(QWidget):
    """A hairline between rows or columns."""

    def __init__(self, orientation: Qt.Orientation = Qt.Orientation.Horizontal) -> None:
        super().__init__()
        self._horizontal = orientation is Qt.Orientation.Horizontal
        fixed, wide = QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Expanding
        if self._horizontal:
            self.setSizePolicy(wide, fixed)
            self.setFixedHeight(Size.HAIRLINE)
        else:
            self.setSizePolicy(fixed, wide)
            self.setFixedWidth(Size.HAIRLINE)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        """Draws the line on whole device pixels."""
        painter = QPainter(self)
        painter.setPen(hairline(self, theme.colors.line))
        half = _device_pixels(self) / 2 / self.devicePixelRatioF()
        if self._horizontal:
            painter.drawLine(QLineF(0, half, self.width(), half))
        else:
            painter.drawLine(QLineF(half, 0, half, self.height()))
