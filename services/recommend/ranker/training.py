"""Training of the ranker: trees and calibration from logged rankings, as a part of a model version.

Called by training with what the decisions' records gave (rankings.joined). The oldest four fifths
are learned from; on the newest fifth the number of trees, whether places are made up for, and how
many trees are worth their time are chosen, scores become chances, and the linear ranker is
compared with. Deterministic: one thread, fixed seed.
"""

from collections.abc import Callable
from dataclasses import asdict
from types import ModuleType
from typing import Any, Final

import numpy as np

from services.recommend.arrays import Scores
from services.recommend.features import DEFAULT_WEIGHTS
from services.recommend.ranker.boosting import (
    FIRST_PLACE,
    POSITION,
    Boosted,
    Boosting,
    boost,
    lightgbm,
)
from services.recommend.ranker.calibration import Sigmoid, fit_sigmoid
from services.recommend.ranker.measures import ndcg
from services.recommend.ranker.rankings import Rankings
from services.recommend.ranker.trees import Trees
from shared.models.part import Part

PART: Final = "ranker"
FEWEST: Final = 200
"""Rankings with a click below which nothing is learned."""
HELD_OUT: Final = 0.2
MOST_STEPS: Final = 200
"""Steps down the trees for one candidate: 100 candidates take about 40 microseconds."""
WORTH: Final = 0.002
"""nDCG that more trees must bring for their time."""
GRID: Final = tuple(
    Boosting(leaves=leaves, least=least, debias=debias)
    for leaves, least in ((8, 20), (16, 50))
    for debias in (False, True)
)


def train_ranker(rankings: Rankings, seed: int, say: Callable[[str], None]) -> Part | None:
    """Train, or say why not: then the linear ranker stays."""
    module = lightgbm()
    if module is None:
        say("ranker: LightGBM or the system's OpenMP is missing; the linear ranker stays")
        return None
    usable = rankings.with_clicks()
    if len(usable) < FEWEST:
        say(
            f"ranker: {len(usable)} rankings with a click, {FEWEST} are needed; the linear ranker"
            " stays"
        )
        return None
    earlier, later = split(usable)
    trees, names, how = _choose(module, earlier, later, seed)
    placed = trees.placed(places_of(names, rankings.names), held_of(names))
    _, everything = split(rankings)
    scores = placed.score(everything.features)
    clicks = fit_sigmoid(scores, everything.clicked)
    conversions = fit_sigmoid(scores, everything.converted)
    reached = float(ndcg(placed.score(later.features), later.gains(), later.sizes).mean())
    linear = float(ndcg(linear_scores(later), later.gains(), later.sizes).mean())
    say(f"ranker: nDCG@10 {reached:.4f} on the newest rankings, linear {linear:.4f}")
    facts: dict[str, Any] = {
        "names": list(rankings.names),
        "settings": asdict(how),
        "trees": len(placed),
        "steps": int(placed.depth.sum()),
        "rankings": len(usable),
        "ndcg10": round(reached, 5),
        "ndcg10_linear": round(linear, 5),
        "better": reached > linear,
        "click": _fact(clicks),
        "conversion": _fact(conversions),
    }
    return Part(PART, {name: getattr(placed, name) for name in _ARRAYS}, facts)


_ARRAYS: Final = ("feature", "threshold", "child", "missing", "value", "root", "depth")


def trees_of(part: Part) -> Trees:
    """The trees that lie in a part."""
    # copies: what lies in a store may be read-only, which compiled code does not take
    arrays: Any = [np.array(part.arrays[name]) for name in _ARRAYS]
    return Trees(*arrays)


def split(rankings: Rankings, share: float = HELD_OUT) -> tuple[Rankings, Rankings]:
    """The earlier rankings, and the newest share of them."""
    cut = len(rankings) - max(1, int(len(rankings) * share))
    places = np.arange(len(rankings))
    return rankings.only(places[:cut]), rankings.only(places[cut:])


def places_of(names: tuple[str, ...], columns: tuple[str, ...]) -> list[int]:
    """Of each name its column, -1 where there is none."""
    found = {name: at for at, name in enumerate(columns)}
    return [found.get(name, -1) for name in names]


def held_of(names: tuple[str, ...]) -> dict[int, float]:
    """Which features ranking holds constant."""
    return {names.index(POSITION): FIRST_PLACE} if POSITION in names else {}


def linear_scores(rankings: Rankings) -> Scores:
    """As LinearRanker scores what was logged."""
    weights = np.array([DEFAULT_WEIGHTS.get(name, 0.0) for name in rankings.names])
    known: Scores = np.nan_to_num(rankings.features)
    total: Scores = (known * weights).sum(axis=1)
    return total


def _choose(
    module: ModuleType, earlier: Rankings, later: Rankings, seed: int
) -> tuple[Trees, tuple[str, ...], Boosting]:
    """Of all settings what ranks the later rankings best, with no more trees than pay."""
    best: tuple[float, Boosted, Boosting] | None = None
    for how in GRID:
        made = boost(module, earlier, later, how, seed)
        reached = _reached(made, made.trees, later)
        if best is None or reached > best[0]:
            best = reached, made, how
    assert best is not None  # noqa: S101  (GRID is not empty)
    return _pruned(best[1], later), best[1].names, best[2]


def _pruned(made: Boosted, later: Rankings) -> Trees:
    """As few of the first trees as come within WORTH of what all of them reach that are in time."""
    steps = np.cumsum(made.trees.depth)
    most = max(1, int(np.searchsorted(steps, MOST_STEPS, side="right")))
    counts = sorted({max(1, round(most * share)) for share in (0.1, 0.2, 0.4, 0.6, 0.8, 1.0)})
    reached = [_reached(made, made.trees.first(count), later) for count in counts]
    enough = next(at for at, value in enumerate(reached) if value >= max(reached) - WORTH)
    return made.trees.first(counts[enough])


def _reached(made: Boosted, trees: Trees, later: Rankings) -> float:
    placed = trees.placed(places_of(made.names, later.names), held_of(made.names))
    return float(ndcg(placed.score(later.features), later.gains(), later.sizes).mean())


def _fact(sigmoid: Sigmoid | None) -> list[float] | None:
    return None if sigmoid is None else [sigmoid.slope, sigmoid.offset]
