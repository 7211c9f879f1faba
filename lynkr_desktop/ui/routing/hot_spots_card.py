"""Where the code of a workspace is complex and much depends on it: a treemap, and how far its index is."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QStackedLayout, QVBoxLayout, QWidget

from lynkr_desktop.protocol.code import IndexStatus
from lynkr_desktop.protocol.routing import DecisionRow
from lynkr_desktop.ui import format as fmt
from lynkr_desktop.ui.controller import Actions
from lynkr_desktop.ui.engine_model import EngineModel
from lynkr_desktop.ui.routing import decision_words as words
from lynkr_desktop.ui.routing.legend import Legend
from lynkr_desktop.ui.routing.routing_controller import same_folder
from lynkr_desktop.ui.routing.workspace_choice import WorkspaceChoice
from lynkr_desktop.ui.theme.tokens import Space, Type
from lynkr_desktop.ui.widgets.bars import ThinBar
from lynkr_desktop.ui.widgets.card import Card
from lynkr_desktop.ui.widgets.empty_state import EmptyState
from lynkr_desktop.ui.widgets.icons import IconButton
from lynkr_desktop.ui.widgets.labels import ElidedLabel, Label, paragraph
from lynkr_desktop.ui.widgets.treemap import Treemap
from lynkr_desktop.ui.widgets.treemap_layout import Tile


class HotSpotsCard(Card):
    """The treemap with its workspace, its state, its reading line and its legend.

    Signals:
        chosen: the path of the file that was clicked or entered.
    """

    chosen = Signal(str)

    def __init__(self, model: EngineModel, actions: Actions) -> None:
        super().__init__()
        self._model, self._routing, self._actions = model, model.routing, actions.routing
        self._drawn: object = None
        self._failed = False
        self._marked: frozenset[str] = frozenset()
        self.workspace = WorkspaceChoice(self.tr("Workspace of the map"))
        self.workspace.picked.connect(self._show)
        self.map = Treemap(self.tr("Hot spots, a map of the code"), self._describe, self._label)
        self.map.read.connect(self._read)
        self.map.zoomed.connect(self._refresh_trail)
        self.map.chosen.connect(self.chosen)
        self._trail = ElidedLabel("", Type.CAPTION, "muted", Qt.TextElideMode.ElideLeft)
        self._back = IconButton("chevron-left", self.tr("Back to the folder above"))
        self._back.clicked.connect(self.map.back)
        self._progress_words = ElidedLabel("", Type.CAPTION, "muted")
        self._progress = ThinBar(self.tr("Progress of the index"))
        self._reading = paragraph("", Type.CAPTION)
        self._note = paragraph("", Type.CAPTION)
        self._legend = Legend()
        self._empty = EmptyState("routing", "", self.tr("&Choose a folder"))
        self._empty.clicked.connect(self._mend)
        self._stack = QStackedLayout()
        self._lay_out()
        self._read("")
        self._routing.code_changed.connect(self.refresh)
        model.changed.connect(self.refresh)
        self.refresh()

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(Space.S)
        head.addWidget(Label(self.tr("Hot spots"), Type.SECTION))
        head.addWidget(self._back)
        head.addWidget(self._trail, 1)
        head.addWidget(self.workspace)
        self._busy = QWidget()
        busy = QVBoxLayout(self._busy)
        busy.setContentsMargins(0, 0, 0, 0)
        busy.setSpacing(Space.XS)
        busy.addWidget(self._progress_words)
        busy.addWidget(self._progress)
        shown = QWidget()
        inner = QVBoxLayout(shown)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.setSpacing(Space.S)
        inner.addWidget(self.map, 1)
        inner.addWidget(self._legend)
        # Two lines are kept for the reading, so that the map does not jump as the mouse moves.
        self._reading.setFixedHeight(2 * Type.CAPTION.line)
        self._reading.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        inner.addWidget(self._reading)
        inner.addWidget(self._note)
        self._stack.addWidget(shown)
        self._stack.addWidget(self._empty)
        column = QVBoxLayout(self)
        column.setContentsMargins(Space.L, Space.M, Space.L, Space.M)
        column.setSpacing(Space.S)
        column.addLayout(head)
        column.addWidget(self._busy)
        column.addLayout(self._stack, 1)
        self.map.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    # ------------------------------------------------------------ state

    def refresh(self) -> None:
        """Shows the workspace as far as it is known."""
        routing, status = self._routing, self._model.status
        statuses = status.workspaces if status is not None else ()
        self.workspace.set_roots([index.root for index in statuses])
        self.workspace.set_current(routing.workspace)
        index = routing.index
        busy = (
            words.indexing((index,))
            if index is not None
            else self.tr("Reading the figures of the code")
            if routing.code_loading
            else ""
        )
        self._busy.setVisible(bool(busy))
        self._progress_words.set_text(busy)
        self._progress.set_part(words.indexing_part((index,)) if index is not None else 0.0)
        if routing.code is not self._drawn:
            self._drawn = routing.code
            self.map.set_tree(routing.code.root)
            self._legend.show_scales(routing.code)
        self._note.set_text(self._limits(index))
        self._note.setVisible(bool(self._note.text()))
        if routing.code.files:
            self._stack.setCurrentIndex(0)
        else:
            self._stack.setCurrentIndex(1)
            self._show_empty(index)
        self._refresh_trail()

    def mark(self, row: DecisionRow | None) -> None:
        """Marks the files that a decision names, if they are those of this workspace."""
        here = row is not None and same_folder(row.workspace, self._routing.workspace)
        self._marked = frozenset(row.files) if row is not None and here else frozenset()
        self.map.mark(self._marked)

    def _show_empty(self, index: IndexStatus | None) -> None:
        routing = self._routing
        busy = index is not None and index.unfinished
        self._empty.set_button_visible(self._model.serving and not routing.code_loading and not busy)
        self._failed = bool(routing.workspace) and (
            bool(routing.code_failure) or (index is not None and index.state == "failed")
        )
        self._empty.set_act(self.tr("&Try again") if self._failed else self.tr("&Choose a folder"))
        if routing.code_failure and routing.workspace:
            text = self.tr("{name} cannot be shown: {why}").format(
                name=words.workspace_name(routing.workspace), why=routing.code_failure
            )
        elif index is not None and index.state == "failed":
            text = self.tr("{name} could not be indexed: {why}").format(
                name=words.workspace_name(index.root), why=index.error or self.tr("the reason is not known")
            )
        elif index is not None and index.unfinished:
            text = self.tr("The map is drawn as soon as all files are read.")
        elif index is not None and not routing.code_loading:
            text = self.tr(
                "{name} has no file in TypeScript, JavaScript, Python, Rust, Go, Java or C#."
            ).format(name=words.workspace_name(index.root))
        elif routing.code_loading:
            text = self.tr("The map is being drawn.")
        else:
            text = self.tr(
                "No code indexed yet. It is indexed when an agent works on a folder, or when you choose one."
            )
        self._empty.set_sentence(text)

    def _limits(self, index: IndexStatus | None) -> str:
        """What the map leaves out, and what to do about it."""
        if index is None:
            return ""
        skipped = sum(index.skipped.values())
        parts = []
        if index.state == "failed" and self._routing.code.files:
            parts.append(
                self.tr("The index is no longer kept up to date: {why}").format(why=index.error or "?")
            )
        if index.state == "limited":
            parts.append(
                self.tr(
                    "Only {files:,} files are in it: the workspace is larger than "
                    "routing.analysis.graphify.max_files allows. Raise that, or index a folder within it."
                ).format(files=index.files)
            )
        if skipped:
            reasons = ", ".join(f"{count:,} {why}" for why, count in index.skipped.items())
            parts.append(self.tr("Left out: {reasons}.").format(reasons=reasons))
        if index.polling:
            parts.append(self.tr("Changes are looked for now and then, as the system does not tell of them."))
        return " ".join(parts)

    def _refresh_trail(self) -> None:
        trail = self.map.trail[1:]
        self._back.setVisible(bool(trail))
        self._trail.set_text(" / ".join(node.name or self.tr("the rest") for node in trail))

    def _show(self, root: str) -> None:
        if root:
            self._actions.show_code(root)

    def _mend(self) -> None:
        """Does what the empty place offers."""
        if not self._failed:
            self.workspace.ask()
        elif self._routing.code_failure:
            self._actions.show_code(self._routing.workspace)
        else:
            self._actions.index_again()

    # ------------------------------------------------------------ words

    def _read(self, text: str) -> None:
        self._reading.set_text(text or self.tr("Point at a tile to read it. Enter opens its folder."))
        self._reading.setToolTip(text)

    def _label(self, tile: Tile) -> tuple[str, str]:
        node = tile.node
        if tile.kind == "rest":
            return self.tr("{n:,} more").format(n=node.leaves), f"{node.size:,.0f}"
        return node.name, f"{node.size:,.0f}"

    def _describe(self, tile: Tile) -> str:
        node = tile.node
        file = self._routing.code.files.get(node.key) if tile.kind == "leaf" else None
        if file is None:
            folder = node.key or words.workspace_name(self._routing.workspace)
            text = (
                self.tr("{n:,} more files in {folder}: {lines:,} lines. Enter opens them.")
                if tile.kind == "rest"
                else self.tr("{folder}, {n:,} files: {lines:,} lines. Enter opens it.")
            )
            return text.format(n=node.leaves, folder=folder, lines=int(node.size))
        parts = [
            self.tr("{lines:,} lines").format(lines=file.lines),
            self.tr("complexity {worst:,} at worst, {all:,} in all").format(
                worst=file.cyclomatic_max, all=file.cyclomatic_sum
            ),
            self.tr("blast radius {n:,}").format(n=file.blast),
            self.tr("depth {n:,}").format(n=file.depth),
            self.tr("cohesion {share}").format(share=fmt.percent(file.cohesion)),
        ]
        if file.path in self._marked:
            parts.append(self.tr("named by the chosen request"))
        if file.component > 1:
            parts.append(self.tr("in a cycle of {n:,} files").format(n=file.component))
        return f"{file.path}: {', '.join(parts)}"
