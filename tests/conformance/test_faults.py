"""Every fault of an upstream, towards every client protocol, streamed and not.

Each must end as an error of the client's own protocol or, where nothing is really wrong, as the whole answer,
and in good time, recorded as it was, with no connection and no task left. Never as a shorter good answer.
"""

from __future__ import annotations

import email.utils
import gzip
import itertools
import time
from dataclasses import dataclass

import pytest

from tests.support.clients import Answer, Ask, Client, user
from tests.support.script import Die, End, ErrorLine, Raw, Reply, Say, Stall, failure, text
from tests.support.stage import BACKENDS, CLIENTS, GONE, HASTY, SPARE, Backend, Stage

pytestmark = pytest.mark.asyncio(loop_scope="module")
HELLO = "Grüße, ☃ 🎉\u2028\x7f"
LONG = "long line " * 200_000
WENT_WRONG = frozenset({500, 502, 529})
HTML = b"<!doctype html><html><body><h1>502 Bad Gateway</h1></body></html>"


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        reply: what the upstream does.
        statuses: of the error, where nothing went out before it; empty where the answer may be good.
        says: stands in the error's message.
        where: `whole` or `stream` for a fault that only such an answer can have.
        midway: a stream has said `Hello` before; the error may come within it.
        framing: of the upstreams that can have it; empty for all.
        variant: of the provider.
        retried: whether another target is to be tried.
        expected: the answer's text where it may be good.
        times: how often the upstream shows it.
    """

    name: str
    reply: Reply
    statuses: frozenset[int] = frozenset({502})
    says: str = ""
    where: str = ""
    midway: bool = False
    framing: str = ""
    variant: str = ""
    retried: bool = True
    expected: str = ""
    times: int = 1


def _good(name: str, reply: Reply, expected: str = HELLO, *, where: str = "", framing: str = "") -> Fault:
    return Fault(name, reply, frozenset(), expected=expected, where=where, framing=framing)


def _status(status: int, *, retried: bool = True, **headers: str) -> Fault:
    name = f"status {status}" + (" with Retry-After" if headers else "")
    # A gateway's 502 that carries an error of the vendor's server behind it is that server's 500.
    statuses = frozenset({500, 502} if status == 502 else {status})
    return Fault(name, failure(status, "this-went-wrong", **headers), statuses, retried=retried)


FAULTS = [
    # ---- before there is an answer
    Fault("refused", text("x"), frozenset({503}), variant=GONE),
    # A connection that was kept open may have been given up by its server: the request is sent once more.
    Fault("reset before the head", Reply((Die(),)), times=2),
    Fault("slow first byte", Reply((Say("x"),), first_byte=30), frozenset({504}), variant=HASTY),
    *(_status(status) for status in (401, 403, 404, 408, 429, 500, 502, 503, 504, 529)),
    *(_status(status, retried=False) for status in (400, 413, 422)),
    Fault("a status nobody knows", failure(599, "this-went-wrong"), frozenset({502, 599}), retried=False),
    Fault("HTML with 503", Reply(status=503, body=HTML, content_type="text/html"), frozenset({503})),
    Fault("nothing with 500", Reply(status=500, body=b""), frozenset({500})),
    Fault("redirect", Reply(status=307, body=b"", headers={"location": "http://127.0.0.1:9/x"})),
    Fault("no content", Reply(status=204, body=b"")),
    # ---- HTTP 200, and no answer
    Fault("HTML with 200", Reply(body=HTML, content_type="text/html")),
    Fault("empty body", Reply(body=b"")),
    Fault("garbage", Reply(body=b"\x00\x01\xff\xfe garbage \xc3")),
    Fault("JSON of another kind", Reply(body=b'{"hello": "world"}')),
    Fault("JSON that is no object", Reply(body=b"[1, 2]")),
    Fault("null", Reply(body=b"null")),
    Fault("deep JSON", Reply(body=b'{"a":' * 100_000)),
    Fault("error with 200", Reply((ErrorLine("this-went-wrong"),)), WENT_WRONG, "this-went-wrong"),
    Fault("empty completion", Reply(())),
    Fault("only blanks of framing", Reply(body=b"\n\n\n\n")),
    # ---- broken off
    Fault("truncated JSON", Reply((Say("Hello"), End())), where="whole"),
    Fault("reset in the body", Reply((Say("Hello"), Die())), where="whole"),
    Fault("stall in the body", Reply((Stall(),)), frozenset({504}), where="whole", variant=HASTY),
    Fault("stall after the head", Reply((Stall(),)), frozenset({504}), where="stream", variant=HASTY),
    Fault("reset in the stream", Reply((Say("Hello"), Die())), midway=True),
    Fault("end without a finish", Reply((Say("Hello"), End())), midway=True),
    Fault(
        "stall in the stream", Reply((Say("Hello"), Stall())), frozenset({504}), midway=True, variant=HASTY
    ),
    Fault("error in the stream", Reply((Say("Hello"), ErrorLine("x"))), WENT_WRONG, midway=True),
    Fault("garbage in the stream", Reply((Say("Hello"), Raw(b"data: {broken\n\n"), End())), midway=True),
    Fault("cut in an event", Reply((Say("Hello"), Raw(b'data: {"id": "x", "cho'), End())), midway=True),
    Fault(
        "broken UTF-8",
        Reply((Say("Hello"), Say("MARK")), rewrite=lambda b: b.replace(b"MARK", b"\xff\xfe")),
        midway=True,
    ),
    Fault(
        "deep JSON in the stream", Reply((Say("Hello"), Raw(b'data: {"a":' * 9**5 + b"\n\n"))), midway=True
    ),
    Fault("gzip cut", Reply((Say("Hello"), Die()), gzip=True), midway=True),
    Fault(
        "gzip that is none",
        Reply(body=b"no gzip at all", headers={"content-encoding": "gzip"}),
    ),
    Fault(
        "gzip that ends early",
        Reply(body=gzip.compress(b'{"x": 1}' * 999)[:-12], headers={"content-encoding": "gzip"}),
    ),
    # ---- odd, but right
    _good("gzip", Reply((Say(HELLO),), gzip=True)),
    _good("split at every byte", Reply((Say(HELLO),), split=1)),
    _good("gzip split at every byte", Reply((Say(HELLO),), split=1, gzip=True)),
    _good("very long lines", Reply((Say(LONG),)), LONG),
    _good("CRLF", Reply((Say(HELLO),), rewrite=lambda b: b.replace(b"\n", b"\r\n")), framing="sse"),
    _good(
        "CRLF, split",
        Reply((Say(HELLO),), rewrite=lambda b: b.replace(b"\n", b"\r\n"), split=1),
        framing="sse",
    ),
    _good("CRLF lines", Reply((Say(HELLO),), rewrite=lambda b: b.replace(b"\n", b"\r\n")), framing="lines"),
    _good(
        "CR", Reply((Say(HELLO),), rewrite=lambda b: b.replace(b"\n", b"\r")), where="stream", framing="sse"
    ),
    _good(
        "comments", Reply((Say(HELLO),), rewrite=lambda b: b": hm\n\n:\n" + b), where="stream", framing="sse"
    ),
    _good("blank lines", Reply((Say(HELLO),), rewrite=lambda b: b"\n\n" + b), framing="lines"),
    _good(
        "other fields",
        Reply((Say(HELLO),), rewrite=lambda b: b"id: 7\nretry: 9\n" + b),
        where="stream",
        framing="sse",
    ),
    # ---- a type or a form that was not asked for
    _good("stream as JSON type", Reply((Say(HELLO),), content_type="application/json"), where="stream"),
    _good(
        "stream without a type", Reply((Say(HELLO),), content_type="application/octet-stream"), where="stream"
    ),
    _good(
        "whole where a stream was asked",
        Reply((Say(HELLO),), streams=False, content_type="application/json"),
        where="stream",
    ),
    _good("whole as text", Reply((Say(HELLO),), content_type="text/plain"), where="whole"),
    _good("stream where none was asked", Reply((Say(HELLO),), streams=True), where="whole"),
]


def rows() -> list[object]:
    """Client, way, backend and fault, of those that can meet.

    Half of all the triples of client, backend and fault are tried, so each fault meets each of the others;
    of those that wait for a time limit, one per client; of bytes that pass untouched, all.
    """
    chosen: list[object] = []
    for (number, client), stream in itertools.product(enumerate(CLIENTS), (False, True)):
        for (place, backend), (kind, fault) in itertools.product(enumerate(BACKENDS), enumerate(FAULTS)):
            fits = fault.where in ("", "stream" if stream else "whole")
            if not fits or fault.framing not in ("", backend.framing):
                continue
            if fault.variant == HASTY:
                wanted = place == (number + kind) % len(BACKENDS)
            else:
                wanted = client.name in backend.speaks or (number + place + kind + stream) % 2 == 0
            if wanted:
                way = "stream" if stream else "whole"
                name = f"{fault.name}-{client.name}-{way}-{backend.name}"
                chosen.append(pytest.param(client, stream, backend, fault, id=name))
    return chosen


@pytest.mark.parametrize(("client", "stream", "backend", "fault"), rows())
async def test_a_fault_ends_as_an_error_or_as_the_whole_answer(
    lynkr: Stage, client: Client, stream: bool, backend: Backend, fault: Fault
) -> None:
    began = time.monotonic()
    async with lynkr.nothing_left():
        ask = Ask((user("hi"),), stream=stream)
        answer = await lynkr.ask(client, backend, ask, *[fault.reply] * fault.times, variant=fault.variant)
    assert time.monotonic() - began < 10
    row = await lynkr.last_row()
    if answer.problem is None:
        assert fault.expected, "an end was invented"
        assert (answer.text, answer.stop) == (fault.expected, "end")
        assert row["status"] == 200
        return
    check_error(answer, fault, stream)
    assert row["status"] == (answer.status if answer.status != 200 else row["status"]) != 200
    assert row["error"]


def check_error(answer: Answer, fault: Fault, stream: bool) -> None:
    """The error has the right status, and is told in words that say what happened."""
    assert answer.problem is not None
    assert not answer.stop
    statuses = fault.statuses
    if answer.status == 200:
        assert stream, "HTTP 200 with an error as its body"
        assert fault.midway, "an error that was known before anything was sent has a status"
        assert "Hello".startswith(answer.text)
    else:
        assert statuses, f"nothing is wrong, and yet: {answer.problem}"
        assert answer.status in statuses, answer.problem
    assert fault.says in answer.problem.message
    assert "127.0.0.1:9/" not in answer.problem.message


EARLY = [
    fault for fault in FAULTS if fault.statuses and fault.retried and not fault.midway and not fault.variant
]


@pytest.mark.parametrize("fault", EARLY, ids=lambda fault: fault.name)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("tier", range(min(4, len(BACKENDS))))
async def test_the_next_target_answers_when_nothing_was_sent_yet(
    lynkr: Stage, fault: Fault, stream: bool, tier: int
) -> None:
    backend = BACKENDS[tier]
    if fault.where == ("whole" if stream else "stream"):
        return
    for fake in lynkr.fakes.values():
        fake.forget()
    lynkr.fakes[backend.name].replies.extend([fault.reply] * fault.times)
    name = ("simple", "medium", "complex", "reasoning")[tier]
    client = CLIENTS[tier % len(CLIENTS)]
    async with lynkr.nothing_left():
        answer = await lynkr.ask_tier(client, name, Ask(stream=stream))
    assert (answer.text, answer.stop) == ("Hello there", "end")
    assert answer.headers["x-lynkr-provider"] == SPARE
    assert (await lynkr.last_row())["provider"] == SPARE


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_once_something_was_sent_no_other_target_is_tried(
    lynkr: Stage, client: Client, stream: bool
) -> None:
    for fake in lynkr.fakes.values():
        fake.forget()
    lynkr.fakes[BACKENDS[0].name].replies.append(Reply((Say("Hello", 0), Raw(b"data: {nope\n\n"), End())))
    answer = await lynkr.ask_tier(client, "simple", Ask(stream=stream))
    if not stream:
        assert answer.text == "Hello there"
    elif answer.status == 200 and answer.problem is not None:
        assert not lynkr.fakes[SPARE].asked


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
@pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: backend.name)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_429_tells_when_to_come_back(
    lynkr: Stage, client: Client, backend: Backend, stream: bool
) -> None:
    ask = Ask(stream=stream)
    in_seconds = await lynkr.ask(client, backend, ask, failure(429, "slow down", **{"retry-after": "7"}))
    assert (in_seconds.status, in_seconds.headers["retry-after"]) == (429, "7")
    date = email.utils.formatdate(time.time() + 30, usegmt=True)
    by_date = await lynkr.ask(client, backend, ask, failure(429, "slow down", **{"retry-after": date}))
    assert 25 <= int(by_date.headers["retry-after"]) <= 30
    without = await lynkr.ask(client, backend, ask, failure(429, "slow down"))
    assert without.status == 429
    odd = await lynkr.ask(client, backend, ask, failure(429, "slow down", **{"retry-after": "soon"}))
    assert odd.status == 429
    for value in ("nan", "inf", "-5", "1e400", "9" * 400):
        bad = await lynkr.ask(client, backend, ask, failure(429, "slow down", **{"retry-after": value}))
        assert bad.status == 429


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
@pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: backend.name)
async def test_no_secret_of_the_upstream_is_told(lynkr: Stage, client: Client, backend: Backend) -> None:
    leak = "Incorrect API key provided: sk-proj-abcdefghijklmnopqrstuvwxyz0123456789"
    answer = await lynkr.ask(client, backend, Ask(), failure(401, leak))
    assert answer.problem is not None
    row = await lynkr.last_row()
    assert "abcdefghijklmnopqrstuvwxyz0123456789" not in row["error"] + answer.problem.message
