"""What counted in one decision: its score cut by the tiers, its parts, the models, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from lynkr_desktop.protocol.routing import DecisionRow, RouteExplanation, Threshold
from lynkr_desktop.ui import format as fmt
from lynkr_desktop.ui.routing import decision_words as words
from lynkr_desktop.ui.routing.mark_row import MarkRow
from lynkr_desktop.ui.state_words import tier_name
from lynkr_desktop.ui.theme.tokens import Size, Space, Type
from lynkr_desktop.ui.widgets.card import Card
from lynkr_desktop.ui.widgets.empty_state import EmptyState
from lynkr_desktop.ui.widgets.icons import TierMark
from lynkr_desktop.ui.widgets.labels import ElidedLabel, Label, paragraph
from lynkr_desktop.ui.widgets.reason_list import Reason, ReasonList
from lynkr_desktop.ui.widgets.score_bar import ScoreBar

_MOST_FILES = 8


class Section(QWidget):
    """Lines under a small heading; hidden while there are none."""

    def __init__(self, heading: str) -> None:
        super().__init__()
        self._lines = paragraph("", tone="text")
        self._lines.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, Space.S, 0, 0)
        column.setSpacing(0)
        column.addWidget(Label(heading, Type.CAPTION, "muted"))
        column.addWidget(self._lines)

    def show_lines(self, lines: Sequence[str]) -> None:
        """Shows other lines."""
        self._lines.set_text("\n".join(lines))
        self.setVisible(bool(lines))


class DetailsCard(Card):
    """One decision that was taken, or one that would be.

    Signals:
        mark_requested: the id of the decision and the mark that a person gives it.
    """

    mark_requested = Signal(str, str)

    def __init__(self) -> None:
        super().__init__()
        self._mark = TierMark(None)
        self._heading = Label("", Type.SECTION)
        self._title = ElidedLabel("", Type.CAPTION, "muted")
        self._title.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._bar = ScoreBar()
        self._marks = MarkRow()
        self._marks.picked.connect(self.mark_requested)
        self._reason = paragraph()
        self._reasons = ReasonList(self.tr("What counted"))
        self._remarks = paragraph()
        self._files = Section(self.tr("Code that it touches"))
        self._models = Section(self.tr("Models, in the order of preference"))
        self._outcome = Section(self.tr("What came of it"))
        self._about = paragraph("", Type.CAPTION)
        self._about.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._empty = EmptyState("routing", self.tr("Choose a decision to see what counted."), "")
        self._empty.set_button_visible(False)
        self._content = QWidget()
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(self._empty)
        outer.addWidget(self._content)
        self.setMinimumHeight(Size.EMPTY_CARD)
        self._lay_out()
        self.show_nothing()

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(Space.S)
        head.addWidget(self._mark)
        head.addWidget(self._heading)
        head.addWidget(self._title, 1)
        column = QVBoxLayout(self._content)
        column.setContentsMargins(Space.L, Space.M, Space.L, Space.M)
        column.setSpacing(0)
        column.addLayout(head)
        column.addSpacing(Space.S)
        column.addWidget(self._bar)
        column.addSpacing(Space.XS)
        column.addWidget(self._marks)
        column.addSpacing(Space.XS)
        column.addWidget(self._reason)
        column.addWidget(self._reasons)
        for part in (self._remarks, self._files, self._models, self._outcome):
            column.addWidget(part)
        column.addSpacing(Space.S)
        column.addWidget(self._about)
        column.addStretch(1)

    @property
    def reasons(self) -> list[Reason]:
        """The bars that are shown."""
        return self._reasons.reasons

    def show_nothing(self) -> None:
        """Shows no decision."""
        self._empty.setVisible(True)
        self._content.setVisible(False)

    def show_decision(self, row: DecisionRow, cuts: Sequence[float]) -> None:
        """Shows a decision of the log."""
        self._show(row, cuts)
        self._marks.show_mark(row.id, row.mark)
        self._marks.setVisible(True)
        found = words.outcome(row.outcome)
        if row.verdict:
            found.append(self.tr("It says: {verdict}").format(verdict=words.verdict(row.verdict).lower()))
        self._outcome.show_lines(found)
        self._files.show_lines(self._named(row.files))
        cost = self.tr("price unknown") if row.cost is None else fmt.money(row.cost)
        about = (fmt.exact(row.at), row.client, words.workspace_name(row.workspace), cost, row.id)
        self._about.set_text(" · ".join(part for part in about if part))
        self._about.setVisible(True)

    def show_explanation(self, answer: RouteExplanation) -> None:
        """Shows what would be decided."""
        row = answer.decision
        self._show(row, [step.max_complexity for step in answer.thresholds])
        self._heading.set_text(self.tr("Would be: {decision}").format(decision=words.heading(row)))
        self._marks.setVisible(False)
        self._outcome.show_lines([])
        self._files.show_lines(self._measured(answer))
        self._about.setVisible(False)
        notes = [part for part in (answer.side, answer.sticky) if part]
        if not answer.complete:
            state = "" if answer.index is None else words.indexing((answer.index,))
            notes.append(
                self.tr("Not all of the code was known: {state}").format(state=state)
                if state
                else self.tr("Not all of the code was known.")
            )
        notes += [self._switched_off(step) for step in answer.thresholds if not step.enabled]
        self._remarks.set_text("\n".join([*notes, *words.remarks(row)]))
        self._remarks.setVisible(bool(self._remarks.text()))

    def _show(self, row: DecisionRow, cuts: Sequence[float]) -> None:
        self._empty.setVisible(False)
        self._content.setVisible(True)
        self._mark.set_tier(row.tier)
        self._mark.setVisible(row.tier is not None)
        self._heading.set_text(words.heading(row))
        self._title.set_text(words.title(row))
        scored = row.score is not None
        self._bar.setVisible(scored)
        if row.score is not None:
            self._bar.show_score(row.score, row.scored_tier or row.tier, cuts, words.heading(row))
        reasons = [
            Reason(
                words.contribution(part), words.one_line(part.reason), part.points, words.points(part.points)
            )
            for part in row.contributions
        ]
        if reasons and row.score is not None:
            bounded = abs(sum(part.points for part in row.contributions) - row.score) > 0.005
            detail = self.tr("kept within 0 and 1") if bounded else ""
            reasons.append(Reason(self.tr("Sum"), detail, row.score, f"{row.score:.2f}", total=True))
        self._reasons.set_reasons(reasons)
        self._reasons.setVisible(bool(reasons))
        self._reason.set_text(words.reason(row))
        self._reason.setVisible(bool(row.reason))
        self._remarks.set_text("\n".join(words.remarks(row)))
        self._remarks.setVisible(bool(self._remarks.text()))
        self._models.show_lines(
            [f"{item.name}: {item.skipped}" if item.skipped else item.name for item in row.candidates]
        )
        self.setAccessibleName(f"{words.heading(row)}. {words.reason(row)}")

    def _named(self, files: Sequence[str]) -> list[str]:
        more = len(files) - _MOST_FILES
        shown = list(files[:_MOST_FILES])
        return [*shown, self.tr("and {n:,} more").format(n=more)] if more > 0 else shown

    def _measured(self, answer: RouteExplanation) -> list[str]:
        files = [
            self.tr(
                "{path}: complexity {complexity}, blast radius {blast}, depth {depth}, LCOM4 {lcom}"
            ).format(
                path=file.path,
                complexity=file.cyclomatic_max,
                blast=file.blast,
                depth=file.depth,
                lcom=file.lcom4,
            )
            for file in answer.files
        ]
        symbols = [
            self.tr("{name} in {path}, line {line}: complexity {complexity}").format(
                name=symbol.name, path=symbol.path, line=symbol.line, complexity=symbol.complexity
            )
            for symbol in answer.symbols
        ]
        return self._named([*files, *symbols])

    def _switched_off(self, step: Threshold) -> str:
        return self.tr("{tier} is switched off.").format(tier=tier_name(step.tier))
