"""The Routing page on an engine of its own process: requests, their decisions, marks, code, explanations."""

from __future__ import annotations

import os

os.environ["QT_QPA_PLATFORM"] = "offscreen"

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest
import qasync
from PySide6.QtCore import QSettings
from PySide6.QtWidgets import QApplication, QLabel
from pytestqt.qtbot import QtBot

from lynkr_desktop.paths import Paths
from lynkr_desktop.protocol.routing import ExplainRequest
from lynkr_desktop.protocol.tiers import Tier
from lynkr_desktop.tasks import Tasks
from lynkr_desktop.ui.controller import Controller
from lynkr_desktop.ui.engine_model import EngineModel
from lynkr_desktop.ui.routing.page import RoutingPage
from lynkr_desktop.ui.theme.theme import theme
from tests.support.engine import TOKEN, config_for, write_config
from tests.support.openai_server import openai_server

LEAF = "def area(width, height):\n    return width * height\n"
TANGLED = "import leaf\n\n\nclass God:\n" + "".join(
    f"    def step{n}(self, a, b):\n"
    + "".join(f"        if a > {k}:\n            b += {k}\n" for k in range(14))
    + "        return b\n\n"
    for n in range(12)
)


async def until(probe: Callable[[], bool], what: str, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not probe():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.02)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A small workspace with a leaf, a god module, and much that depends on the latter."""
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "leaf.py").write_text(LEAF)
    (folder / "god.py").write_text(TANGLED)
    for number in range(30):
        (folder / f"user{number}.py").write_text("import god\n\n\ndef use():\n    return god.God()\n")
    return folder


@pytest.fixture
def app(qapp: QApplication) -> QApplication:
    if not qapp.styleSheet():
        theme.attach(qapp)
    qapp.setQuitOnLastWindowClosed(False)  # as the app has it: hiding the page must not end the loop
    return qapp


def test_a_person_follows_marks_and_explains(
    app: QApplication, qtbot: QtBot, tmp_path: Path, shop: Path
) -> None:
    async def main() -> None:
        tasks, model = Tasks(), EngineModel()
        async with openai_server() as upstream:
            paths = write_config(tmp_path / "home", config_for(upstream.url))
            engine = start(paths)
            controller = Controller(paths, model, tasks, lambda port: [sys.executable, "-c", ""])
            page = RoutingPage(
                model, controller, QSettings(str(tmp_path / "ui.ini"), QSettings.Format.IniFormat)
            )
            qtbot.addWidget(page)
            try:
                await until(paths.runtime.exists, "the engine's start")
                assert await controller.adopt_running()
                await until(lambda: model.serving, "the engine's status")
                page.show()
                await scenario(page, model, controller, shop)
            finally:
                page.hide()
                await tasks.close()
                engine.terminate()
                await until(lambda: engine.poll() is not None, "the engine's end")

    loop = qasync.QEventLoop(app)
    asyncio.set_event_loop(loop)
    try:
        with loop:
            loop.run_until_complete(asyncio.wait_for(main(), 90))
    finally:
        asyncio.set_event_loop(None)


async def scenario(page: RoutingPage, model: EngineModel, controller: Controller, shop: Path) -> None:
    """What a person does, from the first request on."""
    routing = model.routing
    controller.routing.show_code(str(shop))
    await until(lambda: len(routing.code.files) == 32, "the map of the code")
    assert next(iter(routing.code.files)) == "god.py", "the hottest file first"
    assert routing.code.files["god.py"].blast == 30

    url = f"http://127.0.0.1:{model.port}/v1/chat/completions"
    headers = {"Authorization": f"Bearer {TOKEN}", "x-lynkr-workspace": str(shop)}
    async with aiohttp.ClientSession(headers=headers) as http:
        for text in ("What does leaf.py do?", "Refactor god.py so that its steps can be tested"):
            body = {"model": "auto-route", "messages": [{"role": "user", "content": text}]}
            async with http.post(url, json=body) as reply:
                assert reply.status == 200
    await until(lambda: len(routing.decisions) == 2, "both decisions")
    hard, easy = routing.decisions
    assert "god.py" in hard.files
    assert (hard.score or 0) > (easy.score or 0)
    assert hard.provider == "fake"

    page.choose(hard.id)
    controller.routing.mark(hard.id, "under")
    await until(lambda: routing.decisions[0].mark == "under", "the mark")
    controller.routing.list_decisions(misrouted=True)
    await until(lambda: [row.id for row in routing.decisions] == [hard.id], "the misrouted alone")

    controller.routing.explain(
        ExplainRequest(prompt="Rename area in leaf.py", workspace=str(shop), tools=True)
    )
    await until(lambda: routing.explanation is not None, "the explanation")
    assert routing.explanation is not None
    assert [file.path for file in routing.explanation.files] == ["leaf.py"]
    assert [step.tier for step in routing.explanation.thresholds] == list(Tier)
    shown = "\n".join(label.text() for label in page.findChildren(QLabel) if label.isVisible())
    assert "Would be: " in shown
    assert "leaf.py: complexity 1" in shown

    (shop / "new.py").write_text("import god\n")
    await until(lambda: "new.py" in routing.code.files, "a new file on the map")

    controller.set_profile("secure")
    await until(
        lambda: model.status is not None and model.status.profile.local_only, "the secure profile in force"
    )
    assert page.isVisible()


def start(paths: Paths) -> subprocess.Popen[bytes]:
    """`lynkr serve` on a free port."""
    command = [sys.executable, "-m", "lynkr_desktop", "serve", "--home", str(paths.home), "--port", "0"]
    with (paths.home / "serve.log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "LYNKR_HOME": ""})
