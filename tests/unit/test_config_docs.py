"""The documentation of the options says what the schema says, and its examples load."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from lynkr_desktop.engine.config.docs import render_markdown
from lynkr_desktop.engine.config.introspect import declared, group_at, holds_secret
from lynkr_desktop.engine.config.loader import parse_config
from lynkr_desktop.engine.config.schema import AuthOptions, Config, ProviderOptions, TierOptions

ROOT = Path(__file__).parent.parent.parent


def test_the_document_is_up_to_date() -> None:
    assert (ROOT / "docs" / "configuration.md").read_text("utf-8") == render_markdown(), (
        "run: python -m lynkr_desktop.engine.config.docs > docs/configuration.md"
    )


def test_every_option_is_there_with_help() -> None:
    text = render_markdown()
    for option in declared():
        row = next(line for line in text.splitlines() if line.startswith(f"| `{option.name}` |"))
        assert option.field.description
        assert ("not active yet" in row) == option.planned
        assert row.count(" | ") == 3


def test_its_examples_load() -> None:
    examples = re.findall(r"```yaml\n(.*?)```", render_markdown(), re.DOTALL)
    assert len(examples) == 2
    for example in examples:
        parse_config(example.encode(), Path("example.yaml"))


def test_its_full_example_is_the_template_that_users_have() -> None:
    examples = re.findall(r"```yaml\n(.*?)```", render_markdown(), re.DOTALL)
    template = (ROOT / "tests" / "fixtures" / "lynkr-routing.yaml").read_text("utf-8")
    assert yaml.safe_load(examples[1]) == yaml.safe_load(template)


def test_defaults_are_shown_as_people_write_them() -> None:
    rows = [line.split(" | ") for line in render_markdown().splitlines() if line.startswith("| `")]
    shown = [row[2].strip("`") for row in rows if row[1].startswith(("duration", "size"))]
    assert {"30s", "32MB", "90d"} <= set(shown)
    # Some are off where nothing is said.
    assert all(re.fullmatch(r"(\d+(ms|s|m|h|d|KB|MB|GB))?", default) for default in shown)


def test_looking_at_the_schema_from_outside() -> None:
    assert group_at(()) is Config
    assert group_at(("routing", "tiers", "simple")) is TierOptions
    assert group_at(("providers", "x")) is ProviderOptions
    assert group_at(("proxy", "auth")) is AuthOptions
    assert group_at(("proxy", "port", "x")) is None
    assert group_at(("nowhere",)) is None
    assert holds_secret(("proxy", "auth", "token"))
    assert holds_secret(("proxy", "auth"))
    assert holds_secret(("providers", "x", "headers", "Authorization"))
    assert not holds_secret(("proxy", "port"))
