"""Options by the control API: listed with origin, changed as a whole, saved with the comments kept."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.engine import Running, engine_in_process

TOKEN = "lk_environment_token"
FILE = """\
# mine
logging:
  level: info   # quiet
providers:
  lm.studio: {kind: openai_compatible, base_url: "http://127.0.0.1:1234/v1", headers: {x-secret: hush-hush}}
"""


@pytest.fixture
async def lynkr(tmp_path: Path) -> AsyncIterator[Running]:
    home = tmp_path / "home"
    home.mkdir()
    (home / "lynkr-routing.yaml").write_text(FILE)
    async with engine_in_process(home, None, {"LYNKR_TOKEN": TOKEN}) as running:
        yield running


async def call(lynkr: Running, method: str, body: Any = None) -> tuple[int, dict[str, Any]]:
    async with lynkr.http.request(method, f"{lynkr.url}/v1/admin/options", json=body) as response:
        text = await response.text()
        assert TOKEN not in text
        assert "hush-hush" not in text
        return response.status, await response.json()


def named(listed: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {option["name"]: option for option in listed["options"]}


def text(lynkr: Running) -> str:
    return lynkr.engine.paths.config.read_text()


async def test_every_option_is_listed_with_value_and_origin(lynkr: Running) -> None:
    status, listed = await call(lynkr, "GET")
    assert status == 200
    options = named(listed)
    level = options["logging.level"]
    assert (level["value"], level["origin"], level["default"]) == ("info", "file", "info")
    assert "debug" in level["schema"]["enum"]
    assert (options["logging.keep"]["value"], options["logging.keep"]["origin"]) == (3, "default")
    token = options["proxy.auth.token"]
    assert (token["value"], token["is_set"], token["secret"]) == (None, True, True)
    assert token["origin"] == "environment"
    assert options["proxy.port"]["origin"] == "command"
    assert options["proxy.port"]["value"] == lynkr.engine.port
    assert options["proxy.port"]["restart"]
    assert options["providers.lm.studio.base_url"]["value"] == "http://127.0.0.1:1234/v1"
    assert options["providers.lm.studio.headers"]["value"] is None
    assert options["routing.tiers.simple.max_complexity"]["value"] == 0.35
    assert not any(option["planned"] for option in options.values())
    assert {"providers.<name>.base_url", "routing.tiers.<tier>.enabled"} <= {
        template["name"] for template in listed["templates"]
    }


async def test_a_patch_counts_at_once_and_keeps_the_comments(lynkr: Running) -> None:
    mode = lynkr.engine.paths.config.stat().st_mode
    _, before = await call(lynkr, "GET")
    values = {"logging.level": "debug", "providers.lm.studio.max_context": 4096, "embedded.context": 2048}
    status, after = await call(lynkr, "PATCH", {"values": values, "revision": before["revision"]})
    assert status == 200
    assert {name: named(after)[name]["value"] for name in values} == values
    assert text(lynkr).startswith("# mine\nlogging:\n  level: debug   # quiet\n")
    assert "headers: {x-secret: hush-hush}, max_context: 4096}" in text(lynkr)
    assert lynkr.engine.snapshot.config.embedded.context == 2048
    assert after["revision"] != before["revision"]
    assert lynkr.engine.paths.config.stat().st_mode == mode
    status, after = await call(lynkr, "PATCH", {"values": {"logging.level": None, "embedded.context": None}})
    assert (named(after)["logging.level"]["origin"], named(after)["embedded.context"]["value"]) == (
        "default",
        32768,
    )
    assert "logging:" not in text(lynkr)


async def test_changing_one_of_the_usual_tiers_keeps_the_others(lynkr: Running) -> None:
    status, after = await call(lynkr, "PATCH", {"values": {"routing.tiers.simple.max_complexity": 0.2}})
    assert status == 200
    options = named(after)
    assert options["routing.tiers.simple.max_complexity"]["value"] == 0.2
    assert options["routing.tiers.simple.providers"]["value"] == ["ollama/auto", "embedded/auto"]
    assert options["routing.tiers.reasoning.max_complexity"]["value"] == 1.0


async def test_a_patch_is_taken_whole_or_not_at_all(lynkr: Running) -> None:
    for values, status, told in (
        ({"logging.level": "debug", "logging.keep": "many"}, 422, "logging.keep"),
        ({"logging.level": "debug", "logging.kep": 1}, 404, "logging.kep"),
        ({"logging.level": "loud"}, 422, "must be one of"),
        ({"routing.tiers.simple.max_complexity": 0.9}, 422, "max_complexity"),
        ({"routing.tiers.tiny.enabled": True}, 422, "tiny"),
        ({"providers.new.kind": "openai_compatible"}, 422, "base_url"),
        ({"logging": {"levle": "debug"}}, 404, "logging"),
        ({"": 1}, 404, "no option"),
        ({"." * 50: 1}, 404, "no option"),
        ({"providers": {}}, 404, "providers"),
        ({"proxy.auth.token": "short"}, 422, "at least 8"),
        ({"logging.level.x.y": 1}, 404, "no option"),
    ):
        got, answer = await call(lynkr, "PATCH", {"values": values})
        assert (got, told in answer["error"]) == (status, True), (values, answer)
        assert text(lynkr) == FILE
    for body in ({}, {"values": []}, {"values": {}, "more": 1}, [], None):
        assert (await call(lynkr, "PATCH", body))[0] == 400


async def test_a_file_that_changed_meanwhile_is_not_overwritten(lynkr: Running) -> None:
    _, before = await call(lynkr, "GET")
    lynkr.engine.paths.config.write_text(FILE + "embedded:\n  context: 1024\n")
    body = {"values": {"logging.level": "debug"}, "revision": before["revision"]}
    status, answer = await call(lynkr, "PATCH", body)
    assert (status, answer["code"]) == (409, "conflict")
    assert "context: 1024" in text(lynkr)
    assert "level: info" in text(lynkr)


async def test_a_broken_file_is_not_touched(lynkr: Running) -> None:
    lynkr.engine.paths.config.write_text("logging: [")
    status, answer = await call(lynkr, "PATCH", {"values": {"logging.level": "debug"}})
    assert status == 422
    assert "not valid YAML" in answer["error"]
    assert text(lynkr) == "logging: ["
    assert (await call(lynkr, "GET"))[0] == 200


async def test_patches_at_the_same_time_are_all_kept(lynkr: Running) -> None:
    patches = [{"values": {f"providers.p{number}.kind": "openai"}} for number in range(8)]
    answers = await asyncio.gather(*(call(lynkr, "PATCH", patch) for patch in patches))
    assert {status for status, _ in answers} == {200}
    assert {f"p{number}" for number in range(8)} <= set(lynkr.engine.snapshot.config.providers)


@pytest.mark.skipif(os.name != "posix", reason="Windows has no symbolic links for everybody")
async def test_a_linked_file_stays_a_link(lynkr: Running, tmp_path: Path) -> None:
    config = lynkr.engine.paths.config
    real = tmp_path / "dotfiles.yaml"
    config.rename(real)
    config.symlink_to(real)
    assert (await call(lynkr, "PATCH", {"values": {"logging.level": "debug"}}))[0] == 200
    assert config.is_symlink()
    assert "level: debug" in real.read_text()


async def test_a_patch_makes_a_file_where_there_is_none(tmp_path: Path) -> None:
    async with engine_in_process(tmp_path / "new") as lynkr:
        async with lynkr.http.patch(
            f"{lynkr.url}/v1/admin/options", json={"values": {"logging.level": "debug"}}
        ) as response:
            assert response.status == 200
        assert text(lynkr) == "logging:\n  level: debug\n"
