"""The Ollama provider against a server that speaks Ollama's protocol, with the faults that real ones show."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest

from lynkr_desktop.engine.config.schema import ProviderOptions
from lynkr_desktop.engine.providers.base import Call
from lynkr_desktop.engine.providers.ollama import OllamaProvider
from lynkr_desktop.engine.providers.ollama_answer import OllamaAnswer
from lynkr_desktop.engine.wire.canonical import (
    Event,
    Failed,
    Image,
    Message,
    Reasoning,
    Reply,
    Request,
    Stopped,
    Text,
    TextDelta,
    Thinking,
    Tool,
    ToolResult,
    ToolUse,
)
from lynkr_desktop.engine.wire.errors import WireError
from tests.support.clock import fair_time
from tests.support.ollama_models import FakeModel
from tests.support.ollama_server import OllamaServer
from tests.support.script import (
    Die,
    End,
    ErrorLine,
    Hold,
    Raw,
    Say,
    Stall,
    Think,
    failure,
    text,
    tool_call,
)
from tests.support.script import (
    Reply as Script,
)

MakeProvider = Callable[..., OllamaProvider]
PNG = "iVBORw0KGgo="
TOOL = Tool(
    "get_weather", "Weather of a city", {"type": "object", "properties": {"city": {"type": "string"}}}
)


@pytest.fixture
async def ollama() -> AsyncIterator[OllamaServer]:
    async with OllamaServer() as server:
        yield server


@pytest.fixture
async def make(ollama: OllamaServer) -> AsyncIterator[MakeProvider]:
    """Makes providers that share one session, as the engine does."""
    async with aiohttp.ClientSession() as session:

        def provider(base_url: str = "", **options: Any) -> OllamaProvider:
            return OllamaProvider(
                base_url=base_url or ollama.url, options=ProviderOptions(**options), session=lambda: session
            )

        yield provider


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From its call on, lists are asked for each time: instead of waiting until they are old."""
    return lambda: monkeypatch.setattr("lynkr_desktop.engine.providers.ollama_catalog._FRESH_FOR", 0.0)


def ask(*content: Any, model: str = "llama3.2", **fields: Any) -> Call:
    """A call with one user turn."""
    turns = (Message("user", content or (Text("Hi"),)),)
    return Call(Request(model=model, messages=turns, **fields), model)


async def events_of(answer: Any) -> list[Event]:
    """All events; the answer is closed then."""
    try:
        return [event async for _, events in answer for event in events]
    finally:
        await answer.close()


async def reply_to(provider: OllamaProvider, call: Call) -> Reply:
    """The reply, which must be a good one."""
    folded = Reply.of(await events_of(await provider.send(call)))
    assert isinstance(folded, Reply), folded
    return folded


async def error_of(provider: OllamaProvider, call: Call) -> WireError:
    """The error that `send` raises."""
    with pytest.raises(WireError) as caught:
        await provider.send(call)
    return caught.value


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


# ---------------------------------------------------------------- good answers


async def test_text_with_usage(ollama: OllamaServer, make: MakeProvider) -> None:
    ollama.replies.append(text("Hello", " there"))
    reply = await reply_to(make(), ask())
    assert reply.content == (Text("Hello there"),)
    assert reply.stop_reason == "end_turn"
    assert reply.usage.input_tokens == ollama.chats[0].evaluated > 0
    assert reply.usage.output_tokens > 0
    assert not reply.usage.estimated


async def test_words_arrive_while_the_model_still_speaks(ollama: OllamaServer, make: MakeProvider) -> None:
    seen = asyncio.Event()
    ollama.replies.append(Script((Say("first"), Hold(seen), Say(" second"))))
    answer = await make().send(ask(stream=True))
    words = []
    async with asyncio.timeout(5):
        async for _, events in answer:
            for event in events:
                if isinstance(event, TextDelta):
                    words.append(event.text)
                    seen.set()
    await answer.close()
    assert words == ["first", " second"]


