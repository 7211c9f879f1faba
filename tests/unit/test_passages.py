"""Sources put passages before asks: each once, the same in every later turn, and none beyond its budget."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from lynkr_desktop.engine.exchange import Exchange
from lynkr_desktop.engine.passages.hook import Passages
from lynkr_desktop.engine.passages.source import EMPTY, Ask, Passage, Source, marked
from lynkr_desktop.engine.routing.decision import Decision, Target
from lynkr_desktop.engine.routing.profile import Profile
from lynkr_desktop.engine.wire.anthropic import AnthropicClient
from lynkr_desktop.engine.wire.fields import encode_json

CODEC = AnthropicClient()
PROFILE = Profile("default", False, frozenset(), "always", "order")
DECISION = Decision(None, ((Target("p", "m", None),),), "", PROFILE)
FIRST, SECOND = "Add a column to the table of users", "Now write the migration for it"


class Numbered(Source):
    """Gives a passage that no other is like, so that a second choice for the same ask would be seen."""

    enabled = True
    budget = 100

    def __init__(self, name: str, words: int = 5) -> None:
        self.name = name
        self.words = words
        self.asked: list[Ask] = []

    async def choose(self, ask: Ask) -> Passage:
        self.asked.append(ask)
        number = len(self.asked)
        if "nothing" in ask.turn.text:
            return EMPTY
        if "trip" in ask.turn.text:
            raise ValueError("the file of the skills is gone")
        return Passage(marked(self.name, [f"{self.name} {number}", "word " * self.words]), (str(number),))


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


async def sent(
    passages: Passages, *turns: dict[str, Any], headers: Mapping[str, str] | None = None
) -> tuple[list[str], Exchange]:
    """The text of each turn after passages were put in."""
    body = encode_json({"model": "m", "max_tokens": 4000, "messages": list(turns), "own": 1})
    exchange = Exchange(codec=CODEC, headers=headers or {}, body=body)
    exchange.request = CODEC.decode_request(body)
    exchange.decision = DECISION
    await passages.put_in(exchange, None)
    assert b'"own":1' in exchange.body
    assert exchange.request is not None
    return [message.text for message in exchange.request.messages], exchange


async def test_all_sources_speak_before_an_ask_in_their_order_and_the_same_in_later_turns() -> None:
    memory, skills = Numbered("memory"), Numbered("skills")
    passages = Passages([memory, skills])
    [first], exchange = await sent(passages, user(FIRST))
    assert first.index("memory 1") < first.index("skills 1") < first.index(FIRST)
    assert [receipt.stage for receipt in exchange.receipts] == ["memory", "skills"]
    assert exchange.receipts[0].after > 5
    assert exchange.saved_tokens == 0
    # The second source knows what the first one said.
    assert "memory 1" in skills.asked[0].said[0]
    turns = [user(FIRST), {"role": "assistant", "content": "done"}, user(SECOND)]
    later, exchange = await sent(passages, *turns)
    assert later[0] == first
    assert "memory 2" in later[2]
    assert "memory 1" in " ".join(memory.asked[1].said)
    assert exchange.told == {"x-lynkr-memory": "2", "x-lynkr-skills": "2"}
    again, _ = await sent(passages, *turns)
    assert again == later
    assert len(memory.asked) == 2


async def test_an_ask_that_went_out_without_stays_without() -> None:
    skills = Numbered("skills")
    passages = Passages([skills])
    turns = [user(FIRST), {"role": "assistant", "content": "done"}, user(SECOND)]
    later, _ = await sent(passages, *turns)
    assert later[0] == FIRST
    assert "skills 1" in later[2]


@pytest.mark.parametrize("ask", ["say nothing of the table", "trip over the table of users"])
async def test_a_source_without_an_answer_leaves_the_request_as_it_came(ask: str) -> None:
    [text], exchange = await sent(Passages([Numbered("skills")]), user(ask))
    assert text == ask
    assert exchange.receipts == ()


async def test_no_passage_exceeds_the_budget_of_its_source() -> None:
    long, short = Numbered("skills", words=500), Numbered("memory")
    [text], _ = await sent(Passages([long, short]), user(FIRST))
    assert "skills" not in text
    assert "memory 1" in text
    short.budget = 0
    [text], _ = await sent(Passages([short]), user(FIRST))
    assert text == FIRST


async def test_a_request_does_without_a_source_by_its_header() -> None:
    passages = Passages([Numbered("memory"), Numbered("skills")])
    [text], exchange = await sent(passages, user(FIRST), headers={"x-lynkr-skills": "off"})
    assert "memory 1" in text
    assert "skills" not in text
    assert "x-lynkr-skills" not in exchange.told


async def test_what_is_forgotten_is_put_before_no_ask_any_more() -> None:
    passages = Passages([Numbered("memory"), Numbered("skills")])
    await sent(passages, user(FIRST))
    passages.leave_out("memory", ["1"])
    [text], _ = await sent(passages, user(FIRST))
    assert "memory" not in text
    assert "skills 1" in text
