"""The tray on real desktops: a StatusNotifier panel, an XEmbed tray, and no tray at all."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import aiohttp
import msgspec
import psutil
import pytest

from lynkr_desktop.protocol.control import EngineRuntime
from tests.support.clock import waited
from tests.support.desktop import Desktop, MenuEntry, TrayItem, desktop, eventually, missing_programs
from tests.support.engine import TOKEN, config_for, write_config
from tests.support.openai_server import OpenAIServer, openai_server

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="Xvfb, D-Bus trays and XEmbed are Linux's"
)


@pytest.fixture
def screen(tmp_path: Path) -> Iterator[Desktop]:
    missing = missing_programs("Xvfb", "dbus-daemon", "openbox", "xfce4-panel", "trayer", "xdotool")
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    with desktop(tmp_path) as session:
        yield session
        for log in tmp_path.glob("python*.log"):
            said = log.read_text(errors="replace")
            assert "Traceback" not in said, said
            assert "never awaited" not in said, said


@pytest.fixture
async def upstream() -> AsyncIterator[OpenAIServer]:
    async with openai_server() as server:
        yield server


def configure(screen: Desktop, upstream: OpenAIServer) -> None:
    write_config(screen.home, config_for(upstream.url))


def runtime(screen: Desktop) -> EngineRuntime | None:
    try:
        return msgspec.json.decode((screen.home / "engine.json").read_bytes(), type=EngineRuntime)
    except (OSError, msgspec.DecodeError):
        return None


async def answered_by(screen: Desktop) -> str:
    """The tier that answers a plain request now."""
    running = runtime(screen)
    assert running is not None
    body = {"model": "auto-route", "messages": [{"role": "user", "content": "hi"}]}
    url = f"http://127.0.0.1:{running.port}/v1/chat/completions"
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as http,
        http.post(url, json=body) as reply,
    ):
        assert reply.status == 200, await reply.text()
        return reply.headers["x-lynkr-tier"].lower()


async def registered(screen: Desktop) -> TrayItem:
    return await eventually(screen.tray_item, "the tray icon", 15)


def labels(entries: list[MenuEntry]) -> list[str]:
    return [entry.label for entry in entries if not entry.separator]


async def says(item: TrayItem, words: str, seconds: float = 10) -> None:
    await eventually(lambda: item.find(words), f"{words!r} in the menu", seconds)


async def ended(process: subprocess.Popen[bytes], seconds: float = 15) -> int:
    await eventually(lambda: process.poll() is not None, "the end of the app", seconds)
    return int(process.returncode)


async def test_start_switch_heal_and_quit_by_the_menu(screen: Desktop, upstream: OpenAIServer) -> None:
    configure(screen, upstream)
    await screen.start_panel()
    app = screen.start_app("--background")
    item = await registered(screen)
    await says(item, "Start")
    assert labels(item.menu()) == [
        "Stopped",
        "Start",
        "Pause for",
        "Simple",
        "Medium",
        "Complex",
        "Reasoning",
        "Spent today: $0.00",
        "Copy endpoint",
        "Logs",
        "Quit",
    ]
    assert not screen.engines()
    assert not screen.windows("Lynkr")
    stopped_icon = item.icon_pixels()

    item.click("Start")
    await says(item, "Running on port")
    assert item.icon_pixels() != stopped_icon
    assert "Running" in item.tool_tip()
    assert await answered_by(screen) == "simple"

    # Mark and check both reach the panel, so the entry reads without colour.
    simple = await eventually(lambda: item.find("Simple, 100 %"), "today's share")
    assert simple.checked
    assert simple.has_icon
    item.click("Simple")
    await eventually(lambda: (row := item.find("Simple")) and not row.checked, "the tier switched off")
    await eventually_tier(screen, "medium")
    item.click("Simple")
    await eventually_tier(screen, "simple")

    await kill_and_watch_it_heal(screen, item, app)

    item.click("Quit")
    assert await ended(app) == 0
    assert screen.engines() == []
    assert runtime(screen) is None


async def eventually_tier(screen: Desktop, tier: str) -> None:
    deadline = time.monotonic() + 5
    while (found := await answered_by(screen)) != tier:
        assert time.monotonic() < deadline, f"still answered by {found}"
        await asyncio.sleep(0.05)


async def in_time(once: Callable[[], Awaitable[float]], seconds: float) -> None:
    """What takes longer than it may is tried again: a machine that is busy for a moment is no fault."""
    took = [await once()]
    while min(took) >= seconds and len(took) < 3:
        took.append(await once())
    assert min(took) < seconds, took


async def kill_and_watch_it_heal(screen: Desktop, item: TrayItem, app: subprocess.Popen[bytes]) -> None:
    def another(than: EngineRuntime) -> EngineRuntime | None:
        now = runtime(screen)
        return now if now is not None and now.pid != than.pid and psutil.pid_exists(now.pid) else None

    async def healed() -> float:
        before = runtime(screen)
        assert before is not None
        others, since = waited(app.pid), time.monotonic()
        os.kill(before.pid, signal.SIGKILL)
        engine = await eventually(lambda: another(before), "another engine", 15)
        await says(item, "Running on port", 15)
        assert await answered_by(screen) == "simple"
        # What other programs of this machine take from it is no fault either.
        others = waited(app.pid) + waited(engine.pid) - others
        return time.monotonic() - since - others

    await in_time(healed, 3)


async def test_a_dead_ui_leaves_the_engine_and_the_next_one_adopts_and_heals_it(
    screen: Desktop, upstream: OpenAIServer
) -> None:
    configure(screen, upstream)
    await screen.start_panel()
    first = screen.start_app("--background", "--start")
    await says(await registered(screen), "Running on port", 15)
    before = runtime(screen)
    assert before is not None
    first.kill()
    first.wait()
    assert await answered_by(screen) == "simple"
    await eventually(lambda: screen.tray_item() is None, "the end of the first tray icon")

    second = screen.start_app("--background")
    item = await registered(screen)
    await says(item, "Running on port")
    assert runtime(screen) == before, "the engine was adopted, not replaced"
    await kill_and_watch_it_heal(screen, item, second)
    item.click("Quit")
    assert await ended(second) == 0
    assert screen.engines() == []


async def test_quit_finishes_requests_and_a_second_quit_forces(
    screen: Desktop, upstream: OpenAIServer
) -> None:
    configure(screen, upstream)
    upstream.gate = asyncio.Event()
    await screen.start_panel()
    app = screen.start_app("--background", "--start")
    item = await registered(screen)
    await says(item, "Running on port", 15)
    running = runtime(screen)
    assert running is not None
    body = {"model": "auto-route", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
    url = f"http://127.0.0.1:{running.port}/v1/chat/completions"
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as http,
        http.post(url, json=body) as reply,
    ):
        assert reply.status == 200
        await reply.content.readany()
        item.click("Quit")
        await says(item, "Finishing 1 request")
        assert app.poll() is None
        item.click("Quit now")
        assert await ended(app) == 0
    assert screen.engines() == []


async def test_a_second_start_shows_the_window_of_the_first(screen: Desktop, upstream: OpenAIServer) -> None:
    configure(screen, upstream)
    await screen.start_panel()
    screen.start_app("--background")
    await registered(screen)
    assert not screen.windows("Lynkr")
    second = screen.start_app()
    assert await ended(second) == 0
    await eventually(lambda: screen.windows("Lynkr"), "the first one's window")


async def test_left_click_shows_the_window_and_closing_hides_it(
    screen: Desktop, upstream: OpenAIServer
) -> None:
    configure(screen, upstream)
    await screen.start_panel()
    app = screen.start_app("--background")
    item = await registered(screen)
    item.activate()
    (window,) = await eventually(lambda: screen.windows("Lynkr"), "the window")
    screen.close_window(window)
    await eventually(lambda: not screen.windows("Lynkr"), "the window hidden")
    assert app.poll() is None
    item.click("Stopped")
    await eventually(lambda: screen.windows("Lynkr"), "the window again")


async def test_an_xembed_tray_shows_the_icon_and_its_menu(screen: Desktop, upstream: OpenAIServer) -> None:
    configure(screen, upstream)
    screen.start("trayer", "--edge", "bottom", "--widthtype", "request", "--height", "24")
    screen.start_app("--background")
    icon = await eventually(lambda: docked(screen), "the icon in trayer", 15)
    screen.run("xdotool", "mousemove", "--window", icon, "8", "8", "click", "1")
    await eventually(lambda: screen.windows("Lynkr"), "the window after a left click")


def docked(screen: Desktop) -> str | None:
    """The icon's window inside trayer, once it has a size."""
    for window in screen.run("xdotool", "search", "--class", "lynkr").split():
        shape = screen.run("xdotool", "getwindowgeometry", "--shell", window)
        sizes = dict(line.split("=", 1) for line in shape.splitlines() if "=" in line)
        if 8 <= int(sizes.get("WIDTH", 0)) <= 64:
            return window
    return None


