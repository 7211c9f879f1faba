"""Takes one subject through conversations, turn by turn, as the engine would get them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise

from msgspec import Struct, field

from benchmarks.fidelity import cost
from benchmarks.fidelity.blocks import Row, common, row_of, tokens_of, total
from benchmarks.fidelity.conversations import Conversation, Needle, requests_of
from benchmarks.fidelity.judge import Reader
from benchmarks.fidelity.structure import violations
from benchmarks.fidelity.subjects import Subject
from lynkr_desktop.engine.optimization.tool_sets import CALL
from lynkr_desktop.engine.wire.canonical import Request, ToolResult


class Bill(Struct):
    """What a session cost, by provider, in tokens of uncached input; `direct` is without any shortening."""

    direct: float
    spent: float
    all_asked: float

    @property
    def ratio(self) -> float:
        """Cost beside direct."""
        return self.spent / self.direct

    @property
    def worst_ratio(self) -> float:
        """Cost beside direct where every single fact is asked for."""
        return self.all_asked / self.direct


class Outcome(Struct):
    """What became of one conversation.

    Attributes:
        before: tokens of the last prompt as the client sent it.
        after: tokens of it as it went to the model.
        sent_before: tokens of all prompts of the session; `sent_after` likewise.
        kinds: tokens of tools' answers in the last prompt by kind, before and after.
        verdicts: of the needles.
        tries: handles that were tried for a needle that was restored.
        lost: needles that were lost.
        faults: violations of structure, in all prompts of the session.
        breaks: turns whose prompt does not begin with all blocks of the one before.
        skipped: stages that were skipped, with the reason.
        unstable: prompts that came out otherwise when made anew without what was remembered.
    """

    name: str
    kind: str
    turns: int
    before: int = 0
    after: int = 0
    sent_before: int = 0
    sent_after: int = 0
    kinds: dict[str, tuple[int, int]] = field(default_factory=dict)
    verdicts: Counter[str] = field(default_factory=Counter)
    tries: Counter[int] = field(default_factory=Counter)
    lost: list[Needle] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    breaks: int = 0
    skipped: list[str] = field(default_factory=list)
    unstable: int = 0
    anthropic: Bill | None = None
    openai: Bill | None = None


def evaluate(subject: Subject, conversations: Iterable[Conversation], searches: bool = True) -> list[Outcome]:
    """What becomes of each conversation.

    Args:
        subject: to be judged.
        conversations: that it is taken through.
        searches: the scripted model searches what was left out before it reads all of it.
    """
    return [_one(subject, conversation, searches) for conversation in conversations]


def _one(subject: Subject, conversation: Conversation, searches: bool) -> Outcome:
    requests = list(requests_of(conversation))
    outcome = Outcome(conversation.id, conversation.kind, len(requests))
    subject.fresh()
    made = [subject.make(request) for request in requests]
    rows = [row_of(one.request) for one in made]
    direct = [row_of(request) for request in requests]
    for request, one in zip(requests, made, strict=True):
        reachable = frozenset(tool.name for tool in request.tools) if CALL in one.inner else frozenset[str]()
        outcome.faults += violations(request, one.request, reachable)
        outcome.skipped += one.skipped
    outcome.breaks = sum(common(one, other) < len(one) for one, other in pairwise(rows))
    subject.fresh()
    again = row_of(subject.make(requests[-1]).request)
    outcome.unstable = int(again != rows[-1])
    outcome.before, outcome.after = total(direct[-1]), total(rows[-1])
    outcome.sent_before, outcome.sent_after = sum(map(total, direct)), sum(map(total, rows))
    outcome.kinds = _kinds(conversation, requests[-1], made[-1].request)
    _needles(outcome, conversation, Reader(made[-1], searches))
    readers = {}
    asked: dict[int, list[Row]] = defaultdict(list)
    every: dict[int, list[Row]] = defaultdict(list)
    places = _places(conversation)
    for needle in conversation.needles:
        if needle.turn < 0:
            continue
        place = places[needle.turn]
        reader = readers.setdefault(place, Reader(made[place], searches))
        rounds = [row_of(request) for request in reader.find(needle).rounds]
        # A handle that was fetched for one question serves the others of that turn.
        every[place] += [row for row in rounds if row[-1] not in {known[-1] for known in every[place]}]
        if needle.asked:
            asked[place] += [row for row in rounds if row[-1] not in {known[-1] for known in asked[place]}]
    prompts = [[row, *asked[place]] for place, row in enumerate(rows)]
    worst = [[row, *every[place]] for place, row in enumerate(rows)]
    plain = [[row] for row in direct]
    outcome.anthropic, outcome.openai = (
        Bill(cost.session(plain, bill), cost.session(prompts, bill), cost.session(worst, bill))
        for bill in (cost.anthropic, cost.openai)
    )
    return outcome


def _places(conversation: Conversation) -> dict[int, int]:
    """Index of the request whose newest turn is a message, by the message's index."""
    users = (turn for turn, message in enumerate(conversation.messages) if message.role == "user")
    return {turn: place for place, turn in enumerate(users)}


def _needles(outcome: Outcome, conversation: Conversation, reader: Reader) -> None:
    for needle in conversation.needles:
        found = reader.find(needle)
        outcome.verdicts[found.verdict] += 1
        if found.verdict == "restored":
            outcome.tries[len(found.rounds)] += 1
        if found.verdict == "lost":
            outcome.lost.append(needle)


def _kinds(conversation: Conversation, before: Request, after: Request) -> dict[str, tuple[int, int]]:
    sums: dict[str, tuple[int, int]] = {}
    left = {name: tokens_of(text) for name, text in _results(after)}
    for name, text in _results(before):
        kind = conversation.kinds[name]
        one, other = sums.get(kind, (0, 0))
        sums[kind] = one + tokens_of(text), other + left.get(name, 0)
    return sums


def _results(request: Request) -> Sequence[tuple[str, str]]:
    return [
        (block.tool_use_id, block.text)
        for message in request.messages
        for block in message.content
        if isinstance(block, ToolResult)
    ]
