"""Lists beside recommendations: a given list put in order, what is like an item, what trends."""

from typing import Any

from services.recommend import listing
from services.recommend.asking import Ask
from services.recommend.knowledge import Choice, Moment
from services.recommend.popularity import rank_popularity
from services.recommend.request import RecommendRequest
from services.recommend.situation import Situation, situate
from services.recommend.statistics import ItemStatistics, parse_bucket
from shared.profile import View
from tests.unit.recommend.shop import ITEMS, Shop, ids, withheld

MOMENT = Moment(1_000, 1_000, "decision", lambda: False)


def seen(view: View | None = None, **request: Any) -> Situation:
    return situate(RecommendRequest(**request), view, None)


def codes(choice: Choice) -> dict[str, str]:
    return {item.id: item.reasons[0].code for item in choice.items}


def test_a_given_list_is_ordered_and_says_what_may_not_be_offered() -> None:
    shop = Shop(a4={"stock": 0})
    shop.viewed(a1=1, a2=9, b1=5, b6=50)
    shop.session("b3", "a3")
    situation = seen(View(bought=["b2"]), session=["b3"], exclude=["b1"])
    given = ["gone", "b2", "a1", "a4", "a2", "b1", "a3", "a1"]
    choice = listing.rerank(given, situation, shop.knowledge, Ask(n=1), MOMENT)
    assert ids(choice) == ["a3", "a2", "a1"]
    assert choice.left == [
        ("b2", "bought"),
        ("a4", "out_of_stock"),
        ("b1", "excluded"),
        ("gone", "unknown_item"),
    ]
    assert withheld(choice) == {
        "bought": 1,
        "out_of_stock": 1,
        "excluded": 1,
        "unknown_item": 1,
    }
    assert codes(choice)["a3"] == "similar_sessions"
    assert choice.propensities == [1.0] * 3
    assert choice.features is not None
    assert choice.moved is not None
    assert len(choice.features) == len(choice.moved) == 3


def test_a_given_list_is_not_cut_nor_spread() -> None:
    shop = Shop()
    shop.viewed(**{name: 99 - place for place, name in enumerate(ITEMS)})
    found = ids(listing.rerank(ITEMS[::-1], seen(), shop.knowledge, Ask(n=2), MOMENT))
    assert found == ITEMS
    assert listing.rerank([], seen(), shop.knowledge, Ask(), MOMENT).offers == []


def test_what_is_like_an_item() -> None:
    shop = Shop(a5={"stock": 0})
    shop.viewed(**dict.fromkeys(ITEMS, 3))
    shop.session("a1", "b4")
    shop.session("a1", "b4", "b5")
    choice = listing.similar("a1", seen(View(dismissed=["a3"])), shop.knowledge, Ask(n=4), MOMENT)
    assert ids(choice) == ["b4", "b5", "a2", "a4"]
    assert codes(choice)["b4"] == "similar_sessions"
    assert codes(choice)["a2"] == "affinity"
    assert choice.model == listing.LIKE.name
    assert choice.filtered
    assert "unknown_item" not in withheld(choice)
    unknown = listing.similar("gone", seen(), shop.knowledge, Ask(n=4), MOMENT)
    assert (ids(unknown), withheld(unknown)["unknown_item"]) == ([], 1)
    # a profile's own interests have no part in it
    fond = seen(View(affinities={"category": [("b", 1000)]}))
    assert ids(listing.similar("a1", fond, shop.knowledge, Ask(n=3), MOMENT))[2][0] == "a"


def trends(made: Shop, **buckets: dict[str, int]) -> None:
    """Views by item of the whole shop, and by country."""
    statistics = ItemStatistics()
    fields = {}
    for country, counts in buckets.items():
        mark = "" if country == "shop" else f"\x1f{country}"
        fields |= {f"{name}{mark}".encode(): b"%d,0,0,0,0" % of for name, of in counts.items()}
    statistics.put(0, 1, parse_bucket(fields, made.numbers))
    stock = made.knowledge.stock
    made.knowledge.popularity = rank_popularity(statistics, stock.number_of[: stock.size])


def test_what_trends_here_comes_before_what_trends_elsewhere() -> None:
    shop = Shop(b2={"stock": 0})
    trends(shop, shop={"a1": 90, "a2": 50, "b1": 20, "b2": 99}, DE={"b1": 9, "a2": 4, "b2": 20})
    everywhere = listing.trending(None, seen(), shop.knowledge, Ask(n=3), MOMENT)
    assert ids(everywhere) == ["a1", "a2", "b1"]
    assert codes(everywhere)["a1"] == "trending"
    here = listing.trending(None, seen(), shop.knowledge, Ask(n=3, country="DE"), MOMENT)
    assert ids(here) == ["b1", "a2", "a1"]
    assert here.items[0].reasons[0].evidence == {"country": "DE"}
    assert codes(here)["a1"] == "trending"
    of_a = listing.trending("a", seen(), shop.knowledge, Ask(n=2, country="DE"), MOMENT)
    assert ids(of_a) == ["a2", "a1"]
    assert of_a.items[0].reasons[0].evidence == {"country": "DE", "category": "a"}
    # the same lists are where candidates of a recommendation come from
    assert ids(shop.ask(n=1)) == ["a1"]
    unheard = listing.trending("nothing", seen(), shop.knowledge, Ask(n=2), MOMENT)
    assert (unheard.offers, unheard.fallback) == ([], "catalogue")


def test_trending_keeps_to_what_a_shopper_dismissed_and_falls_back_to_the_catalogue() -> None:
    shop = Shop()
    trends(shop, shop={"a1": 90, "a2": 50})
    choice = listing.trending(None, seen(View(dismissed=["a1"])), shop.knowledge, Ask(n=2), MOMENT)
    assert ids(choice) == ["a2", "a3"]
    assert codes(choice) == {"a2": "trending", "a3": "catalogue"}
    assert withheld(choice) == {"dismissed": 1}


def test_interest_by_country_decays_and_leaves_with_its_bucket() -> None:
    shop = Shop()
    statistics = ItemStatistics()
    bucket = parse_bucket({b"a1\x1fDE": b"4,0,0,0,0", b"a1": b"6,0,0,0,0"}, shop.numbers)
    statistics.put(0, 100, bucket)
    statistics.put(1, 124, parse_bucket({b"a2\x1fDE": b"2,0,0,0,0"}, shop.numbers))
    one, two = shop.numbers.known("a1"), shop.numbers.known("a2")
    assert statistics.counts[one].tolist() == [6, 0, 0, 0, 0]
    assert statistics.countries["DE"][one] == statistics.countries["DE"][two]
    statistics.put(1, 1_000, parse_bucket({}, shop.numbers))
    statistics.keep_only(0, set())
    assert statistics.countries["DE"][one] == 0
