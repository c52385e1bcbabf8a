"""A clock that leaps is believed once the leap has stood for a minute."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.profile.steady_clock import CONFIRMED_S, LEAP_MS, SteadyClock, since_boot
from shared.clock import Clock

NOW = 1_795_000_000_000
HOUR = 3_600_000


class Machine:
    """A machine whose clock is set by hand."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.real, self.steady = NOW, 5.0
        self.clock = SteadyClock(clock or Clock(), lambda: self.real, lambda: self.steady)

    def wait(self, seconds: float) -> None:
        self.real += int(seconds * 1_000)
        self.steady += seconds

    @property
    def shown(self) -> int:
        return self.clock.now_ms() - NOW


def test_time_goes_on_as_the_clock_says() -> None:
    machine = Machine()
    assert machine.shown == 0
    machine.wait(12.5)
    assert machine.shown == 12_500


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="a clock of Linux")
def test_the_hours_that_a_machine_slept_are_no_leap(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = {time.CLOCK_BOOTTIME: 36_000.0, time.CLOCK_MONOTONIC: 5.0}
    monkeypatch.setattr(time, "clock_gettime", clocks.__getitem__)
    assert since_boot() == 36_000.0


def test_small_corrections_are_taken_as_they_come() -> None:
    machine = Machine()
    for _ in range(10):
        machine.real += LEAP_MS - 1
        machine.clock.now_ms()
    assert machine.shown == 10 * (LEAP_MS - 1)


def test_a_leap_that_is_taken_back_never_was() -> None:
    machine = Machine()
    for leap in (400 * 24 * HOUR, -HOUR):
        before = machine.shown
        machine.real += leap
        for _ in range(5):
            machine.wait(10)
            assert machine.shown - before <= 50_000
        machine.real -= leap
        assert machine.shown == before + 50_000


def test_a_leap_that_stands_is_the_time() -> None:
    for leap in (HOUR, -HOUR):
        machine = Machine()
        machine.real += leap
        assert machine.shown == 0
        machine.wait(CONFIRMED_S - 1)
        assert machine.shown == (CONFIRMED_S - 1) * 1_000
        machine.wait(1)
        assert machine.shown == CONFIRMED_S * 1_000 + leap


def test_another_leap_is_doubted_anew() -> None:
    machine = Machine()
    machine.real += HOUR
    machine.clock.now_ms()
    machine.wait(40)
    machine.real += HOUR
    assert machine.shown == 40_000
    machine.wait(40)
    assert machine.shown == 80_000
    machine.wait(20)
    assert machine.shown == 100_000 + 2 * HOUR


def test_an_accelerated_clock_is_reckoned_from_the_believed_time() -> None:
    machine = Machine(Clock(NOW, NOW, 100.0))
    machine.wait(3)
    machine.real += HOUR
    assert machine.shown == 300_000


@given(st.lists(st.tuples(st.floats(0, 20), st.integers(-HOUR, HOUR)), max_size=30))
def test_the_time_shown_is_a_time_that_the_clock_stood_at(
    steps: list[tuple[float, int]],
) -> None:
    """Whatever happens to the clock: never further ahead of the steady one than it has been."""
    machine = Machine()
    aheads = [machine.real - machine.steady * 1_000]
    for seconds, leap in steps:
        machine.wait(seconds)
        machine.real += leap
        aheads.append(machine.real - machine.steady * 1_000)
        shown = machine.clock.now_ms() - machine.steady * 1_000
        assert min(aheads) - 2 <= shown <= max(aheads) + 2
    machine.clock.now_ms()
    machine.wait(CONFIRMED_S + 1)
    assert abs(machine.clock.now_ms() - machine.real) <= LEAP_MS
