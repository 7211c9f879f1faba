"""The application's stylesheet, written from the tokens. Fonts are set on widgets, never here."""

from __future__ import annotations

from lynkr_desktop.ui.theme.tokens import Colors, Size, Space


def stylesheet(c: Colors) -> str:
    """The stylesheet of one theme."""
    inner = Size.CONTROL - 2 * Size.HAIRLINE
    dense = Size.DENSE - 2 * Size.HAIRLINE
    line = f"{Size.HAIRLINE}px solid"
    focus = f"{Size.FOCUS}px solid {c.accent}"
    trim = Size.FOCUS - Size.HAIRLINE
    return f"""
QMainWindow, QDialog, QMessageBox {{ background: {c.window}; }}
QLabel {{ background: transparent; color: {c.text}; }}
QLabel[tone="muted"] {{ color: {c.muted}; }}
QLabel[tone="accent"] {{ color: {c.accent}; }}
QLabel[tone="danger"] {{ color: {c.danger}; }}
QToolTip {{ background: {c.surface}; color: {c.text}; border: {line} {c.line}; padding: {Space.XS}px; }}

QPushButton {{
    background: {c.surface}; color: {c.text}; border: {line} {c.border}; border-radius: {Size.RADIUS}px;
    padding: 0 {Space.M}px; min-height: {inner}px;
}}
QPushButton[dense="true"] {{ min-height: {dense}px; padding: 0 {Space.M - 2}px; }}
QPushButton:hover {{ background: {c.hover}; }}
QPushButton:pressed {{ background: {c.selected}; }}
QPushButton:checked {{ background: {c.selected}; border-color: {c.accent}; }}
QPushButton:focus {{ border: {focus}; padding: 0 {Space.M - trim}px; min-height: {inner - 2 * trim}px; }}
QPushButton[dense="true"]:focus {{ padding: 0 {Space.M - 2 - trim}px; min-height: {dense - 2 * trim}px; }}
QPushButton:disabled {{ color: {c.muted}; background: {c.track}; border-color: {c.track}; }}
QPushButton[primary="true"] {{ background: {c.accent}; color: {c.on_accent}; border-color: {c.accent}; }}
QPushButton[primary="true"]:focus {{ border: {Size.FOCUS}px solid {c.text}; }}
QPushButton[primary="true"]:disabled {{ color: {c.muted}; background: {c.track}; border-color: {c.track}; }}

QLineEdit {{
    background: {c.surface}; color: {c.text}; border: {line} {c.control}; border-radius: {Size.RADIUS}px;
    padding: 0 {Space.S}px; min-height: {inner}px;
    selection-background-color: {c.accent}; selection-color: {c.on_accent};
    placeholder-text-color: {c.muted};
}}
QLineEdit:focus {{ border: {focus}; padding: 0 {Space.S - trim}px; min-height: {inner - 2 * trim}px; }}

QPlainTextEdit {{
    background: {c.surface}; color: {c.text}; border: {line} {c.control}; border-radius: {Size.RADIUS}px;
    padding: 0 {Space.XS}px; selection-background-color: {c.accent}; selection-color: {c.on_accent};
    placeholder-text-color: {c.muted};
}}
QPlainTextEdit:focus {{ border: {focus}; padding: 0 {Space.XS - trim}px; }}

QComboBox {{
    background: {c.surface}; color: {c.text}; border: {line} {c.control}; border-radius: {Size.RADIUS}px;
    padding: 0 {Space.M}px; min-height: {inner}px;
}}
QComboBox:focus {{ border: {focus}; padding: 0 {Space.M - trim}px; min-height: {inner - 2 * trim}px; }}
QComboBox::drop-down {{ border: none; width: {Size.ICON}px; }}
QComboBox QAbstractItemView {{
    background: {c.surface}; color: {c.text}; border: {line} {c.line};
    selection-background-color: {c.selected}; selection-color: {c.text}; outline: none;
}}

QComboBox[dense="true"] {{ min-height: {dense}px; padding: 0 {Space.M - 2}px; }}
QComboBox[dense="true"]:focus {{ padding: 0 {Space.M - 2 - trim}px; min-height: {dense - 2 * trim}px; }}

QScrollArea, QScrollArea > QWidget > QWidget#page {{ background: transparent; border: none; }}
QListView {{ background: transparent; border: none; color: {c.text}; outline: none; }}
QTableView {{ background: transparent; border: none; color: {c.text}; outline: none; }}
QHeaderView {{ background: transparent; border: none; }}
QListView::item:selected {{ background: {c.selected}; color: {c.text}; }}
QAbstractScrollArea::corner {{ background: transparent; border: none; }}
QScrollBar:vertical {{ background: transparent; width: {Size.SCROLL_BAR}px; margin: 0; }}
QScrollBar:horizontal {{ background: transparent; height: {Size.SCROLL_BAR}px; margin: 0; }}
QScrollBar::handle {{
    background: {c.control}; border: {Space.XS - 1}px solid transparent;
    border-radius: {Size.SCROLL_BAR // 2}px;
}}
QScrollBar::handle:vertical {{ min-height: {Space.XL}px; }}
QScrollBar::handle:horizontal {{ min-width: {Space.XL}px; }}
QScrollBar::add-line, QScrollBar::sub-line, QScrollBar::add-page, QScrollBar::sub-page {{
    background: transparent; border: none; width: 0; height: 0;
}}

QMenu {{ background: {c.surface}; color: {c.text}; border: {line} {c.line}; padding: {Space.XS}px; }}
QMenu::item {{ padding: 0 {Space.XL}px 0 {Size.MENU_TEXT}px; min-height: {Size.MENU_ROW}px; }}
QMenu::item:selected {{ background: {c.selected}; }}
QMenu::item:disabled {{ color: {c.muted}; }}
QMenu::separator {{ height: {Size.HAIRLINE}px; background: {c.line}; margin: {Space.XS}px 0; }}
"""
