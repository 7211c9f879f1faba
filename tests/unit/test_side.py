"""Requests that harnesses make on the side are told from what people ask."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from lynkr_desktop.engine.routing.side import side_request
from lynkr_desktop.engine.wire.canonical import (
    Message,
    Request,
    ResponseFormat,
    Text,
    Tool,
    ToolChoice,
    ToolResult,
    ToolUse,
)
from lynkr_desktop.protocol.tiers import Tier

AGENT = (
    "You are an interactive agent that helps people with their code. Use the tools to do what they ask. " * 80
)
TOOLS = tuple(Tool(name) for name in ("Read", "Edit", "Bash"))


def request(*said: str, system: str = "", tools: tuple[Tool, ...] = (), **more: Any) -> Request:
    turns = tuple(
        Message("user" if number % 2 == 0 else "assistant", (Text(text),)) for number, text in enumerate(said)
    )
    return Request("m", turns, system=(Text(system),) if system else (), tools=tools, **more)


def schema(*names: str) -> ResponseFormat:
    properties = {name: {"type": "string"} for name in names}
    return ResponseFormat("json_schema", {"type": "object", "properties": properties})


@pytest.mark.parametrize(
    ("kind", "made"),
    [
        ("probe", request("quota", max_tokens=1)),
        ("probe", request("hi", max_tokens=8)),
        ("title", request("<session>\nfix the race in pool.py\n</session>", response_format=schema("title"))),
        (
            "title",
            request(
                "prove that the lock-free queue is linearizable",
                system="Produce a concise title, three to seven words, for a coding session. "
                "Return JSON with the field title and nothing else.",
            ),
        ),
        (
            "title",
            request("x", system="You are a title generator. You write only a thread title.", max_tokens=40),
        ),
        (
            "title",
            request(
                "Generate a title of at most 50 characters for a chat that starts with:\n\n"
                "rewrite the scheduler"
            ),
        ),
        (
            "title",
            request("### Task:\nGenerate a 3-5 word title of the chat history. Only JSON.\n<chat_history>…"),
        ),
        (
            "topic",
            request(
                "why does the build hang?",
                system="Decide whether this message begins a new topic. Answer with JSON only.",
            ),
        ),
        (
            "suggestion",
            request(
                "add a test",
                "Done.",
                "[SUGGESTION MODE: what would the person type?] Reply with the suggestion only.",
                system=AGENT,
                tools=TOOLS,
            ),
        ),
        (
            "autocomplete",
            request(
                "refactor the auth mod",
                system="Complete the line that is being typed at the cursor. Only its rest.",
                max_tokens=32,
            ),
        ),
        (
            "extraction",
            request(
                "Command: git diff\nOutput: …",
                system="Extract any file paths that this command reads. Only the paths.",
            ),
        ),
        (
            "commit",
            request(
                "diff --git a/x b/x …",
                system="Review the diff and write a commit message for it. Reply with only it.",
            ),
        ),
        (
            "compaction",
            request(
                "fix the bug",
                "Fixed.",
                "Your task is to create a detailed summary of the conversation so far.",
                system=AGENT,
                tools=TOOLS,
            ),
        ),
        (
            "compaction",
            request(
                "<EVENT>…</EVENT>",
                system="You are maintaining a state summary of a session. Only keep what matters.",
            ),
        ),
    ],
)
def test_side_requests_are_recognised(kind: str, made: Request) -> None:
    side = side_request(made)
    assert side is not None
    assert side.kind == kind
    assert side.tier is (Tier.MEDIUM if kind == "compaction" else Tier.SIMPLE)


@pytest.mark.parametrize(
    "text",
    [
        "Generate a title for every page of the site from its first heading, only in src/pages.",
        "Summarize the conversation module for me in one line.",
        "Write a commit message for what I staged, only the subject.",
        "Suggest a better name for this branch.",
        "The title generator in title.py returns an empty string. Fix it.",
        "Implement autocomplete of the input line in the search box.",
        "Predict the next message in chat.py: why is it always empty?",
        "hi",
        "Recap in one line what src/pool.py does.",
        "Extract all file paths from the log and list only those that do not exist.",
    ],
)
def test_what_a_person_asks_of_an_agent_is_no_side_request(text: str) -> None:
    assert side_request(request(text, system=AGENT, tools=TOOLS)) is None
    assert side_request(request("hello", "Hi.", text, system=AGENT, tools=TOOLS)) is None


@pytest.mark.parametrize(
    "text",
    [
        "Write a title for the settings page.",
        "What makes a good commit message?",
        "How do I add autocomplete to an input?",
        "Summarize the rules of three-way merges.",
        "Give me a haiku with only 17 syllables about this bug.",
    ],
)
@pytest.mark.parametrize("system", ["", "You are a helpful assistant. Keep answers short."])
def test_what_a_person_asks_in_a_chat_is_no_side_request(text: str, system: str) -> None:
    assert side_request(request(text, system=system)) is None


def test_a_turn_of_tool_results_is_never_one() -> None:
    results = Message("user", (ToolResult("t", (Text("Generate a title for this conversation"),)),))
    called = Message("assistant", (ToolUse("t", "Read", {}),))
    assert side_request(Request("m", (called, results), tools=TOOLS)) is None


def test_an_empty_request_is_none() -> None:
    assert side_request(Request("m", ())) is None
    assert side_request(Request("m", (Message("user", ()),), tool_choice=ToolChoice("named", "x"))) is None


@pytest.mark.parametrize(
    ("system", "ask", "room"),
    [
        (
            "Turn the request into a slug for a folder: at most five words.",
            "Prove that it cannot deadlock",
            None,
        ),
        ("Pick one emoji for the message, nothing more.", "the migration lost data again", None),
        ("Gib einen Titel mit höchstens 40 Zeichen aus.", "Warum hängt der Server unter Last?", None),
        ("会話の短いタイトルを15文字以内で出力してください。", "デッドロックの原因を調べて", None),
        ("", "Design a consensus protocol for five nodes", 20),
        (
            "",
            "### Task: Suggest follow-ups.\n### Output: JSON\n<chat_history>USER: prove it</chat_history>",
            None,
        ),
    ],
)
def test_what_wants_a_few_words_needs_no_strong_model(system: str, ask: str, room: int | None) -> None:
    request = Request(
        "auto-route",
        (Message("user", (Text(ask),)),),
        system=(Text(system),) if system else (),
        max_tokens=room,
    )
    found = side_request(request)
    assert found is not None
    assert found.tier is Tier.SIMPLE
    armed = replace(request, tools=(Tool("Bash"), Tool("Edit")))
    assert side_request(armed) is None, "with tools a person may ask the same of an agent"


def test_a_long_answer_under_a_system_prompt_of_its_own_is_no_side_request() -> None:
    system = "You are a patient tutor for distributed systems. Explain step by step, with examples."
    asked = Message("user", (Text("Prove that two generals cannot agree over a lossy channel."),))
    assert side_request(Request("auto-route", (asked,), system=(Text(system),), max_tokens=4_000)) is None
