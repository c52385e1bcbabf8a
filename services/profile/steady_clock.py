"""Business time for timers by a machine's clock that somebody may set.

A clock that leaps far is not believed at once: a leap forward would find months of timers past
their life and pass them over, and nothing brings them back when the clock is set right again. For a
minute the time goes on as the steady clock of the machine counts it, so timers keep their times by
that one; a leap that stands that long is what the time is. Corrections of up to a minute, as time
services make them, are taken as they come: no message lives for so short a time that they could
cost it. A machine that slept has not leapt: its steady clock counted on.
"""

import time
from collections.abc import Callable
from typing import Final

from services.profile import metrics
from shared.clock import Clock, real_now_ms

LEAP_MS: Final = 60_000
CONFIRMED_S: Final = 60.0
_STEADY: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""On Linux the monotonic clock stands still while a machine sleeps; elsewhere it goes on."""


def since_boot() -> float:
    """Seconds that have passed since some moment, whether or not the machine slept."""
    return time.clock_gettime(_STEADY)


class SteadyClock:
    """A clock that takes a while to believe a leap. One for a process: all of it has one time."""

    def __init__(
        self,
        clock: Clock,
        real: Callable[[], int] = real_now_ms,
        steady: Callable[[], float] = since_boot,
    ) -> None:
        self._clock = clock
        self._real = real
        self._steady = steady
        self._ahead = real() - steady() * 1_000
        """Of the steady clock, ms: what is believed."""
        self._doubted: float | None = None
        """How far ahead the clock says it is since `_since`."""
        self._since = 0.0

    @property
    def speed(self) -> float:
        """Business time by real time."""
        return self._clock.speed

    def now_ms(self) -> int:
        """Business time, epoch ms."""
        steady = self._steady()
        ahead = self._real() - steady * 1_000
        if abs(ahead - self._ahead) <= LEAP_MS or self._confirmed(ahead, steady):
            self._ahead, self._doubted = ahead, None
        return self._clock.at_real(int(self._ahead + steady * 1_000))

    def _confirmed(self, ahead: float, steady: float) -> bool:
        """Whether a leap has stood long enough."""
        if self._doubted is None or abs(ahead - self._doubted) > LEAP_MS:
            metrics.CLOCK_LEAPS.inc()
            self._doubted, self._since = ahead, steady
        return steady - self._since >= CONFIRMED_S
