"""Traps around the bodies: headers both ways, who may ask, errors of the client's own making, going away."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.clients import Answer, Ask, Client, user
from tests.support.engine import TOKEN, read_until
from tests.support.fakes.base import Asked
from tests.support.pairing import EACH_WAY, backends, clients, pairs
from tests.support.script import Reply, Say, Stall, failure, text
from tests.support.stage import (
    ANTHROPIC,
    AZURE,
    BACKENDS,
    OLLAMA,
    OPENAI,
    SPARE,
    Backend,
    Stage,
    connections_in_use,
    stage,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def raw(lynkr: Stage, client: Client, body: bytes, **headers: str) -> Answer:
    """The answer to a body that is sent as it is."""
    async with lynkr.running.http.post(lynkr.running.url + client.path, data=body, headers=headers) as got:
        return client.read(got.status, got.headers, await got.read(), Ask())


# ---------------------------------------------------------------- headers


@clients()
@EACH_WAY
async def test_every_answer_tells_how_it_was_routed(lynkr: Stage, client: Client, stream: bool) -> None:
    for fake in lynkr.fakes.values():
        fake.forget()
    answer = await client.send(lynkr.running.http, lynkr.running.url, Ask(stream=stream))
    headers = answer.headers
    assert headers["x-lynkr-tier"] in ("SIMPLE", "MEDIUM", "COMPLEX", "REASONING")
    assert 0 <= float(headers["x-lynkr-complexity-score"]) <= 1
    assert headers["x-lynkr-provider"] in lynkr.fakes
    assert headers["x-lynkr-model"]
    assert headers["x-lynkr-route-reason"]
    assert headers["x-lynkr-cache"] in ("hit", "miss", "bypass")
    assert int(headers["x-lynkr-tokens-saved"]) >= 0
    assert headers["x-request-id"].startswith("req_")
    assert (await lynkr.last_row())["id"] == headers["x-request-id"]


@clients()
@EACH_WAY
async def test_the_cost_is_told_as_litellm_reads_it(lynkr: Stage, client: Client, stream: bool) -> None:
    free = await lynkr.ask(client, OLLAMA, Ask(stream=stream))
    assert float(free.headers["x-litellm-response-cost"]) == 0
    sold = await lynkr.ask(client, ANTHROPIC, Ask(stream=stream))
    assert 0 < float(sold.headers["x-litellm-response-cost"]) < 0.01
    # What a server without a price list costs is not known, which is not nothing.
    unknown = await lynkr.ask(client, OPENAI, Ask(stream=stream))
    assert "x-litellm-response-cost" not in unknown.headers


@clients()
async def test_errors_carry_the_request_id_too(lynkr: Stage, client: Client) -> None:
    answer = await lynkr.ask(client, OPENAI, Ask(), failure(400, "no"))
    assert (await lynkr.last_row())["id"] == answer.headers["x-request-id"]


@clients()
@pytest.mark.parametrize("header", ["x-lynkr-session", "x-litellm-session-id", "x-claude-code-session-id"])
async def test_the_session_is_known_by_its_header(lynkr: Stage, client: Client, header: str) -> None:
    await lynkr.ask(client, OPENAI, Ask(), headers={header: "session-of-mine"})
    assert (await lynkr.last_row())["session"] == "session-of-mine"


@clients()
async def test_a_tier_is_pinned_by_header_and_by_name(lynkr: Stage, client: Client) -> None:
    for fake in lynkr.fakes.values():
        fake.forget()
    by_header = await lynkr.ask_tier(client, "reasoning", Ask())
    assert by_header.headers["x-lynkr-tier"] == "REASONING"
    by_name = await client.send(lynkr.running.http, lynkr.running.url, Ask(model="tier:complex"))
    assert by_name.headers["x-lynkr-tier"] == "COMPLEX"


@clients()
@pytest.mark.parametrize("name", ["auto-route", "gpt-9-turbo", "claude-sonnet-99", "llama3:latest"])
async def test_a_name_that_is_no_model_here_asks_for_routing(lynkr: Stage, client: Client, name: str) -> None:
    for fake in lynkr.fakes.values():
        fake.forget()
    answer = await client.send(lynkr.running.http, lynkr.running.url, Ask(model=name))
    assert answer.good
    assert "x-lynkr-complexity-score" in answer.headers


@clients()
async def test_headers_for_later_features_are_accepted(lynkr: Stage, client: Client) -> None:
    headers = {"x-lynkr-no-cache": "1", "x-lynkr-workspace": "/home/me/repo"}
    assert (await lynkr.ask(client, OPENAI, Ask(), headers=headers)).good


# ---------------------------------------------------------------- who may ask


@clients()
@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"Bearer {TOKEN}"},
        {"x-api-key": TOKEN},
        {"x-lynkr-token": TOKEN, "authorization": "Bearer sk-ant-oat01-the-clients-own"},
    ],
    ids=["bearer", "x-api-key", "x-lynkr-token"],
)
async def test_the_token_is_taken_in_each_header(
    lynkr: Stage, client: Client, headers: dict[str, str]
) -> None:
    lynkr.fakes[OPENAI.name].forget()
    async with aiohttp.ClientSession(headers=headers) as http:
        assert (await client.send(http, lynkr.running.url, Ask(model=OPENAI.target))).good
    sent = lynkr.asked(OPENAI).headers
    assert TOKEN not in str(sent)
    assert "the-clients-own" not in str(sent)


@clients()
@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}, {"x-api-key": "wrong"}])
async def test_without_the_token_nobody_is_served(
    lynkr: Stage, client: Client, headers: dict[str, str]
) -> None:
    async with aiohttp.ClientSession(headers=headers) as http:
        answer = await client.send(http, lynkr.running.url, Ask(model=OPENAI.target))
    assert answer.status == 401
    assert answer.problem is not None
    assert TOKEN not in answer.problem.message


@clients()
@pytest.mark.parametrize("headers", [{"host": "evil.example"}, {"origin": "https://evil.example"}])
async def test_pages_and_names_of_others_are_refused(
    lynkr: Stage, client: Client, headers: dict[str, str]
) -> None:
    answer = await raw(lynkr, client, json.dumps(client.body(Ask())).encode(), **headers)
    assert answer.status == 403


# ---------------------------------------------------------------- bad requests


BAD_BODIES: list[tuple[str, bytes]] = [
    ("empty", b""),
    ("no JSON", b"hello"),
    ("cut", b'{"model": "m", "messages": [{"role": "us'),
    ("a list", b"[]"),
    ("null", b"null"),
    ("a number", b"17"),
    ("no UTF-8", b'{"model": "\xff\xfe"}'),
    ("a lone surrogate", b'{"model": "\\ud800", "messages": 1, "input": 1, "prompt": 1}'),
    ("NaN", b'{"model": "m", "temperature": NaN}'),
    ("deep list", b'{"model": ' + b"[" * 200_000),
    ("deep object", b'{"a":' * 200_000),
    ("deep and closed", b'{"model": "m", "messages": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    ("nothing in it", b"{}"),
    ("wrong types", b'{"model": 7, "messages": "x", "input": 3, "prompt": [], "max_tokens": "many"}'),
]


@clients()
@pytest.mark.parametrize("body", [body for _, body in BAD_BODIES], ids=[name for name, _ in BAD_BODIES])
async def test_a_bad_body_is_the_clients_fault_and_said_so(lynkr: Stage, client: Client, body: bytes) -> None:
    answer = await raw(lynkr, client, body)
    assert answer.status == 400
    assert answer.problem is not None
    assert len(answer.problem.message) < 1000


@clients()
async def test_deep_json_within_a_good_body_is_no_500(lynkr: Stage, client: Client) -> None:
    body = json.dumps(client.body(Ask(model=OPENAI.target)))
    deep = body[:-1] + ', "x_deep": ' + "[" * 50_000 + "]" * 50_000 + "}"
    answer = await raw(lynkr, client, deep.encode())
    assert answer.status in (200, 400)


@clients()
async def test_a_model_that_is_not_there_is_a_404(lynkr: Stage, client: Client) -> None:
    answer = await client.send(lynkr.running.http, lynkr.running.url, Ask(model="ollama/not-installed"))
    assert answer.status == 404
    assert answer.problem is not None
    assert "not-installed" in answer.problem.message


@clients()
async def test_a_tier_that_does_not_exist_is_named(lynkr: Stage, client: Client) -> None:
    answer = await client.send(lynkr.running.http, lynkr.running.url, Ask(model="tier:gigantic"))
    assert answer.status == 400


@clients()
async def test_a_wrong_method_and_a_wrong_path_are_told_in_the_clients_shape(
    lynkr: Stage, client: Client
) -> None:
    async with lynkr.running.http.get(lynkr.running.url + client.path) as got:
        assert got.status in (404, 405)
        assert client.problem(got.status, await got.json()).message
    async with lynkr.running.http.post(lynkr.running.url + client.path + "/nonsense", json={}) as got:
        assert got.status in (404, 405)
        assert client.problem(got.status, await got.json()).message


@clients()
async def test_a_body_beyond_the_limit_is_a_413(lynkr: Stage, client: Client) -> None:
    answer = await raw(lynkr, client, b'{"model": "' + b"x" * (33 * 1024**2) + b'"}')
    assert answer.status == 413


@clients()
async def test_while_paused_it_is_a_503(lynkr: Stage, client: Client) -> None:
    await lynkr.running.admin("POST", "pause", {})
    try:
        answer = await lynkr.ask(client, OPENAI, Ask())
    finally:
        await lynkr.running.admin("POST", "resume")
    assert answer.status == 503


@clients()
async def test_when_all_fail_the_error_names_what_was_tried(lynkr: Stage, client: Client) -> None:
    for fake in lynkr.fakes.values():
        fake.forget()
        fake.replies.extend([failure(503, "too-busy")] * 4)
    answer = await lynkr.ask_tier(client, "simple", Ask())
    for fake in lynkr.fakes.values():
        fake.forget()
    assert answer.status == 503
    assert answer.problem is not None
    assert BACKENDS[0].target in answer.problem.message
    assert f"{SPARE}/m" in answer.problem.message


# ---------------------------------------------------------------- going away


@pairs()
async def test_a_client_that_goes_away_in_a_stream_ends_the_upstreams_work(
    lynkr: Stage, client: Client, backend: Backend
) -> None:
    fake = lynkr.fakes[backend.name]
    fake.forget()
    fake.replies.append(Reply((Say("first-word"), Stall())))
    async with lynkr.nothing_left():
        body = client.body(Ask(stream=True, model=backend.target))
        async with asyncio.timeout(10), lynkr.post(client, body) as got:
            await read_until(got, b"first-word")
            got.close()
        await _gone(lynkr.asked(backend))
    assert (await lynkr.last_row())["status"] == 499


@pairs()
@EACH_WAY
async def test_a_client_that_goes_away_before_the_answer_ends_the_upstreams_work(
    lynkr: Stage, client: Client, backend: Backend, stream: bool
) -> None:
    fake = lynkr.fakes[backend.name]
    fake.forget()
    fake.replies.append(Reply((Say("x"),), first_byte=60))
    async with lynkr.nothing_left():
        asking = asyncio.create_task(
            lynkr.running.http.post(
                lynkr.running.url + client.path, json=client.body(Ask(stream=stream, model=backend.target))
            ).__aenter__()
        )
        async with asyncio.timeout(10):
            await fake.arrived.wait()
        asking.cancel()
        await asyncio.wait([asking])
        await _gone(lynkr.asked(backend))
    assert (await lynkr.last_row())["status"] == 499


async def _gone(asked: Asked) -> None:
    """The upstream sees it at once; the goal is 100 ms, the limit here leaves room for a busy machine."""
    began = time.monotonic()
    async with asyncio.timeout(5):
        await asked.ended.wait()
    assert asked.outcome == "gone"
    assert time.monotonic() - began < 2


# ---------------------------------------------------------------- many at once


@clients()
async def test_many_streams_at_once_stay_apart(lynkr: Stage, client: Client) -> None:
    fake = lynkr.fakes[OPENAI.name]
    fake.forget()
    fake.brain = lambda asked: text(*[f"{_number(asked)}," for _ in range(20)])
    async with lynkr.nothing_left():
        answers = await asyncio.gather(
            *(
                client.send(
                    lynkr.running.http,
                    lynkr.running.url,
                    Ask((user(f"number {number}"),), stream=bool(number % 2), model=OPENAI.target),
                )
                for number in range(40)
            )
        )
    fake.forget()
    for number, answer in enumerate(answers):
        assert answer.text == f"{number}," * 20
    assert connections_in_use(lynkr.running) == 0


def _number(asked: Asked) -> str:
    said: Any = asked.json["messages"][-1]["content"]
    return str(said if isinstance(said, str) else said[0]["text"]).removeprefix("number ")


# ---------------------------------------------------------------- other paths


@backends(lambda backend: backend is OPENAI)
async def test_the_models_are_listed_live(lynkr: Stage, backend: Backend) -> None:
    async with lynkr.running.http.get(f"{lynkr.running.url}/v1/models") as got:
        names = [entry["id"] for entry in (await got.json())["data"]]
    assert names[0] == "auto-route"
    assert backend.target in names
    assert "ollama/m" in names


@clients(only="anthropic")
async def test_tokens_are_counted(lynkr: Stage, client: Client) -> None:
    body = client.body(Ask((user("word " * 1000),)))
    del body["max_tokens"]
    url = f"{lynkr.running.url}/v1/messages/count_tokens"
    async with lynkr.running.http.post(url, json=body) as got:
        assert 500 < (await got.json())["input_tokens"] < 3000
    async with lynkr.running.http.post(url, json={"model": "m"}) as got:
        assert got.status == 400
        assert client.problem(400, await got.json()).message


@clients(only="openai_chat")
async def test_embeddings_are_served_in_both_protocols(lynkr: Stage, client: Client) -> None:
    http, url = lynkr.running.http, lynkr.running.url
    body = {"model": AZURE.name + "/embed", "input": ["one", "three"]}
    async with http.post(f"{url}/v1/embeddings", json=body) as got:
        listed = (await got.json())["data"]
    assert [entry["index"] for entry in listed] == [0, 1]
    async with http.post(f"{url}/api/embed", json=body) as got:
        vectors = (await got.json())["embeddings"]
    assert vectors == [entry["embedding"] for entry in listed]
    async with http.post(f"{url}/v1/embeddings", json={"model": "m"}) as got:
        assert client.problem(got.status, await got.json()).message


@clients(only="anthropic")
async def test_the_clients_own_credential_reaches_anthropic_untouched(tmp_path: Path, client: Client) -> None:
    keyless = replace(ANTHROPIC, environ={})
    bearer = "Bearer sk-ant-oat01-the-clients-own"
    own = {"authorization": bearer, "x-lynkr-token": TOKEN, "anthropic-beta": "oauth-2025-04-20"}
    async with stage(tmp_path, keyless) as lynkr, aiohttp.ClientSession(headers=own) as http:
        assert (await client.send(http, lynkr.running.url, Ask(model=keyless.target))).good
        sent = lynkr.asked(keyless).headers
    assert (sent["authorization"], sent["anthropic-beta"]) == (bearer, own["anthropic-beta"])
    assert TOKEN not in str(sent)
