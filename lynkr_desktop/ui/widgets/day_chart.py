"""The 24 bars of a day. Arrow keys and the mouse read a value off."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QEvent, QPoint, QRectF, QSize, Qt
from PySide6.QtGui import (
    QAccessible,
    QAccessibleEvent,
    QColor,
    QFocusEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from lynkr_desktop.ui.theme.theme import theme
from lynkr_desktop.ui.theme.tokens import Size, Space
from lynkr_desktop.ui.widgets.icons import draw_focus

HOURS = 24


class DayChart(QWidget):
    """A bar per clock hour.

    Args:
        describe: words for the value of one hour, for the tool tip and for screen readers.
    """

    def __init__(self, accessible_name: str, describe: Callable[[int, float], str]) -> None:
        super().__init__()
        self._describe = describe
        self._values: tuple[float, ...] = (0.0,) * HOURS
        self._now = HOURS - 1
        self._chosen: int | None = None
        self.setAccessibleName(accessible_name)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setMinimumHeight(Size.CHART_BAR + Space.XS)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def set_values(self, values: Sequence[float], now: int) -> None:
        """Shows the hours 0 to 23; those after `now` have not come yet."""
        padded = (*values, *([0.0] * HOURS))[:HOURS]
        if (padded, now) != (self._values, self._now):
            self._values, self._now = padded, now
            self._announce()
            self.update()

    def sizeHint(self) -> QSize:  # noqa: N802
        """As wide as its card."""
        return QSize(HOURS * (Size.CHART_GAP + Space.S), Size.CHART_BAR + Space.XS)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        """Left, Right, Home and End move the hour that is read; Escape lets go."""
        chosen = self._now if self._chosen is None else self._chosen
        match event.key():
            case Qt.Key.Key_Left:
                self._choose(max(0, chosen - 1))
            case Qt.Key.Key_Right:
                self._choose(min(HOURS - 1, chosen + 1))
            case Qt.Key.Key_Home:
                self._choose(0)
            case Qt.Key.Key_End:
                self._choose(HOURS - 1)
            case Qt.Key.Key_Escape:
                self._choose(None)
            case _:
                super().keyPressEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        """The hour under the mouse is read."""
        step = self.width() / HOURS
        self._choose(min(HOURS - 1, max(0, int(event.position().x() / step))))

    def leaveEvent(self, event: QEvent) -> None:  # noqa: N802
        """The mouse is gone."""
        self._choose(None)

    def focusOutEvent(self, event: QFocusEvent) -> None:  # noqa: N802
        """The keyboard is elsewhere."""
        self._choose(None)
        super().focusOutEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        """Draws the bars; an hour without a value is a stroke on the ground line."""
        colors = theme.colors
        painter = QPainter(self)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        most = max(self._values, default=0.0)
        step = (self.width() + Size.CHART_GAP) / HOURS
        ground = self.height()
        for hour, value in enumerate(self._values):
            left, width = hour * step, step - Size.CHART_GAP
            if value > 0:
                height = max(Size.FOCUS, Size.CHART_BAR * value / most)
                painter.setBrush(QColor(colors.text if hour == self._chosen else colors.accent))
                painter.drawRoundedRect(QRectF(left, ground - height, width, height), 1, 1)
            else:
                role = colors.line if hour > self._now else colors.control
                painter.setBrush(QColor(colors.accent if hour == self._chosen else role))
                painter.drawRect(QRectF(left, ground - Size.CHART_EMPTY, width, Size.CHART_EMPTY))
        if self.hasFocus() and self._chosen is None:
            draw_focus(painter, QRectF(self.rect()))

    def _choose(self, hour: int | None) -> None:
        if hour == self._chosen:
            return
        self._chosen = hour
        self._announce()
        self.update()
        if hour is None:
            QToolTip.hideText()
        else:
            x = int((hour + 0.5) * self.width() / HOURS)
            QToolTip.showText(self.mapToGlobal(QPoint(x, 0)), self._describe(hour, self._values[hour]), self)

    def _announce(self) -> None:
        hour = self._now if self._chosen is None else self._chosen
        self.setAccessibleDescription(self._describe(hour, self._values[hour]))
        QAccessible.updateAccessibility(QAccessibleEvent(self, QAccessible.Event.DescriptionChanged))
