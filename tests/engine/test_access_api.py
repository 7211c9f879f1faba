"""Shared use: what each role may call, what each sees, and what the audit log says of it."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lynkr_desktop.engine.endpoints.admin import Admin
from lynkr_desktop.engine.endpoints.control import Call
from lynkr_desktop.engine.security.audit import AuditLog
from lynkr_desktop.engine.security.token import digest
from tests.support.command import run_lynkr
from tests.support.engine import ROOT, Running, config_for, engine_in_process
from tests.support.openai_server import OpenAIServer, completion, openai_server

ROLES = ("admin", "user", "viewer")
OF_USERS = {
    "GET /v1/admin/access/self",
    "GET /v1/admin/ready",
    "GET /v1/admin/requests",
    "GET /v1/admin/requests/{id}",
    "GET /v1/admin/sessions",
    "GET /v1/admin/sessions/{id}",
    "GET /v1/admin/usage",
}
"""All that a user may call: another call that is added does not become one of these by itself."""

OF_ADMINS = {
    "GET /v1/admin/access",
    "GET /v1/admin/audit",
    "GET /v1/admin/audit/verify",
    "GET /v1/admin/cache/replies",
    "GET /v1/admin/code/graph",
    "GET /v1/admin/memory",
    "GET /v1/admin/memory/export",
    "GET /v1/admin/memory/{id}",
    "GET /v1/admin/requests/{id}/prompt",
}
"""What no viewer may read, although it changes nothing."""

MODEL_CALLS: dict[str, dict[str, Any]] = {
    "/v1/messages": {"max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]},
    "/v1/messages/count_tokens": {"messages": [{"role": "user", "content": "hi"}]},
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "hi"}]},
    "/v1/responses": {"input": "hi"},
    "/v1/embeddings": {"input": "hi"},
    "/api/chat": {"messages": [{"role": "user", "content": "hi"}], "stream": False},
    "/api/generate": {"prompt": "hi", "stream": False},
    "/api/embed": {"input": "hi"},
    "/api/embeddings": {"prompt": "hi"},
}

WORDS = "quokkas in the attic of the lighthouse"


@pytest.fixture
async def upstream() -> AsyncIterator[OpenAIServer]:
    async with openai_server() as server:
        yield server


@pytest.fixture
async def lynkr(tmp_path: Path, upstream: OpenAIServer) -> AsyncIterator[Running]:
    config = config_for(upstream.url, memory={"enabled": False})
    async with engine_in_process(tmp_path / "home", config) as running:
        yield running


async def add(lynkr: Running, name: str, role: str = "user", **more: Any) -> dict[str, str]:
    """Adds a key; the headers that bring it."""
    made = await lynkr.admin("POST", "access", {"name": name, "role": role, **more})
    return {"authorization": f"Bearer {made['key']}"}


async def chat(
    lynkr: Running, headers: dict[str, str], text: str = "hi", model: str = "auto-route", **more: str
) -> tuple[int, dict[str, str], Any]:
    body = {"model": model, "messages": [{"role": "user", "content": text}]}
    url = f"{lynkr.url}/v1/chat/completions"
    async with lynkr.http.post(url, json=body, headers={**headers, **more}) as response:
        return response.status, dict(response.headers), await response.json()


async def read(lynkr: Running, headers: dict[str, str], path: str) -> tuple[int, Any]:
    async with lynkr.http.get(f"{lynkr.url}/v1/admin/{path}", headers=headers) as response:
        return response.status, await response.json()


def calls(lynkr: Running) -> list[Call]:
    return [call for call in Admin(lynkr.engine).calls() if not call.open]


# ---------------------------------------------------------------- roles


def named(call: Call) -> str:
    return f"{call.method} {call.path}"


async def test_who_may_call_what_is_as_it_was_decided(lynkr: Running) -> None:
    for call in calls(lynkr):
        if call.method != "GET":
            assert call.allowed == {"admin"}, named(call)
        elif named(call) in OF_USERS:
            assert call.allowed == set(ROLES), named(call)
        elif named(call) in OF_ADMINS:
            assert call.allowed == {"admin"}, named(call)
        else:
            assert call.allowed == {"admin", "viewer"}, named(call)
    assert {named(call) for call in calls(lynkr)} >= OF_USERS | OF_ADMINS
    paths = (await lynkr.admin("GET", "openapi.json"))["paths"]
    for call in calls(lynkr):
        assert paths[call.path][call.method.lower()]["x-lynkr-roles"] == sorted(call.allowed)


async def test_every_call_of_the_control_api_goes_by_the_role(lynkr: Running) -> None:
    keys = {role: await add(lynkr, f"a-{role}", role) for role in ROLES}
    tried = 0
    for call in calls(lynkr):
        url = lynkr.url + re.sub(r"\{\w+\}", "nothing-here", call.path)
        for role in ROLES:
            if role in call.allowed and named(call).endswith(("/shutdown", "/restart")):
                continue
            async with lynkr.http.request(call.method, url, headers=keys[role], data=b"{}") as response:
                tried += 1
                if role in call.allowed:
                    assert response.status not in (401, 403), (role, named(call))
                    continue
                assert response.status == 403, (role, named(call))
                answer = await response.json()
                assert answer["code"] == "permission"
                assert f"role {role}" in answer["error"]
                for needed in call.allowed:
                    assert needed in answer["error"], (role, named(call), answer)
        for headers in ({"authorization": "Bearer lk_wrong"}, {"authorization": ""}):
            async with lynkr.http.request(call.method, url, headers=headers, data=b"{}") as response:
                assert response.status == 401, named(call)
    assert tried > 150


async def test_what_is_open_without_a_token_tells_no_more_to_users(lynkr: Running) -> None:
    user, viewer = await add(lynkr, "bob"), await add(lynkr, "vera", "viewer")
    for headers, deep in (({"authorization": ""}, 401), (user, 403), (viewer, 200)):
        assert (await read(lynkr, headers, "health"))[0] == 200
        status, _ = await read(lynkr, headers, "health?deep=true")
        assert status == deep or (deep == 200 and status == 503)


async def test_model_endpoints_are_for_users_and_the_refusal_has_their_protocol(lynkr: Running) -> None:
    keys = {role: await add(lynkr, f"a-{role}", role) for role in ROLES}
    for path, body in MODEL_CALLS.items():
        for role in ROLES:
            body = {"model": "fake/m", **body}
            async with lynkr.http.post(lynkr.url + path, json=body, headers=keys[role]) as response:
                answer = await response.json()
                if role != "viewer":
                    assert response.status not in (401, 403), (role, path, answer)
                    continue
                assert response.status == 403, (path, answer)
                if path.startswith("/v1/messages"):
                    assert answer["type"] == "error"
                    assert answer["error"]["type"] == "permission_error"
                    said = answer["error"]["message"]
                elif path.startswith("/api/"):
                    said = answer["error"]
                else:
                    said = answer["error"]["message"]
                assert "role viewer" in said
                assert "admin or user" in said
    for role in ROLES:
        for path in ("/v1/models", "/api/tags", "/api/version", "/api/ps"):
            async with lynkr.http.get(lynkr.url + path, headers=keys[role]) as response:
                assert response.status == 200, (role, path)
        for method, path in (("POST", "/api/pull"), ("DELETE", "/api/delete")):
            body = {"model": "tiny"}
            async with lynkr.http.request(
                method, lynkr.url + path, json=body, headers=keys[role]
            ) as response:
                assert (response.status == 403) == (role != "admin"), (role, path)


async def test_users_see_what_is_their_own_and_nothing_else(lynkr: Running) -> None:
    ann, bob = await add(lynkr, "ann"), await add(lynkr, "bob")
    await chat(lynkr, ann, "one of ann", **{"x-lynkr-session": "shared"})
    await chat(lynkr, bob, "one of bob", **{"x-lynkr-session": "shared"})
    await chat(lynkr, bob, "two of bob", **{"x-lynkr-session": "bobs"})
    await lynkr.ask("one of the machine")
    await chat(lynkr, {"authorization": "Bearer lk_wrong"}, "one of a stranger")
    rows = await lynkr.rows()
    assert [row["key"] for row in rows] == ["nobody", "", "bob", "bob", "ann"]

    for headers, name, count in ((ann, "ann", 1), (bob, "bob", 2)):
        status, listed = await read(lynkr, headers, "requests")
        assert status == 200
        assert [row["key"] for row in listed["requests"]] == [name] * count
        for by in ("tier", "provider", "model", "client", "session", "key", "day", "hour"):
            _, report = await read(lynkr, headers, f"usage?by={by}&range=all")
            assert report["totals"]["requests"] == count, by
            assert sum(row["totals"]["requests"] for row in report["rows"]) == count, by
            assert sum(hour["requests"] for hour in report["hours"]) == count
            assert sum(report["tiers"].values()) == count
        _, sessions = await read(lynkr, headers, "sessions")
        assert sum(row["requests"] for row in sessions["sessions"]) == count
        assert all(row["title"].endswith(name) for row in sessions["sessions"])
        for row in rows:
            status, one = await read(lynkr, headers, f"requests/{row['id']}")
            assert status == (200 if row["key"] == name else 404), row
            if status == 404:
                assert one["error"] == "There is no request with this id."
    for before in (rows[0]["id"], rows[-1]["id"]):
        _, listed = await read(lynkr, ann, f"requests?before={before}")
        assert {row["key"] for row in listed["requests"]} <= {"ann"}
    _, report = await read(lynkr, {}, "usage?by=key&range=all")
    counts = {row["key"]: row["totals"]["requests"] for row in report["rows"]}
    assert counts == {"": 1, "ann": 1, "bob": 2, "nobody": 1}
    assert (await read(lynkr, bob, "access/self"))[1]["name"] == "bob"


async def test_viewers_read_everything_but_what_was_asked(lynkr: Running) -> None:
    viewer, admin = await add(lynkr, "vera", "viewer"), await add(lynkr, "adam", "admin")
    url = f"{lynkr.url}/v1/admin"
    async with lynkr.http.get(f"{url}/events", headers=viewer) as stream:
        await lynkr.ask(WORDS, path="/v1/messages")
        row = (await lynkr.rows())[0]
        assert WORDS in row["title"]
        seen = b""
        async with asyncio.timeout(10):
            while b"request.finished" not in seen:
                seen += await stream.content.readany()
    assert WORDS.encode() not in seen
    found = {"admin": 0, "viewer": 0}
    for call in calls(lynkr):
        if call.method != "GET" or "viewer" not in call.allowed or call.path.endswith("/events"):
            continue
        path = re.sub(r"\{\w+\}", row["id"], call.path)
        for name, headers in (("admin", admin), ("viewer", viewer)):
            async with lynkr.http.get(lynkr.url + path, headers=headers) as response:
                text = await response.text()
                found[name] += WORDS in text
                assert name == "admin" or WORDS not in text, path
    assert found["admin"] >= 3


async def test_a_stream_of_events_ends_with_its_key(lynkr: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    viewer = await add(lynkr, "vera", "viewer")
    async with lynkr.http.get(f"{lynkr.url}/v1/admin/events", headers=viewer) as stream:
        await lynkr.admin("DELETE", "access/vera")
        await lynkr.ask("and on it goes")
        async with asyncio.timeout(10):
            rest = await stream.content.read()
    assert b"request.finished" not in rest


# ---------------------------------------------------------------- tiers


async def test_a_request_above_its_tiers_is_answered_by_the_nearest_that_are_open(
    lynkr: Running, upstream: OpenAIServer
) -> None:
    key = await add(lynkr, "bob", tiers=["simple", "medium"])
    hard = "Redesign the architecture of the distributed consensus and prove that it is free of races. " * 20
    _, headers, _ = await chat(lynkr, {}, hard)
    assert headers["x-lynkr-tier"] in ("COMPLEX", "REASONING")
    status, headers, _ = await chat(lynkr, key, hard)
    assert (status, headers["x-lynkr-tier"]) == (200, "MEDIUM")
    assert "not open to this access key" in headers["x-lynkr-route-reason"]
    for more in ({"model": "tier:reasoning"}, {"x-lynkr-tier": "complex"}):
        status, headers, _ = await chat(lynkr, key, "hi", **more)
        assert (status, headers["x-lynkr-tier"]) == (200, "MEDIUM"), more
    assert {body["model"] for body in upstream.requests[1:]} <= {"simple", "medium"}


async def test_models_outside_its_tiers_are_refused_by_name(lynkr: Running, upstream: OpenAIServer) -> None:
    key = await add(lynkr, "bob", tiers=["simple"])
    assert (await chat(lynkr, key, model="fake/simple"))[0] == 200
    for model in ("fake/reasoning", "fake/other", "m"):
        status, _, answer = await chat(lynkr, key, model=model)
        assert status == 403, model
        assert "tiers simple" in answer["error"]["message"]
        assert (await chat(lynkr, {}, model=model))[0] == 200
    body = {"model": "fake/complex", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 9}
    for path in ("/v1/messages", "/v1/messages/count_tokens"):
        async with lynkr.http.post(lynkr.url + path, json=body, headers=key) as response:
            assert response.status == 403, path
    embed = {"model": "fake/embedder", "input": "x"}
    async with lynkr.http.post(f"{lynkr.url}/v1/embeddings", json=embed, headers=key) as response:
        assert response.status == 403
    assert [body["model"] for body in upstream.requests] == [
        "simple", "reasoning", "other", "m",
    ]  # fmt: skip


async def test_a_failing_tier_does_not_open_another(lynkr: Running, upstream: OpenAIServer) -> None:
    from aiohttp import web

    async def broken(_request: web.Request, _body: dict[str, Any]) -> web.StreamResponse:
        return web.json_response({"error": {"message": "down"}}, status=500)

    upstream.script = broken
    key = await add(lynkr, "bob", tiers=["simple"])
    status, _, _ = await chat(lynkr, key)
    assert status >= 500
    assert {body["model"] for body in upstream.requests} == {"simple"}
    await lynkr.admin("PATCH", "tiers/simple", {"enabled": False})
    status, _, answer = await chat(lynkr, key)
    assert status == 403
    assert "simple" in answer["error"]["message"]


# ---------------------------------------------------------------- budgets


async def test_a_day_of_a_key_ends_with_its_budget_and_outlives_a_restart(
    tmp_path: Path, upstream: OpenAIServer
) -> None:
    """The upstream reports 16 tokens for each request."""
    home = tmp_path / "home"
    async with engine_in_process(home, config_for(upstream.url)) as lynkr:
        made = await lynkr.admin("POST", "access", {"name": "bob", "tokens_per_day": 40})
        bob, ann = {"authorization": f"Bearer {made['key']}"}, await add(lynkr, "ann")
        for number in range(3):
            assert (await chat(lynkr, bob, f"number {number}"))[0] == 200
        status, _, answer = await chat(lynkr, bob)
        assert status == 402
        assert "the access key bob is used up: 48 of 40 tokens" in answer["error"]["message"]
        assert "lynkr access set bob" in answer["error"]["message"]
        said = [{"role": "user", "content": "hi"}]
        for path, body, refused in (
            ("/v1/messages", {"messages": said, "max_tokens": 9}, 402),
            ("/v1/embeddings", {"input": "hi"}, 402),
            ("/api/chat", {"messages": said}, 402),
            ("/v1/responses", {"input": "hi"}, 400),
        ):
            asked = {"model": "fake/simple", **body}
            async with lynkr.http.post(lynkr.url + path, json=asked, headers=bob) as response:
                assert response.status == refused, path
        assert len(upstream.bodies) == 3
        assert (await chat(lynkr, ann))[0] == 200, "another key has a budget of its own"
        _, own = await read(lynkr, bob, "access/self")
        assert (own["tokens_today"], own["tokens_per_day"]) == (48, 40)
        assert [row["status"] for row in (await lynkr.rows())[1:3]] == [400, 402]
    async with engine_in_process(home) as lynkr:
        assert (await chat(lynkr, bob))[0] == 402
        await lynkr.admin("PATCH", "access/bob", {"tokens_per_day": 60})
        assert (await chat(lynkr, bob))[0] == 200
        assert (await chat(lynkr, bob))[0] == 402
        await lynkr.admin("PATCH", "access/bob", {"tokens_per_day": None, "tiers": ["simple"]})
        assert (await chat(lynkr, bob))[0] == 200
        listed = {info["name"]: info for info in (await lynkr.admin("GET", "access"))["keys"]}
        assert (listed["bob"]["tokens_today"], listed["ann"]["tokens_today"]) == (80, 16)
        assert listed["bob"]["tiers"] == ["simple"]
        for field, value in (
            ("tokens_per_day", 0),
            ("role", None),
            ("role", "root"),
            ("more", 1),
            ("expires_in", -1),
        ):
            assert (await lynkr.refused("PATCH", "access/bob", {field: value}))[0] == 400, field
        assert (await lynkr.refused("PATCH", "access/nobody", {}))[0] == 404
        assert (await entries(lynkr))[-1]["what"] == "access key changed"


async def test_dollars_are_counted_as_they_are_recorded(lynkr: Running, upstream: OpenAIServer) -> None:
    from aiohttp import web

    async def priced(_request: web.Request, _body: dict[str, Any]) -> web.StreamResponse:
        answer = completion("Hello")
        answer["usage"]["cost"] = 0.4
        return web.json_response(answer)

    upstream.script = priced
    bob = await add(lynkr, "bob", dollars_per_day=1.0)
    statuses = [(await chat(lynkr, bob, f"number {number}"))[0] for number in range(4)]
    rows = [row for row in await lynkr.rows() if row["status"] == 200]
    spent = sum(row["cost"] or 0.0 for row in rows)
    _, own = await read(lynkr, bob, "access/self")
    assert own["dollars_today"] == pytest.approx(spent)
    if spent:
        assert statuses == [200, 200, 200, 402]


async def test_a_key_has_its_own_limits_in_place_of_those_of_all_keys(
    tmp_path: Path, upstream: OpenAIServer
) -> None:
    """The upstream reports 16 tokens for each request."""
    config = config_for(upstream.url, budgets={"key": {"tokens": 16}})
    async with engine_in_process(tmp_path / "home", config) as lynkr:
        bob, ann = await add(lynkr, "bob", tokens_per_day=32), await add(lynkr, "ann")
        assert [(await chat(lynkr, ann, f"{n}"))[0] for n in range(2)] == [200, 402]
        assert [(await chat(lynkr, bob, f"{n}"))[0] for n in range(3)] == [200, 200, 402]
        found = {
            each["name"]: each["tokens_limit"] for each in (await lynkr.admin("GET", "budgets"))["budgets"]
        }
        assert (found["bob"], found["ann"]) == (32, 16)
        await lynkr.admin("POST", "budgets/reset", {"scope": "key", "name": "bob"})
        assert (await chat(lynkr, bob, "again"))[0] == 200
        _, own = await read(lynkr, bob, "access/self")
        assert own["tokens_today"] == 48, "what was used is told as it was, whatever was reset"
        config["budgets"] = {}
        lynkr.engine.paths.config.write_text(yaml.safe_dump(config))
        await lynkr.admin("POST", "reload")
        assert (await chat(lynkr, ann, "more"))[0] == 200
        assert [(await chat(lynkr, bob, f"more {n}"))[0] for n in range(2)] == [200, 402]


async def test_many_requests_at_once_cannot_all_pass_what_a_key_has_left(
    lynkr: Running, upstream: OpenAIServer
) -> None:
    bob = await add(lynkr, "bob", tokens_per_day=40)
    answers = await asyncio.gather(*(chat(lynkr, bob, f"number {number}") for number in range(30)))
    statuses = [status for status, *_ in answers]
    assert set(statuses) <= {200, 402, 429}
    assert 1 <= statuses.count(200) == len(upstream.bodies) <= 3
    _, own = await read(lynkr, bob, "access/self")
    assert own["tokens_today"] == 16 * statuses.count(200)


async def test_nobody_uses_up_the_session_of_another_key_by_its_name(
    tmp_path: Path, upstream: OpenAIServer
) -> None:
    home, config = tmp_path / "home", config_for(upstream.url, budgets={"session": {"tokens": 16}})
    named = {"x-lynkr-session": "s1"}
    async with engine_in_process(home, config) as lynkr:
        bob, ann = await add(lynkr, "bob"), await add(lynkr, "ann")
        assert [(await chat(lynkr, {**bob, **named}, f"{n}"))[0] for n in range(2)] == [200, 402]
        assert (await chat(lynkr, {**ann, **named}, "ann's"))[0] == 200
        assert (await chat(lynkr, named, "the owner's"))[0] == 200
    async with engine_in_process(home) as lynkr:
        status, _, answer = await chat(lynkr, {**ann, **named}, "again")
        assert status == 402
        assert "16 of 16 tokens" in answer["error"]["message"]
        assert "lynkr budgets reset session 's1~ann'" in answer["error"]["message"]


async def test_what_is_spent_is_what_the_records_say_after_a_restart_too(
    tmp_path: Path, upstream: OpenAIServer
) -> None:
    home, chance = tmp_path / "home", random.Random(7)
    folders = [tmp_path / name for name in ("w0", "w1")]
    for folder in folders:
        folder.mkdir()
    limits = {scope: {"tokens": 10**9} for scope in ("session", "project", "day", "key")}
    said: dict[tuple[str, str], int] = {}

    async def some(lynkr: Running, keys: dict[str, dict[str, str]], count: int) -> None:
        async def one(number: int) -> None:
            name, folder = chance.choice(["", "bob", "ann"]), str(chance.choice(folders))
            session = f"s{chance.randrange(3)}"
            headers = {**keys[name], "x-lynkr-session": session, "x-lynkr-workspace": folder}
            body = {"messages": [{"role": "user", "content": f"{count} {number}"}], "model": "auto-route"}
            wrong = chance.random() < 0.2
            async with lynkr.http.post(
                f"{lynkr.url}/v1/chat/completions", json={} if wrong else body, headers=headers
            ) as response:
                assert response.status == (400 if wrong else 200)
            if not wrong:
                of = f"{session}~{name}" if name else session
                for entry in (("session", of), ("project", folder), ("day", ""), ("key", name)):
                    said[entry] = said.get(entry, 0) + 16

        await asyncio.gather(*(one(number) for number in range(count)))

    async def agrees(lynkr: Running) -> None:
        await lynkr.idle()
        found = (await lynkr.admin("GET", "budgets"))["budgets"]
        assert {each["scope"] for each in found} == set(limits)
        for each in found:
            assert each["tokens"] == said[each["scope"], each["name"]], each
        recorded = sum(row["input_tokens"] + row["output_tokens"] for row in await lynkr.rows())
        assert recorded == said["day", ""]

    async with engine_in_process(home, config_for(upstream.url, budgets=limits)) as lynkr:
        keys = {"": {}, "bob": await add(lynkr, "bob"), "ann": await add(lynkr, "ann")}
        await some(lynkr, keys, 30)
        await agrees(lynkr)
    async with engine_in_process(home) as lynkr:
        await some(lynkr, keys, 15)
        await agrees(lynkr)


# ---------------------------------------------------------------- keys over the API


async def test_keys_are_added_rotated_and_removed_at_once_and_outlive_a_restart(
    tmp_path: Path, upstream: OpenAIServer
) -> None:
    home = tmp_path / "home"
    async with engine_in_process(home, config_for(upstream.url)) as lynkr:
        made = await lynkr.admin(
            "POST",
            "access",
            {"name": "bob", "tokens_per_day": 100, "dollars_per_day": 2.5, "expires_in": 3600},
        )
        assert made["info"]["tokens_per_day"] == 100
        status, message = await lynkr.refused("POST", "access", {"name": "bob"})
        assert (status, "already" in message) == (409, True)
    async with engine_in_process(home) as lynkr:
        headers = {"authorization": f"Bearer {made['key']}"}
        assert (await chat(lynkr, headers))[0] == 200
        caller = lynkr.engine.access.find(digest(made["key"]))
        assert caller is not None
        assert (caller.caller.budget.tokens, caller.caller.budget.dollars) == (100, 2.5)
        again = await lynkr.admin("POST", "access/bob/rotate", {})
        assert (await chat(lynkr, headers))[0] == 401
        headers = {"authorization": f"Bearer {again['key']}"}
        assert (await chat(lynkr, headers))[0] == 200
        [info] = (await lynkr.admin("GET", "access"))["keys"]
        assert info["last_used"]
        await lynkr.admin("DELETE", "access/bob")
        assert (await chat(lynkr, headers))[0] == 401
        for method, path in (("DELETE", "access/bob"), ("POST", "access/bob/rotate")):
            assert (await lynkr.refused(method, path, {}))[0] == 404


async def test_hostile_bodies_and_names(lynkr: Running) -> None:
    bodies: tuple[Any, ...] = (
        {},
        [],
        {"name": ""},
        {"name": "../../etc/passwd"},
        {"name": "x" * 10_000},
        {"name": "bob", "role": "root"},
        {"name": "bob", "tiers": ["tiny"]},
        {"name": "bob", "tokens_per_day": -1},
        {"name": "bob", "tokens_per_day": 1e400},
        {"name": "bob", "dollars_per_day": "1"},
        {"name": "bob", "expires_in": -5},
        {"name": "bob", "more": 1},
        {"name": None},
        {"name": "bob\r\nx-evil: 1"},
    )
    for body in bodies:
        status, message = await lynkr.refused("POST", "access", body)
        assert status == 400, body
        assert len(message) < 300
    for name in ("..%2F..", "%00", "x" * 500, "self%2Frotate", "%F0%9F%92%A9"):
        assert (await lynkr.refused("DELETE", f"access/{name}"))[0] == 404
    assert (await lynkr.admin("GET", "access"))["keys"] == []


async def test_many_changes_at_once_leave_a_file_that_is_whole(lynkr: Running) -> None:
    results = await asyncio.gather(*(add(lynkr, f"key-{number}") for number in range(20)))
    await asyncio.gather(
        *(lynkr.admin("DELETE", f"access/key-{number}") for number in range(0, 20, 2)),
        *(lynkr.admin("POST", f"access/key-{number}/rotate", {}) for number in range(1, 20, 2)),
    )
    listed = await lynkr.admin("GET", "access")
    assert {info["name"] for info in listed["keys"]} == {f"key-{number}" for number in range(1, 20, 2)}
    for headers in results:
        assert (await chat(lynkr, headers))[0] == 401


async def test_a_damaged_file_leaves_the_token_in_force_and_is_told(
    tmp_path: Path, upstream: OpenAIServer
) -> None:
    home = tmp_path / "home"
    async with engine_in_process(home, config_for(upstream.url)) as lynkr:
        bob = await add(lynkr, "bob")
        good = (home / "access.json").read_bytes()
        (home / "access.json").write_bytes(good[:-20])
        await lynkr.admin("POST", "reload")
        assert (await chat(lynkr, bob))[0] == 401
        assert (await chat(lynkr, {}))[0] == 200
        assert "damaged" in (await lynkr.admin("GET", "access"))["problem"]
        status, message = await lynkr.refused("POST", "access", {"name": "ann"})
        assert (status, "damaged" in message) == (503, True)
        ran = await run_lynkr(home, ROOT, "access", "list")
        assert (ran.code, "damaged" in ran.errors) == (1, True)
        (home / "access.json").write_bytes(good)
        await lynkr.admin("POST", "reload")
        assert (await chat(lynkr, bob))[0] == 200
    assert "damaged" in (home / "logs" / "engine.log").read_text()


# ---------------------------------------------------------------- the audit log


async def entries(lynkr: Running) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await lynkr.admin("GET", "audit"))["entries"]
    return list(reversed(found))


async def test_what_changes_something_is_noted_with_who_did_it(lynkr: Running) -> None:
    adam = await add(lynkr, "adam", "admin")
    url = f"{lynkr.url}/v1/admin"
    async with lynkr.http.patch(f"{url}/tiers/complex", json={"enabled": False}, headers=adam) as response:
        assert response.status == 200
    async with lynkr.http.patch(f"{url}/tiers/tiny", json={"enabled": False}, headers=adam) as response:
        assert response.status == 404
    await lynkr.admin("POST", "pause", {"seconds": 60})
    await lynkr.admin("POST", "resume")
    await lynkr.admin("POST", "reload")
    await lynkr.admin("DELETE", "cache")
    await lynkr.refused("PUT", "keys/openai", {"key": "sk-recognise-4f9a1c7e2b8d6035 and more"})
    await lynkr.admin("GET", "status")
    told = [(entry["who"], entry["what"], entry["detail"]) for entry in await entries(lynkr)]
    assert told[0][:2] == ("engine", "started")
    assert told[1] == ("machine", "access key added", "adam, admin")
    assert told[2] == ("adam", "tier switched", "complex off")
    assert told[3][:2] == ("adam", "tier switched")
    assert told[3][2].startswith("tiny off; refused, 404")
    assert told[4] == ("machine", "paused", "for 60 s")
    assert [what for _, what, _ in told[5:9]] == [
        "resumed",
        "configuration reloaded",
        "cache cleared",
        "provider key set",
    ]
    assert told[8][2].startswith("provider openai; refused")
    assert len(told) == 9
    assert (await lynkr.admin("GET", "audit/verify"))["intact"]


async def test_every_call_that_is_no_get_is_noted(lynkr: Running) -> None:
    """Whatever its handler does, and also where it refuses."""
    exempt = {"POST /v1/admin/routes/explain"}
    before = len(await entries(lynkr))
    made = 0
    for call in calls(lynkr):
        if call.method == "GET" or named(call).endswith(("/shutdown", "/restart")):
            continue
        url = lynkr.url + re.sub(r"\{\w+\}", "nothing-here", call.path)
        async with lynkr.http.request(call.method, url, data=b"{}") as response:
            await response.read()
        made += named(call) not in exempt
        assert len(await entries(lynkr)) == before + made, named(call)
    assert made > 25


async def test_a_note_is_on_the_disk_before_the_answer(
    lynkr: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    real = AuditLog.append

    def slow(self: AuditLog, *notes: Any) -> None:
        real(self, *notes)
        order.extend(note.what for note in notes)

    monkeypatch.setattr(AuditLog, "append", slow)
    await lynkr.admin("POST", "pause", {})
    order.append("answered")
    assert order == ["paused", "answered"]
    log = AuditLog(tmp_path / "home")
    assert log.entries(limit=1)[0].what == "paused"


async def test_an_audit_log_that_cannot_be_written_is_said_and_holds_up_nothing(
    lynkr: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lynkr_desktop.engine.security import audit

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    await entries(lynkr)
    with monkeypatch.context() as patch:
        patch.setattr(audit, "_append", full)
        async with lynkr.http.delete(f"{lynkr.url}/v1/admin/cache") as response:
            assert response.status == 200
            assert "audit log" in response.headers["x-lynkr-warning"]
        assert (await lynkr.admin("GET", "audit"))["waiting"] == 1
        assert (await chat(lynkr, {}))[0] == 200
    await lynkr.admin("POST", "resume")
    assert [entry["what"] for entry in (await entries(lynkr))[-2:]] == ["cache cleared", "resumed"]


async def test_refusals_are_summed_up(lynkr: Running) -> None:
    viewer = await add(lynkr, "vera", "viewer")
    for _ in range(40):
        assert (await chat(lynkr, {"authorization": "Bearer lk_wrong"}))[0] == 401
    assert (await chat(lynkr, viewer))[0] == 403
    before = len(await entries(lynkr))
    lynkr.engine.audit.tell_refused()
    await lynkr.engine.audit.noted("engine", "mark")
    found = await entries(lynkr)
    assert len(found) == before + 2
    assert found[-2]["detail"].startswith("41 since ")
    assert "wrong token 40, role of vera 1" in found[-2]["detail"]


async def test_commands_do_the_same_with_and_without_an_engine(
    tmp_path: Path, upstream: OpenAIServer
) -> None:
    home = tmp_path / "home"
    ran = await run_lynkr(home, ROOT, "access", "add", "bob", "--tiers", "simple", "--expires", "30d")
    key = ran.out.strip()
    assert (ran.code, key[:3]) == (0, "lk_")
    assert key not in ran.errors
    async with engine_in_process(home, config_for(upstream.url)) as lynkr:
        assert (await chat(lynkr, {"authorization": f"Bearer {key}"}))[0] == 200
        ran = await run_lynkr(home, ROOT, "access", "list", "--json")
        assert '"name": "bob"' in ran.out
        ran = await run_lynkr(home, ROOT, "access", "rotate", "bob", "--json")
        assert ran.code == 0
        assert (await chat(lynkr, {"authorization": f"Bearer {key}"}))[0] == 401
        ran = await run_lynkr(home, ROOT, "access", "add", "bob")
        assert (ran.code, "already" in ran.errors) == (1, True)
        ran = await run_lynkr(home, ROOT, "usage", "--by", "key", "--range", "all")
        assert "bob" in ran.out
        ran = await run_lynkr(home, ROOT, "access", "set", "bob", "--tiers", "all", "--expires", "none")
        assert (ran.code, "never" in ran.out) == (0, True)
        ran = await run_lynkr(home, ROOT, "access", "set", "bob")
        assert ran.code == 1
        ran = await run_lynkr(home, ROOT, "access", "remove", "bob", "--yes")
        assert ran.code == 0
        ran = await run_lynkr(home, ROOT, "audit", "list")
        assert "command" in ran.out
        assert "machine" in ran.out
        ran = await run_lynkr(home, ROOT, "audit", "verify")
        assert (ran.code, "as it was written" in ran.out) == (0, True)
        head = ran.out.rsplit(" ", 1)[-1].strip()
    ran = await run_lynkr(home, ROOT, "audit", "verify", "--head", head)
    assert ran.code == 0
    ran = await run_lynkr(home, ROOT, "audit", "verify", "--head", "0" * 64)
    assert (ran.code, "written anew" in ran.out) == (1, True)
    target = tmp_path / "out.jsonl"
    ran = await run_lynkr(home, ROOT, "audit", "export", "--output", str(target))
    assert ran.code == 0
    [file] = (home / "audit").iterdir()
    assert target.read_bytes() == file.read_bytes()
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[:1], lines[1].replace(b"engine", b"nobody"), *lines[2:]]))
    ran = await run_lynkr(home, ROOT, "audit", "verify")
    assert ran.code == 1
    assert "Entry 2 was changed" in ran.out


# ---------------------------------------------------------------- secrets


async def test_no_key_is_in_any_file_log_answer_or_event(tmp_path: Path, upstream: OpenAIServer) -> None:
    """After a session that uses keys well and badly: as keys, in prompts, paths, bodies and headers."""
    home = tmp_path / "home"
    config = config_for(upstream.url)
    del config["proxy"]["auth"]
    config["logging"] = {"level": "debug"}
    heard: list[bytes] = []
    async with engine_in_process(home, config) as lynkr:
        token = lynkr.engine.token
        made = [(await lynkr.admin("POST", "access", {"name": name}))["key"] for name in ("ann", "bob")]
        made.append((await lynkr.admin("POST", "access/bob/rotate", {}))["key"])
        secrets = [*made, token]

        async def listen() -> None:
            async with lynkr.http.get(f"{lynkr.url}/v1/admin/events") as stream:
                while piece := await stream.content.readany():
                    heard.append(piece)

        listening = asyncio.create_task(listen())
        for secret in secrets:
            headers = {"authorization": f"Bearer {secret}"}
            await chat(lynkr, headers, f"my key is {secret}, keep it")
            await chat(lynkr, {"x-lynkr-token": secret, "authorization": f"Bearer {secret}x"}, "hi")
            await chat(
                lynkr, headers, "hi", **{"cookie": f"token={secret}", "referer": f"http://x/?{secret}"}
            )
            for path in (f"requests/{secret}", f"access/{secret}", f"keys/{secret}/test", secret):
                for method in ("GET", "DELETE", "POST"):
                    url = f"{lynkr.url}/v1/admin/{path}"
                    async with lynkr.http.request(method, url, json={"key": secret}) as response:
                        heard.append(await response.read() if path != secret else b"")
            await lynkr.refused("POST", "access", {"name": secret})
        await lynkr.rows()
        for path in ("requests", "usage?by=client", "access", "audit", "status", "routes", "sessions"):
            async with lynkr.http.get(f"{lynkr.url}/v1/admin/{path}") as response:
                heard.append(await response.read())
        listening.cancel()
        for body, sent in zip(upstream.bodies, upstream.headers, strict=True):
            for secret in secrets:
                assert secret not in str(sent), "not even to the provider, as a credential"
            assert body
    for path in home.rglob("*"):
        if path.is_file() and path.name != "token":
            content = path.read_bytes()
            for number, secret in enumerate(secrets):
                assert secret.encode() not in content, (path, number)
    for piece in heard:
        for number, secret in enumerate(secrets):
            assert secret.encode() not in piece, (number, piece[:300])
