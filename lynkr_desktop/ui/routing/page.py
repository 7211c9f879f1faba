"""The Routing page: recent decisions, what counted in one of them, and the hot spots of the code."""

from __future__ import annotations

from itertools import pairwise

from msgspec.structs import replace
from PySide6.QtCore import QSettings, Qt
from PySide6.QtGui import QHideEvent, QKeySequence, QResizeEvent, QShortcut, QShowEvent
from PySide6.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLineEdit,
    QScrollArea,
    QScrollBar,
    QVBoxLayout,
    QWidget,
)

from lynkr_desktop.protocol.routing import ExplainRequest
from lynkr_desktop.ui.controller import Actions
from lynkr_desktop.ui.engine_model import EngineModel
from lynkr_desktop.ui.routing.decisions_card import DecisionsCard
from lynkr_desktop.ui.routing.details_card import DetailsCard
from lynkr_desktop.ui.routing.explain_row import ExplainRow
from lynkr_desktop.ui.routing.files_card import FilesCard
from lynkr_desktop.ui.routing.hot_spots_card import HotSpotsCard
from lynkr_desktop.ui.theme.tokens import Column, Size, Space, Type
from lynkr_desktop.ui.widgets.figures_table import MenuButton, copy_button
from lynkr_desktop.ui.widgets.labels import ElidedLabel, Label
from lynkr_desktop.ui.widgets.switch import Switch

_COLUMNS = "routing/hidden-columns"


