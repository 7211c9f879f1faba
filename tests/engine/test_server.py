"""The engine as its clients meet it: answers, headers, streams, and every kind of bad input."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from lynkr_desktop.engine.port import PortBusy
from lynkr_desktop.engine.serve import serve
from tests.support.engine import (
    TOKEN,
    Engine,
    Running,
    config_for,
    engine_in_process,
    read_until,
    write_config,
)
from tests.support.openai_server import OpenAIServer, begin, chunk, completion, openai_server

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
BOTH = pytest.mark.parametrize("path", [CHAT, MESSAGES])


@pytest.fixture
async def upstream() -> AsyncIterator[OpenAIServer]:
    async with openai_server() as server:
        yield server


@pytest.fixture
async def lynkr(tmp_path: Path, upstream: OpenAIServer) -> AsyncIterator[Running]:
    async with engine_in_process(tmp_path / "home", config_for(upstream.url)) as running:
        yield running


def message_of(path: str, body: dict[str, Any]) -> str:
    """The error's message, in the one shape that clients of this path read."""
    if path == MESSAGES:
        assert body["type"] == "error"
        assert isinstance(body["error"]["type"], str)
        assert body["request_id"].startswith("req_")
    else:
        assert set(body["error"]) == {"message", "type", "param", "code"}
    message: str = body["error"]["message"]
    assert "Traceback" not in message
    assert TOKEN not in message
    return message


# ---------------------------------------------------------------- answers


async def test_openai_clients_get_an_answer_and_its_story(lynkr: Running) -> None:
    response, body = await lynkr.ask()
    assert response.status == 200
    assert body["choices"][0]["message"]["content"] == "Hello there"
    assert body["usage"]["total_tokens"] == 16
    headers = response.headers
    assert headers["x-lynkr-tier"] == "SIMPLE"
    assert headers["x-lynkr-provider"] == "fake"
    assert headers["x-lynkr-model"] == "simple"
    assert 0 <= float(headers["x-lynkr-complexity-score"]) <= 1
    assert headers["x-lynkr-route-reason"]
    assert headers["x-lynkr-cache"] == "bypass"
    assert headers["x-request-id"]
    assert response.headers["x-lynkr-cost"] == "unknown"
    [row] = await lynkr.rows()
    assert row["id"] == headers["x-request-id"]
    assert (row["status"], row["input_tokens"], row["output_tokens"], row["tier"]) == (200, 11, 5, "simple")


async def test_anthropic_clients_get_an_answer_from_the_same_upstream(lynkr: Running) -> None:
    response, body = await lynkr.ask(path=MESSAGES)
    assert response.status == 200
    assert body["content"] == [{"type": "text", "text": "Hello there"}]
    assert (body["stop_reason"], body["usage"]["input_tokens"], body["usage"]["output_tokens"]) == (
        "end_turn",
        11,
        5,
    )


@BOTH
async def test_words_reach_the_client_one_by_one(lynkr: Running, upstream: OpenAIServer, path: str) -> None:
    upstream.gate = asyncio.Event()
    fields = {
        "model": "auto-route",
        "max_tokens": 9,
        "stream": True,
        "messages": [{"role": "user", "content": "x"}],
    }
    async with asyncio.timeout(10), lynkr.http.post(lynkr.url + path, json=fields) as response:
        seen = (await read_until(response, b"Hello")).decode()
        # The upstream holds its second word back until the first was seen here: nothing is buffered.
        assert "there" not in seen
        upstream.gate.set()
        seen += (await response.content.read()).decode()
    assert "there" in seen
    assert seen.rstrip().endswith("data: [DONE]" if path == CHAT else '{"type":"message_stop"}')
    [row] = await lynkr.rows()
    assert (row["status"], row["input_tokens"], row["output_tokens"]) == (200, 11, 5)
    assert row["ttft_ms"] <= row["latency_ms"]


