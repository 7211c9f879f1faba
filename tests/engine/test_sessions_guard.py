"""Sessions through the engine: paused by the guard in every protocol; resumed, reset, ended by a person."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.engine import Running, config_for, engine_in_process, read_until
from tests.support.failing_agent import conversation, failures
from tests.support.openai_server import OpenAIServer, openai_server

PATHS = {
    "anthropic": "/v1/messages",
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
    "ollama": "/api/chat",
}


@pytest.fixture
async def fake() -> AsyncIterator[OpenAIServer]:
    async with openai_server() as server:
        yield server


async def send(
    running: Running, protocol: str, body: dict[str, Any], session: str = "sess-1"
) -> tuple[int, Any]:
    headers = {"x-lynkr-session": session} if session else {}
    async with running.http.post(running.url + PATHS[protocol], json=body, headers=headers) as response:
        return response.status, await response.json()


def message_of(protocol: str, answer: Any) -> str:
    error = answer["error"]
    return error if isinstance(error, str) else error["message"]


@pytest.mark.parametrize("protocol", PATHS)
@pytest.mark.parametrize("session", ["sess-1", ""])
async def test_paused_at_the_fifteenth_failure_and_resumed(
    tmp_path: Path, fake: OpenAIServer, protocol: str, session: str
) -> None:
    async with engine_in_process(tmp_path, config_for(fake.url)) as running:
        status, _ = await send(running, protocol, conversation(protocol, failures(14)), session)
        assert status == 200
        status, answer = await send(running, protocol, conversation(protocol, failures(15)), session)
        assert status == 400
        told = message_of(protocol, answer)
        assert "15 actions failed in a row" in told
        paused = (await running.admin("GET", "status"))["sessions_paused"]
        assert [entry["cause"] for entry in paused] == ["failed_actions"]
        name = paused[0]["id"]
        assert f"lynkr sessions resume {name}" in told
        # A person speaks to the agent: it stays paused until it is resumed.
        body = conversation(protocol, failures(15), after="Try something else")
        status, _ = await send(running, protocol, body, session)
        assert status == 400
        row = await running.admin("POST", f"sessions/{name}/resume")
        assert (row["state"], row["cause"], row["since"]) == ("running", "", None)
        status, _ = await send(running, protocol, conversation(protocol, failures(15)), session)
        assert status == 200
        status, _ = await send(running, protocol, conversation(protocol, failures(29)), session)
        assert status == 200
        status, _ = await send(running, protocol, conversation(protocol, failures(30)), session)
        assert status == 400


async def test_one_of_two_sessions_is_paused(tmp_path: Path, fake: OpenAIServer) -> None:
    async with engine_in_process(tmp_path, config_for(fake.url)) as running:
        asked = [
            send(running, "chat", conversation("chat", failures(15 if number % 2 else 14)), f"s{number % 2}")
            for number in range(20)
        ]
        answers = await asyncio.gather(*asked)
        assert [status for status, _ in answers] == [200, 400] * 10
        paused = (await running.admin("GET", "status"))["sessions_paused"]
        assert [entry["id"] for entry in paused] == ["s1"]
        text = await (await running.http.get(running.url + "/metrics")).text()
        assert "lynkr_sessions_paused 1.0" in text
        assert 'lynkr_loop_pauses_total{cause="failed_actions"} 1.0' in text
        assert len(fake.bodies) == 10


async def test_listed_with_what_they_spent(tmp_path: Path, fake: OpenAIServer) -> None:
    async with engine_in_process(tmp_path, config_for(fake.url)) as running:
        for count in (1, 2, 15):
            await send(
                running, "anthropic", conversation("anthropic", failures(count), "Mend the login"), "s1"
            )
        await send(running, "chat", conversation("chat", failures(1), "Write docs"), "")
        await running.engine.records.flush()
        first, second = (await running.admin("GET", "sessions"))["sessions"]
        assert (first["id"], first["state"], first["cause"]) == ("s1", "paused", "failed_actions")
        assert (first["requests"], first["errors"], first["title"]) == (3, 1, "Mend the login")
        assert first["action"] == "shell make step14"
        assert first["input_tokens"] > 0
        assert first["since"] <= time.time()
        assert (second["id"][:2], second["state"], second["title"]) == ("c_", "running", "Write docs")
        assert await running.admin("GET", "sessions/s1") == first
        assert (await running.refused("GET", "sessions/none"))[0] == 404
        assert (await running.refused("POST", "sessions/none/pause"))[0] == 404
        assert (await running.refused("GET", "sessions?limit=0"))[0] == 400


@pytest.mark.parametrize("session", ["s1", ""])
async def test_a_person_pauses_and_ends(tmp_path: Path, fake: OpenAIServer, session: str) -> None:
    body = conversation("anthropic", failures(1))
    async with engine_in_process(tmp_path, config_for(fake.url)) as running:
        await send(running, "anthropic", body, session)
        await running.engine.records.flush()
        name = (await running.admin("GET", "sessions"))["sessions"][0]["id"]
        await running.admin("POST", f"sessions/{name}/pause")
        status, answer = await send(running, "anthropic", body, session)
        assert status == 400
        assert "a person paused it" in message_of("anthropic", answer)
        assert answer["error"]["type"] == "invalid_request_error"
        await running.admin("POST", f"sessions/{name}/end")
        status, answer = await send(running, "anthropic", body, session)
        assert f"lynkr sessions remove {name}" in message_of("anthropic", answer)
        for act in ("pause", "resume", "reset"):
            assert (await running.refused("POST", f"sessions/{name}/{act}"))[0] == 409
        row = await running.admin("DELETE", f"sessions/{name}")
        assert row["state"] == "running"
        assert (await send(running, "anthropic", body, session))[0] == 200


async def test_what_was_done_holds_after_a_restart(tmp_path: Path, fake: OpenAIServer) -> None:
    config = config_for(fake.url)
    async with engine_in_process(tmp_path, config) as running:
        for number in range(3):
            await send(running, "chat", conversation("chat", failures(15)), f"s{number}")
        await running.admin("POST", "sessions/s1/end")
        await running.admin("POST", "sessions/s2/resume")
        assert (await send(running, "chat", conversation("chat", failures(15)), "s2"))[0] == 200
    async with engine_in_process(tmp_path, config) as running:
        statuses = [
            (await send(running, "chat", conversation("chat", failures(16)), f"s{number}"))[0]
            for number in range(3)
        ]
        assert statuses == [400, 400, 200]
        states = {
            entry["id"]: entry["state"] for entry in (await running.admin("GET", "status"))["sessions_paused"]
        }
        assert states == {"s0": "paused", "s1": "ended"}
    # A file that nobody can read stops nothing.
    (tmp_path / "sessions.json").write_bytes(b'{"sessions": {"s1": [')
    async with engine_in_process(tmp_path, config) as running:
        assert (await send(running, "chat", conversation("chat", failures(1)), "s1"))[0] == 200


async def test_what_cannot_be_saved_is_not_said_to_be_done(tmp_path: Path, fake: OpenAIServer) -> None:
    async with engine_in_process(tmp_path, config_for(fake.url)) as running:
        await send(running, "chat", conversation("chat", failures(1)), "s1")
        await running.engine.records.flush()
        (tmp_path / "sessions.json").mkdir()
        status, told = await running.refused("POST", "sessions/s1/pause")
        assert status == 503
        assert "sessions.json cannot be written, so nothing was changed" in told
        assert (await send(running, "chat", conversation("chat", failures(1)), "s1"))[0] == 200
        # The guard pauses all the same: the next start would see the loop again.
        assert (await send(running, "chat", conversation("chat", failures(15)), "s1"))[0] == 400


async def test_reset_forgets_the_tier_too(tmp_path: Path, fake: OpenAIServer) -> None:
    async with engine_in_process(tmp_path, config_for(fake.url)) as running:
        hard = (
            "Redesign the architecture of the distributed lock manager and prove it free of deadlocks. " * 4
        )
        await send(running, "chat", conversation("chat", failures(15), hard), "s1")
        sticky = running.engine._sessions
        assert any(key[0] == "s1" for key in sticky._states)
        await running.admin("POST", "sessions/s1/resume")
        assert any(key[0] == "s1" for key in sticky._states)
        await running.admin("POST", "sessions/s1/reset")
        assert not any(key[0] == "s1" for key in sticky._states)


async def test_the_guard_is_an_option(tmp_path: Path, fake: OpenAIServer) -> None:
    guard = {"failed_actions": 3, "same_action": 2, "alternating": 2, "iterations": 10}
    config = config_for(fake.url, sessions={"loop_guard": guard})
    async with engine_in_process(tmp_path, config) as running:
        assert (await send(running, "chat", conversation("chat", failures(2)), "a"))[0] == 200
        assert (await send(running, "chat", conversation("chat", failures(3)), "a"))[0] == 400
        done = [f"Exit code: 0\n{number}" for number in range(10)]
        status, answer = await send(running, "chat", conversation("chat", done), "b")
        assert status == 400
        assert "10 turns" in message_of("chat", answer)
        await running.admin("PATCH", "options", {"values": {"sessions.loop_guard.enabled": False}})
        assert (await send(running, "chat", conversation("chat", failures(30)), "c"))[0] == 200
        assert (await send(running, "chat", conversation("chat", failures(3)), "a"))[0] == 400, "still paused"


@pytest.mark.parametrize("session", ["../../etc/passwd", "a b; rm -rf /", "-x", "é" * 50, "x" * 5_000])
async def test_hostile_ids(tmp_path: Path, fake: OpenAIServer, session: str) -> None:
    """What a client calls its session never reaches a command line or a path as it is."""
    async with engine_in_process(tmp_path, config_for(fake.url)) as running:
        status, answer = await send(running, "chat", conversation("chat", failures(15)), session)
        assert status == 400
        (paused,) = (await running.admin("GET", "status"))["sessions_paused"]
        assert re.fullmatch(r"s_[0-9a-f]{16}", paused["id"])
        assert session[:200] not in message_of("chat", answer)
        await running.engine.records.flush()
        (row,) = (await running.admin("GET", "sessions"))["sessions"]
        assert (row["id"], row["requests"]) == (paused["id"], 1)
        await running.admin("POST", f"sessions/{paused['id']}/resume")
        assert (await send(running, "chat", conversation("chat", failures(15)), session))[0] == 200


async def test_events_tell_of_it(tmp_path: Path, fake: OpenAIServer) -> None:
    async with (
        engine_in_process(tmp_path, config_for(fake.url)) as running,
        running.http.get(running.url + "/v1/admin/events") as events,
    ):
        await read_until(events, b"event: status")
        await send(running, "chat", conversation("chat", failures(15)), "s1")
        seen = await read_until(events, b"event: session")
        if b"failed_actions" not in seen:
            seen += await read_until(events, b"failed_actions")
        assert b'"id":"s1"' in seen


async def test_a_stream_is_refused_before_it_begins(tmp_path: Path, fake: OpenAIServer) -> None:
    async with engine_in_process(tmp_path, config_for(fake.url)) as running:
        body = {**conversation("anthropic", failures(15)), "stream": True}
        async with running.http.post(running.url + "/v1/messages", json=body) as response:
            assert response.status == 400
            assert response.content_type == "application/json"
        assert not fake.bodies
