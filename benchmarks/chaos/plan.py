"""What a run is made of, drawn from its seed: what each client asks, and how each upstream fails at it.

What happens depends on the seed, the number of the request and of the attempt alone, so that a run can be
repeated though its clients race each other.
"""

from __future__ import annotations

import dataclasses
import random
import re
from dataclasses import dataclass
from typing import Literal

from tests.support.clients import Ask, Client, Function, OllamaGenerate, user
from tests.support.faults import FAULTS, HELLO, LONG, Fault
from tests.support.script import Call, Die, Reply, Say, Step, failure
from tests.support.stage import ANTHROPIC, CLIENTS, GONE, OLLAMA, OPENAI, Backend

UPSTREAMS: tuple[Backend, ...] = (OPENAI, ANTHROPIC, OLLAMA)
TIERS = ("simple", "medium", "complex", "reasoning")
WORD = re.compile(r"zq[0-9a-f]+n\d+x")
"""The word that is a request's own: its upstream says it back, and its record has it in the title."""

DEADLINE_S = 45.0
"""A request that has not ended by then hangs."""

TIMEOUT_S = 2.0
"""How long upstreams may be silent, by the configuration of the run."""

_MANY = 5_000
_FAULTY = 0.35
_HANGS_UP = 0.06
_SLOW = 0.1

Dying = Literal["refuses", "resets", "unavailable"]
"""How an upstream is dead: nobody listens; connections are cut; each request gets a 503."""


@dataclass(frozen=True, slots=True)
class Job:
    """One request.

    Attributes:
        number: 0 for the first.
        word: its own.
        client: the protocol.
        ask: what it asks.
        headers: of the request.
        hangs_up: the client leaves: before the answer has begun, or within it; empty where it stays.
        patience: seconds from when an upstream has the request, or the answer began, to the hang-up.
    """

    number: int
    word: str
    client: Client
    ask: Ask
    headers: dict[str, str]
    hangs_up: Literal["", "early", "midway"]
    patience: float

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.client.name} {'stream' if self.ask.stream else 'whole'}"


@dataclass(frozen=True, slots=True)
class Burst:
    """An upstream is wholly dead from one request on, until another."""

    upstream: str
    first: int
    last: int
    dying: Dying


@dataclass(frozen=True, slots=True)
class Action:
    """What an upstream does at one attempt.

    Attributes:
        name: of the fault; `answer` where it is none.
        reply: the script.
        statuses: of the error that may come of it; empty where the answer is good.
        good: it is a right and complete answer.
        midway: a stream may have begun before it fails.
        retried: another upstream may be asked after it.
    """

    name: str
    reply: Reply
    statuses: frozenset[int] = frozenset()
    good: bool = False
    midway: bool = False
    retried: bool = True


