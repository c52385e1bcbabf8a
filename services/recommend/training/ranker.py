"""The ranker in training: learned from what became of past decisions, held against the others.

One of the trainers that `attune train` runs. The newest tenth of the rankings is held out: on it
the trees, the linear ranker and the trees in force rank the same offers.
"""

from collections.abc import Callable, Sequence
from typing import Final

from services.recommend.arrays import Scores
from services.recommend.ranker.measures import ndcg
from services.recommend.ranker.rankings import Logged, Rankings, joined
from services.recommend.ranker.training import (
    PART,
    linear_scores,
    places_of,
    split,
    train_ranker,
    trees_of,
)
from services.recommend.training.promotion import Comparison, compare
from shared.models.part import Part
from shared.models.store import Version

NDCG: Final = "ranker nDCG@10"
LINEAR: Final = "linear"
HELD_OUT: Final = 0.1


def train(
    logged: Sequence[Logged], current: Version | None, seed: int, say: Callable[[str], None]
) -> tuple[Part | None, list[Comparison]]:
    """The part, None where the linear ranker stays; and how it did on the rankings held out."""
    usable = joined(logged).with_clicks() if logged else None
    if usable is None or len(usable) < 1:
        say(f"ranker: {len(logged)} decisions, and nothing was clicked; the linear ranker stays")
        return None, []
    early, held_out = split(usable, HELD_OUT)
    trial = train_ranker(early, seed, lambda _: None) if len(early) else None
    comparisons = [] if trial is None else measured(trial, held_out, current, seed)
    if any(one.worse for one in comparisons if one.against == LINEAR):
        say("ranker: the trees rank worse than the linear ranker, which stays")
        return None, []
    part = train_ranker(usable, seed, say)
    return (part if part is not None and part.facts["better"] else None), comparisons


def measured(
    trial: Part, held_out: Rankings, current: Version | None, seed: int
) -> list[Comparison]:
    """nDCG of the held-out rankings beside that of the linear ranker, and of the trees in force."""
    gains, sizes = held_out.gains(), held_out.sizes
    ours = ndcg(_scores(trial, held_out), gains, sizes)
    linear = ndcg(linear_scores(held_out), gains, sizes)
    found = [compare(NDCG, LINEAR, ours, linear, held_out.at, seed)]
    if current is not None and PART in current.parts:
        theirs = ndcg(_scores(current.parts[PART], held_out), gains, sizes)
        version = current.metadata.version
        found.append(compare(NDCG, version, ours, theirs, held_out.at, seed))
    return found


def _scores(part: Part, rankings: Rankings) -> Scores:
    places = places_of(tuple(part.facts["names"]), rankings.names)
    return trees_of(part).placed(places, {}).score(rankings.features)
