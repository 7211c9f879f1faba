"""A conversation that outgrows its window: what stays, what can be had back, how seldom its prefix moves."""

from __future__ import annotations

import os
import random
import re
import time
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from lynkr_desktop.engine.optimization import tokens
from lynkr_desktop.engine.optimization.pipeline import Pipeline
from lynkr_desktop.engine.optimization.stage import PATH, Scene
from lynkr_desktop.engine.optimization.window import WindowStage
from lynkr_desktop.engine.wire.canonical import (
    Image,
    Message,
    Request,
    Role,
    Text,
    Thinking,
    Tool,
    ToolResult,
    ToolUse,
)

TOOL = Tool("Read", "Reads a file.", {"type": "object", "properties": {"path": {"type": "string"}}})


def scene(window: int | None, *, restorable: bool = True) -> Scene:
    return Scene(count=tokens.count, restorable=restorable, window=window, seconds=60)


def words(seed: int, lines: int) -> str:
    rng = random.Random(seed)
    vocabulary = ["value", "result", "index", "parser", "token", "cache", "window", "route", "stage", "model"]
    return "\n".join(f"{seed}:{n} " + " ".join(rng.choices(vocabulary, k=9)) for n in range(lines))


def session(rounds: int, *, lines: int = 40, asks_every: int = 6) -> list[Message]:
    """A long session of an agent: asks, calls with results, and what the model says in between."""
    messages: list[Message] = []
    for number in range(rounds):
        if number % asks_every == 0:
            if messages:
                messages.append(Message("assistant", (Text(f"Done with part {number}."),)))
            messages.append(Message("user", (Text(f"Please change module_{number}.py, step {number}."),)))
        call = ToolUse(f"call_{number}", "Read", {"path": f"src/module_{number}.py"})
        said = (Thinking(f"thought {number}", f"sig{number}"), Text(f"I look at module {number}."), call)
        messages.append(Message("assistant", said))
        messages.append(Message("user", (ToolResult(call.id, (Text(words(number, lines)),)),)))
    return messages


def request(messages: list[Message] | tuple[Message, ...]) -> Request:
    return Request("m", tuple(messages), (Text("You are an agent."),), (TOOL,), max_tokens=1_000)


def size(told: Request) -> int:
    return tokens.of_request(told) + 1_000


def texts(messages: tuple[Message, ...]) -> list[str]:
    found: list[str] = []
    for message in messages:
        for block in message.content:
            if isinstance(block, Text | Thinking):
                found.append(block.text)
            elif isinstance(block, ToolResult):
                found += [part.text for part in block.content if isinstance(part, Text)]
            elif isinstance(block, ToolUse):
                found += [str(value) for value in block.input.values()]
    return found


def assert_sound(before: Request, after: Request, told: Scene) -> None:
    """Every law that holds whatever the conversation is."""
    assert after.system == before.system
    assert after.tools == before.tools
    # The pipeline's own check of pairs, alternation and the last words.
    again = Pipeline([_Gives(after)]).run(before)
    assert not again.receipts[0].skipped, again.receipts[0].did
    # Each text is there, or stands in an original.
    left = set(texts(after.messages))
    whole = "\n".join(texts(after.messages))
    for text in texts(before.messages):
        held = text in left or any(text in original for original in told.originals.values())
        assert held or f"{text}\n[" in whole  # with a line behind it that tells of turns
    # Each original is named where it is missing.
    assert all(handle in whole for handle in told.originals)


@dataclass
class _Gives(WindowStage):
    request: Request

    def apply(self, request: Request, scene: Scene) -> Request:
        return self.request


# ---------------------------------------------------------------- what stays, what goes


def test_what_fits_is_not_touched() -> None:
    told = request(session(10))
    assert WindowStage().apply(told, scene(200_000)) is told
    assert WindowStage().apply(told, scene(None)) is told


def test_a_long_session_fits_and_keeps_what_must_stay() -> None:
    told = request(session(80))
    assert size(told) > 40_000
    here = scene(16_000)
    after = WindowStage().apply(told, here)
    assert size(after) <= 16_000
    assert_sound(told, after, here)
    for number in range(0, 80, 6):
        assert any(f"step {number}." in text for text in texts(after.messages)), number
    # The newest turns are whole.
    assert after.messages[-4:] == told.messages[-4:]
    assert here.did == [here.did[0]]


def test_what_is_relevant_to_the_ask_outlives_what_is_not() -> None:
    messages = session(60, asks_every=1_000)
    messages[0] = Message("user", (Text("Make parse_header of src/module_7.py faster."),))
    messages[16] = Message("user", (ToolResult("call_7", (Text("def parse_header():\n" + words(7, 40)),)),))
    after = WindowStage().apply(request(messages), scene(20_000))
    results = [b for m in after.messages for b in m.content if isinstance(b, ToolResult)]
    whole = [result.tool_use_id for result in results if PATH not in result.text]
    assert "call_7" in whole
    assert "call_8" not in whole


