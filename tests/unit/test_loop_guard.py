"""The loop guard: told at the right action, by what agents really write, and never without cause."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.loops.cases import Case, Step, claude, codex, conversation, loops, openhands, read, work
from lynkr_desktop.engine.config.sessions import LoopGuardOptions
from lynkr_desktop.engine.resilience.actions import actions, marks, same_output, says_failure, turns
from lynkr_desktop.engine.resilience.loop_guard import Alarm, look
from lynkr_desktop.engine.wire.canonical import Message, RedactedThinking, Text, Thinking, ToolResult, ToolUse
from tests.support.clock import fair_time

LIMITS = LoopGuardOptions()
FAILED = [claude(f"make t{number}", 2, f"no rule {number}") for number in range(40)]


def told(steps: list[Step]) -> Alarm | None:
    return look(conversation(steps), LIMITS)


# ---------------------------------------------------------------- the labelled set


@pytest.mark.parametrize("case", loops(), ids=lambda case: case.name)
def test_loops_are_told_at_their_action(case: Case) -> None:
    before = look(conversation(case.steps[: case.at - 1]), LIMITS)
    now = look(conversation(case.steps[: case.at]), LIMITS)
    assert before is None
    assert now is not None
    assert now.cause == case.cause


@pytest.mark.parametrize("case", work(), ids=lambda case: case.name)
def test_work_is_left_alone(case: Case) -> None:
    for count in range(1, len(case.steps) + 1):
        assert look(conversation(case.steps[:count]), LIMITS) is None, count


# ---------------------------------------------------------------- properties

commands = st.sampled_from(["ls", "make", "cat a", "git status"])
steps = st.builds(
    lambda command, code, output: claude(command, code, output),
    commands,
    st.sampled_from([0, 0, 1, 2]),
    st.sampled_from(["", "x", "y\nz", "3 failed in 0.12s"]),
)


@given(st.lists(steps, max_size=40), st.integers(0, 30), st.integers(0, 20))
@settings(max_examples=200, deadline=None)
def test_what_was_before_the_tail_makes_no_difference(done: list[Step], cut: int, failed: int) -> None:
    """A harness that leaves out the beginning of a history neither makes nor hides an alarm of its end."""
    tail = [*done, read("a.py"), *FAILED[:failed]]
    whole, rest = conversation(tail), conversation(tail)
    compacted = [rest[0], *rest[1 + 2 * min(cut, len(done)) :]]
    assert look(whole, LIMITS) == look(compacted, LIMITS)


@given(st.lists(steps, min_size=1, max_size=30), st.text(max_size=30))
@settings(max_examples=200, deadline=None)
def test_thoughts_make_no_difference(done: list[Step], thought: str) -> None:
    plain = look(conversation(done), LIMITS)
    thinking = [
        Message(
            "assistant", (Thinking(thought + str(at)), RedactedThinking("x"), Text(thought), *message.content)
        )
        if message.role == "assistant"
        else message
        for at, message in enumerate(conversation(done))
    ]
    assert look(thinking, LIMITS) == plain


@given(st.lists(st.integers(0, 10_000), max_size=150, unique=True))
@settings(max_examples=50, deadline=None)
def test_other_actions_that_work_are_never_a_loop(numbers: list[int]) -> None:
    assert told([read(f"f{number}.py", f"{number}") for number in numbers]) is None


@given(st.integers(2, 30), st.integers(0, 40))
@settings(max_examples=60, deadline=None)
def test_the_alarm_comes_at_the_limit_and_stays(limit: int, count: int) -> None:
    options = LoopGuardOptions(failed_actions=max(3, limit))
    alarm = look(conversation(FAILED[:count]), options)
    assert (alarm is not None) == (count >= max(3, limit))


@given(st.lists(st.sampled_from(list("ab")), min_size=4, max_size=40))
@settings(max_examples=200, deadline=None)
def test_rows_of_two_actions_are_told_by_their_last_ones(names: list[str]) -> None:
    alarm = told([read(f"{name}.py") for name in names])
    same = len(set(names[-4:])) == 1
    pairs = names[-12:] in (["a", "b"] * 6, ["b", "a"] * 6)
    assert (alarm.cause if alarm else "") == ("same_action" if same else "alternating" if pairs else "")


def test_junk_is_no_loop_and_no_crash() -> None:
    for messages in (
        [],
        [Message("assistant", ())],
        [Message("user", (ToolResult("", (), True),) * 3)],
        [Message("user", (ToolResult("nobody", (Text("x" * 100_000),)),))] * 3,
        [Message("assistant", (ToolUse("a", "", {"a": {"b": [1] * 50}}),))] * 10,
    ):
        look(messages, LIMITS)
    orphans = [
        Message("user", (ToolResult(f"o{number}", (Text(f"Error: {number}"),), True),))
        for number in range(15)
    ]
    alarm = look(orphans, LIMITS)
    assert alarm is not None
    assert alarm.cause == "failed_actions"


# ---------------------------------------------------------------- what a person knows of


def test_what_a_person_knows_of_is_not_counted_again() -> None:
    known = frozenset(marks(conversation(FAILED[:15]), 32))
    assert look(conversation(FAILED[:15]), LIMITS, known) is None
    assert look(conversation(FAILED[:29]), LIMITS, known) is None
    alarm = look(conversation(FAILED[:30]), LIMITS, known)
    assert alarm is not None
    assert alarm.count == 15
    assert turns(conversation(FAILED[:30]), known) == 15


@pytest.mark.parametrize(
    ("text", "counts_anew"),
    [
        ("No, use npm instead", True),
        ("[Request interrupted by user for tool use]", True),
        ("<system-reminder>Your todo list is empty.</system-reminder>", False),
        ("Please continue working on the task on whatever approach you think is suitable.", False),
    ],
)
def test_only_persons_begin_anew(text: str, counts_anew: bool) -> None:
    done = [*FAILED[:10], FAILED[10]._replace(person=text), *FAILED[11:15]]
    assert (told(done) is None) == counts_anew


def test_a_summary_of_a_compacted_session_is_no_person() -> None:
    summary = "This session is being continued from a previous conversation that ran out of context. …"
    messages = [Message("user", (Text(summary),)), *conversation(FAILED[:15])[1:]]
    alarm = look(messages, LIMITS)
    assert alarm is not None


def test_tools_that_are_called_in_text() -> None:
    """Cline and others give results as words of the user."""
    messages = [Message("user", (Text("<task>Fix it</task>"),))]
    for number in range(15):
        messages.append(Message("assistant", (Text(f"<execute_command>make {number}</execute_command>"),)))
        head = f"[execute_command for 'make {number}'] Result:"
        messages.append(
            Message("user", (Text(f"{head}\nCommand executed.\nExit code: 2\nno rule {number}"),))
        )
    assert look(messages[:-1], LIMITS) is None
    alarm = look(messages, LIMITS)
    assert alarm is not None
    assert alarm.cause == "failed_actions"
    assert len(marks(messages, 32)) == 15
    assert look(messages, LIMITS, frozenset(marks(messages, 32))) is None


# ---------------------------------------------------------------- exit codes and outputs


@pytest.mark.parametrize(
    ("output", "failed"),
    [
        ("Exit code 1\nboom", True),
        ("Exit code: 0\nWall time: 0.4 seconds\nOutput:\nTraceback (most recent call last):", False),
        ('{"output":"boom","metadata":{"exit_code":1,"duration_seconds":0.1}}', True),
        ('{"output":"Exit code 1","metadata":{"exit_code":0,"duration_seconds":0.1}}', False),
        ("Chunk ID: 1f\nWall time: 0.05 seconds\nProcess exited with code 2\nOutput:\nboom", True),
        ("boom\n[The command completed with exit code 1.]", True),
        ("boom\n[Command finished with exit code 0]", False),
        ("Error: x\n[Current working directory: /w]\n[Command finished with exit code 0]", False),
        ("<returncode>1</returncode>\n<output>\n</output>", True),
        ("<returncode>0</returncode>\n<output>\nerror: no\n</output>", False),
        ("Command: make\nDirectory: /w\nOutput: x\nError: (none)\nExit Code: 2\nSignal: (none)", True),
        ("Command: make\nDirectory: /w\nOutput: x\nError: (none)\nExit Code: 0\nSignal: (none)", False),
        ("Command executed.\nExit code: 2\nno rule", True),
        ("<tool_use_error>File has not been read yet.</tool_use_error>", True),
        ("ERROR:\nInvalid `path` parameter: /x", True),
        ("Traceback (most recent call last):\n  File", True),
        ("bash: foo: command not found", True),
        ("ModuleNotFoundError: No module named 'x'", True),
        ('{"error": null, "rows": []}', False),
        ('{"error": "no such table"}', True),
        ("No files found", False),
        ("", False),
        ("3 errors were fixed", False),
        ("def error(message): ...", False),
        ("The exit code 1 means that no line matched, see the manual.\nThat is all.", False),
    ],
)
def test_how_actions_end(output: str, failed: bool) -> None:
    assert says_failure(output) == failed


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("1 failed in 0.12s", "1 failed in 3.40s", True),
        ("1 failed in 0.12s", "2 failed in 0.12s", False),
        ("at 2026-11-24T01:02:03Z x", "at 2026-11-25T11:12:13.5Z x", True),
        ("obj at 0x7f12ab", "obj at 0x7f99cd", True),
        ("/tmp/pytest-of-u/pytest-3/a", "/tmp/pytest-of-u/pytest-4/a", True),
        ("a.ts:12:30 error", "a.ts:14:30 error", False),
        ("a\nb", "a\nb\nc", False),
        ("out\n<system-reminder>one</system-reminder>", "out\n<system-reminder>two</system-reminder>", True),
        ("x\n[Command finished with exit code 0]", "x\n[Command finished with exit code 1]", False),
    ],
)
def test_which_outputs_are_the_same(one: str, other: str, same: bool) -> None:
    assert same_output(one, other) == same


def test_a_long_conversation_is_read_only_at_its_end() -> None:
    seen: list[int] = []

    class Watched(list[Message]):
        def __getitem__(self, at: int) -> Message:  # type: ignore[override]
            seen.append(at)
            return super().__getitem__(at)

    messages = Watched(conversation([read(f"f{number}.py", f"{number}") for number in range(5_000)]))
    found = actions(messages)
    assert next(found).arguments == {"file_path": "f4999.py"}
    assert len(seen) < 10
    seen.clear()
    look(messages, LoopGuardOptions(iterations=100_000))
    assert len(seen) < 30


def test_codex_and_openhands_fail_without_saying_so() -> None:
    mixed = [codex("a", 1, "x"), openhands("b", 1, "y"), claude("c", 1, "z")]
    assert all(action.failed for action in actions(conversation(mixed)))


def nested(depth: int) -> dict[str, object]:
    made: dict[str, object] = {}
    for _ in range(depth):
        made = {"a": made}
    return made


@pytest.mark.parametrize(
    "pair",
    [
        [Step("t", nested(20_000), "x")] * 2,
        [claude("tail " * 800, 0, "x")] * 2,
        [claude("sleep " * 700, 0, "x")] * 2,
        [claude("ls", 0, f"{number}:" * 2_000_000) for number in range(2)],
        [
            claude("ls", 0, "\n".join(f"{number} 12:34:5{at % 10} {at}" for at in range(20_000)))
            for number in range(2)
        ],
        [claude("ls", 0, f"{number}" + "1 s " * 500_000) for number in range(2)],
        [claude("ls", 1, f"{number}\n" + "Exit code\n" * 100_000) for number in range(2)],
        [claude("ls", 0, "Wall time: \n" * 100_000 + str(number)) for number in range(2)],
        [claude("ls", 0, "<status>" + " " * 1_000_000 + str(number)) for number in range(2)],
        [claude("ls", 0, "command exited " * 200_000 + str(number)) for number in range(2)],
    ],
    ids=lambda pair: f"{pair[0].tool} {len(pair[0].output)}",
)
def test_hostile_outputs_take_no_time(pair: list[Step]) -> None:
    """Far less than would hold up the engine; usual ones take microseconds."""
    messages = conversation(pair * 3)
    began = fair_time()
    look(messages, LIMITS)
    assert fair_time() - began < 0.25