async def test_thinking_and_levels(ollama: OllamaServer, make: MakeProvider) -> None:
    ollama.models["llama3.2:latest"].capabilities = ("completion", "thinking")
    ollama.answer = lambda _: Script((Think("Hm."), Say("Yes")))
    provider = make()
    reply = await reply_to(provider, ask(reasoning=Reasoning(enabled=True, effort="high")))
    assert reply.content == (Thinking("Hm."), Text("Yes"))
    assert ollama.chats[-1].body["think"] == "high"
    reply = await reply_to(provider, ask(reasoning=Reasoning(enabled=False)))
    assert reply.content == (Text("Yes"),)
    assert ollama.chats[-1].body["think"] is False
    await reply_to(provider, ask())
    assert "think" not in ollama.chats[-1].body


async def test_a_model_without_levels_thinks_all_the_same(ollama: OllamaServer, make: MakeProvider) -> None:
    model = ollama.models["llama3.2:latest"]
    model.capabilities, model.think_levels = ("completion", "thinking"), False
    ollama.answer = lambda _: Script((Think("Hm."), Say("Yes")))
    reply = await reply_to(make(), ask(reasoning=Reasoning(enabled=True, effort="high")))
    assert reply.content == (Thinking("Hm."), Text("Yes"))
    assert [received.body["think"] for received in ollama.chats] == ["high", True]


@pytest.mark.parametrize("capabilities", [("completion",), None])
async def test_a_wish_to_think_is_dropped_by_name_where_the_model_cannot(
    ollama: OllamaServer, make: MakeProvider, capabilities: tuple[str, ...] | None
) -> None:
    ollama.models["llama3.2:latest"].capabilities = capabilities
    if capabilities is None:
        ollama.replies.append(failure(400, '"llama3.2" does not support thinking'))
    answer = await make().send(ask(reasoning=Reasoning(enabled=True)))
    assert answer.dropped == ("thinking",)
    assert isinstance((await events_of(answer))[-1], Stopped)
    assert "think" not in ollama.chats[-1].body


async def test_a_tool_round_trip(ollama: OllamaServer, make: MakeProvider) -> None:
    ollama.replies += [tool_call("get_weather", {"city": "Oslo"}, before="I look."), text("4 degrees")]
    provider = make()
    first = await reply_to(provider, ask(tools=(TOOL,)))
    assert first.stop_reason == "tool_use"
    call = first.content[1]
    assert isinstance(call, ToolUse)
    assert call.input == {"city": "Oslo"}
    turns = (
        Message("user", (Text("Weather in Oslo?"),)),
        Message("assistant", first.content),
        Message("user", (ToolResult(call.id, (Text("4 C"),)),)),
    )
    # The server refuses arguments that are strings, so an answer says that they are objects.
    second = await reply_to(
        provider, Call(Request(model="llama3.2", messages=turns, tools=(TOOL,)), "llama3.2")
    )
    assert second.content == (Text("4 degrees"),)
    assert ollama.chats[-1].body["messages"][-1]["tool_name"] == "get_weather"


async def test_an_image_reaches_a_model_that_sees(ollama: OllamaServer, make: MakeProvider) -> None:
    ollama.models["llama3.2:latest"].capabilities = ("completion", "vision")
    await reply_to(make(), ask(Text("What is it?"), Image("image/png", PNG)))
    assert ollama.chats[0].body["messages"][0]["images"] == [PNG]


async def test_limits_of_tokens_and_stop_words(ollama: OllamaServer, make: MakeProvider) -> None:
    ollama.answer = lambda _: text("one two", " three", " four", " five")
    assert (await reply_to(make(), ask(max_tokens=3))).stop_reason == "max_tokens"
    stopped = await reply_to(make(), ask(stop=("thr",)))
    assert (stopped.content, stopped.stop_reason) == ((Text("one two "),), "end_turn")


@pytest.mark.parametrize(("setting", "sent"), [(None, None), ("10m", "10m"), ("-1", -1), ("0", 0)])
async def test_keep_alive(ollama: OllamaServer, make: MakeProvider, setting: str | None, sent: Any) -> None:
    await reply_to(make(keep_alive=setting), ask())
    assert ollama.chats[0].body.get("keep_alive") == sent


async def test_configured_headers_are_sent(ollama: OllamaServer, make: MakeProvider) -> None:
    await reply_to(make(headers={"x-team": "blue"}), ask())
    assert {received.headers.get("x-team") for received in ollama.received} == {"blue"}


