"""Settings of session neighbours, and what of them compiled code takes: tables instead of powers.

Chosen by training (training/neighbour_search.py), kept with a model, read by neighbour_loops.py.
VMIS-kNN: Kersbergen, Sprangers and Schelter, "Serenade", SIGMOD 2022. VSTAN: Ludewig, Mauro,
Latifi and Jannach, "Empirical analysis of session-based recommendation algorithms", UMUAI 2021,
after STAN: Garg et al., SIGIR 2019.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Final

import numpy as np

from services.recommend.arrays import Scores

LONGEST_SESSION: Final = 20
"""Items kept of one session: of a longer one the first."""
COMMON: Final = 4_096
"""Items in fewer sessions than this find their rarity in a table."""

# Where what lies in the table of weights.
DECAY: Final = 0
RECENCY: Final = 1
IDF: Final = 2
RARITY: Final = 3
CHAIN: Final = 4
CURRENT: Final = 5
BACK: Final = 6
"""Then earlier; then the same two after a return."""
LINEAR: Final = 10
"""1 where positions count as in VMIS, else 0."""
FLAT: Final = 11
"""1 where distance from the shared item does not matter."""
POSITIONS: Final = 12
LENGTHS: Final = POSITIONS + LONGEST_SESSION
DISTANCES: Final = LENGTHS + LONGEST_SESSION + 1
LOGARITHMS: Final = DISTANCES + 2 * LONGEST_SESSION
POWERS: Final = LOGARITHMS + COMMON
SIZE: Final = POWERS + COMMON


@dataclass(frozen=True)
class NeighbourSettings:
    """How sessions are compared and what their items count. The defaults are VMIS-kNN's.

    newest: sessions looked at, of one item and in all; neighbours: of those, the most alike;
    last_items: how many different items of the shopper's session count.

    Likeness is the sum over shared items of their weight in the shopper's session, by distance d
    from its end (0: the newest of n): 1 - d / n where `position` is 0 (VMIS), else
    exp(-d / position) (STAN); times length^-`length` of the neighbour (0.5: the cosine of STAN);
    times exp(-a / recency) where a is how many sessions began since the neighbour (0: no decay).
    A neighbour's vote is its likeness, less `decay` of it for each step that the newest shared
    item lies back (VMIS).

    It goes to each of its items times exp(-(s - 1) / distance), s steps from that shared item
    (VSTAN; 0: no decay), times `before` for items that stand before it. `chain` is the share added
    for what came after the current item in the newest sessions with it, by 1 / s: sequential
    rules. Votes for an item are raised by 1 + idf x log(sessions / sessions with it) and divided
    by the sessions with it to the power of `rarity`.

    Items of the shopper's own session are multiplied: the newest by `current` (0: never named),
    the one before by `back`, the others by `earlier`; by `again_back` and `again_earlier` where
    the shopper had just come back to the newest.
    """

    newest: int = 100
    neighbours: int = 100
    last_items: int = 9
    position: float = 0.0
    decay: float = 0.1
    length: float = 0.0
    recency: float = 0.0
    distance: float = 0.0
    before: float = 1.0
    chain: float = 0.0
    idf: float = 1.0
    rarity: float = 0.0
    current: float = 1.0
    back: float = 1.0
    earlier: float = 1.0
    again_back: float = 1.0
    again_earlier: float = 1.0

    @classmethod
    def of(cls, kept: Mapping[str, float]) -> "NeighbourSettings":
        """Settings as a model has them: what is missing is the default, what is unknown is not
        looked at."""
        named: dict[str, float] = {
            setting.name: kept[setting.name] for setting in fields(cls) if setting.name in kept
        }
        whole = {name: int(named.pop(name)) for name in _WHOLE if name in named}
        return cls(**whole, **named)  # type: ignore[arg-type]

    def limits(self) -> tuple[int, int, int, Scores]:
        """What compiled code takes; see neighbours.LIMITS."""
        return self._packed

    @cached_property
    def _packed(self) -> tuple[int, int, int, Scores]:
        last_items = max(1, min(self.last_items, LONGEST_SESSION))
        return max(1, self.newest), max(1, self.neighbours), last_items, self._weights()

    def _weights(self) -> Scores:
        weights = np.zeros(SIZE)
        weights[:BACK] = [
            self.decay,
            self.recency,
            self.idf,
            self.rarity,
            self.chain,
            self.current,
        ]
        weights[BACK:LINEAR] = [self.back, self.earlier, self.again_back, self.again_earlier]
        weights[LINEAR] = self.position == 0.0
        weights[FLAT] = self.distance == 0.0 and self.before == 1.0
        steps = np.arange(LONGEST_SESSION)
        weights[POSITIONS:LENGTHS] = np.exp(-steps / (self.position or np.inf))
        weights[LENGTHS + 1 : DISTANCES] = (steps + 1.0) ** -self.length
        away = np.arange(-LONGEST_SESSION, LONGEST_SESSION)
        fading = np.exp(-np.maximum(np.abs(away) - 1, 0) / (self.distance or np.inf))
        weights[DISTANCES:LOGARITHMS] = np.where(away < 0, self.before * fading, fading)
        frequencies = np.arange(1.0, COMMON)
        weights[LOGARITHMS + 1 : POWERS] = np.log(frequencies)
        weights[POWERS + 1 :] = frequencies**-self.rarity
        return weights


_WHOLE: Final = ("newest", "neighbours", "last_items")
