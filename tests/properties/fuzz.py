"""Mutated bodies and answers against every codec, and a sample of them against the engine by HTTP.

A client's body may be refused with a `WireError`, or understood and then be said to every provider; an
upstream's answer may fail, or become an answer that every strict client can read. Any other exception is a
finding, and so is a 500 or a hang of the engine. Each body follows from the seed and its number alone:

    python -m tests.properties.fuzz --bodies 100000 --seed 7
    python -m tests.properties.fuzz --only 7:31337
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import msgspec

from lynkr_desktop.engine.delivery import Delivery
from lynkr_desktop.engine.exchange import Exchange
from lynkr_desktop.engine.routing.ask import read_ask
from lynkr_desktop.engine.routing.decision import Target
from lynkr_desktop.engine.routing.score import score
from lynkr_desktop.engine.wire.calls import CallIds, in_call_order
from lynkr_desktop.engine.wire.canonical import Event, Failed, Reply, Request
from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.engine.wire.text_calls import TextToolCalls
from tests.properties.mutation import bodies_of, mutated_answer, mutated_body
from tests.support.clients import Ask, Function, user
from tests.support.clients.base import BadArguments
from tests.support.codecs import SPOKEN, UPSTREAMS, Spoken, Upstream
from tests.support.script import Call, Say, Think
from tests.support.script import Reply as Script
from tests.support.stage import BACKENDS, Stage, stage

_ANSWERS = (
    Script((Say("Hello"), Say(" there, ☃"))),
    Script((Think("Let me "), Think("see."), Say("Yes."))),
    Script((Say("I look."), Call("read_file", {"path": "ä.py", "n": [1, None]}), Call("run", {}))),
    Script((Call("read_file", {}),), done_reason="length"),
    Script(
        (Say('I look. <tool_call>{"name": "read_file", '), Say('"arguments": {"path": "a"}}</tool_call> Ok.'))
    ),
)
_TOOLS = (Function("read_file"), Function("run"))
_CHUNK = 1 << 16
_OTHER_PATHS = (
    *("/v1/messages/count_tokens", "/v1/embeddings", "/api/embed", "/api/embeddings", "/api/show"),
    *("/v1/responses/resp_1", "/v1/admin/routes/explain", "/v1/nothing"),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that must not happen. `number` and the seed make it again."""

    number: int
    where: str
    body: bytes
    what: str