async def test_the_connection_is_used_again(ollama: OllamaServer, make: MakeProvider) -> None:
    provider = make()
    for _ in range(3):
        await reply_to(provider, ask())
    assert len(ollama.chats) == 3
    assert [chat.outcome for chat in ollama.chats] == ["done"] * 3


async def test_many_at_once(ollama: OllamaServer, make: MakeProvider) -> None:
    ollama.answer = lambda body: text(body["messages"][-1]["content"], " and back")
    provider = make()
    replies = await asyncio.gather(*(reply_to(provider, ask(Text(f"No. {n}"))) for n in range(32)))
    assert [reply.content[0] for reply in replies] == [Text(f"No. {n} and back") for n in range(32)]
    assert ollama.count("/api/tags") == 1
    assert ollama.count("/api/show") <= 32


# ---------------------------------------------------------------- the context window


async def test_the_window_fits_the_prompt_and_nothing_is_cut(
    ollama: OllamaServer, make: MakeProvider
) -> None:
    provider = make()
    await reply_to(provider, ask(Text("word " * 6000)))
    chat = ollama.chats[0]
    assert chat.prompt_tokens > 4096, "the prompt must exceed Ollama's default for this test to mean anything"
    assert chat.evaluated == chat.prompt_tokens
    assert chat.body["options"]["num_ctx"] >= chat.prompt_tokens + 2048


async def test_the_window_never_shrinks_and_the_model_is_not_loaded_anew(
    ollama: OllamaServer, make: MakeProvider
) -> None:
    provider = make()
    for words in (10, 9000, 10, 3000, 9100):
        await reply_to(provider, ask(Text("word " * words)))
    sizes = [chat.body["options"]["num_ctx"] for chat in ollama.chats]
    assert sizes == sorted(sizes)
    assert len(ollama.loads) == len(set(sizes)) == 2


async def test_a_window_that_is_loaded_is_used(ollama: OllamaServer, make: MakeProvider) -> None:
    await reply_to(make(), ask(Text("word " * 9000)))
    # Another engine on the same server, or this one after a restart.
    await reply_to(make(), ask())
    assert len(ollama.loads) == 1


async def test_the_window_respects_the_model(ollama: OllamaServer, make: MakeProvider) -> None:
    ollama.models["llama3.2:latest"].context_length = 8000
    await reply_to(make(), ask(Text("word " * 5000)))
    assert ollama.chats[0].body["options"]["num_ctx"] == 8000


async def test_a_prompt_beyond_the_model_is_refused_with_both_numbers(
    ollama: OllamaServer, make: MakeProvider
) -> None:
    ollama.models["llama3.2:latest"].context_length = 8192
    error = await error_of(make(), ask(Text("word " * 12000)))
    assert error.status == 400
    assert "8,192" in error.message
    assert "17," in error.message
    assert not ollama.chats


async def test_a_prompt_beyond_max_context_says_which_option_to_raise(
    ollama: OllamaServer, make: MakeProvider
) -> None:
    error = await error_of(make(max_context=4096), ask(Text("word " * 12000)))
    assert error.status == 400
    assert "providers.ollama.max_context" in error.message
    assert "4,096" in error.message


async def test_a_cut_prompt_is_noticed(
    ollama: OllamaServer, make: MakeProvider, caplog: pytest.LogCaptureFixture
) -> None:
    # Just above the model's context by Ollama's count, and within the doubt of an estimate.
    ollama.models["llama3.2:latest"].context_length = 8192
    provider = make()
    with caplog.at_level(logging.WARNING):
        answer = await provider.send(ask(Text("word " * 6900)))
        await events_of(answer)
    assert isinstance(answer, OllamaAnswer)
    assert answer.truncation is not None
    assert answer.truncation.evaluated == ollama.chats[0].evaluated == 8192
    assert "cut the prompt" in caplog.text
    # From the count it learnt that this prompt is too long, and says so now.
    assert (await error_of(provider, ask(Text("word " * 6900)))).status == 400


async def test_older_turns_that_vanish_are_noticed(ollama: OllamaServer, make: MakeProvider) -> None:
    provider = make()
    await reply_to(provider, ask(Text("word " * 2000)))
    ollama.loaded.clear()
    ollama.models["llama3.2:latest"].context_length = 2048
    turns = (
        Message("user", (Text("word " * 2000),)),
        Message("assistant", (Text("Yes."),)),
        Message("user", (Text("So?"),)),
    )
    answer = await provider.send(Call(Request(model="llama3.2", messages=turns), "llama3.2"))
    await events_of(answer)
    assert isinstance(answer, OllamaAnswer)
    assert answer.truncation is not None


