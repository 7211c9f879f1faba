"""Secrets do not reach the log, whatever carries them, and no record can stall or forge it."""

from __future__ import annotations

import io
import logging
import stat
import string
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lynkr_desktop.engine.config.schema import LoggingOptions
from lynkr_desktop.engine.security.redaction import (
    MAX_LENGTH,
    RedactingFormatter,
    Secrets,
    clean,
    redact,
    setup_logging,
)
from lynkr_desktop.paths import resolve_paths

_key = st.text(string.ascii_letters + string.digits + "-_", min_size=16, max_size=60)
_plain = st.text(string.ascii_letters + " .,:;/\n\t\"'{}[]()é", max_size=30)
_carriers = st.sampled_from(
    [
        "Authorization: Bearer {}",
        "authorization: {}",
        "'Authorization': 'Basic {}'",
        '{{"x-api-key": "{}"}}',
        "{{'x-api-key': '{}'}}",
        "[('X-Api-Key', '{}')]",
        "(b'x-lynkr-token', b'{}')",
        "x-lynkr-token={}",
        "OPENAI_API_KEY={}",
        "api_key = '{}'",
        '\\"api_key\\": \\"{}\\"',
        "password={}",
        "Cookie: session={}",
        "Bearer {}",
        "sk-{}",
        "sk-ant-api03-{}",
        "lk_{}",
        "https://me:{}@host.example/path",
        "https://{}@host.example/path",
        "GET https://host.example/v1?key={}",
        "https://host.example/v1?a=b&access_token={}&c=d",
        "aws_secret_access_key={}",
        "Traceback: ValueError('Authorization: {}')",
    ]
)


@given(before=_plain, carrier=_carriers, key=_key, after=_plain)
def test_what_has_the_shape_of_a_secret_is_gone(before: str, carrier: str, key: str, after: str) -> None:
    assume(key not in before + after)
    assert key not in redact(f"{before} {carrier.format(key)} {after}")


@given(before=st.text(max_size=50), value=st.text(min_size=6, max_size=200), after=st.text(max_size=50))
def test_a_known_value_is_gone_wherever_it_stands(before: str, value: str, after: str) -> None:
    assume("*" not in value and value not in before + after)
    assert value not in Secrets([value]).redact(before + value + after)


