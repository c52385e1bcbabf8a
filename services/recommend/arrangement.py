"""From ranked candidates to the offers shown: value, diversity, promotions, one slot to learn in.

Between the ranker and explain.py in `pipeline`; one compiled call. Pure.
"""

from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from services.recommend.arrays import Codes, Numbers, Scores
from services.recommend.asking import Ask
from services.recommend.candidates.pool import Pool
from services.recommend.candidates.pool_loops import FIRST, NEW, PROMOTED
from services.recommend.catalogue.columns import NONE
from services.recommend.catalogue.index import Catalogue
from services.recommend.compiled import compiled
from services.recommend.diversity import NO_LIMIT, CodeTable, Floats, choose, most_of_one
from services.recommend.exploration import SLOT, Posteriors, arms_of, fill_slot, lot_of
from services.recommend.ranking import Ranked

Likeness: TypeAlias = tuple[Codes, Codes, CodeTable, Floats, Numbers]
"""Category and brand by row; codes of further fields, a row a candidate; unit vectors by item
number, and item numbers by row."""
Lottery: TypeAlias = tuple[Floats, Numbers, float, float, int]
"""Draws and shown by row (exploration.Posteriors); the share that explores; the lot."""
Limits: TypeAlias = tuple[int, float, int, int, float]
"""n, surprise, most of one category while there are others, and at all; the promised share."""

LIKENESS: Final = "Tuple((int32[::1], int32[::1], int32[:, ::1], float32[:, ::1], int64[::1]))"
LOTTERY: Final = "Tuple((float32[:, ::1], int64[::1], float64, float64, int64))"
_BRAND: Final = 1 << 24
_FIELD: Final = 1 << 25
_CATEGORY_SHARE: Final = FIRST.index("category")
_BRAND_SHARE: Final = FIRST.index("brand")
_SEEN: Final = FIRST.index("seen")
_NO_CODES: Final = np.zeros((0, 0), dtype=np.int32)


class Arranged(NamedTuple):
    """places: of the shown among the ranked, in their order; promoted: whether each is; slot: which
    of them may be there to be learned about; wins: of how many draws it was the best where it is,
    else 0; propensities: each one's chance to be shown where it is."""

    places: Numbers
    promoted: list[bool]
    slot: int
    wins: int
    propensities: list[float]


@compiled(f"int32[:, ::1](int64[::1], {LIKENESS})")
def codes_of(rows: Numbers, alike: Likeness) -> CodeTable:
    """The codes by which candidates are alike, those of different fields apart; category first."""
    category, brand, further, _, _ = alike
    codes = np.empty((len(rows), 2 + further.shape[1]), dtype=np.int32)
    for at in range(len(rows)):
        codes[at, 0] = category[rows[at]]
        codes[at, 1] = brand[rows[at]] + _BRAND if brand[rows[at]] >= 0 else NONE
        for column in range(further.shape[1]):
            codes[at, 2 + column] = further[at, column]
    return codes


@compiled(f"float32[:, ::1](int64[::1], {LIKENESS})")
def vectors_of(rows: Numbers, alike: Likeness) -> Floats:
    """The candidates' unit vectors, a row each, 0 where one has none."""
    units, number_of = alike[3], alike[4]
    vectors = np.zeros((len(rows), units.shape[1]), dtype=np.float32)
    for at in range(len(rows)):
        number = number_of[rows[at]]
        if number < len(units):
            vectors[at] = units[number]
    return vectors


@compiled("float64[::1](float64[:, ::1])")
def familiarity(features: Scores) -> Scores:
    """How much of each candidate the shopper knows, 0 to 1, by the first stage's features."""
    known = np.empty(len(features))
    for at in range(len(features)):
        liked = 0.5 * (features[at, _CATEGORY_SHARE] + features[at, _BRAND_SHARE])
        known[at] = min(1.0, liked + 0.5 * features[at, _SEEN])
    return known


