"""Decisions: reasons and evidence, hard rules with counts, the ladder, the random arm."""

from collections import Counter

import pytest

from services.recommend.request import Context, RecommendRequest
from shared.catalogue import OfferChanged
from shared.profile import BOUGHT, VIEWED, Interest, Session, View
from tests.unit.recommend.shop import ITEMS, Shop, ids, withheld


def test_session_neighbours_come_with_the_shoppers_own_event() -> None:
    shop = Shop()
    shop.session("a1", "a2")
    shop.session("a1", "a2", "b3")
    view = View(session=Session(1, 900, ["a1"]), recent=[Interest(900, VIEWED, "a1")])
    choice = shop.ask(view=view, n=1)
    assert ids(choice) == ["a2"]
    assert choice.fallback == "none"
    (reason,) = choice.items[0].reasons
    assert reason.code == "similar_sessions"
    assert reason.evidence == {
        "events": [{"fact": "item_viewed", "item": "a1", "at": 900}],
        "sessions": 2,
    }


def test_what_goes_with_the_cart() -> None:
    shop = Shop()
    shop.order("1", "a1", "b1")
    choice = shop.ask(RecommendRequest(context=Context(cart=["a1"])), n=1)
    assert ids(choice) == ["b1"]
    assert choice.items[0].reasons[0].code == "bought_together"
    assert choice.items[0].reasons[0].evidence["orders"] == 1
    assert choice.fallback == "no_profile"


def test_affinity_names_field_and_value() -> None:
    shop = Shop()
    shop.viewed(a1=5, b1=9)
    choice = shop.ask(view=View(affinities={"category": [("a", 800), ("b", 200)]}), n=1)
    assert ids(choice) == ["a1"]
    evidence = choice.items[0].reasons[0].evidence
    assert evidence == {"field": "category", "value": "a", "share": 0.8}


def test_hard_rules_withhold_and_are_counted() -> None:
    shop = Shop(
        a1={"stock": 0},
        a2={"active": False},
        a3={"valid_from": 2_000},
        a4={"valid_to": 1_000},
        a5={"countries": ["FR"]},
        a6={"recommendable": False},
        b6={"repeatable": True},
    )
    shop.viewed(**dict.fromkeys(ITEMS, 3))
    view = View(cart=["b1"], bought=["b2", "b6"], dismissed=["b3"])
    request = RecommendRequest(exclude=["b4"], context=Context(country="DE"))
    choice = shop.ask(request, view, n=10)
    assert sorted(ids(choice)) == ["b5", "b6"]
    assert withheld(choice) == {
        "inactive": 1,
        "not_recommendable": 1,
        "out_of_stock": 1,
        "not_yet_valid": 1,
        "no_longer_valid": 1,
        "country": 1,
        "in_cart": 1,
        "bought": 1,
        "dismissed": 1,
        "excluded": 1,
    }
    random = shop.ask(request, view, n=10, arm="random")
    assert sorted(ids(random)) == ["b5", "b6"]
    assert withheld(random) == withheld(choice)


def test_without_a_country_restricted_items_stay_away() -> None:
    shop = Shop(a1={"countries": ["FR"]})
    assert "a1" not in ids(shop.ask(n=12))
    assert "a1" in ids(shop.ask(RecommendRequest(context=Context(country="FR")), n=12))


def test_the_ladder() -> None:
    shop = Shop()
    empty = shop.ask(n=3)
    assert (empty.fallback, ids(empty)) == ("catalogue", ["a1", "a2", "a3"])
    assert empty.items[0].reasons[0].code == "catalogue"
    shop.viewed(b2=9, b1=5)
    trending = shop.ask(n=2)
    assert (trending.fallback, ids(trending)) == ("trending", ["b2", "b1"])
    assert trending.items[0].reasons[0].code == "trending"
    shop.session("a1", "a5")
    request = RecommendRequest(session=["a1"])
    assert shop.ask(request, n=1).fallback == "no_profile"
    assert shop.ask(request, View(), n=1).fallback == "none"
    assert shop.ask(request, View(), n=1, late=True).fallback == "trending"


