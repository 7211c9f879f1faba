"""Responses as clients speak it: what Codex and SDKs send is understood, what they get fits their types."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from lynkr_desktop.engine.wire.canonical import (
    BlockStarted,
    BlockStopped,
    Event,
    Failed,
    Image,
    RedactedThinking,
    Reply,
    Request,
    Started,
    Stopped,
    StopReason,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ToolChoice,
    ToolInputDelta,
    ToolResult,
    ToolUse,
    Usage,
)
from lynkr_desktop.engine.wire.errors import InvalidRequest, WireError
from lynkr_desktop.engine.wire.openai_chat import OpenAIChatUpstream
from lynkr_desktop.engine.wire.openai_responses import ResponsesClient

CLIENT = ResponsesClient()
CODEX = json.loads((Path(__file__).parents[1] / "fixtures" / "codex_requests.json").read_text("utf-8"))
EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
CITY = {"type": "object", "properties": {"city": {"type": "string"}}}
FREEFORM = {"type": "custom", "name": "apply_patch", "description": "Edits files."}


def decode(**fields: Any) -> Request:
    return CLIENT.decode_request(json.dumps({"model": "m", "input": "hi", **fields}).encode())


def decode_items(*items: dict[str, Any], **fields: Any) -> Request:
    return decode(input=list(items), **fields)


def say(text: str, role: str = "user") -> dict[str, Any]:
    return {"role": role, "content": text}


def stream(*events: Event, request: Request | None = None) -> list[dict[str, Any]]:
    """What the events are to a client; each fits the SDK's types, and their numbers rise from 0 by one."""
    encoder = CLIENT.stream_encoder(request or decode())
    raw = b"".join(encoder.encode(event) for event in (Started("", "m"), *events)).decode()
    bodies = []
    for block in raw.split("\n\n")[:-1]:
        head, data = block.split("\n")
        body = json.loads(data.removeprefix("data: "))
        assert head == f"event: {body['type']}"
        EVENT.validate_python(body)
        bodies.append(body)
    assert [body["sequence_number"] for body in bodies] == list(range(len(bodies)))
    return bodies


def block(index: int, opened: Any, *deltas: Event) -> list[Event]:
    return [BlockStarted(index, opened), *deltas, BlockStopped(index)]


def stop(reason: StopReason = "end_turn") -> Stopped:
    return Stopped(reason, Usage(input_tokens=10, cached_tokens=4, output_tokens=3, reasoning_tokens=2))


def kinds(bodies: list[dict[str, Any]]) -> list[str]:
    return [body["type"].removeprefix("response.") for body in bodies]


# ---------------------------------------------------------------- requests in


def test_a_string_is_the_user() -> None:
    request = decode(instructions="be brief", max_output_tokens=50, temperature=0.5, top_p=0.9, user="u")
    assert request.system == (Text("be brief"),)
    assert [(turn.role, turn.text) for turn in request.messages] == [("user", "hi")]
    assert (request.max_tokens, request.temperature, request.top_p, request.user) == (50, 0.5, 0.9, "u")
    assert request.extra == {}
    assert request.inexpressible == ()


