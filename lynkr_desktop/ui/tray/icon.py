"""The tray icon's pictures: one colour, the shape tells the state."""

from __future__ import annotations

import os
import sys

from PySide6.QtGui import QIcon

from lynkr_desktop.ui.engine_model import Phase
from lynkr_desktop.ui.theme import icons
from lynkr_desktop.ui.theme.theme import theme
from lynkr_desktop.ui.theme.tokens import DARK, LIGHT, Size

NAMES = {
    Phase.STOPPED: "tray-stopped",
    Phase.STARTING: "tray-starting",
    Phase.STOPPING: "tray-starting",
    Phase.RUNNING: "tray-running",
    Phase.PAUSED: "tray-paused",
    Phase.PROBLEM: "tray-problem",
}


def tray_icon(phase: Phase) -> QIcon:
    """The icon of a phase for the panel at hand, in every size that panels ask for."""
    color = (DARK if panel_is_dark() else LIGHT).text
    result = QIcon()
    for size in Size.TRAY_SIZES:
        result.addPixmap(icons.pixmap(NAMES[phase], color, size))
    if sys.platform == "darwin":
        result.setIsMask(True)  # macOS colours template images itself
    return result


def panel_is_dark() -> bool:
    """Whether the icon stands on a dark ground. GNOME's top bar is dark whatever the theme."""
    return theme.colors.dark or "GNOME" in os.environ.get("XDG_CURRENT_DESKTOP", "").upper().split(":")