def test_answers_are_filled_up_and_hold_no_item_twice() -> None:
    shop = Shop()
    shop.viewed(a1=3)
    found = ids(shop.ask(n=100))
    assert sorted(found) == sorted(ITEMS)
    assert found[0] == "a1"


def test_a_paused_profile_is_not_used() -> None:
    shop = Shop()
    shop.session("b1", "b2")
    view = View(paused=True, bought=["b2"], session=Session(1, 2, ["a1"]))
    choice = shop.ask(RecommendRequest(session=["b1"]), view, n=1)
    assert (choice.fallback, ids(choice)) == ("none", ["b2"])


def test_ties_go_by_item_id_whatever_the_order_of_arrival() -> None:
    shop = Shop()
    shop.viewed(**dict.fromkeys(ITEMS, 7))
    assert ids(shop.ask(n=2)) == ["a1", "a2"]


def test_no_feed_of_a_single_category() -> None:
    shop = Shop()
    shop.viewed(a1=90, a2=80, a3=70, a4=60, a5=50, b1=2, b2=1)
    categories = Counter(item[0] for item in ids(shop.ask(n=5)))
    assert categories == {"a": 3, "b": 2}


def test_promotions_that_hold_now_are_attached() -> None:
    shop = Shop()
    shop.catalogue.put(OfferChanged(offer="old", items=["a1"], percent_off=50, valid_to=500))
    shop.catalogue.put(OfferChanged(offer="ten", items=["a1"], percent_off=10))
    item = shop.ask(n=1).items[0]
    assert item.offer == "ten"
    assert item.reasons[-1].code == "promotion"
    assert item.reasons[-1].evidence["percent_off"] == 10


def test_the_random_arm_is_uniform_repeatable_and_says_its_propensity() -> None:
    shop = Shop(a1={"stock": 0})
    drawn: Counter[str] = Counter()
    for seed in range(2_200):
        choice = shop.ask(n=1, arm="random", seed=str(seed))
        assert choice.items[0].explore
        assert choice.propensities == [pytest.approx(1 / 11)]
        drawn.update(ids(choice))
    assert set(drawn) == set(ITEMS) - {"a1"}
    assert all(130 < count < 280 for count in drawn.values())
    again = shop.ask(n=11, arm="random", seed="x")
    assert ids(again) == ids(shop.ask(n=11, arm="random", seed="x"))
    assert len(set(ids(again))) == 11


def test_bought_lately_is_an_anchor_and_not_offered() -> None:
    shop = Shop()
    shop.order("1", "a1", "a2")
    view = View(recent=[Interest(5, BOUGHT, "a1")], bought=["a1"])
    choice = shop.ask(view=view, n=12)
    assert ids(choice)[0] == "a2"
    assert "a1" not in ids(choice)
    assert choice.items[0].reasons[0].evidence["events"][0]["fact"] == "purchased"


def test_features_are_logged_in_the_order_of_the_answer() -> None:
    shop = Shop()
    shop.viewed(a1=9, b1=3)
    choice = shop.ask(n=2)
    assert choice.features is not None
    assert choice.features[0].tolist()[5] == pytest.approx(1.0)
    assert choice.features[1].tolist()[5] < 1.0


def test_items_that_the_catalogue_does_not_have_are_no_candidates() -> None:
    shop = Shop()
    shop.session("a1", "gone")
    shop.catalogue.remove("item:a2")
    choice = shop.ask(RecommendRequest(session=["a1"]), n=20)
    assert "gone" not in ids(choice)
    assert "a2" not in ids(choice)


def test_no_item_is_the_evidence_for_itself() -> None:
    shop = Shop()
    shop.session("a1", "a2")
    shop.session("a1", "a2")
    shop.session("b1", "b2")
    view = View(session=Session(1, 900, ["a1", "a2"]))
    reasons = {item.id: item.reasons[0] for item in shop.ask(view=view).items}
    assert reasons["a1"].code == "similar_sessions"
    assert reasons["a1"].evidence["events"][0]["item"] == "a2"
    # all that it shares with others' sessions is the item itself
    assert reasons["a2"].code == "recently_viewed"
    assert [event["item"] for event in reasons["a2"].evidence["events"]] == ["a2"]
