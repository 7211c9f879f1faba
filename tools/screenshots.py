"""Draws the pictures of the documentation: `python tools/screenshots.py [OUTDIR]`, without a screen.

Each page in light and dark, at 2x and 1x, at the first size and at the smallest; the tray's menu and icons.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PySide6.QtGui import QPixmap

    from lynkr_desktop.ui.theme.tokens import Colors

ROOT = Path(__file__).resolve().parent.parent
# Qt reads the scale once per process, so each scale has a process of its own.
_CHILD = "LYNKR_SCREENSHOT_SCALE"
# A menu that is higher than the screen is drawn in columns; the platform's own is 800 by 800.
_LARGE = (1280, 1080)
_SCREEN = {
    "screens": [
        {
            "name": "pictures",
            "x": 0,
            "y": 0,
            "width": 3000,
            "height": 3000,
            "logicalDpi": 96,
            "logicalBaseDpi": 96,
            "dpr": 1,
        }
    ]
}


def main(argv: list[str]) -> int:
    """Draws everything into the folder named first, docs/pictures by default."""
    out = Path(argv[0]).absolute() if argv else ROOT / "docs" / "pictures"
    out.mkdir(parents=True, exist_ok=True)
    scale = os.environ.get(_CHILD)
    if scale:
        draw(out, "" if scale == "2" else f"@{scale}x")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        screen = Path(folder) / "screen.json"
        screen.write_text(json.dumps(_SCREEN))
        for factor in ("1", "2"):
            environ = {
                **os.environ,
                _CHILD: factor,
                "QT_SCALE_FACTOR": factor,
                "QT_QPA_PLATFORM": f"offscreen:configfile={screen}",
                "PYTHONPATH": os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", ""))),
            }
            subprocess.run([sys.executable, __file__, str(out)], env=environ, check=True, timeout=120)
    return 0


def draw(out: Path, suffix: str) -> None:
    """Draws at the scale of this process."""
    import msgspec
    from PySide6.QtCore import QSettings
    from PySide6.QtGui import QFont, QFontDatabase
    from PySide6.QtWidgets import QApplication

    from lynkr_desktop.paths import resolve_paths
    from lynkr_desktop.ui.engine_model import EngineModel, Phase
    from lynkr_desktop.ui.routing.code_tree import code_tree
    from lynkr_desktop.ui.routing.page import RoutingPage
    from lynkr_desktop.ui.theme.theme import theme
    from lynkr_desktop.ui.theme.tokens import DARK, LIGHT, Size
    from lynkr_desktop.ui.tray.menu import TrayMenu
    from lynkr_desktop.ui.window.main_window import MainWindow, Page
    from tools import demo

    app = QApplication([])
    if "Inter" in QFontDatabase.families():
        app.setFont(QFont("Inter"))
    theme.attach(app)
    with tempfile.TemporaryDirectory() as home:
        paths = resolve_paths(home)
        paths.logs.mkdir(parents=True)
        paths.engine_log.write_text(demo.log_lines() + "\n")
        model = EngineModel()
        settings = QSettings(str(Path(home) / "settings.ini"), QSettings.Format.IniFormat)
        window = MainWindow(model, demo.NoActions(), paths, settings)

        def shoot(name: str, page: Page, size: tuple[int, int] = Size.WINDOW) -> None:
            window.show_page(page)
            window.resize(*size)
            window.show()
            for _ in range(5):
                app.processEvents()
            for colors, word in ((LIGHT, "light"), (DARK, "dark")):
                theme.force(colors)
                app.processEvents()
                save(window.grab(), out / f"{name}-{word}{suffix}.png")

        shoot("stopped", "overview")
        model.set_token(demo.TOKEN)
        model.set_phase(Phase.RUNNING)
        model.set_status(demo.status(paths.config))
        model.set_requests(demo.requests())
        model.changed.emit()
        shoot("logs", "logs")
        model.routing.set_newest(demo.decisions())
        report = demo.code()
        model.routing.set_code(report.status, code_tree(report.files))
        page = window.findChildren(RoutingPage)[0]
        page.choose(demo.decisions()[1].id)
        shoot("routing", "routing")
        shoot("routing-large", "routing", _LARGE)
        shoot("routing-small", "routing", Size.WINDOW_MIN)
        usual = demo.status(paths.config)
        waiting = msgspec.structs.replace(usual, sessions_paused=(demo.paused_session(),))
        held = msgspec.structs.replace(usual, breakers=(demo.held_back(),), budgets=(demo.spent_budget(),))
        for shown, name in (
            (held, "held-back"),
            (demo.secure(usual), "secure"),
            (waiting, "session-paused"),
            (usual, "overview"),
        ):
            model.set_status(shown)
            model.changed.emit()
            shoot(name, "overview")
        shoot("overview-small", "overview", Size.WINDOW_MIN)
        shoot("logs-small", "logs", Size.WINDOW_MIN)
        window.hide()
        for colors, word in ((LIGHT, "light"), (DARK, "dark")):
            theme.force(colors)
            menu = TrayMenu(model, demo.NoActions()).menu
            menu.ensurePolished()
            menu.resize(menu.sizeHint())
            save(menu.grab(), out / f"menu-{word}{suffix}.png")
            save(icon_sheet(colors), out / f"tray-{word}{suffix}.png")


def save(picture: QPixmap, path: Path) -> None:
    """Writes a PNG of 256 colours, those that occur most: a third of the size, and no eye sees it."""
    from PySide6.QtCore import Qt
    from PySide6.QtGui import QImage

    image = picture.toImage().convertToFormat(QImage.Format.Format_RGB32)
    colors = Counter(memoryview(image.constBits()).cast("I"))
    table = [color for color, _ in colors.most_common(256)]
    flags = Qt.ImageConversionFlag.ThresholdDither | Qt.ImageConversionFlag.AvoidDither
    image.convertToFormat(QImage.Format.Format_Indexed8, table, flags).save(str(path))


def icon_sheet(colors: Colors) -> QPixmap:
    """Every state of the tray icon with its name, on the ground of a theme."""
    from PySide6.QtCore import QRect, Qt
    from PySide6.QtGui import QColor, QPainter, QPixmap
    from PySide6.QtWidgets import QApplication

    from lynkr_desktop.ui.theme import icons
    from lynkr_desktop.ui.theme.fonts import font
    from lynkr_desktop.ui.theme.tokens import Size, Space, Type
    from lynkr_desktop.ui.tray.icon import NAMES

    names = list(dict.fromkeys(NAMES.values()))
    ratio = QApplication.primaryScreen().devicePixelRatio()
    row, width = Size.TRAY * 2 + Space.L, 6 * Size.TRAY * 2
    sheet = QPixmap(round(width * ratio), round((row * len(names) + Space.L) * ratio))
    sheet.setDevicePixelRatio(ratio)
    sheet.fill(QColor(colors.window))
    painter = QPainter(sheet)
    painter.setFont(font(Type.STRONG))
    painter.setPen(QColor(colors.text))
    for number, name in enumerate(names):
        top = Space.L + number * row
        painter.drawPixmap(Space.XL, top, icons.pixmap(name, colors.text, Size.TRAY * 2, ratio))
        left = Space.XL + Size.TRAY * 2 + Space.XL
        small = icons.pixmap(name, colors.text, Size.TRAY, ratio)
        painter.drawPixmap(left, top + Size.TRAY // 2, small)
        words = QRect(left + Size.TRAY + Space.XL, top, width, Size.TRAY * 2)
        painter.drawText(words, int(Qt.AlignmentFlag.AlignVCenter), name.removeprefix("tray-").capitalize())
    painter.end()
    return sheet


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
