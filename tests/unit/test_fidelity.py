"""The judge of shortened prompts must see every kind of loss, or its figures are worth nothing."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from benchmarks.fidelity import cost
from benchmarks.fidelity.blocks import row_of, total
from benchmarks.fidelity.conversations import Conversation, Needle, load, request_of, requests_of
from benchmarks.fidelity.evaluate import evaluate
from benchmarks.fidelity.judge import Reader, holds
from benchmarks.fidelity.record.needles import choose
from benchmarks.fidelity.structure import violations
from benchmarks.fidelity.subjects import LastTurns, Made, Nothing, OldResultsCleared, Subject
from lynkr_desktop.engine.optimization.restore import restorer
from lynkr_desktop.engine.optimization.stage import RESTORE
from lynkr_desktop.engine.wire.canonical import Message, Request, Text, Tool, ToolResult, ToolUse

LOG = (
    "\n".join(f"10.0.0.{n} GET /orders/{n + 4000} took {n * 7}ms" for n in range(120))
    + "\nfailed job-77231 at host-alpha9"
)


def conversation(turns: int = 6) -> Conversation:
    """A session in which each turn reads a log."""
    messages = [Message("user", (Text("look at the logs"),))]
    for turn in range(turns):
        text = LOG.replace("orders", f"orders{turn}").replace("77231", f"7723{turn}")
        call = ToolUse(f"c{turn}", "Bash", {"command": "cat log"})
        messages += [
            Message("assistant", (call,)),
            Message("user", (ToolResult(f"c{turn}", (Text(text),)),)),
        ]
    needle = Needle(
        question="Which job failed?", facts=("job-77230", "host-alpha9"), source="c0", turn=2, asked=True
    )
    return Conversation(
        id="a",
        split="tune",
        kind="log",
        shape="claude_code",
        system="You work.",
        toolset=("Bash", "Read"),
        messages=tuple(messages),
        kinds={f"c{turn}": "log" for turn in range(turns)},
        needles=(needle,),
    )


def last(request: Request) -> ToolResult:
    """The newest result."""
    block = request.messages[-1].content[-1]
    assert isinstance(block, ToolResult)
    return block


def with_last(request: Request, *blocks: Text | ToolResult | ToolUse) -> Request:
    """The request with another newest turn."""
    return replace(request, messages=(*request.messages[:-1], Message("user", blocks)))


@pytest.fixture
def request_() -> Request:
    """The last request of the session."""
    return request_of(conversation(), len(conversation().messages))


def test_what_was_sent_has_no_faults(request_: Request) -> None:
    assert violations(request_, request_) == []


def test_every_fault_of_structure_is_seen(request_: Request) -> None:
    tools = request_.tools
    spoiled = {
        "system prompt changed": replace(request_, system=(Text("other"),)),
        "last words of the user changed": replace(
            request_, messages=(Message("user", (Text("look"),)), *request_.messages[1:])
        ),
        "calls and results do not fit": replace(
            request_, messages=(request_.messages[0], *request_.messages[2:])
        ),
        "two turns of one role": replace(request_, messages=(request_.messages[0], *request_.messages[2:])),
        "does not begin with a user turn": replace(request_, messages=request_.messages[1:]),
        "ends with open calls": replace(request_, messages=request_.messages[:-1]),
        "tool Bash of the history is not offered": replace(request_, tools=tools[:0]),
        "cache markers changed": with_last(request_, replace(last(request_), extra={})),
        "a failed call no longer says so": with_last(request_, replace(last(request_), is_error=True)),
    }
    for fault, request in spoiled.items():
        assert fault in violations(request_, request), fault
    changed = replace(request_.messages[1], content=(ToolUse("c0", "Bash", {"command": "cat"}),))
    moved = (request_.messages[0], changed, *request_.messages[2:])
    assert "the input of a call changed" in violations(request_, replace(request_, messages=moved))
    swapped = (request_.messages[0], *request_.messages[3:5], *request_.messages[1:3], *request_.messages[5:])
    assert "calls changed their order" in violations(request_, replace(request_, messages=swapped))


def test_a_tool_that_can_be_called_through_another_is_no_fault(request_: Request) -> None:
    reachable = frozenset({"Bash"})
    assert violations(request_, replace(request_, tools=()), reachable) == []
    call = request_.messages[1].content[0]
    assert isinstance(call, ToolUse)

    def through(arguments: object) -> Request:
        other = ToolUse(call.id, "call_tool", {"name": call.name, "arguments": arguments})
        messages = (request_.messages[0], Message("assistant", (other,)), *request_.messages[2:])
        return replace(request_, messages=messages)

    assert violations(request_, through(call.input), reachable) == []
    assert "the input of a call changed" in violations(request_, through({"command": "rm"}), reachable)
    assert "the input of a call changed" in violations(request_, through(call.input))


def test_facts_must_stand_together_and_whole() -> None:
    assert holds("failed job-77231 at host-alpha9", ("job-77231", "host-alpha9"))
    assert not holds("failed job-772319 at host-alpha9", ("job-77231", "host-alpha9"))
    assert not holds("failed job-77231", ("job-77231", "host-alpha9"))


def test_a_needle_is_present_restored_or_lost(request_: Request) -> None:
    needle = conversation().needles[0]
    assert Reader(Made(request_)).find(needle).verdict == "present"
    original = request_.messages[2].content[0]
    assert isinstance(original, ToolResult)
    handle = "r_0123456789ab"
    short = replace(original, content=(Text(f'[120 lines left out; id "{handle}"]'),))
    gone = replace(
        request_, messages=(*request_.messages[:2], Message("user", (short,)), *request_.messages[3:])
    )
    found = Reader(Made(gone, {RESTORE: restorer({handle: original.text})})).find(needle)
    assert (found.verdict, found.handles, len(found.rounds)) == ("restored", (handle,), 1)
    # The engine names the handles that there are when it is asked for one that there is not.
    other = Reader(Made(gone, {RESTORE: restorer({"r_ffffffffffff": original.text})})).find(needle)
    assert other.handles == (handle, "r_ffffffffffff")
    assert Reader(Made(gone)).find(needle).verdict == "lost"
    # A handle that the model cannot see helps nobody.
    unseen = replace(short, content=(Text("[left out]"),))
    blind = replace(gone, messages=(*gone.messages[:2], Message("user", (unseen,)), *gone.messages[3:]))
    assert Reader(Made(blind, {RESTORE: restorer({handle: original.text})})).find(needle).verdict == "lost"


def test_a_tool_with_its_parameter_must_be_within_reach(request_: Request) -> None:
    needle = Needle(question="How long?", facts=("Sleep", "seconds"), source="Sleep", turn=-1)
    tool = Tool("Sleep", "Waits.", {"properties": {"seconds": {"type": "number"}}})
    assert Reader(Made(replace(request_, tools=(tool,)))).find(needle).verdict == "present"
    assert Reader(Made(request_)).find(needle).verdict == "lost"


def test_needles_come_from_lines_that_stand_out() -> None:
    messages = conversation(1).messages
    chosen = choose(messages, "seed", ())
    assert chosen == choose(messages, "seed", ())
    assert len(chosen) >= 2
    said = messages[2].content[0]
    assert isinstance(said, ToolResult)
    for needle in chosen:
        assert any(holds(line, needle.facts) for line in said.text.split("\n"))
        assert needle.facts[0] in needle.question or needle.path


def test_cost_of_two_turns_by_hand() -> None:
    one = ((b"a", 2000), (b"b", 500))
    two = (*one, (b"c", 100))
    assert cost.session([[one], [two]], cost.anthropic) == pytest.approx(
        2500 * 1.25 + 2500 * 0.1 + 100 * 1.25
    )
    assert cost.session([[one], [two]], cost.openai) == pytest.approx(2500 + 2432 * 0.1 + 168)
    other = ((b"x", 1900), (b"b", 500), (b"c", 100))
    assert cost.session([[one], [other]], cost.anthropic) == pytest.approx(2500 * 1.25 * 2)


def test_a_prefix_that_is_rewritten_costs_more_than_it_saves() -> None:
    """The figure that matters: clearing old results makes prompts smaller and bills larger."""
    cleared = evaluate(OldResultsCleared(1), [conversation(12)])[0]
    assert cleared.sent_after < cleared.sent_before
    assert cleared.breaks > 0
    assert cleared.verdicts["lost"] == 1
    assert cleared.anthropic is not None
    direct = evaluate(Nothing(), [conversation(12)])[0]
    assert direct.anthropic is not None
    assert direct.anthropic.ratio == 1
    assert (direct.breaks, direct.faults, direct.verdicts["present"], direct.unstable) == (0, [], 1, 0)


def test_a_truncation_loses_and_parts_pairs() -> None:
    outcome = evaluate(LastTurns(4), [conversation()])[0]
    assert outcome.verdicts["lost"] == 1
    assert "calls and results do not fit" in outcome.faults


def test_a_subject_that_is_not_determined_is_seen() -> None:
    class Moody(Subject):
        name = "moody"
        number = 0

        def make(self, request: Request) -> Made:
            self.number += 1
            return Made(replace(request, system=(Text(f"{self.number}"),)))

    assert evaluate(Moody(), [conversation(2)])[0].unstable == 1


def test_markers_of_caches_move_without_changing_the_row() -> None:
    session = conversation(2)
    first, second = list(requests_of(session))[:2]
    assert row_of(second)[: len(row_of(first))] == row_of(first)
    assert total(row_of(second)) > total(row_of(first))


@pytest.mark.parametrize("split", ["tune", "test"])
def test_the_data_keeps_its_promises(split: str) -> None:
    """At least 30 in each split, 14 to 60 tools, some of 60 turns; every needle is in what was sent."""
    sessions = load("tune" if split == "tune" else "test")
    assert len(sessions) >= 30
    assert max(sum(message.role == "assistant" for message in one.messages) for one in sessions) >= 60
    assert {one.shape for one in sessions} == {"claude_code", "codex", "openhands"}
    for one in sessions:
        assert 14 <= len(one.toolset) <= 60
        reader = Reader(Made(request_of(one, len(one.messages))))
        assert all(reader.find(needle).verdict == "present" for needle in one.needles)
        assert violations(*(request_of(one, len(one.messages)),) * 2) == []