class RoutingPage(QScrollArea):
    """Keeps itself fresh only while it is seen."""

    def __init__(self, model: EngineModel, actions: Actions, settings: QSettings) -> None:
        super().__init__()
        self._model, self._routing, self._actions = model, model.routing, actions.routing
        self._settings = settings
        self._narrow = False
        self._chosen = ""
        self._explained = False
        self._decisions = DecisionsCard(model, actions)
        self._decisions.chosen.connect(self._choose)
        self._explain = ExplainRow(model)
        self._explain.asked.connect(self._ask)
        self._details = DetailsCard()
        self._details.mark_requested.connect(self._actions.mark)
        self._hot_spots = HotSpotsCard(model, actions)
        self._files = FilesCard(model.routing)
        self._hot_spots.chosen.connect(self._files.show_file)
        self._misrouted = Switch(self.tr("Misrouted only"))
        self._misrouted.toggled.connect(lambda on: self._actions.list_decisions(misrouted=on))
        self._find = QLineEdit()
        self._lay_out()
        hidden = settings.value(_COLUMNS)
        if isinstance(hidden, str):
            self._decisions.table.hide_columns(hidden.split(","))
        QShortcut(QKeySequence(QKeySequence.StandardKey.Find), self, self._find.setFocus)
        self._routing.decisions_changed.connect(self._refresh_details)
        self._routing.explanation_changed.connect(self._refresh_explanation)
        model.changed.connect(self._show_latest_workspace)
        self._arrange()
        self._refresh_details()
        self._order_tabs()

    def _order_tabs(self) -> None:
        """From the top to the bottom, as the page is read."""
        order: list[QWidget] = [*self._tools, self._explain, self._decisions.table, self._details]
        order += [self._hot_spots, self._files]
        found = [stop for place in order for stop in (place, *place.findChildren(QWidget))]
        stops = [stop for stop in found if _is_stop(stop) and stop.window() is self.window()]
        for one, other in pairwise(stops):
            QWidget.setTabOrder(one, other)

    def _lay_out(self) -> None:
        self._grid = QGridLayout()
        self._grid.setSpacing(Space.M)
        body = QVBoxLayout()
        body.setSpacing(Space.M)
        body.addWidget(self._explain)
        body.addWidget(self._decisions)
        body.addLayout(self._grid, 1)
        body.addWidget(self._files)
        page = QWidget()
        page.setObjectName("page")
        column = QVBoxLayout(page)
        column.setContentsMargins(Space.XL, Space.PAGE_TOP, Space.XL, Space.M)
        column.setSpacing(0)
        column.addLayout(self._build_head())
        column.addSpacing(Space.L)
        column.addLayout(body, 1)
        self.setWidget(page)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)

    def _build_head(self) -> QVBoxLayout:
        self._find.setPlaceholderText(self.tr("Find a decision"))
        self._find.setAccessibleName(self.tr("Find a decision"))
        self._find.setClearButtonEnabled(True)
        self._find.setFixedWidth(Column.FIND)
        self._find.textChanged.connect(self._decisions.show_found)
        tools = QHBoxLayout()
        tools.setSpacing(Space.XS)
        tools.addWidget(Label(self.tr("Routing"), Type.TITLE))
        tools.addStretch(1)
        tools.addWidget(Label(self.tr("Misrouted only"), tone="muted"))
        tools.addWidget(self._misrouted)
        columns = MenuButton(
            "columns",
            self.tr("Choose the columns of the decisions"),
            lambda menu: self._decisions.table.fill_column_menu(menu, self._keep_columns),
        )
        copy = copy_button(self._decisions.table, self.tr("Copy the decisions"))
        self._tools: list[QWidget] = [self._misrouted, columns, copy, self._find]
        tools.addWidget(columns)
        tools.addWidget(copy)
        tools.addWidget(self._find)
        head = QVBoxLayout()
        head.setSpacing(0)
        head.addLayout(tools)
        head.addWidget(
            ElidedLabel(
                self.tr("Why each request went where it went. Choose one to see what counted."), tone="muted"
            )
        )
        return head

    # ------------------------------------------------------------ decisions

    def choose(self, decision_id: str) -> None:
        """Moves to a decision of the list."""
        self._decisions.table.choose(decision_id)
        self._choose(decision_id)

    def _choose(self, decision_id: str) -> None:
        self._chosen, self._explained = decision_id, False
        self._refresh_details()

    def _refresh_details(self) -> None:
        if self._explained:
            return
        row = next((row for row in self._routing.decisions if row.id == self._chosen), None)
        self._hot_spots.mark(row)
        if row is None:
            self._details.show_nothing()
        else:
            self._details.show_decision(row, [tier.max_complexity for tier in self._model.tiers])

    def _ask(self, request: ExplainRequest) -> None:
        self._actions.explain(request)

    def _refresh_explanation(self) -> None:
        answer = self._routing.explanation
        if answer is None or self._routing.explaining:
            return
        self._explained, self._chosen = True, ""
        self._decisions.table.choose("")
        self._details.show_explanation(answer)
        files = tuple(file.path for file in answer.files)
        self._hot_spots.mark(replace(answer.decision, files=files) if files else answer.decision)
        # Its top: it may be higher than the window.
        self.ensureVisible(0, self._details.y() + Size.MAP, 0, Space.M)

    def _keep_columns(self) -> None:
        self._settings.setValue(_COLUMNS, ",".join(self._decisions.table.hidden_columns))

    # ------------------------------------------------------------ code

    def _show_latest_workspace(self) -> None:
        """The map begins with the workspace that was asked about last."""
        status = self._model.status
        if self.isVisible() and status is not None and status.workspaces and not self._routing.workspace:
            self._actions.show_code(status.workspaces[0].root)

    # ------------------------------------------------------------ size and sight

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        """Begins to follow the engine."""
        super().showEvent(event)
        self._actions.watch(True)
        self._show_latest_workspace()

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802
        """Nobody looks."""
        self._actions.watch(False)
        super().hideEvent(event)

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
            self._grid.addWidget(self._details, 0, 0)
            self._grid.addWidget(self._hot_spots, 1, 0)
        else:
            self._grid.addWidget(self._details, 0, 0)
            self._grid.addWidget(self._hot_spots, 0, 1)
        self._grid.setColumnStretch(0, 12)
        self._grid.setColumnStretch(1, 0 if self._narrow else 11)


def _is_stop(widget: QWidget) -> bool:
    return bool(widget.focusPolicy() & Qt.FocusPolicy.TabFocus) and not isinstance(widget, QScrollBar)
