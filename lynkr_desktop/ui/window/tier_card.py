"""The four tiers: mark, models, health, share of the day, switch."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from lynkr_desktop.protocol.control import Candidate, TierStatus
from lynkr_desktop.protocol.tiers import TIERS, Tier
from lynkr_desktop.ui import format as fmt
from lynkr_desktop.ui.controller import Actions
from lynkr_desktop.ui.engine_model import EngineModel
from lynkr_desktop.ui.state_words import tier_name
from lynkr_desktop.ui.theme.tokens import Column, Size, Space, Type
from lynkr_desktop.ui.widgets.bars import ThinBar
from lynkr_desktop.ui.widgets.card import Card, Line
from lynkr_desktop.ui.widgets.icons import IconLabel, TierMark
from lynkr_desktop.ui.widgets.labels import ElidedLabel, Label
from lynkr_desktop.ui.widgets.switch import Switch

_SWITCH_GAP = Space.M - Switch.RING
_SHORT_WORDS = {"ready": "Ready", "loaded": "Loaded", "loading": "Loading", "downloading": "Downloading"}


class TierCard(Card):
    """A row per tier under a line of headings."""

    def __init__(self, model: EngineModel, actions: Actions) -> None:
        super().__init__()
        self._model = model
        self._rows = {tier: TierRow(tier, actions) for tier in TIERS}
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self._heading())
        for row in self._rows.values():
            column.addWidget(Line())
            column.addWidget(row)
        column.addStretch(1)
        model.changed.connect(self.refresh)
        self.refresh()

    def _heading(self) -> QWidget:
        widget = QWidget()
        widget.setFixedHeight(Size.CARD_HEAD)
        title = Label(self.tr("Tiers"), Type.SECTION)
        title.setFixedWidth(Column.TIER)
        health = Label(self.tr("Health"), Type.CAPTION, "muted")
        health.setFixedWidth(Column.HEALTH)
        # The heading of the share may reach over the switch, which has none.
        share = Label(self.tr("Share today"), Type.CAPTION, "muted")
        share.setFixedWidth(Column.SHARE + _SWITCH_GAP + Switch.WIDTH)
        row = _columns(widget)
        row.addWidget(title)
        row.addWidget(ElidedLabel(self.tr("Models"), Type.CAPTION, "muted"), 1)
        row.addWidget(health)
        row.addWidget(share)
        return widget

    def refresh(self) -> None:
        """Shows the tiers as they stand."""
        for status in self._model.tiers:
            self._rows[status.tier].show_status(status, serving=self._model.serving)


class TierRow(QWidget):
    """One tier."""

    def __init__(self, tier: Tier, actions: Actions) -> None:
        super().__init__()
        self._tier, self._actions = tier, actions
        name = tier_name(tier)
        self._first = ElidedLabel()
        self._first.setMinimumHeight(Size.TIER_LINE)
        self._others = ElidedLabel("", Type.CAPTION, "muted")
        self._health_icon = IconLabel(size=Size.MARK)
        self._health = ElidedLabel("", Type.CAPTION, "muted")
        self._share = Label("", Type.CAPTION)
        self._bar = ThinBar(self.tr("Share of today's requests: {tier}").format(tier=name), tier)
        self._switch = Switch(self.tr("{tier} tier").format(tier=name))
        self._switch.clicked.connect(lambda on: self._actions.set_tier(self._tier, on))
        row = _columns(self)
        row.addWidget(self._fixed(Column.TIER, self._side_by_side(TierMark(tier), Label(name, Type.STRONG))))
        row.addLayout(_stacked(self._first, self._others), 1)
        row.addWidget(
            self._fixed(Column.HEALTH, self._side_by_side(self._health_icon, self._health, gap=Space.S - 2))
        )
        share = _stacked(self._share, self._bar)
        share.setSpacing(Size.TIER_SHARE_GAP)
        row.addWidget(self._fixed(Column.SHARE, share))
        row.addSpacing(_SWITCH_GAP)
        row.addWidget(self._switch)
        self.setFixedHeight(Size.TIER_ROW)

    def show_status(self, status: TierStatus, *, serving: bool) -> None:
        """Shows a tier as it stands."""
        first, *rest = [candidate.model for candidate in status.candidates] or [self.tr("No model")]
        self._first.set_text(first)
        self._first.set_tip("\n".join(map(_candidate_line, status.candidates)))
        self._others.set_text(self.tr("then {models}").format(models=", ".join(rest)) if rest else "")
        self._others.setVisible(bool(rest))
        word, icon, role = health(status)
        self._health_icon.show_icon(icon, role)
        self._health.set_text(self.tr(word) if status.enabled else self.tr("Off"))
        self._health.set_tip("\n".join(_candidate_line(row) for row in status.candidates if row.reason))
        self._share.set_text(fmt.percent(status.share_today))
        self._bar.set_part(status.share_today)
        self._switch.setChecked(status.enabled)
        self._switch.setEnabled(serving)

    @staticmethod
    def _side_by_side(mark: QWidget, text: QWidget, gap: int = Space.S) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(gap)
        row.addWidget(mark)
        row.addWidget(text, 1)
        return row

    @staticmethod
    def _fixed(width: int, layout: QHBoxLayout | QVBoxLayout) -> QWidget:
        widget = QWidget()
        widget.setFixedWidth(width)
        layout.setContentsMargins(0, 0, 0, 0)
        widget.setLayout(layout)
        return widget


def health(status: TierStatus) -> tuple[str, str, str]:
    """A tier's health: words, icon, colour role of the icon."""
    usable = [row for row in status.candidates if row.usable]
    total = len(status.candidates)
    if not status.enabled:
        return "Off", "state-stopped", "muted"
    if not usable:
        return "None up", "state-problem", "risk"
    if len(usable) == total and (total == 1 or usable[0].local) and usable[0].state in _SHORT_WORDS:
        return _SHORT_WORDS[usable[0].state], "state-running", "ok"
    icon, role = ("state-running", "ok") if len(usable) == total else ("state-problem", "risk")
    return f"{len(usable)} of {total} up", icon, role


def _candidate_line(candidate: Candidate) -> str:
    return f"{candidate.name}: {candidate.reason or candidate.state}"


def _columns(widget: QWidget) -> QHBoxLayout:
    row = QHBoxLayout(widget)
    row.setContentsMargins(Space.L, 0, Space.L - Switch.RING, 0)
    row.setSpacing(0)
    return row


def _stacked(upper: QWidget, lower: QWidget) -> QVBoxLayout:
    column = QVBoxLayout()
    column.setContentsMargins(0, 0, Space.S, 0)
    column.setSpacing(0)
    column.addStretch(1)
    column.addWidget(upper, 0, Qt.AlignmentFlag.AlignVCenter)
    column.addWidget(lower, 0, Qt.AlignmentFlag.AlignVCenter)
    column.addStretch(1)
    return column
