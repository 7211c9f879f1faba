"""The control client against the real wire format, faults included."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from lynkr_desktop.protocol.control import ControlError, EngineStatus
from lynkr_desktop.protocol.events import ConfigReloaded, EngineEvent, RequestFinished, StatusEvent
from lynkr_desktop.protocol.routing import ExplainRequest
from lynkr_desktop.protocol.tiers import Tier
from lynkr_desktop.ui.control_client import ControlClient, ControlFailure, read_token
from tests.support.control_server import TOKEN, ControlServer, control_server, frame
from tools import demo


@pytest.fixture
async def server(status: EngineStatus) -> AsyncIterator[ControlServer]:
    async with control_server(status) as running:
        yield running


async def collect(client: ControlClient, count: int, last_id: str = "") -> list[tuple[str, EngineEvent]]:
    found = []
    async with asyncio.timeout(5):
        async for item in client.events(last_id):
            found.append(item)
            if len(found) == count:
                break
    return found


async def listening(server: ControlServer) -> None:
    async with asyncio.timeout(5):
        while not server.listeners:
            await asyncio.sleep(0.01)


async def test_status_requests_and_switch(server: ControlServer) -> None:
    server.rows = demo.requests()
    async with ControlClient(server.port, TOKEN) as client:
        assert await client.status() == server.status
        assert [row.id for row in await client.requests(10)] == [row.id for row in server.rows]
        await client.set_tier(Tier.SIMPLE, False)
        await client.pause(None)
        await client.pull_model("qwen/with slash")
    assert server.status.tiers[0].enabled is False
    assert ("POST", "pause", b'{"seconds":null}') in server.calls
    assert ("POST", "models/qwen/with slash/pull", b"") in server.calls


async def test_decisions_profiles_and_code(server: ControlServer) -> None:
    server.decisions = demo.decisions()
    server.explanation = demo.explanation()
    graph = demo.code()
    server.graphs = {"/a b/ü": graph}
    async with ControlClient(server.port, TOKEN) as client:
        assert await client.decisions(3) == server.decisions[:3]
        assert await client.decisions(3, server.decisions[0].id) == server.decisions[1:4]
        assert await client.decisions(3, misrouted=True) == []
        marked = await client.mark(server.decisions[1].id, "over")
        assert (marked.mark, await client.decisions(3, misrouted=True)) == ("over", [marked])
        asked = ExplainRequest(prompt="why", workspace="/a b/ü", tools=True)
        assert await client.explain(asked) == server.explanation
        assert server.asked == [asked]
        code = await client.code("/a b/ü")
        assert (code.status, code.files) == (graph.status, graph.files)
        assert (await client.index("/a b/ü")).state == "indexing"
        await client.set_profile("secure")
        assert (await client.status()).profile.name == "secure"


async def test_a_refusal_carries_the_engines_words(server: ControlServer) -> None:
    server.refusals["tiers/simple"] = ControlError(error="One tier must stay on.", code="last_tier")
    async with ControlClient(server.port, TOKEN) as client:
        with pytest.raises(ControlFailure) as caught:
            await client.set_tier(Tier.SIMPLE, False)
    assert (caught.value.code, caught.value.message) == ("last_tier", "One tier must stay on.")


async def test_a_wrong_token_is_told_apart_from_silence(server: ControlServer) -> None:
    async with ControlClient(server.port, "wrong") as client:
        with pytest.raises(ControlFailure) as caught:
            await client.status()
        assert caught.value.code == "unauthorized"
        with pytest.raises(ControlFailure) as caught:
            await collect(client, 1)
        assert caught.value.code == "unauthorized"


async def test_nobody_there(unused_tcp_port: int) -> None:
    async with ControlClient(unused_tcp_port, TOKEN) as client:
        for ask in (client.status(), client.health(), collect(client, 1)):
            with pytest.raises(ControlFailure) as caught:
                await ask
            assert caught.value.code == "unreachable"


async def test_events_arrive_in_whatever_pieces_they_come(server: ControlServer) -> None:
    row = demo.requests()[0]
    events: list[EngineEvent] = [
        RequestFinished(row),
        ConfigReloaded(path="/x.yaml"),
        StatusEvent(server.status),
    ]
    raw = b": heartbeat\n\n" + b"".join(frame(number, event) for number, event in enumerate(events, 7))
    raw = raw.replace(b"\n", b"\r\n")
    async with ControlClient(server.port, TOKEN) as client:
        reading = asyncio.create_task(collect(client, 4))
        await listening(server)
        for at in range(0, len(raw), 57):
            server.send(raw[at : at + 57])
            await asyncio.sleep(0)
        found = await reading
    assert [event for _, event in found[1:]] == events
    assert [number for number, _ in found[1:]] == ["7", "8", "9"]


async def test_unknown_and_broken_events_are_left_out(server: ControlServer) -> None:
    async with ControlClient(server.port, TOKEN) as client:
        reading = asyncio.create_task(collect(client, 2))
        await listening(server)
        server.send(b'event: approvals.new\ndata: {"type":"approvals.new","x":1}\n\n')
        server.send(b"event: status\ndata: {not json\n\n")
        server.send(b"data: \xff\xfe\n\n")
        server.emit(ConfigReloaded(path="/after.yaml"))
        found = await reading
    assert found[1][1] == ConfigReloaded(path="/after.yaml")


async def test_the_last_id_is_sent_again(server: ControlServer) -> None:
    async with ControlClient(server.port, TOKEN) as client:
        await collect(client, 1, last_id="41")
    assert server.seen_last_ids == ["41"]


async def test_an_endless_event_does_not_fill_the_memory(
    server: ControlServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lynkr_desktop.ui.control_client._MAX_EVENT", 64 * 1024)
    async with ControlClient(server.port, TOKEN) as client:
        reading = asyncio.create_task(collect(client, 2))
        await listening(server)
        for _ in range(100):
            server.send(b"data: " + b"x" * 4096)
        with pytest.raises(ControlFailure, match="too long"):
            await reading


async def test_an_answer_that_is_none(server: ControlServer) -> None:
    server.status = msgspec.structs.replace(server.status, state="dreaming")  # type: ignore[arg-type]
    async with ControlClient(server.port, TOKEN) as client:
        with pytest.raises(ControlFailure) as caught:
            await client.status()
    assert caught.value.code == "invalid"


def test_the_token_is_read_from_the_file_then_from_the_environment(tmp_path: Path) -> None:
    token = tmp_path / "token"
    assert read_token(token, "from-environment") == "from-environment"
    assert read_token(token) == ""
    token.write_text("lk_1\n")
    assert read_token(token, "from-environment") == "lk_1"
    token.write_bytes(b"\xff\xfe")
    assert read_token(token, "from-environment") == "from-environment"
