"""The project as a stranger installs it: a wheel in a fresh environment, outside the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*command: str | Path, cwd: Path) -> str:
    """Runs a program away from the checkout; its output."""
    environ = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    ran = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environ,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts' folder of an environment into which `pip install .` went."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder / "env", with_pip=True)
    scripts = folder / "env" / ("Scripts" if os.name == "nt" else "bin")
    run(
        scripts / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", ROOT, cwd=folder
    )
    return scripts


def test_both_scripts_are_there_and_answer(installed: Path, tmp_path: Path) -> None:
    assert run(installed / "lynkr", "--version", cwd=tmp_path).startswith("lynkr ")
    for command in ("serve", "status", "usage", "models"):
        assert command in run(installed / "lynkr", "--help", cwd=tmp_path)
        assert run(installed / "lynkr", command, "--help", cwd=tmp_path)
    assert "--start" in run(installed / "lynkr-desktop", "--help", cwd=tmp_path)


def test_the_icons_come_along(installed: Path, tmp_path: Path) -> None:
    script = "from lynkr_desktop.ui import resources; print(resources.icon_svg('tray-running'))"
    assert "<svg" in run(installed / "python", "-c", script, cwd=tmp_path)


def test_the_engine_imports_no_heavy_module_at_start(tmp_path: Path) -> None:
    script = (
        "import sys, lynkr_desktop.cli.main\n"
        "from lynkr_desktop.engine import engine, serve\n"
        "heavy = {'PySide6', 'xllamacpp', 'genai_prices', 'keyring', 'qasync', 'pathspec', 'tree_sitter'}\n"
        "heavy |= {'tree_sitter_languages', 'tree_sitter_language_pack'}\n"
        "heavy |= {'numpy', 'networkx', 'radon', 'lizard'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert ran.stdout.strip() == "[]"
