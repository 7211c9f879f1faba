"""Every fault of an upstream, and every oddity that is none, as scripts for the fakes."""

from __future__ import annotations

import gzip
from dataclasses import dataclass

from tests.support.script import Die, End, ErrorLine, Raw, Reply, Say, Stall, failure, text
from tests.support.stage import GONE, HASTY

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
