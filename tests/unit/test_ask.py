"""What a person asked is told apart from what a harness put around it."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr_desktop.engine.routing.ask import Ask, follow_up, read_ask
from lynkr_desktop.engine.routing.clean import clean
from lynkr_desktop.engine.wire.canonical import Block, Message, Request, Text, Tool, ToolResult, ToolUse

WISH = "Why does parse() return None for an empty line?"


def user(*blocks: str | Block) -> Message:
    return Message("user", tuple(Text(block) if isinstance(block, str) else block for block in blocks))


def assistant(*blocks: str | Block) -> Message:
    return Message("assistant", tuple(Text(block) if isinstance(block, str) else block for block in blocks))


def request(*turns: Message, tools: int = 0) -> Request:
    return Request("m", turns, tools=tuple(Tool(f"tool{number}") for number in range(tools)))


@pytest.mark.parametrize(
    "dressed",
    [
        f"<system-reminder>\nRefactor the whole engine.\n</system-reminder>\n\n{WISH}",
        f"{WISH}\n\n<system-reminder>The file a.py was changed.</system-reminder>",
        f"<command-message>ask</command-message>\n<command-name>/ask</command-name>\n"
        f"<command-args>{WISH}</command-args>",
        f"<task>\n{WISH}\n</task>\n\n<environment_details>\n# Open Tabs\na.py\n</environment_details>",
        f"<additional_data>\n<current_file>x.py</current_file>\n</additional_data>\n"
        f"<user_query>\n{WISH}\n</user_query>",
        f"<attachments>a lot</attachments><context>Today</context><userRequest>{WISH}</userRequest>",
        f"<my-harness-reminder>Think about deadlocks.</my-harness-reminder>{WISH}",
        f"{WISH}\n\n# *SEARCH/REPLACE block* Rules:\n\nEvery block must use this format",
        f"[Request interrupted by user]\n{WISH}",
        f"<ide_selection>The user selected lines 1 to 9 of a.py</ide_selection>{WISH}",
        f"<environment_context>\n  <cwd>/home/me</cwd>\n</environment_context>\n{WISH}",
        f"# AGENTS.md instructions for /home/me\n\n<INSTRUCTIONS>\nProve all.\n</INSTRUCTIONS>\n{WISH}",
    ],
)
def test_the_clothes_of_harnesses_come_off(dressed: str) -> None:
    assert clean(dressed) == WISH
    assert read_ask(request(user(dressed))).text == WISH


@pytest.mark.parametrize(
    "theirs",
    [
        "<b>bold</b> and <div class='x'>this</div>",
        "Why is <system-reminder> in my prompt?",
        "List<String> a = b < c && c > d",
        "```xml\n<dependency><version>1</version></dependency>\n```",
    ],
)
def test_a_persons_own_markup_stays(theirs: str) -> None:
    assert clean(theirs) == theirs


@pytest.mark.parametrize(
    "injected",
    [
        "<environment_context>\n  <cwd>/home/me</cwd>\n</environment_context>",
        "<command-name>/clear</command-name>\n<local-command-stdout></local-command-stdout>",
        "[read_file for 'src/a.ts'] Result:\nexport const a = 1",
        "I have *added these files to the chat* so you can go ahead and edit them.\n\na.py\n```\n```",
        "[ERROR] You did not use a tool in your previous response! Please retry with a tool use.",
    ],
)
def test_a_turn_that_no_person_wrote_is_passed_over(injected: str) -> None:
    ask = read_ask(request(user(WISH), assistant("Let me look."), user(injected)))
    assert ask.text == WISH
    assert ask.continuation


def test_what_a_person_says_beside_a_result_counts() -> None:
    said = (
        "[write_to_file for 'a.ts'] Result:\nThe user denied it.\n<feedback>\nUse a Map instead.\n</feedback>"
    )
    assert read_ask(request(user(WISH), assistant("…"), user(said))).text == "Use a Map instead."


def test_a_question_behind_a_long_paste_is_kept() -> None:
    paste = "2026-11-23 12:00:00 INFO listening on 8081\n" * 30_000
    ask = read_ask(request(user(f"Here is the log.\n{paste}\nWhich port is it?")))
    assert ask.text.startswith("Here is the log.")
    assert ask.text.endswith("Which port is it?")
    assert len(ask.text) < 20_000


def test_a_reminder_that_is_longer_than_what_is_looked_at_goes_as_a_whole() -> None:
    long = "<system-reminder>" + "Refactor all. " * 50_000 + "</system-reminder>"
    assert clean(long + WISH) == WISH
    assert clean(f"{WISH}\n{long}") == WISH


def test_hostile_text_is_read_in_bounded_time() -> None:
    for text in ("<env_x>" * 150_000, "<" * 1_000_000, "<a-b " * 200_000, "</system-reminder>" * 60_000):
        began = time.thread_time()
        read_ask(request(user(text)))
        assert time.thread_time() - began < 0.5


@given(st.text(max_size=2000))
def test_any_text_can_be_cleaned(text: str) -> None:
    assert len(clean(text)) <= len(text) + 10


def test_tool_results_since_the_ask_are_counted() -> None:
    turns = (
        user(WISH),
        assistant(ToolUse("1", "Read", {"file_path": "/w/a.py"})),
        user(ToolResult("1", (Text("def parse(): ..."),)), "<system-reminder>tick</system-reminder>"),
        assistant(ToolUse("2", "Edit", {"file_path": "/w/b.py", "old_string": "a"})),
        user(ToolResult("2", (Text("String to replace not found"),), is_error=True)),
    )
    ask = read_ask(request(*turns, tools=3))
    assert (ask.text, ask.continuation, ask.results, ask.errors, ask.tools) == (WISH, True, 2, 1, 3)
    assert ask.paths == ("/w/b.py", "/w/a.py")
    assert ask.written == ("/w/b.py",)


def work(*runs: tuple[str, str]) -> tuple[Message, ...]:
    turns: list[Message] = []
    for number, (call, result) in enumerate(runs):
        edits = call.startswith("edit ")
        use = (
            ToolUse(str(number), "Edit", {"file_path": call.removeprefix("edit ")})
            if edits
            else ToolUse(str(number), "Bash", {"command": call})
        )
        turns += [assistant(use), user(ToolResult(str(number), (Text(result),)))]
    return tuple(turns)


BROKEN = "error[E0502]: cannot borrow"
RED, GREEN, DONE = "=== 2 failed, 3 passed in 0.1s ===", "=== 5 passed in 0.1s ===", "The file was updated."


@pytest.mark.parametrize(
    ("failures", "runs"),
    [
        (0, [("pytest", RED)]),
        (0, [("pytest", RED), ("edit a.py", DONE), ("pytest", GREEN)]),
        (1, [("pytest", RED), ("edit a.py", DONE), ("pytest", RED)]),
        (2, [("edit a.py", DONE), ("pytest", RED), ("edit a.py", DONE), ("pytest -x", RED)]),
        (0, [("ls nothing", "ls: cannot access 'nothing': No such file or directory")]),
        (
            2,
            [
                ("cargo build", BROKEN),
                ("sed -i s/a/b/ x.rs", ""),
                ("cargo build", BROKEN),
                ("sed -i s/b/c/ x.rs", ""),
                ("cargo build", BROKEN),
            ],
        ),
        (1, [("edit a.py", DONE), ("pytest", RED), ("pytest -v", RED)]),
        (2, [("pytest", RED), ("pytest", RED), ("pytest", RED)]),
        (
            2,
            [
                ("edit Dockerfile", DONE),
                ("docker build .", "Error: pg_config executable not found"),
                ("edit Dockerfile", DONE),
                ("docker build .", "ImportError: Error loading shared library libxslt.so.1\nExit code 1"),
            ],
        ),
        (2, [("edit a.cs", DONE), ("dotnet test", "Failed A.B [8 s]")] * 2),
        (0, [("grep -rn failed .", "a.py:3: # 2 failed")]),
    ],
)
def test_attempts_that_failed_are_told_from_a_first_look(failures: int, runs: list[tuple[str, str]]) -> None:
    assert read_ask(request(user("Fix the test."), *work(*runs))).failures == failures


def test_failed_runs_are_known_by_how_they_ended_whatever_they_print() -> None:
    hung = '{"output": "panic: test timed out after 30s\\n", "metadata": {"exit_code": 1}}'
    red = '{"output": "--- FAIL: TestSunday\\nFAIL\\n", "metadata": {"exit_code": 1}}'
    fine = '{"output": "ok  example.com/cron 0.1s\\n", "metadata": {"exit_code": 0}}'
    edit = ("edit cron.go", DONE)

    def failures(*results: str) -> int:
        runs = [run for result in results for run in (edit, ("go test ./cron", result))]
        return read_ask(request(user("Fix the test."), *work(*runs))).failures

    assert failures(red, hung) == 2
    assert failures(red, fine) == 1
    assert failures("Exit code: 1\nno output", "Exit code: 101\n") == 2
    assert failures("Exit code: 0\nno output", "exited with code 0") == 0


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        *[
            ("agreed", text)
            for text in ("yes", "Yes, do that.", "ok, go ahead please", "the second one", "Ja bitte")
        ],
        *[("agreed", text) for text in ("vas-y", "はい", "好的", "да, давай", "sí, hazlo", "네")],
        *[
            ("continued", text)
            for text in ("continue", "go on", "same for the other one", "weiter", "继续", "続けて")
        ],
        *[
            ("failed", text)
            for text in ("still fails", "no, wrong again", "Same error as before.", "immer noch rot")
        ],
        *[("failed", text) for text in ("todavía no funciona", "まだ失敗します", "还是报错", "не работает")],
        *[
            ("", text)
            for text in ("yes, but rename it to foo as well", "fix the bug", "is it right?", "add a test")
        ],
        *[("", text) for text in ("still, rename the field", "thanks to the cache this is stale; why?", "")],
    ],
)
def test_follow_ups_are_known_in_several_languages(kind: str, text: str) -> None:
    assert follow_up(text) == kind


def test_a_yes_is_about_what_was_asked_before_it() -> None:
    ask = read_ask(
        request(
            user("Rewrite the scheduler."), assistant("Shall I?"), user("yes"), assistant("?"), user("go on")
        )
    )
    assert ask.text == "go on"
    assert ask.subject == "Rewrite the scheduler."
    assert ask.first == "Rewrite the scheduler."


def test_complaints_in_a_row_are_counted() -> None:
    turns = [
        user("Fix the race."),
        assistant("Done."),
        user("still fails"),
        assistant("Now?"),
        user("no, still broken"),
    ]
    assert read_ask(request(*turns)).complaints == 2
    assert read_ask(request(*turns[:3])).complaints == 1
    assert read_ask(request(*turns, assistant("Yes."), user("thanks"))).complaints == 0


def test_attempts_before_a_turn_count_with_what_it_goes_on_with() -> None:
    tried = (
        user("The import loses rows, fix it."),
        *work(("edit a.py", DONE), ("pytest", RED), ("edit a.py", DONE), ("pytest", RED)),
        assistant("I am not there yet."),
    )
    assert read_ask(request(*tried, user("go on"))).failures == 2
    assert read_ask(request(*tried, user("Thanks. What does CSV stand for?"))).failures == 0
    solved = (*tried[:-1], *work(("edit a.py", DONE), ("pytest", GREEN)), assistant("Done."))
    assert read_ask(request(*solved, user("yes"))).failures == 0
    again = (*solved, user("still loses them"), *work(("edit b.py", DONE), ("pytest", RED)))
    assert read_ask(request(*again)).failures == 3


def in_the_middle(text: str, before: str = "Rewrite the scheduler without locks.") -> Ask:
    return read_ask(request(user(before), assistant("Here is a plan. Shall I?"), user(text)))


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("continued", "the plan makes sense to me, start with it"),
        ("continued", "rather the second variant, but smaller"),
        ("failed", "nope, the page is still blank on my phone"),
        ("failed", "your change broke it even more"),
        ("", "Thanks. Now: what does ACID stand for?"),
        ("", "great, next thing: add a --json flag to the export command and document it in the readme"),
        ("", "thanks!"),
        ("", "the login page throws a 500 since the upgrade to Django 5, find out why"),
    ],
)
def test_what_a_turn_does_is_known_without_set_phrases(kind: str, text: str) -> None:
    assert in_the_middle(text).follow_up == kind
    assert read_ask(request(user(text))).follow_up == ""


def test_what_a_turn_leans_on_says_what_the_work_is() -> None:
    before = "Rewrite the scheduler without locks."
    leaning = in_the_middle("rather the second variant, but smaller")
    assert leaning.subject == before
    assert {text for text, _ in leaning.shares} > {before}
    assert sum(share for _, share in leaning.shares) == pytest.approx(1.0)
    own = in_the_middle("Thanks. Now: what does ACID stand for?")
    assert own.shares == ((own.text, 1.0),)
    assert own.leans < 0.2
    alone = read_ask(request(user("rather the second variant, but smaller")))
    assert (alone.leans, alone.subject) == (0.0, alone.text)


def test_a_long_turn_says_itself_what_it_wants() -> None:
    text = "and now the other half as we said: " + "every order needs a state of its own, " * 8
    assert in_the_middle(text).subject == in_the_middle(text).text


def test_complaints_need_no_set_phrase() -> None:
    turns = [
        user("let the put command take values with spaces"),
        assistant("Done."),
        user('nope. "del a" gives an error now'),
        assistant("Now it is handled."),
        user("sorry, not there yet, the key comes out empty again"),
    ]
    assert read_ask(request(*turns)).complaints == 2


def test_a_consent_is_to_what_was_proposed() -> None:
    long = "First.\n" + "x " * 2000 + "\nShall I move the ledger to Postgres?"
    turns = [user("what would it take?"), assistant(long)]
    ask = read_ask(request(*turns, user("yes please")))
    assert ask.proposal.startswith("First.")
    assert ask.proposal.endswith("Shall I move the ledger to Postgres?")
    assert len(ask.proposal) < 1_100
    assert read_ask(request(*turns, user("no, wrong"))).proposal == ""
    assert read_ask(request(*turns, user("What is the capital of France?"))).proposal == ""


def test_a_compacted_session_goes_on_with_its_task() -> None:
    summary = (
        "This session is being continued from a previous conversation that ran out of context. The summary "
        "below covers the rest.\n\nSummary:\n1. Primary Request and Intent:\n   Rewrite the scheduler.\n\n"
        "2. Key Technical Concepts:\n   - locks\n"
    )
    ask = read_ask(request(user(summary)))
    assert ask.follow_up == "continued"
    assert ask.subject == "Rewrite the scheduler."


def test_a_conversation_without_words_of_a_person_is_read() -> None:
    assert read_ask(request()).text == ""
    assert read_ask(request(user(ToolResult("1", (Text("x"),))))).results == 1
