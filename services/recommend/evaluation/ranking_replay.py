"""Rankings with their features, by replaying events in time order: what `attune evaluate ranking`
learns from and measures on. Pure.

Features are those of serving (features/filling.py over the same catalogue and counts), and what a
shopper's own history tells by the few sums kept here. Whatever was clicked in a ranking is counted
after its features were computed, as events come: nothing of it leaks into them.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.recommend.catalogue.index import Catalogue
from services.recommend.evaluation.ranking_events import Event, Fields, item_of, merged
from services.recommend.features import Matrix
from services.recommend.features.filling import fill
from services.recommend.features.first import FIRST_FEATURES
from services.recommend.features.rates import CLICKED, SHOWN, VIEWS
from services.recommend.features.shelf import Shelf
from services.recommend.ranker.rankings import Rankings

ORDER: Final = "order"
"""The place in the list as it was given: of a list to be ranked anew it is known."""
OWN: Final = ("seen", "passed", "similar", "similar_best", "lift", "shopper_rate", ORDER)
MOST_TAKEN: Final = 50
MOST_PASSED: Final = 200
"""Of a shopper's history, the newest."""
PAIR_PRIOR: Final = 5.0
SHOPPER_PRIOR: Final = 5.0


@dataclass(slots=True)
class History:
    """One shopper's rows, oldest first: clicked, and shown."""

    taken: dict[int, None] = field(default_factory=dict)
    shown: dict[int, None] = field(default_factory=dict)

    def rows(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """What was clicked, and what was shown and not clicked."""
        taken = list(self.taken)[-MOST_TAKEN:]
        passed = [row for row in self.shown if row not in self.taken][-MOST_PASSED:]
        return np.array(taken, dtype=np.int64), np.array(passed, dtype=np.int64)


@dataclass(slots=True)
class Replay:
    """The shop as it stands at one moment of the replay."""

    extra: dict[str, Fields] = field(default_factory=dict)
    catalogue: Catalogue = field(default_factory=Catalogue)
    shelf: Shelf = field(default_factory=Shelf)
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros((64, 5), dtype=np.int64))
    histories: dict[str, History] = field(default_factory=lambda: defaultdict(History))
    together: dict[int, dict[int, int]] = field(default_factory=lambda: defaultdict(dict))
    after: dict[int, dict[int, int]] = field(default_factory=lambda: defaultdict(dict))
    """By item clicked: how many also clicked another, and how many were shown another."""
    _since: int = 0
    _counted: NDArray[np.int64] | None = None

    def row(self, item: str, fields: Fields | None = None) -> int:
        """The item's row, with these fields from now on."""
        row = self.catalogue.row(item)
        if row is None or fields is not None:
            known = merged(fields or {}, [self.extra.get(item, {})])
            self.catalogue.put(item_of(item, known))
            row = self.catalogue.row(item)
        assert row is not None  # noqa: S101  (it was put)
        if row >= len(self.counts):
            larger = np.zeros((2 * row, self.counts.shape[1]), dtype=np.int64)
            larger[: len(self.counts)] = self.counts
            self.counts = larger
        return row

    def features(self, rows: NDArray[np.int64], shopper: str, at: int) -> Matrix:
        """Of a ranking's rows, before anything of it is counted."""
        history = self.histories[shopper]
        taken, passed = history.rows()
        # sums by value take time with the number of items, so that they follow at some distance
        if self._counted is None or self._since * 5_000 >= len(self.catalogue):
            self._counted, self._since = self.counts.copy(), 0
        self._since += 1
        own = self._own(rows, history, taken)
        shelf = self.shelf.arrays(self.catalogue, self._counted)
        return fill(rows, own, taken, passed, at, shelf)

    def _own(self, rows: NDArray[np.int64], history: History, taken: NDArray[np.int64]) -> Matrix:
        own = np.zeros((len(rows), len(OWN)))
        clicked, shown = self.counts[:, CLICKED], self.counts[:, SHOWN]
        average = (clicked.sum() + 1.0) / (shown.sum() + SHOPPER_PRIOR)
        count = len(history.taken) + SHOPPER_PRIOR * average
        own[:, 5] = count / (len(history.shown) + SHOPPER_PRIOR)
        own[:, 6] = np.arange(1, len(rows) + 1)
        for place, row in enumerate(rows.tolist()):
            own[place, 0] = row in history.taken
            own[place, 1] = row in history.shown and row not in history.taken
            if len(taken):
                own[place, 2:5] = self._alike(row, taken.tolist(), average)
            else:
                own[place, 2:5] = np.nan
        return own

    def _alike(self, row: int, taken: Sequence[int], average: float) -> tuple[float, float, float]:
        """Sum and greatest of the cosines of clicks with what was clicked, and the mean logarithm
        of how much likelier a click is after each of them."""
        clicks, shown = self.counts[row, CLICKED], self.counts[row, SHOWN]
        rate = (clicks + 10 * average) / (shown + 10)
        total = best = lift = 0.0
        known = self.together.get(row, {})
        for other in taken:
            if other == row:
                continue
            both = known.get(other, 0)
            cosine = both / math.sqrt((clicks + 1) * (self.counts[other, CLICKED] + 1))
            total, best = total + cosine, max(best, cosine)
            asked = self.after[other].get(row, 0)
            lift += math.log((both + PAIR_PRIOR * rate) / (asked + PAIR_PRIOR) / rate)
        return total, best, lift / len(taken)

    def show(self, rows: NDArray[np.int64], shopper: str) -> None:
        """Count a ranking that was shown."""
        self.counts[rows, SHOWN] += 1
        history = self.histories[shopper]
        for row in rows.tolist():
            history.shown.setdefault(row)
            for other in list(history.taken)[-MOST_TAKEN:]:
                after = self.after[other]
                after[row] = after.get(row, 0) + 1

    def click(self, row: int, shopper: str, *, ranked: bool) -> None:
        """Count an interaction, one of a ranking or another."""
        self.counts[row, CLICKED if ranked else VIEWS] += 1
        history = self.histories[shopper]
        if row in history.taken:
            return
        for other in list(history.taken)[-MOST_TAKEN:]:
            for one, two in ((row, other), (other, row)):
                self.together[one][two] = self.together[one].get(two, 0) + 1
        after = self.after[row]
        for shown in list(history.shown)[-MOST_PASSED:]:
            after[shown] = after.get(shown, 0) + 1
        history.taken[row] = None


