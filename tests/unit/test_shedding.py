"""Load shedding: what counts as pressure, who is refused first, and when all are taken again."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from lynkr_desktop.engine.config.resilience import SheddingOptions
from lynkr_desktop.engine.resilience.shedding import Pressure
from lynkr_desktop.engine.wire.errors import WireError


@dataclass
class Machine:
    """Measures that a test sets."""

    now: float = 0.0
    active: int = 0
    age: float = 0.0
    memory: int = 100 * 1024**2
    pressure: Pressure = field(init=False)

    def __post_init__(self) -> None:
        self.pressure = Pressure(
            lambda: self.active, lambda: self.age, lambda: self.memory, clock=lambda: self.now
        )

    def run(self, seconds: float, late: float = 0.0) -> int:
        """So many seconds, in which every tick comes late; the level at their end."""
        until = self.now + seconds
        while self.now < until:
            self.now += 0.1 + late
            self.pressure.sample(late)
        return self.pressure.level


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_at_rest_all_are_taken(machine: Machine) -> None:
    assert machine.run(60) == 0
    assert machine.pressure.refuse("low") is None
    assert machine.pressure.refuse("normal") is None
    assert machine.pressure.reason == ""


def test_one_long_pause_is_no_pressure_a_loop_that_stays_behind_is(machine: Machine) -> None:
    machine.run(5)
    machine.pressure.sample(8.0)
    assert machine.run(2) == 0
    assert machine.run(12, late=1.5) == 2
    error = machine.pressure.refuse("normal")
    assert isinstance(error, WireError)
    assert (error.status, error.kind) == (503, "overloaded")
    assert error.retry_after is not None
    assert "1.5 s behind" in error.message
    assert "resilience.shedding.max_lag" in error.message
    assert machine.run(2) == 0


@pytest.mark.parametrize("cause", ["memory", "in_flight", "queue"])
def test_who_nobody_waits_for_is_refused_first_and_taken_last(machine: Machine, cause: str) -> None:
    machine.pressure.options = SheddingOptions(
        max_memory=1000 * 1024**2, max_in_flight=1000, max_queue_age=1000
    )

    def load(part: float) -> int:
        match cause:
            case "memory":
                machine.memory = int(part * 1000 * 1024**2)
            case "in_flight":
                machine.active = int(part * 1000)
            case "queue":
                machine.age = part * 1000
        return machine.run(2)

    assert load(0.7) == 0
    assert load(0.8) == 1
    assert machine.pressure.refuse("low", status=529).status == 529  # type: ignore[union-attr]
    assert machine.pressure.refuse("normal") is None
    assert machine.pressure.refuse("high") is None
    assert machine.pressure.refuse(None) is None, "a request whose priority is not known yet is read"
    assert load(1.0) == 2
    assert machine.pressure.refuse("high") is not None
    assert machine.pressure.refuse(None) is not None
    # Around a limit it does not go to and fro.
    assert [load(part) for part in (0.97, 1.0, 0.9, 0.85)] == [2, 2, 2, 2]
    assert [load(part) for part in (0.79, 0.7, 0.65)] == [1, 1, 1]
    assert load(0.5) == 0
    assert machine.pressure.shed == {**dict.fromkeys(machine.pressure.shed, 0), cause: 3}


def test_the_wait_for_providers_is_measured_by_that_which_queues_allow(machine: Machine) -> None:
    machine.pressure.longest_wait = 600
    machine.age = 300
    assert machine.run(2) == 0
    machine.pressure.longest_wait = 60
    assert machine.run(2) == 2


def test_switched_off_it_measures_and_refuses_nothing(machine: Machine) -> None:
    machine.pressure.options = SheddingOptions(enabled=False)
    machine.memory, machine.active = 10**12, 10**6
    assert machine.run(15, late=0.9) == 0
    assert machine.pressure.refuse("low") is None
    assert machine.pressure.memory == 10**12
