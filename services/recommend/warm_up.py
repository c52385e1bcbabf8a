"""Runs the pipeline on a small made-up shop before the port opens.

The first requests would pay for imports inside numpy, for the encoders' first use and for cold
caches; nobody waits here.
"""

from typing import Final

from services.recommend.asking import Ask
from services.recommend.availability import Stock
from services.recommend.candidates.bought_together import Pairs
from services.recommend.candidates.sessions import SessionIndex
from services.recommend.catalogue.index import Catalogue
from services.recommend.knowledge import Knowledge, Moment
from services.recommend.numbers import ItemNumbers
from services.recommend.pipeline import decide
from services.recommend.popularity import rank_popularity
from services.recommend.ranking import LinearRanker
from services.recommend.request import parse_body
from services.recommend.situation import situate
from services.recommend.statistics import ItemStatistics, parse_bucket
from shared.catalogue import ItemChanged
from shared.decisions import Arm, ModelName
from shared.profile import Interest, Session, View, decode_view, encode_view

ITEMS: Final = 200
ROUNDS: Final = 50


def warm_up() -> None:
    """Decide some rounds for a shopper of a shop that does not exist."""
    knowledge = _shop()
    items = [f"item-{place}" for place in range(0, 60, 5)]
    view = View(
        session=Session(1, 2, items[:5]),
        recent=[Interest(1, 1, item) for item in items],
        bought=items[6:8],
        affinities={"category": [("category-1", 1000), ("category-2", 500)]},
    )
    packed = encode_view(view)
    body = b'{"n":10,"anonymous":"nobody","context":{"country":"DE","cart":["item-3"]}}'
    for turn in range(ROUNDS):
        situation = situate(parse_body(body), decode_view(packed), None)
        moment = Moment(1, 1, str(turn), lambda: False)
        arm: Arm = "random" if turn % 5 == 0 else "personalised"
        decide(situation, knowledge, Ask(n=10, country="DE"), arm, moment)


def _shop() -> Knowledge:
    catalogue, numbers = Catalogue(), ItemNumbers()
    for place in range(ITEMS):
        catalogue.put(
            ItemChanged(item=f"item-{place}", category=f"category-{place % 9}", price=100 + place)
        )
    stock = Stock(catalogue, numbers)
    stock.align()
    sessions, pairs = SessionIndex(capacity=1_000), Pairs()
    for place in range(ITEMS - 3):
        known = [numbers.known(f"item-{place + step}") for step in range(3)]
        sessions.begin(known)
        pairs.learn(str(place), known)
    statistics = ItemStatistics()
    fields = {f"item-{place}".encode(): b"9,2,1,0,0" for place in range(0, ITEMS, 2)}
    statistics.put(0, 1, parse_bucket(fields, numbers))
    popularity = rank_popularity(statistics, stock.number_of[: stock.size])
    ranker = LinearRanker(ModelName(name="linear", version="warm-up"))
    return Knowledge(stock, sessions, pairs, popularity, ranker)