@compiled(
    "Tuple((int64[::1], boolean[::1], int64, int64, float64))(int64[::1], float64[::1],"
    " float64[:, ::1], int64[::1], float64[:, ::1], int64[::1],"
    f" Tuple((int64, float64, int64, int64, float64)), {LIKENESS}, {LOTTERY})"
)
def _arranged(
    rows: Numbers,
    values: Scores,
    features: Scores,
    pooled: Numbers,
    signals: Scores,
    place: Numbers,
    limits: Limits,
    alike: Likeness,
    lottery: Lottery,
) -> tuple[Numbers, NDArray[np.bool_], int, int, float]:
    n, surprise, most, limit, promised = limits
    draws, shown, share, lot, draw = lottery
    # the two are replaced one after the other where the catalogue grows
    shown = shown[: len(draws)]
    for at in range(len(pooled)):
        place[pooled[at]] = at
    order = np.argsort(-values, kind="mergesort")
    codes, familiar = codes_of(rows, alike)[order], familiarity(features)[order]
    rows, values = rows[order], values[order]
    promoted = np.zeros(len(rows), dtype=np.bool_)
    new = np.zeros(len(rows), dtype=np.bool_)
    for at in range(len(rows)):
        promoted[at] = signals[place[rows[at]], PROMOTED] > 0.0
        new[at] = signals[place[rows[at]], NEW] > 0.0
    vectors = vectors_of(rows if surprise > 0.0 else rows[:0], alike)
    if len(vectors) < len(rows):
        vectors = np.zeros((len(rows), 0), dtype=np.float32)
    bounds = (n, surprise, most, limit)
    chosen = choose(values, codes, vectors, familiar, bounds, (promoted, promised))
    slot = min(SLOT, len(chosen)) - 1
    while promised > 0.0 and slot >= 0 and promoted[chosen[slot]]:
        slot -= 1
    wins, chance = 0, 1.0
    if slot >= 0 and share > 0.0:
        arms = arms_of(rows, chosen, slot, codes, limit, new, shown)
        settled = chosen[slot]
        chosen[slot], wins, chance = fill_slot(rows, arms, settled, draws, share, (lot, draw))
    return order[chosen], promoted[chosen], slot, wins, chance


def arrange(
    ranked: Ranked,
    values: Scores,
    pool: Pool,
    ask: Ask,
    alike: Likeness,
    posteriors: Posteriors,
    place: Numbers,
    decision_id: str,
) -> Arranged:
    """Which of the ranked (values: what each is expected to bring; of equal ones who is ranked
    first comes first) are shown, and where. place: scratch by row."""
    limit = NO_LIMIT if ask.most_of_category is None else ask.most_of_category
    share = 0.0 if ask.promotions is None else ask.promotions.share
    chosen, promoted, slot, wins, chance = _arranged(
        ranked.rows,
        values,
        ranked.features,
        pool.rows,
        pool.signals,
        place,
        (ask.n, ask.surprise, min(most_of_one(ask.n), limit), limit, share),
        alike,
        (posteriors.draws, posteriors.shown, ask.explore, *lot_of(decision_id)),
    )
    propensities = [1.0] * len(chosen)
    if slot >= 0:
        propensities[slot] = chance
    return Arranged(chosen, promoted.tolist(), slot, wins, propensities)


def further_codes(catalogue: Catalogue, names: tuple[str, ...], rows: Numbers) -> CodeTable:
    """The codes of declared fields by which items are alike, a row for each of the rows."""
    found = []
    for which, name in enumerate(names, start=1):
        column = catalogue.fields.column(name)
        if column is None or not len(column.codes):
            continue
        codes = column.codes[np.minimum(rows, len(column.codes) - 1)]
        codes = np.where(codes >= 0, codes + which * _FIELD, NONE)
        codes[rows >= len(column.codes)] = NONE
        found.append(codes)
    if not found:
        return _NO_CODES
    return np.ascontiguousarray(np.concatenate(found, axis=1), dtype=np.int32)