class Fuzzer:
    """Makes bodies, and notes what they break.

    Args:
        seed: with a body's number it determines the body.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.findings: list[Finding] = []
        self.good = 0
        """How many bodies were understood, or answers became good ones."""
        self._bodies = {spoken.client.name: bodies_of(spoken.client) for spoken in SPOKEN}
        self._answers = {
            (upstream.name, stream): [upstream.rendered(answer, stream=stream) for answer in _ANSWERS]
            for upstream in UPSTREAMS
            for stream in (False, True)
        }

    def run(self, count: int, say: Callable[[int], None] = lambda done: None) -> None:
        """Tries `count` bodies: two of clients, then one of an upstream, and so on."""
        for number in range(count):
            self.one(number)
            if number % 1000 == 999:
                say(number + 1)

    def one(self, number: int) -> None:
        """Tries one body."""
        rng = random.Random(f"{self.seed}:{number}")
        if number % 3 < 2:
            self._request(number, rng, rng.choice(SPOKEN))
        else:
            self._answer(number, rng, rng.choice(UPSTREAMS))

    def body(self, number: int) -> tuple[str, bytes]:
        """A path of the engine and a body for it."""
        rng = random.Random(f"{self.seed}:http:{number}")
        if rng.random() < 0.2:
            path = rng.choice(_OTHER_PATHS)
            small = {"model": rng.choice(BACKENDS).target, "input": ["a", "b"], "prompt": "a", "messages": []}
            return path, mutated_body(rng, small)
        spoken = rng.choice(SPOKEN)
        body = rng.choice(self._bodies[spoken.client.name])
        model = rng.choice(BACKENDS).target
        return spoken.client.path, mutated_body(rng, {**body, "model": model})

    def _request(self, number: int, rng: random.Random, spoken: Spoken) -> None:
        body = mutated_body(rng, rng.choice(self._bodies[spoken.client.name]))
        where = spoken.client.name
        try:
            request = in_call_order(spoken.codec.decode_request(body))
            score(read_ask(request))
            self.good += 1
            for upstream in UPSTREAMS:
                where = f"{spoken.client.name} to {upstream.name}"
                _say_to(upstream, request)
        except WireError as error:
            if not 400 <= error.status < 500:
                self._note(number, where, body, f"status {error.status}: {error.message}")
        except Exception:  # noqa: BLE001 - whatever it is, it is a finding
            self._note(number, where, body, traceback.format_exc())

    def _answer(self, number: int, rng: random.Random, upstream: Upstream) -> None:
        stream = rng.random() < 0.7
        whole = rng.choice(self._answers[upstream.name, stream])
        body = mutated_answer(rng, whole, binary=upstream.binary and stream)
        where = f"answer of {upstream.name}, {'stream' if stream else 'whole'}"
        try:
            events = _events(upstream, body, rng, stream=stream)
            ends = [event for event in events if isinstance(event, Failed)]
            self.good += not ends
            for spoken in SPOKEN:
                where = f"{where.partition(' for ')[0]} for {spoken.client.name}"
                with contextlib.suppress(BadArguments):
                    _deliver(spoken, events)
        except WireError:
            return
        except Exception:  # noqa: BLE001 - whatever it is, it is a finding
            self._note(number, where, body, traceback.format_exc())

    def _note(self, number: int, where: str, body: bytes, what: str) -> None:
        self.findings.append(Finding(number, where, body, what))


def _say_to(upstream: Upstream, request: Request) -> None:
    try:
        said = upstream.codec.encode_request(request, "m")
    except WireError as error:
        if not 400 <= error.status < 500:
            raise AssertionError(f"status {error.status} for a request: {error.message}") from error
    else:
        msgspec.json.decode(said)
        said.decode()
    for name in upstream.codec.dropped(request):
        name.encode()


def _events(upstream: Upstream, body: bytes, rng: random.Random, *, stream: bool) -> list[Event]:
    if not stream:
        return upstream.codec.decode_reply(body)
    decoder = upstream.codec.stream_decoder()
    events: list[Event] = []
    at = 0
    while at < len(body):
        size = rng.choice((1, 7, 64, _CHUNK))
        for _raw, found in decoder.feed(body[at : at + size]):
            events += found
        at += size
    return events + decoder.finish()


def _deliver(spoken: Spoken, events: list[Event]) -> None:
    """What the client gets is an answer by the rules of its protocol, streamed and whole."""
    for stream in (True, False):
        ask = Ask((user("hi"),), tools=_TOOLS if "tools" in spoken.client.can else (), stream=stream)
        body = msgspec.json.encode(spoken.client.body(ask))
        exchange = Exchange(codec=spoken.codec, headers={}, body=body)
        exchange.request = spoken.codec.decode_request(body)
        exchange.target = Target("upstream", "m", None)
        if stream:
            finder = TextToolCalls(exchange.request)
            delivery = Delivery(exchange, untouched=False, price=lambda *_: None, text_calls=finder)
            out = b"".join(delivery.out(b"", [event]) for event in events) + delivery.end()
            if any(not isinstance(event, Failed) for event in events):
                answer = spoken.client.streamed(out, ask)
                assert answer.good or answer.problem is not None
            continue
        reply = Reply.of(events)
        if isinstance(reply, Reply):
            reply = CallIds(exchange.request).settle_reply(reply)
            reply = msgspec.structs.replace(reply, model=reply.model or "m")
            whole = spoken.codec.encode_reply(reply, exchange.request)
            assert spoken.client.whole(msgspec.json.decode(whole), ask).good


# ---------------------------------------------------------------- by HTTP


async def fuzz_http(fuzzer: Fuzzer, running: Stage, count: int, *, at_once: int = 8) -> None:
    """Sends bodies to the engine; a 500, a hang or a broken connection is a finding."""
    numbers = iter(range(count))

    async def worker() -> None:
        for number in numbers:
            path, body = fuzzer.body(number)
            try:
                async with asyncio.timeout(30):
                    url = running.running.url + path
                    async with running.running.http.post(url, data=body) as got:
                        raw = await got.read()
                        status = got.status
            except (TimeoutError, aiohttp.ClientError) as error:
                fuzzer.findings.append(Finding(number, f"HTTP {path}", body, repr(error)))
                continue
            fuzzer.good += status == 200
            # A fake that stumbles over a body that was passed on to it is no fault of the engine.
            if b"failed inside" in raw or (status == 500 and b"answered 500" not in raw):
                fuzzer.findings.append(Finding(number, f"HTTP {path}", body, str(raw[:500])))

    await asyncio.gather(*(worker() for _ in range(at_once)))


async def _http(fuzzer: Fuzzer, count: int) -> None:
    with tempfile.TemporaryDirectory() as home:
        async with stage(Path(home), *BACKENDS) as running:
            await fuzz_http(fuzzer, running, count)


# ---------------------------------------------------------------- as a program


def main() -> int:
    """Fuzzes, tells what was found, and keeps the bodies that broke something."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--bodies", type=int, default=100_000, help="bodies and answers for the codecs")
    parser.add_argument("--http", type=int, default=5_000, help="bodies for the engine")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--keep", type=Path, help="folder for the bodies that broke something")
    parser.add_argument("--only", help="SEED:NUMBER of one body")
    arguments = parser.parse_args()
    if arguments.only:
        seed, _, number = arguments.only.partition(":")
        fuzzer = Fuzzer(int(seed))
        fuzzer.one(int(number))
        return _tell(fuzzer, arguments.keep)
    fuzzer = Fuzzer(arguments.seed)
    began = time.monotonic()
    fuzzer.run(arguments.bodies, lambda done: print(f"\r{done:,} bodies", end="", flush=True))
    took = time.monotonic() - began
    print(
        f"\r{arguments.bodies:,} bodies, seed {arguments.seed}: {len(fuzzer.findings)} findings, "
        f"{fuzzer.good:,} were still good, {took:.0f} s"
    )
    if arguments.http:
        before, began = len(fuzzer.findings), time.monotonic()
        asyncio.run(_http(fuzzer, arguments.http))
        took = time.monotonic() - began
        print(f"{arguments.http:,} bodies by HTTP: {len(fuzzer.findings) - before} findings, {took:.0f} s")
    return _tell(fuzzer, arguments.keep)


def _tell(fuzzer: Fuzzer, keep: Path | None) -> int:
    for finding in fuzzer.findings[:20]:
        print(f"--- {fuzzer.seed}:{finding.number}, {finding.where}\n{finding.what.strip()[-1500:]}")
        print(repr(finding.body[:600]))
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        for finding in fuzzer.findings:
            (keep / f"{fuzzer.seed}-{finding.number}.bin").write_bytes(finding.body)
    return bool(fuzzer.findings)


if __name__ == "__main__":
    sys.exit(main())