async def test_a_client_that_did_not_ask_for_usage_sees_none_but_it_is_recorded(lynkr: Running) -> None:
    fields = {"model": "auto-route", "stream": True, "messages": [{"role": "user", "content": "x"}]}
    async with lynkr.http.post(lynkr.url + CHAT, json=fields) as response:
        assert '"usage"' not in await response.text()
    [row] = await lynkr.rows()
    assert (row["input_tokens"], row["estimated"]) == (11, False)


async def test_an_unchanged_request_goes_out_byte_for_byte(lynkr: Running, upstream: OpenAIServer) -> None:
    odd = b'{ "messages" : [{"role":"user","content":"h\\u00fc"}],\n "x_vendor": {"a":[1.50]}, "model":"m"}'
    async with lynkr.http.post(lynkr.url + CHAT, data=odd) as response:
        assert response.status == 200
    assert upstream.bodies == [odd]


async def test_vendor_fields_survive_the_change_of_the_model(lynkr: Running, upstream: OpenAIServer) -> None:
    await lynkr.ask(x_vendor={"b": 1}, logprobs=True)
    [body] = upstream.requests
    assert (body["model"], body["x_vendor"], body["logprobs"]) == ("simple", {"b": 1}, True)


async def test_models_are_listed_with_auto_route_first(lynkr: Running) -> None:
    async with lynkr.http.get(f"{lynkr.url}/v1/models") as response:
        names = [entry["id"] for entry in (await response.json())["data"]]
    assert names[0] == "auto-route"
    assert "fake/m" in names


# ---------------------------------------------------------------- bad input


@BOTH
@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "not valid JSON"),
        (b"", "not valid JSON"),
        (b"[1]", "must be a JSON object"),
        (b"\xff\xfe\x00", "not valid"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b"{}", "model is required"),
        (b'{"model": "m", "max_tokens": 5}', "messages"),
        (b'{"model": 7, "max_tokens": 5, "messages": []}', "model must be a string"),
    ],
)
async def test_bodies_that_make_no_sense(lynkr: Running, path: str, body: bytes, says: str) -> None:
    async with lynkr.http.post(lynkr.url + path, data=body) as response:
        assert response.status == 400
        assert says in message_of(path, await response.json())
    [row] = await lynkr.rows()
    assert row["status"] == 400
    assert row["error"]


@BOTH
async def test_a_huge_body_is_refused_without_being_kept(lynkr: Running, path: str) -> None:
    async with lynkr.http.post(lynkr.url + path, data=b" " * 50_000_000) as response:
        assert response.status == 413
        assert "32 MB" in message_of(path, await response.json())

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(50):
            yield b" " * 1_000_000

    # Without a Content-Length the limit is met on the way; the server may cut the connection then.
    try:
        async with lynkr.http.post(lynkr.url + path, data=endless()) as response:
            assert response.status == 413
    except aiohttp.ClientError:
        pass
    assert {row["status"] for row in await lynkr.rows()} == {413}


@BOTH
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": ""}, 401),
        ({"Authorization": "Bearer lk_test_token_for_tests\u00e9"}, 401),
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1.evil.example:8081"}, 403),
        ({"Host": "[::1"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
async def test_strangers_are_turned_away(
    lynkr: Running, path: str, headers: dict[str, str], status: int
) -> None:
    async with lynkr.http.post(lynkr.url + path, data=b"{}", headers=headers) as response:
        assert response.status == status
        message_of(path, await response.json())
        assert "access-control-allow-origin" not in response.headers
    assert [row["status"] for row in await lynkr.rows()] == [status]


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {TOKEN}"},
        {"Authorization": f"bearer  {TOKEN}"},
        {"x-api-key": TOKEN},
        {"x-lynkr-token": TOKEN, "Authorization": "Bearer the-clients-own"},
    ],
)
async def test_the_token_is_taken_from_any_header_that_clients_can_set(
    lynkr: Running, headers: dict[str, str]
) -> None:
    async with aiohttp.ClientSession(headers=headers) as http, http.get(f"{lynkr.url}/v1/models") as response:
        assert response.status == 200


