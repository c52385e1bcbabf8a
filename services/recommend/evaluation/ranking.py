"""`attune evaluate ranking`: which of the items shown are clicked?

Rankings with a click, in order of time: the last fifth is the test; of the rest the last fifth is
where settings are chosen and trees are stopped. The test is read once, at the end. Pure.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np

from services.recommend.arrays import Numbers, Scores
from services.recommend.evaluation.ranking_events import read_events, read_items
from services.recommend.evaluation.ranking_replay import ORDER, replay
from services.recommend.evaluation.scores import interval
from services.recommend.features import Matrix
from services.recommend.ranker.boosting import Boosting, boost, lightgbm
from services.recommend.ranker.measures import ndcg, reciprocal_ranks
from services.recommend.ranker.rankings import Rankings
from services.recommend.ranker.training import split
from shared.errors import InvalidInput

SHIPPED: Final = "lambdamart"
BLIND: Final = "lambdamart-without-order"
FEWEST: Final = 50
"""Rankings with a click without which there is nothing to split."""
GRID: Final = tuple(
    Boosting(leaves=leaves, least=least, burn_in=burn_in)
    for leaves, least in ((8, 20), (8, 100), (16, 50))
    for burn_in in (0.0, 0.3)
)
BAG: Final = 5
"""Models with other seeds whose scores are added up: each sees other rows and columns."""
RIDGE: Final = 10.0


@dataclass(frozen=True, slots=True)
class Scored:
    """One method's scores of the test's items."""

    method: str
    scores: Scores
    settings: dict[str, Any]


def evaluate(
    events: Path, items: Path | None, *, seed: int, say: Callable[[str], None]
) -> dict[str, Any]:
    """Keys of the result. Raises InvalidInput for a file that cannot be read or says too little."""
    module = lightgbm()
    if module is None:
        raise InvalidInput("LightGBM or the system's OpenMP (libgomp) is missing")
    read = read_events(events)
    extra = read_items(items) if items is not None else {}
    say(f"{len(read):,} events: replaying them for the features of each ranking")
    rankings, _ = replay(read, extra)
    rest, test = parted(rankings)
    say(f"{len(rest):,} rankings with a click to learn from, {len(test):,} to measure on")
    found = [*simple(test, seed), linear(rest, test)]
    for method in (BLIND, SHIPPED):
        found.append(trees(module, method, rest, test, seed, say))
    return {
        "results": rows(found, test, seed),
        "shipped": SHIPPED,
        "rankings": {"all": len(rankings), "learned_from": len(rest), "test": len(test)},
    }


def parted(rankings: Rankings) -> tuple[Rankings, Rankings]:
    """Rankings with a click: all but the last fifth, and the last fifth."""
    hits = np.add.reduceat(rankings.clicked, np.cumsum(rankings.sizes) - rankings.sizes)
    clicked = np.flatnonzero(hits)
    if len(clicked) < FEWEST:
        raise InvalidInput(f"{len(clicked)} rankings with a click, at least {FEWEST} are needed")
    cut = int(len(clicked) * 0.8)
    return rankings.only(clicked[:cut]), rankings.only(clicked[cut:])


def simple(test: Rankings, seed: int) -> list[Scored]:
    """What needs no training."""
    random = np.random.default_rng(seed)
    rates = np.nan_to_num(test.features[:, test.names.index("click_rate")])
    return [
        Scored("order-shown", -test.position.astype(np.float64), {}),
        Scored("random", random.random(len(test.clicked)), {}),
        Scored("click-rate", rates, {}),
    ]


def linear(rest: Rankings, test: Rankings) -> Scored:
    """A weighted sum, by ridge regression of clicks on features, both against their ranking's
    mean."""
    known = _filled(rest.features, rest.features)
    scale = known.std(axis=0)
    kept = scale > 0
    design = _centred(known[:, kept] / scale[kept], rest.sizes)
    labels = _centred(rest.gains().astype(np.float64)[:, None], rest.sizes)
    weights = np.linalg.solve(
        design.T @ design + RIDGE * np.eye(design.shape[1]), design.T @ labels
    )
    asked = _filled(test.features, rest.features)[:, kept] / scale[kept]
    return Scored("linear", (asked @ weights)[:, 0], {"ridge": RIDGE})


def _filled(features: Matrix, like: Matrix) -> Matrix:
    """With the mean where something is missing, 0 where all of it is."""
    present = ~np.isnan(like)
    means = np.where(present, like, 0.0).sum(axis=0) / np.maximum(present.sum(axis=0), 1)
    filled: Matrix = np.where(np.isnan(features), means, features)
    return filled


def _centred(values: Matrix, sizes: Numbers) -> Matrix:
    starts = np.cumsum(sizes) - sizes
    means = np.add.reduceat(values, starts, axis=0) / sizes[:, None]
    centred: Matrix = values - np.repeat(means, sizes, axis=0)
    return centred


def trees(
    module: ModuleType,
    method: str,
    rest: Rankings,
    test: Rankings,
    seed: int,
    say: Callable[[str], None],
) -> Scored:
    """LambdaMART: settings and rounds by the later part of the rest, then trained on all of it."""
    if method == BLIND:
        rest, test = without_order(rest), without_order(test)
    earlier, later = split(rest)
    best: tuple[float, Boosting, int] | None = None
    for how in GRID:
        made = boost(module, earlier, later, how, seed)
        reached = float(ndcg(made.trees.score(later.features), later.gains(), later.sizes).mean())
        say(f"{method}: {how.leaves} leaves, {made.rounds} trees: {reached:.4f} on validation")
        if best is None or reached > best[0]:
            best = reached, how, made.rounds
    assert best is not None  # noqa: S101  (GRID is not empty)
    reached, how, rounds = best
    scores = np.zeros(len(test.clicked))
    for turn in range(BAG):
        scores += boost(module, rest, None, how, seed + turn, rounds).trees.score(test.features)
    settings = {**asdict(how), "trees": rounds, "models": BAG, "validation": round(reached, 5)}
    return Scored(method, scores, settings)


def without_order(rankings: Rankings) -> Rankings:
    """The same, with no place among the features."""
    kept = [at for at, name in enumerate(rankings.names) if name != ORDER]
    return Rankings(
        tuple(rankings.names[at] for at in kept),
        np.ascontiguousarray(rankings.features[:, kept]),
        rankings.sizes,
        rankings.clicked,
        rankings.converted,
        rankings.position,
        rankings.propensity,
        rankings.at,
    )


def rows(found: list[Scored], test: Rankings, seed: int) -> list[dict[str, Any]]:
    """As CLI.md has them; the shipped one with its difference to the strongest other."""
    gains, sizes, every = test.gains(), test.sizes, list(range(len(test)))
    reached = {scored.method: ndcg(scored.scores, gains, sizes) for scored in found}
    results: list[dict[str, Any]] = [
        {
            "method": scored.method,
            "n": len(test),
            "ndcg10": round(float(reached[scored.method].mean()), 5),
            "ndcg10_ci95": interval(reached[scored.method].tolist(), every, seed),
            "mrr": round(float(reciprocal_ranks(scored.scores, gains, sizes).mean()), 5),
            "settings": scored.settings,
        }
        for scored in found
    ]
    others = [scored.method for scored in found if scored.method != SHIPPED]
    strongest = max(others, key=lambda method: float(reached[method].mean()))
    paired = (reached[SHIPPED] - reached[strongest]).tolist()
    results[-1]["difference"] = {
        "against": strongest,
        "estimate": round(float(np.mean(paired)), 5),
        "ci95": interval(paired, every, seed),
    }
    return results
