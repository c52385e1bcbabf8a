"""What each offer rests on, found in one compiled call; explain.py puts it into reasons.

Sixth step of `pipeline`. Pure.
"""

from typing import Final

import numpy as np

from services.recommend.arrays import Numbers
from services.recommend.candidates.listed import LISTS, weight_of
from services.recommend.candidates.neighbour_loops import INDEX, SessionArrays, holders
from services.recommend.candidates.short_lists import ListArrays
from services.recommend.compiled import compiled
from services.recommend.features import FEATURES, Matrix

MOST_REASONS: Final = 2
NOTHING: Final = -1
WIDTH: Final = 3
"""Numbers a reason: the feature (by place in FEATURES), and what of it, see `ground`."""
_NAMES: Final = tuple(FEATURES)
EXPLAINED: Final = len(_NAMES)
SESSION: Final = _NAMES.index("session")
TOGETHER: Final = _NAMES.index("together")


@compiled("int64[:, ::1](float64[:, ::1])")
def _strongest(moved: Matrix) -> Numbers:
    """By item the features that raised its score most, of equal ones the first named, among
    those that reasons can be given for."""
    found = np.full((len(moved), MOST_REASONS), NOTHING)
    for item in range(len(moved)):
        for place in range(MOST_REASONS):
            most = 0.0
            for feature in range(min(moved.shape[1], EXPLAINED)):
                value = moved[item, feature]
                if value > most and (place == 0 or feature != found[item, 0]):
                    most = value
                    found[item, place] = feature
    return found


@compiled(f"int64(int64, int64[::1], {LISTS})")
def cause(item: int, anchors: Numbers, partners: ListArrays) -> int:
    """Which anchor an item goes with best, NOTHING where it goes with none of them."""
    numbers, cosines, lengths = partners
    cause, most = NOTHING, 0.0
    for at in range(len(anchors)):
        where = anchors[at]
        for place in range(lengths[where] if where >= 0 else 0):
            score = cosines[where, place] * weight_of(at)
            if numbers[where, place] == item and score > most:
                cause, most = at, score
    return cause


@compiled(
    f"int64[:, ::1](float64[:, ::1], int64[::1], int64[:, ::1], int64[::1], int64[::1], {INDEX},"
    f" {LISTS})"
)
def ground(
    moved: Matrix,
    items: Numbers,
    neighbours: Numbers,
    asked: Numbers,
    anchors: Numbers,
    index: SessionArrays,
    partners: ListArrays,
) -> Numbers:
    """A row an item (numbers): WIDTH numbers for each of its reasons, the strongest first.

    The feature, NOTHING where there is no such reason; then of SESSION how many neighbours hold
    the item, and the newest place (1 = oldest, in `asked`) they share that is not the item itself
    (0: none); of TOGETHER which anchor it goes with.
    """
    rows, lengths, votes = index[6], index[7], index[9]
    held = holders(rows, lengths, neighbours[0], neighbours[1], asked, items, votes)
    strongest = _strongest(moved)
    found = np.zeros((len(items), MOST_REASONS * WIDTH), dtype=np.int64)
    for item in range(len(items)):
        for place in range(MOST_REASONS):
            feature, at = strongest[item, place], place * WIDTH
            if feature == SESSION:
                found[item, at + 1] = held[item, 0]
                found[item, at + 2] = held[item, 1]
                feature = feature if held[item, 0] else NOTHING
            elif feature == TOGETHER:
                found[item, at + 1] = cause(items[item], anchors, partners)
                feature = feature if found[item, at + 1] >= 0 else NOTHING
            found[item, at] = feature
    return found
