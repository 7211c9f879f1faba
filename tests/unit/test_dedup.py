"""The stage that leaves passages out which stand in the context already."""

from __future__ import annotations

import time

from hypothesis import given, settings
from hypothesis import strategies as st

from lynkr_desktop.engine.optimization import tokens
from lynkr_desktop.engine.optimization.dedup import DedupStage
from lynkr_desktop.engine.optimization.pipeline import Pipeline
from lynkr_desktop.engine.optimization.stage import Scene
from lynkr_desktop.engine.wire.canonical import Message, Request, Text, Tool, ToolResult, ToolUse

TOOLS = (Tool("read"), Tool("write"))
FILE = [f"    value_{number} = compute_{number}(settings['key_{number}'])" for number in range(60)]


def scene() -> Scene:
    return Scene(count=tokens.count, restorable=True)


def request(*messages: Message) -> Request:
    return Request(model="m", messages=messages, tools=TOOLS)


def person(text: str) -> Message:
    return Message("user", (Text(text),))


def read(number: int, text: str, *, error: bool = False) -> tuple[Message, Message]:
    call = ToolUse(f"call_{number}", "read", {"path": "a.py"})
    result = ToolResult(f"call_{number}", (Text(text),), is_error=error)
    return Message("assistant", (call,)), Message("user", (result,))


def result_of(made: Request, position: int = -1) -> str:
    block = made.messages[position].content[0]
    assert isinstance(block, ToolResult)
    return block.text


def test_a_file_that_a_person_pasted_is_not_said_again_when_it_is_read() -> None:
    pasted = "Look at this:\n" + "\n".join(FILE)
    changed = [*FILE[:30], "    value_30 = something_else()", *FILE[31:]]
    before = request(person(pasted), *read(1, "\n".join(changed)))
    stage = scene()
    made = DedupStage().apply(before, stage)
    text = result_of(made)
    assert "something_else()" in text
    assert "value_12" not in text
    assert "value_50" not in text
    assert made.messages[0] is before.messages[0]
    # Every passage is kept word for word under its handle.
    whole = text
    for handle, original in stage.originals.items():
        line = next(line for line in whole.split("\n") if handle in line)
        whole = whole.replace(line, original)
    assert whole == "\n".join(changed)


def test_what_the_model_wrote_itself_is_not_said_again_and_numbers_do_not_hide_it() -> None:
    write = ToolUse("call_0", "write", {"path": "a.py", "content": "\n".join(FILE)})
    done = Message("user", (ToolResult("call_0", (Text("ok"),)),))
    numbered = "\n".join(f"{number:>6}\t{line}" for number, line in enumerate(FILE, 1))
    made = DedupStage().apply(
        request(person("go"), Message("assistant", (write,)), done, *read(1, numbered)), scene()
    )
    assert "60 lines whose text stands above" in result_of(made)


def test_errors_short_results_and_numbers_that_are_the_result_stay() -> None:
    text = "\n".join(FILE)
    first = (person("go"), *read(1, text))
    error = request(*first, *read(2, text, error=True))
    assert DedupStage().apply(error, scene()) is error
    short = request(*first, *read(2, "\n".join(FILE[:5])))
    assert DedupStage().apply(short, scene()) is short
    hits = [f"{number * 3}:{line}" for number, line in enumerate(FILE)]
    moved = [f"{number * 3 + 7}:{line}" for number, line in enumerate(FILE)]
    grep = request(person("go"), *read(1, "\n".join(hits)), *read(2, "\n".join(moved)))
    assert DedupStage().apply(grep, scene()) is grep
    indented = request(*first, *read(2, "\n".join(f"    {line}" for line in FILE)))
    assert DedupStage().apply(indented, scene()) is indented


def test_where_nothing_can_be_restored_nothing_is_left_out() -> None:
    before = request(person("go"), *read(1, "\n".join(FILE)), *read(2, "\n".join(FILE)))
    assert DedupStage().apply(before, Scene(count=tokens.count)) is before


def test_it_goes_through_the_pipeline_and_says_what_it_did() -> None:
    before = request(person("go"), *read(1, "\n".join(FILE)), *read(2, "\n".join(FILE)))
    made = Pipeline([DedupStage()]).run(before)
    assert made.receipts[0].after < 0.6 * made.receipts[0].before
    assert made.receipts[0].did == ("one passage of 60 lines that stand above",)


LINES = st.sampled_from([*FILE[:12], "", "}", "x"])
TEXTS = st.lists(LINES, max_size=60).map("\n".join)


@settings(max_examples=150, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=6))
def test_turns_come_out_the_same_each_time_and_every_byte_can_be_had_back(texts: list[str]) -> None:
    messages = [person("go")]
    earlier: list[Message] = []
    for number, text in enumerate(texts):
        messages += read(number, text)
        stage = scene()
        made = DedupStage().apply(request(*messages), stage)
        assert list(made.messages[: len(earlier)]) == earlier
        earlier = list(made.messages)
        assert [message.role for message in earlier] == [message.role for message in messages]
        for before, after in zip(messages, earlier, strict=True):
            if not isinstance(before.content[0], ToolResult):
                assert after == before
                continue
            block = after.content[0]
            assert isinstance(block, ToolResult)
            whole = []
            for line in block.text.split("\n"):
                held = [stage.originals[handle] for handle in stage.originals if handle in line]
                whole.append(held[0] if held else line)
            assert "\n".join(whole) == before.content[0].text


def test_hostile_results_take_bounded_time() -> None:
    for text in ("a\n" * 500_000, "\n".join(FILE * 3_000), " " * 2_000_000, "1\t" * 500_000):
        began = time.thread_time()
        DedupStage().apply(request(person("go"), *read(1, text), *read(2, text)), scene())
        assert time.thread_time() - began < 20
