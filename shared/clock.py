"""Business time, which an embedded run may accelerate, and real time, which nobody may."""

import time
from dataclasses import dataclass
from typing import Protocol


class Now(Protocol):
    """Whoever can say the business time, and how fast it passes."""

    @property
    def speed(self) -> float:
        """Business time by real time."""

    def now_ms(self) -> int:
        """Business time now, epoch milliseconds."""


def real_now_ms() -> int:
    """Real epoch milliseconds: for freshness, latency and lateness only."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Clock:
    """Business time: sim_start + (real - real_start) x speed, all in epoch milliseconds."""

    real_start: int = 0
    sim_start: int = 0
    speed: float = 1.0

    @classmethod
    def parse(cls, text: str) -> "Clock":
        """`real_epoch_ms:sim_epoch_ms:speed`, or an empty text for real time."""
        if not text:
            return cls()
        try:
            real, sim, speed = text.split(":")
            clock = cls(int(real), int(sim), float(speed))
        except ValueError:
            raise ValueError("a clock is real_epoch_ms:sim_epoch_ms:speed") from None
        if not 0 < clock.speed <= 1_000_000:
            raise ValueError("a clock's speed is above 0 and at most 1,000,000")
        return clock

    def __str__(self) -> str:
        return f"{self.real_start}:{self.sim_start}:{self.speed}"

    @property
    def accelerated(self) -> bool:
        """Whether business time differs from real time."""
        return self != Clock()

    def now_ms(self) -> int:
        """Business time now, epoch milliseconds."""
        return self.at_real(real_now_ms())

    def at_real(self, real_ms: int) -> int:
        """The business time that stood at a real time."""
        return self.sim_start + int((real_ms - self.real_start) * self.speed)
