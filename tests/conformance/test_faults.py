"""Every fault of an upstream, towards every client protocol, streamed and not.

Each must end as an error of the client's own protocol or, where nothing is really wrong, as the whole answer,
and in good time, recorded as it was, with no connection and no task left. Never as a shorter good answer.
"""

from __future__ import annotations

import email.utils
import itertools
import time

import pytest

from tests.support.clients import Answer, Ask, Client, user
from tests.support.faults import FAULTS, Fault
from tests.support.script import End, Raw, Reply, Say, failure
from tests.support.stage import BACKENDS, CLIENTS, HASTY, SPARE, Backend, Stage

pytestmark = pytest.mark.asyncio(loop_scope="module")


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
