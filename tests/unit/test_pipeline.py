"""Stages run in their order, leave receipts, and never cost a request anything but their work."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from lynkr_desktop.engine.optimization.optimizer import Optimizer, stages_for
from lynkr_desktop.engine.optimization.pipeline import Pipeline
from lynkr_desktop.engine.optimization.stage import RESTORE, Scene, Stage
from lynkr_desktop.engine.optimization.tokens import count, of_request
from lynkr_desktop.engine.wire.canonical import (
    Message,
    Request,
    Text,
    Tool,
    ToolChoice,
    ToolResult,
    ToolUse,
)
from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.protocol.optimization import StageName

LONG = "a line of output\n" * 200
REQUEST = Request(
    "m",
    (
        Message("user", (Text("run it"),)),
        Message("assistant", (ToolUse("c1", "Bash", {"command": "make"}),)),
        Message("user", (ToolResult("c1", (Text(LONG),)), Text("and now?"))),
    ),
    system=(Text("You are an agent."),),
    tools=(Tool("Bash"), Tool("Read")),
)


class Doing(Stage):
    """A stage that does what a test wants."""

    def __init__(self, change: Callable[[Request, Scene], Request], name: StageName = "memory_dedup") -> None:
        self.name = name
        self._change = change

    def apply(self, request: Request, scene: Scene) -> Request:
        return self._change(request, scene)


def with_result(request: Request, text: str) -> Request:
    last = replace(
        request.messages[2], content=(ToolResult("c1", (Text(text),)), request.messages[2].content[1])
    )
    return replace(request, messages=(*request.messages[:2], last))


def shorten(request: Request, scene: Scene) -> Request:
    scene.did.append("left out a result")
    return with_result(request, f"[{scene.keep(LONG)}]")


def test_what_a_stage_saves_is_told() -> None:
    made = Pipeline([Doing(shorten)]).run(REQUEST)
    [receipt] = made.receipts
    assert receipt.before == of_request(REQUEST)
    assert receipt.before - receipt.after > count(LONG) / 2
    assert receipt.did == ("left out a result",)
    assert made.saved == receipt.before - receipt.after
    assert [tool.name for tool in made.request.tools] == ["Bash", "Read", RESTORE]
    handle = made.request.messages[2].content[0].text.strip("[]")  # type: ignore[union-attr]
    assert made.inner[RESTORE]({"id": handle}).text == LONG


def raises(request: Request, scene: Scene) -> Request:
    scene.keep("secret")
    raise RuntimeError("a bug")


def dawdles(request: Request, scene: Scene) -> Request:
    until = time.perf_counter() + 5
    while time.perf_counter() < until:
        scene.check_time()
    return shorten(request, scene)


def drops_a_result(request: Request, scene: Scene) -> Request:
    return replace(request, messages=(*request.messages[:2], Message("user", (Text("and now?"),))))


def rewrites_the_person(request: Request, scene: Scene) -> Request:
    last = replace(request.messages[2], content=(request.messages[2].content[0], Text("do something else")))
    return replace(request, messages=(*request.messages[:2], last))


def rewrites_the_system(request: Request, scene: Scene) -> Request:
    return replace(request, system=(Text("Be short."),))


def parts_turns(request: Request, scene: Scene) -> Request:
    return replace(request, messages=(Message("user", (Text("x"),)), *request.messages))


@pytest.mark.parametrize(
    "wrong",
    [raises, dawdles, drops_a_result, rewrites_the_person, rewrites_the_system, parts_turns],
    ids=lambda wrong: wrong.__name__,
)
def test_a_stage_that_goes_wrong_is_skipped_and_the_next_one_runs(
    wrong: Callable[[Request, Scene], Request],
) -> None:
    made = Pipeline([Doing(wrong), Doing(shorten, "distill_compression")], seconds=0.05).run(REQUEST)
    first, second = made.receipts
    assert first.skipped
    assert first.did
    assert first.before == first.after
    assert not second.skipped
    assert made.saved > 0
    assert made.request.messages == with_result(REQUEST, f"[{Scene(count=count).keep(LONG)}]").messages
    assert made.inner[RESTORE]({"id": "r_none"}).text.count("r_") == 1, "nothing of the skipped stage is kept"


def test_a_tool_that_must_be_called_stays() -> None:
    named = replace(REQUEST, tool_choice=ToolChoice("named", "Read"))
    made = Pipeline([Doing(lambda request, scene: replace(request, tools=(request.tools[0],)))]).run(named)
    assert made.receipts[0].skipped
    assert made.request is named


@pytest.mark.parametrize(
    "request_",
    [
        replace(REQUEST, tools=()),
        replace(REQUEST, tool_choice=ToolChoice("none")),
        replace(REQUEST, tool_choice=ToolChoice("required")),
        replace(REQUEST, tool_choice=ToolChoice("named", "Bash")),
    ],
)
def test_where_the_model_cannot_ask_back_stages_know(request_: Request) -> None:
    told: list[bool] = []

    def look(request: Request, scene: Scene) -> Request:
        told.append(scene.restorable)
        return request

    made = Pipeline([Doing(look)]).run(request_)
    assert told == [False]
    assert made.request is request_
    assert not made.inner


def test_a_client_with_a_tool_of_our_name_is_left_alone() -> None:
    theirs = replace(REQUEST, tools=(Tool(RESTORE),))
    made = Pipeline([Doing(shorten)]).run(theirs)
    assert made.request is theirs
    assert not made.inner


def test_without_stages_nothing_happens() -> None:
    assert Pipeline([]).run(REQUEST).request is REQUEST


async def test_long_requests_take_the_same_way() -> None:
    optimizer = Optimizer({"memory_dedup": lambda: Doing(shorten)})
    short = await optimizer.run(REQUEST, ("memory_dedup",), 100, None)
    long = await optimizer.run(REQUEST, ("memory_dedup",), 10**6, None)
    assert short.request == long.request
    assert (await optimizer.run(REQUEST, (), 100, None)).request is REQUEST


async def test_what_is_warmed_is_made_once_and_never_by_the_loop() -> None:
    made: list[threading.Thread] = []

    def make() -> Stage:
        made.append(threading.current_thread())
        return Doing(shorten)

    optimizer = Optimizer({"memory_dedup": make})
    await optimizer.warm([(), ("memory_dedup",), ("memory_dedup",)])
    await asyncio.gather(*(optimizer.run(REQUEST, ("memory_dedup",), 100, None) for _ in range(5)))
    await optimizer.run(REQUEST, ("memory_dedup", "sha256_lru_cache"), 100, None)
    assert len(made) == 1
    assert made[0] is not threading.main_thread()


async def test_other_tasks_go_on_while_a_long_prompt_is_shortened() -> None:
    inside, go_on = threading.Event(), threading.Event()

    def wait(request: Request, scene: Scene) -> Request:
        inside.set()
        assert go_on.wait(20)
        return shorten(request, scene)

    optimizer = Optimizer({"memory_dedup": lambda: Doing(wait)})
    task = asyncio.create_task(optimizer.run(REQUEST, ("memory_dedup",), 20_000, None))
    assert await asyncio.to_thread(inside.wait, 20)
    go_on.set()
    assert (await task).request is not REQUEST


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (None, ("distill_compression",)),
        ("off", ()),
        ("", ()),
        (" memory_dedup , Distill_Compression,memory_dedup", ("memory_dedup", "distill_compression")),
    ],
)
def test_a_request_chooses_its_stages(asked: str | None, expected: tuple[str, ...]) -> None:
    headers = {} if asked is None else {"x-lynkr-optimize": asked}
    assert stages_for(("distill_compression",), headers) == expected


def test_a_stage_that_does_not_exist_is_refused() -> None:
    with pytest.raises(WireError, match="There is no stage 'magic'"):
        stages_for((), {"x-lynkr-optimize": "distill_compression, magic"})
