"""Byte streams mean the same however they are cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr_desktop.engine.wire import framing
from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.engine.wire.framing import LineSplitter, SseSplitter

STREAM = (
    'data: {"a": 1}\n\n: a comment\n\nevent: ping\ndata: {}\n\ndata: first\ndata: second\r\n\r\n'
    "id: 4\r\ndata: grüße 👋\r\n\r\ndata:no space\r\rdata: the end"
).encode()
EVENTS = [
    ("", b'{"a": 1}'),
    ("", b""),
    ("ping", b"{}"),
    ("", b"first\nsecond"),
    ("", "grüße 👋".encode()),
    ("", b"no space"),
    ("", b"the end"),
]


def cut(data: bytes, at: list[int]) -> list[bytes]:
    edges = [0, *sorted(at), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


@given(st.lists(st.integers(0, len(STREAM)), max_size=60))
def test_any_split_of_an_event_stream_gives_the_same_events(at: list[int]) -> None:
    splitter = SseSplitter()
    events = [event for chunk in cut(STREAM, at) for event in splitter.feed(chunk)] + splitter.finish()
    assert [(event.event, event.data) for event in events] == EVENTS
    assert b"".join(event.raw for event in events).startswith(STREAM)


@given(st.lists(st.integers(0, 40), max_size=20))
def test_any_split_of_lines_gives_the_same_lines(at: list[int]) -> None:
    data = '{"a": "ü"}\n\r\n{"b": 2}\r\n{"c": 3}'.encode()
    splitter = LineSplitter()
    lines = [line for chunk in cut(data, [min(i, len(data)) for i in at]) for line in splitter.feed(chunk)]
    assert lines + splitter.finish() == ['{"a": "ü"}'.encode(), b'{"b": 2}', b'{"c": 3}']


@pytest.mark.parametrize("splitter", [SseSplitter, LineSplitter])
def test_an_upstream_that_never_ends_a_message_is_stopped(
    splitter: type[SseSplitter] | type[LineSplitter], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(framing, "MAX_MESSAGE", 1000)
    one = splitter()
    with pytest.raises(WireError):
        for _ in range(20):
            one.feed(b"x" * 100)
