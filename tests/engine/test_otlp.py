"""Spans of requests, sent by OTLP to a real receiver that decodes them."""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from lynkr_desktop.engine.config import telemetry
from lynkr_desktop.engine.config.loader import ConfigError
from lynkr_desktop.engine.security.egress import Egress
from tests.support.engine import config_for, engine_in_process, write_config
from tests.support.fakes.openai import OpenAIFake
from tests.support.otlp import Receiver
from tests.support.script import failure, text
from tests.support.stage import closed_port

CLIENT_KIND = 3
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as made:
        yield made


@pytest.fixture
async def upstream() -> AsyncIterator[OpenAIFake]:
    async with OpenAIFake() as server:
        yield server


def config(upstream: OpenAIFake, endpoint: str, **headers: str) -> dict[str, Any]:
    otlp = {"endpoint": endpoint, "headers": headers}
    return {**config_for(f"{upstream.url}/v1"), "telemetry": {"otlp": otlp}}


async def test_each_request_is_a_span_by_the_conventions(
    tmp_path: Path, receiver: Receiver, upstream: OpenAIFake
) -> None:
    secret = "the heron is blue"
    upstream.replies.extend([text("one"), text("two"), failure(400, "not like this")])
    options = config(upstream, receiver.url, **{"x-receiver-key": "k1"})
    async with engine_in_process(tmp_path / "home", options) as running:
        running.http.headers["x-lynkr-session"] = "s-1"
        running.http.headers["traceparent"] = PARENT
        began = time.time()
        await running.ask(secret, max_tokens=77, temperature=0.5, stop=["END"])
        del running.http.headers["traceparent"]
        await running.ask(secret, stream=False)
        await running.ask(secret, model="fake/complex")
        rows = await running.rows()
        spans = await receiver.wait_for(3)
    first, second, third = sorted(spans, key=lambda span: span.began)
    assert receiver.headers[0]["x-receiver-key"] == "k1"
    assert first.resource["service.name"] == "lynkr"
    assert first.name == f"chat {rows[2]['model']}"
    assert first.kind == CLIENT_KIND
    assert began - 1 < first.began < time.time()
    assert 0 < first.seconds < 10
    said = first.attributes
    assert said["gen_ai.operation.name"] == "chat"
    assert said["gen_ai.provider.name"] == "fake"
    assert said["gen_ai.request.model"] == rows[2]["model"]
    assert said["gen_ai.conversation.id"] == "s-1"
    assert said["gen_ai.request.max_tokens"] == 77
    assert said["gen_ai.request.temperature"] == 0.5
    assert said["gen_ai.request.stop_sequences"] == ["END"]
    assert (said["gen_ai.usage.input_tokens"], said["gen_ai.usage.output_tokens"]) == (11, 5)
    assert said["http.response.status_code"] == 200
    assert said["lynkr.request.id"] == rows[2]["id"]
    assert said["lynkr.tier"] == rows[2]["tier"]
    assert "error.type" not in said
    # Of the client's trace, where it names one.
    assert (first.trace, first.parent) == (PARENT.split("-")[1], PARENT.split("-")[2])
    assert second.trace != first.trace
    assert not second.parent
    assert third.failed
    assert third.attributes["error.type"] == "400"
    # Nothing that was said is in them.
    assert secret not in repr([(span.name, span.attributes) for span in spans])


async def test_a_receiver_that_is_not_there_stops_nothing(
    tmp_path: Path, upstream: OpenAIFake, caplog: pytest.LogCaptureFixture
) -> None:
    with closed_port() as port:
        async with engine_in_process(
            tmp_path / "home", config(upstream, f"http://127.0.0.1:{port}")
        ) as running:
            for _ in range(5):
                response, _ = await running.ask()
                assert response.status == 200
    assert caplog.text.count("spans cannot be sent") == 1
    assert "Traceback" not in caplog.text


async def test_spans_left_at_the_end_are_sent(
    tmp_path: Path, receiver: Receiver, upstream: OpenAIFake
) -> None:
    async with engine_in_process(tmp_path / "home", config(upstream, receiver.url)) as running:
        await running.ask()
    assert len(receiver.spans) == 1


async def test_a_reload_begins_and_ends_them(
    tmp_path: Path, receiver: Receiver, upstream: OpenAIFake
) -> None:
    home = tmp_path / "home"
    async with engine_in_process(home, config_for(f"{upstream.url}/v1")) as running:
        await running.ask()
        write_config(home, config(upstream, receiver.url))
        await running.admin("POST", "reload")
        await running.ask()
        await receiver.wait_for(1)
        write_config(home, config_for(f"{upstream.url}/v1"))
        await running.admin("POST", "reload")
        await running.ask()
    assert len(receiver.spans) == 1


async def test_local_only_lets_no_span_out(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lynkr_desktop.engine.telemetry.otlp import Spans
    from lynkr_desktop.protocol.control import RequestRow

    row = RequestRow(id="r", at=time.time(), client="c", protocol="openai_chat", provider="p", model="m")
    options = telemetry.OtlpOptions(endpoint=receiver.url)
    # The receiver stands for another machine.
    monkeypatch.setattr("lynkr_desktop.engine.telemetry.otlp.is_this_machine", lambda host: False)
    egress = Egress()
    spans = Spans(options, "1", egress)
    spans.add(row, "openai", local_only=True)
    egress.shut()
    spans.add(row, "openai")
    egress.open()
    spans.add(row, "openai")
    egress.shut()  # before that one has left
    spans.close()
    egress.open()
    assert not receiver.spans
    assert not receiver.headers


async def test_without_the_extra_the_configuration_says_how_to_get_it(
    tmp_path: Path, upstream: OpenAIFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk", None)
    with pytest.raises(ConfigError, match=r"pip install 'lynkr-desktop\[otel\]'"):
        async with engine_in_process(tmp_path / "home", config(upstream, "http://127.0.0.1:4318")):
            pass
