"""The recent decisions: when, score, tier, what was asked of which files, why, and which model."""

from __future__ import annotations

import time

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QRectF, QTimer, Signal
from PySide6.QtGui import QFontMetrics, QHideEvent, QPainter, QShowEvent
from PySide6.QtWidgets import QStackedLayout, QVBoxLayout

from lynkr_desktop.protocol.routing import DecisionRow
from lynkr_desktop.ui import format as fmt
from lynkr_desktop.ui.controller import Actions
from lynkr_desktop.ui.engine_model import EngineModel
from lynkr_desktop.ui.routing import decision_words as words
from lynkr_desktop.ui.theme import icons
from lynkr_desktop.ui.theme.fonts import font
from lynkr_desktop.ui.theme.theme import theme
from lynkr_desktop.ui.theme.tokens import Column, Size, Space, Type
from lynkr_desktop.ui.widgets.card import Card
from lynkr_desktop.ui.widgets.empty_state import EmptyState
from lynkr_desktop.ui.widgets.figures_table import FiguresTable, TableDelegate, draw_text
from lynkr_desktop.ui.widgets.score_bar import draw_score
from lynkr_desktop.ui.widgets.table_rows import TableColumn, TableRows

_Index = QModelIndex | QPersistentModelIndex
_TICK_MS = 10_000


