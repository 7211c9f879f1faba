"""The navigation at the left: the pages, and at its foot the engine's state with Start and Stop."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPaintEvent
from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from lynkr_desktop.ui.controller import Actions
from lynkr_desktop.ui.engine_model import EngineModel, Phase
from lynkr_desktop.ui.state_words import phase_detail, phase_icon, phase_word
from lynkr_desktop.ui.theme import icons
from lynkr_desktop.ui.theme.fonts import font
from lynkr_desktop.ui.theme.theme import theme
from lynkr_desktop.ui.theme.tokens import Size, Space, Type
from lynkr_desktop.ui.widgets.buttons import button
from lynkr_desktop.ui.widgets.card import Line
from lynkr_desktop.ui.widgets.icons import IconButton, IconLabel, draw_focus
from lynkr_desktop.ui.widgets.labels import ElidedLabel


class NavigationItem(QPushButton):
    """A page's entry: icon and word, or the icon alone."""

    def __init__(self, icon_name: str, text: str) -> None:
        super().__init__(text)
        self._icon_name = icon_name
        self._collapsed = False
        self.setCheckable(True)
        self.setAutoExclusive(True)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setAccessibleName(self.plain_text)
        self.setFixedHeight(Size.NAV_ITEM)

    @property
    def plain_text(self) -> str:
        """The word without its mnemonic."""
        return self.text().replace("&", "")

    def set_collapsed(self, collapsed: bool) -> None:
        """Shows the icon alone; the word moves to the tool tip."""
        self._collapsed = collapsed
        self.setToolTip(self.plain_text if collapsed else "")
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802
        """The whole width."""
        return QSize(Size.NAV_ITEM, Size.NAV_ITEM)

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """An icon."""
        return QSize(Size.NAV_ITEM, Size.NAV_ITEM)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        """Draws ground, icon and word."""
        colors = theme.colors
        chosen = self.isChecked()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if chosen or self.underMouse():
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colors.selected if chosen else colors.hover))
            painter.drawRoundedRect(QRectF(self.rect()), Size.RADIUS, Size.RADIUS)
        if self.hasFocus():
            draw_focus(painter, QRectF(self.rect()))
        left = (self.width() - Size.ICON) / 2 if self._collapsed else Size.NAV_ICON_LEFT
        image = icons.pixmap(
            self._icon_name, colors.accent if chosen else colors.muted, Size.ICON, self.devicePixelRatioF()
        )
        top = (self.height() - Size.ICON) / 2
        painter.drawPixmap(QRectF(left, top, Size.ICON, Size.ICON), image, QRectF(image.rect()))
        if self._collapsed:
            return
        painter.setFont(font(Type.HEAVY if chosen else Type.BODY))
        painter.setPen(QColor(colors.text if chosen else colors.muted))
        metrics = QFontMetrics(painter.font())
        width = self.width() - Size.NAV_TEXT_LEFT - Space.S
        painter.drawText(
            QRectF(Size.NAV_TEXT_LEFT, 0, width, self.height()),
            int(Qt.AlignmentFlag.AlignVCenter),
            metrics.elidedText(self.plain_text, Qt.TextElideMode.ElideRight, width),
        )


class EngineFoot(QWidget):
    """The engine's state, its port, and the button that starts or stops it."""

    def __init__(self, model: EngineModel, actions: Actions) -> None:
        super().__init__()
        self._model, self._actions = model, actions
        self._icon = IconLabel(size=Size.STATE_DOT)
        self._word = ElidedLabel("", Type.STRONG)
        self._detail = ElidedLabel("", Type.CAPTION, "muted")
        self._button = button("", self._press, dense=True)
        self._small = IconButton("start", "")
        self._small.clicked.connect(self._press)
        self._words = QWidget()
        column = QVBoxLayout(self._words)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addStretch(1)
        column.addWidget(self._word)
        column.addWidget(self._detail)
        column.addStretch(1)
        self._row = QHBoxLayout(self)
        self._row.setSpacing(Space.S)
        self._row.addWidget(self._icon)
        self._row.addWidget(self._words, 1)
        self._row.addWidget(self._button)
        self._row.addWidget(self._small)
        self.setFixedHeight(Size.NAV_FOOT)
        self.set_collapsed(False)
        model.changed.connect(self.refresh)
        self.refresh()

    def set_collapsed(self, collapsed: bool) -> None:
        """Shows state and button as icons."""
        self._words.setVisible(not collapsed)
        self._button.setVisible(not collapsed)
        self._small.setVisible(collapsed)
        self._row.setSpacing(0 if collapsed else Space.S)
        edge = Space.XS if collapsed else Space.M
        self._row.setContentsMargins(Space.S if collapsed else Space.L + Space.XS, 0, edge, 0)

    def refresh(self) -> None:
        """Shows the state."""
        name, role = phase_icon(self._model.phase)
        status = self._model.status
        # A shield in place of the dot: that nothing leaves the machine is seen before it is read.
        if self._model.phase is Phase.RUNNING and status is not None and status.profile.local_only:
            name = "approvals"
        self._icon.show_icon(name, role)
        self._word.set_text(phase_word(self._model))
        self._detail.set_text(phase_detail(self._model))
        self._detail.setVisible(bool(self._detail.text()))
        self.setAccessibleName(f"{phase_word(self._model)} {self._detail.text()}".strip())
        self.setToolTip(self.accessibleName())
        starts = self._model.startable
        forced = self._model.phase is Phase.STOPPING
        word = self.tr("&Start") if starts else self.tr("Stop &now") if forced else self.tr("&Stop")
        self._button.set_text(word)
        self._button.setAccessibleName(self.tr("Start the engine") if starts else self.tr("Stop the engine"))
        self._small.set_name(self._button.accessibleName())
        self._small.set_icon("start" if starts else "stop")

    def _press(self) -> None:
        if self._model.startable:
            self._actions.start()
        else:
            self._actions.stop()


class Navigation(QWidget):
    """The column at the left.

    Signals:
        chosen: the index of the page that was asked for.
    """

    chosen = Signal(int)

    def __init__(self, model: EngineModel, actions: Actions) -> None:
        super().__init__()
        self._group = QButtonGroup(self)
        self._group.idClicked.connect(self.chosen)
        self._items: list[NavigationItem] = []
        self._foot = EngineFoot(model, actions)
        self._list = QVBoxLayout()
        self._list.setContentsMargins(Space.M, Space.M, Space.M, 0)
        self._list.setSpacing(0)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(self._list)
        column.addStretch(1)
        column.addWidget(Line())
        column.addWidget(self._foot)
        self.set_collapsed(False)

    def add_page(self, icon_name: str, text: str, *, new_group: bool = False) -> None:
        """Adds an entry; its index is the number of those before it."""
        if new_group:
            self._list.addSpacing(Space.L)
        item = NavigationItem(icon_name, text)
        self._group.addButton(item, len(self._items))
        self._items.append(item)
        self._list.addWidget(item)

    def show_chosen(self, index: int) -> None:
        """Marks an entry as the current page."""
        self._items[index].setChecked(True)

    def set_collapsed(self, collapsed: bool) -> None:
        """Icons alone, or icons with words."""
        self.setFixedWidth(Size.NAV_COLLAPSED if collapsed else Size.NAV)
        for item in self._items:
            item.set_collapsed(collapsed)
        self._foot.set_collapsed(collapsed)