def test_a_whole_agent_conversation_is_understood() -> None:
    request = decode_items(
        {"type": "message", "role": "system", "content": "rules"},
        {"role": "developer", "content": [{"type": "input_text", "text": "more rules"}]},
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "look"},
                {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "auto"},
                {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "high"},
                {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,BBBB"},
            ],
        },
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "I think."}]},
        {
            "type": "message",
            "id": "msg_1",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "I look.", "annotations": [], "logprobs": []}],
        },
        {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "ls", "arguments": '{"p": "."}'},
        {"type": "function_call", "call_id": "c2", "name": "ls", "arguments": "not json"},
        {"type": "function_call_output", "call_id": "c1", "output": "a.py"},
        {
            "type": "function_call_output",
            "call_id": "c2",
            "output": [
                {"type": "input_text", "text": "seen"},
                {"type": "input_image", "image_url": "data:image/png;base64,CCCC"},
            ],
        },
        {"role": "user", "content": "and now?"},
        {"role": "developer", "content": "hurry"},
        instructions="first rules",
    )
    assert request.system_text == "first rules\n\nrules\n\nmore rules"
    user, assistant, answers = request.messages
    assert [type(part).__name__ for part in user.content] == ["Text", "Image", "Image", "Document"]
    assert user.content[1] == Image(media_type="image/png", data="AAAA")
    assert user.content[2] == Image(url="https://example.com/a.png", extra={"detail": "high"})
    assert assistant.content == (
        Thinking("I think."),
        Text("I look."),
        ToolUse("c1", "ls", {"p": "."}),
        ToolUse("c2", "ls", {"raw": "not json"}),
    )
    assert answers.content == (
        ToolResult("c1", (Text("a.py"),)),
        ToolResult("c2", (Text("seen"), Image(media_type="image/png", data="CCCC"))),
        Text("and now?"),
        Text("hurry"),
    )
    assert request.inexpressible == ()
    assert request.extra == {}


@pytest.mark.parametrize(
    ("choice", "wanted"),
    [
        ("auto", ToolChoice("auto")),
        ("none", ToolChoice("none")),
        ("required", ToolChoice("required")),
        ({"type": "function", "name": "f"}, ToolChoice("named", "f")),
        ({"type": "custom", "name": "apply_patch"}, ToolChoice("named", "apply_patch")),
        ({"type": "local_shell"}, ToolChoice("named", "local_shell")),
    ],
)
def test_tool_choice(choice: Any, wanted: ToolChoice) -> None:
    tools = [{"type": "function", "name": "f", "parameters": CITY}, FREEFORM, {"type": "local_shell"}]
    request = decode(tools=tools, tool_choice=choice)
    assert request.tool_choice == wanted
    assert [tool.name for tool in request.tools] == ["f", "apply_patch", "local_shell"]


def test_allowed_tools_are_the_only_ones() -> None:
    tools = [{"type": "function", "name": name, "parameters": CITY} for name in ("f", "g")] + [FREEFORM]
    allowed = [{"type": "function", "name": "g"}, {"type": "custom", "name": "apply_patch"}]
    choice = {"type": "allowed_tools", "mode": "required", "tools": allowed}
    request = decode(tools=tools, tool_choice=choice, parallel_tool_calls=False)
    assert request.tool_choice == ToolChoice("required", parallel=False)
    assert [tool.name for tool in request.tools] == ["g", "apply_patch"]


def test_structured_output_reasoning_and_verbosity() -> None:
    wanted = {"type": "json_schema", "name": "answer", "schema": CITY, "strict": True}
    request = decode(
        text={"format": wanted, "verbosity": "low"}, reasoning={"effort": "high", "summary": "auto"}
    )
    assert request.response_format is not None
    assert request.response_format.schema == CITY
    assert request.response_format.strict is True
    assert request.reasoning is not None
    assert (request.reasoning.enabled, request.reasoning.effort) == (True, "high")
    assert request.extra == {"verbosity": "low"}
    off = decode(reasoning={"effort": "none"}, text={"format": {"type": "json_object"}})
    assert off.reasoning is not None
    assert off.reasoning.enabled is False
    assert off.response_format is not None
    assert off.response_format.kind == "json_object"
    assert decode(reasoning={"summary": "auto"}, text={"format": {"type": "text"}}).reasoning is None


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"background": True}, "background"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"include": ["message.output_text.logprobs"]}, "include (message.output_text.logprobs)"),
        ({"tools": [{"type": "file_search", "vector_store_ids": ["vs"]}]}, "tools[0].type (file_search)"),
        ({"tools": [{"type": "mcp", "server_label": "s"}]}, "tools[0].type (mcp)"),
        ({"tool_choice": {"type": "code_interpreter"}}, "tool_choice (code_interpreter)"),
        ({"tool_choice": {"type": "function", "name": "f"}}, "tool_choice (f is not among tools)"),
        (
            {"input": [{"role": "system", "content": [{"type": "input_image", "image_url": "https://x"}]}]},
            "input[0].content (of system, beside text)",
        ),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0].type (item_reference)"),
        ({"input": [{"type": "compaction", "encrypted_content": "x"}]}, "input[0].type (compaction)"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "file_1"}]}]},
            "input[0].content[0].file_id",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]},
            "input[0].content[0].type (input_audio)",
        ),
    ],
)
def test_what_nobody_else_can_do_is_named(fields: dict[str, Any], named: str) -> None:
    assert decode(**fields).inexpressible == (named,)