class DecisionDelegate(TableDelegate):
    """Score as a bar, tier with its mark, the reason with the files."""

    def __init__(self, view: FiguresTable[DecisionRow], rows: TableRows[DecisionRow]) -> None:
        super().__init__(view)
        self._rows = rows
        self.cuts: tuple[float, ...] = ()

    def draw_cell(self, painter: QPainter, rect: QRect, index: _Index, ground: str) -> None:
        """Draws what stands in a cell."""
        row = self._rows.rows[index.row()]
        match self._rows.columns[index.column()].key:
            case "age":
                draw_text(painter, rect, words_of_age(row), muted=True)
            case "score" if row.score is not None:
                self._draw_score(painter, rect, row, ground)
            case "tier":
                self._draw_tier(painter, rect, row)
            case "request":
                self._draw_two(painter, rect, words.title(row), words.files(row) if self._narrow else "")
            case "reason":
                self._draw_two(painter, rect, words.reason(row), words.files(row))
            case "model":
                draw_text(painter, rect, words.short_model(row), muted=True)
            case "verdict":
                draw_text(painter, rect, str(index.data()), muted=True)
            case _:
                super().draw_cell(painter, rect, index, ground)

    def _draw_score(self, painter: QPainter, rect: QRect, row: DecisionRow, ground: str) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        top = rect.center().y() + 1 - Size.SCORE_BAR / 2
        width = rect.width() - Column.SCORE_VALUE
        bar = QRectF(rect.left(), top, width, Size.SCORE_BAR)
        draw_score(painter, bar, row.score or 0.0, row.scored_tier or row.tier, self.cuts, ground)
        draw_text(painter, rect.adjusted(width + Space.M, 0, Space.M, 0), words.score(row))

    @staticmethod
    def _draw_tier(painter: QPainter, rect: QRect, row: DecisionRow) -> None:
        left = rect.left()
        if row.tier is not None:
            mark = icons.tier_pixmap(row.tier, theme.colors, Size.MARK, painter.device().devicePixelRatioF())
            top = rect.top() + (rect.height() - Size.MARK) / 2
            painter.drawPixmap(QRectF(left, top, Size.MARK, Size.MARK), mark, QRectF(mark.rect()))
        shown = rect.adjusted(Size.MARK + Space.S, 0, 0, 0)
        if shown.width() > Size.MARK:
            draw_text(painter, shown, words.tier(row), muted=row.tier is None)

    @staticmethod
    def _draw_two(painter: QPainter, rect: QRect, first: str, second: str) -> None:
        """The first gives way to the second, up to a part of the room."""
        room = rect.width()
        if second:
            room -= min(QFontMetrics(font(Type.BODY)).horizontalAdvance(second) + Space.S, room // 2)
        used = draw_text(painter, QRect(rect.left(), rect.top(), room, rect.height()), first)
        if second:
            draw_text(painter, rect.adjusted(used + Space.S, 0, 0, 0), second, muted=True)

    @property
    def _narrow(self) -> bool:
        """Whether the reasons, beside which the files stand, are left out."""
        view = self.parent()
        assert isinstance(view, FiguresTable)
        keys = [column.key for column in self._rows.columns]
        return view.isColumnHidden(keys.index("reason"))


def words_of_age(row: DecisionRow) -> str:
    """How long ago it was decided."""
    return fmt.age(row.at, time.time())


class DecisionsCard(Card):
    """The table, or what stands in its place.

    Signals:
        chosen: the id of the decision that a person moved to; empty when there is none.
    """

    chosen = Signal(str)

    def __init__(self, model: EngineModel, actions: Actions) -> None:
        super().__init__()
        self._model, self._routing = model, model.routing
        self._wanted = ""
        self._load_older = actions.routing.load_older
        self._rows = TableRows(self._columns(), lambda row: row.id, self._load_older)
        self.table: FiguresTable[DecisionRow] = FiguresTable(self.tr("Recent decisions"), self._rows)
        self._delegate = DecisionDelegate(self.table, self._rows)
        self.table.setItemDelegate(self._delegate)
        self.table.chosen.connect(self.chosen)
        self._empty = EmptyState("routing", "", self.tr("&Start the engine"))
        self._empty.clicked.connect(actions.start)
        self._stack = QStackedLayout()
        self._stack.addWidget(self.table)
        self._stack.addWidget(self._empty)
        column = QVBoxLayout(self)
        column.setContentsMargins(Size.HAIRLINE, Size.FOCUS, Size.HAIRLINE, Size.FOCUS)
        column.addLayout(self._stack)
        self.setFixedHeight((Size.DECISION_ROWS + 1) * Size.TABLE_ROW + 2 * Size.FOCUS)
        self._tick = QTimer(self)
        self._tick.setInterval(_TICK_MS)
        self._tick.timeout.connect(self.table.viewport().update)
        self._routing.decisions_changed.connect(self.refresh)
        model.changed.connect(self._refresh_frame)
        self.refresh()

    def _columns(self) -> list[TableColumn[DecisionRow]]:
        def exact(row: DecisionRow) -> str:
            return fmt.exact(row.at)

        def reason(row: DecisionRow) -> str:
            return ", ".join(part for part in (words.reason(row), words.files(row)) if part)

        def reason_tip(row: DecisionRow) -> str:
            return "\n".join((words.reason(row), *row.files))

        def request_tip(row: DecisionRow) -> str:
            return "\n".join((words.title(row), *row.files))

        def rank(row: DecisionRow) -> int:
            return -1 if row.tier is None else row.tier.rank

        return [
            TableColumn(
                "age", self.tr("When"), words_of_age, lambda row: row.at, Column.AGE, tip=exact, copied=exact
            ),
            TableColumn(
                "score",
                self.tr("Score"),
                words.score,
                lambda row: -1.0 if row.score is None else row.score,
                Column.SCORE,
            ),
            TableColumn(
                "tier", self.tr("Tier"), words.tier, rank, Column.TIER_NAME, Column.TIER_MARK, tip=words.tier
            ),
            TableColumn(
                "request",
                self.tr("Request"),
                words.title,
                lambda row: words.title(row).casefold(),
                tip=request_tip,
            ),
            TableColumn(
                "reason",
                self.tr("Reason and files"),
                reason,
                lambda row: words.reason(row).casefold(),
                narrow=False,
                tip=reason_tip,
            ),
            TableColumn(
                "model",
                self.tr("Model"),
                words.model,
                words.model,
                Column.MODEL,
                Column.MODEL_TIGHT,
                tip=words.model,
            ),
            TableColumn(
                "verdict",
                self.tr("Verdict"),
                lambda row: words.verdict(words.judged(row)),
                words.judged,
                Column.FIGURE,
                shown=False,
            ),
        ]

    def show_found(self, text: str) -> None:
        """Shows the decisions that hold a text anywhere, whatever its case."""
        self._wanted = text.casefold().strip()
        self.table.set_filter(self._holds if self._wanted else None)
        self._refresh_frame()
        self._look_further()

    def _look_further(self) -> None:
        """Goes on to older decisions while what is looked for does not fill the table."""
        if self._wanted and self._rows.has_more and len(self._rows.rows) < Size.DECISION_ROWS:
            self._load_older()

    def _holds(self, row: DecisionRow) -> bool:
        parts = (row.title, row.reason, row.client, row.session, row.workspace, words.model(row), row.id)
        return any(self._wanted in part.casefold() for part in (*parts, *row.files, words.tier(row)))

    def refresh(self) -> None:
        """Shows the decisions as they are known."""
        self._rows.has_more = not self._routing.complete
        self.table.set_rows(self._routing.decisions)
        self._refresh_frame()
        self._look_further()

    def _refresh_frame(self) -> None:
        cuts = tuple(tier.max_complexity for tier in self._model.tiers) or self._delegate.cuts
        if cuts != self._delegate.cuts:
            self._delegate.cuts = cuts
            self.table.viewport().update()
        if self._rows.rows:
            self._stack.setCurrentWidget(self.table)
            return
        self._stack.setCurrentWidget(self._empty)
        self._empty.set_sentence(self._why_empty())
        self._empty.set_button_visible(self._model.startable)

    def _why_empty(self) -> str:
        routing = self._routing
        if self._model.startable:
            return self.tr("Each request's decision will stand here once the engine runs.")
        if routing.decisions_failure:
            return self.tr("The decisions cannot be shown: {why}").format(why=routing.decisions_failure)
        if not routing.loaded:
            return self.tr("The decisions are being read.")
        if routing.decisions:
            return self.tr("None of the last {n:,} decisions holds this text.").format(
                n=len(routing.decisions)
            )
        if routing.misrouted:
            return self.tr("No request is known to have taken the wrong tier.")
        return self.tr("Each request's decision will stand here: its score, its tier, and why.")

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        """Times move on while they are seen."""
        self._tick.start()
        super().showEvent(event)

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802
        """Nobody looks."""
        self._tick.stop()
        super().hideEvent(event)
