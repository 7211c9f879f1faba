"""A menu whose entries can have a check mark and an icon at once.

Qt's styles draw one or the other. Over D-Bus the panel draws the menu and none of this is used.
"""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QAction, QColor, QPainter, QPaintEvent, QPixmap
from PySide6.QtWidgets import QMenu

from lynkr_desktop.ui.theme import icons
from lynkr_desktop.ui.theme.fonts import font
from lynkr_desktop.ui.theme.theme import theme
from lynkr_desktop.ui.theme.tokens import Size, Space, Type
from lynkr_desktop.ui.widgets.card import hairline, snapped


class PaintedMenu(QMenu):
    """Columns: check mark, icon, words, arrow of a sub-menu."""

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        """Draws ground, outline and entries."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.fillRect(self.rect(), QColor(theme.colors.surface))
        painter.setPen(hairline(self, theme.colors.line))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRect(snapped(self, QRectF(self.rect())))
        for action in self.actions():
            if action.isVisible():
                self._draw(painter, action)

    def _draw(self, painter: QPainter, action: QAction) -> None:
        colors = theme.colors
        rect = QRectF(self.actionGeometry(action))
        if action.isSeparator():
            painter.fillRect(
                QRectF(Size.HAIRLINE, rect.center().y(), self.width() - 2 * Size.HAIRLINE, Size.HAIRLINE),
                QColor(colors.line),
            )
            return
        if action is self.activeAction() and action.isEnabled():
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colors.selected))
            painter.drawRoundedRect(rect, Size.RADIUS, Size.RADIUS)
        if action.isCheckable() and action.isChecked():
            self._draw_icon(painter, "check", rect, Size.MENU_CHECK)
        if not action.icon().isNull():
            image = action.icon().pixmap(QSize(Size.ICON_SMALL, Size.ICON_SMALL), self.devicePixelRatioF())
            self._draw_pixmap(painter, image, rect, Size.MENU_ICON)
        painter.setFont(font(Type.HEAVY if action is self.defaultAction() else Type.BODY))
        painter.setPen(QColor(colors.text if action.isEnabled() else colors.muted))
        words = rect.adjusted(Size.MENU_TEXT - rect.left(), 0, -Space.XL, 0)
        painter.drawText(words, int(Qt.AlignmentFlag.AlignVCenter), action.text().replace("&", ""))
        if action.menu() is not None:
            self._draw_icon(painter, "chevron-right", rect, rect.width() - Space.L)

    def _draw_icon(self, painter: QPainter, name: str, rect: QRectF, left: float) -> None:
        image = icons.pixmap(name, theme.colors.text, Size.ICON_SMALL, self.devicePixelRatioF())
        self._draw_pixmap(painter, image, rect, left)

    @staticmethod
    def _draw_pixmap(painter: QPainter, image: QPixmap, rect: QRectF, left: float) -> None:
        side = Size.ICON_SMALL
        top = rect.top() + (rect.height() - side) / 2
        painter.drawPixmap(QRectF(left, top, side, side), image, QRectF(image.rect()))