async def test_a_fully_cached_prompt_is_no_cut_prompt(ollama: OllamaServer, make: MakeProvider) -> None:
    ollama.replies.append(Script((Say("Hi"),), counts=False))
    answer = await make().send(ask(Text("word " * 2000)))
    events = await events_of(answer)
    assert isinstance(answer, OllamaAnswer)
    assert answer.truncation is None
    assert isinstance(events[-1], Stopped)
    assert events[-1].usage.estimated
    assert 2000 < events[-1].usage.input_tokens < 4000


async def test_a_newer_server_refuses_and_gets_a_larger_window(
    ollama: OllamaServer, make: MakeProvider
) -> None:
    ollama.honours_truncate = True
    # A tokenizer that needs far more tokens than anyone would guess.
    ollama.models["llama3.2:latest"].bytes_per_token = 1.6
    provider = make()
    await reply_to(provider, ask(Text("word " * 5000)))
    sizes = [chat.body["options"]["num_ctx"] for chat in ollama.chats]
    assert len(sizes) > 1
    assert sizes == sorted(set(sizes))
    assert ollama.chats[-1].evaluated == ollama.chats[-1].prompt_tokens
    # From the count it learnt how this model reckons.
    await reply_to(provider, ask(Text("word " * 6000)))
    assert len(ollama.chats) == len(sizes) + 1


async def test_a_newer_server_that_refuses_the_largest_window(
    ollama: OllamaServer, make: MakeProvider
) -> None:
    ollama.honours_truncate = True
    ollama.models["llama3.2:latest"].context_length = 8192
    error = await error_of(make(), ask(Text("word " * 6900)))
    assert error.status == 400
    assert "8,192" in error.message


# ---------------------------------------------------------------- what it cannot do


async def test_tools_for_a_model_without_them_are_refused(ollama: OllamaServer, make: MakeProvider) -> None:
    ollama.models["llama3.2:latest"].capabilities = ("completion",)
    error = await error_of(make(), ask(tools=(TOOL,)))
    assert (error.status, error.param) == (400, "tools")
    assert "tools capability" in error.message
    assert not ollama.chats


async def test_images_for_a_blind_model_are_refused(ollama: OllamaServer, make: MakeProvider) -> None:
    provider = make()
    shot = ToolResult("x", (Image("image/png", PNG),))
    for content in (Image("image/png", PNG), shot):
        error = await error_of(provider, ask(content))
        assert error.status == 400
        assert "vision" in error.message
    assert not ollama.chats


async def test_a_model_that_only_embeds_is_refused(ollama: OllamaServer, make: MakeProvider) -> None:
    ollama.models["llama3.2:latest"].capabilities = ("embedding",)
    error = await error_of(make(), ask())
    assert error.status == 400
    assert "cannot chat" in error.message


async def test_a_server_that_lists_no_capabilities_is_tried(ollama: OllamaServer, make: MakeProvider) -> None:
    ollama.models["llama3.2:latest"].capabilities = None
    ollama.replies.append(tool_call("get_weather", {"city": "Oslo"}))
    assert (await reply_to(make(), ask(tools=(TOOL,)))).stop_reason == "tool_use"


async def test_a_model_pulled_anew_is_looked_at_anew(
    ollama: OllamaServer, make: MakeProvider, fresh: Callable[[], None]
) -> None:
    ollama.models["llama3.2:latest"].capabilities = ("completion",)
    provider = make()
    assert (await error_of(provider, ask(tools=(TOOL,)))).status == 400
    ollama.models["llama3.2:latest"].capabilities = ("completion", "tools")
    fresh()
    await provider.availability("llama3.2")
    await reply_to(provider, ask(tools=(TOOL,)))


# ---------------------------------------------------------------- availability


async def test_a_stopped_ollama(make: MakeProvider) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    provider = make(url)
    found = await provider.availability("llama3.2")
    assert not found.usable
    assert found.reason == f"Ollama does not answer at {url}. Start it with `ollama serve`."
    assert await provider.models() == []
    error = await error_of(provider, ask())
    assert (error.status, error.message) == (503, found.reason)


