"""Draws the pictures of the documentation: `python tools/screenshots.py [OUTDIR]`, without a screen.

Each page in light and dark, at 1x and 2x, at the first size and at the smallest, and the tray's icons.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Qt reads the scale once per process, so each scale has a process of its own.
_CHILD = "LYNKR_SCREENSHOT_SCALE"


def main(argv: list[str]) -> int:
    """Draws everything into the folder named first, docs/pictures by default."""
    out = Path(argv[0]).absolute() if argv else ROOT / "docs" / "pictures"
    out.mkdir(parents=True, exist_ok=True)
    scale = os.environ.get(_CHILD)
    if scale:
        draw(out, "" if scale == "1" else f"@{scale}x")
        return 0
    for factor in ("1", "2"):
        environ = {
            **os.environ,
            _CHILD: factor,
            "QT_SCALE_FACTOR": factor,
            "QT_QPA_PLATFORM": "offscreen",
            "PYTHONPATH": os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", ""))),
        }
        subprocess.run([sys.executable, __file__, str(out)], env=environ, check=True, timeout=120)
    return 0


def draw(out: Path, suffix: str) -> None:
    """Draws at the scale of this process."""
    from PySide6.QtCore import QSettings
    from PySide6.QtGui import QFont, QFontDatabase
    from PySide6.QtWidgets import QApplication

    from lynkr_desktop.paths import resolve_paths
    from lynkr_desktop.ui.engine_model import EngineModel, Phase
    from lynkr_desktop.ui.theme.theme import theme
    from lynkr_desktop.ui.theme.tokens import DARK, LIGHT, Size
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
                window.grab().save(str(out / f"{name}-{word}{suffix}.png"))

        shoot("stopped", "overview")
        model.set_token(demo.TOKEN)
        model.set_phase(Phase.RUNNING)
        model.set_status(demo.status(paths.config))
        model.set_requests(demo.requests())
        model.changed.emit()
        shoot("overview", "overview")
        shoot("logs", "logs")
        shoot("overview-small", "overview", Size.WINDOW_MIN)
        shoot("logs-small", "logs", Size.WINDOW_MIN)
        window.hide()
        window.deleteLater()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
