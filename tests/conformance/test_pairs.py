"""Every client protocol with every kind of provider: a feature works, or is refused or reported by name."""

from __future__ import annotations

import pytest

from tests.support.clients import PNG, Ask, Client, Picture, Result, Used, assistant, user
from tests.support.fakes.base import OUTPUT_TOKENS, PROMPT_TOKENS
from tests.support.pairing import EACH_WAY, READ, RUN, pairs, told, words
from tests.support.script import Call, Reply, Say, Think, failure, text, tool_call
from tests.support.stage import Backend, Stage

pytestmark = pytest.mark.asyncio(loop_scope="module")
SCHEMA = {
    "type": "object",
    "properties": {"verdict_word": {"type": "string"}},
    "required": ["verdict_word"],
    "additionalProperties": False,
}


@pairs()
@EACH_WAY
async def test_chat(lynkr: Stage, client: Client, backend: Backend, stream: bool) -> None:
    answer = await lynkr.ask(client, backend, Ask((user("what-i-ask"),), stream=stream), text("Hel", "lo ☃"))
    assert (answer.text, answer.stop, answer.status) == ("Hello ☃", "end", 200)
    assert answer.usage == (PROMPT_TOKENS, OUTPUT_TOKENS)
    assert answer.headers["x-lynkr-provider"] == backend.name
    assert b"what-i-ask" in lynkr.asked(backend).body
    row = await lynkr.last_row()
    assert (row["status"], row["provider"], row["protocol"]) == (200, backend.name, client.name)
    assert (row["input_tokens"], row["output_tokens"]) == (PROMPT_TOKENS, OUTPUT_TOKENS)
    assert row["estimated"] is False


@pairs("tools")
@EACH_WAY
async def test_a_tool_is_called_and_its_answer_goes_back(
    lynkr: Stage, client: Client, backend: Backend, stream: bool
) -> None:
    ask = Ask((user("read it"),), tools=(READ, RUN), stream=stream)
    made = tool_call("read_file", {"path": "ä/b.py", "deep": {"n": [1, None]}}, before="Looking.")
    first = await lynkr.ask(client, backend, ask, made)
    assert (first.text, first.stop, first.order) == ("Looking.", "tools", ["text", "call"])
    [call] = first.calls
    assert (call.name, call.arguments) == ("read_file", {"path": "ä/b.py", "deep": {"n": [1, None]}})
    assert b"run_command" in lynkr.asked(backend).body
    call_id = call.id or "call_x"
    told_back = (
        user("read it"),
        assistant("Looking.", Used(call_id, call.name, call.arguments)),
        user(Result(call_id, ("the-file-says-so",), name="read_file")),
    )
    second = await lynkr.ask(client, backend, ask.with_(turns=told_back), text("Done."))
    assert (second.text, second.stop) == ("Done.", "end")
    body = lynkr.asked(backend).body
    assert body.index(b"Looking.") < body.index(b"the-file-says-so")


@pairs("tools")
@EACH_WAY
async def test_parallel_calls_keep_apart(
    lynkr: Stage, client: Client, backend: Backend, stream: bool
) -> None:
    reply = Reply(
        (Call("read_file", {"path": "a"}), Call("run_command", {}), Call("read_file", {"path": "b"}))
    )
    answer = await lynkr.ask(client, backend, Ask(tools=(READ, RUN), stream=stream), reply)
    assert [(call.name, call.arguments) for call in answer.calls] == [
        ("read_file", {"path": "a"}),
        ("run_command", {}),
        ("read_file", {"path": "b"}),
    ]
    assert answer.stop == "tools"


@pairs("tools")
async def test_the_answers_of_parallel_calls_go_back(lynkr: Stage, client: Client, backend: Backend) -> None:
    turns = (
        user("both"),
        assistant(Used("call_a", "read_file", {"path": "a"}), Used("call_b", "run_command", {})),
        user(Result("call_a", ("answer-of-a",)), Result("call_b", ("answer-of-b",))),
    )
    answer = await lynkr.ask(client, backend, Ask(turns, tools=(READ, RUN)))
    assert answer.good
    body = lynkr.asked(backend).body
    assert body.index(b"answer-of-a") < body.index(b"answer-of-b")


@pairs("image")
async def test_an_image_arrives(lynkr: Stage, client: Client, backend: Backend) -> None:
    answer = await lynkr.ask(client, backend, Ask((user("before", Picture(), "after"),)))
    assert answer.good
    assert PNG.encode() in lynkr.asked(backend).body


@pairs("result_image")
async def test_an_image_in_a_tools_answer_arrives(lynkr: Stage, client: Client, backend: Backend) -> None:
    turns = (
        user("look"),
        assistant(Used("call_a", "read_file", {"path": "a.png"})),
        user(Result("call_a", ("first-words", Picture()))),
    )
    answer = await lynkr.ask(client, backend, Ask(turns, tools=(READ,)))
    assert answer.good or told(answer, "image")
    if answer.good:
        assert PNG.encode() in lynkr.asked(backend).body