def test_hints_are_named_as_dropped_and_what_is_so_anyway_is_not() -> None:
    request = decode(
        store=False,
        truncation="disabled",
        background=False,
        include=["reasoning.encrypted_content"],
        service_tier="auto",
        stream_options={"include_obfuscation": False},
        prompt_cache_key="k",
        client_metadata={"a": 1},
        reasoning={"effort": "low", "context": "all_turns"},
        tools=[{"type": "web_search"}, {"type": "image_generation"}],
        new_field_of_tomorrow=1,
    )
    assert request.inexpressible == ()
    dropped = (
        "client_metadata",
        "new_field_of_tomorrow",
        "reasoning.context",
        "tools.image_generation",
        "tools.web_search",
    )
    openai, other = OpenAIChatUpstream("max_completion_tokens"), OpenAIChatUpstream()
    assert openai.dropped(request) == dropped
    assert json.loads(openai.encode_request(request, "m"))["prompt_cache_key"] == "k"
    # Servers of others refuse what they do not know.
    assert other.dropped(request) == tuple(sorted((*dropped, "prompt_cache_key")))
    assert "prompt_cache_key" not in json.loads(other.encode_request(request, "m"))
    named = decode(metadata={"k": "v"})
    assert openai.dropped(named) == ("metadata",)
    assert json.loads(openai.encode_request(decode(metadata={"k": "v"}, store=True), "m"))["metadata"]
    stored = decode(store=True, truncation="auto", service_tier="priority")
    assert set(stored.extra) == {"store", "truncation", "service_tier"}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": 3}, "input"),
        ({"input": ["hi"]}, "input[0]"),
        ({"model": ""}, "model"),
        ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role"),
        ({"input": [{"type": "function_call", "call_id": "c", "arguments": "{}"}]}, "input[0].name"),
        ({"input": [{"role": "user", "content": [{"text": "x"}]}]}, "input[0].content[0].type"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
            "input[0].content[0].image_url",
        ),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [{"name": "f"}]}, "tools[0].type"),
        ({"tool_choice": 3}, "tool_choice"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"temperature": "hot"}, "temperature"),
        ({"stream": "yes"}, "stream"),
        ({"text": {"format": {"type": "yaml"}}}, "text.format.type"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        decode(**fields)
    assert refused.value.param == param


# ---------------------------------------------------------------- what Codex has


def test_codex_with_an_unknown_model_has_its_tools_in_namespaces() -> None:
    request = CLIENT.decode_request(json.dumps(CODEX["unknown model"]).encode())
    names = [tool.name for tool in request.tools]
    assert names[0] == "exec_command"
    assert "multi_agent_v1__close_agent" in names
    assert request.inexpressible == ()
    assert OpenAIChatUpstream("max_completion_tokens").dropped(request) == (
        "client_metadata",
        "tools.web_search",
    )
    call = ToolUse("c1", "multi_agent_v1__close_agent", {"target": "a"})
    reply = Reply("", "m", (call,), "tool_use", Usage())
    [item] = json.loads(CLIENT.encode_reply(reply, request))["output"]
    assert (item["type"], item["namespace"], item["name"]) == (
        "function_call",
        "multi_agent_v1",
        "close_agent",
    )


def test_codex_with_a_known_model_edits_by_a_freeform_tool() -> None:
    request = CLIENT.decode_request(json.dumps(CODEX["gpt-5.5"]).encode())
    tools = {tool.name: tool for tool in request.tools}
    assert tools["apply_patch"].input_schema["required"] == ["input"]
    assert "begin_patch: " in tools["apply_patch"].description
    assert tools["tool_search"].input_schema["required"] == ["query"]
    *_, called, answered = request.messages
    [call] = called.content
    assert isinstance(call, ToolUse)
    assert call.name == "apply_patch"
    assert call.input["input"].startswith("*** Begin Patch\n")
    assert isinstance(answered.content[0], ToolResult)
    assert answered.content[0].tool_use_id == call.id


def test_codex_with_its_newest_models_has_its_tools_among_the_items() -> None:
    request = CLIENT.decode_request(json.dumps(CODEX["gpt-6.1-sol"]).encode())
    names = [tool.name for tool in request.tools]
    assert {"exec", "clock__sleep"} <= set(names)
    call = block(0, ToolUse("c", "exec", {}), ToolInputDelta(0, '{"input": "1"}'))
    [item] = stream(*call, stop("tool_use"), request=request)[-1]["response"]["output"]
    assert (item["type"], item["namespace"], item["name"]) == ("custom_tool_call", "functions", "exec")


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
def test_a_freeform_call_streams_its_text_as_it_arrives(size: int) -> None:
    patch = '*** Begin Patch\n+ä "quoted" \\ tab\t 😀 \u2028\n*** End Patch\n'
    arguments = json.dumps({"input": patch})
    deltas = [ToolInputDelta(0, arguments[at : at + size]) for at in range(0, len(arguments), size)]
    call = ToolUse("c1", "apply_patch", {})
    made = stream(*block(0, call, *deltas), stop("tool_use"), request=decode(tools=[FREEFORM]))
    told = [body["delta"] for body in made if body["type"] == "response.custom_tool_call_input.delta"]
    assert "".join(told) == patch
    assert size > 5 or len(told) > 3
    [done] = [body for body in made if body["type"] == "response.custom_tool_call_input.done"]
    assert done["input"] == patch
    [item] = made[-1]["response"]["output"]
    assert (item["type"], item["call_id"], item["input"]) == ("custom_tool_call", "c1", patch)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ('{"patch": "a"}', "a"),
        ('{ "input" : "a\\nb" }', "a\nb"),
        ("*** Begin Patch", "*** Begin Patch"),
        ('{"input": "cut o', "cut o"),
        ('{"input": "a\nb"}', '{"input": "a\nb"}'),
        ('{"input": {"x": 1}}', '{"input": {"x": 1}}'),
        ("", ""),
    ],
)
def test_a_freeform_call_of_a_model_that_writes_its_arguments_otherwise(arguments: str, text: str) -> None:
    events = block(0, ToolUse("c1", "apply_patch", {}), ToolInputDelta(0, arguments))
    made = stream(*events, stop("tool_use"), request=decode(tools=[FREEFORM]))
    told = [body["delta"] for body in made if body["type"] == "response.custom_tool_call_input.delta"]
    [item] = made[-1]["response"]["output"]
    assert item["input"] == "".join(told) == text


