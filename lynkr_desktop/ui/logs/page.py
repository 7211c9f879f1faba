"""The Logs page: follows the engine's log, filters it by level and text, copies it."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QItemSelectionModel, Qt, QTimer
from PySide6.QtGui import QGuiApplication, QHideEvent, QKeySequence, QShortcut, QShowEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QLineEdit,
    QListView,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from lynkr_desktop.ui.controller import Actions
from lynkr_desktop.ui.engine_model import EngineModel
from lynkr_desktop.ui.logs.lines import LogLines
from lynkr_desktop.ui.logs.tail import LogTail
from lynkr_desktop.ui.theme.fonts import font
from lynkr_desktop.ui.theme.tokens import Size, Space, Type
from lynkr_desktop.ui.widgets.buttons import Choice, button
from lynkr_desktop.ui.widgets.card import Card
from lynkr_desktop.ui.widgets.empty_state import EmptyState
from lynkr_desktop.ui.widgets.labels import Label
from lynkr_desktop.ui.widgets.switch import Switch

_POLL_MS = 400
_NEXT_PART_MS = 5


class LogsPage(QWidget):
    """Reads only while it is seen."""

    def __init__(self, model: EngineModel, actions: Actions, path: Path) -> None:
        super().__init__()
        self._model = model
        self._tail = LogTail(path)
        self._lines = LogLines()
        self._view = self._make_view()
        self._level = Choice()
        self._level.setAccessibleName(self.tr("Lowest level shown"))
        for name in (self.tr("Everything"), self.tr("Info"), self.tr("Warnings"), self.tr("Errors")):
            self._level.addItem(name)
        self._level.setCurrentIndex(1)
        self._find = QLineEdit()
        self._find.setPlaceholderText(self.tr("Find in the log"))
        self._find.setAccessibleName(self.tr("Find in the log"))
        self._find.setClearButtonEnabled(True)
        self._follow = Switch(self.tr("Follow"))
        self._follow.setChecked(True)
        self._follow.setShortcut(QKeySequence.mnemonic(self.tr("&Follow")))
        self._counted = Label("", Type.CAPTION, "muted")
        self._copy = button(self.tr("&Copy"), self._copy_lines)
        self._empty = EmptyState(
            "logs",
            self.tr("What the engine does will stand here once it runs."),
            self.tr("&Start the engine"),
        )
        self._empty.clicked.connect(actions.start)
        self._stack = QStackedLayout()
        self._lay_out(path)
        self._timer = QTimer(self)
        self._timer.setInterval(_POLL_MS)
        self._timer.timeout.connect(self._read)
        self._level.currentIndexChanged.connect(self._filter)
        self._find.textChanged.connect(self._filter)
        self._follow.toggled.connect(self._keep_up)
        self._view.verticalScrollBar().valueChanged.connect(self._scrolled)
        self._view.verticalScrollBar().rangeChanged.connect(self._keep_up)
        QShortcut(QKeySequence(QKeySequence.StandardKey.Find), self, self._find.setFocus)
        model.changed.connect(self._refresh_empty)
        self._filter()
        self._refresh_empty()

    def _make_view(self) -> QListView:
        view = QListView()
        view.setModel(self._lines)
        view.setFont(font(Type.MONO_SMALL))
        self._lines.measure(view.font())
        view.setUniformItemSizes(True)
        view.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        view.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        view.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        view.setTextElideMode(Qt.TextElideMode.ElideNone)
        view.setAccessibleName(self.tr("Engine log"))
        copy = QShortcut(QKeySequence(QKeySequence.StandardKey.Copy), view, self._copy_lines)
        copy.setContext(Qt.ShortcutContext.WidgetShortcut)
        return view

    def _lay_out(self, path: Path) -> None:
        tools = QHBoxLayout()
        tools.setSpacing(Space.S)
        tools.addWidget(self._find, 1)
        tools.addWidget(self._level)
        tools.addSpacing(Space.S)
        tools.addWidget(Label(self.tr("Follow")))
        tools.addWidget(self._follow)
        tools.addSpacing(Space.S)
        tools.addWidget(self._copy)
        card = Card()
        inside = QVBoxLayout(card)
        inside.setContentsMargins(Space.S, Space.S, Size.FOCUS, Space.S)
        inside.addLayout(self._stack)
        self._stack.addWidget(self._view)
        self._stack.addWidget(self._empty)
        foot = QHBoxLayout()
        where = Label(str(path), Type.CAPTION, "muted")
        where.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        foot.addWidget(where, 1)
        foot.addWidget(self._counted)
        column = QVBoxLayout(self)
        column.setContentsMargins(Space.XL, Space.PAGE_TOP, Space.XL, Space.M)
        column.setSpacing(0)
        column.addWidget(Label(self.tr("Logs"), Type.TITLE))
        column.addWidget(Label(self.tr("What the engine does, without your keys."), tone="muted"))
        column.addSpacing(Space.L)
        column.addLayout(tools)
        column.addSpacing(Space.M)
        column.addWidget(card, 1)
        column.addSpacing(Space.S)
        column.addLayout(foot)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        """Starts reading."""
        self._timer.start()
        QTimer.singleShot(0, self._read)
        super().showEvent(event)

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802
        """Stops reading."""
        self._timer.stop()
        super().hideEvent(event)

    def _read(self) -> None:
        lines, more = self._tail.read()
        if lines:
            self._lines.append(lines)
            self._refresh_counted()
            if self._stack.currentWidget() is not self._view:
                self._refresh_empty()
        if more:
            # A part at a time, so that a large file never holds up a key stroke.
            QTimer.singleShot(_NEXT_PART_MS, self._read)

    def _filter(self) -> None:
        self._lines.filter(self._level.currentIndex(), self._find.text())
        self._refresh_counted()
        self._keep_up()

    def _refresh_counted(self) -> None:
        shown = self._lines.rowCount()
        self._counted.set_text(self.tr("1 line") if shown == 1 else self.tr("{n:,} lines").format(n=shown))
        self._copy.setEnabled(shown > 0)

    def _refresh_empty(self) -> None:
        self._stack.setCurrentWidget(self._empty if self._lines.empty else self._view)
        self._empty.set_button_visible(self._model.startable)

    def _keep_up(self) -> None:
        if self._follow.isChecked():
            bar = self._view.verticalScrollBar()
            bar.setValue(bar.maximum())

    def _scrolled(self, value: int) -> None:
        # Whoever scrolls up wants to read: following would snatch the lines away.
        bar = self._view.verticalScrollBar()
        if bar.isSliderDown() or self._view.underMouse():
            self._follow.setChecked(value >= bar.maximum())

    def _copy_lines(self) -> None:
        selection: QItemSelectionModel = self._view.selectionModel()
        rows = sorted(index.row() for index in selection.selectedRows())
        shown = self._lines.shown
        chosen = [shown[row] for row in rows] if rows else shown
        QGuiApplication.clipboard().setText("\n".join(line.text for line in chosen))