def replay(events: Sequence[Event], extra: dict[str, Fields]) -> tuple[Rankings, list[list[str]]]:
    """All rankings, oldest first, and the items of each; a click counts once."""
    shop = Replay(extra)
    names: dict[str, None] = {}
    found: list[tuple[tuple[str, ...], Matrix, Event]] = []
    clicked: dict[str, set[str]] = defaultdict(set)
    shown: dict[str, Event] = {}
    for event in events:
        if event.kind == "item":
            shop.row(event.items[0], event.fields)
        elif event.kind == "ranking":
            rows = np.array([shop.row(item) for item in event.items], dtype=np.int64)
            features = shop.features(rows, event.shopper, event.at)
            found.append((columns_of(shop.shelf), features, event))
            names.update(dict.fromkeys(found[-1][0]))
            shown[event.name] = event
            shop.show(rows, event.shopper)
        else:
            _take(event, shop, shown, clicked)
    return _joined(found, tuple(names), clicked), [list(event.items) for _, _, event in found]


def columns_of(shelf: Shelf) -> tuple[str, ...]:
    """Names of the features as `Replay.features` puts them, whose first stage is its own."""
    return (*OWN, *shelf.names[len(FIRST_FEATURES) :])


def _take(
    event: Event, shop: Replay, shown: dict[str, Event], clicked: dict[str, set[str]]
) -> None:
    item = event.items[0]
    ranking = shown.get(event.name)
    ranked = ranking is not None and item in ranking.items
    if ranked and item in clicked[event.name]:
        return
    if ranked:
        clicked[event.name].add(item)
    shop.click(shop.row(item), event.shopper, ranked=ranked)


def _joined(
    found: list[tuple[tuple[str, ...], Matrix, Event]],
    names: tuple[str, ...],
    clicked: dict[str, set[str]],
) -> Rankings:
    place = {name: at for at, name in enumerate(names)}
    sizes = np.array([len(event.items) for _, _, event in found], dtype=np.int64)
    features = np.full((int(sizes.sum()), len(names)), np.nan)
    start = 0
    for columns, values, event in found:
        end = start + len(event.items)
        features[start:end, [place[name] for name in columns]] = values
        start = end
    hits = [item in clicked[event.name] for _, _, event in found for item in event.items]
    return Rankings(
        names,
        features,
        sizes,
        np.array(hits, dtype=np.int8),
        np.zeros(len(hits), dtype=np.int8),
        np.concatenate([np.arange(1, size + 1) for size in sizes]),
        np.ones(len(hits)),
        np.array([event.at for _, _, event in found], dtype=np.int64),
    )
