"""A large set of tools is listed, described and called by three; the client gets its own real calls."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from benchmarks.fidelity.tool_costs import session_cost
from benchmarks.fidelity.tool_sets import Situation, judge, situations
from lynkr_desktop.engine.optimization.meta_tools import MetaToolsStage
from lynkr_desktop.engine.optimization.pipeline import Pipeline
from lynkr_desktop.engine.optimization.stage import Inner, Stage
from lynkr_desktop.engine.optimization.tool_selection import ToolSelectionStage
from lynkr_desktop.engine.optimization.tool_sets import CALL, DESCRIBE, LIST, MORE_TOOLS
from lynkr_desktop.engine.wire.canonical import Json, Message, Tool, ToolChoice
from tests.support.tool_sets import (
    ASK,
    OWN,
    SERVED,
    TOOLS,
    as_client_has_it,
    asking,
    call,
    calls_of,
    conversations,
    names,
    said,
    scene,
    size,
    tool,
    wild_arguments,
    wild_tools,
)

STAGE = MetaToolsStage()


def answer(name: str, arguments: Json, tools: tuple[Tool, ...] = TOOLS) -> Inner:
    """What the engine answers to a call of one of the three."""
    seen = scene()
    STAGE.apply(asking(tools=tools), seen)
    return seen.inner[name][1](arguments)


def test_three_tools_stand_for_those_of_the_servers() -> None:
    seen = scene()
    request = asking()
    changed = STAGE.apply(request, seen)
    assert changed.tools == OWN
    assert list(seen.inner) == [LIST, DESCRIBE, CALL]
    assert seen.did == [f"put 3 tools in place of {len(SERVED)} of {len(TOOLS)}"]
    assert size(changed, seen) < size(request) / 3


def test_the_names_stand_in_the_description_so_that_no_list_is_needed() -> None:
    seen = scene()
    STAGE.apply(asking(), seen)
    description = seen.inner[LIST][0].description
    for each in SERVED:
        prefix, name = each.name[: each.name.rindex("__") + 2], each.name.rsplit("__", 1)[1]
        assert prefix in description
        assert name in description


@pytest.mark.parametrize("choice", [ToolChoice("required"), ToolChoice("named", "Bash"), ToolChoice("none")])
def test_nothing_happens_where_the_client_says_what_to_call(choice: ToolChoice) -> None:
    request = asking(tool_choice=choice)
    assert STAGE.apply(request, scene()) is request


@pytest.mark.parametrize("tools", [TOOLS[:25], OWN * 6, tuple(Tool(f"mcp__a__{n}") for n in range(30))])
def test_few_or_small_tools_are_left_alone(tools: tuple[Tool, ...]) -> None:
    request = asking(tools=tools)
    assert STAGE.apply(request, scene()) is request


def test_tools_whose_calls_another_cannot_stand_for_stay() -> None:
    strict = Tool("mcp__bank__pay", "Pays.", {"type": "object"}, {"strict": True})
    custom = Tool("mcp__bank__grammar", "Takes text.", {}, {"format": {"type": "grammar"}})
    changed = STAGE.apply(asking(tools=(*TOOLS, strict, custom)), scene())
    assert changed.tools == (*OWN, strict, custom)


def test_a_list_has_one_line_per_tool_and_can_be_narrowed() -> None:
    everything = answer(LIST, {}).text.splitlines()
    assert len(everything) == len(SERVED)
    assert everything[0].startswith(
        "mcp__tracker__create_ticket(subject*, body*, limit, cursor, language): Does what"
    )
    of_music = answer(LIST, {"server": "music"}).text.splitlines()
    assert len(of_music) == 8
    assert answer(LIST, {"query": "invoice"}).text.startswith("mcp__billing__")
    nothing = answer(LIST, {"query": "xyzzy"}).text
    assert nothing.startswith("No tool fits. There are:")
    assert "pollen_levels" in nothing


def test_a_description_is_whole() -> None:
    text = answer(DESCRIBE, {"names": ["mcp__mail__send_mail", "tide_tables", "mcp__mail__sned"]}).text
    assert "Does what mcp__mail__send_mail says" in text
    assert '"required":["subject","body"]' in text
    assert "mcp__weather__tide_tables:" in text, "one name is enough where only one server has it"
    assert "There is no tool 'mcp__mail__sned'. Similar names: mcp__mail__" in text
    assert "must be a list" in answer(DESCRIBE, {"names": 3}).text


def test_a_call_becomes_the_real_one() -> None:
    arguments = {"subject": "s", "body": "b", "limit": 3}
    assert answer(CALL, {"name": "mcp__mail__send_mail", "arguments": arguments}).call == (
        "mcp__mail__send_mail",
        arguments,
    )
    assert answer(CALL, {"name": "send_mail", "arguments": '{"subject": "s", "body": "b"}'}).call == (
        "mcp__mail__send_mail",
        {"subject": "s", "body": "b"},
    )
    assert answer(CALL, {"name": "Bash", "arguments": {"command": "ls"}}).call == ("Bash", {"command": "ls"})


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"name": "mcp__mail__send_mail", "arguments": {"subject": "s"}}, "body must be given"),
        ({"name": "mcp__mail__send_mail", "arguments": [1]}, "must be an object"),
        ({"name": "mcp__mail__send_mail", "arguments": "subject"}, "must be an object"),
        ({"name": "mcp__mail__send_mail"}, "body, subject must be given"),
        ({"name": "mcp__mail__sendmails", "arguments": {}}, "There is no tool"),
        ({"name": 3, "arguments": {}}, 'The argument "name"'),
        ({}, 'The argument "name"'),
        ({"raw": "{broken"}, 'The argument "name"'),
    ],
)
def test_a_wrong_call_is_explained_so_that_the_model_tries_again(arguments: Json, told: str) -> None:
    found = answer(CALL, arguments)
    assert found.call is None
    assert told in found.text


def test_a_name_that_two_servers_have_must_be_whole() -> None:
    twice = (*TOOLS, tool("mcp__post__send_mail", "", "subject"))
    assert answer(CALL, {"name": "send_mail", "arguments": {"subject": "s"}}, twice).call is None
    called = answer(CALL, {"name": "mcp__post__send_mail", "arguments": {"subject": "s"}}, twice).call
    assert called == ("mcp__post__send_mail", {"subject": "s"})


@settings(max_examples=60, deadline=None)
@given(wild_arguments)
def test_any_arguments_are_answered(arguments: Json) -> None:
    for name in (LIST, DESCRIBE, CALL):
        told = answer(name, arguments)
        assert told.text or told.call is not None


def test_in_all_situations_what_is_needed_is_offered_or_found() -> None:
    outcomes = [judge(situation, [STAGE]) for situation in situations()]
    assert [one.lost for one in outcomes if one.lost] == []
    assert sum(one.after for one in outcomes) <= 0.3 * sum(one.before for one in outcomes)


@pytest.mark.parametrize("situation", situations())
def test_a_session_never_costs_more(situation: Situation) -> None:
    assert session_cost(situation, [STAGE], 12) <= session_cost(situation, [], 12)


# ---------------------------------------------------------------- laws


@settings(max_examples=60, deadline=None)
@given(conversations())
def test_the_list_is_the_same_in_each_turn_and_never_larger(grown: list[tuple[Message, ...]]) -> None:
    before: tuple[Tool, ...] = ()
    for messages in grown:
        request = asking(*messages)
        seen = scene()
        changed = STAGE.apply(request, seen)
        assert changed == MetaToolsStage().apply(request, scene())
        assert changed.tools[: len(before)] == before
        assert changed.system == request.system
        assert as_client_has_it(changed) == request.messages
        offered = {tool.name for tool in changed.tools} | seen.inner.keys()
        assert {block.name for block in calls_of(changed)} <= offered
        assert size(changed, seen) <= size(request)
        before = changed.tools


def test_the_list_is_the_same_in_each_turn_and_what_was_called_can_be_called_again() -> None:
    first, later = scene(), scene()
    before = STAGE.apply(asking(), first)
    after = STAGE.apply(
        asking(said(ASK), *call("mcp__mail__send_mail"), *call("mcp__music__next_song", 1)), later
    )
    assert after.tools == before.tools
    assert [tool for tool, _ in first.inner.values()] == [tool for tool, _ in later.inner.values()]
    arguments = {"subject": "s", "body": "b"}
    again = later.inner[CALL][1]({"name": "mcp__mail__send_mail", "arguments": arguments})
    assert again.call == ("mcp__mail__send_mail", arguments)


@settings(max_examples=60, deadline=None)
@given(conversations())
def test_in_either_order_the_two_stages_keep_the_laws(grown: list[tuple[Message, ...]]) -> None:
    orders: tuple[list[Stage], ...] = ([ToolSelectionStage(), STAGE], [STAGE, ToolSelectionStage()])
    for stages in orders:
        before: tuple[Tool, ...] = ()
        for messages in grown:
            request = asking(*messages)
            seen = scene()
            changed = request
            for stage in stages:
                changed = stage.apply(changed, seen)
            assert changed.tools[: len(before)] == before
            assert size(changed, seen) <= size(request)
            assert not {MORE_TOOLS, LIST} <= seen.inner.keys(), "one way to a tool, not two"
            before = changed.tools


@settings(max_examples=80, deadline=None)
@given(wild_tools, wild_arguments)
def test_wild_tools_never_break_it(tools: tuple[Tool, ...], arguments: Json) -> None:
    request = asking(said(ASK), *call("mcp__mail__send_mail"), tools=(*tools, *TOOLS))
    seen = scene()
    changed = STAGE.apply(request, seen)
    assert size(changed, seen) <= size(request)
    for _, answers in seen.inner.values():
        told = answers(arguments)
        assert told.text or told.call is not None
    for each in tools:
        if seen.inner:
            assert seen.inner[DESCRIBE][1]({"names": [each.name]}).text


def test_ten_thousand_tools() -> None:
    tools = (*OWN, *(tool(f"mcp__s{n % 900}__do_{n}_thing", "", "subject") for n in range(10_000)))
    seen = scene()
    changed = STAGE.apply(asking(tools=tools), seen)
    assert changed.tools == OWN
    assert len(seen.inner[LIST][0].description) < 4_000
    assert len(seen.inner[LIST][1]({}).text) < 25_000
    assert "mcp__s7__do_7_thing" in seen.inner[LIST][1]({"query": "do_7_thing"}).text
    assert seen.inner[CALL][1]({"name": "do_7_thing", "arguments": {"subject": "x"}}).call is not None


def test_the_pipeline_offers_the_three_behind_the_clients_tools() -> None:
    optimized = Pipeline([MetaToolsStage()], seconds=30).run(asking())
    assert names(optimized.request)[: len(OWN) + 3] == [*(tool.name for tool in OWN), LIST, DESCRIBE, CALL]
    assert {LIST, DESCRIBE, CALL} <= optimized.inner.keys()
    assert not optimized.receipts[0].skipped
