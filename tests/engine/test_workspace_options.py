"""What the configuration says of the code that requests are about."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.support.engine import Running, config_for, engine_in_process, write_config
from tests.support.openai_server import openai_server

CODE = {
    "shop/orders.py": "def place(order):\n"
    + "    if order:\n        order += 1\n" * 30
    + "    return order\n",
    "shop/names.py": "NAME = 'shop'\n",
    "web/cart.ts": "export function add(n: number) { return n ? 1 : 2 }\n",
}


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    for name, text in CODE.items():
        file = tmp_path / "shop" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return (tmp_path / "shop").resolve()


def with_analysis(url: str, **graphify: Any) -> dict[str, Any]:
    config = config_for(url)
    config["routing"]["analysis"] = {"graphify": graphify}
    return config


async def indexed(lynkr: Running, shop: Path) -> dict[str, Any]:
    """The status of the workspace once it is known whole."""
    async with asyncio.timeout(20):
        while True:
            await about(lynkr, shop)
            for status in (await lynkr.admin("GET", "status"))["workspaces"]:
                if status["root"] == str(shop) and status["state"] in ("ready", "limited"):
                    return dict(status)
            await asyncio.sleep(0.02)


async def about(
    lynkr: Running, shop: Path, text: str = "Let place() in shop/orders.py take gift cards too."
) -> float:
    """The score of a request about the shop."""
    body = {"model": "auto-route", "messages": [{"role": "user", "content": text}]}
    headers = {"x-lynkr-workspace": str(shop)}
    async with lynkr.http.post(f"{lynkr.url}/v1/chat/completions", json=body, headers=headers) as response:
        assert response.status == 200
        return float(response.headers["x-lynkr-complexity-score"])


async def test_a_workspace_is_indexed_at_first_sight_and_shown(tmp_path: Path, shop: Path) -> None:
    async with (
        openai_server() as upstream,
        engine_in_process(tmp_path / "h", config_for(upstream.url)) as lynkr,
    ):
        assert (await lynkr.admin("GET", "status"))["workspaces"] == []
        status = await indexed(lynkr, shop)
        assert status["files"] == 3
        assert status["languages"] == {"python": 2, "typescript": 1}


async def test_languages_that_are_left_out_are_not_read(tmp_path: Path, shop: Path) -> None:
    async with openai_server() as upstream:
        config = with_analysis(upstream.url, languages=["python"])
        async with engine_in_process(tmp_path / "h", config) as lynkr:
            assert (await indexed(lynkr, shop))["languages"] == {"python": 2}


async def test_metrics_that_are_left_out_add_nothing(tmp_path: Path, shop: Path) -> None:
    async with openai_server() as upstream:
        async with engine_in_process(tmp_path / "a", config_for(upstream.url)) as lynkr:
            await indexed(lynkr, shop)
            whole = await about(lynkr, shop)
        config = with_analysis(upstream.url, metrics=["blast_radius"])
        async with engine_in_process(tmp_path / "b", config) as lynkr:
            await indexed(lynkr, shop)
            assert await about(lynkr, shop) < whole


async def test_switched_off_nothing_is_indexed_and_a_reload_switches_it_on(
    tmp_path: Path, shop: Path
) -> None:
    async with openai_server() as upstream:
        config = with_analysis(upstream.url, enabled=False)
        async with engine_in_process(tmp_path / "h", config) as lynkr:
            await about(lynkr, shop)
            assert (await lynkr.admin("GET", "status"))["workspaces"] == []
            write_config(tmp_path / "h", config_for(upstream.url))
            await lynkr.admin("POST", "reload")
            await indexed(lynkr, shop)


async def test_folders_outside_of_the_roots_are_not_indexed(tmp_path: Path, shop: Path) -> None:
    async with openai_server() as upstream:
        config = with_analysis(upstream.url, roots=[str(tmp_path / "elsewhere")])
        async with engine_in_process(tmp_path / "h", config) as lynkr:
            await about(lynkr, shop)
            assert (await lynkr.admin("GET", "status"))["workspaces"] == []


async def test_the_decision_of_a_request_is_kept_with_what_it_touched(tmp_path: Path, shop: Path) -> None:
    async with (
        openai_server() as upstream,
        engine_in_process(tmp_path / "h", config_for(upstream.url)) as lynkr,
    ):
        await indexed(lynkr, shop)
        await about(lynkr, shop)
        await lynkr.engine.records.flush()
        decision = (await lynkr.admin("GET", "routes?limit=1"))["decisions"][0]
        assert decision["files"] == ["shop/orders.py"]
        assert decision["workspace"] == str(shop)
        assert any(item["group"] == "code" for item in decision["contributions"])
        assert decision["candidates"] == [
            {"provider": "fake", "model": decision["model"], "tier": decision["tier"], "skipped": ""}
        ]