async def test_without_a_tray_the_window_opens_and_closing_never_hides_it_for_good(
    screen: Desktop, upstream: OpenAIServer
) -> None:
    configure(screen, upstream)
    app = screen.start_app("--background")
    (window,) = await eventually(lambda: screen.windows("Lynkr"), "the window after ten seconds", 16)
    screen.close_window(window)
    assert await ended(app) == 0


async def test_a_panel_that_comes_late_still_gets_the_icon(screen: Desktop, upstream: OpenAIServer) -> None:
    configure(screen, upstream)
    screen.start_app("--background")
    await asyncio.sleep(2)  # the panel must really come later than the app's first look
    await screen.start_panel()
    assert "Start" in labels((await registered(screen)).menu())


async def test_a_taken_port_is_a_problem_that_names_the_holder(
    screen: Desktop, upstream: OpenAIServer
) -> None:
    configure(screen, upstream)
    await screen.start_panel()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        app = screen.start_app("--background", "--start", "--port", str(port))
        item = await registered(screen)
        await says(item, f"Port {port} is taken", 15)
        assert str(os.getpid()) in screen.log_of(app), "it names the process that holds the port"
        await eventually(lambda: not screen.engines(), "no engine")
    item.click("Start")
    await says(item, f"Running on port {port}")