def test_signed_thoughts_stay_as_they_are_or_go_with_their_turn() -> None:
    told = request(session(120, lines=25))
    here = scene(12_000)
    after = WindowStage().apply(told, here)
    assert all(message in told.messages for message in after.messages if message.role == "assistant")
    assert len(after.messages) < len(told.messages)
    assert_sound(told, after, here)


def test_one_result_larger_than_the_window_keeps_its_ends_and_its_errors() -> None:
    lines = [f"line {n} of the log, nothing to see" for n in range(20_000)]
    lines[9_000] = "ERROR: the disk is full"
    messages = session(1)[:2]
    messages.append(Message("user", (ToolResult("call_0", (Text("\n".join(lines)),)),)))
    here = scene(8_000)
    after = WindowStage().apply(request(messages), here)
    text = texts(after.messages)[-1]
    assert size(after) <= 8_000
    assert text.startswith("line 0 of")
    assert text.endswith(lines[-1])
    assert "line 9001: ERROR: the disk is full" in text
    assert_sound(request(messages), after, here)


def test_images_are_never_left_out() -> None:
    messages = session(60)
    picture = Image(media_type="image/png", data="aGk=")
    messages[6] = Message("user", (ToolResult("call_2", (Text(words(2, 40)), picture)),))
    after = WindowStage().apply(request(messages), scene(12_000))
    parts = [p for m in after.messages for b in m.content if isinstance(b, ToolResult) for p in b.content]
    assert picture in parts


def test_asks_are_shortened_last_of_all() -> None:
    asks = [
        Message("user", (Text(f"Ask {n}: {words(n, 120)}"),))
        if n % 2 == 0
        else Message("assistant", (Text("Yes."),))
        for n in range(21)
    ]
    here = scene(12_000)
    after = WindowStage().apply(request(asks), here)
    assert size(after) <= 12_000
    assert after.messages[-1] == asks[-1]
    assert all(text.startswith(("Ask", "Yes")) for text in texts(after.messages))
    assert_sound(request(asks), after, here)


def test_nothing_goes_that_could_not_be_had_back() -> None:
    told = request(session(80))
    assert WindowStage().apply(told, scene(16_000, restorable=False)) is told


