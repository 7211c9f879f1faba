"""The response cache behind a real engine: what it answers, and what it must never answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.engine import Running, config_for, engine_in_process
from tests.support.openai_server import openai_server


def config(url: str, **cache: Any) -> dict[str, Any]:
    """A configuration in which every request is looked up."""
    made = config_for(url)
    made["optimization"] = {"pipeline": ["sha256_lru_cache"], "cache": cache}
    return made


async def told(running: Running, text: str = "hi", **fields: Any) -> tuple[str, Any]:
    """What the cache did, and the reply."""
    response, body = await running.ask(text, **{"model": "tier:simple", **fields})
    assert response.status == 200, body
    return response.headers["x-lynkr-cache"], body


async def test_the_same_request_is_answered_without_a_model(tmp_path: Path) -> None:
    async with openai_server() as upstream, engine_in_process(tmp_path, config(upstream.url)) as running:
        first, one = await told(running)
        second, two = await told(running)
        assert (first, second) == ("miss", "hit")
        one, two = one["choices"][0], two["choices"][0]
        assert one["message"]["content"] == two["message"]["content"] == "Hello there"
        assert one["finish_reason"] == two["finish_reason"]
        assert len(upstream.bodies) == 1
        newest, _ = await running.rows()
        assert (newest["cost"], newest["status"], newest["model"]) == (0.0, 200, "simple")
        assert (newest["input_tokens"], newest["cached_tokens"], newest["output_tokens"]) == (11, 11, 5)
        assert "from the cache" in newest["reason"]
