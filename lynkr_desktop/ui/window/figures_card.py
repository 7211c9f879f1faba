"""Today in four figures and twenty-four bars."""

from __future__ import annotations

import time

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QVBoxLayout

from lynkr_desktop.protocol.control import UsageTotals
from lynkr_desktop.ui import format as fmt
from lynkr_desktop.ui.engine_model import EngineModel
from lynkr_desktop.ui.theme.tokens import Space, Type
from lynkr_desktop.ui.widgets.card import Card
from lynkr_desktop.ui.widgets.day_chart import DayChart
from lynkr_desktop.ui.widgets.labels import Label


class Figure(QVBoxLayout):
    """A key figure under its name."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self._value = Label("", Type.FIGURE)
        self.setSpacing(0)
        self.addWidget(Label(name, Type.CAPTION, "muted"))
        self.addWidget(self._value)

    def show_value(self, value: str, tip: str = "") -> None:
        """Shows a value; the tool tip says what stands behind it."""
        self._value.set_text(value)
        self._value.setToolTip(tip)
        self._value.setAccessibleName(f"{self._name}: {value}")


class FiguresCard(Card):
    """Spend, tokens, requests and errors of today; the bars show spend, or tokens while nothing costs."""

    def __init__(self, model: EngineModel) -> None:
        super().__init__()
        self._model = model
        self._costs = False
        self._spent = Figure(self.tr("Spent today"))
        self._tokens = Figure(self.tr("Tokens"))
        self._requests = Figure(self.tr("Requests"))
        self._errors = Figure(self.tr("Errors"))
        self._chart = DayChart(self.tr("Today by hour"), self._describe)
        self._caption = Label("", Type.CAPTION, "muted")
        grid = QGridLayout()
        grid.setHorizontalSpacing(Space.M)
        grid.setVerticalSpacing(Space.M)
        grid.addLayout(self._spent, 0, 0)
        grid.addLayout(self._tokens, 0, 1)
        grid.addLayout(self._requests, 1, 0)
        grid.addLayout(self._errors, 1, 1)
        grid.setColumnStretch(0, 1)
        grid.setColumnStretch(1, 1)
        ends = QHBoxLayout()
        ends.addWidget(Label("00:00", Type.CAPTION, "muted"))
        ends.addWidget(self._caption, 1, Qt.AlignmentFlag.AlignHCenter)
        ends.addWidget(Label("24:00", Type.CAPTION, "muted"))
        column = QVBoxLayout(self)
        column.setContentsMargins(Space.L, Space.M, Space.L, Space.M)
        column.setSpacing(Space.XS)
        column.addLayout(grid)
        column.addStretch(1)
        column.addWidget(self._chart)
        column.addLayout(ends)
        model.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Shows today as last heard; what is recorded stays true when the engine is stopped."""
        status = self._model.history
        totals = UsageTotals() if status is None else status.totals
        hours = () if status is None else status.hours
        self._costs = any(hour.cost > 0 for hour in hours)
        self._spent.show_value(fmt.money(totals.cost), self._spend_tip(totals))
        self._tokens.show_value(
            fmt.count(totals.input_tokens + totals.output_tokens),
            self.tr("{input:,} in, of these {cached:,} cached; {output:,} out").format(
                input=totals.input_tokens, cached=totals.cached_tokens, output=totals.output_tokens
            ),
        )
        self._requests.show_value(fmt.count(totals.requests))
        self._errors.show_value(fmt.count(totals.errors))
        self._caption.set_text(self.tr("Spend by hour") if self._costs else self.tr("Tokens by hour"))
        self._chart.setAccessibleName(self._caption.text())
        self._chart.set_values([self._value(hour) for hour in hours], time.localtime().tm_hour)

    def _value(self, hour: UsageTotals) -> float:
        return hour.cost if self._costs else float(hour.input_tokens + hour.output_tokens)

    def _describe(self, hour: int, value: float) -> str:
        amount = fmt.money(value) if self._costs else self.tr("{n} tokens").format(n=fmt.count(int(value)))
        return self.tr("{hour:02d}:00 to {hour:02d}:59, {amount}").format(hour=hour, amount=amount)

    def _spend_tip(self, totals: UsageTotals) -> str:
        if not totals.unpriced:
            return self.tr("${cost:.4f}").format(cost=totals.cost)
        if totals.unpriced == 1:
            return self.tr("Without 1 request whose price is unknown")
        return self.tr("Without {n} requests whose price is unknown").format(n=totals.unpriced)