@pytest.mark.parametrize(
    "text",
    [
        "POST /v1/messages 200 in 1.3 s, 120 tokens in, 45 out, max_tokens=100",
        "provider ollama/qwen2.5-coder:7b is loaded; task-management-system took basic steps",
        "http://127.0.0.1:8081/v1/admin/usage?range=7d&by=tier",
        "/home/me/.local/share/lynkr/token was written",
        "keys: the OS keyring did not answer; key_env is not set",
        "a1b2c3d4-e5f6-7890-abcd-ef1234567890",
    ],
)
def test_ordinary_words_stay(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("key AKIAIOSFODNN7EXAMPLE used", "AKIAIOSFODNN7EXAMPLE"),
        ("token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0.SflKxwRJSM", "eyJzdWIiOiIxMjM0"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIEabc\ndef==\n-----END RSA PRIVATE KEY-----", "MIIEabc"),
        ("ghp_abcdefghijklmnop1234 and AIzaSyA1234567890abcdefghijk", "SyA1234567890"),
        ("Credential=AKIAIOSFODNN7EXAMPLE/x, Signature=0123456789abcdef0123", "0123456789abcdef0123"),
    ],
)
def test_well_known_keys_are_gone(text: str, gone: str) -> None:
    assert gone not in redact(text)
    assert "***" in redact(text)


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        " ",
        "://",
        "://a@",
        "bearer ",
        "api_key ",
        "authorization:    ",
        "eyJ",
        "sk-",
        "?key=",
        "&",
        "-----BEGIN PRIVATE KEY-----",
        "authorization=,",
        "\\",
        "\x1b[",
    ],
)
def test_hostile_text_takes_bounded_time(piece: str) -> None:
    began = time.thread_time()
    cleaned = clean(piece * (2_000_000 // len(piece)))
    assert time.thread_time() - began < 1
    assert len(cleaned) < 10 * MAX_LENGTH


def test_a_secret_on_the_edge_of_the_cut_does_not_remain_in_half() -> None:
    secret = "correct-horse-battery-staple-" * 5
    secrets = Secrets([secret])
    for shift in (1, 10, 80, 140, 4000, 4090, 4095):
        text = "." * (MAX_LENGTH + 4096 - shift) + secret + "." * 100
        assert "correct-horse" not in clean(text, secrets)


# ---------------------------------------------------------------- logging


@pytest.fixture
def logger() -> tuple[logging.Logger, io.StringIO]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(RedactingFormatter(Secrets(["swordfish-9"])))
    logger = logging.Logger("test")
    logger.addHandler(handler)
    return logger, stream


def test_records_arguments_and_exceptions_are_redacted(logger: tuple[logging.Logger, io.StringIO]) -> None:
    log, stream = logger
    log.warning("token %s in %r", "swordfish-9", {"Authorization": "Bearer hunter2hunter2"})
    try:
        try:
            raise KeyError("swordfish-9")
        except KeyError as error:
            raise ValueError("x-api-key: hunter2hunter2") from error
    except ValueError:
        log.exception("it broke")
    log.warning("wrong %d arguments %s", "swordfish-9")
    written = stream.getvalue()
    assert "swordfish-9" not in written
    assert "hunter2" not in written
    assert "ValueError" in written
    assert "wrong %d arguments" in written


def test_no_text_can_pass_for_a_record_of_its_own(logger: tuple[logging.Logger, io.StringIO]) -> None:
    log, stream = logger
    log.warning("from client: %s", "x\r\n2026-01-01 00:00:00,000 INFO    lynkr: all is well\x1b[2J\u202e")
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("    2026")
    assert "\x1b" not in stream.getvalue()
    assert "\\x1b[2J" in stream.getvalue()


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    root = logging.getLogger()
    before, level = [*root.handlers], root.level
    yield root
    for handler in [*root.handlers]:
        if handler not in before:
            root.removeHandler(handler)
            handler.close()
    root.setLevel(level)


def test_the_log_file_is_private_rotates_and_holds_no_secret(tmp_path: Path, root: logging.Logger) -> None:
    paths = resolve_paths(home=tmp_path, environ={})
    options = LoggingOptions.model_validate({"max_size": "4KB", "keep": 2})
    for _ in range(2):  # a reload sets it up again
        setup_logging(paths, options, Secrets(["swordfish-9"]))
    for number in range(200):
        logging.getLogger("lynkr").info("request %d with swordfish-9", number)
    logging.getLogger("lynkr").debug("not at this level")
    files = sorted(paths.logs.iterdir())
    assert [file.name for file in files] == ["engine.log", "engine.log.1", "engine.log.2"]
    for file in files:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert file.stat().st_size <= 4096
        assert "swordfish" not in file.read_text()
    last = paths.engine_log.read_text().splitlines()[-1]
    assert last.endswith("request 199 with ***")


def test_a_log_that_cannot_be_written_stops_nothing(
    tmp_path: Path, root: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "logs").write_text("a file where the folder should be")
    setup_logging(resolve_paths(home=tmp_path, environ={}), LoggingOptions(), Secrets())
    logging.getLogger("lynkr").warning("still here")
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_is_reported_once(
    tmp_path: Path, root: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = resolve_paths(home=tmp_path, environ={})
    paths.logs.mkdir()
    paths.engine_log.symlink_to("/dev/full")
    setup_logging(paths, LoggingOptions(), Secrets())
    for _ in range(3):
        logging.getLogger("lynkr").warning("api_key=hunter2hunter2")
    report = capsys.readouterr().err
    assert report.count("cannot be written") == 1
    assert "hunter2" not in report


def test_what_an_upstream_leaves_of_a_key_is_redacted_too() -> None:
    for text in (
        "Incorrect API key provided: sk-proj-abc********wxyz. You can find yours at https://example.com",
        "Incorrect API key provided: ********wxyz.",
        "invalid key sk-or-v1-12...wxyz given",
        "invalid key ••••••••wxyz given",
    ):
        assert "wxyz" not in redact(text)
        assert "abc" not in redact(text)
    assert redact("Loading... please wait, 2 ** 8 = 256") == "Loading... please wait, 2 ** 8 = 256"