async def test_a_model_that_is_not_installed(make: MakeProvider) -> None:
    provider = make()
    found = await provider.availability("qwen3:8b")
    assert (found.usable, found.missing) == (False, True)
    assert found.reason == "model qwen3:8b is not installed in Ollama. Run `ollama pull qwen3:8b`."
    error = await error_of(provider, ask(model="qwen3:8b"))
    assert (error.status, error.message) == (404, found.reason)


async def test_a_model_that_was_removed_meanwhile(ollama: OllamaServer, make: MakeProvider) -> None:
    provider = make()
    await reply_to(provider, ask())
    ollama.models.clear()
    error = await error_of(provider, ask())
    assert error.status == 404
    assert "ollama pull llama3.2" in error.message
    assert (await provider.availability("llama3.2")).missing


async def test_ollama_stopped_between_two_requests(ollama: OllamaServer, make: MakeProvider) -> None:
    provider = make()
    await reply_to(provider, ask())
    await ollama.stop()
    error = await error_of(provider, ask())
    assert error.status in (502, 503)
    found = await provider.availability()
    assert "ollama serve" in found.reason


async def test_something_else_on_the_port(make: MakeProvider) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        found = await make(f"http://127.0.0.1:{port}").availability()
    assert not found.usable
    assert "is not Ollama" in found.reason


async def test_names_as_ollama_takes_them(
    ollama: OllamaServer, make: MakeProvider, fresh: Callable[[], None]
) -> None:
    provider = make()
    for name in ("llama3.2", "llama3.2:latest", "Llama3.2"):
        assert (await provider.availability(name)).state == "ready"
    await reply_to(provider, ask(model="Llama3.2"))
    fresh()
    assert (await provider.availability("llama3.2")).state == "loaded"


async def test_looking_is_cheap(ollama: OllamaServer, make: MakeProvider) -> None:
    provider = make()
    await asyncio.gather(*(provider.availability("auto") for _ in range(50)))
    await provider.models()
    assert ollama.count("/api/tags") == ollama.count("/api/ps") == 1
    assert ollama.count("/api/show") == 1


async def test_models_with_their_facts(ollama: OllamaServer, make: MakeProvider) -> None:
    ollama.models["embed:1b"] = FakeModel(
        "embed:1b", capabilities=("embedding",), architecture="bert", context_length=512, modified=1.0
    )
    first, second = await make().models()
    assert (first.id, first.context_length) == ("llama3.2", 131072)
    assert first.capabilities == {"completion", "tools"}
    assert (second.id, second.context_length, second.capabilities) == ("embed:1b", 512, {"embedding"})


async def test_auto_takes_the_loaded_model_then_the_newest_that_chats(
    ollama: OllamaServer, make: MakeProvider, fresh: Callable[[], None]
) -> None:
    ollama.models["new-embed:1b"] = FakeModel("new-embed:1b", capabilities=("embedding",), modified=3e9)
    ollama.models["newest:7b"] = FakeModel("newest:7b", modified=2e9)
    provider = make()
    assert (await provider.availability("auto")).model == "newest:7b"
    await reply_to(provider, ask(model="llama3.2"))
    fresh()
    found = await provider.availability("auto")
    assert (found.model, found.state) == ("llama3.2", "loaded")
    await reply_to(provider, ask(model="auto"))
    assert ollama.chats[-1].body["model"] == "llama3.2"


async def test_auto_never_takes_a_model_of_the_cloud(ollama: OllamaServer, make: MakeProvider) -> None:
    ollama.models["gpt-oss:120b-cloud"] = FakeModel("gpt-oss:120b-cloud", modified=2e9, remote=True)
    assert (await make().availability("auto")).model == "llama3.2"


async def test_auto_without_any_model(ollama: OllamaServer, make: MakeProvider) -> None:
    ollama.models.clear()
    provider = make()
    found = await provider.availability("auto")
    assert not found.usable
    assert "ollama pull" in found.reason
    assert (await error_of(provider, ask(model="auto"))).status == 404


# ---------------------------------------------------------------- faults


async def test_an_http_error_has_its_status_and_message(ollama: OllamaServer, make: MakeProvider) -> None:
    ollama.replies.append(failure(500, "llama runner process has terminated"))
    error = await error_of(make(), ask())
    assert error.status == 500
    assert "llama runner process has terminated" in error.message


