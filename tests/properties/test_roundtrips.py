"""What is said to a provider of a protocol is what a client of it would have said, and the same way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lynkr_desktop.engine.wire.canonical import (
    Block,
    BlockStarted,
    Event,
    Failed,
    Message,
    Reply,
    Request,
    Started,
    Text,
    Tool,
    ToolResult,
    ToolUse,
    Usage,
)
from lynkr_desktop.engine.wire.codec import ClientCodec, ProviderCodec
from tests.properties import strategies as some
from tests.support.codecs import SPOKEN, UPSTREAMS, Upstream
from tests.support.script import Call, Say, Think
from tests.support.script import Reply as Script

OFTEN = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


@dataclass(frozen=True)
class BothSides:
    """A protocol that has a codec towards clients and one towards providers."""

    client: ClientCodec
    provider: ProviderCodec
    model: str = "m"


def _both(client: str, provider: str, model: str = "m") -> BothSides:
    [spoken] = [spoken for spoken in SPOKEN if spoken.client.name == client]
    [upstream] = [upstream for upstream in UPSTREAMS if upstream.name == provider]
    return BothSides(spoken.codec, upstream.codec, model)


PROTOCOLS = {
    "anthropic": _both("anthropic_messages", "anthropic"),
    "openai_chat": _both("openai_chat", "openai_chat"),
    "openai_responses": _both("openai_responses", "openai_responses"),
    "ollama": _both("ollama_chat", "ollama"),
}
EACH = pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
UPSTREAM = pytest.mark.parametrize("upstream", UPSTREAMS, ids=lambda upstream: upstream.name)


def plain(request: Request) -> Request:
    """A request without what one client's codec notes for its own reply."""
    return msgspec.structs.replace(
        request,
        include_usage=False,
        origin={},
    )


@EACH
@OFTEN
@given(request=some.requests())
def test_a_request_survives_its_protocol(protocol: BothSides, request: Request) -> None:
    sent = protocol.provider.encode_request(request, protocol.model)
    got = protocol.client.decode_request(sent)
    if protocol.client.name == "ollama_chat":
        request, got = _without_ids(request), _without_ids(got)
    assert plain(got) == plain(request)


@EACH
@OFTEN
@given(request=some.requests(), choice=some.choices)
def test_what_a_protocol_cannot_say_is_lost_once_and_never_more(
    protocol: BothSides, request: Request, choice: object
) -> None:
    tools = (*request.tools, msgspec.structs.replace(request.tools[0], name="f"))
    # Responses refuses stop sequences by name.
    stop = () if protocol.provider.name == "openai_responses" else ("a", "b")
    changes = {"tools": tools, "tool_choice": choice, "top_k": 7, "seed": 3, "stop": stop}
    wanted = msgspec.structs.replace(request, **changes)
    first = protocol.client.decode_request(protocol.provider.encode_request(wanted, "m"))
    again = protocol.client.decode_request(protocol.provider.encode_request(first, "m"))
    assert plain(again) == plain(first)


@EACH
@OFTEN
@given(events=some.replies())
def test_a_streamed_reply_survives_its_protocol(protocol: BothSides, events: list[Event]) -> None:
    request = protocol.client.decode_request(protocol.provider.encode_request(_asked(stream=True), "m"))
    encoder = protocol.client.stream_encoder(request)
    sent = b"".join(encoder.encode(event) for event in events)
    decoder = protocol.provider.stream_decoder()
    got = [event for _, found in decoder.feed(sent) for event in found] + decoder.finish()
    assert _same(Reply.of(got), Reply.of(events))


@EACH
@OFTEN
@given(events=some.replies())
def test_a_whole_reply_survives_its_protocol(protocol: BothSides, events: list[Event]) -> None:
    request = protocol.client.decode_request(protocol.provider.encode_request(_asked(stream=False), "m"))
    reply = Reply.of(events)
    assert isinstance(reply, Reply)
    got = protocol.provider.decode_reply(protocol.client.encode_reply(reply, request))
    assert _same(Reply.of(got), reply)