async def test_a_broken_configuration_is_told_and_mended(screen: Desktop, upstream: OpenAIServer) -> None:
    configure(screen, upstream)
    config = screen.home / "lynkr-routing.yaml"
    good = config.read_text()
    config.write_text("routing: {tiers: {simpel: {}}}\n")
    await screen.start_panel()
    app = screen.start_app("--background", "--start")
    item = await registered(screen)
    await says(item, "The configuration cannot be used", 15)
    assert "simpel" in screen.log_of(app)
    config.write_text(good)
    item.click("Start")
    await says(item, "Running on port")


async def test_pause_and_resume_by_the_menu(screen: Desktop, upstream: OpenAIServer) -> None:
    configure(screen, upstream)
    await screen.start_panel()
    screen.start_app("--background", "--start")
    item = await registered(screen)
    await says(item, "Running on port", 15)
    await eventually(lambda: (row := item.find("Simple")) and row.enabled, "the tiers")
    item.click("15 minutes")
    await says(item, "Paused until")
    item.click("Resume")
    await says(item, "Running on port")


async def test_ctrl_c_ends_app_and_engine(screen: Desktop, upstream: OpenAIServer) -> None:
    configure(screen, upstream)
    await screen.start_panel()
    app = screen.start_app("--background", "--start")
    await says(await registered(screen), "Running on port", 15)
    app.send_signal(signal.SIGINT)
    assert await ended(app) == 0
    assert screen.engines() == []


async def test_the_icon_is_there_soon_after_the_start(screen: Desktop, upstream: OpenAIServer) -> None:
    configure(screen, upstream)
    await screen.start_panel()

    async def shown() -> float:
        since = time.monotonic()
        app = screen.start_app("--background")
        await registered(screen)
        took = time.monotonic() - since - waited(app.pid)
        app.kill()
        app.wait()
        await eventually(lambda: screen.tray_item() is None, "the end of the tray icon")
        return took

    await in_time(shown, 3)  # 1.5 s are wanted; a busy machine gets twice as long
