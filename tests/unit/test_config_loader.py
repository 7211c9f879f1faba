"""The configuration file: what is valid loads, and what is not says where, why and what to do."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lynkr_desktop.engine.config.loader import ConfigError, LoadedConfig, load_config, parse_config
from lynkr_desktop.engine.config.schema import Config
from lynkr_desktop.protocol.tiers import Tier

TEMPLATE = Path(__file__).parent.parent / "fixtures" / "lynkr-routing.yaml"
FILE = Path("lynkr-routing.yaml")


def parse(text: str) -> LoadedConfig:
    return parse_config(text.encode(), FILE)


def complaint(text: str | bytes) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_config(text if isinstance(text, bytes) else text.encode(), FILE)
    assert "Traceback" not in str(caught.value)
    return str(caught.value)


def test_the_template_that_users_have_loads_as_it_stands() -> None:
    loaded = load_config(TEMPLATE)
    assert loaded.exists
    assert loaded.config.proxy.port == 8081
    assert loaded.config.routing.tiers[Tier.SIMPLE].providers[0] == "ollama/qwen2.5-coder:7b"
    assert loaded.config.routing.tiers[Tier.REASONING].max_complexity == 1.0
    assert loaded.config.telemetry.circuit_breaker.probe_interval == 30.0
    assert loaded.inactive == ()


def test_no_file_and_an_empty_file_give_the_defaults(tmp_path: Path) -> None:
    missing = load_config(tmp_path / "none.yaml")
    assert missing == LoadedConfig(config=Config(), path=tmp_path / "none.yaml", exists=False)
    for text in ("", "# only a comment\n", "---\n", "~\n", "\ufeff"):
        assert parse(text).config == Config()
    assert parse("\ufeffproxy: {port: 9000}").config.proxy.port == 9000
    assert parse("proxy:\r\n  port: 9000\r\n").config.proxy.port == 9000


def test_a_key_with_nothing_after_it_keeps_its_default() -> None:
    assert parse("proxy:\nproviders:\nrouting:\n  tiers:\nlogging:\n  level:\n").config == Config()
    assert parse("proxy:\n").inactive == ()


def test_a_misspelt_option_is_named_with_its_place_and_a_suggestion() -> None:
    text = "routing:\n  tiers:\n    simple:\n      max_complexty: 0.3\n"
    assert complaint(text) == (
        "lynkr-routing.yaml: unknown option 'max_complexty' at routing.tiers.simple (line 4). "
        "Did you mean 'max_complexity'?"
    )


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("port: 1\n", ["'port'", "line 1", "'proxy.port'"]),
        ("routing: {tiers: {simpel: {}}}", ["'simpel'", "routing.tiers", "'simple'"]),
        ("routing: {tiers: {tiny: {}}}", ["'tiny'", "Use simple, medium, complex, reasoning"]),
        ("proxy:\n  port: yes", ["proxy.port", "number", "line 2"]),
        ("proxy:\n  port: 70000", ["proxy.port", "65535", "line 2"]),
        ("proxy:\n  max_body: 3 parsecs", ["proxy.max_body", "'3 parsecs'", "32MB"]),
        ("embedded:\n  idle_timeout: forever", ["embedded.idle_timeout", "1h30m"]),
        ("logging: {level: debg}", ["logging.level", "debug, info", "'debug'?"]),
        ("proxy: []", ["proxy", "mapping"]),
        ("proxy: {allowed_hosts: a}", ["proxy.allowed_hosts", "list"]),
        ("providers: {ollama: {base_url: localhost}}", ["providers.ollama.base_url", "http://"]),
        ("providers: {ollama: {base_url: 'http://[half'}}", ["providers.ollama.base_url", "a host"]),
        ("providers: {ollama: {base_url: 'http://me:hunter2@h:99999'}}", ["base_url", "port up to 65535"]),
        ("telemetry: {storage: lynkr.db}", ["telemetry.storage", "sqlite://"]),
        ("embedded: {model: 5}", ["embedded.model", "quotes"]),
        ("routing: {tiers: {}}", ["routing.tiers", "at least one"]),
        (
            "routing:\n  tiers:\n    simple: {max_complexity: 0.5}\n    medium: {max_complexity: 0.3}",
            ["routing.tiers.medium.max_complexity", "line 4", "0.5"],
        ),
        ("routing: {tiers: {simple: {max_complexity: .nan}}}", ["max_complexity"]),
    ],
)
def test_a_bad_value_says_where_and_what_to_write(text: str, parts: list[str]) -> None:
    message = complaint(text)
    for part in parts:
        assert part in message


@pytest.mark.parametrize(
    ("written", "parts"),
    [
        ("olama/llama3", ["unknown provider 'olama'", "Did you mean 'ollama'?", "line 5"]),
        ("lmstudio/x", ["unknown provider 'lmstudio'", "under providers"]),
        ("ollama", ["provider/model"]),
        ("ollama/", ["provider/model"]),
        ("/x", ["provider/model"]),
        ("openai_compatible/x", ["unknown provider 'openai_compatible'"]),
    ],
)
def test_a_model_of_a_tier_must_name_a_provider_that_is_there(written: str, parts: list[str]) -> None:
    message = complaint(f"routing:\n  tiers:\n    simple:\n      providers:\n        - {written}\n")
    assert "routing.tiers.simple.providers[0]" in message
    for part in parts:
        assert part in message


def test_own_providers_may_be_used_by_tiers() -> None:
    text = (
        "providers:\n  lmstudio: {kind: openai_compatible, base_url: 'http://127.0.0.1/v1', keep_alive: -1}\n"
        "routing: {tiers: {simple: {providers: [lmstudio/a/b:c, openrouter/deepseek/deepseek-chat]}}}\n"
    )
    config = parse(text).config
    assert config.providers["lmstudio"].keep_alive == "-1"
    assert "needs its `base_url`" in complaint("providers: {lmstudio: {kind: openai_compatible}}")
    assert "needs a `kind`" in complaint("providers: {lmstudio: {base_url: 'http://x'}}")
    assert "cannot be a name" in complaint("providers: {'lm studio/x': {kind: ollama}}")


def test_all_problems_are_told_in_the_order_of_the_lines() -> None:
    message = complaint("logging:\n  level: x\nproxy:\n  port: x\n  prot: 1\n")
    assert message.index("line 2") < message.index("line 4") < message.index("line 5")


def test_a_file_of_nothing_but_mistakes_is_refused_quickly() -> None:
    began = time.thread_time()
    assert "and 14990 more problems" in complaint("".join(f"wrong{i}: 1\n" for i in range(15_000)))
    assert "and 14990 more problems" in complaint("".join(f"{i}: 1\n" for i in range(15_000)))
    assert time.thread_time() - began < 5


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("proxy: {port: 1}\nproxy: {port: 2}", "'proxy' is given twice, first in line 1 (line 2)"),
        ("proxy:\n\tport: 1", "use spaces"),
        ("proxy: {port: 1", "not valid YAML"),
        ("proxy: 'x", "not valid YAML"),
        ("a: b: c", "line 1"),
        ("[1, 2]", "mapping"),
        ("just text", "mapping"),
        ("a: 1\n---\nb: 2", "line 2"),
        ("5: 3", "quotes"),
        ("? [1]\n: 2", "quotes"),
        ("proxy: !!python/object/apply:os.system [id]", "tags"),
        ("proxy: {port: " + "1" * 5000 + "}", "number"),
        ("proxy: {port: 0x" + "f" * 50_000 + "}", "number"),
        ("proxy: 2024-99-99", "date"),
        ("proxy: *nowhere", "alias"),
        ("proxy: &a {x: *a}", "aliases"),
        ("<<: 5", "<<"),
        (b"\x00\x01\x02", "binary"),
        (b"proxy: \xff\xfe", "UTF-8"),
        ("proxy: x".encode("utf-16"), "UTF-8"),
        (b"# fine\nproxy: \xe9", "line 2"),
        ("proxy: \x07", "character"),
        ("a: {" * 10_000, "deep"),
        ("[" * 500_000, "deep"),
        ("- " * 10_000, "deep"),
    ],
)
def test_what_is_no_configuration_is_refused_clearly(text: str | bytes, part: str) -> None:
    assert part in complaint(text)


def test_aliases_that_multiply_are_refused_quickly() -> None:
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    began = time.thread_time()
    assert "aliases" in complaint("\n".join(rows))
    chain = ["a0: &a0 {x: 1}"] + [f"a{i}: &a{i} {{x: *a{i - 1}}}" for i in range(1, 3000)]
    assert "aliases" in complaint("\n".join(chain))
    merges = ["a0: &a0 {x: 1}"] + [
        f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}" for i in range(1, 12)
    ]
    assert "aliases" in complaint("\n".join(merges))
    assert time.thread_time() - began < 5


def test_merge_keys_work_and_may_be_overridden() -> None:
    text = (
        "providers:\n  ollama: &l {base_url: 'http://a'}\n  openai:\n    <<: *l\n    base_url: 'http://b'\n"
    )
    providers = parse(text).config.providers
    assert providers["ollama"].base_url == "http://a"
    assert providers["openai"].base_url == "http://b"


def test_files_that_cannot_be_read_say_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="folder"):
        load_config(tmp_path)
    huge = tmp_path / "huge.yaml"
    with huge.open("wb") as file:
        file.truncate(50 * 1024**2)
    with pytest.raises(ConfigError, match="larger than 1 MB"):
        load_config(huge)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(TEMPLATE / "below-a-file.yaml")
    unreadable = tmp_path / "closed.yaml"
    unreadable.write_text("proxy: {port: 1}")
    unreadable.chmod(0)
    if os.access(unreadable, os.R_OK):
        assert load_config(unreadable).config.proxy.port == 1  # root reads everything
    else:
        with pytest.raises(ConfigError, match="permission"):
            load_config(unreadable)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_or_socket_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="regular file"):
        load_config(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(tmp_path / "s"))
        with pytest.raises(ConfigError, match="regular file"):
            load_config(tmp_path / "s")


@pytest.mark.parametrize(
    "text",
    [
        "proxy: {auth: {token: hunter2}}",
        "proxy: {auth: hunter2}",
        "proxy: {auth: {token: [hunter2]}}",
        "proxy: {auth: [hunter2]}",
        "proxy: hunter2",
        "proxy: {auth: {tokn: hunter2hunter2}}",
        "providers: {openai: {headers: hunter2}}",
        "providers: {openai: {headers: {Authorization: [hunter2]}}}",
        "proxy: {auth: {token: *hunter2}}",
        "proxy: {auth: {token: !hunter2 x}}",
        "proxy: {auth: {token: 'hunter2}}",
        "proxy: {auth: {token: hunter2: x}}",
        "proxy:\n\tauth: hunter2",
        "providers: {openai: {base_url: 'htps://me:hunter2@host'}}",
    ],
)
def test_secrets_never_stand_in_a_message(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(text.encode(), FILE)
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(caught.value.problems)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_printed_configuration_does_not_show_its_secrets() -> None:
    text = "proxy: {auth: {token: hunter2hunter2}}\nproviders: {openai: {headers: {x-key: hunter2}}}"
    assert parse(text).config.proxy.auth.token == "hunter2hunter2"
    assert "hunter2" not in repr(parse(text))


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_sections = st.sampled_from([*Config.model_fields, "tiers", "simple", "auth", "token", "x"])


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(_sections, st.dictionaries(_sections, _values, max_size=3) | _values, max_size=3))
def test_any_mapping_loads_or_is_a_config_error(data: dict[str, object]) -> None:
    import yaml

    try:
        parse(yaml.safe_dump(data, allow_unicode=True))
    except ConfigError as error:
        assert error.problems  # noqa: PT017 - either outcome is right


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=80) | st.text("{}[]&*:-!<>|'\"\n\t #a1", max_size=60).map(str.encode))
def test_any_bytes_load_or_are_a_config_error(content: bytes) -> None:
    try:
        parse_config(content, FILE)
    except ConfigError as error:
        assert str(error).startswith("lynkr-routing.yaml: ")  # noqa: PT017 - either outcome is right
