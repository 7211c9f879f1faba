"""What every view reads: coalesced, never wrong about a switch, never stuck."""

from __future__ import annotations

import msgspec
import pytest
from PySide6.QtTest import QSignalSpy
from pytestqt.qtbot import QtBot

from lynkr_desktop.protocol.breakers import BreakerStatus
from lynkr_desktop.protocol.control import EngineStatus
from lynkr_desktop.protocol.events import (
    BreakerChanged,
    ConfigReloaded,
    ModelPull,
    RequestFinished,
    RequestStarted,
    StatusEvent,
)
from lynkr_desktop.protocol.tiers import Tier
from lynkr_desktop.ui.engine_model import KEPT_REQUESTS, EngineModel, Phase, Problem
from tools import demo


def enabled(model: EngineModel, tier: Tier) -> bool:
    return next(row.enabled for row in model.tiers if row.tier is tier)


def test_a_thousand_events_are_drawn_a_few_times(
    qtbot: QtBot, model: EngineModel, status: EngineStatus
) -> None:
    model.set_status(status)
    qtbot.waitSignal(model.changed, timeout=10_000).wait()
    spy = QSignalSpy(model.changed)
    row = demo.requests()[0]
    for number in range(1000):
        model.apply(RequestFinished(msgspec.structs.replace(row, id=str(number), at=row.at + number)))
    qtbot.wait(150)
    assert 1 <= spy.count() <= 2
    assert len(model.requests) == KEPT_REQUESTS
    assert model.requests[0].id == "999"


@pytest.mark.parametrize(
    ("state", "phase"),
    [("running", Phase.RUNNING), ("paused", Phase.PAUSED), ("draining", Phase.STOPPING)],
)
def test_the_engine_tells_the_phase(
    model: EngineModel, status: EngineStatus, state: str, phase: Phase
) -> None:
    model.set_status(msgspec.structs.replace(status, state=state))  # type: ignore[arg-type]
    assert model.phase is phase


def test_a_late_running_does_not_undo_stop(model: EngineModel, status: EngineStatus) -> None:
    model.set_status(status)
    model.set_phase(Phase.STOPPING)
    model.apply(StatusEvent(status))
    assert model.phase is Phase.STOPPING
    model.forget_engine()
    model.set_phase(Phase.STOPPED)
    assert model.startable


def test_a_problem_goes_when_the_engine_is_heard_again(model: EngineModel, status: EngineStatus) -> None:
    model.set_phase(Phase.PROBLEM, Problem(title="t", text="x"))
    model.set_status(status)
    assert model.phase is Phase.RUNNING
    assert model.problem is None


def test_a_switch_moves_at_once_and_goes_back_when_refused(model: EngineModel, status: EngineStatus) -> None:
    model.set_status(status)
    model.tier_pending(Tier.SIMPLE, False)
    assert not enabled(model, Tier.SIMPLE)
    model.apply(StatusEvent(status))  # sent before the engine saw the switch
    assert not enabled(model, Tier.SIMPLE)
    model.tier_settled(Tier.SIMPLE, None)
    assert enabled(model, Tier.SIMPLE)


def test_a_switch_that_was_taken_does_not_flicker(model: EngineModel, status: EngineStatus) -> None:
    model.set_status(status)
    model.tier_pending(Tier.MEDIUM, False)
    model.tier_settled(Tier.MEDIUM, False)
    assert not enabled(model, Tier.MEDIUM)


def test_requests_start_finish_and_survive_the_engine(model: EngineModel, status: EngineStatus) -> None:
    model.set_status(status)
    done, running = demo.requests()[:2]
    model.apply(RequestStarted(msgspec.structs.replace(done, status=0)))
    model.apply(RequestStarted(msgspec.structs.replace(running, status=0)))
    assert [row.status for row in model.requests] == [0, 0]
    model.apply(RequestFinished(done))
    model.forget_engine()
    assert [row.id for row in model.requests] == [done.id], "one that was cut off is not history"
    assert model.status is None
    assert model.history is not None


def test_a_download_is_followed(model: EngineModel, status: EngineStatus) -> None:
    model.set_status(status)
    further = msgspec.structs.replace(status.models[1], received=200_000_000)
    model.apply(ModelPull(further))
    model.apply(ModelPull(msgspec.structs.replace(further, id="unknown")))
    assert model.status is not None
    assert model.status.models == (status.models[0], further)


def test_a_taken_configuration_is_told_and_a_refused_one_is_not(model: EngineModel) -> None:
    told: list[str] = []
    model.notice.connect(told.append)
    model.apply(ConfigReloaded(path="/bad.yaml", error="line 3: no"))
    model.apply(ConfigReloaded(path="/good.yaml"))
    assert told == ["Configuration taken from /good.yaml"]


def test_a_model_that_is_not_asked_any_more_is_told_once(model: EngineModel) -> None:
    told: list[str] = []
    model.notice.connect(told.append)
    for state in ("open", "half_open", "open", "half_open", "closed"):
        model.apply(BreakerChanged(BreakerStatus(name="openai/gpt-4o", state=state)))
    assert len(told) == 1
    assert told[0].startswith("openai/gpt-4o is not asked for now")
    model.apply(BreakerChanged(BreakerStatus(name="openai/gpt-4o", state="open")))
    assert len(told) == 2