@pytest.mark.parametrize(
    ("tool", "arguments", "item"),
    [
        (
            {"type": "local_shell"},
            {"command": ["ls"], "timeout_ms": 5},
            {
                "type": "local_shell_call",
                "action": {"type": "exec", "env": {}, "command": ["ls"], "timeout_ms": 5},
            },
        ),
        (
            {"type": "shell", "environment": {"type": "local"}},
            {"commands": ["ls", "pwd"]},
            {"type": "shell_call", "action": {"commands": ["ls", "pwd"]}},
        ),
        (
            {"type": "apply_patch"},
            {"type": "update_file", "path": "a.py", "diff": "-a\n+b"},
            {
                "type": "apply_patch_call",
                "operation": {"type": "update_file", "path": "a.py", "diff": "-a\n+b"},
            },
        ),
        (
            {"type": "tool_search", "execution": "client"},
            {"query": "mail"},
            {"type": "tool_search_call", "execution": "client", "arguments": {"query": "mail"}},
        ),
    ],
)
def test_tools_that_openai_defined_and_the_client_runs(
    tool: dict[str, Any], arguments: dict[str, Any], item: dict[str, Any]
) -> None:
    request = decode(tools=[tool])
    [function] = request.tools
    assert function.name == tool["type"]
    assert set(function.input_schema["required"]) <= set(arguments)
    events = block(0, ToolUse("c1", function.name, {}), ToolInputDelta(0, json.dumps(arguments)))
    made = stream(*events, stop("tool_use"), request=request)
    [done] = made[-1]["response"]["output"]
    assert done.items() >= {"call_id": "c1", "status": "completed", **item}.items()
    back = decode_items(say("go"), done, tools=[tool])
    assert back.messages[-1].content == (ToolUse("c1", function.name, arguments),)


