"""The shop's own reading of business time, which an embedded run accelerates.

The simulator shares no code with the services, so it parses the clock text by itself:
`real_epoch_ms:sim_epoch_ms:speed`.
"""

import time
from dataclasses import dataclass
from typing import Final

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS


@dataclass(frozen=True, slots=True)
class BusinessClock:
    """Business time = sim_start + (real - real_start) x speed, all in epoch milliseconds."""

    real_start: int = 0
    sim_start: int = 0
    speed: float = 1.0

    @classmethod
    def parse(cls, text: str) -> "BusinessClock":
        """Raises ValueError where the text is no clock; an empty text is real time."""
        if not text:
            return cls()
        real, sim, speed = text.split(":")
        clock = cls(int(real), int(sim), float(speed))
        if clock.speed <= 0:
            raise ValueError("a clock's speed is above 0")
        return clock

    def now(self) -> int:
        """Business epoch milliseconds."""
        real = time.time_ns() // 1_000_000
        return self.sim_start + int((real - self.real_start) * self.speed)

    def real(self, business: int) -> int:
        """The real epoch milliseconds of a business time."""
        return self.real_start + int((business - self.sim_start) / self.speed)

    def real_seconds(self, business_ms: float) -> float:
        """How long a span of business time lasts in real seconds."""
        return business_ms / self.speed / 1000
