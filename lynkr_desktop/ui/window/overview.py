"""The Overview page: where agents connect, what the tiers do, what today cost, what happened last."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QGridLayout, QScrollArea, QVBoxLayout, QWidget

from lynkr_desktop.ui.controller import Actions
from lynkr_desktop.ui.engine_model import EngineModel, Phase
from lynkr_desktop.ui.theme.tokens import Column, Size, Space, Type
from lynkr_desktop.ui.widgets.card import Card
from lynkr_desktop.ui.widgets.empty_state import EmptyState
from lynkr_desktop.ui.widgets.labels import Label
from lynkr_desktop.ui.window.endpoint_strip import EndpointStrip
from lynkr_desktop.ui.window.figures_card import FiguresCard
from lynkr_desktop.ui.window.messages import Messages
from lynkr_desktop.ui.window.models_card import ModelsCard
from lynkr_desktop.ui.window.recent_card import RecentCard
from lynkr_desktop.ui.window.state_strip import StateStrip
from lynkr_desktop.ui.window.tier_card import TierCard


class OverviewPage(QScrollArea):
    """Two columns, or one where there is little room; scrolls when it must."""

    def __init__(self, model: EngineModel, actions: Actions) -> None:
        super().__init__()
        self._model = model
        self._narrow = False
        self._known = False
        self._strip = EndpointStrip(model)
        self._tiers = TierCard(model, actions)
        self._figures = FiguresCard(model)
        self._recent = RecentCard(model)
        self._models = ModelsCard(model, actions)
        self._start = StartCard(model, actions)
        self._grid = QGridLayout()
        self._grid.setSpacing(Space.M)

        page = QWidget()
        page.setObjectName("page")
        column = QVBoxLayout(page)
        column.setContentsMargins(Space.XL, Space.PAGE_TOP, Space.XL, Space.M)
        column.setSpacing(0)
        column.addWidget(Label(self.tr("Overview"), Type.TITLE))
        column.addWidget(
            Label(
                self.tr("Agents talk to one local address. Lynkr picks the model for each request."),
                tone="muted",
            )
        )
        column.addSpacing(Space.L)
        body = QVBoxLayout()
        body.setSpacing(Space.M)
        body.addWidget(Messages(model, actions))
        body.addWidget(self._strip)
        body.addWidget(StateStrip(model))
        body.addLayout(self._grid, 1)
        column.addLayout(body, 1)
        self.setWidget(page)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        model.changed.connect(self.refresh)
        self._arrange()
        self.refresh()

    def refresh(self) -> None:
        """Shows the cards that have something to show."""
        here = self._model.status is not None
        known = self._model.history is not None
        if known != self._known:
            self._known = known
            self._arrange()
        self._strip.setVisible(here)
        self._tiers.setVisible(here)
        self._models.setVisible(here)
        self._start.setVisible(not here)
        self._figures.setVisible(known)
        self._recent.setVisible(known)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        """Changes between one column and two."""
        super().resizeEvent(event)
        narrow = self.viewport().width() < Size.SINGLE_COLUMN_BELOW
        if narrow != self._narrow:
            self._narrow = narrow
            self._arrange()

    def _arrange(self) -> None:
        while self._grid.count():
            self._grid.takeAt(0)
        if self._narrow:
            self._grid.addWidget(self._start, 0, 0, 1, 2)
            self._grid.addWidget(self._tiers, 0, 0, 1, 2)
            self._grid.addWidget(self._figures, 1, 0)
            self._grid.addWidget(self._models, 1, 1)
            self._grid.addWidget(self._recent, 2, 0, 1, 2)
        else:
            self._grid.addWidget(self._start, 0, 0, 1, 1 if self._known else 2)
            self._grid.addWidget(self._tiers, 0, 0)
            self._grid.addWidget(self._figures, 0, 1)
            self._grid.addWidget(self._recent, 1, 0)
            self._grid.addWidget(self._models, 1, 1)
        self._grid.setColumnStretch(0, 1 if self._narrow else Column.MAIN)
        self._grid.setColumnStretch(1, 1 if self._narrow else Column.SIDE)
        self._grid.setRowStretch(1, 0 if self._narrow else 1)
        self._grid.setRowStretch(2, 1 if self._narrow else 0)


class StartCard(Card):
    """Stands where the tiers will be while no engine runs."""

    def __init__(self, model: EngineModel, actions: Actions) -> None:
        super().__init__()
        self._model = model
        self._empty = EmptyState("overview", "", self.tr("Start the &engine"), primary=True)
        self._empty.clicked.connect(actions.start)
        column = QVBoxLayout(self)
        column.setContentsMargins(Space.L, Space.L, Space.L, Space.L)
        column.addWidget(self._empty)
        self.setMinimumHeight(Size.EMPTY_CARD)
        model.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Says what is the matter."""
        phase = self._model.phase
        if phase in (Phase.STARTING, Phase.RUNNING, Phase.PAUSED):
            sentence = self.tr("The engine is starting.")
        elif phase is Phase.STOPPING:
            sentence = self.tr("The engine is stopping.")
        elif phase is Phase.PROBLEM:
            sentence = self.tr("The engine is not running.")
        else:
            sentence = self.tr(
                "The engine is stopped. Start it, and your tiers and today's spend will stand here."
            )
        self._empty.set_sentence(sentence)
        # A problem that can be solved brings its own button, above.
        solvable = self._model.problem is not None and self._model.problem.remedy is not None
        self._empty.set_button_visible(self._model.startable and not solvable)