def test_what_the_clients_tools_answered() -> None:
    shell_output = [
        {"stdout": "out", "stderr": "err", "outcome": {"type": "exit", "exit_code": 1}},
        {"stdout": "", "stderr": "", "outcome": {"type": "timeout"}},
    ]
    found = {"type": "function", "name": "send_mail", "parameters": CITY}
    request = decode_items(
        say("go"),
        {"type": "local_shell_call_output", "id": "c1", "output": "a.py"},
        {"type": "shell_call_output", "call_id": "c2", "output": shell_output},
        {"type": "apply_patch_call_output", "call_id": "c3", "status": "failed", "output": "no such file"},
        {"type": "custom_tool_call_output", "call_id": "c4", "output": "done"},
        {"type": "tool_search_output", "call_id": "c5", "execution": "client", "tools": [found]},
        {"type": "web_search_call", "id": "ws_1", "status": "completed"},
    )
    assert request.messages[-1].content == (
        ToolResult("c1", (Text("a.py"),)),
        ToolResult("c2", (Text("out\nerr\nExit code: 1"), Text("It took too long and was ended."))),
        ToolResult("c3", (Text("no such file"),), is_error=True),
        ToolResult("c4", (Text("done"),)),
        ToolResult("c5", (Text("These tools can be called now: send_mail."),)),
    )
    assert [tool.name for tool in request.tools] == ["send_mail"]
    assert set(request.extra) == {"input.web_search_call"}


def test_names_of_tools_fit_every_provider() -> None:
    inner = [{"type": "function", "name": "n" * 60 + end, "parameters": CITY} for end in "ab"]
    mcp = {"type": "namespace", "name": "mcp__github__", "tools": [{"type": "function", "name": "list"}]}
    request = decode(tools=[{"type": "namespace", "name": "space", "description": "", "tools": inner}, mcp])
    names = [tool.name for tool in request.tools]
    assert names[2] == "mcp__github__list"
    assert len(set(names)) == 3
    assert max(map(len, names)) <= 64


# ---------------------------------------------------------------- answers out


