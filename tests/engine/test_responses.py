"""OpenAI Responses through the engine: untouched to servers that have it, translated to all others."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.support.clients import Ask, Function, OpenAIResponses, Picture, user
from tests.support.engine import ONE_TRY, Running, config_for, engine_in_process
from tests.support.fakes.anthropic import AnthropicFake
from tests.support.fakes.base import OUTPUT_TOKENS, PROMPT_TOKENS
from tests.support.fakes.openai import OpenAIFake
from tests.support.script import (
    Call,
    Die,
    End,
    ErrorLine,
    Hold,
    Raw,
    Reply,
    Say,
    Stall,
    Think,
    failure,
    text,
    tool_call,
)

CLIENT = OpenAIResponses()
PATH = "/v1/responses"
CODEX = json.loads((Path(__file__).parents[1] / "fixtures" / "codex_requests.json").read_text("utf-8"))
BOTH_WAYS = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[OpenAIFake]:
    async with OpenAIFake() as fake:
        yield fake


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(server: OpenAIFake, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """`native` has Responses, `chat` is asked by Chat Completions, `hopeful` is said to have Responses."""
    url = f"{server.url}/v1"
    config = config_for(url, **ONE_TRY)
    config["providers"] = {
        "native": {"kind": "openai", "base_url": url, "stall_timeout": 0.3, "models": ["named"]},
        "chat": {"kind": "openai_compatible", "base_url": url, "stall_timeout": 0.3},
        "hopeful": {"kind": "openai_compatible", "base_url": url, "responses": True},
        "only_chat": {"kind": "openai", "base_url": url, "responses": False},
    }
    config["routing"]["tiers"] = {"simple": {"providers": ["native/m"], "max_complexity": 1.0}}
    async with engine_in_process(tmp_path_factory.mktemp("home"), config) as running:
        yield running


@pytest.fixture
def fake(server: OpenAIFake) -> OpenAIFake:
    server.forget()
    server.responses = True
    return server


async def post(engine: Running, body: Any, **headers: str) -> tuple[aiohttp.ClientResponse, bytes]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with engine.http.post(engine.url + PATH, data=data, headers=headers) as response:
        return response, await response.read()


def asked(model: str = "native/m", **fields: Any) -> dict[str, Any]:
    return {"model": model, "input": "hi", **fields}


# ---------------------------------------------------------------- untouched


@BOTH_WAYS
async def test_bytes_go_both_ways_untouched(engine: Running, fake: OpenAIFake, stream: bool) -> None:
    steps = (Think("hm"), Say("Hel"), Say("lo ☃"), Call("f", {"a": 1}))
    body = (
        b'{"model" : "native/m",  "input":"hi", "previous_response_id":"resp_0", "some_field": [1.50],'
        + f'"stream":{str(stream).lower()}'.encode()
        + b"}"
    )
    fake.replies += [Reply(steps), Reply(steps)]
    response, raw = await post(engine, body)
    assert response.status == 200
    async with engine.http.post(f"{fake.url}{PATH}", data=fake.asked[0].body) as direct:
        assert raw == await direct.read()
    sent = json.loads(fake.asked[0].body)
    assert sent == {**json.loads(body), "model": "m"}
    assert b'"some_field":[1.50]' in fake.asked[0].body.replace(b" ", b"")
    assert "x-lynkr-dropped" not in response.headers
    row = (await engine.rows())[0]
    assert (row["protocol"], row["input_tokens"], row["output_tokens"]) == (
        "openai_responses",
        PROMPT_TOKENS,
        OUTPUT_TOKENS,
    )
    assert row["estimated"] is False


@BOTH_WAYS
async def test_reasoning_of_another_vendor_is_kept_from_openai(
    engine: Running, fake: OpenAIFake, stream: bool
) -> None:
    """A conversation that another model began goes on at OpenAI, which refuses reasoning not its own."""
    fake.replies.append(Reply((Think("hm"), Say("rs_lynkr_ is a prefix"))))
    begun = await CLIENT.send(engine.http, engine.url, Ask(stream=stream, model="chat/m"))
    output = (begun.events[-1].get("response") or begun.events[-1])["output"]
    assert [item["type"] for item in output] == ["reasoning", "message"]
    own = {"type": "reasoning", "id": "rs_68af", "summary": [], "encrypted_content": "gAAAA"}
    sealed = {"type": "reasoning", "summary": [], "encrypted_content": "lynkr.1.e30="}
    await post(engine, {"model": "native/m", "input": [*output, sealed, own]})
    assert fake.asked[-1].json["input"] == [output[1], own]


async def test_an_unchanged_request_goes_out_byte_for_byte(engine: Running, fake: OpenAIFake) -> None:
    body = b'{ "input": "hi",\n "model":"named" , "x": 1.0e0 }'
    await post(engine, body)
    assert fake.asked[0].body == body


@BOTH_WAYS
@pytest.mark.parametrize(
    "reply",
    [
        Reply((Say("half"), Die())),
        Reply((Say("half"), End())),
        Reply((Say("half"), ErrorLine("sk-proj-abcdefghijklmnopqrstuvwx0123456789 broke"))),
        Reply((Say("half"), Raw(b"data: {garbage\n\n"))),
        Reply((Say("half"), Stall())),
    ],
    ids=["die", "end", "error", "garbage", "stall"],
)
async def test_a_fault_ends_the_upstreams_stream_in_its_own_numbering(
    engine: Running, fake: OpenAIFake, reply: Reply, stream: bool
) -> None:
    fake.replies.append(reply)
    answer = await CLIENT.send(engine.http, engine.url, Ask(stream=stream, model="native/m"))
    assert answer.problem is not None
    assert not answer.good
    assert "abcdefghijklmnop" not in answer.raw.decode()
    if stream:
        assert [event["type"] for event in answer.events[-2:]] == ["error", "response.failed"]
        assert answer.events[-1]["response"]["id"] == answer.events[0]["response"]["id"]


async def test_a_last_event_without_its_blank_line_is_passed_on(engine: Running, fake: OpenAIFake) -> None:
    async with engine.http.post(fake.url + PATH, json=asked("m", stream=True)) as direct:
        whole = await direct.read()
    fake.replies.append(Reply(body=whole[:-2], streams=True))
    answer = await CLIENT.send(engine.http, engine.url, Ask(stream=True, model="native/m"))
    assert (answer.text, answer.stop) == ("Hello there", "end")
    assert answer.raw == whole


# ---------------------------------------------------------------- which path


@BOTH_WAYS
async def test_a_server_without_the_path_is_asked_by_chat(
    engine: Running, fake: OpenAIFake, stream: bool
) -> None:
    fake.responses = False
    ask = Ask(stream=stream, model=f"hopeful/{stream}", tools=(Function("f"),))
    for _ in range(2):
        fake.replies.append(tool_call("f", {"a": 1}))
        answer = await CLIENT.send(engine.http, engine.url, ask)
        assert (answer.stop, answer.calls[0].arguments) == ("tools", {"a": 1})
    assert [request.path for request in fake.asked] == ["/v1/chat/completions"] * 2
    # It is remembered: what only Responses can say is refused without asking again.
    response, raw = await post(engine, asked(f"hopeful/{stream}", previous_response_id="resp_1"))
    assert (response.status, json.loads(raw)["error"]["param"]) == (400, "previous_response_id")


async def test_a_missing_path_is_told_where_chat_is_no_way_out(engine: Running, fake: OpenAIFake) -> None:
    fake.responses = False
    response, raw = await post(engine, asked("hopeful/other", previous_response_id="resp_1"))
    assert response.status == 404
    assert "Not Found" in json.loads(raw)["error"]["message"]
    assert fake.asked == []


async def test_a_missing_model_is_no_missing_path(engine: Running, fake: OpenAIFake) -> None:
    fake.replies.append(failure(404, "The model 'nope' does not exist"))
    response, raw = await post(engine, asked("native/nope"))
    assert response.status == 404
    assert "nope" in json.loads(raw)["error"]["message"]
    assert [request.path for request in fake.asked] == [PATH]


@pytest.mark.parametrize(
    "reply",
    [
        failure(405, "Method Not Allowed"),
        failure(404, "Unknown request URL: POST /openai/v1/responses."),
        failure(404, "Invalid URL (POST /v1/responses)"),
        failure(404, "File Not Found"),
        Reply(status=404, body=b"404 page not found", content_type="text/plain"),
    ],
)
async def test_servers_say_in_many_ways_that_they_have_no_such_path(
    engine: Running, fake: OpenAIFake, reply: Reply
) -> None:
    for number in range(2):
        fake.replies += [reply] * (number == 0) + [text("Hello")]
        model = f"hopeful/{reply.status}-{hash(reply.error)}"
        response, raw = await post(engine, asked(model))
        assert response.status == 200, raw
    assert [request.path[-9:] for request in fake.asked] == ["responses", *["mpletions"] * 2]


@BOTH_WAYS
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
async def test_a_model_that_answers_by_responses_only_is_asked_there(
    engine: Running, fake: OpenAIFake, path: str, stream: bool
) -> None:
    refused = "This model is only supported in v1/responses and not in v1/chat/completions."
    model = f"native/codex-{path[4:]}-{stream}".replace("/", "-").replace("native-", "native/")
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    if path == "/v1/messages":
        tool = {"name": "f", "input_schema": {"type": "object"}}
    fake.replies.append(failure(404, refused))
    for number in range(2):
        fake.replies.append(Reply((Say("I call."), Call("f", {"a": number}))))
        body = {
            "model": model,
            "max_tokens": 50,
            "messages": [{"role": "user", "content": "hi"}],
            "tools": [tool],
            "stream": stream,
        }
        async with engine.http.post(engine.url + path, json=body) as response:
            raw = await response.text()
            assert response.status == 200, raw
        assert "I call." in raw
        assert "call_0" in raw
    assert [request.path for request in fake.asked] == ["/v1/chat/completions", PATH, PATH]
    sent = fake.asked[-1].json
    assert sent["input"][0]["content"] == [{"type": "input_text", "text": "hi"}]
    assert (sent["tools"][0]["name"], sent["max_output_tokens"], sent["store"]) == ("f", 50, False)


async def test_the_option_wins_over_the_kind(engine: Running, fake: OpenAIFake) -> None:
    await post(engine, asked("only_chat/m", max_output_tokens=9))
    assert fake.asked[0].path == "/v1/chat/completions"
    assert fake.asked[0].json["max_completion_tokens"] == 9
    await post(engine, asked("chat/m", max_output_tokens=9))
    assert fake.asked[1].json["max_tokens"] == 9


# ---------------------------------------------------------------- translated


@BOTH_WAYS
@pytest.mark.parametrize("name", ["unknown model", "gpt-5.5", "gpt-6.1-sol"])
async def test_what_codex_sends_is_answered(
    engine: Running, fake: OpenAIFake, name: str, stream: bool
) -> None:
    body = {**CODEX[name], "model": "chat/m", "stream": stream}
    patch = "*** Begin Patch\n*** Delete File: a\n*** End Patch\n"
    calls = {
        "unknown model": Call("multi_agent_v1__close_agent", {"target": "a"}),
        "gpt-5.5": Call("apply_patch", {"input": patch}),
        "gpt-6.1-sol": Call("exec", {"input": "text(1)"}),
    }
    fake.replies.append(Reply((Say("I call."), calls[name])))
    response, raw = await post(engine, body)
    assert response.status == 200, raw
    dropped = response.headers["x-lynkr-dropped"].split(", ")
    assert "client_metadata" in dropped
    assert ("tools.web_search" in dropped) == (name != "gpt-6.1-sol")
    if stream:
        raw = raw.decode().rstrip().rpartition("data: ")[2].encode()
        output = json.loads(raw)["response"]["output"]
    else:
        output = json.loads(raw)["output"]
    item = output[1]
    wanted = {
        "unknown model": {"type": "function_call", "namespace": "multi_agent_v1", "name": "close_agent"},
        "gpt-5.5": {"type": "custom_tool_call", "name": "apply_patch", "input": patch},
        "gpt-6.1-sol": {
            "type": "custom_tool_call",
            "namespace": "functions",
            "name": "exec",
            "input": "text(1)",
        },
    }
    assert item.items() >= wanted[name].items()


@BOTH_WAYS
async def test_parallel_tools_and_an_image_to_a_chat_server(
    engine: Running, fake: OpenAIFake, stream: bool
) -> None:
    fake.replies.append(Reply((Call("f", {"a": 1}), Call("f", {"a": 2}))))
    ask = Ask(
        (user("look", Picture()),), tools=(Function("f"),), choice="required", stream=stream, model="chat/m"
    )
    answer = await CLIENT.send(engine.http, engine.url, ask)
    assert [call.arguments for call in answer.calls] == [{"a": 1}, {"a": 2}]
    sent = fake.asked[0].json
    assert sent["messages"][0]["content"][1]["type"] == "image_url"
    assert sent["tool_choice"] == "required"
    if stream:
        assert all(call.pieces >= 1 for call in answer.calls)


@BOTH_WAYS
async def test_reasoning_and_structured_output(engine: Running, fake: OpenAIFake, stream: bool) -> None:
    fake.replies.append(Reply((Think("why "), Think("not"), Say('{"a": 1}'))))
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    ask = Ask(schema=schema, thinking="high", stream=stream, model="chat/m")
    answer = await CLIENT.send(engine.http, engine.url, ask)
    assert (answer.thoughts, answer.text, answer.order) == ("why not", '{"a": 1}', ["thinking", "text"])
    sent = fake.asked[0].json
    assert sent["reasoning_effort"] == "high"
    assert sent["response_format"]["json_schema"]["schema"] == schema


@BOTH_WAYS
async def test_an_answer_that_was_cut_is_incomplete(engine: Running, fake: OpenAIFake, stream: bool) -> None:
    for model in ("chat/m", "native/m"):
        fake.replies.append(Reply((Say("half"),), done_reason="length"))
        answer = await CLIENT.send(engine.http, engine.url, Ask(stream=stream, model=model))
        assert (answer.text, answer.stop) == ("half", "limit")
        assert answer.usage == (PROMPT_TOKENS, OUTPUT_TOKENS)


@BOTH_WAYS
@pytest.mark.parametrize("model", ["chat/m", "native/m"])
@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (failure(400, "too long"), 400),
        (failure(401, "bad key"), 401),
        (failure(429, "slow down", **{"retry-after": "7"}), 429),
        (failure(500, "broke"), 500),
        (Reply(), 502),
        (Reply((ErrorLine("runner stopped"),)), 502),
        (Reply((Raw(b"data: {"),)), 502),
        (Reply((End(),)), 502),
        (Reply((Die(),)), 502),
        (Reply((Stall(),)), 504),
    ],
    ids=["400", "401", "429", "500", "empty", "error in 200", "garbage", "early end", "cut", "stall"],
)
async def test_errors_before_the_answer_have_a_status(
    engine: Running, fake: OpenAIFake, model: str, reply: Reply, status: int, stream: bool
) -> None:
    # Twice: a connection that breaks as it is used again is tried anew.
    fake.replies += [reply, reply]
    answer = await CLIENT.send(engine.http, engine.url, Ask(stream=stream, model=model))
    assert answer.problem is not None
    assert answer.status == status
    if status == 429:
        assert answer.headers["retry-after"] == "7"


@BOTH_WAYS
@pytest.mark.parametrize("end", [Die(), End(), Stall(), ErrorLine("broke"), Raw(b"data: {x\n\n")])
async def test_a_fault_in_a_translated_answer_is_never_completed(
    engine: Running, fake: OpenAIFake, end: Any, stream: bool
) -> None:
    fake.replies.append(Reply((Say("half"), end)))
    answer = await CLIENT.send(engine.http, engine.url, Ask(stream=stream, model="chat/m"))
    assert answer.problem is not None
    assert not answer.good


@pytest.mark.parametrize("model", ["chat/m", "native/m"])
async def test_words_arrive_as_they_are_said(engine: Running, fake: OpenAIFake, model: str) -> None:
    heard = asyncio.Event()
    fake.replies.append(Reply((Say("first"), Hold(heard), Say(" second"))))
    async with engine.http.post(engine.url + PATH, json=asked(model, stream=True)) as response:
        async for line in response.content:
            if b'"delta":"first"' in line:
                heard.set()
        assert heard.is_set()


@pytest.mark.parametrize("model", ["chat/m", "native/m"])
async def test_a_client_that_leaves_stops_the_model(engine: Running, fake: OpenAIFake, model: str) -> None:
    fake.replies.append(Reply((Say("half"), Hold(asyncio.Event()))))
    async with engine.http.post(engine.url + PATH, json=asked(model, stream=True)) as response:
        async for line in response.content:
            if b'"delta":"half"' in line:
                break
        response.close()
    async with asyncio.timeout(5):
        await fake.asked[0].ended.wait()
    assert fake.asked[0].outcome == "gone"


# ---------------------------------------------------------------- refusals


async def test_what_only_responses_can_say_is_refused_elsewhere(engine: Running, fake: OpenAIFake) -> None:
    for field, value in (("previous_response_id", "resp_1"), ("background", True), ("conversation", "c")):
        response, raw = await post(engine, asked("chat/m", **{field: value}))
        error = json.loads(raw)["error"]
        assert (response.status, error["param"], error["type"]) == (400, field, "invalid_request_error")
        assert field in error["message"]
    assert fake.asked == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "resp_1"),
        ("DELETE", "resp_1"),
        ("POST", "resp_1/cancel"),
        ("GET", "resp_1/input_items"),
        ("POST", "compact"),
    ],
)
async def test_responses_are_not_stored(engine: Running, method: str, path: str) -> None:
    async with engine.http.request(method, f"{engine.url}{PATH}/{path}") as response:
        assert response.status == 404
        assert "not stored" in (await response.json())["error"]["message"]
    async with aiohttp.ClientSession() as stranger, stranger.get(f"{engine.url}{PATH}/resp_1") as response:
        assert response.status == 401


async def test_the_session_of_codex_is_recorded(engine: Running, fake: OpenAIFake) -> None:
    await post(engine, asked(), **{"session-id": "01a20851-80e8", "User-Agent": "codex_exec/0.169.0"})
    row = (await engine.rows())[0]
    assert (row["client"], row["session"]) == ("Codex", "01a20851-80e8")


async def test_reasoning_that_comes_back_and_calls_reach_a_chat_server_in_order(
    engine: Running, fake: OpenAIFake
) -> None:
    fake.replies.append(text("done"))
    items = [
        {"role": "user", "content": "go"},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA"},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"type": "function_call", "call_id": "c2", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c2", "output": "two"},
        {"type": "function_call_output", "call_id": "c1", "output": "one"},
        {"role": "user", "content": "on"},
    ]
    response, _ = await post(engine, {"model": "chat/m", "input": items})
    assert response.headers["x-lynkr-dropped"] == "input.encrypted_content"
    roles = [(turn["role"], turn.get("tool_call_id")) for turn in fake.asked[0].json["messages"]]
    assert roles == [("user", None), ("assistant", None), ("tool", "c1"), ("tool", "c2"), ("user", None)]


@BOTH_WAYS
async def test_what_claude_signed_goes_back_to_it(tmp_path: Path, stream: bool) -> None:
    """A client of Responses keeps the signature as the `encrypted_content` of reasoning."""
    async with AnthropicFake() as claude:
        config = config_for("http://127.0.0.1:9")
        config["providers"] = {"anthropic": {"base_url": claude.url}}
        tier = {"providers": ["anthropic/claude-opus-4-5"], "max_complexity": 1.0}
        config["routing"]["tiers"] = {"simple": tier}
        async with engine_in_process(tmp_path, config, {"ANTHROPIC_API_KEY": "sk-ant-test"}) as running:
            claude.replies += [Reply((Think("I must look."), Call("f", {"a": 1}))), text("Seen.")]
            ask = {
                "model": "anthropic/claude-opus-4-5",
                "input": [{"role": "user", "content": "look"}],
                "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}}],
                "reasoning": {"effort": "high"},
                "include": ["reasoning.encrypted_content"],
                "stream": stream,
            }
            response, raw = await post(running, ask)
            assert response.status == 200, raw
            if stream:
                raw = json.dumps(json.loads(raw.decode().rpartition("data: ")[2])["response"]).encode()
            output = json.loads(raw)["output"]
            assert [item["type"] for item in output] == ["reasoning", "function_call"]
            # As Codex sends it back: with neither ids nor states.
            kept = [{key: item[key] for key in item if key not in ("id", "status")} for item in output]
            result = {"type": "function_call_output", "call_id": output[1]["call_id"], "output": "a.py"}
            response, raw = await post(running, {**ask, "input": [*ask["input"], *kept, result]})
            assert response.status == 200, raw
    first, second = claude.asked
    thinking = second.json["messages"][1]["content"][0]
    assert thinking["type"] == "thinking"
    assert thinking["thinking"] == "I must look."
    assert thinking["signature"]
    assert first.json["messages"] == second.json["messages"][:1]