async def test_a_busy_server_says_when_to_come_back(ollama: OllamaServer, make: MakeProvider) -> None:
    ollama.replies.append(failure(503, "server busy, please try again.", **{"Retry-After": "7"}))
    error = await error_of(make(), ask())
    assert (error.status, error.retry_after) == (503, 7)


async def test_an_error_as_the_first_line_of_http_200(ollama: OllamaServer, make: MakeProvider) -> None:
    message = "model requires more system memory (9.1 GiB) than is available (3.2 GiB)"
    ollama.replies.append(Script((ErrorLine(message),)))
    error = await error_of(make(), ask())
    assert error.status == 503
    assert message in error.message


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (ErrorLine("model runner has unexpectedly stopped"), "unexpectedly stopped"),
        (Die(), "broke the connection"),
        (End(), "broke off"),
        (Raw(b"<html>nonsense</html>\n"), "no part of a chat"),
        (Raw(b'{"message": {"content": "cut'), "no part of a chat"),
    ],
)
async def test_a_fault_in_mid_stream_is_a_failure_never_an_end(
    ollama: OllamaServer, make: MakeProvider, step: Any, words: str
) -> None:
    last = (End(),) if isinstance(step, Raw) else ()
    ollama.replies.append(Script((Say("Half a"), step, *last)))
    events = await events_of(await make().send(ask()))
    assert TextDelta(0, "Half a") in events
    assert isinstance(events[-1], Failed)
    assert words in events[-1].message
    assert not any(isinstance(event, Stopped) for event in events)


async def test_an_empty_answer_is_an_error(ollama: OllamaServer, make: MakeProvider) -> None:
    ollama.replies.append(Script())
    events = await events_of(await make().send(ask()))
    assert isinstance(events[-1], Failed)
    assert "empty" in events[-1].message


async def test_a_connection_cut_before_the_answer(ollama: OllamaServer, make: MakeProvider) -> None:
    ollama.replies.append(Script((Die(),)))
    error = await error_of(make(), ask())
    assert error.status == 502


async def test_silence_before_the_answer(ollama: OllamaServer, make: MakeProvider) -> None:
    ollama.replies.append(Script((Stall(),)))
    error = await error_of(make(first_byte_timeout=0.2), ask())
    assert (error.status, error.kind) == (504, "timeout")
    async with asyncio.timeout(10):
        await ollama.chats[0].ended.wait()


async def test_silence_within_the_answer(ollama: OllamaServer, make: MakeProvider) -> None:
    ollama.replies.append(Script((Say("Half a"), Stall())))
    events = await events_of(await make(stall_timeout=0.2).send(ask()))
    assert isinstance(events[-1], Failed)
    assert events[-1].status == 504
    async with asyncio.timeout(10):
        await ollama.chats[0].ended.wait()
    assert ollama.chats[0].outcome == "gone"


async def test_silence_after_the_end_does_not_matter(ollama: OllamaServer, make: MakeProvider) -> None:
    end = b'{"model":"m","message":{"role":"assistant","content":"Hi"},"done":true,"done_reason":"stop"}\n'
    ollama.replies.append(Script((Raw(end), Stall())))
    async with asyncio.timeout(5):
        events = await events_of(await make().send(ask()))
    assert isinstance(events[-1], Stopped)


async def test_closing_stops_ollama_at_once(ollama: OllamaServer, make: MakeProvider) -> None:
    ollama.replies.append(Script((Say("Half a"), Stall())))
    answer = await make().send(ask())
    async for _ in answer:
        break
    closed = fair_time()
    await answer.close()
    async with asyncio.timeout(10):
        await ollama.chats[0].ended.wait()
    assert ollama.chats[0].outcome == "gone"
    assert fair_time() - closed < 0.1


async def test_a_client_that_leaves_while_the_model_loads(ollama: OllamaServer, make: MakeProvider) -> None:
    ollama.replies.append(Script((Stall(),)))
    sending = asyncio.create_task(make().send(ask()))
    async with asyncio.timeout(5):
        await ollama.asked.wait()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    async with asyncio.timeout(10):
        await ollama.chats[0].ended.wait()
    assert ollama.chats[0].outcome == "gone"
