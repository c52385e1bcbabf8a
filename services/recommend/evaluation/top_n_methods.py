"""The methods that `attune evaluate top-n` compares. Pure; users and items are numbers.

A user without training interactions gets what the method knows without them: the sum of no
partners is 0 for all items, so popularity decides in the blend; LightFM has the item's bias, and
the vectors of the user's fields where they are given.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from services.recommend.arrays import Numbers
from services.recommend.similar.solving import (
    PENALTIES,
    SHRINKS,
    Gram,
    choose_weights,
    core,
    cosine,
    ease,
    gram_of,
    measured,
    rows_of,
    scores_of,
)
from services.recommend.vectors.choosing import HeldOut, choose_settings
from services.recommend.vectors.fit import Features, Labelled, fit, summed
from services.recommend.vectors.interactions import (
    Interactions,
    Split,
    some_users,
    split_by_time,
)
from services.recommend.vectors.loops import Floats
from services.recommend.vectors.training import bounded

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Scorer = Callable[[Numbers], Floats]
"""float32[users asked, items]."""
CHOOSING_ROWS: Final = 150_000
CHOOSING_WORK: Final = 12_000_000
MOST_WORK: Final = 20_000_000
"""Rows LightFM learns from while choosing, and in the end: about a minute each."""
STEPS: Final = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0)


@dataclass(frozen=True)
class Task:
    """data: training interactions, 1 row a pair; item_labels, user_labels: by number."""

    data: Interactions
    item_labels: Labelled
    user_labels: Labelled
    seed: int
    say: Callable[[str], None]
    fitted: dict[str, "Fitted"] = field(default_factory=dict)

    @cached_property
    def split(self) -> Split:
        """Where settings are chosen: the latest fifth of each user's rows is held out."""
        return split_by_time(self.data)

    @cached_property
    def sample(self) -> Split:
        """The same of fewer users, where there are many rows: what LightFM chooses on."""
        users = np.unique(some_users(self.data, CHOOSING_ROWS, self.seed).user)
        return Split(*(part.where(np.isin(part.user, users)) for part in self.split))

    @cached_property
    def held_out(self) -> HeldOut:
        """The users that settings are chosen for."""
        return HeldOut.of(self.sample, self.seed)


@dataclass(frozen=True, slots=True)
class Fitted:
    """settings; held_out: float32 scores of the held-out users, made of what came before; score:
    made of all training interactions."""

    settings: dict[str, Any]
    held_out: Floats
    score: Scorer


def popularity(task: Task) -> Fitted:
    """The items with the most rows."""

    def counted(data: Interactions) -> Scorer:
        counts = np.bincount(data.item, minlength=data.items).astype(np.float32)
        return lambda users: np.tile(counts, (len(users), 1))

    return Fitted({}, counted(task.split.earlier)(task.held_out.users), counted(task.data))


def item_to_item(task: Task) -> Fitted:
    """Sums of shrunk cosines."""
    return _linear(task, cosine, "shrink", SHRINKS)


def ease_method(task: Task) -> Fitted:
    """EASE (similar/solving.py)."""
    return _linear(task, ease, "penalty", PENALTIES)


def _linear(
    task: Task, make: Callable[[Gram, float], Floats], name: str, values: tuple[float, ...]
) -> Fitted:
    earlier, width = task.split.earlier, task.data.items
    items = core(earlier)
    rows = rows_of(earlier, items)
    measure = measured(rows, items, task.held_out, width)
    chosen = choose_weights(gram_of(rows), make, name, values, measure)
    held_out = scores_of(rows[task.held_out.users], items, chosen.matrix, width)
    items = core(task.data)
    whole: csr_array = rows_of(task.data, items)
    matrix = make(gram_of(whole), chosen.settings[name])

    def score(users: Numbers) -> Floats:
        return scores_of(whole[users], items, matrix, width)

    return Fitted(chosen.settings, held_out, score)


def lightfm(task: Task) -> Fitted:
    """LightFM of identities alone."""
    return _factored(task, (), ())


def lightfm_features(task: Task) -> Fitted:
    """LightFM of identities and of the fields of items and users."""
    return _factored(task, task.item_labels, task.user_labels)


def _factored(task: Task, item_labels: Labelled, user_labels: Labelled) -> Fitted:
    data, seed = task.data, task.seed
    items = Features.of(data.items, item_labels)
    users = Features.of(data.users, user_labels)
    chosen = choose_settings(task.sample, items, users, seed, CHOOSING_WORK, task.say)
    settings = bounded(chosen.settings, len(data.user), MOST_WORK)
    before = chosen.vectors
    earlier = task.split.earlier
    if before is None or len(earlier.user) > len(task.sample.earlier.user):
        # the blend weighs what was learned of all users, as the test will find it
        before = summed(fit(earlier, items, users, settings, seed), items, users)
    made = summed(fit(data, items, users, settings, seed), items, users)
    return Fitted(asdict(settings), before.scores(task.held_out.users), made.scores)


def blend(task: Task) -> Fitted:
    """Sum of the other methods' scores, each by its spread over a user's items, weighed by what
    does best on the held-out part: one weight after another, twice around."""
    names = list(COMPONENTS)
    parts = {name: fitted(task, name) for name in names}
    scaled = {name: spread(parts[name].held_out) for name in names}
    weights = dict.fromkeys(names, 0.0)
    weights[max(names, key=lambda name: task.held_out.ndcg(scaled[name]))] = 1.0
    best = task.held_out.ndcg(_sum(scaled, weights))
    for _ in range(2):
        for name in names:
            for step in STEPS:
                tried = weights | {name: step}
                ndcg = task.held_out.ndcg(_sum(scaled, tried)) if any(tried.values()) else 0.0
                if ndcg > best:
                    weights, best = tried, ndcg

    def score(users: Numbers) -> Floats:
        used = {name: parts[name] for name in names if weights[name]}
        scores = _sum({name: spread(part.score(users)) for name, part in used.items()}, weights)
        # what is left of ties, and users of whom nothing else is known
        return scores + np.float32(1e-3) * spread(parts["popularity"].score(users))

    return Fitted({"weights": weights, "ndcg_held_out": round(best, 5)}, scaled[names[0]], score)


def spread(scores: Floats) -> Floats:
    """Each row around its mean by its standard deviation; a row without any stays 0."""
    deviation = scores.std(axis=1, keepdims=True)
    middle = scores - scores.mean(axis=1, keepdims=True)
    scaled: Floats = (middle / np.maximum(deviation, 1e-9)).astype(np.float32)
    return scaled


def _sum(scores: Mapping[str, Floats], weights: Mapping[str, float]) -> Floats:
    total = np.zeros_like(next(iter(scores.values())))
    for name, own in scores.items():
        if weights[name]:
            total += np.float32(weights[name]) * own
    return total


def fitted(task: Task, name: str) -> Fitted:
    """A method fitted once a task, however many ask for it."""
    known = task.fitted.get(name)
    if known is None:
        task.say(f"{name}: choosing settings, then learning from all of the training file")
        known = task.fitted[name] = METHODS[name](task)
    return known


COMPONENTS: Final[dict[str, Callable[[Task], Fitted]]] = {
    "popularity": popularity,
    "item-to-item": item_to_item,
    "ease": ease_method,
    "lightfm": lightfm,
    "lightfm-features": lightfm_features,
}
METHODS: Final[dict[str, Callable[[Task], Fitted]]] = {**COMPONENTS, "blend": blend}
SHIPPED: Final = "blend"
"""What recommend ranks by: item-to-item, vectors and popularity together."""
