"""The access token: precedence, secrecy of its file, and what happens when something is in the way."""

from __future__ import annotations

import os
import re
import stat
import threading
from pathlib import Path

import pytest

from lynkr_desktop.engine.security.token import TokenError, read_token, resolve_token
from lynkr_desktop.paths import Paths, resolve_paths

posix = pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return resolve_paths(home=tmp_path / "home", environ={})


def test_a_token_is_generated_once_and_kept(paths: Paths) -> None:
    token = resolve_token(paths, None, {})
    assert re.fullmatch(r"lk_[\w-]{32,}", token)
    assert resolve_token(paths, None, {}) == token
    assert read_token(paths.token) == token
    assert [file.name for file in paths.home.iterdir()] == ["token"]


def test_the_environment_comes_before_the_configuration_before_the_file(paths: Paths) -> None:
    generated = resolve_token(paths, None, {"LYNKR_TOKEN": "  "})
    assert resolve_token(paths, "internal-routing-token", {}) == "internal-routing-token"
    assert read_token(paths.token) == "internal-routing-token"
    assert (
        resolve_token(paths, "internal-routing-token", {"LYNKR_TOKEN": "from-environment\n"})
        == "from-environment"
    )
    assert read_token(paths.token) == "from-environment"
    assert generated.startswith("lk_")


@posix
def test_the_file_is_never_readable_by_others(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    modes: list[int] = []
    real = os.open

    def watching(path: str, flags: int, mode: int = 0o777, **more: int) -> int:
        descriptor = real(path, flags, mode, **more)
        opened = os.fstat(descriptor).st_mode
        if str(path).startswith(str(paths.home)) and stat.S_ISREG(opened):
            modes.append(stat.S_IMODE(opened))
        return descriptor

    monkeypatch.setattr(os, "open", watching)
    old = os.umask(0)
    try:
        resolve_token(paths, None, {})
        resolve_token(paths, "another-token", {})
    finally:
        os.umask(old)
    assert modes == [0o600, 0o600]
    assert stat.S_IMODE(paths.token.stat().st_mode) == 0o600


@posix
def test_a_file_that_others_could_read_is_closed(paths: Paths) -> None:
    token = resolve_token(paths, None, {})
    paths.token.chmod(0o644)
    assert resolve_token(paths, None, {}) == token
    assert stat.S_IMODE(paths.token.stat().st_mode) == 0o600


@pytest.mark.parametrize("junk", [b"", b"\n", b"short", b"\xff" * 40, b"two words here", b"x" * 5000])
def test_a_file_without_a_usable_token_gets_a_new_one(paths: Paths, junk: bytes) -> None:
    paths.home.mkdir()
    paths.token.write_bytes(junk)
    token = resolve_token(paths, None, {})
    assert token.startswith("lk_")
    assert read_token(paths.token) == token


@pytest.mark.parametrize("token", ["short", "two words here", "geheimnisträger", "line\nbreak", "x" * 600])
def test_a_token_that_no_header_can_carry_is_refused_without_being_shown(paths: Paths, token: str) -> None:
    with pytest.raises(TokenError, match=r"proxy\.auth\.token") as caught:
        resolve_token(paths, token, {})
    assert token not in str(caught.value)
    with pytest.raises(TokenError, match="LYNKR_TOKEN"):
        resolve_token(paths, None, {"LYNKR_TOKEN": token})
    assert not paths.token.exists()


def test_a_folder_in_the_way_is_a_clear_error(paths: Paths) -> None:
    paths.token.mkdir(parents=True)
    for token in (None, "configured-token"):
        with pytest.raises(TokenError, match="is a folder"):
            resolve_token(paths, token, {})
    assert read_token(paths.token) is None


@posix
def test_a_link_is_not_followed(paths: Paths, tmp_path: Path) -> None:
    paths.home.mkdir()
    target = tmp_path / "target"
    target.write_text("precious")
    paths.token.symlink_to(target)
    for token in (None, "configured-token"):
        with pytest.raises(TokenError, match="is a link"):
            resolve_token(paths, token, {})
    assert target.read_text() == "precious"


def test_a_home_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TokenError, match=r"LYNKR_HOME|cannot be read"):
        resolve_token(resolve_paths(home=tmp_path / "file" / "home", environ={}), None, {})


def test_engines_that_start_at_once_agree_on_one_token(paths: Paths) -> None:
    found: list[str] = []
    barrier = threading.Barrier(8)

    def start() -> None:
        barrier.wait()
        found.append(resolve_token(paths, None, {}))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert read_token(paths.token) == found[0]