@pairs("thinking")
@EACH_WAY
async def test_thinking_comes_before_the_answer(
    lynkr: Stage, client: Client, backend: Backend, stream: bool
) -> None:
    ask = Ask(thinking="high", stream=stream, limit=40000)
    answer = await lynkr.ask(client, backend, ask, Reply((Think("hm, "), Think("well"), Say("Yes."))))
    assert answer.text == "Yes."
    if "thinking" not in backend.lacks:
        assert (answer.thoughts, answer.order) == ("hm, well", ["thinking", "text"])


@pairs("format")
@EACH_WAY
async def test_structured_output(lynkr: Stage, client: Client, backend: Backend, stream: bool) -> None:
    ask = Ask(schema=SCHEMA, stream=stream)
    answer = await lynkr.ask(client, backend, ask, text('{"verdict_word":', '"yes"}'))
    if "format" in backend.lacks:
        assert told(answer, "format", "schema")
        return
    assert b"verdict_word" in lynkr.asked(backend).body
    assert answer.text == '{"verdict_word":"yes"}'


@pairs("stop")
async def test_stop_sequences_go_on(lynkr: Stage, client: Client, backend: Backend) -> None:
    answer = await lynkr.ask(client, backend, Ask(stop=("HALT-HERE", "OR-HERE")))
    if "stop" in backend.lacks:
        assert told(answer, "stop")
        return
    assert answer.good
    body = lynkr.asked(backend).body
    assert b"HALT-HERE" in body
    assert b"OR-HERE" in body


@pairs()
@EACH_WAY
async def test_an_answer_that_met_its_limit_says_so(
    lynkr: Stage, client: Client, backend: Backend, stream: bool
) -> None:
    answer = await lynkr.ask(
        client, backend, Ask(stream=stream), Reply((Say("cut o"),), done_reason="length")
    )
    assert (answer.text, answer.stop) == ("cut o", "limit")


@pairs()
@EACH_WAY
@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 429, 500, 529])
async def test_an_error_has_the_clients_shape_and_the_upstreams_status(
    lynkr: Stage, client: Client, backend: Backend, stream: bool, status: int
) -> None:
    answer = await lynkr.ask(client, backend, Ask(stream=stream), failure(status, "this-went-wrong"))
    assert answer.problem is not None
    # The statuses that tell clients to try again stay what they are; a server's own fault is a bad gateway's.
    assert answer.status in ({status} if status != 500 else {500, 502})
    if not (backend.name == "ollama" and status == 404):
        assert "this-went-wrong" in answer.problem.message
    assert (await lynkr.last_row())["status"] == answer.status


@pairs()
@pytest.mark.parametrize("system", [("only-rule",), ("first-rule", "second-rule")], ids=["text", "blocks"])
async def test_the_system_prompt_arrives(
    lynkr: Stage, client: Client, backend: Backend, system: tuple[str, ...]
) -> None:
    answer = await lynkr.ask(client, backend, Ask((user("the-question"),), system=system))
    assert answer.good
    body = lynkr.asked(backend).body
    places = [body.index(rule.encode()) for rule in system]
    if client.name not in backend.speaks:
        # What goes untouched has the client's own order.
        assert places == sorted(places)


@pairs("choice")
@pytest.mark.parametrize("choice", ["auto", "none", "required", "run_command"])
async def test_the_choice_of_tools_is_kept_or_reported(
    lynkr: Stage, client: Client, backend: Backend, choice: str
) -> None:
    answer = await lynkr.ask(client, backend, Ask(tools=(READ, RUN), choice=choice), text("No tools."))
    if answer.problem is not None or (choice in ("required", "run_command") and "choice" in backend.lacks):
        assert told(answer, "tool_choice")
        return
    body = lynkr.asked(backend).json
    if choice == "none" and "tools" not in body and "toolConfig" not in body:
        return
    assert set(words(body)) & _CHOICE_WORDS[choice] or choice == "auto"


_CHOICE_WORDS = {
    "none": {"none", "NONE"},
    "required": {"required", "any", "ANY"},
    "run_command": {"function", "tool", "allowedFunctionNames", "run_command"},
    "auto": {"auto", "AUTO"},
}


@pairs("tools", "image")
async def test_mixed_content_keeps_its_order(lynkr: Stage, client: Client, backend: Backend) -> None:
    turns = (
        user("go"),
        assistant(Used("call_a", "read_file", {})),
        user(Result("call_a", ("result-words",)), "words-between", Picture(), "words-after"),
    )
    answer = await lynkr.ask(client, backend, Ask(turns, tools=(READ,)))
    assert answer.good
    body = lynkr.asked(backend).body
    marks = [body.index(mark) for mark in (b"result-words", b"words-between", PNG.encode())]
    assert marks == sorted(marks) or backend.name == "ollama"
    assert body.index(b"words-between") < body.index(b"words-after")


@pairs()
async def test_sampling_goes_on(lynkr: Stage, client: Client, backend: Backend) -> None:
    answer = await lynkr.ask(client, backend, Ask(temperature=0.375, limit=77))
    assert answer.good
    body = lynkr.asked(backend).body
    assert b"0.375" in body
    assert b"77" in body
