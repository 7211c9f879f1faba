"""Icons in the window: they take their colour when painted, so a change of theme needs no bookkeeping."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen, QPixmap
from PySide6.QtWidgets import QAbstractButton, QWidget

from lynkr_desktop.protocol.tiers import Tier
from lynkr_desktop.ui.theme import icons
from lynkr_desktop.ui.theme.theme import theme
from lynkr_desktop.ui.theme.tokens import Size


def role_color(role: str) -> str:
    """The colour in force of a role, by its name in `Colors`."""
    return str(getattr(theme.colors, role))


class IconLabel(QWidget):
    """An icon of the set in the colour of a role. It is decoration: what it means stands beside it."""

    def __init__(self, name: str = "", role: str = "muted", size: int = Size.ICON) -> None:
        super().__init__()
        self._name, self._role, self._size = name, role, size
        self.setFixedSize(size, size)

    def show_icon(self, name: str, role: str) -> None:
        """Shows another icon; no name shows none."""
        if (name, role) != (self._name, self._role):
            self._name, self._role = name, role
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        """Draws the icon."""
        if self._name:
            ratio = self.devicePixelRatioF()
            QPainter(self).drawPixmap(
                0, 0, icons.pixmap(self._name, role_color(self._role), self._size, ratio)
            )


class TierMark(QWidget):
    """The mark of a tier, or nothing."""

    def __init__(self, tier: Tier | None, size: int = Size.MARK) -> None:
        super().__init__()
        self._tier, self._size = tier, size
        self.setFixedSize(size, size)

    def set_tier(self, tier: Tier | None) -> None:
        """Shows another one."""
        if tier is not self._tier:
            self._tier = tier
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        """Draws the mark."""
        if self._tier is None:
            return
        mark = icons.tier_pixmap(self._tier, theme.colors, self._size, self.devicePixelRatioF())
        QPainter(self).drawPixmap(0, 0, mark)


class IconButton(QAbstractButton):
    """A button that is an icon. Its name is its tool tip too, so that nobody has to guess."""

    def __init__(self, name: str, accessible_name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._name = name
        self.setFixedSize(Size.DENSE, Size.DENSE)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        self.set_name(accessible_name)

    def set_name(self, accessible_name: str) -> None:
        """What it does, for screen readers and for the tool tip."""
        self.setAccessibleName(accessible_name)
        self.setToolTip(accessible_name)

    def set_icon(self, name: str) -> None:
        """Shows another icon."""
        self._name = name
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802
        """A dense control."""
        return QSize(Size.DENSE, Size.DENSE)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        """Draws ground on hover, ring on focus, and the icon."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self.isDown() or self.underMouse():
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(theme.colors.selected if self.isDown() else theme.colors.hover))
            painter.drawRoundedRect(QRectF(self.rect()), Size.RADIUS, Size.RADIUS)
        if self.hasFocus():
            draw_focus(painter, QRectF(self.rect()))
        role = "text" if self.underMouse() else "muted"
        side = Size.ICON_SMALL
        offset = (Size.DENSE - side) / 2
        image: QPixmap = icons.pixmap(self._name, role_color(role), side, self.devicePixelRatioF())
        painter.drawPixmap(QRectF(offset, offset, side, side), image, QRectF(image.rect()))


def draw_focus(painter: QPainter, rect: QRectF, radius: float = Size.RADIUS) -> None:
    """The focus ring of painted widgets, inside `rect`."""
    painter.setPen(QPen(QColor(theme.colors.accent), Size.FOCUS))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    inset = Size.FOCUS / 2
    painter.drawRoundedRect(rect.adjusted(inset, inset, -inset, -inset), radius, radius)
