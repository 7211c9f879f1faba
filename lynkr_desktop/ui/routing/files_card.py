"""The figures of the treemap as a table."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QVBoxLayout

from lynkr_desktop.protocol.code import FileMetrics
from lynkr_desktop.ui.routing.code_tree import CodeTree
from lynkr_desktop.ui.routing.routing_model import RoutingModel
from lynkr_desktop.ui.theme.tokens import Column, Size, Space, Type
from lynkr_desktop.ui.widgets.card import Card, Line
from lynkr_desktop.ui.widgets.figures_table import FiguresTable, MenuButton, copy_button
from lynkr_desktop.ui.widgets.labels import Label
from lynkr_desktop.ui.widgets.table_rows import TableColumn, TableRows


class FilesCard(Card):
    """A row per file, the hottest first; hidden while there are none."""

    def __init__(self, routing: RoutingModel) -> None:
        super().__init__()
        self._routing = routing
        self._shown: CodeTree | None = None
        self._rows = TableRows(self._columns(), lambda file: file.path)
        self.table: FiguresTable[FileMetrics] = FiguresTable(self.tr("Files with their figures"), self._rows)
        self._counted = Label("", Type.CAPTION, "muted")
        find = QLineEdit()
        find.setPlaceholderText(self.tr("Find a file"))
        find.setAccessibleName(self.tr("Find a file"))
        find.setClearButtonEnabled(True)
        find.setFixedWidth(Column.FIND)
        find.textChanged.connect(self._find)
        head = QHBoxLayout()
        head.setContentsMargins(Space.L - Size.HAIRLINE, 0, Space.M, 0)
        head.setSpacing(Space.S)
        head.addWidget(Label(self.tr("Files"), Type.SECTION))
        head.addWidget(self._counted, 1)
        head.addWidget(
            MenuButton(
                "columns",
                self.tr("Choose the columns of the files"),
                lambda menu: self.table.fill_column_menu(menu, lambda: None),
            )
        )
        head.addWidget(copy_button(self.table, self.tr("Copy the files")))
        head.addWidget(find)
        column = QVBoxLayout(self)
        column.setContentsMargins(Size.HAIRLINE, Space.S, Size.HAIRLINE, Size.FOCUS)
        column.setSpacing(Space.S)
        column.addLayout(head)
        column.addWidget(Line())
        column.addWidget(self.table)
        column.setSpacing(0)
        column.insertSpacing(1, Space.S)
        self.table.setFixedHeight((Size.FILE_ROWS + 1) * Size.TABLE_ROW)
        routing.code_changed.connect(self.refresh)
        self.refresh()

    def _columns(self) -> list[TableColumn[FileMetrics]]:
        def figure(
            key: str, title: str, value: str, *, shown: bool = True, narrow: bool = True
        ) -> TableColumn[FileMetrics]:
            return TableColumn(
                key,
                title,
                lambda file: f"{getattr(file, value):,}",
                lambda file: getattr(file, value),
                Column.FIGURE,
                figure=True,
                shown=shown,
                narrow=narrow,
                copied=lambda file: str(getattr(file, value)),
            )

        return [
            TableColumn(
                "path", self.tr("File"), lambda file: file.path, lambda file: file.path, tip=lambda f: f.path
            ),
            TableColumn(
                "language",
                self.tr("Language"),
                lambda file: file.language,
                lambda file: file.language,
                Column.FIGURE,
                shown=False,
            ),
            figure("lines", self.tr("Lines"), "lines"),
            figure("worst", self.tr("Complexity"), "cyclomatic_max"),
            figure("sum", self.tr("In all"), "cyclomatic_sum", shown=False),
            figure("functions", self.tr("Functions"), "functions", shown=False),
            figure("blast", self.tr("Blast radius"), "blast"),
            figure("direct", self.tr("Direct users"), "blast_1", shown=False),
            figure("two", self.tr("In two steps"), "blast_2", shown=False),
            figure("tests", self.tr("Tests on it"), "blast_tests", shown=False),
            figure("depth", self.tr("Depth"), "depth", narrow=False),
            figure("cycle", self.tr("Cycle"), "component", shown=False),
            TableColumn(
                "cohesion",
                self.tr("Cohesion"),
                lambda file: f"{file.cohesion:.2f}",
                lambda file: file.cohesion,
                Column.FIGURE,
                figure=True,
                narrow=False,
            ),
            figure("lcom4", self.tr("LCOM4"), "lcom4", shown=False),
        ]

    def refresh(self) -> None:
        """Shows the files of the workspace."""
        code = self._routing.code
        if code is self._shown:
            return
        self._shown = code
        self.table.set_rows(list(code.files.values()))
        self.setVisible(bool(code.files))
        self._count()

    def show_file(self, path: str) -> None:
        """Moves to a file."""
        self.table.choose(path)

    def _find(self, text: str) -> None:
        wanted = text.casefold().strip()
        self.table.set_filter((lambda file: wanted in file.path.casefold()) if wanted else None)
        self._count()

    def _count(self) -> None:
        shown = len(self._rows.rows)
        words = self.tr("1 file") if shown == 1 else self.tr("{n:,} files").format(n=shown)
        self._counted.set_text(words)