@pytest.mark.parametrize("path", ["/v1/admin/status", "/v1/admin/requests", "/metrics", "/v1/models"])
async def test_nothing_but_the_health_check_is_open(lynkr: Running, path: str) -> None:
    async with aiohttp.ClientSession() as http:
        async with http.get(lynkr.url + path) as response:
            assert response.status == 401
        async with http.get(f"{lynkr.url}/v1/admin/health") as response:
            assert (await response.json())["status"] == "ok"
        async with http.get(f"{lynkr.url}/v1/admin/health", headers={"Host": "evil.example"}) as response:
            assert response.status == 403


@BOTH
async def test_a_tier_that_does_not_exist_is_named(lynkr: Running, path: str) -> None:
    response, body = await lynkr.ask(model="tier:gigantic", path=path)
    assert response.status == 400
    assert "simple, medium, complex, reasoning" in message_of(path, body)


@BOTH
async def test_a_model_that_the_upstream_does_not_have(
    lynkr: Running, upstream: OpenAIServer, path: str
) -> None:
    async def missing(_request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        error = {"message": f"The model {body['model']} does not exist", "code": "model_not_found"}
        return web.json_response({"error": error}, status=404)

    upstream.script = missing
    response, body = await lynkr.ask(model="fake/nope", path=path)
    assert response.status == 404
    assert "nope" in message_of(path, body)


async def test_unknown_paths_and_methods_are_told_in_json(lynkr: Running) -> None:
    for method, path in (
        ("GET", "/index.html"),
        ("GET", "/api/nothing"),
        ("GET", CHAT),
        ("POST", "/v1/nothing"),
        ("DELETE", "/v1/admin/status"),
    ):
        async with lynkr.http.request(method, lynkr.url + path) as response:
            assert response.status == 404
            assert "error" in await response.json()


# ---------------------------------------------------------------- upstream faults


async def fault(kind: str, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    match kind:
        case "500":
            return web.Response(status=500, text="<html>oops</html>")
        case "429":
            return web.json_response(
                {"error": {"message": "slow down"}}, status=429, headers={"Retry-After": "7"}
            )
        case "error in 200":
            return web.json_response({"error": {"message": "no capacity"}})
        case "html":
            return web.Response(text="<html>login</html>", content_type="text/html")
        case "reset":
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        case "empty":
            return web.json_response(completion(""))
    raise AssertionError(kind)


@BOTH
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("kind", "status"),
    [("500", 500), ("429", 429), ("error in 200", 502), ("html", 502), ("reset", 502), ("empty", 502)],
)
async def test_an_upstream_that_fails_at_once(
    lynkr: Running, upstream: OpenAIServer, path: str, stream: bool, kind: str, status: int
) -> None:
    upstream.script = lambda request, body: fault(kind, request, body)
    response, body = await lynkr.ask(model="fake/x", path=path, stream=stream)
    assert response.status == status
    message_of(path, body)
    if kind == "429":
        assert response.headers["retry-after"] == "7"
    [row] = await lynkr.rows()
    assert row["status"] == status


@BOTH
@pytest.mark.parametrize("kind", ["cut", "garbage", "error", "stops without a finish"])
async def test_a_stream_that_breaks_ends_in_an_error_never_in_a_clean_end(
    lynkr: Running, upstream: OpenAIServer, path: str, kind: str
) -> None:
    async def script(request: web.Request, _body: dict[str, Any]) -> web.StreamResponse:
        response = await begin(request)
        await response.write(chunk({"content": "half an "}))
        if kind == "cut":
            assert request.transport is not None
            request.transport.abort()
        elif kind == "garbage":
            await response.write(b"data: {nonsense\n\n")
        elif kind == "error":
            await response.write(b'data: {"error": {"message": "overloaded"}}\n\n')
        return response

    upstream.script = script
    fields = {
        "model": "fake/x",
        "stream": True,
        "max_tokens": 5,
        "messages": [{"role": "user", "content": "x"}],
    }
    async with asyncio.timeout(10), lynkr.http.post(lynkr.url + path, json=fields) as response:
        assert response.status == 200
        text = await response.text()
    assert "half an" in text
    last = json.loads(text.strip().rsplit("data: ", 1)[1])
    message_of(path, {"request_id": "req_", **last})
    assert "[DONE]" not in text
    assert "message_stop" not in text
    [row] = await lynkr.rows()
    assert row["status"] == 502
    assert row["error"]


async def test_the_next_candidate_answers_when_the_first_cannot(
    tmp_path: Path, upstream: OpenAIServer
) -> None:
    config = config_for(upstream.url)
    config["providers"]["dead"] = {"kind": "openai_compatible", "base_url": "http://127.0.0.1:9/v1"}
    config["routing"]["tiers"]["simple"]["providers"] = ["dead/m", "fake/second"]
    async with engine_in_process(tmp_path / "home", config) as lynkr:
        response, _ = await lynkr.ask()
    assert response.status == 200
    assert response.headers["x-lynkr-model"] == "second"


async def test_when_nobody_answers_every_candidate_is_named(tmp_path: Path) -> None:
    config = config_for("http://127.0.0.1:9/v1")
    async with engine_in_process(tmp_path / "home", config) as lynkr:
        response, body = await lynkr.ask()
        assert response.status == 503
        assert all(f"fake/{tier}" in body["error"]["message"] for tier in config["routing"]["tiers"])


async def test_a_client_that_leaves_takes_the_upstream_request_with_it(
    lynkr: Running, upstream: OpenAIServer
) -> None:
    upstream.gate = asyncio.Event()
    fields = {"model": "auto-route", "stream": True, "messages": [{"role": "user", "content": "x"}]}
    async with lynkr.http.post(lynkr.url + CHAT, json=fields) as response:
        await response.content.readany()
        response.close()
    async with asyncio.timeout(2):
        await upstream.gone.wait()
    await lynkr.idle()
    assert [row["status"] for row in await lynkr.rows()] == [499]


async def test_many_clients_at_once_are_all_answered_and_recorded(lynkr: Running) -> None:
    answers = await asyncio.gather(*(lynkr.ask(f"question {number}") for number in range(100)))
    assert {response.status for response, _ in answers} == {200}
    assert len({response.headers["x-request-id"] for response, _ in answers}) == 100
    assert (await lynkr.admin("GET", "usage"))["totals"]["requests"] == 100


# ---------------------------------------------------------------- life


async def test_a_port_that_is_taken_names_its_holder_and_offers_another(
    tmp_path: Path, upstream: OpenAIServer
) -> None:
    taken = int(upstream.url.rsplit(":", 1)[1].split("/")[0])
    engine = Engine(write_config(tmp_path / "home", config_for(upstream.url)), environ={}, port=taken)

    async def on_ready(_engine: Engine) -> None: ...

    with pytest.raises(PortBusy) as caught:
        await serve(engine, on_ready)
    assert caught.value.port == taken
    assert "process" in caught.value.holder
    assert caught.value.suggested not in (0, taken)


async def test_draining_finishes_what_is_in_flight_and_refuses_what_is_new(
    tmp_path: Path, upstream: OpenAIServer
) -> None:
    upstream.gate = asyncio.Event()
    fields = {"model": "auto-route", "stream": True, "messages": [{"role": "user", "content": "x"}]}
    async with (
        engine_in_process(tmp_path / "home", config_for(upstream.url)) as lynkr,
        lynkr.http.post(lynkr.url + CHAT, json=fields) as response,
    ):
        await response.content.readany()
        told = await lynkr.admin("POST", "shutdown", {})
        assert told["active"] == 1
        refused, body = await lynkr.ask()
        assert refused.status == 503
        assert "stopping" in body["error"]["message"]
        upstream.gate.set()
        assert (await response.text()).rstrip().endswith("[DONE]")
