"""Every client protocol over every kind of provider: a stored reply is the same reply."""

from __future__ import annotations

import itertools
import re

import pytest

from tests.support.clients import Answer, Ask, Client, user
from tests.support.pairing import EACH_WAY, READ, pairs, translated
from tests.support.script import Call, Reply, Say, Think, text
from tests.support.stage import Backend, Stage

pytestmark = pytest.mark.asyncio(loop_scope="module")

ON = {"x-lynkr-optimize": "sha256_lru_cache"}
NUMBERS = itertools.count()
PASSING = re.compile(
    rb'"(?:created(?:_at)?|completed_at|cost|(?:total|load|eval|prompt_eval)_duration)":'
    rb'(?:[0-9.e+-]+|"[^"]*"|null),?|(?:msg|resp|rs|fc|chatcmpl)[-_](?:lynkr_)?[0-9a-f]{8,}'
)
"""What tells the time or the price of a reply, and the ids that are made for it and its parts."""


def something() -> tuple[object, ...]:
    """A turn that nobody took before."""
    return (user(f"question number {next(NUMBERS)}"),)


def same(one: Answer, two: Answer) -> None:
    """Two answers say the same, block by block."""
    for name in ("text", "thoughts", "signature", "order", "stop", "stop_sequence", "usage", "model"):
        assert getattr(one, name) == getattr(two, name), name
    for call, again in zip(one.calls, two.calls, strict=True):
        assert (call.name, call.arguments) == (again.name, again.arguments)
        # Ollama gives calls no ids; what is stored has some.
        assert call.id in ("", again.id)


async def twice(
    lynkr: Stage, client: Client, backend: Backend, ask: Ask, reply: Reply
) -> tuple[Answer, Answer]:
    """The answer of a model, and the same from the cache; no provider was asked for that."""
    first = await lynkr.ask(client, backend, ask, reply, headers=ON)
    second = await lynkr.ask(client, backend, ask, headers=ON)
    assert (first.headers["x-lynkr-cache"], second.headers["x-lynkr-cache"]) == ("miss", "hit")
    assert lynkr.fakes[backend.name].asked == []
    for header in ("x-lynkr-provider", "x-lynkr-model"):
        assert first.headers[header] == second.headers[header]
    assert second.headers["x-litellm-response-cost"] == "0"
    return first, second


@pairs()
@EACH_WAY
async def test_text_is_given_again(lynkr: Stage, client: Client, backend: Backend, stream: bool) -> None:
    ask = Ask(something(), stream=stream)
    first, second = await twice(lynkr, client, backend, ask, text("Hel", "lo ", "☃\n\n", "end"))
    same(first, second)
    if translated(client, backend):
        assert PASSING.sub(b"", first.raw) == PASSING.sub(b"", second.raw)
    row = await lynkr.last_row()
    assert (row["status"], row["cost"], row["cached_tokens"]) == (200, 0.0, row["input_tokens"])
    assert row["input_tokens"] > 0


@pairs("tools")
@EACH_WAY
async def test_calls_are_given_again(lynkr: Stage, client: Client, backend: Backend, stream: bool) -> None:
    ask = Ask(something(), tools=(READ,), stream=stream)
    made = Reply((Say("Look."), Call("read_file", {"path": "ä/b.py"}), Call("read_file", {"path": "c"})))
    first, second = await twice(lynkr, client, backend, ask, made)
    assert len(first.calls) == 2
    same(first, second)


@pairs("thinking")
@EACH_WAY
async def test_reasoning_is_given_again(lynkr: Stage, client: Client, backend: Backend, stream: bool) -> None:
    if "thinking" in backend.lacks:
        pytest.skip("its protocol has no reasoning")
    ask = Ask(something(), thinking="high", stream=stream, limit=40_000)
    first, second = await twice(lynkr, client, backend, ask, Reply((Think("hm"), Say("yes"))))
    same(first, second)


@pairs()
async def test_a_stream_is_given_whole_and_a_whole_reply_as_a_stream(
    lynkr: Stage, client: Client, backend: Backend
) -> None:
    for first_way in (True, False):
        ask = Ask(something(), stream=first_way)
        first = await lynkr.ask(client, backend, ask, text("Hel", "lo ☃"), headers=ON)
        second = await lynkr.ask(client, backend, ask.with_(stream=not first_way), headers=ON)
        assert (first.headers["x-lynkr-cache"], second.headers["x-lynkr-cache"]) == ("miss", "hit")
        same(first, second)
