"""A small shop for tests of the pipeline: items a1..a6 (category a), b1..b6 (category b)."""

from typing import Any

from services.recommend.asking import Ask
from services.recommend.availability import Stock
from services.recommend.candidates.bought_together import Pairs
from services.recommend.candidates.sessions import SessionIndex
from services.recommend.catalogue.index import Catalogue
from services.recommend.knowledge import Choice, Knowledge, Moment
from services.recommend.numbers import ItemNumbers
from services.recommend.pipeline import decide
from services.recommend.popularity import Popularity, rank_popularity
from services.recommend.ranking import LinearRanker
from services.recommend.request import RecommendRequest
from services.recommend.situation import situate
from services.recommend.statistics import ItemStatistics, parse_bucket
from shared.catalogue import ItemChanged
from shared.decisions import Arm, ModelName
from shared.profile import View

ITEMS = [f"{category}{place}" for category in "ab" for place in range(1, 7)]


class Shop:
    """Knowledge of the shop, and how to ask it."""

    def __init__(self, **changes: dict[str, Any]) -> None:
        self.numbers = ItemNumbers()
        self.catalogue = Catalogue()
        for item in ITEMS:
            fields: dict[str, Any] = {"item": item, "category": item[0], "price": 100}
            self.catalogue.put(ItemChanged(**(fields | changes.get(item, {}))))
        self.knowledge = Knowledge(
            Stock(self.catalogue, self.numbers),
            SessionIndex(capacity=100),
            Pairs(),
            Popularity(),
            LinearRanker(ModelName(name="linear", version="test")),
        )
        self.knowledge.stock.align()

    def session(self, *items: str) -> None:
        """Somebody looked at these, in this order."""
        self.knowledge.sessions.begin([self.numbers.number(item) for item in items])

    def order(self, name: str, *items: str) -> None:
        """Somebody bought these together."""
        self.knowledge.pairs.learn(name, [self.numbers.number(item) for item in items])

    def viewed(self, **counts: int) -> None:
        """Item statistics: views by item."""
        statistics = ItemStatistics()
        fields = {item.encode(): b"%d,0,0,0,0" % count for item, count in counts.items()}
        statistics.put(0, 1, parse_bucket(fields, self.numbers))
        size = self.knowledge.stock.size
        self.knowledge.popularity = rank_popularity(
            statistics, self.knowledge.stock.number_of[:size]
        )

    def ask(
        self,
        request: RecommendRequest | None = None,
        view: View | None = None,
        *,
        n: int = 5,
        arm: Arm = "personalised",
        late: bool = False,
        seed: str = "decision",
        now: int = 1_000,
        **terms: Any,
    ) -> Choice:
        """A decision at business time `now`; terms: of Ask."""
        request = request or RecommendRequest()
        moment = Moment(now, now, seed, lambda: late)
        context = request.context
        ask = Ask(**({"n": n, "country": context.country, "age": context.age} | terms))
        return decide(situate(request, view, None), self.knowledge, ask, arm, moment)


def ids(choice: Choice) -> list[str]:
    """The offered items in order."""
    return [item.id for item in choice.items]


def withheld(choice: Choice) -> dict[str, int]:
    """How many candidates each rule withheld."""
    return {entry.reason: entry.count for entry in choice.filtered}
