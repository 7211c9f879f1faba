"""Fonts of the type scale, from the system's own families."""

from __future__ import annotations

from functools import cache

from PySide6.QtGui import QFont, QFontDatabase, QGuiApplication

from lynkr_desktop.ui.theme.tokens import TypeStyle


@cache
def _family(mono: bool, default: str) -> str:
    return QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont).family() if mono else default


def font(style: TypeStyle) -> QFont:
    """The font of a style, with tabular numerals where figures stand under each other."""
    result = QFont(_family(style.mono, QGuiApplication.font().family()))
    result.setPixelSize(style.size)
    result.setWeight(QFont.Weight(style.weight))
    if style.mono:
        result.setStyleHint(QFont.StyleHint.Monospace)
    else:
        # Said either way: a feature that is not set is inherited from the parent's font.
        result.setFeature(QFont.Tag("tnum"), int(style.tabular))
    return result
