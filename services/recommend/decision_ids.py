"""Decision ids: UUIDs of version 7 (RFC 9562), ascending within a process."""

from collections.abc import Callable
from dataclasses import dataclass

_COUNTER_BITS = 12
_RANDOM_BITS = 62


@dataclass(slots=True)
class DecisionIds:
    """Gives out ids: 48 bits of real time in ms, a 12-bit counter, 62 random bits.

    Where one millisecond needs more than 4,096 ids, or the clock steps back, the time in the id
    runs ahead of the clock, so that ids keep ascending. `draw(k)`: k random bits.
    """

    draw: Callable[[int], int]
    _last: int = 0

    def next(self, real_ms: int) -> str:
        """A new id, as text."""
        self._last = max(self._last + 1, real_ms << _COUNTER_BITS)
        ms, counter = self._last >> _COUNTER_BITS, self._last & 0xFFF
        value = ms << 80 | 7 << 76 | counter << 64 | 2 << 62 | self.draw(_RANDOM_BITS)
        text = f"{value:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