def test_a_stream_of_everything() -> None:
    made = stream(
        *block(0, Thinking(""), ThinkingDelta(0, "I "), ThinkingDelta(0, "think")),
        *block(1, Text(""), TextDelta(1, "Hel"), TextDelta(1, "lo")),
        *block(2, ToolUse("c1", "f", {}), ToolInputDelta(2, '{"a"'), ToolInputDelta(2, ": 1}")),
        *block(3, ToolUse("c2", "g", {})),
        stop("tool_use"),
    )
    assert kinds(made) == [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    response = Response.model_validate(made[-1]["response"])
    assert response.output_text == "Hello"
    assert response.status == "completed"
    assert response.output == [
        Response.model_validate({**made[-1]["response"], "output": [body["item"]]}).output[0]
        for body in made
        if body["type"] == "response.output_item.done"
    ]
    assert len({item.id for item in response.output}) == 4
    assert [body["output_index"] for body in made if "output_index" in body] == [0] * 7 + [1] * 7 + [
        2
    ] * 5 + [3] * 4
    usage = made[-1]["response"]["usage"]
    assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == (10, 3, 13)
    assert usage["input_tokens_details"]["cached_tokens"] == 4
    assert usage["output_tokens_details"]["reasoning_tokens"] == 2


def test_text_is_sent_as_it_arrives() -> None:
    encoder = CLIENT.stream_encoder(decode())
    encoder.encode(Started("", "m"))
    encoder.encode(BlockStarted(0, Text("")))
    assert b'"delta":"Hel"' in encoder.encode(TextDelta(0, "Hel"))
    assert b'"delta":"lo"' in encoder.encode(TextDelta(0, "lo"))


@pytest.mark.parametrize(
    ("reason", "why"), [("max_tokens", "max_output_tokens"), ("refusal", "content_filter")]
)
def test_an_answer_that_was_cut_is_incomplete(reason: StopReason, why: str) -> None:
    call = ToolUse("c1", "f", {})
    made = stream(
        *block(0, Text(""), TextDelta(0, "whole")), *block(1, call, ToolInputDelta(1, '{"a')), stop(reason)
    )
    assert made[-1]["type"] == "response.incomplete"
    response = made[-1]["response"]
    assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": why})
    assert [item["status"] for item in response["output"]] == ["completed", "incomplete"]
    reply = Reply("", "m", (Text("whole"), Text("hal")), reason, Usage())
    whole = json.loads(CLIENT.encode_reply(reply, decode()))
    assert whole["incomplete_details"] == {"reason": why}
    assert [item["status"] for item in whole["output"]] == ["completed", "incomplete"]


def test_a_failure_is_told_in_both_ways_and_never_as_completed() -> None:
    made = stream(
        BlockStarted(0, Text("")), TextDelta(0, "half"), Failed("The model broke.", 429, "rate_limit")
    )
    assert kinds(made)[-2:] == ["error", "failed"]
    assert made[-2]["message"] == made[-2]["error"]["message"] == "The model broke."
    assert made[-2]["code"] == "rate_limit_exceeded"
    response = made[-1]["response"]
    assert (response["status"], response["error"]["code"]) == ("failed", "rate_limit_exceeded")
    assert response["id"] == made[0]["response"]["id"]
    alone = CLIENT.encode_stream_error(WireError("The model broke.")).decode()
    assert "event: error\n" in alone
    assert "event: response.failed\n" in alone


def test_empty_blocks_make_no_items() -> None:
    made = stream(
        *block(0, Thinking("")), *block(1, Text("")), *block(2, Text(""), TextDelta(2, "hi")), stop()
    )
    assert [item["type"] for item in made[-1]["response"]["output"]] == ["message"]
    assert made[-1]["response"]["output"][0]["content"][0]["text"] == "hi"


def test_what_a_vendor_signed_comes_back_to_it() -> None:
    reply = Reply(
        "", "m", (Thinking("why", "sig=="), RedactedThinking("hidden"), Text("so")), "end_turn", Usage()
    )
    whole = json.loads(CLIENT.encode_reply(reply, decode()))["output"]
    streamed = stream(
        *block(0, Thinking(""), ThinkingDelta(0, "why"), ThinkingDelta(0, "", "sig==")),
        *block(1, RedactedThinking("hidden")),
        *block(2, Text(""), TextDelta(2, "so")),
        stop(),
    )[-1]["response"]["output"]
    for output in (whole, streamed):
        request = decode_items(say("go"), *output)
        assert request.messages[1].content == (
            Thinking("why", "sig=="),
            RedactedThinking("hidden"),
            Text("so"),
        )
    foreign = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAAB"}
    request = decode_items(say("go"), foreign, say("so", "assistant"))
    assert request.messages[1].content == (Text("so"),)
    assert set(request.extra) == {"input.encrypted_content"}
    broken = {**foreign, "encrypted_content": "lynkr.1.!!!"}
    assert decode_items(say("go"), broken).inexpressible == ()


def test_the_response_repeats_the_settings() -> None:
    tools = [{"type": "function", "name": "f", "parameters": CITY, "strict": True}, {"type": "web_search"}]
    request = decode(
        instructions="be brief",
        tools=tools,
        tool_choice="required",
        temperature=0.5,
        max_output_tokens=20,
        metadata={"k": "v"},
        text={"verbosity": "low"},
        reasoning={"effort": "low"},
    )
    body = json.loads(
        CLIENT.encode_reply(Reply("chatcmpl-1", "m", (Text("hi"),), "end_turn", Usage()), request)
    )
    response = Response.model_validate(body)
    assert response.id.startswith("resp_")
    assert (response.instructions, response.tool_choice, response.temperature) == (
        "be brief",
        "required",
        0.5,
    )
    assert (response.max_output_tokens, response.metadata) == (20, {"k": "v"})
    assert body["tools"] == tools
    assert body["text"] == {"format": {"type": "text"}, "verbosity": "low"}
    assert body["reasoning"] == {"effort": "low", "summary": None}
    assert body["store"] is False


def test_errors_have_openais_shape() -> None:
    body = json.loads(CLIENT.encode_error(WireError("No.", status=404, kind="not_found"), "req_1"))
    assert body["error"]["message"] == "No."
    assert set(body["error"]) == {"message", "type", "param", "code"}


# ---------------------------------------------------------------- properties

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=10,
)
NAMES = st.sampled_from(
    ["type", "role", "content", "input", "tools", "name", "call_id", "output", "arguments", "summary", "text"]
)
KINDS = st.sampled_from(
    [
        "message",
        "function_call",
        "function_call_output",
        "custom_tool_call",
        "reasoning",
        "additional_tools",
        "tool_search_output",
        "shell_call",
        "shell_call_output",
        "local_shell_call",
        "namespace",
        "custom",
        "function",
        "input_image",
        "input_file",
        "input_text",
        "user",
        "assistant",
        "developer",
    ]
)
ODD = st.recursive(
    JSON | KINDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=15,
)


@given(ODD, st.lists(ODD, max_size=3), ODD, ODD)
def test_no_body_breaks_the_decoder(value: Any, tools: list[Any], choice: Any, text: Any) -> None:
    body = {"model": "m", "input": value, "tools": tools, "tool_choice": choice, "text": text}
    with contextlib.suppress(InvalidRequest):
        CLIENT.decode_request(json.dumps(body).encode())


@given(st.text(max_size=60), st.integers(1, 9), st.booleans())
def test_any_text_survives_a_freeform_call(text: str, size: int, ascii_only: bool) -> None:
    text = text.encode("utf-8", "replace").decode()
    arguments = json.dumps({"input": text}, ensure_ascii=ascii_only)
    deltas = [ToolInputDelta(0, arguments[at : at + size]) for at in range(0, len(arguments), size)]
    made = stream(
        *block(0, ToolUse("c", "apply_patch", {}), *deltas), stop(), request=decode(tools=[FREEFORM])
    )
    told = [body["delta"] for body in made if body["type"] == "response.custom_tool_call_input.delta"]
    assert "".join(told) == text
    assert made[-1]["response"]["output"][0]["input"] == text