ANSWER = Script(
    (Think("Hm, ☃ "), Say("Grüße 🎉"), Say("\u2028"), Call("f", {"ä": [1, None]}), Call("g", {})),
)


@UPSTREAM
@OFTEN
@given(data=st.data())
def test_any_split_of_a_stream_gives_the_same_events(upstream: Upstream, data: st.DataObject) -> None:
    raw = upstream.rendered(ANSWER, stream=True)
    cuts = data.draw(st.lists(st.integers(0, len(raw)), max_size=12).map(sorted))
    pieces = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    assert _settled(_decoded(upstream, pieces)) == _settled(_decoded(upstream, [raw]))


@UPSTREAM
def test_a_stream_that_comes_byte_by_byte_gives_the_same_events(upstream: Upstream) -> None:
    raw = upstream.rendered(ANSWER, stream=True)
    pieces = [raw[at : at + 1] for at in range(len(raw))]
    events = _decoded(upstream, pieces)
    assert not isinstance(events[-1], Failed)
    assert _settled(events) == _settled(_decoded(upstream, [raw]))


@pytest.mark.parametrize("name", ["openai_chat", "openai_responses", "anthropic", "ollama"])
def test_raw_bytes_of_a_stream_come_through_whole(name: str) -> None:
    [upstream] = [upstream for upstream in UPSTREAMS if upstream.name == name]
    raw = upstream.rendered(ANSWER, stream=True)
    decoder = upstream.codec.stream_decoder()
    passed = b"".join(piece for at in range(0, len(raw), 5) for piece, _ in decoder.feed(raw[at : at + 5]))
    assert passed == raw


# ---------------------------------------------------------------- helpers


def _asked(*, stream: bool) -> Request:
    tool = Tool("f", "does", {"type": "object", "properties": {}})
    message = Message("user", (Text("hi"),))
    return Request("m", (message,), tools=(tool,), max_tokens=9, stream=stream, include_usage=stream)


def _decoded(upstream: Upstream, pieces: list[bytes]) -> list[Event]:
    decoder = upstream.codec.stream_decoder()
    events = [event for piece in pieces for _, found in decoder.feed(piece) for event in found]
    return events + decoder.finish()


def _settled(events: list[Event]) -> bytes:
    """Events for comparison; ids that the decoder itself makes up are left out."""
    encoded = []
    for event in events:
        if isinstance(event, Started):
            event = msgspec.structs.replace(event, id="")
        elif isinstance(event, BlockStarted):
            event = BlockStarted(event.index, _bare(event.block))
        encoded.append((type(event).__name__, event))
    return msgspec.json.encode(encoded)


def _same(got: Reply | Failed, wanted: Reply | Failed) -> bool:
    """Whether two replies say the same; ids and details of the count are the protocol's own."""
    assert isinstance(got, Reply), got
    assert isinstance(wanted, Reply)
    assert [_bare(block) for block in got.content] == [_bare(block) for block in wanted.content]
    assert got.stop_reason == wanted.stop_reason
    assert (got.usage.input_tokens, got.usage.output_tokens) == (
        wanted.usage.input_tokens,
        wanted.usage.output_tokens,
    )
    assert isinstance(got.usage, Usage)
    return got.model == wanted.model


def _bare(block: Any) -> Any:
    return msgspec.structs.replace(block, id="") if isinstance(block, ToolUse) else block


def _without_ids(request: Request) -> Request:
    """Ollama's calls may have no ids; a result is known by its place."""
    messages = []
    for message in request.messages:
        content: list[Block] = [
            msgspec.structs.replace(block, tool_use_id="") if isinstance(block, ToolResult) else _bare(block)
            for block in message.content
        ]
        messages.append(Message(message.role, tuple(content)))
    return msgspec.structs.replace(request, messages=tuple(messages))