def test_what_stands_above_word_for_word_is_told_in_a_line() -> None:
    messages = session(30)
    same = words(99, 80)
    for number in (3, 11, 19):
        old = messages[2 * number + 2 + 2 * (number // 6)]
        assert isinstance(old.content[0], ToolResult)
        messages[messages.index(old)] = Message("user", (replace(old.content[0], content=(Text(same),)),))
    told = request(messages)
    here = scene(12_000, restorable=False)
    after = WindowStage().apply(told, here)
    assert not here.originals
    assert "\n".join(texts(after.messages)).count(same) == 1
    lines = [text for text in texts(after.messages) if text.startswith("[the same 80 lines")]
    assert len(lines) == 2
    assert "module_3.py" in lines[0]
    assert Pipeline([_Gives(after)]).run(told).receipts[0].skipped is False


def test_instructions_before_the_first_answer_outlive_results() -> None:
    """Some harnesses send theirs as the first turns of the user."""
    rules = f"# AGENTS.md instructions for /repo\n\n<INSTRUCTIONS>\n{words(500, 60)}\n</INSTRUCTIONS>"
    messages = [Message("user", (Text(rules), Text("<environment_context>\n</environment_context>")))]
    messages += session(60)
    after = WindowStage().apply(request(messages), scene(12_000))
    assert after.messages[0].content[0] == Text(rules)
    assert "step 0." in texts(after.messages)[2]


def test_results_that_are_given_as_text_go_like_others() -> None:
    messages = [Message("user", (Text("Please fix parser.py."),))]
    for number in range(60):
        messages.append(Message("assistant", (Text(f"<function=execute_bash>run {number}</function>"),)))
        messages.append(Message("user", (Text(f"EXECUTION RESULT of [execute_bash]:\n{words(number, 40)}"),)))
    here = scene(12_000)
    after = WindowStage().apply(request(messages), here)
    assert size(after) <= 12_000
    assert after.messages[0].content[0] == messages[0].content[0]
    assert after.messages[-2:] == tuple(messages[-2:])
    assert_sound(request(messages), after, here)


def test_many_small_turns_go_as_a_run() -> None:
    """Each takes fewer tokens than the line that stands for it."""
    messages = [Message("user", (Text("Please count to the end."),))]
    for number in range(400):
        call = ToolUse(f"c{number}", "next", {"n": number})
        messages.append(Message("assistant", (call,)))
        messages.append(Message("user", (ToolResult(call.id, (Text(f"{number} is the next"),)),)))
    here = scene(6_000)
    after = WindowStage().apply(request(messages), here)
    assert size(after) <= 6_000
    assert len(here.originals) == 1
    assert_sound(request(messages), after, here)


# ---------------------------------------------------------------- over many turns


def requests_of(messages: list[Message]) -> list[Request]:
    """The requests that a client sends while a conversation grows."""
    return [request(messages[: end + 1]) for end, message in enumerate(messages) if message.role == "user"]


@pytest.mark.parametrize("asks_every", [3, 6, 1_000])
def test_the_prefix_moves_only_at_cuts(asks_every: int) -> None:
    sent = [
        WindowStage().apply(told, scene(20_000))
        for told in requests_of(session(150, lines=30, asks_every=asks_every))
    ]
    assert all(size(after) <= 20_000 for after in sent)
    moves = sum(later.messages[: len(one.messages)] != one.messages for one, later in pairwise(sent))
    # 150 rounds of about 450 tokens; each cut makes room for about fifteen of them.
    assert 0 < moves <= 14


def test_it_is_the_same_each_time_and_again() -> None:
    for told in requests_of(session(70))[-12:]:
        after = WindowStage().apply(told, scene(16_000))
        assert WindowStage().apply(told, scene(16_000)) == after
        assert WindowStage().apply(after, scene(16_000)) is after


# ---------------------------------------------------------------- what tells of turns that went


def shell(number: int, command: str, output: str, *, error: bool = False) -> list[Message]:
    call = ToolUse(f"call_{number}", "Bash", {"command": command, "description": "Looks."})
    said = ToolResult(call.id, (Text(output),), error)
    return [Message("assistant", (call,)), Message("user", (said,))]


def marks(messages: tuple[Message, ...]) -> list[str]:
    found = [text for text in texts(messages) if "turns that followed left out" in text]
    return [line for text in found for line in text.split("\n")]


def test_it_is_told_which_lines_hold_the_files_commands_and_errors_of_turns_that_went() -> None:
    failure = f"{words(7, 60)}\nFAILED tests/test_shop.py::test_total - assert 4 == 5\n1 failed in 0.2s"
    messages = [Message("user", (Text("Make the shop's total right."),))]
    messages += shell(900, "ls /repo/shop", words(1, 40))
    messages += shell(901, "python -m pytest tests/test_shop.py", failure, error=True)
    for number in range(40):
        call = ToolUse(f"c{number}", "Read", {"file_path": f"/repo/shop/part_{number}.py", "offset": 7})
        messages.append(Message("assistant", (call,)))
        messages.append(Message("user", (ToolResult(call.id, (Text(words(number, 40)),)),)))
    here = scene(12_000)
    after = WindowStage().apply(request(messages), here)
    assert size(after) <= 12_000
    told = marks(after.messages)
    assert any("pytest tests/test_shop.py ! FAILED tests/test_shop.py" in line for line in told)
    places = [re.fullmatch(r"(\d+)-(\d+) part_(\d+)\.py 7", line) for line in told]
    listed = [place for place in places if place is not None]
    assert len(listed) > 5
    for place in listed:
        first, last, number = map(int, place.groups())
        parts = ["\n".join(text.split("\n")[first - 1 : last]) for text in here.originals.values()]
        assert f"## result of c{number}\n{words(number, 40)}" in parts


@pytest.mark.parametrize("window", [4_000, 12_000, 40_000])
def test_telling_of_many_calls_takes_a_small_part_of_the_window(window: int) -> None:
    messages = [Message("user", (Text("Please look at everything."),))]
    for number in range(1_500):
        messages += shell(number, f"grep -rn 'symbol_{number}_of_many' src tests docs", f"none of {number}")
    here = scene(window)
    after = WindowStage().apply(request(messages), here)
    assert size(after) <= window
    told = "\n".join(marks(after.messages))
    assert tokens.count(told) < 0.1 * window + 100
    if window > 4_000:
        assert told.count("grep -rn 'symb") > 20
    assert_sound(request(messages), after, here)


@pytest.mark.parametrize("asks_every", [4, 20, 1_000])
def test_nothing_is_put_beside_the_newest_words_of_a_person(asks_every: int) -> None:
    """Not even where they stand far above, for what stands beside them passes for theirs."""
    for told in requests_of(session(90, asks_every=asks_every)):
        after = WindowStage().apply(told, scene(12_000))
        assert words_of(after.messages) == words_of(told.messages)


def words_of(messages: tuple[Message, ...]) -> list[str]:
    """What stands beside results in the newest turn of the user that has such."""
    for message in reversed(messages):
        found = [block.text for block in message.content if isinstance(block, Text)]
        if message.role == "user" and found:
            return found
    return []


# ---------------------------------------------------------------- any shape


ids = st.sampled_from(["a", "b", "c", "d"])
lines_of = st.integers(0, 60)
blocks = st.one_of(
    st.builds(lambda n, lines: Text(words(n, lines) if lines else ""), st.integers(0, 50), lines_of),
    st.builds(lambda n: Text(f"<system-reminder>{words(n, 30)}</system-reminder>"), st.integers(0, 50)),
    st.builds(lambda n: Text(f"please do thing_{n}"), st.integers(0, 9)),
    st.builds(lambda n: Thinking(words(n, 5), "sig"), st.integers(0, 50)),
    st.builds(lambda i, n: ToolUse(i, "Read", {"path": f"f{n}.py"}), ids, st.integers(0, 9)),
    st.builds(
        lambda i, n, lines, error: ToolResult(i, (Text(words(n, lines)),), error),
        ids,
        st.integers(0, 50),
        lines_of,
        st.booleans(),
    ),
    st.just(Image(media_type="image/png", data="aGk=")),
)
roles: st.SearchStrategy[Role] = st.sampled_from(["user", "assistant"])
odd = st.lists(st.builds(lambda r, b: Message(r, tuple(b)), roles, st.lists(blocks, max_size=4)), max_size=24)


@st.composite
def proper(draw: st.DrawFn) -> list[Message]:
    """Conversations whose turns alternate and whose calls are answered, sometimes with words beside them."""
    messages: list[Message] = []
    for number in range(draw(st.integers(1, 24))):
        messages.append(Message("user", (Text(f"Do part {number}, please."),))) if not messages else None
        calls = [
            ToolUse(f"c{number}_{n}", "Read", {"path": f"{number}.py"})
            for n in range(draw(st.integers(0, 3)))
        ]
        messages.append(Message("assistant", (Text(f"Part {number}."), *calls)))
        results = [ToolResult(call.id, (Text(words(number, draw(lines_of))),)) for call in calls]
        said = (Text(f"And part {number}, please."),) if not calls or draw(st.booleans()) else ()
        messages.append(Message("user", (*results, *said)))
    return messages


slow = settings(
    max_examples=int(os.environ.get("LYNKR_EXAMPLES", "150")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@slow
@given(odd, st.sampled_from([0, 1, 600, 1_500, 4_000, 9_000]), st.booleans())
def test_hostile_shapes_harm_nothing(messages: list[Message], window: int, restorable: bool) -> None:
    told, here = request(messages), scene(window, restorable=restorable)
    after = WindowStage().apply(told, here)
    if restorable:
        assert_sound(told, after, here)
    else:
        assert not here.originals


@slow
@given(proper(), st.sampled_from([2_500, 4_000, 9_000]))
def test_proper_conversations_fit_and_stay_sound(messages: list[Message], window: int) -> None:
    told, here = request(messages), scene(window)
    after = WindowStage().apply(told, here)
    assert_sound(told, after, here)
    fixed = tokens.of_request(replace(told, messages=()))
    if window == 9_000:
        assert size(after) <= window, fixed
        again = WindowStage().apply(after, scene(window))
        assert again is after


@slow
@given(proper(), st.sampled_from([3_000, 5_000]))
def test_any_growing_conversation_keeps_its_prefix(messages: list[Message], window: int) -> None:
    sent = [WindowStage().apply(told, scene(window)) for told in requests_of(messages)]
    whole = sum(map(sum, (map(tokens.of_block, m.content) for m in messages)))
    moves = sum(later.messages[: len(one.messages)] != one.messages for one, later in pairwise(sent))
    assert moves <= 2 + whole // 400


# ---------------------------------------------------------------- time


def test_one_enormous_result_takes_no_time() -> None:
    text = "\n".join(f"line {number} with nothing to see" for number in range(200_000))
    told = request([*session(1)[:2], Message("user", (ToolResult("call_0", (Text(text),)),))])
    tokens.of_request(told)
    began = time.thread_time()
    assert size(WindowStage().apply(told, scene(8_000))) <= 8_000
    assert time.thread_time() - began < 0.5


@pytest.mark.parametrize(
    ("rounds", "lines", "window"), [(300, 40, 200_000), (300, 40, 32_000), (1_500, 8, 32_000)]
)
def test_it_is_quick(rounds: int, lines: int, window: int) -> None:
    told = request(session(rounds, lines=lines))
    tokens.of_request(told)  # the pipeline has counted before
    WindowStage().apply(told, scene(window))
    began = time.thread_time()
    WindowStage().apply(told, scene(window))
    # About a hundredth of a second; far too long is the fault itself.
    assert time.thread_time() - began < 0.5