class Plan:
    """A run.

    Args:
        seed: another one gives another run.
        requests: how many.
        pause: seconds that a client waits between two of its own, on average.
    """

    def __init__(self, seed: int, requests: int, pause: float = 0.0) -> None:
        self.seed = seed
        self.pause = pause
        self.requests = requests
        self.bursts = tuple(self._bursts())

    def _bursts(self) -> list[Burst]:
        """Each upstream dies in each way, or in one where requests are few, with time between to get well."""
        ways: tuple[Dying, ...] = ("refuses", "resets", "unavailable")
        rounds = len(ways) if self.requests >= _MANY else 1
        dying = [
            (upstream.name, ways[(place + turn) % len(ways)])
            for turn in range(rounds)
            for place, upstream in enumerate(UPSTREAMS)
        ]
        random.Random(f"{self.seed} bursts").shuffle(dying)
        every = self.requests // (len(dying) + 1)
        return [
            Burst(name, first := turn * every + every // 2, first + every * 2 // 3, way)
            for turn, (name, way) in enumerate(dying)
        ]

    def job(self, number: int) -> Job:
        """The request of that number."""
        draw = random.Random(f"{self.seed} job {number}")
        word = f"zq{self.seed & 0xFFFFFF:x}n{number}x"
        client = draw.choice(CLIENTS)
        stream = draw.random() < 0.5
        headers = {"x-lynkr-session": f"s{draw.randrange(400)}"}
        ask = Ask((user(f"Say {word} once more."),), stream=stream)
        chosen = draw.random()
        if chosen < 0.7:
            headers["x-lynkr-tier"] = draw.choice(TIERS)
        elif chosen < 0.85:
            ask = ask.with_(model=draw.choice(UPSTREAMS).target)
        if not isinstance(client, OllamaGenerate) and draw.random() < 0.3:
            ask = ask.with_(tools=(Function("note"), Function("other")))
        hangs_up: Literal["", "early", "midway"] = ""
        if draw.random() < _HANGS_UP:
            hangs_up = "midway" if stream and draw.random() < 0.6 else "early"
        return Job(number, word, client, ask, headers, hangs_up, draw.uniform(0, 0.05))

    def action(self, backend: Backend, job: Job, attempt: int) -> Action:
        """What the upstream does when it is asked for a job for the nth time.

        Args:
            backend: its kind.
            job: whose word was in the body.
            attempt: 0 for the first at this upstream.
        """
        draw = random.Random(f"{self.seed} {backend.name} {job.number} {attempt}")
        if draw.random() >= _FAULTY:
            return self._answer(draw, job)
        where = "stream" if job.ask.stream else "whole"
        fitting = [
            fault
            for fault in FAULTS
            if fault.variant != GONE
            and fault.where in ("", where)
            and fault.framing in ("", backend.framing)
            # Long silences take their time: one of three is enough.
            and (fault.name not in _SILENT or draw.random() < 0.34)
        ]
        fault = draw.choice(fitting)
        reply = _told(fault, job.word)
        if fault.reply.status in (429, 503, 529) and draw.random() < 0.2:
            wait = draw.choice(("0", "1", "1", "soon", "nan"))
            reply = dataclasses.replace(reply, headers={**reply.headers, "retry-after": wait})
        return Action(fault.name, reply, fault.statuses, bool(fault.expected), fault.midway, fault.retried)

    def _answer(self, draw: random.Random, job: Job) -> Action:
        delay = draw.uniform(0.05, 0.15) if draw.random() < _SLOW else 0.0
        if job.ask.tools and draw.random() < 0.5:
            return Action("tool call", Reply((Call("note", {"path": job.word}),)), good=True)
        said = expected_text(job.word)
        cuts = sorted(draw.sample(range(1, len(said)), 3))
        pieces = [said[a:b] for a, b in zip([0, *cuts], [*cuts, len(said)], strict=True)]
        if job.hangs_up == "midway":
            delay = max(delay, 0.05)
        return Action("answer", Reply(tuple(Say(piece, delay) for piece in pieces)), good=True)

    def dead(self, way: Dying) -> Action:
        """What an upstream does that is dead, to those who still reach it."""
        if way == "unavailable":
            return Action("dead: 503", failure(503, "this-went-wrong"), frozenset({503}))
        return Action("dead: reset", Reply((Die(),)), frozenset({502}))


_SILENT = ("slow first byte", "stall in the body", "stall after the head", "stall in the stream")


def expected_text(word: str) -> str:
    """What a good answer says, with characters that are easily broken."""
    return f"The word is {word}, {HELLO} and that is all there is to say."


def _told(fault: Fault, word: str) -> Reply:
    """The fault's script with the request's own text in place of `Hello`."""
    said = expected_text(word)
    first = True
    steps: list[Step] = []
    for step in fault.reply.steps:
        if isinstance(step, Say) and step.text in ("Hello", HELLO, LONG, "x"):
            whole = bool(fault.expected) or fault.name in _SILENT[:1]
            step = Say(said if whole else said[:15], step.delay) if first else step
            first = False
        steps.append(step)
    return dataclasses.replace(fault.reply, steps=tuple(steps))
