"""Widgets without a screen, and a recorder in the place of the engine's controller."""

from __future__ import annotations

import os

os.environ["QT_QPA_PLATFORM"] = "offscreen"

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QSettings
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from lynkr_desktop.paths import Paths, resolve_paths
from lynkr_desktop.protocol.control import EngineStatus
from lynkr_desktop.ui.engine_model import EngineModel
from lynkr_desktop.ui.theme.theme import theme
from lynkr_desktop.ui.theme.tokens import LIGHT
from lynkr_desktop.ui.window.main_window import MainWindow
from tests.support.recorder import Recorder
from tools import demo


@pytest.fixture
def dressed(qapp: QApplication) -> Iterator[QApplication]:
    """The application in its light theme."""
    if not qapp.styleSheet():
        theme.attach(qapp)
    theme.force(LIGHT)
    yield qapp
    theme.force(LIGHT)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """A home of this test's own."""
    return resolve_paths(tmp_path / "lynkr")


@pytest.fixture
def model(dressed: QApplication) -> EngineModel:
    """A model that has heard nothing yet."""
    return EngineModel()


@pytest.fixture
def actions() -> Recorder:
    """Records what views ask for."""
    return Recorder()


@pytest.fixture
def status(paths: Paths) -> EngineStatus:
    """A running engine's status: four tiers, two local models, some spend."""
    return demo.status(paths.config)


@pytest.fixture
def window(qtbot: QtBot, model: EngineModel, actions: Recorder, paths: Paths, tmp_path: Path) -> MainWindow:
    """The main window, shown."""
    settings = QSettings(str(tmp_path / "desktop.ini"), QSettings.Format.IniFormat)
    result = MainWindow(model, actions, paths, settings)
    qtbot.addWidget(result)
    result.show()
    return result


@pytest.fixture
def running(model: EngineModel, window: MainWindow, status: EngineStatus) -> EngineModel:
    """The window of a running engine."""
    model.set_token(demo.TOKEN)
    model.engine_up(status.port)
    model.set_status(status)
    model.set_requests(demo.requests())
    model.changed.emit()
    return model
