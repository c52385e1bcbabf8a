"""Learning about items by offering them: Thompson sampling in one slot, with exact propensities.

Between the arrangement and the answer in `pipeline`. Of each item a few draws of its click rate are
kept, out of the Beta posterior that the item statistics leave (Thompson 1933; Chapelle and Li
2011). For each of the draws one of the arms has the highest; a decision picks one draw by lot. So
the chance of an arm is the share of draws it wins times the chance that the slot explores at all:
counted, not estimated. Pure: the lot follows from the decision's id.
"""

import hashlib
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.recommend.arrays import Numbers, Scores, grown
from services.recommend.compiled import compiled
from services.recommend.diversity import CodeTable, Floats
from services.recommend.statistics import KINDS

DRAWS: Final = 32
MOST_ARMS: Final = 64
UNCERTAIN: Final = 500
"""Shown as often, an item is known well enough to be ranked by what is known."""
PRIOR_SHOWN: Final = 20.0
"""How often an item is taken to have been shown, at its category's rate, before it was."""
PRIOR_OF_A_CATEGORY: Final = 100.0
FIRST_RATE: Final = 0.05
TURNS: Final = 64
"""Refreshes after which each item's draws have been drawn anew, whether its counts moved or not."""
SLOT: Final = 5
"""The slot that explores, or the last one where there are fewer."""
_LOTS: Final = hashlib.blake2b(digest_size=16, person=b"explore")
_SHOWN: Final = KINDS.index("shown")
_CLICKED: Final = KINDS.index("clicked")


@dataclass(slots=True)
class Posteriors:
    """By row: `draws` of the click rate, float32[rows, DRAWS]; how often shown and clicked."""

    draws: Floats = field(default_factory=lambda: np.zeros((0, DRAWS), dtype=np.float32))
    shown: Numbers = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    _clicked: Numbers = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    _size: int = 0
    _turn: int = 0

    def refresh(self, counts: NDArray[np.int64], categories: NDArray[np.int32]) -> None:
        """Draw anew for the rows whose counts (by row, a column for each of statistics.KINDS)
        moved, for new rows, and in turn for others. categories: codes by row."""
        size = len(counts)
        self._grow(size)
        shown, clicked = counts[:, _SHOWN], np.minimum(counts[:, _CLICKED], counts[:, _SHOWN])
        moved = (shown != self.shown[:size]) | (clicked != self._clicked[:size])
        moved[self._size :] = True
        moved[self._turn % TURNS :: TURNS] = True
        rows = np.flatnonzero(moved)
        prior = PRIOR_SHOWN * rates(shown, clicked, categories[:size])[rows]
        draws = np.random.default_rng(self._turn).beta(
            (prior + clicked[rows])[:, None],
            (PRIOR_SHOWN - prior + shown[rows] - clicked[rows])[:, None],
            (len(rows), DRAWS),
        )
        self.draws[rows] = draws
        self.shown[:size], self._clicked[:size] = shown, clicked
        self._size = size
        self._turn += 1

    def known(self, row: int) -> tuple[int, int]:
        """How often an item was shown, and clicked of that."""
        return (int(self.shown[row]), int(self._clicked[row])) if row < self._size else (0, 0)

    def _grow(self, size: int) -> None:
        if size > len(self.draws):
            larger = np.zeros((max(size, 2 * len(self.draws)), DRAWS), dtype=np.float32)
            larger[: len(self.draws)] = self.draws
            self._clicked = grown(self._clicked, len(larger))
            self.shown, self.draws = grown(self.shown, len(larger)), larger


def rates(shown: Numbers, clicked: Numbers, categories: NDArray[np.int32]) -> Scores:
    """By row the click rate of its category, drawn towards the shop's; strictly between 0 and 1."""
    shop = (clicked.sum() + FIRST_RATE * PRIOR_SHOWN) / (shown.sum() + PRIOR_SHOWN)
    # the first place stands for no category
    kinds = categories + 1
    seen = np.bincount(kinds, weights=shown, minlength=1)
    liked = np.bincount(kinds, weights=clicked, minlength=1)
    rate = (liked + PRIOR_OF_A_CATEGORY * shop) / (seen + PRIOR_OF_A_CATEGORY)
    held: Scores = np.clip(rate, 1e-4, 1.0 - 1e-4)[kinds]
    return held


class Lot(NamedTuple):
    """What a decision's id drew: whether to explore (in [0, 1), against the share), which draw."""

    explore: float
    draw: int


def lot_of(decision_id: str) -> Lot:
    """The lot that follows from a decision's id alone."""
    hashed = _LOTS.copy()
    hashed.update(decision_id.encode())
    digest = hashed.digest()
    high, low = int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:], "big")
    return Lot((high >> 11) / (1 << 53), low % DRAWS)


@compiled(
    "int64[::1](int64[::1], int64[::1], int64, int32[:, ::1], int64, boolean[::1], int64[::1])"
)
def arms_of(
    rows: Numbers,
    chosen: Numbers,
    slot: int,
    codes: CodeTable,
    limit: int,
    new: NDArray[np.bool_],
    shown: Numbers,
) -> Numbers:
    """Places of the candidates that may stand in the slot to be learned about: the first MOST_ARMS
    that are new or were shown less than UNCERTAIN times, are not shown elsewhere, and keep to the
    limit of a category. chosen: places that are shown, the slot's own among them."""
    taken = np.zeros(len(rows), dtype=np.bool_)
    for at in range(len(chosen)):
        taken[chosen[at]] = at != slot
    arms = np.empty(min(MOST_ARMS, len(rows)), dtype=np.int64)
    count = 0
    for place in range(len(rows)):
        row = rows[place]
        if taken[place] or row >= len(shown) or count == len(arms):
            continue
        if not new[place] and shown[row] >= UNCERTAIN:
            continue
        same = 0
        for at in range(len(chosen)):
            same += at != slot and codes[chosen[at], 0] == codes[place, 0]
        if same < limit or codes[place, 0] < 0:
            arms[count] = place
            count += 1
    return arms[:count].copy()


@compiled(
    "Tuple((int64, int64, float64))(int64[::1], int64[::1], int64, float32[:, ::1], float64,"
    " Tuple((float64, int64)))"
)
def fill_slot(
    rows: Numbers,
    arms: Numbers,
    settled: int,
    draws: Floats,
    share: float,
    lot: tuple[float, int],
) -> tuple[int, int, float]:
    """Who stands in the slot: its place among `rows`, how many of the draws it wins where it was
    put there to learn (else 0), and its chance to stand there. settled: who stands there else;
    equal draws go to the arm that comes first."""
    if len(arms) == 0:
        return settled, 0, 1.0
    wins = np.zeros(len(arms), dtype=np.int64)
    drawn = own = 0
    for which in range(DRAWS):
        best = 0
        for arm in range(1, len(arms)):
            if draws[rows[arms[arm]], which] > draws[rows[arms[best]], which]:
                best = arm
        wins[best] += 1
        own += arms[best] == settled
        if which == lot[1]:
            drawn = best
    if lot[0] >= share:
        return settled, 0, 1.0 - share + share * own / DRAWS
    place, won = arms[drawn], wins[drawn]
    chance = share * won / DRAWS
    return place, won, chance + (1.0 - share if place == settled else 0.0)
